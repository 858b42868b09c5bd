"""Passages made of lines, each of which can be replaced: sentences of a paragraph, or timed lines of a clip.

A line's words and features do not depend on the lines around it, so that a context is put together from lines of
several pools: those of a split, and candidates that a generator wrote for some of them.

Legend: L lines of a pool, W words of a line, F numbers of a word's features, P passages, N questions, A answers; B
questions of a batch, M lines and S words of its longest context.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from seqflows.data import tokens
from seqflows.data.concepts import Concepts
from seqflows.data.halves import Halved
from seqflows.errors import Problem

JOIN = " "  # between the lines of a context's text
AGAIN = "run prepare again"
UNKNOWN = tokens.SPECIAL.index(tokens.UNKNOWN)


def starts(lengths: np.ndarray) -> np.ndarray:
    """(n + 1,) int64, where each of n parts of these lengths begins, and where the last ends.

    >>> starts(np.array([2, 3])).tolist()
    [0, 2, 5]
    """
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


@dataclass(frozen=True)
class Lines:
    """L lines of text with their words.

    Attributes:
        texts: (L,) the raw texts.
        words: (sum W) int32, the ids of the words of `tokens.tokenize`.
        lengths: (L,) int64, W of each line.
        characters: (sum W, 2) int32, each word's first character in its line's text and the one after its last.
        features: (sum W, F) float16, a row per word, mapped from a file; None without.
    """

    texts: tuple[str, ...]
    words: np.ndarray
    lengths: np.ndarray
    characters: np.ndarray
    features: np.ndarray | None = field(default=None, compare=False, repr=False)
    offsets: np.ndarray = field(init=False, repr=False)  # (L + 1,) the first row of each line, and the number of rows

    def __post_init__(self) -> None:
        object.__setattr__(self, "offsets", starts(self.lengths))
        rows = len(self.words)
        if len(self.texts) != len(self.lengths) or self.offsets[-1] != rows or (self.lengths < 1).any():
            raise Problem(
                f"expected {len(self.texts)} lines of at least one word, {rows} in all, got {len(self.lengths)} of "
                f"{int(self.offsets[-1])}; {AGAIN}"
            )
        sizes = np.repeat([len(text) for text in self.texts], self.lengths)
        if self.characters.shape != (rows, 2):
            raise Problem(f"expected two characters for each of {rows} words, got {self.characters.shape}; {AGAIN}")
        start, end = self.characters.T
        if (start < 0).any() or (end <= start).any() or (end > sizes).any():
            raise Problem(f"expected words within the texts of their lines, got others; {AGAIN}")
        if self.features is not None and len(self.features) != rows:
            raise Problem(f"expected features of {rows} words, got {len(self.features)}; run the stage features again")

    @classmethod
    def of(cls, texts: Iterable[str], places: Mapping[str, int], what: str = "a text") -> Lines:
        """The lines of raw texts; ``places`` are the ids of the words, and other words are unknown.

        Raises `Problem` that says ``what`` is wrong for a text without words.
        """
        listed = tuple(texts)
        split = [tokens.tokenize(text) for text in listed]
        if not all(split):
            raise Problem(f"expected words in {what}, got {listed[split.index([])]!r}; replace it")
        spans = [span for text in listed for span in tokens.spans(text)]
        words = [places.get(word, UNKNOWN) for line in split for word in line]
        return cls(
            listed, np.array(words, dtype=np.int32), np.array([len(line) for line in split], dtype=np.int64),
            np.array(spans, dtype=np.int32).reshape(-1, 2),
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def width(self) -> int:
        """F, 0 without features."""
        return 0 if self.features is None else self.features.shape[1]

    def rows(self, line: int) -> slice:
        """The rows of ``words``, ``characters`` and ``features`` of a line."""
        return slice(int(self.offsets[line]), int(self.offsets[line + 1]))

    def arrays(self, name: str) -> dict[str, np.ndarray]:
        """The arrays of a file, without the features; their names begin with ``name``."""
        encoded = [text.encode() for text in self.texts]
        found = {
            "text": np.frombuffer(b"".join(encoded), dtype=np.uint8),
            "sizes": np.array([len(text) for text in encoded], dtype=np.int64),
            **{"words": self.words, "lengths": self.lengths, "characters": self.characters},
        }
        return {f"{name}_{part}": array for part, array in found.items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], name: str) -> Lines:
        """The inverse of `arrays`."""
        text, sizes, *rest = (arrays[f"{name}_{part}"] for part in ("text", "sizes", "words", "lengths", "characters"))
        whole, places = text.tobytes(), starts(sizes).tolist()
        texts = tuple(whole[start:end].decode() for start, end in itertools.pairwise(places))
        return cls(texts, *rest)

    def featured(self, features: np.ndarray) -> Lines:
        """The same lines with features."""
        return replace(self, features=features)


class Replacement(NamedTuple):
    """Lines of another pool in place of a batch's own.

    ``chosen`` has for each of B questions the line of ``pool`` in place of each line of its passage, -1 for its own;
    None instead leaves a whole context as it is.
    """

    pool: Lines
    chosen: Sequence[np.ndarray | None]


class Gathered(NamedTuple):
    """The contexts of B questions, put together from lines and padded with zeros.

    Attributes:
        words: (B, S) int64.
        lengths: (B,) int64, words of each context.
        characters: (B, S, 2) int64, of each word, in the context's lines joined by `JOIN`.
        features: (B, S, F) float32, F = 0 without.
        firsts: (B, M + 1) int64, the first word of each line; from the end of the lines on, the context's length.
        texts: each context's lines.
    """

    words: np.ndarray
    lengths: np.ndarray
    characters: np.ndarray
    features: np.ndarray
    firsts: np.ndarray
    texts: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Passages(Halved):
    """The contexts of a split's N questions: P passages of lines.

    What a question's answer is, the split's symbols say; ``answers`` are the texts that count as right (questions
    about a paragraph), or those to choose from.

    Attributes:
        lines: the lines of all passages.
        first: (P + 1,) int64; passage p has the lines first[p] to first[p + 1] - 1.
        sources: (P,) text, the article or clip that a passage is from.
        passage: (N,) int32, the passage of each question.
        ids: (N,) text, the identifier of each question in its source.
        questions: the N questions.
        answers: the A answers' texts.
        answered: (N + 1,) int64; question n has the answers answered[n] to answered[n + 1] - 1.
        free: flat bool, for each question and line of its passage, whether that line may be replaced.
        times: (L, 2) float64, the seconds in which a line is said; None without.
        spans: (N, 2) float64, the seconds that a question is about; None without.
        plus: (N,) bool, whether a question is also in the second test set, which is part of this one; None without.
        concepts: the words of things detected beside the lines, and the questions' targets of them; None without.
    """

    lines: Lines
    first: np.ndarray
    sources: np.ndarray
    passage: np.ndarray
    ids: np.ndarray
    questions: Lines
    answers: Lines
    answered: np.ndarray
    free: np.ndarray
    times: np.ndarray | None = None
    spans: np.ndarray | None = None
    plus: np.ndarray | None = None
    concepts: Concepts | None = None
    offsets: np.ndarray = field(init=False, repr=False)  # (N + 1,) the first of ``free`` of each question
    sizes: np.ndarray = field(init=False, repr=False)  # (N,) words of each question's context

    def __post_init__(self) -> None:
        count = len(self.passage)
        self._check("passages", self.first, len(self.sources), len(self.lines))
        self._check("questions", self.answered, count, len(self.answers))
        if not len(self.ids) == len(self.questions) == count:
            raise Problem(f"expected an id and a text for each of {count} questions, got others; {AGAIN}")
        if (self.passage < 0).any() or (self.passage >= len(self.sources)).any():
            raise Problem(f"expected places among {len(self.sources)} passages, got others; {AGAIN}")
        object.__setattr__(self, "offsets", starts(np.diff(self.first)[self.passage]))
        object.__setattr__(self, "sizes", np.diff(self.lines.offsets[self.first])[self.passage])
        if self.free.shape != (self.offsets[-1],) or self.free.dtype != bool:
            raise Problem(
                f"expected whether each of {int(self.offsets[-1])} lines is free, got {self.free.dtype} of the shape "
                f"{self.free.shape}; {AGAIN}"
            )
        for name, of, rows in (("times", "lines", len(self.lines)), ("spans", "questions", count)):
            found = getattr(self, name)
            if found is not None and (found.shape != (rows, 2) or not (found[:, 0] <= found[:, 1]).all()):
                raise Problem(f"expected a start and an end for each of {rows} {of}, got others; {AGAIN}")
        if self.plus is not None and (self.plus.shape != (count,) or self.plus.dtype != bool or not self.plus.any()):
            raise Problem(
                f"expected whether each of {count} questions is in the second test set, and at least one in it, got "
                f"{self.plus.dtype} of the shape {self.plus.shape}, {int(self.plus.sum())} in it; {AGAIN}"
            )

        if self.concepts is not None and (len(self.concepts.lengths), len(self.concepts.first)) != (
            len(self.lines), count + 1,
        ):  # fmt: skip
            raise Problem(f"expected detected words beside {len(self.lines)} lines, got those of others; {AGAIN}")

    @staticmethod
    def _check(what: str, first: np.ndarray, parts: int, total: int) -> None:
        if len(first) != parts + 1 or first[0] or first[-1] != total or (np.diff(first) < 1).any():
            raise Problem(f"expected the first of {total} of each of {parts} {what}, got others; {AGAIN}")

    def __len__(self) -> int:
        return len(self.passage)

    def of(self, index: int) -> np.ndarray:
        """The lines of the context of question ``index``."""
        place = self.passage[index]
        return np.arange(self.first[place], self.first[place + 1])

    def free_of(self, index: int) -> np.ndarray:
        """(lines of its passage,) bool: which of them may be replaced for question ``index``."""
        return self.free[self.offsets[index] : self.offsets[index + 1]]

    @cached_property
    def parts(self) -> np.ndarray:
        """(N,) the number of the article or clip of each question, or of its passage where all have the same source."""
        sources = np.unique(self.sources, return_inverse=True)[1]
        return sources[self.passage] if sources.any() else self.passage

    def answers_of(self, index: int) -> tuple[str, ...]:
        """The answers' texts of question ``index``."""
        return self.answers.texts[self.answered[index] : self.answered[index + 1]]

    def encoded(self) -> dict[str, Lines]:
        """The texts that the stage features encodes, each line apart, by the name of their part."""
        return {"lines": self.lines, "questions": self.questions}

    def featured(self, features: Mapping[str, np.ndarray]) -> Passages:
        """The same passages with the features of some parts of `encoded`."""
        return replace(self, **{name: self.encoded()[name].featured(array) for name, array in features.items()})

    def gather(self, indices: Sequence[int] | np.ndarray, replaced: Replacement | None = None) -> Gathered:
        """The contexts of some questions, with lines of another pool in place of free ones.

        Raises `Problem` if a line is replaced that is not free: an answer would no longer stand where it stood.
        """
        chosen = [self._chosen(int(index), row, replaced) for row, index in enumerate(indices)]
        sizes = [[len(pool.texts[line]) for pool, line in context] for context in chosen]
        lengths = [[int(pool.lengths[line]) for pool, line in context] for context in chosen]
        totals = np.array([sum(one) for one in lengths], dtype=np.int64)
        shape = (len(chosen), int(totals.max(initial=1)))
        words, characters = np.zeros(shape, dtype=np.int64), np.zeros((*shape, 2), dtype=np.int64)
        features = np.zeros((*shape, self.lines.width), dtype=np.float32)
        firsts = np.repeat(totals[:, None], max(map(len, chosen), default=0) + 1, 1)
        for row, context in enumerate(chosen):
            place = character = 0
            for number, (pool, line) in enumerate(context):
                rows, after = pool.rows(line), place + lengths[row][number]
                firsts[row, number] = place
                words[row, place:after] = pool.words[rows]
                characters[row, place:after] = pool.characters[rows] + character
                if self.lines.width:
                    features[row, place:after] = pool.features[rows]
                place, character = after, character + sizes[row][number] + len(JOIN)
        texts = tuple(tuple(pool.texts[line] for pool, line in context) for context in chosen)
        return Gathered(words, totals, characters, features, firsts, texts)

    def _chosen(self, index: int, row: int, replaced: Replacement | None) -> list[tuple[Lines, int]]:
        """The pool and the line of each line of a context."""
        own = [(self.lines, line) for line in self.of(index).tolist()]
        other = None if replaced is None else replaced.chosen[row]
        if other is None:
            return own
        free = self.free_of(index)
        if len(other) != len(own) or (~free & (other >= 0)).any():
            raise Problem(
                f"expected replacements of the {int(free.sum())} free lines among {len(own)} of the question "
                f"{self.ids[index]}, got {other.tolist()}; make the candidates of this dataset again"
            )
        if replaced.pool.width != self.lines.width:
            raise Problem(
                f"expected candidates with {self.lines.width} features a word, got {replaced.pool.width}; "
                "run the stage features of the candidates again"
            )
        return [mine if line < 0 else (replaced.pool, line) for mine, line in zip(own, other.tolist(), strict=True)]

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays of a file, without the features."""
        names = ("first", "sources", "passage", "ids", "answered", "free", "times", "spans", "plus")
        found = {f"passages_{name}": getattr(self, name) for name in names if getattr(self, name) is not None}
        found |= {} if self.concepts is None else self.concepts.arrays()
        return found | self.lines.arrays("lines") | self.questions.arrays("questions") | self.answers.arrays("answers")

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Passages:
        """The inverse of `arrays`."""
        own = "passages_"
        found = {name.removeprefix(own): arrays[name] for name in arrays if name.startswith(own)}
        if "concepts_words" in arrays:
            found["concepts"] = Concepts.from_arrays(arrays)
        return cls(**{name: Lines.from_arrays(arrays, name) for name in ("lines", "questions", "answers")}, **found)
