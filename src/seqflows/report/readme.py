"""The results that README.md shows, copied from the results themselves so that no number is typed in."""

from __future__ import annotations

import re
from pathlib import Path

from seqflows import files
from seqflows.errors import Problem

BLOCK = re.compile(r"<!-- table: (?P<path>\S+) -->\n(?P<content>.*?)<!-- end -->", re.DOTALL)


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


def refreshed(text: str) -> str:
    """README's text with every marked block as the results have it now."""

    def block(found: re.Match[str]) -> str:
        return f"<!-- table: {found['path']} -->\n{table_of(Path(found['path']))}\n<!-- end -->"

    return BLOCK.sub(block, text)


def run(path: Path = Path("README.md")) -> None:
    """Bring ``README.md`` up to date."""
    files.write_text(path, refreshed(path.read_text(encoding="utf-8")))
