"""Benchmark of context generators: candidates a second of each, at the sizes of laptop, with random weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch

from seqflows import models, params
from seqflows.benchmark import measure
from seqflows.config.rewrites import GENERATORS
from seqflows.data import tokens
from seqflows.data.prepared import Facts
from seqflows.rewriting import flows, paraphrase, translation, words
from seqflows.rewriting.base import Generator

CONTEXTS = ("generator", "sentences", "words", "candidates", "beam", "seconds", "contexts_per_second", "per_1000")
SCALE = "laptop"
RUNS = {
    "flow": ("squad-flow",), "flow_decoder": ("squad-flow_plus",), "paraphrase": ("paraphrase",),
    "translation": ("wmt16-nmt-reverse", "wmt16-nmt"),
}  # fmt: skip
VOCABULARY = 25_000  # words of the sentences of laptop
SENTENCE = 28  # words, the mean of SQuAD's
REPEATS = 1  # a call takes seconds, and is not warmed up


class Numbered:
    """Subwords that are numbers, in place of an encoder: random weights write no text."""

    def __init__(self, size: int) -> None:
        self.vocabulary = [*tokens.SPECIAL, *(f"\u2581{place}" for place in range(size - len(tokens.SPECIAL)))]

    def encode(self, texts: Iterable[str], where: str) -> list[list[int]]:
        """The ids of texts, a subword for each of their words."""
        least, size = len(tokens.SPECIAL), len(self.vocabulary)
        return [
            [least + len(word) * place % (size - least) for place, word in enumerate(text.split())] for text in texts
        ]


def generator(name: str, matrix: params.Params, vocabulary: int, settings: Any) -> Generator:
    """A generator of random weights, or without any, over words ``w0``, ``w1`` and so on."""
    rng, known = np.random.default_rng(0), [*tokens.SPECIAL, *(f"w{letters(n)}" for n in range(vocabulary))]
    found = []
    for run in RUNS.get(name, ()):
        block = matrix.run(SCALE, run)
        torch.manual_seed(0)
        found.append(models.build(block["model"], _facts(matrix.dataset(SCALE, block["dataset"]), len(known))).eval())
    vectors = rng.standard_normal((len(known), 50)).astype(np.float32)
    if name in ("flow", "flow_decoder"):
        return flows.Flow(found[0], known, 0.5, settings.beam)
    if name == "paraphrase":
        return paraphrase.Paraphrase(found[0], known, SENTENCE, settings.beam)
    if name == "translation":
        systems = [
            translation.Subworded(model, Numbered(model.symbols), model.window, settings.beam, settings.temperature)
            for model in found
        ]
        return translation.BackTranslation(*systems)
    if name == "neighbours":
        return words.Neighbours(known, vectors, settings.cosine, settings.rate, rng)
    if name == "random_words":
        return words.RandomWords(dict.fromkeys(known, 1), _Changed(), rng)
    return words.Same()


class _Changed(Mapping[str, list[int]]):
    """A fifth of each sentence's words, whatever the sentence."""

    def __getitem__(self, text: str) -> list[int]:
        return [SENTENCE // 5] * 100

    def __iter__(self):
        return iter(())

    def __len__(self) -> int:
        return 0


def letters(number: int) -> str:
    """A number in letters, since words with digits are not replaced.

    >>> letters(0), letters(27)
    ('a', 'bb')
    """
    return (letters(number // 26) if number >= 26 else "") + chr(ord("a") + number % 26)


def _facts(block: Mapping[str, Any], vocabulary: int) -> Facts:
    """Facts of a dataset's sizes at laptop."""
    if block["kind"] == "translation":
        size, longest = block["vocabulary_size"], block.get("max_length", 64)
        return Facts("pieces", size, longest + 1, (0, *[1] * (longest + 1)), None, size, longest)
    vectors = np.random.default_rng(0).standard_normal((vocabulary, block["dimensions"])).astype(np.float32)
    if block["kind"] == "language":
        return Facts("embedded", vocabulary, block["length"], (0,) * block["length"] + (1,), vectors)
    longest, outputs = block["question_length"], min(block["vocabulary_size"], vocabulary)
    return Facts("conditional", vocabulary, longest, (0, *[1] * longest), vectors, outputs, block["window"])


def run(
    sentences: int = 64, count: int = 4, vocabulary: int = VOCABULARY, chosen: Iterable[str] = GENERATORS
) -> list[dict[str, Any]]:
    """``count`` candidates of each of some sentences of random words by every generator, on one thread."""
    torch.set_num_threads(1)
    matrix, rng, rows = params.load(), np.random.default_rng(1), []
    texts = [" ".join(f"w{letters(n)}" for n in row) for row in rng.integers(0, vocabulary, (sentences, SENTENCE))]
    for name in chosen:
        settings = GENERATORS[name].block(count=count)
        made = generator(name, matrix, vocabulary, settings)
        torch.manual_seed(0)
        seconds = measure.timed(lambda made=made: made.rewrite(texts, count), REPEATS)
        values = (name, sentences, SENTENCE, count, getattr(settings, "beam", 0), round(seconds, 4))
        values += (round(sentences * count / seconds, 1), round(1000 * seconds / sentences, 2))
        rows.append(dict(zip(CONTEXTS, values, strict=True)))
        print(f"  {name}: {sentences * count / seconds:,.1f} contexts a second", flush=True)
    return rows
