"""The candidates of rewritten contexts that a filter kept, on disk and in memory, and the draw of one for training.

A folder holds ``kept.npz``, an array ``seed-<n>`` (N, n) for each seed of the judge; ``filter.json``, a header of what
was judged, by which models, and the numbers; and ``checksums.json``.

Legend: N training questions, n candidates of each, B questions of a batch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seqflows import files, paths
from seqflows.data import rewritten
from seqflows.data.lines import Passages, Replacement
from seqflows.data.prepared import Dataset, combined, seal, verified
from seqflows.data.rewritten import Candidates
from seqflows.errors import Problem

if TYPE_CHECKING:
    from seqflows.params import Params

KEPT, FILTER = "kept.npz", "filter.json"
STREAM = 17  # of the draws of candidates, beside that of the order of batches


@dataclass(frozen=True)
class Augmentation:
    """Other contexts for the training questions: ``candidates``, and which of them each seed of the judge kept.

    ``kept`` has for each seed a bool array (N, n); ``header`` is filter.json, and ``sha256`` identifies the content.
    """

    candidates: Candidates
    kept: Mapping[int, np.ndarray]
    header: Mapping[str, Any]
    sha256: str = ""

    def origin(self, seed: int) -> dict[str, str]:
        """What identifies a seed's contexts in records: the sha256 of candidates, features, and what it kept of them.

        Another seed of the judge changes none of them.
        """
        return origin(self.header, seed)

    def replacement(
        self, passages: Passages, indices: np.ndarray, share: float, seed: int, step: tuple[int, int, int]
    ) -> Replacement:
        """The contexts of a batch of training questions, each replaced with probability ``share``.

        A replaced one is one of the question's candidates that the judge's ``seed`` kept, each as probable; a question
        without any stays. A pure function of the seed and the ``step``: epoch, position in it, batch of that position.
        """
        return self.candidates.replacement(passages, indices, drawn(self.kept[seed][indices], share, seed, step))


def drawn(kept: np.ndarray, share: float, seed: int, step: tuple[int, int, int]) -> np.ndarray:
    """(B,) the number of the candidate in place of each question's context, -1 for its own; of ``kept`` (B, n) bool."""
    rng = np.random.default_rng([seed, *step, STREAM])
    replaced, places = rng.random(len(kept)) < share, rng.random(len(kept))
    counts = kept.sum(1)
    wanted = np.minimum((places * counts).astype(np.int64), np.maximum(counts - 1, 0))
    chosen = (np.cumsum(kept, 1) == wanted[:, None] + 1).argmax(1)
    return np.where(replaced & (counts > 0), chosen, -1)


def origin(header: Mapping[str, Any], seed: int) -> dict[str, str]:
    """The same by a filter's header; of a seed that did not judge, what is there of the candidates alone."""
    names = ("candidates_sha256", "candidates_features_sha256")
    found = {name: header[name] for name in names} | {"kept_sha256": header["kept_sha256"].get(str(seed))}
    return {name: str(sha256) for name, sha256 in found.items() if sha256 is not None}


def save(folder: Path, kept: Mapping[int, np.ndarray], header: Mapping[str, Any]) -> str:
    """Replace ``folder`` by what each seed of the judge kept, atomically; return its sha256."""
    with files.replacing_folder(Path(folder)) as temporary:
        np.savez(temporary / KEPT, **{f"seed-{seed}": array for seed, array in kept.items()})
        identified = {str(seed): hashlib.sha256(array.tobytes()).hexdigest() for seed, array in kept.items()}
        files.write_json(temporary / FILTER, {**header, "kept_sha256": identified})
        return seal(temporary)


def load(folder: Path, candidates: Candidates, dataset: Dataset, judge: str | list[str]) -> Augmentation:
    """Read what a filter kept of some candidates, after verifying every checksum.

    Raises `Problem` unless they are these candidates, for the questions of this dataset, by the run ``judge``, or the
    two runs.
    """
    folder = Path(folder)
    again = f"run: python -m seqflows filter {'/'.join(folder.parts[-2:])} --force"
    listed = verified(folder, "filtered candidates", ("filter",), again, (KEPT, FILTER))
    header = files.read_json(folder / FILTER)
    if header["judge"] != judge:
        ours, theirs = (" and ".join([one] if isinstance(one, str) else one) for one in (judge, header["judge"]))
        raise Problem(f"expected candidates in {folder} that {ours} judged, got those of {theirs}; {again}")
    wanted = {
        "the prepared data": ("dataset_sha256", dataset.sha256),
        "the features": ("features_sha256", dataset.features_sha256),
        "the candidates": ("candidates_sha256", candidates.sha256),
        "the candidates' features": ("candidates_features_sha256", candidates.features_sha256),
    }
    for what, (name, sha256) in wanted.items():
        if header.get(name) != sha256:
            ours, theirs = (str(one or "none")[:12] for one in (sha256, header.get(name)))
            raise Problem(
                f"expected filtered candidates in {folder} of {what} with sha256 {ours}..., got those of {theirs}...; "
                f"{again}"
            )
    with np.load(folder / KEPT, allow_pickle=False) as arrays:
        kept = {int(name.removeprefix("seed-")): arrays[name] for name in arrays}
    shape = (len(dataset.train), candidates.count)
    for seed, array in kept.items():
        if array.shape != shape or array.dtype != bool:
            raise Problem(
                f"expected whether each of {shape} candidates in {folder} is kept, got {array.dtype} of the shape "
                f"{array.shape} for seed {seed}; {again}"
            )
    return Augmentation(candidates, kept, header, combined(listed))


def judged(matrix: Params, scale: str, name: str, dataset: Dataset) -> Candidates:
    """The candidates of a filter of a scale with their features, if the dataset has any: what it judges."""
    contexts = matrix.filtering(name).contexts
    found, encoder = rewritten.of(matrix, scale, contexts, dataset.sha256), matrix.encoder(scale, contexts)
    return found if encoder is None else rewritten.featured(found, paths.features(scale, contexts), encoder)


def of(matrix: Params, scale: str, name: str, dataset: Dataset) -> Augmentation:
    """The candidates of a filter of a scale, and what its judges kept of them.

    Raises `Problem` also if a judge has been trained anew since.
    """
    filtering, folder = matrix.filtering(name), paths.filtered(scale, name)
    found = load(folder, judged(matrix, scale, name, dataset), dataset, filtering.stated())
    for seed in found.kept:
        wanted = found.header["models"].get(str(seed))
        sums = wanted if isinstance(wanted, list) else [wanted] * len(filtering.judges)
        for judge, listed in zip(filtering.judges, sums, strict=True):
            got = rewritten.model_sha256(scale, judge, seed)
            if got is not None and got != listed:
                raise Problem(
                    f"expected candidates in {folder} judged by the present model of {judge}, seed {seed}, with sha256 "
                    f"{got[:12]}..., got those by {str(listed)[:12]}...; run: python -m seqflows filter {scale}/{name} "
                    "--force"
                )
    return found


def present(scale: str, name: str, seed: int) -> dict[str, str]:
    """The `origin` of the filtered candidates of an entry that are there for a seed; empty without any."""
    path = paths.filtered(scale, name) / FILTER
    return origin(files.read_json(path), seed) if path.is_file() else {}
