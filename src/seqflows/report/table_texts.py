"""Tables of text: what the models of some runs wrote, side by side (Tang et al. 2021, tables 1 to 3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from seqflows import paths
from seqflows.errors import Problem
from seqflows.report.inputs import Results, seed_folders
from seqflows.report.layout import wide
from seqflows.report.table_parts import corpus

COLUMNS = ("run", "seed", "part", "number", "text")


def rows(results: Results, block: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every text of the first seed of each run, below the title that it stands under."""
    return [row for run in block["runs"] for row in _of_run(results, run, block["texts"])]


def _of_run(results: Results, run: str, texts: str) -> list[dict[str, Any]]:
    folders = seed_folders(paths.evaluation(results.scale, run))
    if not folders or not (path := folders[0] / f"{texts}.txt").exists():
        raise Problem(
            f"expected {paths.evaluation(results.scale, run) / 'seed-0' / f'{texts}.txt'}, found none; "
            f"run: python -m seqflows evaluate {results.scale}/{run}"
        )
    found, part, number = [], "", 0
    for line in results.verified(run, path).read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            part, number = line[2:], 0
            continue
        number += 1
        seed = folders[0].name.removeprefix("seed-")
        found.append(dict(zip(COLUMNS, (run, seed, part, number, line), strict=True)))
    return found


def markdown(results: Results, block: Mapping[str, Any], found: Sequence[Mapping[str, Any]]) -> str:
    """The page: a table a run, with its corpus."""
    lines = [f"# {block['title']}", ""]
    for run in block["runs"]:
        dataset = results.dataset(run)
        summary = results.summary(run, "nll", optional=True)
        said = [summary] if summary else []
        lines += [f"## {run}", "", f"corpus {corpus(results, dataset, said)}", ""]
        body = [
            (row["part"] if row["number"] == 1 else "", row["text"] or "(no word)")
            for row in found
            if row["run"] == run
        ]
        lines += [*wide(("", "text"), body), ""]
    return "\n".join(lines).rstrip() + "\n"
