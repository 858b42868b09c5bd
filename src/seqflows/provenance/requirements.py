"""The audit of a scale as a tree of requirements, in the form of PaperBench's graded rubrics (Starace et al., 2025).

The root's children are the papers, theirs the claims and the tables, and the leaves the rows of claims.csv, without
checks of ours, and audit.csv. A leaf weighs 1, or 0 if it is not to be reproduced, and its siblings weigh alike.
PaperBench's score of a node is the weighted mean of its children's, with 0 for what is not graded. Here the weight of a
node is divided into `SHARES`, so that what was not run is told from what failed:

    share_s(node) = sum_c w_c share_s(c) / sum_c w_c,   score(node) = share_met / (share_met + share_failed)

A score is null and `valid_score` false without a decided leaf; the share that is met is PaperBench's score.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

from seqflows import files, paths
from seqflows.errors import Problem
from seqflows.params import Params
from seqflows.report import judging, verdict
from seqflows.report.audit import COLUMNS, OPEN, UNREACHABLE, UNRESOLVED
from seqflows.report.cells import OURS
from seqflows.report.inputs import read_csv
from seqflows.report.papers.base import papers

ANALYSIS = "Result Analysis"  # PaperBench's categories of a leaf
CELL, CLAIM = "Evaluation, Metrics & Benchmarking", "Logging, Analysis & Presentation"
MET, FAILED, UNDECIDED, NOT_RUN, NONE = "met", "not met", "undecided", "not run", "not to be reproduced"
SHARES = (MET, FAILED, UNDECIDED, NOT_RUN)
STATES = {  # verdict of a claim on our numbers, or of a cell -> state
    judging.HOLDS: MET, judging.FAILS: FAILED, judging.UNDECIDED: UNDECIDED, judging.NOT_PRINTED: UNDECIDED,
    judging.NOT_RUN: NOT_RUN, judging.OTHER_CORPUS: UNDECIDED, judging.STAND_IN: UNDECIDED,
    "reproduced": MET, "within": MET, "differs": FAILED, "outside": FAILED, UNRESOLVED: UNDECIDED, OPEN: UNDECIDED,
    UNREACHABLE: UNDECIDED, "quoted": NONE, "human": NONE,
}  # fmt: skip
SCORES = {MET: 1.0, FAILED: 0.0}
DIGITS = 6  # of shares and scores as written
Node = dict[str, Any]


class Audit(NamedTuple):
    """The rows of audit.csv and of claims.csv, as text."""

    cells: list[dict[str, str]]
    claims: list[dict[str, str]]


def audit(scale: str) -> Audit:
    """Read the audit of a scale.

    Raises:
        Problem: a file is missing, or has other columns.
    """
    csv_path, _, claims_path, _ = paths.audit(scale)
    return Audit(_rows(csv_path, COLUMNS, scale), _rows(claims_path, verdict.COLUMNS, scale))


def _rows(path: Path, columns: Sequence[str], scale: str) -> list[dict[str, str]]:
    rows = read_csv(path)
    again = f"run: python -m seqflows audit {scale}/all"
    if not rows:
        raise Problem(f"expected the rows of {path}, found none; {again}")
    if tuple(rows[0]) != columns:
        raise Problem(f"expected the columns {', '.join(columns)} in {path}, got {', '.join(rows[0])}; {again}")
    return rows


def path(scale: str) -> Path:
    """The file of the tree."""
    return paths.results(scale) / "requirements.json"


def write(found: Params, scale: str) -> Path:
    """Write the tree of a scale; return its file."""
    files.write_json(path(scale), tree(audit(scale), found.tables, scale))
    return path(scale)


def tree(rows: Audit, tables: Mapping[str, Any], scale: str) -> Node:
    """The tree; ``tables`` are the blocks of params.yaml, which have the titles."""
    branches, printed = [], [row for row in rows.cells if row["status"] != OURS]  # ours are no requirements
    for name, paper in papers().items():
        claims = [_claim(row) for row in rows.claims if row["paper"] == name and row["kind"] == "claim"]
        shown = [
            _branch((name, "tables", table), f"The numbers of {title} are reproduced", cells)
            for table in paper.tables
            if (title := tables.get(table, {}).get("title", table))
            and (cells := [_cell(name, row, title) for row in printed if row["table"] == table])
        ]
        groups = {
            "claims": (f"The claims of {paper.title} hold on our numbers", claims),
            "tables": (f"The tables of {paper.title} are reproduced", shown),
        }
        parts = [_branch((name, group), text, nodes) for group, (text, nodes) in groups.items() if nodes]
        branches += [_branch((name,), f"{paper.title} is reproduced", parts)] if parts else []
    return _rounded(_branch((), f"The papers are reproduced at scale {scale}", branches))


def _rounded(node: Node) -> Node:
    """A tree with its exact shares and scores as decimals."""
    if not node["sub_tasks"]:
        return node
    metadata = node["judge_metadata"]
    shares = {name: round(float(share), DIGITS) for name, share in metadata["shares"].items()}
    score = node["score"]
    return node | {
        "sub_tasks": [_rounded(child) for child in node["sub_tasks"]],
        "score": None if score is None else round(float(score), DIGITS),
        "judge_metadata": metadata | {"shares": shares},
    }


def leaves(node: Node) -> list[Node]:
    """The leaves of a tree, in its order."""
    return [leaf for child in node["sub_tasks"] for leaf in leaves(child)] if node["sub_tasks"] else [node]


def identifier(*place: str) -> str:
    """The id of a requirement: the UUID (version 5) of its place in the tree, which is the same at every scale."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, "/".join(("seqflows", *place))))


def _claim(row: Mapping[str, str]) -> Node:
    place = (row["paper"], "claims", row["claim"])
    text = f"{row['claim']}: “{row['says']}” (section {row['section']}); read as: {row['read']}"
    more = {"printed": row["printed"], "runs": row["runs"].split()}
    return _leaf(place, text, CLAIM, row["ours"], row["ours_numbers"], more)


def _cell(paper: str, row: Mapping[str, str], title: str) -> Node:
    place = (paper, "tables", row["table"], row["row"], row["column"])
    text = f"{title}: {row['row']}, {row['column']} is {row['reported']} {row['unit']}".rstrip()
    numbers = {name: float(row[name]) for name in ("reproduced", "difference", "tolerance") if row[name]}
    said = {name: row[name] for name in ("cause", "measured") if row[name]}
    return _leaf(place, text, CELL, row["verdict"], row["reason"], numbers | said)


def _leaf(place: Sequence[str], text: str, category: str, said: str, why: str, more: Mapping[str, Any]) -> Node:
    """A graded leaf; ``more`` goes into its metadata."""
    if said not in STATES:
        raise Problem(f"expected a verdict of {', '.join(STATES)} for {'/'.join(place)}, got {said!r}; audit it again")
    state = STATES[said]
    return {
        "id": identifier(*place), "requirements": text, "weight": int(state != NONE), "sub_tasks": [],
        "task_category": ANALYSIS, "finegrained_task_category": category,
        "score": SCORES.get(state), "valid_score": state in SCORES,
        "explanation": f"{said}: {why}" if why else said, "judge_metadata": {"state": state, "verdict": said, **more},
    }  # fmt: skip


def _branch(place: Sequence[str], text: str, children: Sequence[Node]) -> Node:
    """A node with the shares of its children; it weighs nothing if none of them does."""
    weight = sum(child["weight"] for child in children)
    shares = {
        share: sum((child["weight"] * _share(child, share) for child in children), Fraction()) / (weight or 1)
        for share in SHARES
    }
    decided = shares[MET] + shares[FAILED]
    counts = {share: sum(_count(child, share) for child in children) for share in (*SHARES, NONE)}
    return {
        "id": identifier(*place), "requirements": text, "weight": int(weight > 0), "sub_tasks": list(children),
        "task_category": None, "finegrained_task_category": None,
        "score": shares[MET] / decided if decided else None, "valid_score": decided > 0,
        "explanation": ", ".join(f"{count} {share}" for share, count in counts.items() if count),
        "judge_metadata": {"shares": shares, "leaves": counts},
    }  # fmt: skip


def _share(node: Node, share: str) -> Fraction:
    metadata = node["judge_metadata"]
    return metadata["shares"][share] if node["sub_tasks"] else Fraction(metadata["state"] == share)


def _count(node: Node, share: str) -> int:
    metadata = node["judge_metadata"]
    return metadata["leaves"][share] if node["sub_tasks"] else int(metadata["state"] == share)
