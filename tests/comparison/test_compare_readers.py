"""Answers compared: the scores of each question, and the share of questions on which two runs differ."""

from __future__ import annotations

import numpy as np
import pytest

import choices
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
SPANS, CHOICES = readers.READINGS["spans"], readers.READINGS["choices"]
SYSTEMS = [System(run, seed, texts, {}, "") for (run, seed), texts in TEXTS.items()]


def test_scores_are_those_of_each_question_and_their_gains_are_paired():
    found = readers.measures(SYSTEMS, RIGHT, SPANS.scores)
    values = scores.drawn(found, 500, 3)
    for metric, score in (("em", answers.exact), ("f1", answers.f1)):
        for seed, texts in TEXTS.items():
            wanted = 100 * np.mean([score(text, right) for text, right in zip(texts, RIGHT, strict=True)])
            assert values[metric][seed].value == pytest.approx(wanted)
    (gain,) = [one for one in scores.pairs(values, ("em",)) if one["first"] == "one"]
    assert gain["difference"] == pytest.approx((75 + 75) / 2 - (50 + 75) / 2) and 0 < gain["p"] < 1


def test_the_share_that_differs_is_of_exact_match_seed_by_seed():
    """Seed 0: the second, the third and the last question; seed 1: none."""
    (found,) = readers.differing(readers.measures(SYSTEMS, RIGHT, SPANS.scores)[0].statistics)
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


def test_chosen_answers_are_right_by_their_place_and_told_by_their_text():
    split = choices.split(np.random.default_rng(4), 6)
    right = [CHOICES.right(split, place) for place in range(6)]
    places = [int(one[0]) if number % 3 else (int(one[0]) + 1) % 3 for number, one in enumerate(right)]
    (found,) = readers.measures([System("one", 0, places, {}, "")], right, CHOICES.scores)
    assert found.metric == "accuracy" and found.statistics["one", 0][:, 0].tolist() == [0, 1, 1, 0, 1, 1]
    assert scores.drawn([found], 200, 1)["accuracy"]["one", 0].value == pytest.approx(200 / 3)
    for number, place in enumerate(places):
        answer = split.contexts.answers.texts[split.contexts.answered[number] + place]
        assert CHOICES.told(split, number, place) == answer


def test_the_second_set_is_compared_over_its_own_questions():
    rng = np.random.default_rng(8)
    exact = {("one", 0): rng.integers(0, 2, (40, 1)), ("two", 0): rng.integers(0, 2, (40, 1))}
    within = np.arange(40) % 4 == 1
    every = scores.Measure("accuracy", "%", exact, lambda sums: 100 * sums[..., 0] / 40)
    found = readers.of_second(every, within)
    values = scores.drawn([every, found], 300, 5)
    assert list(values) == ["accuracy", "accuracy_plus"]
    for one, right in exact.items():
        made = values["accuracy_plus"][one]
        assert made.value == pytest.approx(100 * right[within].mean())
        wanted = 100 * np.sqrt(right[within].var() / within.sum())
        assert made.draws.std() == pytest.approx(wanted, rel=0.2)  # over its 10 questions, not over 40
    assert found.score(np.array([0.0, 0.0])) == 0  # a draw without any


def test_choices_of_other_questions_are_refused(tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text("index,id,answer\n0,a,2\n1,b,0\n")
    assert readers.chosen(path, ["a", "b"], "again") == [2, 0]
    with pytest.raises(Problem, match="expected the 2 test questions in .*, in their order, got 2 others; again"):
        readers.chosen(path, ["b", "a"], "again")
    path.write_text("index,id\n0,a\n1,b\n")
    with pytest.raises(Problem, match="expected columns id and answer in .*; again"):
        readers.chosen(path, ["a", "b"], "again")
