"""The blocks of evaluation (by kind of data), of generation times and of texts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from seqflows.config.typed import TEXT, Block, choice, either, entry, number, several, whole

BLOCK = 1000  # trajectories of a block, summed in float32; a larger K is a multiple of it
COUNT = whole(0)
SIZE = whole(1)
SIZES = several(SIZE, "a list of whole numbers of at least 1")
RATIO = number(least=0, most=1)
EXPORT = choice("conditionals", "prior_grid", "density_grid")
PAIR = several(TEXT, "two texts", 2, 2)
SENTENCES = several(TEXT, "a list of texts that differ", differ=True)
DEVIATIONS = several(number(least=0), "numbers of at least 0 that differ", differ=True)


@dataclass(frozen=True, kw_only=True)
class Sequences(Block):
    """Evaluation of sequences: importance samples, the reported K, and exports for figures."""

    samples: int = entry(SIZE, 50)  # importance samples per sequence
    at: tuple[int, ...] = entry(several(SIZE, SIZES.expected, 0), ())  # the K at which the NLL is also given
    headline: int = entry(SIZE, 50)  # the K of the metric nll
    chunk: int = entry(SIZE, 16384)  # latent symbols (B x T x K) at once
    generate: int = entry(COUNT, 8)
    exports: tuple[str, ...] = entry(several(EXPORT, f"a list of {EXPORT.expected}", 0), ())

    def contradictions(self) -> Iterator[tuple[str, str]]:
        """Yield a K above the number of samples, and a headline that is not reported."""
        if self.at and self.headline not in self.at:
            yield "headline", f"expected one of evaluation.at, {list(self.at)}, got {self.headline}"
        if (most := max((self.headline, *self.at))) > self.samples:
            yield "at", f"expected counts of at most evaluation.samples, {self.samples}, got {most}; raise samples"


@dataclass(frozen=True, kw_only=True)
class Words(Block):
    """Evaluation of models of words, on all words at once."""

    trajectories: tuple[int, ...] = entry(SIZES)  # the K of the cross entropies
    sets: int = entry(SIZE, 10)  # independent sets of K trajectories, fewer for large K
    samples: int = entry(whole(2, even=True), 400)  # posterior samples of a word, in two halves, for the headline
    types: int = entry(whole(2), 5000)  # draws of words by frequency for the headline, see `evaluation.importance`
    generated: int = entry(SIZE, 14_300)  # words for the set-based measures: a tenth of the paper's vocabulary
    gap_words: int = entry(SIZE, 5000)  # words generated for the entropies
    gap_samples: int = entry(SIZE, 20)  # draws of the noise for the marginal entropy, section 5.2
    gap_sets: tuple[int, ...] = entry(SIZES, (20, 1000))  # K of whole trajectories in the marginal of eq. (12)
    ngrams: tuple[int, ...] = entry(several(SIZE, SIZES.expected, 0), ())  # orders of the Kneser-Ney models

    def contradictions(self) -> Iterator[tuple[str, str]]:
        """Yield repeated K, large K that are not whole blocks, and a missing half of the largest (convergence)."""
        counts, largest = list(self.trajectories), max(self.trajectories)
        if len(set(counts)) < len(counts):
            yield "trajectories", f"expected numbers without repetition, got {counts}"
        if uneven := [count for count in counts if count > BLOCK and count % BLOCK]:
            yield "trajectories", f"expected numbers beyond {BLOCK} to be multiples of it, got {uneven[0]}"
        if largest > 1 and largest // 2 not in counts:
            yield (
                "trajectories",
                f"expected half of the largest number ({largest // 2} of {largest}) among them, got {counts}; whether "
                "the estimate has settled is seen by the last doubling",
            )


@dataclass(frozen=True, kw_only=True)
class Language(Block):
    """Evaluation of flows of language."""

    draws: int = entry(SIZE, 1)  # of the noise, for each test sequence


@dataclass(frozen=True, kw_only=True)
class Pairs(Block):
    """Evaluation of models of pairs: hypotheses of the search, and importance samples of a latent model."""

    beam: int = entry(SIZE, 10)
    samples: int = entry(SIZE, 10)


@dataclass(frozen=True, kw_only=True)
class Translation(Block):
    """Evaluation of translation: hypotheses of the search."""

    beam: int = entry(SIZE, 4)


@dataclass(frozen=True, kw_only=True)
class Spans(Block):
    """Evaluation of readers: questions answered at once."""

    batch: int = entry(SIZE, 32)


@dataclass(frozen=True, kw_only=True)
class Choices(Block):
    """Evaluation of models that choose an answer, without settings."""


EVALUATIONS: dict[str, type[Block]] = {
    **dict.fromkeys(("text", "music", "vectors"), Sequences), "words": Words, "language": Language, "pairs": Pairs,
    "translation": Translation, "spans": Spans, "choices": Choices,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Speed(Block):
    """Generation times: lengths and repeats."""

    lengths: tuple[int, ...] = entry(SIZES)
    repeats: int = entry(whole(2))


@dataclass(frozen=True, kw_only=True)
class Samples(Block):
    """Texts from noise."""

    count: int = entry(COUNT, 8)
    beam: int = entry(SIZE, 5)
    measured: int = entry(COUNT, 32)  # texts that the statistics are computed on


@dataclass(frozen=True, kw_only=True)
class Interpolation(Block):
    """Interpolations between two test sequences or two given sentences."""

    pairs: int = entry(COUNT, 3)
    sentences: tuple[Any, ...] = entry(several(PAIR, "pairs of texts that differ, [[a, b], ...]", 0, differ=True), ())
    ratios: tuple[float, ...] = entry(several(RATIO, "numbers from 0 to 1 that differ", differ=True), (0.6, 0.5, 0.4))
    beam: int = entry(SIZE, 5)
    measured: int = entry(COUNT, 32)


@dataclass(frozen=True, kw_only=True)
class Regeneration(Block):
    """Regenerations of test sequences, or of given sentences, from perturbed noise."""

    contexts: Any = entry(either(COUNT, SENTENCES), 3)
    deviations: tuple[float, ...] = entry(DEVIATIONS, (0.1, 0.5, 0.707, 1.0))
    beam: int = entry(SIZE, 5)
    measured: int = entry(COUNT, 32)


TEXTS: dict[str, type[Block]] = {"samples": Samples, "interpolation": Interpolation, "regeneration": Regeneration}
