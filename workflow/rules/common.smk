# The validated matrix, the scale, and what every rule shares. Nothing of the DAG is built where params.yaml is wrong.
import contextlib
from pathlib import Path

from snakemake.exceptions import WorkflowError

from seqflows import files, params, paths, stages
from seqflows.errors import Problem
from seqflows.names import refuse_unknown
from seqflows.pipeline import matrix

try:
    refuse_unknown("--config", config, ["scale"])
    MATRIX = params.load()
    SCALE = params.scale_of(config.get("scale", MATRIX.scale))
    MATRIX = MATRIX.at(SCALE)
except Problem as problem:
    raise WorkflowError(str(problem)) from None

COMPUTE = MATRIX.compute(SCALE)
GPUS = 1 if SCALE == "paper" and COMPUTE["device"] != "cpu" else 0
LARGE = {"demo": 1, "laptop": 2, "paper": 8}[SCALE]  # a rough measure of memory and time
HELD = contextlib.ExitStack()  # for as long as this process lives


# Each engine takes away what the other has just made: stages that DVC runs wait for this lock.
onstart:
    try:
        HELD.enter_context(files.lock(paths.lock("engine"), "dvc repro is at work in this checkout", shared=True))
    except Problem as problem:
        raise WorkflowError(str(problem)) from None


def alone():
    """All cores of this machine; on a cluster one, where the node is asked for whole."""
    try:
        return workflow.cores or 1
    except WorkflowError:
        return 1


def everything():
    """All files that a scale makes; the folders are made on the way."""
    made = (path for stage, name in stages.every(MATRIX) for path in stages.TABLE[stage].outputs(SCALE, name))
    return [str(path) for path in made if path.suffix]
