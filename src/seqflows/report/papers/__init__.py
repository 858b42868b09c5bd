"""The papers that the audit covers, by the name that params.yaml gives them in ``reproduces``."""

from __future__ import annotations

from seqflows.report.papers import schmidt2018, tang2021, ziegler2019
from seqflows.report.papers.base import Paper

PAPERS: dict[str, Paper] = {paper.name: paper for paper in (ziegler2019.PAPER, schmidt2018.PAPER, tang2021.PAPER)}
