"""The pages of each kind of data: one module per page, with ``page(results, title, cells) -> Page``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from seqflows import kinds
from seqflows.errors import Problem
from seqflows.report.inputs import Results
from seqflows.report.page import Page


def of_kind(results: Results, runs: Sequence[str]) -> Callable[[Results, str, Sequence[Any]], Page]:
    """The ``page`` function for a table of these runs; without runs that of sequences.

    Raises:
        Problem: runs whose kinds of data have different pages.
    """
    shown = dict.fromkeys(results.params.kind(run) for run in runs)
    modules = list(dict.fromkeys(kinds.of(kind).report for kind in shown)) or [kinds.of("text").report]
    if len(modules) > 1:
        raise Problem(f"expected runs of one kind of data in a table, got {', '.join(shown)}; make a table of each")
    return kinds.load(modules[0]).page
