"""The blocks of rewritten lines: what each generator needs, and one line for each mistake."""

from __future__ import annotations

import copy

import pytest

from conftest import ROOT
from seqflows import params
from seqflows.config.entries import merged
from seqflows.config.rewrites import GENERATORS
from seqflows.errors import Problem
from seqflows.paths import SCALES


@pytest.fixture(scope="module")
def content():
    return params.read(ROOT / "params.yaml")


def test_every_entry_is_read_as_its_stage_reads_it():
    matrix, found = params.load(ROOT / "params.yaml"), set()
    for scale in SCALES:
        for name in matrix.at(scale).rewrites:
            block = matrix.rewriting(scale, name)
            settings = GENERATORS[block["generator"]].block.of(block["settings"], name)
            found.add(block["generator"])
            assert settings.count == {"demo": 2, "laptop": 4, "paper": 10}[scale]
            assert len(block["runs"]) == GENERATORS[block["generator"]].runs
            assert matrix.encoder(scale, name) == matrix.encoder(scale, block["dataset"])
            assert (name in matrix.at(scale).encoded) == (block["dataset"] in matrix.features)
            judge = {"squad_answers": "squad-qa", "tvqa_answers": "tvqa-qa"}[block["dataset"]]
            assert matrix.filtering(name) == (name, (judge,))
            assert matrix.filter(scale, name) == {"judge": judge, "seeds": matrix.run(scale, judge)["seeds"]}
    assert found == set(GENERATORS)


FLOW, RANDOM, NEAR = "squad-language_flow", "squad-random_words", "squad-neighbours"
MISTAKES = [
    (FLOW, {"generator": "flows"}, "generator: expected one of flow, .*, got 'flows'; nearest: flow"),
    (FLOW, {"dataset": "squad"}, "dataset: expected a dataset of lines, got squad of kind language"),
    (FLOW, {"runs": []}, r"runs: expected 1 runs with generator: flow, got \[\]"),
    (FLOW, {"runs": ["squad-flo"]}, "runs: expected the name of a run, got 'squad-flo'; nearest: squad-flow"),
    (FLOW, {"like": RANDOM}, "like: expected none with generator: flow, got 'squad-random_words'"),
    (FLOW, {"demo": {"noise": "printed"}}, "demo.noise: expected one of tuned, or a finite number of at least 0"),
    (FLOW, {"demo": {"count": 0}}, "demo.count: expected a whole number of at least 1, got 0"),
    (FLOW, {"demo": {"cosine": 0.5}}, "demo.cosine: expected one of the keys"),
    (RANDOM, {"like": "other"}, "like: expected the name of a rewriting, got 'other'"),
    (RANDOM, {"demo": {"count": 3, "measured": 20}}, f"demo.count: expected 2, as {FLOW} has, got 3"),
    (NEAR, {"words": "paraphrases"}, "words: expected a dataset of language, .*, got paraphrases of kind pairs"),
    ("squad-paraphrasing", {"paper": {"model": "a/b"}}, "paper.revision: expected a commit of the hub"),
]


@pytest.mark.parametrize(("name", "change", "message"), MISTAKES)
def test_a_mistake_is_a_line_with_its_place(content, name, change, message):
    changed = copy.deepcopy(content)
    changed["rewrites"][name] |= change
    with pytest.raises(Problem, match=f"rewrites.{name}.{message}"):
        params.parse(changed)


AUGMENTED = "squad-qa-same"
OTHERS = [
    (AUGMENTED, {"augmented": "squad-sam"}, "augmented: .* a rewriting, got 'squad-sam'; nearest: squad-same"),
    (
        AUGMENTED,
        {"dataset": "tvqa_answers"},
        "augmented: expected contexts of tvqa_answers, got those of squad_answers",
    ),
    (
        AUGMENTED,
        {"laptop": {"seeds": [7]}},
        r"laptop.seeds: expected seeds of squad-qa, which judges, got \[7\] beside",
    ),
    (
        AUGMENTED,
        {"demo": {"training": {"replace": None}}},
        "demo.training.replace: expected a share with augmented, got",
    ),
    (AUGMENTED, {"demo": {"training": {"replace": 1.5}}}, "demo.training.replace: expected a finite number"),
    (
        AUGMENTED,
        {"demo": {"training": {"epochs": 9}}},
        "demo.training.epochs: expected 8, as squad-qa has, for equal st",
    ),
    (AUGMENTED, {"demo": {"training": {"patience": 2}}}, "demo.training.patience: expected none, as squad-qa has, for"),
    (AUGMENTED, {"demo": {"training": {"patience": 2}}}, "demo.training.patience: expected none with augmented, got 2"),
    (
        "squad-qa",
        {"demo": {"training": {"replace": 0.5}}},
        "demo.training.replace: expected none without augmented, got",
    ),
]


@pytest.mark.parametrize(("name", "change", "message"), OTHERS)
def test_a_run_that_does_not_fit_its_contexts_is_a_line_with_its_place(content, name, change, message):
    changed = copy.deepcopy(content)
    changed["runs"][name] = merged(changed["runs"][name], change)
    with pytest.raises(Problem, match=f"runs.{name}.{message}"):
        params.parse(changed)


JUDGES = [
    ({"judge": "squad-q"}, "expected the name of a run, got 'squad-q'"),
    ({"judge": "tvqa-qa"}, "expected a run on squad_answers, got tvqa-qa on 'tvqa_answers'"),
    ({"judge": "squad-qa-same"}, "expected a run on the original contexts, got squad-qa-same, which has others"),
]


@pytest.mark.parametrize(("change", "message"), JUDGES)
def test_a_judge_is_a_run_on_the_original_contexts(content, change, message):
    changed = copy.deepcopy(content)
    changed["rewrites"][FLOW] |= change
    with pytest.raises(Problem, match=f"rewrites.{FLOW}.judge: {message}"):
        params.parse(changed)


def test_a_judge_of_all_questions_is_trained_on_all(content):
    changed = copy.deepcopy(content)
    changed["rewrites"][FLOW]["judge"] = "squad-qa-half1"
    wanted = f"rewrites.{FLOW}.judge: expected a run on all training questions, got squad-qa-half1, on half 1 at scale"
    with pytest.raises(Problem, match=wanted):
        params.parse(changed)


CROSSED, HALVES = f"{FLOW}-crossfit", ["squad-qa-half0", "squad-qa-half1"]
CROSSWISE = [
    ({"contexts": "squad-lang"}, "contexts: expected the name of a rewriting, got 'squad-lang'"),
    ({"judge": "squad-qa"}, "judge: expected one of the keys contexts, judges, got 'judge'"),
    ({"judges": HALVES[:1]}, r"judges: expected two runs, one on each half of the questions, got \['squad-qa-half0'\]"),
    ({"judges": "squad-qa"}, "judges: expected two runs, one on each half of the questions, got 'squad-qa'"),
    ({"judges": [HALVES[0], "squad-qa-half2"]}, "judges: expected the name of a run, got 'squad-qa-half2'; nearest"),
    ({"judges": [HALVES[0]] * 2}, "judges: expected runs on half 0 and half 1 .* demo, got half 0 and half 0; set"),
    (
        {"judges": [HALVES[1], "squad-qa"]},
        "judges: expected runs on half 0 and half 1 .* paper, got half 1 and all; set",
    ),
    (
        {"judges": ["tvqa-qa-half0", HALVES[1]]},
        "judges: expected a run on squad_answers, got tvqa-qa-half0 on 'tvqa_an",
    ),
    ({"judges": [HALVES[0], "squad-qa-same"]}, "judges: expected a run on the original contexts, got squad-qa-same"),
]


@pytest.mark.parametrize(("change", "message"), CROSSWISE)
def test_two_judges_are_runs_on_the_two_halves_of_the_same_questions(content, change, message):
    changed = copy.deepcopy(content)
    changed["crossfits"][CROSSED] |= change
    with pytest.raises(Problem, match=f"crossfits.{CROSSED}.{message}"):
        params.parse(changed)


@pytest.mark.parametrize(
    ("change", "part"),
    [({"training": {"learning_rate": 0.5}}, "training"), ({"model": {"width": 8}}, "model"), ({"seeds": [3]}, "seeds")],
)
def test_two_judges_differ_in_the_half_alone(content, change, part):
    changed = copy.deepcopy(content)
    changed["runs"][HALVES[1]]["demo"] = merged(changed["runs"][HALVES[1]]["demo"], change)
    wanted = f"crossfits.{CROSSED}.judges: expected runs that differ at scale demo in training.half alone, got another "
    with pytest.raises(Problem, match=f"{wanted}{part} of {HALVES[1]} than of {HALVES[0]}; "):
        params.parse(changed)


def test_a_crossfit_has_another_name_than_the_filter_of_its_contexts(content):
    changed = copy.deepcopy(content)
    changed["crossfits"][FLOW] = changed["crossfits"][CROSSED]
    with pytest.raises(Problem, match=f"crossfits.{FLOW}: expected another name than those of rewrites"):
        params.parse(changed)


HALF = [
    ("ptb-lstm", 0, "demo.training.half: expected none for text, whose sequences have no contexts, got 0"),
    ("squad-qa-same", 1, "demo.training.half: expected none with augmented, for equal steps, got 1"),
    ("squad-qa", 2, "demo.training.half: expected a whole number of at least 0 and at most 1, got 2"),
]


@pytest.mark.parametrize(("name", "half", "message"), HALF)
def test_a_half_is_of_questions_with_their_own_contexts(content, name, half, message):
    changed = copy.deepcopy(content)
    changed["runs"][name]["demo"]["training"] |= {"half": half}
    with pytest.raises(Problem, match=f"runs.{name}.{message}"):
        params.parse(changed)


@pytest.mark.parametrize("data", ["squad", "tvqa"])
@pytest.mark.parametrize("scale", SCALES)
def test_a_run_of_crossed_judges_takes_the_steps_of_the_one_that_it_stands_beside(content, scale, data):
    """Half of the questions is all in which the judges differ from the baseline, and the contexts in which the run."""
    matrix = params.parse(content)
    names = [f"{data}-qa{end}" for end in ("", "-half0", "-half1", "-language_flow", "-language_flow-crossfit")]
    own, *halves, other, crossed = (matrix.run(scale, name) for name in names)
    for number, half in enumerate(halves):
        assert half | {"training": own["training"]} == own
        assert half["training"] == own["training"] | {"half": number}
    assert crossed == other | {"augmented": f"{data}-language_flow-crossfit"} and "half" not in crossed["training"]
    assert matrix.filtering(crossed["augmented"]) == (f"{data}-language_flow", tuple(names[1:3]))
    wanted = {"contexts": f"{data}-language_flow", "judge": names[1:3], "seeds": own["seeds"]}
    assert matrix.filter(scale, crossed["augmented"]) == wanted


def test_contexts_that_no_row_has_stand_where_the_scores_of_their_judge_are_from(content):
    matrix = params.parse(content)
    fewer = ["squad-language_flow_plus", "squad-language_flow_plus-half_lines"]
    for data, table, others in (("squad", "tang2021-table9", fewer), ("tvqa", "tang2021-table8", [])):
        beside = f"tang2021-{data}-filter"
        found = {name: matrix.contexts(name, matrix.table_runs(name)) for name in (table, beside)}
        assert found[beside] == [f"{data}-language_flow", f"{data}-language_flow-crossfit", *others]
        assert set(found[table]) == {name for name in matrix.rewrites if name.startswith(data)}


def test_a_run_has_contexts_that_are_judged(content):
    changed = copy.deepcopy(content)
    del changed["rewrites"]["squad-same"]["judge"]
    with pytest.raises(Problem, match="squad-qa-same.augmented: expected contexts that a run judges, got squad-same"):
        params.parse(changed)


def test_an_entry_has_another_name_than_its_dataset(content):
    changed = copy.deepcopy(content)
    changed["rewrites"]["ptb"] = changed["rewrites"]["squad-same"]
    with pytest.raises(Problem, match="rewrites.ptb: expected another name than those of datasets"):
        params.parse(changed)


def test_a_params_yaml_may_have_none(content):
    changed = {
        part: value for part, value in content.items() if part not in ("rewrites", "crossfits", "tables", "comparisons")
    }
    changed["runs"] = {name: entry for name, entry in content["runs"].items() if "augmented" not in entry}
    changed |= {"tables": {}, "figures": {}, "comparisons": {}}
    assert (
        params.parse(changed).rewrites == params.parse(changed).filters == {}
        and params.parse(changed).encoded == changed["features"]
    )
