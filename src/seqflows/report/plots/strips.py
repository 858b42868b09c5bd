"""Every cell of a paper's tables on one axis: (ours - reported) / tolerance, a strip per table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from seqflows.report.plots.common import BLUE, RED

NEAR = 0.035  # of the axis' width: dots that are nearer lie above each other
NAMED = 6  # dots of a strip with the names of their cells
NEAR_NAMED = 0.3  # as NEAR, of dots with a name
DOT = {"marker": "o", "ls": "none", "markersize": 5, "markeredgewidth": 1.1, "zorder": 3}
LINEAR = 1.0  # tolerances around 0 that the axis shows to scale; further out it is logarithmic


class Dot(NamedTuple):
    """A cell: its distance from the printed number in tolerances, and how it is drawn."""

    distance: float
    inside: bool
    hollow: bool  # whether nothing can be concluded: not resolved, or not the paper's text
    name: str = ""  # of the cell, shown in a strip of few


def place(distance: float) -> float:
    """The place of a distance on the axis: linear to +-1, then a unit for each factor of ten.

    >>> place(0.5), place(-10.0), place(100.0)
    (0.5, -2.0, 3.0)
    """
    import math

    size = abs(distance) / LINEAR
    return math.copysign(size if size <= 1 else 1 + math.log10(size), distance)


def stacked(places: Sequence[float], width: float, near: float = NEAR) -> list[int]:
    """The level of each dot above its strip, so that dots within ``near`` of the ``width`` do not cover each other.

    >>> stacked([0.0, 0.01, 5.0], 10.0)
    [0, 1, 0]
    """
    levels: dict[int, float] = {}
    found = {}
    for number in sorted(range(len(places)), key=lambda number: places[number]):
        level = next(level for level in range(len(places)) if places[number] - levels.get(level, -1e9) >= near * width)
        levels[level] = places[number]
        found[number] = level
    return [found[number] for number in range(len(places))]


def draw(title: str, strips: Mapping[str, Sequence[Dot]], missing: Mapping[str, str]) -> Any:
    """The picture; ``missing`` says what a strip lacks, by its name, above its dots."""
    from matplotlib import pyplot

    reach = max((abs(place(dot.distance)) for dots in strips.values() for dot in dots), default=1.0)
    reach = max(2.0, reach + 0.15)
    near = {name: NEAR_NAMED if len(dots) <= NAMED else NEAR for name, dots in strips.items()}
    levels = {
        name: stacked([place(dot.distance) for dot in dots], 2 * reach, near[name]) for name, dots in strips.items()
    }
    tops = {name: 0.35 + 0.55 * max(found, default=0) for name, found in levels.items()}
    heights = [tops[name] + 1.25 + 0.6 * bool(missing.get(name)) for name in strips]
    figure, axis = pyplot.subplots(figsize=(7.2, 0.9 + 0.26 * sum(heights)))
    axis.axvspan(-1, 1, color="#3f9b57", alpha=0.18, linewidth=0)
    axis.axvline(0, color="0.6", linewidth=0.7)
    base, ticks = 0.0, []
    for (name, dots), height in zip(strips.items(), heights, strict=True):
        base -= height
        ticks.append((base + 0.35, name))
        axis.axhline(base, color="0.85", linewidth=0.6)
        for dot, level in zip(dots, levels[name], strict=True):
            colour = BLUE if dot.inside else RED
            face = "white" if dot.hollow else colour
            at = (place(dot.distance), base + 0.35 + 0.55 * level)
            axis.plot(*at, color=colour, markerfacecolor=face, **DOT)
            if len(dots) <= NAMED:
                side, flush = (-5, "right") if at[0] > reach / 2 else (5, "left")
                style = {"textcoords": "offset points", "va": "center", "fontsize": 7, "color": "0.3"}
                axis.annotate(dot.name, at, (side, 0), ha=flush, **style)
        if missing.get(name):
            above = base + tops[name] + 0.5
            axis.text(reach, above, f"without a dot: {missing[name]}", ha="right", va="bottom", fontsize=7, color="0.4")
    for text, colour, face in (
        ("within the tolerance", BLUE, BLUE), ("outside", RED, RED), ("decides nothing", "0.4", "white"),
    ):  # fmt: skip
        axis.plot([], [], color=colour, markerfacecolor=face, label=text, **DOT)
    axis.legend(
        loc="lower right", bbox_to_anchor=(1, 1), ncols=3, borderaxespad=0.2, handletextpad=0.2, columnspacing=1
    )
    axis.set(xlim=(-reach, reach), ylim=(base - 0.2, 0.3), title=title, xlabel="(ours - reported) / tolerance")
    decades = range(1, int(reach - 1) + 1)
    marks = [-(10.0**n) for n in reversed(decades)] + [-1.0, 0.0, 1.0] + [10.0**n for n in decades]
    axis.set_xticks([place(mark) for mark in marks], [f"{mark:+g}" if mark else "0" for mark in marks])
    axis.set_yticks(*zip(*ticks, strict=True) if ticks else ([], []))
    axis.tick_params(axis="y", length=0)
    axis.spines["left"].set_visible(False)
    axis.title.set_horizontalalignment("left")
    axis.title.set_x(0.0)
    figure.tight_layout(rect=(0, 0.02, 1, 1))
    return figure
