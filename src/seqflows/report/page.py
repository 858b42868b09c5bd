"""A page of results as values; a writer, such as `report.markdown`, puts them into the signs of its format.

Builders know no format: a writer has to be able to escape every text, to set numeric columns, to show a status by a
colour and to derive an anchor from the headings. A line break within a text is a break of the source alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Strong:
    """What a reader must not miss."""

    text: str


@dataclass(frozen=True)
class Emphasis:
    """A term, where it is explained or about which something is said."""

    text: str


@dataclass(frozen=True)
class Code:
    """A file, a command or a setting."""

    text: str


@dataclass(frozen=True)
class Foreign:
    """What others wrote, such as a model: every sign is shown as it is."""

    text: str


@dataclass(frozen=True)
class Link:
    """A file's path, which leads to it."""

    path: str


@dataclass(frozen=True)
class Status:
    """A text with a status, such as a verdict, that a writer may show by more than the text."""

    text: str
    status: str


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
    """An item of a list, and those below it."""

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
        header: a heading a column.
        rows: the cells, row by row.
        left: how many columns are names; the others are numbers, and flush right.
        wide: whether the cells are running text, all of it flush left.
    """

    header: Sequence[Text]
    rows: Sequence[Sequence[Text]]
    left: int = 1
    wide: bool = False


Block = Heading | Paragraph | Facts | Table


@dataclass(frozen=True)
class Page:
    """A page: its title and what stands below it."""

    title: str
    blocks: Sequence[Block] = field(default_factory=tuple)


PROSE = re.compile(r"`(?P<code>[^`]+)`|(?<!\w)\*(?P<emphasis>\w(?:[^*]*\w)?)\*(?!\w)")


def prose(text: str) -> Text:
    """Running text as people write it in a data file, with ``*emphasis*`` and ```code```; other signs are signs.

    >>> prose("ε* of `params.yaml`, *or not*")
    ('ε* of ', Code(text='params.yaml'), ', ', Emphasis(text='or not'))
    """
    parts: list[Inline] = []
    end = 0
    for found in PROSE.finditer(text):
        parts += [text[end : found.start()], Code(found["code"]) if found["code"] else Emphasis(found["emphasis"])]
        end = found.end()
    return tuple(part for part in (*parts, text[end:]) if part) if parts else text


def listed(texts: Iterable[Text | Fact]) -> list[Block]:
    """A list of facts as blocks; nothing where there are none."""
    items = list(texts)
    return [Facts(items)] if items else []
