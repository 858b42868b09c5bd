"""The bound of K importance samples and its doubly reparametrised gradient (Burda et al. 2016, Tucker et al. 2019)."""

import math
from functools import partial

import pytest
import torch

from models_list import CASES, CODEBOOKS, FACTS, PAST, sequences, sharpened
from seqflows.data.batching import Batch

LATENT = [case for case in CASES if case.name == "af-made-nlsq-categorical"]
K = 3
MEANS, COPIES = 60, 20  # of the expectation of a gradient
named = pytest.mark.parametrize("case", [*LATENT, *PAST, *CODEBOOKS[:3:2]], ids=lambda case: case.name)


def ragged() -> Batch:
    x = torch.tensor([[0, 1], [1, 0]])
    return Batch(x, torch.tensor([2, 1]), torch.arange(2))


def plain(model, batch, kl_weight=1.0):
    """The same bound from `importance`, whose gradient contains the score of q."""
    log_weights, log_likelihood = model.importance(batch, K)
    length = model.length_log_prob(batch.lengths)[:, None]
    weighed = log_likelihood + length + kl_weight * (log_weights - log_likelihood - length)
    return -(torch.logsumexp(weighed, 1) - math.log(K))


def weighted(model, batch, kl_weight=1.0):
    return sum(model.weighted_objective(batch, K, kl_weight).values())


weights = pytest.mark.parametrize("kl_weight", [1.0, 0.4])


@named
@weights
def test_the_value_is_that_of_the_importance_weights(case, kl_weight):
    model, batch = sharpened(case.build()), ragged()
    torch.manual_seed(1)
    one = weighted(model, batch, kl_weight)
    torch.manual_seed(1)
    assert torch.allclose(one, plain(model, batch, kl_weight), rtol=0, atol=1e-12)


@pytest.mark.parametrize("dropped", ["dropout", "network_dropout"])
def test_the_draws_of_a_sequence_see_the_same_masks_in_training(dropped, monkeypatch):
    """Where all draws are the same point, prior and likelihood give them the same; at another call they do not."""
    changes = {"dropout": 0.0, "network_dropout": 0.0, "width": 12, "depth": 2}
    model, batch, seen = sharpened(LATENT[0].build(**changes | {dropped: 0.4})).train(), ragged(), []
    noised, of_draws = model._noised, model._of_draws

    def same(batch, samples):
        torch.manual_seed(5)  # the posterior's own masks and the noise
        rows, noise, *rest = noised(batch, samples)
        return rows, noise[::samples].repeat_interleave(samples, 0), *rest

    monkeypatch.setattr(model, "_noised", same)
    monkeypatch.setattr(model, "_of_draws", lambda k, score: seen.append(of_draws(k, score)) or seen[-1])
    for seed in (1, 2):
        monkeypatch.setattr(torch, "randint", lambda *_, seed=seed: torch.tensor(seed))
        model.weighted_objective(batch, K)
    assert len(seen) == 4
    for one in seen:
        rows = one.view(2, K)
        assert torch.allclose(rows, rows[:, :1].expand(2, K), rtol=0, atol=1e-10)
    prior, likelihood = ((seen[part] - seen[part + 2]).abs().max() > 1e-6 for part in (0, 1))
    assert (prior, likelihood) == ((True, False) if dropped == "dropout" else (False, True))


def repeated(batch: Batch, copies: int) -> Batch:
    """The sequences of a batch, again and again: as many draws in one pass."""
    return Batch(batch.x.repeat(copies, 1), batch.lengths.repeat(copies), torch.arange(copies * len(batch.lengths)))


def gradients(model, batch, objective):
    """(MEANS, N) of gradients of every parameter, each a sum over COPIES draws."""
    found, batch = [], repeated(batch, COPIES)
    parameters = list(model.parameters())
    for seed in range(MEANS):
        torch.manual_seed(seed)
        found.append(torch.cat([g.flatten() for g in torch.autograd.grad(objective(model, batch).sum(), parameters)]))
    return torch.stack(found)


@named
@weights
def test_the_gradient_is_that_of_the_bound_in_expectation(case, kl_weight):
    """Against the gradient of the reparametrised bound."""
    model, batch = sharpened(case.build()), ragged()
    ours, theirs = (gradients(model, batch, partial(one, kl_weight=kl_weight)) for one in (weighted, plain))
    error = ((ours.var(0) + theirs.var(0)) / MEANS).sqrt()
    apart = (ours.mean(0) - theirs.mean(0)).abs()
    assert (apart <= 5 * error + 1e-9).all()
    assert (ours.mean(0).abs() > 5 * error).any()
    if case in LATENT and kl_weight == 1:  # less noise in the posterior's parameters, which is what it is for
        sizes = [parameter.numel() for parameter in model.parameters()]
        names = [name for name, _ in model.named_parameters()]
        noise = [
            sum(
                part.var(0).sum()
                for name, part in zip(names, one.split(sizes, 1), strict=True)
                if "to_posterior" in name
            )
            for one in (ours, theirs)
        ]
        assert noise[0] < noise[1]


def test_the_gradient_of_a_codebook_has_no_noise_at_the_exact_posterior():
    """With every weight equal, nothing is left to gain."""
    case = next(one for one in CODEBOOKS if one.name == "codebook")
    model = sharpened(case.build())
    batch = sequences(FACTS["categorical"], 1)
    with torch.no_grad():  # a prior whose weights are the codebook's is the mixture that its symbols' Gaussians make
        model.prior.inner.weights.weight.zero_()
        model.prior.inner.weights.bias.copy_(model.emission.bias)
    book = [model.emission.components.means, model.emission.components.log_scales]
    found = torch.autograd.grad(weighted(model, batch).sum(), book)
    assert all(gradient.abs().max() < 1e-12 for gradient in found)
