"""The tree of requirements: its leaves are the audit's rows, its scores those of PaperBench, its file is up to date."""

import collections
import csv
from pathlib import Path

import pytest

from seqflows import files, params, paths
from seqflows.errors import Problem
from seqflows.provenance import requirements
from seqflows.report import audit, verdict

ROOT = Path(__file__).parents[2]
KEPT = ("laptop", "paper")  # scales whose results are in git
CATEGORIES = {requirements.CELL, requirements.CLAIM}


def rows(path):
    with open(ROOT / path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def made(scale, monkeypatch):
    monkeypatch.chdir(ROOT)
    return requirements.tree(requirements.audit(scale), params.load().tables, scale)


def claim(name, ours, paper="ziegler2019"):
    row = {"paper": paper, "claim": name, "kind": "claim", "ours": ours, "printed": "holds"}
    return dict.fromkeys(verdict.COLUMNS, "") | row


def cell(table, row, said, **more):
    return dict.fromkeys(audit.COLUMNS, "") | {"table": table, "row": row, "column": "NLL", "verdict": said} | more


def nodes(node):
    return [node, *(one for child in node["sub_tasks"] for one in nodes(child))]


@pytest.mark.parametrize("scale", KEPT)
def test_the_file_in_git_is_that_of_the_audit_beside_it(monkeypatch, scale):
    tree = made(scale, monkeypatch)
    assert files.read_json(requirements.path(scale)) == tree, f"out of date: run `make provenance` ({scale})"


@pytest.mark.parametrize("scale", KEPT)
def test_the_leaves_are_the_rows_of_audit_and_claims(monkeypatch, scale):
    tree = made(scale, monkeypatch)
    cells, claims = rows(paths.audit(scale)[0]), [row for row in rows(paths.audit(scale)[2]) if row["kind"] == "claim"]
    assert len(claims) < len(rows(paths.audit(scale)[2]))  # a check of ours is no requirement
    wanted = {requirements.identifier(row["paper"], "claims", row["claim"]): row["ours"] for row in claims}
    cells = [row for row in cells if row["status"] != "ours"]  # what the paper does not have is no requirement
    for row in cells:
        place = (row["table"].partition("-")[0], "tables", row["table"], row["row"], row["column"])
        wanted[requirements.identifier(*place)] = row["verdict"]
    leaves = requirements.leaves(tree)
    assert len(leaves) == len(wanted) == len(cells) + len(claims)
    assert {leaf["id"]: leaf["judge_metadata"]["verdict"] for leaf in leaves} == wanted
    found = [leaf["judge_metadata"]["reproduced"] for leaf in leaves if "reproduced" in leaf["judge_metadata"]]
    assert collections.Counter(found) == collections.Counter(
        float(row["reproduced"]) for row in cells if row["reproduced"]
    )


@pytest.mark.parametrize("scale", KEPT)
def test_the_form_is_that_of_a_rubric(monkeypatch, scale):
    tree = made(scale, monkeypatch)
    every = nodes(tree)
    assert len({node["id"] for node in every}) == len(every)
    for node in every:
        assert node["requirements"] and node["weight"] in (0, 1)
        assert node["valid_score"] == (node["score"] is not None)
        if node["sub_tasks"]:
            assert node["task_category"] is node["finegrained_task_category"] is None
            shares = node["judge_metadata"]["shares"]
            assert sum(shares.values()) == pytest.approx(node["weight"], abs=1e-5)
        else:
            assert node["task_category"] == "Result Analysis" and node["finegrained_task_category"] in CATEGORIES
            assert node["score"] in (0.0, 1.0, None)


def test_a_requirement_has_one_id_at_every_scale(monkeypatch):
    laptop, paper = (made(scale, monkeypatch) for scale in KEPT)
    assert [node["id"] for node in nodes(laptop)] == [node["id"] for node in nodes(paper)]


def test_shares_and_scores_roll_up_as_by_hand():
    found = requirements.Audit(
        cells=[
            cell("ziegler2019-table1", "a", "reproduced"), cell("ziegler2019-table1", "b", "outside"),
            cell("ziegler2019-table1", "c", "quoted"), cell("ziegler2019-table2", "a", "within but undecided"),
            cell("tang2021-table4", "a", "human"),
        ],
        claims=[claim("one", "holds"), claim("two", "not run")],
    )  # fmt: skip
    tree = requirements.tree(found, {"ziegler2019-table1": {"title": "Characters"}}, "laptop")
    tang, ziegler = tree["sub_tasks"]
    claims, tables = ziegler["sub_tasks"]
    first, second = tables["sub_tasks"]

    def shares(node):
        return tuple(node["judge_metadata"]["shares"].values())  # met, not met, undecided, not run

    assert shares(claims) == (0.5, 0, 0, 0.5) and claims["score"] == 1.0
    assert shares(first) == (0.5, 0.5, 0, 0) and first["score"] == 0.5  # what is quoted weighs nothing
    assert shares(second) == (0, 0, 1, 0) and second["score"] is None and second["valid_score"] is False
    assert shares(tables) == (0.25, 0.25, 0.5, 0)
    assert shares(ziegler) == (0.375, 0.125, 0.25, 0.25) and ziegler["score"] == 0.75
    assert tang["weight"] == 0 and shares(tang) == (0, 0, 0, 0) and tang["score"] is None
    assert shares(tree) == shares(ziegler) and tree["score"] == 0.75  # a paper without weight does not count
    assert tree["explanation"] == "2 met, 1 not met, 1 undecided, 1 not run, 2 not to be reproduced"
    assert first["requirements"] == "The numbers of Characters are reproduced"
    assert [leaf["score"] for leaf in first["sub_tasks"]] == [1.0, 0.0, None]


def test_every_verdict_of_the_audit_has_a_state():
    printed = set(audit.VERDICTS) - {"ours"}
    assert printed | set(verdict.ANSWERS) | set(verdict.NO_ANSWERS) == set(requirements.STATES)


def test_another_verdict_is_refused():
    found = requirements.Audit(cells=[cell("ziegler2019-table1", "a", "perhaps")], claims=[claim("one", "holds")])
    with pytest.raises(Problem, match="expected a verdict of holds, .* for ziegler2019/tables/.*, got 'perhaps'"):
        requirements.tree(found, {}, "laptop")


def test_a_missing_or_another_audit_is_refused(place):
    with pytest.raises(Problem, match=r"rows of results/demo/audit.csv, found none; run: .* audit demo/all"):
        requirements.audit("demo")
    files.write_text(paths.audit("demo")[0], "table,row\na,b\n")
    with pytest.raises(Problem, match=r"expected the columns table, row, column, .* got table, row"):
        requirements.audit("demo")
