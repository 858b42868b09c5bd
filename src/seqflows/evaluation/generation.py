"""Samples of a trained model: text lines, piano rolls or points."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from seqflows import files
from seqflows.data.batching import Batch
from seqflows.data.prepared import Dataset
from seqflows.models import Model


def draw(model: Model, count: int, seed: int, *, mode: bool) -> Batch:
    """``count`` samples at temperature 1, the observation drawn or, with ``mode``, at its likeliest.

    The same seed gives the same latent noise and lengths to both.
    """
    generator = torch.Generator().manual_seed(seed)
    return model.sample(count, temperature=1.0, mode=mode, generator=generator).to("cpu")


def text_lines(batch: Batch, vocabulary: list[str]) -> list[str]:
    """Each sequence as a string."""
    return [
        "".join(vocabulary[symbol] for symbol in row[:length])
        for row, length in zip(batch.x.tolist(), batch.lengths.tolist(), strict=True)
    ]


def _frames(batch: Batch) -> np.ndarray:
    """(sum T, 88) uint8: the sequences behind one another, as prepared data have them."""
    return batch.x[batch.mask].round().to(torch.uint8).numpy()


def write(folder: Path, model: Model, dataset: Dataset, count: int, seed: int) -> None:
    """Write samples.txt, samples.npz or samples.csv, by the kind of data.

    - text: two parts, each headed by a line that begins with ``#``, then a sample a line;
    - music: ``lengths`` (N,), ``frames`` (sum T, 88) and the same with the prefix ``mode_``;
    - vectors: a point a line, in columns x0, x1, ...
    """
    if count < 1:
        return
    drawn = draw(model, count, seed, mode=False)
    if dataset.kind == "vectors":
        points = drawn.x[:, 0].tolist()
        columns = [f"x{number}" for number in range(len(points[0]))]
        files.write_csv(folder / "samples.csv", [dict(zip(columns, row, strict=True)) for row in points], columns)
        return
    mode = draw(model, count, seed, mode=True)
    if dataset.kind == "text":
        lines = ["# temperature 1, symbols drawn", *text_lines(drawn, dataset.vocabulary)]
        lines += ["# temperature 1, symbols at their mode", *text_lines(mode, dataset.vocabulary)]
        files.write_text(folder / "samples.txt", "\n".join(lines) + "\n")
        return
    with files.replacing(folder / "samples.npz") as path, open(path, "wb") as file:
        np.savez(
            file,
            lengths=drawn.lengths.numpy(),
            frames=_frames(drawn),
            mode_lengths=mode.lengths.numpy(),
            mode_frames=_frames(mode),
        )
