"""The page of systems that choose an answer: its table, its stand-in, and what stands beside accuracy."""

from __future__ import annotations

import csv
from dataclasses import replace

import pytest

from seqflows import files, paths
from seqflows.params import Params
from seqflows.report import tables

TABLE = "tang2021-answers"
BLOCK = {"seeds": [0, 1], "model": {"class": "stage"}, "training": {"epochs": 3}, "evaluation": {}}
ROWS = {"STAGE": "answers-a", "STAGE, wider": "answers-b"}
VALUES = {
    "accuracy": ("%", 40.0), "nll": ("nats/question", 1.5), "temporal_iou": ("%", 25.0),
    "temporal_iou_reachable": ("%", 39.4), "joint_accuracy": ("%", 9.0), "overlap_accuracy": ("%", 37.8),
    "parameters": ("1", 1234.0),
}  # fmt: skip


def matrix(source):
    data = {"kind": "choices", **{scale: {"source": source} for scale in paths.SCALES}}
    run = {"reproduces": "tang2021", "dataset": "asked", **dict.fromkeys(paths.SCALES, BLOCK)}
    cells = {row: {"Valid-Accuracy": f"{name}.accuracy"} for row, name in ROWS.items()}
    block = {"reproduces": "tang2021", "title": "Answers", "rows": cells}
    return Params("laptop", {}, {"asked": data}, {}, dict.fromkeys(ROWS.values(), run), {}, {}, {TABLE: block}, {}, {})


def write_run(name, shift, values):
    rows = []
    for seed in (0, 1):
        for metric, (unit, value) in values.items():
            rows.append({
                "seed": seed, "metric": metric, "value": value + shift + seed * (metric == "accuracy"), "unit": unit,
                "samples": 0, "standard_error": None if metric == "parameters" else 2.0,
                "sequences": 119 if metric == "accuracy_plus" else 602,
                "dataset": "asked", "dataset_sha256": "ab" * 32, "revision": "r1", "train_revision": "r1",
                "config_hash": files.digest({part: BLOCK.get(part) for part in ("model", "training", "evaluation")}
                                            | {"dataset": "asked"}), "device": "cpu",
            })  # fmt: skip
    content = {
        "run": name, "scale": "laptop", "reproduces": "tang2021", "dataset": "asked", "metrics": rows, "files": {},
    }  # fmt: skip
    files.write_json(paths.metrics("laptop", name), files.sealed(content))


def written(source, **more):
    for number, name in enumerate(ROWS.values()):
        write_run(name, float(number), VALUES | more)
    tables.run(paths.Key("laptop", TABLE), matrix(source))
    csv_path, md_path = paths.table("laptop", TABLE)
    with open(csv_path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file)), md_path.read_text()


def test_a_stand_in_says_so_in_title_cell_and_corpus(place):
    rows, text = written("tvqa-choices-descriptions")
    assert text.startswith("# Answers (stand-in)") and "40.50 ± 0.71 (2.00) stand-in" in text
    assert "five timed descriptions" in text and "without Att. Sup." in text
    cell = next(row for row in rows if (row["row"], row["column"]) == ("STAGE", "Valid-Accuracy"))
    assert float(cell["reproduced"]) == pytest.approx(40.5) and cell["unit"] == "%" and cell["sequences"] == "602"


def test_rows_with_supervised_attention_are_named(place, monkeypatch):
    models = {"answers-a": {"concepts": "read", "attention": 0.0}, "answers-b": {"concepts": "read"}}
    found = matrix("tvqa-plus-concepts")
    runs = {name: {**run, **{scale: BLOCK | {"model": {"class": "stage", **models[name]}} for scale in paths.SCALES}}
            for name, run in found.runs.items()}  # fmt: skip
    monkeypatch.setitem(globals(), "matrix", lambda source: replace(found, runs=runs))
    _, text = written("tvqa-plus-concepts")
    assert "Att. Sup. of STAGE, wider: its loss is of attention to the words of detected things" in text
    assert "the other rows are without it" in text and "no file of detections is given" not in text


def test_the_papers_own_data_are_no_stand_in(place):
    _, text = written("tvqa-choices")
    assert "stand-in" not in text and "without Att. Sup." in text and "Chance is 20 %" in text


def test_what_the_paper_does_not_print_stands_below(place):
    _, text = written("tvqa-choices")
    below = text[text.index("## Beyond the paper") :]
    (header,) = [line for line in below.splitlines() if line.startswith("| Model")]
    names = ("NLL", "temporal IoU", "IoU of the best lines", "answer and time", "word overlap", "parameters")
    assert [part.strip() for part in header.strip("|").split("|")] == ["Model", *names]
    assert "37.80" in below and "1234" in below and "39.40" in below


def test_the_second_set_stands_below_with_its_number_of_questions(place):
    _, text = written("tvqa-choices", accuracy_plus=("%", 61.0))
    assert "Accuracy, TVQA+: over 119 of the 602 questions, those of its validation split" in text
    (header,) = [line for line in text[text.index("## Beyond the paper") :].splitlines() if line.startswith("| Model")]
    assert "| accuracy, TVQA+ |" in header and "61.00" in text


def test_records_without_a_second_set_say_nothing_of_it(place):
    _, text = written("tvqa-choices")
    assert "TVQA+:" not in text and "accuracy, TVQA+" not in text


@pytest.mark.parametrize(("kind", "source"), [("choices", "tvqa-choices"), ("spans", "squad-answers-full")])
def test_rows_that_were_not_compared_are_named(place, monkeypatch, kind, source):
    """A run that was not evaluated when its table was compared has a number and no p-value."""
    found = matrix(source)
    data = {"asked": {**found.datasets["asked"], "kind": kind}}
    scores = {"accuracy": "Valid-Accuracy"} if kind == "choices" else {"em": "EM", "f1": "F1"}
    rows = {row: {column: f"{name}.{metric}" for metric, column in scores.items()} for row, name in ROWS.items()}
    table = {**found.tables[TABLE], "rows": rows}
    monkeypatch.setitem(globals(), "matrix", lambda _: replace(found, datasets=data, tables={TABLE: table}))
    content = {"scale": "laptop", "table": TABLE, "draws": 10, "sequences": 602, "reference": {}, "reachable": {}}
    content |= {name: [] for name in ("absent", "examples", "systems", "human", "metrics", "intervals", "pairs")}
    content |= {"missing": {}, "trained": {"dataset": "asked", "train": 1, "valid": 1}}
    more = {"em": ("%", 30.0), "f1": ("%", 40.0)} if kind == "spans" else {}
    files.write_json(paths.compared("laptop", TABLE), files.sealed(content))
    assert "not in this comparison" not in written(source, **more)[1]
    files.write_json(paths.compared("laptop", TABLE), files.sealed(content | {"absent": ["answers-b"]}))
    assert "**Evaluated, not in this comparison**: answers-b" in written(source, **more)[1]
