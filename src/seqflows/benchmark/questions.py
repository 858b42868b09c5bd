"""Benchmark of question generation: a training step and the beam search of each system, at the sizes of laptop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import torch

from seqflows import params
from seqflows.benchmark import measure
from seqflows.data.batching import Batch
from seqflows.data.prepared import Contexts, Dataset, Split
from seqflows.data.tokens import END, SPECIAL
from seqflows.models.base import Model
from seqflows.models.encoder_decoder import EncoderDecoder
from seqflows.training.trainer import Trainer

QUESTIONS = (
    *("model", "batch", "questions_per_second", "seconds", "gflop", "times_limit"),
    *("written_per_second", "written_steps", "written_gflop", "written_times_limit"),
)
RUNS = "squad-qg"  # and what begins with it
SCALE = "laptop"
WORDS = 30_000  # of all contexts
FEATURES = 384
TEXT = 16  # words of a question with its end
REPEATS = 3


def dataset(block: dict[str, Any], count: int, text: int = TEXT, words: int = WORDS, width: int = FEATURES) -> Dataset:
    """Random questions of one length on contexts as long as the window."""
    rng, window = np.random.default_rng(0), block["window"]
    place = np.arange(count, dtype=np.int32)
    start = rng.integers(0, window - 3, count)
    contexts = Contexts(
        words=rng.integers(len(SPECIAL), words, count * window).astype(np.int32),
        lengths=np.full(count, window),
        articles=place.astype(str),
        paragraph=place,
        window=np.tile(np.array([[0, window]], dtype=np.int32), (count, 1)),
        answer=np.stack([start, start + 3], 1).astype(np.int32),
        ids=place.astype(str),
        features=rng.standard_normal((count * window, width)).astype(np.float16),
    )
    symbols = rng.integers(len(SPECIAL), block["vocabulary_size"], (count, text)).astype(np.int32)
    symbols[:, -1] = SPECIAL.index(END)
    split = Split("pairs", np.full(count, text), symbols.ravel(), contexts=contexts)
    statistics = {"max_length": block["question_length"], "window": window}
    statistics["outputs"] = block["vocabulary_size"] + len(SPECIAL)
    vectors = rng.standard_normal((words, block["dimensions"])).astype(np.float32)
    return Dataset("random", "pairs", ["a"] * words, split, split, split, statistics, "", vectors)


def trainers(batch: int, chosen: Iterable[str] | None, **sizes: int) -> Iterator[tuple[str, Trainer, Batch]]:
    """`measure.trainers` of each run of question generation on SQuAD, or of those ``chosen``."""
    matrix = params.load()
    found = [name for name in matrix.at(SCALE).runs if name.startswith(RUNS) and (chosen is None or name in chosen)]
    data = dataset(matrix.dataset(SCALE, matrix.runs[RUNS]["dataset"]), batch, **sizes)
    return measure.trainers({name: matrix.run(SCALE, name) for name in found}, data)


def steps(batch: int = 32, chosen: Iterable[str] | None = None) -> Iterator[tuple[str, Callable[[], None]]]:
    """One optimiser step of each run."""
    for name, trainer, _ in trainers(batch, chosen):
        yield name, lambda trainer=trainer: trainer.step([np.arange(batch)], 1.0)


def searches(
    batch: int = 32, beam: int = 10, chosen: Iterable[str] | None = None
) -> Iterator[tuple[str, Callable[[], object]]]:
    """Writing one batch of questions by each run, see `run`."""
    for name, trainer, texts in trainers(batch, chosen):
        yield name, search(trainer.model, texts, beam)[0]


def run(batch: int = 32, beam: int = 10, chosen: Iterable[str] | None = None, **sizes: int) -> list[dict[str, Any]]:
    """Each run of question generation on SQuAD, on one thread: a step and a search beside their arithmetic.

    The limit is the arithmetic of the matrix products and LSTMs at the rate of the fastest kernel found. Every search
    left to right goes on for the words of a question, as an untrained model ends where it happens to; FlowSeq, which
    writes all words at once, has no steps.
    """
    torch.set_num_threads(1)
    rows, limit, group = [], max(measure.kernels().values()), [np.arange(batch)]
    for name, trainer, texts in trainers(batch, chosen, **sizes):
        model = trainer.model
        gflop = measure.flops(model, texts) / 1e9
        seconds = measure.best(lambda trainer=trainer: trainer.step(group, 1.0), repeats=REPEATS)
        write, words = search(model, texts, beam)
        use = measure.best(write, repeats=REPEATS), measure.flops_of(model, write) / 1e9
        *trained, rate, spent, ratio = measure.beside(name, batch, limit, (seconds, gflop), use, "writes")
        rows.append(dict(zip(QUESTIONS, (name, batch, *trained, rate, words, spent, ratio), strict=True)))
    return rows


def search(model: Model, texts: Batch, beam: int) -> tuple[Callable[[], object], int | None]:
    """Writing a batch of questions; from left to right with as many words as the texts have, which are returned too."""
    model.eval()
    words = int(texts.lengths[0]) if isinstance(model, EncoderDecoder) else None
    if words is not None:
        model.longest = words
        model.never[SPECIAL.index(END)] = -torch.inf
    return lambda: model.write(texts.given, beam), words
