"""The page of a table of generated texts, side by side (Tang et al. 2021, tables 1 to 3)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from seqflows import paths
from seqflows.report.cells import NOTHING
from seqflows.report.inputs import Results
from seqflows.report.page import Block, Emphasis, Foreign, Heading, Page, Paragraph, Table, Text, listed
from seqflows.report.pages import corpora, shared
from seqflows.report.plots.common import label
from seqflows.report.texts import Row, counts, outdated

AT_ONCE = "all steps at once"
SAME = "″"  # for a given text already in the first column
NUMBERS = "numbers"  # the title of the block of statistics
COUNTS = ("texts", "words", "right", "changed", "perplexity", "distinct")
FIRST = {"samples": "", "interpolation": "ratio", "regeneration": "noise"}


def page(results: Results, title: str, cells: Sequence[Row]) -> Page:
    """The page: for each corpus its samples, or a table per pair or context, and the models of the columns."""
    names = list(dict.fromkeys(row["name"] for row in cells))
    stale = {name: ", ".join(remarks) for name in names if (remarks := outdated(results, name))}
    blocks = listed(shared.not_of_today(stale))
    for dataset in dict.fromkeys(row["dataset"] for row in cells):
        mine = [row for row in cells if row["dataset"] == dataset]
        heading = corpora.described(results, dataset)
        blocks.append(Heading(2, f"{heading}: stand-in" if results.stand_in(dataset) else heading))
        counted = [row for row in mine if row["block"] == NUMBERS]
        mine = [row for row in mine if row["block"] != NUMBERS]
        for given, shown in _blocks(mine).items():
            kind = results.params.texts[shown[0]["name"]]["kind"]
            blocks += [] if kind == "samples" else [Heading(3, given[0].capitalize())]
            blocks.append((_stacked if kind == "regeneration" else _beside)(kind, shown))
        blocks += _numbers(counted)
    origins = [next(own) for _, own in itertools.groupby(cells, key=lambda row: row["name"])]
    return Page(title, [*blocks, *listed(_origin(results, row) for row in origins)])


def _origin(results: Results, row: Row) -> str:
    whose = f"{label(row['run'])}: {row['run']}, seed {row['seed']}; model sha256 {row['model_sha256'][:12]}"
    return f"{whose}; {row['device']}; {paths.text(results.scale, row['name'])}"


def _numbers(counted: Sequence[Row]) -> list[Block]:
    """A row for each model, decoding and label; a single one for the test sequences."""
    if not counted:
        return []
    body: dict[tuple[str, ...], None] = {}
    for row in counted:
        found = counts(row["text"])
        values = (found.get(name, NOTHING) for name in COUNTS)
        body[row["label"], _heading(row) if row["decoding"] else "", *values] = None
    text = (
        "Of more texts than are shown. ", Emphasis("right"),
        ": the share of words that come back at noise 0, each at its place;\n", Emphasis("changed"),
        ": that of words that noise replaced; ", Emphasis("perplexity"),
        ": a word's, under a Kneser-Ney trigram of the\ntraining texts; ", Emphasis("distinct"),
        ": the share of different texts. In brackets standard errors over texts.",
    )  # fmt: skip
    return [Heading(3, "Numbers"), Paragraph(text), Table(["what", "model", *COUNTS], list(body), left=2)]


def _blocks(found: Sequence[Row]) -> dict[tuple[str, ...], list[Row]]:
    """The lines of each pair or context, from all models with the same given texts."""
    groups: dict[tuple[str, ...], list[Row]] = {}
    for _, lines in itertools.groupby(found, key=lambda row: (row["name"], row["block"])):
        own = list(lines)
        given = (own[0]["block"], *(row["text"] for row in own if not row["decoding"]))
        groups.setdefault(given, []).extend(own)
    return groups


def _heading(row: Row) -> str:
    return label(row["run"]) + ("" if row["decoding"] == AT_ONCE else f", {row['decoding']}")


def _cell(row: Row) -> Text:
    return Foreign(row["text"]) if row["text"] else "(no word)"


def _beside(kind: str, shown: Sequence[Row]) -> Table:
    """A column for each model and decoding, a row for each label; given texts are in the first column."""
    columns = {(row["name"], row["decoding"]): _heading(row) for row in shown if row["decoding"]}
    given = {row["label"]: row for row in shown if not row["decoding"]}
    made = {(row["label"], row["name"], row["decoding"]): _cell(row) for row in shown if row["decoding"]}
    body = [
        (name, *(made.get((name, *column), NOTHING) for column in columns))
        for name in dict.fromkeys(k[0] for k in made)
    ]
    ends = [(name, _cell(row), *[SAME] * (len(columns) - 1)) for name, row in given.items()]
    return Table((FIRST[kind], *columns.values()), [*ends[:1], *body, *ends[1:]], wide=True)


def _stacked(kind: str, shown: Sequence[Row]) -> Table:
    """A row for each text, for long ones: the given text, then those of each label by model."""
    order = list(dict.fromkeys(row["label"] for row in shown))
    given = [row for row in shown if not row["decoding"]][:1]
    made = sorted((row for row in shown if row["decoding"]), key=lambda row: order.index(row["label"]))
    body, before = [], ""
    for row in [*given, *made]:
        name = "original" if not row["decoding"] else row["label"].removeprefix("noise ")
        body.append(("" if name == before else name, _heading(row) if row["decoding"] else "", _cell(row)))
        before = name
    return Table((FIRST[kind], "model", "text"), body, wide=True)
