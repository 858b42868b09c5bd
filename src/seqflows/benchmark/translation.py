"""Benchmark of translation: a training step and the beam search of each system, beside torch's own Transformer.

The reference has the same sizes, and in its search no keys and values of earlier steps: each step reads the whole
text again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqflows import models, params
from seqflows.benchmark import measure
from seqflows.data.batching import Batch, collate
from seqflows.data.prepared import Contexts, Dataset, Split
from seqflows.data.tokens import END, SPECIAL
from seqflows.models.search import beam_search
from seqflows.models.translator import MORE, Translator
from seqflows.training.trainer import Trainer

TRANSLATION = (
    *("model", "batch", "sentences_per_second", "subwords_per_second", "seconds", "gflop", "times_limit"),
    *("written_per_second", "written_steps", "written_gflop", "written_times_limit"),
)
RUNS = "wmt16-nmt"  # and those on its dataset
REFERENCE = "torch.nn.Transformer"
SCALE = "laptop"
TEXT = 24  # subwords of a sentence
REPEATS = 3


def dataset(block: dict[str, Any], count: int, text: int = TEXT, symbols: int | None = None) -> Dataset:
    """Random translations of one length of sources of the same."""
    rng, symbols = np.random.default_rng(0), symbols or block["vocabulary_size"]
    sizes, place = np.full(count, text), np.arange(count, dtype=np.int32)
    contexts = Contexts(
        words=rng.integers(len(SPECIAL), symbols, count * text).astype(np.int32), lengths=sizes,
        articles=place.astype(str), paragraph=place, window=np.tile(np.array([[0, text]], dtype=np.int32), (count, 1)),
        answer=None, ids=place.astype(str),
    )  # fmt: skip
    ids = rng.integers(len(SPECIAL), symbols, (count, text)).astype(np.int32)
    ids[:, -1] = SPECIAL.index(END)
    split = Split("translation", sizes, ids.ravel(), contexts=contexts)
    statistics = {"max_length": block["max_length"] + 1, "window": block["max_length"], "outputs": symbols}
    return Dataset("random", "translation", ["a"] * symbols, split, split, split, statistics, "")


class Reference(nn.Module):
    """torch's Transformer with one matrix of subwords."""

    def __init__(self, like: Translator) -> None:
        super().__init__()
        config = like.config
        depth = {"num_encoder_layers": config.layers, "num_decoder_layers": config.layers}
        self.pieces = nn.Parameter(like.pieces.detach().clone())
        self.transformer = nn.Transformer(
            config.width, config.heads, dim_feedforward=config.inner, dropout=config.dropout, batch_first=True, **depth
        )

    def logits(self, read: Tensor, before: Tensor) -> Tensor:
        """(B, T, V) of vectors of the sources and of the subwords before."""
        mask = nn.Transformer.generate_square_subsequent_mask(before.shape[1])
        return self.transformer(read, before, tgt_mask=mask, tgt_is_causal=True) @ self.pieces.T

    def loss(self, batch: Batch) -> Tensor:
        """The smoothed mean of -log p."""
        read, before = self.pieces[batch.given.words], self.pieces[batch.x]
        return F.cross_entropy(self.logits(read, before).flatten(0, 1), batch.x.flatten(), label_smoothing=0.1)


class _Again:
    """A `search.Decoder` that reads the whole text at each step."""

    def __init__(self, model: Reference, read: Tensor, beam: int) -> None:
        self.model, self.beam = model, beam
        self.memory, self.written = model.transformer.encoder(read), torch.zeros(len(read), 1, dtype=torch.long)

    def scores(self) -> Tensor:
        before = self.model.pieces[self.written]
        memory = self.memory.repeat_interleave(len(before) // len(self.memory), 0)
        mask = nn.Transformer.generate_square_subsequent_mask(before.shape[1])
        states = self.model.transformer.decoder(before, memory, tgt_mask=mask, tgt_is_causal=True)
        return (states[:, -1] @ self.model.pieces.T).log_softmax(-1)

    def select(self, places: Tensor) -> None:
        self.written = self.written[places]

    def advance(self, candidates: Tensor) -> None:
        self.written = torch.cat([self.written, candidates[:, None]], 1)


def _data(matrix: params.Params, batch: int, **sizes: int) -> Dataset:
    return dataset(matrix.dataset(SCALE, matrix.runs[RUNS]["dataset"]), batch, **sizes)


def trainers(
    matrix: params.Params, data: Dataset, chosen: Iterable[str] | None
) -> Iterator[tuple[str, Trainer, Batch]]:
    """`measure.trainers` of each run from Romanian, or of those ``chosen``."""
    runs, wanted = matrix.at(SCALE).runs, matrix.runs[RUNS]["dataset"]
    found = [name for name in runs if runs[name]["dataset"] == wanted and (chosen is None or name in chosen)]
    return measure.trainers({name: matrix.run(SCALE, name) for name in found}, data)


def steps(batch: int = 64, chosen: Iterable[str] | None = None) -> Iterator[tuple[str, Callable[[], None]]]:
    """One optimiser step of each run."""
    matrix = params.load()
    for name, trainer, _ in trainers(matrix, _data(matrix, batch), chosen):
        yield name, lambda trainer=trainer: trainer.step([np.arange(batch)], 1.0)


def searches(
    batch: int = 64, beam: int = 4, chosen: Iterable[str] | None = None
) -> Iterator[tuple[str, Callable[[], object]]]:
    """Translating one batch by each run, see `run`."""
    matrix = params.load()
    for name, trainer, texts in trainers(matrix, _data(matrix, batch), chosen):
        model = trainer.model.eval()
        yield name, lambda model=model, texts=texts: model.write(texts.given, beam)


def run(batch: int = 64, beam: int = 4, chosen: Iterable[str] | None = None, **sizes: int) -> list[dict[str, Any]]:
    """Each run from Romanian, on one thread: a step beside its arithmetic, and a search; then the reference.

    The limit is the arithmetic of the matrix products at the rate of the fastest kernel found. A search of random
    weights writes as many subwords as it may.
    """
    torch.set_num_threads(1)
    matrix, rows, limit, group = params.load(), [], max(measure.kernels().values()), [np.arange(batch)]
    data = _data(matrix, batch, **sizes)
    texts = collate(data.train, np.arange(batch))
    steps = int(texts.given.lengths[0]) + MORE
    for name, trainer, _ in trainers(matrix, data, chosen):
        model = trainer.model
        gflop = measure.flops(model, texts) / 1e9
        seconds = measure.best(lambda trainer=trainer: trainer.step(group, 1.0), repeats=REPEATS)
        model.eval()
        search = measure.flops_of(model, lambda model=model: model.write(texts.given, beam)) / 1e9
        written = measure.best(lambda model=model: model.write(texts.given, beam), repeats=REPEATS)
        rows.append(_row(name, texts, (seconds, gflop), (written, search), limit, steps))
    rows.append(_reference(matrix, data, texts, beam, limit, steps))
    return rows


def _reference(
    matrix: params.Params, data: Dataset, texts: Batch, beam: int, limit: float, steps: int
) -> dict[str, Any]:
    torch.manual_seed(0)
    model = Reference(models.build(matrix.run(SCALE, RUNS)["model"], data.facts()))
    optimiser = torch.optim.Adam(model.parameters(), 1e-3)

    def step() -> None:
        optimiser.zero_grad()
        model.loss(texts).backward()
        optimiser.step()

    seconds = measure.best(step, repeats=REPEATS)
    model.eval()

    def search() -> None:
        with torch.no_grad():
            read = model.pieces[texts.given.words]
            beam_search(_Again(model, read, beam), len(read), beam, steps, None)

    return _row(REFERENCE, texts, (seconds, None), (measure.best(search, repeats=1), None), limit, steps)


def _row(
    name: str, texts: Batch, step: tuple[float, float | None], use: tuple[float, float | None], limit: float, steps: int
) -> dict[str, Any]:
    """A row of the seconds and GFLOP, which are unknown of the reference, of a training step and of a search."""
    count, (seconds, _), (written, _) = len(texts.lengths), step, use
    trained, wrote = (
        ["", ""] if gflop is None else [round(gflop, 2), round(took * limit / gflop, 2)] for took, gflop in (step, use)
    )
    values = [name, count, round(count / seconds, 1), round(texts.steps / seconds), round(seconds, 4), *trained]
    print(f"  {name}: {count / seconds:.0f} sentences/s in training; writes {count / written:.0f} a second", flush=True)
    return dict(zip(TRANSLATION, [*values, round(count / written, 1), steps, *wrote], strict=True))
