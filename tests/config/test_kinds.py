"""The table of kinds: what a new kind needs is a row and its modules."""

import ast
import dataclasses
import inspect

import numpy as np
import pytest
import torch

from seqflows import kinds, stages
from seqflows.config import corpora
from seqflows.config.evaluation import EVALUATIONS
from seqflows.config.models import MODELS
from seqflows.data import batching, download, embedded, prepare, prepared
from seqflows.errors import Problem

KINDS = list(kinds.KINDS.values())


def parameters(function):
    return list(inspect.signature(function).parameters)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_the_modules_of_a_row_are_there_and_alike(kind):
    assert parameters(kinds.load(kind.data).prepare) == ["block", "raw", "source", "dataset"]
    scoring = kinds.load(kind.evaluation)
    assert parameters(scoring.score) == ["model", "dataset", "settings", "task"]
    assert kind.report.startswith("seqflows.report.pages.")
    assert kind.nats > 0 and kind.validation_batch > 0


def test_every_source_and_every_run_is_of_a_kind():
    assert set(corpora.KINDS.values()) == set(kinds.KINDS) == set(EVALUATIONS)
    assert {kind for row in MODELS.values() for kind in row.kinds} == set(kinds.KINDS)
    assert set(embedded.MODULES) <= set(corpora.KINDS)


@pytest.mark.parametrize("name", MODELS)
def test_a_models_block_says_as_its_class_whether_the_likelihood_is_exact(name):
    assert MODELS[name].block.exact == MODELS[name].load().exact


def test_a_new_kind_is_a_row(tmp_path, monkeypatch):
    """Of modules that are there: prepared, loaded and batched as its row says."""
    letters = dataclasses.replace(kinds.of("text"), name="letters")
    monkeypatch.setitem(kinds.KINDS, "letters", letters)
    monkeypatch.setitem(corpora.KINDS, "embedded-text", "letters")
    block = {"kind": "letters", "source": "embedded-text", "seed": 1, "train": 50, "valid": 3, "test": 4}
    download.fetch(block, tmp_path / "raw")
    prepare.prepare(block, tmp_path / "raw", tmp_path / "out", "small")
    data = prepared.load(tmp_path / "out")
    assert data.kind == data.train.kind == "letters"
    assert (data.facts().emission, data.facts().symbols) == ("categorical", len(data.vocabulary))
    for ids, dtype in ((True, torch.int64), (False, torch.float32)):
        monkeypatch.setitem(kinds.KINDS, "letters", dataclasses.replace(letters, ids=ids))
        assert batching.collate(data.train, np.arange(2)).x.dtype == dtype


def test_an_unknown_kind_is_refused():
    with pytest.raises(Problem, match="expected a kind of data among text, .*, got 'musik'; nearest: music"):
        kinds.of("musik")


@pytest.mark.parametrize("stage", stages.TABLE)
def test_a_stage_depends_on_the_tables_that_its_code_reads(stage):
    """Each lists kinds.py and noise.py, which stand in no folder, where a file that it lists imports them."""
    row, read = stages.TABLE[stage], set()
    for path in [path for path in row.sources(stages.PACKAGE) if path.suffix == ".py"]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                names = {alias.name for alias in node.names} if node.module == "seqflows" else {node.module or ""}
                read |= {name.removeprefix("seqflows.") for name in names}
    assert {f"{name}.py" for name in read & {"kinds", "noise"}} <= set(row.code)
