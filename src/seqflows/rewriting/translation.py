"""Back-translation: a text into another language and back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from seqflows.data import subwords
from seqflows.data.batching import Given
from seqflows.models.translator import Translator as Model
from seqflows.rewriting.base import Generator, contexts

BATCH = 64  # texts at once, of similar sizes


class Translator(Protocol):
    """A system that translates raw texts."""

    def fits(self, text: str) -> bool:
        """Whether the text is short enough."""

    def sampled(self, texts: Sequence[str], count: int) -> list[list[str]]:
        """``count`` translations of each text, drawn."""

    def best(self, texts: Sequence[str]) -> list[str]:
        """The best translation of each text, by a search."""


class Subworded:
    """A `Translator` made of a trained model and the encoder of its subwords.

    A text of more than ``longest`` subwords is too long; ``beam`` hypotheses has the search, ``temperature`` the draws.
    """

    def __init__(self, model: Model, encoder: subwords.Encoder, longest: int, beam: int, temperature: float) -> None:
        self.model, self.encoder, self.longest = model, encoder, longest
        self.beam, self.temperature = beam, temperature

    def _ids(self, texts: Sequence[str]) -> list[list[int]]:
        return self.encoder.encode(texts, "the texts to translate")

    def fits(self, text: str) -> bool:
        """Whether the text has no more subwords than training had."""
        return 0 < len(self._ids([text])[0]) <= self.longest

    def sampled(self, texts: Sequence[str], count: int) -> list[list[str]]:
        """``count`` translations of each text, drawn subword by subword."""
        return self._written(texts, lambda given: self.model.drawn(given, count, self.temperature))

    def best(self, texts: Sequence[str]) -> list[str]:
        """The best translation of each text, by beam search; "" of an empty text."""
        found = self._written(texts, lambda given: [[one] for one in self.model.write(given, self.beam)])
        return [row[0] for row in found]

    def _written(
        self, texts: Sequence[str], write: Callable[[Given], list[list[list[int]]]]
    ) -> list[list[str]]:  # fmt: skip
        ids = self._ids(texts)
        found: list[list[str]] = [[""] for _ in texts]
        order = [place for place in np.argsort([len(one) for one in ids], kind="stable") if ids[place]]
        for start in range(0, len(order), BATCH):
            part = order[start : start + BATCH]
            given = contexts([ids[place] for place in part]).to(self.model.never.device)
            for place, rows in zip(part, write(given), strict=True):
                found[place] = [subwords.decode(row, self.encoder.vocabulary) for row in rows]
        return found


class BackTranslation(Generator):
    """``count`` drawn translations of each text, and the best translation back of each."""

    def __init__(self, there: Translator, back: Translator) -> None:
        super().__init__()
        self.there, self.back = there, back

    def candidates(self, texts: Sequence[str], count: int) -> list[list[str]]:
        """Texts that have been there and back; "" where nothing was written on the way."""
        short = [text for text in texts if self.there.fits(text)]
        drawn = self.there.sampled(short, count) if short else []
        different = list(dict.fromkeys(text for row in drawn for text in row if text))
        again = dict(zip(different, self.back.best(different), strict=True)) if different else {}
        made = iter(drawn)
        return [
            [again.get(text, "") for text in next(made)] if self.there.fits(text) else self.kept(text, count)
            for text in texts
        ]
