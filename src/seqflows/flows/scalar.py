r"""Scalar invertible transformations whose parameters a network gives: affine and NLSq.

Both map data to base noise in closed form (Ziegler & Rush 2019, Appendix B: the closed form is used in
the direction that training takes) and take *unconstrained* parameters, the last axis of ``p``.

Log-slopes are softly bounded, :math:`s(v) = 7 \tanh(v / 7)`, so that no parameter makes a map that floating
point cannot invert: s(v) differs from v by less than 0.7 % for |v| <= 1 and 6 % for |v| <= 3. The paper has
plain exponentials, the released code scales by 0.4.
"""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import Tensor

from seqflows.flows.fused import NLSqForward

BOUND = 7.0
LIMIT = 8 * math.sqrt(3) / 9  # largest |c| d / b of an invertible NLSq


class Scalar(Protocol):
    """An elementwise bijection with ``count`` unconstrained parameters.

    ``forward(z, p) -> (eps, log_slope)`` and ``inverse(eps, p) -> (z, log_slope)``: z and eps of any shape,
    p of that shape plus a last axis of ``count``; log_slope is log |derivative| of the map that was applied,
    elementwise, in nats.
    """

    count: int

    def forward(self, z: Tensor, p: Tensor) -> tuple[Tensor, Tensor]: ...  # noqa: D102
    def inverse(self, eps: Tensor, p: Tensor) -> tuple[Tensor, Tensor]: ...  # noqa: D102


def bounded(v: Tensor) -> Tensor:
    """The soft bound s(v) = BOUND tanh(v / BOUND)."""
    return BOUND * torch.tanh(v * (1 / BOUND))


class Affine:
    r"""eps = a + exp(s(b')) z (Ziegler & Rush 2019, section 3, read from data to noise).

    >>> eps, log_slope = Affine().forward(torch.tensor(2.0), torch.tensor([1.0, 0.0]))
    >>> eps.item(), log_slope.item()
    (3.0, 0.0)
    """

    count = 2

    def forward(self, z: Tensor, p: Tensor) -> tuple[Tensor, Tensor]:
        """Data to noise."""
        a, b = p.unbind(-1)
        log_b = bounded(b)
        return torch.addcmul(a, log_b.exp(), z), log_b

    def inverse(self, eps: Tensor, p: Tensor) -> tuple[Tensor, Tensor]:
        """Noise to data."""
        a, b = p.unbind(-1)
        log_b = bounded(b)
        return (eps - a) * torch.exp(-log_b), -log_b


class NLSq:
    r"""The non-linear squared flow (Ziegler & Rush 2019, section 4.3 and Appendix B), from data to noise.

    .. math:: \epsilon = a + b z + \frac{c}{1 + (d z + g)^2},\quad b = e^{s(b')},\ d = e^{s(d')},\
              c = \frac{8\sqrt3}{9}\frac{b}{d}\,\alpha\tanh c'

    The slope is b (1 - 2 k u / (1 + u^2)^2) with u = d z + g and k = c d / b, at least (1 - alpha) b.
    With w = (eps - a) d / b + g the inverse is the one real root of u + k / (1 + u^2) = w, which lies between
    w - k and w: Newton's method, kept inside that bracket by bisection, in float64. Gradients of the inverse
    are those of the implicit function.

    Args:
        alpha: how close to a vanishing slope c may come, in (0, 1); the paper's 0.95.

    Raises:
        ValueError: alpha outside (0, 1).
    """

    count = 5

    def __init__(self, alpha: float = 0.95) -> None:
        if not 0 < alpha < 1:
            raise ValueError(f"Expected alpha in (0, 1), got {alpha}")
        self.strength = alpha * LIMIT

    def forward(self, z: Tensor, p: Tensor) -> tuple[Tensor, Tensor]:
        """Data to noise, in closed form."""
        return NLSqForward.apply(z, p, self.strength, BOUND)

    def inverse(self, eps: Tensor, p: Tensor) -> tuple[Tensor, Tensor]:
        """Noise to data: the cubic's real root."""
        dtype = eps.dtype
        eps, p = eps.double(), p.double()
        with torch.no_grad():
            a, b, c, d, g = p.unbind(-1)
            log_b, log_d = bounded(b), bounded(d)
            k = self.strength * torch.tanh(c)
            w = (eps - a) * torch.exp(log_d - log_b) + g
            z = (real_root(w, k) - g) * torch.exp(-log_d)
        value, log_slope = self.forward(z, p)
        # One Newton step whose value polishes the root and whose derivative is the implicit function's.
        z = z + (eps - value) * torch.exp(-log_slope.detach())
        _, log_slope = self.forward(z, p)
        return z.to(dtype), -log_slope.to(dtype)


def real_root(w: Tensor, k: Tensor, tolerance: float = 1e-14, iterations: int = 80) -> Tensor:
    r"""The root u of u + k / (1 + u^2) = w, elementwise, for float64 w and \|k\| < 8 sqrt(3) / 9.

    Newton steps that leave the bracket [w - max(k, 0), w - min(k, 0)], which shrinks at every step, are
    replaced by bisections; it stops when every residual is below ``tolerance`` (1 + \|w\|).
    """
    low, high = w - k.clamp(min=0), w - k.clamp(max=0)
    u = w - k / (1 + w * w).clamp(min=1)
    u = torch.minimum(torch.maximum(u, low), high)
    limit = tolerance * (1 + w.abs())
    for _ in range(iterations):
        r = torch.reciprocal(1 + u * u)
        kr = k * r
        residual = u + kr - w
        if bool((residual.abs() <= limit).all()):
            break
        above = residual > 0
        high, low = torch.where(above, u, high), torch.where(above, low, u)
        step = u - residual / (1 - 2 * kr * u * r)
        u = torch.where((step >= low) & (step <= high), step, 0.5 * (low + high))
    return u
