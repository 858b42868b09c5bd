"""Back-translation: a text into another language and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from seqflows.rewriting.base import Generator


class Translator(Protocol):
    """A system that translates raw texts."""

    longest: int | None

    def sampled(self, texts: Sequence[str], count: int) -> list[list[str]]:
        """``count`` translations of each text, drawn."""

    def best(self, texts: Sequence[str]) -> list[str]:
        """The best translation of each text, by a search."""


class BackTranslation(Generator):
    """``count`` drawn translations of each text, and the best translation back of each."""

    def __init__(self, there: Translator, back: Translator) -> None:
        super().__init__()
        self.there, self.back, self.longest = there, back, there.longest

    def candidates(self, texts: Sequence[str], count: int) -> list[list[str]]:
        """Texts that have been there and back; "" where nothing was written on the way."""
        drawn = [one for row in self.there.sampled(texts, count) for one in row]
        different = list(dict.fromkeys(text for text in drawn if text))
        back = dict(zip(different, self.back.best(different), strict=True)) if different else {}
        again = [back.get(text, "") for text in drawn]
        return [again[place * count : (place + 1) * count] for place in range(len(texts))]
