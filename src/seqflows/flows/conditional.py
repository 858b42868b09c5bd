"""The flow over sequences of any length, given a source that every coupling attends to: FlowSeq's prior.

Ma et al. 2019, section 3, with the sizes of their released code. Legend: B batch, T time, D channels, C width of the
source, H heads of a mixing, L levels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from seqflows.flows.attention import Attending, Size
from seqflows.flows.bijection import Bijection, Chain, Context, Source, clean
from seqflows.flows.fixed import Invertible1x1, standardise
from seqflows.flows.multiscale import log_gate, squeeze, unsqueeze
from seqflows.flows.precision import unrounded, wide

HEADS = (32, 16, 8)  # channels of a head of the mixing: the first that divides D, else all, as in the released code


def _steps(value: Tensor, mask: Tensor | None) -> Tensor | int:
    """The number of steps of each example, (B,), or of all."""
    return value.shape[1] if mask is None else mask.sum(1)


class MaskedActnorm(Bijection):
    """eps = (z + shift) exp(log_scale), a shift and a scale for each channel, for sequences of any length.

    It starts as the identity; `initialise` sets it from the steps of the mask, see `standardise`.
    log_det = T sum_d log_scale_d.
    """

    sequence = True

    def __init__(self, dim: int) -> None:
        super().__init__(dim)
        self.shift = nn.Parameter(torch.zeros(dim))
        self.log_scale = nn.Parameter(torch.zeros(dim))
        self.awaits_data = False

    def _log_det(self, value: Tensor, mask: Tensor | None, sign: int) -> Tensor:
        return (sign * _steps(value, mask) * self.log_scale.sum()).expand(value.shape[0])

    def forward(self, z: Tensor, context: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Data to noise."""
        self.check(z, context, mask)
        if self.awaits_data:
            standardise(self, z.flatten(0, 1) if mask is None else z[mask])
        return clean((z + self.shift) * self.log_scale.exp(), mask), self._log_det(z, mask, 1)

    def inverse(self, eps: Tensor, context: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Noise to data."""
        self.check(eps, context, mask)
        return clean(eps * (-self.log_scale).exp() - self.shift, mask), self._log_det(eps, mask, -1)


GROUPINGS = ("joined", "strided")


class MultiHead1x1(Bijection):
    """The invertible 1x1 convolution over channels with one matrix W (D / H, D / H) for each of H heads.

    The heads have neighbouring channels ("joined") or every H-th one ("strided"); a step of the flow has both, so that
    all channels meet. log_det = T H log|det W|; W is that of `Invertible1x1`.

    Raises:
        ValueError: unknown grouping.
    """

    sequence = True

    def __init__(self, dim: int, grouping: str) -> None:
        super().__init__(dim)
        if grouping not in GROUPINGS:
            raise ValueError(f"Expected a grouping of {' or '.join(GROUPINGS)}, got {grouping!r}")
        self.strided = grouping == "strided"
        self.heads = next((dim // size for size in HEADS if dim % size == 0), 1)
        self.mixing = Invertible1x1(1, dim // self.heads, "channels")

    def _each(self, apply: Callable[[Tensor], Tensor], value: Tensor, mask: Tensor | None) -> Tensor:
        """Map the channels of every head, (B, T, H, D / H)."""
        if self.strided:
            return apply(clean(value, mask).unflatten(-1, (-1, self.heads)).mT).mT.flatten(-2)
        return apply(clean(value, mask).unflatten(-1, (self.heads, -1))).flatten(-2)

    def _log_det(self, value: Tensor, mask: Tensor | None, sign: int) -> Tensor:
        return (sign * self.heads * _steps(value, mask) * self.mixing.log_size.sum()).expand(value.shape[0])

    def forward(self, z: Tensor, context: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Data to noise."""
        self.check(z, context, mask)
        weight = self.mixing.weight()
        with unrounded(z):
            return self._each(lambda parts: parts @ weight.T, z, mask), self._log_det(z, mask, 1)

    def inverse(self, eps: Tensor, context: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Noise to data, with W^-1 in float64."""
        self.check(eps, context, mask)
        return self._each(self.mixing.stepper().inverse, eps, mask), self._log_det(eps, mask, -1)


# How z is split in two: the dimension that is cut, its shape of two parts, and their axis among the two.
SPLITS = {"halves": (2, (2, -1), 2), "alternate": (2, (-1, 2), 3), "time": (1, (-1, 2), 2)}


class SourceCoupling(Bijection):
    r"""eps_1 = z_1, eps_2 = sigma(s + 2) (t + z_2), with s, t = NN(z_1, source), for sequences of any length.

    z_1, z_2 are the ``halves`` of the channels, every second channel (``alternate``) or, with even lengths, every
    second step (``time``); ``turned``, z_2 conditions and z_1 is moved. NN is a Transformer block that attends to the
    source, the context (`attention.Attending`); its last projection starts at zero. log_det = sum log sigma(s + 2).

    Raises:
        ValueError: unknown split, or an odd number of channels to halve.
    """

    sequence = True

    def __init__(self, dim: int, source: int, split: str, size: Size, turned: bool = False) -> None:
        super().__init__(dim, source)
        if split not in SPLITS:
            raise ValueError(f"Expected a split of {', '.join(SPLITS)}, got {split!r}")
        if split != "time" and dim % 2:
            raise ValueError(f"Expected an even number of channels, got {dim}")
        self.split, self.turned = split, turned
        width = dim if split == "time" else dim // 2
        self.network = Attending(width, 2 * width, source, size)

    def check(self, value: Tensor, context: Context, mask: Tensor | None = None) -> None:
        """Raise ValueError where the shapes differ from those that the flow was built for, or without a source."""
        super().check(value, context, mask)
        if not isinstance(context, Source):
            raise ValueError(f"Expected a Source as context of {type(self).__name__}, got {type(context).__name__}")

    def _parts(self, value: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
        """What conditions, what is moved, and the mask of their steps."""
        dim, shape, axis = SPLITS[self.split]
        if self.split == "time":
            if value.shape[1] % 2:
                raise ValueError(f"Expected an even number of steps to split by time, got {value.shape[1]}; pad them")
            mask = None if mask is None else mask[:, ::2]
        first, second = _clean_pair(value.unflatten(dim, shape).unbind(axis), mask)
        return (second, first, mask) if self.turned else (first, second, mask)

    def _joined(self, kept: Tensor, moved: Tensor) -> Tensor:
        dim, _, axis = SPLITS[self.split]
        return torch.stack([moved, kept] if self.turned else [kept, moved], axis).flatten(dim, dim + 1)

    def _gate(self, kept: Tensor, mask: Tensor | None, source: Source) -> tuple[Tensor, Tensor]:
        """(log sigma(s + 2), t), 0 outside the mask."""
        s, t = wide(self.network(kept, mask, source)).chunk(2, -1)
        return _clean_pair((log_gate(s), t), mask)

    def forward(self, z: Tensor, context: Source | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Data to noise."""
        self.check(z, context, mask)
        kept, moved, mask = self._parts(z, mask)
        log_scale, t = self._gate(kept, mask, context)
        return self._joined(kept, log_scale.exp() * (t + moved)), log_scale.sum((1, 2))

    def inverse(self, eps: Tensor, context: Source | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Noise to data."""
        self.check(eps, context, mask)
        kept, moved, mask = self._parts(eps, mask)
        log_scale, t = self._gate(kept, mask, context)
        return self._joined(kept, (-log_scale).exp() * moved - t), -log_scale.sum((1, 2))


def _clean_pair(values: tuple[Tensor, Tensor], mask: Tensor | None) -> tuple[Tensor, Tensor]:
    first, second = values
    return clean(first, mask), clean(second, mask)


class Levels(Bijection):
    r"""L flows over sequences; after each but the last half the channels leave, and the rest is squeezed.

    Level l takes T / 2^l steps of D channels. What leaves, the channels' second half, is base noise: a level ends with
    a `SourceCoupling` that moves it given the half that stays, which is the learned Gaussian of Ma et al. 2019. All
    noise is returned as (B, T, D), each value at the step that it came from. Lengths must be multiples of 2^(L-1).

    Raises:
        ValueError: with several levels an odd D; or, where it is applied, a length that 2^(L-1) does not divide.
    """

    sequence = True

    def __init__(self, *levels: Bijection) -> None:
        super().__init__(levels[0].dim, max(level.context for level in levels))
        if len(levels) > 1 and self.dim % 2:
            raise ValueError(f"Expected an even number of channels for {len(levels)} levels, got {self.dim}")
        self.levels = nn.ModuleList(levels)

    @property
    def unit(self) -> int:
        """What divides every length, 2^(L-1)."""
        return 2 ** (len(self.levels) - 1)

    def _masks(self, value: Tensor, mask: Tensor | None) -> list[Tensor | None]:
        """The mask of each level; none where all steps are in it, which is quicker."""
        mask = None if mask is None or bool(mask.all()) else mask
        if value.shape[1] % self.unit or (mask is not None and bool((mask.sum(1) % self.unit).any())):
            raise ValueError(f"Expected lengths that {self.unit} divides, got others; pad the sequences")
        return [None if mask is None else mask[:, :: 2**place] for place in range(len(self.levels))]

    def forward(self, z: Tensor, context: Source | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Data to noise."""
        self.check(z, context, mask)
        total, left, masks = z.new_zeros(z.shape[0]), [], self._masks(z, mask)
        for place, (level, part) in enumerate(zip(self.levels, masks, strict=True)):
            if place:
                z, leaving = z.chunk(2, -1)
                left.append(leaving)
                z = squeeze(z)
            z, log_det = level.forward(z, context, part)
            total = total + log_det
        for leaving in reversed(left):
            z = torch.cat([unsqueeze(z), leaving], -1)
        return z, total

    def inverse(self, eps: Tensor, context: Source | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Noise to data."""
        self.check(eps, context, mask)
        total, left, masks, z = eps.new_zeros(eps.shape[0]), [], self._masks(eps, mask), eps
        for _ in self.levels[1:]:
            z, leaving = z.chunk(2, -1)
            left.append(leaving)
            z = squeeze(z)
        for place in reversed(range(len(self.levels))):
            z, log_det = self.levels[place].inverse(z, context, masks[place])
            total = total + log_det
            if place:
                z = torch.cat([unsqueeze(z), left[place - 1]], -1)
        return z, total


def levels(dim: int, source: int, size: Size, steps: Sequence[int]) -> Levels:
    """FlowSeq's prior, with ``steps`` at each level (Ma et al. 2019, figure 3, and the released code).

    A step has, for joined and then for strided heads, an actnorm, a mixing and a unit: couplings of both halves of the
    channels, an actnorm, couplings of both kinds of every second channel and, but at the last level, an actnorm and
    couplings of even and odd steps.

    Raises:
        ValueError: no level, or an odd number of channels.
    """
    if not steps:
        raise ValueError("Expected at least one level, got none")

    def both(split: str) -> list[Bijection]:
        return [SourceCoupling(dim, source, split, size, turned) for turned in (False, True)]

    def unit(last: bool) -> list[Bijection]:
        flows = [*both("halves"), MaskedActnorm(dim), *both("alternate")]
        return flows if last else [*flows, MaskedActnorm(dim), *both("time")]

    def level(count: int, last: bool) -> Chain:
        flows: list[Bijection] = []
        for _ in range(count):
            for grouping in GROUPINGS:
                flows += [MaskedActnorm(dim), MultiHead1x1(dim, grouping), *unit(last)]
        return Chain(*flows) if last else Chain(*flows, SourceCoupling(dim, source, "halves", size))

    return Levels(*(level(count, place + 1 == len(steps)) for place, count in enumerate(steps)))
