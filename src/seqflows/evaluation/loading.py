"""Load and verify a trained model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file

from seqflows import models, paths
from seqflows.compute import Machine
from seqflows.data.prepared import Dataset
from seqflows.errors import Problem
from seqflows.models import saved


def load(
    key: paths.Key, block: Mapping[str, Any], seed: int, dataset: Dataset, machine: Machine
) -> tuple[models.Model, dict[str, Any]]:
    """Load the model of one seed, ready to be scored, and its train.json.

    Raises `Problem` where `saved.verified` does, or for tensors that are not the model's.
    """
    path, record = saved.verified(key, block, seed, dataset.origin())
    model = models.build(block["model"], dataset.facts())
    try:
        model.load_state_dict(load_file(path))
    except (SafetensorError, RuntimeError) as error:
        again, text = f"run python -m seqflows train {key} first", " ".join(str(error).split())
        raise Problem(f"expected {path} to hold the model's tensors, got: {text[:200]}; {again}") from None
    return model.to(machine.device).eval(), record
