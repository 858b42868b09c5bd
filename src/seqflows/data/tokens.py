"""Tokenizing of English text into the tokens of the GloVe files.

The GloVe vectors of 6B tokens were made of text in the Treebank style, lower-cased: contractions are two tokens
("do n't", "penny 's"), punctuation is separate, abbreviations and acronyms keep their full stop ("mr.", "u.s.").
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from seqflows.errors import Problem

PAD, UNKNOWN, START, END = SPECIAL = ("<pad>", "<unk>", "<s>", "</s>")
ABBREVIATIONS = ("mr", "mrs", "ms", "dr", "jr", "sr", "st", "vs")  # with a full stop
PATTERN = rf"""
    (?:{"|".join(ABBREVIATIONS)})\.(?![^\W_])  # mr. but not the end of a longer word, which is taken whole below
  | (?:[^\W\d_]\.){{2,}}                        # u.s.
  | \d+(?:[.,:]\d+)+                            # 1,000 and 2.5
  | [^\W_]+?(?=n't(?![^\W_]))                   # do of don't
  | n't(?![^\W_])
  | '(?:s|re|ve|m|ll|d)(?![^\W_])
  | o'[^\W\d_]+                                 # o'brien
  | [^\W_]+                                     # letters and digits; a hyphen is a token of its own
  | \.{{2,}} | -{{2,}}
  | \S
"""
APOSTROPHES = str.maketrans({"\u2019": "'", "\u2018": "'", "\u201c": '"', "\u201d": '"'})


TOKEN = re.compile(PATTERN, re.VERBOSE)


def tokenize(text: str) -> list[str]:
    """The tokens of a text, lower-cased, by the first alternative of ``PATTERN`` that matches.

    Curly quotes and apostrophes become straight ones. Hyphens split words, since most compounds have no vectors but
    their parts have. Tokenizing joined tokens again gives the same tokens.

    >>> tokenize("Didn't Mr. O'Brien say it's 1,000 well-known U.S. dollars?")
    ['did', "n't", 'mr.', "o'brien", 'say', 'it', "'s", '1,000', 'well', '-', 'known', 'u.s.', 'dollars', '?']
    """
    return TOKEN.findall(_composed(text.lower()).translate(APOSTROPHES))


def alike(text: str, other: str) -> bool:
    """Whether two texts are the same tokens: what a model writes back is lower-cased and has its tokens apart.

    >>> alike("Amy closes the door.", "amy closes the door ."), alike("Amy closes it.", "amy opens it .")
    (True, False)
    """
    return text == other or tokenize(text) == tokenize(other)


def spans(text: str) -> list[tuple[int, int]]:
    """The first character in ``text``, and the one after the last, of each token of `tokenize`.

    Of characters that normalization joins or splits, each token that has a part has all.

    >>> text = "Isn't it 1,000?"
    >>> [text[start:end] for start, end in spans(text)]
    ['Is', "n't", 'it', '1,000', '?']
    """
    lowered = text.lower()
    origin = [place for place, character in enumerate(text) for _ in character.lower()]
    if unicodedata.is_normalized("NFC", lowered):
        starts, ends = origin, [place + 1 for place in origin]
    else:
        starts, ends, place = [], [], 0
        for cluster in _clusters(lowered):
            first, after = origin[place], origin[place + len(cluster) - 1] + 1
            place += len(cluster)
            for _ in _composed(cluster):
                starts.append(first)
                ends.append(after)
        lowered = _composed(lowered)
    found = TOKEN.finditer(lowered.translate(APOSTROPHES))
    return [(starts[match.start()], ends[match.end() - 1]) for match in found]


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _clusters(text: str) -> Iterator[str]:
    """The parts of a text that NFC normalizes one by one: a character and those that join or reorder with it."""
    cluster = ""
    for character in text:
        apart = _composed(cluster) + _composed(character)
        if cluster and not unicodedata.combining(character) and _composed(cluster + character) == apart:
            yield cluster
            cluster = ""
        cluster += character
    if cluster:
        yield cluster


def vocabulary(sequences: Iterable[Sequence[str]], min_count: int, size: int | None, where: str) -> list[str]:
    """The special tokens, then those with counts of at least ``min_count``, most frequent first, ties by the alphabet.

    At most ``size`` besides the special ones. Without any, a `Problem` that names ``where`` the sequences are from.
    """
    counts = Counter(token for sequence in sequences for token in sequence)
    kept = sorted((token for token in counts if counts[token] >= min_count), key=lambda token: (-counts[token], token))
    if not kept:
        most = max(counts.values(), default=0)
        raise Problem(
            f"expected tokens that occur at least {min_count} times in {where}, got none among {len(counts)} (the most "
            f"frequent occurs {most} times); lower min_count"
        )
    return [*SPECIAL, *kept[:size]]


def encode(sequences: Sequence[Sequence[str]], known: Sequence[str], length: int) -> np.ndarray:
    """Ids (N, T) int32: ``<s>``, a sequence's tokens, ``</s>``, then ``<pad>``, cut to T = ``length``.

    Tokens that are not ``known`` become ``<unk>``; an empty sequence is ``<s> </s>``.

    >>> encode([["a", "b"], ["a"]], [*SPECIAL, "a"], 4).tolist()
    [[2, 4, 1, 3], [2, 4, 3, 0]]
    """
    places = {token: place for place, token in enumerate(known)}
    pad, unknown, start, end = (places[token] for token in SPECIAL)
    ids = np.full((len(sequences), length), pad, dtype=np.int32)
    for row, sequence in zip(ids, sequences, strict=True):
        found = [start, *(places.get(token, unknown) for token in sequence[:length]), end][:length]
        row[: len(found)] = found
    return ids


def unknown(texts: Iterable[str], known: Sequence[str]) -> list[str]:
    """The tokens of texts that are not ``known``, in the order of their first places.

    >>> unknown(["a b", "C b a"], [*SPECIAL, "a"])
    ['b', 'c']
    """
    among = set(known)
    return list(dict.fromkeys(token for text in texts for token in tokenize(text) if token not in among))


def decode(ids: Iterable[int], known: Sequence[str]) -> str:
    """The tokens between ``<s>`` and ``</s>`` (or the end), joined by spaces.

    >>> decode([2, 4, 1, 3, 0], [*SPECIAL, "a"])
    'a <unk>'
    """
    found = []
    for place in ids:
        if known[place] == END:
            break
        if known[place] not in (PAD, START):
            found.append(known[place])
    return " ".join(found)
