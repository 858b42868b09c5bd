"""The end of a process that has loaded torch."""

import atexit
import contextlib
import os
import sys
import threading
from typing import NoReturn


def end(status: int) -> NoReturn:
    """Exit as an interpreter does, but leave the memory to the system.

    Threads end, functions registered with `atexit` are called, and streams are flushed. Taking torch apart, object by
    object, is left out: it takes a third of a second, and in a fork it copies the memory that is shared.
    """
    threading._shutdown()  # ends the idle threads of pools, too, which a join would wait for
    atexit._run_exitfuncs()
    for stream in filter(None, (sys.stdout, sys.stderr)):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(status & 0xFF)
