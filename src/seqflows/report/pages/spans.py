"""The page of a table of readers, which answer questions by spans."""

from __future__ import annotations

from collections.abc import Sequence

from seqflows import metrics
from seqflows.report.cells import NOTHING, Cell
from seqflows.report.comparisons import Comparison
from seqflows.report.inputs import Results
from seqflows.report.page import Block, Facts, Page, Paragraph, Text, listed
from seqflows.report.pages import compared, contexts, corpora, shared

HEADLINES = ("em", "f1")
DIGITS = 2  # of scores, as printed


def page(results: Results, title: str, cells: Sequence[Cell]) -> Page:
    """The whole page of a table."""
    found = results.present(cells[0].table) if cells else None
    gains = compared.gains(results, cells, found, HEADLINES, "questions") if found else []
    return Page(
        title, [*top(results, cells, found), *gains, *contexts.blocks(results, cells, found), *beyond(results, cells)]
    )


def top(results: Results, cells: Sequence[Cell], found: Comparison | None) -> list[Block]:
    """Scale, corpora, features, steps and seeds, and what was not compared; the paper's table with ours; its notes."""
    runs = [run for run in shared.runs_of(cells).values() if results.metrics(run)]
    items: list[Text] = [
        shared.scale_line(results, cells),
        *corpora.lines(results, cells),
        *shared.features(results, cells),
        f"steps of training: {shared.listed(shared.steps(results, run) for run in runs)}; {shared.seeds(cells)}",
        *compared.absent(results, found),
        *shared.stale(results, cells),
        *shared.unlike(results, cells),
    ]
    form = (
        f"Each cell: {shared.cell_form(cells)} ± standard deviation over seeds (standard error over test questions). "
        "EM: exact match, F1: of the words; both without case, punctuation and articles, and the largest over a "
        "question's right answers."
    )
    empty = f"{NOTHING} / " * any(cell.reported for cell in cells)
    shown = shared.grid(cells, lambda cell: shared.beside(cell, cell.summary, empty, DIGITS))
    return [Facts(items), Paragraph(form), shared.paper_first(cells, shown), *listed(shared.notes(cells))]


def beyond(results: Results, cells: Sequence[Cell]) -> list[Block]:
    """Nats of the right answers, and the models' sizes."""
    runs = shared.runs_of(cells)
    present = shared.present(results, runs)
    rows = (metrics.find("nll", "nats/question"), metrics.find("excess"), metrics.find("parameters"))
    columns = [row for row in rows if row and row.name in present]
    tables = shared.metric_table(results, runs, columns)
    if not tables:
        return []
    text = "NLL: nats of the first right answer's first and last word, given its question and context."
    return shared.section("Beyond the paper", text, *tables)
