"""The list of planted errors is of this tree: what `make mutants` would refuse is seen here, in a moment."""

import subprocess
import sys

import mutants
import reliability
from conftest import ROOT
from mutants_list import MUTANTS


def test_every_planted_error_still_has_its_place():
    assert mutants.stale() == []


def test_make_test_runs_what_is_named_for_each():
    """None rests on tests that are marked slow."""
    named = sorted({test for mutant in MUTANTS for test in mutant.tests.split()})
    options = ["--collect-only", "-q", "-p", "no:cacheprovider", "-m", "not slow"]
    done = subprocess.run([sys.executable, "-m", "pytest", *options, *named], cwd=ROOT, capture_output=True, text=True)
    found = done.stdout.splitlines()
    slow = [test for test in named if not any(line == test or line.startswith(f"{test}[") for line in found)]
    assert found and not slow


def test_there_are_enough_of_them_everywhere():
    parts = [mutant.name.split("/")[0] for mutant in MUTANTS]
    assert len(MUTANTS) >= 60
    assert all(parts.count(part) >= 5 for part in ("flows", "models", "training", "evaluation", "report", "data"))


def test_an_entry_that_has_rotted_is_refused(monkeypatch):
    good = MUTANTS[0]
    for bad, message in (
        (good._replace(old="text that does not stand there"), "expected its old text once"),
        (good._replace(old="self"), "expected its old text once"),
        (good._replace(new=good.old), "expected a change, got none"),
        (good._replace(tests="tests/test_files.py::test_that_is_not_there"), "expected the test"),
        (good._replace(file="src/seqflows/nothing.py"), "expected its old text once"),
    ):
        monkeypatch.setattr(mutants, "MUTANTS", [bad])
        assert len(mutants.stale()) == 1 and message in mutants.stale()[0]
    monkeypatch.setattr(mutants, "MUTANTS", [good, good])
    assert "expected one entry" in mutants.stale()[0]


def test_the_page_tells_what_was_tried_and_what_survived(tmp_path, monkeypatch):
    outcomes = [("no" if place == 0 else "yes", mutant.name) for place, mutant in enumerate(MUTANTS[:9])]
    tried = {name: {"name": name, "killed": killed, "date": "2026-01-02"} for killed, name in outcomes}
    found = mutants.section(tried)
    assert f"Of {len(MUTANTS)} on the list 9 were tried (2026-01-02), each" in found
    assert f"| all | {len(MUTANTS)} | 9 | 8 |" in found
    assert found.endswith(f"- survived: {MUTANTS[0].name}: not explained\n") and found.count("survived: ") == 1
    assert found.count("- not tried: ") == len(MUTANTS) - 9
    monkeypatch.setattr(mutants, "PAGE", tmp_path / "page.md")
    monkeypatch.setattr(mutants, "RECORD", tmp_path / "record")
    monkeypatch.setattr(reliability, "PAGE", mutants.PAGE)
    monkeypatch.setattr(reliability, "RECORD", tmp_path / "record")
    reliability.page()
    faults = mutants.PAGE.read_text()
    mutants.page()
    both = mutants.PAGE.read_text()
    assert both.startswith(faults.rstrip()) and mutants.TITLE in both
    for write in (reliability.page, mutants.page):  # neither takes away what the other wrote
        write()
        assert mutants.PAGE.read_text() == both


def test_the_committed_page_is_that_of_the_list_and_the_record():
    """An entry that is added to the list is on the page, as one that was not tried."""
    found = mutants.PAGE.read_text(encoding="utf-8").partition(mutants.TITLE)
    same = "".join(found[1:]) == mutants.section(mutants.recorded())
    assert same, "results/reliability.md is not of the present list: run python tests/mutants.py --only-page"


def test_the_record_has_the_last_outcome_of_each_that_is_still_on_the_list(tmp_path, monkeypatch):
    monkeypatch.setattr(mutants, "RECORD", tmp_path / "record.csv")
    assert mutants.recorded() == {}
    first, second, other = (mutant.name for mutant in MUTANTS[:3])
    for name, killed in ((second, False), (first, True), (second, True), ("no such entry", True)):
        mutants.record(name, killed)
    assert {name: row["killed"] for name, row in mutants.recorded().items()} == {first: "yes", second: "yes"}
    mutants.record(first, False)
    text = mutants.RECORD.read_text()
    assert text.startswith("name,killed,date\n") and len(text.splitlines()) == 3
    assert mutants.recorded()[first]["killed"] == "no" and other not in mutants.recorded()
