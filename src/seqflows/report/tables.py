"""``table``: a results table as csv (one row a cell, each with its signature) and as markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from seqflows import files, paths
from seqflows.config.checks import METRICS
from seqflows.noise import floor
from seqflows.params import Params
from seqflows.report import table_texts
from seqflows.report.cells import Cell, cells
from seqflows.report.inputs import Results, devices, matrix
from seqflows.report.layout import NOT_RUN, NOTHING, number, table
from seqflows.report.table_parts import (
    SOURCE,
    cell_form,
    corpus,
    first_runs,
    grid,
    listed,
    reported_block,
    runs_of,
    seeds,
    sources,
    stale,
    units,
    unlike,
)
from seqflows.report.table_words import of_words, page

EXCESS = "Excess: NLL above the source's, with its length."
COLUMNS = (
    "table", "row", "column", "unit", "status", "reported", "reproduced", "std", "seeds", "standard_error", "samples",
    "sequences", "run", "metric", "dataset", "dataset_sha256", "revision", "config_hash", "device", "note",
)  # fmt: skip
FLOOR = "_above_floor"  # how the metrics end that give another in nats a position above the floor
# What a paper does not print, as (metric, heading, digits): the second block.
BEYOND = (
    ("elbo", "-ELBO", 3), ("reconstruction_pure", "pure reconst.", 3), ("length", "-log p(T)", 3),
    ("kl_share", "KL / -ELBO", 3), ("ess", "ESS", 1), ("parameters", "parameters", 0),
)  # fmt: skip


def run(key: paths.Key, found: Params | None = None) -> None:
    """Write results/<scale>/<table>.csv and .md; raise `Problem` for an unknown table or metric."""
    results = Results(found or matrix(), key.scale)
    block = results.params.table(key.name)
    csv_path, md_path = paths.table(key.scale, key.name)
    if "texts" in block:
        rows = table_texts.rows(results, block)
        files.write_csv(csv_path, rows, table_texts.COLUMNS)
        files.write_text(md_path, table_texts.markdown(results, block, rows))
        return
    made = cells(results, key.name)
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
    levels = {metric: sources(results, made, metric) for metric in ("source", "source_entropy")}
    for column in first_runs(made):
        for metric, columns in levels.items():
            if summary := columns.get(column):
                row = SOURCE if metric == "source_entropy" else f"{SOURCE}, this test set"
                address = (summary.run, metric, summary)
                found.append(Cell(made[0].table, row, column, summary.unit, "ours", "", "", "", *address))
    return found


def markdown(results: Results, title: str, made: Sequence[Cell]) -> str:
    """The whole page of a table."""
    if of_words(results, made):
        return page(results, title, made)
    lines = [f"# {title}", "", *header(results, made), "", *reported_block(results, made), ""]
    notes = dict.fromkeys(f"*{cell.row}*: {cell.note}." for cell in made if cell.note)
    lines += [f"- {note}" for note in notes] + ([""] if notes else [])
    if any(cell.metric == "nll" and "step" in cell.unit for cell in made):
        lines += literature_block(results, made)
    lines += floor_block(results, made)
    lines += beyond_block(results, made)
    return "\n".join(lines).rstrip() + "\n"


def header(results: Results, made: Sequence[Cell]) -> list[str]:
    """Scale, corpora, device, samples and seeds, and how to read a cell."""
    summaries = [cell.summary for cell in made if cell.summary]
    headline = [summary for summary in summaries if summary.metric in ("nll", "nll_code")]
    names = list(dict.fromkeys(results.dataset(cell.run) for cell in made if cell.run))
    counts = listed(str(s.samples) for s in headline if s.samples)
    language = any(cell.unit in ("bits/dim", "bits/D") for cell in made)
    sampled = "draws of the noise a sequence" if language else "importance samples of the NLL"
    drawn = [] if counts == NOTHING else [f"{sampled}: {counts}"]
    lines = [
        f"- scale **{results.scale}**; device {devices(summaries)}; unit {units(made)}",
        *(f"- corpus {corpus(results, name, summaries)}" for name in names),
        f"- {'; '.join((*drawn, seeds(made)))}",
    ]
    if any(cell.metric == "nll_noiseless" for cell in made):
        lines.append(
            "- *no noise*: eq. (6) of the word vectors themselves, bits/dim, which the floor with noise, "
            f"{floor():.2f}, does not bound; *validation* and *training*, bits/D, as the released code prints its loss"
        )
    elif any(cell.unit == "bits/dim" for cell in made):
        lines.append(f"- less is better, and no density can be below {floor():.2f} bits/dim, the noise's own entropy")
        if any(cell.metric in ("gaussian", "unigram") for cell in made):
            lines.append(
                "- below the models, densities of one word at a time that nothing trains: a Gaussian with the training "
                "vectors' moments; -log p of each word, by its frequency at its position, with the noise's own entropy"
            )
    lines += stale(results, made)
    lines += unlike(
        results, made, "- Sizes or budgets are reduced against the paper's; the audit lists how, run by run."
    )
    return [
        *lines,
        "",
        f"Each cell: {cell_form(made)} ± standard deviation over seeds (standard error over test sequences).",
    ]


def floor_block(results: Results, made: Sequence[Cell]) -> list[str]:
    """The cells of a table in bits per dimension as nats a position above the floor, where records have them."""

    def text(cell: Cell) -> str:
        found = results.summary(cell.run, f"{cell.metric}{FLOOR}", optional=True)
        return NOTHING if found is None else number(found, 2)

    mine = [cell for cell in made if cell.run and cell.unit == "bits/dim" and f"{cell.metric}{FLOOR}" in METRICS]
    if not any(results.summary(cell.run, f"{cell.metric}{FLOOR}", optional=True) for cell in mine):
        return []
    columns, rows = grid(mine, text)
    return [
        "## Nats a position above the floor",
        "",
        f"(bits - ({floor():.3f})) D log 2, D the width of a word vector: a model of h nats a word, with the noise",
        "about each word's vector, comes to h.",
        "",
        *table(["Model", *columns], rows),
        "",
    ]


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
    said = []
    if "elbo" in present:
        said += ["NLL by importance sampling with K samples; -ELBO = reconstruction + KL, where the"]
        said += [
            "table's reconstruction contains -log p(T) and the pure one does not; ESS: effective sample size of the"
        ]
        said += ["importance weights" + (EXCESS.replace("Excess", "; excess") if "excess" in present else ".")]
    elif "excess" in present:
        said += [EXCESS]
    lines = ["## Beyond the paper", "", *said, *([""] if said else [])]
    return [*lines, *table(["Model", *(heading for _, heading, _ in chosen)], rows)]
