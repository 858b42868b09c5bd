"""Tiny data of the kind pairs, made by hand: contexts, answers and questions of random words."""

from __future__ import annotations

import numpy as np

from seqflows.data.prepared import Contexts, Dataset, Split

END = 3


def split(
    rng: np.random.Generator, count: int, *, words: int = 12, window: int = 8, longest: int = 5, features: int = 3
) -> Split:
    """``count`` questions of up to ``longest`` symbols, two a paragraph of up to twice ``window`` words."""
    paragraphs = -(-count // 2)
    sizes = rng.integers(window, 2 * window + 1, paragraphs)
    paragraph = (np.arange(count) // 2).astype(np.int32)
    start = np.array([rng.integers(0, sizes[place] - window + 1) for place in paragraph])
    spans = np.stack([start, start + rng.integers(window // 2, window + 1, count)], 1)
    first = np.array([rng.integers(low, high) for low, high in spans])
    answers = np.stack([first, np.minimum(first + rng.integers(1, 3, count), spans[:, 1])], 1)
    contexts = Contexts(
        rng.integers(4, words, sizes.sum()).astype(np.int32), sizes.astype(np.int64),
        np.array([f"article {place}" for place in range(paragraphs)]), paragraph, spans.astype(np.int32),
        answers.astype(np.int32), np.array([f"q{place}" for place in range(count)]),
        rng.standard_normal((sizes.sum(), features)).astype(np.float16) if features else None,
    )  # fmt: skip
    lengths = rng.integers(2, longest + 1, count)
    symbols = rng.integers(4, words, lengths.sum()).astype(np.int32)
    symbols[np.cumsum(lengths) - 1] = END
    return Split("pairs", lengths, symbols, contexts=contexts)


def dataset(
    seed: int = 0, count: int = 8, *, words: int = 12, outputs: int = 9, window: int = 8, longest: int = 5,
    features: int = 3, dimensions: int = 4,
) -> Dataset:  # fmt: skip
    """A dataset of three such splits: ``words`` in all, the first ``outputs`` of them in the output vocabulary."""
    rng = np.random.default_rng(seed)
    size = {"words": words, "window": window, "longest": longest, "features": features}
    splits = {name: split(rng, count, **size) for name in ("train", "valid", "test")}
    vocabulary = ["<pad>", "<unk>", "<s>", "</s>", *(f"w{place}" for place in range(4, words))]
    statistics = {"max_length": longest, "outputs": outputs, "window": window, "kind": "pairs", "dataset": "tiny"}
    vectors = rng.standard_normal((words, dimensions)).astype(np.float32)
    return Dataset("tiny", "pairs", vocabulary, **splits, statistics=statistics, sha256="", vectors=vectors)
