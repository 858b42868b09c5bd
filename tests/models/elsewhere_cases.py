"""Training and evaluation on a device that is not the CPU, of every kind of model: no tensor stays behind.

`test_elsewhere` runs this file; alone it is ``pytest tests/models/elsewhere_cases.py``.

No machine with a GPU is needed, see `elsewhere`. That a GPU's own kernels agree is what `make test-gpu` looks at.
"""

from __future__ import annotations

import contextlib
import dataclasses

import numpy as np
import pytest
import test_every_run as runs
import torch

import elsewhere
import seqflows
import spans
import tiny
from seqflows import compute, kinds, models, paths
from seqflows.config.evaluation import EVALUATIONS, TEXTS
from seqflows.config.training import Training
from seqflows.data.prepared import Split
from seqflows.data.tokens import SPECIAL
from seqflows.errors import Interrupted
from seqflows.evaluation import generate
from seqflows.evaluation.scoring import Task
from seqflows.models import bert_span, pretrained
from seqflows.training.progress import Progress
from seqflows.training.trainer import Trainer
from test_trained import made, project  # noqa: F401

SCALE = "demo"
# One of each class of models, and of the structures that have operators of their own.
QUICK = (
    "gaussians-nlsq", "ptb-lstm", "ptb-af_af", "ptb-af_only", "nottingham-iaf_scf", "jsb-af_scf-nade", "ptb-codebook",
    "ptb-codebook-transformer", "words-gru8", "words-hmm32", "words-tril2-k10-both", "tvqa-att_s",
    "tvqa-rnn_c", "tvqa-att_ar", "tvqa-mixture", "squad-flow_plus", "tvqa-qg-lang_flow",
    "squad-qg-flowseq", "squad-qg-copies_sum", "wmt16-nmt-lang_flow", "paraphrase", "squad-qa", "tvqa_plus-qa-concepts",
)  # fmt: skip
RUNS = [
    pytest.param(run, marks=[] if run in QUICK else pytest.mark.slow) for scale, run in runs.QUICK if scale == SCALE
]


def test_each_quick_run_is_one_of_the_runs():
    assert {*QUICK} <= {run for scale, run in runs.QUICK if scale == SCALE}


@pytest.fixture
def machine(monkeypatch):
    monkeypatch.setattr(pretrained, "found", lambda model, revision: spans.bert())
    monkeypatch.setattr(bert_span.BertSpan, "initialise", lambda model, batch: None)
    with elsewhere.elsewhere() as device:
        yield compute.Machine(device, "none", 1, "fp32")


def _dataset(facts, kind):
    """Two sequences, of text long enough for the figures, and with words that can be read."""
    dataset = runs._dataset(facts, kind)
    if kind == "text":
        rng, lengths = np.random.default_rng(0), np.array([12, 9])
        split = Split(kind, lengths, rng.integers(0, facts.symbols, lengths.sum()).astype(np.uint8))
        letters = [chr(ord("a") + place) for place in range(facts.symbols)]
        return dataclasses.replace(dataset, vocabulary=letters, train=split, valid=split, test=split)
    if kind == "language":
        return dataclasses.replace(dataset, vocabulary=[*SPECIAL, *map(str, range(facts.symbols - len(SPECIAL)))])
    return dataset


@pytest.mark.parametrize("run", RUNS)
def test_a_run_is_trained_and_scored_elsewhere(run, machine, tmp_path):
    block = runs.MATRIX.run(SCALE, run)
    kind = runs.MATRIX.datasets[block["dataset"]]["kind"]
    facts = runs._facts(SCALE, block["dataset"], 8 if kind == "language" else None)
    dataset = _dataset(facts, kind)
    torch.manual_seed(0)
    model = models.build(block["model"], facts).to(machine.device)
    settings = Training.of(block["training"], "training")
    trainer, stop = Trainer(model.train(), dataset, settings, 0, machine, tmp_path), tiny.Cut()
    stop.left = 10**6
    trainer.step([np.array([0]), np.array([1])], 0.5)
    assert {one.device.type for one in (*model.parameters(), *model.buffers(), trainer.sums)} == {elsewhere.NAME}
    validated = trainer._validate(stop, trainer._average())
    assert np.isfinite([*validated.values()]).all()
    task = Task(paths.Key(SCALE, run), 0, machine, 10, tmp_path)
    scored = kinds.load(kinds.of(kind).evaluation).score(
        model, dataset, EVALUATIONS[kind].of(block["evaluation"], "evaluation"), task
    )
    assert scored and not np.isnan([one["value"] for one in scored]).any()
    if kind == "language":
        text = vars(TEXTS["regeneration"].of({"beam": 2, "measured": 1, "contexts": 1, "deviations": [0.5]}, "text"))
        assert generate.regenerations(model, dataset, text, 0)
        assert generate.numbers(model, dataset, "regeneration", text, 0)


@pytest.mark.parametrize("run", ["ptb-lstm", "words-gru8", "wmt16-nmt"])
def test_training_stops_and_goes_on_elsewhere(run, machine, tmp_path):
    """In the second epoch: weights, the optimiser's state and what was counted come back to the device."""
    block = runs.MATRIX.run(SCALE, run)
    kind, facts = runs.MATRIX.datasets[block["dataset"]]["kind"], runs._facts(SCALE, block["dataset"])
    few = {"epochs": 2, "batch_size": 1, "average": 2, "drawn": 2}
    changed = {key: value for key, value in few.items() if block["training"].get(key)}
    settings, found = Training.of(block["training"] | changed, "training"), {}
    for name, stops in {"whole": [], "pieces": [3]}.items():
        for left in (*stops, 10**6):
            torch.manual_seed(0)
            model = models.build(block["model"], facts).to(machine.device)
            trainer, stop = Trainer(model, _dataset(facts, kind), settings, 0, machine, tmp_path / name), tiny.Cut()
            stop.left = left
            assert trainer.resume() == (stops != [] and left == 10**6)
            with contextlib.suppress(Interrupted):
                trainer.run(Progress(run, 2), stop, lambda row: None)
        assert trainer.epoch == 2
        found[name] = {key: value.cpu() for key, value in trainer.model.state_dict().items()}
    assert all(torch.equal(value, found["pieces"][key]) for key, value in found["whole"].items())


def test_translations_are_drawn_and_texts_found_elsewhere(machine):
    for run in ("wmt16-nmt-lang_flow", "paraphrase"):
        block = runs.MATRIX.run(SCALE, run)
        facts = runs._facts(SCALE, block["dataset"])
        model = models.build(block["model"], facts).to(machine.device).eval()
        given = runs._batch(facts).to(machine.device).given
        found = model.drawn(given, 3) if run.startswith("wmt16") else model.candidates(given, 3, 3)
        assert [len(texts) for texts in found] == [3, 3]


def test_a_loaded_model_scores_and_samples_elsewhere(project):  # noqa: F811
    expected = seqflows.load("demo/text-lstm").score(["aaa"])
    with elsewhere.elsewhere() as device:
        model = seqflows.load("demo/text-lstm", device=device)
        assert model.device.type == device.type and len(model.sample(2)) == 2
        assert model.score(["aaa"]) == pytest.approx(expected, rel=1e-5)
        assert np.isfinite(seqflows.load("demo/text-latent", device=device).log_weights(["aaa"], 3)).all()


# -- the device


def test_numbers_elsewhere_are_the_cpus():
    facts = runs._facts(SCALE, "ptb")
    torch.manual_seed(0)
    model, batch = models.build(runs.MATRIX.run(SCALE, "ptb-lstm")["model"], facts).eval(), runs._batch(facts)
    expected = model.log_prob(batch).detach()
    with elsewhere.elsewhere() as device:
        found = model.to(device).log_prob(batch.to(device))
        assert found.device.type == elsewhere.NAME
        torch.testing.assert_close(found.detach().cpu(), expected)


@pytest.mark.parametrize("cell", [torch.nn.LSTMCell, torch.nn.GRUCell])
def test_cells_and_their_gradients_are_the_cpus(cell):
    torch.manual_seed(0)
    x = torch.randn(3, 4)
    found = {}
    for place in ("cpu", elsewhere.NAME):
        torch.manual_seed(1)
        own = cell(4, 5)
        with elsewhere.elsewhere():
            own.to(place)
            state = None
            for _ in range(2):
                state = own(x.to(place), state)
            (state if cell is torch.nn.GRUCell else state[0] * state[1]).square().sum().backward()
            found[place] = [parameter.grad.cpu() for parameter in own.parameters()]
    torch.testing.assert_close(found["cpu"], found[elsewhere.NAME])


@pytest.mark.parametrize(
    "mixed",
    [
        lambda x: x + torch.zeros(3),
        lambda x: x @ torch.zeros(3),
        lambda x: torch.where(torch.ones(3, dtype=torch.bool), x, 0.0),
        lambda x: torch.cat([x, torch.zeros(1)]),
        lambda x: x.index_select(0, torch.tensor([0])),
        lambda x: torch.randn(3, device=x.device, generator=torch.Generator()),
        lambda x: x.numpy(),
    ],
)
def test_what_a_gpu_refuses_is_refused(mixed):
    with elsewhere.elsewhere() as device, pytest.raises((RuntimeError, TypeError)):
        mixed(torch.ones(3, device=device))


def test_what_a_gpu_allows_is_allowed():
    with elsewhere.elsewhere() as device:
        x = torch.tensor([1.0, 2.0, 3.0], device=device)
        x[torch.tensor([0])] = 5.0
        x += torch.tensor(1.0)
        assert x[torch.tensor([True, False, True])].tolist() == [6.0, 4.0] and x.cpu().numpy().sum() == 13.0
        assert x.new_tensor([1]).device == x.device and float(x.max()) == 6.0
        with torch.inference_mode():
            assert (x.view(1, 3)[:, :2] + 1).cpu().tolist() == [[7.0, 4.0]]
