"""The claims of Tang et al. 2021 as predicates, judged on their numbers and on ours; of densities first."""

from __future__ import annotations

from collections.abc import Iterable

from seqflows.noise import floor
from seqflows.report.judging import HOLDS, Finding, Numbers, Reference, below, close, join, name, ruled
from seqflows.report.papers.base import Claim
from seqflows.report.papers.tang2021 import contexts, questions, translation

TABLE4 = "tang2021-table4"
TVQA, SQUAD = SETS = ("TVQA Subtitle", "SQuAD Article")
NETWORKS = ("Att", "RNN")
MODELS = ("Bi-LSTM", *(f"{network}-{kind}" for kind in ("C", "S", "AR") for network in NETWORKS))
FAR = 2.0  # bits per dimension: the meaning of "largely"
SAME = 0.5  # and "about equal"


def four(row: str, column: str) -> Reference:
    """A cell of Table 4."""
    return TABLE4, row, column


def pairs(numbers: Numbers, lower: str, upper: str, margin: float = 0.0) -> Finding:
    """``lower`` below ``upper``, by more than a negative margin, for both networks and both corpora."""
    return join(
        below(numbers, four(f"{network}-{lower}", column), four(f"{network}-{upper}", column), margin)
        for network in NETWORKS
        for column in SETS
    )


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


CLAIMS = (
    Claim(
        "time far below channels", "5.1", "The flow model of time-dim coupling/permutation largely outperforms the "
        "flow model of channel-dim coupling/permutation", f"S below C by more than {FAR:g} bits per dimension, both "
        "networks, both corpora", lambda n: pairs(n, "S", "C", -FAR),
    ),
    Claim(
        "time below channels", "5.1", "the same, without the word largely", "S below C, both networks, both corpora",
        lambda n: pairs(n, "S", "C"),
    ),
    Claim(
        "time below the Bi-LSTM", "5.1", "the flow model of time-dim coupling/permutation generally outperforms the "
        "baseline LSTM model", "S below Bi-LSTM, both networks, both corpora",
        lambda n: join(
            below(n, four(f"{network}-S", column), four("Bi-LSTM", column)) for network in NETWORKS for column in SETS
        ),
    ),
    Claim(
        "better than an LSTM", "1", "two continuous language generative flow model variants that have better density "
        "estimation abilities than an LSTM baseline model", "S and AR below Bi-LSTM, both networks, both corpora",
        lambda n: join(
            below(n, four(f"{network}-{kind}", column), four("Bi-LSTM", column))
            for kind in ("S", "AR") for network in NETWORKS for column in SETS
        ),
    ),
    Claim(
        "the autoregressive model is about equal", "5.1", "it performs well and even sometimes slightly better than "
        "the non-autoregressive model", f"AR within {SAME:g} bits per dimension of S on SQuAD, and not above it by "
        "more on TVQA", lambda n: join([
            *(close(n, four(f"{k}-AR", SQUAD), four(f"{k}-S", SQUAD), SAME) for k in NETWORKS),
            *(below(n, four(f"{k}-AR", TVQA), four(f"{k}-S", TVQA), SAME) for k in NETWORKS),
        ]),
    ),
    Claim(
        "sometimes slightly better", "5.1", "even sometimes slightly better than the non-autoregressive model",
        "AR below S on TVQA, both networks",
        lambda n: join(below(n, four(f"{k}-AR", TVQA), four(f"{k}-S", TVQA)) for k in NETWORKS),
    ),
    Claim(
        "a density of the noisy data", "A.5", "Noise, u, is set as Gaussian sample with alpha = 1/2^m, where m = 6",
        "every cell at or above the floor that this noise and 2^6 levels set", above_floor,
    ),
    *questions.CLAIMS,
    *translation.CLAIMS,
    *contexts.CLAIMS,
)  # fmt: skip
