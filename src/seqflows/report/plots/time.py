"""Quality against training time: of each task the paper's best, ours and the baseline, a line per seed.

A line is the lowest validation loss so far, which is what would be kept if training ended there, over core-minutes
(`tasks.clock`): every epoch of a seed is as wide as the median one. The loss of a latent model is a bound.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

from seqflows import kinds, records
from seqflows.errors import Problem
from seqflows.report.inputs import Results
from seqflows.report.plots.common import BLUE, ORANGE, RED, origin
from seqflows.report.plots.curves import UNITS, limits
from seqflows.report.tasks import BASELINE, OURS, PAPER, SAID, Candidate, Task, clock, tasks

COLOURS = {PAPER: BLUE, OURS: RED, BASELINE: ORANGE}
LEVEL = (0, (1.2, 1.6))  # the dots of a number of the data
DASHED = {PAPER: "-", OURS: "-", BASELINE: (0, (5, 1.6))}
COLUMNS = 2
CLOSE = 100  # an axis of times within this factor has a tick at 1, 2 and 5, else at powers of ten
WIDTH, PANEL, HEAD, UNDER, TITLE, FOOT = (
    7.6,
    2.1,
    0.86,
    0.5,
    0.72,
    0.1,
)  # inches; of a panel with its title and its axis below
LEFT, BETWEEN, RIGHT = 0.68, 0.72, 0.1

Line = list[tuple[float, float]]  # core-minutes, and the lowest validation loss until then


def draw(results: Results, block: dict[str, Any]) -> tuple[Any, str]:
    """Draw a panel per task with a line.

    Raises:
        Problem: no picked run with a history of validation losses and of seconds on a CPU.
    """
    from matplotlib import pyplot

    table = block["table"]
    shown = {task: lines for task in tasks(results, table) if any((lines := picked(results, task)).values())}
    if not shown:
        raise Problem(
            f"expected a history with seconds on a CPU of a run of {table}, found none; "
            f"run: python -m seqflows train {results.scale}/{results.params.table_runs(table)[0]} and its evaluate"
        )
    rows = math.ceil(len(shown) / COLUMNS)
    height = TITLE + rows * (HEAD + PANEL + UNDER) + FOOT
    figure = pyplot.figure(figsize=(WIDTH, height))
    wide = (WIDTH - LEFT - BETWEEN - RIGHT) / COLUMNS
    for place, (task, lines) in enumerate(shown.items()):
        row, column = divmod(place, COLUMNS)
        bottom = height - TITLE - row * (HEAD + PANEL + UNDER) - HEAD - PANEL
        left = LEFT + column * (wide + BETWEEN)
        panel(figure.add_axes((left / WIDTH, bottom / height, wide / WIDTH, PANEL / height)), results, task, lines)
    text = (
        "the lowest validation loss so far (of latent models a bound), a line per seed with a dot at its end\n"
        "core-minutes: epochs times the median of their seconds times threads / 60, on machines of any speed"
    )
    if any(one.of_data for lines in shown.values() for one in lines):
        text += "\ndotted: of the data, without a training"
    figure.suptitle(f"{block['title']}\n{text}", fontsize=9, y=1 - 0.08 / height, va="top")
    return figure, origin(results, [one.run for lines in shown.values() for one in lines])


def picked(results: Results, task: Task) -> dict[Candidate, list[Line]]:
    """The best of each role with its lines; none of a number that nothing is trained for."""
    best = [one for role in COLOURS if (one := task.best(role))]
    return {one: [] if one.of_data else lines(results, one.run) for one in best}


def lines(results: Results, run: str) -> list[Line]:
    """A line for each seed of a run whose history has validation losses and a clock, in the unit of its scores."""
    found, unit = [], kinds.of(results.params.kind(run)).nats
    for seed in records.trained(results.scale, run):
        losses = [float(row.get("valid_loss") or "nan") / unit for row in seed.history]
        if (minutes := clock(seed)) and all(map(math.isfinite, losses)):
            found.append(list(zip(minutes, itertools.accumulate(losses, min), strict=True)))
    return found


def panel(axis: Any, results: Results, task: Task, found: dict[Candidate, list[Line]]) -> None:
    """Draw one task: a level where nothing is trained; the legend above it also names what has no line."""
    from matplotlib import ticker

    for one, seeds in found.items():
        colour, style = COLOURS[one.role], DASHED[one.role]
        for place, line in enumerate(seeds):
            name = _name(one) if place == 0 else None
            shown = {"color": colour, "ls": style, "lw": 1.2, "marker": "o", "markersize": 3, "markevery": [-1]}
            axis.plot(*zip(*line, strict=True), label=name, **shown)
    untrained = [one for one in found if one.of_data]
    for one in untrained:
        axis.axhline(one.summary.value, color=COLOURS[one.role], ls=LEVEL, lw=1.2, label=f"{_name(one)}, test set")
    every = [[loss for _, loss in line] for seeds in found.values() for line in seeds]
    every += [[one.summary.value] for one in untrained]
    low, top, _ = limits(every)
    axis.set_ylim(low - 0.05 * (top - low), top + 0.05 * (top - low))
    axis.set_xscale("log")
    minutes = [place for seeds in found.values() for line in seeds for place, _ in line]
    steps = (1, 2, 5) if max(minutes) < CLOSE * min(minutes) else (1,)
    axis.xaxis.set_major_locator(ticker.LogLocator(subs=steps))
    axis.xaxis.set_major_formatter(ticker.FuncFormatter(lambda place, _: f"{place:g}"))
    axis.xaxis.set_minor_formatter(ticker.NullFormatter())
    axis.set_xlabel("core-minutes")
    kind = results.params.kind(task.candidates[0].run)
    axis.set_ylabel("bits per (T + 1)" if kind == "text" else UNITS.get(kind, "nats per (T + 1)"))
    for one in (one for one, seeds in found.items() if not seeds and one not in untrained):
        axis.plot([], [], ls="none", label=f"{_name(one)}, without a line")
    axis.legend(
        loc="lower left", bbox_to_anchor=(0, 1), handlelength=2.6, borderaxespad=0.2, title=task.name,
        title_fontsize=9, alignment="left",
    )  # fmt: skip


def _name(one: Candidate) -> str:
    return f"{SAID[one.role]}: {one.name}"
