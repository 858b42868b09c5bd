"""Conditions for comparing two runs of words: one schedule, one estimator, and an error over seeds.

A learning rate driven by a noisy validation loss falls in one run and not in another; a cross entropy by prior
trajectories is higher than one by importance sampling, by an amount that differs between models.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from seqflows.report import judging
from seqflows.report.inputs import EXACT, Summary
from seqflows.report.judging import UNDECIDED, Finding, Numbers, Ours, Reference, Value, name

ASIDE = ("kl_free_epochs", "kl_ramp_epochs", "kl_floor")  # settings of annealing


def unlike(numbers: Numbers, references: Iterable[Reference]) -> Finding | None:
    """An undecided finding if numbers of ours cannot be compared; None if they can or are printed."""
    if not isinstance(numbers, Ours):
        return None
    found = [(name(reference), value.summary) for reference in references if _known(value := numbers.value(reference))]
    if len({summary.run for _, summary in found}) < 2:
        return None
    text = " vs ".join(f"“{row}”" for row in dict.fromkeys(row for row, _ in found))
    estimators = {numbers.results.estimator(summary) for _, summary in found} - {"", EXACT}
    if len(estimators) > 1:
        return Finding(UNDECIDED, f"{text}: not comparable, {' and '.join(sorted(estimators))}")
    trained = [one for summary in {s.run: s for _, s in found}.values() for one in numbers.results.trained(summary.run)]
    blocks = [{key: value for key, value in one.settings.items() if key not in ASIDE} for one in trained]
    if differing := sorted({key for block in blocks for key in block if block[key] != blocks[0].get(key)}):
        return Finding(UNDECIDED, f"{text}: not comparable, trained with another {', '.join(differing)}")
    if len({one.rates for one in trained}) > 1:
        return Finding(UNDECIDED, f"{text}: not comparable, the learning rate fell at other epochs")
    return None


def _known(value: Value | Finding) -> bool:
    return isinstance(value, Value) and value.summary is not None


def below(numbers: Numbers, first: Reference, second: Reference, margin: float = 0.0) -> Finding:
    """`judging.below` of runs that can be compared, with the spread over seeds."""
    return unlike(numbers, (first, second)) or judging.below(spread(numbers), first, second, margin)


def close(numbers: Numbers, first: Reference, second: Reference, margin: float) -> Finding:
    """`judging.close` of runs that can be compared, with the spread over seeds."""
    return unlike(numbers, (first, second)) or judging.close(spread(numbers), first, second, margin)


def weighted(numbers: Numbers, terms: Sequence[tuple[float, Reference]]) -> Value | Finding:
    """`judging.weighted` of runs that can be compared, with the spread over seeds."""
    return unlike(numbers, [reference for _, reference in terms]) or judging.weighted(spread(numbers), terms)


def spread(numbers: Numbers) -> Numbers:
    """The same numbers; those of one seed get the error over seeds from other rows."""
    return Spread(numbers) if isinstance(numbers, Ours) and not isinstance(numbers, Spread) else numbers


class Spread(Ours):
    """Our numbers, where one of a single seed gets the standard deviation over seeds of other runs.

    Pooled, variances weighted by their degrees of freedom, over the runs of the same metric and of the same kind,
    exact or latent; if none has several seeds the number keeps its error and the note ``one seed``.
    """

    def __init__(self, ours: Ours) -> None:
        self.results, self.used = ours.results, ours.used
        self.runs, self.quoted, self.human = ours.runs, ours.quoted, ours.human

    def value(self, reference: Reference) -> Value | Finding:
        """A number with its standard error, over seeds if known."""
        found = super().value(reference)
        if not isinstance(found, Value) or found.summary is None or found.summary.std is not None:
            return found
        pooled = self._pooled(found.summary)
        return found if pooled is None else found._replace(error=max(found.error, pooled))

    def difference(self, first: Reference, second: Reference) -> Value | Finding:
        """The difference of two numbers with errors in quadrature, without pairing."""
        values = [self.value(first), self.value(second)]
        if absent := [value for value in values if isinstance(value, Finding)]:
            return absent[0]
        a, b = values
        return Value(a.value - b.value, math.hypot(a.error, b.error), note=judging.seeds_note(values))

    def _pooled(self, one: Summary) -> float | None:
        squares = freedom = 0.0
        for run in {run for run, _ in self.runs.values()}:
            summary = self.results.summary(run, one.metric, optional=True)
            if summary and summary.std is not None and bool(summary.samples) == bool(one.samples):
                squares += (len(summary.seeds) - 1) * summary.std**2
                freedom += len(summary.seeds) - 1
        return math.sqrt(squares / freedom) if freedom else None
