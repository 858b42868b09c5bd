"""The command line: what it refuses, how it says so, and with which status it ends."""

import errno
import os
import signal
import subprocess
import sys
import types

import pytest

import seqflows
from seqflows import cli, files, params, paths
from seqflows.errors import Interrupted, Problem
from seqflows.stages import TABLE

MODULES = [row.module for row in TABLE.values()]


@pytest.fixture
def stage(monkeypatch, root, tmp_path):
    """Put a ``run`` in the place of a stage's module, in a folder that has params.yaml alone."""
    (tmp_path / "params.yaml").write_text((root / "params.yaml").read_text())
    monkeypatch.chdir(tmp_path)

    def put(module, run):
        monkeypatch.setitem(sys.modules, f"seqflows.{module}", types.SimpleNamespace(run=run))

    return put


def test_help_names_every_command(root):
    done = subprocess.run([sys.executable, "-m", "seqflows", "--help"], capture_output=True, text=True, cwd=root)
    assert done.returncode == 0
    others = [
        "list",
        "status",
        "matrix",
        "dvc",
        "show",
        "check",
        "readme",
        "keep",
        "benchmark",
        "witness",
        "plan",
        "preload",
        "repro",
        "adopt",
    ]
    for name in (*TABLE, *others):
        assert f"\n    {name}" in done.stdout


def test_the_help_of_every_command_says_what_it_does(capsys):
    (commands,) = (action.choices for action in cli._parser()._actions if action.dest == "command")
    assert [name for name, command in commands.items() if not command.description] == []
    with pytest.raises(SystemExit, match="0"):
        cli.main(["plan", "--help"])
    assert "no stage is run" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["torch", "yaml", "pydantic", "pandas", "mlflow"])
def test_the_command_line_imports_nothing_heavy(name, root):
    code = f"import sys, seqflows.cli; sys.exit({name!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=root).returncode == 0


def test_each_stage_calls_its_module_with_the_key(stage):
    keys = {name: f"demo/{row.keys(params.load())[0]}" for name, row in TABLE.items()}
    for name, key in keys.items():
        called = []
        stage(TABLE[name].module, lambda key, found, called=called, **options: called.append((key, found, options)))
        assert cli.main([name, key]) == 0
        expected = {"restart": False, "tracker": None} if name == "train" else {}
        assert called == [(paths.Key.parse(key), params.load().at("demo"), expected)]


def test_list_names_the_keys_of_a_stage(stage, capsys):
    assert cli.main(["list", "generate", "laptop"]) == 0
    assert capsys.readouterr().out.split() == [f"laptop/{name}" for name in TABLE["generate"].keys(params.load())]
    assert cli.main(["list", "audit"]) == 0
    assert capsys.readouterr().out == "demo/all\n"
    with pytest.raises(SystemExit):
        cli.main(["list", "trian"])


def test_the_version_is_that_of_the_package(capsys):
    with pytest.raises(SystemExit, match="0"):
        cli.main(["--version"])
    assert capsys.readouterr().out == f"seqflows {seqflows.__version__}\n"


@pytest.mark.parametrize("name", TABLE)
def test_the_help_of_a_stage_names_a_key_that_it_has(stage, capsys, name):
    with pytest.raises(SystemExit, match="0"):
        cli.main([name, "--help"])
    example = capsys.readouterr().out.split("example: python -m seqflows ")[1].split()
    assert example[0] == name
    assert paths.Key.parse(example[1]).name in TABLE[name].keys(params.load())


def test_the_help_of_a_stage_needs_no_params(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="0"):
        cli.main(["train", "--help"])
    assert "--force" in capsys.readouterr().out


def test_train_hands_on_restart_and_a_live_tracker(stage, monkeypatch):
    called = {}
    stage("training.loop", lambda key, found, **options: called.update(options))
    monkeypatch.setitem(sys.modules, "seqflows.tracking", types.SimpleNamespace(Live=lambda: "live"))
    assert cli.main(["train", "paper/ptb-lstm", "--restart"]) == 0
    assert called == {"restart": True, "tracker": "live"}


def test_some_seeds_and_another_device_are_asked_for_without_params(stage):
    """Of one run and one scale alone; the record that it is made asks for the same seeds."""
    called = []
    stage("training.loop", lambda key, found, **options: called.append(found))
    assert cli.main(["train", "laptop/jsb-af_af", "--seeds", "2", "0", "--device", "cuda"]) == 0
    (found,), whole = called, params.load().at("laptop")
    assert found.run("laptop", "jsb-af_af") == whole.run("laptop", "jsb-af_af") | {"seeds": [0, 2]}
    assert found.compute("laptop") == whole.compute("laptop") | {"device": "cuda"}
    assert found.runs["jsb-af_af"]["paper"] == whole.runs["jsb-af_af"]["paper"]
    assert (
        found.run("laptop", "jsb-af_scf") == whole.run("laptop", "jsb-af_scf")
        and found.scales["demo"] == (whole.scales["demo"])
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["train", "laptop/jsb-af_af", "--seeds", "0", "7"],
            "expected seeds of laptop/jsb-af_af, 0, 1, 2, got 7; add them to its seeds in params.yaml",
        ),
        (["train", "demo/ptb-lstn"], "seqflows train demo/ptb-lstn: expected a key among runs of params.yaml, got"),
        (["prepare", "demo/ptp"], "nearest: ptb"),
        (["audit", "demo/ziegler2019"], "expected demo/all, got 'ziegler2019'"),
        (["train", "ptb-lstm"], r"expected a key <scale>/<name>"),
        (["train", "demi/ptb-lstm"], r"with a scale of demo, laptop, paper"),
        (["train", "demo/../ptb"], r"expected a key <scale>/<name>"),
        (["show", "demo"], "expected tables in results/demo, found none; make them first, by make demo"),
    ],
)
def test_a_wrong_key_is_one_line_and_status_1(stage, capsys, arguments, message):
    assert cli.main(arguments) == 1
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1


def test_a_problem_is_told_without_a_traceback(stage, capsys):
    def run(key, found):
        raise Problem("expected this, got that; do so")

    stage("data.prepare", run)
    assert cli.main(["prepare", "demo/ptb"]) == 1
    assert capsys.readouterr().err == "seqflows prepare demo/ptb: expected this, got that; do so\n"


@pytest.mark.parametrize("error", [Interrupted("a checkpoint was written"), KeyboardInterrupt()])
def test_an_interruption_ends_with_status_75(stage, capsys, error):
    def run(key, found, **options):
        raise error

    stage("training.loop", run)
    assert cli.main(["train", "demo/ptb-lstm"]) == 75
    assert "run it again" in capsys.readouterr().err


def test_a_stage_validates_params_before_it_runs(stage, tmp_path, capsys):
    stage("data.prepare", lambda *given: pytest.fail("ran"))
    path = tmp_path / "params.yaml"
    path.write_text(path.read_text().replace("dataset: jsb", "dataset: jbs", 1))
    assert cli.main(["prepare", "demo/ptb"]) == 1
    assert "runs.jsb-lstm.dataset: expected the name of a dataset, got 'jbs'; nearest: jsb" in capsys.readouterr().err
    assert cli.main(["check"]) == 1


def test_a_stage_reads_params_once(stage, monkeypatch, root):
    """What it is made of is what was looked at when it was asked whether it is up to date."""
    read, loaded = params.written, []
    monkeypatch.setattr(params, "written", lambda path: loaded.append(path) or read(path))
    for name in ("ptb", "gaussians"):
        assert cli.main(["download", f"demo/{name}"]) == 0
        assert cli.main(["prepare", f"demo/{name}"]) == 0
    assert len(loaded) == 4


def test_a_stage_holds_a_lock_on_its_key(stage):
    import fcntl

    def run(key, found):
        with open(paths.lock("prepare", key)) as file, pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    stage("data.prepare", run)
    assert cli.main(["prepare", "demo/ptb"]) == 0


@pytest.mark.parametrize("stage_of_dvc", [True, False])
@pytest.mark.parametrize("arguments", [["prepare", "demo/ptb"], ["matrix"]])
def test_a_stage_that_dvc_runs_holds_the_checkout(stage, monkeypatch, arguments, stage_of_dvc):
    """Exclusively, from before its work to its end, so that a Snakemake of the same checkout refuses to start."""
    if stage_of_dvc:
        monkeypatch.setenv("DVC_STAGE", "prepare")
    else:
        monkeypatch.delenv("DVC_STAGE", raising=False)
    ran, own = [], files.lock

    def lock(path, *more, **also):
        if path == paths.lock(arguments[0], *map(paths.Key.parse, arguments[1:])):  # the stage's own: work begins
            ran.append(taken(paths.lock("engine")))
        return own(path, *more, **also)

    monkeypatch.setattr(files, "lock", lock)
    stage("data.prepare", lambda *_, **options: None)
    assert cli.main(arguments) == 0 and ran == [stage_of_dvc]
    assert not taken(paths.lock("engine"))


def taken(path, real=files.lock):
    """Whether a shared lock is refused."""
    try:
        with real(path, shared=True):
            return False
    except Problem:
        return True


def test_check_counts_what_it_found(stage, capsys):
    assert cli.main(["check"]) == 0
    assert "params.yaml is valid: scale demo, 23 datasets, 197 runs" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["check", "status laptop"])
def test_a_reader_that_has_gone_ends_it_quietly(command, root):
    """As in `python -m seqflows status | head -1`; little output is written at the end alone, much on the way."""
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "seqflows", *command.split()]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, cwd=root)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


def test_show_prints_the_first_table_and_where_the_rest_is(stage, tmp_path, capsys):
    table, figure = paths.table("demo", "ziegler2019-table1")[1], paths.figure("demo", "ziegler2019-figure5")[0]
    (tmp_path / table.parent).mkdir(parents=True)
    (tmp_path / table).write_text("# Table 1\n\n| a | b |\n")
    (tmp_path / figure).write_bytes(b"")
    assert cli.main(["show", "demo"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("# Table 1\n\n| a | b |\n\n")
    assert f"tables:\n  {table}\n" in said and f"figures:\n  {figure}\n" in said and "audit:\n  none was made" in said


REFUSALS = {
    "the right": PermissionError(errno.EACCES, "Permission denied", "results/x"),
    "a read-only folder": OSError(errno.EROFS, "Read-only file system", "results/x"),
    "no room": OSError(errno.ENOSPC, "No space left on device"),
    "a server that has gone": BrokenPipeError(errno.EPIPE, "Broken pipe"),
    "a bad disk": OSError(errno.EIO, "Input/output error", "results/x"),
    "a folder in its place": IsADirectoryError(errno.EISDIR, "Is a directory", "results/x"),
    "memory": MemoryError(),
    "depth": RecursionError("maximum recursion depth exceeded"),
}


@pytest.mark.parametrize("why", REFUSALS)
@pytest.mark.fault("an error of the system: rights, room, memory, nesting")
def test_what_the_system_refuses_is_one_line_with_a_remedy(stage, capsys, why):
    def run(key, found):
        raise REFUSALS[why]

    stage("data.prepare", run)
    assert cli.main(["prepare", "demo/ptb"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("seqflows prepare demo/ptb: expected ") and said.count("\n") == 1
    assert ", got " in said and "; " in said.split(", got ")[1]
    assert "results/x" in said or why in ("no room", "a server that has gone", "memory", "depth")


def test_a_folder_in_the_place_of_a_table_is_told_and_nothing_is_left(stage, tmp_path, capsys):
    """By a stage that really writes."""
    path = tmp_path / ".matrix/demo/run-ptb-lstm.json"
    stage("pipeline.matrix", lambda: files.write_text(path, "x"))
    path.mkdir(parents=True)
    assert cli.main(["matrix"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("seqflows matrix: expected ") and "to be free to be written" in said and "move it" in said
    assert [one.name for one in path.parent.iterdir()] == [path.name]


PRINTING = """
import sys, types
from seqflows import cli, files
def run(key, found):
    files.write_text(files.Path("made"), "whole")
    for _ in range(3):
        print("± " * 5000, flush=True)
    print("warning", file=sys.stderr)
    print("made")
sys.modules["seqflows.data.prepare"] = types.SimpleNamespace(run=run)
sys.argv = ["seqflows", "prepare", "demo/ptb"]
import runpy
runpy.run_module("seqflows", run_name="__main__")
"""


@pytest.mark.parametrize("where", [">/dev/full", ">&-", "| true", ">said", ">/dev/full 2>/dev/full", ">&- 2>&-"])
@pytest.mark.fault("standard output that is full, closed or ASCII")
def test_what_a_stage_prints_does_not_fail_it(stage, tmp_path, root, where):
    """On a full disk, a closed stdout, one that nobody reads, and one that has ASCII alone."""
    (tmp_path / "code.py").write_text(PRINTING)
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} code.py {where}; exit ${{PIPESTATUS[0]}}"],
        env={**os.environ, "PYTHONPATH": str(root / "src"), "PYTHONIOENCODING": "ascii", "PYTHONUNBUFFERED": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and "Error" not in done.stderr, done.stderr
    assert (tmp_path / "made").read_text() == "whole"
    if where == ">said":
        assert (tmp_path / "said").read_text().startswith("\\xb1 ")


@pytest.mark.fault("standard output that is full, closed or ASCII")
def test_what_only_prints_says_that_it_could_not(root):
    command = f"{sys.executable} -m seqflows check >/dev/full"
    env = {**os.environ, "PYTHONUNBUFFERED": ""}  # so that the last flush is what fails
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=root, env=env)
    assert done.returncode == 1
    assert done.stderr.startswith("seqflows check: expected room to write its files and standard output, got none (")
    assert done.stderr.count("\n") == 1


WRITING = """
import sys, time, types
from seqflows import files
def run(key, found):
    with files.replacing_folder(files.Path("out")) as folder:
        (folder / "piece").write_text("x")
        print("ready", flush=True)
        time.sleep(60)
sys.modules["seqflows.data.prepare"] = types.SimpleNamespace(run=run)
sys.argv = ["seqflows", "prepare", "demo/ptb"]
import runpy
runpy.run_module("seqflows", run_name="__main__")
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
@pytest.mark.fault("SIGTERM, SIGHUP or SIGINT in a stage")
def test_a_stage_that_is_ended_leaves_nothing(stage, tmp_path, root, usual_signals, name):
    (tmp_path / "code.py").write_text(WRITING)
    process = subprocess.Popen(
        [sys.executable, "code.py"],
        env={**os.environ, "PYTHONPATH": str(root / "src")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    process.send_signal(getattr(signal, name))
    said = process.communicate(timeout=60)[1]
    assert (process.returncode, said) == (75, "seqflows prepare demo/ptb: interrupted; run it again\n")
    assert sorted(one.name for one in tmp_path.iterdir()) == [".locks", "code.py", "params.yaml"]
