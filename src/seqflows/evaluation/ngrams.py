"""Character n-grams with interpolated Kneser-Ney smoothing (nltk), under which generated words are scored.

Schmidt & Hofmann 2018, section 5: "two Kneser-Ney-smoothed character n-gram models trained on the test data".
"""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from seqflows.errors import Problem

BEGIN, END = "<s>", "</s>"
FLOOR = 1e-6  # the probability of a symbol that no word of the fit contains


def grams(word: str, order: int) -> Iterator[tuple[str, ...]]:
    """The n-grams of every order up to ``order`` that end in a letter or the end symbol, never in the padding.

    >>> list(grams("a", 2))
    [('a',), ('<s>', 'a'), ('</s>',), ('a', '</s>')]
    """
    symbols = [BEGIN] * (order - 1) + [*word, END]
    for place in range(order - 1, len(symbols)):
        for size in range(1, order + 1):
            yield tuple(symbols[place - size + 1 : place + 1])


def fit(words: Sequence[str], weights: Sequence[int], order: int) -> Any:
    """The model of some words, each as often as its weight says.

    The one discount of all orders is n_1 / (n_1 + 2 n_2), n_k being the n-grams of the highest order that occur in
    exactly k words (Ney, Essen & Kneser 1994); nltk sees every n-gram with its full context, so that the
    probabilities after any context sum to one over letters and end symbol.
    """
    try:
        from nltk.lm import KneserNeyInterpolated, NgramCounter, Vocabulary
    except ImportError:
        raise Problem("expected the package nltk for evaluation.ngrams, found none; install it") from None
    counter, occurring = NgramCounter(), Counter()
    for word, weight in zip(words, weights, strict=True):
        for gram in grams(word, order):
            if len(gram) == 1:
                counter.unigrams[gram[0]] += weight
            else:
                counter[len(gram)][gram[:-1]][gram[-1]] += weight
            if len(gram) == order:
                occurring[gram] += 1
    once, twice = (sum(count == k for count in occurring.values()) for k in (1, 2))
    discount = once / (once + 2 * twice) if once and twice else 0.5
    model = KneserNeyInterpolated(order, discount, vocabulary=Vocabulary(counter.unigrams), counter=counter)
    # nltk looks through all contexts at each of these calls
    model.estimator._continuation_counts = functools.cache(model.estimator._continuation_counts)
    return model


def perplexity(model: Any, words: Sequence[str]) -> tuple[float, float]:
    """exp of the mean -log P of a symbol, end symbols included, and its standard error over words."""
    found: dict[tuple[str, ...], float] = {}
    sums, sizes = np.zeros(len(words)), np.array([len(word) + 1.0 for word in words])
    for n, word in enumerate(words):
        symbols = [BEGIN] * (model.order - 1) + [*word, END]
        for place in range(model.order - 1, len(symbols)):
            gram = tuple(symbols[place - model.order + 1 : place + 1])
            if gram not in found:
                found[gram] = -math.log(max(model.score(gram[-1], gram[:-1]), FLOOR))
            sums[n] += found[gram]
    mean = sums.sum() / sizes.sum()
    spread = np.sqrt(((sums - mean * sizes) ** 2).sum() * len(words) / max(1, len(words) - 1)) / sizes.sum()
    return math.exp(mean), math.exp(mean) * float(spread)
