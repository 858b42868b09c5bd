"""Densities of embedded text (Tang et al. 2021, section 2): flows over sequences of noisy word vectors.

Legend: B batch, T time (fixed), D dimensions of a word vector, V tokens, M = T D.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from seqflows.config.models import LanguageFlow as Config
from seqflows.config.models import RecurrentDensity as Recurrent
from seqflows.data.batching import Batch
from seqflows.data.prepared import Facts
from seqflows.flows import (
    FixedLength,
    Size,
    initialise,
    multiscale,
    recurrent_affine,
    standard_normal_log_density,
    unidirectional,
)
from seqflows.models.base import Model, Terms, check_emission
from seqflows.models.search import beam_search
from seqflows.noise import BITS

ROWS = 128  # scores (., V) at once, 51 MB at V = 100 000; hypotheses, whose keys and values take up to 3 GB


def flow(config: Config | Recurrent, length: int, dim: int) -> FixedLength:
    """The flow over (T, D); layers of the Bi-LSTM density see the past and the future alternately."""
    if isinstance(config, Recurrent):
        return recurrent_affine(length, dim, config.width, config.layers)
    size = Size(config.width, config.inner, config.heads)
    if config.structure == "past":
        how = (config.hidden, config.steps, config.cell, config.mixing)
        return unidirectional(length, dim, config.network, size, *how)
    shape = (config.steps, config.scales, config.start, config.squeeze)
    return multiscale(length, dim, config.structure, config.network, size, *shape)


def noisy(x: Tensor) -> Tensor:
    """x~ = x + u, u ~ N(0, 2^-12) drawn at every call (eq. (7))."""
    return x + torch.randn_like(x) * 2.0**-BITS


def encoded(flow: FixedLength, x: Tensor) -> tuple[Tensor, Tensor]:
    """eps = f(x~) (B, T, D), and log p(x~) (B,), nats."""
    eps, log_det = flow.forward(x)
    return eps, standard_normal_log_density(eps).sum((1, 2)) + log_det


def bits_per_dimension(log_density: Tensor, dimensions: int) -> Tensor:
    """The loss of eq. (6) divided by M log 2, from log p(x~) in nats and M."""
    return -log_density / (dimensions * math.log(2)) - BITS


class LanguageFlow(Model):
    r"""A flow f over x~ = E[tokens] + u with u ~ N(0, 2^-12): log p(x~) = log N(f(x~); 0, I) + log |det df/dx~|.

    E are the frozen word vectors of the data; u is drawn at every call, also for padding (eq. (7)). The loss is in bits
    per dimension, (-log p(x~) - M log 2^6) / (M log 2) (eq. (6), appendix A.5).

    Raises:
        Problem: data of another kind.
        ValueError: sizes invalid for the flow; `seqflows.models.build` raises them as a Problem.
    """

    exact = True

    def __init__(self, config: Config | Recurrent, facts: Facts) -> None:
        super().__init__()
        check_emission(facts, ("embedded",), "language_flow")
        self.config, self.length = config, facts.max_length
        vectors = torch.as_tensor(facts.vectors, dtype=torch.float32)
        self.register_buffer("vectors", vectors, persistent=False)
        self.register_buffer("directions", F.normalize(vectors, dim=-1), persistent=False)
        self.flow = self._flow(facts)

    def _flow(self, facts: Facts) -> FixedLength:
        return flow(self.config, facts.max_length, self.vectors.shape[1])

    @property
    def coder(self) -> FixedLength:
        """The flow that encodes and decodes texts."""
        return self.flow

    @property
    def dimensions(self) -> int:
        """M = T D."""
        return self.length * self.vectors.shape[1]

    def length_log_prob(self, lengths: Tensor) -> Tensor:
        """0: every sequence has T steps."""
        return torch.zeros(len(lengths), dtype=torch.float64, device=lengths.device)

    def embedded(self, tokens: Tensor) -> Tensor:
        """x~ of tokens (B, T), with fresh noise, (B, T, D)."""
        return noisy(self.vectors[tokens])

    def log_density(self, x: Tensor) -> Tensor:
        """log p(x~), (B,), nats."""
        return encoded(self.flow, x)[1]

    def bits_per_dimension(self, log_density: Tensor) -> Tensor:
        """The loss of eq. (6) divided by M log 2, from log p(x~) in nats."""
        return bits_per_dimension(log_density, self.dimensions)

    def initialise(self, batch: Batch) -> None:
        """Set the actnorms from a batch."""
        initialise(self.flow, self.embedded(batch.x))

    def objective(self, batch: Batch, samples: int) -> Terms:
        """Bits per dimension, (B,); ``samples`` is not used: one draw of the noise."""
        return {"bits": self.bits_per_dimension(self.log_density(self.embedded(batch.x)))}

    def log_prob(self, batch: Batch) -> Tensor:
        """log p(x~) for one draw of the noise, (B,), nats."""
        return self.log_density(self.embedded(batch.x))

    def scores(self, x: Tensor) -> Tensor:
        """Cosine similarity of x (..., D) to each token's vector, (..., V)."""
        return F.normalize(x.to(self.directions.dtype), dim=-1) @ self.directions.T

    def tokens(self, x: Tensor) -> Tensor:
        """The most similar token of every step, (B, T, D) -> (B, T)."""
        best = [self.scores(part).argmax(-1) for part in x.flatten(0, 1).split(ROWS)]
        return torch.cat(best).view(x.shape[:2])

    @torch.no_grad()
    def encode(self, tokens: Tensor, noise: bool = True) -> Tensor:
        """eps = f(x~) of tokens (B, T), (B, T, D); without ``noise`` f(x), of the word vectors alone."""
        return self.coder.forward(self.embedded(tokens) if noise else self.vectors[tokens])[0]

    @torch.no_grad()
    def decode(self, eps: Tensor, beam: int = 0) -> Tensor:
        """Tokens (B, T) of noise (B, T, D): from the inverse, each step separately; with ``beam`` left to right.

        Left to right, each step is inverted given the vectors of the tokens chosen before it, and the ``beam``
        hypotheses with the largest sums of cosine similarities are kept (1: greedy). Needs a causal flow. All
        sequences are searched together, up to ``ROWS`` hypotheses at once.
        """
        if not beam:
            return self.tokens(self.coder.inverse(eps)[0])
        return torch.cat([self._searched(part, beam) for part in eps.split(max(1, ROWS // beam))])

    def _searched(self, eps: Tensor, beam: int) -> Tensor:
        """Tokens (B, T) of noise (B, T, D) by beam search with N hypotheses per sequence."""
        found = beam_search(_Inverting(self, eps), len(eps), beam, eps.shape[1])
        return found.candidates[torch.arange(len(eps), device=eps.device), found.totals.argmax(1)]

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
        """Tokens of noise N(0, temperature^2): left to right and greedy for a causal flow, else all at once.

        ``mode`` takes eps = 0; ``lengths`` are all T.
        """
        shape = (count, self.length, self.vectors.shape[1])
        eps = torch.randn(shape, dtype=self.vectors.dtype, generator=generator).to(self.vectors.device)
        eps = eps * (0.0 if mode else temperature)
        tokens = self.decode(eps, beam=int(self.causal))
        steps = torch.full((count,), self.length, dtype=torch.int64, device=tokens.device)
        return Batch(tokens, steps, torch.arange(count, device=tokens.device))

    @property
    def causal(self) -> bool:
        """Whether texts are decoded left to right: step t depends only on earlier steps, in both directions."""
        return isinstance(self.config, Config) and self.config.structure == "past"


class _Inverting:
    """A `search.Decoder` of a causal flow: a token's score is its similarity to the inverse of the next noise."""

    def __init__(self, model: LanguageFlow, eps: Tensor) -> None:
        self.model, self.stepper, self.left = model, model.coder.stepper(), list(eps.unbind(1))
        self.hypotheses = 1  # of each sequence

    def scores(self) -> Tensor:
        eps = self.left.pop(0).repeat_interleave(self.hypotheses, 0)
        return self.model.scores(self.stepper.inverse(eps))

    def select(self, places: Tensor) -> None:
        self.stepper.select(places)

    def advance(self, candidates: Tensor) -> None:
        if self.left:
            self.hypotheses = len(candidates) // len(self.left[0])
        self.stepper.advance(self.model.vectors[candidates])
