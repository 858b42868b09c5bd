"""A source of points from a mixture of four equal Gaussians in the plane, with exact density.

p(x) = 1/4 sum_k N(x; m_k, s^2 I),  m_k in {-d, d} x {-d, d}
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from seqflows.errors import Problem

NAME = "embedded-gaussians"
FILE = "points.npz"


@dataclass(frozen=True)
class GaussianSource:
    """``means`` (4, 2) and the common standard ``deviation``."""

    means: np.ndarray
    deviation: float
    longest: int = 1

    def log_density(self, points: np.ndarray) -> np.ndarray:
        """log p of points (..., 2), in nats against the Lebesgue measure: (...,)."""
        squares = ((np.asarray(points, float)[..., None, :] - self.means) ** 2).sum(-1) / self.deviation**2
        return np.logaddexp.reduce(-squares / 2, axis=-1) - np.log(len(self.means) * 2 * np.pi * self.deviation**2)

    def log_probs(self, points: np.ndarray) -> np.ndarray:
        """`log_density` of each point, (N,); every length is 1, with log-probability 0."""
        return self.log_density(points)

    def entropy(self) -> float:
        """The differential entropy, nats a point, by the trapezoidal rule to an error below 1e-6.

        The rule converges faster than any power of the spacing for a smooth integrand; the
        change at half the spacing bounds the error.
        """
        coarse, fine = self._trapezoid(0.5), self._trapezoid(0.25)
        if not abs(fine - coarse) < 1e-6:
            raise Problem(f"expected an entropy to 1e-6, got {coarse} and {fine}; choose a larger deviation")
        return fine

    def _trapezoid(self, spacing: float) -> float:
        step, reach = spacing * self.deviation, 10 * self.deviation
        axes = [np.arange(low - reach, high + reach, step) for low, high in zip(*self._corners(), strict=True)]
        total = 0.0
        for x in axes[0]:  # row by row: memory stays small for far-apart means
            log_p = self.log_density(np.stack([np.full_like(axes[1], x), axes[1]], axis=-1))
            total -= float(np.exp(log_p) @ log_p) * step**2
        return total

    def _corners(self) -> tuple[np.ndarray, np.ndarray]:
        return self.means.min(axis=0), self.means.max(axis=0)

    def mean_length_plus_one(self) -> float:
        """1: a point is one symbol, and its length is not coded."""
        return 1.0

    def sample(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """(count, 2) float32 independent points."""
        component = np.minimum((rng.random(count) * len(self.means)).astype(int), len(self.means) - 1)
        noise = rng.standard_normal((count, self.means.shape[1]))
        return (self.means[component] + self.deviation * noise).astype(np.float32)

    def specification(self) -> dict[str, Any]:
        """The input of `from_specification`."""
        return {"means": self.means.tolist(), "deviation": self.deviation}

    @classmethod
    def from_specification(cls, value: dict[str, Any]) -> GaussianSource:
        """Restore the source of a `specification`."""
        return cls(np.array(value["means"]), value["deviation"])

    def write(self, folder: Path, rng: np.random.Generator, counts: dict[str, int]) -> None:
        """Write ``points.npz`` with the keys train, valid and test, (N, 2) float32 each."""
        np.savez(folder / FILE, **{split: self.sample(rng, count) for split, count in counts.items()})


def build(options: dict[str, Any], rng: np.random.Generator) -> GaussianSource:
    """Build the source with means at (+-distance, +-distance)."""
    distance, deviation = float(options["distance"]), float(options["deviation"])
    if not (distance > 0 and deviation > 0):
        raise Problem(f"expected distance > 0 and deviation > 0, got {distance} and {deviation}; correct params.yaml")
    return GaussianSource(distance * np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]], float), deviation)
