"""The real corpora, from a mirror alone: the counts that their description states."""

import os
import time
import tracemalloc

import numpy as np
import pytest

from seqflows.data import download, prepare, prepared, tokens
from seqflows.data.batching import order
from seqflows.data.readers import boxes, tvqa
from seqflows.evaluation.kinds import choices as scoring

pytestmark = pytest.mark.skipif(
    not os.environ.get("SEQFLOWS_MIRROR"),
    reason="REAL DATA NOT TESTED: set SEQFLOWS_MIRROR to a folder with ptb/ and polymusic/",
)

# split: sentences, characters, longest, sentences of at most 287, share of at most 288
PTB = {
    "train": (42068, 4975414, 518, 41733, 0.9922),
    "valid": (3370, 389672, 390, 3356, 0.9958),
    "test": (3761, 438662, 491, 3735, 0.9931),
}
# split: sequences, time steps, longest, shortest, mean notes a step
MUSIC = {
    "jsb": [(229, 13807, 129, 25, 3.898), (76, 4602, 144, 32, 3.870), (77, 4725, 160, 32, 3.887)],
    "musedata": [(524, 245202, 3457, 9, 3.493), (135, 82755, 3723, 63, 3.479), (124, 64339, 4273, 45, 3.293)],
    "nottingham": [(694, 176561, 1788, 40, 3.961), (173, 45513, 1473, 96, 3.959), (170, 44463, 1793, 63, 3.990)],
    "piano": [(87, 75911, 3857, 111, 3.044), (12, 8540, 1637, 209, 3.235), (25, 19036, 2645, 65, 2.945)],
}


def make(folder, **block):
    download.fetch(block, folder / "raw", folder / "cache")
    prepare.prepare(block, folder / "raw", folder / "out", block["source"])
    assert not (folder / "cache").exists(), "the network was used"
    return prepared.load(folder / "out")


def counts(data, *names):
    return {split: tuple(data.statistics["splits"][split][name] for name in names) for split in prepared.SPLITS}


def test_ptb_whole(tmp_path):
    started = time.process_time()
    data = make(tmp_path, kind="text", source="ptb")
    assert time.process_time() - started < 10
    assert counts(data, "sequences", "symbols", "longest") == {split: row[:3] for split, row in PTB.items()}
    assert len(data.vocabulary) == 49 and set("<>N#$&'*-./\\ ") < set(data.vocabulary)
    assert len(set(data.test.symbols.tolist())) == 47
    words = [sum(1 for s in split.symbols if s == 0) + len(split) for split in (data.valid, data.test)]
    assert data.vocabulary[0] == " " and words == [70390, 78669]
    started = time.process_time()
    order(data.train, 15, 0, 0)
    assert time.process_time() - started < 1


def test_ptb_at_the_papers_limit(tmp_path):
    data = make(tmp_path, kind="text", source="ptb", max_length=288)
    for split, (sentences, *_, share) in PTB.items():
        found = data.statistics["splits"][split]
        assert found["share_within_limit"] == pytest.approx(share, abs=5e-5)
        assert found["kept"] + found["dropped_long"] == sentences and found["dropped_empty"] == 0
    assert data.facts().max_length == 288 and data.facts().symbols == 49


def test_ptb_below_the_limit_and_its_laptop_subset(tmp_path):
    (tmp_path / "below").mkdir()
    data = make(tmp_path / "below", kind="text", source="ptb", max_length=287)
    assert counts(data, "kept") == {split: (row[3],) for split, row in PTB.items()}
    (tmp_path / "subset").mkdir()
    data = make(tmp_path / "subset", kind="text", source="ptb", max_length=120, train_sequences=8000)
    assert len(data.train) == 8000 and data.train.lengths.max() <= 120 and data.facts().symbols == 49


@pytest.mark.parametrize("name", MUSIC)
def test_music(name, tmp_path):
    data = make(tmp_path, kind="music", source=name)
    rows = dict(zip(prepared.SPLITS, MUSIC[name], strict=True))
    assert counts(data, "sequences", "symbols", "longest", "shortest") == {k: row[:4] for k, row in rows.items()}
    for split, row in rows.items():
        assert data.statistics["splits"][split]["notes_per_step"] == pytest.approx(row[4], abs=5e-4)
    facts = data.facts()
    assert facts.max_length == int(1.25 * max(row[2] for row in MUSIC[name][:2])) >= data.test.lengths.max()
    assert facts.symbols == 88 and sum(facts.length_counts) == len(data.train) + len(data.valid)


def test_preparing_ptb_takes_little_memory(tmp_path):
    tracemalloc.start()
    make(tmp_path, kind="text", source="ptb", max_length=288)
    assert tracemalloc.get_traced_memory()[1] < 500e6
    tracemalloc.stop()


def test_words(tmp_path):
    data = make(tmp_path, kind="words", source="gutenberg-words", seed=1)
    found = data.statistics
    assert (found["types"], found["tokens"]) == (96_726, 162_464_039)
    assert found["entropy"] == pytest.approx(7.0393, abs=5e-5)
    test = found["splits"]["test"]
    assert (
        test["tokens"] == 16_246_404 and test["entropy"] == pytest.approx(7.036, abs=2e-3) and test["unseen_types"] == 0
    )
    halves = [found["splits"][split]["tokens"] for split in prepared.SPLITS]
    assert sum(halves) == 162_464_039 and halves[1] == len(data.valid) == 10_000


def test_words_by_types(tmp_path):
    data = make(tmp_path, kind="words", source="gutenberg-words", split="types")
    test = data.statistics["splits"]["test"]
    assert test["types"] == test["unseen_types"] == round(96_726 / 10)


@pytest.mark.parametrize(
    ("source", "types", "entropy"), [("web-words", 317_633, 8.2314), ("fiction-words", 9904, 6.5092)]
)
def test_other_words(source, types, entropy, tmp_path):
    data = make(tmp_path, kind="words", source=source)
    assert data.statistics["types"] == types and data.statistics["entropy"] == pytest.approx(entropy, abs=5e-5)


def test_tvqa_plus_on_descriptions(tmp_path):
    """3,017 questions on 431 clips; word overlap is right for 35.1 % with the weights of whoever counted before."""
    block = {"source": "tvqa-choices-descriptions", "dimensions": 50, "glove": "6B-50d-9163"}
    data = make(tmp_path, kind="choices", **block)
    found = counts(data, "sequences", "clips", "mean_lines", "silent", "reversed", "beyond", "nearest")
    assert found == {
        "train": (2114, 302, 5.0, 0, 0, 168, 465), "valid": (301, 43, 5.0, 0, 0, 29, 70),
        "test": (602, 86, 5.0, 0, 0, 70, 159),
    }  # fmt: skip
    weights = scoring.frequencies(data.train.contexts)
    right = np.concatenate([scoring.word_overlap(getattr(data, name), weights) for name in prepared.SPLITS])
    assert len(right) == 3017 and abs(100 * right.mean() - 35.1) < 1.5


def test_drawn_boxes_of_tvqa_plus_name_words_of_the_question_or_its_right_answer(tmp_path):
    """32,682 of them; so they are no input, and what a word should attend to can be told by them."""
    block = {"kind": "choices", "source": "tvqa-choices-descriptions", "dimensions": 50, "glove": "6B-50d-9163"}
    download.fetch(block, tmp_path / "raw", tmp_path / "cache")
    path = tmp_path / "raw" / "tvqa_plus_val.json"
    drawn, asked = boxes.drawn(path), {question.id: question for question in tvqa.questions(path)}
    assert drawn.keys() == asked.keys() and min(asked) == 122_039 and max(asked) < 122_039 + 15_253
    named = []
    for number, frames in drawn.items():
        said = f"{asked[number].text} {asked[number].answers[asked[number].correct]}"
        words = {(word,) for word in tokens.tokenize(said)}
        named += [tuple(tokens.tokenize(box.label)) in words for boxes_ in frames.values() for box in boxes_]
    assert (len(named), sum(named)) == (32_682, 32_671)
