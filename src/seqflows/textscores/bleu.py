"""Corpus BLEU-4 without smoothing (Papineni et al. 2002), from statistics that add up over texts.

The statistics of one text are 10 counts, in the order of sacrebleu: words of the hypothesis, words of the reference,
matched n-grams of order 1 to 4 (each at most as often as in the reference), n-grams of the hypothesis of order 1 to 4.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

ORDER = 4
COUNTS = 2 + 2 * ORDER  # of one text


def statistics(hypothesis: Sequence[str], reference: Sequence[str], cased: bool = False) -> np.ndarray:
    """The counts (10,) int64 of one text against its reference, in lower case unless ``cased``.

    >>> statistics("who is it ?".split(), "Who was it ?".split()).tolist()
    [4, 4, 3, 1, 0, 0, 4, 3, 2, 1]
    """
    written, wanted = ([word if cased else word.lower() for word in words] for words in (hypothesis, reference))
    counts = np.zeros(COUNTS, dtype=np.int64)
    counts[:2] = len(written), len(wanted)
    for size in range(1, ORDER + 1):
        own, other = _grams(written, size), _grams(wanted, size)
        counts[1 + size] = sum(min(count, other[gram]) for gram, count in own.items())
        counts[1 + ORDER + size] = own.total()
    return counts


def _grams(words: Sequence[str], size: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(words[start : start + size]) for start in range(len(words) - size + 1))


def bleu(sums: np.ndarray) -> float:
    """BLEU-4 in percent, 0 to 100, of the summed counts (10,) of a corpus.

    >>> bleu(statistics("who is it ?".split(), "who is it ?".split()))
    100.0
    """
    return float(scores(np.asarray(sums)))


def scores(sums: np.ndarray) -> np.ndarray:
    """BLEU-4 in percent (...) of many sums (..., 10), such as those of the draws of a bootstrap.

    100 b (p_1 p_2 p_3 p_4)^(1/4), with b the `brevity` penalty and p_n = matches / n-grams; 0 where an order has no
    match.
    """
    sums = np.asarray(sums, dtype=np.float64)
    matches, totals = sums[..., 2 : 2 + ORDER], sums[..., 2 + ORDER :]
    matched = (matches > 0).all(axis=-1)
    precisions = np.where(matched[..., None], matches, 1.0) / np.where(matched[..., None], totals, 1.0)
    return 100.0 * np.exp(np.log(precisions).mean(axis=-1)) * brevity(sums) * matched


def brevity(sums: np.ndarray) -> np.ndarray:
    """The brevity penalty (...) of many sums (..., 10): min(1, exp(1 - r / h)), h and r the words of both sides.

    What is below 1 of it is lost to short texts, whatever they say: BLEU over it is the mean of the precisions alone.

    >>> float(brevity(statistics("who is".split(), "who is it ?".split())).round(3))
    0.368
    """
    sums = np.asarray(sums, dtype=np.float64)
    return np.exp(np.minimum(0.0, 1.0 - sums[..., 1] / np.maximum(sums[..., 0], 1.0)))
