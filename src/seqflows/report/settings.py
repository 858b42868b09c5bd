"""The settings that a run's outcome depends on, from its record or params.yaml, and the defaults of its blocks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seqflows.config.checks import RUN_ALSO
from seqflows.config.corpora import SOURCES
from seqflows.config.models import MODELS, sizes
from seqflows.config.training import Training

# Entries of training that only some runs have; without one in a run's block it has no effect, or that of other entries.
REFINED = (
    "beta1", "beta2", "epsilon", "momentum", "warmup", "rise", "inverse_root", "keep", "decoded", "average",
    "group_rates",
    "replace", "bound", "half", "transpose", "full_steps", "full_gain",
)  # fmt: skip


def settings(matrix: Any, scale: str, run: str, made: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The settings of a run, without seeds and device, with defaults filled in.

    Those of training are from ``made``, the ``config`` of a train.json, if given: params.yaml may have changed since.
    """
    written = matrix.runs[run].get(scale) or {}
    if not written:
        return {}
    block, dataset = {**written, **(made or {})}, matrix.runs[run]["dataset"]
    found = corpus_settings(matrix.datasets[dataset], scale)
    if "layers" in (encoder := matrix.encoder(scale, dataset) or {}):
        found |= {"encoder": encoder["model"], "encoder_layers": encoder["layers"]}
    model, own = MODELS[block["model"]["class"]].block, sizes(block["model"])
    idle = model.filled(own).idle()
    found |= {name: value for name, value in (model.defaults() | own).items() if name not in idle}
    usual = {name: value for name, value in Training.defaults().items() if name not in REFINED}
    found |= usual | block["training"]
    also = matrix.runs[run] if made is None else made
    found |= {key: also[key] for key in RUN_ALSO if key in also}
    if "headline" in (block.get("evaluation") or {}):
        found["importance_samples"] = block["evaluation"]["headline"]
    if "beam" in (block.get("evaluation") or {}):
        found["beam"] = block["evaluation"]["beam"]
    precision = ((matrix.scales.get(scale) or {}).get("compute") or {}).get("precision")
    found |= {"precision": precision} if precision else {}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in found.items()}


def corpus_settings(entry: Mapping[str, Any], scale: str) -> dict[str, Any]:
    """The source of a dataset and its limits; for words filter and split, without the seed and a wider V."""
    block = entry.get(scale) or {}
    if entry.get("kind") != "words":
        limits = ("max_length", "train_sequences", "valid_sequences", "test_sequences")
        limits += ("length", "dimensions", "glove", "min_count", "vocabulary_size")  # of language
        limits += ("window", "question_length")  # of pairs; of spans the window
        limits += ("direction", "held_out")  # of translation
        return {name: block[name] for name in ("source", *limits) if name in block}
    filled = vars(SOURCES[block["source"]].filled(block))
    return {name: value for name, value in filled.items() if name not in ("seed", "wide_count")}
