"""Comparisons of translations: scores on each test set, who is compared with whom, and texts that are others."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import sacrebleu
from sacremoses import MosesTokenizer

import translated
from seqflows import files, paths
from seqflows.comparison import compare, translations
from seqflows.data.translated import HELD_OUT, references
from seqflows.errors import Problem
from seqflows.report import tables
from seqflows.report.pages import translation

KEY = paths.Key(translated.SCALE, translated.TABLE)
RATES = {"base": 0.5, "better": 0.2, "reverse": 0.4}


@pytest.fixture
def world(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    matrix = translated.write_params()
    data = translated.write_data(matrix)
    texts = {run: translated.write_run(run, data[name], RATES[run], matrix) for run, name in translated.RUNS.items()}
    return matrix, data, texts


@pytest.fixture
def content(world):
    compare.run(KEY, world[0])
    return files.read_sealed(paths.compared(*KEY))


def _number(content, run, metric):
    (found,) = [one for one in content["metrics"] if (one["run"], one["metric"]) == (run, metric)]
    return found


def test_every_score_is_sacrebleus_of_its_sentences(world, content):
    _, data, texts = world
    plain = sacrebleu.BLEU(tokenize="13a", smooth_method="none", force=True)
    tokens = sacrebleu.BLEU(tokenize="none", smooth_method="none", force=True)
    for run, name in translated.RUNS.items():
        dataset = data[name]
        test, moses = dataset.test, MosesTokenizer("ro" if run == "reverse" else "en")
        wanted = references(dataset, test) + references(dataset, dataset.valid)
        sets = [str(part) for part in test.contexts.articles] + [HELD_OUT] * len(dataset.valid)
        first = [place for place, part in enumerate(sets) if part == "first half"]
        short = [p for p in first if max(test.contexts.sizes[p], test.lengths[p] - 1) <= 14]
        assert 0 < len(short) < len(first) == 21
        parts = {
            "bleu": first,
            "bleu_short": short,
            "bleu_second": [p for p, s in enumerate(sets) if s == "second half"],
        }
        parts["bleu_held_out"] = [p for p, s in enumerate(sets) if s == HELD_OUT]
        for metric, places in parts.items():
            expected = plain.corpus_score([texts[run][p] for p in places], [[wanted[p] for p in places]]).score
            found = _number(content, run, metric)
            assert found["value"] == pytest.approx(expected, abs=1e-9) and found["sequences"] == len(places), metric
            assert found["unit"] == "%" and found["standard_error"] >= 0
        both = ([" ".join(moses.tokenize(some[p], escape=False)) for p in first] for some in (texts[run], wanted))
        hypotheses, true = both
        expected = tokens.corpus_score(hypotheses, [true]).score
        assert _number(content, run, "bleu_tokenized")["value"] == pytest.approx(expected, abs=1e-9)
    assert "tok:13a" in content["bleu"] and "tok:none" in content["bleu_tokenized"] and "case:mixed" in content["bleu"]


def test_the_case_of_a_letter_counts(world, content):
    matrix, data, _ = world
    translated.write_run("better", data["numbers"], 0.0, matrix)
    path = paths.evaluation(*KEY[:1], "better") / "seed-0" / "texts.json"
    changed = files.read_json(path)
    for one in changed["translations"]:
        one["hypothesis"] = one["hypothesis"].upper()
    _rewritten("better", path, changed)
    compare.run(KEY, matrix)
    assert _number(files.read_sealed(paths.compared(*KEY)), "better", "bleu")["value"] < 50


def _rewritten(run, path, content):
    files.write_json(path, content)
    about = files.read_json(paths.metrics(KEY.scale, run))
    about.pop("sha256", None)
    about["files"]["seed-0/texts.json"] = files.sha256(path)
    files.write_json(paths.metrics(KEY.scale, run), files.sealed(about))


def test_systems_of_the_same_sentences_are_compared_and_others_stand_beside(content):
    assert {(one["first"], one["second"]) for one in content["pairs"]} == {("base", "better"), ("better", "base")}
    metrics = {one["metric"] for one in content["pairs"]}
    assert metrics == {"bleu", "bleu_short", "bleu_tokenized", "bleu_second", "bleu_held_out"}
    (gain,) = [o for o in content["pairs"] if (o["first"], o["metric"]) == ("better", "bleu")]
    difference = _number(content, "better", "bleu")["value"] - _number(content, "base", "bleu")["value"]
    assert gain["difference"] == pytest.approx(difference) and gain["p"] < 0.2
    assert content["sequences"] == 21 and content["trained"]["valid"] == 20


def test_the_draws_are_of_sentences_and_the_same_for_all_systems(world, content):
    """With identical texts two runs have no difference in any draw."""
    matrix, data, _ = world
    translated.write_run("better", data["numbers"], RATES["base"], matrix)
    compare.run(KEY, matrix)
    again = files.read_sealed(paths.compared(*KEY))
    for one in again["pairs"]:
        assert one["difference"] == one["standard_error"] == 0


def test_examples_show_source_reference_and_texts(world, content):
    _, data, texts = world
    forward = [one for one in content["examples"] if "base" in one["texts"]]
    assert len(forward) == 3 and len(content["examples"]) == 6
    known = {one.id: one for one in translations.sentences(data["numbers"])}
    for one in forward:
        sentence = known[one["id"]]
        assert (one["before"], one["reference"], sentence.part) == (sentence.source, sentence.reference, "first half")
        place = list(known).index(one["id"])
        assert one["texts"] == {run: texts[run][place] for run in ("base", "better")}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["translations"].pop(), "expected the 61 sentences in .*, got 60"),
        (lambda c: c["translations"].reverse(), "expected the 61 sentences in .*, in their order, got 61 others"),
        (lambda c: c["translations"][0].pop("set"), "expected translations with id, set and hypothesis"),
        (lambda c: c["translations"][0].update(set="other"), "in their order, got 61 others"),
    ],
)
def test_texts_that_are_not_of_the_sentences_are_refused(world, change, message):
    path = paths.evaluation(KEY.scale, "base") / "seed-0" / "texts.json"
    changed = files.read_json(path)
    change(changed)
    _rewritten("base", path, changed)
    with pytest.raises(Problem, match=message):
        compare.run(KEY, world[0])
    assert not paths.comparison(*KEY).exists()


def test_a_score_other_than_sacrebleus_stops_it(world, monkeypatch):
    scores = translations.bleu.scores
    monkeypatch.setattr(translations.bleu, "scores", lambda sums: 0.99 * np.asarray(scores(sums)))
    with pytest.raises(Problem, match="expected sacrebleu's bleu of better seed 0"):
        compare.run(KEY, world[0])


def test_the_page_has_the_scores_beside_the_papers_gains_and_texts(world, content):
    tables.run(KEY, world[0])
    page = paths.table(*KEY)[1].read_text()
    assert "30.27 / " in page and "30.87 / " in page and "tok:13a" in page and "Test sentences" in page
    assert "gain of, over" in page and "BLEU, held-out pairs" in page and "joint subwords" in page
    assert "controls and this project's, not in the paper" in page and "n/a" not in page


def test_what_joins_the_encoding_is_told_of_the_rows_that_were_trained_so():
    """In the words of the deviation that names the setting; rows without one, or not evaluated, are left out."""
    rows = {
        "Baseline": "wmt16-nmt",
        "Flow": "wmt16-nmt-lang_flow",
        "words": "wmt16-nmt-words",
        "no z": "wmt16-nmt-no_z",
    }
    fusions = {"wmt16-nmt-lang_flow": "normalised", "wmt16-nmt-words": "mlp", "wmt16-nmt-no_z": "normalised"}
    made = [run for run in rows.values() if run != "wmt16-nmt-no_z"]
    matrix = SimpleNamespace(runs={run: {"reproduces": "tang2021"} for run in rows.values()})
    results = SimpleNamespace(
        scale=translated.SCALE, params=matrix, metrics=lambda run: run in made,
        settings=lambda run: {"fusion": fusions[run]} if run in fusions else {},
    )  # fmt: skip
    (line,) = translation.joined(results, rows)
    text = "".join(getattr(part, "text", "") or getattr(part, "path", "") or str(part) for part in line)
    assert text.startswith("What joins the encoding in translation, of Flow: in the paper u' = MLP_sigmoid([u; z])")
    assert "then a layer normalisation (fusion: normalised)" in text and text.endswith("Why: audit.md")
    fusions["wmt16-nmt-lang_flow"] = "mlp"
    assert translation.joined(results, rows) == []
