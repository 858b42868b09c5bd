"""The paired bootstrap (Efron & Tibshirani 1994): the same draws of questions for all systems and all metrics."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

CELLS = 2_000_000  # draws x questions of a block: 16 MB of counts


def counts(questions: int, draws: int, seed: int, cells: int = CELLS) -> Iterator[np.ndarray]:
    """How often each draw of N questions out of N has each of them: blocks (B, N) float64 of all ``draws``.

    One stream of random numbers, so that the draws do not depend on the size of a block.
    """
    generator = np.random.Generator(np.random.PCG64(seed))
    size = max(1, cells // questions)
    for start in range(0, draws, size):
        rows = min(size, draws - start)
        drawn = generator.integers(0, questions, (rows, questions))
        drawn += questions * np.arange(rows)[:, None]
        found = np.bincount(drawn.ravel(), minlength=rows * questions)
        yield found.reshape(rows, questions).astype(np.float64)


def sums(statistics: np.ndarray, draws: int, seed: int, cells: int = CELLS) -> np.ndarray:
    """The statistics (N, K) of N questions, summed over the questions of each draw: (draws, K)."""
    statistics = np.asarray(statistics, dtype=np.float64)
    return np.concatenate([block @ statistics for block in counts(len(statistics), draws, seed, cells)])


def p_value(gains: np.ndarray) -> float:
    """One-sided p of a gain above zero, of its draws (D,): (1 + draws in which it is not positive) / (D + 1).

    >>> p_value(np.array([0.5, 1.0, 0.0]))
    0.5
    """
    return float((1 + (gains <= 0).sum()) / (len(gains) + 1))


def interval(values: np.ndarray, share: float = 0.95) -> tuple[float, float]:
    """The central interval of the draws (D,) of a value that holds ``share`` of them."""
    low, high = np.quantile(values, [(1 - share) / 2, (1 + share) / 2])
    return float(low), float(high)
