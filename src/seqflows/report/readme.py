"""The results in README.md, in the pages of docs and in each scale's list of tables and figures, from the records."""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable
from pathlib import Path

from seqflows import files, paths, records
from seqflows.errors import Problem
from seqflows.params import scale_of
from seqflows.report import audit, markdown, tasks, verdict
from seqflows.report.cells import NOTHING
from seqflows.report.inputs import Results, matrix, read_csv
from seqflows.report.page import Block, Code, Facts, Heading, Link, Paragraph, Picture, Strong, Table, Text
from seqflows.report.papers.base import papers
from seqflows.report.tables import made


def table_of(path: Path) -> list[Block]:
    """The title, the list of facts and the first table of a page of results."""
    folder, scale, name = path.with_suffix("").parts[-3:] if len(path.parts) > 2 else ("", "", "")
    if (folder, path.suffix) != ("results", ".md"):
        raise Problem(f"expected results/<scale>/<table>.md in the marks of a table, got {path}")
    page = made(Results(matrix(), scale_of(scale)), name).page
    end = next((place for place, block in enumerate(page.blocks, 1) if isinstance(block, Table)), len(page.blocks))
    return [Paragraph((Strong(page.title), " (", Link(str(path)), ")")), *page.blocks[:end]]


def verdict_of(path: Path) -> list[Block]:
    """The outcome of a paper, whose picture is ``path``: a sentence, a row per claim, and the picture."""
    results, scale, folder, name = path.with_suffix("").parts if len(path.parts) == 4 else ("", "", "", "")
    if (results, folder, path.suffix) != ("results", "verdict", ".png") or name not in papers():
        raise Problem(f"expected results/<scale>/verdict/<paper>.png in the marks of a verdict, got {path}")
    here = Results(matrix(), scale_of(scale))
    one = audit.audited(here, papers()[name])
    page = paths.audit(scale)[1]
    text = f"(ours - reported) / tolerance of each cell of {one.paper.title}"
    return [
        Paragraph((*audit.said(here, one), " Reasons: ", Link(str(page)))),
        *verdict.brief(one.claims),
        Picture(str(path), text),
    ]


def summary_of(path: Path) -> list[Block]:
    """The outcome of every paper, as counts and names, at an audit's scale and the other scale of the same data."""
    results, scale, name = path.parts if len(path.parts) == 3 else ("", "", "")
    if (results, name) != ("results", "audit.md"):
        raise Problem(f"expected results/<scale>/audit.md in the marks of a summary, got {path}")
    here = Results(matrix(), scale_of(scale))
    scales = [here, *([here.beside] if here.beside else [])]
    return audit.summary(audit.audited(one, paper) for one in scales for paper in audit.ordered(one))


def pages_of(path: Path) -> list[Block]:
    """Links to the tables and figures of a scale, for a page in its folder ``path``, by paper and then over papers."""
    folder, scale = path.parts if len(path.parts) == 2 else ("", "")
    if folder != "results":
        raise Problem(f"expected results/<scale> in the marks of its pages, got {path}")
    here = Results(matrix(), scale_of(scale))
    titles = {paper.name: paper.title for paper in audit.ordered(here)} | {"": "Over the papers"}
    found: dict[str, list[Text]] = {name: [] for name in titles}
    for blocks, place in ((here.params.tables, lambda name: paths.table(scale, name)[1]),
                          (here.params.figures, lambda name: paths.figure(scale, name)[0])):  # fmt: skip
        for name, block in blocks.items():
            if place(name).exists():
                found.setdefault(block.get("reproduces", ""), []).append(Link(place(name).name, block["title"]))
    return [
        part for name, links in found.items() if links for part in (Heading(2, titles.get(name, name)), Facts(links))
    ]


def runs_of(path: Path) -> list[Block]:
    """What each run of a scale with a record cost, in the order of params.yaml, for a page in its folder ``path``."""
    folder, scale = path.parts if len(path.parts) == 2 else ("", "")
    if folder != "results":
        raise Problem(f"expected results/<scale> in the marks of its runs, got {path}")
    header = ("run", "device", "seeds", "epochs", "training, core-minutes", "scoring, minutes")
    rows: list[list[Text]] = []
    for run in Results(matrix(), scale_of(scale)).params.runs:
        trained, scored = records.trained(scale, run), records.metrics(scale, run)
        if not trained or not scored:
            continue
        clocks = [found[-1] for seed in trained if (found := tasks.clock(seed))]
        seconds = {one["seed"]: float(one.get("wall_seconds") or 0) for one in scored["metrics"]}
        rows.append([
            Code(run), ", ".join(dict.fromkeys(str(seed.record.get("device")) for seed in trained)), str(len(trained)),
            f"{statistics.fmean(int(seed.record['epochs']) for seed in trained):.3g}",
            f"{statistics.fmean(clocks):.3g}" if clocks else NOTHING,
            f"{statistics.median(seconds.values()) / 60:.2g}" if any(seconds.values()) else NOTHING,
        ])  # fmt: skip
    said = (
        "Of a seed. Training: its epochs times the median of their seconds, each with its validation, times its\n"
        "threads; scoring: by the clock, whatever else ran."
    )
    return [Paragraph(said), Table(header, rows, left=2)]


def csv_of(path: Path) -> list[Block]:
    """A whole csv file as a table."""
    rows = read_csv(path)
    if not rows:
        raise Problem(f"expected rows in {path}, found none; make it first")
    left = sum(not row.replace(".", "", 1).isdigit() for row in rows[0].values())
    return [Table(list(rows[0]), [list(row.values()) for row in rows], left)]


MAKERS: dict[str, Callable[[Path], list[Block]]] = {
    "table": table_of, "csv": csv_of, "verdict": verdict_of, "summary": summary_of, "pages": pages_of, "runs": runs_of,
}  # fmt: skip
BLOCK = re.compile(rf"<!-- (?P<kind>{'|'.join(MAKERS)}): (?P<path>\S+) -->\n(?P<content>.*?)<!-- end -->", re.DOTALL)


def refreshed(text: str) -> str:
    """A text with every marked block from the present results."""

    def block(found: re.Match[str]) -> str:
        shown = MAKERS[found["kind"]](Path(found["path"]))
        return f"<!-- {found['kind']}: {found['path']} -->\n{markdown.blocks(shown)}\n<!-- end -->"

    return BLOCK.sub(block, text)


def pages() -> list[Path]:
    """The pages that may have marked blocks."""
    return [Path("README.md"), *sorted(Path("docs").glob("*.md")), *sorted(Path("results").glob("*/README.md"))]


def run() -> None:
    """Bring the pages up to date."""
    texts = {path: path.read_text(encoding="utf-8") for path in pages()}
    for path, new in {path: refreshed(text) for path, text in texts.items()}.items():
        if new != texts[path]:
            files.write_text(path, new)
