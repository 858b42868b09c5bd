"""Load and verify a trained model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file

from seqflows import files, models, params, paths
from seqflows.compute import Machine
from seqflows.data import filtered
from seqflows.data.prepared import Dataset
from seqflows.errors import Problem

MODEL, RECORD = "model.safetensors", "train.json"


def load(
    key: paths.Key, block: Mapping[str, Any], seed: int, dataset: Dataset, machine: Machine
) -> tuple[models.Model, dict[str, Any]]:
    """Load the model of one seed, ready to be scored, and its train.json.

    Raises `Problem` if the seed was not trained, was trained with other parameters or
    other data, or a file differs from its checksum.
    """
    folder = paths.seed(key.scale, key.name, seed)
    again = f"run python -m seqflows train {key} first"
    if not (folder / RECORD).exists() or not (folder / MODEL).exists():
        raise Problem(f"expected the trained model {folder / MODEL}, found none; {again}")
    record = files.read_sealed(folder / RECORD)
    if (record["run"], record["seed"]) != (key.name, seed):
        got = f"seed {record['seed']} of {record['run']}"
        raise Problem(f"expected seed {seed} of {key.name} in {folder / RECORD}, got {got}; {again}")
    wanted = files.digest(params.trained(block))
    if record.get("config_hash") != wanted:
        raise Problem(
            f"expected {folder} to be trained with the present parameters (config {wanted[:12]}...), "
            f"got config {str(record.get('config_hash'))[:12]}...; {again}"
        )
    for name, what in (("dataset_sha256", "prepared data"), ("features_sha256", "features")):
        wanted, got = (str(of.get(name, "none"))[:12] for of in (dataset.origin(), record))
        if dataset.origin().get(name) != record.get(name):
            raise Problem(
                f"expected {folder} to be trained on the {what} with sha256 {wanted}..., got {got}...; {again}"
            )
    name = block.get("augmented")
    for part, wanted in (filtered.present(key.scale, name, seed) if name else {}).items():
        if record.get(part) != wanted:
            raise Problem(
                f"expected {folder} to be trained with the present contexts of {name}, {part} {wanted[:12]}..., got "
                f"{str(record.get(part, 'none'))[:12]}...; {again}"
            )
    found = files.sha256(folder / MODEL)
    if found != record["files"][MODEL]:
        raise Problem(f"expected {folder / MODEL} with sha256 {record['files'][MODEL]}, got {found}; {again}")
    model = models.build(block["model"], dataset.facts())
    try:
        model.load_state_dict(load_file(folder / MODEL))
    except (SafetensorError, RuntimeError) as error:
        text = " ".join(str(error).split())
        raise Problem(f"expected {folder / MODEL} to hold the model's tensors, got: {text[:200]}; {again}") from None
    return model.to(machine.device).eval(), record
