"""A small project of translation: the embedded source prepared, both ways, and what some runs wrote."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import yaml

from seqflows import files, params, paths
from seqflows.data import download, prepare, prepared
from seqflows.data.translated import HELD_OUT, references

SCALE, TABLE = "demo", "tang2021-table7"
MODEL = {"class": "translator", "width": 8, "inner": 8, "heads": 2, "layers": 1}
TRAINING = {"epochs": 1, "batch_size": 8, "learning_rate": 0.1}
RUNS = {"base": "numbers", "better": "numbers", "reverse": "reversed"}


def write_params() -> params.Params:
    """A params.yaml with the runs of `RUNS`, a table and its comparison."""
    block = {"seeds": [0], "model": MODEL, "training": TRAINING, "evaluation": {"beam": 2}}
    data = {"source": "embedded-numbers", "train": 150, "valid": 20, "test": 41, "vocabulary_size": 330, "largest": 100}
    data |= {"max_length": 14}
    machine = {"compute": {"device": "cpu", "threads": 1, "precision": "fp32"}, "tracking": "files"}
    content = {
        "scale": SCALE,
        "scales": dict.fromkeys(paths.SCALES, machine),
        "datasets": {
            "numbers": {"kind": "translation", SCALE: data},
            "reversed": {"kind": "translation", SCALE: data | {"direction": "en-ro"}},
        },
        "runs": {run: {"reproduces": "tang2021", "dataset": name, SCALE: block} for run, name in RUNS.items()},
        "tables": {
            TABLE: {
                "reproduces": "tang2021",
                "title": "Table 7: translation",
                "columns": {"BLEU": "{}.bleu"},
                "rows": {"Transformer Baseline": "base", "+ Lang-Flow": "better", "reverse": "reverse"},
            }
        },
        **{part: {} for part in ("features", "speeds", "texts", "figures")},
        "comparisons": {TABLE: {SCALE: {"draws": 200, "examples": 3}}},
    }
    with open("params.yaml", "w", encoding="utf-8") as file:
        yaml.safe_dump(content, file)
    return params.load()


def write_data(matrix: params.Params) -> dict[str, prepared.Dataset]:
    """Both prepared datasets, by name."""
    for name in matrix.datasets:
        block, raw = matrix.dataset(SCALE, name), paths.raw(SCALE, name)
        download.fetch(block, raw)
        prepare.prepare(block, raw, paths.prepared(SCALE, name), name)
    return {name: prepared.load(paths.prepared(SCALE, name)) for name in matrix.datasets}


def spoiled(texts: Sequence[str], rate: float, seed: int) -> list[str]:
    """The texts, each without its last word with the probability ``rate``, or with another first one."""
    rng, found = np.random.default_rng(seed), []
    for text in texts:
        words = text.split()
        if rng.random() < rate:
            words = [*words[:-1], "Thing"] if rng.random() < 0.5 else ["Well,", *words]
        found.append(" ".join(words))
    return found


def write_run(run: str, dataset: prepared.Dataset, rate: float, matrix: params.Params) -> list[str]:
    """metrics.json and texts.json of a run that translates with mistakes; its texts, those of the test split first."""
    texts, content = [], []
    for split, part in ((dataset.test, None), (dataset.valid, HELD_OUT)):
        some = spoiled(references(dataset, split), rate, len(texts))
        for place, text in enumerate(some):
            name = part or str(split.contexts.articles[place])
            content.append({"id": str(split.contexts.ids[place]), "set": name, "hypothesis": text})
        texts += some
    folder = paths.evaluation(SCALE, run)
    files.write_json(folder / "seed-0" / "texts.json", {"beam": 2, "translations": content})
    row = {
        **{"seed": 0, "metric": "nll", "value": 2.0, "unit": "nats/piece", "samples": 0, "standard_error": 0.1},
        **{"sequences": 21, "dataset": dataset.name, "dataset_sha256": dataset.sha256, "revision": "r"},
        **{"config_hash": files.digest(params.scored(matrix.run(SCALE, run))), "train_revision": "r", "device": "cpu"},
        **{"precision": "fp32", "threads": 1, "device_name": "cpu", "wall_seconds": 1.0},
    }
    write_scores(folder / "seed-0" / "scores.csv", 21)
    listed = {path.relative_to(folder).as_posix(): files.sha256(path) for path in sorted(folder.rglob("*.*"))}
    about = {"run": run, "scale": SCALE, "reproduces": "tang2021", "dataset": dataset.name}
    files.write_json(paths.metrics(SCALE, run), files.sealed({**about, "metrics": [row], "files": listed}))
    return texts


def write_scores(path, count: int) -> None:
    """scores.csv of ``count`` sentences."""
    names = ("index", "length", "nll", "length_nats", "source_nll")
    files.write_csv(path, [dict(zip(names, (n, 1, 4.0, 0.0, ""), strict=True)) for n in range(count)], names)
