"""The optimisers, their checkpointed tensors, and the batches of a step.

The classes of torch.optim import torch's compiler when first instantiated, which costs more
than a whole tiny training; torch's functional Adam does not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.adam import adam

from seqflows.config.training import Training

MERGED_STEPS = 16384  # the largest padded size (sequences x time x samples) of a merged batch
MOMENTS = ("step", "exp_avg", "exp_avg_sq")


class Sgd:
    """p <- p - rate grad."""

    def __init__(self, parameters: Iterable[Tensor], rate: float) -> None:
        self.parameters, self.rate = list(parameters), rate

    def zero_grad(self) -> None:
        """Drop the gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Update every parameter that has a gradient."""
        moved = [parameter for parameter in self.parameters if parameter.grad is not None]
        torch._foreach_add_(moved, [parameter.grad for parameter in moved], alpha=-self.rate)

    def drop(self, rate: float) -> None:
        """Set a lower rate."""
        self.rate = rate

    def tensors(self) -> dict[str, Tensor]:
        """The state by ``<number of the parameter>.<name>``: empty."""
        return {}

    def restore(self, saved: Mapping[str, Tensor]) -> None:
        """Restore the state that `tensors` returned."""


class Adam(Sgd):
    """Adam (Kingma & Ba 2015) with its usual betas, in one fused kernel."""

    def __init__(self, parameters: Iterable[Tensor], rate: float) -> None:
        super().__init__(parameters, rate)
        self._state: dict[int, tuple[Tensor, Tensor, Tensor]] = {}

    @torch.no_grad()
    def step(self) -> None:
        """Update every parameter that has a gradient."""
        moved = [(n, parameter) for n, parameter in enumerate(self.parameters) if parameter.grad is not None]
        for n, parameter in moved:
            if n not in self._state:
                step = torch.zeros((), dtype=torch.float32, device=parameter.device)
                self._state[n] = (step, torch.zeros_like(parameter), torch.zeros_like(parameter))
        steps, means, squares = (list(part) for part in zip(*(self._state[n] for n, _ in moved), strict=True))
        adam(
            [parameter for _, parameter in moved],
            [parameter.grad for _, parameter in moved],
            means,
            squares,
            [],
            steps,
            fused=True,
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=self.rate,
            weight_decay=0.0,
            eps=1e-8,
            maximize=False,
        )

    def drop(self, rate: float) -> None:
        """Set a lower rate and reset the moments, as the released code does."""
        self.rate, self._state = rate, {}

    def tensors(self) -> dict[str, Tensor]:
        """The state by ``<number of the parameter>.<name>``."""
        return {
            f"{n}.{name}": value for n, state in self._state.items() for name, value in zip(MOMENTS, state, strict=True)
        }

    def restore(self, saved: Mapping[str, Tensor]) -> None:
        """Restore the state that `tensors` returned."""
        numbers = sorted({int(key.split(".")[0]) for key in saved})
        self._state = {
            n: tuple(saved[f"{n}.{name}"].to(self.parameters[n].device) for name in MOMENTS) for n in numbers
        }


def make(model: nn.Module, settings: Training) -> Sgd:
    """Build the optimiser of the settings over all of the model's parameters."""
    kind = Adam if settings.optimizer == "adam" else Sgd
    return kind(model.parameters(), settings.learning_rate)


def steps(batches: list[np.ndarray], lengths: np.ndarray, settings: Training) -> list[list[np.ndarray]]:
    """The batches of an epoch as optimiser steps of ``accumulate`` batches each.

    The batches of a step are merged into one larger batch if that is small and mostly not
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
