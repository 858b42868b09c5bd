"""``metadata.yaml`` of ReScience C a paper, with its bibliography, from CITATION.cff and the audit.

The keys are those of https://github.com/ReScience/template. What only authors or editors know stays empty.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from seqflows import files, paths
from seqflows.provenance.citation import Citation, Reference
from seqflows.provenance.requirements import Audit
from seqflows.report.audit import VERDICTS
from seqflows.report.papers.base import Paper, papers
from seqflows.report.verdict import ANSWERS, NO_ANSWERS, tally

METADATA, BIBLIOGRAPHY = "metadata.yaml", "bibliography.bib"
HEAD = """\
# Written by `python -m seqflows crate {scale}` from CITATION.cff and the audit of scale {scale}. Keys without a value
# are for the authors and the editor; for a replication that failed they change the title's prefix to [¬Re].
"""


class _Dumper(yaml.SafeDumper):
    """A dumper that leaves None empty, as the template does."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.add_representer(type(None), lambda dumper, _: dumper.represent_scalar("tag:yaml.org,2002:null", ""))


def places(scale: str) -> list[Path]:
    """The files of all papers."""
    top = paths.results(scale) / "rescience"
    return [top / name / file for name in papers() for file in (METADATA, BIBLIOGRAPHY)]


def texts(cited: Citation, rows: Audit, scale: str) -> dict[Path, str]:
    """metadata.yaml and bibliography.bib of every paper, by their paths."""
    found = []
    for name, paper in papers().items():
        content = metadata(cited, paper, rows, scale)
        text = yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
        found += [HEAD.format(scale=scale) + text, entry(name, cited.papers[name])]
    return dict(zip(places(scale), found, strict=True))


def write(cited: Citation, rows: Audit, scale: str) -> list[Path]:
    """Write the files of every paper; return their paths."""
    found = texts(cited, rows, scale)
    for path, text in found.items():
        files.write_text(path, text)
    return list(found)


def metadata(cited: Citation, paper: Paper, rows: Audit, scale: str) -> dict[str, Any]:
    """The content of metadata.yaml, in the order of the template."""
    original = cited.papers[paper.name]
    people = [{"name": name, "orcid": None, "email": None, "affiliations": "1,*"} for name in cited.authors]
    roles = ("editor", "reviewer", "reviewer")
    return {
        "title": f"[Re] {original.title}",
        "authors": people,
        "affiliations": [{"code": 1, "name": None, "address": ""}],
        "keywords": ", ".join((*cited.keywords, "Python")),
        "code": _single(url=cited.repository or None, doi=None, swh=None),
        "data": _single(url=None, doi=None),
        "replication": _single(
            cite=original.text, bib=paper.name, url=original.url or original.address, doi=original.doi or None
        ),
        "abstract": abstract(paper, rows, scale),
        "bibliography": BIBLIOGRAPHY,
        "type": "Replication",
        "domain": None,
        "language": "Python",
        "review": _single(url=None),
        "contributors": [{"name": None, "orcid": None, "role": role} for role in roles],
        "dates": _single(received=None, accepted=None, published=None),
        "article": _single(number=None, doi=None, url=None),
        "journal": _single(name="ReScience C", issn="2430-3658", volume=None, issue=None),
    }


def _single(**values: Any) -> list[dict[str, Any]]:
    """A list with an entry for each key, the template's form."""
    return [{key: value} for key, value in values.items()]


def abstract(paper: Paper, rows: Audit, scale: str) -> str:
    """What the audit says of a paper: how many claims and cells came out how."""
    claims = [row for row in rows.claims if row["paper"] == paper.name and row["kind"] == "claim"]
    cells = [row for row in rows.cells if row["table"] in paper.tables and row["status"] == "reproduce"]
    known = {**ANSWERS, **dict(zip(NO_ANSWERS, NO_ANSWERS, strict=True))}
    printed, ours = (tally(Counter(row[side] for row in claims), known) for side in ("printed", "ours"))
    found = tally(Counter(row["verdict"] for row in cells), {name: f"“{name}”" for name in VERDICTS})
    return (
        f"We audit {len(claims)} claims and {len(cells)} printed numbers of {paper.title}, with models of scale "
        f"{scale}. The claims on the numbers that the paper prints: {printed}; on ours: {ours}. "
        f"The printed numbers beside ours: {found}."
    )


def entry(name: str, reference: Reference) -> str:
    """The entry of a bibliography in BibTeX."""
    fields = {
        "title": f"{{{reference.title}}}",
        "author": " and ".join(f"{author.family}, {author.given}" for author in reference.authors),
        "booktitle": reference.collection,
        "pages": reference.pages.replace("–", "--"),
        "year": str(reference.year),
        "doi": reference.doi,
        "url": reference.url,
    }
    lines = "".join(f"  {key} = {{{value}}},\n" for key, value in fields.items() if value)
    return f"@inproceedings{{{name},\n{lines}}}\n"
