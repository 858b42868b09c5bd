"""Atomic writes, checksums and locks."""

from __future__ import annotations

import contextlib
import csv
import fcntl
import functools
import hashlib
import io
import json
import math
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from seqflows.errors import ROOM, Problem, described

OLD = 7 * 86400.0  # seconds after which the temporary file of a writer elsewhere is that of a dead one
CHANGED = "+dirty"  # after the commit of a revision whose tracked source differs from it


def sha256(path: Path) -> str:
    """The sha256 of a file's bytes, as 64 hex digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest(value: Any) -> str:
    """The sha256 of a JSON value, keys sorted: equal values have equal digests.

    >>> digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    True
    """
    return hashlib.sha256(json.dumps(value, sort_keys=True, allow_nan=False).encode()).hexdigest()


def _temporary(path: Path) -> Path:
    """A name beside ``path`` that nobody can foresee; what killed writers of ``path`` left there is removed first.

    A folder that was moved aside is moved back if its writer was killed before the new one, still there, replaced it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    host = re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname())[:40]
    left = re.compile(rf"\.{re.escape(path.name)}\.([A-Za-z0-9-]*)\.([0-9]{{1,9}})\.[0-9a-f]{{16}}\.(tmp|old)")
    for other in sorted(path.parent.iterdir()):  # .old before .tmp
        new = other.with_suffix(".tmp")
        seen = new if new.exists() else other  # has the writer's age: a folder that was moved aside keeps its own
        if (found := left.fullmatch(other.name)) and _dead(seen, found[1] == host, int(found[2])):
            if found[3] == "old" and new.exists() and not path.exists():
                with contextlib.suppress(OSError):
                    os.replace(other, path)
            else:
                _remove(other)
    return path.with_name(f".{path.name}.{host}.{os.getpid()}.{secrets.token_hex(8)}.tmp")


def _dead(path: Path, here: bool, process: int) -> bool:
    """Whether a temporary file's writer is gone: its process of this host, or by the file's age."""
    with contextlib.suppress(OSError):
        if here and not Path(f"/proc/{process}").exists() and Path("/proc/self").exists():
            return True
        return time.time() - path.lstat().st_mtime > OLD
    return False


def _remove(path: Path) -> None:
    """Remove a file or a folder, whichever it is; links are not followed."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on success flush it and rename it to ``path``.

    On any error the temporary file is deleted and ``path`` stays unchanged. A full disk is reported
    as a `Problem` that names the file.
    """
    temporary = _temporary(path)
    try:
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666))
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise _problem(error, path, temporary) from error
    finally:
        _remove(temporary)


@contextlib.contextmanager
def scratch(path: Path) -> Iterator[Path]:
    """A temporary folder beside ``path``, which goes at the end; what killed processes left of such goes as well."""
    temporary = _temporary(path)
    try:
        temporary.mkdir()
        yield temporary
    except OSError as error:
        raise _problem(error, path, temporary) from error
    finally:
        _remove(temporary)


@contextlib.contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside ``path``; on success it replaces ``path``.

    Killed between its two renames, it leaves nothing in this place; the next call begins by moving the old one back.
    """
    if path.exists() and not path.is_dir():
        raise Problem(f"expected a folder or nothing in the place of {path}, got a file; move it away and run again")
    with scratch(path) as temporary:
        old = temporary.with_suffix(".old")
        yield temporary
        try:
            if path.exists():
                os.replace(path, old)
            os.replace(temporary, path)
        except OSError:
            if old.exists() and not path.exists():
                os.replace(old, path)
            raise
        finally:
            _remove(old)


def _problem(error: OSError, path: Path, temporary: Path) -> Exception:
    """The error as a `Problem` that names ``path``, unless it is of another file that was read on the way."""
    own = error.filename is None or str(error.filename).startswith(str(temporary))
    if error.errno in ROOM or (error.errno is not None and own):
        return Problem(described(OSError(error.errno, error.strerror or str(error), str(path))))
    return error


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path`` atomically."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    """Write ``content`` to ``path`` atomically, as UTF-8."""
    write_bytes(path, content.encode())


def write_json(path: Path, value: Any) -> None:
    """Write a JSON value to ``path`` atomically; a NaN is an error."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False, ensure_ascii=False) + "\n")


def write_lines(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON object to ``path`` atomically, with a line for each key and each entry of a list."""

    def shown(part: Any) -> str:
        return json.dumps(part, allow_nan=False, ensure_ascii=False)

    def laid(part: Any) -> str:
        return "[\n  " + ",\n  ".join(map(shown, part)) + "\n ]" if isinstance(part, list) and part else shown(part)

    write_text(path, "{\n" + ",\n".join(f" {shown(key)}: {laid(part)}" for key, part in value.items()) + "\n}\n")


def write_csv(path: Path, rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Write ``rows`` to ``path`` atomically; ``None`` becomes an empty field."""
    write_text(path, csv_text(rows, columns))


def csv_text(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """``rows`` as csv; ``None`` becomes an empty field."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, fieldnames=list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


def read_json(path: Path) -> Any:
    """Read a JSON file; missing or invalid files, duplicate keys and non-finite numbers are a `Problem`."""
    try:
        return json.loads(
            path.read_text(encoding="utf-8"), object_pairs_hook=_object, parse_float=_finite, parse_constant=_finite
        )
    except FileNotFoundError:
        raise Problem(f"expected the file {path}, found none; run the stage that makes it first") from None
    except IsADirectoryError:
        got: Any = "a folder"
    except RecursionError:
        got = "values nested too deeply"
    except ValueError as error:  # syntax, encoding, a number with thousands of digits, and the errors below
        got = error
    raise Problem(f"expected JSON in {path}, got {got}; delete it and run its stage again")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError(f"the key {next(key for n, (key, _) in enumerate(pairs) if key in dict(pairs[:n]))!r} twice")
    return found


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text}, which is not finite")
    return value


def sealed(content: Mapping[str, Any]) -> dict[str, Any]:
    """``content`` with its sha256, by which `read_sealed` detects changes."""
    return {**content, "sha256": digest(content)}


def read_sealed(path: Path) -> dict[str, Any]:
    """Read a sealed JSON file; a missing or wrong sha256 is a `Problem`."""
    content = read_json(path)
    found = content.pop("sha256", None) if isinstance(content, dict) else None
    if found is None or found != digest(content):
        got = "none" if found is None else "another: it was changed since"
        raise Problem(f"expected the sha256 of its own content in {path}, got {got}; run the stage that makes it again")
    return content


@contextlib.contextmanager
def lock(path: Path, holder: str = "another process works on the same key", shared: bool = False) -> Iterator[int]:
    """Hold a lock: an exclusive one waits for another ``holder`` with a message, a shared one raises `Problem`.

    So does a file system that has no locks. Yields the lock's descriptor: processes that inherit it hold the lock, too.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+") as file:  # "a" leaves alone what a link there leads to; NFS locks only what may be read, too
        started, told = time.monotonic(), False
        while True:
            try:
                fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if shared:
                    raise Problem(f"expected {path} to be free, but {holder}; wait for its end") from None
                if not told and time.monotonic() - started > 2:
                    print(f"waiting for {path}: {holder}", file=sys.stderr)
                    told = True
                time.sleep(0.1)
            except OSError as error:
                raise Problem(
                    f"expected a file system that can lock {path}, got {error.strerror}; have it mounted with locks "
                    "(flock), or work in a checkout on another one"
                ) from None
        yield file.fileno()


@functools.cache
def lines(name: str) -> list[str]:
    """The lines of a UTF-8 file that are not empty, without surrounding space; of standard input for ``-``.

    Raises:
        Problem: no such file, other bytes, or no text.
    """
    try:
        content = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise Problem(f"expected a file of text at {name}, found none") from None
    except (OSError, UnicodeDecodeError) as error:
        raise Problem(f"expected a file of text at {name}, got {error}") from None
    if not (found := [line.strip() for line in content.splitlines() if line.strip()]):
        raise Problem(f"expected a sequence per line in {name}, got no text")
    return found


def revision() -> str:
    """The code's git commit, with ``+dirty`` if tracked source differs; ``unknown`` outside git.

    The entry ``scale`` of params.yaml, the scale that DVC makes, may differ.
    ``$SEQFLOWS_REVISION`` overrides it, for nodes that have the files without git.
    """
    given = os.environ.get("SEQFLOWS_REVISION")
    if given:
        return given
    try:
        head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
        changed = subprocess.run(
            ["git", "status", "--porcelain", "--untracked-files=no", "--", "src", "params.yaml"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.splitlines()
        dirty = changed and not (all(line.endswith(" params.yaml") for line in changed) and _same_but_for_scale())
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head + (CHANGED if dirty else "")


def _same_but_for_scale() -> bool:
    """Whether params.yaml is that of the commit in all but ``scale``."""
    import yaml

    shown = subprocess.run(["git", "show", "HEAD:./params.yaml"], capture_output=True, text=True, check=True).stdout
    try:
        first, second = (yaml.safe_load(text) for text in (shown, Path("params.yaml").read_text(encoding="utf-8")))
    except yaml.YAMLError:
        return False
    alike = isinstance(first, dict) and isinstance(second, dict)
    return alike and first | {"scale": None} == second | {"scale": None}
