"""The stage ``evaluate``: score every seed of a run on the test split."""

from __future__ import annotations

import math
import shutil
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from seqflows import compute, files, kinds, params, paths, stages
from seqflows.config.evaluation import EVALUATIONS
from seqflows.data import prepared
from seqflows.data.prepared import Dataset
from seqflows.evaluation import loading, scoring
from seqflows.evaluation.scoring import Task
from seqflows.models import saved

SCORED, METRICS = "scored", "metrics.json"  # of a seed of an evaluation that is not over


def run(key: paths.Key, found: params.Params | None = None) -> None:
    """Write ``metrics.json``, ``evaluation/`` and ``summary.json``.

    A seed that an interrupted evaluation has scored is not scored again.

    Raises `Problem` if a model is missing or was trained with other params, or if it scores better
    than the source of its data beyond chance. Nothing is written then.
    """
    matrix = found or params.load()
    block = matrix.run(key.scale, key.name)
    machine = compute.prepare(matrix.compute(key.scale), key.scale, training=False)
    dataset = prepared.of(matrix, key.scale, block["dataset"])
    settings = EVALUATIONS[dataset.kind].of(block["evaluation"], "evaluation")
    rows: list[dict[str, Any]] = []
    scored: list[Path] = []  # folders of seeds that are done
    # Remove numbers and scores of an earlier model.
    for path in (paths.metrics, paths.summary):
        path(key.scale, key.name).unlink(missing_ok=True)
    shutil.rmtree(paths.evaluation(key.scale, key.name), ignore_errors=True)
    with files.replacing_folder(paths.evaluation(key.scale, key.name)) as output:
        for seed in block["seeds"]:
            rows += _kept(key, block, seed, dataset, settings, machine, output, scored)
    content = {
        "run": key.name,
        "scale": key.scale,
        "reproduces": block.get("reproduces"),
        "dataset": block["dataset"],
        "metrics": rows,
        "files": _checksums(paths.evaluation(key.scale, key.name)),
    }
    files.write_json(paths.metrics(key.scale, key.name), files.sealed(content))
    main = [row for row in rows if row["metric"] == kinds.of(dataset.kind).headline]
    for row in main:
        error = "" if row["standard_error"] is None else f" ± {row['standard_error']:.4f}"
        print(f"{key} seed {row['seed']}: {row['metric']} {row['value']:.4f}{error} {row['unit']}", flush=True)
    files.write_json(paths.summary(key.scale, key.name), summary(main))
    for folder in scored:
        shutil.rmtree(folder, ignore_errors=True)


def summary(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One number of a run, of all its seeds: what ``dvc metrics`` and ``dvc exp show`` print in a line.

    ``value`` is the mean over seeds, ``spread`` their standard deviation, and ``standard_error`` that over the test
    set of one seed (the root of the mean square).
    """
    first, values = rows[0], [row["value"] for row in rows]
    errors = [row["standard_error"] for row in rows if row["standard_error"] is not None]
    found = {"metric": first["metric"], "unit": first["unit"], "value": statistics.fmean(values)}
    if errors:
        found["standard_error"] = math.sqrt(statistics.fmean(error**2 for error in errors))
    if len(rows) > 1:
        found["spread"] = statistics.stdev(values)
    return {**found, "seeds": len(rows)}


def _checksums(folder: Path) -> dict[str, str]:
    """The sha256 of every file of the evaluation, which the report verifies before drawing."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): files.sha256(path) for path in found}


def _kept(
    key: paths.Key, block: Mapping[str, Any], seed: int, dataset: Dataset, settings: Any, machine: compute.Machine,
    output: Path, scored: list[Path],
) -> list[dict[str, Any]]:  # fmt: skip
    """`_seed`, or what it gave under the same settings, data, model and code before the stage was stopped.

    Adds the folder in which that lies to ``scored``; of a single seed it would be of no use.
    """
    if len(block["seeds"]) == 1:
        return _seed(key, block, seed, dataset, settings, machine, output)
    _, model = saved.verified(key, block, seed, dataset.origin())
    value = {"stage": "evaluate", "scale": key.scale, "key": key.name, "seed": seed, "config": params.scored(block)}
    value |= {"compute": machine.how, "data": dataset.origin(), "source": stages.TABLE["evaluate"].checksums()}
    value |= {"model": files.digest(model), "torch": torch.__version__}
    folder = paths.checkpoints(files.digest(value))
    scored.append(folder)
    made, place = folder / SCORED, output / f"seed-{seed}"
    if made.exists():
        print(f"{key} seed {seed}: scored before, with the same settings, data, model and code", flush=True)
        shutil.copytree(made / place.name, place)
        return files.read_sealed(made / METRICS)["metrics"]
    rows = _seed(key, block, seed, dataset, settings, machine, output)
    with files.replacing_folder(made) as part:
        shutil.copytree(place, part / place.name)
        files.write_json(part / METRICS, files.sealed({"metrics": rows}))
    return rows


def _seed(
    key: paths.Key, block: Mapping[str, Any], seed: int, dataset: Dataset, settings: Any, machine: compute.Machine,
    output: Path,
) -> list[dict[str, Any]]:  # fmt: skip
    """Score one seed, write its files and return its records."""
    started = time.monotonic()
    model, record = loading.load(key, block, seed, dataset, machine)
    task = Task(key, seed, machine, record["parameters"], output / f"seed-{seed}")
    task.folder.mkdir()
    rows = kinds.load(kinds.of(dataset.kind).evaluation).score(model, dataset, settings, task)
    scoring.check_excess(rows, str(task))
    signature = {
        "dataset": block["dataset"],
        **dataset.origin(),
        "revision": files.revision(),
        "train_revision": record["revision"],
        "config_hash": files.digest(params.scored(block)),
        "device": machine.device.type,
        "device_name": machine.name,
        "precision": machine.precision,
        "threads": machine.threads,
        "wall_seconds": round(time.monotonic() - started, 3),
    }
    return [{"seed": seed, **row, **signature} for row in rows]
