"""Core-minutes until a validation bound is reached, from learning curves and the cost of an epoch.

Nothing is trained here: ``curves.csv`` lists the curves (the authors' code's, ours) with their origin,
``epoch_costs.csv`` the cost of an epoch for each code. A curve is a history.csv: its ``valid_loss`` is what training
minimises, on the validation set. What a data set's rows are compared with is the code that curves.csv lists first for
it: the authors' code, or the best of a paper's models. The bounds are the best of its curve, and ten per cent above it.
The cost of an epoch includes training and validation.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from seqflows.errors import Problem

FOLDER = Path("results/benchmark")
QUALITY = (
    *("data", "bound", "code", "seeds", "reached", "epochs", "seconds_per_epoch", "core_minutes", "ratio"),
    *("best_bound", "origin"),
)
CURVES = ("data", "code", "seed", "curve", "origin")
COSTS = ("data", "code", "threads", "seconds_per_epoch", "training_seconds", "validation_seconds", "origin")
ABOVE = (0.0, 0.1)  # the best of the first curve, as a share of its size
NEVER = "-"


def run(folder: Path = FOLDER) -> list[dict[str, Any]]:
    """Write a row for each data set, bound and code, in the order of curves.csv."""
    curves, costs = read(folder / "curves.csv", CURVES), read(folder / "epoch_costs.csv", COSTS)
    rows = []
    for data in dict.fromkeys(curve["data"] for curve in curves):
        codes: dict[str, list[list[float]]] = {}
        origins: dict[str, str] = {}
        for curve in (curve for curve in curves if curve["data"] == data):
            codes.setdefault(curve["code"], []).append(losses(folder / curve["curve"]))
            origins.setdefault(curve["code"], curve["origin"])
        best = min(min(curve) for curve in next(iter(codes.values())))
        for above in ABOVE:
            bound = round(best + above * abs(best), 3)
            found = table(data, bound, codes, {code: cost(costs, data, code) for code in codes})
            rows += [row | {"origin": origins[row["code"]]} for row in found]
    for row in rows:
        print(
            f"  {row['data']}, {row['bound']:.3f}, {row['code']}: {row['reached']} of {row['seeds']} seeds, "
            f"{row['core_minutes']} core-minutes",
            flush=True,
        )
    return rows


def table(
    data: str, bound: float, codes: dict[str, list[list[float]]], costs: dict[str, float]
) -> list[dict[str, Any]]:
    """The rows of one bound.

    ``core_minutes`` is the mean over the seeds, if all of them reach it; ``ratio`` is to the first code's.
    """
    rows, minutes, first = [], {}, next(iter(codes))
    for code, curves in codes.items():
        found = [reached(curve, bound) for curve in curves]
        hits = [epochs for epochs in found if epochs is not None]
        if len(hits) == len(found):
            minutes[code] = sum(hits) / len(hits) * costs[code] / 60
        rows.append(
            {
                **{"data": data, "bound": bound, "code": code, "seeds": len(found), "reached": len(hits)},
                "epochs": " ".join(NEVER if epochs is None else str(epochs) for epochs in found),
                "seconds_per_epoch": costs[code],
                "core_minutes": round(minutes[code], 2) if code in minutes else NEVER,
                "best_bound": " ".join(f"{min(curve):.3f}" for curve in curves),
            }
        )
    for row in rows:
        known = row["code"] in minutes and first in minutes
        row["ratio"] = round(minutes[row["code"]] / minutes[first], 3) if known else NEVER
    return rows


def reached(curve: Iterable[float], bound: float) -> int | None:
    """The first epoch (from 1) whose validation bound is at most ``bound`` to three digits, or None.

    >>> reached([9.0, 8.5, 8.2674, 8.3], 8.267)
    3
    >>> reached([9.0], 8.267)
    """
    return next((epoch for epoch, value in enumerate(curve, 1) if round(value, 3) <= bound), None)


def losses(path: Path) -> list[float]:
    """The validation bounds of a history by epoch, from 1."""
    rows = read(path, ("epoch", "valid_loss"))
    epochs = [int(row["epoch"]) for row in rows]
    if epochs != list(range(1, len(rows) + 1)):
        raise Problem(f"expected the epochs 1 to {len(rows)} in {path}, got {epochs}; copy the whole history")
    return [float(row["valid_loss"]) for row in rows]


def cost(costs: list[dict[str, str]], data: str, code: str) -> float:
    """Seconds of an epoch times threads."""
    found = [row for row in costs if (row["data"], row["code"]) == (data, code)]
    if len(found) != 1:
        raise Problem(f"expected one row of epoch_costs.csv for {code} on {data}, found {len(found)}")
    return float(found[0]["seconds_per_epoch"]) * int(found[0]["threads"])


def read(path: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    """Read a csv that must have these columns and a row."""
    if not path.exists():
        raise Problem(f"expected {path}, found none; it is committed: run git checkout {path}")
    with open(path, encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        missing = set(columns) - set(reader.fieldnames or ())
        rows = list(reader)
    if missing or not rows:
        raise Problem(
            f"expected rows with {', '.join(columns)} in {path}, found no {', '.join(sorted(missing)) or 'row'}"
        )
    return rows
