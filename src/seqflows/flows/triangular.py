"""Conditional affine flows with a triangular or diagonal matrix: the transitions TRIL and DIAG.

Legend: B batch, M vectors of a context, D dimensions, C context, W hidden units.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from seqflows.flows.bijection import Bijection, Chain, Map
from seqflows.flows.precision import unrounded, wide


class Triangular(Bijection):
    r"""z = g(c) + G(c) eps with G lower triangular (Schmidt & Hofmann 2018, eq. 10, TRIL), or diagonal (DIAG).

    One tanh network of the context c with one hidden layer of ``width`` units gives g and the entries of G: both are
    bounded, so that iterated states stay bounded; products of G(h) ~ |h| would not. The
    diagonal is clipped away from [-delta, delta], keeping its sign: d where \|d\| > delta, else delta sign(d). The raw
    diagonal starts near 1. ``inverse``, noise to data, is a product; ``forward`` a substitution, O(D^2) both.
    log \|det dz/deps\| = sum_d log \|G_dd\|.

    Args:
        dim: D.
        context: C, at least 1.
        width: W.
        delta: in (0, 0.5).
        diagonal: G diagonal.

    Raises:
        ValueError: delta outside (0, 0.5), or no context.
    """

    def __init__(self, dim: int, context: int, width: int, delta: float = 0.1, diagonal: bool = False) -> None:
        super().__init__(dim, context)
        if not 0 < delta < 0.5:
            raise ValueError(f"Expected delta in (0, 0.5), got {delta}")
        if context < 1:
            raise ValueError(f"Expected a context of width >= 1, got {context}")
        self.delta, self.diagonal = delta, diagonal
        below = torch.tril_indices(dim, dim, -1)
        places = torch.cat([torch.arange(dim) * (dim + 1), below[0] * dim + below[1]])
        self.register_buffer("places", places, persistent=False)  # of the diagonal and the entries below it
        self.below = 0 if diagonal else below.shape[1]
        last = nn.Linear(width, 2 * dim + self.below)
        with torch.no_grad():
            last.bias.zero_()
            last.bias[dim : 2 * dim] = 1.0
        self.network = nn.Sequential(nn.Linear(context, width), nn.Tanh(), last)

    def at(self, context: Tensor) -> AffineMap:
        """g(c) and G(c) of every context."""
        shift, raw, below = wide(self.network(context)).split([self.dim, self.dim, self.below], -1)
        edge = torch.where(raw < 0, -self.delta, self.delta)
        diagonal = torch.where(raw.abs() > self.delta, raw, edge)
        stretch = diagonal.abs().log().sum(-1)
        if self.diagonal:
            return AffineMap(shift, diagonal, stretch)
        flat = below.new_zeros(len(below), self.dim * self.dim)
        matrix = flat.index_copy(1, self.places, torch.cat([diagonal, below], -1)).view(-1, self.dim, self.dim)
        return AffineMap(shift, matrix, stretch)

    def forward(self, z: Tensor, context: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Data to noise: eps = G^-1 (z - g), by substitution."""
        self.check(z, context)
        return _alone(self.at(context).forward, z)

    def inverse(self, eps: Tensor, context: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Noise to data: z = g + G eps."""
        self.check(eps, context)
        return _alone(self.at(context).inverse, eps)


class TriangularChain(Chain):
    """n x TRIL, or n x DIAG; for a given context the product of the triangular maps is one such map."""

    def at(self, context: Tensor) -> AffineMap:
        """The product of all maps, the last flow's applied to the noise first."""
        first, *rest = (flow.at(context) for flow in self.flows)
        for later in rest:
            first = first.after(later)
        return first

    forward = Triangular.forward
    inverse = Triangular.inverse


class AffineMap(Map):
    """z = g + G eps at given contexts: g (B, D), G (B, D) diagonal or (B, D, D) lower triangular, log |det G| (B,)."""

    def __init__(self, shift: Tensor, factor: Tensor, stretch: Tensor) -> None:
        self.shift, self.factor, self.stretch = shift, factor, stretch

    @property
    def diagonal(self) -> bool:
        """Whether G is diagonal."""
        return self.factor.dim() == 2

    def inverse(self, eps: Tensor) -> tuple[Tensor, Tensor]:
        """Noise to data, a product."""
        shift, log_det = self.shift[:, None], self.stretch[:, None].expand(eps.shape[:2])
        if self.diagonal:
            return torch.addcmul(shift, self.factor[:, None], eps), log_det
        with unrounded(eps):
            return torch.baddbmm(shift.expand_as(eps), eps, self.factor.transpose(1, 2)), log_det

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Data to noise, a substitution."""
        centred, log_det = z - self.shift[:, None], -self.stretch[:, None].expand(z.shape[:2])
        if self.diagonal:
            return centred / self.factor[:, None], log_det
        solved = torch.linalg.solve_triangular(self.factor, centred.transpose(1, 2), upper=False)
        return solved.transpose(1, 2), log_det

    def after(self, other: AffineMap) -> AffineMap:
        """Apply the other map to the noise, then this one."""
        shift, _ = self.inverse(other.shift[:, None])
        with unrounded(shift):
            factor = self.factor * other.factor if self.diagonal else self.factor @ other.factor
        return AffineMap(shift[:, 0], factor, self.stretch + other.stretch)


def _alone(apply: Callable[[Tensor], tuple[Tensor, Tensor]], value: Tensor) -> tuple[Tensor, Tensor]:
    """A map applied to one vector of each context."""
    out, log_det = apply(value[:, None])
    return out[:, 0], log_det[:, 0]
