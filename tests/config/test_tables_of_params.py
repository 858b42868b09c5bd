"""Every cell of every table is of the run that its row and its column say; printed numbers stay as they were checked.

The rule is read from the labels: what a row's name says of the model's block, and a column's of the dataset or metric.
"""

import hashlib
import json
import re
from dataclasses import replace
from itertools import pairwise

import pytest

from seqflows import params, paths
from seqflows.config.models import MODELS
from seqflows.report.cells import reported
from seqflows.report.papers.base import printed_tables

COLUMNS = {  # what a column says: the dataset, or part of its name, and the metric
    "Nottingham": ("nottingham", "nll"),
    "Piano": ("piano", "nll"),
    "Musedata": ("musedata", "nll"),
    "JSB": ("jsb", "nll"),
    "Test NLL": ("ptb", "nll"),
    "Penn Treebank": ("ptb", "nll"),
    "Reconst.": ("ptb", "reconstruction"),
    "KL": ("ptb", "kl"),
    "TVQA Subtitle": ("tvqa", "nll"),
    "SQuAD Article": ("squad", "nll"),
    **{
        f"{name}, {which}": (name.lower(), f"nll_{metric}")
        for name in ("TVQA", "SQuAD")
        for which, metric in (("no noise", "noiseless"), ("validation", "code"), ("training", "code_train"))
    },
    "H[P_train, P^]": ("words", "cross_entropy_train"),
    "H[P_test, P^]": ("words", "cross_entropy_test"),
    "w unique": ("words", "unique_known"),
    "w in V": ("words", "known"),
    "H_gap": ("words", "entropy_gap"),
    "P_3-gram(w)": ("words", "perplexity_3"),
    "P_5-gram(w)": ("words", "perplexity_5"),
    "EM": ("squad_answers", "em"),
    "F1": ("squad_answers", "f1"),
    "Valid-Accuracy": ("tvqa_answers", "accuracy"),
}
QUESTIONS = {"BLEU4": "bleu", "Rouge-L": "rouge_l", "Meteor": "meteor"}  # of the dataset that the table has
ASKED = dict.fromkeys(
    ("tang2021-table5", "tang2021-tvqa-output"), "tvqa_questions"
)  # the others are of squad_questions
TRANSLATIONS = {"BLEU": "bleu", "BLEU, held-out pairs": "bleu_held_out"}
OTHER_PAIRS = {"English to Romanian": "wmt16_reverse", "with manuals and messages": "wmt16_l10n"}  # the others: wmt16
MUSIC = {"time": "af", "hidden": "made", "scalar": "nlsq"}  # AF / AF
STRUCTURES = {"S": "time", "C": "channels", "AR": "past"}
NETWORKS = {"Att": "attention", "RNN": "rnn"}
REFERENCES = {
    "one Gaussian for all words": "gaussian",
    "a Gaussian, linear in the four words before": "linear",
    "words one by one, by frequency": "unigram",
}

LANG_FLOW = {"fused": "latent", "structure": "time", "weight": 1.0, "fusion": "mlp"}
SYSTEMS = {
    "QG baseline": {"fused": "none"}, "+ Lang-Flow": LANG_FLOW, "+ LSTM-Flow": LANG_FLOW | {"structure": "lstm"},
}  # fmt: skip
CONTROLS = {
    "words, not z": {"fused": "words"}, "lambda 0": LANG_FLOW | {"weight": 0.0}, "no z": {"fused": "encoding"},
    "flow over channels": LANG_FLOW | {"structure": "channels"},
    "z at its words": LANG_FLOW | {"flow_start": "aligned"},
}  # fmt: skip
CONTEXTS = {  # the rewritten contexts that a reader is also trained with, after the name of the corpus
    "+ Context (Back-Translation)": "back_translation", "+ Context (Paraphrasing)": "paraphrasing",
    "+ Context (Language Flow)": "language_flow", "+ Context (Language Flow+)": "language_flow_plus",
    "+ Context (Language Flow), cross-fitted": "language_flow-crossfit",
    "+ Context (Language Flow+), half of the lines": "language_flow_plus-half_lines",
    "+ Context (Word mixture)": "word_mixture", "random words": "random_words", "filter alone": "same",
}  # fmt: skip
LONG = ", the paper's epochs"  # at the end of a row's name
EARLY = ", KL term whole early"
ADDED_TO_U = ", added to u"
MEANS = ", begun by means"
WHOLE = ", all sentences"
HALVES = {f"on half {half} of the questions": half for half in (0, 1)} | {
    "QG baseline, half of the questions": 0, "half of the pairs": 0,
}  # fmt: skip
SEEN = {  # rows that are trained on TVQA+ alone: what is read beside the lines, and the weight of the loss of attention
    "lines alone": {"concepts": "none"}, "detected things": {"concepts": "read", "attention": 0.0},
    "detected things, Att. Sup.": {"concepts": "read", "attention": 0.1},
}  # fmt: skip
PAPER = {"span_reader": "bert_span"}  # the class at scale paper, if another
BOUNDS = {
    "importance samples": "importance",
    "particle filter": "filtering",
}  # by the end of a row's name
TRANSITION = (
    r"(2×)?(TRIL|DIAG)(?:, K=(\d+))?(, BIDI)?(, F_q TRIL)?(, KL annealing)?(?:, (\d+) dimensions)?"
    rf"(?:, (?:{'|'.join(BOUNDS)}))?"
)
CODEBOOKS = {  # this project's rows
    "Codebook": {"mixture": "tied", "network": "lstm"}, "Codebook, Transformer": {"network": "transformer"},
    "Codebook, 5 importance samples": {"mixture": "tied", "network": "lstm"},
    "Codebook, mixture not tied": {"mixture": "free"}, "Codebook, fewer components": {"mixture": "free"},
    "Codebook, AF / SCF": {"mixture": "none", "time": "af", "hidden": "coupling"},
    "Codebook, IAF / SCF": {"mixture": "none", "time": "iaf", "hidden": "coupling"},
}  # fmt: skip
ADDED = {  # to AF / SCF, on music
    "importance samples": {}, "transposed": {}, "dropout": {"network_dropout": 0.2}, "NADE": {"keys": "nade"},
    "posterior that sees its past": {"posterior": "autoregressive"},
    "posterior that sees its past, dropout": {"posterior": "autoregressive", "network_dropout": 0.2},
    "NADE, posterior that sees its past": {"posterior": "autoregressive", "keys": "nade"},
    "posterior that sees its past, dropout, importance samples": {
        "posterior": "autoregressive", "network_dropout": 0.2,
    },
    "NADE, transposed, dropout": {"network_dropout": 0.2, "keys": "nade"},
}  # fmt: skip
MIXTURES = {  # this project's rows
    "Word mixture": {"network": "rnn"}, "Word mixture, Transformer": {"network": "attention"},
    "Word mixture, trigram": {"network": "trigram"},
}  # fmt: skip
READINGS = {
    "copies added": {"copies": "sum"},
    "learned output": {"output": "learned"},
    "u times the MLP": {"fusion": "gate"},
    "the MLP normalised": {"fusion": "normalised"},
    "added to u": {"fusion": "added"},
}


def said(row, translated=False, chosen=False):
    """What a row's name says of the model: its class, entries of its block, and of the training."""
    if translated:
        block = CONTROLS.get(row, LANG_FLOW if row == "+ Lang-Flow" else SYSTEMS["QG baseline"])
        return "translator", block | {"fusion": "normalised"}
    label = row.removesuffix(", sample of the tokens").removesuffix(LONG).removesuffix(WHOLE)
    latent = ("latent_sequence", MUSIC)
    if label in REFERENCES or label == "Bi-LSTM":
        return "recurrent_density", {}
    if label.startswith("LSTM"):
        return "recurrent_baseline", {"keys": "nade" if label.endswith("NADE") else "independent"}
    if (found := re.fullmatch(r"AF / SCF, (.*)", label)) and found[1] in ADDED:
        return "latent_sequence", MUSIC | {"hidden": "coupling"} | ADDED[found[1]]
    if found := re.fullmatch(r"(IAF|AF) / (AF|SCF)", label):
        hidden = {"AF": "made", "SCF": "coupling"}[found[2]]
        return "latent_sequence", MUSIC | {"time": found[1].lower(), "hidden": hidden}
    if label == "AF-only":
        return "latent_sequence", MUSIC | {"time": "none"}
    if found := re.fullmatch(r"H = (\d+)", label):
        return "latent_sequence", MUSIC | {"latent": int(found[1])}
    if label in ("- NLSq", "- AF hidden", "- AF hidden and NLSq"):
        changed = {"scalar": "location_scale"} if "NLSq" in label else {}
        return "latent_sequence", MUSIC | changed | ({"hidden": "independent"} if "hidden" in label else {})
    if label in CODEBOOKS:
        return "codebook_sequence", CODEBOOKS[label]
    if label in MIXTURES:
        return "word_mixture", MIXTURES[label]
    if label == "without KL annealing":
        return latent
    if found := re.match(r"(Att|RNN)-(S|C|AR)(?:, (.*))?$", label):
        literal = {"cell": "literal" if found[3] == "eq. (11) to the letter" else "parallel"}
        return "language_flow", {"network": NETWORKS[found[1]], "structure": STRUCTURES[found[2]]} | literal
    if found := re.fullmatch(rf"FlowSeq({EARLY}|{MEANS})?", label):
        return "flowseq", {"begin": "means" if found[1] == MEANS else "draws"}
    if found := re.fullmatch(r"(QG baseline|\+ Lang-Flow|\+ LSTM-Flow)(?:, (.*))?", label):
        return "encoder_decoder", SYSTEMS[found[1]] | READINGS.get(found[2], {})
    if label.removesuffix(ADDED_TO_U) in CONTROLS and label.endswith(ADDED_TO_U):
        return "encoder_decoder", CONTROLS[label.removesuffix(ADDED_TO_U)] | {"fusion": "added"}
    if label in CONTROLS:
        return "encoder_decoder", CONTROLS[label]
    if chosen and (label == "Baseline TVQA+" or label in CONTEXTS or label in HALVES):
        return "stage", {"concepts": "none"}
    if label in SEEN:
        return "stage", SEEN[label]
    if label == "Baseline BERT" or label in CONTEXTS or label in HALVES:
        return "span_reader", {}
    if found := re.fullmatch(r"BASELINE-(\d+)D|ORACLE", label):
        return "gru_baseline", {"state": int(found[1] or 8)}
    if found := re.fullmatch(r"GRU, (\d+) units", label):
        return "gru_baseline", {"state": int(found[1])}
    if found := re.fullmatch(r"HMM, (\d+) states", label):
        return "hidden_markov", {"states": int(found[1])}
    if found := re.fullmatch(r"REAL-NVP-\[2,3,4,5,6,7\]", label):
        return "state_space", {"transition": "real_nvp", "keep_from": 2, "keep_to": 7, "proposals": 1}
    if found := re.fullmatch(TRANSITION, label):
        block = {"transition": found[2].lower(), "layers": 2 if found[1] else 1, "proposals": int(found[3] or 1)}
        reader = {"reader": "both" if found[4] else "backward", "inference": "tril" if found[5] else "diag"}
        return "state_space", block | reader | {"state": int(found[7] or 8)}
    raise KeyError(f"expected a row whose name says its model, got {row!r}; add it to said() in {__file__}")


@pytest.fixture(scope="module")
def matrix():
    from conftest import ROOT

    return params.load(ROOT / "params.yaml")


def tables(matrix):
    """(table, row, column, run, metric) of every cell that is a number, of the tables of the papers."""
    for table, entry in matrix.tables.items():
        if entry.get("reproduces") == "own":
            continue
        for row, cells in entry.get("rows", {}).items():
            for column, address in cells.items():
                yield table, row, column, *address.split(".")


def wrong(matrix):
    """The cells whose run or metric is not that of their row and column."""
    found = []
    for table, row, column, run, metric in tables(matrix):
        asked = (ASKED.get(table, "squad_questions"), QUESTIONS.get(column))
        translated = column in TRANSLATIONS
        if translated:
            asked = (OTHER_PAIRS.get(row, "wmt16"), TRANSLATIONS[column])
        dataset, wanted = asked if translated or column in QUESTIONS else COLUMNS[column]
        if row.startswith("ORACLE"):
            wanted = {"unique_known": "oracle_unique_known", "known": "oracle_known"}.get(
                wanted, wanted.replace("cross_entropy", "oracle")
            )
        dataset = "tvqa_plus_answers" if row in SEEN else dataset
        wanted = REFERENCES.get(row, wanted)
        dataset = "ptb_whole" if row.endswith(WHOLE) else dataset
        if dataset == "words":
            dataset = "words_sample" if row.endswith("sample of the tokens") else "words"
            dataset = "words_types" if table == "schmidt2018-table2" else dataset
        name, entries = said(row, translated, column == "Valid-Accuracy")
        cell = f"{table}, {row}, {column}: {run}.{metric}"
        if metric != wanted:
            found.append(f"{cell} is no {wanted}")
        if matrix.runs[run]["dataset"] != dataset:
            found.append(f"{cell} is not of {dataset}")
        others = f"{dataset.split('_')[0]}-{CONTEXTS[row]}" if row in CONTEXTS else None
        if matrix.runs[run].get("augmented") != others:
            found.append(f"{cell} has no contexts of {others}")
        for scale in (scale for scale in paths.SCALES if scale in matrix.runs[run]):
            block = matrix.run(scale, run)["model"]
            config = MODELS[name].block.defaults()
            of_scale = PAPER.get(name, name) if scale == "paper" else name
            if block["class"] != of_scale or not entries.items() <= (config | block).items():
                found.append(f"{cell} is no {name} with {entries} at scale {scale}")
            if column in QUESTIONS and name == "encoder_decoder":
                copies = "none" if dataset == "tvqa_questions" else entries.get("copies", "max")
                momentum = matrix.run(scale, run)["training"].get("optimizer") == "sgd"
                if (config | block)["copies"] != copies or momentum != row.endswith(", momentum"):
                    found.append(f"{cell} has other copies or another optimiser at scale {scale}")
            if row.endswith(LONG) and matrix.run(scale, run)["training"]["epochs"] != 100:
                found.append(f"{cell} has not the 100 epochs of the paper at scale {scale}")
            if matrix.run(scale, run)["training"].get("half") != HALVES.get(row):
                found.append(f"{cell} is of other questions at scale {scale}")
            ramp = row.endswith(", KL annealing") or (name == "latent_sequence" and row != "without KL annealing")
            ramp = ramp or name == "flowseq"
            training = matrix.run(scale, run)["training"]
            if name == "flowseq" and (training.get("kl_free_epochs") == 0) != row.endswith(EARLY):
                found.append(f"{cell} has its KL term whole at another time at scale {scale}")
            bound = next((bound for ending, bound in BOUNDS.items() if row.endswith(ending)), "elbo")
            if training.get("bound", "elbo") != bound or (bound != "elbo" and training["samples"] != 5):
                found.append(f"{cell} is not trained on the bound {bound} at scale {scale}")
            if annealed(matrix, scale, run) != ramp:
                found.append(f"{cell} has another KL annealing at scale {scale}")
    return found


def annealed(matrix, scale, run):
    training = matrix.run(scale, run)["training"]
    return bool(training.get("kl_free_epochs") or training.get("kl_ramp_epochs"))


def test_every_cell_is_of_the_run_of_its_row_and_column(matrix):
    assert not wrong(matrix)
    cells = list(tables(matrix))
    assert len(cells) > 150 and {table for table, *_ in cells} >= set(printed_tables())


def test_a_row_has_one_model_and_no_two_rows_the_same(matrix):
    """Within a table a row's cells share what follows the dataset in a run's name; and no other row has it."""
    by_row = {}
    for table, row, _, run, metric in tables(matrix):
        kind = metric.split("_")[0] if row in REFERENCES or row.startswith("ORACLE") else ""
        by_row.setdefault(table, {}).setdefault(row, set()).add(
            (run.split("-", 1)[1], kind, run.split("-")[0] == "sample")
        )
    for table, rows in by_row.items():
        assert all(len(found) == 1 for found in rows.values()), (table, rows)
        assert len({next(iter(found)) for found in rows.values()}) == len(rows), (table, rows)


def test_a_table_of_ones_own_has_its_own_labels(matrix):
    """And a label of a paper's table whose addition is unknown is told with the remedy."""
    own = {"reproduces": "own", "title": "Pets", "rows": {"Ours": {"NLL": "ptb-lstm.nll"}}}
    more = replace(matrix, tables={**matrix.tables, "own-pets": own})
    assert list(tables(more)) == list(tables(matrix)) and not wrong(more)
    for label in ("AF / SCF, spline", "Ours"):
        with pytest.raises(KeyError, match=rf"expected a row whose name says its model, got '{label}'; add it to said"):
            said(label)


def test_swapped_cells_are_seen(matrix, root):
    """The rule has eyes: neighbours in a column exchanged, in tables of music, of words and of questions."""
    content = params.read(root / "params.yaml")
    seen = {"ziegler2019-table3": "Musedata", "schmidt2018-table1": "w in V", "tang2021-table5": "BLEU4"}
    for table, column in {
        **seen,
        "tang2021-qg-variants": "Meteor",
        "tang2021-table7": "BLEU",
        "tang2021-table8": "Valid-Accuracy",
        "tang2021-att-sup": "Valid-Accuracy",
        "tang2021-table9": "F1",
        "tang2021-squad-filter": "EM",
        "tang2021-tvqa-filter": "Valid-Accuracy",
    }.items():
        rows = content["tables"][table]["rows"]
        names = list(rows)
        for first, second in pairwise(names[1 if table.endswith("filter") else 2 :]):
            rows[first][column], rows[second][column] = rows[second][column], rows[first][column]
            assert wrong(params.parse(content)), (first, second)
            rows[first][column], rows[second][column] = rows[second][column], rows[first][column]
    assert not wrong(params.parse(content))


def test_the_plain_lstm_and_the_one_under_adam_differ_in_that_alone(matrix):
    for scale in ("laptop", "paper"):
        for corpus in ("ptb", "nottingham", "piano", "musedata", "jsb"):
            plain, adam = (matrix.run(scale, f"{corpus}-lstm{end}") for end in ("", "-adam"))
            assert plain["training"]["optimizer"] == "sgd" and plain["model"] == adam["model"]
            assert adam["training"].get("optimizer", "adam") == "adam"


BASELINES = ("recurrent_baseline", "recurrent_density", "gru_baseline")


def test_candidates_have_the_roles_of_their_rows(matrix):
    """Of each task's data: what a paper prints is the paper's or a baseline, and a class that no paper has is ours."""
    cells = [(cell.table, cell.row, cell.column) for table in printed_tables() for cell in reported(table)]
    filled = [matrix.tables[table]["rows"].get(row, {}).get(column, "") for table, row, column in cells
              if "rows" in matrix.tables[table]]  # fmt: skip

    def kind(run):
        return matrix.run("laptop", run)["model"]["class"]

    for name, task in matrix.tables["ours-summary"]["tasks"].items():
        data = matrix.runs[task["ours"][0]]["dataset"] if task["ours"] else matrix.runs[task["paper"][0]]["dataset"]
        here = {run for run, block in matrix.at("laptop").runs.items() if block["dataset"] == data}
        printed = {run for run in here if f"{run}.{task['metric']}" in filled}
        baselines = {one.partition(".")[0] for one in task["baseline"]}
        if not task["paper"]:  # another likelihood than the paper's
            assert not printed & {*task["ours"], *baselines}, name
            assert {kind(run) for run in baselines} <= set(BASELINES), name
            continue
        assert set(task["paper"]) == {run for run in printed if kind(run) not in BASELINES}, name
        assert baselines >= printed - set(task["paper"]) and {kind(run) for run in baselines} <= set(BASELINES), name
        assert set(task["ours"]) >= {run for run in here if kind(run) not in {*map(kind, printed)}}, name
        assert not printed & set(task["ours"]), name


# To change a printed number: look it up in the paper again, change the csv, and put the digest that the failing test
# shows in here, in a commit that says where the number stands. Nothing else changes these.
PRINTED = {
    "schmidt2018-table1": (57, "18995265cc54bb2e"),
    "schmidt2018-table2": (8, "bd15759b8db99f37"),
    "tang2021-table4": (14, "eaecd877f0bab869"),
    "tang2021-table5": (18, "e76d8b22d2b0f105"),
    "tang2021-table6": (18, "cc99e3963e8c75e5"),
    "tang2021-table8": (5, "9e6ae533d571c948"),
    "tang2021-table9": (10, "ff58418c03ddf0e9"),
    "tang2021-table7": (2, "464a07f3fa973769"),
    "ziegler2019-table1": (14, "af03c96234277612"),
    "ziegler2019-table2": (12, "6e8364148b9cda22"),
    "ziegler2019-table3": (40, "5f7f98b2b2f0428b"),
}


@pytest.mark.parametrize("table", PRINTED)
def test_printed_numbers_are_those_that_were_checked(table):
    rows = [[cell.row, cell.column, cell.unit, cell.reported, cell.status] for cell in reported(table)]
    found = hashlib.sha256(json.dumps(rows, ensure_ascii=False).encode()).hexdigest()[:16]
    assert (len(rows), found) == PRINTED[table], f"{table}: see above PRINTED"


def test_every_printed_table_is_pinned():
    assert set(PRINTED) == set(printed_tables())
