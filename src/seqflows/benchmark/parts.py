"""``make benchmark``: every part measured, a csv for each, and where it was measured."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch

from seqflows import compute, files
from seqflows.benchmark import language, measure, words
from seqflows.errors import Problem

FOLDER = Path("results/benchmark")
COLUMNS = {
    "training": measure.TRAINING,
    "sampling": measure.SAMPLING,
    "memory": measure.MEMORY,
    "words": words.TRAINING,
    "trajectories": words.SCORING,
    "language_flow": language.LANGUAGE,
}


def cores() -> int:
    """Processors that this process may use."""
    return os.process_cpu_count() if hasattr(os, "process_cpu_count") else len(os.sched_getaffinity(0))


MEASURES: dict[str, Callable[[], list[dict[str, Any]]]] = {
    "training": lambda: measure.training(sorted({1, cores()})),
    "sampling": measure.sampling,
    "memory": measure.memory,
    "words": words.training,
    "trajectories": words.scoring,
    "language_flow": language.run,
}


def run(parts: Iterable[str], folder: Path = FOLDER) -> None:
    """Measure the parts, write a csv for each, and print them.

    machine.json says for each part where and with which code it was measured.
    """
    parts = list(parts)
    unknown = set(parts) - set(MEASURES)
    if unknown:
        raise Problem(f"expected parts among {', '.join(MEASURES)}, got {', '.join(sorted(unknown))}")
    for part in parts:
        print(f"{part}:", flush=True)
        files.write_csv(folder / f"{part}.csv", MEASURES[part](), COLUMNS[part])
    found = {"revision": files.revision(), "torch": torch.__version__, "processor": compute.processor()}
    found["cores"] = cores()
    if torch.cuda.is_available():
        print("training on the GPU:", flush=True)
        files.write_csv(folder / "cuda.csv", measure.on_device("cuda"), measure.DEVICE)
        found["gpu"] = torch.cuda.get_device_name()
    path = folder / "machine.json"
    known = files.read_json(path) if path.exists() else {}
    files.write_json(path, known | dict.fromkeys(parts, found))
