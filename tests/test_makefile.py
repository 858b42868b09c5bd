"""The Makefile's environment: made anew when the lock files change, but not that of another checkout."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PYTHON = """#!/bin/sh
# Stands for Python: notes how it is called, and makes a venv with itself in it.
echo "$@" >> "{log}"
if [ "$1 $2" = "-m venv" ]; then mkdir -p "$3/bin" && cp -f "$0" "$3/bin/python" 2>/dev/null; fi
exit 0
"""


@pytest.fixture
def checkout(tmp_path):
    """A checkout with the lock files and the Makefile alone, and a stand-in for Python."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    shutil.copy(ROOT / "Makefile", folder)
    for name in ("requirements.lock", "requirements-torch.txt", "pyproject.toml"):
        (folder / name).write_text(name)
    python = tmp_path / "python"
    python.write_text(PYTHON.format(log=tmp_path / "calls"))
    python.chmod(0o755)
    return folder


def made(checkout, venv):
    """What `make venv` did: its exit status, what it said of an error, and the calls of pip."""
    log = checkout.parent / "calls"
    log.write_text("")
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    command = ["make", f"VENV={venv}", f"PYTHON={checkout.parent / 'python'}", "venv"]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, env=env)
    return done.returncode, done.stderr, [line for line in log.read_text().splitlines() if "pip install" in line]


def environment(venv, of):
    """A venv into which a checkout was installed."""
    path = venv / "lib/python3.11/site-packages/__editable__.seqflows-0.1.0.pth"
    path.parent.mkdir(parents=True)
    path.write_text(f"{of}/src\n")
    (venv / ".installed-0123456789abcdef").touch()
    return path


def test_an_environment_is_made_and_then_kept(checkout):
    for venv in (".venv", checkout.parent / "of its own"):
        venv = str(venv).replace(" ", "-")
        status, _, calls = made(checkout, venv)
        assert status == 0 and len(calls) == 3 and calls[-1].endswith("-e .")
        assert made(checkout, venv) == (0, "", [])


def test_an_environment_of_another_checkout_is_not_changed(checkout):
    """A scratch clone would leave it importing from a folder that is gone; its lock files may differ, too."""
    venv = checkout.parent / "other/.venv"
    path = environment(venv, checkout.parent / "other")
    (checkout / ".venv").symlink_to(venv)
    for place in (venv, "../other/.venv", ".venv"):
        status, said, calls = made(checkout, place)
        assert status == 2 and calls == []
        assert f"expected in {venv} what the lock files here ask for, got other packages" in said
    assert path.read_text() == f"{checkout.parent}/other/src\n" and (venv / ".installed-0123456789abcdef").exists()


def test_an_environment_of_another_checkout_with_the_same_packages_is_used(checkout):
    made(checkout, ".venv")
    (stamp,) = (checkout / ".venv").glob(".installed-*")
    venv = checkout.parent / "other/.venv"
    environment(venv, checkout.parent / "other")
    (venv / stamp.name).touch()
    assert made(checkout, venv) == (0, "", [])


@pytest.mark.parametrize("place", ["venv-of-this", "checkout/.venv"])
def test_what_is_of_this_checkout_is_made_anew(checkout, place):
    """Elsewhere where it imports this checkout; here whatever it imported, as after the checkout was moved."""
    environment(checkout.parent / place, "/gone" if "checkout" in place else checkout)
    status, _, calls = made(checkout, checkout.parent / place)
    assert status == 0 and len(calls) == 3
