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
    tried = [
        {"name": mutant.name, "killed": place > 0, "date": "2026-01-02"} for place, mutant in enumerate(MUTANTS[:9])
    ]
    gone = {"name": "no such entry", "killed": True, "date": "2020-01-01"}
    found = mutants.section([tried[1] | {"killed": False}, *tried, gone])
    assert f"Of {len(MUTANTS)} on the list 9 were tried (2026-01-02)." in found
    assert f"| all | {len(MUTANTS)} | 9 | 8 |" in found and "no such entry" not in found
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
