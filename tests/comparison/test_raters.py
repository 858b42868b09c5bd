"""Sheets for raters: what is drawn, that nothing in them tells the systems, and the page in a browser."""

from __future__ import annotations

import csv
import io
import json
import re
from html.parser import HTMLParser

import pytest

import browser
import compared
from compared import SCALE, SHEET, TABLE
from seqflows import files, paths
from seqflows.comparison import compare, raters, systems
from seqflows.comparison.systems import System

KEY = paths.Key(SCALE, TABLE)
FIRST, SECOND = "squad-qg-lang_flow", "squad-qg"


def pair(count=40, same=10):
    """Questions, and two systems that wrote the same for the first ``same`` of them."""
    asked = [systems.Question(f"q{n}", ["who"], ["it", "was", f"number{n}", "there"], (2, 3)) for n in range(count)]
    texts = [[f"who is left{n} ?".split() for n in range(count)], [f"what is right{n}".split() for n in range(count)]]
    texts[1][:same] = texts[0][:same]
    return asked, *(System(run, 0, some, {}, "") for run, some in zip((FIRST, SECOND), texts, strict=True))


def test_pairs_are_of_different_texts_and_the_identical_ones_are_counted():
    asked, first, second = pair()
    found, identical = raters.draw(first, second, asked, 200, 0)
    assert identical == 10 and sorted(one.place for one in found) == list(range(10, 40))
    found, identical = raters.draw(first, second, asked, 12, 0)
    assert identical == 10 and len({one.place for one in found}) == 12
    assert [one.place for one in found] != sorted(one.place for one in found)
    assert found == raters.draw(first, second, asked, 12, 0)[0] != raters.draw(first, second, asked, 12, 1)[0]


def test_either_system_may_be_a():
    asked, first, second = pair()
    found, _ = raters.draw(first, second, asked, 30, 3)
    for one in found:
        texts = [" ".join(some.texts[one.place]) for some in (first, second)]
        assert [one.a, one.b] == (texts[::-1] if one.swapped else texts)
        assert (one.before, one.answer, one.after) == ("it was", f"number{one.place}", "there")
    assert 8 <= sum(one.swapped for one in found) <= 22


def written(tmp_path, count=12, **changes):
    asked, first, second = pair(**changes)
    said = raters.write(tmp_path, KEY, SHEET, [second, first], asked, [FIRST, SECOND], count, 5)
    with open(tmp_path / f"{SHEET}.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return said, rows, files.read_sealed(tmp_path / f"{SHEET}.key.json"), (tmp_path / f"{SHEET}.html").read_text()


def test_sheet_page_and_key_are_of_one_draw(tmp_path):
    said, rows, key, page = written(tmp_path)
    assert said == {
        "sheet": SHEET, "first": FIRST, "second": SECOND, "seeds": [0, 0], "draw": said["draw"], "pairs": 12,
        "identical": 10,
    }  # fmt: skip
    assert {row["draw"] for row in rows} == {said["draw"]} == {key["draw"]} and len(said["draw"]) == 16
    assert [row["pair"] for row in rows] == [str(n) for n in range(1, 13)] and set(key["a"]) == {"first", "second"}
    assert all(row["rater"] == row["verdict"] == "" for row in rows)
    for row, ours, name in zip(rows, key["a"], key["ids"], strict=True):
        place = name.removeprefix("q")
        assert (row["A"] == f"who is left{place} ?") == (ours == "first")
        assert {row["A"], row["B"]} == {f"who is left{place} ?", f"what is right{place}"}
        assert row["context"] == f"it was [[ number{place} ]] there" and row["answer"] == f"number{place}"
    shown = data(page)
    assert shown["draw"] == said["draw"] and [[one["A"], one["B"]] for one in shown["pairs"]] == [
        [row["A"], row["B"]] for row in rows
    ]


def data(page):
    return json.loads(re.search(r'<script id="data" type="application/json">(.*?)</script>', page, re.S)[1])


def test_nothing_that_a_rater_sees_tells_the_systems(tmp_path):
    """Neither by name nor by order: sheet and page have the pairs, and what is drawn is in the key alone."""
    _, rows, _, page = written(tmp_path)
    names = (FIRST, SECOND, TABLE, "lang_flow", "qg", "baseline", "swapped", "first", "second")
    for text in ((tmp_path / f"{SHEET}.csv").read_text(), json.dumps(data(page))):
        assert not [name for name in names if name in text]
    outside = page.replace(json.dumps(data(page), ensure_ascii=False), "")
    assert not [name for name in names[:6] if name in outside]
    assert set(rows[0]) == set(raters.COLUMNS) and set(data(page)) == {"sheet", "draw", "pairs"}
    assert {name for one in data(page)["pairs"] for name in one} == {"before", "answer", "after", "A", "B"}


class Outside(HTMLParser):
    """What a page would load or lead to."""

    def __init__(self):
        super().__init__()
        self.found, self.policy = [], ""

    def handle_starttag(self, tag, attrs):
        known = dict(attrs)
        self.found += [known[name] for name in ("src", "href", "action", "srcset", "data") if name in known]
        self.found += [tag] if tag in ("link", "iframe", "img", "object", "embed", "base") else []
        if known.get("http-equiv") == "Content-Security-Policy":
            self.policy = known["content"]


def test_the_page_needs_no_network(tmp_path):
    page = written(tmp_path)[-1]
    found = Outside()
    found.feed(page)
    assert found.found == [] and found.policy.startswith("default-src 'none'")
    assert not re.search(r"https?:|//cdn|@import|url\(|fetch\(|XMLHttpRequest|WebSocket|sendBeacon|import\(", page)
    assert re.search(r'<html lang="en">', page) and "prefers-color-scheme: dark" in page


def test_a_text_cannot_end_the_data_of_the_page(tmp_path):
    nasty = '</script><script>alert("1")</script><!-- & " \' \\ \u2028 @data@'
    asked, first, second = pair(3, 0)
    texts = [nasty.split(), ["=1+1"], ["a,b", '"c"']]
    raters.write(
        tmp_path, KEY, SHEET, [first._replace(texts=texts), second], asked, [FIRST, SECOND], 3, 0
    )  # fmt: skip
    page = (tmp_path / f"{SHEET}.html").read_text(encoding="utf-8")
    shown = {text for one in data(page)["pairs"] for text in (one["A"], one["B"])}
    assert {" ".join(text) for text in texts} <= shown and page.count("<script") == 2 == page.count("</script>")
    with open(tmp_path / f"{SHEET}.csv", newline="", encoding="utf-8") as file:
        assert {" ".join(text) for text in texts} <= {row[side] for row in csv.DictReader(file) for side in "AB"}


def test_another_text_makes_another_draw(tmp_path):
    asked, first, second = pair()
    draws = set()
    for texts in (first.texts, [["other"], *first.texts[1:]], [*first.texts[:-1], ["other"]]):
        one = first._replace(texts=texts)
        draws.add(raters.write(tmp_path, KEY, SHEET, [one, second], asked, [FIRST, SECOND], 40, 5)["draw"])
    assert len(draws) == 3


def test_fewer_pairs_than_wanted_and_none_at_all(tmp_path):
    said, rows, _, _ = written(tmp_path, count=200)
    assert said["pairs"] == len(rows) == 30
    said, rows, key, page = written(tmp_path, same=40)
    assert (said["pairs"], said["identical"], rows, key["a"], data(page)["pairs"]) == (0, 40, [], [], [])


def test_the_stage_writes_each_sheet(wrote):
    compare.run(KEY, compared.matrix())
    folder = paths.comparison(*KEY)
    assert {path.name for path in folder.iterdir()} == {
        "comparison.json", f"{SHEET}.csv", f"{SHEET}.html", f"{SHEET}.key.json",
    }  # fmt: skip
    (said,) = files.read_sealed(paths.compared(*KEY))["human"]
    assert (said["first"], said["second"], said["pairs"]) == ("flow", "base", 12)
    assert said["pairs"] + said["identical"] <= 60 and "a" not in said


# The browser: a scripted rater.
ALL = """
enter("  Ann   O'Neil, Dr. ");
for (const key of ["1", "2", "3", "x", "1", "ArrowLeft", "2", "1", "2", "1", "2", "1", "2", "3", "3"]) press(key);
at("export").click();
"""
SOME = 'enter("Ann"); press("1"); press("3"); press("ArrowLeft");'


@pytest.fixture
def page(tmp_path):
    written(tmp_path)
    return tmp_path / f"{SHEET}.html"


def exported(found):
    return json.loads(browser.element(found, "exported"))


@browser.needed
def test_a_rater_judges_by_keys_and_exports(page, tmp_path):
    found = browser.dom(page, ALL, tmp_path / "profile")
    text, kind = exported(found)
    rows = list(csv.DictReader(io.StringIO(text)))
    assert kind == "text/csv" and list(rows[0]) == ["draw", "pair", "rater", "verdict"]
    assert {(row["draw"], row["rater"]) for row in rows} == {(data(page.read_text())["draw"], "Ann O'Neil, Dr.")}
    assert [row["pair"] for row in rows] == [str(n) for n in range(1, 13)]
    expected = ["A", "B", "tie", "B", "A", "B", "A", "B", "A", "B", "tie", "tie"]  # the fourth was judged again
    assert [row["verdict"] for row in rows] == expected
    assert "Exported: send the file back." in browser.element(found, "told")


@browser.needed
def test_progress_is_kept_in_the_browser_by_rater(page, tmp_path):
    found = browser.dom(page, SOME, tmp_path / "profile")
    assert "Pair 2 of 12; 2 judged by Ann" in browser.element(found, "where")
    found = browser.dom(page, 'enter("Ann"); at("export").click();', tmp_path / "profile")
    assert "Pair 3 of 12; 2 judged by Ann" in browser.element(found, "where")
    rows = list(csv.DictReader(io.StringIO(exported(found)[0])))
    assert [row["verdict"] for row in rows] == ["A", "tie"] + [""] * 10
    assert "10 pairs have no verdict yet" in browser.element(found, "told")
    found = browser.dom(page, 'enter("Bob");', tmp_path / "profile")
    assert "Pair 1 of 12; 0 judged by Bob" in browser.element(found, "where")


@browser.needed
def test_the_page_shows_the_answer_and_both_questions(page, tmp_path):
    found = browser.dom(page, SOME, tmp_path / "profile")
    one = data(page.read_text())["pairs"][1]
    assert f"{one['before']} <mark>{one['answer']}</mark> {one['after']}" in browser.element(found, "context")
    assert one["A"] in browser.element(found, "a") and one["B"] in browser.element(found, "b")
    pressed = re.findall(r'data-verdict="(\w+)" aria-pressed="true"', found)
    assert pressed == ["tie"]


@browser.needed
def test_no_name_no_start(page, tmp_path):
    found = browser.dom(page, 'enter("  "); press("1");', tmp_path / "profile")
    assert "Give a name first." in browser.element(found, "refused")
    assert '<section id="work" hidden' in found


@browser.needed
@pytest.mark.parametrize("width", [400, 1200])
def test_the_page_fits_its_window(page, tmp_path, width):
    """No part of it is wider than the window, neither at the start nor at work, with long words."""
    page.write_text(page.read_text().replace("number", "number" * 20).replace("right", "right" * 20))
    told = "parent.document.getElementById('told').textContent = "
    script = SOME + told + "[document.documentElement.scrollWidth, innerWidth].join(' ');"
    wide, window = map(int, browser.framed(page, script, tmp_path / "profile", width).split())
    assert wide <= window == width
