"""Live tracking of a training, which can neither stop, slow nor fail it."""

from __future__ import annotations

import queue
import sys
import threading
from collections.abc import Mapping
from typing import Any, Protocol

from seqflows.errors import shown

PATIENCE = 10.0  # seconds to wait for a slow tracker at the end of a training


class Tracker(Protocol):
    """The interface of a live tracker."""

    def start(self, info: Mapping[str, Any]) -> None:
        """Start a seed's training, with the entries of train.json known so far."""

    def epoch(self, row: Mapping[str, Any]) -> None:
        """Log a row of history.csv."""

    def end(self, how: str) -> None:
        """End the seed's training: it ``FINISHED``, was ``KILLED``, to go on later, or ``FAILED``."""


class Guard:
    """Calls a tracker from its own thread; after the first error, warns once and drops the tracker."""

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
            except Exception as error:  # no error of a tracker may reach the training
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

    def end(self, how: str) -> None:
        """Pass `Tracker.end` on."""
        self._call("end", how)

    def close(self) -> None:
        """Wait up to PATIENCE seconds for pending calls."""
        if self._thread is not None:
            self._calls.put(None)
            self._thread.join(PATIENCE)
            if self._thread.is_alive():
                print(f"warning: the tracker did not answer within {PATIENCE:g} s; left behind", file=sys.stderr)
