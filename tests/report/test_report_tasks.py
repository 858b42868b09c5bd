"""Tables of tasks: the best of each role from records, what separates them, and quality over time."""

from __future__ import annotations

import copy
import math
import re

import pytest

import report_world
from seqflows import files, params, paths
from seqflows.errors import Problem
from seqflows.report import figures, html, index, markdown, tables
from seqflows.report import tasks as rated
from seqflows.report.inputs import Results, read_csv
from seqflows.report.judging import FAILS, HOLDS, UNDECIDED, Ours
from seqflows.report.page import Table

TABLE = "ours-summary"
RUNS = ("ptb-af_af", "ptb-iaf_scf", "ptb-af_af-h2", "ptb-af_af-h5", "ptb-lstm")
BEST = {"paper": "ptb-af_af", "ours": "ptb-af_af-h5", "baseline": "ptb-lstm"}  # of the numbers of `report_world`


def write(*runs, scale="demo", seeds=(0,)):
    for run in runs:
        report_world.write_run(scale, run, seeds)


def set_nll(run, value, scale="demo", **more):
    """Another NLL of a run, of which older records have no scores."""
    path = paths.metrics(scale, run)
    content = files.read_sealed(path)
    made = [one | {"value": value, **more} if one["metric"] == "nll" else one for one in content["metrics"]]
    report_world.rewrite(path, metrics=[one for one in made if not one["metric"].startswith("nll@")])
    for folder in paths.evaluation(scale, run).glob("seed-*"):
        (folder / "scores.csv").unlink(missing_ok=True)


def task(world, name="characters", scale="demo"):
    return {one.name: one for one in rated.tasks(Results(world, scale), TABLE)}[name]


def grids(world, scale="demo"):
    """The two tables of the page, as rows of texts."""
    page = tables.made(Results(world, scale), TABLE).page
    shown = [block for block in page.blocks if isinstance(block, Table)]
    return [[[markdown.inline(cell) for cell in row] for row in block.rows] for block in shown]


def test_the_best_of_each_role_is_the_least_of_those_with_a_record(world):
    write(*RUNS)
    found = task(world)
    assert {role: found.best(role).run for role in BEST} == BEST
    set_nll("ptb-af_af-h2", 0.5)
    assert task(world).best("ours").run == "ptb-af_af-h2"
    paths.metrics("demo", "ptb-af_af").unlink()
    assert task(world).best("paper").run == "ptb-iaf_scf"


def test_of_equal_ones_the_first_named_is_the_best(world):
    write(*RUNS)
    for run in ("ptb-af_af-h2", "ptb-af_af-h5"):
        set_nll(run, 1.25)
    assert task(world).best("ours").run == "ptb-af_af-h2"
    world.tables[TABLE]["tasks"]["characters"]["ours"].reverse()
    assert task(world).best("ours").run == "ptb-af_af-h5"
    best, every = grids(world)
    assert [row[3] for row in best[:3]] == ["2 of 2", "2 of 2", "1 of 1"]
    assert [row[2] for row in every[:5] if row[-1]] == ["`ptb-af_af`", "`ptb-af_af-h5`", "`ptb-lstm`"]


def test_a_difference_is_that_of_the_claims_and_undecided_within_two_standard_errors(world):
    write(*RUNS, seeds=(0, 1, 2))
    results, found = Results(world, "demo"), task(world)
    for role in ("paper", "baseline"):
        less = rated.difference(results, found, found.best(role))
        wanted = Ours(results, ()).difference(f"{BEST['ours']}.nll", f"{BEST[role]}.nll")
        assert (less.value, less.error, less.note) == (wanted.value, wanted.error, wanted.note) and less.error > 0
    assert rated.difference(results, found, found.best("ours")) is None
    # without scores the errors of both, 0.01 over sequences and none over one seed, are joined in quadrature
    write(*RUNS)
    for shift, verdict in ((-0.029, HOLDS), (-0.028, UNDECIDED), (0.0, UNDECIDED), (0.028, UNDECIDED), (0.029, FAILS)):
        set_nll("ptb-af_af", 2.0)
        set_nll("ptb-iaf_scf", 9.0)
        set_nll("ptb-af_af-h5", 2.0 + shift)
        set_nll("ptb-af_af-h2", 9.0)
        found, results = task(world), Results(world, "demo")
        less = rated.difference(results, found, found.best("paper"))
        assert less.verdict == verdict and less.value == pytest.approx(shift)
        assert (
            less.error == pytest.approx(0.01 * 2**0.5) and less.note == "one seed, no spread known, errors not paired"
        )
        assert grids(world)[0][0][-2:] == [
            f"{shift:+.3f} ± 0.014",
            f"{rated.VERDICTS[verdict]} (one seed, no spread known, errors not paired)",
        ]
        write(*RUNS)


def test_a_candidate_of_one_seed_has_the_spread_of_the_others(world):
    """Else the error of a difference is of the other side's seeds alone."""
    write(*RUNS)
    for run, shift in (("ptb-af_af-h5", 0.0), ("ptb-af_af", 0.3)):
        report_world.write_run("demo", run, (0, 1, 2) if shift else (0,), spread=0.05)
    found, results = task(world), Results(world, "demo")
    ours, other = found.best("ours"), next(one for one in found.candidates if one.run == "ptb-af_af")
    assert len(ours.summary.seeds) == 1 and len(other.summary.seeds) == 3
    less = rated.difference(results, found, other)
    assert "one seed, spread of the other candidates" in less.note
    assert less.error >= other.summary.std * (1 + 1 / 3) ** 0.5


def test_nothing_is_concluded_from_other_test_sets_and_other_units_are_refused(world):
    write(*RUNS)
    set_nll("ptb-lstm", 5.0, dataset_sha256="cd" * 32)
    results, found = Results(world, "demo"), task(world)
    assert rated.difference(results, found, found.best("baseline")).verdict == rated.OTHER_DATA
    assert grids(world)[0][2][-1].startswith("other data")
    assert grids(world)[0][0][-1].startswith("above")
    set_nll("ptb-iaf_scf", 5.0, unit="nats/step")
    with pytest.raises(Problem, match="expected numbers of one unit for characters in ours-summary, got ptb-af_af.nll"):
        task(world)


def test_a_number_of_earlier_settings_alone_is_not_compared(world):
    """As in the claims: corrections may lie between the two; both of earlier settings are compared."""
    write(*RUNS)
    assert grids(world)[0][0][-1] != "undecided"
    world.runs[BEST["paper"]]["demo"]["training"] = {"epochs": 9}
    said = grids(world)[0][0][-1]
    assert said.startswith("undecided") and f"{BEST['paper']} alone is of earlier settings" in said
    world.runs[BEST["ours"]]["demo"]["training"] = {"epochs": 9}
    assert "alone" not in grids(world)[0][0][-1]


def test_without_records_a_table_says_so_and_is_whole(world):
    best, every = grids(world)
    assert [row[2] for row in best] == ["not run"] * 4 + ["none"] + ["not run"] * 4
    assert all(row[4:] == ["–"] * 7 for row in best) and all(row[4] == "not run" for row in every)
    assert [row[3] for row in best] == [
        "0 of 2",
        "0 of 2",
        "0 of 1",
        "0 of 2",
        "–",
        "0 of 2",
        "0 of 2",
        "0 of 1",
        "0 of 1",
    ]
    write("ptb-af_af-h5", "tvqa-att_ar")
    best, _ = grids(world)
    assert best[1][2] == "**AF / AF, h5**" and [row[-1] for row in best] == ["–"] * 9  # nothing to compare with


def test_parameters_and_minutes_are_those_of_the_trainings(world):
    write(*RUNS, seeds=(0, 1))
    assert (task(world).best("ours").parameters, task(world).best("ours").minutes) == (
        12345,
        pytest.approx(20 * 0.5 / 60),
    )
    assert grids(world)[0][1][4:6] == ["12,345", "0.167"]

    def train(seed, **changes):
        report_world.rewrite(paths.seed("demo", "ptb-af_af-h5", seed) / "train.json", **changes)

    train(1, threads=4)  # a mean of 10 seconds on one thread and on four
    assert task(world).best("ours").minutes == pytest.approx((1 + 4) / 2 * 10 / 60)
    train(1, device="cuda")  # no cores
    assert task(world).best("ours").minutes is None and task(world).best("ours").parameters == 12345
    assert grids(world)[0][1][5] == "–"


def test_an_epoch_beside_other_jobs_counts_as_the_others(world):
    """Minutes and the figure's axis take the median: of 20 epochs of half a second one had an hour by the clock."""
    write(*RUNS)
    folder = paths.seed("demo", "ptb-af_af-h5", 0)
    rows = read_csv(folder / "history.csv")
    report_world.write_seed(folder, [row | {"seconds": 3600.0 if at == 11 else 0.5} for at, row in enumerate(rows)],
                            files.read_sealed(folder / "train.json"))  # fmt: skip
    assert task(world).best("ours").minutes == pytest.approx(20 * 0.5 / 60)
    figure, _ = figures.draw(Results(world, "demo"), world.figures["ours-time"])
    line = next(line for line in figure.axes[0].lines if line.get_label().startswith("ours"))
    assert list(line.get_xdata()) == pytest.approx([epoch * 0.5 / 60 for epoch in range(1, 21)])
    page = markdown.written(tables.made(Results(world, "demo"), TABLE).page)
    assert page.count("core-minutes, median epoch") == 2 and "times the median of their wall-clock seconds" in page


def said(world, name="characters", scale="demo"):
    """The sentence of the page on a task; "" without one."""
    found = markdown.written(tables.made(Results(world, scale), TABLE).page).splitlines()
    return next((line for line in found if line.startswith(f"- **{name}")), "")


def test_a_goal_of_a_number_is_met_below_it_in_its_convention(world):
    report_world.write_run("demo", "jsb-af_af", (0,))
    block = {"metric": "nll", "paper": [], "ours": ["jsb-af_af"], "baseline": []}
    world.tables[TABLE]["tasks"]["music"] = block | {"goal": {"demo": {"nll_literature": 7.0}}}
    nll = task(world, "music").best("ours").summary.value  # in the literature's convention 0.01 less, by `report_world`
    for number, verdict, note in (
        (7.0, "met", " (one seed, no spread of jsb-af_af known)"),
        (nll - 0.009, "met", " (within two standard errors, one seed, no spread of jsb-af_af known)"),
        (nll - 0.011, "missed", " (within two standard errors, one seed, no spread of jsb-af_af known)"),
        (nll - 0.2, "missed", " (one seed, no spread of jsb-af_af known)"),
    ):
        block["goal"] = {"demo": {"nll_literature": number}}
        world.tables[TABLE]["tasks"]["music"] = block
        wanted = f"goal (below {number:g}, NLL per T, without log p(T)) {verdict}: {nll - 0.01:.3f}, "
        assert f"{wanted}{nll - 0.01 - number:+.3f} ± 0.010{note}" in said(world, "music")
    (row,) = [row for row in rated.rows(Results(world, "demo"), TABLE, [task(world, "music")])]
    assert (row["goal_metric"], row["goal"], row["goal_verdict"]) == ("nll_literature", nll - 0.2, "missed")
    assert row["ours_less_goal"] == pytest.approx(0.19) and row["goal_error"] == pytest.approx(0.01)
    # of another scale, or without the number
    block["goal"] = {"laptop": {"nll_literature": 7.0}}
    assert "goal" not in said(world, "music")
    block["goal"] = {"demo": {"nll_sentences": 7.0}}
    assert "goal (below 7, NLL by sentence): not run" in said(world, "music")


def test_a_goal_of_runs_is_the_better_of_them_by_two_standard_errors(world):
    write(*RUNS)
    world.tables[TABLE]["tasks"]["characters"]["goal"] = {"demo": {"nll": ["ptb-iaf_scf", "ptb-af_af"]}}
    set_nll("ptb-af_af-h5", 1.9)
    set_nll("ptb-af_af", 2.0)
    for value, verdict in ((1.95, "met"), (1.972, "undecided"), (2.1, "missed")):
        set_nll("ptb-iaf_scf", 2.5)
        set_nll("ptb-af_af-h2", value)
        set_nll("ptb-af_af-h5", value + 1)
        text = said(world)
        assert (
            f"goal (below the better of “IAF / SCF” and “AF / AF”, 2.000) {verdict}: {value - 2:+.3f} ± 0.014" in text
        )
    set_nll("ptb-iaf_scf", 1.0)
    assert "1.000) missed: +1.100" in said(world)
    paths.metrics("demo", "ptb-iaf_scf").unlink()
    assert "goal (below the better of “IAF / SCF” and “AF / AF”): not run" in said(world)


def test_the_sizes_stand_beside_the_comparison(world):
    """So that a model is not taken for one of the size of what it is compared with."""
    write(*RUNS)
    for run, size in (("ptb-af_af-h5", 276480), ("ptb-af_af", 9151), ("ptb-lstm", 500000)):
        report_world.rewrite(paths.seed("demo", run, 0) / "train.json", parameters=size)
    assert said(world).startswith("- **characters**: “AF / AF, h5”, 1.425 bpc; ")
    assert "above the paper's best, “AF / AF”, at 30 times its parameters; above the baseline" in said(world)
    assert said(world).endswith("“LSTM”, at 0.55 times its parameters")
    set_nll("ptb-af_af-h5", 1.0)
    assert "below the paper's best, “AF / AF”, at 30 times its parameters; below the baseline" in said(world)
    report_world.rewrite(paths.seed("demo", "ptb-af_af-h5", 0) / "train.json", parameters=0)
    assert "“AF / AF”, with no trained parameters beside its 9,151" in said(world)
    set_nll("ptb-lstm", 5.0, dataset_sha256="cd" * 32)
    assert "of other data than the baseline, “LSTM”, with no trained parameters beside" in said(world)
    assert not said(world, "embedded text")  # nothing of ours


def test_a_stand_in_is_named_in_every_row_and_in_the_figure(world):
    world.datasets["ptb"]["demo"]["source"] = "tvqa-questions"
    write(*RUNS)
    assert {one.name for one in rated.tasks(Results(world, "demo"), TABLE)} == {
        "characters (stand-in)", "embedded text", "words"
    }  # fmt: skip
    page = markdown.written(tables.made(Results(world, "demo"), TABLE).page)
    assert "**stand-in**; TVQA's subtitles are not to be had" in page and "- **characters (stand-in)**: " in page
    figure, _ = figures.draw(Results(world, "demo"), world.figures["ours-time"])
    assert figure.axes[0].get_legend().get_title().get_text() == "characters (stand-in)"


def test_a_history_without_seconds_has_no_minutes(world):
    report_world.write_words_run("demo", "words-gru8")
    assert task(world, "words").best("baseline").minutes is None


def test_what_no_model_makes_has_neither_size_nor_time(world):
    write("tvqa-lstm", "tvqa-att_ar", "tvqa-att_c")
    world.tables[TABLE]["tasks"]["embedded text"]["baseline"][0] = "tvqa-lstm"
    set_nll("tvqa-lstm", -3.0)
    one = task(world, "embedded text").best("baseline")
    assert (one.reference, one.name, one.parameters, one.minutes) == ("tvqa-lstm.floor", "floor", None, None)
    best, every = grids(world)
    assert best[5][2:6] == ["floor", "2 of 2", "–", "–"] and best[5][8] == "–"
    assert "`tvqa-lstm.floor`" in [row[2] for row in every]


def test_both_files_and_the_page_of_everything_have_it(world):
    write(*RUNS)
    tables.run(paths.Key("demo", TABLE))
    csv_path, md_path = paths.table("demo", TABLE)
    rows, text = read_csv(csv_path), md_path.read_text()
    assert len(rows) == 13 and {row["run"] for row in rows if row["best"]} == set(BEST.values())
    first = next(row for row in rows if row["run"] == "ptb-af_af")
    assert first["verdict"] == "above" and float(first["ours_less_this"]) > 0 and first["seeds"] == "1"
    assert all(not row["value"] and not row["verdict"] for row in rows if row["task"] != "characters")
    assert "Picked on the test set" in text and "not the papers'" in text and text.count("## ") == 1
    figures.run(paths.Key("demo", "ours-time"))
    page = index.written(Results(world, "demo"))
    assert page.count('<section id="ours-summary">') == 1 and '<a href="#ours-summary">' in page
    assert html.escape("Picked on the test set") in page
    assert len(re.findall('<figcaption>Time</figcaption><img loading="lazy" src="data:image/svg', page)) == 1


def test_numbers_of_another_params_are_told_below_the_candidates(world):
    write(*RUNS)
    assert "not as params.yaml says now" not in markdown.written(tables.made(Results(world, "demo"), TABLE).page)
    set_nll("ptb-lstm", 2.0, config_hash="00" * 32)
    text = markdown.written(tables.made(Results(world, "demo"), TABLE).page)
    assert "1 of 5 numbers are not as params.yaml says now" in text
    assert text.index("All candidates") < text.index("ptb-lstm: scored under other settings")


def test_a_line_is_the_lowest_loss_so_far_over_minutes(world):
    write(*RUNS, seeds=(0, 1))
    figure, _ = figures.draw(Results(world, "demo"), world.figures["ours-time"])
    (axis,) = figure.axes
    lines = [line for line in axis.lines if len(line.get_xdata()) == 20]
    assert len(lines) == 6  # two seeds of each best
    for line in lines:
        assert line.get_xdata() == pytest.approx([epoch * 0.5 / 60 for epoch in range(1, 21)])
        assert all(later <= sooner for sooner, later in zip(line.get_ydata(), line.get_ydata()[1:], strict=False))
    history = read_csv(paths.seed("demo", "ptb-lstm", 1) / "history.csv")
    losses = [float(row["valid_loss"]) for row in history]
    assert sorted(losses, reverse=True) != losses  # the least so far differs from the last
    bits = [min(losses[:end]) / math.log(2) for end in range(1, 21)]  # of characters, as in the table
    assert list(lines[-1].get_ydata()) == pytest.approx(bits) and axis.get_ylabel() == "bits per (T + 1)"
    names = [text.get_text() for text in axis.get_legend().get_texts()]
    assert names == ["paper's best: AF / AF", "ours: AF / AF, h5", "baseline: LSTM"]


def test_what_has_no_line_is_named_and_tasks_without_any_are_left_out(world):
    write("tvqa-lstm", "tvqa-att_ar")
    report_world.write_words_run("demo", "words-gru8")  # whose history has no seconds
    figure, _ = figures.draw(Results(world, "demo"), world.figures["ours-time"])
    (axis,) = figure.axes
    assert [text.get_text() for text in axis.get_legend().get_texts()][-1] == "baseline: floor, test set"
    assert axis.get_legend().get_title().get_text() == "embedded text"
    floor = task(world, "embedded text").best("baseline").summary.value
    assert any({*line.get_ydata()} == {floor} for line in axis.lines)
    low, high = axis.get_ylim()
    assert low < floor < high
    write(*RUNS)
    report_world.rewrite(paths.seed("demo", "ptb-lstm", 0) / "train.json", device="cuda")
    figure, _ = figures.draw(Results(world, "demo"), world.figures["ours-time"])
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()][-1] == "baseline: LSTM, without a line"


def test_a_scale_has_the_candidates_whose_runs_it_has(root):
    """And both stages read the trainings of all of them."""
    matrix = params.load(root / "params.yaml")
    runs = matrix.table_runs(TABLE)
    assert len(runs) == len(set(runs)) and runs == matrix.figure_runs("ours-time") and "tvqa-lstm" in runs
    here = [run for run in runs if "laptop" in matrix.runs[run]]
    assert matrix.at("laptop").table_runs(TABLE) == here
    fewer = copy.deepcopy(matrix)
    del fewer.runs["ptb-codebook"]["laptop"], fewer.runs["tvqa-lstm"]["laptop"]
    left = fewer.at("laptop")
    assert left.table_runs(TABLE) == [run for run in here if run not in ("ptb-codebook", "tvqa-lstm")]
    assert left.tables[TABLE]["tasks"]["embedded text, TVQA"]["baseline"] == []
