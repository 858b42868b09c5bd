"""Candidates for the lines of a dataset's training contexts, on disk and in memory.

A folder holds ``lines.npz``, the candidates' texts and words with the training line and the number of each;
``candidates.json``, a header of what they are made from and their numbers; and ``checksums.json``.

Legend: C candidates, L lines of the training split, n candidates of a line, B questions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seqflows import files, paths
from seqflows.data.lines import Lines, Passages, Replacement
from seqflows.data.prepared import NONE, check_features, combined, mapped, seal, verified
from seqflows.errors import Problem

if TYPE_CHECKING:
    from seqflows.params import Params

LINES, CANDIDATES = "lines.npz", "candidates.json"
FEATURES = "lines.npy"  # of the folder of their features


@dataclass(frozen=True)
class Candidates:
    """C candidates: candidate c is number ``number[c]`` for the training line ``of[c]``.

    ``lines`` are their texts; ``header`` is candidates.json, ``sha256`` identifies the whole content, and
    ``features_sha256`` that of their features, if they have been given any.
    """

    lines: Lines
    of: np.ndarray
    number: np.ndarray
    header: dict[str, Any] = field(default_factory=dict)
    sha256: str = ""
    features_sha256: str | None = None

    def __post_init__(self) -> None:
        if not len(self.lines) == len(self.of) == len(self.number):
            raise Problem(
                f"expected a line and a number for each of {len(self.lines)} candidates, got {len(self.of)} and "
                f"{len(self.number)}; run the stage rewrite again"
            )

    @property
    def count(self) -> int:
        """n."""
        return int(self.number.max(initial=-1)) + 1

    def places(self, total: int) -> np.ndarray:
        """(L, n) the candidate of each of ``total`` training lines and each number, -1 without."""
        found = np.full((total, self.count), -1, dtype=np.int64)
        found[self.of, self.number] = np.arange(len(self.of))
        return found

    def replacement(
        self, passages: Passages, indices: Sequence[int] | np.ndarray, numbers: Sequence[int] | np.ndarray
    ) -> Replacement:
        """The contexts of some questions in which every free line with candidates is its own of the given number.

        A number below 0 leaves a question's context as it is.
        """
        places = self.places(len(passages.lines))
        chosen: list[np.ndarray | None] = []
        for index, number in zip(map(int, indices), map(int, numbers), strict=True):
            own = places[passages.of(index), number]
            chosen.append(None if number < 0 else np.where(passages.free_of(index), own, -1))
        return Replacement(self.lines, chosen)


def free_lines(passages: Passages) -> np.ndarray:
    """The numbers of the lines that may be replaced for at least one question, in order."""
    free = np.zeros(len(passages.lines), dtype=bool)
    for index in range(len(passages)):
        free[passages.of(index)[passages.free_of(index)]] = True
    return np.flatnonzero(free)


def save(
    folder: Path, chosen: np.ndarray, texts: Sequence[Sequence[str]], places: Mapping[str, int],
    header: Mapping[str, Any],
) -> str:  # fmt: skip
    """Replace ``folder`` by the ``texts`` of each of the ``chosen`` lines, atomically; return its sha256.

    ``places`` are the ids of the words of the dataset's vocabulary.
    """
    count = len(texts[0]) if len(texts) else 0
    lines = Lines.of((one for row in texts for one in row), places, f"the candidates of {folder}")
    of, number = np.repeat(chosen, count).astype(np.int32), np.tile(np.arange(count, dtype=np.int32), len(chosen))
    with files.replacing_folder(Path(folder)) as temporary:
        np.savez(temporary / LINES, of=of, number=number, **lines.arrays("lines"))
        files.write_json(temporary / CANDIDATES, dict(header))
        return seal(temporary)


def load(folder: Path, dataset: str, block: Mapping[str, Any] | None = None) -> Candidates:
    """Read candidates after verifying every checksum.

    Raises `Problem` unless they are of the prepared dataset with the sha256 ``dataset`` and, if given, of the present
    ``block`` of params.yaml.
    """
    folder = Path(folder)
    again = f"run: python -m seqflows rewrite {'/'.join(folder.parts[-2:])} --force"
    listed = verified(folder, "candidates", ("rewrite",), again, (LINES, CANDIDATES))
    header = files.read_json(folder / CANDIDATES)
    if header["dataset_sha256"] != dataset:
        raise Problem(
            f"expected candidates in {folder} for the prepared data with sha256 {dataset[:12]}..., got those for "
            f"{header['dataset_sha256'][:12]}...; {again}"
        )
    if block is not None and header["config_hash"] != files.digest(block):
        raise Problem(
            f"expected candidates in {folder} of the present params.yaml (config {files.digest(block)[:12]}...), got "
            f"those of config {header['config_hash'][:12]}...; {again}"
        )
    with np.load(folder / LINES, allow_pickle=False) as arrays:
        of, number, lines = arrays["of"], arrays["number"], Lines.from_arrays(arrays, "lines")
    return Candidates(lines, of, number, header, combined(listed))


def featured(found: Candidates, folder: Path, encoder: Mapping[str, Any]) -> Candidates:
    """The candidates with the features of a folder, by the block ``encoder`` of params.yaml, mapped from a file.

    Raises `Problem` if they are of other candidates or by another encoder. Without an encoder there are none.
    """
    without = encoder["model"] == NONE
    sha256 = check_features(Path(folder), found.sha256, encoder, () if without else (FEATURES,))
    lines = found.lines if without else found.lines.featured(mapped(Path(folder) / FEATURES))
    return replace(found, lines=lines, features_sha256=sha256)


def model_sha256(scale: str, run: str, seed: int) -> str | None:
    """The checksum of the present model of a run, by its record; None if it was not trained here."""
    record = paths.seed(scale, run, seed) / paths.RECORD
    return files.read_sealed(record)["files"][paths.MODEL] if record.is_file() else None


def of(matrix: Params, scale: str, name: str, dataset: str) -> Candidates:
    """The candidates of an entry of a scale, for the prepared dataset with the sha256 ``dataset``.

    Raises `Problem` also if a run that they are made by has been trained anew since.
    """
    block, folder = matrix.rewriting(scale, name), paths.rewritten(scale, name)
    found = load(folder, dataset, block)
    for run, seed, wanted in ((one["run"], one["seed"], one["model_sha256"]) for one in found.header["runs"]):
        got = model_sha256(scale, run, seed)
        if got is not None and got != wanted:
            raise Problem(
                f"expected candidates in {folder} by the present model of {run} with sha256 {got[:12]}..., got those "
                f"by {wanted[:12]}...; run: python -m seqflows rewrite {scale}/{name} --force"
            )
    return found
