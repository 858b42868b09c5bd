"""The translators of scale demo, as params.yaml has them: they give right translations."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import tiny
from conftest import ROOT
from seqflows import compute, models, params
from seqflows.config.training import Training
from seqflows.data import download, prepare, prepared, subwords
from seqflows.data.embedded import numerals
from seqflows.data.translated import sources
from seqflows.models.search import written
from seqflows.training.progress import Progress
from seqflows.training.trainer import Trainer

CPU = compute.Machine(torch.device("cpu"), "cpu", 1, "fp32")


@pytest.mark.parametrize("run", ("wmt16-nmt", pytest.param("wmt16-nmt-reverse", marks=pytest.mark.slow)))
def test_nineteen_of_twenty_translations_are_right(tmp_path, run):
    matrix = params.load(ROOT / "params.yaml")
    block = matrix.run("demo", run)
    data = matrix.dataset("demo", block["dataset"])
    download.fetch(data, tmp_path / "raw")
    prepare.prepare(data, tmp_path / "raw", tmp_path / "prepared", block["dataset"])
    dataset = prepared.load(tmp_path / "prepared")
    torch.manual_seed(block["seeds"][0])
    model = models.build(block["model"], dataset.facts())
    settings = Training.of(block["training"], "training")
    stop = tiny.Cut()
    stop.left = 10**9
    trainer = Trainer(model, dataset, settings, block["seeds"][0], CPU, tmp_path / "checkpoint")
    trainer.run(Progress("test", settings.epochs), stop, lambda row: None)
    texts = written(model.eval(), dataset.test, np.arange(len(dataset.test)), block["evaluation"]["beam"], 64, "cpu")
    right = numerals.right(dataset, sources(dataset, dataset.test))
    hits = [subwords.decode(ids, dataset.vocabulary) in known for ids, known in zip(texts, right, strict=True)]
    assert np.mean(hits) >= 0.95
