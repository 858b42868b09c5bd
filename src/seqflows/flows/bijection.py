"""The one interface of every flow, and the ways to compose flows.

Legend: B batch, T time, D dimensions of a vector, C context, S steps of a source.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn


class Source(NamedTuple):
    """A sequence that another one is conditioned on: ``states`` (B, S, C) and ``mask`` (B, S), true within it.

    A source may be that of several examples next to each other: with B sources, z has n B examples. States outside the
    mask are not used, but must be finite; each mask has a true value.
    """

    states: Tensor
    mask: Tensor

    @property
    def shape(self) -> torch.Size:
        """That of the states."""
        return self.states.shape


Context = Tensor | Source | None


def clean(value: Tensor, mask: Tensor | None) -> Tensor:
    """Set the steps outside the mask to zero, (B, T, .)."""
    return value if mask is None else value.masked_fill(~mask[:, :, None], 0.0)


def clean_both(value: Tensor, context: Tensor | None, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Likewise of a value and of the context of its steps, whatever stands there, also what is not finite."""
    return clean(value, mask), None if context is None else clean(context, mask)


class Bijection(nn.Module):
    r"""An invertible map from data ``z`` to base noise ``eps``.

    ``forward(z, context, mask) -> (eps, log_det)`` with ``log_det = log |det d eps / d z|``;
    ``inverse(eps, context, mask) -> (z, log_det)`` with ``log_det = log |det d z / d eps|``.
    The density of ``z`` is :math:`\log p(z) = \log N(\epsilon; 0, I) + \log |\det d\epsilon / dz|`
    (Ziegler & Rush 2019, section 3).

    Shapes: a vector flow (``sequence = False``) takes z (B, D) and context (B, C); a sequence flow
    takes z (B, T, D), context (B, T, C), or a `Source` of width C that it attends to, and a boolean
    mask (B, T), all true where it is None.
    A mask is true for the first steps of each sequence; padding stands behind them. What stands outside the mask, in z
    and in the context of the steps, finite or not, adds nothing to log_det, reaches no other step, and comes out as 0.
    Padding before a step is not as if it were absent: flows over time read its z and context as 0 and go on from there.
    log_det has shape (B,) and is in nats. ``context`` is None where ``self.context`` is 0.
    """

    sequence = False

    def __init__(self, dim: int, context: int = 0) -> None:
        super().__init__()
        if dim < 1 or context < 0:
            raise ValueError(f"Expected dim >= 1 and context >= 0, got {dim} and {context}")
        self.dim, self.context = dim, context

    def forward(self, z: Tensor, context: Context = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Data to base noise."""
        raise TypeError(f"Expected {type(self).__name__} to define forward(z, context, mask)")

    def inverse(self, eps: Tensor, context: Context = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Base noise to data."""
        raise TypeError(f"Expected {type(self).__name__} to define inverse(eps, context, mask)")

    def log_density(self, z: Tensor, context: Context = None, mask: Tensor | None = None) -> Tensor:
        """log p(z), (B,), nats, under standard normal noise: log N(eps; 0, I) + log_det."""
        eps, log_det = self.forward(z, context, mask)
        log_base = standard_normal_log_density(eps).sum(-1)
        if self.sequence:
            log_base = (log_base if mask is None else log_base * mask).sum(1)
        return log_base + log_det

    def at(self, context: Tensor) -> Map:
        """The vector flow at fixed contexts (B, C), to be applied to several vectors per context."""
        return Map(self, context)

    def check(self, value: Tensor, context: Context, mask: Tensor | None = None) -> None:
        """Raise ValueError where the shapes differ from those that the flow was built for; a mask is (B, T), bool."""
        rank = 3 if self.sequence else 2
        if value.dim() != rank or value.shape[-1] != self.dim:
            shape = f"(B, T, {self.dim})" if self.sequence else f"(B, {self.dim})"
            raise ValueError(f"Expected {type(self).__name__} input of shape {shape}, got {tuple(value.shape)}")
        found = 0 if context is None else context.shape[-1]
        if found != self.context:
            raise ValueError(f"Expected {type(self).__name__} context of width {self.context}, got {found}")
        if isinstance(context, Tensor) and context.shape[:-1] != value.shape[:-1]:
            expected, got = (*value.shape[:-1], self.context), tuple(context.shape)
            raise ValueError(f"Expected {type(self).__name__} context of shape {expected}, got {got}")
        if self.sequence and mask is not None and (mask.shape != value.shape[:2] or mask.dtype != torch.bool):
            expected, got = tuple(value.shape[:2]), f"{tuple(mask.shape)} of {mask.dtype}"
            raise ValueError(f"Expected {type(self).__name__} mask of shape {expected} of torch.bool, got {got}")


class Map:
    """A vector flow at given contexts: ``forward`` and ``inverse`` of M vectors each, (B, M, D), with log_det (B, M).

    `Bijection.at` returns it; flows that need not repeat their contexts M times override `Bijection.at`.
    """

    def __init__(self, flow: Bijection, context: Tensor) -> None:
        self.flow, self.context = flow, context

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Data to base noise."""
        return self._each(self.flow.forward, z)

    def inverse(self, eps: Tensor) -> tuple[Tensor, Tensor]:
        """Base noise to data."""
        return self._each(self.flow.inverse, eps)

    def _each(self, apply: Callable[..., tuple[Tensor, Tensor]], value: Tensor) -> tuple[Tensor, Tensor]:
        out, log_det = apply(value.flatten(0, 1), self.context.repeat_interleave(value.shape[1], 0))
        return out.view_as(value), log_det.view(value.shape[:2])


class Inverse(Bijection):
    """The inverse of a flow: an inverse autoregressive flow is ``Inverse`` of an autoregressive one."""

    def __init__(self, flow: Bijection) -> None:
        super().__init__(flow.dim, flow.context)
        self.flow, self.sequence = flow, flow.sequence

    def forward(self, z: Tensor, context: Context = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Apply the inner flow's inverse."""
        return self.flow.inverse(z, context, mask)

    def inverse(self, eps: Tensor, context: Context = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Apply the inner flow's forward."""
        return self.flow.forward(eps, context, mask)


class Chain(Bijection):
    """A layered flow: ``forward`` applies the flows in order; log-determinants add up."""

    def __init__(self, *flows: Bijection) -> None:
        if not flows:
            raise ValueError("Expected at least one flow to chain, got none")
        if len({flow.dim for flow in flows}) > 1:
            raise ValueError(f"Expected flows of one dimension, got {[flow.dim for flow in flows]}")
        if len({flow.sequence for flow in flows}) > 1:
            raise ValueError("Expected flows all of vectors or all of sequences, got both; wrap the former in Stepwise")
        super().__init__(flows[0].dim, max(flow.context for flow in flows))
        self.flows = nn.ModuleList(flows)
        self.sequence = flows[0].sequence

    def forward(self, z: Tensor, context: Context = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Apply every flow, first to last."""
        self.check(z, context, mask)
        total = z.new_zeros(z.shape[0])
        for flow in self.flows:
            z, log_det = flow.forward(z, context if flow.context else None, mask)
            total = total + log_det
        return z, total

    def inverse(self, eps: Tensor, context: Context = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Apply every inverse, last to first."""
        self.check(eps, context, mask)
        total = eps.new_zeros(eps.shape[0])
        for flow in reversed(self.flows):
            eps, log_det = flow.inverse(eps, context if flow.context else None, mask)
            total = total + log_det
        return eps, total


class Reverse(Bijection):
    """Reverse the order of the dimensions, so that the next autoregressive layer conditions the other way."""

    def forward(self, z: Tensor, context: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The reversed vector; log_det 0."""
        self.check(z, context, mask)
        return z.flip(-1), z.new_zeros(z.shape[0])

    inverse = forward


def standard_normal_log_density(eps: Tensor) -> Tensor:
    """Elementwise log N(eps; 0, 1), in nats; same shape as ``eps``."""
    return -0.5 * (eps.square() + _LOG_TWO_PI)


_LOG_TWO_PI = float(torch.log(torch.tensor(2 * torch.pi, dtype=torch.float64)))
