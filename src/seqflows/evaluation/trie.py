r"""Estimates of P(w) for every word from one set of trajectories, and cross entropies.

Schmidt & Hofmann 2018, section 4: P^(w) = (1/K) sum_k P(w | h^k) over K trajectories that the model generates by
itself; one set of trajectories serves every word. Products over shared prefixes are computed once.

Legend: N words, K trajectories, M of them, T steps with the end symbol, V symbols.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from seqflows.config.evaluation import BLOCK
from seqflows.data.batching import collate
from seqflows.data.prepared import Split
from seqflows.models.words import WordModel

AT_ONCE = 64  # trajectories whose products over all prefixes are in memory together
SETTLED = 0.01  # nats by which doubling K may still move the cross entropy


@dataclass(frozen=True)
class Trie:
    """All prefixes of some words, level by level: level t has a node for each distinct w_1..w_t.

    ``parents[t]`` and ``symbols[t]`` are each node's parent on level t - 1 and its symbol; ``ends[t]``
    and ``words[t]`` are the nodes of level t that are whole words, and the words' numbers.
    """

    parents: tuple[Tensor, ...]
    symbols: tuple[Tensor, ...]
    ends: tuple[Tensor, ...]
    words: tuple[Tensor, ...]
    count: int

    @classmethod
    def of(cls, split: Split) -> Trie:
        """Build the prefixes of a split's sequences, which must be distinct."""
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
            # words are sorted: those that share a prefix are adjacent
            fresh = np.r_[True, (node[1:] != node[:-1]) | (padded[1:, t] != padded[:-1, t])] & alive
            first = np.flatnonzero(fresh)
            parts["parents"].append(torch.from_numpy(node[first]))
            parts["symbols"].append(torch.from_numpy(padded[first, t]))
            here = np.cumsum(fresh) - 1
            ended = np.flatnonzero(lengths == t + 1)
            parts["ends"].append(torch.from_numpy(here[ended]))
            parts["words"].append(torch.from_numpy(order[ended]))
            node = here  # a word that has ended is padded with -1, so that no longer word is merged with it
        return cls(**{name: tuple(value) for name, value in parts.items()}, count=rows)

    @property
    def steps(self) -> int:
        """T, the length of the longest word."""
        return len(self.parents)

    def log_sums(self, log_p: Tensor) -> Tensor:
        """log sum_k P(w | h^k) from log P(v | h_t^k), (M, T, V): (N,) float64."""
        found = torch.full((self.count,), -math.inf, dtype=torch.float64)
        for part in log_p.double().split(AT_ONCE):
            before, whole = part.new_zeros((1, len(part))), part.new_empty((self.count, len(part)))
            for t in range(self.steps):
                before = before[self.parents[t]] + part[:, t].t()[self.symbols[t]]
                whole[self.words[t]] = before[self.ends[t]]
            found = torch.logaddexp(found, whole.logsumexp(1))
        return found

    def sums(self, log_p: Tensor) -> Tensor:
        """sum_k P(w | h^k), (N,) float64, by products in float32, in which values below 1e-38 count as 0.

        Words all of whose values are below are summed by logarithms.
        """
        total = torch.zeros(self.count, dtype=torch.float64)
        flushed = torch.set_flush_denormal(True)  # denormal numbers take several times as long
        for part in log_p.float().exp().split(AT_ONCE):
            before = part.new_ones((1, len(part)))
            for t in range(self.steps):
                before = before.index_select(0, self.parents[t])
                before *= part[:, t].t().contiguous().index_select(0, self.symbols[t])
                total[self.words[t]] += before.index_select(0, self.ends[t]).sum(1, dtype=torch.float64)
        if flushed:
            torch.set_flush_denormal(False)
        lost = torch.nonzero(total == 0)[:, 0]
        if len(lost):
            total[lost] = self._log_sums_of(lost, log_p).exp()
        return total

    def _log_sums_of(self, some: Tensor, log_p: Tensor) -> Tensor:
        """The same as `log_sums` for some words, (n,), each from its end back to its first symbol."""
        found = torch.empty(self.count, dtype=torch.float64)
        for t in range(self.steps):
            here = torch.isin(self.words[t], some)
            parts = zip(self.words[t][here].split(AT_ONCE), self.ends[t][here].split(AT_ONCE), strict=True)
            for words, nodes in parts:
                path = log_p.new_zeros((len(log_p), len(nodes)), dtype=torch.float64)
                for level in range(t, -1, -1):
                    path += log_p[:, level].index_select(1, self.symbols[level][nodes])
                    nodes = self.parents[level][nodes]
                found[words] = path.logsumexp(0)
        return found[some]


def cross_entropy(counts: np.ndarray, log_p: np.ndarray) -> float:
    """-sum_w p(w) log P^(w) for the empirical p, nats per word; inf if P^ = 0 for a word that occurs."""
    return weighted(counts / counts.sum(), log_p)


@dataclass(frozen=True)
class Estimate:
    """-sum_w p(w) log P^(w) at one K: means over independent sets of trajectories, and standard errors."""

    samples: int
    sets: int
    mean: tuple[float, ...]
    error: tuple[float, ...] | None  # None if unknown


def weighted(p: np.ndarray, log_p: np.ndarray) -> float:
    """-sum_w p(w) log P^(w), nats; p may be a difference of distributions."""
    return float(-(p[p != 0] * log_p[p != 0]).sum())


def estimates(
    model: WordModel, trie: Trie, ps: Sequence[np.ndarray], at: Sequence[int], generator: torch.Generator,
    sets: int = 10,
) -> tuple[list[Estimate], np.ndarray]:  # fmt: skip
    """The cross entropies at every K of ``at`` and log P^ of all words at the largest, (N,).

    A K below BLOCK is estimated from ``sets`` separate sets. From BLOCK on all K are sums of the same blocks: of as
    many disjoint sets as the largest K has, at most ``sets``. Their mean has the error of a mean over sets; that of a
    single set has the error of the blocks in it, by the delta method: with S_b(w) a block's sum and S(w) their mean,
    the cross entropy moves with the block by -sum_w p(w) S_b(w) / S(w).
    """
    found = []
    small, large = sorted(k for k in at if k < BLOCK), sorted(k for k in at if k >= BLOCK)
    last = np.full(trie.count, -np.inf)
    for k in small:
        values = []
        for _ in range(sets):
            last = (trie.log_sums(model.trajectories(k, trie.steps, generator).cpu()) - math.log(k)).numpy()
            values.append([weighted(p, last) for p in ps])
        found.append(_over_sets(k, values))
    if not large:
        return found, last
    count = large[-1] // BLOCK
    blocks = np.empty((count, trie.count))
    for block in blocks:
        block[:] = trie.sums(model.trajectories(BLOCK, trie.steps, generator).cpu()).numpy()
    for k in large:
        size = k // BLOCK
        values = []
        for start in range(0, min(sets, count // size) * size, size):
            with np.errstate(divide="ignore"):
                last = np.log(blocks[start : start + size].sum(0)) - math.log(k)
            values.append([weighted(p, last) for p in ps])
        found.append(_over_sets(k, values) if len(values) > 1 else _of_blocks(k, values[0], blocks[:size], ps))
    return found, last


def _over_sets(samples: int, values: list[list[float]]) -> Estimate:
    table = np.array(values)
    error = tuple((table.std(0, ddof=1) / math.sqrt(len(table))).tolist()) if len(table) > 1 else None
    return Estimate(samples, len(table), tuple(table.mean(0).tolist()), error)


def _of_blocks(samples: int, value: list[float], blocks: np.ndarray, ps: Sequence[np.ndarray]) -> Estimate:
    if len(blocks) < 2:
        return Estimate(samples, 1, tuple(value), None)
    mean = blocks.mean(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        moved = [np.nan_to_num(blocks / mean) @ p for p in ps]
    return Estimate(samples, 1, tuple(value), tuple(float(m.std(ddof=1) / math.sqrt(len(m))) for m in moved))


def exact(model: WordModel, split: Split, device: torch.device | str = "cpu", chunk: int = 4096) -> np.ndarray:
    """log P(w) of an exact model, (N,)."""
    parts = []
    with torch.no_grad():
        for start in range(0, len(split), chunk):
            batch = collate(split, np.arange(start, min(start + chunk, len(split)))).to(device)
            parts.append(model.log_prob(batch).cpu())
    return torch.cat(parts).numpy()


@dataclass(frozen=True)
class Share:
    """A share of some generated words and its standard error."""

    value: float
    error: float


def generated(words: Sequence[str], vocabulary: set[str]) -> dict[str, Share]:
    """Shares of N generated words (section 5.1): ``unique``, ``known`` and ``unique_known``.

    unique: distinct words; unique_known: those in the vocabulary; known: all words in the vocabulary. The number of
    distinct words has the jackknife's error, f_1 (1 - f_1 / N) with f_1 words that occur once; a share of words has
    that of Agresti & Coull, which is not 0 for a share of 0.
    """
    count, counted = len(words), Counter(words)
    known = sum(number for word, number in counted.items() if word in vocabulary)
    p = (known + 2) / (count + 4)
    found = {"known": Share(known / count, math.sqrt(p * (1 - p) / (count + 4)))}
    for name, kept in (("unique", counted), ("unique_known", counted.keys() & vocabulary)):
        once = sum(counted[word] == 1 for word in kept)
        found[name] = Share(len(kept) / count, math.sqrt(max(once, 1) * (1 - min(once, count - 1) / count)) / count)
    return found
