"""The mixture at words as a model: a model of words as a density, its trigram, and exact ways from text to noise.

Legend: B batch, T time (fixed), D dimensions of a word vector, V tokens.
"""

import itertools
import math
from collections import Counter

import numpy as np
import pytest
import torch

from seqflows import models
from seqflows.data.prepared import Facts
from seqflows.errors import Problem
from seqflows.flows import standard_normal_log_density
from seqflows.models.trigram import Trigram
from seqflows.noise import BITS, floor

BLOCKS = {
    "rnn": {"width": 10, "layers": 2},
    "attention": {"network": "attention", "width": 8, "inner": 12, "heads": 2},
    "trigram": {"network": "trigram"},
}
every_network = pytest.mark.parametrize("network", BLOCKS)


def facts(length=6, dim=5, count=12):
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((count, dim)).astype(np.float32)
    texts = rng.integers(count // 2, size=(30, length), dtype=np.int32)  # one half of the words is in no text
    return Facts("embedded", count, length, (0,) * length + (1,), vectors, texts=texts)


def build(network, known=None, spread=0.3):
    torch.manual_seed(0)
    model = models.build({"class": "word_mixture", **BLOCKS[network]}, known or facts())
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(spread * torch.randn_like(parameter))
    return model.eval()


def words(model, count=40):
    return torch.randint(len(model.vectors), (count, model.length), generator=torch.Generator().manual_seed(1))


@every_network
def test_the_density_is_that_of_the_words_and_the_noise(network):
    """Bits per dimension are those of the noise plus h / (D log 2): -log p of each word given the vectors before."""
    model = build(network).double()
    tokens = words(model)
    x = model.embedded(tokens)
    u = (x - model.vectors[tokens]) * 2.0**BITS
    noise = (standard_normal_log_density(u) + BITS * math.log(2)).sum((1, 2))
    with torch.no_grad():
        log_p = model.flow.weights(tokens).log_softmax(-1).gather(-1, tokens[..., None]).sum((1, 2))
        assert torch.allclose(model.log_density(x), noise + log_p, rtol=0, atol=1e-9)
        bits = model.bits_per_dimension(model.log_density(x))
    h = -float(log_p.mean()) / model.length
    own = model.bits_per_dimension(noise).mean() - floor()
    assert float(bits.mean() - own) == pytest.approx(floor() + h / (5 * math.log(2)), abs=1e-9)


@every_network
def test_no_future_reaches_a_step(network):
    weights = build(network).flow.weights
    tokens = torch.tensor([[1, 4, 2, 3, 0, 5], [1, 4, 2, 6, 7, 8]])
    with torch.no_grad():
        one, changed = weights(tokens)
        assert torch.allclose(one[:4], changed[:4], atol=1e-6) and not torch.allclose(one[4], changed[4], atol=1e-3)


@every_network
def test_step_by_step_the_weights_are_those_of_all_at_once(network):
    """Also after examples were chosen and repeated."""
    model = build(network).double()
    tokens, weights, places = words(model, 4), model.flow.weights, torch.tensor([3, 0, 0, 2, 1])
    kept, before = None, tokens[:, -1]
    with torch.no_grad():
        for t in range(model.length):
            found, kept = weights.step(before, kept)
            if t == 2:
                tokens, found, kept = tokens[places], found[places], weights.select(kept, places)
            assert torch.allclose(found, weights(tokens)[:, t], rtol=0, atol=1e-10)
            before = tokens[:, t]


@every_network
def test_the_words_before_are_the_nearest_ones(network):
    """Noise within a word's cell moves no weight, and beyond it the weights are those of the other word."""
    model = build(network).double()
    tokens = words(model, 8)
    x, between = model.embedded(tokens), torch.randn(8, model.length, 5, dtype=torch.float64)
    nearest = torch.cdist(between, model.vectors).argmin(-1)
    with torch.no_grad():
        for z, known in ((x, tokens), (between, nearest)):
            log_w = model.flow.weights(known).flatten(0, 1)
            expected = model.flow.mixture.log_density(z.flatten(0, 1), log_w).view(8, -1).sum(1)
            assert torch.allclose(model.log_density(z), expected, rtol=1e-12)
            assert torch.equal(model.flow.mixture.nearest(z), known)


@every_network
@pytest.mark.parametrize("beam", [0, 1, 3])
def test_texts_come_back_also_of_rare_words(network, beam):
    """Nearly half of the words have a probability below 2e-9."""
    model = build(network)
    tokens = words(model)
    if network != "trigram":
        with torch.no_grad():
            model.flow.weights.last.bias[:6] -= 20.0
            log_p = model.flow.weights(tokens).log_softmax(-1).gather(-1, tokens[..., None])
        assert float((log_p < -20.0).double().mean()) > 0.4
    eps = model.encode(tokens)
    assert eps.dtype == torch.float64
    assert torch.equal(model.decode(eps, beam), tokens)


def test_float32_does_not_resolve_rare_words():
    """Which is why texts are encoded in float64."""
    model = build("rnn")
    tokens = words(model)
    with torch.no_grad():
        model.flow.weights.last.bias[:6] -= 16.0
        back = model.tokens(model.flow.inverse(model.flow.forward(model.embedded(tokens))[0])[0])
    assert float((back != tokens).double().mean()) > 0.05


@every_network
def test_left_to_right_greedily_is_the_inverse(network):
    model = build(network)
    eps = torch.randn(20, model.length, 5)
    with torch.no_grad():
        x, _ = model.coder.inverse(eps.double())
    assert torch.equal(model.decode(eps, 1), model.tokens(x))
    apart = (x - model.vectors[model.tokens(x)]).square().sum(-1).sqrt()
    assert float(apart.max()) < 6 * 5**0.5 * 2.0**-BITS  # each within the noise of a word
    drawn = model.sample(20, generator=torch.Generator().manual_seed(2)).x
    eps = torch.randn(20, model.length, 5, generator=torch.Generator().manual_seed(2))
    assert torch.equal(drawn, model.decode(eps, 0))


def test_samples_have_the_probabilities_of_the_weights():
    model = build("rnn", facts(2, 3, 4))
    drawn = model.sample(4000, generator=torch.Generator().manual_seed(3)).x
    pairs = torch.tensor(list(itertools.product(range(4), repeat=2)))
    with torch.no_grad():
        log_p = model.flow.weights(pairs).log_softmax(-1).gather(-1, pairs[..., None]).sum((1, 2))
    found = torch.bincount(drawn[:, 0] * 4 + drawn[:, 1], minlength=16) / 4000
    error = (log_p.exp() * (1 - log_p.exp()) / 4000).sqrt()
    assert float(((found - log_p.exp()).abs() / error).max()) < 4.5


# -- the trigram


def expected(texts, count, older, old, word):
    """Interpolated Kneser-Ney with the counts in dictionaries, as the formulas have it."""
    begun = [(count, count, *text) for text in texts]
    third = Counter(text[t : t + 3] for text in begun for t in range(len(text) - 2))
    second, first = Counter(gram[1:] for gram in third), Counter()
    first.update(gram[1:] for gram in second)

    def smoothed(counts, context, lower):
        once, twice = (sum(one == k for one in counts.values()) for k in (1, 2))
        discount = once / (once + 2 * twice) if once and twice else 0.5
        following = {gram[-1]: n for gram, n in counts.items() if gram[:-1] == context}
        total = sum(following.values())
        if not total:
            return lower
        return (max(following.get(word, 0) - discount, 0) + discount * len(following) * lower) / total

    return smoothed(third, (older, old), smoothed(second, (old,), smoothed(first, (), 1 / count)))


def test_the_trigram_is_interpolated_kneser_ney():
    known = facts(count=8)
    texts = [tuple(text) for text in known.texts.tolist()]
    trigram = build("trigram", known).flow.weights
    contexts = [*itertools.product(range(8), repeat=2), (8, 8), *((8, word) for word in range(8))]
    log_p = trigram.log_p(*torch.tensor(contexts).unbind(1))
    assert torch.allclose(log_p.exp().sum(-1), torch.ones(len(contexts)), atol=1e-6)
    wanted = [[expected(texts, 8, *context, word) for word in range(8)] for context in contexts]
    assert torch.allclose(log_p.exp(), torch.tensor(wanted), rtol=1e-5, atol=1e-8)
    assert log_p.isfinite().all()  # of words in no text too


def test_a_trigram_has_no_parameters():
    model = build("trigram")
    assert not list(model.parameters()) and not model.state_dict()


def test_counts_of_one_kind_have_half_a_discount():
    """All contexts follow once: n_2 is 0."""
    p = Trigram(np.arange(6, dtype=np.int32)[None], 12).log_p(torch.tensor([0]), torch.tensor([1])).exp()[0]
    lower = 0.5 + 0.5 * (0.5 / 6 + 0.5 * 1 / 12)
    assert float(p[2]) == pytest.approx(0.5 + 0.5 * lower)


# -- what is refused


@pytest.mark.parametrize("apart", [0.0, 1e-6, 5.9 * 2.0**-BITS])
def test_words_that_the_noise_does_not_tell_apart_are_refused(apart):
    known = facts()
    known.vectors[3] = known.vectors[7]
    known.vectors[3, 0] += apart
    with pytest.raises(
        Problem, match="got 1 pair of ambiguous ones: words 3 and 7 of the vocabulary; prepare"
    ) as error:
        build("rnn", known)
    assert "\n" not in str(error.value) and "at least 6 deviations of the noise, 0.0938, apart" in str(error.value)
    known.vectors[2] = known.vectors[11] = known.vectors[7]
    with pytest.raises(Problem, match=r"got 6 pairs of ambiguous ones: words (\d+ and \d+, ){3}\.\.\. of"):
        build("rnn", known)


def test_words_that_are_just_apart_are_taken():
    known = facts()
    known.vectors[3] = known.vectors[7]
    known.vectors[3, 0] += 6.1 * 2.0**-BITS
    build("rnn", known)


def test_a_trigram_without_texts_and_heads_of_no_width_are_refused():
    with pytest.raises(Problem, match="expected training texts for the trigram of word_mixture, got none"):
        build("trigram", Facts("embedded", 12, 6, (0,) * 6 + (1,), facts().vectors))
    with pytest.raises(Problem, match="heads: expected a divisor of the width, 8, got 3"):
        models.build({"class": "word_mixture", **BLOCKS["attention"], "heads": 3}, facts())
