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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from seqflows.data.embedded import clauses
from seqflows.data.embedded.chain import entropies
from seqflows.data.prepared import SPLITS
from seqflows.errors import Problem

NAME = "embedded-questions"
FORMS = (("what did", "?"), ("name the thing that", "."))  # before and after <name> <verb>
WORDS = ("name", "thing", "that")  # the words of the forms that `clauses` does not have
SENTENCE, NOUN = 5, 3  # words of a sentence, and the place of its noun


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
        """Expected number of words with the end symbol, of questions about all sentences of many paragraphs."""
        chain = self.texts.paragraphs
        return float(chain.visits @ self.texts.verbs @ self.forms() @ self._lengths / chain.mean_length)

    def forms(self) -> np.ndarray:
        """(J, 2) the probability of each form, by verb."""
        return np.where(self.preferred[:, None] == np.arange(2), self.preference, 1 - self.preference)

    def questions(self, paragraph: Sequence[str], answer: tuple[int, int]) -> dict[tuple[str, ...], float]:
        """The questions for an ``answer`` (its first word, the one after its last) with their probabilities.

        None if the paragraph cannot occur or the answer is not the noun of a sentence.
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

    def log_probs(self, sequences: Iterable[tuple[Sequence[str], Sequence[str], tuple[int, int]]]) -> np.ndarray:
        """(N,) log p(question | paragraph, answer) of each (question, paragraph, answer); -inf if it cannot occur."""
        p = [self.questions(paragraph, answer).get(tuple(words), 0.0) for words, paragraph, answer in sequences]
        with np.errstate(divide="ignore"):
            return np.log(np.array(p))

    def sample(self, rng: np.random.Generator, seen: set[str]) -> Iterator[tuple[str, list[tuple[str, int]]]]:
        """Yield new paragraphs, not among the ``seen``, each with its questions and the words that answer them.

        Of sentences with the same name and verb one is asked about: no question stands twice in a paragraph.
        """
        for _ in range(clauses.TRIES):
            words = self.texts.paragraph(rng)
            if (text := " ".join(words)) in seen:
                continue
            seen.add(text)
            different = {tuple(words[start : start + 2]): start for start in range(0, len(words), SENTENCE)}
            starts = rng.permutation(list(different.values()))[: self.asked]
            yield text, [(self._question(rng, words, start + NOUN), start + NOUN) for start in sorted(starts.tolist())]

    def _question(self, rng: np.random.Generator, words: Sequence[str], answer: int) -> str:
        found = self.questions(words, (answer, answer + 1))
        return " ".join(list(found)[rng.choice(len(found), p=list(found.values()))])

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
        drawn = self.sample(rng, set())
        for split in SPLITS:
            paragraphs: list[dict[str, Any]] = []
            count = 0
            for text, questions in drawn:
                entries = []
                for question, place in questions[: counts[split] - count]:
                    words = text.split()
                    answer = {"text": words[place], "answer_start": len(" ".join(words[:place])) + 1}
                    entries.append({"id": f"{split}-{count}", "question": question, "answers": [answer]})
                    count += 1
                paragraphs.append({"context": text, "qas": entries})
                if count == counts[split]:
                    break
            if count < counts[split]:
                raise Problem(
                    f"expected {counts[split]} questions about different paragraphs in {split} of {NAME}, got {count} "
                    f"in {clauses.TRIES} draws; raise lexicon or window in params.yaml"
                )
            value = {"data": [{"title": split, "paragraphs": paragraphs}], "version": NAME}
            (folder / f"{split}.json").write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8", newline="\n")
        clauses.write_vectors(folder, self.vocabulary, self.vectors)


def build(options: dict[str, Any], rng: np.random.Generator) -> QuestionSource:
    """Build the source of a seed: paragraphs of up to ``window`` words, ``lexicon`` content words."""
    if options["window"] < SENTENCE:
        raise Problem(
            f"expected a window of at least {SENTENCE}, the words of a sentence, for {NAME}, got {options['window']}; "
            "correct the dataset in params.yaml"
        )
    texts = clauses.build(options | {"length": options["window"] + 2}, rng)
    verbs = len(texts.lexicon[1])
    preferred = rng.permutation(verbs) % 2
    vectors = clauses.vectors(rng, len(texts.vocabulary) + len(WORDS), options["dimensions"], texts.vectors)
    return QuestionSource(texts, preferred, options["preference"], options["asked"], vectors)
