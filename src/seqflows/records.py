"""The records of runs, as written by the stages or kept beside the results by ``keep``.

``runs/<scale>/<run>`` has metrics.json, and each seed's train.json and history.csv. ``results/<scale>/runs/<run>.json``
has all of them, with a line for each metric, each seed's training and each column of its history; and ``scores``, for
the errors of differences between runs. ``runs/<scale>/compare/<table>`` and ``results/<scale>/compare/<table>`` have
the comparison of a table's runs. Records that were changed after writing, or that belong to another run, are rejected.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from seqflows import files, paths
from seqflows.errors import Problem

LATER = ("train", "history", "scores", "drawn")  # entries of a kept record after the content of metrics.json
GAIN = ("difference", "standard_error", "seeds_error", "p")  # numbers of a pair of runs in a comparison
COUNTS = ("parameters", "epochs", "best_epoch", "wall_seconds")  # numbers of train.json
AGAIN = "run its stage again"
Row = dict[str, str]


class Trained(NamedTuple):
    """A seed's training: train.json, and the rows of history.csv as text."""

    seed: int
    record: dict[str, Any]
    history: list[Row]


def here(scale: str, run: str) -> bool:
    """Whether a run was evaluated here; then its kept record is not used."""
    return paths.metrics(scale, run).exists()


def metrics(scale: str, run: str) -> dict[str, Any] | None:
    """The content of a run's metrics.json; None if it was neither evaluated here nor kept."""
    if here(scale, run):
        return _metrics(files.read_sealed(paths.metrics(scale, run)), scale, run, paths.metrics(scale, run))
    found = kept(scale, run)
    return found and {name: value for name, value in found.items() if name not in LATER}


def trained(scale: str, run: str) -> list[Trained]:
    """The trainings of a run by seed; empty if it was neither trained here nor kept."""
    if not (folder := paths.train(scale, run)).exists():
        return _trained(kept(scale, run) or {"train": []}, scale, run)
    found = []
    for seed in seed_folders(folder):
        if (path := seed / paths.RECORD).exists():
            history = seed / paths.HISTORY
            content = history.read_bytes() if history.exists() else b""
            found.append(_training(files.read_sealed(path), content, scale, run, number(seed), path))
    return found


def kept(scale: str, run: str) -> dict[str, Any] | None:
    """The kept record of a run, or None."""
    path = paths.record(scale, run)
    return _metrics(files.read_sealed(path), scale, run, path) if path.exists() else None


def wrote(scale: str, run: str, name: str) -> list[Path]:
    """A run's files ``name`` of texts or answers, one per scored seed, made here or kept.

    Empty if the run was not evaluated, or if it was elsewhere and a file of its kept record was not kept.
    """
    content = metrics(scale, run)
    if content is None:
        return []
    folder = paths.evaluation(scale, run) if here(scale, run) else paths.written(scale, run)
    found = [folder / f"seed-{seed}" / name for seed in sorted({one["seed"] for one in content["metrics"]})]
    return found if here(scale, run) or all(path.exists() for path in found) else []


def comparison(scale: str, table: str) -> dict[str, Any] | None:
    """The content of a table's comparison, made here or kept; None without one."""
    path = recorded(paths.compared(scale, table))
    if not path.exists():
        return None
    content = files.read_sealed(path)
    _place(content, {"scale": scale, "table": table}, path)
    try:
        for run in dict.fromkeys(record["run"] for record in content["metrics"]):
            _checked([record for record in content["metrics"] if record["run"] == run], path, AGAIN)
        for pair in content["pairs"]:
            where = f"of {pair['first']} and {pair['second']} in {pair['metric']}"
            for part in GAIN:
                _number(pair[part], f"{part} {where}", path, none=part == "seeds_error")
    except (KeyError, TypeError, AttributeError) as error:
        wanted = f"records of runs, and pairs with first, second, metric, {', '.join(GAIN)}"
        raise Problem(f"expected {wanted} in {path}, got none for {error}; {AGAIN}") from None
    return content


def raters_key(scale: str, table: str, sheet: str) -> dict[str, Any] | None:
    """The key of a sheet for raters, written here or kept; None without one."""
    path = recorded(paths.raters_key(scale, table, sheet))
    if not path.exists():
        return None
    content = files.read_sealed(path)
    _place(content, {"scale": scale, "table": table, "sheet": sheet}, path)
    return content


def recorded(path: Path) -> Path:
    """The path of a file below runs/<scale> or, if it was not made here, of the kept one."""
    kept = paths.kept(path)
    return kept if kept.exists() and not path.exists() else path


def made(scale: str, run: str, more: Mapping[str, Any]) -> dict[str, Any]:
    """The kept form of a run trained and evaluated here, with ``more`` from its evaluation."""
    seeds = trained(scale, run)
    history = [
        {"seed": seed.seed, "column": column, "values": [_value(row[column]) for row in seed.history]}
        for seed in seeds
        for column in (seed.history[0] if seed.history else ())
    ]
    return {**(metrics(scale, run) or {}), "train": [seed.record for seed in seeds], "history": history, **more}


def keep(scale: str, run: str, content: Mapping[str, Any]) -> None:
    """Write the kept record of a run."""
    _trained(content, scale, run)
    files.write_lines(paths.record(scale, run), files.sealed(dict(content)))


def seed_folders(folder: Path) -> list[Path]:
    """The folders seed-<n> below ``folder``, by number."""
    return sorted(folder.glob("seed-*"), key=number)


def number(folder: Path) -> int:
    """The n of a folder seed-<n>."""
    return int(folder.name.removeprefix("seed-"))


def _metrics(content: dict[str, Any], scale: str, run: str, path: Path) -> dict[str, Any]:
    """The content of metrics.json, checked to be the run's."""
    _place(content, {"scale": scale, "run": run}, path)
    _checked(content.get("metrics"), path)
    return content


def _checked(records: Any, path: Path, again: str = "evaluate it again") -> None:
    """Check the records of one run."""
    found: dict[tuple[int, str], Mapping[str, Any]] = {}
    try:
        for record in records:
            seed, metric, unit = record["seed"], record["metric"], record["unit"]
            where = f"{metric} of seed {seed}"
            if type(seed) is not int or not isinstance(unit, str) or (seed, metric) in found:
                raise Problem(f"expected one record of {where} in {path}, with a unit, got {record}; {again}")
            for part in ("value", "standard_error", "samples", "sequences"):
                if part == "value" or record.get(part) is not None:
                    _number(record[part], f"{part} of {where}", path, none=part == "value")
            found[seed, metric] = record
    except (KeyError, TypeError, AttributeError) as error:
        raise Problem(
            f"expected records with seed, metric, value and unit in {path}, got none for {error}; {again}"
        ) from None
    for (seed, metric), record in found.items():
        own = found.get((seed, f"nll@{record.get('samples')}"), record)
        if metric == "nll" and own["value"] != record["value"]:
            raise Problem(
                f"expected nll of seed {seed} in {path} to be its {own['metric']}, {own['value']}, "
                f"got {record['value']}; {again}"
            )


def _trained(content: Mapping[str, Any], scale: str, run: str) -> list[Trained]:
    """The trainings in a kept record, each history checked against the sha256 in its train.json."""
    found = []
    for record in content["train"]:
        columns = {part["column"]: part["values"] for part in content["history"] if part["seed"] == record["seed"]}
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        text, path = files.csv_text(rows, list(columns)), paths.record(scale, run)
        found.append(_training(record, text.encode(), scale, run, record["seed"], path))
    return found


def _training(record: dict[str, Any], history: bytes, scale: str, run: str, seed: int, path: Path) -> Trained:
    """One training, its train.json checked to be the seed's and its history.csv by sha256."""
    _place(record, {"scale": scale, "run": run, "seed": seed}, path)
    for name in COUNTS:
        if name in record:
            _number(record[name], name, path)
    found, wanted = hashlib.sha256(history).hexdigest(), (record.get("files") or {}).get(paths.HISTORY)
    if found != wanted:
        raise Problem(
            f"expected history.csv of seed {seed} with sha256 {wanted}, which {path} has of it, got {found}; "
            f"run: python -m seqflows train {scale}/{run}"
        )
    rows = list(csv.DictReader(io.StringIO(history.decode(), newline="")))
    for row in rows:
        for column, text in row.items():
            if isinstance(value := _value(text), float):
                _number(value, f"{column} of epoch {row.get('epoch')} of seed {seed}", path)
    return Trained(seed, record, rows)


def _place(content: Any, wanted: Mapping[str, Any], path: Path) -> None:
    """Check that a record is of the run, scale and seed of its path."""
    found = {name: content.get(name) if isinstance(content, dict) else None for name in wanted}
    if found != dict(wanted):
        said, got = (", ".join(f"{name} {value}" for name, value in side.items()) for side in (wanted, found))
        raise Problem(f"expected the record of {said} in {path}, got that of {got}; {AGAIN}")


def _number(value: Any, what: str, path: Path, none: bool = False) -> None:
    if (value is None and none) or (type(value) in (int, float) and math.isfinite(value)):
        return
    raise Problem(f"expected a finite number for {what} in {path}, got {value!r}; {AGAIN}")


def _value(text: str) -> Any:
    """A field of history.csv as a number, if it is written as such; None for an empty one."""
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            if str(kind(text)) == text:
                return kind(text)
    return text or None
