"""Comparisons of numbers with errors: the same predicates judge a paper's printed numbers and ours.

A number is named by its cell, ``(table, row, column)``, or, if no table prints it, by ``<run>.<metric>``.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import NormalDist
from typing import NamedTuple, Protocol

from seqflows.report.cells import addresses, counted, human, impossible, reported
from seqflows.report.comparisons import Pair
from seqflows.report.inputs import Mean, Results, Summary
from seqflows.report.lending import Spread, lent
from seqflows.report.settling import remainder

HOLDS, FAILS, UNDECIDED = "holds", "fails", "undecided"
NOT_RUN, NOT_PRINTED, OTHER_CORPUS, STAND_IN = "not run", "not printed", "other corpus", "stand-in"
Reference = tuple[str, str, str] | str
ROUNDING = 1e-9  # printed decimals compare as decimals


SHOWN = 4  # findings that a joined one gives in full
ERRORS = 2  # standard errors within which an ordering is undecided
POWER = 0.84  # the 80 % quantile of a standard normal


class Finding(NamedTuple):
    """A verdict and its numbers.

    Attributes:
        verdict: HOLDS, FAILS, UNDECIDED, or why there is no answer.
        text: its numbers.
        excess: the distance from the line between holding and failing.
        error: the standard error of that distance; 0 of printed numbers, None if unknown.
        short: the text of the deciding comparison that is nearest to the line, of a joined finding.
        parts: the findings that a joined one is of.
        needed: the seeds of each run that an undecided one would take; infinite if the test sequences limit it, None if
            unknown.
        of: the cells that it compares; of a joined one, those of the comparison that is nearest to the line.
        plain: that comparison without its notes.
    """

    verdict: str
    text: str
    excess: float = 0.0
    error: float | None = None
    short: str = ""
    parts: tuple[Finding, ...] = ()
    needed: float | None = None
    of: tuple[Reference, ...] = ()
    plain: str = ""

    @property
    def reason(self) -> str:
        """Its numbers in short."""
        return self.short or self.text

    def comparing(self, cells: tuple[Reference, ...], text: str) -> Finding:
        """The same, of a comparison of some cells, with its text without notes."""
        return self._replace(of=cells, plain=text)

    @property
    def seen(self) -> float | None:
        """The smallest difference that would not have been `UNDECIDED`, two standard errors; None if unknown."""
        return ERRORS * self.error if self.error else None

    @property
    def settled(self) -> str:
        """What would settle an undecided one, as text; "" if unknown.

        >>> Finding(UNDECIDED, "", needed=12.0).settled, Finding(UNDECIDED, "", needed=math.inf).settled
        ('12 seeds of each run', 'more test sequences, no number of seeds')
        """
        if self.needed is None:
            return ""
        if math.isinf(self.needed):
            return "more test sequences, no number of seeds"
        return f"{self.needed:,.0f} seeds of each run"


class Value(NamedTuple):
    """A number, its standard error (0 for a printed one) and its origin.

    ``spread`` is the standard deviation over seeds, of a difference that of both sides together; None if unknown.
    """

    value: float
    error: float
    summary: Summary | None = None
    note: str = ""  # what the error excludes
    spread: float | None = None
    seeds: float = 0.0  # the part of the error that is over seeds
    apart: str = ""  # of a difference: why its two numbers cannot be compared
    convention: str = ""  # of the value, where it is not that of its cell
    drift: float = 0.0  # of a difference, as K of the one side that is sampled goes to infinity (`settling`)


class Numbers(Protocol):
    """One set of numbers on which claims are judged: the paper's or ours."""

    missing: str  # the verdict for a missing number

    def value(self, reference: Reference) -> Value | Finding:
        """A number, or a finding if it is missing."""

    def difference(self, first: Reference, second: Reference) -> Value | Finding:
        """The difference first - second with its standard error."""


def join(findings: Iterable[Finding], shown: int = SHOWN) -> Finding:
    """Join findings: the first present of fails, not run, not printed, undecided, other corpus, stand-in and holds.

    A claim on n comparisons with errors fails by one of them, so that each has to fail beyond chance among n
    (Bonferroni): what lies within `beyond` (n) standard errors is undecided. It holds only if all hold.
    """
    found = [part for finding in findings for part in finding.parts or (finding,)]
    least = beyond(sum(bool(part.error) for part in found))
    judged = [
        part._replace(verdict=UNDECIDED) if part.verdict == FAILS and part.error and part.excess < least * part.error
        else part for part in found
    ]  # fmt: skip
    verdicts = {finding.verdict for finding in judged}
    order = (FAILS, NOT_RUN, NOT_PRINTED, UNDECIDED, OTHER_CORPUS, STAND_IN, HOLDS)
    verdict = next(verdict for verdict in order if verdict in verdicts)
    deciding = sorted((finding for finding in judged if finding.verdict == verdict), key=lambda f: abs(f.excess))
    texts = list(dict.fromkeys(finding.text for finding in deciding[:shown]))
    counts = Counter(finding.verdict for finding in judged if finding.verdict != verdict)
    held = f"; {counts[HOLDS]} hold{'s' * (counts[HOLDS] == 1)}" if counts[HOLDS] else ""
    if len(deciding) > shown:
        counts = Counter({verdict: len(deciding) - shown}) + counts
    rest = ", ".join(f"{count} × {name}" for name, count in counts.items())
    nearest, more = deciding[0], len(deciding) - 1
    short = nearest.reason + (f"; and {more} more" if more else "") + held
    text = "; ".join(texts) + (f" (others: {rest})" if rest else "")
    needed = _most(deciding)
    joined = Finding(verdict, text, nearest.excess, nearest.error, short, tuple(found), needed)
    return joined.comparing(nearest.of, nearest.plain)


def _most(open_: Iterable[Finding]) -> float | None:
    """The seeds that all of some undecided findings would take; None if one's are unknown and none is limited else."""
    counts = [one.needed for one in open_]
    return math.inf if math.inf in counts else None if None in counts else max(counts, default=None)


def beyond(count: int) -> float:
    """The standard errors that one of ``count`` comparisons has to lie beyond, at the chance of `ERRORS` for one.

    >>> round(beyond(1), 2), round(beyond(8), 2), round(beyond(32), 2)
    (2.0, 2.77, 3.19)
    """
    normal = NormalDist()
    return -normal.inv_cdf(normal.cdf(-ERRORS) / max(count, 1))


def either(findings: Iterable[Finding]) -> Finding:
    """Join findings of which one is enough: those that hold; if none does, those that may yet; else all that fail."""
    found = list(findings)
    silent, closed = (STAND_IN, OTHER_CORPUS), (FAILS, STAND_IN, OTHER_CORPUS)
    sides = (
        [finding for finding in found if finding.verdict == HOLDS],
        [finding for finding in found if finding.verdict not in closed],
        [finding for finding in found if finding.verdict not in silent],
    )
    return join(next(filter(None, sides), found))


def each(
    numbers: Numbers, sets: Mapping[str, Reference], judge: Callable[[str], Iterable[Finding]]
) -> Finding:  # fmt: skip
    """Join what ``judge`` finds for each of some data sets, by their names with a cell of each.

    Nothing is concluded where our number of that cell is of other text than the paper's.
    """
    found: list[Finding] = []
    for name, reference in sets.items():
        if _stands_in(numbers, reference):
            found.append(Finding(STAND_IN, f"{name}: its text stands in for the paper's, nothing is concluded"))
        else:
            found += judge(name)
    return join(found)


def _stands_in(numbers: Numbers, reference: Reference) -> bool:
    if not isinstance(numbers, Ours):
        return False
    run, _ = numbers.address(reference)
    return bool(run) and numbers.results.stand_in(numbers.results.dataset(run))


def below(numbers: Numbers, first: Reference, second: Reference, margin: float = 0.0) -> Finding:
    """Judge first < second (or, with a margin, first <= second + margin); undecided within two standard errors.

    Also of runs of which one alone is of earlier settings.
    """
    difference = numbers.difference(first, second)
    if isinstance(difference, Finding):
        return difference
    text = f"{versus(first, second)} {signed(difference)}"
    if margin:
        text += f", bound {margin:+g}"
    excess, equal = difference.value - margin, HOLDS if margin else UNDECIDED
    found = _of_difference(excess, difference, text, equal)
    return _compared(found, first, second, difference, excess + difference.drift)


def close(numbers: Numbers, first: Reference, second: Reference, margin: float) -> Finding:
    """Judge |first - second| <= margin; undecided within two standard errors of the margin, and as in `below`."""
    difference = numbers.difference(first, second)
    if isinstance(difference, Finding):
        return difference
    text = f"{versus(first, second)} {signed(difference)}, bound ±{margin:g}"
    found = _of_difference(abs(difference.value) - margin, difference, text, equal=HOLDS)
    return _compared(found, first, second, difference, abs(difference.value + difference.drift) - margin)


def _compared(found: Finding, first: Reference, second: Reference, difference: Value, settled: float) -> Finding:
    """A finding on a difference with what it is of; `held_back` if the two cannot be compared.

    Also where another verdict would be that of the excess that is expected of infinitely many samples, ``settled``.
    """
    why = difference.apart
    moved = difference.drift and decide(settled, difference.error) != found.verdict
    if moved and not why and found.verdict in (HOLDS, FAILS):
        why = f"not settled in K, about {difference.drift:+.3f} more of infinitely many samples"
    return held_back(found, why).comparing((first, second), f"{versus(first, second)} {unnoted(difference)}")


def held_back(finding: Finding, why: str) -> Finding:
    """A finding; undecided with its numbers, if there is a reason ``why``. No number of seeds settles it."""
    if not why:
        return finding
    return Finding(UNDECIDED, f"{finding.text}; {why}").comparing(finding.of, f"{finding.plain}, not comparable")


def _of_difference(excess: float, difference: Value, text: str, equal: str) -> Finding:
    """`ruled`, with the seeds that would settle what is undecided."""
    found = ruled(excess, difference.error, text, equal)
    return found._replace(needed=needed(excess, difference)) if found.verdict == UNDECIDED else found


def needed(excess: float, difference: Value) -> float | None:
    """The seeds n of both sides with |excess| > (`ERRORS` + `POWER`) sqrt(fixed^2 + spread^2 / n).

    With so many an excess as large as the one seen is beyond two standard errors four times in five. None if no spread
    is known, and of an excess within one error, which says nothing of how large it is.

    >>> needed(0.2, Value(0.2, 0.13, spread=0.2, seeds=0.12)), needed(0.14, Value(0.14, 0.13, spread=0.2, seeds=0.12))
    (17, inf)
    >>> needed(0.1, Value(0.1, 0.13, spread=0.2, seeds=0.12))
    """
    if not difference.spread or abs(excess) < difference.error:
        return None
    fixed = difference.error**2 - difference.seeds**2  # over the test sequences
    room = (excess / (ERRORS + POWER)) ** 2 - fixed
    return math.ceil(difference.spread**2 / room) if room > 0 else math.inf


def weighted(numbers: Numbers, terms: Sequence[tuple[float, Reference]]) -> Value | Finding:
    """sum_i c_i x_i of independent numbers, with its standard error."""
    values = [numbers.value(reference) for _, reference in terms]
    if absent := [value for value in values if isinstance(value, Finding)]:
        return absent[0]
    total = math.fsum(factor * found.value for (factor, _), found in zip(terms, values, strict=True))
    error = math.hypot(*(factor * found.error for (factor, _), found in zip(terms, values, strict=True)))
    return Value(total, error, note=noted(values))


def noted(values: Iterable[Value]) -> str:
    """The notes of some numbers, each once; whose spread is not known where another's is."""
    parts = dict.fromkeys(part for found in values for part in found.note.split(", ") if part)
    if not any(part.startswith("spread of ") for part in parts):
        parts = dict.fromkeys("no spread known" if part.startswith("no spread of ") else part for part in parts)
    return ", ".join(parts)


def seeds_note(summary: Summary, given: Spread | None) -> str:
    """``one seed``, whose error excludes the spread over seeds or has one that is given; "" with several."""
    if len(summary.seeds) > 1:
        return ""
    return f"one seed, spread of {given.whose}" if given else f"one seed, no spread of {summary.run} known"


def over_seeds(numbers: Ours, runs: Iterable[str], metric: str) -> str:
    """`` (one seed)`` where a run has one alone: a p over test sequences does not know the spread over seeds."""
    found = [numbers.results.summary(run, metric) for run in runs]
    return " (one seed)" if any(len(summary.seeds) == 1 for summary in found if summary) else ""


def by_chance(numbers: Ours, gain: Pair, bound: float, text: str, between: tuple[Reference, Reference]) -> Finding:
    """Judge a one-sided p over test sequences below a bound; undecided within two standard errors over seeds.

    Also where the runs of the cells that it is ``between`` cannot be compared, and where a gain that is large enough
    for the bound lies within two standard errors of the one that was seen: the test sequences are too few to tell.
    """
    excess = gain.p - bound
    if why := numbers.apart(*between):
        return held_back(Finding(UNDECIDED, text, excess), why)
    if gain.seeds_error and abs(gain.difference) < ERRORS * gain.seeds_error:
        return Finding(UNDECIDED, f"{text}; gain ± {gain.seeds_error:.2f} over seeds", excess)
    if gain.p < bound:
        return Finding(HOLDS, text, excess)
    enough = -NormalDist().inv_cdf(bound) * gain.standard_error
    if gain.difference + ERRORS * gain.standard_error > enough:
        return Finding(UNDECIDED, f"{text}; it takes {enough:+.2f}, within two errors of the gain", excess)
    return Finding(FAILS, text, excess)


def ruled(excess: float, error: float, text: str, equal: str = UNDECIDED) -> Finding:
    """The finding of a distance from the line with its standard error, see `decide`."""
    return Finding(decide(excess, error, equal), text, excess, error)


def decide(excess: float, error: float, equal: str = UNDECIDED) -> str:
    """The verdict: holds below the line, fails above it, undecided within two standard errors."""
    if abs(excess) <= ROUNDING:
        return equal if error == 0 else UNDECIDED
    if abs(excess) < ERRORS * error:
        return UNDECIDED
    return HOLDS if excess < 0 else FAILS


def name(reference: Reference) -> str:
    """A reference as text in a sentence."""
    if isinstance(reference, str):
        return reference
    return reference[1] if reference[2] in ("Test NLL", "Reconst.", "KL") else f"{reference[1]} ({reference[2]})"


def versus(first: Reference, second: Reference) -> str:
    """A pair as text in a sentence: ``AF / AF vs LSTM, Nottingham``."""
    if isinstance(first, str) or isinstance(second, str) or first[2] != second[2]:
        return f"{name(first)} vs {name(second)}"
    column = "" if first[2] == "Test NLL" else f", {first[2]}:"
    return f"“{first[1]}” vs “{second[1]}”{column}"


def signed(value: Value) -> str:
    """``+0.010 ± 0.004`` (one standard error), and a note if there is one."""
    error, notes = (
        f" ± {value.error:.3f}" if value.error else "",
        ", ".join(filter(None, (value.convention, value.note))),
    )
    return f"{value.value:+.3f}{error}" + (f" ({notes})" if notes else "")


def unnoted(value: Value) -> str:
    """`signed` without the note."""
    return signed(value._replace(note=""))


def by_piece(scores: Sequence[Mean]) -> float:
    """The mean over sequences of NLL / (T + 1) less sum NLL / sum (T + 1), which is per step; 0 without scores.

    >>> by_piece([Mean(2.0, 2.0), Mean(12.0, 4.0)])
    -0.3333333333333335
    """
    if not scores:
        return 0.0
    own = math.fsum(one.nll / one.steps for one in scores) / len(scores)
    return own - math.fsum(one.nll for one in scores) / math.fsum(one.steps for one in scores)


class Printed:
    """The numbers that the paper prints, including quoted ones.

    ``impossible`` are the cells that cannot be among those asked for, until it is cleared.
    """

    missing = NOT_PRINTED

    def __init__(self, tables: Iterable[str]) -> None:
        cells = {(c.table, c.row, c.column): c for table in tables for c in reported(table)}
        self.cells = {reference: float(cell.reported) for reference, cell in cells.items()}
        self.impossible: dict[Reference, None] = {}
        self._beyond = {reference for reference, cell in cells.items() if impossible(cell)}

    def value(self, reference: Reference) -> Value | Finding:
        """A printed number; only tables have them."""
        if isinstance(reference, str) or reference not in self.cells:
            return Finding(NOT_PRINTED, f"no number printed for {name(reference)}")
        if reference in self._beyond:
            self.impossible[reference] = None
        return Value(self.cells[reference], 0.0)

    def difference(self, first: Reference, second: Reference) -> Value | Finding:
        """The difference of two printed numbers, exact in decimals."""
        values = [self.value(first), self.value(second)]
        if absent := [value for value in values if isinstance(value, Finding)]:
            return absent[0]
        return Value(values[0].value - values[1].value, 0.0)


class Ours:
    """The numbers of one scale's runs. A quoted number is compared with ours only on the real corpus.

    The error over seeds of a number of one seed is the standard deviation over seeds of the paper's models that are
    most like it (`lending`) and, where none has several seeds, left out; the note says which. ``lenders`` are runs in
    place of the paper's models.
    """

    missing = NOT_RUN
    _whose = "the paper's ", "models"  # the lenders

    def __init__(self, results: Results, tables: Iterable[str], lenders: Iterable[str] = ()) -> None:
        self.results = results
        self.used: dict[str, None] = {}  # the runs whose numbers were asked for, in that order
        self.runs: dict[Reference, tuple[str, str]] = {}
        self.human: dict[Reference, tuple[str, str, str]] = {}
        self.quoted: dict[Reference, float] = {}
        printed = {(cell.table, cell.row, cell.column) for table in tables for cell in reported(table)}
        for table in tables:
            for (row, column), address in addresses(results.params, table).items():
                self.runs[table, row, column] = address
            self.human |= {(table, *place): (table, *sheet) for place, sheet in human(results.params, table).items()}
            self.quoted |= {
                (c.table, c.row, c.column): float(c.reported) for c in reported(table) if c.status == "quoted"
            }
        self._models = sorted(lenders or {run for place, (run, _) in self.runs.items() if place in printed})
        if lenders:
            self._whose = "the ", "candidates"

    def address(self, reference: Reference) -> tuple[str, str]:
        """(run, metric) of a reference; both empty if params.yaml has none."""
        if isinstance(reference, str):
            run, _, metric = reference.partition(".")
            found = (run, metric) if run in self.results.params.runs else ("", "")
        else:
            found = self.runs.get(reference, ("", ""))
        if found[0]:
            self.used[found[0]] = None
        return found

    def value(self, reference: Reference) -> Value | Finding:
        """Our mean over seeds with its standard error."""
        if reference in self.human:
            return self._judged(*self.human[reference], reference)
        run, metric = self.address(reference)
        summary = self.results.summary(run, metric) if run else None
        if summary is None:
            reason = (run and self.results.lacking(run, metric)) or f"{run or name(reference)} was not run"
            return Finding(NOT_RUN, reason)
        return self.of(summary)

    def of(self, summary: Summary) -> Value:
        """A number with its error over test sequences and seeds; of separate draws, both are in the spread."""
        error, given = summary.error, self._lent(summary) if summary.std is None else None
        if given is not None:
            error = max(error, given.std) if summary.own_draws else math.hypot(error, given.std)
        return Value(summary.value, error, summary, seeds_note(summary, given))

    def _over_seeds(self, summary: Summary) -> float:
        """The standard error over seeds; 0 if unknown."""
        return (self.deviation(summary) or 0.0) / math.sqrt(len(summary.seeds))

    def deviation(self, summary: Summary) -> float | None:
        """The standard deviation over seeds, of a number of one seed the one `_lent`; None if unknown."""
        if summary.std is not None:
            return summary.std
        given = self._lent(summary)
        return given.std if given else None

    def _lent(self, one: Summary) -> Spread | None:
        return lent(self.results, one, self._models, self._whose)

    def _judged(self, table: str, sheet: str, part: str, reference: Reference) -> Value | Finding:
        """The pairs of a sheet that raters gave to a system, or none of both; exact."""
        found = counted(self.results, table, sheet, part)
        if found is None:
            return Finding(NOT_RUN, f"nobody judged {name(reference)}")
        return Value(found.value, 0.0, found)

    def difference(self, first: Reference, second: Reference) -> Value | Finding:
        """The difference, paired over the test sequences that both have scores or texts of; else in quadrature."""
        if first in self.quoted or second in self.quoted:
            return self._against_quoted(first, second)
        values = [self.value(first), self.value(second)]
        if absent := [value for value in values if isinstance(value, Finding)]:
            return absent[0]
        (a, error_a, summary_a, *_), (b, error_b, summary_b, *_) = values
        notes = [note] if (note := noted(values)) else []
        if (gain := self._gain(summary_a, summary_b)) is not None:
            return self._of_texts(gain, (summary_a, summary_b), notes)._replace(apart=self.apart(first, second))
        paired = self._paired(summary_a, summary_b)
        notes += ["errors not paired"] * (paired is None and not summary_a.own_draws)
        error = math.hypot(error_a, error_b) if paired is None else paired
        spread, seeds = None, 0.0  # how much of an unpaired error is of sequences that both share is not known
        if paired is not None or (summary_a.own_draws and summary_b.own_draws):
            spread, seeds = self._spread(summary_a, summary_b)
        exact = not (summary_a.samples and summary_b.samples)
        drift = remainder(self.results, summary_b) - remainder(self.results, summary_a) if exact else 0.0
        return Value(a - b, error, None, ", ".join(notes), spread, seeds, self.apart(first, second), drift=drift)

    def apart(self, *references: Reference) -> str:
        """Why numbers of ours cannot be compared: some are of earlier settings, others are not. "" if they can."""
        runs = dict.fromkeys(run for one in references if (run := self.address(one)[0]))
        earlier = [run for run in runs if self.results.earlier(run)]
        if not 0 < len(earlier) < len(runs):
            return ""
        alone = " alone is" if len(earlier) == 1 else " are"
        return f"not comparable, {' and '.join(earlier)}{alone} of earlier settings"

    def _spread(self, *summaries: Summary) -> tuple[float | None, float]:
        """The standard deviation over seeds of some numbers together, None if one's is unknown, and the error by it."""
        deviations = [self.deviation(one) for one in summaries]
        if None in deviations:
            return None, 0.0
        return math.hypot(*deviations), math.hypot(*map(self._over_seeds, summaries))

    def _gain(self, first: Summary, second: Summary) -> Pair | None:
        """The gain in a score of texts of one number over another; None where none was compared."""
        gain = self.results.pair(first.run, second.run, first.metric) if first.metric == second.metric else None
        if gain is None or {*first.seeds}.isdisjoint(second.seeds):
            return None
        same = first.seeds != second.seeds or abs(gain.difference - (first.value - second.value)) < ROUNDING
        return gain if same else None

    def _of_texts(self, gain: Pair, of: tuple[Summary, Summary], notes: list[str]) -> Value:
        """A gain over the seeds that both numbers have; of one seed, with the spread over seeds of the two numbers."""
        shared = [seed for seed in of[0].seeds if seed in of[1].seeds]
        if of[0].seeds != of[1].seeds:
            notes = [*notes, f"of seed{'s' * (len(shared) > 1)} {', '.join(map(str, shared))} of both"]
        several = gain.seeds_error is not None
        deviation = gain.seeds_error * math.sqrt(len(shared)) if several else self._spread(*of)[0]
        seeds = (deviation or 0.0) / math.sqrt(len(shared))
        error = math.hypot(gain.standard_error, seeds)
        return Value(gain.difference, error, None, ", ".join(notes), deviation, seeds)

    def _paired(self, first: Summary, second: Summary) -> float | None:
        """The standard error of a difference of two ratios sum(NLL) / sum(T + 1) over the same sequences, and seeds."""
        over_sequences = self._over_sequences(first, second)
        if over_sequences is None:
            return None
        return math.hypot(over_sequences, *map(self._over_seeds, (first, second)))

    def _over_sequences(self, first: Summary, second: Summary) -> float | None:
        """The part of it over the sequences; None where the two have not scores of the same ones."""
        if first.metric != "nll" or second.metric != "nll":
            return None
        sides = [self.results.scores(summary.run) for summary in (first, second)]
        if first.dataset_sha256 != second.dataset_sha256 or not all(sides):
            return None
        if [one.steps for one in sides[0]] != [one.steps for one in sides[1]] or len(sides[0]) < 2:
            return None
        scale = math.log(2) if first.unit == "bpc" else 1.0
        for summary, rows in zip((first, second), sides, strict=True):
            ratio = sum(nll for nll, _ in rows) / sum(steps for _, steps in rows) / scale
            if abs(ratio - summary.value) > 1e-3 * max(1.0, abs(summary.value)):
                return None  # the scores belong to another number
        gaps = [a - b for (a, _), (b, _) in zip(*sides, strict=True)]
        steps = [step for _, step in sides[0]]
        ratio = sum(gaps) / sum(steps)
        count = len(gaps)
        squares = sum((gap - ratio * step) ** 2 for gap, step in zip(gaps, steps, strict=True))
        return math.sqrt(count / (count - 1) * squares) / sum(steps) / scale

    def _beside_another(self, run: str) -> float | None:
        """The largest error over test sequences of the difference of a run and another of the paper's models."""
        own = self.results.summary(run, "nll", optional=True)
        others = [self.results.summary(other, "nll", optional=True) for other in self._models if other != run]
        found = [self._over_sequences(own, other) for other in others if own and other]
        return max((error for error in found if error is not None), default=None)

    def _against_quoted(self, first: Reference, second: Reference) -> Value | Finding:
        """Ours in the literature's convention (per T, without log p(T)) against the quoted number, taken as exact.

        That is sum NLL / sum T; some of the literature has the mean over pieces of NLL / T instead, and which is quoted
        is not known: where the other would be judged otherwise, the two numbers cannot be compared.

        Both models are scored on the same pieces, but the quoted one's scores of them are not known: for the paired
        error stands the largest of ours and another of the paper's models.
        """
        sides, shift, drift = [], 0.0, 0.0
        for reference in (first, second):
            if reference in self.quoted:
                sides.append(Value(self.quoted[reference], 0.0))
                continue
            run, metric = self.address(reference)
            if run and self.results.embedded(self.results.dataset(run)):
                return Finding(OTHER_CORPUS, f"{versus(first, second)} quoted for the real corpus")
            summary = self.results.summary(run, "nll_literature" if metric == "nll" else metric) if run else None
            if summary is None:
                return Finding(NOT_RUN, f"{run or name(reference)} was not run")
            value, pieces = self.of(summary), self._beside_another(run) if metric == "nll" else None
            error = value.error if pieces is None else math.hypot(pieces, self._over_seeds(summary))
            sides.append(value._replace(error=error))
            sign = -1 if reference == second else 1
            shift += sign * by_piece(self.results.scores(run) or ())
            drift -= sign * remainder(self.results, summary)
        error, convention = math.hypot(sides[0].error, sides[1].error), "per T, without log p(T)"
        difference = sides[0].value - sides[1].value
        found = Value(difference, error, note=noted(sides), convention=convention, drift=drift)
        if decide(found.value, error) == decide(found.value + shift, error):
            return found
        why = f"{found.value + shift:+.3f} by the mean over pieces, and which is quoted is not known"
        return found._replace(apart=why)
