"""The catalogue of metrics: every recorded number is in it with its unit; tables and the audit agree with it."""

import json

import pytest

import report_world
from conftest import ROOT
from seqflows import metrics, params
from seqflows.config import checks
from seqflows.report import audit, cells, inputs

RECORDS = sorted(ROOT.glob("results/*/runs/*.json"))


def test_every_recorded_metric_is_in_the_catalogue():
    assert len(RECORDS) > 50
    unknown = set()
    for path in RECORDS:
        for record in json.loads(path.read_text())["metrics"]:
            row = metrics.find(record["metric"], record["unit"])
            if row is None or record["unit"] not in row.units or (bool(record["samples"]) and not row.drawn):
                unknown.add((record["metric"], record["unit"], record["samples"]))
    assert unknown == set()


def test_the_metrics_of_the_synthetic_world_are_too(world):
    for scale in ("demo", "laptop"):
        report_world.write_all(scale, world)
        results = inputs.Results(world, scale)
        for run in world.runs:
            for name, summary in results.metrics(run).items():
                assert summary.unit in metrics.find(name, summary.unit).units, (run, name)


def test_printed_units_are_those_of_the_metrics_of_their_cells():
    matrix, found = params.load(ROOT / "params.yaml"), 0
    for table in matrix.tables:
        units = {(cell.row, cell.column): cell.unit for cell in cells.reported(table)}
        for place, (_, metric) in cells.addresses(matrix, table).items():
            if place in units:
                found += 1
                assert units[place] in metrics.find(metric, units[place]).units, (table, place)
    assert found >= 110


@pytest.mark.parametrize(
    ("name", "unit", "heading", "drawn", "own"),
    [
        ("nll", "bpc", "NLL", metrics.IMPORTANCE, False),
        ("nll", "bits/dim", "NLL", metrics.NOISE, False),
        ("nll@50", "", "NLL K=50", metrics.IMPORTANCE, False),
        ("cross_entropy_test@100000", "", "K=100000", metrics.TRAJECTORIES, True),
        ("cross_entropy_test", "", "headline", metrics.WEIGHTS, True),
        ("perplexity_5_tokens", "", "P_5-gram of tokens", metrics.WORDS, True),
        ("entropy_gap_whole@20", "", "(12), K=20", metrics.TRAJECTORIES, True),
        ("parameters", "", "parameters", "", False),
    ],
)
def test_a_metric_is_found_by_name_and_unit(name, unit, heading, drawn, own):
    row = metrics.find(name, unit)
    assert (row.name, row.heading, row.drawn, row.own_draws) == (name, heading, drawn, own)


@pytest.mark.parametrize("name", ["nl", "nll@0", "nll@", "nll@5x", "nll@{}", "perplexity", "perplexity_x", "kl@5", ""])
def test_other_names_are_not_found(name):
    assert metrics.find(name) is None


def test_rows_of_one_name_have_units_of_their_own():
    seen = set()
    for row in metrics.CATALOGUE:
        assert row.units and not {(row.name, unit) for unit in row.units} & seen, row.name
        seen |= {(row.name, unit) for unit in row.units}


def test_families_are_shown_by_count():
    present = {"nll@50", "nll@5", "nll", "ess", "elbo"}
    shown = metrics.shown(metrics.BEYOND, present)
    assert [row.heading for row in shown] == ["NLL K=5", "NLL K=50", "-ELBO", "ESS"]
    assert metrics.counts("nll@{}", present) == [5, 50] and metrics.counts("nll", present) == []


def test_checks_know_the_catalogue(root):
    content = params.read(root / "params.yaml")
    rows = content["tables"]["ziegler2019-table1"]["rows"]
    rows["AF / AF"]["KL"] = "ptb-af_af.known_wide"
    assert list(checks.errors(content)) == []
    rows["AF / AF"]["KL"] = "ptb-af_af.reconstrution"
    (line,) = checks.errors(content)
    assert "expected one of nll, nll@<K>, nll_literature, " in line and line.endswith(
        "got 'reconstrution'; nearest: reconstruction"
    )


@pytest.mark.parametrize(
    ("metric", "unit", "printed", "expected"),
    [
        ("nll", "bpc", "1.42", 0.02), ("kl", "bpc", "1.37", 0.02), ("nll", "nats/step", "2.39", 0.10),
        ("nll", "bits/dim", "-9.62", 0.10), ("known", "1", "0.62", 0.02), ("entropy_gap", "nats", "1.07", 0.10),
        ("cross_entropy_test", "nats/word", "11.93", 0.10), ("perplexity_3", "1", "20", 1.0),
    ],
)  # fmt: skip
def test_the_audits_tolerance(metric, unit, printed, expected):
    cell = cells.Cell("t", "r", "c", unit, "reproduce", printed, "", "", "run", metric)
    assert audit.tolerance(cell) == pytest.approx(expected)
