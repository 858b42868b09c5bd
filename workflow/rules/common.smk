# The validated matrix, the scale, and what every rule shares. Nothing of the DAG is built where params.yaml is wrong.
import contextlib
from pathlib import Path

from snakemake.exceptions import WorkflowError

from seqflows import files, matrix, params, paths
from seqflows.errors import Problem
from seqflows.names import refuse_unknown

try:
    refuse_unknown("--config", config, ["scale"])
    MATRIX = params.load()
    SCALE = params.scale_of(config.get("scale", MATRIX.scale))
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


wildcard_constraints:
    name="[a-z0-9][a-z0-9_-]*",


def command(stage, name="{wildcards.name}"):
    """The stage's command, which DVC runs too; what it says goes to the log, and to the terminal when it fails."""
    return (
        f"python -m seqflows {stage} {SCALE}/{name} > {{log}} 2>&1 || " "{{ status=$?; cat {log} >&2; exit $status; }}"
    )


def log_of(stage, name="{name}"):
    return f"logs/{stage}/{SCALE}/{name}.log"


def alone():
    """All cores of this machine; on a cluster one, where the node is asked for whole."""
    try:
        return workflow.cores or 1
    except WorkflowError:
        return 1


def block(stage, name=None):
    """What a stage depends on in params.yaml, as text: when it changes, so do the rule's params, and the job runs again."""
    if name:
        return matrix.text(MATRIX.block(stage, SCALE, name))
    return lambda wildcards: matrix.text(MATRIX.block(stage, SCALE, wildcards.name))


def code(stage):
    return [str(path) for path in paths.source_files(stage)]


def strings(*some):
    return [str(path) for path in some]


def prepared_of(run):
    return str(paths.prepared(SCALE, MATRIX.runs[run]["dataset"]))


def everything():
    """All that a scale makes: every run's metrics, speeds, texts, tables, figures, audit and track."""
    made = [paths.metrics(SCALE, name) for name in MATRIX.runs]
    made += [paths.speed(SCALE, name) for name in MATRIX.speeds]
    made += [paths.text(SCALE, name) for name in MATRIX.texts]
    made += [path for name in MATRIX.tables for path in paths.table(SCALE, name)]
    made += [path for name in MATRIX.figures for path in paths.figure(SCALE, name)]
    return strings(*made, *paths.audit(SCALE), paths.track(SCALE))
