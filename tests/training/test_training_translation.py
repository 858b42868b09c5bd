"""Training of translation: rates, averaged weights, what selects the epoch, cuts, a run that starts from another."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
import yaml

import tiny
import translations
from seqflows import compute, files, models, params, paths
from seqflows.config.training import Training
from seqflows.data import prepared
from seqflows.errors import Interrupted, Problem
from seqflows.evaluation import loading
from seqflows.training import loop
from seqflows.training.progress import Progress
from seqflows.training.trainer import Trainer

CPU = compute.Machine(torch.device("cpu"), "cpu", 1, "fp32")
MODEL = {"class": "translator", "width": 8, "inner": 12, "heads": 2, "layers": 1, "flow_steps": 1, "flow_scales": 2}
MODEL |= {"flow_width": 4, "flow_inner": 6, "flow_heads": 2}
NAMES = ("generation", "bits")  # the terms of a loss with a flow
TRAINING = {"epochs": 5, "batch_size": 4, "learning_rate": 0.02, "inverse_root": 6, "keep": "generation"}


def _trainer(folder, model=None, **training):
    torch.manual_seed(0)
    dataset = translations.dataset(count=16)
    built = models.build(MODEL | (model or {}), dataset.facts())
    settings = Training.of(TRAINING | {"average": 3} | training, "training")
    return Trainer(built, dataset, settings, 0, CPU, folder)


def _trained(trainer, left=10**9):
    stop = tiny.Cut()
    stop.left = left
    trainer.run(Progress("test", trainer.settings.epochs), stop, lambda row: None)
    return trainer.history


def _ends(trainer, monkeypatch):
    """The weights at the end of each epoch, before anything is averaged."""
    found, average = [], trainer._average

    def noted():
        found.append({name: value.detach().clone() for name, value in trainer.model.named_parameters()})
        return average()

    monkeypatch.setattr(trainer, "_average", noted)
    return found


def test_the_kept_model_is_the_mean_of_the_last_epochs_and_training_goes_on_from_its_own_weights(tmp_path, monkeypatch):
    trainer = _trainer(tmp_path)
    ends = _ends(trainer, monkeypatch)
    monkeypatch.setattr(
        trainer, "_validate", lambda *_: {"generation": -float(len(ends))}
    )  # the last epoch is the best
    _trained(trainer)
    plain = _trainer(tmp_path / "plain", average=1)
    own = _ends(plain, monkeypatch)
    monkeypatch.setattr(plain, "_validate", lambda *_: {"generation": 0.0})
    _trained(plain)
    for averaged, unaveraged in zip(ends, own, strict=True):  # averaging leaves the course of training as it is
        assert all(torch.equal(value, unaveraged[name]) for name, value in averaged.items())
    for name, value in trainer.model.named_parameters():
        assert torch.allclose(value, torch.stack([one[name] for one in ends[-3:]]).mean(0), rtol=1e-6, atol=1e-8), name


def test_the_averages_are_validated_from_the_first_epoch_on_and_the_best_of_them_is_kept(tmp_path, monkeypatch):
    trainer = _trainer(tmp_path)
    ends, seen, scores = _ends(trainer, monkeypatch), [], iter([5.0, 3.0, 4.0, 3.5, 3.0])

    def validated(*_):
        seen.append({name: value.detach().clone() for name, value in trainer.model.named_parameters()})
        return {"generation": next(scores)}

    monkeypatch.setattr(trainer, "_validate", validated)
    _trained(trainer)
    assert trainer.plateau.best_epoch == 2
    for epoch, averaged in enumerate(seen):
        for name, value in averaged.items():
            mean = torch.stack([one[name] for one in ends[max(0, epoch - 2) : epoch + 1]]).mean(0)
            assert torch.allclose(value, mean, rtol=1e-6, atol=1e-8)
    assert all(torch.equal(value, seen[1][name]) for name, value in trainer.model.named_parameters())


def test_the_term_of_the_texts_alone_selects(tmp_path, monkeypatch):
    """The flow's bits, which are in the loss, do not."""
    for keep, best in (("generation", 2), ("loss", 4)):
        trainer = _trainer(tmp_path / keep, {"fused": "latent"}, epochs=4, keep=keep)
        rows = iter([(3.0, 3.0), (1.0, 2.0), (1.5, 1.0), (1.5, 0.0)])
        monkeypatch.setattr(trainer, "_validate", lambda *_, rows=rows: dict(zip(NAMES, next(rows), strict=True)))
        history = _trained(trainer)
        assert trainer.plateau.best_epoch == best
        assert [row["valid_loss"] for row in history] == [6.0, 3.0, 2.5, 1.5]


@pytest.mark.parametrize("model", ({}, {"fused": "latent"}), ids=("plain", "latent"))
@pytest.mark.parametrize("left", (9, 14, 20))
def test_a_training_that_is_cut_goes_on_as_if_it_had_not_been(tmp_path, left, model):
    """Cut within an epoch, and while it validates an average."""
    whole = _trainer(tmp_path / "whole", model)
    expected = _trained(whole)
    with pytest.raises(Interrupted):
        _trained(_trainer(tmp_path / "cut", model), left=left)
    again = _trainer(tmp_path / "cut", model)
    assert again.resume() and 0 < again.steps < whole.steps
    found = _trained(again)
    timed = ("seconds", "symbols_per_second")
    assert [{k: v for k, v in row.items() if k not in timed} for row in found] == [
        {k: v for k, v in row.items() if k not in timed} for row in expected
    ]
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, again.model.state_dict()[name]), name
    assert len(again.recent) == 2


def test_the_rate_rises_linearly_then_falls_by_the_root_of_the_steps(tmp_path):
    trainer = _trainer(tmp_path, average=1, epochs=4)
    rates, step = [], trainer.optimizer.step
    trainer.optimizer.step = lambda: (rates.append(trainer.optimizer.rate), step())
    _trained(trainer)
    expected = [0.02 * min(t / 6, (6 / t) ** 0.5) for t in range(1, 17)]
    assert rates == pytest.approx(expected)


def test_adams_second_beta_is_the_settings(tmp_path):
    trainer = _trainer(tmp_path, beta2=0.5, average=1)
    parameter = trainer.optimizer.parameters[0]
    parameter.grad = torch.full_like(parameter, 2.0)
    trainer.optimizer.step()
    assert torch.allclose(trainer.optimizer.tensors()["0.exp_avg_sq"], torch.full_like(parameter, 2.0))


# a run that starts from another


def _block(model, **more):
    block = {"seeds": [0, 1], "model": MODEL | model, "training": TRAINING | {"epochs": 1}, "evaluation": {"beam": 2}}
    return {"reproduces": "tang2021", "dataset": "mt", "demo": block, **more}


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content = tiny.matrix({"first": _block({}), "second": _block({"fused": "latent"}, **{"from": "first"})})
    content["datasets"] = {"mt": {"kind": "translation", "demo": {"source": "embedded-numbers"}}}
    content["speeds"] = {}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(content))
    dataset = translations.dataset(count=8)
    splits = {name: getattr(dataset, name) for name in prepared.SPLITS}
    prepared.save(paths.prepared("demo", "mt"), dataset.vocabulary, splits, dataset.statistics)
    return params.load()


def test_a_run_starts_from_the_same_seed_of_another_and_is_then_whole(project):
    key = paths.Key("demo", "second")
    with pytest.raises(Problem, match=r"the trained model .*first/train/seed-0.*, found none; .* demo/first"):
        loop.run(key)
    loop.run(paths.Key("demo", "first"))
    loop.run(key)
    dataset = prepared.load(paths.prepared("demo", "mt"))
    for seed in (0, 1):
        first, other = loading.load(paths.Key("demo", "first"), project.run("demo", "first"), seed, dataset, CPU)
        model, record = loading.load(key, project.run("demo", "second"), seed, dataset, CPU)
        assert torch.equal(model.vectors, 8**0.5 * first.pieces)
        assert (record["from"], record["from_sha256"]) == ("first", other["files"]["model.safetensors"])
        assert record["config"]["from"] == "first" and "from" not in other
    files_before = {path: files.sha256(path) for path in paths.train("demo", "second").rglob("*") if path.is_file()}
    loop.run(key)  # nothing to do
    assert files_before == {path: files.sha256(path) for path in files_before}


def test_what_it_starts_from_decides_the_checkpoint(project):
    loop.run(paths.Key("demo", "first"))
    loop.run(paths.Key("demo", "second"))
    before = {path.parents[1].name for path in paths.checkpoints("").glob("*/kept/train.json")}
    record_path = paths.seed("demo", "first", 0) / "train.json"
    model, record = record_path.parent / "model.safetensors", files.read_sealed(record_path)
    model.write_bytes((paths.seed("demo", "first", 1) / "model.safetensors").read_bytes())
    with pytest.raises(Problem, match="with sha256"):
        loop.run(paths.Key("demo", "second"))
    record["files"]["model.safetensors"] = files.sha256(model)
    files.write_json(record_path, files.sealed(record))
    loop.run(paths.Key("demo", "second"))
    after = {path.parents[1].name for path in paths.checkpoints("").glob("*/kept/train.json")}
    assert len(after - before) == 1  # seed 0 of second alone was trained anew
    record["config_hash"] = "0" * 64
    files.write_json(record_path, files.sealed(record))
    with pytest.raises(Problem, match="to be trained with the present parameters"):
        loop.run(paths.Key("demo", "second"))


def test_what_it_starts_from_is_verified_as_for_an_evaluation(project):
    loop.run(paths.Key("demo", "first"))
    folder = paths.train("demo", "first")
    record = files.read_sealed(folder / "seed-0/train.json")
    for part, message in (("dataset_sha256", "on the prepared data with"), ("features_sha256", "on the features with")):
        files.write_json(folder / "seed-0/train.json", files.sealed(record | {part: "0" * 64}))
        with pytest.raises(Problem, match=message):
            loop.run(paths.Key("demo", "second"))
    shutil.rmtree(folder / "seed-0")
    shutil.copytree(folder / "seed-1", folder / "seed-0")
    with pytest.raises(Problem, match=r"expected seed 0 of first in .*, got seed 1 of first; run .*train demo/first"):
        loop.run(paths.Key("demo", "second"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda runs: runs["second"].pop("from"),
            "second.from: expected the run whose vectors the model reads, got none",
        ),
        (
            lambda runs: runs["first"].update({"from": "second"}),
            "first.from: expected none with this model of translator",
        ),
        (lambda runs: runs["second"].update({"from": "frist"}), "second.from: .* got 'frist'; nearest: first"),
        (
            lambda runs: runs["second"]["demo"].update(seeds=[0, 2]),
            r"the seeds of this run at scale demo, got none of \[2\]",
        ),
        (lambda runs: runs["first"].update(dataset="other"), "second.from: expected a run on mt, got first on 'other'"),
        (lambda runs: runs["first"]["demo"]["model"].update(width=4), "of the same class and width"),
        (
            lambda runs: runs["first"].update(laptop=runs["first"].pop("demo")),
            "at scale demo, got first, which has none",
        ),
        (
            lambda runs: runs["second"]["demo"]["training"].update(keep="bleu"),
            "keep: expected another choice for transl",
        ),
        (
            lambda runs: runs["second"]["demo"]["training"].update(average=9),
            "average: expected at most the 1 epochs, got 9",
        ),
        (
            lambda runs: runs["second"]["demo"]["training"].update(warmup=9),
            "warmup: expected one rise of the learning rate, got warmup and inverse_root",
        ),
        (lambda runs: runs["second"]["demo"]["training"].update(patience=2), "got patience and inverse_root"),
        (lambda runs: runs["second"]["demo"]["model"].update(flow_scales=8), "flow_scales: expected at most 6"),
    ],
)
def test_a_run_that_cannot_start_from_another_is_an_error_of_params(project, change, message):
    content = yaml.safe_load(Path("params.yaml").read_text())
    change(content["runs"])
    Path("params.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(Problem, match=message):
        params.load()
