"""Training curves: the validation loss (negative ELBO with the full KL) and its KL part, epoch by epoch."""

from __future__ import annotations

import statistics
from typing import Any

from seqflows import paths
from seqflows.errors import Problem
from seqflows.report.inputs import Results, read_csv, seed_folders
from seqflows.report.plots.common import CYCLE, device, label

Curve = dict[int, list[float]]  # epoch -> a value a seed

UNITS = {"words": "nats per word", "language": "bits per dimension"}


def curve(results: Results, run: str, column: str) -> Curve:
    """One column of history.csv over the seeds of a run; empty where the column is not there."""
    folders = seed_folders(paths.train(results.scale, run))
    if not folders:
        raise Problem(
            f"expected {paths.train(results.scale, run)}/seed-*, found none; "
            f"run: python -m seqflows train {results.scale}/{run}"
        )
    found: Curve = {}
    for folder in folders:
        for row in read_csv(folder / "history.csv") or []:
            if row.get(column):
                found.setdefault(int(row["epoch"]), []).append(float(row[column]))
    return found


def draw(results: Results, block: dict[str, Any]) -> tuple[Any, str]:
    """A panel a dataset, a line a run: full loss solid, its KL term dashed; the band is the range of the seeds."""
    from matplotlib import pyplot

    groups: dict[str, list[str]] = {}
    for run in block["runs"]:
        groups.setdefault(results.dataset(run), []).append(run)
    columns = min(2, len(groups))
    rows = -(-len(groups) // columns)
    width = 0.6 + 3.2 * columns if columns > 1 else 5.8
    figure, axes = pyplot.subplots(rows, columns, figsize=(width, 0.6 + 2.7 * rows), squeeze=False)
    for axis, (dataset, runs) in zip(axes.flat, groups.items(), strict=False):
        for number, run in enumerate(runs):
            colour = CYCLE[number % len(CYCLE)]
            line(axis, curve(results, run, "valid_loss"), colour, label(run), "-")
            line(axis, curve(results, run, "valid_kl"), colour, None, "--")
        kind = results.params.datasets[dataset]["kind"]
        if kind == "language":  # densities of continuous data: no zero to start from
            axis.margins(y=0.05)
        else:
            show_end(axis, results, runs, 1.6 if kind == "words" else 4)
        axis.set_title(dataset, loc="left")
        axis.set_xlabel("epoch")
        axis.locator_params(axis="x", integer=True)
        beside = {"loc": "center left", "bbox_to_anchor": (1.0, 0.5)}
        axis.legend(**({"loc": "upper right"} if columns > 1 else beside))
    for axis in list(axes.flat)[len(groups) :]:
        axis.set_visible(False)
    for axis, dataset in zip(axes[:, 0], list(groups)[::columns], strict=True):
        kind = results.params.datasets[dataset]["kind"]
        axis.set_ylabel(f"validation, {UNITS.get(kind, 'nats per (T + 1)')}")
    latent = any(curve(results, run, "valid_kl") for run in block["runs"])
    legend = "\nsolid: full loss; dashed: its KL term" if latent else ""
    figure.suptitle(block["title"] + legend, fontsize=10)
    figure.tight_layout(rect=(0, 0.02, 1, 1))
    return figure, device(results, block["runs"])


def show_end(axis: Any, results: Results, runs: list[str], factor: float) -> None:
    """From zero to ``factor`` times the last full losses: while the KL has no weight the full loss is huge."""
    high = axis.get_ylim()[1]
    drawn = [curve(results, run, column) for run in runs for column in ("valid_loss", "valid_kl")]
    low = min((value for line in drawn for values in line.values() for value in values), default=0.0)
    ends = [statistics.fmean(line[max(line)]) for line in drawn[::2] if line]
    top = min(high, factor * max(ends)) if ends and max(ends) > 0 else high
    axis.set_ylim(min(0.0, low) - 0.03 * top, top)


def line(axis: Any, values: Curve, colour: str, name: str | None, style: str) -> None:
    """The mean over seeds, epoch by epoch, and their range as a band."""
    epochs = sorted(values)
    if not epochs:
        return
    means = [statistics.fmean(values[epoch]) for epoch in epochs]
    axis.plot(epochs, means, style, color=colour, label=name, lw=1.4 if style == "-" else 0.9)
    if any(len(seeds) > 1 for seeds in values.values()):
        low, high = ([pick(values[epoch]) for epoch in epochs] for pick in (min, max))
        axis.fill_between(epochs, low, high, color=colour, alpha=0.15, lw=0)
