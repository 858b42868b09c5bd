"""Words by a hidden Markov model: the state-space model with a discrete state; this project's own.

Legend: B batch, T time with the end symbol, S states, V symbols with the end symbol, N prefixes of a length, M
trajectories.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seqflows.config.models import HiddenMarkov as Config
from seqflows.data.batching import Batch
from seqflows.data.prepared import Facts
from seqflows.flows import unrounded
from seqflows.models.base import Terms
from seqflows.models.networks import draw_symbols
from seqflows.models.words import WordModel, entropy

SPREAD = 0.5  # deviation of the first log-probabilities: enough to tell the states apart


class HiddenMarkov(WordModel):
    r"""P(w) = sum_h prod_t A(h_t | h_{t-1}) B(w_t | h_t) without feedback of symbols, as Schmidt & Hofmann 2018 ask.

    Its tables of log-probabilities, ``first`` (S,), ``transition`` (S, S) and ``emission`` (S, V), are the parameters
    themselves. The likelihood is exact, by the forward recursion over the distinct prefixes of a batch.

    `objective` takes the tables as they are: since nothing normalises them there, minus its gradient by them is the
    expected counts of what they are probabilities of, from which the optimiser ``em`` makes the next tables, which are
    normalised (Baum et al. 1970). Another optimiser leaves tables that are not, and the objective is then no
    likelihood. `log_prob` and all that draws normalise them first, so that they are of one distribution at any tables.

    Raises:
        ValueError: more states than the words have symbols; `seqflows.models.build` raises it as a Problem.
    """

    exact = True

    def __init__(self, config: Config, facts: Facts) -> None:
        super().__init__(facts, "hidden_markov")
        self.config = config
        most = sum(length * count for length, count in enumerate(facts.length_counts))
        if config.states > most:
            raise ValueError(f"Expected at most {most} states, one a symbol of the words, got {config.states}")
        shapes = {"first": (), "transition": (config.states,), "emission": (config.states,)}
        for name, rows in shapes.items():
            width = facts.symbols if name == "emission" else config.states
            table = (SPREAD * torch.randn(*rows, width)).log_softmax(-1)
            self.register_parameter(name, nn.Parameter(table))

    def objective(self, batch: Batch, samples: int) -> Terms:
        """nll = -log P(w), (B,), nats per word, at normalised tables; ``samples`` is not used, the likelihood is exact.

        Its gradient by the tables is minus the expected counts, in which a normalisation would have a part.
        """
        return {"nll": self._nll(batch, self.first, self.transition, self.emission)}

    def _nll(self, batch: Batch, first: Tensor, transition: Tensor, emission: Tensor) -> Tensor:
        """-log P(w), (B,), nats, by tables of log-probabilities (S,), (S, S) and (S, V).

        Prefixes that words share are computed once: level by level, the states' probabilities given the prefix, (N, S).
        """
        transition, emission = transition.exp(), emission.exp().t()
        prefix = torch.zeros(len(batch.x), dtype=torch.int64, device=batch.x.device)  # of each word, on its level
        states, total = first.exp()[None], None
        nll = first.new_zeros(len(batch.x))
        for t in range(int(batch.lengths.max())):
            alive = batch.lengths > t
            keys, places = torch.unique(prefix[alive] * self.symbols + batch.x[alive, t], return_inverse=True)
            before, symbols = keys // self.symbols, keys % self.symbols
            with unrounded(states):
                ahead = states if t == 0 else states @ transition
            joint = ahead.index_select(0, before) * emission.index_select(0, symbols)
            mass = joint.sum(-1)  # P(w_t | w_<t)
            states, log_p = joint / mass[:, None], mass.log()
            total = log_p if total is None else total.index_select(0, before) + log_p
            prefix = prefix.masked_scatter(alive, places)
            ends = batch.lengths == t + 1
            nll = nll.masked_scatter(ends, -total.index_select(0, prefix[ends]))
        return nll

    def log_prob(self, batch: Batch) -> Tensor:
        """log P(w), (B,), nats, by the tables normalised, at which it is minus the objective."""
        tables = (table.log_softmax(-1) for table in (self.first, self.transition, self.emission))
        return -self._nll(batch, *tables).double()

    def _states(self, count: int, steps: int, generator: torch.Generator | None) -> Tensor:
        """Sequences of states drawn in free mode, (M, T)."""
        found = [draw_symbols(self.first.expand(count, -1), 1.0, False, generator)]
        for _ in range(steps - 1):
            found.append(draw_symbols(self.transition[found[-1]], 1.0, False, generator))
        return torch.stack(found, 1)

    @torch.no_grad()
    def trajectories(self, count: int, steps: int, generator: torch.Generator | None = None) -> Tensor:
        """log P(v | h_t) along sequences of states, (M, T, V), nats."""
        return self.emission.log_softmax(-1)[self._states(count, steps, generator)]

    @torch.no_grad()
    def entropies(
        self, count: int, draws: int, generator: torch.Generator | None = None
    ) -> tuple[Batch, dict[str, Tensor]]:
        """Marginal and expected entropy of every step, from the state before it, both exact: ``draws`` is not used."""
        states = self._states(count, self.longest, generator)
        emission = self.emission.log_softmax(-1)
        batch = self._words(draw_symbols(emission[states], 1.0, False, generator))
        onwards = torch.cat([self.first[None], self.transition]).softmax(-1)  # from the start, and from each state
        each = entropy(emission)
        found = {"marginal": entropy((onwards @ emission.exp()).log()), "expected": onwards @ each}
        before = torch.cat([torch.zeros_like(states[:, :1]), states[:, :-1] + 1], 1)[:, : batch.x.shape[1]]
        return batch, {name: values[before] * batch.mask for name, values in found.items()}

    def _symbols(self, count: int, temperature: float, mode: bool, generator: torch.Generator | None) -> Tensor:
        """``temperature`` divides the logits of the symbols, not those of the states, which ``mode`` draws, too."""
        return draw_symbols(self.emission[self._states(count, self.longest, generator)], temperature, mode, generator)
