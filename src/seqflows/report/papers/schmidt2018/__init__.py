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
    convention="A number of words has the error of its own draws (trajectories, generated words), or with several "
    "seeds that over seeds; the baseline's cross entropy is exact but for the seeds. *Other corpus*: what is printed "
    "for the real corpus is not set beside ours.",
)
