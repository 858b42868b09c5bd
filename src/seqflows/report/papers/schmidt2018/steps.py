"""The predicates of Schmidt & Hofmann 2018 about the entropy gap along generated words (section 5.2)."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable

from seqflows import paths, records
from seqflows.report import gaps
from seqflows.report.inputs import seed_folders
from seqflows.report.judging import NOT_PRINTED, NOT_RUN, Finding, Numbers, Ours, Value, join, ruled, signed

GAPS = "words-tril2-k10"  # the run of Figures 1 and 2


def along(judge: Callable[[list[gaps.Word]], list[tuple[str, float, float]]]) -> Callable[[Numbers], Finding]:
    """Judge gaps.csv of the run of Figures 1 and 2: ``judge`` gives (what, value, error), each expected below 0."""

    def finding(numbers: Numbers) -> Finding:
        if not isinstance(numbers, Ours):
            return Finding(NOT_PRINTED, "shown in figure 2, no number printed")
        results = numbers.results
        if GAPS not in results.params.runs or results.metrics(GAPS) is None:
            return Finding(NOT_RUN, f"{GAPS} was not run")
        found: dict[str, list[tuple[float, float]]] = {}
        folders = seed_folders(paths.evaluation(results.scale, GAPS))
        files = [path for folder in folders if (path := folder / "gaps.csv").exists()]
        for path in files:
            for what, value, error in judge(gaps.read(results.verified(GAPS, path))):
                found.setdefault(what, []).append((value, error))
        listed = (records.metrics(results.scale, GAPS) or {}).get("files", {})
        if not files and any(name.endswith("/gaps.csv") for name in listed):
            key = f"{results.scale}/{GAPS}"
            again = f"python -m seqflows train {key}, then evaluate {key}, then keep {results.scale}"
            text = f"the gaps.csv of {GAPS}, from which figures 1 and 2 are drawn, was not kept, nor was its model"
            return Finding(NOT_RUN, f"{text}: run {again}")
        if not found:
            return Finding(NOT_RUN, f"{GAPS} has no gaps.csv with {gaps.LEAST} words")
        return join(_over_seeds(what, values) for what, values in found.items())

    return finding


def _over_seeds(what: str, values: list[tuple[float, float]]) -> Finding:
    mean = statistics.fmean(value for value, _ in values)
    error = math.sqrt(statistics.fmean(error**2 for _, error in values))
    if len(values) > 1:
        error = math.hypot(error, statistics.stdev(value for value, _ in values) / math.sqrt(len(values)))
    note = "one seed" if len(values) == 1 else ""
    return ruled(mean, error, f"{what} {signed(Value(mean, error, note=note))}")


def first_largest(words: list[gaps.Word]) -> list[tuple[str, float, float]]:
    """The gap of each later step less that of the first, word by word."""
    found = []
    for step in gaps.at_steps(words):
        if step > 1:
            differences = [word[step - 1] - word[0] for word in words if len(word) >= step]
            found.append((f"step {step} - step 1", *gaps.mean_error(differences)))
    return found


def decreasing(words: list[gaps.Word]) -> list[tuple[str, float, float]]:
    """The slope of the gap over the steps."""
    return [("slope over the steps, nats a step:", *gaps.slope(words))] if gaps.at_steps(words) else []


def spreading(words: list[gaps.Word]) -> list[tuple[str, float, float]]:
    """The standard deviation over words at the second step less that at each later one.

    Before the first step all words have the same state: differences there are only noise of the estimate.
    """
    steps = gaps.at_steps(words)
    deviations = {step: (statistics.stdev(found), 2 * (len(found) - 1)) for step, found in steps.items()}
    found = []
    for step, (deviation, freedom) in deviations.items():
        if step > 2:
            second, many = deviations[2]
            error = math.sqrt(second**2 / many + deviation**2 / freedom)
            found.append((f"deviation at step 2 - at step {step}", second - deviation, error))
    return found
