"""The operators of the serial steps: their values, and their derivatives against autograd's and finite differences."""

import pytest
import torch
from torch import nn
from torch.autograd import gradcheck, gradgradcheck
from torch.utils import checkpoint

from seqflows.flows import AutoregressiveInTime, Components, GaussianMixture, NLSq, PointMixture, layered
from seqflows.flows.fused import LSTMGates, NLSqForward, StepsLinear

STEPS, ROWS, INPUTS, OUTPUTS = 4, 3, 5, 6


def numbers(*shape):
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def test_the_gates_are_those_of_an_lstm_cell():
    cell, (x, h, c) = (
        nn.LSTMCell(INPUTS, OUTPUTS).double(),
        (numbers(ROWS, size) for size in (INPUTS, OUTPUTS, OUTPUTS)),
    )
    gates = x @ cell.weight_ih.t() + cell.bias_ih + h @ cell.weight_hh.t() + cell.bias_hh
    for found, wanted in zip(LSTMGates.apply(gates, c), cell(x, (h, c)), strict=True):
        assert torch.allclose(found, wanted, atol=1e-14)
    assert gradcheck(LSTMGates.apply, (numbers(ROWS, 4 * OUTPUTS), numbers(ROWS, OUTPUTS)))


def serial(weight, first, biases, steps):
    """A recurrence that reads its own outputs, with biases for each row or one for all."""
    linear, x, found = steps(weight), first, []
    for bias in biases:
        y = linear(x, bias)
        found.append(y)
        x = torch.tanh(y[:, :INPUTS]) + x
    return torch.stack(found, 1)


@pytest.mark.parametrize("shape", [(ROWS, OUTPUTS), (OUTPUTS,)])
def test_a_linear_map_of_steps_has_the_values_and_the_derivatives_of_one_in_each(shape):
    weight, first, biases = numbers(OUTPUTS, INPUTS), numbers(ROWS, INPUTS), [numbers(*shape) for _ in range(STEPS)]
    given = (weight, first, *biases)

    def shared(weight, first, *biases):
        return serial(weight, first, biases, lambda weight: StepsLinear(weight, STEPS, ROWS))

    def each(weight, first, *biases):
        return serial(weight, first, biases, lambda weight: lambda x, bias: nn.functional.linear(x, weight) + bias)

    found, wanted = shared(*given), each(*given)
    assert torch.allclose(found, wanted, atol=1e-14)
    share = torch.randn_like(found)
    for one, other in zip(*(torch.autograd.grad((y * share).sum(), given) for y in (found, wanted)), strict=True):
        assert torch.allclose(one, other, atol=1e-12)
    assert gradcheck(shared, given)


def test_what_has_no_gradient_and_steps_that_are_not_taken_are_no_part_of_it():
    """A part of the derivatives asked for first, and then all: none is counted twice."""
    weight, first = numbers(OUTPUTS, INPUTS), numbers(ROWS, INPUTS)
    bias = torch.zeros(OUTPUTS, dtype=torch.float64)
    linear = StepsLinear(weight, STEPS, ROWS)
    y = linear(first, bias)
    (alone,) = torch.autograd.grad(y.sum(), first, retain_graph=True)
    wanted = torch.autograd.grad((first @ weight.t()).sum(), (first, weight))
    for found, right in zip(torch.autograd.grad(y.sum(), (first, weight)), wanted, strict=True):
        assert torch.allclose(found, right, atol=1e-14)
    assert torch.allclose(alone, wanted[0], atol=1e-14)
    fixed = StepsLinear(weight.detach(), 1, ROWS)(first, bias)
    assert torch.allclose(torch.autograd.grad(fixed.sum(), first)[0], wanted[0], atol=1e-14)
    with torch.no_grad():
        assert not StepsLinear(weight, 1, ROWS)(first, bias).requires_grad


def test_under_autocast_products_are_in_its_precision_and_gradients_in_the_weights():
    weight, first = (numbers(*shape).detach().float().requires_grad_() for shape in ((OUTPUTS, INPUTS), (ROWS, INPUTS)))
    bias = torch.zeros(OUTPUTS, requires_grad=True)
    given = (weight, first, bias)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = StepsLinear(weight, 1, ROWS)(first, bias)
        wanted = torch.addmm(bias, first, weight.t())
    assert found.dtype == torch.bfloat16 and torch.equal(found, wanted)
    for one, other in zip(*(torch.autograd.grad(y.float().sum(), given) for y in (found, wanted)), strict=True):
        assert one.dtype == torch.float32 and torch.allclose(one, other, rtol=0.01)


def test_a_second_derivative_is_refused_rather_than_zero():
    """Where the gradient that comes in needs none itself, torch's own mark leaves the path out in silence."""
    z, p = numbers(ROWS), numbers(ROWS, 5)
    gates, c, weight = numbers(ROWS, 4 * OUTPUTS), numbers(ROWS, OUTPUTS), numbers(OUTPUTS, INPUTS)
    values = {
        "nlsq": (NLSqForward.apply(z, p, 1.0, (0.4, 0.3, 0.4), 7.0)[0], z),
        "gates": (LSTMGates.apply(gates, c)[0], gates),
        "steps": (StepsLinear(weight, 1, ROWS)(numbers(ROWS, INPUTS), numbers(OUTPUTS)), weight),
    }
    for value, leaf in values.values():
        (first,) = torch.autograd.grad(value.sum(), leaf, retain_graph=True)
        assert first.abs().sum() > 0
        with pytest.raises(RuntimeError, match="Expected create_graph=False: the derivatives of this flow's operators"):
            torch.autograd.grad(value.sum(), leaf, create_graph=True)


def test_transforms_are_refused_and_jacobians_and_checkpoints_are_not():
    """As docs/parts.md says of flows over time."""
    inner = layered("coupling", 2, 4, 4, NLSq(), 1)
    flow, position = AutoregressiveInTime(inner, 1, 4).double(), torch.ones(1, 3, 1).double()
    z = numbers(1, 3, 2)

    def there(z):
        return flow.inverse(z, position)[0]

    for transform in (torch.func.jacrev(there), torch.func.vmap(lambda z: there(z[None]))):
        with pytest.raises(RuntimeError, match="setup_context"):
            transform(z)
    jacobian = torch.autograd.functional.jacobian(there, z)
    (gradient,) = torch.autograd.grad(there(z).sum(), z)
    assert torch.allclose(jacobian.sum((0, 1, 2)), gradient, atol=1e-12)
    again = checkpoint.checkpoint(there, z, use_reentrant=False)
    assert torch.allclose(torch.autograd.grad(again.sum(), z)[0], gradient, atol=1e-12)


@pytest.mark.parametrize("way", ["log_density", "forward", "inverse"])
@pytest.mark.parametrize("kind", ["Gaussian", "points"])
def test_mixtures_have_second_derivatives(kind, way):
    """The roots too: their derivatives are those of the implicit function, and so are the derivatives of these."""
    if kind == "points":
        flow, given = PointMixture(torch.randn(3, 2, dtype=torch.float64), 0.7), numbers(ROWS, 3)
    else:
        flow, given = GaussianMixture([Components(3, 2)], nn.Linear(4, 3), 4).double(), numbers(ROWS, 4)
    assert gradcheck(getattr(flow, way), (numbers(ROWS, 2), given))
    assert gradgradcheck(getattr(flow, way), (numbers(ROWS, 2), given))
