"""Schedules of the KL weight and the learning rate, and the choice of the kept model.

Ziegler & Rush 2019, Appendix D, and their released code: the KL weight is interpolated within
an epoch; only validation losses after the KL ramp lower the rate and choose the model. A score that
does not contain the KL weight, such as BLEU, counts in every epoch.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from seqflows.config.training import SCORED, Training


def kl_weight(epochs: float, free: float, ramp: float, floor: float = 0.0) -> float:
    """The KL weight after ``epochs`` passes (3.5 is the middle of the fourth).

    ``floor`` for ``free`` epochs, then linear to 1 over ``ramp`` epochs: floor + (1 - floor) s with
    s = min(1, max(0, (epochs - free) / ramp)). The released code's floor is 1e-5; Adam, invariant to the scale
    of a gradient, then trains the prior at nearly its full rate from the first step.

    >>> [kl_weight(epochs, 4, 10) for epochs in (0, 4, 9, 14, 20)]
    [0.0, 0.0, 0.5, 1.0, 1.0]
    >>> kl_weight(2, 4, 10, 1e-5), kl_weight(14, 4, 10, 1e-5)
    (1e-05, 1.0)
    >>> kl_weight(0, 0, 0)
    1.0
    """
    share = float(epochs >= free) if ramp <= 0 else min(1.0, max(0.0, (epochs - free) / ramp))
    return floor + (1 - floor) * share


def cosine(epochs: float, settings: Training) -> float:
    """The factor of the learning rate after ``epochs`` passes: 1 up to ``cosine_from`` of all, then falling to 0.

    With s the elapsed share of the epochs beyond that: (1 + cos(pi s)) / 2.
    """
    if settings.cosine_from is None:
        return 1.0
    share = (epochs / settings.epochs - settings.cosine_from) / (1 - settings.cosine_from)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, max(0.0, share))))


def warm(steps: int, settings: Training) -> float:
    """The factor of the learning rate of the step after ``steps`` others: log(steps + 1) / log(warmup), at most 1.

    That of Zhang & Bansal 2019's code, whose first step has the rate 0; here the first has that of the second. With
    ``rise`` it is (steps + 1) / rise, at most 1; with ``inverse_root`` it is that of `inverse_root`.

    >>> common = {"epochs": 1, "batch_size": 1, "learning_rate": 1.0}
    >>> [round(warm(steps, Training(**common, warmup=1000)), 3) for steps in (0, 1, 99, 999, 5000)]
    [0.1, 0.1, 0.667, 1.0, 1.0]
    >>> [warm(steps, Training(**common, rise=1000)) for steps in (0, 499, 999, 5000)]
    [0.001, 0.5, 1.0, 1.0]
    """
    if settings.rise is not None:
        return min(1.0, (steps + 1) / settings.rise)
    if settings.inverse_root is not None:
        return inverse_root(steps, settings.inverse_root)
    if settings.warmup is None:
        return 1.0
    return min(1.0, math.log(max(steps, 1) + 1) / math.log(settings.warmup))


def inverse_root(steps: int, rise: int) -> float:
    """The factor min(t / rise, sqrt(rise / t)) of step t = ``steps`` + 1 (Vaswani et al. 2017, eq. (3)).

    Its largest value, at t = rise, is 1.

    >>> [inverse_root(steps, 400) for steps in (0, 199, 399, 1599)]
    [0.0025, 0.5, 1.0, 0.5]
    """
    return min((steps + 1) / rise, (rise / (steps + 1)) ** 0.5)


@dataclass
class Plateau:
    """Learning rate and model choice, from one validation loss per epoch.

    An epoch counts if it was trained with KL weight 1 from its start, or if a score selects (`SCORED`). The rate is
    divided by ``decay`` after ``patience`` counted epochs in a row without a better loss or, if ``drops`` is given,
    after each share of the epochs that it lists, whatever the losses; `cosine` multiplies ``rate``.
    """

    rate: float
    best_loss: float | None = None
    best_epoch: int | None = None  # from 1
    waited: int = 0

    def update(self, settings: Training, epoch: int, loss: float) -> tuple[bool, bool]:
        """Take the validation loss of ``epoch`` (from 1), or the negative of a score that selects.

        Returns whether to keep its model, and whether the rate has dropped. Where the ramp has to be over, every
        epoch's model before that replaces the previous one, so that a training that ends there keeps its last.
        """
        counted = settings.keep in SCORED or epoch - 1 >= settings.kl_free_epochs + settings.kl_ramp_epochs
        better = not counted or self.best_loss is None or loss < self.best_loss
        if better:
            self.best_epoch = epoch
            self.best_loss = loss if counted else None
        self.waited = 0 if better else self.waited + 1
        dropped = epoch in settings.drop_epochs or (settings.patience is not None and self.waited >= settings.patience)
        if dropped:
            self.waited = 0
            self.rate /= settings.decay
        return better, dropped

    def finished(self, settings: Training) -> bool:
        """Whether the rate has fallen below ``stop_rate``."""
        return settings.stop_rate is not None and self.rate < settings.stop_rate

    def state(self) -> dict[str, Any]:
        """The state as JSON, for a checkpoint: ``Plateau(**state)`` restores it."""
        return asdict(self)
