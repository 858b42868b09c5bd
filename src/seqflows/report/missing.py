"""What a scale's tables lack, and what in them is not to be leant on, table by table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from seqflows import paths
from seqflows.report.cells import NOTHING, Cell
from seqflows.report.inputs import Results
from seqflows.report.judging import NOT_RUN, STAND_IN
from seqflows.report.page import Block, Heading, Link, Paragraph, Strong, Table, Text
from seqflows.report.verdict import EARLIER

if TYPE_CHECKING:
    from seqflows.report.audit import Audited

HEADING = "What is missing"
HEADER = ("paper", "table", "numbers to reproduce", NOT_RUN, "of one seed", EARLIER, STAND_IN, "our rows not run")
SAID = (
    "Numbers of each table that this scale does not have, or that are not to be leant on: of one seed, whose spread\n"
    "over seeds is another row's or unknown; of settings that were corrected since; of text that stands in for the\n"
    "paper's. What keeps a claim open, and how many seeds would settle it, stands with the claims."
)


def section(results: Results, audits: Iterable[Audited]) -> list[Block]:
    """A row for each table of a paper; one for all tables of a paper without any number at this scale."""
    rows: list[Sequence[Text]] = []
    for one in audits:
        title: Text = Strong(one.paper.title)
        if not one.begun:
            count = sum(cell.status == "reproduce" for cell, _ in one.rows)
            rows.append((title, "all", str(count), str(count), *[NOTHING] * (len(HEADER) - 4)))
            continue
        for name in one.paper.tables:
            if found := [(cell, row) for cell, row in one.rows if cell.table == name]:
                rows.append((title, _title(results, name), *_counts(found)))
                title = ""
    return [Heading(2, HEADING), Paragraph(SAID), Table(HEADER, rows, left=2)]


def _title(results: Results, name: str) -> Text:
    title = name.partition("-")[2].replace("table", "Table ")
    whole = paths.table(results.scale, name)[1]
    return Link(whole.name, title) if whole.exists() else title


def _counts(rows: Sequence[tuple[Cell, Mapping[str, Any]]]) -> list[str]:
    wanted = [(cell, row) for cell, row in rows if cell.status == "reproduce"]
    counts: Counter[str] = Counter()
    for cell, row in wanted:
        counts[NOT_RUN] += cell.summary is None
        counts["one seed"] += bool(cell.summary and len(cell.summary.seeds) == 1)
        counts[EARLIER] += row.get("earlier_settings") == "yes"
        counts[STAND_IN] += row["verdict"] == STAND_IN
    ours = {cell.row for cell, row in rows if cell.status == "ours" and row["verdict"] == NOT_RUN}
    numbers = [len(wanted), *(counts[name] for name in (NOT_RUN, "one seed", EARLIER, STAND_IN)), len(ours)]
    return [str(number) if number else NOTHING for number in numbers]
