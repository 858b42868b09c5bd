"""Figure 1: H_gap of generated words at each length, averaged over the steps of a word."""

from __future__ import annotations

import statistics
from typing import Any

from seqflows.errors import Problem
from seqflows.report import gaps
from seqflows.report.inputs import Results
from seqflows.report.plots.common import BLUE, export, label, origin

LENGTHS = range(2, 13)  # letters


def draw(results: Results, block: dict[str, Any]) -> tuple[Any, str]:
    """Draw a bar per length with the standard error over words, and their number above it."""
    from matplotlib import pyplot

    run = block["runs"][0]
    path = export(results, run, "gaps.csv", named=False)
    words = gaps.read(path)
    means: dict[int, list[float]] = {}
    others: list[int] = []  # lengths that are not drawn
    for word in words:
        if (letters := len(word) - 1) in LENGTHS:  # the end symbol is a step of its own
            means.setdefault(letters, []).append(statistics.fmean(word))
        else:
            others.append(letters)
    if not means:
        raise Problem(f"expected words of 2 to 12 letters in {path}, got none of {len(words)}; evaluate it again")
    figure, axis = pyplot.subplots(figsize=(5.6, 3.2))
    top = 0.0
    for letters, values in sorted(means.items()):
        mean, error = gaps.mean_error(values)
        error = error if len(values) > 1 else 0.0
        axis.bar(letters, mean, width=0.72, color=BLUE, alpha=0.8, yerr=error, capsize=2, error_kw={"elinewidth": 0.9})
        axis.annotate(
            f"{len(values):,}", (letters, mean + error), (0, 3), textcoords="offset points", ha="center", fontsize=7,
            color="0.4",
        )  # fmt: skip
        top = max(top, mean + error)
    beside = (
        f"; not drawn: {len(others):,} of {len(words):,} words, of length {'/'.join(map(str, sorted(set(others))))}"
    )
    axis.set(xlim=(1.4, 12.6), ylim=(0, 1.12 * top))
    axis.set_xlabel("length of the word (letters)" + (beside if others else ""))
    axis.set_xticks(LENGTHS)
    axis.set_ylabel(r"$H_{\mathrm{gap}}$, nats a step")
    figure.suptitle(f"{block['title']}\n{label(run)}; error bars: standard error; above: number of words", fontsize=10)
    figure.tight_layout(rect=(0, 0.025, 1, 1))
    return figure, origin(results, [run])
