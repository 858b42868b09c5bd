"""Answers compared: exact match and F1 of each question, and the share of questions on which two runs differ."""

from __future__ import annotations

import numpy as np
import pytest

from seqflows import files
from seqflows.comparison import readers, scores
from seqflows.comparison.systems import System
from seqflows.errors import Problem
from seqflows.textscores import answers

RIGHT = [("the cat",), ("red dog", "dog"), ("Paris",), ("two",)]
TEXTS = {
    ("one", 0): ["cat", "a dog", "London", "two"], ("one", 1): ["cat", "bird", "Paris", "two"],
    ("two", 0): ["cat", "red", "Paris", "three"], ("two", 1): ["cat", "bird", "Paris", "two"],
}  # fmt: skip
SYSTEMS = [System(run, seed, texts, {}, "") for (run, seed), texts in TEXTS.items()]


def test_scores_are_those_of_each_question_and_their_gains_are_paired():
    found = readers.measures(SYSTEMS, RIGHT)
    values = scores.drawn(found, 500, 3)
    for metric, score in (("em", answers.exact), ("f1", answers.f1)):
        for seed, texts in TEXTS.items():
            wanted = 100 * np.mean([score(text, right) for text, right in zip(texts, RIGHT, strict=True)])
            assert values[metric][seed].value == pytest.approx(wanted)
    (gain,) = [one for one in scores.pairs(values, ("em",)) if one["first"] == "one"]
    assert gain["difference"] == pytest.approx((75 + 75) / 2 - (50 + 75) / 2) and 0 < gain["p"] < 1


def test_the_share_that_differs_is_of_exact_match_seed_by_seed():
    """Seed 0: the second, the third and the last question; seed 1: none."""
    (found,) = readers.differing(readers.measures(SYSTEMS, RIGHT)[0].statistics)
    assert found == {"first": "one", "second": "two", "share": 3 / 8}


def test_answers_to_other_questions_are_refused(tmp_path):
    path = tmp_path / "answers.json"
    files.write_json(path, {"questions": [{"id": "a", "answer": "x"}, {"id": "b", "answer": "y"}]})
    assert readers.written(path, ["a", "b"], "again") == ["x", "y"]
    with pytest.raises(Problem, match="expected the 2 test questions in .*, in their order, got 2 others; again"):
        readers.written(path, ["b", "a"], "again")
    files.write_json(path, {"questions": [{"id": "a"}]})
    with pytest.raises(Problem, match="expected questions with id and answer in .*; again"):
        readers.written(path, ["a"], "again")
