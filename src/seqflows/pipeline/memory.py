"""The peak memory of training and evaluation, estimated from a model's numbers of parameters and of values at a step.

Training has 4 bytes for each parameter's value, gradient, moments of the optimiser and copy of the best epoch, and
beside these the largest of

    the values that one batch keeps for its gradient: 4 bytes x symbols x outputs,
    the values of a validation batch: the same without a gradient, of which a share is alive at a time,
    on a CPU a checkpoint on its way to the disk: two copies of what it saves.

Evaluation has the parameters and the values of its largest batch. ``outputs`` of a model are the rows of all its
matrices, the values that they give at one step; ``symbols`` are batch x (samples x T + S) at the longest T, with S
words of a context, which is read once for all samples. Beside this estimate a process has Python, torch and its
kernels (`PROCESS`), and the data.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from seqflows import kinds
from seqflows.config.training import Training
from seqflows.config.typed import Block
from seqflows.evaluation import importance, likelihood, trie
from seqflows.training import optimise, trainer

PROCESS = 0.3e9  # bytes
BYTES = 4
ALIVE = 0.25  # share of the outputs that are in memory together without a gradient: results/benchmark/memory.csv
MOMENTS = {"adam": 2, "sgd": 0, "em": 0}
ANSWERS = 5  # of a question with choices


class Size(NamedTuple):
    """The size of a model.

    ``multiplied`` are the weights of its matrices used at each step, 1 for a model without any, ``outputs`` the rows
    of these; an ``exact`` model is scored without samples.
    """

    multiplied: int
    parameters: int
    outputs: int
    exact: bool


def training(size: Size, settings: Training, sizes: Mapping[str, Any], host: bool) -> float:
    """Peak bytes of training one seed on data with these statistics; ``host``: checkpoints are in the same memory."""
    kept = 2 + MOMENTS[settings.optimizer] + (settings.momentum > 0)  # the value and the best epoch's, the moments
    if settings.average > 1:
        kept += settings.average  # of the epochs before, and of this one while the mean is in their place
    batch = settings.batch_size * _symbols(sizes, settings.samples)
    batch = max(batch, min(settings.accumulate * batch, optimise.MERGED_STEPS))
    once = _symbols(sizes, settings.validation_samples)
    validation = min(kinds.of(sizes["kind"]).validation_batch * once, max(once, trainer.VALIDATION_STEPS))
    values = max(batch, ALIVE * validation) * size.outputs
    checkpoint = 2 * kept * size.parameters if host else 0
    return BYTES * ((kept + 1) * size.parameters + max(values, checkpoint))


def evaluation(size: Size, settings: Block, sizes: Mapping[str, Any]) -> float:
    """Peak bytes of the evaluation of one seed."""
    words = kinds.of(sizes["kind"]).counted
    most = importance.AT_ONCE if words else getattr(settings, "chunk", math.inf)
    samples = 1 if size.exact else getattr(settings, "samples", 1)
    symbols = min(
        getattr(settings, "batch", likelihood.BATCH) * _symbols(sizes, samples), max(_symbols(sizes, 1), most)
    )
    values = ALIVE * symbols * size.outputs
    if words:  # of all prefixes of a level, and of the level before
        values = max(values, 2 * trie.AT_ONCE * sizes["types"])
    return BYTES * (size.parameters + values)


def _symbols(sizes: Mapping[str, Any], samples: int) -> float:
    """The symbols of some samples of the longest training sequence, with its context."""
    train = sizes["splits"]["train"]
    context = train.get("longest_passage", sizes.get("window", 0))
    if kinds.of(sizes["kind"]).emission == "chosen":  # every answer is read beside every line
        context = ANSWERS * train["mean_lines"] * (train["mean_line"] + train["mean_question"] + train["mean_answer"])
    return samples * train.get("longest", sizes["max_length"]) + context
