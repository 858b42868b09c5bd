"""Sentences of English paragraphs, raw or tokenized, by rules.

A sentence ends with a full stop, a question or an exclamation mark, and what closes it, before white space and a
capital letter or a digit; also with one of these marks that stands alone, as in tokenized text. A full stop does not
end one after an initial or an acronym (J. S. Bach, the U.S. Army), or after an abbreviation that another word follows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from seqflows.data import tokens

ABBREVIATIONS = frozenset((
    *tokens.ABBREVIATIONS,
    *("prof", "gen", "col", "lt", "capt", "sgt", "maj", "cpl", "rev", "hon", "gov", "sen", "rep", "pres", "messrs"),
    *("e.g", "i.e", "eg", "ie", "cf", "al", "ca", "approx", "no", "nos", "vol", "vols", "p", "pp", "fig", "figs", "ed"),
    *("inc", "ltd", "co", "corp", "bros", "dept", "univ", "ave", "blvd", "mt", "ft", "ph.d"),
    *("jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec"),
))  # fmt: skip
INITIALS = re.compile(r"(?:[^\W\d_]\.)*[^\W\d_]")
END = re.compile(
    r"""(?P<word>\S*?)(?P<mark>[.!?]+)
        (?P<closing>['"\u2019\u201d)\]]* (?:\[[^\[\]]{1,20}\])* (?:\ ''(?=\s))?)  # also a citation or a quote
        \s+ (?=[\s'"`\u2018\u201c(\[]* (?P<next>[^\s'"`\u2018\u201c(\[]))""",
    re.VERBOSE,
)
OPENING = "('\"`\u2018\u201c["


def split(text: str, whole: Iterable[tuple[int, int]] = ()) -> list[tuple[int, int]]:
    """The first character of each sentence of a text and the one after its last, white space between them left out.

    Sentences that share one of the spans ``whole``, as of an answer, are one.

    >>> text = 'Dr. J. S. Poe paid $2.50. "Why?" 3 left the U.S. Army.'
    >>> [text[start:end] for start, end in split(text)]
    ['Dr. J. S. Poe paid $2.50.', '"Why?"', '3 left the U.S. Army.']
    >>> [text[start:end] for start, end in split(text, [(20, 30)])]
    ['Dr. J. S. Poe paid $2.50. "Why?"', '3 left the U.S. Army.']
    """
    kept = [(start, end) for start, end in whole if start < end]
    gaps = []
    for match in END.finditer(text):
        before, after = match.end("closing"), match.end()
        if _ends(match) and not any(start < after and end > before for start, end in kept):
            gaps.append((before, after))
    first, last = len(text) - len(text.lstrip()), len(text.rstrip())
    starts, ends = [first, *(after for _, after in gaps)], [*(before for before, _ in gaps), last]
    return [(start, end) for start, end in zip(starts, ends, strict=True) if start < end]


def _ends(match: re.Match[str]) -> bool:
    """Whether a mark before white space ends a sentence."""
    word, mark, following = match["word"].lstrip(OPENING).lower(), match["mark"], match["next"]
    if not word and len(mark) == 1:  # of tokenized text, where dots that follow each other are an ellipsis
        return following not in ".!?" and not match.string[: match.start()].rstrip().endswith(mark)
    if not (following.isupper() or following.isdigit()):
        return False
    return mark != "." or not (word in ABBREVIATIONS or INITIALS.fullmatch(word))
