"""``table``: a results table as csv (one row per cell, with its signature) and as a page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from seqflows import files, paths
from seqflows.params import Params
from seqflows.report import markdown, tasks, texts
from seqflows.report.cells import NOT_RUN, OURS, Cell, cells
from seqflows.report.inputs import Results, matrix
from seqflows.report.page import Page
from seqflows.report.pages import of_kind
from seqflows.report.pages import tasks as tasks_page
from seqflows.report.pages import texts as texts_page
from seqflows.report.pages.shared import SOURCE, first_runs, runs_of, sources

COLUMNS = (
    "table", "row", "column", "unit", "status", "reported", "reproduced", "std", "seeds", "standard_error", "samples",
    "sequences", "run", "metric", "dataset", "dataset_sha256", "revision", "config_hash", "device", "note",
)  # fmt: skip


class Made(NamedTuple):
    """A table: its page, and the rows of its csv."""

    page: Page
    rows: list[dict[str, Any]]
    columns: Sequence[str]


def run(key: paths.Key, found: Params | None = None) -> None:
    """Write results/<scale>/<table>.csv and .md; raise `Problem` for an unknown table or metric."""
    table = made(Results(found or matrix(), key.scale), key.name)
    csv_path, md_path = paths.table(key.scale, key.name)
    files.write_csv(csv_path, table.rows, table.columns)
    files.write_text(md_path, markdown.written(table.page))


def made(results: Results, name: str) -> Made:
    """A table from the records of its runs, or from their texts; of tasks, over the papers."""
    block = results.params.table(name)
    if "texts" in block:
        rows = texts.rows(results, block)
        return Made(texts_page.page(results, block["title"], rows), rows, texts.COLUMNS)
    if "tasks" in block:
        rated = tasks.tasks(results, name)
        page = tasks_page.page(results, block["title"], rated)
        return Made(page, list(tasks.rows(results, name, rated)), tasks.COLUMNS)
    found = cells(results, name)
    if not any(cell.summary for cell in found):
        print(f"{results.scale}/{name}: none of its runs has numbers here or kept; train and evaluate some")
    page = of_kind(results, [cell.run for cell in found if cell.run])(results, str(block["title"]), found)
    return Made(page, [record(cell) for cell in [*found, *extra(results, found)]], COLUMNS)


def record(cell: Cell) -> dict[str, Any]:
    """A cell as a row of the csv; ``seeds`` is their number."""
    row: dict[str, Any] = {name: getattr(cell, name) for name in COLUMNS if hasattr(cell, name)}
    if (summary := cell.summary) is None:
        return row | ({"note": cell.note or cell.reason or NOT_RUN} if cell.status != "quoted" else {})
    names = ("std", "standard_error", "samples", "sequences", "dataset", "dataset_sha256", "revision", "config_hash")
    row |= {name: getattr(summary, name) for name in names}
    return row | {"reproduced": summary.value, "seeds": len(summary.seeds), "device": summary.device}


def extra(results: Results, made: Sequence[Cell]) -> list[Cell]:
    """The cells beyond the paper, status ``ours``: source entropies, K, effective sample size, conventions."""
    found = []
    for label, name in runs_of(made).items():
        for metric, summary in (results.metrics(name) or {}).items():
            if metric in {cell.metric for cell in made if cell.run == name}:
                continue
            if metric not in ("source", "source_entropy"):
                found.append(Cell(made[0].table, label, metric, summary.unit, OURS, "", "", "", name, metric, summary))
    levels = {metric: sources(results, made, metric) for metric in ("source", "source_entropy")}
    for column in first_runs(made):
        for metric, columns in levels.items():
            if summary := columns.get(column):
                row = SOURCE if metric == "source_entropy" else f"{SOURCE}, this test set"
                address = (summary.run, metric, summary)
                found.append(Cell(made[0].table, row, column, summary.unit, OURS, "", "", "", *address))
    return found
