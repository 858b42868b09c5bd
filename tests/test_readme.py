"""README.md: what it shows is what the results have, and its example runs."""

import doctest
from pathlib import Path

import pytest

from seqflows.errors import Problem
from seqflows.report import readme

ROOT = Path(__file__).parent.parent


def test_tables_are_those_of_the_results(monkeypatch):
    monkeypatch.chdir(ROOT)
    text = Path("README.md").read_text(encoding="utf-8")
    assert readme.BLOCK.search(text), "README.md shows no table"
    assert readme.refreshed(text) == text, "README.md is out of date: run `make readme`"


def test_examples_run():
    found = doctest.testfile(str(ROOT / "README.md"), module_relative=False)
    assert found.attempted > 3 and found.failed == 0


def test_commands_name_stages_and_targets_that_exist():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = {line.split()[1] for line in text.splitlines() if line.startswith("make ")}
    assert targets and all(f"\n{target}:" in makefile for target in targets)


def test_a_block_is_replaced_and_a_missing_page_is_named(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# Title\n\n- a fact\n\n| a |\n|---|\n| 1 |\n\nmore\n")
    text = f"before\n<!-- table: {page} -->\nold\n<!-- end -->\nafter"
    new = readme.refreshed(text)
    assert "| 1 |" in new and "old" not in new and "more" not in new
    assert new.startswith("before") and new.endswith("after")
    assert readme.refreshed(new) == new
    for kind in ("table", "csv"):
        with pytest.raises(Problem, match="found none"):
            readme.refreshed(f"<!-- {kind}: nowhere -->\n<!-- end -->")


def test_a_csv_is_shown_whole(tmp_path):
    page = tmp_path / "page.csv"
    page.write_text('shape,model,seconds\n"a, 4 x 5",AF/AF,1.25\n')
    new = readme.refreshed(f"<!-- csv: {page} -->\n<!-- end -->")
    assert "| a, 4 x 5 | AF/AF |    1.25 |" in new and "| -------- | ----- | ------: |" in new
