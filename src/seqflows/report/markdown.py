"""A writer of pages as markdown, with padded tables for reading in a terminal."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from seqflows.report.page import (
    Block,
    Code,
    Emphasis,
    Fact,
    Facts,
    Foreign,
    Heading,
    Link,
    Page,
    Paragraph,
    Picture,
    Status,
    Strong,
    Table,
    Text,
)  # fmt: skip


def written(page: Page) -> str:
    """The markdown of a whole page."""
    return blocks([Heading(1, page.title), *page.blocks]) + "\n"


def blocks(found: Iterable[Block]) -> str:
    """Blocks separated by empty lines, without one at the end."""
    return "\n\n".join(_block(block) for block in found)


def _block(block: Block) -> str:
    match block:
        case Heading(level, text):
            return "#" * level + f" {inline(text)}"
        case Paragraph(text):
            return inline(text)
        case Facts(items):
            return "\n".join(_facts(items, 0))
        case Picture(path, text):
            return f"![{text}]({path})"
        case Table():
            return "\n".join(_wide(block) if block.wide else _padded(block))


def inline(text: Text) -> str:
    r"""A text with its marks; markdown's special characters are escaped only in foreign text.

    >>> print(inline(("a", Strong("b"), Foreign(" <unk> of_it"), Status(" fails", "fails"))))
    a**b** \<unk> of\_it fails
    >>> print(inline((Status("fails", "fails", leads=True), ": 2 above 1")))
    **fails**: 2 above 1
    """
    match text:
        case tuple():
            return "".join(map(inline, text))
        case str():
            return text
        case Strong(inner):
            return f"**{inner}**"
        case Emphasis(inner):
            return f"*{inner}*"
        case Code(inner):
            return f"`{inner}`"
        case Foreign(inner):
            return re.sub(r"([\\`*_<\[])", r"\\\1", inner)
        case Link(path, shown):
            return f"[{shown}]({path})" if shown else f"[`{path}`]({path})"
        case Status(inner, _, leads):
            return f"**{inner}**" if leads else inner


def _facts(items: Iterable[Text | Fact], depth: int) -> Iterator[str]:
    for item in items:
        fact = item if isinstance(item, Fact) else Fact(item)
        yield "  " * depth + f"- {inline(fact.text)}"
        yield from _facts(fact.under, depth + 1)


def _cells(table: Table) -> list[list[str]]:
    return [[inline(cell).replace("|", "\\|") for cell in row] for row in (table.header, *table.rows)]


def _padded(table: Table) -> list[str]:
    """Columns of equal width: the first ``left`` ones flush left, the others right."""
    cells = _cells(table)
    widths = [max(3, *map(len, column)) for column in zip(*cells, strict=True)]

    def line(row: Sequence[str]) -> str:
        pairs = enumerate(zip(row, widths, strict=True))
        return "| " + " | ".join(c.ljust(w) if i < table.left else c.rjust(w) for i, (c, w) in pairs) + " |"

    rule = ["-" * w if i < table.left else "-" * (w - 1) + ":" for i, w in enumerate(widths)]
    return [line(cells[0]), "| " + " | ".join(rule) + " |", *map(line, cells[1:])]


def _wide(table: Table) -> list[str]:
    """Running text, not padded."""
    header, *rows = ("| " + " | ".join(row) + " |" for row in _cells(table))
    return [header, "|" + " --- |" * len(table.header), *rows]
