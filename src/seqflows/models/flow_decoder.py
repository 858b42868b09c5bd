r"""Language Flow+: a non-autoregressive flow whose noisy latents an LSTM reads, to write the text again.

Tang et al. 2021, sections 3.3 and 5.3 and appendix A.8. The decoder is that of question generation.

Legend: B batch, N hypotheses, T time (fixed), D dimensions of a word vector, V tokens, U units of the decoder.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seqflows.config.models import FlowDecoder as Config
from seqflows.data.batching import Batch
from seqflows.data.prepared import Facts
from seqflows.data.tokens import END, PAD, SPECIAL, START
from seqflows.flows import wide
from seqflows.models.base import Terms
from seqflows.models.encoder_decoder import AttentionDecoder, Memory, State
from seqflows.models.language_flow import ROWS, LanguageFlow, encoded
from seqflows.models.search import beam_search, chosen

PAD_ID, START_ID, END_ID = map(SPECIAL.index, (PAD, START, END))
SPREAD = 0.02  # deviation of the positions at the start


class FlowDecoder(LanguageFlow):
    r"""p(x | f(x~) + z_0) = prod_t p(x_t | x_<t, f(x~) + z_0) beside the flow's density, z_0 ~ N(0, variance I).

    The decoder attends to all T latents of the flow, each with a learned position, and its input is the vector of the
    word before with the position of the next. A word's logit is the product of the decoder's output with the unit
    vector of the word, so that every word can have the largest. It writes the tokens after ``<s>`` up to ``</s>``.

    The loss is the mean of -log p over a text's tokens, in nats, plus ``weight`` times the flow's bits per dimension;
    both move the flow. `log_prob` is the flow's density.

    Raises:
        Problem: data of another kind.
        ValueError: sizes invalid for the flow; `seqflows.models.build` raises them as a Problem.
    """

    def __init__(self, config: Config, facts: Facts) -> None:
        super().__init__(config, facts)
        dim = self.vectors.shape[1]
        never = torch.zeros(len(self.vectors)).index_fill(0, torch.tensor([PAD_ID, START_ID]), -torch.inf)
        self.register_buffer("never", never, persistent=False)
        self.latents = nn.Linear(dim, config.units)
        self.positions = nn.Parameter(SPREAD * torch.randn(facts.max_length, config.units))
        self.steps = nn.Parameter(SPREAD * torch.randn(facts.max_length, dim))
        self.decoder = AttentionDecoder(dim, config.units, config.units, config.layers, config.dropout)

    def noised(self, eps: Tensor, variance: float) -> Tensor:
        """The latents plus fresh noise z_0 ~ N(0, variance I), (B, T, D)."""
        return eps + variance**0.5 * torch.randn_like(eps)

    def memory(self, eps: Tensor) -> tuple[Memory, State]:
        """What the decoder reads of latents (B, T, D), and its state before the first word."""
        read = self.latents(eps) + self.positions
        mask = torch.ones(eps.shape[:2], dtype=torch.bool, device=eps.device)
        return Memory(read, self.decoder.match(read), mask), self.decoder.begin(read.mean(1))

    def logits(self, both: Tensor) -> Tensor:
        """The logits (..., V) of the next token."""
        return wide(self.decoder.output(both) @ self.directions.T)

    def log_tokens(self, tokens: Tensor, eps: Tensor) -> Tensor:
        """log p(x_t | x_<t, eps) of tokens (B, T) given latents (B, T, D), (B, T - 1), nats; 0 beyond ``</s>``."""
        mask = written(tokens)
        steps = int(mask.sum(1).max())
        memory, state = self.memory(eps)
        words = self.vectors[tokens[:, :steps]] + self.steps[:steps]
        both = []
        for word in words.unbind(1):
            state, _, joined = self.decoder.step(word[:, None], state, memory)
            both.append(joined)
        # Of the texts' own tokens alone: of all steps together the logits of V tokens would be twice as many.
        logits = self.logits(torch.cat(both, 1)[mask[:, :steps]])
        log_p = logits.log_softmax(-1).gather(-1, tokens[:, 1:][mask][:, None])[:, 0]
        return torch.zeros_like(mask, dtype=log_p.dtype).masked_scatter(mask, log_p)

    def objective(self, batch: Batch, samples: int) -> Terms:
        """``generation``, the mean of -log p over each text's tokens, and ``bits`` of the flow, (B,) each."""
        eps, log_density = encoded(self.flow, self.embedded(batch.x))
        log_p = self.log_tokens(batch.x, self.noised(eps, self.config.variance))
        return {
            "generation": -log_p.sum(1) / written(batch.x).sum(1),
            "bits": self.config.weight * self.bits_per_dimension(log_density),
        }

    def groups(self) -> list[list[nn.Parameter]]:
        """The flow's parameters, and the decoder's."""
        flow = list(self.flow.parameters())
        mine = {id(parameter) for parameter in flow}
        return [flow, [parameter for parameter in self.parameters() if id(parameter) not in mine]]

    @property
    def flow_parameters(self) -> int:
        """The number of the flow's parameters."""
        return sum(parameter.numel() for parameter in self.flow.parameters())

    @property
    def causal(self) -> bool:
        """True: the decoder writes left to right."""
        return True

    def _searched(self, eps: Tensor, beam: int) -> Tensor:
        """Tokens (B, T) that the decoder writes for latents (B, T, D) by a search of N hypotheses per sequence."""
        memory, state = self.memory(eps)
        found = beam_search(_Writing(self, memory, state), len(eps), beam, self.length - 1, END_ID)
        tokens = torch.full((len(eps), self.length), PAD_ID, device=eps.device)
        for row, text in zip(tokens, chosen(found, found.candidates), strict=True):
            whole = [START_ID, *text, END_ID][: self.length]
            row[: len(whole)] = torch.tensor(whole, device=eps.device)
        return tokens

    @torch.no_grad()
    def decode(self, eps: Tensor, beam: int = 1) -> Tensor:
        """Tokens (B, T) that the decoder writes for latents (B, T, D), by a search of ``beam`` hypotheses."""
        return torch.cat([self._searched(part, max(1, beam)) for part in eps.split(max(1, ROWS // max(1, beam)))])


def written(tokens: Tensor) -> Tensor:
    """(B, T - 1) bool: which tokens (B, T) after the first the decoder writes, those up to ``</s>``."""
    ends = (tokens[:, 1:] == END_ID).long()
    return ends.cumsum(1) == ends


class _Writing:
    """A `search.Decoder` of the tokens after ``<s>``."""

    def __init__(self, model: FlowDecoder, memory: Memory, state: State) -> None:
        self.model, self.memory, self.state, self.step = model, memory, state, 0
        self.tokens = torch.full((len(memory.mask), 1), START_ID, device=memory.mask.device)

    def scores(self) -> Tensor:
        model = self.model
        word = model.vectors[self.tokens] + model.steps[self.step]
        self.state, _, both = model.decoder.step(word, self.state, self.memory)
        return (model.logits(both).log_softmax(-1) + model.never).flatten(0, 1)

    def select(self, places: Tensor) -> None:
        self.state = self.state.selected(places)

    def advance(self, candidates: Tensor) -> None:
        self.tokens, self.step = candidates.view(len(self.memory.mask), -1), self.step + 1
