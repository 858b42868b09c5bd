"""Samples of a trained model: text lines, piano rolls or points."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from seqflows import files
from seqflows.data.batching import Batch
from seqflows.data.prepared import Dataset
from seqflows.evaluation.scoring import write_columns
from seqflows.models import Model


def draw(model: Model, count: int, seed: int, *, mode: bool) -> Batch:
    """``count`` samples at temperature 1, the observation drawn or, with ``mode``, the most likely.

    The same seed gives both the same latent noise and lengths.
    """
    generator = torch.Generator().manual_seed(seed)
    return model.sample(count, temperature=1.0, mode=mode, generator=generator).to("cpu")


def text_lines(batch: Batch, vocabulary: list[str]) -> list[str]:
    """Each sequence as a string."""
    return [
        "".join(vocabulary[symbol] for symbol in row[:length])
        for row, length in zip(batch.x.tolist(), batch.lengths.tolist(), strict=True)
    ]


def write(folder: Path, model: Model, dataset: Dataset, count: int, seed: int) -> None:
    """Write ``count`` samples, unless it is 0: samples.txt, samples.npz or samples.csv, by emission."""
    if count:
        WRITERS[dataset.facts().emission](folder, model, dataset, count, seed)


def _lines(folder: Path, model: Model, dataset: Dataset, count: int, seed: int) -> None:
    """Two parts, each a header line that begins with ``#``, then one sample per line."""
    lines = []
    for mode, how in ((False, "drawn"), (True, "at their mode")):
        drawn = text_lines(draw(model, count, seed, mode=mode), dataset.vocabulary)
        lines += [f"# temperature 1, symbols {how}", *drawn]
    files.write_text(folder / "samples.txt", "\n".join(lines) + "\n")


def _rolls(folder: Path, model: Model, dataset: Dataset, count: int, seed: int) -> None:
    """``lengths`` (N,), concatenated ``frames`` (sum T, 88) uint8, and the same with prefix ``mode_``."""
    arrays = {}
    for mode, prefix in ((False, ""), (True, "mode_")):
        drawn = draw(model, count, seed, mode=mode)
        frames = drawn.x[drawn.mask].round().to(torch.uint8)
        arrays |= {f"{prefix}lengths": drawn.lengths.numpy(), f"{prefix}frames": frames.numpy()}
    with files.replacing(folder / "samples.npz") as path, open(path, "wb") as file:
        np.savez(file, **arrays)


def _points(folder: Path, model: Model, dataset: Dataset, count: int, seed: int) -> None:
    """One point per line, in columns x0, x1, ..."""
    points = draw(model, count, seed, mode=False).x[:, 0]
    columns = {f"x{number}": column for number, column in enumerate(points.t().tolist())}
    write_columns(folder / "samples.csv", columns, count)


WRITERS = {"categorical": _lines, "bernoulli": _rolls, "real": _points}  # by emission
