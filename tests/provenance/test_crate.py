"""The RO-Crate of a scale: every file by its checksum, every kept run with its action, the same bytes twice."""

import json
import shutil
import subprocess
import warnings
from pathlib import Path

import pytest

import report_world
from seqflows import cli, files, params, paths
from seqflows.errors import Problem
from seqflows.provenance import actions, citation, crate, entities
from seqflows.report import audit, keep, tables

ROOT = Path(__file__).parents[2]
SCALE, RUNS = "laptop", ("jsb-af_af", "jsb-lstm", "ptb-lstm")
VALIDATOR = ROOT / ".venv-provenance/bin/python"


@pytest.fixture
def archive(world, monkeypatch):
    """A project with three kept runs, one table, the audit and the statistics of one dataset."""
    for name in RUNS:
        report_world.write_run(SCALE, name, (0, 1))
    audit.run(paths.Key(SCALE, "all"), world)
    tables.run(paths.Key(SCALE, "ziegler2019-table3"), world)
    keep.run(SCALE)
    shutil.rmtree("runs")
    sha256 = files.read_sealed(paths.record(SCALE, "jsb-lstm"))["train"][0]["dataset_sha256"]
    files.write_json(paths.statistics(SCALE, "jsb"), {"dataset": "jsb", "source": "jsb", "sha256": sha256})
    for name in ("Snakefile", "dvc.yaml", "params.yaml", "CITATION.cff", "LICENSE", "workflow"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        Path(name).parent.mkdir(exist_ok=True)
        copy(ROOT / name, name)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    for path in (crate.requirements.path(SCALE), *crate.rescience.places(SCALE)):
        files.write_text(path, "")
    return world


def described(found):
    """The entities of the crate, by id."""
    return {one.id: one for one in crate.described(found, citation.read(), SCALE, actions.runs(SCALE))}


def ids(entity, name):
    """What a property refers to."""
    found = entity.properties[name]
    return [one["@id"] for one in (found if isinstance(found, list) else [found])]


def test_every_file_is_there_with_its_checksum_and_size(archive):
    found = described(archive)
    listed = {one.file for one in found.values() if one.file}
    assert listed >= {path for path in Path("results").rglob("*") if path.is_file()} and len(listed) > 15
    for one in found.values():
        assert ("File" in one.types) == (one.file is not None)
        if one.file:
            assert one.id == one.file.as_posix() and one.properties["sha256"] == files.sha256(one.file)
            assert one.properties["contentSize"] == str(one.file.stat().st_size) and one.properties["encodingFormat"]


def test_every_kept_run_has_its_action(archive):
    found = described(archive)
    made = {
        id.removeprefix("#run/")
        for id, one in found.items()
        if id.startswith("#run/") and "instrument" in one.properties
    }
    assert made == set(RUNS)
    for name in RUNS:
        record, action = files.read_sealed(paths.record(SCALE, name)), found[f"#run/{name}"]
        assert action.types == ("CreateAction",) and ids(action, "result") == [f"results/{SCALE}/runs/{name}.json"]
        used = [found[id] for id in ids(action, "object")]
        assert found["params.yaml"] in used
        assert {record["train"][0]["dataset_sha256"]} == {
            one.properties["sha256"] for one in used if one.id[:5] == "#data"
        }
        assert [one.properties["value"] for one in used if one.properties["name"] == "seeds"] == ["0, 1"]
        code = {found[id].properties["softwareVersion"] for id in ids(action, "instrument")}
        assert code == {one["revision"] for one in [*record["train"], *record["metrics"]]}
        assert not {"agent", "startTime", "endTime"} & action.properties.keys()  # no record has them


def test_a_table_is_made_of_the_records_of_its_runs(archive):
    found = described(archive)
    table, whole = found["#table/ziegler2019-table3"], found["#audit/all"]
    assert ids(table, "result") == [f"results/{SCALE}/ziegler2019-table3.{end}" for end in ("csv", "md")]
    assert {id for id in ids(table, "object") if "/runs/" in id} == {
        f"results/{SCALE}/runs/{name}.json" for name in ("jsb-af_af", "jsb-lstm")
    }
    assert {f"results/{SCALE}/{name}" for name in ("audit.csv", "audit.md", "claims.csv")} <= set(ids(whole, "result"))
    assert "#table/ziegler2019-table1" not in found  # which was not written


def test_data_have_their_source_only_where_their_checksum_says_so(archive):
    found = described(archive)
    (data,) = [id for id in ids(found["#run/jsb-lstm"], "object") if id.startswith("#data/")]
    assert ids(found[data], "subjectOf") == [f"results/{SCALE}/datasets/jsb.json"]
    (source,) = ids(found[data], "isBasedOn")
    raw = [found[id] for id in ids(found[source], "hasPart")]
    registry = entities.SOURCES["jsb"]
    assert found[source].properties["license"] == registry.licence
    assert [(one.properties["url"], one.properties["sha256"]) for one in raw] == [
        (one.url, one.sha256) for one in registry.files
    ]
    files.write_json(paths.statistics(SCALE, "jsb"), {"dataset": "jsb", "source": "jsb", "sha256": "0" * 64})
    other = described(archive)
    (data,) = [id for id in ids(other["#run/jsb-lstm"], "object") if id.startswith("#data/")]
    assert "isBasedOn" not in other[data].properties and "another checksum" in other[data].properties["description"]


def test_every_action_is_mentioned_and_the_workflow_has_its_run(archive):
    found = described(archive)
    root = crate.root(citation.read(), SCALE, list(found.values()), "2026-01-01")
    made = {one.id for one in found.values() if "CreateAction" in one.types}
    assert {one["@id"] for one in root["mentions"]} == made and len(made) >= len(RUNS) + 4
    main = root["mainEntity"]["@id"]
    assert {"File", "SoftwareSourceCode", "ComputationalWorkflow"} == set(found[main].types)
    assert [one.id for one in found.values() if one.id in made and ids(one, "instrument") == [main]] == [
        f"#workflow/{SCALE}"
    ]


def test_a_changed_record_is_refused(archive):
    path = paths.record(SCALE, "jsb-lstm")
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('"seed": 1', '"seed": 2', 1), encoding="utf-8")
    with pytest.raises(Problem, match=r"sha256 of its own content in .*jsb-lstm.json, got another: it was changed"):
        actions.runs(SCALE)
    path.write_text(paths.record(SCALE, "jsb-af_af").read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(Problem, match="the record of scale laptop, run jsb-lstm .* run jsb-af_af"):
        actions.runs(SCALE)


def test_a_changed_file_of_a_figure_is_refused(archive):
    files.write_text(paths.drawn(SCALE, "jsb-lstm") / "seed-0/conditionals.json", "{}")
    with pytest.raises(Problem, match=r"conditionals.json with sha256 of its record, which does not list it"):
        actions.drawn(archive, SCALE, actions.runs(SCALE))


def test_an_id_of_two_things_and_one_of_none_are_refused():
    one = entities.value("#a", "name", 1)
    with pytest.raises(Problem, match="expected one thing with the id #a"):
        actions.checked([one, one, entities.value("#a", "name", 2)])
    with pytest.raises(Problem, match="expected #b, which #a refers to, in the crate"):
        actions.checked([entities.value("#a", "name", 1, about=[entities.ref("#b")])])


def test_the_date_is_that_of_the_last_commit_or_of_the_environment(place, monkeypatch):
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    with pytest.raises(Problem, match="a commit of the results in git, or the seconds since 1970"):
        crate.published([Path("a")])
    git = ("git", "-c", "user.name=a", "-c", "user.email=a@b")
    subprocess.run([*git, "init", "--quiet"], check=True)
    for name, seconds in (("a", 1600000000), ("b", 1650000000)):
        Path(name).write_text(name)
        monkeypatch.setenv("GIT_COMMITTER_DATE", f"{seconds} +0200")
        subprocess.run([*git, "add", name], check=True)
        subprocess.run([*git, "commit", "--quiet", "-m", name], check=True)
    assert crate.published([Path("a")]) == "2020-09-13T12:26:40+00:00"  # date -u -d @1600000000
    assert crate.published([Path("a"), Path("b")]) == "2022-04-15T05:20:00+00:00"
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    assert crate.published([Path("a")]) == "1970-01-01T00:00:00+00:00"


def test_the_kept_results_can_be_described(monkeypatch):
    monkeypatch.chdir(ROOT)
    found = crate.described(params.load(), citation.read(), "paper", actions.runs("paper"))
    kept = {path.stem for path in paths.record("paper", "*").parent.glob("*.json")}
    assert kept == {
        one.id.removeprefix("#run/") for one in found if one.id.count("/") == 1 and one.id.startswith("#run/")
    }


def test_without_the_package_the_command_says_how_to_get_it(archive, monkeypatch, capsys):
    monkeypatch.setitem(__import__("sys").modules, "rocrate", None)
    assert cli.main(["crate", SCALE]) == 1
    assert "expected the package rocrate" in (said := capsys.readouterr().err) and "make provenance" in said
    assert not Path("crates").exists() and not crate.requirements.path(SCALE).read_text()


@pytest.fixture
def library():
    return pytest.importorskip("rocrate.rocrate", reason="rocrate, which make provenance installs, is not here")


def graph(folder):
    return {one["@id"]: one for one in json.loads((folder / crate.METADATA).read_text(encoding="utf-8"))["@graph"]}


def test_the_crate_is_read_as_it_was_described(archive, library):
    written = crate.run(SCALE)
    folder = crate.folder(SCALE)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read = library.ROCrate(folder)
    known = described(archive)
    assert {one.id for one in read.get_entities()} == {*known, "./", crate.METADATA}
    assert read.mainEntity.id == "Snakefile" and len(read.get_by_type("CreateAction")) >= len(RUNS) + 4
    for one in known.values():
        assert graph(folder)[one.id].items() >= one.properties.items()
        if one.file:
            assert files.sha256(folder / one.id) == one.properties["sha256"] == read.get(one.id)["sha256"]
    there = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
    assert there == {one.file for one in known.values() if one.file} | {Path(crate.METADATA)}
    assert set(written) == {*crate.rescience.places(SCALE), crate.requirements.path(SCALE), folder / crate.METADATA}
    assert graph(folder)["./"]["datePublished"] == "2023-11-14T22:13:20+00:00"


def test_the_same_files_give_the_same_bytes(archive, library):
    crate.run(SCALE)
    first = {path: path.read_bytes() for path in Path("crates").rglob("*") if path.is_file()}
    crate.run(SCALE)
    assert first == {path: path.read_bytes() for path in Path("crates").rglob("*") if path.is_file()}


@pytest.mark.parametrize("missing", ["records", "audit"])
def test_nothing_is_written_of_a_scale_without_records_or_audit(archive, library, missing):
    if missing == "records":
        shutil.rmtree(paths.record(SCALE, "a").parent)
    else:
        paths.audit(SCALE)[0].unlink()
    with pytest.raises(Problem, match="run: python -m seqflows (keep laptop|audit laptop/all)"):
        crate.run(SCALE)
    assert not crate.folder(SCALE).exists() and not crate.requirements.path(SCALE).read_text()


def validated(folder):
    script = ROOT / "tests/validate_crate.py"
    context = VALIDATOR.parents[1] / "context/rocrate/data/ro-crate.jsonld"
    command = [str(VALIDATOR), str(script), str(folder), "--context", str(context)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.skipif(not VALIDATOR.exists(), reason="roc-validator is not here: make provenance makes .venv-provenance")
def test_the_crate_is_valid_and_a_broken_one_is_not(archive, library):
    crate.run(SCALE)
    done = validated(crate.folder(SCALE))
    assert done.returncode == 0 and "checks of workflow-run-crate passed" in done.stdout, done.stdout + done.stderr
    path = crate.folder(SCALE) / crate.METADATA
    content = json.loads(path.read_text(encoding="utf-8"))
    for one in content["@graph"]:
        if one["@id"] == "#run/jsb-lstm":
            del one["instrument"]
    path.write_text(json.dumps(content), encoding="utf-8")
    done = validated(crate.folder(SCALE))
    assert done.returncode == 1 and "MUST have an instrument" in done.stdout, done.stdout + done.stderr
