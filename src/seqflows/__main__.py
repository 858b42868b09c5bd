"""`python -m seqflows`: one stage, one key."""

import contextlib
import importlib.util
import os
import resource
import shutil
import signal
import sys

# On a full disk Python 3.11 may write a piece of its bytecode and not notice, which no later import can read ("marshal
# data too short"), room or not. So it writes none where room is short, on the disk or by `ulimit -f`; and what was
# written on the way to this line, the package's and this file's own, is taken away again.
limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
limited = limit != resource.RLIM_INFINITY and limit < 2**24
if limited or shutil.disk_usage(__file__).free < 2**24:
    sys.dont_write_bytecode = True
    for source in (sys.modules["seqflows"].__file__, __file__):
        with contextlib.suppress(OSError, NotImplementedError):
            os.unlink(importlib.util.cache_from_source(source))

from seqflows.cli import main  # noqa: E402

if __name__ == "__main__":
    for stream in filter(None, (sys.stdout, sys.stderr)):
        stream.reconfigure(errors="backslashreplace")
    for number in (signal.SIGTERM, signal.SIGHUP):  # as SIGINT, so that temporary files are taken away
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)
    raise SystemExit(main())
