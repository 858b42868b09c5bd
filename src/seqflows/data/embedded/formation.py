"""A source of words (prefix, stem, suffix) with known probabilities, in the raw format of word counts.

A word is a prefix (or none), a stem and a suffix that the stem's class admits. Derivations may give the same word;
the source is the list of all words with their summed probabilities, so that all its quantities are exact.
"""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from seqflows.data.readers import lexicon
from seqflows.errors import Problem

NAME = "embedded-words"
PREFIXES = {"": 0.7, "un": 0.1, "re": 0.12, "over": 0.08}
SUFFIXES = (
    {"": 0.4, "s": 0.25, "ed": 0.15, "ing": 0.2},
    {"": 0.5, "er": 0.2, "est": 0.1, "ly": 0.2},
    {"": 0.55, "s": 0.35, "less": 0.1},
)
ONSETS = ("b", "c", "d", "f", "g", "l", "m", "n", "p", "r", "s", "t", "w", "st", "tr", "pl")
NUCLEI = ("a", "e", "i", "o", "u", "ai", "ea", "oo")
CODAS = ("", "n", "t", "r", "l", "nd", "sh", "m")
FILE = "counts.tsv.gz"
STEMS = 20_000  # of the 81,030 that the syllables can make


@dataclass(frozen=True)
class WordSource:
    """Every word that can occur and its probability, (N,)."""

    words: tuple[str, ...]
    probabilities: np.ndarray

    @cached_property
    def _places(self) -> dict[str, int]:
        return {word: place for place, word in enumerate(self.words)}

    @property
    def longest(self) -> int:
        """Symbols of the longest word, with its end symbol."""
        return max(map(len, self.words)) + 1

    def entropy(self) -> float:
        """Nats a word; exact."""
        return float(-(self.probabilities * np.log(self.probabilities)).sum())

    def mean_length_plus_one(self) -> float:
        """Expected number of symbols, with the end symbol."""
        return float(self.probabilities @ np.array([len(word) + 1 for word in self.words]))

    def log_probs(self, sequences: Sequence[str]) -> np.ndarray:
        """Log-probability of each word, (N,), nats; -inf if it cannot occur."""
        places = np.array([self._places.get(word, -1) for word in sequences])
        return np.where(places < 0, -np.inf, np.log(self.probabilities)[places])

    def sample(self, rng: np.random.Generator, count: int) -> list[str]:
        """``count`` independent words."""
        drawn = rng.choice(len(self.words), size=count, p=self.probabilities / self.probabilities.sum())
        return [self.words[place] for place in drawn]

    def specification(self) -> dict[str, Any]:
        """The input of `from_specification`."""
        return {"words": list(self.words), "probabilities": self.probabilities.tolist()}

    @classmethod
    def from_specification(cls, value: dict[str, Any]) -> WordSource:
        """Restore the source of a `specification`."""
        return cls(tuple(value["words"]), np.array(value["probabilities"]))

    def counts(self, rng: np.random.Generator, tokens: int) -> lexicon.Counts:
        """The counts of each word in ``tokens`` independent draws."""
        drawn = rng.multinomial(tokens, self.probabilities / self.probabilities.sum())
        return lexicon.ordered({word: int(n) for word, n in zip(self.words, drawn, strict=True) if n})

    def write(self, folder: Path, rng: np.random.Generator, counts: dict[str, int]) -> None:
        """Write ``counts.tsv.gz``, a function of the random stream alone."""
        found = self.counts(rng, counts["tokens"])
        lines = "".join(f"{word}\t{count}\n" for word, count in zip(found.words, found.counts.tolist(), strict=True))
        (folder / FILE).write_bytes(gzip.compress(lines.encode(), mtime=0))


def build(options: dict[str, Any], rng: np.random.Generator) -> WordSource:
    """Build the source of a seed: stems of one or two syllables with frequencies like 1 / rank."""
    if not 2 <= options["stems"] <= STEMS:
        raise Problem(
            f"expected 2 to {STEMS} stems for {NAME}, got {options['stems']}; correct the dataset in params.yaml"
        )
    stems: dict[str, int] = {}
    while len(stems) < options["stems"]:
        syllables = 1 + int(rng.integers(2))
        parts = [rng.choice(ONSETS) + rng.choice(NUCLEI) for _ in range(syllables)]
        stem = "".join(parts) + rng.choice(CODAS)
        if 2 <= len(stem) <= 6:
            stems.setdefault(str(stem), int(rng.integers(len(SUFFIXES))))
    weights = 1 / np.arange(2.0, len(stems) + 2)
    found: dict[str, float] = {}
    for (stem, kind), weight in zip(stems.items(), weights / weights.sum(), strict=True):
        for prefix, share in PREFIXES.items():
            for suffix, part in SUFFIXES[kind].items():
                word = prefix + stem + suffix
                found[word] = found.get(word, 0.0) + float(weight) * share * part
    kept = {word: p for word, p in sorted(found.items()) if 2 <= len(word) <= 12}
    total = sum(kept.values())
    return WordSource(tuple(kept), np.array([p / total for p in kept.values()]))
