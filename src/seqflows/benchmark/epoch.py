"""The time of a training epoch of each corpus at the paper's size, with the real lengths.

Needs the data of scale paper (``python -m seqflows download paper/jsb``, then ``prepare paper/jsb``); a missing corpus
has no row. One thread, processor seconds (`measure.clock`), training steps without
validation. An epoch that would take longer than `WHOLE` seconds is estimated: steps are taken at even quantiles of
the padded symbols per step, and their seconds multiplied by the epoch's padded symbols over theirs (``extrapolated``).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from seqflows import compute, models, params, paths
from seqflows.benchmark.measure import clock
from seqflows.config.training import Training
from seqflows.data import prepared
from seqflows.data.batching import order
from seqflows.data.prepared import Dataset
from seqflows.training import optimise
from seqflows.training.trainer import Trainer

EPOCH = (
    *("dataset", "model", "threads", "sequences", "symbols", "samples", "steps", "steps_measured", "extrapolated"),
    *("seconds", "symbols_per_second"),
)
CORPORA = ("jsb", "piano", "nottingham", "musedata", "ptb")
MODELS = {"LSTM": "lstm", "AF/AF": "af_af", "AF/SCF": "af_scf", "IAF/SCF": "iaf_scf"}  # the runs' names
WHOLE = 50.0  # seconds; a longer epoch is estimated
SPENT = 15.0  # seconds for such an estimate
FEWEST = 4  # steps of an estimate


def run(
    corpora: Iterable[str] = CORPORA, chosen: Iterable[str] = tuple(MODELS), scale: str = "paper"
) -> list[dict[str, Any]]:
    """A row for each prepared corpus and each model."""
    torch.set_num_threads(1)
    matrix, rows = params.load(), []
    for name in corpora:
        folder = paths.prepared(scale, name)
        if not (folder / "checksums.json").exists():
            key = f"{scale}/{name}"
            print(
                f"  {name}: left out, expected its data in {folder}, found none; run python -m seqflows download "
                f"{key}, then python -m seqflows prepare {key}",
                flush=True,
            )
            continue
        dataset = prepared.load(folder)
        for model in chosen:
            rows.append(measure(model, matrix.run(scale, f"{name}-{MODELS[model]}"), dataset))
            row = rows[-1]
            how = f"from {row['steps_measured']} of {row['steps']} steps" if row["extrapolated"] == "yes" else "whole"
            print(f"  {name}, {model}: {row['seconds']:,.0f} s ({how})", flush=True)
    return rows


def measure(model: str, block: dict[str, Any], dataset: Dataset) -> dict[str, Any]:
    """The row of one run's block; the epoch is the first of seed 0."""
    settings = Training.of(block["training"], "training")
    machine = compute.Machine(torch.device("cpu"), "cpu", torch.get_num_threads(), "fp32")
    torch.manual_seed(0)
    built = models.build(block["model"], dataset.facts()).train()
    trainer = Trainer(built, dataset, settings, 0, machine, Path("checkpoints"))
    lengths = dataset.train.lengths
    groups = optimise.steps(order(dataset.train, settings.batch_size, 0, 0), lengths, settings)
    padded = np.array([sum(len(batch) * int(lengths[batch].max()) for batch in group) for group in groups])
    middle = int(np.argsort(padded, kind="stable")[len(padded) // 2])
    seconds_of(trainer, groups[middle])  # one-time allocations
    taken = planned(padded, seconds_of(trainer, groups[middle]) / padded[middle])
    seconds = sum(seconds_of(trainer, groups[index]) for index in taken) * padded.sum() / padded[taken].sum()
    symbols = int(lengths.sum())
    values = (dataset.name, model, machine.threads, len(lengths), symbols, settings.samples, len(groups), len(taken))
    values += ("no" if len(taken) == len(groups) else "yes", round(seconds, 1), round(symbols / seconds, 1))
    return dict(zip(EPOCH, values, strict=True))


def seconds_of(trainer: Trainer, group: list[np.ndarray]) -> float:
    """One optimiser step with KL weight 1."""
    started = clock()
    trainer.step(group, 1.0)
    return clock() - started


def planned(padded: np.ndarray, rate: float) -> np.ndarray:
    """The steps to measure, of an epoch whose steps have ``padded`` symbols of ``rate`` seconds each.

    All of them if that takes at most `WHOLE` seconds; else about as many as take `SPENT`, at least `FEWEST`, in the
    middles of equal shares of the steps by size.
    """
    whole = float(padded.sum()) * rate
    if whole <= WHOLE or len(padded) <= FEWEST:
        return np.arange(len(padded))
    count = min(len(padded), max(FEWEST, int(len(padded) * SPENT / whole)))
    middles = ((np.arange(count) + 0.5) * len(padded) / count).astype(int)
    return np.sort(np.argsort(padded, kind="stable")[middles])
