"""Benchmark of flows of language at the paper's size: tokens per second in training and sampling."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from seqflows import compute, models
from seqflows.benchmark.measure import flops, matrix_rate, timed
from seqflows.config.training import Training
from seqflows.data.batching import collate
from seqflows.data.prepared import Dataset, Facts, Split
from seqflows.training.trainer import Trainer

LANGUAGE = (
    *("model", "parameters", "threads", "tokens_per_second", "seconds", "gemm_gflops", "gflop_equivalents", "gflop"),
    *("ratio", "sampled_tokens_per_second"),
)
SHAPE = {"batch": 32, "length": 64, "dimensions": 300, "vocabulary": 5000}
MODELS = {
    "Att-S": {"structure": "time", "network": "attention"},
    "RNN-S": {"structure": "time", "network": "rnn", "width": 810},
    "Att-C": {"structure": "channels", "network": "attention"},
    "RNN-C": {"structure": "channels", "network": "rnn", "width": 890},
    "Att-AR": {"structure": "past", "network": "attention", "steps": 24, "scales": 1, "inner": 2688},
    "RNN-AR": {"structure": "past", "network": "rnn", "steps": 24, "scales": 1, "width": 800},
}
REPEATS = 2  # a step takes ten seconds and more


def facts(length: int, dimensions: int, vocabulary: int) -> Facts:
    """Random vectors for every token."""
    vectors = np.random.default_rng(0).standard_normal((vocabulary, dimensions)).astype(np.float32)
    return Facts("embedded", vocabulary, length, (0,) * length + (1,), vectors)


class Built(NamedTuple):
    """A model, one optimiser step of it, and one batch of samples."""

    trainer: Trainer
    group: list[np.ndarray]

    def step(self) -> None:
        """Take one."""
        self.trainer.model.train()
        self.trainer.step(self.group, 1.0)

    def sample(self) -> None:
        """Draw as many sequences as a batch has."""
        self.trainer.model.eval()
        self.trainer.model.sample(len(self.group[0]))


def steps(
    shape: dict[str, int] | None = None, chosen: Iterable[str] = MODELS, **sizes: int
) -> Iterator[tuple[str, Built]]:
    """Each model on random sequences."""
    shape = shape or SHAPE
    known = facts(shape["length"], shape["dimensions"], shape["vocabulary"])
    rng = np.random.default_rng(1)
    ids = rng.integers(0, shape["vocabulary"], (shape["batch"], shape["length"])).astype(np.int32)
    split = Split("language", np.full(len(ids), shape["length"]), ids.ravel())
    data = Dataset("random", "language", [], split, split, split, {"max_length": shape["length"]}, "", known.vectors)
    for name in chosen:
        torch.manual_seed(0)
        model = models.build({"class": "language_flow", **MODELS[name], **sizes}, known).train()
        settings = Training(epochs=1, batch_size=shape["batch"], learning_rate=5e-5)
        machine = compute.Machine(torch.device("cpu"), "cpu", torch.get_num_threads(), "fp32")
        trainer = Trainer(model, data, settings, 0, machine, Path("checkpoints"))
        yield name, Built(trainer, [np.arange(len(ids))])


def run(
    threads: int = 1, shape: dict[str, int] | None = None, chosen: Iterable[str] = MODELS, **sizes: int
) -> list[dict[str, Any]]:
    """One optimiser step and one batch of samples of each model, ``threads`` threads."""
    torch.set_num_threads(threads)
    rows = []
    for name, built in steps(shape, chosen, **sizes):
        model, data = built.trainer.model, built.trainer.dataset
        own = flops(model, collate(data.train, np.arange(len(data.train)))) / 1e9
        rate = matrix_rate()
        seconds = timed(built.step, REPEATS)
        rate = max(rate, matrix_rate())  # 0.1 s each, sensitive to other load
        sampling, size = timed(built.sample, 1), data.train.lengths.sum()
        tokens = size / seconds
        values = (name, sum(p.numel() for p in model.parameters()), threads, round(tokens, 1), round(seconds, 3))
        values += (round(rate, 1), round(seconds * rate, 1), round(own, 1), round(seconds * rate / own, 3))
        values += (round(size / sampling, 1),)
        rows.append(dict(zip(LANGUAGE, values, strict=True)))
        print(
            f"  {name}: {tokens:,.0f} tokens/s trained, {seconds * rate / own:.2f} x its own {own:,.0f} GFLOP; "
            f"{values[-1]:,.0f} tokens/s sampled",
            flush=True,
        )
    return rows
