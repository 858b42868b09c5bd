"""Flows as `torch.distributions`: a transform of noise to data, and the distribution of its data.

Legend: S sample shape, B batch shape, E event shape: (D,) of a vector, (T, D) of a sequence.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, Normal, Transform, constraints

from seqflows.flows.bijection import Bijection, Context, Source


class BijectionTransform(Transform):
    r"""A `Bijection` as a transform of base noise x to data y = f^{-1}(x), with log |det dy / dx|.

    Leading dimensions of any shape are one batch to the flow. A ``context`` belongs to the last of them, B, and repeats
    over those before. With ``cache_size`` 1 the last pair of x and y keeps its log-determinant, so that a sample's
    density costs one pass, not two; as any cache of torch's, it is not renewed where parameters change.
    """

    bijective = True
    sign = +1

    def __init__(self, bijection: Bijection, context: Context = None, cache_size: int = 0) -> None:
        if isinstance(context, Source):
            raise ValueError("Expected a context tensor or none for a distribution, got a source; call the flow itself")
        super().__init__(cache_size)
        self.bijection, self.context = bijection, context
        self._log_det: tuple[Tensor, Tensor, Tensor] | None = None  # x, y and log |det dy / dx|

    @property
    def rank(self) -> int:
        """The dimensions of an event: 1 of a vector, 2 of a sequence."""
        return 2 if self.bijection.sequence else 1

    @property
    def domain(self) -> constraints.Constraint:
        """Real numbers, ``rank`` dimensions of them dependent."""
        return constraints.independent(constraints.real, self.rank)

    codomain = domain

    def with_cache(self, cache_size: int = 1) -> BijectionTransform:
        """The same transform with another cache."""
        return self if cache_size == self._cache_size else BijectionTransform(self.bijection, self.context, cache_size)

    def _call(self, x: Tensor) -> Tensor:
        y, log_det = self.mapped(self.bijection.inverse, x)
        self._log_det = (x, y, log_det) if self._cache_size else None
        return y

    def _inverse(self, y: Tensor) -> Tensor:
        x, log_det = self.mapped(self.bijection.forward, y)
        self._log_det = (x, y, -log_det) if self._cache_size else None
        return x

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """log |det dy / dx|, the shape without the event's."""
        if self._log_det is not None and self._log_det[0] is x and self._log_det[1] is y:
            return self._log_det[2]
        return -self.mapped(self.bijection.forward, y)[1]

    def forward_shape(self, shape: torch.Size) -> torch.Size:
        """The shape of data."""
        return shape

    inverse_shape = forward_shape

    def mapped(self, apply: Any, value: Tensor) -> tuple[Tensor, Tensor]:
        """``apply``, the flow's forward or inverse, to events in any leading dimensions: what comes out and log_det."""
        leading, event = value.shape[: value.dim() - self.rank], value.shape[value.dim() - self.rank :]
        context = self.context
        if context is not None:
            context = context.expand(*leading, *context.shape[context.dim() - self.rank :])
            context = context.reshape(-1, *context.shape[len(leading) :])
        out, log_det = apply(value.reshape(-1, *event), context)
        return out.view(value.shape), log_det.view(leading)


class Flow(Distribution):
    r"""The distribution of data whose noise under a bijection has the distribution ``base``.

    .. math:: \log p(y) = \log p_{base}(f(y)) + \log |\det df / dy|

    (Ziegler & Rush 2019, section 3.) ``base`` is a distribution of events of the flow's shape, N(0, I) unless given,
    for which a sequence flow needs its number of ``steps``. With a ``context`` (B, C), or (B, T, C) of a sequence flow,
    the batch shape is B, or what it and that of ``base`` broadcast to. ``rsample`` is differentiable where the flow's
    inverse is.
    """

    has_rsample = True
    arg_constraints: ClassVar[dict[str, constraints.Constraint]] = {}

    def __init__(
        self, bijection: Bijection, base: Distribution | None = None, *, steps: int | None = None,
        context: Tensor | None = None, validate_args: bool | None = None,
    ) -> None:  # fmt: skip
        self.transform = BijectionTransform(bijection, context)
        rank = self.transform.rank
        batch = torch.Size() if context is None else context.shape[:-rank]
        if base is None:
            if bijection.sequence and steps is None:
                steps = context.shape[-2] if context is not None else getattr(bijection, "length", None)
            if bijection.sequence and steps is None:
                raise ValueError("Expected steps, a context or a base for a flow of sequences, got none")
            event = (steps, bijection.dim) if bijection.sequence else (bijection.dim,)
            like = next(bijection.parameters(), torch.zeros(()))
            zeros = torch.zeros(*batch, *event, dtype=like.dtype, device=like.device)
            base = Independent(Normal(zeros, torch.ones_like(zeros)), rank)
        if len(base.event_shape) != rank or base.event_shape[-1] != bijection.dim:
            raise ValueError(f"Expected a base of events of {bijection.dim} numbers, got {tuple(base.event_shape)}")
        batch = torch.broadcast_shapes(batch, base.batch_shape)
        base = base if base.batch_shape == batch else base.expand(batch)  # each example has noise of its own
        self.bijection, self.base, self.context = bijection, base, context
        super().__init__(batch, base.event_shape, validate_args=False)

    @property
    def support(self) -> constraints.Constraint:
        """All real events."""
        return self.transform.codomain

    def log_prob(self, value: Tensor) -> Tensor:
        """log p(y) of data (S, B, E), (S, B), nats; leading dimensions broadcast to B."""
        rank = self.transform.rank
        leading, event = value.shape[:-rank], value.shape[-rank:]
        value = value.expand(*torch.broadcast_shapes(leading, self.batch_shape), *event)
        noise, log_det = self.transform.mapped(self.bijection.forward, value)
        return self.base.log_prob(noise) + log_det

    def rsample(self, sample_shape: torch.Size | tuple[int, ...] = ()) -> Tensor:
        """Data (S, B, E)."""
        return self.transform(self._noise(sample_shape))

    def rsample_and_log_prob(self, sample_shape: torch.Size | tuple[int, ...] = ()) -> tuple[Tensor, Tensor]:
        """Data (S, B, E) and their log p(y), (S, B), nats, by one pass of the flow's inverse."""
        noise = self._noise(sample_shape)
        data, log_det = self.transform.mapped(self.bijection.inverse, noise)
        return data, self.base.log_prob(noise) - log_det

    def sample(self, sample_shape: torch.Size | tuple[int, ...] = ()) -> Tensor:
        """The same without gradients."""
        with torch.no_grad():
            return self.rsample(sample_shape)

    def expand(self, batch_shape: torch.Size | tuple[int, ...], _instance: Any = None) -> Flow:
        """The distribution with a batch shape that the present one broadcasts to."""
        batch, context = torch.Size(batch_shape), self.context
        if context is not None:
            context = context.expand(*batch, *context.shape[context.dim() - self.transform.rank :])
        return Flow(self.bijection, self.base.expand(batch), context=context)

    def _noise(self, sample_shape: torch.Size | tuple[int, ...]) -> Tensor:
        """Noise (S, B, E)."""
        return (self.base.rsample if self.base.has_rsample else self.base.sample)(torch.Size(sample_shape))
