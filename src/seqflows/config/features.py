"""The blocks of features: which encoder, which of its layers, and the sizes of the one that the project writes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from seqflows.config.typed import TEXTS, Block, Rule, choice, entry, several, whole

TINY, NONE = "tiny", "none"
PACKAGE = "package:"
FOLDER = ("/", "./", "../", "~")  # the beginning of a folder's path; another text is a name of the hub
HEX = set("0123456789abcdef")
LAYERS = several(
    Rule("", lambda value: type(value) is int and value < 0),
    "a list of negative whole numbers that differ, -1 for the last layer",
    differ=True,
)
MODEL = Rule(
    f"{TINY}, {NONE}, {PACKAGE}<package>/<folder>, a folder as ./<path>, or a name of the hub",
    lambda value: isinstance(value, str) and bool(value.strip()) and _packaged(value),
)
COMMIT = Rule(
    "a commit of the hub, 40 hex digits",
    lambda value: isinstance(value, str) and len(value) == 40 and set(value) <= HEX,
)


def _packaged(value: str) -> bool:
    """Whether a text that begins as a package's also names a folder in it."""
    package, _, folder = value.removeprefix(PACKAGE).partition("/")
    return not value.startswith(PACKAGE) or (package.isidentifier() and bool(folder))


def unpinned(model: str, revision: str | None) -> Iterator[tuple[str, str]]:
    """Yield a name of the hub without a commit, and a commit of something else."""
    local = model.startswith((PACKAGE, *FOLDER))
    if not local and revision is None:
        yield (
            "revision",
            f"expected {COMMIT.expected}, with the name {model}, got none (a folder begins with ./)",
        )
    if local and revision is not None:
        yield "revision", f"expected none with a folder or a package, got {revision!r}"


@dataclass(frozen=True, kw_only=True)
class Encoder(Block):
    """A pretrained encoder; a word's feature is the sum of its ``layers``.

    ``model`` is a folder inside an installed package, a folder, or a name of the hub at the commit ``revision``;
    ``sha256`` may pin its files by name.
    """

    model: str = entry(MODEL)
    layers: tuple[int, ...] = entry(LAYERS)
    revision: str | None = entry(COMMIT, None)
    sha256: dict[str, str] | None = entry(TEXTS, None)

    def contradictions(self) -> Iterator[tuple[str, str]]:
        """Yield a name of the hub without a commit, and a commit of something else."""
        yield from unpinned(self.model, self.revision)


@dataclass(frozen=True, kw_only=True)
class Tiny(Block):
    """A BERT with random weights of a ``seed``: ``depth`` layers of ``width`` units, inputs of ``positions`` pieces."""

    model: str = entry(choice(TINY))
    layers: tuple[int, ...] = entry(LAYERS)
    width: int = entry(whole(2, even=True), 16)
    depth: int = entry(whole(1), 2)
    positions: int = entry(whole(8), 512)
    seed: int = entry(whole(0), 0)

    def contradictions(self) -> Iterator[tuple[str, str]]:
        """Yield a layer below the embeddings, which are layer -depth - 1."""
        if min(self.layers) < -self.depth - 1:
            yield "layers", f"expected layers from {-self.depth - 1} to -1, got {min(self.layers)}"


@dataclass(frozen=True, kw_only=True)
class Nothing(Block):
    """No features, at a scale whose models read the raw text instead."""

    model: str = entry(choice(NONE))


def encoder(value: Any) -> type[Block]:
    """The type of an encoder's block, by its ``model``."""
    model = value.get("model") if isinstance(value, Mapping) else None
    return {TINY: Tiny, NONE: Nothing}.get(model, Encoder) if isinstance(model, str) else Encoder
