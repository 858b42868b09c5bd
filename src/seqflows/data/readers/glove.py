"""Word vectors from GloVe's text format or from a table, and random vectors for missing words.

Legend: V words, D numbers per vector.
"""

from __future__ import annotations

import contextlib
import hashlib
import zipfile
import zlib
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from seqflows.data.readers import unpacking
from seqflows.errors import Problem


class Embedding(NamedTuple):
    """``vectors`` (V, D) float32, pairwise distinct; ``known`` (V,) bool, True for vectors from the file."""

    vectors: np.ndarray
    known: np.ndarray


def read(path: Path, dimensions: int, wanted: Collection[str] | None = None) -> dict[str, np.ndarray]:
    """The vectors (D,) float32 of a file of ``word v1 .. vD`` lines (.txt, or the one .txt in a .zip).

    Words may contain spaces, as some of the release of 840B tokens do. Raises `Problem`, with the line, for a line of
    another width, an invalid number or one not finite in float32, a vector without a direction, a word that occurs
    twice, or bytes that are not UTF-8; and for an empty file. With ``wanted``, other words' lines are checked only for
    their width: a full release has 2.2 million.
    """
    found: dict[str, np.ndarray] = {}
    lines = 0
    sought = None if wanted is None else {word.encode() for word in wanted}
    with _opened(path) as file:
        for lines, line in enumerate(file, 1):
            where = f"line {lines} of {path}"
            fields = line.rstrip(b"\r\n ").split(b" ")
            word, numbers = b" ".join(fields[:-dimensions]), fields[-dimensions:]
            if not word or any(_is_number(field) for field in fields[1:-dimensions]):
                raise Problem(
                    f"expected a word and {dimensions} numbers in {where}, got {len(fields) - 1} numbers; state the "
                    "file's own width as dimensions in params.yaml, or replace the file"
                )
            if sought is None or word in sought:
                name = _decoded(word, where)
                if name in found:
                    raise Problem(f"expected each word once in {path}, got {name!r} again in {where}; replace the file")
                found[name] = _vector(numbers, where)
    if not lines:
        raise Problem(f"expected lines of a word and {dimensions} numbers in {path}, got none; replace the file")
    return found


def read_table(
    numbers: Path, words: Path, dimensions: int, wanted: Collection[str] | None = None
) -> dict[str, np.ndarray]:
    """The vectors (D,) float32 of an array (V, D) in .npy, with its words in the single column of a .parquet.

    With ``wanted`` only those of these words. Raises `Problem` as `read` does, with the row; and without the package
    pyarrow, which reads the words.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise Problem(f"expected the package pyarrow to read {words}, got none; pip install pyarrow") from None
    try:
        column = parquet.read_table(words).column(0).to_pylist()
    except (pyarrow.ArrowException, IndexError) as error:
        raise Problem(f"expected a column of words in {words}, got {error}; replace the file") from None
    try:
        rows = np.load(numbers, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise Problem(f"expected an array in {numbers}, got {error}; replace the file") from None
    if rows.ndim != 2 or rows.shape != (len(column), dimensions):
        raise Problem(
            f"expected an array of {len(column)} words, as {words} has, by {dimensions} numbers in {numbers}, got "
            f"{'x'.join(map(str, rows.shape))}; state its own width as dimensions in params.yaml, or replace the files"
        )
    found: dict[str, np.ndarray] = {}
    sought = None if wanted is None else set(wanted)
    for place, word in enumerate(column):
        if sought is None or word in sought:
            where = f"row {place + 1} of {numbers}"
            if word in found:
                raise Problem(f"expected each word once in {words}, got {word!r} again for {where}; replace the files")
            vector = np.asarray(rows[place], dtype=np.float32)
            found[word] = _checked(vector, where, vector)
    return found


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    if path.suffix == ".zip":
        try:
            with zipfile.ZipFile(path) as archive:
                names = [name for name in archive.namelist() if name.endswith(".txt")]
                if len(names) != 1:
                    raise Problem(f"expected one .txt file in {path}, got {len(names)}; replace the file")
                with archive.open(names[0]) as file:
                    yield unpacking.limited(file, path)
        except (zipfile.BadZipFile, EOFError, zlib.error, RuntimeError) as error:
            said = "an encrypted one" if type(error) is RuntimeError else error
            raise Problem(f"expected a zip archive in {path}, got {said}; replace the file") from None
    else:
        with open(path, "rb") as file:
            yield file


def _decoded(word: bytes, where: str) -> str:
    try:
        return word.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Problem(f"expected UTF-8 in {where}, got byte 0x{word[error.start]:02x}; replace the file") from None


def _is_number(field: bytes) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _vector(fields: Sequence[bytes], where: str) -> np.ndarray:
    try:
        with np.errstate(over="ignore"):  # to infinity, which is rejected below
            vector = np.array([float(field) for field in fields]).astype(np.float32)
    except ValueError:
        wrong = next(field for field in fields if not _is_number(field)).decode(errors="replace")
        raise Problem(f"expected {len(fields)} numbers in {where}, got {wrong!r}; replace the file") from None
    return _checked(vector, where, [field.decode() for field in fields])


def _checked(vector: np.ndarray, where: str, written: Sequence[Any]) -> np.ndarray:
    """The vector; a `Problem` unless it is finite and has a direction."""
    with np.errstate(over="ignore"):
        norm = np.linalg.norm(vector)
    if not np.isfinite(vector).all():
        wrong = written[int(np.flatnonzero(~np.isfinite(vector))[0])]
        raise Problem(f"expected finite float32 numbers in {where}, got {wrong}; replace the file")
    if not 0 < norm < np.inf:
        raise Problem(
            f"expected a vector with a direction, for cosine similarity, in {where}, got one of length {norm:g}; "
            "replace the file: without its line the word is one without a vector"
        )
    return vector


def embed(vocabulary: Sequence[str], found: dict[str, np.ndarray], where: str) -> Embedding:
    """One vector per word of the vocabulary, from a file's vectors or else by `drawn`.

    The special tokens are looked up and drawn like any other word. In particular ``<pad>`` is not the zero vector: the
    models add equal noise to every position and decode words by cosine similarity, so padding needs a constant
    vector with a direction and the length of other words. A vector equal to that of an earlier word of the vocabulary
    counts as missing: rows are pairwise distinct. Fewer than two known words are a `Problem`.
    """
    seen: set[bytes] = set()
    known = np.zeros(len(vocabulary), bool)
    for place, word in enumerate(vocabulary):
        if word in found and found[word].tobytes() not in seen:
            known[place] = True
            seen.add(found[word].tobytes())
    if known.sum() < 2:
        raise Problem(
            f"expected vectors for the words of the vocabulary in {where}, got {int(known.sum())} for "
            f"{len(vocabulary)} words; take vectors of the text's language"
        )
    given = np.array([found[word] for word, is_known in zip(vocabulary, known, strict=True) if is_known])
    mean, deviation = given.mean(axis=0, dtype=np.float64), given.std(axis=0, dtype=np.float64)
    vectors = np.empty((len(vocabulary), given.shape[1]), dtype=np.float32)
    vectors[known] = given
    for place in np.flatnonzero(~known):
        vectors[place] = drawn(vocabulary[place], mean, deviation)
    return Embedding(vectors, known)


def drawn(word: str, mean: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """A Gaussian vector (D,) for a missing word, with ``mean`` and ``deviation`` (D,) of the known vectors.

    The generator's seed is the sha256 of the word: besides the moments, the vector depends only on the word and D.
    """
    seed = int.from_bytes(hashlib.sha256(word.encode()).digest())
    noise = np.random.default_rng(seed).standard_normal(len(mean))
    return (mean + deviation * noise).astype(np.float32)


def smallest_distance(vectors: np.ndarray, block: int = 1024) -> float:
    """The smallest Euclidean distance between two of the rows (V, D)."""
    rows = np.asarray(vectors, dtype=np.float64)
    squares = (rows**2).sum(axis=1)
    smallest, pair = np.inf, (0, 0)
    for start in range(0, len(rows), block):
        part = rows[start : start + block]
        distances = squares[start : start + block, None] + squares - 2 * part @ rows.T
        distances[np.arange(len(part)), start + np.arange(len(part))] = np.inf
        place = int(distances.argmin())
        if distances.flat[place] < smallest:
            smallest, pair = distances.flat[place], (start + place // len(rows), place % len(rows))
    return float(np.linalg.norm(rows[pair[0]] - rows[pair[1]]))  # without the cancellation of the expanded square
