"""Training curves: the validation loss (negative ELBO with the full KL) and its KL part, epoch by epoch."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Iterable, Mapping
from typing import Any

from seqflows import paths, records
from seqflows.errors import Problem
from seqflows.report.inputs import Results
from seqflows.report.plots.common import CYCLE, DASHES, corpus_label, cut, label, origin

Curve = dict[int, list[float]]  # epoch -> values of the seeds
Looks = Mapping[str, tuple[str, Any]]  # run -> colour and dashes

UNITS = {"words": "nats per word", "language": "bits per dimension"}
WIDTH, LINE, TITLE, HEAD, PANEL, UNDER = 7.2, 0.17, 0.38, 0.33, 1.85, 0.7  # inches; LINE of title and legend
LEFT, BETWEEN, RIGHT = 0.62, 0.62, 0.08  # of axes, inches
COLUMNS = 4  # of a legend, at most
REACH = 3  # an axis ends REACH x (median - least value) of a line above its median
APART = 0.1  # share of an axis: a wider gap between two last values separates groups of runs


def curve(results: Results, run: str, column: str) -> Curve:
    """One column of history.csv over the seeds of a run; empty if the column is missing."""
    seeds = records.trained(results.scale, run)
    if not seeds:
        raise Problem(
            f"expected {paths.train(results.scale, run)}/seed-*, found none; "
            f"run: python -m seqflows train {results.scale}/{run}"
        )
    found: Curve = {}
    for seed in seeds:
        for row in seed.history:
            if row.get(column):
                found.setdefault(int(row["epoch"]), []).append(float(row[column]))
    return found


def draw(results: Results, block: dict[str, Any]) -> tuple[Any, str]:
    """Draw a row per dataset for the loss and one for its KL term: all epochs, and the last ones of close lines."""
    from matplotlib import pyplot

    groups: dict[str, list[str]] = {}
    for run in block["runs"]:
        groups.setdefault(results.dataset(run), []).append(run)
    losses = {run: curve(results, run, "valid_loss") for run in block["runs"]}
    terms = {run: values for run in block["runs"] if (values := curve(results, run, "valid_kl"))}
    latent = {dataset: any(run in terms for run in runs) for dataset, runs in groups.items()}
    title = block["title"] + bands(losses.values())
    names = {dataset: name for dataset in groups if (name := corpus_label(results, dataset)) not in block["title"]}
    rows = {dataset: math.ceil(len(runs) / COLUMNS) for dataset, runs in groups.items()}
    heads = {dataset: HEAD + LINE * (rows[dataset] + (dataset in names)) for dataset in groups}
    # Fixed layout: a solver's would differ between processes in the last digits.
    heights = {dataset: heads[dataset] + (1 + latent[dataset]) * (PANEL + UNDER) for dataset in groups}
    height = sum(heights.values()) + TITLE + LINE * title.count("\n")
    figure, top = pyplot.figure(figsize=(WIDTH, height)), sum(heights.values())
    for dataset, runs in groups.items():
        looks = {run: (CYCLE[number % len(CYCLE)], DASHES[number % len(DASHES)]) for number, run in enumerate(runs)}
        unit = UNITS.get(results.params.datasets[dataset]["kind"], "nats per (T + 1)")
        grid = figure.add_gridspec(
            1 + latent[dataset], 2, width_ratios=(1.15, 1), left=LEFT / WIDTH, right=1 - RIGHT / WIDTH,
            wspace=2 * BETWEEN / (WIDTH - LEFT - BETWEEN - RIGHT), hspace=UNDER / PANEL,
            top=(top - heads[dataset]) / height, bottom=(top - heights[dataset] + UNDER) / height,
        )  # fmt: skip
        first = row(figure, grid, 0, {run: losses[run] for run in runs}, looks)
        first.set_ylabel(f"validation loss, {unit}")
        if latent[dataset]:
            second = row(figure, grid, 1, {run: terms[run] for run in runs if run in terms}, looks)
            second.set_ylabel(f"its KL term, {unit}")
            figure.align_ylabels([first, second])
        figure.legend(
            *first.get_legend_handles_labels(), loc="upper center", bbox_to_anchor=(0.5, top / height), borderpad=0,
            borderaxespad=0, ncols=math.ceil(len(runs) / rows[dataset]), handlelength=3.2, title_fontsize=9,
            title=names.get(dataset),
        )  # fmt: skip
        top -= heights[dataset]
    figure.suptitle(title, fontsize=10, y=1 - 0.08 / height, va="top")
    return figure, origin(results, block["runs"])


def row(figure: Any, grid: Any, number: int, curves: Mapping[str, Curve], looks: Looks) -> Any:
    """The axis of all epochs, and a panel for each group of runs that overlap on it."""
    means = {run: [statistics.fmean(values[epoch]) for epoch in sorted(values)] for run, values in curves.items()}
    low, top, high = limits([values for values in means.values() if values])
    groups = close(curves, APART * (top - low))
    axis = figure.add_subplot(grid[number, 0 if groups else slice(None)])
    for run, values in curves.items():
        line(axis, values, looks[run][0], label(run), looks[run][1])
    axis.set_title("all epochs", loc="left")
    axis.set_xlabel("epoch")
    axis.locator_params(axis="x", integer=True)
    if top < high:
        above = [epoch for values in curves.values() for epoch in values if statistics.fmean(values[epoch]) > top]
        axis.set_ylim(low - 0.05 * (top - low), top + 0.05 * (top - low))
        axis.set_title(f"above: {len(above)} points to epoch {max(above)}", loc="right", fontsize=7, color="0.4")
    if groups:
        zoom(figure, grid[number, 1], groups, curves, looks)
    return axis


def limits(lines: list[list[float]]) -> tuple[float, float, float]:
    """The limits of an axis, and the highest value: the full loss is huge while the KL has no weight.

    >>> limits([[900.0, 5.0, 4.0, 3.0, 3.0], [6.0, 5.0, 4.0, 4.0, 4.0]])
    (3.0, 7.0, 900.0)
    >>> limits([[9.0, 5.0, 4.0, 3.0, 3.0], [6.0, 5.0, 4.0, 4.0, 4.0]])
    (3.0, 9.0, 9.0)
    """
    if not lines:
        return 0.0, 1.0, 1.0
    low, high = min(map(min, lines)), max(map(max, lines))
    middles = [(statistics.median(values), min(values), max(values)) for values in lines]
    top = max(min(most, median + REACH * (median - least)) for median, least, most in middles)
    return low, high if high - low <= 2 * (top - low) else top, high


def late(values: Curve) -> list[int]:
    """The last third of a run's own epochs, since its rate falls by their number."""
    last = max(values)
    return [epoch for epoch in sorted(values) if epoch >= last - last // 3]


def close(curves: Mapping[str, Curve], apart: float) -> list[list[str]]:
    """The groups of runs that are close at their ends, the highest first."""
    ends = {run: statistics.fmean(values[max(values)]) for run, values in curves.items() if values}
    groups: list[list[str]] = []
    before = math.inf
    for run, end in sorted(ends.items(), key=lambda item: -item[1]):
        if before - end > apart:
            groups.append([])
        groups[-1].append(run)
        before = end
    return [group for group in groups if len(group) > 1 and any(len(late(curves[run])) > 1 for run in group)]


def zoom(figure: Any, cell: Any, groups: list[list[str]], curves: Mapping[str, Curve], looks: Looks) -> None:
    """Draw the last epochs, one panel per group of runs, each with its own scale, and a break between them.

    Runs of several lengths stand beside each other by the share of their epochs. A line that comes from another group's
    range is cut between the two.
    """
    cells = cell.subgridspec(len(groups), 1, hspace=0.16, height_ratios=[1 + len(group) for group in groups])
    axes = [figure.add_subplot(cells[number]) for number in range(len(groups))]
    lasts = {run: max(curves[run]) for group in groups for run in group}
    alike = len({*lasts.values()}) == 1
    for axis, group in zip(axes, groups, strict=True):
        for run in (run for run in curves if run in group):
            part = {epoch / (1 if alike else lasts[run]): curves[run][epoch] for epoch in late(curves[run])}
            line(axis, part, looks[run][0], None, looks[run][1])
        axis.locator_params(axis="x", integer=alike)
        axis.locator_params(axis="y", nbins=3 + len(group))
    for (above, upper), (below, lower) in itertools.pairwise(zip(axes, groups, strict=True)):
        if above.get_ylim()[0] < below.get_ylim()[1]:
            ends = [[statistics.fmean(curves[run][lasts[run]]) for run in group] for group in (upper, lower)]
            between = (min(ends[0]) + max(ends[1])) / 2
            above.set_ylim(bottom=max(above.get_ylim()[0], between))
            below.set_ylim(top=min(below.get_ylim()[1], between))
        cut(above, below)
    first = min(epoch for run in lasts for epoch in late(curves[run]))
    axes[0].set_title(f"epochs {first} to {max(lasts.values())}" if alike else "last third", loc="left")
    axes[-1].set_xlabel("epoch" if alike else "share of the run's own epochs")
    if alone := [label(run) for run in curves if curves[run] and not any(run in group for group in groups)]:
        without = alone[0] if len(alone) == 1 else f"{len(alone)} that end far apart"
        axes[0].set_title(f"without {without}", loc="right", fontsize=7, color="0.4")


def bands(curves: Iterable[Curve]) -> str:
    """The explanation of lines and bands, if a run has several seeds."""
    several = {any(len(values) > 1 for values in found.values()) for found in curves if found}
    if True not in several:
        return ""
    return "\nlines: means over seeds, bands: their range" + ("; without a band: one seed" if False in several else "")


def line(axis: Any, values: Curve, colour: str, name: str | None, style: Any) -> None:
    """Draw the mean over seeds by epoch, with their range as a band."""
    epochs = sorted(values)
    if not epochs:
        return
    means = [statistics.fmean(values[epoch]) for epoch in epochs]
    axis.plot(epochs, means, ls=style, color=colour, label=name)
    if any(len(seeds) > 1 for seeds in values.values()):
        low, high = ([pick(values[epoch]) for epoch in epochs] for pick in (min, max))
        axis.fill_between(epochs, low, high, color=colour, alpha=0.15, lw=0)
