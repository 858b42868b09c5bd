"""Benchmark of question answering: a training step and the answers of both readers, at the sizes of laptop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from seqflows import models, params
from seqflows.benchmark import measure
from seqflows.config.training import Training
from seqflows.data.batching import Batch, Choices, Lined
from seqflows.data.prepared import Facts
from seqflows.models.base import Model
from seqflows.training import optimise

READERS = (
    *("model", "batch", "words", "questions_per_second", "seconds", "gflop", "times_limit"),
    *("answered_per_second", "answered_gflop", "answered_times_limit"),
)
SCALE = "laptop"
RUNS = ("squad-qa", "tvqa-qa")
# The means of laptop's data: of SQuAD's contexts in words, and of the clips' descriptions
SENTENCES, SENTENCE, ASKED, FEATURES = 5, 27, 12, 384
LINES, LINE, STATEMENT, ANSWERS, DIMENSIONS = 5, 13, 19, 5, 50
WORDS = 7_000
REPEATS = 3


def spans(batch: int, words: int = SENTENCE, width: int = FEATURES) -> tuple[Facts, Batch]:
    """Random questions about contexts of five sentences, each with the place of a span."""
    rng, sizes = np.random.default_rng(0), SENTENCES * words
    lengths, asked = torch.full((batch,), sizes), torch.full((batch,), ASKED)
    firsts = torch.arange(SENTENCES + 1).repeat(batch, 1) * words
    characters = torch.stack([torch.arange(sizes), torch.arange(sizes) + 1], 1).repeat(batch, 1, 1)
    texts = (tuple("x" * words for _ in range(SENTENCES)),) * batch
    features, asked_features = (
        torch.from_numpy(rng.standard_normal((batch, count, width), dtype=np.float32)) for count in (sizes, ASKED)
    )
    ids, asked_ids = (torch.from_numpy(rng.integers(4, WORDS, (batch, count))) for count in (sizes, ASKED))
    given = Lined(
        words=ids, lengths=lengths, characters=characters, features=features, firsts=firsts, asked=asked_ids,
        asked_lengths=asked, asked_features=asked_features, texts=texts, questions=("",) * batch,
    )  # fmt: skip
    x = torch.from_numpy(np.stack([rng.integers(0, SENTENCES, batch), np.zeros(batch, int), np.ones(batch, int)], 1))
    facts = Facts("span", WORDS, 3, (), features=width)
    return facts, Batch(x, torch.full((batch,), 3), torch.arange(batch), given)


def choices(batch: int, words: int = LINE, width: int = DIMENSIONS) -> tuple[Facts, Batch]:
    """Random questions with five answers about five timed lines."""
    rng = np.random.default_rng(0)

    def ids(*shape: int) -> torch.Tensor:
        return torch.from_numpy(rng.integers(4, WORDS, shape))

    correct = torch.from_numpy(rng.integers(0, ANSWERS, batch))
    given = Choices(
        ids(batch, ANSWERS, STATEMENT), torch.full((batch, ANSWERS), STATEMENT), ids(batch, LINES, words),
        torch.full((batch, LINES), words), correct, torch.tensor([[1, 2]]).repeat(batch, 1),
    )  # fmt: skip
    vectors = rng.standard_normal((WORDS, width)).astype(np.float32)
    facts = Facts("chosen", WORDS, 1, (), vectors)
    return facts, Batch(correct[:, None], torch.ones(batch, dtype=torch.long), torch.arange(batch), given)


DATA: dict[str, Callable[..., tuple[Facts, Batch]]] = dict(zip(RUNS, (spans, choices), strict=True))


def run(batch: int = 32, **sizes: int) -> list[dict[str, Any]]:
    """Both readers on one thread: a step, and the answers to a batch of questions, beside their arithmetic.

    The limit is the arithmetic of the matrix products and LSTMs at the rate of the fastest kernel found.
    """
    torch.set_num_threads(1)
    matrix, limit, rows = params.load(), max(measure.kernels().values()), []
    for name in RUNS:
        torch.manual_seed(0)
        block = matrix.run(SCALE, name)
        facts, texts = DATA[name](batch, **sizes)
        model = models.build(block["model"], facts).train()
        gflop = measure.flops(model, texts) / 1e9
        seconds = measure.best(_stepping(model, texts, Training.of(block["training"], "training")), repeats=REPEATS)
        model.eval()
        answer = _answering(model, texts)
        answered, work = measure.best(answer, repeats=REPEATS), measure.flops_of(model, answer) / 1e9
        context = int(texts.given.lengths[0]) if isinstance(texts.given, Lined) else texts.given.lines[0].numel()
        values = measure.beside(name, batch, limit, (seconds, gflop), (answered, work), "answers")
        rows.append(dict(zip(READERS, (name, batch, context, *values), strict=True)))
    return rows


def _stepping(model: Model, texts: Batch, settings: Training) -> Callable[[], None]:
    """A training step without the gathering of the batch."""
    optimiser = optimise.make(model, settings)

    def step() -> None:
        optimiser.zero_grad()
        sum(value.mean() for value in model.objective(texts, 1).values()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings.clip)
        optimiser.step()

    return step


def _answering(model: Model, texts: Batch) -> Callable[[], Any]:
    def answer() -> Any:
        with torch.no_grad():
            return model.answer(texts.given)

    return answer
