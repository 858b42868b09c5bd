"""Live logging to a store while a training runs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from seqflows.tracking.entries import description, grouped, parameters
from seqflows.tracking.store import DIGEST, LIVE, Store


class Live:
    """Feeds the store while training runs; `run` completes the same MLflow run afterwards.

    ``start(info)``, with the seed's entries of train.json and ``epochs``, the number already trained (more than 0
    when it resumes); ``epoch(row)``, a row of history.csv; ``end(how)``. The training's guard catches their exceptions.
    """

    def __init__(self) -> None:
        self._store: Store | None = None
        self._run = ""
        self._present: frozenset[int] = frozenset()

    def start(self, info: Mapping[str, Any]) -> None:
        """Begin a seed, or continue the run of its interrupted training."""
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
                    store.delete(known.info.run_id)
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
        values = grouped(row)
        if self._store and self._run and int(values["epoch"]) not in self._present:
            self._store.log(self._run, self._store.points(values, int(1000 * time.time())), [], [])

    def end(self, how: str) -> None:
        """Mark the run as over, ``how`` as MLflow calls it; `track` adds the rest."""
        if self._store and self._run:
            self._store.client.set_terminated(self._run, how)
            self._run = ""
