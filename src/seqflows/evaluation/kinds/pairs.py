"""Scoring of models of pairs: nats a word of the true texts given their contexts, and the texts that they write.

Legend: N sequences, T words with the end symbol, K importance samples.
"""

from __future__ import annotations

import numpy as np
import torch

from seqflows import files
from seqflows.config.evaluation import Pairs as Settings
from seqflows.data.prepared import Dataset
from seqflows.evaluation.given import likelihoods
from seqflows.evaluation.likelihood import BATCH, ratio
from seqflows.evaluation.scoring import Records, Task, write_columns
from seqflows.kinds import KINDS
from seqflows.models import Model
from seqflows.models.search import written

UNIT = KINDS["pairs"].unit
TEXTS = KINDS["pairs"].compared


def score(model: Model, dataset: Dataset, settings: Settings, task: Task) -> Records:
    """Compute every metric of a trained model; write scores.csv and texts.json.

    What can be known only beside other systems' texts is the stage ``compare``'s. A latent model's ``nll`` is the bound
    of K importance samples.
    """
    model.eval()
    split = dataset.test
    draws = 0 if model.exact else settings.samples
    nll, bits = likelihoods(model, split, settings.samples, task.machine, task.stream("score"))
    rows, count = Records(UNIT), len(split)

    def add(metric: str, values: np.ndarray, over: np.ndarray, unit: str | None = None, samples: int = 0) -> None:
        value, error = ratio(values, over)
        rows.add(metric, value, unit, samples, error, count)

    ones = np.ones(count)
    add("nll", nll, split.lengths, samples=draws)
    source = split.source_log_prob
    if source is not None:
        add("source", -source, split.lengths)
        add("excess", nll + source, ones, "nats/sequence", draws)
    if bits is not None:
        add("context_bits", bits, ones, "bits/dim", 1)
    torch.manual_seed(task.stream("write"))
    with task.machine.autocast():
        texts = written(model, split, np.arange(count), settings.beam, BATCH, task.machine.device)
    known = dataset.vocabulary
    outside = np.array([sum(word >= dataset.statistics["outputs"] for word in text) for text in texts])
    add("copied", outside.astype(float), np.array([max(1, len(text)) for text in texts]), "1")
    rows.add("parameters", task.parameters, "1")
    rows.add("flow_parameters", model.flow_parameters, "1")
    content = [
        {"id": str(name), "hypothesis": " ".join(known[word] for word in text)}
        for name, text in zip(split.contexts.ids, texts, strict=True)
    ]
    files.write_json(task.folder / TEXTS, {"beam": settings.beam, "questions": content})
    columns = {"index": range(count), "length": (split.lengths - 1).tolist(), "nll": nll.tolist()}
    columns |= {"length_nats": [0.0] * count, "source_nll": None if source is None else (-source).tolist()}
    write_columns(task.folder / "scores.csv", columns, count)
    return rows
