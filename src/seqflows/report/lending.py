"""The spread over seeds that a number of one seed is given: that of the runs most like its own."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from seqflows.report.inputs import Results, Summary


class Spread(NamedTuple):
    """A standard deviation over seeds that a number of one seed is given, and whose it is."""

    std: float
    whose: str


def lent(results: Results, one: Summary, lenders: Iterable[str], whose: tuple[str, str]) -> Spread | None:
    """The spread over seeds of the runs most like that of a number, ``whose`` in words; None if none has several seeds.

    Of the same metric and unit, exact or estimated alike, variances weighted by their degrees of freedom. Runs on data
    of its kind come before those on other data, runs of the present settings with the number's estimator before those
    of earlier settings, and runs on its own data before those on other; only the nearest of these are taken.
    """
    found = [results.summary(run, one.metric, optional=True) for run in lenders]
    several = [
        summary for summary in found
        if summary and summary.std is not None
        and (summary.unit, bool(summary.samples)) == (one.unit, bool(one.samples))
    ]  # fmt: skip
    if not several:
        return None

    def distance(summary: Summary) -> tuple[bool, bool, bool]:
        return (
            results.kind(summary.run) != results.kind(one.run),
            results.earlier(summary.run) or results.estimator(summary) != results.estimator(one),
            summary.dataset != one.dataset,
        )

    nearest = min(map(distance, several))
    chosen = [summary for summary in several if distance(summary) == nearest]
    freedom = sum(len(summary.seeds) - 1 for summary in chosen)
    squares = math.fsum((len(summary.seeds) - 1) * summary.std**2 for summary in chosen)
    of, what = whose
    another_kind, unlike, other_data = nearest
    words = f"{of}{what} on other data" if other_data else f"{of}other {what}"
    words += " of another kind" * another_kind + " at earlier settings" * unlike
    return Spread(math.sqrt(squares / freedom), words)
