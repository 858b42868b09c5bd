"""A mixture at fixed points in time: each step's weights are those of a model of the points before.

Legend: B batch, T time (fixed), D dimensions, V points, W width of a network.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqflows.flows.attention import Causal, Size
from seqflows.flows.fixed import FixedLength, Stepper
from seqflows.flows.mixture import PointMixture


class Weights(nn.Module):
    """Log-weights of V points at each step, up to a constant, from the numbers of the points before: a model in time.

    ``forward`` gives those of all steps, ``step`` those of one after another, from a cache.
    """

    def forward(self, words: Tensor) -> Tensor:
        """(B, T, V) from points (B, T): those of step t from the points before."""
        raise TypeError(f"Expected {type(self).__name__} to define forward(words)")

    def step(self, before: Tensor, kept: Any) -> tuple[Tensor, Any]:
        """Those of the next step (B, V), and the new cache, from the last point (B,); at first any, and no cache."""
        raise TypeError(f"Expected {type(self).__name__} to define step(before, kept)")

    def select(self, kept: Any, places: Tensor) -> Any:
        """The cache of the examples at ``places``."""
        raise TypeError(f"Expected {type(self).__name__} to define select(kept, places)")


class Reader(Weights):
    """Log-weights by ``layers`` causal networks, LSTMs or Transformer blocks, over zeros and E of the points before.

    A linear map gives them. ``dropout`` is on what each network gives, while training.
    """

    points: Tensor

    def __init__(
        self, kind: str, length: int, points: Tensor, size: Size, layers: int = 1, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.register_buffer("points", points, persistent=False)
        inputs = [points.shape[1], *[size.width] * (layers - 1)]
        self.networks = nn.ModuleList(Causal(kind, length, width, size) for width in inputs)
        self.dropout = nn.Dropout(dropout)
        self.last = nn.Linear(size.width, len(points))

    def forward(self, words: Tensor) -> Tensor:
        """(B, T, V) from points (B, T): those of step t from the points before."""
        x = F.pad(self.points[words[:, :-1]], (0, 0, 1, 0))
        for network in self.networks:
            x = self.dropout(network(x))
        return self.last(x)

    def step(self, before: Tensor, kept: Any) -> tuple[Tensor, Any]:
        """Those of the next step (B, V), and the new cache, from the last point (B,); at first any, and no cache."""
        x, found = self.points[before], []
        if kept is None:
            x, kept = torch.zeros_like(x), [None] * len(self.networks)
        for network, own in zip(self.networks, kept, strict=True):
            x, own = network.step(x, own)
            x = self.dropout(x)
            found.append(own)
        return self.last(x), found

    def select(self, kept: Any, places: Tensor) -> Any:
        """The cache of the examples at ``places``."""
        return [Causal.select(own, places) for own in kept]


class MixtureInTime(FixedLength):
    r"""p(z) = prod_t sum_v w_v(n_{<t}) N(z_t; E_v, sigma^2 I), n_t the point nearest to z_t: a mixture at each step.

    The density is parallel in time, the inverse serial. `log_density` is in closed form, without the noise.

    Weights that read z_{<t} itself would be as good a density, but no map to invert: a point of weight w has a share w
    of the noise's first dimension, so that each step would multiply rounding by 1 / w, and pass it on.

    Args:
        length: T.
        mixture: the points and their deviation.
        weights: w, from the points before.
    """

    def __init__(self, length: int, mixture: PointMixture, weights: Weights) -> None:
        super().__init__(length, mixture.dim)
        self.mixture, self.weights = mixture, weights

    def forward(self, z: Tensor, context: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Data to noise, all steps at once."""
        self.check(z, context, mask)
        log_w = self.weights(self.mixture.nearest(z))
        eps, log_det = self.mixture.forward(z.flatten(0, 1), log_w.flatten(0, 1))
        return eps.view_as(z), log_det.view(z.shape[:2]).sum(1)

    def log_density(self, z: Tensor, context: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """log p(z), (B,), nats, the sum of the steps' mixtures."""
        self.check(z, context, mask)
        rows = z.flatten(0, 1)
        scores = self.mixture.scores(rows)
        log_w = self.weights(scores.argmax(-1).view(z.shape[:2]))
        return self.mixture.scored(rows, log_w.flatten(0, 1), scores).view(z.shape[:2]).sum(1)

    def inverse(self, eps: Tensor, context: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Noise to data, step by step."""
        self.check(eps, context, mask)
        stepper, steps, log_dets = _MixtureInTime(self), [], []
        for eps_t in eps.unbind(1):
            z_t, log_det = stepper.both(eps_t)
            steps.append(z_t)
            log_dets.append(log_det)
            stepper.add(z_t)
        return torch.stack(steps, 1), torch.stack(log_dets, 1).sum(1)

    def stepper(self) -> Stepper:
        """A stepper with the network's cache of the earlier steps."""
        return _MixtureInTime(self)


class _MixtureInTime(Stepper):
    def __init__(self, flow: MixtureInTime) -> None:
        self.flow, self.log_w, self.kept, self.count = flow, None, None, 0

    def _weights(self, like: Tensor) -> Tensor:
        """The log-weights of the next step."""
        if self.log_w is None:
            any_ = torch.zeros(len(like), dtype=torch.long, device=like.device)
            self.log_w, self.kept = self.flow.weights.step(any_, None)
        return self.log_w

    def both(self, eps: Tensor) -> tuple[Tensor, Tensor]:
        """The next step's data and the log-determinant."""
        return self.flow.mixture.inverse(eps, self._weights(eps))

    def inverse(self, eps: Tensor) -> Tensor:
        return self.both(eps)[0]

    def advance(self, z: Tensor) -> Tensor:
        eps, _ = self.flow.mixture.forward(z, self._weights(z))
        self.add(z)
        return eps

    def add(self, z: Tensor) -> None:
        """Add a step to the past."""
        self.count += 1
        if self.count < self.flow.length:
            self.log_w, self.kept = self.flow.weights.step(self.flow.mixture.nearest(z), self.kept)

    def select(self, places: Tensor) -> None:
        if self.log_w is not None:
            self.log_w = self.log_w[places]
            self.kept = self.flow.weights.select(self.kept, places)
