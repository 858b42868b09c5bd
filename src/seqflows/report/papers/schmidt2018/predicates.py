"""The predicates of Schmidt & Hofmann 2018 beyond comparisons of two cells."""

from __future__ import annotations

import math
from collections.abc import Iterable

from seqflows.report.judging import (
    ERRORS,
    FAILS,
    HOLDS,
    NOT_PRINTED,
    NOT_RUN,
    OTHER_CORPUS,
    Finding,
    Numbers,
    Ours,
    Printed,
    Reference,
    Value,
    join,
    noted,
    ruled,
    signed,
    unnoted,
)  # fmt: skip
from seqflows.report.papers.schmidt2018.alike import below, held_back, unlike, weighted

TABLE1, TABLE2 = "schmidt2018-table1", "schmidt2018-table2"
TRAIN, TEST = "H[P_train, P^]", "H[P_test, P^]"
UNIQUE, KNOWN, GAP = "w unique", "w in V", "H_gap"
THREE, FIVE = "P_3-gram(w)", "P_5-gram(w)"
STATE_SPACE = (
    "TRIL", "TRIL, K=2", "TRIL, K=5", "TRIL, K=10", "2×TRIL", "2×TRIL, K=5", "2×TRIL, K=10", "2×TRIL, K=10, BIDI",
    "REAL-NVP-[2,3,4,5,6,7]",
)  # fmt: skip
BASELINES = ("BASELINE-8D", "BASELINE-16D")


def one(row: str, column: str = TEST) -> Reference:
    """A cell of Table 1."""
    return TABLE1, row, column


def two(row: str, column: str = TEST) -> Reference:
    """A cell of Table 2."""
    return TABLE2, row, column


def improves(numbers: Numbers, pairs: Iterable[tuple[str, str]]) -> Finding:
    """Each second row of Table 1 better than the first in all five columns."""
    found = []
    for plain, better in pairs:
        found += [below(numbers, one(better, column), one(plain, column)) for column in (TRAIN, TEST)]
        found += [below(numbers, one(plain, column), one(better, column)) for column in (UNIQUE, KNOWN, GAP)]
    return join(found)


def diminishing(numbers: Numbers) -> Finding:
    """The test cross entropy falls less from K = 5 to 10 than from 1 to 5."""
    found = []
    for row in ("TRIL", "2×TRIL"):
        one_, five, ten = one(row), one(f"{row}, K=5"), one(f"{row}, K=10")
        later = weighted(numbers, [(1, five), (-1, ten)])
        excess = weighted(numbers, [(2, five), (-1, ten), (-1, one_)])
        if isinstance(later, Finding) or isinstance(excess, Finding):
            found.append(later if isinstance(later, Finding) else excess)
            continue
        text = f"“{row}”: {later.value:.3f} from 5 to 10, {later.value - excess.value:.3f} from 1 to 5, "
        text += f"difference {signed(excess)}"
        found.append(ruled(excess.value, excess.error, text))
    return join(found)


def gap_above(numbers: Numbers, least: float) -> Finding:
    """H_gap above ``least`` nats in every row of Table 1."""
    return join(_above(numbers, one(row, GAP), least, row) for row in STATE_SPACE)


def _above(numbers: Numbers, reference: Reference, least: float, row: str) -> Finding:
    found = numbers.value(reference)
    if isinstance(found, Finding):
        return found
    judged = ruled(least - found.value, found.error, f"“{row}” {signed(found)}")
    return judged.comparing((reference,), f"“{row}” {unnoted(found)}")


def variation(numbers: Numbers) -> Finding:
    """Standard deviation over seeds relative to the mean: of the set-based measures above that of the cross entropy."""
    if not isinstance(numbers, Ours):
        return Finding(NOT_PRINTED, "one number a cell")
    squares: dict[str, list[float]] = {TEST: [], UNIQUE: [], KNOWN: []}
    freedom = 0
    for row in (*STATE_SPACE, *BASELINES):
        run, metric = numbers.runs.get(one(row), ("", ""))  # of which nothing is asked yet
        first = numbers.results.summary(run, metric, optional=True) if run else None
        if first is None or first.std is None:
            continue
        values = {column: numbers.value(one(row, column)) for column in squares}
        summaries = {column: found.summary for column, found in values.items() if isinstance(found, Value)}
        if len(summaries) < len(squares) or any(not s or s.std is None for s in summaries.values()):
            continue
        weight = len(summaries[TEST].seeds) - 1
        freedom += weight
        for column, summary in summaries.items():
            squares[column].append(weight * (summary.std / summary.value) ** 2)
    if not freedom:
        return Finding(NOT_RUN, "no run of Table 1 has two seeds")
    spread = {column: math.sqrt(math.fsum(found) / freedom) for column, found in squares.items()}
    return join(_wider(spread, column, freedom) for column in (UNIQUE, KNOWN))


def _wider(spread: dict[str, float], column: str, freedom: int) -> Finding:
    text = f"relative standard deviation of {column} {spread[column]:.2%}, of {TEST} {spread[TEST]:.2%} "
    error = math.sqrt(1 / freedom)
    text += f"({freedom} degrees of freedom: a factor of {math.exp(ERRORS * error):.1f} would decide)"
    if not spread[column] or not spread[TEST]:
        return Finding(HOLDS if spread[column] > spread[TEST] else FAILS, text)
    # The logarithm of an estimated standard deviation has a standard error of 1 / sqrt(2 freedom).
    excess = math.log(spread[TEST] / spread[column])
    return ruled(excess, error, text)._replace(error=None)  # of a factor, no difference that would have been seen


def harder(numbers: Numbers) -> Finding:
    """H[P_test, P^] - H[P_train, P^] larger in Table 2 than in Table 1."""
    found = []
    for row in ("2×TRIL, K=5", "BASELINE-8D"):
        terms = differences(numbers, row)
        excess, gap = weighted(numbers, terms), weighted(numbers, terms[: len(terms) // 2])
        if isinstance(excess, Finding) or isinstance(gap, Finding):
            found.append(excess if isinstance(excess, Finding) else gap)
            continue
        text = f"“{row}”: test - train {-gap.value:.3f}, in Table 1 {excess.value - gap.value:.3f}, "
        text += f"difference {signed(excess._replace(value=-excess.value))}"
        found.append(ruled(excess.value, excess.error, text))
    return join(found)


def differences(numbers: Numbers, row: str) -> list[tuple[float, Reference]]:
    """The terms of (test - train in Table 1) - (test - train in Table 2).

    Each of our differences is a separate metric, since both halves are scored under the same trajectories.
    """
    if not isinstance(numbers, Ours):
        return [(-1, two(row)), (1, two(row, TRAIN)), (1, one(row)), (-1, one(row, TRAIN))]
    runs = [numbers.address(cell(row))[0] or cell(row)[0] for cell in (two, one)]
    return [(sign, f"{run}.cross_entropy_difference") for sign, run in zip((-1, 1), runs, strict=True)]


def harder_net(numbers: Numbers) -> Finding:
    """The same for the divergences: each cross entropy less the entropy of its half."""
    if not isinstance(numbers, Ours):
        return Finding(NOT_PRINTED, "the entropies of Table 2's halves are not printed")
    found = []
    for row in ("2×TRIL, K=5", "BASELINE-8D"):
        terms = differences(numbers, row)
        for sign, cell in ((-1, two), (1, one)):
            run = numbers.address(cell(row))[0] or cell(row)[0]
            terms += [(-sign, f"{run}.test_entropy"), (sign, f"{run}.train_entropy")]
        excess = weighted(numbers, terms)
        if isinstance(excess, Value):
            text = f"“{row}”: divergence, test - train, against Table 1 {signed(excess._replace(value=-excess.value))}"
            excess = ruled(excess.value, excess.error, text)
        found.append(excess)
    return join(found)


def within_share(numbers: Numbers, first: Reference, second: Reference, share: float) -> Finding:
    """|first / second - 1| <= share."""
    pair = [numbers.value(first), numbers.value(second)]
    if absent := [found for found in pair if isinstance(found, Finding)]:
        return absent[0]
    (a, error_a, *_), (b, error_b, *_) = pair
    ratio = Value(a / b - 1, a / b * math.hypot(error_a / a, error_b / b), note=noted(pair))
    excess = abs(ratio.value) - share
    text = f"“{first[1]}” / “{second[1]}” - 1, {first[2]}: {signed(ratio)}, bound ±{share:g}"
    return held_back(ruled(excess, ratio.error, text, equal=HOLDS), unlike(numbers, (first, second)))


def oracle_unit(numbers: Numbers) -> Finding:
    """The printed oracle nearer to the entropy of our training half in nats than in bits."""
    if not isinstance(numbers, Ours):
        return Finding(NOT_PRINTED, "no unit printed")
    found, printed = numbers.value(one("ORACLE", TRAIN)), Printed([TABLE1]).value(one("ORACLE", TRAIN)).value
    if isinstance(found, Finding):
        return found
    if numbers.results.embedded(numbers.results.dataset(found.summary.run)):
        return Finding(OTHER_CORPUS, "printed for the real corpus")
    nats, bits = found.value, found.value / math.log(2)
    excess = abs(nats - printed) - abs(bits - printed)
    return ruled(excess, 0.0, f"printed {printed:.2f}; ours {nats:.2f} nats, {bits:.2f} bits")


def unseen(numbers: Numbers, most: float) -> Finding:
    """The share of test tokens whose word no training token has."""
    if not isinstance(numbers, Ours):
        return Finding(NOT_PRINTED, "no number printed")
    found = numbers.value(f"{numbers.address(one('BASELINE-8D'))[0]}.oracle_unseen")
    if isinstance(found, Finding):
        return found
    return ruled(found.value - most, 0.0, f"{found.value:.4%} of the test tokens")
