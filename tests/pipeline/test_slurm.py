"""On a real Slurm: the bare command, the profile, and jobs that Slurm or a signal ends.

`make test-slurm` runs the whole demo and compares every table with DVC's; `make test-all` takes six short runs, and
`make test` one fault. Where there is no root or no Slurm to install, all of this is skipped, and says so.
"""

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

import slurm
from conftest import Project
from engines import keep, of_table
from reliability import count, record
from seqflows import paths

FULL = os.environ.get("SEQFLOWS_SLURM") == "full"
TABLES = ("ziegler2019-table2", "schmidt2018-table2")
RUN = "gaussians-affine"
HOURS = 2 * 3600  # of the whole demo, 32 jobs at once on whatever there is
TRAINING = f"runs/demo/{RUN}/train"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    if reason := slurm.missing():
        pytest.skip(reason)
    # a socket's path has to be short
    folder = Path("/tmp") / f"seqflows-slurm-{os.getpid()}"
    with slurm.Slurm(folder) as made:
        yield made


def shrink(content):
    """Two tables, two epochs of each of their runs."""
    keep(content, TABLES)
    for run in content["runs"].values():
        training = run["demo"]["training"]
        training["epochs"] = 2
        if "kl_free_epochs" in training:
            training.update(kl_free_epochs=0, kl_ramp_epochs=1)


def tables(folder):
    """Name -> content of every table."""
    return {path.name: path.read_text() for path in sorted((folder / "results/demo").glob("*-table*.csv"))}


def scratch(folder):
    """A checkout, of the whole demo or of two tables."""
    made = Project(folder)
    if not FULL:
        made.params(shrink)
    return made


@pytest.fixture(scope="module")
def dvcs(cluster, tmp_path_factory):
    """The tables that DVC makes."""
    there = scratch(tmp_path_factory.mktemp("dvc") / "project")
    there.run("dvc", "repro", "-q", *([] if FULL else map(of_table, TABLES)), timeout=HOURS)
    return tables(there.folder)


@pytest.mark.slow
@pytest.mark.parametrize("how", [("--cluster", "sbatch"), ("--profile", "workflow/profiles/slurm")])
def test_every_table_is_dvcs(cluster, dvcs, tmp_path, how):
    here = scratch(tmp_path / "project")
    here.env |= cluster.env | {"CI": "true"}
    targets = [] if FULL else ["--", *(str(paths.table("demo", name)[0]) for name in TABLES)]
    here.run("snakemake", *how, "-j", "32", *targets, timeout=HOURS)
    made = tables(here.folder)
    assert made and made == dvcs


# --- faults


def long(content):
    """A training of half a minute or more."""
    content["runs"][RUN]["demo"]["training"] |= {"epochs": 400, "patience": 1000}


def wait(holds, seconds=120):
    """Wait until something holds."""
    for _ in range(10 * seconds):
        if found := holds():
            return found
        time.sleep(0.1)
    raise AssertionError("nothing happened")


def scancel(cluster, folder):
    cluster.run("scancel", wait(lambda: cluster.running("train")))


def trainings(folder):
    """The processes that train below a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words, here = path.read_bytes().split(b"\0"), os.readlink(path.parent / "cwd")
            if b"train" in words and f"demo/{RUN}".encode() in words and here == str(folder):
                found.append(int(path.parent.name))
    return found


def time_limit(cluster, folder):
    """The limit of one minute, its last half for the checkpoint; slowed to a fifth, lest it be done before."""
    pid = wait(lambda: trainings(folder))[0]
    while pid in trainings(folder):
        for signum, seconds in (signal.SIGSTOP, 0.4), (signal.SIGCONT, 0.1):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signum)
            time.sleep(seconds)


def kill(cluster, folder):
    """SIGKILL of the training's own process, as from the out-of-memory killer."""
    for pid in trainings(folder):
        os.kill(pid, signal.SIGKILL)


FAULTS = {"scancel of a job": scancel, "time limit of a job": time_limit, "SIGKILL of a job's step": kill}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The model of a training that nobody stopped."""
    scratch = Project(tmp_path_factory.mktemp("undisturbed") / "project")
    scratch.params(long)
    scratch.run("snakemake", "-j", "1", "--", TRAINING)
    return (scratch.folder / TRAINING / "seed-0/model.safetensors").read_bytes()


@pytest.mark.parametrize(
    "fault", [pytest.param(name, marks=[pytest.mark.slow] * (act is not scancel)) for name, act in FAULTS.items()]
)
def test_a_job_that_slurm_ends_goes_on(cluster, undisturbed, tmp_path, fault):
    tried, held = count(fault), 0
    for attempt in range(tried):
        scratch = Project(tmp_path / f"project{attempt}")
        scratch.params(long)
        env = scratch.env | cluster.env | {"CI": "true"}
        command = ["snakemake", "--profile", "workflow/profiles/slurm", "-j", "4"]
        command += ["--set-resources", "train:runtime=1", "--", TRAINING] if "limit" in fault else ["--", TRAINING]
        with subprocess.Popen(
            command, cwd=scratch.folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as running:
            wait(lambda scratch=scratch: list((scratch.folder / "checkpoints").glob("*/checkpoint.json")))
            FAULTS[fault](cluster, scratch.folder)
            said = running.communicate(timeout=900)[0]
        logs = "".join(path.read_text() for path in (scratch.folder / "logs").rglob("*.log"))
        model = scratch.folder / TRAINING / "seed-0/model.safetensors"
        assert running.returncode == 0, said[-3000:]
        assert "Trying to restart" in said and "going on in epoch" in logs
        held += model.read_bytes() == undisturbed
    record(fault, tried, held, "noticed, submitted again, gone on from the checkpoint to the same bytes")
