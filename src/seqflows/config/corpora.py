"""The blocks of datasets by source: sizes, limits, and parameters of embedded sources."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass
from typing import Any

from seqflows.config import own, registry
from seqflows.config.typed import TEXT, TEXTS, Block, Rule, choice, entry, number, several, whole
from seqflows.errors import Problem
from seqflows.names import near

SIZE = whole(1)
SEED = whole(0)
VECTORS = Rule(
    f"one of {', '.join(registry.VECTORS)}", lambda value: value in tuple(registry.VECTORS), tuple(registry.VECTORS)
)
SPLITS = choice("tokens", "types")
SOURCES: dict[str, type[Corpus]] = {}
KINDS: dict[str, str] = {}  # source -> kind of data


def sources(kind: str, *names: str) -> Callable[[type[Corpus]], type[Corpus]]:
    """Register the block of some sources of a kind."""

    def register(block: type[Corpus]) -> type[Corpus]:
        for name in names:
            SOURCES[name], KINDS[name] = block, kind
        return block

    return register


def real(kind: str, *, pinned: bool | None = True) -> Callable[[type[Corpus]], type[Corpus]]:
    """Register the block of a kind's real sources: those with all files pinned, with some not, or any."""
    known = {name: one for name, one in registry.SOURCES.items() if one.kind == kind and name not in own.ENDS}
    found = {name: all(file.sha256 for file in one.files) for name, one in known.items()}
    return sources(kind, *(name for name, whole in found.items() if pinned in (None, whole)))


def made(rule: Rule, default: Any = MISSING) -> Any:
    """An `entry` that is a parameter of an embedded source, stored in source.json."""
    return entry(rule, default, made=True)


@dataclass(frozen=True, kw_only=True)
class Corpus(Block):
    """The entries of every dataset."""

    source: str = entry(TEXT)

    def made(self) -> dict[str, Any]:
        """The parameters of an embedded source, for source.json."""
        found = {key: getattr(self, key) for key, one in self.entries().items() if one.metadata.get("made")}
        return {key: list(value) if isinstance(value, tuple) else value for key, value in found.items()}


@dataclass(frozen=True, kw_only=True)
class Sequences(Corpus):
    """Limits: ``*_sequences`` is the number of first sequences of a split to keep."""

    train_sequences: int | None = entry(SIZE, None)
    valid_sequences: int | None = entry(SIZE, None)
    test_sequences: int | None = entry(SIZE, None)


@dataclass(frozen=True, kw_only=True)
class Own(Block):
    """A user's own files: ``sha256`` of the file, or of several by path; without it that of the first use counts."""

    path: str | dict[str, str] = entry(own.PATHS)
    sha256: str | dict[str, str] | None = entry(own.SHA256, None)

    def contradictions(self) -> Iterator[tuple[str, str]]:
        """Yield what the entries of the files contradict."""
        yield from own.contradictions(vars(self))


@dataclass(frozen=True, kw_only=True)
class OwnSequences(Own, Sequences):
    """One file, of which shares drawn by ``seed`` are the validation and the test split; or a file for each split."""

    valid_share: float = entry(number(above=0, below=1), 0.1)
    test_share: float = entry(number(above=0, below=1), 0.1)
    seed: int = entry(SEED, 0)

    def contradictions(self) -> Iterator[tuple[str, str]]:
        """Yield also shares that leave nothing for training."""
        yield from super().contradictions()
        if (held := self.valid_share + self.test_share) >= 1:
            yield "test_share", f"expected less than 1 with valid_share, got {held:g}"


@real("music")
@dataclass(frozen=True, kw_only=True)
class Music(Sequences):
    """Piano rolls of the registry."""


@real("music", pinned=False)
@dataclass(frozen=True, kw_only=True)
class MusicPickle(Sequences):
    """An original pickle, without a published checksum: the block states it."""

    sha256: str | None = entry(own.DIGEST, None)


@real("text")
@dataclass(frozen=True, kw_only=True)
class Text(Sequences):
    """A corpus of sentences; longer ones are dropped."""

    max_length: int | None = entry(SIZE, None)


@sources("text", "own-text")
@dataclass(frozen=True, kw_only=True)
class OwnText(OwnSequences):
    """A text with a sequence a line; longer ones are dropped."""

    max_length: int | None = entry(SIZE, None)


@sources("music", "own-music")
@dataclass(frozen=True, kw_only=True)
class OwnMusic(OwnSequences):
    """Piano rolls: .npz with an array (T, 88) a piece, or .json with the MIDI notes of each frame of each piece.

    Or a .zip of MIDI files, a piece each, read at a time ``step``, in quarter notes.
    """

    step: float | None = entry(number(above=0), None)

    def contradictions(self) -> Iterator[tuple[str, str]]:
        """Yield also MIDI files without a time step, and a time step of other files."""
        yield from super().contradictions()
        several = self.path.values() if isinstance(self.path, Mapping) else [self.path]
        zipped = all(path.endswith(own.MIDI) for path in several)
        if zipped and self.step is None:
            yield "step", "expected the time step of the MIDI files, in quarter notes, got none; 0.5 is an eighth note"
        if not zipped and self.step is not None:
            yield "step", f"expected none without {own.MIDI} files of MIDI, got {self.step:g}"


@dataclass(frozen=True, kw_only=True)
class Embedded(Sequences):
    """A generated corpus: its seed and its sizes, in sequences."""

    seed: int = made(SEED, 1)
    train: int = made(SIZE, 600)
    valid: int = made(SIZE, 100)
    test: int = made(SIZE, 200)


@sources("text", "embedded-text")
@dataclass(frozen=True, kw_only=True)
class EmbeddedText(Embedded):
    """Sentences of a chain of words: fewest and most words, and the size of the lexicon."""

    words: tuple[int, ...] = made(several(SIZE, "the fewest and the most words of a sentence", 2, 2), (3, 6))
    lexicon: int = made(SIZE, 24)
    max_length: int | None = entry(SIZE, None)


@sources("music", "embedded-chords")
@dataclass(frozen=True, kw_only=True)
class EmbeddedChords(Embedded):
    """Piano rolls of a chain of chords."""

    train: int = made(SIZE, 200)
    valid: int = made(SIZE, 40)
    test: int = made(SIZE, 60)
    lengths: tuple[int, ...] = made(several(SIZE, "a list of lengths"), (12, 16, 24))
    states: int = made(SIZE, 13)


@sources("vectors", "embedded-gaussians")
@dataclass(frozen=True, kw_only=True)
class EmbeddedGaussians(Embedded):
    """Points of a mixture of four Gaussians in the plane."""

    train: int = made(SIZE, 2000)
    valid: int = made(SIZE, 500)
    test: int = made(SIZE, 1000)
    distance: float = made(number(above=0), 2.0)
    deviation: float = made(number(above=0), 0.3)


@real("words")
@dataclass(frozen=True, kw_only=True)
class Words(Corpus):
    """Words with counts: the paper's filter, tokens to sample, the split (by tokens or by types) and its seed.

    ``wide_count`` also keeps a list of rarer words, of at least that count, for a wider V.
    """

    split: str = entry(SPLITS, "tokens")
    min_count: int = entry(SIZE, 10)
    shortest: int = entry(SIZE, 2)
    longest: int = entry(SIZE, 12)
    test_share: float = entry(number(above=0, below=1), 0.1)
    valid_tokens: int = entry(SIZE, 10_000)
    sample_tokens: int | None = entry(SIZE, None)
    seed: int = entry(SEED, 0)
    wide_count: int | None = entry(SIZE, None)

    def contradictions(self) -> Iterator[tuple[str, str]]:
        """Yield decreasing lengths, and a wider V without rarer words."""
        if self.shortest > self.longest:
            yield "shortest", f"expected at most longest, {self.longest}, got {self.shortest}"
        if self.wide_count is not None and self.wide_count >= self.min_count:
            yield (
                "wide_count",
                f"expected less than min_count, {self.min_count}, got {self.wide_count}",
            )


@sources("words", "own-words")
@dataclass(frozen=True, kw_only=True)
class OwnWords(Own, Words):
    """A user's file of counts: ``word<tab>count`` lines in .tsv or .tsv.gz, or the columns ngram and freq in .csv."""

    path: str = entry(own.PATH, own.COUNTS)

    def contradictions(self) -> Iterator[tuple[str, str]]:
        """Yield those of the file, then those of the words."""
        yield from Own.contradictions(self)
        yield from Words.contradictions(self)


@sources("words", "embedded-words")
@dataclass(frozen=True, kw_only=True)
class EmbeddedWords(Words):
    """A grammar of word formation: number of stems and of counted tokens."""

    seed: int = made(SEED, 3)
    tokens: int = made(SIZE, 200_000)
    stems: int = made(SIZE, 60)


@real("language", pinned=None)
@dataclass(frozen=True, kw_only=True)
class Language(Sequences):
    """Sequences of ``length`` tokens and vectors of ``dimensions`` numbers; ``sha256`` of files by name, if unknown.

    The vocabulary: tokens with ``min_count`` occurrences in training, at most ``vocabulary_size`` of them besides
    the four special ones.
    """

    length: int = entry(whole(3))
    dimensions: int = entry(SIZE)
    glove: str = entry(VECTORS)
    min_count: int = entry(SIZE, 1)
    vocabulary_size: int | None = entry(SIZE, None)
    sha256: dict[str, str] | None = entry(TEXTS, None)


OWN_VECTORS = tuple(name for name, listed in registry.VECTORS.items() if all(file.sha256 for file in listed))


@sources("language", "own-language")
@dataclass(frozen=True, kw_only=True)
class OwnLanguage(OwnSequences):
    """Texts, one a line, and vectors: a file in GloVe's text format, .txt or .zip, or the name of public ones.

    ``length``, ``dimensions``, ``min_count`` and ``vocabulary_size`` as in `Language`.
    """

    length: int = entry(whole(3))
    dimensions: int = entry(SIZE)
    vectors: str = entry(
        Rule(
            f"{own.PATH.expected}, that ends with {' or '.join(own.VECTORS)}, or one of {', '.join(OWN_VECTORS)}",
            lambda value: value in OWN_VECTORS or (own.PATH.holds(value) and value.endswith(own.VECTORS)),
            OWN_VECTORS,
        )
    )
    min_count: int = entry(SIZE, 1)
    vocabulary_size: int | None = entry(SIZE, None)


@sources("language", "embedded-language")
@dataclass(frozen=True, kw_only=True)
class EmbeddedLanguage(Embedded):
    """Questions and paragraphs of a grammar: the size of its lexicon, and the sizes of the sequences."""

    seed: int = made(SEED, 8)
    length: int = made(whole(7), 24)
    dimensions: int = made(SIZE, 8)
    lexicon: int = made(whole(6, 48), 24)


@real("pairs", pinned=None)
@dataclass(frozen=True, kw_only=True)
class Pairs(Sequences):
    """Questions of up to ``question_length`` words with their end, and up to ``window`` words around their answers.

    ``vocabulary_size`` words can be written besides the four special ones; all words have vectors of ``dimensions``
    numbers. ``sha256`` of files by name, if unknown.
    """

    window: int = entry(SIZE)
    question_length: int = entry(whole(2))
    vocabulary_size: int = entry(SIZE)
    dimensions: int = entry(SIZE)
    glove: str = entry(VECTORS)
    sha256: dict[str, str] | None = entry(TEXTS, None)


@sources("pairs", "embedded-questions")
@dataclass(frozen=True, kw_only=True)
class EmbeddedQuestions(Embedded):
    """Questions about paragraphs of a grammar; ``train``, ``valid`` and ``test`` are numbers of questions.

    The size of its lexicon, the most questions about a paragraph, and the probability of the form that a verb prefers.
    """

    seed: int = made(SEED, 11)
    window: int = made(SIZE, 32)
    question_length: int = entry(whole(2), 8)
    vocabulary_size: int = entry(SIZE, 28)
    dimensions: int = made(SIZE, 8)
    lexicon: int = made(whole(6, 48), 36)
    preference: float = made(number(above=0.5, below=1), 0.8)
    asked: int = made(SIZE, 2)


DIRECTION = choice("ro-en", "en-ro")


@real("translation", pinned=None)
@dataclass(frozen=True, kw_only=True)
class Translation(Sequences):
    """Pairs of sentences in ``vocabulary_size`` joint subwords, the special ones included.

    Training has the pairs of up to ``max_length`` subwords on each side; ``held_out`` of its pairs, drawn by
    ``held_out_seed``, are the validation split. ``sha256`` of files by name, if unknown.
    """

    direction: str = entry(DIRECTION, "ro-en")
    vocabulary_size: int = entry(SIZE)
    max_length: int = entry(SIZE, 64)
    held_out: int = entry(SIZE, 1000)
    held_out_seed: int = entry(SEED, 0)
    sha256: dict[str, str] | None = entry(TEXTS, None)


@sources("translation", "embedded-numbers")
@dataclass(frozen=True, kw_only=True)
class EmbeddedNumbers(Embedded):
    """Numbers and dates in words, Romanian and English: numbers below ``largest``, and the share of dates.

    ``preference`` is the probability of the usual one of two forms.
    """

    seed: int = made(SEED, 16)
    direction: str = made(DIRECTION, "ro-en")
    vocabulary_size: int = entry(SIZE, 400)
    max_length: int = entry(SIZE, 64)
    largest: int = made(whole(100, 10_000), 1000)
    dates: float = made(number(least=0, most=1), 0.5)
    preference: float = made(number(above=0.5, below=1), 0.8)


@sources("pairs", "embedded-paraphrases")
@dataclass(frozen=True, kw_only=True)
class EmbeddedParaphrases(Embedded):
    """Sentences of a grammar and their paraphrases: the size of its lexicon, and how often a verb's form is preferred.

    ``window`` and ``question_length`` are the most words of a sentence, and of a paraphrase with its end.
    """

    seed: int = made(SEED, 14)
    train: int = made(SIZE, 300)
    valid: int = made(SIZE, 50)
    test: int = made(SIZE, 100)
    window: int = entry(SIZE, 8)
    question_length: int = entry(whole(2), 9)
    vocabulary_size: int = entry(SIZE, 40)
    dimensions: int = made(SIZE, 8)
    lexicon: int = made(whole(6, 48), 24)
    preference: float = made(number(above=0.5, below=1), 0.8)


@real("spans", pinned=None)
@dataclass(frozen=True, kw_only=True)
class Spans(Sequences):
    """Questions that a span of a paragraph answers; training has those about passages of up to ``window`` words.

    Its ``train_sequences`` are the first in the random order of the seed ``order``; None keeps the files' order.
    """

    window: int = entry(SIZE)
    order: int | None = entry(SEED, None)
    sha256: dict[str, str] | None = entry(TEXTS, None)


@sources("spans", "embedded-answers")
@dataclass(frozen=True, kw_only=True)
class EmbeddedAnswers(Embedded):
    """Questions about paragraphs of a grammar, each with one right answer; see `EmbeddedQuestions`."""

    seed: int = made(SEED, 16)
    window: int = made(SIZE, 32)
    order: int | None = entry(SEED, None)
    lexicon: int = made(whole(6, 48), 36)
    preference: float = made(number(above=0.5, below=1), 0.8)
    asked: int = made(SIZE, 2)


@real("choices", pinned=None)
@dataclass(frozen=True, kw_only=True)
class Choices(Sequences):
    """Questions with answers to choose from, about clips; all words have vectors of ``dimensions`` numbers.

    ``sha256`` of files by name, if unknown.
    """

    dimensions: int = entry(SIZE)
    glove: str = entry(VECTORS)
    sha256: dict[str, str] | None = entry(TEXTS, None)


@sources("choices", registry.DETECTED)
@dataclass(frozen=True, kw_only=True)
class SeenChoices(Choices):
    """The same, with up to ``concepts`` words of things detected beside a line."""

    concepts: int = entry(SIZE, 25)


@sources("choices", "embedded-dialogues")
@dataclass(frozen=True, kw_only=True)
class EmbeddedDialogues(Embedded):
    """Questions about dialogues; ``train``, ``valid`` and ``test`` are numbers of questions.

    The size of the lexicon, the ``lines`` of a dialogue, how many names and verbs meet in it at most, and the most
    questions about it. With ``concepts`` things are seen beside the lines, up to as many.
    """

    seed: int = made(SEED, 16)
    dimensions: int = made(SIZE, 8)
    lexicon: int = made(whole(15, 48), 36)
    lines: int = made(whole(5), 6)
    met: int = made(whole(3), 3)
    asked: int = made(SIZE, 2)
    concepts: int = made(whole(0), 0)


def block(value: Mapping[str, Any], path: str = "the dataset") -> Corpus:
    """The typed block of a dataset, from a stage's block with its ``kind``.

    Raises:
        Problem: unknown source, a kind that differs from the source's, or invalid entries.
    """
    source = value.get("source")
    if source not in SOURCES:
        raise Problem(f"expected a source of {', '.join(SOURCES)}, got {source!r}{near(source, SOURCES)}")
    if value.get("kind") != KINDS[source]:
        raise Problem(f"expected kind: {KINDS[source]} with source: {source}, got {value.get('kind')!r}")
    return SOURCES[source].of({key: one for key, one in value.items() if key != "kind"}, path)
