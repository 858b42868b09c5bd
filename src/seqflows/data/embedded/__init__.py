"""The embedded corpora: small probabilistic sources written in the raw formats of the real data.

``source.json`` beside the raw files holds the source's whole specification: from it alone come
the log-probability of any sequence and the entropy.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np

from seqflows import files
from seqflows.data.embedded import chords, clauses, formation, gaussians, sentences
from seqflows.data.prepared import SPLITS
from seqflows.errors import Problem

MODULES = {module.NAME: module for module in (sentences, chords, gaussians, formation, clauses)}
CLASSES = {
    sentences.NAME: sentences.TextSource,
    chords.NAME: chords.ChordSource,
    gaussians.NAME: gaussians.GaussianSource,
    formation.NAME: formation.WordSource,
    clauses.NAME: clauses.LanguageSource,
}
SPECIFICATION = "source.json"


class Source(Protocol):
    """What preparation asks of an embedded source."""

    longest: int

    def entropy(self) -> float:
        """Nats a sequence, its length included."""

    def mean_length_plus_one(self) -> float:
        """E[T + 1] (1 for vectors)."""

    def log_probs(self, sequences: Any) -> np.ndarray:
        """(N,) nats a sequence, its length included."""


def generate(block: dict[str, Any], folder: Path) -> None:
    """Write the raw files and ``source.json`` of a dataset block into ``folder``; a function of the block alone."""
    name = block["source"]
    module = MODULES[name]
    options = {option: block.get(option, default) for option, default in module.OPTIONS.items()}
    for option, default in module.OPTIONS.items():
        _check(name, option, options[option], default)
    counts = {size: options[size] for size in (*SPLITS, "tokens") if size in options}
    if min(counts.values()) < 1:
        raise Problem(f"expected at least 1 sequence in each split of {name}, got {counts}; correct params.yaml")
    # Two streams: the source stays the same when the number of sequences changes.
    shape, draws = (np.random.default_rng([options["seed"], stream]) for stream in range(2))
    source = module.build(options, shape)
    source.write(folder, draws, counts)
    specification = {"source": name, "options": options, **source.specification()}
    files.write_json(folder / SPECIFICATION, specification)


def _check(name: str, option: str, value: Any, default: Any) -> None:
    """Refuse a value that is not of its default's type, or a negative whole number."""
    items, kind = (value, int) if isinstance(default, list) else ([value], type(default))
    admitted = (int, float) if kind is float else (int,)
    if not isinstance(items, list) or any(type(item) not in admitted or item < 0 for item in items):
        raise Problem(f"expected {option} of {name} to be like {default!r}, got {value!r}; correct params.yaml")


def read(folder: Path) -> Source:
    """The source that wrote the raw files of ``folder``."""
    return specified(files.read_json(folder / SPECIFICATION), str(folder / SPECIFICATION))


def specified(value: dict[str, Any], where: str) -> Source:
    """The source that a specification describes; ``where`` it was read, for the message."""
    if value.get("source") not in CLASSES:
        raise Problem(f"expected one of {', '.join(CLASSES)} in {where}, got {value.get('source')}; run download again")
    return CLASSES[value["source"]].from_specification(value)
