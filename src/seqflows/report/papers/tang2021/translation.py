"""The claims of Tang et al. 2021 about translation as predicates, judged on their numbers and on ours."""

from __future__ import annotations

from seqflows.report.judging import (
    NOT_PRINTED,
    NOT_RUN,
    Finding,
    Numbers,
    Ours,
    Reference,
    below,
    by_chance,
    join,
    over_seeds,
)  # fmt: skip
from seqflows.report.papers.base import Claim

TABLE, COLUMN = "tang2021-table7", "BLEU"
BASELINE, LANG_FLOW = "Transformer Baseline", "+ Lang-Flow"
WORDS, NO_Z = CONTROLS = ("words, not z", "no z")
CLEAR = 0.05  # p of a paired test
COST = 0.5  # points of BLEU: the meaning of "no BLEU"


def seven(row: str) -> Reference:
    """A cell of Table 7."""
    return TABLE, row, COLUMN


def p_value(numbers: Numbers) -> Finding:
    """Lang-Flow's gain over the baseline with a one-sided p below `CLEAR`, over sentences."""
    if not isinstance(numbers, Ours):
        return Finding(NOT_PRINTED, "+0.60 without a test or an error")
    first, second = (numbers.address(seven(row)) for row in (LANG_FLOW, BASELINE))
    gain = numbers.results.pair(first[0], second[0], first[1])
    if gain is None:
        return Finding(NOT_RUN, f"{first[0] or LANG_FLOW} was not compared with {second[0] or BASELINE}")
    single = over_seeds(numbers, (first[0], second[0]), first[1])
    text = f"{gain.difference:+.2f}, p = {gain.p:.2g}{single}"
    return by_chance(numbers, gain, CLEAR, text, (seven(LANG_FLOW), seven(BASELINE)))


CLAIMS = (
    Claim(
        "the flow improves translations", "5.2", "our proposed flow-aided MT model can improve the machine translation "
        "performance over the strong transformer baseline", f"{LANG_FLOW} above {BASELINE} in BLEU",
        lambda n: below(n, seven(BASELINE), seven(LANG_FLOW)),
    ),
    Claim(
        "beyond chance over sentences", "5.2", "the gain in BLEU, whose error is not said", "its one-sided p of a "
        f"paired bootstrap below {CLEAR:g}", p_value, check=True,
    ),
    Claim(
        "the density is what helps translations", "3.2", "it provides the exact density components of context "
        "information and we assume that it provides a better hidden representation of context", f"{LANG_FLOW} above "
        f"the controls that have its vectors or its network but not its density: {WORDS}; {NO_Z}",
        lambda n: join(below(n, seven(row), seven(LANG_FLOW)) for row in CONTROLS), check=True,
    ),
    Claim(
        "the network before the decoder costs no BLEU", "3.2", "h_att is essentially a MLP with sigmoid activation",
        f"{NO_Z}, the same network without a latent, at most {COST:g} below {BASELINE}; else a loss of {LANG_FLOW} is "
        "not all the flow's", lambda n: below(n, seven(BASELINE), seven(NO_Z), COST), check=True,
    ),
)  # fmt: skip
