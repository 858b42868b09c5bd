"""Tables of tasks: of each the best of the papers' models, of ours and of the baselines, and what separates them.

The best of a role is the one with the least value of those that have a record; of equal ones the first that params.yaml
names. Values are our reproductions at a scale, never printed numbers.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from seqflows import metrics, records
from seqflows.config.checks import ROLES, address
from seqflows.errors import Problem
from seqflows.report.inputs import Results, Summary
from seqflows.report.judging import FAILS, HOLDS, UNDECIDED, Finding, Ours, held_back, ruled
from seqflows.report.plots.common import label

PAPER, OURS, BASELINE = ROLES
SAID = {PAPER: "paper's best", OURS: "ours", BASELINE: "baseline"}
VERDICTS = {HOLDS: "below", FAILS: "above", UNDECIDED: "undecided"}  # of ours less another: less is better
COLUMNS = (
    "table", "task", "role", "best", "run", "metric", "unit", "value", "std", "seeds", "standard_error", "samples",
    "sequences", "parameters", "core_minutes", "ours_less_this", "error", "verdict", "note", "dataset",
    "dataset_sha256", "revision", "config_hash", "device",
)  # fmt: skip
OTHER_DATA = "other data"  # the verdict on numbers of test sets that differ


@dataclass(frozen=True)
class Candidate:
    """A number that a task names, or its place.

    Attributes:
        summary: None without a record.
        parameters: of the model; None if nothing is trained for the number, or nothing was.
        minutes: core-minutes of the training of one seed, the mean over seeds; None as above, or on a GPU, or if a
            history has no seconds.
    """

    task: str
    role: str
    run: str
    metric: str
    summary: Summary | None
    parameters: float | None
    minutes: float | None

    @property
    def reference(self) -> str:
        """``<run>.<metric>``, as `judging` names numbers."""
        return f"{self.run}.{self.metric}"

    @property
    def of_data(self) -> bool:
        """Whether the number is a property of the data, which no model makes."""
        return bool((row := metrics.find(self.metric)) and row.of_data)

    @property
    def name(self) -> str:
        """The model as its paper names it, or what the number is if no model makes it."""
        return metrics.find(self.metric).heading if self.of_data else label(self.run)


class Difference(NamedTuple):
    """Ours less another number, its standard error, and its verdict; ``note`` says what the error excludes."""

    value: float
    error: float
    verdict: str  # HOLDS if ours is below, FAILS if above, UNDECIDED, or OTHER_DATA
    note: str


@dataclass(frozen=True)
class Task:
    """A task with its candidates, in the order of params.yaml."""

    name: str
    metric: str
    candidates: tuple[Candidate, ...]

    def of(self, role: str) -> list[Candidate]:
        """The candidates of a role."""
        return [one for one in self.candidates if one.role == role]

    def best(self, role: str) -> Candidate | None:
        """The candidate of a role with the least value, the first of equal ones; None without any record."""
        made = [one for one in self.of(role) if one.summary]
        return min(made, key=lambda one: one.summary.value, default=None)


def tasks(results: Results, table: str) -> list[Task]:
    """The tasks of a table.

    Raises:
        Problem: numbers of one task in several units.
    """
    found = []
    for name, block in results.params.table(table)["tasks"].items():
        candidates = [
            _candidate(results, name, role, *address(block, one)) for role in ROLES for one in block.get(role) or []
        ]
        units = {one.reference: one.summary.unit for one in candidates if one.summary}
        if len(set(units.values())) > 1:
            said = ", ".join(f"{reference} in {unit}" for reference, unit in units.items())
            raise Problem(f"expected numbers of one unit for {name} in {table}, got {said}; correct params.yaml")
        found.append(Task(name, block["metric"], tuple(candidates)))
    return found


def _candidate(results: Results, task: str, role: str, run: str, metric: str) -> Candidate:
    one = Candidate(task, role, run, metric, results.summary(run, metric), None, None)
    if one.summary is None or one.of_data:
        return one
    seeds = [seed for seed in records.trained(results.scale, run) if seed.seed in one.summary.seeds]
    sizes = [seed.record["parameters"] for seed in seeds if seed.record.get("parameters") is not None]
    clocks = [clock(seed) for seed in seeds]
    known = bool(clocks) and all(clocks)
    return Candidate(
        task, role, run, metric, one.summary,
        statistics.fmean(sizes) if sizes else None,
        statistics.fmean(found[-1] for found in clocks) if known else None,
    )  # fmt: skip


def clock(seed: records.Trained) -> list[float]:
    """Core-minutes from the start of a training to the end of each epoch with its validation: seconds x threads / 60.

    Empty if the training was not on a CPU, or if its history has no seconds.
    """
    if seed.record.get("device") != "cpu" or not all(row.get("seconds") for row in seed.history):
        return []
    threads = int(seed.record.get("threads") or 1)
    return list(itertools.accumulate(float(row["seconds"]) * threads / 60 for row in seed.history))


def difference(results: Results, task: Task, other: Candidate | None) -> Difference | None:
    """Our best less another number, paired over test sequences where `judging.Ours` can; None if one is missing."""
    ours = task.best(OURS)
    if ours is None or other is None or other.role == OURS:
        return None
    lenders = [one.run for one in task.candidates]
    found = Ours(results, (), lenders).difference(ours.reference, other.reference)
    if isinstance(found, Finding):
        return None
    alike = ours.summary.dataset_sha256 == other.summary.dataset_sha256
    verdict = OTHER_DATA if not alike else held_back(ruled(found.value, found.error, ""), found.apart).verdict
    return Difference(found.value, found.error, verdict, ", ".join(filter(None, (found.note, found.apart))))


def rows(results: Results, table: str, found: Sequence[Task]) -> Iterator[dict[str, Any]]:
    """The rows of the csv: every candidate, the best of each role with the difference of ours from it."""
    for task in found:
        for one in task.candidates:
            best = task.best(one.role) is one
            row = {
                "table": table, "task": task.name, "role": one.role, "run": one.run, "metric": one.metric,
                "best": "yes" if best else "", "parameters": one.parameters, "core_minutes": one.minutes,
            }  # fmt: skip
            if made := one.summary:
                shared = ("unit", "value", "std", "standard_error", "samples", "sequences", "dataset")
                shared += ("dataset_sha256", "revision", "config_hash", "device")
                row |= {name: getattr(made, name) for name in shared} | {"seeds": len(made.seeds)}
            if best and (less := difference(results, task, one)):
                row |= {"ours_less_this": less.value, "error": less.error, "note": less.note}
                row |= {"verdict": VERDICTS.get(less.verdict, less.verdict)}
            yield row
