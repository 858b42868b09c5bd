"""The files of a trained model, compared with its record and with what it would be trained on now."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seqflows import files, params, paths
from seqflows.data import filtered
from seqflows.errors import Problem
from seqflows.paths import MODEL, RECORD


def verified(
    key: paths.Key, block: Mapping[str, Any], seed: int, origin: Mapping[str, str]
) -> tuple[Path, dict[str, Any]]:
    """The file of the model of one seed of a run, and its train.json.

    ``block`` is the run's, ``origin`` that of its present data (`Dataset.origin`).

    Raises:
        Problem: a seed that was not trained, or with other parameters or on other data than the present ones, a record
            of another seed or run, or a file that differs from its checksum.
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
        wanted, got = (str(of.get(name, "none"))[:12] for of in (origin, record))
        if origin.get(name) != record.get(name):
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
    return folder / MODEL, record
