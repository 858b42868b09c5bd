"""The content of a store for a scale, read from the files."""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from seqflows import files, kinds, params, paths, records

UNTIMED = ("train/seconds", "train/symbols_per_second")  # columns of history.csv that differ between equal trainings
GROUPS = ("train", "valid")  # of an epoch's numbers; others, such as the learning rate, are of training
FINAL, REPORTED, DIFFERENCE, VERDICT, UNIT = "final", "reported", "difference", "verdict", "unit"


class Data(NamedTuple):
    """A dataset as a run used it: its name, the sha256 of its arrays, and their folder."""

    name: str
    sha256: str
    folder: Path


class Weights(NamedTuple):
    """A trained model: its file, the sha256 of that, and the model's class."""

    path: Path
    sha256: str
    kind: str


class Judged(NamedTuple):
    """A cell of the audit: its table, the printed number, ours less that, and the verdict."""

    table: str
    reported: float
    difference: float | None
    verdict: str


@dataclass(frozen=True)
class Entry:
    """The content of one MLflow run.

    Attributes:
        curves: one dictionary per epoch, with its ``epoch``.
        metrics: final numbers, ``final/<metric>``, their units in the tags ``unit.<metric>``; where a paper prints the
            number also ``reported/<metric>`` and ``difference/<metric>``, with the tag ``verdict.<metric>``.
        artifacts: file -> folder in the run's artifacts.
        seconds: wall time, for the run's start and end.
        note: Markdown that the store shows with the run.
    """

    id: str
    params: dict[str, str]
    tags: dict[str, str]
    curves: tuple[dict[str, float], ...]
    metrics: dict[str, float]
    artifacts: dict[Path, str]
    seconds: float = 0.0
    note: str = ""
    data: Data | None = None
    model: Weights | None = None

    @property
    def digest(self) -> str:
        """The digest of everything that is logged."""
        contents = [[path.as_posix(), folder, files.sha256(path)] for path, folder in self.artifacts.items()]
        more = [self.note, self.data and [*self.data[:2], str(self.data.folder)], self.model and self.model.sha256]
        return files.digest([self.id, self.params, self.tags, self.curves, self.metrics, contents, *more])

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


class Shown(NamedTuple):
    """What a scale shows of a run: its tables, its audited cells by metric, and the texts that it wrote."""

    tables: list[str]
    cells: dict[str, Judged]
    texts: list[Path]


def entries(scale: str, found: params.Params | None = None) -> Iterator[Entry]:
    """The entries of a scale: each trained seed, then the tables and figures."""
    matrix = found or params.load()
    cells = judged(scale, matrix)
    for name in matrix.runs:
        tables = [table for table in matrix.tables if name in matrix.table_runs(table)]
        texts = [paths.text(scale, text) for text, entry in matrix.texts.items() if entry["run"] == name]
        metrics, shown = records.metrics(scale, name), Shown(tables, cells.get(name, {}), texts)
        for seed in records.trained(scale, name):
            yield seed_entry(scale, name, seed, metrics, matrix, shown)
    ends = (".csv", ".md", ".png", ".svg")
    results = sorted(path for path in paths.results(scale).glob("*") if path.suffix in ends)
    if results:
        tags = {"scale": scale, "papers": " ".join(sorted({run["reproduces"] for run in matrix.runs.values()}))}
        yield Entry(f"{scale}/results", {}, tags, (), {}, {path: "" for path in results})


def judged(scale: str, matrix: params.Params) -> dict[str, dict[str, Judged]]:
    """The cells of audit.csv that a run makes: run -> metric -> the first that a table prints."""
    audit = paths.audit(scale)[0]
    found: dict[str, dict[str, Judged]] = {}
    if not audit.exists():
        return found
    with audit.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            cell = matrix.tables.get(row["table"], {}).get("rows", {}).get(row["row"], {}).get(row["column"])
            if cell and row["reported"]:
                run, _, metric = cell.partition(".")
                difference = float(row["difference"]) if row["difference"] else None
                one = Judged(row["table"], float(row["reported"]), difference, row["verdict"])
                found.setdefault(run, {}).setdefault(metric, one)
    return found


def seed_entry(
    scale: str, name: str, seed: records.Trained, evaluated: Mapping[str, Any] | None, matrix: params.Params,
    shown: Shown,
) -> Entry:  # fmt: skip
    """The entry of one seed of a run, from its training and the run's metrics, made here or kept."""
    train, every, block = seed.record, evaluated["metrics"] if evaluated else [], matrix.runs[name]
    scored = [record for record in every if record["seed"] == seed.seed and record["value"] is not None]
    tags = description(train) | {"paper": str(block["reproduces"]), "table": " ".join(shown.tables) or "none"}
    metrics, lines = {}, []
    for record in scored:
        metric, unit = metric_name(record["metric"]), str(record["unit"])
        metrics[f"{FINAL}/{metric}"] = float(record["value"])
        tags[f"{UNIT}.{metric}"] = unit
        line = f"- {record['metric']}: {record['value']:.6g} {unit}"
        if record.get("standard_error") is not None:
            metrics[f"{FINAL}/{metric}_standard_error"] = float(record["standard_error"])
            line += f" ± {record['standard_error']:.2g}"
        if cell := shown.cells.get(record["metric"]):
            metrics[f"{REPORTED}/{metric}"] = cell.reported
            tags[f"{VERDICT}.{metric}"] = cell.verdict
            line += f"; {cell.table} prints {cell.reported:g}: {cell.verdict}"
            if cell.difference is not None:
                metrics[f"{DIFFERENCE}/{metric}"] = cell.difference
        lines.append(line)
    folder, metrics_path = paths.seed(scale, name, seed.seed), paths.metrics(scale, name)
    artifacts = {folder / paths.RECORD: "train", folder / paths.HISTORY: "train"}
    if scored:
        artifacts[metrics_path] = ""
        evaluation = paths.evaluation(scale, name) / folder.name
        artifacts |= {path: "samples" for path in sorted(evaluation.glob("samples.*"))}
        if wrote := kinds.of(matrix.kind(name)).compared:
            artifacts[evaluation / wrote] = "texts"
    if seed.seed == min((record["seed"] for record in every), default=seed.seed):
        artifacts |= {path: "texts" for path in shown.texts}  # written by the first seed
    if not (folder.exists() and metrics_path.exists()):
        artifacts[paths.record(scale, name)] = ""
    data = Data(str(train["dataset"]), str(train["dataset_sha256"]), paths.prepared(scale, str(train["dataset"])))
    model, sha256 = folder / paths.MODEL, train.get("files", {}).get(paths.MODEL)
    settings = parameters(train)
    return Entry(
        id=f"{scale}/{name}/{seed.seed}",
        params=settings,
        tags=tags,
        curves=tuple(grouped(row) for row in seed.history),
        metrics=metrics,
        artifacts={path: place for path, place in artifacts.items() if path.exists()},
        seconds=float(train.get("wall_seconds") or 0.0),
        note="\n".join([f"`python -m seqflows train {scale}/{name}`, seed {seed.seed}", "", *lines]),
        data=data,
        model=Weights(model, str(sha256), settings.get("model.class", "")) if sha256 and model.exists() else None,
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


def grouped(row: Mapping[str, Any]) -> dict[str, float]:
    """The numeric fields of a row of history.csv, ``train/...`` and ``valid/...`` but for ``epoch``.

    >>> grouped({"epoch": "3", "valid_loss": "1.5", "learning_rate": "0.1", "note": "x"})
    {'epoch': 3.0, 'valid/loss': 1.5, 'train/learning_rate': 0.1}
    """
    found = {}
    for name, value in row.items():
        group, _, rest = name.partition("_")
        named = name if name == "epoch" else f"{group}/{rest}" if group in GROUPS else f"{GROUPS[0]}/{name}"
        with contextlib.suppress(TypeError, ValueError):
            found[named] = float(value)
    return found
