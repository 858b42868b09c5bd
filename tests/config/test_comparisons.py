"""Comparisons in params.yaml: what is refused, what a scale has of them, and which one a run's scores are from."""

from __future__ import annotations

import copy

import pytest

from conftest import ROOT
from seqflows import params, paths
from seqflows.errors import Problem

TABLE, OTHER = "tang2021-table6", "tang2021-table5"


@pytest.fixture(scope="module")
def content():
    return params.read(ROOT / "params.yaml")


@pytest.fixture(scope="module")
def matrix():
    return params.load(ROOT / "params.yaml")


PAIR = ["squad-qg-lang_flow", "squad-qg"]
BROKEN = [
    (lambda c: c.update({"tang2021-table70": {}}), "tang2021-table70: expected the name of a table, got 'tang2021"),
    (lambda c: c.update({"tang2021-table1": {}}), "tang2021-table1: expected a table of runs, got one without"),
    (lambda c: c.update({"ziegler2019-table2": {}}), "a table of runs that write texts, got ptb-af_af on text"),
    (lambda c: c[TABLE].update(humans={}), "table6.humans: expected one of the keys human, demo, .*; nearest: human"),
    (lambda c: c[TABLE].update(human=[PAIR]), "table6.human: expected two runs by the name of their sheet, got"),
    (lambda c: c[TABLE]["human"].update({"Eval 3": PAIR}), "human.Eval 3: expected a sheet's name of lower-case"),
    (lambda c: c[TABLE]["human"].update(x=PAIR[:1]), r"human.x: expected two runs, got \['squad-qg-lang_flow'\]"),
    (lambda c: c[TABLE]["human"].update(x=PAIR[:1] * 2), "human.x: expected two runs, got"),
    (lambda c: c[TABLE]["human"].update(x=[PAIR[0], "squad-gq"]), "run of the table, got 'squad-gq'; nearest: squad"),
    (lambda c: c[TABLE]["human"].update(x=[PAIR[0], "tvqa-qg"]), "human.x: expected the name of a run of the table"),
    (lambda c: c[TABLE]["demo"].update(draws=10), "table6.demo.draws: expected a whole number of at least 100, got 10"),
    (lambda c: c[TABLE]["demo"].update(judgd=10), "table6.demo.judgd: expected one of the keys .*; nearest: judged"),
    (lambda c: c[TABLE]["laptop"].update(examples=-1), "laptop.examples: expected a whole number of at least 0"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "message"), BROKEN)
def test_a_mistake_is_one_line(content, change, message):
    changed = copy.deepcopy(content)
    change(changed["comparisons"])
    with pytest.raises(Problem, match=message) as raised:
        params.parse(changed)
    assert str(raised.value).splitlines()[0] == "1 error in params.yaml" or "ziegler" in str(raised.value)
    assert "comparisons." in str(raised.value)


def test_the_name_of_a_sheet_is_of_one_comparison(content):
    """Since what comes back is put beside that of the others."""
    changed = copy.deepcopy(content)
    changed["comparisons"][TABLE]["human"]["human-eval-1"] = PAIR
    with pytest.raises(Problem, match="human-eval-1: expected a name of its own, got that of a sheet of tang2021-"):
        params.parse(changed)


def test_every_scale_has_those_whose_runs_it_has(content):
    changed = copy.deepcopy(content)
    for name in changed["runs"]:
        if name.startswith("tvqa-qg"):
            del changed["runs"][name]["laptop"]
    del changed["runs"]["squad-qg-flowseq"]["laptop"]
    matrix = params.parse(changed)
    translations = {"tang2021-table7", "tang2021-mt-variants", "tang2021-table8", "tang2021-table9"}  # and answers
    translations |= {"tang2021-tvqa-filter", "tang2021-squad-filter"}
    assert (
        set(matrix.at("demo").comparisons)
        == {OTHER, TABLE, "tang2021-qg-variants", "tang2021-tvqa-output"} | translations
    )
    assert set(matrix.at("laptop").comparisons) == {TABLE, "tang2021-qg-variants"} | translations
    found = matrix.at("laptop").comparison("laptop", TABLE)
    assert (
        set(found["human"]) == {"human-eval-3"} and "squad-qg-flowseq" not in found["runs"] and len(found["runs"]) == 8
    )


def test_the_scores_of_a_run_are_from_the_first_comparison_with_it(matrix):
    assert matrix.compared("squad-qg") == TABLE and matrix.compared("squad-qg-sgd") == "tang2021-qg-variants"
    assert matrix.compared("tvqa-qg-words") == OTHER and matrix.compared("ptb-lstm") is None


def test_laptop_and_paper_have_the_papers_numbers_of_draws_and_pairs(matrix):
    from seqflows.config.comparisons import Comparison

    for scale in paths.SCALES:
        for name in matrix.comparisons:
            block = Comparison.of(matrix.comparison(scale, name)["settings"], name)
            assert block.draws == (1000 if scale == "demo" else 10_000) and block.examples == 10
            assert block.judged == (20 if scale == "demo" and matrix.comparisons[name].get("human") else 200)
    with pytest.raises(Problem, match="expected the name of a comparison in params.yaml, got 'table6'"):
        matrix.comparison("demo", "table6")
