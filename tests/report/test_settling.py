"""What remains of an importance-sampled NLL beyond its samples: against simulation, and what it holds back."""

from __future__ import annotations

import math

import pytest
import torch

import report_world
from seqflows import files, paths
from seqflows.report import inputs, settling
from seqflows.report.judging import Ours, below

TABLE3 = "ziegler2019-table3"


@pytest.mark.parametrize("sigma", [0.5, 2.0, 6.0, 20.0])
@pytest.mark.parametrize("samples", [2, 10, 100])
def test_the_rise_is_that_of_simulated_weights(sigma, samples):
    torch.manual_seed(0)
    drawn = torch.logsumexp(sigma * torch.randn(20_000, samples, dtype=torch.float64), 1) - math.log(samples)
    error = float(drawn.std()) / math.sqrt(len(drawn))
    assert settling.risen(sigma, samples) == pytest.approx(float(drawn.mean()), abs=4 * error)


@pytest.mark.parametrize("sigma", [0.3, 1.0, 4.0, 15.0])
def test_what_remains_is_what_the_rise_says(sigma):
    rise = settling.risen(sigma, 50)
    assert settling.remains(rise, 50) == pytest.approx(sigma**2 / 2 - rise, rel=1e-3, abs=1e-4)


def test_nothing_remains_without_a_rise_or_of_one_sample():
    assert settling.remains(0.0, 50) == settling.remains(-0.1, 50) == settling.remains(3.0, 1) == 0.0


def estimated(run, *, first, value):
    """A run with an NLL, and that of one sample; the scores are scaled so that they belong to it."""
    report_world.write_run("laptop", run)
    content = files.read_sealed(paths.metrics("laptop", run))
    old = next(record["value"] for record in content["metrics"] if record["metric"] == "nll")
    samples = next(record["samples"] for record in content["metrics"] if record["metric"] == "nll")
    changed = {"nll": value, "nll_literature": value, f"nll@{samples}": value, "nll@1": first}
    for record in content["metrics"]:
        record["value"] = changed.get(record["metric"], record["value"])
    path = paths.evaluation("laptop", run) / "seed-0" / "scores.csv"
    rows = inputs.read_csv(path)
    scaled = [row | {"nll": float(row["nll"]) * value / old} for row in rows]
    files.write_csv(path, scaled, tuple(rows[0]))
    listed = content.get("files", ())
    content |= {"files": {name: files.sha256(paths.evaluation("laptop", run) / name) for name in listed}}
    files.write_json(paths.metrics("laptop", run), files.sealed(content))


@pytest.fixture
def made(world):
    """AF / AF above the LSTM by 0.5, of one sample by ``first`` more."""
    report_world.write_all("laptop", world)
    path = paths.metrics("laptop", "jsb-lstm")
    exact = [record | {"samples": 0} for record in files.read_sealed(path)["metrics"]]
    report_world.rewrite(path, metrics=exact)
    lstm = inputs.Results(world, "laptop").summary("jsb-lstm", "nll").value

    def write(first):
        estimated("jsb-af_af", value=lstm + 0.5, first=lstm + 0.5 + first)
        return inputs.Results(world, "laptop")

    return write


def test_a_verdict_that_more_samples_would_turn_is_undecided(made):
    """Beside an exact number; a small rise from one sample on leaves it as it is."""
    pair = (TABLE3, "AF / AF", "JSB"), (TABLE3, "LSTM", "JSB")
    small = made(0.01)
    assert below(Ours(small, [TABLE3]), *pair).verdict == "fails"
    assert not any("not settled" in remark for remark in small.remarks("jsb-af_af", small.summary("jsb-af_af", "nll")))
    large = made(2.0)
    found = below(Ours(large, [TABLE3]), *pair)
    assert found.verdict == "undecided" and "not settled in K, about -" in found.text
    remarks = large.remarks("jsb-af_af", large.summary("jsb-af_af", "nll"))
    assert any("lower of infinitely many, if weights are log-normal" in remark for remark in remarks)
    other = (TABLE3, "AF / SCF", "JSB")
    assert "not settled in K" not in below(Ours(large, [TABLE3]), pair[0], other).text, "of two estimates"


def test_a_verdict_in_favour_of_the_estimated_number_stands(made):
    """Nor is a number exact whose model has no samples."""
    results = made(2.0)
    numbers = Ours(results, [TABLE3])
    assert below(numbers, (TABLE3, "LSTM", "JSB"), (TABLE3, "AF / AF", "JSB")).verdict == "undecided"
    assert settling.remainder(results, results.summary("jsb-lstm", "nll")) == 0.0
    assert settling.remainder(results, results.summary("jsb-af_af", "kl")) == 0.0
