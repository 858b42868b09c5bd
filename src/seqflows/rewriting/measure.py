"""Numbers of candidates beside their originals: edits, equal and distinct texts, perplexity.

Legend: N pairs of texts, T tokens of the longest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from seqflows.data import tokens
from seqflows.evaluation import likelihood, ngrams

BATCH = 1024  # pairs at once
PADDING = (-1, -2)  # of both texts, equal to no token
ORDER = 3  # of the n-grams
SCORED = 2000  # texts whose perplexity is measured


def edits(first: Sequence[Sequence[str]], second: Sequence[Sequence[str]]) -> np.ndarray:
    """(N,) the fewest tokens to replace, add or take out, which make each of the first texts the second.

    >>> edits([["a", "b", "c"], ["a"]], [["a", "x", "c", "d"], ["a"]]).tolist()
    [2, 0]
    """
    places: dict[str, int] = {}
    pairs = [[[places.setdefault(token, len(places)) for token in text] for text in side] for side in (first, second)]
    found = np.zeros(len(first), dtype=np.int64)
    order = np.argsort([len(text) for text in first], kind="stable")
    for start in range(0, len(order), BATCH):
        part = order[start : start + BATCH]
        found[part] = _edits(*([side[place] for place in part] for side in pairs))
    return found


def _edits(first: Sequence[Sequence[int]], second: Sequence[Sequence[int]]) -> np.ndarray:
    """`edits` of some texts as numbers: all cells of a row of each table at once (Wagner & Fischer 1974)."""
    sizes = [np.array([len(text) for text in side]) for side in (first, second)]
    padded = [np.full((len(size), size.max()), pad) for size, pad in zip(sizes, PADDING, strict=True)]
    for side, array in zip((first, second), padded, strict=True):
        for row, text in zip(array, side, strict=True):
            row[: len(text)] = text
    columns = np.arange(padded[1].shape[1] + 1)
    table = np.tile(columns, (len(first), 1))
    found = np.where(sizes[0] == 0, sizes[1], 0)
    for place in range(padded[0].shape[1]):
        replaced = table[:, :-1] + (padded[0][:, place, None] != padded[1])
        row = np.concatenate([np.full((len(first), 1), place + 1), np.minimum(replaced, table[:, 1:] + 1)], 1)
        table = np.minimum.accumulate(row - columns, axis=1) + columns  # added tokens cost 1 each
        ends = sizes[0] == place + 1
        found[ends] = table[ends, sizes[1][ends]]
    return found


def changed(texts: Sequence[str], candidates: Sequence[Sequence[str]]) -> np.ndarray:
    """(N, n) the edits of each candidate, see `edits`."""
    return _compared(texts, candidates)[0]


def share(texts: Sequence[str], candidates: Sequence[Sequence[str]]) -> tuple[float, float]:
    """The share of changed tokens with its standard error over texts, 0 without texts.

    That is the sum of all edits over the sum of the longer text's tokens of each pair: 0 for equal texts, at most 1.
    """
    if not len(texts):
        return 0.0, 0.0
    found, longer = (array.sum(1).astype(float) for array in _compared(texts, candidates))
    value, error = likelihood.ratio(found, longer)
    return value, error or 0.0


def _compared(texts: Sequence[str], candidates: Sequence[Sequence[str]]) -> tuple[np.ndarray, np.ndarray]:
    """(N, n) each: the edits of each candidate, and the tokens of the longer of both texts, at least 1."""
    count = len(candidates[0]) if len(candidates) else 0
    given = [found for found in map(tokens.tokenize, texts) for _ in range(count)]
    made = [tokens.tokenize(one) for row in candidates for one in row]
    longer = np.array([max(len(one), len(other), 1) for one, other in zip(given, made, strict=True)], dtype=np.int64)
    return edits(given, made).reshape(len(texts), count), longer.reshape(len(texts), count)


def numbers(texts: Sequence[str], candidates: Sequence[Sequence[str]], trained: Sequence[str]) -> dict[str, Any]:
    """The numbers of a header.

    ``perplexity`` is that of up to `SCORED` candidates, drawn evenly, under a Kneser-Ney trigram of the ``trained``
    texts; ``perplexity_of_originals`` that of the same candidates' originals. Shares are of candidates, ``distinct`` of
    different ones among all.
    """
    value, error = share(texts, candidates)
    every = [(text, one) for text, row in zip(texts, candidates, strict=True) for one in row]
    made = [tuple(tokens.tokenize(one)) for _, one in every]
    given = [tuple(tokens.tokenize(text)) for text, _ in every]
    step = max(1, len(every) // SCORED)
    return {
        "texts": len(texts),
        "candidates": len(every),
        "changed": value,
        "changed_error": error,
        "equal": float(np.mean([one == text for one, text in zip(made, given, strict=True)])) if every else 0.0,
        "distinct": len(set(made)) / max(1, len(made)),
        **perplexities(made[::step][:SCORED], given[::step][:SCORED], trained),
    }


def perplexities(
    made: Sequence[Sequence[str]], given: Sequence[Sequence[str]], trained: Sequence[str]
) -> Mapping[str, float]:
    """The perplexities of some texts and of their originals under a trigram of the trained texts."""
    if not made:
        return {}
    sequences = [tokens.tokenize(text) for text in trained]
    trigram = ngrams.fit(sequences, [1] * len(sequences), ORDER)
    (value, error), (before, _) = (ngrams.perplexity(trigram, texts) for texts in (made, given))
    return {"perplexity": value, "perplexity_error": error, "perplexity_of_originals": before}
