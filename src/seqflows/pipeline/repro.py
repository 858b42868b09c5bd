"""``repro``: reproduce everything by DVC, with parts that share no stage side by side.

DVC makes one stage after another, and may be called beside itself where no stage is in both calls. So the stages of
datasets and of their runs are shared out to some calls of ``dvc repro``, connected ones to the same one; then what
needs its machine for itself is made; then the papers' tables and figures, in the same way; then the rest.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import networkx

from seqflows import files, kinds, params, paths, stages
from seqflows.errors import Problem
from seqflows.pipeline import dvc, status

COMMAND = ("dvc", "--wait-for-lock", "repro")
SINGLE = ("--single-item",)
IN_USE = Path(".dvc/tmp/rwlock")  # DVC's list of what its calls read and write
PARTS = 4  # for each call at once, so that all end at about the same time
SECONDS = 0.2  # between two looks at whether a call has ended

Targets = list[str]


def run(jobs: int) -> None:
    """Call ``dvc repro``, up to ``jobs`` times at once.

    Raises:
        Problem: fewer than one at once, a dvc.yaml that does not match params.yaml, or calls that fail; those beside
            them go on to their end.
    """
    if jobs < 1:
        raise Problem(f"expected at least 1 call of dvc repro at once, got -j {jobs}")
    found = params.load()
    dvc.check(found)
    with files.lock(paths.lock("engine"), "another engine is running in this checkout") as lock:
        _forget_broken()
        for calls in waves(found, stale(found), PARTS * jobs):
            _side_by_side(calls, jobs, lock)


def _forget_broken() -> None:
    """Remove DVC's list of what is in use if a call that was killed left it half-written: DVC would refuse it."""
    with contextlib.suppress(FileNotFoundError):
        try:
            json.loads(IN_USE.read_text(encoding="utf-8"))
        except ValueError:
            IN_USE.unlink()


def stale(found: params.Params) -> set[stages.Job]:
    """The stages with something to do, by their own records; of what a scale lacks, those without placeholders."""
    known = status.Status(found.at(found.scale), found.scale).all()
    made = {job for job, state in known.items() if state.state == status.MADE}
    absent = set(stages.every(found)) - set(known)
    there = {job for job in absent if all(path.exists() for path in stages.TABLE[job[0]].outputs(found.scale, job[1]))}
    return {*known, *absent} - made - there


def waves(found: params.Params, some: Collection[stages.Job], parts: int) -> list[list[Targets]]:
    """The calls of ``dvc repro`` for some stages: one wave after another, up to ``parts`` calls of one side by side.

    A call makes its stages in this order, without a look at what they wait for, which a wave before has made: DVC
    locks even the outputs of stages with nothing to do. Only the last call looks at all.
    """
    waits = stages.ordered(found, found.scale)
    named = dvc.addresses(found)
    alone, of_data, of_papers = list[stages.Job](), list[stages.Job](), list[stages.Job]()
    for job in filter(some.__contains__, waits):
        row = stages.TABLE[job[0]]
        if row.alone:
            alone.append(job)
        elif place := row.place(found, job[1]):
            (of_data if place in kinds.KINDS else of_papers).append(job)
    jobs = [_shared_out(waits, of_data, parts), [alone] if alone else [], _shared_out(waits, of_papers, parts)]
    made = [[[*SINGLE, *(named[job] for job in call)] for call in calls] for calls in jobs if calls]
    return [[[*SINGLE, "matrix"]], *made, [[]]]


def _shared_out(
    waits: Mapping[stages.Job, Sequence[stages.Job]], some: Sequence[stages.Job], parts: int
) -> list[list[stages.Job]]:
    """Some stages in up to ``parts`` parts of about one size, the largest first, each part in their order.

    Stages that wait for each other are in one part.
    """
    joined = networkx.Graph()
    joined.add_nodes_from(some)
    joined.add_edges_from((job, other) for job in some for other in waits[job])
    groups = sorted(networkx.connected_components(joined.subgraph(some)), key=len, reverse=True)
    made = [set[stages.Job]() for _ in groups[:parts]]
    for group in groups:
        min(made, key=len).update(group)
    return [[job for job in some if job in part] for part in sorted(made, key=len, reverse=True)]


def _side_by_side(calls: Sequence[Targets], jobs: int, lock: int) -> None:
    """Make the calls, each in a process group of its own, so that an interrupt is passed on once.

    After one that fails no other begins. They hold the lock of the descriptor ``lock``, too: they go on if this process
    is killed.
    """
    waiting, running, failed = list(calls), list[subprocess.Popen[bytes]](), list[subprocess.Popen[bytes]]()
    try:
        while running or (waiting and not failed):
            while waiting and len(running) < jobs and not failed:
                running.append(_start([*COMMAND, *waiting.pop(0)], lock))
            time.sleep(SECONDS)
            failed += [call for call in running if call.poll()]
            running = [call for call in running if call.returncode is None]
    except KeyboardInterrupt:
        for call in running:
            os.killpg(call.pid, signal.SIGINT)
        for call in running:
            call.wait()
        raise
    if failed:
        said = "; ".join(f"exit status {call.returncode} of {' '.join(call.args[:5])} ..." for call in failed)
        raise Problem(
            f"expected dvc repro to make every stage, got {said}; mend what it says above, then go on the same way"
        )


def _start(command: Sequence[str], lock: int) -> subprocess.Popen[bytes]:
    """Start a call, which finds the commands of this interpreter's environment first, be it activated or not."""
    found = os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", os.defpath)])
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        pass_fds=(lock,),
        process_group=0,
        env=os.environ | {paths.HELD: "1", "PATH": found},
        preexec_fn=_heed,
    )


def _heed() -> None:
    """In a new process: be interrupted by a signal that a shell lets its jobs in the background ignore."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
