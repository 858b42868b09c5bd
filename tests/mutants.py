"""`make mutants`: errors planted in a copy of the tree, one at a time, and whether the tests named for each see it.

A planted error is a file, a text that stands in it exactly once, what takes its place, and the tests that should fail.
The list cannot rot in silence: an entry whose old text does not stand once is refused, here and by test_mutants.py.
Each error is tried in a process of its own, forked where torch and pytest are imported already; it sees nothing of the
others.
"""

from __future__ import annotations

import argparse
import csv
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import redirect_stdout
from datetime import date
from pathlib import Path

from mutants_list import MUTANTS, SURVIVORS

ROOT = Path(__file__).resolve().parents[1]
RECORD = Path(os.environ.get("SEQFLOWS_MUTANTS_RECORD", ROOT / "results/mutants.csv"))
COLUMNS = ("name", "killed", "date")  # of the record: the last outcome of each error, "yes" or "no"
PAGE, TITLE = ROOT / "results/reliability.md", "# Errors that were planted"
LIMIT = 600  # seconds for the tests of one error; one that hangs is killed
TREE = (
    "src",
    "tests",
    "human",
    "workflow",
    "Snakefile",
    "Makefile",
    "dvc.yaml",
    "params.yaml",
    "pyproject.toml",
    "README.md",
    "CITATION.cff",
    "LICENSE",
)


def stale(root: Path = ROOT) -> list[str]:
    """What is wrong with the list: an old text that does not stand once, no change, a test file that is not there."""
    found = []
    for mutant in MUTANTS:
        path = root / mutant.file
        count = path.read_text(encoding="utf-8").count(mutant.old) if path.is_file() else 0
        if count != 1:
            found.append(f"{mutant.name}: expected its old text once in {mutant.file}, got {count}: {mutant.old!r}")
        if mutant.old == mutant.new:
            found.append(f"{mutant.name}: expected a change, got none")
        for test in mutant.tests.split():
            file, *names = test.split("::")
            text = (root / file).read_text(encoding="utf-8") if (root / file).is_file() else ""
            if not text or any(f"def {name.split('[')[0]}(" not in text for name in names):
                found.append(f"{mutant.name}: expected the test {test}, found none")
    names = [mutant.name for mutant in MUTANTS]
    found += [
        f"{name}: expected one entry, got {names.count(name)}" for name in sorted({*names}) if names.count(name) > 1
    ]
    found += [f"{name}: explained, but not planted" for name in SURVIVORS if name not in names]
    return found


def copied(folder: Path) -> Path:
    """The tree, without what the pipeline made."""
    for name in (*TREE, *((".dvc/config", ".dvc/.gitignore", ".dvcignore", ".gitignore"))):
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        elif source.exists():
            shutil.copy(source, target)
    if (ROOT / "results").is_dir():
        (folder / "results").symlink_to(ROOT / "results")  # committed records that some tests read
    return folder


def tests_fail(folder: Path, tests: list[str], said: Path) -> bool:
    """Run tests of the copy in a forked process; whether one failed. Tests that cannot be collected are an error."""
    child = os.fork()
    if child == 0:
        status = 99
        try:
            os.setsid()
            output = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(output, 1)
            os.dup2(output, 2)
            os.chdir(folder)
            os.environ["PYTHONPATH"] = str(folder / "src")
            os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
            sys.dont_write_bytecode = True
            sys.path[:] = [str(folder / "src"), *(p for p in sys.path if Path(p or ".").resolve() not in _own())]
            import pytest

            status = int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", "--tb=short", *tests]))
        finally:
            os._exit(status)
    deadline = time.monotonic() + LIMIT
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        if time.monotonic() > deadline:
            os.killpg(child, 9)
            os.waitpid(child, 0)
            return True  # it hangs, which no one overlooks
        time.sleep(0.05)
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        return True  # a signal ended it, as one that is no longer caught does
    if code not in (0, 1, 2):  # 2: the tests' imports fail under the error
        raise SystemExit(
            f"expected pytest to run {' '.join(tests)}, got exit status {code}: {said.read_text()[-2000:]}"
        )
    return code != 0


def recorded() -> dict[str, dict[str, str]]:
    """The last outcome of each error that is still on the list and was tried, by name."""
    if not RECORD.exists():
        return {}
    with RECORD.open(newline="", encoding="utf-8") as file:
        found = {row["name"]: row for row in csv.DictReader(file)}
    return {mutant.name: found[mutant.name] for mutant in MUTANTS if mutant.name in found}


def record(name: str, killed: bool) -> None:
    """Put the outcome of an error into the record, in the place of the one before."""
    found = recorded() | {name: {"name": name, "killed": "yes" if killed else "no", "date": date.today().isoformat()}}
    with RECORD.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(found[mutant.name] for mutant in MUTANTS if mutant.name in found)


def section(last: Mapping[str, Mapping[str, str]]) -> str:
    """What results/reliability.md says of planted errors, from the ``last`` outcomes of those that were tried."""
    tried = [mutant for mutant in MUTANTS if mutant.name in last]
    dates = sorted({last[mutant.name]["date"] for mutant in tried}) or ["never"]
    when = " to ".join(dict.fromkeys([dates[0], dates[-1]]))
    lines = [
        TITLE,
        "",
        "Made by `make mutants`: one error at a time is planted in a copy of the tree, and the tests that",
        "`tests/mutants_list.py` names for it are run; it is killed where one fails. "
        f"Of {len(MUTANTS)} on the list {len(tried)} were tried ({when}), each on the tree of its day,",
        f"by the outcomes in [{RECORD.name}]({RECORD.name}).",
        "",
        "| part | on the list | tried | killed |",
        "| --- | ---: | ---: | ---: |",
    ]
    parts = dict.fromkeys(mutant.name.split("/")[0].split(":")[0] for mutant in MUTANTS)
    for part in (*parts, "all"):
        here = [m for m in MUTANTS if part == "all" or m.name.split("/")[0].split(":")[0] == part]
        done = [m for m in here if m in tried]
        killed = sum(last[m.name]["killed"] == "yes" for m in done)
        lines.append(f"| {part} | {len(here)} | {len(done)} | {killed} |")
    survived = [m.name for m in tried if last[m.name]["killed"] != "yes"]
    missing = [f"- not tried: {m.name}" for m in MUTANTS if m not in tried]
    if missing:
        lines += [
            "",
            f"<details><summary>{len(missing)} not tried, by the record</summary>",
            "",
            *missing,
            "",
            "</details>",
        ]
    lines += ["", *(f"- survived: {name}: {SURVIVORS.get(name, 'not explained')}" for name in survived)]
    return "\n".join(lines).rstrip() + "\n"


def page() -> None:
    """Put the section into results/reliability.md in the place of the one before."""
    before = PAGE.read_text(encoding="utf-8").split(TITLE)[0].rstrip()
    PAGE.write_text(f"{before}\n\n{section(recorded())}", encoding="utf-8")


def _warm() -> None:
    """Import here, once, what every forked process would: all but seqflows and its tests."""
    import numpy  # noqa: F401
    import pytest
    import safetensors.torch  # noqa: F401
    import scipy.special  # noqa: F401
    import torch
    import torch.optim.adam  # noqa: F401
    import yaml  # noqa: F401

    with tempfile.TemporaryDirectory() as folder, open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
        (Path(folder) / "test_nothing.py").write_text("def test_nothing(): pass\n")
        pytest.main(["-q", "-p", "no:cacheprovider", f"--rootdir={folder}", folder])  # for its plugins


def _own() -> set[Path]:
    return {ROOT / "src", ROOT / "tests", ROOT}


def main(arguments: list[str]) -> int:
    """Try the entries; 0 where every one is killed but those that are explained."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "words", nargs="*", help="only errors whose file or reason has one of these words, such as trainer"
    )
    parser.add_argument(
        "--unplanted", action="store_true", help="first run the tests on the tree as it is, where they have to pass"
    )
    parser.add_argument("--show", action="store_true", help="print what the tests said")
    parser.add_argument("--page", action="store_true", help="write results/reliability.md at the end")
    parser.add_argument("--only-page", action="store_true", help="write it from the record, and plant nothing")
    asked = parser.parse_args(arguments)
    if problems := stale():
        print("\n".join(problems), file=sys.stderr)
        return 2
    if asked.only_page:
        page()
        return 0
    chosen = [mutant for mutant in MUTANTS if not asked.words or any(word in mutant.name for word in asked.words)]
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = "1"
    _warm()
    killed, survived = [], []
    with tempfile.TemporaryDirectory(prefix="mutants-") as scratch:
        folder = copied(Path(scratch) / "tree")
        every = list(dict.fromkeys(test for mutant in chosen for test in mutant.tests.split()))
        if asked.unplanted and tests_fail(folder, every, Path(scratch) / "said"):
            print((Path(scratch) / "said").read_text()[-4000:])
            print("expected the tests to pass before anything is planted", file=sys.stderr)
            return 2
        for number, mutant in enumerate(chosen, 1):
            path, started = folder / mutant.file, time.monotonic()
            whole = path.read_text(encoding="utf-8")
            path.write_text(whole.replace(mutant.old, mutant.new), encoding="utf-8")
            seen = tests_fail(folder, mutant.tests.split(), Path(scratch) / "said")
            path.write_text(whole, encoding="utf-8")
            (killed if seen else survived).append(mutant)
            verdict = "killed  " if seen else "SURVIVED"
            print(f"{number:3d}/{len(chosen)} {verdict} {time.monotonic() - started:5.1f} s  {mutant.name}", flush=True)
            record(mutant.name, seen)
            if asked.show:
                print((Path(scratch) / "said").read_text()[-3000:], flush=True)
    if asked.page:
        page()
    unexplained = [mutant.name for mutant in survived if mutant.name not in SURVIVORS]
    print(f"{len(killed)} of {len(chosen)} planted errors killed, {len(survived)} survived")
    for mutant in survived:
        print(f"survived: {mutant.name} ({SURVIVORS.get(mutant.name, 'not explained')})")
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
