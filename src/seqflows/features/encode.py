"""The stage ``features``: a vector for each word of a dataset's contexts, from a pretrained encoder.

Of passages each line is encoded apart, so that a replaced line leaves the others' features as they are, and so is each
question.

Legend: W words of a split's paragraphs, F numbers of a feature.

A word's feature is the mean over its pieces of the sum of some layers' states, in float16. A paragraph longer than the
encoder's input is cut into overlapping windows (`windows`). A word that gives no piece, as a lone accent does, has
zeros.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from seqflows import compute, files, params, paths
from seqflows.config import features
from seqflows.data import prepared, rewritten, tokens
from seqflows.data.lines import Lines
from seqflows.data.prepared import HEADER, SPLITS, Contexts, Dataset
from seqflows.errors import Problem
from seqflows.features import windows
from seqflows.features.encoder import Opened, opened
from seqflows.features.windows import Window

PIECES = 2048  # of a batch, with padding
LARGEST = float(np.finfo(np.float16).max)
LIBRARIES = ("numpy", "tokenizers", "torch", "transformers")


def run(key: paths.Key, found: params.Params | None = None) -> None:
    """Make ``data/features/<scale>/<name>/`` from a prepared dataset, or from candidates for its lines."""
    matrix = found or params.load()
    machine = compute.prepare(matrix.compute(key.scale), key.scale, training=False)
    block, out = matrix.encoder(key.scale, key.name), paths.features(key.scale, key.name)
    if key.name not in matrix.rewrites:
        encode(block, prepared.load(paths.prepared(key.scale, key.name)), out, machine)
        return
    dataset = prepared.load(paths.prepared(key.scale, matrix.rewriting(key.scale, key.name)["dataset"]))
    candidates = rewritten.of(matrix, key.scale, key.name, dataset.sha256)
    encode(block, dataset, out, machine, key.name, candidates)


def encode(
    block: Any, dataset: Dataset, out: Path, machine: compute.Machine, name: str = "",
    candidates: rewritten.Candidates | None = None,
) -> str:  # fmt: skip
    """Replace the folder ``out`` by the features of a dataset, atomically; return its sha256.

    With ``candidates`` for its lines, which the entry ``name`` made, they are the features of these instead.

    Without an encoder (``model: none``) the folder has a header alone. Raises `Problem` for an encoder that cannot be
    loaded, and for features beyond the range of float16.
    """
    settings = features.encoder(block).of(block, f"features.{dataset.name}")
    if candidates is None:
        encoded = {
            path: getattr(dataset, split).contexts.encoded()[part]
            for split in SPLITS
            for part, path in prepared.featured(split, getattr(dataset, split).contexts).items()
        }
        made = {"dataset": dataset.name, "dataset_sha256": dataset.sha256}
    else:
        encoded = {rewritten.FEATURES: candidates.lines}
        made = {"dataset": name, "dataset_sha256": candidates.sha256}
    made |= {"encoder": dict(sorted(block.items()))}
    if isinstance(settings, features.Nothing):
        with files.replacing_folder(out) as folder:
            files.write_json(folder / HEADER, made)
            return prepared.seal(folder)
    known = dataset.vocabulary[len(tokens.SPECIAL) : dataset.outputs]
    counts: dict[str, dict[str, int]] = {}
    with opened(settings, known, machine) as encoder, files.replacing_folder(out) as folder:
        for path, words in encoded.items():
            what, started = Path(path).stem, time.monotonic()
            counts[what] = write(folder / path, encoder, words, dataset.vocabulary)
            said = ", ".join(f"{number} {of.replace('_', ' ')}" for of, number in counts[what].items())
            print(f"{out} {what}: {said}, in {time.monotonic() - started:.1f} s", flush=True)
        header = {
            **made,
            "model": encoder.model_files,
            "tokenizer": encoder.tokenizer_files,
            "width": encoder.width,
            "longest": encoder.longest,
            "splits": counts,
            "versions": {"python": platform.python_version(), **{name: metadata.version(name) for name in LIBRARIES}},
        }
        files.write_json(folder / HEADER, header)
        return prepared.seal(folder)


def _paragraphs(encoded: Contexts | Lines, vocabulary: Sequence[str]) -> Iterator[list[str]]:
    """The words of each paragraph, or of each line: by its text, since a candidate's words may be unknown."""
    if isinstance(encoded, Lines):
        yield from map(tokens.tokenize, encoded.texts)
        return
    for start, size in zip(encoded.offsets.tolist(), encoded.lengths.tolist(), strict=True):
        yield [vocabulary[word] for word in encoded.words[start : start + size].tolist()]


def _windows(encoder: Opened, paragraphs: Sequence[Sequence[str]]) -> Iterator[Window]:
    """The windows of paragraphs, in order."""
    start = 0
    for paragraph in paragraphs:
        yield from windows.cut(encoder.tokenizer, paragraph, encoder.longest, start)
        start += len(paragraph)


def write(
    path: Path, encoder: Opened, encoded: Contexts | Lines, vocabulary: Sequence[str]
) -> dict[str, int]:  # fmt: skip
    """Write the features (W, F) of all words to a .npy by memory map; the numbers of words, windows and exceptions.

    The exceptions are words without a piece. ``vocabulary`` has the words of `Contexts`.
    """
    paragraphs = list(_paragraphs(encoded, vocabulary))
    cut = list(_windows(encoder, paragraphs))
    shape = (len(encoded.words), encoder.width)
    array = np.lib.format.open_memmap(path, mode="w+", dtype=np.float16, shape=shape)
    with open(path, "rb+") as file:  # a full disk is an error here; when a mapped page is written, it ends the process
        os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    written = 0
    for batch in windows.batches(cut, PIECES):
        for window, states in zip(batch, encoder.states([one.ids for one in batch]), strict=True):
            rows, values = windows.means(states, window)
            if not (fits := np.abs(values) <= LARGEST).all():
                row, place = np.argwhere(~fits)[0]
                word, got = [word for one in paragraphs for word in one][rows[row]], values[row, place]
                raise Problem(
                    f"expected features within the range of float16, {LARGEST:.0f}, got {got:g} for the word {word!r}; "
                    "take other layers of the encoder, or another one"
                )
            array[rows] = values
            written += len(rows)
        prepared.release(array)
    array.flush()
    return {"words": len(encoded.words), "windows": len(cut), "without_pieces": len(encoded.words) - written}
