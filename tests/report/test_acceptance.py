"""The check at the end of the demo, on fabricated results of every table of the papers."""

from __future__ import annotations

import shutil

import pytest

from seqflows import cli, files, metrics, params, paths
from seqflows.errors import Problem
from seqflows.report import acceptance
from seqflows.report.cells import addresses, reported

SCALE = "demo"
REACHED = 80.0  # BLEU


@pytest.fixture
def made(root, place, monkeypatch):
    """A folder with a record of each run with the metrics of its cells, and the comparisons.

    Returns what writes a run's record anew with other values, and all comparisons with other BLEUs by run.
    """
    whole = params.load(root / "params.yaml")
    monkeypatch.setattr(params, "load", lambda *_: whole)
    here = whole.at(SCALE)
    wanted = {run: {"excess": "nats/sequence"} for run in here.runs}
    for table in here.tables:
        units = {(cell.row, cell.column): cell.unit for cell in reported(table)}
        for cell, (run, metric) in addresses(here, table).items():
            unit = wanted[run].setdefault(metric, metrics.find(metric).units[0])
            wanted[run][metric] = units.get(cell, unit)

    def row(run, metric, unit, value):
        return {
            "run": run, "seed": 0, "metric": metric, "value": value, "unit": unit, "samples": None, "sequences": 200,
            "standard_error": 0.5, "dataset": here.runs[run]["dataset"], "dataset_sha256": "ab", "revision": "r",
            "config_hash": "c", "device": "cpu", "texts_sha256": "ab",
        }  # fmt: skip

    def rows(run, compared, values):
        known = {name: unit for name, unit in wanted[run].items() if metrics.find(name).compared == compared}
        return [row(run, name, unit, values.get(name, REACHED)) for name, unit in known.items()]

    def write(run, **values):
        content = {"run": run, "scale": SCALE, "metrics": rows(run, False, values), "files": {}}
        files.write_json(paths.metrics(SCALE, run), files.sealed(content))

    def compare(**bleu):
        for table in here.comparisons:
            own = [one for run in here.table_runs(table) for one in rows(run, True, {"bleu": bleu.get(run, REACHED)})]
            content = {"scale": SCALE, "table": table, "draws": 9, "sequences": 200, "metrics": own, "missing": {}}
            content |= {name: [] for name in ("absent", "examples", "systems", "human", "intervals", "pairs")}
            content |= {"trained": {}, "reference": {}, "reachable": {"bleu": REACHED}}
            files.write_json(paths.compared(SCALE, table), files.sealed(content))

    for run in wanted:
        write(run)
    compare()
    return write, compare


def test_all_161_cells_have_a_number_and_nothing_is_wrong(made):
    said = acceptance.run(SCALE)
    assert "all 161 printed cells to reproduce have a number" in said and "within 2 BLEU" in said


def test_a_cell_without_a_number_is_named(made):
    paths.metrics(SCALE, "wmt16-nmt-lang_flow").unlink()
    paths.compared(SCALE, "tang2021-table5").unlink()
    with pytest.raises(Problem) as raised:
        acceptance.run(SCALE)
    lines = str(raised.value).splitlines()
    assert "  tang2021-table7, + Lang-Flow, BLEU: no number at scale demo; no metrics of wmt16-nmt-lang_flow" in lines
    assert len([line for line in lines if "tang2021-table5" in line and "no number" in line]) == 12
    assert len([line for line in lines if "are not both known" in line]) == 1 and len(lines) == 1 + 1 + 12 + 1


def test_without_results_the_target_that_makes_them_is_named(made):
    """Not a line for each cell."""
    shutil.rmtree("runs")
    with pytest.raises(Problem, match=r"expected runs with metrics.json in .*, found none; .* make demo$"):
        acceptance.run(SCALE)


def test_a_run_below_its_source_is_named(made):
    write, _ = made
    write("ptb-lstm", excess=-1.4)  # of a standard error of 0.5: chance
    acceptance.run(SCALE)
    write("ptb-lstm", excess=-1.6)
    with pytest.raises(Problem, match="\n  ptb-lstm: -1.6000 nats/sequence below its source, standard error 0.5000"):
        acceptance.run(SCALE)


def test_a_baseline_far_from_what_can_be_reached_is_named(made):
    _, compare = made
    compare(**{"tvqa-qg": REACHED - 1.9, "squad-qg": REACHED + 3, "tvqa-qg-lang_flow": 0.0})
    acceptance.run(SCALE)
    compare(**{"tvqa-qg": REACHED - 2.1})
    with pytest.raises(Problem, match="tang2021-table5, QG baseline: BLEU 77.90, more than 2 below the 80.00"):
        acceptance.run(SCALE)


def test_a_placeholder_of_a_run_that_the_scale_lacks_is_not_read(made, root):
    """DVC, whose stages have no scale, writes one."""
    whole = params.load()
    (name, *_) = [name for name in whole.runs if name not in whole.at(SCALE).runs]
    files.write_text(paths.metrics(SCALE, name), "params.yaml has no entry\n")
    acceptance.run(SCALE)


def test_the_command_checks_and_make_demo_ends_with_it(made, root, monkeypatch, capsys):
    monkeypatch.setattr("seqflows.pipeline.dvc.check", lambda matrix: None)
    assert cli.main(["check", "--results", SCALE]) == 0 and "all 161 printed cells" in capsys.readouterr().out
    paths.metrics(SCALE, "squad-qg").unlink()
    assert cli.main(["check", "--results", SCALE]) == 1 and "no metrics of squad-qg" in capsys.readouterr().err
    recipe = (root / "Makefile").read_text().split("\ndemo:")[1].split("\n\n")[0]
    assert recipe.splitlines()[-1] == "\t@python -m seqflows check --results demo"
