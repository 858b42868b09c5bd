"""Print the status of a Slurm job for Snakemake: ``status.py <number>`` prints running, success or failed.

scontrol lists a job until some minutes after its end, sacct (with accounting) always. A job that neither
lists counts as failed: it is submitted again, and does only the remaining work.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time

RUNNING = {
    *("PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "STAGE_OUT"),
    *("SUSPENDED", "RESIZING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED"),
}
ATTEMPTS = 5


def asked(command: list[str]) -> str | None:
    """The output of a command; None if it is missing or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def state(job: str) -> str | None:
    """The job's state from scontrol, else from sacct; None if neither lists it."""
    told = re.search(r"JobState=(\w+)", asked(["scontrol", "--oneliner", "show", "job", job]) or "")
    if told:
        return told[1]
    lines = (asked(["sacct", "-X", "-n", "-P", "-o", "State", "-j", job]) or "").split()
    return lines[0].rstrip("+") if lines else None


def verdict(found: str | None) -> str:
    """Snakemake's word for a state."""
    if found == "COMPLETED":
        return "success"
    return "running" if found in RUNNING else "failed"


def main() -> int:
    """Retry a few times without an answer, since a busy controller does not mean a lost job."""
    found = None
    for attempt in range(ATTEMPTS):
        found = state(sys.argv[-1])
        if found is not None:
            break
        if asked(["scontrol", "ping"]) is not None and attempt:
            break
        time.sleep(2**attempt)
    print(verdict(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
