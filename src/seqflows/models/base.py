"""The interface of a model for the training loop, the estimators and the tests.

Legend: B batch, K importance samples, T time, V symbols.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from seqflows.data.batching import Batch, Choices, Given
from seqflows.data.prepared import Facts
from seqflows.errors import Problem

Terms = dict[str, Tensor]


class Answered(NamedTuple):
    """log p of each of A answers, (B, A), nats, and the most probable first and last line given each, (B, A, 2)."""

    log_probs: Tensor
    spans: Tensor


class Model(nn.Module):
    """A generative model of sequences.

    - ``objective(batch, samples) -> Terms``: named terms of shape (B,), in nats per sequence, whose sum is to be
      minimised: ``reconstruction``, ``kl`` and ``length`` for latent models, ``nll`` and ``length`` for exact ones.
    - ``weighted_objective(batch, samples, kl_weight) -> Terms``: the same of latent models that can be trained on
      importance samples: ``nll``, minus the bound by all of them, and ``length``. A KL weight below 1 weighs
      log p(z) - log q(z | x) in each sample.
    - ``filtered_objective(batch, samples, kl_weight) -> Terms``: the same by a particle filter.
    - ``importance(batch, samples)`` if ``exact`` is false: the log importance weights log p(x, z_k, T) / q(z_k | x) of
      draws z_k of the posterior and log p(x | z_k, T), (B, K) each, nats; ``log_weights`` gives the former only.
    - ``log_prob(batch) -> (B,)`` if ``exact`` is true: log p(x, T), nats.
    - ``length_log_prob(lengths) -> (B,)``: log p(T), which both of the above contain.
    - ``start_from(tensors)``: take what the model has of another one, if its block ``reads``.
    - ``initialise(batch)``: set parameters from data before the first step of training.
    - ``sample(count, ...) -> Batch``: sequences from the distribution that the model scores, but that words end at the
      longest length: what the model gives to longer ones goes to their first symbols (`models.words`). For models of
      pairs instead ``write(given, beam)``: a text for each context; for models of choices ``choose(given)``.
    """

    exact: bool

    def start_from(self, state: Mapping[str, Tensor]) -> None:
        """Take what the model has of another, trained before, from that one's tensors, before its own training."""
        raise TypeError(f"Expected a model that has something of another, got {type(self).__name__}")

    free = False  # while the KL term has no weight yet, in training with epochs of that kind

    def restart(self, batch: Batch) -> bool:
        """Begin parts anew at the first batch for which the KL term has a weight; whether the optimiser does, too."""
        return False

    def initialise(self, batch: Batch) -> None:
        """Set parameters from the first batch before the first step; most models set none."""

    def objective(self, batch: Batch, samples: int) -> Terms:
        """Named terms of the loss, (B,) each, nats per sequence."""
        raise TypeError(f"Expected {type(self).__name__} to define objective(batch, samples)")

    def weighted_objective(self, batch: Batch, samples: int, kl_weight: float = 1.0) -> Terms:
        """Named terms of the importance-weighted bound, (B,) each, nats per sequence."""
        raise TypeError(f"Expected a model that is trained on importance samples, got {type(self).__name__}")

    def filtered_objective(self, batch: Batch, samples: int, kl_weight: float = 1.0) -> Terms:
        """Named terms of the bound of a particle filter, (B,) each, nats per sequence."""
        raise TypeError(f"Expected a model that is trained by a particle filter, got {type(self).__name__}")

    def log_weights(self, batch: Batch, samples: int) -> Tensor:
        """Importance log-weights (B, K), nats."""
        return self.importance(batch, samples)[0]

    def importance(self, batch: Batch, samples: int) -> tuple[Tensor, Tensor]:
        """Importance log-weights and the log-likelihoods within them, (B, K) each, nats."""
        raise TypeError(f"Expected a latent model, got {type(self).__name__}, which has an exact log_prob")

    def log_prob(self, batch: Batch) -> Tensor:
        """Exact log-probability (B,), nats."""
        raise TypeError(f"Expected an exact model, got {type(self).__name__}, which has log_weights")

    def groups(self) -> list[list[nn.Parameter]]:
        """The parameters in groups whose gradients are clipped apart; most models have one."""
        return [list(self.parameters())]

    def write(self, given: Given, beam: int) -> list[list[int]]:
        """The ids of a text for each context, without its end symbol, by a search of ``beam`` hypotheses."""
        raise TypeError(f"Expected {type(self).__name__} to define write(given, beam)")

    def choose(self, given: Choices) -> Answered:
        """The probability of each answer of some questions, and the lines that it is found in."""
        raise TypeError(f"Expected {type(self).__name__} to define choose(given)")

    def context_bits(self, given: Given) -> Tensor | None:
        """Bits per dimension of each context under the model's own density of it, (B,); None without one."""
        return None

    @property
    def flow_parameters(self) -> int:
        """The number of parameters of the flow in a model of pairs; 0 without one."""
        return 0

    def monitor(self) -> dict[str, float]:
        """Values of the model for the history after each epoch, beside its losses; empty for most models."""
        return {}

    def sample(
        self,
        count: int,
        *,
        lengths: Tensor | None = None,
        temperature: float = 1.0,
        mode: bool = False,
        generator: torch.Generator | None = None,
    ) -> Batch:
        """Draw sequences; ``mode`` takes the most likely observation.

        ``temperature`` scales the noise of flows and latents, also of states, and divides the logits of a model
        without any, which at 0 gives its likeliest symbols.
        """
        raise TypeError(f"Expected {type(self).__name__} to define sample(count)")


def check_samples(samples: int) -> None:
    """Raise `Problem` if an average over samples is asked for of none."""
    if samples < 1:
        raise Problem(f"expected at least one sample of a latent, got {samples}; raise samples")


def check_emission(facts: Facts, allowed: tuple[str, ...], model: str) -> None:
    """Raise `Problem` if a model is built for data of another kind."""
    if facts.emission not in allowed:
        raise Problem(f"expected data with {' or '.join(allowed)} emissions for {model}, got {facts.emission}")
