"""What a run's outcome depends on, as params.yaml and the defaults of its schema say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def settings(matrix: Any, scale: str, run: str) -> dict[str, Any]:
    """What a run's outcome depends on, beside its seeds and its device, defaults filled in."""
    block = matrix.runs[run].get(scale) or {}
    if not block:
        return {}
    found = corpus_settings(matrix.datasets[matrix.runs[run]["dataset"]], scale)
    for part in ("model", "training"):
        filled = defaults(block, part) | (block.get(part) or {})
        found |= {name: value for name, value in filled.items() if name not in ("class", *idle(filled))}
    if "headline" in (block.get("evaluation") or {}):
        found["importance_samples"] = block["evaluation"]["headline"]
    precision = ((matrix.scales.get(scale) or {}).get("compute") or {}).get("precision")
    return found | ({"precision": precision} if precision else {})


def corpus_settings(entry: Mapping[str, Any], scale: str) -> dict[str, Any]:
    """The source of a dataset and what is kept of it; of words filter and split, less its seed and a wider V."""
    block = entry.get(scale) or {}
    if entry.get("kind") != "words":
        limits = ("max_length", "train_sequences", "valid_sequences", "test_sequences")
        limits += ("length", "dimensions", "glove", "min_count", "vocabulary_size")  # of language
        return {name: block[name] for name in ("source", *limits) if name in block}
    source = block.get("source", "")
    filled = {"source": source} | described("DATASETS", "words", source) | block
    return {name: value for name, value in filled.items() if name not in ("seed", "wide_count")}


def idle(model: Mapping[str, Any]) -> tuple[str, ...]:
    """The settings of a model block that its other settings leave without effect."""
    if model.get("class") == "language_flow":
        found = () if model.get("network") == "attention" else ("inner", "heads")
        structure = model.get("structure")
        found += () if structure == "past" else ("hidden", "cell", "mixing")
        found += () if structure == "time" else ("start",)
        return found if model.get("scales", 1) > 1 else (*found, "squeeze")
    if model.get("class") != "state_space":
        return ()
    return ("layers",) if model.get("transition") == "real_nvp" else ("keep_from", "keep_to")


def defaults(block: Mapping[str, Any], part: str) -> dict[str, Any]:
    """What a run's model or training block has where it says nothing."""
    if part == "model":
        return described("MODELS", (block.get("model") or {}).get("class", ""))
    return described("Training")


def described(name: str, *keys: str) -> dict[str, Any]:
    """The defaults of a block of the schema, found below ``name`` by its keys; nothing is known without pydantic."""
    try:
        from seqflows import schema
    except ImportError:
        return {}
    found = getattr(schema, name)
    for key in keys:
        found = found.get(key, {})
    return (
        {name: field.default for name, field in found.model_fields.items() if not field.is_required()} if found else {}
    )
