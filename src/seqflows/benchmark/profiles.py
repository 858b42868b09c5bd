"""Where the time of a training step, and of sampling, goes: the shares of torch's operators by their sort.

A ratio to a step's own arithmetic says how much is lost; these shares say to what. Other load hardly changes them.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import torch
from torch.profiler import ProfilerActivity, profile

from seqflows.benchmark import language, measure, questions, translation, words

SORTS = {  # columns, by how the names of their operators begin
    "lstm": ("mkldnn_rnn", "lstm"),
    "products": ("mm", "addmm", "bmm", "baddbmm", "mv", "addmv", "dot", "linalg_lu", "linalg_solve", "_scaled_dot"),
    "noise": ("normal_", "bernoulli_", "uniform_", "multinomial", "exponential_"),
    "copies": ("cat", "copy_", "index", "gather", "scatter", "embedding", "fill_", "zero_", "flip", "masked_"),
}
PROFILES = ("what", "model", *SORTS, "elementwise", "between")
CHOSEN = ("squad-qg", "squad-qg-lang_flow", "squad-qg-flowseq", "wmt16-nmt", "wmt16-nmt-lang_flow")


class Timed(NamedTuple):
    """What is looked at: a training step or sampling of a model."""

    what: str
    model: str
    call: Callable[[], Any]


def sort(operator: str) -> str:
    """The column of an operator's own time.

    >>> [sort(f"aten::{name}") for name in ("addmm", "mkldnn_rnn_layer_backward", "index_select", "tanh")]
    ['products', 'lstm', 'copies', 'elementwise']
    >>> sort("autograd::engine::evaluate_function: MulBackward0")
    'between'
    """
    if not operator.startswith("aten::"):
        return "between"
    name = operator.removeprefix("aten::")
    return next((column for column, starts in SORTS.items() if name.startswith(starts)), "elementwise")


def shares(call: Callable[[], Any]) -> dict[str, float]:
    """The share of each sort of operator in the wall time of a call, on one thread, after one call before.

    ``elementwise`` has all operators of no other sort: maps of each element, sums, normalisations, the optimiser's.
    ``between`` is outside of all operators: Python, autograd's bookkeeping, and that of the measurement.
    """
    torch.set_num_threads(1)
    call()
    with profile(activities=[ProfilerActivity.CPU]) as found:
        started = time.perf_counter()
        call()
        wall = time.perf_counter() - started
    own: dict[str, float] = defaultdict(float)
    for event in found.key_averages():
        own[sort(event.key)] += event.self_cpu_time_total / 1e6
    known = {column: own[column] / wall for column in PROFILES[2:-1]}
    return known | {"between": max(0.0, 1 - sum(known.values()))}


def timed() -> Iterator[Timed]:
    """The steps of every other part, writing of texts, and sampling from AF / AF and from a flow left to right."""
    for shape in measure.shapes():
        trained = measure.trainer(shape, "cpu")
        yield Timed("step", f"{shape.shape}: {shape.model}", lambda trained=trained: measure.step(trained))
    for name, call in words.steps():
        yield Timed("step", name, call)
    for part in (questions, translation):
        for name, call in part.steps(chosen=CHOSEN):
            yield Timed("step", name, call)
        for name, call in part.searches(chosen=CHOSEN):
            yield Timed("writing", name, call)
    for name, built in language.steps():
        yield Timed("step", name, built.step)
        if "AR" in name:
            yield Timed("sampling", name, built.sample)
    for shape in measure.shapes():
        if shape.reference_sampling is not None:
            yield Timed("sampling", shape.name, measure.sampler(shape.build().eval(), measure.SAMPLED))


def run(calls: Iterable[Timed] | None = None) -> list[dict[str, Any]]:
    """The shares in each call, in percent."""
    rows = []
    for what, model, call in calls or timed():
        found = {column: round(100 * share, 1) for column, share in shares(call).items()}
        rows.append({"what": what, "model": model, **found})
        print(
            f"  {what}, {model}: " + ", ".join(f"{column} {share:.0f} %" for column, share in found.items()), flush=True
        )
    return rows
