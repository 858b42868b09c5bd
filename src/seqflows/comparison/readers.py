"""The answers of a table's readers: the scores of each test question, under the same draws for all systems.

Answers that are spans have an exact match and F1, chosen ones are right or not.

Legend: N questions.
"""

from __future__ import annotations

import csv
import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from seqflows import files, paths
from seqflows.comparison import scores, systems
from seqflows.comparison.records_of import record
from seqflows.comparison.scores import PERCENT, SHARE, Measure, Seed
from seqflows.comparison.systems import System
from seqflows.config.comparisons import Comparison
from seqflows.data.prepared import Dataset, Split
from seqflows.errors import Problem
from seqflows.textscores import answers


def written(path: Path, ids: Sequence[str], again: str) -> list[str]:
    """The answers of answers.json, checked to be those to the questions with these ``ids``, in their order."""
    try:
        read = [(str(one["id"]), str(one["answer"])) for one in files.read_json(path)["questions"]]
    except (KeyError, TypeError, AttributeError) as error:
        raise Problem(f"expected questions with id and answer in {path}, got others ({error!r}); {again}") from None
    return systems.in_order(read, ids, "test questions", path, again)


def chosen(path: Path, ids: Sequence[str], again: str) -> list[int]:
    """The places of the chosen answers of scores.csv, checked likewise."""
    with path.open(newline="", encoding="utf-8") as file:
        try:
            read = [(row["id"], int(row["answer"])) for row in csv.DictReader(file)]
        except (KeyError, TypeError, ValueError) as error:
            raise Problem(f"expected columns id and answer in {path}, got others ({error!r}); {again}") from None
    return systems.in_order(read, ids, "test questions", path, again)


Score = Callable[[Any, Sequence[Any]], float]


class Reading(NamedTuple):
    """How the answers of a kind of questions are read and scored.

    ``read`` gives those of a file, ``right`` the right ones of the question at a place of a split, ``scores`` each
    score, from 0 to 1, of an answer against the right ones; ``told`` is an answer to the question at a place as text.
    The first score says on which questions two systems differ.
    """

    read: Callable[[Path, Sequence[str], str], list[Any]]
    right: Callable[[Split, int], Sequence[Any]]
    scores: Mapping[str, Score]
    told: Callable[[Split, int, Any], str]


READINGS = {  # by kind
    "spans": Reading(
        written, lambda split, place: split.contexts.answers_of(place), {"em": answers.exact, "f1": answers.f1},
        lambda split, place, answer: answer,
    ),
    "choices": Reading(
        chosen, lambda split, place: (int(split.symbols[place]),),
        {"accuracy": lambda answer, right: float(answer in right)},
        lambda split, place, answer: split.contexts.answers_of(place)[answer],
    ),
}  # fmt: skip


def compared(key: paths.Key, dataset: Dataset, runs: Sequence[str], settings: Comparison, seed: int) -> dict[str, Any]:
    """The content of comparison.json for the evaluated runs of a table; ``seed`` is of the bootstrap."""
    split, how = dataset.test, READINGS[dataset.kind]
    ids, count = split.contexts.ids.tolist(), len(split)

    def read(path: Path, again: str) -> list[Any]:
        return how.read(path, ids, again)

    some = [one for run in runs for one in systems.systems(key.scale, run, dataset, read)]
    right = [how.right(split, place) for place in range(count)]
    found = measures(some, right, how.scores)
    if split.contexts.plus is not None:
        found.append(of_second(found[0], split.contexts.plus))
    values = scores.drawn(found, settings.draws, seed)
    shares = [(one, len({how.told(split, *pair) for pair in enumerate(one.texts)}) / count) for one in some]
    references = [how.told(split, place, own[0]) for place, own in enumerate(right)]
    return {
        "scale": key.scale, "table": key.name, "sequences": count, "draws": settings.draws,
        "metrics": [record(one, "different", share, None, SHARE, count) for one, share in shares], "missing": {},
        "intervals": scores.intervals(values), "pairs": scores.pairs(values, tuple(values)),
        "differ": differing(found[0].statistics), "systems": [{"run": one.run, "seed": one.seed} for one in some],
        "reference": {"different": len(set(references)) / count}, "reachable": {}, "examples": [],
        "trained": {"dataset": dataset.name, "train": len(dataset.train), "valid": len(dataset.valid)}, "human": [],
    }  # fmt: skip


def measures(some: Sequence[System], right: Sequence[Sequence[Any]], found: Mapping[str, Score]) -> list[Measure]:
    """The scores of each answer, by name, in percent over questions; ``right`` are each question's right answers."""
    count = len(right)

    def measure(metric: str, score: Any) -> Measure:
        of_all = {
            (one.run, one.seed): np.array([[score(text, own)] for text, own in zip(one.texts, right, strict=True)])
            for one in some
        }
        return Measure(metric, PERCENT, of_all, lambda sums: 100 * sums[..., 0] / count)

    return [measure(metric, score) for metric, score in found.items()]


def of_second(found: Measure, within: np.ndarray) -> Measure:
    """A measure over the questions ``within`` (N,) the second test set alone, a ratio of two sums over all.

    A draw without any of them has no value and counts as 0.
    """
    inside = within.astype(float)[:, None]
    of_all = {one: np.concatenate([values * inside, inside], 1) for one, values in found.statistics.items()}
    return Measure(f"{found.metric}_plus", PERCENT, of_all, lambda sums: 100 * sums[..., 0] / sums[..., 1].clip(1))


def differing(exact: dict[Seed, np.ndarray]) -> list[dict[str, Any]]:
    """The share of questions that two runs do not both answer right or both not, the mean over seeds of both."""
    seeds, found = scores.by_run(exact), []
    for first, second in itertools.combinations(seeds, 2):
        shares = [float((one != other).mean()) for one, other in scores.of_both(seeds[first], seeds[second])]
        if shares:
            found.append({"first": first, "second": second, "share": float(np.mean(shares))})
    return found
