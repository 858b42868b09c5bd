"""The optimiser, its tensors for a checkpoint, and how batches make a step."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from seqflows.training.settings import Settings

MERGED_STEPS = 16384  # the largest padded size (sequences x time x samples) of a merged batch


def make(model: nn.Module, settings: Settings, rate: float) -> torch.optim.Optimizer:
    """Adam or plain SGD over the model's parameters, fused into one kernel."""
    kind = torch.optim.Adam if settings.optimizer == "adam" else torch.optim.SGD
    return kind(model.parameters(), lr=rate, fused=True)


def drop(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set a lower rate and forget Adam's moments, as the released code does."""
    optimizer.state = defaultdict(dict)
    for group in optimizer.param_groups:
        group["lr"] = rate


def tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's tensors by ``<parameter>.<name>``."""
    state = optimizer.state_dict()["state"]
    return {f"{index}.{name}": value for index, entry in state.items() for name, value in entry.items()}


def restore(optimizer: torch.optim.Optimizer, saved: Mapping[str, Tensor]) -> None:
    """Put back what `tensors` gave."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in saved.items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def steps(batches: list[np.ndarray], lengths: np.ndarray, settings: Settings) -> list[list[np.ndarray]]:
    """The batches of an epoch as optimiser steps of ``accumulate`` batches each.

    The batches of a step are merged into one larger one where that is small and mostly not
    padding; either way the step's gradient is that of the mean over all its sequences.
    """
    made = []
    for start in range(0, len(batches), settings.accumulate):
        group = batches[start : start + settings.accumulate]
        if len(group) > 1:
            merged = np.concatenate(group)
            used = lengths[merged]
            padded = int(used.max()) * len(merged)
            if padded * settings.samples <= MERGED_STEPS and padded <= 2 * int(used.sum()):
                group = [merged]
        made.append(group)
    return made
