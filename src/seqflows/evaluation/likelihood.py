"""Likelihood estimates and their errors, in memory independent of the number of samples.

Legend: N sequences of a split, B of a batch, T time, K importance samples.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from seqflows.compute import Machine, own_noise
from seqflows.config.evaluation import Sequences as Settings
from seqflows.data.batching import Batch, collate, order_by_length
from seqflows.data.prepared import Split
from seqflows.errors import Problem
from seqflows.models import Model

BATCH = 64


@dataclass
class Scores:
    """Scores of each sequence of a split, (N,) each, in nats; None if undefined for a model."""

    lengths: np.ndarray
    length: np.ndarray  # -log p(T)
    nll: np.ndarray  # with -log p(T), at the headline's K
    nll_at: dict[int, np.ndarray] = field(default_factory=dict)
    reconstruction: np.ndarray | None = None
    kl: np.ndarray | None = None
    ess: np.ndarray | None = None


def pieces(split: Split, chunk: int, samples: int = 1) -> Iterator[tuple[np.ndarray, int]]:
    """Batches of at most ``chunk`` padded symbols (or one sequence), each with the number of samples that fit.

    A sequence whose samples fill a chunk is a batch of its own, without padding.
    """
    for indices in order_by_length(split, BATCH):
        longest = int(split.lengths[indices].max())
        width = max(1, chunk // (longest * samples))
        for start in range(0, len(indices), width):
            piece = indices[start : start + width]
            yield piece, max(1, chunk // (int(split.lengths[piece].max()) * len(piece)))


def blocks(total: int, size: int) -> Iterator[int]:
    """Sizes that add up to ``total``, none larger than ``size``."""
    for start in range(0, total, size):
        yield min(size, total - start)


def draw(model: Model, batch: Batch, samples: int, at_once: int) -> tuple[Tensor, Tensor]:
    """Log-weights log p(x, z_k, T) / q(z_k | x) and log p(x | z_k, T), (B, K) float64, ``at_once`` draws at a time."""
    parts = zip(*(model.importance(batch, count) for count in blocks(samples, at_once)), strict=True)
    log_weights, log_likelihood = (torch.cat([piece.double() for piece in part], 1) for part in parts)
    return log_weights, log_likelihood


def importance_nll(weights: Tensor | np.ndarray, samples: int) -> Tensor:
    """-log (1/k) sum_k w_k, (B,), the mean over the floor(K / k) disjoint groups of k = ``samples`` weights.

    ``weights`` are logarithms, (B, K), as `draw` or `seqflows.trained.Trained.log_weights` gives them. The mean over
    groups has the expectation of one group's estimate and less variance.

    >>> importance_nll(torch.log(torch.tensor([[1.0, 3.0]])), 2).exp()
    tensor([0.5000])
    """
    weights = torch.as_tensor(weights)
    groups = weights.shape[1] // samples
    grouped = weights[:, : groups * samples].reshape(len(weights), groups, samples)
    return -(grouped.logsumexp(-1) - math.log(samples)).mean(1)


def effective_samples(weights: Tensor | np.ndarray) -> Tensor:
    """(sum_k w_k)^2 / sum_k w_k^2 of each sequence, (B,), between 1 and K; ``weights`` as of `importance_nll`."""
    weights = torch.as_tensor(weights)
    return (2 * weights.logsumexp(1) - (2 * weights).logsumexp(1)).exp()


@torch.no_grad()
def score(model: Model, split: Split, settings: Settings, machine: Machine, seed: int) -> Scores:
    """Score every sequence of a split; a function of the model, the split, the settings and ``seed``.

    The caller's generators stay as they were.
    """
    model.eval()
    found: dict[str, np.ndarray] = {}

    def put(name: str, indices: np.ndarray, value: Tensor) -> None:
        found.setdefault(name, np.full(len(split), np.nan))[indices] = value.double().cpu().numpy()

    with own_noise(machine.device, seed):
        for indices, at_once in pieces(split, settings.chunk, 1 if model.exact else settings.samples):
            batch = collate(split, indices).to(machine.device)
            length = -model.length_log_prob(batch.lengths).double()
            put("length", indices, length)
            if model.exact:
                put("nll", indices, -model.log_prob(batch))
                continue
            weights, log_likelihood = draw(model, batch, settings.samples, at_once)
            put("nll", indices, importance_nll(weights, settings.headline))
            put("ess", indices, effective_samples(weights))
            for count in settings.at:
                put(f"nll@{count}", indices, importance_nll(weights, count))
            # -ELBO = -mean log w = reconstruction + KL - log p(T), over the same draws
            reconstruction = -log_likelihood.mean(1)
            put("reconstruction", indices, reconstruction)
            put("kl", indices, -weights.mean(1) - reconstruction - length)
    _check(found)
    at = {count: found.pop(f"nll@{count}") for count in settings.at if f"nll@{count}" in found}
    return Scores(lengths=split.lengths, nll_at=at, **found)


def _check(found: Mapping[str, np.ndarray]) -> None:
    for name, values in found.items():
        bad = np.flatnonzero(~np.isfinite(values))
        if len(bad):
            raise Problem(
                f"expected a finite {name} for every test sequence, got {values[bad[0]]} for {len(bad)} of "
                f"{len(values)}, the first being sequence {bad[0]}; train the model again"
            )


def ratio(values: np.ndarray, counts: np.ndarray) -> tuple[float, float | None]:
    """sum(values) / sum(counts) and its standard error over sequences, by the delta method.

    With R the ratio, SE^2 = N / (N - 1) sum_n (values_n - R counts_n)^2 / (sum_n counts_n)^2;
    None for a single sequence.
    """
    values, counts = np.asarray(values, np.float64), np.broadcast_to(np.asarray(counts, np.float64), values.shape)
    total = counts.sum()
    found = values.sum() / total
    if len(values) < 2:
        return float(found), None
    rest = values - found * counts
    return float(found), float(np.sqrt((rest**2).sum() * len(values) / (len(values) - 1)) / total)
