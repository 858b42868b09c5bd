"""Lines and passages: what is stored comes back, and contexts are put together as if by hand."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqflows.data import tokens
from seqflows.data.lines import JOIN, Lines, Passages, Replacement
from seqflows.errors import Problem

TEXTS = ("The caf\u00e9's dog ran.", "It's 1,000  U.S. dollars!", "Wh\u00e0t? \U0001f600", "Bob sat.", "No.")
WORDS = sorted({word for text in TEXTS for word in tokens.tokenize(text)})
PLACES = {word: place + len(tokens.SPECIAL) for place, word in enumerate(WORDS)}


def featured(lines, seed=0, width=3):
    rng = np.random.default_rng(seed)
    return lines.featured(rng.standard_normal((len(lines.words), width)).astype(np.float16))


def passages(**changes):
    """Two passages, of three lines and of two; three questions, the second about the second passage."""
    values = {
        "lines": featured(Lines.of(TEXTS, PLACES)),
        "first": np.array([0, 3, 5]),
        "sources": np.array(["a", "b"]),
        "passage": np.array([0, 1, 0], dtype=np.int32),
        "ids": np.array(["q0", "q1", "q2"]),
        "questions": featured(Lines.of(["Who ran?", "Who sat?", "How much?"], PLACES), 1),
        "answers": Lines.of(["dog", "The dog", "Bob", "1,000"], PLACES),
        "answered": np.array([0, 2, 3, 4]),
        "free": np.array([False, True, True, False, True, True, False, True]),
    }
    return Passages(**values | changes)


def test_words_features_and_texts_of_lines():
    lines = Lines.of(TEXTS, PLACES)
    for number, text in enumerate(TEXTS):
        rows, known = lines.rows(number), dict(map(reversed, PLACES.items()))
        assert [known[word] for word in lines.words[rows].tolist()] == tokens.tokenize(text)
        assert lines.characters[rows].tolist() == [list(span) for span in tokens.spans(text)]
    assert Lines.of(["The zebra"], PLACES).words.tolist() == [PLACES["the"], 1]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=12), max_size=6))
def test_lines_come_back_from_a_file(tmp_path_factory, texts):
    kept = [text for text in texts if tokens.tokenize(text)]
    lines = Lines.of(kept, PLACES)
    path = tmp_path_factory.mktemp("lines") / "x.npz"
    np.savez(path, **lines.arrays("some"))
    with np.load(path, allow_pickle=False) as arrays:
        found = Lines.from_arrays(arrays, "some")
    assert found.texts == tuple(kept)
    for name in ("words", "lengths", "characters"):
        np.testing.assert_array_equal(getattr(found, name), getattr(lines, name))


def test_passages_come_back_from_a_file(tmp_path):
    for times in ({}, {"times": np.arange(10.0).reshape(5, 2), "spans": np.array([[0.0, 1], [2, 2], [1, 3]])}):
        made = passages(**times)
        np.savez(tmp_path / "x.npz", **made.arrays())
        with np.load(tmp_path / "x.npz", allow_pickle=False) as arrays:
            found = Passages.from_arrays(arrays)
        for name in ("first", "sources", "passage", "ids", "answered", "free", "offsets", "sizes", "times", "spans"):
            np.testing.assert_array_equal(getattr(found, name), getattr(made, name))
        assert found.lines.texts == TEXTS and found.answers_of(0) == ("dog", "The dog")
        assert found.lines.features is None


def by_hand(made, index, pool, chosen):
    """A context's words, features, texts and first words of lines, one line after another."""
    words, features, texts, firsts = [], [], [], []
    for line, other in zip(made.of(index), chosen, strict=True):
        of, number = (made.lines, int(line)) if other < 0 else (pool, int(other))
        firsts.append(len(words))
        texts.append(of.texts[number])
        words += of.words[of.rows(number)].tolist()
        features += of.features[of.rows(number)].tolist()
    return words, features, tuple(texts), [*firsts, len(words)]


def test_contexts_are_put_together_from_two_pools():
    made, pool = passages(), featured(Lines.of(["A cat slept well.", "Oh?", "Bob ran, too."], PLACES), 2)
    rng = np.random.default_rng(0)
    for _ in range(200):
        indices = rng.integers(3, size=rng.integers(1, 4))
        chosen = [np.where(made.free_of(i) & (rng.random(len(made.free_of(i))) < 0.6), rng.integers(3), -1)
                  for i in indices]  # fmt: skip
        given_ = [None if (one < 0).all() and rng.random() < 0.5 else one for one in chosen]
        found = made.gather(indices, Replacement(pool, given_))
        for row, index in enumerate(indices):
            words, features, texts, firsts = by_hand(made, index, pool, chosen[row])
            length = len(words)
            assert found.lengths[row] == length and found.words[row, :length].tolist() == words
            assert not found.words[row, length:].any() and not found.features[row, length:].any()
            assert found.features[row, :length].tolist() == features
            assert found.texts[row] == texts
            assert found.firsts[row, : len(firsts)].tolist() == firsts
            assert (found.firsts[row, len(firsts) :] == length).all()
            whole = JOIN.join(texts)
            spans = [whole[start:end] for start, end in found.characters[row, :length]]
            assert [token for span in spans for token in tokens.tokenize(span)] == tokens.tokenize(whole)


def test_sizes_are_those_of_whole_contexts():
    made = passages()
    found = made.gather([0, 1, 2])
    assert made.sizes.tolist() == found.lengths.tolist() == [len(tokens.tokenize(" ".join(one))) for one in found.texts]


def test_only_free_lines_are_replaced():
    made, pool = passages(), featured(Lines.of(["Oh?"], PLACES), 2)
    with pytest.raises(Problem, match=r"free lines among 3 of the question q0, got \[0, -1, -1\]"):
        made.gather([0], Replacement(pool, [np.array([0, -1, -1])]))
    with pytest.raises(Problem, match="among 2 of the question q1"):
        made.gather([1], Replacement(pool, [np.array([-1, 0, 0])]))
    with pytest.raises(Problem, match="candidates with 3 features a word, got 0"):
        made.gather([0], Replacement(Lines.of(["Oh?"], PLACES), [np.array([-1, 0, -1])]))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"first": np.array([0, 3, 4])}, "the first of 5 of each of 2 passages"),
        ({"first": np.array([0, 5, 5])}, "the first of 5 of each of 2 passages"),
        ({"answered": np.array([0, 2, 2, 4])}, "the first of 4 of each of 3 questions"),
        ({"passage": np.array([0, 2, 0])}, "places among 2 passages"),
        ({"ids": np.array(["q0"])}, "an id and a text for each of 3 questions"),
        ({"free": np.ones(7, bool)}, "whether each of 8 lines is free, got bool of the shape (7,)"),
        ({"free": np.ones(8, int)}, "whether each of 8 lines is free, got int64"),
        ({"times": np.zeros((4, 2))}, "a start and an end for each of 5 lines"),
        ({"spans": np.array([[0.0, 1], [3, 2], [1, 3]])}, "a start and an end for each of 3 questions"),
    ],
)
def test_inconsistent_passages_are_refused(changes, text):
    with pytest.raises(Problem, match=re.escape(text)):
        passages(**changes)


def divided(counts, sources, rng):
    """Passages of one line with so many questions each, of these sources, the questions in a random order."""
    passage = rng.permutation(np.repeat(np.arange(len(counts)), counts)).astype(np.int32)
    count = len(passage)
    return passages(
        lines=Lines.of(["Bob sat."] * len(counts), PLACES), first=np.arange(len(counts) + 1), sources=np.array(sources),
        passage=passage, ids=np.array([f"q{n}" for n in range(count)]), free=np.ones(count, bool),
        questions=Lines.of(["Who?"] * count, PLACES), answers=Lines.of(["Bob"] * count, PLACES),
        answered=np.arange(count + 1),
    )  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 9)), min_size=2, max_size=12), st.integers(0, 99))
def test_halves_are_whole_articles_and_about_as_large(drawn, seed):
    """Disjoint and whole; no article stands in both; they differ by no more questions than the largest has."""
    articles, counts = [f"article {place}" for place, _ in drawn], [count for _, count in drawn]
    if len(set(articles)) < 2:
        articles[0] = "another"
    rng = np.random.default_rng(seed)
    found = divided(counts, articles, rng)
    first, second = found.half(0), found.half(1)
    assert sorted([*first, *second]) == list(range(len(found))) and len(first) and len(second)
    of = np.array(articles)[found.passage]
    assert not set(of[first]) & set(of[second]) and set(of) == set(articles)
    most = max(int((of == article).sum()) for article in set(of))
    assert abs(len(first) - len(second)) <= most
    again = divided(counts, articles, rng)  # another order of the questions
    assert {*np.array(articles)[again.passage][again.half(0)]} == set(of[first])


def test_halves_of_a_single_article_are_whole_passages():
    found = divided([3, 2, 2, 1], ["train"] * 4, np.random.default_rng(0))
    assert [found.halves[found.passage == place].tolist() for place in range(4)] == [[0] * 3, [1] * 2, [1] * 2, [0]]
    with pytest.raises(Problem, match="expected sequences about at least two passages, to have halves, got one"):
        divided([5], ["train"], np.random.default_rng(0)).half(0)


def test_a_half_is_told_with_its_sizes():
    found = divided([3, 2, 2], ["a", "b", "b"], np.random.default_rng(0))
    told = [found.halved(number) for number in (0, 1)]
    assert [(one["half"], one["sequences"], one["of_sequences"]) for one in told] == [(0, 4, 7), (1, 3, 7)]
    assert [(one["parts"], one["of_parts"]) for one in told] == [(1, 2), (1, 2)]
    assert told[0]["sha256"] != told[1]["sha256"]


def test_inconsistent_lines_are_refused():
    good = Lines.of(TEXTS, PLACES)
    with pytest.raises(Problem, match="expected words in a line of x, got ' '; replace it"):
        Lines.of(["The dog", " "], PLACES, "a line of x")
    with pytest.raises(Problem, match="expected 4 lines of at least one word"):
        Lines(TEXTS[:4], good.words, good.lengths, good.characters)
    with pytest.raises(Problem, match="words within the texts of their lines"):
        Lines(TEXTS, good.words, good.lengths, good.characters + 1)
    with pytest.raises(Problem, match="features of .* words, got 1; run the stage features again"):
        good.featured(np.zeros((1, 3), dtype=np.float16))
