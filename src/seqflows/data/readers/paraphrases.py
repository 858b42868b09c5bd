"""Pairs of sentences in the columns of Microsoft's paraphrase corpus (Dolan & Brockett 2005).

A header line, then lines of five columns between tabs, without quoting: 1 for paraphrases or 0, the ids of both
sentences, and the sentences.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from seqflows.data.readers import strict_json
from seqflows.errors import Problem

HEADER = ("Quality", "#1 ID", "#2 ID", "#1 String", "#2 String")


class Paraphrase(NamedTuple):
    """Two sentences of one meaning, and their ids in the source."""

    first: str
    second: str
    ids: tuple[str, str]


def read(path: Path) -> list[Paraphrase]:
    """The pairs of a file that are paraphrases, in its order.

    Raises `Problem` with the line for another number of columns, a quality that is not 0 or 1, or an empty sentence,
    and for a file without paraphrases.
    """
    lines = strict_json.decoded(path.read_bytes(), path).split("\n")
    if tuple(lines[0].rstrip("\r").split("\t")) != HEADER:
        raise Problem(f"expected the columns {', '.join(HEADER)} in {path}, got {lines[0][:80]!r}; replace the file")
    found = []
    for number, line in enumerate(lines[1:], 2):
        if not line.strip():
            continue
        where, fields = f"line {number} of {path}", line.rstrip("\r").split("\t")
        if len(fields) != len(HEADER) or fields[0] not in ("0", "1"):
            raise Problem(f"expected 0 or 1, two ids and two sentences in {where}, got {line[:80]!r}; replace the file")
        quality, first_id, second_id, first, second = fields
        if not first.strip() or not second.strip():
            raise Problem(f"expected two sentences in {where}, got {first!r} and {second!r}; replace the file")
        if quality == "1":
            found.append(Paraphrase(first.strip(), second.strip(), (first_id, second_id)))
    if not found:
        raise Problem(f"expected paraphrases in {path}, got none among {len(lines) - 1} lines; replace the file")
    return found


def write(path: Path, pairs: Iterable[tuple[str, str]]) -> None:
    """Write pairs of sentences that are all paraphrases, with their places as ids."""
    rows = [HEADER, *(("1", f"{n}a", f"{n}b", first, second) for n, (first, second) in enumerate(pairs))]
    path.write_text("".join("\t".join(row) + "\n" for row in rows), encoding="utf-8", newline="\n")
