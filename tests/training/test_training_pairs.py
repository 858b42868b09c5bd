"""Training of models of pairs: what is clipped, which epoch is kept, and a training that is cut."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import pairs
import tiny
from seqflows import compute, models
from seqflows.config.training import Training
from seqflows.data.batching import collate, order
from seqflows.errors import Interrupted
from seqflows.textscores import bleu
from seqflows.training.progress import Progress
from seqflows.training.trainer import Trainer

CPU = compute.Machine(torch.device("cpu"), "cpu", 1, "fp32")
BLOCK = {"class": "encoder_decoder", "units": 4, "decoder_units": 5, "layers": 1, "fused": "latent", "flow_steps": 1}
BLOCK |= {"flow_scales": 2, "flow_width": 4, "flow_inner": 6, "flow_heads": 2, "dropout": 0.1}


def _trainer(folder, dataset=None, **training):
    torch.manual_seed(0)
    dataset = dataset or pairs.dataset(count=16)
    model = models.build(BLOCK, dataset.facts())
    block = {"epochs": 4, "batch_size": 4, "learning_rate": 0.05, "keep": "bleu", "clip": 5.0, **training}
    return Trainer(model, dataset, Training.of(block, "training"), 0, CPU, folder)


def _trained(trainer, left=10**9):
    stop = tiny.Cut()
    stop.left = left
    trainer.run(Progress("test", trainer.settings.epochs), stop, lambda row: None)
    return trainer.history


def test_gradients_of_the_flow_and_of_the_rest_are_clipped_apart(tmp_path, monkeypatch):
    trainer = _trainer(tmp_path, clip=0.01)
    monkeypatch.setattr(trainer.optimizer, "step", lambda: None)
    trainer.model.train()
    trainer.step([np.arange(4)], 1.0)
    norms = [torch.cat([p.grad.flatten() for p in part]).norm().item() for part in trainer.model.groups()]
    assert norms == pytest.approx([0.01, 0.01], rel=1e-3)


def test_the_epoch_with_the_best_bleu_is_kept(tmp_path, monkeypatch):
    trainer = _trainer(tmp_path)
    scores = iter([3.0, 9.0, 4.0, 9.0])
    states = []

    def scored():
        states.append({name: value.clone() for name, value in trainer.model.state_dict().items()})
        return next(scores)

    monkeypatch.setattr(trainer, "_bleu", scored)
    history = _trained(trainer)
    assert [row["valid_bleu"] for row in history] == [3.0, 9.0, 4.0, 9.0]
    assert trainer.plateau.best_epoch == 2
    assert all(torch.equal(value, states[1][name]) for name, value in trainer.model.state_dict().items())


def test_the_lowest_loss_is_kept_without_bleu(tmp_path):
    trainer = _trainer(tmp_path, keep="loss", learning_rate=0.5)
    history = _trained(trainer)
    losses = [row["valid_loss"] for row in history]
    assert trainer.plateau.best_epoch == 1 + losses.index(min(losses)) and "valid_bleu" not in history[0]


def test_the_bleu_of_the_history_is_of_the_greedy_questions(tmp_path, monkeypatch):
    monkeypatch.setattr(torch, "randn_like", torch.zeros_like)
    trainer = _trainer(tmp_path, decoded=9)
    places = trainer._decoded().tolist()
    assert len({*places}) == 9 and (places[0], places[-1]) == (0, len(trainer.dataset.valid) - 1)  # all over it
    trainer.model.eval()
    split, known = trainer.dataset.valid, trainer.dataset.vocabulary
    sums = np.zeros(bleu.COUNTS, dtype=np.int64)
    for place in places:
        (text,) = trainer.model.write(collate(split, np.array([place])).given, 1)
        words = ([known[word] for word in ids] for ids in (text, split.sequence(place)[:-1].tolist()))
        sums += bleu.statistics(*words)
    assert sums[1] > 9 and trainer._bleu() == bleu.bleu(sums)
    before = torch.get_rng_state()
    trainer._bleu()
    assert torch.equal(before, torch.get_rng_state())


def test_a_training_that_is_cut_goes_on_as_if_it_had_not_been(tmp_path):
    whole = _trainer(tmp_path / "whole", optimizer="sgd", momentum=0.8, warmup=10)
    expected = _trained(whole)
    first = _trainer(tmp_path / "cut", optimizer="sgd", momentum=0.8, warmup=10)
    with pytest.raises(Interrupted):
        _trained(first, left=9)
    again = _trainer(tmp_path / "cut", optimizer="sgd", momentum=0.8, warmup=10)
    assert again.resume() and 0 < again.steps < whole.steps
    found = _trained(again)
    timed = ("seconds", "symbols_per_second")
    assert [{k: v for k, v in row.items() if k not in timed} for row in found] == [
        {k: v for k, v in row.items() if k not in timed} for row in expected
    ]
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, again.model.state_dict()[name]), name


def test_validation_batches_are_not_kept(tmp_path):
    trainer = _trainer(tmp_path, epochs=2)
    _trained(trainer)
    assert trainer._validation is None


def test_the_contexts_of_a_batch_are_of_similar_sizes_and_batches_differ_between_epochs():
    split = pairs.split(np.random.default_rng(0), 400, window=100, longest=4)
    batches = order(split, 8, seed=0, epoch=0)
    assert sorted(np.concatenate(batches).tolist()) == list(range(400))
    alone = [batch for batch in batches if len(set(split.lengths[batch].tolist())) == 1]
    spreads = [np.ptp(split.contexts.sizes[batch]) for batch in alone]
    assert len(alone) > 40 and np.mean(spreads) < 22
    other = {tuple(sorted(batch.tolist())) for batch in order(split, 8, seed=0, epoch=1)}
    assert len(other & {tuple(sorted(batch.tolist())) for batch in batches}) < 5


SEQUENCE = {
    "class": "flowseq", "begin": "means", "units": 3, "layers": 1, "dropout": 0.0, "latent": 2, "width": 4, "inner": 6,
    "heads": 2, "depth": 1, "transformer_dropout": 0.0, "flow_steps": [1], "flow_width": 4, "flow_inner": 6,
    "flow_heads": 2,
}  # fmt: skip


def _sequenced(folder, begin="means"):
    dataset = pairs.dataset(count=12)
    torch.manual_seed(0)
    model = models.build(SEQUENCE | {"begin": begin}, dataset.facts())
    settings = {"epochs": 3, "batch_size": 4, "learning_rate": 0.01, "kl_free_epochs": 1, "kl_ramp_epochs": 1}
    return Trainer(model, dataset, Training.of(settings, "training"), 0, CPU, folder)


@pytest.mark.parametrize("begin", ["means", "draws"])
def test_a_model_restarts_once_with_its_optimiser_at_the_first_step_with_a_kl_weight(tmp_path, monkeypatch, begin):
    trainer, seen = _sequenced(tmp_path, begin), []
    restart, first = trainer.model.restart, trainer.optimizer

    def restarted(batch):
        seen.append((trainer.epoch, trainer.position, trainer.model.free, len(trainer.optimizer.tensors())))
        return restart(batch)

    monkeypatch.setattr(trainer.model, "restart", restarted)
    _trained(trainer)
    assert [one[:3] for one in seen] == [(1, 0, False)] and seen[0][3] > 0
    assert (trainer.optimizer is first) == (begin == "draws")
    steps = {int(value) for name, value in trainer.optimizer.tensors().items() if name.endswith("step")}
    every = trainer.steps
    assert max(steps) == (every if begin == "draws" else every * 2 // 3)
    kl = [row["train_kl"] for row in trainer.history]
    assert (kl[0] == 0) == (begin == "means") and kl[1] != 0 and trainer.history[1]["learning_rate"] == 0.01


@pytest.mark.parametrize("left", [2, 3, 4, 5])
def test_a_training_that_is_cut_about_its_restart_goes_on_as_if_it_had_not_been(tmp_path, left):
    """Also where the checkpoint is the last step before it, or the step itself."""
    whole = _sequenced(tmp_path / "whole")
    _trained(whole)
    cut = _sequenced(tmp_path / "cut")
    with pytest.raises(Interrupted):
        _trained(cut, left=left)
    rest = _sequenced(tmp_path / "cut")
    assert rest.resume() and 0 < rest.steps < whole.steps
    _trained(rest)
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, rest.model.state_dict()[name]), name
