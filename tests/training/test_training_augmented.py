"""Training with other contexts: which candidate is drawn, where answers stand then, and that all else is as without."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

import spans
import tiny
from seqflows import compute, models
from seqflows.config.training import Training
from seqflows.data import filtered, rewritten
from seqflows.data.batching import collate
from seqflows.data.filtered import Augmentation, drawn
from seqflows.data.rewritten import Candidates
from seqflows.errors import Interrupted
from seqflows.training import trainer as training
from seqflows.training.progress import Progress
from seqflows.training.trainer import Trainer

CPU = compute.Machine(torch.device("cpu"), "cpu", 1, "fp32")
BLOCK = {"class": "span_reader", "width": 4, "units": 3, "dropout": 0.1}
ERRORS = 4  # standard errors that a count may be off


def augmentation(split, rng, count=4, words=12):
    """Random candidates of every free line, and which of them are kept: a coin's toss for each of two seeds."""
    passages = split.contexts
    free = rewritten.free_lines(passages)
    numbers, of = np.tile(np.arange(count), len(free)), np.repeat(free, count)
    lines = spans.pool(rng, spans.texts(rng, len(of), words, most=6), words, passages.lines.width)
    kept = {seed: rng.random((len(split), count)) < 0.5 for seed in (0, 1)}
    return Augmentation(Candidates(lines, of, numbers), kept, {})


def counted(kept, draws, share=0.5, seed=3):
    """How often each row of ``kept`` has each number, -1 last."""
    found = np.zeros((len(kept), kept.shape[1] + 1), dtype=int)
    for epoch in range(draws):
        np.add.at(found, (np.arange(len(kept)), drawn(kept, share, seed, (epoch, 5, 0))), 1)
    return found


KEPT = np.array([[1, 0, 1, 1, 0], [0, 1, 0, 0, 0], [1, 1, 1, 1, 1], [0, 0, 0, 0, 0], [0, 0, 0, 1, 1]], dtype=bool)


@pytest.mark.parametrize("share", [0.5, 0.2, 1.0])
def test_a_kept_candidate_is_drawn_at_the_rate_and_evenly(share):
    draws = 4000
    found = counted(KEPT, draws, share)
    assert not found[:, :-1][~KEPT].any() and (found[3] == [0, 0, 0, 0, 0, draws]).all()
    for row, kept in zip(found, KEPT, strict=True):
        for number in np.flatnonzero(kept):
            p = share / kept.sum()
            assert abs(row[number] - draws * p) <= ERRORS * np.sqrt(draws * p * (1 - p))


def test_half_of_all_contexts_of_an_epoch_are_replaced_within_the_binomial_error():
    kept = np.random.default_rng(0).random((20_000, 4)) < 0.5
    found = drawn(kept, 0.5, 0, (0, 0, 0)) >= 0
    some = kept.any(1)
    assert not found[~some].any()
    assert abs(found.sum() - some.sum() / 2) <= ERRORS * np.sqrt(some.sum() / 4)


def test_the_draw_is_a_function_of_seed_epoch_and_place():
    kept = np.ones((500, 4), dtype=bool)
    first = drawn(kept, 0.5, 1, (2, 3, 0))
    assert (first == drawn(kept, 0.5, 1, (2, 3, 0))).all()
    for seed, step in ((2, (2, 3, 0)), (1, (3, 3, 0)), (1, (2, 4, 0)), (1, (2, 3, 1)), (1, (3, 2, 0))):
        assert (first != drawn(kept, 0.5, seed, step)).any()


def test_every_answer_stands_where_it_stood_in_a_thousand_contexts():
    """The words and the text of the answer, by line and place, in contexts of lines of two pools."""
    cases = replaced = 0
    for seed in range(25):
        rng = np.random.default_rng(seed)
        split = spans.split(rng, 40, lines=5)
        passages, made = split.contexts, augmentation(split, rng)
        numbers = rng.integers(0, 4, 40)
        indices = np.arange(40)
        other = made.candidates.replacement(passages, indices, numbers)
        batch = collate(split, indices, other)
        given = batch.given
        for index in indices:
            line, low, high = split.sequence(index).tolist()
            first = int(given.firsts[index, line])
            own = passages.of(index)[line]
            start = int(passages.lines.offsets[own])
            wanted = passages.lines.words[start + low : start + high + 1]
            assert given.words[index, first + low : first + high + 1].tolist() == wanted.tolist()
            text = " ".join(given.texts[index])
            begin, end = given.characters[index, first + low, 0], given.characters[index, first + high, 1]
            spanned = passages.lines.characters[start + low : start + high + 1]
            assert text[begin:end] == passages.lines.texts[own][spanned[0, 0] : spanned[-1, 1]]
            assert text[begin:end] == passages.answers_of(index)[0]
            row = np.asarray(given.features[index, first + low : first + high + 1])
            assert (row == passages.lines.features[start + low : start + high + 1]).all()
            cases += 1
            replaced += text != " ".join(passages.lines.texts[one] for one in passages.of(index))
    assert cases == 1000 and replaced > 500


# -- the trainer


def made(folder, augmented=True, seed=0, **settings):
    dataset = spans.dataset(count=16)
    more = augmentation(dataset.train, np.random.default_rng(9)) if augmented else None
    block = {"epochs": 3, "batch_size": 4, "learning_rate": 0.05, "keep": "f1", "clip": 5.0, **settings}
    block |= {"replace": 0.5} if augmented else {}
    torch.manual_seed(seed)
    model = models.build(BLOCK, dataset.facts())
    return Trainer(model, dataset, Training.of(block, "training"), seed, CPU, folder, more)


def trained(trainer, left=10**9):
    stop = tiny.Cut()
    stop.left = left
    trainer.run(Progress("test", trainer.settings.epochs), stop, lambda row: None)
    return trainer.history


def spied(monkeypatch, trainer):
    """The questions of each training batch, and the numbers of their candidates as the trainer had them replaced."""
    found = []

    def collated(split, indices, replaced=None):
        if split is trainer.dataset.train:
            found.append((indices.tolist(), replaced))
        return collate(split, indices, replaced)

    monkeypatch.setattr(training, "collate", collated)
    return found


def test_weights_order_and_steps_are_those_of_the_baseline(tmp_path, monkeypatch):
    found = {}
    for augmented in (False, True):
        trainer = made(tmp_path / str(augmented), augmented, seed=1)
        begun = {name: value.clone() for name, value in trainer.model.state_dict().items()}
        seen = spied(monkeypatch, trainer)
        history = trained(trainer)
        found[augmented] = begun, [indices for indices, _ in seen], trainer.steps, [row["steps"] for row in history]
        assert all((replaced is None) != augmented for _, replaced in seen)
    (weights, *rest), (others, *same) = found[False], found[True]
    assert rest == same and rest[1] == 12
    assert weights.keys() == others.keys() and all(torch.equal(weights[name], others[name]) for name in weights)


def test_the_trainer_draws_candidates_that_its_own_seed_kept(tmp_path, monkeypatch):
    trainer = made(tmp_path, seed=1, accumulate=2)
    passages, more = trainer.dataset.train.contexts, trainer.augmented
    seen = spied(monkeypatch, trainer)
    trained(trainer)  # two steps an epoch, each of one merged batch
    trainer.epoch, trainer.position = 7, 3
    trainer.step([np.arange(8), np.arange(8, 16)], 1.0)
    steps = [*((epoch, position, 0) for epoch in range(3) for position in range(2)), (7, 3, 0), (7, 3, 1)]
    places = more.candidates.places(len(passages.lines))
    count = 0
    for step, (indices, replaced) in zip(steps, seen, strict=True):
        numbers = drawn(more.kept[1][indices], 0.5, 1, step)
        for index, number, chosen in zip(indices, numbers, replaced.chosen, strict=True):
            if number < 0:
                assert chosen is None
                continue
            own, free = passages.of(index), passages.free_of(index)
            assert more.kept[1][index, number] and (chosen == np.where(free, places[own, number], -1)).all()
            count += 1
    assert count > 10


def test_without_kept_candidates_the_training_is_the_baselines(tmp_path):
    trainer = made(tmp_path / "one")
    nothing = {0: np.zeros_like(trainer.augmented.kept[0])}
    trainer.augmented = dataclasses.replace(trainer.augmented, kept=nothing)
    trained(trainer)
    plain = made(tmp_path / "other", augmented=False)
    trained(plain)
    states = trainer.model.state_dict(), plain.model.state_dict()
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
    third = made(tmp_path / "third")
    trained(third)
    assert not all(torch.equal(value, states[1][name]) for name, value in third.model.state_dict().items())


def test_a_half_is_all_that_is_trained_on_and_validation_stays_whole(tmp_path, monkeypatch):
    """Each question of the half once an epoch, in half of the steps; the other half reaches no batch."""
    steps = {}
    for half in (0, 1):
        trainer = made(tmp_path / str(half), augmented=False, half=half)
        own = trainer.dataset.train.contexts.half(half).tolist()
        seen = spied(monkeypatch, trainer)
        history = trained(trainer)
        for epoch in range(3):
            assert sorted(place for indices, _ in seen[2 * epoch : 2 * epoch + 2] for place in indices) == own
        steps[half] = [row["steps"] for row in history]
        whole = made(tmp_path / f"whole {half}", augmented=False)
        whole.model.load_state_dict(trainer.model.state_dict())
        assert whole._f1() == trainer._f1() and len(trainer.dataset.valid) == 16
    assert steps[0] == steps[1] == [2, 4, 6]


def test_a_cut_training_goes_on_as_if_it_had_not_been(tmp_path):
    whole = made(tmp_path / "whole")
    trained(whole)
    cut = made(tmp_path / "cut")
    with pytest.raises(Interrupted):
        trained(cut, left=6)
    rest = made(tmp_path / "cut")
    assert rest.resume() and 0 < rest.steps < whole.steps
    trained(rest)
    assert all(torch.equal(value, rest.model.state_dict()[name]) for name, value in whole.model.state_dict().items())


def test_a_filter_comes_back_and_identifies_each_seed_apart(tmp_path):
    dataset = spans.dataset(count=16)
    found = augmentation(dataset.train, np.random.default_rng(9))
    names = ("dataset_sha256", "candidates_sha256", "features_sha256", "candidates_features_sha256")
    header = dict.fromkeys(names[2:]) | dict.fromkeys(names[:2], "") | {"judge": "base", "models": {}}
    filtered.save(tmp_path / "one", found.kept, header)
    back = filtered.load(tmp_path / "one", found.candidates, dataset, "base")
    assert all((back.kept[seed] == kept).all() for seed, kept in found.kept.items())
    filtered.save(tmp_path / "two", {0: found.kept[0], 2: found.kept[1]}, header)
    other = filtered.load(tmp_path / "two", found.candidates, dataset, "base")
    assert back.origin(0) == other.origin(0) and back.origin(1) == other.origin(2) != back.origin(0)
    assert "kept_sha256" not in back.origin(7)
