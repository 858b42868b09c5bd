"""Tracking: the store from the files, twice the same; live runs completed; failures cost a warning."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path

import pytest

import report_world
from seqflows import files, params, paths, records, tracking
from seqflows.tracking import store as stores
from seqflows.training.live import Guard

mlflow = pytest.importorskip("mlflow")
KEY = paths.Key("demo", "all")
RUNS = ("ptb-lstm", "ptb-af_af")
WEIGHTS = paths.seed("demo", "ptb-lstm", 0) / "model.safetensors"


@pytest.fixture
def world(tmp_path, monkeypatch):
    """A project folder with two runs of two seeds, one of them evaluated, and a sqlite store."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    matrix = report_world.matrix((0, 1))
    monkeypatch.setattr(params, "load", lambda *_: matrix)
    for name in RUNS:
        report_world.write_run("demo", name, (0, 1))
    files.write_text(paths.results("demo") / "ziegler2019-table1.md", "a table\n")
    files.write_text(paths.audit("demo")[0], AUDIT)
    files.write_text(WEIGHTS, "of one seed; the store has their checksum, not them")
    return matrix


def client():
    return mlflow.MlflowClient(tracking_uri=stores.STORE)


def store():
    """Every active run: id -> (MLflow id, params, metrics, tags, artifacts, curve of the validation loss)."""
    found = {}
    mine = client()
    experiment = mine.get_experiment_by_name("seqflows-demo").experiment_id
    for run in mine.search_runs([experiment]):
        curve = [(point.step, point.value) for point in mine.get_metric_history(run.info.run_id, "valid/loss")]
        artifacts = sorted(item.path for item in mine.list_artifacts(run.info.run_id))
        tags = {name: value for name, value in run.data.tags.items() if not name.startswith("mlflow.log-model")}
        found[tags["seqflows.id"]] = (
            run.info.run_id,
            run.data.params,
            run.data.metrics,
            tags,
            artifacts,
            sorted(curve),
        )
    return found


def test_track_live_and_replace(world):
    """One store through its life (opening sqlite is slow): files, again, a changed file, a live run."""
    tracking.run(KEY)
    first, listing = store(), paths.track("demo").read_text()
    assert set(first) == {"demo/ptb-lstm/0", "demo/ptb-lstm/1", "demo/ptb-af_af/0", "demo/ptb-af_af/1", "demo/results"}
    _, parameters, metrics, tags, artifacts, curve = first["demo/ptb-af_af/1"]
    assert parameters["model.width"] == "32" and parameters["seed"] == "1"
    assert metrics["final/nll"] == pytest.approx(1.422) and "final/nll_K50" in metrics
    assert tags["unit.nll"] == "bpc" and tags["paper"] == "ziegler2019" and tags["dataset_sha256"] == "ab" * 32
    assert (
        tags["table"] == "ziegler2019-table1 ziegler2019-table2 ours-summary"
        and tags["scale"] == "demo"
        and tags["revision"] == "r1"
    )
    assert metrics["valid/loss"] == curve[-1][1] and "train/kl_weight" in metrics
    assert artifacts == ["metrics.json", "samples", "train"]
    check_connections(first)
    assert [step for step, _ in curve] == list(range(1, 21))
    assert first["demo/results"][4] == ["audit.csv", "ziegler2019-table1.md"]
    content = json.loads(listing)
    assert content["logged"] and content["store"] == "sqlite" and len(content["runs"]) == 5

    tracking.run(KEY)
    assert store() == first
    assert paths.track("demo").read_text() == listing

    files.write_text(paths.results("demo") / "ziegler2019-table1.md", "another table\n")
    tracking.run(KEY)
    changed = store()
    assert {name for name in first if changed[name] != first[name]} == {"demo/results"}

    # A live run that was interrupted after epoch 2, resumed after a checkpoint at epoch 1, and then finished.
    live, rows = tracking.Live(), records.trained("demo", "ptb-af_af")[0].history
    info = report_world.trained("demo", "ptb-af_scf", 0)
    live.start({**info, "epochs": 0})
    for row in rows[:2]:
        live.epoch(row)
    live.end("FINISHED")
    live = tracking.Live()
    live.start({**info, "epochs": 1})
    for row in rows[1:4]:
        live.epoch(row)
    live.end("FINISHED")
    _, parameters, metrics, tags, _, curve = store()["demo/ptb-af_scf/0"]
    assert tags["seqflows.digest"] == "live" and parameters["model.width"] == "32"
    assert [step for step, _ in curve] == [1, 2, 3, 4]
    begun = store()["demo/ptb-af_scf/0"][0]
    tracking.run(KEY)  # its files are not there yet: the run stays
    assert store()["demo/ptb-af_scf/0"][0] == begun

    report_world.write_run("demo", "ptb-af_scf", (0,))
    tracking.run(KEY)
    finished = store()
    assert finished["demo/ptb-af_scf/0"][0] == begun
    assert [step for step, _ in finished["demo/ptb-af_scf/0"][5]] == list(range(1, 21))
    assert finished["demo/ptb-af_scf/0"][2]["final/nll"] == pytest.approx(1.46)
    tracking.run(KEY)
    assert store() == finished


def check_connections(found):
    """Data and model of each seed by checksum, what the paper prints, and a description in words."""
    run_id, _, metrics, tags, _, _ = found["demo/ptb-lstm/0"]
    assert metrics["reported/nll"] == 1.41
    assert metrics["difference/nll"] == pytest.approx(0.25) and tags["verdict.nll"] == "outside"
    assert "reported/elbo" not in metrics and "verdict.elbo" not in tags
    note = tags["mlflow.note.content"]
    assert "python -m seqflows train demo/ptb-lstm" in note and "ziegler2019-table1 prints 1.41: outside" in note
    run = client().get_run(run_id)
    (used,) = run.inputs.dataset_inputs
    assert used.dataset.name == "ptb" and used.dataset.digest == ("ab" * 32)[: stores.DIGITS]
    assert json.loads(used.dataset.source) == {"uri": "data/prepared/demo/ptb", "sha256": "ab" * 32}
    (made,) = client().search_logged_models([run.info.experiment_id], f"source_run_id = '{run_id}'")
    assert made.tags["path"] == str(WEIGHTS) and made.tags["sha256"] == report_world.MODEL_SHA256
    assert made.tags["load"] == "seqflows.load('demo/ptb-lstm')" and made.status == "READY"
    experiment = client().get_experiment(run.info.experiment_id)
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"
    assert "scale demo" in experiment.tags["mlflow.note.content"]


AUDIT = """table,row,column,reported,difference,verdict
ziegler2019-table1,LSTM (sentence-wise),Test NLL,1.41,0.25,outside
ziegler2019-table1,LSTM (sentence-wise),unknown,1.41,0.25,outside
ziegler2019-table1,AF / AF,Test NLL,,,no number
"""


def test_a_server_that_is_down_costs_one_warning(world, monkeypatch, capsys):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://user:secret@127.0.0.1:{port}/?token=secret")
    tracking.run(KEY)
    warning = capsys.readouterr().err
    assert warning.count("warning:") == 1 and "secret" not in warning
    content = files.read_json(paths.track("demo"))
    assert content["logged"] is False and content["store"] == "http" and len(content["runs"]) == 5
    live = Guard(tracking.Live())
    live.start({**report_world.train_info("demo", "ptb-lstm", 0), "epochs": 0})
    live.epoch({"epoch": 1, "train_loss": 1.0})
    live.end("FINISHED")
    live.close()
    warning = capsys.readouterr().err
    assert warning.count("warning:") == 1 and "secret" not in warning


@pytest.mark.parametrize("broken", ["folder", "no database"])
@pytest.mark.fault("a broken mlflow.db")
def test_a_broken_store_costs_one_warning_in_seconds(world, monkeypatch, capfd, broken):
    """MLflow by itself asks ten times, with pauses of 100 s in all, and tells each time."""
    path = Path("broken.db").resolve()  # MLflow keeps a store by its address as long as a process lives
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{path}")
    path.mkdir() if broken == "folder" else path.write_bytes(b"no database" * 1000)
    started = time.monotonic()
    tracking.run(KEY)
    assert time.monotonic() - started < 20
    (said,) = [line for line in capfd.readouterr().err.splitlines() if "MLflow" in line or "retry" in line.lower()]
    assert said.startswith(f"warning: MLflow at sqlite:///{path} was not reached (")
    assert files.read_json(paths.track("demo"))["logged"] is False


def test_without_mlflow_files_only(world, monkeypatch, capsys):
    import sys

    monkeypatch.setitem(sys.modules, "mlflow", None)
    tracking.run(KEY)
    assert capsys.readouterr().err.count("warning:") == 1
    assert files.read_json(paths.track("demo"))["logged"] is False


def test_track_json_is_the_same_for_another_day(world):
    before = [entry.listing() for entry in tracking.entries("demo")]
    found = records.trained("demo", "ptb-lstm")[0]
    rows = [row | {"seconds": "0.7", "symbols_per_second": "900.0"} for row in found.history]
    report_world.write_seed(paths.seed("demo", "ptb-lstm", 0), rows, found.record | {"wall_seconds": 99.0})
    assert [entry.listing() for entry in tracking.entries("demo")] == before


BUSY = (
    "BAD_REQUEST: (sqlite3.OperationalError) database is locked",
    "BAD_REQUEST: QueuePool limit of size 5 overflow 10 reached, connection timed out",
)


class Locked:
    """A client whose database another job holds for some requests."""

    def __init__(self, times):
        self.left = times

    def create_run(self, name):
        self.left -= 1
        if self.left >= 0:
            raise RuntimeError(BUSY[self.left % 2])
        return name

    def fail(self):
        self.left -= 1
        raise RuntimeError("the server is down")


RACED = "INTERNAL_ERROR: (sqlite3.IntegrityError) UNIQUE constraint failed (https://sqlalche.me/e/21/gkpj)"


class Raced:
    """A server on which another job writes the same row first."""

    def __init__(self):
        self.asked = []

    def __getattr__(self, name):
        def ask(*given):
            self.asked.append(name)
            if self.asked.count(name) == 1:
                raise RuntimeError(RACED)
            return given

        return ask


def test_a_row_that_another_job_wrote_is_asked_for_again_but_nothing_is_made_twice():
    client = Raced()
    assert stores.RetryingClient(client).set_experiment_tag("1", "a", "b") == ("1", "a", "b")
    assert stores.RetryingClient(client).log_inputs("run", []) == ("run", [])
    with pytest.raises(RuntimeError, match="IntegrityError"):
        stores.RetryingClient(client).create_experiment("a")
    assert [client.asked.count(name) for name in ("set_experiment_tag", "log_inputs", "create_experiment")] == [2, 2, 1]


def test_an_experiment_is_made_with_its_tags(tmp_path, monkeypatch):
    """So that jobs that begin at once do not write them one after another."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.setitem(vars(stores), "RACES", ())
    set_apart = []
    monkeypatch.setattr(
        "mlflow.MlflowClient.set_experiment_tag", lambda self, *given: set_apart.append(given), raising=True
    )
    for _ in range(2):
        with stores.Store("demo") as store:
            found = store.client.get_experiment(store.experiment)
            assert (
                found.tags[stores.NOTE] == stores.ABOUT.format("demo") and found.tags[stores.KIND[0]] == stores.KIND[1]
            )
    assert set_apart == []


def test_a_busy_database_is_asked_again(monkeypatch):
    assert stores.RetryingClient(Locked(4)).create_run("a") == "a"
    client = Locked(0)
    with pytest.raises(RuntimeError, match="down"):
        stores.RetryingClient(client).fail()
    assert client.left == -1  # asked once
    monkeypatch.setattr(stores, "BUSY", 0.3)
    with pytest.raises(RuntimeError, match="BAD_REQUEST"):
        stores.RetryingClient(Locked(100)).create_run("a")
