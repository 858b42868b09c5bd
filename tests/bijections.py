"""Every bijection in every parametrisation: the list that the contract test runs over.

A new flow needs a line in `VECTORS`, `SEQUENCES`, `FIXED` or `SOURCED`, of which all lists below are made.

Legend: B batch, T time, D dimensions, C context, W hidden units, S steps of a source.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from seqflows.flows import (
    CELLS,
    GROUPINGS,
    KINDS,
    NETWORKS,
    SCALARS,
    SPLITS,
    Actnorm,
    AffineCoupling,
    AttentiveInTime,
    AutoregressiveInTime,
    Bijection,
    Chain,
    Components,
    FixedLength,
    GaussianMixture,
    Inverse,
    Invertible1x1,
    MaskedActnorm,
    MixtureInTime,
    MultiHead1x1,
    PastCoupling,
    PointMixture,
    Reader,
    RecurrentAffine,
    Reverse,
    Size,
    Source,
    SourceCoupling,
    Stepwise,
    Triangular,
    layered,
    levels,
    multiscale,
    real_nvp,
    recurrent_affine,
    triangular,
    unidirectional,
)
from seqflows.flows.attention import Attending, Bidirectional
from seqflows.flows.bijection import Context
from seqflows.flows.multiscale import MultiScale
from seqflows.flows.unidirectional import _Affine as Affine
from seqflows.models.trigram import Trigram

STEPS = 3  # of the sequences that the sequence flows are tested on
EVEN_STEPS = 4  # of those that flows with a source are tested on
SOURCE = (1, 3, 5)  # steps of the sources of examples, again and again


@dataclass(frozen=True)
class Case:
    """A named constructor."""

    name: str
    build: Callable[[], Bijection]


class Gain:
    """A scalar transformation whose unconstrained parameters are brought to a given standard deviation.

    At its first use it scales what the network gives to a root mean square of ``std``, and keeps the factor.
    """

    def __init__(self, scalar, std: float) -> None:
        self.scalar, self.std, self.gain, self.count = scalar, std, None, scalar.count
        self.rounding = 0.0  # relative size of the noise that stands in for the rounding of a coarser type

    def _scaled(self, p: Tensor) -> Tensor:
        if self.gain is None:
            self.gain = self.std / float(p.detach().square().mean().sqrt())
        return self._rounded(p * self.gain)

    def _rounded(self, value: Tensor) -> Tensor:
        return value * (1 + self.rounding * torch.randn_like(value)) if self.rounding else value

    def forward(self, z: Tensor, p: Tensor) -> tuple[Tensor, Tensor]:
        eps, log_slope = self.scalar.forward(self._rounded(z), self._scaled(p))
        return self._rounded(eps), log_slope

    def inverse(self, eps: Tensor, p: Tensor) -> tuple[Tensor, Tensor]:
        z, log_slope = self.scalar.inverse(self._rounded(eps), self._scaled(p))
        return self._rounded(z), log_slope


def randomised(case: Case, std: float, seed: int = 0) -> Bijection:
    """The case in float64 with random weights, whose shifts and log-scales, before any bound, are as large as ``std``.

    The scalars' parameters and what the last projections give have that root mean square where the flow is first
    applied to normal data; actnorms' parameters, and the diagonal of a mixing by itself, have that deviation.
    """
    torch.manual_seed(seed)
    flow = case.build().double()
    fixed = _fixed(flow)
    with torch.no_grad():
        for parameter in flow.parameters():
            fan_in = parameter.shape[1] if parameter.dim() > 1 else 1
            parameter.copy_(torch.randn(parameter.shape, dtype=torch.float64) / fan_in**0.5)
        for module in flow.modules():
            if hasattr(module, "scalar"):
                module.scalar = Gain(module.scalar, std)
            if isinstance(module, Components):
                module.means.mul_(std)
            if isinstance(module, PointMixture):
                module.points.mul_(std)
            if isinstance(module, (Actnorm, MaskedActnorm)):
                module.shift.mul_(std)
                module.log_scale.mul_(std)
            for linear in _projections(module):
                _scale_at_first_use(linear, std)
        for module in flow.modules():
            # by itself: six in a row at 3 have a condition of 1e20, nothing to compare
            if isinstance(module, Invertible1x1) and module is getattr(_single(flow), "mixing", fixed):
                module.log_size.mul_(std)
        z, context, _ = inputs(flow, rows=256)
        apart = fixed or (_single(flow) if sourced(flow) else flow)
        apart.forward(z, context)  # not the inverse of a fixed one, whose first step sees no data
    return flow.eval()


def _single(flow: Bijection) -> Bijection:
    return flow.flow if isinstance(flow, Inverse) else flow


def sourced(flow: Bijection) -> bool:
    """Whether the flow is one of `SOURCED`, of any even length, or an inverse of one."""
    return any(isinstance(module, (MaskedActnorm, MultiHead1x1, SourceCoupling)) for module in flow.modules())


def _fixed(flow: Bijection) -> FixedLength | None:
    """The first part of a fixed length, if it gives its length to the flow."""
    return None if sourced(flow) else next((part for part in flow.modules() if isinstance(part, FixedLength)), None)


def _projections(module: nn.Module) -> list[nn.Linear]:
    """Layers that give shifts and log-scales, or the entries of a triangular matrix."""
    if isinstance(module, (Triangular, Affine)):
        return [module.network[-1]]
    if isinstance(module, MultiScale):
        return list(module.gaussians)
    return [module.last] if isinstance(module, (Attending, Bidirectional, RecurrentAffine)) else []


def _scale_at_first_use(linear: nn.Linear, std: float) -> None:
    def scale(linear: nn.Linear, _, out: Tensor) -> Tensor:
        used.remove()
        gain = std / out.square().mean().sqrt()
        linear.weight.mul_(gain)
        linear.bias.mul_(gain)
        return out * gain

    used = linear.register_forward_hook(scale)


def inputs(flow: Bijection, rows: int, steps: int | None = None, scale: float = 1.0) -> tuple[Tensor, Context, None]:
    """Standard-normal (z, context) in float64 of the shapes that the flow takes, and no mask."""
    fixed = _fixed(flow)
    steps = fixed.length if fixed else steps or (EVEN_STEPS if sourced(flow) else STEPS)
    shape = (rows, steps) if flow.sequence else (rows,)
    z = scale * torch.randn(*shape, flow.dim, dtype=torch.float64)
    if not flow.context:
        return z, None, None
    if not sourced(flow):
        return z, torch.randn(*shape, flow.context, dtype=torch.float64), None
    mask = torch.arange(max(SOURCE)) < torch.tensor(SOURCE)[torch.arange(rows) % len(SOURCE), None]
    return z, Source(torch.randn(*mask.shape, flow.context, dtype=torch.float64), mask), None


def cast(context: Context, dtype: torch.dtype) -> Context:
    """The context in another precision."""
    if isinstance(context, Source):
        return Source(context.states.to(dtype), context.mask)
    return None if context is None else context.to(dtype)


def jacobian(function: Callable[[Tensor], Tensor], value: Tensor) -> Tensor:
    """(B, N, N) float64: d out_n / d in_m of every example, of a map that treats examples alone."""

    def summed(x: Tensor) -> Tensor:
        return function(x).flatten(1).sum(0)

    rows = torch.autograd.functional.jacobian(summed, value)
    return rows.flatten(2).permute(1, 0, 2)


def _scalar(name: str):
    return SCALARS[name]()


def _vector(kind: str, scalar: str, dim: int, context: int, layers: int = 1, width: int = 16) -> Bijection:
    """Layers of a kind; one by itself, without its chain, where a layer is one flow."""
    flow = layered(kind, dim, context, width, _scalar(scalar), layers)
    return flow.flows[0] if len(flow.flows) == 1 else flow


def _mixture(dim: int, components: int, context: int) -> Bijection:
    return GaussianMixture(Components(components, dim), nn.Linear(context, components), context)


def _points(dim: int, count: int) -> PointMixture:
    return PointMixture(torch.randn(count, dim), 0.5)


def _read(kind: str, layers: int = 1) -> MixtureInTime:
    points = _points(2, 5)
    return MixtureInTime(3, points, Reader(kind, 3, points.points.clone(), SMALL, layers, 0.2))


def _trigram() -> MixtureInTime:
    return MixtureInTime(3, _points(2, 5), Trigram(torch.randint(5, (20, 3)).numpy(), 5))


def _in_time(
    kind: str, scalar: str, dim: int, layers: int = 2, inverse: bool = False, context: int = 2, depth: int = 2
) -> Bijection:
    width = 6
    inner = _vector(kind, scalar, dim, width, layers)
    if inverse:
        return Inverse(AutoregressiveInTime(Inverse(inner), context, width, depth, 0.2))
    return AutoregressiveInTime(inner, context, width, depth, 0.2)


def _two_layers_in_time() -> Bijection:
    return Chain(_in_time("made", "nlsq", 2), Stepwise(Reverse(2)), _in_time("coupling", "nlsq", 2, inverse=True))


VECTORS: dict[str, Callable[[], Bijection]] = {
    "reverse": lambda: Reverse(3),
    "chain": lambda: Chain(_vector("made", "nlsq", 3, 2), Reverse(3), _vector("coupling", "location_scale", 3, 0)),
    "tril": lambda: Triangular(4, 3, 8),
    "tril-one_dimension": lambda: Triangular(1, 3, 8),
    "diag": lambda: Triangular(4, 3, 8, 0.3, diagonal=True),
    "2xtril": lambda: triangular(3, 4, 8, 0.1, 2),
    "real_nvp": lambda: real_nvp(5, 3, 8, (2, 3, 4)),
    "mixture": lambda: _mixture(3, 5, 2),
    "mixture-one_dimension": lambda: GaussianMixture(Components(4, 1)),
    "points": lambda: _points(3, 5),
    "points-one_dimension": lambda: _points(1, 4),
    "scalar-nlsq": lambda: _vector("independent", "nlsq", 1, 0),
    "scalar-location_scale": lambda: _vector("independent", "location_scale", 1, 0),
}
SEQUENCES: dict[str, Callable[[], Bijection]] = {
    "af-one_layer": lambda: _in_time("made", "nlsq", 3, layers=1, depth=1),
    "af-one_dimension": lambda: _in_time("coupling", "nlsq", 1, layers=3),
    "af-mixture": lambda: AutoregressiveInTime(_mixture(2, 4, 6), 2, 6, 2, 0.2, 0.3),
    "attentive-mixture": lambda: AttentiveInTime(_mixture(2, 4, 8), 2, SMALL, 2, 0.2),
    "chain-in_time": _two_layers_in_time,
}
for _k in KINDS:
    VECTORS[f"{_k}-nlsq-no_context"] = lambda k=_k: _vector(k, "nlsq", 3, 0)
    VECTORS[f"{_k}-nlsq-one_dimension"] = lambda k=_k: _vector(k, "nlsq", 1, 2)
    VECTORS[f"layered-{_k}-nlsq-odd"] = lambda k=_k: _vector(k, "nlsq", 3, 2, layers=2)
    for _s in SCALARS:
        VECTORS[f"{_k}-{_s}"] = lambda k=_k, s=_s: _vector(k, s, 4, 3)
        VECTORS[f"layered-{_k}-{_s}"] = lambda k=_k, s=_s: _vector(k, s, 4, 3, layers=3)
        SEQUENCES[f"af-{_k}-{_s}"] = lambda k=_k, s=_s: _in_time(k, s, 2)
        SEQUENCES[f"iaf-{_k}-{_s}"] = lambda k=_k, s=_s: _in_time(k, s, 2, inverse=True)
        SEQUENCES[f"stepwise-{_k}-{_s}"] = lambda k=_k, s=_s: Stepwise(_vector(k, s, 2, 3, layers=2))

SMALL = Size(width=8, inner=12, heads=2)
FIXED: dict[str, Callable[[], Bijection]] = {  # of a fixed length
    "actnorm": lambda: Actnorm(3, 4),
    "mixing-time": lambda: Invertible1x1(4, 3, "time"),
    "mixing-rotated": lambda: Invertible1x1(4, 3, "time", start="rotation"),
    "mixing-channels": lambda: Invertible1x1(3, 4, "channels"),
    "mixing-causal": lambda: Invertible1x1(4, 3, "time", causal=True),
    "points_in_time-trigram": _trigram,
    "lstm-past": lambda: RecurrentAffine(3, 2, 6),
    "lstm-future": lambda: RecurrentAffine(3, 2, 6, later=True),
    "lstm-both": lambda: recurrent_affine(3, 2, 6, 3),
}
for _n in NETWORKS:
    FIXED[f"points_in_time-{_n}"] = lambda n=_n: _read(n)
    FIXED[f"points_in_time-{_n}-layers"] = lambda n=_n: _read(n, 2)
    for _a in ("time", "channels"):
        FIXED[f"halves-{_a}-{_n}"] = lambda n=_n, a=_a: AffineCoupling(4, 4, a, n, SMALL)
        FIXED[f"multiscale-{_a}-{_n}"] = lambda n=_n, a=_a: multiscale(16, 2, a, n, SMALL, steps=2, blocks=3)
        FIXED[f"joined_scales-{_a}-{_n}"] = lambda n=_n, a=_a: multiscale(8, 2, a, n, SMALL, 1, 2, "rotation", "joined")
        FIXED[f"aligned_scales-{_a}-{_n}"] = lambda n=_n, a=_a: multiscale(8, 2, a, n, SMALL, 3, 2, "aligned")
        FIXED[f"one_scale-{_a}-{_n}"] = lambda n=_n, a=_a: multiscale(4, 2, a, n, SMALL, steps=1, blocks=1)
    for _c in CELLS:
        FIXED[f"past-{_c}-{_n}"] = lambda n=_n, c=_c: PastCoupling(4, 2, n, SMALL, 8, c)
        FIXED[f"unidirectional-{_c}-{_n}"] = lambda n=_n, c=_c: unidirectional(4, 2, n, SMALL, 8, 2, c)
        FIXED[f"unidirectional-{_c}-{_n}-apart"] = lambda n=_n, c=_c: unidirectional(4, 2, n, SMALL, 8, 2, c, "time")

SOURCED: dict[str, Callable[[], Bijection]] = {  # of any length, with a source of width 3
    "masked_actnorm": lambda: MaskedActnorm(4),
    "source_scales-1": lambda: levels(2, 3, SMALL, (1,)),
    "source_scales-2": lambda: levels(2, 3, SMALL, (1, 1)),
}
for _g in GROUPINGS:
    SOURCED[f"heads-{_g}"] = lambda g=_g: MultiHead1x1(24, g)
for _p in SPLITS:
    for _t in (False, True):
        SOURCED[f"source-{_p}" + "-turned" * _t] = lambda p=_p, t=_t: SourceCoupling(4, 3, p, SMALL, t)

PARAMETERLESS = {"reverse"}  # at every deviation the same map
OPEN = [Case(name, build) for name, build in (VECTORS | SEQUENCES).items()]
LANGUAGE = [Case(name, build) for name, build in FIXED.items()]
ATTENDING = [Case(name, build) for name, build in SOURCED.items()]
FLOWS = OPEN + LANGUAGE + ATTENDING
INVERSES = [Case(f"inverse-{flow.name}", lambda flow=flow: Inverse(flow.build())) for flow in FLOWS]
CASES = FLOWS + INVERSES
STDS = (0.3, 1.0, 3.0)
# An inverse shares every operation with its flow: it meets the widest parameters only.
DRAWN = [(case, std) for case in FLOWS for std in STDS] + [(case, STDS[-1]) for case in INVERSES]


def features(case: Case) -> set[str]:
    """The classes that a case is made of, its scalars' too, and the options that its name says."""
    modules = list(case.build().modules())
    scalars = [module.scalar for module in modules if hasattr(module, "scalar")]
    return {type(part).__name__ for part in (*modules, *scalars)} | set(case.name.removeprefix("inverse-").split("-"))


def covering(cases: list[Case]) -> list[Case]:
    """Few cases that have every class and option of them all: again and again the one with most that is missing."""
    left = {case: features(case) for case in cases}
    found, missing = [], set().union(*left.values())
    while missing:
        found.append(max(left, key=lambda case: len(left[case] & missing)))
        missing -= left.pop(found[-1])
    return found


# What `make test` tries: every flow at 1, and at 3 as few flows, and inverses, as show every class and option.
WIDE, TURNED = covering(FLOWS), covering(INVERSES[::-1])
QUICK = {(case.name, 1.0) for case in FLOWS} | {(case.name, STDS[-1]) for case in WIDE + TURNED}
QUICK_CASES = {case.name for case in FLOWS + TURNED}
