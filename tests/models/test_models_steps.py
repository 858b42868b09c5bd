"""Which step of a model sees which: derivatives and tables, entry by entry.

Legend: T time, D latent dimensions, V symbols.
"""

import math

import pytest
import torch

from models_list import CASES, FACTS, LATENT
from seqflows.data.batching import Batch
from seqflows.data.prepared import Facts
from seqflows.errors import Problem
from seqflows.flows import AutoregressiveInTime, NLSq, layered
from seqflows.models import build, state_space
from seqflows.models.networks import BiLSTM, Emission, LengthModel, Positions

LONG = {
    "categorical": Facts("categorical", 4, 6, (0, 1, 1, 3, 2, 0, 1)),
    "bernoulli": Facts("bernoulli", 3, 6, (0, 1, 1, 3, 2, 0, 1)),
}


def sensitivity(output, inputs):
    """(T, T'): the largest |d output_t / d input_t'| of (1, T, .) in (1, T', .)."""
    weights = torch.randn(output.shape[1:], generator=torch.Generator().manual_seed(0), dtype=output.dtype)
    rows = []
    for t in range(output.shape[1]):
        (found,) = torch.autograd.grad((output[0, t] * weights[t]).sum(), inputs, retain_graph=True, allow_unused=True)
        rows.append(torch.zeros(inputs.shape[1]) if found is None else found[0].abs().amax(-1))
    return torch.stack(rows)


@pytest.mark.parametrize("emission", LONG)
def test_the_decoder_sees_the_neighbours_states_and_its_own_latent_directly(emission):
    """d logits_t / d z_t is 0 once the direct weights are, and not for any other step: section 4, one layer."""
    torch.manual_seed(0)
    model = build(LATENT[0].block | {"depth": 1, "latent": 3}, LONG[emission]).double().eval()
    z = torch.randn(1, 5, 3, dtype=torch.float64, requires_grad=True)
    lengths = torch.tensor([5])
    position = model.positions(lengths, 5)
    assert (sensitivity(model.logits(z, lengths, position), z) > 0).all()
    with torch.no_grad():
        model.to_embedding.weight[:, -3:] = 0
    found = sensitivity(model.logits(z, lengths, position), z)
    apart = ~torch.eye(5, dtype=torch.bool)
    assert (found.diagonal() == 0).all() and (found[apart] > 0).all()
    with torch.no_grad():  # without the backward states: of the past alone, and without the forward ones of the future
        model.to_embedding.weight[:, 6:12] = 0
    found = sensitivity(model.logits(z, lengths, position), z)
    assert (found.triu() == 0).all() and (found.tril(-1)[~torch.ones(5, 5).triu().bool()] > 0).all()


def test_the_flow_over_time_sees_what_is_before_and_its_own_position():
    """The state of t depends on z_<t and on the context up to t: of t itself, and of nothing after it."""
    torch.manual_seed(0)
    flow = AutoregressiveInTime(layered("made", 2, 6, 8, NLSq(), 1), 3, 6, 1).double()
    for module in flow.modules():
        if isinstance(module, torch.nn.Linear):
            module.reset_parameters()
    z = torch.randn(1, 5, 2, dtype=torch.float64, requires_grad=True)
    context = torch.randn(1, 5, 3, dtype=torch.float64, requires_grad=True)
    of_z, of_context = (sensitivity(flow.states(z, context), value) for value in (z, context))
    past, upto = torch.ones(5, 5).tril(-1).bool(), torch.ones(5, 5).tril().bool()
    assert (of_z[past] > 0).all() and (of_z[~past] == 0).all()
    assert (of_context[upto] > 0).all() and (of_context[~upto] == 0).all()
    # the same of the way that samples, step by step
    eps = torch.randn(1, 5, 2, dtype=torch.float64)
    found = sensitivity(flow.inverse(eps, context)[0], context)
    assert (found[upto] > 0).all() and (found[~upto] == 0).all()


def test_positions_are_rows_of_the_two_tables():
    """One-hot rows: the distance from the start, and T - 1 - t from the end, with the last row past the end."""
    positions = Positions(5, 10, norm=1.0)
    with torch.no_grad():
        positions.table.weight.copy_(torch.eye(10))
    found = positions(torch.tensor([4, 1]), 4)
    hot = [[row.nonzero().flatten().tolist() for row in sequence] for sequence in found]
    assert hot == [[[0, 8], [1, 7], [2, 6], [3, 5]], [[0, 5], [1, 5], [2, 5], [3, 5]]]
    assert (found.sum(-1) == 2).all()


@pytest.mark.parametrize("name", ["af-made-nlsq-categorical", "lstm-categorical", "codebook"])
def test_lengths_that_a_model_does_not_know_are_refused(name):
    """In a score as in a sample: the longest is 3."""
    model = next(case for case in CASES if case.name == name).build()
    known = model.sample(2, lengths=torch.tensor([3, 1]))
    assert known.x.shape == (2, 3)
    for low, high in ((1, 4), (0, 2), (0, 0)):
        lengths = torch.tensor([high, low])
        with pytest.raises(Problem, match=rf"expected lengths of 1 to 3, got {low} to {high}; prepare the data"):
            model.sample(2, lengths=lengths)
        with pytest.raises(Problem, match=rf"expected lengths of 1 to 3, got {low} to {high}; prepare the data"):
            model.objective(Batch(torch.zeros(2, 4, dtype=torch.long), lengths, torch.arange(2)), 1)


def test_each_direction_of_the_reader_reads_from_its_own_end():
    """Forward states depend on what is up to t and backward states on what is from t on, within each length."""
    torch.manual_seed(0)
    reader = BiLSTM(2, 3, 1).double()
    for length in (5, 3):
        x = torch.randn(1, 5, 2, dtype=torch.float64, requires_grad=True)
        ahead, back = reader(x, torch.tensor([length]))
        real = torch.arange(5) < length
        inside = real[:, None] & real
        upto, onwards = (torch.ones(5, 5).tril().bool() & inside, torch.ones(5, 5).triu().bool() & inside)
        for states, wanted in ((ahead, upto), (back, onwards)):
            found = sensitivity(states, x)
            assert (found[wanted] > 0).all() and (found[~wanted] == 0).all()


def test_lengths_have_the_counts_with_one_added():
    model = LengthModel(Facts("categorical", 2, 3, (0, 2, 5, 1)))
    assert model(torch.tensor([1, 2, 3])).exp().tolist() == pytest.approx([3 / 11, 6 / 11, 2 / 11])


def test_emissions_are_the_densities_that_they_name():
    torch.manual_seed(0)
    for name, x in (("categorical", torch.tensor([[1, 0]])), ("bernoulli", torch.tensor([[[1.0, 0.0], [0.0, 0.0]]]))):
        emission = Emission(FACTS[name], 5, 0.1)
        logits = torch.randn(1, 2, 2)
        found = emission.log_prob(x, logits)
        if name == "categorical":
            wanted = torch.stack([torch.log_softmax(logits[0, t], -1)[x[0, t]] for t in range(2)])
        else:
            wanted = torch.distributions.Bernoulli(logits=logits[0]).log_prob(x[0]).sum(-1)
        assert torch.allclose(found[0], wanted, atol=1e-6)


# -- resampling in the state-space model


def proposing(count=3):
    """A model whose proposals differ much in weight."""
    facts = Facts("categorical", 3, 4, (0, 0, 1, 1, 1))
    block = {"class": "state_space", "state": 1, "embedding": 3, "units": 4, "width": 6, "proposals": count}
    torch.manual_seed(0)
    model = build(block, facts).double().eval()
    with torch.no_grad():
        model.to_symbols.weight.mul_(2.0 / model.to_symbols.weight.std())
        model.posterior[-1].weight.mul_(0.3)
        model.posterior[-1].bias[1:] = 0.0
        for part in model.inferred.flows:
            part.network[-1].weight.mul_(0.3)
        for part in model.generative.modules():  # a state that much depends on the one before
            if isinstance(part, torch.nn.Linear):
                part.weight.mul_(2.0)
    return model


WORD = Batch(torch.tensor([[0, 1, 0, 2]]), torch.tensor([4]), torch.arange(1))


def test_training_goes_on_from_a_proposal_drawn_by_its_weight(monkeypatch):
    """Each step starts from the states that were drawn, in proportion to the weights of the step before."""
    model, steps, draws = proposing(), [], []
    step, drawn = type(model)._step, state_space._drawn
    monkeypatch.setattr(
        type(model),
        "_step",
        lambda self, before, *rest: steps.append((before, step(self, before, *rest))) or steps[-1][1],
    )

    def recorded(shares):
        draws.append((shares, drawn(shares)))
        return draws[-1][1]

    monkeypatch.setattr(state_space, "_drawn", recorded)
    with torch.no_grad():
        model.train().objective(WORD, 4000)
    assert len(steps) == 4 and len(draws) >= 3
    for (_, (h, _, log_omega)), (shares, chosen), (after, _) in zip(steps, draws, steps[1:], strict=False):
        assert torch.allclose(shares, log_omega.softmax(-1))
        assert torch.equal(after, h[torch.arange(len(h)), chosen[:, 0]])
        often = torch.stack([(chosen[:, 0] == k).double().mean() for k in range(3)])
        assert torch.allclose(often, shares.mean(0), atol=5 * 0.5 / math.sqrt(4000))
        assert float(shares.max(1).values.mean()) > 0.5  # or any of the three would do


def test_the_trained_bound_is_that_of_resampled_states(monkeypatch):
    """Against importance sampling, to within what not resampling changes, which is 0.1 nats and more here."""
    model, samples = proposing(), 16_000

    def bound():
        torch.manual_seed(1)
        with torch.no_grad():
            return -float(sum(value.sum() for value in model.objective(WORD, samples).values()))

    torch.manual_seed(2)
    with torch.no_grad():
        log_weights = model.importance(WORD, samples)[0][0]
    error = float(log_weights.std()) * math.sqrt(2 / samples)
    found = bound()
    assert abs(found - float(log_weights.mean())) < 4 * error
    monkeypatch.setattr(state_space, "_drawn", lambda shares: torch.zeros(len(shares), 1, dtype=torch.long))
    assert 4 * error < 0.1 < abs(bound() - found)
