"""Schmidt & Hofmann 2018, "Deep State Space Models for Unconditional Word Generation"; no code was released."""

from __future__ import annotations

from seqflows.report.papers.base import Paper
from seqflows.report.papers.schmidt2018.assumptions import ASSUMPTIONS
from seqflows.report.papers.schmidt2018.claims import CLAIMS
from seqflows.report.papers.schmidt2018.deviations import CONTRADICTIONS, DEVIATIONS

PAPER = Paper(
    name="schmidt2018",
    title="Schmidt & Hofmann 2018",
    claims=CLAIMS,
    deviations=DEVIATIONS,
    contradictions=CONTRADICTIONS,
    assumptions=ASSUMPTIONS,
    convention="A cross entropy has the error over independent sets of trajectories, where its K has but one set that "
    "of the largest K with several; the baseline's is exact but for the seeds. *Other corpus*: what is printed for the "
    "real corpus is not set beside ours.",
)
