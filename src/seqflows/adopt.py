"""``adopt``: hand what Snakemake made, at the scale that params.yaml names, to DVC.

DVC then finds nothing to do, and pushes and pulls it as its own. So what is handed over has to be of the present
params.yaml, by the records beside it. The other way round needs no command: Snakemake goes by the times of files, and
takes what `dvc repro` made as it is.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from seqflows import files, matrix, params, paths
from seqflows.errors import Problem
from seqflows.report import table_texts
from seqflows.report.inputs import Results
from seqflows.training.loop import configuration

FOREACH = ("download", "prepare", "train", "evaluate", "generate")  # whose stages DVC calls <stage>@<key>


class Made(NamedTuple):
    """A stage and its key's name."""

    stage: str
    name: str

    @property
    def address(self) -> str:
        """What DVC calls it."""
        if self.name == params.WHOLE:
            return self.stage
        return f"{self.stage}{'@' if self.stage in FOREACH else '-'}{self.name}"


def inputs(found: params.Params, stage: str, name: str) -> list[Path]:
    """What a stage reads of other stages."""
    scale = found.scale
    if stage == "prepare":
        return [paths.raw(scale, name)]
    if stage in ("train", "evaluate"):
        data = paths.prepared(scale, found.runs[name]["dataset"])
        return [data] if stage == "train" else [data, paths.train(scale, name)]
    if stage == "speed":
        return [paths.prepared(scale, found.runs[run]["dataset"]) for run in found.speed(scale, name)["runs"]]
    if stage == "generate":
        text = found.texts[name]
        return [paths.prepared(scale, text["dataset"]), paths.train(scale, text["run"])]
    if stage == "table":
        return found.table_files(scale, name)
    if stage == "figure":
        return found.figure_files(scale, name)
    metrics = [paths.metrics(scale, run) for run in found.runs]
    if stage == "audit":
        read = [paths.table(scale, table)[0] for table in found.tables]
        return [paths.prepared(scale, "ptb"), *metrics, *(paths.speed(scale, one) for one in found.speeds), *read]
    if stage == "track":
        shown = [path for table in found.tables for path in paths.table(scale, table)]
        shown += [path for figure in found.figures for path in paths.figure(scale, figure)]
        return [*metrics, *shown, *paths.audit(scale)]
    return []


def outputs(stage: str, scale: str, name: str) -> list[Path]:
    """What a stage writes."""
    if stage in ("table", "figure"):
        return list(getattr(paths, stage)(scale, name))
    if stage == "evaluate":
        return [paths.metrics(scale, name), paths.evaluation(scale, name)]
    if stage == "audit":
        return list(paths.audit(scale))
    if stage == "track":
        return [paths.track(scale)]
    place = {
        "download": paths.raw, "prepare": paths.prepared, "train": paths.train, "speed": paths.speed,
        "generate": paths.text,
    }  # fmt: skip
    return [place[stage](scale, name)]


def stages(found: params.Params) -> list[Made]:
    """The stages whose inputs and outputs are there, all of them.

    A fresh clone has committed results of scale laptop, and nothing that they were made of.
    """
    return [
        Made(stage, name)
        for stage, names in found.keys().items()
        for name in names
        if all(path.exists() for path in (*inputs(found, stage, name), *outputs(stage, found.scale, name)))
    ]


def stale(found: params.Params, made: Iterable[Made]) -> list[Made]:
    """The runs and texts whose records are of other settings, seeds or data than they would have now."""
    return [one for one in made if _stale(found, *one)]


def _stale(found: params.Params, stage: str, name: str) -> bool:
    scale = found.scale
    if stage == "generate":
        try:
            table_texts.read(Results(found, scale), name)
        except Problem:
            return True
    if stage not in ("train", "evaluate"):
        return False
    block = found.run(scale, name)
    if stage == "train":
        wanted = files.digest(configuration(block))
        records = [files.read_json(path) for path in paths.train(scale, name).glob("seed-*/train.json")]
    else:
        wanted = files.digest(params.scored(block))
        records = files.read_json(paths.metrics(scale, name))["metrics"]
    data = files.read_json(paths.prepared(scale, block["dataset"]) / "checksums.json")["sha256"]
    recorded = {(record["seed"], record["config_hash"], record["dataset_sha256"]) for record in records}
    return recorded != {(seed, wanted, data) for seed in block["seeds"]}


def run() -> None:
    """Write dvc.lock and the cache from the files.

    Raises `Problem` where nothing was made, a run or text is not of the present params.yaml, or DVC refuses.
    """
    found = params.load()
    made = stages(found)
    if not made:
        raise Problem(
            f"expected outputs of scale {found.scale}, which params.yaml names, and what they are made of, found none; "
            f"run: snakemake -j 2 --config scale={found.scale}"
        )
    if old := stale(found, made):
        keys = [f"{stage} {found.scale}/{name}" for stage, name in old]
        raise Problem(
            f"expected outputs of the present params.yaml, got those of other settings or data of {', '.join(keys)}; "
            f"run: {' && '.join(f'python -m seqflows {key}' for key in keys)} && snakemake -j 2 --config "
            f"scale={found.scale}"
        )
    if shutil.which("dvc") is None:
        raise Problem("expected the command dvc, found none; activate the environment that `make venv` made")
    matrix.run()
    command = ["dvc", "commit", "--force", "matrix", *(one.address for one in made)]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        print(done.stderr.rstrip(), file=sys.stderr)
        raise Problem(f"expected `dvc commit` to take {len(made)} stages over, got status {done.returncode}; see above")
    print(f"DVC has taken over {len(made)} stages of scale {found.scale}: dvc repro has nothing to do for them")
