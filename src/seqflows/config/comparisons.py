"""The block of a comparison of the systems of a table."""

from __future__ import annotations

from dataclasses import dataclass

from seqflows.config.typed import Block, entry, whole


@dataclass(frozen=True, kw_only=True)
class Comparison(Block):
    """Draws of the paired bootstrap, pairs that each sheet for raters has, and questions that the table shows."""

    draws: int = entry(whole(100), 10_000)
    judged: int = entry(whole(1), 200)
    examples: int = entry(whole(0), 10)
