"""The posterior of a latent flow whose step sees its own past."""

import pytest
import torch

from models_list import FACTS, PAST, sequences, sharpened
from seqflows import models
from seqflows.data.batching import Batch
from seqflows.flows import standard_normal_log_density

(CASE,) = PAST


def independent():
    block = {name: value for name, value in CASE.block.items() if name != "posterior"}
    return models.build(block, FACTS["categorical"]).double().eval()


def drawn(model, batch, noise):
    """z of some noise, and log q(z | x) of the steps."""
    mean, log_scale = model._given(noise, *model._read(batch))
    return mean + log_scale.exp() * noise, standard_normal_log_density(noise) - log_scale


def test_without_what_it_reads_of_the_past_it_is_the_independent_one():
    model, plain, batch = CASE.build(), independent(), sequences(FACTS["categorical"], 3)
    with torch.no_grad():
        for parameter in model.to_change.parameters():
            parameter.zero_()
    known = model.state_dict()
    plain.load_state_dict({name: known[name] for name in plain.state_dict()})
    for each in zip(model.posterior(batch), plain.posterior(batch), strict=True):
        assert torch.equal(*each)
    torch.manual_seed(0)
    ours = model.objective(batch, 2)
    torch.manual_seed(0)
    theirs = plain.objective(batch, 2)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_a_step_depends_on_earlier_noise_alone():
    model, batch = sharpened(CASE.build()), sequences(FACTS["categorical"], 3)
    noise = torch.randn(*batch.x.shape, model.config.latent, dtype=torch.float64, requires_grad=True)
    mean, log_scale = model._given(noise, *model._read(batch))
    for found in (mean, log_scale):
        for step in range(found.shape[1]):
            (reached,) = torch.autograd.grad(found[:, step].sum(), noise, retain_graph=True, allow_unused=True)
            moved = reached.abs().sum((0, 2)) > 0
            assert moved[:step].all() and not moved[step:].any()


def test_its_density_is_that_of_the_map_from_noise():
    """log q(z | x) = log N(eps) - log |det d z / d eps|, by the whole Jacobian."""
    model, batch = sharpened(CASE.build()), sequences(FACTS["categorical"], 3)
    noise = torch.randn(*batch.x.shape, model.config.latent, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(lambda eps: drawn(model, batch, eps)[0], noise)
    expected = standard_normal_log_density(noise).sum() - jacobian.reshape(noise.numel(), -1).slogdet()[1]
    assert torch.allclose(drawn(model, batch, noise)[1].sum(), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("steps", [1, 2])
def test_padding_changes_nothing(steps):
    model, facts = sharpened(CASE.build()), FACTS["categorical"]
    batch = sequences(facts, 3)
    short = Batch(batch.x[:, :steps], torch.full_like(batch.lengths, steps), batch.index)
    padded = Batch(torch.cat([batch.x[:, :steps], 0 * batch.x[:, steps:]], 1), short.lengths, batch.index)
    noise = torch.randn(*batch.x.shape, model.config.latent, dtype=torch.float64)
    ours, theirs = (drawn(model, one, noise[:, : one.x.shape[1]])[0][:, :steps] for one in (short, padded))
    assert torch.allclose(ours, theirs, rtol=0, atol=1e-12)
