"""Conditions for comparing two runs of words: one schedule and one estimator.

A learning rate driven by a noisy validation loss falls in one run and not in another; a cross entropy by prior
trajectories is higher than one by importance sampling, by an amount that differs between models.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from seqflows.report import judging
from seqflows.report.inputs import EXACT
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
    """`judging.below` of runs that can be compared."""
    return unlike(numbers, (first, second)) or judging.below(numbers, first, second, margin)


def close(numbers: Numbers, first: Reference, second: Reference, margin: float) -> Finding:
    """`judging.close` of runs that can be compared."""
    return unlike(numbers, (first, second)) or judging.close(numbers, first, second, margin)


def weighted(numbers: Numbers, terms: Sequence[tuple[float, Reference]]) -> Value | Finding:
    """`judging.weighted` of runs that can be compared."""
    return unlike(numbers, [reference for _, reference in terms]) or judging.weighted(numbers, terms)
