"""``adopt``: hand what Snakemake made, at the scale that params.yaml names, to DVC.

DVC then finds nothing to do, and pushes and pulls it as its own. The other way round needs no command: Snakemake goes
by the times of files, and takes what `dvc repro` made as it is.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from seqflows import matrix, params, paths
from seqflows.errors import Problem

FOREACH = ("download", "prepare", "train", "evaluate", "generate")  # whose stages DVC calls <stage>@<key>


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


def stages(found: params.Params) -> list[str]:
    """DVC's names of the stages whose outputs are there, all of them."""
    made = []
    for stage, names in found.keys().items():
        for name in names:
            if all(path.exists() for path in outputs(stage, found.scale, name)):
                whole = name == params.WHOLE
                made.append(stage if whole else f"{stage}{'@' if stage in FOREACH else '-'}{name}")
    return made


def run() -> None:
    """Write dvc.lock and the cache from the files; raise `Problem` where nothing was made or DVC refuses."""
    found = params.load()
    made = stages(found)
    if not made:
        raise Problem(
            f"expected outputs of scale {found.scale}, the scale of params.yaml, found none; "
            f"run: snakemake -j 2 --config scale={found.scale}"
        )
    if shutil.which("dvc") is None:
        raise Problem("expected the command dvc, found none; activate the environment that `make venv` made")
    matrix.run()
    done = subprocess.run(["dvc", "commit", "--quiet", "--force", "matrix", *made], check=False)
    if done.returncode:
        raise Problem(f"expected `dvc commit` to take {len(made)} stages over, got status {done.returncode}; see above")
    print(f"DVC has taken over {len(made)} stages of scale {found.scale}: dvc repro has nothing to do for them")
