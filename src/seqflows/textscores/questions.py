"""What n-grams do not say of written questions: whether they name their answer, how many differ, their length."""

from __future__ import annotations

from collections.abc import Sequence

WORDS = """
    a an the this that these those some any each every no not n't and or but nor so if then than as of to in on at by
    for from with about into over under after before between through during without within up down out off is are was
    were be been being am do does did done have has had having will would shall should can could may might must i you
    he she it we they me him her us them my your his its our their mine yours hers ours theirs who whom whose which
    what when where why how there here 's 're 've 'm 'll 'd <unk>
"""
FUNCTION = frozenset(WORDS.split())


def content(words: Sequence[str]) -> set[str]:
    """The words with content, in lower case: neither function words nor punctuation.

    >>> sorted(content("The King 's 2 sons , and they".split()))
    ['2', 'king', 'sons']
    """
    lowered = {word.lower() for word in words}
    return {word for word in lowered - FUNCTION if any(map(str.isalnum, word))}


def answered(question: Sequence[str], answer: Sequence[str]) -> bool:
    """Whether a question holds a word of its answer, of those with content: then it gives the answer away."""
    return bool(content(question) & content(answer))


def different(questions: Sequence[Sequence[str]]) -> float:
    """The number of different questions over their number, in lower case.

    >>> different([["who", "?"], ["Who", "?"], ["when", "?"], []])
    0.75
    """
    return len({tuple(word.lower() for word in words) for words in questions}) / len(questions)
