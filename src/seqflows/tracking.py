"""MLflow, from the files: ``track`` brings a store up to date, `Live` feeds it while a training runs.

The files are the record and the store a view of it. One MLflow run stands for one (scale, run, seed), found
again by its tag ``seqflows.id``; ``seqflows.digest`` is the content that it was made from, so that a second
``track`` changes nothing. A store that is missing, down or slow costs one warning. This is the only file that
imports mlflow, and only when it is used.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from seqflows import files, params, paths, records
from seqflows.errors import shown

STORE = "sqlite:///mlflow.db"
LOCK = Path(".locks/mlflow.lock")
ID, DIGEST, LIVE = "seqflows.id", "seqflows.digest", "live"
BUSY = 300.0  # seconds for which a store may answer that other jobs use it
BUSY_SIGNS = ("database is locked", "QueuePool limit")  # sqlite's and SQLAlchemy's, which MLflow passes on
LIMIT = 800, 100, 100  # metrics, parameters and tags of one request, which may hold 1000 in all
UNTIMED = ("seconds", "symbols_per_second")  # columns of history.csv that differ between equal trainings


@dataclass(frozen=True)
class Entry:
    """What one MLflow run shall hold.

    Attributes:
        curves: one dictionary an epoch, with its ``epoch``.
        metrics: final numbers, their units in the tags ``unit.<metric>``.
        artifacts: file -> folder in the run's artifacts.
        seconds: wall time, for the run's start and end.
    """

    id: str
    params: dict[str, str]
    tags: dict[str, str]
    curves: tuple[dict[str, float], ...]
    metrics: dict[str, float]
    artifacts: dict[Path, str]
    seconds: float = 0.0

    @property
    def digest(self) -> str:
        """Changes when anything that is logged changes."""
        contents = [[path.as_posix(), folder, files.sha256(path)] for path, folder in self.artifacts.items()]
        return files.digest([self.id, self.params, self.tags, self.curves, self.metrics, contents])

    def listing(self) -> dict[str, Any]:
        """What track.json says of it: the same for the same results, whenever they were made."""
        epochs = [{name: value for name, value in row.items() if name not in UNTIMED} for row in self.curves]
        return {
            "id": self.id,
            "curves_sha256": files.digest(epochs),
            "epochs": len(self.curves),
            "params": len(self.params),
            "metrics": self.metrics,
            "artifacts": [path.as_posix() for path in self.artifacts],
        }


def run(key: paths.Key, found: params.Params | None = None) -> None:
    """Bring the store up to date with the files of a scale; write results/<scale>/track.json.

    A store that cannot be reached is one warning on standard error; track.json then says so.
    """
    made = list(entries(key.scale, found))
    reached = True
    try:
        with Store(key.scale) as store:
            for entry in made:
                store.put(entry)
    except Exception as error:  # whatever a tracker raises must not fail a pipeline
        reached = False
        warn(error)
    kind = address().partition(":")[0]
    listing = {"scale": key.scale, "store": kind, "logged": reached, "runs": [entry.listing() for entry in made]}
    files.write_json(paths.track(key.scale), listing)


def warn(error: Exception) -> None:
    """One line on standard error."""
    print(f"warning: MLflow at {shown(address())} was not reached ({shown(error)}); files only", file=sys.stderr)


def address() -> str:
    """``$MLFLOW_TRACKING_URI``, or the sqlite file in the project's root."""
    return os.environ.get("MLFLOW_TRACKING_URI") or STORE


def entries(scale: str, found: params.Params | None = None) -> Iterator[Entry]:
    """Everything that the store shall hold of a scale: each trained seed, then the tables and figures."""
    matrix = found or params.load()
    shown = {name: [table for table in matrix.tables if name in matrix.table_runs(table)] for name in matrix.runs}
    for name in matrix.runs:
        metrics = records.metrics(scale, name)
        for seed in records.trained(scale, name):
            yield seed_entry(scale, name, seed, metrics, shown[name], matrix.runs[name])
    kinds = (".csv", ".md", ".png", ".svg")
    results = sorted(path for path in paths.results(scale).glob("*") if path.suffix in kinds)
    if results:
        tags = {"scale": scale, "papers": " ".join(sorted({run["reproduces"] for run in matrix.runs.values()}))}
        yield Entry(f"{scale}/results", {}, tags, (), {}, {path: "" for path in results})


def seed_entry(
    scale: str,
    name: str,
    seed: records.Trained,
    evaluated: Mapping[str, Any] | None,
    tables: list[str],
    block: Mapping[str, Any],
) -> Entry:
    """One seed of one run, from its training and the run's metrics, made here or kept."""
    train, every = seed.record, evaluated["metrics"] if evaluated else []
    scored = [record for record in every if record["seed"] == seed.seed and record["value"] is not None]
    tags = description(train) | {"paper": str(block["reproduces"]), "table": " ".join(tables) or "none"}
    metrics = {}
    for record in scored:
        metric = metric_name(record["metric"])
        metrics[metric] = float(record["value"])
        tags[f"unit.{metric}"] = str(record["unit"])
        if record.get("standard_error") is not None:
            metrics[f"{metric}_standard_error"] = float(record["standard_error"])
    folder, metrics_path = paths.seed(scale, name, seed.seed), paths.metrics(scale, name)
    artifacts = {folder / "train.json": "train", folder / "history.csv": "train"}
    if scored:
        artifacts[metrics_path] = ""
        samples = paths.evaluation(scale, name) / folder.name
        artifacts |= {path: "samples" for path in sorted(samples.glob("samples.*"))}
    if not (folder.exists() and metrics_path.exists()):
        artifacts[paths.record(scale, name)] = ""
    return Entry(
        id=f"{scale}/{name}/{seed.seed}",
        params=parameters(train),
        tags=tags,
        curves=tuple(numbers(row) for row in seed.history),
        metrics=metrics,
        artifacts={path: place for path, place in artifacts.items() if path.exists()},
        seconds=float(train.get("wall_seconds") or 0.0),
    )


def metric_name(name: str) -> str:
    """A metric as MLflow admits it: ``nll@50`` becomes ``nll_K50``."""
    return name.replace("@", "_K")


def description(train: Mapping[str, Any]) -> dict[str, str]:
    """The tags that are known when a training begins."""
    names = ("scale", "dataset", "dataset_sha256", "revision", "config_hash", "device", "device_name", "precision")
    return {name: str(train[name]) for name in names if name in train} | {"run": str(train["run"])}


def parameters(train: Mapping[str, Any]) -> dict[str, str]:
    """The resolved configuration, flat: ``model.latent``, ``training.epochs``, ..."""
    flat: dict[str, str] = {"seed": str(train["seed"])}

    def walk(prefix: str, value: Any) -> None:
        if isinstance(value, Mapping):
            for name, part in value.items():
                walk(f"{prefix}.{name}" if prefix else str(name), part)
        else:
            flat[prefix] = str(value)[:500]

    walk("", train.get("config", {}))
    if "parameters" in train:
        flat["parameters"] = str(train["parameters"])
    return flat


def numbers(row: Mapping[str, Any]) -> dict[str, float]:
    """The numeric fields of a row of history.csv."""
    found = {}
    for name, value in row.items():
        with contextlib.suppress(TypeError, ValueError):
            found[name] = float(value)
    return found


class RetryingClient:
    """A client that asks again while the database behind a server is in use: MLflow itself gives up after seconds."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        def ask(*arguments: Any, **options: Any) -> Any:
            until, pause = time.monotonic() + BUSY, 0.1
            while True:
                try:
                    return method(*arguments, **options)
                except Exception as error:
                    busy = any(sign in str(error) for sign in BUSY_SIGNS)
                    if not busy or time.monotonic() + pause > until:
                        raise
                time.sleep(pause * random.SystemRandom().uniform(0.5, 1))  # not all jobs at once again
                pause = min(1.5 * pause, 5.0)

        return ask


class Store:
    """An MLflow store, one experiment a scale. Local files are locked, so that two never create one at once."""

    def __init__(self, scale: str) -> None:
        self.experiment_name = f"seqflows-{scale}"
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        # A server that is down is to be noticed in seconds; what the user set stands.
        for name, value in (("MAX_RETRIES", "1"), ("TIMEOUT", "5"), ("BACKOFF_FACTOR", "0")):
            os.environ.setdefault(f"MLFLOW_HTTP_REQUEST_{name}", value)
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
        if not address().startswith("http"):
            self._stack.enter_context(files.lock(LOCK))
        try:
            self._open()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _open(self) -> None:
        import logging

        from mlflow import MlflowClient
        from mlflow.entities import Metric, Param, RunTag, ViewType

        for name in ("alembic", "mlflow.store.db.utils"):
            logging.getLogger(name).setLevel(logging.WARNING)

        self.Metric, self.Param, self.RunTag = Metric, Param, RunTag
        self.client = RetryingClient(MlflowClient(tracking_uri=address()))
        experiment = self.client.get_experiment_by_name(self.experiment_name)
        if experiment is not None and experiment.lifecycle_stage == "deleted":
            self.client.restore_experiment(experiment.experiment_id)
        self.experiment = experiment.experiment_id if experiment else self._create_experiment()
        self.known: dict[str, list[Any]] = {}
        token = None
        while True:
            page = self.client.search_runs([self.experiment], "", ViewType.ACTIVE_ONLY, 1000, page_token=token)
            for known in page:
                self.known.setdefault(known.data.tags.get(ID, ""), []).append(known)
            if not (token := page.token):
                break

    def _create_experiment(self) -> str:
        """The experiment's id; of several jobs that meet at a new server one makes it, and the others find it."""
        try:
            return self.client.create_experiment(self.experiment_name)
        except Exception:
            experiment = self.client.get_experiment_by_name(self.experiment_name)
            if experiment is None:
                raise
            return experiment.experiment_id

    def put(self, entry: Entry) -> None:
        """Make the store hold exactly one run for the entry: skip, complete a live one, or replace."""
        digest = entry.digest
        present = self.known.get(entry.id, [])
        keep = next((known for known in present if known.data.tags.get(DIGEST) == digest), None)
        if keep is None:
            live = next((known for known in present if known.data.tags.get(DIGEST) == LIVE), None)
            keep = live if live and self._continues(live, entry) else None
            started = int(1000 * (time.time() - entry.seconds))
            run_id = keep.info.run_id if keep else self.create(entry.id, started)
            begun = keep.info.start_time if keep else started
            self._fill(run_id, entry, begun, self.epochs(run_id) if keep else frozenset())
            # Last, so that what was interrupted on the way is not taken for complete.
            self.client.set_tag(run_id, DIGEST, digest)
            self.client.set_terminated(run_id, "FINISHED", begun + int(1000 * entry.seconds))
        for other in present:
            if other is not keep:
                self.client.delete_run(other.info.run_id)

    def create(self, name: str, started: int, tags: Mapping[str, str] | None = None) -> str:
        """A new run; its MLflow id."""
        tags = {ID: name, DIGEST: "incomplete", **(tags or {})}
        return self.client.create_run(self.experiment, started, tags, run_name=name).info.run_id

    def epochs(self, run_id: str) -> frozenset[int]:
        """The epochs that a run has curves for."""
        return frozenset(point.step for point in self.client.get_metric_history(run_id, "train_loss"))

    def _continues(self, live: Any, entry: Entry) -> bool:
        """Whether a live run is of this very configuration, data and code."""
        same = ("config_hash", "dataset_sha256", "revision")
        return all(live.data.tags.get(name) == entry.tags.get(name) for name in same)

    def _fill(self, run_id: str, entry: Entry, begun: int, present: frozenset[int]) -> None:
        points, clock = [], float(begun)
        for row in entry.curves:
            clock += 1000 * row.get("seconds", 0.0)
            if int(row["epoch"]) not in present:
                points += self.points(row, int(clock))
        last = begun + int(1000 * entry.seconds)
        points += [self.Metric(f"final.{name}", value, last, 0) for name, value in entry.metrics.items()]
        tags = [self.RunTag(name, value[:5000]) for name, value in entry.tags.items()]
        self.log(run_id, points, [self.Param(name, value) for name, value in entry.params.items()], tags)
        for path, folder in entry.artifacts.items():
            self.client.log_artifact(run_id, str(path), folder or None)

    def points(self, row: Mapping[str, float], when: int) -> list[Any]:
        """An epoch's numbers as MLflow's points, the epoch as step."""
        return [self.Metric(name, value, when, int(row["epoch"])) for name, value in row.items() if name != "epoch"]

    def log(self, run_id: str, metrics: list[Any], parameters: list[Any], tags: list[Any]) -> None:
        """Log in as few requests as MLflow admits: each costs a commit."""
        parts = list(zip((metrics, parameters, tags), LIMIT, strict=True))
        for starts in itertools.zip_longest(*(range(0, len(part), limit) for part, limit in parts)):
            pairs = zip(starts, parts, strict=True)
            some = [[] if start is None else part[start : start + limit] for start, (part, limit) in pairs]
            self.client.log_batch(run_id, metrics=some[0], params=some[1], tags=some[2])


class Live:
    """Feeds the store while training runs; `run` completes the same MLflow run afterwards.

    ``start(info)``, with what train.json says of the seed and ``epochs``, the number already trained (more than 0
    when it resumes); ``epoch(row)``, a row of history.csv; ``end()``. What they raise, the training's guard catches.
    """

    def __init__(self) -> None:
        self._store: Store | None = None
        self._run = ""
        self._present: frozenset[int] = frozenset()

    def start(self, info: Mapping[str, Any]) -> None:
        """Begin a seed, or go on with the run that an interrupted training of it left."""
        name = f"{info['scale']}/{info['run']}/{info['seed']}"
        with Store(str(info["scale"])) as store:
            self._store = store
            left = [known for known in store.known.get(name, []) if known.data.tags.get(DIGEST) == LIVE]
            tags = description(info)
            again = [
                k for k in left if info.get("epochs") and k.data.tags.get("config_hash") == tags.get("config_hash")
            ]
            for known in left:
                if known not in again[:1]:
                    store.client.delete_run(known.info.run_id)
            if again:
                self._run = again[0].info.run_id
                self._present = store.epochs(self._run)
                store.client.update_run(self._run, status="RUNNING")
                store.log(self._run, [], [], [store.RunTag(tag, value) for tag, value in tags.items()])
            else:
                self._run = store.create(name, int(1000 * time.time()), {**tags, DIGEST: LIVE})
                self._present = frozenset()
                store.log(self._run, [], [store.Param(*pair) for pair in parameters(info).items()], [])

    def epoch(self, row: Mapping[str, Any]) -> None:
        """Log one epoch."""
        values = numbers(row)
        if self._store and self._run and int(values["epoch"]) not in self._present:
            self._store.log(self._run, self._store.points(values, int(1000 * time.time())), [], [])

    def end(self) -> None:
        """Mark the run as over; `track` adds the rest."""
        if self._store and self._run:
            self._store.client.set_terminated(self._run, "FINISHED")
            self._run = ""
