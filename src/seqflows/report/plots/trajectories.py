"""The test cross entropy of models of words over the number of trajectories, beside the bound and the printed one."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

from seqflows import paths
from seqflows.errors import Problem
from seqflows.report.cells import addresses, reported
from seqflows.report.inputs import IMPORTANCE, Results, Summary
from seqflows.report.plots.common import CYCLE, MARKERS, cut, label, origin

LARGEST = 4  # K whose estimates lie in the middle panel
METRIC, BOUND = "cross_entropy_test", "elbo"
BOUND_COLUMN = "$-$ELBO"
ASIDE = 0.16  # decades of K over which runs stand side by side
FLOORS = (("source", "-", "source entropy"), ("test_entropy", (0, (6, 3)), "entropy of the test half"))
# Inches: of the whole, of the panels' edges, of a gap between panels, and of the far, the middle and the floors' panel.
WIDTH, LEFT, RIGHT, HEAD, FOOT, BETWEEN = 9.6, 0.75, 2.35, 0.75, 0.72, 0.14
FAR, MIDDLE, LOW = 1.45, 2.75, 0.95

Lines = dict[str, dict[int, Summary]]  # run -> K -> estimate


class Panel(NamedTuple):
    """A part of the axis of cross entropies: its limits, scale and height in inches."""

    low: float
    high: float
    scale: str
    height: float


class Floor(NamedTuple):
    """A level that is no sampled estimate: a line's value, style, colour and name."""

    value: float
    style: Any
    colour: str
    name: str


def draw(results: Results, block: dict[str, Any]) -> tuple[Any, str]:
    """Draw a line per run over K, dashed for sampled exact models; the floors; beside them what has no K."""
    from matplotlib import pyplot

    runs = block["runs"]
    lines: Lines = {run: results.by_count(run, METRIC) for run in runs}
    for run in runs:
        if not lines[run]:
            raise Problem(
                f"expected {METRIC}@K in {paths.metrics(results.scale, run)}, found none; "
                f"run: python -m seqflows evaluate {results.scale}/{run}"
            )
    headlines = {run: results.metrics(run)[METRIC] for run in runs}
    exact = [run for run in runs if headlines[run].samples == 0]
    beside = columns(results, block, headlines, exact)
    floors = levels(results, runs, headlines, exact)
    counts = sorted({count for found in lines.values() for count in found})
    middle = [s.value for found in lines.values() for count, s in found.items() if count in counts[-LARGEST:]]
    middle += [value for found in beside.values() for value, _ in found.values()]
    every = [s.value + 2 * s.error for found in lines.values() for s in found.values()]
    parts = panels(middle, every, [floor.value for floor in floors])

    height = HEAD + sum(part.height for part in parts) + BETWEEN * (len(parts) - 1) + FOOT
    figure, top = pyplot.figure(figsize=(WIDTH, height)), height - HEAD
    room = WIDTH - LEFT - RIGHT
    wide = room * (1 - 0.13 * len(beside))
    axes, side = [], None
    for part in parts:
        bottom = top - part.height
        axes.append(figure.add_axes((LEFT / WIDTH, bottom / height, wide / WIDTH, part.height / height)))
        if beside and part.height == MIDDLE:
            left = LEFT + wide + 0.12
            side = figure.add_axes((left / WIDTH, bottom / height, (room - wide - 0.12) / WIDTH, part.height / height))
        top = bottom - BETWEEN
    for axis, part in zip(axes, parts, strict=True):
        for number, run in enumerate(runs):
            curve(axis, lines[run], number, len(runs), run in exact, part)
        for floor in floors:
            axis.axhline(floor.value, color=floor.colour, lw=1.1, ls=floor.style)
        scaled(axis, part)
    axes[-1].set_xlabel("trajectories K, runs side by side")
    for above, below in itertools.pairwise(axes):
        cut(above, below)
    figure.text(
        0.012, (FOOT + (height - HEAD - FOOT) / 2) / height, r"$H[P_{\mathrm{test}}, \hat{P}]$, nats a word",
        rotation=90, va="center", ha="left", fontsize=9,
    )  # fmt: skip
    if side is not None:
        others(side, beside, runs)
        scaled(side, next(part for part in parts if part.height == MIDDLE))
        side.tick_params(labelleft=False)
    legend(figure, runs, exact, floors, "printed" in beside, height)
    text = "bars: two standard errors" + ("; dashed: baseline, sampled; dotted: the same, exact" if exact else "")
    text += "; $-$ELBO: the bound on the test half" if BOUND_COLUMN in beside else ""
    figure.suptitle(f"{block['title']}\n{text}", fontsize=10, y=1 - 0.1 / height, va="top")
    return figure, origin(results, runs)


def columns(
    results: Results, block: dict[str, Any], headlines: dict[str, Summary], exact: Sequence[str]
) -> dict[str, dict[str, tuple[float, float]]]:
    """What has no K, by its name: run -> (value, standard error) by the posterior, as printed, and of the bound."""
    posterior = {run: s for run, s in headlines.items() if results.estimator(s) == IMPORTANCE}
    bounds = {run: s for run in headlines if run not in exact and (s := results.summary(run, BOUND, optional=True))}
    found = {
        "posterior": {run: (s.value, s.error) for run, s in posterior.items()},
        "printed": {run: (value, 0.0) for run, value in printed(results, block).items() if run in headlines},
        BOUND_COLUMN: {run: (s.value, s.error) for run, s in bounds.items()},
    }
    return {name: values for name, values in found.items() if values}


def printed(results: Results, block: dict[str, Any]) -> dict[str, float]:
    """Run -> the cross entropy that the paper's Table 1 prints; empty on an embedded corpus."""
    table = f"{block['reproduces']}-table1"
    if results.embedded(results.dataset(block["runs"][0])) or table not in results.params.tables:
        return {}
    cells = {(cell.row, cell.column): cell.reported for cell in reported(table)}
    made = addresses(results.params, table)
    return {run: float(cells[cell]) for cell, (run, metric) in made.items() if metric == METRIC and cells.get(cell)}


def levels(
    results: Results, runs: Sequence[str], headlines: dict[str, Summary], exact: Sequence[str]
) -> list[Floor]:  # fmt: skip
    """The exact cross entropies of baselines, then the entropies that no model can be below."""
    found = []
    for run in exact:
        value = headlines[run].value
        found.append(Floor(value, ":", CYCLE[runs.index(run) % len(CYCLE)], f"{label(run)}, exact: {value:.2f}"))
    for metric, style, text in FLOORS:
        if level := results.summary(runs[0], metric, optional=True):
            found.append(Floor(level.value, style, "0.25", f"{text}: {level.value:.2f}"))
    return found


def panels(middle: Sequence[float], every: Sequence[float], floors: Sequence[float]) -> list[Panel]:
    """The parts of the axis from above: few trajectories on a log scale, the middle, and floors that lie below it.

    >>> [(part.low, part.high, part.scale) for part in panels([11.0, 13.0], [11.0, 13.0, 40.0], [7.0, 12.0])]
    [(13.1, 44.0, 'log'), (10.9, 13.1, 'linear'), (6.5, 7.5, 'linear')]
    >>> [(part.low, part.high) for part in panels([11.0, 13.0], [11.0, 13.0], [10.95])]
    [(10.85, 13.1)]
    """
    low, high = min(middle), max(middle)
    margin = 0.05 * ((high - low) or 1.0)
    near = [floor for floor in floors if low - 4 * margin <= floor < low]  # too near for a panel of their own
    bottom, top = min([low, *near]) - margin, high + margin
    found = [Panel(bottom, top, "linear", MIDDLE)]
    if max(every) > top:
        found.insert(0, Panel(top, 1.1 * max(every), "log", FAR))
    if below := [floor for floor in floors if floor < bottom]:
        room = max(0.5, 0.25 * (max(below) - min(below)))
        found.append(Panel(min(below) - room, min(max(below) + room, bottom), "linear", LOW))
    return found


def scaled(axis: Any, part: Panel) -> None:
    """Give an axis the limits and the scale of a part; numbers of a log scale in full."""
    from matplotlib import ticker

    axis.set_yscale(part.scale)
    if part.scale == "log":
        axis.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 1.5, 2, 3, 4, 5, 7)))
        axis.yaxis.set_major_formatter(ticker.FormatStrFormatter("%g"))
        axis.yaxis.set_minor_locator(ticker.NullLocator())
        axis.annotate(
            "log scale", (1, 1), (-2, -2), xycoords="axes fraction", textcoords="offset points", ha="right", va="top",
            fontsize=7, color="0.4",
        )  # fmt: skip
    else:
        axis.locator_params(axis="y", nbins=max(3, round(2.6 * part.height)))
    axis.set_ylim(part.low, part.high)


def curve(axis: Any, found: dict[int, Summary], number: int, of: int, dashed: bool, part: Panel) -> None:
    """Draw a run's line over K and, in the panel that has them, its estimates with two standard errors."""
    aside = 10 ** (ASIDE * ((number + 0.5) / of - 0.5))
    colour = CYCLE[number % len(CYCLE)]
    axis.plot([count * aside for count in found], [s.value for s in found.values()], color=colour, **line(dashed))
    for count, summary in found.items():
        if part.low < summary.value <= part.high:
            axis.errorbar([count * aside], [summary.value], yerr=[2 * summary.error], ls="none", **looks(number))
    axis.set_xscale("log")


def others(axis: Any, beside: dict[str, dict[str, tuple[float, float]]], runs: Sequence[str]) -> None:
    """Draw what has no K, a column each, runs side by side; hollow as printed."""
    for place, (name, found) in enumerate(beside.items()):
        for run, (value, error) in found.items():
            number = runs.index(run)
            at = place + 0.7 * ((number + 0.5) / len(runs) - 0.5)
            face = {"markerfacecolor": "white"} if name == "printed" else {}
            axis.errorbar([at], [value], yerr=[2 * error] if error else None, ls="none", **looks(number), **face)
    axis.set_xticks(range(len(beside)), list(beside))
    axis.set_xlim(-0.5, len(beside) - 0.5)


def line(dashed: bool) -> dict[str, Any]:
    """The line of a run over K."""
    return {"ls": "--" if dashed else "-", "lw": 1.1}


def looks(number: int) -> dict[str, Any]:
    """The colour and marker of a run, and its bars."""
    return {
        "color": CYCLE[number % len(CYCLE)], "marker": MARKERS[number % len(MARKERS)], "markersize": 4.5,
        "capsize": 2, "elinewidth": 0.8,
    }  # fmt: skip


def legend(
    figure: Any, runs: Sequence[str], exact: Sequence[str], floors: Sequence[Floor], hollow: bool, height: float
) -> None:
    """Name the runs, then the floors and the printed values."""
    from matplotlib.lines import Line2D

    shown = []
    for number, run in enumerate(runs):
        mark = {name: value for name, value in looks(number).items() if name in ("color", "marker", "markersize")}
        shown.append(Line2D([], [], label=label(run), **mark, **line(run in exact)))
    shown += [Line2D([], [], color=floor.colour, ls=floor.style, lw=1.1, label=floor.name) for floor in floors]
    if hollow:
        mark = {"marker": "o", "color": "0.3", "markerfacecolor": "white", "markersize": 4.5}
        shown.append(Line2D([], [], ls="none", label="hollow: printed, Table 1", **mark))
    figure.legend(
        handles=shown, loc="upper left", bbox_to_anchor=(1 - (RIGHT - 0.1) / WIDTH, 1 - HEAD / height),
        handlelength=2.6, borderaxespad=0,
    )  # fmt: skip
