"""A Markov chain of random length, with its entropy in closed form.

A sequence has n states with probability ``lengths[n]``; the first is drawn from ``start``, each
further one from its predecessor's row of ``transition``:

    log p(s_1..s_n) = log lengths[n] + log start[s_1] + sum_k log transition[s_(k-1), s_k]
    H = H(lengths) + H(start) + sum_n lengths[n] sum_(k=2..n) sum_s p(s_(k-1) = s) H(transition[s])

Shapes: S states, N sequences; everything in nats and float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from seqflows.errors import Problem


def entropies(p: np.ndarray) -> np.ndarray:
    """-sum p log p over the last axis, with 0 log 0 = 0."""
    return -np.sum(p * np.log(np.where(p > 0, p, 1.0)), axis=-1)


def _cumulative(p: np.ndarray) -> np.ndarray:
    """Cumulative sums that end at exactly 1, so that no state of probability 0 is drawn."""
    sums = np.cumsum(p, axis=-1)
    return sums / sums[..., -1:]


def _draw(cumulative: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    return (uniform[:, None] >= cumulative).sum(axis=1)


@dataclass(frozen=True)
class Chain:
    """``start`` (S,), ``transition`` (S, S), ``lengths``: probability of each number of states."""

    start: np.ndarray
    transition: np.ndarray
    lengths: dict[int, float]

    def __post_init__(self) -> None:
        start, rows = np.asarray(self.start, float), np.asarray(self.transition, float)
        object.__setattr__(self, "start", start)
        object.__setattr__(self, "transition", rows)
        sums = np.concatenate([[start.sum(), sum(self.lengths.values())], rows.sum(axis=-1).ravel()])
        if rows.shape != (len(start), len(start)) or np.abs(sums - 1).max() > 1e-9 or min(rows.min(), start.min()) < 0:
            raise Problem("expected probabilities that sum to 1 in a Markov chain, got others; run download again")
        if min(self.lengths) < 1:
            raise Problem(f"expected lengths of at least 1 in a Markov chain, got {min(self.lengths)}")

    @property
    def longest(self) -> int:
        """The largest number of states of a sequence."""
        return max(self.lengths)

    @cached_property
    def visits(self) -> np.ndarray:
        """(S,) the expected number of times that a sequence is in each state."""
        return self._marginals[1].sum(axis=0)

    @cached_property
    def one(self) -> np.ndarray:
        """(S,) the probability of each state, drawn uniformly from those of a sequence."""
        marginals, _ = self._marginals
        return sum(p * marginals[:n].mean(axis=0) for n, p in self.lengths.items())

    @cached_property
    def _marginals(self) -> tuple[np.ndarray, np.ndarray]:
        """(longest, S): p(s_k | n >= k), and the same times p(n >= k)."""
        marginals = [self.start]
        for _ in range(self.longest - 1):
            marginals.append(marginals[-1] @ self.transition)
        reached = [sum(p for n, p in self.lengths.items() if n > k) for k in range(self.longest)]
        return np.array(marginals), np.array(marginals) * np.array(reached)[:, None]

    @property
    def mean_length(self) -> float:
        """The expected number of states."""
        return float(sum(n * p for n, p in self.lengths.items()))

    def heaviest(self, weights: np.ndarray) -> float:
        """The largest sum of the states' ``weights`` (S,) over all sequences that can occur."""
        possible = np.where(self.transition > 0, 0.0, -np.inf)
        best, found = np.where(self.start > 0, weights, -np.inf), -np.inf
        for n in range(1, self.longest + 1):
            if self.lengths.get(n, 0.0) > 0:
                found = max(found, float(best.max()))
            best = (best[:, None] + possible).max(axis=0) + weights
        return found

    def entropy(self) -> float:
        """Nats per sequence, its length included; exact."""
        marginals, _ = self._marginals
        going_on = np.array([sum(p for n, p in self.lengths.items() if n > k + 1) for k in range(self.longest)])
        steps = (going_on[:, None] * marginals * entropies(self.transition)).sum()
        return float(entropies(np.array(list(self.lengths.values()))) + entropies(self.start) + steps)

    def log_prob(self, states: Sequence[int]) -> float:
        """The log-probability of one sequence with its length; -inf if it cannot occur."""
        states = np.asarray(states, dtype=np.int64)
        p = [self.lengths.get(len(states), 0.0), *self.start[states[:1]], *self.transition[states[:-1], states[1:]]]
        with np.errstate(divide="ignore"):
            return float(np.log(np.array(p)).sum())

    def sample(self, rng: np.random.Generator, count: int) -> list[np.ndarray]:
        """``count`` independent sequences of states."""
        choices = np.array(sorted(self.lengths))
        lengths = choices[_draw(_cumulative(np.array([self.lengths[n] for n in choices]))[None], rng.random(count))]
        rows = _cumulative(self.transition)
        states = np.zeros((count, self.longest), dtype=np.int64)
        states[:, 0] = _draw(_cumulative(self.start)[None], rng.random(count))
        for k in range(1, self.longest):
            states[:, k] = _draw(rows[states[:, k - 1]], rng.random(count))
        return [row[:length] for row, length in zip(states, lengths, strict=True)]

    def specification(self) -> dict[str, Any]:
        """A JSON value from which `from_specification` restores the chain exactly."""
        return {
            "start": self.start.tolist(),
            "transition": self.transition.tolist(),
            "lengths": {str(n): p for n, p in sorted(self.lengths.items())},
        }

    @classmethod
    def from_specification(cls, value: dict[str, Any]) -> Chain:
        """Restore the chain of a `specification`."""
        return cls(
            np.array(value["start"]), np.array(value["transition"]), {int(n): p for n, p in value["lengths"].items()}
        )


def geometric(rng: np.random.Generator, states: int, support: int, decay: float) -> np.ndarray:
    """(S,) probabilities ``decay**rank`` over ``support`` randomly ranked states, 0 elsewhere."""
    p = np.zeros(states)
    p[rng.permutation(states)[:support]] = decay ** np.arange(min(support, states))
    return p / p.sum()


def peaked(fewest: int, most: int) -> dict[int, float]:
    """Probabilities of the numbers ``fewest`` to ``most``, the middle more likely than the ends."""
    weights = {n: 1.0 + min(n - fewest, most - n) for n in range(fewest, most + 1)}
    return {n: weight / sum(weights.values()) for n, weight in weights.items()}


def heterogeneous(rng: np.random.Generator, states: int, lengths: dict[int, float], stay: float = 0.0) -> Chain:
    """A random chain whose rows differ in entropy.

    Each state has 2 to 5 successors with geometric probabilities of its own decay (0.15 to 0.6);
    with probability ``stay`` it is followed by itself.
    """
    rows = [geometric(rng, states, int(rng.integers(2, 6)), rng.uniform(0.15, 0.6)) for _ in range(states)]
    transition = stay * np.eye(states) + (1 - stay) * np.array(rows)
    return Chain(geometric(rng, states, min(6, states), 0.6), transition, lengths)
