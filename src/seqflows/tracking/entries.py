"""The content of a store for a scale, read from the files."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqflows import files, params, paths, records

UNTIMED = ("seconds", "symbols_per_second")  # columns of history.csv that differ between equal trainings


@dataclass(frozen=True)
class Entry:
    """The content of one MLflow run.

    Attributes:
        curves: one dictionary per epoch, with its ``epoch``.
        metrics: final numbers, their units in the tags ``unit.<metric>``.
        artifacts: file -> folder in the run's artifacts.
        seconds: wall time, for the run's start and end.
    """

    id: str
    params: dict[str, str]
    tags: dict[str, str]
    curves: tuple[dict[str, float], ...]
    metrics: dict[str, float]
    artifacts: dict[Path, str]
    seconds: float = 0.0

    @property
    def digest(self) -> str:
        """The digest of everything that is logged."""
        contents = [[path.as_posix(), folder, files.sha256(path)] for path, folder in self.artifacts.items()]
        return files.digest([self.id, self.params, self.tags, self.curves, self.metrics, contents])

    def listing(self) -> dict[str, Any]:
        """The entry in track.json, a function of the results and not of the time."""
        epochs = [{name: value for name, value in row.items() if name not in UNTIMED} for row in self.curves]
        return {
            "id": self.id,
            "curves_sha256": files.digest(epochs),
            "epochs": len(self.curves),
            "params": len(self.params),
            "metrics": self.metrics,
            "artifacts": [path.as_posix() for path in self.artifacts],
        }


def entries(scale: str, found: params.Params | None = None) -> Iterator[Entry]:
    """The entries of a scale: each trained seed, then the tables and figures."""
    matrix = found or params.load()
    shown = {name: [table for table in matrix.tables if name in matrix.table_runs(table)] for name in matrix.runs}
    for name in matrix.runs:
        metrics = records.metrics(scale, name)
        for seed in records.trained(scale, name):
            yield seed_entry(scale, name, seed, metrics, shown[name], matrix.runs[name])
    kinds = (".csv", ".md", ".png", ".svg")
    results = sorted(path for path in paths.results(scale).glob("*") if path.suffix in kinds)
    if results:
        tags = {"scale": scale, "papers": " ".join(sorted({run["reproduces"] for run in matrix.runs.values()}))}
        yield Entry(f"{scale}/results", {}, tags, (), {}, {path: "" for path in results})


def seed_entry(
    scale: str,
    name: str,
    seed: records.Trained,
    evaluated: Mapping[str, Any] | None,
    tables: list[str],
    block: Mapping[str, Any],
) -> Entry:
    """The entry of one seed of a run, from its training and the run's metrics, made here or kept."""
    train, every = seed.record, evaluated["metrics"] if evaluated else []
    scored = [record for record in every if record["seed"] == seed.seed and record["value"] is not None]
    tags = description(train) | {"paper": str(block["reproduces"]), "table": " ".join(tables) or "none"}
    metrics = {}
    for record in scored:
        metric = metric_name(record["metric"])
        metrics[metric] = float(record["value"])
        tags[f"unit.{metric}"] = str(record["unit"])
        if record.get("standard_error") is not None:
            metrics[f"{metric}_standard_error"] = float(record["standard_error"])
    folder, metrics_path = paths.seed(scale, name, seed.seed), paths.metrics(scale, name)
    artifacts = {folder / "train.json": "train", folder / "history.csv": "train"}
    if scored:
        artifacts[metrics_path] = ""
        samples = paths.evaluation(scale, name) / folder.name
        artifacts |= {path: "samples" for path in sorted(samples.glob("samples.*"))}
    if not (folder.exists() and metrics_path.exists()):
        artifacts[paths.record(scale, name)] = ""
    return Entry(
        id=f"{scale}/{name}/{seed.seed}",
        params=parameters(train),
        tags=tags,
        curves=tuple(numbers(row) for row in seed.history),
        metrics=metrics,
        artifacts={path: place for path, place in artifacts.items() if path.exists()},
        seconds=float(train.get("wall_seconds") or 0.0),
    )


def metric_name(name: str) -> str:
    """A metric's name valid in MLflow: ``nll@50`` becomes ``nll_K50``."""
    return name.replace("@", "_K")


def description(train: Mapping[str, Any]) -> dict[str, str]:
    """The tags that are known when a training begins."""
    names = ("scale", "dataset", "dataset_sha256", "revision", "config_hash", "device", "device_name", "precision")
    return {name: str(train[name]) for name in names if name in train} | {"run": str(train["run"])}


def parameters(train: Mapping[str, Any]) -> dict[str, str]:
    """The resolved configuration, flat: ``model.latent``, ``training.epochs``, ..."""
    flat: dict[str, str] = {"seed": str(train["seed"])}

    def walk(prefix: str, value: Any) -> None:
        if isinstance(value, Mapping):
            for name, part in value.items():
                walk(f"{prefix}.{name}" if prefix else str(name), part)
        else:
            flat[prefix] = str(value)[:500]

    walk("", train.get("config", {}))
    if "parameters" in train:
        flat["parameters"] = str(train["parameters"])
    return flat


def numbers(row: Mapping[str, Any]) -> dict[str, float]:
    """The numeric fields of a row of history.csv."""
    found = {}
    for name, value in row.items():
        with contextlib.suppress(TypeError, ValueError):
            found[name] = float(value)
    return found
