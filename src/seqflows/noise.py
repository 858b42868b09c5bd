"""The noise that Tang et al. 2021 add to word vectors, and its lower bound of bits per dimension."""

from __future__ import annotations

import math

BITS = 6  # the noise has deviation 2^-6 and the loss 2^6 levels (appendix A.5)


def floor(bits: int = BITS, levels: int | None = None) -> float:
    """The lower bound of bits per dimension for any density of x~: the entropy of N(0, 2^(-2 bits)).

    log2 sqrt(2 pi e) - bits, less log2 of the ``levels`` of eq. (6), by default 2^bits.

    >>> round(floor(), 2), round(floor(levels=128), 2)
    (-9.95, -10.95)
    """
    return 0.5 * math.log2(2 * math.pi * math.e) - bits - (bits if levels is None else math.log2(levels))
