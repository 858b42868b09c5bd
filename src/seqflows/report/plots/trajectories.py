"""The test cross entropy of models of words against the number of trajectories."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seqflows import paths
from seqflows.errors import Problem
from seqflows.report.cells import reported
from seqflows.report.inputs import IMPORTANCE, Results, Summary
from seqflows.report.plots.common import CYCLE, MARKERS, device, label

SHOWN = 20  # smallest K drawn: with one trajectory the estimate is so high that the others would coincide
LARGEST = 4  # K of the panel on the right
METRIC = "cross_entropy_test"
COLUMN, ORACLE = "H[P_test, P^]", "ORACLE"

Lines = dict[str, dict[int, Summary]]  # run -> K -> estimate


def draw(results: Results, block: dict[str, Any]) -> tuple[Any, str]:
    """Draw, left, a line per run, dashed for sampled exact models, exact values dotted; right, the largest K."""
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9.2, 4.0), width_ratios=(1.25, 1))
    runs = block["runs"]
    lines: Lines = {run: results.by_count(run, METRIC) for run in runs}
    for run in runs:
        if not lines[run]:
            raise Problem(
                f"expected {METRIC}@K in {paths.metrics(results.scale, run)}, found none; "
                f"run: python -m seqflows evaluate {results.scale}/{run}"
            )
    importance = {run: s for run in runs if results.estimator(s := results.metrics(run)[METRIC]) == IMPORTANCE}
    exact = {run: summary for run in runs if (summary := results.metrics(run)[METRIC]).samples == 0}
    counts = sorted({count for found in lines.values() for count in found})
    shown = [count for count in counts if count >= SHOWN] or counts
    for number, run in enumerate(runs):
        points(left, {count: lines[run][count] for count in shown if count in lines[run]}, run, number, run in exact)
        if run in exact:
            left.axhline(exact[run].value, color=CYCLE[number % len(CYCLE)], ls=":", lw=1.2)
    left.set_xscale("log")
    for metric, style, text in (("source", "-", "source"), ("test_entropy", (0, (6, 3)), "entropy of the\ntest half")):
        if level := results.summary(runs[0], metric, optional=True):
            left.axhline(level.value, color="0.25", lw=0.8, ls=style, label=text)
    if not results.embedded(results.dataset(runs[0])):
        cells = reported(f"{block['reproduces']}-table1")
        printed = [float(cell.reported) for cell in cells if cell.column == COLUMN and cell.row != ORACLE]
        left.axhspan(min(printed), max(printed), color="0.9", lw=0, zorder=0, label="printed, Table 1")
    left.set(xlabel="trajectories K", ylabel=r"$H[P_{\mathrm{test}}, \hat{P}]$, nats a word")
    left.set_title(f"K from {shown[0]:,}", loc="left")
    if hidden := [found[count].value for found in lines.values() for count in found if count not in shown]:
        fewer = ", ".join(str(count) for count in counts if count not in shown)
        left.set_title(
            f"not drawn: K = {fewer}, {min(hidden):.1f} to {max(hidden):.1f}", loc="right", fontsize=7, color="0.4"
        )
    largest(right, {run: lines[run] for run in runs if run not in exact} or lines, runs, shown[-LARGEST:], importance)
    if exact and len(exact) < len(runs):
        right.set_title("without baselines", loc="right", fontsize=7, color="0.4")
    handles, names = (list(found) for found in left.get_legend_handles_labels())
    levels = len(names) - len(runs)  # matplotlib lists them before the runs
    order = [*range(levels, len(names)), *range(levels)]
    right.legend(
        [handles[n] for n in order], [names[n] for n in order], loc="center left", bbox_to_anchor=(1.0, 0.5),
        handlelength=2.6,
    )  # fmt: skip
    figure.suptitle(
        f"{block['title']}\nbars: two standard errors; dashed: baseline, sampled; dotted: the same, exact", fontsize=10
    )
    figure.tight_layout(rect=(0, 0.025, 1, 1))
    return figure, device(results, runs)


def largest(
    axis: Any, lines: Lines, runs: list[str], counts: list[int], importance: Mapping[str, Summary]
) -> None:  # fmt: skip
    """Draw the largest K at equal distances, runs side by side, then importance sampling."""
    for place, run in enumerate(lines):
        aside = 0.4 * ((place + 0.5) / len(lines) - 0.5)
        found = {at + aside: lines[run][count] for at, count in enumerate(counts) if count in lines[run]}
        points(axis, found, run, runs.index(run), False)
        if run in importance:
            points(axis, {len(counts) + aside: importance[run]}, run, runs.index(run), False)
    names = [f"{count:,}" for count in counts] + ["posterior"] * bool(importance)
    axis.set_xticks(range(len(names)), names)
    axis.set_xlabel("trajectories K, runs side by side")
    axis.set_title("the largest K", loc="left")


def points(axis: Any, found: dict[Any, Summary], run: str, number: int, dashed: bool) -> None:
    """Draw a run's estimates with two standard errors."""
    axis.errorbar(
        list(found), [s.value for s in found.values()], yerr=[2 * s.error for s in found.values()],
        color=CYCLE[number % len(CYCLE)], ls="--" if dashed else "-", marker=MARKERS[number % len(MARKERS)],
        markersize=4, capsize=2, elinewidth=0.8, label=label(run),
    )  # fmt: skip
