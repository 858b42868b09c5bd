"""The claims of Tang et al. 2021 about other contexts for answers, judged on theirs and ours: Tables 8 and 9."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import NormalDist
from typing import Any, NamedTuple

from seqflows.report.comparisons import spread
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
    by_chance,
    each,
    held_back,
    over_seeds,
)
from seqflows.report.papers.base import Claim

CHOICES, SPANS = "tang2021-table8", "tang2021-table9"
ACCURACY, EXACT, F1 = "Valid-Accuracy", "EM", "F1"
COLUMNS = ((CHOICES, ACCURACY), (SPANS, EXACT), (SPANS, F1))
BASELINE = "the baseline"  # under the name that each table has for it
BASELINES = {CHOICES: "Baseline TVQA+", SPANS: "Baseline BERT"}
BACK, PARAPHRASING, FLOW, PLUS = (
    f"+ Context ({name})" for name in ("Back-Translation", "Paraphrasing", "Language Flow", "Language Flow+")
)
WORDS = "random words"
SETS = {"TVQA": CHOICES, "SQuAD": SPANS}
LARGE = 1.0  # the meaning of "a large performance improvement": points of a score
NONE_SEEN = 3.0  # p is below this by the number of draws, at 95 %, where no draw is against a gain
KEPT = (0.3, 0.5)  # the meaning of "approximately 40%"
UNHARMED = 0.01  # the meaning of "without affecting": of the judge's score, 1 point
THREE = "in accuracy, EM and F1"


class Stated(NamedTuple):
    """A p of a paired test that the paper states of columns of a table, and where it is possible.

    ``gain`` is the printed one in the first of the columns, in points, whose answers are right or wrong by ``what``;
    ``questions`` are the sizes that the test set may have.
    """

    table: str
    columns: tuple[str, ...]
    p: float
    gain: float
    what: str
    questions: tuple[int, ...]

    def z(self, sides: int) -> float:
        """That of a p of a test with one side or two, by the normal approximation."""
        return -NormalDist().inv_cdf(self.p / sides)


TVQA = Stated(CHOICES, (ACCURACY,), 0.0001, 1.03, "accuracy", (15_253, 3017))  # of TVQA, and of TVQA+
SQUAD = Stated(SPANS, (EXACT, F1), 0.0005, 0.94, "EM", (4874,))  # the test half


def cell(table: str, row: str, column: str) -> Reference:
    """A cell of Table 8 or 9."""
    return table, BASELINES[table] if row == BASELINE else row, column


BOTH = {name: cell(table, BASELINE, dict(COLUMNS)[table]) for name, table in SETS.items()}  # a cell of each set


def ordered(numbers: Numbers, *pairs: tuple[str, str], margin: float = 0.0) -> Finding:
    """The first row of each pair above the second, by at least a margin, in all three columns."""

    def judge(name: str) -> Iterator[Finding]:
        for first, second in pairs:
            for table, column in COLUMNS:
                if table == SETS[name]:
                    found = below(numbers, cell(table, second, column), cell(table, first, column), -margin)
                    yield _noise(numbers, table, (first, second), found)

    return each(numbers, BOTH, judge)


def _noise(numbers: Numbers, table: str, rows: Sequence[str], finding: Finding) -> Finding:
    """A finding on rows, held back where Language Flow's noise had to be smaller than any that the paper tries."""
    if FLOW not in rows or not isinstance(numbers, Ours):
        return finding
    one = _contexts(numbers, table)
    return held_back(finding, _near(one)) if one and finding.verdict in (HOLDS, FAILS, UNDECIDED) else finding


def _contexts(numbers: Ours, table: str) -> Mapping[str, Any] | None:
    """What is told of the contexts of a table's Language Flow; None of none."""
    run, _ = numbers.address(cell(table, FLOW, dict(COLUMNS)[table]))
    made = numbers.results.comparison(table)
    return next((one for one in made.contexts if one["run"] == run), None) if made else None


def _near(one: Mapping[str, Any]) -> str:
    """Why contexts are too near to their originals to answer a claim; "" if they are not."""
    if not one["noise"].get("below_the_grid"):
        return ""
    return f"not comparable, noise of variance {one['noise']['variance']:g}, below all that the paper tries"


def most_that_differ(gain: float, questions: int, z: float) -> float:
    """The largest share of questions that two models may answer differently, for a paired gain with this z.

    With exact matches x_i of 0 or 1 the differences d_i are -1, 0 or 1, so that their variance is s - gain^2 with the
    share s of those that are not 0, and z = gain sqrt(N) / sqrt(s - gain^2).

    >>> round(most_that_differ(0.0094, 4874, 3.29), 3)
    0.04
    """
    return gain**2 * (questions / z**2 + 1)


def p_values(numbers: Numbers, stated: Stated) -> Finding:
    """Language Flow's gains over the baseline with a one-sided p below the stated one, over questions."""
    if not isinstance(numbers, Ours):
        return Finding(NOT_PRINTED, possible(stated))
    some = {name: reference for name, reference in BOTH.items() if SETS[name] == stated.table}
    return each(numbers, some, lambda name: [_p_value(numbers, stated, column) for column in stated.columns])


def _p_value(numbers: Ours, stated: Stated, column: str) -> Finding:
    between = cell(stated.table, FLOW, column), cell(stated.table, BASELINE, column)
    (first, metric), (second, _) = map(numbers.address, between)
    gain, found = numbers.results.pair(first, second, metric), numbers.results.comparison(stated.table)
    if gain is None or found is None:
        return Finding(NOT_RUN, f"{first or FLOW} was not compared with {second or BASELINES[stated.table]}")
    share = found.differ.get((first, second), found.differ.get((second, first)))
    some = "" if share is None else f"{100 * share:.1f} % of {found.sequences} questions"
    differ = some and f"; they differ in {stated.what} on {some}"
    text = f"{column}: {gain.difference:+.2f}, p = {gain.p:.2g}{differ}{over_seeds(numbers, (first, second), metric)}"
    if gain.difference > 0 and stated.p <= NONE_SEEN / found.draws > gain.p:
        return Finding(UNDECIDED, f"{text}; {found.draws} draws tell no p below {stated.p:g}", gain.p - stated.p)
    return _noise(numbers, stated.table, (FLOW, BASELINE), by_chance(numbers, gain, stated.p, text, between))


def acceptance(numbers: Numbers) -> Finding:
    """Whether the filter keeps between the bounds `KEPT` of Language Flow's contexts, on both sets."""
    return _filtered(numbers, lambda seed: seed["acceptance"], "kept", *KEPT)


def answerability(numbers: Numbers) -> Finding:
    """Whether the baseline's score falls by at most `UNHARMED` on Language Flow's contexts before any is dropped."""
    return _filtered(numbers, lambda seed: seed["original"] - seed["unfiltered"], "lower by", -1.0, UNHARMED)


def _filtered(
    numbers: Numbers, number: Callable[[Mapping[str, Any]], float], what: str, least: float, most: float
) -> Finding:
    """Whether a number of the filter, in shares, lies within bounds; undecided within two errors over seeds.

    Also where the flow's noise had to be smaller than any that the paper tries: so near texts measure our set-up.
    """
    if not isinstance(numbers, Ours):
        return Finding(NOT_PRINTED, "no number printed of the filter")

    def judge(name: str) -> Iterator[Finding]:
        one = _contexts(numbers, SETS[name])
        if one is None:
            yield Finding(NOT_RUN, f"{FLOW}: no contexts were filtered")
            return
        mean, std = spread([number(seed) for seed in one["seeds"]])
        error = None if std is None else std / math.sqrt(len(one["seeds"]))
        beyond = max(least - mean, mean - most)
        text = f"{name}: {what} {100 * mean:.1f} %"
        if error is not None:
            text += f" ± {100 * error:.1f}" if error >= 0.0005 else f" ± {100 * error:.1g}"
        unclear = error is not None and abs(beyond) < 2 * error
        found = Finding(UNDECIDED if unclear else FAILS if beyond > 0 else HOLDS, text, beyond, error)
        yield held_back(found, _near(one))

    return each(numbers, BOTH, judge)


def claims_of_order(*rows: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Each of the first rows with each of the second."""
    above, under = rows
    return tuple((one, other) for one in above for other in under)


def possible(stated: Stated) -> str:
    """Where the stated p is possible at the printed gain."""
    some = []
    for questions in stated.questions:
        one, two = (100 * most_that_differ(stated.gain / 100, questions, stated.z(sides)) for sides in (1, 2))
        some.append(f"{one:.1f} % of {questions} questions ({two:.1f} % if its p is of two sides)")
    where = f"the two models differ in {stated.what} on at most {', or '.join(some)}"
    return f"possible at +{stated.gain:.2f} only if {where}"


CLAIMS = (
    Claim(
        "the flow improves answers", "5.3", "we achieve significant performance improvements over strong baselines",
        f"{FLOW} above {BASELINE} {THREE}", lambda n: ordered(n, (FLOW, BASELINE)),
    ),
    Claim(
        "a large improvement of answers", "abstract", "this augmentation leads to a large performance improvement from "
        "strong baselines on SQuAD and TVQA", f"{FLOW} above {BASELINE} by at least {LARGE:g} point {THREE}",
        lambda n: ordered(n, (FLOW, BASELINE), margin=LARGE), check=True,
    ),
    Claim(
        "a large improvement with a decoder", "abstract", "this augmentation leads to a large performance improvement "
        "from strong baselines on SQuAD and TVQA", f"{PLUS} above {BASELINE} by at least {LARGE:g} point {THREE}",
        lambda n: ordered(n, (PLUS, BASELINE), margin=LARGE), check=True,
    ),
    Claim(
        "TVQA answers gain with p below 0.0001", "5.3",
        "on both TVQA QA […] (p < 0.0001) and SQuAD QA […] (p < 0.0005) for both EM and F1",
        f"one-sided p of a paired bootstrap over questions below {TVQA.p:g} in accuracy, TVQA",
        lambda n: p_values(n, TVQA),
    ),
    Claim(
        "SQuAD answers gain with p below 0.0005", "5.3",
        "on both TVQA QA […] (p < 0.0001) and SQuAD QA […] (p < 0.0005) for both EM and F1",
        f"two one-sided p of a paired bootstrap over questions below {SQUAD.p:g}, SQuAD",
        lambda n: p_values(n, SQUAD),
    ),
    Claim(
        "a decoder is even slightly better", "5.3", "we observe even slightly better results", f"{PLUS} above {FLOW} "
        f"{THREE}", lambda n: ordered(n, (PLUS, FLOW)),
    ),
    Claim(
        "both other methods perform worse", "5.3", "both methods perform worse than our Language Flow or Language "
        "Flow+ models", f"{BACK} and {PARAPHRASING} below {FLOW} and {PLUS} {THREE}",
        lambda n: ordered(n, *claims_of_order((FLOW, PLUS), (BACK, PARAPHRASING))),
    ),
    Claim(
        "back-translation helps", "5.3", "one of two other data augmentation techniques; whether it helps is not said",
        f"{BACK} above {BASELINE} {THREE}", lambda n: ordered(n, (BACK, BASELINE)), check=True,
    ),
    Claim(
        "the flow is what helps answers", "3.3", "either paraphrases or different expressions of the same subject "
        "without affecting the answerability", f"{FLOW} above as many {WORDS} {THREE}",
        lambda n: ordered(n, (FLOW, WORDS)), check=True,
    ),
    Claim(
        "about 40 percent are kept", "A.8", "filter them to obtain approximately 40% of augmented data",
        f"{100 * KEPT[0]:g} to {100 * KEPT[1]:g} % of the contexts of {FLOW} are kept, both sets", acceptance,
    ),
    Claim(
        "questions can still be answered", "3.3", "either paraphrases or different expressions of the same subject "
        "without affecting the answerability", f"the baseline's score on contexts of {FLOW} before the filter at most "
        f"{100 * UNHARMED:g} point below that on the originals, both sets", answerability,
    ),
)  # fmt: skip
