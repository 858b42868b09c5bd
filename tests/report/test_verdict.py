"""The answer in short: the sentence, a row per claim, claims.csv and the picture of all cells."""

from __future__ import annotations

import csv

import pytest

import report_world
from seqflows import metrics, paths
from seqflows.report import audit, cells, markdown, readme, verdict
from seqflows.report.inputs import Results
from seqflows.report.judging import Finding, Ours, join, ruled
from seqflows.report.papers import base
from seqflows.report.plots import strips

ZIEGLER = base.papers()["ziegler2019"]


def claims_of(scale):
    audit.run(paths.Key(scale, "all"))
    with open(paths.audit(scale)[2], newline="") as file:
        return {row["claim"]: row for row in csv.DictReader(file) if row["paper"] == "ziegler2019"}


def test_claims_csv_has_both_verdicts_and_the_runs_that_say_so(world):
    report_world.write_all("laptop", world)
    rows = claims_of("laptop")
    assert list(rows) == [claim.name for claim in ZIEGLER.claims]
    found = rows["AF / SCF worse than AF / AF"]
    assert (found["printed"], found["ours"]) == ("holds", "holds")
    named = {f"{name}-{run}" for name in ("nottingham", "piano", "musedata", "jsb") for run in ("af_af", "af_scf")}
    assert set(found["runs"].split()) == named
    assert rows["RNN-NADE is strongest"]["runs"] == ""
    assert "“IAF / SCF” 88.1%" in rows["KL is over 90 % of the bound"]["printed_numbers"]


def test_what_rests_on_runs_of_earlier_settings_says_so(world):
    """In the sentence, in the row of the claim, in claims.csv and in the audit."""
    report_world.write_all("laptop", world)
    results = Results(world, "laptop")
    fresh = markdown.inline(audit.said(results, audit.audited(results, ZIEGLER)))
    assert "earlier" not in fresh and not any(row["runs_of_earlier_settings"] for row in claims_of("laptop").values())
    world.runs["ptb-af_af"]["laptop"]["training"] = {"epochs": 9}
    results = Results(world, "laptop")
    found = audit.audited(results, ZIEGLER)
    concerned = [one for one in found.claims if "ptb-af_af" in one.runs]
    decided = [one for one in concerned if one.ours.verdict in ("holds", "fails", "undecided")]
    assert {one.earlier for one in concerned} == {("ptb-af_af",)} and len(decided) > 3
    assert f"{len(decided)} of these with runs of earlier settings" in markdown.inline(audit.said(results, found))
    lines = markdown.blocks(verdict.brief(found.claims)).splitlines()
    marked = {line.split("**")[1] for line in lines if line.startswith("| **") and verdict.EARLIER in line}
    certain = {one.claim.name: one for one in decided if one.ours.verdict != "undecided" and not one.claim.check}
    assert marked == {*certain}
    rows = claims_of("laptop")
    assert {name for name, row in rows.items() if row["runs_of_earlier_settings"] == "ptb-af_af"} == {
        one.claim.name for one in concerned
    }
    assert paths.audit("laptop")[1].read_text().count(f"{verdict.EARLIER}: `ptb-af_af`") == len(concerned)


def test_cells_of_earlier_settings_are_counted(world):
    """In the summary, whose counts add up to the number of printed cells, in the sentence and in audit.csv."""
    report_world.write_all("laptop", world)
    world.runs["ptb-af_af"]["laptop"]["training"] = {"epochs": 9}
    one = audit.audited(Results(world, "laptop"), ZIEGLER)
    cells = [(cell, row) for cell, row in one.rows if cell.status == "reproduce"]
    aged = [row for cell, row in cells if cell.run == "ptb-af_af"]
    assert len(aged) == 6 and {row["earlier_settings"] for row in aged} == {"yes"}
    said = f"{len(aged)} of our {len(cells)} numbers of earlier settings"
    (*_, counted, _) = audit.summary([one])[-1].rows[0]
    assert counted.startswith(f"of {len(cells)}: ") and counted.endswith(f"; {said}")
    named = counted.partition(": ")[2].removesuffix(f"; {said}")
    assert sum(int(part.split()[0]) for part in named.split(", ")) == len(cells)
    assert f", {said}; 25 quoted" in audit.made(one.rows)
    shown = audit.cell_table(one.rows).rows
    assert [row[-1] for row in shown].count("earlier") == 6 and {row[-1] for row in shown} == {
        "earlier",
        "present",
        "–",
    }
    assert audit.of_earlier([(cell, row) for cell, row in cells if row not in aged]) == ""


def test_runs_of_earlier_settings_have_their_names_unless_all_are():
    claim = ZIEGLER.claims[0]
    one = verdict.Judged(claim, Finding("holds", ""), Finding("holds", ""), ("a", "b"), ("b",))
    assert one.aged == "1 of 2 runs of earlier settings: b"
    assert one._replace(earlier=("a", "b")).aged == "all runs of earlier settings"
    assert one._replace(earlier=()).aged == ""


def test_checks_of_ours_are_no_claims_of_the_paper(world):
    """They are counted apart, stand after the claims and are not in quotation marks."""
    report_world.write_all("laptop", world)
    found = audit.audited(Results(world, "laptop"), base.papers()["schmidt2018"])
    checks = [one for one in found.claims if one.claim.check]
    text = markdown.inline(audit.said(Results(world, "laptop"), found))
    assert f": of {len(found.claims) - len(checks)} claims, " in text and f"Of {len(checks)} checks of ours on" in text
    rows = [line for line in markdown.blocks(verdict.brief(found.claims)).splitlines() if line.startswith("| **")]
    audit.run(paths.Key("laptop", "all"))
    places = ["a check of ours: " in row for row in rows]
    assert places == sorted(places) and any(places) and not all(places)
    named = {one.claim.name: row for one in checks for row in rows if row.startswith(f"| **{one.claim.name}**")}
    assert named and all(f"“{one.claim.says}”" not in named.get(one.claim.name, "") for one in checks)
    with open(paths.audit("laptop")[2], newline="") as file:
        kinds = {row["claim"]: row["kind"] for row in csv.DictReader(file) if row["paper"] == "schmidt2018"}
    assert {name for name, kind in kinds.items() if kind == "check"} == {one.claim.name for one in checks}


def test_a_claim_on_printed_numbers_that_cannot_be_says_so(world):
    """Of Table 4 the four cells below the noise's entropy: in the counts, the sentence and at each claim."""
    found = audit.audited(Results(world, "laptop"), base.papers()["tang2021"]).claims
    answered = [one for one in found if one.printed.verdict in verdict.ANSWERS]
    rests = [one for one in answered if one.impossible]
    assert {one.claim.section for one in rests if not one.claim.check} <= {"1", "5.1"} and len(rests) < len(answered)
    assert all(one.printed.text.endswith(verdict.IMPOSSIBLE) == one.impossible for one in answered)
    assert all(one.printed.reason.endswith(verdict.IMPOSSIBLE) == one.impossible for one in answered)
    holds = sum(one.printed.verdict == "holds" for one in rests if not one.claim.check)
    assert holds and f" hold ({holds} {verdict.IMPOSSIBLE})" in verdict.counts(found)[0]
    assert not any(one.impossible for one in audit.audited(Results(world, "laptop"), ZIEGLER).claims)


def test_the_smallest_difference_seen_is_two_standard_errors(world):
    for name in ("ptb-lstm", "ptb-af_af"):
        report_world.write_run("laptop", name)
    one = next(
        one for one in verdict.judged(Results(world, "laptop"), ZIEGLER) if one.claim.name == "AF / AF matches the LSTM"
    )
    difference = Ours(Results(world, "laptop"), ["ziegler2019-table1"]).difference("ptb-af_af.nll", "ptb-lstm.nll")
    assert one.ours.seen == pytest.approx(2 * difference.error) and one.seen == f"{2 * difference.error:.2g}"
    assert one.printed.seen is None  # printed numbers have no error


def test_a_joined_finding_is_short_by_its_nearest(world):
    far, near = ruled(-0.5, 0.1, "far"), ruled(-0.3, 0.1, "near")
    found = join([far, near, Finding("not printed", "n")][:2])
    assert found.reason == "near; and 1 more" and found.error == 0.1 and found.text == "near; far"
    assert join([far]).reason == "far" and Finding("holds", "alone").reason == "alone"


def test_a_sentence_counts_both_sides(world):
    report_world.write_all("laptop", world)
    results = Results(world, "laptop")
    one = audit.audited(results, ZIEGLER)
    text = markdown.inline(audit.said(results, one))
    held = sum(found.printed.verdict == "holds" for found in one.claims if not found.claim.check)
    assert text.startswith(f"**{ZIEGLER.title}**: of 19 claims, on the printed numbers {held} hold, 1 fail (5 not")
    assert "; on ours " in text and "41 of 41 cells of models have a number of ours" in text
    assert "Settings that are not the paper's, and in how many of 24 runs: width 24, epochs 24" in text


def test_what_is_the_papers_own_size_says_so(world):
    report_world.write_run("paper", "ptb-lstm")
    assert verdict.reduced(Results(world, "paper"), ["ptb-lstm"]) == "All settings are the paper's"


def test_cells_that_the_test_set_does_not_resolve(world):
    report_world.write_run("laptop", "ptb-lstm", spread=0.0)
    path = paths.metrics("laptop", "ptb-lstm")

    def row():
        cell = next(c for c in cells.of_table(Results(world, "laptop"), "ziegler2019-table1") if c.run == "ptb-lstm")
        return audit.judged(Results(world, "laptop"), cell)[1]

    assert row()["verdict"] == "within" and row()["tolerance"] == 0.02
    content = report_world.files.read_json(path)
    changed = [{**one, "standard_error": 0.021} if one["metric"] == "nll" else one for one in content["metrics"]]
    report_world.rewrite(path, metrics=changed)
    assert row()["verdict"] == audit.UNRESOLVED == "within but undecided"
    left = (0.02 - abs(row()["difference"])) / 2  # two errors to the tolerance, as from outside
    for error, named in ((1.01 * left, audit.UNRESOLVED), (0.99 * left, "within")):
        changed = [{**one, "standard_error": error} if one["metric"] == "nll" else one for one in content["metrics"]]
        report_world.rewrite(path, metrics=changed)
        assert row()["verdict"] == named
    for error, named in ((0.016, audit.OPEN), (0.014, "outside")):  # 0.05 off, 0.03 beyond the tolerance
        changed = [
            {**one, "standard_error": error, "value": 1.41 + 0.05} if one["metric"] == "nll" else one
            for one in content["metrics"]
        ]
        report_world.rewrite(path, metrics=changed)
        assert row()["difference"] == pytest.approx(0.05) and row()["verdict"] == named


def test_the_papers_own_test_set_leaves_nothing_open(world):
    """A printed number is of that set too: only seeds decide, their spread where one seed has none."""
    report_world.write_run("laptop", "jsb-lstm", seeds=(0, 1, 2), spread=0.01)
    path = paths.metrics("laptop", "jsb-lstm")
    content = report_world.files.read_json(path)
    changed = [{**one, "standard_error": 0.11} if one["metric"] == "nll" else one for one in content["metrics"]]
    report_world.rewrite(path, metrics=changed)

    def verdict_of():
        cell = next(c for c in cells.of_table(Results(world, "laptop"), "ziegler2019-table3") if c.run == "jsb-lstm")
        return audit.judged(Results(world, "laptop"), cell)[1]["verdict"]

    assert verdict_of() == audit.UNRESOLVED
    statistics = {"splits": {"test": {"sequences": 77, "symbols": 4725, "longest": 160}}}
    for scale in ("laptop", "paper"):
        assert verdict_of() == audit.UNRESOLVED  # whose test set is not known, is another
        report_world.files.write_json(paths.statistics(scale, "jsb"), statistics)
    assert verdict_of() == "within"
    report_world.files.write_json(paths.statistics("laptop", "jsb"), {"splits": {"test": {"sequences": 76}}})
    assert verdict_of() == audit.UNRESOLVED


def test_the_oracle_is_counted_apart(world):
    report_world.write_all("laptop", world)
    one = audit.audited(Results(world, "laptop"), base.papers()["schmidt2018"])
    of_data = {cell.row for cell, _ in one.rows if cell.metric and metrics.find(cell.metric).of_data}
    assert of_data == {"ORACLE"}
    assert "61 of 61 cells of models" in audit.made(one.rows) and "; 4 cells of the data alone: " in audit.made(
        one.rows
    )


def test_every_cell_with_a_number_is_a_dot(world, monkeypatch):
    report_world.write_all("laptop", world)
    drawn = {}
    real = strips.draw
    monkeypatch.setattr(
        strips, "draw", lambda title, dots, missing: drawn.update({title: dots}) or real(title, dots, missing)
    )
    audit.run(paths.Key("laptop", "all"))
    with open(paths.audit("laptop")[0], newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["status"] == "reproduce" and row["reproduced"]]
    placed = [row for row in rows if row["verdict"] != audit.UNREACHABLE]
    dots = [dot for tables in drawn.values() for found in tables.values() for dot in found]
    assert len(dots) == len(placed) and len(rows) > len(placed)
    inside = [row for row in placed if row["verdict"] in ("within", audit.UNRESOLVED)]
    assert sum(dot.inside for dot in dots) == len(inside)
    folder = paths.audit("laptop")[3]
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        f"{name}.{kind}" for name in base.papers() for kind in ("png", "svg")
    )


def test_few_dots_have_the_names_of_their_cells_inside_the_picture():
    from matplotlib import pyplot

    dots = [strips.Dot(place, False, False, f"row {place:g}, column") for place in (-900.0, 0.5, 900.0)]
    figure = strips.draw("Paper", {"Table 1": dots}, {"Table 1": ""})
    figure.canvas.draw()
    (axis,) = figure.axes
    frame = axis.get_window_extent()
    assert [text.get_text() for text in axis.texts] == [dot.name for dot in dots]
    for text in axis.texts:
        box = text.get_window_extent()
        assert frame.x0 <= box.x0 and box.x1 <= frame.x1
    pyplot.close(figure)


def test_a_paper_without_numbers_has_no_picture(world):
    audit.run(paths.Key("paper", "all"))
    assert not list(paths.audit("paper")[3].iterdir())
    assert "![" not in paths.audit("paper")[1].read_text()


def test_dots_that_would_cover_each_other_are_stacked():
    assert strips.stacked([1.0, 1.0, 1.0], 4.0) == [0, 1, 2]
    assert strips.stacked([3.0, -3.0, 0.0], 6.0) == [0, 0, 0]


def test_what_a_strip_lacks_stands_above_its_dots_and_the_dots_are_explained():
    from matplotlib import pyplot

    dots = [strips.Dot(40.0, False, False, "LSTM, JSB")] * (strips.NAMED + 1)
    figure = strips.draw("Paper", {"Table 1": dots, "Table 2": dots}, {"Table 1": "4 not run", "Table 2": ""})
    pyplot.close(figure)
    (axis,) = figure.axes
    (text,) = axis.texts  # of many dots none has its name
    places = [line.get_ydata()[0] for line in axis.lines if line.get_marker() == "o" and len(line.get_ydata())]
    assert text.get_text() == "without a dot: 4 not run" and text.get_position()[1] > max(places) + 0.3
    named = [one.get_text() for one in axis.get_legend().get_texts()]
    assert named == ["within the tolerance", "outside", "decides nothing"]


def test_the_readme_has_a_row_per_decided_claim_in_the_papers_words(world):
    report_world.write_all("laptop", world)
    path = "results/laptop/verdict/ziegler2019.png"
    text = readme.refreshed(f"<!-- verdict: {path} -->\n<!-- end -->")
    found = verdict.judged(Results(world, "laptop"), ZIEGLER)
    decided = [one for one in found if one.ours.verdict in ("holds", "fails")]
    assert 3 < len(decided) < len(found) and text.count("\n| **") == len(decided)
    for one in found:
        claim, verdicts = one.claim, f"{one.printed.verdict} | {one.ours.verdict}"
        row = f"| **{claim.name}**: {claim.said} ({claim.section}) | {verdicts} | "
        assert (row in text) == (one in decided)
        assert one in decided or one.claim.name in text.split("| --- |\n")[1]
    assert f"]({path})" in text and "[`results/laptop/audit.md`]" in text
