"""One scalar transformation per dimension, independent over dimensions given the context."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seqflows.flows.bijection import Bijection
from seqflows.flows.initial import start
from seqflows.flows.scalar import Scalar


class Independent(Bijection):
    r"""eps_d = f(z_d; parameters_d(context)) with parameters linear in the context.

    The ablation "- AF hidden" of Ziegler & Rush 2019, Table 2: no dependence across dimensions.
    """

    def __init__(self, dim: int, context: int, scalar: Scalar) -> None:
        super().__init__(dim, context)
        self.scalar = scalar
        self.bias = nn.Parameter(torch.zeros(scalar.count * dim))
        self.condition = nn.Linear(context, scalar.count * dim, bias=False) if context else None
        if self.condition is not None:
            start(self.condition)

    def _scalar_parameters(self, context: Tensor | None, rows: int) -> Tensor:
        p = self.bias.expand(rows, -1) if self.condition is None else self.condition(context) + self.bias
        return p.unflatten(-1, (self.scalar.count, self.dim)).transpose(-1, -2)

    def forward(self, z: Tensor, context: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Data to noise."""
        self.check(z, context)
        eps, log_slope = self.scalar.forward(z, self._scalar_parameters(context, z.shape[0]))
        return eps, log_slope.sum(-1)

    def inverse(self, eps: Tensor, context: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Noise to data."""
        self.check(eps, context)
        z, log_slope = self.scalar.inverse(eps, self._scalar_parameters(context, eps.shape[0]))
        return z, log_slope.sum(-1)
