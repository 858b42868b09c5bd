"""The rewritten contexts that a table's runs learn from or judge: their numbers, and some beside the originals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from seqflows import paths
from seqflows.data import filtered, tokens
from seqflows.data.filtered import Augmentation
from seqflows.data.lines import JOIN
from seqflows.data.prepared import Dataset
from seqflows.params import Params

SHOWN = 3  # training questions beside whose contexts a page shows the others
MADE = ("generator", "rewritten", "kept_questions", "exceptions", "numbers", "noise")  # of a generator's header
KEPT = (  # of a filter's
    "judge", "score", "questions", "without_candidates", "candidates", "equal", "equality", "unknown", "seeds",
)  # fmt: skip


def names(matrix: Params, scale: str, table: str, runs: Sequence[str]) -> dict[str, str | None]:
    """The filtered contexts of a table's runs, each with the run that is trained with it.

    Those without such a run, which one of ``runs`` judges, are left out unless they were filtered. Contexts that the
    scale lacks are left out too: DVC has placeholders of them.
    """
    used = {name: run for run in runs if (name := matrix.runs[run].get("augmented"))}
    entries = matrix.at(scale).contexts(table, runs)
    return {name: used.get(name) for name in entries if name in used or paths.filtered(scale, name).exists()}


def told(
    matrix: Params, scale: str, dataset: Dataset, entries: Mapping[str, str | None], seed: int
) -> dict[str, Any]:  # fmt: skip
    """What comparison.json says of the ``entries`` of `names`, whose ``dataset`` has its features.

    ``contexts`` has for each the numbers of its generator and of the filter, and the ``run`` that is trained with it.
    ``originals`` are training questions drawn by ``seed`` with their contexts, and of each entry that has a candidate
    the first one with another text, with whether the first seed of the judge ``kept`` it.

    Raises `Problem` for candidates that are missing or of other data or models than the present ones.
    """
    if not entries:
        return {"contexts": [], "originals": []}
    found = {name: filtered.of(matrix, scale, name, dataset) for name in entries}
    contexts = [
        {"rewriting": name, "run": entries[name], **{part: one.candidates.header[part] for part in MADE},
         **{part: one.header[part] for part in KEPT}}
        for name, one in found.items()
    ]  # fmt: skip
    passages = dataset.train.contexts
    some = np.flatnonzero([passages.free_of(index).any() for index in range(len(passages))])
    drawn = np.sort(np.random.Generator(np.random.PCG64(seed)).permutation(some)[:SHOWN])
    return {"contexts": contexts, "originals": [_beside(dataset, int(index), found) for index in drawn]}


def _beside(dataset: Dataset, index: int, found: dict[str, Augmentation]) -> dict[str, Any]:
    """A training question with its context, and another of each entry."""
    passages, written = dataset.train.contexts, []
    original = JOIN.join(passages.gather([index]).texts[0])
    for name, one in found.items():
        seed, kept = next(iter(one.kept.items()))
        for number in range(one.candidates.count):
            replaced = one.candidates.replacement(passages, [index], [number])
            text = JOIN.join(passages.gather([index], replaced).texts[0])
            if not tokens.alike(text, original):
                written.append({"rewriting": name, "text": text, "seed": seed, "kept": bool(kept[index, number])})
                break
    answers = passages.answers_of(index)
    right = answers[int(dataset.train.symbols[index])] if dataset.kind == "choices" else answers[0]
    return {
        **{"id": str(passages.ids[index]), "question": passages.questions.texts[index], "answer": right},
        **{"context": original, "texts": written},
    }
