"""Every stage on a disk with no room left: one line that names the file, status 1, and nothing half-written.

The disk is made full by the limit that the system puts on the size of a file: a real failure of a real write, whichever
library it happens in.
"""

import resource
import shutil
import subprocess
import sys

import pytest

from conftest import Project
from reliability import record
from seqflows import files

STAGES = {
    "matrix": [".matrix"],
    "download demo/gaussians": ["data/raw/demo/gaussians"],
    "prepare demo/gaussians": ["data/prepared/demo/gaussians"],
    "features demo/squad_questions": ["data/features/demo/squad_questions"],
    "train demo/gaussians-affine": ["runs/demo/gaussians-affine/train"],
    "table demo/ziegler2019-table3": ["results/demo/ziegler2019-table3.csv", "results/demo/ziegler2019-table3.md"],
    "figure demo/ziegler2019-figure5": ["results/demo/ziegler2019-figure5.png", "results/demo/ziegler2019-figure5.svg"],
    "audit demo/all": ["results/demo/audit.csv", "results/demo/audit.md"],
    # last: it withdraws what the figure draws from before it scores anew
    "evaluate demo/gaussians-affine": [f"runs/demo/gaussians-affine/{name}" for name in ("metrics.json", "evaluation")],
}
ROOM = 100  # bytes


def full():
    """In the child: no file may grow beyond ROOM."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, ROOM))


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    made = Project(tmp_path_factory.mktemp("full") / "project")

    def shrink(content):
        content["runs"]["gaussians-affine"]["demo"]["training"]["epochs"] = 1
        content["runs"]["gaussians-nlsq"]["demo"]["training"]["epochs"] = 1

    made.params(shrink)
    stages = [f"{stage} demo/squad_questions" for stage in ("download", "prepare", "features")]
    stages += [f"{stage} demo/gaussians" for stage in ("download", "prepare")]
    stages += [f"{stage} demo/gaussians-{run}" for run in ("affine", "nlsq") for stage in ("train", "evaluate")]
    script = " && ".join(f"python -m seqflows {stage}" for stage in stages)
    made.run("python", "-m", "seqflows", "preload", "bash", "-c", script)
    return made


@pytest.mark.parametrize("stage", STAGES)
def test_a_full_disk_is_told_and_leaves_nothing(scratch, stage):
    outputs = [scratch.folder / name for name in STAGES[stage]]
    kept = {path: _content(path) for path in outputs if path.exists()}
    before = _names(scratch.folder)
    command = [sys.executable, "-m", "seqflows", *stage.split()]
    if stage != "matrix":
        command.append("--force")
    env = {name: value for name, value in scratch.env.items() if name != "PYTHONDONTWRITEBYTECODE"}
    _without_bytecode(scratch.folder / "src")
    done = subprocess.run(
        command, cwd=scratch.folder, env=env, capture_output=True, text=True, preexec_fn=full, timeout=300
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith(f"seqflows {stage}: ")]
    assert "expected room to write" in line and "free some and run again" in line
    # whole as before, or gone: evaluate withdraws the old numbers before it scores another model
    assert {path: _content(path) for path in outputs if path.exists()}.items() <= kept.items()
    assert _names(scratch.folder) - before <= {f".locks/{stage.replace(' ', '-').replace('/', '-')}.lock"}
    # no piece of bytecode, which no later import could read
    assert not list((scratch.folder / "src").rglob("*.pyc"))

    record("disk full in each stage", 1, 1, "one line that names the file; what was there is whole or withdrawn")


def _without_bytecode(folder):
    """Take compiled modules away, so that the process would write each of them anew."""
    for path in list(folder.rglob("__pycache__")):
        shutil.rmtree(path)


def _names(folder):
    skipped = (".git/", "checkpoints/")
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    return {name for name in names if not name.startswith(skipped) and "__pycache__" not in name}


def _content(path):
    paths = [path] if path.is_file() else sorted(inner for inner in path.rglob("*") if inner.is_file())
    return [(inner.as_posix(), files.sha256(inner)) for inner in paths]
