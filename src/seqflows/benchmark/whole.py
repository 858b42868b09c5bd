"""What a newcomer and a developer wait for: the tests and the demo, each whole, in a fresh clone of the present commit.

Not measured unless asked for, since they take both cores for long: ``python -m seqflows benchmark whole``,
or ``whole:snakemake`` for one of them, beside which the others' rows stay.
"""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from seqflows import files
from seqflows.errors import Problem

WHOLE = ("what", "minutes", "revision")
COMMANDS: dict[str, Sequence[str]] = {
    "make test": ("make", f"VENV={sys.prefix}", "test"),
    "make demo": ("make", f"VENV={sys.prefix}", "demo"),
    "dvc repro": ("dvc", "repro"),
    "snakemake -j 2": ("snakemake", "-j", "2"),
}
OURS = "SEQFLOWS_"  # settings of this shell that the clone does not have
SHOWN = 20  # lines of a command that failed


def run(
    word: str = "", path: Path = Path(), root: Path = Path(), commands: Mapping[str, Sequence[str]] = COMMANDS
) -> list[dict[str, Any]]:  # fmt: skip
    """Minutes by the clock of each command with ``word`` in it, beside the rows that ``path`` has of the others.

    One that fails has none, and its end is printed.

    Raises:
        Problem: no command has the word.
    """
    chosen = [what for what in commands if word in what]
    if not chosen:
        raise Problem(f"expected whole, or whole: with a part of {', '.join(commands)}, got whole:{word}")
    rows: dict[str, dict[str, Any]] = {}
    if path.is_file():
        with path.open(newline="", encoding="utf-8") as file:
            rows = {row["what"]: dict.fromkeys(WHOLE) | row for row in csv.DictReader(file)}
    for what in chosen:
        with clone(root) as folder:
            try:
                minutes = round(waited(commands[what], folder), 2)
                print(f"  {what}: {minutes:.1f} min", flush=True)
            except Problem as problem:
                minutes = None
                print(f"  {what} left out: {problem}", flush=True)
            rows[what] = dict(zip(WHOLE, (what, minutes, files.revision()), strict=True))
    return [rows[what] for what in commands if what in rows]


@contextmanager
def clone(root: Path) -> Iterator[Path]:
    """A fresh clone of what is committed, in a folder that is removed after."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "seqflows"
        subprocess.run(("git", "clone", "--quiet", root.resolve(), folder), check=True)
        yield folder


def waited(command: Sequence[str], folder: Path) -> float:
    """Minutes of a command in a folder.

    Raises:
        Problem: it failed; the end of what it said is part of the message.
    """
    env = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    env |= {"PYTHONPATH": str(folder / "src"), "PATH": f"{Path(sys.prefix) / 'bin'}{os.pathsep}{env['PATH']}"}
    with tempfile.TemporaryFile() as said:
        started = time.perf_counter()
        done = subprocess.run(command, cwd=folder, env=env, stdout=said, stderr=subprocess.STDOUT)
        minutes = (time.perf_counter() - started) / 60
        if done.returncode:
            said.seek(0)
            end = "\n".join(said.read().decode(errors="replace").splitlines()[-SHOWN:])
            raise Problem(
                f"expected {' '.join(command)} to succeed in a fresh clone, got exit status {done.returncode}; "
                f"mend and commit what it reports, then measure again:\n{end}"
            )
    return minutes
