"""The entry point of ``python -m seqflows``."""

import contextlib
import importlib.util
import os
import resource
import shutil
import signal
import sys

# On a full disk Python 3.11 may write truncated bytecode without an error, and later imports then fail ("marshal
# data too short"). So no bytecode is written if room is short, on the disk or by `ulimit -f`; and bytecode already
# written for this file and the package is deleted.
limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
limited = limit != resource.RLIM_INFINITY and limit < 2**24
if limited or shutil.disk_usage(__file__).free < 2**24:
    sys.dont_write_bytecode = True
    for source in (sys.modules["seqflows"].__file__, __file__):
        with contextlib.suppress(OSError, NotImplementedError):
            os.unlink(importlib.util.cache_from_source(source))

preloading = sys.argv[1:2] == ["preload"] and sys.argv[2:] and not sys.argv[2].startswith("-")
preloaded = "SEQFLOWS_PRELOADED" in os.environ and sys.argv[1:2] != ["repro"]  # which starts stages itself
by_dvc = "DVC_STAGE" in os.environ and "SEQFLOWS_PRELOADED" not in os.environ and "forked" not in globals()
if __name__ == "__main__" and (preloading or preloaded or by_dvc):  # before the project is imported
    from seqflows import preload

    status = preload.run(sys.argv[2:]) if preloading else preload.ask() if preloaded else preload.ask_lingering()
    if status is not None:
        raise SystemExit(status)

from seqflows import ending  # noqa: E402
from seqflows.cli import main  # noqa: E402

if __name__ == "__main__":
    for stream in filter(None, (sys.stdout, sys.stderr)):
        stream.reconfigure(errors="backslashreplace")
    for number in (signal.SIGTERM, signal.SIGHUP):  # as SIGINT, so that temporary files are taken away
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)
    status = main()
    if "forked" in globals():  # by a process of `preload`, which hands the status over
        raise SystemExit(status)
    ending.end(status)
