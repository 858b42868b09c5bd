"""ROUGE-L of pycocoevalcap, and what n-grams do not say."""

from __future__ import annotations

import numpy as np
import pytest
from pycocoevalcap.rouge.rouge import Rouge

from seqflows.textscores import questions, rouge

TEXTS = [
    ("who was the king ?", "who was the first king of france ?"), ("Who is it ?", "who is it ?"), ("", "who is it ?"),
    ("it is who", "who is it ?"), ("nothing", "who is it ?"), ("who was the king ?", "who was the first king ?"),
]  # fmt: skip


def test_rouge_is_that_of_coco():
    hypotheses, references = zip(*([text.split() for text in pair] for pair in TEXTS), strict=True)
    found = rouge.scores(hypotheses, references)
    named = [{n: [" ".join(text).lower()] for n, text in enumerate(texts)} for texts in (references, hypotheses)]
    mean, each = Rouge().compute_score(*named)
    assert found.tolist() == each.tolist() and found.mean() == mean
    assert found[1] == 1.0 and found[2] == 0.0
    precision, recall = 1.0, 5 / 8  # who was the king ?, in this order
    assert found[0] == pytest.approx((1 + 1.2**2) * precision * recall / (recall + 1.2**2 * precision))


@pytest.mark.parametrize(
    ("question", "answer", "expected"),
    [
        ("who was king of France ?", "the king 's son", True),
        ("who was the first of them ?", "the first of", True),
        ("who was it ?", "the house of it", False),  # function words alone are shared
        ("who , then ?", ", then", False),
        ("when was 1066 ?", "1066", True),
        ("", "king", False),
    ],
)
def test_a_question_that_holds_a_word_of_its_answer(question, answer, expected):
    assert questions.answered(question.split(), answer.split()) is expected


def test_different_questions_are_counted_without_case():
    texts = [["who"], ["Who"], ["when"], [], []]
    assert questions.different(texts) == pytest.approx(3 / 5)
    assert np.isclose(questions.different([["a"]]), 1.0)
