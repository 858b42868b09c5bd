"""What a params.yaml from elsewhere may not do: reach a shell, or leave the project's folders.

Archives that point outside are in test_data_download.py, pickles that name code in test_data_prepare.py.
"""

import json
import os
import re
import subprocess
import sys

import pytest
import yaml

from conftest import ROOT
from engines import keep
from seqflows import params, paths
from seqflows.errors import Problem

NAMES = [
    "$(touch evil)", "`touch evil`", "; touch evil #", "a; touch evil", "a && touch evil", "| touch evil",
    "a\ntouch evil",
    "'; touch evil; '", '"; touch evil; "', "a b", "a/b", "/evil", "..", ".", "../evil", "../../evil", "a/../../evil",
    "-rf", "~", "*", "${scale}", "{log}", "%s", "é", "", "A", "a\x00b",
]  # fmt: skip
UNSAFE = re.compile(
    r"pickle\.loads?\(|torch\.load\(|allow_pickle=True|yaml\.(unsafe|full)_load|shell=True|os\.system|(?<!\.)\b(eval|exec)\("
)
PARTS = ("datasets", "runs", "speeds", "texts", "tables", "figures")


@pytest.fixture(scope="module")
def content():
    return json.dumps(params.read(ROOT / "params.yaml"))


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("name", NAMES)
def test_no_such_name_passes(content, part, name):
    changed = json.loads(content)
    changed[part][name] = next(iter(changed[part].values()))
    with pytest.raises(Problem) as caught:
        params.parse(changed)
    expected = f"{part}.{name}: expected a {part.removesuffix('s')}'s name of lower-case letters"
    if not name.isprintable():
        expected = f"{ascii(name)[1:-1]}: expected printable text on one line, got {name!a}"
        assert len(str(caught.value).splitlines()) == 2  # the count of errors, and this one
    assert expected in str(caught.value)


STRANGE = {"a line end": "a\nb", "a control character": "a\x1bb", "a space that does not break": "a\u00a0b",
           "a line separator": "a\u2028b", "a space without width": "a\u200bb", "a mark at the start": "\ufeffab",
           "a turn of direction": "a\u202eb"}  # fmt: skip
WHERE = {
    "a row": lambda m, text: m["tables"]["ziegler2019-table3"]["rows"].update({text: {"NLL": "ptb-lstm.nll"}}),
    "a column": lambda m, text: next(iter(m["tables"]["ziegler2019-table3"]["rows"].values())).update(
        {text: "ptb-lstm.nll"}
    ),
    "a title": lambda m, text: m["tables"]["ziegler2019-table3"].update(title=text),
    "a paper": lambda m, text: m["runs"]["ptb-lstm"].update(reproduces=text),
    "a value deep within": lambda m, text: m["figures"]["ziegler2019-figure3b"].update(runs=["ptb-lstm", text]),
}


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("strange", STRANGE)
def test_text_that_breaks_a_line_or_looks_like_other_text_is_refused(content, where, strange):
    changed, text = json.loads(content), STRANGE[strange]
    WHERE[where](changed, text)
    with pytest.raises(Problem) as caught:
        params.parse(changed)
    lines = str(caught.value).splitlines()
    assert len(lines) == 2 and str(caught.value).replace("\n", "").isprintable()
    assert f": expected printable text on one line, got {text!a}, with U+" in lines[1] and "; take it out" in lines[1]


def bomb(line, first):
    """Thirty lines, each ten times the one before."""
    return "\n".join([first] + [line.format(n=n, many=", ".join([f"*a{n - 1}"] * 10)) for n in range(1, 30)])


BOMBS = {
    "aliases": bomb("a{n}: &a{n} [{many}]", "a0: &a0 [1, 2]"),
    "merged aliases": bomb("a{n}: &a{n} {{<<: [{many}]}}", "a0: &a0 {x: 1}"),
    "bases": "runs: {q: {base: a29}}\nbases:\n" + bomb("  a{n}: {{base: [{many}]}}", "  a0: {x: 1}").replace("*", ""),
    "an alias within itself": "a: &a [*a]",
    "depth": "a: " + "[" * 100_000,
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_small_params_file_that_stands_for_much_is_refused_at_once(tmp_path, name):
    (tmp_path / "params.yaml").write_text(BOMBS[name])
    code = (
        "import resource\nresource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))\n"
        "from seqflows import cli\nprint(cli.main(['check']))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=10)
    assert done.stdout == "1\n" and done.stderr.startswith("seqflows check: ") and done.stderr.count("\n") == 1
    assert ": expected" in done.stderr and ", got" in done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_no_such_key_passes_on_the_command_line(name):
    with pytest.raises(Problem, match="expected a key <scale>/<name>"):
        paths.Key.parse(f"demo/{name}")
    with pytest.raises(Problem, match="expected a key <scale>/<name>"):
        paths.Key.parse(f"{name}/ptb")


def rename(matrix, part, name):
    matrix[part] = {name: next(iter(matrix[part].values()))} | matrix[part]


CHANGES = {
    "a run's key with a command": lambda m: rename(m, "runs", "$(touch evil)"),
    "a run's key that ends a command": lambda m: rename(m, "runs", "x; touch evil #"),
    "a dataset's key outside": lambda m: rename(m, "datasets", "../../../evil"),
    "a run's dataset with a command": lambda m: m["runs"]["ptb-lstm"].update(dataset="$(touch evil)"),
    "a scale that ends a command": lambda m: m.update(scale="demo; touch evil #"),
    "a scale that is the source folder": lambda m: m.update(scale="../../src"),
    "a source outside": lambda m: m["datasets"]["ptb"]["demo"].update(source="../../../evil"),
    "a text's key with a command": lambda m: rename(m, "texts", "$(touch evil)"),
    "a text's run outside": lambda m: m["texts"]["tvqa-att_s-samples"].update(run="../../evil"),
    "a text's dataset outside": lambda m: m["texts"]["tvqa-att_s-samples"].update(dataset="../../evil"),
    "a figure's run outside": lambda m: m["figures"]["ziegler2019-figure3b"].update(runs=["../../evil"]),
}


def shrink(matrix):
    """Leave what the changes are of: an engine reads all of it for each of them."""
    drawn, text = "ziegler2019-figure3b", "tvqa-att_s-samples"
    table = matrix["tables"]["ziegler2019-table1"] | {"rows": {"LSTM": {"NLL": "ptb-lstm.nll"}}}
    runs = [matrix["texts"][text]["run"], *matrix["figures"][drawn]["runs"]]
    keep(matrix, {"ziegler2019-table1": table}, runs, texts=[text], figures=[drawn])


def put(content, change):
    changed = json.loads(content)
    change(changed)
    return changed


def everything(folder):
    """Every file and folder of the project's place, but for what git, DVC and Snakemake keep for themselves."""
    own = {".git", ".dvc", ".snakemake", "__pycache__", ".locks"}
    found = set()
    for at, folders, files in os.walk(folder.parent):
        folders[:] = [name for name in folders if name not in own and not name.endswith(("-site", "-cache"))]
        found |= {os.path.join(at, name) for name in (*folders, *files)}
    return found


@pytest.mark.parametrize("engine", [("dvc", "repro"), ("snakemake", "-j", "1")], ids=["dvc", "snakemake"])
def test_neither_engine_runs_what_a_params_file_smuggles_in(project, engine):
    scratch = project()
    scratch.params(shrink)
    content = json.dumps(params.read(scratch.folder / "params.yaml"))
    subprocess.run(("python", "-m", "seqflows", "check"), cwd=scratch.folder, env=scratch.env, check=True)
    for what, change in CHANGES.items():
        (scratch.folder / "params.yaml").write_text(yaml.safe_dump(put(content, change)))
        before = everything(scratch.folder)
        done = subprocess.run(engine, cwd=scratch.folder, env=scratch.env, capture_output=True, text=True, check=False)
        assert done.returncode != 0, what
        said = done.stdout + done.stderr
        # DVC itself refuses some of them, before it reads a stage
        assert ("expected" in said or said.startswith("ERROR: ")) and "Traceback" not in said, (what, said)
        assert everything(scratch.folder) == before, what


def test_snakemake_takes_no_scale_that_is_none(project):
    scratch = project()
    before = everything(scratch.folder)
    said = scratch.run("snakemake", "-j", "1", "--config", "scale=demo; touch evil #", status=1)
    assert "expected a scale" in said or "expected scale" in said, said
    assert everything(scratch.folder) == before


def test_no_file_of_ours_calls_what_runs_code_that_it_reads():
    assert [path for path in (ROOT / "src").rglob("*.py") if UNSAFE.search(path.read_text())] == []
