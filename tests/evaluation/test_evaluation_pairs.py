"""Every metric of a run on pairs, against what can be computed otherwise, and the texts that it leaves."""

from __future__ import annotations

import csv
import dataclasses

import numpy as np
import pytest
import torch

import pairs
from seqflows import compute, files, paths
from seqflows.config.evaluation import Pairs
from seqflows.data.batching import collate
from seqflows.errors import Problem
from seqflows.evaluation import scoring
from seqflows.evaluation.kinds import pairs as kind
from seqflows.models import build

CPU = compute.Machine(torch.device("cpu"), "cpu", 1, "fp32")
BLOCK = {"class": "encoder_decoder", "units": 4, "decoder_units": 5, "layers": 1, "dropout": 0.5, "flow_steps": 1}
BLOCK |= {"flow_scales": 2, "flow_width": 4, "flow_inner": 6, "flow_heads": 2}


def _model(dataset, seed=0, **changes):
    torch.manual_seed(seed)
    return build(BLOCK | changes, dataset.facts())


def _scored(model, dataset, folder, **settings):
    folder.mkdir(exist_ok=True)
    task = scoring.Task(paths.Key("demo", "x"), 1, CPU, 7, folder)
    rows = kind.score(model, dataset, Pairs.of(settings, "evaluation"), task)
    assert len({row["metric"] for row in rows}) == len(rows)
    return {row["metric"]: row for row in rows}


def test_the_headline_is_nats_a_word_with_the_end(tmp_path):
    dataset = pairs.dataset(count=70)  # more than a batch
    model = _model(dataset)
    found = _scored(model, dataset, tmp_path, beam=2)
    split, nll = dataset.test, []
    for place in range(len(split)):
        with torch.no_grad():
            nll.append(-model.log_prob(collate(split, np.array([place]))).item())
    assert found["nll"]["value"] == pytest.approx(sum(nll) / split.lengths.sum(), rel=1e-5)
    assert found["nll"]["unit"] == "nats/word" and found["nll"]["sequences"] == 70 and found["nll"]["samples"] == 0
    assert found["parameters"]["value"] == 7 and "source" not in found and "context_bits" not in found
    with open(tmp_path / "scores.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["nll"]) for row in rows] == pytest.approx(nll, rel=1e-5)
    assert [int(row["length"]) + 1 for row in rows] == split.lengths.tolist()


def test_texts_are_in_the_order_of_the_split_whatever_the_order_of_writing(tmp_path):
    dataset = pairs.dataset(count=70)
    model = _model(dataset)
    found = _scored(model, dataset, tmp_path, beam=3)
    texts = files.read_json(tmp_path / "texts.json")
    assert texts["beam"] == 3 and [row["id"] for row in texts["questions"]] == dataset.test.contexts.ids.tolist()
    words = outside = 0
    for place, row in enumerate(texts["questions"]):
        (ids,) = model.write(collate(dataset.test, np.array([place])).given, 3)
        assert row["hypothesis"] == " ".join(dataset.vocabulary[word] for word in ids)
        words += max(1, len(ids))
        outside += sum(word >= dataset.statistics["outputs"] for word in ids)
    assert found["copied"]["value"] == pytest.approx(outside / words)


def test_the_noise_is_drawn_once_by_seed(tmp_path):
    dataset = pairs.dataset(count=10)
    model = _model(dataset, fused="latent")
    first = _scored(model, dataset, tmp_path / "a", beam=2)
    torch.manual_seed(99)
    again = _scored(model, dataset, tmp_path / "b", beam=2)
    assert first == again
    assert (tmp_path / "a/texts.json").read_text() == (tmp_path / "b/texts.json").read_text()
    assert first["context_bits"]["unit"] == "bits/dim" and np.isfinite(first["context_bits"]["value"])
    flow = sum(parameter.numel() for parameter in model.flow.parameters())
    assert first["flow_parameters"]["value"] == flow > 0


def test_with_a_known_source_the_excess_is_over_it(tmp_path):
    dataset = pairs.dataset(count=9)
    known = np.linspace(-4.0, -1.0, 9)
    dataset = dataclasses.replace(dataset, test=dataclasses.replace(dataset.test, source_log_prob=known))
    found = _scored(_model(dataset), dataset, tmp_path)
    assert found["source"]["value"] == pytest.approx(-known.sum() / dataset.test.lengths.sum())
    nll = found["nll"]["value"] * dataset.test.lengths.sum() / 9
    assert found["excess"]["value"] == pytest.approx(nll + known.mean())
    assert found["excess"]["unit"] == "nats/sequence"


def test_a_model_far_below_its_source_is_refused(tmp_path):
    dataset = pairs.dataset(count=30)
    impossible = np.full(30, -100.0) + np.arange(30) / 10
    dataset = dataclasses.replace(dataset, test=dataclasses.replace(dataset.test, source_log_prob=impossible))
    rows = list(_scored(_model(dataset), dataset, tmp_path).values())
    with pytest.raises(Problem, match="expected the NLL of x to be at least its source's"):
        scoring.check_excess(rows, "x")


def test_a_likelihood_that_is_not_finite_is_refused(tmp_path):
    dataset = pairs.dataset()
    model = _model(dataset)
    with torch.no_grad():
        model.decoder.match.weight.fill_(float("nan"))
    with pytest.raises(Problem, match="expected a finite likelihood of every test sequence, got nan for sequence 0"):
        _scored(model, dataset, tmp_path)


def test_a_density_of_a_context_that_is_not_finite_is_refused(tmp_path, monkeypatch):
    dataset = pairs.dataset(count=10)
    model = _model(dataset, fused="latent")
    bits = model.context_bits

    def strange(given):
        found = bits(given)
        found[3:4] = float("nan")
        return found

    monkeypatch.setattr(model, "context_bits", strange)
    with pytest.raises(Problem, match=r"expected a finite density of every context, got nan for sequence \d"):
        _scored(model, dataset, tmp_path)
