"""Paraphrases by a pointer-generator that was trained on pairs of sentences.

Legend: N texts, S words of the longest of some, W words of the vocabulary, D numbers per vector.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from seqflows.data import tokens
from seqflows.models.encoder_decoder import EncoderDecoder
from seqflows.rewriting.base import Generator, contexts

BATCH = 64  # texts at once, of similar sizes
UNKNOWN = tokens.SPECIAL.index(tokens.UNKNOWN)


class Paraphrase(Generator):
    """The best hypotheses of a search with a model of pairs, whose context is the text.

    A word outside the vocabulary has the vector of the unknown word and can be copied, so that none is lost. A text
    that the search finds fewer than n hypotheses for has some of them again.

    Args:
        model: an encoder and decoder that reads word vectors.
        vocabulary: its W words.
        longest: the most words of a text.
        beam: hypotheses of the search, at least the number of candidates.
    """

    def __init__(self, model: EncoderDecoder, vocabulary: Sequence[str], longest: int, beam: int) -> None:
        super().__init__()
        self.model, self.longest, self.beam = model, longest, beam
        self.known = {word: place for place, word in enumerate(vocabulary)}
        self.vectors = model.vectors

    def candidates(self, texts: Sequence[str], count: int) -> list[list[str]]:
        """Texts that the model writes, best first."""
        split = [tokens.tokenize(text) for text in texts]
        others = dict.fromkeys(word for text in split for word in text if word not in self.known)
        places = self.known | {word: len(self.known) + place for place, word in enumerate(others)}
        words = list(places)
        self.model.vectors = torch.cat([self.vectors, self.vectors[UNKNOWN].expand(len(others), -1)])
        try:
            found: list[list[str]] = [[] for _ in texts]
            order = np.argsort([len(text) for text in split], kind="stable")
            for start in range(0, len(order), BATCH):
                part = order[start : start + BATCH]
                given = contexts([[places[word] for word in split[place]] for place in part])
                written = self.model.candidates(given.to(self.vectors.device), max(self.beam, count), count)
                for place, best in zip(part, written, strict=True):
                    found[place] = [" ".join(words[symbol] for symbol in one) for one in best]
        finally:
            self.model.vectors = self.vectors
        return found
