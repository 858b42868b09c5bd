"""Flows as torch.distributions: inverse, Jacobian, log-determinant, gradients, shapes, saving; on every flow.

The points are those that zuko's tests of its transforms make.
"""

from __future__ import annotations

import pytest
import torch
from torch.distributions import Independent, Normal, TransformedDistribution, kl_divergence

from bijections import LANGUAGE, OPEN, QUICK_CASES, SMALL, inputs, jacobian, randomised
from seqflows.flows import (
    Bijection,
    BijectionTransform,
    Flow,
    MaskedAutoregressive,
    NLSq,
    Source,
    SourceCoupling,
    Stepwise,
    layered,
)

CASES = [
    pytest.param(case, id=case.name, marks=[] if case.name in QUICK_CASES else pytest.mark.slow)
    for case in OPEN + LANGUAGE
]


def built(case):
    torch.manual_seed(0)
    flow = randomised(case, 0.5)
    z, context, _ = inputs(flow, 3)
    return flow, z, context


@pytest.mark.parametrize("case", CASES)
def test_a_transform_of_every_flow(case):
    flow, z, context = built(case)
    transform = BijectionTransform(flow, context)
    x = transform.inv(z)
    y = transform(x)
    assert x.shape == z.shape and torch.allclose(y, z, atol=1e-6)  # the inverse
    ladj = transform.log_abs_det_jacobian(x, y)
    rank = 2 if flow.sequence else 1
    assert ladj.shape == z.shape[:-rank] and transform.domain.event_dim == transform.codomain.event_dim == rank
    exact = jacobian(lambda value: flow.forward(value, context)[0], y.detach())
    assert torch.allclose(ladj, -torch.linalg.slogdet(exact)[1], atol=1e-6)  # of dy / dx
    cached = transform.with_cache()
    x_ = cached.inv(z)
    assert torch.allclose(cached.log_abs_det_jacobian(x_, z), ladj, atol=1e-6)
    assert transform.forward_shape(z.shape) == transform.inverse_shape(z.shape) == z.shape
    value = z.clone().requires_grad_()  # gradients, to the data and to every parameter that is used
    noise = transform.inv(value)
    (transform.log_abs_det_jacobian(noise, value).sum() + noise.square().sum()).backward()
    assert torch.isfinite(value.grad).all() and value.grad.abs().sum() > 0
    assert all(parameter.grad is None or torch.isfinite(parameter.grad).all() for parameter in flow.parameters())


@pytest.mark.parametrize("case", CASES)
def test_the_distribution_of_every_flow(case):
    flow, z, context = built(case)
    dist = Flow(flow, steps=z.shape[1] if flow.sequence else None, context=context)
    eps, log_det = flow.forward(z, context)
    expected = Normal(0.0, 1.0).log_prob(eps).flatten(1).sum(1) + log_det
    found = dist.log_prob(z)
    assert torch.allclose(found, expected, atol=1e-8)
    drawn = dist.sample((2,))
    batch = z.shape[:1] if context is not None else ()
    assert drawn.shape == (2, *batch, *z.shape[1:]) and dist.batch_shape == torch.Size(batch)
    assert dist.log_prob(drawn).shape == (2, *batch)


def test_saved_and_loaded_it_has_the_same_density(tmp_path):
    torch.manual_seed(0)
    flow, other = (layered("made", 3, 2, 8, NLSq(), 2) for _ in range(2))
    context, z = torch.randn(4, 2), torch.randn(4, 3)
    torch.save(flow.state_dict(), tmp_path / "flow.pt")
    assert not torch.allclose(Flow(flow, context=context).log_prob(z), Flow(other, context=context).log_prob(z))
    other.load_state_dict(torch.load(tmp_path / "flow.pt", weights_only=True))
    assert torch.equal(Flow(flow, context=context).log_prob(z), Flow(other, context=context).log_prob(z))


class Affine(Bijection):
    """eps = (z - m) / s, whose density is known."""

    def __init__(self, mean, deviation):
        super().__init__(len(mean))
        self.mean, self.deviation = mean, deviation

    def forward(self, z, context=None, mask=None):
        return (z - self.mean) / self.deviation, -self.deviation.log().sum().expand(z.shape[0])

    def inverse(self, eps, context=None, mask=None):
        return eps * self.deviation + self.mean, self.deviation.log().sum().expand(eps.shape[0])


def test_a_known_density():
    mean, deviation = torch.tensor([1.0, -2.0]), torch.tensor([0.5, 3.0])
    known = Independent(Normal(mean, deviation), 1)
    dist = Flow(Affine(mean, deviation))
    x = torch.randn(5, 4, 2)
    assert torch.allclose(dist.log_prob(x), known.log_prob(x), atol=1e-5)
    torch.manual_seed(0)
    drawn = dist.sample((20_000,))
    assert torch.allclose(drawn.mean(0), mean, atol=0.1) and torch.allclose(drawn.std(0), deviation, rtol=0.03)
    with pytest.raises(NotImplementedError):
        kl_divergence(dist, known)  # no closed form is claimed


def test_it_is_the_transformed_distribution_of_torch():
    torch.manual_seed(0)
    flow = MaskedAutoregressive(3, 0, 8, NLSq())
    base = Independent(Normal(torch.zeros(3), torch.ones(3)), 1)
    theirs = TransformedDistribution(base, [BijectionTransform(flow, cache_size=1)])
    x = torch.randn(6, 3)
    assert torch.allclose(theirs.log_prob(x), Flow(flow).log_prob(x), atol=1e-5)
    assert theirs.sample((7,)).shape == (7, 3)


def test_another_base():
    base = Independent(Normal(torch.full((2,), 3.0), torch.full((2,), 0.1)), 1)
    dist = Flow(Affine(torch.zeros(2), torch.ones(2)), base)
    assert torch.allclose(dist.sample((500,)).mean(0), torch.full((2,), 3.0), atol=0.05)


def test_gradients_reach_context_and_samples():
    torch.manual_seed(0)
    flow = MaskedAutoregressive(3, 2, 8, NLSq())
    context = torch.randn(5, 2, requires_grad=True)
    Flow(flow, context=context).log_prob(torch.randn(5, 3)).sum().backward()
    assert context.grad.abs().sum() > 0
    affine = Affine(torch.zeros(2), torch.ones(2, requires_grad=True))
    Flow(affine).rsample((4,)).square().sum().backward()
    assert affine.deviation.grad.abs().sum() > 0 and not Flow(affine).sample((4,)).requires_grad


def test_a_sample_and_its_density_cost_one_pass(monkeypatch):
    torch.manual_seed(0)
    dist = Flow(MaskedAutoregressive(3, 2, 8, NLSq()), context=torch.randn(4, 2))
    forward = dist.bijection.forward
    monkeypatch.setattr(dist.bijection, "forward", None)  # would fail if it were called
    drawn, found = dist.rsample_and_log_prob((5,))
    assert drawn.shape == (5, 4, 3) and drawn.requires_grad
    monkeypatch.setattr(dist.bijection, "forward", forward)
    assert torch.allclose(found, dist.log_prob(drawn), atol=1e-5)


def test_the_density_is_of_the_present_parameters():
    """Of the same tensor before and after a step, and of a sample that was drawn without gradients."""
    torch.manual_seed(0)
    dist = Flow(MaskedAutoregressive(3, 0, 8, NLSq()))
    optimizer, x = torch.optim.SGD(dist.bijection.parameters(), 0.1), torch.randn(6, 3)
    for value in (x, dist.sample((6,))):
        for _ in range(2):
            before = dist.log_prob(value)
            optimizer.zero_grad()
            (-before.mean()).backward()
            optimizer.step()
            after = dist.log_prob(value)
            assert torch.equal(after, Flow(dist.bijection).log_prob(value.clone())) and not torch.equal(after, before)


def test_each_example_of_a_batch_has_noise_of_its_own():
    """Whichever of base and context has the batch."""
    torch.manual_seed(0)
    flow, context = MaskedAutoregressive(2, 3, 8, NLSq()), torch.randn(3)
    base = Independent(Normal(torch.zeros(1, 2), torch.ones(1, 2)), 1)
    for dist in (
        Flow(flow, base, context=context.expand(4, 3)),
        Flow(flow, base.expand((4,)), context=context[None]),
        Flow(flow, base, context=context[None]).expand((4,)),
    ):
        drawn = dist.sample((5,))
        assert dist.batch_shape == (4,) and drawn.shape == (5, 4, 2)
        assert len(drawn.flatten(0, 1).unique(dim=0)) == 20


def test_one_value_under_several_contexts():
    torch.manual_seed(0)
    for flow, value in (
        (MaskedAutoregressive(2, 3, 8, NLSq()), torch.randn(2)),
        (Stepwise(layered("coupling", 2, 3, 8, NLSq(), 2)), torch.randn(7, 2)),
    ):
        context = torch.randn(4, *value.shape[:-1], 3)
        dist, one = Flow(flow, context=context), value.expand(4, *value.shape)
        assert torch.equal(dist.log_prob(value), dist.log_prob(one))
        wide = torch.stack([value, 2 * value])[:, None]
        assert torch.allclose(dist.log_prob(wide)[0], dist.log_prob(one), atol=1e-6)
        assert dist.log_prob(wide).shape == (2, 4)


def test_batch_shapes_of_contexts_and_expansion():
    torch.manual_seed(0)
    flow = Stepwise(layered("coupling", 2, 3, 8, NLSq(), 2))
    context = torch.randn(4, 5, 7, 3)  # batch (4, 5), seven steps
    dist = Flow(flow, context=context)
    assert dist.batch_shape == (4, 5) and dist.event_shape == (7, 2)
    drawn = dist.sample((6,))
    assert drawn.shape == (6, 4, 5, 7, 2) and dist.log_prob(drawn).shape == (6, 4, 5)
    one = Flow(flow, context=context[2, 3])
    assert torch.allclose(one.log_prob(drawn[1, 2, 3]), dist.log_prob(drawn)[1, 2, 3], atol=1e-5)
    wide = one.expand((2, 5))
    assert wide.batch_shape == (2, 5) and wide.sample().shape == (2, 5, 7, 2)
    assert torch.allclose(
        wide.log_prob(drawn[0, :2]),
        torch.stack([one.log_prob(row) for row in drawn[0, :2].flatten(0, 1)]).view(2, 5),
        atol=1e-5,
    )


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="Expected steps, a context or a base for a flow of sequences, got none"):
        Flow(Stepwise(layered("coupling", 2, 0, 8, NLSq(), 1)))
    with pytest.raises(ValueError, match=r"Expected a base of events of 2 numbers, got \(3,\)"):
        Flow(Affine(torch.zeros(2), torch.ones(2)), Independent(Normal(torch.zeros(3), torch.ones(3)), 1))
    with pytest.raises(ValueError, match="Expected a context tensor or none for a distribution, got a source"):
        source = Source(torch.zeros(1, 2, 3), torch.ones(1, 2, dtype=torch.bool))
        BijectionTransform(SourceCoupling(4, 3, "halves", SMALL), source)
