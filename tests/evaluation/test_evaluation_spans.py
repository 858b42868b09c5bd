"""Every metric of a reader, against what can be computed otherwise, and the files that it leaves."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import torch

import spans
from seqflows import compute, files, paths
from seqflows.config.evaluation import Spans
from seqflows.data.batching import collate
from seqflows.data.lines import Replacement
from seqflows.errors import Problem
from seqflows.evaluation import scoring
from seqflows.evaluation.kinds import spans as kind
from seqflows.models import build
from seqflows.textscores import answers

CPU = compute.Machine(torch.device("cpu"), "cpu", 1, "fp32")
BLOCK = {"class": "span_reader", "width": 4, "units": 3, "dropout": 0.5, "longest": 2}


def _model(dataset, seed=0):
    torch.manual_seed(seed)
    return build(BLOCK, dataset.facts())


def _scored(model, dataset, folder, batch=4):
    folder.mkdir(exist_ok=True)
    task = scoring.Task(paths.Key("demo", "x"), 1, CPU, 7, folder)
    rows = kind.score(model, dataset, Spans.of({"batch": batch}, "evaluation"), task)
    assert len({row["metric"] for row in rows}) == len(rows)
    return {row["metric"]: row for row in rows}


def test_metrics_are_means_over_questions_each_answered_alone(tmp_path):
    dataset = spans.dataset(count=21, known=True)
    model, split = _model(dataset).eval(), dataset.test
    nll, exact, f1 = [], [], []
    for place in range(len(split)):
        batch = collate(split, np.array([place]))
        (answer,), right = model.answer(batch.given), split.contexts.answers_of(place)
        nll.append(-model.log_prob(batch).item())
        exact.append(answers.exact(answer, right))
        f1.append(answers.f1(answer, right))
    found = _scored(_model(dataset), dataset, tmp_path / "a")
    assert 0 < sum(exact) < sum(f1) < 21
    for name, values, scale, unit in (("em", exact, 100, "%"), ("f1", f1, 100, "%"), ("nll", nll, 1, "nats/question")):
        assert found[name]["value"] == pytest.approx(scale * np.mean(values), rel=1e-5)
        assert found[name]["standard_error"] == pytest.approx(scale * np.std(values, ddof=1) / 21**0.5, rel=0.03)
        assert (found[name]["unit"], found[name]["sequences"]) == (unit, 21)
    assert found["excess"]["value"] == pytest.approx(np.mean(nll), rel=1e-5)
    assert found["parameters"]["value"] == 7
    with open(tmp_path / "a" / "scores.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == split.contexts.ids.tolist()
    assert [float(row["f1"]) for row in rows] == f1 and [float(row["em"]) for row in rows] == exact
    assert [float(row["nll"]) for row in rows] == pytest.approx(nll, rel=1e-5)
    texts = files.read_json(tmp_path / "a" / "answers.json")["questions"]
    assert [one["id"] for one in texts] == split.contexts.ids.tolist()
    assert [answers.f1(one["answer"], split.contexts.answers_of(n)) for n, one in enumerate(texts)] == f1
    again = _scored(_model(dataset), dataset, tmp_path / "b", batch=32)
    assert {name: row["value"] for name, row in again.items()} == pytest.approx(
        {name: row["value"] for name, row in found.items()}, rel=1e-5
    )


def test_the_f1_of_a_question_with_another_context():
    """That of the model's answer to it: what the filter compares."""
    dataset = spans.dataset(seed=3, count=12)
    model, split = _model(dataset, 1), dataset.train
    pool = spans.pool(np.random.default_rng(1), spans.texts(np.random.default_rng(2), 5, 12), 12, 3)
    indices = np.arange(12)
    chosen = [np.where(split.contexts.free_of(place), 1, -1) for place in indices]
    before, after = collate(split, indices), collate(split, indices, Replacement(pool, chosen))
    for batch in (before, after):
        found = kind.f1_of(model, split, batch)
        wanted = [
            answers.f1(text, split.contexts.answers_of(place))
            for place, text in zip(indices, model.eval().answer(batch.given), strict=True)
        ]
        assert found.tolist() == wanted
    assert (kind.f1_of(model, split, before) != kind.f1_of(model, split, after)).any()


def test_an_answer_of_no_probability_is_refused(tmp_path, monkeypatch):
    dataset = spans.dataset()
    model = _model(dataset)
    monkeypatch.setattr(model, "log_prob", lambda batch: torch.full((len(batch.x),), -torch.inf))
    with pytest.raises(Problem, match="expected a finite likelihood of every answer, got inf for question 0"):
        _scored(model, dataset, tmp_path)
