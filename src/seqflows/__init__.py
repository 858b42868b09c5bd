"""seqflows: normalizing flows for sequences, reproduced and audited."""

from typing import Any

__version__ = "0.1.0"


def load(name: str, seed: int | None = None, device: Any = "cpu") -> Any:
    """The trained model ``<scale>/<run>``, a `seqflows.trained.Trained`; of the first seed unless given."""
    from seqflows import trained  # which imports torch

    return trained.load(name, seed, device)
