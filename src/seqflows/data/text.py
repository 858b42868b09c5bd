"""Text, one sentence a line, one symbol a character (raw format of Penn Treebank)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from seqflows.errors import Problem


def read(path: Path) -> tuple[list[str], int]:
    """The sentences of a file, stripped of the space around them, and the number of empty lines."""
    content = path.read_bytes()
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise Problem(
            f"expected UTF-8 in {path}, got byte 0x{content[error.start]:02x} in line {line}; convert the file to UTF-8"
        ) from None
    lines = [line.strip() for line in text.removesuffix("\n").split("\n")]
    sentences = [line for line in lines if line]
    if not sentences:
        raise Problem(f"expected a sentence a line in {path}, got no text; replace the file")
    return sentences, len(lines) - len(sentences)


def code_points(sentences: list[str]) -> np.ndarray:
    """(sum T,) uint32: the characters of all sentences, one after another."""
    return np.frombuffer("".join(sentences).encode("utf-32-le"), dtype="<u4")


def vocabulary(sentences: list[str]) -> list[str]:
    """The distinct characters, in the order of their code points."""
    return [chr(point) for point in np.flatnonzero(np.bincount(code_points(sentences)))]


def encode(sentences: list[str], characters: list[str], path: Path) -> np.ndarray:
    """(sum T,) places in the vocabulary, uint8 where it is small; an unknown character is a `Problem`."""
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
