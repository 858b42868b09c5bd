"""``preload <command>``: run a command, such as ``dvc repro``, whose stages find torch loaded.

An engine starts a process for each of some hundred stages, and importing torch takes longer than most stages of scale
demo. Here one process imports the libraries, once, and listens at a socket. Each ``python -m seqflows`` that the
command starts hands over its arguments, environment, working directory and streams, and waits while a fork of that
process runs the stage. Only libraries are imported before: a stage reads the project's own code as it then is.
Snakemake on one machine starts such a process itself (`beside`), and so does the first stage that DVC runs (`linger`).
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import hashlib
import importlib
import json
import os
import resource
import runpy
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn

from seqflows import ending

VARIABLE = "SEQFLOWS_PRELOADED"  # the interpreter that listens, and its socket
LIBRARIES = ("numpy", "safetensors.torch", "torch", "yaml")
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SIZE = 8  # bytes of the length of a request
KILLED = 128 + signal.SIGKILL  # the exit status that a shell gives a killed process
SECONDS = 0.2  # between two looks at whether the command has ended
LINGERS = 20.0  # seconds without a stage after which the process that serves DVC's ends


def run(command: Sequence[str]) -> int:
    """Run a command; its exit status, 127 if it cannot be started. A fork ends in `SystemExit`.

    The command begins while the libraries are imported; what it asks for meanwhile waits.
    """
    folder, here = tempfile.mkdtemp(prefix="seqflows-"), os.getpid()
    try:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(path := os.path.join(folder, "socket"))
            listening.listen()
            listening.settimeout(SECONDS)
            try:
                engine = subprocess.Popen(command, env=os.environ | {VARIABLE: f"{sys.executable}{os.pathsep}{path}"})
            except OSError as error:
                print(f"seqflows preload: expected a command, got {command[0]!r}: {error.strerror}", file=sys.stderr)
                return 127
            for number in SIGNALS[1:]:
                signal.signal(number, lambda number, _: engine.send_signal(number))
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # the command gets it from the terminal, too
            _load()
            _serve_while(lambda forks: engine.poll() is None, listening)
            return engine.returncode if engine.returncode >= 0 else 128 - engine.returncode
    finally:
        if os.getpid() == here:
            shutil.rmtree(folder)


@contextlib.contextmanager
def beside() -> Iterator[None]:
    """Stages that this process starts find torch loaded by another one, which ends with the context or this process.

    Nothing is done where the environment has `VARIABLE`, be it empty.
    """
    if VARIABLE in os.environ:
        yield
        return
    script = f"from seqflows import preload; preload.run(['sh', '-c', 'echo \"${VARIABLE}\"; exec cat'])"
    # In a session of its own, since an interrupt from the terminal is for the stages; the open pipe holds it.
    with subprocess.Popen(
        (sys.executable, "-c", script), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        os.environ[VARIABLE] = process.stdout.readline().strip()
        try:
            yield
        finally:
            del os.environ[VARIABLE]
            process.stdin.close()


def linger(path: str, seconds: float) -> None:
    """Listen at ``path`` until no stage has run for some seconds; return at once if another process does.

    The socket has a name of its own until it listens, so that whoever finds ``path`` is heard; and whoever has found it
    before it is taken away is served, too.
    """
    own, here, last = f"{path}-{os.getpid()}", os.getpid(), 0.0

    def waits(forks: set[int]) -> bool:
        nonlocal last
        if forks:
            last = time.monotonic()
        return time.monotonic() - last < seconds

    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(own)
        listening.listen()
        listening.settimeout(SECONDS)
        made = os.stat(own)
        try:
            os.link(own, path)
        except FileExistsError:
            return
        finally:
            os.unlink(own)
        try:
            _load()
            last = time.monotonic()
            _serve_while(waits, listening)
        finally:
            if os.getpid() == here:
                with contextlib.suppress(FileNotFoundError):
                    if os.path.samestat(os.stat(path), made):
                        os.unlink(path)
        while _fork(listening):
            pass


def _load() -> None:
    """Import the libraries."""
    for name in LIBRARIES:
        with contextlib.suppress(ImportError):  # a bare node has not all of them
            importlib.import_module(name)
    gc.collect()
    gc.freeze()  # no fork's collector looks at the libraries, which would copy them


def _serve_while(goes_on: Callable[[set[int]], bool], listening: socket.socket) -> None:
    """Fork for each who asks, as long as what is said of the running forks."""
    forks: set[int] = set()
    while goes_on(forks):
        forks -= {pid for pid in forks if os.waitpid(pid, os.WNOHANG)[0]}
        if pid := _fork(listening):
            forks.add(pid)


def _fork(listening: socket.socket) -> int | None:
    """The fork that serves the next who asks; None if nobody does for a while."""
    try:
        connection, _ = listening.accept()
    except TimeoutError:
        return None
    with connection:
        if not (pid := os.fork()):
            listening.close()
            _serve(connection)
    return pid


def ask() -> int | None:
    """Hand this command over to the process that listens; its exit status, or None if there is no such process."""
    executable, _, path = os.environ.get(VARIABLE, "").partition(os.pathsep)
    if executable != sys.executable:
        return None
    return _asked(path)


def ask_lingering() -> int | None:
    """As `ask`, of the process that serves DVC's stages here; without one, start it for the stages that follow."""
    folder = os.path.join(tempfile.gettempdir(), f"seqflows-{os.getuid()}")
    with contextlib.suppress(OSError):
        os.makedirs(folder, mode=0o700, exist_ok=True)
        if (found := os.lstat(folder)).st_uid != os.getuid() or found.st_mode & 0o077:  # another's
            return None
        path = os.path.join(folder, _place())
        if (status := _asked(path)) is not None:
            return status
        with contextlib.suppress(FileNotFoundError):  # of one that was killed
            os.unlink(path)
        subprocess.Popen(
            (sys.executable, "-c", f"from seqflows import preload; preload.linger({path!r}, {LINGERS})"),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
    return None


def _place() -> str:
    """A short name of what a fork has of its parent and must share with who asks: code, session, processors, limits."""
    limits = [resource.getrlimit(getattr(resource, name)) for name in dir(resource) if name.startswith("RLIMIT_")]
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    group = ""
    with contextlib.suppress(OSError), open("/proc/self/cgroup", encoding="utf-8") as file:
        group = file.read()
    shared = (sys.executable, os.getcwd(), sys.path, os.getsid(0), os.getpriority(os.PRIO_PROCESS, 0))
    return hashlib.sha256(repr((*shared, cores, limits, group)).encode()).hexdigest()[:12]


def _asked(path: str) -> int | None:
    """The exit status of this command, run by the process that listens at ``path``; None if none does."""
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(path)
            for number in range(3):
                os.fstat(number)
        except OSError:  # it has ended; or a stream is closed, and cannot be handed over
            return None
        request = {"argv": sys.argv, "path": sys.path, "environ": dict(os.environ), "cwd": os.getcwd()}
        sent = json.dumps(request).encode()
        socket.send_fds(connection, [len(sent).to_bytes(SIZE)], [0, 1, 2])
        connection.sendall(sent)
        for number in SIGNALS:
            signal.signal(number, lambda number, _: connection.send(bytes([number])))
        said = _received(connection)  # until the fork has ended
        return said[0] if said else KILLED


def _serve(connection: socket.socket) -> NoReturn:
    """In a fork: run what the connection asks for, and exit with its status."""
    os.setpgid(0, 0)  # signals come over the connection alone
    for number in SIGNALS:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    length, streams, _, _ = socket.recv_fds(connection, SIZE, 3)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
    request: dict[str, Any] = json.loads(_received(connection, int.from_bytes(length)))
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update({name: value for name, value in request["environ"].items() if name != VARIABLE})
    sys.argv, sys.path[:] = request["argv"], request["path"]
    for name in [name for name in sys.modules if name.partition(".")[0] == "seqflows"]:
        del sys.modules[name]
    # of its own: that of `run` is closed on the way out, under the thread's hands
    threading.Thread(target=_heed, args=(connection.dup(),), daemon=True).start()
    status = 1
    try:
        runpy.run_module("seqflows", {"forked": True}, run_name="__main__", alter_sys=True)
        status = 0
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        if not isinstance(ended.code, int | None):
            print(ended.code, file=sys.stderr)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    atexit.register(connection.send, bytes([status & 0xFF]))
    ending.end(status)


def _heed(connection: socket.socket) -> None:
    """Send this process the signals that its asker got; end it if that is killed."""
    with contextlib.suppress(ConnectionError):
        while said := connection.recv(1):
            os.kill(os.getpid(), said[0])
    os.kill(os.getpid(), signal.SIGKILL)


def _received(connection: socket.socket, length: int | None = None) -> bytes:
    """So many bytes, or all until the connection closes."""
    said = b""
    while length is None or len(said) < length:
        more = connection.recv(2**16 if length is None else length - len(said))
        if not more:
            break
        said += more
    return said
