"""The contract of every bijection, over the list in bijections.py.

Legend: B batch, T time, D dimensions, N = T D numbers of an example.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from functools import cache
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from bijections import (
    CASES,
    DRAWN,
    EVEN_STEPS,
    FLOWS,
    INVERSES,
    OPEN,
    PARAMETERLESS,
    QUICK,
    QUICK_CASES,
    STEPS,
    Gain,
    cast,
    features,
    inputs,
    jacobian,
    randomised,
)
from seqflows.flows import (
    KINDS,
    Actnorm,
    AffineCoupling,
    AttentiveInTime,
    AutoregressiveInTime,
    Bijection,
    Chain,
    FixedLength,
    GaussianMixture,
    Independent,
    Inverse,
    Invertible1x1,
    Levels,
    MaskedActnorm,
    MaskedAutoregressive,
    MixtureInTime,
    MultiHead1x1,
    NLSq,
    PastCoupling,
    PointMixture,
    RecurrentAffine,
    Reverse,
    Source,
    SourceCoupling,
    SplitCoupling,
    Steps,
    Stepwise,
    Triangular,
    layered,
    real_nvp,
    standard_normal_log_density,
    triangular,
)
from seqflows.flows.attention import Causal, Size, TransformerLayer
from seqflows.flows.bijection import Context


def _quick(quick: bool) -> list:
    """The marks of a case that `make test` tries or leaves to `make test-all`."""
    return [] if quick else [pytest.mark.slow]


def _cases(cases: list) -> pytest.MarkDecorator:
    params = [pytest.param(case, marks=_quick(case.name in QUICK_CASES), id=case.name) for case in cases]
    return pytest.mark.parametrize("case", params)


def _draws(draws: list) -> pytest.MarkDecorator:
    params = [
        pytest.param(case, std, marks=_quick((case.name, std) in QUICK), id=f"{case.name}-{std}") for case, std in draws
    ]
    return pytest.mark.parametrize("case, std", params)


every_case = _cases(CASES)
every_flow = pytest.mark.parametrize("case", FLOWS, ids=lambda case: case.name)
every_sequence = pytest.mark.parametrize(
    "case", [case for case in OPEN if case.build().sequence], ids=lambda case: case.name
)
every_draw = _draws(DRAWN)
both = pytest.mark.parametrize("direction", ["forward", "inverse"])
OTHER = {"forward": "inverse", "inverse": "forward"}
ROUNDING = 2.0**-24  # of float32


def test_what_is_quick_has_every_class_and_option():
    """At the wider parameters, too, and among the inverses: what is marked slow is more of the same."""
    assert {case.name for case in FLOWS} <= QUICK_CASES and all((case.name, 1.0) in QUICK for case in FLOWS)
    assert QUICK.issubset((case.name, std) for case, std in DRAWN) and len(QUICK) < len(DRAWN) / 2
    assert QUICK_CASES.issubset(case.name for case in CASES)
    wide = {name for name, std in QUICK if std == 3.0}
    for cases in (FLOWS, INVERSES):
        quick = [case for case in cases if case.name in wide]
        assert set().union(*map(features, quick)) == set().union(*map(features, cases))
        assert len(quick) < len(cases) / 3


# Rounding is multiplied by the slope of what follows: a map that contracts by 1e6 loses six digits on the way
# back, whoever inverts it. So the tolerance is that of the well-conditioned map times the infinity norm of the
# Jacobian of the way back (which, unlike a product of slopes, also holds how an error in one dimension moves the
# parameters of later ones), where that exceeds 1.
def _conditioning(flow: Bijection, direction: str, value: Tensor, context: Context) -> Tensor:
    rows = jacobian(lambda v: getattr(flow, direction)(v, context)[0], value)
    return rows.detach().abs().sum(-1).amax(-1).clamp(min=1)


# That Jacobian is of the whole way back. Between the layers of a flow there are intermediate values, also
# rounded, whose errors a later layer may enlarge though the whole does not. float64 has digits to spare; for
# float32 the effect is measured: the float64 map, disturbed by as much as float32 rounds (inputs, parameters and
# outputs of the scalars; the networks' weights, otherwise on the way back), per unit of that disturbance.
def _sensitivity(flow: Bijection, direction: str, value: Tensor, context: Context) -> Tensor:
    scalars = [module.scalar for module in flow.modules() if isinstance(getattr(module, "scalar", None), Gain)]
    worst = torch.zeros(len(value), dtype=torch.float64)
    with torch.no_grad():
        for _ in range(4):
            for scalar in scalars:
                scalar.rounding = ROUNDING
            there, _ = getattr(_disturbed(flow), direction)(value, context)
            back, _ = getattr(_disturbed(flow), OTHER[direction])(there, context)
            worst = torch.maximum(worst, (back - value).abs().flatten(1).amax(1) / ROUNDING)
    for scalar in scalars:
        scalar.rounding = 0.0
    return worst


def _disturbed(flow: Bijection) -> Bijection:
    flow = copy.deepcopy(flow)
    for parameter in flow.parameters():
        parameter.mul_(1 + ROUNDING * torch.randn_like(parameter))
    return flow


def _there_and_back(flow: Bijection, direction: str, value: Tensor, context: Context) -> Tensor:
    there, _ = getattr(flow, direction)(value, context)
    return getattr(flow, OTHER[direction])(there, context)[0]


@every_draw
@both
def test_round_trip(case, std, direction):
    flow = randomised(case, std)
    value, context, _ = inputs(flow, rows=8)
    there, log_det = getattr(flow, direction)(value, context)
    back, log_det_back = getattr(flow, OTHER[direction])(there, context)
    assert there.shape == back.shape == value.shape and log_det.shape == log_det_back.shape == (8,)
    conditioning = cache(lambda: _conditioning(flow, OTHER[direction], there, context))
    # A value beyond 1e6 (some reach 1e11 at a deviation of 3) is itself rounded by more than 1e-10.
    size = (there.detach().abs().flatten(1).amax(1) / 1e6).clamp(min=1)
    _within(back - value, 1e-9 * size, conditioning)
    single, beside = value.float(), cast(context, torch.float32)
    rounded = copy.deepcopy(flow).float()  # the weights that the float32 map has
    back = _there_and_back(rounded, direction, single, beside)
    assert back.dtype == torch.float32

    def sensitivity() -> Tensor:
        found = _sensitivity(rounded.double(), direction, single.double(), cast(beside, torch.float64))
        return torch.maximum(conditioning(), found)

    _within(back.double() - single.double(), 1e-4, sensitivity)


@every_flow
@both
def test_autocast_rounds_networks_alone(case, direction):
    """Values, log-determinants and densities are float32, and without a network those without autocast."""
    flow = randomised(case, 1.0)
    value, context, _ = inputs(flow, rows=8)
    flow, value, context = flow.float(), value.float(), cast(context, torch.float32)

    def found() -> tuple[Tensor, ...]:
        with torch.no_grad():
            return (*getattr(flow, direction)(value, context), flow.log_density(value, context))

    single = found()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = found()
    assert [one.dtype for one in rounded] == [torch.float32] * 3
    if not any(isinstance(module, (torch.nn.Linear, torch.nn.LSTM)) for module in flow.modules()):
        assert all(torch.allclose(one, other, rtol=1e-6, atol=1e-6) for one, other in zip(rounded, single, strict=True))


@every_draw
@both
def test_the_map_is_the_same_without_gradients(case, std, direction):
    """Sampling may take another road than a differentiable inverse: sweeps over all dimensions at once."""
    flow = randomised(case, std)
    value, context, _ = inputs(flow, rows=8)
    there, log_det = getattr(flow, direction)(value, context)
    with torch.no_grad():
        there_too, log_det_too = getattr(flow, direction)(value, context)
        back = getattr(flow, OTHER[direction])(there_too, context)[0]
    size = (there.detach().abs().flatten(1).amax(1) / 1e6).clamp(min=1)
    _within(back - value, 1e-9 * size, lambda: _conditioning(flow, OTHER[direction], there, context))
    _within(there_too - there, 1e-9 * size, lambda: _conditioning(flow, direction, value, context))
    assert torch.allclose(log_det_too, log_det, rtol=1e-6, atol=1e-6)


def _within(error: Tensor, limit: float | Tensor, conditioning: Callable[[], Tensor]) -> None:
    """At most the limit times the conditioning, which is at least 1 and is worked out only where it is needed."""
    ratio = error.detach().abs().flatten(1).amax(1) / limit
    if not (ratio <= 1).all():
        ratio = ratio / conditioning()
    assert (ratio <= 1).all(), f"error / limit up to {ratio.max():.2g}"


@every_flow
def test_the_log_density_is_that_of_the_noise(case):
    """Also where a flow knows it without the noise; steps outside a mask count in neither."""
    flow = randomised(case, 1.0, seed=4)
    value, context, _ = inputs(flow, rows=32)
    mask = torch.rand(value.shape[:2]) < 0.7 if flow.sequence and case in OPEN else None
    with torch.no_grad():
        eps, log_det = flow.forward(value, context, mask)
        each = standard_normal_log_density(eps).sum(-1)
        each = each if mask is None else each * mask
        expected = (each.sum(1) if flow.sequence else each) + log_det
        assert torch.allclose(flow.log_density(value, context, mask), expected, rtol=1e-10, atol=1e-10)


@every_draw
@both
def test_log_det_is_that_of_the_jacobian(case, std, direction):
    flow = randomised(case, std, seed=1)
    value, context, _ = inputs(flow, rows=8)
    out, log_det = getattr(flow, direction)(value, context)
    sign, expected = torch.linalg.slogdet(jacobian(lambda v: getattr(flow, direction)(v, context)[0], value))
    assert torch.allclose(log_det, expected, rtol=1e-7, atol=1e-7)
    assert (sign != 0).all()
    _, opposite = getattr(flow, OTHER[direction])(out, context)
    assert torch.allclose(opposite, -log_det, rtol=1e-6, atol=1e-6)


@every_flow
@both
def test_gradients_are_those_of_central_differences(case, direction):
    """Of values, log-determinants and densities, along a random direction of input, of context and of parameters."""
    flow = randomised(case, 1.0, seed=7)
    value, context, _ = inputs(flow, rows=8)
    leaf, given = (None, None) if context is None else _tracked(context)
    parts = {"input": [value.requires_grad_()], "parameters": list(flow.parameters())}
    parts |= {} if leaf is None else {"context": [leaf]}

    def outs() -> Tensor:
        out, log_det = getattr(flow, direction)(value, given)
        densities = [flow.log_density(value, given)] if direction == "forward" else []
        return torch.cat([out.flatten(), log_det, *densities])

    found = outs()
    weights, leaves = torch.randn_like(found), [one for part in parts.values() for one in part]
    gradients = iter(torch.autograd.grad(found @ weights, leaves, materialize_grads=True))
    for name, part in parts.items():
        along = [torch.randn_like(one) for one in part]
        terms = [next(gradients) * way for way in along]
        error = abs(_central_difference(lambda: float(outs() @ weights), part, along) - sum(map(torch.sum, terms)))
        size = sum(term.abs().sum() for term in terms)
        assert error <= 1e-6 * size, f"the derivative by the {name} is off by {error / size:.2g} of its terms"


@torch.no_grad()
def _central_difference(value: Callable[[], float], places: list[Tensor], along: list[Tensor]) -> float:
    """The derivative of a value by places along a direction; the places stay as they were but for rounding."""
    step, ends = 1e-6, []
    for shift in (step, -2 * step, step):
        for place, way in zip(places, along, strict=True):
            place.add_(way, alpha=shift)
        ends.append(value())
    return (ends[0] - ends[1]) / (2 * step)


UNKNOWN_PATTERN = f"expected the zero pattern of {{}}, found none; add it to `_expected_pattern` of {__file__}"


def _expected_pattern(flow: Bijection, direction: str = "forward") -> tuple[Tensor, Tensor]:
    """What may depend on what: (D, D) or (N, N) bool, and (D,) bool of the outputs that see the context.

    Raises TypeError for a class whose pattern is not stated here.
    """
    dim = flow.dim
    if isinstance(flow, Inverse):
        return _expected_pattern(flow.flow, OTHER[direction])
    if isinstance(flow, FixedLength):
        return _pattern_of_fixed(flow, direction), torch.zeros(dim * flow.length) > 0
    if isinstance(flow, (MaskedActnorm, MultiHead1x1, SourceCoupling)):
        return _pattern_of_sourced(flow)
    if isinstance(flow, Levels):
        return torch.ones(dim * EVEN_STEPS, dim * EVEN_STEPS) > 0, torch.ones(dim * EVEN_STEPS) > 0
    if isinstance(flow, Chain):
        flows = flow.flows if direction == "forward" else reversed(flow.flows)
        size = dim * (STEPS if flow.sequence else 1)
        pattern, seen = torch.eye(size), torch.zeros(size)
        for part in flows:
            rows, sees = _expected_pattern(part, direction)
            pattern, seen = (
                _per_step(rows, size).float() @ pattern,
                sees.repeat(size // len(sees)) + _per_step(rows, size).float() @ seen,
            )
        return pattern > 0, seen > 0
    if isinstance(flow, (AttentiveInTime, AutoregressiveInTime, Stepwise)):
        inner, sees = _expected_pattern(flow.inner, direction)
        before = torch.ones(STEPS, STEPS).tril(-1) * (not isinstance(flow, Stepwise))
        earlier = torch.kron(before, sees.float()[:, None].expand(dim, dim))
        return (torch.kron(torch.eye(STEPS), inner.float()) + earlier) > 0, sees.repeat(STEPS)
    if isinstance(flow, Reverse):
        return torch.eye(dim).flip(0) > 0, torch.zeros(dim) > 0
    pattern = torch.eye(dim)
    seen = torch.full((dim,), float(flow.context > 0))
    if isinstance(flow, (MaskedAutoregressive, GaussianMixture, PointMixture)):
        pattern = torch.ones(dim, dim).tril()
    elif isinstance(flow, Triangular):
        pattern = pattern if flow.diagonal else torch.ones(dim, dim).tril()
    elif isinstance(flow, SplitCoupling):
        pattern[flow.kept :, : flow.kept] = 1
        seen[: flow.kept] = 0
    elif not isinstance(flow, Independent):
        raise TypeError(UNKNOWN_PATTERN.format(type(flow).__name__))
    return pattern > 0, seen > 0


def _pattern_of_fixed(flow: FixedLength, direction: str) -> Tensor:
    """(N, N) bool of a flow of language."""
    steps, dim = flow.length, flow.dim
    eye, every = torch.eye(steps * dim), torch.ones(dim, dim)
    if isinstance(flow, Steps):
        pattern = eye
        for part in flow.flows if direction == "forward" else reversed(flow.flows):
            pattern = (_pattern_of_fixed(part, direction).float() @ pattern > 0).float()
    elif isinstance(flow, Invertible1x1) and flow.axis == "channels":
        pattern = torch.kron(torch.eye(steps), every)
    elif isinstance(flow, Invertible1x1):
        over = torch.ones(steps, steps)
        pattern = torch.kron(over.tril() if flow.causal else over, torch.eye(dim))
    elif isinstance(flow, RecurrentAffine):
        over = torch.ones(steps, steps)
        pattern = eye + torch.kron(over.triu(1) if flow.later else over.tril(-1), every)
    elif isinstance(flow, MixtureInTime):
        pattern = torch.kron(torch.eye(steps), every.tril())  # the nearest points before do not move with z
    elif isinstance(flow, AffineCoupling):
        place = torch.arange(steps * dim)
        second = (place // dim >= steps // 2) if flow.axis == 1 else (place % dim >= dim // 2)
        pattern = eye + torch.outer(second.float(), (~second).float())
    elif isinstance(flow, PastCoupling):
        own, half = every.clone(), dim // 2  # c moves the second half given the first, then the first given the second
        rows = slice(half, dim) if direction == "forward" else slice(0, half)
        own[rows, rows] = torch.eye(half)
        pattern = torch.kron(torch.eye(steps), own) + torch.kron(torch.ones(steps, steps).tril(-1), every)
        pattern[:dim, :dim] = torch.eye(dim)
    elif isinstance(flow, Actnorm):
        pattern = eye
    else:
        raise TypeError(UNKNOWN_PATTERN.format(type(flow).__name__))
    return pattern > 0


def _pattern_of_sourced(flow: Bijection) -> tuple[Tensor, Tensor]:
    """(N, N) bool of a part of the flow with a source, and (N,) bool of the outputs that see it."""
    place = torch.arange(flow.dim * EVEN_STEPS)
    step, channel = place // flow.dim, place % flow.dim
    if isinstance(flow, MaskedActnorm):
        return place[:, None] == place, place < 0
    if isinstance(flow, MultiHead1x1):
        head = channel % flow.heads if flow.strided else channel // (flow.dim // flow.heads)
        assert flow.heads > 1
        return (step[:, None] == step) & (head[:, None] == head), place < 0
    second = {"halves": channel >= flow.dim // 2, "alternate": channel % 2 == 1, "time": step % 2 == 1}[flow.split]
    moved = ~second if flow.turned else second
    return torch.eye(len(place)).bool() | torch.outer(moved, ~moved), moved


def _per_step(rows: Tensor, size: int) -> Tensor:
    return rows if len(rows) == size else torch.kron(torch.eye(size // len(rows)), rows.float()) > 0


@_cases([case for case in CASES if "scale" not in case.name])  # scales are a composition of the parts
@both
def test_zero_pattern_of_the_jacobian(case, direction):
    flow = randomised(case, 1.0, seed=2)
    value, context, _ = inputs(flow, rows=64)
    rows = jacobian(lambda v: getattr(flow, direction)(v, context)[0], value)
    expected, _ = _expected_pattern(flow, direction)
    found = (rows != 0).any(0)
    assert (found == expected).all(), f"expected\n{expected.int()}\ngot\n{found.int()}"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dim", [1, 2, 3, 4, 5])
def test_reversed_orders_reach_every_dimension(kind, dim):
    """Layers in both orders: every dimension is transformed, and (the middle one of a coupling apart) sees all."""
    pattern, seen = _expected_pattern(layered(kind, dim, 2, 8, NLSq(), 4))
    assert seen.all()
    if kind == "independent":
        assert (pattern == torch.eye(dim).bool()).all()
    elif kind == "made" or dim % 2 == 0:
        assert pattern.all()


def test_a_chain_of_vector_and_sequence_flows_is_refused():
    with pytest.raises(ValueError, match="Expected flows all of vectors or all of sequences"):
        Chain(Stepwise(Reverse(2)), Reverse(2))
    with pytest.raises(ValueError, match="Expected flows of one dimension"):
        Chain(Reverse(3), Reverse(2))


@pytest.mark.parametrize("case", [case for case in FLOWS if case.build().context], ids=lambda case: case.name)
def test_the_context_conditions(case):
    flow = randomised(case, 1.0, seed=3)
    value, context, _ = inputs(flow, rows=32)
    for direction in ("forward", "inverse"):
        leaf, given = _tracked(context)
        out, _ = getattr(flow, direction)(value, given)
        _, seen = _expected_pattern(flow, direction)
        seen = seen.view(out.shape[1:]) if flow.sequence else seen
        for place in range(flow.dim):
            last = out[:, -1] if flow.sequence else out
            (gradient,) = torch.autograd.grad(last[:, place].sum(), leaf, retain_graph=True)
            expected = seen[-1, place] if flow.sequence else seen[place]
            assert bool((gradient != 0).any()) == bool(expected)
        (gradient,) = torch.autograd.grad(getattr(flow, direction)(value, given)[1].sum(), leaf)
        assert (gradient != 0).flatten(0, -2).any(0).all()
        if isinstance(given, Source):  # nothing beyond its end
            assert (gradient[~given.mask] == 0).all() and (gradient[given.mask] != 0).any(-1).all()


def _tracked(context: Tensor | Source) -> tuple[Tensor, Tensor | Source]:
    """The numbers of a context as a leaf, and the context with them."""
    if isinstance(context, Source):
        states = context.states.detach().requires_grad_()
        return states, Source(states, context.mask)
    context = context.detach().requires_grad_()
    return context, context


@every_sequence
def test_a_step_sees_the_context_up_to_its_own(case):
    flow = randomised(case, 1.0, seed=3)
    value, context, _ = inputs(flow, rows=16)
    for direction in ("forward", "inverse"):
        context = context.detach().requires_grad_()
        out, _ = getattr(flow, direction)(value, context)
        (gradient,) = torch.autograd.grad(out[:, 1].sum(), context)
        assert (gradient[:, 2:] == 0).all() and (gradient[:, 1] != 0).any()


@every_sequence
def test_padding_changes_nothing(case):
    flow = randomised(case, 1.0, seed=4)
    lengths = torch.tensor([4, 2, 3, 1])
    value, context, _ = inputs(flow, rows=4, steps=4)
    mask = torch.arange(4) < lengths[:, None]
    for direction in ("forward", "inverse"):
        apply = getattr(flow, direction)
        out, log_det = apply(value, context, mask)
        assert (out[~mask] == 0).all()
        for row, length in enumerate(lengths.tolist()):
            part = slice(row, row + 1), slice(0, length)
            alone, log_det_alone = apply(value[part], context[part])
            _close(out[part], alone)
            _close(log_det[part[0]], log_det_alone)
        for garbage, steps in ((1e3, 4), (float("nan"), 7)):
            wide = torch.full((4, steps, flow.dim), garbage, dtype=torch.float64)
            wide_context = torch.full((4, steps, flow.context), garbage, dtype=torch.float64)
            wide[:, :4][mask], wide_context[:, :4][mask] = value[mask], context[mask]
            wide_mask = torch.arange(steps) < lengths[:, None]
            given = wide.requires_grad_(), wide_context.requires_grad_()
            padded, padded_log_det = apply(*given, wide_mask)
            assert (padded[~wide_mask] == 0).all()
            _close(padded[:, :4], out)
            _close(padded_log_det, log_det)
            total, weights = padded.sum() + padded_log_det.sum(), list(flow.parameters())
            gradients = torch.autograd.grad(total, (*given, *weights), allow_unused=True)
            assert all(gradient is None or gradient.isfinite().all() for gradient in gradients)
            assert all((gradient[~wide_mask] == 0).all() for gradient in gradients[:2] if gradient is not None)
            if direction == "forward":
                _close(flow.log_density(*given, wide_mask), flow.log_density(value, context, mask))


@every_sequence
def test_a_hole_in_the_mask_reaches_no_other_step(case):
    """The map back reads what the map there has read, and neither value nor context there changes anything."""
    flow = randomised(case, 1.0, seed=4)
    value, context, _ = inputs(flow, rows=4, steps=4)
    mask = torch.tensor([[0, 1, 1, 1], [1, 0, 1, 1], [1, 0, 0, 1], [1, 1, 0, 1]], dtype=torch.bool)
    for direction in ("forward", "inverse"):
        there, log_det = getattr(flow, direction)(value, context, mask)
        back, log_det_back = getattr(flow, OTHER[direction])(there, context, mask)
        assert (there[~mask] == 0).all()
        _close(back, value * mask[:, :, None])
        _close(log_det_back, -log_det)
        others = (torch.where(mask[:, :, None], part, float("nan")) for part in (value, context))
        _close(getattr(flow, direction)(*others, mask)[0], there)


def _close(one: Tensor, other: Tensor) -> None:
    """Equal but for the order of summation, which matrix products may change with their shape."""
    assert torch.allclose(one, other, rtol=1e-7, atol=1e-7)


@every_flow
def test_a_wider_draw_is_another_flow(case):
    """Or the cases that are hard, at a deviation of 3, would be those that are easy once more."""
    drawn = []
    for std in (0.3, 3.0):
        flow = randomised(case, std, seed=5)
        torch.manual_seed(0)
        with torch.no_grad():
            drawn.append(flow.forward(*inputs(flow, rows=64)))
    if case.name in PARAMETERLESS:
        assert not list(flow.parameters())
        return
    (narrow, some), (wide, more) = drawn
    moved, stretched = (wide - narrow).abs().mean(), (more.abs().mean() - some.abs().mean()).abs()
    assert max(moved, stretched) > 0.3, (
        f"expected {case.name} at deviations of 0.3 and of 3 to differ, got one map: in tests/bijections.py add the "
        "layer that gives its parameters to `_projections`, or scale its own ones in `randomised`; a flow without any "
        "goes into PARAMETERLESS"
    )


@every_flow
def test_a_batch_may_be_empty(case):
    flow = randomised(case, 1.0)
    value, context, _ = inputs(flow, rows=0)
    for direction in ("forward", "inverse"):
        out, log_det = getattr(flow, direction)(value, context)
        assert out.shape == value.shape and log_det.shape == (0,)
    assert flow.log_density(value, context).shape == (0,)


@_draws([(case, std) for case in FLOWS for std in (1.0, 3.0)])
def test_large_inputs_stay_finite(case, std):
    flow = randomised(case, std, seed=5)
    value, context, _ = inputs(flow, rows=64, scale=1e3)
    for dtype in (torch.float64, torch.float32):
        flow = flow.to(dtype)
        for direction in ("forward", "inverse"):
            out, log_det = getattr(flow, direction)(value.to(dtype), cast(context, dtype))
            assert out.isfinite().all() and log_det.isfinite().all()


@every_flow
def test_every_parameter_gets_a_gradient_in_both_directions(case):
    flow = randomised(case, 0.3, seed=6)
    if not list(flow.parameters()):
        return
    masked_out = {"first.weight"} if flow.dim == 1 else set()  # a single dimension has nothing before it
    for direction in ("forward", "inverse"):
        flow.zero_grad()
        value, context, _ = inputs(flow, rows=64)
        out, log_det = getattr(flow, direction)(value, context)
        (out.square().sum() + log_det.sum()).backward()
        for name, parameter in flow.named_parameters():
            if not any(name.endswith(end) for end in masked_out):
                assert parameter.grad is not None and parameter.grad.isfinite().all(), name
                assert (parameter.grad != 0).any(), name


@every_case
def test_wrong_shapes_are_refused(case):
    flow = case.build()
    z, context, _ = inputs(flow, rows=2)
    with pytest.raises(ValueError, match="Expected"):
        flow.forward(torch.cat([z, z], -1).float(), cast(context, torch.float32))
    extra = torch.zeros(*z.shape[:-1], flow.context + 1)
    with pytest.raises(ValueError, match="Expected"):
        flow.inverse(z.float(), extra)


def _count_calls(flow: Bijection, monkeypatch) -> dict[str, int]:
    calls = {"forward": 0, "inverse": 0}
    for direction in calls:
        original = getattr(flow, direction)

        def counted(*args, original=original, direction=direction):
            calls[direction] += 1
            return original(*args)

        monkeypatch.setattr(flow, direction, counted)
    return calls


@pytest.mark.parametrize("inverse", [False, True], ids=["af", "iaf"])
def test_which_direction_is_parallel_in_time(inverse, monkeypatch):
    """AF scores all steps at once and samples step by step; IAF the other way round; both score in closed form."""
    inner = layered("coupling", 2, 6, 8, NLSq(), 2)
    calls = _count_calls(inner, monkeypatch)
    flow = Inverse(AutoregressiveInTime(Inverse(inner), 2, 6)) if inverse else AutoregressiveInTime(inner, 2, 6)
    z, context, _ = inputs(flow.double(), rows=2, steps=7)
    flow.forward(z, context)
    assert calls == {"forward": 7 if inverse else 1, "inverse": 0}
    flow.inverse(z, context)
    assert calls == {"forward": 7 if inverse else 1, "inverse": 1 if inverse else 7}


def test_dropout_leaves_the_residual_stream_of_a_transformer_whole():
    """It is on what the two parts give, before that is added to what was read (Vaswani et al. 2017, section 5.4)."""
    torch.manual_seed(0)
    layer = TransformerLayer(Size(8, 16, 2), causal=True, dropout=0.5).double()
    x = torch.randn(2, 5, 8, dtype=torch.float64)
    with torch.no_grad():
        for parameter in layer.inner[-1].parameters():
            parameter.zero_()
        whole = layer.eval()(x)[0] - x
        some = layer.train()(x)[0] - x
        kept = some != 0
        assert 10 < kept.sum() < 70
        assert torch.allclose(some[kept], 2 * whole[kept], rtol=1e-12, atol=1e-12)
        for parameter in layer.out.parameters():
            parameter.zero_()
        assert torch.equal(layer(x)[0], x)
        layer.inner[-1].bias.fill_(1.0)
        assert set((layer(x)[0] - x).round(decimals=9).unique().tolist()) == {0.0, 2.0}
    flow = AttentiveInTime(MaskedAutoregressive(2, 8, 8, NLSq()), 3, Size(8, 16, 2), 2, 0.25)
    assert {part.p for part in flow.modules() if isinstance(part, torch.nn.Dropout)} == {0.25}
    assert {part.p for part in Causal("attention", 3, 2, Size(8, 16, 2)).modules() if hasattr(part, "p")} == {0.0}


def test_input_dropout_is_of_the_latents_before_while_training_and_never_of_the_context():
    """At once and step by step: without weights on z nothing is left of it, and the first step reads no latent."""
    torch.manual_seed(0)
    flow = AutoregressiveInTime(layered("made", 4, 6, 8, NLSq(), 1), 3, 6, 1, 0.0, 0.5).double()
    z, context, _ = inputs(flow, rows=6, steps=5)

    def both_ways() -> list[Tensor]:
        found = [flow.states(z, context)]
        flow._serial(lambda t, state: found.append(state) or z[:, t], context)
        return [found[0], torch.stack(found[1:], 1)]

    with torch.no_grad():
        whole, steps = flow.eval() and both_ways()
        assert torch.allclose(whole, steps, rtol=0, atol=1e-12)
        for dropped in flow.train() and both_ways():
            assert torch.equal(dropped[:, 0], whole[:, 0])
            assert (dropped[:, 1:] - whole[:, 1:]).abs().amax(-1).min() > 1e-6
        flow.lstm.weight_ih_l0[:, :4] = 0
        whole = flow.eval() and flow.states(z, context)
        assert all(torch.allclose(some, whole, rtol=0, atol=1e-12) for some in flow.train() and both_ways())


def test_the_diagonal_is_clipped_and_keeps_its_sign():
    flow = Triangular(3, 1, 4, delta=0.25, diagonal=True).double()
    with torch.no_grad():
        flow.network[-1].weight.zero_()
        flow.network[-1].bias[3:] = torch.tensor([-0.1, 0.0, -2.0])
    z, log_det = flow.inverse(torch.ones(1, 3, dtype=torch.float64), torch.zeros(1, 1, dtype=torch.float64))
    assert z.tolist() == [[-0.25, 0.25, -2.0]]
    assert log_det.item() == pytest.approx(2 * math.log(0.25) + math.log(2))


@pytest.mark.parametrize(
    "case",
    [case for case in FLOWS if not case.build().sequence and case.build().context],
    ids=lambda case: case.name,
)
@both
def test_at_given_contexts_several_vectors_are_mapped_as_one_by_one(case, direction):
    flow = randomised(case, 1.0)
    values, context, _ = inputs(flow, rows=5)
    values = torch.stack([values, -values, 2 * values], 1)
    found, log_det = getattr(flow.at(context), direction)(values)
    assert found.shape == values.shape and log_det.shape == (5, 3)
    for m in range(3):
        wanted, wanted_log_det = getattr(flow, direction)(values[:, m], context)
        assert torch.allclose(found[:, m], wanted, rtol=1e-9, atol=1e-9)
        assert torch.allclose(log_det[:, m], wanted_log_det, rtol=1e-9, atol=1e-9)


def test_triangular_is_its_equation():
    flow = Triangular(3, 2, 4).double()
    context, eps = torch.randn(5, 2, dtype=torch.float64), torch.randn(5, 3, dtype=torch.float64)
    out = flow.network(context)
    matrix = torch.diag_embed(out[:, 3:6])
    matrix[:, 1, 0], matrix[:, 2, 0], matrix[:, 2, 1] = out[:, 6:].unbind(1)
    assert torch.allclose(flow.inverse(eps, context)[0], out[:, :3] + (matrix @ eps[..., None])[..., 0])


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_layers_of_triangular_flows_stay_affine_in_the_noise(layers):
    flow = triangular(3, 2, 8, 0.1, layers).double()
    context = torch.randn(1, 2, dtype=torch.float64)
    a, b = torch.randn(2, 1, 3, dtype=torch.float64)
    images = [flow.inverse(point, context)[0] for point in (a, b, 0.3 * a + 0.7 * b)]
    assert torch.allclose(images[2], 0.3 * images[0] + 0.7 * images[1])


def test_bad_transitions_are_refused():
    for delta in (0.0, 0.5, -0.1):
        with pytest.raises(ValueError, match=r"Expected delta in \(0, 0.5\)"):
            Triangular(3, 2, 4, delta)
    with pytest.raises(ValueError, match="Expected a context"):
        Triangular(3, 0, 4)
    with pytest.raises(ValueError, match="maskings of 1 to 4 dimensions for a state of 5, got"):
        real_nvp(5, 2, 8, (2, 3, 4, 5))
    with pytest.raises(ValueError, match="Expected to keep 0 to 2"):
        SplitCoupling(3, 1, 4, NLSq(), 3)
    with pytest.raises(ValueError, match="layers >= 1"):
        triangular(3, 2, 8, 0.1, 0)


def test_every_dimension_of_real_nvp_is_transformed_and_sees_the_state():
    pattern, seen = _expected_pattern(real_nvp(8, 8, 8, (2, 3, 4, 5, 6, 7)))
    assert seen.all() and (pattern.sum(1) > 1).all()


def test_too_few_hidden_units_and_steps_without_a_context_are_errors():
    """Each degree of a masked network needs a unit, or z_d would not see all before it."""
    with pytest.raises(ValueError, match="Expected at least as many hidden units as dimensions, 8, got 7"):
        MaskedAutoregressive(8, 0, 7, NLSq())
    flow = MaskedAutoregressive(8, 0, 8, NLSq())
    seen = (flow.mask_out.float() @ flow.mask_hidden.float() @ flow.mask_in.float() > 0).reshape(-1, 8, 8)
    assert all(bool((one == torch.ones(8, 8, dtype=torch.bool).tril(-1)).all()) for one in seen)
    for made in (AutoregressiveInTime, AttentiveInTime):
        with pytest.raises(ValueError, match=r"Expected a context of each step, such as its position, of width >= 1"):
            made(
                MaskedAutoregressive(2, 4, 4, NLSq()),
                0,
                4 if made is AutoregressiveInTime else SimpleNamespace(width=4),
            )


def test_a_context_of_other_steps_or_examples_is_an_error():
    """Its last dimension alone fits: steps and examples would be mixed without a message."""
    flow = Stepwise(MaskedAutoregressive(3, 2, 4, NLSq()))
    with pytest.raises(ValueError, match=r"Expected Stepwise context of shape \(2, 6, 2\), got \(4, 3, 2\)"):
        flow.forward(torch.zeros(2, 6, 3), torch.zeros(4, 3, 2))
    with pytest.raises(ValueError, match=r"Expected MaskedAutoregressive context of shape \(5, 2\), got \(1, 2\)"):
        MaskedAutoregressive(3, 2, 4, NLSq()).inverse(torch.zeros(5, 3), torch.zeros(1, 2))


@pytest.mark.parametrize(
    "mask",
    [
        torch.ones(2, 1, dtype=torch.bool), torch.ones(1, 6, dtype=torch.bool), torch.ones(2, 5, dtype=torch.bool),
        torch.ones(2, 6), torch.ones(2, 6, dtype=torch.long),
    ],
)  # fmt: skip
def test_a_mask_of_another_shape_or_type_is_an_error(mask):
    """(2, 1) and (1, 6) would be spread over all steps without a message."""
    inner = MaskedAutoregressive(3, 4, 4, NLSq())
    flows = Stepwise(inner), AutoregressiveInTime(inner, 4, 4), Chain(Stepwise(inner))
    for flow in flows:
        for value in (flow.forward, flow.inverse, flow.log_density):
            with pytest.raises(ValueError, match=rf"mask of shape \(2, 6\) of torch.bool, got .*{mask.dtype}"):
                value(torch.zeros(2, 6, 3), torch.zeros(2, 6, 4), mask)


def test_the_name_of_a_scalar_is_not_the_scalar():
    with pytest.raises(ValueError, match=r"Expected a scalar transformation such as NLSq\(\), got 'nlsq'"):
        layered("made", 2, 0, 8, "nlsq", 2)
