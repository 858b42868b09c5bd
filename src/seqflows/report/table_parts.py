"""What the pages of sequence models and of models of words share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from seqflows.report.cells import Cell
from seqflows.report.inputs import Results, Summary
from seqflows.report.layout import NOTHING, number, table

SOURCE = "source entropy"


def runs_of(made: Sequence[Cell]) -> dict[str, str]:
    """Label -> run, each run once; the label is the row, with the column where a row has several runs."""
    labels: dict[str, str] = {}
    for cell in made:
        several = len({other.run for other in made if other.row == cell.row and other.run}) > 1
        label = f"{cell.row}, {cell.column}" if several else cell.row
        if cell.run and cell.run not in labels.values():
            labels[label] = cell.run
    return labels


def first_runs(made: Sequence[Cell]) -> dict[str, str]:
    """Column of NLLs, or of words' test cross entropies -> one of its runs: a source entropy stands beside those."""
    found: dict[str, str] = {}
    for cell in made:
        if cell.summary and cell.metric in ("nll", "cross_entropy_test"):
            found.setdefault(cell.column, cell.run)
    return found


def sources(results: Results, made: Sequence[Cell], metric: str) -> dict[str, Summary]:
    """Column -> ``source_entropy`` or ``source``; the latter is of one test set: none where a column has more."""
    found = {}
    for column, run in first_runs(made).items():
        several = len({results.dataset(cell.run) for cell in made if cell.run and cell.column == column}) > 1
        summary = results.summary(run, metric, optional=True)
        if summary and not (several and metric == "source"):
            found[column] = summary
    return found


def listed(texts: Any) -> str:
    """Distinct texts, in order."""
    return "; ".join(dict.fromkeys(texts)) or NOTHING


def cell_form(made: Sequence[Cell]) -> str:
    """What a cell shows: ours beside the printed number, or ours alone where a table prints none."""
    return "reported / ours" if any(cell.reported for cell in made) else "ours, which the paper does not print,"


def units(made: Sequence[Cell]) -> str:
    """The units of a table's columns, each once."""
    return ", ".join(dict.fromkeys("1 (no unit)" if cell.unit == "1" else cell.unit for cell in made if cell.unit))


def seeds(made: Sequence[Cell]) -> str:
    """``seeds: 0, and 0 1 2 of JSB``: by columns where they tell, else by rows, else those of any cell."""
    groups: dict[str, list[Cell]] = {}
    for cell in made:
        if cell.summary:
            groups.setdefault(" ".join(map(str, cell.summary.seeds)), []).append(cell)
    *few, most = sorted(groups, key=lambda group: len(groups[group])) or [NOTHING]
    for part in ("column", "row"):
        names = {group: dict.fromkeys(getattr(cell, part) for cell in groups[group]) for group in groups}
        if few and len({name for found in names.values() for name in found}) == sum(map(len, names.values())):
            return ", and ".join([f"seeds: {most}", *(f"{group} of {'; '.join(names[group])}" for group in few)])
    return f"seeds: {listed([most, *few])}"


def stale(results: Results, made: Sequence[Cell]) -> list[str]:
    """A line that names the runs whose numbers are not of today's params.yaml; none where all are."""
    found: dict[str, str] = {}
    for cell in made:
        if cell.summary and (remarks := results.outdated(cell.run, cell.summary)):
            found[cell.run] = ", ".join(remarks)
    listing = "; ".join(f"{run}: {text}" for run, text in found.items())
    return [f"- **Not as params.yaml says now**: {listing}"] if found else []


def corpus(results: Results, dataset: str, summaries: Sequence[Summary]) -> str:
    """``ptb = embedded-text (embedded; 200 test sequences; sha256 0123456789ab)``; of words, without their number."""
    facts = ["embedded" if results.embedded(dataset) else "real"]
    words = results.params.datasets[dataset]["kind"] == "words"
    for summary in summaries:
        if summary.dataset == dataset:
            facts += [] if words else [f"{summary.sequences} test sequences"]
            facts += [f"sha256 {summary.dataset_sha256[:12]}"]
            break
    return f"{dataset} = {results.source(dataset)} ({'; '.join(facts)})"


def grid(made: Sequence[Cell], text: Callable[[Cell], str]) -> tuple[list[str], list[list[str]]]:
    """Columns and rows of a table in the order of its cells."""
    columns = list(dict.fromkeys(cell.column for cell in made))
    found = {(cell.row, cell.column): text(cell) for cell in made}
    rows = [
        [row, *(found.get((row, column), NOTHING) for column in columns)] for row in dict.fromkeys(c.row for c in made)
    ]
    return columns, rows


def reported_block(results: Results, made: Sequence[Cell]) -> list[str]:
    """The paper's own table, with ours beside it and the source entropy below it."""
    beside = f"{NOTHING} / " * any(cell.reported for cell in made)

    def text(cell: Cell) -> str:
        if cell.status == "quoted":
            return f"{cell.reported} (quoted)"
        return f"{cell.reported} / {number(cell.summary)}" if cell.reported else f"{beside}{number(cell.summary)}"

    columns, rows = grid(made, text)
    for metric, label in (("source_entropy", SOURCE), ("source", f"{SOURCE}, this test set")):
        if found := sources(results, made, metric):
            # The source is no model: what varies over seeds is nothing, so that only its value is shown.
            values = [f"{beside}{s.value:.3f}" if (s := found.get(column)) else NOTHING for column in columns]
            rows.append([label, *values])
    return table(["Model", *columns], rows)


def unlike(results: Results, made: Sequence[Cell], differing: str) -> list[str]:
    """What keeps a table's numbers from being compared with the paper's: its corpora, or what ``differing`` says."""
    runs = [cell.run for cell in made if cell.run]
    if any(results.embedded(results.dataset(run)) for run in runs):
        return ["- **The embedded corpora are not the paper's: the numbers stand side by side, not to be compared.**"]
    return [differing] if any(results.differences(run) for run in runs) else []
