"""The audit: verdicts of cells, claims judged twice, deviations."""

from __future__ import annotations

import csv
import math

import numpy as np
import pytest
from scipy.stats import norm

import report_world
from conftest import ROOT
from seqflows import files, params, paths
from seqflows.config import registry
from seqflows.report import audit, cells, inputs, intervals, judging, markdown, tables
from seqflows.report.inputs import Results
from seqflows.report.judging import (
    Finding,
    Ours,
    Printed,
    Value,
    below,
    beyond,
    close,
    either,
    join,
    needed,
    noted,
    ruled,
)  # fmt: skip
from seqflows.report.pages import corpora
from seqflows.report.papers import base
from seqflows.report.papers.tang2021.claims import TABLE4
from seqflows.report.papers.ziegler2019 import claims
from seqflows.report.papers.ziegler2019.claims import TABLE1

PAPERS = base.papers()
TEXTS = tuple(f"tang2021-table{number}" for number in (5, 6, 7, 8, 9))  # of which the synthetic world has no runs


def audited(scale):
    audit.run(paths.Key(scale, "all"))
    csv_path, md_path, *_ = paths.audit(scale)
    with open(csv_path, newline="") as file:
        return list(csv.DictReader(file)), md_path.read_text()


def judged(side):
    return {claim.name: claim.judge(side).verdict for claim in claims.CLAIMS}


PRINTED = {
    "AF / AF matches the LSTM": "holds",
    "AF / SCF within 0.05": "holds",
    "IAF / SCF is worse than AF": "holds",
    "dependencies in time": "holds",
    "KL is over 90 % of the bound": "fails",
    "ablations degrade": "holds",
    "NLSq without AF-in-hidden": "holds",
    "an affine flow cannot model the toy": "not printed",
    "AF / AF is best on Nottingham": "holds",
    "AF / AF beats SRNN on Piano": "holds",
    "AF / AF is poorest on Piano": "holds",
    "AF / AF beats TSBN and STORN on JSB": "holds",
    "AF / SCF worse than AF / AF": "holds",
    "IAF / SCF worse than AF / AF": "holds",
    "IAF / SCF beats AF / SCF": "holds",
    "LSTM is weakest": "fails",
    "RNN-NADE is strongest": "fails",
    "annealing is essential": "not printed",
    "latent size": "not printed",
    "generation speed": "not printed",
    "99.3 % of the sentences under 288": "not printed",
}


def test_claims_on_the_printed_numbers():
    assert judged(Printed(claims.TABLES)) == PRINTED


def test_the_failing_shares_are_named():
    finding = claims.kl_share(Printed(claims.TABLES))
    assert "“IAF / SCF” 88.1%" in finding.text and "“- AF hidden and NLSq” 84.3%" in finding.text


def test_claims_on_nothing(world):
    verdicts = judged(Ours(Results(world, "demo"), claims.TABLES))
    # What is quoted can be compared on the real corpus alone, made or not.
    elsewhere = {
        "AF / AF beats SRNN on Piano",
        "AF / AF beats TSBN and STORN on JSB",
        "99.3 % of the sentences under 288",
    }
    assert {name for name, verdict in verdicts.items() if verdict == "other corpus"} == elsewhere
    assert {verdict for name, verdict in verdicts.items() if name not in elsewhere} == {"not run"}


def test_claims_on_numbers_like_the_papers(world):
    report_world.write_all("laptop", world)
    side = Ours(Results(world, "laptop"), claims.TABLES)
    verdicts = judged(side)
    for name in ("ablations degrade", "AF / SCF worse than AF / AF", "latent size", "annealing is essential"):
        assert verdicts[name] == "holds"
    assert verdicts["AF / AF is best on Nottingham"] == "holds"  # the quoted RNN-NADE, better than 2.38, is set apart
    assert verdicts["AF / AF beats TSBN and STORN on JSB"] == "holds"
    assert verdicts["AF / AF beats SRNN on Piano"] == "holds"  # 8.18 against 8.2, on the same pieces
    assert verdicts["an affine flow cannot model the toy"] == "holds"
    assert verdicts["generation speed"] == "holds"


def test_a_run_of_earlier_settings_is_compared_with_none_of_the_present_ones(world):
    """With another earlier one it is; a quoted number has no settings."""
    report_world.write_all("laptop", world)

    def verdicts():
        return judged(Ours(Results(world, "laptop"), claims.TABLES))

    def change(*runs):
        for run in runs:
            world.runs[run]["laptop"]["training"] = {"epochs": 9}

    before = verdicts()
    change("ptb-af_af", "jsb-af_af")
    one = verdicts()
    assert before["ablations degrade"] == "holds" and one["ablations degrade"] == "undecided"
    assert one["AF / AF beats TSBN and STORN on JSB"] == before["AF / AF beats TSBN and STORN on JSB"] == "holds"
    finding = below(Ours(Results(world, "laptop"), claims.TABLES), claims.two("AF / AF"), claims.two("- NLSq"))
    assert "; not comparable, ptb-af_af alone is of earlier settings" in finding.text and finding.settled == ""
    change(*(run for run in world.runs if run.startswith("ptb-")))
    assert verdicts()["ablations degrade"] == "holds"


def test_on_an_embedded_corpus_only_our_own_models_are_ordered(world):
    report_world.write_all("demo", world)
    side = Ours(Results(world, "demo"), claims.TABLES)
    finding = claims.nottingham(side)
    assert finding.verdict == "other corpus" and "3 × holds" in finding.text


def test_pairing_over_sequences_is_sharper_than_independence(world):
    for name in ("ptb-af_af", "ptb-lstm"):
        report_world.write_run("demo", name)
    side = Ours(Results(world, "demo"), claims.TABLES)
    paired = side.difference("ptb-af_af.nll", "ptb-lstm.nll")
    assert paired.value == pytest.approx(0.01)
    assert 0 < paired.error < 0.002
    # Without scores, or with scores that are not of this number: in quadrature.
    path = paths.evaluation("demo", "ptb-lstm") / "seed-0" / "scores.csv"
    rows = [line.split(",") for line in path.read_text().splitlines()[1:]]
    names = ("index", "length", "nll", "length_nats")
    halved = [dict(zip(names, (i, n, float(nll) / 2, 0), strict=True)) for i, n, nll, _ in rows]
    files.write_csv(path, halved, names)
    side = Ours(Results(world, "demo"), claims.TABLES)
    assert side.difference("ptb-af_af.nll", "ptb-lstm.nll").error == pytest.approx(math.hypot(0.01, 0.01))


class Fixed:
    """Numbers that differ by a given value with a given error."""

    missing = "not run"

    def __init__(self, value, error):
        self.gap = Value(value, error)

    def value(self, reference):
        return self.gap

    def difference(self, first, second):
        return self.gap


@pytest.mark.parametrize(
    ("gap", "error", "margin", "verdict"),
    [
        (-0.1, 0.01, 0, "holds"), (0.1, 0.01, 0, "fails"), (-0.1, 0.06, 0, "undecided"), (0.0, 0.0, 0, "undecided"),
        (0.01, 0.0, 0.01, "holds"), (0.011, 0.0, 0.01, "fails"), (0.011, 0.001, 0.01, "undecided"),
    ],
)  # fmt: skip
def test_orderings_need_two_standard_errors(gap, error, margin, verdict):
    assert below(Fixed(gap, error), "a", "b", margin).verdict == verdict


@pytest.mark.parametrize(
    ("gap", "error", "verdict"),
    [(-0.02, 0.0, "holds"), (0.03, 0.0, "fails"), (-0.03, 0.001, "fails"), (0.015, 0.01, "undecided")],
)
def test_closeness(gap, error, verdict):
    assert close(Fixed(gap, error), "a", "b", 0.02).verdict == verdict


def test_join_orders_verdicts():
    holds, fails, missing = Finding("holds", "h"), Finding("fails", "f"), Finding("not run", "n")
    elsewhere = Finding("other corpus", "o")
    assert join([holds, fails, missing]).verdict == "fails"
    assert join([holds, missing]).verdict == "not run"
    assert join([holds, elsewhere]).verdict == "other corpus"
    assert join([elsewhere]).verdict == "other corpus"
    assert join([holds] * 3 + [fails]).text == "f (others: 3 × holds)"
    assert join([holds] * 3 + [fails]).short == "f; 3 hold" and join([holds, fails]).short == "f; 1 holds"


def test_a_joined_finding_counts_the_parts_of_joined_ones():
    holds, fails, missing = Finding("holds", "h"), Finding("fails", "f"), Finding("stand-in", "s")
    nested = join([join([fails, missing]), join([holds, missing, join([fails._replace(text="g"), holds])])])
    assert nested.verdict == "fails" and nested.text == "f; g (others: 2 × stand-in, 2 × holds)"


def test_one_of_many_fails_only_beyond_chance_among_them():
    """At 2.1 standard errors one comparison fails alone, and is undecided among 32; what has no error is exact."""
    fails, holds = ruled(0.21, 0.1, "f"), ruled(-1.0, 0.1, "h")
    assert join([fails]).verdict == "fails"
    assert join([fails, *[holds] * 31]).verdict == join([join([fails]), join([holds] * 31)]).verdict == "undecided"
    assert join([ruled(0.33, 0.1, "f"), *[holds] * 31]).verdict == "fails"
    assert join([ruled(0.21, 0.0, "f"), *[holds] * 31]).verdict == "fails"
    # among n true comparisons each at the line, one fails about as often as a single one would
    draws = np.random.default_rng(0).standard_normal((20_000, 32))
    assert np.mean((draws > beyond(32)).any(1)) == pytest.approx(norm.sf(2), abs=0.004)


def test_what_would_settle_an_undecided_order(world):
    """n seeds with (excess / 2.84)^2 = fixed^2 + spread^2 / n, four times in five beyond two errors.

    None where the sequences alone leave it open, or where the excess is within its own error.
    """
    report_world.write_all("laptop", world)
    report_world.write_run("laptop", "ptb-af_af", (0, 1, 2), spread=0.05)
    report_world.write_run("laptop", "ptb-lstm", (0, 1, 2), spread=0.05)
    side = Ours(Results(world, "laptop"), [TABLE1])
    found = side.difference("ptb-af_af.nll", "ptb-lstm.nll")
    assert found.spread == pytest.approx(math.hypot(0.05, 0.05)) and found.seeds == pytest.approx(found.spread / 3**0.5)
    fixed = found.error**2 - found.seeds**2
    open_ = below(side, "ptb-af_af.nll", "ptb-lstm.nll")
    assert open_.verdict == "undecided" and open_.needed == needed(open_.excess, found)
    count = needed(0.05, found)
    assert (
        2.84 * math.sqrt(fixed + found.spread**2 / count) <= 0.05
        and 2.84 * math.sqrt(fixed + found.spread**2 / (count - 1)) > 0.05
    )
    least = found._replace(error=2 * math.sqrt(fixed), seeds=math.sqrt(3 * fixed))
    assert needed(2.84 * math.sqrt(fixed) * 0.99, least) == math.inf
    assert needed(0.05, found._replace(spread=None)) is None
    assert needed(0.99 * found.error, found) is None
    counted = open_._replace(needed=12.0)
    assert join([counted, open_._replace(needed=1250.0)]).settled == "1,250 seeds of each run"
    assert join([counted, open_._replace(needed=math.inf)]).settled.startswith("more test sequences")
    assert join([counted, open_._replace(needed=None)]).settled == ""  # of one of the two nobody knows


def test_speed_claim(world):
    results = Results(world, "demo")
    report_world.write_speed("demo", "ptb", flow=0.4)
    assert claims.speed_block(results, "ptb").verdict == "holds"
    report_world.write_speed("demo", "ptb", flow=1.5)
    assert claims.speed_block(results, "ptb").verdict == "fails"
    assert claims.speed_block(results, "nottingham").verdict == "not run"


def test_a_quoted_number_may_be_of_either_convention(world, monkeypatch):
    """Per step of all pieces or the mean over pieces: what the other would turn is undecided, with its difference."""
    report_world.write_all("laptop", world)
    side = Ours(Results(world, "laptop"), claims.TABLES)
    pair = claims.three("AF / AF", "JSB"), claims.three("STORN", "JSB")
    found = below(side, *pair)
    assert found.verdict == "holds" and "mean over pieces" not in found.text
    scores = side.results.scores("jsb-af_af")
    own = sum(one.nll / one.steps for one in scores) / len(scores)
    shift = own - sum(one.nll for one in scores) / sum(one.steps for one in scores)
    assert judging.by_piece(scores) == pytest.approx(shift) and shift
    value = side.difference(*pair).value
    monkeypatch.setattr(judging, "by_piece", lambda scores: 1.0)
    found = below(side, *pair)
    assert found.verdict == "undecided"
    assert f"; {value + 1:+.3f} by the mean over pieces, and which is quoted is not known" in found.text
    assert f"; {-value - 1:+.3f} by the mean over pieces" in below(side, *reversed(pair)).text
    monkeypatch.setattr(judging, "by_piece", lambda scores: -1.0)
    assert below(side, *pair).verdict == "holds"


def test_the_set_on_which_af_af_is_poorest_is_judged_beside_the_lstm(world):
    """As printed it lies above the LSTM on Piano alone; ours with another set as poor decides nothing, or fails."""
    report_world.write_all("laptop", world)
    finding = claims.poorest(Printed(claims.TABLES), "Piano")
    assert finding.verdict == "holds" and "AF / AF less LSTM, Musedata less Piano: -0.730" in finding.text
    assert claims.poorest(Printed(claims.TABLES), "JSB").verdict == "fails"
    side = Ours(Results(world, "laptop"), claims.TABLES)
    assert claims.poorest(side, "Piano").verdict == "holds" and "± " in claims.poorest(side, "Piano").text
    world.runs["piano-af_af"]["laptop"]["training"] = {"epochs": 9}
    finding = claims.poorest(Ours(Results(world, "laptop"), claims.TABLES), "Piano")
    assert finding.verdict == "undecided" and "not comparable, piano-af_af alone is of earlier settings" in finding.text
    paths.metrics("laptop", "jsb-lstm").unlink()
    assert claims.poorest(Ours(Results(world, "laptop"), claims.TABLES), "Piano").verdict == "not run"


def test_a_time_is_said_to_be_of_a_cpu(world):
    report_world.write_speed("demo", "ptb")
    assert inputs.times("demo", "ptb")[1] == "cpu, 1 thread"
    path = paths.speed("demo", "ptb")
    text = path.read_text().replace(",device,", ",device_name,device,").replace(",cpu,", ",AMD EPYC,cpu,")
    files.write_text(path, text)
    assert inputs.times("demo", "ptb")[1] == "CPU AMD EPYC, 1 thread"
    files.write_text(path, text.replace(",cpu,", ",cuda,"))
    assert inputs.times("demo", "ptb")[1] == "AMD EPYC, 1 thread"


def test_share_within_the_limit(world):
    side = Ours(Results(world, "laptop"), claims.TABLES)
    path = paths.prepared("laptop", "ptb") / "statistics.json"
    splits = {
        "train": {"share_within_limit": 0.9922, "kept": 41_740, "dropped_long": 328},
        "test": {"share_within_limit": 0.9931, "kept": 3735, "dropped_long": 26},
    }
    files.write_json(path, {"max_length": 288, "splits": splits})
    assert claims.share_within(side).verdict == "fails" and "of all 99.23%" in claims.share_within(side).text
    splits["valid"] = {"share_within_limit": 0.9958, "kept": 3356, "dropped_long": 14}
    files.write_json(path, {"max_length": 288, "splits": splits})
    assert claims.share_within(side).verdict == "holds" and "of all 99.25%" in claims.share_within(side).text
    files.write_json(path, {"max_length": 120, "splits": splits})
    assert claims.share_within(side).verdict == "not run"


def test_verdicts_by_scale(world):
    for scale, expected in {
        "demo": {"other corpus"},
        "laptop": {"within", "outside"},
        "paper": {"reproduced", "differs"},
    }.items():
        report_world.write_all(scale, world)
        rows, text = audited(scale)
        assert tuple(rows[0]) == audit.COLUMNS
        wanted = [row for row in rows if row["status"] == "reproduce" and row["table"] not in TEXTS]
        assert len(wanted) == 120 and len(rows) == 145 + 53
        assert {row["verdict"] for row in wanted} == expected | {audit.UNREACHABLE}
        assert all(f"{count} cells of models" in text for count in ("41 of 41", "61 of 61", "14 of 55"))
        assert "; 4 cells of the data alone: 4 " in text
        below = {(row["row"], row["column"]) for row in wanted if row["verdict"] == "impossible as bits per dimension"}
        assert below == {(f"{network}-{kind}", "SQuAD Article") for network in ("Att", "RNN") for kind in ("S", "AR")}
        for part in ("## Ziegler & Rush 2019", "## Schmidt & Hofmann 2018", "## Tang et al. 2021"):
            assert text.count(f"\n{part}\n") == 1
        for part, count in {"Cells": 3, "Claims": 3, "Deviations": 3, "Contradictions": 3, "Assumptions": 2}.items():
            assert text.count(f"\n### {part}") == count
    row = next(row for row in rows if row["row"] == "IAF / SCF" and row["column"] == "Reconst.")
    assert row["verdict"] == "differs" and float(row["difference"]) == pytest.approx(-0.11)


def test_one_seed_has_the_spread_of_other_runs_of_any_paper(world):
    """Beside the error over sequences, paired or not; of the same metric and unit, however many runs have one seed."""
    report_world.write_all("laptop", world)
    pair = ("ptb-af_af.nll", "ptb-lstm.nll")
    alone = Ours(Results(world, "laptop"), [TABLE1]).difference(*pair)
    assert alone.note == "one seed, no spread known"
    report_world.write_run("laptop", "ptb-af_scf", (0, 1, 2), spread=0.05)
    side = Ours(Results(world, "laptop"), [TABLE1])
    found = side.difference(*pair)
    assert found.error == pytest.approx(math.hypot(alone.error, 0.05, 0.05))
    assert found.note == "one seed, spread of the paper's other models"
    assert noted([found, Value(0.0, 0.0, note="one seed"), Value(0.0, 0.0)]) == found.note
    unknown = Value(0.0, 0.0, note="one seed, no spread of ptb-lstm known")
    assert noted([found, unknown]) == f"{found.note}, no spread of ptb-lstm known"
    assert noted([unknown, Value(0.0, 0.0)]) == "one seed, no spread known"
    assert side.value("ptb-af_scf.nll").note == ""  # its own seeds
    assert side.value("ptb-af_scf.nll").error == side.value("ptb-af_scf.nll").summary.error
    assert side.value("ptb-lstm.parameters").error == 0.0  # known exactly
    for table, other in ((TABLE1, "ptb-lstm.nll"), ("ziegler2019-table3", "jsb-lstm.nll")):
        seen = Ours(Results(world, "laptop"), [table]).value(other)
        assert ("spread of the" in seen.note) == (table == TABLE1)  # the other's runs are of one seed, in another unit


def test_the_spread_is_that_of_the_papers_models_on_the_same_data_first(world):
    """A row of this project lends none; the paper's models on other data lend theirs where none on the same has one."""
    tables_ = [TABLE1, "ziegler2019-table3"]
    for name in ("ptb-af_af", "piano-af_af"):
        report_world.write_run("laptop", name)
    world.tables[TABLE1]["rows"]["Ours"] = {"Test NLL": "ptb-af_af-h5.nll"}
    report_world.write_run("laptop", "ptb-af_af-h5", (0, 1, 2), spread=0.05)

    def values():
        side = Ours(Results(world, "laptop"), tables_)
        return [side.value(f"{name}.nll") for name in ("ptb-af_af", "piano-af_af")]

    unknown = [f"one seed, no spread of {name} known" for name in ("ptb-af_af", "piano-af_af")]
    assert [found.note for found in values()] == unknown
    report_world.write_run("laptop", "jsb-lstm", (0, 1, 2), spread=0.05)
    assert [found.note for found in values()] == [unknown[0], "one seed, spread of the paper's models on other data"]
    assert values()[1].error == pytest.approx(math.hypot(0.01, 0.05))
    report_world.write_run("laptop", "piano-lstm", (0, 1, 2), spread=0.03)
    assert values()[1].note == "one seed, spread of the paper's other models"
    assert values()[1].error == pytest.approx(math.hypot(0.01, 0.03))
    world.runs["piano-lstm"]["laptop"]["training"] = {"epochs": 9}
    assert values()[1].note == "one seed, spread of the paper's models on other data", (
        "one of earlier settings comes last"
    )
    world.runs["jsb-lstm"]["laptop"]["training"] = {"epochs": 9}
    assert values()[1].note == "one seed, spread of the paper's other models at earlier settings"
    assert values()[1].error == pytest.approx(math.hypot(0.01, 0.03))


def test_a_spread_of_another_kind_of_data_comes_last_of_all(world):
    """Of the share of the KL term, whose unit is one of text and of music."""
    for name in ("ptb-af_af", "jsb-af_af"):
        report_world.write_run("laptop", name, (0,) if name == "ptb-af_af" else (0, 1, 2))
    side = Ours(Results(world, "laptop"), [TABLE1, "ziegler2019-table3"])
    assert side.value("ptb-af_af.kl_share").note.endswith("spread of the paper's models on other data of another kind")
    report_world.write_run("laptop", "ptb-af_scf", (0, 1, 2))
    world.runs["ptb-af_scf"]["laptop"]["training"] = {"epochs": 9}
    side = Ours(Results(world, "laptop"), [TABLE1, "ziegler2019-table3"])
    assert side.value("ptb-af_af.kl_share").note.endswith("spread of the paper's other models at earlier settings")


def test_rows_of_this_project_stand_in_the_audit_with_their_status(world):
    world.tables[TABLE1]["rows"]["Ours"] = {"Test NLL": "ptb-af_af-h5.nll"}
    report_world.write_all("laptop", world)
    rows, text = audited("laptop")
    ours = [row for row in rows if row["status"] == "ours"]
    made = [row for row in ours if row["reproduced"]]
    assert "Ours" in {row["row"] for row in made} and {row["verdict"] for row in made} == {"ours"}
    assert {row["verdict"] for row in ours} <= {"ours", "not run"}
    assert not any(row["reported"] or row["difference"] or row["cause"] for row in ours)
    assert "a row of this project" in text
    tables.run(paths.Key("laptop", TABLE1))
    above, rule, under = paths.table("laptop", TABLE1)[1].read_text().partition("this project's, not in the paper")
    assert rule and "| Ours" in under and "| Ours" not in above and "| AF / AF" in above


def test_the_other_scale_stands_beside_where_both_have_a_number(world):
    report_world.write_run("laptop", "ptb-lstm")
    assert "Beside scale paper" not in audited("laptop")[1]
    report_world.write_run("paper", "ptb-lstm")
    text = audited("laptop")[1]
    assert text.count("### Beside scale paper") == 1
    lines = text.partition("### Beside scale paper")[2].splitlines()
    assert next(line for line in lines if "LSTM (sentence-wise)" in line).rstrip(" |").endswith("+0.000")
    assert "### Beside scale laptop" in audited("paper")[1]


def test_features_of_another_encoding_are_said(world):
    """A run on other features than most of its data is of an earlier setting; data without features say nothing."""
    for name, features in (("ptb-lstm", "aa"), ("ptb-af_af", "aa"), ("ptb-af_scf", "bb"), ("jsb-lstm", None)):
        report_world.write_run("laptop", name)
        path = paths.metrics("laptop", name)
        content = files.read_sealed(path)["metrics"]
        report_world.rewrite(
            path, metrics=[{**one, "features_sha256": features} if features else one for one in content]
        )
    results = Results(world, "laptop")
    said = {name: results.stale(name, results.summary(name, "nll")) for name in ("ptb-lstm", "ptb-af_scf", "jsb-lstm")}
    other = "scored on other features than most runs of ptb"
    assert said == {"ptb-lstm": [], "ptb-af_scf": [other], "jsb-lstm": []}
    assert results.earlier("ptb-af_scf") and not results.earlier("ptb-lstm")


def test_nothing_is_concluded_from_the_column_of_a_stand_in(world):
    """Table 4's TVQA column at laptop is of questions: what holds on SQuAD alone is not said to hold on both."""
    world.datasets["tvqa"]["laptop"] = {**world.datasets["tvqa"]["laptop"], "source": "tvqa-questions"}
    report_world.write_all("laptop", world)
    rows, _ = audited("laptop")
    found = {row["verdict"] for row in rows if row["column"] == "TVQA Subtitle"}
    assert found == {"stand-in"} and "stand-in" not in {
        row["verdict"] for row in rows if row["column"] != "TVQA Subtitle"
    }
    numbers = Ours(inputs.Results(world, "laptop"), [TABLE4])
    claims = {claim.name: claim.judge(numbers) for claim in PAPERS["tang2021"].claims}
    assert claims["time flows beat channel flows by far"].verdict == "stand-in"  # though both hold on SQuAD
    assert claims["left to right is sometimes better"].verdict == "holds"  # of which one corpus is enough
    assert "TVQA" not in claims["left to right is sometimes better"].text
    page = tables.made(inputs.Results(world, "laptop"), TABLE4).page
    lines = markdown.written(page).splitlines()
    assert sum(line.count(" stand-in |") for line in lines) == len(report_world.LANGUAGE_ROWS)
    assert any("corpus tvqa" in line and "**stand-in**; TVQA's subtitles are not to be had" in line for line in lines)


def test_every_stand_in_is_described():
    assert set(inputs.STAND_INS) <= set(corpora.OF_SOURCES) and set(corpora.OF_SOURCES) <= set(registry.SOURCES)


@pytest.mark.parametrize(
    ("verdicts", "joined"),
    [
        ("holds fails", "holds"),
        ("fails undecided", "undecided"),
        ("stand-in holds", "holds"),
        ("stand-in undecided", "undecided"),
        ("stand-in", "stand-in"),
    ],
)
def test_one_that_holds_is_enough_for_sometimes(verdicts, joined):
    assert either(Finding(verdict, verdict) for verdict in verdicts.split()).verdict == joined
    assert either([Finding("fails", ""), Finding("not run", "")]).verdict == "not run", "it may hold yet"


def test_claims_of_language_are_judged_on_both_sides(world):
    report_world.write_all("laptop", world)
    numbers = {"printed": Printed([TABLE4]), "ours": Ours(inputs.Results(world, "laptop"), [TABLE4])}
    found = {claim.name: {s: claim.judge(n).verdict for s, n in numbers.items()} for claim in PAPERS["tang2021"].claims}
    assert found["time flows beat channel flows by far"] == {"printed": "holds", "ours": "holds"}
    assert found["a density of the noisy data"] == {"printed": "fails", "ours": "fails"}
    assert found["left to right performs well"] == {"printed": "holds", "ours": "holds"}
    assert found["left to right is sometimes better"] == {"printed": "holds", "ours": "holds"}  # paired over sequences
    report_world.LANGUAGE["rnn_s"], kept = (1.0, 1.0), report_world.LANGUAGE["rnn_s"]
    try:
        report_world.write_all("laptop", world)
    finally:
        report_world.LANGUAGE["rnn_s"] = kept
    ours = Ours(inputs.Results(world, "laptop"), [TABLE4])
    verdicts = {claim.name: claim.judge(ours).verdict for claim in PAPERS["tang2021"].claims}
    assert verdicts["time flows beat channel flows by far"] == verdicts["time flows beat channel flows"] == "fails"
    assert verdicts["two variants beat an LSTM"] == verdicts["time flows beat the Bi-LSTM"] == "fails"


def test_laptop_reasons_name_the_reduction(world):
    report_world.write_all("laptop", world)
    rows, text = audited("laptop")
    row = next(row for row in rows if row["verdict"] == "within")
    assert "width 32 (paper 500)" in row["reason"]
    assert "How scale laptop differs" in text


def test_what_was_trained_with_other_settings_than_the_papers_says_so(world):
    """By the record: an edit of params.yaml changes nothing that was trained before."""
    report_world.write_all("paper", world)
    for run in world.runs.values():
        run["paper"]["training"]["epochs"] = 10
    rows, text = audited("paper")
    assert {"reproduced", "differs"} & {row["verdict"] for row in rows} and "epochs 10" not in text
    assert "ptb-af_af: scored under other settings than params.yaml has now" in text  # but this is said
    for run in world.runs:
        report_world.retrained("paper", run, epochs=10)
    rows, text = audited("paper")
    assert not {"reproduced", "differs"} & {row["verdict"] for row in rows if row["table"] not in TEXTS}
    assert "epochs 10 (paper 100)" in text


def test_what_was_not_trained_has_the_settings_of_params(world):
    for run in world.runs.values():
        run["paper"]["training"]["epochs"] = 10
    assert "epochs 10 (paper 100)" in Results(world, "paper").differences("ptb-af_af")


def test_the_papers_settings_are_those_of_the_scale_paper():
    matrix = params.load(ROOT / "params.yaml")
    of = {name: run["reproduces"] for name, run in matrix.runs.items()}
    printed = [table for table in base.printed_tables() if table in matrix.tables]
    filling = {
        run
        for table in printed
        for place, (run, _) in cells.addresses(matrix, table).items()
        if place in {(cell.row, cell.column) for cell in cells.reported(table)}
    }
    assert filling <= set(inputs.paper_settings()) <= set(of)  # a run of one's own beside them needs none
    for name, theirs in inputs.paper_settings().items():
        ours = inputs.settings(matrix, "paper", name)
        if of[name] == "ziegler2019":
            assert set(ours) == set(theirs), name
            # one-hots have no width; the paper's 0 of the KL weight is 1e-5, as in its code, which the deviations name
            floor = [f"stop_rate {ours['stop_rate']} (paper none)"] * bool(ours.get("stop_rate"))
            toy = {"batch_size", "epochs", "flow_width", "learning_rate", "patience"} if "gaussians" in name else set()
            assert {key for key in theirs if theirs[key] == "not said"} <= {"position"} | toy, name
            assert Results(matrix, "paper").differences(name) == floor, name
        elif of[name] == "tang2021":
            # the numbers of parameters stand for widths that the text does not give
            assert set(theirs) - set(ours) <= {"parameters", "min_count", "attention"}, name
            assert set(ours) <= set(theirs), name
            mended = {"time": ["start permutation (paper rotation)"], "past": ["mixing both (paper time)"]}
            expected = mended.get(ours.get("structure"), []) if "start" in ours or "mixing" in ours else []
            expected = expected or ["fusion normalised (paper mlp)"] * (ours.get("fusion") == "normalised")
            if ours.get("begin"):  # of FlowSeq, whose code's start is a variant
                expected = ["begin draws (paper means)"]
            if name.startswith("tvqa-qa"):  # as in STAGE's code; here every row takes the same steps, without Att. Sup.
                expected = ["patience none (paper 5)", "stop_rate none (paper 0.0005)", "epochs 30 (paper 100)"]
                expected += ["attention none (paper 0.1)"]
            assert Results(matrix, "paper").differences(name) == expected, name
        else:  # which says little: what it does say is so, less the corpus
            assert set(ours) == set(theirs), name
            found = Results(matrix, "paper").differences(name)
            sample = [f"sample_tokens {ours.get('sample_tokens')} (paper none)"] * name.startswith("sample-")
            assert found == ["source gutenberg-words (paper bookscorpus)", *sample], name


def test_a_model_of_another_size_says_so(world, monkeypatch):
    monkeypatch.setattr(inputs, "paper_settings", lambda: {name: {"parameters": 128_000_000} for name in world.runs})
    report_world.write_all("laptop", world)
    found = Results(world, "laptop").differences("tvqa-att_s")
    assert found[-1] == "parameters 0.01M (paper 128M)"  # report_world's have 12,345
    monkeypatch.setattr(inputs, "paper_settings", lambda: {name: {"parameters": 12_000} for name in world.runs})
    assert not any("parameters" in text for text in Results(world, "laptop").differences("tvqa-att_s"))


def test_seeds_that_are_missing_are_named(world):
    for run in world.runs.values():
        run["paper"]["seeds"] = [0, 1, 2]
    report_world.write_all("paper", world)
    rows, text = audited("paper")
    assert "ptb-af_af: without seed 1, 2 of params.yaml" in text
    wanted = [row for row in rows if row["status"] == "reproduce" and row["table"] not in TEXTS]
    assert all("without seed" in row["reason"] for row in wanted)


def test_one_seed_and_the_convention_are_said(world):
    report_world.write_all("laptop", world)
    _, text = audited("laptop")
    assert "(one seed, no spread known)" in text
    assert "(per T, without log p(T), one seed, no spread known)" in text


def test_a_printed_table_without_a_run_is_not_dropped(world):
    del world.tables["ziegler2019-table2"]
    report_world.write_run("demo", "jsb-lstm")
    rows, text = audited("demo")
    assert len(rows) == 145 + 53 and "#### ziegler2019-table2" in text


def test_two_standard_deviations_widen_the_tolerance(world):
    report_world.write_run("paper", "ptb-lstm", (0, 1, 2), spread=0.05)
    rows, _ = audited("paper")
    row = next(row for row in rows if row["row"] == "LSTM (sentence-wise)")
    assert float(row["tolerance"]) == pytest.approx(0.1) and row["seeds"] == "3"


def test_what_was_not_run_is_said(world):
    rows, text = audited("paper")
    assert {row["verdict"] for row in rows} == {"not run", "quoted", "human", audit.UNREACHABLE}
    assert all(row["reproduced"] == "" for row in rows)
    assert text.count("No run at this scale yet.") == 3 and "### Contradictions" not in text
    assert "../laptop/audit.md" not in text  # the other scale has no audit to point at
    counts = [line.split("|")[2:5] for line in text.splitlines() if line.startswith("| **")]
    assert [[cell.strip() for cell in row] for row in counts] == [["all", str(n), str(n)] for n in (41, 65, 55)]


def test_a_paper_with_runs_points_nowhere_else_and_each_table_says_what_it_lacks(world):
    report_world.write_run("laptop", "jsb-af_af", seeds=(0, 1))
    report_world.write_run("laptop", "jsb-lstm")
    audited("laptop")
    report_world.write_run("paper", "jsb-lstm")
    world.runs["jsb-lstm"]["laptop"]["training"] = {"epochs": 9}
    _, text = audited("laptop")
    row = next(line for line in text.splitlines() if line.startswith("|") and "Table 3" in line.split("|")[2])
    assert [cell.strip() for cell in row.split("|")[3:7]] == ["16", "14", "1", "1"]  # cells, not run, one seed, earlier
    _, text = audited("paper")
    assert text.count("](../laptop/audit.md#") == 2 and "#tang-et-al-2021)" in text
    assert "\n### Contradictions in the paper" in text and text.count("### Contradictions") == 1


def test_deviations_are_complete_sentences():
    assert len(PAPERS["ziegler2019"].deviations) >= 20 and len(PAPERS["schmidt2018"].assumptions) >= 20
    for paper in PAPERS.values():
        rows = (*paper.deviations, *paper.contradictions, *paper.assumptions)
        assert all(all(row._replace(witness="-")) for row in rows)
        assert len({claim.name for claim in paper.claims}) == len(paper.claims)
    assert {row.code for row in PAPERS["schmidt2018"].deviations} == {"none released"}


def test_arithmetic_of_the_contradictions():
    """The derivations as numbers: critical points, code's alpha, KL shares, bounds."""
    for sign in (-1, 1):
        b, c, d, g = 1.3, 0.4 * sign, 1.7, 0.6
        slopes = {}
        for root in (-1, 1):
            z = (-g + root * math.sqrt(1 / 3)) / d
            u = d * z + g
            slopes[root] = b - 2 * c * d * u / (1 + u * u) ** 2
            assert (1 - 3 * u * u) == pytest.approx(0, abs=1e-12)
        assert min(slopes.values()) == pytest.approx(b - 9 * abs(c) * d / (8 * math.sqrt(3)))
    assert 1 - 0.05 / (8 * math.sqrt(3) / 9) == pytest.approx(0.9675, abs=1e-4)
    assert pytest.approx(0.881, abs=5e-4) == 1.55 / 1.76 and pytest.approx(0.843, abs=5e-4) == 1.56 / 1.85


def test_interval_quantiles():
    # Student's t at 97.5 %, from its tables.
    for freedom, value in ((9, 2.262), (19, 2.093), (100, 1.984)):
        assert intervals.t_quantile(freedom) == pytest.approx(value, rel=2e-3)
    mean, half = intervals.mean_interval([1.0, 2.0, 3.0] * 10)
    assert mean == 2.0 and 0 < half < 1
