"""The bounds of whole passes (Burda et al. 2016) and of a particle filter (Maddison et al. 2017), and exact values."""

import math

import pytest
import torch
from test_state_space import make, words

from models_list import word_log_probs as exact
from seqflows.data.batching import Batch

BOUNDS = ("weighted_objective", "filtered_objective")
every = pytest.mark.parametrize("bound", BOUNDS)
BATCH = ("b", "abb", "", "aab")


def estimates(model, batch, bound, samples, count):
    """(count, B) of log of the estimates of P(w)."""
    rows = Batch(batch.x.repeat(count, 1), batch.lengths.repeat(count), torch.arange(count * len(batch.x)))
    torch.manual_seed(0)
    with torch.no_grad():
        return -getattr(model, bound)(rows, samples)["nll"].view(count, -1)


@every
@pytest.mark.parametrize("name", ["tril", "tril-k3"])
def test_the_estimate_of_a_words_probability_is_unbiased(name, bound):
    """Words of all lengths together, not in the order of their lengths: each in its own place."""
    model, batch, count = make(name), words(*BATCH), 4000
    ratio = (estimates(model, batch, bound, 4, count) - exact(model, batch)).exp()
    error = ratio.std(0) / math.sqrt(count)
    assert (error < 0.05).all() and ((ratio.mean(0) - 1).abs() <= 5 * error + 1e-6).all()


@every
def test_more_passes_tighten_the_bound(bound):
    model, batch = make(), words("aab", "ab")
    means = [estimates(model, batch, bound, samples, 2000).mean(0) for samples in (1, 4, 32)]
    assert (means[0] + 0.01 < means[1]).all() and (means[1] + 0.003 < means[2]).all()
    assert (means[2] < exact(model, batch)).all()


@every
def test_one_pass_is_the_evidence_lower_bound(bound):
    model, batch, count = make(), words("aab", "b"), 8000
    found = estimates(model, batch, bound, 1, count)
    torch.manual_seed(1)
    with torch.no_grad():
        terms = model.objective(batch, 4000)
    slack = 7 * found.std(0) / math.sqrt(count)
    assert ((found.mean(0) + terms["reconstruction"] + terms["kl"]).abs() <= slack).all()


@every
def test_a_kl_weight_weighs_what_is_not_likelihood(bound):
    """With one pass, between the bound and its reconstruction."""
    model, batch, count = make(), words("aab", "b"), 8000
    rows = Batch(batch.x.repeat(count, 1), batch.lengths.repeat(count), torch.arange(2 * count))
    torch.manual_seed(1)
    with torch.no_grad():
        terms = model.objective(batch, 4000)
        for weight in (0.0, 0.3):
            found = getattr(model, bound)(rows, 1, weight)["nll"].view(count, 2)
            wanted = terms["reconstruction"] + weight * terms["kl"]
            assert ((found.mean(0) - wanted).abs() <= 7 * found.std(0) / math.sqrt(count)).all()


@every
def test_a_word_is_scored_as_by_a_loop_over_its_steps(bound):
    """The textbook's recursion, for one word, with the same draws."""
    model, batch, samples = make(), words("aba"), 6
    torch.manual_seed(3)
    with torch.no_grad():
        found = -getattr(model, bound)(batch, samples)["nll"]
        torch.manual_seed(3)
        reading, resampled = model._reading(model.read(batch)), 0
        h, log_w, total = model.start.expand(samples, -1), torch.zeros(samples, dtype=torch.float64), 0.0
        for t, symbol in enumerate(batch.x[0]):
            h, _, log_omega = model._step(h, reading[:, t].expand(samples, -1), symbol.expand(samples), 1)
            h, log_w = h[:, 0], log_w + log_omega[:, 0]
            share = log_w.softmax(0)
            if bound == "filtered_objective" and 1 / share.square().sum() < samples / 2:
                resampled += 1
                total = total + torch.log(log_w.exp().mean())
                h, log_w = h[torch.multinomial(share[None], samples, replacement=True)[0]], torch.zeros_like(log_w)
    assert torch.allclose(found, total + torch.log(log_w.exp().mean()), rtol=0, atol=1e-12)
    assert resampled >= (bound == "filtered_objective")


@every
def test_every_part_of_the_model_is_trained(bound):
    model = make()
    torch.manual_seed(0)
    model.train()
    sum(getattr(model, bound)(words("ab", "aab"), 4).values()).sum().backward()
    assert all(one.grad is not None and bool(one.grad.abs().sum() > 0) for one in model.parameters())
