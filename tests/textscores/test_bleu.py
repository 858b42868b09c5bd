"""BLEU-4 from summed statistics: sacrebleu's number to the last digits, for texts of any length."""

from __future__ import annotations

import numpy as np
import pytest
import sacrebleu

from seqflows.textscores import bleu

WORDS = ("who", "Who", "was", "the", "first", "king", "of", "france", "?", "in", "1,000")


def texts(count, longest, seed, empty=False):
    generator = np.random.default_rng(seed)
    lengths = generator.integers(0 if empty else 1, longest + 1, count)
    return [[WORDS[n] for n in generator.integers(0, len(WORDS), length)] for length in lengths]


def theirs(hypotheses, references):
    """sacrebleu's corpus score of lists of words, without its own tokenisation and smoothing."""
    metric = sacrebleu.BLEU(tokenize="none", lowercase=True, smooth_method="none")
    found = metric.corpus_score([" ".join(words) for words in hypotheses], [[" ".join(words) for words in references]])
    return found, str(metric.get_signature())


@pytest.mark.parametrize(
    ("hypotheses", "references"),
    [
        (texts(40, 12, 0), texts(40, 12, 1)),
        (texts(40, 4, 2), texts(40, 15, 3)),  # short: the brevity penalty
        (texts(40, 15, 4, empty=True), texts(40, 6, 5)),  # long, and some empty
        ([words[:-3] for words in texts(40, 12, 12)], texts(40, 12, 12)),  # right, but cut: the penalty alone
        (texts(1, 9, 6), texts(1, 9, 7)),
        (texts(30, 3, 8), texts(30, 9, 9)),  # no 4-gram at all
        ([[]] * 3, texts(3, 9, 10)),  # nothing written
        ([["quark"]] * 3, texts(3, 9, 11)),  # nothing matched
    ],
)
def test_corpora_of_any_lengths_score_as_sacrebleu_scores_them(hypotheses, references):
    found, _ = theirs(hypotheses, references)
    sums = sum(bleu.statistics(*pair) for pair in zip(hypotheses, references, strict=True))
    assert sums.tolist() == [found.sys_len, found.ref_len, *found.counts, *found.totals]
    assert bleu.bleu(sums) == pytest.approx(found.score, abs=1e-9)
    if found.sys_len:
        assert float(bleu.brevity(sums)) == pytest.approx(found.bp, abs=1e-12)


def test_an_identical_text_scores_100_in_any_case_of_letters():
    words = ["Who", "was", "the", "first", "king", "?"]
    assert bleu.bleu(bleu.statistics(words, [word.upper() for word in words])) == pytest.approx(100.0)


def test_many_sums_are_scored_at_once():
    rows = np.array([bleu.statistics(*pair) for pair in zip(texts(20, 9, 1), texts(20, 9, 2), strict=True)])
    sums = np.stack([rows[:10].sum(0), rows[10:].sum(0), np.zeros(10, dtype=int)])
    assert bleu.scores(sums).tolist() == [bleu.bleu(one) for one in sums]
    assert bleu.bleu(sums[2]) == 0.0


def test_the_signature_names_the_settings_of_the_paper():
    _, signature = theirs([["a"]], [["a"]])
    assert {"case:lc", "eff:no", "tok:none", "smooth:none", "nrefs:1"} <= set(signature.split("|"))
