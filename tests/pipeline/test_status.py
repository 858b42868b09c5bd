"""What is up to date: never what a change of inputs, code, settings or outputs touches, itself or by way of others."""

import shutil

import pytest

import staged
from seqflows import cli, files, params, paths, stages
from seqflows.pipeline.status import MADE, MISSING, STALE, State, Status

RUN = "gaussians-affine"
JOBS = [("download", "gaussians"), ("prepare", "gaussians"), ("train", RUN), ("evaluate", RUN)]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a run that the stages themselves made."""
    folder = tmp_path_factory.mktemp("made")
    staged.make(folder, [RUN], JOBS, beside=("gaussians-nlsq", "ptb-lstm", "squad-qg"))
    return folder


@pytest.fixture
def there(made, tmp_path, monkeypatch):
    """A copy of it as the working directory."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEQFLOWS_CHECKPOINTS", str(tmp_path / "checkpoints"))


def change(alter):
    content = params.read("params.yaml")
    alter(content)
    staged.write(content)


def states():
    found = Status(params.load(), "demo")
    return [found.of(*job).state for job in JOBS]


def test_what_was_made_of_the_present_files_does_nothing(there, capsys, monkeypatch):
    assert states() == [MADE] * 4
    capsys.readouterr()
    for stage, name in JOBS:
        module = f"seqflows.{stages.TABLE[stage].module}.run"
        with monkeypatch.context() as patch:
            patch.setattr(module, lambda *given, **options: pytest.fail("ran"))
            assert cli.main([stage, f"demo/{name}"]) == 0
        assert capsys.readouterr().out == f"{stage} demo/{name} is up to date; --force makes it anew\n"


def damage(path):
    path.write_bytes(path.read_bytes() + b" ")


DATA, TRAINED = paths.prepared("demo", "gaussians"), paths.seed("demo", RUN, 0)


@pytest.mark.parametrize(
    ("touch", "expected"),
    [
        (lambda: change(lambda c: c["datasets"]["gaussians"]["demo"].update(seed=77)), [STALE] * 4),
        (lambda: change(lambda c: c["runs"][RUN]["demo"]["training"].update(epochs=2)), [MADE, MADE, STALE, STALE]),
        (lambda: change(lambda c: c["runs"][RUN]["demo"].update(seeds=[0, 1])), [MADE, MADE, STALE, STALE]),
        (lambda: change(lambda c: c["runs"][RUN]["demo"]["evaluation"].update(chunk=77)), [MADE, MADE, MADE, STALE]),
        (lambda: change(lambda c: c["scales"]["demo"]["compute"].update(threads=2)), [MADE, MADE, STALE, STALE]),
        (lambda: change(lambda c: c["runs"][RUN]["laptop"].update(seeds=[9])), [MADE] * 4),
        (lambda: damage(DATA / "train.npz"), [MADE, STALE, STALE, STALE]),
        (lambda: damage(TRAINED / "model.safetensors"), [MADE, MADE, STALE, STALE]),
        (lambda: (TRAINED / "another").write_text(""), [MADE, MADE, STALE, STALE]),
        (lambda: (TRAINED / "history.csv").unlink(), [MADE, MADE, STALE, STALE]),
        (lambda: (TRAINED / ".snakemake_timestamp").write_text(""), [MADE] * 4),
        (lambda: damage(paths.metrics("demo", RUN)), [MADE, MADE, MADE, STALE]),
        (lambda: shutil.rmtree(paths.evaluation("demo", RUN)), [MADE, MADE, MADE, MISSING]),
        (lambda: shutil.rmtree(paths.train("demo", RUN)), [MADE, MADE, MISSING, STALE]),
        (lambda: paths.made("demo", "train", RUN).unlink(), [MADE, MADE, STALE, STALE]),
        (lambda: paths.made("demo", "train", RUN).write_text("[{"), [MADE, MADE, STALE, STALE]),
    ],
)
def test_what_a_change_touches_is_not_up_to_date(there, touch, expected):
    touch()
    assert states() == expected


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("training/loop.py", [MADE, MADE, STALE, STALE]),
        ("config/registry.py", [STALE] * 4),
        ("flows/scalar.py", [MADE, MADE, STALE, STALE]),  # evaluate runs it too, with the models that it made
        ("evaluation/scoring.py", [MADE, MADE, MADE, STALE]),
        ("noise.py", [MADE, MADE, STALE, STALE]),
        ("kinds.py", [STALE] * 4),
        ("files.py", [STALE] * 4),
        ("report/audit.py", [MADE] * 4),
    ],
)
def test_code_that_changed_is_seen(there, tmp_path, monkeypatch, file, expected):
    copied = tmp_path / "seqflows"
    shutil.copytree(stages.PACKAGE, copied, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(stages, "PACKAGE", copied)
    assert states() == [MADE] * 4
    damage(copied / file)
    assert states() == expected


def test_another_version_of_a_library_is_seen(there, monkeypatch):
    monkeypatch.setattr("seqflows.stages.metadata.version", lambda name: "0")
    assert states() == [STALE] * 4


def test_a_stage_that_failed_is_not_up_to_date(there, monkeypatch, capsys):
    def fails(key, found, **options):
        paths.metrics(*key).write_text("{}")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("seqflows.evaluation.evaluate.run", fails)
        assert cli.main(["evaluate", f"demo/{RUN}", "--force"]) == 75
    assert states() == [MADE, MADE, MADE, STALE]
    assert cli.main(["evaluate", f"demo/{RUN}"]) == 0
    assert states() == [MADE] * 4


def test_a_setting_that_is_changed_and_changed_back(there):
    """What DVC's run cache brings back is known again."""
    shutil.copytree("runs", "before")
    change(lambda content: content["runs"][RUN]["demo"]["training"].update(epochs=2))
    for stage in ("train", "evaluate"):
        assert cli.main([stage, f"demo/{RUN}"]) == 0
    assert states() == [MADE] * 4
    change(lambda content: content["runs"][RUN]["demo"]["training"].update(epochs=1))
    assert states() == [MADE, MADE, STALE, STALE]
    shutil.rmtree("runs")
    shutil.move("before", "runs")
    assert states() == [MADE] * 4


def test_a_record_that_cannot_be_written_fails_no_stage(there, capsys):
    path = paths.made("demo", "evaluate", RUN)
    path.unlink()
    path.mkdir()
    assert cli.main(["evaluate", f"demo/{RUN}"]) == 0
    assert capsys.readouterr().err.startswith(f"warning: evaluate demo/{RUN} is made, but not noted as such (")
    assert states() == [MADE, MADE, MADE, STALE]


def test_force_makes_it_anew(there, capsys):
    before = files.read_json(TRAINED / "train.json")["wall_seconds"]
    (TRAINED / "train.json").touch()
    assert cli.main(["train", f"demo/{RUN}", "--force"]) == 0
    assert files.read_json(TRAINED / "train.json")["wall_seconds"] != before
    assert "up to date" not in capsys.readouterr().out and states()[:3] == [MADE] * 3


def test_what_also_writes_to_a_store_always_runs(there, monkeypatch, capsys):
    ran = []
    monkeypatch.setattr(Status, "of", lambda *_: State(MADE))  # as far as files say
    monkeypatch.setattr("seqflows.tracking.run", lambda *given: ran.append(files.write_text(paths.track("demo"), "{}")))
    for _ in range(2):
        assert cli.main(["track", "demo/all"]) == 0
    assert len(ran) == 2
    assert cli.main(["evaluate", f"demo/{RUN}"]) == 0
    assert "is up to date" in capsys.readouterr().out


def test_status_counts_and_names_what_is_not_made(there, capsys):
    damage(DATA / "train.npz")
    shutil.rmtree(paths.evaluation("demo", RUN))
    capsys.readouterr()
    assert cli.main(["status"]) == 0
    said = capsys.readouterr().out
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in said.splitlines() if line[:1] == "|"]
    counts = {row[0]: row[1:] for row in rows[2:]}
    here = params.load().at("demo")
    datasets, runs = len(here.datasets), len(here.runs)
    assert counts["download"] == ["1", "0", str(datasets - 1)] and counts["prepare"] == ["0", "1", str(datasets - 1)]
    assert counts["train"] == ["0", "1", str(runs - 1)] and counts["evaluate"] == ["0", "0", str(runs)]
    assert counts["features"] == ["0", "0", str(len(here.encoded))]
    assert "stale: prepare demo/gaussians, made of other outputs\n" in said
    assert f"stale: train demo/{RUN}, prepare gaussians is stale\n" in said
    assert f"demo/{RUN}" in next(line for line in said.splitlines() if line.startswith("missing: evaluate"))
    assert cli.main(["status", "laptop"]) == 0
    assert f"| train    |    0 |     0 | {len(params.load().at('laptop').runs):7} |" in capsys.readouterr().out
