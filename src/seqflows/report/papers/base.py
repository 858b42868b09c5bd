"""Reading and checking a paper's folder: printed tables and the audit's data.

``paper.yaml`` makes a folder a paper. Beside it are a csv for each printed table, ``settings.json``, ``deviations``,
``contradictions`` and, optionally, ``assumptions``, ``causes`` and ``answers`` as yaml; and ``claims.py``, with its
CLAIMS.
"""

from __future__ import annotations

import csv
import functools
import importlib
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from seqflows import files, params
from seqflows.errors import Problem
from seqflows.names import near, refuse_unknown

if TYPE_CHECKING:
    from seqflows.report.judging import Finding, Numbers

FOLDER = Path(__file__).parent
STATUSES = ("reproduce", "quoted", "human")
CAUSES = {  # of a cell's difference, which a run that differs in that alone can measure
    "size": "smaller models than the paper's",
    "budget": "less training than the paper's",
    "corpus": "other or less text than the paper's",
    "estimator": "another estimate of the same number",
    "reading": "another reading of the paper's text",
}
OWN = "own"  # in a cause: the run of each of its cells
CELL = ("row", "column", "unit", "reported", "status", "section", "note")  # the columns of a printed table
Row = TypeVar("Row", bound=tuple)


@dataclass(frozen=True)
class Claim:
    """A sentence of the paper word for word, its section, its interpretation here, and the predicate.

    A ``check`` is no claim of the paper: a question of ours to its numbers, and ``says`` what it is about.
    """

    name: str
    section: str
    says: str
    read: str
    judge: Callable[[Numbers], Finding]
    check: bool = False

    @property
    def said(self) -> str:
        """What it is about: a quotation, of a claim.

        >>> Claim("", "", "it is best", "", None).said, Claim("", "", "it is best", "", None, check=True).said
        ('“it is best”', 'a check of ours: it is best')
        """
        return f"a check of ours: {self.says}" if self.check else f"“{self.says}”"


class Deviation(NamedTuple):
    """One point on which paper, released code and this project differ.

    ``touches`` are patterns of the names of the runs whose numbers it can change, as a shell has them, "!" before those
    of exceptions; "-" if it changes none.
    """

    what: str
    paper: str
    code: str
    here: str
    why: str
    touches: str
    witness: str = ""  # the title of one, which computes it

    def of(self, run: str) -> bool:
        """Whether it can change a run's numbers.

        >>> one = Deviation("", "", "", "", "", touches="ptb-* !*-lstm")
        >>> one.of("ptb-af_af"), one.of("ptb-lstm"), one.of("jsb-af_af")
        (True, False, False)
        """
        patterns = self.touches.split()
        barred = [pattern[1:] for pattern in patterns if pattern[0] == "!"]
        found = [pattern for pattern in patterns if pattern[0] != "!"]
        return any(fnmatchcase(run, one) for one in found) and not any(fnmatchcase(run, one) for one in barred)


class Contradiction(NamedTuple):
    """A statement of the paper that its own numbers, its formulas or the public data contradict."""

    where: str
    says: str
    derivation: str
    witness: str = ""


class Assumption(NamedTuple):
    """A choice that the text leaves open, and its value here."""

    what: str
    paper: str
    here: str
    why: str
    witness: str = ""


class Cause(NamedTuple):
    """A hypothesis on why cells differ: a run that differs from theirs in that alone.

    ``cells`` has patterns of the table, the row and the column, as a shell has them, between bars; ``cause`` is a key
    of `CAUSES`; ``changed`` is the run, or ``<run>.<metric>`` for another number of a run, such as another estimate;
    the run `OWN` is each cell's own, and ``own-long`` the one named like it with ``-long`` behind, if there is one.
    ``times`` multiplies the changed number, such as 1 / log 2 where bits are read.
    ``until`` asks for a trend instead: ``changed`` has fewer training sequences than the run ``against``, and the line
    through both in the logarithm of their number is continued to ``until``, that of the paper.
    ``one_of``, ``<group>: <choice>``, names what it excludes: hypotheses of its group with another choice.
    """

    cells: str
    cause: str
    changed: str
    why: str
    times: str = "1"
    against: str = ""
    until: str = ""
    one_of: str = ""

    @property
    def choice(self) -> tuple[str, str]:
        """The group and the choice of ``one_of``; both empty without."""
        group, _, choice = self.one_of.partition(": ")
        return group, choice

    @property
    def sequences(self) -> int:
        """``until`` as a number."""
        return int(self.until)

    @property
    def factor(self) -> float:
        """``times`` as a number."""
        return float(self.times)

    def of(self, table: str, row: str, column: str) -> bool:
        """Whether it is about a cell.

        >>> one = Cause("table4 | Att-S | SQuAD*", "size", "squad-att_s-deep", "")
        >>> one.of("table4", "Att-S", "SQuAD Article"), one.of("table4", "Att-S", "TVQA Subtitle")
        (True, False)
        """
        patterns = [pattern.strip() for pattern in self.cells.split("|")]
        return all(map(fnmatchcase, (table, row, column), patterns))

    def number(self, run: str, metric: str) -> tuple[str, str]:
        """The changed run and its metric, of a cell with a run and a metric.

        >>> Cause("", "", "words-gru16", "").number("words-gru8", "known")
        ('words-gru16', 'known')
        >>> Cause("", "", "own.known_wide", "").number("words-gru8", "known")
        ('words-gru8', 'known_wide')
        >>> Cause("", "", "own-long", "").number("ptb-af_af", "nll")
        ('ptb-af_af-long', 'nll')
        """
        changed, _, other = self.changed.partition(".")
        if changed == OWN or changed.startswith(f"{OWN}-"):
            changed = run + changed.removeprefix(OWN)
        return changed, other or metric


class Term(NamedTuple):
    """What a row or column of the tables is that the paper has not, or does not say."""

    term: str
    means: str


class Answer(NamedTuple):
    """What a reader of the paper asks first: a statement of it in short, the name of its claim, and cells that show it.

    ``cells`` are ``<table> | <row> | <column>`` each, with semicolons between. ``beside`` is a check of ours without
    which the verdict on our numbers would mislead: its own verdict stands behind.
    """

    says: str
    claim: str
    cells: str
    beside: str = ""

    @property
    def shown(self) -> list[tuple[str, ...]]:
        """Table, row and column of each cell, the table without its paper's name.

        >>> Answer("", "", "table1 | AF / AF | KL; table1 | LSTM | KL").shown
        [('table1', 'AF / AF', 'KL'), ('table1', 'LSTM', 'KL')]
        """
        return [tuple(part.strip() for part in cell.split("|")) for cell in self.cells.split(";")]


@dataclass(frozen=True)
class Paper:
    """One audited paper; ``name`` is that of its folder, used by ``reproduces`` in params.yaml."""

    name: str
    title: str
    claims: tuple[Claim, ...]
    deviations: tuple[Deviation, ...]
    contradictions: tuple[Contradiction, ...]
    assumptions: tuple[Assumption, ...]
    causes: tuple[Cause, ...]
    answers: tuple[Answer, ...]
    terms: tuple[Term, ...]
    convention: str  # convention of our numbers in the claims, if needed

    @property
    def tables(self) -> list[str]:
        """Its printed tables, by name."""
        return [table for table in printed_tables() if table.startswith(f"{self.name}-")]


def names() -> list[str]:
    """The papers, by name."""
    return sorted(path.parent.name for path in FOLDER.glob("*/paper.yaml"))


@functools.cache
def papers() -> dict[str, Paper]:
    """Every paper, by name."""
    return {name: read(FOLDER / name) for name in names()}


def read(folder: Path) -> Paper:
    """Read a paper's folder; an invalid key or value is a `Problem` that names the file."""
    path = folder / "paper.yaml"
    for name in (path.name, "deviations.yaml", "contradictions.yaml", "claims.py"):
        if not (folder / name).exists():
            raise Problem(f"expected {folder / name}, found none; write it")
    optional = ("assumptions", "causes", "answers", "terms")
    left_open, tried, asked, named = (folder / f"{name}.yaml" for name in optional)
    head = _texts(str(path), params.written(path), ("title",), {"convention": "", "code": ""})
    shared = {"code": head["code"]} if head["code"] else {}
    claims = importlib.import_module(f"{__package__}.{folder.name}.claims").CLAIMS
    return Paper(
        name=folder.name,
        title=head["title"],
        claims=claims,
        deviations=_rows(folder / "deviations.yaml", Deviation, shared),
        contradictions=_rows(folder / "contradictions.yaml", Contradiction),
        assumptions=_rows(left_open, Assumption) if left_open.exists() else (),
        causes=_causes(tried) if tried.exists() else (),
        answers=_answers(asked, [claim.name for claim in claims]) if asked.exists() else (),
        terms=_rows(named, Term) if named.exists() else (),
        convention=head["convention"],
    )


def _causes(path: Path) -> tuple[Cause, ...]:
    """The entries of causes.yaml."""
    found = _rows(path, Cause)
    for number, one in enumerate(found, 1):
        if one.cause not in CAUSES:
            raise Problem(
                f"expected a cause of {', '.join(CAUSES)} in entry {number} of {path}, got {one.cause!r}"
                f"{near(one.cause, CAUSES)}"
            )
        if one.cells.count("|") != 2:
            raise Problem(
                f"expected patterns of table, row and column between bars for cells in entry {number} of {path}, got "
                f"{one.cells!r}; write a pattern for each"
            )
        if not re.fullmatch(r"\d+(\.\d+)?", one.times) or not one.factor:
            raise Problem(f"expected a number above 0 for times in entry {number} of {path}, got {one.times!r}")
        if bool(one.until) != bool(one.against) or not re.fullmatch(r"([1-9]\d*)?", one.until):
            raise Problem(
                f"expected against and until, a number of sequences, together in entry {number} of {path}, got "
                f"{one.against!r} and {one.until!r}; a trend needs both, other entries neither"
            )
    return found


def _answers(path: Path, claims: Collection[str]) -> tuple[Answer, ...]:
    """The entries of answers.yaml."""
    found, paper = _rows(path, Answer), path.parent.name
    tables = {cell[0] for one in found for cell in one.shown}
    known = {(table, row["row"], row["column"]) for table in tables for row in printed(f"{paper}-{table}")}
    for number, one in enumerate(found, 1):
        for name in filter(None, (one.claim, one.beside)):
            if name not in claims:
                raise Problem(
                    f"expected the name of a claim in entry {number} of {path}, got {name!r}{near(name, claims)}"
                )
        for cell in one.shown:
            if cell not in known:
                raise Problem(
                    f"expected table, row and column of printed cells, with bars between, in entry {number} of {path}, "
                    f"got {list(cell)}"
                )
    return found


def _rows(path: Path, row: Callable[..., Row], shared: Mapping[str, str] | None = None) -> tuple[Row, ...]:
    """The entries of a yaml file; they may omit the ``shared`` values and what their type has a default of."""
    content = params.written(path)
    if not isinstance(content, list):
        raise Problem(f"expected a list in {path}, got {type(content).__name__}; begin each entry with '- '")
    optional = {**row._field_defaults, **(shared or {})}
    required = [name for name in row._fields if name not in optional]
    return tuple(
        row(**_texts(f"entry {number} of {path}", entry, required, optional)) for number, entry in enumerate(content, 1)
    )


def _texts(where: str, entry: Any, required: Iterable[str], optional: Mapping[str, str]) -> dict[str, str]:
    """A block whose values are texts, with defaults for optional ones."""
    if not isinstance(entry, Mapping):
        raise Problem(f"expected keys and texts in {where}, got {entry!r}; write key: text")
    refuse_unknown(where, map(str, entry), [*required, *optional])
    for key in required:
        if key not in entry:
            raise Problem(f"expected the key {key} in {where}, got none; add it")
    for key, value in entry.items():
        if not isinstance(value, str) or not value.strip():
            raise Problem(
                f"expected a text for {key} in {where}, got {value!r}; write one, in quotes if it is a number"
            )
    return {**optional, **entry}


def printed_tables() -> list[str]:
    """The printed tables, by name: ``<paper>-<table>`` for each csv in a paper's folder."""
    return sorted(f"{path.parent.name}-{path.stem}" for path in FOLDER.glob("*/*.csv"))


def printed(table: str) -> list[dict[str, str]]:
    """The printed cells of a table in the paper's order; empty for a table that is not from a paper.

    Raises:
        Problem: other columns, an unknown status, or an invalid number.
    """
    paper, _, name = table.partition("-")
    path = FOLDER / paper / f"{name}.csv"
    if not path.exists():
        return []
    with open(path, newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        rows = list(reader)
    refuse_unknown(str(path), reader.fieldnames or (), CELL)
    for number, row in enumerate(rows, 2):
        where = f"line {number} of {path}"
        if None in row or any(row.get(key) is None for key in CELL):
            raise Problem(f"expected {', '.join(CELL)} in {where}, got {len(row)} values; quote what has commas")
        if row["status"] not in STATUSES:
            nearest = near(row["status"], STATUSES)
            raise Problem(f"expected a status of {', '.join(STATUSES)} in {where}, got {row['status']!r}{nearest}")
        if row["status"] != "human" and not _number(row["reported"]):
            raise Problem(f"expected a number as printed in {where}, got {row['reported']!r}; correct it")
    return rows


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def settings() -> dict[str, dict[str, Any]]:
    """The settings of each run in its paper, for all papers; the released code's where it has them otherwise or alone.

    The code made the numbers. Where it contradicts the text, the deviations say so.
    """
    found: dict[str, dict[str, Any]] = {}
    for path in (FOLDER / name / "settings.json" for name in names()):
        content = files.read_json(path) if path.exists() else {}
        if not isinstance(content, dict) or not all(isinstance(block, dict) for block in content.values()):
            raise Problem(f"expected a block of settings for each run in {path}, got another value; correct it")
        if twice := sorted(found.keys() & content.keys()):
            raise Problem(f"expected the settings of a run in one paper, got {', '.join(twice)} again in {path}")
        found |= content
    return found
