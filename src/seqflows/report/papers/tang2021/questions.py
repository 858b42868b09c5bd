"""The claims of Tang et al. 2021 about question generation as predicates, judged on their numbers and on ours."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from seqflows.report import judging
from seqflows.report.comparisons import sign_test
from seqflows.report.judging import (
    FAILS,
    HOLDS,
    NOT_PRINTED,
    NOT_RUN,
    UNDECIDED,
    Finding,
    Numbers,
    Ours,
    below,
    by_chance,
    over_seeds,
)  # fmt: skip
from seqflows.report.papers.base import Claim

TABLES = {"TVQA": "tang2021-table5", "SQuAD": "tang2021-table6"}
COLUMNS = ("BLEU4", "Rouge-L", "Meteor")
FLOWSEQ, BASELINE, LANG_FLOW, LSTM_FLOW = "FlowSeq", "QG baseline", "+ Lang-Flow", "+ LSTM-Flow"
AUTOREGRESSIVE = (BASELINE, LANG_FLOW, LSTM_FLOW)
CONTROLS = ("words, not z", "lambda 0", "no z", "flow over channels", "z at its words")
WORDS, LAMBDA, NO_Z, CHANNELS, ALIGNED = CONTROLS
PEOPLE = {  # the rows of the printed counts: against the baseline, and against FlowSeq
    "TVQA": {"Baseline": "Human Eval 1", "FlowSeq": "Human Eval 2"},
    "SQuAD": {"Baseline": "Human Eval 3", "FlowSeq": "Human Eval 4"},
}
RARE, CLEAR = 0.001, 0.05  # p of the paper's sentence, and of the sign test
COST = 0.5  # points of a score: the meaning of "nothing"


def each(numbers: Numbers, judge: Callable[[str, str], Iterable[Finding]]) -> Finding:
    """Join what ``judge`` finds for each set and its table; nothing is concluded where ours is of other text."""

    def named(name: str) -> Iterator[Finding]:
        return (one._replace(text=f"{name}: {one.text}") for one in judge(name, TABLES[name]))

    return judging.each(numbers, {name: (table, BASELINE, COLUMNS[0]) for name, table in TABLES.items()}, named)


def ordered(numbers: Numbers, *pairs: tuple[str, str], margin: float = 0.0) -> Finding:
    """The first row of each pair above the second, by at least a margin, in all three scores, both sets."""

    def judge(_: str, table: str) -> Iterator[Finding]:
        for upper, lower in pairs:
            for column in COLUMNS:
                yield below(numbers, (table, lower, column), (table, upper, column), -margin)

    return each(numbers, judge)


def p_values(numbers: Numbers) -> Finding:
    """Lang-Flow's gains over the baseline, each with a one-sided p below `RARE`."""
    if not isinstance(numbers, Ours):
        return Finding(NOT_PRINTED, "one sentence for all of them, no p-value by cell")

    def judge(_: str, table: str) -> Iterator[Finding]:
        for column in COLUMNS:
            between = (table, LANG_FLOW, column), (table, BASELINE, column)
            first, second = map(numbers.address, between)
            gain = numbers.results.pair(first[0], second[0], first[1])
            if gain is None:
                yield Finding(NOT_RUN, f"{first[0] or LANG_FLOW} was not compared with {second[0] or BASELINE}")
            else:
                single = over_seeds(numbers, (first[0], second[0]), first[1])
                text = f"{column} {gain.difference:+.2f}, p = {gain.p:.2g}{single}"
                yield by_chance(numbers, gain, RARE, text, between)

    return each(numbers, judge)


def favoured(numbers: Numbers, other: str) -> Finding:
    """More pairs for Lang-Flow than for ``other``, by the sign test, in both sets."""

    def judge(name: str, table: str) -> Iterator[Finding]:
        row = PEOPLE[name][other]
        counts = [numbers.value((table, row, column)) for column in ("Lang-Flow", other)]
        if absent := [one for one in counts if isinstance(one, Finding)]:
            yield absent[0]
            return
        wins, losses = (round(one.value) for one in counts)
        p = sign_test(wins, losses)
        verdict = UNDECIDED if p >= CLEAR else HOLDS if wins > losses else FAILS
        yield Finding(verdict, f"{wins}:{losses}, p = {p:.2g}", p - CLEAR)

    return each(numbers, judge)


CLAIMS = (
    Claim(
        "the flow improves questions", "5.2", "the proposed flow-aided QG model significantly improves the QG "
        "performance", f"{LANG_FLOW} above {BASELINE} in all three scores, both sets",
        lambda n: ordered(n, (LANG_FLOW, BASELINE)),
    ),
    Claim(
        "questions gain with p below 0.001", "5.2",
        "The statistical significances for all metric improvements (BLEU4, Rouge-L, Meteor) "
        "are p < 0.001 for both TVQA QG and SQuAD QG", "six one-sided p of a paired bootstrap over questions below "
        f"{RARE:g}", p_values,
    ),
    Claim(
        "always above FlowSeq", "5.2", "our model also always outperforms FlowSeq", f"of the scores: {LANG_FLOW} above "
        f"{FLOWSEQ} in all three, both sets", lambda n: ordered(n, (LANG_FLOW, FLOWSEQ)),
    ),
    Claim(
        "a simple density helps less", "Tables 5 and 6", "simple density estimation model (3-layer LSTM) aided QG "
        "baseline model", f"{LANG_FLOW} above {LSTM_FLOW}, which is above {BASELINE}, in all three scores, both sets",
        lambda n: ordered(n, (LANG_FLOW, LSTM_FLOW), (LSTM_FLOW, BASELINE)),
    ),
    Claim(
        "since FlowSeq is non-autoregressive", "5.2", "We conjecture that it is because FlowSeq is non-autoregressive "
        "whereas our QG model is autoregressive", f"if so, {FLOWSEQ} is below every autoregressive row, both sets",
        lambda n: ordered(n, *((row, FLOWSEQ) for row in AUTOREGRESSIVE)), check=True,
    ),
    Claim(
        "people favour the flow", "5.2", "humans favor our model more than the baseline in both tasks", "more pairs "
        f"won than lost, p of the two-sided sign test below {CLEAR:g}, both sets", lambda n: favoured(n, "Baseline"),
    ),
    Claim(
        "people favour it over FlowSeq", "5.2", "Plus, our model also always outperforms FlowSeq", "more pairs won "
        f"than lost, p of the two-sided sign test below {CLEAR:g}, both sets", lambda n: favoured(n, "FlowSeq"),
    ),
    Claim(
        "the density is what helps", "3.2", "it provides the exact density components of context information and we "
        "assume that it provides a better hidden representation of context", f"{LANG_FLOW} above the controls that "
        f"have its vectors or its network but not its density: {WORDS}; {LAMBDA}; {NO_Z}; in all three scores, both "
        "sets", lambda n: ordered(n, *((LANG_FLOW, row) for row in (WORDS, LAMBDA, NO_Z))), check=True,
    ),
    Claim(
        "the network before the decoder costs nothing", "3.2", "h_att is essentially a MLP with sigmoid activation",
        f"{NO_Z}, the same network without a latent, at most {COST:g} below {BASELINE} in all three scores, both sets; "
        f"else a loss of {LANG_FLOW} is not all the flow's", lambda n: ordered(n, (NO_Z, BASELINE), margin=-COST),
        check=True,
    ),
    Claim(
        "a better density helps more", "3.2", "the flow model has the ability for exact density estimation",
        f"if so, {CHANNELS}, the better density of ours (Table 4), is above {LANG_FLOW} in all three scores, both sets",
        lambda n: ordered(n, (CHANNELS, LANG_FLOW)), check=True,
    ),
    Claim(
        "a latent helps its own words", "A.6", "We take the last latent space output of the flow model as the features "
        "used for the QG model decoder or attention map", "at the words that it is of, where a flow over time does not "
        f"leave it: {ALIGNED} above {LANG_FLOW} and {NO_Z} in all three scores, both sets",
        lambda n: ordered(n, (ALIGNED, LANG_FLOW), (ALIGNED, NO_Z)), check=True,
    ),
)  # fmt: skip
