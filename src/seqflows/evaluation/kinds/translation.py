"""Scoring of models of translation: nats a subword of the true translations, and the translations that they write.

The first test set is the headline's; the second and the held-out pairs of training stand beside. Legend: N pairs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from seqflows import files
from seqflows.config.evaluation import Translation as Settings
from seqflows.data import subwords
from seqflows.data.embedded import numerals
from seqflows.data.prepared import Dataset
from seqflows.data.translated import HELD_OUT, references, sources
from seqflows.evaluation.given import likelihoods
from seqflows.evaluation.likelihood import BATCH, ratio
from seqflows.evaluation.scoring import Records, Task, write_columns
from seqflows.kinds import KINDS
from seqflows.models import Model
from seqflows.models.search import written

UNIT = KINDS["translation"].unit
TEXTS = KINDS["translation"].compared


def score(model: Model, dataset: Dataset, settings: Settings, task: Task) -> Records:
    """Compute every metric of a trained model; write scores.csv, of the first test set, and texts.json.

    What can be known only beside other systems' texts is the stage ``compare``'s.
    """
    model.eval()
    rows, test, valid = Records(UNIT), dataset.test, dataset.valid
    sets, parts = dataset.statistics["sets"], test.contexts.articles
    nll, bits = likelihoods(model, test, 0, task.machine, task.stream("score"))
    places = {name: np.flatnonzero(parts == name) for name in sets}
    first = places[sets[0]]

    def add(metric: str, values: np.ndarray, over: np.ndarray, unit: str | None = None, samples: int = 0) -> None:
        value, error = ratio(values, over)
        rows.add(metric, value, unit, samples, error, len(values))

    add("nll", nll[first], test.lengths[first])
    if len(sets) > 1:
        add("nll_second", nll[places[sets[1]]], test.lengths[places[sets[1]]])
    held_out, _ = likelihoods(model, valid, 0, task.machine, task.stream("held out"))
    characters = np.array([len(text) for text in references(dataset, valid)])
    add("nll_held_out", held_out, valid.lengths)
    add("characters_held_out", held_out / np.log(2), characters, "bpc")
    source = test.source_log_prob
    if source is not None:
        add("source", -source[first], test.lengths[first])
        add("excess", nll[first] + source[first], np.ones(len(first)), "nats/sequence")
    if bits is not None:
        add("context_bits", bits[first], np.ones(len(first)), "bits/dim", 1)
    torch.manual_seed(task.stream("write"))
    content: list[dict[str, Any]] = []
    for split, name in ((test, None), (valid, HELD_OUT)):
        with task.machine.autocast():
            ids = written(model, split, np.arange(len(split)), settings.beam, BATCH, task.machine.device)
        texts = [subwords.decode(one, dataset.vocabulary) for one in ids]
        for place, text in enumerate(texts):
            part = name or str(split.contexts.articles[place])
            content.append({"id": str(split.contexts.ids[place]), "set": part, "hypothesis": text})
    files.write_json(task.folder / TEXTS, {"beam": settings.beam, "translations": content})
    known = numerals.right(dataset, sources(dataset, test))
    if known is not None:
        hits = np.array([one["hypothesis"] in right for one, right in zip(content, known, strict=False)], dtype=float)
        add("exact", hits, np.ones(len(hits)), "1")
    rows.add("parameters", task.parameters, "1")
    rows.add("flow_parameters", model.flow_parameters, "1")
    columns = {"index": range(len(first)), "length": (test.lengths[first] - 1).tolist(), "nll": nll[first].tolist()}
    known_nll = None if source is None else (-source[first]).tolist()
    columns |= {"length_nats": [0.0] * len(first), "source_nll": known_nll}
    write_columns(task.folder / "scores.csv", columns, len(first))
    return rows
