"""What pages of systems that write texts share: scores beside the paper's, gains with their p, texts side by side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from seqflows import metrics, paths
from seqflows.report.cells import NOTHING, Cell
from seqflows.report.comparisons import Comparison, Pair
from seqflows.report.inputs import Results
from seqflows.report.page import Block, Emphasis, Fact, Facts, Foreign, Paragraph, Picture, Strong, Table, Text
from seqflows.report.pages import shared

DIGITS = 2  # of scores, as printed


def scores(results: Results, made: Sequence[Cell], found: Comparison | None = None, reachable: str = "") -> Table:
    """The paper's table with ours, the controls below a rule, and where it is known what is ``reachable``, so named."""
    empty = f"{NOTHING} / " * any(cell.reported for cell in made)
    shown = shared.grid(made, lambda cell: shared.mark(results, cell, shared.beside(cell, cell.summary, empty, DIGITS)))
    shown = shared.paper_first(made, shown)
    rows = list(shown.rows)
    if found and found.reachable:
        units = {cell.column: cell.metric for cell in made if cell.run}
        own = [found.reachable.get(units.get(str(column), "")) for column in shown.header[1:]]
        rows.append([reachable, *(NOTHING if value is None else f"{empty}{value:.{DIGITS}f}" for value in own)])
    return Table(shown.header, rows)


def absent(results: Results, found: Comparison | None) -> list[Text]:
    """Lines with the runs of a table that its comparison lacks, and with those evaluated anew since."""
    if found is None:
        return []
    lines: list[Text] = []
    again = f"python -m seqflows compare {results.scale}/{found.table}"
    since = [run for run in found.absent if results.metrics(run)]
    if never := [run for run in found.absent if run not in since]:
        lines.append((Strong("Not compared"), f", since not evaluated: {', '.join(never)}"))
    if since:
        lines.append((Strong("Evaluated, not in this comparison"), f": {', '.join(since)}; run {again}"))
    if found.outdated:
        said = f", so that no interval, gain or text of them is shown: {', '.join(found.outdated)}; run {again}"
        lines.append((Strong("Evaluated anew since the comparison"), said))
    return lines


def p_text(p: float) -> str:
    """A p-value with two significant digits, from 0.001 on; below that how small it is."""
    return "< 0.001" if p < 0.001 else f"{p:.2g}"


def gains(
    results: Results, made: Sequence[Cell], found: Comparison, headlines: Sequence[str], what: str
) -> list[Block]:
    """The interval of each headline, and the gain of each row over each other in it with its p; nothing without any."""
    runs = {label: run for label, run in shared.runs_of(made).items() if run in found.records}
    if not runs:
        return []
    shown = [metric for metric in headlines if any(key[1] == metric for key in found.intervals)]
    between = [[found.intervals.get((run, metric)) for metric in shown] for run in runs.values()]
    rows = [
        [label, *(f"{one[0]:.2f} to {one[1]:.2f}" if one else NOTHING for one in own)]
        for label, own in zip(runs, between, strict=True)
    ]
    blocks: list[Block] = [Table(["95 % of the draws", *(metrics.find(metric).heading for metric in shown)], rows)]
    for metric in shown:
        rows = []
        for label, run in runs.items():
            pairs = [found.pairs.get((run, other, metric)) for other in runs.values()]
            rows.append([label, *(_gain(one) if one else NOTHING for one in pairs)])
        if {run for pair in found.pairs if pair[2] == metric for run in pair[:2]} & {*runs.values()}:
            blocks += [Paragraph(f"{metrics.find(metric).heading}:"), Table(["gain of, over", *runs], rows)]
    text = (
        "Intervals are of the mean over seeds. A gain of a row over a column is the mean over the seeds that both\n"
        "have, with its one-sided p by the bootstrap: (1 + draws in which it is not positive) /\n"
        f"{found.draws + 1:,}. The same draws of {what} serve all systems. The spread over seeds is in neither, but\n"
        "beside a gain as ± its standard error over seeds where both rows have several; the audit's claims ask for\n"
        "both."
    )
    return shared.section("Intervals and gains", text, *pictures(results, made, found), *blocks)


def pictures(results: Results, made: Sequence[Cell], found: Comparison) -> list[Block]:
    """The figures of a table's gains over one of its rows, where another row was compared with that one."""
    runs = shared.runs_of(made)
    return [
        Picture(paths.figure(results.scale, name)[0].name, block["title"])
        for name, block in results.params.figures.items()
        if block.get("table") == found.table and any(second == runs.get(block["over"]) for _, second, _ in found.pairs)
    ]


def _gain(one: Pair) -> str:
    """``+1.08 ± 1.25, 0.002``: a gain, its standard error over seeds if there are several, and its p over questions."""
    return f"{one.difference:+.2f}{'' if one.seeds_error is None else f' ± {one.seeds_error:.2f}'}, {p_text(one.p)}"


def examples(made: Sequence[Cell], found: Comparison, heading: str, what: str) -> list[Block]:
    """Contexts of the test set drawn by the table's name, with what each system wrote."""
    if not found.examples:
        return []
    labels = shared.runs_of(made)
    items = [Fact(_context(one), list(_written(one, labels))) for one in found.examples]
    text = (
        f"{len(items)} of {found.sequences:,}, drawn by the table's name: {what}, and what the first seed of each "
        "system wrote."
    )
    return shared.section(heading, text, Facts(items))


def _context(one: dict[str, Any]) -> Text:
    if not one["answer"]:
        return (Foreign(one["before"]),)
    answer = Strong("["), Foreign(one["answer"]), Strong("]")
    return Foreign(f"{one['before']} ".lstrip()), *answer, Foreign(f" {one['after']}".rstrip())


def _written(one: dict[str, Any], labels: dict[str, str]) -> Iterable[Text]:
    yield Strong("reference"), ": ", Foreign(one["reference"])
    for label, run in labels.items():
        if run in one["texts"]:
            yield Emphasis(label), ": ", Foreign(one["texts"][run] or "(nothing)")
