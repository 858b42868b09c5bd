"""The three rules by which an entry of params.yaml is written."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import yaml

from seqflows import cli, files, params, paths
from seqflows.config.entries import expand, merged
from seqflows.errors import Problem
from seqflows.paths import SCALES
from seqflows.pipeline import dvc, matrix

ROOT = Path(__file__).parents[2]
RUNS = """
bases:
  all: {reproduces: own, seeds: [0], model: {width: 1, depth: 2}, laptop: {model: {width: 8}}}
runs:
  a: {base: all, dataset: d, demo: {seeds: [1, 2]}, paper: {model: {depth: 3}}}
  b: {base: a, model: {width: 5}, laptop: {model: {depth: 7}}}
  c: {dataset: e, demo: {seeds: [3]}}
"""


def test_what_stands_outside_the_scales_holds_at_each_and_a_scale_goes_on_top():
    run = expand(yaml.safe_load(RUNS))["runs"]["a"]
    assert {key: run[key] for key in run if key not in SCALES} == {"reproduces": "own", "dataset": "d"}
    assert run["demo"] == {"seeds": [1, 2], "model": {"width": 1, "depth": 2}}  # lists are replaced
    assert run["laptop"] == {"seeds": [0], "model": {"width": 8, "depth": 2}}  # mappings merged
    assert run["paper"] == {"seeds": [0], "model": {"width": 1, "depth": 3}}


def test_an_entry_outweighs_its_base_at_every_scale_whose_own_blocks_it_has():
    run = expand(yaml.safe_load(RUNS))["runs"]["b"]
    assert [run[scale]["model"] for scale in SCALES] == [
        {"width": 5, "depth": 2},
        {"width": 5, "depth": 7},
        {"width": 5, "depth": 3},
    ]
    assert run["dataset"] == "d" and run["demo"]["seeds"] == [1, 2]


def test_a_scale_that_is_null_is_left_out_there_and_not_where_it_is_a_base():
    content = yaml.safe_load(RUNS)
    content["runs"]["d"] = {"base": "b", "demo": None}
    found = expand(content)["runs"]
    assert "demo" not in found["d"] and "demo" in found["b"]
    assert found["d"] == {key: value for key, value in found["b"].items() if key != "demo"}


def test_bases_are_no_entries_and_what_is_written_out_stays_as_it_is():
    content = yaml.safe_load(RUNS)
    before, found = copy.deepcopy(content), expand(content)
    assert content == before and "bases" not in found and set(found["runs"]) == {"a", "b", "c"}
    assert expand(found) == found
    assert found["runs"]["c"] == {"dataset": "e", "demo": {"seeds": [3]}}


def test_columns_are_filled_and_rows_may_be_written_out():
    table = {"title": "t", "columns": {"A": "{}.nll", "B": "x-{}"}, "rows": {"one": "r", "two": {"A": "s.kl"}}}
    found = expand({"tables": {"t": table, "u": {"rows": {"one": {"A": "r.nll"}}}}})["tables"]
    assert found["t"] == {"title": "t", "rows": {"one": {"A": "r.nll", "B": "x-r"}, "two": {"A": "s.kl"}}}
    assert found["u"] == {"rows": {"one": {"A": "r.nll"}}}


@pytest.mark.parametrize(
    ("runs", "text"),
    [
        (
            {"a": {"base": "b"}, "b": {"base": "a"}},
            r"runs.b.base: expected a base that does not lead back.*a -> b -> a",
        ),
        ({"a": {"base": ["b", "c"]}, "b": {}}, r"runs.a.base: expected the name of an entry.*got 'c'"),
        ({"a": {"base": [{}]}}, r"runs.a.base: expected the name of an entry.*got {}"),
        ({"a": {"base": "b"}, "b": 3}, r"runs.a.base: expected the name of an entry.*got 'b'"),
        ({"abc": {"base": "abd"}, "abe": {}}, r"runs.abc.base: expected the name of an entry.*'abd'.*nearest.*abe"),
    ],
)
def test_bases_that_lead_nowhere_are_named(runs, text):
    with pytest.raises(Problem, match=text):
        expand({"runs": runs})


def test_bases_that_are_no_mapping_are_named():
    with pytest.raises(Problem, match="bases: expected a mapping of entries to start from, got 3"):
        expand({"bases": 3, "runs": {}})


def test_hostile_content_is_left_for_the_checks_to_name():
    empty = {"tables": {"t": {"columns": {"A": 1}, "rows": None}}}
    listed = {"tables": {"t": {"columns": {"A": "{}.nll"}, "rows": ["r"]}}}
    for content in (None, [], 3, {"runs": 3}, {"runs": {"a": 3}}, empty, listed):
        expand(content)
    assert merged({"a": 1}, 2) == 2 and merged(1, {"a": 2}) == {"a": 2}


def test_params_yaml_stays_short_and_is_the_matrix_that_it_spells():
    found = params.read(ROOT / "params.yaml")
    shown = sum(len(table.get("rows", ())) + len(table.get("texts", ())) for table in found["tables"].values())
    entries = sum(len(found[part]) for part in ("runs", "datasets", "rewrites"))
    assert (ROOT / "params.yaml").stat().st_size <= 190 * (entries + shown)
    assert found["runs"]["ptb-iaf_scf"]["laptop"]["model"]["layers"] == 3
    assert "depth" not in found["runs"]["jsb-af_af"]["laptop"]["model"]  # its digest has none
    assert found["tables"]["ziegler2019-table3"]["rows"]["AF / AF"]["JSB"] == "jsb-af_af.nll"


def test_an_error_of_a_base_is_told_once_and_where_it_is_written(root, tmp_path):
    text = (root / "params.yaml").read_text()
    text = text.replace("training: {kl_floor: 1.0e-5}", "training: {kl_flor: 1.0e-5}", 1)
    text = text.replace(
        "laptop: {seeds: [0], evaluation: {samples: 50", "laptop: {seeds: [-1], evaluation: {samples: 50", 1
    )
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(Problem) as raised:
        params.load(tmp_path / "params.yaml")
    head, *lines = str(raised.value).splitlines()
    assert head.startswith("2 errors in ") and len(lines) == 2
    key, seeds = sorted(lines)
    assert seeds.startswith("  bases.ziegler.laptop.seeds: expected seeds from 0")
    assert key.startswith("  bases.latent.training.kl_flor: ") and "nearest: kl_floor (in runs." in key
    assert key.endswith(" more)")


def test_several_bases_stand_on_top_of_each_other():
    bases = {"low": {"base": "lowest", "demo": {"model": {"a": 1, "b": 1}}}, "lowest": {"model": {"a": 0, "d": 0}}}
    bases["high"] = {"model": {"b": 2, "c": 2}}
    found = expand({"bases": bases, "runs": {"x": {"base": ["low", "high"], "demo": {"model": {"c": 3}}}}})["runs"]["x"]
    assert found["demo"]["model"] == {"a": 1, "b": 2, "c": 3, "d": 0}
    assert found["paper"]["model"] == {"a": 0, "b": 2, "c": 2, "d": 0}


@pytest.mark.parametrize("columns", ["u", "s", 3])
def test_columns_that_another_table_has(columns):
    tables = {"t": {"columns": {"NLL": "{}.nll"}, "rows": {"a": "x"}}, "u": {"columns": "t", "rows": {"b": "y"}}}
    assert expand({"tables": tables})["tables"]["u"]["rows"] == {"b": {"NLL": "y.nll"}}
    tables["v"] = {"columns": columns, "rows": {"b": "y"}}
    if columns == 3:
        assert expand({"tables": tables})["tables"]["v"] == tables["v"]  # for `checks` to name
        return
    with pytest.raises(Problem, match="tables.v.columns: expected columns, or the name of a table that has some"):
        expand({"tables": tables})


@pytest.fixture
def alone(root, tmp_path, monkeypatch):
    """A run at scale laptop alone, and a cell of a table with it."""
    content = params.written(root / "params.yaml")
    block = {"seeds": [0], "model": {"class": "recurrent_baseline"}}
    block |= {"training": {"epochs": 1, "batch_size": 5, "learning_rate": 1.0}, "evaluation": {"samples": 50}}
    content["runs"]["mine"] = {"reproduces": "ziegler2019", "dataset": "jsb", "laptop": block}
    content["tables"]["ziegler2019-table1"]["rows"]["mine"] = {"Test NLL": "mine.nll"}
    content["figures"]["ziegler2019-curves-jsb"]["runs"].append("mine")
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    monkeypatch.chdir(tmp_path)
    return params.load()


def test_a_run_for_one_scale_alone_is_there_at_that_scale(alone, monkeypatch, capsys):
    assert alone.at("laptop").runs["mine"] and "mine" not in alone.at("demo").runs
    assert "mine" in alone.at("laptop").table("ziegler2019-table1")["rows"]
    assert "mine" not in alone.at("paper").table("ziegler2019-table1")["rows"]
    assert "mine" not in alone.at("demo").figure_runs("ziegler2019-curves-jsb")
    assert "mine" in alone.at("laptop").figure_runs("ziegler2019-curves-jsb")
    monkeypatch.delenv("DVC_STAGE", raising=False)
    assert cli.main(["train", "demo/mine"]) == 1
    assert "got one of another: params.yaml has no entry mine at scale demo" in capsys.readouterr().err
    assert cli.main(["list", "train", "demo"]) == 0 and "demo/mine" not in capsys.readouterr().out
    assert cli.main(["list", "train", "laptop"]) == 0 and "laptop/mine" in capsys.readouterr().out


def test_dvc_has_one_stage_for_all_scales_and_an_absent_run_leaves_a_word(alone, monkeypatch):
    dvc.run()
    assert "mine" in yaml.safe_load(Path("workflow/music/dvc.yaml").read_text())["stages"]["train"]["foreach"]
    matrix.run()
    assert (paths.block("demo", "train", "mine")).read_text() == '"not at this scale"\n'
    assert "epochs" in paths.block("laptop", "train", "mine").read_text()
    monkeypatch.setenv("DVC_STAGE", "train@mine")
    assert cli.main(["train", "demo/mine"]) == 0 and cli.main(["evaluate", "demo/mine"]) == 0
    for path in (paths.train("demo", "mine") / "absent.txt", paths.metrics("demo", "mine")):
        assert path.read_text() == "params.yaml has no entry mine at scale demo\n"
    assert files.read_json(paths.summary("demo", "mine")) == {}


def test_a_run_needs_its_dataset_at_its_scales(alone):
    content = params.written("params.yaml")
    del content["datasets"]["jsb"]["base"], content["datasets"]["jsb"]["laptop"]
    content["datasets"]["jsb"] |= {"kind": "music"}
    content["datasets"]["jsb"]["demo"] |= {"source": "embedded-chords"}
    with pytest.raises(Problem, match="runs.jsb-af_af.laptop: expected the dataset jsb at scale laptop, got none"):
        params.parse(expand(content))
