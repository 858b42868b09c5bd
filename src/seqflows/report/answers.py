"""The answer in a minute: what a reader of a paper asks first, with the numbers and the verdict of both sides.

The numbers are of the cells that answers.yaml names. What holds, holds in every comparison of its claim; what fails or
is undecided is so by one, which stands behind them if they do not show it. Last is the check that an answer has beside.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from seqflows import metrics
from seqflows.report.cells import NOTHING, Cell, number
from seqflows.report.judging import FAILS, HOLDS, UNDECIDED, Finding
from seqflows.report.page import Status, Strong, Table, Text
from seqflows.report.verdict import EARLIER, Judged

if TYPE_CHECKING:
    from seqflows.report.audit import Audited
    from seqflows.report.papers.base import Answer


def table(audits: Iterable[Audited]) -> Table | None:
    """A row for each of a paper's answers: in short, as printed, and ours at each scale with a number; None without."""
    known = [one for one in audits if one.begun]
    by_paper: dict[str, list[Audited]] = {}
    for one in known:
        by_paper.setdefault(one.paper.name, []).append(one)
    scales = list(dict.fromkeys(one.scale for one in known))
    rows: list[Sequence[Text]] = []
    for here in by_paper.values():
        at = {one.scale: one for one in here}
        for answer in here[0].paper.answers:
            title: Text = Strong(here[0].paper.title) if answer is here[0].paper.answers[0] else ""
            ours = [_ours(at[scale], answer) if scale in at else NOTHING for scale in scales]
            rows.append((title, answer.says, _printed(here[0], answer), *ours))
    header = ("paper", "what it says, in short", "its own numbers", *(f"ours, scale {scale}" for scale in scales))
    return Table(header, rows, wide=True) if rows else None


def _shown(one: Audited, answer: Answer) -> list[tuple[Cell, bool]]:
    """The cells of an answer, in its order, each with whether its run is of earlier settings."""
    found = {(cell.table, cell.row, cell.column): (cell, row) for cell, row in one.rows}
    cells = [found[f"{one.paper.name}-{table}", row, column] for table, row, column in answer.shown]
    return [(cell, row.get("earlier_settings") == "yes") for cell, row in cells]


def _judged(one: Audited, name: str) -> Judged:
    return next(claim for claim in one.claims if claim.claim.name == name)


def _printed(one: Audited, answer: Answer) -> Text:
    cells = [cell for cell, _ in _shown(one, answer)]
    judged = _judged(one, answer.claim)
    numbers = ", ".join(f"{_label(cells, cell)} {cell.reported}" for cell in cells)
    numbers = f"{numbers} {' '.join(filter(None, (cells[0].unit, _column(cells))))}"
    notes = "; ".join(filter(None, (numbers, _decided(cells, cells, judged.printed), judged.remark)))
    return Status(judged.printed.verdict, judged.printed.verdict, leads=True), f": {notes}"


def _ours(one: Audited, answer: Answer) -> Text:
    shown = [(cell, earlier) for cell, earlier in _shown(one, answer) if cell.summary]
    ours = _judged(one, answer.claim).ours
    verdict = ours.verdict
    if not shown:
        return Status(verdict, verdict)
    cells = [cell for cell, _ in shown]
    numbers = ", ".join(f"{_label(cells, cell)} {_number(cell)}" for cell in cells)
    seeds = "one seed" if any(len(cell.summary.seeds) == 1 for cell in cells if cell.summary) else ""
    earlier = EARLIER if any(earlier for _, earlier in shown) else ""
    decided = _decided([cell for cell, _ in _shown(one, answer)], cells, ours)
    notes = "; ".join(filter(None, (numbers, seeds, earlier, decided)))
    return Status(verdict, verdict, leads=True), f": {notes}", *_beside(one, answer)


def _beside(one: Audited, answer: Answer) -> tuple[Status | str, ...]:
    """``; “more than one Gaussian”: fails``, of the check that stands beside an answer, if it has a verdict."""
    if not answer.beside or (found := _judged(one, answer.beside).ours).verdict not in (FAILS, UNDECIDED, HOLDS):
        return ()
    text = f" ({found.plain or found.reason})"
    return f"; “{answer.beside}”: ", Status(found.verdict, found.verdict), text


def _decided(named: Sequence[Cell], shown: Sequence[Cell], finding: Finding) -> str:
    """The comparison by which a claim fails or is undecided, or with a quoted number, if no cells show it; else ""."""
    places, seen = ({(cell.table, cell.row, cell.column) for cell in cells} for cells in (named, shown))
    quoted = bool(places.intersection(finding.of) - seen)
    if finding.verdict not in (FAILS, UNDECIDED, HOLDS) or (finding.verdict == HOLDS and not quoted):
        return ""
    return "" if finding.of and seen.issuperset(finding.of) else f"by {finding.plain or finding.reason}"


def _column(cells: Sequence[Cell]) -> str:
    """The heading that all cells share, which their labels leave out; "" where none does."""
    columns = {cell.column for cell in cells}
    return "" if len(columns) > 1 or len(cells) == 1 or columns <= {"Test NLL"} else f"({columns.pop()})"


def _number(cell: Cell) -> str:
    known = metrics.find(cell.metric)
    return number(cell.summary, known.digits if known else 3, error=False)


def _label(cells: Sequence[Cell], cell: Cell) -> str:
    """What tells a cell from the others, its row, its column, or both; of the first its row in any case."""
    rows, columns = ({getattr(one, part) for one in cells} for part in ("row", "column"))
    first = len(rows) > 1 or cell is cells[0]
    text = " ".join([cell.row] * first + [cell.column] * (len(columns) > 1))
    return f"“{text}”" if text.startswith(("-", "+")) else text  # no sign of the number behind it
