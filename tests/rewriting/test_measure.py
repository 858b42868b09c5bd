"""Edits, shares and perplexities of candidates, and the choice of the noise."""

from __future__ import annotations

import random

import numpy as np
import pytest

from seqflows.config.rewrites import BELOW, GRID
from seqflows.evaluation import ngrams
from seqflows.rewriting import measure, rewrite, tuning


def by_hand(first, second):
    """The edit distance, cell by cell."""
    row = list(range(len(second) + 1))
    for place, token in enumerate(first):
        below = [place + 1]
        for column, other in enumerate(second):
            below.append(min(row[column] + (token != other), row[column + 1] + 1, below[column] + 1))
        row = below
    return row[-1]


def test_edits_are_the_distance_of_every_pair():
    drawn = random.Random(0)
    sides = [
        [[drawn.choice(letters) for _ in range(drawn.randint(0, 9))] for _ in range(1500)]
        for letters in ("abc", "abcd")
    ]
    assert measure.edits(*sides).tolist() == [by_hand(*pair) for pair in zip(*sides, strict=True)]
    assert measure.edits([], []).tolist() == []


def test_the_share_of_changed_tokens_by_hand():
    texts = ["the dog ran away", "it is so"]
    candidates = [["the cat ran away", "the dog ran"], ["it is so", "so it is not"]]
    edits = [[1, 1], [0, 2]]
    assert measure.changed(texts, candidates).tolist() == edits
    longer = (4 + 4) + (3 + 4)
    value, error = measure.share(texts, candidates)
    assert value == pytest.approx(4 / longer) and error > 0
    assert measure.share(texts, [[text] for text in texts]) == (0.0, 0.0)
    assert measure.share([], []) == (0.0, 0.0)


def test_the_numbers_of_candidates():
    texts, trained = ["the dog ran", "a dog ran"], ["the dog ran", "the cat ran", "a cat sat"]
    candidates = [["the cat ran", "the dog ran"], ["a cat ran", "the cat ran"]]
    found = measure.numbers(texts, candidates, trained)
    assert (found["texts"], found["candidates"]) == (2, 4)
    assert found["equal"] == 0.25 and found["distinct"] == 0.75
    trigram = ngrams.fit([text.split() for text in trained], [1] * 3, 3)
    made = [one.split() for row in candidates for one in row]
    assert found["perplexity"] == ngrams.perplexity(trigram, made)[0]
    originals = [texts[0].split()] * 2 + [texts[1].split()] * 2
    assert found["perplexity_of_originals"] == ngrams.perplexity(trigram, originals)[0]


@pytest.mark.parametrize(
    ("shares", "variance", "within"),
    [
        ({1.0: 0.9, 0.5: 0.3, 0.1: 0.2}, 0.5, True),  # the largest that is within
        ({1.0: 0.9, 0.5: 0.31, 0.1: 0.1}, 0.1, True),
        ({1.0: 0.2, 0.5: 0.15, 0.1: 0.1}, 1.0, True),
        ({1.0: 0.05, 0.5: 0.04, 0.1: 0.01}, 1.0, False),  # none changes as much
        ({1.0: 0.9, 0.5: 0.8, 0.1: 0.7}, 0.1, False),  # all change more
        ({1.0: 0.9, 0.5: 0.5, 0.1: 0.09}, 0.1, False),  # 0.5 is further from a fifth than 0.09
        ({1.0: 0.9, 0.5: 0.31, 0.1: 0.01}, 0.5, False),
    ],
)
def test_tuning_takes_the_largest_variance_that_changes_few_enough(shares, variance, within):
    asked = []
    found = tuning.tuned(lambda one: asked.append(one) or shares[one], (1.0, 0.5, 0.1))
    assert (found.variance, found.within, found.below) == (variance, within, False)
    assert asked == list(found.shares) and found.shares.items() <= shares.items()


def test_the_grid_is_the_papers_and_goes_on_below():
    assert GRID == (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1)
    assert list(GRID + BELOW) == sorted(GRID + BELOW, reverse=True) and BELOW[0] < 0.1
    found = tuning.tuned(lambda variance: min(1.0, 4 * variance))
    assert found.variance == 0.05 and found.within and found.below and len(found.shares) == 11


def test_the_header_tells_of_the_noise():
    asked = []

    def changed(variance):
        asked.append(variance)
        return 0.02 + variance

    tuned = rewrite.chosen_noise("tuned", changed)
    assert tuned["variance"] == 0.2 and tuned["right"] == 0.98 and tuned["within"] and not tuned["below_the_grid"]
    assert tuned["changed_at_printed"] == 0.52 and tuned["shares"]["0.5"] == 0.52 and "0" not in tuned["shares"]
    assert asked == [0.0, *GRID[:9]], "0.5 is asked for once"
    given = rewrite.chosen_noise(0.1, changed)
    assert given["variance"] == 0.1 and given["shares"] == {"0.1": pytest.approx(0.12), "0.5": 0.52}
    assert "within" not in given


def test_a_share_of_the_lines_is_drawn_by_the_seed():
    from seqflows.config.rewrites import Rewriting

    class Passages:
        lines, free = range(40), np.ones(40, dtype=bool)

        def __len__(self):
            return 4

        def of(self, index):
            return np.arange(10 * index, 10 * index + 10)

        def free_of(self, index):
            return np.arange(10) % 2 == 1

    some = [rewrite.selected(Passages(), Rewriting(share=share, seed=seed)).tolist() for share, seed in
            ((1.0, 0), (0.5, 0), (0.5, 0), (0.5, 1), (0.01, 0))]  # fmt: skip
    assert some[0] == list(range(1, 40, 2))
    assert len(some[1]) == 10 and set(some[1]) <= set(some[0]) and some[1] == some[2] != some[3] and len(some[4]) == 1
