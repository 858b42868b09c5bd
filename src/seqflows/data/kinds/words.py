"""Preparation of words: types with counts, split by tokens or by types; single tokens for validation."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from seqflows.config import corpora
from seqflows.data.embedded import Source
from seqflows.data.kinds.shared import Prepared
from seqflows.data.prepared import SPLITS, Split
from seqflows.data.readers import lexicon
from seqflows.errors import Problem


def prepare(block: Mapping[str, Any], raw: Path, source: Source | None, dataset: str) -> Prepared:
    """Prepare the words of a raw folder's file counts.*."""
    filled = corpora.block(block)
    options = {key: getattr(filled, key) for key in corpora.Words.entries() if key != "source"}
    found = sorted(path for path in raw.iterdir() if path.name.startswith("counts."))
    if len(found) != 1:
        raise Problem(f"expected one file counts.* in {raw}, got {len(found)}; run download again")
    read = lexicon.read(found[0], strict=found[0].suffix != ".csv")
    kept = lexicon.filtered(read, (options["shortest"], options["longest"]), options["min_count"], str(found[0]))
    rarer = _rarer(read, kept, options, str(found[0]))
    rng = np.random.default_rng([options["seed"], 2])
    if options["sample_tokens"] is not None:
        kept = kept._replace(counts=lexicon.thinned(rng, kept.counts, options["sample_tokens"], "sample_tokens"))
    divide = lexicon.split_types if options["split"] == "types" else lexicon.split_tokens
    halves = divide(rng, kept.counts, options["test_share"], options["valid_tokens"])
    splits, statistics = {}, {}
    for name in SPLITS:
        places = np.flatnonzero(halves[name])
        if not len(places):
            raise Problem(
                f"expected tokens in the {name} split of {dataset}, got none; change test_share or valid_tokens"
            )
        counts = halves[name][places]
        statistics[name] = {
            "types": len(places),
            "tokens": int(counts.sum()),
            "entropy": lexicon.entropy(counts),
            "unseen_types": int((halves["train"][places] == 0).sum()),
            "unseen_tokens": int(counts[halves["train"][places] == 0].sum()),
            "mean_length": float(counts @ [len(kept.words[n]) + 1 for n in places] / counts.sum()),
        }
        if name == "valid":
            places, counts = np.repeat(places, counts), None
        chosen = [kept.words[n] for n in places]
        symbols, lengths = lexicon.encode(chosen)
        splits[name] = Split("words", lengths, symbols, source.log_probs(chosen) if source else None, counts)
    content = {
        **{"max_length": options["longest"] + 1, "options": options, "splits": statistics},
        **{"types": len(kept.words), "tokens": int(kept.counts.sum())},
        **({"rarer_types": len(rarer)} if rarer else {}),
        "entropy": lexicon.entropy(kept.counts),
    }
    return Prepared(lexicon.VOCABULARY, splits, content, rarer=rarer)


def _rarer(read: lexicon.Counts, kept: lexicon.Counts, options: Mapping[str, Any], where: str) -> list[str]:
    """The words that pass the filter at ``wide_count`` but not at ``min_count``: in a wider V, in no split."""
    wide = options["wide_count"]
    if wide is None:
        return []
    wider = lexicon.filtered(read, (options["shortest"], options["longest"]), wide, where)
    return wider.words[len(kept.words) :]
