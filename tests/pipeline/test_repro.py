"""`repro` makes each stage once, in calls of `dvc repro` that share none, and says which of them failed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import engines
from conftest import ROOT
from seqflows import files, params, paths, stages
from seqflows.errors import Problem
from seqflows.pipeline import dvc, repro

REPRO = (sys.executable, "-m", "seqflows", "repro")
SLOW = """
if sys.argv[1] == "train":
    import os, pathlib, time
    pathlib.Path("held").write_text(os.environ.get("SEQFLOWS_HELD", ""))
    name = sys.argv[2].rpartition("/")[2]
    if name in FAILING:
        sys.exit("train " + name + " fails")
    if SECONDS:
        pathlib.Path("training").write_text(name)
        try:
            time.sleep(SECONDS)
        except KeyboardInterrupt:
            pathlib.Path("interrupted").write_text(name)
            sys.exit(130)
"""


@pytest.fixture(scope="module")
def matrix():
    return params.load(ROOT / "params.yaml")


@pytest.mark.parametrize("parts", [1, 2, 4, 9, 100])
def test_each_stage_is_in_one_call_after_what_it_waits_for(matrix, parts):
    waits = stages.ordered(matrix, "demo")
    named = {address: job for job, address in dvc.addresses(matrix).items()}
    (whole,), *waves, (rest,) = repro.waves(matrix, list(waits), parts)
    assert whole == [*repro.SINGLE, "matrix"] and rest == []  # no target is everything
    made = set()
    for calls in waves:
        assert 1 <= len(calls) <= parts
        before = set(made)
        for call in calls:
            here = set(before)
            for address in call[len(repro.SINGLE) :]:
                job = named[address]
                assert job not in made and set(waits[job]) <= here, address
                here.add(job)
                made.add(job)
                assert not stages.TABLE[job[0]].alone or len(calls) == 1
    left = set(waits) - made
    assert {stage for stage, _ in left} == {"table", "figure", "audit", "page", "track"}
    assert {name for stage, name in left if stage in ("table", "figure")} == {"ours-summary", "ours-time"}


def test_parts_are_of_about_one_size(matrix):
    _, calls, *_ = repro.waves(matrix, list(stages.every(matrix)), 4)
    size = [len(call) for call in calls]
    assert size == sorted(size, reverse=True) and size[0] < 1.25 * size[-1]  # a dataset's stages stay together


def test_only_what_is_not_made_has_calls_of_its_own(matrix):
    some = [("train", "ptb-lstm"), ("evaluate", "ptb-lstm"), ("table", "ziegler2019-table1")]
    first, second, third, rest = repro.waves(matrix, some, 4)
    single = list(repro.SINGLE)
    assert (first, rest) == ([[*single, "matrix"]], [[]])
    of_run = [f"workflow/text/dvc.yaml:{stage}@ptb-lstm" for stage in ("train", "evaluate")]
    assert second == [[*single, *of_run]] and third == [[*single, engines.of_table("ziegler2019-table1")]]
    assert repro.waves(matrix, [], 4) == [first, rest]


RUNS = ("ptb-lstm", "jsb-lstm", "gaussians-affine")  # of a dataset each


@pytest.fixture
def stubbed(project):
    """A project of three runs, each of another dataset, whose stages are made at once; some training may fail."""
    made = project()

    def shrink(content):
        table = content["tables"]["ziegler2019-table1"] | {"rows": {"LSTM": {"NLL": "ptb-lstm.nll"}}}
        engines.keep(content, {"ziegler2019-table1": table}, RUNS)

    def make(failing=(), seconds=0):
        head = f"import sys\nFAILING, SECONDS = {tuple(failing)!r}, {seconds}\n{SLOW}"
        (made.folder / "src/seqflows/cli.py").write_text(head + engines.STUB)
        return made

    made.params(shrink)
    return make


def ran(made):
    return {line for line in engines.ran(made.folder) if not line.startswith("repro")}


def test_it_makes_every_stage_once_and_then_nothing(stubbed):
    made = stubbed()
    found = params.load(made.folder / "params.yaml")
    every = {f"{stage} demo/{name}" for stage, name in stages.every(found)}
    activated = made.env["PATH"]
    own = str(Path(sys.executable).parent)
    made.env["PATH"] = os.pathsep.join(folder for folder in activated.split(os.pathsep) if folder != own)
    made.run(*REPRO)
    made.env["PATH"] = activated
    assert ran(made) == every | {"matrix"} and len(every) > 14
    assert (made.folder / "held").read_text() == "1"  # its stages know that it has the lock
    made.run(*REPRO)
    assert ran(made) == set()
    made.run("dvc", "repro", "-q")  # which sees the same
    assert ran(made) == set()


def test_a_failure_is_named_and_ends_no_other_call(stubbed):
    made = stubbed(failing=["ptb-lstm"])
    failed = subprocess.run(REPRO, cwd=made.folder, env=made.env, capture_output=True, text=True, timeout=600)
    assert failed.returncode and "train ptb-lstm fails" in failed.stderr
    lines = ran(made)
    assert {"train demo/jsb-lstm", "evaluate demo/jsb-lstm"} <= lines
    assert not {"table demo/ziegler2019-table1", "audit demo/all"} & lines
    assert "exit status 255 of dvc --wait-for-lock repro --single-item" in failed.stderr
    stubbed().run(*REPRO)
    assert {"train demo/ptb-lstm", "table demo/ziegler2019-table1", "audit demo/all"} <= ran(made)


def test_an_interrupt_reaches_the_stages(stubbed):
    made = stubbed(seconds=60)
    with subprocess.Popen(REPRO, cwd=made.folder, env=made.env, stderr=subprocess.PIPE, text=True) as running:
        for _ in range(600):
            if (made.folder / "training").exists():
                break
            time.sleep(0.1)
        running.send_signal(signal.SIGTERM)  # as SIGINT, which a test run in the background ignores
        said = running.communicate(timeout=60)[1]
    assert running.returncode and (made.folder / "interrupted").exists(), said
    listed = made.folder / repro.IN_USE  # DVC may have been killed as it wrote, see below
    assert not listed.exists() or not any(json.loads(listed.read_text() or "{}").values())


def test_what_a_killed_dvc_left_half_written_stops_no_later_call(stubbed):
    made = stubbed()
    listed = made.folder / repro.IN_USE
    listed.parent.mkdir(parents=True, exist_ok=True)
    listed.write_text("")
    refused = subprocess.run(["dvc", "repro", "matrix"], cwd=made.folder, env=made.env, capture_output=True, text=True)
    assert refused.returncode and "rwlock" in refused.stderr.lower()
    made.run(*REPRO)
    assert "audit demo/all" in ran(made)
    assert not any(json.loads(listed.read_text()).values())


def test_its_calls_hold_the_lock_when_it_is_killed(stubbed):
    """They go on, and another engine would delete what they write."""
    made = stubbed(seconds=60)
    with subprocess.Popen(REPRO, cwd=made.folder, env=made.env) as running:
        for _ in range(600):
            if (made.folder / "training").exists():
                break
            time.sleep(0.1)
        calls = [int(pid) for pid in Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()]
        running.kill()
        running.wait()
        lock = made.folder / paths.lock("engine")
        with pytest.raises(Problem, match="engine.lock to be free"), files.lock(lock, shared=True):
            pass
        for call in calls:
            os.killpg(call, signal.SIGTERM)
        with files.lock(lock):  # free when they have ended
            assert calls


def test_its_stages_do_not_wait_for_its_own_lock(project):
    made = project()
    with files.lock(made.folder / paths.lock("engine")):
        command = [sys.executable, "-m", "seqflows", "matrix"]
        env = made.env | {"DVC_STAGE": "matrix"}
        held = subprocess.Popen(command, cwd=made.folder, env=env)
        subprocess.run(command, cwd=made.folder, env=env | {paths.HELD: "1"}, check=True, timeout=60)
        assert held.poll() is None
    assert held.wait(60) == 0


@pytest.mark.parametrize("jobs", ["0", "-1"])
def test_fewer_than_one_call_is_refused(project, jobs):
    said = project().run(*REPRO, "-j", jobs, status=1)
    assert f"expected at least 1 call of dvc repro at once, got -j {jobs}" in said


def test_a_dvc_yaml_of_other_params_is_refused(project):
    made = project()
    (made.folder / "dvc.yaml").write_text("stages: {}\n")
    said = made.run(*REPRO, status=1)
    assert "expected dvc.yaml to be of the present params.yaml" in said and not (made.folder / ".locks").exists()
