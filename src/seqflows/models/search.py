"""Beam search, batched, for every decoder that writes from left to right.

Legend: B sequences to write, N hypotheses of each, C candidates for the next symbol, T symbols written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from seqflows.data.batching import collate
from seqflows.data.prepared import Split

if TYPE_CHECKING:
    from seqflows.models.base import Model

REPEATED = 1.0  # taken from the score of a text with a repeated trigram


class Decoder(Protocol):
    """The state of B N hypotheses between two symbols, those of one sequence next to each other."""

    def scores(self) -> Tensor:
        """The score of each candidate as next symbol, (B N, C): log-probabilities, or any that are summed."""

    def select(self, places: Tensor) -> None:
        """Keep the hypotheses at ``places`` (B N',), repeated as listed."""

    def advance(self, candidates: Tensor) -> None:
        """Append a candidate to each hypothesis, (B N,)."""


class Found(NamedTuple):
    """The hypotheses: ``candidates`` (B, N, T), the number of them before the end (B, N), and summed scores (B, N)."""

    candidates: Tensor
    lengths: Tensor
    totals: Tensor


def beam_search(decoder: Decoder, count: int, beam: int, steps: int, end: int | None = None) -> Found:
    """For each of ``count`` sequences the ``beam`` hypotheses with the largest sums of scores after ``steps`` symbols.

    The decoder begins with one hypothesis a sequence. A hypothesis is complete once it has the candidate ``end``, which
    then repeats at no cost; the search stops when all are. A beam of 1 is greedy. Sequences do not affect each other.
    """
    first = torch.arange(count)[:, None]
    total = written = finished = None
    for step in range(steps):
        scores = decoder.scores()
        scores = scores.view(count, -1, scores.shape[-1])  # (B, N, C)
        if total is None:
            first = first.to(scores.device)
            total = scores.new_zeros(scores.shape[:2])
            finished = torch.zeros_like(total, dtype=torch.bool)
            written = torch.zeros(count, total.shape[1], 0, dtype=torch.long, device=scores.device)
        hypotheses = scores.shape[1]
        values, candidates = scores.topk(min(beam, scores.shape[2]))  # of each hypothesis: no others can be chosen
        if end is not None and step:
            complete = values.new_tensor([0.0] + [-torch.inf] * (values.shape[2] - 1))
            values = torch.where(finished[..., None], complete, values)
            candidates = candidates.masked_fill(finished[..., None], end)
        summed = (values + total[..., None]).flatten(1)
        total, best = summed.topk(min(beam, summed.shape[1]))
        parents, chosen = best // values.shape[2], candidates.flatten(1).gather(1, best)
        written = torch.cat([written[first, parents], chosen[..., None]], -1)
        finished = finished[first, parents]
        if end is not None:
            finished = finished | (chosen == end)
            if bool(finished.all()):
                break
        if hypotheses * beam > 1:  # a greedy search keeps its one hypothesis
            decoder.select((first * hypotheses + parents).flatten())
        decoder.advance(chosen.flatten())
    lengths = torch.full_like(total, written.shape[-1], dtype=torch.long)
    if end is not None:
        lengths = (written != end).long().cumprod(-1).sum(-1)
    return Found(written, lengths, total)


def sampled(decoder: Decoder, count: int, draws: int, steps: int, end: int, temperature: float = 1.0) -> Found:
    """For each of ``count`` sequences ``draws`` texts, each symbol drawn from the softmax of scores / temperature.

    The decoder begins with one hypothesis a sequence; a text is complete with ``end``, or after ``steps`` symbols.
    Draws are from torch's own stream, ``totals`` the sums of the scores.
    """
    written = total = finished = None
    for _ in range(steps):
        scores = decoder.scores()
        if total is None:
            decoder.select(torch.arange(count, device=scores.device).repeat_interleave(draws))
            scores = scores.repeat_interleave(draws, 0)
            total = scores.new_zeros(count * draws)
            finished = torch.zeros_like(total, dtype=torch.bool)
            written = torch.zeros(count * draws, 0, dtype=torch.long, device=scores.device)
        drawn = torch.multinomial((scores / temperature).softmax(-1), 1)
        total = total + torch.where(finished, 0.0, scores.gather(-1, drawn)[:, 0])
        chosen = torch.where(finished, end, drawn[:, 0])
        written = torch.cat([written, chosen[:, None]], -1)
        finished = finished | (chosen == end)
        if bool(finished.all()):
            break
        decoder.advance(chosen)
    lengths = (written != end).long().cumprod(-1).sum(-1)
    return Found(*(value.unflatten(0, (count, draws)) for value in (written, lengths, total)))


def ranked(found: Found, symbols: Tensor, count: int, repeated: float = REPEATED) -> list[list[list[int]]]:
    """The ``count`` best texts of each sequence, best first: those with the largest total / (length + 1).

    From a text with a repeated trigram ``repeated`` is taken. ``symbols`` (B, N, T) are the candidates as ids. The rule
    is that of Zhang & Bansal 2019's code. A text that has been found several times counts once, one of total -inf not
    at all; fewer than ``count`` are repeated in their order.
    """
    rated = found.totals / (found.lengths + 1)
    texts = [
        [symbol[:length] for symbol, length in zip(row, lengths, strict=True)]
        for row, lengths in zip(symbols.tolist(), found.lengths.tolist(), strict=True)
    ]
    penalty = [[repeated * repeats(text) for text in row] for row in texts]
    rated = rated - rated.new_tensor(penalty)
    orders, possible = rated.argsort(dim=-1, descending=True, stable=True), rated.isfinite()
    possible[:, 0] |= ~possible.any(-1)
    best = []
    for row, order, may in zip(texts, orders.tolist(), possible.tolist(), strict=True):
        different = list({tuple(row[place]): row[place] for place in order if may[place]}.values())
        best.append([different[place % len(different)] for place in range(count)])
    return best


def chosen(found: Found, symbols: Tensor, repeated: float = REPEATED) -> list[list[int]]:
    """The best text of each sequence, see `ranked`."""
    return [best[0] for best in ranked(found, symbols, 1, repeated)]


def written(model: Model, split: Split, places: np.ndarray, beam: int, at_once: int, device: Any) -> list[list[int]]:
    """The ids that a model writes for the contexts at ``places``, in their order; similar sizes go together."""
    order = np.argsort(split.contexts.sizes[places], kind="stable")
    found: list[list[int]] = [[] for _ in places]
    for start in range(0, len(order), at_once):
        part = order[start : start + at_once]
        texts = model.write(collate(split, places[part]).given.to(device), beam)
        for place, text in zip(part, texts, strict=True):
            found[place] = text
    return found


def repeats(text: list[int]) -> bool:
    """Whether a trigram occurs twice.

    >>> repeats([1, 2, 3, 1, 2, 3]), repeats([1, 2, 3, 1, 2])
    (True, False)
    """
    trigrams = list(zip(text, text[1:], text[2:], strict=False))
    return len(set(trigrams)) < len(trigrams)
