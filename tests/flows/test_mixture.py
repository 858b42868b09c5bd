"""The mixture of Gaussians as a flow: against numerical integration, far from every component, and its root search."""

import math

import pytest
import torch
from scipy import integrate, optimize, stats
from torch import nn

from seqflows.flows import Components, GaussianMixture, standard_normal_log_density
from seqflows.flows.mixture import log_quantile


def mixture(dim=2, count=4, spread=3.0, seed=0):
    torch.manual_seed(seed)
    components = Components(count, dim).double()
    with torch.no_grad():
        components.means.mul_(spread)
        components.log_scales.copy_(0.5 * torch.randn(count, dim))
    return GaussianMixture(components)


def test_the_noise_is_that_of_the_conditional_distribution_functions():
    """F_2(z_2 | z_1) as a ratio of integrals of the mixture's density."""
    flow = mixture()
    log_w, z = torch.randn(1, 4, dtype=torch.float64), torch.tensor([[1.0, -0.5]], dtype=torch.float64)
    weights = log_w.softmax(-1)[0].numpy()
    means, scales = flow.components.means.detach().numpy(), flow.components.log_scales.exp().detach().numpy()

    def density(*point):
        parts = [stats.norm(means[:, d], scales[:, d]).pdf(value) for d, value in enumerate(point)]
        return float(sum(weights * math.prod(parts)))

    first = integrate.quad(density, -40, float(z[0, 0]), limit=200)[0]
    below = integrate.quad(lambda y: density(float(z[0, 0]), y), -40, float(z[0, 1]), limit=200)[0]
    whole = integrate.quad(lambda y: density(float(z[0, 0]), y), -40, 40, limit=200)[0]
    expected = stats.norm.ppf([first, below / whole])
    assert flow.forward(z, log_w)[0][0].detach().numpy() == pytest.approx(expected, abs=1e-7)
    assert flow.log_density(z, log_w).item() == pytest.approx(math.log(density(*z[0].tolist())), abs=1e-12)


@pytest.mark.parametrize("scale", [1.0, 30.0, 300.0])
def test_far_from_every_component_nothing_overflows_and_the_way_back_is_the_same(scale):
    flow = mixture(3, 5)
    log_w = torch.randn(500, 5, dtype=torch.float64)
    z = scale * torch.randn(500, 3, dtype=torch.float64)
    eps, log_det = flow.forward(z, log_w)
    assert torch.isfinite(eps).all()
    total = standard_normal_log_density(eps).sum(-1) + log_det
    assert torch.allclose(total, flow.log_density(z, log_w), rtol=1e-12, atol=1e-10)
    back, _ = flow.inverse(eps, log_w)
    assert torch.allclose(back, z, rtol=1e-9, atol=1e-9)


def test_components_far_apart_leave_gaps_that_the_root_search_crosses():
    """Where the density is all but zero Newton's steps leave the bracket: the root is that of a safe search."""
    components = Components(2, 1).double()
    with torch.no_grad():
        components.means.copy_(torch.tensor([[-60.0], [60.0]]))
        components.log_scales.copy_(torch.tensor([[0.0], [1.0]]))
    flow, log_w = GaussianMixture(components), torch.tensor([[0.3, 0.7]], dtype=torch.float64).log()
    eps = torch.linspace(-6, 6, 241, dtype=torch.float64)[:, None]
    z, _ = flow.inverse(eps, log_w.expand(len(eps), -1))

    def apart(value, noise):
        return flow.forward(torch.tensor([[value]], dtype=torch.float64), log_w)[0].item() - noise

    expected = [optimize.brentq(apart, -200, 200, args=(noise,), xtol=1e-12) for noise in eps[:, 0].tolist()]
    found = flow.forward(z, log_w.expand(len(eps), -1))[0]
    assert torch.allclose(found, eps, rtol=0, atol=1e-9)
    assert z[:, 0].detach().numpy() == pytest.approx(expected, rel=1e-6, abs=1e-6)
    assert (z[1:] > z[:-1]).all()


def test_the_quantile_of_a_logarithm():
    log_p = torch.tensor([-0.6, -1.0, -40.0, -499.0, -501.0, -1e4, -1e8], dtype=torch.float64, requires_grad=True)
    x = log_quantile(log_p)
    assert torch.allclose(torch.special.log_ndtr(x), log_p, rtol=1e-13, atol=0)
    assert torch.autograd.gradcheck(log_quantile, log_p.detach()[:-1].requires_grad_(), rtol=1e-4, atol=1e-5)


def test_a_shared_codebook_is_saved_once_and_trained():
    components = Components(3, 2)
    flow = GaussianMixture([components], nn.Linear(4, 3), 4)
    assert set(flow.state_dict()) == {"weights.weight", "weights.bias"}
    flow.log_density(torch.zeros(2, 2), torch.ones(2, 4)).sum().backward()
    assert components.means.grad is not None
    assert "owned.means" in GaussianMixture(Components(3, 2)).state_dict()


def test_no_component_is_refused():
    with pytest.raises(ValueError, match="Expected at least one component, got 0"):
        Components(0, 2)
