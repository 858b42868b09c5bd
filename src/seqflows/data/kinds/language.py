"""Preparation of language: token sequences of one length, word vectors, and the splits of each source.

Legend: N sequences, T tokens of each, V tokens of the vocabulary, D numbers per vector.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from seqflows.config import corpora, own
from seqflows.data import embedded, sentences, tokens
from seqflows.data.kinds import shared
from seqflows.data.prepared import SPLITS
from seqflows.data.readers import glove, squad, tvqa
from seqflows.errors import Problem

SQUAD_TRAIN = (
    *("train-v1.1.json", "du_test-v1.1.json", "train_splinter_paragraphs.json", "train_extra_paragraphs.json"),
    "cs224n_val.jsonl",
)


EXAMPLES = 10  # of words that are told


class Corpus(NamedTuple):
    """``texts`` of each split, their unit, and the number of training texts dropped as repeated."""

    texts: dict[str, list[str]]
    unit: str
    repeated: int = 0


def prepare(
    block: Mapping[str, Any], raw: Path, source: embedded.Source | None, dataset: str
) -> shared.Prepared:  # fmt: skip
    """Prepare token sequences of one length T, and a vector for each token of the vocabulary."""
    if source is not None:
        block = corpora.block(block).made() | block
    length = block["length"]
    if source is not None and source.longest > length:
        raise Problem(
            f"expected length of at least {source.longest} for the embedded source in {raw}, got {length}: cutting its "
            "sequences would falsify the known probabilities; run download again"
        )
    corpus = _own(block, raw) if own.listed(block) else READERS[block["source"]](raw)
    selections = tokenized(corpus, length, raw)
    known = source.vocabulary if source else vocabulary(block, selections["train"], raw)
    words = shared.embedding(known, block["dimensions"], raw)

    def encode(sequences: list[list[str]], where: Path) -> np.ndarray:
        return tokens.encode(sequences, known, length).ravel()

    made = shared.prepared(block, raw, source, dataset, selections, known, encode, length)
    told = []
    for name, split in made.splits.items():
        sequences = selections[name].sequences[: len(split)]
        made.statistics["splits"][name] |= statistics(sequences, split.symbols.reshape(-1, length), known, words)
        if own.listed(block):
            found = Counter(token for sequence in sequences for token in sequence[: length - 1])
            strange = Counter({token: found[token] for token in found.keys() - set(known)})
            made.statistics["splits"][name]["unknown"] = counted(strange)
            told += noted(f"{dataset}, {name}: <unk> stands for", strange, found)
    vectors = words.vectors
    content = {
        **{"max_length": length, "text": corpus.unit, "length": length, "dimensions": vectors.shape[1]},
        **{"vocabulary": len(known), "splits": made.statistics["splits"], "repeated": corpus.repeated},
        "share_with_vector": float(words.known.mean()),
        **{"mean": float(vectors.mean(dtype=np.float64)), "deviation": float(vectors.std(dtype=np.float64))},
        "smallest_distance": glove.smallest_distance(vectors),
    }
    if own.listed(block):
        usual = Counter(token for token in known if token not in tokens.SPECIAL)
        drawn = Counter({token: usual[token] for token in np.array(known)[~words.known].tolist() if token in usual})
        content["without_vector"] = counted(drawn)
        told += noted(f"{dataset}: random vectors, since the file has none, for", drawn, usual)
    return replace(made, statistics=content, vectors=vectors, told=told)


def counted(strange: Counter[str]) -> dict[str, Any]:
    """The number of words of a kind that is told, how many differ, and the most frequent of them."""
    return {"words": strange.total(), "types": len(strange), "examples": _first(strange)}


def noted(what: str, strange: Counter[str], among: Counter[str]) -> list[str]:
    """A line about these words ``among`` others; none if there are none."""
    if not strange:
        return []
    more = ", ..." if len(strange) > EXAMPLES else ""
    return [f"{what} {strange.total()} of {among.total()} words: {', '.join(_first(strange))}{more}"]


def _first(strange: Counter[str]) -> list[str]:
    return sorted(strange, key=lambda token: (-strange[token], token))[:EXAMPLES]


def _own(block: Mapping[str, Any], raw: Path) -> Corpus:
    """A user's texts, one a line."""
    return Corpus(shared.splits(block, raw, lambda path: shared.lines(path)[0]), "texts")


def _embedded(raw: Path) -> Corpus:
    return Corpus({name: squad.contexts(squad.read(raw / f"{name}.json")) for name in SPLITS}, "texts")


def _squad(raw: Path) -> Corpus:
    """Paragraphs of SQuAD; the training split is the part of the official training set in the folder.

    It shares no article with the development set, which is for validation and test; the two files of single
    paragraphs do not name their articles.
    """
    train = []
    for name in SQUAD_TRAIN:
        if (raw / name).is_file():
            tokenized = name.endswith(".jsonl")
            train += squad.read_tokenized(raw / name) if tokenized else squad.read(raw / name, "extra" not in name)
    found = squad.split(train, squad.read(raw / "dev-v1.1.json"))
    return Corpus({name: squad.contexts(getattr(found, name)) for name in SPLITS}, "paragraphs", found.repeated)


def _squad_sentences(raw: Path) -> Corpus:
    """The sentences of the same paragraphs, each different one of a split once."""
    found = _squad(raw)
    texts = {
        name: list(dict.fromkeys(text[start:end] for text in one for start, end in sentences.split(text)))
        for name, one in found.texts.items()
    }
    return Corpus(texts, "sentences", found.repeated)


def _tvqa_questions(raw: Path) -> Corpus:
    """Questions of two public files with disjoint clips: a tenth of the clips for validation, another for test."""
    found = [*tvqa.questions(raw / "tvqa_test_public.jsonl"), *tvqa.questions(raw / "tvqa_plus_val.json")]
    rest, held = tvqa.divided(found, (*tvqa.VALID, *tvqa.TEST))
    test, valid = tvqa.divided(held, tvqa.VALID)
    splits = dict(zip(SPLITS, (rest, valid, test), strict=True))
    return Corpus({name: [question.text for question in one] for name, one in splits.items()}, "questions")


def _tvqa_subtitles(raw: Path) -> Corpus:
    """Subtitles localised to each question, without repeated texts of a clip, of the splits of `tvqa.released`."""
    spoken = tvqa.subtitles(raw / "tvqa_subtitles.tar.gz")
    texts, repeated = {}, 0
    for name, questions in zip(SPLITS, tvqa.released(raw), strict=True):
        told = tvqa.told(spoken, questions, tvqa.localized, raw / "tvqa_subtitles.tar.gz")
        each = list(zip((question.clip for question in questions), told, strict=True))
        texts[name] = [text for _, text in dict.fromkeys(each)]
        repeated += len(each) - len(texts[name])
    return Corpus(texts, "localised subtitles", repeated)


def _tvqa_descriptions(raw: Path) -> Corpus:
    """TVR's descriptions, one by one, each different one of a split once.

    Those of clips to validate and test TVQA+'s questions on validate and test here; all other clips are for training.
    """
    told = tvqa.descriptions(raw / "tvr_val_release.jsonl")
    splits = tvqa.by_clip(tvqa.questions(raw / "tvqa_plus_val.json"))
    held = {question.clip: name for name, one in zip(SPLITS, splits, strict=True) for question in one}
    return _lines(told, lambda clip: held.get(clip, "train"), "descriptions")


def _tvqa_lines(raw: Path) -> Corpus:
    """The lines of the subtitles of TVQA's clips, each different one of a split once, of `tvqa.released`."""
    splits = zip(SPLITS, tvqa.released(raw), strict=True)
    held = {question.clip: name for name, one in splits for question in one}
    spoken = tvqa.subtitles(raw / "tvqa_subtitles.tar.gz")
    return _lines({clip: lines for clip, lines in spoken.items() if clip in held}, held.__getitem__, "lines")


def _lines(told: Mapping[str, Sequence[tvqa.Subtitle]], split: Callable[[str], str], unit: str) -> Corpus:
    """The lines of clips by the ``split`` of the clip, in the order of the clips' names."""
    texts: dict[str, dict[str, None]] = {name: {} for name in SPLITS}
    count = 0
    for clip in sorted(told):
        found = [line.text for line in told[clip] if line.text]
        texts[split(clip)] |= dict.fromkeys(found)
        count += len(found)
    return Corpus({name: list(one) for name, one in texts.items()}, unit, count - sum(map(len, texts.values())))


READERS = {  # the texts of a raw folder, in the order of the files
    "embedded-language": _embedded,
    "squad-articles": _squad,
    "squad-articles-full": _squad,
    "squad-sentences": _squad_sentences,
    "squad-sentences-full": _squad_sentences,
    "tvqa-questions": _tvqa_questions,
    "tvqa-subtitles": _tvqa_subtitles,
    "tvqa-sentences": _tvqa_descriptions,
    "tvqa-lines": _tvqa_lines,
}


def tokenized(corpus: Corpus, length: int, where: Path) -> dict[str, shared.Selection]:
    """The tokens of each split's texts, without begin and end; an empty split is a `Problem`."""
    found = {}
    for name in SPLITS:
        cut = [tokens.tokenize(text) for text in corpus.texts[name]]
        full = [sequence for sequence in cut if sequence]
        if not full:
            raise Problem(
                f"expected {corpus.unit} in the {name} split of {where}, got none among {len(cut)}; replace the files"
            )
        found[name] = shared.Selection(full, np.full(len(full), length), len(cut) - len(full))
    return found


def vocabulary(block: Mapping[str, Any], train: shared.Selection, where: Path) -> list[str]:
    """The tokens within the first T of training sequences that are frequent enough.

    Counted after cutting and limits, so that a model sees each of them ``min_count`` times in every epoch. An
    embedded source has its own: unknown words would falsify the known probabilities.
    """
    limits = corpora.block(block)
    written = (sequence[: block["length"] - 1] for sequence in train.sequences[: block.get("train_sequences")])
    return tokens.vocabulary(written, limits.min_count, limits.vocabulary_size, f"the training split of {where}")


def statistics(
    sequences: Sequence[Sequence[str]], ids: np.ndarray, known: Sequence[str], vectors: glove.Embedding
) -> dict[str, Any]:
    """Statistics of a split's ids (N, T) for this kind: real tokens, cut sequences, unknown words."""
    pad, unknown, start, end = (known.index(token) for token in tokens.SPECIAL)
    words = ids[(ids != pad) & (ids != start) & (ids != end)]
    cut = np.array([len(sequence) + 2 > ids.shape[1] for sequence in sequences])
    return {
        "mean_tokens": float((ids != pad).sum(axis=1).mean()),
        "mean_tokens_uncut": float(np.mean([len(sequence) + 2 for sequence in sequences])),
        "share_padding": float((ids == pad).mean()),
        "share_cut": float(cut.mean()),
        "share_within_limit": 1 - float(cut.mean()),
        "share_unknown": float((words == unknown).mean()) if len(words) else 0.0,
        "share_with_vector": float(vectors.known[words].mean()) if len(words) else 0.0,
    }
