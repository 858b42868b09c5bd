"""Tang et al. 2021, "Continuous Language Generative Flow": the flows and their densities (tables 1 to 4)."""

from __future__ import annotations

from seqflows.report.papers.base import Paper
from seqflows.report.papers.tang2021.claims import CLAIMS
from seqflows.report.papers.tang2021.deviations import ASSUMPTIONS, CONTRADICTIONS, DEVIATIONS

PAPER = Paper(
    name="tang2021",
    title="Tang et al. 2021",
    claims=CLAIMS,
    deviations=DEVIATIONS,
    contradictions=CONTRADICTIONS,
    assumptions=ASSUMPTIONS,
    convention="Bits per dimension of word vectors with noise, eq. (6) over M log 2, at 2^6 levels; less is better.",
)
