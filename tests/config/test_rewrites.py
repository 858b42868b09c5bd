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
            assert matrix.judge(name) == {"squad_answers": "squad-qa", "tvqa_answers": "tvqa-qa"}[block["dataset"]]
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
    changed = {part: value for part, value in content.items() if part not in ("rewrites", "tables", "comparisons")}
    changed["runs"] = {name: entry for name, entry in content["runs"].items() if "augmented" not in entry}
    changed |= {"tables": {}, "comparisons": {}}
    assert params.parse(changed).rewrites == {} and params.parse(changed).encoded == changed["features"]
