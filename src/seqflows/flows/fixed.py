"""Flows over sequences of one fixed length: base classes, actnorm and invertible 1x1 convolution (Tang et al. 2021).

Legend: B batch, T time (fixed), D channels of a step.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seqflows.flows.bijection import Bijection, Chain, Context
from seqflows.flows.precision import unrounded


class FixedLength(Bijection):
    """A sequence flow for z (B, T, D) with T fixed, without context and without masked steps.

    Raises:
        ValueError: another shape, a context, or a mask that leaves steps out.
    """

    sequence = True

    def __init__(self, length: int, dim: int) -> None:
        super().__init__(dim)
        if length < 1:
            raise ValueError(f"Expected length >= 1, got {length}")
        self.length = length

    def check(self, value: Tensor, context: Tensor | None, mask: Tensor | None = None) -> None:
        """Raise ValueError where the shapes differ from those that the flow was built for."""
        super().check(value, context, mask)
        if value.shape[1] != self.length:
            raise ValueError(f"Expected {type(self).__name__} input of {self.length} steps, got {value.shape[1]}")
        if mask is not None and not bool(mask.all()):
            raise ValueError(f"Expected {type(self).__name__} sequences without masked steps, got some; pad them")

    def stepper(self) -> Stepper:
        """The inverse as single time steps; only for flows that are autoregressive in time."""
        raise TypeError(f"Expected a flow that is autoregressive in time, got {type(self).__name__}")


class Stepper:
    """The state of a causal flow between two time steps, for each example.

    ``inverse`` maps the next step's noise to data and leaves the state as it is; ``advance`` maps the next step's data,
    whether it came from ``inverse`` or not, to noise and updates the state; ``select`` keeps some of the examples.
    """

    def inverse(self, eps: Tensor) -> Tensor:
        """Map the next step's noise (B, D) to data (B, D)."""
        raise TypeError(f"Expected {type(self).__name__} to define inverse(eps)")

    def advance(self, z: Tensor) -> Tensor:
        """Map the next step's data (B, D) to noise (B, D) and add it to the past."""
        raise TypeError(f"Expected {type(self).__name__} to define advance(z)")

    def select(self, places: Tensor) -> None:
        """Keep the examples at ``places`` (B',), repeated as listed."""
        raise TypeError(f"Expected {type(self).__name__} to define select(places)")


class Steps(FixedLength):
    """A chain of flows of one length and width: K flow steps (Tang et al. 2021, section 2.1)."""

    def __init__(self, *flows: FixedLength) -> None:
        if not flows:
            raise ValueError("Expected at least one flow, got none")
        if len({(flow.length, flow.dim) for flow in flows}) > 1:
            raise ValueError(f"Expected flows of one shape, got {[(flow.length, flow.dim) for flow in flows]}")
        super().__init__(flows[0].length, flows[0].dim)
        self.flows = nn.ModuleList(flows)

    forward, inverse = Chain.forward, Chain.inverse

    def stepper(self) -> Stepper:
        """A stepper that applies all flows to one time step before the next."""
        return _Steps([flow.stepper() for flow in self.flows])


class _Steps(Stepper):
    def __init__(self, steppers: list[Stepper]) -> None:
        self.steppers = steppers

    def inverse(self, eps: Tensor) -> Tensor:
        for stepper in reversed(self.steppers):
            eps = stepper.inverse(eps)
        return eps

    def advance(self, z: Tensor) -> Tensor:
        for stepper in self.steppers:
            z = stepper.advance(z)
        return z

    def select(self, places: Tensor) -> None:
        for stepper in self.steppers:
            stepper.select(places)


class Actnorm(FixedLength):
    """eps = (z + shift) exp(log_scale), a shift and a scale for each channel (Kingma & Dhariwal 2018, section 3.1).

    It starts as the identity; `initialise` sets it from data, see `standardise`. log_det = T sum_d log_scale_d.
    """

    def __init__(self, length: int, dim: int) -> None:
        super().__init__(length, dim)
        self.shift = nn.Parameter(torch.zeros(dim))
        self.log_scale = nn.Parameter(torch.zeros(dim))
        self.awaits_data = False

    def forward(self, z: Tensor, context: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Data to noise."""
        self.check(z, context, mask)
        if self.awaits_data:
            standardise(self, z.flatten(0, 1))
        return (z + self.shift) * self.log_scale.exp(), (self.length * self.log_scale.sum()).expand(z.shape[0])

    def inverse(self, eps: Tensor, context: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Noise to data."""
        self.check(eps, context, mask)
        return eps * (-self.log_scale).exp() - self.shift, (-self.length * self.log_scale.sum()).expand(eps.shape[0])

    def stepper(self) -> Stepper:
        """A stepper of independent steps."""
        return _Actnorm(self)


class _Actnorm(Stepper):
    def __init__(self, flow: Actnorm) -> None:
        self.shift, self.scale = flow.shift, flow.log_scale.exp()

    def inverse(self, eps: Tensor) -> Tensor:
        return eps / self.scale - self.shift

    def advance(self, z: Tensor) -> Tensor:
        return (z + self.shift) * self.scale

    def select(self, places: Tensor) -> None:
        """Do nothing, as there is no state."""


@torch.no_grad()
def standardise(actnorm: Bijection, steps: Tensor) -> None:
    """Set an actnorm so that ``steps`` (N, D) get mean 0 and, if N > D, deviation 1 per channel.

    Fewer steps than channels, normalised layer after layer, leave directions that are enlarged without limit.
    """
    deviation, mean = torch.std_mean(steps, 0, correction=0)
    actnorm.shift.copy_(-mean)
    if len(steps) > actnorm.dim:
        actnorm.log_scale.copy_(-torch.log(deviation + 1e-6))
    actnorm.awaits_data = False


def initialise(flow: Bijection, z: Tensor, context: Context = None, mask: Tensor | None = None) -> None:
    """Set every actnorm of a flow from a batch z (B, T, D): its output has mean 0 and deviation 1 per channel.

    One forward pass; each actnorm is set from the output of the layers before it.
    """
    for module in flow.modules():
        if hasattr(module, "awaits_data"):
            module.awaits_data = True
    with torch.no_grad():
        flow.forward(z, context, mask)


STARTS = ("permutation", "rotation")


class Invertible1x1(FixedLength):
    r"""An invertible linear map over channels, eps_t = W z_t, or over time, eps_t = sum_s W_ts z_s.

    The "1x1 convolution" of Glow by its LU decomposition (Kingma & Dhariwal 2018, section 3.2): W = P L (U + diag(s)),
    P a fixed permutation, L unit lower and U strictly upper triangular. Over time it is the permutation of Tang et al.
    2021, section 2.1. log|det| = D sum log|s| over time and T sum log|s| over channels. With ``causal`` W is lower
    triangular, L diag(s), and starts as the identity (their section 2.3).

    ``start`` is where W begins: a random "rotation", as in Glow, or a random "permutation", L = I, U = 0 and s = 1.
    The default is a permutation over time, where a dense W makes every step a mixture of all words, which the
    couplings would have to separate again, and a rotation over channels.

    L and U are stored times sqrt(size). Otherwise an optimiser that moves each entry by its rate, such as Adam, moves
    W by size times that, and at T = 256 float32 cannot invert K = 8 of them after a few steps.

    Raises:
        ValueError: unknown axis or start, or a causal map over channels.
    """

    def __init__(self, length: int, dim: int, axis: str, causal: bool = False, start: str | None = None) -> None:
        super().__init__(length, dim)
        if axis not in ("time", "channels"):
            raise ValueError(f"Expected an axis of time or channels, got {axis!r}")
        start = start or {"time": "permutation", "channels": "rotation"}[axis]
        if start not in STARTS:
            raise ValueError(f"Expected a start of {' or '.join(STARTS)}, got {start!r}")
        if causal and axis != "time":
            raise ValueError("Expected a causal mixing over time, got one over channels")
        self.axis, self.causal = axis, causal
        size = length if axis == "time" else dim
        self.copies = dim if axis == "time" else length  # how often W acts
        lower, upper, diagonal = torch.zeros(size, size), None if causal else torch.zeros(size, size), torch.ones(size)
        if causal:
            order = torch.arange(size)
        elif start == "permutation":
            order = torch.randperm(size)
        else:
            rotation = torch.linalg.qr(torch.randn(size, size, dtype=torch.float64))[0]
            permutation, lower, upper = (value.float() for value in torch.linalg.lu(rotation))
            order, diagonal = permutation.argmax(1), upper.diagonal().clone()
        self.register_buffer("order", order)  # row n of P L U is row order[n] of L U
        self.register_buffer("sign", diagonal.sign())
        self.log_size = nn.Parameter(diagonal.abs().log())
        self.unit = size**-0.5
        self.lower = nn.Parameter(lower.tril(-1) / self.unit)
        self.upper = nn.Parameter(upper.triu(1) / self.unit) if upper is not None else None

    def _factors(self) -> tuple[Tensor, Tensor]:
        """L and U + diag(s)."""
        size = len(self.log_size)
        lower = self.unit * self.lower.tril(-1) + torch.eye(size, dtype=self.lower.dtype, device=self.lower.device)
        diagonal = torch.diag(self.sign * self.log_size.exp())
        return lower, diagonal if self.upper is None else diagonal + self.unit * self.upper.triu(1)

    def weight(self) -> Tensor:
        """W, (T, T) or (D, D)."""
        lower, upper = self._factors()
        with unrounded(lower):
            return (lower @ upper)[self.order]

    def _log_det(self, batch: int, sign: int) -> Tensor:
        return (sign * self.copies * self.log_size.sum()).expand(batch)

    def forward(self, z: Tensor, context: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Data to noise."""
        self.check(z, context, mask)
        weight = self.weight()
        with unrounded(z):
            return weight @ z if self.axis == "time" else z @ weight.T, self._log_det(z.shape[0], 1)

    def inverse(self, eps: Tensor, context: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Noise to data, by two triangular systems in float64."""
        self.check(eps, context, mask)
        value = eps if self.axis == "time" else eps.mT
        lower, upper = (factor.double() for factor in self._factors())
        value = value.double()[:, self.order.argsort()]
        value = torch.linalg.solve_triangular(lower, value, upper=False, unitriangular=True)
        value = torch.linalg.solve_triangular(upper, value, upper=True).to(eps.dtype)
        return value if self.axis == "time" else value.mT, self._log_det(eps.shape[0], -1)

    def stepper(self) -> Stepper:
        """A stepper; over time each step depends on the earlier ones, over channels on none."""
        if self.axis == "channels":
            return _Channels(self)
        return _Mixing(self) if self.causal else super().stepper()


class _Mixing(Stepper):
    def __init__(self, flow: Invertible1x1) -> None:
        self.weight, self.past = flow.weight(), None

    def _before(self, like: Tensor) -> Tensor:
        """The contribution of the earlier steps to the next."""
        if self.past is None:
            return torch.zeros_like(like)
        count = self.past.shape[1]
        with unrounded(like):
            return self.weight[count, :count] @ self.past

    def _diagonal(self) -> Tensor:
        place = 0 if self.past is None else self.past.shape[1]
        return self.weight[place, place]

    def inverse(self, eps: Tensor) -> Tensor:
        return (eps - self._before(eps)) / self._diagonal()

    def advance(self, z: Tensor) -> Tensor:
        eps = self._before(z) + self._diagonal() * z
        self.past = z[:, None] if self.past is None else torch.cat([self.past, z[:, None]], 1)
        return eps

    def select(self, places: Tensor) -> None:
        if self.past is not None:
            self.past = self.past[places]


class _Channels(Stepper):
    def __init__(self, flow: Invertible1x1) -> None:
        self.weight = flow.weight()
        lower, upper = (factor.double() for factor in flow._factors())
        turned = torch.eye(flow.dim, dtype=torch.float64, device=lower.device)[flow.order.argsort()]
        turned = torch.linalg.solve_triangular(lower, turned, upper=False, unitriangular=True)
        self.back = torch.linalg.solve_triangular(upper, turned, upper=True)  # W^-1, once for all steps

    def inverse(self, eps: Tensor) -> Tensor:
        return (eps.double() @ self.back.T).to(eps.dtype)

    def advance(self, z: Tensor) -> Tensor:
        with unrounded(z):
            return z @ self.weight.T

    def select(self, places: Tensor) -> None:
        """Do nothing, as there is no state."""
