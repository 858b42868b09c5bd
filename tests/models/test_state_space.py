"""Models of words against the exact likelihood: quadrature over the state, enumeration over words.

Legend: T time with the end symbol, G points of a grid over the state, V symbols.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from models_list import sharpened
from models_list import word_log_probs as exact
from seqflows.data.batching import Batch
from seqflows.data.prepared import Facts
from seqflows.errors import Problem
from seqflows.flows import Triangular, standard_normal_log_density
from seqflows.models import build, state_space

FACTS = Facts("categorical", 3, 4, (0, 0, 1, 1, 1))  # two letters and the end symbol
SMALL = {"class": "state_space", "state": 1, "embedding": 3, "units": 4, "width": 6}
VARIANTS = {
    "tril": {},
    "2xtril": {"layers": 2},
    "diag": {"transition": "diag"},
    "tril-shared": {"inference": "shared"},
    "tril-tril": {"inference": "tril"},
    "tril-k3": {"proposals": 3},
    "2xtril-k2-both": {"layers": 2, "proposals": 2, "reader": "both"},
    "tril-both": {"reader": "both"},
}
every = pytest.mark.parametrize("name", VARIANTS)


def make(name="tril", seed=0, **changes):
    """A model with weights wide enough that states matter, in float64."""
    torch.manual_seed(seed)
    return sharpened(build(SMALL | VARIANTS[name] | changes, FACTS).double().eval())


def words(*texts):
    """'ab' -> symbols 0 1 and the end."""
    rows = [["ab".index(letter) for letter in text] + [2] for text in texts]
    lengths = torch.tensor([len(row) for row in rows])
    x = torch.zeros(len(rows), int(lengths.max()), dtype=torch.long)
    for n, row in enumerate(rows):
        x[n, : len(row)] = torch.tensor(row)
    return Batch(x, lengths, torch.arange(len(rows)))


EVERY = ["".join(letters) for size in range(4) for letters in itertools.product("ab", repeat=size)]


@every
def test_the_bound_lies_below_and_importance_sampling_reaches_the_exact_likelihood(name):
    model, batch = make(name), words("ab", "b", "aab")
    truth, samples = exact(model, batch), 20_000
    torch.manual_seed(1)
    with torch.no_grad():
        log_weights, log_likelihood = model.importance(batch, samples)
        terms = model.objective(batch, 4000)
    w = (log_weights - truth[:, None]).exp()
    error = w.std(1) / math.sqrt(samples)
    assert (error < 0.1).all() and ((w.mean(1) - 1).abs() <= 5 * error + 1e-3).all()
    assert (log_likelihood <= 0).all()
    bound = -(terms["reconstruction"] + terms["kl"])
    assert (bound < truth).all()
    slack = 5 * log_weights.std(1) / math.sqrt(4000)  # the bound is the mean log-weight
    assert ((bound - log_weights.mean(1)).abs() <= 2 * slack).all()


@every
def test_prior_trajectories_give_the_exact_likelihood(name):
    model, batch = make(name), words("ab", "b", "aab", "")
    truth, count = exact(model, batch).exp(), 40_000
    log_p = model.trajectories(count, 4, torch.Generator().manual_seed(0))
    assert log_p.shape == (count, 4, 3) and torch.allclose(log_p.exp().sum(-1), torch.ones(1, dtype=torch.float64))
    for x, length, wanted in zip(batch.x, batch.lengths.tolist(), truth, strict=True):
        p = log_p[:, torch.arange(length), x[:length]].sum(1).exp()
        assert abs(p.mean() - wanted) <= 5 * p.std() / math.sqrt(count)


PLANE = {
    "tril": {},
    "2xtril-k3": {"layers": 2, "proposals": 3},
    "real_nvp": {"transition": "real_nvp", "keep_from": 1, "keep_to": 1},
}


def exact_in_the_plane(model, batch, reach=7.0, points=57):
    """As `exact`, over a two-dimensional state: here G has an entry below its diagonal."""
    axis = torch.linspace(-reach, reach, points, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis)
    area = (axis[1] - axis[0]).item() ** 2
    with torch.no_grad():
        log_p = model.to_symbols(grid).log_softmax(-1)

        def density(before):
            rows = []
            for state in before:
                noise, log_det = model.generative.forward(grid, state.expand(len(grid), -1))
                rows.append((standard_normal_log_density(noise).sum(-1) + log_det).exp())
            return torch.stack(rows)

        first, onwards, found = density(model.start[None])[0], density(grid) * area, []
        for x, length in zip(batch.x, batch.lengths.tolist(), strict=True):
            alpha = first * log_p[:, x[0]].exp()
            for t in range(1, length):
                alpha = (alpha @ onwards) * log_p[:, x[t]].exp()
            found.append((alpha.sum() * area).log())
    return torch.stack(found)


@pytest.mark.parametrize("name", PLANE)
def test_in_two_dimensions_all_estimates_agree_with_quadrature(name):
    torch.manual_seed(3)
    model = build(SMALL | {"state": 2} | PLANE[name], FACTS).double().eval()
    with torch.no_grad():
        model.to_symbols.weight.mul_(2.0 / model.to_symbols.weight.std())
        model.posterior[-1].weight.mul_(0.3)
        model.posterior[-1].bias[2:] = 0.3
        for part in model.inferred.flows:
            part.network[-1].weight.mul_(0.3)
        # transitions that a grid can follow, with a good deal below the diagonal
        for part in model.generative.modules():
            if isinstance(part, Triangular):
                part.network[-1].bias[-1] = 0.8
    batch, count = words("ab", "b"), 20_000
    truth = exact_in_the_plane(model, batch)
    torch.manual_seed(1)
    with torch.no_grad():
        w = (model.importance(batch, count)[0] - truth[:, None]).exp()
        terms = model.objective(batch, 4000)
    error = w.std(1) / math.sqrt(count)
    assert (error < 0.2).all() and ((w.mean(1) - 1).abs() <= 5 * error + 5e-3).all()
    assert (-(terms["reconstruction"] + terms["kl"]) < truth).all()
    log_p = model.trajectories(40_000, 3, torch.Generator().manual_seed(0))
    for x, length, wanted in zip(batch.x, batch.lengths.tolist(), truth.exp(), strict=True):
        p = log_p[:, torch.arange(length), x[:length]].sum(1).exp()
        assert abs(p.mean() - wanted) <= 5 * p.std() / math.sqrt(40_000) + 5e-3 * wanted


def test_the_mean_log_weight_is_the_bound_that_is_trained():
    model, batch = make("tril-k3"), words("ab", "aab")
    torch.manual_seed(2)
    with torch.no_grad():
        log_weights, log_likelihood = model.importance(batch, 6000)
        terms = model.objective(batch, 6000)
    slack = 5 * log_weights.std(1) / math.sqrt(3000)
    assert ((log_weights.mean(1) + terms["reconstruction"] + terms["kl"]).abs() <= slack).all()
    slack = 5 * log_likelihood.std(1) / math.sqrt(3000)
    assert ((log_likelihood.mean(1) + terms["reconstruction"]).abs() <= slack).all()


@pytest.mark.parametrize("bound", ["objective", "weighted_objective", "filtered_objective"])
def test_the_variance_of_the_weights_is_watched_in_validation_alone(bound):
    batch, found = words("ab", "aab", "b"), {}
    for seed, method in enumerate(("objective", bound)):
        model = make("tril-k3")
        torch.manual_seed(seed)
        with torch.no_grad():
            getattr(model.train(), method)(batch, 2)
            assert "weight_variance" not in model.eval().monitor()
            getattr(model, method)(batch, 2000)
            found[seed] = model.monitor()["weight_variance"]
        assert "weight_variance" not in model.monitor()
    assert 0 < found[0] < 2  # (K - 1) where one weight has everything
    if bound != "filtered_objective":  # whose states have another distribution
        assert found[1] == pytest.approx(found[0], rel=0.05)
    with torch.no_grad():
        single = make("tril")
        getattr(single, bound)(batch, 2)
    assert "weight_variance" not in single.monitor()


def test_weights_that_are_not_finite_show_in_the_loss():
    model = make("tril-k3")
    with torch.no_grad():
        model.to_symbols.bias.fill_(math.nan)
    assert not sum(model.objective(words("ab"), 2).values()).isfinite().any()


@pytest.mark.parametrize("name", ["tril", "tril-k3"])
def test_a_finished_word_adds_nothing_even_where_its_states_run_away(name):
    """Past its end a word is still in the batch of the longer ones."""
    model, batch = make(name), words("a", "aab")
    step, calls = model._step, []

    def runs_away(before, reading, symbols, draws):
        calls.append(symbols)
        found = step(before, reading, symbols, draws)
        if len(calls) > 2:  # the steps of "a" and its end
            for value in found:
                value[: len(before) // 2] = math.nan
        return found

    model._step = runs_away
    with torch.no_grad():
        for value in model.importance(batch, 3):
            assert value.isfinite().all()
    assert len(calls) == 4


def test_states_that_run_away_stay_finite():
    model = build({"class": "state_space", "state": 8, "transition": "real_nvp"}, FACTS)
    with torch.no_grad():
        for parameter in model.generative.parameters():
            parameter.mul_(40)
    assert model.trajectories(200, 4).isfinite().all()


@pytest.mark.parametrize("name", [name for name, changes in VARIANTS.items() if "proposals" not in changes])
def test_what_is_scored_for_all_steps_together_is_that_of_each_step(name, monkeypatch):
    """With one proposal F_g and the symbols are computed after the loop over time, in blocks."""
    model, batch, bounds = make(name), words("ab", "bb", "ba"), []
    for rows in (100, 2):
        monkeypatch.setattr(state_space, "IN_CACHE", rows)
        torch.manual_seed(4)
        terms = model.objective(batch, 1)
        bounds.append(-terms["reconstruction"] - terms["kl"])
    torch.manual_seed(4)
    reading, h, total = model._reading(model.read(batch)), model.start.expand(3, -1), 0
    for t in range(3):
        proposed, _, log_omega = model._step(h, reading[:, t], batch.x[:, t], 1)
        h, total = proposed[:, 0], total + log_omega[:, 0]
    for bound in bounds:
        assert torch.allclose(bound, total, rtol=1e-12)


def test_more_proposals_tighten_the_bound():
    batch, bounds = words("ab", "aab"), []
    for count in (1, 3, 10):
        model = make("tril-k3")
        object.__setattr__(model.config, "proposals", max(count, 2))  # the same parameters see the simulated state
        torch.manual_seed(2)
        with torch.no_grad():
            if count == 1:
                reading = model._reading(model.read(batch))
                bounds.append(_one_proposal(model, batch, reading, 4000))
            else:
                terms = model.objective(batch, 2000)
                bounds.append(-(terms["reconstruction"] + terms["kl"]))
    assert (bounds[0] < bounds[1]).all() and (bounds[1] < bounds[2]).all()
    assert (bounds[2] < exact(make("tril-k3"), batch)).all()


def _one_proposal(model, batch, reading, samples):
    """The mean log-weight of whole trajectories with one draw a step."""
    found = []
    for n, length in enumerate(batch.lengths.tolist()):
        h, total = model.start.expand(samples, -1), 0
        for t in range(length):
            proposed, _, log_omega = model._step(h, reading[n, t].expand(samples, -1), batch.x[n, t].expand(samples), 1)
            h, total = proposed[:, 0], total + log_omega[:, 0]
        found.append(total.mean())
    return torch.stack(found)


def test_probabilities_of_words_and_of_what_is_longer_sum_to_one():
    model = make()
    short = exact(model, words(*EVERY)).exp().sum()
    log_p = model.trajectories(40_000, 4, torch.Generator().manual_seed(0))
    longer = torch.expm1(log_p[..., 2]).neg().prod(1)  # no end symbol in four steps
    assert abs(short + longer.mean() - 1) <= 5 * longer.std() / 200


def test_samples_have_the_distribution_that_the_model_scores():
    model, count = make(), 20_000
    torch.manual_seed(3)
    drawn = model.sample(count)
    assert (drawn.x.gather(1, drawn.lengths[:, None] - 1) == 2).all() and int(drawn.lengths.max()) <= 4
    texts = [
        "".join("ab"[s] for s in x[: n - 1]) for x, n in zip(drawn.x.tolist(), drawn.lengths.tolist(), strict=True)
    ]
    for text in ("", "a", "b", "ab", "bb"):  # shorter than the cut
        p = exact(model, words(text)).exp().item()
        assert abs(texts.count(text) / count - p) <= 5 * math.sqrt(p * (1 - p) / count)


def test_a_shared_transition_is_the_plain_bound():
    """F_q = F_g: s is the identity, and the two-flow bound with the same flow on both sides is the plain ELBO."""
    shared, two = make("tril-shared"), make("tril-tril")
    two.load_state_dict(shared.state_dict(), strict=False)
    two.inferred.load_state_dict(shared.generative.state_dict())
    batch = words("ab", "bba", "a")
    values = []
    for model in (shared, two):
        torch.manual_seed(5)
        terms = model.objective(batch, 3)
        values.append(torch.stack([terms["reconstruction"], terms["kl"]]))
    assert torch.allclose(*values, rtol=1e-9, atol=1e-9)


def test_the_gradient_is_that_of_equation_11():
    """On one step: grad of log mean_k omega_k = sum_k omega_k / sum omega grad log omega_k, the weights held fixed."""
    model, batch = make("tril-k3"), words("")
    torch.manual_seed(7)
    terms = model.objective(batch, 5)
    found = torch.autograd.grad((terms["reconstruction"] + terms["kl"]).sum(), model.parameters(), allow_unused=True)
    torch.manual_seed(7)
    reading = model._reading(model.read(batch))[:, 0].expand(5, -1)
    _, _, log_weight = model._step(model.start.expand(5, -1), reading, torch.full((5,), 2), 3)
    share = log_weight.detach().softmax(1)
    wanted = torch.autograd.grad(-(share * log_weight).sum(1).mean(), model.parameters(), allow_unused=True)
    assert sum(gradient is not None for gradient in found) > 8
    for a, b in zip(found, wanted, strict=True):
        assert (a is None) == (b is None)
        assert a is None or torch.allclose(a, b, rtol=1e-9, atol=1e-12)


@every
def test_padding_changes_nothing(name, monkeypatch):
    model = make(name)
    monkeypatch.setattr(torch, "randn", torch.zeros)
    monkeypatch.setattr(torch, "multinomial", lambda p, count: p.argmax(-1, keepdim=True))
    together, alone = words("ab", "bbb", ""), [words("ab"), words("bbb"), words("")]
    for score in (lambda m, b: m.objective(b, 1)["reconstruction"] + m.objective(b, 1)["kl"],
                  lambda m, b: m.importance(b, 1)[0][:, 0]):  # fmt: skip
        assert torch.allclose(score(model, together), torch.cat([score(model, one) for one in alone]), atol=1e-9)


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] * (n != "tril-k3")) for n in VARIANTS])
def test_training_on_a_few_words_overfits_them(name):
    torch.manual_seed(0)
    model = build(SMALL | {"state": 4, "width": 16, "units": 8} | VARIANTS[name], FACTS)
    batch, optimiser, losses = words("ab", "ab", "aab"), torch.optim.Adam(model.parameters(), 0.01), []
    for _ in range(700):
        optimiser.zero_grad()
        loss = sum(model.objective(batch, 4).values()).mean()
        loss.backward()
        losses.append(loss.item())
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimiser.step()
    # the entropy of these words is 0.64 nats, the frequencies of their symbols alone give 3.7
    assert 0.6 < np.mean(losses[-50:]) < 3.2


@every
def test_every_parameter_gets_a_gradient(name):
    model = make(name)
    sum(model.objective(words("ab", "bba"), 3).values()).sum().backward()
    for label, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all() and (parameter.grad != 0).any(), label


def test_real_nvp_transitions():
    model = build({"class": "state_space", "state": 8, "transition": "real_nvp"}, FACTS).double()
    batch = words("ab", "b")
    torch.manual_seed(0)
    terms = model.objective(batch, 500)
    bound = -(terms["reconstruction"] + terms["kl"])
    log_p = model.trajectories(20_000, 3)
    for n, (x, length) in enumerate(zip(batch.x, batch.lengths.tolist(), strict=True)):
        p = log_p[:, torch.arange(length), x[:length]].sum(1).exp()
        assert bound[n] < (p.mean() + 5 * p.std() / math.sqrt(20_000)).log()


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ({"transition": "real_nvp", "state": 7}, "keep_to: expected fewer dimensions than the state has, 7, got 7"),
        ({"transition": "real_nvp", "state": 8, "layers": 2}, "layers: expected 1 with real_nvp"),
        ({"keep_from": 5, "keep_to": 3}, "keep_from: expected at most keep_to, 3, got 5"),
        ({"proposals": 0}, "proposals: expected a whole number of at least 1, got 0"),
        ({"delta": 0.5}, "delta: expected a finite number above 0 and below 0.5, got 0.5"),
        ({"delta": 0.0}, "delta: expected a finite number above 0 and below 0.5, got 0.0"),
        ({"transition": "trill"}, "nearest: tril"),
        ({"state": 0}, "state: expected a whole number of at least 1"),
    ],
)
def test_bad_blocks_are_refused(block, message):
    with pytest.raises(Problem, match=message):
        build(SMALL | block, FACTS)


# --- the baseline ---------------------------------------------------------------------------------------------------


def gru(seed=0):
    torch.manual_seed(seed)
    model = build({"class": "gru_baseline", "state": 5}, FACTS).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter))
    return model


def test_the_baselines_probabilities_sum_to_one():
    model = gru()
    batch = words(*EVERY)
    with torch.no_grad():
        short = model.log_prob(batch).exp().sum()
        longest = words(*("".join(letters) for letters in itertools.product("ab", repeat=4)))
        steps = model._log_probs(longest.x).gather(-1, longest.x[..., None])[..., 0]
        longer = steps[:, :4].sum(1).exp().sum()  # four letters without an end
    assert (short + longer).item() == pytest.approx(1, abs=1e-9)
    terms = model.objective(batch, 1)
    assert set(terms) == {"nll"} and torch.allclose(-terms["nll"], model.log_prob(batch))
    assert (model.length_log_prob(batch.lengths) == 0).all()


def test_the_baselines_samples_have_its_distribution():
    model, count = gru(), 20_000
    torch.manual_seed(1)
    drawn = model.sample(count)
    texts = [
        "".join("ab"[s] for s in x[: n - 1]) for x, n in zip(drawn.x.tolist(), drawn.lengths.tolist(), strict=True)
    ]
    for text in ("", "a", "ab"):
        p = model.log_prob(words(text)).exp().item()
        assert abs(texts.count(text) / count - p) <= 5 * math.sqrt(p * (1 - p) / count)


def test_the_baselines_trajectories_are_conditionals_along_its_own_words():
    model = gru()
    log_p = model.trajectories(3000, 2, torch.Generator().manual_seed(0))
    assert log_p.shape == (3000, 2, 3) and torch.allclose(log_p.exp().sum(-1), torch.ones(1, dtype=torch.float64))
    first = model._log_probs(words("a").x)[0, 0]
    assert torch.allclose(log_p[:, 0], first.expand(3000, -1))
    # each trajectory's second step is one of the conditionals after a or b; after the end a new word begins
    after = torch.stack([*(model._log_probs(torch.tensor([[s, 0]]))[0, 1] for s in range(2)), first])
    distance = (log_p[:, 1, None] - after).abs().sum(-1)
    assert (distance.min(1).values < 1e-9).all()
    shares = torch.bincount(distance.argmin(1), minlength=3) / 3000
    assert (shares - first.exp()).abs().max() < 0.05


@pytest.mark.parametrize("name", ["state_space", "gru_baseline"])
def test_words_refuse_what_they_cannot_do(name):
    model = build({"class": name, "state": 4}, FACTS)
    with pytest.raises(Problem, match="expected no lengths for words"):
        model.sample(2, lengths=torch.tensor([2, 3]))
    with pytest.raises(Problem, match="categorical"):
        build({"class": name}, Facts("bernoulli", 3, 4, (0, 1)))
    assert (model.sample(4, mode=True).lengths >= 1).all()
