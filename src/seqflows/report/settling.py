r"""How far an importance-sampled NLL may lie above the one of infinitely many samples.

The estimate of a sequence, -log of the mean of K weights, lies above -log p(x) on average, and by nearly all of the
bound's gap where the log-weights spread over more than log K nats, as they do for long sequences. If they are normal
with the variance sigma^2, then log p(x) by K samples lies above that by one by

.. math:: f_K(\sigma) = E \log \frac{1}{K} \sum_k e^{\sigma \epsilon_k},

and sigma^2 / 2 - f_K(sigma) remains. As the rise to K samples is known, so is sigma. What remains is an indication: the
weights' logarithms are sums over steps, and normal in their middle at best.
"""

from __future__ import annotations

import functools
import math
import statistics
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from seqflows.report.inputs import Results, Summary

METRICS = ("nll", "nll_literature")
NODES = 61  # of the sum over eps, from -`FARTHEST` to `FARTHEST`
FARTHEST = 7.0
STEPS = 240  # of the integral over the logarithm of the sum of weights
LARGEST = 200.0  # of sigma
HALVINGS = 26
SMALL = 0.01  # of a remainder that is not told, in the number's unit


def remainder(results: Results, summary: Summary) -> float:
    """What remains of an importance-sampled NLL per step or character, in its unit; 0 of other numbers."""
    kind = results.kind(summary.run)
    if summary.metric not in METRICS or not summary.samples or not kind.score_per_symbol:
        return 0.0
    counts, scores = results.by_count(summary.run, "nll"), results.scores(summary.run)
    if not scores or not {1, summary.samples} <= counts.keys():
        return 0.0
    steps = statistics.fmean(one.steps for one in scores)
    rise = (counts[1].value - counts[summary.samples].value) * kind.nats * steps
    per = steps if summary.metric == "nll" else steps - 1
    return remains(rise, summary.samples) / (kind.nats * per)


@functools.lru_cache(maxsize=256)
def remains(rise: float, samples: int) -> float:
    """What lies between K = ``samples`` and infinitely many, nats a sequence, of a rise from one sample to K.

    >>> round(remains(2.0, 50), 2)
    0.23
    """
    if rise <= 0 or samples < 2:
        return 0.0
    low, high = 0.0, LARGEST
    for _ in range(HALVINGS):
        sigma = (low + high) / 2
        low, high = (sigma, high) if risen(sigma, samples) < rise else (low, sigma)
    return max(low**2 / 2 - rise, 0.0)


def risen(sigma: float, samples: int) -> float:
    r"""f_K(sigma), nats.

    With S the sum of the K weights, E log S = \int (exp(-e^u) - phi(u)^K) du over the real line, where phi(u) is
    E exp(-e^{u + sigma eps}).
    """
    width = 2 * FARTHEST / (NODES - 1)
    nodes = [-FARTHEST + width * i for i in range(NODES)]
    weights = [math.exp(-0.5 * x * x) for x in nodes]
    total = math.fsum(weights)
    low, high = -sigma * FARTHEST - 40.0, sigma * FARTHEST + 40.0
    step = (high - low) / STEPS
    found = 0.0
    for i in range(STEPS + 1):
        u = low + step * i
        one = math.fsum(
            weight * math.exp(-math.exp(min(u + sigma * x, 700.0))) for x, weight in zip(nodes, weights, strict=True)
        )
        found += math.exp(-math.exp(min(u, 700.0))) - (one / total) ** samples
    return found * step - math.log(samples)
