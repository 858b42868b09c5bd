"""Generative models of sequences: densities that can be trained, scored and sampled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seqflows.data.prepared import Facts
from seqflows.errors import Problem
from seqflows.models import flow_density, language_flow, latent_sequence, recurrent_baseline, state_space, words
from seqflows.models.base import Model, Terms, configure

CLASSES = {
    "latent_sequence": (latent_sequence.LatentSequence, latent_sequence.Config),
    "recurrent_baseline": (recurrent_baseline.RecurrentBaseline, recurrent_baseline.Config),
    "flow_density": (flow_density.FlowDensity, flow_density.Config),
    "state_space": (state_space.StateSpace, state_space.Config),
    "gru_baseline": (words.GruBaseline, words.GruConfig),
    "language_flow": (language_flow.LanguageFlow, language_flow.Config),
    "recurrent_density": (language_flow.LanguageFlow, language_flow.RecurrentConfig),
}


def build(block: Mapping[str, Any], facts: Facts) -> Model:
    """The model that a run's ``model`` block names, for data of these facts.

    Raises:
        Problem: an unknown class, key or value, a model for other data, or sizes that its flows cannot have.
    """
    name = block.get("class")
    if name not in CLASSES:
        raise Problem(f"expected a model class of {', '.join(CLASSES)}, got {name!r}; mend the run's model block")
    model, config = CLASSES[name]
    chosen = configure(config, {key: value for key, value in block.items() if key != "class"})
    try:
        return model(chosen, facts)
    except ValueError as error:  # of a flow
        raise Problem(f"{name}: {error}; mend the run's model block or its dataset's sizes") from None


__all__ = ["CLASSES", "Model", "Terms", "build", "configure"]
