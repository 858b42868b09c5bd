"""The choice of the noise: the largest variance at which few enough tokens change.

The paper decreases the variance of z_0 from 1.0 by 0.1 to 0.1 and judges samples by hand (Tang et al. 2021, appendix
A.8); here the share of changed tokens on validation lines judges, which is to be within `LEAST` and `MOST`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from seqflows.config.rewrites import BELOW, GRID

LEAST, MOST = 0.1, 0.3


class Tuned(NamedTuple):
    """The chosen ``variance``, the shares of changed tokens by the variances that were tried, and what is to be told.

    ``within`` says whether the share at the variance is between `LEAST` and `MOST`, ``below`` whether the variance is
    below the paper's grid.
    """

    variance: float
    shares: dict[float, float]
    within: bool
    below: bool


def tuned(changed: Callable[[float], float], grid: Sequence[float] = (*GRID, *BELOW)) -> Tuned:
    """Try the variances of a falling ``grid``; ``changed`` gives the share of changed tokens at a variance.

    It is the first at which the share is at most `MOST`. If the share has fallen below `LEAST` there, it is the
    variance of the two around the band whose share is nearer to the band's middle; if all are above, the last.

    >>> tuned({1.0: 0.9, 0.5: 0.25, 0.1: 0.0}.get, (1.0, 0.5, 0.1)).variance
    0.5
    >>> tuned({1.0: 0.9, 0.5: 0.35, 0.1: 0.0}.get, (1.0, 0.5, 0.1))
    Tuned(variance=0.5, shares={1.0: 0.9, 0.5: 0.35, 0.1: 0.0}, within=False, below=False)
    """
    shares: dict[float, float] = {}
    before = None
    for variance in grid:
        shares[variance] = changed(variance)
        if shares[variance] <= MOST:
            break
        before = variance
    found = variance
    if shares[found] < LEAST and before is not None:
        middle = (LEAST + MOST) / 2
        found = min((before, found), key=lambda one: abs(shares[one] - middle))
    return Tuned(found, shares, LEAST <= shares[found] <= MOST, found < min(GRID))
