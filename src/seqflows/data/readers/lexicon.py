"""Word counts: reading, filtering, splitting by tokens or by types (Schmidt & Hofmann 2018, section 5).

Legend: N types (distinct words), M tokens (the sum of their counts).
"""

from __future__ import annotations

import csv
import gzip
import math
import re
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from seqflows.data.readers import strict_json, unpacking
from seqflows.errors import Problem

LETTERS = "abcdefghijklmnopqrstuvwxyz"
END = "<end>"  # the symbol after every word's last letter
VOCABULARY = [*LETTERS, END]
PLAIN = re.compile("[a-z]+")
DIGITS = 14  # of a count, so that no sum of 100,000 counts overflows
POPULATION = 10**9  # limit of numpy's hypergeometric distribution


class Counts(NamedTuple):
    """N words and their counts, most frequent first, ties by the alphabet."""

    words: list[str]
    counts: np.ndarray


def read(path: Path, strict: bool = True) -> Counts:
    """Counts from ``word<tab>count`` lines, or from a csv file with columns ngram and freq; also .gz.

    Raises `Problem`, with the line, for a count that is missing or not a whole number of at least 1, or a word that
    occurs twice; and, if ``strict``, for a word with anything but the letters a to z. If not, words are lower-cased,
    and counts of words that become equal add up.
    """
    rows = _rows(path)
    found: dict[str, int] = {}
    seen: set[str] = set()
    for number, row in rows:
        where = f"line {number} of {path}"
        if len(row) != 2:
            raise Problem(f"expected a word and its count in {where}, got {len(row)} fields; correct the file")
        written, text = row
        word = written if strict or not written.isascii() else written.lower()
        if strict and not PLAIN.fullmatch(word):
            raise Problem(f"expected a word of the letters a to z in {where}, got {word!r}; correct the file")
        if not re.fullmatch(f"[0-9]{{1,{DIGITS}}}", text or "") or int(text) < 1:
            what = f"a whole count of at least 1 and at most {DIGITS} digits"
            raise Problem(f"expected {what} in {where}, got {(text or '')[:40]!r}; correct the file")
        if written in seen:
            raise Problem(f"expected each word once in {path}, got {word!r} again in line {number}; add its counts up")
        seen.add(written)
        found[word] = found.get(word, 0) + int(text)
    if not found:
        raise Problem(f"expected words with counts in {path}, got none; replace the file")
    return ordered(found)


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """(line number, [word, count]) of every line, as they are read."""
    if not path.name.removesuffix(".gz").endswith(".csv"):
        for number, line in enumerate(_lines(path), 1):
            yield number, line.rstrip("\r\n").split("\t")
        return
    reader = csv.DictReader(_lines(path))
    try:
        if not {"ngram", "freq"} <= set(reader.fieldnames or ()):
            raise Problem(f"expected the columns ngram and freq in {path}, got {reader.fieldnames}; replace the file")
        for number, row in enumerate(reader, 2):
            yield number, [row["ngram"], row["freq"]]
    except csv.Error as error:
        raise Problem(f"expected csv in {path}, got {error}; replace the file") from None


def _lines(path: Path) -> Iterator[str]:
    """The lines of a file, unpacked where it is gzipped."""
    try:
        with unpacking.gunzipped(path) if path.suffix == ".gz" else open(path, "rb") as file:
            for number, line in enumerate(file, 1):
                yield strict_json.decoded(line, path, "utf-8", number)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise Problem(f"expected a whole gzip file in {path}, got {error}; replace the file") from None


def ordered(counts: Mapping[str, int]) -> Counts:
    """Most frequent first, ties by the alphabet."""
    words = sorted(counts, key=lambda word: (-counts[word], word))
    return Counts(words, np.array([counts[word] for word in words], dtype=np.int64))


def filtered(found: Counts, lengths: tuple[int, int], least: int, where: str) -> Counts:
    """The words of letters a to z, of lengths in [shortest, longest], with counts of at least ``least``."""
    shortest, longest = lengths
    kept = [
        n
        for n, word in enumerate(found.words)
        if shortest <= len(word) <= longest and found.counts[n] >= least and PLAIN.fullmatch(word)
    ]
    if not kept:
        raise Problem(
            f"expected words of {shortest} to {longest} letters with a count of at least {least} in {where}, got none "
            f"among {len(found.words)}; lower min_count or widen lengths"
        )
    return Counts([found.words[n] for n in kept], found.counts[kept])


def entropy(counts: np.ndarray) -> float:
    """-sum p log p of the empirical distribution, nats per word."""
    p = counts[counts > 0] / counts.sum()
    return float(-(p * np.log(p)).sum())


def thinned(rng: np.random.Generator, counts: np.ndarray, tokens: int, key: str = "tokens") -> np.ndarray:
    """The counts of ``tokens`` tokens drawn without replacement (multivariate hypergeometric).

    Types are drawn in turn: the count of each given the earlier ones is hypergeometric. While
    10^9 tokens or more are left, it is a normal number of the same mean and variance, rounded.

    Raises `Problem` for more tokens than there are; ``key`` is their entry in params.yaml.
    """
    total = int(counts.sum())
    if not 0 <= tokens <= total:
        raise Problem(
            f"expected {key} of 0 to {total}, all tokens that there are to draw from, got {tokens}; "
            f"set a lower {key} in the dataset's block of params.yaml"
        )
    drawn = np.zeros_like(counts)
    rest, left = total, tokens
    for n, count in enumerate(counts.tolist()):
        if left == 0:
            break
        rest -= count
        whole = count + rest
        if whole >= POPULATION:
            share = count / whole
            spread = math.sqrt(left * share * (1 - share) * (whole - left) / (whole - 1))
            found = round(left * share + spread * rng.standard_normal())
            drawn[n] = min(count, left, max(left - rest, 0, found))
        else:
            drawn[n] = rng.hypergeometric(count, rest, left) if rest else left
        left -= int(drawn[n])
    return drawn


def split_tokens(
    rng: np.random.Generator, counts: np.ndarray, test_share: float, valid_tokens: int
) -> dict[str, np.ndarray]:
    """The standard split: a share of the tokens for test; some of the rest for validation."""
    return _halves(rng, counts, thinned(rng, counts, round(test_share * int(counts.sum()))), valid_tokens)


def split_types(
    rng: np.random.Generator, counts: np.ndarray, test_share: float, valid_tokens: int
) -> dict[str, np.ndarray]:
    """The alternative split: a share of the types, drawn regardless of frequency, with all their tokens."""
    held = np.zeros(len(counts), bool)
    held[rng.permutation(len(counts))[: round(test_share * len(counts))]] = True
    return _halves(rng, counts, np.where(held, counts, 0), valid_tokens)


def _halves(rng: np.random.Generator, counts: np.ndarray, test: np.ndarray, valid_tokens: int) -> dict[str, np.ndarray]:
    valid = thinned(rng, counts - test, valid_tokens, "valid_tokens")
    return {"train": counts - test - valid, "valid": valid, "test": test}


def encode(words: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Concatenated symbols (sum T,) of all words with end symbols, and lengths T (N,) with them."""
    lengths = np.array([len(word) + 1 for word in words], dtype=np.int64)
    points = np.frombuffer("".join(word + "{" for word in words).encode(), dtype=np.uint8) - ord("a")  # '{' follows 'z'
    return points, lengths


def decode(symbols: np.ndarray) -> str:
    """The letters before the end symbol.

    >>> decode(encode(["word"])[0])
    'word'
    """
    end = len(LETTERS)
    return "".join(LETTERS[symbol] for symbol in symbols if symbol < end)
