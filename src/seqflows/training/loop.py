"""The stage ``train``: every seed of a run, one after another."""

from __future__ import annotations

import contextlib
import platform
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors.torch import load_file

from seqflows import compute, files, models, params, paths
from seqflows.config.training import Training
from seqflows.data import filtered, prepared
from seqflows.data.prepared import Dataset
from seqflows.errors import Interrupted, Problem
from seqflows.models import saved
from seqflows.paths import HISTORY, MODEL, RECORD
from seqflows.training import checkpoint
from seqflows.training.live import Guard, Tracker
from seqflows.training.progress import Progress
from seqflows.training.stopping import Stop
from seqflows.training.trainer import Trainer


def run(
    key: paths.Key, found: params.Params | None = None, *, restart: bool = False, tracker: Tracker | None = None
) -> None:
    """Train every seed and put ``runs/<scale>/<run>/train`` in place once all are done.

    Finished seeds of an interrupted training, or of one with fewer seeds, and the step of an unfinished
    one are taken from the checkpoints; ``restart`` deletes those first. Raises `Problem` for bad input and
    `Interrupted`, with a checkpoint written and no output, when asked to stop.
    """
    matrix = found or params.load()
    block = matrix.run(key.scale, key.name)
    settings = Training.of(block["training"], "training")
    machine = compute.prepare(matrix.compute(key.scale), key.scale, training=True)
    dataset = prepared.of(matrix, key.scale, block["dataset"])
    config = params.trained(block)
    others, augmented = begun(key, matrix, block), contexts(key, matrix, block, dataset)

    def place(seed: int) -> Path:
        data = dataset.origin() | ({"from_sha256": others[seed].sha256} if others else {})
        data |= augmented.origin(seed) if augmented else {}
        return paths.checkpoints(checkpoint.digest(key, seed, config, machine.how, files.digest(data)))

    folders = {seed: place(seed) for seed in block["seeds"]}
    if restart:
        for folder in folders.values():
            checkpoint.remove(folder)
    guard = Guard(tracker)
    try:
        with Stop() as stop:
            for seed, folder in folders.items():
                if checkpoint.finished(folder) is None:
                    other = others.get(seed)
                    for old in checkpoint.unfinished(key, seed, folder):
                        print(f"{key} seed {seed}: {old} is of other settings, data or code and not gone on with")
                    _train(key, block, settings, seed, dataset, machine, folder, stop, guard, other, augmented)
                else:
                    print(f"{key} seed {seed}: trained before, with the same settings, data and code", flush=True)
    finally:
        guard.close()
    others = _beside(key, block, dataset, folders) if key.name in matrix.narrow else []
    with files.replacing_folder(paths.train(key.scale, key.name)) as output:
        for seed, folder in folders.items():
            shutil.copytree(checkpoint.finished(folder), output / f"seed-{seed}")
        for folder in others:
            shutil.copytree(folder, output / folder.name)
    checkpoint.keep(key, folders)


def _beside(key: paths.Key, block: Mapping[str, Any], dataset: Dataset, asked: Collection[int]) -> list[Path]:
    """The trained seeds that were not asked for, of the present settings and data, perhaps by another device."""
    wanted = files.digest(params.trained(block)), dataset.origin()["dataset_sha256"]
    found = []
    for folder in sorted(paths.train(key.scale, key.name).glob("seed-*")):
        with contextlib.suppress(Problem, KeyError):
            record = files.read_sealed(folder / RECORD)
            if record["seed"] not in asked and (record["config_hash"], record["dataset_sha256"]) == wanted:
                found.append(folder)
    return found


class Begun(NamedTuple):
    """The trained model that a seed starts from: its file, and the sha256 that its record has."""

    path: Path
    sha256: str


def begun(key: paths.Key, matrix: params.Params, block: Mapping[str, Any]) -> dict[int, Begun]:
    """The model of the run ``from`` for each seed of a run, as `saved.verified` finds it; empty for a run without."""
    name = block.get("from")
    if name is None:
        return {}
    other, found = matrix.run(key.scale, name), {}
    origin = prepared.of(matrix, key.scale, other["dataset"]).origin()
    for seed in block["seeds"]:
        path, record = saved.verified(paths.Key(key.scale, name), other, seed, origin)
        found[seed] = Begun(path, record["files"][MODEL])
    return found


def contexts(
    key: paths.Key, matrix: params.Params, block: Mapping[str, Any], dataset: Dataset
) -> filtered.Augmentation | None:
    """The other contexts that a run is also trained with; None for a run without.

    Raises `Problem` for candidates of other data or models than the present ones, or a seed that has not judged.
    """
    name = block.get("augmented")
    if name is None:
        return None
    found = filtered.of(matrix, key.scale, name, dataset)
    if missing := [seed for seed in block["seeds"] if seed not in found.kept]:
        raise Problem(
            f"expected the candidates of {name} judged by each seed of {key}, got none by {missing}; "
            f"run: python -m seqflows filter {key.scale}/{name} --force"
        )
    return found


def _train(
    key: paths.Key,
    block: Mapping[str, Any],
    settings: Training,
    seed: int,
    dataset: Dataset,
    machine: compute.Machine,
    folder: Path,
    stop: Stop,
    guard: Guard,
    other: Begun | None = None,
    augmented: filtered.Augmentation | None = None,
) -> None:
    """Train one seed, from what the model has of another, and write its outputs to ``folder/finished``."""
    torch.manual_seed(seed)
    model = models.build(block["model"], dataset.facts())
    if other is not None:
        model.start_from(load_file(other.path))
    model = model.to(machine.device)
    checkpoint.claim(folder, key, seed)
    trainer = Trainer(model, dataset, settings, seed, machine, folder, augmented)
    resumed = trainer.resume()
    info = _info(key, block, seed, dataset, machine, model)
    if other is not None:
        info |= {"from": block["from"], "from_sha256": other.sha256}
    if settings.half is not None:
        info |= {"half": dataset.train.contexts.halved(settings.half)}
    if augmented is not None:
        info |= {"augmented": block["augmented"], **augmented.origin(seed)}
    guard.start({**info, "epochs": len(trainer.history)})
    progress = Progress(f"{key} seed {seed}", settings.most_epochs)
    text, how = "", "FAILED"
    try:
        if resumed:
            print(f"{key} seed {seed}: going on in epoch {trainer.epoch + 1} after {trainer.position} of its steps")
        trainer.run(progress, stop, guard.epoch)
        text = f"{trainer.epoch} epochs in {trainer.wall:.1f} s, the model of epoch {trainer.plateau.best_epoch} kept"
        how = "FINISHED"
    except Interrupted:
        how = "KILLED"
        raise
    finally:
        progress.close(text)
        guard.end(how)
    _finish(trainer, info, folder / checkpoint.FINISHED)


def _info(
    key: paths.Key,
    block: Mapping[str, Any],
    seed: int,
    dataset: Dataset,
    machine: compute.Machine,
    model: torch.nn.Module,
) -> dict[str, Any]:
    config = params.trained(block)
    return {
        "run": key.name,
        "scale": key.scale,
        "seed": seed,
        "config": config,
        "config_hash": files.digest(config),
        "dataset": block["dataset"],
        **dataset.origin(),
        "revision": files.revision(),
        "device": machine.device.type,
        "device_name": machine.name,
        "threads": machine.threads,
        "precision": machine.precision,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "versions": {"torch": torch.__version__, "numpy": np.__version__, "python": platform.python_version()},
    }


def _finish(trainer: Trainer, info: Mapping[str, Any], folder: Path) -> None:
    with files.replacing_folder(folder) as output:
        checkpoint.save_tensors(output / MODEL, trainer.model.state_dict())
        files.write_csv(output / HISTORY, trainer.history, list(trainer.history[-1]))
        record = {
            **info,
            "best_epoch": trainer.plateau.best_epoch,
            "epochs": trainer.epoch,
            "wall_seconds": trainer.wall,
            "files": {name: files.sha256(output / name) for name in (MODEL, HISTORY)},
        }
        files.write_json(output / RECORD, files.sealed(record))
