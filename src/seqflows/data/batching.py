"""Batches of sequences: composition, order and padding.

Sequences of equal length share a batch where possible, so that little is padded.

Shapes: B sequences of a batch, T the longest of them, D numbers per vector, S words of the longest context, F numbers
of a word's features, M lines of the longest context, Q words of the longest question.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
import torch

from seqflows import kinds
from seqflows.data.lines import Gathered, Passages, Replacement
from seqflows.data.prepared import Contexts, Split, release

TRANSPOSED = 23  # the stream of the moves of pieces, beside that of the order of batches
SPREAD = 16  # words by which the contexts of a batch may differ in size, so that batches differ between epochs
OUTSIDE, BEGIN, INSIDE = range(3)  # tags of a context's words: whether they belong to the answer


class Given(NamedTuple):
    """The padded contexts of a batch.

    ``words`` and ``tags`` are (B, S) int64, ``lengths`` (B,) int64 and ``features`` (B, S, F) float32, F = 0 without.
    """

    words: torch.Tensor
    tags: torch.Tensor
    lengths: torch.Tensor
    features: torch.Tensor

    def to(self, device: torch.device | str) -> Given:
        """The same contexts on another device."""
        return Given(*(tensor.to(device, non_blocking=True) for tensor in self))

    @property
    def mask(self) -> torch.Tensor:
        """(B, S) bool: True where a word belongs to its context."""
        return _within(self.lengths, self.words)


class Lined(NamedTuple):
    """The padded contexts of a batch's questions, put together from lines, and the questions.

    ``words``, ``characters`` and ``features`` are those of `Gathered`, as are ``firsts`` (B, M + 1), the first word of
    each line, and the ``texts`` of each context's lines. ``asked`` are the questions' words, (B, Q) int64, and
    ``asked_features`` (B, Q, F) float32; ``questions`` their texts.
    """

    words: torch.Tensor
    lengths: torch.Tensor
    characters: torch.Tensor
    features: torch.Tensor
    firsts: torch.Tensor
    asked: torch.Tensor
    asked_lengths: torch.Tensor
    asked_features: torch.Tensor
    texts: tuple[tuple[str, ...], ...]
    questions: tuple[str, ...]

    def to(self, device: torch.device | str) -> Lined:
        """The same contexts on another device."""
        moved = (one.to(device, non_blocking=True) if isinstance(one, torch.Tensor) else one for one in self)
        return Lined(*moved)

    @property
    def mask(self) -> torch.Tensor:
        """(B, S) bool: True where a word belongs to its context."""
        return _within(self.lengths, self.words)

    @property
    def asked_mask(self) -> torch.Tensor:
        """(B, Q) bool: True where a word belongs to its question."""
        return _within(self.asked_lengths, self.asked)


class Seen(NamedTuple):
    """Words of things detected beside the lines of a batch of questions.

    ``words`` (B, M, C) int64, ``lengths`` (B, M) int64, 0 where nothing is seen. ``wanted`` (B, S, M, C) int8 says of
    the words of a statement with the right answer what they should attend to: 1 for a word of the same thing, -1 for
    another, 0 where that is not known. It is a target, no input.
    """

    words: torch.Tensor
    lengths: torch.Tensor
    wanted: torch.Tensor

    def to(self, device: torch.device | str) -> Seen:
        """The same on another device."""
        return Seen(*(tensor.to(device, non_blocking=True) for tensor in self))

    @property
    def mask(self) -> torch.Tensor:
        """(B, M, C) bool: True where a word is beside its line."""
        return _within(self.lengths, self.words)


class Choices(NamedTuple):
    """The padded questions of a batch, with A answers each and M lines of W words.

    ``statements`` (B, A, S) int64 are each question's words followed by those of an answer, ``lines`` (B, M, W) int64
    its context's; ``statement_lengths`` (B, A) and ``line_lengths`` (B, M) int64, 0 for a line that pads. ``correct``
    (B,) int64 is the place of the right answer, ``span`` (B, 2) int64 the first and the last line of the question's
    time. ``seen`` are words of things detected beside the lines; None without.
    """

    statements: torch.Tensor
    statement_lengths: torch.Tensor
    lines: torch.Tensor
    line_lengths: torch.Tensor
    correct: torch.Tensor
    span: torch.Tensor
    seen: Seen | None = None

    def to(self, device: torch.device | str) -> Choices:
        """The same questions on another device."""
        tensors = (tensor.to(device, non_blocking=True) for tensor in self[:6])
        return Choices(*tensors, self.seen and self.seen.to(device))

    @property
    def statement_mask(self) -> torch.Tensor:
        """(B, A, S) bool: True where a word belongs to its statement."""
        return _within(self.statement_lengths, self.statements)

    @property
    def line_mask(self) -> torch.Tensor:
        """(B, M, W) bool: True where a word belongs to its line."""
        return _within(self.line_lengths, self.lines)


def _within(lengths: torch.Tensor, padded: torch.Tensor) -> torch.Tensor:
    return torch.arange(padded.shape[-1], device=lengths.device) < lengths[..., None]


class Batch(NamedTuple):
    """Padded sequences: zeros follow the end of each.

    ``x`` is (B, T) int64 (categorical, embedded), (B, T, 88) float32 (bernoulli) or (B, 1, D)
    float32 (real); ``lengths`` and ``index`` (place in the split) are (B,) int64. ``given`` are the contexts of pairs,
    whose ``x`` are words with the end symbol, or those of questions about lines, whose ``x`` are a span's places
    or that of the right answer among the choices.
    """

    x: torch.Tensor
    lengths: torch.Tensor
    index: torch.Tensor
    given: Given | Lined | Choices | None = None

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on another device."""
        tensors = (tensor.to(device, non_blocking=True) for tensor in self[:3])
        return Batch(*tensors, self.given and self.given.to(device))

    @property
    def mask(self) -> torch.Tensor:
        """(B, T) bool: True where a step belongs to its sequence."""
        steps = torch.arange(self.x.shape[1], device=self.lengths.device)
        return steps < self.lengths[:, None]

    @property
    def steps(self) -> int:
        """The number of time steps without padding: the sum of the lengths."""
        return int(self.lengths.sum())


def _partition(
    lengths: np.ndarray, sequence: np.ndarray, batch_size: int, rng: np.random.Generator | None
) -> list[np.ndarray]:
    """Cut ``sequence`` (indices) into batches of equal length; the rest into batches of similar lengths.

    At most one batch is not full; with ``rng`` it is at a random place among those of mixed
    lengths, so that the members of the others vary between epochs.
    """
    if batch_size < 1:
        raise ValueError(f"expected a batch size of at least 1, got {batch_size}")
    by_length = sequence[np.argsort(lengths[sequence], kind="stable")]
    _, counts = np.unique(lengths[by_length], return_counts=True)
    starts = np.cumsum(counts) - counts
    within = np.arange(len(by_length)) - np.repeat(starts, counts)
    full = within < np.repeat(counts - counts % batch_size, counts)
    batches = list(by_length[full].reshape(-1, batch_size))
    rest = by_length[~full]
    if len(rest):
        sizes = np.full(-(-len(rest) // batch_size), batch_size)
        sizes[-1] = len(rest) - sizes[:-1].sum()
        batches += np.split(rest, np.cumsum(sizes if rng is None else rng.permutation(sizes))[:-1])
    return batches


def order(
    split: Split, batch_size: int, seed: int, epoch: int, drawn: int | None = None, some: np.ndarray | None = None
) -> list[np.ndarray]:
    """The batches of a training epoch as arrays of indices, in order.

    A pure function of ``(seed, epoch)``, so that a resumed run continues the same order.
    Every sequence, or every one of ``some``, occurs once; all batches but one have ``batch_size`` members. In batches
    of pairs of equal length the contexts are of similar sizes, to within `SPREAD` words; so are the statements of
    choices. If the split has counts, ``drawn`` sequences are drawn by frequency instead (a whole number of
    batches, not sorted: words are short, and batches of one length would reveal it).
    """
    rng = np.random.default_rng([seed, epoch])
    if split.counts is not None:
        places = np.searchsorted(np.cumsum(split.counts), rng.integers(split.counts.sum(), size=drawn), side="right")
        return list(places[: len(places) // batch_size * batch_size].reshape(-1, batch_size))
    sequence = rng.permutation(len(split) if some is None else some)
    if split.contexts is not None:
        sizes = _padded_sizes(split) + rng.uniform(0, SPREAD, len(split))
        sequence = sequence[np.argsort(sizes[sequence], kind="stable")]
    batches = _partition(split.lengths, sequence, batch_size, rng)
    return [batches[place] for place in rng.permutation(len(batches))]


def _padded_sizes(split: Split) -> np.ndarray:
    """(N,) the words that a batch is padded to: of the context, or of all statements of choices, as the longest."""
    found = split.contexts
    if kinds.of(split.kind).emission != "chosen":
        return found.sizes
    longest = found.questions.lengths + np.maximum.reduceat(found.answers.lengths, found.answered[:-1])
    return np.diff(found.answered) * longest


def order_by_symbols(split: Split, batch_size: int) -> list[np.ndarray]:
    """The batches of all sequences of ids in the order of their symbols: those of a batch share beginnings."""
    steps = np.arange(split.lengths.max())
    inside = steps < split.lengths[:, None]
    symbols = np.where(inside, split.symbols[np.where(inside, split.offsets[:, None] + steps, 0)], -1)
    sequence = np.lexsort(symbols.T[::-1])
    return [sequence[start : start + batch_size] for start in range(0, len(sequence), batch_size)]


def order_by_length(split: Split, batch_size: int) -> list[np.ndarray]:
    """The batches of an evaluation: short sequences first, ties by index, or by the size of passages; not random."""
    lined = isinstance(split.contexts, Passages)
    sequence = np.argsort(split.contexts.sizes, kind="stable") if lined else np.arange(len(split))
    batches, place = _partition(split.lengths, sequence, batch_size, None), np.argsort(sequence)
    return sorted(batches, key=lambda batch: (int(split.lengths[batch].max()), int(place[batch[0]])))


def collate(split: Split, indices: np.ndarray, replaced: Replacement | None = None) -> Batch:
    """Gather sequences into one padded `Batch`; of questions about lines some of these may be ``replaced``."""
    indices = np.asarray(indices, dtype=np.int64)
    lengths = split.lengths[indices]
    steps = np.arange(lengths.max(initial=1))
    mask = steps < lengths[:, None]
    places = np.where(mask, split.offsets[indices, None] + steps, 0)
    x = split.symbols[places]
    x = x.astype(np.int64 if kinds.of(split.kind).ids else np.float32)
    x[~mask] = 0
    given: Given | Lined | Choices | None = None
    if isinstance(split.contexts, Passages) and kinds.of(split.kind).emission == "chosen":
        given = choices(split.contexts, indices, x[:, 0], replaced)
    elif isinstance(split.contexts, Passages):
        given = passages(split.contexts, indices, replaced)
    elif split.contexts is not None:
        given = contexts(split.contexts, indices)
    return Batch(torch.from_numpy(x), torch.from_numpy(lengths.copy()), torch.from_numpy(indices.copy()), given)


def transposed(batch: Batch, most: int, seed: int, step: tuple[int, int, int]) -> Batch:
    """Piano rolls moved by up to ``most`` semitones, each piece by as many as keep all its keys, evenly drawn.

    A pure function of the seed and the ``step``: epoch, position in it, batch of that position.
    """
    rng = np.random.default_rng([seed, *step, TRANSPOSED])
    played = batch.x.amax(1) > 0  # (B, V); a piece of rests has no key to lose
    lowest = torch.where(played.any(1), played.int().argmax(1), 0)
    above = torch.where(played.any(1), played.flip(1).int().argmax(1), 0)
    moves = [int(rng.integers(-min(most, low), min(most, high) + 1)) for low, high in zip(lowest, above, strict=True)]
    x = torch.stack([piece.roll(move, -1) for piece, move in zip(batch.x, moves, strict=True)])
    return batch._replace(x=x)


def contexts(found: Contexts, indices: np.ndarray) -> Given:
    """Gather the contexts of some sequences.

    The pages of mapped features are given back, so that the memory of a training does not grow with the corpus.
    """
    sizes = found.sizes[indices].astype(np.int64)
    shape = (len(indices), int(sizes.max(initial=1)))
    words, tags = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    width = 0 if found.features is None else found.features.shape[1]
    features = np.zeros((*shape, width), dtype=np.float32)
    for row, index in enumerate(indices):
        rows = found.rows(index)
        words[row, : sizes[row]] = found.words[rows]
        if width:
            features[row, : sizes[row]] = found.features[rows]
        if found.answer is not None:
            first, after = found.answer[index] - found.window[index, 0]
            tags[row, first:after] = INSIDE
            tags[row, first] = BEGIN
    release(found.features)
    return Given(*map(torch.from_numpy, (words, tags, sizes, features)))


def passages(found: Passages, indices: np.ndarray, replaced: Replacement | None = None) -> Lined:
    """Gather the contexts and questions at ``indices``; see `contexts` for mapped features."""
    made = found.gather(indices, replaced)
    sizes = found.questions.lengths[indices]
    shape = (len(indices), int(sizes.max(initial=1)))
    asked, features = np.zeros(shape, dtype=np.int64), np.zeros((*shape, found.questions.width), dtype=np.float32)
    for row, index in enumerate(indices):
        rows = found.questions.rows(index)
        asked[row, : sizes[row]] = found.questions.words[rows]
        if found.questions.width:
            features[row, : sizes[row]] = found.questions.features[rows]
    for pool in (found.lines, found.questions, *((replaced.pool,) if replaced else ())):
        release(pool.features)
    arrays = (*made[:-1], asked, sizes, features)
    return Lined(*map(torch.from_numpy, arrays), made.texts, tuple(found.questions.texts[index] for index in indices))


def choices(found: Passages, indices: np.ndarray, correct: np.ndarray, replaced: Replacement | None = None) -> Choices:
    """Gather some questions with their answers and lines; ``correct`` (B,) are the right answers' places."""
    lines, line_lengths = lined(found.gather(indices, replaced))
    statements, spans = [], []
    for index in indices.tolist():
        asked = found.questions.words[found.questions.rows(index)]
        answers = range(int(found.answered[index]), int(found.answered[index + 1]))
        statements.append([np.concatenate([asked, found.answers.words[found.answers.rows(one)]]) for one in answers])
        spans.append(np.flatnonzero(found.free_of(index))[[0, -1]])
    statement_lengths = np.array([[len(one) for one in row] for row in statements], dtype=np.int64)
    padded = np.zeros((*statement_lengths.shape, int(statement_lengths.max(initial=1))), dtype=np.int64)
    padded[np.arange(padded.shape[-1]) < statement_lengths[..., None]] = np.concatenate([*itertools.chain(*statements)])
    arrays = padded, statement_lengths, lines, line_lengths, correct.astype(np.int64), np.array(spans, dtype=np.int64)
    return Choices(*map(torch.from_numpy, arrays), seen(found, indices, padded.shape[-1]))


def seen(found: Passages, indices: np.ndarray, statement: int) -> Seen | None:
    """The detected words beside the lines of some questions, with statements of up to S words; None without."""
    if found.concepts is None:
        return None
    words, lengths = found.concepts.gather([found.of(index) for index in indices.tolist()])
    wanted = found.concepts.wanted(indices.tolist(), statement, words.shape[1:])
    return Seen(*map(torch.from_numpy, (words, lengths, wanted)))


def lined(gathered: Gathered) -> tuple[np.ndarray, np.ndarray]:
    """The words of contexts line by line, (B, M, W), zeros beyond a line's end, and the lines' lengths (B, M)."""
    lengths = np.diff(gathered.firsts, axis=1)
    places = np.arange(lengths.max(initial=1))
    inside = places < lengths[..., None]
    rows = np.arange(len(lengths))[:, None, None]
    return np.where(
        inside, gathered.words[rows, np.where(inside, gathered.firsts[:, :-1, None] + places, 0)], 0
    ), lengths
