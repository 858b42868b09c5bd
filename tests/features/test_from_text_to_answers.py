"""From embedded text to a table of answers: every stage of a reader, at sizes of seconds."""

from __future__ import annotations

import csv

import pytest

import staged
from conftest import ROOT
from seqflows import cli, files, params, paths

TABLE, RUN, OTHERS = "tang2021-table9", "squad-qa", "squad-same"


@pytest.fixture
def small(tmp_path, monkeypatch):
    """Put a project with a smaller dataset and shorter trainings of the runs whose names begin with one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEQFLOWS_CHECKPOINTS", str(tmp_path / "checkpoints"))

    def write(dataset, run, *, train, epochs):
        content = params.read(ROOT / "params.yaml")
        content["datasets"][dataset]["demo"].update(train=train, valid=10, test=20)
        for one in (entry for name, entry in content["runs"].items() if name.startswith(run) and "demo" in entry):
            one["demo"]["training"].update(epochs=epochs)
        staged.write(content)

    return write


def test_a_table_of_answers_comes_from_embedded_text(small):
    small("squad_answers", RUN, train=40, epochs=2)
    for stage in ("download", "prepare", "features"):
        assert cli.main([stage, "demo/squad_answers"]) == 0
    assert cli.main(["train", f"demo/{RUN}"]) == cli.main(["evaluate", f"demo/{RUN}"]) == 0
    for stage in ("rewrite", "features", "filter"):
        assert cli.main([stage, f"demo/{OTHERS}"]) == 0
    assert cli.main(["train", f"demo/{RUN}-same"]) == cli.main(["evaluate", f"demo/{RUN}-same"]) == 0
    assert cli.main(["compare", f"demo/{TABLE}"]) == cli.main(["table", f"demo/{TABLE}"]) == 0
    history = list(csv.DictReader((paths.seed("demo", RUN, 0) / "history.csv").open(newline="")))
    assert len(history) == 2 and all(0 <= float(row["valid_f1"]) <= 100 for row in history)
    metrics = {row["metric"]: row for row in files.read_json(paths.metrics("demo", RUN))["metrics"]}
    with open(paths.table("demo", TABLE)[0], newline="") as file:
        rows = {(row["row"], row["column"]): row for row in csv.DictReader(file)}
    for column, metric in (("EM", "em"), ("F1", "f1")):
        found = rows["Baseline BERT", column]["reproduced"]
        assert abs(float(found) - metrics[metric]["value"]) < 0.01
        assert not rows["+ Context (Language Flow)", column]["reproduced"]
        assert rows["filter alone", column]["reproduced"] == found  # no other text, so the same training
    made = files.read_sealed(paths.compared("demo", TABLE))
    for metric in ("em", "f1"):  # both systems are the same
        for one in (one for one in made["pairs"] if one["metric"] == metric):
            assert one["difference"] == one["standard_error"] == 0 and one["p"] == 1
        values = {one["run"]: one["value"] for one in made["intervals"] if one["metric"] == metric}
        assert abs(values[RUN] - metrics[metric]["value"]) < 1e-9 and set(values) == {RUN, f"{RUN}-same"}
    assert [one["share"] for one in made["differ"]] == [0.0]
    (told,) = made["contexts"]
    header = files.read_json(paths.filtered("demo", OTHERS) / "filter.json")
    assert (told["run"], told["rewriting"], told["seeds"]) == (f"{RUN}-same", OTHERS, header["seeds"])
    assert told["numbers"]["equal"] == 1 and [one["texts"] for one in made["originals"]] == [[], [], []]
    page = paths.table("demo", TABLE)[1].read_text()
    assert "88.76 / " in page and "NLL: nats of the first" in page and "81.02 / not run" in page
    assert "embedded corpora are not the paper's" in page and "## Generated contexts" in page


def test_a_table_of_chosen_answers_comes_from_embedded_dialogues(small):
    table, run, others = "tang2021-table8", "tvqa-qa", "tvqa-same"
    small("tvqa_answers", run, train=60, epochs=1)
    jobs = [("download", "tvqa_answers"), ("prepare", "tvqa_answers"), ("train", run), ("evaluate", run)]
    jobs += [("rewrite", others), ("filter", others), ("train", f"{run}-same"), ("evaluate", f"{run}-same")]
    for stage, name in [*jobs, ("compare", table), ("table", table)]:
        assert cli.main([stage, f"demo/{name}"]) == 0
    metrics = {row["metric"]: row for row in files.read_json(paths.metrics("demo", run))["metrics"]}
    with open(paths.table("demo", table)[0], newline="") as file:
        found = [row for row in csv.DictReader(file) if row["column"] == "Valid-Accuracy"]
    rows = {row["row"]: row["reproduced"] for row in found}
    assert abs(float(rows["Baseline TVQA+"]) - metrics["accuracy"]["value"]) < 0.01
    assert rows["filter alone"] == rows["Baseline TVQA+"] and not rows["+ Context (Language Flow)"]
    made = files.read_sealed(paths.compared("demo", table))
    values = {(one["run"], one["metric"]): one["value"] for one in made["intervals"]}
    both = ("accuracy", "accuracy_plus")  # over all questions, and over those of the second test set
    assert set(values) == {(name, metric) for name in (run, f"{run}-same") for metric in both}
    assert all(abs(values[run, metric] - metrics[metric]["value"]) < 1e-9 for metric in both)
    assert 2 * metrics["accuracy_plus"]["sequences"] == metrics["accuracy"]["sequences"]
    assert [one["share"] for one in made["differ"]] == [0.0] and {one["p"] for one in made["pairs"]} == {1}
    header = files.read_json(paths.filtered("demo", others) / "filter.json")
    assert header["score"] == "probability" and header["unknown"] == 0.0
    page = paths.table("demo", table)[1].read_text()
    assert "69.42 / " in page and "gain of, over" in page and "without Att. Sup." in page
    assert "Accuracy, TVQA+: over " in page and "accuracy, TVQA+:" in page
