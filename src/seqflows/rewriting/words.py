"""Generators without a model: near words, words by frequency, and the text itself.

They change words within the raw text, so that its case and spaces stay elsewhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import yaml

from seqflows.data import tokens
from seqflows.rewriting.base import Generator

LISTED = yaml.safe_load((Path(__file__).parent / "words.yaml").read_text(encoding="utf-8"))
NUMBERS, STOP = frozenset(LISTED["numbers"]), frozenset(LISTED["stop"])


class Same(Generator):
    """The text itself: the control that has the filter alone."""

    def candidates(self, texts: Sequence[str], count: int) -> list[list[str]]:
        """``count`` copies of each text."""
        return [[text] * count for text in texts]


def replaced(text: str, words: Mapping[int, str]) -> str:
    """The raw text with other words at some places among its tokens.

    >>> replaced("A well-known man.", {1: "little", 4: "dog"})
    'A little-known dog.'
    """
    spans = tokens.spans(text)
    for place in sorted(words, reverse=True):
        start, end = spans[place]
        text = text[:start] + words[place] + text[end:]
    return text


def word(token: str) -> bool:
    """Whether a token is a word of letters, no stop word and no number."""
    return token.isalpha() and token not in STOP and token not in NUMBERS


def replaceable(text: str) -> list[int]:
    """The places of a text's tokens that may be replaced: words (`word`) without a capital letter, which names have.

    >>> replaceable("In 1918 the two old friends of Anna met again.")
    [4, 5, 8]
    """
    found = zip(tokens.tokenize(text), tokens.spans(text), strict=True)
    return [place for place, (token, (start, end)) in enumerate(found) if word(token) and text[start:end].islower()]


class Neighbours(Generator):
    """Words replaced by near neighbours: those whose vectors have a cosine of at least ``cosine`` with theirs.

    In each candidate a share ``rate`` of the tokens, at least one, is replaced, as far as so many are `replaceable` and
    have a neighbour; neighbours are drawn evenly, and are themselves words in the sense of `word`.
    """

    def __init__(
        self, vocabulary: Sequence[str], vectors: np.ndarray, cosine: float, rate: float, rng: np.random.Generator
    ) -> None:
        super().__init__()
        self.cosine, self.rate, self.rng = cosine, rate, rng
        self.words = [place for place, token in enumerate(vocabulary) if word(token)]
        self.vocabulary = [vocabulary[place] for place in self.words]
        self.places = {token: place for place, token in enumerate(self.vocabulary)}
        chosen = np.asarray(vectors, dtype=np.float32)[self.words]
        self.directions = chosen / np.linalg.norm(chosen, axis=1, keepdims=True)
        self._near: dict[str, list[str]] = {}

    def near(self, token: str) -> list[str]:
        """The neighbours of a word, nearest first; empty for an unknown one."""
        if token not in self._near:
            place = self.places.get(token)
            found: list[str] = []
            if place is not None:
                cosines = self.directions @ self.directions[place]
                order = np.argsort(-cosines, kind="stable")
                found = [self.vocabulary[n] for n in order[: (cosines >= self.cosine).sum()] if n != place]
            self._near[token] = found
        return self._near[token]

    def candidates(self, texts: Sequence[str], count: int) -> list[list[str]]:
        """Candidates with words replaced."""
        return [self._candidates(text, count) for text in texts]

    def _candidates(self, text: str, count: int) -> list[str]:
        found = tokens.tokenize(text)
        places = [place for place in replaceable(text) if self.near(found[place])]
        size = min(len(places), max(1, round(self.rate * len(found))))
        made = []
        for _ in range(count):
            chosen = self.rng.permutation(places)[:size].tolist()
            made.append(replaced(text, {place: self._drawn(found[place]) for place in chosen}))
        return made

    def _drawn(self, token: str) -> str:
        near = self.near(token)
        return near[int(self.rng.integers(len(near)))]


class RandomWords(Generator):
    """As many words replaced as another generator changes, each by another word, drawn by frequency.

    ``changed`` is the number of changes of each text's candidates, in their order; it may exceed the words of letters
    that a text has, all of which are then replaced.
    """

    def __init__(
        self, frequencies: Mapping[str, int], changed: Mapping[str, Sequence[int]], rng: np.random.Generator
    ) -> None:
        super().__init__()
        self.vocabulary = sorted(token for token in frequencies if token.isalpha())
        counts = np.array([frequencies[token] for token in self.vocabulary], dtype=float)
        self.cumulative = np.cumsum(counts / counts.sum())
        self.changed, self.rng = changed, rng

    def drawn(self, token: str) -> str:
        """A word other than ``token``, in proportion to its frequency."""
        while True:
            place = int(np.searchsorted(self.cumulative, self.rng.random(), side="right"))
            found = self.vocabulary[min(place, len(self.vocabulary) - 1)]
            if found != token or len(self.vocabulary) == 1:
                return found

    def candidates(self, texts: Sequence[str], count: int) -> list[list[str]]:
        """Candidates with as many words replaced as `changed` says."""
        return [[self._candidate(text, self.changed[text][n]) for n in range(count)] for text in texts]

    def _candidate(self, text: str, changes: int) -> str:
        found = tokens.tokenize(text)
        places = [place for place, token in enumerate(found) if token.isalpha()]
        chosen = self.rng.permutation(places)[:changes].tolist()
        return replaced(text, {place: self.drawn(found[place]) for place in chosen})


def frequencies(texts: Iterable[str]) -> Counter[str]:
    """How often each token occurs in some texts."""
    return Counter(token for text in texts for token in tokens.tokenize(text))
