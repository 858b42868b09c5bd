"""Autoregressive flows of language (Tang et al. 2021, section 2.3), and the Bi-LSTM density.

Legend: B batch, T time (fixed), D channels, r a summary of the past.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqflows.flows.attention import NETWORKS, Causal, Size, zero
from seqflows.flows.fixed import Actnorm, FixedLength, Invertible1x1, Stepper, Steps
from seqflows.flows.multiscale import log_gate
from seqflows.flows.precision import wide
from seqflows.flows.scalar import bounded

CELLS = ("parallel", "literal")
MIXINGS = ("both", "time")


class _Affine(nn.Module):
    """An affine map of half of a step's channels given the other half and r: eps = sigma(s + alpha) (t + z).

    s, t = MLP([other; r]). h_a and h_b of Tang et al. 2021, figure 4: ``moved`` is the half that changes, 1 the
    second, 0 the first.
    """

    def __init__(self, dim: int, past: int, width: int, moved: int) -> None:
        super().__init__()
        self.moved = moved
        self.network = nn.Sequential(nn.Linear(dim // 2 + past, width), nn.ReLU(), zero(nn.Linear(width, dim)))

    def _gate(self, kept: Tensor, r: Tensor) -> tuple[Tensor, Tensor]:
        s, t = wide(self.network(torch.cat([kept, r], -1))).chunk(2, -1)
        return log_gate(s), t

    def _joined(self, kept: Tensor, moved: Tensor) -> Tensor:
        return torch.cat([kept, moved] if self.moved else [moved, kept], -1)

    def forward(self, z: Tensor, r: Tensor) -> tuple[Tensor, Tensor]:
        """(eps, log_det), of the shapes (..., D) and (...)."""
        halves = z.chunk(2, -1)
        kept, moved = halves[1 - self.moved], halves[self.moved]
        log_scale, t = self._gate(kept, r)
        return self._joined(kept, log_scale.exp() * (t + moved)), log_scale.sum(-1)

    def inverse(self, eps: Tensor, r: Tensor) -> Tensor:
        """z of eps, (..., D)."""
        halves = eps.chunk(2, -1)
        kept, moved = halves[1 - self.moved], halves[self.moved]
        log_scale, t = self._gate(kept, r)
        return self._joined(kept, (-log_scale).exp() * moved - t)


class PastCoupling(FixedLength):
    r"""The AC-cell: an affine coupling of step t given r_{t-1}, a summary of the earlier steps; step 0 stays.

    c_t = h_a(r_{t-1}, z_t), eps_t = h_b(r_{t-1}, c_t) (Tang et al. 2021, eq. (12)-(13)), h_a and h_b affine in half the
    channels each. The paper's eq. (11) and (14) define r differently, so there are two cells:

    - "parallel": r = NN(z), a causal network over the cell's input. The density is parallel in time, the inverse
      serial.
    - "literal": r_{t-1} = NN([c_{t-1}; eps_{t-1}]) with c_0 = 0, which is eq. (11), and its exact inverse. Both
      directions are serial.

    Raises:
        ValueError: unknown cell or network, or an odd D.
    """

    def __init__(self, length: int, dim: int, network: str, size: Size, hidden: int, cell: str = "parallel") -> None:
        super().__init__(length, dim)
        if network not in NETWORKS or cell not in CELLS or dim % 2:
            raise ValueError(
                f"Expected a network of rnn or attention, a cell of parallel or literal and an even width, got "
                f"{network!r}, {cell!r} and {dim}"
            )
        self.literal = cell == "literal"
        self.network = Causal(network, length, 2 * dim if self.literal else dim, size)
        self.first, self.second = (_Affine(dim, size.width, hidden, moved) for moved in (1, 0))

    def forward(self, z: Tensor, context: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Data to noise: all steps at once, or one after the other in the literal cell."""
        self.check(z, context, mask)
        if self.length == 1:
            return z, z.new_zeros(z.shape[0])
        if self.literal:
            stepper = self.stepper()
            eps = torch.stack([stepper.advance(z_t) for z_t in z.unbind(1)], 1)
            return eps, torch.stack(stepper.log_dets, 1).sum(1)
        r = self.network(z[:, :-1])
        c, first = self.first.forward(z[:, 1:], r)
        eps, second = self.second.forward(c, r)
        return torch.cat([z[:, :1], eps], 1), (first + second).sum(1)

    def inverse(self, eps: Tensor, context: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Noise to data, step by step."""
        self.check(eps, context, mask)
        stepper, steps = self.stepper(), []
        for eps_t in eps.unbind(1):
            steps.append(stepper.inverse(eps_t))
            stepper.advance(steps[-1])
        total = torch.stack(stepper.log_dets, 1).sum(1)
        return torch.stack(steps, 1), -total

    def stepper(self) -> _PastCoupling:
        """A stepper with the network's cache of the earlier steps."""
        return _PastCoupling(self)


class _PastCoupling(Stepper):
    def __init__(self, flow: PastCoupling) -> None:
        self.flow, self.r, self.kept = flow, None, None
        self.log_dets: list[Tensor] = []

    def inverse(self, eps: Tensor) -> Tensor:
        if self.r is None:
            return eps
        return self.flow.first.inverse(self.flow.second.inverse(eps, self.r), self.r)

    def advance(self, z: Tensor) -> Tensor:
        c, eps, log_det = torch.zeros_like(z), z, z.new_zeros(z.shape[0])
        if self.r is not None:
            c, first = self.flow.first.forward(z, self.r)
            eps, second = self.flow.second.forward(c, self.r)
            log_det = first + second
        self.log_dets.append(log_det)
        known = torch.cat([c, eps], -1) if self.flow.literal else z
        if len(self.log_dets) < self.flow.length:
            self.r, self.kept = self.flow.network.step(known, self.kept)
        return eps

    def select(self, places: Tensor) -> None:
        self.log_dets = [value[places] for value in self.log_dets]
        if self.r is not None:
            self.r = self.r[places]
            self.kept = Causal.select(self.kept, places)


def unidirectional(
    length: int, dim: int, network: str, size: Size, hidden: int, steps: int, cell: str = "parallel",
    mixing: str = "both",
) -> Steps:  # fmt: skip
    """K steps of actnorm, causal mixing over time and an AC-cell (Tang et al. 2021, section 2.3; no scales).

    With ``mixing`` "both" an invertible 1x1 convolution over channels precedes each cell. With "time" all K cells
    split the channels into the same two halves, and coordinates of one half never condition one another.

    Raises:
        ValueError: unknown mixing, or invalid settings of a cell.
    """
    if mixing not in MIXINGS:
        raise ValueError(f"Expected a mixing of {' or '.join(MIXINGS)}, got {mixing!r}")

    def step() -> list[FixedLength]:
        return [
            Actnorm(length, dim),
            Invertible1x1(length, dim, "time", causal=True),
            *([Invertible1x1(length, dim, "channels")] if mixing == "both" else []),
            PastCoupling(length, dim, network, size, hidden, cell),
        ]

    return Steps(*(flow for _ in range(steps) for flow in step()))


class RecurrentAffine(FixedLength):
    r"""eps_t = (z_t - mu(h_t)) exp(-s(h_t)), h_t an LSTM's state over the strictly earlier, or later, steps of z.

    A layer of the Bi-LSTM density, the baseline of Tang et al. 2021, table 4: triangular in time, so a bijection
    ("non-singular weights" in appendix A.5). log_det = -sum s.
    """

    def __init__(self, length: int, dim: int, width: int, later: bool = False) -> None:
        super().__init__(length, dim)
        self.later = later
        self.lstm = nn.LSTM(dim, width, batch_first=True)
        self.last = zero(nn.Linear(width, 2 * dim))

    def _gaussian(self, h: Tensor) -> tuple[Tensor, Tensor]:
        mean, s = wide(self.last(h)).chunk(2, -1)
        return mean, bounded(s)

    def forward(self, z: Tensor, context: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Data to noise, all steps at once."""
        self.check(z, context, mask)
        z = z.flip(1) if self.later else z
        shifted = F.pad(z, (0, 0, 1, 0))[:, :-1]  # a first step of zeros, whose state starts the sequence
        mean, s = self._gaussian(self.lstm(shifted)[0])
        eps = (z - mean) * (-s).exp()
        return eps.flip(1) if self.later else eps, -s.sum((1, 2))

    def inverse(self, eps: Tensor, context: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Noise to data, step by step."""
        self.check(eps, context, mask)
        eps = eps.flip(1) if self.later else eps
        steps, total, state = [], eps.new_zeros(eps.shape[0]), None
        before = torch.zeros_like(eps[:, :1])
        for eps_t in eps.unbind(1):
            out, state = self.lstm(before, state)
            mean, s = self._gaussian(out[:, 0])
            before = (eps_t * s.exp() + mean)[:, None]
            total = total + s.sum(-1)
            steps.append(before)
        z = torch.cat(steps, 1)
        return z.flip(1) if self.later else z, total


def recurrent_affine(length: int, dim: int, width: int, layers: int) -> Steps:
    """A chain of layers that see the past (odd ones) and the future (even ones) in turn."""
    return Steps(*(RecurrentAffine(length, dim, width, later=bool(layer % 2)) for layer in range(layers)))
