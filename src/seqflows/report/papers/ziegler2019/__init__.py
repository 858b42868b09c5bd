"""Ziegler & Rush 2019, "Latent Normalizing Flows for Discrete Sequences"."""

from __future__ import annotations

from seqflows.report.papers.base import Paper
from seqflows.report.papers.ziegler2019.claims import CLAIMS
from seqflows.report.papers.ziegler2019.deviations import CONTRADICTIONS, DEVIATIONS

PAPER = Paper(
    name="ziegler2019",
    title="Ziegler & Rush 2019",
    claims=CLAIMS,
    deviations=DEVIATIONS,
    contradictions=CONTRADICTIONS,
    convention="Against quoted numbers ours are those of the literature's convention. *Other corpus*: what is quoted "
    "for the real corpus is not set beside ours.",
)
