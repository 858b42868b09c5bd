"""A mixture of the noise around words as a flow of embedded text: a model of words as a density of their vectors.

This project's own, beside the flows of Tang et al. 2021, table 4.

Legend: B batch, T time (fixed), D dimensions of a word vector, V tokens.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from seqflows.config.models import WordMixture as Config
from seqflows.data.batching import Batch
from seqflows.data.prepared import Facts
from seqflows.errors import Problem
from seqflows.flows import FixedLength, MixtureInTime, PointMixture, Reader, Size, close_pairs
from seqflows.models.language_flow import LanguageFlow
from seqflows.models.trigram import Trigram
from seqflows.noise import BITS

APART = 6  # deviations of the noise between two words, at least: at this distance one in 700 draws is the other's


class WordMixture(LanguageFlow):
    r"""p(x~) = prod_t sum_v p(v | w_{<t}) N(x~_t; E_v, 2^-12 I), w_t the word nearest to x~_t, as a flow.

    p(v | w_{<t}) is that of an LSTM, a Transformer or a frozen trigram of the training texts. Where no noise reaches
    another word's vector, the bits per dimension are the floor plus h / (D log 2) with the h nats a word of the model
    of words.

    Texts are encoded and decoded in float64: a word with probability p has a share p of the noise's first dimension,
    and float32 does not resolve rare ones.

    Raises:
        Problem: data of another kind, or without training texts for a trigram; ambiguous words, whose vectors coincide
            or are less than ``APART`` deviations apart.
        ValueError: sizes invalid for the flow; `seqflows.models.build` raises them as a Problem.
    """

    config: Config
    flow: MixtureInTime

    def _flow(self, facts: Facts) -> FixedLength:
        config, length = self.config, facts.max_length
        self._check_apart()
        mixture = PointMixture(self.vectors, 2.0**-BITS)
        if config.network == "trigram":
            if facts.texts is None:
                raise Problem(
                    "expected training texts for the trigram of word_mixture, got none; give them as Facts.texts, or "
                    "write its weights again with make weights"
                )
            return MixtureInTime(length, mixture, Trigram(facts.texts, len(self.vectors)))
        size = Size(config.width, config.inner, config.heads)
        reader = Reader(config.network, length, self.vectors, size, config.layers, config.dropout)
        return MixtureInTime(length, mixture, reader)

    def _check_apart(self) -> None:
        """Raise `Problem` if the noise takes one word for another."""
        if self.vectors.is_meta:
            return
        count, pairs = close_pairs(self.vectors, APART * 2.0**-BITS)
        if count:
            named = ", ".join(f"{one} and {other}" for one, other in pairs) + (", ..." if count > len(pairs) else "")
            raise Problem(
                f"expected words whose vectors are at least {APART} deviations of the noise, {APART * 2.0**-BITS:.3g}, "
                f"apart for word_mixture, got {count} pair{'s' * (count > 1)} of ambiguous ones: words {named} of the "
                "vocabulary; prepare the data with other vectors or without one word of each pair"
            )

    @property
    def coder(self) -> FixedLength:
        """The flow in float64."""
        return copy.deepcopy(self.flow).double()

    @property
    def causal(self) -> bool:
        """True."""
        return True

    def initialise(self, batch: Batch) -> None:
        """Do nothing: no part waits for data."""

    def log_density(self, x: Tensor) -> Tensor:
        """log p(x~), (B,), nats, without the noise of the flow."""
        return self.flow.log_density(x)

    @torch.no_grad()
    def encode(self, tokens: Tensor, noise: bool = True) -> Tensor:
        """As `LanguageFlow.encode`, float64."""
        return self.coder.forward((self.embedded(tokens) if noise else self.vectors[tokens]).double())[0]

    @torch.no_grad()
    def decode(self, eps: Tensor, beam: int = 0) -> Tensor:
        """Tokens (B, T) of noise (B, T, D), as `LanguageFlow.decode`."""
        return super().decode(eps.double(), beam)
