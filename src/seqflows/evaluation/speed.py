"""The stage ``speed``: generation time against length at batch size 1 (figure 7).

The models have a run's sizes and fresh weights: the time for a sequence of a given length does not depend on the
weights, so it can be measured on a machine without trained models.
"""

from __future__ import annotations

import time

import torch

from seqflows import compute, files, models, params, paths
from seqflows.data import prepared
from seqflows.errors import Problem

COLUMNS = ("speed", "run", "length", "repeat", "seconds", "device", "threads", "device_name", "revision")
WARM_UP = 2


def run(key: paths.Key, found: params.Params | None = None) -> None:
    """Time ``model.sample(1, lengths=[L])`` for each run's model and write the csv.

    Repeats go round all models and lengths, so that transient load affects all models equally.
    """
    matrix = found or params.load()
    block = matrix.speed(key.scale, key.name)
    machine = compute.prepare(matrix.compute(key.scale), key.scale, training=False)
    lengths, repeats = block["lengths"], block["repeats"]
    if not lengths or any(not isinstance(length, int) or length < 1 for length in lengths) or repeats < 1:
        raise Problem(
            f"expected speeds.{key.name} to have lengths and repeats of at least 1, got lengths {lengths} and "
            f"repeats {repeats}; change them in params.yaml"
        )
    built = {name: _build(matrix, key.scale, name, machine, max(lengths)) for name in block["runs"]}
    rows = []
    for repeat in range(-WARM_UP, repeats):
        for length in lengths:
            for name, model in built.items():
                torch.manual_seed(max(0, repeat))
                seconds = duration(model, length, machine)
                if repeat >= 0:
                    measured = (key.name, name, length, repeat, seconds, machine.device.type, machine.threads)
                    measured += (machine.name, files.revision())
                    rows.append(dict(zip(COLUMNS, measured, strict=True)))
    files.write_csv(paths.speed(key.scale, key.name), rows, COLUMNS)


def duration(model: models.Model, length: int, machine: compute.Machine) -> float:
    """Seconds for one sample of a given length, including the device's queue."""
    lengths = torch.tensor([length])
    if machine.cuda:
        torch.cuda.synchronize()
    started = time.perf_counter()
    with torch.no_grad():
        model.sample(1, lengths=lengths)
    if machine.cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - started


def _build(matrix: params.Params, scale: str, run: str, machine: compute.Machine, longest: int) -> models.Model:
    """Build the model of a run with the initial weights of its first seed."""
    block = matrix.run(scale, run)
    facts = prepared.of(matrix, scale, block["dataset"]).facts()
    if longest > facts.max_length:
        raise Problem(
            f"expected lengths of at most {facts.max_length}, which {block['dataset']} reaches, got {longest}; "
            "lower the lengths of this speed in params.yaml"
        )
    torch.manual_seed(block["seeds"][0])
    return models.build(block["model"], facts).to(machine.device).eval()
