"""Measured causes of cells outside their tolerance.

A cause is a hypothesis until a run that differs from the cell's in that alone was scored. With d = ours - reported and
c the changed run's number, the cause explains the share 1 - |c - reported| / |d| of the difference, and all of it if c
is within the tolerance. Such runs are the cell's own run at scale paper, and those that a paper's causes.yaml names;
or another number of the cell's run, such as another estimate. A printed number that cannot be is its paper's defect.

Where no run at the paper's own number of training sequences can be had, a trend takes its place: of m(n) and m(n'), the
numbers of two runs that differ in their n and n' < n training sequences alone (with as many epochs), and the paper's N,

    c = ours + (m(n) - m(n')) log(N / n) / log(n / n'),

the line through both in the logarithm of the number of sequences, continued; its error is continued likewise. A trend
within two standard errors of none is no cause, nor one that leaves less than half of the difference only within them.

A hypothesis that explains one cell may fail in others that it is about, so all that it was tried on is counted. Of
hypotheses that exclude each other (``one_of``), such as two definitions of one measure, the one that explains most
cells counts, in all of them.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from seqflows.report.cells import Cell, number
from seqflows.report.inputs import Results, Summary
from seqflows.report.judging import ERRORS, Ours
from seqflows.report.papers.base import CAUSES, OWN, Cause, Paper
from seqflows.report.verdict import tally

REDUCTION = "reduction"  # of size, budget and corpus together
DEFECT = "defect of the paper"  # a printed number that no model can have
MEASURED = (REDUCTION, *CAUSES, DEFECT)
UNEXPLAINED = "unexplained"
NOT_COUNTED = "not counted, as corrections may lie between numbers of other settings"
FLAT = "not counted, as the trend is within two standard errors of none"
WIDE = "not counted, as what it leaves may be over half of the difference within two standard errors"
EXCLUDED = "not counted, as it excludes {}, which explains more cells"
LEAST = 0.5  # of a difference, which a cause has to explain to be one
JUDGED = ("outside", "differs")  # the verdicts that ask for a cause


class Tried(NamedTuple):
    """A hypothesis with its measurement: the changed run's number, and the share of the difference that it explains.

    The share is negative if the change leads away from the printed number, and less than 1 of a number beyond it.
    """

    cause: str
    what: str
    changed: Summary
    share: float
    whole: bool
    remarks: tuple[str, ...]
    uncounted: str = ""  # why it does not count
    hypothesis: Cause | None = None  # the entry of causes.yaml

    @property
    def counts(self) -> bool:
        """Whether it may be the cause."""
        return not self.uncounted

    @property
    def explains(self) -> bool:
        """Whether it counts as the cause."""
        return self.counts and (self.whole or self.share >= LEAST)

    @property
    def text(self) -> str:
        """``size (squad-att_s-deep: steps): -8.009 (0.021), the whole difference``, and remarks on the number."""
        part = f"{100 * self.share:.0f} %" if self.share > 0 else "nothing"
        part = "the whole difference" if self.whole else f"{part} of the difference"
        parts = (part, *self.remarks, *((self.uncounted,) if self.uncounted else ()))
        return f"{self.cause} ({self.what}): {number(self.changed)}, " + ", ".join(parts)


class Judgement(NamedTuple):
    """The cause of a cell's difference: one of `MEASURED` or `UNEXPLAINED`, and all that was tried."""

    cause: str
    tried: tuple[Tried, ...]

    @property
    def text(self) -> str:
        """All measurements, the best first; "" if none was made."""
        return "; ".join(one.text for one in self.tried)


def judge(results: Results, full: Results | None, paper: Paper, cell: Cell, row: Mapping[str, Any]) -> Judgement | None:
    """The cause of a cell's difference; None if its verdict asks for none.

    ``full`` are the results at scale paper, if ``results`` are of a smaller scale of the same data; ``row`` is the
    cell's row of the audit, with its verdict, difference and tolerance.
    """
    if row.get("verdict") not in JUDGED or cell.summary is None:
        return None
    tried: list[Tried] = []
    own = not results.stale(cell.run, cell.summary)
    if full is not None and (changed := full.summary(cell.run, cell.metric, optional=True)):
        tried.append(_tried(full, REDUCTION, f"{cell.run} at scale {full.scale}", changed, cell, row, own))
    for entry in paper.causes:
        run, metric = entry.number(cell.run, cell.metric)
        known = run in results.params.runs and entry.of(cell.table.partition("-")[2], cell.row, cell.column)
        if known and entry.until:
            tried += _trend(results, entry, cell, row, own)
        elif known and (changed := results.summary(run, metric, optional=True)):
            same = metric == cell.metric and run != cell.run
            what = f"{run}: {_changes(results, cell.run, run)}" if same else f"{run}.{metric}"
            if entry.factor != 1:
                what, changed = f"{what} times {entry.factor:.4g}", changed.times(entry.factor)
            one = _tried(results, entry.cause, what, changed, cell, row, own)
            tried.append(one._replace(hypothesis=entry))
    return _best(tried)


def _best(tried: Iterable[Tried]) -> Judgement:
    """The judgement by what was tried, in the order of how much each explains."""
    made = sorted(tried, key=lambda one: (one.counts, one.whole, one.share), reverse=True)
    return Judgement(made[0].cause if made and made[0].explains else UNEXPLAINED, tuple(made))


def exclusive(judgements: Sequence[Judgement]) -> list[Judgement]:
    """The judgements of all cells with one choice of each group of `Cause.one_of`, that which explains most cells."""
    by: dict[str, Counter[str]] = {}
    for one in (tried for judgement in judgements for tried in judgement.tried if tried.hypothesis):
        group, choice = one.hypothesis.choice
        if group:
            by.setdefault(group, Counter())[choice] += one.explains
    chosen = {group: counts.most_common(1)[0][0] for group, counts in by.items()}

    def settled(one: Tried) -> Tried:
        group, choice = one.hypothesis.choice if one.hypothesis else ("", "")
        if not group or not one.counts or choice == chosen[group]:
            return one
        return one._replace(uncounted=EXCLUDED.format(f"“{chosen[group]}”"))

    return [_best(map(settled, judgement.tried)) for judgement in judgements]


def _tried(
    results: Results, cause: str, what: str, changed: Summary, cell: Cell, row: Mapping[str, Any], own: bool
) -> Tried:
    """What the run of a hypothesis leaves; it counts if its number and the cell's ``own`` are of present settings."""
    rest = abs(changed.value - float(cell.reported))
    share, remarks = 1 - rest / abs(row["difference"]), results.outdated(changed.run, changed)
    counts = own and not results.stale(changed.run, changed)
    whole = rest <= row["tolerance"]
    return Tried(cause, what, changed, share, whole, tuple(remarks), "" if counts else NOT_COUNTED)


def _trend(results: Results, entry: Cause, cell: Cell, row: Mapping[str, Any], own: bool) -> list[Tried]:
    """What the trend from fewer to more training sequences leaves, continued to the paper's; none of runs not made."""
    runs = (entry.against, entry.changed)
    ends = [results.summary(run, cell.metric, optional=True) for run in runs]
    counts = list(map(results.trained_on, runs))
    if cell.summary is None or None in ends or None in counts or counts[0] >= entry.sequences:
        return []
    (more, fewer), (most, least) = ends, counts
    seen, left = math.log2(most / least), math.log2(entry.sequences / most)
    numbers, ratio = Ours(results, [cell.table]), left / seen
    own_error, more_error, fewer_error = (numbers.of(one).error for one in (cell.summary, more, fewer))
    gain, error = more.value - fewer.value, math.hypot(more_error, fewer_error)
    value = cell.summary.value + gain * ratio
    parts = ((1 + ratio) * more_error,) if cell.run == entry.against else (own_error, ratio * more_error)
    error_there = math.hypot(*parts, ratio * fewer_error)
    what = f"{entry.changed} to {entry.against}: {least:,} to {most:,} sequences, continued to {entry.sequences:,}"
    there = dataclasses.replace(fewer, value=value, std=None, standard_error=error_there)
    one = _tried(results, entry.cause, what, there, cell, row, own and not results.stale(entry.against, more))
    rest = abs(value - float(cell.reported)) + ERRORS * error_there
    wide = WIDE if rest > (1 - LEAST) * abs(row["difference"]) else ""
    flat = FLAT if abs(gain) <= ERRORS * error else wide
    return [one._replace(hypothesis=entry, uncounted=one.uncounted or flat)]


def _changes(results: Results, run: str, changed: str) -> str:
    """The settings in which two runs differ: ``epochs, learning_rate``."""
    ours, theirs = map(results.settings, (run, changed))
    return ", ".join(sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)))


def counted(rows: Iterable[Mapping[str, Any]]) -> str:
    """``4 of 34: 3 reduction, 1 size``, of those with a measured cause; "" without a cell that asks for one."""
    named = Counter(row["cause"] for row in rows if row.get("cause"))
    if not named:
        return ""
    count = named.total() - named[UNEXPLAINED]
    parts = tally(named, {cause: cause for cause in MEASURED})
    return f"{count or 'none'} of {named.total()}" + (f": {parts}" if parts else "")


class Tally(NamedTuple):
    """A hypothesis over all cells on which it was tried: of how many differences it explains the whole, and so on."""

    hypothesis: Cause
    tried: int
    whole: int
    most: int  # at least `LEAST`, not the whole
    less: int
    not_counted: int

    @property
    def what(self) -> str:
        """``reading: words-tril-inference_tril``, or ``reading: entropy_gap_whole@20`` of each cell's own run."""
        factor = self.hypothesis.factor
        times = "" if factor == 1 else f" times {factor:.4g}"
        trend = f" to {self.hypothesis.against}, continued" if self.hypothesis.until else ""
        return f"{self.hypothesis.cause}: {self.hypothesis.changed.removeprefix(f'{OWN}.')}{trend}{times}"


def tallies(judgements: Iterable[Judgement]) -> list[Tally]:
    """The hypotheses of causes.yaml that were tried, each over all of its cells."""
    by: dict[Cause, list[Tried]] = {}
    for judgement in judgements:
        for one in judgement.tried:
            if one.hypothesis is not None:
                by.setdefault(one.hypothesis, []).append(one)
    found = []
    for hypothesis, tried in by.items():
        made = [one for one in tried if one.counts]
        whole, explained = sum(one.whole for one in made), sum(one.explains for one in made)
        sums = whole, explained - whole, len(made) - explained, len(tried) - len(made)
        found.append(Tally(hypothesis, len(tried), *sums))
    return found


def order(rows: Sequence[tuple[Cell, Mapping[str, Any]]]) -> list[tuple[Cell, Mapping[str, Any]]]:
    """The cells for which something was measured, explained ones first, each cause in the order of `MEASURED`."""
    places = {cause: place for place, cause in enumerate((*MEASURED, UNEXPLAINED))}
    return sorted((one for one in rows if one[1].get("measured")), key=lambda one: places[one[1]["cause"]])
