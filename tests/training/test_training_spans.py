"""Training of readers: the epoch with the best F1 is kept, and a cut training goes on as if it had not been."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import spans
import tiny
from seqflows import compute, models
from seqflows.config.training import Training
from seqflows.data.batching import collate
from seqflows.errors import Interrupted
from seqflows.textscores import answers
from seqflows.training.progress import Progress
from seqflows.training.trainer import Trainer

CPU = compute.Machine(torch.device("cpu"), "cpu", 1, "fp32")
BLOCK = {"class": "span_reader", "width": 4, "units": 3, "dropout": 0.1}


def _trainer(folder, **training):
    torch.manual_seed(0)
    dataset = spans.dataset(count=16)
    block = {"epochs": 4, "batch_size": 4, "learning_rate": 0.05, "keep": "f1", "clip": 5.0, **training}
    return Trainer(models.build(BLOCK, dataset.facts()), dataset, Training.of(block, "training"), 0, CPU, folder)


def _trained(trainer, left=10**9):
    stop = tiny.Cut()
    stop.left = left
    trainer.run(Progress("test", trainer.settings.epochs), stop, lambda row: None)
    return trainer.history


@pytest.mark.parametrize("decoded", [5, 1000])
def test_the_f1_of_validation_is_that_of_some_questions_all_over_it_answered_alone(tmp_path, decoded):
    trainer = _trainer(tmp_path, decoded=decoded)
    split, found = trainer.dataset.valid, trainer._f1()
    wanted = [
        answers.f1(*trainer.model.eval().answer(collate(split, np.array([n])).given), split.contexts.answers_of(n))
        for n in ([0, 3, 7, 11, 15] if decoded == 5 else range(16))
    ]
    assert 0 < found < 100 and found == pytest.approx(100 * np.mean(wanted))


def test_the_epoch_with_the_best_f1_is_kept(tmp_path, monkeypatch):
    trainer = _trainer(tmp_path)
    scores, states = iter([3.0, 9.0, 4.0, 9.0]), []

    def scored():
        states.append({name: value.clone() for name, value in trainer.model.state_dict().items()})
        return next(scores)

    monkeypatch.setattr(trainer, "_f1", scored)
    assert [row["valid_f1"] for row in _trained(trainer)] == [3.0, 9.0, 4.0, 9.0]
    assert all(torch.equal(value, states[1][name]) for name, value in trainer.model.state_dict().items())


def test_a_cut_training_goes_on_as_if_it_had_not_been(tmp_path):
    whole = _trainer(tmp_path / "whole")
    history = _trained(whole)
    cut = _trainer(tmp_path / "cut")
    with pytest.raises(Interrupted):
        _trained(cut, left=7)
    rest = _trainer(tmp_path / "cut")
    assert rest.resume()
    for one, other in zip(history, _trained(rest), strict=True):
        same = {name: value for name, value in one.items() if name not in ("seconds", "symbols_per_second")}
        assert same == {name: other[name] for name in same}
    assert all(torch.equal(value, rest.model.state_dict()[name]) for name, value in whole.model.state_dict().items())
