"""What results have to be, whatever the models are: ``check --results <scale>``, the end of ``make demo``.

Every printed cell that is to be reproduced has a number; no run scores its test set better than the source that the
data were drawn from; and the baseline of question generation nearly reaches what can be reached. Source and reach are
known of embedded data, so that this is for scale demo, where a miss is a mistake and no finding.
"""

from __future__ import annotations

from collections.abc import Iterator

from seqflows import metrics, paths
from seqflows.errors import Problem
from seqflows.report.cells import Cell, cells, of_table
from seqflows.report.inputs import Results, matrix
from seqflows.report.papers.base import papers
from seqflows.report.papers.tang2021.questions import BASELINE, TABLES

NEAR = 2.0  # points of BLEU by which the baseline may miss what can be reached


def run(scale: str) -> str:
    """Check the results of a scale; return what was checked, in a sentence.

    Raises:
        Problem: no results at all; or with a line for each cell without a number, each run below its source, and each
            baseline that is far from what can be reached or not to be compared with it.
    """
    results = Results(matrix().at(scale), scale)
    wanted = list(to_reproduce(results))
    if not any(cell.summary for cell in wanted):
        raise Problem(
            f"expected runs with metrics.json in {paths.run(scale, '*')}, or records in {paths.record(scale, '*')}, "
            f"found none; make them first, by make {scale}"
        )
    faults = [*missing(results, wanted), *below(results), *far(results)]
    if faults:
        found = "\n".join(f"  {fault}" for fault in faults)
        raise Problem(
            f"expected a number of scale {scale} in each printed cell, none better than its source, and {BASELINE} "
            f"within {NEAR:g} BLEU of what can be reached, got {len(faults)} misses:\n{found}"
        )
    known = sum(results.summary(name, "excess", optional=True) is not None for name in results.params.runs)
    return (
        f"results of {scale}: all {len(wanted)} printed cells to reproduce have a number, none of the {known} runs "
        f"with a known source is below it, and {BASELINE} is within {NEAR:g} BLEU of what can be reached"
    )


def to_reproduce(results: Results) -> Iterator[Cell]:
    """The printed cells of all papers that are to be reproduced, joined with the numbers of a scale's runs."""
    for paper in papers().values():
        for name in paper.tables:
            yield from (cell for cell in of_table(results, name) if cell.status == "reproduce")


def missing(results: Results, wanted: list[Cell]) -> Iterator[str]:
    """Yield a line for each cell without a number."""
    for cell in wanted:
        if cell.summary is None:
            reason = cell.reason or (f"no metrics of {cell.run}" if cell.run else "params.yaml has no run for it")
            yield f"{cell.table}, {cell.row}, {cell.column}: no number at scale {results.scale}; {reason}"


def below(results: Results) -> Iterator[str]:
    """Yield a line for each run whose test NLL is below its source's by more than `metrics.BELOW` standard errors."""
    for name in results.params.runs:
        found = results.summary(name, "excess", optional=True)
        error = found.standard_error if found else None
        if error is not None and found.value < -metrics.BELOW * error:
            yield (
                f"{name}: {found.value:.4f} {found.unit} below its source, standard error {error:.4f}; "
                "one of both likelihoods is wrong"
            )


def far(results: Results) -> Iterator[str]:
    """Yield a line for each table of questions whose baseline is more than `NEAR` BLEU below what can be reached."""
    for table in TABLES.values():
        made = {(cell.row, cell.metric): cell for cell in cells(results, table)}
        cell, found = made.get((BASELINE, "bleu")), results.comparison(table)
        best = found.reachable.get("bleu") if found else None
        if cell is None or cell.summary is None or best is None:
            again = f"python -m seqflows compare {results.scale}/{table}"
            yield f"{table}, {BASELINE}: its BLEU and the one that can be reached are not both known; run: {again}"
        elif cell.summary.value < best - NEAR:
            where = paths.compared(results.scale, table)
            yield (
                f"{table}, {BASELINE}: BLEU {cell.summary.value:.2f}, more than {NEAR:g} below the {best:.2f} that can "
                f"be reached by {where}"
            )
