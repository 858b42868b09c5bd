"""What a params.yaml from elsewhere may not do: reach a shell, or leave the project's folders.

Archives that point outside are in test_data_download.py, pickles that name code in test_data_prepare.py.
"""

import os
import re
import subprocess

import pytest
import yaml

from conftest import ROOT
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
    return yaml.safe_dump(params.read(ROOT / "params.yaml"))


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("name", NAMES)
def test_no_such_name_passes(content, part, name):
    changed = yaml.safe_load(content)
    changed[part][name] = next(iter(changed[part].values()))
    with pytest.raises(Problem) as caught:
        params.parse(changed)
    assert f"{part}.{name}: expected a {part.removesuffix('s')}'s name of lower-case letters" in str(caught.value)


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


def put(content, change):
    changed = yaml.safe_load(content)
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
def test_neither_engine_runs_what_a_params_file_smuggles_in(project, content, engine):
    scratch = project()
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
