"""Trained models for use: loaded from runs or from weights, scored, sampled; on the command line too."""

from __future__ import annotations

import itertools
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
import yaml

import seqflows
import tiny
from seqflows import cli, paths, trained
from seqflows.data import download, prepare, prepared
from seqflows.data.batching import collate
from seqflows.errors import Problem
from seqflows.evaluation.likelihood import effective_samples, importance_nll
from seqflows.training import loop

QUESTIONS = {
    "source": "embedded-language",
    "seed": 1,
    "train": 40,
    "valid": 10,
    "test": 12,
    "length": 16,
    "dimensions": 6,
}
LANGUAGE = {
    "flow": {
        "class": "language_flow",
        "structure": "past",
        "steps": 1,
        "scales": 1,
        "width": 8,
        "inner": 8,
        "heads": 2,
    },
    "trigram": {"class": "word_mixture", "network": "trigram"},  # whose tensors are all made anew, none is saved
}
RUNS = ("text-latent", "text-lstm", "music-latent", "points-flow", "words-gru", "words-state")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A project whose runs are trained."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("SEQFLOWS_CHECKPOINTS", raising=False)
        tiny.project(folder)
        for name in RUNS:
            loop.run(paths.Key("demo", name))
    return folder


@pytest.fixture
def project(made, tmp_path, monkeypatch):
    """A copy of it."""
    shutil.copytree(made, tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


@pytest.fixture(scope="module")
def made_of_language(tmp_path_factory):
    """A project of embedded texts whose runs are trained."""
    folder = tmp_path_factory.mktemp("language")
    content = tiny.matrix(runs={})
    content["speeds"] = {}
    content["datasets"] = {"questions": {"kind": "language", **dict.fromkeys(paths.SCALES, QUESTIONS)}}
    for name, model in LANGUAGE.items():
        training = {"epochs": 1, "batch_size": 8, "learning_rate": 1.0e-3}
        block = {"seeds": [0], "model": model, "training": training, "evaluation": {"draws": 2}}
        content["runs"][name] = {"reproduces": "tang2021", "dataset": "questions", **dict.fromkeys(paths.SCALES, block)}
    (folder / "params.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    block = {"kind": "language", **QUESTIONS}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("SEQFLOWS_CHECKPOINTS", raising=False)
        download.fetch(block, paths.raw("demo", "questions"))
        prepare.prepare(block, paths.raw("demo", "questions"), paths.prepared("demo", "questions"), "questions")
        for name in LANGUAGE:
            loop.run(paths.Key("demo", name))
    return folder


@pytest.fixture
def language(made_of_language, tmp_path, monkeypatch):
    """A copy of it."""
    shutil.copytree(made_of_language, tmp_path / "language")
    monkeypatch.chdir(tmp_path / "language")


def _left_alone(call):
    """What a call gives, which draws nothing from torch's own generator and leaves it as it was."""
    before = torch.get_rng_state()
    found = call()
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(3)
    again = call()
    assert np.array_equal(found, again) if isinstance(found, np.ndarray) else str(found) == str(again)
    return found


@pytest.mark.parametrize("name", RUNS)
def test_the_callers_generator_is_left_alone(project, name):
    """So a training that scores after each epoch has other noise in each, and the scores the same."""
    model = seqflows.load(f"demo/{name}")
    drawn = _left_alone(lambda: model.sample(3))
    _left_alone(lambda: model.score(drawn, samples=4))
    if not model.model.exact:
        _left_alone(lambda: model.log_weights(drawn, 4))


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", LANGUAGE)
def test_a_model_of_language_is_used_from_its_run_and_from_weights(language, name, packed):
    """Also one whose tensors are all made from the training texts; a text's noise does not depend on others'."""
    data = prepared.load(paths.prepared("demo", "questions"))
    texts = [trained.tokens.decode(data.test.sequence(place), data.vocabulary) for place in range(len(data.test))]
    lines = list(dict.fromkeys(texts))[:3]
    if packed:
        before = seqflows.load(f"demo/{name}")
        assert cli.main(["weights", "demo"]) == 0
        for gone in ("runs", "data"):
            shutil.rmtree(gone)
        assert (paths.weights("demo", name) / trained.TEXTS).exists() == (name == "trigram")
    model = seqflows.load(f"demo/{name}")
    assert model.device == torch.device("cpu")
    assert len(_left_alone(lambda: model.sample(4))) == 4
    nats, noise = _left_alone(lambda: model.score(lines)), _left_alone(lambda: model.encode(lines))
    assert nats.shape == (3,) and np.isfinite(nats).all() and noise.shape == (3, 16, 6)
    assert _left_alone(lambda: model.decode(noise)) == lines
    for one in (2, 0):  # alone as among others, by the noise that it is scored with, and other noise by another seed
        assert torch.allclose(model.encode([lines[one]])[0], noise[one], rtol=0, atol=1e-5)
        assert model.score([lines[one]])[0] == pytest.approx(nats[one], rel=1e-6)
        assert not torch.allclose(model.encode([lines[one]], seed=1)[0], noise[one])
    if packed:
        assert np.array_equal(before.score(lines), nats) and torch.equal(before.encode(lines), noise)


@pytest.mark.parametrize("name", RUNS)
def test_scores_are_those_of_the_model(project, name):
    model = seqflows.load(f"demo/{name}")
    drawn = model.sample(7, seed=3)
    nll = model.score(drawn, samples=4)
    assert len(drawn) == 7 and nll.shape == (7,) and np.isfinite(nll).all()
    assert np.array_equal(nll, model.score(drawn, samples=4))  # the same noise
    if model.model.exact:
        for place in range(7):  # alone as in a batch, by the model itself
            one = collate(model._split(drawn[place : place + 1]), np.array([0]))
            with torch.no_grad():
                assert nll[place] == pytest.approx(-model.model.log_prob(one).item(), rel=1e-5)


def test_probabilities_of_all_lines_of_a_length_sum_to_that_of_the_length(project):
    model = seqflows.load("demo/text-lstm")
    lines = ["".join(one) for one in itertools.product(model.known.vocabulary, repeat=3)]
    total = np.logaddexp.reduce(-model.score(lines))
    with torch.no_grad():
        length = model.model.length_log_prob(torch.tensor([3])).item()
    assert total == pytest.approx(length, abs=1e-4)


def test_the_bound_tightens_with_samples(project):
    model = seqflows.load("demo/text-latent")
    lines = model.sample(20, seed=1)
    few = np.mean([model.score(lines, samples=1, seed=seed).mean() for seed in range(20)])
    assert model.score(lines, samples=400).mean() < few


def test_samples_are_of_the_vocabulary_and_repeat(project):
    model = seqflows.load("demo/text-lstm")
    assert model.sample(5, seed=2) == model.sample(5, seed=2) != model.sample(5, seed=4)
    assert set("".join(model.sample(50))) <= set(model.known.vocabulary)
    rolls = seqflows.load("demo/music-latent").sample(2)
    assert all(roll.shape[1] == prepared.KEYS and set(np.unique(roll)) <= {0, 1} for roll in rolls)
    assert seqflows.load("demo/points-flow").sample(4).shape == (4, 2)
    assert all(word.isalpha() or not word for word in seqflows.load("demo/words-gru").sample(9))


def test_weights_are_used_without_data_and_runs(project):
    before = {name: seqflows.load(f"demo/{name}") for name in RUNS}
    drawn = {name: model.sample(3) for name, model in before.items()}
    scores = {name: before[name].score(drawn[name], samples=3) for name in RUNS}
    assert cli.main(["weights", "demo"]) == 0
    for gone in ("runs", "data", "params.yaml"):
        shutil.rmtree(gone) if gone != "params.yaml" else (project / gone).unlink()
    for name in RUNS:
        model = seqflows.load(f"demo/{name}")
        assert np.array_equal(model.score(drawn[name], samples=3), scores[name])
        assert model.record["config"] == before[name].record["config"] and model.unit == before[name].unit


@pytest.mark.parametrize("name", ["seed-0.safetensors", "seed-0.json", "facts.json"])
def test_changed_weights_are_refused(project, name):
    trained.pack("demo")
    shutil.rmtree("runs")
    path = paths.weights("demo", "text-lstm") / name
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(Problem, match=rf"expected weights/demo/text-lstm/{name} with sha256"):
        seqflows.load("demo/text-lstm")


def test_what_is_not_here_is_named(project):
    with pytest.raises(Problem, match=r"expected runs/demo/text-lst/train or weights/.*nearest: demo/text-lstm"):
        seqflows.load("demo/text-lst")
    with pytest.raises(Problem, match="expected a seed of demo/text-lstm among 0, got 7"):
        seqflows.load("demo/text-lstm", 7)
    path = paths.seed("demo", "text-lstm", 0) / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(Problem, match="expected .*model.safetensors with sha256"):
        seqflows.load("demo/text-lstm")


def test_other_data_than_it_was_trained_on_are_refused(project):
    dataset = prepared.load(paths.prepared("demo", "text"))
    splits = {"train": dataset.test, "valid": dataset.valid, "test": dataset.train}
    prepared.save(paths.prepared("demo", "text"), dataset.vocabulary, splits, dataset.statistics)
    with pytest.raises(Problem, match="expected the data that demo/text-lstm was trained on"):
        seqflows.load("demo/text-lstm")


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("text-lstm", ["a?"], "expected only the 4 characters"),
        ("text-lstm", ["a" * 16], "expected sequences of 1 to 15 steps for demo/text-lstm, got 16 in number 1; cut it"),
        (
            "text-lstm",
            ["a", ""],
            "expected sequences of 1 to 15 steps for demo/text-lstm, got none in number 2; take it",
        ),
        ("text-lstm", [1, 2], "expected texts for demo/text-lstm, got others"),
        ("text-lstm", [], "expected sequences to score"),
        ("words-gru", ["Word"], "expected words of the letters a to z for demo/words-gru, got 'Word'"),
        ("music-latent", [np.full((3, 88), 2)], r"expected arrays \(T, 88\) of zeros and ones"),
        ("music-latent", [np.zeros((3, 87))], r"expected arrays \(T, 88\) of zeros and ones"),
        ("points-flow", np.zeros((2, 3)), r"expected finite points \(N, 2\)"),
        ("points-flow", np.full((2, 2), np.nan), r"expected finite points \(N, 2\)"),
    ],
)
def test_sequences_that_do_not_fit_are_refused(project, name, given, message):
    with pytest.raises(Problem, match=message):
        seqflows.load(f"demo/{name}").score(given)


def test_a_sequence_has_its_own_draws_whatever_stands_beside_it(project):
    model = seqflows.load("demo/text-latent")
    lines = [line for line in dict.fromkeys(model.sample(9, seed=1)) if line][:3]
    together = model.log_weights(lines, 50)
    assert together.shape == (3, 50) and together.dtype == np.float64
    for line, weights in zip(lines[::-1], together[::-1], strict=True):
        assert np.array_equal(model.log_weights([line], 50)[0], weights)
        assert model.score([line]) == pytest.approx(np.log(50) - np.logaddexp.reduce(weights))
    assert not np.array_equal(model.log_weights(lines, 50, seed=1), together)
    with pytest.raises(Problem, match="expected a model with latents, got demo/text-lstm"):
        seqflows.load("demo/text-lstm").log_weights(["a"])
    with pytest.raises(Problem, match="expected at least one importance sample, got 0"):
        model.score(lines, samples=0)
    for wrong, message in (
        ({"samples": 2.5}, "expected at least one importance sample, a whole number, got 2.5"),
        ({"seed": -1}, "expected a seed of 0 or more, got -1"),
        ({"seed": 0.5}, "expected a seed of 0 or more, a whole number, got 0.5"),
    ):
        with pytest.raises(Problem, match=message):
            model.score(lines, **wrong)


def test_sequences_may_come_one_by_one_and_weights_give_the_score(project):
    model = seqflows.load("demo/text-latent")
    lines = [line for line in model.sample(4, seed=1) if line]
    nats, weights = model.score(lines, samples=9), model.log_weights(iter(lines), 9)
    assert np.array_equal(model.score((line for line in lines), samples=9), nats)
    assert np.array_equal(importance_nll(weights, 9).numpy(), nats)
    sizes = np.exp(2 * np.logaddexp.reduce(weights, 1) - np.logaddexp.reduce(2 * weights, 1))
    assert effective_samples(weights).numpy() == pytest.approx(sizes)


def test_threads_that_score_at_once_draw_the_noise_of_one_alone(project):
    """They share torch's generators, which a score seeds for each sequence."""
    model = seqflows.load("demo/text-latent")
    lines = [line for line in dict.fromkeys(model.sample(40, seed=1)) if line][:12]
    alone = model.score(lines, samples=20)
    before = torch.get_rng_state()
    with ThreadPoolExecutor(4) as threads:
        together = [one.result() for one in [threads.submit(model.score, lines, samples=20) for _ in range(8)]]
    assert all(np.array_equal(nats, alone) for nats in together)
    assert torch.equal(torch.get_rng_state(), before)


def test_many_samples_are_drawn_in_pieces(project, monkeypatch):
    """Log-weights by the model's own densities, of as many draws at a time as fit."""
    model = seqflows.load("demo/text-latent")
    drawn, importance = [], type(model.model).importance

    def counted(self, batch, samples):
        drawn.append(samples)
        return importance(self, batch, samples)

    monkeypatch.setattr(type(model.model), "importance", counted)
    monkeypatch.setattr(trained, "CHUNK", 100)
    weights = model.log_weights(["aaaaa"], 50)
    assert drawn == [20, 20, 10] and np.isfinite(weights).all()


def test_fewer_than_one_sample_is_refused(project):
    with pytest.raises(Problem, match="expected at least one sequence to sample, got 0"):
        seqflows.load("demo/text-lstm").sample(0)


def test_only_flows_of_language_encode(project):
    with pytest.raises(Problem, match="expected a flow of language to encode, got demo/text-lstm, of text"):
        seqflows.load("demo/text-lstm").encode(["a"])


def test_the_command_line_scores_and_samples(project, capsys):
    model = seqflows.load("demo/text-lstm")
    lines = model.sample(3)
    (project / "lines.txt").write_text("\n".join(lines) + "\n\n")
    assert cli.main(["score", "demo/text-lstm", "lines.txt"]) == 0
    told = capsys.readouterr().out.splitlines()
    nats = model.score([line.strip() for line in lines])
    assert [float(line.split("\t")[0]) for line in told[:3]] == pytest.approx(nats.tolist(), abs=1e-4)
    assert told[3] == f"mean of 3: {nats.mean():.4f} nats a sequence, seed 0 of demo/text-lstm"
    assert cli.main(["sample", "demo/text-lstm", "-n", "4"]) == 0
    assert capsys.readouterr().out.splitlines() == model.sample(4)
    assert cli.main(["sample", "demo/text-lstm", "--temperature", "0"]) == 0
    assert capsys.readouterr().out.splitlines() == model.sample(5, temperature=0) == model.sample(5, mode=True)
    for wrong in ("-1", "nan", "inf"):
        assert cli.main(["sample", "demo/text-lstm", "--temperature", wrong]) == 1
        assert f"expected a temperature of at least 0, 1 as trained, got {wrong}" in capsys.readouterr().err
    assert cli.main(["sample", "demo/music-latent"]) == 1
    assert "expected a model of text, words or language" in capsys.readouterr().err
    assert cli.main(["score", "demo/text-lstm", "nowhere.txt"]) == 1
    assert "expected a file of text at nowhere.txt, found none" in capsys.readouterr().err


def test_a_flow_of_language_encodes_decodes_and_tells_unknown_words():
    vectors = np.random.default_rng(0).standard_normal((6, 4)).astype(np.float32)
    facts = prepared.Facts("embedded", 6, 5, (0, 0, 0, 0, 0, 4), vectors)
    block = {"class": "language_flow", "structure": "past", "steps": 1, "scales": 1, "width": 8, "inner": 8, "heads": 2}
    model = trained.models.build(block, facts).eval()
    vocabulary = [*trained.tokens.SPECIAL, "a", "b"]
    one = trained.Trained("demo/x", 0, model, trained.Known("language", "x", "", vocabulary, facts), {})
    assert one.unknown(["a c b d", "c"]) == ["c", "d"]
    noise = one.encode(["a b", "b"])
    assert noise.shape == (2, 5, 4) and one.decode(noise) == ["a b", "b"] == one.decode(noise, beam=2)
    assert one.score(["a b"]).shape == (1,)
    with pytest.raises(Problem, match="expected texts of at most 3 tokens for demo/x, got a longer one: 'a b a b'"):
        one.score(["a b a b"])
