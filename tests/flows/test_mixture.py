"""The mixture of Gaussians as a flow: against numerical integration, far from every component, and its root search."""

import math

import pytest
import torch
from scipy import integrate, optimize, stats
from torch import nn

from seqflows.flows import Components, GaussianMixture, PointMixture, close_pairs, standard_normal_log_density
from seqflows.flows import mixture as mixture_module
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


@pytest.mark.parametrize("count", [3, 7, 17])
def test_components_that_start_at_others_are_near_as_many_of_them_as_can_be(count):
    """Each within a few of NEAR of its deviations; fewer are copies of different ones, more come round again."""
    others = mixture(6, 7, spread=30.0).components
    made = Components(count, 6).double()
    made.start_at(others)
    apart = (made.means[:, None] - others.means).abs() * torch.exp(-others.log_deviations)
    chosen = apart.amax(-1).argmin(1)
    assert apart[torch.arange(count), chosen].max() < 5 * mixture_module.NEAR
    assert torch.equal(made.log_scales, others.log_scales[chosen])
    assert len(chosen.unique()) == min(count, 7)
    if count > 7:
        assert torch.equal(chosen[7:14], chosen[:7]) and not torch.equal(made.means[7:14], made.means[:7])


def test_what_is_drawn_by_component_has_standard_normal_noise():
    """The Rosenblatt transform of the mixture's own draws, each dimension by the test of Kolmogorov and Smirnov."""
    flow, count = mixture(3, 4), 4000
    generator = torch.Generator().manual_seed(1)
    log_w = torch.tensor([[0.0, -1.0, 0.7, -math.inf]], dtype=torch.float64).expand(count, -1)
    noise = torch.randn(count, 3, dtype=torch.float64, generator=generator)
    uniform = torch.rand(count, dtype=torch.float64, generator=generator)
    with torch.no_grad():
        eps = flow.forward(flow.draw(noise, uniform, log_w), log_w)[0]
    assert min(stats.kstest(column, "norm").pvalue for column in eps.numpy().T) > 1e-3
    assert abs(float(torch.corrcoef(eps.T).triu(1).abs().max())) < 4 / math.sqrt(count)


def test_a_uniform_number_chooses_a_component_that_has_weight():
    flow = mixture(2, 4)
    log_w = torch.tensor([[-math.inf, math.log(0.25), math.log(0.75), -math.inf]], dtype=torch.float64).expand(4, -1)
    uniform = torch.tensor([0.0, 0.2499, 0.2501, 1 - 2**-53], dtype=torch.float64)
    drawn = flow.draw(torch.zeros(4, 2, dtype=torch.float64), uniform, log_w)
    assert torch.equal(drawn, flow.components.means[[1, 1, 2, 2]])


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


@pytest.mark.parametrize("log_scale", [0.0, -3.0, -6.0])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_density_of_a_component_keeps_its_digits(log_scale, precision):
    """Of its own draws, at 64 dimensions: against differences in float64. The expanded square in float32 does not."""
    torch.manual_seed(0)
    components = Components(49, 64)
    with torch.no_grad():
        components.log_scales.fill_(log_scale)
        z = components.means + math.exp(log_scale) * torch.randn(49, 64)
        expected = standard_normal_log_density((z.double() - components.means.double()) * math.exp(-log_scale)).sum(-1)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16"):
            found = components.log_density(z)
    assert found.dtype == torch.float32
    assert torch.allclose(found.diagonal().double(), expected - 64 * log_scale, rtol=1e-6, atol=1e-5)
    single = (z.square().sum(-1) + components.means.square().sum(-1) - 2 * (z * components.means).sum(-1)).detach()
    rough = -0.5 * single * math.exp(-2 * log_scale) - 64 * (log_scale + 0.5 * math.log(2 * math.pi))
    assert log_scale == 0 or float((rough - (expected - 64 * log_scale)).abs().max()) > 1e-3


@pytest.mark.parametrize("log_scale", [-1e4, -9.0, 9.0, 1e4])
def test_a_deviation_stops_at_its_bound(log_scale):
    """Where training drives it beyond: density, noise and draws are finite, and those at the bound."""
    flow = mixture(2, 3)
    at_bound = mixture(2, 3)
    with torch.no_grad():
        flow.components.log_scales[0] = log_scale
        at_bound.components.log_scales[0] = math.copysign(8.0, log_scale)
    log_w, noise = torch.randn(5, 3, dtype=torch.float64), torch.randn(5, 2, dtype=torch.float64)
    uniform = torch.rand(5, dtype=torch.float64)
    found = [(one.draw(noise, uniform, log_w), *one.forward(noise, log_w), one.log_density(noise, log_w))
             for one in (flow, at_bound)]  # fmt: skip
    assert all(torch.isfinite(one).all() and torch.equal(one, other) for one, other in zip(*found, strict=True))
    flow.log_density(flow.components.means.detach(), log_w[:3]).sum().backward()
    gradient = flow.components.log_scales.grad
    assert torch.equal(gradient[0], torch.zeros(2, dtype=torch.float64)) and gradient[1:].abs().min() > 0


def test_no_component_is_refused():
    with pytest.raises(ValueError, match="Expected at least one component, got 0"):
        Components(0, 2)


# -- at fixed points


def at_points(count=50, dim=4, deviation=2.0**-6, seed=0):
    torch.manual_seed(seed)
    return PointMixture(torch.randn(count, dim, dtype=torch.float64), deviation)


def noisy(flow, log_w, deviation=2.0**-6):
    """A draw of the mixture for each row of log-weights."""
    chosen = torch.multinomial(log_w.softmax(-1), 1)[:, 0]
    return flow.points.double()[chosen] + deviation * torch.randn(len(log_w), flow.dim, dtype=torch.float64)


@pytest.mark.parametrize("deviation", [0.5, 2.0**-6])
def test_points_are_components_of_one_deviation(deviation):
    """Near the points, between them, where few count and all are needed, and far away."""
    flow = at_points(deviation=deviation)
    components = Components(50, 4).double()
    with torch.no_grad():
        components.means.copy_(flow.points)
        components.log_scales.fill_(math.log(deviation))
    general, log_w = GaussianMixture(components), 3 * torch.randn(100, 50, dtype=torch.float64)
    near, between = noisy(flow, log_w, deviation), torch.randn(100, 4, dtype=torch.float64)
    for z in (near, between, 100 * between):
        eps, log_det = flow.forward(z, log_w)
        expected, expected_log_det = general.forward(z, log_w)
        assert torch.allclose(eps, expected, rtol=1e-9, atol=1e-9)
        assert torch.allclose(log_det, expected_log_det, rtol=1e-6, atol=1e-9)
        assert torch.allclose(flow.log_density(z, log_w), general.log_density(z, log_w), rtol=1e-9, atol=1e-9)
        total = standard_normal_log_density(eps).sum(-1) + log_det
        assert torch.allclose(flow.log_density(z, log_w), total, rtol=1e-9, atol=1e-8)
    back, log_det_back = flow.inverse(flow.forward(near, log_w)[0], log_w)
    assert torch.allclose(back, near, rtol=0, atol=1e-10)
    assert torch.allclose(log_det_back, -flow.forward(near, log_w)[1], rtol=1e-9, atol=1e-9)


def test_squared_distances_keep_their_digits():
    """At the sizes of GloVe: against subtraction point by point in float64. The expanded square in float32 does not."""
    torch.manual_seed(0)
    points, log_w = 0.6 * torch.randn(2000, 50), 3 * torch.randn(40, 2000)
    flow = PointMixture(points, 2.0**-6)
    z = noisy(flow, log_w)
    apart = (z[:, None] - points.double()).square().sum(-1) * 2.0**11
    shared = 50 * (0.5 * math.log(2 * math.pi) - 6 * math.log(2))
    expected = torch.logsumexp(log_w.double().log_softmax(-1) - apart, -1) - shared
    assert torch.allclose(flow.log_density(z, log_w), expected, rtol=0, atol=1e-8)
    single = z.float().square().sum(-1, keepdim=True) + points.square().sum(-1) - 2 * z.float() @ points.t()
    rough = torch.logsumexp(log_w.log_softmax(-1) - single * 2.0**11, -1) - shared
    assert float((rough - expected).abs().max()) > 1e-3
    assert float((flow.log_density(z.float(), log_w) - expected).abs().max()) < 2e-3  # rounded z


def test_rare_points_come_back_in_float64():
    """Points whose share of the first dimension's noise is 1e-9, and those next to them."""
    flow = at_points(2000, 20)
    log_w = torch.zeros(30, 2000, dtype=torch.float64)
    rare = torch.arange(30)
    log_w[torch.arange(30), rare] = math.log(2e-6)
    z = flow.points[rare] + 2.0**-6 * torch.randn(30, 20, dtype=torch.float64)
    eps, _ = flow.forward(z, log_w)
    assert torch.equal(flow.nearest(flow.inverse(eps, log_w)[0]), rare)
    assert torch.allclose(flow.inverse(eps, log_w)[0], z, rtol=0, atol=1e-4)


def test_few_points_are_calculated_with(monkeypatch):
    """Of thousands, most rows need some hundreds in the second dimension and one in the last, which is a Gaussian."""
    flow, counted, calculated = at_points(3000, 12), [], []
    count, scalar = mixture_module._counted, mixture_module._scalar

    def kept(*args):
        found = count(*args)
        counted.append(found[0].shape[1])
        return found

    def seen(z, log_w, *rest):
        calculated.append(log_w.shape[1])
        return scalar(z, log_w, *rest)

    monkeypatch.setattr(mixture_module, "_counted", kept)
    monkeypatch.setattr(mixture_module, "_scalar", seen)
    log_w = torch.randn(16, 3000, dtype=torch.float64)
    eps, _ = flow.forward(noisy(flow, log_w), log_w)
    assert len(counted) == 12 and counted[0] == 3000 and counted[1] < 1500 and counted[-1] == 1
    assert len(calculated) < 9 and min(calculated) > 1
    calculated.clear()
    flow.inverse(eps, log_w)
    assert sum(width == 3000 for width in calculated) < 40 and sum(calculated) < 40 * (3000 + 1500)


def test_rows_are_treated_some_at_once(monkeypatch):
    flow, log_w = at_points(), torch.randn(7, 50, dtype=torch.float64)
    z = noisy(flow, log_w)
    whole = (*flow.forward(z, log_w), *flow.inverse(z, log_w), flow.nearest(z))
    monkeypatch.setattr(mixture_module, "ENTRIES", 100)
    assert flow.rows == 2
    parts = (*flow.forward(z, log_w), *flow.inverse(z, log_w), flow.nearest(z))
    assert all(torch.allclose(one, other, rtol=1e-9, atol=1e-9) for one, other in zip(whole, parts, strict=True))
    empty = flow.forward(z[:0], log_w[:0])
    assert empty[0].shape == (0, 4) and empty[1].shape == (0,)


@pytest.mark.parametrize(
    ("points", "deviation", "message"),
    [
        (torch.eye(3), 0.0, "Expected a deviation above 0, got 0.0"),
        (torch.eye(3), -1.0, "Expected a deviation above 0, got -1.0"),
        (torch.eye(3), math.nan, "Expected a deviation above 0, got nan"),
        (torch.eye(3)[[0, 1, 2, 1, 1]], 0.1, "Expected points that differ, got 5 of which 2 repeat others"),
        (torch.ones(3), 0.1, r"Expected points of shape \(V, D\), got \(3,\)"),
        (torch.ones(0, 3), 0.1, r"Expected points of shape \(V, D\), got \(0, 3\)"),
    ],
)
def test_points_that_make_no_mixture_are_refused(points, deviation, message):
    with pytest.raises(ValueError, match=message):
        PointMixture(points, deviation)


def test_points_are_not_saved():
    assert not at_points().state_dict()


@pytest.mark.parametrize("dim", [1, 3, 8])
def test_close_pairs_are_those_of_all_distances(dim):
    torch.manual_seed(0)
    points = torch.randn(300, dim)
    apart = torch.cdist(points.double(), points.double(), compute_mode="donot_use_mm_for_euclid_dist")
    distance = 1.0001 * float(apart.flatten().kthvalue(500).values)
    near = (apart <= distance).triu(1)
    count, pairs = close_pairs(points, distance, shown=1000)
    assert count == int(near.sum()) > 50 and pairs == [tuple(pair) for pair in near.nonzero().tolist()]
    assert close_pairs(points, float(apart[apart > 0].min()) / 2) == (0, [])
    assert close_pairs(points[:1], 1.0) == (0, [])


def test_points_that_coincide_are_counted_and_some_named():
    points = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))[[*range(20), 3, 3]]
    count, pairs = close_pairs(points, 0.0, shown=2)
    assert count == 3 and len(pairs) == 2 and set(pairs) < {(3, 20), (3, 21), (20, 21)}
