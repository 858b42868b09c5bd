"""Preparation of vectors: points, each a sequence of one step."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from seqflows.data.embedded import Source, gaussians
from seqflows.data.kinds import shared
from seqflows.data.prepared import SPLITS
from seqflows.errors import Problem


def prepare(block: Mapping[str, Any], raw: Path, source: Source | None, dataset: str) -> shared.Prepared:
    """Prepare the arrays (N, D) of each split."""
    path = raw / gaussians.FILE
    selections = {}
    with np.load(path, allow_pickle=False) as arrays:
        for name in SPLITS:
            points = arrays[name] if name in arrays else np.zeros(0)
            if points.ndim != 2 or not len(points) or not np.isfinite(points).all():
                raise Problem(
                    f"expected finite points (N, D) as {name} in {path}, got {points.shape}; run download again"
                )
            selections[name] = shared.Selection(points.astype(np.float32), np.ones(len(points), dtype=np.int64))
    return shared.prepared(block, raw, source, dataset, selections, {}, lambda some, _: some, 1)
