"""``audit``: every printed number with ours and a verdict, the claims, judged twice, and the deviations."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from seqflows import files, metrics, paths
from seqflows.noise import floor
from seqflows.params import Params
from seqflows.report import answers, causes, figures, markdown, missing, verdict
from seqflows.report.cells import NOTHING, OURS, Cell, impossible, number, of_table
from seqflows.report.inputs import EARLIER, Results, Summary, devices, matrix
from seqflows.report.judging import ERRORS, STAND_IN, Ours
from seqflows.report.page import (
    Block,
    Code,
    Emphasis,
    Fact,
    Facts,
    Heading,
    Link,
    Page,
    Paragraph,
    Picture,
    Status,
    Strong,
    Table,
    Text,
    anchor,
    listed,
    parts,
    prose,
)  # fmt: skip
from seqflows.report.pages import corpora
from seqflows.report.papers.base import Assumption, Contradiction, Deviation, Paper, papers
from seqflows.report.plots import strips
from seqflows.report.verdict import Judged

COLUMNS = (
    "table", "row", "column", "unit", "status", "reported", "reproduced", "std", "seeds", "difference", "tolerance",
    "verdict", "reason", "cause", "measured", "dataset", "device", "earlier_settings",
)  # fmt: skip
BELOW = (
    f"no density of data with noise of 2^-6 scores below {floor():.2f} bits per dimension at 2^6 levels, by all "
    "dimensions of a text as in eq. (6)"
)
UNREACHABLE = "impossible as bits per dimension"
UNRESOLVED, OPEN = "within but undecided", "outside but undecided"
INSIDE = ("reproduced", "within")
READ = (
    "Ours: mean ± standard deviation over seeds (standard error over test sequences; of cross entropies of words\n"
    "over the words that were drawn and their samples).\n"
    f"Tolerance: {metrics.TOLERANCES['bpc']:.2f} bpc, {metrics.TOLERANCE_NATS:.2f} nats, "
    f"{metrics.TOLERANCES['bits/dim']:.2f} bits per dimension, {metrics.TOLERANCES['1']:.2f} of a share, "
    f"{100 * metrics.PERPLEXITY:.0f} % of a printed perplexity, {metrics.TOLERANCES['%']:.1f}\n"
    "points of a score in %, or two standard deviations over seeds where that is more."
)
PICTURE = (
    "Each dot is a cell; within the green band it is within the tolerance. A hollow dot decides nothing: its errors\n"
    "do not resolve it, or it is a stand-in, of other text than the paper's. The axis is even up to one tolerance;\n"
    "beyond, each factor of ten has as much again."
)
VERDICTS = {
    "reproduced": "within the tolerance, at the paper's own sizes and corpus",
    "differs": "outside the tolerance, at the paper's own sizes and corpus",
    "within": "within the tolerance although size, budget or corpus is not the paper's",
    UNRESOLVED: "within the tolerance, but by less than two standard errors of ours (over seeds alone, where test set "
    "and paper's are one)",
    "outside": "outside the tolerance; size, budget or corpus is not the paper's, as listed run by run",
    OPEN: "outside the tolerance by less than two standard errors of ours (as above): what was run does not decide",
    "other corpus": "trained on an embedded corpus: shown, not comparable",
    STAND_IN: "of other text, since the paper's is not to be had: nothing is concluded about the paper",
    UNREACHABLE: "below what any density of the noisy data can score, if divided by all dimensions of a text",
    "not run": "the run has no metrics at this scale",
    "quoted": "quoted by the paper from elsewhere: not to be reproduced",
    "human": "judged by people: not to be reproduced",
    OURS: "a row of this project, which the paper does not have",
}
ANSWERED = {  # what the summary counts, in its words
    "within tolerance": INSIDE, UNRESOLVED: (UNRESOLVED,), "outside": causes.JUDGED, OPEN: (OPEN,),
    **{name: (name,) for name in (UNREACHABLE, STAND_IN, "other corpus", "not run")},
}  # fmt: skip
Rows = Sequence[tuple[Cell, dict[str, Any]]]


def run(key: paths.Key, found: Params | None = None) -> None:
    """Write audit.csv, claims.csv, audit.md and the pictures of cells; missing numbers are marked, never filled in."""
    results = Results(found or matrix(), key.scale)
    audits = [audited(results, paper) for paper in ordered(results)]
    text = markdown.written(page(results, audits))
    records = [verdict.record(one.paper, claim) for one in audits for claim in one.claims]
    csv_path, md_path, claims_path, strips_path = paths.audit(key.scale)
    with figures.styled(str(key)), files.replacing_folder(strips_path) as folder:
        for one in audits:
            if pictured(one):
                where = [folder / path.name for path in paths.strips(key.scale, one.paper.name)]
                figures.save(drawn(one), where, origin(results, one.rows))
    files.write_csv(csv_path, [row for one in audits for _, row in one.rows], COLUMNS)
    files.write_csv(claims_path, records, verdict.COLUMNS)
    files.write_text(md_path, text)


class Audited(NamedTuple):
    """A paper with its judged cells and claims."""

    scale: str
    paper: Paper
    rows: Rows
    claims: list[Judged]
    judgements: tuple[causes.Judgement, ...]  # of the cells that ask for a cause
    other: str  # data that are not the paper's, `corpora.other`

    @property
    def begun(self) -> bool:
        """Whether this scale has a number of the paper's tables."""
        return any(cell.summary for cell, _ in self.rows)


def audited(results: Results, paper: Paper) -> Audited:
    """Judge every cell and every claim of a paper."""
    rows = [judged(results, cell) for name in paper.tables for cell in of_table(results, name)]
    full = results.beside if results.scale != "paper" else None
    asked = []
    for cell, row in rows:
        if row["verdict"] == UNREACHABLE and cell.summary:
            row |= {"cause": causes.DEFECT, "measured": BELOW}
        elif found := causes.judge(results, full, paper, cell, row):
            asked.append((row, found))
    judgements = causes.exclusive([found for _, found in asked])
    for (row, _), found in zip(asked, judgements, strict=True):
        row |= {"cause": found.cause, "measured": found.text}
    other = corpora.other(results, [cell.run for cell, _ in rows if cell.summary and cell.status == "reproduce"])
    return Audited(results.scale, paper, rows, verdict.judged(results, paper), tuple(judgements), other)


def ordered(results: Results) -> list[Paper]:
    """The papers in the order of their runs in params.yaml, then the others."""
    order = dict.fromkeys([run["reproduces"] for run in results.params.runs.values()] + list(papers()))
    return [papers()[name] for name in order if name in papers()]


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
    if impossible(cell):
        said = results.remarks(cell.run, summary) if summary else []
        return cell, row | _ours(results, cell) | {"verdict": UNREACHABLE, "reason": "; ".join((*said, BELOW))}
    if cell.status not in ("reproduce", OURS):
        return cell, row | _ours(results, cell) | {"verdict": cell.status, "reason": cell.note}
    if summary is None:
        missing = f"no metrics of {cell.run} at scale {results.scale}"
        reason = (cell.reason or missing) if cell.run else "params.yaml has no run for this cell"
        return cell, row | {"verdict": "not run", "reason": reason}
    row, remarks = row | _ours(results, cell), results.remarks(cell.run, summary)
    if cell.status == OURS:
        return cell, row | {"verdict": OURS, "reason": "; ".join(remarks)}
    difference, allowed = row["difference"], row["tolerance"]
    inside = abs(difference) <= allowed
    reduced = results.differences(cell.run)
    if results.embedded(summary.dataset):
        named, reason = "other corpus", "embedded corpus: shown, not comparable"
    elif results.stand_in(summary.dataset):
        named, reason = STAND_IN, "of other text than the paper's: shown, not comparable"
    elif reduced:
        corpus = all(text.startswith("source ") for text in reduced)
        named = "within" if inside else "outside"
        reason = ("not the paper's corpus: " if corpus else "reduced: ") + ", ".join(reduced)
    else:
        named, reason = ("reproduced" if inside else "differs"), cell.note
    if abs(abs(difference) - allowed) < ERRORS * _error(results, cell, summary):
        named = UNRESOLVED if named in INSIDE else OPEN if named in causes.JUDGED else named
    return cell, row | {"verdict": named, "reason": "; ".join(part for part in (*remarks, reason) if part)}


def _error(results: Results, cell: Cell, summary: Summary) -> float:
    """The standard error of ours less the printed number: over seeds alone on the test set that both are of.

    A number of one seed has the spread of the models most like it (`judging.Ours`); where none is known, and on another
    test set, it is that over test sequences and seeds.
    """
    numbers = Ours(results, [cell.table])
    spread = numbers.deviation(summary) if results.shares_test(cell.run) else None
    return numbers.of(summary).error if spread is None else spread / math.sqrt(len(summary.seeds))


def _ours(results: Results, cell: Cell) -> dict[str, Any]:
    """The columns of our number; empty without a number."""
    summary = cell.summary
    if summary is None:
        return {}
    found: dict[str, Any] = {"reproduced": summary.value, "std": summary.std, "seeds": len(summary.seeds)}
    if cell.reported:
        found |= {"difference": summary.value - float(cell.reported), "tolerance": tolerance(cell)}
    data = f"{summary.dataset} ({results.source(summary.dataset)})"
    earlier = "yes" if results.stale(summary.run, summary) else ""
    return found | {"dataset": data, "device": summary.device, "earlier_settings": earlier}


def page(results: Results, audits: Sequence[Audited]) -> Page:
    """The whole audit: the outcome of each paper as counts, then a section per paper."""
    counts = Counter(row["verdict"] for one in audits for _, row in one.rows)
    blocks: list[Block] = [*summary(audits), *missing.section(results, audits)]
    for one in audits:
        blocks += section(results, one) if one.begun else _not_begun(results, one)
    meanings = [(Emphasis(name), f": {meaning}") for name, meaning in VERDICTS.items() if counts[name]]
    blocks += [Heading(2, "How to read the cells"), Paragraph(READ), *listed(meanings)]
    return Page(f"Audit, scale {results.scale}", blocks)


def _not_begun(results: Results, one: Audited) -> list[Block]:
    """A paper of which this scale has no number: what does not depend on the scale stands in the other's audit."""
    other = results.beside
    text: Text = "No run at this scale yet."
    if other and paths.audit(other.scale)[1].exists():
        there = f"../{other.scale}/{paths.audit(other.scale)[1].name}#{anchor(one.paper.title)}"
        where = Link(there, f"the audit of scale {other.scale}")
        text = (text, " Its claims on the printed numbers, contradictions, deviations and assumptions: ", where, ".")
    return [Heading(2, one.paper.title), Paragraph(text)]


def said(results: Results, one: Audited) -> Text:
    """A paper's outcome in a sentence."""
    wanted = [cell.run for cell, _ in one.rows if cell.summary and cell.status == "reproduce"]
    return verdict.sentence(one.paper, one.claims, made(one.rows), verdict.reduced(results, wanted))


def summary(audits: Iterable[Audited]) -> list[Block]:
    """The answers on each paper with numbers; its data that are not the paper's; then counts of claims and cells."""
    audits = list(audits)
    rows: list[Sequence[Text]] = []
    others: list[Text] = []
    for one in audits:
        wanted = [(cell, row) for cell, row in one.rows if cell.status == "reproduce"]
        counts = Counter(row["verdict"] for _, row in wanted)
        if not any(cell.summary for cell, _ in wanted):
            continue
        sums = {text: sum(counts[name] for name in names) for text, names in ANSWERED.items()}
        said = f"of {len(wanted)}: " + ", ".join(f"{count} {text}" for text, count in sums.items() if count)
        said += f"; {aged}" if (aged := of_earlier(wanted)) else ""
        known = causes.counted(row for _, row in one.rows) or NOTHING
        rows.append((Strong(one.paper.title), one.scale, *verdict.counts(one.claims), said, known))
        if one.other:
            others.append((Strong(one.paper.title), f", scale {one.scale}: data that are not the paper's: {one.other}"))
    header = (
        "paper",
        "scale",
        *verdict.COUNTED,
        "printed numbers, by ours",
        "of those outside or impossible, with a measured cause",
    )
    first = answers.table(audits)
    return [*([first] if first else []), *listed(others), Table(header, rows, left=len(header))]


def origin(results: Results, rows: Rows) -> str:
    """The scale and the devices of the cells of a picture, and how many are of earlier settings."""
    drawn = [(cell, row) for cell, row in rows if _placed(cell, row)]
    parts = (f"scale {results.scale}", devices(cell.summary for cell, _ in drawn), of_earlier(drawn, "{} dots"))
    return " · ".join(filter(None, parts))


def pictured(one: Audited) -> bool:
    """Whether a paper has a cell for its picture."""
    return any(_placed(cell, row) for cell, row in one.rows)


def _placed(cell: Cell, row: Mapping[str, Any]) -> bool:
    return cell.status == "reproduce" and "difference" in row and row["verdict"] != UNREACHABLE


def drawn(one: Audited) -> Any:
    """The picture of a paper's cells, `strips`."""
    dots: dict[str, list[strips.Dot]] = {}
    missing: dict[str, str] = {}
    for name in one.paper.tables:
        rows = [(cell, row) for cell, row in one.rows if cell.table == name and cell.status == "reproduce"]
        made = [row for cell, row in rows if _placed(cell, row)]
        title = name.rpartition("-")[2].replace("table", "Table ")
        dots[title] = [
            strips.Dot(
                row["difference"] / row["tolerance"], abs(row["difference"]) <= row["tolerance"],
                row["verdict"] in (UNRESOLVED, OPEN, STAND_IN, "other corpus"), f"{row['row']}, {row['column']}",
            )
            for row in made
        ]  # fmt: skip
        absent = Counter(row["verdict"] for _, row in rows if row not in made)
        missing[title] = ", ".join(f"{count} {named}" for named, count in absent.items())
    return strips.draw(one.paper.title, dots, missing)


def made(rows: Rows) -> str:
    """``11 of 41 cells to reproduce have a number of ours: 1 within, ...``, what is of the data alone counted apart."""
    wanted = [(cell, row) for cell, row in rows if cell.status == "reproduce"]
    of_data = [(cell, row) for cell, row in wanted if (known := metrics.find(cell.metric)) and known.of_data]
    models = [(cell, row) for cell, row in wanted if (cell, row) not in of_data]
    count = sum(cell.summary is not None for cell, _ in models)
    text = f"{count} of {len(models)} cells of models have a number of ours" + _verdicts(models)
    if known_causes := causes.counted(row for _, row in models):
        text += f" (of those outside or impossible, a measured cause for {known_causes})"
    if aged := of_earlier(models):
        text += f", {aged}"
    if of_data:
        text += f"; {len(of_data)} cells of the data alone" + _verdicts(of_data)
    others = Counter(row["verdict"] for cell, row in rows if cell.status not in ("reproduce", OURS))
    return text + "".join(f"; {others[name]} {name}" for name in VERDICTS if others[name])


def of_earlier(rows: Rows, of: str = "our {} numbers") -> str:
    """``10 of our 41 numbers of earlier settings``; "" without any."""
    made = [row for cell, row in rows if cell.summary]
    count = sum(row["earlier_settings"] == "yes" for row in made)
    return f"{count} of {of.format(len(made))} {EARLIER}" if count else ""


def _verdicts(rows: Rows) -> str:
    counts = Counter(row["verdict"] for _, row in rows)
    return ": " + verdict.tally(counts, {name: name for name in VERDICTS}) if rows else ""


def section(results: Results, one: Audited) -> list[Block]:
    """One paper: its claims in a row each, its cells in a picture, its contradictions, then the details."""
    paper, rows = one.paper, one.rows
    blocks: list[Block] = [Heading(2, paper.title), Paragraph(said(results, one)), verdict.table(one.claims)]
    if pictured(one):
        shown = paths.strips(results.scale, paper.name)[0].relative_to(paths.results(results.scale))
        text = f"(ours - reported) / tolerance of each cell of {paper.title}, a strip per table"
        blocks += [Picture(str(shown), text), Paragraph(PICTURE)]
    blocks += [Heading(3, "Contradictions in the paper"), contradictions(paper)]
    blocks += [Heading(3, "Cells")]
    for name in paper.tables:
        title = results.params.tables[name]["title"] if name in results.params.tables else name
        whole = paths.table(results.scale, name)[1]
        blocks += [
            Heading(4, Link(whole.name, title) if whole.exists() else title),
            cell_table(row for row in rows if row[0].table == name),
        ]
    blocks += measured(rows, one.judgements)
    blocks += both_scales(results, rows)
    blocks += reductions(results, rows)
    blocks += remarks(results, rows)
    blocks += claims(paper, one.claims)
    blocks += [Heading(3, "Deviations"), deviations(paper)]
    if paper.assumptions:
        text = "What the text leaves open, and the choice made."
        header = ("what", "the paper says", "here", "why")
        blocks += [Heading(3, "Assumptions"), Paragraph(text), _prose(header, paper.assumptions)]
    return blocks


def contradictions(paper: Paper) -> Table:
    """The statements of a paper that its own numbers or formulas contradict."""
    return _prose(("where", "the paper says", "against it"), paper.contradictions)


def deviations(paper: Paper) -> Table:
    """The points on which paper, released code and this project differ."""
    return _prose(("what", "paper", "released code", "here", "why"), paper.deviations)


def _prose(header: Sequence[str], rows: Iterable[Deviation | Contradiction | Assumption]) -> Table:
    """The first fields of each row, as many as the header has, the last with a link to the row's witness."""
    body: list[list[Text]] = []
    for row in rows:
        *first, last = map(prose, row[: len(header)])
        end = "" if row[len(header) - 1].endswith(".") else "."
        body.append([*first, (*parts(last), f"{end} Witness: ", _link(row.witness), ".") if row.witness else last])
    return Table(header, body, wide=True)


def _link(witness: str) -> Link:
    """A link from a scale's page to a witness, by its title."""
    return Link(f"../{paths.witnesses().name}#{anchor(witness)}", witness)


def cell_table(rows: Iterable[tuple[Cell, dict[str, Any]]]) -> Table:
    """The cells of one table, one line each."""
    body = []
    for cell, row in rows:
        digits = 0 if cell.status == "human" else 3
        ours = number(cell.summary, digits) if cell.summary or cell.status in ("reproduce", OURS) else NOTHING
        difference = f"{row['difference']:+.3f}" if "difference" in row else NOTHING
        allowed = f"{row['tolerance']:.3f}" if "tolerance" in row else NOTHING
        where = row.get("dataset", NOTHING), row.get("device", NOTHING), str(row.get("seeds", NOTHING))
        settings = ("earlier" if row["earlier_settings"] else "present") if cell.summary else NOTHING
        verdict = Status(row["verdict"], row["verdict"])
        body.append(
            (cell.row, cell.column, verdict, cell.reported or NOTHING, ours, difference, allowed, *where, settings)
        )
    header = ("row", "column", "verdict", "reported", "ours", "difference", "tolerance", "dataset", "device", "seeds")
    return Table((*header, "settings"), body, left=3)


def measured(rows: Rows, judgements: Iterable[causes.Judgement] = ()) -> list[Block]:
    """What was measured on the causes of differences: a line per hypothesis and per cell; nothing if nothing was."""
    if not any(row.get("cause") for _, row in rows):
        return []
    text = (
        "A cause of a difference counts when a run that differs in that alone was scored, and explains at least "
        f"{100 * causes.LEAST:.0f} % of the\ndifference; a cell without one is {causes.UNEXPLAINED}, whatever is "
        "reduced in it. Nothing counts where either number was\nmade under other settings or data than params.yaml "
        f"has now. A cause is known of {causes.counted(row for _, row in rows)}."
    )
    tallies = causes.tallies(judgements)
    if any(one.hypothesis.until for one in tallies):
        text += (
            "\nWhere no run of ours has as many training sequences as the paper's, the line through two that differ in "
            "their number alone,\nin its logarithm, is continued to it, with its error."
        )
    header = ("table", "row", "column", "difference", "cause", "measured")
    body = [
        (
            cell.table.rpartition("-")[2], cell.row, cell.column, f"{row['difference']:+.3f}", row["cause"],
            row["measured"],
        )
        for cell, row in causes.order(rows)
    ]  # fmt: skip
    blocks: list[Block] = [Heading(3, "Causes of differences"), Paragraph(text)]
    if tallies:
        counted = ("cells tried", "whole difference", f"at least {100 * causes.LEAST:.0f} %", "less", "not counted")
        lines = [(one.what, prose(one.hypothesis.why), *map(str, one[1:])) for one in tallies]
        blocks += [Table(("hypothesis", "because", *counted), lines, wide=True)]
    return [*blocks, *([Table(header, body, wide=True)] if body else [])]


def both_scales(results: Results, rows: Rows) -> list[Block]:
    """The cells that the other scale of the same data has too: what a reduction costs; nothing without one."""
    if (other := results.beside) is None:
        return []
    body = []
    for cell, _ in rows:
        there = other.summary(cell.run, cell.metric, optional=True) if cell.summary else None
        if there is not None:
            gap = f"{cell.summary.value - there.value:+.3f}"
            where = (cell.table.rpartition("-")[2], cell.row, cell.column, cell.reported or NOTHING)
            body.append((*where, number(cell.summary), number(there), gap))
    header = ("table", "row", "column", "reported", f"scale {results.scale}", f"scale {other.scale}", "difference")
    return [Heading(3, f"Beside scale {other.scale}"), Table(header, body, left=3)] if body else []


def reductions(results: Results, rows: Rows) -> list[Block]:
    """The differences of the runs from the settings that the paper or its released code has."""
    groups: dict[str, list[str]] = {}
    for run in dict.fromkeys(cell.run for cell, _ in rows if cell.run):
        if texts := results.differences(run):
            groups.setdefault(", ".join(texts), []).append(run)
    if not groups:
        return []
    items = [f"{', '.join(names)}: {text}." for text, names in groups.items()]
    said = (
        "(paper ...): what the paper says; where it says nothing, or its released code does otherwise, what that code\n"
        "has. Where the two differ the deviations say so."
    )
    return [Heading(3, f"How scale {results.scale} differs from the paper"), Paragraph(said), Facts(items)]


def remarks(results: Results, rows: Rows) -> list[Block]:
    """Runs with numbers of another params.yaml, with unconverged estimates, or of code that no commit has."""
    found: dict[str, dict[str, None]] = {}
    for cell, _ in rows:
        for remark in results.remarks(cell.run, cell.summary) if cell.summary else []:
            found.setdefault(cell.run, {})[remark] = None
    items: list[Text] = [f"{run}: {'; '.join(texts)}." for run, texts in found.items()]
    made = dict.fromkeys(cell.run for cell, _ in rows if cell.summary)
    if changed := [run for run in made if results.uncommitted(run)]:
        items.append(f"trained or scored with uncommitted changes, as their records say: {', '.join(changed)}.")
    return [Heading(3, "Remarks"), Facts(items)] if items else []


def claims(paper: Paper, judged: Sequence[Judged]) -> list[Block]:
    """The claims in full, judged on the printed numbers and on ours."""
    text = (
        "Each judged on the numbers that the paper prints, then on ours (± one standard error). An ordering\n"
        "within two standard errors is *undecided*; the error is that over test sequences, paired where both\n"
        "models scored the same ones, and over seeds: a run of one seed has that of the paper's models that are\n"
        "most like it, in their kind of data, their settings and their data, as far as any has several, and says\n"
        "which; where none has, no error over seeds is known. Two errors hold 95 % of normal numbers, 82 % where\n"
        "the error is of three seeds alone; texts of one article count as independent. A claim on n comparisons\n"
        "fails only by one that fails beyond chance among n (Bonferroni). An importance-sampled NLL lies above\n"
        "the true one: where it stands beside an exact or a quoted number, a verdict that its expected limit in K\n"
        "would turn, were the weights log-normal, is *undecided*. Beside a quoted number, whose scores are not\n"
        "known, the error over test sequences is the largest of ours and another of the paper's models. "
        + paper.convention
    )
    items = []
    for one in judged:
        said = f" ({one.claim.section}): {one.claim.said}. Read as: {one.claim.read}."
        sides = {"printed": one.printed, "ours": one.ours}
        under: list[Text | Fact] = [
            (f"{side}, ", Status(found.verdict, found.verdict), f": {found.text}") for side, found in sides.items()
        ]
        under += [f"would settle it: {one.ours.settled}"] if one.ours.settled else []
        under += [("runs: ", Code(" ".join(one.runs)))] if one.runs else []
        under += [(f"{EARLIER}: ", Code(" ".join(one.earlier)))] if one.earlier else []
        items.append(Fact((Strong(one.claim.name), said), under))
    return [Heading(3, "Claims"), Paragraph(prose(text)), Facts(items)]
