"""Requests to stop: SIGTERM, SIGINT, SIGHUP, a time limit."""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import Any

from seqflows.errors import Problem

LIMIT = "SEQFLOWS_TIME_LIMIT"


class Stop:
    """A context that records a signal instead of letting it kill the process.

    ``reason`` is None until SIGTERM, SIGINT or SIGHUP arrives, or ``$SEQFLOWS_TIME_LIMIT`` seconds have
    passed since it was entered. A signal that was ignored, as SIGHUP under nohup, stays ignored; a second
    signal has its usual effect.
    """

    def __init__(self) -> None:
        self._signal: str | None = None
        self._former: dict[int, Any] = {}
        self._deadline = float("inf")

    def __enter__(self) -> Stop:
        limit = os.environ.get(LIMIT)
        if limit:
            try:
                self._deadline = time.monotonic() + float(limit)
            except ValueError:
                raise Problem(
                    f"expected ${LIMIT} to be a number of seconds, got {limit!r}; change or unset it"
                ) from None
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                if signal.getsignal(number) != signal.SIG_IGN:
                    self._former[number] = signal.signal(number, self._note)
        return self

    def _note(self, number: int, frame: Any) -> None:
        self._signal = signal.Signals(number).name
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)
        self._former = {}

    def __exit__(self, *_: Any) -> None:
        self._restore()

    @property
    def reason(self) -> str | None:
        """The reason to stop, or None."""
        if self._signal:
            return self._signal
        return "the time limit" if time.monotonic() > self._deadline else None
