"""Tiny data of the kind choices, made by hand: clips of lines with times, questions and answers of random words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from seqflows.data.concepts import Concepts
from seqflows.data.lines import Lines, Passages
from seqflows.data.prepared import Dataset, Split
from seqflows.data.tokens import SPECIAL


def split(rng: np.random.Generator, count: int, *, words: int = 14, answers: int = 3, concepts: int = 0) -> Split:
    """``count`` questions, two a clip of one to four lines, each about one line or several.

    With ``concepts`` there are up to so many words of detected things beside a line, and targets of attention to some.
    """
    clips = -(-count // 2)
    sizes = rng.integers(1, 5, clips)
    places = {f"w{place}": place for place in range(len(SPECIAL), words)}

    def texts(number: int, longest: int) -> list[str]:
        drawn = (rng.integers(len(SPECIAL), words, rng.integers(1, longest + 1)) for _ in range(number))
        return [" ".join(f"w{word}" for word in line) for line in drawn]

    passage = (np.arange(count) // 2).astype(np.int32)
    ends = np.concatenate([np.cumsum(rng.uniform(0.5, 3, (size, 2))).reshape(-1, 2) for size in sizes])
    first = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    free, spans = [], []
    for place in passage:
        low, high = np.sort(rng.integers(0, sizes[place], 2))
        free.append((np.arange(sizes[place]) >= low) & (np.arange(sizes[place]) <= high))
        times = ends[first[place] : first[place + 1]]
        spans.append((times[low, 0] + rng.uniform(-0.3, 0.3), times[high, 1] + rng.uniform(0.3, 0.9)))
    passages = Passages(
        lines=Lines.of(texts(int(sizes.sum()), 5), places), first=first,
        sources=np.array([f"clip {place}" for place in range(clips)]), passage=passage,
        ids=np.array([f"q{place}" for place in range(count)]), questions=Lines.of(texts(count, 4), places),
        answers=Lines.of(texts(count * answers, 3), places), answered=np.arange(count + 1) * answers,
        free=np.concatenate(free), times=ends, spans=np.array(spans),
    )  # fmt: skip
    if concepts:
        passages = replace(passages, concepts=beside(rng, passages, words, concepts))
    return Split("choices", np.ones(count), rng.integers(0, answers, count).astype(np.int32), contexts=passages)


def beside(rng: np.random.Generator, passages: Passages, words: int, most: int) -> Concepts:
    """Random words beside the lines, none beside the first, and for half of the words of each question targets."""
    lengths = rng.integers(0, most + 1, len(passages.lines))
    lengths[0], lengths[-1] = 0, most
    rows, first = [], [0]
    for n in range(len(passages)):
        for word in range(int(passages.questions.lengths[n])):
            for place, line in enumerate(passages.of(n)):
                if rng.random() < 0.5:
                    rows += [(word, place, one, int(rng.choice([1, -1]))) for one in range(lengths[line])]
        first.append(len(rows))
    drawn = rng.integers(len(SPECIAL), words, int(lengths.sum())).astype(np.int32)
    return Concepts(drawn, lengths, np.array(rows, dtype=np.int32).reshape(-1, 4), np.array(first))


def dataset(seed: int = 0, count: int = 8, *, words: int = 14, dimensions: int = 4, concepts: int = 0) -> Dataset:
    """A dataset of three such splits."""
    rng = np.random.default_rng(seed)
    splits = {name: split(rng, count, words=words, concepts=concepts) for name in ("train", "valid", "test")}
    vocabulary = [*SPECIAL, *(f"w{place}" for place in range(len(SPECIAL), words))]
    statistics = {"max_length": 1, "kind": "choices", "dataset": "tiny", "concepts": concepts}
    vectors = rng.standard_normal((words, dimensions)).astype(np.float32)
    return Dataset("tiny", "choices", vocabulary, **splits, statistics=statistics, sha256="", vectors=vectors)
