"""Likelihood estimates against a model whose answer is known; the stages evaluate and speed."""

import csv
import dataclasses
import json
import math
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import tiny
from seqflows import compute, files, models, paths
from seqflows.config.evaluation import Sequences
from seqflows.data import prepared
from seqflows.errors import Problem
from seqflows.evaluation import evaluate, exports, likelihood, samples, scoring, speed
from seqflows.evaluation.given import likelihoods
from seqflows.evaluation.kinds.sequences import sentence_symbols
from seqflows.evaluation.likelihood import importance_nll, pieces, ratio, score
from seqflows.training import loop

CPU = compute.Machine(torch.device("cpu"), "cpu", 1, "fp32")
NOISE = 0.5
SCORES = ("index", "length", "nll", "length_nats", "reconstruction", "kl", "ess", "source_nll")


class Lognormal(models.Model):
    """log w = log p(x, T) + s e - s^2 / 2 with e ~ N(0, 1): the weights' mean is p(x, T) exactly."""

    exact = False

    def __init__(self):
        super().__init__()
        self.largest = 0

    def length_log_prob(self, lengths):
        return torch.full((len(lengths),), -math.log(4.0))

    def importance(self, batch, samples):
        self.largest = max(self.largest, batch.x.shape[0] * batch.x.shape[1] * samples)
        truth = -math.log(4) * (batch.lengths + 1)
        log_weights = truth[:, None] + NOISE * torch.randn(len(truth), samples) - NOISE**2 / 2
        return log_weights, (-math.log(4) * batch.lengths)[:, None].expand(-1, samples)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A project whose runs are trained and evaluated."""
    folder = tmp_path_factory.mktemp("project")
    patch = pytest.MonkeyPatch()
    patch.chdir(folder)
    patch.setattr(files, "revision", lambda: "test")
    tiny.project(folder)
    patch.setattr(scoring, "ERRORS", 1e9)  # six sequences have no test of significance
    for name in tiny.RUNS:
        loop.run(paths.Key("demo", name))
        evaluate.run(paths.Key("demo", name))
    patch.undo()
    return folder


@pytest.fixture
def project(trained, tmp_path, monkeypatch):
    """A copy to spoil."""
    folder = tmp_path / "copy"
    shutil.copytree(trained, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(files, "revision", lambda: "test")
    monkeypatch.setattr(scoring, "ERRORS", 1e9)
    return folder


def by_name(name, drop=("wall_seconds",)):
    content = json.loads(paths.metrics("demo", name).read_text())
    return {row["metric"]: {k: v for k, v in row.items() if k not in drop} for row in content["metrics"]}


def test_importance_sampling_against_a_known_answer():
    rng = np.random.default_rng(0)
    split = tiny.split("text", 300, rng, True)
    chosen = Sequences(samples=200, at=[1, 10, 100, 200], headline=200, chunk=5000)
    model = Lognormal()
    scores = score(model, split, chosen, CPU, 1)
    truth = -split.source_log_prob
    gaps = {k: float((values - truth).mean()) for k, values in scores.nll_at.items()}
    assert gaps[1] == pytest.approx(NOISE**2 / 2, abs=0.01)  # the bound's gap, exactly
    bias = (math.exp(NOISE**2) - 1) / 2  # of a mean of K weights, times K, to first order
    assert gaps[10] == pytest.approx(bias / 10, abs=0.005)
    assert gaps[1] > gaps[10] > gaps[100] > -0.01
    assert float((scores.nll - truth).mean()) == pytest.approx(bias / 200, abs=0.008)
    assert scores.ess.mean() == pytest.approx(200 / math.exp(NOISE**2), rel=0.02)
    assert np.allclose(scores.reconstruction, math.log(4) * split.lengths) and np.allclose(scores.length, math.log(4))
    assert scores.kl.mean() == pytest.approx(NOISE**2 / 2, abs=0.01)
    bound = scores.reconstruction + scores.kl + scores.length
    assert np.allclose(bound, scores.nll_at[1])  # -ELBO is the mean log-weight, K = 1


def test_scoring_leaves_the_callers_generator_alone():
    """And gives the numbers of its seed: those of texts given their contexts, too."""
    split = tiny.split("text", 9, np.random.default_rng(0), True)
    settings = Sequences(samples=4, headline=4)
    for scored in (
        lambda: score(Lognormal(), split, settings, CPU, 1).nll,
        lambda: likelihoods(Lognormal(), split, 4, CPU, 1)[0],
    ):
        torch.manual_seed(7)
        before = torch.get_rng_state()
        first = scored()
        assert torch.equal(torch.get_rng_state(), before)
        torch.rand(1)
        assert np.array_equal(scored(), first)


def test_memory_does_not_grow_with_samples():
    split = tiny.split("text", 40, np.random.default_rng(0), True)
    for count in (5, 500):
        model = Lognormal()
        score(model, split, Sequences(samples=count, headline=count, chunk=100), CPU, 0)
        assert model.largest <= 100
    assert sorted(i for part, _ in pieces(split, 30) for i in part) == list(range(40))
    assert all(at_once == 1 and len(part) == 1 for part, at_once in pieces(split, 1))
    # what one sequence's samples fill is not padded for others
    assert all(len(part) == 1 for part, _ in pieces(split, 500, samples=50))
    assert any(len(part) > 1 for part, _ in pieces(split, 500, samples=2))
    for part, at_once in pieces(split, 100, samples=3):
        assert split.lengths[part].max() * len(part) * at_once <= 100


def test_groups_are_disjoint_and_leftovers_unused():
    weights = torch.randn(2, 7, dtype=torch.float64)
    parts = [-(weights[:, a : a + 3].exp().mean(1).log()) for a in (0, 3)]
    assert torch.allclose(importance_nll(weights, 3), sum(parts) / 2)
    assert torch.equal(importance_nll(weights.numpy(), 3), importance_nll(weights, 3))
    assert torch.allclose(importance_nll(weights, 1), -weights.mean(1))
    huge = torch.tensor([[-5000.0, -5001.0]], dtype=torch.float64)
    assert torch.isfinite(importance_nll(huge, 2)).all()


def test_ratio_and_its_standard_error():
    rng = np.random.default_rng(0)
    counts = rng.integers(5, 50, (2000, 400))
    values = 1.7 * counts + rng.standard_normal(counts.shape) * np.sqrt(counts)
    found = [ratio(v, c) for v, c in zip(values, counts, strict=True)]
    spread = np.std([value for value, _ in found])
    assert np.mean([error for _, error in found]) == pytest.approx(spread, rel=0.06)
    assert ratio(np.array([3.0, 3.0]), np.array([1.0, 1.0])) == (3.0, 0.0)
    assert ratio(np.array([3.0]), np.array([2.0])) == (1.5, None)


@pytest.mark.parametrize(
    ("block", "text"),
    [
        ({"samples": 0}, "samples"),
        ({"samples": 4, "headline": 4, "at": [0]}, "evaluation.at"),
        ({"samples": 4, "headline": 0}, "headline"),
        ({"samples": 4, "headline": 4, "at": [4, 5]}, "at: expected counts of at most evaluation.samples, 4, got 5"),
        ({"sample": 4}, "nearest: samples"),
        ({"samples": 4, "exports": ["grid"]}, "grid"),
        ({"samples": 4, "chunk": 0}, "chunk"),
    ],
)
def test_bad_settings(block, text):
    with pytest.raises(Problem, match=text):
        Sequences.of(block, "evaluation")


def test_metrics_are_what_their_definitions_say(project):
    rows = by_name("text-latent")
    split = prepared.load(paths.prepared("demo", "text")).test
    with open(paths.evaluation("demo", "text-latent") / "seed-0" / "scores.csv") as file:
        scores = list(csv.DictReader(file))
    assert tuple(scores[0]) == SCORES and len(scores) == 6
    column = {name: np.array([float(row[name]) for row in scores]) for name in SCORES}
    assert column["length"].tolist() == split.lengths.tolist()
    bits = (column["length"] + 1).sum() * math.log(2)
    assert rows["nll"]["value"] == pytest.approx(column["nll"].sum() / bits)
    assert rows["length"]["value"] == pytest.approx(column["length_nats"].sum() / bits)
    pure = column["reconstruction"].sum() / bits
    assert rows["reconstruction_pure"]["value"] == pytest.approx(pure)
    assert rows["reconstruction"]["value"] == pytest.approx(pure + rows["length"]["value"])
    total = rows["reconstruction"]["value"] + rows["kl"]["value"]
    assert rows["elbo"]["value"] == pytest.approx(total)
    assert rows["kl_share"]["value"] == pytest.approx(rows["kl"]["value"] / total)
    assert rows["source"]["value"] == pytest.approx(2.0) and rows["source_entropy"]["value"] == pytest.approx(2.0)
    excess = (column["nll"] - column["source_nll"]).mean()
    assert rows["excess"]["value"] == pytest.approx(excess) and rows["excess"]["unit"] == "nats/sequence"
    assert rows["nll@3"]["value"] == rows["nll"]["value"] and rows["nll@1"]["samples"] == 1
    assert 1 <= rows["ess"]["value"] <= 6 and rows["nll"]["unit"] == "bpc"


def test_every_metric_has_its_full_signature(project):
    wanted = {
        *("seed", "metric", "value", "unit", "samples", "standard_error", "sequences", "dataset", "dataset_sha256"),
        *("revision", "train_revision", "config_hash", "device", "device_name", "precision", "threads", "wall_seconds"),
    }
    for name in tiny.RUNS:
        for row in by_name(name, drop=()).values():
            assert set(row) == wanted and math.isfinite(row["value"]) and row["revision"] == "test"
    assert "nll_literature" in by_name("music-latent") and by_name("music-latent")["nll"]["unit"] == "nats/step"
    assert by_name("points-flow").keys() == {"nll", "parameters", "source", "excess", "source_entropy"}
    assert {"nll", "length"} <= by_name("text-lstm").keys() and "kl" not in by_name("text-lstm")


def test_literature_convention_leaves_the_length_out(project):
    rows = by_name("music-latent")
    lengths = prepared.load(paths.prepared("demo", "music")).test.lengths
    wanted = (rows["nll"]["value"] - rows["length"]["value"]) * (lengths + 1).sum() / lengths.sum()
    assert rows["nll_literature"]["value"] == pytest.approx(wanted)


def test_a_text_is_also_scored_by_sentence(project):
    """The length given, each sentence's own bits per symbol, with a space after the last."""
    rows = by_name("text-latent")
    with open(paths.evaluation("demo", "text-latent") / "seed-0/scores.csv", newline="") as file:
        scores = [{name: float(value or "nan") for name, value in row.items()} for row in csv.DictReader(file)]
    own = [(row["nll"] - row["length_nats"]) / (row["length"] + 1) / math.log(2) for row in scores]
    found = rows["nll_sentences"]
    assert found["value"] == pytest.approx(math.fsum(own) / len(own)) and found["unit"] == "bpc"
    spread = math.sqrt(sum((one - found["value"]) ** 2 for one in own) / (len(own) - 1) / len(own))
    assert found["standard_error"] == pytest.approx(spread, rel=0.1)


def test_an_unknown_word_is_one_symbol():
    texts = ["a <unk>", "ab", "<unk><unk>"]
    letters = sorted(set("".join(texts)))
    symbols = np.array([letters.index(letter) for text in texts for letter in text])
    lengths = np.array([len(text) for text in texts])
    split = SimpleNamespace(symbols=symbols, lengths=lengths, offsets=np.cumsum([0, *lengths[:-1]]))
    found = sentence_symbols(SimpleNamespace(test=split, vocabulary=letters))
    assert found.tolist() == [4, 3, 3]  # "a", " ", "<unk>" and a space; "a", "b" and a space


@pytest.mark.parametrize("name", list(tiny.RUNS))
def test_metrics_and_files_repeat_bit_for_bit(project, name):
    rows = by_name(name)
    folder = paths.evaluation("demo", name) / "seed-0"
    sums = {path.name: files.sha256(path) for path in folder.iterdir()}
    torch.manual_seed(99)
    evaluate.run(paths.Key("demo", name))
    assert by_name(name) == rows
    assert {path.name: files.sha256(path) for path in folder.iterdir()} == sums


def test_samples_of_every_kind(project):
    lines = (paths.evaluation("demo", "text-latent") / "seed-0" / "samples.txt").read_text().splitlines()
    assert len(lines) == 8 and [line[0] for line in lines].count("#") == 2
    assert set("".join(lines[1:4])) <= set("ab c")
    with np.load(paths.evaluation("demo", "music-latent") / "seed-0" / "samples.npz") as arrays:
        assert arrays["frames"].shape == (arrays["lengths"].sum(), 88)
        assert set(np.unique(arrays["mode_frames"])) <= {0, 1}
    points = (paths.evaluation("demo", "points-flow") / "seed-0" / "samples.csv").read_text().splitlines()
    assert points[0] == "x0,x1" and len(points) == 4


def test_exports_are_distributions(project):
    content = json.loads((paths.evaluation("demo", "text-lstm") / "seed-0" / "conditionals.json").read_text())
    steps = content["steps"]
    assert len(steps) == 8 and [step["t"] for step in steps] == list(range(steps[0]["t"], steps[0]["t"] + 8))
    for step in steps:
        assert np.exp(step["log_prob"]).sum() == pytest.approx(1, abs=1e-5)
        assert content["string"].startswith(step["prefix"] + step["next"])
    folder = paths.evaluation("demo", "text-latent") / "seed-0"
    with np.load(folder / "prior_grid.npz") as arrays:
        assert arrays["log_density"].shape == (8, 100, 100) and arrays["z"].shape == (8, 2)
        x, y, z = arrays["x"], arrays["y"], arrays["z"]
        assert x[0] < z[:, 0].min() and z[:, 0].max() < x[-1] and y[0] < z[:, 1].min() and z[:, 1].max() < y[-1]
    assert len(json.loads((folder / "prior_grid.json").read_text())["string"]) == 8


def test_density_grid_is_a_density_and_oriented(project):
    key = paths.Key("demo", "points-flow")
    dataset = prepared.load(paths.prepared("demo", "points"))
    with np.load(paths.evaluation("demo", "points-flow") / "seed-0" / "density_grid.npz") as arrays:
        log_density, x, y = arrays["log_density"], arrays["x"], arrays["y"]
    assert log_density.shape == (len(y), len(x)) == (200, 200)
    block = tiny.matrix()["runs"]["points-flow"]["demo"] | {"dataset": "points"}
    model, _ = evaluate.loading.load(key, block, 0, dataset, CPU)
    with torch.no_grad():
        point = model.log_density(torch.tensor([[x[30], y[150]]]))
    assert log_density[150, 30] == pytest.approx(point.item(), abs=1e-4)


def test_true_density_is_drawn_where_the_source_is_known(project, tmp_path, monkeypatch):
    from seqflows.data import embedded, prepared

    options = {"seed": 1, "train": 4, "valid": 4, "test": 4}
    embedded.generate({"source": "embedded-gaussians", **options}, tmp_path)
    specification = json.loads((tmp_path / embedded.SPECIFICATION).read_text())
    load = prepared.load

    def with_source(folder):
        dataset = load(folder)
        return dataclasses.replace(dataset, statistics={**dataset.statistics, "source_specification": specification})

    monkeypatch.setattr(prepared, "load", with_source)
    evaluate.run(paths.Key("demo", "points-flow"))
    with np.load(paths.evaluation("demo", "points-flow") / "seed-0" / "density_grid.npz") as arrays:
        truth, x, y = arrays["true_log_density"], arrays["x"], arrays["y"]
    spot = np.array([[x[5], y[190]]])
    assert truth[190, 5] == pytest.approx(embedded.read(tmp_path).log_density(spot)[0], rel=1e-6)


def test_hand_set_nlsq_is_a_density_with_four_modes():
    arrays = exports.hand_set()
    density, z = arrays["density"], arrays["z"]
    assert np.trapezoid(density, z) == pytest.approx(1, abs=2e-3)
    peaks = (density[1:-1] > density[:-2]) & (density[1:-1] > density[2:]) & (density[1:-1] > 0.1)
    assert peaks.sum() == 4 and (np.diff(arrays["eps"]) > 0).all()


def test_a_score_below_the_source_fails_the_stage_and_leaves_nothing(project, monkeypatch):
    row = {"metric": "excess", "value": -0.31, "standard_error": 0.1, "sequences": 500}
    monkeypatch.setattr(scoring, "ERRORS", 3)
    with pytest.raises(Problem, match=r"-0\.3100 nats/sequence with standard error 0\.1000 over 500"):
        scoring.check_excess([row], "demo/x")
    scoring.check_excess([{**row, "value": -0.29}], "demo/x")
    good = likelihood.score

    def flattering(*given):
        scores = good(*given)
        scores.nll = scores.nll * 0.5
        return scores

    monkeypatch.setattr(likelihood, "score", flattering)
    shutil.rmtree(paths.evaluation("demo", "text-lstm"))
    with pytest.raises(Problem, match="source"):
        evaluate.run(paths.Key("demo", "text-lstm"))
    assert not paths.metrics("demo", "text-lstm").exists() and not paths.evaluation("demo", "text-lstm").exists()


def test_evaluate_before_train(project):
    shutil.rmtree(paths.train("demo", "text-lstm"))
    with pytest.raises(Problem, match="python -m seqflows train demo/text-lstm first"):
        evaluate.run(paths.Key("demo", "text-lstm"))


def test_a_model_of_other_parameters_data_or_bytes_is_refused(project):
    key, path = paths.Key("demo", "text-lstm"), paths.seed("demo", "text-lstm", 0) / "model.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:-4])
    with pytest.raises(Problem, match=r"sha256.*train demo/text-lstm first"):
        evaluate.run(key)
    path.write_bytes(whole)
    tiny.write_matrix(project, {**tiny.RUNS, "text-lstm": tiny.run("text", tiny.LSTM, {"epochs": 4})})
    with pytest.raises(Problem, match="present parameters"):
        evaluate.run(key)
    tiny.project(project, known=False)
    with pytest.raises(Problem, match="prepared data"):
        evaluate.run(key)


def test_a_change_of_the_evaluation_needs_no_training(project):
    changed = {**tiny.RUNS["text-latent"]}
    changed["demo"] = {**changed["demo"], "evaluation": {**tiny.EVALUATION, "generate": 1}}
    before = by_name("text-latent")["nll"]
    tiny.write_matrix(project, {**tiny.RUNS, "text-latent": changed})
    evaluate.run(paths.Key("demo", "text-latent"))
    after = by_name("text-latent")["nll"]
    assert after["value"] == before["value"] and after["config_hash"] != before["config_hash"]


def test_exports_refuse_the_wrong_model(project):
    wrong = {**tiny.RUNS["text-lstm"]}
    for name in ("prior_grid", "density_grid"):
        wrong["demo"] = {**wrong["demo"], "evaluation": {**tiny.EVALUATION, "exports": [name]}}
        tiny.write_matrix(project, {**tiny.RUNS, "text-lstm": wrong})
        with pytest.raises(Problem, match=name):
            evaluate.run(paths.Key("demo", "text-lstm"))


def test_non_finite_scores_are_refused():
    model = Lognormal()
    model.importance = lambda batch, samples: [torch.full((len(batch.lengths), samples), float("nan"))] * 2
    with pytest.raises(Problem, match="finite"):
        score(model, tiny.split("text", 3, np.random.default_rng(0), True), Sequences(), CPU, 0)


def test_sampling_is_a_function_of_its_seed(project):
    model = models.build(tiny.LATENT, prepared.load(paths.prepared("demo", "text")).facts())
    first, again = (samples.draw(model, 5, 3, mode=False) for _ in range(2))
    assert torch.equal(first.x, again.x)
    assert torch.equal(first.lengths, samples.draw(model, 5, 3, mode=True).lengths)


def test_speed_writes_a_row_a_repeat(project):
    speed.run(paths.Key("demo", "tiny"))
    with open(paths.speed("demo", "tiny")) as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == speed.COLUMNS
    assert [(row["length"], row["repeat"]) for row in rows] == [("2", "0"), ("5", "0"), ("2", "1"), ("5", "1")]
    assert all(float(row["seconds"]) > 0 and row["run"] == "text-latent" for row in rows)


def test_speed_needs_no_training(project):
    shutil.rmtree(paths.train("demo", "text-latent"))
    speed.run(paths.Key("demo", "tiny"))
    assert paths.speed("demo", "tiny").exists()


def test_speed_refuses_lengths_out_of_reach(project, monkeypatch):
    matrix = tiny.matrix()
    matrix["speeds"]["tiny"]["demo"] = {"lengths": [400], "repeats": 2}
    monkeypatch.setattr(tiny, "matrix", lambda *_: matrix)
    tiny.write_matrix(project)
    with pytest.raises(Problem, match="at most 15"):
        speed.run(paths.Key("demo", "tiny"))


def test_nothing_temporary_is_left(project):
    assert not [path for path in Path(".").rglob(".*.tmp")]
