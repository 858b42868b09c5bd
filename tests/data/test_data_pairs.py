"""Pairs: places of answers in words, windows, the sources of questions, and what is prepared of them."""

import json
import os
import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raw import SRT, VECTORS, archive, article, as_squad, asked, lines, raw_folder, written
from seqflows import files
from seqflows.config import corpora
from seqflows.data import download, embedded, prepare, prepared, tokens
from seqflows.data.batching import BEGIN, INSIDE, collate
from seqflows.data.embedded import asking
from seqflows.data.kinds import pairs, shared
from seqflows.data.readers import squad, tvqa
from seqflows.errors import Problem

# places of tokens


@settings(max_examples=400, deadline=None)
@given(
    st.text(
        st.sampled_from(
            "aAn'tsd.,:-1\u2019 \u00e9\u00df\n_\u0301I\u0130\u03a3\u1100\u1161\u11a8\u0327\u212b\u09c7\u09be"
        ),
        max_size=20,
    )
)
def test_the_spans_are_those_of_the_tokens(text):
    found, places = tokens.tokenize(text), tokens.spans(text)
    assert len(found) == len(places) and places == sorted(places)
    for token, (start, end) in zip(found, places, strict=True):
        part = unicodedata.normalize("NFC", text[start:end].lower()).translate(tokens.APOSTROPHES)
        assert 0 <= start < end <= len(text)
        assert token.replace("\u03c2", "\u03c3") in part.replace("\u03c2", "\u03c3")  # both are small sigma


def test_spans_of_characters_that_normalization_joins():
    text = "A cafe\u0301's \u0130x"
    assert [text[start:end] for start, end in tokens.spans(text)] == ["A", "cafe\u0301", "'s", "\u0130", "\u0130", "x"]
    assert tokens.tokenize(text) == ["a", "caf\u00e9", "'s", "i", "\u0307", "x"]


def question(text, start, asks="Who?"):
    return squad.Question("q", asks, (squad.Answer(text, start),))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("don't", "do n't"),
        ("n't", "n't"),
        ("o", "do"),  # a part of a word
        ("19th", "19th"),
        ("century, it", "century , it"),
        ("entury, i", "century , it"),
        (" it ", "it"),
        ("it's", "it 's"),
    ],
)
def test_answers_are_placed_in_words(answer, words):
    text = "We don't know the 19th-century, it 's said; it's so."
    found = tokens.tokenize(text)
    first, after = shared.answered(question(answer, text.index(answer)), tokens.spans(text))
    assert found[first:after] == words.split()


def test_an_answer_without_words_is_refused():
    with pytest.raises(Problem, match="words in the answer of q, got '  '"):
        shared.answered(question("  ", 3), tokens.spans("The  dog"))
    with pytest.raises(Problem, match="expected an answer of the question q, got none"):
        shared.answered(squad.Question("q", "Who?", ()), tokens.spans("The dog"))


@given(st.integers(1, 30), st.integers(1, 12), st.data())
def test_a_window_has_the_answer_in_its_middle(count, size, data):
    first = data.draw(st.integers(0, count - 1))
    after = data.draw(st.integers(first + 1, min(count, first + size)))
    pair = pairs.Pair("", (), pairs.Passage(("w",) * count, ""), first, after)
    start, end = pair.window(size)
    assert 0 <= start <= first < after <= end <= count and end - start == min(size, count)
    if start > 0 and end < count:
        assert 0 <= (end - after) - (first - start) <= 1


# readers


def asks(text, answer="dog", start=4, **changes):
    return {"id": text, "question": text, "answers": [{"text": answer, "answer_start": start}], **changes}


def test_an_empty_question_is_refused_with_its_place(tmp_path):
    content = as_squad(article("A", "The dog ran.", qas=[asks("Who?"), asks("  ")]))
    with pytest.raises(Problem, match="a question in question 1 of paragraph 0 of article 0 of .*s.json, got '  '; "):
        squad.read(written(tmp_path, content, "s.json"))
    row = {"context": "The dog", "question": "", "answer": "dog", "span": [1, 1]}
    with pytest.raises(Problem, match="a question in line 1 of .*t.jsonl, got ''"):
        squad.read_tokenized(written(tmp_path, lines(row), "t.jsonl"))


def again(**changes):
    return {"file": "one", "paragraph": 1, "question": "Who ran ?", "answer": "cat", "answer_start": 4, **changes}


def test_questions_are_put_back_on_their_paragraphs(tmp_path):
    one = [squad.Article("", (squad.Paragraph("The dog ran.", ()), squad.Paragraph("The cat ran.", ())))]
    rows = [again(), again(file="two", context="A cat", answer_start=2, paragraph=None)]
    (found,) = squad.read_reattached(written(tmp_path, lines(*rows), "r.jsonl"), {"one": one})
    assert [paragraph.context for paragraph in found.paragraphs] == ["The cat ran.", "A cat"]
    assert [question.id for paragraph in found.paragraphs for question in paragraph.questions] == ["0", "1"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (again(paragraph=2), "paragraph to be a place among 2 in line 1 of .*r.jsonl, got 2; replace"),
        (again(paragraph=-1), "a place among 2 in line 1"),
        (again(paragraph=0), "the answer 'cat' at character 4 of the context of line 1 of .*, got 'dog'"),
        (again(file="two"), "the key context in line 1"),
        (again(question=" "), "a question in line 1 of .*r.jsonl, got ' '"),
        (again(file=None), "file to be text in line 1"),
    ],
)
def test_questions_that_cannot_be_put_back_are_refused(tmp_path, row, message):
    one = [squad.Article("", (squad.Paragraph("The dog ran.", ()), squad.Paragraph("The cat ran.", ())))]
    with pytest.raises(Problem, match=message):
        squad.read_reattached(written(tmp_path, lines(row), "r.jsonl"), {"one": one})


def described(clip="s01e01_seg01_clip_00", text="The dog ran.", times=(1, 2), **changes):
    return {"vid_name": clip, "desc": text, "ts": list(times), **changes}


def test_descriptions_that_overlap_a_question_come_first(tmp_path):
    entries = [described(text=str(start), times=(start, start + 2)) for start in (6, 0, 9, 3)]
    found = tvqa.descriptions(written(tmp_path, lines(*entries, described("other")), "d.jsonl"))
    assert [line.text for line in found["s01e01_seg01_clip_00"]] == ["0", "3", "6", "9"] and len(found["other"]) == 1
    assert tvqa.nearest_first(found["s01e01_seg01_clip_00"], (4, 7)) == "3 6 0 9"
    assert tvqa.nearest_first(found["s01e01_seg01_clip_00"], (20, 30)) == "0 3 6 9"


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (described(text=" "), "a description in line 2 of .*d.jsonl, got ' '"),
        (described(times=(3,)), r"ts as two times in seconds in line 2 of .*, got \[3\]"),
        (described(times=(3, 1)), "an end that is not before it in line 2"),
        ({"desc": "x", "ts": [0, 1]}, "the key vid_name in line 2"),
        (described(desc=None), "desc to be text in line 2"),
    ],
)
def test_bad_descriptions_are_refused(tmp_path, entry, message):
    with pytest.raises(Problem, match=message):
        tvqa.descriptions(written(tmp_path, lines(described(), entry), "d.jsonl"))


def test_clips_are_divided_in_stated_shares():
    found = [tvqa.Question(n, f"clip_{n % 50}", "", (), None, (0, 1)) for n in range(120)]
    splits = tvqa.by_clip(found)
    clips = [{question.clip for question in split} for split in splits]
    assert [len(one) for one in clips] == [35, 5, 10] and len(set().union(*clips)) == 50
    assert sorted(question.id for split in splits for question in split) == list(range(120))
    turned = tvqa.by_clip(found[::-1])
    assert [{question.clip for question in split} for split in turned] == clips  # whatever the order of the file


# SQuAD, in files of our own

SQUAD = {"kind": "pairs", "source": "squad-questions-full", "window": 6, "question_length": 7, "vocabulary_size": 4}
SQUAD |= {"dimensions": 3, "glove": "own"}
LONG = "The dog ran and the old cat of the house saw it."


def squad_folder(folder, train=None, **changes):
    development = [
        article(
            f"dev {n}", f"The zebra {n} ran.", qas=[asks(f"Who ran {n}?", "zebra"), asks(f"who RAN {n} ", "The", 0)]
        )
        for n in range(4)
    ]
    train = train or [
        article("F", LONG, qas=[asks("What did the dog do?", "ran", 8), asks("Who saw?", "cat", 24)]),
        article("F", LONG, qas=[asks("what did the DOG do", "ran", 8, id="again"), asks("Where?", "house", 35)]),
        article("G", "The dog.", qas=[asks("Who saw?", id="other"), asks("Who was it that ran so fast?")]),
        article("dev 2", "A title of dev.", qas=[asks("Q?", "A", 0)]),
        article("H", "The zebra 1 ran!", qas=[asks("Q?", "zebra", id="Q2")]),
    ]
    contents = {"train-v1.1.json": as_squad(*train), "dev-v1.1.json": as_squad(*development), "glove.txt": VECTORS}
    return raw_folder(folder, {name: changes.get(name.split(".")[0], content) for name, content in contents.items()})


def small(tmp_path, train=None, **changes):
    prepare.prepare(SQUAD | changes, squad_folder(tmp_path / "raw", train), tmp_path / "out", "small")
    return prepared.load(tmp_path / "out")


def texts(data, split):
    """The questions of a split, with their windows and answers, as words."""
    contexts, found = split.contexts, []
    for index in range(len(split)):
        rows = contexts.rows(index)
        first, after = contexts.answer[index] + contexts.offsets[contexts.paragraph[index]]
        spans = split.sequence(index), contexts.words[rows], contexts.words[first:after]
        found.append(tuple(" ".join(data.vocabulary[place] for place in span) for span in spans))
    return found


def test_questions_are_prepared(tmp_path):
    data = small(tmp_path)
    assert texts(data, data.train) == [
        ("what did the dog do ? </s>", "the dog ran and the old", "ran"),
        ("who saw ? </s>", "the old cat of the house", "cat"),
        ("where ? </s>", "of the house saw it .", "house"),
        ("who saw ? </s>", "the dog .", "dog"),
    ]
    assert texts(data, data.valid) == [(f"who ran {n} ? </s>", f"the zebra {n} ran .", "zebra") for n in (0, 1)]
    assert texts(data, data.test) == [(f"who ran {n} ? </s>", f"the zebra {n} ran .", "zebra") for n in (2, 3)]
    contexts = data.train.contexts
    assert contexts.articles.tolist() == ["F", "G"] and contexts.ids.tolist()[0] == "What did the dog do?"
    assert contexts.paragraph.tolist() == [0, 0, 0, 1] and data.train.lengths.tolist() == [7, 4, 3, 4]
    batch = collate(data.train, np.array([1]))
    assert batch.given.words.shape == (1, 6) and batch.given.tags.tolist() == [[0, 0, BEGIN, 0, 0, 0]]


def test_words_to_write_come_before_words_to_copy(tmp_path):
    data = small(tmp_path)
    # each paragraph once: "the" stands in them four times and in a question, "saw" once and in two questions
    assert data.vocabulary[:8] == [*tokens.SPECIAL, "the", "?", "dog", "saw"]
    assert data.vocabulary[8:] == sorted(data.vocabulary[8:]) and {"zebra", "3", "old"} <= set(data.vocabulary[8:])
    assert "fast" not in data.vocabulary and len(set(data.vocabulary)) == len(data.vocabulary) == len(data.vectors)
    facts = data.facts()
    assert (facts.emission, facts.symbols, facts.outputs) == ("conditional", len(data.vocabulary), 8)
    assert (facts.max_length, facts.window, facts.features) == (7, 6, 0)
    assert data.vectors[data.vocabulary.index("dog")].tolist() == [1, 0, 1.5]


def test_statistics_count_what_is_left_out(tmp_path):
    data = small(tmp_path)
    found = data.statistics
    assert asking.likeliest(data) is None
    assert (found["outputs"], found["window"], found["max_length"], found["dimensions"]) == (8, 6, 7, 3)
    train, valid = found["splits"]["train"], found["splits"]["valid"]
    counts = ("questions", "repeated", "dropped_long", "dropped_answer", "kept", "sequences", "paragraphs", "articles")
    assert [train[name] for name in counts] == [8, 3, 1, 0, 4, 4, 2, 2]
    assert [valid[name] for name in counts] == [4, 2, 0, 0, 2, 2, 2, 2]
    # neither written nor in the window: what, did, do, where and, twice, who
    assert train["share_unknown"] == 6 / 14 and train["share_copied"] == 0 and train["share_cut"] == 3 / 4
    assert valid["share_copied"] == 2 / 4 and valid["share_unknown"] == 1 / 4  # ran 0 of: who ran 0 ?
    assert train["mean_length"] == 4.5 and train["mean_window"] == 21 / 4 and train["mean_paragraph"] == 8


def test_limits_keep_the_first_questions(tmp_path):
    data = small(tmp_path, train_sequences=3, test_sequences=1)
    assert [len(split) for split in (data.train, data.valid, data.test)] == [3, 2, 1]
    assert data.statistics["splits"]["train"]["kept"] == 4 and data.statistics["splits"]["train"]["paragraphs"] == 1


def test_long_questions_of_training_are_dropped_and_others_stay_whole(tmp_path):
    data = small(tmp_path, question_length=4)
    assert data.train.lengths.tolist() == [4, 3, 4] and data.statistics["splits"]["train"]["dropped_long"] == 2
    assert data.valid.lengths.tolist() == [5, 5] and data.facts().max_length == 4
    assert data.facts().length_counts == (0, 0, 0, 1, 4)  # longer ones count as the longest


def test_long_answers_are_dropped_in_training_alone(tmp_path):
    train = [article("F", LONG, qas=[asks("Who?"), asks("What?", "The dog ran and the old cat", 0)])]
    data = small(tmp_path, train)
    assert len(data.train) == 1 and data.statistics["splits"]["train"]["dropped_answer"] == 1
    development = [article(f"dev {n}", LONG + f" {n}", qas=train[0]["paragraphs"][0]["qas"]) for n in range(2)]
    raw = squad_folder(tmp_path / "other", **{"dev-v1": as_squad(*development)})
    with pytest.raises(Problem, match="answers of at most 6 words, .* in the valid split of .*, got 7 words in What"):
        prepare.prepare(SQUAD, raw, tmp_path / "bad", "small")


def trained(*questions):
    return {"train-v1": as_squad(article("F", LONG, qas=list(questions)))}


@pytest.mark.parametrize(
    ("contents", "changes", "message"),
    [
        (trained(asks("Who?", "cat", 25)), {}, "answer 'cat' at character 25"),
        (trained(asks("")), {}, "a question in question 0 of paragraph 0"),
        (
            trained(),
            {},
            "at most 7 words with their end, and answers of at most 6, in the train split .* 0; raise",
        ),
        (
            trained(asks("A?"), asks("B?", id="A?")),
            {},
            "each question's id once in the train split .*, got A. again",
        ),
        (trained(asks("A?", answers=[])), {}, "an answer of the question A., got none"),
        (
            {},
            {"question_length": 2},
            "at most 2 words with their end, .* in the train split .* none among 5; raise",
        ),
        ({}, {"window": 0}, "window: expected a whole number of at least 1, got 0"),
        ({}, {"vocabulary_size": None}, "vocabulary_size: expected a whole number of at least 1, got None"),
        ({}, {"length": 3}, "got 'length'"),
        ({}, {"glove": "owm"}, "got 'owm'; nearest: own"),
        ({}, {"dimensions": 2}, "a word and 2 numbers in line 1 of .*glove.txt, got 3"),
        ({}, {"source": "squad-question"}, "a source of .*, got 'squad-question'; nearest: squad-questions"),
        ({}, {"kind": "language"}, "expected kind: pairs with source: squad-questions-full, got 'language'"),
    ],
)
def test_bad_pairs_are_refused_and_nothing_is_left(tmp_path, contents, changes, message):
    raw = squad_folder(tmp_path / "raw", **contents)
    (tmp_path / "o").mkdir()
    with pytest.raises(Problem, match=message):
        prepare.prepare(SQUAD | changes, raw, tmp_path / "o/small", "small")
    assert not list((tmp_path / "o").iterdir())


def test_the_public_parts_of_squad_are_joined(tmp_path):
    """The same paragraph raw and tokenized is one, and a question counts once in all."""
    question_ = {"question": "Who saw it?", "answers": [{"text": "cat", "answer_start": 24}]}
    row = {"context": LONG.replace(".", " ."), "question": "What saw the dog ?", "answer": "dog", "span": [1, 1]}
    contents = {
        "du_test-v1.1.json": as_squad(article("F", "The dog.", qas=[asks("Who saw it?")])),
        "train_splinter_paragraphs.json": as_squad(article("", LONG, qas=[asks("What did the dog do?", "ran", 8)])),
        "train_extra_paragraphs.json": as_squad(article("", LONG, LONG + " So.", qas=[question_])),
        "cs224n_val.jsonl": lines(row, row | {"question": "What did the dog do ?"}),
        "train_reattached_questions.jsonl": lines(
            again(file="train_splinter_paragraphs", paragraph=0, answer="ran", answer_start=8, question="Did what ?"),
            again(file="cs224n_val", paragraph=None, context=row["context"], answer="dog"),
        ),
        "dev-v1.1.json": as_squad(*(article(f"d{n}", f"Dogs {n}.", qas=[asks("Q?", "Dogs", 0)]) for n in range(2))),
        "glove.txt": VECTORS,
    }
    block = SQUAD | {"source": "squad-questions"}
    prepare.prepare(block, raw_folder(tmp_path / "raw", contents), tmp_path / "out", "small")
    data = prepared.load(tmp_path / "out")
    assert [text for text, _, _ in texts(data, data.train)] == [
        *("who saw it ? </s>", "what did the dog do ? </s>"),
        *("what saw the dog ? </s>", "did what ? </s>", "who ran ? </s>"),
    ]
    contexts = data.train.contexts
    assert contexts.ids.tolist() == [
        *("Who saw it?", "What did the dog do?", "cs224n-0", "reattached-0", "reattached-1"),
    ]
    assert contexts.paragraph.tolist() == [0, 1, 1, 1, 1] and data.statistics["splits"]["train"]["repeated"] == 3


# the embedded source

DEFAULTS = corpora.EmbeddedQuestions(source="embedded-questions").made()
EMBEDDED = {"kind": "pairs", "source": "embedded-questions", "seed": 4, "train": 60, "valid": 20, "test": 31}


def source(**options):
    return asking.build(DEFAULTS | options, np.random.default_rng(0))


def made(tmp_path, **changes):
    block = EMBEDDED | changes
    download.fetch(block, tmp_path / "raw", tmp_path / "cache")
    prepare.prepare(block, tmp_path / "raw", tmp_path / "out", "small")
    return prepared.load(tmp_path / "out")


def test_the_forms_of_a_question_are_all_there_are():
    found = source()
    assert {"anna", "put"} <= set(found.vocabulary)
    paragraph = ["anna", "put", "the", "book", ".", "ben", "cut", "the", "door", "."]
    for place, clause in enumerate((("anna", "put"), ("ben", "cut"))):
        answer = (5 * place + 3, 5 * place + 4)
        p = found.questions(paragraph, answer)
        name, verb = clause
        assert set(p) == {("what", "did", name, verb, "?"), ("name", "the", "thing", "that", name, verb, ".")}
        assert sum(p.values()) == pytest.approx(1, abs=1e-15) and max(p.values()) == found.preference
        assert p[found.likeliest(paragraph, answer)] == found.preference
        asked_ = [asking.Asked(question, paragraph, answer) for question in p]
        assert np.allclose(np.exp(found.log_probs(asked_)), list(p.values()))
        assert found.entropy() == pytest.approx(-sum(one * np.log(one) for one in p.values()), abs=1e-15)


@pytest.mark.parametrize(
    ("question", "paragraph", "answer"),
    [
        ("what did anna put ?", "ben put the book .", (3, 4)),  # about another
        ("what did anna cut ?", "anna put the book .", (3, 4)),
        ("what did anna put .", "anna put the book .", (3, 4)),
        ("what did anna put ?", "anna put the book .", (0, 1)),  # the answer is no noun
        ("what did anna put ?", "anna put the book .", (2, 4)),
        ("what did anna put ?", "anna put the zebra .", (3, 4)),  # nobody's paragraph
        ("what did anna put ?", "what did anna put ?", (3, 4)),
    ],
)
def test_other_questions_cannot_be_asked(question, paragraph, answer):
    assert np.isneginf(source().log_probs([asking.Asked(question.split(), paragraph.split(), answer)])).all()


def test_verbs_prefer_both_forms():
    found = source(lexicon=48)
    assert sorted(found.preferred.tolist()) == [0] * 8 + [1] * 8
    assert (found.forms().sum(axis=1) == 1).all() and (found.forms().max(axis=1) == 0.8).all()


def test_embedded_questions_are_prepared(tmp_path):
    data = made(tmp_path)
    assert [len(split) for split in (data.train, data.valid, data.test)] == [60, 20, 31]
    found = embedded.specified(data.statistics["source_specification"], "")
    assert data.statistics["source_entropy"]["nats_per_sequence"] == found.entropy() == pytest.approx(0.5004, abs=1e-4)
    for split in (data.train, data.valid, data.test):
        rows = texts(data, split)
        for index, (text, paragraph, noun) in enumerate(rows):
            first, after = (split.contexts.answer[index] - split.contexts.window[index, 0]).tolist()
            p = found.questions(paragraph.split(), (first, after))
            assert paragraph.split()[first:after] == [noun]
            assert split.source_log_prob[index] == pytest.approx(np.log(p[tuple(text.split()[:-1])]))
        counts = np.bincount(split.contexts.paragraph)
        assert counts.max() <= DEFAULTS["asked"] and counts[:-1].min() >= 1
    contexts = [{paragraph for _, paragraph, _ in texts(data, split)} for split in (data.train, data.valid, data.test)]
    assert len(set().union(*contexts)) == sum(map(len, contexts)), "no paragraph in two splits"
    assert sum(map(len, contexts)) == sum(len(split.contexts.lengths) for split in (data.train, data.valid, data.test))
    asked_ = [text.removesuffix(" </s>") for text, _, _ in texts(data, data.test)]
    preferred = [text == likely for text, likely in zip(asked_, asking.likeliest(data), strict=True)]
    assert preferred == [bool(value > np.log(0.5)) for value in data.test.source_log_prob] and 31 > sum(preferred) > 15
    rare = data.statistics["splits"]["test"]
    assert rare["share_copied"] > 0 and rare["share_unknown"] == 0 and rare["share_cut"] == 0
    assert prepare.prepare(EMBEDDED, tmp_path / "raw", tmp_path / "again", "small") == data.sha256
    for name in ("words", "lengths", "articles", "paragraph", "window", "answer", "ids"):
        again_ = prepared.load(tmp_path / "again").test.contexts
        assert np.array_equal(getattr(again_, name), getattr(data.test.contexts, name)), name


def test_embedded_questions_are_the_same_bytes_every_time(tmp_path):
    for folder, changes in (("a", {}), ("b", {}), ("c", {"train": 80}), ("d", {"seed": 5})):
        download.fetch(EMBEDDED | changes, tmp_path / folder)
    contents = {f: (tmp_path / f / "checksums.json").read_bytes() for f in "abcd"}
    assert contents["a"] == contents["b"] != contents["d"]
    specified = [files.read_json(tmp_path / f / "source.json") for f in "ac"]
    assert specified[0]["preferred"] == specified[1]["preferred"] and specified[0]["texts"] == specified[1]["texts"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"window": 4}, "a window of at least 5, the words of a sentence, for embedded-questions, got 4"),
        ({"lexicon": 6, "window": 5, "train": 100}, "100 questions about different paragraphs in train of .*, got"),
        ({"preference": 0.5}, "preference: expected a finite number above 0.5 and below 1, got 0.5"),
    ],
)
def test_an_embedded_source_of_questions_without_room_is_refused(tmp_path, changes, message):
    with pytest.raises(Problem, match=message):
        download.fetch(EMBEDDED | changes, tmp_path / "raw")
    assert not (tmp_path / "raw").exists()


def test_embedded_questions_are_not_cut_nor_changed(tmp_path):
    download.fetch(EMBEDDED, tmp_path / "raw")
    for changes in ({"window": 29}, {"question_length": 7}):
        with pytest.raises(Problem, match="window and question_length of at least 30 and 8 .*falsify"):
            prepare.prepare(EMBEDDED | changes, tmp_path / "raw", tmp_path / "out", "small")
    raw = {path.name: path.read_bytes() for path in (tmp_path / "raw").iterdir() if path.name != "checksums.json"}
    raw["test.json"] = raw["test.json"].replace(b"what did", b"what does", 1)
    with pytest.raises(Problem, match="only sequences that the embedded source can make in .*test split"):
        prepare.prepare(EMBEDDED, raw_folder(tmp_path / "other", raw), tmp_path / "out", "small")
    assert not (tmp_path / "out").exists()


# TVQA, in files of our own

TVQA = {"kind": "pairs", "window": 12, "question_length": 12, "vocabulary_size": 100, "dimensions": 3, "glove": "own"}


def tvqa_folder(folder, clips=20, **changes):
    names = [f"s01e{n:02d}_seg01_clip_00" for n in range(clips)]
    asked_ = [asked(name, f"What did dog {n} do?", qid=n, ts="4-6", answer_idx=n % 5) for n, name in enumerate(names)]
    told = [described(name, text, times) for name in names for text, times in (("The cat sat.", (0, 3)), ("A", (5, 8)))]
    contents = {"tvqa_plus_val.json": json.dumps([*asked_, asked_[0] | {"qid": 99, "q": "what did DOG 0 do"}])}
    contents |= {"tvr_val_release.jsonl": lines(*told), "glove.txt": VECTORS}
    return raw_folder(folder, contents | changes)


def test_descriptions_and_the_right_answer_are_the_context(tmp_path):
    block = TVQA | {"source": "tvqa-descriptions"}
    prepare.prepare(block, tvqa_folder(tmp_path / "raw"), tmp_path / "out", "small")
    data = prepared.load(tmp_path / "out")
    splits = (data.train, data.valid, data.test)
    assert [len(split) for split in splits] == [14, 2, 4]
    clips = [set(split.contexts.articles.tolist()) for split in splits]
    assert len(set().union(*clips)) == 20 == sum(map(len, clips))
    for split in splits:
        for (text, window, answer), name in zip(texts(data, split), split.contexts.ids, strict=True):
            assert text == f"what did dog {name} do ? </s>"
            assert answer == f"it ran {int(name) % 5} ." and window == f"a the cat sat . | {answer}"
    assert sum(data.statistics["splits"][name]["repeated"] for name in prepared.SPLITS) == 1
    batch = collate(data.test, np.array([0]))
    assert batch.given.tags.tolist() == [[0] * 6 + [BEGIN, INSIDE, INSIDE, INSIDE]]
    assert "|" in data.vocabulary and data.statistics["splits"]["test"]["share_cut"] == 0


def test_descriptions_are_cut_before_the_answer(tmp_path):
    block = TVQA | {"source": "tvqa-descriptions", "window": 7}
    prepare.prepare(block, tvqa_folder(tmp_path / "raw"), tmp_path / "out", "small")
    data = prepared.load(tmp_path / "out")
    assert {window.partition(" | ")[0] for _, window, _ in texts(data, data.test)} == {"a the"}
    assert data.statistics["splits"]["test"]["share_cut"] == 1
    with pytest.raises(Problem, match="answers of at most 3, in the train split of .*, got none among 14; raise"):
        prepare.prepare(block | {"window": 3}, tmp_path / "raw", tmp_path / "bad", "small")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tvqa_plus_val.json": json.dumps([asked("none")])}, "expected the clip none in .*tvr_val_release.jsonl, got"),
        ({"tvqa_plus_val.json": json.dumps([asked(answer_idx=None)])}, "a right answer of the question 1, got none"),
        ({"tvqa_plus_val.json": json.dumps([asked(a3=" ")])}, "a right answer of the question 1, got none"),
        ({"tvqa_plus_val.json": json.dumps([asked()])}, "questions .* in the valid split of .*, got none among 0"),
    ],
)
def test_bad_contexts_of_tvqa_are_refused(tmp_path, changes, message):
    raw = tvqa_folder(tmp_path / "raw", **changes)
    with pytest.raises(Problem, match=message):
        prepare.prepare(TVQA | {"source": "tvqa-descriptions"}, raw, tmp_path / "out", "small")
    assert not (tmp_path / "out").exists()


def test_localised_subtitles_and_the_right_answer_are_the_context(tmp_path):
    clips = [f"s01e{n:02d}_seg01_clip_00" for n in range(40)]
    contents = {
        "tvqa_train.jsonl": lines(*(asked(clip, qid=n, ts="1-3") for n, clip in enumerate(clips))),
        "tvqa_val.jsonl": lines(asked("castle_1"), asked("castle_1", "Who?", ts="6-7", qid=2)),
        "glove.txt": VECTORS,
    }
    raw = raw_folder(tmp_path / "raw", contents)
    archive(raw / "tvqa_subtitles.tar.gz", {f"{clip}.srt": SRT for clip in [*clips, "castle_1"]})
    sums = {path.name: files.sha256(path) for path in raw.iterdir() if path.name != "checksums.json"}
    files.write_json(raw / "checksums.json", {"files": sums, "sha256": prepared.combined(sums)})
    block = TVQA | {"source": "tvqa-questions-subtitles", "window": 20}
    prepare.prepare(block, raw, tmp_path / "out", "small")
    data = prepared.load(tmp_path / "out")
    validating = sum(tvqa.part(clip) == 0 for clip in clips)
    assert [len(split) for split in (data.train, data.valid, data.test)] == [40 - validating, validating, 2]
    said = "penny : where did the dog go ?"
    assert [window for _, window, _ in texts(data, data.test)] == [f"{said} | it ran 3 .", "it ran . | it ran 3 ."]
    with pytest.raises(Problem, match=r"expected sha256: {tvqa_train.jsonl: <64 hex digits>} beside source"):
        download.fetch(block, tmp_path / "new", tmp_path / "cache")


# the mirror

real = pytest.mark.skipif(
    not os.environ.get("SEQFLOWS_MIRROR"),
    reason="REAL DATA NOT TESTED: set SEQFLOWS_MIRROR to a folder with squad/, tvqa/ and glove/",
)


def from_mirror(folder, **block):
    block = {"kind": "pairs", "dimensions": 50, "glove": "6B-50d-9163", "vocabulary_size": 8000, **block}
    download.fetch(block, folder / "raw", folder / "cache")
    prepare.prepare(block, folder / "raw", folder / "out", block["source"])
    assert not (folder / "cache").exists(), "the network was used"
    return prepared.load(folder / "out")


@real
def test_squad_questions_from_the_mirror(tmp_path):
    data = from_mirror(tmp_path, source="squad-questions", window=128, question_length=32)
    train, valid, test = (data.statistics["splits"][name] for name in prepared.SPLITS)
    assert train["questions"] - train["repeated"] == 31_519 and train["dropped_long"] == 16
    assert (len(data.train), train["dropped_answer"], data.statistics["outputs"]) == (31_503, 0, 8_004)
    counts = ("questions", "repeated", "sequences", "paragraphs", "articles")
    assert [valid[name] for name in counts] == [5_696, 26, 5_670, 1_048, 24]
    assert [test[name] for name in counts] == [4_874, 13, 4_861, 1_019, 24]
    titles = [set(split.contexts.articles.tolist()) - {""} for split in (data.train, data.valid, data.test)]
    assert [len(one) for one in titles] == [44, 24, 24] and len(set().union(*titles)) == 92
    known, names = np.array(data.vocabulary), []
    for split in (data.train, data.valid, data.test):
        contexts = split.contexts
        assert len(set(contexts.ids.tolist())) == len(split)
        bounds = contexts.offsets.tolist(), (contexts.offsets + contexts.lengths).tolist()
        names.append({squad.identity("".join(known[contexts.words[a:b]])) for a, b in zip(*bounds, strict=True)})
    assert [len(one) for one in names[1:]] == [1_048, 1_019] and len(names[0]) > 6_870
    assert len(set().union(*names)) == sum(map(len, names)), "no paragraph in two splits"

    development = squad.questions(squad.read(tmp_path / "raw/dev-v1.1.json"))
    answers = {question.id: squad.identity(question.answers[0].text) for question in development}
    whole = 0
    for split in (data.valid, data.test):
        for name, (_, window, answer) in zip(split.contexts.ids.tolist(), texts(data, split), strict=True):
            assert f" {answer} " in f" {window} " and answers[name] in squad.identity(answer)
            whole += answers[name] == squad.identity(answer)
    assert whole > 0.99 * len(answers)  # the others are parts of words


@real
def test_tvqa_descriptions_from_the_mirror(tmp_path):
    data = from_mirror(tmp_path, source="tvqa-descriptions", window=96, question_length=32)
    splits = (data.train, data.valid, data.test)
    assert [len(split) for split in splits] == [2_114, 301, 602]
    clips = [set(split.contexts.articles.tolist()) for split in splits]
    assert [len(one) for one in clips] == [302, 43, 86] and len(set().union(*clips)) == 431
    found = [data.statistics["splits"][name] for name in prepared.SPLITS]
    assert sum(one["questions"] for one in found) == 3_017 == sum(map(len, splits))
    assert all(one["share_cut"] < 0.08 and one["longest"] <= 32 for one in found)
    assert all(" | " + answer in window for _, window, answer in texts(data, data.test))
