"""dvc.yaml and the Snakefile are two readings of one matrix, and rerun exactly what a change touches."""

import ast
import functools
import json
import os
import re
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from conftest import ROOT, _Plain
from engines import STUB, by_dvc, by_snakemake, keep, of_table, ran
from seqflows import files, params, paths, preload, stages
from seqflows.errors import Problem
from seqflows.pipeline import dvc
from seqflows.pipeline import matrix as matrix_stage

TABLES = ("ziegler2019-table1", "ziegler2019-table2")
CHANGED = "ptb-af_af-affine"  # shown in table 2 alone
DIVIDED = {"matrix"}  # DVC's alone: Snakemake holds the blocks in memory


@pytest.fixture(scope="module")
def matrix():
    return params.load(ROOT / "params.yaml")


@pytest.fixture(params=paths.SCALES)
def scale(request):
    return request.param


def expected(matrix, scale):
    """Every stage and key of a scale."""
    return {f"{stage} {scale}/{name}" for stage, name in stages.every(matrix)}


def downstream(jobs, start):
    """The jobs that read, directly or not, what ``start`` writes, and ``start``."""
    found, written = set(start), {path for name in start for path in jobs[name].outputs}
    while more := {name for name, job in jobs.items() if name not in found and job.inputs & written}:
        found |= more
        written |= {path for name in more for path in jobs[name].outputs}
    return found


@pytest.mark.parametrize("scale", ["demo", *(pytest.param(s, marks=pytest.mark.slow) for s in paths.SCALES[1:])])
def test_both_engines_agree(project, matrix, scale):
    scratch = project()
    scratch.scale(scale)
    dvc, blocks = by_dvc(scratch.folder)
    divided = dvc.pop("matrix")
    assert divided.outputs == {str(paths.MATRIX)} and "params.yaml" in divided.inputs
    printed = scratch.run("snakemake", "-n", "-p", "--config", f"scale={scale}")
    snakemake = by_snakemake(printed)
    assert set(dvc) == expected(matrix, scale) and set(snakemake) == expected(matrix.at(scale), scale)
    placeholders = {path for name in set(dvc) - set(snakemake) for path in dvc[name].outputs}  # of what a scale lacks
    for name, job in snakemake.items():
        assert job == dvc[name]._replace(inputs=dvc[name].inputs - placeholders), name
    check_tables(matrix, scale, dvc)
    check_runs(matrix, scale, dvc)
    cut = {
        key for one in paths.SCALES for here in (matrix.at(one),) for key in stages.every(here)
        if stages.TABLE[key[0]].block(here, one, key[1]) is not None
    }  # fmt: skip
    assert blocks == {f"{stage} {scale}/{name}": str(paths.block(scale, stage, name)) for stage, name in cut}


def check_tables(matrix, scale, jobs):
    """A table's inputs are the files of exactly the runs that params.yaml has in it, and their comparisons."""
    for name in matrix.tables:
        inputs = {path for path in jobs[f"table {scale}/{name}"].inputs if not path.startswith(("src/", "human"))}
        if not matrix.table_texts(name):
            compared = {str(paths.comparison(scale, one)) for one in comparisons(matrix, name)}
            runs, timed = matrix.table_runs(name), "tasks" in matrix.table(name)
            trained = {str(paths.train(scale, run)) for run in runs if timed}
            assert inputs == {str(paths.metrics(scale, run)) for run in runs} | trained | compared


def comparisons(matrix, table):
    """The comparisons that a table is made from: its own, and those that the scores of its runs are of."""
    found = {name for name in map(matrix.compared, matrix.table_runs(table)) if name}
    return found | ({table} & set(matrix.comparisons))


ASKED, SYSTEMS = "data/prepared/demo/squad_questions", ("squad-qg", "squad-qg-lang_flow")
READINGS = (
    *SYSTEMS,
    *(f"squad-qg-flowseq{name}" for name in ("", "-early", "-means")),
    *(f"squad-qg-{name}" for name in ("copies_sum", "sgd", "learned", "half", "words-added")),
)
READINGS += tuple(f"squad-qg-lang_flow-{name}" for name in ("gate", "normalised", "added", "sgd", "learned"))
DATA, RUN = "data/prepared/demo/ptb", "runs/demo/ptb-lstm"
AFFINE = "runs/demo/gaussians-affine"
WRITER, TEXTS = "runs/demo/tvqa-att_s", "runs/demo/texts/tvqa-att"
CORPORA = ("config/typed.py", "config/corpora.py", "config/own.py", "config/registry.py")
SIZES = ("config/typed.py", "config/models.py")
SCORES = ("config/typed.py", "config/evaluation.py")
TRAINING = {*SIZES, "config/training.py", "compute.py", "data", "flows", "models", "training", "kinds.py", "noise.py"}
TRAINING |= {"textscores/answers.py", "textscores/bleu.py"}
WRITING = {*SCORES, "compute.py", "evaluation", "kinds.py", "noise.py"}
SCORING = WRITING | {"textscores/answers.py"}
LINES = {f"data/{name}.py" for name in ("concepts", "halves", "lines", "prepared", "rewritten", "tokens")}
ENCODING = {
    "config/typed.py",
    "config/features.py",
    "compute.py",
    "features",
    "kinds.py",
    "models/pretrained.py",
} | LINES
SCORED = {f"evaluation/{name}.py" for name in ("likelihood", "loading", "ngrams", "scoring")}
REWRITING = {
    "config/typed.py",
    "config/rewrites.py",
    "compute.py",
    "kinds.py",
    "rewriting",
    *SCORED,
    *LINES,
}
REWRITING |= {f"data/{name}.py" for name in ("batching", "filtered", "subwords")}
FILTERING = {"augmentation", "compute.py", "evaluation/likelihood.py", "evaluation/loading.py", "evaluation/scoring.py"}
FILTERING |= {"evaluation/kinds/choices.py", "evaluation/kinds/spans.py", "kinds.py", "textscores/answers.py"}
ENCODED = {"data/prepared/demo/squad_questions", "data/features/demo/squad_questions"}
SETTINGS = ("audit", "page")  # stages that print the settings of a scale
READ_AND_WRITTEN = {
    "download demo/ptb": ({*CORPORA, "data", "kinds.py"}, set(), {"data/raw/demo/ptb"}),
    "prepare demo/ptb": ({*CORPORA, "data", "kinds.py"}, {"data/raw/demo/ptb"}, {DATA}),
    "features demo/squad_questions": (
        ENCODING,
        {"data/prepared/demo/squad_questions"},
        {"data/features/demo/squad_questions"},
    ),
    "train demo/ptb-lstm": (
        TRAINING,
        {DATA},
        {f"{RUN}/train"},
    ),
    "train demo/wmt16-nmt-words": (
        TRAINING,
        {"data/prepared/demo/wmt16", "runs/demo/wmt16-nmt/train"},
        {"runs/demo/wmt16-nmt-words/train"},
    ),
    "evaluate demo/ptb-lstm": (
        SCORING,
        {DATA, f"{RUN}/train"},
        {f"{RUN}/metrics.json", f"{RUN}/summary.json", f"{RUN}/evaluation"},
    ),
    "train demo/squad-qg": (
        TRAINING,
        ENCODED,
        {"runs/demo/squad-qg/train"},
    ),
    "evaluate demo/squad-qg": (
        SCORING,
        {*ENCODED, "runs/demo/squad-qg/train"},
        {f"runs/demo/squad-qg/{name}" for name in ("metrics.json", "summary.json", "evaluation")},
    ),
    "generate demo/tvqa-att_s-samples": (
        WRITING,
        {"data/prepared/demo/tvqa", f"{WRITER}/train"},
        {f"{TEXTS}_s-samples.txt"},
    ),
    "rewrite demo/squad-language_flow": (
        REWRITING,
        {"data/prepared/demo/squad_answers", "data/prepared/demo/squad_sentences", "runs/demo/squad-flow/train"},
        {"data/rewritten/demo/squad-language_flow"},
    ),
    "rewrite demo/squad-random_words": (
        REWRITING,
        {"data/prepared/demo/squad_answers", "data/rewritten/demo/squad-language_flow"},
        {"data/rewritten/demo/squad-random_words"},
    ),
    "rewrite demo/squad-neighbours": (
        REWRITING,
        {"data/prepared/demo/squad_answers", "data/prepared/demo/squad_sentences"},
        {"data/rewritten/demo/squad-neighbours"},
    ),
    "features demo/squad-same": (
        ENCODING,
        {"data/prepared/demo/squad_answers", "data/rewritten/demo/squad-same"},
        {"data/features/demo/squad-same"},
    ),
    "filter demo/squad-same": (
        FILTERING,
        {*(f"data/{stage}/demo/squad_answers" for stage in ("prepared", "features")), "runs/demo/squad-qa/train"}
        | {f"data/{stage}/demo/squad-same" for stage in ("rewritten", "features")},
        {"data/filtered/demo/squad-same"},
    ),
    "filter demo/squad-language_flow-crossfit": (
        FILTERING,
        {*(f"data/{stage}/demo/squad_answers" for stage in ("prepared", "features"))}
        | {f"runs/demo/squad-qa-half{half}/train" for half in (0, 1)}
        | {f"data/{stage}/demo/squad-language_flow" for stage in ("rewritten", "features")},
        {"data/filtered/demo/squad-language_flow-crossfit"},
    ),
    "train demo/tvqa-qa-language_flow-crossfit": (
        TRAINING,
        {"data/prepared/demo/tvqa_answers", "data/rewritten/demo/tvqa-language_flow"}
        | {"data/filtered/demo/tvqa-language_flow-crossfit"},
        {"runs/demo/tvqa-qa-language_flow-crossfit/train"},
    ),
    "train demo/squad-qa-same": (
        TRAINING,
        {*(f"data/{stage}/demo/squad_answers" for stage in ("prepared", "features"))}
        | {f"data/{stage}/demo/squad-same" for stage in ("rewritten", "features", "filtered")},
        {"runs/demo/squad-qa-same/train"},
    ),
    "compare demo/tang2021-qg-variants": (
        {"config/typed.py", "config/comparisons.py", "comparison", "kinds.py", "records.py", "textscores"},
        {ASKED, *(f"runs/demo/{run}/{made}" for run in READINGS for made in ("metrics.json", "evaluation"))},
        {"runs/demo/compare/tang2021-qg-variants"},
    ),
    "compare demo/tang2021-tvqa-filter": (
        {"config/typed.py", "config/comparisons.py", "comparison", "kinds.py", "records.py", "textscores"},
        {"data/prepared/demo/tvqa_answers", "data/rewritten/demo/tvqa-language_flow"}
        | {f"data/filtered/demo/tvqa-language_flow{crossed}" for crossed in ("", "-crossfit")}
        | {
            f"runs/demo/tvqa-qa{run}/{made}"
            for run in ("", "-half0", "-half1", "-language_flow", "-language_flow-crossfit")
            for made in ("metrics.json", "evaluation")
        },
        {"runs/demo/compare/tang2021-tvqa-filter"},
    ),
    "speed demo/ptb": (
        {*SIZES, "compute.py", "data", "evaluation", "flows", "models", "kinds.py", "noise.py"},
        {DATA},
        {"runs/demo/speed/ptb.csv"},
    ),
    "table demo/tang2021-table1": (
        {"config", "metrics.py", "records.py", "report", "kinds.py", "noise.py"},
        {f"{TEXTS}_s-samples.txt", f"{TEXTS}_ar-samples.txt", f"{WRITER}/train", "runs/demo/tvqa-att_ar/train"},
        {"results/demo/tang2021-table1.csv", "results/demo/tang2021-table1.md"},
    ),
    "table demo/tang2021-qg-variants": (
        {"config", "metrics.py", "records.py", "report", "kinds.py", "noise.py"},
        {
            *(f"runs/demo/{run}/metrics.json" for run in READINGS),
            *(f"runs/demo/compare/tang2021-{table}" for table in ("table6", "qg-variants")),
        },
        {"results/demo/tang2021-qg-variants.csv", "results/demo/tang2021-qg-variants.md"},
    ),
    "figure demo/ziegler2019-figure6": (
        {"config", "metrics.py", "records.py", "report", "kinds.py", "noise.py"},
        {"runs/demo/ptb-af_af-h2/metrics.json", "runs/demo/ptb-af_af-h2/evaluation"},
        {"results/demo/ziegler2019-figure6.png", "results/demo/ziegler2019-figure6.svg"},
    ),
    "figure demo/tang2021-gains-table7": (
        {"config", "metrics.py", "records.py", "report", "kinds.py", "noise.py"},
        {"runs/demo/compare/tang2021-table7"}
        | {
            f"runs/demo/wmt16-nmt{run}/metrics.json"
            for run in ("", "-lang_flow", "-words", "-no_z", "-lang_flow-aligned")
        },
        {"results/demo/tang2021-gains-table7.png", "results/demo/tang2021-gains-table7.svg"},
    ),
    "figure demo/ziegler2019-figure7": (
        {"config", "metrics.py", "records.py", "report", "kinds.py", "noise.py"},
        {"runs/demo/speed/ptb.csv", "runs/demo/speed/nottingham.csv"},
        {"results/demo/ziegler2019-figure7.png", "results/demo/ziegler2019-figure7.svg"},
    ),
}


@pytest.mark.parametrize("job", READ_AND_WRITTEN)
def test_what_a_stage_reads_and_writes(matrix, job):
    """Said once more, by hand: both engines take it from the table."""
    stage, _, name = job.replace("demo/", "").partition(" ")
    code, read, written = READ_AND_WRITTEN[job]
    row = stages.TABLE[stage]
    assert set(row.code) == code
    assert {str(path) for path in row.inputs(matrix, "demo", name)} == read
    assert {str(path) for path in row.outputs("demo", name)} == written


def test_each_stage_is_said_by_hand():
    """Those that read a whole scale below."""
    assert {job.split()[0] for job in READ_AND_WRITTEN} | {"audit", "page", "track"} == set(stages.TABLE)


# Settings: a stage lists those of them whose defaults its part of params.yaml leaves out.
STATED = ("config/", "metrics.py")
# What all stages import: no output depends on these, but for files.py, with which `status` takes care of all.
COMMON = {f"{name}.py" for name in ("errors", "files", "names", "params", "paths", "stages")}
# Used with runs alone, whose trainings are then read; the other keys' generators use none.
OF_RUNS = {"rewrite": ("flows/", "models/", "noise.py")}


@pytest.mark.parametrize("stage", stages.TABLE)
def test_a_stage_lists_the_code_that_its_module_imports(matrix, stage):
    """Directly or not; what reads a training or metrics is made anew with these, and need not list their code again."""
    row, trained = stages.TABLE[stage], stages.TABLE["train"].sources(stages.PACKAGE)
    listed = set(row.sources(stages.PACKAGE))
    read = [row.inputs(matrix, "demo", name) for name in row.keys(matrix.at("demo"))]
    if all(any(path.name in ("train", "metrics.json") for path in paths) for paths in read):
        listed |= set(trained)
    left = (*STATED, *OF_RUNS.get(stage, ()))
    found = {path.relative_to(stages.PACKAGE).as_posix() for path in imported(row.module) - listed}
    assert {name for name in found if not name.startswith(left)} == set()


def imported(module):
    """The files below seqflows that a module imports, directly or not, with its own, but for `COMMON`."""
    found, waiting = set(), {file_of(f"seqflows.{module}")}
    while waiting:
        found.add(path := waiting.pop())
        waiting |= imports(path) - found
    return found


@functools.cache
def imports(path):
    """The files below seqflows that one of them imports, but for `COMMON`."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
    return {file for name in names if (file := file_of(name))} - {stages.PACKAGE / name for name in COMMON}


@functools.cache
def file_of(module):
    """The file of a module below seqflows, if it is one and has code."""
    package, *parts = module.split(".")
    path = stages.PACKAGE.joinpath(*parts)
    if package != "seqflows" or not parts:
        return None
    if path.is_dir():
        path /= "__init__.py"
        return path if path.is_file() and len(ast.parse(path.read_text()).body) > 1 else None
    return file if (file := path.with_suffix(".py")).is_file() else None


def test_make_clean_removes_what_every_stage_writes(matrix):
    """At scale demo all, and of the others all but results."""
    recipe = (ROOT / "Makefile").read_text().split("\nclean:")[1].splitlines()[1]
    removed = [Path(name) for name in recipe.split()[2:]]
    for scale in paths.SCALES:
        written = {
            path
            for stage, name in stages.every(matrix.at(scale))
            for path in stages.TABLE[stage].outputs(scale, name)
            if scale == "demo" or paths.results(scale) not in path.parents
        }
        left = [path for path in written if not any(path.is_relative_to(folder) for folder in removed)]
        assert written and not left


def test_audit_page_and_tracker_read_all_that_a_scale_has(matrix):
    made = {}
    for stage in ("evaluate", "compare", "speed", "table", "figure", "audit"):
        names = stages.TABLE[stage].keys(matrix)
        made[stage] = {str(path) for name in names for path in stages.TABLE[stage].outputs("demo", name)}
    numbers = {path for path in made["evaluate"] if path.endswith("metrics.json")}
    read = {
        stage: {str(path) for path in stages.TABLE[stage].inputs(matrix, "demo", "all")}
        for stage in ("audit", "page", "track")
    }
    tables = {path for path in made["table"] if path.endswith(".csv")}
    assert read["audit"] == numbers | {DATA, "human"} | made["speed"] | made["compare"] | tables
    assert read["track"] == read["page"] == numbers | made["table"] | made["figure"] | made["audit"]


def test_dvc_yaml_is_that_of_the_table_and_of_params(matrix, project):
    written = {path: (ROOT / path).read_text() for path in dvc.texts(matrix)}
    assert written == dvc.texts(matrix), "dvc.yaml is out of date: run `python -m seqflows dvc`"
    scratch = project()
    path = scratch.folder / "params.yaml"
    content = params.read(path)
    content["runs"]["own"] = content["runs"][CHANGED]
    path.write_text(yaml.dump(content, Dumper=_Plain))
    for command in ("check", "matrix"):  # `make lint` and every engine meet it
        said = scratch.run("python", "-m", "seqflows", command, status=1)
        assert "expected dvc.yaml to be of the present params.yaml and stages" in said and "seqflows dvc\n" in said
    scratch.run("python", "-m", "seqflows", "dvc")
    scratch.run("python", "-m", "seqflows", "check")
    assert by_dvc(scratch.folder)[0]["train demo/own"].outputs == {"runs/demo/own/train"}
    other = scratch.folder / "workflow/gone/dvc.yaml"
    other.parent.mkdir()
    other.write_text("stages: {}\n")
    said = scratch.run("python", "-m", "seqflows", "check", status=1)
    assert "expected workflow/gone/dvc.yaml to be of the present params.yaml and stages" in said
    scratch.run("python", "-m", "seqflows", "dvc")
    assert not other.parent.exists()
    (scratch.folder / "workflow/text/dvc.yaml").unlink()
    said = scratch.run("python", "-m", "seqflows", "check", status=1)
    assert "expected workflow/text/dvc.yaml to be of the present params.yaml and stages" in said


def of_a_run(matrix):
    """The matrix with a dataset that a run of another one writes, and a run on it."""
    made = {"kind": "language", **{scale: {"source": "generated", "run": "tvqa-att_s"} for scale in paths.SCALES}}
    run = matrix.runs["tvqa-lstm"] | {"dataset": "more"}
    return replace(matrix, datasets=matrix.datasets | {"more": made}, runs=matrix.runs | {"more-lstm": run})


def test_a_dataset_may_be_made_from_a_run(project, matrix):
    """An invented entry: in both engines its download waits for the run's training; DVC's others stay as they are."""
    scratch, more = project(), of_a_run(matrix)
    before, _ = by_dvc(scratch.folder)
    dvc.write(more, scratch.folder)
    after, _ = by_dvc(scratch.folder)
    assert all(after[name] == job for name, job in before.items() if not name.endswith(("matrix", "demo/all")))
    download = after["download demo/more"]
    assert {path for path in download.inputs if not path.startswith("src/")} == {f"{WRITER}/train"}
    assert downstream(after, {"train demo/tvqa-att_s"}) >= {f"{stage} demo/more" for stage in ("download", "prepare")}
    assert "train demo/more-lstm" in downstream(after, {"download demo/more"})
    assert dvc.addresses(more)["download", "more"] == "workflow/language/dvc.yaml:download-more"
    common = scratch.folder / "workflow/rules/common.smk"
    entries = f"datasets={more.datasets!r}, runs={more.runs!r}"
    common.write_text(common.read_text().replace("params.load()", f"dataclasses.replace(params.load(), {entries})"))
    common.write_text("import dataclasses\n" + common.read_text())
    snakemake = by_snakemake(scratch.run("snakemake", "-n", "-p"))
    absent = {f"{stage} demo/{name}" for stage, name in set(stages.every(more)) - set(stages.every(more.at("demo")))}
    assert set(after) - {"matrix"} - absent == set(snakemake)
    placeholders = {path for name in absent for path in after[name].outputs}
    for name, job in snakemake.items():
        assert job == after[name]._replace(inputs=after[name].inputs - placeholders), name
    waits = stages.ordered(more, "demo")
    assert waits["download", "more"] == [("train", "tvqa-att_s")]
    assert list(waits).index(("train", "tvqa-att_s")) < list(waits).index(("download", "more"))


def test_a_dataset_of_other_runs_at_each_scale_or_of_itself_is_refused(matrix):
    more = of_a_run(matrix)
    more.datasets["more"]["paper"] = {"source": "generated", "run": "tvqa-att_ar"}
    with pytest.raises(Problem, match="expected download more to read the same at each scale, got .*att_ar/train"):
        dvc.texts(more)
    more.datasets["more"] = {"kind": "language", **{scale: {"run": "more-lstm"} for scale in paths.SCALES}}
    with pytest.raises(Problem, match="expected stages that do not wait for themselves, got .*download more"):
        stages.ordered(more, "demo")


def after(matrix, run):
    """A run and those that have something of it: its weights, contexts that it wrote, or its verdict on contexts."""
    runs, contexts = {run}, set()
    while True:
        more = {
            name
            for name, entry in matrix.rewrites.items()
            if {*entry.get("runs", ()), entry.get("judge")} & runs or entry.get("like") in contexts
        }
        more |= {
            name
            for name, entry in matrix.crossfits.items()
            if {*entry["judges"], *matrix.rewrites[entry["contexts"]]["runs"]} & runs
        }
        found = {
            name
            for name, entry in matrix.runs.items()
            if name == run or entry.get("from") in runs or entry.get("augmented") in more
        }
        if (found, more) == (runs, contexts):
            return runs
        runs, contexts = found, more


def check_runs(matrix, scale, jobs):
    """What lies downstream of a run's training: tables that show it, and of other runs those that have of it."""
    for run in matrix.runs:
        runs = after(matrix, run)
        own = {f"{stage} {scale}/{name}" for stage in ("train", "evaluate") for name in runs}
        seen = {name for name in matrix.comparisons if runs & set(matrix.table_runs(name))}
        shown = {
            f"table {scale}/{name}"
            for name in matrix.tables
            if runs & set(matrix.table_runs(name)) or seen & comparisons(matrix, name)
        }
        assert {name for name in downstream(jobs, own) if name.startswith("table ")} == shown
        assert {name for name in downstream(jobs, own) if name.split()[0] in ("download", "prepare")} == set()
        assert {name for name in downstream(jobs, own) if name.split()[0] in ("train", "evaluate")} == own


def blocks_of(content):
    """Every block of a matrix: (stage, scale, name) -> its text."""
    found = params.parse(content)
    return {
        (stage, scale, name): matrix_stage.text(stages.TABLE[stage].block(here, scale, name))
        for scale in paths.SCALES
        for here in (found.at(scale),)
        for stage, name in stages.every(here)
    }


def unshared():
    """params.yaml with nothing shared between runs."""
    return json.loads(json.dumps(params.read(ROOT / "params.yaml")))


@pytest.mark.parametrize(
    ("change", "stages"),
    [
        (lambda run: run["training"].update(epochs=77), {"train"}),
        (lambda run: run["model"].update(width=77), {"train"}),
        (lambda run: run.update(seeds=[7]), {"train"}),
        (lambda run: run["evaluation"].update(chunk=77), {"evaluate"}),
    ],
)
def test_a_change_of_a_run_at_one_scale_changes_its_own_blocks_alone(change, stages, scale):
    content = unshared()
    before = blocks_of(content)
    change(content["runs"][CHANGED][scale])
    after = blocks_of(content)
    changed = {(stage, scale, CHANGED) for stage in stages}
    changed |= {(stage, scale, "all") for stage in SETTINGS}
    assert {key for key in before if before[key] != after[key]} == changed


def test_a_change_of_a_dataset_or_a_cell_changes_its_own_blocks_alone(scale):
    content = unshared()
    before = blocks_of(content)
    content["datasets"]["jsb"][scale]["seed" if scale == "demo" else "train_sequences"] = 77
    content["tables"][TABLES[0]]["title"] = "changed"
    after = blocks_of(content)
    assert {key for key in before if before[key] != after[key]} == {
        *((stage, scale, "jsb") for stage in ("download", "prepare")),
        *(("table", other, TABLES[0]) for other in paths.SCALES),
        *((stage, other, "all") for other in paths.SCALES for stage in SETTINGS),  # for the table
    }


def test_other_threads_change_the_blocks_of_what_is_trained_and_timed_with_them(scale):
    content = unshared()
    before = blocks_of(content)
    content["scales"][scale]["compute"]["threads"] += 1
    after = blocks_of(content)
    changed = {key for key in before if before[key] != after[key]}
    assert changed == {key for key in before if key[0] in ("train", "speed", *SETTINGS) and key[1] == scale}


def test_a_change_of_a_task_changes_its_table_and_figure_alone():
    content = unshared()
    before = blocks_of(content)
    content["tables"]["ours-summary"]["tasks"]["music, JSB"]["baseline"].pop()
    after = blocks_of(content)
    assert {key for key in before if before[key] != after[key]} == {
        (stage, scale, name)
        for scale in paths.SCALES
        for stage, name in (("table", "ours-summary"), ("figure", "ours-time"), *((one, "all") for one in SETTINGS))
    }


def test_a_change_of_an_encoder_changes_its_own_block_alone(scale):
    """What is trained on its features is made again for these."""
    content = unshared()
    before = blocks_of(content)
    content["features"]["squad_questions"][scale]["layers"] = [-2]
    after = blocks_of(content)
    changed = {("features", scale, "squad_questions"), *((stage, scale, "all") for stage in SETTINGS)}
    assert {key for key in before if before[key] != after[key]} == changed


def test_a_change_of_a_text_changes_its_own_block_alone(scale):
    """No number is scored anew for other sentences."""
    content = unshared()
    before = blocks_of(content)
    content["texts"]["tvqa-att_s-interpolation"][scale] = {"sentences": [["a", "b"]]}
    after = blocks_of(content)
    assert {key for key in before if before[key] != after[key]} == {("generate", scale, "tvqa-att_s-interpolation")}


def test_the_matrix_stage_writes_the_blocks_that_snakemake_holds_in_memory(project, matrix):
    scratch = project()
    scratch.run("python", "-m", "seqflows", "matrix")
    written = {path.name: path.read_text() for path in (scratch.folder / ".matrix/laptop").iterdir()}
    there = matrix.at("laptop")
    every = list(stages.every(there))
    held = {f"{stage}-{name}.json": stages.TABLE[stage].block(there, "laptop", name) for stage, name in every}
    absent = {f"{stage}-{name}.json" for stage, name in set(stages.every(matrix)) - set(every)}
    expected = {name: matrix_stage.text(block) for name, block in held.items() if block is not None}
    assert absent and written == expected | dict.fromkeys(absent, matrix_stage.text(matrix_stage.ABSENT))


def test_the_matrix_stage_sums_up_each_stage_s_code(project):
    """A change of a file changes the lists of the stages that depend on it, and no other."""
    scratch = project()

    def written():
        scratch.run("python", "-m", "seqflows", "matrix")
        return {path.stem: json.loads(path.read_text()) for path in (scratch.folder / ".matrix/code").iterdir()}

    before = written()
    assert set(before) == set(stages.TABLE)
    for stage, found in before.items():
        sources = {str(path.relative_to(stages.SOURCE)) for path in stages.TABLE[stage].sources()}
        assert found["sources"] == {path: files.sha256(scratch.folder / stages.SOURCE / path) for path in sources}
        assert found["versions"] == stages.TABLE[stage].versions() and found["versions"]["torch"]
    few = {"evaluate", "generate", "rewrite", "speed"}
    for changed, touched in {"evaluation/ngrams.py": few, "files.py": set(stages.TABLE)}.items():
        with (scratch.folder / stages.SOURCE / changed).open("a") as file:
            file.write("# changed\n")
        after = written()
        assert (
            {stage for stage in after if after[stage] != before[stage]}
            == {stage for stage in before if changed in before[stage]["sources"]}
            == touched
        )
        before = after


def test_both_engines_see_another_version_of_a_library(project):
    """DVC when the file that pins it changes, by way of its first stage; Snakemake by itself."""
    scratch = Snakemake(project()).scratch
    assert {"requirements.lock", "requirements-torch.txt"} <= by_dvc(scratch.folder)[0]["matrix"].inputs
    asked = ("snakemake", "--rerun-triggers", "params", "-j", "1")
    raw = str(paths.raw("demo", "ptb"))
    scratch.run(*asked, "--", raw)
    assert "Nothing to be done" in scratch.run(*asked, "-n", "--", raw)
    path = scratch.folder / "src/seqflows/stages.py"
    path.write_text(path.read_text().replace("metadata.version(name)", '"0"'))
    assert "Params have changed" in scratch.run(*asked, "-n", "--", raw)


def test_every_command_names_the_scale_that_was_asked_for(project):
    printed = project().run("snakemake", "-n", "-p", "--config", "scale=laptop")
    commands = [job.command for job in by_snakemake(printed).values()]
    assert len(commands) > 80
    assert all(command.split()[4].startswith("laptop/") for command in commands)


def test_snakemake_accepts_a_cluster(project):
    scratch = project()
    assert "train" in scratch.run("snakemake", "-n", "--quiet", "rules", "--cluster", "sbatch", "-j", "32")
    assert not (scratch.folder / "profiles" / "default").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content["runs"]["jsb-lstm"].update(dataset="jbs"), "got 'jbs'; nearest: jsb"),
        (lambda content: content.update(scale="labtop"), "got 'labtop'; nearest: laptop"),
    ],
)
def test_snakemake_builds_nothing_on_wrong_params(project, change, message):
    scratch = project()
    scratch.params(change)
    said = scratch.run("snakemake", "-n", status=1)
    assert message in said and "Traceback" not in said and "Building DAG" not in said


def test_snakemake_refuses_an_unknown_scale(project):
    said = project().run("snakemake", "-n", "--config", "scale=labtop", status=1)
    assert "expected a scale of demo, laptop, paper, got 'labtop'" in said and "Traceback" not in said


def test_code_of_another_checkout_is_refused(project):
    """As with an environment that was made for that one."""
    scratch = project()
    scratch.env["PYTHONPATH"] = str(ROOT / "src")
    message = f"expected the code of this checkout, {scratch.folder}/src/seqflows, got that of {stages.PACKAGE}; run: "
    for command in (("python", "-m", "seqflows", "list", "train"), ("snakemake", "-n")):
        said = scratch.run(*command, status=1)
        assert message in said and "Traceback" not in said


@pytest.mark.parametrize("given", ["scal=laptop", "Scale=laptop"])
def test_snakemake_refuses_an_unknown_key_of_config(project, given):
    said = project().run("snakemake", "-n", "--config", given, status=1)
    key = given.partition("=")[0]
    assert f"expected --config to have keys among scale, got {key!r}; nearest: scale" in said
    assert "Traceback" not in said and "Building DAG" not in said


def test_every_rule_has_the_resources_that_a_cluster_asks_for(project):
    printed = project().run("snakemake", "-n", "-p").split("\nrule ")[1:]
    blocks = [block for block in printed if not block.startswith("all:")]
    assert len(blocks) > 80
    for block in blocks:
        assert all(f"{name}=" in block for name in ("mem_mb", "runtime", "gpus")), block


def test_a_run_of_which_some_seeds_were_made_by_hand_is_not_whole(project):
    scratch, run = project(), "gaussians-affine"

    def shrink(content):
        keep(content, [], [run])
        content["runs"][run]["demo"].update(seeds=[0, 1])
        content["runs"][run]["demo"]["training"].update(epochs=1)

    def by_hand(stage, name, *more):
        scratch.run("python", "-m", "seqflows", stage, f"demo/{name}", *more)

    def left():
        printed = scratch.run("snakemake", "-n", "-p", "--", str(paths.metrics("demo", run)))
        return {job.split()[0] for job in by_snakemake(printed)}

    scratch.params(shrink)
    for stage in ("download", "prepare"):
        by_hand(stage, "gaussians")
    for stage in ("train", "evaluate"):
        by_hand(stage, run, "--seeds", "0")
    assert left() == {"train", "evaluate"}
    by_hand("train", run)
    assert left() == {"evaluate"}
    by_hand("evaluate", run)
    assert left() == set()


RETRIED = """
import pathlib, sys
if not pathlib.Path("failed").exists():
    pathlib.Path("failed").touch()
    sys.exit("killed")
"""


def test_a_job_that_failed_is_given_more_memory(project):
    made = Snakemake(project())
    (made.scratch.folder / "src/seqflows/cli.py").write_text(RETRIED + STUB)
    said = made.scratch.run("snakemake", "-j", "1", "--retries", "1", "--", str(paths.raw("demo", "ptb")))
    memory = stages.TABLE["download"].memory
    assert [int(found) for found in re.findall(r"mem_mb=(\d+)", said)] == [memory, 2 * memory]


class Stubbed:
    """A scratch project whose stages are made at once, and one engine that runs two of its tables."""

    def __init__(self, scratch):
        self.scratch = scratch
        (scratch.folder / "src/seqflows/cli.py").write_text(STUB)
        scratch.params(self.shrink)

    def shrink(self, content):
        """Leave what the two tables show."""
        keep(content, TABLES)

    def ran(self):
        """The stages that ran since the last question."""
        return ran(self.scratch.folder)

    def change(self, scale):
        def more_epochs(content):
            content["runs"][CHANGED][scale]["training"]["epochs"] += 1

        self.scratch.params(more_epochs)


class Dvc(Stubbed):
    def make(self, scale, *stages):
        self.scratch.run("dvc", "repro", "-q", *(stages or map(of_table, TABLES)))


class Snakemake(Stubbed):
    def make(self, scale):
        files = [str(paths.table(scale, name)[0]) for name in TABLES]
        self.scratch.run("snakemake", "-j", "2", "--quiet", "all", "--config", f"scale={scale}", "--", *files)


@pytest.mark.parametrize("engine", [Dvc, Snakemake])
def test_a_change_reruns_what_shows_it_and_nothing_else(project, matrix, engine):
    """For real, on two tables: from scratch, again, after a change, after a change at another scale."""
    runs = {run for name in TABLES for run in matrix.table_runs(name)}
    every = {f"{stage} demo/{run}" for stage in ("train", "evaluate") for run in runs}
    every |= {"download demo/ptb", "prepare demo/ptb", *(f"table demo/{name}" for name in TABLES)}
    made = engine(project())
    made.make("demo")
    assert made.ran() - DIVIDED == every
    made.make("demo")
    assert made.ran() == set()
    made.change("demo")
    made.make("demo")
    assert made.ran() - DIVIDED == {f"train demo/{CHANGED}", f"evaluate demo/{CHANGED}", f"table demo/{TABLES[1]}"}
    made.change("laptop")
    made.make("demo")
    assert made.ran() - DIVIDED == set()
    if engine is Dvc:
        tables = [str(paths.table("demo", name)[0]) for name in TABLES]
        assert "Nothing to be done" in made.scratch.run("snakemake", "-n", "--", *tables)
        check_forced(made, tables)
        check_scales(made)
        check_code(made, runs)
        check_clone(made)


class Judged:
    """The same of one table of two systems that are compared, and of which people judge pairs."""

    TABLE, SHEET = "tang2021-table6", "human-eval-3"

    def shrink(self, content):
        table = content["tables"][self.TABLE]
        table["rows"] = {row: table["rows"][row] for row in ("QG baseline", "+ Lang-Flow")}
        judged = {self.TABLE: {"human": {self.SHEET: ["squad-qg-lang_flow", "squad-qg"]}}}
        keep(content, [self.TABLE], features=["squad_questions"], comparisons=judged)


class DvcJudged(Judged, Dvc):
    def make(self):
        super().make("demo", of_table(self.TABLE))


class SnakemakeJudged(Judged, Stubbed):
    def make(self):
        table = str(paths.table("demo", self.TABLE)[0])
        self.scratch.run("snakemake", "-j", "2", "--quiet", "all", "--", table)


@pytest.mark.parametrize("engine", [DvcJudged, SnakemakeJudged])
def test_what_raters_said_makes_the_table_anew_and_nothing_else(project, engine):
    """A file that is put there, and one that is changed in its place; the texts are not compared again."""
    made = engine(project())
    made.make()
    every = {f"{stage} demo/{run}" for stage in ("train", "evaluate") for run in SYSTEMS}
    every |= {f"{stage} demo/squad_questions" for stage in ("download", "prepare", "features")}
    every |= {f"{stage} demo/{made.TABLE}" for stage in ("compare", "table")}
    assert made.ran() - DIVIDED == every
    path = made.scratch.folder / paths.judged("demo", made.SHEET)
    path.parent.mkdir()
    for text in ("draw,pair,rater,verdict\n1,1,Ann,A\n", "draw,pair,rater,verdict\n1,1,Ann,B\n"):
        path.write_text(text)
        made.make()
        assert made.ran() - DIVIDED == {f"table demo/{made.TABLE}"}
        made.make()
        assert made.ran() == set()


def check_forced(made, tables):
    """What README.md says: a change of what DVC made is DVC's to see, and Snakemake's where it is told so."""
    made.change("demo")
    forced = {f"train demo/{CHANGED}", f"evaluate demo/{CHANGED}", f"table demo/{TABLES[1]}"}
    assert "Nothing to be done" in made.scratch.run("snakemake", "-n", "--", *tables)
    told = made.scratch.run("snakemake", "-n", "-p", "-R", str(paths.train("demo", CHANGED)), "--", *tables)
    assert set(by_snakemake(told)) == forced
    made.make("demo")
    assert made.ran() - DIVIDED == forced


def check_scales(made):
    """Demo, laptop, demo: nothing is trained twice."""
    made.scratch.scale("laptop")
    made.make("laptop", f"workflow/text/dvc.yaml:evaluate@{CHANGED}")
    assert f"train laptop/{CHANGED}" in made.ran()
    made.scratch.scale("demo")
    made.make("demo")
    assert not {name for name in made.ran() if name.split()[0] in ("download", "prepare", "train", "evaluate")}


def check_code(made, runs):
    """A change of code runs the stages again that depend on it; what reads their outputs sees no other."""
    with (made.scratch.folder / "src/seqflows/evaluation/ngrams.py").open("a") as file:
        file.write("# changed\n")
    made.make("demo")
    assert made.ran() == DIVIDED | {f"evaluate demo/{run}" for run in runs}


def check_clone(made):
    """A committed dvc.lock does not keep a fresh clone, which has no outputs, from making them."""
    scratch = made.scratch
    identity = ("-c", "user.name=a", "-c", "user.email=a@b")
    scratch.run("git", "add", "--all")
    assert "runs/" not in scratch.run("git", "ls-files")
    scratch.run("git", *identity, "commit", "--quiet", "-m", "made")
    there = scratch.folder.parent / "clone"
    scratch.run("git", "clone", "--quiet", str(scratch.folder), str(there))
    (there / "ran.log").unlink(missing_ok=True)
    made.log = there / "ran.log"
    scratch.env |= {"PYTHONPATH": str(there / "src"), "DVC_SITE_CACHE_DIR": str(there.parent / "clone-site")}
    scratch.folder = there
    made.make("demo", f"workflow/text/dvc.yaml:train@{CHANGED}")
    assert made.ran() - DIVIDED == {"download demo/ptb", "prepare demo/ptb", f"train demo/{CHANGED}"}


SBATCH = """#!/bin/bash
# A cluster of one place: the job runs at once, to its end, on a node where `python` is another one.
PATH="node:$PATH" bash "${@: -1}" > job.log 2>&1 && echo COMPLETED > state || echo FAILED > state
echo 1
"""
SCONTROL = """#!/bin/bash
echo "JobId=1 JobState=$(cat state)"
"""


def schedule(scratch):
    """Put the scheduler that is a shell script first on the project's PATH; its folder."""
    folder = scratch.folder / "bin"
    folder.mkdir()
    wrong = scratch.folder / "node/python"
    wrong.parent.mkdir()
    texts = {folder / "sbatch": SBATCH, folder / "scontrol": SCONTROL, folder / "scancel": SCONTROL}
    for path, text in (texts | {wrong: "#!/bin/sh\nexit 9\n"}).items():
        path.write_text(text)
        path.chmod(0o755)
    scratch.env |= {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "CI": "true"}
    return folder


@pytest.mark.parametrize("cluster", [("--cluster", "sbatch"), ("--profile", "workflow/profiles/slurm")])
def test_the_workflow_runs_on_a_cluster(project, cluster):
    """For real, with a scheduler that is a shell script: a dry run does not evaluate what a cluster lacks."""
    made = Snakemake(project())
    schedule(made.scratch)
    made.scratch.run("snakemake", "-j", "32", *cluster, str(paths.train("demo", CHANGED)))
    assert made.ran() == {"download demo/ptb", "prepare demo/ptb", f"train demo/{CHANGED}"}


SLOW = """
import pathlib, signal, sys, time
if sys.argv[1] == "train":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    pathlib.Path("training").touch()
    try:
        time.sleep(60)
    except KeyboardInterrupt:
        time.sleep(0.5)
        pathlib.Path("checkpoint").touch()
        sys.exit(75)
"""


def test_a_job_whose_processes_all_are_told_to_end_waits_for_the_checkpoint(project, usual_signals):
    """As by the script of the Slurm profile, ahead of the time limit."""
    scratch = project()
    (scratch.folder / "src/seqflows/cli.py").write_text(SLOW)
    target = paths.train("demo", CHANGED)
    printed = scratch.run("snakemake", "-n", "-p", "--", str(target)).splitlines()
    (command,) = (line for line in printed if f"seqflows train demo/{CHANGED} > " in line)
    (scratch.folder / "logs/train/demo").mkdir(parents=True)
    with subprocess.Popen(["bash", "-c", command], cwd=scratch.folder, env=scratch.env, process_group=0) as running:
        for _ in range(600):
            if (scratch.folder / "training").exists():
                break
            time.sleep(0.1)
        os.killpg(running.pid, signal.SIGTERM)
        assert running.wait(60) == 75
    assert (scratch.folder / "checkpoint").exists()


LOADED = """
import sys
with open("loaded.log", "a") as log:
    log.write("torch " * ("torch" in sys.modules) + sys.argv[1])
"""


@pytest.mark.parametrize(("cluster", "loaded"), [((), "torch download"), (("--cluster", "sbatch"), "download")])
def test_stages_find_torch_loaded_on_one_machine_and_not_on_a_cluster(project, cluster, loaded):
    """There a stage has the node and the memory that its job asked for, and no process of another job runs it."""
    made = Snakemake(project())
    schedule(made.scratch)
    del made.scratch.env[preload.VARIABLE]
    (made.scratch.folder / "src/seqflows/cli.py").write_text(LOADED + STUB)
    made.scratch.run("snakemake", "-j", "1", *cluster, str(paths.raw("demo", "ptb")))
    assert (made.scratch.folder / "loaded.log").read_text() == loaded and made.ran() == {"download demo/ptb"}


def test_dvc_adopts_what_snakemake_made(project, matrix):
    """`dvc repro` has nothing to do; a second clone pulls all but the tables, which it makes without training."""
    made = Snakemake(project())
    assert "expected outputs of scale demo" in made.scratch.run("python", "-c", ADOPT, status=1)
    made.make("demo")
    every = made.ran()
    scratch, tables = made.scratch, [*map(of_table, TABLES)]
    assert "(there is no record of how it was made)" in scratch.run("python", "-c", ADOPT, status=1)
    scratch.run("python", "-c", NOTE)
    assert f"taken over {len(every)} stages of scale demo" in scratch.run("python", "-c", ADOPT)
    scratch.run("dvc", "repro", "-q", *tables)
    assert made.ran() == set()
    remote = scratch.folder.parent / "remote"
    scratch.run("dvc", "remote", "add", "-q", "-d", "near", str(remote))
    scratch.run("git", "add", "--all")
    scratch.run("git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "-m", "made")
    scratch.run("dvc", "push", "-q", *tables, "--with-deps")
    there = scratch.folder.parent / "clone"
    scratch.run("git", "clone", "--quiet", str(scratch.folder), str(there))
    scratch.env |= {"PYTHONPATH": str(there / "src"), "DVC_SITE_CACHE_DIR": str(there.parent / "clone-site")}
    scratch.folder, made.log = there, there / "ran.log"
    made.log.unlink(missing_ok=True)
    scratch.run("dvc", "pull", "-q", *tables, "--with-deps")
    scratch.run("dvc", "repro", "-q", *tables)
    assert made.ran() - DIVIDED <= {f"table demo/{name}" for name in TABLES}
    assert all(path.exists() for name in TABLES for path in (there / p for p in paths.table("demo", name)))


ADOPT = """
import sys
from seqflows import errors
from seqflows.pipeline import adopt
try:
    adopt.run()
except errors.Problem as problem:
    sys.exit(str(problem))
"""

NOTE = """
from seqflows import params, stages
from seqflows.pipeline import status
here = params.load().at("demo")
for job in stages.every(here):  # as the command line does, whose place the stub takes
    known = status.Status(here, "demo")
    known.record(*job, known.wanted(*job))
"""
