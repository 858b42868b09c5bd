"""Scoring of flows of embedded text: bits per dimension and their lower bound, the floor.

Legend: N sequences, T time (fixed), D dimensions of a word vector, M = T D.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seqflows.compute import Machine, own_noise
from seqflows.config.evaluation import Language as Settings
from seqflows.data.batching import collate, order_by_length
from seqflows.data.prepared import Dataset, Split
from seqflows.errors import Problem
from seqflows.evaluation.likelihood import BATCH, ratio
from seqflows.evaluation.scoring import ERRORS, Records, Task, write_columns
from seqflows.flows import standard_normal_log_density
from seqflows.kinds import KINDS
from seqflows.models.language_flow import LanguageFlow
from seqflows.noise import BITS, floor

UNIT, NATS = KINDS["language"].unit, "nats/position"
PAST, PART = 4, 1 << 14  # words before, of a reference; positions at a time


def score(model: LanguageFlow, dataset: Dataset, settings: Settings, task: Task) -> Records:
    """Compute every metric of a trained model and write scores.csv.

    Raises:
        Problem: an estimate below the floor, the entropy of the noise, which no density can reach.
    """
    model.eval()
    bits, noise, plain = densities(model, dataset.test, settings.draws, task.machine, task.stream("score"))
    rows, count = Records(UNIT), len(bits)

    def add(metric: str, values: np.ndarray, unit: str | None = None, draws: int = settings.draws) -> None:
        value, error = ratio(values, np.ones(count))
        rows.add(metric, value, unit, draws, error, count)

    dim = model.vectors.shape[1]
    add("nll", bits)
    add("nll_above_floor", above_floor(bits, dim), NATS)
    add("nll_noiseless", plain, draws=0)
    # The released code scores without noise and divides by D log 2. It validates with one level; in training it adds
    # D log 2^6 to -log p.
    add("nll_code", (plain + BITS) * model.length, "bits/D", draws=0)
    add("nll_code_train", (plain + BITS) * model.length + BITS, "bits/D", draws=0)
    rows.add("floor", floor(), over=count)
    check_floor(rows, str(task))
    source = None
    if dataset.test.source_log_prob is not None:
        source = noise - dataset.test.source_log_prob / (model.dimensions * math.log(2))
        add("source", source)
        add("excess", (bits - source) * model.dimensions * math.log(2), "nats/sequence")
    for name, values in references(dataset).items():
        add(name, values, draws=0)
        add(f"{name}_above_floor", above_floor(values, dim), NATS, draws=0)
    rows.add("parameters", task.parameters, "1")
    columns = {"index": range(count), "length": [model.length] * count, "nll": bits.tolist()}  # bits per dimension
    columns |= {"length_nats": [0.0] * count, "source_nll": None if source is None else source.tolist()}
    write_columns(task.folder / "scores.csv", columns, count)
    return rows


@torch.no_grad()
def densities(
    model: LanguageFlow, split: Split, draws: int, machine: Machine, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bits per dimension (eq. (6)), (N,) each: x~ under the model, the noise under its own density, x under the model.

    The first two are means over ``draws`` draws; the second plus -log p(tokens) is the true source's value for x~. The
    third is of the word vectors without noise, which the released code scores. They are discrete, so that
    it has no lower bound: a Gaussian of the noise's deviation around each vector scores log2(e) / 2 = 0.72
    bits better there than with noise.
    """
    bits, noise, plain = (np.zeros(len(split)) for _ in range(3))

    def scored(x: Tensor) -> np.ndarray:
        with machine.autocast():
            found = model.log_density(x)
        return model.bits_per_dimension(found.double()).cpu().numpy()

    with own_noise(machine.device, seed):
        for indices in order_by_length(split, BATCH):
            batch = collate(split, indices).to(machine.device)
            plain[indices] = scored(model.vectors[batch.x])
            for _ in range(draws):
                x = model.embedded(batch.x)
                bits[indices] += scored(x) / draws
                u = (x - model.vectors[batch.x]).double() * 2.0**BITS
                log_density = standard_normal_log_density(u).sum((1, 2)) + model.dimensions * BITS * math.log(2)
                noise[indices] += model.bits_per_dimension(log_density).cpu().numpy() / draws
    if not np.isfinite(bits).all():
        place = int(np.flatnonzero(~np.isfinite(bits))[0])
        raise Problem(f"expected a finite density of every test sequence, got {bits[place]} for sequence {place}")
    return bits, noise, plain


def references(dataset: Dataset) -> dict[str, np.ndarray]:
    """Bits per dimension of the test sequences, (N,), under densities that nothing trains; exact in the noise.

    ``gaussian``: every word vector from one N(m, C + 2^-12 I), the training vectors' moments. ``linear``: see
    `linear`. ``unigram``: an upper bound for the mixture over the tokens of a position, -log p_t(w) of add-one-half
    counts plus the noise's entropy.
    """
    vectors = np.asarray(dataset.vectors, dtype=np.float64)
    (count, dim), length = vectors.shape, dataset.facts().max_length
    train, test = (split.symbols.reshape(-1, length) for split in (dataset.train, dataset.test))
    weights = np.bincount(train.ravel(), minlength=count) / train.size
    mean = weights @ vectors
    apart = vectors - mean
    covariance = (weights * apart.T) @ apart + 4.0**-BITS * np.eye(dim)
    precision = np.linalg.inv(covariance)
    distance = np.einsum("vd,de,ve->v", apart, precision, apart, optimize=True) + 4.0**-BITS * np.trace(precision)
    nats = 0.5 * (np.linalg.slogdet(2 * np.pi * covariance)[1] + distance)  # of each token's vector with noise
    surprise = np.empty(test.shape)
    for t in range(length):
        seen = np.bincount(train[:, t], minlength=count)[test[:, t]] + 0.5
        surprise[:, t] = np.log((len(train) + 0.5 * count) / seen)
    per_dimension = dim * math.log(2)
    return {
        "gaussian": nats[test].mean(1) / per_dimension - BITS,
        "linear": linear(apart, train, test) / (length * per_dimension) - BITS,
        "unigram": surprise.mean(1) / per_dimension + floor(),
    }


def linear(vectors: np.ndarray, train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Nats of the test sequences, (N,), under a Gaussian whose mean is linear in the words before.

    x~_t ~ N(W [u_t, 1], S), u_t the PAST noisy vectors before it; W by least squares and S the residuals' covariance
    on the training sequences, both of their expectations over the noise. A position with fewer words before it has its
    own W and S, all others share theirs. What other words say of a vector to a model that is affine in it.

    Args:
        vectors: (V, D), less their mean over the training words.
        train: tokens, (N, T).
        test: tokens, (N, T).
    """
    variance, (_, dim), length = 4.0**-BITS, vectors.shape, train.shape[1]
    nats = np.zeros(len(test))
    for first in range(min(PAST + 1, length)):
        places = range(first, length if first == PAST else first + 1)

        def parts(tokens: np.ndarray, first: int = first, places: range = places) -> Iterator[Any]:
            """Parts of the sequences: x and [u, 1], without noise."""
            for part in np.array_split(tokens, -(-tokens.size // PART)):
                before = [vectors[part[:, places.start - step : places.stop - step]] for step in range(1, first + 1)]
                u = np.concatenate([*before, np.ones((len(part), len(places), 1))], 2)
                yield vectors[part[:, places.start : places.stop]], u

        size, count = first * dim + 1, len(train) * len(places)
        moments, cross, own = np.zeros((size, size)), np.zeros((size, dim)), np.zeros((dim, dim))
        for x, u in parts(train):
            x, u = x.reshape(-1, dim), u.reshape(-1, size)
            moments, cross, own = moments + u.T @ u, cross + u.T @ x, own + x.T @ x
        moments[range(size - 1), range(size - 1)] += variance * count
        weights = np.linalg.solve(moments, cross)
        covariance = (own - weights.T @ cross) / count + variance * np.eye(dim)
        precision = np.linalg.inv(covariance)
        noise = variance * (np.trace(precision) + np.sum((weights[:-1] @ precision) * weights[:-1]))
        found = []
        for x, u in parts(test):
            apart = x - u @ weights
            found.append(np.einsum("ntd,de,nte->n", apart, precision, apart, optimize=True))
        constant = np.linalg.slogdet(2 * np.pi * covariance)[1] + noise
        nats += 0.5 * (np.concatenate(found) + len(places) * constant)
    return nats


def above_floor(bits: np.ndarray, dim: int) -> np.ndarray:
    """Bits per dimension as nats per position above the entropy of the noise: (bits - floor) D log 2.

    A model of words with h nats per word and noise around each word's vector has h here and floor + h / (D log 2) in
    eq. (6), where h is hidden by D, 50 or 300.
    """
    return (bits - floor()) * (dim * math.log(2))


def check_floor(rows: Sequence[Mapping[str, Any]], where: str) -> None:
    """Raise `Problem` if an estimate is significantly below the entropy of the noise."""
    found = {row["metric"]: row for row in rows}
    value, error = found["nll"]["value"], found["nll"]["standard_error"] or 0.0
    if value < found["floor"]["value"] - ERRORS * error:
        raise Problem(
            f"expected at least {found['floor']['value']:.4f} bits per dimension of {where}, the entropy of the noise "
            f"alone, got {value:.4f} with standard error {error:.4f}: the density is computed wrongly; find the "
            "mistake before using any number of this run"
        )
