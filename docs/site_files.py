"""The pages of the site: README, docs, CONTRIBUTING and the results, at their places in the repository.

mkdocs takes pages from one folder alone, and these link to each other across the repository. So its folder,
`docs/site`, has only the interfaces, and this hook adds the others where they are; `mkdocs build --strict` then fails
on a broken link.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "CITATION.cff")
FOLDERS = {"docs": ("*.md",), "results": ("*.md", "*.png", "*.svg", "*.csv")}


def on_files(files: Any, config: Any) -> Any:
    """Add every page, table and picture under its path in the repository."""
    from mkdocs.structure.files import File

    found = [ROOT / name for name in PAGES]
    for folder, patterns in FOLDERS.items():
        found += [path for pattern in patterns for path in sorted((ROOT / folder).rglob(pattern))]
    for path in found:
        place = path.relative_to(ROOT).as_posix()
        if not place.startswith("docs/site/"):
            files.append(File.generated(config, place, abs_src_path=str(path)))
    return files
