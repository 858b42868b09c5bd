r"""Scalar invertible transformations with parameters from a network: affine and NLSq.

Both map data to base noise in closed form (Ziegler & Rush 2019, Appendix B: the closed form is used for
training) and take *unconstrained* parameters, the last axis of ``p``.

Log-slopes are softly bounded, :math:`s(v) = 7 \tanh(v / 7)`, so that every map is invertible in floating
point: s(v) differs from v by less than 0.7 % for |v| <= 1 and 6 % for |v| <= 3. Before that the
parameters are scaled as in the released code, which the paper does not mention.
"""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import Tensor

from seqflows.flows.fused import NLSqForward
from seqflows.flows.precision import wide

BOUND = 7.0
SCALES = (0.4, 0.3, 0.4)  # of b', c' and d' of NLSq in the released code
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
    r"""eps = a + exp(s(scale b')) z (Ziegler & Rush 2019, section 3, read from data to noise).

    Args:
        scale: of b'; the released code has 0.5.

    >>> eps, log_slope = Affine().forward(torch.tensor(2.0), torch.tensor([1.0, 0.0]))
    >>> eps.item(), log_slope.item()
    (3.0, 0.0)
    """

    count = 2

    def __init__(self, scale: float = 1.0) -> None:
        self.scale = scale

    def forward(self, z: Tensor, p: Tensor) -> tuple[Tensor, Tensor]:
        """Data to noise."""
        a, b = wide(p).unbind(-1)
        log_b = bounded(self.scale * b)
        return torch.addcmul(a, log_b.exp(), z), log_b

    def inverse(self, eps: Tensor, p: Tensor) -> tuple[Tensor, Tensor]:
        """Noise to data."""
        a, b = wide(p).unbind(-1)
        log_b = bounded(self.scale * b)
        return (eps - a) * torch.exp(-log_b), -log_b


class LocationScale(Affine):
    r"""z = a + exp(s(scale b')) eps (Ziegler & Rush 2019, eq. (3) and its released code): `Affine` from noise to data.

    For given a and b' the two families are one; as outputs of a network they are not: here a is the mean.

    >>> eps, log_slope = LocationScale().forward(torch.tensor(3.0), torch.tensor([1.0, 0.0]))
    >>> eps.item(), log_slope.item()
    (2.0, -0.0)
    """

    forward, inverse = Affine.inverse, Affine.forward


class NLSq:
    r"""The non-linear squared flow (Ziegler & Rush 2019, section 4.3 and Appendix B), from data to noise.

    .. math:: \epsilon = a + b z + \frac{c}{1 + (d z + g)^2},\quad b = e^{s(0.4 b')},\ d = e^{s(0.4 d')},\
              c = \frac{8\sqrt3}{9}\frac{b}{d}\,\alpha\tanh(0.3 c')

    The slope is b (1 - 2 k u / (1 + u^2)^2) with u = d z + g and k = c d / b, at least (1 - alpha) b.
    With w = (eps - a) d / b + g the inverse is the one real root of u + k / (1 + u^2) = w, which lies between
    w - k and w: in closed form, in float64 (`real_root`). Gradients of the inverse are those of the implicit
    function.

    Args:
        alpha: the largest c as a share of that at which the slope vanishes, in (0, 1); the paper's 0.95.
        scales: of b', c' and d'; those of the released code.

    Raises:
        ValueError: alpha outside (0, 1).
    """

    count = 5

    def __init__(self, alpha: float = 0.95, scales: tuple[float, float, float] = SCALES) -> None:
        if not 0 < alpha < 1:
            raise ValueError(f"Expected alpha in (0, 1), got {alpha}")
        self.strength, self.scales = alpha * LIMIT, scales

    def forward(self, z: Tensor, p: Tensor) -> tuple[Tensor, Tensor]:
        """Data to noise, in closed form."""
        return NLSqForward.apply(z, wide(p), self.strength, self.scales, BOUND)

    def inverse(self, eps: Tensor, p: Tensor) -> tuple[Tensor, Tensor]:
        """Noise to data: the cubic's real root."""
        dtype = eps.dtype
        eps, p = eps.double(), p.double()
        with torch.no_grad():
            a, b, c, d, g = p.unbind(-1)
            by_b, by_c, by_d = self.scales
            log_b, log_d = bounded(by_b * b), bounded(by_d * d)
            scale_b, scale_d, k = torch.exp(log_b), torch.exp(log_d), self.strength * torch.tanh(by_c * c)
            ratio, shifted = scale_d / scale_b, eps - a
            z = (real_root(torch.addcmul(g, shifted, ratio), k) - g) / scale_d
        if torch.is_grad_enabled():
            # A Newton step whose value polishes the root, rounded where g is large, and whose derivative is the
            # implicit function's.
            value, log_slope = self.forward(z, p)
            z = z + (eps - value) * torch.exp(-log_slope.detach())
            _, log_slope = self.forward(z, p)
        else:
            u = torch.addcmul(g, scale_d, z)
            r = torch.reciprocal(1 + u * u)
            kr = k * r
            slope = 1 - 2 * kr * u * r
            z = z + (shifted - scale_b * z - kr / ratio) / (scale_b * slope)
            log_slope = log_b + torch.log(slope)
        return z.to(dtype), -log_slope.to(dtype)


def real_root(w: Tensor, k: Tensor) -> Tensor:
    r"""Root u of u + k / (1 + u^2) = w, elementwise, for float64 w and \|k\| < 8 sqrt(3) / 9.

    It is the one real root of u^3 - w u^2 + u + k - w: Cardano's formula, with the sign chosen so that nothing
    cancels. For the k allowed the cubic is strictly increasing, so the discriminant is positive and s is not 0.
    The result is kept in [w - max(k, 0), w - min(k, 0)], where the root must lie. Residuals stay below
    1e-15 (1 + \|w\|) for \|w\| up to 1e5.
    """
    third = w * (1 / 3)
    p = 1 - third * w  # t = u - w / 3 solves t^3 + p t + q = 0
    half_q = 0.5 * k - third * (third * third + 1)
    discriminant = torch.addcmul(half_q * half_q, p * p, p, value=1 / 27).clamp(min=0)
    s = torch.copysign((half_q.abs() + discriminant.sqrt()).pow(1 / 3), -half_q)
    u = s - p / (3 * s) + third
    return torch.minimum(torch.maximum(u, w - k.clamp(min=0)), w - k.clamp(max=0))
