"""The stage ``filter``: which rewritten contexts a trained run answers from no worse than from the original.

A candidate of a training question is kept where the judge's score with it, F1 of the answer or the probability of the
right one, is not lower than with the original (Tang et al. 2021, section 3.3). A tie stays, and so does a context that
is equal to the original. Questions of validation and test have no candidates and are never read.

Legend: N training questions, n candidates of each.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from seqflows import compute, kinds, params, paths
from seqflows.data import filtered, prepared
from seqflows.data.batching import Batch, collate, order_by_length
from seqflows.data.lines import UNKNOWN, Passages
from seqflows.data.prepared import Split
from seqflows.data.rewritten import Candidates
from seqflows.errors import Problem
from seqflows.evaluation import loading
from seqflows.evaluation.kinds import choices, spans
from seqflows.models.base import Model

BATCH = 32  # questions of a batch, with one context each
SCORES: dict[str, Callable[[Model, Split, Batch], np.ndarray]] = {  # by the emission of a kind of questions
    "span": spans.f1_of,
    "chosen": choices.probability_of,
}


class Facing(NamedTuple):
    """Which candidates there are, and which of them have another text than the original, (N, n) bool each."""

    there: np.ndarray
    other: np.ndarray


class Scored(NamedTuple):
    """A judge's scores with the originals, (N,), and with the candidates, (N, n), the originals' where they are equal.

    Without a candidate a score is NaN.
    """

    original: np.ndarray
    candidates: np.ndarray

    @property
    def kept(self) -> np.ndarray:
        """(N, n) bool: a candidate is there, and its score is not lower than the original's."""
        return self.candidates >= self.original[:, None]


def run(key: paths.Key, found: params.Params | None = None) -> None:
    """Make ``data/filtered/<scale>/<name>/`` from the candidates of the entry and the models of its judge.

    Raises `Problem` for candidates, features or models that are missing or of other data than the present ones.
    """
    matrix = found or params.load()
    judge = matrix.judge(key.name)
    block = matrix.run(key.scale, judge)
    machine = compute.prepare(matrix.compute(key.scale), key.scale, training=False)
    dataset = prepared.of(matrix, key.scale, block["dataset"])
    candidates = filtered.judged(matrix, key.scale, key.name, dataset)
    split = dataset.train
    seen = facing(split.contexts, candidates)
    kept: dict[int, np.ndarray] = {}
    models: dict[str, str] = {}
    rows = []
    for seed in block["seeds"]:
        model, record = loading.load(paths.Key(key.scale, judge), block, seed, dataset, machine)
        result = scored(model, split, candidates, seen, machine)
        kept[seed], models[str(seed)] = result.kept, record["files"][loading.MODEL]
        rows.append({"seed": seed, **numbers(result, seen)})
    header = {
        **{"rewriting": key.name, "scale": key.scale, "judge": judge, "dataset": block["dataset"], **dataset.origin()},
        "candidates_sha256": candidates.sha256,
        "candidates_features_sha256": candidates.features_sha256,
        "models": models,
        "questions": len(split),
        "without_candidates": int((~seen.there.any(1)).sum()),
        "candidates": int(seen.there.sum()),
        "equal": int((seen.there & ~seen.other).sum()),
        "unknown": float((candidates.lines.words == UNKNOWN).mean()),  # of the candidates' words
        "score": "f1" if kinds.of(dataset.kind).emission == "span" else "probability",
        "seeds": rows,
        "device": machine.device.type,
    }
    filtered.save(paths.filtered(key.scale, key.name), kept, header)
    for row in rows:
        print(f"{key} seed {row['seed']}: {said(row)}", flush=True)


def said(row: dict[str, Any]) -> str:
    """The numbers of a seed in a line."""
    changed = row["acceptance_changed"]
    kept = "" if changed is None else f", {100 * changed:.1f} % of those with another text"
    return f"{100 * row['acceptance']:.1f} % of the candidates kept{kept}"


def facing(passages: Passages, candidates: Candidates) -> Facing:
    """Which candidates the questions have, and which of these have another text than the original."""
    shape = (len(passages), candidates.count)
    there, other = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
    places, own = candidates.places(len(passages.lines)), passages.lines.texts
    differs = np.array([text != own[line] for text, line in zip(candidates.lines.texts, candidates.of, strict=True)])
    for index in range(len(passages)):
        chosen = places[passages.of(index)[passages.free_of(index)]]
        there[index] = (chosen >= 0).any(0)
        other[index] = ((chosen >= 0) & differs[chosen]).any(0)
    if not there.any():
        raise Problem(
            f"expected candidates for the {len(passages)} training questions, got none; make the candidates of this "
            "dataset again"
        )
    return Facing(there, other)


def scored(model: Model, split: Split, candidates: Candidates, seen: Facing, machine: compute.Machine) -> Scored:
    """The scores of a judge with the original and with each candidate of every question of a split."""
    score = SCORES[kinds.of(split.kind).emission]
    original, found = np.zeros(len(split)), np.full(seen.there.shape, np.nan)

    def asked(indices: np.ndarray, number: int | None = None) -> np.ndarray:
        numbers = np.full(len(indices), -1 if number is None else number)
        replaced = None if number is None else candidates.replacement(split.contexts, indices, numbers)
        batch = collate(split, indices, replaced).to(machine.device)
        with machine.autocast():
            return score(model, split, batch)

    for indices in order_by_length(split, BATCH):
        original[indices] = asked(indices)
        found[indices] = np.where(seen.there[indices], original[indices][:, None], np.nan)
        for number in range(candidates.count):
            if len(some := indices[seen.other[indices, number]]):
                found[some, number] = asked(some, number)
    if not np.isfinite(original).all() or not np.isfinite(found[seen.there]).all():
        raise Problem("expected a finite score of every context, got others; train the judge again")
    return Scored(original, found)


def numbers(result: Scored, seen: Facing) -> dict[str, Any]:
    """What the header says of a seed: shares of the candidates that are kept, and the judge's mean scores.

    ``acceptance_changed`` is of candidates with another text, None without any. ``original`` is the mean score of the
    questions that have candidates with their own contexts, ``unfiltered`` that with their candidates, each question
    counted alike, ``kept`` the share of questions with at least one kept candidate.
    """
    some = seen.there.any(1)
    means = np.nanmean(result.candidates[some], axis=1)
    return {
        "acceptance": float(result.kept[seen.there].mean()),
        "acceptance_changed": float(result.kept[seen.other].mean()) if seen.other.any() else None,
        "original": float(result.original[some].mean()),
        "unfiltered": float(means.mean()),
        "kept": float(result.kept.any(1).mean()),
    }
