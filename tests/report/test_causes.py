"""Causes of differences: the share that a changed run explains, what counts, and the entries that are shipped."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest

import report_world
from seqflows import files, metrics, params, paths
from seqflows.errors import Problem
from seqflows.report import audit, causes, inputs
from seqflows.report.cells import cells
from seqflows.report.inputs import Results
from seqflows.report.papers import base
from seqflows.report.papers.base import Cause

CELL = ("ziegler2019-table3", "AF / AF", "JSB")  # printed 6.53
CHANGED = "jsb-af_scf"


def scored(scale, run, nll):
    """A run of the synthetic project with its NLL at a place of our own."""
    report_world.write_run(scale, run)
    content = files.read_sealed(paths.metrics(scale, run))
    for record in content["metrics"]:
        if record["metric"] in ("nll", f"nll@{record['samples']}"):
            record["value"] = nll
    files.write_json(paths.metrics(scale, run), files.sealed(content))
    (paths.evaluation(scale, run) / "seed-0" / "scores.csv").unlink(missing_ok=True)


def judged(world, *entries, verdict=None):
    """The judgement of the cell at scale laptop under some entries of causes.yaml."""
    results = Results(world, "laptop")
    found = next(cell for cell in cells(results, CELL[0]) if (cell.row, cell.column) == CELL[1:])
    _, row = audit.judged(results, found)
    row |= {"verdict": verdict} if verdict else {}
    return causes.judge(results, results.beside, SimpleNamespace(causes=entries), found, row)


def cause(kind="size", cells="table3 | AF / AF | *", changed=CHANGED):
    return Cause(cells, kind, changed, "why")


def test_another_number_of_a_run_is_a_cause_too(world):
    """``<run>.<metric>``: such as another estimate of the cell's own number."""
    scored("laptop", "jsb-af_af", 7.53)
    path = paths.metrics("laptop", "jsb-af_af")
    content = files.read_sealed(path)
    record = next(one for one in content["metrics"] if one["metric"] == "nll")
    content["metrics"].append({**record, "metric": "nll@7", "value": 6.6})
    files.write_json(path, files.sealed(content))
    found = judged(world, cause("estimator", changed="jsb-af_af.nll@7"))
    assert found.cause == "estimator" and "estimator (jsb-af_af.nll@7): 6.600" in found.text
    assert judged(world, cause("estimator", changed="jsb-af_af.nll@8")).text == ""


def test_a_printed_number_that_cannot_be_is_its_papers_defect(world):
    report_world.write_all("laptop", world)
    one = audit.audited(Results(world, "laptop"), base.papers()["tang2021"])
    defects = {(cell.row, cell.column) for cell, row in one.rows if row.get("cause") == causes.DEFECT}
    below = {(cell.row, cell.column) for cell, row in one.rows if row["verdict"] == audit.UNREACHABLE}
    assert len(defects) == 4 and defects == below
    assert "4 defect of the paper" in causes.counted(row for _, row in one.rows)


@pytest.mark.parametrize(
    ("changed", "share", "named"),
    [
        (7.53, 0.0, "unexplained"),  # as far
        (7.10, 0.43, "unexplained"),  # less than half
        (7.00, 0.53, "size"),
        (6.60, 0.93, "size"),  # within the tolerance of 0.1: all of it
        (6.33, 0.8, "size"),  # beyond the printed number
        (5.00, -0.53, "unexplained"),  # far beyond
        (8.00, -0.47, "unexplained"),  # away from it
    ],
)
def test_a_cause_explains_what_its_run_leaves(world, changed, share, named):
    scored("laptop", "jsb-af_af", 7.53)
    scored("laptop", CHANGED, changed)
    found = judged(world, cause())
    assert found.cause == named
    assert found.tried[0].share == pytest.approx(share)
    assert found.tried[0].whole == (abs(changed - 6.53) < 0.1)
    part = "the whole difference" if found.tried[0].whole else f"{100 * share:.0f} %" if share > 0 else "nothing of the"
    assert part in found.text and f"size ({CHANGED}: " in found.text


def test_the_best_explanation_is_named_and_all_are_said(world):
    scored("laptop", "jsb-af_af", 7.53)
    scored("laptop", CHANGED, 6.9)
    scored("laptop", "jsb-lstm", 6.5)
    found = judged(world, cause("size"), cause("budget", changed="jsb-lstm"), cause("reading", "table1 | * | *"))
    assert found.cause == "budget" and [one.cause for one in found.tried] == ["budget", "size"]
    assert found.text.count("; ") == 1


def test_the_paper_scale_is_tried_for_every_cell(world):
    scored("laptop", "jsb-af_af", 7.53)
    assert judged(world).cause == "unexplained" and judged(world).text == ""
    scored("paper", "jsb-af_af", 6.5)
    found = judged(world)
    assert found.cause == "reduction" and "jsb-af_af at scale paper" in found.text


@pytest.mark.parametrize("stale", ["jsb-af_af", CHANGED])
def test_nothing_counts_where_a_number_is_of_other_settings(world, stale):
    """Corrections may lie between the two numbers; what was measured is still said, after what counts."""
    scored("laptop", "jsb-af_af", 7.53)
    scored("laptop", CHANGED, 6.5)
    world.runs[stale]["laptop"]["training"] = {"epochs": 9}
    found = judged(world, cause())
    assert found.cause == "unexplained"
    assert found.tried[0].whole and not found.tried[0].counts and "not counted" in found.text


def test_what_counts_is_named_before_what_does_not(world):
    scored("laptop", "jsb-af_af", 7.53)
    scored("laptop", CHANGED, 6.9)
    scored("laptop", "jsb-lstm", 6.5)
    world.runs["jsb-lstm"]["laptop"]["training"] = {"epochs": 9}
    found = judged(world, cause("size"), cause("budget", changed="jsb-lstm"))
    assert found.cause == "size" and [one.cause for one in found.tried] == ["size", "budget"]


TREND = Cause("table3 | AF / AF | *", "corpus", "jsb-af_scf", "why", against="jsb-lstm", until="1600")


def halved(fewer, *, sequences=50, whole=100):
    """The runs of a trend: jsb-lstm on all of the training sequences, with 7.0, and jsb-af_scf on fewer."""
    scored("laptop", "jsb-af_af", 7.53)
    scored("laptop", "jsb-lstm", 7.0)
    scored("laptop", "jsb-af_scf", fewer)
    report_world.rewrite(
        paths.train("laptop", "jsb-af_scf") / "seed-0" / "train.json", half={"half": 0, "sequences": sequences}
    )
    files.write_json(paths.statistics("laptop", "jsb"), {"splits": {"train": {"sequences": whole}}})


@pytest.mark.parametrize(
    ("fewer", "sequences", "until", "number", "share"),
    [
        (7.25, 50, "1600", "6.530 (0.057)", 1.0),  # 4 doublings of -0.25; errors 0.01 each
        (7.25, 50, "500", "6.950 (0.034)", 0.58),
        (7.25, 50, "200", "7.280 (0.017)", 0.25),
        (7.5, 25, "1600", "6.530 (0.030)", 1.0),  # as much a doubling, over two of them
        (6.75, 50, "400", "8.030 (0.030)", -0.5),  # away from the printed number
    ],
)
def test_a_trend_is_continued_to_the_papers_number_of_sequences(world, fewer, sequences, until, number, share):
    halved(fewer, sequences=sequences)
    found = judged(world, TREND._replace(until=until))
    assert found.tried[0].share == pytest.approx(share, abs=0.005) and found.tried[0].whole == (share == 1)
    assert found.cause == ("corpus" if share >= 0.5 else "unexplained")
    what = f"{sequences} to 100 sequences, continued to {int(until):,}"
    assert f"corpus (jsb-af_scf to jsb-lstm: {what}): {number}, " in found.text
    assert causes.tallies([found])[0].what == "corpus: jsb-af_scf to jsb-lstm, continued"
    _, said, *_ = audit.measured([(None, {"cause": "unexplained"})], [found])
    assert "the line through two that differ" in said.text
    _, said, *_ = audit.measured([(None, {"cause": "unexplained"})], [judged(world, cause())])
    assert "the line through" not in said.text


def test_a_trend_within_its_error_is_no_cause(world):
    """Of 0.02, where two standard errors are 0.028: continued over 50 doublings it would be all of the difference."""
    halved(7.02)
    far = TREND._replace(until=str(100 * 2**50))
    found = judged(world, far)
    assert found.tried[0].whole and found.cause == "unexplained" and found.text.endswith(causes.FLAT)
    assert causes.tallies([found])[0].not_counted == 1
    halved(7.03)
    found = judged(world, far)
    assert found.cause == "unexplained" and found.text.endswith(causes.WIDE), "an error of 0.7"


def test_a_trend_counts_by_what_it_leaves_with_its_error(world):
    """Half of the difference is left at 7.03: by two errors of 0.03 more it would be over half."""
    halved(7.25)
    found = judged(world, TREND._replace(until="400"))
    assert found.tried[0].share == pytest.approx(0.5) and found.text.endswith(causes.WIDE)


def test_a_trend_of_the_cells_own_run_moves_with_it(world):
    """Its value is (1 + r) of the run's number less r of the other's, here with r = 4: errors of 0.01 each."""
    halved(7.25)
    scored("laptop", "jsb-lstm", 7.53)
    found = judged(world, TREND._replace(cells="table3 | AF / AF | *", against="jsb-af_af", changed="jsb-af_scf"))
    assert found.tried[0].changed.standard_error == pytest.approx(math.hypot(5 * 0.01, 4 * 0.01))


def test_hypotheses_that_exclude_each_other_have_one_choice_for_all_cells(world):
    scored("laptop", "jsb-af_af", 7.53)
    scored("laptop", CHANGED, 6.5)
    scored("laptop", "jsb-lstm", 6.9)
    first = cause("size")._replace(one_of="K: 20")
    second = cause("budget", changed="jsb-lstm")._replace(one_of="K: 100")
    found = judged(world, first, second)
    assert found.cause == "size"
    other = judged(world, second)  # a cell in which the first was not tried
    one, *rest = causes.exclusive([found, other, other])
    assert one.cause == "budget" and [judgement.cause for judgement in rest] == ["budget", "budget"]
    assert causes.EXCLUDED.format("“100”") in one.text
    free = judged(world, cause("size"), second)
    assert causes.exclusive([free])[0].cause == "size", "what excludes nothing stays"


@pytest.mark.parametrize("stale", ["jsb-af_af", "jsb-lstm", "jsb-af_scf"])
def test_no_trend_counts_where_a_number_is_of_other_settings(world, stale):
    halved(7.25)
    world.runs[stale]["laptop"]["training"] = {"epochs": 9}
    found = judged(world, TREND)
    assert found.cause == "unexplained" and causes.NOT_COUNTED in found.text


def test_a_trend_needs_both_runs_their_numbers_of_sequences_and_more_in_the_paper(world):
    halved(7.25)
    assert judged(world, TREND).cause == "corpus"
    assert judged(world, TREND._replace(until="100")).tried == (), "the paper has as many"
    assert judged(world, TREND._replace(cells="table3 | AF / SCF | *")).tried == ()
    assert judged(world, TREND._replace(changed="jsb-none")).tried == ()
    paths.statistics("laptop", "jsb").unlink()
    assert judged(world, TREND).tried == ()
    halved(7.25)
    paths.metrics("laptop", "jsb-lstm").unlink()
    assert judged(world, TREND).tried == ()


@pytest.mark.parametrize("verdict", ["within", "not run", "stand-in", "other corpus", "reproduced"])
def test_only_a_difference_has_a_cause(world, verdict):
    scored("laptop", "jsb-af_af", 7.53)
    assert judged(world, cause(), verdict=verdict) is None


def test_a_run_that_is_not_there_was_not_tried(world):
    scored("laptop", "jsb-af_af", 7.53)
    assert judged(world, cause(), cause(changed="jsb-none")).tried == ()


def test_the_settings_that_differ_are_said(world):
    scored("laptop", "jsb-af_af", 7.53)
    scored("laptop", CHANGED, 6.5)
    report_world.retrained("laptop", CHANGED, epochs=9)
    assert f"size ({CHANGED}: epochs)" in judged(world, cause()).text


def test_the_audit_counts_and_lists_them(world, monkeypatch):
    report_world.write_all("laptop", world)
    scored("laptop", "jsb-af_af", 7.53)
    scored("laptop", "piano-af_af", 9.0)
    scored("paper", "jsb-af_af", 6.5)
    one = audit.audited(Results(world, "laptop"), base.papers()["ziegler2019"])
    ours = [(cell, row) for cell, row in one.rows if cell.table == CELL[0]]
    rows = {(cell.row, cell.column): row for cell, row in ours if row.get("cause")}
    assert {place: row["cause"] for place, row in rows.items()} == {
        ("AF / AF", "JSB"): "reduction",
        ("AF / AF", "Piano"): "unexplained",
    }
    assert causes.counted(rows.values()) == "1 of 2: 1 reduction"
    assert causes.counted([{"verdict": "within"}]) == ""
    assert causes.counted([{"cause": "unexplained"}]) == "none of 1"
    assert causes.counted(rows.values()) in audit.made(ours)
    *_, table = audit.measured(ours)
    assert [line[:3] for line in table.rows] == [("table3", "AF / AF", "JSB")]
    assert audit.measured([(cell, row) for cell, row in ours if not row.get("cause")]) == []


SETTINGS = {
    "squad-att_s-deep": "steps",
    "squad-att_s-long": "epochs, learning_rate",
    "squad-rnn_s-single": "scales, squeeze, steps",
    "squad-rnn_ar-literal": "cell",
    "squad-qg-lang_flow-gate": "fusion",
    "squad-qg-lang_flow-added": "fusion",
    "squad-qg-lang_flow-normalised": "fusion",
    "words-tril-inference_tril": "inference",
    "words-tril-annealing": "kl_free_epochs, kl_ramp_epochs",
}
SCHEDULE = ("epochs", "kl_free_epochs", "kl_ramp_epochs")
LONG = {"lstm": "epochs", "": ", ".join(SCHEDULE)}  # of <run>-long, by the end of the run's name; "" of all others
WHOLE = {"": "max_length, train_sequences"}


@pytest.mark.parametrize("name", base.names())
def test_shipped_causes_match_cells_and_differ_in_what_they_say(name, tmp_path, monkeypatch):
    """At every scale a changed run differs in the same settings, and all cells of an entry have one run."""
    paper, matrix = base.papers()[name], params.load()
    monkeypatch.chdir(tmp_path)  # of params.yaml alone, not of records, which may be of earlier settings
    for entry in paper.causes:
        results = Results(matrix, "laptop")
        found = [
            cell for table in paper.tables for cell in cells(results, table)
            if cell.status == "reproduce" and entry.of(table.partition("-")[2], cell.row, cell.column)
        ]  # fmt: skip
        runs = {cell.run for cell in found}
        if entry.changed.startswith(f"{base.OWN}."):
            numbers = {entry.number(cell.run, cell.metric) for cell in found}
            assert numbers and {run for run, _ in numbers} == runs, entry
            same = {(cell.run, cell.metric) for cell in found}
            assert all(metrics.find(metric) for _, metric in numbers)
            assert (numbers & same == set()) if entry.factor == 1 else numbers == same
            continue
        if entry.until:
            assert entry.against in runs and entry.cause == "corpus", entry
            for scale in ("laptop", "paper"):
                assert causes._changes(Results(matrix, scale), entry.against, entry.changed) == "half", entry
            continue
        if entry.changed in (f"{base.OWN}-long", f"{base.OWN}-whole"):
            suffix = entry.changed.removeprefix(base.OWN)
            changed = {run: f"{run}{suffix}" for run in runs if f"{run}{suffix}" in matrix.runs}
            wanted = WHOLE if suffix == "-whole" else LONG
            assert changed, entry
            for run, other in changed.items():
                found = causes._changes(results, run, other)
                assert found == wanted.get(run.rpartition("-")[2], wanted[""]), run
                if suffix == "-long":
                    printed, ours = matrix.run("paper", run)["training"], matrix.run("laptop", other)["training"]
                    assert [printed.get(key) for key in SCHEDULE] == [ours.get(key) for key in SCHEDULE], run
            continue
        assert len(runs) == 1, entry
        for scale in ("laptop", "paper"):
            changes = causes._changes(Results(matrix, scale), *runs, entry.changed)
            assert changes == SETTINGS[entry.changed], (entry, scale)


def test_a_number_may_be_read_in_another_unit(world):
    """``times``: such as nats in bits; the changed number and its errors are scaled."""
    scored("laptop", "jsb-af_af", 7.53)
    found = judged(world, Cause("table3 | AF / AF | *", "reading", "own.nll", "why", "0.87"))
    assert found.cause == "reading" and "reading (jsb-af_af.nll times 0.87): 6.551 (0.009), the whole" in found.text
    assert causes.tallies([found])[0].what == "reading: nll times 0.87"


def test_a_changed_run_may_be_named_after_each_cells_own(world):
    """``own-<suffix>``: the run so called, where there is one, stands beside the cell's."""
    scored("laptop", "ptb-af_af", 2.2)
    scored("laptop", "ptb-af_scf", 2.2)
    scored("laptop", "ptb-af_af-affine", 1.5)
    entry, results, found = cause("budget", "table1 | AF / * | Test NLL", "own-affine"), Results(world, "laptop"), {}
    for cell in cells(results, "ziegler2019-table1"):
        if cell.row in ("AF / AF", "AF / SCF") and cell.column == "Test NLL":
            _, row = audit.judged(results, cell)
            row |= {"verdict": "outside"}
            found[cell.row] = causes.judge(results, None, SimpleNamespace(causes=(entry,)), cell, row)
    assert found["AF / AF"].cause == "budget" and "(ptb-af_af-affine: " in found["AF / AF"].text
    assert found["AF / SCF"] == ("unexplained", ()), "there is no ptb-af_scf-affine"


def test_a_shipped_reading_is_of_the_cells_own_run(world):
    """``own.<metric>``: BASELINE-8D's cross entropy by sampled states stands beside its exact one."""
    entry = next(one for one in base.papers()["schmidt2018"].causes if one.changed == "own.cross_entropy_test@100000")
    assert entry.of("table1", "BASELINE-8D", "H[P_test, P^]") and entry.of("table2", "BASELINE-8D", "H[P_test, P^]")
    assert not entry.of("table1", "BASELINE-8D", "H[P_train, P^]") and not entry.of("table1", "TRIL", "H[P_test, P^]")


def test_a_hypothesis_is_counted_over_all_cells_that_it_was_tried_on(world):
    """One that explains a cell and fails in two others says so; a number of other settings is counted apart."""
    for run, nll in {"jsb-af_af": 7.53, "piano-af_af": 9.0, "nottingham-af_af": 3.5, "musedata-af_af": 8.0}.items():
        scored("laptop", run, nll)
        path = paths.metrics("laptop", run)
        content = files.read_sealed(path)
        record = next(one for one in content["metrics"] if one["metric"] == "nll")
        other = {"jsb-af_af": 6.6, "piano-af_af": 8.4, "nottingham-af_af": 3.4, "musedata-af_af": 6.9}[run]
        content["metrics"].append({**record, "metric": "nll@7", "value": other})
        files.write_json(path, files.sealed(content))
    world.runs["musedata-af_af"]["laptop"]["training"] = {"epochs": 9}
    entry = cause("estimator", "table3 | AF / AF | *", "own.nll@7")
    results = Results(world, "laptop")
    judgements = []
    for cell in cells(results, CELL[0]):
        if cell.row == "AF / AF":
            _, row = audit.judged(results, cell)
            found = causes.judge(results, None, SimpleNamespace(causes=(entry,)), cell, row | {"verdict": "outside"})
            judgements.append(found)
    assert causes.tallies(judgements) == [causes.Tally(entry, tried=4, whole=1, most=1, less=1, not_counted=1)]
    assert causes.tallies(judgements)[0].what == "estimator: nll@7"
    assert "estimator (jsb-af_af.nll@7): 6.600" in "".join(one.text for one in judgements)
    *_, table = audit.measured([(None, {"cause": "unexplained"})], judgements)
    assert table.rows == [("estimator: nll@7", "why", "4", "1", "1", "1", "1")]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cause": "sise"}, "a cause of size, .* in entry 1 of .*causes.yaml, got 'sise'; nearest: size"),
        (
            {"cells": "table4 Att-S"},
            "patterns of table, row and column between bars for cells in entry 1 of .*, got 'table4 Att",
        ),
        ({"until": "9"}, "against and until, .* in entry 1 of .*causes.yaml, got '' and '9'; a trend needs both"),
        ({"until": "9k", "against": "squad-att_s"}, "a number of sequences, .*, got 'squad-att_s' and '9k'"),
        ({"against": "squad-att_s"}, "against and until, .*, got 'squad-att_s' and ''"),
        ({"times": "0.0"}, "a number above 0 for times in entry 1 of .*causes.yaml, got '0.0'"),
        ({"chnaged": "x"}, "entry 1 of .*causes.yaml.*, got 'chnaged'; nearest: changed"),
    ],
)
def test_mistakes_name_the_file(tmp_path, change, message):
    entry = {"cells": "table4 | Att-S | *", "cause": "size", "changed": "squad-att_s-deep", "why": "depth"}
    path = tmp_path / "causes.yaml"
    files.write_text(path, "- " + str(entry | change) + "\n")
    with pytest.raises(Problem, match=message):
        base._causes(path)


def test_an_embedded_scale_has_no_full_one():
    assert Results(inputs.matrix(), "demo").beside is None
    assert Results(inputs.matrix(), "paper").beside.scale == "laptop"
