"""A text source in the raw format of Penn Treebank, with known probabilities.

Words form a Markov chain; a sentence is its words joined by single spaces.
No word contains a space and no two are equal, so sentence and words determine each other, and a
sentence's log-probability (with its length) is that of its words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from seqflows.data.embedded.chain import Chain, heterogeneous, peaked
from seqflows.data.prepared import SPLITS
from seqflows.errors import Problem

NAME = "embedded-text"
WORDS = (
    "the", "a", "<unk>", "N", "of", "to", "in", "and", "mr.", "said", "its", "price", "rose", "fell", "stock",
    "year", "new", "by", "sales", "share", "is", "was", "for", "bank", "from", "market", "it", "has", "on", "at",
    "u.s.", "trade",
)  # fmt: skip


@dataclass(frozen=True)
class TextSource:
    """``lexicon`` words as the states of ``chain``."""

    lexicon: tuple[str, ...]
    chain: Chain

    @property
    def longest(self) -> int:
        """The number of characters of the longest sentence that can occur."""
        sizes = np.array([len(word) + 1.0 for word in self.lexicon])
        return int(self.chain.heaviest(sizes)) - 1

    def entropy(self) -> float:
        """Nats a sentence, its length included; exact."""
        return self.chain.entropy()

    def mean_length_plus_one(self) -> float:
        """E[T + 1] in characters, exact: each word counts with one space or the end."""
        return float(self.chain.visits @ np.array([len(word) + 1 for word in self.lexicon]))

    def log_prob(self, sentence: str) -> float:
        """The log-probability of a sentence with its length, in nats; -inf where it cannot occur."""
        places = {word: place for place, word in enumerate(self.lexicon)}
        words = sentence.split(" ")
        if not all(word in places for word in words):
            return -np.inf
        return self.chain.log_prob([places[word] for word in words])

    def log_probs(self, sentences: Sequence[str]) -> np.ndarray:
        """`log_prob` of each sentence, (N,)."""
        return np.array([self.log_prob(sentence) for sentence in sentences])

    def sample(self, rng: np.random.Generator, count: int) -> list[str]:
        """``count`` independent sentences."""
        return [" ".join(self.lexicon[state] for state in states) for states in self.chain.sample(rng, count)]

    def specification(self) -> dict[str, Any]:
        """The input of `from_specification`."""
        return {"lexicon": list(self.lexicon), "chain": self.chain.specification()}

    @classmethod
    def from_specification(cls, value: dict[str, Any]) -> TextSource:
        """Restore the source of a `specification`."""
        return cls(tuple(value["lexicon"]), Chain.from_specification(value["chain"]))

    def write(self, folder: Path, rng: np.random.Generator, counts: dict[str, int]) -> None:
        """Write ``train.txt``, ``valid.txt`` and ``test.txt``: one sentence per line, between spaces."""
        for split in SPLITS:
            text = "".join(f" {sentence} \n" for sentence in self.sample(rng, counts[split]))
            (folder / f"{split}.txt").write_text(text, encoding="utf-8", newline="\n")


def build(options: dict[str, Any], rng: np.random.Generator) -> TextSource:
    """Build the source of a seed: ``words`` = [fewest, most], the middle at least twice as likely as the ends."""
    fewest, most = options["words"] if len(options["words"]) == 2 else (0, 0)
    if not (1 <= fewest <= most and 2 <= options["lexicon"] <= len(WORDS)):
        raise Problem(
            f"expected words: [fewest, most] and a lexicon of 2 to {len(WORDS)} words, got "
            f"words: {options['words']}, lexicon: {options['lexicon']}; correct the dataset in params.yaml"
        )
    chain = heterogeneous(rng, options["lexicon"], peaked(fewest, most))
    return TextSource(tuple(WORDS[: options["lexicon"]]), chain)
