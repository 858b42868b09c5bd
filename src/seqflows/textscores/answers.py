"""Exact match and F1 of answers, by the official evaluation of SQuAD v1.1 (Rajpurkar et al. 2016, section 6.1)."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Iterable

ARTICLES = re.compile(r"\b(a|an|the)\b")
PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalised(text: str) -> list[str]:
    """The words of an answer in lower case, without punctuation and articles.

    >>> normalised("The U.S.'s  a-b")
    ['uss', 'ab']
    """
    return ARTICLES.sub(" ", text.lower().translate(PUNCTUATION)).split()


def exact(answer: str, right: Iterable[str]) -> float:
    """1 if the words of an answer are those of one of the ``right`` ones, else 0."""
    return float(normalised(answer) in [normalised(one) for one in right])


def f1(answer: str, right: Iterable[str]) -> float:
    """The largest F1 of an answer's words against those of each of the ``right`` ones; 0 if nothing is shared.

    >>> f1("the red dog", ["dog", "a red cat"])
    0.6666666666666666
    """
    return max(_f1(normalised(answer), normalised(one)) for one in right)


def _f1(found: list[str], wanted: list[str]) -> float:
    """2 shared / (found + wanted), words counted as often as they occur."""
    shared = sum((Counter(found) & Counter(wanted)).values())
    return 2 * shared / (len(found) + len(wanted)) if shared else 0.0
