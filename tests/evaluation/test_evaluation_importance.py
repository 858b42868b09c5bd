"""Cross entropies by importance sampling: against exact ones and prior trajectories, and what their error holds."""

import math

import numpy as np
import pytest
import torch

from seqflows import compute
from seqflows.data.batching import collate
from seqflows.data.prepared import Facts, Split
from seqflows.data.readers import lexicon
from seqflows.evaluation import importance
from seqflows.evaluation.importance import Plan
from seqflows.evaluation.trie import Trie, estimates, weighted
from seqflows.models import build
from seqflows.models.words import WordModel
from seqflows.training.optimise import Adam

CPU = compute.Machine(torch.device("cpu"), "cpu", 1, "fp32")
FACTS = Facts("categorical", 27, 13, (0, *[1] * 13))
RNG = np.random.default_rng(5)
TEXTS = sorted({"".join(RNG.choice(list("abcd"), RNG.integers(1, 5))) for _ in range(200)})
Q = RNG.dirichlet(np.full(len(TEXTS), 0.3))


def split(texts=TEXTS):
    symbols, lengths = lexicon.encode(list(texts))
    return Split("words", lengths, symbols)


class Known(WordModel):
    """P(w) known of every word, and unbiased log-normal weights for it, of a spread that differs by word."""

    exact = False

    def __init__(self, spread=0.3):
        super().__init__(FACTS, "known")
        self.log_p = -3 - 0.05 * torch.arange(len(TEXTS)).double() % 4
        self.spread = spread * (1 + torch.arange(len(TEXTS)).double() % 3)

    def importance(self, batch, samples):
        spread = self.spread[batch.index][:, None]
        log_weights = self.log_p[batch.index][:, None] - spread**2 / 2 + spread * torch.randn(len(batch.x), samples)
        return log_weights, log_weights - 1


def estimate(model, count, samples, seed, c, p=Q):
    plan = Plan.of(Q, count, np.random.default_rng(seed))
    before = torch.get_rng_state()
    scored = importance.score(model, split(), plan, samples, CPU, seed)
    assert torch.equal(torch.get_rng_state(), before)
    return plan.mean(p, scored.values["nll"], scored.variances["nll"], c)


# --- which words are scored


def test_frequent_words_are_scored_each_and_the_others_drawn():
    q = np.array([0.5, 0.2, 0.1, *np.full(100, 0.002), 0.0])
    plan = Plan.of(q, 20, np.random.default_rng(0))
    assert plan.frequent.tolist() == [0, 1, 2] and plan.copies.tolist() == [10, 4, 2] and len(plan.drawn) == 4
    assert set(plan.drawn) <= set(range(3, 103)) and plan.places.tolist() == [0, 1, 2, *plan.drawn]
    assert np.allclose(plan.weights, 0.2 / 0.002)


def test_few_words_are_scored_each():
    plan = Plan.of(Q, len(TEXTS), np.random.default_rng(0))
    assert len(plan.frequent) == len(plan.places) == len(TEXTS) and (plan.copies >= 1).all()
    values = np.arange(len(TEXTS), dtype=float)
    mean, error = plan.mean(Q, values, np.full(len(TEXTS), 4.0), RNG.random(len(TEXTS)))
    assert mean == pytest.approx(Q @ values) and error == pytest.approx(2 * np.sqrt((Q**2).sum()))


def test_pieces_hold_every_row_once_and_not_too_much(monkeypatch):
    monkeypatch.setattr(importance, "AT_ONCE", 60)
    places = np.array([3, 3, 0, 8, 11, 5])
    rows = list(importance.pieces(split(), places, 6))
    assert sorted(np.concatenate(rows).tolist()) == list(range(6))
    for piece in rows:
        assert len(piece) == 1 or split().lengths[places[piece]].max() * len(piece) * 6 <= 60


# --- the estimate


@pytest.mark.parametrize("count", [10, 40, len(TEXTS)])
@pytest.mark.parametrize("noise", [0.0, 2.0])
def test_the_error_is_that_of_drawing_words_and_of_the_samples(count, noise):
    """Again and again: off the exact cross entropy by as much as its error says, whatever the control variate is."""
    model = Known()
    wanted = weighted(Q, model.log_p.numpy())
    c = -model.log_p.numpy() + 0.7 + noise * np.random.default_rng(9).standard_normal(len(TEXTS))
    found = np.array([estimate(model, count, 400, seed, c) for seed in range(80)])
    z = (found[:, 0] - wanted) / found[:, 1]
    assert abs(z.mean()) < 0.5 and 0.75 < z.std(ddof=1) < 1.3
    assert (abs(z) < 2).mean() > 0.87


def test_prior_trajectories_take_what_drawing_adds():
    model = Known()
    c = -model.log_p.numpy() + 0.2
    errors = {name: estimate(model, 20, 400, 1, given)[1] for name, given in (("with", c), ("without", 0 * c))}
    assert errors["with"] < 0.2 * errors["without"]
    assert importance.control(np.array([-1.0, -np.inf])).tolist() == [1.0, 1.0]  # no word is left out for a zero


def test_half_of_the_samples_lies_higher():
    model = Known(spread=0.2)
    plan = Plan.of(np.full(len(TEXTS), 1 / len(TEXTS)), len(TEXTS), np.random.default_rng(0))
    scored = importance.score(model, split(), plan, 40, CPU, 0)
    assert (scored.values["half"] >= scored.values["nll"] - 1e-12).all()  # the log of a mean is concave
    assert (scored.values["elbo"] >= scored.values["half"]).all()
    assert np.allclose(scored.values["elbo"], scored.values["reconstruction"] + scored.values["kl"])
    # the bias at S is to first order the variance of a weight over 2 S: what is seen between S / 2 and S
    seen = (scored.values["half"] - scored.values["nll"]).mean()
    assert seen == pytest.approx((model.spread.square().exp() - 1).mean().item() / 80, rel=0.5)
    assert ((scored.values["ess"] >= 1) & (scored.values["ess"] <= 40)).all()


def test_a_frequent_word_has_the_samples_of_all_its_draws():
    """Weights with a tail: what one frequent word's own few samples miss would be the error of the whole."""
    model, q = Known(), np.array([0.9, *np.full(len(TEXTS) - 1, 0.1 / (len(TEXTS) - 1))])
    plan = Plan.of(q, 60, np.random.default_rng(0))
    assert plan.copies.tolist() == [54] and len(plan.drawn) == 6
    scored = importance.score(model, split(), plan, 20, CPU, 0)
    alone = np.exp(model.spread[0].item() ** 2) - 1  # a weight's variance
    assert scored.variances["nll"][0] == pytest.approx(alone / (54 * 20), rel=0.3)
    assert abs(scored.values["nll"][0] + model.log_p[0].item()) < 4 * math.sqrt(alone / 1080)
    assert scored.variances["nll"][1:].mean() > 15 * scored.variances["nll"][0]
    # what stands beside it is by the same samples: pooled, not of the last copy
    assert scored.values["elbo"][0] == pytest.approx(-model.log_p[0].item() + model.spread[0].item() ** 2 / 2, abs=0.03)
    assert scored.variances["elbo"][0] == pytest.approx(model.spread[0].item() ** 2 / 1080, rel=0.2)


@pytest.mark.parametrize(
    "changes", [{}, {"proposals": 3, "inference": "shared"}, {"transition": "real_nvp", "keep_from": 1, "keep_to": 2}]
)
def test_it_agrees_with_prior_trajectories(changes):
    """Two estimates of a trained model's cross entropy that share nothing but the model, on a small vocabulary."""
    torch.manual_seed(3)
    model = build({"class": "state_space", "state": 3, "units": 8, "width": 8, **changes}, FACTS)
    optimizer, rng = Adam(model.parameters(), 2e-2), np.random.default_rng(0)
    for _ in range(150):
        optimizer.zero_grad()
        terms = model.objective(collate(split(), rng.choice(len(TEXTS), 64, p=Q)), 1)
        sum(terms.values()).mean().backward()
        optimizer.step()
    model.eval()
    found, log_p = estimates(model, Trie.of(split()), [Q], (20_000, 40_000), torch.Generator().manual_seed(0))
    prior, c = found[-1], importance.control(log_p)
    for count in (40, len(TEXTS)):
        value, error = estimate(model, count, 500, 7, c)
        assert 0 < error < 0.015 and prior.error[0] < 0.02
        assert abs(value - prior.mean[0]) < 3 * math.hypot(error, prior.error[0])
