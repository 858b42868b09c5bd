"""A source of sentences with paraphrases of known probabilities, and word vectors.

A sentence, <name> <verb> the <noun> ., has words drawn evenly; its paraphrase has one of two forms:

    the <noun> was <verb> by <name> .
    it was <name> that <verb> the <noun> .

Each verb prefers a form, with the same probability for all verbs, as in `asking`; its past and its participle are one
word. So p(paraphrase | sentence) = p(form | verb).

Legend: verbs J; V tokens of the vocabulary, D numbers per vector. Nats.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from seqflows.data.embedded.asking import Asked
from seqflows.data.embedded.chain import entropies
from seqflows.data.embedded.clauses import NAMES, NOUNS, VERBS, vectors, write_vectors
from seqflows.data.prepared import SPLITS
from seqflows.data.readers import paraphrases
from seqflows.data.tokens import SPECIAL
from seqflows.errors import Problem

NAME = "embedded-paraphrases"
SENTENCE = "{name} {verb} the {noun} ."
FORMS = ("the {noun} was {verb} by {name} .", "it was {name} that {verb} the {noun} .")
FUNCTION = ("the", ".", "was", "by", "it", "that")


@dataclass(frozen=True)
class RewordingSource:
    """Sentences of ``lexicon``, the names, verbs and nouns.

    ``preferred`` (J,) is the form that each verb has with the probability ``preference``; ``vectors`` (V, D) belong to
    `vocabulary`.
    """

    lexicon: tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]
    preferred: np.ndarray
    preference: float
    vectors: np.ndarray

    @property
    def vocabulary(self) -> list[str]:
        """All tokens that can occur, the special ones first."""
        return [*SPECIAL, *FUNCTION, *(word for words in self.lexicon for word in words)]

    @property
    def longest(self) -> int:
        """Words of a sentence."""
        return len(SENTENCE.split())

    @property
    def longest_question(self) -> int:
        """Words of the longest paraphrase, with its end symbol."""
        return max(len(form.split()) for form in FORMS) + 1

    def entropy(self) -> float:
        """Nats per paraphrase, given its sentence; exact, as it is the same for all verbs."""
        return float(entropies(np.array([self.preference, 1 - self.preference])))

    def mean_length_plus_one(self) -> float:
        """Expected number of words of a paraphrase with the end symbol."""
        return float(self.forms().mean(axis=0) @ np.array([len(form.split()) + 1 for form in FORMS]))

    def forms(self) -> np.ndarray:
        """(J, 2) the probability of each form, by verb."""
        return np.where(self.preferred[:, None] == np.arange(2), self.preference, 1 - self.preference)

    @cached_property
    def sentences(self) -> dict[tuple[str, ...], tuple[str, str, str]]:
        """Each sentence's words, with its name, verb and noun."""
        return {
            tuple(SENTENCE.format(name=name, verb=verb, noun=noun).split()): (name, verb, noun)
            for name, verb, noun in itertools.product(*self.lexicon)
        }

    def paraphrases(self, sentence: Sequence[str]) -> dict[tuple[str, ...], float]:
        """The paraphrases of a sentence's words with their probabilities; empty for one that cannot occur."""
        if tuple(sentence) not in self.sentences:
            return {}
        name, verb, noun = self.sentences[tuple(sentence)]
        texts = [tuple(form.format(name=name, verb=verb, noun=noun).split()) for form in FORMS]
        return dict(zip(texts, self.forms()[self.lexicon[1].index(verb)].tolist(), strict=True))

    def log_probs(self, sequences: Iterable[Asked]) -> np.ndarray:
        """(N,) log p(paraphrase | sentence) of each; -inf if it cannot occur."""
        p = [self.paraphrases(one.paragraph).get(tuple(one.question), 0.0) for one in sequences]
        with np.errstate(divide="ignore"):
            return np.log(np.array(p))

    def sample(self, rng: np.random.Generator, count: int) -> list[Asked]:
        """``count`` independent sentences, each with a paraphrase."""
        every = list(self.sentences)
        return [self._reworded(rng, every[place]) for place in rng.integers(len(every), size=count)]

    def _reworded(self, rng: np.random.Generator, sentence: tuple[str, ...]) -> Asked:
        found = self.paraphrases(sentence)
        text = list(found)[rng.choice(len(found), p=list(found.values()))]
        return Asked(text, sentence, (0, len(sentence)))

    def specification(self) -> dict[str, Any]:
        """The input of `from_specification`."""
        arrays = {name: getattr(self, name).tolist() for name in ("preferred", "vectors")}
        return {"lexicon": [list(words) for words in self.lexicon], "preference": self.preference, **arrays}

    @classmethod
    def from_specification(cls, value: dict[str, Any]) -> RewordingSource:
        """Restore the source of a `specification`."""
        names, verbs, nouns = (tuple(words) for words in value["lexicon"])
        arrays = (np.array(value[name]) for name in ("preferred", "vectors"))
        preferred, known = arrays
        return cls((names, verbs, nouns), preferred, value["preference"], known)

    def write(self, folder: Path, rng: np.random.Generator, counts: dict[str, int]) -> None:
        """Write ``train.txt``, ``valid.txt`` and ``test.txt`` in the columns of `paraphrases`, and ``glove.txt``.

        No sentence is in two of them, or twice in one.
        """
        every = list(self.sentences)
        wanted = sum(counts[split] for split in SPLITS)
        if wanted > len(every):
            raise Problem(
                f"expected {wanted} different sentences of {NAME}, got {len(every)}; raise lexicon in params.yaml"
            )
        order = iter(rng.permutation(len(every)).tolist())
        for split in SPLITS:
            chosen = [every[place] for place in itertools.islice(order, counts[split])]
            pairs = [(" ".join(one.paragraph), " ".join(one.question)) for one in self._all(rng, chosen)]
            paraphrases.write(folder / f"{split}.txt", pairs)
        write_vectors(folder, self.vocabulary, self.vectors)

    def _all(self, rng: np.random.Generator, chosen: Iterable[tuple[str, ...]]) -> list[Asked]:
        return [self._reworded(rng, sentence) for sentence in chosen]


def build(options: dict[str, Any], rng: np.random.Generator) -> RewordingSource:
    """Build the source of a seed: ``lexicon`` content words; vectors of one norm, as in `asking`."""
    sizes = [(options["lexicon"] + place) // 3 for place in range(3)]
    words = tuple(known[:size] for known, size in zip((NAMES, VERBS, NOUNS), sizes, strict=True))
    count, dimensions = len(SPECIAL) + len(FUNCTION) + sum(sizes), options["dimensions"]
    preferred = rng.permutation(sizes[1]) % 2
    known = vectors(rng, count, dimensions, norm=dimensions**0.5)
    return RewordingSource(words, preferred, options["preference"], known)
