"""One thread a process, subprocesses that find this checkout, and scratch copies of the project."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import reliability
from seqflows import params, preload
from seqflows.errors import Problem
from seqflows.pipeline import dvc

ROOT = Path(__file__).resolve().parents[1]
PROJECT = (
    "src",
    "workflow",
    "human",
    ".dvc/config",
    ".dvc/.gitignore",
    ".dvcignore",
    ".gitignore",
    "dvc.yaml",
    "params.yaml",
    "requirements.lock",
    "requirements-torch.txt",
    "Snakefile",
)

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[name] = "1"
os.environ["PYTHONPATH"] = str(ROOT / "src")
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
os.environ["HF_HUB_OFFLINE"] = "1"  # no test downloads an encoder
os.environ["CI"] = "true"  # snakemake looks for ended jobs every second


MEMORY, ROOM = Path("/dev/shm"), 4 << 30  # a file system in memory, and what it must have left, bytes


def pytest_configure(config) -> None:
    """Put scratch folders in memory where there is room: every file that is written whole waits for its disk."""
    if config.option.basetemp is None and MEMORY.is_dir() and os.access(MEMORY, os.W_OK):
        found = os.statvfs(MEMORY)
        if found.f_bavail * found.f_frsize >= ROOM and not found.f_flag & os.ST_NOEXEC:
            os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


class Project:
    """A copy of the project in a scratch folder, with git, in which commands run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in PROJECT:
            source, target = ROOT / name, folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
            else:
                shutil.copy(source, target)
        self.env = dict(os.environ) | {
            "PYTHONPATH": str(folder / "src"),
            "DVC_SITE_CACHE_DIR": str(folder.parent / f"{folder.name}-site"),
            "XDG_CACHE_HOME": str(folder.parent / f"{folder.name}-cache"),
            "SEQFLOWS_CHECKPOINTS": str(folder / "checkpoints"),
            preload.VARIABLE: "",  # Snakemake loads no torch for stages that are made at once
        }
        self.run("git", "init", "--quiet")

    def run(self, *command: str, status: int = 0, timeout: float = 1200) -> str:
        """Run a command in the folder and give what it said; another exit status is a failure that shows it."""
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
        )
        assert done.returncode == status, f"{command}: {done.returncode}\n{done.stdout}"
        return done.stdout

    def params(self, change) -> None:
        """Change params.yaml: ``change`` gets its resolved content and alters it."""
        path = self.folder / "params.yaml"
        content = params.read(path)
        change(content)
        text = yaml.dump(content, Dumper=_Plain, sort_keys=False, default_flow_style=None, width=1000)
        path.write_text(text)
        with contextlib.suppress(Problem):  # a wrong params.yaml has no dvc.yaml
            dvc.write(params.load(path), self.folder)

    def scale(self, name: str) -> None:
        """Set the scale that the engines read."""
        self.params(lambda content: content.update(scale=name))


class _Plain(yaml.CSafeDumper):
    """Writes what is shared out in full, so that a change in one place stays there."""

    def ignore_aliases(self, data) -> bool:
        return True


@pytest.fixture
def root() -> Path:
    return ROOT


@pytest.fixture
def project(tmp_path):
    """Make scratch copies of the project by name."""
    return lambda name="project": Project(tmp_path / name)


@pytest.fixture
def world(tmp_path):
    """A project folder with the matrix and no runs."""
    import report_world

    with report_world.placed(tmp_path) as matrix:
        yield matrix


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty project folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def light(monkeypatch):
    """Comparisons without Java; ``light.starts`` counts the starts of what stands in for METEOR."""
    import compared
    from seqflows.textscores import meteor

    monkeypatch.setattr(compared.Light, "starts", 0)
    monkeypatch.setattr(meteor, "Meteor", compared.Light)
    return compared.Light


@pytest.fixture
def wrote(place, light):
    """Three evaluated runs of question generation; the texts that they wrote by run and seed."""
    import compared

    return compared.write_all()


@pytest.fixture
def usual_signals():
    """SIGINT, SIGHUP and SIGTERM as in a terminal, here and in child processes: nohup and `&` ignore some."""
    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGHUP: signal.SIG_DFL, signal.SIGTERM: signal.SIG_DFL}
    former = {number: signal.signal(number, handler) for number, handler in usual.items()}
    yield
    for number, handler in former.items():
        signal.signal(number, handler)


def pytest_runtest_setup(item):
    """Skip the tests marked `gpu` where torch sees no card; the summary says so."""
    if item.get_closest_marker("gpu"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip(f"expected a CUDA device, torch {torch.__version__} sees none: run make test-gpu on a GPU")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Count the tests marked `fault` for results/reliability.md."""
    report = yield
    if call.when == "call" and reliability.FULL and (mark := item.get_closest_marker("fault")):
        reliability.noted(mark.args[0], 1, int(report.passed), "the test of it passes, in `make test` too")
    return report
