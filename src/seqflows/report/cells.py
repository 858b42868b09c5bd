"""The cells of a table: the printed numbers, joined with those of a scale's runs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from seqflows import params as matrix
from seqflows.errors import Problem
from seqflows.names import near
from seqflows.noise import floor
from seqflows.report.comparisons import FIRST, SECOND, TIE
from seqflows.report.inputs import Results, Summary, summarise
from seqflows.report.papers.base import printed

NOTHING = "–"  # an empty cell of a table
NOT_RUN = "not run"
OURS = "ours"  # the status of a cell that is not in the paper


@dataclass(frozen=True)
class Cell:
    """One cell: the number as printed (with its digits), and ours, or None if it was not made."""

    table: str
    row: str
    column: str
    unit: str
    status: str  # reproduce | quoted | human, or ours: a cell that is not in the paper
    reported: str
    section: str
    note: str
    run: str = ""
    metric: str = ""
    summary: Summary | None = None
    reason: str = ""  # why there is no number of an evaluated run, in short and after a colon


def impossible(cell: Cell) -> bool:
    """Whether no density can have the printed number: bits per dimension below the entropy of the noise."""
    return cell.unit == "bits/dim" and bool(cell.reported) and float(cell.reported) < floor()


def reported(table: str) -> list[Cell]:
    """The printed cells of a table in the paper's order; empty for a table that is not from a paper."""
    return [Cell(table=table, **row) for row in printed(table)]


def addresses(params: Any, table: str) -> dict[tuple[str, str], tuple[str, str]]:
    """(row, column) -> (run, metric) of a table's block, whose cells read ``<run>.<metric>``."""
    found = {}
    for row, columns in (params.table(table).get("rows") or {}).items():
        for column, address in columns.items():
            run, dot, metric = str(address).partition(".")
            if not dot or run not in params.runs:
                raise Problem(
                    f"expected <run>.<metric> for tables.{table}.rows[{row}][{column}], "
                    f"got {address!r}{near(run, params.runs)}"
                )
            found[row, column] = run, metric
    return found


def human(params: Any, table: str) -> dict[tuple[str, str], tuple[str, str]]:
    """(row, column) of the cells that people judge -> the sheet and the system that a cell counts.

    A row's sheet has its name, ``Human Eval 1`` that of human-eval-1; its columns are the first system, the second and
    ties.
    """
    sheets = matrix.sheets(params.comparisons.get(table, {}))
    rows: dict[str, list[str]] = {}
    for cell in reported(table):
        if cell.status == "human":
            rows.setdefault(cell.row, []).append(cell.column)
    named = {row: "-".join(row.lower().split()) for row in rows}
    return {
        (row, column): (named[row], part)
        for row, columns in rows.items()
        if named[row] in sheets
        for column, part in zip(columns, (FIRST, SECOND, TIE), strict=True)
    }


def counted(results: Results, table: str, sheet: str, part: str) -> Summary | None:
    """The pairs of a sheet for one of its systems, or tied, with the signature of that system's texts."""
    found, made = results.judged(table, sheet), results.comparison(table)
    if found is None or made is None:
        return None
    run = made.human[sheet]["second" if part == SECOND else "first"]
    first, *_ = [record for record in made.records[run] if record["metric"] == "bleu"]
    record = {**first, "value": found.counts[part], "unit": "pairs", "standard_error": None}
    return summarise(run, "judged", [record | {"sequences": sum(found.counts.values())}])


def of_table(results: Results, table: str) -> list[Cell]:
    """`cells` of a printed table; without runs if params.yaml lacks it."""
    return cells(results, table) if table in results.params.tables else reported(table)


def cells(results: Results, table: str) -> list[Cell]:
    """Every cell of a table: the paper's, then those of params.yaml that the paper does not print.

    Raises:
        Problem: a run's unit differs from the paper's, or params.yaml fills a quoted cell.
    """
    ours, judged = addresses(results.params, table), human(results.params, table)
    joined = []
    for cell in reported(table):
        if (sheet := judged.get((cell.row, cell.column))) is not None:
            joined.append(replace(cell, metric="judged", summary=counted(results, table, *sheet)))
            continue
        run, metric = ours.pop((cell.row, cell.column), ("", ""))
        if run and cell.status == "quoted":
            raise Problem(f"expected no run for the quoted cell {cell.row} / {cell.column} of {table}, got {run}")
        joined.append(_fill(results, cell, run, metric))
    for (row, column), (run, metric) in ours.items():
        joined.append(_fill(results, Cell(table, row, column, "", OURS, "", "", ""), run, metric))
    return joined


def _fill(results: Results, cell: Cell, run: str, metric: str) -> Cell:
    summary = results.summary(run, metric) if run else None
    if summary and cell.unit and summary.unit != cell.unit:
        raise Problem(f"expected {cell.unit} for {run}.{metric} in {cell.table}, got {summary.unit}")
    unit = cell.unit or (summary.unit if summary else "")
    reason = results.lacking(run, metric) if run and summary is None else ""
    return replace(cell, unit=unit, run=run, metric=metric, summary=summary, reason=reason)


def number(summary: Summary | None, digits: int = 3, *, error: bool = True) -> str:
    """``1.437 ± 0.004 (0.012)``: mean ± std over seeds (s.e. over sequences), without unknown parts.

    The spread of a number that does not depend on the seed, such as of parameters, is also left out.
    """
    if summary is None:
        return NOT_RUN
    text = f"{summary.value:.{digits}f}"
    if summary.std:
        text += f" ± {summary.std:.{digits}f}"
    if error and summary.standard_error is not None:
        text += f" ({summary.standard_error:.{digits}f})"
    return text
