"""Tables: the printed numbers, and ours beside them from synthetic metrics."""

from __future__ import annotations

import csv
import math
import re
import shutil

import pytest

import report_world
from conftest import ROOT
from seqflows import cli, files, params, paths, records
from seqflows.errors import Problem
from seqflows.report import cells, inputs, keep, tables

TABLES = tuple(f"ziegler2019-table{number}" for number in (1, 2, 3))


def made(scale, table):
    tables.run(paths.Key(scale, table))
    csv_path, md_path = paths.table(scale, table)
    with open(csv_path, newline="") as file:
        return list(csv.DictReader(file)), md_path.read_text()


def test_the_paper_has_41_cells_to_reproduce_and_25_quoted():
    found = [cell for table in TABLES for cell in cells.reported(table)]
    statuses = [cell.status for cell in found]
    assert statuses.count("reproduce") == 41
    assert statuses.count("quoted") == 25
    assert len({(cell.table, cell.row, cell.column) for cell in found}) == len(found)
    assert all(cell.note for cell in found if cell.status == "quoted")
    assert all(float(cell.reported) > 0 and cell.section for cell in found)


@pytest.mark.parametrize(
    ("table", "row", "column", "value"),
    [
        ("ziegler2019-table1", "LSTM", "Test NLL", "1.38"),
        ("ziegler2019-table1", "AF-only", "KL", "2.77"),
        ("ziegler2019-table1", "IAF / SCF", "Reconst.", "0.21"),
        ("ziegler2019-table2", "- AF hidden and NLSq", "Reconst.", "0.29"),
        ("ziegler2019-table3", "SRNN", "Piano", "8.2"),
        ("ziegler2019-table3", "IAF / SCF", "Musedata", "7.06"),
    ],
)
def test_printed_numbers(table, row, column, value):
    assert {(c.row, c.column): c.reported for c in cells.reported(table)}[row, column] == value


def test_printed_bounds_lie_above_their_estimates():
    """Importance sampling cannot exceed the bound it tightens: a misread number would break this."""
    for table in TABLES[:2]:
        values = {(cell.row, cell.column): float(cell.reported) for cell in cells.reported(table)}
        for row in {row for row, column in values if column == "KL"}:
            assert values[row, "Reconst."] + values[row, "KL"] >= values[row, "Test NLL"]


def test_table_with_every_run(world):
    report_world.write_all("demo", world)
    rows, text = made("demo", "ziegler2019-table1")
    assert tuple(rows[0]) == tables.COLUMNS
    wanted = [row for row in rows if row["status"] == "reproduce"]
    assert len(wanted) == 13
    assert all(row["reproduced"] and row["seeds"] == "1" and row["std"] == "" for row in wanted)
    cell = next(row for row in wanted if row["row"] == "AF / AF" and row["column"] == "Test NLL")
    assert (cell["reported"], float(cell["reproduced"]), cell["samples"]) == ("1.42", 1.42, "50")
    assert (cell["run"], cell["metric"], cell["dataset_sha256"]) == ("ptb-af_af", "nll", "ab" * 32)
    assert "1.42 / 1.420 (0.010)" in text
    assert "1.38 (quoted)" in text
    assert "source entropy" in text
    assert "NLL K=100" in text and "ESS" in text and "embedded" in text
    assert {"source_entropy", "source"} <= {row["metric"] for row in rows if row["status"] == "ours"}


def test_music_table_has_both_conventions_and_the_excess(world):
    report_world.write_all("demo", world)
    rows, text = made("demo", "ziegler2019-table3")
    assert sum(row["status"] == "reproduce" and row["reproduced"] != "" for row in rows) == 16
    assert "The literature's convention" in text and "Above the source" in text
    assert re.search(r"importance weights of all \d[\d, ]* samples drawn", text) and "()" not in text
    assert "2.39 / 2.380 (0.010)" in text and "– / " in text
    world.tables["variants"] = {"title": "Variants", "rows": {"AF / AF": {"JSB": "jsb-af_af.nll"}}}
    text = made("demo", "variants")[1]  # of a table that the paper does not print in either convention
    assert "The literature's convention" in text and "– / " not in text


def test_language_is_also_in_nats_a_position_above_the_floor(world):
    report_world.write_all("laptop", world)
    _, text = made("laptop", "tang2021-table4")
    block = text.split("## Nats a position above the floor")[1].split("##")[0]
    line = next(line for line in block.splitlines() if line.startswith("| Att-AR"))
    found = [float(cell.split()[0]) for cell in line.split("|")[2:4]]
    assert found == pytest.approx([50 * (bits + 9.953) * math.log(2) for bits in (-9.62, -17.12)], abs=0.02)
    assert "## Nats a position" not in made("laptop", "ziegler2019-table1")[1]


def test_seeds_are_summarised(world):
    report_world.write_run("demo", "ptb-lstm", (0, 1, 2), spread=0.01)
    summary = inputs.Results(world, "demo").summary("ptb-lstm", "nll")
    assert summary.seeds == (0, 1, 2)
    assert summary.value == pytest.approx(1.41)
    assert summary.std == pytest.approx(0.01)
    assert summary.standard_error == pytest.approx(0.01)
    assert summary.error == pytest.approx(math.hypot(0.01, 0.01 / math.sqrt(3)))
    assert cells.number(summary) == "1.410 ± 0.010 (0.010)"


def test_a_run_that_was_not_made_leaves_a_cell_that_says_so(world):
    report_world.write_run("demo", "ptb-lstm")
    rows, text = made("demo", "ziegler2019-table1")
    cell = next(row for row in rows if row["row"] == "AF / SCF")
    assert cell["reproduced"] == "" and cell["note"] == "not run"
    assert "1.46 / not run" in text


def test_same_input_same_bytes(world):
    report_world.write_all("laptop", world)
    first = made("laptop", "ziegler2019-table3")
    assert made("laptop", "ziegler2019-table3") == first


def test_a_table_that_is_not_the_papers(world):
    world.tables["variants"] = {"title": "Variants", "rows": {"H = 5": {"Test NLL": "ptb-af_af-h5.nll"}}}
    report_world.write_run("demo", "ptb-af_af-h5")
    rows, text = made("demo", "variants")
    assert rows[0]["status"] == "ours" and "| 1.425 (0.010) |" in text
    assert "Each cell: ours, which the paper does not print, ± standard deviation over seeds" in text


def test_the_seeds_are_told_by_column_or_row(world):
    world.tables["variants"] = {
        "title": "Variants",
        "rows": {
            "A": {"x": "ptb-af_af.nll", "y": "ptb-af_scf.nll"},
            "B": {"x": "ptb-af_af-h5.nll", "y": "ptb-iaf_scf.nll"},
            "C": {"x": "ptb-af_af-h2.nll"},
        },
    }
    for run in ("ptb-af_af", "ptb-af_af-h5", "ptb-af_af-h2"):
        report_world.write_run("demo", run)
    for run in ("ptb-af_scf", "ptb-iaf_scf"):
        report_world.write_run("demo", run, seeds=(0, 1))
    assert "; seeds: 0, and 0 1 of y\n" in made("demo", "variants")[1]
    report_world.write_run("demo", "ptb-iaf_scf")
    report_world.write_run("demo", "ptb-af_af", seeds=(0, 1))
    assert "; seeds: 0, and 0 1 of A\n" in made("demo", "variants")[1]
    report_world.write_run("demo", "ptb-af_af")
    assert "; seeds: 0; 0 1\n" in made("demo", "variants")[1]  # one cell, neither a row nor a column


def test_numbers_of_other_settings_say_so(world):
    report_world.write_all("laptop", world)
    assert "Not as params.yaml says now" not in made("laptop", "ziegler2019-table3")[1]
    world.runs["jsb-lstm"]["laptop"]["training"]["epochs"] = 7
    text = made("laptop", "ziegler2019-table3")[1]
    assert "- **Not as params.yaml says now**: jsb-lstm: scored under other settings than params.yaml has now" in text


def test_numbers_of_other_data_say_so(world):
    """As of word vectors that a dataset had before: no setting of the run itself is another."""
    report_world.write_all("laptop", world)
    folder, before = paths.prepared("laptop", "jsb"), made("laptop", "ziegler2019-table3")
    files.write_json(folder / "statistics.json", {"kind": "music"})
    files.write_json(folder / "checksums.json", {"files": {}, "sha256": before[0][0]["dataset_sha256"]})
    keep.run("laptop")
    assert files.read_json(paths.statistics("laptop", "jsb"))["kind"] == "music"
    assert made("laptop", "ziegler2019-table3") == before
    files.write_json(folder / "checksums.json", {"files": {}, "sha256": "0" * 64})
    changed = made("laptop", "ziegler2019-table3")  # from what the run is made of; what was kept is no input
    keep.run("laptop")
    shutil.rmtree(folder)
    assert made("laptop", "ziegler2019-table3") == changed  # as in a clone
    text = changed[1]
    (line,) = [line for line in text.splitlines() if "scored on other data than jsb has now" in line]
    assert "jsb-lstm" in line and "nottingham-lstm" not in line


def test_rows_of_earlier_data_are_in_the_line_of_their_corpus(world):
    report_world.write_all("laptop", world)
    path = paths.metrics("laptop", "jsb-af_af")
    metrics = [{**one, "dataset_sha256": "cd" * 32} for one in files.read_sealed(path)["metrics"]]
    report_world.rewrite(path, metrics=metrics)
    text = made("laptop", "ziegler2019-table3")[1]
    assert "- corpus jsb = jsb (real; 40 test sequences; sha256 abababababab or cdcdcdcdcdcd)\n" in text
    assert "- corpus piano = piano (real; 40 test sequences; sha256 abababababab)\n" in text


def test_kept_records_stand_in_for_runs_that_were_not_made_here(world):
    """A fresh clone has results/<scale>/runs and no runs/<scale>: its tables come out as they were."""
    report_world.write_all("laptop", world)
    before = made("laptop", "ziegler2019-table3")
    keep.run("laptop")
    shutil.rmtree("runs")
    assert made("laptop", "ziegler2019-table3") == before
    report_world.write_run("laptop", "jsb-lstm", seeds=(3,))  # what was made here comes first
    assert "; seeds: 0; 3\n" in made("laptop", "ziegler2019-table3")[1]


def test_mistakes_in_the_matrix_are_named(world):
    report_world.write_run("demo", "ptb-lstm")
    rows = world.tables["ziegler2019-table1"]["rows"]
    rows["LSTM (sentence-wise)"]["Test NLL"] = "ptb-lstm.nl"
    with pytest.raises(Problem, match="nearest: nll"):
        made("demo", "ziegler2019-table1")
    rows["LSTM (sentence-wise)"]["Test NLL"] = "ptb-lst.nll"
    with pytest.raises(Problem, match="nearest: ptb-lstm"):
        made("demo", "ziegler2019-table1")
    rows["LSTM (sentence-wise)"]["Test NLL"] = "ptb-lstm.nll"
    rows["LSTM"] = {"Test NLL": "ptb-lstm.nll"}
    with pytest.raises(Problem, match="quoted"):
        made("demo", "ziegler2019-table1")
    with pytest.raises(Problem, match="table9"):
        made("demo", "ziegler2019-table9")


def test_wrong_unit_and_malformed_metrics_are_refused(world):
    report_world.write_run("demo", "ptb-lstm")
    path = paths.metrics("demo", "ptb-lstm")
    content = files.read_json(path)
    content["metrics"][0]["unit"] = "nats"
    report_world.rewrite(path, metrics=content["metrics"])
    with pytest.raises(Problem, match="expected bpc"):
        made("demo", "ziegler2019-table1")
    files.write_json(path, files.sealed({"run": "ptb-lstm", "scale": "demo"}))
    with pytest.raises(Problem, match="evaluate it again"):
        made("demo", "ziegler2019-table1")


def test_differences_from_the_papers_settings_know_defaults(world):
    run = world.runs["ptb-af_af"]
    run["laptop"] = {"model": {"class": "latent_sequence", "width": 128}, "training": {"epochs": 40}}
    run["paper"] = {"model": {"class": "latent_sequence", "depth": 2}, "training": {"epochs": 100, "optimizer": "adam"}}
    found = inputs.Results(world, "laptop").differences("ptb-af_af")
    assert found == ["width 128 (paper 500)", "epochs 40 (paper 100)"]
    assert inputs.Results(world, "paper").differences("ptb-af_af") == []


def test_params_yaml_fills_every_cell_to_reproduce():
    matrix = params.load(ROOT / "params.yaml")
    for table in TABLES:
        wanted = {(cell.row, cell.column) for cell in cells.reported(table) if cell.status == "reproduce"}
        rows = ("LSTM, Adam", "Codebook", "Codebook, Transformer")  # beside the printed ones
        own = {(row, column) for row in rows for _, column in wanted}
        assert wanted <= set(cells.addresses(matrix, table)) <= wanted | own


def test_records_of_runs_are_kept(world, capsys):
    with pytest.raises(Problem, match="expected runs with metrics.json"):
        keep.run("laptop")
    for name in ("ptb-lstm", "jsb-af_af"):
        report_world.write_run("laptop", name, (0, 1))
    assert keep.run("laptop") == (["ptb-lstm", "jsb-af_af"], [])
    files.write_json(paths.prepared("laptop", "jsb") / "statistics.json", {})
    files.write_json(paths.prepared("laptop", "jsb") / "checksums.json", {"sha256": "ab"})
    capsys.readouterr()
    assert cli.main(["keep", "laptop"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "kept the records of runs ptb-lstm, jsb-af_af in results/laptop/runs",
        "kept the statistics of datasets jsb in results/laptop/datasets",
    ]
    report_world.write_speed("laptop", "ptb")
    keep.run("laptop")
    assert (paths.results("laptop") / "speed/ptb.csv").read_text() == paths.speed("laptop", "ptb").read_text()
    assert {path.name for path in (paths.results("laptop") / "runs").iterdir()} == {"ptb-lstm.json", "jsb-af_af.json"}
    made = records.metrics("laptop", "jsb-af_af"), records.trained("laptop", "jsb-af_af")
    shutil.rmtree("runs")
    assert (records.metrics("laptop", "jsb-af_af"), records.trained("laptop", "jsb-af_af")) == made
    assert [one.seed for one in made[1]] == [0, 1] and len(made[1][0].history) == 20
    lines = paths.record("laptop", "jsb-af_af").read_text().splitlines()
    assert sum('"metric": ' in line for line in lines) == len(made[0]["metrics"])


def test_files_of_an_evaluation_are_verified(world):
    report_world.write_run("laptop", "ptb-lstm")
    path, folder = paths.metrics("laptop", "ptb-lstm"), paths.evaluation("laptop", "ptb-lstm")
    listed = {p.relative_to(folder).as_posix(): files.sha256(p) for p in folder.rglob("*") if p.is_file()}
    report_world.rewrite(path, files=listed)
    assert inputs.Results(world, "laptop").scores("ptb-lstm")
    scores = folder / "seed-0/scores.csv"
    scores.write_text(scores.read_text().replace("10", "11", 1))
    with pytest.raises(
        Problem, match="expected .*scores.csv with sha256 .* run: python -m seqflows evaluate laptop/ptb"
    ):
        inputs.Results(world, "laptop").scores("ptb-lstm")
    report_world.rewrite(path, files={"other": "x", "seed-0/samples.txt": "y"})
    with pytest.raises(Problem, match="which does not list it"):
        inputs.Results(world, "laptop").scores("ptb-lstm")
