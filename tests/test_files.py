"""Writing whole or not at all, checksums and locks."""

import csv
import errno
import fcntl
import os
import subprocess
import sys

import pytest

from seqflows import files
from seqflows.errors import Problem

WRITERS = {
    "bytes": lambda path, value: files.write_bytes(path, value.encode()),
    "text": files.write_text,
    "json": files.write_json,
    "csv": lambda path, value: files.write_csv(path, [{"a": value}], ["a"]),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_is_replaced_never_written_into(tmp_path, name):
    """Who has the old file open, or a link to it, keeps the old file whole."""
    path, other = tmp_path / "folder/file", tmp_path / "link"
    WRITERS[name](path, "old")
    os.link(path, other)
    before = other.read_bytes()
    with open(path, "rb") as reader:
        WRITERS[name](path, "new and longer")
        assert reader.read() == before == other.read_bytes() != path.read_bytes()
    assert sorted(p.name for p in path.parent.iterdir()) == ["file"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_what_fails_on_the_way_leaves_the_old_file_alone(tmp_path, monkeypatch, step):
    path = tmp_path / "file"
    files.write_text(path, "old")

    def fails(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, step, fails)
    with pytest.raises(Problem, match="expected room to write .*file, got none"):
        files.write_text(path, "new")
    assert path.read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_file_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    order = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(files.os, "fsync", lambda n: (order.append("fsync"), fsync(n)))
    monkeypatch.setattr(files.os, "replace", lambda *names: (order.append("replace"), replace(*names)))
    files.write_text(tmp_path / "file", "x")
    assert order == ["fsync", "replace"]


def test_a_folder_is_replaced_whole_or_stays(tmp_path):
    path = tmp_path / "out"
    for content in ("first", "second"):
        with files.replacing_folder(path) as folder:
            assert not any(folder.iterdir())
            (folder / content).write_text(content)
            assert folder != path
        assert [p.name for p in path.iterdir()] == [content]
    with pytest.raises(ValueError, match="in the middle"), files.replacing_folder(path) as folder:
        (folder / "third").write_text("third")
        raise ValueError("in the middle")
    assert [p.name for p in path.iterdir()] == ["second"] and [p.name for p in tmp_path.iterdir()] == ["out"]


def test_json_has_no_nan_and_text_as_it_is(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        files.write_json(tmp_path / "x", {"a": float("nan")})
    assert not (tmp_path / "x").exists()
    files.write_json(tmp_path / "x", {"é": [1, None]})
    assert files.read_json(tmp_path / "x") == {"é": [1, None]} and "é" in (tmp_path / "x").read_text("utf-8")
    for content, message in ((b"{", "expected JSON in"), (b"\xff", "expected JSON in")):
        (tmp_path / "x").write_bytes(content)
        with pytest.raises(Problem, match=message):
            files.read_json(tmp_path / "x")
    with pytest.raises(Problem, match="run the stage that makes it first"):
        files.read_json(tmp_path / "nothing")


def test_csv_has_an_empty_field_for_none(tmp_path):
    files.write_csv(tmp_path / "x", [{"a": None, "b": 0.1 + 0.2}, {"a": "y, z", "b": 1}], ["a", "b"])
    with open(tmp_path / "x", newline="") as file:
        assert list(csv.DictReader(file)) == [{"a": "", "b": "0.30000000000000004"}, {"a": "y, z", "b": "1"}]


def test_digests_are_of_the_whole_value(tmp_path):
    assert files.digest({"a": 1, "b": [2]}) == files.digest({"b": [2], "a": 1}) != files.digest({"a": 1, "b": [3]})
    assert files.digest(1) != files.digest(1.5) != files.digest("1.5")
    (tmp_path / "x").write_bytes(b"abc")
    assert files.sha256(tmp_path / "x") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def held(path, kind):
    """Whether another holder is kept from a lock of a kind."""
    with open(path, "a") as file:
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_an_exclusive_lock_keeps_all_out_and_a_shared_one_the_exclusive(tmp_path):
    path = tmp_path / "locks/x"
    with files.lock(path):
        assert held(path, fcntl.LOCK_EX) and held(path, fcntl.LOCK_SH)
        with pytest.raises(Problem, match="to be free, but it is taken; wait"), files.lock(path, "it is taken", True):
            pass
    with files.lock(path, shared=True), files.lock(path, shared=True):
        assert held(path, fcntl.LOCK_EX) and not held(path, fcntl.LOCK_SH)
    assert not held(path, fcntl.LOCK_EX)


@pytest.mark.parametrize("shared", [False, True])
def test_a_lock_is_of_a_file_that_nfs_can_lock(tmp_path, monkeypatch, shared):
    """There a shared lock needs a descriptor that can read, an exclusive one a descriptor that can write."""

    def flock(file, kind):
        if not (file.readable() if kind & fcntl.LOCK_SH else file.writable()):
            raise OSError(errno.EBADF, "Bad file descriptor")

    monkeypatch.setattr(files.fcntl, "flock", flock)
    with files.lock(tmp_path / "x", shared=shared):
        pass


def test_a_file_system_without_locks_is_named(tmp_path, monkeypatch):
    def flock(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(files.fcntl, "flock", flock)
    message = "expected a file system that can lock .*/x, got No locks available; have it mounted with locks"
    with pytest.raises(Problem, match=message), files.lock(tmp_path / "x"):
        pass


@pytest.mark.parametrize(
    ("content", "got"),
    [
        (b'{"a": NaN}', "the number NaN, which is not finite"), (b"[-Infinity]", "the number -Infinity"),
        (b"[1e999]", "the number 1e999, which is not finite"), (b'{"a": {"b": 1, "b": 1}}', "the key 'b' twice"),
        (b"[" * 100_000, "values nested too deeply"), (b'"\xff"', "codec can't decode byte 0xff"),
        (b"1" * 5000, "Exceeds the limit"), (b'{"a": 1', "delimiter"), (b"", "Expecting value"), (None, "a folder"),
    ],
)  # fmt: skip
def test_json_that_is_none_is_refused_by_name(tmp_path, content, got):
    path = tmp_path / "file.json"
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(Problem, match=f"expected JSON in .*file.json, got .*{got}.*; delete it") as refused:
        files.read_json(path)
    assert "\n" not in str(refused.value)


def test_a_seal_is_of_the_whole_content(tmp_path):
    path = tmp_path / "file.json"
    for write in (files.write_json, files.write_lines):
        write(path, files.sealed({"a": [1, 0.1], "b": {"c": None}}))
        assert files.read_sealed(path) == {"a": [1, 0.1], "b": {"c": None}}
    for content in ({**files.sealed({"a": 1}), "a": 2}, {**files.sealed({"a": 1}), "b": 2}, {"a": 1}, [1]):
        files.write_json(path, content)
        with pytest.raises(Problem, match="expected the sha256 of its own content in .*file.json, got (none|another)"):
            files.read_sealed(path)


def dead():
    """The number of a process that has ended."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def left_over(monkeypatch, path, process, write):
    """The temporary name of ``path`` in a writer of that number, with something in it."""
    with monkeypatch.context() as own:
        own.setattr(files.os, "getpid", lambda: process)
        found = files._temporary(path)
    write(found)
    return found


@pytest.mark.parametrize("kind", ["file", "folder", "the folder before"])
def test_what_a_killed_writer_left_goes_with_the_next_write_of_the_same_target(tmp_path, monkeypatch, kind):
    def write(place):
        if kind == "file":
            place.write_text("piece")
        else:
            place = place.with_suffix(".old") if kind == "the folder before" else place
            (place / "inner").mkdir(parents=True)

    path = tmp_path / "target"
    kept = [left_over(monkeypatch, path, os.getppid(), write)]
    kept.append(left_over(monkeypatch, tmp_path / "other", dead(), write))
    left_over(monkeypatch, path, dead(), write)
    assert len(list(tmp_path.iterdir())) == 3
    if kind == "file":
        files.write_text(path, "whole")
    else:
        with files.replacing_folder(path):
            pass
    # that of a live writer stays, and that of another target
    names = {one.stem for one in kept}
    assert {one.stem for one in tmp_path.iterdir()} == names | {"target"}


@pytest.mark.parametrize("renames", [0, 1, 2])
def test_a_writer_of_a_folder_that_is_killed_at_any_rename_leaves_a_whole_one(tmp_path, renames):
    """With the next call, even if that one fails."""
    path = tmp_path / "out"
    with files.replacing_folder(path) as folder:
        (folder / "old").touch()
    script = """
import os, sys
from pathlib import Path
from seqflows import files
replace, renames = os.replace, iter(range(int(sys.argv[2])))
def killed(*names):
    if next(renames, None) is None:
        os._exit(9)
    replace(*names)
files.os.replace, files._remove = killed, lambda _: os._exit(9)
with files.replacing_folder(Path(sys.argv[1])) as folder:
    (folder / "new").touch()
"""
    ended = subprocess.run([sys.executable, "-c", script, str(path), str(renames)], check=False)
    assert ended.returncode == 9 and path.exists() == (renames != 1) and len(list(tmp_path.iterdir())) == 2
    with pytest.raises(ValueError, match="fails too"), files.replacing_folder(path):
        raise ValueError("fails too")
    assert [one.name for one in tmp_path.iterdir()] == ["out"]
    assert [one.name for one in path.iterdir()] == ["new" if renames == 2 else "old"]


def test_what_a_writer_elsewhere_left_goes_by_its_age(tmp_path, monkeypatch):
    path = tmp_path / "target"
    with monkeypatch.context() as own:
        own.setattr(files.socket, "gethostname", lambda: "another.host")
        found = left_over(monkeypatch, path, dead(), lambda place: place.write_text("piece"))
    files.write_text(path, "1")
    assert found.exists()
    os.utime(found, (0, 0))
    files.write_text(path, "2")
    assert [one.name for one in tmp_path.iterdir()] == ["target"]


def test_a_folder_that_was_moved_aside_has_its_writers_age(tmp_path, monkeypatch):
    """Not that of its content, which it keeps: a writer elsewhere may be between its two renames."""
    path = tmp_path / "target"
    with monkeypatch.context() as own:
        own.setattr(files.socket, "gethostname", lambda: "another.host")
        new = left_over(monkeypatch, path, 1, os.mkdir)
    old = new.with_suffix(".old")
    old.mkdir()
    os.utime(old, (0, 0))
    files._temporary(path)
    assert {*tmp_path.iterdir()} == {new, old}
    os.utime(new, (0, 0))
    files._temporary(path)
    assert {*tmp_path.iterdir()} == {path}


@pytest.mark.parametrize("write", [files.write_text, lambda path, _: files.replacing_folder(path).__enter__()])
def test_a_link_at_a_temporary_name_is_not_followed(tmp_path, monkeypatch, write):
    """Even where someone foresaw the name."""
    victim, path = tmp_path / "victim", tmp_path / "folder/target"
    victim.write_text("whole")
    monkeypatch.setattr(files.secrets, "token_hex", lambda n: "0" * 2 * n)
    files._temporary(path).symlink_to(victim)
    with pytest.raises(Problem, match="expected .*target to be free to be written"):
        write(path, "other")
    assert victim.read_text() == "whole" and not path.exists()


def test_temporary_names_are_never_twice_the_same(tmp_path):
    assert files._temporary(tmp_path / "x") != files._temporary(tmp_path / "x")


def test_a_file_in_a_folders_place_and_the_other_way_round(tmp_path):
    (tmp_path / "x").write_text("mine")
    with pytest.raises(Problem, match="expected a folder or nothing in the place of .*x, got a file; move it away"):
        files.replacing_folder(tmp_path / "x").__enter__()
    assert (tmp_path / "x").read_text() == "mine"
    (tmp_path / "y/inner").mkdir(parents=True)
    with pytest.raises(Problem, match="expected .*y to be free to be written, got Is a directory; move it away"):
        files.write_text(tmp_path / "y", "mine")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["x", "y"] and (tmp_path / "y/inner").is_dir()


def test_a_lock_leaves_what_a_link_leads_to_alone(tmp_path):
    (tmp_path / "victim").write_text("whole")
    (tmp_path / "x.lock").symlink_to(tmp_path / "victim")
    with files.lock(tmp_path / "x.lock"):
        pass
    assert (tmp_path / "victim").read_text() == "whole"


def test_the_revision_of_changed_source_is_dirty_but_not_for_the_scale_that_dvc_makes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SEQFLOWS_REVISION", raising=False)
    assert files.revision() == "unknown"
    (tmp_path / "src").mkdir()
    source, matrix = tmp_path / "src" / "x.py", tmp_path / "params.yaml"
    source.write_text("x = 1\n")
    matrix.write_text("# the matrix\nscale: demo\nruns: {a: 1}\n")
    mine = ("-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false")
    for command in (("init", "-q"), ("add", "."), (*mine, "commit", "-q", "-m", "x")):
        subprocess.run(["git", *command], check=True)
    clean = files.revision()
    assert len(clean) == 40
    matrix.write_text("# the matrix\nscale: laptop\nruns: {a: 1}\n")
    assert files.revision() == clean
    for text in ("scale: laptop\nruns: {a: 2}\n", "runs: {a: 1}\nother: 1\n", "scale: [\n", "- scale\n"):
        matrix.write_text(text)
        assert files.revision() == f"{clean}+dirty", text
    matrix.write_text("# the matrix\nscale: laptop\nruns: {a: 1}\n")
    source.write_text("x = 2\n")
    assert files.revision() == f"{clean}+dirty"
