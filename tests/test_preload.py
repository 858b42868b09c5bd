"""A command whose stages find torch loaded says and does what it says and does without."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time

import pytest

from seqflows import cli, preload

# Stands for the project's own, so that it can say what it finds.
OWN = """
import json, os, sys, time
what = sys.argv[1]
if what == "say":
    found = {"argv": sys.argv[1:], "cwd": os.getcwd(), "loaded": sorted({"torch", "seqflows.cli"} & {*sys.modules})}
    print(json.dumps(found | {"word": os.environ.get("WORD"), "read": sys.stdin.read()}))
    print("spoken", file=sys.stderr)
    sys.exit(3)
if what == "fail":
    raise ValueError("of its own")
if what == "word":
    sys.exit("a word")
if what == "end":
    os.kill(os.getpid(), 9)
try:
    with open("pid.tmp", "w") as file:
        file.write(str(os.getpid()))
    os.rename("pid.tmp", "pid")
    time.sleep(60)
except KeyboardInterrupt:
    print("interrupted")
    sys.exit(75)
"""


def run(*command, **given):
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, **given)


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A folder with a package of the project's name, and a function that runs a shell script with libraries loaded."""
    (tmp_path / "own/seqflows").mkdir(parents=True)
    (tmp_path / "own/seqflows/__init__.py").write_text("")
    (tmp_path / "own/seqflows/__main__.py").write_text(OWN)
    # `preload` is the project's, whichever package of that name the path has first
    lines = ("import sys", "from seqflows import preload", f"sys.path.insert(0, {str(tmp_path / 'own')!r})")
    (tmp_path / "ask.py").write_text("\n".join((*lines, "sys.exit(preload.ask())")))
    monkeypatch.chdir(tmp_path)

    env = os.environ | {"WORD": "given", "ASK": f"{sys.executable} ask.py"}
    return lambda script: run(sys.executable, "-m", "seqflows", "preload", "bash", "-c", script, env=env)


def test_a_command_finds_torch_and_hands_over_what_it_is_given(own, tmp_path):
    done = own("mkdir -p there; cp ask.py there; cd there; echo read | WORD=mine $ASK say 'a b'; exit $?")
    assert (done.returncode, done.stderr) == (3, "spoken\n")
    said = {"argv": ["say", "a b"], "cwd": str(tmp_path / "there"), "loaded": ["torch"], "word": "mine"}
    assert json.loads(done.stdout) == said | {"read": "read\n"}


def test_the_code_is_read_anew_for_each_command(own):
    done = own("echo 'print(1)' > own/seqflows/__main__.py; $ASK; echo 'print(222)' > own/seqflows/__main__.py; $ASK")
    assert (done.returncode, done.stdout, done.stderr) == (0, "1\n222\n", "")


@pytest.mark.parametrize(
    ("what", "status", "said"),
    [("fail", 1, "ValueError: of its own"), ("word", 1, "a word"), ("end", 137, "")],
)
def test_a_failure_has_its_status_and_its_words(own, what, status, said):
    done = own(f"$ASK {what}")
    assert done.returncode == status and said in done.stderr


ENDS = """
import atexit, concurrent.futures, sys, threading, time
if "{kind}" == "plain":
    from seqflows import ending
atexit.register(print, "last")
def late(seconds):
    time.sleep(seconds)
    print("late")
threading.Thread(target=late, args=(1,)).start()
pool = concurrent.futures.ThreadPoolExecutor(1)
pool.submit(late, 0).result()
print("first")
sys.exit(3) if "{kind}" == "forked" else ending.end(259)
"""


def test_an_end_waits_for_threads_calls_what_is_registered_and_flushes(own, tmp_path):
    """Of a fork and of a process of its own; streams are pipes, whose text would be lost with a buffer."""
    (tmp_path / "own/seqflows/__main__.py").write_text(ENDS.format(kind="forked"))
    (tmp_path / "plain.py").write_text(ENDS.format(kind="plain"))
    for done in (own("$ASK"), run(sys.executable, "plain.py")):
        assert (done.returncode, done.stdout, done.stderr) == (3, "late\nfirst\nlate\nlast\n", "")


@pytest.mark.parametrize(("number", "status", "said"), [("INT", 75, "interrupted\n"), ("TERM", 137, "")])
def test_a_signal_reaches_the_fork(own, number, status, said):
    done = own(f"set -m; $ASK wait & while [ ! -e pid ]; do sleep 0.1; done; kill -{number} $!; wait $!")
    assert (done.returncode, done.stdout) == (status, said)


def test_no_fork_outlives_who_asked_for_it(own, tmp_path):
    # its streams are files: what holds a pipe would be waited for
    done = own("$ASK wait > said 2>&1 & while [ ! -e pid ]; do sleep 0.1; done; kill -9 $!; wait $!")
    assert done.returncode == 137
    fork = int((tmp_path / "pid").read_text())
    for _ in range(100):
        if not os.path.exists(f"/proc/{fork}"):
            break
        time.sleep(0.1)
    else:
        pytest.fail(f"process {fork} is still there")


def test_the_projects_own_commands_say_the_same(root, tmp_path):
    script = "for what in --version 'list train' 'train demo/none'; do python -m seqflows $what; echo $?; done; exit 4"
    shell = ("bash", "-c", script)
    there = {"cwd": root, "env": os.environ | {"TMPDIR": str(tmp_path)}}
    plain, loaded = run(*shell, **there), run(sys.executable, "-m", "seqflows", "preload", *shell, **there)
    assert (loaded.stdout, loaded.stderr, loaded.returncode) == (plain.stdout, plain.stderr, 4)
    assert "expected a key among runs" in plain.stderr and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("command", "status", "said"),
    [
        (["no-such-command"], 127, "seqflows preload: expected a command, got 'no-such-command'"),
        ([], 1, "expected a command, such as dvc repro, got none; run: python -m seqflows preload dvc repro"),
        (["bash", "-c", "kill -9 $$"], 137, ""),
    ],
)
def test_a_command_that_is_none_or_is_killed(command, status, said):
    done = run(sys.executable, "-m", "seqflows", "preload", *command)
    assert done.returncode == status and said in done.stderr and "Traceback" not in done.stderr


def test_without_a_listener_of_the_same_interpreter_a_command_runs_by_itself(monkeypatch, tmp_path):
    monkeypatch.delenv(preload.VARIABLE, raising=False)
    assert preload.ask() is None
    monkeypatch.setenv(preload.VARIABLE, f"{sys.executable}:{tmp_path / 'gone'}")
    assert preload.ask() is None
    monkeypatch.setattr(preload, "_received", lambda connection: b"\0")  # what would be an answer
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        listening.listen()
        listening.settimeout(0.2)
        monkeypatch.setenv(preload.VARIABLE, f"/another/python:{tmp_path / 'socket'}")
        assert preload.ask() is None
        with pytest.raises(TimeoutError):
            listening.accept()


def test_help_and_a_missing_command(capsys, monkeypatch):
    asked = run(sys.executable, "-m", "seqflows", "preload", "--help")
    assert asked.returncode == 0 and "usage: seqflows preload" in asked.stdout
    monkeypatch.setenv(preload.VARIABLE, f"{sys.executable}:gone")
    nothing = run(sys.executable, "-m", "seqflows")
    assert nothing.returncode == 2 and "<command>" in nothing.stderr and "Traceback" not in nothing.stderr
    assert cli.main(["preload"]) == 1
    assert "run: python -m seqflows preload dvc repro" in capsys.readouterr().err


def test_what_a_process_starts_finds_torch_until_the_context_ends(own, tmp_path, monkeypatch):
    monkeypatch.delenv(preload.VARIABLE, raising=False)
    with preload.beside():
        _, _, path = os.environ[preload.VARIABLE].partition(os.pathsep)
        done = run(sys.executable, "ask.py", "say", input="read\n")
        assert done.returncode == 3 and json.loads(done.stdout)["loaded"] == ["torch"]
    assert preload.VARIABLE not in os.environ and not os.path.exists(path)
    for value in ("", "/another/python:socket"):
        monkeypatch.setenv(preload.VARIABLE, value)
        with preload.beside():
            assert os.environ[preload.VARIABLE] == value


def test_it_ends_with_the_process_that_started_it(own, monkeypatch):
    monkeypatch.delenv(preload.VARIABLE, raising=False)
    lines = ("import os", "from seqflows import preload", "held = preload.beside()", "held.__enter__()")
    script = "; ".join((*lines, f"print(os.environ[{preload.VARIABLE!r}], flush=True)", "os.kill(os.getpid(), 9)"))
    _, _, path = run(sys.executable, "-c", script).stdout.strip().partition(os.pathsep)
    assert path
    for _ in range(300):
        if not os.path.exists(path):
            break
        time.sleep(0.1)
    else:
        pytest.fail(f"{path} is still listened to")


@pytest.fixture
def by_dvc(own, tmp_path, monkeypatch):
    """A function that starts a stage as DVC does; what serves such stages ends after a second without one."""
    lines = (tmp_path / "ask.py").read_text().splitlines()[:-1]
    lines += [
        "preload.LINGERS = 1.0",
        "status = preload.ask_lingering()",
        "sys.exit('alone' if status is None else status)",
    ]
    (tmp_path / "stage.py").write_text("\n".join(lines))
    (tmp_path / "t").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "t"))
    return lambda *arguments, **given: run(sys.executable, "stage.py", *arguments, **given)


def sockets(tmp_path):
    return list((tmp_path / "t").glob("seqflows-*/*"))


def gone(tmp_path):
    return any(not sockets(tmp_path) or time.sleep(0.1) for _ in range(300))


def loaded(done):
    return done.returncode == 3 and json.loads(done.stdout)["loaded"] == ["torch"]


def begun(by_dvc, tmp_path):
    first = by_dvc("say", input="")
    assert (first.returncode, first.stderr) == (1, "alone\n")
    assert any(sockets(tmp_path) or time.sleep(0.1) for _ in range(300))


def test_the_first_stage_that_dvc_runs_loads_torch_for_those_that_follow(by_dvc, tmp_path):
    begun(by_dvc, tmp_path)
    for word in ("one", "two"):
        done = by_dvc("say", word, input="read", env=os.environ | {"WORD": "mine"})
        assert loaded(done) and json.loads(done.stdout)["argv"] == ["say", word]
    assert gone(tmp_path)
    begun(by_dvc, tmp_path)
    assert gone(tmp_path)


def test_it_waits_for_a_stage_that_takes_longer_and_an_old_socket_is_replaced(by_dvc, tmp_path):
    begun(by_dvc, tmp_path)
    with subprocess.Popen((sys.executable, "stage.py", "wait"), cwd=tmp_path, stdout=subprocess.DEVNULL) as stage:
        time.sleep(4)
        assert loaded(by_dvc("say", input=""))
        stage.kill()
    (path,) = sockets(tmp_path)
    assert gone(tmp_path)
    with socket.socket(socket.AF_UNIX) as listening:  # of one that was killed
        listening.bind(str(path))
    begun(by_dvc, tmp_path)
    assert any(loaded(by_dvc("say", input="")) for _ in range(100))
    assert gone(tmp_path)


def test_what_a_fork_would_not_share_is_not_served_together(by_dvc, tmp_path, monkeypatch):
    """Another session, other limits, another niceness; and no folder of another's is used."""
    begun(by_dvc, tmp_path)
    for other in ({"start_new_session": True}, {"preexec_fn": lambda: os.nice(1)}):
        assert by_dvc("say", input="", **other).stderr == "alone\n"
    limited = run("bash", "-c", f"ulimit -n 512; {sys.executable} stage.py say", input="")
    assert limited.stderr == "alone\n" and loaded(by_dvc("say", input=""))
    assert gone(tmp_path)
    (folder,) = (tmp_path / "t").iterdir()
    folder.chmod(0o777)
    assert by_dvc("say", input="").stderr == "alone\n" and not list(folder.iterdir())


def test_who_has_found_the_socket_is_served_though_it_is_taken_away(tmp_path, monkeypatch):
    """The listener decides to end while somebody connects."""
    served, path = [], str(tmp_path / "socket")
    monkeypatch.setattr(preload, "_load", lambda: None)
    asker = socket.socket(socket.AF_UNIX)

    def wait(goes_on, listening):
        asker.connect(path)

    def fork(listening):
        with contextlib.suppress(TimeoutError):
            served.append(listening.accept())
            return 1
        return None

    monkeypatch.setattr(preload, "_serve_while", wait)
    monkeypatch.setattr(preload, "_fork", fork)
    preload.linger(path, 0.0)
    assert len(served) == 1 and list(tmp_path.iterdir()) == []
    asker.close()
    served[0][0].close()


def test_only_one_listens(tmp_path, monkeypatch):
    path = tmp_path / "socket"
    path.write_text("of another")
    monkeypatch.setattr(preload, "_load", lambda: pytest.fail("it went on"))
    preload.linger(str(path), 60.0)
    assert [each.name for each in tmp_path.iterdir()] == ["socket"] and path.read_text() == "of another"


def test_a_command_that_dvc_runs_says_the_same(root, tmp_path):
    there = {"cwd": root, "env": os.environ | {"TMPDIR": str(tmp_path), "DVC_STAGE": "one"}}
    there["env"].pop(preload.VARIABLE, None)
    (tmp_path / "t").symlink_to(tmp_path)
    command = (sys.executable, "-m", "seqflows", "train", "demo/none")
    alone = run(*command, **there)
    assert any(sockets(tmp_path) or time.sleep(0.1) for _ in range(300))
    served = run(*command, **there)
    assert (served.returncode, served.stderr) == (alone.returncode, alone.stderr) and alone.returncode == 1
    assert "expected a key among runs" in alone.stderr
    there["env"][preload.VARIABLE] = ""  # is the way to do without
    assert run(*command, **there).stderr == alone.stderr
