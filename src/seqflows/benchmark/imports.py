"""What it costs to begin: the processor's seconds until a stage has read params.yaml and imported what it needs."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

from seqflows.stages import TABLE

IMPORTS = ("stage", "needs", "seconds", "alone", "ratio")
STAGES = {  # the largest library that each uses
    **{"train": "torch", "evaluate": "torch", "prepare": "numpy", "compare": "numpy"},
    **{"table": "", "audit": "", "figure": "matplotlib.pyplot"},
}
BEGIN = """
import importlib
from seqflows import cli, params
params.load()
for name in {names}:
    importlib.import_module(name)
"""
REPEATS = 3


def cost(code: str) -> float:
    """Processor seconds of a Python that runs some code, the fewest of REPEATS."""
    found = []
    for _ in range(REPEATS):
        process = subprocess.Popen((sys.executable, "-c", code))
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            raise subprocess.CalledProcessError(os.waitstatus_to_exitcode(status), process.args)
        found.append(usage.ru_utime + usage.ru_stime)
    return min(found)


def run() -> list[dict[str, Any]]:
    """Each stage of `STAGES`, beside a Python that imports its largest library alone."""
    rows, alone = [], {needs: cost(f"import {needs}" if needs else "") for needs in dict.fromkeys(STAGES.values())}
    for stage, needs in STAGES.items():
        names = ["seqflows.pipeline.status", f"seqflows.{TABLE[stage].module}", *([needs] if needs else [])]
        seconds, least = cost(BEGIN.format(names=names)), alone[needs]
        row = (stage, needs, round(seconds, 2), round(least, 2), round(seconds / least, 2))
        rows.append(dict(zip(IMPORTS, row, strict=True)))
        print(f"  {stage}: {seconds:.2f} s, {needs or 'Python'} alone {least:.2f} s", flush=True)
    return rows
