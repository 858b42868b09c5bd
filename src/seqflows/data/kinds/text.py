"""Preparation of text: one sentence per line, one symbol per character (raw format of Penn Treebank)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from seqflows.config import own
from seqflows.data.embedded import Source
from seqflows.data.kinds import shared
from seqflows.data.prepared import SPLITS
from seqflows.errors import Problem


def prepare(block: Mapping[str, Any], raw: Path, source: Source | None, dataset: str) -> shared.Prepared:
    """Prepare sentences as characters; ``max_length`` drops longer ones.

    The vocabulary is that of the training text; of a user's one file, which is divided, that of the whole.
    """
    limit = block.get("max_length")
    selections, characters = {}, []
    found, given = _sentences(block, raw), own.listed(block)
    if any(name.startswith(own.WHOLE) for name in given):
        characters = vocabulary([sentence for sentences, _ in found.values() for sentence in sentences])
    for name in SPLITS:
        path = raw / f"{name}.txt"
        sentences, empty = found[name]
        if not characters:  # of all training text, so that no limit changes the vocabulary
            characters = vocabulary(sentences)
        lengths = np.array([len(sentence) for sentence in sentences])
        within = np.ones(len(lengths), bool) if limit is None else lengths <= limit
        if not within.any():
            raise Problem(
                f"expected sentences of at most {limit} characters in {path}, got only longer ones (the shortest has "
                f"{lengths.min()}); raise max_length"
            )
        kept = [sentence for sentence, keep in zip(sentences, within, strict=True) if keep]
        selections[name] = shared.Selection(kept, lengths[within], empty, int((~within).sum()))
    if source is not None and limit is not None and limit < source.longest:
        raise Problem(
            f"expected max_length of at least {source.longest} for source: {block['source']}, got {limit}: dropping "
            "its longest sequences would falsify the known probabilities; raise it or leave it out"
        )
    longest = limit or (source.longest if source else shared.reach(selections, SPLITS if given else SPLITS[:2]))

    def encoded(sentences: list[str], where: Path) -> np.ndarray:
        return encode(sentences, characters, where)

    return shared.prepared(block, raw, source, dataset, selections, characters, encoded, longest)


def _sentences(block: Mapping[str, Any], raw: Path) -> dict[str, tuple[list[str], int]]:
    """The sentences of each split, and the number of empty lines; of a divided file these are with the training."""
    if not own.listed(block):
        return {name: shared.lines(raw / f"{name}.txt") for name in SPLITS}
    empty: list[int] = []

    def noted(path: Path) -> list[str]:
        sentences, count = shared.lines(path)
        empty.append(count)
        return sentences

    found = shared.splits(block, raw, noted)
    return {name: (found[name], count) for name, count in zip(SPLITS, (*empty, 0, 0), strict=False)}


def code_points(sentences: list[str]) -> np.ndarray:
    """The characters of all sentences, concatenated: (sum T,) uint32."""
    return np.frombuffer("".join(sentences).encode("utf-32-le"), dtype="<u4")


def vocabulary(sentences: list[str]) -> list[str]:
    """The distinct characters, in the order of their code points."""
    return [chr(point) for point in np.flatnonzero(np.bincount(code_points(sentences)))]


def encode(sentences: list[str], characters: list[str], path: Path) -> np.ndarray:
    """Indices into the vocabulary (sum T,), uint8 if it is small; an unknown character is a `Problem`."""
    points = code_points(sentences)
    known = np.array([ord(character) for character in characters])
    table = np.full(int(max(known.max(), points.max(initial=0))) + 1, -1, dtype=np.int32)
    table[known] = np.arange(len(known))
    symbols = table[points]
    if (symbols < 0).any():
        strange = "".join(map(chr, np.unique(points[symbols < 0])[:20]))
        raise Problem(
            f"expected only the {len(characters)} characters of the training text in {path}, got {strange!r}; "
            "correct the file, or add training text that has them"
        )
    return symbols.astype(np.uint8) if len(characters) <= 256 else symbols
