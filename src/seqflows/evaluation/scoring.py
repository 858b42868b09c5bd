"""The input of each kind's scoring of one seed, a `Task`, and its output, `Records`."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from seqflows import files, metrics, paths
from seqflows.compute import Machine
from seqflows.errors import Problem

ERRORS = metrics.BELOW  # standard errors by which a model may fall below its source


def stream(key: paths.Key, seed: int, purpose: str) -> int:
    """A separate seed for each purpose, so that another export changes no other number."""
    return int.from_bytes(hashlib.sha256(f"{key.name}/{seed}/{purpose}".encode()).digest()[:6], "big")


@dataclass(frozen=True)
class Task:
    """A run's ``key``, one of its seeds, the model's number of ``parameters``, and the ``folder`` of its files."""

    key: paths.Key
    seed: int
    machine: Machine
    parameters: int
    folder: Path

    def stream(self, purpose: str) -> int:
        """The random stream of one purpose, as a seed."""
        return stream(self.key, self.seed, purpose)

    def generator(self, purpose: str) -> torch.Generator:
        """The same as a generator of torch."""
        return torch.Generator().manual_seed(self.stream(purpose))

    def __str__(self) -> str:
        return f"{self.key} seed {self.seed}"


class Records(list[dict[str, Any]]):
    """The metrics of one seed, in the order of metrics.json; most have the unit ``unit``."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self.unit = unit

    def add(
        self, metric: str, value: float, unit: str | None = None, samples: int = 0, error: float | None = None,
        over: int = 0,
    ) -> None:  # fmt: skip
        """Add one metric with its number of samples, standard error and number of sequences."""
        error = None if error is None else float(error)
        self.append(record(metric, float(value), error, unit or self.unit, samples, over))


def record(metric: str, value: float, error: float | None, unit: str, samples: int, sequences: int) -> dict[str, Any]:
    """Add one metric, the value unchanged."""
    names = ("metric", "value", "unit", "samples", "standard_error", "sequences")
    return dict(zip(names, (metric, value, unit, samples, error, sequences), strict=True))


def write_columns(path: Path, columns: Mapping[str, Iterable[Any] | None], count: int) -> None:
    """Write a csv file with columns of ``count`` numbers or words; None is an empty column."""
    filled = ([None] * count if values is None else values for values in columns.values())
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*filled, strict=True)]
    files.write_csv(path, rows, list(columns))


def check_excess(rows: list[Mapping[str, Any]], where: str) -> None:
    """Raise `Problem` if a model scores the test sequences significantly better than their source.

    The expectation of (model's NLL - source's NLL) is a Kullback-Leibler divergence, so the score
    is wrong if the mean is more than 3 standard errors below zero.
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
