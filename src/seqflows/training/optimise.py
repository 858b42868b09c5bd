"""The optimisers, their checkpointed tensors, and the batches of a step.

The classes of torch.optim import torch's compiler when first instantiated, which costs more
than a whole tiny training; torch's functional Adam does not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.adam import adam

from seqflows.config.training import Training
from seqflows.errors import Problem

MERGED_STEPS = 16384  # the largest padded size (sequences x time x samples) of a merged batch
LEAST = 1e-9  # the smallest probability in a table that EM makes
MOMENTS = ("step", "exp_avg", "exp_avg_sq")


class Sgd:
    """v <- momentum v + grad, p <- p - rate v; without momentum v is the gradient.

    ``factors``, one for each parameter, multiply the rate; without them it is the same for all.
    """

    def __init__(
        self, parameters: Iterable[Tensor], rate: float, momentum: float = 0.0, factors: Sequence[float] | None = None
    ) -> None:
        self.parameters, self.rate, self.momentum = list(parameters), rate, momentum
        self.factors = [1.0] * len(self.parameters) if factors is None else list(factors)
        self._velocity: dict[int, Tensor] = {}

    def _moved(self) -> Iterator[tuple[float, list[int]]]:
        """The numbers of the parameters that have a gradient, by their factors of the rate."""
        for factor in dict.fromkeys(self.factors):
            found = [n for n, parameter in enumerate(self.parameters) if self.factors[n] == factor]
            if moved := [n for n in found if self.parameters[n].grad is not None]:
                yield factor, moved

    def zero_grad(self) -> None:
        """Drop the gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Update every parameter that has a gradient."""
        for factor, moved in self._moved():
            parameters = [self.parameters[n] for n in moved]
            directions = [parameter.grad for parameter in parameters]
            if self.momentum:
                for n, parameter in zip(moved, parameters, strict=True):
                    self._velocity.setdefault(n, torch.zeros_like(parameter))
                velocities = [self._velocity[n] for n in moved]
                torch._foreach_mul_(velocities, self.momentum)
                torch._foreach_add_(velocities, directions)
                directions = velocities
            torch._foreach_add_(parameters, directions, alpha=-self.rate * factor)

    def drop(self, rate: float) -> None:
        """Set a lower rate."""
        self.rate = rate

    def tensors(self) -> dict[str, Tensor]:
        """The state by ``<number of the parameter>.<name>``; empty without momentum."""
        return {f"{n}.velocity": value for n, value in self._velocity.items()}

    def restore(self, saved: Mapping[str, Tensor]) -> None:
        """Restore the state that `tensors` returned."""
        self._velocity = {int(key.split(".")[0]): value.to(self.parameters[0].device) for key, value in saved.items()}


class Adam(Sgd):
    """Adam (Kingma & Ba 2015) in one fused kernel."""

    def __init__(
        self, parameters: Iterable[Tensor], rate: float, beta1: float = 0.9, epsilon: float = 1e-8,
        beta2: float = 0.999, factors: Sequence[float] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(parameters, rate, factors=factors)
        self.beta1, self.beta2, self.epsilon = beta1, beta2, epsilon
        self._state: dict[int, tuple[Tensor, Tensor, Tensor]] = {}

    @torch.no_grad()
    def step(self) -> None:
        """Update every parameter that has a gradient."""
        for factor, moved in self._moved():
            parameters = [self.parameters[n] for n in moved]
            for n, parameter in zip(moved, parameters, strict=True):
                if n not in self._state:
                    step = torch.zeros((), dtype=torch.float32, device=parameter.device)
                    self._state[n] = (step, torch.zeros_like(parameter), torch.zeros_like(parameter))
            steps, means, squares = (list(part) for part in zip(*(self._state[n] for n in moved), strict=True))
            adam(
                parameters,
                [parameter.grad for parameter in parameters],
                means,
                squares,
                [],
                steps,
                fused=True,
                amsgrad=False,
                beta1=self.beta1,
                beta2=self.beta2,
                lr=self.rate * factor,
                weight_decay=0.0,
                eps=self.epsilon,
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


class Em(Sgd):
    r"""Expectation maximisation of tables of log-probabilities, by steps (Cappe & Moulines 2009, Liang & Klein 2009).

    s <- (1 - rate) s + rate n with the expected counts n of a step, minus the gradient by the tables, and
    p = log (s / sum s) over the last axis. The first step's counts are taken whole. Rate 1 and a step of all sequences
    is EM itself, which never lowers the likelihood.
    """

    def __init__(self, parameters: Iterable[Tensor], rate: float) -> None:
        super().__init__(parameters, rate)
        self._counts: dict[int, Tensor] = {}

    @torch.no_grad()
    def step(self) -> None:
        """Make every table anew from the counts so far; entries without any keep LEAST of a row's."""
        for n, parameter in enumerate(self.parameters):
            if parameter.grad is None:
                continue
            counts = (-parameter.grad).clamp(min=0)
            self._counts[n] = torch.lerp(self._counts[n], counts, self.rate) if n in self._counts else counts
            total = self._counts[n].sum(-1, keepdim=True)
            known = self._counts[n] / total.clamp(min=torch.finfo(total.dtype).tiny)
            parameter.copy_(torch.where(total > 0, known.clamp(min=LEAST).log().log_softmax(-1), parameter))

    def tensors(self) -> dict[str, Tensor]:
        """The counts by ``<number of the parameter>.counts``."""
        return {f"{n}.counts": value for n, value in self._counts.items()}

    def restore(self, saved: Mapping[str, Tensor]) -> None:
        """Restore the state that `tensors` returned."""
        self._counts = {int(key.split(".")[0]): value.to(self.parameters[0].device) for key, value in saved.items()}


def make(model: nn.Module, settings: Training) -> Sgd:
    """Build the optimiser of the settings over all of the model's parameters.

    Raises:
        Problem: another number of ``group_rates`` than the model has groups.
    """
    factors = _factors(model, settings)
    if settings.optimizer == "adam":
        rates = settings.beta1, settings.epsilon, settings.beta2
        return Adam(model.parameters(), settings.learning_rate, *rates, factors)
    if settings.optimizer == "em":
        return Em(model.parameters(), settings.learning_rate)
    return Sgd(model.parameters(), settings.learning_rate, settings.momentum, factors)


def _factors(model: nn.Module, settings: Training) -> list[float] | None:
    """The factor of each parameter's rate, that of its group."""
    if settings.group_rates is None:
        return None
    groups = model.groups()
    if len(groups) != len(settings.group_rates):
        raise Problem(
            f"expected training.group_rates for the {len(groups)} groups of {type(model).__name__}'s parameters, got "
            f"{len(settings.group_rates)}; correct params.yaml"
        )
    rates = zip(groups, settings.group_rates, strict=True)
    of = {id(parameter): rate / settings.learning_rate for group, rate in rates for parameter in group}
    return [of[id(parameter)] for parameter in model.parameters()]


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
