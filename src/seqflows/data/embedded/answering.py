"""A source of questions about paragraphs whose answers a reader can know: those of `asking`, read the other way.

The answer of "what did <name> <verb> ?" is the noun of the last sentence <name> <verb> the <noun> of the paragraph. So
a perfect reader is always right, while one that finds no more than the clause errs where it stands there twice.

Nats.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from typing import Any

import numpy as np

from seqflows.data.embedded import asking
from seqflows.data.embedded.asking import NOUN, SENTENCE, Asked, QuestionSource

NAME = "embedded-answers"
SYMBOLS = 3  # of an answer
DIMENSIONS = 8  # of the vectors that the files of the questions' source have


class AnswerSource(QuestionSource):
    """Questions of `QuestionSource`, as the source of their answers, each certain given its question."""

    def entropy(self) -> float:
        """Nats per answer, given its paragraph and question: 0."""
        return 0.0

    def mean_length_plus_one(self) -> float:
        """Symbols of an answer, with the end."""
        return SYMBOLS + 1.0

    def answer(self, paragraph: list[str], question: list[str]) -> tuple[int, int] | None:
        """The words of the last sentence's noun that can have this question, first and after; None without one."""
        nouns = range(NOUN, len(paragraph), SENTENCE)
        found = [(noun, noun + 1) for noun in nouns if tuple(question) in self.questions(paragraph, (noun, noun + 1))]
        return found[-1] if found else None

    def log_probs(self, sequences: Iterable[Asked]) -> np.ndarray:
        """(N,) log p(answer | paragraph, question) of each: 0, or -inf if it is wrong."""
        right = [self.answer(list(one.paragraph), list(one.question)) == tuple(one.answer) for one in sequences]
        return np.where(right, 0.0, -np.inf)


def build(options: dict[str, Any], rng: np.random.Generator) -> AnswerSource:
    """Build the source of a seed, see `asking.build`."""
    made = asking.build(options | {"dimensions": DIMENSIONS}, rng)
    return AnswerSource(**{one.name: getattr(made, one.name) for one in fields(made)})
