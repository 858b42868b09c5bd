"""Pages as values and their markdown: escaping, nesting, wide tables; and that no builder knows the signs."""

import ast
import inspect
import re

import pytest

from conftest import ROOT
from seqflows import kinds
from seqflows.errors import Problem
from seqflows.report import markdown, pages
from seqflows.report.inputs import Results
from seqflows.report.page import (
    Code,
    Emphasis,
    Fact,
    Facts,
    Foreign,
    Heading,
    Link,
    Page,
    Paragraph,
    Status,
    Strong,
    Table,
    prose,
)

REPORT = ROOT / "src/seqflows/report"
BUILDERS = [*REPORT.glob("pages/*.py"), *REPORT.glob("*.py"), *REPORT.glob("papers/**/*.py")]


def test_a_whole_page():
    page = Page(
        "Title",
        [
            Facts(["a fact", Fact((Strong("b"), ": c"), ["below", Fact("and", [("deeper", Code("x"))])])]),
            Heading(3, "Part"),
            Paragraph(("two\nlines ", Emphasis("of"), " ", Link("results/a.md"))),
            Table(["Model", "NLL"], [["A", "1.0"], ["long name", Status("not run", "not run")]]),
        ],
    )
    assert markdown.written(page) == (
        "# Title\n\n- a fact\n- **b**: c\n  - below\n  - and\n    - deeper`x`\n\n### Part\n\n"
        "two\nlines *of* [`results/a.md`](results/a.md)\n\n"
        "| Model     |     NLL |\n| --------- | ------: |\n| A         |     1.0 |\n| long name | not run |\n"
    )


def test_what_models_wrote_is_shown_sign_for_sign():
    assert markdown.inline(Foreign("a <unk> of_it *b* `c` [d]")) == r"a \<unk> of\_it \*b\* \`c\` \[d]"
    assert markdown.inline("ptb-af_af, 2^6") == "ptb-af_af, 2^6"


def test_bars_do_not_part_a_cell():
    cells = [["log p(x | z)", Foreign("<unk> | b")], ["c", Code("a|b")]]
    wide = markdown.blocks([Table(["a|b", "c"], cells, wide=True)]).splitlines()
    assert wide == ["| a\\|b | c |", "| --- | --- |", "| log p(x \\| z) | \\<unk> \\| b |", "| c | `a\\|b` |"]
    padded = markdown.blocks([Table(["what", "n"], cells, left=2)]).splitlines()
    assert len({len(line) for line in padded}) == 1 and padded[1] == "| ------------- | ----------- |"
    assert markdown.blocks([Paragraph("p(x | z)")]) == "p(x | z)"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain ε* = -g", "plain ε* = -g"),
        ("2 * 3 * 4", "2 * 3 * 4"),
        ("falls *far* off", ("falls ", Emphasis("far"), " off")),
        ("*Other corpus*: not *ours*", (Emphasis("Other corpus"), ": not ", Emphasis("ours"))),
        ("`<unk>` and `a*b*`", (Code("<unk>"), " and ", Code("a*b*"))),
    ],
)
def test_prose(text, expected):
    assert prose(text) == expected


@pytest.mark.parametrize("path", BUILDERS, ids=lambda path: path.relative_to(REPORT).as_posix())
def test_no_builder_writes_markdown(path):
    """No text of a builder begins a heading, an item or a row, or marks strong text, but for docstrings and claims."""
    if path.name in ("markdown.py", "page.py"):
        return
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in docs]
    marked = re.compile(r"\*\*|^#+ |^(?:  )*- |^\| | \| |\]\(")
    allowed = {"## ", "# "} if path.name == "texts.py" else set()  # the marks of the files that models write
    allowed |= {"- NLSq", "- AF hidden", "- AF hidden and NLSq"}  # rows of a paper's table
    assert [text for text in texts if isinstance(text, str) and marked.search(text) and text not in allowed] == []


def test_a_tables_kind_is_that_of_its_runs(world):
    from seqflows.report.pages import language, sequences, words

    results = Results(world, "demo")
    for runs, module in (
        (["ptb-lstm", "jsb-lstm"], sequences),
        (["gaussians-nlsq"], sequences),
        (["words-tril", "types-gru8"], words),
        (["tvqa-att_s"], language),
        ([], sequences),
    ):
        assert pages.of_kind(results, runs) is module.page
    with pytest.raises(Problem, match="one kind of data in a table, got text, words; make a table of each"):
        pages.of_kind(results, ["ptb-lstm", "words-tril"])


def test_every_kind_has_a_page():
    for kind in kinds.KINDS.values():
        assert list(inspect.signature(kinds.load(kind.report).page).parameters) == ["results", "title", "cells"]
