"""A real MLflow server that is down at the start, killed in the middle or at the end; many jobs that track at once."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

import report_world
from reliability import count, record
from seqflows import files, params, paths, records, tracking
from seqflows.tracking.entries import grouped
from seqflows.training.live import Guard

mlflow = pytest.importorskip("mlflow")
KEY = paths.Key("demo", "all")
NAME = "ptb-lstm"
EPOCHS = 20  # of a run of the synthetic world


@pytest.fixture
def world(tmp_path, monkeypatch):
    """A project folder with one finished run, tracked nowhere yet."""
    monkeypatch.chdir(tmp_path)
    matrix = report_world.matrix((0,))
    monkeypatch.setattr(params, "load", lambda *_: matrix)
    report_world.write_run("demo", NAME, (0,))
    return tmp_path


class Server:
    """An MLflow server on a port of its own, to be started and killed again and again over one store."""

    def __init__(self, folder):
        self.folder = folder
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            self.port = listener.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"
        self.process = None

    def start(self):
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--workers", "1", "--backend-store-uri", f"sqlite:///{self.folder}/store.db"]
        command += ["--artifacts-destination", f"{self.folder}/artifacts"]
        environment = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
        with open(self.folder / "server.log", "a") as log:
            self.process = subprocess.Popen(
                command, cwd=self.folder, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        for _ in range(600):
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.address}/health", timeout=1) as answer:
                if answer.status == 200:
                    return
            time.sleep(0.1)
        raise AssertionError((self.folder / "server.log").read_text())

    def kill(self):
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None


@pytest.fixture
def server(world, monkeypatch):
    made = Server(world)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", made.address)
    yield made
    made.kill()


def stored(address):
    """id -> (epochs of its curve, its final NLL, its artifacts) of every active run."""
    client, found = mlflow.MlflowClient(tracking_uri=address), {}
    experiment = client.get_experiment_by_name("seqflows-demo").experiment_id
    for run in client.search_runs([experiment]):
        steps = sorted(point.step for point in client.get_metric_history(run.info.run_id, "valid/loss"))
        names = sorted(item.path for item in client.list_artifacts(run.info.run_id))
        found[run.data.tags["seqflows.id"]] = (steps, run.data.metrics.get("final/nll"), names)
    return found


def rows():
    """The epochs of the finished run."""
    return [grouped(row) for row in records.trained("demo", NAME)[0].history]


def served(live):
    """Wait until all that was handed to a guard has arrived."""
    until = time.monotonic() + 60
    while not live._calls.empty() and time.monotonic() < until:
        time.sleep(0.01)


def train(server, name, down):
    """Feed a live tracker as a training does, the server down at the start or killed after some epochs."""
    if down != "start":
        server.start()
    live = Guard(tracking.Live())
    live.start({**report_world.train_info("demo", name, 0), "epochs": 0})
    for row in rows():
        if down == "middle" and row["epoch"] == 7:
            served(live)
            server.kill()
        live.epoch(row)
    live.end("FINISHED")
    live.close()
    server.kill()  # at the latest now
    tracking.run(KEY)  # costs a warning
    assert files.read_json(paths.track("demo"))["logged"] is False


@pytest.mark.parametrize("down", ["start", "middle", "end"])
def test_a_server_that_dies_loses_nothing(server, capsys, down):
    fault = f"MLflow down {'in' if down == 'middle' else 'at'} the {down}"
    tried, held = count(fault), 0
    for _ in range(tried):
        (server.folder / "store.db").unlink(missing_ok=True)
        train(server, NAME, down)
        warnings = capsys.readouterr().err.count("warning:")
        server.start()
        tracking.run(KEY)
        complete = (list(range(1, EPOCHS + 1)), pytest.approx(1.41), ["metrics.json", "samples", "train"])
        held += stored(server.address) == {f"demo/{NAME}/0": complete} and warnings == 1 + (down != "end")
        server.kill()
    record(fault, tried, held, "the training finishes with a warning; the store is complete after `track`")


def job(number):
    """One training's live tracking, in a process of its own."""
    code = (
        "import sys; sys.path[:0] = sys.argv[2:]\n"
        "import report_world\n"
        "from seqflows import tracking\n"
        "live = tracking.Live()\n"
        "live.start({**report_world.train_info('demo', 'ptb-lstm', int(sys.argv[1])), 'epochs': 0})\n"
        "for epoch in range(1, 6):\n"
        "    live.epoch({'epoch': epoch, 'train_loss': 1.0 / epoch, 'valid_loss': 2.0 / epoch})\n"
        "live.end('FINISHED')\n"
    )
    return subprocess.Popen([sys.executable, "-c", code, str(number), *sys.path[:6]], stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("kind", ["sqlite file", "MLflow server"])
def test_many_jobs_track_at_once(world, monkeypatch, request, kind):
    fault = f"jobs that track at once to one {kind}"
    address = f"sqlite:///{world}/mlflow.db"
    if kind == "MLflow server":
        made = request.getfixturevalue("server")
        made.start()
        address = made.address
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "120")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    many = count(fault)
    jobs = [job(number) for number in range(many)]
    said = [process.communicate(timeout=900)[1] for process in jobs]
    found = stored(address)
    whole = [found.get(f"demo/ptb-lstm/{number}", ([],))[0] == [1, 2, 3, 4, 5] for number in range(many)]
    held = sum(
        process.returncode == 0 and "warning:" not in text and kept
        for process, text, kept in zip(jobs, said, whole, strict=True)
    )
    shown = [text[-1500:] for text in said if text]
    print(*shown, [process.returncode for process in jobs], whole, sep="\n")  # where it fails
    record(fault, many, held, "every run with every epoch, no warning")
