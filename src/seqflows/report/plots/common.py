"""What several figures share: finding exports, naming devices and characters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from seqflows import paths
from seqflows.errors import Problem
from seqflows.report.inputs import Results, devices, seed_folders

BLUE, RED, GREY, ORANGE = "#2a6fbb", "#c8402f", "0.72", "#d98b1f"
CYCLE = (BLUE, RED, "#3f9b57", ORANGE, "#7d5ba6", "#5c6670", "#c2649a", "#1fa3a3")


def export(results: Results, run: str, name: str) -> Path:
    """The file that evaluate exported for figures, of the run's first seed."""
    folder = paths.evaluation(results.scale, run)
    for seed in seed_folders(folder):
        if (seed / name).exists():
            return results.verified(run, seed / name)
    raise Problem(
        f"expected {folder}/seed-*/{name}, found none; "
        f"name its export in the run's evaluation block and run: python -m seqflows evaluate {results.scale}/{run}"
    )


def device(results: Results, runs: list[str]) -> str:
    """The devices of some runs, from their metrics."""
    return devices(summary for run in runs for summary in (results.metrics(run) or {}).values())


def setting(results: Results, run: str, name: str) -> Any:
    """A setting of a run's model block at this scale, or None."""
    return ((results.params.runs[run].get(results.scale) or {}).get("model") or {}).get(name)


def visible(character: str) -> str:
    """A character as a label: the space as an open box."""
    return "\u2423" if character == " " else character


def label(run: str) -> str:
    """A run as the paper names its model.

    >>> label("ptb-af_af"), label("nottingham-lstm"), label("ptb-af_af-no_annealing")
    ('AF / AF', 'LSTM', 'AF / AF, no annealing')
    """
    name, *variant = run.partition("-")[2].split("-")
    known = {"lstm": "LSTM", "af_only": "AF-only", "nlsq": "NLSq", "affine": "affine"}
    shown = known.get(name) or " / ".join(part.upper() for part in name.split("_"))
    return ", ".join([shown, *(text.replace("_", " ") for text in variant)])
