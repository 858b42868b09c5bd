"""`python -m seqflows`: one stage, one key."""

import resource
import shutil
import sys

# On a full disk Python 3.11 may write a piece of its bytecode and not notice, which no later import can read ("marshal
# data too short"), room or not. So it writes none where room is short, on the disk or by `ulimit -f`.
limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
limited = limit != resource.RLIM_INFINITY and limit < 2**24
if limited or shutil.disk_usage(__file__).free < 2**24:
    sys.dont_write_bytecode = True

from seqflows.cli import main  # noqa: E402

if __name__ == "__main__":
    raise SystemExit(main())
