"""Parts shared by the pages of several kinds of data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from seqflows import metrics, records
from seqflows.report.cells import NOT_RUN, NOTHING, Cell, number
from seqflows.report.inputs import Results, Summary, devices
from seqflows.report.page import Block, Emphasis, Heading, Paragraph, Status, Strong, Table, Text
from seqflows.report.papers.base import papers

SOURCE = "source entropy"
CONTROLS, OURS = "controls and this project's, not in the paper", "this project's, not in the paper"
DIFFERENT = "Not all sizes, budgets, settings and data are the paper's; the audit lists how, run by run."
OF_ENCODERS = {
    "minilm": "the features are of all-MiniLM-L6-v2, which was itself trained on SQuAD's training questions with their "
    "paragraphs (87,599 pairs by its card), not on its development set: no neutral stand-in for BERT",
}  # fmt: skip


def runs_of(made: Sequence[Cell]) -> dict[str, str]:
    """The distinct runs by label; the label is the row, with the column if a row has several runs."""
    labels: dict[str, str] = {}
    for cell in made:
        several = len({other.run for other in made if other.row == cell.row and other.run}) > 1
        label = f"{cell.row}, {cell.column}" if several else cell.row
        if cell.run and cell.run not in labels.values():
            labels[label] = cell.run
    return labels


def first_runs(made: Sequence[Cell]) -> dict[str, str]:
    """One run of each column of NLLs or of words' test cross entropies, which get a source entropy."""
    found: dict[str, str] = {}
    for cell in made:
        if cell.summary and cell.metric in ("nll", "cross_entropy_test"):
            found.setdefault(cell.column, cell.run)
    return found


def sources(results: Results, made: Sequence[Cell], metric: str) -> dict[str, Summary]:
    """``source_entropy`` or ``source`` by column; the latter is of one test set, so none for a column with more."""
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
    """The content of a cell: ours beside the printed number, or only ours if a table prints none."""
    return "reported / ours" if any(cell.reported for cell in made) else "ours, which the paper does not print,"


def units(made: Sequence[Cell]) -> str:
    """The distinct units of a table's columns."""
    return ", ".join(dict.fromkeys("1 (no unit)" if cell.unit == "1" else cell.unit for cell in made if cell.unit))


def seeds(made: Sequence[Cell]) -> str:
    """``seeds: 0, and 0 1 2 of JSB``: by columns if they determine the seeds, else by rows, else of any cell."""
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


def stale(results: Results, made: Sequence[Cell]) -> list[Text]:
    """A line with the runs whose numbers are not of the present params.yaml, if any.

    A run that was evaluated and not compared has no number in the table, but others further down.
    """
    found: dict[str, str] = {}
    for cell in made:
        summary = cell.summary or next(iter((results.metrics(cell.run) or {}).values() if cell.run else ()), None)
        if summary and (remarks := results.outdated(cell.run, summary)):
            found[cell.run] = ", ".join(remarks)
    return not_of_today(found)


def not_of_today(found: Mapping[str, str]) -> list[Text]:
    """A line with the differences from the present params.yaml, each with all that it holds for; none without any."""
    groups: dict[str, list[str]] = {}
    for name, text in found.items():
        groups.setdefault(text, []).append(name)
    listing = "; ".join(f"{', '.join(names)}: {text}" for text, names in groups.items())
    return [(Strong("Not as params.yaml says now"), f": {listing}")] if found else []


def scale_line(results: Results, made: Sequence[Cell]) -> Text:
    """Scale, devices and units of a table."""
    used = devices(cell.summary for cell in made if cell.summary)
    return "scale ", Strong(results.scale), f"; device {used}; unit {units(made)}"


def grid(made: Sequence[Cell], text: Callable[[Cell], Text]) -> Table:
    """A table in the order of its cells."""
    columns = list(dict.fromkeys(cell.column for cell in made))
    found = {(cell.row, cell.column): text(cell) for cell in made}
    rows = [
        [row, *(found.get((row, column), NOTHING) for column in columns)] for row in dict.fromkeys(c.row for c in made)
    ]
    return Table(["Model", *columns], rows)


def beside(cell: Cell, summary: Summary | None, empty: str = "", digits: int = 3) -> Text:
    """The content of a cell: the printed number, or ``empty``, and ours; only the printed one if quoted."""
    if cell.status == "quoted":
        return Status(f"{cell.reported} (quoted)", cell.status)
    printed = f"{cell.reported} / " if cell.reported else empty
    if summary is None:
        return Status(printed + (cell.reason.partition(":")[0] or NOT_RUN), NOT_RUN)
    return f"{printed}{number(summary, digits)}"


def mark(results: Results, cell: Cell, text: Text) -> Text:
    """A cell's text, with a word where its data stand in for the paper's."""
    if cell.summary is None or not results.stand_in(results.dataset(cell.run)):
        return text
    return Status(f"{text} stand-in", "stand-in")


def reported_table(results: Results, made: Sequence[Cell]) -> Table:
    """The paper's table with our numbers, rows of this project below a rule, and the source entropy below it."""
    empty = f"{NOTHING} / " * any(cell.reported for cell in made)
    shown = paper_first(made, grid(made, lambda cell: mark(results, cell, beside(cell, cell.summary, empty))), OURS)
    rows = list(shown.rows)
    for metric, label in (("source_entropy", SOURCE), ("source", f"{SOURCE}, this test set")):
        if found := sources(results, made, metric):
            # The source does not depend on a seed, so that only its value is shown.
            columns = (found.get(str(column)) for column in shown.header[1:])
            rows.append([label, *(f"{empty}{summary.value:.3f}" if summary else NOTHING for summary in columns)])
    return Table(shown.header, rows)


def unlike(results: Results, made: Sequence[Cell]) -> list[Text]:
    """The reasons why a table is not comparable with the paper's: its corpora, or its settings."""
    runs = [cell.run for cell in made if cell.run]
    if any(results.embedded(results.dataset(run)) for run in runs):
        return [Strong("The embedded corpora are not the paper's: the numbers stand side by side, not to be compared.")]
    return [DIFFERENT] if any(results.differences(run) for run in runs) else []


def present(results: Results, runs: Mapping[str, str]) -> set[str]:
    """The metrics that some of the runs have."""
    return {metric for run in runs.values() for metric in results.metrics(run) or {}}


def metric_table(
    results: Results, runs: Mapping[str, str], columns: Sequence[metrics.Metric],
    *, heading: str = "Model", error: bool = False,
) -> list[Table]:  # fmt: skip
    """A table with a row per run and a column per metric; empty if no run has one of them."""
    found = {label: values for label, run in runs.items() if (values := results.metrics(run))}

    def text(values: Mapping[str, Summary], metric: metrics.Metric) -> str:
        if metric.name not in values:
            return NOTHING
        return number(values[metric.name], metric.digits, error=error or metric.name == "excess")

    rows = [[label, *(text(values, metric) for metric in columns)] for label, values in found.items()]
    return [Table([heading, *(metric.heading for metric in columns)], rows)] if columns else []


def section(heading: str, text: str, *blocks: Block) -> list[Block]:
    """A part of a page with its heading and optional text below it."""
    return [Heading(2, heading), *([Paragraph(text)] if text else []), *blocks]


def features(results: Results, made: Sequence[Cell]) -> list[Text]:
    """A line on the encoder of each dataset's contexts."""
    lines = []
    for dataset in dict.fromkeys(results.dataset(cell.run) for cell in made if cell.run):
        block = results.params.encoder(results.scale, dataset)
        if block is not None and "layers" in block:
            layers = ", ".join(map(str, block["layers"]))
            said = next((text for name, text in OF_ENCODERS.items() if name in block["model"].lower()), "")
            lines.append(f"features of {block['model']}, layers {layers} summed" + (f": {said}" if said else ""))
    return lines


def steps(results: Results, run: str) -> str:
    """The optimiser's steps of a run, by its histories; "" without them."""
    found = [seed.history[-1].get("steps", "") for seed in records.trained(results.scale, run) if seed.history]
    return " and ".join(dict.fromkeys(f"{int(count):,}" for count in found if count)) or NOTHING


def paper_first(made: Sequence[Cell], shown: Table, rule: str = CONTROLS) -> Table:
    """A grid with the rows that the paper prints above a ``rule``, the others below it."""
    by_row = {str(row[0]): row for row in shown.rows}
    own = dict.fromkeys(cell.row for cell in made if cell.reported)
    rows, others = [by_row[row] for row in own], [row for name, row in by_row.items() if name not in own]
    if rows and others:
        rows.append([Emphasis(rule), *([""] * (len(shown.header) - 1))])
    return Table(shown.header, [*rows, *others])


def notes(made: Sequence[Cell]) -> list[Text]:
    """The notes of the printed table, and what its other rows and columns are."""
    printed = dict.fromkeys((Emphasis(cell.row), f": {cell.note}.") for cell in made if cell.note)
    return [*printed, *terms(made)]


def terms(made: Sequence[Cell]) -> list[Text]:
    """What rows and columns are that the paper has not, or does not say, by its terms.yaml."""
    known = papers()
    names = {cell.table.partition("-")[0]: None for cell in made}
    shown = {part for cell in made for part in (cell.row, cell.column)}
    found = (one for name in names if name in known for one in known[name].terms)
    return [(Emphasis(one.term), f": {one.means}.") for one in found if one.term in shown]
