"""The masked autoregressive flow over a vector: MADE (Germain et al. 2015) gives each scalar's parameters.

Legend: B batch, D dimensions, C context, W hidden units, P parameters of a scalar.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqflows.flows.bijection import Bijection
from seqflows.flows.scalar import Scalar


class MaskedAutoregressive(Bijection):
    r"""eps_d = f(z_d; parameters(z_{<d}, context)) (Ziegler & Rush 2019, section 3, AF; Appendix D).

    Two masked hidden layers of ``width`` units. A hidden unit of degree m (0 to D-1) sees z_1..z_m and the
    context; the parameters of z_d see the units of degree < d. ``forward`` is parallel; ``inverse`` solves for all
    dimensions by sweeps.

    Args:
        dim: D.
        context: C, 0 for none.
        width: W, hidden units in each of the two layers.
        scalar: the scalar transformation.

    Raises:
        ValueError: fewer hidden units than dimensions, so that some degree had none and z_d did not see all before it.
    """

    def __init__(self, dim: int, context: int, width: int, scalar: Scalar) -> None:
        super().__init__(dim, context)
        if width < dim:
            raise ValueError(f"Expected at least as many hidden units as dimensions, {dim}, got {width}")
        self.scalar = scalar
        degree = torch.arange(width) * dim // width  # ascending, so that units of a degree are a slice
        self.ends = [-(-(m + 1) * width // dim) for m in range(dim)]  # units of degree m or less
        inputs, outputs = torch.arange(dim), torch.arange(dim).repeat(scalar.count)
        self.register_buffer("mask_in", (inputs[None, :] < degree[:, None]), persistent=False)
        self.register_buffer("mask_hidden", (degree[None, :] <= degree[:, None]), persistent=False)
        self.register_buffer("mask_out", (degree[None, :] <= outputs[:, None]), persistent=False)
        self.first = nn.Linear(dim, width)
        self.hidden = nn.Linear(width, width)
        self.last = nn.Linear(width, dim * scalar.count)  # (P, D) rows
        self.condition = nn.Linear(context, width, bias=False) if context else None

    def _condition(self, context: Tensor | None) -> Tensor:
        """The contribution of the context and the bias to the first layer."""
        return self.first.bias if self.condition is None else self.condition(context) + self.first.bias

    def forward(self, z: Tensor, context: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Data to noise, all dimensions at once."""
        self.check(z, context)
        h = F.relu(F.linear(z, self.first.weight * self.mask_in) + self._condition(context))
        h = F.relu(F.linear(h, self.hidden.weight * self.mask_hidden, self.hidden.bias))
        p = F.linear(h, self.last.weight * self.mask_out, self.last.bias)
        eps, log_slope = self.scalar.forward(z, p.unflatten(-1, (self.scalar.count, self.dim)).transpose(-1, -2))
        return eps, log_slope.sum(-1)

    def inverse(self, eps: Tensor, context: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Noise to data: all dimensions at once without gradients, else one after another."""
        self.check(eps, context)
        if torch.is_grad_enabled():
            return self._inverse_by_dimension(eps, context)
        return self._inverse_by_sweeps(eps, context)

    def _inverse_by_sweeps(self, eps: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        """Jacobi iteration z <- f^-1(eps; parameters(z_{<d}, context)), every d at once.

        The system is triangular: sweep n makes the first n dimensions exact, so that D sweeps are always enough, and
        a sweep without changes ends the iteration, after about ten for D = 50 (Song et al. 2021,
        "Accelerating Feedforward Computation via Parallel Nonlinear Equation Solving").
        """
        base_first = self._condition(context)
        w_first = (self.first.weight * self.mask_in).t()
        w_hidden, b_hidden = (self.hidden.weight * self.mask_hidden).t(), self.hidden.bias
        w_last, b_last = (self.last.weight * self.mask_out).t(), self.last.bias
        # the first dimension, and a first guess at the others, from the context alone
        z, tolerance = torch.zeros_like(eps), 4 * torch.finfo(eps.dtype).eps
        for _ in range(self.dim + 1):
            h = torch.relu(base_first + z.nan_to_num() @ w_first)  # a sweep too early may overflow; 0 times it is NaN
            h = torch.relu(torch.addmm(b_hidden, h, w_hidden))
            p = torch.addmm(b_last, h, w_last)
            before = z
            z, log_slope = self.scalar.inverse(eps, p.unflatten(-1, (self.scalar.count, self.dim)).transpose(-1, -2))
            if bool(((z - before).abs() <= tolerance * (1 + z.abs())).all()):
                break
        return z, log_slope.sum(-1)

    def _inverse_by_dimension(self, eps: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        """D steps, each computing only the units that it completes: together they cost one pass."""
        rows = eps.shape[0]
        base_first = self._condition(context).expand(rows, -1)
        b_last = self.last.bias.unflatten(0, (self.scalar.count, self.dim))
        w_in, w_hidden = self.first.weight, self.hidden.weight
        w_out = self.last.weight.unflatten(0, (self.scalar.count, self.dim))
        z = eps.new_empty(rows, 0)
        h1 = h2 = eps.new_empty(rows, 0)
        total, start = eps.new_zeros(rows), 0
        for d, end in enumerate(self.ends):
            if end > start:
                new1 = F.relu(base_first[:, start:end] + F.linear(z, w_in[start:end, :d]))
                h1 = torch.cat([h1, new1], -1)
                new2 = F.relu(F.linear(h1, w_hidden[start:end, :end], self.hidden.bias[start:end]))
                h2 = torch.cat([h2, new2], -1)
                start = end
            p = F.linear(h2, w_out[:, d, :end], b_last[:, d])
            z_d, log_slope = self.scalar.inverse(eps[:, d], p)
            z = torch.cat([z, z_d[:, None]], -1)
            total = total + log_slope
        return z, total
