"""Figure 5: four hand-set NLSq layers, their map and density; learned densities of four Gaussians."""

from __future__ import annotations

from typing import Any

from seqflows.report.inputs import Results
from seqflows.report.plots.common import BLUE, RED, export, label, origin, setting


def draw(results: Results, block: dict[str, Any]) -> tuple[Any, str]:
    """Draw, above, (a) the map, (b) both densities; below, (c) the true density, then each run's."""
    import numpy
    from matplotlib import pyplot

    runs = block["runs"]
    files = {run: export(results, run, "density_grid.npz") for run in runs}
    grids = {run: numpy.load(path) for run, path in files.items()}
    hand = numpy.load(export(results, runs[0], "nlsq.npz"))
    figure = pyplot.figure(figsize=(7.4, 5.5))
    above, below = figure.add_gridspec(
        2, 1, height_ratios=(1, 1.1), left=0.09, right=0.97, top=0.9, bottom=0.085, hspace=0.46
    )
    left, right = (figure.add_subplot(cell) for cell in above.subgridspec(1, 2, wspace=0.3))
    left.plot(hand["eps"], hand["z"], color=BLUE)
    left.set(xlabel=r"$\epsilon$", ylabel=r"$z$")
    left.set_title("(a) four NLSq layers, set by hand", loc="left")
    right.fill_between(hand["eps"], hand["base_density"], color=RED, alpha=0.15, lw=0)
    right.plot(hand["eps"], hand["base_density"], color=RED, label=r"base $p(\epsilon)$")
    right.fill_between(hand["z"], hand["density"], color=BLUE, alpha=0.15, lw=0)
    right.plot(hand["z"], hand["density"], color=BLUE, label=r"final $p(z)$")
    right.set(xlabel=r"$\epsilon,\ z$", ylabel="density", ylim=(0, None))
    right.set_title("(b) densities", loc="left")
    right.legend(loc="best")

    first, panels = grids[runs[0]], []
    if "true_log_density" in first:
        panels.append((true(results, runs[0]), first, numpy.exp(first["true_log_density"])))
    panels += [
        (name(results, run, files[run].parent.name), grids[run], numpy.exp(grids[run]["log_density"])) for run in runs
    ]
    top = panels[0][2].max()
    cells = below.subgridspec(1, len(panels), wspace=0.12)
    for number, (title, grid, density) in enumerate(panels):
        axis = figure.add_subplot(cells[number])
        extent = (grid["x"][0], grid["x"][-1], grid["y"][0], grid["y"][-1])
        # One colour scale for all, so that density between the modes is visible.
        axis.imshow(density, origin="lower", extent=extent, cmap="magma", vmin=0, vmax=top, interpolation="bilinear")
        axis.set_title(title, loc="left", fontsize=8)
        axis.tick_params(labelleft=number == 0)
        axis.set_xlabel(r"$z_1$")
        if number == 0:
            axis.set_ylabel(r"$z_2$")
    figure.suptitle(block["title"], fontsize=10)
    return figure, origin(results, runs)


def true(results: Results, run: str) -> str:
    """``(c) four Gaussians, true``, its entropy and its NLL on the test set, as far as they are known."""
    known = {"entropy": "source_entropy", "test": "source"}
    found = {text: results.summary(run, metric, optional=True) for text, metric in known.items()}
    shown = ", ".join(f"{text} {summary.value:.3f}" for text, summary in found.items() if summary)
    return "(c) four Gaussians, true" + (f"\n{shown} nats" if shown else "")


def name(results: Results, run: str, seed: str) -> str:
    """``NLSq, 5 layers, seed 0`` and its NLL on the test set, ``1.840 ± 0.003 nats (3 seeds)``."""
    layers = setting(results, run, "layers")
    summary = results.summary(run, "nll", optional=True)
    shown = ", ".join([label(run), *([f"{layers} layers"] if layers else []), seed.replace("-", " ")])
    if summary is None:
        return shown
    several = "" if summary.std is None else f" ± {summary.std:.3f}"
    return f"{shown}\n{summary.value:.3f}{several} nats" + (f" ({len(summary.seeds)} seeds)" if several else "")
