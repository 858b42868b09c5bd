"""The claims about other contexts for answers: on the printed numbers, and on numbers of a synthetic Table 9."""

from __future__ import annotations

import numpy as np
import pytest

from seqflows.report.judging import FAILS, HOLDS, NOT_PRINTED, UNDECIDED, Finding, Printed, Value
from seqflows.report.papers.base import papers
from seqflows.report.papers.tang2021 import contexts


def judged(numbers):
    return {claim.name: claim.judge(numbers) for claim in contexts.CLAIMS}


def test_the_claims_on_the_printed_numbers():
    """+0.94 EM and +0.46 F1 over the baseline, +0.21 and +0.22 of the decoder; back-translation -0.32 and +0.03."""
    found = judged(Printed(papers()["tang2021"].tables))
    assert {name: finding.verdict for name, finding in found.items()} == {
        "the flow improves answers": HOLDS, "largely": FAILS, "a decoder is even slightly better": HOLDS,
        "both other methods perform worse": HOLDS, "back-translation helps": FAILS,
        "the flow is what helps answers": NOT_PRINTED,
    }  # fmt: skip
    assert "-0.940" in found["largely"].text or "+0.940" in found["largely"].text


class Made:
    """Numbers of rows, with a standard error of each difference."""

    missing = "not run"

    def __init__(self, rows, error):
        self.rows, self.error = rows, error

    def value(self, reference):
        return Value(self.rows[reference[1]], self.error)

    def difference(self, first, second):
        if {first[1], second[1]} - self.rows.keys():
            return Finding("not run", "")
        return Value(self.rows[first[1]] - self.rows[second[1]], self.error)


ROWS = {
    contexts.BASELINE: 60.0, contexts.BACK: 60.5, contexts.PARAPHRASING: 61.0, contexts.FLOW: 62.0, contexts.PLUS: 63.0,
    contexts.WORDS: 60.2, contexts.FILTER: 60.0,
}  # fmt: skip


def test_every_claim_holds_where_each_row_is_above_the_one_before_and_none_where_all_are_turned_round():
    assert {finding.verdict for finding in judged(Made(ROWS, 0.01)).values()} == {HOLDS}
    turned = {row: -value for row, value in ROWS.items()}
    assert {finding.verdict for finding in judged(Made(turned, 0.01)).values()} == {FAILS}
    assert {finding.verdict for finding in judged(Made(ROWS, 5.0)).values()} == {UNDECIDED}


@pytest.mark.parametrize("row", [contexts.WORDS, contexts.FILTER])
def test_each_control_counts(row):
    assert judged(Made(ROWS | {row: 62.5}, 0.01))["the flow is what helps answers"].verdict == FAILS


def test_the_share_that_may_differ_is_that_of_the_paired_test():
    """By brute force: of 4,874 pairs that share answered otherwise, with a gain of 0.94 %, z is as stated."""
    share, gain, count = contexts.most_that_differ(0.0094), 0.0094, contexts.QUESTIONS
    better, worse = round(count * (share + gain) / 2), round(count * (share - gain) / 2)
    differences = np.zeros(count)
    differences[:better], differences[better : better + worse] = 1, -1
    z = differences.mean() / (differences.std() / np.sqrt(count))
    assert z == pytest.approx(contexts.Z, abs=0.05)
