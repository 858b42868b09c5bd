"""The rewritten contexts that a table's runs are also trained with: their numbers, and some beside the originals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from seqflows.data import filtered, prepared
from seqflows.data.filtered import Augmentation
from seqflows.data.lines import JOIN
from seqflows.data.prepared import Dataset
from seqflows.params import Params

SHOWN = 3  # training questions beside whose contexts a page shows the others
MADE = ("generator", "rewritten", "kept_questions", "exceptions", "numbers", "noise")  # of a generator's header
KEPT = ("judge", "score", "questions", "without_candidates", "candidates", "equal", "unknown", "seeds")  # of a filter's


def told(matrix: Params, scale: str, runs: Sequence[str], seed: int) -> dict[str, Any]:
    """What comparison.json says of the contexts of ``runs``, all of one dataset.

    ``contexts`` has for each augmented run, in order, the numbers of its generator and of the filter. ``originals`` are
    training questions drawn by ``seed`` with their contexts, and the ``texts`` of each run that has a candidate, the
    first one with another text, with whether the first seed of the judge ``kept`` it.

    Raises `Problem` for candidates that are missing or of other data or models than the present ones.
    """
    names = {run: name for run in runs if (name := matrix.runs[run].get("augmented"))}
    if not names:
        return {"contexts": [], "originals": []}
    dataset = prepared.of(matrix, scale, matrix.runs[next(iter(names))]["dataset"])
    found = {run: filtered.of(matrix, scale, name, dataset) for run, name in names.items()}
    contexts = [
        {"run": run, "rewriting": names[run], **{part: one.candidates.header[part] for part in MADE},
         **{part: one.header[part] for part in KEPT}}
        for run, one in found.items()
    ]  # fmt: skip
    passages = dataset.train.contexts
    some = np.flatnonzero([passages.free_of(index).any() for index in range(len(passages))])
    drawn = np.sort(np.random.Generator(np.random.PCG64(seed)).permutation(some)[:SHOWN])
    return {"contexts": contexts, "originals": [_beside(dataset, int(index), found) for index in drawn]}


def _beside(dataset: Dataset, index: int, found: dict[str, Augmentation]) -> dict[str, Any]:
    """A training question with its context, and another of each run."""
    passages, written = dataset.train.contexts, []
    original = JOIN.join(passages.gather([index]).texts[0])
    for run, one in found.items():
        seed, kept = next(iter(one.kept.items()))
        for number in range(one.candidates.count):
            replaced = one.candidates.replacement(passages, [index], [number])
            text = JOIN.join(passages.gather([index], replaced).texts[0])
            if text != original:
                written.append({"run": run, "text": text, "seed": seed, "kept": bool(kept[index, number])})
                break
    answers = passages.answers_of(index)
    right = answers[int(dataset.train.symbols[index])] if dataset.kind == "choices" else answers[0]
    return {
        **{"id": str(passages.ids[index]), "question": passages.questions.texts[index], "answer": right},
        **{"context": original, "texts": written},
    }
