"""A source of questions about paragraphs, with known probabilities given the answer, and word vectors.

A paragraph is one of `clauses`. An answer is the noun of a sentence, <name> <verb> the <noun>, and its question has one
of two forms:

    what did <name> <verb> ?
    name the thing that <name> <verb> .

Each verb prefers a form, with the same probability for all verbs, independently of all else. So a question is a
function of its form and of the answer's sentence, and p(question | paragraph, answer) = p(form | verb).

Legend: verbs J; V tokens of the vocabulary, D numbers per vector. Nats.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from seqflows.data.embedded import clauses
from seqflows.data.embedded.chain import entropies
from seqflows.data.prepared import SPLITS, Dataset
from seqflows.errors import Problem

NAME = "embedded-questions"
FORMS = (("what did", "?"), ("name the thing that", "."))  # before and after <name> <verb>
WORDS = ("name", "thing", "that")  # the words of the forms that `clauses` does not have
SENTENCE, NOUN = 5, 3  # words of a sentence, and the place of its noun


class Asked(NamedTuple):
    """The words of a question and of its paragraph, and the answer's first word and the one after its last."""

    question: Sequence[str]
    paragraph: Sequence[str]
    answer: tuple[int, int]


@dataclass(frozen=True)
class QuestionSource:
    """Questions about the paragraphs of ``texts``, up to ``asked`` about each.

    ``preferred`` (J,) is the form that each verb has with the probability ``preference``; ``vectors`` (V, D) belong to
    `vocabulary`.
    """

    texts: clauses.LanguageSource
    preferred: np.ndarray
    preference: float
    asked: int
    vectors: np.ndarray

    @property
    def vocabulary(self) -> list[str]:
        """All tokens that can occur, the special ones first."""
        return [*self.texts.vocabulary, *WORDS]

    @property
    def longest(self) -> int:
        """Words of the longest paragraph."""
        return SENTENCE * self.texts.paragraphs.longest

    @property
    def longest_question(self) -> int:
        """Words of the longest question, with its end symbol."""
        return int(self._lengths.max())

    @property
    def _lengths(self) -> np.ndarray:
        """(2,) words of each form, with the end symbol."""
        return np.array([len(before.split()) + 4 for before, _ in FORMS])

    def entropy(self) -> float:
        """Nats per question, given its paragraph and answer; exact, as it is the same for all verbs."""
        return float(entropies(np.array([self.preference, 1 - self.preference])))

    def mean_length_plus_one(self) -> float:
        """Expected number of words with the end symbol, of a question about any sentence of a paragraph."""
        return float(self.texts.paragraphs.one @ self.texts.verbs @ self.forms() @ self._lengths)

    def forms(self) -> np.ndarray:
        """(J, 2) the probability of each form, by verb."""
        return np.where(self.preferred[:, None] == np.arange(2), self.preference, 1 - self.preference)

    def questions(self, paragraph: Sequence[str], answer: tuple[int, int]) -> dict[tuple[str, ...], float]:
        """The questions for an ``answer``, its first word and the one after its last, with their probabilities.

        Empty if the paragraph cannot occur or the answer is not the noun of a sentence.
        """
        found, (place, rest) = self.texts.derivation(paragraph), divmod(answer[0], SENTENCE)
        if found is None or found.question or rest != NOUN or answer[1] != answer[0] + 1:
            return {}
        name, verb = paragraph[SENTENCE * place : SENTENCE * place + 2]
        texts = [(*before.split(), name, verb, after) for before, after in FORMS]
        return dict(zip(texts, self.forms()[found.verbs[place]].tolist(), strict=True))

    def likeliest(self, paragraph: Sequence[str], answer: tuple[int, int]) -> tuple[str, ...]:
        """The words of the most probable question; no system can expect to do better than to write these."""
        found = self.questions(paragraph, answer)
        return max(found, key=found.__getitem__)

    def log_probs(self, sequences: Iterable[Asked]) -> np.ndarray:
        """(N,) log p(question | paragraph, answer) of each; -inf if it cannot occur."""
        p = [self.questions(one.paragraph, one.answer).get(tuple(one.question), 0.0) for one in sequences]
        with np.errstate(divide="ignore"):
            return np.log(np.array(p))

    def sample(self, rng: np.random.Generator, count: int) -> list[Asked]:
        """``count`` questions, each about a sentence of a paragraph of its own."""
        paragraphs = [self.texts.paragraph(rng) for _ in range(count)]
        return [self._asked(rng, words, int(rng.integers(len(words) // SENTENCE))) for words in paragraphs]

    def _asked(self, rng: np.random.Generator, paragraph: Sequence[str], place: int) -> Asked:
        answer = (SENTENCE * place + NOUN, SENTENCE * place + NOUN + 1)
        found = self.questions(paragraph, answer)
        return Asked(list(found)[rng.choice(len(found), p=list(found.values()))], paragraph, answer)

    def different(self, rng: np.random.Generator) -> Iterator[list[Asked]]:
        """Yield the questions about a paragraph, for paragraphs that differ.

        Of sentences with the same name and verb one is asked about: no question stands twice in a paragraph.
        """
        seen = set()
        for _ in range(clauses.TRIES):
            words = self.texts.paragraph(rng)
            if tuple(words) not in seen:
                seen.add(tuple(words))
                sentences = [words[start : start + 2] for start in range(0, len(words), SENTENCE)]
                places = list({tuple(clause): place for place, clause in enumerate(sentences)}.values())
                chosen = sorted(rng.permutation(places)[: self.asked].tolist())
                yield [self._asked(rng, words, place) for place in chosen]

    def specification(self) -> dict[str, Any]:
        """The input of `from_specification`."""
        return {
            **{"texts": self.texts.specification(), "preferred": self.preferred.tolist()},
            **{"preference": self.preference, "asked": self.asked},
            "vectors": self.vectors[len(self.texts.vectors) :].tolist(),
        }

    @classmethod
    def from_specification(cls, value: dict[str, Any]) -> QuestionSource:
        """Restore the source of a `specification`."""
        texts = clauses.LanguageSource.from_specification(value["texts"])
        vectors = np.vstack([texts.vectors, value["vectors"]])
        return cls(texts, np.array(value["preferred"]), value["preference"], value["asked"], vectors)

    def write(self, folder: Path, rng: np.random.Generator, counts: dict[str, int]) -> None:
        """Write ``train.json``, ``valid.json`` and ``test.json`` as SQuAD, and ``glove.txt``.

        They have ``counts`` questions, and no paragraph is in two of them.
        """
        drawn = self.different(rng)
        for split in SPLITS:
            paragraphs: list[dict[str, Any]] = []
            count = 0
            while count < counts[split] and (asked := next(drawn, None)):
                kept = asked[: counts[split] - count]
                entries = [_entry(one, f"{split}-{count + number}") for number, one in enumerate(kept)]
                paragraphs.append({"context": " ".join(kept[0].paragraph), "qas": entries})
                count += len(kept)
            if count < counts[split]:
                raise Problem(
                    f"expected {counts[split]} questions about different paragraphs in {split} of {NAME}, got {count} "
                    f"in {clauses.TRIES} draws; raise lexicon or window in params.yaml"
                )
            value = {"data": [{"title": split, "paragraphs": paragraphs}], "version": NAME}
            (folder / f"{split}.json").write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8", newline="\n")
        clauses.write_vectors(folder, self.vocabulary, self.vectors)


def likeliest(dataset: Dataset) -> list[str] | None:
    """The most probable question of each test pair, its words joined by spaces; None if the source is another.

    Their BLEU is the best that a system can expect.
    """
    if dataset.statistics["source"] != NAME:
        return None
    source = QuestionSource.from_specification(dataset.statistics["source_specification"])
    contexts, found = dataset.test.contexts, []
    assert contexts is not None and contexts.answer is not None
    for index in range(len(contexts)):
        paragraph = [dataset.vocabulary[place] for place in contexts.words[contexts.rows(index)]]
        first, after = (contexts.answer[index] - contexts.window[index, 0]).tolist()
        found.append(" ".join(source.likeliest(paragraph, (first, after))))
    return found


def _entry(asked: Asked, name: str) -> dict[str, Any]:
    """A question in the layout of SQuAD."""
    before, (word,) = asked.paragraph[: asked.answer[0]], asked.paragraph[slice(*asked.answer)]
    answer = {"text": word, "answer_start": len(" ".join(before)) + 1}
    return {"id": name, "question": " ".join(asked.question), "answers": [answer]}


def build(options: dict[str, Any], rng: np.random.Generator) -> QuestionSource:
    """Build the source of a seed: paragraphs of up to ``window`` words, ``lexicon`` content words.

    The vectors have one norm: a model whose logits are products with them can then make any word the most likely, while
    a vector within the hull of the others never has the largest product.
    """
    if options["window"] < SENTENCE:
        raise Problem(
            f"expected a window of at least {SENTENCE}, the words of a sentence, for {NAME}, got {options['window']}; "
            "correct the dataset in params.yaml"
        )
    texts = clauses.build(options | {"length": options["window"] + 2}, rng)
    verbs = len(texts.lexicon[1])
    preferred = rng.permutation(verbs) % 2
    known, dimensions = len(texts.vocabulary), options["dimensions"]
    vectors = clauses.vectors(rng, known + len(WORDS), dimensions, norm=dimensions**0.5)
    texts = replace(texts, vectors=vectors[:known])
    return QuestionSource(texts, preferred, options["preference"], options["asked"], vectors)
