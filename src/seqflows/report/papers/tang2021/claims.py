"""The claims of Tang et al. 2021 as predicates, judged on their numbers and on ours; of densities first."""

from __future__ import annotations

from collections.abc import Iterable

from seqflows.noise import floor
from seqflows.report.judging import (
    HOLDS,
    NOT_PRINTED,
    NOT_RUN,
    Finding,
    Numbers,
    Ours,
    Reference,
    below,
    each,
    either,
    join,
    name,
    ruled,
)  # fmt: skip
from seqflows.report.papers.base import Claim
from seqflows.report.papers.tang2021 import contexts, questions, translation

TABLE4 = "tang2021-table4"
TVQA, SQUAD = SETS = ("TVQA Subtitle", "SQuAD Article")
NETWORKS = ("Att", "RNN")
MODELS = ("Bi-LSTM", *(f"{network}-{kind}" for kind in ("C", "S", "AR") for network in NETWORKS))
FAR = 2.0  # bits per dimension: the meaning of "largely"
SAME = 0.5  # and "performs well"
LARGE = 1.0  # points of a score: the meaning of "largely" there


def four(row: str, column: str) -> Reference:
    """A cell of Table 4."""
    return TABLE4, row, column


def pairs(numbers: Numbers, lower: str, upper: str, margin: float = 0.0) -> Finding:
    """``lower`` below ``upper`` plus a margin, for both networks and both corpora; "*" stands for the network."""

    def judge(column: str) -> Iterable[Finding]:
        for network in NETWORKS:
            first, second = (four(row.replace("*", network), column) for row in (lower, upper))
            yield below(numbers, first, second, margin)

    return each(numbers, {column: four(MODELS[0], column) for column in SETS}, judge)


def sometimes(numbers: Numbers) -> Finding:
    """The autoregressive model below the non-autoregressive one, in any of the cells that say something."""

    def judge(column: str) -> Iterable[Finding]:
        rows = [(f"{network}-AR", f"{network}-S") for network in NETWORKS]
        yield either(below(numbers, four(first, column), four(second, column)) for first, second in rows)

    places = {column: four(MODELS[0], column) for column in SETS}
    return either(each(numbers, {column: place}, judge) for column, place in places.items())


def above_floor(numbers: Numbers, rows: Iterable[str] = MODELS) -> Finding:
    """Every number at or above the lower bound set by the noise."""
    found = []
    for row in rows:
        for column in SETS:
            value = numbers.value(four(row, column))
            if isinstance(value, Finding):
                found.append(value)
                continue
            excess = floor() - value.value
            text = f"{name(four(row, column))} {value.value:.2f}, floor {floor():.2f}"
            found.append(ruled(excess, value.error, text, equal=HOLDS))
    return join(found)


def large_gains(numbers: Numbers) -> Finding:
    """Each gain of the flow over the baseline, of questions, translations and answers, at least `LARGE`."""
    translated = (translation.seven(row) for row in (translation.BASELINE, translation.LANG_FLOW))
    return join((
        questions.ordered(numbers, (questions.LANG_FLOW, questions.BASELINE), margin=LARGE),
        below(numbers, *translated, -LARGE),
        contexts.ordered(numbers, (contexts.FLOW, contexts.BASELINE), margin=LARGE),
    ))  # fmt: skip


def knows_words(numbers: Numbers) -> Finding:
    """Every model of ours below one Gaussian for the vectors of all words of its data."""
    if not isinstance(numbers, Ours):
        return Finding(NOT_PRINTED, "no simple density of the same vectors is printed")

    def judge(column: str) -> Iterable[Finding]:
        run, _ = numbers.address(four(MODELS[0], column))
        if numbers.results.summary(run, "gaussian", optional=True) is None:
            yield Finding(NOT_RUN, f"{run or MODELS[0]} has no Gaussian of its words")
            return
        for row in MODELS:
            found = below(numbers, four(row, column), f"{run}.gaussian")
            yield found._replace(text=found.text.replace(f"{run}.gaussian", f"one Gaussian, {column}:"))

    return each(numbers, {column: four(MODELS[0], column) for column in SETS}, judge)


CLAIMS = (
    Claim(
        "time flows beat channel flows by far", "5.1",
        "The flow model of time-dim coupling/permutation largely outperforms the "
        "flow model of channel-dim coupling/permutation", f"S below C by more than {FAR:g} bits per dimension, both "
        "networks, both corpora", lambda n: pairs(n, "*-S", "*-C", -FAR),
    ),
    Claim(
        "time flows beat channel flows", "5.1",
        "The flow model of time-dim coupling/permutation […] outperforms the flow model "
        "of channel-dim coupling/permutation", "S below C, both networks, both corpora",
        lambda n: pairs(n, "*-S", "*-C"),
    ),
    Claim(
        "time flows beat the Bi-LSTM", "5.1",
        "the flow model of time-dim coupling/permutation generally outperforms the "
        "baseline LSTM model", "S below Bi-LSTM, both networks, both corpora", lambda n: pairs(n, "*-S", "Bi-LSTM"),
    ),
    Claim(
        "two variants beat an LSTM", "1",
        "two continuous language generative flow model variants that have better density "
        "estimation abilities than an LSTM baseline model", "S and AR below Bi-LSTM, both networks, both corpora",
        lambda n: join(pairs(n, f"*-{kind}", "Bi-LSTM") for kind in ("S", "AR")),
    ),
    Claim(
        "left to right performs well", "5.1", "it performs well", f"AR above S by at most {SAME:g} bits per "
        "dimension, both networks, both corpora", lambda n: pairs(n, "*-AR", "*-S", SAME),
    ),
    Claim(
        "left to right is sometimes better", "5.1", "even sometimes slightly better than the non-autoregressive model",
        "AR below S, of at least one network on one corpus; by how much, \"slightly\", is not judged", sometimes,
    ),
    Claim(
        "a density of the noisy data", "A.5", "the noise, a Gaussian of 1/2^m, m = 6, and the data in 2^6 levels",
        "every cell at or above the floor that these set", above_floor, check=True,
    ),
    Claim(
        "more than one Gaussian", "5.1", "bits per dimension, beside no simple density", "every model of ours below "
        "one Gaussian for the vectors of all words, which knows no order", knows_words, check=True,
    ),
    *questions.CLAIMS,
    *translation.CLAIMS,
    *contexts.CLAIMS,
    Claim(
        "largely", "1", "how large is “largely improves QG, NMT, and data augmentation for QA tasks”", "every score of "
        f"Tables 5 to 9 up by at least {LARGE:g} point, a bound of ours", large_gains, check=True,
    ),
)  # fmt: skip
