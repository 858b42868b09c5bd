"""The claims about other contexts for answers: on the printed numbers, and on numbers of a synthetic Table 9."""

from __future__ import annotations

from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest

from seqflows.report.comparisons import Pair
from seqflows.report.judging import FAILS, HOLDS, NOT_PRINTED, NOT_RUN, UNDECIDED, Finding, Ours, Printed, Value
from seqflows.report.papers.base import papers
from seqflows.report.papers.tang2021 import contexts


def judged(numbers):
    return {claim.name: claim.judge(numbers) for claim in contexts.CLAIMS}


def ordered(numbers):
    """The claims of rows above others."""
    return {claim.name: claim.judge(numbers) for claim in contexts.CLAIMS if claim.judge is not contexts.p_values}


def test_the_claims_on_the_printed_numbers():
    """+0.94 EM and +0.46 F1 over the baseline, +0.21 and +0.22 of the decoder; back-translation -0.32 and +0.03."""
    found = judged(Printed(papers()["tang2021"].tables))
    assert {name: finding.verdict for name, finding in found.items()} == {
        "the flow improves answers": HOLDS, "p below 0.0005": NOT_PRINTED, "largely": FAILS,
        "a decoder is even slightly better": HOLDS,
        "both other methods perform worse": HOLDS, "back-translation helps": FAILS,
        "the flow is what helps answers": NOT_PRINTED,
    }  # fmt: skip
    assert "-0.940" in found["largely"].text or "+0.940" in found["largely"].text


class Compared(NamedTuple):
    """What claims ask of the records: a comparison of the flow with the baseline."""

    p: float
    draws: int = 10_000

    def pair(self, first, second, metric):
        assert (first, second) == ("flow", "base") and metric in ("em", "f1")
        return Pair(0.9, 0.2, None, self.p)

    def comparison(self, table):
        assert table == contexts.TABLE
        return SimpleNamespace(differ={("base", "flow"): 0.031}, draws=self.draws, sequences=4874)


def of(compared):
    """Our numbers, with such records."""
    numbers = object.__new__(Ours)
    numbers.results = compared
    numbers.address = lambda reference: (
        {contexts.FLOW: "flow", contexts.BASELINE: "base"}[reference[1]], reference[2].lower()
    )  # fmt: skip
    return contexts.p_values(numbers)


def test_the_stated_p_is_judged_with_the_share_that_differs():
    held, failed, few = of(Compared(0.0001)), of(Compared(0.002)), of(Compared(0.001, 999))
    assert (held.verdict, failed.verdict, few.verdict) == (HOLDS, FAILS, UNDECIDED)
    assert "p = 0.0001; they differ in EM on 3.1 % of 4874 questions" in held.text
    missing = Compared(0.1)
    absent = SimpleNamespace(pair=lambda *rest: None, comparison=missing.comparison)
    assert of(absent).verdict == NOT_RUN


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
    assert {finding.verdict for finding in ordered(Made(ROWS, 0.01)).values()} == {HOLDS}
    turned = {row: -value for row, value in ROWS.items()}
    assert {finding.verdict for finding in ordered(Made(turned, 0.01)).values()} == {FAILS}
    assert {finding.verdict for finding in ordered(Made(ROWS, 5.0)).values()} == {UNDECIDED}


@pytest.mark.parametrize("row", [contexts.WORDS, contexts.FILTER])
def test_each_control_counts(row):
    assert ordered(Made(ROWS | {row: 62.5}, 0.01))["the flow is what helps answers"].verdict == FAILS


def test_the_share_that_may_differ_is_that_of_the_paired_test():
    """By brute force: of 4,874 pairs that share answered otherwise, with a gain of 0.94 %, z is as stated."""
    share, gain, count = contexts.most_that_differ(0.0094), 0.0094, contexts.QUESTIONS
    better, worse = round(count * (share + gain) / 2), round(count * (share - gain) / 2)
    differences = np.zeros(count)
    differences[:better], differences[better : better + worse] = 1, -1
    z = differences.mean() / (differences.std() / np.sqrt(count))
    assert z == pytest.approx(contexts.Z, abs=0.05)
