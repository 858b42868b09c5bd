"""Preparation of translation: pairs of sentences in joint subwords, and test sets by name.

Pairs of another task's test set are left out, and text is cleaned: white space, the cedilla letters of Romanian, and
what is tokenised in the raw files. Then pairs are held out for validation, subwords are learned on the rest, and
training pairs that are too long are dropped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from seqflows.config import corpora
from seqflows.data import embedded, subwords, tokens
from seqflows.data.embedded.numerals import Translated
from seqflows.data.kinds import shared
from seqflows.data.prepared import Contexts, Split
from seqflows.errors import Problem

END = tokens.SPECIAL.index(tokens.END)
LANGUAGES = ("ro", "en")
COMMA = str.maketrans("\u015e\u015f\u0162\u0163", "\u0218\u0219\u021a\u021b")  # S and T with cedilla, with comma below
TOKENISED = "mlqepe"  # the beginning of the origins whose lines are tokenised
TESTED = "xquad"  # and of those that are questions of SQuAD's development set


class Pair(NamedTuple):
    """A Romanian and an English sentence, with a name, and the test set or the part of training that they are of."""

    id: str
    ro: str
    en: str
    part: str

    def side(self, language: str) -> str:
        """The sentence of a language."""
        return self.ro if language == "ro" else self.en


@dataclass
class Corpus:
    """Pairs by split, and what was changed in them or dropped.

    ``valid`` is None where pairs of ``train`` are to be held out, the first ``own`` of which may be.
    """

    train: list[Pair]
    test: list[Pair]
    valid: list[Pair] | None = None
    own: int | None = None
    counts: Counter[str] = field(default_factory=Counter)


def prepare(
    block: Mapping[str, Any], raw: Path, source: embedded.Source | None, dataset: str
) -> shared.Prepared:  # fmt: skip
    """Prepare pairs, with the subword model as a file beside them."""
    limits = corpora.block(block)
    read, written = limits.direction.split("-")
    corpus = READERS[limits.source](raw)
    train, valid, dropped = held_out(corpus, limits, raw)
    where = f"the training sentences of {raw}"
    # Both directions learn the same subwords.
    texts = [pair.side(language) for language in LANGUAGES for pair in train]
    model = subwords.learn(texts, limits.vocabulary_size, where)
    encoder = subwords.Encoder(model)
    splits, counts = {}, {}
    for name, pairs in (("train", train), ("valid", valid), ("test", corpus.test)):
        ids = [
            encoder.encode([pair.side(language) for pair in pairs], f"{name} of {raw}") for language in (read, written)
        ]
        short = [place for place, both in enumerate(zip(*ids, strict=True)) if max(map(len, both)) <= limits.max_length]
        kept = short if name == "train" else range(len(pairs))
        kept = list(kept)[: block.get(f"{name}_sequences")]
        if not kept:
            raise Problem(
                f"expected pairs of at most {limits.max_length} subwords a side in the {name} split of {raw}, got none "
                f"among {len(pairs)}; raise max_length in params.yaml, or replace the files"
            )
        chosen = [pairs[place] for place in kept]
        texts_ = [Translated(pair.side(read), pair.side(written)) for pair in chosen]
        known = shared.log_probs(source, texts_, raw / f"{name} split")
        splits[name] = encoded(chosen, *([side[place] for place in kept] for side in ids), known)
        counts[name] = {
            "pairs": len(pairs), "within": len(short), **statistics(splits[name], chosen, written),
        }  # fmt: skip
    counts["train"] |= dropped
    content = {
        **{"max_length": limits.max_length + 1, "window": limits.max_length, "outputs": len(encoder.vocabulary)},
        **{"vocabulary": len(encoder.vocabulary), "direction": limits.direction, "splits": counts},
        **{"sets": list(dict.fromkeys(pair.part for pair in corpus.test)), "changed": dict(corpus.counts)},
    }
    return shared.Prepared(encoder.vocabulary, splits, content, files={subwords.FILE: model})


def held_out(
    corpus: Corpus, limits: corpora.Translation | corpora.EmbeddedNumbers, raw: Path
) -> tuple[list[Pair], list[Pair], dict[str, int]]:
    """Training and validation pairs, and the number of training pairs dropped for a sentence of validation."""
    if corpus.valid is not None:
        return corpus.train, corpus.valid, {"dropped_held_out": 0}
    own = len(corpus.train) if corpus.own is None else corpus.own
    if limits.held_out >= own:
        raise Problem(
            f"expected more than held_out, {limits.held_out} pairs, in the training data of {raw}, got {own}; lower "
            "held_out in params.yaml"
        )
    generator = np.random.Generator(np.random.PCG64(limits.held_out_seed))
    chosen = set(generator.permutation(own)[: limits.held_out].tolist())
    valid = [corpus.train[place] for place in sorted(chosen)]
    rest = [pair for place, pair in enumerate(corpus.train) if place not in chosen]
    seen = {language: {pair.side(language) for pair in valid} for language in LANGUAGES}
    train = [pair for pair in rest if pair.ro not in seen["ro"] and pair.en not in seen["en"]]
    return train, valid, {"dropped_held_out": len(rest) - len(train)}


def encoded(
    pairs: Sequence[Pair], sources: Sequence[list[int]], targets: Sequence[list[int]], known: np.ndarray | None
) -> Split:
    """The targets' ids with the end symbol, and the sources as their contexts."""
    count = len(pairs)
    sizes = np.array([len(ids) for ids in sources], dtype=np.int64)
    contexts = Contexts(
        np.array([place for ids in sources for place in ids], dtype=np.int32), sizes,
        np.array([pair.part for pair in pairs]), np.arange(count, dtype=np.int32),
        np.stack([np.zeros(count, dtype=np.int32), sizes.astype(np.int32)], 1), None,
        np.array([pair.id for pair in pairs]),
    )  # fmt: skip
    symbols = np.array([place for ids in targets for place in (*ids, END)], dtype=np.int32)
    return Split("translation", np.array([len(ids) + 1 for ids in targets]), symbols, known, contexts=contexts)


def statistics(split: Split, pairs: Sequence[Pair], written: str) -> dict[str, Any]:
    """Statistics of a split: of its parts, its sources, and the characters of its targets."""
    contexts = split.contexts
    assert contexts is not None
    parts, sizes = np.unique(contexts.articles, return_counts=True)
    return {
        **shared.sizes(split),
        "parts": dict(zip(parts.tolist(), sizes.tolist(), strict=True)),
        "mean_source": float(contexts.sizes.mean()),
        "longest_source": int(contexts.sizes.max()),
        "characters": sum(len(pair.side(written)) for pair in pairs),
        "words": sum(len(pair.side(written).split()) for pair in pairs),
    }


# -- raw files


def lines(path: Path) -> list[str]:
    """The lines of a file, with single spaces between words; other line ends than a line feed do not end one."""
    try:
        content = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise Problem(f"expected UTF-8 in {path}, got {error}; replace the file") from None
    return [subwords.spaced(line) for line in content.removesuffix("\n").split("\n")]


def parallel(raw: Path, name: str, part: str, counts: Counter[str], *, drop: bool, origin: bool = False) -> list[Pair]:
    """The cleaned pairs of ``name``.ro and ``name``.en; with ``origin`` a third file has the part of each.

    Raises:
        Problem: files of different lengths, or an empty side, unless ``drop`` counts such pairs and leaves them out.
    """
    names = [f"{name}.{ending}" for ending in (*LANGUAGES, *(["origin"] if origin else []))]
    found = [lines(raw / one) for one in names]
    if len({len(one) for one in found}) > 1:
        got = ", ".join(f"{len(one)} in {path}" for one, path in zip(found, names, strict=True))
        raise Problem(f"expected as many lines in each of the parallel files of {raw}, got {got}; replace the files")
    pairs = []
    for place, (ro, en, *rest) in enumerate(zip(*found, strict=True)):
        if not ro or not en:
            if not drop:
                empty = names[0] if not ro else names[1]
                raise Problem(f"expected a sentence in line {place + 1} of {raw / empty}, got none; replace the files")
            counts["dropped_empty"] += 1
            continue
        pairs.append(Pair(f"{part}-{place + 1}", comma_below(ro, counts), en, rest[0] if rest else part))
    return pairs


def comma_below(text: str, counts: Counter[str]) -> str:
    """Romanian with the comma letters in place of the cedilla letters, which are counted.

    >>> comma_below("\u015fi \u0163ar\u0103", found := Counter()), found["cedilla_letters"]
    ('\u0219i \u021bar\u0103', 2)
    """
    changed = text.translate(COMMA)
    counts["cedilla_letters"] += sum(one != other for one, other in zip(text, changed, strict=True))
    return changed


def detokenised(pairs: Iterable[Pair], counts: Counter[str]) -> list[Pair]:
    """The pairs, with those of `TOKENISED` origins as text; changed sentences are counted."""
    try:
        from sacremoses import MosesDetokenizer
    except ImportError:
        raise Problem("expected the package sacremoses to detokenise text, found none; install it") from None
    moses = {language: MosesDetokenizer(language) for language in LANGUAGES}
    found = []
    for pair in pairs:
        if pair.part.startswith(TOKENISED):
            # Moses does not know the closing quotation mark of Romanian.
            ro, en = (
                moses[name].detokenize(pair.side(name).split()).replace(" \u201d", "\u201d") for name in LANGUAGES
            )
            counts["detokenised_pairs"] += (ro, en) != (pair.ro, pair.en)
            pair = pair._replace(ro=subwords.spaced(ro), en=subwords.spaced(en))
        found.append(pair)
    return found


def untested(pairs: Iterable[Pair], counts: Counter[str]) -> list[Pair]:
    """The pairs without those of `TESTED` origins, which are counted.

    XQuAD's questions are translations of questions of SQuAD's development set. The translators write the contexts of
    back-translation, so that with these pairs a reader would be tested on questions that its training data are made by.
    """
    found = list(pairs)
    kept = [pair for pair in found if not pair.part.startswith(TESTED)]
    counts["dropped_tested"] += len(found) - len(kept)
    return kept


def _tests(raw: Path, counts: Counter[str]) -> list[Pair]:
    sets = ("newsdev2016", "newstest2016")
    return [pair for name in sets for pair in parallel(raw, name, name, counts, drop=False)]


def _extra(raw: Path) -> Corpus:
    """The human translations that public files have, `untested`; the official training data are not among them."""
    counts: Counter[str] = Counter()
    read = parallel(raw, "extra_train", "extra", counts, drop=False, origin=True)
    pairs = detokenised(untested(read, counts), counts)
    return Corpus(pairs, _tests(raw, counts), own=len(pairs), counts=counts)


def _extra_and_l10n(raw: Path) -> Corpus:
    """The same with manuals and program messages, none of which is held out."""
    corpus = _extra(raw)
    corpus.train += parallel(raw, "l10n_train", "l10n", corpus.counts, drop=False, origin=True)
    return corpus


def _official(raw: Path) -> Corpus:
    """Europarl and SETIMES2, the training data of WMT16."""
    counts: Counter[str] = Counter()
    train = [pair for name in ("europarl", "setimes") for pair in parallel(raw, name, name, counts, drop=True)]
    return Corpus(train, _tests(raw, counts), counts=counts)


def _embedded(raw: Path) -> Corpus:
    """The splits of the embedded source; its test split is two sets."""
    counts: Counter[str] = Counter()
    train, valid, test = (parallel(raw, name, name, counts, drop=False) for name in ("train", "valid", "test"))
    half = (len(test) + 1) // 2
    sets = [pair._replace(part="first half" if place < half else "second half") for place, pair in enumerate(test)]
    return Corpus(train, sets, valid, counts=counts)


READERS = {  # the pairs of a raw folder
    "embedded-numbers": _embedded,
    "wmt16-roen": _official,
    "wmt16-roen-extra": _extra,
    "wmt16-roen-extra-l10n": _extra_and_l10n,
}
