"""Figure 7: generation time against length at batch size 1, with 95 % confidence intervals."""

from __future__ import annotations

from typing import Any

from seqflows import paths
from seqflows.errors import Problem
from seqflows.report.inputs import Results, times
from seqflows.report.intervals import mean_interval
from seqflows.report.plots.common import CYCLE, corpus_label, label

CONFIDENCE = "95 % intervals"
LOAD = "models take turns; what else ran on the machine is not recorded"


def draw(results: Results, block: dict[str, Any]) -> tuple[Any, str]:
    """Draw a panel per speed block, a line per run."""
    from matplotlib import pyplot

    names = block["speeds"]
    figure, axes = pyplot.subplots(1, len(names), figsize=(max(5.0, 0.6 + 3.1 * len(names)), 3.4), squeeze=False)
    machines: dict[str, None] = {}
    for axis, name in zip(axes[0], names, strict=True):
        if (measured := times(results.scale, name)) is None:
            raise Problem(
                f"expected {paths.speed(results.scale, name)}, found none; "
                f"run: python -m seqflows speed {results.scale}/{name}"
            )
        lines, machine = measured
        machines[machine] = None
        repeats = set()
        for colour, (run, lengths) in zip(CYCLE, lines.items(), strict=False):
            order = sorted(lengths)
            means, halves = zip(*(mean_interval(lengths[length]) for length in order), strict=True)
            repeats |= {len(lengths[length]) for length in order}
            axis.errorbar(
                order, means, yerr=halves, color=colour, marker="o", markersize=3, capsize=2, elinewidth=0.9,
                label=label(run),
            )  # fmt: skip
        axis.set(xlim=(0, None), ylim=(0, None), xlabel="length T (symbols)")
        shown = corpus_label(results, results.dataset(results.params.speeds[name]["runs"][0]))
        axis.set_title(f"{shown}, {'/'.join(map(str, sorted(repeats)))} generations a length", loc="left")
        axis.legend(loc="upper left")
    axes[0, 0].set_ylabel("seconds a sequence")
    shown = "; ".join(machines)
    lines = (
        "models of the runs' sizes with fresh weights, batch size 1", f"on {shown}; bars: {CONFIDENCE}", LOAD,
    )  # fmt: skip
    figure.suptitle("\n".join([block["title"], *lines]), fontsize=10)
    figure.tight_layout(rect=(0, 0.025, 1, 1))
    return figure, shown
