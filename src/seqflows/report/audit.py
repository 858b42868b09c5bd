"""``audit``: every printed number with ours and a verdict, the claims, judged twice, and the deviations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from seqflows import files, metrics, paths
from seqflows.noise import floor
from seqflows.params import Params
from seqflows.report import markdown
from seqflows.report.cells import NOTHING, Cell, cells, number, reported
from seqflows.report.inputs import Results, devices, matrix
from seqflows.report.judging import STAND_IN, Ours, Printed
from seqflows.report.page import (
    Block,
    Emphasis,
    Fact,
    Facts,
    Heading,
    Page,
    Paragraph,
    Status,
    Strong,
    Table,
    listed,
    prose,
)  # fmt: skip
from seqflows.report.papers.base import Paper, papers

COLUMNS = (
    "table", "row", "column", "unit", "status", "reported", "reproduced", "std", "seeds", "difference", "tolerance",
    "verdict", "reason", "dataset", "device",
)  # fmt: skip
BELOW = f"no density of data with noise of 2^-6 scores below {floor():.2f} bits per dimension at 2^6 levels"
UNREACHABLE = "unreachable as defined"
READ = (
    "Ours: mean ± standard deviation over seeds (standard error over test sequences; of cross entropies of words\n"
    "over the words that were drawn and their samples).\n"
    f"Tolerance: {metrics.TOLERANCES['bpc']:.2f} bpc, {metrics.TOLERANCE_NATS:.2f} nats, "
    f"{metrics.TOLERANCES['bits/dim']:.2f} bits per dimension, {metrics.TOLERANCES['1']:.2f} of a share, "
    f"{100 * metrics.PERPLEXITY:.0f} % of a printed perplexity, {metrics.TOLERANCES['%']:.1f}\n"
    "points of a score in %, or two standard deviations over seeds where that is more."
)
VERDICTS = {
    "reproduced": "within the tolerance, at the paper's own sizes and corpus",
    "differs": "outside the tolerance, at the paper's own sizes and corpus",
    "within": "within the tolerance although size, budget or corpus is not the paper's",
    "outside": "outside the tolerance; size, budget or corpus is not the paper's, as listed run by run",
    "other corpus": "trained on an embedded corpus: shown, not comparable",
    STAND_IN: "of other text, since the paper's is not to be had: nothing is concluded about the paper",
    UNREACHABLE: "below what any density of the noisy data can score",
    "not run": "the run has no metrics at this scale",
    "quoted": "quoted by the paper from elsewhere: not to be reproduced",
    "human": "judged by people: not to be reproduced",
}


def run(key: paths.Key, found: Params | None = None) -> None:
    """Write results/<scale>/audit.csv and audit.md; missing numbers are marked, never filled in."""
    results = Results(found or matrix(), key.scale)
    rows = {
        paper: [judged(results, cell) for name in paper.tables for cell in _cells(results, name)]
        for paper in ordered(results)
    }
    csv_path, md_path = paths.audit(key.scale)
    files.write_csv(csv_path, [row for found in rows.values() for _, row in found], COLUMNS)
    files.write_text(md_path, markdown.written(page(results, rows)))


def ordered(results: Results) -> list[Paper]:
    """The papers in the order of their runs in params.yaml, then the others."""
    order = dict.fromkeys([run["reproduces"] for run in results.params.runs.values()] + list(papers()))
    return [papers()[name] for name in order if name in papers()]


def _cells(results: Results, name: str) -> list[Cell]:
    """The cells of a printed table; without runs if params.yaml lacks the table."""
    if name not in results.params.tables:
        return reported(name)
    return [cell for cell in cells(results, name) if cell.status != "ours"]


def tolerance(cell: Cell) -> float:
    """The tolerance of the cell's metric, or two standard deviations over seeds if larger."""
    row = metrics.find(cell.metric)
    base = row.tolerance(cell.unit, float(cell.reported)) if row else metrics.TOLERANCE_NATS
    std = cell.summary.std if cell.summary else None
    return max(base, 2 * std) if std is not None else base


def judged(results: Results, cell: Cell) -> tuple[Cell, dict[str, Any]]:
    """A cell and its row of the audit."""
    row: dict[str, Any] = {name: getattr(cell, name) for name in COLUMNS if hasattr(cell, name)}
    summary = cell.summary
    if cell.unit == "bits/dim" and cell.reported and float(cell.reported) < floor():
        said = results.remarks(cell.run, summary) if summary else []
        return cell, row | _ours(results, cell) | {"verdict": UNREACHABLE, "reason": "; ".join((*said, BELOW))}
    if cell.status != "reproduce":
        return cell, row | _ours(results, cell) | {"verdict": cell.status, "reason": cell.note}
    if summary is None:
        missing = f"no metrics of {cell.run} at scale {results.scale}"
        reason = (cell.reason or missing) if cell.run else "params.yaml has no run for this cell"
        return cell, row | {"verdict": "not run", "reason": reason}
    row |= _ours(results, cell)
    difference, allowed = row["difference"], row["tolerance"]
    inside, remarks = abs(difference) <= allowed, results.remarks(cell.run, summary)
    reduced = results.differences(cell.run)
    if results.embedded(summary.dataset):
        verdict, reason = "other corpus", "embedded corpus: shown, not comparable"
    elif results.stand_in(summary.dataset):
        verdict, reason = STAND_IN, "other text in the place of the paper's: shown, not comparable"
    elif reduced:
        corpus = all(text.startswith("source ") for text in reduced)
        verdict = "within" if inside else "outside"
        reason = ("not the paper's corpus: " if corpus else "reduced: ") + ", ".join(reduced)
    else:
        verdict, reason = ("reproduced" if inside else "differs"), cell.note
    return cell, row | {"verdict": verdict, "reason": "; ".join(part for part in (*remarks, reason) if part)}


def _ours(results: Results, cell: Cell) -> dict[str, Any]:
    """The columns of our number; empty without a number."""
    summary = cell.summary
    if summary is None:
        return {}
    return {
        "reproduced": summary.value, "std": summary.std, "seeds": len(summary.seeds),
        "difference": summary.value - float(cell.reported), "tolerance": tolerance(cell),
        "dataset": f"{summary.dataset} ({results.source(summary.dataset)})", "device": summary.device,
    }  # fmt: skip


Rows = Sequence[tuple[Cell, dict[str, Any]]]


def page(results: Results, rows: Mapping[Paper, Rows]) -> Page:
    """The whole audit, one section per paper."""
    every = [row for found in rows.values() for row in found]
    counts = Counter(row["verdict"] for _, row in every)
    blocks = [
        Paragraph(f"{made(every)}; device {devices(cell.summary for cell, _ in every if cell.summary)}."),
        Paragraph(READ),
        *listed((Emphasis(name), f": {meaning}") for name, meaning in VERDICTS.items() if counts[name]),
    ]
    for paper, found in rows.items():
        blocks += section(results, paper, found)
    return Page(f"Audit, scale {results.scale}", blocks)


def made(rows: Rows) -> str:
    """``11 of 41 cells to reproduce have a number of ours. Verdicts: 1 within, ...``."""
    counts = Counter(row["verdict"] for _, row in rows)
    wanted = [cell for cell, _ in rows if cell.status == "reproduce"]
    count = sum(cell.summary is not None for cell in wanted)
    verdicts = ", ".join(f"{counts[name]} {name}" for name in VERDICTS if counts[name])
    return f"{count} of {len(wanted)} cells to reproduce have a number of ours. Verdicts: {verdicts}"


def section(results: Results, paper: Paper, rows: Rows) -> list[Block]:
    """One paper: its cells, claims, deviations, contradictions and assumptions."""
    blocks: list[Block] = [Heading(2, paper.title), Paragraph(f"{made(rows)}."), Heading(3, "Cells")]
    for name in paper.tables:
        title = results.params.tables[name]["title"] if name in results.params.tables else name
        blocks += [Heading(4, title), cell_table(row for row in rows if row[0].table == name)]
    blocks += reductions(results, rows)
    blocks += remarks(results, rows)
    blocks += claims(results, paper)
    header = ("what", "paper", "released code", "here", "why")
    blocks += [Heading(3, "Deviations"), _prose(header, paper.deviations)]
    header = ("where", "the paper says", "against it")
    blocks += [Heading(3, "Contradictions in the paper"), _prose(header, paper.contradictions)]
    if paper.assumptions:
        text = "What the text leaves open, and the choice made."
        header = ("what", "the paper says", "here", "why")
        blocks += [Heading(3, "Assumptions"), Paragraph(text), _prose(header, paper.assumptions)]
    return blocks


def _prose(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    return Table(header, [[prose(text) for text in row] for row in rows], wide=True)


def cell_table(rows: Iterable[tuple[Cell, dict[str, Any]]]) -> Table:
    """The cells of one table, one line each."""
    body = []
    for cell, row in rows:
        digits = 0 if cell.status == "human" else 3
        ours = number(cell.summary, digits) if cell.summary or cell.status == "reproduce" else NOTHING
        difference = f"{row['difference']:+.3f}" if "difference" in row else NOTHING
        allowed = f"{row['tolerance']:.3f}" if "tolerance" in row else NOTHING
        where = row.get("dataset", NOTHING), row.get("device", NOTHING), str(row.get("seeds", NOTHING))
        verdict = Status(row["verdict"], row["verdict"])
        body.append((cell.row, cell.column, verdict, cell.reported, ours, difference, allowed, *where))
    header = ("row", "column", "verdict", "reported", "ours", "difference", "tolerance", "dataset", "device", "seeds")
    return Table(header, body, left=3)


def reductions(results: Results, rows: Rows) -> list[Block]:
    """The differences of the runs from the settings that the paper states."""
    groups: dict[str, list[str]] = {}
    for run in dict.fromkeys(cell.run for cell, _ in rows if cell.run):
        if texts := results.differences(run):
            groups.setdefault(", ".join(texts), []).append(run)
    if not groups:
        return []
    items = [f"{', '.join(names)}: {text}." for text, names in groups.items()]
    return [Heading(3, f"How scale {results.scale} differs from the paper"), Facts(items)]


def remarks(results: Results, rows: Rows) -> list[Block]:
    """Runs with numbers of another params.yaml, or with unconverged estimates."""
    found: dict[str, dict[str, None]] = {}
    for cell, _ in rows:
        for remark in results.remarks(cell.run, cell.summary) if cell.summary else []:
            found.setdefault(cell.run, {})[remark] = None
    if not found:
        return []
    return [Heading(3, "Remarks"), Facts([f"{run}: {'; '.join(texts)}." for run, texts in found.items()])]


def claims(results: Results, paper: Paper) -> list[Block]:
    """The claims, judged on the printed numbers and on ours."""
    tables = [name for name in paper.tables if name in results.params.tables]
    sides = {"printed": Printed(paper.tables), "ours": Ours(results, tables)}
    judged = {claim: {side: claim.judge(numbers) for side, numbers in sides.items()} for claim in paper.claims}
    text = (
        "Each judged on the numbers that the paper prints, then on ours (± one standard error). An ordering within "
        "two\nstandard errors is *undecided*; the error is that over test sequences, paired where both models scored "
        "the\nsame ones, and over seeds: a run of one seed does not know the latter, and says so. " + paper.convention
    )
    verdicts, items = [], []
    for claim, found in judged.items():
        statuses = (Status(finding.verdict, finding.verdict) for finding in found.values())
        verdicts.append((claim.name, claim.section, *statuses))
        said = f" ({claim.section}): “{claim.says}”. Read as: {claim.read}."
        under = [
            (f"{side}, ", Status(finding.verdict, finding.verdict), f": {finding.text}")
            for side, finding in found.items()
        ]
        items.append(Fact((Strong(claim.name), said), under))
    header = ("claim", "section", "on the printed numbers", "on ours")
    return [Heading(3, "Claims"), Paragraph(prose(text)), Table(header, verdicts, left=4), Facts(items)]
