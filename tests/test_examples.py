"""The examples run as they stand, and do what they say."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

import tiny
from conftest import ROOT
from seqflows import paths
from seqflows.training import loop

EXAMPLES = ROOT / "examples"


def ran(name, *arguments, folder=ROOT):
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "error::DeprecationWarning", str(EXAMPLES / name), *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, check=False)


def printed(name, *arguments, folder=ROOT):
    done = ran(name, *arguments, folder=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", ["two_moons.py", "own_sequences.py"])
def test_a_flow_learns(name):
    text = printed(name)
    nats = {when: float(re.search(rf"{when}: (-?[\d.]+) nats", text)[1]) for when in ("before", "after")}
    assert nats["after"] < nats["before"] - 1


def test_a_sentence_is_scored(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SEQFLOWS_CHECKPOINTS", raising=False)
    tiny.project(tmp_path)
    loop.run(paths.Key("demo", "text-lstm"))
    assert printed("score_sentence.py", "demo/text-lstm", folder=tmp_path).count(" nats a character: ") == 2


def test_without_a_run_its_usage_is_told():
    done = ran("score_sentence.py")
    assert done.returncode == 1 and done.stderr.startswith("usage: ") and done.stderr.count("\n") == 1


def test_what_limits_words_is_measured_above_the_entropy():
    found = re.findall(r"  (.*): (-?[\d.]+)$", printed("what_limits_words.py", "15"), re.MULTILINE)
    assert len(found) == 3 * 8 and all(float(nats) >= 0 for _, nats in found)
    markov = [[float(nats) for name, nats in found if f", {count} states" in name] for count in (1, 4)]
    assert all(more < one for one, more in zip(*markov, strict=True))


def test_each_example_is_tried_and_listed():
    tried = {"two_moons.py", "own_sequences.py", "score_sentence.py", "what_limits_words.py"}
    assert {path.name for path in EXAMPLES.glob("*.py")} == tried
    assert set(re.findall(r"^\| `(\w+\.py)", (ROOT / "docs/parts.md").read_text(), re.MULTILINE)) == tried
