"""From an encoder in a folder to a table: features, training, evaluation, comparison and table, without network."""

from __future__ import annotations

import csv
import os

import pytest
from test_features import bert  # noqa: F401  (a fixture)

import staged
from conftest import ROOT
from seqflows import cli, files, params, paths

TABLE, RUNS = "tang2021-table6", ("squad-qg", "squad-qg-lang_flow")


@pytest.fixture
def project(tmp_path, monkeypatch, bert):  # noqa: F811
    """The demo's questions, fewer of them, with features of the two last layers of a BERT in a folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEQFLOWS_CHECKPOINTS", str(tmp_path / "checkpoints"))
    content = params.read(ROOT / "params.yaml")
    content["datasets"]["squad_questions"]["demo"].update(train=40, valid=10, test=20)
    content["features"]["squad_questions"]["demo"] = {"model": str(bert), "layers": [-2, -1]}
    for run in RUNS:
        content["runs"][run]["demo"]["training"].update(epochs=1, drops=None)
    content["comparisons"][TABLE]["demo"].update(draws=100, judged=5)
    for part in ("tables", "comparisons"):  # another has these runs too, and the file's order, which it loses, decides
        del content[part]["tang2021-qg-variants"]
    staged.write(content)


def test_a_table_of_questions_comes_from_an_encoder_in_a_folder(project, bert):  # noqa: F811
    assert os.environ["HF_HUB_OFFLINE"] == "1"
    for stage in ("download", "prepare", "features"):
        assert cli.main([stage, "demo/squad_questions"]) == 0
    for run in RUNS:
        assert cli.main(["train", f"demo/{run}"]) == cli.main(["evaluate", f"demo/{run}"]) == 0
    assert cli.main(["compare", f"demo/{TABLE}"]) == cli.main(["table", f"demo/{TABLE}"]) == 0
    header = files.read_json(paths.features("demo", "squad_questions") / "header.json")
    assert header["encoder"]["model"] == str(bert)
    with open(paths.table("demo", TABLE)[0], newline="") as file:
        rows = {(row["row"], row["column"]): row for row in csv.DictReader(file)}
    for name in ("QG baseline", "+ Lang-Flow"):
        found = {column: rows[name, column]["reproduced"] for column in ("BLEU4", "Rouge-L", "Meteor")}
        assert all(found.values()), found
    assert not rows["FlowSeq", "BLEU4"]["reproduced"]
    assert str(bert) in paths.table("demo", TABLE)[1].read_text()
