"""What the audit knows of a paper beside its printed numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from seqflows.report.cells import printed_tables
from seqflows.report.judging import Finding, Numbers


@dataclass(frozen=True)
class Claim:
    """A sentence of the paper, where it stands, how it is read here, and the predicate."""

    name: str
    section: str
    says: str
    read: str
    judge: Callable[[Numbers], Finding]


class Deviation(NamedTuple):
    """One point on which paper, released code and this project differ."""

    what: str
    paper: str
    code: str
    here: str
    why: str


class Contradiction(NamedTuple):
    """A statement of the paper that its own numbers, its formulas or the public data contradict."""

    where: str
    says: str
    derivation: str


class Assumption(NamedTuple):
    """A choice that the text leaves open, and the value that it has here."""

    what: str
    paper: str
    here: str
    why: str


@dataclass(frozen=True)
class Paper:
    """One audited paper; ``name`` is what params.yaml calls it in ``reproduces``."""

    name: str
    title: str
    claims: tuple[Claim, ...]
    deviations: tuple[Deviation, ...]
    contradictions: tuple[Contradiction, ...]
    assumptions: tuple[Assumption, ...] = ()
    convention: str = ""  # how the claims read ours, where that needs saying

    @property
    def tables(self) -> list[str]:
        """Its printed tables, by name."""
        return [table for table in printed_tables() if table.startswith(f"{self.name}-")]
