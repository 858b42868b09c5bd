"""What a newcomer and a developer wait for: the tests and the demo, each whole, in a fresh clone of the present commit.

Not measured unless asked for, since they take both cores for long: ``python -m seqflows benchmark whole``,
or ``whole:snakemake`` for one of them, beside which the others' rows stay.

Where the time goes: of tests by folder, as pytest's report has them; of an engine, the processor seconds of each stage,
which it notes itself (`seqflows.cli`), beside all that the command took.
"""

from __future__ import annotations

import csv
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

from seqflows import files
from seqflows.errors import Problem
from seqflows.stages import NOTES

WHOLE = ("what", "minutes", "goes to", "revision")
COMMANDS: dict[str, Sequence[str]] = {
    "make test": ("make", f"VENV={sys.prefix}", "test"),
    "make demo": ("make", f"VENV={sys.prefix}", "demo"),
    "dvc repro": ("dvc", "repro"),
    "snakemake -j 2": ("snakemake", "-j", "2"),
}
OURS = "SEQFLOWS_"  # settings of this shell that the clone does not have
SHOWN = 20  # lines of a command that failed
MOST = 4  # of the places where its time goes


class Waited(NamedTuple):
    """Minutes by the clock, and seconds by where they went, of the tests' clock or of processors."""

    minutes: float
    places: Counter[str]


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
                done = waited(commands[what], folder)
                minutes, places = round(done.minutes, 2), most(done.places)
                print(f"  {what}: {minutes:.1f} min; {places}", flush=True)
            except Problem as problem:
                minutes = places = None
                print(f"  {what} left out: {problem}", flush=True)
            rows[what] = dict(zip(WHOLE, (what, minutes, places, files.revision()), strict=True))
    return [rows[what] for what in commands if what in rows]


@contextmanager
def clone(root: Path) -> Iterator[Path]:
    """A fresh clone of what is committed, in a folder that is removed after."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "seqflows"
        subprocess.run(("git", "clone", "--quiet", root.resolve(), folder), check=True)
        yield folder


def waited(command: Sequence[str], folder: Path) -> Waited:
    """The time of a command in a folder.

    Raises:
        Problem: it failed; the end of what it said is part of the message.
    """
    with tempfile.TemporaryDirectory() as scratch:
        noted, report, said = (Path(scratch) / name for name in ("times", "tests.xml", "said"))
        env = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
        env |= {"PYTHONPATH": str(folder / "src"), "PATH": f"{Path(sys.prefix) / 'bin'}{os.pathsep}{env['PATH']}"}
        env |= {NOTES: str(noted), "PYTEST_ADDOPTS": f"--junitxml={report}"}
        before, started = _processors(), time.perf_counter()
        with said.open("wb") as file:
            done = subprocess.run(command, cwd=folder, env=env, stdout=file, stderr=subprocess.STDOUT)
        minutes = (time.perf_counter() - started) / 60
        if done.returncode:
            end = "\n".join(said.read_text(errors="replace").splitlines()[-SHOWN:])
            raise Problem(
                f"expected {' '.join(command)} to succeed in a fresh clone, got exit status {done.returncode}; "
                f"mend and commit what it reports, then measure again:\n{end}"
            )
        if report.is_file():
            return Waited(minutes, _tests(report))
        places = _stages(noted) if noted.is_file() else Counter()
        places["the engine"] = max(0.0, _processors() - before - places.total())
        return Waited(minutes, places)


def most(places: Counter[str]) -> str:
    """The largest shares.

    >>> most(Counter({"train": 6.0, "figure": 1.0, "the engine": 3.0}))
    'train 60 %, the engine 30 %, figure 10 %'
    """
    return ", ".join(f"{place} {100 * seconds / places.total():.0f} %" for place, seconds in places.most_common(MOST))


def _processors() -> float:
    """Processor seconds of all that this process has started and that has ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _tests(report: Path) -> Counter[str]:
    """Seconds of the tests in each folder."""
    places: Counter[str] = Counter()
    for test in ElementTree.parse(report).iter("testcase"):
        places[test.get("classname", "").rpartition(".")[0].replace(".", "/")] += float(test.get("time", 0))
    return places


def _stages(noted: Path) -> Counter[str]:
    """Processor seconds of each stage's processes."""
    places: Counter[str] = Counter()
    with noted.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            places[row["stage"]] += float(row["processor_seconds"])
    return places
