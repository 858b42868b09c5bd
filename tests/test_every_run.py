"""Every run of every scale is built and takes one step, so that a scale that nobody runs cannot rot unseen."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import pytest
import torch

from seqflows import params
from seqflows.data.batching import Batch
from seqflows.data.prepared import Facts
from seqflows.models import Model, build
from seqflows.paths import SCALES

MATRIX = params.load(Path(__file__).parents[1] / "params.yaml")
RUNS = [(scale, run) for scale in SCALES for run in MATRIX.runs]


def _facts(scale: str, dataset: str) -> Facts:
    """Facts of the size that the real data have: the models' sizes follow from them."""
    block = MATRIX.dataset(scale, dataset)
    if block["kind"] == "vectors":
        return Facts("real", 2, 1, (0, 10))
    longest = block.get("max_length", 120) if block["kind"] == "text" else 180
    emission, symbols = ("categorical", 49) if block["kind"] == "text" else ("bernoulli", 88)
    return Facts(emission, symbols, longest, (0, *[1] * longest))


def _batch(facts: Facts) -> Batch:
    lengths = torch.tensor([3, 2])
    if facts.emission == "real":
        return Batch(torch.randn(2, 1, 2), torch.ones_like(lengths), torch.arange(2))
    x = torch.randint(2, (2, 3) if facts.emission == "categorical" else (2, 3, facts.symbols))
    x[1, 2] = 0
    return Batch(x if facts.emission == "categorical" else x.float(), lengths, torch.arange(2))


def _optimiser(name: str, rate: float, model: Model) -> torch.optim.Optimizer:
    return {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}[name](model.parameters(), rate)


@functools.cache  # many runs differ in their data alone
def _step(model_block: str, facts: Facts, optimiser: str, rate: float) -> int:
    """Build the model, take one step, score and sample; the number of parameters."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    model = build(json.loads(model_block), facts)
    batch = _batch(facts)
    steps = _optimiser(optimiser, rate, model)
    terms = model.train().objective(batch, 1)
    expected = {"nll", "length"} if model.exact else {"reconstruction", "kl", "length"}
    assert set(terms) == expected and all(term.shape == (2,) for term in terms.values())
    sum(term.mean() for term in terms.values()).backward()
    before = [parameter.detach().norm().item() for parameter in model.parameters()]
    torch.nn.utils.clip_grad_norm_(model.parameters(), 0.25, error_if_nonfinite=True)
    steps.step()
    after = [parameter.detach().norm().item() for parameter in model.parameters()]
    assert before != after and all(value == value for value in after)
    with torch.no_grad():
        score = model.eval().log_prob(batch) if model.exact else model.log_weights(batch, 2)
        assert score.isfinite().all()
        lengths = None if facts.emission == "real" else torch.tensor([2])
        assert model.sample(1, lengths=lengths).x.isfinite().all()
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(("scale", "run"), RUNS, ids=[f"{scale}/{run}" for scale, run in RUNS])
def test_every_run_is_built_and_takes_a_step(scale, run):
    block = MATRIX.run(scale, run)
    training = block["training"]
    model = json.dumps(block["model"], sort_keys=True)
    facts = _facts(scale, block["dataset"])
    assert _step(model, facts, training.get("optimizer", "adam"), training["learning_rate"]) > 0
    assert block["seeds"] and block["evaluation"]["samples"] >= max(block["evaluation"]["at"])


def test_the_larger_scale_has_the_larger_models():
    for run in MATRIX.runs:
        widths = [MATRIX.run(scale, run)["model"].get("width", 0) for scale in SCALES]
        assert widths == sorted(widths), run
