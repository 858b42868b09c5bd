"""Paragraphs as windows of word pieces: a word belongs to the window where it stands most central.

Legend: W words of a paragraph, n pieces of a window with its special ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

NO_WORD = -1  # of a special piece


class Window(NamedTuple):
    """A part of a paragraph that the encoder sees at once.

    Attributes:
        ids: (n,) int64, its pieces.
        places: (m,) the places of those pieces whose words belong to this window, in order.
        words: (m,) the row of each such piece's word in its split.
    """

    ids: np.ndarray
    places: np.ndarray
    words: np.ndarray


def cut(tokenizer: Any, paragraph: Sequence[str], longest: int, first: int = 0) -> list[Window]:
    """The windows of a paragraph's W words, of at most ``longest`` pieces each; its first word is row ``first``.

    Neighbouring windows share half of their pieces. A word without a piece belongs to no window.
    """
    room = longest - tokenizer.num_special_tokens_to_add()
    found = tokenizer(
        list(paragraph),
        is_split_into_words=True,
        truncation=True,
        max_length=longest,
        stride=room // 2,
        return_overflowing_tokens=True,
    )
    ids = [np.array(one, dtype=np.int64) for one in found["input_ids"]]
    of = [
        np.array([NO_WORD if word is None else word for word in found.word_ids(number)], dtype=np.int64)
        for number in range(len(ids))
    ]
    owner = owners(of, len(paragraph))
    windows = []
    for number, words in enumerate(of):
        places = np.flatnonzero((words != NO_WORD) & (owner[words] == number))
        if len(places):
            windows.append(Window(ids[number], places, first + words[places]))
    return windows


def owners(windows: Sequence[np.ndarray], words: int) -> np.ndarray:
    """(W,) the window that each word belongs to, -1 for one without pieces; ``windows`` hold the word of each piece.

    That is the window with the most pieces on the word's scarcer side, min(before, after); of several the one with more
    of the word's own pieces, since an edge may cut a word; of several the first.
    """
    owner = np.full(words, -1)
    if len(windows) == 1:
        owner[windows[0][windows[0] != NO_WORD]] = 0
        return owner
    best = np.full((words, 2), -1)
    for number, of in enumerate(windows):
        there = of[of != NO_WORD]
        word, before, own = np.unique(there, return_index=True, return_counts=True)
        score = np.stack([np.minimum(before, len(there) - before - own), own], 1)
        better = (score[:, 0] > best[word, 0]) | ((score[:, 0] == best[word, 0]) & (score[:, 1] > best[word, 1]))
        owner[word[better]], best[word[better]] = number, score[better]
    return owner


def batches(windows: Sequence[Window], pieces: int) -> list[list[Window]]:
    """The windows in batches of similar length, the longest first, of at most about ``pieces`` pieces with padding."""
    found: list[list[Window]] = []
    for window in sorted(windows, key=lambda window: -len(window.ids)):
        if not found or (len(found[-1]) + 1) * len(found[-1][0].ids) > pieces:
            found.append([])
        found[-1].append(window)
    return found


def means(states: np.ndarray, window: Window) -> tuple[np.ndarray, np.ndarray]:
    """The rows of a window's words and the mean (words, F) of the ``states`` (n, F) of each one's pieces."""
    starts = np.flatnonzero(np.diff(window.words, prepend=NO_WORD))
    counts = np.diff(starts, append=len(window.words))
    sums = np.add.reduceat(states[window.places], starts, axis=0)
    return window.words[starts], sums / counts[:, None].astype(states.dtype)
