"""Figure 6: p(z_t given z_<t) of a two-dimensional latent sequence along a string, one panel per symbol."""

from __future__ import annotations

import math
from typing import Any

from seqflows import files
from seqflows.report.inputs import Results
from seqflows.report.plots.common import export, origin, visible

COLUMNS = 4  # as in the paper


def draw(results: Results, block: dict[str, Any]) -> tuple[Any, str]:
    """Draw panels, each scaled to its maximum; the cross is z_t, the posterior's mean, and is named so."""
    import numpy
    from matplotlib import pyplot

    run = block["runs"][0]
    path = export(results, run, "prior_grid.npz")
    content, string = numpy.load(path), files.read_json(path.with_suffix(".json"))["string"]
    x, y, log_density, z = (content[part] for part in ("x", "y", "log_density", "z"))
    rows = math.ceil(len(z) / COLUMNS)
    figure, axes = pyplot.subplots(
        rows, COLUMNS, figsize=(6.4, 0.95 + 1.72 * rows), sharex=True, sharey=True, squeeze=False
    )
    for step, axis in enumerate(axes.flat):
        if step >= len(z):
            axis.set_visible(False)
            continue
        density = numpy.exp(log_density[step] - log_density[step].max())
        axis.imshow(
            density,
            origin="lower",
            extent=(x[0], x[-1], y[0], y[-1]),
            cmap="magma",
            aspect="auto",
            interpolation="bilinear",
        )
        axis.plot(*z[step], marker="+", color="white", markersize=8, markeredgewidth=1.2)
        axis.set_title(f"“{visible(string[step])}”", fontsize=11)
        axis.set(xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))
    for axis in axes[-1]:
        axis.set_xlabel(r"$z_{t,1}$")
    for axis in axes[:, 0]:
        axis.set_ylabel(r"$z_{t,2}$")
    shown = "".join(visible(character) for character in string[: len(z)])
    lines = (
        rf"$p(z_t \mid z_{{<t}})$ along “{shown}”, each panel scaled to its maximum",
        r"+: $z_t$, the mean of the posterior $q(z \mid x)$ of the whole string, which is no sample",
    )
    figure.suptitle("\n".join([block["title"], *lines]), fontsize=10)
    figure.tight_layout(h_pad=0.8, rect=(0, 0.015, 1, 1))
    return figure, origin(results, [run])
