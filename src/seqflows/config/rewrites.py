"""The blocks of rewritten contexts, by their generator."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from seqflows.config.features import COMMIT, FOLDER
from seqflows.config.typed import TEXT, Block, Rule, choice, either, entry, number, whole

TUNED = "tuned"
PRINTED = 0.5  # variance of z_0 in use (Tang et al. 2021, appendix A.8)
GRID = tuple(round(0.1 * step, 1) for step in range(10, 0, -1))  # variances that the paper tunes over, appendix A.8
BELOW = (0.05, 0.02, 0.01, 5.0e-3, 2.0e-3, 1.0e-3, 5.0e-4, 2.0e-4, 1.0e-4, 1.0e-5, 1.0e-6)  # variances tried if need be
NOISE = either(choice(TUNED), number(least=0))


@dataclass(frozen=True, kw_only=True)
class Rewriting(Block):
    """Candidates of a line: ``count``, of a ``share`` of the lines that may be replaced, drawn by ``seed``.

    ``measured`` is the number of validation lines on which a generator is tuned and measured.
    """

    count: int = entry(whole(1), 10)
    share: float = entry(number(above=0, most=1), 1.0)
    seed: int = entry(whole(0), 0)
    measured: int = entry(whole(1), 200)


@dataclass(frozen=True, kw_only=True)
class Flow(Rewriting):
    """A flow's: ``noise``, the variance of z_0, or tuned; ``beam`` hypotheses of the search."""

    noise: Any = entry(NOISE, TUNED)
    beam: int = entry(whole(1), 5)


@dataclass(frozen=True, kw_only=True)
class Translation(Rewriting):
    """Back-translation: there by sampling at a ``temperature``, and back by a search of ``beam`` hypotheses."""

    temperature: float = entry(number(above=0), 1.0)
    beam: int = entry(whole(1), 5)


@dataclass(frozen=True, kw_only=True)
class Paraphrase(Rewriting):
    """The best of ``beam`` hypotheses of the run, or of ``model``, a sequence-to-sequence model of transformers.

    ``model`` is a folder as ./<path>, or a name of the hub at the commit ``revision``; its input is ``prefix`` and the
    text.
    """

    beam: int = entry(whole(1), 10)
    model: str | None = entry(TEXT, None)
    revision: str | None = entry(COMMIT, None)
    prefix: str = entry(Rule("text", lambda value: isinstance(value, str)), "")
    longest: int = entry(whole(2), 64)  # pieces of a text of ``model``

    def contradictions(self) -> Iterator[tuple[str, str]]:
        """Yield a name of the hub without a commit, and a commit of something else."""
        hub = self.model is not None and not self.model.startswith(FOLDER)
        if hub and self.revision is None:
            yield (
                "revision",
                f"expected {COMMIT.expected}, with the name {self.model}, got none (a folder begins with ./)",
            )
        if not hub and self.revision is not None:
            yield "revision", f"expected none without a name of the hub, got {self.revision!r}"


@dataclass(frozen=True, kw_only=True)
class Neighbours(Rewriting):
    """Near words: a share ``rate`` of a text's tokens replaced by words whose ``cosine`` is at least that."""

    cosine: float = entry(number(above=0, below=1), 0.7)
    rate: float = entry(number(above=0, most=1), 0.2)


class Needs(NamedTuple):
    """The block of a generator, the number of its runs, and which other entries it is ``like`` or has ``words`` of."""

    block: type[Rewriting]
    runs: int = 0
    like: bool = False
    words: bool = False


GENERATORS: dict[str, Needs] = {
    "flow": Needs(Flow, 1),
    "flow_decoder": Needs(Flow, 1),
    "translation": Needs(Translation, 2),
    "paraphrase": Needs(Paraphrase, 1),
    "neighbours": Needs(Neighbours, words=True),
    "random_words": Needs(Rewriting, like=True),
    "same": Needs(Rewriting),
}
