"""The embedded corpora: small probabilistic sources written in the raw formats of the real data.

``source.json`` beside the raw files holds the source's whole specification, which determines
the log-probability of any sequence and the entropy.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np

from seqflows import files
from seqflows.config import corpora
from seqflows.data.embedded import (
    answering,
    asking,
    chords,
    clauses,
    dialogues,
    formation,
    gaussians,
    numerals,
    rewording,
    sentences,
)
from seqflows.data.prepared import SPLITS
from seqflows.errors import Problem

SOURCES = (sentences, chords, gaussians, formation, clauses, asking, numerals, rewording, answering, dialogues)
MODULES = {module.NAME: module for module in SOURCES}
CLASSES = {
    sentences.NAME: sentences.TextSource,
    chords.NAME: chords.ChordSource,
    gaussians.NAME: gaussians.GaussianSource,
    formation.NAME: formation.WordSource,
    clauses.NAME: clauses.LanguageSource,
    asking.NAME: asking.QuestionSource,
    numerals.NAME: numerals.NumberSource,
    rewording.NAME: rewording.RewordingSource,
    answering.NAME: answering.AnswerSource,
    dialogues.NAME: dialogues.DialogueSource,
}
SPECIFICATION = "source.json"


class Source(Protocol):
    """The interface of an embedded source for preparation."""

    longest: int

    def entropy(self) -> float:
        """Nats per sequence, its length included."""

    def mean_length_plus_one(self) -> float:
        """E[T + 1] (1 for vectors)."""

    def log_probs(self, sequences: Any) -> np.ndarray:
        """(N,) nats per sequence, its length included; of pairs, given the context."""


def generate(block: dict[str, Any], folder: Path) -> None:
    """Write the raw files and ``source.json`` of a dataset block into ``folder``; a function of the block alone."""
    name = block["source"]
    options = corpora.SOURCES[name].of({key: one for key, one in block.items() if key != "kind"}, name).made()
    counts = {size: options[size] for size in (*SPLITS, "tokens") if size in options}
    # Two streams: the source does not depend on the number of sequences.
    shape, draws = (np.random.default_rng([options["seed"], stream]) for stream in range(2))
    source = MODULES[name].build(options, shape)
    source.write(folder, draws, counts)
    specification = {"source": name, "options": options, **source.specification()}
    files.write_json(folder / SPECIFICATION, specification)


def read(folder: Path) -> Source:
    """The source that wrote the raw files of ``folder``."""
    return specified(files.read_json(folder / SPECIFICATION), str(folder / SPECIFICATION))


def specified(value: dict[str, Any], where: str) -> Source:
    """The source of a specification; ``where`` it was read, for the message."""
    if value.get("source") not in CLASSES:
        raise Problem(f"expected one of {', '.join(CLASSES)} in {where}, got {value.get('source')}; run download again")
    return CLASSES[value["source"]].from_specification(value)
