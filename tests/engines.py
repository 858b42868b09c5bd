"""What each engine would do, in one form: stage and key -> command, inputs, outputs."""

import re
import textwrap
from pathlib import Path
from typing import NamedTuple

from seqflows import stages
from seqflows.pipeline import dvc

# In the place of a scratch project's cli.py: each stage's outputs are a digest of its inputs, made at once.
STUB = textwrap.dedent(
    """
    import os
    import sys

    from seqflows import files, params, paths, stages


    def content(path):
        found = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file() and p.name[0] != ".")
        return [(file.as_posix(), files.sha256(file)) for file in found]


    def main():
        stage, *given = sys.argv[1:]
        with open("ran.log", "a") as log:
            log.write(" ".join(sys.argv[1:]) + "\\n")
        if stage == "matrix":
            from seqflows.pipeline import matrix

            matrix.run()
            return 0
        if stage == "repro":
            from seqflows.pipeline import repro

            repro.run(2)
            return 0
        key, matrix = paths.Key.parse(*given), params.load()
        scale, name = key
        row = stages.TABLE[stage]
        inputs, outputs = row.inputs(matrix, scale, name), row.outputs(scale, name)
        if stage == "train":
            outputs = [paths.seed(scale, name, seed) for seed in matrix.run(scale, name)["seeds"]]
        block = matrix.run(scale, name) if row.part == "runs" else row.block(matrix, scale, name)
        digest = files.digest([block, [content(path) for path in inputs]])
        for path in outputs:
            files.write_text(path if path.suffix else path / "content", digest)
        return 0
    """
)
PARTS = ("datasets", "features", "runs", "rewrites", "crossfits", "speeds", "texts", "tables", "figures", "comparisons")
SOURCES = (".py", ".csv", ".json", ".yaml", ".html")
SEQFLOWS = r" -m seqflows (\S+(?: [^\s>]\S*)?)"
COMMAND = re.compile(f"(python{SEQFLOWS})")
SHELL = re.compile(rf"trap : TERM; \S+{SEQFLOWS} > ")  # of Snakemake's jobs


class Job(NamedTuple):
    """One stage of one key, as an engine sees it."""

    command: str
    inputs: frozenset[str]
    outputs: frozenset[str]


def by_dvc(folder: Path) -> tuple[dict[str, Job], dict[str, str]]:
    """DVC's reading, by its own resolver: the jobs, and the block of params.yaml that each depends on."""
    from dvc.repo import Repo

    jobs, blocks = {}, {}
    with Repo(str(folder)) as repo:
        for stage in repo.index.stages:
            command, job = COMMAND.fullmatch(stage.cmd).groups()
            inputs = {name for dep in stage.deps for name in _expanded(folder, dep.def_path)}
            matrix = {path for path in inputs if path.startswith(".matrix/")}
            code = {path for path in matrix if path.startswith(".matrix/code/")}
            if block := matrix - code:
                (blocks[job],) = block
            summed = {name for path in code for name in _summed(folder, Path(path).stem)}
            outputs = frozenset(out.def_path for out in stage.outs)
            jobs[job] = Job(command, frozenset(inputs - matrix | summed), outputs)
    return jobs, blocks


def keep(content, tables, runs=(), **others):
    """Leave of a params.yaml's content some tables and the runs that they show, further runs, and entries of others.

    Each is named, or given as it is to be; the datasets are those of the runs.
    """
    there = {part: content[part] for part in PARTS}
    content |= {part: {} for part in PARTS}
    content["tables"] = _entries(there["tables"], tables)
    shown = [cell for table in content["tables"].values() for row in table["rows"].values() for cell in row.values()]
    content["runs"] = _entries(there["runs"], [*(cell.split(".")[0] for cell in shown), *runs])
    content["datasets"] = _entries(there["datasets"], [run["dataset"] for run in content["runs"].values()])
    content |= {part: _entries(there[part], entries) for part, entries in others.items()}


def _entries(there, names):
    return dict(names) if isinstance(names, dict) else {name: there[name] for name in dict.fromkeys(names)}


def ran(folder):
    """The stages that ran in a project of `STUB` since the last question, each once."""
    log = folder / "ran.log"
    lines = log.read_text().splitlines() if log.exists() else []
    log.unlink(missing_ok=True)
    assert len(lines) == len(set(lines))
    return set(lines)


def of_table(name: str) -> str:
    """DVC's name of the stage of a paper's table."""
    return f"{dvc.file(name.partition('-')[0])}:table-{name}"


def _summed(folder: Path, stage: str) -> list[str]:
    """The source files in a stage's list of checksums, which its first stage will write."""
    sources = stages.TABLE[stage].sources()
    assert sources and all((folder / path).is_file() for path in sources)
    return [path.as_posix() for path in sources]


def _expanded(folder: Path, name: str) -> list[str]:
    """A folder of source code, or of what people made, as its files, which Snakemake lists one by one."""
    if not name.startswith(("src/", "human")) or (folder / name).is_file():
        return [name]
    inner = [path for path in (folder / name).rglob("*") if path.is_file()]
    files = [path for path in inner if name == "human" or path.suffix in SOURCES]
    return [name] * (name == "human") + [path.relative_to(folder).as_posix() for path in files]


def by_snakemake(printed: str) -> dict[str, Job]:
    """Snakemake's reading, from what ``snakemake -n -p`` printed."""
    jobs: dict[str, Job] = {}
    found: dict[str, frozenset[str]] = {}
    for line in printed.splitlines():
        if match := re.match(r"    (input|output): (.*)", line):
            found[match[1]] = frozenset(match[2].split(", "))
        elif match := SHELL.match(line.removeprefix("Shell command: ")):  # so says Snakemake 9
            command = f"python -m seqflows {match[1]}"  # as in dvc.yaml, which is committed and so names no interpreter
            jobs[match[1]] = Job(command, found.pop("input", frozenset()), found.pop("output"))
    return jobs
