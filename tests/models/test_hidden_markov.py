"""The hidden Markov model against sums over all sequences of states, and expectation maximisation by its gradient."""

import itertools
import math

import pytest
import torch

from models_list import GRUS, spellings
from seqflows.config.training import Training
from seqflows.data.batching import Batch
from seqflows.errors import Problem
from seqflows.training import optimise

CASE = next(case for case in GRUS if case.name == "hidden_markov")
LONGEST = 3


def model(seed=0):
    """With tables normalised in float64; they start in float32."""
    one = CASE.build(seed=seed)
    with torch.no_grad():
        for table in one.parameters():
            table.copy_(table.log_softmax(-1))
    return one


def words(model) -> Batch:
    """Every word of up to LONGEST symbols, in one batch."""
    parts = [spellings(model, length) for length in range(1, LONGEST + 1)]
    x = torch.cat([torch.nn.functional.pad(part.x, (0, LONGEST - part.x.shape[1])) for part in parts])
    return Batch(x, torch.cat([part.lengths for part in parts]), torch.arange(len(x)))


def paths(model, word):
    """(probability of states and word, states) for every sequence of states."""
    first, transition, emission = (table.exp() for table in (model.first, model.transition, model.emission))
    for states in itertools.product(range(len(first)), repeat=len(word)):
        p = first[states[0]]
        for before, after in itertools.pairwise(states):
            p = p * transition[before, after]
        yield p * math.prod(emission[state, symbol] for state, symbol in zip(states, word, strict=True)), states


def test_the_likelihood_is_the_sum_over_all_sequences_of_states():
    one = model()
    batch = words(one)
    with torch.no_grad():
        for place, (x, length) in enumerate(zip(batch.x.tolist(), batch.lengths.tolist(), strict=True)):
            expected = sum(p for p, _ in paths(one, x[:length]))
            assert one.log_prob(batch)[place].item() == pytest.approx(math.log(expected), abs=1e-12)


def test_it_is_a_distribution_at_any_tables_and_normalised_ones_change_no_number():
    """After a step by another optimiser than EM, too: all words with one of the length without an end sum to 1."""
    one = model()
    batch = words(one)
    torch.testing.assert_close(one.log_prob(batch), -one.objective(batch, 1)["nll"], rtol=0, atol=1e-12)
    one.objective(batch, 1)["nll"].sum().backward()
    with torch.no_grad():
        for table in one.parameters():
            table.sub_(0.05 * table.grad)
    with torch.no_grad():
        assert all(((table.exp().sum(-1) - 1).abs() > 0.05).any() for table in one.parameters())
        unended = torch.tensor(list(itertools.product(range(one.end), repeat=LONGEST)))
        unended = Batch(unended, torch.full((len(unended),), LONGEST), torch.arange(len(unended)))
        total = torch.cat([one.log_prob(batch), one.log_prob(unended)]).logsumexp(0)
    assert total.item() == pytest.approx(0, abs=1e-12)


def test_minus_the_gradient_is_the_expected_counts():
    """Of first states, transitions and emissions under the posterior of the states, by enumeration."""
    one = model()
    batch = words(one)
    one.objective(batch, 1)["nll"].sum().backward()
    counts = {name: torch.zeros_like(table) for name, table in one.named_parameters()}
    with torch.no_grad():
        for x, length in zip(batch.x.tolist(), batch.lengths.tolist(), strict=True):
            word = x[:length]
            found = list(paths(one, word))
            total = sum(p for p, _ in found)
            for p, states in found:
                counts["first"][states[0]] += p / total
                for before, after in itertools.pairwise(states):
                    counts["transition"][before, after] += p / total
                for state, symbol in zip(states, word, strict=True):
                    counts["emission"][state, symbol] += p / total
    for name, table in one.named_parameters():
        assert torch.allclose(-table.grad, counts[name], rtol=0, atol=1e-10), name


def trained(rate, steps):
    """The mean NLL before each of some steps on the same words."""
    one, found = model(3), []
    batch = Batch(*(value[torch.tensor([1, 3, 3, 4, 6, 6, 6])] for value in words(one)[:3]))
    optimizer = optimise.Em(one.parameters(), rate)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = one.objective(batch, 1)["nll"].mean()
        loss.backward()
        found.append(loss.item())
        optimizer.step()
    return one, batch, found


def test_em_never_lowers_the_likelihood_and_ends_at_the_entropy_of_the_words():
    one, batch, found = trained(1.0, 200)
    assert all(after <= before + 1e-9 for before, after in itertools.pairwise(found)) and found[-1] < found[0] - 0.5
    counts = torch.unique(batch.x, dim=0, return_counts=True)[1].double() / len(batch.x)
    assert found[-1] >= -(counts * counts.log()).sum().item() - 1e-6
    for table in one.parameters():
        assert torch.allclose(table.exp().sum(-1), torch.ones(()).double(), atol=1e-12)


def test_a_rate_below_one_mixes_the_counts_of_earlier_steps():
    one, _, _ = trained(0.3, 1)
    whole, _, _ = trained(1.0, 1)  # the first counts are taken whole
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), whole.parameters(), strict=True))
    table = torch.nn.Parameter(torch.tensor([[0.5, 0.5]]).log())
    optimizer = optimise.Em([table], 0.25)
    for counts in ([3.0, 1.0], [0.0, 4.0]):
        table.grad = -torch.tensor([counts])
        optimizer.step()
    assert torch.allclose(table.exp(), torch.tensor([[0.75 * 3 / 4, 0.75 * 1 / 4 + 0.25]]), atol=1e-6)
    again = optimise.Em([table], 0.25)
    again.restore(optimizer.tensors())
    assert torch.equal(again.tensors()["0.counts"], optimizer.tensors()["0.counts"])


def test_a_row_without_counts_stays():
    table = torch.nn.Parameter(torch.tensor([[0.2, 0.8], [0.5, 0.5]]).log())
    table.grad = -torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    optimise.Em([table], 1.0).step()
    assert table.exp()[1].tolist() == pytest.approx([0.5, 0.5])
    assert torch.isfinite(table).all() and table.exp()[0, 0] > 0.999


def test_the_entropies_are_those_of_the_next_symbol_given_the_state_before():
    one = model()
    batch, found = one.entropies(4000, 1, torch.Generator().manual_seed(0))
    emission = one.emission.exp()
    marginal = -sum(p * math.log(p) for p in (one.first.exp() @ emission).tolist())
    each = -(emission * emission.log()).sum(-1)
    assert found["marginal"][:, 0].tolist() == pytest.approx([marginal] * 4000)
    assert found["expected"][0, 0].item() == pytest.approx((one.first.exp() @ each).item())
    mask = batch.mask
    assert (found["marginal"][mask] >= found["expected"][mask] - 1e-12).all()


@pytest.mark.parametrize(
    ("entry", "message"),
    [({"learning_rate": 1.5}, "at most 1, got 1.5"), ({"clip": 10.0}, "clip: expected null with optimizer: em")],
)
def test_what_em_does_not_use_is_refused(entry, message):
    block = {"epochs": 3, "batch_size": 2, "learning_rate": 0.5, "optimizer": "em"}
    assert not list(Training.errors("training", block))
    (error,) = Training.errors("training", block | entry)
    assert message in error


def test_full_steps_are_of_expectation_maximisation_and_have_a_rule():
    block = {"epochs": 3, "batch_size": 2, "learning_rate": 0.5, "optimizer": "em", "full_steps": 5, "full_gain": 1e-4}
    assert not list(Training.errors("training", block)) and Training(**block).most_epochs == 8
    for entry, message in (
        ({"optimizer": "sgd"}, "full_steps: expected none with optimizer: sgd, got 5"),
        ({"full_gain": None}, "full_gain: expected a number with full_steps, got none"),
        ({"full_steps": None}, "full_steps: expected a number with full_gain, got none"),
    ):
        (error,) = Training.errors("training", block | entry)
        assert message in error


def test_states_that_no_symbol_can_use_are_refused():
    """The words of the case have 2 + 3 + 4 symbols, ends included."""
    assert CASE.build(states=9).config.states == 9
    with pytest.raises(Problem, match="Expected at most 9 states, one a symbol of the words, got 10; correct the run"):
        CASE.build(states=10)
