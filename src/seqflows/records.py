"""What a run left, as its stages wrote it or as ``keep`` has it beside the results, in one file a run.

``runs/<scale>/<run>`` has metrics.json, and each seed's train.json and history.csv. ``results/<scale>/runs/<run>.json``
has all of them, with a line for each metric, each seed's training and each column of its history.
"""

from __future__ import annotations

import contextlib
import csv
import io
from pathlib import Path
from typing import Any, NamedTuple

from seqflows import files, paths

LATER = ("train", "history")  # what a kept record has after the content of metrics.json
Row = dict[str, str]


class Trained(NamedTuple):
    """A seed's training: train.json, and the rows of history.csv as text."""

    seed: int
    record: dict[str, Any]
    history: list[Row]


def metrics(scale: str, run: str) -> dict[str, Any] | None:
    """The content of a run's metrics.json; None where the run was neither evaluated here nor kept."""
    if (path := paths.metrics(scale, run)).exists():
        return files.read_json(path)
    kept = _kept(scale, run)
    return kept and {name: value for name, value in kept.items() if name not in LATER}


def trained(scale: str, run: str) -> list[Trained]:
    """The trainings of a run's seeds, by number; none where it was neither trained here nor kept."""
    if (folder := paths.train(scale, run)).exists():
        return made(folder)
    kept = _kept(scale, run) or {}
    found = []
    for record in kept.get("train", []):
        columns = {part["column"]: part["values"] for part in kept["history"] if part["seed"] == record["seed"]}
        found.append(Trained(record["seed"], record, _rows(_text(columns))))
    return found


def made(folder: Path) -> list[Trained]:
    """The trainings in a folder of seeds, by number."""
    found = []
    for seed in seed_folders(folder):
        if (seed / "train.json").exists():
            history = seed / "history.csv"
            text = history.read_text(encoding="utf-8") if history.exists() else ""
            found.append(Trained(number(seed), files.read_json(seed / "train.json"), _rows(text)))
    return found


def keep(scale: str, run: str) -> None:
    """Write the kept record of a run that was trained and evaluated here."""
    seeds = made(paths.train(scale, run))
    history = [
        {"seed": seed.seed, "column": column, "values": [_value(row[column]) for row in seed.history]}
        for seed in seeds
        for column in (seed.history[0] if seed.history else ())
    ]
    content = {**files.read_json(paths.metrics(scale, run)), "train": [seed.record for seed in seeds]}
    files.write_lines(paths.record(scale, run), {**content, "history": history})


def seed_folders(folder: Path) -> list[Path]:
    """The folders seed-<n> below ``folder``, by number."""
    return sorted(folder.glob("seed-*"), key=number)


def number(folder: Path) -> int:
    """The n of a folder seed-<n>."""
    return int(folder.name.removeprefix("seed-"))


def _kept(scale: str, run: str) -> dict[str, Any] | None:
    path = paths.record(scale, run)
    return files.read_json(path) if path.exists() else None


def _rows(text: str) -> list[Row]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def _value(text: str) -> Any:
    """A field of history.csv as a number, where that is written as the field is; an empty one is None."""
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            if str(kind(text)) == text:
                return kind(text)
    return text or None


def _text(columns: dict[str, list[Any]]) -> str:
    """The history.csv whose columns these are."""
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return files.csv_text(rows, list(columns))
