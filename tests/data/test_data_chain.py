"""The embedded sources' probabilities: small instances enumerated, large samples compared."""

import itertools
import json
import math

import numpy as np
import pytest

from seqflows.config import corpora
from seqflows.data import embedded
from seqflows.data.embedded import answering, asking, chords, dialogues, gaussians, numerals, rewording, sentences
from seqflows.data.embedded.chain import Chain, heterogeneous
from seqflows.data.embedded.chords import ChordSource, patterns
from seqflows.data.embedded.sentences import TextSource
from seqflows.errors import Problem


def small_chain(states=3, lengths=None, seed=5):
    rng = np.random.default_rng(seed)
    return heterogeneous(rng, states, lengths or {1: 0.2, 2: 0.3, 4: 0.5}, stay=0.1)


def all_states(chain):
    for n in range(1, chain.longest + 1):
        yield from itertools.product(range(len(chain.start)), repeat=n)


def test_chain_probabilities_sum_to_one_and_give_the_closed_entropy():
    chain = small_chain()
    log_p = np.array([chain.log_prob(states) for states in all_states(chain)])
    p = np.exp(log_p)
    assert p.sum() == pytest.approx(1, abs=1e-12)
    assert -(p[p > 0] * log_p[p > 0]).sum() == pytest.approx(chain.entropy(), abs=1e-12)
    assert chain.mean_length == pytest.approx(sum(n * q for n, q in chain.lengths.items()))
    visits = sum(q * np.bincount(s, minlength=3) for q, s in zip(p, all_states(chain), strict=True))
    np.testing.assert_allclose(visits, chain.visits, atol=1e-12)


def test_impossible_sequences_have_probability_zero():
    chain = Chain(np.array([1.0, 0.0]), np.array([[0.0, 1.0], [1.0, 0.0]]), {2: 1.0})
    assert chain.log_prob([0, 1]) == 0
    assert chain.log_prob([1, 0]) == chain.log_prob([0, 0]) == chain.log_prob([0, 1, 0]) == -np.inf
    assert chain.entropy() == 0


def test_chain_refuses_what_is_no_distribution():
    with pytest.raises(Problem, match="sum to 1"):
        Chain(np.array([0.5, 0.4]), np.eye(2), {1: 1.0})


def test_text_source_by_enumeration_of_all_sentences():
    source = TextSource(("a", "<unk>", "to"), small_chain())
    texts = [" ".join(source.lexicon[s] for s in states) for states in all_states(source.chain)]
    assert len(set(texts)) == len(texts)
    log_p = source.log_probs(texts)
    p = np.exp(log_p)
    assert p.sum() == pytest.approx(1, abs=1e-12)
    assert -(p[p > 0] * log_p[p > 0]).sum() == pytest.approx(source.entropy(), abs=1e-12)
    lengths = np.array([len(text) for text in texts])
    assert p @ (lengths + 1) == pytest.approx(source.mean_length_plus_one(), abs=1e-12)
    assert lengths[p > 0].max() == source.longest
    for other in ("", "a  a", "a b", "a ", " a"):
        assert source.log_prob(other) == -np.inf


def test_chord_source_by_enumeration_of_all_pieces():
    source = ChordSource(patterns(3), small_chain())
    pieces = [source.keys[list(states)] for states in all_states(source.chain)]
    log_p = source.log_probs(pieces)
    p = np.exp(log_p)
    assert p.sum() == pytest.approx(1, abs=1e-12)
    assert -(p[p > 0] * log_p[p > 0]).sum() == pytest.approx(source.entropy(), abs=1e-12)
    assert p @ np.array([len(piece) + 1 for piece in pieces]) == pytest.approx(source.mean_length_plus_one())
    assert source.log_prob(np.ones((2, 88))) == -np.inf


def test_all_chord_patterns_differ_and_one_is_silence():
    frames = patterns(25)
    assert len(np.unique(frames, axis=0)) == 25
    assert frames[0].sum() == 0 and (frames[1:].sum(axis=1) >= 4).all()
    with pytest.raises(Problem, match="2 to 25 states, got 26"):
        patterns(26)


def build(name, **options):
    module = embedded.MODULES[name]
    return module.build(
        corpora.SOURCES[module.NAME](source=module.NAME, **options).made(),
        np.random.default_rng([options.get("seed", 1), 0]),
    )


# Whose sequences are drawn one by one; the others have tests of their own, with their kinds.
APART = (numerals.NAME, answering.NAME, dialogues.NAME)
DRAWN = [name for name in embedded.MODULES if name not in APART]


@pytest.mark.parametrize("name", DRAWN)
@pytest.mark.parametrize("seed", [1, 2])
def test_long_sample_agrees_with_the_entropy_within_four_standard_errors(name, seed):
    source = build(name, seed=seed)
    sample = source.sample(np.random.default_rng(seed), 20_000)
    nll = -source.log_probs(sample)
    assert np.isfinite(nll).all()
    assert abs(nll.mean() - source.entropy()) < 4 * nll.std() / math.sqrt(len(nll))
    lengths = np.array([len(one.question if name == asking.NAME else one) for one in sample]) + 1
    if name not in (gaussians.NAME, rewording.NAME):
        assert abs(lengths.mean() - source.mean_length_plus_one()) < 4 * lengths.std() / math.sqrt(len(nll))
        assert lengths.max() - 1 <= source.longest


@pytest.mark.parametrize("name", DRAWN)
def test_the_specification_gives_the_same_source_to_the_last_bit(name):
    source = build(name)
    again = type(source).from_specification(json.loads(json.dumps(source.specification())))
    sample = source.sample(np.random.default_rng(0), 50)
    np.testing.assert_array_equal(source.log_probs(sample), again.log_probs(sample))
    assert source.entropy() == again.entropy()


def test_typical_sentences_are_short_and_of_low_entropy():
    source = build(sentences.NAME)
    assert {"<unk>", "N"} <= set(source.lexicon)
    sizes = [len(sentence) for sentence in source.sample(np.random.default_rng(0), 1000)]
    assert np.quantile(sizes, 0.1) >= 10 and np.quantile(sizes, 0.9) <= 30
    assert source.entropy() / source.mean_length_plus_one() / math.log(2) < 1  # bits a character


def test_rows_of_a_random_chain_differ_in_entropy():
    rows = build(sentences.NAME).chain.transition
    entropies = -(rows * np.log(np.where(rows > 0, rows, 1))).sum(axis=1)
    assert entropies.max() > 2 * entropies.min()


def test_gaussian_density_against_scipy_and_entropy_of_separate_components():
    from scipy.stats import multivariate_normal

    source = build(gaussians.NAME)
    points = np.random.default_rng(0).normal(0, 3, (100, 2))
    parts = [multivariate_normal(mean, source.deviation**2 * np.eye(2)).pdf(points) for mean in source.means]
    np.testing.assert_allclose(np.exp(source.log_density(points)), np.mean(parts, axis=0), rtol=1e-10)
    separate = math.log(4) + 1 + math.log(2 * math.pi * source.deviation**2)
    assert source.entropy() == pytest.approx(separate, abs=1e-6)
    one = build(gaussians.NAME, distance=1e-6)  # all four in one place: a single Gaussian
    assert one.entropy() == pytest.approx(separate - math.log(4), abs=1e-6)


def test_lengths_of_chords_have_their_stated_distribution():
    source = chords.build(corpora.EmbeddedChords(source="x", lengths=[8, 16]).made(), np.random.default_rng(0))
    assert source.chain.lengths == {8: pytest.approx(2 / 3), 16: pytest.approx(1 / 3)}
    assert source.mean_length_plus_one() == pytest.approx(8 * 2 / 3 + 16 / 3 + 1)


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [
        ("embedded-text", "words", [3]),
        ("embedded-text", "words", [5, 3]),
        ("embedded-text", "words", "3-5"),
        ("embedded-text", "lexicon", 1000),
        ("embedded-text", "train", 0),
        ("embedded-chords", "lengths", []),
        ("embedded-chords", "lengths", [8, 8]),
        ("embedded-chords", "states", 1),
        ("embedded-chords", "seed", "one"),
        ("embedded-gaussians", "deviation", 0.0),
        ("embedded-gaussians", "test", 1.5),
    ],
)
def test_bad_options_are_refused(tmp_path, name, option, value):
    with pytest.raises(Problem, match="expected .*got.*params.yaml"):
        embedded.generate({"source": name, option: value}, tmp_path)
