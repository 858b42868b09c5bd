"""The claims about other contexts for answers: on the printed numbers, and on numbers of synthetic Tables 8 and 9."""

from __future__ import annotations

from types import SimpleNamespace
from typing import ClassVar, NamedTuple

import numpy as np
import pytest
from scipy.stats import norm

import report_world
from seqflows import files, paths
from seqflows.report.comparisons import Pair
from seqflows.report.inputs import Results
from seqflows.report.judging import (
    FAILS,
    HOLDS,
    NOT_PRINTED,
    NOT_RUN,
    STAND_IN,
    UNDECIDED,
    Finding,
    Ours,
    Printed,
    Value,
)
from seqflows.report.pages import contexts as shown
from seqflows.report.papers.base import papers
from seqflows.report.papers.tang2021 import claims, contexts


def judged(numbers):
    return {claim.name: claim.judge(numbers) for claim in contexts.CLAIMS}


def ordered(numbers):
    """The claims of rows above others."""
    others = {
        "TVQA answers gain with p below 0.0001",
        "SQuAD answers gain with p below 0.0005",
        "about 40 percent are kept",
        "questions can still be answered",
    }
    some = (claim for claim in contexts.CLAIMS if claim.name not in others)
    return {claim.name: claim.judge(numbers) for claim in some}


def test_the_claims_on_the_printed_numbers():
    """By accuracy, EM and F1: the flow +1.03, +0.94 and +0.46 over the baseline, the decoder +0.41, +0.21 and +0.22
    over it, back-translation +0.10, -0.32 and +0.03 over the baseline.
    """
    found = judged(Printed(papers()["tang2021"].tables))
    assert {name: finding.verdict for name, finding in found.items()} == {
        "the flow improves answers": HOLDS, "a large improvement of answers": FAILS,
        "a large improvement with a decoder": FAILS, "TVQA answers gain with p below 0.0001": NOT_PRINTED,
        "SQuAD answers gain with p below 0.0005": NOT_PRINTED,
        "a decoder is even slightly better": HOLDS,
        "both other methods perform worse": HOLDS, "back-translation helps": FAILS,
        "the flow is what helps answers": NOT_PRINTED, "about 40 percent are kept": NOT_PRINTED,
        "questions can still be answered": NOT_PRINTED,
    }  # fmt: skip
    assert (
        "11.7 % of 15253 questions (10.7 % if its p is of two sides), or 2.3 % of 3017 questions (2.1 % if its p is of "
        "two sides)" in found["TVQA answers gain with p below 0.0001"].text
    )
    large = found["a large improvement of answers"], found["a large improvement with a decoder"]
    assert [len([part for part in one.parts if part.verdict == FAILS]) for one in large] == [2, 1]
    assert "4.0 % of 4874" in found["SQuAD answers gain with p below 0.0005"].text


def test_a_large_gain_is_one_of_a_point_in_every_score():
    """Printed +0.94 EM, +0.60 BLEU and questions' +0.94 ROUGE-L are no whole point; +1.03 accuracy is one."""
    finding = claims.large_gains(Printed(papers()["tang2021"].tables))
    for text in ("EM: -0.940", "BLEU: -0.600", "Rouge-L: -0.940"):
        assert f"{text}, bound -1" in finding.text
    assert finding.verdict == FAILS and finding.short.endswith("; and 4 more; 5 hold")


class Compared(NamedTuple):
    """What claims ask of the records: a comparison of the flow with the baseline."""

    p: float
    draws: int = 10_000
    single: tuple = ()
    seeds_error: float | None = None
    earlier_run: str = ""
    gain: float = 0.9

    def pair(self, first, second, metric):
        assert (first, second) == ("flow", "base") and metric in ("em", "f1", "valid-accuracy")
        return Pair(self.gain, 0.2, self.seeds_error, self.p)

    def comparison(self, table):
        assert table in (contexts.SPANS, contexts.CHOICES)
        return SimpleNamespace(differ={("base", "flow"): 0.031}, draws=self.draws, sequences=4874, contexts=[])

    def summary(self, run, metric):
        return SimpleNamespace(seeds=(0,) if run in self.single else (0, 1, 2))

    def dataset(self, run):
        return run

    def stand_in(self, dataset):
        return False

    def earlier(self, run):
        return run == self.earlier_run


class Filtered(Compared):
    """The same, with the contexts of the flow that the judge's seeds kept."""

    kept: ClassVar = {contexts.SPANS: (0.4, 0.44), contexts.CHOICES: (0.35, 0.35)}
    fall = (0.004, 0.006)
    other = ()
    noise: ClassVar = {"variance": 0.5, "below_the_grid": False}

    def comparison(self, table):
        seeds = [
            {"seed": seed, "acceptance": kept, "original": 0.6, "unfiltered": 0.6 - fall}
            for seed, (kept, fall) in enumerate(zip(self.kept[table], self.fall, strict=True))
        ]
        return SimpleNamespace(
            contexts=[{"run": "base", "seeds": []}, {"run": "flow", "seeds": seeds, "noise": self.noise}]
        )

    def stand_in(self, dataset):
        return bool(self.other)


def numbers_of(compared):
    """Our numbers, with such records."""
    numbers = object.__new__(Ours)
    numbers.results = compared
    numbers.address = lambda reference: (
        "flow" if reference[1] == contexts.FLOW else {one: "base" for one in contexts.BASELINES.values()}[reference[1]],
        reference[2].lower(),
    )
    return numbers


def of(compared, stated=contexts.SQUAD):
    return contexts.p_values(numbers_of(compared), stated)


def test_the_share_that_is_kept_is_about_forty_percent_on_both_sets():
    found = contexts.acceptance(numbers_of(Filtered(0.1)))
    assert found.verdict == HOLDS and "SQuAD: kept 42.0 % ± 2.0" in found.text and "TVQA: kept 35.0 %" in found.text
    few, near = Filtered(0.1), Filtered(0.1)
    few.kept = Filtered.kept | {contexts.CHOICES: (0.2, 0.2)}
    near.kept = Filtered.kept | {contexts.SPANS: (0.45, 0.53)}
    assert contexts.acceptance(numbers_of(few)).verdict == FAILS
    assert contexts.acceptance(numbers_of(near)).verdict == UNDECIDED
    few.noise = {"variance": 0.002, "below_the_grid": True}
    finding = contexts.acceptance(numbers_of(few))
    assert finding.verdict == UNDECIDED and "noise of variance 0.002, below all that the paper tries" in finding.text


def test_a_fall_of_more_than_a_point_affects_the_answerability():
    found = contexts.answerability(numbers_of(Filtered(0.1)))
    assert found.verdict == HOLDS and "SQuAD: lower by 0.5 % ± 0.1" in found.text
    harmed = Filtered(0.1)
    harmed.fall = (0.02, 0.022)
    assert contexts.answerability(numbers_of(harmed)).verdict == FAILS


def test_nothing_is_concluded_from_other_text():
    """Neither from a p-value, nor from contexts or an order of rows."""
    other = Filtered(0.00001)
    other.other = True
    numbers = numbers_of(other)
    assert {claim.judge(numbers).verdict for claim in contexts.CLAIMS} == {STAND_IN}


def test_contexts_that_were_not_filtered_are_not_judged():
    compared = Compared(0.1)
    none = SimpleNamespace(contexts=[])
    results = SimpleNamespace(comparison=lambda table: none, dataset=compared.dataset, stand_in=compared.stand_in)
    assert contexts.acceptance(numbers_of(results)).verdict == NOT_RUN


def test_the_stated_p_is_judged_with_the_share_that_differs():
    held, failed, few = of(Compared(0.0001)), of(Compared(0.002, gain=0.2)), of(Compared(0.001, 999))
    assert (held.verdict, failed.verdict, few.verdict) == (HOLDS, FAILS, UNDECIDED)
    assert of(Compared(0.0001), contexts.TVQA).verdict == UNDECIDED  # no draw of 10,000 against: below 0.0003 at 95 %
    assert "p = 0.0001; they differ in EM on 3.1 % of 4874 questions" in held.text
    tvqa = of(Compared(0.00005, 40_000), contexts.TVQA), of(Compared(0.0004, gain=0.2), contexts.TVQA)
    assert [one.verdict for one in tvqa] == [HOLDS, FAILS] and "in accuracy on 3.1 % of" in tvqa[0].text
    few = of(Compared(0.002, gain=0.3))
    assert few.verdict == UNDECIDED and "it takes +0.66, within two errors of the gain" in few.text
    other = of(Compared(0.0001, earlier_run="base"))
    assert other.verdict == UNDECIDED and other.text.endswith("not comparable, base alone is of earlier settings")
    apart = of(Compared(0.0001, seeds_error=0.5))
    assert apart.verdict == UNDECIDED and "gain ± 0.50 over seeds" in apart.text
    assert of(Compared(0.0001, seeds_error=0.4)).verdict == HOLDS
    assert "(one seed)" in of(Compared(0.1, single=("base",))).text and "seed" not in failed.text
    missing = Compared(0.1)
    absent = SimpleNamespace(
        pair=lambda *rest: None,
        comparison=missing.comparison,
        dataset=missing.dataset,
        stand_in=missing.stand_in,
        earlier=missing.earlier,
    )
    assert of(absent).verdict == NOT_RUN


def row(reference):
    return contexts.BASELINE if reference[1] in contexts.BASELINES.values() else reference[1]


class Made:
    """Numbers of rows, with a standard error of each difference."""

    missing = "not run"

    def __init__(self, rows, error):
        self.rows, self.error = rows, error

    def value(self, reference):
        return Value(self.rows[row(reference)], self.error)

    def difference(self, first, second):
        if {row(first), row(second)} - self.rows.keys():
            return Finding("not run", "")
        return Value(self.rows[row(first)] - self.rows[row(second)], self.error)


ROWS = {
    contexts.BASELINE: 60.0, contexts.BACK: 60.5, contexts.PARAPHRASING: 61.0, contexts.FLOW: 62.0, contexts.PLUS: 63.0,
    contexts.WORDS: 60.2,
}  # fmt: skip


def test_every_claim_holds_where_each_row_is_above_the_one_before_and_none_where_all_are_turned_round():
    assert {finding.verdict for finding in ordered(Made(ROWS, 0.01)).values()} == {HOLDS}
    turned = {row: -value for row, value in ROWS.items()}
    assert {finding.verdict for finding in ordered(Made(turned, 0.01)).values()} == {FAILS}
    assert {finding.verdict for finding in ordered(Made(ROWS, 5.0)).values()} == {UNDECIDED}


def test_the_control_counts():
    assert ordered(Made(ROWS | {contexts.WORDS: 62.5}, 0.01))["the flow is what helps answers"].verdict == FAILS


def test_an_order_with_the_flow_is_held_back_where_its_noise_is_below_the_papers():
    """As its share kept is: so near texts measure our set-up. An order without the flow is judged."""
    numbers = numbers_of(Filtered(0.0001))
    numbers.difference = lambda first, second: Value(1.0, 0.1) if first[1] == contexts.FLOW else Value(-1.0, 0.1)
    pair = (contexts.FLOW, contexts.BASELINE)
    assert contexts.ordered(numbers, pair).verdict == HOLDS
    numbers.results.noise = {"variance": 0.002, "below_the_grid": True}
    found = contexts.ordered(numbers, pair)
    assert found.verdict == UNDECIDED and "noise of variance 0.002" in found.text
    assert contexts.ordered(numbers, (contexts.BACK, contexts.PARAPHRASING)).verdict == HOLDS


@pytest.mark.parametrize(
    ("stated", "count", "sides"),
    [(one, n, sides) for one in (contexts.SQUAD, contexts.TVQA) for n in one.questions for sides in (1, 2)],
)
def test_the_share_that_may_differ_is_that_of_the_paired_test(stated, count, sides):
    """By brute force: of so many pairs that share answered otherwise, with the printed gain, z is as stated."""
    gain = stated.gain / 100
    share = contexts.most_that_differ(gain, count, stated.z(sides))
    better, worse = round(count * (share + gain) / 2), round(count * (share - gain) / 2)
    differences = np.zeros(count)
    differences[:better], differences[better : better + worse] = 1, -1
    z = differences.mean() / (differences.std() / np.sqrt(count))
    assert z == pytest.approx(stated.z(sides), abs=0.05)
    assert sides * norm.sf(stated.z(sides)) == pytest.approx(stated.p)


def test_the_filter_alone_is_the_baseline_where_the_models_are_the_same(world):
    """By the checksums in the records; where they differ, what else does is told."""
    judge, alone, label = "ptb-lstm", "ptb-af_af", "filter alone"
    runs = {judge: "Baseline", alone: label}
    found = SimpleNamespace(contexts=[{"rewriting": "same", "generator": "same", "judge": judge}])

    def told():
        return shown._alone(Results(world, "laptop"), runs, found)

    assert told() == ""  # no row has it
    world.runs[alone]["augmented"] = "same"
    report_world.write_run("laptop", judge, (0, 1))
    assert told() == ""  # it was not trained
    report_world.write_run("laptop", alone, (1, 2))
    record = paths.seed("laptop", alone, 1) / "train.json"
    config = files.read_sealed(record)["config"]
    again = config | {"augmented": "same", "training": config["training"] | {"replace": 0.5}}
    report_world.rewrite(record, config=again)
    assert told().endswith(" leaves the baseline's training as it is, to the last bit.")
    listed = files.read_sealed(record)["files"]
    report_world.rewrite(record, files=listed | {paths.MODEL: "ab" * 32})
    assert "trained with something other that no record has: the two are not comparable" in told()
    report_world.rewrite(record, features_sha256="cd" * 32, device_name="another")
    assert told() == (
        " “filter alone”, without other texts, would be “Baseline” again, to the last bit, had it not been trained "
        "with other features and another processor: the two are not comparable."
    )
    report_world.retrained("laptop", alone, epochs=9)
    assert "other features and other settings and another processor" in told()
