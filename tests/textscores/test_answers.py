"""Exact match and F1 of answers: cases by hand, and the official script's rules."""

import collections
import re
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqflows.textscores import answers


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The Beatles", "beatles"),
        ("an apple a day", "apple day"),
        ("Theatre", "theatre"),  # not an article
        ("the-end", "theend"),
        ("a.", ""),
        ("$2.50, U.S.", "250 us"),
        ("\u201cquoted\u201d", "\u201cquoted\u201d"),  # the official punctuation is ASCII
        ("caf\u00e9\tau\nlait", "caf\u00e9 au lait"),
    ],
)
def test_normalisation(text, words):
    assert answers.normalised(text) == words.split()


def official_normalised(text):
    """As the steps of the official evaluation are described: lower, punctuation, articles, white space."""
    kept = "".join(one for one in text.lower() if one not in set(string.punctuation))
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", kept).split())


def official_f1(found, wanted):
    found, wanted = official_normalised(found).split(), official_normalised(wanted).split()
    same = sum((collections.Counter(found) & collections.Counter(wanted)).values())
    if not same:
        return 0.0
    precision, recall = same / len(found), same / len(wanted)
    return 2 * precision * recall / (precision + recall)


TEXTS = st.lists(st.sampled_from(["the", "dog", "Dog.", "a", "red", "1,000", "", "an"]), max_size=6).map(" ".join)


@settings(max_examples=300, deadline=None)
@given(TEXTS, st.lists(TEXTS, min_size=1, max_size=4))
def test_scores_are_the_largest_over_the_right_answers(found, right):
    same = [float(official_normalised(found) == official_normalised(one)) for one in right]
    assert answers.exact(found, right) == max(same)
    assert answers.f1(found, right) == pytest.approx(max(official_f1(found, one) for one in right))


def test_words_count_as_often_as_they_occur():
    assert answers.f1("dog dog cat", ["dog bird"]) == pytest.approx(2 * 1 / 5)
    assert answers.exact("dog dog", ["dog"]) == 0
