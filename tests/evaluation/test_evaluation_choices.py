"""Every metric of a model that chooses an answer, against loops, and what it leaves of each question."""

from __future__ import annotations

import csv
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

import choices
from seqflows import compute, paths
from seqflows.config.evaluation import Choices
from seqflows.data.batching import collate
from seqflows.data.lines import Lines
from seqflows.errors import Problem
from seqflows.evaluation import scoring
from seqflows.evaluation.kinds import choices as kind
from seqflows.models import build

CPU = compute.Machine(torch.device("cpu"), "cpu", 1, "fp32")
COUNT = 70  # more than a batch


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    """A dataset of which every third test question is in the second set, a model, its metrics, rows of scores.csv."""
    dataset = choices.dataset(count=COUNT)
    contexts = replace(dataset.test.contexts, plus=np.arange(COUNT) % 3 == 0)
    dataset = replace(dataset, test=replace(dataset.test, contexts=contexts))
    torch.manual_seed(0)
    model = build({"class": "stage", "width": 6, "dropout": 0.5}, dataset.facts())
    folder = tmp_path_factory.mktemp("scored")
    task = scoring.Task(paths.Key("demo", "x"), 1, CPU, 7, folder)
    records = kind.score(model, dataset, Choices.of({}, "evaluation"), task)
    with open(folder / "scores.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    return dataset, model, {row["metric"]: row for row in records}, rows


def test_each_question_is_scored_alone_and_in_order(scored):
    dataset, model, _, rows = scored
    assert [row["id"] for row in rows] == dataset.test.contexts.ids.tolist()
    for index in range(COUNT):
        given = collate(dataset.test, np.array([index])).given
        found = model.choose(given)
        best = int(found.log_probs[0].argmax())
        row = rows[index]
        p = found.log_probs[0, dataset.test.symbols[index]].exp().item()
        assert float(row["probability"]) == pytest.approx(p, rel=1e-4)
        assert float(row["nll"]) == pytest.approx(-math.log(p), rel=1e-4) and float(row["length_nats"]) == 0
        assert (int(row["answer"]), int(row["correct"])) == (best, dataset.test.symbols[index])
        assert [int(row["first"]), int(row["last"])] == found.spans[0, best].tolist()
        assert int(row["right"]) == (best == dataset.test.symbols[index])


def test_the_metrics_are_the_means_of_the_rows(scored):
    _, _, found, rows = scored
    right = np.array([int(row["right"]) for row in rows])
    iou = np.array([float(row["iou"]) for row in rows])
    assert found["accuracy"]["value"] == pytest.approx(100 * right.mean())
    share = right.mean()
    assert found["accuracy"]["standard_error"] == pytest.approx(100 * math.sqrt(share * (1 - share) / (COUNT - 1)))
    assert 0 < share < 1 and found["accuracy"]["unit"] == "%" and found["accuracy"]["sequences"] == COUNT
    assert found["nll"]["value"] == pytest.approx(np.mean([float(row["nll"]) for row in rows]))
    assert found["nll"]["unit"] == "nats/question"
    assert found["temporal_iou"]["value"] == pytest.approx(100 * iou.mean())
    assert found["joint_accuracy"]["value"] == pytest.approx(100 * (right * (iou >= 0.5)).mean())
    assert 0 < found["joint_accuracy"]["value"] < found["accuracy"]["value"]
    assert found["parameters"]["value"] == 7


def test_the_second_set_is_scored_over_its_own_questions(scored):
    _, _, found, rows = scored
    assert [int(row["plus"]) for row in rows] == [int(n % 3 == 0) for n in range(COUNT)]
    right = np.array([int(row["right"]) for row in rows if row["plus"] == "1"])
    made, share = found["accuracy_plus"], right.mean()
    assert made["value"] == pytest.approx(100 * share) and 0 < share < 1
    assert made["value"] != pytest.approx(found["accuracy"]["value"])
    assert made["standard_error"] == pytest.approx(100 * math.sqrt(share * (1 - share) / (len(right) - 1)))
    assert made["sequences"] == len(right) == 24 and made["unit"] == "%"


def test_without_a_second_set_there_is_nothing_of_it(tmp_path):
    dataset = choices.dataset()
    model = build({"class": "stage", "width": 6, "dropout": 0.0}, dataset.facts())
    task = scoring.Task(paths.Key("demo", "x"), 1, CPU, 7, tmp_path)
    records = kind.score(model, dataset, Choices.of({}, "evaluation"), task)
    assert "accuracy" in {row["metric"] for row in records}
    assert not any("plus" in row["metric"] for row in records)
    assert "plus" not in (tmp_path / "scores.csv").read_text().splitlines()[0]


def iou(one, other):
    """By a fine grid of times."""
    grid = np.arange(-2, 40, 0.001) + 0.0005
    first, second = ((grid >= start) & (grid < end) for start, end in (one, other))
    return (first & second).sum() / max(1, (first | second).sum())


def test_the_time_of_lines_against_the_question_s(scored):
    dataset, _, found, rows = scored
    passages, best = dataset.test.contexts, []
    for index in range(COUNT):
        times = passages.times[passages.of(index)]
        first, last = int(rows[index]["first"]), int(rows[index]["last"])
        assert float(rows[index]["iou"]) == pytest.approx(
            iou((times[first, 0], times[last, 1]), passages.spans[index]), abs=0.01
        )
        every = [(i, j) for i in range(len(times)) for j in range(i, len(times))]
        best.append(max(iou((times[i, 0], times[j, 1]), passages.spans[index]) for i, j in every))
    assert found["temporal_iou_reachable"]["value"] == pytest.approx(100 * np.mean(best), abs=1)


def test_times_of_no_length_or_apart_do_not_overlap():
    assert kind._iou((1, 2), (3, 5)) == kind._iou((1, 1), (1, 1)) == 0
    assert kind._iou((1, 4), (2, 6)) == pytest.approx(2 / 5) and kind._iou((1, 4), (1, 4)) == 1


def test_the_last_end_of_lines_counts_and_not_the_end_of_the_last():
    split = choices.split(np.random.default_rng(1), 2)
    passages = split.contexts
    lines = len(passages.of(0))
    times = np.stack([np.arange(lines, dtype=float), np.full(lines, 10.0) - np.arange(lines)], 1)
    object.__setattr__(passages, "times", times)
    object.__setattr__(passages, "spans", np.array([[0.0, 10.0]] * 2))
    assert kind.overlaps(passages, np.array([[0, lines - 1]] * 2)).tolist() == [1, 1]


def told(lines, answers):
    """One question about a passage of ``lines``, with ``answers``."""
    split = choices.split(np.random.default_rng(0), 1)
    places = {word: n for n, word in enumerate("abcdefgh", 4)}
    changes = {
        "lines": Lines.of(lines, places), "answers": Lines.of(answers, places), "first": np.array([0, len(lines)]),
        "answered": np.array([0, len(answers)]), "free": np.ones(len(lines), bool), "times": None,
    }  # fmt: skip
    values = {name: getattr(split.contexts, name) for name in ("sources", "passage", "ids", "questions", "spans")}
    passages = type(split.contexts)(**values | changes)
    return passages


def test_word_overlap_weighs_words_by_their_rarity():
    passages = told(["a b", "c d"], ["a h", "b g", "a e"])
    split = choices.split(np.random.default_rng(0), 1)
    object.__setattr__(split, "contexts", passages)
    object.__setattr__(split, "symbols", np.array([1]))
    a, b, g, h = 4, 5, 10, 11
    # of 7 passages: b in none, so that it weighs more than a; the share of each answer's weight that the lines have
    counted = ({a: 3, b: 0, g: 3, h: 3, 8: 3, 6: 0, 7: 0}, 7)
    assert kind.word_overlap(split, counted).tolist() == [1.0]
    object.__setattr__(split, "symbols", np.array([0]))
    assert kind.word_overlap(split, counted).tolist() == [0.0]
    equal = (dict.fromkeys(range(4, 12), 1), 7)
    assert kind.word_overlap(split, equal).tolist() == [pytest.approx(1 / 3)]


def test_frequencies_count_passages():
    dataset = choices.dataset(count=9)
    passages, (found, total) = dataset.train.contexts, kind.frequencies(dataset.train.contexts)
    assert total == 5
    own = [range(passages.first[place], passages.first[place + 1]) for place in range(5)]
    sets = [{word for line in lines for word in passages.lines.words[passages.lines.rows(line)]} for lines in own]
    for word in range(4, 14):
        assert found[word] == sum(word in one for one in sets)


def test_a_probability_that_is_not_finite_is_refused(tmp_path):
    dataset = choices.dataset()
    model = build({"class": "stage", "width": 6, "dropout": 0.0}, dataset.facts())
    with torch.no_grad():
        model.score[2].weight.fill_(float("nan"))
    task = scoring.Task(paths.Key("demo", "x"), 1, CPU, 7, tmp_path)
    with pytest.raises(Problem, match="expected a finite log-probability of every right answer, got nan for question"):
        kind.score(model, dataset, Choices.of({}, "evaluation"), task)
