"""Every run of every scale is built and takes one step, so that a scale that nobody runs cannot rot unseen.

Of language at scale paper, a step's gradients alone but for one run of each structure: see `_gradients`, `_reduced`.
"""

from __future__ import annotations

import functools
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

import choices
import pairs
import spans
import translations
from conftest import ROOT
from seqflows import compute, params
from seqflows.config.evaluation import EVALUATIONS
from seqflows.config.models import MODELS, sizes
from seqflows.config.training import Training
from seqflows.data.batching import Batch, collate
from seqflows.data.prepared import Dataset, Facts, Split
from seqflows.models import bert_span, build, pretrained
from seqflows.paths import SCALES
from seqflows.training.trainer import Trainer

MATRIX = params.load(ROOT / "params.yaml")
CPU = compute.Machine(torch.device("cpu"), "cpu", 1, "fp32")
RUNS = [(scale, run) for scale in SCALES for run in MATRIX.at(scale).runs]
LARGE = {("paper", "language"), ("paper", "pairs"), ("paper", "translation")}  # a hundred million parameters and more


def _shape(scale: str, run: str) -> tuple:
    """A scale, a kind of data, a model's class and what else of its block is a name: the rest are sizes."""
    block = MATRIX.run(scale, run)
    names = sorted((key, value) for key, value in block["model"].items() if isinstance(value, str))
    return scale, MATRIX.datasets[block["dataset"]]["kind"], *names


# The first run of each shape at each scale is what `make test` takes; of the large ones, none.
QUICK = list({_shape(*one): one for one in RUNS[::-1] if _shape(*one)[:2] not in LARGE}.values())
PARAMS = [pytest.param(*one, marks=[] if one in QUICK else pytest.mark.slow, id="/".join(one)) for one in RUNS]


GIVEN = ("pairs", "translation")
SHORT = 16  # words of a context at scale paper, whose step would take minutes at 400
FEATURES = {"demo": 16, "laptop": 384, "paper": 768}  # numbers of a context word


def _facts(scale: str, dataset: str, length: int | None = None) -> Facts:
    """Facts of the size that the real data have: the models' sizes follow from them; ``length`` cuts language's T."""
    block = MATRIX.dataset(scale, dataset)
    if block["kind"] == "vectors":
        return Facts("real", 2, 1, (0, 10))
    if block["kind"] == "words":
        return Facts("categorical", 27, 13, (0, 0, 0, *[100] * 11))
    if block["kind"] == "pairs":
        vectors = np.random.default_rng(0).standard_normal((12, block["dimensions"])).astype(np.float32)
        longest = block["question_length"]
        counts = (0, 0, *[1] * (longest - 1))
        return Facts("conditional", 12, longest, counts, vectors, 9, length or block["window"], FEATURES[scale])
    if block["kind"] == "spans":
        return Facts("span", 12, 3, (0, 0, 0, 2), None, 12, 12, FEATURES[scale])
    if block["kind"] == "translation":
        longest = length or block.get("max_length", 64)
        return Facts("pieces", 12, longest + 1, (0, *[1] * (longest + 1)), None, 12, longest)
    if block["kind"] == "choices":
        vectors = np.random.default_rng(0).standard_normal((12, block["dimensions"])).astype(np.float32)
        return Facts("chosen", 12, 1, (0, 1), vectors, concepts=block.get("concepts", 0))
    if block["kind"] == "language":
        vectors = np.random.default_rng(0).standard_normal((9, block["dimensions"])).astype(np.float32)
        length = length or block["length"]
        texts = np.random.default_rng(0).integers(9, size=(5, length), dtype=np.int32)
        return Facts("embedded", 9, length, (0,) * length + (2,), vectors, texts=texts)
    longest = block.get("max_length", 120) if block["kind"] == "text" else 180
    emission, symbols = ("categorical", 49) if block["kind"] == "text" else ("bernoulli", 88)
    return Facts(emission, symbols, longest, (0, *[1] * longest))


def _batch(facts: Facts, count: int = 2) -> Batch:
    """Two sequences, or ``count`` of language."""
    lengths = torch.tensor([3, 2])
    if facts.emission == "conditional":
        size = {"words": 12, "window": facts.window, "longest": 3, "features": facts.features}
        return collate(pairs.split(np.random.default_rng(0), 2, **size), np.arange(count))
    if facts.emission == "span":
        return collate(spans.split(np.random.default_rng(0), 2, features=facts.features), np.arange(count))
    if facts.emission == "pieces":
        size = {"symbols": facts.symbols, "window": facts.window, "longest": 3}
        return collate(translations.split(np.random.default_rng(0), 2, **size), np.arange(count))
    if facts.emission == "chosen":
        size = {"words": 12, "answers": 5, "concepts": facts.concepts}
        return collate(choices.split(np.random.default_rng(0), 2, **size), np.arange(count))
    if facts.emission == "embedded":
        every = torch.full((count,), facts.max_length)
        return Batch(torch.randint(9, (count, facts.max_length)), every, torch.arange(count))
    if facts.emission == "real":
        return Batch(torch.randn(2, 1, 2), torch.ones_like(lengths), torch.arange(2))
    x = torch.randint(2, (2, 3) if facts.emission == "categorical" else (2, 3, facts.symbols))
    x[1, 2] = 0
    return Batch(x if facts.emission == "categorical" else x.float(), lengths, torch.arange(2))


def _dataset(facts: Facts, kind: str) -> Dataset:
    """Two short sequences under those facts; of questions about lines three, of two passages, which have halves."""
    if kind == "pairs":
        size = {"window": facts.window, "longest": 3, "features": facts.features, "dimensions": facts.vectors.shape[1]}
        return pairs.dataset(count=2, **size)
    if kind == "spans":
        return spans.dataset(count=3, features=facts.features)
    if kind == "translation":
        return translations.dataset(count=2, symbols=facts.symbols, window=facts.window, longest=3)
    if kind == "choices":
        return choices.dataset(count=3, words=12, dimensions=facts.vectors.shape[1], concepts=facts.concepts)
    batch = _batch(facts)
    rows = [batch.x[n, :length].numpy() for n, length in enumerate(batch.lengths.tolist())]
    counts = np.array([3, 1]) if kind == "words" else None
    split = Split(kind, batch.lengths.numpy(), np.concatenate(rows), None, counts)
    statistics = {"max_length": facts.max_length}
    return Dataset("tiny", kind, [], split, split, split, statistics, "", facts.vectors)


@pytest.fixture(autouse=True)
def _no_files(monkeypatch):
    """A pretrained encoder has random weights of its own size, and a tokenizer of a few pieces."""
    monkeypatch.setattr(pretrained, "found", lambda model, revision: spans.bert())
    monkeypatch.setattr(bert_span.BertSpan, "initialise", lambda model, batch: None)


@functools.cache  # many runs differ in their data alone
def _step(model_block: str, training_block: str, facts: Facts, kind: str) -> int:
    """Build the model, take one of the trainer's own steps, score and sample; the number of parameters."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    model, settings = build(json.loads(model_block), facts), Training.of(json.loads(training_block), "training")
    terms = model.objective(_batch(facts), 1)
    expected = {"nll", "length"} if model.exact else {"reconstruction", "kl", "length"}
    expected -= {"length"} if kind == "words" else set()
    if kind == "language":
        expected = {"generation", "bits"} if model.flow_parameters else {"bits"}
    expected = {"answer", "temporal"} if kind == "choices" else expected
    expected |= {"attention"} if getattr(getattr(model, "config", None), "concepts", "none") == "read" else set()
    if kind in GIVEN and model.exact:
        expected = {"generation", "bits"} if model.flow_parameters else {"generation"}
    expected = {"start", "end"} if kind == "spans" else expected
    assert set(terms) == expected and all(term.shape == (2,) for term in terms.values())
    trainer = Trainer(model.train(), _dataset(facts, kind), settings, 0, CPU, Path("never-written"))
    before = [parameter.detach().norm().item() for parameter in model.parameters()]
    trainer.step([np.array([0]), np.array([1])], 0.5)
    after = [parameter.detach().norm().item() for parameter in model.parameters()]
    assert (before != after) == bool(before) and all(value == value for value in after)  # a trigram has none
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in model.parameters())
    assert math.isfinite(trainer.sums[0].item())
    with torch.no_grad():
        score = model.eval().log_prob(_batch(facts)) if model.exact else model.log_weights(_batch(facts), 2)
        assert score.isfinite().all()
        if kind in GIVEN:
            assert len(model.write(_batch(facts).given, 2)) == 2
            return sum(parameter.numel() for parameter in model.parameters())
        if kind == "spans":
            assert len(model.answer(_batch(facts).given)) == 2
            return sum(parameter.numel() for parameter in model.parameters())
        if kind == "choices":
            assert model.choose(_batch(facts).given).log_probs.shape == (2, 5)
            return sum(parameter.numel() for parameter in model.parameters())
        lengths = None if kind in ("vectors", "words", "language") else torch.tensor([2])
        assert model.sample(1, lengths=lengths).x.isfinite().all()
    return sum(parameter.numel() for parameter in model.parameters())


@functools.cache
def _gradients(model_block: str, facts: Facts) -> None:
    """Forward and backward of one sequence: every parameter has a gradient, which is finite and not all zero."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    model = build(json.loads(model_block), facts)
    with torch.no_grad():
        for parameter in model.parameters():
            if not parameter.any():  # a last layer's, which starts at zero and lets no gradient through
                parameter.normal_(std=0.01)
    loss = sum(model.objective(_batch(facts, 1), 1).values()).sum()
    if not list(model.parameters()):  # a trigram
        return
    loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all() and parameter.grad.any(), name


STEPPED = ("tvqa-att_s", "tvqa-rnn_c", "tvqa-att_ar", "tvqa-lstm")  # one of each structure
LITERAL_STEPS = 6


def _reduced(model: dict, scale: str, dataset: str) -> tuple[str, Facts]:
    """A language run at scale paper less what takes it beyond ten seconds on a core, its widths as they are.

    That is half of the K flow steps for LSTMs at T = 256, and all but six steps of time for the literal cell, whose
    two directions are serial.
    """
    if model.get("cell") == "literal":
        return json.dumps(model, sort_keys=True), _facts(scale, dataset, LITERAL_STEPS)
    facts = _facts(scale, dataset)
    if model.get("network") == "rnn" and facts.max_length == 256 and "steps" in model:
        model = model | {"steps": model["steps"] // 2}
    return json.dumps(model, sort_keys=True), facts


# Tang et al. 2021, appendices A.5 and A.8
PRINTED = {
    "flow": 512e6,
    "flow_plus": 512e6,
    "att_s": 128e6,
    "att_c": 128e6,
    "rnn_s": 196e6,
    "rnn_c": 196e6,
    "att_ar": 130e6,
    "rnn_ar": 130e6,
}


def _count(model_block: str, facts: Facts) -> int:
    MODELS[json.loads(model_block)["class"]].load()  # a module's constants are not of the device meta
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in build(json.loads(model_block), facts).parameters())


def test_make_test_takes_a_step_with_every_shape():
    """Every class and structure at every scale, the largest models of language apart."""
    every = {_shape(*one) for one in RUNS}
    assert {shape[:2] for shape in every - {_shape(*one) for one in QUICK}} == LARGE
    assert {MATRIX.run(*one)["model"]["class"] for one in QUICK} == set(MODELS) and len(QUICK) < len(RUNS) / 2


@pytest.mark.parametrize(("scale", "run"), PARAMS)
def test_every_run_is_built_and_takes_a_step_or_its_gradients(scale, run):
    block = MATRIX.run(scale, run)
    model, training = (json.dumps(block[part], sort_keys=True) for part in ("model", "training"))
    kind = MATRIX.datasets[block["dataset"]]["kind"]
    settings = EVALUATIONS[kind].of(block["evaluation"], "evaluation")
    if kind == "language":
        assert settings.draws > 0 and block["seeds"]
        if scale == "paper":  # 128 million parameters: gradients of one sequence, and a whole step of each structure
            parameters = _count(json.dumps(block["model"]), _facts(scale, block["dataset"]))
            printed = PRINTED.get(run.split("-", 1)[1])
            assert printed is None or parameters == pytest.approx(printed, rel=0.1)
            if run not in STEPPED:
                _gradients(*_reduced(block["model"], scale, block["dataset"]))
                return
    length = SHORT if scale == "paper" and kind in GIVEN else None
    trained = _step(model, training, _facts(scale, block["dataset"], length), kind) > 0
    assert trained == (block["model"].get("network") != "trigram")
    assert block["seeds"]
    if kind in ("language", "spans", "choices", *GIVEN):
        return
    if kind == "words":
        assert settings.trajectories[-1] >= 1000
    else:
        assert settings.samples >= max(settings.at)


SIZES = ("width", "state", "states", "embedding", "latent", "flow_width", "units", "decoder_units", "inner", "hidden")


LANG_FLOW = 256e6  # Tang et al. 2021, appendix A.6


@pytest.mark.parametrize("dataset", ("squad", "tvqa"))
@pytest.mark.parametrize("scale", SCALES)
def test_the_flows_of_question_generation_are_of_about_one_size(scale, dataset):
    def size(name: str) -> int:
        run = f"{dataset}-qg-{name}"
        block = MATRIX.run(scale, run)
        MODELS[block["model"]["class"]].load()  # a module's constants are not of the device meta
        with torch.device("meta"):
            return build(block["model"], _facts(scale, block["dataset"])).flow_parameters

    lang = size("lang_flow")
    for name in ("lstm_flow", "flowseq", "lambda0"):
        assert size(name) == pytest.approx(lang, rel=0.2), name
    if scale == "paper" and dataset == "squad":
        assert lang == pytest.approx(LANG_FLOW, rel=0.1)


def test_the_larger_scale_has_the_larger_models():
    for run in MATRIX.runs:
        found = []
        for scale in (scale for scale in SCALES if run in MATRIX.at(scale).runs):
            block = MATRIX.run(scale, run)["model"]
            made = MODELS[block["class"]].block.of(sizes(block), "model")
            found.append({name: value for name in SIZES if isinstance(value := getattr(made, name, None), int)})
        assert found[0] and all(min(one.values()) >= 1 for one in found), run
        for name in set.intersection(*map(set, found)):  # a run may have another class at another scale
            widths = [one[name] for one in found]
            assert widths == sorted(widths), (run, name)


@pytest.mark.parametrize("run", ("squad-flow", "squad-flow_plus", "tvqa-flow", "tvqa-flow_plus"))
def test_the_flows_that_rewrite_are_of_the_papers_size(run):
    """512 million parameters (appendix A.8), with those of the decoder beside the flow."""
    block = MATRIX.run("paper", run)
    assert block["model"]["steps"] == 32
    assert _count(json.dumps(block["model"]), _facts("paper", block["dataset"])) == pytest.approx(512e6, rel=0.1)
