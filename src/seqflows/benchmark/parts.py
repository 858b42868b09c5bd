"""``make benchmark``: measure every part, and write a csv for each and the machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch

from seqflows import compute, files
from seqflows.benchmark import (
    contexts,
    epoch,
    goals,
    imports,
    language,
    measure,
    noted,
    profiles,
    quality,
    questions,
    readers,
    translation,
    whole,
    words,
)
from seqflows.errors import Problem

FOLDER = Path("results/benchmark")
THREADS = (1, 2)  # tried for a training step
SLACK = 0.5  # load of a core that still counts as idle
ASKED = ("stages", "whole")  # measured only if named, with a word: stages:<file>, or in part: whole:snakemake
GIVEN = ("time_to_quality", "goals")  # computed from committed files, whose origin is in its csv
COLUMNS = {
    "training": measure.TRAINING,
    "epoch": epoch.EPOCH,
    "time_to_quality": quality.QUALITY,
    "sampling": measure.SAMPLING,
    "passes": measure.PASSES,
    "memory": measure.MEMORY,
    "words": words.TRAINING,
    "trajectories": words.SCORING,
    "markov": words.MARKOV,
    "language_flow": language.LANGUAGE,
    "questions": questions.QUESTIONS,
    "contexts": contexts.CONTEXTS,
    "translation": translation.TRANSLATION,
    "readers": readers.READERS,
    "imports": imports.IMPORTS,
    "profiles": profiles.PROFILES,
    "stages": noted.STAGES,
    "whole": whole.WHOLE,
    "goals": goals.COLUMNS,
}


def cores() -> int:
    """Processors that this process may use."""
    return os.process_cpu_count() if hasattr(os, "process_cpu_count") else len(os.sched_getaffinity(0))


def generation() -> str:
    """What tells a processor's generation where its name does not: on Linux its family and model."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            known = dict(line.replace("\t", "").strip().split(":", 1) for line in file if ":" in line)
    except OSError:
        return ""
    return ", ".join(f"{what}{known[what]}" for what in ("cpu family", "model") if what in known)


def tried() -> list[int]:
    """The numbers of threads to try: one, and those with as many idle cores, since they use wall time."""
    load = os.getloadavg()[0]
    counts = [count for count in THREADS if count == 1 or count <= cores() - load + SLACK]
    left = sorted(set(THREADS) - set(counts))
    if left:
        print(
            f"  {' and '.join(map(str, left))} threads left out: expected as many idle cores, got {cores()} cores and "
            f"a load of {load:.1f}; measure again on a quiet machine",
            flush=True,
        )
    return counts


MEASURES: dict[str, Callable[..., list[dict[str, Any]]]] = {
    "training": lambda: measure.training(tried()),
    "epoch": epoch.run,
    "time_to_quality": quality.run,
    "sampling": measure.sampling,
    "passes": measure.passes,
    "memory": measure.memory,
    "words": words.training,
    "trajectories": words.scoring,
    "markov": words.markov,
    "language_flow": language.run,
    "questions": questions.run,
    "contexts": contexts.run,
    "translation": translation.run,
    "readers": readers.run,
    "imports": imports.run,
    "profiles": profiles.run,
    "stages": lambda word, path: noted.run(word),
    "whole": lambda word, path: whole.run(word, path) if THREADS[-1] in tried() else [],
    "goals": lambda: goals.run(FOLDER),
}


def run(parts: Iterable[str] = (), folder: Path = FOLDER) -> None:
    """Measure the parts, by default all but those of `ASKED`, write a csv for each, and print them.

    machine.json states the machine and code of each part.

    Raises:
        Problem: an unknown part; or, after all is written, a command of the whole that failed.
    """
    named = [part.partition(":") for part in list(parts) or [part for part in MEASURES if part not in ASKED]]
    unknown = {"".join(one) for one in named if one[0] not in (ASKED if one[1] else MEASURES)}
    if unknown:
        raise Problem(f"expected parts among {', '.join(MEASURES)}, got {', '.join(sorted(unknown))}")
    found = {"revision": files.revision(), "torch": torch.__version__, "processor": compute.processor()}
    found |= {"generation": generation(), "cores": cores()}
    found["load"] = round(os.getloadavg()[1], 1)  # of the last five minutes
    measured, failed = [], []
    compute.reuse_memory()  # as in training
    for part, _, word in named:
        print(f"{part}:", flush=True)
        path = folder / f"{part}.csv"
        rows = MEASURES[part](word, path) if part in ASKED else MEASURES[part]()
        if not rows:
            print(f"  nothing could be measured; {path} stays as it is", flush=True)
            continue
        files.write_csv(path, rows, COLUMNS[part])
        if part == "whole":
            failed += [row["what"] for row in rows if word in row["what"] and row["minutes"] is None]
        if part not in GIVEN:
            measured.append(part)
    if torch.cuda.is_available():
        print("training on the GPU:", flush=True)
        files.write_csv(folder / "cuda.csv", measure.on_device("cuda"), measure.DEVICE)
        found["gpu"] = torch.cuda.get_device_name()
    path = folder / "machine.json"
    known = files.read_json(path) if path.exists() else {}
    files.write_json(path, known | dict.fromkeys(measured, found))
    if failed:
        raise Problem(f"expected {', '.join(failed)} to succeed, got failures; see their ends above")
