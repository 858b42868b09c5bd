"""``adopt``: hand Snakemake's outputs of the scale named in params.yaml to DVC.

DVC then finds nothing to do, and pushes and pulls them as its own. So the outputs must be up to date, as `status`
knows it. The other direction needs no command: Snakemake compares file times, and accepts the outputs of `dvc repro`.
"""

from __future__ import annotations

import shutil
import subprocess
import sys

from seqflows import params, stages
from seqflows.errors import Problem
from seqflows.pipeline import dvc, matrix, status


def made(found: params.Params) -> list[stages.Job]:
    """The stages and keys whose inputs and outputs all exist.

    A fresh clone has committed results of scale laptop without their inputs.
    """
    scale = found.scale
    return [
        (stage, name)
        for stage, name in stages.every(found.at(scale))
        if all(path.exists() for path in stages.TABLE[stage].inputs(found, scale, name))
        and all(path.exists() for path in stages.TABLE[stage].outputs(scale, name))
    ]


def run() -> None:
    """Write dvc.lock and the cache from the files.

    Raises `Problem` if nothing was made, outputs are not up to date, or DVC fails.
    """
    found = params.load()
    some = made(found)
    if not some:
        raise Problem(
            f"expected outputs of scale {found.scale}, which params.yaml names, and what they are made of, found none; "
            f"run: snakemake -j 2 --config scale={found.scale}"
        )
    known = status.Status(found.at(found.scale), found.scale)
    if old := [job for job in some if known.of(*job).state != status.MADE]:
        keys = [f"{stage} {found.scale}/{name}" for stage, name in old]
        raise Problem(
            f"expected outputs that are up to date, got stale ones of {', '.join(keys)} ({known.of(*old[0]).why}); "
            f"run: {' && '.join(f'python -m seqflows {key}' for key in keys)} && snakemake -j 2 --config "
            f"scale={found.scale}"
        )
    if shutil.which("dvc") is None:
        raise Problem("expected the command dvc, found none; activate the environment that `make venv` made")
    matrix.run()
    named = dvc.addresses(found)
    command = ["dvc", "commit", "--force", "matrix", *(named[one] for one in some)]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        print(done.stderr.rstrip(), file=sys.stderr)
        raise Problem(f"expected `dvc commit` to take {len(some)} stages over, got status {done.returncode}; see above")
    print(f"DVC has taken over {len(some)} stages of scale {found.scale}: dvc repro has nothing to do for them")
