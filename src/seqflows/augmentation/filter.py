"""The stage ``filter``: which rewritten contexts a trained run answers from no worse than from the original.

A candidate of a training question is kept where the judge's score with it, F1 of the answer or the probability of the
right one, is not lower than with the original (Tang et al. 2021, section 3.3). A tie stays, and so does a context that
has the original's tokens, which no judge is asked about. Questions of validation and test have no candidates and are
never read.

A judge that was trained on a question is lenient with it. Of two judges, each trained on one half of the questions,
each reads those of the other half, with the originals and with the candidates (cross-fitting).

Legend: N training questions, n candidates of each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from seqflows import compute, files, kinds, params, paths
from seqflows.data import filtered, prepared, tokens
from seqflows.data.batching import Batch, collate, order_by_length
from seqflows.data.lines import UNKNOWN, Passages
from seqflows.data.prepared import Split
from seqflows.data.rewritten import Candidates
from seqflows.errors import Problem
from seqflows.evaluation import loading
from seqflows.evaluation.kinds import choices, spans
from seqflows.models.base import Model

BATCH = 32  # questions of a batch, with one context each
EQUALITY = "tokens"  # by what a candidate is equal to the original; once it was the text with its letters' case
TIE = 1e-6  # of scores: a probability differs by rounding between batches of other widths
SCORES: dict[str, Callable[[Model, Split, Batch], np.ndarray]] = {  # by the emission of a kind of questions
    "span": spans.f1_of,
    "chosen": choices.probability_of,
}


class Facing(NamedTuple):
    """Which candidates there are, and which of them have other tokens than the original, (N, n) bool each."""

    there: np.ndarray
    other: np.ndarray

    def of(self, some: np.ndarray) -> Facing:
        """The candidates of ``some`` of the questions."""
        return Facing(self.there[some], self.other[some])


class Scored(NamedTuple):
    """A judge's scores with the originals, (N,), and with the candidates, (N, n), the originals' where they are equal.

    Without a candidate a score is NaN, and so is every score of a question that the judge does not read.
    """

    original: np.ndarray
    candidates: np.ndarray

    def of(self, some: np.ndarray) -> Scored:
        """The scores of ``some`` of the questions."""
        return Scored(self.original[some], self.candidates[some])

    @property
    def kept(self) -> np.ndarray:
        """(N, n) bool: a candidate is there, and its score is not lower than the original's, by more than `TIE`."""
        return self.candidates >= self.original[:, None] - TIE


def run(key: paths.Key, found: params.Params | None = None) -> None:
    """Make ``data/filtered/<scale>/<name>/`` from the candidates of the entry and the models of its judges.

    Raises `Problem` for candidates, features or models that are missing or of other data than the present ones, and for
    one of two judges that was trained on questions that it is to read.
    """
    matrix = found or params.load()
    filtering = matrix.filtering(key.name)
    blocks = {judge: matrix.run(key.scale, judge) for judge in filtering.judges}
    block = blocks[filtering.judges[0]]
    machine = compute.prepare(matrix.compute(key.scale), key.scale, training=False)
    dataset = prepared.of(matrix, key.scale, block["dataset"])
    candidates = filtered.judged(matrix, key.scale, key.name, dataset)
    split = dataset.train
    seen, by = facing(split.contexts, candidates), readers(split.contexts, list(blocks.values()))
    kept: dict[int, np.ndarray] = {}
    models: dict[str, Any] = {}
    rows = []
    for seed in block["seeds"]:
        results, sums = [], []
        for place, (judge, own) in enumerate(blocks.items()):
            model, record = loading.load(paths.Key(key.scale, judge), own, seed, dataset, machine)
            unseen(split.contexts, judge, record, by == place)
            results.append(scored(model, split, candidates, seen, machine, by == place))
            sums.append(record["files"][paths.MODEL])
        result = crossed(results, by)
        kept[seed], models[str(seed)] = result.kept, filtering.stated(sums)
        rows.append({"seed": seed, **numbers(result, seen), **by_half(result, seen, by, blocks)})
    header = {
        **{"rewriting": filtering.contexts, "scale": key.scale, "judge": filtering.stated()},
        **{"dataset": block["dataset"], **dataset.origin()},
        "candidates_sha256": candidates.sha256,
        "candidates_features_sha256": candidates.features_sha256,
        "models": models,
        "questions": len(split),
        "without_candidates": int((~seen.there.any(1)).sum()),
        "candidates": int(seen.there.sum()),
        "equal": int((seen.there & ~seen.other).sum()),
        "equality": EQUALITY,
        "unknown": float((candidates.lines.words == UNKNOWN).mean()),  # of the candidates' words
        "score": "f1" if kinds.of(dataset.kind).emission == "span" else "probability",
        "seeds": rows,
        "device": machine.device.type,
    }
    filtered.save(paths.filtered(key.scale, key.name), kept, header)
    for row in rows:
        print(f"{key} seed {row['seed']}: {said(row)}", flush=True)
        for half in row.get("halves", ()):
            print(f"  half {half['half']} of the questions, by {half['judge']}: {said(half)}", flush=True)


def readers(passages: Passages, blocks: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """(N,) which judge reads each question, by its place among the ``blocks`` of their runs.

    A single one reads all; of two, the one that is trained on the half without the question.
    """
    if len(blocks) == 1:
        return np.zeros(len(passages), dtype=np.int64)
    return (passages.halves == blocks[0]["training"]["half"]).astype(np.int64)


def unseen(passages: Passages, judge: str, record: Mapping[str, Any], read: np.ndarray) -> None:
    """Check that a judge was trained on the questions that it does not ``read`` (N,) bool; on all if it reads all.

    Raises `Problem` if not.
    """
    wanted = None if read.all() else files.digest(passages.ids[~read].tolist())
    got = record.get("half", {}).get("sha256")
    if got != wanted:
        ours, theirs = ("all" if one is None else f"ids of sha256 {one[:12]}..." for one in (wanted, got))
        raise Problem(
            f"expected {judge} to be trained on the questions that it does not judge, {ours}, got {theirs}; run: "
            f"python -m seqflows train {record['scale']}/{judge} --force"
        )


def crossed(results: Sequence[Scored], by: np.ndarray) -> Scored:
    """The scores of each question by its own judge, ``by`` (N,)."""
    places = np.arange(len(by))
    return Scored(*(np.stack([getattr(one, part) for one in results])[by, places] for part in Scored._fields))


def by_half(
    result: Scored, seen: Facing, by: np.ndarray, blocks: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:  # fmt: skip
    """The numbers of each half of the questions with the run that judged it, as ``halves``; nothing of a single judge.

    ``blocks`` are those of the judges, by run. Raises `Problem` for a half without candidates.
    """
    found: list[dict[str, Any]] = []
    for place, (judge, block) in enumerate(blocks.items() if len(blocks) > 1 else ()):
        half, some = 1 - block["training"]["half"], by == place
        if not seen.there[some].any():
            raise Problem(f"expected candidates for questions of both halves, got none of half {half}; use more data")
        counts = {"half": half, "judge": judge, "questions": int(some.sum())}
        found.append({**counts, **numbers(result.of(some), seen.of(some))})
    return {"halves": sorted(found, key=lambda one: one["half"])} if found else {}


def said(row: dict[str, Any]) -> str:
    """The numbers of a seed in a line."""
    changed = row["acceptance_changed"]
    kept = "" if changed is None else f", {100 * changed:.1f} % of those with another text"
    return f"{100 * row['acceptance']:.1f} % of the candidates kept{kept}"


def facing(passages: Passages, candidates: Candidates) -> Facing:
    """Which candidates the questions have, and which of these have other tokens than the original."""
    shape = (len(passages), candidates.count)
    there, other = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
    places, own = candidates.places(len(passages.lines)), passages.lines.texts
    beside = zip(candidates.lines.texts, candidates.of, strict=True)
    differs = np.array([not tokens.alike(text, own[line]) for text, line in beside])
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


def scored(
    model: Model, split: Split, candidates: Candidates, seen: Facing, machine: compute.Machine,
    some: np.ndarray | None = None,
) -> Scored:  # fmt: skip
    """The scores of a judge with the original and with each candidate of every question of a split, or of ``some``."""
    score = SCORES[kinds.of(split.kind).emission]
    some = np.ones(len(split), dtype=bool) if some is None else some
    original, found = np.full(len(split), np.nan), np.full(seen.there.shape, np.nan)

    def asked(indices: np.ndarray, number: int | None = None) -> np.ndarray:
        numbers = np.full(len(indices), -1 if number is None else number)
        replaced = None if number is None else candidates.replacement(split.contexts, indices, numbers)
        batch = collate(split, indices, replaced).to(machine.device)
        with machine.autocast():
            return score(model, split, batch)

    for batch in order_by_length(split, BATCH):
        indices = batch[some[batch]]
        if not len(indices):
            continue
        original[indices] = asked(indices)
        found[indices] = np.where(seen.there[indices], original[indices][:, None], np.nan)
        for number in range(candidates.count):
            if len(others := indices[seen.other[indices, number]]):
                found[others, number] = asked(others, number)
    if not np.isfinite(original[some]).all() or not np.isfinite(found[seen.there & some[:, None]]).all():
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
