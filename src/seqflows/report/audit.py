"""``audit``: every printed number beside ours with a verdict; the claims, judged twice; the deviations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from seqflows import files, paths
from seqflows.report.cells import Cell, cells, printed_tables, reported
from seqflows.report.claims import CLAIMS, TABLES
from seqflows.report.deviations import CONTRADICTIONS, DEVIATIONS
from seqflows.report.inputs import Results, devices, matrix
from seqflows.report.judging import Ours, Printed
from seqflows.report.layout import NOTHING, number, table, wide

COLUMNS = (
    "table", "row", "column", "unit", "status", "reported", "reproduced", "std", "seeds", "difference", "tolerance",
    "verdict", "reason", "dataset", "device",
)  # fmt: skip
TOLERANCE = {"bpc": 0.02}  # by unit; any other is in nats a time step
TOLERANCE_NATS = 0.10
VERDICTS = {
    "reproduced": "within the tolerance, at the paper's own sizes and corpus",
    "differs": "outside the tolerance, at the paper's own sizes and corpus",
    "within": "within the tolerance although size, budget or corpus is reduced",
    "outside": "outside the tolerance; size, budget or corpus is reduced, as listed run by run",
    "other corpus": "trained on an embedded corpus: shown, not comparable",
    "not run": "the run has no metrics at this scale",
    "quoted": "quoted by the paper from elsewhere: not to be reproduced",
    "human": "judged by people: not to be reproduced",
}


def run(key: paths.Key) -> None:
    """Write results/<scale>/audit.csv and audit.md; what was not run is said, never filled in."""
    results = Results(matrix(), key.scale)
    rows = [judged(results, cell) for name in printed_tables() for cell in _cells(results, name)]
    csv_path, md_path = paths.audit(key.scale)
    files.write_csv(csv_path, [row for _, row in rows], COLUMNS)
    files.write_text(md_path, markdown(results, rows))


def _cells(results: Results, name: str) -> list[Cell]:
    """The cells of a printed table; those of one that params.yaml does not have stand without a run."""
    if name not in results.params.tables:
        return reported(name)
    return [cell for cell in cells(results, name) if cell.status != "ours"]


def tolerance(cell: Cell) -> float:
    """0.02 bpc or 0.10 nats, or two standard deviations over seeds where that is more."""
    base = TOLERANCE.get(cell.unit, TOLERANCE_NATS)
    std = cell.summary.std if cell.summary else None
    return max(base, 2 * std) if std is not None else base


def judged(results: Results, cell: Cell) -> tuple[Cell, dict[str, Any]]:
    """A cell and its row of the audit."""
    row: dict[str, Any] = {name: getattr(cell, name) for name in COLUMNS if hasattr(cell, name)}
    summary = cell.summary
    if cell.status != "reproduce":
        return cell, row | {"verdict": cell.status, "reason": cell.note}
    if summary is None:
        reason = (
            f"no metrics of {cell.run} at scale {results.scale}" if cell.run else "params.yaml has no run for this cell"
        )
        return cell, row | {"verdict": "not run", "reason": reason}
    difference, allowed = summary.value - float(cell.reported), tolerance(cell)
    row |= {
        "reproduced": summary.value, "std": summary.std, "seeds": len(summary.seeds), "difference": difference,
        "tolerance": allowed, "dataset": f"{summary.dataset} ({results.source(summary.dataset)})",
        "device": summary.device,
    }  # fmt: skip
    inside, remarks = abs(difference) <= allowed, results.remarks(cell.run, summary)
    reduced = results.differences(cell.run)
    if results.embedded(summary.dataset):
        verdict, reason = "other corpus", "embedded corpus: shown, not comparable"
    elif reduced:
        verdict, reason = ("within" if inside else "outside"), "reduced: " + ", ".join(reduced)
    else:
        verdict, reason = ("reproduced" if inside else "differs"), cell.note
    return cell, row | {"verdict": verdict, "reason": "; ".join(part for part in (*remarks, reason) if part)}


def markdown(results: Results, rows: Sequence[tuple[Cell, dict[str, Any]]]) -> str:
    """The whole audit."""
    summaries = [cell.summary for cell, _ in rows if cell.summary]
    counts = Counter(row["verdict"] for _, row in rows)
    wanted = sum(cell.status == "reproduce" for cell, _ in rows)
    made = sum(cell.status == "reproduce" and cell.summary is not None for cell, _ in rows)
    lines = [
        f"# Audit of Ziegler & Rush 2019, scale {results.scale}",
        "",
        f"{made} of {wanted} cells to reproduce have a number of ours; device {devices(summaries)}. "
        "Verdicts: " + ", ".join(f"{counts[name]} {name}" for name in VERDICTS if counts[name]) + ".",
        "",
        "Ours: mean ± standard deviation over seeds (standard error over test sequences).",
        "Tolerance: 0.02 bpc or 0.10 nats, or two standard deviations over seeds where that is more.",
        "",
        *(f"- *{name}*: {meaning}" for name, meaning in VERDICTS.items() if counts[name]),
        "",
        "## Cells",
        "",
    ]
    for name in dict.fromkeys(cell.table for cell, _ in rows):
        lines += [
            f"### {results.params.tables[name]['title'] if name in results.params.tables else name}",
            "",
            *cell_table(r for r in rows if r[0].table == name),
            "",
        ]
    lines += reductions(results, rows)
    lines += remarks_block(results, rows)
    lines += claims_block(results)
    lines += ["## Deviations", "", *wide(("what", "paper", "released code", "here", "why"), DEVIATIONS), ""]
    lines += ["## Contradictions in the paper", ""]
    lines += wide(("where", "the paper says", "against it"), CONTRADICTIONS)
    return "\n".join(lines).rstrip() + "\n"


def cell_table(rows: Any) -> list[str]:
    """The cells of one table, a line each."""
    body = []
    for cell, row in rows:
        ours = number(cell.summary) if cell.status == "reproduce" else NOTHING
        difference = f"{row['difference']:+.3f}" if "difference" in row else NOTHING
        allowed = f"{row['tolerance']:.3f}" if "tolerance" in row else NOTHING
        where = row.get("dataset", NOTHING), row.get("device", NOTHING), str(row.get("seeds", NOTHING))
        body.append((cell.row, cell.column, row["verdict"], cell.reported, ours, difference, allowed, *where))
    heading = ("row", "column", "verdict", "reported", "ours", "difference", "tolerance", "dataset", "device", "seeds")
    return table(heading, body, left=3)


def reductions(results: Results, rows: Sequence[tuple[Cell, dict[str, Any]]]) -> list[str]:
    """How the runs of a smaller scale differ from the paper's, run by run."""
    runs = dict.fromkeys(cell.run for cell, _ in rows if cell.run)
    found = {run: results.differences(run) for run in runs}
    if not any(found.values()):
        return []
    groups: dict[str, list[str]] = {}
    for run, texts in found.items():
        if texts:
            groups.setdefault(", ".join(texts), []).append(run)
    lines = [f"## How scale {results.scale} differs from scale paper", ""]
    return [*lines, *(f"- {', '.join(names)}: {text}." for text, names in groups.items()), ""]


def remarks_block(results: Results, rows: Sequence[tuple[Cell, dict[str, Any]]]) -> list[str]:
    """Runs whose numbers are not of today's params.yaml."""
    summaries = {cell.run: cell.summary for cell, _ in rows if cell.summary}
    found = {run: remarks for run, summary in summaries.items() if (remarks := results.remarks(run, summary))}
    if not found:
        return []
    return ["## Remarks", "", *(f"- {run}: {'; '.join(remarks)}." for run, remarks in found.items()), ""]


def claims_block(results: Results) -> list[str]:
    """The claims, judged on the printed numbers and on ours."""
    tables = [name for name in TABLES if name in results.params.tables]
    sides = Printed(TABLES), Ours(results, tables)
    findings = [(claim, *(claim.judge(side) for side in sides)) for claim in CLAIMS]
    verdicts = [(claim.name, claim.section, a.verdict, b.verdict) for claim, a, b in findings]
    lines = [
        "## Claims",
        "",
        "Each judged on the numbers that the paper prints, then on ours (± one standard error). An ordering within two",
        "standard errors is *undecided*; the error is that over test sequences, paired where both models scored the",
        "same ones, and over seeds: a run of one seed does not know the latter, and says so. Against quoted numbers",
        "ours are those of the literature's convention. *Other corpus*: what is quoted for the real corpus is not set",
        "beside ours.",
        "",
    ]
    lines += [*table(("claim", "section", "on the printed numbers", "on ours"), verdicts, left=4), ""]
    for claim, a, b in findings:
        lines.append(f"- **{claim.name}** ({claim.section}): “{claim.says}”. Read as: {claim.read}.")
        lines += [f"  - printed, {a.verdict}: {a.text}", f"  - ours, {b.verdict}: {b.text}"]
    return [*lines, ""]
