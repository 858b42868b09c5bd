"""The test cross entropy of models of words against the number of trajectories that estimate it."""

from __future__ import annotations

from typing import Any

from seqflows import paths
from seqflows.errors import Problem
from seqflows.report.cells import reported
from seqflows.report.inputs import Results
from seqflows.report.plots.common import CYCLE, device, label

SHOWN = 20  # the K from which on everything is within the axis
METRIC = "cross_entropy_test"
COLUMN, ORACLE = "H[P_test, P^]", "ORACLE"


def draw(results: Results, block: dict[str, Any]) -> tuple[Any, str]:
    """A line a run, dashed where K samples an exact model, whose own value is dotted; levels of the test half."""
    from matplotlib import pyplot

    figure, axis = pyplot.subplots(figsize=(7.2, 4.0))
    runs = block["runs"]
    lines = {run: results.by_count(run, METRIC) for run in runs}
    for number, run in enumerate(runs):
        metrics, found = results.metrics(run), lines[run]
        if not found:
            raise Problem(
                f"expected {METRIC}@K in {paths.metrics(results.scale, run)}, found none; "
                f"run: python -m seqflows evaluate {results.scale}/{run}"
            )
        exact, colour = metrics[METRIC].samples == 0, CYCLE[number % len(CYCLE)]
        axis.errorbar(
            list(found), [s.value for s in found.values()], yerr=[2 * s.error for s in found.values()], color=colour,
            ls="--" if exact else "-", marker="o", markersize=3, capsize=2, elinewidth=0.8, label=label(run),
        )  # fmt: skip
        if exact:
            axis.axhline(metrics[METRIC].value, color=colour, ls=":", lw=1.2)
    axis.set_xscale("log")
    for metric, style, text in (("source", "-", "source"), ("test_entropy", (0, (6, 3)), "entropy of the\ntest half")):
        if level := results.summary(runs[0], metric, optional=True):
            axis.axhline(level.value, color="0.25", lw=0.8, ls=style, label=text)
    if not results.embedded(results.dataset(runs[0])):
        cells = reported(f"{block['reproduces']}-table1")
        printed = [float(cell.reported) for cell in cells if cell.column == COLUMN and cell.row != ORACLE]
        axis.axhspan(min(printed), max(printed), color="0.9", lw=0, zorder=0, label="printed, Table 1")
    axis.margins(y=0.07)
    # A single trajectory lies so high that what happens at large K would be a line's width.
    settled = [s.value for line in lines.values() for count, s in line.items() if count >= SHOWN]
    axis.set_ylim(top=min(axis.get_ylim()[1], 1.15 * max(settled, default=axis.get_ylim()[1])))
    axis.set(xlabel="trajectories K", ylabel=r"$H[P_{\mathrm{test}}, \hat{P}]$, nats a word")
    handles, names = (list(found) for found in axis.get_legend_handles_labels())
    levels = len(names) - len(runs)  # which matplotlib names before the runs
    order = [*range(levels, len(names)), *range(levels)]
    axis.legend([handles[n] for n in order], [names[n] for n in order], loc="center left", bbox_to_anchor=(1.0, 0.5))
    figure.suptitle(
        f"{block['title']}\nbars: two standard errors; dashed: baseline, sampled; dotted: exact; K < 20 may lie above",
        fontsize=10,
    )
    figure.tight_layout(rect=(0, 0.025, 1, 1))
    return figure, device(results, runs)
