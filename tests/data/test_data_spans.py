"""Questions that a span answers: lines, answers in them, the sources, and what is prepared of them."""

import json
import os

import numpy as np
import pytest

from raw import article, as_squad, raw_folder
from seqflows.config import corpora
from seqflows.data import download, embedded, prepare, prepared, tokens
from seqflows.data.batching import collate, order, order_by_length
from seqflows.data.embedded import answering, asking
from seqflows.data.kinds import spans
from seqflows.data.readers import squad
from seqflows.errors import Problem

TEXT = "Mr. Poe ran. The dog sat in Rome. It ate 2.5 cakes! Who left?"


def question(name, asks, *answers, text=TEXT):
    listed = [{"text": answer, "answer_start": text.index(answer)} for answer in answers]
    return {"id": name, "question": asks, "answers": listed}


def chosen(*answers, text=TEXT, name="q"):
    found = squad.Question(name, "Who?", tuple(squad.Answer(one, text.index(one)) for one in answers))
    return squad.Chosen(name, found, "a", text, tuple(tokens.tokenize(text)))


def lines(found, text=TEXT):
    return [text[start:end] for start, end in found[text].lines]


def test_a_sentence_is_a_line_unless_an_answer_lies_in_several():
    assert lines(spans.passages([chosen("Poe")])) == [
        "Mr. Poe ran.",
        "The dog sat in Rome.",
        "It ate 2.5 cakes!",
        "Who left?",
    ]
    joined = spans.passages([chosen("Poe"), chosen("dog", "in Rome. It ate")])
    assert lines(joined) == ["Mr. Poe ran.", "The dog sat in Rome. It ate 2.5 cakes!", "Who left?"]


@pytest.mark.parametrize(
    ("answers", "line", "words", "free"),
    [
        (("Poe",), 0, "poe", (False, True, True, True)),
        (("2.5 cakes", "Who"), 2, "2.5 cakes", (True, True, False, False)),
        (("oe ra",), 0, "poe ran", (False, True, True, True)),  # parts of words have the words
        (("The dog sat in Rome.", "dog"), 1, "the dog sat in rome .", (True, False, True, True)),
    ],
)
def test_answers_are_placed_in_lines(answers, line, words, free):
    one = chosen(*answers)
    found = spans.placed(one, spans.passages([one])[TEXT])
    assert (found.line, found.free) == (line, free)
    text = lines(spans.passages([one]))[line]
    assert tokens.tokenize(text)[found.first : found.last + 1] == words.split()


def test_an_answer_that_is_not_at_its_offset_is_refused():
    one, text = chosen("in Rome. It ate"), spans.passages([chosen("Poe")])[TEXT]
    with pytest.raises(Problem, match="expected the answer 'in Rome. It ate' of q in one line, got 'in Rome. It ate'"):
        spans.placed(one, text)
    moved = one._replace(question=squad.Question("q", "Who?", (squad.Answer("Poe", 17),)))
    with pytest.raises(Problem, match="expected the answer 'Poe' of q in one line, got 'dog'.*offset is wrong"):
        spans.placed(moved, text)


OTHER = "A cat slept. It woke."
FILES = {
    "train-v1.1.json": as_squad(
        article("t", TEXT, qas=[question("a", "Who ran?", "Poe"), question("b", "Who ran ?", "Mr. Poe"),
                                question("c", "Where did it sit?", "in Rome. It")]),
        article("u", OTHER, qas=[question("d", "Who slept?", "cat", text=OTHER)]),
        article("v", OTHER + " x" * 90, qas=[question("e", "Who woke?", "It", text=OTHER)]),
        article("dev 1", "A bird flew.", qas=[question("f", "Who flew?", "bird", text="A bird flew.")]),
    ),
    "dev-v1.1.json": as_squad(
        article("dev 1", "A fish swam. It sank.",
                qas=[question("g", "Who swam?", "fish", "A fish", text="A fish swam.")]),
        article("dev 2", "A fox hid.", OTHER),
        article("dev 3", "A hen ran. A hen sat." + " x" * 90,
                qas=[question("i", "Who ran?", "hen", text="A hen ran."),
                     question("j", "Who RAN?", "A hen", text="A hen ran.")]),
    ),
}  # fmt: skip
BLOCK = {"kind": "spans", "source": "squad-answers-full", "window": 20}


def made(tmp_path, files=FILES, **changes):
    prepare.prepare(BLOCK | changes, raw_folder(tmp_path / "raw", files), tmp_path / "out", "small")
    return prepared.load(tmp_path / "out")


def shown(split):
    """Each question with its context's lines, the words of its answer, and its free lines."""
    for index in range(len(split)):
        batch, (line, first, last) = collate(split, np.array([index])), split.sequence(index).tolist()
        texts = batch.given.texts[0]
        words = tokens.tokenize(texts[line])[first : last + 1]
        yield split.contexts.questions.texts[index], texts, " ".join(words), split.contexts.free_of(index).tolist()


def test_questions_are_prepared(tmp_path):
    data = made(tmp_path)
    joined = ("Mr. Poe ran.", "The dog sat in Rome. It ate 2.5 cakes!", "Who left?")
    assert list(shown(data.train)) == [
        ("Who ran?", joined, "poe", [False, True, True]),
        ("Where did it sit?", joined, "in rome . it", [True, False, True]),
    ]  # one question stands twice, a passage is that of a development article, another too long, another title's
    valid, test = list(shown(data.valid)), list(shown(data.test))
    assert [one[0] for one in valid] == ["Who swam?"] and [one[0] for one in test] == ["Who ran?", "Who RAN?"]
    assert data.valid.contexts.answers_of(0) == ("fish", "A fish") and valid[0][2] == "fish"
    assert test[1][2] == "a hen" and len(test[0][1]) == 2
    counts = data.statistics["splits"]
    assert [counts[name]["questions"] for name in ("train", "valid", "test")] == [6, 1, 2]
    train = counts["train"]
    assert {name: train[name] for name in ("repeated", "dropped_long", "kept", "sequences", "passages", "lines")} == {
        "repeated": 3, "dropped_long": 1, "kept": 2, "sequences": 2, "passages": 1, "lines": 3
    }  # fmt: skip
    assert train["mean_free"] == 2 and train["mean_lines"] == 3 and train["share_without_free"] == 0
    assert counts["valid"]["mean_free"] == 1 and data.vectors is None
    facts = data.facts()
    assert (facts.emission, facts.symbols, facts.max_length, facts.features) == ("span", len(data.vocabulary), 3, 0)
    assert facts.window == counts["test"]["longest_passage"] == 98


def test_words_of_validation_and_test_come_after_those_of_training(tmp_path):
    data = made(tmp_path)
    known = data.vocabulary
    train = {word for text in data.train.contexts.lines.texts + data.train.contexts.questions.texts
             for word in tokens.tokenize(text)}  # fmt: skip
    assert set(known[4 : 4 + len(train)]) == train and {"fish", "hen"} <= set(known[4 + len(train) :])
    assert (data.test.contexts.lines.words != 1).all()


def test_a_sample_is_the_first_questions_of_an_order(tmp_path):
    texts = [f"The dog {n} ran. It sat." for n in range(30)]
    train = as_squad(*(article(f"t{n}", text, qas=[question(f"q{n}", f"Who {n}?", "dog", text=text)])
                       for n, text in enumerate(texts)))  # fmt: skip
    raw = raw_folder(tmp_path / "raw", FILES | {"train-v1.1.json": train})
    found = {}
    for name, changes in (("all", {}), ("10", {"train_sequences": 10}), ("0", {"order": 0}),
                          ("0-10", {"order": 0, "train_sequences": 10}), ("1", {"order": 1})):  # fmt: skip
        prepare.prepare(BLOCK | changes, raw, tmp_path / name, "small")
        found[name] = prepared.load(tmp_path / name).train.contexts.ids.tolist()
    assert found["all"] == [f"q{n}" for n in range(30)] and found["10"] == found["all"][:10]
    assert sorted(found["0"]) == sorted(found["1"]) == sorted(found["all"])
    assert found["0"] != found["1"] and found["0-10"] == found["0"][:10] != found["10"]


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("train-v1.1.json", '"answer_start": 4', '"answer_start": 5', "expected the answer 'Poe' at character 5"),
        ("dev-v1.1.json", '"id": "j"', '"id": "i"', "expected each question's id once in the test split of .*, got i"),
        ("dev-v1.1.json", '"question": "Who swam?"', '"question": " "', "expected a question in"),
    ],
)
def test_bad_files_are_refused(tmp_path, name, old, new, message):
    assert old in FILES[name]
    with pytest.raises(Problem, match=message):
        made(tmp_path, FILES | {name: FILES[name].replace(old, new, 1)})
    assert not (tmp_path / "out").exists()


def test_passages_longer_than_the_window_are_refused_if_all_are(tmp_path):
    with pytest.raises(Problem, match=r"passages of at most 5 words in the train split of .*, got none among 3"):
        made(tmp_path, window=5)


def test_batches_have_contexts_of_similar_sizes(tmp_path):
    download.fetch(EMBEDDED, tmp_path / "raw")
    prepare.prepare(EMBEDDED, tmp_path / "raw", tmp_path / "out", "small")
    split = prepared.load(tmp_path / "out").train
    sizes = split.contexts.sizes
    for batches in (order(split, 8, 0, 0), order_by_length(split, 8)):
        assert sorted(np.concatenate(batches).tolist()) == list(range(len(split)))
    largest = [sizes[one].max() for one in order_by_length(split, 8)]
    assert largest == sorted(largest) and len(set(largest)) > 1


# the embedded source

EMBEDDED = {"kind": "spans", "source": "embedded-answers", "seed": 5, "train": 60, "valid": 20, "test": 31}


def test_the_answers_of_the_embedded_source_are_those_of_a_perfect_reader(tmp_path):
    download.fetch(EMBEDDED, tmp_path / "raw")
    prepare.prepare(EMBEDDED, tmp_path / "raw", tmp_path / "out", "small")
    data = prepared.load(tmp_path / "out")
    assert data.statistics["source_entropy"]["nats_per_sequence"] == 0
    twice = 0
    for split in (data.train, data.valid, data.test):
        assert (split.source_log_prob == 0).all()
        for asks, texts, answer, free in shown(split):
            *_, name, verb, _ = asks.split()
            right = [text.split()[3] for text in texts if text.split()[:2] == [name, verb]]
            last = max(n for n, text in enumerate(texts) if text.split()[:2] == [name, verb])
            assert answer == right[-1] and free == [n != last for n in range(len(texts))]
            twice += len(set(right)) > 1
            assert all(text.split()[-1] == "." and len(text.split()) == 5 for text in texts)
    assert twice > 0  # where the clause alone does not say it
    assert data.statistics["splits"]["train"]["mean_free"] > 1


def test_a_wrong_answer_of_the_embedded_source_is_impossible(tmp_path):
    options = vars(corpora.SOURCES["embedded-answers"](source="embedded-answers"))
    source = answering.build(options, np.random.default_rng(0))
    again = embedded.specified({"source": answering.NAME, **source.specification()}, "")
    for asked in source.sample(np.random.default_rng(1), 50):
        right = source.answer(list(asked.paragraph), list(asked.question))
        for span in ((place, place + 1) for place in range(len(asked.paragraph))):
            one = asking.Asked(asked.question, asked.paragraph, span)
            assert source.log_probs([one])[0] == again.log_probs([one])[0] == (0 if span == right else -np.inf)
    with pytest.raises(Problem, match="a window of at least 30 for the embedded source"):
        download.fetch(EMBEDDED, tmp_path / "raw")
        prepare.prepare(EMBEDDED | {"window": 20}, tmp_path / "raw", tmp_path / "out", "small")


# the real files


@pytest.mark.slow
@pytest.mark.skipif("SEQFLOWS_MIRROR" not in os.environ, reason="needs a mirror of the real data")
def test_the_numbers_of_squad(tmp_path):
    block = {"kind": "spans", "source": "squad-answers", "window": 256, "order": 0, "train_sequences": 300}
    download.fetch(block, tmp_path / "raw")
    prepare.prepare(block, tmp_path / "raw", tmp_path / "out", "small")
    data = prepared.load(tmp_path / "out")
    assert len(data.test) == 4874 and len(set(data.test.contexts.sources.tolist())) == 24
    assert not {*data.train.contexts.sources.tolist()} & {
        *data.valid.contexts.sources.tolist(), *data.test.contexts.sources.tolist()
    } - {""}  # fmt: skip
    known = [{squad.identity(" ".join(split.contexts.gather([n]).texts[0])) for n in range(len(split))}
             for split in (data.train, data.valid, data.test)]  # fmt: skip
    assert not (known[0] & known[1] or known[0] & known[2] or known[1] & known[2])
    counts = json.loads((tmp_path / "out" / "statistics.json").read_text())["splits"]["test"]
    assert counts["mean_free"] > 3 and counts["share_without_free"] < 0.05 and 25 < counts["mean_line"] < 32
