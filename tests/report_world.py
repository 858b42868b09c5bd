"""A synthetic project for the tests of report and tracking: a small matrix, and every file that they read."""

from __future__ import annotations

import contextlib
import csv
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqflows import files, params, paths, records
from seqflows.params import Params
from seqflows.report import inputs
from seqflows.report.cells import reported


@contextlib.contextmanager
def placed(folder: Path) -> Iterator[Params]:
    """Work in a folder, with the matrix as params.yaml, whose scale paper is what the papers state."""
    content = matrix()
    paper = {name: inputs.settings(content, "paper", name) for name in content.runs}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(params, "load", lambda *_: content)
        patch.setattr(inputs, "paper_settings", lambda: paper)
        yield content


def printed(table: str, column: str) -> dict[str, float]:
    """Row -> the number that a paper prints in a column of its table."""
    return {cell.row: float(cell.reported) for cell in reported(table) if cell.column == column}


NLL = printed("ziegler2019-table1", "Test NLL") | printed("ziegler2019-table2", "Test NLL")
TEXT_ROWS = {
    "ptb-lstm": "LSTM (sentence-wise)", "ptb-af_only": "AF-only", "ptb-af_af": "AF / AF", "ptb-af_scf": "AF / SCF",
    "ptb-iaf_scf": "IAF / SCF", "ptb-af_af-affine": "- NLSq", "ptb-af_af-independent": "- AF hidden",
    "ptb-af_af-independent_affine": "- AF hidden and NLSq",
}  # fmt: skip
TEXT = {run: NLL[row] for run, row in TEXT_ROWS.items()} | {  # and such as the paper has in prose
    "ptb-af_af-h2": 1.9, "ptb-af_af-h5": 1.425, "ptb-af_af-h80": 1.424, "ptb-af_af-no_annealing": 2.0,
}  # fmt: skip
SETS = {"Nottingham": "nottingham", "Piano": "piano", "Musedata": "musedata", "JSB": "jsb"}
MODELS = {"LSTM": "lstm", "AF / AF": "af_af", "AF / SCF": "af_scf", "IAF / SCF": "iaf_scf"}
MUSIC = {name: tuple(printed("ziegler2019-table3", column)[row] for row in MODELS) for column, name in SETS.items()}
WORD_COLUMNS = ("H[P_train, P^]", "H[P_test, P^]", "w unique", "w in V", "H_gap")
WORD_ROWS = {
    "TRIL": "tril", "TRIL, K=2": "tril-k2", "TRIL, K=5": "tril-k5", "TRIL, K=10": "tril-k10", "2×TRIL": "tril2",
    "2×TRIL, K=5": "tril2-k5", "2×TRIL, K=10": "tril2-k10", "2×TRIL, K=10, BIDI": "tril2-k10-both",
    "REAL-NVP-[2,3,4,5,6,7]": "real_nvp", "BASELINE-8D": "gru8", "BASELINE-16D": "gru16",
}  # fmt: skip


def printed_words(table: str, row: str, columns: tuple[str, ...]) -> tuple[float | None, ...]:
    """A row of a table of words; None where a column is empty."""
    return tuple(printed(table, column).get(row) for column in columns)


WORDS = {run: printed_words("schmidt2018-table1", row, WORD_COLUMNS) for row, run in WORD_ROWS.items()} | {
    "diag": (12.9, 12.95, 0.1, 0.5, 0.5), "tril-inference_tril": (11.9, 11.95, 0.11, 0.6, 1.0),
    "tril-annealing": (11.87, 11.92, 0.11, 0.6, 1.0),
}  # fmt: skip
TYPES = {
    run: (*printed_words("schmidt2018-table2", row, WORD_COLUMNS[:2]), *sets,
          *printed_words("schmidt2018-table2", row, ("P_3-gram(w)", "P_5-gram(w)")))
    for row, run, sets in (("2×TRIL, K=5", "tril2-k5", (0.14, 0.5, 1.2)), ("BASELINE-8D", "gru8", (0.13, 0.5, None)))
}  # fmt: skip
SAMPLE = {name: WORDS[name] for name in ("tril2-k5", "gru8")}
CORPORA = {"words": WORDS, "types": TYPES, "sample": SAMPLE}
LANGUAGE_ROWS = {
    "Bi-LSTM": "lstm", "Att-C": "att_c", "RNN-C": "rnn_c", "Att-S": "att_s", "RNN-S": "rnn_s", "Att-AR": "att_ar",
    "RNN-AR": "rnn_ar",
}  # fmt: skip
LANGUAGE = {  # TVQA, SQuAD
    run: tuple(printed("tang2021-table4", column)[row] for column in ("TVQA Subtitle", "SQuAD Article"))
    for row, run in LANGUAGE_ROWS.items()
}
LANGUAGE_SETS = ("tvqa", "squad")
TEXTS = {"samples": ("tvqa",), "interpolation": ("tvqa",), "regeneration": LANGUAGE_SETS}  # of tables 1 to 3
MODEL_SHA256 = "ef" * 32
COUNTS = (1, 20, 1000, 100000)
VOCABULARY = list(" abcdefghijklmnopqrstuvwxyz<>.'N")


def matrix(seeds: tuple[int, ...] = (0,)) -> Params:
    """Both papers' whole matrix; demo embedded, laptop real and reduced, paper real."""
    datasets: dict[str, Any] = {}
    for name, options in {"words": {}, "words_types": {"split": "types"}, "words_sample": {"sample_tokens": 9}}.items():
        real = {"source": "gutenberg-words", "wide_count": 4, **options}
        demo = {"source": "embedded-words", "tokens": 9000, "seed": 7, **options}
        datasets[name] = {"kind": "words", "demo": demo, "laptop": real, "paper": real | {"source": "web-words"}}
    for name in ("ptb", *SETS.values(), "gaussians"):
        kind = {"ptb": "text", "gaussians": "vectors"}.get(name, "music")
        embedded = {"text": "embedded-text", "vectors": "embedded-gaussians", "music": "embedded-chords"}[kind]
        real = embedded if kind == "vectors" else name
        datasets[name] = {
            "kind": kind,
            "demo": {"source": embedded},
            "laptop": {"source": real},
            "paper": {"source": real},
        }
    runs = {}
    for name in [
        *TEXT,
        *(f"{s}-{m}" for s in SETS.values() for m in MODELS.values()),
        "gaussians-nlsq",
        "gaussians-affine",
    ]:
        small = {"seeds": list(seeds), "model": {"class": "latent_sequence", "width": 32}, "training": {"epochs": 3}}
        large = {"seeds": list(seeds), "model": {"class": "latent_sequence", "width": 500}, "training": {"epochs": 100}}
        runs[name] = {
            "reproduces": "ziegler2019",
            "dataset": name.split("-")[0],
            "demo": small,
            "laptop": small,
            "paper": large,
        }
    for corpus, models in CORPORA.items():
        for name in models:
            runs[f"{corpus}-{name}"] = words_run(corpus, name, seeds)
    for name in LANGUAGE_SETS:
        real = {"source": name, "length": 64}
        datasets[name] = {"kind": "language", "demo": {"source": "embedded-language"}, "laptop": real, "paper": real}
        for model in LANGUAGE:
            block = {"seeds": list(seeds), "model": {"class": "language_flow"}, "training": {"epochs": 3}}
            runs[f"{name}-{model}"] = {"reproduces": "tang2021", "dataset": name, "demo": block, "laptop": block}
            runs[f"{name}-{model}"]["paper"] = {**block, "training": {"epochs": 50}}
    terms = {"Test NLL": "nll", "Reconst.": "reconstruction", "KL": "kl"}
    rows1 = {"LSTM (sentence-wise)": {"Test NLL": "ptb-lstm.nll"}}
    for row, run in {"AF-only": "af_only", "AF / AF": "af_af", "AF / SCF": "af_scf", "IAF / SCF": "iaf_scf"}.items():
        rows1[row] = {column: f"ptb-{run}.{metric}" for column, metric in terms.items()}
    ablations = {
        "AF / AF": "af_af", "- NLSq": "af_af-affine", "- AF hidden": "af_af-independent",
        "- AF hidden and NLSq": "af_af-independent_affine",
    }  # fmt: skip
    rows2 = {row: {c: f"ptb-{run}.{metric}" for c, metric in terms.items()} for row, run in ablations.items()}
    rows3 = {row: {c: f"{s}-{model}.nll" for c, s in SETS.items()} for row, model in MODELS.items()}
    tables = {
        f"ziegler2019-table{number}": {"reproduces": "ziegler2019", "title": f"Table {number}: {what}", "rows": rows}
        for number, what, rows in ((1, "characters", rows1), (2, "ablations", rows2), (3, "polyphonic music", rows3))
    }
    tables |= word_tables()
    columns = {"TVQA Subtitle": "tvqa", "SQuAD Article": "squad"}
    rows4 = {row: {c: f"{s}-{run}.nll" for c, s in columns.items()} for row, run in LANGUAGE_ROWS.items()}
    tables |= {"tang2021-table4": {"reproduces": "tang2021", "title": "Table 4", "rows": rows4}}
    texts = {}
    for number, (kind, sets) in enumerate(TEXTS.items(), 1):
        names = {f"{run}-{kind}": run for run in (f"{name}-{model}" for name in sets for model in ("att_s", "att_ar"))}
        texts |= {
            name: {"kind": kind, "run": run, "dataset": run.split("-")[0]}
            | {scale: {"beam": 5} for scale in paths.SCALES}
            for name, run in names.items()
        }
        shown = {"reproduces": "tang2021", "title": f"Table {number}: {kind}", "texts": list(names)}
        tables |= {f"tang2021-table{number}": shown}
    figures = {
        "ziegler2019-figure3b": {"kind": "conditionals", "runs": ["ptb-lstm"]},
        "ziegler2019-figure5": {"kind": "nlsq", "runs": ["gaussians-nlsq", "gaussians-affine"]},
        "ziegler2019-figure6": {"kind": "prior_grid", "runs": ["ptb-af_af-h2"]},
        "ziegler2019-figure7": {"kind": "speed", "speeds": ["ptb", "nottingham"]},
        "ziegler2019-curves": {"kind": "curves", "runs": ["ptb-lstm", "ptb-af_af", "jsb-af_af"]},
    }
    shown = ["words-tril", "words-tril2-k10", "words-real_nvp", "words-gru8", "words-gru16"]
    figures |= {
        "schmidt2018-figure1": {"kind": "gap_lengths", "runs": ["words-tril2-k10"]},
        "schmidt2018-figure2": {"kind": "entropies", "runs": ["words-tril2-k10", "words-gru8"]},
        "schmidt2018-trajectories": {"kind": "trajectories", "runs": shown},
        "schmidt2018-curves": {"kind": "curves", "runs": shown},
    }
    figures = {name: {"reproduces": name.split("-")[0], "title": name, **block} for name, block in figures.items()}
    tables |= {"ours-summary": {"title": "Ours", "tasks": tasks()}}
    figures |= {"ours-time": {"title": "Time", "kind": "time", "table": "ours-summary"}}
    speeds = {name: {"runs": [f"{name}-lstm", f"{name}-iaf_scf"]} for name in ("ptb", "nottingham")}
    return Params("demo", {}, datasets, {}, runs, speeds, texts, tables, figures)


def tasks() -> dict[str, Any]:
    """Three tasks, with runs of the papers in the place of ours."""
    language = {"paper": ["tvqa-att_c", "tvqa-att_ar"], "ours": [], "baseline": ["tvqa-lstm", "tvqa-lstm.floor"]}
    words = {"paper": ["words-tril", "words-tril-k5"], "ours": ["words-tril2-k10"], "baseline": ["words-gru8"]}
    text = {"paper": ["ptb-af_af", "ptb-iaf_scf"], "ours": ["ptb-af_af-h2", "ptb-af_af-h5"], "baseline": ["ptb-lstm"]}
    return {
        "characters": {"metric": "nll", **text},
        "embedded text": {"metric": "nll", **language},
        "words": {"metric": "cross_entropy_test", **words},
    }


def words_run(corpus: str, name: str, seeds: tuple[int, ...]) -> dict[str, Any]:
    """A run on words, the same at every scale."""
    model: dict[str, Any] = {"class": "gru_baseline", "state": int(name.removeprefix("gru"))} if "gru" in name else {}
    training = {"epochs": 20, "drawn": 250368, "batch_size": 512, "learning_rate": 2.0e-3}
    if not model:
        kind = name.split("-")[0]
        model = {"class": "state_space", "transition": "tril" if kind.startswith("tril") else kind}
        model |= {"layers": 2} if kind == "tril2" else {}
        model |= next(({"proposals": int(k)} for k in ("10", "5", "2") if f"-k{k}" in name), {})
        model |= {"reader": "both"} if "both" in name else {}
        model |= {"inference": "tril"} if "inference" in name else {}
        training |= {"kl_free_epochs": 2, "kl_ramp_epochs": 6} if "annealing" in name else {}
    block = {"seeds": list(seeds), "model": model, "training": training, "evaluation": {"trajectories": list(COUNTS)}}
    dataset = {"words": "words", "types": "words_types", "sample": "words_sample"}[corpus]
    entry = {"reproduces": "schmidt2018", "dataset": dataset}
    return entry | {scale: block for scale in ("demo", "laptop", "paper")}


def word_tables() -> dict[str, Any]:
    """Tables 1 and 2 of the second paper, and its variants."""
    columns = {
        "H[P_train, P^]": "cross_entropy_train", "H[P_test, P^]": "cross_entropy_test", "w unique": "unique_known",
        "w in V": "known", "H_gap": "entropy_gap",
    }  # fmt: skip

    def row(run: str) -> dict[str, str]:
        shown = list(columns.items())[: 4 if "gru" in run else 5]
        return {column: f"{run}.{metric}" for column, metric in shown}

    rows1 = {name: row(f"words-{run}") for name, run in WORD_ROWS.items()}
    oracle = ("oracle_train", "oracle_test", "oracle_unique_known", "oracle_known")
    rows1["ORACLE"] = {column: f"words-gru8.{metric}" for column, metric in zip(columns, oracle, strict=False)}
    grams = {"P_3-gram(w)": "perplexity_3", "P_5-gram(w)": "perplexity_5"}
    shown = list(columns.items())[:2] + list(grams.items())
    rows2 = {
        name: {column: f"types-{run}.{metric}" for column, metric in shown}
        for name, run in (("2×TRIL, K=5", "tril2-k5"), ("BASELINE-8D", "gru8"))
    }
    variants = {name: row(f"words-{name}") for name in ("tril", "diag", "tril-inference_tril", "tril-annealing")}
    variants |= {f"sample {name}": row(f"sample-{name}") for name in SAMPLE}
    parts = {"table1": rows1, "table2": rows2, "variants": variants}
    return {
        f"schmidt2018-{name}": {"reproduces": "schmidt2018", "title": f"Words: {name}", "rows": rows}
        for name, rows in parts.items()
    }


def word_values(name: str, embedded: bool) -> dict[str, tuple[float, str, int]]:
    """Metric -> (value, unit, samples) of a run on words, as printed; it settles on the largest number."""
    corpus, model = name.split("-", 1)
    train, test, unique, known, gap, *grams = CORPORA[corpus][model]
    unit, exact = "nats/word", "gru" in model
    found: dict[str, tuple[float, str, int]] = {}
    for half, value in (("train", train), ("test", test)):
        found[f"cross_entropy_{half}"] = (value, unit, 0 if exact else 400)
        found[f"cross_entropy_{half}_bits"] = (value / math.log(2), "bits/word", 0 if exact else 400)
        found |= {} if exact else {f"cross_entropy_{half}_half": (value + 0.003, unit, 200)}
        for k in COUNTS:
            found[f"cross_entropy_{half}@{k}"] = (value + (2.5 if exact else 1.2) / (1 + math.log10(k)) - 0.2, unit, k)
    found["cross_entropy_difference"] = (test - train, unit, 0 if exact else 400)
    found |= {
        "unique": (0.5, "1", 14300),
        "unique_known": (unique, "1", 14300),
    }
    found |= {
        "known": (known, "1", 14300),
        "unique_all": (0.4, "1", 96726),
        "unique_known_all": (unique / 2, "1", 96726),
        "known_all": (known, "1", 96726),
    }
    found["entropy_expected"] = (1.5 if exact else 1.2, "nats", 0 if exact else 20)
    if not exact:
        found |= {"settled": (float(model != "tril2"), "1", 400), "elbo": (test + 0.3, unit, 400)}
        found |= {"reconstruction": (6.0, unit, 400), "kl": (test - 5.7, unit, 400), "kl_share": (0.4, "1", 400)}
        found |= {"ess": (3.5, "samples", 400), "entropy_gap": (gap, "nats", 20)}
        found |= {"trajectories_above": (0.1, unit, COUNTS[-1]), "known_likeliest": (known + 0.1, "1", 14300)}
        found |= {f"entropy_gap_whole@{k}": (gap + 0.4, "nats", k) for k in (20, 1000)}
        found |= {"known_wide": (known + 0.03, "1", 14300), "entropy_marginal": (1.2 + gap, "nats", 20)}
    for order, value in zip((3, 5), grams, strict=False):
        found |= {f"perplexity_{order}": (value, "1", 14300), f"perplexity_{order}_tokens": (value - 5, "1", 14300)}
    test_entropy = {"words": 6.80, "types": 5.0, "sample": 6.8}[corpus]
    found |= {"oracle_train": (7.0, unit, 0), "oracle_test": (7.02, unit, 0), "oracle_unique_known": (0.27, "1", 14300)}
    found |= {"oracle_known": (1.0, "1", 14300), "oracle_unseen": (0.0002, "1", 0), "train_entropy": (7.0, unit, 0)}
    found |= {"test_entropy": (test_entropy, unit, 0), "parameters": (4321, "1", 0)}
    if embedded:
        found |= {"source": (6.9, unit, 0), "source_entropy": (6.95, unit, 0), "excess": (4.5, "nats/sequence", 0)}
    return found


def write_words_run(scale: str, name: str, seeds: tuple[int, ...] = (0,), spread: float = 0.004) -> None:
    """train/, metrics.json and evaluation/ of a run on words; set-based measures vary ten times as much over seeds."""
    records, params = [], matrix()
    block, exact = params.run(scale, name), "gru" in name
    shown = {part: block.get(part) for part in ("dataset", "model", "training", "evaluation")}
    embedded = params.datasets[block["dataset"]][scale]["source"].startswith("embedded")
    for seed in seeds:
        shift = spread * (seed - np.mean(seeds))
        for metric, (value, unit, samples) in word_values(name, embedded).items():
            fixed = metric.startswith(("oracle", "train_", "test_", "source", "parameters", "settled"))
            fixed = fixed or metric == "cross_entropy_difference"  # both halves move together
            factor = 0.0 if fixed else 10 * value / 12 if metric in ("unique_known", "known") else 1.0
            sampled = "cross_entropy" in metric and samples
            records.append({
                "seed": seed, "metric": metric, "value": value + factor * shift, "unit": unit, "samples": samples,
                "standard_error": 0.002 if sampled else None, "sequences": 5000, "dataset": block["dataset"],
                "dataset_sha256": "ab" * 32, "revision": "r1", "train_revision": "r1",
                "config_hash": files.digest(shown), "device": "cpu", "wall_seconds": 1.25,
            })  # fmt: skip
        write_words_training(scale, name, seed, exact)
        if name == "words-tril2-k10":  # the one that is drawn
            write_gaps(scale, name, seed)
    content = {"run": name, "scale": scale, "reproduces": "schmidt2018", "dataset": block["dataset"]}
    files.write_json(paths.metrics(scale, name), files.sealed(content | {"metrics": records}))


def write_words(scale: str, params: Params, seeds: tuple[int, ...] = (0,)) -> None:
    """Every file of the second paper at a scale."""
    for name, run in params.runs.items():
        if run["reproduces"] == "schmidt2018":
            write_words_run(scale, name, seeds)


def write_words_training(scale: str, name: str, seed: int, exact: bool) -> None:
    """train.json and history.csv of a seed, with the entropies of the model's symbols."""
    folder, test = paths.seed(scale, name, seed), CORPORA[name.split("-")[0]][name.split("-", 1)[1]][1]
    rows = []
    for epoch in range(1, 21):
        row = {"epoch": epoch, "steps": 489 * epoch, "kl_weight": 1.0, "train_loss": test - 3 + 4 / epoch}
        row |= {"valid_loss": test - 3 + 4.1 / epoch, "entropy_expected": 1.2 + 1.4 / epoch}
        row |= {"learning_rate": 2e-3 if epoch < 12 else 1e-3}
        row |= {} if exact else {"valid_kl": 3.5 - 3 / epoch, "entropy_marginal": 2.6 - 0.2 / epoch}
        rows.append(row)
    write_seed(folder, rows, trained(scale, name, seed) | {"epochs": 20, "wall_seconds": 10.0})


def write_gaps(scale: str, name: str, seed: int, words: int = 600, fall: float = 0.15) -> None:
    """gaps.csv of generated words of 1 to 13 letters, the gap falling by ``fall`` a step, with more and more spread."""
    rng, rows = np.random.default_rng(seed), []
    for word in range(words):
        length = int(np.clip(rng.normal(7, 2.5), 1, 12)) + 1
        for step in range(1, length + 1):
            gap = max(0.0, 1.8 - fall * (step - 1) + 0.06 * step * rng.normal())
            rows.append({"word": word, "length": length, "step": step, "marginal": 1.2 + gap, "expected": 1.2})
    folder = paths.evaluation(scale, name) / f"seed-{seed}"
    files.write_csv(folder / "gaps.csv", rows, ("word", "length", "step", "marginal", "expected"))


def values(name: str) -> dict[str, tuple[float, str]]:
    """Metric -> (value, unit) of a run: near what the paper prints, so that its orderings hold."""
    dataset, model = name.split("-", 1)
    if dataset == "gaussians":
        nll = 2.0 if model == "nlsq" else 2.3
        return {"nll": (nll, "nats"), "source": (1.98, "nats"), "excess": (nll - 1.98, "nats/sequence")}
    if dataset in LANGUAGE_SETS:
        nll = LANGUAGE[model][LANGUAGE_SETS.index(dataset)]
        found = {"nll": (nll, "bits/dim"), "nll_noiseless": (nll - 0.7, "bits/dim"), "floor": (-9.953, "bits/dim")}
        found["nll_above_floor"] = (50 * (nll + 9.953) * math.log(2), "nats/position")
        found |= {"nll_code": (64 * (nll + 5.3), "bits/D"), "nll_code_train": (64 * (nll + 5.3) + 6, "bits/D")}
        return found | {"parameters": (12345, "1")}
    unit = "bpc" if dataset == "ptb" else "nats/step"
    nll = TEXT[name] if dataset == "ptb" else MUSIC[dataset][list(MODELS.values()).index(model)]
    found = {"nll": (nll, unit), "source": (nll / 2, unit), "source_entropy": (nll / 2, unit)}
    if model != "lstm":
        found |= {f"nll@{k}": (nll + (0.1 / k - 0.1 / 50), unit) for k in (1, 10, 50, 100)}
        found |= {"elbo": (nll + 0.1, unit), "reconstruction": (0.1, unit), "reconstruction_pure": (0.05, unit)}
        found |= {
            "kl": (nll, unit),
            "kl_share": (nll / (nll + 0.1), "1"),
            "ess": (12.3, "samples"),
            "length": (0.05, unit),
        }
    if dataset != "ptb":
        found["nll_literature"] = (nll - 0.01, unit)
    return found | {"excess": (20.0, "nats/sequence"), "parameters": (12345, "1")}


def write_run(scale: str, name: str, seeds: tuple[int, ...] = (0,), spread: float = 0.004, sequences: int = 40) -> None:
    """train/, metrics.json and evaluation/ of a run; scores.csv agrees with the NLL."""
    rng = np.random.default_rng(len(name))
    records, block = [], matrix(seeds).run(scale, name)
    shown = {part: block.get(part) for part in ("dataset", "model", "training", "evaluation")}
    for seed in seeds:
        shift = spread * (seed - np.mean(seeds))
        for metric, (value, unit) in values(name).items():
            scored = metric.startswith("nll")
            exact = metric in ("parameters", "source_entropy", "source")
            records.append({
                "seed": seed, "metric": metric, "value": value + (0 if exact else shift), "unit": unit,
                "samples": 1 if name.endswith("lstm") or exact else 50, "standard_error": 0.01 if scored else None,
                "sequences": sequences, "dataset": name.split("-")[0], "dataset_sha256": "ab" * 32, "revision": "r1",
                "train_revision": "r1", "config_hash": files.digest(shown), "device": "cpu", "wall_seconds": 1.25,
            })  # fmt: skip
        write_scores(scale, name, seed, shift, sequences)
        write_training(scale, name, seed, rng)
    content = {
        "run": name,
        "scale": scale,
        "reproduces": matrix(seeds).runs[name]["reproduces"],
        "dataset": name.split("-")[0],
        "metrics": records,
    }
    files.write_json(paths.metrics(scale, name), files.sealed(content))


def write_scores(scale: str, name: str, seed: int, shift: float, sequences: int) -> None:
    """Sequences of 10 to 49 symbols, the same for all models, each with the run's NLL and a shared difficulty."""
    value, unit = values(name)["nll"]
    nats = (value + shift) * (math.log(2) if unit == "bpc" else 1)
    difficulty = np.random.default_rng(7).normal(size=sequences)
    lengths = np.zeros(sequences, int) if unit == "bits/dim" else 10 + np.arange(sequences) % 40
    difficulty -= difficulty.dot(lengths + 1) / (lengths + 1).sum()
    noise = np.random.default_rng(sum(map(ord, name))).normal(size=sequences) * 0.002
    noise -= noise.dot(lengths + 1) / (lengths + 1).sum()
    each = (nats + 0.2 * difficulty + noise) * (lengths + 1)
    rows = [
        {"index": i, "length": n, "nll": nll, "length_nats": 0.0}
        for i, (n, nll) in enumerate(zip(lengths, each, strict=True))
    ]
    folder = paths.evaluation(scale, name) / f"seed-{seed}"
    files.write_csv(folder / "scores.csv", rows, ("index", "length", "nll", "length_nats"))
    files.write_text(folder / "samples.txt", "# temperature 1, symbols drawn\na sample\n")


def write_training(scale: str, name: str, seed: int, rng: np.random.Generator) -> None:
    """train.json and history.csv of a seed."""
    folder = paths.seed(scale, name, seed)
    rows = [
        {
            "epoch": epoch, "steps": 10 * epoch, "kl_weight": min(1, epoch / 8), "train_loss": 1 + 2 / epoch,
            "valid_loss": 1.1 + 2 / epoch + 0.02 * rng.normal(), "valid_kl": 0.9 - 0.5 / epoch, "seconds": 0.5,
            "symbols_per_second": 1000.0,
        }
        for epoch in range(1, 21)
    ]  # fmt: skip
    ended = {"epochs": 20, "wall_seconds": 10.0, "files": {"model.safetensors": MODEL_SHA256}}
    write_seed(folder, rows, trained(scale, name, seed) | ended)


def write_seed(folder: Path, rows: Sequence[dict[str, Any]], record: dict[str, Any]) -> None:
    """history.csv of some rows, and the train.json that belongs to it."""
    files.write_csv(folder / "history.csv", rows, tuple(rows[0]))
    listed = {**record.get("files", {}), "history.csv": files.sha256(folder / "history.csv")}
    files.write_json(folder / "train.json", files.sealed({**record, "files": listed}))


def rewrite(path: Path, **changes: Any) -> None:
    """Change entries of a metrics.json or train.json as the stage that wrote it would have."""
    files.write_json(path, files.sealed(files.read_sealed(path) | changes))


def retrained(scale: str, name: str, **training: Any) -> None:
    """Change the settings of training in the records of a run's seeds, as if it had been trained with them."""
    for seed in records.seed_folders(paths.train(scale, name)):
        path = seed / "train.json"
        config = files.read_sealed(path)["config"]
        rewrite(path, config={**config, "training": {**config["training"], **training}})


def write_text(scale: str, name: str, header: dict[str, str] | None = None) -> None:
    """What a model wrote, in the form of the stage ``generate``; ``header`` says what is other than it has to be."""
    from seqflows.evaluation import generate

    params = matrix()
    block = params.text(scale, name)
    ways = ("greedy", "beam of 5") if block["run"].endswith("ar") else ("all steps at once",)
    labels = {"samples": ("1", "2"), "interpolation": ("0.6", "0.4"), "regeneration": ("noise 0.1", "noise 0.5")}
    lines = [
        generate.Line(label, way, f"{block['run']} wrote | {label} {way}")
        for label in labels[block["kind"]]
        for way in ways
    ]
    if block["kind"] == "interpolation":
        ends = [generate.Line(f"sentence {end}", "", f"the <unk> end_{end}") for end in "12"]
        lines = [ends[0], *lines, ends[1]]
    elif block["kind"] == "regeneration":
        lines.insert(0, generate.Line("context", "", f"a context of {block['dataset']}"))
    numbers = [generate.Line(generate.GIVEN, "", "texts 4; words 40; perplexity 55.00 (5.00); distinct 1.0000")]
    for label, share in (("noise 0", "right"), ("noise 0.5", "changed")):
        counted = f"texts 4; words 36; {share} 0.9000 (0.0500); perplexity 310.00 (20.00); distinct 0.7500"
        numbers += [generate.Line(label, way, counted) for way in ways]
    title = {"samples": "samples", "interpolation": "pair 1", "regeneration": "context 1"}[block["kind"]]
    facts = {
        "text": name, "scale": scale, "run": block["run"], "seed": 0, "config_hash": files.digest(block),
        "model_sha256": MODEL_SHA256, "train_revision": "r1", "device": "cpu",
    }  # fmt: skip
    blocks = [generate.Group(title, lines), generate.Group(generate.NUMBERS, numbers)]
    files.write_text(
        paths.text(scale, name),
        generate.page(facts | (header or {}), blocks),
    )


def train_info(scale: str, name: str, seed: int) -> dict[str, Any]:
    """What a live tracker is given."""
    return {
        "run": name, "scale": scale, "seed": seed, "config": {"model": {"width": 32}, "training": {"epochs": 20}},
        "config_hash": "cd" * 32, "dataset": name.split("-")[0], "dataset_sha256": "ab" * 32, "revision": "r1",
        "device": "cpu", "device_name": "a processor", "precision": "fp32", "parameters": 12345,
    }  # fmt: skip


def trained(scale: str, name: str, seed: int) -> dict[str, Any]:
    """The train.json of a seed that was trained with the settings of the matrix."""
    config = params.trained(matrix().run(scale, name))
    return train_info(scale, name, seed) | {"config": config, "config_hash": files.digest(config)}


def write_exports(scale: str) -> None:
    """What figures 3b, 5 and 6 draw from, and the times of figure 7."""
    rng = np.random.default_rng(0)
    string, steps = "of the groups ", []
    for t in range(6):
        logits = rng.normal(size=len(VOCABULARY)) * (3 if t % 2 else 1.2)
        log_prob = logits - np.log(np.exp(logits).sum())
        steps.append({"t": 7 + t, "prefix": string[: 7 + t], "next": string[7 + t], "log_prob": log_prob.tolist()})
    folder = paths.evaluation(scale, "ptb-lstm") / "seed-0"
    files.write_json(folder / "conditionals.json", {"string": string, "vocabulary": VOCABULARY, "steps": steps})
    axis = np.linspace(-3, 3, 60)
    points = np.stack(np.meshgrid(axis, axis), -1)
    corners = [(a, b) for a in (-1.5, 1.5) for b in (-1.5, 1.5)]

    def mixture(centres: list[tuple[float, float]], scale: float) -> np.ndarray:
        squares = [((points - np.array(centre)) ** 2).sum(-1) / (2 * scale**2) for centre in centres]
        return np.log(np.mean([np.exp(-square) for square in squares], 0) / (2 * np.pi * scale**2) + 1e-30)

    for run, width in (("gaussians-nlsq", 0.34), ("gaussians-affine", 0.6)):
        folder = paths.evaluation(scale, run) / "seed-0"
        folder.mkdir(parents=True, exist_ok=True)
        learned, true = mixture(corners, width), mixture(corners, 0.3)
        np.savez(folder / "density_grid.npz", x=axis, y=axis, log_density=learned, true_log_density=true)
    eps = np.linspace(-4, 4, 400)
    z = eps + 1.2 * np.tanh(3 * (eps - 0.5)) + 0.9 * np.tanh(4 * (eps + 1))
    base = np.exp(-(eps**2) / 2) / math.sqrt(2 * math.pi)
    np.savez(
        paths.evaluation(scale, "gaussians-nlsq") / "seed-0" / "nlsq.npz",
        eps=eps, z=z, base_density=base, density=base / np.gradient(z, eps),
    )  # fmt: skip
    folder = paths.evaluation(scale, "ptb-af_af-h2") / "seed-0"
    folder.mkdir(parents=True, exist_ok=True)
    densities = [mixture([(rng.uniform(-2, 2), rng.uniform(-2, 2)) for _ in range(1 + t % 4)], 0.3) for t in range(8)]
    np.savez(
        folder / "prior_grid.npz",
        symbols=np.arange(8), x=axis, y=axis, log_density=np.stack(densities), z=rng.normal(size=(8, 2)),
    )  # fmt: skip
    files.write_json(folder / "prior_grid.json", {"string": " groups "})
    for name in ("ptb", "nottingham"):
        write_speed(scale, name)


def write_speed(scale: str, name: str, flow: float = 0.4) -> None:
    """Times of a serial model and of one whose steps cost ``flow`` as much after a constant."""
    rng = np.random.default_rng(1)
    rows = []
    for run, start, slope in ((f"{name}-lstm", 1e-4, 2e-4), (f"{name}-iaf_scf", 4e-3, 2e-4 * flow)):
        for length in (10, 50, 100, 150, 200):
            for repeat in range(20):
                seconds = (start + slope * length) * (1 + 0.05 * rng.normal())
                rows.append((name, run, length, repeat, seconds, "cpu", 1))
    path: Path = paths.speed(scale, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("speed", "run", "length", "repeat", "seconds", "device", "threads"))
        writer.writerows(rows)


def write_all(scale: str, params: Params, seeds: tuple[int, ...] = (0,)) -> None:
    """Every file of a scale."""
    for name, run in params.runs.items():
        if run["reproduces"] != "schmidt2018":
            write_run(scale, name, seeds)
    write_words(scale, params, seeds)
    for name in params.texts:
        write_text(scale, name)
    write_exports(scale)
