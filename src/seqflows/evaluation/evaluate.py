"""The stage ``evaluate``: every seed of a run scored on the test split."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from seqflows import compute, files, params, paths
from seqflows.data import prepared
from seqflows.data.prepared import Dataset
from seqflows.evaluation import exports, generation, language, loading, metrics, vocabulary
from seqflows.evaluation.likelihood import Scores, Settings, score
from seqflows.models import Model

COLUMNS = ("index", "length", "nll", "length_nats", "reconstruction", "kl", "ess", "source_nll")


SETTINGS = {"words": vocabulary.Settings, "language": language.Settings}
Some = Settings | vocabulary.Settings | language.Settings


def stream(key: paths.Key, seed: int, purpose: str) -> int:
    """A seed of its own for each purpose, so that one more export changes no other number."""
    return int.from_bytes(hashlib.sha256(f"{key.name}/{seed}/{purpose}".encode()).digest()[:6], "big")


def run(key: paths.Key, found: params.Params | None = None) -> None:
    """Write ``metrics.json`` and ``evaluation/``.

    Raises `Problem` when a model is missing or not the params' own, and when it scores better
    than the source of its data beyond chance; nothing is written then.
    """
    matrix = found or params.load()
    block = matrix.run(key.scale, key.name)
    machine = compute.prepare(matrix.compute(key.scale), key.scale, training=False)
    dataset = prepared.load(paths.prepared(key.scale, block["dataset"]))
    settings = SETTINGS.get(dataset.kind, Settings).of(block["evaluation"])
    records: list[dict[str, Any]] = []
    # No old numbers or scores beside a model that was trained since.
    paths.metrics(key.scale, key.name).unlink(missing_ok=True)
    shutil.rmtree(paths.evaluation(key.scale, key.name), ignore_errors=True)
    with files.replacing_folder(paths.evaluation(key.scale, key.name)) as output:
        for seed in block["seeds"]:
            records += _seed(key, block, seed, dataset, settings, machine, output, files.digest(params.scored(block)))
    content = {
        "run": key.name,
        "scale": key.scale,
        "reproduces": block.get("reproduces"),
        "dataset": block["dataset"],
        "metrics": records,
        "files": _checksums(paths.evaluation(key.scale, key.name)),
    }
    files.write_json(paths.metrics(key.scale, key.name), files.sealed(content))


def _checksums(folder: Path) -> dict[str, str]:
    """The sha256 of every file of the evaluation, which the report verifies before it draws from one."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): files.sha256(path) for path in found}


def _seed(
    key: paths.Key,
    block: Mapping[str, Any],
    seed: int,
    dataset: Dataset,
    settings: Some,
    machine: compute.Machine,
    output: Path,
    config_hash: str,
) -> list[dict[str, Any]]:
    """Score one seed, write its files, return its records."""
    started = time.monotonic()
    model, record = loading.load(key, block, seed, dataset, machine)
    folder = output / f"seed-{seed}"
    folder.mkdir()
    if isinstance(settings, vocabulary.Settings):
        purposes = ("trajectories", "importance", "samples", "entropies", "oracle")
        streams = {purpose: stream(key, seed, purpose) for purpose in purposes}
        rows = vocabulary.score(model, dataset, settings, machine, record["parameters"], streams, folder)
    elif isinstance(settings, language.Settings):
        own, where = stream(key, seed, "score"), f"{key} seed {seed}"
        rows = language.score(model, dataset, settings, machine, record["parameters"], own, folder, where)
    else:
        rows = _sequences(key, seed, model, dataset, settings, machine, record["parameters"], folder)
    metrics.check_excess(rows, f"{key} seed {seed}")
    signature = {
        "dataset": block["dataset"],
        "dataset_sha256": dataset.sha256,
        "revision": files.revision(),
        "train_revision": record["revision"],
        "config_hash": config_hash,
        "device": machine.device.type,
        "device_name": machine.name,
        "precision": machine.precision,
        "threads": machine.threads,
        "wall_seconds": round(time.monotonic() - started, 3),
    }
    headline = next(row for row in rows if row["metric"] in ("nll", "cross_entropy_test"))
    error = "" if headline["standard_error"] is None else f" ± {headline['standard_error']:.4f}"
    print(f"{key} seed {seed}: {headline['metric']} {headline['value']:.4f}{error} {headline['unit']}", flush=True)
    return [{"seed": seed, **row, **signature} for row in rows]


def _sequences(
    key: paths.Key, seed: int, model: Model, dataset: Dataset, settings: Settings, machine: compute.Machine,
    parameters: int, folder: Path,
) -> list[dict[str, Any]]:  # fmt: skip
    """Score the test sequences one by one, write them, samples and exports."""
    scores = score(model, dataset.test, settings, machine, stream(key, seed, "score"))
    _write_scores(folder / "scores.csv", scores, dataset)
    generation.write(folder, model, dataset, settings.generate, stream(key, seed, "samples"))
    exports.write(settings.exports, folder, model, dataset, key)
    return metrics.collect(scores, dataset, settings, parameters)


def _write_scores(path: Path, scores: Scores, dataset: Dataset) -> None:
    """scores.csv: a row a test sequence, in nats.

    ``nll`` includes ``length_nats`` = -log p(T), ``reconstruction`` does not.
    """
    source = dataset.test.source_log_prob
    columns: list[np.ndarray | None] = [
        np.arange(len(scores.lengths)),
        scores.lengths,
        scores.nll,
        scores.length,
        scores.reconstruction,
        scores.kl,
        scores.ess,
        None if source is None else -source,
    ]
    values = [[None] * len(scores.lengths) if column is None else column.tolist() for column in columns]
    rows = [dict(zip(COLUMNS, row, strict=True)) for row in zip(*values, strict=True)]
    files.write_csv(path, rows, COLUMNS)
