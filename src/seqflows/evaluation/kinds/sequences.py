"""Scoring of sequences one by one: characters, music and vectors."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from seqflows import kinds
from seqflows.config.evaluation import Sequences as Settings
from seqflows.data.prepared import Dataset
from seqflows.data.tokens import UNKNOWN
from seqflows.evaluation import exports, likelihood, samples
from seqflows.evaluation.likelihood import Scores, ratio
from seqflows.evaluation.scoring import Records, Task, record, write_columns
from seqflows.models import Model


def score(model: Model, dataset: Dataset, settings: Settings, task: Task) -> Records:
    """Compute every metric of a trained model; write scores.csv, samples and exports."""
    scores = likelihood.score(model, dataset.test, settings, task.machine, task.stream("score"))
    _write_scores(task.folder / "scores.csv", scores, dataset)
    samples.write(task.folder, model, dataset, settings.generate, task.stream("samples"))
    exports.write(settings.exports, task.folder, model, dataset, task.key)
    return collect(scores, dataset, settings, task.parameters)


def collect(scores: Scores, dataset: Dataset, settings: Settings, parameters: int) -> Records:
    """Compute every metric of one seed; ``samples`` is 0 if nothing is sampled.

    Values are divided by the nats of the kind's unit; without -log p(T) if the kind's scores have none.
    """
    kind = kinds.of(dataset.kind)
    counts, rows = kinds.divisors(scores.lengths, kind.score_per_symbol), Records(kind.unit)
    whole = np.ones(len(scores.lengths))

    def add(metric: str, values: np.ndarray, sampled: int, over: np.ndarray = counts, unit: str | None = None) -> None:
        value, error = ratio(values, over)
        rows.add(metric, value, unit, sampled, error, len(values))

    k = settings.headline if scores.kl is not None else 0
    nll = scores.nll if kind.score_per_symbol else scores.nll - scores.length
    add("nll", nll / kind.nats, k)
    for count, values in scores.nll_at.items():
        add(f"nll@{count}", values / kind.nats, count)
    if scores.kl is not None:
        bound, drawn = scores.reconstruction + scores.kl + scores.length, settings.samples
        add("elbo", bound / kind.nats, drawn)
        add("reconstruction", (scores.reconstruction + scores.length) / kind.nats, drawn)
        add("reconstruction_pure", scores.reconstruction / kind.nats, drawn)
        add("kl", scores.kl / kind.nats, drawn)
        add("kl_share", scores.kl, drawn, bound, "1")
        add("ess", scores.ess, drawn, whole, "samples")
    if kind.score_per_symbol:
        add("length", scores.length / kind.nats, 0)
    if kind.emission == "categorical":
        add("nll_sentences", (scores.nll - scores.length) / sentence_symbols(dataset) / kind.nats, k, whole)
    if kind.literature:
        add("nll_literature", (scores.nll - scores.length) / kind.nats, k, scores.lengths)
    rows.append(record("parameters", parameters, None, "1", 0, len(nll)))
    log_prob, entropy = dataset.test.source_log_prob, dataset.statistics.get("source_entropy")
    if log_prob is not None:
        add("source", -log_prob / kind.nats, 0)
        add("excess", nll + log_prob, k, whole, "nats/sequence")
    if entropy is not None:
        divisor = entropy["mean_length_plus_one"] if kind.score_per_symbol else 1.0
        rows.add("source_entropy", entropy["nats_per_sequence"] / divisor / kind.nats, over=len(nll))
    return rows


def sentence_symbols(dataset: Dataset) -> np.ndarray:
    """The symbols of each test text as Lippe & Gavves 2021 count them: `<unk>` is one, and a space follows the last.

    Given the length, that space is certain: it has no nats, and none is added to the text's.
    """
    split = dataset.test
    letters = np.array(dataset.vocabulary)
    texts = ("".join(letters[part]) for part in np.split(split.symbols, split.offsets[1:]))
    unknown = np.array([text.count(UNKNOWN) for text in texts])
    return split.lengths + 1 - (len(UNKNOWN) - 1) * unknown


def _write_scores(path: Path, scores: Scores, dataset: Dataset) -> None:
    """scores.csv: one row per test sequence, in nats; ``nll`` includes ``length_nats`` = -log p(T), others do not."""
    source, count = dataset.test.source_log_prob, len(scores.lengths)
    columns = {"index": np.arange(count), "length": scores.lengths, "nll": scores.nll, "length_nats": scores.length}
    columns |= {"reconstruction": scores.reconstruction, "kl": scores.kl, "ess": scores.ess}
    columns |= {"source_nll": None if source is None else -source}
    write_columns(path, {name: None if some is None else some.tolist() for name, some in columns.items()}, count)
