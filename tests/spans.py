"""Tiny data of the kind spans, made by hand: passages of lines of random words, and answers in them."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

import numpy as np

from seqflows.config.features import Tiny
from seqflows.data.lines import Lines, Passages, starts
from seqflows.data.prepared import Dataset, Split
from seqflows.data.tokens import SPECIAL

PIECES = Tiny(model="tiny", layers=(-1,), width=6, positions=64)
LETTERS = "w0123456789"


def vocabulary(words: int) -> list[str]:
    """The special words, then w4, w5 and so on."""
    return [*SPECIAL, *(f"w{place}" for place in range(4, words))]


@functools.cache
def bert() -> str:
    """A folder with the tokenizer and the weights of a small BERT, whose pieces are characters."""
    from seqflows.features import tiny

    folder = Path(tempfile.mkdtemp())
    tiny.write(folder, LETTERS, PIECES)
    return str(folder)


def texts(rng: np.random.Generator, count: int, words: int, least: int = 1, most: int = 4) -> list[str]:
    """Texts of ``least`` to ``most`` random words."""
    sizes = rng.integers(least, most + 1, count)
    return [" ".join(f"w{place}" for place in rng.integers(4, words, size)) for size in sizes]


def pool(rng: np.random.Generator, listed: list[str], words: int, features: int) -> Lines:
    """The lines of some texts with random features."""
    made = Lines.of(listed, {word: place for place, word in enumerate(vocabulary(words))})
    return made.featured(rng.standard_normal((len(made.words), features)).astype(np.float16)) if features else made


def split(
    rng: np.random.Generator, count: int, *, words: int = 12, features: int = 3, lines: int = 3, known: bool = False
) -> Split:
    """``count`` questions, two a passage of up to ``lines`` lines; an answer is a part of a line, and two are right."""
    passage = (np.arange(count) // 2).astype(np.int32)
    sizes = rng.integers(1, lines + 1, passage[-1] + 1)
    first = starts(sizes)
    made = pool(rng, texts(rng, int(first[-1]), words), words, features)
    line = np.array([rng.integers(sizes[place]) for place in passage])
    own = first[passage] + line
    begin = np.array([rng.integers(made.lengths[place]) for place in own])
    end = rng.integers(begin, np.minimum(begin + 2, made.lengths[own]))
    right = []
    for place, low, high in zip(own, begin, end, strict=True):
        spans = made.characters[made.rows(place)]
        right += [made.texts[place][spans[low, 0] : spans[high, 1]], "w4 w5"]
    places = {word: place for place, word in enumerate(vocabulary(words))}
    contexts = Passages(
        lines=made, first=first, sources=np.array([f"article {place}" for place in range(len(sizes))]),
        passage=passage, ids=np.array([f"q{place}" for place in range(count)]),
        questions=pool(rng, texts(rng, count, words), words, features), answers=Lines.of(right, places),
        answered=2 * np.arange(count + 1),
        free=np.concatenate([np.arange(sizes[place]) != at for place, at in zip(passage, line, strict=True)]),
    )  # fmt: skip
    symbols = np.stack([line, begin, end], 1).astype(np.int32)
    log_prob = np.zeros(count) if known else None
    return Split("spans", np.full(count, 3), symbols.ravel(), log_prob, contexts=contexts)


def dataset(seed: int = 0, count: int = 8, *, words: int = 12, features: int = 3, known: bool = False) -> Dataset:
    """A dataset of three such splits."""
    rng = np.random.default_rng(seed)
    size = {"words": words, "features": features, "known": known}
    splits = {name: split(rng, count, **size) for name in ("train", "valid", "test")}
    statistics = {"max_length": 3, "window": 12, "kind": "spans", "dataset": "tiny", "source": "squad-answers"}
    return Dataset("tiny", "spans", vocabulary(words), **splits, statistics=statistics, sha256="")
