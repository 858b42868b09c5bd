"""Figure 2: entropies of the next symbol over training, and the gap along the steps of generated words."""

from __future__ import annotations

from typing import Any

from seqflows import paths
from seqflows.errors import Problem
from seqflows.report import gaps
from seqflows.report.inputs import Results
from seqflows.report.plots.common import BLUE, GREY, ORANGE, RED, export, label, origin
from seqflows.report.plots.curves import Curve, curve, line

BASELINE = "entropy_expected"


def draw(results: Results, block: dict[str, Any]) -> tuple[Any, str]:
    """Draw, left, marginal, expected and gap by epoch, other runs' entropy dashed; right, boxes per step."""
    from matplotlib import pyplot

    run, *baselines = block["runs"]
    words = gaps.read(export(results, run, "gaps.csv", named=False))
    marginal, expected = (curve(results, run, f"entropy_{name}") for name in ("marginal", "expected"))
    if not marginal or not expected:
        raise Problem(
            f"expected entropy_marginal and entropy_expected in {paths.train(results.scale, run)}/seed-*/history.csv, "
            f"found none; run: python -m seqflows train {results.scale}/{run}"
        )
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(7.4, 3.3), width_ratios=(1.15, 1))
    line(left, marginal, BLUE, "marginal", "-")
    line(left, expected, ORANGE, "expected", "-")
    line(left, difference(marginal, expected), RED, r"$H_{\mathrm{gap}}$", "-")
    for baseline in baselines:
        if summary := results.summary(baseline, BASELINE, optional=True):
            left.axhline(summary.value, ls="--", color="0.35", lw=1.0, label=label(baseline))
    drawn = ((results.params.runs[run].get(results.scale) or {}).get("training") or {}).get("drawn")
    left.set(xlabel=f"epoch ({drawn:,} words each)" if drawn else "epoch", ylabel="entropy of a symbol, nats")
    left.set_ylim(0, 1.3 * left.get_ylim()[1])
    left.locator_params(axis="x", integer=True)
    left.legend(loc="upper center", ncols=2)
    left.set_title("over training", loc="left")
    steps = gaps.at_steps(words)
    if not steps:
        raise Problem(
            f"expected at least {gaps.LEAST} words in gaps.csv of {run}, got {len(words)}; raise evaluation.gap_words"
        )
    right.boxplot(
        [steps[step] for step in sorted(steps)], positions=sorted(steps), widths=0.6, whis=(5, 95), showfliers=False,
        patch_artist=True, boxprops={"facecolor": GREY, "lw": 0.7}, medianprops={"color": RED, "lw": 1.3},
        whiskerprops={"lw": 0.7}, capprops={"lw": 0.7},
    )  # fmt: skip
    top = 1.24 * right.get_ylim()[1]  # room for the numbers of words
    for step, values in steps.items():
        right.text(step, 0.99 * top, f"{len(values):,}", rotation=90, ha="center", va="top", fontsize=7, color="0.4")
    late = f"; later ones have fewer than {gaps.LEAST} words" if max(map(len, words)) > max(steps) else ""
    right.set(xlabel=f"step t (the end symbol's included{late})", ylabel=r"$H_{\mathrm{gap}}$, nats", ylim=(0, top))
    right.set_title("along generated words; above: how many", loc="left")
    figure.suptitle(
        f"{block['title']}\n{label(run)}; boxes: quartiles, whiskers: 5 to 95 % of the words still alive, "
        f"{len(words):,} at step 1",
        fontsize=10,
    )
    figure.tight_layout(rect=(0, 0.025, 1, 1))
    return figure, origin(results, block["runs"])


def difference(first: Curve, second: Curve) -> Curve:
    """The difference by seed, at the epochs that both have."""
    return {
        epoch: [a - b for a, b in zip(first[epoch], second[epoch], strict=True)] for epoch in first if epoch in second
    }
