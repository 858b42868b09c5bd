"""The stage train: outputs, resuming bit for bit, bad input."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch

import tiny
from seqflows import compute, files, params, paths
from seqflows.errors import Interrupted, Problem
from seqflows.training import checkpoint, loop, trainer
from seqflows.training.stopping import LIMIT, Stop

TIMES = ("seconds", "symbols_per_second")


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SEQFLOWS_CHECKPOINTS", raising=False)
    tiny.project(tmp_path)
    return tmp_path


def history(name, seed=0):
    with open(paths.seed("demo", name, seed) / "history.csv") as file:
        return [{key: value for key, value in row.items() if key not in TIMES} for row in csv.DictReader(file)]


def left():
    """What stands in the checkpoints beside the seeds that are done."""
    return [path for path in Path("checkpoints").rglob("*") if path.is_file() and path.parent.name != "kept"]


def model_bytes(name, seed=0):
    return (paths.seed("demo", name, seed) / "model.safetensors").read_bytes()


@pytest.mark.parametrize("name", list(tiny.RUNS))
def test_outputs_are_complete_and_repeat_bit_for_bit(project, name):
    key = paths.Key("demo", name)
    loop.run(key)
    rows, first = history(name), model_bytes(name)
    assert [int(row["epoch"]) for row in rows] == [1, 2, 3]
    terms = {"nll"} if name in ("text-lstm", "points-flow", "words-gru") else {"reconstruction", "kl"}
    terms |= set() if name.startswith("words") else {"length"}
    assert ("entropy_marginal" in rows[0]) == (name == "words-state")
    assert ("entropy_expected" in rows[0]) == name.startswith("words")
    assert {f"train_{term}" for term in terms} | {f"valid_{term}" for term in terms} <= set(rows[0])
    valid = sum(float(rows[0][f"valid_{term}"]) for term in terms)
    assert float(rows[0]["valid_loss"]) == pytest.approx(valid)
    folder = paths.seed("demo", name, 0)
    record = json.loads((folder / "train.json").read_text())
    assert record["files"] == {file: files.sha256(folder / file) for file in ("model.safetensors", "history.csv")}
    assert record["config_hash"] == files.digest(record["config"]) and record["epochs"] == 3
    assert not left()
    loop.run(key, restart=True)
    assert (history(name), model_bytes(name)) == (rows, first)


def test_kl_weight_moves_within_epochs(project, monkeypatch):
    seen = []
    step = trainer.Trainer.step
    monkeypatch.setattr(
        trainer.Trainer, "step", lambda self, group, w, *rest: (seen.append(w), step(self, group, w, *rest))
    )
    loop.run(paths.Key("demo", "text-latent"))
    assert seen == pytest.approx([0, 0, 1 / 6, 0.5, 5 / 6, 1, 1, 1, 1])
    assert [float(row["kl_weight"]) for row in history("text-latent")] == [0.5, 1.0, 1.0]


# a rate that moves at every step
COSINE = {"text-cosine": tiny.run("text", tiny.LSTM, {"patience": None, "cosine_from": 0.3})}


@pytest.mark.parametrize("name", ["text-latent", "text-lstm", "music-latent", "words-state", "text-cosine"])
def test_a_run_cut_into_pieces_equals_one_uncut(project, monkeypatch, name):
    if name in COSINE:
        tiny.write_matrix(project, COSINE)
    key = paths.Key("demo", name)
    loop.run(key)
    whole, rows = model_bytes(name), history(name)
    shutil.rmtree("checkpoints")  # and with them the seed that is done
    cuts, pieces = 0, [1, 2, 1, 3, 4, 1, 5, 2, 99]  # in the middle of epochs and in validations
    files_after = set()
    shutil.rmtree("runs")
    while True:
        cut = tiny.Cut()
        cut.left = pieces[cuts]
        monkeypatch.setattr(loop, "Stop", lambda cut=cut: cut)
        try:
            loop.run(key)
            break
        except Interrupted as error:
            assert "checkpoint.json" in str(error) and error.exit_status == 75
            cuts += 1
            torch.manual_seed(cuts)  # nothing may hang on the process's own random state
            files_after |= {path.suffix for path in Path("checkpoints").rglob("*") if path.is_file()}
            assert not paths.train("demo", name).exists()
    assert cuts >= 5 and files_after == {".json", ".safetensors"}
    assert history(name) == rows and model_bytes(name) == whole
    assert not left()


def test_finished_seeds_survive_an_interruption_and_outputs_come_together(project, monkeypatch):
    runs = {"x": tiny.run("text", tiny.LSTM, {"epochs": 2}, seeds=(0, 1, 2))}
    tiny.write_matrix(project, runs)
    key, trained = paths.Key("demo", "x"), []
    train = loop._train

    def counted(key, block, settings, seed, *rest):
        trained.append(seed)
        if trained == [0, 1]:
            raise Interrupted("asked")
        train(key, block, settings, seed, *rest)

    monkeypatch.setattr(loop, "_train", counted)
    with pytest.raises(Interrupted):
        loop.run(key)
    assert not paths.train("demo", "x").exists()
    loop.run(key)
    assert trained == [0, 1, 1, 2]
    assert sorted(path.name for path in paths.train("demo", "x").iterdir()) == ["seed-0", "seed-1", "seed-2"]
    assert model_bytes("x", 0) != model_bytes("x", 1)


def test_restart_ignores_checkpoints_and_a_damaged_one_is_refused(project, monkeypatch):
    key = paths.Key("demo", "text-lstm")
    cut = tiny.Cut()
    cut.left = 2
    monkeypatch.setattr(loop, "Stop", lambda: cut)
    with pytest.raises(Interrupted):
        loop.run(key)
    (tensors,) = Path("checkpoints").rglob("*.safetensors")
    tensors.write_bytes(tensors.read_bytes()[:100])
    cut.left = 99
    with pytest.raises(Problem, match=r"tensors-.*--restart"):
        loop.run(key)
    loop.run(key, restart=True)
    assert paths.train("demo", "text-lstm").exists() and not left()


@pytest.fixture
def trained(monkeypatch):
    """The seeds that are really trained."""
    seeds, train = [], loop._train

    def counted(key, block, settings, seed, *rest):
        seeds.append(seed)
        train(key, block, settings, seed, *rest)

    monkeypatch.setattr(loop, "_train", counted)
    return seeds


def test_a_seed_that_is_added_trains_alone(project, trained):
    """Also where the outputs are gone, which DVC takes away. A seed that was dropped is there when it comes back."""
    key = paths.Key("demo", "x")

    def run(*seeds, epochs=2, **options):
        trained.clear()
        tiny.write_matrix(project, {"x": tiny.run("text", tiny.LSTM, {"epochs": epochs}, seeds=seeds)})
        shutil.rmtree("runs", ignore_errors=True)
        loop.run(key, **options)
        assert sorted(path.name for path in paths.train(*key).iterdir()) == [f"seed-{seed}" for seed in seeds]
        return {path.relative_to("runs"): path.read_bytes() for path in Path("runs").rglob("*") if path.is_file()}

    first = run(0, 1)
    assert trained == [0, 1]
    more = run(0, 1, 2)
    assert trained == [2] and first.items() < more.items()
    run(1)
    assert trained == []
    assert run(0, 1, 2) == more and trained == []
    run(0, 1, 2, restart=True)
    assert trained == [0, 1, 2] and not left()


def test_a_seed_of_other_settings_data_or_code_is_trained_anew(project, trained, monkeypatch):
    key = paths.Key("demo", "text-lstm")
    other = paths.Key("demo", "points-flow")
    loop.run(other)
    kept = set(Path("checkpoints").iterdir())
    loop.run(key)
    tiny.write_matrix(project, {"text-lstm": tiny.run("text", tiny.LSTM, {"epochs": 2})})
    loop.run(key)
    monkeypatch.setattr(files, "sha256", lambda path, sha256=files.sha256: sha256(path) + "f" * (path.suffix == ".py"))
    loop.run(key)
    assert trained == [0, 0, 0, 0]
    assert len(set(Path("checkpoints").iterdir()) - kept) == 1, "what a run kept under other settings goes"
    assert kept < set(Path("checkpoints").iterdir()), "another run's stays"


def test_seeds_that_were_not_asked_for_stay(project, trained, monkeypatch):
    """Of the present settings, whatever device made them; of others they go from the outputs, not from what is kept."""
    key = paths.Key("demo", "x")

    def run(*seeds, epochs=2):
        trained.clear()
        tiny.write_matrix(project, {"x": tiny.run("text", tiny.LSTM, {"epochs": epochs}, seeds=(0, 1, 2))})
        loop.run(key, params.load().at("demo").narrowed(*key, seeds))
        return trained, sorted(path.name for path in paths.train(*key).iterdir())

    assert run(0, 1) == ([0, 1], ["seed-0", "seed-1"])
    before = {seed: model_bytes("x", seed) for seed in (0, 1)}
    kept = {path.parents[1] for path in Path("checkpoints").glob("*/kept/train.json")}
    digest = checkpoint.digest
    monkeypatch.setattr(checkpoint, "digest", lambda *given: digest(*given[:3], {"device": "cuda"}, given[4]))
    assert run(2) == ([2], ["seed-0", "seed-1", "seed-2"])
    assert {seed: model_bytes("x", seed) for seed in (0, 1)} == before
    assert kept < {path.parents[1] for path in Path("checkpoints").glob("*/kept/train.json")}
    assert run(2, epochs=3) == ([2], ["seed-2"])
    assert kept < {path.parents[1] for path in Path("checkpoints").glob("*/kept/train.json")}


def test_an_unfinished_checkpoint_of_other_settings_is_named_and_goes_at_the_end(project, monkeypatch, capsys):
    key, cut = paths.Key("demo", "text-lstm"), tiny.Cut()
    cut.left = 2
    monkeypatch.setattr(loop, "Stop", lambda: cut)
    with pytest.raises(Interrupted):
        loop.run(key)
    (old,) = Path("checkpoints").iterdir()
    tiny.write_matrix(project, {"text-lstm": tiny.run("text", tiny.LSTM, {"epochs": 2})})
    cut.left = 99
    loop.run(key)
    assert f"seed 0: {old} is of other settings, data or code and not gone on with" in capsys.readouterr().out
    assert not old.exists()


def test_a_damaged_seed_that_was_kept_is_refused(project):
    key = paths.Key("demo", "text-lstm")
    loop.run(key)
    (model,) = Path("checkpoints").rglob("model.safetensors")
    model.write_bytes(model.read_bytes()[:100])
    with pytest.raises(Problem, match=r"kept/model.safetensors.*--restart"):
        loop.run(key)


def test_time_limit_and_signals_are_noted(monkeypatch, usual_signals):
    monkeypatch.setenv(LIMIT, "0.01")
    with Stop() as stop:
        time.sleep(0.02)
        assert stop.reason == "the time limit"
    monkeypatch.delenv(LIMIT)
    for name in ("SIGTERM", "SIGINT", "SIGHUP"):
        number = getattr(signal, name)
        former = signal.getsignal(number)
        with Stop() as stop:
            assert stop.reason is None
            os.kill(os.getpid(), number)
            assert stop.reason == name
        assert signal.getsignal(number) is former
    former = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with Stop() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert stop.reason is None
    finally:
        signal.signal(signal.SIGHUP, former)
    monkeypatch.setenv(LIMIT, "soon")
    with pytest.raises(Problem, match=LIMIT), Stop():
        pass


def test_sigterm_stops_a_training_process_with_a_checkpoint_and_no_output(project):
    runs = {"x": tiny.run("text", tiny.LSTM, {"epochs": 100000})}
    tiny.write_matrix(project, runs)
    program = (
        "import sys\nfrom seqflows import paths\nfrom seqflows.errors import Interrupted\n"
        "from seqflows.training import loop\ntry:\n    loop.run(paths.Key('demo', 'x'))\n"
        "except Interrupted as error:\n    print(error, 'compiler:', 'torch._dynamo' in sys.modules)\n"
        "    sys.exit(error.exit_status)\n"
    )
    source = Path(loop.__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(source)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert "epoch 1/" in process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 75 and "SIGTERM" in out
    assert "compiler: False" in out  # importing torch's compiler costs seconds
    assert list(Path("checkpoints").rglob("checkpoint.json")) and not Path("runs").exists()


def test_a_checkpoint_is_written_every_while(project, monkeypatch):
    written = []
    monkeypatch.setattr(trainer, "SAVE_SECONDS", 0.0)
    monkeypatch.setattr(trainer, "EPOCH_SECONDS", 0.0)
    save = trainer.Trainer.save
    monkeypatch.setattr(trainer.Trainer, "save", lambda self: (written.append((self.epoch, self.position)), save(self)))
    loop.run(paths.Key("demo", "text-lstm"))
    inside = [(epoch, position) for epoch in range(3) for position in (1, 2, 3)]
    assert sorted(written) == sorted([*inside, (1, 0), (2, 0), (3, 0)])


def test_non_finite_loss_names_epoch_step_batch_and_checkpoint(project, monkeypatch):
    monkeypatch.setattr(trainer, "SAVE_SECONDS", 0.0)
    build = loop.models.build

    def broken(block, facts):
        model = build(block, facts)
        objective, calls = model.objective, []

        def with_nan(batch, samples):
            terms = objective(batch, samples)
            calls.append(1)
            return {**terms, "nll": terms["nll"] * float("nan")} if len(calls) == 3 else terms

        model.objective = with_nan
        return model

    monkeypatch.setattr(loop.models, "build", broken)
    with pytest.raises(
        Problem, match=r"epoch 1, step 3, training sequences \[.*\]; the last good checkpoint is .*json"
    ):
        loop.run(paths.Key("demo", "text-lstm"))
    assert not paths.train("demo", "text-lstm").exists()
    (state,) = Path("checkpoints").rglob("checkpoint.json")
    assert json.loads(state.read_text())["state"]["position"] == 2


def test_paper_without_cuda_is_refused_unless_cpu_is_asked_for(project, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    auto = {"device": "auto", "threads": 1, "precision": "fp32"}
    with pytest.raises(Problem, match=r"CUDA.*scales\.paper\.compute\.device to cpu"):
        compute.prepare(auto, "paper", training=True)
    assert compute.prepare(auto, "paper", training=False).device.type == "cpu"
    assert compute.prepare({**auto, "device": "cpu"}, "paper", training=True).device.type == "cpu"
    with pytest.raises(Problem, match="CUDA"):
        compute.prepare({**auto, "device": "cuda"}, "demo", training=False)
    for bad in ({"device": "tpu"}, {"precision": "fp8"}, {"threads": 0}):
        with pytest.raises(Problem, match=next(iter(bad))):
            compute.prepare({**auto, **bad}, "demo", training=True)
    tiny.write_matrix(project, compute={"device": "auto"})
    with pytest.raises(Problem, match="CUDA"):
        loop.run(paths.Key("paper", "text-lstm"))


def test_bf16_trains(project):
    tiny.write_matrix(project, compute={"precision": "bf16"})
    loop.run(paths.Key("demo", "text-latent"))
    assert float(history("text-latent")[-1]["valid_loss"]) < 10


def test_training_lowers_the_loss(project):
    tiny.write_matrix(project, {"x": tiny.run("text", tiny.LSTM, {"epochs": 30, "learning_rate": 0.02, "patience": 9})})
    loop.run(paths.Key("demo", "x"))
    losses = [float(row["train_loss"]) for row in history("x")]
    assert losses[-1] < losses[0] - 0.05


def test_accumulation_equals_one_larger_batch(project, monkeypatch):
    runs = {
        "parts": tiny.run("text", {**tiny.LSTM, "dropout": 0.0}, {"batch_size": 1, "accumulate": 4, "epochs": 2}),
        "whole": tiny.run("text", {**tiny.LSTM, "dropout": 0.0}, {"batch_size": 1, "accumulate": 4, "epochs": 2}),
    }
    tiny.write_matrix(project, runs)
    loop.run(paths.Key("demo", "whole"))
    monkeypatch.setattr(loop.Trainer.__init__.__globals__["optimise"], "MERGED_STEPS", 0)
    loop.run(paths.Key("demo", "parts"))
    for merged, apart in zip(history("whole"), history("parts"), strict=True):
        assert float(merged["valid_loss"]) == pytest.approx(float(apart["valid_loss"]), rel=1e-5)
        assert merged["steps"] == apart["steps"]


class Record:
    def __init__(self, fail=False):
        self.calls, self.fail = [], fail

    def start(self, info):
        self.calls.append(("start", info["run"], threading.current_thread() is threading.main_thread()))

    def epoch(self, row):
        if self.fail:
            raise ConnectionError("no server")
        self.calls.append(("epoch", row["epoch"]))

    def end(self, how):
        self.calls.append(("end", how))


def test_a_tracker_hears_everything_and_cannot_fail_a_training(project, capsys):
    key, heard = paths.Key("demo", "text-lstm"), Record()
    loop.run(key, tracker=heard)
    assert heard.calls == [("start", "text-lstm", False), ("epoch", 1), ("epoch", 2), ("epoch", 3), ("end", "FINISHED")]
    loop.run(key, restart=True, tracker=Record(fail=True))
    assert capsys.readouterr().err.count("warning") == 1


def test_a_tracker_hears_how_a_training_ended(project, monkeypatch):
    key, heard, cut = paths.Key("demo", "text-lstm"), Record(), tiny.Cut()
    cut.left = 2
    monkeypatch.setattr(loop, "Stop", lambda: cut)
    with pytest.raises(Interrupted):
        loop.run(key, tracker=heard)
    assert heard.calls[-1] == ("end", "KILLED")
    cut.left = 99
    monkeypatch.setattr(loop.Trainer, "run", lambda *rest: (_ for _ in ()).throw(Problem("diverged")))
    with pytest.raises(Problem, match="diverged"):
        loop.run(key, tracker=heard)
    assert heard.calls[-1] == ("end", "FAILED")


def test_missing_data_is_a_problem(project):
    shutil.rmtree("data")
    with pytest.raises(Problem, match="prepare"):
        loop.run(paths.Key("demo", "text-lstm"))
