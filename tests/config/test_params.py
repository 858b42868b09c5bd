"""params.yaml is what it should be, and a mistake in it is told with the nearest valid name."""

import copy
import dataclasses

import pytest

from seqflows import params, paths
from seqflows.config import corpora, features
from seqflows.config.models import MODELS, sizes
from seqflows.config.training import Training
from seqflows.errors import Problem

PAPER = "ziegler2019"


@pytest.fixture(scope="module")
def content():
    from conftest import ROOT

    return params.read(ROOT / "params.yaml")


@pytest.fixture
def matrix(content):
    return params.parse(content)


def test_both_loaders_read_the_same(content, root):
    """DVC reads YAML 1.2 by ruamel, stages YAML 1.1 by PyYAML: 1e-3, on, 010 differ between them."""
    from dvc.utils.serialize import load_yaml

    found = params.written(root / "params.yaml")
    assert load_yaml(root / "params.yaml") == found
    assert repr(load_yaml(root / "params.yaml")) == repr(found)  # 1 == 1.0 == True, but not here


def test_the_default_scale_is_the_demo(matrix):
    assert matrix.scale == "demo"


def test_every_run_of_the_paper_is_there(matrix):
    variants = ("affine", "independent", "independent_affine", "h2", "h5", "h80", "no_annealing")
    expected = {f"ptb-{name}" for name in ("lstm", "lstm-adam", "af_only", "af_af", "af_scf", "iaf_scf")}
    expected |= {f"ptb-af_af-{name}" for name in variants} | {"gaussians-nlsq", "gaussians-affine"}
    ours = ("transformer", "importance", "free", "few", "af_scf", "iaf_scf")
    more = ("af_scf-importance", "af_scf-dropout", "af_scf-transposed", "af_scf-all", "af_scf-nade", "lstm-adam-nade")
    expected |= {f"jsb-{name}" for name in more} | {f"nottingham-{name}" for name in more[-2:]}
    expected |= {"jsb-af_scf-nade-more", "jsb-lstm-adam-nade-more"}
    expected |= {"jsb-af_scf-past", "jsb-af_scf-past-nade", "jsb-af_scf-past-dropout", "nottingham-af_scf-past"}
    expected |= {"ptb-lstm-wide", "ptb-codebook", *(f"ptb-codebook-{name}" for name in ours)}
    for corpus in ("nottingham", "piano", "musedata", "jsb"):
        expected |= {f"{corpus}-{name}" for name in ("lstm", "lstm-adam", "af_af", "af_scf", "iaf_scf")}
    for corpus in ("ptb", "nottingham", "musedata"):
        expected |= {f"{corpus}-{name}-long" for name in ("af_af", "af_scf", "iaf_scf")}
    expected |= {"musedata-lstm-long", "ptb-lstm-whole", "ptb-af_scf-whole"}
    assert expected <= {name for name, run in matrix.runs.items() if run["reproduces"] == PAPER}


def test_every_reproduced_number_has_its_cell_and_every_cell_its_number(matrix, root):
    import csv

    reported = set()
    for table in ("table1", "table2", "table3"):
        with open(root / f"src/seqflows/report/papers/{PAPER}/{table}.csv", newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["status"] == "reproduce"]
        reported |= {(f"{PAPER}-{table}", row["row"], row["column"]) for row in rows}
    cells = {
        (table, row, column)
        for table in (f"{PAPER}-table{number}" for number in (1, 2, 3))
        for row, cells in matrix.tables[table]["rows"].items()
        for column in cells
        if row != "LSTM, Adam" and not row.startswith("Codebook")  # which stand beside the printed rows
    }
    assert cells == reported and len(cells) == 41


def test_the_paper_scale_has_the_papers_hyperparameters(matrix):
    run = matrix.run("paper", "ptb-af_af")
    assert run["model"] | {"class": "latent_sequence", "latent": 50, "width": 500, "layers": 5} == run["model"]
    assert run["training"]["batch_size"] == 15 and run["training"]["samples"] == 10 and run["seeds"] == [0, 1, 2]
    assert matrix.run("paper", "ptb-iaf_scf")["model"]["layers"] == 3
    assert matrix.run("paper", "jsb-iaf_scf")["model"]["layers"] == 5
    # the README of the code turns dropout off for IAF on characters alone
    for name, dropout in (("ptb-iaf_scf", 0.0), ("jsb-iaf_scf", 0.2)):
        assert matrix.run("paper", name)["model"]["dropout"] == dropout
    assert [matrix.run("paper", f"{corpus}-af_af")["training"]["batch_size"] for corpus in ("jsb", "piano")] == [5, 8]
    assert [matrix.run("paper", f"jsb-{name}")["training"]["patience"] for name in ("af_af", "lstm")] == [2, 4]


def test_lookups(matrix):
    assert matrix.dataset("paper", "ptb") == {"kind": "text", "source": "ptb", "max_length": 288}
    assert set(matrix.run("demo", "ptb-lstm")) == {
        *("reproduces", "dataset", "seeds", "model", "training", "evaluation")
    }
    assert matrix.compute("demo")["threads"] == 1
    assert matrix.tracking("paper") == "live"
    assert matrix.speed("demo", "ptb")["runs"] == ["ptb-lstm", "ptb-iaf_scf"]
    assert matrix.table_runs(f"{PAPER}-table2")[0] == "ptb-af_af"
    with pytest.raises(Problem, match=r"got 'ptb-af_saf'; nearest: ptb-af_(scf|af)"):
        matrix.run("demo", "ptb-af_saf")
    with pytest.raises(Problem, match="expected a scale of demo, laptop, paper, got 'lap'"):
        matrix.run("lap", "ptb-lstm")


def test_every_default_holds_and_every_block_of_the_matrix_is_read_as_its_stage_reads_it(matrix):
    """A default that its own rule refused would be met by whoever leaves the entry out."""
    for row in MODELS.values():
        assert vars(row.block()) == {key: field.default for key, field in row.block.entries().items()}
    for source, block in corpora.SOURCES.items():
        missing = {key: 7 for key, field in block.entries().items() if field.default is dataclasses.MISSING}
        known = {"glove": "own", "sha256": 64 * "0", "path": "x.npz", "vectors": "x.zip"}
        missing |= {key: value for key, value in known.items() if key in missing}
        assert block.of(missing | {"source": source}, "").source == source
    for scale in paths.SCALES:
        for name in matrix.at(scale).datasets:
            assert corpora.block(matrix.dataset(scale, name)).source
        for name in matrix.features:
            encoder = matrix.encoder(scale, name)
            assert features.encoder(encoder).of(encoder, "").model
        for name in matrix.at(scale).runs:
            run = matrix.run(scale, name)
            (
                Training.of(run["training"], "training"),
                MODELS[run["model"]["class"]].block.of(sizes(run["model"]), "model"),
            )


def test_the_names_of_flows_are_those_that_flows_know():
    from seqflows.flows import KINDS, SCALARS, attention, multiscale, unidirectional

    rules = {key: set(field.metadata["rule"].names) for key, field in MODELS["latent_sequence"].block.entries().items()}
    assert rules["hidden"] == set(KINDS) and rules["scalar"] == set(SCALARS)
    rules = {key: set(field.metadata["rule"].names) for key, field in MODELS["language_flow"].block.entries().items()}
    assert attention.NETWORKS and multiscale and unidirectional
    assert rules["network"] == set(attention.NETWORKS)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"kl_free_epochs": 8, "kl_ramp_epochs": 9},
            r"kl_ramp_epochs: expected .* 16 epochs, got 8 \+ 9 = 17",
        ),
        ({"learning_rate": float("inf")}, "learning_rate: expected a finite number above 0, got inf"),
        ({"learning_rate": float("nan")}, "learning_rate: expected a finite number above 0, got nan"),
        ({"patience": 2}, "expected one rule for the learning rate, got patience and drops"),
        ({"stop_rate": 1.0}, r"stop_rate: expected a rate below learning_rate \(0.02\), got 1"),
        ({"drops": [0.9, 0.7]}, "drops: expected rising shares"),
        ({"epochs": True}, "epochs: expected a whole number of at least 1, got True"),
        ({"epochs": 2.0}, "epochs: expected a whole number of at least 1, got 2.0"),
    ],
)
def test_training_that_contradicts_itself_is_refused(content, changes, message):
    changed = copy.deepcopy(content)
    changed["runs"]["ptb-af_af"]["demo"]["training"] |= changes
    with pytest.raises(Problem, match=message):
        params.parse(changed)


def test_features_are_of_scales_that_their_dataset_has(content):
    changed = broken(content, ("datasets", "squad_questions", "demo"), ...)
    with pytest.raises(
        Problem, match=r"features\.squad_questions\.demo: expected the dataset squad_questions at scale demo"
    ):
        params.parse(changed)
    found = params.parse(broken(content, ("features", "squad_questions", "demo"), ...))
    assert found.encoder("demo", "squad_questions") is None and found.encoder("paper", "squad_questions")
    assert (
        found.at("demo").features.keys() == {"squad_answers", "tvqa_questions"} and found.encoder("demo", "ptb") is None
    )


@pytest.mark.parametrize("seed", [-1, 2**32, 2**63, 1.0, True, "0"])
def test_seeds_are_those_that_torch_takes(content, seed):
    """No two of them give the same weights."""
    with pytest.raises(Problem, match="seeds: expected seeds from 0 to 2.32 - 1 that differ"):
        params.parse(broken(content, ("runs", "ptb-af_af", "demo", "seeds"), [seed]))
    assert params.parse(broken(content, ("runs", "ptb-af_af", "demo", "seeds"), [2**32 - 1]))


RUN = ("runs", "ptb-af_af", "demo")
ATT_S, ATT_C = (("runs", f"tvqa-{name}", "demo") for name in ("att_s", "att_c"))
TEXT = ("texts", "tvqa-att_s-interpolation")
SQUAD = "squad-att_s-regeneration"
FEATURES = ("features", "squad_questions")
GAINS = ("figures", "tang2021-gains-table6")
TASK = ("tables", "ours-summary", "tasks", "characters, Penn Treebank")
BROKEN = [
    (("runz",), {}, "runz: expected one of the keys scale, .*, got 'runz'; nearest: runs"),
    (("scale",), "dem", "scale: expected one of demo, laptop, paper, got 'dem'; nearest: demo"),
    (("scales", "demo", "tracking"), "life", "tracking: expected one of files, live, got 'life'; nearest: live"),
    (("scales", "demo", "compute", "device"), "cud", "compute.device: expected .*, got 'cud'; nearest: cuda"),
    ((*RUN, "training", "lerning_rate"), 1.0, "training.lerning_rate: .*; nearest: learning_rate"),
    ((*RUN, "training", "epochs"), "ten", "training.epochs: expected a whole number of at least 1, got 'ten'"),
    ((*RUN, "training", "epochs"), 0, "training.epochs: expected a whole number of at least 1, got 0"),
    ((*RUN, "training", "learning_rate"), "1e-3", "learning_rate: expected a finite number .*1.0e-3.*, got '1e-3'"),
    ((*RUN, "model", "class"), "latent_sequense", "model.class: expected one of .*; nearest: latent_sequence"),
    ((*RUN, "model", "hidden"), "maid", "model.hidden: expected one of made, .*, got 'maid'; nearest: made"),
    ((*RUN, "model", "widht"), 3, "model.widht: expected one of the keys .*; nearest: width"),
    ((*RUN, "evaluation", "headline"), 7, r"headline: expected one of evaluation.at, \[1, 10, 50, 100\], got 7"),
    ((*RUN, "evaluation", "samples"), 60, "evaluation.at: expected counts of at most evaluation.samples, 60"),
    ((*RUN, "seeds"), [0, 0], r"seeds: expected seeds from 0 to 2.32 - 1 that differ, got \[0, 0\]"),
    ((*RUN, "seeds"), [], r"seeds: expected seeds .* that differ, got \[\]"),
    ((*RUN, "model"), None, "model.class: expected one of .*, got None"),
    (("runs", "ptb-af_af", "dataset"), "ptd", "runs.ptb-af_af.dataset: expected the name of a dataset.*nearest: ptb"),
    (("runs", "AF/AF"), {}, "runs.AF/AF: expected a run's name of lower-case letters"),
    (("datasets", "ptb", "kind"), "txt", "datasets.ptb.kind: expected one of text, .*; nearest: text"),
    (("datasets", "ptb", "demo", "source"), "embeded-text", "source: expected one of .*; nearest: embedded-text"),
    (("datasets", "ptb", "demo", "lexikon"), 9, "demo.lexikon: .*; nearest: lexicon"),
    (
        ("runs", "words-tril-k5", "demo", "model", "proposals"),
        0,
        "proposals: expected a whole number of at least 1, got 0",
    ),
    (
        ("runs", "words-tril", "demo", "model", "delta"),
        0.5,
        "model.delta: expected a finite number .* below 0.5, got 0.5",
    ),
    (("runs", "words-tril", "demo", "evaluation", "trajectorys"), [1], "trajectorys: .*; nearest: trajectories"),
    (
        ("runs", "words-tril", "demo", "evaluation", "trajectories"),
        [],
        "trajectories: expected a list of whole",
    ),
    (
        ("runs", "words-tril", "demo", "model"),
        {"class": "latent_sequence"},
        "model.class: expected one of state_space, ",
    ),
    (("runs", "ptb-lstm", "demo", "model"), {"class": "gru_baseline"}, "expected one of latent_sequence, codebook_"),
    (("runs", "ptb-lstm", "demo", "model"), {"class": ["lstm"]}, "expected one of latent_sequence, codebook_"),
    (
        ("runs", "words-tril", "demo", "training", "drawn"),
        ...,
        "training.drawn: expected the number of words of an epoch",
    ),
    (
        ("runs", "ptb-lstm", "reproduces"),
        "zieglr2019",
        "reproduces: expected one of schmidt2018, tang2021, ziegler2019, own, got 'zieglr2019'; nearest: ziegler2019",
    ),
    (("tables", "ziegler2019-table3", "reproduces"), ["own"], "reproduces: expected one of schmidt2018, tang2021,"),
    (("figures", "ziegler2019-figure3b", "reproduces"), "", "reproduces: expected one of schmidt2018, tang2021,"),
    (("runs", "ptb-lstm", "demo", "training", "drawn"), 100, "training.drawn: expected none for text"),
    (
        ("runs", "ptb-lstm", "demo", "training", "transpose"),
        5,
        "training.transpose: expected none for text, which has no",
    ),
    (
        ("runs", "jsb-af_af", "demo", "training", "bound"),
        "filtering",
        "training.bound: expected elbo or importance for latent_sequence, got 'filtering', which is for state_space",
    ),
    (
        ("datasets", "words", "demo", "split"),
        "type",
        "split: expected one of .*, got 'type'; nearest: types",
    ),
    ((*ATT_S, "model", "scales"), 6, "model.scales: expected at most 4 with structure: time and a length of 16, got 6"),
    (
        (*ATT_S, "model", "structure"),
        "past",
        "model.scales: expected at most 1 with structure: past .*, got 2",
    ),
    ((*ATT_C, "model", "scales"), 6, "model.scales: expected at most 5 with structure: channels and .* 16, got 6"),
    (
        ("runs", "tvqa-qa", "demo", "model", "concepts"),
        "read",
        "tvqa-qa.demo.model.concepts: expected none, of data without detected words beside lines, got 'read'",
    ),
    ((*ATT_S, "model", "heads"), 5, "model.heads: expected a divisor of the width, 16, got 5"),
    (("runs", "tvqa-att_s", "paper", "model", "width"), 510, "paper.model.heads: expected a divisor of .*, 510, got 8"),
    (("features", "squad_question"), {}, "features.squad_question: .* of a dataset, .*; nearest: squad_questions"),
    (("features", "squad"), {}, "features.squad: expected a dataset with contexts, got one of kind language"),
    ((*FEATURES, "demo", "layers"), [0], r"demo.layers: expected a list of negative whole numbers .*, got \[0\]"),
    ((*FEATURES, "demo", "layers"), [-1, -1], "demo.layers: expected a list of negative whole numbers that differ"),
    ((*FEATURES, "demo", "layers"), [-9], "demo.layers: expected layers from -3 to -1, got -9"),
    ((*FEATURES, "demo", "width"), 9, "demo.width: expected an even whole number of at least 2, got 9"),
    ((*FEATURES, "laptop", "width"), 8, "laptop.width: expected one of the keys model, layers, revision, sha256"),
    (
        (*FEATURES, "laptop", "model"),
        "package:gt_all",
        "laptop.model: expected tiny, none, package:<package>/<folder>, ",
    ),
    ((*FEATURES, "laptop", "revision"), "ab" * 20, "laptop.revision: expected none with a folder or a package"),
    ((*FEATURES, "paper", "revision"), ..., r"paper.revision: .* with the name bert-base-uncased, got none \(a folder"),
    (
        (*FEATURES, "paper", "revision"),
        "main",
        "paper.revision: expected a commit of the hub, 40 hex digits, got 'main'",
    ),
    (("speeds", "ptb", "runs"), ["ptb-ltsm"], "speeds.ptb.runs: expected the name of a run.*; nearest: ptb-lstm"),
    (("speeds", "ptb", "demo", "repeats"), 1, "repeats: expected a whole number of at least 2, got 1"),
    ((*TEXT, "kind"), "interpolations", "kind: expected one of samples, .*; nearest: interpolation"),
    ((*TEXT, "run"), "tvqa-att_x", "att_s-interpolation.run: expected the name of a run.*; nearest: tvqa-att_"),
    ((*TEXT, "run"), "squad-att_s", "dataset: expected squad, as squad-att_s has, got 'tvqa'"),
    ((*TEXT, "demo"), None, "demo: expected a mapping with keys pairs, sentences, ratios, beam, measured, got None"),
    ((*TEXT, "demo", "ratio"), [0.5], "demo.ratio: expected one of the keys pairs, .*; nearest: ratios"),
    ((*TEXT, "demo", "ratios"), [0.5, -0.1], r"ratios: expected numbers from 0 to 1 that differ, got \[0.5, -0.1\]"),
    ((*TEXT, "demo", "ratios"), [0.5, 0.5], "ratios: expected numbers from 0 to 1 that differ"),
    ((*TEXT, "demo", "beam"), 0, "beam: expected a whole number of at least 1, got 0"),
    ((*TEXT, "demo", "pairs"), True, "pairs: expected a whole number of at least 0, got True"),
    ((*TEXT, "demo"), {"sentences": [["a"]]}, r"sentences: expected pairs of texts that differ, .*, got \[\['a'\]\]"),
    ((*TEXT, "demo"), {"sentences": [["a", " "]]}, "sentences: expected pairs of texts"),
    ((*TEXT, "demo", "sentences"), [["a", "b"]], "expected pairs of test sequences or sentences, got both"),
    (("texts", "tvqa-att_s-samples", "demo", "count"), -1, "count: expected a whole number of at least 0, got -1"),
    (("texts", SQUAD, "demo", "contexts"), ["a", ""], "contexts: expected a whole number .* or a list of texts"),
    (("texts", SQUAD, "demo", "contexts"), -1, "contexts: expected a whole number of at least 0, or .*, got -1"),
    (("texts", SQUAD, "demo", "deviations"), [-0.1], r"deviations: expected numbers of at least 0 .*, got \[-0.1\]"),
    (("texts", SQUAD, "demo", "deviations"), [], "deviations: expected numbers of at least 0"),
    (
        ("tables", "tang2021-table1", "texts"),
        ["tvqa-att_s-sample"],
        "table1.texts: .* of a text, .*nearest: tvqa-att_s-s",
    ),
    (("tables", "tang2021-table1", "texts"), ["tvqa-att_s-samples", SQUAD], "texts of one kind, got samples, regener"),
    (("figures", "ziegler2019-figure3b", "kind"), "conditional", "figure3b.kind: .*; nearest: conditionals"),
    (("figures", "ziegler2019-figure3b", "runs"), ["ptb-lsm"], "figure3b.runs: .*; nearest: ptb-lstm"),
    (("figures", "ziegler2019-figure7", "speeds"), ["ptd"], "figure7.speeds: .* of a speed, got 'ptd'; nearest: ptb"),
    (("tables", "ziegler2019-table1", "rows", "AF / AF", "KL"), "ptb-af_a.kl", "name of a run.*nearest: ptb-af_af"),
    (("tables", "ziegler2019-table1", "rows", "AF / AF", "KL"), "ptb-af_af.kll", "expected one of nll, .*nearest: kl"),
    (
        ("tables", "ziegler2019-table1", "rows", "AF / AF", "KL"),
        "ptb-af_af",
        "expected <run>.<metric>, got 'ptb-af_af'",
    ),
    (
        ("tables", "ours-summary", "tasks"),
        {},
        "tasks: expected a metric and candidates .paper, ours, baseline. by task",
    ),
    (
        (*TASK, "paper"),
        ["ptb-af_a"],
        "Penn Treebank.paper: expected the name of a run, got 'ptb-af_a'; nearest: ptb-af_af",
    ),
    (
        (*TASK, "ours"),
        "ptb-codebook",
        "Penn Treebank.ours: expected a list of runs, or of <run>.<metric>, got 'ptb-codebook'",
    ),
    ((*TASK, "ours"), ["ptb-lstm"], "Penn Treebank.baseline: expected each candidate once, got ptb-lstm in ours too"),
    (
        (*TASK, "ours"),
        ["jsb-af_af"],
        "Penn Treebank: expected candidates on one dataset, got ptb, jsb; make a task of each",
    ),
    ((*TASK, "ours"), ["ptb-lstm.nl"], "Penn Treebank.ours: expected one of nll, .*, got 'nl'; nearest: nll"),
    (
        ("tables", "ziegler2019-table1", "rows", "LSTM, Adam", "Test NLL"),
        "ptb-lstm.bpc",
        "LSTM, Adam.Test NLL: expected a metric, got the unit 'bpc'; nll is in the unit of its data",
    ),
    (
        ("tables", "ziegler2019-table1", "rows", "LSTM, Adam", "Test NLL"),
        "ptb-lstm.kl",
        "LSTM, Adam.Test NLL: .* a metric of recurrent_baseline, whose likelihood is exact, got 'kl', .* for latent_",
    ),
    (
        (*TASK, "baseline"),
        ["ptb-lstm", "ptb-lstm-adam", "ptb-lstm.elbo"],
        "Penn Treebank.baseline: .* a metric of recurrent_baseline, whose .* exact, got 'elbo'",
    ),
    ((*TASK, "metric"), "ess", "Penn Treebank.metric: expected a metric in nats or bits, .* got 'ess' in samples"),
    ((*TASK, "metric"), ..., "Penn Treebank.metric: expected a value, got none"),
    ((*TASK, "best"), [], "Treebank.best: expected one of the keys metric, paper, ours, baseline, goal, got 'best'"),
    ((*TASK, "goal"), -9.88, "Treebank.goal: expected a metric with a number, or with runs, by scale, got -9.88"),
    ((*TASK, "goal"), {"nll": 1.8}, "Treebank.goal.nll: expected one of the keys demo, laptop, paper, got 'nll'"),
    (
        (*TASK, "goal", "laptop"),
        {"nll": 1.8, "elbo": 1.9},
        "goal.laptop: expected one metric with a number, or with runs, got {'nll': 1.8, 'elbo': 1.9}",
    ),
    ((*TASK, "goal", "laptop"), {"nl": 1.8}, "goal.laptop: expected one of nll, .*, got 'nl'; nearest: nll"),
    ((*TASK, "goal", "laptop"), {"ess": 1.8}, "goal.laptop: expected a metric in nats or bits, .* got 'ess'"),
    ((*TASK, "goal", "laptop"), {"nll": True}, "laptop.nll: expected a finite number or a list of runs, got True"),
    ((*TASK, "goal", "laptop"), {"nll": float("nan")}, "nll: expected a finite number or a list of runs, got nan"),
    ((*TASK, "goal", "laptop"), {"nll": []}, r"nll: expected a finite number or a list of runs, got \[\]"),
    (
        (*TASK, "goal", "laptop"),
        {"nll": ["ptb-lstm", "jsb-lstm"]},
        "laptop.nll: expected runs that the task lists, got 'jsb-lstm'; nearest: ptb-lstm",
    ),
    (("tables", "ours-summary", "reproduces"), "ziegler2019", "reproduces: expected one of the keys title, tasks"),
    (("figures", "ours-time", "table"), "ziegler2019-table1", "ours-time.table: expected the name of a table of tasks"),
    (("figures", "ours-time", "runs"), ["ptb-lstm"], "ours-time.runs: expected one of the keys title, kind, table"),
    ((*GAINS, "table"), "tang2021-table4", "table6.table: expected the name of a table with a comparison, got"),
    ((*GAINS, "table"), ["tang2021-table6"], "table6.table: expected the name of a table with a comparison, got"),
    (
        (*GAINS, "over"),
        "QG base",
        "over: expected the name of a row of tang2021-table6, got 'QG base'; nearest: QG base",
    ),
    ((*GAINS, "over"), ..., "table6.over: expected a value, got none"),
    ((*GAINS, "runs"), ["ptb-lstm"], "runs: expected one of the keys reproduces, title, kind, table, over, got 'runs'"),
]


def broken(content, where, value):
    content = copy.deepcopy(content)
    *above, last = where
    block = content
    for name in above:
        block[name] = block = dict(block[name])
    if value is ...:
        del block[last]
    else:
        block[last] = value
    return content


@pytest.mark.parametrize(("where", "value", "message"), BROKEN)
def test_a_mistake_is_one_line_with_the_nearest_name(content, where, value, message):
    with pytest.raises(Problem, match=message) as raised:
        params.parse(broken(content, where, value))
    head, *lines = str(raised.value).splitlines()
    assert head == "1 error in params.yaml" and len(lines) == 1
    assert ".".join(where[:2]) in lines[0]


def test_texts_are_of_runs_on_language_and_no_run_has_their_folders_name(content):
    changed = copy.deepcopy(content)
    changed["texts"]["tvqa-att_s-samples"].update(run="ptb-lstm", dataset="ptb")
    with pytest.raises(Problem, match="samples.run: expected a run on language, got 'ptb-lstm' on text"):
        params.parse(changed)
    changed = copy.deepcopy(content)
    changed["runs"]["texts"] = changed["runs"]["ptb-lstm"]
    with pytest.raises(Problem, match="runs.texts: expected another name than speed, texts"):
        params.parse(changed)


def test_all_mistakes_are_told_at_once(content):
    twice = broken(broken(content, ("scale",), "dem"), ("runs", "ptb-af_af", "dataset"), "ptd")
    with pytest.raises(Problem, match=r"2 errors in params.yaml\n  scale: .*\n  runs.ptb-af_af.dataset: "):
        params.parse(twice)


@pytest.mark.parametrize("wrong", [None, [], "text", {}, {"scale": "demo", "runs": []}])
def test_a_file_of_another_form(wrong):
    with pytest.raises(Problem, match="expected"):
        params.parse(wrong)


def test_a_key_given_twice_is_refused(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text("a: {x: 1}\nb: &b {y: 2, z: 3}\nc: {<<: *b, y: 3}\n")
    assert params.read(path)["c"] == {"y": 3, "z": 3}
    path.write_text("a: {x: 1, x: 2}\n")
    with pytest.raises(Problem, match="the key 'x' twice"):
        params.read(path)


@pytest.mark.parametrize("text", ["a: [", "a: \x00", "a: !!python/object:os.system {}"])
def test_what_is_no_yaml(tmp_path, text):
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(Problem, match=r"expected YAML in .*params.yaml, got"):
        params.read(tmp_path / "params.yaml")


def test_a_missing_file(tmp_path):
    with pytest.raises(Problem, match="run from the project's root"):
        params.load(tmp_path / "params.yaml")


def test_every_path_differs_from_every_other(matrix):
    """No two stages of any scale write to the same place."""
    written = []
    for scale in paths.SCALES:
        written += [paths.prepared(scale, name) for name in matrix.datasets]
        written += [path for name in matrix.runs for path in (paths.train(scale, name), paths.metrics(scale, name))]
        written += [paths.speed(scale, name) for name in matrix.speeds]
        written += [paths.text(scale, name) for name in matrix.texts]
        written += [path for name in matrix.tables for path in paths.table(scale, name)]
        written += [path for name in matrix.figures for path in paths.figure(scale, name)]
        written += [*paths.audit(scale), paths.page(scale), paths.track(scale)]
    assert len(written) == len(set(written))
