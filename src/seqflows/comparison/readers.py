"""The answers of a table's readers: exact match and F1 of each test question, under the same draws for all systems.

Legend: N questions.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from seqflows import files, paths
from seqflows.comparison import scores, systems
from seqflows.comparison.records_of import record
from seqflows.comparison.scores import PERCENT, SHARE, Measure, Seed
from seqflows.comparison.systems import System
from seqflows.config.comparisons import Comparison
from seqflows.data.lines import JOIN
from seqflows.data.prepared import Dataset
from seqflows.errors import Problem
from seqflows.textscores import answers

HEADLINES = ("em", "f1")
FILE = "answers.json"


def written(path: Path, ids: Sequence[str], again: str) -> list[str]:
    """The answers of answers.json, checked to be those to the questions with these ``ids``, in their order."""
    try:
        read = [(str(one["id"]), str(one["answer"])) for one in files.read_json(path)["questions"]]
    except (KeyError, TypeError, AttributeError) as error:
        raise Problem(f"expected questions with id and answer in {path}, got others ({error!r}); {again}") from None
    if [name for name, _ in read] != list(ids):
        got = f"{len(read)} others" if len(read) == len(ids) else f"{len(read)}"
        raise Problem(f"expected the {len(ids)} test questions in {path}, in their order, got {got}; {again}")
    return [text for _, text in read]


def compared(
    key: paths.Key, dataset: Dataset, runs: Sequence[str], settings: Comparison, seed: int, examples: int
) -> dict[str, Any]:
    """The content of comparison.json for the evaluated runs of a table; ``seed`` and ``examples`` are of draws."""
    passages = dataset.test.contexts
    ids, count = passages.ids.tolist(), len(dataset.test)

    def read(path: Path, again: str) -> list[str]:
        return written(path, ids, again)

    some = [one for run in runs for one in systems.systems(key.scale, run, dataset, read, FILE)]
    right = [passages.answers_of(index) for index in range(count)]
    found = measures(some, right)
    values = scores.drawn(found, settings.draws, seed)
    shares = [(one, len(set(one.texts)) / count) for one in some]
    drawn = np.sort(np.random.Generator(np.random.PCG64(examples)).permutation(count)[: settings.examples]).tolist()
    first: dict[str, System] = {}
    for one in some:
        first.setdefault(one.run, one)
    shown = [
        {"id": ids[place], "before": JOIN.join(passages.lines.texts[line] for line in passages.of(place)), "answer": "",
         "after": passages.questions.texts[place], "reference": right[place][0],
         "texts": {run: one.texts[place] for run, one in first.items()}}
        for place in drawn
    ]  # fmt: skip
    return {
        "scale": key.scale, "table": key.name, "sequences": count, "draws": settings.draws,
        "metrics": [record(one, "different", share, None, SHARE, count) for one, share in shares], "missing": {},
        "intervals": scores.intervals(values), "pairs": scores.pairs(values, HEADLINES),
        "differ": differing(found[0].statistics), "systems": [{"run": one.run, "seed": one.seed} for one in some],
        "reference": {"different": len({one[0] for one in right}) / count}, "reachable": {}, "examples": shown,
        "trained": {"dataset": dataset.name, "train": len(dataset.train), "valid": len(dataset.valid)}, "human": [],
    }  # fmt: skip


def measures(some: Sequence[System], right: Sequence[Sequence[str]]) -> list[Measure]:
    """Exact match and F1 of each answer, in percent over questions; ``right`` are each question's right answers."""
    count = len(right)

    def measure(metric: str, score: Any) -> Measure:
        of_all = {
            (one.run, one.seed): np.array([[score(text, own)] for text, own in zip(one.texts, right, strict=True)])
            for one in some
        }
        return Measure(metric, PERCENT, of_all, lambda sums: 100 * sums[..., 0] / count)

    return [measure("em", answers.exact), measure("f1", answers.f1)]


def differing(exact: dict[Seed, np.ndarray]) -> list[dict[str, Any]]:
    """The share of questions that two runs do not both answer exactly or both not, the mean over seeds of both."""
    seeds: dict[str, dict[int, np.ndarray]] = {}
    for (run, seed), values in exact.items():
        seeds.setdefault(run, {})[seed] = values
    found = []
    for first, second in itertools.combinations(seeds, 2):
        shared = sorted(seeds[first].keys() & seeds[second].keys())
        shares = [float((seeds[first][seed] != seeds[second][seed]).mean()) for seed in shared]
        if shares:
            found.append({"first": first, "second": second, "share": float(np.mean(shares))})
    return found
