"""The page of a scale: every cell is in it with its run, and in a browser it answers clicks and filters."""

from __future__ import annotations

import json
import re

import pytest

import browser
import report_world
from seqflows import paths, records
from seqflows.errors import Problem
from seqflows.report import audit, cells, figures, html, index
from seqflows.report.inputs import Results
from seqflows.report.page import Code, Fact, Facts, Foreign, Heading, Link, Paragraph, Picture, Status, Strong, Table
from seqflows.report.papers.base import papers

CELL = "ziegler2019-table1/AF / AF/Test NLL"
OUTSIDE = "ziegler2019-table1/IAF / SCF/Reconst."


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The page of a synthetic laptop, with a figure that was drawn."""
    with report_world.placed(tmp_path_factory.mktemp("page")) as world:
        report_world.write_all("laptop", world)
        report_world.write_run("paper", "ptb-af_af")
        audit.run(paths.Key("laptop", "all"))
        figures.run(paths.Key("laptop", "ziegler2019-curves"))
        index.run(paths.Key("laptop", "all"))
        results = Results(world, "laptop")
        found = {
            f"{cell.table}/{cell.row}/{cell.column}": cell
            for name in world.tables if "texts" not in world.tables[name] for cell in cells.cells(results, name)
        }  # fmt: skip
        yield paths.page("laptop").resolve(), found, {run: records.trained("laptop", run) for run in world.runs}


@pytest.fixture(scope="module")
def data(page):
    text = page[0].read_text()
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)[1])


def test_every_cell_is_on_it_with_its_verdict(page, data):
    path, found, _ = page
    assert set(data["cells"]) == set(found) and len(found) > 150
    text = path.read_text()
    assert text.count('<button class="cell"') == len(found)
    for name, cell in found.items():
        shown = data["cells"][name]
        assert shown["reported"] == cell.reported and shown["run"] == cell.run
        assert (shown["ours"] == "") == (cell.summary is None)
    assert data["cells"][OUTSIDE]["verdict"] == "outside" and data["cells"][CELL]["verdict"] == "within"


def test_a_cell_has_the_signature_of_its_number(page, data):
    shown, cell = data["cells"][CELL], page[1][CELL]
    assert shown["signature"]["dataset sha256"] == cell.summary.dataset_sha256
    assert shown["signature"]["revision"] == cell.summary.revision and shown["signature"]["device"] == "cpu"
    assert shown["beside"]["scale"] == "paper" and data["cells"][OUTSIDE]["beside"] is None


def test_a_run_has_its_settings_curves_and_command(page, data):
    run = data["runs"]["ptb-af_af"]
    assert ["width", "32", "500"] in run["settings"] and any(text.startswith("width 32") for text in run["differs"])
    assert run["command"] == "python -m seqflows train laptop/ptb-af_af && python -m seqflows evaluate laptop/ptb-af_af"
    (trained,) = page[2]["ptb-af_af"]
    last = float(trained.history[-1]["valid_loss"])
    assert run["seeds"][0]["curves"]["valid_loss"][-1] == pytest.approx(last, rel=1e-4)


def test_a_run_has_the_deviations_that_can_change_it(data):
    def whats(run):
        found = data["runs"][run]
        return {data["deviations"][found["paper"]][place][0] for place in found["deviations"]}

    assert "baseline's optimiser (D)" in whats("ptb-lstm") and "posterior variance (5)" not in whats("ptb-lstm")
    assert "posterior variance (5)" in whats("ptb-af_af") and "baseline's optimiser (D)" not in whats("ptb-af_af")
    assert "seeds and errors" in whats("ptb-lstm") & whats("ptb-af_af")
    assert all("figure 3a" not in whats(run) for run in data["runs"])


def test_the_outcome_stands_first_and_claims_say_what_they_rest_on(page, world):
    text = page[0].read_text()
    start, end = text.index('<div id="summary"'), text.index('id="sentences"')
    answers, counts = re.findall("<table>.*?</table>", text[start:end], re.S)
    asked = sum(len(one.answers) for one in papers().values())
    assert answers.count("<tr>") == 1 + asked and counts.count("<tr>") == 1 + 3 and "13 hold, 1 fail" in counts
    assert "of earlier settings: " not in text
    report_world.write_all("laptop", world)
    world.runs["ptb-af_af"]["laptop"]["training"] = {"epochs": 9}
    index.run(paths.Key("laptop", "all"))
    assert paths.page("laptop").read_text().count(" runs of earlier settings: ptb-af_af</em>") > 3


def test_it_needs_no_network_and_is_small(page):
    text = page[0].read_text()
    assert len(text.encode()) < index.LARGEST
    assert not re.search(r'(?:src|href)="(?!#|data:)', re.sub(r'href="results/[^"]*"', "", text))
    assert "default-src 'none'" in text and "data:image/svg+xml;base64," in text


def test_a_page_that_is_too_large_is_not_written(world, monkeypatch):
    report_world.write_run("laptop", "ptb-lstm")
    monkeypatch.setattr(index, "LARGEST", 1000)
    with pytest.raises(Problem, match="expected a page of at most 0 MB, got .* fewer points"):
        index.run(paths.Key("laptop", "all"))
    assert not paths.page("laptop").exists()


def test_texts_that_were_not_made_are_named(world):
    report_world.write_run("laptop", "ptb-lstm")
    assert "Not made: expected runs/laptop/texts/" in index.written(Results(world, "laptop"))


def test_numbers_of_several_revisions_are_said(world):
    report_world.write_all("laptop", world)
    text = index.written(Results(world, "laptop"))
    assert "of several revisions" not in text
    path = paths.train("laptop", "ptb-lstm") / "seed-0/train.json"
    report_world.rewrite(path, revision="0123456789ab")
    text = index.written(Results(world, "laptop"))
    assert "The numbers are of several revisions; each cell names its own." in text and "0123456789ab" in text


def test_a_curve_is_thinned_and_keeps_its_ends():
    history = [{"valid_loss": str(float(epoch))} for epoch in range(1000)]
    found = index._curve(history, "valid_loss")
    assert len(found) == index.POINTS and (found[0], found[-1]) == (0.0, 999.0)
    assert index._curve([{"valid_loss": ""}], "valid_loss") == []


def test_every_mark_of_a_page_is_written_and_escaped():
    table = Table(("a", "b"), [("<x>", (Status("fails", "fails"), Code("&")))], left=1)
    blocks = [
        Heading(2, "T<"), Paragraph((Strong("s"), Link("results/a.md"))), Facts([Fact("f", [Foreign("<unk>")])]),
        table, Picture("p.png", "what"),
    ]  # fmt: skip
    text = html.blocks(blocks, 1)
    assert "<h3>T&lt;</h3>" in text and "<strong>s</strong>" in text and "<q>&lt;unk&gt;</q>" in text
    assert '<td class="number"><span class="status" data-status="fails">fails</span><code>&amp;</code></td>' in text
    assert '<img src="p.png" alt="what">' in text and "<x>" not in text


# In a browser

STATE = """
const told = document.createElement("pre"); told.id = "told"; document.body.append(told);
const cell = id => document.querySelector(`button.cell[data-id="${id}"]`);
const tell = more => { told.textContent = JSON.stringify({
  open: document.getElementById("run").open, title: document.getElementById("run-title").textContent,
  body: document.getElementById("run-body").textContent, dim: document.querySelectorAll("button.cell.dim").length,
  hidden: [...document.querySelectorAll("section.paper")].filter(one => one.hidden).map(one => one.id),
  count: document.getElementById("count").textContent, ...more}); };
const choose = (id, value) => {
  document.getElementById(id).value = value;
  document.getElementById(id).dispatchEvent(new Event("change", {bubbles: true}));
};
"""


def told(page, tmp_path, script):
    return json.loads(browser.element(browser.dom(page[0], STATE + script, tmp_path / "profile"), "told"))


@browser.needed
def test_a_click_shows_the_run(page, data, tmp_path):
    found = told(page, tmp_path, f'cell("{CELL}").click(); tell();')
    assert found["open"] and found["title"] == "AF / AF, Test NLL"
    revision = data["cells"][CELL]["signature"]["revision"]
    for part in ("ptb-af_af", revision, "Settings beside the paper's", "at scale paper"):
        assert part in found["body"]
    found = told(page, tmp_path, f'cell("{CELL}").click(); document.getElementById("close").click(); tell();')
    assert not found["open"]


@browser.needed
def test_filters_dim_what_does_not_fit(page, data, tmp_path):
    every = data["cells"].values()
    found = told(page, tmp_path, 'choose("paper", "schmidt2018"); tell();')
    fits = sum(cell["paper"] == "schmidt2018" for cell in every)
    assert found["count"] == f"{fits} cells" and found["dim"] == len(every) - fits
    assert found["hidden"] == ["ziegler2019", "tang2021"]
    script = 'document.querySelector(`input.verdict[value="outside"]`).checked = false; filter(); tell();'
    found = told(page, tmp_path, script)
    assert found["dim"] == sum(cell["verdict"] == "outside" for cell in every) > 0
    found = told(page, tmp_path, 'choose("seeds", "1"); tell();')
    assert found["dim"] == sum(cell["seeds"] < 1 for cell in every) > 0


@browser.needed
def test_a_claim_leads_to_its_runs(page, tmp_path):
    found = told(page, tmp_path, 'document.querySelector("button.run[data-run=ptb-af_af]").click(); tell();')
    assert found["open"] and found["title"] == "ptb-af_af" and "Made by" in found["body"]


@browser.needed
def test_it_fits_a_phone(page, tmp_path):
    script = 'parent.document.getElementById("told").textContent = document.documentElement.scrollWidth;'
    assert int(browser.framed(page[0], script, tmp_path / "profile", 400)) <= 400
