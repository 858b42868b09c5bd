"""Markdown that also reads well in a terminal: padded tables, numbers with their errors."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from seqflows.report.inputs import Summary

NOTHING = "–"  # an empty cell of a table
NOT_RUN = "not run"


def table(header: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> list[str]:
    """A markdown table, columns padded to equal width; the first ``left`` columns flush left, the others right."""
    cells = [list(header), *([str(cell).replace("|", "\\|") for cell in row] for row in rows)]
    widths = [max(3, *(len(row[column]) for row in cells)) for column in range(len(header))]

    def line(row: Sequence[str]) -> str:
        pairs = enumerate(zip(row, widths, strict=True))
        return "| " + " | ".join(c.ljust(w) if i < left else c.rjust(w) for i, (c, w) in pairs) + " |"

    rule = ["-" * w if i < left else "-" * (w - 1) + ":" for i, w in enumerate(widths)]
    return [line(cells[0]), "| " + " | ".join(rule) + " |", *(line(row) for row in cells[1:])]


def wide(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A markdown table of running text, not padded."""
    lines = ["| " + " | ".join(header) + " |", "|" + " --- |" * len(header)]
    return lines + ["| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in rows]


def plain(text: str) -> str:
    r"""Running text with markdown's own signs as they are: a tag such as ``<unk>`` would not be shown.

    >>> print(plain("a <unk> of_it"))
    a \<unk> of\_it
    """
    return re.sub(r"([\\`*_<\[])", r"\\\1", text)


def number(summary: Summary | None, digits: int = 3, *, error: bool = True) -> str:
    """``1.437 ± 0.004 (0.012)``: mean ± std over seeds (s.e. over sequences); what is unknown is left out.

    So is the spread of what does not depend on the seed, such as a number of parameters.
    """
    if summary is None:
        return NOT_RUN
    text = f"{summary.value:.{digits}f}"
    if summary.std:
        text += f" ± {summary.std:.{digits}f}"
    if error and summary.standard_error is not None:
        text += f" ({summary.standard_error:.{digits}f})"
    return text
