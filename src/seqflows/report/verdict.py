"""The answer in short: how a paper's claims and cells come out, as a sentence, a row per claim, and counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from seqflows.report.cells import NOTHING
from seqflows.report.inputs import EARLIER, Results
from seqflows.report.judging import (
    FAILS,
    HOLDS,
    NOT_PRINTED,
    NOT_RUN,
    OTHER_CORPUS,
    STAND_IN,
    UNDECIDED,
    Finding,
    Ours,
    Printed,
)  # fmt: skip
from seqflows.report.page import Block, Inline, Status, Strong, Table, Text, listed
from seqflows.report.papers.base import Claim, Paper

COLUMNS = (
    "paper", "claim", "kind", "section", "says", "read", "printed", "printed_numbers", "ours", "ours_numbers",
    "smallest_difference_seen", "to_settle", "runs", "runs_of_earlier_settings",
)  # fmt: skip
IMPOSSIBLE = "partly on numbers that cannot be"
SEEN = "least difference seen (two standard errors)"
SHOWN = 6  # of the settings that are reduced in most runs
ANSWERS = {HOLDS: "hold", FAILS: "fail", UNDECIDED: "undecided"}
NO_ANSWERS = (NOT_PRINTED, NOT_RUN, OTHER_CORPUS, STAND_IN)


class Judged(NamedTuple):
    """A claim on the printed numbers and on ours, the runs whose numbers ours are, and those of earlier settings.

    ``impossible``: whether printed numbers that cannot be are among those that answer it.
    """

    claim: Claim
    printed: Finding
    ours: Finding
    runs: tuple[str, ...]
    earlier: tuple[str, ...]
    impossible: bool = False

    @property
    def remark(self) -> str:
        """What the verdict on the printed numbers rests on, if they cannot be; else ""."""
        return IMPOSSIBLE if self.impossible and self.printed.verdict in ANSWERS else ""

    @property
    def aged(self) -> str:
        """``1 of 3 runs of earlier settings: ptb-af_af``, without names if all are; "" without any."""
        if not self.earlier:
            return ""
        if len(self.earlier) == len(self.runs):
            return f"all runs {EARLIER}"
        return f"{len(self.earlier)} of {len(self.runs)} runs {EARLIER}: {', '.join(self.earlier)}"

    @property
    def seen(self) -> str:
        """The smallest difference that ours could have seen, as text; "" if unknown."""
        return f"{self.ours.seen:.2g}" if self.ours.seen else ""


def judged(results: Results, paper: Paper) -> list[Judged]:
    """Every claim of a paper, in its order."""
    printed, found = Printed(paper.tables), []
    for claim in paper.claims:
        printed.impossible.clear()
        ours = Ours(results, [name for name in paper.tables if name in results.params.tables])
        on_ours = claim.judge(ours)
        earlier = tuple(run for run in ours.used if results.earlier(run))
        on_printed, rests = claim.judge(printed), bool(printed.impossible)
        if rests and on_printed.verdict in ANSWERS:
            text, short = (f"{said}; {IMPOSSIBLE}" for said in (on_printed.text, on_printed.reason))
            on_printed = on_printed._replace(text=text, short=short)
        found.append(Judged(claim, on_printed, on_ours, tuple(ours.used), earlier, rests))
    return found


def record(paper: Paper, one: Judged) -> dict[str, Any]:
    """The row of claims.csv."""
    claim = one.claim
    kind = "check" if claim.check else "claim"
    values = (
        paper.name, claim.name, kind, claim.section, claim.says, claim.read, one.printed.verdict, one.printed.text,
        one.ours.verdict, one.ours.text, one.seen, one.ours.settled, " ".join(one.runs), " ".join(one.earlier),
    )  # fmt: skip
    return dict(zip(COLUMNS, values, strict=True))


def sentence(paper: Paper, judged: Sequence[Judged], cells: str, reduced: str) -> Text:
    """The paper's outcome: claims on both sides, the project's checks, ``cells``, and what was ``reduced``."""
    claims, checks = ([one for one in judged if one.claim.check == check] for check in (False, True))
    ours = _counted(one.ours.verdict for one in claims)
    printed = _with_rest(on_printed(claims), Counter(one.printed.verdict for one in claims))
    text = f": of {len(claims)} claims, on the printed numbers {printed}; on ours {ours}"
    if count := sum(bool(one.earlier) for one in claims if one.ours.verdict in ANSWERS):
        text += f", {count} of these with runs {EARLIER}, which corrections may change"
    if checks:
        text += (
            f". Of {len(checks)} checks of ours on what it leaves open, {_counted(one.ours.verdict for one in checks)}"
        )
    text += f". {cells}."
    text += f" {reduced}." if reduced else ""
    return Strong(paper.title), text


COUNTED = ("claims on its own numbers", "claims on our runs", "claims not tested")


def counts(judged: Sequence[Judged]) -> tuple[str, ...]:
    """The columns `COUNTED` of the claims, without checks of ours."""
    claims = [one for one in judged if not one.claim.check]
    answered = [one for one in claims if one.ours.verdict in ANSWERS]
    ours = tally(Counter(one.ours.verdict for one in answered), ANSWERS) or NOTHING
    if earlier := sum(bool(one.earlier) for one in answered):
        ours += f"; {earlier} of these {len(answered)} with runs {EARLIER}"
    return on_printed(claims) or NOTHING, ours, str(len(claims) - len(answered))


def on_printed(claims: Iterable[Judged]) -> str:
    """``14 hold (6 partly on numbers that cannot be), 1 undecided``; "" where nothing is printed."""
    answered = [one for one in claims if one.printed.verdict in ANSWERS]
    parts = []
    for verdict, text in ANSWERS.items():
        found = [one for one in answered if one.printed.verdict == verdict]
        count = sum(bool(one.remark) for one in found)
        parts += [f"{len(found)} {text}" + f" ({count} {IMPOSSIBLE})" * bool(count)] if found else []
    return ", ".join(parts)


def _counted(verdicts: Iterable[str]) -> str:
    """``10 hold, 5 fail, 3 undecided (2 not run)``.

    >>> _counted(["holds", "holds", "not run"])
    '2 hold (1 not run)'
    """
    counts = Counter(verdicts)
    return _with_rest(tally(counts, ANSWERS), counts)


def _with_rest(answers: str, counts: Mapping[str, int]) -> str:
    """Answers as text, then those that have none."""
    rest = tally(counts, dict(zip(NO_ANSWERS, NO_ANSWERS, strict=True)))
    return (answers or "none is decided") + (f" ({rest})" if rest else "")


def tally(counts: Mapping[str, int], said: Mapping[str, str]) -> str:
    """What was counted, in the order and by the names of ``said``.

    >>> tally({"not run": 1, "holds": 2}, {"holds": "hold", "fails": "fail", "not run": "not run"})
    '2 hold, 1 not run'
    """
    return ", ".join(f"{counts[name]} {text}" for name, text in said.items() if counts.get(name))


def reduced(results: Results, runs: Iterable[str]) -> str:
    """The settings that most often differ from the paper's, each with the number of such runs; "" without runs."""
    names: Counter[str] = Counter()
    every = [run for run in dict.fromkeys(runs) if run]
    if not every:
        return ""
    for run in every:
        names.update({text.rpartition(" (paper ")[0].split()[0]: 1 for text in results.differences(run)})
    if not names:
        return "All settings are the paper's"
    most = [f"{name} {count}" for name, count in names.most_common(SHOWN)]
    more = f" and {len(names) - len(most)} more" if len(names) > len(most) else ""
    return f"Settings that are not the paper's, and in how many of {len(every)} runs: {', '.join(most)}{more}"


def table(claims: Sequence[Judged]) -> Table:
    """A row per claim: both verdicts with reasons, the least difference that ours would have seen, what settles."""

    def said(finding: Finding, aged: str = "") -> Text:
        parts: tuple[Inline, ...] = (Status(finding.verdict, finding.verdict),)
        text = "; ".join(filter(None, (finding.reason, aged)))
        return (*parts, f": {text}") if text else parts

    rows: list[Sequence[Text]] = [
        (
            (Strong(one.claim.name), f" ({one.claim.section}{', a check of ours' * one.claim.check})"),
            said(one.printed),
            said(one.ours, one.aged * (one.ours.verdict in (HOLDS, FAILS))),
            one.seen or NOTHING,
            one.ours.settled or NOTHING,
        )
        for one in claims
    ]
    header = ("claim (section)", "on the printed numbers", "on ours", SEEN, "would settle it")
    return Table(header, rows, wide=True)


def brief(claims: Sequence[Judged]) -> list[Block]:
    """A row per claim that ours decide, in the paper's words, with the reason; then checks; the others by name."""
    rows: list[Sequence[Text]] = [
        (
            (Strong(one.claim.name), f": {one.claim.said} ({one.claim.section})"),
            (Status(one.printed.verdict, one.printed.verdict), *([f" {one.remark}"] if one.remark else [])),
            Status(one.ours.verdict, one.ours.verdict),
            "; ".join(filter(None, (one.ours.reason, one.aged))),
        )
        for one in sorted(claims, key=lambda one: one.claim.check)
        if one.ours.verdict in (HOLDS, FAILS)
    ]
    header = ("claim (section)", "on the printed numbers", "on ours", "because, on ours")
    others: dict[tuple[bool, str], list[str]] = {}
    for one in claims:
        if one.ours.verdict not in (HOLDS, FAILS):
            others.setdefault((one.claim.check, one.ours.verdict), []).append(one.claim.name)
    rest = [
        (Status(kind, kind), f" on ours{', checks of ours' * check}: {'; '.join(names)}.")
        for (check, kind), names in sorted(others.items(), key=lambda item: item[0][0])
    ]
    return [*([Table(header, rows, wide=True)] if rows else []), *listed(rest)]
