"""Faults, again and again: killed processes, flipped bits, two engines at once, wild params."""

import contextlib
import copy
import csv
import fcntl
import json
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import staged
import tiny
from conftest import ROOT, Project
from engines import keep
from reliability import count, record
from seqflows import cli, compute, files, params, paths, records
from seqflows.data import download, prepare, prepared
from seqflows.errors import Problem
from seqflows.evaluation import evaluate, loading
from seqflows.report.inputs import Results
from seqflows.training import checkpoint, loop, trainer

FORK = multiprocessing.get_context("fork")
RUN = paths.Key("demo", "text-latent")


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(files, "revision", lambda: "test")
    monkeypatch.delenv("SEQFLOWS_CHECKPOINTS", raising=False)
    tiny.project(tmp_path, {RUN.name: tiny.run("text", tiny.LATENT, {"epochs": 12})})
    return tmp_path


def child(target, *arguments):
    """A process of our own that starts at once, with one thread, so that it can be forked."""
    torch.set_num_threads(1)
    process = FORK.Process(target=target, args=arguments)
    process.start()
    return process


def killed(process, seconds):
    """Wait so long, then kill -9; whether it was still alive."""
    process.join(seconds)
    if process.exitcode is None:
        os.kill(process.pid, signal.SIGKILL)
    process.join()
    return process.exitcode == -signal.SIGKILL


# --- training


def train():
    """Train with a checkpoint after every step."""
    trainer.SAVE_SECONDS = trainer.EPOCH_SECONDS = 0.0
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
        loop.run(RUN)


def outcome():
    """The model's bytes and the history, times aside."""
    folder = paths.seed(RUN.scale, RUN.name, 0)
    with open(folder / "history.csv") as file:
        rows = [{k: v for k, v in row.items() if "second" not in k} for row in csv.DictReader(file)]
    return (folder / "model.safetensors").read_bytes(), rows


def test_killed_training_goes_on_to_the_same_bytes(project):
    fault = "kill -9 of training at a random moment, then the same command"
    started = time.monotonic()
    child(train).join()
    whole, took, rng = outcome(), time.monotonic() - started, random.Random(0)
    tried = held = kills = 0
    while tried < count(fault):
        shutil.rmtree("runs")
        shutil.rmtree("checkpoints", ignore_errors=True)
        at_once = 0
        while killed(child(train), rng.uniform(0, took)):
            at_once += 1
            assert at_once < 100
        kills += at_once
        if at_once:  # one that ended before its kill says nothing
            tried, held = tried + 1, held + (outcome() == whole)
    record(fault, tried, held, f"the model and its history, bit for bit, after {kills} kills in all")


# --- writing

SIZE = 200_000


def write_forever(kind):
    """Write one version after another; every part of a version is its number."""
    for version in range(10**9):
        if kind == "checkpoint":
            state = {"epoch": version, "position": 0}
            checkpoint.write(Path("c"), state, {"model/a": torch.full((SIZE,), float(version))})
        elif kind == "table":
            files.write_csv(Path("t.csv"), [{"a": version}] * (SIZE // 10), ["a"])
        else:
            files.write_json(Path("metrics.json"), {"metrics": [version] * (SIZE // 10)})


def version(kind):
    """What a reader meets: the version, or None before the first; a mixed one is a failure."""
    if kind == "checkpoint":
        found = checkpoint.read(Path("c"))
        if found is None:
            return None
        values = set(found[1]["model/a"].tolist())
        assert values == {float(found[0]["epoch"])}
        return found[0]["epoch"]
    path = Path("t.csv" if kind == "table" else "metrics.json")
    if not path.exists():
        return None
    if kind == "table":
        with open(path) as file:
            values = [row["a"] for row in csv.DictReader(file)]
    else:
        values = files.read_json(path)["metrics"]
    assert len(values) == SIZE // 10 and len(set(values)) == 1
    return int(values[0])


def test_killed_writers_leave_the_old_file_or_the_new_one(project):
    fault = "kill -9 while a checkpoint, a table or metrics.json is being written"
    rng, tried, held, seen = random.Random(1), 0, 0, set()
    while tried < count(fault):
        kind = ("checkpoint", "table", "metrics")[tried % 3]
        assert killed(child(write_forever, kind), rng.uniform(0.05, 0.6))
        seen.add((kind, version(kind)))
        tried, held = tried + 1, held + 1  # version() has refused a piece
    assert any(found for _, found in seen)
    record(fault, tried, held, "the old file or the new one, never a piece")


# --- flipped bits


def flip(path, rng):
    """Flip one bit of a file."""
    content = bytearray(path.read_bytes())
    place = rng.randrange(len(content))
    content[place] ^= 1 << rng.randrange(8)
    path.write_bytes(content)


def refused(path, act, rng):
    """Whether reading refuses a file with a flipped bit, naming it or the folder it lies in; the file is put back."""
    whole = path.read_bytes()
    flip(path, rng)
    try:
        act()
    except Problem as problem:
        return path.name in str(problem) or str(path.parent) in str(problem)
    finally:
        path.write_bytes(whole)
    return False


def test_flipped_bits_are_refused(project, monkeypatch):
    fault = "one bit flipped in a raw file, a prepared array, a checkpoint or a model"
    rng = random.Random(2)
    places = flippable(project)
    for act in places.values():
        assert act() is not None  # whole files are read
    tried, held = max(count(fault), len(places)), []  # each kind once at least
    for number in range(tried):
        path = list(places)[number % len(places)]
        held += [path] * refused(path, places[path], rng)
    assert set(held) == set(places)
    record(fault, tried, len(held), f"refused by name, in {len(places)} kinds of files")


def flippable(project):
    """One file of each kind, with what reads it."""
    block = {"kind": "text", "source": "embedded-text", "seed": 1, "train": 30, "valid": 9, "test": 9}
    block |= {"words": [1, 3], "lexicon": 8}
    download.fetch(block, project / "raw")
    places = {project / "raw/train.txt": lambda: prepare.prepare(block, project / "raw", project / "p", "text")}
    folder = paths.prepared("demo", "text")
    for name in ("train.npz", "vocabulary.json", "statistics.json", "checksums.json"):
        places[folder / name] = lambda: prepared.load(folder)
    checkpoint.write(project / "c", {"epoch": 1, "position": 0}, {"model/a": torch.arange(500.0)})
    places |= {path: lambda: checkpoint.read(project / "c") for path in (project / "c").iterdir()}
    loop.run(RUN)
    (kept,) = paths.checkpoints("").glob(f"*/{checkpoint.KEPT}")
    places |= {path: lambda: checkpoint.finished(kept.parent) for path in kept.iterdir()}
    matrix, machine = params.load(), compute.Machine(torch.device("cpu"), "cpu", 1, "fp32")
    seed = paths.seed(RUN.scale, RUN.name, 0)
    places[seed / "history.csv"] = lambda: records.trained(RUN.scale, RUN.name) or None
    for name in ("model.safetensors", "train.json"):
        places[seed / name] = lambda: loading.load(RUN, matrix.run(*RUN), 0, prepared.load(folder), machine)
    evaluate.run(RUN)
    places[paths.metrics(*RUN)] = lambda: records.metrics(*RUN)
    for path in (paths.evaluation(*RUN) / "seed-0").iterdir():
        places[path] = lambda path=path: Results(matrix, RUN.scale).verified(RUN.name, path)
    return places


@pytest.mark.fault("two equal trainings at once")
def test_two_equal_trainings_at_once_train_once(tmp_path, monkeypatch):
    staged.make(tmp_path, ["gaussians-affine"], [("download", "gaussians"), ("prepare", "gaussians")])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEQFLOWS_CHECKPOINTS", str(tmp_path / "checkpoints"))

    def command(number):
        with open(f"said{number}", "w") as said, contextlib.redirect_stdout(said):
            assert cli.main(["train", "demo/gaussians-affine"]) == 0

    both = [child(command, number) for number in range(2)]
    for process in both:
        process.join()
    assert [process.exitcode for process in both] == [0, 0]
    said = [Path(f"said{number}").read_text() for number in range(2)]
    assert sum("is up to date" in text for text in said) == sum("epoch 1/1" in text for text in said) == 1, said


# --- two engines

TARGET = "runs/demo/gaussians-affine/metrics.json"
EVALUATED = "workflow/vectors/dvc.yaml:evaluate@gaussians-affine"


def quick(content):
    """One short run, and nothing else for an engine to read."""
    keep(content, {}, ["gaussians-affine"])
    content["runs"]["gaussians-affine"]["demo"]["training"]["epochs"] = 2


def numbers(folder):
    """The metrics without what differs from run to run."""
    records = json.loads((folder / TARGET).read_text())["metrics"]
    return [{k: v for k, v in row.items() if k != "wall_seconds"} for row in records]


def test_two_engines_at_once(tmp_path):
    fault = "two engines started at once on one checkout"
    tried, held, first = count(fault), 0, None
    for number in range(tried):
        scratch = Project(tmp_path / f"project{number}")
        scratch.params(quick)
        both = [
            subprocess.Popen(command, cwd=scratch.folder, env=scratch.env, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True)
            for command in (["dvc", "repro", "-q", EVALUATED], ["snakemake", "-j", "1", TARGET])
        ]  # fmt: skip
        said = [process.communicate(timeout=600)[0] for process in both]
        assert not any("Traceback" in text and "seqflows" in text.split("Traceback")[1] for text in said), said
        # whoever lost finds its work done, or does it now; nothing is corrupt
        scratch.run("snakemake", "-j", "1", "--rerun-incomplete", TARGET)
        scratch.run("dvc", "repro", "-q", EVALUATED)
        found = numbers(scratch.folder)
        first = first or found
        held += found == first and any(process.returncode == 0 for process in both)
        shutil.rmtree(scratch.folder)
    record(fault, tried, held, "one finishes, the other waits or refuses; the same numbers as alone")


def test_an_engine_minds_the_other(tmp_path):
    """Snakemake refuses beside a stage of DVC's; a stage of DVC's waits for Snakemake's end."""
    scratch = Project(tmp_path / "project")
    (scratch.folder / ".locks").mkdir()
    with open(scratch.folder / ".locks" / "engine.lock", "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        command = ["snakemake", "-j", "1", "data/raw/demo/gaussians"]
        refused = subprocess.run(command, cwd=scratch.folder, env=scratch.env, capture_output=True, text=True)
        assert refused.returncode == 1
        assert "dvc repro is running in this checkout; wait for its end" in refused.stderr
        assert not (scratch.folder / "data").exists()
        fcntl.flock(held, fcntl.LOCK_SH)
        scratch.run(*command)  # as beside another Snakemake
        command = [sys.executable, "-m", "seqflows", "matrix"]
        with subprocess.Popen(command, cwd=scratch.folder, env=scratch.env | {"DVC_STAGE": "matrix"},
                              stderr=subprocess.PIPE, text=True) as waiting:  # fmt: skip
            assert "Snakemake is running in this checkout" in waiting.stderr.readline()
            assert waiting.poll() is None
            fcntl.flock(held, fcntl.LOCK_UN)
            assert waiting.wait(60) == 0
    assert (scratch.folder / ".matrix").exists()


# --- params

MATRIX = json.loads(json.dumps(params.read(ROOT / "params.yaml")))
WILD = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**20), 10**20), st.floats(), st.text(max_size=8),
    st.sampled_from(["../../x", "$(touch x)", "a b", "a/b", "'", "1e-3", "demo", "ptb", "\x00", "é"]),
    st.lists(st.integers(), max_size=2), st.dictionaries(st.text(max_size=4), st.integers(), max_size=2),
)  # fmt: skip


def paths_of(value, at=()):
    """Every place in a nested value."""
    yield at
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, entry in inner:
        yield from paths_of(entry, (*at, key))


PLACES = [place for place in paths_of(MATRIX) if place]


def changed(place, value, how):
    """A matrix that differs from ours in one place: an entry replaced, dropped, or added to."""
    content = copy.deepcopy(MATRIX)
    inner = content
    for key in place[:-1]:
        inner = inner[key]
    if how == "drop":
        del inner[place[-1]]
    elif how == "add" and isinstance(inner, dict):
        inner[str(value)] = value
    else:
        inner[place[-1]] = value
    return content


def test_wild_params_are_valid_or_refused_in_lines():
    fault = "params.yaml fuzzed: keys, types, values, nesting"
    outcomes = {"valid": 0, "refused": 0}

    @settings(max_examples=count(fault), deadline=None, database=None, derandomize=True,
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(st.sampled_from(PLACES), WILD, st.sampled_from(["replace", "drop", "add"]))
    def attempt(place, value, how):
        content = changed(place, value, how)
        try:
            params.parse(content)
        except Problem as problem:
            outcomes["refused"] += 1
            assert all(line.strip() for line in str(problem).splitlines()) and "Traceback" not in str(problem)
        else:
            outcomes["valid"] += 1
            for part in ("datasets", "runs", "speeds", "texts", "tables", "figures"):
                # what passes cannot reach a shell or leave the project's folders
                assert all(paths.NAME.match(name) for name in content[part])

    attempt()
    assert min(outcomes.values()) > 0
    tried = sum(outcomes.values())
    record(fault, count(fault), min(tried, count(fault)), "valid, or refused in one line an error; never a traceback")


@pytest.mark.parametrize(
    "text", ["{", "a: [1", "- 1\n- 2", "\t", "runs: &a {b: *a}", "!!python/object:os.system x", ""]
)
def test_broken_yaml_is_one_line(tmp_path, text):
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(Problem) as told:
        params.load(tmp_path / "params.yaml")
    assert "expected" in str(told.value)
