"""What all readers share: the probability of a span, the best span, and its text.

A reader answers a question about a context by a span of it (kind spans). It gives the logits of the first and of the
last word, l^s and l^e, and p(i, j) = softmax(l^s)_i softmax(l^e)_j.

Legend: B batch, S words of a context, K words of the longest span looked for.
"""

from __future__ import annotations

import torch
from torch import Tensor

from seqflows.data.batching import Batch, Lined
from seqflows.data.lines import JOIN
from seqflows.models.base import Model, Terms


def places(batch: Batch) -> Tensor:
    """The first and the last word of each answer in its context, (B, 2), wherever its line stands there."""
    line, within = batch.x[:, :1], batch.x[:, 1:]
    return batch.given.firsts.gather(1, line) + within


def best(start: Tensor, end: Tensor, longest: int) -> tuple[Tensor, Tensor]:
    """The span i <= j < i + ``longest`` with the largest l^s_i + l^e_j, (B, 2), and that sum, (B,); exact.

    ``start`` and ``end`` (B, S) are the logits, -inf beyond a context. Of equal spans the first, then the shortest.
    """
    beyond = end.new_full((len(end), longest - 1), -torch.inf)
    sums = start[:, :, None] + torch.cat([end, beyond], 1).unfold(1, longest, 1)  # (B, S, K)
    total, place = sums.flatten(1).max(1)
    first = place // longest
    return torch.stack([first, first + place % longest], 1), total


def text(given: Lined, row: int, first: int, last: int) -> str:
    """The text of a context from its word ``first`` to ``last``."""
    start, end = int(given.characters[row, first, 0]), int(given.characters[row, last, 1])
    return JOIN.join(given.texts[row])[start:end]


class Reader(Model):
    """A model of spans; a subclass defines `logits`, and ``longest``, the words of the longest span looked for."""

    exact = True
    longest: int

    def logits(self, given: Lined) -> tuple[Tensor, Tensor]:
        """l^s and l^e of each word, (B, S) each, -inf beyond a context, in float32 or better."""
        raise TypeError(f"Expected {type(self).__name__} to define logits(given)")

    def objective(self, batch: Batch, samples: int) -> Terms:
        """``start`` and ``end``, the cross entropies of the answer's first and last word, (B,) each, nats."""
        found = zip(("start", "end"), self.logits(batch.given), places(batch).unbind(1), strict=True)
        return {name: -logits.log_softmax(1).gather(1, place[:, None])[:, 0] for name, logits, place in found}

    def log_prob(self, batch: Batch) -> Tensor:
        """log p(answer | context, question), (B,), nats."""
        return -sum(self.objective(batch, 1).values())

    def length_log_prob(self, lengths: Tensor) -> Tensor:
        """0: an answer has three symbols."""
        return torch.zeros(len(lengths), dtype=torch.float64, device=lengths.device)

    def spans(self, given: Lined) -> Tensor:
        """The first and the last word of the best span in each context, (B, 2)."""
        return best(*self.logits(given), self.longest)[0]

    @torch.no_grad()
    def answer(self, given: Lined) -> list[str]:
        """The text of the best span in each context."""
        found = self.spans(given).tolist()
        return [text(given, row, first, last) for row, (first, last) in enumerate(found)]
