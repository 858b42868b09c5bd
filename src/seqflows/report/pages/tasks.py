"""The page of a table of tasks: the best of each role in short, and all that it was picked from."""

from __future__ import annotations

from collections.abc import Sequence

from seqflows.report.cells import NOT_RUN, NOTHING, number
from seqflows.report.inputs import Results, devices
from seqflows.report.page import Code, Facts, Page, Paragraph, Status, Strong, Table, Text, listed, prose
from seqflows.report.pages import corpora, shared
from seqflows.report.tasks import OURS, SAID, VERDICTS, Candidate, Difference, Task, difference


def page(results: Results, title: str, tasks: Sequence[Task]) -> Page:
    """The whole page of a table."""
    form = (
        "Less is better. Each number: mean ± standard deviation over seeds (standard error over test sequences). Core-"
        "minutes: one\nseed's whole training with its validation, by its history, on machines of any speed and load. "
        "Ours less another: ± one\nstandard error, paired where both models scored the same sequences; *undecided* "
        "within two. An exact number of one seed\nhas no error."
    )
    head = ("task", "", "model", "picked from", "parameters", "core-minutes", "unit", "number", "seeds", "ours less it")
    best = Table((*head, "ours is"), [_best(results, task, role) for task in tasks for role in SAID], left=3)
    heading = ("task", "", "run", "model", "number", "seeds", "parameters", "core-minutes", "")
    every = Table(heading, [_row(task, one) for task in tasks for one in task.candidates], left=4)
    text = (
        "Core-minutes are wall-clock seconds of a seed's training times its threads / 60, the mean over seeds; other "
        "work on the machine\nlengthens them. The first table has the best of each role; of equal ones the first here."
    )
    return Page(
        title,
        [
            Facts(facts(results, tasks)),
            Paragraph(prose(form)),
            best,
            *shared.section("All candidates", text, every),
            *listed(shared.not_of_today(outdated(results, tasks))),
        ],
    )


def facts(results: Results, tasks: Sequence[Task]) -> list[Text]:
    """Scale and devices, what is compared, corpora, and what is not of the present params.yaml."""
    made = [one.summary for task in tasks for one in task.candidates if one.summary]
    old = outdated(results, tasks)
    names = dict.fromkeys(results.dataset(one.run) for task in tasks for one in task.candidates)
    embedded = [name for name in names if results.embedded(name)]
    return [
        ("scale ", Strong(results.scale), f"; device {devices(made)}"),
        "all numbers are of models trained here at this scale, none is printed in a paper",
        (
            Strong("Picked on the test set"),
            ": the best of several by the number that is shown favours a role with more candidates",
        ),
        "corpora: " + "; ".join(corpora.described(results, name, made) for name in names),
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
