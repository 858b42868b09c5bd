"""Estimates and their errors on a few numbers, by hand.

Legend: N sequences, T time, D dimensions of a word vector.
"""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from seqflows import compute, models
from seqflows.data import tokens
from seqflows.data.batching import collate, order_by_length
from seqflows.data.prepared import Facts, Split
from seqflows.evaluation import generate, likelihood, ngrams
from seqflows.evaluation.kinds import language
from seqflows.evaluation.trie import _of_blocks, _over_sets, generated
from seqflows.flows import standard_normal_log_density
from seqflows.noise import BITS, floor
from seqflows.report import inputs, intervals, judging

CPU = compute.Machine(torch.device("cpu"), "cpu", 1, "fp32")


# -- standard errors


def test_a_ratio_has_the_error_of_n_minus_one():
    assert likelihood.ratio(np.array([1.0, 3.0]), np.array([1.0, 1.0])) == (2.0, pytest.approx(1.0))
    value, error = likelihood.ratio(np.array([2.0, 3.0, 10.0]), np.array([1.0, 2.0, 3.0]))
    # rests -1/2, -2, 5/2 of R = 5/2
    assert value == 2.5 and error == pytest.approx(math.sqrt(3 / 2 * (0.25 + 4 + 6.25)) / 6)


def test_sets_of_trajectories_have_the_error_of_n_minus_one():
    found = _over_sets(7, [[1.0, 5.0], [3.0, 5.0]])
    assert (found.samples, found.sets, found.mean, found.error) == (7, 2, (2.0, 5.0), (pytest.approx(1.0), 0.0))
    blocks = np.array([[1.0, 2.0], [3.0, 2.0]])  # means 2 and 2: by block 1/2 p_1 + p_2 and 3/2 p_1 + p_2
    found = _of_blocks(2000, [0.7], blocks, [np.array([0.4, 0.6])])
    assert found.mean == (0.7,) and found.error == (pytest.approx(0.2),)


def test_shares_of_words_have_the_errors_that_are_stated():
    found = generated(["the", "the", "xq", "of"], {"the", "of", "and"})
    assert found["known"].error == pytest.approx(math.sqrt(5 / 8 * 3 / 8 / 8))  # Agresti & Coull: 5 of 8
    assert found["unique"].error == pytest.approx(math.sqrt(2 * (1 - 2 / 4)) / 4)  # two words occur once
    assert found["unique_known"].error == pytest.approx(math.sqrt(1 * (1 - 1 / 4)) / 4)


def test_seeds_have_the_spread_of_n_minus_one():
    record = {name: "x" for name in ("dataset", "dataset_sha256", "revision", "config_hash", "device", "unit")}
    record |= {"samples": 1, "sequences": 9}
    rows = [record | {"seed": n, "value": v, "standard_error": e} for n, (v, e) in enumerate(((1.0, 3.0), (3.0, 4.0)))]
    found = inputs.summarise("run", "nll", rows)
    assert found.value == 2.0 and found.std == pytest.approx(math.sqrt(2))
    assert found.standard_error == pytest.approx(math.sqrt(12.5)) and found.error == pytest.approx(math.sqrt(12.5 + 1))
    mean, half = intervals.mean_interval([1.0, 3.0, 5.0])
    assert mean == 3.0 and half == pytest.approx(intervals.t_quantile(2) * 2 / math.sqrt(3))


@pytest.mark.parametrize("unit", ["nats/step", "bpc", "nats"])
def test_a_paired_difference_has_the_error_of_n_minus_one(unit):
    """Gaps 2, 0, 1 of sequences with T + 1 of 2, 3, 4: the ratio 1/3, the rests 4/3, -1, -1/3."""
    first = [inputs.Score(*values) for values in ((5.0, 0.5, 1), (6.0, 0.5, 2), (9.0, 0.5, 3))]
    second = [inputs.Score(*values) for values in ((3.0, 0.5, 1), (6.0, 0.5, 2), (8.0, 0.5, 3))]
    ours = object.__new__(judging.Ours)
    ours._models = []  # no others, whose spread one of a single seed would have
    found = {run: inputs.means([seed], vectors=unit == "nats") for run, seed in (("a", first), ("b", second))}
    ours.results = SimpleNamespace(scores=found.get, pair=lambda first, second, metric: None)
    scale = math.log(2) if unit == "bpc" else 1.0
    sums = (20.0 / 9 / scale, 17.0 / 9 / scale) if unit != "nats" else ((20 - 1.5) / 3, (17 - 1.5) / 3)
    sides = [
        SimpleNamespace(
            metric="nll",
            dataset="d",
            dataset_sha256="0",
            run=run,
            unit=unit,
            value=value,
            std=None,
            seeds=(0,),
            samples=1,
        )
        for run, value in zip("ab", sums, strict=True)
    ]
    squares = 16 / 9 + 1 + 1 / 9 if unit != "nats" else 1 + 1 + 0
    steps = 9 if unit != "nats" else 3
    assert ours._paired(*sides) == pytest.approx(math.sqrt(3 / 2 * squares) / steps / scale)
    sides[1].std, sides[1].seeds = 0.3, (0, 1)
    wanted = math.hypot(math.sqrt(3 / 2 * squares) / steps / scale, 0.3 / math.sqrt(2))
    assert ours._paired(*sides) == pytest.approx(wanted)


# -- n-grams


def test_the_discount_is_that_of_the_counts():
    """Six bigrams occur once and two twice: n_1 / (n_1 + 2 n_2) = 3/5, and the probabilities follow by hand."""
    pytest.importorskip("nltk")
    model = ngrams.fit(["a", "b", "c", "d"], [1, 1, 1, 2], 2)
    # P(d | <s>) = (2 - 3/5) / 5 + 3/5 4/5 / 8: five words, four symbols after <s>, eight different bigrams
    assert model.score("d", [ngrams.BEGIN]) == pytest.approx(1.4 / 5 + 0.6 * 4 / 5 / 8)
    assert model.score("a", [ngrams.BEGIN]) == pytest.approx(0.4 / 5 + 0.6 * 4 / 5 / 8)
    # P(</s> | d) = (2 - 3/5) / 2 + 3/5 1/2 4/8
    assert model.score(ngrams.END, ["d"]) == pytest.approx(1.4 / 2 + 0.6 / 2 * 4 / 8)
    perplexity, _ = ngrams.perplexity(model, ["d"])
    found = [model.score("d", [ngrams.BEGIN]), model.score(ngrams.END, ["d"])]
    assert perplexity == pytest.approx(1 / math.sqrt(found[0] * found[1]))
    flat = ngrams.fit(["a"], [3], 2)  # nothing occurs once or twice: 1/2
    assert flat.score("a", [ngrams.BEGIN]) == pytest.approx(2.5 / 3 + 0.5 / 3 / 2)


# -- language


def language_model(structure="past", length=8, dim=6, count=20, seed=0):
    vectors = np.random.default_rng(0).standard_normal((count, dim)).astype(np.float32)
    block = {"class": "language_flow", "structure": structure, "network": "rnn", "scales": 1}
    block |= {"width": 12, "inner": 16, "heads": 2, "hidden": 16, "steps": 2}
    torch.manual_seed(seed)
    model = models.build(block, Facts("embedded", count, length, (0,) * length + (1,), vectors)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model


def language_split(rows, length=8, count=20, seed=3):
    symbols = np.random.default_rng(seed).integers(count, size=rows * length).astype(np.int32)
    return Split("language", np.full(rows, length), symbols, None)


@pytest.mark.parametrize("draws", [1, 2, 3])
def test_language_is_scored_by_the_mean_of_its_draws(draws):
    """An independent density under the same seed, one draw after another; the noise's own density beside it."""
    model, split, size = language_model(), language_split(5), 8 * 6
    before = torch.get_rng_state()
    bits, noise, plain = language.densities(model, split, draws, CPU, seed=11)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(11)
    wanted, of_noise = np.zeros(5), np.zeros(5)
    (indices,) = order_by_length(split, 64)
    clean = model.vectors[collate(split, indices).x]
    with torch.no_grad():
        for _ in range(draws):
            u = torch.randn_like(clean) / 64
            eps, log_det = model.flow.forward(clean + u)
            log_p = standard_normal_log_density(eps).sum((1, 2)) + log_det
            wanted[indices] += (-log_p.double() / (size * math.log(2)) - 6).numpy() / draws
            log_u = torch.distributions.Normal(0.0, 1 / 64).log_prob(u).sum((1, 2)).double()
            of_noise[indices] += (-log_u / (size * math.log(2)) - 6).numpy() / draws
        eps, log_det = model.flow.forward(clean)
        log_p = standard_normal_log_density(eps).sum((1, 2)) + log_det
    assert bits == pytest.approx(wanted, abs=1e-4) and noise == pytest.approx(of_noise, abs=1e-3)
    assert plain[indices] == pytest.approx((-log_p.double() / (size * math.log(2)) - 6).numpy(), abs=1e-4)
    assert not np.allclose(bits, language.densities(model, split, draws, CPU, seed=12)[0], atol=1e-5)


def faint(counts, length, dim):
    """Training and test sequences of five words, whose vectors are no wider than their noise."""
    vectors = (np.random.default_rng(0).standard_normal((5, dim)) * 2.0**-BITS).astype(np.float32)
    train, test = language_split(counts[0], length, 5), language_split(counts[1], length, 5, seed=4)
    return SimpleNamespace(vectors=vectors, train=train, test=test, facts=lambda: SimpleNamespace(max_length=length))


def test_the_gaussian_reference_is_a_density_of_the_noisy_vectors():
    """Vectors no wider than their noise, so that its variance shows: against draws, within 5 standard errors."""
    known = faint((30, 6), 4, 3)
    vectors, train, test = known.vectors, known.train, known.test
    found = language.references(known)["gaussian"]
    seen = torch.as_tensor(vectors[train.symbols], dtype=torch.float64)
    covariance = torch.cov(seen.T, correction=0) + 2.0**-12 * torch.eye(3)
    gaussian = torch.distributions.MultivariateNormal(seen.mean(0), covariance)
    clean = torch.as_tensor(vectors[test.symbols.reshape(6, 4)], dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    noisy = clean + 2.0**-6 * torch.randn(4000, 6, 4, 3, dtype=torch.float64, generator=generator)
    draws = -gaussian.log_prob(noisy).sum(2) / (12 * math.log(2)) - 6  # (draws, N)
    error = (draws.std(0) / math.sqrt(len(draws))).numpy()
    assert (error < 0.02).all() and (np.abs(found - draws.mean(0).numpy()) < 5 * error).all()
    assert (found > floor()).all()


def test_the_linear_reference_is_a_density_of_the_noisy_vectors():
    """As the Gaussian one: each word's coefficients and covariance from noisy copies of the training words."""
    known = faint((60, 5), 7, 2)
    vectors, train, test = known.vectors, known.train, known.test
    found = language.references(known)["linear"]
    words = torch.as_tensor(vectors, dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)

    def noisy(tokens, copies):
        clean = words[tokens.reshape(-1, 7)].repeat(copies, 1, 1)
        return clean + 2.0**-6 * torch.randn(clean.shape, dtype=torch.float64, generator=generator)

    seen, new = noisy(train.symbols, 4000), noisy(test.symbols, 4000)
    log_p = torch.zeros(len(new), dtype=torch.float64)
    for first in range(language.PAST + 1):
        places = range(first, 7) if first == language.PAST else [first]

        def pairs(x, first=first, places=places):
            one = torch.ones(len(x), 1, dtype=torch.float64)
            return [(torch.cat([*(x[:, t - step] for step in range(1, first + 1)), one], 1), x[:, t]) for t in places]

        u, x = map(torch.cat, zip(*pairs(seen), strict=True))
        weights = torch.linalg.lstsq(u, x).solution
        normal = torch.distributions.MultivariateNormal(torch.zeros(2).double(), torch.cov((x - u @ weights).T))
        log_p += sum(normal.log_prob(x - u @ weights) for u, x in pairs(new))
    draws = (-log_p / (14 * math.log(2)) - 6).reshape(4000, 5)  # (draws, N)
    error = (draws.std(0) / math.sqrt(len(draws))).numpy()
    assert (error < 0.02).all() and (np.abs(found - draws.mean(0).numpy()) < 5 * error).all()
    assert (found > floor()).all()


def test_the_linear_reference_is_the_same_in_parts_and_uses_the_past(monkeypatch):
    """Words that repeat the one before are all but known; of one position there is no past."""
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((6, 3))
    tokens = np.repeat(rng.integers(6, size=(50, 1)), 7, axis=1)
    whole = language.linear(vectors, tokens, tokens[:9])
    monkeypatch.setattr(language, "PART", 16)
    assert language.linear(vectors, tokens, tokens[:9]) == pytest.approx(whole, rel=1e-12)
    shuffled = rng.integers(6, size=(50, 7))
    assert whole.mean() < language.linear(vectors, shuffled, shuffled[:9]).mean() - 5
    train = language_split(50, 1, 6)
    known = SimpleNamespace(vectors=vectors, train=train, test=train, facts=lambda: SimpleNamespace(max_length=1))
    found = language.references(known)
    assert found["linear"] == pytest.approx(found["gaussian"], rel=1e-9)


# -- what models write


def test_a_beam_of_five_is_not_greedy():
    """A case where the two differ: each way of decoding gives what the model itself finds so."""
    model, vocabulary = language_model(), [*tokens.SPECIAL, *"abcdefghijklmnop"]
    eps = torch.randn(6, 8, 6, generator=torch.Generator().manual_seed(0))
    found = generate._decoded(model, eps, 5, vocabulary)
    wanted = {beam: [tokens.decode(row, vocabulary) for row in model.decode(eps, beam).tolist()] for beam in (1, 5)}
    assert found == {"greedy": wanted[1], "beam of 5": wanted[5]} and wanted[1] != wanted[5]


class Recorder:
    """A model whose noise is that of its tokens, 10 times their number; remembers what it was asked to decode."""

    causal, length = False, 8

    def __init__(self):
        self.vectors, self.asked = torch.zeros(20, 500), []

    def encode(self, given):
        return 10.0 * given[..., None].expand(-1, -1, 500).float()

    def decode(self, eps, beam):
        self.asked.append(eps)
        return torch.full(eps.shape[:2], 5)


VOCABULARY = [*tokens.SPECIAL, *"abcdefghijklmnop"]


def test_the_noise_of_a_regeneration_has_its_deviation():
    model, dataset = Recorder(), SimpleNamespace(test=language_split(4), vocabulary=VOCABULARY)
    settings = {"contexts": 2, "deviations": [0.0, 1.0, 3.0], "beam": 1}
    assert len(generate.regenerations(model, dataset, settings, 7)) == 2
    still, one, three = model.asked[0].split(2)
    assert (still % 10 == 0).all()
    assert torch.allclose(three - still, 3 * (one - still), atol=1e-4)
    assert float((one - still).std()) == pytest.approx(1, rel=0.05)
    assert not torch.allclose(*(one - still))  # each context has noise of its own


class Noisy(Recorder):
    """A model whose noise is 64 times that of x~, as one that is the identity would have it at equal words."""

    def encode(self, given):
        return torch.randn(*given.shape, 500)


def test_the_noise_of_a_regeneration_is_independent_of_that_of_its_context():
    model, dataset = Noisy(), SimpleNamespace(test=language_split(4), vocabulary=VOCABULARY)
    generate.regenerations(model, dataset, {"contexts": 4, "deviations": [0.0, 1.0], "beam": 1}, 7)
    dataset.train = dataset.test
    generate.numbers(model, dataset, "regeneration", {"measured": 4, "deviations": [0.0, 1.0], "beam": 1}, 7)
    generate.numbers(model, dataset, "samples", {"measured": 4, "beam": 1}, 7)
    shown, counted, drawn = (torch.cat(part) for part in (model.asked[:1], model.asked[1:3], model.asked[3:]))
    for still, noised in (shown.chunk(2), counted.chunk(2), (drawn[:4], drawn[:4] + drawn[4:])):
        assert abs(torch.corrcoef(torch.stack([still.flatten(), (noised - still).flatten()]))[0, 1]) < 0.05


def test_unknown_words_of_ones_own_texts_are_found():
    given = generate.given_texts({"sentences": (("a b", "Zz c"), ("q a", "zz!"))})
    assert tokens.unknown(given, VOCABULARY) == ["zz", "q", "!"]
    assert generate.given_texts({"contexts": ("a x", "b")}) == ["a x", "b"]
    assert generate.given_texts({"contexts": 3}) == generate.given_texts({"sentences": ()}) == []


def test_a_ratio_weighs_the_first_sentence():
    model, dataset = Recorder(), SimpleNamespace(test=language_split(4), vocabulary=VOCABULARY)
    generate.interpolations(model, dataset, {"pairs": 2, "sentences": [], "ratios": [1.0, 0.3, 0.0], "beam": 1}, 7)
    first, mixed, second = model.asked[0].split(2)
    chosen = generate._drawn(model, dataset, 4, 7)
    assert torch.equal(first, model.encode(chosen[::2])) and torch.equal(second, model.encode(chosen[1::2]))
    assert torch.allclose(mixed, 0.3 * first + 0.7 * second, atol=1e-4) and not torch.equal(first, second)
