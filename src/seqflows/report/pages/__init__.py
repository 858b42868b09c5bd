"""How each kind of data is put on a page: a module a kind, with ``page(results, title, cells) -> Page``."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any

from seqflows.errors import Problem
from seqflows.report.inputs import Results
from seqflows.report.page import Page
from seqflows.report.pages import shared

# Kind of dataset -> module; tables of what models wrote have `texts`.
KINDS = {
    "text": "sequences",
    "music": "sequences",
    "vectors": "sequences",
    "words": "words",
    "language": "language",
}


def of_kind(results: Results, runs: Sequence[str]) -> Callable[[Results, str, Sequence[Any]], Page]:
    """What makes the page of a table of these runs; one without runs has that of sequences.

    Raises:
        Problem: runs whose kinds of data have different pages.
    """
    kinds = dict.fromkeys(shared.kind(results, run) for run in runs)
    modules = list(dict.fromkeys(KINDS[kind] for kind in kinds)) or ["sequences"]
    if len(modules) > 1:
        raise Problem(f"expected runs of one kind of data in a table, got {', '.join(kinds)}; make a table of each")
    return importlib.import_module(f"seqflows.report.pages.{modules[0]}").page
