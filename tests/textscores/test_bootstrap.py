"""The paired bootstrap against brute force, sacrebleu's paired test, and what it may cost."""

from __future__ import annotations

import itertools
import tracemalloc

import numpy as np
import pytest
import sacrebleu
from sacrebleu.significance import PairedTest

from seqflows.textscores import bleu, bootstrap


def test_draws_are_those_of_one_stream_whatever_the_block():
    whole = np.concatenate(list(bootstrap.counts(7, 50, 3)))
    for cells in (1, 7, 100):
        assert np.array_equal(np.concatenate(list(bootstrap.counts(7, 50, 3, cells))), whole)
    assert whole.shape == (50, 7) and (whole.sum(1) == 7).all()
    assert not np.array_equal(np.concatenate(list(bootstrap.counts(7, 50, 4))), whole)


def test_sums_are_those_of_the_questions_drawn():
    rng = np.random.default_rng(1)
    statistics = rng.integers(0, 9, (6, 4))
    generator = np.random.Generator(np.random.PCG64(5))
    drawn = generator.integers(0, 6, (20, 6))
    expected = np.array([statistics[row].sum(0) for row in drawn])
    assert np.array_equal(bootstrap.sums(statistics, 20, 5), expected)


def test_the_distribution_is_that_of_all_draws():
    """Three questions: the mean of 27 equally likely draws, counted by hand and by the bootstrap."""
    values = np.array([0.0, 1.0, 4.0])
    every = np.array([values[list(row)].mean() for row in itertools.product(range(3), repeat=3)])
    drawn = bootstrap.sums(values[:, None], 40_000, 0)[:, 0] / 3
    for value in np.unique(every.round(9)):
        share = np.isclose(every, value).mean()
        assert np.isclose(drawn, value).mean() == pytest.approx(share, abs=4 * (share / 40_000) ** 0.5)
    assert drawn.std() == pytest.approx(every.std(), rel=0.02)


@pytest.mark.parametrize(
    ("gains", "p"),
    [([1.0, 2.0, 3.0], 1 / 4), ([1.0, 0.0, -1.0], 3 / 4), ([-1.0] * 9, 1.0), ([1.0] * 9999, 1 / 10_000), ([], 1.0)],
)
def test_p_values(gains, p):
    assert bootstrap.p_value(np.array(gains)) == pytest.approx(p)


def test_an_interval_holds_the_central_share():
    values = np.random.default_rng(2).permutation(np.arange(1001.0))
    assert bootstrap.interval(values) == pytest.approx((25.0, 975.0))


def test_a_large_bootstrap_is_drawn_in_blocks():
    """10,000 draws of 5,000 questions would be 0.4 GB at once."""
    statistics = np.ones((5000, 2))
    tracemalloc.start()
    found = bootstrap.sums(statistics, 2000, 0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (found == 5000).all() and peak < 80e6


def corpora(seed, count=300):
    """References, and two systems that copy them with other rates of mistakes."""
    rng = np.random.default_rng(seed)
    words = np.array([f"w{n}" for n in range(40)])
    references = [list(words[rng.integers(0, 40, rng.integers(6, 14))]) for _ in range(count)]

    def system(rate):
        return [[str(words[rng.integers(40)]) if rng.random() < rate else word for word in text] for text in references]

    return references, system


@pytest.mark.parametrize(("rates", "apart"), [((0.30, 0.20), True), ((0.25, 0.245), False)])
def test_sacrebleus_own_paired_bootstrap_agrees(rates, apart):
    """Its p is two-sided, of draws shifted to a difference of zero; for a normal difference that is twice ours."""
    references, system = corpora(1 if apart else 3)
    systems = [system(rate) for rate in rates]
    joined = [[" ".join(words) for words in texts] for texts in (references, *systems)]
    metric = sacrebleu.BLEU(tokenize="none", lowercase=True, smooth_method="none")
    named = [("first", joined[1]), ("second", joined[2])]
    _, theirs = PairedTest(named, {"BLEU": metric}, [joined[0]], "bs", n_samples=2000)()
    first, second = theirs["BLEU"]
    statistics = [
        np.array([bleu.statistics(*pair) for pair in zip(texts, references, strict=True)]) for texts in systems
    ]
    drawn = bleu.scores(bootstrap.sums(np.concatenate(statistics, 1), 2000, 0).reshape(2000, 2, -1))
    for texts, one, values in zip(statistics, (first, second), drawn.T, strict=True):
        assert bleu.bleu(texts.sum(0)) == pytest.approx(one.score, abs=1e-9)
        assert (values.mean(), 1.96 * values.std()) == pytest.approx((one.mean, one.ci), rel=0.06)
    ours = bootstrap.p_value(drawn[:, 1] - drawn[:, 0])
    assert (ours < 0.01, second.p_value < 0.02) == (apart, apart)
    assert apart or min(1.0, 2 * min(ours, 1 - ours)) == pytest.approx(second.p_value, abs=0.25)
