"""Flows of embedded text as models: their density, decoding, scoring, and the whole way from data to text.

Legend: B batch, T time (fixed), D dimensions of a word vector, V tokens.
"""

import contextlib
import csv
import math
import shutil
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

import report_world
import tiny
from conftest import ROOT
from seqflows import cli, compute, files, models, params, paths
from seqflows.config.evaluation import Language, Regeneration
from seqflows.config.models import LanguageFlow
from seqflows.data import download, prepare, prepared, tokens
from seqflows.data.batching import Batch
from seqflows.data.prepared import Facts
from seqflows.errors import Interrupted, Problem
from seqflows.evaluation import evaluate, generate, loading, ngrams, scoring
from seqflows.evaluation.kinds import language
from seqflows.flows import attention, recurrent_affine, standard_normal_log_density
from seqflows.models import language_flow
from seqflows.noise import BITS, floor
from seqflows.report import inputs
from seqflows.report import texts as written_texts
from seqflows.training import loop

SMALL = {"width": 12, "inner": 16, "heads": 2, "hidden": 16, "steps": 2}
FLOWS = {
    "att_s": {"structure": "time", "network": "attention", "scales": 2},
    "rnn_s": {"structure": "time", "network": "rnn", "scales": 2},
    "att_c": {"structure": "channels", "network": "attention", "scales": 2},
    "rnn_c": {"structure": "channels", "network": "rnn", "scales": 2},
    "att_ar": {"structure": "past", "network": "attention", "scales": 1},
    "rnn_ar": {"structure": "past", "network": "rnn", "scales": 1},
    "rnn_ar-literal": {"structure": "past", "network": "rnn", "scales": 1, "cell": "literal"},
}
EARLIER = {"start": "rotation", "squeeze": "joined", "mixing": "time"}  # what records of before the mends are of
BLOCKS = {name: {"class": "language_flow", **SMALL, **block} for name, block in FLOWS.items()}
BLOCKS["lstm"] = {"class": "recurrent_density", "width": 12}
BLOCKS["mixture"] = {"class": "word_mixture", "width": 12}
BLOCKS["trigram"] = {"class": "word_mixture", "network": "trigram"}
CAUSAL = ("att_ar", "rnn_ar", "rnn_ar-literal")
WORDS = ("mixture", "trigram")  # causal too; test_word_mixture.py has more
every_model = pytest.mark.parametrize("name", BLOCKS)


def facts(length=8, dim=6, count=20, scale=1.0):
    rng = np.random.default_rng(0)
    vectors = scale * rng.standard_normal((count, dim)).astype(np.float32)
    return Facts("embedded", count, length, (0,) * length + (1,), vectors, texts=rng.integers(count, size=(40, length)))


def build(name, known=None, seed=0, spread=0.0):
    torch.manual_seed(seed)
    model = models.build(BLOCKS[name], known or facts())
    if spread:
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(spread * torch.randn_like(parameter))
    return model.eval()


def batch(model, count=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(len(model.vectors), (count, model.length), generator=generator)
    return Batch(tokens, torch.full((count,), model.length), torch.arange(count))


@every_model
def test_bits_per_dimension_are_the_papers(name):
    """Eq. (6) and appendix A.5: (-log p(x~) - M log 2^6) / (M log 2), the objective with the noise of a seed."""
    model = build(name, spread=0.1)
    given = batch(model)
    torch.manual_seed(3)
    found = model.objective(given, 1)["bits"]
    torch.manual_seed(3)
    log_p = model.log_prob(given)
    size = model.length * model.vectors.shape[1]
    assert torch.allclose(found, (-log_p - size * math.log(64)) / (size * math.log(2)), atol=1e-5)
    torch.manual_seed(3)
    noise = model.embedded(given.x) - model.vectors[given.x]
    assert float(noise.std()) == pytest.approx(2**-6, rel=0.2)


def test_the_floor_is_the_entropy_of_the_noise():
    """The noise's own density, at known tokens, scores the floor."""
    assert floor() == pytest.approx(0.5 * math.log2(2 * math.pi * math.e) - 12)
    model = build("att_s")
    given = batch(model, 400)
    torch.manual_seed(3)
    noise = model.embedded(given.x) - model.vectors[given.x]
    log_density = (standard_normal_log_density(noise * 2**BITS) + BITS * math.log(2)).sum((1, 2))
    bits = model.bits_per_dimension(log_density)
    error = float(bits.std()) / math.sqrt(len(bits))
    assert error < 0.02 and float(bits.mean()) == pytest.approx(floor(), abs=4 * error)


@every_model
def test_encoding_and_decoding_are_inverse(name):
    """Tokens come back: the noise is far smaller than the distance of any two vectors."""
    model = build(name, spread=0.1)
    tokens = batch(model, 6).x
    assert torch.equal(model.decode(model.encode(tokens)), tokens)
    if name in CAUSAL + WORDS:
        for beam in (1, 3):
            assert torch.equal(model.decode(model.encode(tokens), beam), tokens)
    else:
        with pytest.raises(TypeError, match="autoregressive in time"):
            model.decode(model.encode(tokens), 1)


def searched(model, eps, beam):
    """Beam search for one sequence's noise (T, D) by inverses of the whole flow: the tokens (T,)."""
    kept = [(0.0, ())]
    for t in range(model.length):
        found = []
        for total, chosen in kept:
            # all steps so far as chosen, and the noise from this one on: the future reaches no earlier step
            known = torch.cat([model.vectors[list(chosen)], eps.new_zeros(model.length - t, eps.shape[1])])
            there, _ = model.flow.forward(known[None])
            x, _ = model.flow.inverse(torch.cat([there[:, :t], eps[None, t:]], 1))
            scores = torch.cosine_similarity(x[0, t], model.vectors, -1).tolist()
            found += [(total + score, (*chosen, token)) for token, score in enumerate(scores)]
        kept = sorted(found, reverse=True)[:beam]
    return torch.tensor(kept[0][1])


@pytest.mark.parametrize("rows", [128, 7])  # 7: two sequences at a time with three hypotheses, and one is left over
@pytest.mark.parametrize("beam", [1, 3])
@pytest.mark.parametrize("name", CAUSAL)
def test_left_to_right_each_choice_conditions_the_next(name, beam, rows, monkeypatch):
    """Decoding inverts each step given the vectors of the tokens chosen, and many sequences as each by itself."""
    monkeypatch.setattr(language_flow, "ROWS", rows)
    model = build(name, spread=0.3).double()
    eps = torch.randn(5, model.length, 6, dtype=torch.float64)
    with torch.no_grad():
        chosen = model.decode(eps, beam)
        assert torch.equal(chosen, torch.cat([model.decode(one[None], beam) for one in eps]))
        for tokens, one in zip(chosen, eps, strict=True):
            assert torch.equal(tokens, searched(model, one, beam))


@pytest.mark.parametrize("name", CAUSAL)
def test_sequences_are_searched_together(name, monkeypatch):
    """As many steps of the flow's networks for 16 sequences as for one."""
    model, seen, step = build(name), [], attention.Causal.step
    monkeypatch.setattr(attention.Causal, "step", lambda *args: seen.append(args) or step(*args))
    for count in (1, 16):
        seen.clear()
        model.sample(count)
        assert len(seen) == SMALL["steps"] * (model.length - 1)


def test_beams_find_sums_of_similarities_no_worse_than_greedy():
    model = build("rnn_ar", spread=0.3)
    eps = torch.randn(5, model.length, 6, generator=torch.Generator().manual_seed(0))

    def total(eps, tokens):
        stepper, found = model.flow.stepper(), 0.0
        for eps_t, token in zip(eps, tokens, strict=True):
            found += float(model.scores(stepper.inverse(eps_t[None]))[0, token])
            stepper.advance(model.vectors[token][None])
        return found

    with torch.no_grad():
        every = {beam: model.decode(eps, beam) for beam in (1, 400)}
        for one in range(5):
            assert total(eps[one], every[400][one]) >= total(eps[one], every[1][one]) - 1e-5
        assert any(total(eps[n], every[400][n]) > total(eps[n], every[1][n]) + 1e-3 for n in range(5))


@every_model
def test_samples_are_tokens(name):
    model = build(name)
    one, again = (model.sample(3, generator=torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(one.x, again.x) and one.x.shape == (3, model.length)
    assert one.x.max() < len(model.vectors) and (one.lengths == model.length).all()


DEEP = [name for name in BLOCKS if name not in WORDS]
LONG = [(name, 16, 40) for name in DEEP] + [(name, length, 200) for name in DEEP for length in (64, 256)]


@pytest.mark.parametrize(
    ("name", "length", "steps"),  # the literal cell, which trains step by step, takes minutes at T = 256
    [pytest.param(*one, marks=[pytest.mark.slow] * (one[1] > 16), id=f"{one[0]}-{one[1]}") for one in LONG],
)
def test_long_flows_are_bijections_before_and_after_training(name, length, steps):
    """K = 8 and L = 3 in float32, to 1e-4: at initialisation and after 200 steps of training."""
    block = BLOCKS[name] | ({"steps": 8, "scales": 3 if name not in CAUSAL else 1} if name != "lstm" else {})
    torch.manual_seed(0)
    model = models.build(block, facts(length, dim=4))
    model.initialise(batch(model, 16))
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    before = check_bijection(model)
    for step in range(steps):
        loss = model.objective(batch(model, 2, step), 1)["bits"].mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert check_bijection(model) < before


def check_bijection(model):
    """There and back, and the bits per dimension of some tokens under the noise of a seed."""
    torch.manual_seed(1)
    with torch.no_grad():
        given = batch(model, 16, 1000)
        x = model.embedded(given.x)[:2]
        eps, log_det = model.flow.forward(x)
        back, log_det_back = model.flow.inverse(eps)
        assert eps.shape == x.shape and float((back - x).abs().max()) < 1e-4
        assert torch.allclose(log_det, -log_det_back, rtol=1e-4, atol=1e-2)
        return float(model.objective(given, 1)["bits"].mean())


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ({"structure": "past", "scales": 3}, "scales: expected at most 1 with structure: past and any length, got 3"),
        ({"start": "identity"}, "start: expected one of permutation, rotation, aligned, got 'identity'"),
        ({"squeeze": "paired"}, "squeeze: expected one of interleaved, joined, got 'paired'"),
        ({"mixing": "channels"}, "mixing: expected one of both, time, got 'channels'"),
        ({"structure": "hours"}, "structure: expected one of time, channels, past, got 'hours'"),
        ({"network": "attentoin"}, "nearest: attention"),
        (
            {"scales": 5},
            "language_flow: Expected a length that 16 divides for 5 scales, got 8; correct the run's",
        ),
        (
            {"scales": 4},
            "Expected an even number of steps, got 1; correct the run's model .* dataset's sizes",
        ),
        ({"heads": 5}, "heads: expected a divisor of the width, 12, got 5"),
    ],
)
def test_impossible_models_are_refused(block, message):
    with pytest.raises(Problem, match=message):
        models.build({"class": "language_flow", **SMALL, "scales": 2, **block}, facts())
    with pytest.raises(Problem, match="expected data with embedded emissions"):
        models.build(BLOCKS["att_s"], Facts("categorical", 5, 8, (0,) * 8 + (1,)))


@pytest.mark.parametrize("name", FLOWS)
def test_the_flows_of_before_the_mends_are_still_built(name):
    """Of other settings, so that kept records of theirs are marked as such, and with other weights or values."""
    known = facts(16)
    torch.manual_seed(0)
    earlier = models.build(BLOCKS[name] | {"scales": 3 - 2 * (name in CAUSAL)} | EARLIER, known)
    torch.manual_seed(0)
    now = models.build(BLOCKS[name] | {"scales": 3 - 2 * (name in CAUSAL)}, known)
    before, after = earlier.state_dict(), now.state_dict()
    if name in CAUSAL:
        assert len(after) > len(before)
    elif name.endswith("_s"):
        weights = [model.flow.blocks[0].flows[1].weight() for model in (earlier, now)]
        assert [int((weight.abs() > 1e-3).sum()) > 16 for weight in weights] == [True, False]
    else:  # over channels the squeeze alone is another
        assert all(torch.equal(before[key], after[key]) for key in before)
        x = torch.randn(2, 16, 6)
        assert not torch.allclose(earlier.log_density(x), now.log_density(x))


def test_params_say_which_flows_they_mean():
    """A record is known to be of other settings by what params.yaml says, to which defaults do not belong."""
    matrix = params.load(ROOT / "params.yaml")
    blocks = [run[scale]["model"] for scale in paths.SCALES for run in matrix.at(scale).runs.values()]
    flows = [block for block in blocks if block["class"] == "language_flow"]
    assert flows and all(set(EARLIER) <= set(block) for block in flows)


def test_params_have_the_papers_noise_and_all_words():
    """Variance 0.5 (appendix A.8) among the deviations of every regeneration; the full table of vectors on a laptop."""
    matrix = params.load(ROOT / "params.yaml")
    regenerated = [text for text in matrix.texts.values() if text["kind"] == "regeneration"]
    deviations = [text[scale]["deviations"] for text in regenerated for scale in paths.SCALES]
    assert deviations and all(any(abs(s**2 - 0.5) < 1e-3 for s in one) for one in deviations)
    assert any(abs(s**2 - 0.5) < 1e-3 for s in Regeneration().deviations)
    assert {matrix.dataset("laptop", name)["glove"] for name in ("tvqa", "squad")} == {"6B-50d"}


@pytest.mark.parametrize("network", ["attention", "rnn"])
@pytest.mark.parametrize(("structure", "most"), [("time", 4), ("channels", 4), ("past", 1)])
def test_the_check_of_params_refuses_the_sizes_that_the_flows_refuse(structure, network, most):
    sizes = product((4, 5, 6, 8), (3, 4), range(1, most + 1), (2, 5))
    for length, dim, scales, heads in sizes:
        block = {**SMALL, "steps": 1, "structure": structure, "network": network, "scales": scales, "heads": heads}
        try:
            models.build({"class": "language_flow", **block}, facts(length, dim))
            refused = False
        except Problem:
            refused = True
        errors = list(LanguageFlow.errors("model", block))
        errors = errors or list(LanguageFlow.of(block, "model").unfit(length, dim))
        assert refused == bool(errors), (length, dim, scales, heads)


@pytest.mark.parametrize(("size", "value"), [("scales", 6), ("heads", 5)])
def test_training_an_impossible_model_is_one_line_and_leaves_nothing(size, value, tmp_path, monkeypatch, capsys):
    training = {"epochs": 1, "batch_size": 8, "learning_rate": 1.0e-3}
    write(tmp_path, {"x": run_of(BLOCKS["att_s"] | {size: value}, training)})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEQFLOWS_CHECKPOINTS", str(tmp_path / "checkpoints"))
    before = sorted(tmp_path.rglob("*"))
    assert cli.main(["check"]) == cli.main(["train", "demo/x"]) == 1
    said = capsys.readouterr().err
    assert f"runs.x.demo.model.{size}: expected" in said and sorted(tmp_path.rglob("*")) == before
    locks = {path for path in tmp_path.rglob("*") if ".locks" in path.parts}
    assert sorted({*tmp_path.rglob("*")} - locks) == before


def test_a_block_scored_and_passed_on_is_no_density():
    """The released code's first block: all of z_1 = f_1(x) is scored, and all of it goes on into z_2 = f_2(z_1).

    Both are scored by Gaussians that are learned. With deviation s, and means that f_2 carries into one another, what
    the sum of log-densities and log-determinants integrates to grows as 1 / s^2: a score as good as one likes.
    """
    torch.manual_seed(0)
    first, second = (recurrent_affine(2, 1, 6, 2).double() for _ in range(2))
    edge = torch.linspace(-12, 12, 241, dtype=torch.float64)
    square, area = torch.cartesian_prod(edge, edge)[:, :, None], float(edge[1] - edge[0]) ** 2
    totals, deviations = [], (1.0, 0.3, 0.1, 0.03)
    with torch.no_grad():
        for parameter in (*first.parameters(), *second.parameters()):
            parameter.add_(0.2 * torch.randn_like(parameter))
        mean = second.inverse(torch.zeros(1, 2, 1, dtype=torch.float64))[0]
        centre = first.inverse(mean)[0]
        for s in deviations:
            z_1, log_det_1 = first.forward(centre + s * square)
            z_2, log_det_2 = second.forward(z_1)
            score_1, score_2 = (
                (standard_normal_log_density(z / s) - math.log(s)).sum((1, 2)) for z in (z_1 - mean, z_2)
            )
            density = float((score_1 + log_det_1).exp().sum()) * area * s**2
            assert density == pytest.approx(1, abs=1e-3)  # the first block alone
            totals.append(float((score_1 + score_2 + log_det_1 + log_det_2).exp().sum()) * area * s**2)
    assert totals[0] < 0.5 and totals[-1] > 50, totals
    assert totals[-1] / totals[-2] == pytest.approx((deviations[-2] / deviations[-1]) ** 2, rel=0.02)


# -- the whole way


DATA = {"source": "embedded-language", "seed": 1, "train": 40, "valid": 10, "test": 12, "length": 16, "dimensions": 6}
EVALUATION = {"draws": 2}
WRITTEN = {
    "samples": {"count": 3, "beam": 2, "measured": 0},
    "interpolation": {"pairs": 2, "ratios": [1, 0.5, 0.0], "beam": 2, "measured": 0},
    "regeneration": {"contexts": 2, "deviations": [0, 3.0], "beam": 2, "measured": 0},
}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A trained run each of a flow over time, a causal one, the Bi-LSTM and mixtures at words."""
    folder = tmp_path_factory.mktemp("language")
    training = {"epochs": 2, "batch_size": 8, "learning_rate": 1.0e-3}
    runs = {name: run_of(BLOCKS[name], training) for name in ("att_s", "rnn_ar", "lstm", *WORDS)}
    write(folder, runs)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name in runs:
            loop.run(paths.Key("demo", name))
    return folder


def run_of(model, training):
    block = {"seeds": [0], "model": model, "training": training, "evaluation": EVALUATION}
    return {"reproduces": "tang2021", "dataset": "questions", "demo": block, "laptop": block, "paper": block}


def write(folder, runs):
    content = tiny.matrix(runs={})
    content["speeds"] = {}
    content["runs"] = runs
    content["texts"] = {
        f"{run}-{kind}": {"kind": kind, "run": run, "dataset": "questions", **dict.fromkeys(paths.SCALES, settings)}
        for run in runs
        for kind, settings in WRITTEN.items()
    }
    content["datasets"]["questions"] = {"kind": "language", **dict.fromkeys(paths.SCALES, DATA)}
    (folder / "params.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    block = {"kind": "language", **DATA}
    download.fetch(block, folder / paths.raw("demo", "questions"))
    prepare.prepare(
        block, folder / paths.raw("demo", "questions"), folder / paths.prepared("demo", "questions"), "questions"
    )


@pytest.mark.parametrize("name", ["att_s", "rnn_ar", "lstm", *WORDS])
def test_a_run_is_scored_against_its_floor_and_source(project, name, monkeypatch):
    monkeypatch.chdir(project)
    evaluate.run(paths.Key("demo", name))
    content = files.read_json(paths.metrics("demo", name))
    found = {row["metric"]: row for row in content["metrics"]}
    nll, source = found["nll"], found["source"]
    assert nll["unit"] == "bits/dim" and nll["samples"] == 2 and nll["sequences"] == 12 and nll["standard_error"] > 0
    assert found["floor"]["value"] == pytest.approx(floor())
    assert found["floor"]["value"] < source["value"] < nll["value"]
    dataset = prepared.load(paths.prepared("demo", "questions"))
    # a position of 6 dimensions; the word-by-word reference comes to its own -log p of a word
    assert found["nll_above_floor"]["unit"] == "nats/position" and found["nll_above_floor"]["samples"] == 2
    assert found["nll_above_floor"]["value"] == pytest.approx((nll["value"] - floor()) * 6 * math.log(2))
    assert found["nll_above_floor"]["standard_error"] == pytest.approx(nll["standard_error"] * 6 * math.log(2))
    train, test = (part.symbols.reshape(-1, 16) for part in (dataset.train, dataset.test))
    seen = (train[:, None] == test[None]).sum(0) + 0.5
    surprise = np.log((len(train) + 0.5 * len(dataset.vectors)) / seen).mean(1)
    assert found["unigram_above_floor"]["value"] == pytest.approx(surprise.mean())
    spread = surprise.std(ddof=1) / math.sqrt(len(surprise))
    assert found["unigram_above_floor"]["standard_error"] == pytest.approx(spread)
    # the source: -log p(tokens) above the noise's entropy, over M = 16 x 6 dimensions
    entropy = -dataset.test.source_log_prob.mean() / (16 * 6 * math.log(2))
    assert source["value"] == pytest.approx(floor() + entropy, abs=0.1)
    assert found["excess"]["value"] == pytest.approx((nll["value"] - source["value"]) * 16 * 6 * math.log(2))
    # the released code's, of the vectors themselves and over D log 2 alone: -log p in validation, -log p + D log 64 in
    # training
    machine = compute.Machine(torch.device("cpu"), "cpu", 1, "fp32")
    model, _ = loading.load(paths.Key("demo", name), params.load().run("demo", name), 0, dataset, machine)
    own = scoring.stream(paths.Key("demo", name), 0, "score")
    assert language.densities(model, dataset.test, 2, machine, own)[0].mean() == pytest.approx(nll["value"], rel=1e-9)
    ids = torch.as_tensor(dataset.test.symbols.reshape(-1, 16).astype(np.int64))
    with torch.no_grad():
        nats = -float(model.eval().log_density(model.vectors[ids]).mean())
    assert found["nll_noiseless"]["value"] == pytest.approx(nats / (16 * 6 * math.log(2)) - 6, rel=1e-5)
    assert found["nll_noiseless"]["samples"] == found["nll_code"]["samples"] == 0
    assert found["nll_code"]["value"] == pytest.approx(nats / (6 * math.log(2)), rel=1e-5)
    assert found["nll_code_train"]["value"] == pytest.approx((nats + 6 * math.log(64)) / (6 * math.log(2)), rel=1e-5)
    with open(paths.evaluation("demo", name) / "seed-0/scores.csv") as file:
        rows = list(csv.DictReader(file))
    assert np.mean([float(row["nll"]) for row in rows]) == pytest.approx(nll["value"])
    assert [path.name for path in (paths.evaluation("demo", name) / "seed-0").iterdir()] == ["scores.csv"]


def test_references_are_densities_that_see_one_word(project, monkeypatch):
    monkeypatch.chdir(project)
    dataset = prepared.load(paths.prepared("demo", "questions"))
    found = language.references(dataset)
    train, test = (torch.as_tensor(part.symbols.reshape(-1, 16).astype(int)) for part in (dataset.train, dataset.test))
    vectors = torch.as_tensor(dataset.vectors, dtype=torch.float64)
    seen = vectors[train.ravel()]
    covariance = torch.cov(seen.T, correction=0) + 4.0**-BITS * torch.eye(6)
    gaussian = torch.distributions.MultivariateNormal(seen.mean(0), covariance)
    noisy = vectors[test] + 2.0**-BITS * torch.randn(4000, *test.shape, 6, dtype=torch.float64)
    bits = -gaussian.log_prob(noisy).mean(0).mean(1) / (6 * math.log(2)) - BITS
    assert found["gaussian"] == pytest.approx(bits.numpy(), abs=0.02)
    counts = torch.stack([(train == test[n]).sum(0) for n in range(len(test))]) + 0.5
    tokens = (counts / (len(train) + 0.5 * len(vectors))).log2().mean(1)
    assert found["unigram"] == pytest.approx((floor() - tokens / 6).numpy())
    source = -dataset.test.source_log_prob.mean() / (16 * 6 * math.log(2)) + floor()
    assert found["unigram"].mean() > source


def test_the_first_batch_sets_the_actnorms(project, monkeypatch):
    monkeypatch.chdir(project)
    model = models.build(BLOCKS["att_s"], prepared.load(paths.prepared("demo", "questions")).facts())
    trained = load_file(paths.seed("demo", "att_s", 0) / "model.safetensors")
    fresh = model.state_dict()
    moved = [float((trained[name] - fresh[name]).abs().max()) for name in trained if name.endswith("log_scale")]
    assert min(moved) > 0.02  # by more than 10 steps at a rate of 1e-3


@pytest.mark.parametrize("name", ["att_s", "rnn_ar", *WORDS])
def test_a_run_cut_into_pieces_equals_one_uncut(project, monkeypatch, name):
    monkeypatch.chdir(project)
    model = paths.seed("demo", name, 0) / "model.safetensors"
    whole = model.read_bytes()
    model.unlink()
    shutil.rmtree(paths.checkpoints(""))  # and with them the seed that is done
    pieces = [1, 3, 4, 99]  # after the step that sets the actnorms, and in the second epoch
    for left in pieces:
        cut = tiny.Cut()
        cut.left = left
        monkeypatch.setattr(loop, "Stop", lambda cut=cut: cut)
        with contextlib.nullcontext() if left == pieces[-1] else pytest.raises(Interrupted):
            loop.run(paths.Key("demo", name))
    assert model.read_bytes() == whole


def test_a_run_below_the_floor_is_refused(project, monkeypatch):
    monkeypatch.chdir(project)
    proper = language_flow.LanguageFlow.log_density
    nats = 20 * 16 * 6 * math.log(2)  # 20 bits per dimension too good
    monkeypatch.setattr(language_flow.LanguageFlow, "log_density", lambda self, x: proper(self, x) + nats)
    with pytest.raises(Problem, match="the entropy of the noise alone"):
        evaluate.run(paths.Key("demo", "lstm"))
    assert not paths.metrics("demo", "lstm").exists() and not paths.evaluation("demo", "lstm").exists()


def test_an_estimate_below_the_floor_is_a_bug():
    rows = language.Records(language.UNIT)
    rows.add("nll", floor() - 0.1, error=0.01)
    rows.add("floor", floor())
    with pytest.raises(Problem, match=r"expected at least -9.95.* the entropy of the noise alone, got -10.05"):
        language.check_floor(rows, "demo/x")
    rows[0]["standard_error"] = 0.05
    language.check_floor(rows, "demo/x")


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ({"draws": 0}, "draws: expected a whole number of at least 1, got 0"),
        ({"draw": 1}, "got 'draw'; nearest: draws"),
    ],
)
def test_bad_settings_are_refused(block, message):
    with pytest.raises(Problem, match=message):
        Language.of(block, "evaluation")


# -- what models write


def lines_of(name):
    """Title -> (label, decoding, text) of each line, of a file of the stage."""
    blocks = {}
    for line in paths.text("demo", name).read_text().split("\n"):
        if line.startswith("## "):
            blocks[line[3:]] = current = []
        elif line and not line.startswith("# "):
            current.append(tuple(part.strip() for part in line.split("|", 2)))
    return blocks


def generated(name, change=None):
    """Run the stage, of a params.yaml with other settings of an entry; its lines."""
    if change is not None:
        content = yaml.safe_load(Path("params.yaml").read_text())
        content["texts"][name]["demo"] = change
        Path("params.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    generate.run(paths.Key("demo", name))
    return {title: lines for title, lines in lines_of(name).items() if title != generate.NUMBERS}


@pytest.fixture
def here(project, monkeypatch):
    """The project as the working directory, its params.yaml put back in the end."""
    monkeypatch.chdir(project)
    before = Path("params.yaml").read_text()
    yield project
    Path("params.yaml").write_text(before)


WAYS = {"att_s": ["all steps at once"], "rnn_ar": ["greedy", "beam of 2"], "lstm": ["all steps at once"]}
WAYS |= dict.fromkeys(WORDS, WAYS["rnn_ar"])
every_writer = pytest.mark.parametrize("name", WAYS)


@every_writer
def test_samples_are_labelled_texts_of_the_vocabulary(here, name):
    found = generated(f"{name}-samples")["samples"]
    assert [line[:2] for line in found] == [(str(n), way) for n in (1, 2, 3) for way in WAYS[name]]
    words = {word for line in found for word in line[2].split()}
    assert words and words <= set(prepared.load(paths.prepared("demo", "questions")).vocabulary)
    assert len({line[2] for line in found if line[1] == WAYS[name][0]}) > 1  # of different noise


@every_writer
def test_an_interpolation_ends_in_its_sentences(here, name):
    found = generated(f"{name}-interpolation")
    assert list(found) == ["pair 1", "pair 2"]
    for lines in found.values():
        assert [line[0] for line in lines if line[1] in ("", WAYS[name][0])] == [
            "sentence 1",
            "1",
            "0.5",
            "0.0",
            "sentence 2",
        ]
        first, second = lines[0][2], lines[-1][2]
        assert first != second
        for way in WAYS[name]:
            between = {label: text for label, found_by, text in lines if found_by == way}
            assert between["1"] == first and between["0.0"] == second
    halves = {line[2] for lines in found.values() for line in lines if line[0] == "0.5"}
    assert not halves <= {line[2] for lines in found.values() for line in lines if not line[1]}


@every_writer
def test_a_regeneration_departs_from_its_context_with_the_noise(here, name):
    for lines in generated(f"{name}-regeneration").values():
        assert lines[0][:2] == ("context", "")
        for way in WAYS[name]:
            again = {label: text for label, found_by, text in lines if found_by == way}
            assert again["noise 0"] == lines[0][2] != again["noise 3.0"]


def test_models_of_one_dataset_are_given_the_same(here):
    for kind in ("interpolation", "regeneration"):
        given = [
            [line for lines in generated(f"{name}-{kind}").values() for line in lines if not line[1]] for name in WAYS
        ]
        assert all(one == given[0] for one in given)


def test_own_sentences_are_cut_as_the_datasets_are(here):
    """Of words that the vocabulary has, in any case; what it lacks is unknown."""
    known = prepared.load(paths.prepared("demo", "questions")).vocabulary
    word = next(word for word in known[4:] if word.isalpha())
    own = [f"{word.upper()} {word}", f"{word} zyzzyva"]
    found = generated("att_s-interpolation", {"sentences": [own], "ratios": [1], "measured": 0})
    assert [line[0] for line in found["pair 1"]] == ["sentence 1", "1", "sentence 2"]
    assert found["pair 1"][1][2] == found["pair 1"][0][2] == f"{word} {word}"
    assert found["pair 1"][2][2] == f"{word} <unk>" and list(found) == ["pair 1"]
    found = generated("rnn_ar-regeneration", {"contexts": own, "deviations": [0], "measured": 0})
    assert [lines[0][2] for lines in found.values()] == [f"{word} {word}", f"{word} <unk>"]
    assert {line[2] for line in found["context 1"]} == {f"{word} {word}"}


def test_own_sentences_that_have_no_room_are_refused(here):
    fits, longer = " ".join(["the"] * 14), " ".join(["the"] * 15)
    assert generated("att_s-regeneration", {"contexts": [fits], "measured": 0})["context 1"][0][2].count(" ") == 13
    with pytest.raises(Problem, match="expected texts of 1 to 14 tokens, .* questions, got 15 in 'the the"):
        generated("att_s-regeneration", {"contexts": [longer]})


@pytest.mark.parametrize("kind", ["samples", "interpolation", "regeneration"])
def test_nothing_asked_for_is_a_file_without_lines(here, kind):
    most = {"samples": "count", "interpolation": "pairs", "regeneration": "contexts"}[kind]
    assert not any(generated(f"rnn_ar-{kind}", {most: 0, "measured": 0}).values())


def counted(name, **change):
    """(label, decoding) -> the numbers of a text's file."""
    generated(name, change)
    return {line[:2]: written_texts.counts(line[2]) for line in lines_of(name)[generate.NUMBERS]}


def value(text):
    """The number and its error, of ``0.25 (0.01)``."""
    return [float(part.strip("()")) for part in text.split()]


@every_writer
def test_what_is_written_is_counted(here, name):
    """At noise 0 every word comes back; with much noise few do, and what stands there is no text of the training."""
    some = 1.0e-4 if name in WORDS else 0.01  # a word has a share of the first dimension's noise, as large as its p
    found = counted(f"{name}-regeneration", contexts=1, deviations=[0, some, 30.0], beam=2, measured=10)
    assert list(found) == [
        ("test sequences", ""),
        *((f"noise {deviation}", way) for deviation in ("0", str(some), "30.0") for way in WAYS[name]),
    ]
    given = found["test sequences", ""]
    assert given["texts"] == "10" and "right" not in given and "changed" not in given
    for way in WAYS[name]:
        none, little, much = (found[f"noise {deviation}", way] for deviation in ("0", str(some), "30.0"))
        assert value(none["right"]) == [1, 0] and none["words"] == given["words"] and "changed" not in none
        assert none["perplexity"] == given["perplexity"] and none["distinct"] == given["distinct"]
        assert "right" not in little and value(little["changed"])[0] < 0.2 < 0.5 < value(much["changed"])[0]
        assert value(much["perplexity"])[0] > 2 * value(given["perplexity"])[0]


def test_samples_and_interpolations_are_counted(here):
    found = counted("rnn_ar-samples", count=1, beam=2, measured=10)
    assert list(found)[1:] == [(label, way) for label in ("noise 0", "samples") for way in WAYS["rnn_ar"]]
    assert "changed" not in found["samples", "greedy"] and found["samples", "greedy"]["texts"] == "10"
    found = counted("att_s-interpolation", pairs=1, ratios=[1, 0.5], measured=10)
    ways = [("1", WAYS["att_s"][0]), ("0.5", WAYS["att_s"][0])]
    assert list(found)[2:] == ways and [found[way]["texts"] for way in ways] == ["5", "5"]  # of pairs of the ten


def test_the_numbers_are_those_of_the_texts(here):
    """Counted by hand, and the perplexity that nltk itself gives each word and end."""
    dataset = prepared.load(paths.prepared("demo", "questions"))
    known = dataset.vocabulary
    cut = [tokens.decode(row, known).split() for row in dataset.train.symbols.reshape(-1, 16).tolist()]
    trigram = ngrams.fit(cut, [1] * len(cut), 3)
    given = torch.as_tensor(dataset.test.symbols.reshape(-1, 16)[:3].astype(np.int64))
    other = given.clone()
    other[1] = other[0]
    last = len(tokens.decode(given[2].tolist(), known).split())
    other[2, last] = other[2, last - 1]  # one word of the third text, which stands before </s>
    found = written_texts.counts(generate._counted(other, known, trigram, given, "noise 1"))
    rows = [tokens.decode(row, known).split() for row in other.tolist()]
    before = [tokens.decode(row, known).split() for row in given.tolist()]
    moved = sum(
        a != b for a, b in zip(given[1].tolist(), other[1].tolist(), strict=True) if known[a] not in tokens.SPECIAL
    )
    moved += int(given[2, last] != other[2, last])
    assert found["words"] == str(sum(map(len, rows))) and value(found["distinct"]) == [0.6667]
    assert value(found["changed"])[0] == pytest.approx(moved / sum(map(len, before)), abs=1e-4)
    nats = []
    for row in rows:
        padded = ["<s>", "<s>", *row, "</s>"]
        nats += [-math.log(trigram.score(padded[t], padded[t - 2 : t])) for t in range(2, len(padded))]
    assert value(found["perplexity"])[0] == pytest.approx(math.exp(np.mean(nats)), rel=1e-3)
    words = {word for row in cut for word in row} | {"</s>"}
    assert sum(trigram.score(word, ["<s>", cut[0][0]]) for word in words) == pytest.approx(1)


def test_the_file_says_whose_it_is_and_is_the_same_again(here):
    name = "rnn_ar-samples"
    generated(name)
    written = paths.text("demo", name).read_bytes()
    generated(name)
    assert paths.text("demo", name).read_bytes() == written
    header = dict(line[2:].split(": ", 1) for line in written.decode().split("\n\n")[0].splitlines())
    folder = paths.seed("demo", "rnn_ar", 0)
    assert header["model_sha256"] == files.sha256(folder / "model.safetensors")
    assert header["config_hash"] == files.digest(params.load().text("demo", name))
    assert (header["run"], header["seed"], header["kind"]) == ("rnn_ar", "0", "samples")
    rows = written_texts.rows(inputs.Results(params.load(), "demo"), {"texts": [name]})
    assert [(row["label"], row["decoding"], row["text"]) for row in rows] == lines_of(name)["samples"]


def test_texts_of_a_model_that_was_trained_since_are_refused(here, monkeypatch):
    name = "att_s-samples"
    generated(name)
    results, record = inputs.Results(params.load(), "demo"), paths.seed("demo", "att_s", 0) / "train.json"
    before = record.read_text()
    try:
        listed = files.read_sealed(record)["files"]
        report_world.rewrite(record, files=listed | {"model.safetensors": "0" * 64})
        with pytest.raises(Problem, match=f"with model_sha256 0000.*; run: python -m seqflows generate demo/{name}"):
            written_texts.rows(results, {"texts": [name]})
    finally:
        record.write_text(before)
    assert written_texts.rows(results, {"texts": [name]})
