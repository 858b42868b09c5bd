"""What the stages of a scale take: of each the key that needs most memory, from the file of ``$SEQFLOWS_NOTES``.

A stage that ends, or is stopped, adds a line there (`seqflows.cli`), whichever engine started it.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from seqflows.errors import Problem
from seqflows.stages import NOTED, NOTES

STAGES = ("stage", "noted", "key", "peak_gib", "processor_seconds")


def run(word: str) -> list[dict[str, Any]]:
    """A row for each stage of the file, in its order of memory.

    Raises:
        Problem: the file is not there or has other columns.
    """
    path = Path(word)
    if not path.is_file():
        raise Problem(f"expected stages: with a file that {NOTES} named while stages ran, got stages:{word}")
    with path.open(newline="", encoding="utf-8") as file:
        lines = csv.DictReader(file)
        if tuple(lines.fieldnames or ()) != NOTED:
            raise Problem(
                f"expected {path} to have the columns {', '.join(NOTED)}, got {', '.join(lines.fieldnames or ())}"
            )
        by_stage: dict[str, list[dict[str, str]]] = {}
        for line in lines:
            by_stage.setdefault(line["stage"], []).append(line)
    rows = []
    for stage, found in by_stage.items():
        largest = max(found, key=lambda line: float(line["peak_gib"]))
        keys = len({line["key"] for line in found})
        values = (stage, keys, largest["key"], float(largest["peak_gib"]), float(largest["processor_seconds"]))
        rows.append(dict(zip(STAGES, values, strict=True)))
        print(f"  {stage} {largest['key']}: {largest['peak_gib']} GiB, the most of {keys}", flush=True)
    return sorted(rows, key=lambda row: -row["peak_gib"])
