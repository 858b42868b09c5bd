"""Conditional affine flows with a triangular or diagonal matrix: the transitions TRIL and DIAG.

Legend: B batch, D dimensions, C context, W hidden units.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seqflows.flows.bijection import Bijection


class Triangular(Bijection):
    r"""z = g(c) + G(c) eps with G lower triangular (Schmidt & Hofmann 2018, eq. 10, TRIL), or diagonal (DIAG).

    One ReLU network of the context c with one hidden layer of ``width`` units gives g and the entries of G. Its
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
        self.register_buffer("places", below[0] * dim + below[1], persistent=False)  # of the entries below the diagonal
        self.below = 0 if diagonal else below.shape[1]
        last = nn.Linear(width, 2 * dim + self.below)
        with torch.no_grad():
            last.bias.zero_()
            last.bias[dim : 2 * dim] = 1.0
        self.network = nn.Sequential(nn.Linear(context, width), nn.ReLU(), last)

    def _parts(self, context: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """g (B, D), the clipped diagonal (B, D) and the entries below it (B, D (D - 1) / 2)."""
        shift, raw, below = self.network(context).split([self.dim, self.dim, self.below], -1)
        edge = torch.where(raw < 0, -self.delta, self.delta)
        return shift, torch.where(raw.abs() > self.delta, raw, edge), below

    def _matrix(self, diagonal: Tensor, below: Tensor) -> Tensor:
        """(B, D, D) lower triangular."""
        flat = below.new_zeros(len(below), self.dim * self.dim).index_copy(1, self.places, below)
        return flat.view(-1, self.dim, self.dim) + torch.diag_embed(diagonal)

    def forward(self, z: Tensor, context: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Data to noise: eps = G^-1 (z - g), by substitution."""
        self.check(z, context)
        shift, diagonal, below = self._parts(context)
        log_det = -diagonal.abs().log().sum(-1)
        if self.diagonal:
            return (z - shift) / diagonal, log_det
        matrix = self._matrix(diagonal, below)
        eps = torch.linalg.solve_triangular(matrix, (z - shift)[..., None], upper=False)
        return eps[..., 0], log_det

    def inverse(self, eps: Tensor, context: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Noise to data: z = g + G eps."""
        self.check(eps, context)
        shift, diagonal, below = self._parts(context)
        log_det = diagonal.abs().log().sum(-1)
        if self.diagonal:
            return torch.addcmul(shift, diagonal, eps), log_det
        return shift + (self._matrix(diagonal, below) @ eps[..., None])[..., 0], log_det
