"""N-grams with interpolated Kneser-Ney smoothing (nltk), which score generated words and texts.

Schmidt & Hofmann 2018, section 5: "two Kneser-Ney-smoothed character n-gram models trained on the test data". A word is
a string of letters; a text, a list of words, is treated alike, with words as letters.
"""

from __future__ import annotations

import contextlib
import math
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from seqflows.errors import Problem
from seqflows.evaluation import likelihood

BEGIN, END = "<s>", "</s>"
FLOOR = 1e-6  # the probability of a symbol that is in no fitted word


def grams(word: Sequence[str], order: int) -> Iterator[tuple[str, ...]]:
    """The n-grams of every order up to ``order`` that end in a letter or the end symbol, never in the padding.

    >>> list(grams("a", 2))
    [('a',), ('<s>', 'a'), ('</s>',), ('a', '</s>')]
    """
    symbols = [BEGIN] * (order - 1) + [*word, END]
    for place in range(order - 1, len(symbols)):
        for size in range(1, order + 1):
            yield tuple(symbols[place - size + 1 : place + 1])


@contextlib.contextmanager
def _hidden(*packages: str) -> Iterator[None]:
    """Let packages that were not imported yet seem absent."""
    names = [name for name in packages if name not in sys.modules]
    sys.modules.update(dict.fromkeys(names))
    try:
        yield
    finally:
        for name in names:
            del sys.modules[name]


def fit(words: Sequence[Sequence[str]], weights: Sequence[int], order: int) -> Any:
    """Fit the n-gram model to words with weights.

    The discount of all orders is n_1 / (n_1 + 2 n_2), where n_k n-grams of the highest order have count k
    (Ney, Essen & Kneser 1994), or 0.5 without any. nltk receives every n-gram with its full context, so that
    the probabilities after any context sum to one over letters and end symbol.
    """
    try:
        with _hidden("sklearn", "scipy"):  # which nltk imports if they are there: four fifths of its time
            from nltk.lm import KneserNeyInterpolated, NgramCounter, Vocabulary
    except ImportError:
        raise Problem("expected the package nltk for n-grams, found none; install it") from None
    counter = NgramCounter()
    for word, weight in zip(words, weights, strict=True):
        for gram in grams(word, order):
            if len(gram) == 1:
                counter.unigrams[gram[0]] += weight
            else:
                counter[len(gram)][gram[:-1]][gram[-1]] += weight
    occurring = Counter(count for following in counter[order].values() for count in following.values())
    once, twice = occurring[1], occurring[2]
    discount = once / (once + 2 * twice) if once and twice else 0.5
    # nltk treats symbols outside its vocabulary as unknown, in contexts too
    vocabulary = Vocabulary([*counter.unigrams, BEGIN])
    model = KneserNeyInterpolated(order, discount, vocabulary=vocabulary, counter=counter)
    model.estimator._continuation_counts = _continuations(counter, order)
    return model


def _continuations(counter: Any, order: int) -> Callable[..., tuple[int, int]]:
    """The counts of distinct symbols before (context, word), faster than nltk's scan of all contexts."""
    before: Counter[tuple[tuple[str, ...], str]] = Counter()
    total: Counter[tuple[str, ...]] = Counter()
    for size in range(2, order + 1):
        for context, following in counter[size].items():
            for word, count in following.items():
                if count > 0:
                    before[context[1:], word] += 1
                    total[context[1:]] += 1

    def counts(word: str, context: tuple[str, ...] = ()) -> tuple[int, int]:
        return before[context, word], total[context]

    return counts


def perplexity(model: Any, words: Sequence[Sequence[str]]) -> tuple[float, float]:
    """exp of the mean -log P of a symbol, end symbols included, and its standard error over words."""
    found: dict[tuple[str, ...], float] = {}
    sums = np.zeros(len(words))
    for n, word in enumerate(words):
        for gram in grams(word, model.order):
            if len(gram) == model.order:
                if gram not in found:
                    found[gram] = -math.log(max(model.score(gram[-1], gram[:-1]), FLOOR))
                sums[n] += found[gram]
    mean, error = likelihood.ratio(sums, np.array([len(word) + 1.0 for word in words]))
    return math.exp(mean), math.exp(mean) * (error or 0.0)
