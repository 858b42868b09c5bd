"""Preparation shared by most kinds: encoded splits with their counts and source probabilities."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from seqflows.data.embedded import Source
from seqflows.data.prepared import Split
from seqflows.data.readers import glove, squad
from seqflows.errors import Problem

REACH = 1.25  # p(T) reaches to this multiple of the longest training or validation sequence


@dataclass(frozen=True)
class Prepared:
    """A prepared dataset: splits by name, and what `seqflows.data.prepared.save` writes beside them.

    ``statistics`` are the kind's own entries of statistics.json, ``max_length`` first.
    """

    vocabulary: Any
    splits: dict[str, Split]
    statistics: dict[str, Any]
    vectors: np.ndarray | None = None
    rarer: Sequence[str] = ()
    files: Mapping[str, bytes] = field(default_factory=dict)  # others, by name


@dataclass(frozen=True)
class Selection:
    """The sequences of one split within all limits except their number, their lengths, and the number dropped."""

    sequences: Any
    lengths: np.ndarray
    dropped_empty: int = 0
    dropped_long: int = 0


def reach(selections: Mapping[str, Selection]) -> int:
    """`REACH` times the longest, before any ``*_sequences`` limit, so that all such subsets share it."""
    return int(REACH * max(selections["train"].lengths.max(), selections["valid"].lengths.max()))


def prepared(
    block: Mapping[str, Any], raw: Path, source: Source | None, dataset: str, selections: Mapping[str, Selection],
    vocabulary: Any, encode: Callable[[Any, Path], np.ndarray], longest: int,
) -> Prepared:  # fmt: skip
    """Encode the first ``*_sequences`` of each split, with the embedded source's log-probabilities.

    ``encode`` gives the symbols of a `Split` from sequences and their origin, for its messages.
    Raises `Problem` if one is longer than ``longest``, the end of the support of p(T).
    """
    splits, statistics = {}, {}
    for name, selection in selections.items():
        where = raw / f"{name} split"
        kept = block.get(f"{name}_sequences") or len(selection.lengths)
        sequences = selection.sequences[:kept]
        known = log_probs(source, sequences, where)
        split = Split(block["kind"], selection.lengths[:kept], encode(sequences, where), known)
        splits[name], statistics[name] = split, _counts(selection, split)
        if statistics[name]["longest"] > longest:
            raise Problem(
                f"expected sequences of at most {longest} steps in the {name} split of {dataset}, got "
                f"{statistics[name]['longest']}, to which the length model gives no probability; set max_length"
            )
    return Prepared(vocabulary, splits, {"max_length": longest, "splits": statistics})


def log_probs(source: Source | None, sequences: Any, where: Path) -> np.ndarray | None:
    """The embedded source's log-probabilities (N,), nats; an impossible sequence is a `Problem`."""
    if source is None:
        return None
    known = source.log_probs(sequences)
    if not np.isfinite(known).all():
        place = int(np.flatnonzero(~np.isfinite(known))[0])
        raise Problem(
            f"expected only sequences that the embedded source can make in {where}, got another as number {place}; "
            "run download again"
        )
    return known


def sizes(split: Split) -> dict[str, Any]:
    """The number and the lengths of a split's sequences."""
    return {
        "sequences": len(split),
        "symbols": int(split.lengths.sum()),
        "longest": int(split.lengths.max()),
        "shortest": int(split.lengths.min()),
        "mean_length": float(split.lengths.mean()),
    }


def _counts(selection: Selection, split: Split) -> dict[str, Any]:
    """Counts of a split: ``kept`` within the limits, ``sequences`` written."""
    kept = len(selection.lengths)
    return {
        **sizes(split),
        "kept": kept,
        "dropped_long": selection.dropped_long,
        "dropped_empty": selection.dropped_empty,
        "share_within_limit": kept / (kept + selection.dropped_long),
    }


def answered(question: squad.Question, spans: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """The first word of the question's first answer, and the one after its last, of words with these ``spans``.

    An answer that has a part of a word has the word.
    """
    if not question.answers:
        raise Problem(f"expected an answer of the question {question.id}, got none; replace its file")
    answer = question.answers[0]
    after = answer.start + len(answer.text)
    inside = [place for place, (start, end) in enumerate(spans) if end > answer.start and start < after]
    if not inside:
        raise Problem(f"expected words in the answer of {question.id}, got {answer.text!r}; replace its file")
    return inside[0], inside[-1] + 1


def embedding(known: Sequence[str], dimensions: int, raw: Path) -> glove.Embedding:
    """The vocabulary's vectors, from the file glove* of the raw folder, or from the two files of one table."""
    files = sorted(path for path in raw.iterdir() if path.name.startswith("glove"))
    if [path.suffix for path in files] == [".npy", ".parquet"]:
        return glove.embed(known, glove.read_table(*files, dimensions, known), str(files[0]))
    if len(files) != 1:
        raise Problem(f"expected one file glove* in {raw}, got {len(files)}; run download again")
    wanted = known if files[0].suffix == ".zip" else None
    return glove.embed(known, glove.read(files[0], dimensions, wanted), str(files[0]))
