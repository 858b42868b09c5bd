"""The page of a table of tasks: the best of each role in short, and all that it was picked from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from seqflows import metrics
from seqflows.report.cells import NOT_RUN, NOTHING, number
from seqflows.report.inputs import Results, devices
from seqflows.report.judging import FAILS, HOLDS, UNDECIDED
from seqflows.report.page import Code, Facts, Inline, Page, Paragraph, Status, Strong, Table, Text, listed, prose
from seqflows.report.pages import corpora, shared
from seqflows.report.plots.common import label
from seqflows.report.tasks import (
    MET,
    OTHER_DATA,
    OURS,
    SAID,
    VERDICTS,
    Candidate,
    Difference,
    Task,
    difference,
    reached,
)

MINUTES = "core-minutes, median epoch"
STANDS = {HOLDS: "below", FAILS: "above", UNDECIDED: "undecided against", OTHER_DATA: "of other data than"}  # ours
IN_SHORT = (
    "In short: the best of ours, the goal that this project set itself, and the best of the other roles with its size. "
    "A goal is met\nbelow its number, or by more than two standard errors below the better of its runs."
)


def page(results: Results, title: str, tasks: Sequence[Task]) -> Page:
    """The whole page of a table."""
    form = (
        "Less is better. Each number: mean ± standard deviation over seeds (standard error over test sequences). Core-"
        "minutes: one\nseed's epochs times the median of their seconds, with validation, by its history, on machines "
        "of any speed. Ours less\nanother: ± one standard error, paired where both models scored the same sequences; "
        "*undecided* within two. An exact number\nof one seed has no error."
    )
    head = ("task", "", "model", "picked from", "parameters", MINUTES, "unit", "number", "seeds", "ours less it")
    best = Table((*head, "ours is"), [_best(results, task, role) for task in tasks for role in SAID], left=3)
    heading = ("task", "", "run", "model", "number", "seeds", "parameters", MINUTES, "")
    every = Table(heading, [_row(task, one) for task in tasks for one in task.candidates], left=4)
    text = (
        "Core-minutes are a seed's epochs times the median of their wall-clock seconds times its threads / 60, the "
        "mean over seeds: other\nwork on the machine lengthens them only where it went on for half of the epochs. The "
        "first table has the best of each role; of\nequal ones the first here."
    )
    said = [line for task in tasks if (line := in_short(results, task))]
    return Page(
        title,
        [
            Facts(facts(results, tasks)),
            *([Paragraph(IN_SHORT), Facts(said)] if said else []),
            Paragraph(prose(form)),
            best,
            *shared.section("All candidates", text, every),
            *listed(shared.not_of_today(outdated(results, tasks))),
        ],
    )


def in_short(results: Results, task: Task) -> Text | None:
    """Our best, whether it meets the goal, and where it stands beside the best of the other roles, with its size."""
    ours, parts = task.best(OURS), [_goal(results, task)] if task.goal else []
    parts += [(text,) for role in SAID if (text := _beside(results, task, role))]
    if not parts:
        return None
    name = f": “{ours.name}”, {number(ours.summary, error=False)} {ours.summary.unit}; " if ours else ": "
    return (Strong(task.name), name, *parts[0], *(one for part in parts[1:] for one in ("; ", *part)))


def _goal(results: Results, task: Task) -> tuple[Inline, ...]:
    """``goal (below 9.92) met: -1.339 ± 0.047``, with our number if the goal is in another convention."""
    goal, found = task.goal, reached(results, task)
    line = f"{goal.number:g}" if goal.number is not None else f"the better of {_names(map(label, goal.runs))}"
    line += f", {found.line:.3f}" if found and found.run else ""
    other = goal.metric != task.metric
    convention = f", {metrics.find(goal.metric).heading}" if other else ""
    said = f"goal (below {line}{convention})"
    if found is None:
        return (f"{said}: ", Status(NOT_RUN, NOT_RUN))
    less, value = found.less, f"{number(found.summary, error=False)}, " if other else ""
    note = f" ({less.note})" if less.note else ""
    return (f"{said} ", Status(MET.get(less.verdict, less.verdict), less.verdict), f": {value}{_less(less)}{note}")


def _beside(results: Results, task: Task, role: str) -> str:
    """``below the paper's best, “TRIL, K=5”, at 30 times its parameters``; "" without both."""
    ours, other = task.best(OURS), task.best(role)
    less = difference(results, task, other)
    if less is None:
        return ""
    said = f"{STANDS[less.verdict]} the {SAID[role]}, “{other.name}”"
    if ours.parameters is None or other.parameters is None:
        return said
    if not ours.parameters or not other.parameters:
        sizes = (f"{one.parameters:,.0f}" if one.parameters else "no" for one in (ours, other))
        return "{}, with {} trained parameters beside its {}".format(said, *sizes)
    ratio = ours.parameters / other.parameters
    return (
        f"{said}, at {ratio:,.0f} times its parameters"
        if ratio >= 10
        else f"{said}, at {ratio:.2g} times its parameters"
    )


def _names(found: Iterable[str]) -> str:
    """``“A” and “B”``."""
    return " and ".join(f"“{one}”" for one in found)


def facts(results: Results, tasks: Sequence[Task]) -> list[Text]:
    """Scale and devices, what is compared, corpora, and what is not of the present params.yaml."""
    candidates = [one for task in tasks for one in task.candidates]
    made, old = [one.summary for one in candidates if one.summary], outdated(results, tasks)
    embedded = any(results.embedded(results.dataset(one.run)) for one in candidates)
    return [
        ("scale ", Strong(results.scale), f"; device {devices(made)}"),
        "all numbers are of models trained here at this scale, none is printed in a paper",
        (
            Strong("Picked on the test set"),
            ": the best of several by the number that is shown favours a role with more candidates",
        ),
        *corpora.lines(results, candidates),
        *([Strong("The embedded corpora are not the papers': nothing follows for theirs.")] if embedded else []),
        *([f"{len(old)} of {len(made)} numbers are not as params.yaml says now; which and how, below"] if old else []),
    ]


def outdated(results: Results, tasks: Sequence[Task]) -> dict[str, str]:
    """How numbers differ from the present params.yaml or data, by candidate."""
    made = {_address(task, one): one.summary for task in tasks for one in task.candidates if one.summary}
    remarks = {name: ", ".join(results.outdated(summary.run, summary)) for name, summary in made.items()}
    return {name: text for name, text in remarks.items() if text}


def _best(results: Results, task: Task, role: str) -> list[Text]:
    """A row of the first table: a role's best."""
    listed, one = task.of(role), task.best(role)
    count = f"{sum(bool(other.summary) for other in listed)} of {len(listed)}" if listed else NOTHING
    if one is None or one.summary is None:
        said = Status(NOT_RUN, NOT_RUN) if listed else "none"
        return [task.name, SAID[role], said, count, *([NOTHING] * 7)]
    less = difference(results, task, one)
    return [
        task.name, SAID[role], Strong(one.name) if role == OURS else one.name, count, _size(one), _minutes(one),
        one.summary.unit, number(one.summary), _seeds(one), _less(less), _verdict(less),
    ]  # fmt: skip


def _row(task: Task, one: Candidate) -> list[Text]:
    """A row of the second table: a candidate."""
    best = "best" if task.best(one.role) is one else ""
    said = number(one.summary) if one.summary else Status(NOT_RUN, NOT_RUN)
    return [
        task.name,
        one.role,
        Code(_address(task, one)),
        one.name,
        said,
        _seeds(one),
        _size(one),
        _minutes(one),
        best,
    ]


def _address(task: Task, one: Candidate) -> str:
    """A candidate as params.yaml names it."""
    return one.run if one.metric == task.metric else one.reference


def _size(one: Candidate) -> str:
    return NOTHING if one.parameters is None else f"{one.parameters:,.0f}"


def _minutes(one: Candidate) -> str:
    return NOTHING if one.minutes is None else f"{one.minutes:.3g}" if one.minutes < 100 else f"{one.minutes:,.0f}"


def _seeds(one: Candidate) -> str:
    return NOTHING if one.summary is None or one.of_data else str(len(one.summary.seeds))


def _less(less: Difference | None) -> str:
    if less is None:
        return NOTHING
    return f"{less.value:+.3f}" + (f" ± {less.error:.3f}" if less.error else "")


def _verdict(less: Difference | None) -> Text:
    if less is None:
        return NOTHING
    said = Status(VERDICTS.get(less.verdict, less.verdict), less.verdict)
    return (said, f" ({less.note})") if less.note else said
