"""Tables of tasks: of each the best of the papers' models, of ours and of the baselines, and what separates them.

The best of a role is the one with the least value of those that have a record; of equal ones the first that params.yaml
names. Values are our reproductions at a scale, never printed numbers.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
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
MET = {HOLDS: "met", FAILS: "missed"}  # of a goal
COLUMNS = (
    "table", "task", "role", "best", "run", "metric", "unit", "value", "std", "seeds", "standard_error", "samples",
    "sequences", "parameters", "core_minutes", "ours_less_this", "error", "verdict", "note", "goal_metric", "goal",
    "ours_less_goal", "goal_error", "goal_verdict", "dataset", "dataset_sha256", "revision", "config_hash", "device",
)  # fmt: skip
WITHIN = "within two standard errors"
OTHER_DATA = "other data"  # the verdict on numbers of test sets that differ
STAND_IN = " (stand-in)"  # after the name of a task whose data stand in for the paper's


@dataclass(frozen=True)
class Candidate:
    """A number that a task names, or its place.

    Attributes:
        summary: None without a record.
        parameters: of the model; None if nothing is trained for the number, or nothing was.
        minutes: core-minutes of the training of one seed, as in `clock`, the mean over seeds; None as above, or on a
            GPU, or if a history has no seconds.
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
class Goal:
    """What ours is to be below in ``metric``: a number or, by more than two standard errors, the least of some runs."""

    metric: str
    number: float | None
    runs: tuple[str, ...] = ()


class Reached(NamedTuple):
    """Our best beside the goal.

    Attributes:
        summary: of our best, in the goal's metric.
        line: the number to be below.
        run: whose number it is, of a goal of runs; else "".
        less: our number less the line. HOLDS: the goal is met, FAILS: it is missed, else why neither is said; a
            difference from a number within two standard errors says so in its note.
    """

    summary: Summary
    line: float
    run: str
    less: Difference


@dataclass(frozen=True)
class Task:
    """A task with its candidates, in the order of params.yaml."""

    name: str
    metric: str
    candidates: tuple[Candidate, ...]
    goal: Goal | None = None

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
    for entry, block in results.params.table(table)["tasks"].items():
        runs = [address(block, one)[0] for role in ROLES for one in block.get(role) or []]
        name = entry + STAND_IN * any(results.stand_in(results.dataset(run)) for run in runs)
        candidates = [
            _candidate(results, name, role, *address(block, one)) for role in ROLES for one in block.get(role) or []
        ]
        units = {one.reference: one.summary.unit for one in candidates if one.summary}
        if len(set(units.values())) > 1:
            said = ", ".join(f"{reference} in {unit}" for reference, unit in units.items())
            raise Problem(f"expected numbers of one unit for {name} in {table}, got {said}; correct params.yaml")
        found.append(Task(name, block["metric"], tuple(candidates), _goal(block, results.scale)))
    return found


def _goal(block: Mapping[str, Any], scale: str) -> Goal | None:
    for metric, least in (block.get("goal") or {}).get(scale, {}).items():
        return Goal(metric, None, tuple(least)) if isinstance(least, list) else Goal(metric, float(least))
    return None


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
    """Core-minutes from the start of a training to the end of each epoch: epochs x s x threads / 60.

    s is the median of the epochs' seconds by the clock, each with its validation: those of a single epoch also count
    other jobs on its core. Empty if the training was not on a CPU, or if its history has no seconds.
    """
    seconds = [row.get("seconds") for row in seed.history]
    if seed.record.get("device") != "cpu" or not seconds or not all(seconds):
        return []
    minutes = statistics.median(map(float, seconds)) * int(seed.record.get("threads") or 1) / 60
    return [epochs * minutes for epochs in range(1, len(seconds) + 1)]


def difference(results: Results, task: Task, other: Candidate | None) -> Difference | None:
    """Our best less another number, paired over test sequences where `judging.Ours` can; None if one is missing."""
    ours = task.best(OURS)
    if ours is None or other is None or other.summary is None or other.role == OURS:
        return None
    return _less(results, task, ours.summary, other.summary)


def _less(results: Results, task: Task, ours: Summary, other: Summary) -> Difference | None:
    """A number of ours less another."""
    found = _numbers(results, task).difference(f"{ours.run}.{ours.metric}", f"{other.run}.{other.metric}")
    if isinstance(found, Finding):
        return None
    alike = ours.dataset_sha256 == other.dataset_sha256
    verdict = OTHER_DATA if not alike else held_back(ruled(found.value, found.error, ""), found.apart).verdict
    return Difference(found.value, found.error, verdict, ", ".join(filter(None, (found.note, found.apart))))


def _numbers(results: Results, task: Task) -> Ours:
    """The numbers of a task's candidates, which lend each other their spread over seeds."""
    return Ours(results, (), [one.run for one in task.candidates])


def reached(results: Results, task: Task) -> Reached | None:
    """Our best beside the goal; None without a goal, or if a number that it needs is missing.

    A number is met if ours is below it at all, runs if it is by more than two standard errors.
    """
    goal, best = task.goal, task.best(OURS)
    ours = results.summary(best.run, goal.metric, optional=True) if goal and best else None
    if goal is None or ours is None:
        return None
    if goal.number is not None:
        found = _numbers(results, task).of(ours)
        less = found.value - goal.number
        within = WITHIN if ruled(less, found.error, "").verdict == UNDECIDED else ""
        note = ", ".join(filter(None, (within, found.note)))
        return Reached(ours, goal.number, "", Difference(less, found.error, HOLDS if less < 0 else FAILS, note))
    others = [results.summary(run, goal.metric, optional=True) for run in goal.runs]
    if not all(others):
        return None
    least = min(others, key=lambda one: one.value)
    found = _less(results, task, ours, least)
    return found and Reached(ours, least.value, least.run, found)


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
            if best and one.role == OURS and (goal := reached(results, task)):
                row |= {"goal_metric": task.goal.metric, "goal": goal.line, "ours_less_goal": goal.less.value}
                row |= {"goal_error": goal.less.error, "goal_verdict": MET.get(goal.less.verdict, goal.less.verdict)}
            yield row
