# The validated matrix, the scale, and helpers of every rule. An invalid params.yaml stops before the DAG is built.
import contextlib
import shlex
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

from seqflows import files, params, paths, preload, stages
from seqflows.errors import Problem
from seqflows.names import refuse_unknown
from seqflows.pipeline import matrix

try:
    stages.check_code()
    refuse_unknown("--config", config, ["scale"])
    MATRIX = params.load()
    SCALE = params.scale_of(config.get("scale", MATRIX.scale))
    MATRIX = MATRIX.at(SCALE)
except Problem as problem:
    raise WorkflowError(str(problem)) from None

PYTHON = shlex.quote(sys.executable)  # of the jobs: Snakemake's own, whatever their PATH finds
COMPUTE = MATRIX.compute(SCALE)
GPUS = 1 if COMPUTE["device"] == "cuda" or (SCALE == "paper" and COMPUTE["device"] == "auto") else 0
HELD = contextlib.ExitStack()  # for as long as this process lives


# Each engine deletes the other's new outputs, so stages run by DVC wait for this lock.
onstart:
    try:
        HELD.enter_context(files.lock(paths.lock("engine"), "dvc repro is running in this checkout", shared=True))
    except Problem as problem:
        raise WorkflowError(str(problem)) from None
    if cores():
        HELD.enter_context(preload.beside())


def cores():
    """The cores of this machine that jobs have; None on a cluster."""
    try:
        return workflow.cores
    except WorkflowError:
        return None


def alone():
    """All cores of this machine; one on a cluster, where the job requests the whole node."""
    return cores() or 1


def everything():
    """All output files and folders of a scale."""
    made = (path for stage, name in stages.every(MATRIX) for path in stages.TABLE[stage].outputs(SCALE, name))
    return [str(path) for path in made]
