"""Figure 3b: p(x_t given x_<t) of a character model at consecutive steps, with the actual symbol in red."""

from __future__ import annotations

import math
from typing import Any

from seqflows import files
from seqflows.report.inputs import Results
from seqflows.report.plots.common import BLUE, RED, export, origin, visible

STEPS = 6  # panels; the paper shows three


def draw(results: Results, block: dict[str, Any]) -> tuple[Any, str]:
    """Draw bars over the vocabulary, one panel per step."""
    from matplotlib import pyplot

    run = block["runs"][0]
    content = files.read_json(export(results, run, "conditionals.json"))
    vocabulary, steps = content["vocabulary"], content["steps"][:STEPS]
    order = sorted(range(len(vocabulary)), key=lambda index: (not vocabulary[index].islower(), vocabulary[index]))
    top = min(1.0, 1.15 * math.exp(max(max(step["log_prob"]) for step in steps)))
    figure, axes = pyplot.subplots(
        len(steps), 1, figsize=(6.2, 0.75 + 0.95 * len(steps)), sharex=True, sharey=True, squeeze=False
    )
    for axis, step in zip(axes[:, 0], steps, strict=True):
        values = [math.exp(step["log_prob"][index]) for index in order]
        colours = [RED if vocabulary[index] == step["next"] else BLUE for index in order]
        axis.bar(range(len(order)), values, color=colours, width=0.82)
        entropy = -sum(value * math.log2(value) for value in values if value > 0)
        prefix = "".join(visible(character) for character in step["prefix"][-24:])
        axis.set_title(f"{prefix} → {visible(step['next'])}", loc="left", fontsize=8, pad=3)
        axis.set_title(f"entropy {entropy:.2f} bits", loc="right", fontsize=7, color="0.4", pad=3)
        axis.set_ylim(0, top)
        axis.locator_params(axis="y", nbins=3)
        axis.tick_params(axis="x", length=0)
    axes[-1, 0].set_xlim(-0.7, len(order) - 0.3)
    axes[-1, 0].set_xticks(range(len(order)), [visible(vocabulary[index]) for index in order], fontsize=7)
    axes[-1, 0].set_xlabel(r"next symbol $x_t$; red: the one that came")
    figure.supylabel(r"$p(x_t \mid x_{<t})$", fontsize=9, x=0.02)
    figure.suptitle(block["title"], fontsize=10)
    figure.tight_layout(h_pad=0.4, rect=(0, 0.015, 1, 1))
    return figure, origin(results, [run])
