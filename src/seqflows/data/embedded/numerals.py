"""A source of translations whose right answers are all known: numbers and dates in words, Romanian and English.

A meaning is a number, or a date with its year. Each language says it in one form or in one of two, the usual of them
with the probability ``preference``, whatever the other language has:

    one hundred and five / one hundred five; May the third , nineteen oh four / the third of May , nineteen oh four
    o sut\u0103 cinci; \u00eent\u00e2i mai o mie nou\u0103 sute patru / unu mai o mie nou\u0103 sute patru

A sentence has one meaning, so that the probability of its translation is that of the translation's form. Nats.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from seqflows.data.prepared import SPLITS, Dataset
from seqflows.errors import Problem

NAME = "embedded-numbers"
LANGUAGES = ("ro", "en")
YEARS = range(1895, 1935)
DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
MONTHS = {
    "ro": (
        *("ianuarie", "februarie", "martie", "aprilie", "mai", "iunie"),
        *("iulie", "august", "septembrie", "octombrie", "noiembrie", "decembrie"),
    ),
    "en": (
        *("January", "February", "March", "April", "May", "June"),
        *("July", "August", "September", "October", "November", "December"),
    ),
}
ENGLISH = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
ENGLISH_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
ORDINALS = {"one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth"}
ORDINALS |= {"twelve": "twelfth", "twenty": "twentieth", "thirty": "thirtieth"}
ROMANIAN = (
    *("zero", "unu", "doi", "trei", "patru", "cinci", "\u0219ase", "\u0219apte", "opt", "nou\u0103", "zece"),
    *("unsprezece", "doisprezece", "treisprezece", "paisprezece", "cincisprezece", "\u0219aisprezece"),
    *("\u0219aptesprezece", "optsprezece", "nou\u0103sprezece"),
)
FEMININE = {1: "o", 2: "dou\u0103"}  # before hundreds, thousands and the like


class Date(NamedTuple):
    """A day of a month (both from 1) of a year."""

    day: int
    month: int
    year: int


Meaning = int | Date
Forms = dict[str, float]  # a text and its probability


class Translated(NamedTuple):
    """A sentence and its translation."""

    source: str
    target: str


def english(number: int, joined: bool) -> str:
    """A number below 10,000; ``joined`` says that ``and`` stands before what is below a hundred.

    >>> english(2305, True), english(2305, False), english(42, True)
    ('two thousand three hundred and five', 'two thousand three hundred five', 'forty-two')
    """
    thousands, hundreds, rest = number // 1000, number // 100 % 10, number % 100
    words = [ENGLISH[thousands], "thousand"] * bool(thousands) + [ENGLISH[hundreds], "hundred"] * bool(hundreds)
    if rest or not words:
        words += ["and"] * bool(words and joined) + [_english_below(rest)]
    return " ".join(words)


def _english_below(number: int) -> str:
    if number < 20:
        return ENGLISH[number]
    return ENGLISH_TENS[number // 10] + (f"-{ENGLISH[number % 10]}" if number % 10 else "")


def ordinal(number: int) -> str:
    """A day of a month.

    >>> ordinal(1), ordinal(20), ordinal(23), ordinal(14)
    ('first', 'twentieth', 'twenty-third', 'fourteenth')
    """
    tens, dash, last = _english_below(number).rpartition("-")
    return f"{tens}{dash}{ORDINALS.get(last, f'{last}th')}"


def year(number: int) -> str:
    """A year as two numbers, but for the first of a century and of a millennium.

    >>> year(1984), year(1905), year(1900), year(2003)
    ('nineteen eighty-four', 'nineteen oh five', 'nineteen hundred', 'two thousand three')
    """
    century, rest = divmod(number, 100)
    if number % 1000 < 10:
        return english(number, False)
    said = "hundred" if not rest else f"oh {ENGLISH[rest]}" if rest < 10 else _english_below(rest)
    return f"{_english_below(century)} {said}"


def romanian(number: int) -> str:
    """A number below 10,000.

    >>> romanian(2101), romanian(342)
    ('dou\u0103 mii o sut\u0103 unu', 'trei sute patruzeci \u0219i doi')
    """
    thousands, hundreds, rest = number // 1000, number // 100 % 10, number % 100
    words = _counted(thousands, "mie", "mii") + _counted(hundreds, "sut\u0103", "sute")
    if rest or not words:
        words += _romanian_below(rest)
    return " ".join(words)


def _counted(count: int, one: str, more: str) -> list[str]:
    """A feminine noun with its number below ten; nothing at 0."""
    return [FEMININE.get(count, ROMANIAN[count]), one if count == 1 else more] if count else []


def _romanian_below(number: int) -> list[str]:
    if number < 20:
        return [ROMANIAN[number]]
    tens = number // 10
    stem = {2: "dou\u0103", 6: "\u0219ai"}.get(tens, ROMANIAN[tens])
    return [f"{stem}zeci", *(["\u0219i", ROMANIAN[number % 10]] if number % 10 else [])]


@dataclass(frozen=True)
class NumberSource:
    """Numbers below ``largest`` and, with the probability ``dates``, dates; all of a kind are as likely."""

    largest: int
    dates: float
    preference: float
    direction: str

    @property
    def longest(self) -> int:
        """Words of the longest sentence."""
        return max(len(text.split()) for forms in self._known.values() for text in forms)

    def forms(self, language: str, meaning: Meaning) -> Forms:
        """Every text of a meaning with its probability."""
        texts = self._romanian(meaning) if language == "ro" else self._english(meaning)
        different = list(dict.fromkeys(texts))
        shares = [1.0] if len(different) == 1 else [self.preference, 1 - self.preference]
        return dict(zip(different, shares, strict=True))

    @staticmethod
    def _romanian(meaning: Meaning) -> list[str]:
        if isinstance(meaning, int):
            return [romanian(meaning)]
        days = ["\u00eent\u00e2i", "unu"] if meaning.day == 1 else [romanian(meaning.day)]
        return [f"{day} {MONTHS['ro'][meaning.month - 1]} {romanian(meaning.year)}" for day in days]

    @staticmethod
    def _english(meaning: Meaning) -> list[str]:
        if isinstance(meaning, int):
            return [english(meaning, True), english(meaning, False)]
        day, month, said = ordinal(meaning.day), MONTHS["en"][meaning.month - 1], year(meaning.year)
        return [f"{month} the {day} , {said}", f"the {day} of {month} , {said}"]

    @cached_property
    def _meanings(self) -> tuple[list[Meaning], np.ndarray]:
        """All meanings, and the probability of each."""
        numbers: list[Meaning] = list(range(self.largest))
        dates = [
            Date(day, month, one) for one in YEARS for month in range(1, 13) for day in range(1, DAYS[month - 1] + 1)
        ]
        p = np.r_[np.full(len(numbers), (1 - self.dates) / len(numbers)), np.full(len(dates), self.dates / len(dates))]
        return [*numbers, *dates], p

    @cached_property
    def _read(self) -> dict[str, Meaning]:
        """The meaning of each source sentence."""
        language = self.direction[:2]
        return {text: meaning for meaning in self._meanings[0] for text in self.forms(language, meaning)}

    @cached_property
    def _known(self) -> dict[Meaning, Forms]:
        """The translations of each meaning."""
        return {meaning: self.forms(self.direction[3:], meaning) for meaning in self._meanings[0]}

    def translations(self, text: str) -> Forms:
        """Every right translation of a source sentence with its probability; none of another text."""
        meaning = self._read.get(text)
        return {} if meaning is None else self._known[meaning]

    def log_probs(self, sequences: Iterable[Translated]) -> np.ndarray:
        """(N,) log p(target | source) of each; -inf if it is no translation."""
        p = [self.translations(one.source).get(one.target, 0.0) for one in sequences]
        with np.errstate(divide="ignore"):
            return np.log(np.array(p))

    def entropy(self) -> float:
        """Nats per translation, given its source; exact."""
        meanings, p = self._meanings
        each = [-sum(share * np.log(share) for share in self._known[one].values()) for one in meanings]
        return float(p @ np.array(each))

    def mean_length_plus_one(self) -> float:
        """Expected number of words of a translation, with its end."""
        meanings, p = self._meanings
        each = [sum(share * len(text.split()) for text, share in self._known[one].items()) for one in meanings]
        return float(p @ np.array(each)) + 1

    def specification(self) -> dict[str, Any]:
        """The input of `from_specification`."""
        return {name: getattr(self, name) for name in ("largest", "dates", "preference", "direction")}

    @classmethod
    def from_specification(cls, value: dict[str, Any]) -> NumberSource:
        """Restore the source of a `specification`."""
        return cls(value["largest"], value["dates"], value["preference"], value["direction"])

    def write(self, folder: Path, rng: np.random.Generator, counts: dict[str, int]) -> None:
        """Write ``<split>.ro`` and ``<split>.en``, a sentence per line, of different meanings in all of them."""
        meanings, p = self._meanings
        wanted = sum(counts[split] for split in SPLITS)
        if wanted > (p > 0).sum():
            raise Problem(
                f"expected at most {int((p > 0).sum())} sentences of different meanings from {NAME}, got {wanted}; "
                "lower train, valid or test, or raise largest in params.yaml"
            )
        # In another order, since what is drawn late without replacement is of the rarer kind.
        places = iter(rng.permutation(rng.choice(len(meanings), wanted, replace=False, p=p)).tolist())
        for split in SPLITS:
            drawn = [meanings[next(places)] for _ in range(counts[split])]
            for language in LANGUAGES:
                lines = [self._draw(rng, self.forms(language, meaning)) for meaning in drawn]
                (folder / f"{split}.{language}").write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")

    @staticmethod
    def _draw(rng: np.random.Generator, forms: Forms) -> str:
        return list(forms)[rng.choice(len(forms), p=list(forms.values()))]


def right(dataset: Dataset, sources: Sequence[str]) -> list[Forms] | None:
    """The right translations of test sentences, with their probabilities; None if the source is another."""
    if dataset.statistics["source"] != NAME:
        return None
    source = NumberSource.from_specification(dataset.statistics["source_specification"])
    return [source.translations(text) for text in sources]


def build(options: dict[str, Any], rng: np.random.Generator) -> NumberSource:
    """Build the source; nothing in it is random but what it writes."""
    return NumberSource(options["largest"], options["dates"], options["preference"], options["direction"])
