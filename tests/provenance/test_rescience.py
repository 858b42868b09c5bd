"""metadata.yaml of ReScience C: the template's keys, the paper's reference, the audit's counts; files up to date."""

from pathlib import Path

import pytest
import yaml

from seqflows.provenance import citation, requirements, rescience
from seqflows.report.papers import base

ROOT = Path(__file__).parents[2]
KEYS = [  # of github.com/ReScience/template, in its order
    "title", "authors", "affiliations", "keywords", "code", "data", "replication", "abstract", "bibliography", "type",
    "domain", "language", "review", "contributors", "dates", "article", "journal",
]  # fmt: skip
SINGLE = {
    "code": ["url", "doi", "swh"], "data": ["url", "doi"], "replication": ["cite", "bib", "url", "doi"],
    "review": ["url"], "dates": ["received", "accepted", "published"], "article": ["number", "doi", "url"],
    "journal": ["name", "issn", "volume", "issue"],
}  # fmt: skip


@pytest.fixture
def here(monkeypatch):
    monkeypatch.chdir(ROOT)
    return citation.read()


@pytest.mark.parametrize("scale", ["laptop", "paper"])
def test_the_files_in_git_are_those_of_the_audit_beside_them(here, scale):
    for path, text in rescience.texts(here, requirements.audit(scale), scale).items():
        assert path.read_text(encoding="utf-8") == text, f"{path} is out of date: run `make provenance`"


@pytest.mark.parametrize("name", base.names())
def test_the_keys_are_those_of_the_template(here, name):
    texts = rescience.texts(here, requirements.audit("laptop"), "laptop")
    path = Path(f"results/laptop/rescience/{name}")
    found = yaml.safe_load(texts[path / "metadata.yaml"])
    assert list(found) == KEYS
    for key, parts in SINGLE.items():
        assert [list(entry) for entry in found[key]] == [[part] for part in parts]
    cited, (replication, key, url, doi) = here.papers[name], found["replication"]
    assert found["title"] == f"[Re] {cited.title}" and replication["cite"] == cited.text
    assert url["url"] == cited.url and doi["doi"] == (cited.doi or None)
    assert texts[path / found["bibliography"]].startswith(f"@inproceedings{{{key['bib']},\n")
    assert [one["name"] for one in found["authors"]] == list(here.authors)
    assert "null" not in texts[path / "metadata.yaml"]


def test_the_abstract_counts_the_audit(here):
    paper = base.papers()["ziegler2019"]
    blank = {"paper": "ziegler2019", "kind": "claim", "printed": "holds"}
    cells = [
        {"table": "ziegler2019-table1", "status": status, "verdict": said}
        for status, said in (("reproduce", "outside"), ("reproduce", "within"), ("quoted", "quoted"))
    ]
    other = [{"table": "tang2021-table4", "status": "reproduce", "verdict": "outside"}]
    claims = [blank | {"ours": said} for said in ("not run", "fails", "fails")] + [
        blank | {"kind": "check", "ours": "holds"}
    ]
    said = rescience.abstract(paper, requirements.Audit([*cells, *other], claims), "demo")
    assert said == (
        "We audit 3 claims and 2 printed numbers of Ziegler & Rush 2019, with models of scale demo. The claims on the "
        "numbers that the paper prints: 3 hold; on ours: 2 fail, 1 not run. The printed numbers beside ours: "
        "1 “within”, 1 “outside”."
    )


def test_the_bibliography_has_every_author(here):
    for name, reference in here.papers.items():
        text = rescience.entry(name, reference)
        assert all(f"{author.family}, {author.given}" in text for author in reference.authors)
        assert text.count("{") == text.count("}") and f"year = {{{reference.year}}}" in text
