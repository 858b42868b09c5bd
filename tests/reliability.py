"""How often each fault is tried, and the page of counts.

`make reliability` tries all of them and writes results/reliability.md; `make test-all` each a tenth as often.
"""

import json
import os
import sys
from pathlib import Path

FULL = os.environ.get("SEQFLOWS_RELIABILITY") == "full"
ROOT = Path(__file__).resolve().parents[1]  # tests work in folders of their own
FOLDER = ROOT / "results"
RECORD = Path(os.environ.get("SEQFLOWS_RELIABILITY_RECORD", ROOT / ".reliability.jsonl"))
PAGE = FOLDER / "reliability.md"
PLANTED = "# Errors that were planted"  # the section of `make mutants`, which stays
COUNTS = {
    "kill -9 of training at a random moment, then the same command": 30,
    "kill -9 while a checkpoint, a table or metrics.json is being written": 30,
    "scancel of a job": 3,
    "time limit of a job": 3,
    "SIGKILL of a job's step": 3,
    "disk full in each stage": 8,
    "one bit flipped in a raw file, a prepared array, a checkpoint or a model": 40,
    "two engines started at once on one checkout": 5,
    "MLflow down at the start": 3,
    "MLflow down in the middle": 3,
    "MLflow down at the end": 3,
    "jobs that track at once to one sqlite file": 32,
    "jobs that track at once to one MLflow server": 32,
    "params.yaml fuzzed: keys, types, values, nesting": 1000,
}
MARKED = {  # tests with the mark `fault`, each a trial
    "an error of the system: rights, room, memory, nesting": 8,
    "standard output that is full, closed or ASCII": 7,
    "SIGTERM, SIGHUP or SIGINT in a stage": 3,
    "two equal trainings at once": 1,
    "a finished seed without its model, or with another": 2,
    "a broken mlflow.db": 2,
    "a figure without matplotlib": 1,
    "a download that is cut short or killed": 2,
    "a small pickle, archive or list that stands for much": 14,
}


def count(fault):
    """How often a fault is tried here."""
    return COUNTS[fault] if FULL else max(1, COUNTS[fault] // 10)


def record(fault, tried, held, what):
    """Note a fault's outcome: how often it was tried, how often all held, and what that means."""
    noted(fault, tried, held, what)
    assert held == tried, f"{fault}: held {held} times of {tried}"


def noted(fault, tried, held, what):
    """Add a line to the record of a full run."""
    if FULL:
        with open(RECORD, "a", encoding="utf-8") as file:
            file.write(json.dumps({"fault": fault, "tried": tried, "held": held, "what": what}) + "\n")


def page():
    """results/reliability.md from the record of a full run; a fault that was not tried is told as such."""
    found = {}
    if RECORD.exists():
        for line in RECORD.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            before = found.get(row["fault"], {"tried": 0, "held": 0})
            found[row["fault"]] = row | {name: row[name] + before[name] for name in ("tried", "held")}
    lines = [
        "# Faults that were tried",
        "",
        "Made by `make reliability`; `make test-all` tries each a tenth as often.",
        "",
        "| fault | tried | held | what held |",
        "| --- | ---: | ---: | --- |",
    ]
    for fault in COUNTS | MARKED:
        row = found.get(fault, {"tried": 0, "held": 0, "what": "not tried"})
        lines.append(f"| {fault} | {row['tried']} | {row['held']} | {row['what']} |")
    below = PAGE.read_text(encoding="utf-8").partition(PLANTED) if PAGE.exists() else ("", "", "")
    PAGE.write_text("\n".join(lines) + "\n" + "".join(["\n", *below[1:]] if below[1] else []), encoding="utf-8")
    return all(found.get(fault, {}).get("tried") == wanted for fault, wanted in (COUNTS | MARKED).items())


if __name__ == "__main__":
    sys.exit(0 if page() else "expected every fault to be tried in full, got fewer; see results/reliability.md")
