"""The predicates of Schmidt & Hofmann 2018 about how its cross entropies were estimated (sections 4.1 and 5.1)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from seqflows.report.inputs import Summary
from seqflows.report.judging import (
    HOLDS,
    NOT_PRINTED,
    NOT_RUN,
    OTHER_CORPUS,
    Finding,
    Numbers,
    Ours,
    Printed,
    Value,
    held_back,
    join,
    noted,
    ruled,
    signed,
    unnoted,
)  # fmt: skip
from seqflows.report.papers.schmidt2018.predicates import BASELINES, STATE_SPACE, TABLE1, one

TYPES = 143_000  # words of the paper's V, section 5
FEW = 20  # trajectories, section 5.2


def uniform(numbers: Numbers) -> Finding:
    """H[P_test, P^] below the log of the number of words: what a uniform guess over V scores."""
    return join(_against_uniform(numbers, row) for row in (*STATE_SPACE, *BASELINES))


def _against_uniform(numbers: Numbers, row: str) -> Finding:
    found, count = numbers.value(one(row)), TYPES
    if isinstance(found, Finding):
        return found
    if isinstance(numbers, Ours):
        types = numbers.results.summary(found.summary.run, "unique_all", optional=True)
        if types is None or not types.samples:
            return Finding(NOT_RUN, f"{found.summary.run} does not say how many types it was trained on")
        count = types.samples
    excess = found.value - math.log(count)
    text = f"“{row}” {found.value:.2f} against log {count:,} = {math.log(count):.2f} nats"
    if isinstance(numbers, Printed):
        text += f" (as bits {found.value * math.log(2):.2f} nats)"
    return ruled(excess, found.error, text)


def few_suffice(numbers: Numbers, margin: float) -> Finding:
    """The estimate at K = 20 at most ``margin`` above the headline."""
    if not isinstance(numbers, Ours):
        return Finding(NOT_PRINTED, "one estimate a cell, without its K")
    found = []
    for row in STATE_SPACE:
        few, many = _by_count(numbers, row).get(FEW), numbers.value(one(row))
        if few is None or isinstance(many, Finding):
            found.append(many if isinstance(many, Finding) else Finding(NOT_RUN, f"“{row}” has no K = {FEW}"))
            continue
        gap = Value(few.value - many.value, math.hypot(few.error, many.error), note=noted([many]))
        text = f"“{row}” K={FEW} less the headline {signed(gap)}, bound {margin:+g}"
        found.append(ruled(gap.value - margin, gap.error, text, equal=HOLDS))
    return join(found)


def sampled_baseline(numbers: Numbers) -> Finding:
    """The baselines above TRIL where both are estimated from the largest number of sequences of states of both.

    What `FEW` of them say is told too: the order of two estimates may turn with K, which is not printed for the table.
    """
    if not isinstance(numbers, Ours):
        return Finding(NOT_PRINTED, "the number of sequences is not printed")
    found = []
    for row in BASELINES:
        ours, theirs = _by_count(numbers, "TRIL"), _by_count(numbers, row)
        if not (shared := sorted(ours.keys() & theirs.keys())):
            found.append(Finding(NOT_RUN, f"“TRIL” and “{row}” have no number of sequences in common"))
            continue
        gaps = {count: _gap(numbers, ours[count], theirs[count]) for count in shared}
        gap = gaps[most := shared[-1]]
        few = f"; K={FEW}: {signed(gaps[FEW])}" if FEW in gaps and most != FEW else ""
        pair = f"“TRIL” vs “{row}”, K={most}:"
        made = held_back(
            ruled(gap.value, gap.error, f"{pair} {signed(gap)}{few}"), numbers.apart(one("TRIL"), one(row))
        )
        found.append(made.comparing((one("TRIL"), one(row)), f"{pair} {unnoted(gap)}"))
    return join(found)


def _by_count(numbers: Ours, row: str) -> dict[int, Summary]:
    """A row's test cross entropy by the number of trajectories."""
    run, metric = numbers.address(one(row))
    return numbers.results.by_count(run, metric) if run else {}


def _gap(numbers: Ours, ours: Summary, theirs: Summary) -> Value:
    """The difference of two estimates."""
    a, b = map(numbers.of, (ours, theirs))
    return Value(a.value - b.value, math.hypot(a.error, b.error), note=noted((a, b)))


def located(numbers: Numbers, rows: Iterable[str]) -> Finding:
    """The printed test cross entropy at or above ours at K = 20: as of fewer trajectories."""
    return _beside_printed(numbers, rows, _few)


def _few(printed: float, values: dict[int, Summary], headline: Value) -> tuple[float, float]:
    return values[FEW].value - printed, values[FEW].error


def read_by_sampling(numbers: Numbers) -> Finding:
    """Each baseline's printed number nearer to ours at the largest K than to ours exact."""
    return _each_baseline(numbers, lambda exact, many, target: abs(many - target) - abs(exact - target))


def difference_by_sampling(numbers: Numbers) -> Finding:
    """BASELINE-8D less BASELINE-16D as printed nearer to ours at the largest K than to ours exact."""
    found = _baselines(numbers)
    if isinstance(found, Finding):
        return found
    (eight, many, printed), (sixteen, many16, printed16) = found
    target = printed - printed16
    exact, sampled = eight.value - sixteen.value, many.value - many16.value
    excess = abs(sampled - target) - abs(exact - target)
    error = math.hypot(*(one.error for one in (eight, sixteen, many, many16)))
    text = f"printed {target:.2f}; ours {sampled:.2f} at K={many.samples}, exact {exact:.2f}"
    return ruled(excess, error, text + _one_seed(eight, sixteen))


def level_by_sampling(numbers: Numbers, margin: float) -> Finding:
    """Each printed number within ``margin`` of ours at the largest K."""
    return _each_baseline(numbers, lambda _, many, target: abs(many - target) - margin)


def _each_baseline(numbers: Numbers, excess: Callable[[float, float, float], float]) -> Finding:
    """Judge the baselines by ``excess`` of the exact number, that at the largest K and the printed one."""
    found = _baselines(numbers)
    if isinstance(found, Finding):
        return found
    lines = []
    for row, (exact, many, printed) in zip(BASELINES, found, strict=True):
        text = f"“{row}”: printed {printed:.2f}; ours {many.value:.2f} at K={many.samples}, exact {exact.value:.2f}"
        over = excess(exact.value, many.value, printed)
        lines.append(ruled(over, math.hypot(exact.error, many.error), text + _one_seed(exact), equal=HOLDS))
    return join(lines)


def _baselines(numbers: Numbers) -> list[tuple[Summary, Summary, float]] | Finding:
    """The exact test cross entropy of each baseline, that at the largest K, and the printed one."""
    if not isinstance(numbers, Ours):
        return Finding(NOT_PRINTED, "the number of sequences is not printed")
    printed, found = Printed([TABLE1]), []
    for row in BASELINES:
        headline = numbers.value(one(row))
        if isinstance(headline, Finding):
            return headline
        run, metric = numbers.address(one(row))
        if numbers.results.embedded(numbers.results.dataset(run)):
            return Finding(OTHER_CORPUS, "printed for the real corpus")
        values = numbers.results.by_count(run, metric)
        if not values:
            return Finding(NOT_RUN, f"“{row}” has no sampled reading")
        found.append((headline.summary, values[max(values)], printed.value(one(row)).value))
    return found


def _one_seed(*summaries: Summary) -> str:
    return " (one seed)" if any(len(summary.seeds) == 1 for summary in summaries) else ""


def models_unit(numbers: Numbers, rows: Iterable[str]) -> Finding:
    """The printed number nearer to one of ours in nats, at whatever K, than to our headline in bits."""
    return _beside_printed(numbers, rows, _unit)


def _unit(printed: float, values: dict[int, Summary], headline: Value) -> tuple[float, float]:
    nats = [headline.value, *(found.value for found in values.values())]
    excess = min(abs(value - printed) for value in nats) - abs(headline.value / math.log(2) - printed)
    return excess, math.hypot(values[FEW].error, headline.error)


def _beside_printed(
    numbers: Numbers, rows: Iterable[str], judge: Callable[[float, dict[int, Summary], Value], tuple[float, float]]
) -> Finding:
    """Judge rows by ``judge``: distance from the line and its error, from the printed number and ours by K."""
    if not isinstance(numbers, Ours):
        return Finding(NOT_PRINTED, "the number of trajectories is not printed")
    printed, found = Printed([TABLE1]), []
    for row in rows:
        headline, target = numbers.value(one(row)), printed.value(one(row)).value
        if isinstance(headline, Finding):
            found.append(headline)
            continue
        run, metric = numbers.address(one(row))
        if numbers.results.embedded(numbers.results.dataset(run)):
            found.append(Finding(OTHER_CORPUS, "printed for the real corpus"))
            continue
        values = numbers.results.by_count(run, metric)
        if FEW not in values:
            found.append(Finding(NOT_RUN, f"“{row}” has no K = {FEW}"))
            continue
        excess, error = judge(target, values, headline)
        bits = headline.value / math.log(2)
        text = f"“{row}”: printed {target:.2f} lies {_place(target, values)}; headline {headline.value:.2f}, "
        text += f"in bits {bits:.2f}"
        found.append(ruled(excess, error, text, equal=HOLDS))
    return join(found, shown=len(found))


def _place(value: float, by_count: dict[int, Summary]) -> str:
    """``between K=1 (13.20) and K=20 (11.21)``."""
    shown = [f"K={count} ({found.value:.2f})" for count, found in by_count.items()]
    above = sum(found.value >= value for found in by_count.values())
    if above == 0:
        return f"above {shown[0]}"
    return f"below {shown[-1]}" if above == len(shown) else f"between {shown[above - 1]} and {shown[above]}"
