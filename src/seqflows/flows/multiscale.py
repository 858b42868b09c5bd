"""The non-autoregressive flow of language: affine coupling over time or channels, at several scales.

Tang et al. 2021, section 2.2. Legend: B batch, T time (fixed), D channels, L blocks, K steps a block.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqflows.flows.attention import NETWORKS, Bidirectional, Size, zero
from seqflows.flows.fixed import Actnorm, FixedLength, Invertible1x1, Steps
from seqflows.flows.precision import wide
from seqflows.flows.scalar import bounded

ALPHA = 2.0  # of the released code; the paper names it and gives no value


def log_gate(s: Tensor) -> Tensor:
    """log sigma(s + alpha), s softly bounded (`scalar.bounded`) so that floating point inverts every gate."""
    return F.logsigmoid(bounded(s) + ALPHA)


class AffineCoupling(FixedLength):
    r"""eps_1 = z_1, eps_2 = sigma(s + alpha) (t + z_2), with s, t = NN(z_1) (Tang et al. 2021, eq. (8)-(10)).

    z_1, z_2 are the first and second half of the steps (axis "time") or of the channels ("channels"); NN is a BiLSTM
    or a Transformer block whose last projection starts at zero. log_det = sum log sigma(s + alpha).

    Raises:
        ValueError: unknown axis or network, or an odd number of steps or channels to halve.
    """

    def __init__(self, length: int, dim: int, axis: str, network: str, size: Size) -> None:
        super().__init__(length, dim)
        if axis not in ("time", "channels") or network not in NETWORKS:
            raise ValueError(
                f"Expected an axis of time or channels and a network of rnn or attention, got {axis!r}, {network!r}"
            )
        halved = length if axis == "time" else dim
        if halved % 2:
            raise ValueError(f"Expected an even number of {'steps' if axis == 'time' else 'channels'}, got {halved}")
        self.axis = 1 if axis == "time" else 2
        steps, width = (length // 2, dim) if axis == "time" else (length, dim // 2)
        self.network = Bidirectional(network, steps, width, 2 * width, size)

    def _gate(self, first: Tensor) -> tuple[Tensor, Tensor]:
        """(log sigma(s + alpha), t), each of the shape of a half."""
        s, t = wide(self.network(first)).chunk(2, -1)
        return log_gate(s), t

    def forward(self, z: Tensor, context: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Data to noise."""
        self.check(z, context, mask)
        first, second = z.chunk(2, self.axis)
        log_scale, t = self._gate(first)
        return torch.cat([first, log_scale.exp() * (t + second)], self.axis), log_scale.sum((1, 2))

    def inverse(self, eps: Tensor, context: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Noise to data."""
        self.check(eps, context, mask)
        first, second = eps.chunk(2, self.axis)
        log_scale, t = self._gate(first)
        return torch.cat([first, (-log_scale).exp() * second - t], self.axis), -log_scale.sum((1, 2))


SQUEEZES = ("interleaved", "joined")


def squeeze(z: Tensor, interleaved: bool = True) -> Tensor:
    """(B, T, D) -> (B, T / 2, 2 D): join neighbouring steps; channel 2 d + n is channel d of step 2 t + n.

    So half of the channels is a half of each step, as in the released code. With ``interleaved`` false the steps
    are joined end to end, and half of the channels is one of the two steps.
    """
    pairs = z.unflatten(1, (-1, 2))
    return (pairs.mT if interleaved else pairs).flatten(2)


def unsqueeze(z: Tensor, interleaved: bool = True) -> Tensor:
    """(B, T, D) -> (B, 2 T, D / 2): the inverse of `squeeze`."""
    pairs = z.unflatten(2, (-1, 2)).mT if interleaved else z.unflatten(2, (2, -1))
    return pairs.flatten(1, 2)


class MultiScale(FixedLength):
    r"""L blocks of flow steps; between blocks half the channels are factored out and the rest is squeezed.

    After block l < L the channels' second half is split off as eps_l = (z_l - mu(h)) exp(-s(h)) with mu, s linear in
    the half h that remains (they start at 0): the learned Gaussian p(z_l | h), as base noise. h is squeezed and enters
    the next block. All noise is returned as (B, T, D), each value at the step that it came from, so the map is a
    bijection of (B, T, D). Tang et al. 2021, section 2.2 (no squeeze before the first block).

    Args:
        blocks: block l takes (B, T / 2^l, D).
        squeezed: "interleaved" or "joined", see `squeeze`.

    Raises:
        ValueError: with several blocks an odd D or a T that 2^(L-1) does not divide; unknown squeeze.
    """

    def __init__(self, *blocks: FixedLength, squeezed: str = "interleaved") -> None:
        first = blocks[0]
        if squeezed not in SQUEEZES:
            raise ValueError(f"Expected a squeeze of {' or '.join(SQUEEZES)}, got {squeezed!r}")
        self.interleaved = squeezed == "interleaved"
        super().__init__(first.length, first.dim)
        scale = 2 ** (len(blocks) - 1)
        if len(blocks) > 1 and (self.length % scale or self.dim % 2):
            raise ValueError(
                f"Expected a length that {scale} divides and an even width for {len(blocks)} scales, got {self.length} "
                f"and {self.dim}"
            )
        for place, block in enumerate(blocks):
            if (block.length, block.dim) != (self.length >> place, self.dim):
                raise ValueError(f"Expected block {place} of {self.length >> place} steps, got {block.length}")
        self.blocks = nn.ModuleList(blocks)
        half = self.dim // 2
        self.gaussians = nn.ModuleList(zero(nn.Linear(half, 2 * half)) for _ in blocks[1:])

    def _gaussian(self, place: int, stays: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-deviation of the half that is factored out, given the half that remains."""
        mean, s = wide(self.gaussians[place](stays)).chunk(2, -1)
        return mean, bounded(s)

    def last(self, eps: Tensor) -> Tensor:
        """The noise of the last block alone, (B, T / 2^(L-1), D), from all noise (B, T, D)."""
        for _ in self.gaussians:
            eps = squeeze(eps.chunk(2, -1)[0], self.interleaved)
        return eps

    def forward(self, z: Tensor, context: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Data to noise."""
        self.check(z, context, mask)
        total, left = z.new_zeros(z.shape[0]), []
        for place, block in enumerate(self.blocks):
            z, log_det = block.forward(z)
            total = total + log_det
            if place < len(self.gaussians):
                z, leaving = z.chunk(2, -1)
                mean, s = self._gaussian(place, z)
                left.append((leaving - mean) * (-s).exp())
                total = total - s.sum((1, 2))
                z = squeeze(z, self.interleaved)
        for eps in reversed(left):
            z = torch.cat([unsqueeze(z, self.interleaved), eps], -1)
        return z, total

    def inverse(self, eps: Tensor, context: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Noise to data."""
        self.check(eps, context, mask)
        total, left, z = eps.new_zeros(eps.shape[0]), [], eps
        for _ in self.gaussians:
            z, leaving = z.chunk(2, -1)
            left.append(leaving)
            z = squeeze(z, self.interleaved)
        for place in reversed(range(len(self.blocks))):
            if place < len(self.gaussians):
                z = unsqueeze(z, self.interleaved)
                mean, s = self._gaussian(place, z)
                z = torch.cat([z, left[place] * s.exp() + mean], -1)
                total = total + s.sum((1, 2))
            z, log_det = self.blocks[place].inverse(z)
            total = total + log_det
        return z, total


def multiscale(
    length: int, dim: int, axis: str, network: str, size: Size, steps: int, blocks: int,
    start: str = "permutation", squeezed: str = "interleaved",
) -> MultiScale:  # fmt: skip
    """L blocks of K steps, each actnorm, mixing and coupling over ``axis`` (Tang et al. 2021, section 2.1).

    ``start`` is that of `Invertible1x1` over time, or "aligned": permutations, of which the last of a block undoes its
    others, so that blocks join neighbours in time and at first a latent stands where its data do. Over channels it is
    Glow's, a rotation. ``squeezed`` is that of `MultiScale`.
    """
    scale = 2 ** (blocks - 1)
    if length % scale:
        raise ValueError(f"Expected a length that {scale} divides for {blocks} scales, got {length}")

    def step(steps_left: int) -> list[FixedLength]:
        return [
            Actnorm(steps_left, dim),
            Invertible1x1(steps_left, dim, axis, start=begin if axis == "time" else None),
            AffineCoupling(steps_left, dim, axis, network, size),
        ]

    begin = "permutation" if start == "aligned" else start
    made = [[flow for _ in range(steps) for flow in step(length >> place)] for place in range(blocks)]
    if start == "aligned" and axis == "time":
        for block in made:
            _align([flow for flow in block if isinstance(flow, Invertible1x1)])
    return MultiScale(*(Steps(*block) for block in made), squeezed=squeezed)


def _align(mixings: Sequence[Invertible1x1]) -> None:
    """Let the permutation of the last mixing undo those of the others."""
    order = torch.arange(len(mixings[0].order))
    for mixing in mixings[:-1]:
        order = order[mixing.order]
    mixings[-1].order.copy_(order.argsort())
