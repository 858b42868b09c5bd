"""CITATION.cff as it is read: the project, and a reference for each paper."""

from pathlib import Path

import pytest

import seqflows
from seqflows.errors import Problem
from seqflows.provenance import citation
from seqflows.report.papers import base

FILE = Path(__file__).parents[2] / "CITATION.cff"


def test_every_paper_has_its_reference():
    found = citation.read(FILE)
    assert set(base.names()) <= set(found.papers)
    for name, one in found.papers.items():
        assert name == f"{one.authors[0].family.lower()}{one.year}"
        assert one.address.startswith("https://") and one.text.endswith(f", {one.year}.") and one.title in one.text
    assert found.papers["tang2021"].address == "https://doi.org/10.18653/v1/2021.acl-long.355"
    assert found.version == seqflows.__version__ and found.licence == "MIT" and found.authors


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("family-names: Ziegler", "family-names: Zeigler", "a reference for ziegler2019 .* got zeigler2019"),
        ("license: MIT\n", "", "title, authors, version, license and references .* got none for 'license'"),
        ("    year: 2018\n", "", "got none for 'year'"),
    ],
)
def test_what_is_missing_is_named(tmp_path, old, new, message):
    text = FILE.read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "CITATION.cff").write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(Problem, match=message):
        citation.read(tmp_path / "CITATION.cff")


def test_a_missing_file_is_named(place):
    with pytest.raises(Problem, match=r"expected CITATION.cff, found none"):
        citation.read()
