"""A trigram of words with interpolated Kneser-Ney smoothing (Ney, Essen & Kneser 1994), as weights in time.

Legend: N training texts, B batch, T time (fixed), V words, C contexts, E pairs of a context and a word.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqflows.flows.mixture_in_time import Weights

DISCOUNT = 0.5  # where no count is 1, or none is 2


class Smoothed(nn.Module):
    r"""p(v | c) = max(n(c, v) - d, 0) / n(c) + d n_+(c) / n(c) q(v), n_+ the number of words that follow; q is lower.

    d = n_1 / (n_1 + 2 n_2), n_k the number of pairs that are counted k times.

    Args:
        contexts: keys (E,) of pairs that differ.
        words: (E,) of them.
        counts: (E,) of them.
    """

    def __init__(self, contexts: np.ndarray, words: np.ndarray, counts: np.ndarray) -> None:
        super().__init__()
        order = np.argsort(contexts, kind="stable")
        contexts, words, counts = contexts[order], words[order], counts[order].astype(np.float64)
        discount = discounted(counts)
        keys, first, sizes = np.unique(contexts, return_index=True, return_counts=True)
        total = np.add.reduceat(counts, first)
        for name, value in (
            ("keys", keys), ("first", first), ("sizes", sizes), ("words", words),
            ("shares", ((counts - discount) / np.repeat(total, sizes)).astype(np.float32)),
            ("left", (discount * sizes / total).astype(np.float32)),
        ):  # fmt: skip
            self.register_buffer(name, torch.from_numpy(value), persistent=False)

    def forward(self, contexts: Tensor, lower: Tensor) -> Tensor:
        """p(v | c), (B, V), of keys (B,) given q (B, V) or (1, V); q where the context is unknown."""
        place = torch.searchsorted(self.keys, contexts.contiguous()).clamp(max=len(self.keys) - 1)
        known = self.keys[place] == contexts
        p = torch.where(known, self.left[place], 1.0)[:, None] * lower
        sizes = torch.where(known, self.sizes[place], 0)
        row = torch.arange(len(contexts), device=contexts.device).repeat_interleave(sizes)
        within = torch.arange(len(row), device=row.device) - (sizes.cumsum(0) - sizes)[row]
        pair = self.first[place][row] + within
        return p.flatten().index_add_(0, row * p.shape[1] + self.words[pair], self.shares[pair]).view_as(p)


def discounted(counts: np.ndarray) -> float:
    """d of counts.

    >>> discounted(np.array([1, 1, 2, 5]))
    0.5
    """
    once, twice = int((counts == 1).sum()), int((counts == 2).sum())
    return once / (once + 2 * twice) if once and twice else DISCOUNT


class Trigram(Weights):
    """log p(v | the two words before) of a trigram of texts; every word has some of it, and nothing is trained.

    The lower orders are of continuations: the number of different words before, of V words. Before the first step
    stands one more, which no text has.

    Args:
        texts: (N, T), the numbers of words.
        count: V.
    """

    def __init__(self, texts: np.ndarray, count: int) -> None:
        super().__init__()
        self.count = count
        words = texts.astype(np.int64)
        begun = np.pad(words, ((0, 0), (2, 0)), constant_values=count)
        keys = self._key(begun[:, :-2], begun[:, 1:-1])
        pairs, counts = np.unique(np.stack([keys.ravel(), words.ravel()]), axis=1, return_counts=True)
        self.third = Smoothed(*pairs, counts)
        before = pairs[0] % (count + 1)  # the last word of the context
        pairs, counts = np.unique(np.stack([before, pairs[1]]), axis=1, return_counts=True)
        self.second = Smoothed(*pairs, counts)
        seen = np.bincount(pairs[1], minlength=count).astype(np.float64)
        discount = discounted(seen)
        p = np.maximum(seen - discount, 0) + discount * (seen > 0).sum() / count
        self.register_buffer("first", torch.from_numpy((p / seen.sum()).astype(np.float32)), persistent=False)

    def _key(self, older, old):
        """The number of a context."""
        return older * (self.count + 1) + old

    def log_p(self, older: Tensor, old: Tensor) -> Tensor:
        """log p(v | older, old), (B, V), nats, of words (B,)."""
        return self.third(self._key(older, old), self.second(old, self.first[None])).log()

    def forward(self, words: Tensor) -> Tensor:
        """(B, T, V) from words (B, T): those of step t from the words before."""
        begun = F.pad(words, (2, -1), value=self.count)
        return self.log_p(begun[:, :-1].flatten(), begun[:, 1:].flatten()).unflatten(0, words.shape)

    def step(self, before: Tensor, kept: Tensor | None) -> tuple[Tensor, Tensor]:
        """Those of the next step (B, V), and the two words before it."""
        if kept is None:
            kept = torch.full((len(before), 2), self.count, device=before.device)
        else:
            kept = torch.stack([kept[:, 1], before], 1)
        return self.log_p(*kept.unbind(1)), kept

    def select(self, kept: Tensor, places: Tensor) -> Tensor:
        """The words of the examples at ``places``."""
        return kept[places]
