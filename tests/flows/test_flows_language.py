"""The flows of language beyond the contract: initialisation, steps one by one, scales, sizes, and what is refused.

Legend: B batch, T time, D channels.
"""

import math

import pytest
import torch
from torch.nn.modules.module import register_module_forward_hook

from bijections import LANGUAGE, SMALL, inputs, jacobian, randomised
from seqflows.flows import (
    CELLS,
    MIXINGS,
    NETWORKS,
    SQUEEZES,
    Actnorm,
    AffineCoupling,
    Invertible1x1,
    PastCoupling,
    Size,
    Steps,
    initialise,
    multiscale,
    recurrent_affine,
    standard_normal_log_density,
    unidirectional,
)
from seqflows.flows.attention import Causal
from seqflows.flows.multiscale import MultiScale, squeeze, unsqueeze

STEPPED = ("past", "unidirectional", "mixing-causal", "mixing-channels", "actnorm")
CAUSAL = [case for case in LANGUAGE if case.name.startswith(STEPPED)]


def test_actnorms_are_set_by_data_one_after_another(monkeypatch):
    torch.manual_seed(0)
    flow = multiscale(8, 4, "time", "rnn", SMALL, steps=3, blocks=2)
    z = 5 + 3 * torch.randn(64, 8, 4)
    seen, forward = [], Actnorm.forward

    def watched(self, z, *rest):
        seen.append(forward(self, z, *rest))
        return seen[-1]

    monkeypatch.setattr(Actnorm, "forward", watched)
    initialise(flow, z)
    assert len(seen) == 6
    for out, _ in seen:
        assert torch.allclose(out.mean((0, 1)), torch.zeros(4), atol=1e-4)
        assert torch.allclose(out.std((0, 1), correction=0), torch.ones(4), atol=1e-3)
    before = [parameter.clone() for parameter in flow.parameters()]
    flow.forward(2 * z)  # once alone
    assert all(torch.equal(one, other) for one, other in zip(before, flow.parameters(), strict=True))


@pytest.mark.parametrize("examples", [1, 3])
def test_scales_are_set_only_from_more_steps_than_channels(examples):
    """The deviation of a single vector is 0, by which nothing can be divided."""
    flow = Steps(Actnorm(2, 4), Actnorm(2, 4))
    z = 5 + 3 * torch.randn(examples, 2, 4)
    initialise(flow, z)
    for part in flow.flows:
        assert bool((part.log_scale != 0).all()) == (examples > 2) and not part.awaits_data
    assert torch.allclose(flow.forward(z)[0].mean((0, 1)), torch.zeros(4), atol=1e-5)


@pytest.mark.parametrize("case", CAUSAL, ids=lambda case: case.name)
def test_steps_one_by_one_are_the_flow(case):
    flow = randomised(case, 1.0)
    z, _, _ = inputs(flow, rows=5)
    eps, _ = flow.forward(z)
    stepper = flow.stepper()
    for t in range(flow.length):
        assert torch.allclose(stepper.inverse(eps[:, t]), z[:, t], atol=1e-9)
        assert torch.allclose(stepper.inverse(eps[:, t]), z[:, t], atol=1e-9)  # asking changes nothing
        assert torch.allclose(stepper.advance(z[:, t]), eps[:, t], atol=1e-9)
    # with other data than the noise's own, as after a choice of tokens, and with examples chosen on the way
    other, places = torch.randn_like(z), torch.tensor([3, 3, 0])
    stepper, expected = flow.stepper(), flow.forward(torch.cat([other[places][:, :2], z[:3, 2:]], 1))[0]
    for t in range(2):
        stepper.advance(other[:, t])
    stepper.select(places)
    for t in range(2, flow.length):
        assert torch.allclose(stepper.advance(z[:3, t]), expected[:, t], atol=1e-9)


def test_flows_that_look_ahead_have_no_steps():
    for flow in (
        Invertible1x1(4, 2, "time"),
        AffineCoupling(4, 2, "time", "rnn", SMALL),
        Steps(Invertible1x1(4, 2, "time")),
    ):
        with pytest.raises(TypeError, match="Expected a flow that is autoregressive in time"):
            flow.stepper()


def counted(build, length, monkeypatch):
    """How many modules, and how many steps of a causal network, the density of one batch calls."""
    flow, modules, steps, step = build(length), [], [], Causal.step
    with monkeypatch.context() as patch:
        patch.setattr(Causal, "step", lambda *args: steps.append(args) or step(*args))
        watch = register_module_forward_hook(lambda module, *_: modules.append(type(module)))
        flow.forward(torch.randn(2, length, 4))
        watch.remove()
    return len(modules), len(steps)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("cell", CELLS)
def test_the_density_of_causal_flows_is_parallel_in_time(cell, network, monkeypatch):
    """One call of each network, an LSTM's or an attention's, for all steps; in the literal cell one for each."""

    def build(length):
        return unidirectional(length, 4, network, SMALL, 8, 2, cell)

    (short, no_steps), (long, steps) = (counted(build, length, monkeypatch) for length in (4, 16))
    if cell == "parallel":
        assert short == long > 0 and no_steps == steps == 0
    else:
        assert long > short and (no_steps, steps) == (2 * 3, 2 * 15)


def test_the_density_of_the_lstm_layers_is_parallel_in_time(monkeypatch):
    for length in (4, 16):
        assert counted(lambda length: recurrent_affine(length, 4, 6, 3), length, monkeypatch) == (2 * 3, 0)


def test_squeezing_interleaves_neighbours():
    """Half of the channels are half of both words' coordinates; joined end to end they would be one of the words."""
    z = torch.arange(16).view(1, 4, 4)
    assert squeeze(z)[0].tolist() == [[0, 4, 1, 5, 2, 6, 3, 7], [8, 12, 9, 13, 10, 14, 11, 15]]
    assert torch.equal(squeeze(z, interleaved=False)[0, 0], torch.arange(8))
    for interleaved in (True, False):
        assert torch.equal(unsqueeze(squeeze(z, interleaved), interleaved), z)


def test_a_split_between_scales_separates_coordinates():
    """What leaves after the second scale is the same coordinates of every word that is left, not every other word."""
    for squeezed in SQUEEZES:
        flow = MultiScale(*(Actnorm(length, 8) for length in (4, 2, 1)), squeezed=squeezed)
        with torch.no_grad():
            flow.gaussians[1].bias[:4] = 1.0  # the mean of what leaves there, and the one thing that changes a number
            moved = flow.forward(torch.zeros(1, 4, 8))[0][0] != 0  # word, coordinate
        rows = [[0, 0, 1, 1, 0, 0, 0, 0]] * 4 if squeezed == "interleaved" else [[0] * 8, [1] * 4 + [0] * 4] * 2
        assert torch.equal(moved, torch.tensor(rows).bool()), squeezed


def test_what_leaves_between_scales_has_a_learned_gaussian():
    """log p of the whole is that of the parts: p(h's noise) and p(z_1 | h), N(mu(h), exp(s(h)))."""
    torch.manual_seed(0)
    flow = MultiScale(Invertible1x1(4, 6, "time"), Invertible1x1(2, 6, "channels")).double()
    torch.nn.init.normal_(flow.gaussians[0].weight, std=0.3)
    z = torch.randn(3, 4, 6, dtype=torch.float64)
    eps, log_det = flow.forward(z)
    h, first = flow.blocks[0].forward(z)
    stays, leaves = h.chunk(2, -1)
    mean, s = flow.gaussians[0](stays).chunk(2, -1)
    s = 7 * torch.tanh(s / 7)
    left = torch.distributions.Normal(mean, s.exp()).log_prob(leaves).sum((1, 2))
    last, second = flow.blocks[1].forward(squeeze(stays))
    expected = left + standard_normal_log_density(last).sum((1, 2)) + first + second
    assert torch.allclose(standard_normal_log_density(eps).sum((1, 2)) + log_det, expected)


def test_mixings_start_as_permutations_as_rotations_or_as_nothing():
    """Over time a step is one step, of another place, until something is learned; over channels as in Glow."""
    torch.manual_seed(0)
    weights = [Invertible1x1(16, 2, "time").weight() for _ in range(2)]
    for weight in weights:
        assert torch.equal(weight.sort(-1).values, torch.eye(16)[-1:].expand(16, 16))
        assert torch.equal(weight.sum(0), torch.ones(16))
        assert not torch.equal(weight, torch.eye(16))
    assert not torch.equal(*weights)
    flow = multiscale(16, 4, "time", "rnn", SMALL, steps=2, blocks=2)
    mixings = [module for module in flow.modules() if isinstance(module, Invertible1x1)]
    assert [module.axis for module in mixings] == ["time"] * 4
    assert all(bool(((module.weight() == 0) | (module.weight() == 1)).all()) for module in mixings)
    for dense in (Invertible1x1(2, 16, "channels"), Invertible1x1(16, 2, "time", start="rotation")):
        weight = dense.weight()
        assert torch.allclose(weight @ weight.T, torch.eye(16), atol=1e-5) and int((weight.abs() > 1e-3).sum()) > 200
    assert torch.equal(Invertible1x1(16, 2, "time", causal=True).weight(), torch.eye(16))


@pytest.mark.parametrize("steps", (1, 2, 5))
def test_aligned_permutations_of_a_block_end_where_they_began(steps):
    torch.manual_seed(0)
    flow = multiscale(16, 4, "time", "rnn", SMALL, steps=steps, blocks=2, start="aligned")
    for block in flow.blocks:
        mixings = [module.weight() for module in block.modules() if isinstance(module, Invertible1x1)]
        size = len(mixings[0])
        assert torch.equal(torch.linalg.multi_dot([*reversed(mixings), torch.eye(size)]), torch.eye(size))
        assert steps == 1 or not torch.equal(mixings[0], torch.eye(size))


def test_a_permutation_is_where_training_starts():
    """Every entry of L, U and s has a gradient there: W may become any mixing."""
    torch.manual_seed(0)
    flow = Invertible1x1(6, 3, "time")
    eps, log_det = flow.forward(torch.randn(50, 6, 3))
    (eps.square().sum((1, 2)) - log_det).mean().backward()
    assert bool((flow.lower.grad[torch.ones(6, 6).tril(-1) > 0] != 0).all())
    assert bool((flow.upper.grad[torch.ones(6, 6).triu(1) > 0] != 0).all()) and bool((flow.log_size.grad != 0).all())


@pytest.mark.parametrize("cell", CELLS)
def test_channels_mix_in_the_causal_flow(cell):
    """Each coordinate of a word conditions each of the same word, already at the first step, where no cell acts.

    Without the convolution it is the diagonal there; and two halves that never mix further on: with the couplings'
    networks as they start, a flow of any K would treat each coordinate by itself.
    """
    torch.manual_seed(0)
    z = torch.randn(3, 4, 6, dtype=torch.float64)
    for mixing in MIXINGS:
        flow = unidirectional(4, 6, "rnn", SMALL, 8, 3, cell, mixing=mixing).double()
        found = jacobian(lambda z, flow=flow: flow.forward(z)[0], z).view(3, 4, 6, 4, 6)
        for t in range(4):
            own = found[:, t, :, t].abs() > 1e-6
            assert bool(own.all()) if mixing == "both" else torch.equal(own, torch.eye(6).bool().expand(3, 6, 6))
            assert not found[:, t, :, t + 1 :].any()  # and causal all the same


def test_couplings_start_as_the_gate_alone():
    """The last projection is zero: eps_2 = sigma(alpha) z_2."""
    z = torch.randn(2, 4, 6)
    eps, log_det = AffineCoupling(4, 6, "time", "attention", SMALL).forward(z)
    gate = 1 / (1 + math.exp(-2.0))
    assert torch.equal(eps[:, :2], z[:, :2]) and torch.allclose(eps[:, 2:], gate * z[:, 2:])
    assert torch.allclose(log_det, torch.full((2,), 12 * math.log(gate)))


def test_the_first_step_of_a_cell_stays():
    flow = PastCoupling(3, 4, "rnn", SMALL, 8)
    z = torch.randn(2, 3, 4)
    assert torch.equal(flow.forward(z)[0][:, 0], z[:, 0])
    one = PastCoupling(1, 4, "rnn", SMALL, 8)
    assert torch.equal(one.forward(z[:, :1])[0], z[:, :1]) and torch.equal(one.inverse(z[:, :1])[0], z[:, :1])


def test_the_cells_differ_after_the_first_step():
    torch.manual_seed(0)
    z = torch.randn(2, 4, 4)
    with torch.no_grad():
        ends = []
        for cell in ("parallel", "literal"):
            torch.manual_seed(1)
            flow = unidirectional(4, 4, "rnn", SMALL, 8, 2, cell)
            for parameter in flow.parameters():
                parameter.normal_(std=0.3)
            ends.append(flow.forward(z)[0])
    assert not torch.allclose(ends[0][:, 1:], ends[1][:, 1:])


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: multiscale(10, 4, "time", "rnn", SMALL, 2, 3),
            "Expected a length that 4 divides for 3 scales, got 10",
        ),
        (lambda: multiscale(4, 4, "time", "rnn", SMALL, 2, 3), "Expected an even number of steps, got 1"),
        (lambda: multiscale(8, 5, "time", "rnn", SMALL, 2, 2), "an even width for 2 scales, got 8 and 5"),
        (lambda: multiscale(8, 5, "channels", "rnn", SMALL, 1, 1), "Expected an even number of channels, got 5"),
        (lambda: AffineCoupling(4, 4, "hours", "rnn", SMALL), "Expected an axis of time or channels .*'hours'"),
        (lambda: AffineCoupling(4, 4, "time", "cnn", SMALL), "a network of rnn or attention, got 'time', 'cnn'"),
        (
            lambda: AffineCoupling(4, 4, "time", "attention", Size(9, 4, 2)),
            "Expected a width that 2 heads divide",
        ),
        (lambda: Invertible1x1(4, 4, "channels", causal=True), "Expected a causal mixing over time"),
        (
            lambda: Invertible1x1(4, 4, "time", start="identity"),
            "a start of permutation or rotation, got 'identity'",
        ),
        (lambda: MultiScale(Actnorm(4, 4), squeezed="paired"), "Expected a squeeze of interleaved or joined"),
        (lambda: Invertible1x1(4, 4, "words"), "Expected an axis of time or channels, got 'words'"),
        (lambda: unidirectional(4, 4, "rnn", SMALL, 8, 2, mixing="channels"), "Expected a mixing of both or time"),
        (lambda: PastCoupling(4, 3, "rnn", SMALL, 8), "an even width, got 'rnn', 'parallel' and 3"),
        (lambda: PastCoupling(4, 4, "rnn", SMALL, 8, "serial"), "a cell of parallel or literal"),
        (lambda: Steps(), "Expected at least one flow"),
        (lambda: Steps(Actnorm(3, 4), Actnorm(4, 4)), "Expected flows of one shape"),
        (lambda: MultiScale(Actnorm(4, 4), Actnorm(4, 4)), "Expected block 1 of 2 steps, got 4"),
        (lambda: Actnorm(0, 4), "Expected length >= 1, got 0"),
    ],
)
def test_impossible_flows_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_other_lengths_and_masks_are_refused():
    flow = Actnorm(3, 4)
    with pytest.raises(ValueError, match="Expected Actnorm input of 3 steps, got 2"):
        flow.forward(torch.zeros(1, 2, 4))
    with pytest.raises(ValueError, match="Expected Actnorm sequences without masked steps"):
        flow.inverse(torch.zeros(1, 3, 4), None, torch.tensor([[True, True, False]]))
    flow.forward(torch.zeros(1, 3, 4), None, torch.ones(1, 3).bool())
