"""A user's own files: their entries in a dataset's block, where they are found, and the checksums of their first use.

A path is relative to the project, the working directory, or to ``$SEQFLOWS_MIRROR``, and leads out of neither. The
sha256 of a file is recorded in own-data.json once data were made of it, and compared whenever it is read again; a
``sha256`` in the block wins.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from seqflows import files, paths
from seqflows.config.typed import Rule, either
from seqflows.errors import Problem
from seqflows.kinds import SPLITS

RECORD = Path("own-data.json")
WHOLE = "all"  # the name of a file that is to be divided
MIDI = ".zip"  # of MIDI files, a piece each
ENDS = {  # source -> the ends of its files' names; "" is any other
    "own-text": (".txt", ""),
    "own-music": (".npz", ".json", MIDI),
    "own-words": (".tsv.gz", ".tsv", ".csv"),
    "own-language": (".txt", ""),
}
COUNTS = "wordfreq/counts.tsv.gz"  # the path of words without one
VECTORS = (".txt", ".zip")  # the ends of a file of word vectors
WITHIN = "relative to the project or to SEQFLOWS_MIRROR, without leading out of it"


def _within(value: Any) -> bool:
    if not isinstance(value, str) or not value.strip() or "\\" in value or value.startswith("~"):
        return False
    path = PurePosixPath(value)
    return not path.is_absolute() and ".." not in path.parts and path.name != ""


def _digest(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 64 and set(value.lower()) <= set("0123456789abcdef")


PATH = Rule(f"a path {WITHIN}", _within)
PATHS = either(
    PATH,
    Rule(
        f"such paths by {', '.join(SPLITS)}",
        lambda value: isinstance(value, dict) and set(value) == set(SPLITS) and all(map(_within, value.values())),
    ),
)
DIGEST = Rule("the file's sha256, 64 hex digits", _digest)
SHA256 = either(
    DIGEST,
    Rule(
        "those of several files by path",
        lambda value: isinstance(value, dict) and all(map(_within, value)) and all(map(_digest, value.values())),
    ),
)


def listed(block: Mapping[str, Any]) -> dict[str, str]:
    """The path of each own file of a dataset's block, as written there, by its name in the raw folder.

    The names begin with train, valid and test, or `WHOLE`; with counts for words, glove for word vectors. Other sources
    have none. A name of another end than the source's is a `Problem`.
    """
    if block.get("source") not in ENDS:
        return {}
    path, ends = block.get("path", COUNTS), ENDS[block["source"]]
    several = path if isinstance(path, Mapping) else {"counts" if block["source"] == "own-words" else WHOLE: path}
    found = {_named(name, several[name], ends): several[name] for name in several}
    if (vectors := block.get("vectors")) is not None and vectors.endswith(VECTORS):
        found[_named("glove", vectors, VECTORS)] = vectors
    return found


def _named(name: str, path: str, ends: tuple[str, ...]) -> str:
    end = next((end for end in ends if path.endswith(end)), None)
    if end is None:
        raise Problem(f"expected a path that ends with {' or '.join(ends)}, got {path!r}; convert the file")
    return name + (end or ".txt")


def located(path: str) -> Path:
    """The file at a block's path, in the project or else in the mirror.

    Raises:
        Problem: no file there, or a link that leads out of both.
    """
    mirror = os.environ.get("SEQFLOWS_MIRROR")
    roots = [Path(), *([Path(mirror)] if mirror else [])]
    if not _within(path):
        raise Problem(f"expected a path {WITHIN}, got {path!r}; copy the file there and correct params.yaml")
    for root in roots:
        found = root / path
        if found.exists():
            if not any(found.resolve().is_relative_to(root.resolve()) for root in roots):
                raise Problem(
                    f"expected a path {WITHIN}, got {path}, a link to {found.resolve()}; copy the file itself"
                )
            if not found.is_file():
                raise Problem(f"expected a file at {found}, got a folder; write the path of a file in params.yaml")
            return found
    where = f"the mirror {mirror}" if mirror else "a mirror (SEQFLOWS_MIRROR is not set)"
    raise Problem(
        f"expected the file {path} in the project {Path().resolve()} or in {where}, found none; put it there, or "
        "correct its path in params.yaml"
    )


def recorded() -> dict[str, str]:
    """The sha256 of each own file that was used, by path."""
    if not RECORD.exists():
        return {}
    known = files.read_json(RECORD)
    if not isinstance(known, dict) or not all(map(_digest, known.values())):
        raise Problem(f"expected the sha256 of files by path in {RECORD}, got other content; restore or delete it")
    return known


def record(found: Mapping[str, str]) -> None:
    """Note the sha256 of files by path, beside those that are known."""
    with files.lock(paths.lock("own-data")):
        known = recorded()
        if known | found != known:
            files.write_json(RECORD, dict(sorted((known | found).items())))


def verify(block: Mapping[str, Any], path: str, found: str) -> None:
    """Compare the sha256 of an own file with that of its block, or else with that of its first use.

    Raises:
        Problem: they differ.
    """
    given = block.get("sha256")
    stated = given.get(path) if isinstance(given, Mapping) else given
    expected = stated.lower() if stated else recorded().get(path)
    if expected in (None, found):
        return
    new = f"{{{path}: {found}}}" if isinstance(given, Mapping) or len(listed(block)) > 1 else found
    by = "params.yaml states" if stated else f"{RECORD} has since its first use"
    raise Problem(
        f"expected {path} with sha256 {expected}, as {by}, got {found}: the file has changed; restore it or, if the "
        f"change is meant, write sha256: {new} beside its path in params.yaml"
    )


def compare(block: Mapping[str, Any]) -> None:
    """Verify those own files of a block that are here."""
    for path in listed(block).values():
        if _present(path):
            verify(block, path, files.sha256(located(path)))


def stated(block: Mapping[str, Any]) -> dict[str, Any]:
    """A block with the sha256 of its own files, by which a change of them is noticed; of those not here as recorded."""
    own = listed(block).values()
    if not own:
        return dict(block)
    known = recorded()
    return {
        **block,
        "files": {path: files.sha256(located(path)) if _present(path) else known.get(path) for path in own},
    }


def _present(path: str) -> bool:
    with contextlib.suppress(Problem):
        return located(path).is_file()
    return False


def contradictions(block: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield a path of an unknown format, a path twice, and checksums of other files."""
    try:
        own = listed(block)
    except Problem as problem:
        yield "path", str(problem)
        return
    if len(set(own.values())) < len(own):
        yield "path", f"expected files that differ, got {', '.join(own.values())}"
    given = block.get("sha256")
    if isinstance(given, Mapping) and (strange := set(given) - set(own.values())):
        yield "sha256", f"expected those of {', '.join(own.values())}, got one of {', '.join(sorted(strange))}"
    if isinstance(given, str) and len(own) > 1:
        yield "sha256", f"expected one for each of {', '.join(own.values())}, by path, got one"
