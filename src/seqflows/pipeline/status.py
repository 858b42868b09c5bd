"""The status of a scale's stages: made, stale or missing; a stage that is up to date need not run.

A stage that succeeds leaves a record in ``.made/``: the digests of its inputs, code and part of params.yaml, and of
its outputs. It is up to date if all of them are the same now and the stages that it reads from are up to date. Engines
delete a stage's outputs before they run it, so that for them it is never up to date. Outputs of another checkout have
no record here, and count as stale.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from seqflows import files, params, paths, stages
from seqflows.errors import Problem
from seqflows.report import markdown
from seqflows.report.page import Table

MADE, STALE, MISSING = "made", "stale", "missing"
KEPT = 8  # records per key, so that outputs restored by DVC's run cache for an earlier setting are up to date


class State(NamedTuple):
    """The state of a key, and why it is stale."""

    state: str
    why: str = ""


class Status:
    """The state of every key of a scale, each computed once."""

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
        """Digests of what a key's outputs depend on; None for incomplete inputs."""
        row = stages.TABLE[stage]
        code = row.sources(stages.PACKAGE)
        return {
            "inputs": self._digest(row.inputs(self.found, self.scale, name)),
            "code": files.digest([[path.relative_to(stages.PACKAGE).as_posix(), self._file(path)] for path in code]),
            "libraries": files.digest(row.versions()),
            "settings": files.digest(row.block(self.found, self.scale, name)),
        }

    def record(self, stage: str, name: str, wanted: dict[str, str | None]) -> None:
        """Record that a key was made from what was ``wanted`` before it ran."""
        written = self._digest(stages.TABLE[stage].outputs(self.scale, name), anew=True)
        if written and wanted["inputs"]:
            now = {**wanted, "outputs": written}
            known = [one for one in _records(self.scale, stage, name) if one != now]
            try:
                files.write_json(paths.made(self.scale, stage, name), [*known, now][-KEPT:])
            except (Problem, OSError) as error:  # the outputs are complete, and count as stale
                print(f"warning: {stage} {self.scale}/{name} is made, but not noted as such ({error})", file=sys.stderr)

    def _digest(self, some: Iterable[Path], anew: bool = False) -> str | None:
        """The digest of files and folders by names and contents; None if one is missing."""
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


def _records(scale: str, stage: str, name: str) -> list[dict[str, Any]]:
    """The records of a key, the last one last; empty if they cannot be read."""
    with contextlib.suppress(Problem, OSError):
        known = files.read_json(paths.made(scale, stage, name))
        if isinstance(known, list) and all(isinstance(one, dict) for one in known):
            return known
    return []


def run(scale: str | None) -> None:
    """Print the numbers of made, stale and missing keys of each stage, and the keys that are not made."""
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
