"""A tracker that is fed while training runs, and can neither stop, slow nor fail it."""

from __future__ import annotations

import queue
import sys
import threading
from collections.abc import Mapping
from typing import Any, Protocol

from seqflows.errors import shown

PATIENCE = 10.0  # seconds that the end of a training waits for a slow tracker


class Tracker(Protocol):
    """What a live tracker offers."""

    def start(self, info: Mapping[str, Any]) -> None:
        """A seed's training begins: what train.json says of it so far."""

    def epoch(self, row: Mapping[str, Any]) -> None:
        """A row of history.csv."""

    def end(self) -> None:
        """The seed's training is over."""


class Guard:
    """Calls a tracker from a thread of its own; after its first error, warns once and drops it."""

    def __init__(self, tracker: Tracker | None) -> None:
        self._calls: queue.Queue = queue.Queue()
        self._tracker = tracker
        self._thread: threading.Thread | None = None

    def _serve(self) -> None:
        while (call := self._calls.get()) is not None:
            if self._tracker is None:
                continue
            try:
                getattr(self._tracker, call[0])(*call[1:])
            except Exception as error:  # whatever a tracker raises must not reach the training
                self._tracker = None
                print(f"warning: live tracking failed ({shown(error)}); training goes on, files only", file=sys.stderr)

    def _call(self, *call: Any) -> None:
        if self._tracker is None:
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, daemon=True)
            self._thread.start()
        self._calls.put(call)

    def start(self, info: Mapping[str, Any]) -> None:
        """Pass `Tracker.start` on."""
        self._call("start", dict(info))

    def epoch(self, row: Mapping[str, Any]) -> None:
        """Pass `Tracker.epoch` on."""
        self._call("epoch", dict(row))

    def end(self) -> None:
        """Pass `Tracker.end` on."""
        self._call("end")

    def close(self) -> None:
        """Wait a little for what is still under way."""
        if self._thread is not None:
            self._calls.put(None)
            self._thread.join(PATIENCE)
            if self._thread.is_alive():
                print(f"warning: the tracker did not answer within {PATIENCE:g} s; left behind", file=sys.stderr)
