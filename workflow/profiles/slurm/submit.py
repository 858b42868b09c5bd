"""Submit one of Snakemake's job scripts to Slurm and print the job's number: ``submit.py <job script>``.

SEQFLOWS_SBATCH holds further options, such as ``--partition=gpu --account=lab``.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

LOGS = Path("logs/slurm")
AHEAD = 120  # seconds before the time limit to signal a job; a checkpoint takes a few


def properties(script: str) -> dict[str, Any]:
    """The job's properties in Snakemake's script."""
    found = re.search(r"^# properties = (\{.*\})$", script, re.MULTILINE)
    if not found:
        raise SystemExit("submit.py: expected a line '# properties = {...}' in the job script, found none")
    return json.loads(found[1])


def options(job: Mapping[str, Any]) -> list[str]:
    """sbatch's options for a job's rule, name, threads and resources."""
    resources = job.get("resources", {})
    name = "-".join(["seqflows", job.get("rule", job.get("groupid", "group")), *job.get("wildcards", {}).values()])
    minutes = int(resources["runtime"])
    found = [
        "--parsable",
        "--requeue",
        "--open-mode=append",
        f"--job-name={name}",
        f"--output={LOGS}/{name}-%j.log",
        f"--cpus-per-task={job.get('threads', 1)}",
        f"--mem={int(resources['mem_mb'])}M",
        f"--time={minutes}",
        f"--signal=B:TERM@{min(AHEAD, 30 * minutes)}",
    ]
    if int(resources.get("gpus", 0)) > 0:
        found.append(f"--gres=gpu:{int(resources['gpus'])}")
    if int(resources.get("exclusive", 0)) > 0:
        found.append("--exclusive")
    return found


def main() -> int:
    """Submit the script named by the last argument."""
    script = sys.argv[-1]
    LOGS.mkdir(parents=True, exist_ok=True)
    further = shlex.split(os.environ.get("SEQFLOWS_SBATCH", ""))
    command = ["sbatch", *options(properties(Path(script).read_text(encoding="utf-8"))), *further, script]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    print(done.stdout.strip().split(";")[0])  # with several clusters: number;cluster
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
