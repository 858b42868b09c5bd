"""The interface of a generator: raw texts in, for each ``count`` raw texts out.

Legend: N texts, n candidates of each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import torch

from seqflows.data import tokens
from seqflows.data.batching import Given

LONG, NOTHING, SAME, UNKNOWN = "too long", "nothing written", "equal to the original", "unknown tokens"
COUNTED = (LONG, NOTHING, SAME, UNKNOWN)


class Generator:
    """A generator of candidates; subclasses define `candidates`.

    ``longest`` is the most tokens of a text that it reads, None without a limit. ``counted`` has how many texts were
    too long, and how many candidates were empty, equal to their original (in tokens), or had an unknown token.
    """

    longest: int | None = None

    def __init__(self) -> None:
        self.counted: Counter[str] = Counter(dict.fromkeys(COUNTED, 0))

    def rewrite(self, texts: Sequence[str], count: int) -> list[list[str]]:
        """``count`` candidates for each of N texts, in the order of the texts.

        A text that is too long or has no tokens stays as it is, and so does one for which nothing is written; a
        candidate is never empty where its text is not.
        """
        sizes = [len(tokens.tokenize(text)) for text in texts]
        most = max(sizes, default=0) if self.longest is None else self.longest
        places = [place for place, size in enumerate(sizes) if 0 < size <= most]
        self.counted[LONG] += sum(size > most for size in sizes)
        found = [[text] * count for text in texts]
        made = self.candidates([texts[place] for place in places], count) if places else []
        for place, candidates in zip(places, made, strict=True):
            if len(candidates) != count:
                raise ValueError(f"Expected {count} candidates of a text, got {len(candidates)}")
            found[place] = [self._sound(candidate, texts[place]) for candidate in candidates]
        return found

    def candidates(self, texts: Sequence[str], count: int) -> list[list[str]]:
        """``count`` candidates for each of some texts of 1 to ``longest`` tokens; "" where nothing is written."""
        raise TypeError(f"Expected {type(self).__name__} to define candidates(texts, count)")

    def _sound(self, candidate: str, text: str) -> str:
        found = tokens.tokenize(candidate)
        if not found:
            self.counted[NOTHING] += 1
            return text
        self.counted[SAME] += found == tokens.tokenize(text)
        return candidate

    def joined(self, written: Sequence[str], text: Sequence[str]) -> str:
        """The text of written tokens, joined by spaces.

        An unknown token becomes the token at its place in ``text``, the original; beyond its end it is left out.
        """
        if tokens.UNKNOWN not in written:
            return " ".join(written)
        self.counted[UNKNOWN] += 1
        known = [
            (text[place] if place < len(text) else "") if token == tokens.UNKNOWN else token
            for place, token in enumerate(written)
        ]
        return " ".join(filter(None, known))

    def kept(self, text: str, count: int) -> list[str]:
        """Candidates of a text that is too long in a measure of the generator's own: the text itself, counted."""
        self.counted[LONG] += 1
        return [text] * count


def contexts(texts: Sequence[Sequence[int]]) -> Given:
    """Texts (lists of ids) as the contexts of a batch, without answers and features."""
    lengths = torch.tensor([len(text) for text in texts])
    words = torch.zeros(len(texts), int(lengths.max()), dtype=torch.int64)
    for row, text in zip(words, texts, strict=True):
        row[: len(text)] = torch.tensor(text)
    return Given(words, torch.zeros_like(words), lengths, torch.zeros(*words.shape, 0))
