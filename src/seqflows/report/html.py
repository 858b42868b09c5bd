"""A writer of pages as HTML fragments; every text is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape

from seqflows.report.page import (
    Block,
    Code,
    Emphasis,
    Fact,
    Facts,
    Foreign,
    Heading,
    Link,
    Paragraph,
    Picture,
    Status,
    Strong,
    Table,
    Text,
)  # fmt: skip


def blocks(found: Iterable[Block], level: int = 0) -> str:
    """Blocks as HTML; headings are ``level`` deeper than in their page."""
    return "\n".join(_block(block, level) for block in found)


def _block(block: Block, level: int) -> str:
    match block:
        case Heading(own, text):
            return f"<h{min(6, own + level)}>{inline(text)}</h{min(6, own + level)}>"
        case Paragraph(text):
            return f"<p>{inline(text)}</p>"
        case Facts(items):
            return "".join(_facts(items))
        case Table():
            return table(block)
        case Picture(path, text):
            return f'<img src="{escape(path)}" alt="{escape(text)}">'


def inline(text: Text) -> str:
    """A text with its marks.

    >>> inline(("a < ", Strong("b"), Status("fails", "fails")))
    'a &lt; <strong>b</strong><span class="status" data-status="fails">fails</span>'
    """
    match text:
        case tuple():
            return "".join(map(inline, text))
        case str():
            return escape(text)
        case Strong(inner):
            return f"<strong>{escape(inner)}</strong>"
        case Emphasis(inner):
            return f"<em>{escape(inner)}</em>"
        case Code(inner):
            return f"<code>{escape(inner)}</code>"
        case Foreign(inner):
            return f"<q>{escape(inner)}</q>"
        case Link(path, shown):  # not followed: the page is one file, which may stand alone
            return escape(shown) if shown else f"<code>{escape(path)}</code>"
        case Status(inner, status):
            return f'<span class="status" data-status="{escape(status)}">{escape(inner)}</span>'


def table(found: Table) -> str:
    """A table that scrolls sideways where it is too wide; columns of numbers are flush right."""
    right = ["" if found.wide or place < found.left else ' class="number"' for place in range(len(found.header))]
    head = "".join(f'<th scope="col"{side}>{inline(cell)}</th>' for side, cell in zip(right, found.header, strict=True))
    rows = "\n".join(
        "<tr>" + "".join(f"<td{side}>{inline(cell)}</td>" for side, cell in zip(right, row, strict=True)) + "</tr>"
        for row in found.rows
    )
    return f'<div class="wide" tabindex="0"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def _facts(items: Iterable[Text | Fact]) -> Iterator[str]:
    yield "<ul>"
    for item in items:
        fact = item if isinstance(item, Fact) else Fact(item)
        under = "".join(_facts(fact.under)) if fact.under else ""
        yield f"<li>{inline(fact.text)}{under}</li>"
    yield "</ul>"
