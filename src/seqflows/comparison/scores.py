"""The scores of systems: statistics of each text that add up, and the paired bootstrap of all of them at once.

Legend: N questions, K statistics of a text, D draws.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

from seqflows.comparison.systems import Question, System
from seqflows.errors import Problem
from seqflows.textscores import bleu, bootstrap, meteor, questions, rouge

HEADLINES = ("bleu", "rouge_l", "meteor")  # of the paper's tables
PERCENT, SHARE, WORDS = "%", "1", "words"
Seed = tuple[str, int]  # a run and one of its seeds
T = TypeVar("T")
CLOSE = 1e-6  # within which METEOR's own score and that of its sums agree


class Measure(NamedTuple):
    """A metric: its unit, the statistics (N, K) of each system's texts, and the score of their sums (..., K)."""

    metric: str
    unit: str
    statistics: dict[Seed, np.ndarray]
    score: Callable[[np.ndarray], np.ndarray]


class Draws(NamedTuple):
    """The value of a metric for the whole test set, and for each draw of questions (D,)."""

    value: float
    draws: np.ndarray


def measures(systems: Sequence[System], asked: Sequence[Question]) -> tuple[list[Measure], dict[str, str]]:
    """The metrics that add up over questions, and for each that could not be measured the reason."""
    count, references = len(asked), [question.words for question in asked]
    counted = {
        (one.run, one.seed): np.array([bleu.statistics(*pair) for pair in zip(one.texts, references, strict=True)])
        for one in systems
    }
    shares = {(one.run, one.seed): rouge.scores(one.texts, references)[:, None] for one in systems}
    lengths = {(one.run, one.seed): np.array([[len(words)] for words in one.texts]) for one in systems}
    found = [
        Measure("bleu", PERCENT, counted, bleu.scores),
        Measure("rouge_l", PERCENT, shares, lambda sums: 100 * sums[..., 0] / count),
        Measure("words", WORDS, lengths, lambda sums: sums[..., 0] / count),
        Measure("brevity", SHARE, counted, bleu.brevity),
    ]
    if all(question.answer for question in asked):
        answers = [question.marked[1] for question in asked]
        given = {
            (one.run, one.seed): np.array([
                [questions.answered(words, answer)] for words, answer in zip(one.texts, answers, strict=True)
            ])
            for one in systems
        }  # fmt: skip
        found.append(Measure("answered", SHARE, given, lambda sums: sums[..., 0] / count))
    try:
        found.insert(2, Measure("meteor", PERCENT, _meteor(systems, references), lambda s: 100 * meteor.scores(s)))
    except Problem as problem:
        return found, {"meteor": str(problem)}
    return found, {}


def _meteor(systems: Sequence[System], references: Sequence[Sequence[str]]) -> dict[Seed, np.ndarray]:
    """METEOR's statistics, by one process for all systems; its own score has to be that of their sums."""
    wanted, found = [meteor.cleaned(" ".join(words)) for words in references], {}
    with meteor.Meteor() as running:
        for one in systems:
            texts = [meteor.cleaned(" ".join(words)) for words in one.texts]
            counted = np.array([running.statistics(*pair) for pair in zip(texts, wanted, strict=True)])
            own, summed = running.score(texts, wanted), float(meteor.scores(counted.sum(0)))
            if not abs(own - summed) < CLOSE:
                raise Problem(f"expected METEOR of {one.run} to be that of its sums, {summed}, got {own}; run it again")
            found[one.run, one.seed] = counted
    return found


def drawn(found: Sequence[Measure], draws: int, seed: int) -> dict[str, dict[Seed, Draws]]:
    """Metric -> seed of a run -> its value and those of the draws, which are the same for all metrics and systems."""
    columns = [(measure, seed, values) for measure in found for seed, values in measure.statistics.items()]
    sums = bootstrap.sums(np.concatenate([values for *_, values in columns], axis=1), draws, seed)
    values: dict[str, dict[Seed, Draws]] = {measure.metric: {} for measure in found}
    start = 0
    for measure, system, statistics in columns:
        own = sums[:, start : start + statistics.shape[1]]
        value = float(measure.score(statistics.sum(0)))
        values[measure.metric][system] = Draws(value, measure.score(own))
        start += statistics.shape[1]
    return values


def by_run(values: Mapping[Seed, T]) -> dict[str, dict[int, T]]:
    """What the seeds of each run have, by seed."""
    found: dict[str, dict[int, T]] = {}
    for (run, seed), one in values.items():
        found.setdefault(run, {})[seed] = one
    return found


def of_both(first: Mapping[int, T], second: Mapping[int, T]) -> list[tuple[T, T]]:
    """What two runs have of each seed that both have."""
    return [(one, second[seed]) for seed, one in first.items() if seed in second]


def over_seeds(values: Mapping[Seed, Draws]) -> dict[str, Draws]:
    """The mean over seeds of each run."""
    return {
        run: Draws(
            float(np.mean([one.value for one in some.values()])), np.mean([one.draws for one in some.values()], axis=0)
        )
        for run, some in by_run(values).items()
    }


def intervals(values: Mapping[str, Mapping[Seed, Draws]]) -> list[dict[str, Any]]:
    """The central 95 % of the draws of each metric of each run, as the mean over its seeds."""
    found = []
    for metric, of_seeds in values.items():
        for run, one in over_seeds(of_seeds).items():
            low, high = bootstrap.interval(one.draws)
            found.append({"run": run, "metric": metric, "value": one.value, "low": low, "high": high})
    return found


def pairs(values: Mapping[str, Mapping[Seed, Draws]], headlines: Sequence[str] = HEADLINES) -> list[dict[str, Any]]:
    """The gain of each run over each other in the headlines, as the mean over the seeds that both have.

    Seeds share the order of the data and much of the start: a mean over three beside a single one would compare seeds.
    Runs without a common seed have no gain. ``standard_error`` is over questions, ``seeds_error`` that of the mean of
    the seeds' gains, None with one seed; ``p`` is one-sided, of a gain above zero.
    """
    found = []
    for metric in (name for name in headlines if name in values):
        seeds = by_run(values[metric])
        for first, second in itertools.permutations(seeds, 2):
            if both := of_both(seeds[first], seeds[second]):
                gains = np.mean([a.draws - b.draws for a, b in both], axis=0)
                by_seed = [a.value - b.value for a, b in both]
                found.append({
                    "first": first, "second": second, "metric": metric, "difference": float(np.mean(by_seed)),
                    "standard_error": float(gains.std(ddof=1)), "seeds_error": _error(by_seed),
                    "p": bootstrap.p_value(gains),
                })  # fmt: skip
    return found


def _error(values: Sequence[float]) -> float | None:
    """The standard error of a mean; None of one value."""
    return float(np.std(values, ddof=1) / len(values) ** 0.5) if len(values) > 1 else None
