"""Training of models that choose an answer: which epoch is kept, and a training that is cut."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import choices
import tiny
from seqflows import compute, models
from seqflows.config import checks
from seqflows.config.training import Training
from seqflows.data.batching import collate
from seqflows.errors import Interrupted
from seqflows.training.progress import Progress
from seqflows.training.trainer import Trainer

CPU = compute.Machine(torch.device("cpu"), "cpu", 1, "fp32")
BLOCK = {"class": "stage", "width": 6, "dropout": 0.2, "margin": 0}


def _trainer(folder, **training):
    torch.manual_seed(0)
    dataset = choices.dataset(count=70)
    block = {"epochs": 4, "batch_size": 8, "learning_rate": 0.02, "keep": "accuracy", "clip": 5.0, **training}
    return Trainer(models.build(BLOCK, dataset.facts()), dataset, Training.of(block, "training"), 0, CPU, folder)


def _trained(trainer, left=10**9):
    stop = tiny.Cut()
    stop.left = left
    trainer.run(Progress("test", trainer.settings.epochs), stop, lambda row: None)
    return trainer.history


def test_the_epoch_with_the_best_accuracy_is_kept(tmp_path, monkeypatch):
    trainer, states = _trainer(tmp_path), []
    scores = iter([30.0, 90.0, 40.0, 90.0])

    def scored():
        states.append({name: value.clone() for name, value in trainer.model.state_dict().items()})
        return next(scores)

    monkeypatch.setattr(trainer, "_accuracy", scored)
    assert [row["valid_accuracy"] for row in _trained(trainer)] == [30.0, 90.0, 40.0, 90.0]
    assert trainer.plateau.best_epoch == 2
    assert all(torch.equal(value, states[1][name]) for name, value in trainer.model.state_dict().items())


def test_the_accuracy_of_the_history_is_that_of_the_questions_one_by_one(tmp_path):
    trainer = _trainer(tmp_path)
    trainer.model.train()
    split, found = trainer.dataset.valid, trainer._accuracy()
    assert not trainer.model.training
    right = [
        int(trainer.model.choose(collate(split, np.array([place])).given).log_probs.argmax()) == split.symbols[place]
        for place in range(len(split))
    ]
    assert found == pytest.approx(100 * np.mean(right)) and 0 < found < 100


def test_a_training_that_is_cut_goes_on_as_if_it_had_not_been(tmp_path):
    whole = _trainer(tmp_path / "whole")
    expected = _trained(whole)
    first = _trainer(tmp_path / "cut")
    with pytest.raises(Interrupted):
        _trained(first, left=14)
    again = _trainer(tmp_path / "cut")
    assert again.resume() and 0 < again.steps < whole.steps
    timed = ("seconds", "symbols_per_second")
    rows = (
        [{k: v for k, v in row.items() if k not in timed} for row in found] for found in (_trained(again), expected)
    )
    first, second = rows
    assert first == second
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, again.model.state_dict()[name]), name


@pytest.mark.parametrize(
    ("kind", "keep", "lines"),
    [("choices", "accuracy", 0), ("choices", "bleu", 1), ("pairs", "bleu", 0), ("pairs", "accuracy", 1),
     ("text", "accuracy", 1), ("text", "loss", 0), (None, "accuracy", 0)],
)  # fmt: skip
def test_what_selects_the_epoch_is_something_that_the_model_does(kind, keep, lines):
    found = list(checks._selected("runs.x.training.keep", {"keep": keep}, kind))
    assert len(found) == lines and all(f" for {kind}, whose models " in line for line in found)
