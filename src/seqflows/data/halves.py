"""The two halves of a split's sequences with contexts: whole parts, such as articles, and about as many in each.

A run on one half is a judge of the other half's contexts, or says what fewer data cost.

Legend: N sequences.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from typing import Any

import numpy as np

from seqflows import files
from seqflows.errors import Problem


class Halved(ABC):
    """N sequences with identifiers ``ids`` (N,), in `parts` that stay together."""

    ids: np.ndarray

    @property
    @abstractmethod
    def parts(self) -> np.ndarray:
        """(N,) the number of the part of each sequence."""

    @cached_property
    def halves(self) -> np.ndarray:
        """(N,) 0 or 1, the half of each sequence: whole `parts`, and about as many sequences in each.

        From the part with the most sequences to that with the fewest, each goes to the half with fewer so far, the
        first where they have as many. Raises `Problem` for a single part.
        """
        counts = np.bincount(self.parts)
        if np.count_nonzero(counts) < 2:
            raise Problem("expected sequences about at least two passages, to have halves, got one; use other data")
        totals, half = [0, 0], np.zeros(len(counts), dtype=np.int64)
        for part in np.argsort(-counts, kind="stable"):
            half[part] = int(totals[1] < totals[0])
            totals[half[part]] += int(counts[part])
        return half[self.parts]

    def half(self, number: int) -> np.ndarray:
        """The sequences of half 0 or 1, in order."""
        return np.flatnonzero(self.halves == number)

    def halved(self, number: int) -> dict[str, Any]:
        """What a record says of half 0 or 1: its sequences and parts, those of the split, and the sha256 of its ids."""
        some = self.half(number)
        return {
            **{"half": number, "sequences": len(some), "of_sequences": len(self.ids)},
            **{"parts": len(np.unique(self.parts[some])), "of_parts": len(np.unique(self.parts))},
            "sha256": files.digest(self.ids[some].tolist()),
        }
