"""A system's score as a record in the form of those of metrics.json."""

from __future__ import annotations

from typing import Any

from seqflows import files
from seqflows.comparison.systems import System


def record(one: System, metric: str, value: float, error: float | None, unit: str, count: int) -> dict[str, Any]:
    """The record of a score over ``count`` texts, with the run and how its texts were made."""
    numbers = {"metric": metric, "value": value, "unit": unit, "samples": 0, "standard_error": error}
    own = {**one.signature, "revision": files.revision(), "texts_sha256": one.sha256}
    return {"run": one.run, "seed": one.seed, **numbers, "sequences": count, **own}
