"""The sentences of a prepared dataset of translation as text."""

from __future__ import annotations

from seqflows.data import subwords
from seqflows.data.prepared import Dataset, Split

HELD_OUT = "held-out pairs"  # of training, in place of a test set's name


def references(dataset: Dataset, split: Split) -> list[str]:
    """The true translations of a split."""
    return [subwords.decode(split.sequence(place), dataset.vocabulary) for place in range(len(split))]


def sources(dataset: Dataset, split: Split) -> list[str]:
    """What is to be translated in a split."""
    words, contexts = split.contexts.words, split.contexts
    return [subwords.decode(words[contexts.rows(place)], dataset.vocabulary) for place in range(len(split))]
