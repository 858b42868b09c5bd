"""Scoring of models that choose an answer: accuracy, the probability of the right answer, and its time.

Legend: N questions, A answers, L lines.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import NamedTuple

import numpy as np
import torch

from seqflows.compute import Machine
from seqflows.config.evaluation import Choices as Settings
from seqflows.data.batching import Batch, collate, order_by_length
from seqflows.data.lines import Passages
from seqflows.data.prepared import Dataset, Split
from seqflows.errors import Problem
from seqflows.evaluation.likelihood import BATCH, ratio
from seqflows.evaluation.scoring import Records, Task, write_columns
from seqflows.kinds import KINDS
from seqflows.models import Model

UNIT, NATS = KINDS["choices"].unit, "nats/question"
SCORES = KINDS["choices"].compared
OVERLAP = 0.5  # of times, for an answer to be right with its time


class Chosen(NamedTuple):
    """What a model says of N questions: log p of their right answers (N,), the place of the most probable one (N,).

    ``span`` (N, 2) are the first and the last line given the most probable answer.
    """

    log_prob: np.ndarray
    answer: np.ndarray
    span: np.ndarray


def score(model: Model, dataset: Dataset, settings: Settings, task: Task) -> Records:
    """Compute every metric of a trained model; write scores.csv, with a row a question."""
    model.eval()
    split, rows = dataset.test, Records(UNIT)
    found, count, passages = chosen(model, split, task.machine), len(split), split.contexts
    assert isinstance(passages, Passages)
    right = found.answer == split.symbols
    iou = overlaps(passages, found.span)

    def add(metric: str, values: np.ndarray, unit: str = UNIT) -> None:
        value, error = ratio(values * (100.0 if unit == UNIT else 1.0), np.ones(len(values)))
        rows.add(metric, value, unit, 0, error, len(values))

    add("accuracy", right)
    if passages.plus is not None:
        add("accuracy_plus", right[passages.plus])
    add("nll", -found.log_prob, NATS)
    add("temporal_iou", iou)
    add("temporal_iou_reachable", reachable(passages))
    add("joint_accuracy", right & (iou >= OVERLAP))
    add("overlap_accuracy", word_overlap(split, frequencies(dataset.train.contexts)))
    rows.add("parameters", task.parameters, "1")
    columns = {
        **{"index": range(count), "id": passages.ids.tolist(), "length": [1] * count},
        **{"nll": (-found.log_prob).tolist(), "length_nats": [0.0] * count},
        "source_nll": None if split.source_log_prob is None else (-split.source_log_prob).tolist(),
        **{"right": right.astype(int).tolist(), "probability": np.exp(found.log_prob).tolist()},
        **{"answer": found.answer.tolist(), "correct": split.symbols.tolist()},
        **{"first": found.span[:, 0].tolist(), "last": found.span[:, 1].tolist(), "iou": iou.tolist()},
        **({} if passages.plus is None else {"plus": passages.plus.astype(int).tolist()}),
    }
    write_columns(task.folder / SCORES, columns, count)
    return rows


@torch.no_grad()
def chosen(model: Model, split: Split, machine: Machine) -> Chosen:
    """What a model says of each question of a split; a probability that is not finite is a `Problem`."""
    count = len(split)
    log_prob, answer, span = np.zeros(count), np.zeros(count, dtype=np.int64), np.zeros((count, 2), dtype=np.int64)
    for indices in order_by_length(split, BATCH):
        given = collate(split, indices).to(machine.device).given
        with machine.autocast():
            found = model.choose(given)
        best = found.log_probs.argmax(-1)
        answer[indices] = best.cpu().numpy()
        log_prob[indices] = found.log_probs.double().gather(1, given.correct[:, None])[:, 0].cpu().numpy()
        span[indices] = found.spans[torch.arange(len(best), device=best.device), best].cpu().numpy()
    if not np.isfinite(log_prob).all():
        place = int(np.flatnonzero(~np.isfinite(log_prob))[0])
        raise Problem(
            f"expected a finite log-probability of every right answer, got {log_prob[place]} for question {place}; "
            "train the model again"
        )
    return Chosen(log_prob, answer, span)


@torch.no_grad()
def probability_of(model: Model, split: Split, batch: Batch) -> np.ndarray:
    """The probability of the right answer to a batch's questions of ``split``, (B,): what decides what is kept."""
    model.eval()
    found = model.choose(batch.given).log_probs.double()
    right = torch.from_numpy(split.symbols[batch.index.cpu().numpy()].astype(np.int64)).to(found.device)
    return found.gather(1, right[:, None])[:, 0].exp().cpu().numpy()


def overlaps(passages: Passages, spans: np.ndarray) -> np.ndarray:
    """(N,) the intersection over union of each question's time and that of the lines of its span (N, 2).

    The time of lines is from the start of the first to the last end among them. Of times of no length both, or apart
    from each other, it is 0.
    """
    found = np.zeros(len(passages))
    for index, (first, last) in enumerate(spans.tolist()):
        times = passages.times[passages.of(index)[first : last + 1]]
        found[index] = _iou((times[:, 0].min(), times[:, 1].max()), passages.spans[index])
    return found


def reachable(passages: Passages) -> np.ndarray:
    """(N,) the largest `overlaps` of any lines that follow each other: a time is told by lines alone."""
    found = np.zeros(len(passages))
    for index in range(len(passages)):
        times = passages.times[passages.of(index)]
        for first in range(len(times)):
            ends = np.maximum.accumulate(times[first:, 1])
            start = np.minimum.accumulate(times[first:, 0])
            best = max(_iou(one, passages.spans[index]) for one in zip(start, ends, strict=True))
            found[index] = max(found[index], best)
    return found


def _iou(one: tuple[float, float] | np.ndarray, other: tuple[float, float] | np.ndarray) -> float:
    """The intersection of two times over the time from the first start to the last end."""
    union = max(one[1], other[1]) - min(one[0], other[0])
    return max(0.0, min(one[1], other[1]) - max(one[0], other[0])) / union if union > 0 else 0.0


def frequencies(passages: Passages) -> tuple[Counter[int], int]:
    """In how many passages each word stands, and the number of passages."""
    found: Counter[int] = Counter()
    for place in range(len(passages.sources)):
        rows = passages.lines.offsets[passages.first[place : place + 2]]
        found.update(np.unique(passages.lines.words[slice(*rows)]).tolist())
    return found, len(passages.sources)


def word_overlap(split: Split, counted: tuple[Counter[int], int]) -> np.ndarray:
    """(N,) whether the right answer has the largest share of words that its passage has, 1 / n for one of n equals.

    Words are weighed by log((P + 1) / (c + 1)), c of P passages having them: no model, and no order of words.
    """
    passages, (counts, total) = split.contexts, counted
    found = np.zeros(len(split))
    for index, correct in enumerate(split.symbols.tolist()):
        told = set(
            passages.lines.words[np.concatenate([_rows(passages, line) for line in passages.of(index)])].tolist()
        )
        shares = []
        for answer in range(int(passages.answered[index]), int(passages.answered[index + 1])):
            words = passages.answers.words[passages.answers.rows(answer)].tolist()
            weights = np.array([math.log((total + 1) / (counts[word] + 1)) for word in words])
            inside = np.array([word in told for word in words])
            shares.append(float(weights[inside].sum() / weights.sum()) if weights.sum() > 0 else 0.0)
        best = np.isclose(shares, max(shares))
        found[index] = best[correct] / best.sum()
    return found


def _rows(passages: Passages, line: int) -> np.ndarray:
    rows = passages.lines.rows(int(line))
    return np.arange(rows.start, rows.stop)
