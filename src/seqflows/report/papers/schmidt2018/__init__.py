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
    convention="A number of words has the error of its own draws (words and samples, generated words), or with several "
    "seeds that over seeds, or with one seed the spread over seeds of the rows that have several; the baseline's cross "
    "entropy is exact but for the seeds. Runs of different schedules of the rate, and cross entropies of different "
    "estimators, are not comparable: *undecided*. *Other corpus*: what is printed for the real corpus is not set "
    "beside ours.",
)
