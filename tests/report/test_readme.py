"""README.md and docs: what they show is what the results have, links lead somewhere, and examples run."""

import doctest
import os
import re
from pathlib import Path

import pytest

import report_world
from seqflows import files, params, paths
from seqflows.errors import Problem
from seqflows.report import audit, cells, markdown, readme, tables
from seqflows.report.inputs import Results
from seqflows.report.pages import corpora
from seqflows.report.papers import base

ROOT = Path(__file__).parents[2]


def test_tables_are_those_of_the_results(monkeypatch):
    monkeypatch.chdir(ROOT)
    marked = [path for path in readme.pages() if readme.BLOCK.search(path.read_text(encoding="utf-8"))]
    assert set(marked) >= {Path("README.md"), Path("docs/benchmark.md")}
    for path in marked:
        text = path.read_text(encoding="utf-8")
        assert readme.refreshed(text) == text, f"{path} is out of date: run `make readme`"


def test_the_readme_is_short_and_has_every_paper():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    unfolded = re.sub(r"<details>.*?</details>", "", text, flags=re.DOTALL)
    assert len(unfolded.splitlines()) <= 90 and "<!-- summary: results/laptop/audit.md -->" in unfolded
    assert all(f"<!-- verdict: results/laptop/verdict/{name}.png -->" in text for name in base.names())


LINK = re.compile(r"\]\((?!https?:)([^)#\s]+)(?:#[^)]*)?\)")


def test_links_lead_to_files(monkeypatch):
    monkeypatch.chdir(ROOT)
    pages = [*readme.pages(), Path("results/README.md"), Path("CONTRIBUTING.md")]
    found = [(page, link) for page in pages for link in LINK.findall(page.read_text(encoding="utf-8"))]
    assert len(found) > 15
    for page, link in found:
        assert (page.parent / link).exists(), f"{page} links to {link}, which does not exist"


def test_every_page_of_results_is_reached_from_the_readme(monkeypatch):
    monkeypatch.chdir(ROOT)
    seen, left = set(), [Path("README.md")]
    while left:
        page = left.pop()
        if page not in seen and page.suffix == ".md":
            left += [Path(os.path.normpath(page.parent / link)) for link in LINK.findall(page.read_text("utf-8"))]
        seen.add(page)
    shown = {path for end in ("md", "png") for path in Path("results").rglob(f"*.{end}") if "demo" not in path.parts}
    assert len(shown) > 40 and not shown - seen


def test_examples_run():
    found = doctest.testfile(str(ROOT / "docs/parts.md"), module_relative=False)
    assert found.attempted > 3 and found.failed == 0


def test_commands_name_stages_and_targets_that_exist():
    text = "\n".join(path.read_text(encoding="utf-8") for path in map(ROOT.joinpath, readme.pages()))
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = {line.split()[1] for line in text.splitlines() if line.startswith("make ")}
    assert targets and all(f"\n{target}:" in makefile for target in targets)


def test_a_block_is_replaced_from_the_records(world):
    report_world.write_run("demo", "ptb-lstm")
    path = "results/demo/ziegler2019-table1.md"
    new = readme.refreshed(f"before\n<!-- table: {path} -->\nold\n<!-- end -->\nafter")
    lines = new.splitlines()
    assert lines[:3] == ["before", f"<!-- table: {path} -->", f"**Table 1: characters** ([`{path}`]({path}))"]
    assert lines[4].startswith("- scale **demo**") and "1.41 / 1.410 (0.010)" in new
    assert lines[-3].startswith("| source entropy, this test set") and lines[-2:] == ["<!-- end -->", "after"]
    assert "old" not in new and "## Beyond the paper" not in new
    assert readme.refreshed(new) == new


def test_data_that_are_not_the_papers_are_said(tmp_path, monkeypatch):
    """By their sources, or by the sizes of the same source's at scale paper."""
    matrix = params.load(ROOT / "params.yaml")
    monkeypatch.chdir(tmp_path)
    here = Results(matrix, "laptop")
    assert corpora.other(here, ["ptb-lstm", "jsb-lstm"]) == ""  # nothing is known of their sizes
    for scale, sequences, longest in (("laptop", 80, 7), ("paper", 1100, 9)):
        for name in ("ptb", "jsb"):
            part = {"sequences": 5 if name == "jsb" else sequences, "longest": 6 if name == "jsb" else longest}
            files.write_json(paths.statistics(scale, name), {"splits": {"train": part}})
    less = "Penn Treebank, 80 of 1,100 training sequences, of at most 7 symbols, not 9"
    assert corpora.other(here, ["ptb-lstm", "jsb-lstm", "ptb-af_af"]) == less
    assert corpora.other(here, ["squad-qg", "ptb-lstm", "wmt16-nmt"]) == (
        f"a part of SQuAD questions; {less}; public Romanian-English pairs in place of WMT16 Romanian-English"
    )
    assert corpora.other(Results(matrix, "paper"), ["ptb-lstm", "squad-qg"]) == ""


def test_the_runs_of_a_scale_have_what_they_cost(world):
    report_world.write_run("laptop", "jsb-af_af", seeds=(0, 1))
    report_world.write_run("laptop", "jsb-lstm")
    report_world.write_run("paper", "jsb-lstm")
    new = readme.refreshed("<!-- runs: results/laptop -->\n<!-- end -->")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in new.splitlines() if line.startswith("| `")]
    assert [row[:3] for row in rows] == [["`jsb-lstm`", "cpu", "1"], ["`jsb-af_af`", "cpu", "2"]]
    assert all(float(row[4]) > 0 and row[5] == "0.021" for row in rows)  # 1.25 s of scoring
    assert readme.refreshed(new) == new


def test_the_pages_of_a_scale_are_those_that_were_made(world):
    report_world.write_run("laptop", "ptb-lstm")
    tables.run(paths.Key("laptop", "ziegler2019-table1"))
    files.write_text(paths.figure("laptop", "ziegler2019-figure7")[0], "")
    new = readme.refreshed("<!-- pages: results/laptop -->\n<!-- end -->")
    drawn = world.figures["ziegler2019-figure7"]["title"]
    assert new.splitlines()[1:-1] == [
        "## Ziegler & Rush 2019", "",
        "- [Table 1: characters](ziegler2019-table1.md)", f"- [{drawn}](ziegler2019-figure7.png)",
    ]  # fmt: skip


def test_a_summary_has_a_row_per_paper_and_scale_with_numbers(world):
    for name in ("ptb-lstm", "ptb-af_af", "ptb-af_scf"):
        report_world.write_run("laptop", name)
    report_world.write_run("paper", "ptb-lstm")
    world.runs["ptb-af_scf"]["laptop"]["training"] = {"epochs": 9}
    for scale, count in (("laptop", 40), ("paper", 50)):
        split = {"sequences": count, "longest": 9, "share_within_limit": 0.5}
        files.write_json(paths.statistics(scale, "ptb"), {"max_length": 9, "splits": {"train": split}})
    new = readme.refreshed("<!-- summary: results/laptop/audit.md -->\n<!-- end -->")
    counts = new.partition("\n- ")[2].splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in counts if line.startswith("| **")]
    assert [row[:2] for row in rows] == [["**Ziegler & Rush 2019**", scale] for scale in ("laptop", "paper")]
    here, there = rows
    assert here[2] == there[2] == "13 hold, 1 fail" and there[3:5] == ["–", "19"]
    assert here[3] == "2 undecided; 1 of these 2 with runs of earlier settings"  # AF / AF and AF / SCF against the LSTM
    assert here[5] == "of 41: 7 within tolerance, 3 outside, 31 not run; 3 of our 10 numbers of earlier settings"
    assert there[5] == "of 41: 1 within tolerance, 40 not run"
    (fact,) = (line for line in new.splitlines() if line.startswith("- "))
    less = "Penn Treebank, 40 of 50 training sequences"
    assert fact == f"- **Ziegler & Rush 2019**, scale laptop: data that are not the paper's: {less}"


def test_a_summary_begins_with_what_a_reader_asks_first(world):
    """Each statement with the printed numbers and ours, and the verdicts of the audit on both."""
    report_world.write_all("laptop", world)
    report_world.write_run("paper", "jsb-af_af")
    world.runs["ptb-af_af"]["laptop"]["training"] = {"epochs": 9}
    lines = markdown.blocks(readme.summary_of(Path("results/laptop/audit.md"))).partition("\n\n")[0].splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    assert rows[0][2:] == ["its own numbers", "ours, scale laptop", "ours, scale paper"]
    by_text = {row[1]: row for row in rows[2:]}
    here = {scale: Results(world, scale) for scale in ("laptop", "paper")}
    asked = numbers = elsewhere = beside = 0
    for paper in audit.ordered(here["laptop"]):
        claims = {one.claim.name: one for one in audit.audited(here["laptop"], paper).claims}
        at_full_size = {one.claim.name: one for one in audit.audited(here["paper"], paper).claims}
        for answer in paper.answers:
            _, _, printed, ours, full = by_text[answer.says]
            said = claims[answer.claim].printed, claims[answer.claim].ours, at_full_size[answer.claim].ours
            for text, finding in zip((printed, ours, full), said, strict=True):
                verdict, numbered, _ = text.partition(": ")
                strong = f"**{finding.verdict}**" if numbered else finding.verdict
                assert verdict == strong or (text is full and text == "–")
            for table, row, column in answer.shown:
                of_table = cells.of_table(here["laptop"], f"{paper.name}-{table}")
                cell = next(cell for cell in of_table if (cell.row, cell.column) == (row, column))
                assert cell.reported in printed
                assert cell.summary is None or f" {cell.summary.value:.2f}" in ours
                numbers += cell.summary is not None
            named = {(f"{paper.name}-{table}", row, column) for table, row, column in answer.shown}
            for side, text in ((claims[answer.claim].printed, printed), (claims[answer.claim].ours, ours)):
                if side.verdict in ("fails", "undecided") and (not side.of or not named.issuperset(side.of)):
                    assert f"; by {side.plain or side.reason}" in text
                    elsewhere += 1
            if answer.beside:
                other = claims[answer.beside].ours
                said = f"; “{answer.beside}”: {other.verdict} ({other.plain or other.reason})"
                decided = other.verdict in ("holds", "fails", "undecided")
                assert ours.endswith(said) == decided and ("“" + answer.beside in ours) == decided
                beside += decided
            else:
                assert "”: " not in ours
            asked += 1
    assert asked == len(rows) - 2 > 12 and numbers > 15 and elsewhere and beside
    first = by_text["A latent flow (AF / AF) models characters nearly as well as an LSTM"]
    assert first[2].endswith(": AF / AF 1.42, LSTM (sentence-wise) 1.41 bpc") and first[3].endswith(
        "; of earlier settings"
    )
    assert first[4] == "not run" and "JSB" in by_text["On JSB it beats TSBN and STORN"][1]
    assert ": “- NLSq” 1.50, " in by_text["NLSq and the flow within a step's vector are needed"][2]


@pytest.mark.parametrize(
    ("mark", "message"),
    [
        ("summary: results/laptop/table.md", "expected results/<scale>/audit.md in the marks of a summary"),
        ("runs: results/laptop/audit.md", "expected results/<scale> in the marks of its runs, got results/laptop"),
        ("pages: results/laptop/audit.md", "expected results/<scale> in the marks of its pages, got results/laptop"),
        ("csv: nowhere", "expected rows in nowhere, found none"),
        ("table: nowhere", "expected results/<scale>/<table>.md in the marks of a table, got nowhere"),
        ("table: results/demo/ziegler2019-table1.csv", "expected results/<scale>/<table>.md"),
        ("table: results/dem/ziegler2019-table1.md", "expected a scale of demo, laptop, paper, got 'dem'"),
        ("verdict: results/demo/audit.md", "expected results/<scale>/verdict/<paper>.png in the marks of a verdict"),
        ("verdict: results/demo/verdict/nobody2020.png", "expected results/<scale>/verdict/<paper>.png"),
        ("table: results/demo/ziegler2019-table11.md", "got 'ziegler2019-table11'.*; nearest: ziegler2019-table1"),
    ],
)
def test_a_block_of_nothing_is_named(world, mark, message):
    with pytest.raises(Problem, match=message):
        readme.refreshed(f"<!-- {mark} -->\n<!-- end -->")


def test_a_csv_is_shown_whole(tmp_path):
    page = tmp_path / "page.csv"
    page.write_text('shape,model,seconds\n"a, 4 x 5",AF/AF,1.25\n')
    new = readme.refreshed(f"<!-- csv: {page} -->\n<!-- end -->")
    assert "| a, 4 x 5 | AF/AF |    1.25 |" in new and "| -------- | ----- | ------: |" in new
