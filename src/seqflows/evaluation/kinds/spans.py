"""Scoring of readers: exact match and F1 of the spans that they answer with, and nats of the right ones.

Legend: N questions.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from seqflows import files
from seqflows.compute import Machine
from seqflows.config.evaluation import Spans as Settings
from seqflows.data.batching import Batch, collate, order_by_length
from seqflows.data.prepared import Dataset, Split
from seqflows.errors import Problem
from seqflows.evaluation.likelihood import ratio
from seqflows.evaluation.scoring import Records, Task, write_columns
from seqflows.kinds import KINDS
from seqflows.models.spans import Reader
from seqflows.textscores import answers

ROW = KINDS["spans"]
ANSWERS = KINDS["spans"].compared
NATS = "nats/question"


class Scores(NamedTuple):
    """Of N questions: -log p of the first right answer, nats, exact match and F1, (N,) each, and the answers."""

    nll: np.ndarray
    exact: np.ndarray
    f1: np.ndarray
    texts: list[str]


def score(model: Reader, dataset: Dataset, settings: Settings, task: Task) -> Records:
    """Compute every metric of a trained model; write scores.csv and answers.json, a row a question."""
    model.eval()
    split, rows = dataset.test, Records(ROW.unit)
    found, ones = scores(model, split, settings.batch, task.machine), np.ones(len(split))

    def add(metric: str, values: np.ndarray, over: np.ndarray, unit: str) -> None:
        value, error = ratio(values, over)
        rows.add(metric, value, unit, error=error, over=len(split))

    add("f1", 100 * found.f1, ones, ROW.unit)
    add("em", 100 * found.exact, ones, ROW.unit)
    add("nll", found.nll, ones, NATS)
    if split.source_log_prob is not None:
        add("excess", found.nll + split.source_log_prob, ones, "nats/sequence")
    rows.add("parameters", task.parameters, "1")
    ids = split.contexts.ids.tolist()
    content = [{"id": name, "answer": text} for name, text in zip(ids, found.texts, strict=True)]
    files.write_json(task.folder / ANSWERS, {"questions": content})
    columns = {"index": range(len(split)), "id": ids, "length": split.contexts.sizes.tolist()}
    columns |= {"nll": found.nll.tolist(), "em": found.exact.tolist(), "f1": found.f1.tolist()}
    write_columns(task.folder / "scores.csv", columns, len(split))
    return rows


@torch.no_grad()
def scores(model: Reader, split: Split, size: int, machine: Machine) -> Scores:
    """The scores of a split's questions, in batches of ``size`` of similar contexts."""
    nll, exact, f1 = (np.zeros(len(split)) for _ in range(3))
    texts = [""] * len(split)
    for indices in order_by_length(split, size):
        batch = collate(split, indices).to(machine.device)
        with machine.autocast():
            nll[indices] = -model.log_prob(batch).double().cpu().numpy()
        found = model.answer(batch.given)
        for place, text in zip(indices, found, strict=True):
            right = split.contexts.answers_of(place)
            texts[place], exact[place], f1[place] = text, answers.exact(text, right), answers.f1(text, right)
    if not np.isfinite(nll).all():
        place = int(np.flatnonzero(~np.isfinite(nll))[0])
        raise Problem(f"expected a finite likelihood of every answer, got {nll[place]} for question {place}")
    return Scores(nll, exact, f1, texts)


@torch.no_grad()
def f1_of(model: Reader, split: Split, batch: Batch) -> np.ndarray:
    """F1 of the model's answers to a batch's questions of ``split``, (B,): what decides whether a context is kept."""
    model.eval()
    found = model.answer(batch.given)
    right = map(split.contexts.answers_of, batch.index.tolist())
    return np.array([answers.f1(text, one) for text, one in zip(found, right, strict=True)])
