"""From scores of sequences to metrics with units and standard errors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from seqflows.data.prepared import Dataset
from seqflows.errors import Problem
from seqflows.evaluation.likelihood import Scores, Settings, ratio

UNITS = {"text": "bpc", "music": "nats/step", "vectors": "nats"}
ERRORS = 3  # standard errors by which a model may fall below its source


class Records(list[dict[str, Any]]):
    """The metrics of one seed, in the order of metrics.json; most have the unit ``unit``."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self.unit = unit

    def add(
        self,
        metric: str,
        value: float,
        unit: str | None = None,
        samples: int = 0,
        error: float | None = None,
        over: int = 0,
    ) -> None:
        """One metric, with the number of samples, its standard error, and over how many sequences."""
        error = None if error is None else float(error)
        self.append(_record(metric, float(value), error, unit or self.unit, samples, over))


def denominators(dataset: Dataset, lengths: np.ndarray) -> np.ndarray:
    """What the sums are divided by, (N,): T + 1, the length being a symbol; 1 for vectors."""
    return np.ones(len(lengths)) if dataset.kind == "vectors" else lengths + 1.0


def _record(metric: str, value: float, error: float | None, unit: str, samples: int, sequences: int) -> dict[str, Any]:
    return {
        "metric": metric,
        "value": value,
        "unit": unit,
        "samples": samples,
        "standard_error": error,
        "sequences": sequences,
    }


def collect(scores: Scores, dataset: Dataset, settings: Settings, parameters: int) -> list[dict[str, Any]]:
    """Every metric of one seed; ``samples`` is 0 where nothing is sampled.

    Nats are divided by ln 2 for text. For vectors, whose length says nothing, -log p(T) is left out.
    """
    unit, counts = UNITS[dataset.kind], denominators(dataset, scores.lengths)
    scale = math.log(2) if dataset.kind == "text" else 1.0
    rows: list[dict[str, Any]] = []

    def add(metric: str, values: np.ndarray, samples: int, over: np.ndarray = counts) -> None:
        value, error = ratio(values / scale, over)
        rows.append(_record(metric, value, error, unit, samples, len(values)))

    k = settings.headline if scores.kl is not None else 0
    nll = _nll(scores, dataset)
    add("nll", nll, k)
    for count, values in scores.nll_at.items():
        add(f"nll@{count}", values, count)
    if scores.kl is not None:
        bound, drawn = scores.reconstruction + scores.kl + scores.length, settings.samples
        add("elbo", bound, drawn)
        add("reconstruction", scores.reconstruction + scores.length, drawn)
        add("reconstruction_pure", scores.reconstruction, drawn)
        add("kl", scores.kl, drawn)
        share, error = ratio(scores.kl, bound)
        rows.append(_record("kl_share", share, error, "1", drawn, len(nll)))
        mean, error = ratio(scores.ess, np.ones(len(nll)))
        rows.append(_record("ess", mean, error, "samples", settings.samples, len(nll)))
    if dataset.kind != "vectors":
        add("length", scores.length, 0)
    if dataset.kind == "music":
        add("nll_literature", scores.nll - scores.length, k, scores.lengths)
    rows.append(_record("parameters", parameters, None, "1", 0, len(nll)))
    return rows + _source(nll, dataset, counts, scale, unit, k)


def _nll(scores: Scores, dataset: Dataset) -> np.ndarray:
    return scores.nll - scores.length if dataset.kind == "vectors" else scores.nll


def _source(
    nll: np.ndarray, dataset: Dataset, counts: np.ndarray, scale: float, unit: str, samples: int
) -> list[dict[str, Any]]:
    """The true source's NLL and entropy, and how far the model lies above it, where it is embedded."""
    log_prob, entropy = dataset.test.source_log_prob, dataset.statistics.get("source_entropy")
    rows = []
    if log_prob is not None:
        value, error = ratio(-log_prob / scale, counts)
        rows.append(_record("source", value, error, unit, 0, len(nll)))
        value, error = ratio(nll + log_prob, np.ones(len(nll)))
        rows.append(_record("excess", value, error, "nats/sequence", samples, len(nll)))
    if entropy is not None:
        divisor = 1.0 if dataset.kind == "vectors" else entropy["mean_length_plus_one"]
        value = entropy["nats_per_sequence"] / divisor / scale
        rows.append(_record("source_entropy", value, None, unit, 0, len(nll)))
    return rows


def check_excess(rows: list[Mapping[str, Any]], where: str) -> None:
    """Stop when a model scores the test sequences better than their own source beyond chance.

    The mean of (model's NLL - source's NLL) is a Kullback-Leibler divergence in expectation, so
    `Problem` when it lies more than 3 standard errors below zero: the score is wrong.
    """
    for row in rows:
        error = row["standard_error"]
        if row["metric"] == "excess" and error is not None and row["value"] < -ERRORS * error:
            raise Problem(
                f"expected the NLL of {where} to be at least its source's, got a mean difference of "
                f"{row['value']:.4f} nats/sequence with standard error {error:.4f} over {row['sequences']} test "
                f"sequences ({row['value'] / error if error else -math.inf:.1f} standard errors): the likelihood "
                "or the source's is computed wrongly; find the mistake before using any number of this run"
            )
