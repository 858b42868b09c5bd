"""The entropy gap of generated words at each step, from gaps.csv of an evaluation or its kept form.

Gaps are rounded to 0.001 nats, far below their noise, so that the kept file is small and gives the same numbers.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from pathlib import Path

from seqflows import files
from seqflows.errors import Problem
from seqflows.report.inputs import read_csv

KEPT, DIGITS = "thousandths", 3  # the heading of a kept gaps.csv, with one line per word
LEAST = 30  # fewest words for a mean over words
Word = list[float]  # H_gap of each step, nats; the end symbol's is the last


def read(path: Path) -> list[Word]:
    """The gaps of every generated word; raise `Problem` for other columns, or steps that do not start at 1."""
    words: list[Word] = []
    for number, row in enumerate(read_csv(path) or [], 2):
        if KEPT in row:
            words.append([int(text) / 10**DIGITS for text in row[KEPT].split()])
            continue
        try:
            step, gap = int(row["step"]), round(float(row["marginal"]) - float(row["expected"]), DIGITS)
        except (KeyError, TypeError, ValueError):
            raise Problem(
                f"expected word, length, step, marginal and expected in line {number} of {path}, got {row}; "
                "evaluate it again"
            ) from None
        if step == 1:
            words.append([])
        if not words or step != len(words[-1]) + 1:
            raise Problem(f"expected the next step of a word in line {number} of {path}, got {step}; evaluate it again")
        words[-1].append(gap)
    return words


def kept(words: Sequence[Word]) -> str:
    """The kept file, from which `read` gives the same words."""
    rows = [{KEPT: " ".join(str(round(gap * 10**DIGITS)) for gap in word)} for word in words]
    return files.csv_text(rows, (KEPT,))


def at_steps(words: Sequence[Word]) -> dict[int, list[float]]:
    """The gaps by step, for steps of at least LEAST words."""
    found: dict[int, list[float]] = {}
    for word in words:
        for step, gap in enumerate(word, 1):
            found.setdefault(step, []).append(gap)
    return {step: gaps for step, gaps in found.items() if len(gaps) >= LEAST}


def mean_error(values: Sequence[float]) -> tuple[float, float]:
    """The mean and its standard error (nan with one value)."""
    error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return statistics.fmean(values), error


def slope(words: Sequence[Word]) -> tuple[float, float]:
    """The slope of the gap by least squares, nats per step; its standard error assumes independent words."""
    points = [(step, gap) for word in words for step, gap in enumerate(word, 1)]
    middle, level = (statistics.fmean(side) for side in zip(*points, strict=True))
    square = math.fsum((step - middle) ** 2 for step, _ in points)
    rise = math.fsum((step - middle) * (gap - level) for step, gap in points) / square
    scores = [
        math.fsum((step - middle) * (gap - level - rise * (step - middle)) for step, gap in enumerate(word, 1))
        for word in words
    ]
    return rise, math.sqrt(math.fsum(score**2 for score in scores)) / square
