"""``make witness``: compute every witness and write their page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from seqflows import compute, files, paths
from seqflows.errors import Problem
from seqflows.report import markdown
from seqflows.report.page import Block, Code, Heading, Page, Paragraph, Strong, Table, parts, prose
from seqflows.report.papers import base
from seqflows.witness import schmidt2018, tang2021, ziegler2019
from seqflows.witness.base import Found, Witness

WITNESSES = (*tang2021.WITNESSES, *schmidt2018.WITNESSES, *ziegler2019.WITNESSES)


def section(one: Witness, found: Found) -> Iterator[Block]:
    """The blocks of a witness."""
    yield Heading(2, one.title)
    where = ", ".join(f"“{name}” ({file})" for file, name in one.entries())
    yield Paragraph((Strong(base.papers()[one.paper].title), f", {one.place}. In the audit: {where}."))
    for lead, text in (("Printed.", one.printed), ("Computed.", one.computed)):
        yield Paragraph((Strong(lead), " ", *parts(prose(text))))
    yield Table(found.header, found.rows, left=found.left)
    yield Paragraph((Strong("Hence."), f" {found.concluded}"))


def page(found: Iterable[tuple[Witness, Found]]) -> Page:
    """The page of all witnesses."""
    blocks: list[Block] = [
        Paragraph(
            (
                "Numbers that the papers print and that cannot be, or that no reader can interpret, each with a "
                "computation that shows it. ",
                Code("make witness"),
                " computes them all anew, from fixed seeds, with this project's flows, models and estimators and with "
                "embedded sources; it needs no data and no network, and fails if one does not hold. Only numbers that "
                "are called printed are not computed. Values after ± are standard errors. Models here are small: they "
                "show that a definition or an estimator moves a number, not by how much it moved the paper's.",
            )
        )
    ]
    for one, numbers in found:
        blocks += section(one, numbers)
    return Page("Numbers that cannot be, and their witnesses", blocks)


def run(path: Path | None = None) -> None:
    """Compute every witness, print its conclusion and write the page; a `Problem` names the witness that fails."""
    compute.prepare({"device": "cpu"}, "demo", training=True)
    found = []
    for one in WITNESSES:
        one.entries()
        try:
            found.append((one, one.find()))
        except Problem as problem:
            raise Problem(f"{one.name}: {problem}") from problem
        print(f"{one.name}: {found[-1][1].concluded}", flush=True)
    path = path or paths.witnesses()
    files.write_text(path, markdown.written(page(found)))
    print(f"wrote {path}")
