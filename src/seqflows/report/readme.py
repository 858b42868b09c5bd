"""The results that README.md shows, copied from the results themselves so that no number is typed in."""

from __future__ import annotations

import re
from pathlib import Path

from seqflows import files
from seqflows.errors import Problem
from seqflows.report.inputs import read_csv
from seqflows.report.layout import table

BLOCK = re.compile(r"<!-- (?P<kind>table|csv): (?P<path>\S+) -->\n(?P<content>.*?)<!-- end -->", re.DOTALL)


def table_of(path: Path) -> str:
    """The title, the list of facts and the first table of a results page."""
    if not path.is_file():
        raise Problem(f"expected the results page {path}, found none; run its table stage first")
    lines = path.read_text(encoding="utf-8").splitlines()
    title = f"**{lines[0].removeprefix('# ')}** ([`{path}`]({path}))"
    start = next((n for n, line in enumerate(lines) if line.startswith("|")), None)
    if start is None:
        raise Problem(f"expected a table in {path}, found none; run its table stage again")
    end = next((n for n, line in enumerate(lines[start:], start) if not line.startswith("|")), len(lines))
    return "\n".join([title, *lines[1:end]])


def csv_of(path: Path) -> str:
    """A whole csv file as a table."""
    rows = read_csv(path)
    if not rows:
        raise Problem(f"expected rows in {path}, found none; make it first")
    left = sum(not row.replace(".", "", 1).isdigit() for row in rows[0].values())
    return "\n".join(table(list(rows[0]), [list(row.values()) for row in rows], left=left))


def refreshed(text: str) -> str:
    """README's text with every marked block as the results have it now."""

    def block(found: re.Match[str]) -> str:
        made = {"table": table_of, "csv": csv_of}[found["kind"]](Path(found["path"]))
        return f"<!-- {found['kind']}: {found['path']} -->\n{made}\n<!-- end -->"

    return BLOCK.sub(block, text)


def run(path: Path = Path("README.md")) -> None:
    """Bring ``README.md`` up to date."""
    files.write_text(path, refreshed(path.read_text(encoding="utf-8")))
