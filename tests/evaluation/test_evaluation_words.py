"""Every metric of a run on words, against what can be counted or computed otherwise."""

import csv
import itertools
import math
import sys

import numpy as np
import pytest
import torch

import tiny
from seqflows import compute, files, paths
from seqflows.config.evaluation import Words
from seqflows.data.batching import collate
from seqflows.data.prepared import Dataset, Split
from seqflows.data.readers.lexicon import VOCABULARY, decode, encode
from seqflows.errors import Problem
from seqflows.evaluation import evaluate, ngrams, scoring, trie
from seqflows.evaluation.kinds import words
from seqflows.evaluation.kinds.words import WordHalves
from seqflows.models import build
from seqflows.training import loop

CPU = compute.Machine(torch.device("cpu"), "cpu", 1, "fp32")


def dataset(known=False):
    return Dataset("words", "words", VOCABULARY, **tiny.words(known), statistics={"max_length": 13}, sha256="ab")


def scored(model, folder, data=None, **changes):
    settings = Words.of({**tiny.WORDS, **changes}, "evaluation")
    rows = words.score(model, data or dataset(), settings, scoring.Task(paths.Key("demo", "x"), 1, CPU, 7, folder))
    assert len({row["metric"] for row in rows}) == len(rows)
    return {row["metric"]: row for row in rows}


def small(seed=0, **changes):
    torch.manual_seed(seed)
    return build({**tiny.STATE_SPACE, **changes}, dataset().facts()).eval()


# --- the words of both halves


def test_both_halves_on_one_list():
    both = WordHalves(dataset(known=True))
    assert sorted(both.words) == sorted(tiny.WORDS_COUNTED) and both.vocabulary == set(tiny.WORDS_COUNTED) - {"tho"}
    for n, word in enumerate(both.words):
        assert (both.train[n], both.test[n]) == tiny.WORDS_COUNTED[word]
        assert decode(both.split.sequence(n)) == word
    assert np.allclose(both.source, -math.log(6))


def test_the_oracle_gives_an_unseen_word_one_count():
    train, test = np.array([9, 6, 4, 3, 2, 0]), np.array([2, 1, 1, 0, 1, 1])
    log_p = words.oracle(train, test)
    assert np.exp(log_p).sum() == pytest.approx(1) and np.exp(log_p[-1]) == pytest.approx(1 / 25)
    assert np.exp(words.oracle(train[:5], test[:5])) == pytest.approx(train[:5] / 24)


# --- metrics


def test_the_oracles_row_is_counted(tmp_path):
    rows = scored(small(), tmp_path, generated=4000)
    p = np.array([9, 6, 4, 3, 2]) / 24
    assert rows["train_entropy"]["value"] == pytest.approx(-(p * np.log(p)).sum())
    assert rows["oracle_train"]["value"] == pytest.approx(-(p * np.log(24 * p / 25)).sum())  # with the unseen word
    test = np.array([2, 1, 1, 1, 1]) / 6
    q = np.array([9, 6, 4, 2, 1]) / 25
    assert rows["oracle_test"]["value"] == pytest.approx(-(test * np.log(q)).sum())
    assert rows["test_entropy"]["value"] == pytest.approx(-(test * np.log(test)).sum())
    assert rows["oracle_known"]["value"] == 1 and rows["oracle_unique"]["value"] == pytest.approx(5 / 4000)
    assert rows["oracle_unseen"]["value"] == pytest.approx(1 / 6)


@pytest.mark.parametrize("proposals", [1, 3])
def test_prior_trajectories_and_posterior_importance_sampling_agree(tmp_path, proposals):
    """Two unbiased estimates of the same probabilities that share nothing but the model."""
    model = small(proposals=proposals, inference="shared")
    with torch.no_grad():  # a posterior near the prior: importance weights without extremes
        model.posterior[-1].weight.mul_(0.3)
        model.posterior[-1].bias[2:] = 0.2
    rows = scored(model, tmp_path, trajectories=[1, 1000, 5000, 10_000], sets=4, samples=500, types=500)
    test, prior = rows["cross_entropy_test"], rows["cross_entropy_test@10000"]
    assert test["samples"] == 500 and rows["cross_entropy_test_half"]["samples"] == 250
    assert abs(test["value"] - prior["value"]) < 3 * math.hypot(test["standard_error"], prior["standard_error"]) + 0.02
    assert rows["trajectories_above"]["value"] == pytest.approx(prior["value"] - test["value"])
    assert rows["trajectories_above"]["standard_error"] == test["standard_error"]
    moved = rows["cross_entropy_test_half"]["value"] - test["value"]
    assert moved >= 0 and rows["settled"]["value"] == (moved < trie.SETTLED)
    assert rows["elbo"]["value"] > test["value"] and rows["cross_entropy_test@1"]["value"] > test["value"]
    assert rows["elbo"]["value"] == pytest.approx(rows["reconstruction"]["value"] + rows["kl"]["value"])
    assert rows["kl_share"]["value"] == pytest.approx(rows["kl"]["value"] / rows["elbo"]["value"])
    assert rows["cross_entropy_test_bits"]["value"] == pytest.approx(test["value"] / math.log(2))
    assert prior["standard_error"] > 0 and 1 <= rows["ess"]["value"] <= 500
    difference = rows["cross_entropy_test"]["value"] - rows["cross_entropy_train"]["value"]
    assert rows["cross_entropy_difference"]["value"] == pytest.approx(difference)


def test_one_drawing_of_words_serves_both_halves(tmp_path):
    """Their difference is that of the halves, its error that of a sum over the same samples: not of two estimates."""
    rows = scored(small(), tmp_path, samples=50)
    difference = rows["cross_entropy_test"]["value"] - rows["cross_entropy_train"]["value"]
    assert rows["cross_entropy_difference"]["value"] == pytest.approx(difference)
    errors = [rows[f"cross_entropy_{half}"]["standard_error"] for half in ("train", "test", "difference")]
    assert errors[2] < math.hypot(*errors[:2])


def test_the_baseline_is_exact_and_its_sampled_reading_stands_beside(tmp_path):
    torch.manual_seed(0)
    model = build(tiny.GRU, dataset().facts()).eval()
    rows = scored(model, tmp_path, trajectories=[1, 1000, 2000])
    counts = {word: both[1] for word, both in tiny.WORDS_COUNTED.items() if both[1]}
    symbols, lengths = encode(list(counts))
    split, weights = Split("words", lengths, symbols), np.array(list(counts.values()))
    with torch.no_grad():
        log_p = [model.log_prob(collate(split, np.array([n]))).item() for n in range(len(split))]
    assert rows["cross_entropy_test"]["value"] == pytest.approx(-(weights @ log_p) / weights.sum())
    assert rows["cross_entropy_test"]["samples"] == 0 and "settled" not in rows and "entropy_gap" not in rows
    # states that its own symbols drive say nothing of the word that is scored
    assert rows["cross_entropy_test@2000"]["value"] > rows["cross_entropy_test"]["value"] - 0.05
    assert {"entropy_expected", "unique", "known_all"} <= set(rows) and not (tmp_path / "gaps.csv").exists()


def test_generated_words_are_counted(tmp_path):
    rows = scored(small(), tmp_path)
    made = (tmp_path / "samples.txt").read_text().split("\n")[:-1]
    assert len(made) == 30 == rows["unique"]["samples"]
    assert rows["unique"]["value"] == pytest.approx(len(set(made)) / 30)
    assert rows["known"]["value"] == pytest.approx(sum(word in WordHalves(dataset()).vocabulary for word in made) / 30)
    assert rows["unique_known"]["value"] == pytest.approx(len(set(made) & WordHalves(dataset()).vocabulary) / 30)
    assert rows["unique_all"]["samples"] == 5  # as many as there are training words
    test = {word: both[1] for word, both in tiny.WORDS_COUNTED.items() if both[1]}  # fitted on types, and on tokens
    for name, weights in (("perplexity_2", [1] * len(test)), ("perplexity_2_tokens", list(test.values()))):
        wanted, error = ngrams.perplexity(ngrams.fit(list(test), weights, 2), made)
        assert (rows[name]["value"], rows[name]["standard_error"]) == pytest.approx((wanted, error))
    assert rows["perplexity_2"]["value"] != rows["perplexity_2_tokens"]["value"]


def test_likeliest_symbols_and_a_wider_vocabulary(tmp_path):
    data = dataset()
    wide = Dataset("words", "words", VOCABULARY, data.train, data.valid, data.test, data.statistics, "ab", None, ("e",))
    model = small()
    with torch.no_grad():  # the likeliest symbol after every state is an e, or the end
        model.to_symbols.bias[4] = model.to_symbols.bias[26] = 3
        model.to_symbols.weight.mul_(0.01)
        model.to_symbols.bias[26] = 3.5
        model.to_symbols.weight[4, 0] = 2.0
    rows = scored(model, tmp_path, wide, generated=400)
    # one state in about three brings an e, after which two in three end: words e, ee, ... and empty ones
    assert rows["unique_likeliest"]["value"] < 0.1 < rows["unique"]["value"]
    assert rows["known_likeliest"]["value"] == 0 < rows["known_likeliest_wide"]["value"]
    assert rows["known_wide"]["value"] > rows["known"]["value"]
    assert rows["unique_known_likeliest_wide"]["value"] == pytest.approx(1 / 400)
    assert "known_wide" not in scored(model, tmp_path, generated=400)


def test_gaps_of_whole_trajectories_contain_those_of_a_state(tmp_path):
    """By hand from the same trajectories; and what the state before brings is counted too, so that the gap is wider."""
    model, alive = small(), np.array([0.5, 0.3, 0.2])
    found = words.whole_gaps(model, alive, 300, 2, torch.Generator().manual_seed(4))
    generator = torch.Generator().manual_seed(4)
    for value in found:
        p = model.trajectories(300, 3, generator).double().exp().numpy()
        mean = p.mean(0)
        gap = -(mean * np.log(mean)).sum(-1) + (p * np.log(p)).sum(-1).mean(0)
        assert value == pytest.approx(alive @ gap)
    rows = scored(model, tmp_path, gap_words=2000, gap_samples=100, gap_sets=[100])
    assert rows["entropy_gap_whole@100"]["value"] > rows["entropy_gap"]["value"]
    assert rows["entropy_gap_whole@100"]["standard_error"] > 0


def test_gaps_are_written_step_by_step(tmp_path):
    rows = scored(small(), tmp_path)
    with open(tmp_path / "gaps.csv") as file:
        table = list(csv.DictReader(file))
    lengths = {row["word"]: int(row["length"]) for row in table}
    assert len(lengths) == 10 and len(table) == sum(lengths.values())
    gap = [float(row["marginal"]) - float(row["expected"]) for row in table]
    assert min(gap) > -1e-6 and rows["entropy_gap"]["value"] == pytest.approx(np.mean(gap))
    assert rows["entropy_gap"]["value"] == pytest.approx(
        rows["entropy_marginal"]["value"] - rows["entropy_expected"]["value"]
    )


def test_above_the_source(tmp_path):
    data = dataset(known=True)
    data = Dataset(**{
        **{name: getattr(data, name) for name in ("name", "kind", "vocabulary", "train", "valid", "test", "sha256")},
        "statistics": {"max_length": 13, "source_entropy": {"nats_per_sequence": math.log(6)}},
    })  # fmt: skip
    rows = scored(small(), tmp_path, data)
    assert rows["source"]["value"] == pytest.approx(math.log(6)) and rows["source_entropy"]["value"] == math.log(6)
    test = rows["cross_entropy_test"]
    assert rows["excess"]["value"] == pytest.approx(test["value"] - math.log(6))
    assert rows["excess"]["standard_error"] > test["standard_error"] > 0


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ({"trajectorys": [1]}, "nearest: trajectories"),
        ({"sets": 3}, "trajectories: expected a list of whole numbers of at least 1, got none"),
        ({"trajectories": [0]}, r"trajectories: expected a list of whole numbers of at least 1, got \[0\]"),
        ({"trajectories": [1, 1000]}, r"trajectories: expected half .* \(500 of 1000\)"),
        (
            {"trajectories": [1500, 3000]},
            "trajectories: expected numbers beyond 1000 to be multiples of it, got 1500",
        ),
        ({"trajectories": [2, 1, 2]}, "trajectories: expected numbers without repetition"),
        ({"trajectories": [1], "samples": 5}, "samples: expected an even whole number of at least 2, got 5"),
        ({"trajectories": [1], "generated": 1.5}, "generated: expected .* got 1.5"),
    ],
)
def test_bad_settings_are_refused(block, message):
    with pytest.raises(Problem, match=message):
        Words.of(block, "evaluation")


# --- n-grams


def test_probabilities_after_any_context_sum_to_one():
    words = ["banana", "band", "an", "bad", "da"]
    for order, weights in itertools.product((2, 3, 5), ([1] * 5, [7, 1, 3, 1, 100])):
        model = ngrams.fit(words, weights, order)
        symbols = [*"band", ngrams.END]
        assert sorted(symbol for symbol in model.vocab if symbol in symbols) == sorted(symbols)
        contexts = {gram[:-1] for word in words for gram in ngrams.grams(word, order) if len(gram) == order}
        contexts |= {("n", "b", "d", "b")[-order + 1 :], ("<s>", "d", "b", "b")[-order + 1 :]}  # and unseen ones
        for context in contexts:
            assert sum(model.score(symbol, context) for symbol in symbols) == pytest.approx(1)


def test_words_like_those_of_the_fit_are_likelier():
    words = ["banana", "band", "ban", "bandana", "bad", "nab", "dab"]
    model = ngrams.fit(words, [1] * len(words), 3)
    like, error = ngrams.perplexity(model, ["bana", "band"])
    unlike, _ = ngrams.perplexity(model, ["nnnn", "ddab"])
    assert 1 < like < unlike and error > 0
    floor, _ = ngrams.perplexity(model, ["z"])
    end = model.score(ngrams.END, ("<s>", "z"))
    assert floor == pytest.approx(math.exp(-(math.log(ngrams.FLOOR) + math.log(end)) / 2))


def test_the_beginning_of_a_word_is_a_context():
    """By hand: after the begin symbol b comes 3 times of 4 and a once, each after one symbol alone."""
    model = ngrams.fit(["ba", "bb", "bc", "ab"], [1] * 4, 2)
    discount, symbols = model.estimator.discount, [*"abc", ngrams.END]
    # distinct symbols before each: a: <s> b; b: <s> b a; c: b; end: a b c
    lower = dict(zip(symbols, (np.array([2, 3, 1, 3]) / 9).tolist(), strict=True))
    for symbol, count in (("b", 3), ("a", 1), ("c", 0)):
        wanted = max(count - discount, 0) / 4 + discount * 2 / 4 * lower[symbol]
        assert model.score(symbol, ("<s>",)) == pytest.approx(wanted), symbol


def test_weights_count():
    rare, often = (ngrams.fit(["ab", "ac"], [weight, 1], 2).score("b", ("a",)) for weight in (1, 50))
    assert often > rare


def test_without_nltk(monkeypatch):
    monkeypatch.setitem(sys.modules, "nltk.lm", None)
    with pytest.raises(Problem, match="expected the package nltk"):
        ngrams.fit(["ab"], [1], 2)


# --- the stage


def test_each_purpose_has_a_stream_of_its_own(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(scoring.Task, "stream", lambda task, purpose: asked.append(purpose) or 1)
    scored(small(), tmp_path)
    assert sorted(asked) == ["entropies", "importance", "oracle", "samples", "trajectories"]


def test_a_model_that_cannot_make_a_word_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(trie, "weighted", lambda *_: math.inf)
    with pytest.raises(Problem, match="expected a finite cross entropy"):
        scored(small(), tmp_path)


def test_the_stage_lists_what_it_wrote(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(scoring, "ERRORS", 1e9)
    tiny.project(tmp_path)
    loop.run(paths.Key("demo", "words-state"))
    evaluate.run(paths.Key("demo", "words-state"))
    content = files.read_json(paths.metrics("demo", "words-state"))
    assert set(content["files"]) == {f"seed-0/{name}" for name in ("words.csv", "samples.txt", "gaps.csv")}
    with open(paths.evaluation("demo", "words-state") / "seed-0" / "words.csv") as file:
        rows = list(csv.DictReader(file))
    assert {row["word"]: (int(row["train"]), int(row["test"])) for row in rows} == tiny.WORDS_COUNTED
    assert all(float(row["log_p"]) < 0 for row in rows)
