"""A source of questions and short paragraphs with known probabilities and word vectors.

A text is a question or a paragraph, with equal probability:

    what did <name> <verb> (<link> <name> <verb>)* ?        links: after, before, when
    (<name> <verb> the <noun> .)+

The names of a text are a Markov chain of random length; a verb depends on its name, a noun on its verb, and links are
independent. No two lists share a word, so a text and its derivation determine each other.

Legend: names I, verbs J, nouns K, links L; V tokens of the vocabulary, D numbers per vector. Nats.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from seqflows.data.embedded.chain import Chain, entropies, geometric, heterogeneous, peaked
from seqflows.data.prepared import SPLITS
from seqflows.data.tokens import SPECIAL
from seqflows.errors import Problem

NAME = "embedded-language"
NAMES = (
    *("anna", "ben", "carl", "dora", "emma", "finn", "greta", "hugo"),
    *("iris", "jack", "kate", "leo", "mona", "nick", "olga", "paul"),
)
VERBS = (  # the same in past and present
    *("put", "cut", "hit", "read", "shut", "set", "cast", "spread"),
    *("shed", "split", "thrust", "bid", "bet", "hurt", "let", "quit"),
)
NOUNS = (
    *("book", "door", "ball", "bread", "table", "light", "letter", "rope"),
    *("card", "box", "stone", "window", "glass", "paper", "bag", "coat"),
)
LINKS = ("after", "before", "when")
FUNCTION = ("what", "did", "?", "the", ".", *LINKS)
DISTANCE = 1.0  # smallest distance of two vectors: 64 times the deviation 2^-6 of the models' noise
VECTORS = "glove.txt"
TRIES = 10_000


class Derivation(NamedTuple):
    """The choices behind a text: links (of a question) or nouns (of a paragraph) are its ``extras``."""

    question: bool
    names: list[int]
    verbs: list[int]
    extras: list[int]


@dataclass(frozen=True)
class LanguageSource:
    """Two chains over names, the rows ``verbs`` (I, J) and ``nouns`` (J, K), and ``links`` (L,).

    ``lexicon`` has the names, verbs and nouns; ``vectors`` (V, D) belong to `vocabulary`.
    """

    lexicon: tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]
    questions: Chain
    paragraphs: Chain
    verbs: np.ndarray
    nouns: np.ndarray
    links: np.ndarray
    vectors: np.ndarray

    @property
    def vocabulary(self) -> list[str]:
        """All tokens that can occur, the special ones first."""
        return [*SPECIAL, *FUNCTION, *(word for words in self.lexicon for word in words)]

    @property
    def longest(self) -> int:
        """Tokens of the longest text, with its begin and end symbols."""
        return 2 + max(3 * self.questions.longest + 2, 5 * self.paragraphs.longest)

    def entropy(self) -> float:
        """Nats per text; exact."""
        return float(np.log(2) + (self._entropy(self.questions, True) + self._entropy(self.paragraphs, False)) / 2)

    def _entropy(self, chain: Chain, question: bool) -> float:
        verbs = chain.visits @ entropies(self.verbs)
        if question:
            return chain.entropy() + verbs + (chain.mean_length - 1) * entropies(self.links)
        return chain.entropy() + verbs + chain.visits @ self.verbs @ entropies(self.nouns)

    def mean_length_plus_one(self) -> float:
        """Expected number of tokens, with the end symbol and without the begin symbol."""
        return (3 * self.questions.mean_length + 2 + 5 * self.paragraphs.mean_length) / 2 + 1

    @cached_property
    def _places(self) -> list[dict[str, int]]:
        lists = (*self.lexicon, LINKS)
        return [{word: place for place, word in enumerate(words)} for words in lists]

    def derivation(self, sequence: Sequence[str]) -> Derivation | None:
        """The choices that give a text's tokens, or None if no choices do."""
        names, verbs, nouns, links = self._places
        words = list(sequence)
        if question := words[:2] == ["what", "did"] and words[-1:] == ["?"]:
            pattern = [names, verbs, links]
            chosen = words[2:-1]
            whole = len(chosen) % 3 == 2
        else:
            pattern = [names, verbs, nouns]
            chosen = [word for place, word in enumerate(words) if place % 5 in (0, 1, 3)]
            whole = len(words) % 5 == 0 and set(words[2::5]) == {"the"} and set(words[4::5]) == {"."}
        found = [pattern[place % 3].get(word, -1) for place, word in enumerate(chosen)]
        return Derivation(question, found[::3], found[1::3], found[2::3]) if whole and min(found) >= 0 else None

    def log_prob(self, sequence: Sequence[str]) -> float:
        """The log-probability of a text's tokens, nats; -inf if they cannot occur."""
        found = self.derivation(sequence)
        if found is None:
            return -np.inf
        chain, extras = (self.questions, self.links) if found.question else (self.paragraphs, self.nouns[found.verbs])
        chosen = extras[found.extras] if found.question else extras[np.arange(len(found.extras)), found.extras]
        with np.errstate(divide="ignore"):
            rest = np.log(self.verbs[found.names, found.verbs]).sum() + np.log(chosen).sum()
        return float(np.log(0.5) + chain.log_prob(found.names) + rest)

    def log_probs(self, sequences: Sequence[Sequence[str]]) -> np.ndarray:
        """`log_prob` of each text, (N,)."""
        return np.array([self.log_prob(sequence) for sequence in sequences])

    def sample(self, rng: np.random.Generator, count: int) -> list[list[str]]:
        """``count`` independent texts, as tokens."""
        asked = rng.random(count) < 0.5
        chains = [iter(chain.sample(rng, count)) for chain in (self.paragraphs, self.questions)]
        return [self._text(rng, bool(question), next(chains[int(question)])) for question in asked]

    def paragraph(self, rng: np.random.Generator) -> list[str]:
        """A paragraph, as tokens."""
        return self._text(rng, False, self.paragraphs.sample(rng, 1)[0])

    def _text(self, rng: np.random.Generator, question: bool, chosen: np.ndarray) -> list[str]:
        names, verbs, nouns = self.lexicon
        found = []
        for number, name in enumerate(chosen):
            verb = rng.choice(len(verbs), p=self.verbs[name])
            if question and number:
                found.append(LINKS[rng.choice(len(LINKS), p=self.links)])
            found += [names[name], verbs[verb]]
            if not question:
                found += ["the", nouns[rng.choice(len(nouns), p=self.nouns[verb])], "."]
        return ["what", "did", *found, "?"] if question else found

    def specification(self) -> dict[str, Any]:
        """The input of `from_specification`."""
        tables = {name: getattr(self, name).tolist() for name in ("verbs", "nouns", "links", "vectors")}
        chains = {name: getattr(self, name).specification() for name in ("questions", "paragraphs")}
        return {"lexicon": [list(words) for words in self.lexicon], **chains, **tables}

    @classmethod
    def from_specification(cls, value: dict[str, Any]) -> LanguageSource:
        """Restore the source of a `specification`."""
        names, verbs, nouns = (tuple(words) for words in value["lexicon"])
        chains = (Chain.from_specification(value[name]) for name in ("questions", "paragraphs"))
        tables = (np.array(value[name]) for name in ("verbs", "nouns", "links", "vectors"))
        return cls((names, verbs, nouns), *chains, *tables)

    def write(self, folder: Path, rng: np.random.Generator, counts: dict[str, int]) -> None:
        """Write ``train.json``, ``valid.json`` and ``test.json`` as SQuAD, a paragraph per text, and ``glove.txt``."""
        for split in SPLITS:
            texts = [" ".join(tokens) for tokens in self.sample(rng, counts[split])]
            paragraphs = [{"context": text, "qas": []} for text in texts]
            value = {"data": [{"title": split, "paragraphs": paragraphs}], "version": NAME}
            (folder / f"{split}.json").write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8", newline="\n")
        write_vectors(folder, self.vocabulary, self.vectors)


def write_vectors(folder: Path, vocabulary: Sequence[str], vectors: np.ndarray) -> None:
    """Write ``glove.txt``, a line for each word of the ``vocabulary`` with its row of ``vectors`` (V, D)."""
    rows = zip(vocabulary, vectors.tolist(), strict=True)
    lines = "".join(f"{word} {' '.join(f'{number:.6f}' for number in vector)}\n" for word, vector in rows)
    (folder / VECTORS).write_text(lines, encoding="utf-8", newline="\n")


def build(options: dict[str, Any], rng: np.random.Generator) -> LanguageSource:
    """Build the source of a seed: texts of up to ``length`` tokens with begin and end, ``lexicon`` content words."""
    lexicon, length = options["lexicon"], options["length"]
    if not (6 <= lexicon <= 3 * len(NAMES) and length >= 7):
        raise Problem(
            f"expected a lexicon of 6 to {3 * len(NAMES)} words and a length of at least 7 for {NAME}, got "
            f"{lexicon} and {length}; correct the dataset in params.yaml"
        )
    sizes = [(lexicon + place) // 3 for place in range(3)]
    words = tuple(known[:size] for known, size in zip((NAMES, VERBS, NOUNS), sizes, strict=True))
    clauses, sentences = min(4, (length - 4) // 3), min(12, (length - 2) // 5)
    return LanguageSource(
        words,
        heterogeneous(rng, sizes[0], peaked(1, clauses)),
        heterogeneous(rng, sizes[0], peaked(max(1, sentences // 2), sentences)),
        np.array([geometric(rng, sizes[1], int(rng.integers(2, 6)), rng.uniform(0.2, 0.6)) for _ in range(sizes[0])]),
        np.array([geometric(rng, sizes[2], int(rng.integers(2, 6)), rng.uniform(0.2, 0.6)) for _ in range(sizes[1])]),
        geometric(rng, len(LINKS), len(LINKS), 0.5),
        vectors(rng, len(SPECIAL) + len(FUNCTION) + lexicon, options["dimensions"]),
    )


def vectors(
    rng: np.random.Generator, count: int, dimensions: int, norm: float | None = None
) -> np.ndarray:  # fmt: skip
    """Normal vectors (V, D), or of one ``norm``, to six decimals, each redrawn until `DISTANCE` from earlier ones."""
    vectors = np.zeros((0, dimensions))
    for _ in range(TRIES):
        drawn = rng.standard_normal(dimensions)
        drawn = (drawn if norm is None else drawn * norm / np.linalg.norm(drawn)).round(6)
        if dimensions and (np.linalg.norm(vectors - drawn, axis=1) >= DISTANCE).all():
            vectors = np.vstack([vectors, drawn])
        if len(vectors) == count:
            return vectors
    raise Problem(
        f"expected room for {count} vectors at a distance of {DISTANCE:g} in dimensions: {dimensions}, got "
        f"{len(vectors)} of them; raise dimensions in params.yaml"
    )
