"""What each engine would do, in one form: stage and key -> command, inputs, outputs."""

import re
import textwrap
from pathlib import Path
from typing import NamedTuple

# In the place of a scratch project's cli.py: each stage's outputs are a digest of its inputs, made at once.
STUB = textwrap.dedent(
    """
    import os
    import sys

    from seqflows import files, params, paths


    def content(path):
        found = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file() and p.name[0] != ".")
        return [(file.as_posix(), files.sha256(file)) for file in found]


    def main():
        stage, *given = sys.argv[1:]
        with open("ran.log", "a") as log:
            log.write(" ".join(sys.argv[1:]) + "\\n")
        if stage == "matrix":
            from seqflows import matrix

            return matrix.run()
        key, matrix = paths.Key.parse(*given), params.load()
        scale, name = key
        if stage in ("download", "prepare"):
            block = matrix.dataset(scale, name)
            inputs = [paths.raw(scale, name)] if stage == "prepare" else []
            outputs = [getattr(paths, {"download": "raw", "prepare": "prepared"}[stage])(scale, name) / "content"]
        elif stage in ("train", "evaluate"):
            block = matrix.run(scale, name)
            inputs = [paths.prepared(scale, block["dataset"])]
            if stage == "train":
                outputs = [paths.seed(scale, name, seed) / "content" for seed in block["seeds"]]
            else:
                inputs.append(paths.train(scale, name))
                outputs = [paths.metrics(scale, name), paths.evaluation(scale, name) / "content"]
        elif stage == "table":
            block, outputs = matrix.table(name), paths.table(scale, name)
            inputs = matrix.table_files(scale, name)
        elif stage == "figure":
            block, outputs = matrix.figure(name), paths.figure(scale, name)
            inputs = matrix.figure_files(scale, name)
        elif stage == "speed":
            block, outputs = matrix.speed(scale, name), [paths.speed(scale, name)]
            inputs = sorted({paths.prepared(scale, matrix.runs[run]["dataset"]) for run in block["runs"]})
        elif stage == "generate":
            block, outputs = matrix.text(scale, name), [paths.text(scale, name)]
            inputs = [paths.prepared(scale, block["dataset"]), paths.train(scale, block["run"])]
        else:
            raise SystemExit(f"not stubbed: {stage}")
        digest = files.digest([block, [content(path) for path in inputs]])
        for path in outputs:
            files.write_text(path, digest)
        record(stage, key, block, digest)
        return 0


    def record(stage, key, block, digest):
        # What `adopt` compares with params.yaml.
        if stage == "prepare":
            files.write_json(paths.prepared(*key) / "checksums.json", {"sha256": digest})
        if stage in ("train", "evaluate"):
            data = files.read_json(paths.prepared(key.scale, block["dataset"]) / "checksums.json")["sha256"]
            parts = {part: block[part] for part in ("dataset", "model", "training")}
            settings = files.digest(parts if stage == "train" else params.scored(block))
            records = [{"seed": n, "config_hash": settings, "dataset_sha256": data} for n in block["seeds"]]
            if stage == "evaluate":
                files.write_json(paths.metrics(*key), {"metrics": records, "digest": digest})
            for one in records if stage == "train" else ():
                files.write_json(paths.seed(*key, one["seed"]) / "train.json", one)
    """
)
COMMAND = re.compile(r"(python -m seqflows (\S+(?: [^\s>]\S*)?))")


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
            block = {path for path in inputs if path.startswith(".matrix/")}
            if block:
                (blocks[job],) = block
            outputs = frozenset(out.def_path for out in stage.outs)
            jobs[job] = Job(command, frozenset(inputs - block), outputs)
    return jobs, blocks


def _expanded(folder: Path, name: str) -> list[str]:
    """A folder of source code as its files, which Snakemake lists one by one."""
    if not name.startswith("src/") or (folder / name).is_file():
        return [name]
    files = [path for end in ("*.py", "*.csv", "*.json") for path in (folder / name).rglob(end)]
    return [path.relative_to(folder).as_posix() for path in files]


def by_snakemake(printed: str) -> dict[str, Job]:
    """Snakemake's reading, from what ``snakemake -n -p`` printed."""
    jobs: dict[str, Job] = {}
    found: dict[str, frozenset[str]] = {}
    for line in printed.splitlines():
        if match := re.match(r"    (input|output): (.*)", line):
            found[match[1]] = frozenset(match[2].split(", "))
        elif match := re.match(COMMAND.pattern + " > ", line.removeprefix("Shell command: ")):  # so says Snakemake 9
            jobs[match[2]] = Job(match[1], found.pop("input", frozenset()), found.pop("output"))
    return jobs
