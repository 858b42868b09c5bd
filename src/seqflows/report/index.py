"""The stage ``page``: everything of a scale in one HTML file that needs no network.

The verdicts, every table with its cells by verdict, and behind each cell its run: settings beside the paper's, seeds,
curves, device, checksums, the command that makes it, and the deviations from its paper that can change it.
"""

from __future__ import annotations

import base64
import json
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from seqflows import files, params, paths, records
from seqflows.errors import Problem
from seqflows.report import audit, html, inputs, tables
from seqflows.report.audit import Audited
from seqflows.report.cells import Cell, cells, number
from seqflows.report.inputs import Results, matrix
from seqflows.report.page import Block, Paragraph, Table
from seqflows.report.papers.base import Paper
from seqflows.report.verdict import Judged

TEMPLATE = Path(__file__).with_name("index.html")
LARGEST = 5_000_000  # bytes of a page
POINTS = 60  # of a curve
CURVES = ("train_loss", "valid_loss")


def run(key: paths.Key, found: params.Params | None = None) -> None:
    """Write results/<scale>/index.html; raise `Problem` if it would be larger than `LARGEST`."""
    results = Results(found or matrix(), key.scale)
    text = written(results)
    if len(text.encode()) > LARGEST:
        raise Problem(
            f"expected a page of at most {LARGEST / 1e6:.0f} MB, got {len(text.encode()) / 1e6:.1f} MB for {key}; draw "
            "its largest figures with fewer points"
        )
    files.write_text(paths.page(key.scale), text)


def written(results: Results) -> str:
    """The whole page."""
    import jinja2

    audits = [audit.audited(results, paper) for paper in audit.ordered(results)]
    other = results.beside
    shown = [_paper(results, one, other) for one in audits]
    runs = dict.fromkeys(cell["run"] for paper in shown for table in paper["tables"] for cell in table["cells"])
    runs |= dict.fromkeys(run for one in audits for claim in one.claims for run in claim.runs)
    papers = {one.paper.name: one.paper for one in audits}
    data = {
        "scale": results.scale,
        "cells": {cell["id"]: cell for paper in shown for table in paper["tables"] for cell in table["cells"]},
        "runs": {run: _run(results, run, papers) for run in runs if run},
        "deviations": {name: [[row.what, row.here] for row in paper.deviations] for name, paper in papers.items()},
    }
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    counted = {row["verdict"] for one in audits for _, row in one.rows}
    return template.render(
        scale=results.scale,
        summary=html.blocks(audit.summary(audits)),
        over=_over(results),
        papers=shown,
        verdicts={name: meaning for name, meaning in audit.VERDICTS.items() if name in counted},
        footer=_footer(results, data["runs"].values()),
        data=json.dumps(data, ensure_ascii=False).replace("</", "<\\/"),
    )


def _over(results: Results) -> dict[str, Any]:
    """The tables over the papers, and the figures of these that were drawn."""
    tables = [name for name, block in results.params.tables.items() if "tasks" in block]
    return {
        "tables": [_blocks(results, name) for name in tables],
        "figures": _figures(results, lambda block: "reproduces" not in block),
    }


def _figures(results: Results, of: Callable[[Mapping[str, Any]], bool]) -> list[dict[str, str]]:
    """The drawn figures whose block is ``of`` a part of the page."""
    return [
        {"title": block["title"], "picture": _picture(path)}
        for name, block in results.params.figures.items()
        if of(block) and (path := paths.figure(results.scale, name)[1]).exists()
    ]


def _blocks(results: Results, name: str) -> dict[str, Any]:
    """A table without cells of a paper: its page."""
    return {
        "name": name,
        "title": results.params.table(name)["title"],
        "cells": [],
        "facts": html.blocks(_made(results, name), 2),
    }


def _paper(results: Results, one: Audited, other: Results | None) -> dict[str, Any]:
    verdicts = {(cell.table, cell.row, cell.column): row for cell, row in one.rows}
    own = [name for name in results.params.tables if name.startswith(f"{one.paper.name}-")]
    strip = paths.strips(results.scale, one.paper.name)[1]
    return {
        "name": one.paper.name,
        "title": one.paper.title,
        "sentence": html.inline(audit.said(results, one)),
        "claims": [_claim(claim) for claim in one.claims],
        "strip": _picture(strip) if strip.exists() else "",
        "contradictions": html.table(audit.contradictions(one.paper)),
        "tables": [_table(results, name, verdicts, other) for name in own],
        "figures": _figures(results, lambda block: block.get("reproduces") == one.paper.name),
        "deviations": html.table(audit.deviations(one.paper)),
    }


def _claim(one: Judged) -> dict[str, Any]:
    sides = {
        name: {"verdict": found.verdict, "reason": found.reason, "text": found.text}
        for name, found in (("printed", one.printed), ("ours", one.ours))
    }
    claim = one.claim
    said = {"name": claim.name, "section": claim.section, "says": claim.said, "read": claim.read, "check": claim.check}
    return {**said, **sides, "seen": one.seen, "runs": one.runs, "earlier": one.aged}


def _table(results: Results, name: str, verdicts: dict[Any, dict[str, Any]], other: Results | None) -> dict[str, Any]:
    """A table as a grid of cells, and the rest of its page: facts, further blocks, texts side by side."""
    block = results.params.table(name)
    if "texts" in block:
        return _blocks(results, name)
    made = tables.made(results, name)
    blocks = list(made.page.blocks)
    found = [_cell(cell, verdicts, other) for cell in cells(results, name)]
    grid = next((place for place, block in enumerate(blocks) if isinstance(block, Table)), len(blocks))
    return {
        "name": name,
        "title": made.page.title,
        "cells": found,
        "rows": list(dict.fromkeys(cell["row"] for cell in found)),
        "columns": list(dict.fromkeys(cell["column"] for cell in found)),
        "at": {(cell["row"], cell["column"]): cell for cell in found},
        "facts": html.blocks(blocks[:grid] + blocks[grid + 1 :], 2),
    }


def _made(results: Results, name: str) -> Sequence[Block]:
    """The page of a table; what is missing, if its texts were not made."""
    try:
        return tables.made(results, name).page.blocks
    except Problem as problem:
        return [Paragraph(f"Not made: {problem}")]


def _cell(cell: Cell, verdicts: dict[Any, dict[str, Any]], other: Results | None) -> dict[str, Any]:
    row = verdicts.get((cell.table, cell.row, cell.column), {})
    named = row.get("verdict") or ("ours" if cell.summary else "not run")
    digits = 0 if cell.status == "human" else 3
    beside = other.summary(cell.run, cell.metric, optional=True) if other and cell.run else None
    return {
        "id": f"{cell.table}/{cell.row}/{cell.column}",
        "paper": cell.table.partition("-")[0],
        "table": cell.table,
        "row": cell.row,
        "column": cell.column,
        "unit": cell.unit,
        "reported": cell.reported,
        "ours": number(cell.summary, digits) if cell.summary else "",
        "verdict": named,
        "reason": row.get("reason") or cell.reason or cell.note,
        "cause": row.get("cause", ""),
        "measured": row.get("measured", ""),
        "difference": row.get("difference"),
        "tolerance": row.get("tolerance"),
        "run": cell.run,
        "metric": cell.metric,
        "seeds": len(cell.summary.seeds) if cell.summary else 0,
        "signature": _signature(cell),
        "beside": {"scale": other.scale, "ours": number(beside, digits)} if beside and other else None,
    }


def _signature(cell: Cell) -> dict[str, Any]:
    if (found := cell.summary) is None:
        return {}
    return {
        "seeds": ", ".join(map(str, found.seeds)), "samples": found.samples, "sequences": found.sequences,
        "dataset": found.dataset, "dataset sha256": found.dataset_sha256, "revision": found.revision,
        "settings' sha256": found.config_hash, "device": found.device,
    }  # fmt: skip


def _run(results: Results, run: str, papers: Mapping[str, Paper]) -> dict[str, Any]:
    paper = results.params.runs[run]["reproduces"]
    known = papers.get(paper)
    ours, theirs = results.settings(run), inputs.paper_settings().get(run, {})
    scale = f"{results.scale}/{run}"
    trained = records.trained(results.scale, run)
    return {
        "paper": paper,
        "deviations": [place for place, one in enumerate(known.deviations) if one.of(run)] if known else [],
        "settings": [
            [name, _said(ours.get(name)), _said(theirs.get(name))] for name in dict.fromkeys([*ours, *theirs])
        ],
        "differs": results.differences(run),
        "seeds": [
            {
                "seed": one.seed,
                **{name: one.record.get(name) for name in ("epochs", "best_epoch", "wall_seconds", "parameters",
                                                           "device_name", "threads", "precision", "revision")},
                "torch": (one.record.get("versions") or {}).get("torch"),
                "curves": {name: _curve(one.history, name) for name in CURVES},
            }
            for one in trained
        ],
        "command": f"python -m seqflows train {scale} && python -m seqflows evaluate {scale}",
    }  # fmt: skip


def _said(value: Any) -> str:
    return "" if value is None else str(value)


def _curve(history: list[dict[str, str]], name: str) -> list[float]:
    """At most `POINTS` values of a column of the history, evenly spaced, the last one kept."""
    values = [float(row[name]) for row in history if row.get(name)]
    if len(values) <= POINTS:
        return [float(f"{value:.5g}") for value in values]
    places = [round(place * (len(values) - 1) / (POINTS - 1)) for place in range(POINTS)]
    return [float(f"{values[place]:.5g}") for place in places]


def _picture(path: Path) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(path.read_bytes()).decode()


def _footer(results: Results, runs: Iterable[dict[str, Any]]) -> dict[str, str]:
    seeds = [seed for run in runs for seed in run["seeds"]]
    revisions = sorted({seed["revision"] for seed in seeds if seed["revision"]})
    machines = sorted({f"{seed['device_name']}, {seed['threads']} threads" for seed in seeds if seed["device_name"]})
    lock = Path("requirements.lock")
    return {
        "revision": files.revision(),
        "trained with": ", ".join(revisions) or "nothing",
        "mixed": "The numbers are of several revisions; each cell names its own." if len(revisions) > 1 else "",
        "lock": files.sha256(lock) if lock.exists() else "no requirements.lock here",
        "hardware": "; ".join(machines) or "nothing was trained",
        "python": platform.python_version(),
    }
