"""KL weight, learning rate, model choice, optimiser steps."""

import numpy as np
import pytest
import torch

from seqflows.config.training import Training
from seqflows.errors import Problem
from seqflows.training import optimise
from seqflows.training.schedules import Plateau, cosine, kl_weight, warm


def settings(**changes):
    return Training.of({"epochs": 10, "batch_size": 4, "learning_rate": 1.0, **changes}, "training")


def test_kl_weight_is_zero_then_linear_within_epochs_then_one():
    assert [kl_weight(e, 4, 10) for e in (0, 3.9, 4, 4.5, 9, 14, 99)] == [0, 0, 0, 0.05, 0.5, 1, 1]
    assert kl_weight(0, 0, 0) == 1.0
    assert [kl_weight(e, 2, 0) for e in (1.9, 2)] == [0.0, 1.0]


def test_kl_weight_has_a_floor():
    assert [kl_weight(e, 4, 10, 0.2) for e in (0, 4, 9, 14, 99)] == pytest.approx([0.2, 0.2, 0.6, 1, 1])


@pytest.mark.parametrize("keep", ("loss", "generation"))
def test_before_the_ramp_is_over_no_loss_counts_and_the_last_model_is_kept(keep):
    plateau, chosen = Plateau(1.0), settings(kl_free_epochs=1, kl_ramp_epochs=2, patience=1, keep=keep)
    for epoch, loss in ((1, 0.1), (2, 0.2), (3, 0.3)):
        assert plateau.update(chosen, epoch, loss) == (True, False)
    assert plateau.best_epoch == 3 and plateau.best_loss is None
    assert plateau.update(chosen, 4, 5.0) == (True, False)  # the first that counts, though higher
    assert plateau.update(chosen, 5, 6.0) == (False, True)
    assert (plateau.best_epoch, plateau.best_loss, plateau.rate) == (4, 5.0, 0.25)


@pytest.mark.parametrize("keep", ("bleu", "f1", "accuracy"))
def test_a_score_counts_before_the_ramp_is_over(keep):
    """FlowSeq's four epochs have three of it."""
    plateau, chosen = Plateau(1.0), settings(epochs=4, kl_free_epochs=1, kl_ramp_epochs=2, keep=keep)
    assert [plateau.update(chosen, epoch, -score)[0] for epoch, score in enumerate((1.0, 9.0, 4.0, 8.0), 1)] == [
        True, True, False, False,
    ]  # fmt: skip
    assert (plateau.best_epoch, plateau.best_loss) == (2, -9.0)


def test_rate_falls_after_patience_epochs_without_improvement_each_time():
    plateau, chosen = Plateau(1.0), settings(patience=2, decay=2.0)
    rates = []
    for epoch, loss in enumerate((3.0, 3.0, 3.0, 3.0, 3.0, 2.0, 2.5), start=1):
        plateau.update(chosen, epoch, loss)
        rates.append(plateau.rate)
    assert rates == [1, 1, 0.5, 0.5, 0.25, 0.25, 0.25]
    assert plateau.waited == 1 and Plateau(**plateau.state()) == plateau


def test_the_rate_drops_after_shares_of_the_epochs_whatever_the_losses():
    plateau, chosen = Plateau(1.0), settings(drops=[0.5, 0.9], kl_free_epochs=8)
    rates = []
    for epoch in range(1, 11):
        _, dropped = plateau.update(chosen, epoch, 10.0 - epoch)
        rates.append((plateau.rate, dropped))
    assert [epoch for epoch, (_, dropped) in enumerate(rates, 1) if dropped] == [5, 9]
    assert [rate for rate, _ in rates] == [1] * 4 + [0.25] * 4 + [1 / 16] * 2


def test_the_cosine_is_flat_then_falls_to_zero():
    chosen = settings(cosine_from=0.6)
    values = [cosine(epochs, chosen) for epochs in (0, 6, 7, 8, 9, 10)]
    assert values == pytest.approx([1, 1, 0.5 + 0.125**0.5, 0.5, 0.5 - 0.125**0.5, 0])
    assert cosine(9, settings()) == 1.0


@pytest.mark.parametrize(
    "changes",
    [{"patience": 1, "drops": [0.5]}, {"patience": 1, "cosine_from": 0.5}, {"drops": [0.5], "cosine_from": 0.5}],
)
def test_two_rules_for_the_rate_are_refused(changes):
    with pytest.raises(Problem, match=f"one rule for the learning rate.*{' and '.join(changes)}"):
        settings(**changes)


def test_without_patience_the_rate_stays_and_stop_rate_ends():
    plateau = Plateau(1.0)
    for epoch in range(1, 9):
        plateau.update(settings(), epoch, 1.0)
    assert plateau.rate == 1.0 and not plateau.finished(settings())
    assert Plateau(0.1).finished(settings(stop_rate=0.2)) and not Plateau(0.2).finished(settings(stop_rate=0.2))


@pytest.mark.parametrize(
    ("name", "ours_has", "theirs_have"),
    [
        ("adam", {}, {}),
        ("adam", {"beta1": 0.8, "epsilon": 1.0e-3}, {"betas": (0.8, 0.999), "eps": 1.0e-3}),
        ("sgd", {}, {}),
        ("sgd", {"momentum": 0.8}, {"momentum": 0.8}),
    ],
)
def test_optimisers_are_torchs_own(name, ours_has, theirs_have):
    models = [torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)]
    models[1].load_state_dict(models[0].state_dict())
    ours = optimise.make(models[0], settings(optimizer=name, learning_rate=0.1, **ours_has))
    theirs = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}[name](models[1].parameters(), lr=0.1, **theirs_have)
    for _ in range(5):
        for model, optimizer in zip(models, (ours, theirs), strict=True):
            optimizer.zero_grad()
            (model(torch.tensor([[1.0, -2.0, 0.5]])) ** 2).sum().backward()
            optimizer.step()
    for a, b in zip(*(model.parameters() for model in models), strict=True):
        assert torch.allclose(a, b, atol=1e-7)


def test_the_velocity_of_momentum_survives_saving():
    models = [torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)]
    models[1].load_state_dict(models[0].state_dict())
    whole, first = (optimise.make(model, settings(optimizer="sgd", momentum=0.8)) for model in models)
    for step in range(4):
        if step == 2:
            saved = {name: value.clone() for name, value in first.tensors().items()}
            first = optimise.make(models[1], settings(optimizer="sgd", momentum=0.8))
            first.restore(saved)
        for model, optimizer in zip(models, (whole, first), strict=True):
            optimizer.zero_grad()
            model(torch.ones(1, 3)).square().sum().backward()
            optimizer.step()
    assert all(torch.equal(a, b) for a, b in zip(*(model.parameters() for model in models), strict=True))
    assert saved and all(value.any() for value in saved.values())


def test_drop_forgets_adams_moments_and_state_survives_saving():
    model = torch.nn.Linear(3, 2)
    optimizer = optimise.make(model, settings())
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    saved = {name: value.clone() for name, value in optimizer.tensors().items()}
    assert {name.split(".")[1] for name in saved} == {"step", "exp_avg", "exp_avg_sq"}
    optimizer.drop(0.25)
    assert not optimizer.tensors() and optimizer.rate == 0.25
    optimizer.restore(saved)
    again = optimizer.tensors()
    assert all(torch.equal(saved[name], again[name]) for name in saved) and saved.keys() == again.keys()


def test_accumulated_batches_merge_when_small_and_stay_apart_when_not():
    batches = [np.array([0]), np.array([1]), np.array([2]), np.array([3]), np.array([4])]
    chosen = settings(batch_size=1, accumulate=2)
    even, uneven, long = np.full(5, 10), np.array([1, 90, 1, 90, 1]), np.full(5, 9000)
    assert [[b.tolist() for b in g] for g in optimise.steps(batches, even, chosen)] == [[[0, 1]], [[2, 3]], [[4]]]
    assert [len(g) for g in optimise.steps(batches, long, chosen)] == [2, 2, 1]
    wide = settings(batch_size=1, accumulate=4)
    assert [len(g) for g in optimise.steps(batches, np.array([1, 1, 1, 90, 1]), wide)] == [4, 1]
    assert [len(g) for g in optimise.steps(batches, uneven, wide)] == [1, 1]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"learning_rat": 1}, "nearest: learning_rate"),
        ({"optimizer": "lbfgs"}, "adam, sgd"),
        ({"momentum": 0.8}, "expected 0 with optimizer: adam, got 0.8"),
        ({"keep": "rouge"}, "expected one of loss, generation, bleu, f1, accuracy, got 'rouge'"),
        ({"warmup": 1}, "expected a whole number of at least 2"),
        ({"epochs": 0}, "training.epochs"),
        ({"accumulate": 0}, "training.accumulate"),
        ({"learning_rate": "1e-4"}, "training.learning_rate"),
        ({"decay": 1.0}, "training.decay"),
        ({"kl_ramp_epochs": -1}, "training.kl_ramp_epochs"),
        ({"clip": 0}, "training.clip"),
        ({"patience": 0}, "training.patience"),
    ],
)
def test_bad_settings_are_named(changes, text):
    with pytest.raises(Problem, match=text):
        settings(**changes)


def test_missing_settings_are_named():
    with pytest.raises(
        Problem,
        match=r"epochs: expected a whole .*, got none; training.learning_rate: expected a finite .*, got none",
    ):
        Training.of({"batch_size": 1}, "training")


def test_the_rate_rises_with_the_logarithm_of_the_steps():
    rates = [warm(steps, settings(warmup=1000)) for steps in range(1200)]
    assert rates == sorted(rates) and rates[0] == rates[1] > 0
    assert rates[499] == pytest.approx(np.log(500) / np.log(1000))
    assert rates[998] < 1 == rates[999] == rates[-1]
    assert warm(3, settings()) == 1.0


class _TwoGroups(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = torch.nn.Linear(3, 2), torch.nn.Linear(2, 1)

    def forward(self, x):
        return self.second(self.first(x))

    def groups(self):
        return [list(self.second.parameters()), list(self.first.parameters())]


@pytest.mark.parametrize("name", ("adam", "sgd"))
def test_each_group_has_its_rate(name):
    models = [_TwoGroups(), _TwoGroups()]
    models[1].load_state_dict(models[0].state_dict())
    ours = optimise.make(models[0], settings(optimizer=name, learning_rate=0.1, group_rates=[0.1, 0.4]))
    rates = [{"params": models[1].second.parameters()}, {"params": models[1].first.parameters(), "lr": 0.4}]
    theirs = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}[name](rates, lr=0.1)
    for step in range(4):
        if step == 2:  # a schedule moves both
            ours.rate = 0.05
            for group in theirs.param_groups:
                group["lr"] /= 2
        for model, optimizer in zip(models, (ours, theirs), strict=True):
            optimizer.zero_grad()
            (model(torch.tensor([[1.0, -2.0, 0.5]])) ** 2).sum().backward()
            optimizer.step()
    for a, b in zip(*(model.parameters() for model in models), strict=True):
        assert torch.allclose(a, b, atol=1e-7)


def test_rates_of_other_groups_than_the_model_has_are_refused():
    with pytest.raises(Problem, match="group_rates for the 2 groups of _TwoGroups's parameters, got 3"):
        optimise.make(_TwoGroups(), settings(learning_rate=0.1, group_rates=[0.1, 0.2, 0.3]))
    with pytest.raises(Problem, match=r"learning_rate: expected one of group_rates, \[0.2\], got 0.1"):
        settings(learning_rate=0.1, group_rates=[0.2])
