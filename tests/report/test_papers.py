"""The papers' folders: all that is read from them is checked, and what is wrong is named with its file."""

import fnmatch
import shutil
import subprocess
import sys
import zipfile

import pytest
import yaml

from conftest import ROOT
from seqflows.errors import Problem
from seqflows.report import audit, cells, inputs
from seqflows.report.papers import base


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A copy of the papers that the loader reads."""
    copied = tmp_path / "papers"
    shutil.copytree(base.FOLDER, copied, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(base, "FOLDER", copied)
    return copied


def test_every_folder_is_a_paper(folder):
    assert {"schmidt2018", "tang2021", "ziegler2019"} <= set(base.names()) and base.names() == list(base.papers())
    found = {name: len(base.read(folder / name).deviations) for name in base.names()}
    assert found == {name: len(paper.deviations) for name, paper in base.papers().items()}
    assert min(found.values()) > 10
    assert base.papers()["ziegler2019"].tables == [f"ziegler2019-table{number}" for number in (1, 2, 3)]


def test_a_paper_is_found_by_its_folder(folder):
    new = folder / "smith2020"
    new.mkdir()
    (new / "paper.yaml").write_text("title: Smith 2020\n")
    (new / "table9.csv").write_text("row,column,unit,reported,status,section,note\nA,NLL,bpc,1.5,reproduce,3,\n")
    assert "smith2020" in base.names() and "smith2020-table9" in base.printed_tables()
    assert [(cell.table, cell.reported) for cell in cells.reported("smith2020-table9")] == [("smith2020-table9", "1.5")]
    with pytest.raises(Problem, match=r"expected .*smith2020/deviations.yaml, found none; write it"):
        base.read(new)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("paper", lambda c: c.update(tittle="x"), "paper.yaml to have keys among .*, got 'tittle'; nearest: title"),
        ("paper", lambda c: c.pop("title"), "expected the key title in .*ziegler2019/paper.yaml, got none"),
        (
            "paper",
            lambda c: c.update(title=2019),
            "a text for title in .*paper.yaml, got 2019; write one, in quotes",
        ),
        ("deviations", lambda c: c[1].update(here=88), "a text for here in entry 2 of .*deviations.yaml, got 88"),
        ("deviations", lambda c: c[0].pop("why"), "expected the key why in entry 1 of .*ziegler2019/deviations.yaml"),
        ("deviations", lambda c: c[0].update(wy="x"), "entry 1 of .*deviations.yaml.*, got 'wy'; nearest: why"),
        ("deviations", lambda c: c[0].update(why=" "), "expected a text for why in entry 1 of .*, got ' '"),
        (
            "answers",
            lambda c: c[1].update(claim="IAF is worse than AF"),
            "the name of a claim in entry 2 of .*answers.yaml, got 'IAF is .*; nearest: IAF / SCF is worse than AF",
        ),
        (
            "answers",
            lambda c: c[1].update(beside="IAF is worse than AF"),
            "the name of a claim in entry 2 of .*answers.yaml, got 'IAF is .*; nearest: IAF / SCF is worse than AF",
        ),
        (
            "answers",
            lambda c: c[0].update(cells="table1 | AF / AF"),
            r"table, row and column of printed cells, .* in entry 1 of .*, got \['table1', 'AF / AF'\]",
        ),
        (
            "answers",
            lambda c: c[0].update(cells="table1 | AF / AF | Test NLL; table9 | AF / AF | Test NLL"),
            r"of printed cells, .* in entry 1 of .*, got \['table9', 'AF / AF', 'Test NLL'\]",
        ),
        ("contradictions", lambda c: c.insert(0, "text"), "keys and texts in entry 1 of .*contradictions.yaml, got 't"),
    ],
)
def test_mistakes_in_prose_name_the_file(folder, name, change, message):
    path = folder / "ziegler2019" / f"{name}.yaml"
    content = yaml.safe_load(path.read_text())
    change(content)
    path.write_text(yaml.safe_dump(content, allow_unicode=True))
    with pytest.raises(Problem, match=message):
        base.read(folder / "ziegler2019")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("what: x\n", "expected a list in .*deviations.yaml, got dict; begin each entry with '- '"),
        ("- what: [\n", "expected YAML in .*deviations.yaml"),
        ("- what: x\n  what: y\n", "the key 'what' twice"),
    ],
)
def test_other_content_names_the_file(folder, content, message):
    (folder / "tang2021/deviations.yaml").write_text(content)
    with pytest.raises(Problem, match=message):
        base.read(folder / "tang2021")


@pytest.mark.parametrize("name", base.names())
def test_deviations_name_the_runs_that_they_can_change(name):
    """Each pattern matches a run of the paper, and every run is touched by more than what touches all."""
    runs = [run for run, block in inputs.matrix().runs.items() if block["reproduces"] == name]
    rows = base.papers()[name].deviations
    for row in rows:
        patterns = [pattern.removeprefix("!") for pattern in row.touches.split()]
        assert patterns == ["-"] or all(fnmatch.filter(runs, pattern) for pattern in patterns), row.what
        assert patterns == ["-"] or any(row.of(run) for run in runs), row.what
    for run in runs:
        assert [row for row in rows if row.touches != "*" and row.of(run)], run


def test_a_deviation_of_the_flows_does_not_touch_the_baseline():
    rows = {row.what: row for row in base.papers()["ziegler2019"].deviations}
    variance, optimiser, nlsq = rows["posterior variance (5)"], rows["baseline's optimiser (D)"], rows["NLSq: α (B)"]
    assert variance.of("jsb-af_scf") and not variance.of("jsb-lstm")
    assert optimiser.of("jsb-lstm") and not optimiser.of("jsb-af_scf")
    assert nlsq.of("ptb-af_af") and not nlsq.of("ptb-af_af-affine")
    assert not any(rows["figure 3a"].of(run) for run in inputs.matrix().runs)


def test_one_text_for_all_deviations(folder):
    assert {row.code for row in base.read(folder / "schmidt2018").deviations} == {"none released"}
    path = folder / "schmidt2018/paper.yaml"
    path.write_text(path.read_text().replace("code: none released\n", ""))
    with pytest.raises(Problem, match="expected the key code in entry 1 of .*schmidt2018/deviations.yaml"):
        base.read(folder / "schmidt2018")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("unit,reported", "units,reported", "ziegler2019/table3.csv to have keys among .*, got 'units'; nearest: unit"),
        ("status,section,note", "status,section", "expected row, column, .* in line 2 of .*table3.csv, got"),
        ("3.43,reproduce", "3.43,reproduced", "status of .* in line 26 of .*, got 'reproduced'; nearest: reproduce"),
        ("3.43,", "3.4.3,", r"expected a number as printed in line 26 of .*table3.csv, got '3.4.3'"),
    ],
)
def test_mistakes_in_a_printed_table_name_the_line(folder, old, new, message):
    path = folder / "ziegler2019/table3.csv"
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(Problem, match=message):
        cells.reported("ziegler2019-table3")


def test_settings_of_all_papers_are_one(folder):
    assert base.settings() == inputs.paper_settings()
    path = folder / "tang2021/settings.json"
    path.write_text('{"ptb-lstm": {}}')
    with pytest.raises(Problem, match="settings of a run in one paper, got ptb-lstm again in .*ziegler2019/settings"):
        base.settings()
    path.write_text('{"tvqa-lstm": 3}')
    with pytest.raises(Problem, match="expected a block of settings for each run in .*tang2021/settings.json"):
        base.settings()


@pytest.mark.parametrize("name", ["schmidt2018", "tang2021", "ziegler2019"])
def test_terms_are_of_rows_or_columns_and_stand_on_their_pages(name):
    """Each is a row or a column of a table of the paper, or of ours beside it, and its page says what it is, once."""
    matrix, terms = inputs.matrix(), base.papers()[name].terms
    made = {table: cells.cells(inputs.Results(matrix, "laptop"), table) for table in matrix.tables if name in table}
    labels = {label for some in made.values() for cell in some for label in (cell.row, cell.column)}
    assert terms and {one.term for one in terms} <= labels and len({one.term for one in terms}) == len(terms)
    for table, some in made.items():
        page = ROOT / "results" / "laptop" / f"{table}.md"
        shown = {label for cell in some for label in (cell.row, cell.column)}
        for one in terms:
            if page.exists() and some:
                assert page.read_text().count(f"*{one.term}*: {one.means}.") == (one.term in shown), (table, one.term)


def test_the_audit_has_them_in_the_order_of_params_yaml(world):
    assert [paper.name for paper in audit.ordered(inputs.Results(world, "demo"))] == [
        "ziegler2019", "schmidt2018", "tang2021",
    ]  # fmt: skip
    for name in [name for name, run in world.runs.items() if run["reproduces"] == "ziegler2019"]:
        del world.runs[name]
    assert [paper.name for paper in audit.ordered(inputs.Results(world, "demo"))][-1] == "ziegler2019"


def test_the_data_are_installed_with_the_package(tmp_path):
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    command = "from setuptools import build_meta; print(build_meta.build_wheel('dist'))"
    done = subprocess.run([sys.executable, "-c", command], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(next(tmp_path.glob("dist/*.whl"))) as wheel:
        held = {name.partition("seqflows/report/papers/")[2] for name in wheel.namelist()}
    data = {p.relative_to(base.FOLDER).as_posix() for p in base.FOLDER.rglob("*") if p.suffix in (".csv", ".json")}
    data |= {p.relative_to(base.FOLDER).as_posix() for p in base.FOLDER.rglob("*.yaml")}
    assert len(data) > 15 and data <= held
