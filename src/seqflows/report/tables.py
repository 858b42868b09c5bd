"""``table``: a results table as csv (one row a cell, each with its signature) and as markdown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from seqflows import files, paths
from seqflows.report.cells import Cell, cells
from seqflows.report.inputs import Results, Summary, devices, matrix
from seqflows.report.layout import NOT_RUN, NOTHING, number, table

COLUMNS = (
    "table", "row", "column", "unit", "status", "reported", "reproduced", "std", "seeds", "standard_error", "samples",
    "sequences", "run", "metric", "dataset", "dataset_sha256", "revision", "config_hash", "device", "note",
)  # fmt: skip
SOURCE = "source entropy"
# What a paper does not print, as (metric, heading, digits): the second block.
BEYOND = (
    ("elbo", "-ELBO", 3), ("reconstruction_pure", "pure reconst.", 3), ("length", "-log p(T)", 3),
    ("kl_share", "KL / -ELBO", 3), ("ess", "ESS", 1), ("parameters", "parameters", 0),
)  # fmt: skip


def run(key: paths.Key) -> None:
    """Write results/<scale>/<table>.csv and .md; raise `Problem` for an unknown table or metric."""
    results = Results(matrix(), key.scale)
    made = cells(results, key.name)
    block = results.params.table(key.name)
    csv_path, md_path = paths.table(key.scale, key.name)
    files.write_csv(csv_path, [record(cell) for cell in [*made, *extra(results, made)]], COLUMNS)
    files.write_text(md_path, markdown(results, str(block["title"]), made))


def record(cell: Cell) -> dict[str, Any]:
    """A cell as a row of the csv; ``seeds`` is their number."""
    row: dict[str, Any] = {name: getattr(cell, name) for name in COLUMNS if hasattr(cell, name)}
    if (summary := cell.summary) is None:
        return row | ({"note": cell.note or NOT_RUN} if cell.status != "quoted" else {})
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
                found.append(
                    Cell(made[0].table, label, metric, summary.unit, "ours", "", "", "", name, metric, summary)
                )
    for column, name in first_runs(made).items():
        for metric in ("source", "source_entropy"):
            if summary := results.summary(name, metric, optional=True):
                row = SOURCE if metric == "source_entropy" else f"{SOURCE}, this test set"
                found.append(Cell(made[0].table, row, column, summary.unit, "ours", "", "", "", name, metric, summary))
    return found


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
    """Column of NLLs -> one of its runs: those that a source entropy stands beside."""
    found: dict[str, str] = {}
    for cell in made:
        if cell.summary and cell.metric == "nll":
            found.setdefault(cell.column, cell.run)
    return found


def markdown(results: Results, title: str, made: Sequence[Cell]) -> str:
    """The whole page of a table."""
    lines = [f"# {title}", "", *header(results, made), "", *reported_block(results, made), ""]
    notes = dict.fromkeys(f"*{cell.row}*: {cell.note}." for cell in made if cell.note)
    lines += [f"- {note}" for note in notes] + ([""] if notes else [])
    if any(cell.metric == "nll" and "step" in cell.unit for cell in made):
        lines += literature_block(results, made)
    lines += beyond_block(results, made)
    return "\n".join(lines).rstrip() + "\n"


def header(results: Results, made: Sequence[Cell]) -> list[str]:
    """Scale, corpora, device, samples and seeds, and how to read a cell."""
    summaries = [cell.summary for cell in made if cell.summary]
    headline = [summary for summary in summaries if summary.metric == "nll"]
    names = list(dict.fromkeys(results.dataset(cell.run) for cell in made if cell.run))
    units = ", ".join(dict.fromkeys(cell.unit for cell in made if cell.unit))
    counts = listed(str(s.samples) for s in headline if s.samples and s.samples > 1)
    lines = [
        f"- scale **{results.scale}**; device {devices(summaries)}; unit {units}",
        *(f"- corpus {corpus(results, name, summaries)}" for name in names),
        f"- importance samples of the NLL: {counts}; seeds: {listed(' '.join(map(str, s.seeds)) for s in summaries)}",
    ]
    if any(results.embedded(name) for name in names):
        lines.append(
            "- **The embedded corpora are not the paper's: the numbers stand side by side, not to be compared.**"
        )
    elif any(results.differences(cell.run) for cell in made if cell.run):
        lines.append("- Sizes or budgets are reduced against the paper's; the audit lists how, run by run.")
    return [
        *lines,
        "",
        "Each cell: reported / ours ± standard deviation over seeds (standard error over test sequences).",
    ]


def listed(texts: Any) -> str:
    """Distinct texts, in order."""
    return "; ".join(dict.fromkeys(texts)) or NOTHING


def corpus(results: Results, dataset: str, summaries: Sequence[Summary]) -> str:
    """``ptb = embedded-text (embedded; 200 test sequences; sha256 0123456789ab)``."""
    facts = ["embedded" if results.embedded(dataset) else "real"]
    for summary in summaries:
        if summary.dataset == dataset:
            facts += [f"{summary.sequences} test sequences", f"sha256 {summary.dataset_sha256[:12]}"]
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

    def text(cell: Cell) -> str:
        if cell.status == "quoted":
            return f"{cell.reported} (quoted)"
        return f"{cell.reported or NOTHING} / {number(cell.summary)}"

    columns, rows = grid(made, text)
    for metric, label in (("source_entropy", SOURCE), ("source", f"{SOURCE}, this test set")):
        found = {c: results.summary(name, metric, optional=True) for c, name in first_runs(made).items()}
        if any(found.values()):
            # The source is no model: what varies over seeds is nothing, so that only its value is shown.
            values = [f"{NOTHING} / {s.value:.3f}" if (s := found.get(column)) else NOTHING for column in columns]
            rows.append([label, *values])
    return table(["Model", *columns], rows)


def literature_block(results: Results, made: Sequence[Cell]) -> list[str]:
    """The same NLLs per T and without log p(T); and how far above the source, where it is known."""

    def text(cell: Cell) -> str:
        if cell.status == "quoted":
            return f"{cell.reported} (quoted)"
        return f"{cell.reported or NOTHING} / {number(results.summary(cell.run, 'nll_literature', optional=True))}"

    columns, rows = grid(made, text)
    lines = ["## The literature's convention", "", "Per time step T (not T + 1), without log p(T).", ""]
    lines += [*table(["Model", *columns], rows), ""]
    excess = [cell for cell in made if cell.run and results.summary(cell.run, "excess", optional=True)]
    if excess:
        columns, rows = grid(excess, lambda cell: number(results.summary(cell.run, "excess", optional=True), 2))
        lines += ["## Above the source", ""]
        lines += [
            "Mean of (model's NLL - source's NLL), nats a test sequence with its length; its expectation is >= 0.",
            "",
        ]
        lines += [*table(["Model", *columns], rows), ""]
    return lines


def beyond_block(results: Results, made: Sequence[Cell]) -> list[str]:
    """What the paper does not print, a row a run: the terms of the bound, NLL against K, effective sample size."""
    metrics = {label: found for label, name in runs_of(made).items() if (found := results.metrics(name))}
    present = list(dict.fromkeys(metric for found in metrics.values() for metric in found))
    counts = sorted((metric for metric in present if metric.startswith("nll@")), key=lambda metric: int(metric[4:]))
    chosen = [(metric, f"NLL K={metric[4:]}", 3) for metric in counts]
    chosen += [(metric, heading, digits) for metric, heading, digits in BEYOND if metric in present]
    if "excess" in present and not any("step" in cell.unit for cell in made):
        chosen.append(("excess", "excess (nats/sequence)", 2))
    if not chosen:
        return []
    rows = [
        [label, *(number(found[m], digits, error=m == "excess") if m in found else NOTHING for m, _, digits in chosen)]
        for label, found in metrics.items()
    ]
    lines = [
        "## Beyond the paper",
        "",
        "NLL by importance sampling with K samples; -ELBO = reconstruction + KL, where the",
    ]
    lines += ["table's reconstruction contains -log p(T) and the pure one does not; ESS: effective sample size of the"]
    lines += [
        "importance weights" + ("; excess: NLL above the source's, with its length." if "excess" in present else ".")
    ]
    return [*lines, "", *table(["Model", *(heading for _, heading, _ in chosen)], rows)]
