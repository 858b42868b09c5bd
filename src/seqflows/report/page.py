"""A page of results as typed values, independent of a format; a writer such as `report.markdown` renders it.

Builders use no format: a writer can escape every text, align numeric columns, show a status by a
colour and derive an anchor from the headings. A line break within a text only breaks the source.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Strong:
    """Strong text: important for every reader."""

    text: str


@dataclass(frozen=True)
class Emphasis:
    """Emphasised text: a term that is explained or discussed."""

    text: str


@dataclass(frozen=True)
class Code:
    """Code: a file, a command or a setting."""

    text: str


@dataclass(frozen=True)
class Foreign:
    """Foreign text, such as a model's: every character is shown as it is."""

    text: str


@dataclass(frozen=True)
class Link:
    """A link to a file by its path, or to one of its headings, shown as the ``text`` if there is one."""

    path: str
    text: str = ""


@dataclass(frozen=True)
class Status:
    """A text with a status, such as a verdict, that a writer may also show by colour.

    One that ``leads`` a longer text is what its reader looks for there: a writer without colours shows it strong.
    """

    text: str
    status: str
    leads: bool = False


Inline = str | Strong | Emphasis | Code | Foreign | Link | Status
Text = Inline | tuple[Inline, ...]


@dataclass(frozen=True)
class Heading:
    """A heading below the title, which has level 1."""

    level: int
    text: Text


@dataclass(frozen=True)
class Paragraph:
    """Running text."""

    text: Text


@dataclass(frozen=True)
class Fact:
    """An item of a list, with nested items."""

    text: Text
    under: Sequence[Text | Fact] = ()


@dataclass(frozen=True)
class Facts:
    """A list of facts."""

    items: Sequence[Text | Fact]


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        header: one heading per column.
        rows: the cells, row by row.
        left: the number of columns with names; the others are numbers, flush right.
        wide: whether the cells are running text, all of it flush left.
    """

    header: Sequence[Text]
    rows: Sequence[Sequence[Text]]
    left: int = 1
    wide: bool = False


@dataclass(frozen=True)
class Picture:
    """A picture, by its path from the page, and what it shows."""

    path: str
    text: str


Block = Heading | Paragraph | Facts | Table | Picture


@dataclass(frozen=True)
class Page:
    """A page: its title and its blocks."""

    title: str
    blocks: Sequence[Block] = field(default_factory=tuple)


PROSE = re.compile(r"`(?P<code>[^`]+)`|(?<!\w)\*(?P<emphasis>\w(?:[^*]*\w)?)\*(?!\w)")


def prose(text: str) -> Text:
    """Parse running text of a data file with ``*emphasis*`` and ```code```; other characters are literal.

    >>> prose("ε* of `params.yaml`, *or not*")
    ('ε* of ', Code(text='params.yaml'), ', ', Emphasis(text='or not'))
    """
    parts: list[Inline] = []
    end = 0
    for found in PROSE.finditer(text):
        parts += [text[end : found.start()], Code(found["code"]) if found["code"] else Emphasis(found["emphasis"])]
        end = found.end()
    return tuple(part for part in (*parts, text[end:]) if part) if parts else text


def parts(text: Text) -> tuple[Inline, ...]:
    """The pieces of a text, to put others beside them."""
    return text if isinstance(text, tuple) else (text,)


def anchor(heading: str) -> str:
    """The anchor of a heading, as GitHub derives it.

    >>> anchor("CategoricalNF's 1.27 beside “1.42”")
    'categoricalnfs-127-beside-142'
    """
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def listed(texts: Iterable[Text | Fact]) -> list[Block]:
    """A list of facts as blocks; empty without facts."""
    items = list(texts)
    return [Facts(items)] if items else []
