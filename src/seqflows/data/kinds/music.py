"""Preparation of music: piano rolls of any length, 88 keys per frame."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from seqflows.config import own
from seqflows.data.embedded import Source
from seqflows.data.kinds import shared
from seqflows.data.prepared import KEYS, SPLITS
from seqflows.data.readers import midi, polyphonic
from seqflows.errors import Problem


def prepare(block: Mapping[str, Any], raw: Path, source: Source | None, dataset: str) -> shared.Prepared:
    """Prepare the pieces of a raw folder's file; the support of p(T) is `reach`, as in the paper's code."""
    given = own.listed(block)
    if given:
        step = block.get("step")
        pieces = shared.splits(block, raw, (lambda path: midi.read(path, step)) if step else polyphonic.read_own)
    else:
        found = sorted(path for path in raw.iterdir() if path.suffix in (".mat", ".pickle"))
        if len(found) != 1:
            raise Problem(f"expected one .mat or .pickle file in {raw}, got {len(found)}; run download again")
        pieces = polyphonic.read(found[0])
    selections = {
        name: shared.Selection(pieces[name], np.array([len(piece) for piece in pieces[name]])) for name in SPLITS
    }
    keys = {"low": polyphonic.LOW, "high": polyphonic.HIGH}
    longest = shared.reach(selections, SPLITS if given else SPLITS[:2])
    made = shared.prepared(block, raw, source, dataset, selections, keys, lambda some, _: np.concatenate(some), longest)
    for name, split in made.splits.items():
        made.statistics["splits"][name] |= {
            "notes_per_step": float(split.symbols.sum(dtype=np.int64) / len(split.symbols)),
            "silent_steps": int((~split.symbols.reshape(-1, KEYS).any(axis=1)).sum()),
        }
    return made
