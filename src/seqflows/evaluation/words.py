r"""How well a model of words knows their distribution: P^(w) of every word from one set of trajectories.

Schmidt & Hofmann 2018, section 4: P^(w) = (1/K) sum_k P(w | h^k) over K trajectories that the model generates by
itself; one set of trajectories serves every word. Words share their prefixes, so their products are taken once.

Legend: N words, K trajectories, M of them at once, T steps with the end symbol, V symbols.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from seqflows.data.batching import collate
from seqflows.data.prepared import Split
from seqflows.models.words import WordModel

AT_ONCE = 64  # trajectories whose products over all prefixes are held together
BLOCK = 1000  # trajectories of an independent set, the smallest that is summed in single precision
SETTLED = 0.01  # nats by which doubling K may still move the cross entropy


@dataclass(frozen=True)
class Trie:
    """All prefixes of some words, level by level: level t has a node for each distinct w_1..w_t.

    ``parents[t]`` and ``symbols[t]`` say which node of level t - 1 a node goes on from, with which symbol; ``ends[t]``
    and ``words[t]`` which nodes of level t are whole words, and which.
    """

    parents: tuple[Tensor, ...]
    symbols: tuple[Tensor, ...]
    ends: tuple[Tensor, ...]
    words: tuple[Tensor, ...]
    count: int

    @classmethod
    def of(cls, split: Split) -> Trie:
        """The prefixes of a split's sequences, which have to be distinct."""
        longest, rows = int(split.lengths.max()), len(split)
        padded = np.full((rows, longest), -1, dtype=np.int64)
        for n in range(rows):
            padded[n, : split.lengths[n]] = split.sequence(n)
        order = np.lexsort(padded.T[::-1])
        padded, lengths = padded[order], split.lengths[order]
        parts: dict[str, list[Tensor]] = {"parents": [], "symbols": [], "ends": [], "words": []}
        node = np.zeros(rows, dtype=np.int64)  # of each word, on the level before
        for t in range(longest):
            alive = lengths > t
            # words are sorted: those that share a prefix stand together
            fresh = np.r_[True, (node[1:] != node[:-1]) | (padded[1:, t] != padded[:-1, t])] & alive
            first = np.flatnonzero(fresh)
            parts["parents"].append(torch.from_numpy(node[first]))
            parts["symbols"].append(torch.from_numpy(padded[first, t]))
            here = np.cumsum(fresh) - 1
            ended = np.flatnonzero(lengths == t + 1)
            parts["ends"].append(torch.from_numpy(here[ended]))
            parts["words"].append(torch.from_numpy(order[ended]))
            # a word that has ended keeps a number of its own, so that no longer one is taken for its neighbour
            node = np.where(alive, here, -1 - np.arange(rows))
        return cls(**{name: tuple(value) for name, value in parts.items()}, count=rows)

    @property
    def steps(self) -> int:
        """T of the longest word."""
        return len(self.parents)

    def log_probabilities(self, log_p: Tensor) -> Tensor:
        """log P(w | h^k) from log P(v | h_t^k), (M, T, V): (N, M) float64."""
        log_p, before = log_p.double(), log_p.new_zeros((1, len(log_p)), dtype=torch.float64)
        found = log_p.new_empty((self.count, len(log_p)), dtype=torch.float64)
        for t in range(self.steps):
            before = before[self.parents[t]] + log_p[:, t].t()[self.symbols[t]]
            found[self.words[t]] = before[self.ends[t]]
        return found

    def sums(self, log_p: Tensor) -> Tensor:
        """sum_k P(w | h^k), (N,) float64, by products in single precision: what is below 1e-38 counts as 0."""
        total = torch.zeros(self.count, dtype=torch.float64)
        for part in log_p.float().exp().split(AT_ONCE):
            before = part.new_ones((1, len(part)))
            for t in range(self.steps):
                before = before.index_select(0, self.parents[t])
                before *= part[:, t].t().contiguous().index_select(0, self.symbols[t])
                total[self.words[t]] += before.index_select(0, self.ends[t]).sum(1, dtype=torch.float64)
        return total


def cross_entropy(counts: np.ndarray, log_p: np.ndarray) -> float:
    """-sum_w p(w) log P^(w) for the empirical p, nats a word; inf where a word that occurs has P^ = 0."""
    p = counts / counts.sum()
    return float(-(p[counts > 0] * log_p[counts > 0]).sum())


@dataclass(frozen=True)
class Estimate:
    """Cross entropies of some weightings of the words at one K: mean and standard deviation over independent sets."""

    samples: int
    sets: int
    mean: tuple[float, ...]
    std: tuple[float, ...] | None  # None with a single set


def estimates(
    model: WordModel,
    trie: Trie,
    weights: Sequence[np.ndarray],
    at: Sequence[int],
    generator: torch.Generator,
    sets: int = 10,
) -> tuple[list[Estimate], np.ndarray]:
    """The cross entropies at every K of ``at`` and log P^ of all words at the largest, (N,).

    A K below BLOCK is estimated from ``sets`` sets of its own, in double precision. From BLOCK on all K are sums of
    the same blocks: as many independent sets as the largest K holds, at most ``sets``, at least one.
    """
    found = []
    small, large = sorted(k for k in at if k < BLOCK), sorted(k for k in at if k >= BLOCK)
    last = np.full(trie.count, -np.inf)
    for k in small:
        values = []
        for _ in range(sets):
            log_p = trie.log_probabilities(model.trajectories(k, trie.steps, generator))
            last = (log_p.logsumexp(1) - math.log(k)).numpy()
            values.append([cross_entropy(weight, last) for weight in weights])
        found.append(_estimate(k, values))
    if not large:
        return found, last
    running = {k: torch.zeros(trie.count, dtype=torch.float64) for k in large}
    values_of: dict[int, list[list[float]]] = {k: [] for k in large}
    for block in range(1, math.ceil(large[-1] / BLOCK) + 1):
        sums = trie.sums(model.trajectories(BLOCK, trie.steps, generator))
        for k in large:
            if len(values_of[k]) < sets:
                running[k] += sums
                if block % math.ceil(k / BLOCK) == 0:
                    used = math.ceil(k / BLOCK) * BLOCK
                    last = (running[k].log() - math.log(used)).numpy()
                    values_of[k].append([cross_entropy(weight, last) for weight in weights])
                    running[k].zero_()
    return found + [_estimate(k, values_of[k]) for k in large], last


def _estimate(samples: int, values: list[list[float]]) -> Estimate:
    table = np.array(values)
    std = tuple(table.std(0, ddof=1).tolist()) if len(table) > 1 else None
    return Estimate(samples, len(table), tuple(table.mean(0).tolist()), std)


def settled(found: Sequence[Estimate], which: int = 0) -> tuple[Estimate, bool]:
    """The smallest K beyond which the cross entropy moves by less than SETTLED a doubling, or the largest, unsettled.

    Between two K the movement a doubling is that in log K, |difference| / log2(K' / K).
    """
    ordered = sorted(found, key=lambda estimate: estimate.samples)
    for place, estimate in enumerate(ordered[:-1]):
        later = ordered[place + 1 :]
        pairs = zip([estimate, *later], later, strict=False)
        if all(abs(b.mean[which] - a.mean[which]) / math.log2(b.samples / a.samples) < SETTLED for a, b in pairs):
            return estimate, True
    return ordered[-1], False


def exact(model: WordModel, split: Split, chunk: int = 4096) -> np.ndarray:
    """log P(w) of an exact model, (N,)."""
    parts = []
    with torch.no_grad():
        for start in range(0, len(split), chunk):
            parts.append(model.log_prob(collate(split, np.arange(start, min(start + chunk, len(split))))))
    return torch.cat(parts).numpy()


@dataclass(frozen=True)
class Generated:
    """Shares of a number of generated words: distinct ones, words of the vocabulary, distinct words of it."""

    count: int
    unique: float
    known: float
    unique_known: float


def generated(words: Sequence[str], vocabulary: set[str]) -> Generated:
    """Set-based measures of some generated words (section 5.1)."""
    count, distinct = len(words), set(words)
    known = sum(word in vocabulary for word in words)
    return Generated(count, len(distinct) / count, known / count, len(distinct & vocabulary) / count)
