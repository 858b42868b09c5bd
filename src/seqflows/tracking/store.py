"""An MLflow store. Only this file imports mlflow, and only on use."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from seqflows import files
from seqflows.tracking.entries import Entry

STORE = "sqlite:///mlflow.db"
LOCK = Path(".locks/mlflow.lock")
ID, DIGEST, LIVE = "seqflows.id", "seqflows.digest", "live"
NOTE, KIND = "mlflow.note.content", ("mlflow.experimentKind", "custom_model_development")  # opens on its runs
ABOUT = (
    "Runs of scale {}, one for each seed. final/... are the numbers of the test set, reported/... those that a paper "
    "prints, difference/... ours less these; a run's description has the units and the audit's verdicts."
)
DIGITS = 36  # of a dataset's digest in MLflow
BUSY = 300.0  # seconds to retry while other jobs use a store
BUSY_SIGNS = ("database is locked", "QueuePool limit")  # sqlite's and SQLAlchemy's, which MLflow passes on
# Two jobs that write the same row at once: the second is refused (IntegrityError, whose page SQLAlchemy names), and
# finds the row when it asks again.
RACES, RACED_SIGN = ("set_experiment_tag", "log_inputs"), "/gkpj"
LIMIT = 800, 100, 100  # metrics, parameters and tags of one request, of at most 1000 in all


def address() -> str:
    """``$MLFLOW_TRACKING_URI``, or the sqlite file in the project's root."""
    return os.environ.get("MLFLOW_TRACKING_URI") or STORE


class RetryingClient:
    """A client that retries while the database of a server is in use; MLflow itself gives up after seconds.

    It also asks again where another job has just written the same tag of the experiment, or the same dataset.
    """

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
                    busy |= name in RACES and RACED_SIGN in str(error)
                    if not busy or time.monotonic() + pause > until:
                        raise
                time.sleep(pause * random.SystemRandom().uniform(0.5, 1))  # so that jobs do not retry at once
                pause = min(1.5 * pause, 5.0)

        return ask


class Store:
    """An MLflow store, one experiment per scale. Local files are locked, so that two jobs never create one at once."""

    def __init__(self, scale: str) -> None:
        self.experiment_name = f"seqflows-{scale}"
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        # Detect a server that is down within seconds, unless the user has set a timeout.
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

        logging.getLogger("alembic").setLevel(logging.WARNING)
        logging.getLogger("mlflow.store.db.utils").setLevel(logging.ERROR)  # the error itself is shown
        with contextlib.suppress(ImportError):  # of MLflow's small package, which knows servers alone
            import mlflow.store.db.utils

            mlflow.store.db.utils.MAX_RETRY_COUNT = 6  # 6 seconds; the default tries a broken file for 100

        self.Metric, self.Param, self.RunTag = Metric, Param, RunTag
        self.client = RetryingClient(MlflowClient(tracking_uri=address()))
        experiment = self.client.get_experiment_by_name(self.experiment_name)
        if experiment is not None and experiment.lifecycle_stage == "deleted":
            self.client.restore_experiment(experiment.experiment_id)
        tags = dict((KIND, (NOTE, ABOUT.format(self.experiment_name.partition("-")[2]))))
        self.experiment = experiment.experiment_id if experiment else self._create_experiment(tags)
        for tag in tags if experiment else ():
            if experiment.tags.get(tag) != tags[tag]:
                self.client.set_experiment_tag(self.experiment, tag, tags[tag])
        self.known: dict[str, list[Any]] = {}
        token = None
        while True:
            page = self.client.search_runs([self.experiment], "", ViewType.ACTIVE_ONLY, 1000, page_token=token)
            for known in page:
                self.known.setdefault(known.data.tags.get(ID, ""), []).append(known)
            if not (token := page.token):
                break

    def _create_experiment(self, tags: Mapping[str, str]) -> str:
        """The experiment's id; one of several concurrent jobs creates it with its tags, and the others find it."""
        try:
            return self.client.create_experiment(self.experiment_name, tags=dict(tags))
        except Exception:
            experiment = self.client.get_experiment_by_name(self.experiment_name)
            if experiment is None:
                raise
            return experiment.experiment_id

    def put(self, entry: Entry) -> None:
        """Ensure exactly one run for the entry: skip, complete a live one, or replace."""
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
            self._connect(run_id, entry)
            # Last, so that an interrupted run does not count as complete.
            self.client.set_tag(run_id, DIGEST, digest)
            self.client.set_terminated(run_id, "FINISHED", begun + int(1000 * entry.seconds))
        for other in present:
            if other is not keep:
                self.delete(other.info.run_id)

    def delete(self, run_id: str) -> None:
        """Delete a run and the models that it logged."""
        for model in self._models(run_id):
            self.client.delete_logged_model(model.model_id)
        self.client.delete_run(run_id)

    def _connect(self, run_id: str, entry: Entry) -> None:
        """Tell which dataset a run used and which model it made: by checksums, the files stay where they are."""
        from mlflow.entities import Dataset, DatasetInput, InputTag, LoggedModelOutput

        if entry.data:
            name, sha256, folder = entry.data
            data = Dataset(name, sha256[:DIGITS], "local", json.dumps({"uri": str(folder), "sha256": sha256}))
            self.client.log_inputs(run_id, [DatasetInput(data, [InputTag("mlflow.data.context", "training")])])
        if entry.model and not self._models(run_id):
            path, sha256, kind = entry.model
            tags = {"path": str(path), "sha256": sha256, "load": f"seqflows.load({entry.id.rpartition('/')[0]!r})"}
            model = self.client.create_logged_model(
                self.experiment, entry.id.replace("/", "-"), run_id, tags, model_type=kind
            )
            self.client.finalize_logged_model(model.model_id, "READY")
            self.client.log_outputs(run_id, [LoggedModelOutput(model.model_id, 0)])

    def _models(self, run_id: str) -> Any:
        return self.client.search_logged_models([self.experiment], f"source_run_id = '{run_id}'")

    def create(self, name: str, started: int, tags: Mapping[str, str] | None = None) -> str:
        """Create a run; return its MLflow id."""
        tags = {ID: name, DIGEST: "incomplete", **(tags or {})}
        return self.client.create_run(self.experiment, started, tags, run_name=name).info.run_id

    def epochs(self, run_id: str) -> frozenset[int]:
        """The epochs of a run's curves."""
        return frozenset(point.step for point in self.client.get_metric_history(run_id, "train/loss"))

    def _continues(self, live: Any, entry: Entry) -> bool:
        """Whether a live run has the same configuration, data and code."""
        same = ("config_hash", "dataset_sha256", "revision")
        return all(live.data.tags.get(name) == entry.tags.get(name) for name in same)

    def _fill(self, run_id: str, entry: Entry, begun: int, present: frozenset[int]) -> None:
        points, clock = [], float(begun)
        for row in entry.curves:
            clock += 1000 * row.get("train/seconds", 0.0)
            if int(row["epoch"]) not in present:
                points += self.points(row, int(clock))
        last = begun + int(1000 * entry.seconds)
        points += [self.Metric(name, value, last, 0) for name, value in entry.metrics.items()]
        shown = {NOTE: entry.note} if entry.note else {}
        tags = [self.RunTag(name, value[:5000]) for name, value in {**entry.tags, **shown}.items()]
        self.log(run_id, points, [self.Param(name, value) for name, value in entry.params.items()], tags)
        for path, folder in entry.artifacts.items():
            self.client.log_artifact(run_id, str(path), folder or None)

    def points(self, row: Mapping[str, float], when: int) -> list[Any]:
        """An epoch's numbers as MLflow metrics, with the epoch as step."""
        return [self.Metric(name, value, when, int(row["epoch"])) for name, value in row.items() if name != "epoch"]

    def log(self, run_id: str, metrics: list[Any], parameters: list[Any], tags: list[Any]) -> None:
        """Log in as few requests as MLflow admits: each costs a commit."""
        parts = list(zip((metrics, parameters, tags), LIMIT, strict=True))
        for starts in itertools.zip_longest(*(range(0, len(part), limit) for part, limit in parts)):
            pairs = zip(starts, parts, strict=True)
            some = [[] if start is None else part[start : start + limit] for start, (part, limit) in pairs]
            self.client.log_batch(run_id, metrics=some[0], params=some[1], tags=some[2])
