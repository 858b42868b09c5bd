"""Benchmark of models of words: training against its matrix products alone, and scoring of a vocabulary."""

from __future__ import annotations

import functools
import math
import multiprocessing
import os
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from seqflows import compute, models, params
from seqflows.benchmark.measure import best
from seqflows.config.evaluation import BLOCK
from seqflows.config.training import Training
from seqflows.data.batching import order_by_symbols
from seqflows.data.embedded import formation
from seqflows.data.prepared import Dataset, Facts, Split
from seqflows.data.readers import lexicon
from seqflows.evaluation import likelihood
from seqflows.evaluation.trie import Trie
from seqflows.training.trainer import FULL_BATCH, Trainer

TRAINING = ("model", "batch", "words_per_second", "seconds", "products_seconds", "ratio", "gflop")
SCORING = ("words", "trajectories", "threads", "seconds", "peak_gib")
MARKOV = (
    *("model", "words", "epochs", "steps", "seconds_per_step", "full_steps", "seconds_per_full_step", "minutes"),
    "peak_gib",
)
STATE_SPACE = {"class": "state_space"}
MODELS: dict[str, dict[str, Any]] = {
    "TRIL": STATE_SPACE,
    "TRIL, K=5": {**STATE_SPACE, "proposals": 5},
    "TRIL, K=10": {**STATE_SPACE, "proposals": 10},
    "2xTRIL": {**STATE_SPACE, "layers": 2},
    "2xTRIL, K=10": {**STATE_SPACE, "layers": 2, "proposals": 10},
    "REAL-NVP": {**STATE_SPACE, "transition": "real_nvp"},
    "GRU-8": {"class": "gru_baseline", "state": 8},
}
BATCH = 1024
REPEATS = 8
SCALE, HMM = "laptop", "words-hmm512"
STEMS = 6900  # of a grammar with as many words as the largest word list
TOKENS = 10_000_000
PRODUCTS = ("aten::mm", "aten::addmm", "aten::bmm", "aten::baddbmm")


FACTS = (len(lexicon.VOCABULARY), 13)  # symbols, and the symbols of the longest word


@functools.cache
def vocabulary(stems: int, tokens: int) -> lexicon.Counts:
    """Words of a grammar with their counts."""
    rng = np.random.default_rng(0)
    return formation.build({"stems": stems}, rng).counts(rng, tokens)


def split(stems: int, tokens: int) -> Split:
    """A split of these words."""
    found = vocabulary(stems, tokens)
    symbols, lengths = lexicon.encode(found.words)
    return Split("words", lengths, symbols, None, found.counts)


def _facts(given: Split) -> Facts:
    """What a model has to know of a split."""
    symbols, longest = FACTS
    return Facts("categorical", symbols, longest, tuple(np.bincount(given.lengths, minlength=longest + 1).tolist()))


def _data(given: Split) -> Dataset:
    """A split as a whole dataset."""
    return Dataset("words", "words", lexicon.VOCABULARY, given, given, given, {"max_length": FACTS[1]}, "")


class Products(TorchDispatchMode):
    """Records the matrix products that run inside it: operator and shapes of the matrices."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[torch.Size, torch.Size]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func._schema.name in PRODUCTS:
            a, b = args[-2:]
            self.calls.append((a.shape, b.shape))
        return func(*args, **(kwargs or {}))

    @property
    def gflop(self) -> float:
        """2 m n k of every product."""
        return sum(2 * a.numel() * b[-1] for a, b in self.calls) / 1e9

    def alone(self) -> Callable[[], None]:
        """Run all of them on separate matrices."""
        pairs = [(torch.randn(a), torch.randn(b)) for a, b in self.calls]

        def call() -> None:
            for a, b in pairs:
                a @ b

        return call


def steps(
    batch: int = BATCH, stems: int = 60, tokens: int = 200_000, **sizes: int
) -> Iterator[tuple[str, Callable[[], None]]]:
    """One optimiser step of every model, words drawn by frequency."""
    given = split(stems, tokens)
    facts, data = _facts(given), _data(given)
    p = given.counts / given.counts.sum()
    drawn = [np.random.default_rng(0).choice(len(given), batch, p=p)]
    for name, block in MODELS.items():
        torch.manual_seed(0)
        model = models.build({**block, **(sizes if block["class"] == "state_space" else {})}, facts).train()
        settings = Training(epochs=1, batch_size=batch, learning_rate=1e-3, drawn=batch)
        machine = compute.Machine(torch.device("cpu"), "cpu", 1, "fp32")
        trainer = Trainer(model, data, settings, 0, machine, Path("checkpoints"))
        yield name, lambda trainer=trainer: trainer.step(drawn, 1.0)


def training(batch: int = BATCH, stems: int = 60, tokens: int = 200_000, **sizes: int) -> list[dict[str, Any]]:
    """The steps beside their matrix products alone, on one thread."""
    torch.set_num_threads(1)
    rows = []
    for name, step in steps(batch, stems, tokens, **sizes):
        with Products() as products:
            step()
        multiply = products.alone()
        found = [(best(step), best(multiply)) for _ in range(REPEATS)]  # in turn, as other load comes and goes
        seconds, alone = map(min, zip(*found, strict=True))
        values = (name, batch, round(batch / seconds), round(seconds, 4), round(alone, 4), round(seconds / alone, 2))
        rows.append(dict(zip(TRAINING, (*values, round(products.gflop, 3)), strict=True)))
        print(f"  {name}: {batch / seconds:,.0f} words/s, {seconds / alone:.1f} x its matrix products", flush=True)
    return rows


def scoring(
    counts: tuple[int, ...] = (1000, 100_000), stems: int = STEMS, tokens: int = TOKENS
) -> list[dict[str, Any]]:
    """P^ of every word of a vocabulary of the paper's size, in a separate process per number of trajectories."""
    rows = []
    for count in counts:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            rows.append(pool.apply(_score, (count, stems, tokens, len(os.sched_getaffinity(0)))))
        row = rows[-1]
        print(
            f"  {row['words']} words, {count} trajectories: {row['seconds']:.1f} s, peak {row['peak_gib']:.2f} GiB",
            flush=True,
        )
    return rows


def _score(count: int, stems: int, tokens: int, threads: int) -> dict[str, Any]:
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    given = split(stems, tokens)
    model = models.build(MODELS["2xTRIL"], Facts("categorical", 27, 13, (0, *[1] * 13)))
    started = time.perf_counter()
    trie = Trie.of(given)
    total = torch.zeros(len(given), dtype=torch.float64)
    for block in likelihood.blocks(count, BLOCK):
        total += trie.sums(model.trajectories(block, trie.steps))
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return dict(zip(SCORING, (len(given), count, threads, round(seconds, 2), round(peak, 3)), strict=True))


def markov(stems: int = STEMS, tokens: int = TOKENS, **sizes: int) -> list[dict[str, Any]]:
    """A whole training of the largest hidden Markov model by one thread, from its steps, in a separate process."""
    block = params.load().run(SCALE, HMM)
    model, training = block["model"] | sizes, block["training"]
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        row = pool.apply(_train, (model, training, stems, tokens))
    print(f"  {row['model']}: {row['minutes']:.1f} min, peak {row['peak_gib']:.2f} GiB", flush=True)
    return [row]


def _train(model: dict[str, Any], training: dict[str, Any], stems: int, tokens: int) -> dict[str, Any]:
    """``minutes``: all steps of all epochs and the most full steps, without validation of its words after each."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    given, settings = split(stems, tokens), Training(**training)
    data = _data(given)
    machine = compute.Machine(torch.device("cpu"), "cpu", 1, "fp32")
    trainer = Trainer(models.build(model, _facts(given)).train(), data, settings, 0, machine, Path("checkpoints"))
    drawn = [np.random.default_rng(0).choice(len(given), settings.batch_size, p=given.counts / given.counts.sum())]
    seconds = best(lambda: trainer.step(drawn, 1.0))
    steps, full_steps = math.ceil(settings.drawn / settings.batch_size), settings.full_steps or 0
    trainer.epoch, every = settings.epochs, order_by_symbols(given, FULL_BATCH)
    full = best(lambda: trainer.step(every, 1.0)) if full_steps else 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    minutes = (settings.epochs * steps * seconds + full_steps * full) / 60
    values = (f"HMM, {model['states']} states", len(given), settings.epochs, steps, round(seconds, 4))
    values = (*values, full_steps, round(full, 4), round(minutes, 2), round(peak, 3))
    return dict(zip(MARKOV, values, strict=True))
