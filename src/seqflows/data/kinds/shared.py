"""Preparation shared by most kinds: encoded splits with their counts and source probabilities."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from seqflows.config import corpora, own
from seqflows.data.embedded import Source
from seqflows.data.prepared import SPLITS, Split
from seqflows.data.readers import glove, squad, strict_json
from seqflows.errors import Problem

Item = TypeVar("Item")
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
    told: Sequence[str] = ()  # lines to be printed


@dataclass(frozen=True)
class Selection:
    """The sequences of one split within all limits except their number, their lengths, and the number dropped."""

    sequences: Any
    lengths: np.ndarray
    dropped_empty: int = 0
    dropped_long: int = 0


def reach(selections: Mapping[str, Selection], names: Sequence[str] = ("train", "valid")) -> int:
    """`REACH` times the longest of some splits, before any ``*_sequences`` limit, so that all such subsets share it."""
    return int(REACH * max(selections[name].lengths.max() for name in names))


def lines(path: Path) -> tuple[list[str], int]:
    """The sentences of a file, one a line, without surrounding space, and the number of empty lines."""
    text = strict_json.decoded(path.read_bytes(), path, "utf-8")
    lines = [line.strip() for line in text.removesuffix("\n").split("\n")]
    sentences = [line for line in lines if line]
    if not sentences:
        raise Problem(f"expected a sentence a line in {path}, got no text; replace the file")
    return sentences, len(lines) - len(sentences)


def splits(block: Mapping[str, Any], raw: Path, read: Callable[[Path], list[Item]]) -> dict[str, list[Item]]:
    """The sequences of each split of a user's own files: of a file for each, or of one that is divided.

    Of N sequences the test split has round(``test_share`` N) and the validation split round(``valid_share`` N), drawn
    by ``seed``, all in the order of the file. Raises `Problem` if a split would be empty.
    """
    named = {name.partition(".")[0]: raw / name for name in own.listed(block)}
    if own.WHOLE not in named:
        return {name: read(named[name]) for name in SPLITS}
    found, filled = read(named[own.WHOLE]), corpora.block(block)
    sizes = _sizes(filled, len(found))
    if not all(sizes.values()):
        least = int(0.5 / min(filled.valid_share, filled.test_share))
        while not all(_sizes(filled, least).values()):
            least += 1
        raise Problem(
            f"expected at least {least} sequences in {named[own.WHOLE]} for valid_share {filled.valid_share:g} and "
            f"test_share {filled.test_share:g}, got {len(found)}; add some, or give a file for each split: "
            "path: {train: .., valid: .., test: ..}"
        )
    order = np.random.default_rng([filled.seed, 3]).permutation(len(found))
    ends = np.cumsum([sizes[name] for name in SPLITS])[:-1]
    return {
        name: [found[place] for place in np.sort(places)]
        for name, places in zip(SPLITS, np.split(order, ends), strict=True)
    }


def _sizes(filled: Any, count: int) -> dict[str, int]:
    """The number of sequences of each split, of ``count``."""
    valid, test = round(filled.valid_share * count), round(filled.test_share * count)
    return {"train": max(0, count - valid - test), "valid": valid, "test": test}


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
