"""Prepared datasets on disk and in memory.

A folder holds ``train.npz``, ``valid.npz`` and ``test.npz`` (arrays, no pickles),
``vocabulary.json``, ``statistics.json`` and ``checksums.json``; for the kinds language and pairs also
``embeddings.npz``, for words with a wider vocabulary ``rarer.json``, for translation ``subwords.model``. `load`
verifies every checksum before it reads the content. Features of contexts are a folder of their own, written by the
stage ``features``: ``train.npy``, ``valid.npy`` and ``test.npy``, float16, with a row per word of `Contexts.words`,
``header.json`` and ``checksums.json``; of passages instead ``train-lines.npy``, ``train-questions.npy`` and so on.

Shapes: N sequences of a split, T_n the length of one, V tokens of a vocabulary, D numbers per vector, F numbers of a
word's features.
"""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seqflows import files, kinds, paths
from seqflows.config.features import NONE
from seqflows.data.halves import Halved
from seqflows.data.lines import Passages
from seqflows.errors import Problem
from seqflows.kinds import SPLITS

if TYPE_CHECKING:
    from seqflows.params import Params

CHECKSUMS = "checksums.json"
HEADER = "header.json"
EMBEDDINGS = "embeddings.npz"
RARER = "rarer.json"
KEYS = 88  # of a piano, MIDI 21 to 108


@dataclass(frozen=True)
class Facts:
    """The facts about data that a model needs.

    ``symbols`` is the size of the vocabulary (categorical, embedded), 88 (bernoulli) or D (real);
    ``max_length`` the end of the support of p(T); ``length_counts[t]`` the number of
    training and validation sequences of length t, so it has ``max_length + 1`` entries. ``vectors``
    is the embedding matrix (symbols, D) float32 of embedded data; all its sequences have ``max_length`` steps, and
    ``texts`` (N, max_length) are those of training.

    For pairs ``symbols`` counts all words, of which the first ``outputs`` can be written without copying;
    ``max_length`` is the longest sequence with its end symbol, ``window`` the longest context, and ``features`` the
    width of a context word's features, 0 without. For translation all subwords can be written, and ``max_length`` and
    ``window`` are those of training: longer sequences and contexts occur in the other splits. For questions about
    passages of lines ``symbols`` counts all words; a choice is a sequence of length 1, and ``concepts`` the most words
    of things detected beside a line, 0 without.
    """

    emission: str
    symbols: int
    max_length: int
    length_counts: tuple[int, ...]
    vectors: np.ndarray | None = field(default=None, compare=False, repr=False)
    outputs: int = 0
    window: int = 0
    features: int = 0
    concepts: int = 0
    texts: np.ndarray | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class Contexts(Halved):
    """The contexts of a split's sequences: P paragraphs, and a window of one of them for each of N sequences.

    Attributes:
        words: (sum W) int32, the ids of all paragraphs' words.
        lengths: (P,) int64, W of each paragraph.
        articles: (P,) text, the article, clip or document that a paragraph is from.
        paragraph: (N,) int32, the paragraph of each sequence.
        window: (N, 2) int32, the first word of the window and the one after its last, within the paragraph.
        answer: (N, 2) int32, the same of the answer, which lies within the window; None where there are no answers.
        ids: (N,) text, the identifier of each sequence in its source.
        features: (sum W, F) float16, a row per word, mapped from a file; None without.
    """

    words: np.ndarray
    lengths: np.ndarray
    articles: np.ndarray
    paragraph: np.ndarray
    window: np.ndarray
    answer: np.ndarray | None
    ids: np.ndarray
    features: np.ndarray | None = field(default=None, compare=False, repr=False)
    offsets: np.ndarray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        offsets = np.zeros(len(self.lengths), dtype=np.int64)
        np.cumsum(self.lengths[:-1], out=offsets[1:])
        object.__setattr__(self, "offsets", offsets)
        again = "run prepare again"
        if self.lengths.sum() != len(self.words) or len(self.articles) != len(self.lengths):
            raise Problem(f"expected paragraphs of {len(self.words)} words, got {int(self.lengths.sum())}; {again}")
        if not len(self.paragraph) == len(self.window) == len(self.ids):
            raise Problem(f"expected a window and an id for each of {len(self.paragraph)} sequences; {again}")
        start, end = self.window.T
        if (start < 0).any() or (end <= start).any() or (end > self.lengths[self.paragraph]).any():
            raise Problem(f"expected windows of at least one word within their paragraphs, got others; {again}")
        if self.answer is not None:
            first, after = self.answer.T
            if (first < start).any() or (after <= first).any() or (after > end).any():
                raise Problem(f"expected answers of at least one word within their windows, got others; {again}")
        if self.features is not None and len(self.features) != len(self.words):
            raise Problem(
                f"expected features of {len(self.words)} words, got {len(self.features)}; run the stage features again"
            )

    def __len__(self) -> int:
        return len(self.paragraph)

    @property
    def sizes(self) -> np.ndarray:
        """(N,) the number of words of each window."""
        return self.window[:, 1] - self.window[:, 0]

    @property
    def parts(self) -> np.ndarray:
        """(N,) the paragraph of each sequence."""
        return self.paragraph

    def rows(self, index: int) -> slice:
        """The rows of ``words`` and ``features`` in the window of sequence ``index``."""
        start = self.offsets[self.paragraph[index]] + self.window[index]
        return slice(int(start[0]), int(start[1]))

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays of a file, without the features."""
        names = ("words", "lengths", "articles", "paragraph", "window", "answer", "ids")
        return {f"context_{name}": getattr(self, name) for name in names if getattr(self, name) is not None}

    def encoded(self) -> dict[str, Contexts]:
        """The words that the stage features encodes: one part, without a name of its own."""
        return {"": self}

    def featured(self, features: Mapping[str, np.ndarray]) -> Contexts:
        """The same contexts with features, by the parts of `encoded`."""
        return replace(self, features=features[""])

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Contexts | None:
        """The inverse of `arrays`; None without any."""
        found = {name.removeprefix("context_"): arrays[name] for name in arrays if name.startswith("context_")}
        return cls(**{"answer": None, **found}) if found else None


@dataclass(frozen=True)
class Split:
    """N concatenated sequences; sequence n is ``symbols[offsets[n] : offsets[n] + lengths[n]]``.

    ``symbols`` is (sum T,) integers for text, words and language, (sum T, 88) zeros and ones for music and
    (N, D) float32 for vectors; of spans three integers for an answer, its line in the passage and its first and last
    word in that line. ``source_log_prob`` is the true log-probability of every
    whole sequence with its length (nats), if the source is embedded. ``counts`` is how often
    each sequence occurs, if sequences are types: then an epoch draws them by frequency. ``contexts`` are
    those of pairs, whose sequences are words with the end symbol, or the passages of questions about lines; of
    choices a sequence is the place of the right answer.
    """

    kind: str
    lengths: np.ndarray
    symbols: np.ndarray
    source_log_prob: np.ndarray | None = None
    counts: np.ndarray | None = None
    contexts: Contexts | Passages | None = None
    offsets: np.ndarray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "lengths", np.asarray(self.lengths, dtype=np.int64))
        offsets = np.zeros(len(self.lengths), dtype=np.int64)
        np.cumsum(self.lengths[:-1], out=offsets[1:])
        object.__setattr__(self, "offsets", offsets)
        if self.lengths.ndim != 1 or self.lengths.sum() != len(self.symbols) or (self.lengths < 1).any():
            raise Problem(
                f"expected lengths of at least 1 that sum to {len(self.symbols)} symbols, got a sum of "
                f"{int(self.lengths.sum())}; run prepare again"
            )
        one = f"for each of {len(self.lengths)} sequences"
        if self.source_log_prob is not None and self.source_log_prob.shape != self.lengths.shape:
            got = self.source_log_prob.shape
            raise Problem(f"expected one source_log_prob {one}, got the shape {got}; run prepare again")
        if self.counts is not None and (self.counts.shape != self.lengths.shape or (self.counts < 1).any()):
            raise Problem(f"expected a count of at least 1 {one}, got others; run prepare again")
        row = kinds.of(self.kind)
        if (self.contexts is not None) != row.conditional:
            raise Problem(f"expected contexts with a conditional kind alone, got kind: {self.kind}; run prepare again")
        if isinstance(self.contexts, Passages) != row.lines:
            raise Problem(f"expected passages with kinds of lines alone, got kind: {self.kind}; run prepare again")
        if self.contexts is not None and len(self.contexts) != len(self.lengths):
            raise Problem(f"expected a context {one}, got {len(self.contexts)}; run prepare again")

    def __len__(self) -> int:
        return len(self.lengths)

    def sequence(self, index: int) -> np.ndarray:
        """Sequence ``index`` as a view: (T,), (T, 88) or (1, D)."""
        start = self.offsets[index]
        return self.symbols[start : start + self.lengths[index]]


@dataclass(frozen=True)
class Dataset:
    """Three splits with their statistics; ``sha256`` identifies the whole content, ``features_sha256`` the features.

    ``vectors`` (V, D) float32 belong to the vocabulary of the kind language; else None. ``rarer`` are words
    too rare for the splits, if a dataset of words keeps them.
    """

    name: str
    kind: str
    vocabulary: Any
    train: Split
    valid: Split
    test: Split
    statistics: dict[str, Any]
    sha256: str
    vectors: np.ndarray | None = None
    rarer: tuple[str, ...] = ()
    features_sha256: str | None = None

    @cached_property
    def _facts(self) -> Facts:
        longest = int(self.statistics["max_length"])
        if kinds.of(self.kind).conditional:
            return self._conditional(longest)
        lengths = np.concatenate([self.train.lengths, self.valid.lengths])
        counts = np.bincount(lengths, minlength=longest + 1)
        if len(counts) != longest + 1 or self.test.lengths.max(initial=0) > longest:
            raise Problem(
                f"expected lengths of at most {longest} in the dataset {self.name}, got "
                f"{max(len(counts) - 1, int(self.test.lengths.max(initial=0)))}; run prepare again"
            )
        kind = kinds.of(self.kind)
        symbols = len(self.vocabulary) if kind.ids else self.train.symbols.shape[-1]
        texts = self.train.symbols.reshape(-1, longest) if kind.emission == "embedded" else None
        return Facts(kind.emission, symbols, longest, tuple(counts.tolist()), self.vectors, texts=texts)

    def _conditional(self, longest: int) -> Facts:
        """The facts of data with contexts; longer sequences of validation and test count as the longest."""
        lengths = np.concatenate([self.train.lengths, self.valid.lengths]).clip(max=longest)
        (first, *_) = self.train.contexts.encoded().values()
        return Facts(
            kinds.of(self.kind).emission, len(self.vocabulary), longest,
            tuple(np.bincount(lengths, minlength=longest + 1).tolist()), self.vectors, self.outputs,
            self.statistics.get("window", 0), 0 if first.features is None else first.features.shape[1],
            self.statistics.get("concepts", 0),
        )  # fmt: skip

    @property
    def outputs(self) -> int:
        """The number of words at the beginning of the vocabulary that models of contexts can write; else all."""
        return int(self.statistics.get("outputs", len(self.vocabulary)))

    def facts(self) -> Facts:
        """The facts about this dataset that a model needs."""
        return self._facts

    def origin(self) -> dict[str, str]:
        """What identifies the content in records: ``dataset_sha256``, with features also ``features_sha256``."""
        features = {} if self.features_sha256 is None else {"features_sha256": self.features_sha256}
        return {"dataset_sha256": self.sha256, **features}


def release(array: np.ndarray | None) -> None:
    """Give the pages of a mapped array back: they stay in its file, and leave this process; others are left alone."""
    if isinstance(mapped := getattr(array, "base", None), mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        mapped.madvise(mmap.MADV_DONTNEED)


def combined(checksums: Mapping[str, str]) -> str:
    """The sha256 over the sorted lines ``<name> <sha256>``, which identifies a set of files.

    >>> combined({"b": "2", "a": "1"}) == combined({"a": "1", "b": "2"})
    True
    """
    lines = "".join(f"{name} {checksums[name]}\n" for name in sorted(checksums))
    return hashlib.sha256(lines.encode()).hexdigest()


def seal(folder: Path) -> str:
    """Write checksums.json, the sha256 of every file of a folder; return the combined one."""
    checksums = {path.name: files.sha256(path) for path in sorted(folder.iterdir())}
    files.write_json(folder / CHECKSUMS, {"files": checksums, "sha256": combined(checksums)})
    return combined(checksums)


def verified(
    folder: Path, what: str, stages: Sequence[str], again: str, needed: Collection[str] = ()
) -> dict[str, str]:
    """The checksums of a folder written by `seal`, after comparing every file with them.

    Raises `Problem` with the ``stages`` that make the folder if it is missing; with the remedy ``again`` if a
    file has changed or one that is ``needed`` is not listed.
    """
    if not folder.is_dir():
        key = "/".join(folder.parts[-2:])
        commands = " && ".join(f"python -m seqflows {stage} {key}" for stage in stages)
        raise Problem(f"expected the {what} {folder}, found none; run: {commands}")
    listed = files.read_json(folder / CHECKSUMS)
    names = listed.get("files", {})
    if listed.get("sha256") != combined(names) or not names.keys() >= {*needed}:
        raise Problem(f"expected {folder / CHECKSUMS} as {stages[-1]} wrote it, got other content; {again}")
    for name, expected in names.items():
        found = files.sha256(folder / name) if (folder / name).is_file() else "no file"
        if found != expected:
            raise Problem(f"expected {folder / name} with sha256 {expected}, got {found}; {again}")
    return names


def save(
    folder: Path, vocabulary: Any, splits: Mapping[str, Split], statistics: dict[str, Any],
    vectors: np.ndarray | None = None, rarer: Sequence[str] = (), others: Mapping[str, bytes] | None = None,
) -> str:  # fmt: skip
    """Replace ``folder`` by a prepared dataset, atomically; return its sha256.

    ``vectors`` (V, D) float32 only for the kinds language and pairs; ``rarer`` words only for the kind words;
    ``others`` are the content of further files by name.
    """
    _check_vectors(statistics["kind"], vocabulary, vectors, str(folder))
    with files.replacing_folder(Path(folder)) as temporary:
        for name in SPLITS:
            split = splits[name]
            arrays = {"lengths": split.lengths, "symbols": split.symbols}
            if split.source_log_prob is not None:
                arrays["source_log_prob"] = split.source_log_prob
            if split.counts is not None:
                arrays["counts"] = split.counts
            if split.contexts is not None:
                arrays |= split.contexts.arrays()
            np.savez(temporary / f"{name}.npz", **arrays)
        if vectors is not None:
            np.savez(temporary / EMBEDDINGS, vectors=vectors)
        if rarer:
            files.write_json(temporary / RARER, list(rarer))
        for name, content in (others or {}).items():
            (temporary / name).write_bytes(content)
        files.write_json(temporary / "vocabulary.json", vocabulary)
        files.write_json(temporary / "statistics.json", statistics)
        return seal(temporary)


def of(matrix: Params, scale: str, dataset: str) -> Dataset:
    """The prepared dataset of a scale, with the features that params.yaml states for it."""
    encoder = matrix.encoder(scale, dataset)
    if encoder is None:
        return load(paths.prepared(scale, dataset))
    return load(paths.prepared(scale, dataset), paths.features(scale, dataset), encoder)


def load(folder: Path, features: Path | None = None, encoder: Mapping[str, Any] | None = None) -> Dataset:
    """Read a prepared dataset after verifying every checksum; a mismatch is a `Problem` naming the file.

    With ``features``, a folder of the stage features, the contexts have these, mapped from the files. They must be of
    this dataset and, if given, by the block ``encoder`` of params.yaml.
    """
    folder = Path(folder)
    again = "delete the folder and run its prepare stage again"
    needed = (*(f"{name}.npz" for name in SPLITS), "vocabulary.json", "statistics.json")
    listed = verified(folder, "prepared dataset", ("download", "prepare"), again, needed)
    statistics = files.read_json(folder / "statistics.json")
    vocabulary = files.read_json(folder / "vocabulary.json")
    kind = statistics["kind"]
    splits = {name: _split(folder / f"{name}.npz", kind) for name in SPLITS}
    vectors = None
    if (folder / EMBEDDINGS).is_file():
        with np.load(folder / EMBEDDINGS, allow_pickle=False) as arrays:
            vectors = arrays["vectors"]
    _check_vectors(kind, vocabulary, vectors, str(folder))
    rarer = tuple(files.read_json(folder / RARER)) if (folder / RARER).is_file() else ()
    beside = {"statistics": statistics, "sha256": combined(listed), "vectors": vectors, "rarer": rarer}
    if features is not None:
        found = {name: featured(name, split.contexts) for name, split in splits.items()}
        if encoder is not None and encoder["model"] == NONE:
            found = {name: {} for name in found}
        needed = [file for parts in found.values() for file in parts.values()]
        beside["features_sha256"] = check_features(Path(features), combined(listed), encoder, needed)
        for name, parts in found.items():
            maps = {part: mapped(Path(features) / file) for part, file in parts.items()}
            if maps:
                splits[name] = replace(splits[name], contexts=splits[name].contexts.featured(maps))
    return Dataset(statistics["dataset"], kind, vocabulary, **splits, **beside)


def check_features(
    folder: Path, data: str, encoder: Mapping[str, Any] | None, needed: Collection[str]
) -> str:  # fmt: skip
    """Verify a folder of features by the block ``encoder``; its sha256.

    They are of the dataset, or of the candidates, with the sha256 ``data``.
    """
    again = f"run: python -m seqflows features {'/'.join(folder.parts[-2:])} --force"
    listed = verified(folder, "features", ("features",), again, (*needed, HEADER))
    header = files.read_json(folder / HEADER)
    if header["dataset_sha256"] != data:
        raise Problem(
            f"expected features in {folder} of the prepared data with sha256 {data[:12]}..., "
            f"got those of {header['dataset_sha256'][:12]}...; {again}"
        )
    if encoder is not None:
        for key in {**encoder, **header["encoder"]}:
            wanted, got = encoder.get(key), header["encoder"].get(key)
            if wanted != got:
                raise Problem(f"expected features in {folder} with {key}: {wanted}, got {key}: {got}; {again}")
        for name, wanted in (encoder.get("sha256") or {}).items():
            got = {**header["model"], **header["tokenizer"]}.get(name, "none")
            if wanted != got:
                raise Problem(f"expected features in {folder} by {name} with sha256 {wanted}, got {got}; {again}")
    return combined(listed)


def featured(split: str, contexts: Contexts | Passages) -> dict[str, str]:
    """The file with the features of each part of a split's contexts."""
    return {part: f"{split}-{part}.npy" if part else f"{split}.npy" for part in contexts.encoded()}


def mapped(path: Path) -> np.ndarray:
    """The features of a file, (sum W, F) float16, which stay on the disk."""
    features = np.load(path, mmap_mode="r", allow_pickle=False)
    if features.ndim != 2 or features.dtype != np.float16:
        got = f"{features.dtype} of shape {features.shape}"
        raise Problem(f"expected float16 features (words, F) in {path}, got {got}; run the stage features again")
    return features


def _check_vectors(kind: str, vocabulary: Any, vectors: np.ndarray | None, where: str) -> None:
    """Check that language, pairs and choices have one finite float32 vector per token, and other kinds have none."""
    if kinds.of(kind).emission not in ("embedded", "conditional", "chosen"):
        if vectors is not None:
            raise Problem(f"expected no vectors with kind: {kind} in {where}, got some; run prepare again")
        return
    shape = None if vectors is None else vectors.shape
    if shape is None or len(shape) != 2 or shape[0] != len(vocabulary) or not shape[1] or vectors.dtype != np.float32:
        raise Problem(
            f"expected float32 vectors ({len(vocabulary)}, D) with kind: {kind} in {where}, got {shape}; "
            "run prepare again"
        )
    if not np.isfinite(vectors).all():
        raise Problem(f"expected finite vectors in {where}, got others; run prepare again")


def _split(path: Path, kind: str) -> Split:
    with np.load(path, allow_pickle=False) as arrays:
        contexts = Passages if kinds.of(kind).lines else Contexts
        optional = arrays.get("source_log_prob"), arrays.get("counts"), contexts.from_arrays(arrays)
        return Split(kind, arrays["lengths"], arrays["symbols"], *optional)
