"""Models of words with an end symbol: the base class and the GRU baseline; `state_space` has the other.

Legend: B batch, T time with the end symbol, D units or dimensions of the state, E embedding, V symbols with the end
symbol, which is the last one, M trajectories, Q draws of the noise.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from seqflows.config.models import GruBaseline as Config
from seqflows.data.batching import Batch
from seqflows.data.prepared import Facts
from seqflows.errors import Problem
from seqflows.flows import wide
from seqflows.models.base import Model, Terms, check_emission
from seqflows.models.networks import draw_symbols, step_mask

WATCHED, WATCHED_DRAWS = 512, 20  # words and draws of the noise that `monitor` uses


class WordModel(Model):
    """The base class of models of words: no p(T), since an end symbol ends a word; trajectories of states.

    ``trajectories(count, steps)`` gives log P(v | h_t) along ``count`` sequences of states that the model generates in
    free mode, (M, T, V); eq. (12) of Schmidt & Hofmann 2018 estimates the probability of every word from them.

    Words may be of any length, but samples end at the longest of the data: a word that goes on is cut there. So a
    sample of that length has the probability of its symbols before the end, and shorter ones that which is scored.
    """

    def __init__(self, facts: Facts, name: str) -> None:
        super().__init__()
        check_emission(facts, ("categorical",), name)
        if facts.symbols < 2:
            raise Problem(f"expected a vocabulary with an end symbol and another for {name}, got {facts.symbols}")
        self.symbols, self.end, self.longest = facts.symbols, facts.symbols - 1, facts.max_length

    @property
    def proposals(self) -> int:
        """The number of draws of a state at each step of an importance sample."""
        return 1

    def length_log_prob(self, lengths: Tensor) -> Tensor:
        """0: the end symbol determines the length."""
        return torch.zeros(len(lengths), dtype=torch.float64, device=lengths.device)

    def trajectories(self, count: int, steps: int, generator: torch.Generator | None = None) -> Tensor:
        """log P(v | h_t) along generated sequences of states, (M, T, V), nats."""
        raise TypeError(f"Expected {type(self).__name__} to define trajectories(count, steps)")

    def entropies(
        self, count: int, draws: int, generator: torch.Generator | None = None
    ) -> tuple[Batch, dict[str, Tensor]]:
        """Words generated in free mode and entropies of the next symbol at each of their steps, (M, T) each, nats.

        ``expected`` is that of P(w_t | h_t); models whose states are random also have ``marginal``, that of its mean
        over ``draws`` of the noise (Schmidt & Hofmann 2018, eq. 14). Undefined after a word's end.
        """
        raise TypeError(f"Expected {type(self).__name__} to define entropies(count, draws)")

    def monitor(self) -> dict[str, float]:
        """Mean entropies over the steps of WATCHED words, with the same noise in every epoch (figure 2)."""
        batch, found = self.entropies(WATCHED, WATCHED_DRAWS, torch.Generator().manual_seed(0))
        return {f"entropy_{name}": value[batch.mask].mean().item() for name, value in found.items()}

    @torch.no_grad()
    def sample(
        self,
        count: int,
        *,
        lengths: Tensor | None = None,
        temperature: float = 1.0,
        mode: bool = False,
        generator: torch.Generator | None = None,
    ) -> Batch:
        """Words of at most the longest length of the data, where longer ones are cut; ``lengths`` is not supported."""
        if lengths is not None:
            raise Problem("expected no lengths for words, which end with their end symbol, got some; leave them out")
        return self._words(self._symbols(count, temperature, mode, generator))

    def _symbols(self, count: int, temperature: float, mode: bool, generator: torch.Generator | None) -> Tensor:
        """Symbols (B, longest) generated in free mode."""
        raise TypeError(f"Expected {type(self).__name__} to define _symbols(count)")

    def _words(self, symbols: Tensor) -> Batch:
        """Generated symbols (B, T) as words, up to the first end symbol; a word without one is cut there."""
        symbols[:, -1] = self.end
        lengths = (symbols == self.end).long().argmax(1) + 1
        x = symbols * step_mask(lengths, symbols.shape[1])
        return Batch(x, lengths, torch.arange(len(x), device=x.device))


class GruBaseline(WordModel):
    """P(w) = prod_t P(w_t | h_t), h_t = GRU(h_{t-1}, w_{t-1}), by teacher forcing (Schmidt & Hofmann 2018, section 5).

    Before the first symbol it reads a learned vector; its first state is learned.
    """

    exact = True

    def __init__(self, config: Config, facts: Facts) -> None:
        super().__init__(facts, "gru_baseline")
        self.config = config
        width = config.state
        self.embedding = nn.Embedding(facts.symbols, width)
        self.begin = nn.Parameter(torch.zeros(width))
        self.first = nn.Parameter(torch.zeros(width))
        self.gru = nn.GRU(width, width, batch_first=True)
        self.to_symbols = nn.Linear(width, facts.symbols)

    def _log_probs(self, x: Tensor) -> Tensor:
        """log P(v | w_<t), (B, T, V)."""
        begin = self.begin.expand(len(x), 1, -1)
        read = torch.cat([begin, self.embedding(x[:, :-1])], 1)
        states, _ = self.gru(read, self.first.expand(1, len(x), -1).contiguous())
        return wide(self.to_symbols(states)).log_softmax(-1)

    def objective(self, batch: Batch, samples: int) -> Terms:
        """nll = -log P(w), (B,), nats per word; ``samples`` is not used, the likelihood is exact."""
        steps = self._log_probs(batch.x).gather(-1, batch.x[..., None])[..., 0]
        return {"nll": -(steps * step_mask(batch.lengths, batch.x.shape[1])).sum(1)}

    def log_prob(self, batch: Batch) -> Tensor:
        """log P(w), (B,), nats: the chain rule."""
        return -self.objective(batch, 1)["nll"].double()

    def _free(self, count: int, steps: int, temperature: float, mode: bool, generator: torch.Generator | None):
        """Symbols (B, T) and log P(v | h_t) (B, T, V) in free mode: each input is the symbol drawn before.

        After an end symbol, never an input in training, a new word begins.
        """
        first, begin = self.first.expand(1, count, -1).contiguous(), self.begin.expand(count, 1, -1)
        state, read, drawn, given = first, begin, [], []
        for _ in range(steps):
            out, state = self.gru(read, state)
            log_p = wide(self.to_symbols(out[:, 0])).log_softmax(-1)
            drawn.append(draw_symbols(log_p, temperature, mode, generator))
            given.append(log_p)
            ended = (drawn[-1] == self.end)[:, None]
            read = torch.where(ended[..., None], begin, self.embedding(drawn[-1])[:, None])
            state = torch.where(ended, first, state)
        return torch.stack(drawn, 1), torch.stack(given, 1)

    @torch.no_grad()
    def trajectories(self, count: int, steps: int, generator: torch.Generator | None = None) -> Tensor:
        """log P(v | h_t) along states driven by its own symbols: the paper's sampled estimate of the baseline."""
        return self._free(count, steps, 1.0, False, generator)[1]

    @torch.no_grad()
    def entropies(
        self, count: int, draws: int, generator: torch.Generator | None = None
    ) -> tuple[Batch, dict[str, Tensor]]:
        """The entropy after each prefix; the states are not random, so there is no marginal."""
        symbols, log_p = self._free(count, self.longest, 1.0, False, generator)
        return self._words(symbols), {"expected": entropy(log_p)}

    def _symbols(self, count: int, temperature: float, mode: bool, generator: torch.Generator | None) -> Tensor:
        return self._free(count, self.longest, temperature, mode, generator)[0]


def entropy(log_p: Tensor) -> Tensor:
    """-sum_v p_v log p_v over the last axis, nats."""
    return -(log_p.exp() * log_p).sum(-1)


def gaps(branches: Tensor) -> tuple[Tensor, Tensor]:
    """Marginal and expected entropy of the next symbol, eq. (14), (N,) each, nats.

    From log P(w_t | F_g(h_{t-1}, xi)) for Q draws of xi, (N, Q, V). H_gap is their difference, at least 0.
    """
    return entropy(branches.logsumexp(1) - math.log(branches.shape[1])), entropy(branches).mean(1)
