"""Coupling layer over a vector (Dinh et al. 2017) with any scalar transformation."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seqflows.flows.bijection import Bijection
from seqflows.flows.scalar import Scalar


class SplitCoupling(Bijection):
    r"""eps_S = z_S for the first ``kept`` dimensions S; eps_d = f(z_d; parameters(z_S, context)) for the others.

    Ziegler & Rush 2019, section 3, SCF: parallel in both directions. The network has two hidden layers of
    ``width`` units (Appendix D). By default floor(D/2) dimensions are kept, so that with an odd D two layers with the
    order reversed between them still transform every dimension; with D = 1 the context alone conditions.

    Raises:
        ValueError: ``kept`` outside 0 to D - 1.
    """

    def __init__(self, dim: int, context: int, width: int, scalar: Scalar, kept: int | None = None) -> None:
        super().__init__(dim, context)
        self.scalar = scalar
        self.kept = dim // 2 if kept is None else kept
        if not 0 <= self.kept < dim:
            raise ValueError(f"Expected to keep 0 to {dim - 1} of {dim} dimensions, got {kept}")
        self.moved = dim - self.kept
        last = nn.Linear(width, self.moved * scalar.count)
        with torch.no_grad():
            last.weight.mul_(0.3)
            last.bias.zero_()
        self.network = nn.Sequential(
            nn.Linear(self.kept + context, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), last
        )

    def _scalar_parameters(self, kept: Tensor, context: Tensor | None) -> Tensor:
        p = self.network(kept if context is None else torch.cat([kept, context], -1))
        return p.unflatten(-1, (self.scalar.count, self.moved)).transpose(-1, -2)

    def forward(self, z: Tensor, context: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Data to noise."""
        self.check(z, context)
        kept, moved = z[:, : self.kept], z[:, self.kept :]
        moved, log_slope = self.scalar.forward(moved, self._scalar_parameters(kept, context))
        return torch.cat([kept, moved], -1), log_slope.sum(-1)

    def inverse(self, eps: Tensor, context: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Noise to data."""
        self.check(eps, context)
        kept, moved = eps[:, : self.kept], eps[:, self.kept :]
        moved, log_slope = self.scalar.inverse(moved, self._scalar_parameters(kept, context))
        return torch.cat([kept, moved], -1), log_slope.sum(-1)
