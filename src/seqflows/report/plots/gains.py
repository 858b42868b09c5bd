"""What each system of a table gains over one of them: ours with its interval over questions and seeds, and as printed.

A panel per printed column and a line per row. Ours is the mean over the seeds that both have, with the paired errors of
the table's comparison (`comparisons.Pair`).
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from seqflows.errors import Problem
from seqflows.report.cells import Cell, cells
from seqflows.report.comparisons import Comparison, Pair
from seqflows.report.inputs import Results
from seqflows.report.pages import corpora, shared
from seqflows.report.plots.common import BLUE, RED, origin

NEITHER = "0.5"  # the colour of an interval with 0
NORMAL = 1.96  # standard errors on each side of the mean that have 95 % of a normal distribution
FAR = 3.0  # times the next largest distance from 0, beyond which a mark is cut and its number stands at the edge
ROOM, CUT = 0.08, 0.45  # of an axis' width beyond its last mark, and where a number stands at its edge
WIDTH, LABELS, BETWEEN, RIGHT, LINE, HEAD, TITLE, FOOT = 7.4, 1.75, 0.2, 0.12, 0.24, 0.155, 0.35, 0.78  # inches
LETTERS = 100  # in a line of the head
PRINTED = {"marker": "D", "ls": "none", "ms": 4.2, "mfc": "none", "mec": "0.15", "mew": 0.9, "zorder": 4}
OURS = {"marker": "o", "ls": "none", "ms": 5, "mew": 1.2, "zorder": 3}


class Gain(NamedTuple):
    """A row's gain over another in a column: ours and as printed, None where there is none."""

    ours: Pair | None
    printed: float | None

    @property
    def errors(self) -> tuple[float, float]:
        """Half of the interval of 95 %: over questions, and over seeds too, if there are several."""
        over_seeds = math.hypot(self.ours.standard_error, self.ours.seeds_error or 0.0)
        return NORMAL * self.ours.standard_error, NORMAL * over_seeds

    @property
    def places(self) -> list[float]:
        """Those of its dot and of its printed mark."""
        return [place for place in (self.ours and self.ours.difference, self.printed) if place is not None]

    def ends(self, most: float) -> list[float]:
        """The places within ``most`` of 0, ours with its interval."""
        found = []
        if self.ours is not None and abs(self.ours.difference) <= most:
            found += [self.ours.difference - self.errors[1], self.ours.difference + self.errors[1]]
        if self.printed is not None and abs(self.printed) <= most:
            found.append(self.printed)
        return found

    @property
    def colour(self) -> str:
        """Whether the whole interval lies above 0, below it, or neither."""
        if abs(self.ours.difference) <= self.errors[1]:
            return NEITHER
        return BLUE if self.ours.difference > 0 else RED


def draw(results: Results, block: Mapping[str, Any]) -> tuple[Any, str]:
    """Draw a table's gains over its row ``over``; rows that were not compared are named above.

    Raises:
        Problem: no row was compared with that one.
    """
    from matplotlib import pyplot

    over, made = block["over"], [cell for cell in cells(results, block["table"]) if cell.status != "human"]
    every = gains(made, over, results.present(block["table"]))
    shown = {row: own for row, own in every.items() if any(one.ours for one in own.values())}
    if not shown:
        raise Problem(
            f"expected a row of {block['table']} that is compared with {over!r}, found none; "
            f"run: python -m seqflows compare {results.scale}/{block['table']}"
        )
    columns = list(dict.fromkeys(column for own in shown.values() for column in own))
    missing = [row for row in every if row not in shown]
    text = f"gain over “{over}” in points" + (f"; not compared: {', '.join(missing)}" if missing else "")
    head = [corpora.titled(results, block["title"], made), *textwrap.wrap(text, LETTERS)]
    tall = LINE * (len(shown) + 0.5)
    height = TITLE + HEAD * len(head) + tall + FOOT
    wide = (WIDTH - LABELS - RIGHT - BETWEEN * (len(columns) - 1)) / len(columns)
    figure = pyplot.figure(figsize=(WIDTH, height))
    for place, column in enumerate(columns):
        left = LABELS + place * (wide + BETWEEN)
        axis = figure.add_axes((left / WIDTH, FOOT / height, wide / WIDTH, tall / height))
        panel(axis, [own.get(column) for own in shown.values()], column)
        axis.set_yticks(range(len(shown)), list(shown) if place == 0 else [""] * len(shown))
    figure.suptitle("\n".join(head), fontsize=9, y=1 - 0.07 / height, va="top")
    legend(figure, height)
    runs = shared.runs_of(made)
    return figure, origin(results, [runs[row] for row in (over, *shown)])


def gains(made: Sequence[Cell], over: str, table: Comparison | None) -> dict[str, dict[str, Gain]]:
    """Row -> column -> gain over the row ``over``, in the columns that the paper prints; without that row."""
    base = {cell.column: cell for cell in made if cell.row == over and cell.reported}
    found: dict[str, dict[str, Gain]] = {}
    for cell in made:
        if cell.row != over and (other := base.get(cell.column)):
            ours = table.pairs.get((cell.run, other.run, cell.metric)) if table else None
            printed = float(cell.reported) - float(other.reported) if cell.reported else None
            found.setdefault(cell.row, {})[cell.column] = Gain(ours, printed)
    return found


def panel(axis: Any, own: Sequence[Gain | None], column: str) -> None:
    """Draw one column, the first row on top, with a rule below the paper's rows."""
    low, high = limits([one for one in own if one is not None])
    axis.axvline(0, color="0.6", lw=0.7)
    for place, one in enumerate(own):
        if one is None:
            continue
        if one.ours is not None:
            questions, seeds = one.errors
            face = "white" if one.ours.seeds_error is None else one.colour
            for half, thick in ((seeds, 1.0), (questions, 2.6)):
                axis.plot(
                    [one.ours.difference - half, one.ours.difference + half], [place] * 2, color=one.colour, lw=thick
                )
            _mark(axis, one.ours.difference, place, (low, high), {**OURS, "color": one.colour, "mfc": face})
        if one.printed is not None:
            _mark(axis, one.printed, place, (low, high), PRINTED)
    printed = sum(one is not None and one.printed is not None for one in own)
    if 0 < printed < len(own):
        axis.axhline(printed - 0.5, color="0.7", lw=0.7, ls=(0, (4, 2)))
    axis.set(xlim=(low, high), ylim=(len(own) - 0.25, -0.75), title=column)
    axis.tick_params(axis="y", length=0)
    axis.spines["left"].set_visible(False)


def reach(every: Iterable[Gain]) -> float:
    """The distance from 0 beyond which a mark is cut: `FAR` times the next largest, where one is further away.

    >>> reach([Gain(Pair(-13.5, 0.3, None, 1.0), -3.0), Gain(Pair(-1.0, 0.3, None, 1.0), 1.0)])
    9.0
    """
    sizes = sorted(abs(place) for one in every for place in one.places)
    while len(sizes) > 1 and sizes[-1] > FAR * sizes[-2]:
        sizes.pop()
    return FAR * max(sizes, default=0.0)


def limits(every: Sequence[Gain]) -> tuple[float, float]:
    """The ends of an axis that holds 0, marks and intervals, with room for the number of a mark that is cut."""
    most = reach(every)
    ends = [0.0] + [place for one in every for place in one.ends(most)]
    low, high = min(ends), max(ends)
    size = (high - low) or 1.0
    places = [place for one in every for place in one.places]
    room = [CUT if any(sign * place > most for place in places) else ROOM for sign in (-1, 1)]
    return low - room[0] * size, high + room[1] * size


def _mark(axis: Any, place: float, row: int, ends: tuple[float, float], style: Mapping[str, Any]) -> None:
    """A mark, or at the edge an arrow with its number."""
    if ends[0] <= place <= ends[1]:
        axis.plot([place], [row], **style)
        return
    left = place < ends[0]
    colour = style.get("color") or style["mec"]
    axis.plot([ends[not left]], [row], marker="<" if left else ">", color=colour, ls="none", ms=5, clip_on=False)
    where = {"textcoords": "offset points", "va": "center", "fontsize": 7, "color": colour}
    axis.annotate(
        f"{place:+.1f}".replace("-", "−"),
        (ends[not left], row),
        (7 if left else -7, 0),
        ha="left" if left else "right",
        **where,
    )


def legend(figure: Any, height: float) -> None:
    """What the marks are, below the panels."""
    from matplotlib.lines import Line2D

    dots = [
        Line2D([], [], color=colour, mfc=colour, label=text, **OURS)
        for colour, text in ((BLUE, "ours, better"), (RED, "worse"), (NEITHER, "neither"))
    ]
    dots += [Line2D([], [], color="0.3", mfc="white", label="of one seed", **OURS)]
    dots += [Line2D([], [], label="printed", **PRINTED)]
    bars = [
        Line2D([], [], color="0.3", lw=2.6, label="95 % over the test set"),
        Line2D([], [], color="0.3", lw=1.0, label="and seeds"),
    ]
    figure.legend(
        handles=[*dots, *bars],
        loc="lower center",
        bbox_to_anchor=(0.5, 0.13 / height),
        ncols=7,
        columnspacing=1.2,
        handletextpad=0.4,
    )
