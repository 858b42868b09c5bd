"""Words for what a detector sees in a clip's frames, beside the clip's lines, and what annotated boxes say of them.

The words are those of detected labels alone: they are an input. An annotated box names what the question or its right
answer names, so that no word of it is one: it says which of the detected words a statement's word should attend to, a
target of training (Lei et al. 2020, their attention loss).

Legend: L lines, F frames of a clip, C words beside a line, N questions, K targets, S words of a statement (a question
with its right answer).
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from seqflows.data import tokens
from seqflows.errors import Problem

RATE = 3.0  # frames a second; frame n is that of the second n / 3, and the first is 1
OVERLAP = 0.5  # least intersection over union of a detected box with an annotated one, to be of the same thing
LIKE, UNLIKE = 1, -1
AGAIN = "run prepare again"


class Box(NamedTuple):
    """A labelled part of a frame, in pixels from its left and its top."""

    label: str
    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True)
class Concepts:
    """The detected words beside the L lines of a pool, and the targets of N questions.

    Attributes:
        words: (sum C) int32, ids of the words, those of a line by how often they are detected.
        lengths: (L,) int64, C of each line, 0 where nothing is seen.
        targets: (K, 4) int32: a word of the statement, a line of the question's passage, a word beside that line, and
            `LIKE` if both are of one annotated thing, `UNLIKE` if the latter is seen in the same frames and is not.
        first: (N + 1,) int64; question n has the targets first[n] to first[n + 1] - 1.
    """

    words: np.ndarray
    lengths: np.ndarray
    targets: np.ndarray
    first: np.ndarray
    offsets: np.ndarray = field(init=False, repr=False)  # (L + 1,) the first word of each line

    def __post_init__(self) -> None:
        object.__setattr__(self, "offsets", np.concatenate([[0], np.cumsum(self.lengths)]).astype(np.int64))
        if self.offsets[-1] != len(self.words) or (self.lengths < 0).any():
            raise Problem(
                f"expected {len(self.words)} detected words beside lines, got {int(self.offsets[-1])}; {AGAIN}"
            )
        if self.targets.shape != (self.first[-1], 4) or self.first[0] or (np.diff(self.first) < 0).any():
            raise Problem(
                f"expected four numbers for each of {int(self.first[-1])} targets of attention, got the shape "
                f"{self.targets.shape}; {AGAIN}"
            )

    def gather(self, lines: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """The words beside the lines of each of B contexts, (B, M, C) padded with zeros, and their numbers (B, M)."""
        lengths = np.zeros((len(lines), max(map(len, lines), default=0)), dtype=np.int64)
        for row, own in enumerate(lines):
            lengths[row, : len(own)] = self.lengths[own]
        words = np.zeros((*lengths.shape, int(lengths.max(initial=1))), dtype=np.int64)
        for row, own in enumerate(lines):
            for place, line in enumerate(own):
                words[row, place, : lengths[row, place]] = self.words[self.offsets[line] : self.offsets[line + 1]]
        return words, lengths

    def wanted(self, indices: Sequence[int], statement: int, shape: tuple[int, int]) -> np.ndarray:
        """(B, S, M, C) int8 of B questions: `LIKE`, `UNLIKE` or 0; ``shape`` is (M, C)."""
        found = np.zeros((len(indices), statement, *shape), dtype=np.int8)
        for row, index in enumerate(indices):
            word, line, place, sign = self.targets[self.first[index] : self.first[index + 1]].T
            found[row, word, line, place] = sign
        return found

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays of a file."""
        return {f"concepts_{name}": getattr(self, name) for name in ("words", "lengths", "targets", "first")}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Concepts:
        """The inverse of `arrays`."""
        return cls(*(arrays[f"concepts_{name}"] for name in ("words", "lengths", "targets", "first")))


class Beside(NamedTuple):
    """What is seen beside the lines of a clip: each line's words, and the line of each of F frames (F,)."""

    words: list[list[str]]
    line: np.ndarray


def name(box: Box) -> str:
    """The word of a detected box, the last of its label, as in STAGE's code; "" for a label without words.

    >>> name(Box("Tennis Court", 0, 0, 1, 1))
    'court'
    """
    return (_words(box.label) or ("",))[-1]


@functools.cache
def _words(label: str) -> tuple[str, ...]:
    """The words of a label, of which a detector has few for millions of boxes."""
    return tuple(tokens.tokenize(label))


def beside(frames: Sequence[Sequence[Box]], times: np.ndarray, most: int) -> Beside:
    """The words of a clip's frames beside its lines, whose ``times`` are (L, 2); up to ``most`` a line.

    A frame is beside the line that is nearest in time, the first of several. A line has the words that are detected
    most often, of equals the first by the alphabet.
    """
    seconds = np.arange(1, len(frames) + 1)[:, None] / RATE
    apart = np.maximum(np.maximum(times[:, 0] - seconds, seconds - times[:, 1]), 0)  # (F, L)
    line = apart.argmin(1) if len(frames) else np.zeros(0, dtype=np.int64)
    counts: list[Counter[str]] = [Counter() for _ in range(len(times))]
    for boxes, place in zip(frames, line.tolist(), strict=True):
        counts[place].update(word for box in boxes if (word := name(box)))
    return Beside([sorted(own, key=lambda word, own=own: (-own[word], word))[:most] for own in counts], line)


def iou(one: Box, other: Box) -> float:
    """The intersection of two boxes over their union, 0 of boxes without an area.

    >>> iou(Box("a", 0, 0, 2, 2), Box("b", 1, 0, 3, 2))
    0.3333333333333333
    """
    width = min(one.right, other.right) - max(one.left, other.left)
    height = min(one.bottom, other.bottom) - max(one.top, other.top)
    shared = max(0.0, width) * max(0.0, height)
    union = sum((box.right - box.left) * (box.bottom - box.top) for box in (one, other)) - shared
    return shared / union if union > 0 else 0.0


def targets(
    statement: Sequence[str], frames: Sequence[Sequence[Box]], shown: Beside, annotated: Mapping[int, Sequence[Box]]
) -> list[tuple[int, int, int, int]]:
    """The targets of a question, see `Concepts`, from its boxes by frame; a frame that was not read has none.

    A word of the statement and a detected one are `LIKE` where in one frame a box that is annotated with the former
    overlaps with one of the latter by at least `OVERLAP`. Of the frames with such a pair the statement's word is
    `UNLIKE` all other detected words of the line.
    """
    like: dict[tuple[int, int], set[str]] = {}
    every: dict[tuple[int, int], set[str]] = {}
    for number, boxes in annotated.items():
        if not 1 <= number <= len(frames):
            continue
        detected, line = frames[number - 1], int(shown.line[number - 1])
        for place, word in enumerate(statement):
            own = [box for box in boxes if _words(box.label) == (word,)]
            near = {name(one) for one in detected if any(iou(one, box) >= OVERLAP for box in own)}
            if near:
                like.setdefault((place, line), set()).update(near)
                every.setdefault((place, line), set()).update(map(name, detected))
    return [
        (place, line, number, LIKE if word in like[place, line] else UNLIKE)
        for place, line in sorted(like)
        for number, word in enumerate(shown.words[line])
        if word in every[place, line]
    ]
