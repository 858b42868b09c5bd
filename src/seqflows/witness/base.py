"""What a witness is, and what its computations share."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch

from seqflows.errors import Problem
from seqflows.report.page import Text
from seqflows.report.papers import base

ERRORS = 5  # standard errors that a difference must exceed to count
AGREEING = 4  # standard errors within which two numbers count as equal


@dataclass(frozen=True)
class Found:
    """The numbers of a witness, a table whose ``left`` first columns are names, and the conclusion."""

    header: Sequence[Text]
    rows: Sequence[Sequence[Text]]
    concluded: str
    left: int = 1


@dataclass(frozen=True)
class Witness:
    """A number of a paper, and the computation that testifies against it.

    Attributes:
        name: of the command line.
        title: the heading, by which the audit's entries name it.
        paper: the paper's folder.
        place: where it is in the paper.
        printed: what the paper prints.
        computed: what is computed, in one or two sentences.
        find: the computation; a `Problem` if the claim does not hold.
    """

    name: str
    title: str
    paper: str
    place: str
    printed: str
    computed: str
    find: Callable[[], Found]

    def entries(self) -> list[tuple[str, str]]:
        """The audit's entries that it is the witness of: the file, and the entry's ``where`` or ``what``.

        Raises:
            Problem: there is none.
        """
        paper = base.papers()[self.paper]
        found = [
            (file, row[0])
            for file in ("contradictions", "deviations", "assumptions")
            for row in getattr(paper, file)
            if row.witness == self.title
        ]
        if not found:
            raise Problem(
                f"expected an entry with the witness {self.title!r} in contradictions.yaml, deviations.yaml or "
                f"assumptions.yaml of {self.paper}, got none; name it there"
            )
        return found


def hold(condition: bool, expected: str, got: str) -> None:
    """Raise a `Problem` unless the ``condition`` holds."""
    if not condition:
        raise Problem(f"expected {expected}, got {got}; this witness does not hold: look for the error in it")


def cells(table: str, column: str) -> dict[str, float]:
    """The printed numbers of a column, by row, without those that the paper quotes."""
    rows = [row for row in base.printed(table) if row["column"] == column and row["status"] == "reproduce"]
    return {row["row"]: float(row["reported"]) for row in rows}


@contextlib.contextmanager
def seeded(seed: int = 0) -> Iterator[torch.Generator]:
    """A generator of the seed; torch's own stream is seeded too, and afterwards as it was before."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield torch.Generator().manual_seed(seed)


def within(value: float, error: float, digits: int = 3) -> str:
    """A value and its standard error as text.

    >>> within(1.0, 0.0304)
    '1.000 ± 0.030'
    """
    return f"{value:.{digits}f} ± {error:.{digits}f}"
