"""Conditions for comparing two runs of words: one schedule and one estimator.

A learning rate driven by a noisy validation loss falls in one run and not in another; a cross entropy by prior
trajectories is higher than one by importance sampling, by an amount that differs between models.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from seqflows.report import judging
from seqflows.report.inputs import EXACT
from seqflows.report.judging import UNDECIDED, Finding, Numbers, Ours, Reference, Value, held_back, name

ASIDE = ("kl_free_epochs", "kl_ramp_epochs", "kl_floor")  # settings of annealing


def unlike(numbers: Numbers, references: Iterable[Reference]) -> str:
    """Why numbers of ours cannot be compared; "" if they can or are printed."""
    if not isinstance(numbers, Ours):
        return ""
    found = [value.summary for reference in references if _known(value := numbers.value(reference))]
    if len({summary.run for summary in found}) < 2:
        return ""
    estimators = {numbers.results.estimator(summary) for summary in found} - {"", EXACT}
    if len(estimators) > 1:
        return f"not comparable, {' and '.join(sorted(estimators))}"
    trained = [one for run in dict.fromkeys(s.run for s in found) for one in numbers.results.trained(run)]
    blocks = [{key: value for key, value in one.settings.items() if key not in ASIDE} for one in trained]
    if differing := sorted({key for block in blocks for key in block if block[key] != blocks[0].get(key)}):
        return f"not comparable, trained with another {', '.join(differing)}"
    if len({one.rates for one in trained}) > 1:
        return "not comparable, the learning rate fell at other epochs"
    return ""


def _known(value: Value | Finding) -> bool:
    return isinstance(value, Value) and value.summary is not None


def below(numbers: Numbers, first: Reference, second: Reference, margin: float = 0.0) -> Finding:
    """`judging.below`, undecided for runs that cannot be compared."""
    return held_back(judging.below(numbers, first, second, margin), unlike(numbers, (first, second)))


def close(numbers: Numbers, first: Reference, second: Reference, margin: float) -> Finding:
    """`judging.close`, undecided for runs that cannot be compared."""
    return held_back(judging.close(numbers, first, second, margin), unlike(numbers, (first, second)))


def weighted(numbers: Numbers, terms: Sequence[tuple[float, Reference]]) -> Value | Finding:
    """`judging.weighted` of runs that can be compared."""
    references = [reference for _, reference in terms]
    earlier = numbers.apart(*references) if isinstance(numbers, Ours) else ""
    if why := earlier or unlike(numbers, references):
        rows = " vs ".join(f"“{row}”" for row in dict.fromkeys(map(name, references)))
        return Finding(UNDECIDED, f"{rows}: {why}")
    return judging.weighted(numbers, terms)
