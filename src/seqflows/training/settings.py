"""The `training` block of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from typing import Any

from seqflows.errors import Problem
from seqflows.names import refuse_unknown

OPTIMIZERS = ("adam", "sgd")


@dataclass(frozen=True)
class Settings:
    """How a model is trained; an epoch is one pass over the training split, or ``drawn`` sequences by frequency."""

    epochs: int
    batch_size: int
    learning_rate: float
    optimizer: str = "adam"
    accumulate: int = 1  # batches a step
    clip: float | None = None  # the gradient's largest norm
    samples: int = 1  # posterior samples a sequence
    validation_samples: int = 1
    kl_free_epochs: float = 0  # epochs with KL weight 0
    kl_ramp_epochs: float = 0  # epochs in which it rises to 1
    kl_floor: float = 0.0  # the KL weight while it counts as 0
    decay: float = 4.0  # the rate is divided by it
    patience: int | None = None  # epochs without a better validation loss before it is; None: never
    drops: Sequence[float] | None = None  # shares of the epochs after which it is, whatever the losses
    cosine_from: float | None = None  # share of the epochs after which the rate falls to 0 by a cosine
    stop_rate: float | None = None  # stop once the rate has fallen below
    drawn: int | None = None  # sequences an epoch, where the training split counts them

    @classmethod
    def of(cls, block: Mapping[str, Any]) -> Settings:
        """Read the block; an unknown, missing or impossible entry is a `Problem`."""
        known = {field.name: field for field in fields(cls)}
        refuse_unknown("training", block, known)
        missing = [name for name, field in known.items() if field.default is MISSING and name not in block]
        if missing:
            raise Problem(f"expected training to say {', '.join(missing)}, found none; add it to params.yaml")
        settings = cls(**block)
        settings._check()
        return settings

    @property
    def drop_epochs(self) -> set[int]:
        """The epochs, from 1, after which ``drops`` divides the rate."""
        return {max(1, round(share * self.epochs)) for share in self.drops or ()}

    def _check(self) -> None:
        if self.optimizer not in OPTIMIZERS:
            raise Problem(f"expected training.optimizer to be one of {', '.join(OPTIMIZERS)}, got {self.optimizer!r}")
        for name in ("epochs", "batch_size", "accumulate", "samples", "validation_samples"):
            _need(name, getattr(self, name), "a whole number of at least 1", lambda v: isinstance(v, int) and v >= 1)
        for name in ("kl_free_epochs", "kl_ramp_epochs"):
            _need(name, getattr(self, name), "a number of at least 0", lambda v: v >= 0)
        _need("learning_rate", self.learning_rate, "a number above 0", lambda v: v > 0)
        _need("decay", self.decay, "a number above 1", lambda v: v > 1)
        if self.drops is not None and (not isinstance(self.drops, list) or self.drops != sorted(set(self.drops))):
            raise Problem(f"expected training.drops to be rising shares of the epochs, got {self.drops!r}")
        for share in self.drops or ():
            _need("drops", share, "shares of the epochs between 0 and 1", lambda v: 0 < v < 1)
        _need("kl_floor", self.kl_floor, "a number of at least 0 and below 1", lambda v: 0 <= v < 1)
        if self.cosine_from is not None:
            _need("cosine_from", self.cosine_from, "a number of at least 0 and below 1", lambda v: 0 <= v < 1)
        rules = [name for name in ("patience", "drops", "cosine_from") if getattr(self, name) is not None]
        if len(rules) > 1:
            raise Problem(f"expected one rule for the learning rate in training, got {' and '.join(rules)}; keep one")
        if self.clip is not None:
            _need("clip", self.clip, "a number above 0", lambda v: v > 0)
        if self.patience is not None:
            _need("patience", self.patience, "a whole number of at least 1", lambda v: isinstance(v, int) and v >= 1)
        if self.drawn is not None:
            enough = f"a whole number of at least batch_size ({self.batch_size})"
            _need("drawn", self.drawn, enough, lambda v: isinstance(v, int) and v >= self.batch_size)
        if self.stop_rate is not None:
            _need("stop_rate", self.stop_rate, "a number above 0", lambda v: v > 0)


def _need(name: str, value: Any, what: str, holds: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not holds(value):
        raise Problem(f"expected training.{name} to be {what}, got {value!r}; change it in params.yaml")
