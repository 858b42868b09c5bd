"""Candidates on disk and in memory: which lines they stand for, and whose they are."""

from __future__ import annotations

import numpy as np
import pytest

from seqflows.data import rewritten, tokens
from seqflows.data.lines import Lines, Passages
from seqflows.errors import Problem

WORDS = ["anna", "put", "the", "book", ".", "ben", "cut", "bread", "rope"]
PLACES = {word: place for place, word in enumerate([*tokens.SPECIAL, *WORDS])}
TEXTS = ("Anna put the book.", "Ben cut the bread.", "Anna cut the rope.", "Ben put the book.")


def passages(free=(True, False, False, True, True, False)):
    """Two passages of two lines each; two questions on the first, one on the second."""
    asked, answers = (Lines.of(texts, PLACES) for texts in (["ben", "anna", "rope"], ["bread", "book", "book"]))
    return Passages(
        Lines.of(TEXTS, PLACES), np.array([0, 2, 4]), np.array(["a", "b"]), np.array([0, 0, 1], dtype=np.int32),
        np.array(["q0", "q1", "q2"]), asked, answers, np.array([0, 1, 2, 3]), np.array(free),
    )  # fmt: skip


HEADER = {"dataset_sha256": "d" * 64, "config_hash": "c", "runs": []}


def saved(folder, chosen=(0, 1, 2), count=2):
    texts = [[f"Anna put the rope {line} {n} ." for n in range(count)] for line in chosen]
    return rewritten.save(folder, np.array(chosen), texts, PLACES, HEADER)


def test_the_free_lines_are_those_that_a_question_can_lose():
    assert rewritten.free_lines(passages()).tolist() == [0, 1, 2]
    assert rewritten.free_lines(passages((False,) * 6)).tolist() == []


def test_candidates_come_back_with_their_lines_and_numbers(tmp_path):
    sha256 = saved(tmp_path / "made")
    found = rewritten.load(tmp_path / "made", "d" * 64)
    assert found.sha256 == sha256 and found.header == HEADER and found.count == 2
    assert found.of.tolist() == [0, 0, 1, 1, 2, 2] and found.number.tolist() == [0, 1] * 3
    assert found.lines.texts[3] == "Anna put the rope 1 1 ."
    assert found.lines.words[found.lines.rows(3)].tolist()[:4] == [PLACES[w] for w in ("anna", "put", "the", "rope")]
    assert found.places(4).tolist() == [[0, 1], [2, 3], [4, 5], [-1, -1]]


def test_only_free_lines_of_the_question_are_replaced(tmp_path):
    """Question 0 may lose its first line, question 1 its second, question 2 its first."""
    saved(tmp_path / "made")
    found, given = rewritten.load(tmp_path / "made", "d" * 64), passages()
    made = found.replacement(given, [0, 1, 2, 1], [1, 0, 1, -1])
    assert [None if one is None else one.tolist() for one in made.chosen] == [[1, -1], [-1, 2], [5, -1], None]
    gathered = given.gather([0, 1, 2, 1], made)
    assert gathered.texts == (
        ("Anna put the rope 0 1 .", TEXTS[1]), (TEXTS[0], "Anna put the rope 1 0 ."),
        ("Anna put the rope 2 1 .", TEXTS[3]), TEXTS[:2],
    )  # fmt: skip


def test_a_line_without_candidates_stays(tmp_path):
    saved(tmp_path / "made", chosen=(1,))
    made = rewritten.load(tmp_path / "made", "d" * 64).replacement(passages(), [0, 1], [0, 1])
    assert [one.tolist() for one in made.chosen] == [[-1, -1], [-1, 1]]


def test_candidates_of_another_corpus_or_settings_are_refused(tmp_path):
    saved(tmp_path / "made")
    with pytest.raises(Problem, match="candidates in .*made for the prepared .* sha256 eeee.*, got those for dddd"):
        rewritten.load(tmp_path / "made", "e" * 64)
    with pytest.raises(Problem, match="of the present params.yaml .*, got those of config c"):
        rewritten.load(tmp_path / "made", "d" * 64, {"generator": "same"})
    with pytest.raises(Problem, match="expected the candidates .*none, found none; run: python -m seqflows rewrite"):
        rewritten.load(tmp_path / "none", "d" * 64)
    content = bytearray((tmp_path / "made/lines.npz").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "made/lines.npz").write_bytes(content)
    with pytest.raises(Problem, match="lines.npz with sha256"):
        rewritten.load(tmp_path / "made", "d" * 64)


def test_a_candidate_without_words_is_refused_and_nothing_is_left(tmp_path):
    with pytest.raises(Problem, match="words in the candidates of .*made, got ' '"):
        rewritten.save(tmp_path / "made", np.array([0]), [["Anna", " "]], PLACES, HEADER)
    assert not list(tmp_path.iterdir())
