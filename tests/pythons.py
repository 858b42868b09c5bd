"""The page of Pythons under which the tests were run, results/pythons.md; `make test-python` adds a row to it.

python tests/pythons.py .pythons.xml
"""

from __future__ import annotations

import platform
import re
import sys
import xml.etree.ElementTree as ElementTree
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PAGE = Path(__file__).resolve().parents[1] / "results/pythons.md"
PACKAGES = ("snakemake", "torch", "numpy", "pandas", "dvc", "mlflow")
HEADER = ("Python", *PACKAGES, "passed", "skipped", "failed", "revision")
ABOVE = """# Pythons that were tried

`make test-python PY=3.12` installs requirements.lock in an environment of that Python, runs the tests and adds its row.

"""


def counts(report: Path) -> dict[str, int]:
    """Passed, skipped and failed tests of a report in JUnit's form; an error at setup is a failure."""
    try:
        suites = list(ElementTree.parse(report).getroot().iter("testsuite"))
    except ElementTree.ParseError:
        suites = []
    total, skipped, failures, errors = (
        sum(int(suite.get(name, 0)) for suite in suites) for name in ("tests", "skipped", "failures", "errors")
    )
    if not total:
        sys.exit(f"expected tests in {report}, found none; run make test-python again")
    return {"passed": total - skipped - failures - errors, "skipped": skipped, "failed": failures + errors}


def row(report: Path, revision: str) -> dict[str, str]:
    """The row of the Python that this runs under."""
    found = {"Python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "none"
    return {**found, **{name: f"{count:,}" for name, count in counts(report).items()}, "revision": revision}


def page(before: str, new: dict[str, str]) -> str:
    """The page with a row, which replaces one of the same minor version; the rows in order of version.

    >>> first = page("", dict.fromkeys(HEADER, "1") | {"Python": "3.12.1"})
    >>> later = page(first, dict.fromkeys(HEADER, "2") | {"Python": "3.11.7"})
    >>> later = page(later, dict.fromkeys(HEADER, "3") | {"Python": "3.12.4"})
    >>> [line.split(" | ")[:2] for line in later.splitlines() if line.startswith("| 3")]
    [['| 3.11.7', '2'], ['| 3.12.4', '3']]
    """
    lines = [line for line in before.splitlines() if re.match(r"\| \d", line)]
    rows = {minor(line.strip("| ").split(" | ")[0]): line for line in lines}
    rows[minor(new["Python"])] = f"| {' | '.join(new[name] for name in HEADER)} |"
    head = [f"| {' | '.join(HEADER)} |", "| --- |" + " ---: |" * (len(HEADER) - 2) + " --- |"]
    return ABOVE + "\n".join(head + [rows[key] for key in sorted(rows)]) + "\n"


def minor(found: str) -> tuple[int, int]:
    """Major and minor version."""
    first, second, *_ = found.split(".")
    return int(first), int(second)


def main() -> None:
    """Add the row of a report."""
    from seqflows import files

    new = row(Path(sys.argv[1]), files.revision())
    files.write_text(PAGE, page(PAGE.read_text() if PAGE.exists() else "", new))
    print(" ".join(f"{name} {value}" for name, value in new.items()))


if __name__ == "__main__":
    main()
