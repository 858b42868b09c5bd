"""What of an evaluation is a seed's own: its model and its noise; and the threshold that stages have."""

import json
import shutil
from itertools import product
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import tiny
from seqflows import compute, files, kinds, models, paths
from seqflows.data import prepared
from seqflows.data.batching import collate
from seqflows.errors import Problem
from seqflows.evaluation import evaluate, loading, scoring
from seqflows.evaluation.kinds import language
from seqflows.training import loop

CPU = compute.Machine(torch.device("cpu"), "cpu", 1, "fp32")
SEEDS = (0, 1)
RUNS = {
    "latent": tiny.run("text", tiny.LATENT, {"epochs": 1, "kl_ramp_epochs": 0.5}, seeds=SEEDS),
    "lstm": tiny.run("text", tiny.LSTM, {"epochs": 1, "kl_ramp_epochs": 0.5}, seeds=SEEDS),
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A project with two seeds of two runs, trained for an epoch."""
    folder, patch = tmp_path_factory.mktemp("project"), pytest.MonkeyPatch()
    patch.chdir(folder)
    patch.delenv("SEQFLOWS_CHECKPOINTS", raising=False)
    tiny.project(folder, RUNS)
    for name in RUNS:
        loop.run(paths.Key("demo", name))
    patch.undo()
    return folder


@pytest.fixture
def project(trained, tmp_path, monkeypatch):
    folder = tmp_path / "copy"
    shutil.copytree(trained, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(files, "revision", lambda: "test")
    monkeypatch.setattr(scoring, "ERRORS", 1e9)  # six sequences have no test of significance
    return folder


def values(name, metric="nll"):
    """Seed -> value."""
    evaluate.run(paths.Key("demo", name))
    rows = json.loads(paths.metrics("demo", name).read_text())["metrics"]
    return {row["seed"]: row["value"] for row in rows if row["metric"] == metric}


def test_each_seed_is_scored_with_its_own_model(project):
    """An exact model, whose score has no noise: two numbers, each that of the file of its seed."""
    found = values("lstm")
    dataset = prepared.load(paths.prepared("demo", "text"))
    batch = collate(dataset.test, range(len(dataset.test)))
    for seed in SEEDS:
        model = models.build(tiny.LSTM, dataset.facts()).eval()
        model.load_state_dict(load_file(paths.seed("demo", "lstm", seed) / "model.safetensors"))
        with torch.no_grad():
            nats = -float(model.log_prob(batch).sum()) / (dataset.test.lengths + 1).sum()
        assert found[seed] == pytest.approx(nats / np.log(2), rel=1e-6)
    assert abs(found[0] - found[1]) > 1e-4


def test_a_seed_that_was_copied_over_another_is_refused(project):
    path = paths.seed("demo", "lstm", SEEDS[1])
    shutil.rmtree(path)
    shutil.copytree(paths.seed("demo", "lstm", SEEDS[0]), path)
    with pytest.raises(Problem, match=f"expected seed {SEEDS[1]} of lstm in .*, got seed {SEEDS[0]} of lstm; run"):
        values("lstm")


def test_each_seed_has_its_own_noise(project, monkeypatch):
    """One model under both seeds: estimates that differ by their noise, and samples that differ."""
    load = loading.load
    monkeypatch.setattr(loading, "load", lambda key, block, seed, *more: load(key, block, 0, *more))
    found = values("latent")
    assert found[0] != found[1] and found[0] == pytest.approx(found[1], rel=0.2)
    folders = [paths.evaluation("demo", "latent") / f"seed-{seed}" for seed in SEEDS]
    for file in ("scores.csv", "samples.txt"):
        assert len({(folder / file).read_bytes() for folder in folders}) == 2, file
    assert values("latent") == found


def test_a_seed_that_was_scored_is_not_scored_again_after_a_stop(project, monkeypatch):
    scored, seed_ = [], evaluate._seed

    def stopped(key, block, seed, *rest):
        scored.append(seed)
        if scored == list(SEEDS):
            raise KeyboardInterrupt
        return seed_(key, block, seed, *rest)

    whole = values("latent")
    files_ = {path.name: path.read_bytes() for path in (paths.evaluation("demo", "latent") / "seed-0").iterdir()}
    monkeypatch.setattr(evaluate, "_seed", stopped)
    with pytest.raises(KeyboardInterrupt):
        values("latent")
    assert not paths.metrics("demo", "latent").exists()
    assert values("latent") == whole and scored == [*SEEDS, SEEDS[1]]
    assert {p.name: p.read_bytes() for p in (paths.evaluation("demo", "latent") / "seed-0").iterdir()} == files_
    assert not list(Path("checkpoints").glob("*/scored")), "nothing of it stays"
    assert values("latent") == whole and scored == [*SEEDS, SEEDS[1], *SEEDS]


def test_a_seed_of_another_model_is_scored_anew(project, monkeypatch):
    """After a stop, and a training that made another one."""
    seed_ = evaluate._seed

    def stopped(key, block, seed, *rest):
        if seed == SEEDS[1]:
            raise KeyboardInterrupt
        return seed_(key, block, seed, *rest)

    first = values("lstm")
    with monkeypatch.context() as patch:
        patch.setattr(evaluate, "_seed", stopped)
        with pytest.raises(KeyboardInterrupt):
            values("lstm")
    folder = paths.seed("demo", "lstm", SEEDS[0])
    record = files.read_sealed(folder / "train.json")
    tensors = {name: value * 1.5 for name, value in load_file(folder / "model.safetensors").items()}
    save_file(tensors, folder / "model.safetensors")
    record["files"]["model.safetensors"] = files.sha256(folder / "model.safetensors")
    files.write_json(folder / "train.json", files.sealed({k: v for k, v in record.items() if k != "sha256"}))
    again = values("lstm")
    assert again[SEEDS[0]] != first[SEEDS[0]] and again[SEEDS[1]] == first[SEEDS[1]]


def test_streams_are_apart_by_run_seed_and_purpose():
    keys = [paths.Key("demo", name) for name in ("a", "b")]
    every = [scoring.stream(*which) for which in product(keys, range(12), ("score", "samples", "oracle"))]
    assert len(set(every)) == len(every) == 72 and all(0 <= stream < 2**48 for stream in every)
    assert scoring.stream(paths.Key("laptop", "a"), 1, "score") == scoring.stream(keys[0], 1, "score")


@pytest.mark.parametrize("kind", list(kinds.KINDS))
def test_every_kind_is_scored_under_streams_of_the_seed(kind, tmp_path, monkeypatch):
    """The streams of the task that each kind's scoring is given, for one model under each of two seeds."""
    seen, row = [], kinds.of(kind)

    def scored(model, dataset, settings, task):
        assert (task.key, task.parameters, task.machine) == (key, 1, CPU) and task.folder.is_dir()
        seen.extend(task.stream(purpose) for purpose in ("score", "samples"))
        assert task.generator("samples").initial_seed() == task.stream("samples")
        return [{"metric": row.headline, "value": 1.0, "standard_error": None, "unit": "nats"}]

    monkeypatch.setattr(kinds.load(row.evaluation), "score", scored)
    record = {"parameters": 1, "revision": "test"}
    monkeypatch.setattr(loading, "load", lambda *_: (None, record))
    monkeypatch.setattr(files, "revision", lambda: "test")
    dataset = SimpleNamespace(sha256="0", kind=kind, origin=lambda: {"dataset_sha256": "0"})
    key = paths.Key("demo", "x")
    for seed in SEEDS:
        evaluate._seed(key, {"dataset": "d"}, seed, dataset, None, CPU, tmp_path)
    assert len(seen) == len(set(seen)) == 4


def test_three_standard_errors_below_the_source_are_too_many():
    """With the threshold that stages have: 2.9 pass, 3.1 do not."""
    row = {"metric": "excess", "value": -0.29, "standard_error": 0.1, "sequences": 500}
    scoring.check_excess([row], "demo/x")
    with pytest.raises(Problem, match=r"-3\.1 standard errors"):
        scoring.check_excess([row | {"value": -0.31}], "demo/x")
    rows = language.Records(language.UNIT)
    rows.add("floor", -9.0)
    rows.add("nll", -9.29, error=0.1)
    language.check_floor(rows, "demo/x")
    rows[1]["value"] = -9.31
    with pytest.raises(Problem, match="entropy of the noise"):
        language.check_floor(rows, "demo/x")
