"""Halves of questions and translations: whole paragraphs, and all that a run on one of them is trained on."""

from __future__ import annotations

import numpy as np
import pytest

import pairs
import translations
from seqflows.data.batching import order
from seqflows.errors import Problem


def test_questions_are_halved_by_paragraph():
    """Two questions a paragraph: both stand in the same half, and the halves have as many."""
    contexts = pairs.split(np.random.default_rng(0), 12).contexts
    halves = [contexts.half(number) for number in (0, 1)]
    assert sorted(np.concatenate(halves)) == list(range(12)) and [len(half) for half in halves] == [6, 6]
    assert not set(contexts.paragraph[halves[0]]) & set(contexts.paragraph[halves[1]])
    told = contexts.halved(0)
    assert (told["sequences"], told["of_sequences"], told["parts"], told["of_parts"]) == (6, 12, 3, 6)


def test_translations_are_halved_one_by_one():
    contexts = translations.split(np.random.default_rng(0), 9).contexts
    assert [len(contexts.half(number)) for number in (0, 1)] == [5, 4]
    with pytest.raises(Problem, match="expected sequences about at least two passages, to have halves, got one"):
        translations.split(np.random.default_rng(0), 1).contexts.half(0)


@pytest.mark.parametrize("data", [pairs, translations])
def test_an_epoch_of_a_half_has_each_of_its_sequences_once(data):
    split = data.split(np.random.default_rng(0), 13)
    own = split.contexts.half(1)
    for epoch in range(2):
        batches = order(split, 4, 0, epoch, None, own)
        assert sorted(np.concatenate(batches)) == own.tolist() and max(map(len, batches)) <= 4
