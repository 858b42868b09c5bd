"""Confidence intervals of a mean."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence


def t_quantile(freedom: int) -> float:
    """The 97.5 % quantile of Student's t, to 0.2 % from 9 degrees of freedom on (Cornish-Fisher expansion).

    >>> round(t_quantile(19), 3)
    2.093
    """
    z = statistics.NormalDist().inv_cdf(0.975)
    return z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)


def mean_interval(values: Sequence[float]) -> tuple[float, float]:
    """The mean and the half-width of its 95 % confidence interval (nan with one value)."""
    mean = statistics.fmean(values)
    if len(values) < 2:
        return mean, math.nan
    return mean, t_quantile(len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values))
