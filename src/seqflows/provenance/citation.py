"""CITATION.cff: the project, and the papers that it reproduces.

A reference belongs to the paper whose folder has the family name of its first author and its year: `ziegler2019`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from seqflows import params
from seqflows.errors import Problem
from seqflows.report.papers.base import names

FILE = Path("CITATION.cff")


class Author(NamedTuple):
    """A person, by family and given names."""

    family: str
    given: str

    @property
    def name(self) -> str:
        """The name as it is said.

        >>> Author("Rush", "Alexander M.").name
        'Alexander M. Rush'
        """
        return f"{self.given} {self.family}".strip()


class Reference(NamedTuple):
    """A paper, as CITATION.cff cites it; pages, doi and url are "" where it does not state them."""

    title: str
    authors: tuple[Author, ...]
    year: int
    collection: str
    pages: str
    doi: str
    url: str

    @property
    def address(self) -> str:
        """Its identifier on the web: that of its DOI if it has one."""
        return f"https://doi.org/{self.doi}" if self.doi else self.url

    @property
    def text(self) -> str:
        """The whole citation on one line."""
        people = [author.name for author in self.authors]
        said = " and ".join(filter(None, [", ".join(people[:-1]), people[-1]]))
        pages = f", pages {self.pages}" if self.pages else ""
        return f"{said}. {self.title}. {self.collection}{pages}, {self.year}."


class Citation(NamedTuple):
    """The project, and its papers by name; ``repository`` is "" where CITATION.cff does not state it."""

    title: str
    authors: tuple[str, ...]
    version: str
    licence: str
    keywords: tuple[str, ...]
    repository: str
    papers: dict[str, Reference]


def read(path: Path = FILE) -> Citation:
    """Read CITATION.cff.

    Raises:
        Problem: a missing key, or a paper of `report/papers` without a reference.
    """
    if not path.exists():
        raise Problem(f"expected {path}, found none; run it in the project's folder")
    content = params.written(path)
    try:
        found = [_reference(entry) for entry in content["references"]]
        papers = {f"{one.authors[0].family.lower()}{one.year}": one for one in found}
        cited = Citation(
            title=content["title"],
            authors=tuple(_named(author) for author in content["authors"]),
            version=str(content["version"]),
            licence=content["license"],
            keywords=tuple(content.get("keywords", ())),
            repository=content.get("repository-code", ""),
            papers=papers,
        )
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise Problem(
            f"expected title, authors, version, license and references in {path}, got none for {error}"
        ) from None
    if missing := [name for name in names() if name not in papers]:
        raise Problem(
            f"expected a reference for {', '.join(missing)} in {path} (the first author's family name and the year), "
            f"got {', '.join(papers)}; add it"
        )
    return cited


def _named(author: Mapping[str, Any]) -> str:
    """The name of an author of the project, a person or a group."""
    return author.get("name") or Author(author["family-names"], author.get("given-names", "")).name


def _reference(entry: Mapping[str, Any]) -> Reference:
    start, end = entry.get("start"), entry.get("end")
    return Reference(
        title=entry["title"],
        authors=tuple(Author(one["family-names"], one.get("given-names", "")) for one in entry["authors"]),
        year=int(entry["year"]),
        collection=entry["collection-title"],
        pages=f"{start}–{end}" if start and end else "",
        doi=entry.get("doi", ""),
        url=entry.get("url", ""),
    )
