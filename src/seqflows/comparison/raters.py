"""Sheets for raters: pairs of questions by two systems, which one of both is better, and nothing about the systems.

A sheet is a csv to be filled and a page that needs no network and gives such a csv; which system is A in each pair is
in a file of its own. ``draw``, in each row, identifies the pairs: verdicts on other pairs are refused.
"""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from seqflows import files, paths
from seqflows.comparison.systems import Question, System

COLUMNS = ("draw", "pair", "rater", "verdict", "context", "answer", "A", "B")
PAGE = "page.html"
TITLE, DATA = "@title@", "@data@"  # what the page's template leaves open


class Pair(NamedTuple):
    """Two questions on one context: that of the first system is A unless they are ``swapped``."""

    place: int
    swapped: bool
    before: str
    answer: str
    after: str
    a: str
    b: str


def write(
    folder: Path, key: paths.Key, sheet: str, written: Sequence[System], asked: Sequence[Question],
    runs: Sequence[str], count: int, seed: int,
) -> dict[str, Any]:  # fmt: skip
    """Write the files of a sheet for two runs into ``folder``; return what comparison.json says of it.

    The texts are those of each run's first seed.
    """
    first, second = (next(one for one in written if one.run == run) for run in runs)
    found, identical = draw(first, second, asked, count, seed)
    digest = files.digest([[pair.place, pair.swapped, pair.a, pair.b] for pair in found])[:16]
    rows = [
        {"draw": digest, "pair": number, "context": f"{pair.before} [[ {pair.answer} ]] {pair.after}".strip(),
         "answer": pair.answer, "A": pair.a, "B": pair.b}
        for number, pair in enumerate(found, 1)
    ]  # fmt: skip
    files.write_csv(folder / f"{sheet}.csv", rows, COLUMNS)
    files.write_text(folder / paths.raters_page(*key, sheet).name, page(sheet, digest, found))
    order = ["second" if pair.swapped else "first" for pair in found]
    named = {"first": first.run, "second": second.run, "seeds": [first.seed, second.seed], "draw": digest}
    content = {"scale": key.scale, "table": key.name, "sheet": sheet, **named, "a": order}
    content["ids"] = [asked[pair.place].id for pair in found]
    files.write_json(folder / paths.raters_key(*key, sheet).name, files.sealed(content))
    return {"sheet": sheet, **named, "pairs": len(found), "identical": identical}


def draw(first: System, second: System, asked: Sequence[Question], count: int, seed: int) -> tuple[list[Pair], int]:
    """Up to ``count`` pairs of different texts in random order, and the number of questions with identical ones."""
    generator = np.random.Generator(np.random.PCG64(seed))
    differ = [place for place in range(len(asked)) if first.texts[place] != second.texts[place]]
    order = generator.permutation(len(differ))[:count]
    swapped = generator.integers(0, 2, len(order)).astype(bool)
    found = []
    for place, turned in zip((differ[index] for index in order), swapped.tolist(), strict=True):
        texts = [" ".join(one.texts[place]) for one in (first, second)]
        parts = (" ".join(words) for words in asked[place].marked)
        found.append(Pair(place, turned, *parts, *(texts[::-1] if turned else texts)))
    return found, len(asked) - len(differ)


def page(sheet: str, digest: str, found: Sequence[Pair]) -> str:
    """The page of a sheet, with its pairs as JSON that no text can end."""
    names = ("before", "answer", "after", "A", "B")
    pairs = [dict(zip(names, pair[2:], strict=True)) for pair in found]
    data = json.dumps({"sheet": sheet, "draw": digest, "pairs": pairs}, ensure_ascii=False)
    template = resources.files(__package__).joinpath(PAGE).read_text(encoding="utf-8")
    head, _, rest = template.partition(TITLE)
    middle, _, tail = rest.partition(DATA)
    return "".join((head, html.escape(sheet), middle, data.replace("<", "\\u003c"), tail))
