"""Print the status of a Slurm job for Snakemake: ``status.py <number>`` prints running, success or failed.

scontrol lists a job until some minutes after its end, sacct (with accounting) always. A job that neither
lists, while the controller answers, counts as failed: it is submitted again, and does only the remaining work. While
the controller does not answer, a job counts as running, since a second one beside it would wait for its lock.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time

RUNNING = {  # states that are no end; any other but COMPLETED is a failure
    *("PENDING", "CONFIGURING", "POWER_UP_NODE", "RUNNING", "EXPEDITING", "SIGNALING", "COMPLETING", "STAGE_OUT"),
    *("SUSPENDED", "STOPPED", "RESIZING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT"),
    *("RESV_DEL_HOLD", "UPDATE_DB"),
}
ATTEMPTS = 3


def asked(command: list[str]) -> str | None:
    """The output of a command; None if it is missing or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def state(job: str) -> str | None:
    """The job's state from scontrol, else from sacct; None if neither lists it."""
    listed = re.search(r"JobState=(\w+)", asked(["scontrol", "--oneliner", "show", "job", job]) or "")
    if listed:
        return listed[1]
    lines = (asked(["sacct", "-X", "-n", "-P", "-o", "State", "-j", job]) or "").split()
    return lines[0].rstrip("+") if lines else None


def verdict(found: str) -> str:
    """Snakemake's word for a state."""
    if found == "COMPLETED":
        return "success"
    return "running" if found in RUNNING else "failed"


def told(job: str) -> str:
    """Snakemake's word for a job; one that is not listed is asked for again, after the controller has answered."""
    answers = False
    for attempt in range(ATTEMPTS):
        if (found := state(job)) is not None:
            return verdict(found)
        if answers:
            return "failed"
        answers = re.search(r"\bUP\b", asked(["scontrol", "ping"]) or "") is not None
        time.sleep(2**attempt)
    return "running"


if __name__ == "__main__":
    print(told(sys.argv[-1]))
