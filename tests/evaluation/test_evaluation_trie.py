"""Scoring words: the trie against word after word, the estimates against an exact answer, the entropy gap."""

import itertools
import math

import numpy as np
import pytest
import torch

from seqflows.data.prepared import Facts, Split
from seqflows.data.readers import lexicon
from seqflows.evaluation import likelihood
from seqflows.evaluation.trie import Trie, cross_entropy, estimates, exact, generated, weighted
from seqflows.models import build
from seqflows.models.words import WordModel, gaps

FACTS = Facts("categorical", 27, 13, (0, *[1] * 13))


def split(*texts, counts=None):
    symbols, lengths = lexicon.encode(list(texts))
    return Split("words", lengths, symbols, None, None if counts is None else np.asarray(counts))


def model(name="state_space", **changes):
    torch.manual_seed(0)
    return build({"class": name, **changes}, FACTS).double().eval()


@pytest.mark.parametrize(
    "texts", [("a",), ("ab", "a", "abc", "b", "abd", "ba", "zz"), ("cat", "at", "t"), ("aa", "ab")]
)
def test_the_trie_scores_what_each_word_scores_alone(texts):
    given = split(*texts)
    trie = Trie.of(given)
    assert trie.steps == given.lengths.max() and trie.count == len(texts)
    log_p = torch.randn(300, trie.steps, 27, dtype=torch.float64).log_softmax(-1)
    wanted = torch.stack([
        log_p[:, torch.arange(length), torch.from_numpy(given.sequence(n).astype(np.int64))].sum(1)
        for n, length in enumerate(given.lengths)
    ])  # fmt: skip
    assert torch.allclose(trie.log_sums(log_p), wanted.logsumexp(1))
    assert torch.allclose(trie.sums(log_p), wanted.exp().sum(1), rtol=1e-5)


def test_words_below_the_range_of_float32_are_summed_by_logarithms():
    trie = Trie.of(split("zebra", "a", "zoo", "ab"))
    log_p = torch.randn(300, trie.steps, 27, dtype=torch.float64).log_softmax(-1)
    log_p[:, :, lexicon.encode(["z"])[0][0]] = -100.0
    found = trie.sums(log_p)
    assert torch.allclose(found.log(), trie.log_sums(log_p), rtol=1e-5) and (found[[0, 2]] < 1e-38).all()


def test_prefixes_are_shared():
    letters = ["".join(pair) for pair in itertools.product("abc", repeat=2)]
    trie = Trie.of(split(*letters))
    assert [len(level) for level in trie.parents] == [3, 9, 9]


class Fixed(WordModel):
    """P(w) known: h_1 is one of two states, each with its own constant distribution over symbols."""

    exact = False

    def __init__(self):
        super().__init__(FACTS, "fixed")
        self.rows = torch.stack([torch.linspace(0, s, 27) for s in (2.0, -2.0)]).double().log_softmax(-1)
        self.asked = 0

    def trajectories(self, count, steps, generator=None):
        self.asked += count
        chosen = torch.randint(2, (count,), generator=generator)
        return self.rows[chosen][:, None].expand(-1, steps, -1)

    def log_p(self, given):
        sums = [self.rows[:, torch.from_numpy(given.sequence(n).astype(np.int64))].sum(1) for n in range(len(given))]
        return torch.stack(sums).logsumexp(1).numpy() - math.log(2)


def test_the_estimates_approach_the_exact_cross_entropy():
    given = split("a", "zzz", "mno", "yx", "bb")
    ps = [np.array([5, 4, 3, 2, 1]) / 15, np.array([0, 1, 1, 0, 3]) / 5]
    ps.append(ps[1] - ps[0])
    made = Fixed()
    wanted = [weighted(p, made.log_p(given)) for p in ps]
    found, last = estimates(made, Trie.of(given), ps, (1, 20, 1000, 10_000), torch.Generator().manual_seed(0))
    assert [(e.samples, e.sets) for e in found] == [(1, 10), (20, 10), (1000, 10), (10_000, 1)]
    assert found[0].mean[0] > found[1].mean[0] > wanted[0] - 0.02  # the logarithm of a mean of few is too low
    for estimate in found[2:]:
        for mean, error, value in zip(estimate.mean, estimate.error, wanted, strict=True):
            assert abs(mean - value) < 5 * error + 1e-3 and error < 0.05
    assert found[0].error[0] > found[2].error[0] > 0
    assert np.allclose(last, made.log_p(given), atol=0.05)
    assert made.asked == 10 + 200 + 10_000


def test_the_error_of_a_single_set_is_that_of_its_blocks():
    """Again and again: the delta method's error is the spread of the estimate over sets."""
    given, p = split("a", "zzz", "mno"), np.array([0.5, 0.3, 0.2])
    trie, rng = Trie.of(given), torch.Generator().manual_seed(2)
    made = [estimates(Fixed(), trie, [p], (5000,), rng, sets=1)[0][0] for _ in range(40)]
    spread = np.std([one.mean[0] for one in made], ddof=1)
    assert np.mean([one.error[0] for one in made]) == pytest.approx(spread, rel=0.35)


def test_a_word_that_cannot_be_generated_has_an_infinite_cross_entropy():
    assert cross_entropy(np.array([1, 0]), np.array([-1.0, -np.inf])) == pytest.approx(1.0)
    assert cross_entropy(np.array([1, 1]), np.array([-1.0, -np.inf])) == math.inf


@pytest.mark.parametrize("name", ["state_space", "gru_baseline"])
def test_real_models_are_scored(name):
    made, given = model(name), split("the", "of", "and")
    counts = np.array([3, 2, 1])
    trie = Trie.of(given)
    found, _ = estimates(made, trie, (counts / 6,), (1, 50, 2000), torch.Generator().manual_seed(1), sets=3)
    assert [estimate.samples for estimate in found] == [1, 50, 2000] and all(e.mean[0] > 0 for e in found)
    if name == "gru_baseline":
        log_p = exact(made, given, chunk=2)
        assert log_p.shape == (3,) and (log_p < 0).all()


def test_the_same_trajectories_for_the_same_generator():
    made, trie = model(), Trie.of(split("the", "of"))
    first, second = (
        estimates(made, trie, (np.array([0.5, 0.5]),), (5,), torch.Generator().manual_seed(3))[0] for _ in range(2)
    )
    assert first == second


def test_generated_words():
    found = generated(["the", "the", "xq", "of"], {"the", "of", "and"})
    assert {name: share.value for name, share in found.items()} == {"unique": 0.75, "known": 0.75, "unique_known": 0.5}


def test_errors_of_shares_are_their_spread():
    rng, vocabulary = np.random.default_rng(0), {str(n) for n in range(60)}
    made = [generated([str(n) for n in rng.geometric(0.02, 300)], vocabulary) for _ in range(200)]
    for name in ("unique", "known", "unique_known"):
        spread = np.std([one[name].value for one in made], ddof=1)
        assert spread * 0.8 < np.mean([one[name].error for one in made]) < spread * 1.8, name
    assert generated(["x"] * 50, vocabulary)["known"].error > 0.01  # none was found, which is no certainty


def test_the_gap_is_what_the_noise_decides():
    made = model(state=3)
    states = torch.randn(50, 3, dtype=torch.float64)
    marginal, expected = gaps(made.branch(states, 200))
    assert (marginal >= expected - 1e-12).all() and (marginal > expected + 1e-6).any()
    assert (marginal <= math.log(27)).all()
    with torch.no_grad():
        made.to_symbols.weight.zero_()  # symbols that do not listen to the state: nothing is up to the noise
    marginal, expected = gaps(made.branch(states, 20))
    assert torch.allclose(marginal, expected)


def test_entropies_are_those_after_the_states_of_generated_words():
    made = model(state=2)
    batch, found = made.entropies(40, 30, torch.Generator().manual_seed(0))
    assert set(found) == {"marginal", "expected"} and batch.lengths.max() <= 13
    assert (batch.x.gather(1, batch.lengths[:, None] - 1) == 26).all()
    gap = (found["marginal"] - found["expected"])[batch.mask]
    assert (gap > -1e-12).all() and (found["expected"][~batch.mask] == 0).all()
    first, _ = gaps(made.branch(made.start.detach()[None], 4000, torch.Generator().manual_seed(1)))
    assert found["marginal"][:, 0].mean() == pytest.approx(first.item(), rel=0.02)  # every word begins in one state
    assert made.monitor() == made.monitor() and set(made.monitor()) == {"entropy_marginal", "entropy_expected"}


def test_the_baselines_entropies_are_those_of_its_conditionals():
    made = model("gru_baseline", state=4)
    batch, found = made.entropies(30, 5, torch.Generator().manual_seed(0))
    assert set(found) == {"expected"}
    with torch.no_grad():
        log_p = made._log_probs(batch.x)
    wanted = -(log_p.exp() * log_p).sum(-1)
    assert torch.allclose(found["expected"][batch.mask], wanted[batch.mask])


def test_blocks():
    assert list(likelihood.blocks(25, 10)) == [10, 10, 5]
