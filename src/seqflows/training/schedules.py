"""The KL weight, the learning rate, and which epoch's model is kept.

Ziegler & Rush 2019, Appendix D, and their released code: the KL weight is interpolated within
an epoch; the rate falls, and the model is chosen, by validation losses after the KL ramp alone.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from seqflows.training.settings import Settings


def kl_weight(epochs: float, free: float, ramp: float) -> float:
    """The KL weight after ``epochs`` passes (3.5 is the middle of the fourth).

    0 for ``free`` epochs, then linear to 1 over ``ramp`` epochs:
    min(1, max(0, (epochs - free) / ramp)).

    >>> [kl_weight(epochs, 4, 10) for epochs in (0, 4, 9, 14, 20)]
    [0.0, 0.0, 0.5, 1.0, 1.0]
    >>> kl_weight(0, 0, 0)
    1.0
    """
    if ramp <= 0:
        return 1.0 if epochs >= free else 0.0
    return min(1.0, max(0.0, (epochs - free) / ramp))


@dataclass
class Plateau:
    """Learning rate and model choice, from one validation loss an epoch.

    An epoch counts when it was trained with KL weight 1 from its start. The rate is divided by
    ``decay`` after ``patience`` counted epochs in a row without a better loss.
    """

    rate: float
    best_loss: float | None = None
    best_epoch: int | None = None  # from 1
    waited: int = 0

    def update(self, settings: Settings, epoch: int, loss: float) -> tuple[bool, bool]:
        """Take the validation loss of ``epoch`` (from 1).

        Returns whether its model is to be kept, and whether the rate has dropped. Before the ramp
        is over every epoch's model is kept in the place of the one before it, so that a training
        that ends there leaves its last.
        """
        if epoch - 1 < settings.kl_free_epochs + settings.kl_ramp_epochs:
            self.best_epoch = epoch
            return True, False
        if self.best_loss is None or loss < self.best_loss:
            self.best_loss, self.best_epoch, self.waited = loss, epoch, 0
            return True, False
        self.waited += 1
        if settings.patience is None or self.waited < settings.patience:
            return False, False
        self.waited = 0
        self.rate /= settings.decay
        return False, True

    def finished(self, settings: Settings) -> bool:
        """Whether the rate has fallen below ``stop_rate``."""
        return settings.stop_rate is not None and self.rate < settings.stop_rate

    def state(self) -> dict[str, Any]:
        """As JSON, for a checkpoint: ``Plateau(**state)`` reads it back."""
        return asdict(self)
