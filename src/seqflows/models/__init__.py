"""Generative models of sequences: densities that can be trained, scored and sampled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seqflows.config.models import MODELS, sizes
from seqflows.data.prepared import Facts
from seqflows.errors import Problem
from seqflows.models.base import Model, Terms
from seqflows.names import near


def build(block: Mapping[str, Any], facts: Facts) -> Model:
    """Build the model of a run's ``model`` block for data with these facts.

    Raises:
        Problem: unknown class, key or value, a model for other data, or sizes invalid for its flows.
    """
    name = block.get("class")
    if name not in MODELS:
        known = ", ".join(MODELS)
        raise Problem(f"expected a model class of {known}, got {name!r}{near(name, MODELS)}; correct params.yaml")
    row = MODELS[name]
    try:
        return row.load()(row.block.of(sizes(block), "model"), facts)
    except ValueError as error:  # raised by a flow
        raise Problem(f"{name}: {error}; correct the run's model block or its dataset's sizes") from None


__all__ = ["Model", "Terms", "build"]
