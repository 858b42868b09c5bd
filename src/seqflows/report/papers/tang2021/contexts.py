"""The claims of Tang et al. 2021 about other contexts for answers, judged on their numbers and on ours: Table 9."""

from __future__ import annotations

from collections.abc import Sequence

from seqflows.report.judging import (
    FAILS,
    HOLDS,
    NOT_PRINTED,
    NOT_RUN,
    UNDECIDED,
    Finding,
    Numbers,
    Ours,
    Reference,
    below,
    join,
)
from seqflows.report.papers.base import Claim

TABLE = "tang2021-table9"
COLUMNS = EXACT, F1 = ("EM", "F1")
BASELINE = "Baseline BERT"
BACK, PARAPHRASING, FLOW, PLUS = (
    f"+ Context ({name})" for name in ("Back-Translation", "Paraphrasing", "Language Flow", "Language Flow+")
)
WORDS, FILTER = CONTROLS = ("random words", "filter alone")
RARE = 0.0005  # p of a paired test
LARGE = 1.0  # points: the meaning of "largely"
Z = 3.48  # of a two-sided p of 0.0005, by the normal approximation
QUESTIONS = 4874  # of the test half


def nine(row: str, column: str) -> Reference:
    """A cell of Table 9."""
    return TABLE, row, column


def ordered(numbers: Numbers, *pairs: tuple[str, str], margin: float = 0.0) -> Finding:
    """The first row of each pair above the second, by at least a margin, in both columns."""
    return join(
        below(numbers, nine(second, column), nine(first, column), -margin)
        for first, second in pairs
        for column in COLUMNS
    )


def most_that_differ(gain: float, questions: int = QUESTIONS, z: float = Z) -> float:
    """The largest share of questions that two models may answer differently, for a paired gain with this z.

    With exact matches x_i of 0 or 1 the differences d_i are -1, 0 or 1, so that their variance is s - gain^2 with the
    share s of those that are not 0, and z = gain sqrt(N) / sqrt(s - gain^2).

    >>> round(most_that_differ(0.0094), 3)
    0.036
    """
    return gain**2 * (questions / z**2 + 1)


def p_values(numbers: Numbers) -> Finding:
    """Language Flow's gains over the baseline with a one-sided p below `RARE`, over questions."""
    if not isinstance(numbers, Ours):
        return Finding(NOT_PRINTED, _possible())
    return join(_p_value(numbers, column) for column in COLUMNS)


def _p_value(numbers: Ours, column: str) -> Finding:
    (first, metric), (second, _) = (numbers.address(nine(row, column)) for row in (FLOW, BASELINE))
    gain, found = numbers.results.pair(first, second, metric), numbers.results.comparison(TABLE)
    if gain is None or found is None:
        return Finding(NOT_RUN, f"{first or FLOW} was not compared with {second or BASELINE}")
    share = found.differ.get((first, second), found.differ.get((second, first)))
    differ = "" if share is None else f"; they differ in EM on {100 * share:.1f} % of {found.sequences} questions"
    text = f"{column}: {gain.difference:+.2f}, p = {gain.p:.2g}{differ}"
    if gain.difference > 0 and 1 / (found.draws + 1) >= RARE:
        return Finding(UNDECIDED, f"{text}; {found.draws} draws tell no p below {RARE:g}", gain.p - RARE)
    return Finding(HOLDS if gain.p < RARE else FAILS, text, gain.p - RARE)


def claims_of_order(*rows: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Each of the first rows with each of the second."""
    above, under = rows
    return tuple((one, other) for one in above for other in under)


def _possible() -> str:
    share = 100 * most_that_differ(0.0094)
    return f"possible at +0.94 only if the two models differ in EM on at most {share:.1f} % of {QUESTIONS} questions"


CLAIMS = (
    Claim(
        "the flow improves answers", "5.3", "we achieve significant performance improvements over strong baselines",
        f"{FLOW} above {BASELINE} in EM and F1", lambda n: ordered(n, (FLOW, BASELINE)),
    ),
    Claim(
        "p below 0.0005", "5.3", "on both TVQA QA (p < 0.0001) and SQuAD QA (p < 0.0005) for both EM and F1",
        f"two one-sided p of a paired bootstrap over questions below {RARE:g}, SQuAD", p_values,
    ),
    Claim(
        "largely", "1", "Our language flow model largely improves QG, NMT, and data augmentation for QA tasks",
        f"{FLOW} above {BASELINE} by at least {LARGE:g} point in EM and F1",
        lambda n: ordered(n, (FLOW, BASELINE), margin=LARGE),
    ),
    Claim(
        "a decoder is even slightly better", "5.3", "we observe even slightly better results", f"{PLUS} above {FLOW} "
        "in EM and F1", lambda n: ordered(n, (PLUS, FLOW)),
    ),
    Claim(
        "both other methods perform worse", "5.3", "both methods perform worse than our Language Flow or Language "
        "Flow+ models", f"{BACK} and {PARAPHRASING} below {FLOW} and {PLUS} in EM and F1",
        lambda n: ordered(n, *claims_of_order((FLOW, PLUS), (BACK, PARAPHRASING))),
    ),
    Claim(
        "back-translation helps", "5.3", "not said; it is one of two other data augmentation techniques",
        f"{BACK} above {BASELINE} in EM and F1", lambda n: ordered(n, (BACK, BASELINE)),
    ),
    Claim(
        "the flow is what helps answers", "3.3", "either paraphrases or different expressions of the same subject "
        "without affecting the answerability", f"{FLOW} above the controls, {WORDS} and {FILTER}, in EM and F1",
        lambda n: ordered(n, *((FLOW, row) for row in CONTROLS)),
    ),
)  # fmt: skip
