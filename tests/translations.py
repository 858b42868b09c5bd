"""Tiny data of the kind translation, made by hand: sources and translations of random subwords."""

from __future__ import annotations

import numpy as np

from seqflows.data.prepared import Contexts, Dataset, Split

END = 3
SETS = ("first", "second")


def split(rng: np.random.Generator, count: int, *, symbols: int = 9, window: int = 8, longest: int = 6) -> Split:
    """``count`` translations of up to ``longest`` symbols with their end, in two sets."""
    sizes = rng.integers(1, window + 1, count)
    contexts = Contexts(
        rng.integers(4, symbols, sizes.sum()).astype(np.int32), sizes.astype(np.int64),
        np.array([SETS[place >= (count + 1) // 2] for place in range(count)]), np.arange(count, dtype=np.int32),
        np.stack([np.zeros(count, np.int32), sizes.astype(np.int32)], 1), None,
        np.array([f"s{place}" for place in range(count)]),
    )  # fmt: skip
    lengths = rng.integers(2, longest + 1, count)
    ids = rng.integers(4, symbols, lengths.sum()).astype(np.int32)
    ids[np.cumsum(lengths) - 1] = END
    return Split("translation", lengths, ids, contexts=contexts)


def dataset(seed: int = 0, count: int = 8, *, symbols: int = 9, window: int = 8, longest: int = 6) -> Dataset:
    """A dataset of three such splits; subwords are letters, each a word of its own."""
    rng = np.random.default_rng(seed)
    size = {"symbols": symbols, "window": window, "longest": longest}
    splits = {name: split(rng, count, **size) for name in ("train", "valid", "test")}
    vocabulary = ["<pad>", "<unk>", "<s>", "</s>", *(f"\u2581{chr(97 + place)}" for place in range(symbols - 4))]
    statistics = {"max_length": longest, "outputs": symbols, "window": window, "kind": "translation"}
    statistics |= {"dataset": "tiny", "source": "own", "sets": list(SETS), "direction": "ro-en"}
    return Dataset("tiny", "translation", vocabulary, **splits, statistics=statistics, sha256="")
