"""What of a scale was made, is stale or missing; a stage that is up to date need not run.

A stage that ends well leaves a record in ``.made/``: the digests of what it read, of its code and its part of
params.yaml, and of what it wrote. It is up to date where all of them are the same now, and where the stages are that it
reads from. Engines take a stage's outputs away before they run it, so that to them it is never up to date. What another
checkout made has no record here, and counts as stale.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

from seqflows import files, params, paths, stages
from seqflows.errors import Problem
from seqflows.report import markdown
from seqflows.report.page import Table

MADE, STALE, MISSING = "made", "stale", "missing"
SHARED = ("files.py",)  # what all stages' files depend on
LIBRARIES = ("numpy", "scipy", "torch")
KEPT = 8  # records a key: who changes a setting and changes it back finds what DVC's run cache brought back up to date


class State(NamedTuple):
    """Whether a key is made, and why it is stale."""

    state: str
    why: str = ""


class Status:
    """The state of every key of a scale, each looked at once."""

    def __init__(self, found: params.Params, scale: str) -> None:
        self.found, self.scale = found, scale
        self._waits = stages.ordered(found, scale)
        self._states: dict[stages.Job, State] = {}
        self._digests: dict[Path, str | None] = {}

    def all(self) -> dict[stages.Job, State]:
        """Each stage with each of its keys, in the order of the table."""
        return {job: self.of(*job) for job in stages.every(self.found)}

    def of(self, stage: str, name: str) -> State:
        """The state of one key."""
        job = stage, name
        if job not in self._states:
            self._states[job] = self._look(stage, name)
        return self._states[job]

    def _look(self, stage: str, name: str) -> State:
        written = stages.TABLE[stage].outputs(self.scale, name)
        if not all(path.exists() for path in written):
            return State(MISSING)
        for job in self._waits[stage, name]:
            if self.of(*job).state != MADE:
                return State(STALE, f"{' '.join(job)} is {self.of(*job).state}")
        known = _records(self.scale, stage, name)
        if not known:
            return State(STALE, "there is no record of how it was made")
        now = {**self.wanted(stage, name), "outputs": self._digest(written)}
        if now in known:
            return State(MADE)
        return State(STALE, f"made of other {', '.join(part for part in now if now[part] != known[-1].get(part))}")

    def wanted(self, stage: str, name: str) -> dict[str, str | None]:
        """Digests of what a key's outputs depend on; None of inputs that are not all there."""
        row = stages.TABLE[stage]
        code = [*row.sources(stages.PACKAGE), *(stages.PACKAGE / name for name in SHARED)]
        return {
            "inputs": self._digest(row.inputs(self.found, self.scale, name)),
            "code": files.digest([[path.relative_to(stages.PACKAGE).as_posix(), self._file(path)] for path in code]),
            "libraries": files.digest([_version(library) for library in LIBRARIES]),
            "settings": files.digest(row.block(self.found, self.scale, name)),
        }

    def record(self, stage: str, name: str, wanted: dict[str, str | None]) -> None:
        """Note that a key was made just now, of what was ``wanted`` before it ran."""
        written = self._digest(stages.TABLE[stage].outputs(self.scale, name), anew=True)
        if written and wanted["inputs"]:
            now = {**wanted, "outputs": written}
            known = [one for one in _records(self.scale, stage, name) if one != now]
            try:
                files.write_json(paths.made(self.scale, stage, name), [*known, now][-KEPT:])
            except (Problem, OSError) as error:  # the outputs are whole, and count as stale
                print(f"warning: {stage} {self.scale}/{name} is made, but not noted as such ({error})", file=sys.stderr)

    def _digest(self, some: Iterable[Path], anew: bool = False) -> str | None:
        """Of files and folders by their names and contents; None where one is not there."""
        found: list[Any] = []
        for path in some:
            if not path.exists():
                return None
            inner = sorted(path.rglob("*")) if path.is_dir() else [path]
            kept = [one for one in inner if one.is_file() and one.name[0] != "."]  # Snakemake leaves its time stamp
            found += [[one.as_posix(), self._file(one, anew)] for one in kept]
        return files.digest(found)

    def _file(self, path: Path, anew: bool = False) -> str | None:
        if anew or path not in self._digests:
            self._digests[path] = files.sha256(path)
        return self._digests[path]


def _version(library: str) -> str | None:
    with contextlib.suppress(metadata.PackageNotFoundError):
        return metadata.version(library)
    return None


def _records(scale: str, stage: str, name: str) -> list[dict[str, Any]]:
    """What was noted of a key, the last one last; what cannot be read is none."""
    with contextlib.suppress(Problem, OSError):
        known = files.read_json(paths.made(scale, stage, name))
        if isinstance(known, list) and all(isinstance(one, dict) for one in known):
            return known
    return []


def run(scale: str | None) -> None:
    """Print how many keys of each stage are made, stale and missing, and which are not made."""
    found = params.load()
    scale = scale or found.scale
    states = Status(found.at(scale), scale).all()
    counts: dict[str, list[int]] = {stage: [0, 0, 0] for stage in stages.TABLE}
    for (stage, _), one in states.items():
        counts[stage][(MADE, STALE, MISSING).index(one.state)] += 1
    print(f"scale {scale}\n")
    rows = [[stage, *map(str, numbers)] for stage, numbers in counts.items()]
    print(markdown.blocks([Table(["stage", MADE, STALE, MISSING], rows)]))
    for (stage, name), one in states.items():
        if one.state == STALE:
            print(f"stale: {stage} {scale}/{name}, {one.why}")
    for stage in stages.TABLE:
        gone = [name for (other, name), one in states.items() if (other, one.state) == (stage, MISSING)]
        if gone:
            print(f"missing: {stage} {', '.join(f'{scale}/{name}' for name in gone)}")
