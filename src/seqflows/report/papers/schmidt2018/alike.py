"""What two runs of words need before they can be compared: one schedule, one estimator, and an error over seeds.

A learning rate that falls by a noisy validation loss falls in one run and not in another; a cross entropy by prior
trajectories lies higher than one by importance sampling, by an amount that differs from model to model.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from seqflows.report import judging
from seqflows.report.inputs import EXACT, Summary
from seqflows.report.judging import UNDECIDED, Finding, Numbers, Ours, Reference, Value, name

ASIDE = ("kl_free_epochs", "kl_ramp_epochs", "kl_floor")  # what annealing is about


def unlike(numbers: Numbers, references: Iterable[Reference]) -> Finding | None:
    """Why numbers of ours cannot be compared: undecided, whatever they are. None where they can, or are printed."""
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
    """The same numbers, those of one seed with the error over seeds that other rows tell."""
    return Spread(numbers) if isinstance(numbers, Ours) and not isinstance(numbers, Spread) else numbers


class Spread(Ours):
    """Ours, where a number of one seed has the standard deviation over seeds of the runs that have several.

    Pooled, variances weighted by their degrees of freedom, over the runs of the same metric and of the same kind,
    exact or latent; where none has several seeds the number stays as it is, and says that it is of one.
    """

    def __init__(self, ours: Ours) -> None:
        self.results, self.runs, self.quoted = ours.results, ours.runs, ours.quoted

    def value(self, reference: Reference) -> Value | Finding:
        """A number with its standard error, over seeds where that can be known."""
        found = super().value(reference)
        if not isinstance(found, Value) or found.summary is None or found.summary.std is not None:
            return found
        pooled = self._pooled(found.summary)
        return found if pooled is None else found._replace(error=max(found.error, pooled))

    def difference(self, first: Reference, second: Reference) -> Value | Finding:
        """Between two numbers, their errors in quadrature: no test sequences are paired here."""
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
