"""What flows with a source have beside the contract: masks, levels, and the structure of FlowSeq's prior.

Legend: B batch, T time, D channels, S steps of a source.
"""

from __future__ import annotations

import pytest
import torch

from bijections import ATTENDING, SMALL, Case, inputs, randomised
from seqflows.flows import (
    Levels,
    MaskedActnorm,
    MultiHead1x1,
    Source,
    SourceCoupling,
    initialise,
    levels,
    standard_normal_log_density,
)

both = pytest.mark.parametrize("direction", ["forward", "inverse"])
LENGTHS = [8, 4, 2, 6]


def _close(one: torch.Tensor, other: torch.Tensor) -> None:
    assert torch.allclose(one, other, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("case", ATTENDING, ids=lambda case: case.name)
@both
def test_padding_of_the_sequence_and_of_the_source_changes_nothing(case, direction):
    flow = randomised(case, 1.0, seed=4)
    value, context, _ = inputs(flow, rows=4, steps=8)
    mask = torch.arange(8) < torch.tensor(LENGTHS)[:, None]
    apply = getattr(flow, direction)
    out, log_det = apply(value, context, mask)
    assert (out[~mask] == 0).all()
    for row, length in enumerate(LENGTHS):
        source = context
        if context is not None:
            used = context.mask[row]
            source = Source(context.states[row : row + 1, used], used[used][None])
        alone, log_det_alone = apply(value[row : row + 1, :length], source)
        _close(out[row : row + 1, :length], alone)
        _close(log_det[row : row + 1], log_det_alone)
    wide = torch.full((4, 12, flow.dim), float("nan"), dtype=torch.float64)
    wide[:, :8][mask] = value[mask]
    wide_mask = torch.arange(12) < torch.tensor(LENGTHS)[:, None]
    if context is not None:
        states = torch.where(context.mask[..., None], context.states, 100.0)
        more = torch.full((4, 3, flow.context), 1e3, dtype=torch.float64)
        beyond = torch.zeros(4, 3, dtype=torch.bool)
        context = Source(torch.cat([states, more], 1), torch.cat([context.mask, beyond], 1))
    padded, padded_log_det = apply(wide.requires_grad_(), context, wide_mask)
    assert (padded[~wide_mask] == 0).all()
    _close(padded[:, :8], out)
    _close(padded_log_det, log_det)
    (gradient,) = torch.autograd.grad(padded.sum() + padded_log_det.sum(), wide)
    assert (gradient[~wide_mask] == 0).all() and gradient.isfinite().all()


def _source(rows: int, width: int = 3) -> Source:
    return Source(torch.randn(rows, 5, width, dtype=torch.float64), torch.ones(rows, 5, dtype=torch.bool))


@both
def test_examples_may_share_a_source(direction):
    flow = randomised(Case("shared", lambda: levels(4, 3, SMALL, (1, 1))), 1.0)
    value, one = torch.randn(6, 4, 4, dtype=torch.float64), inputs(flow, rows=2)[1]
    each = Source(*(part.repeat_interleave(3, 0) for part in one))
    for found, wanted in zip(getattr(flow, direction)(value, one), getattr(flow, direction)(value, each), strict=True):
        _close(found, wanted)


def test_density_integrates_to_one_for_each_source():
    """One step of two channels, over the plane."""
    torch.manual_seed(0)
    flow = levels(2, 3, SMALL, (1,)).double()
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
        axis = torch.linspace(-20, 20, 161, dtype=torch.float64)
        points, found = torch.cartesian_prod(axis, axis)[:, None], []
        for seed in (1, 2):
            torch.manual_seed(seed)
            eps, log_det = flow.forward(points, _source(1))
            found.append((standard_normal_log_density(eps).sum((1, 2)) + log_det).exp())
    for density in found:
        assert float(density.sum()) * float(axis[1] - axis[0]) ** 2 == pytest.approx(1, abs=1e-3)
    assert (found[0] - found[1]).abs().max() > 0.01 * found[0].max()


def test_a_step_has_every_split_in_both_orders_and_mixes_joined_and_strided_heads():
    """As figure 3 of Ma et al. 2019 and their code: steps (4, 4, 2), by time but at the last level."""
    flow = levels(4, 3, SMALL, (4, 4, 2))
    assert flow.unit == 4 and len(flow.levels) == 3
    for place, (level, steps) in enumerate(zip(flow.levels, (4, 4, 2), strict=True)):
        last = place == 2
        splits = ["halves", "alternate"] + ["time"] * (not last)
        couplings = [part for part in level.flows if isinstance(part, SourceCoupling)]
        unit = [(split, turned) for split in splits for turned in (False, True)]
        wanted = unit * (2 * steps) + ([] if last else [("halves", False)])
        assert [(part.split, part.turned) for part in couplings] == wanted
        mixings = [part.strided for part in level.flows if isinstance(part, MultiHead1x1)]
        assert mixings == [False, True] * steps
        actnorms = [part for part in level.flows if isinstance(part, MaskedActnorm)]
        assert len(actnorms) == 2 * steps * (2 if last else 3)


def test_levels_of_identities_are_the_identity():
    """What leaves, and what is squeezed, comes back to the step and the channel that it came from."""
    flow = Levels(*(MaskedActnorm(4) for _ in range(3)))
    z = torch.randn(2, 8, 4)
    assert torch.equal(flow.forward(z)[0], z) and torch.equal(flow.inverse(z)[0], z)


def test_a_level_sees_half_of_the_channels_of_the_one_before():
    """The first half of the channels goes on; the second is noise once its level is over."""
    flow = Levels(MaskedActnorm(4), MaskedActnorm(4), MaskedActnorm(4))
    z = torch.randn(1, 8, 4)
    for place, channels in enumerate((4, 2, 1)):
        with torch.no_grad():
            flow.levels[place].shift.fill_(1.0)
        moved = (flow.forward(z)[0] != z).all((0, 1))
        assert moved.tolist() == [True] * channels + [False] * (4 - channels)
        with torch.no_grad():
            flow.levels[place].shift.zero_()


@pytest.mark.parametrize(("dim", "heads"), [(64, 2), (48, 3), (24, 3), (6, 1), (300, 1)])
def test_heads_have_the_widths_of_the_released_code(dim, heads):
    assert MultiHead1x1(dim, "joined").heads == heads


def test_one_matrix_mixes_the_channels_of_every_head():
    joined, strided = MultiHead1x1(24, "joined").double(), MultiHead1x1(24, "strided").double()
    z = torch.randn(2, 3, 24, dtype=torch.float64)
    for head in range(3):
        out = z[..., 8 * head : 8 * head + 8] @ joined.mixing.weight().T
        assert torch.allclose(joined.forward(z)[0][..., 8 * head : 8 * head + 8], out)
        out = z[..., head::3] @ strided.mixing.weight().T
        assert torch.allclose(strided.forward(z)[0][..., head::3], out)


def test_actnorms_are_set_from_the_steps_of_the_mask_alone(monkeypatch):
    torch.manual_seed(0)
    flow = levels(4, 3, SMALL, (1, 1)).double()
    mask = torch.arange(8) < torch.tensor([8, 2, 4, 6] * 8)[:, None]
    z = 3 + 2 * torch.randn(32, 8, 4, dtype=torch.float64)
    z[~mask] = float("nan")
    initialise(flow, z, _source(32), mask)
    seen, forward = [], MaskedActnorm.forward

    def watched(self, value, context, used):
        out = forward(self, value, context, used)
        seen.append((out[0], used))
        return out

    monkeypatch.setattr(MaskedActnorm, "forward", watched)
    eps, log_det = flow.forward(z, _source(32), mask)
    assert len(seen) == 10 and eps.isfinite().all() and log_det.isfinite().all()
    for out, used in seen:
        deviation, mean = torch.std_mean(out[used], 0, correction=0)
        assert torch.allclose(mean, torch.zeros_like(mean), atol=1e-9)
        assert torch.allclose(deviation, torch.ones_like(mean), atol=1e-4)


@pytest.mark.parametrize("examples", [1, 2])
def test_scales_are_set_only_from_more_steps_than_channels(examples):
    """A first batch of one or two short questions, which have one or two steps at the last of three levels."""
    torch.manual_seed(0)
    flow = levels(4, 3, SMALL, (4, 4, 2))
    z, source = torch.randn(examples, 4, 4), Source(torch.randn(1, 5, 3), torch.ones(1, 5, dtype=torch.bool))
    initialise(flow, z, source)
    for place, level in enumerate(flow.levels):
        for part in level.flows:
            if isinstance(part, MaskedActnorm):
                assert bool((part.log_scale != 0).all()) == (examples * 4 >> place > 4)
    eps, log_det = flow.forward(z + torch.randn_like(z), source)
    assert eps.abs().max() < 1e3 and log_det.isfinite().all()


def test_wrong_lengths_sizes_and_contexts_are_refused():
    flow = levels(4, 3, SMALL, (1, 1, 1)).double()
    z = torch.randn(2, 6, 4, dtype=torch.float64)
    with pytest.raises(ValueError, match="Expected lengths that 4 divides"):
        flow.forward(z, _source(2))
    mask = torch.arange(8) < torch.tensor([8, 6])[:, None]
    with pytest.raises(ValueError, match="Expected lengths that 4 divides"):
        flow.inverse(torch.cat([z, z], 1)[:, :8], _source(2), mask)
    coupling = SourceCoupling(4, 3, "time", SMALL).double()
    with pytest.raises(ValueError, match="Expected an even number of steps"):
        coupling.forward(z[:, :3], _source(2))
    with pytest.raises(ValueError, match="Expected a Source as context of SourceCoupling, got Tensor"):
        coupling.forward(z, torch.randn(2, 6, 3, dtype=torch.float64))
    with pytest.raises(ValueError, match="context of width 3, got 0"):
        coupling.forward(z)
    for build in (
        lambda: SourceCoupling(3, 3, "halves", SMALL),
        lambda: SourceCoupling(3, 3, "alternate", SMALL),
        lambda: Levels(MaskedActnorm(3), MaskedActnorm(3)),
    ):
        with pytest.raises(ValueError, match="Expected an even number of channels"):
            build()
    with pytest.raises(ValueError, match="Expected a split of halves, alternate, time"):
        SourceCoupling(4, 3, "channels", SMALL)
    with pytest.raises(ValueError, match="Expected a grouping of joined or strided"):
        MultiHead1x1(4, "apart")
    with pytest.raises(ValueError, match="Expected at least one level"):
        levels(4, 3, SMALL, ())
    with pytest.raises(ValueError, match="Expected a width that 3 heads divide"):
        SourceCoupling(4, 3, "halves", SMALL._replace(heads=3))
