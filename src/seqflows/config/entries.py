"""The entries of params.yaml as they are written, and what they mean: three rules.

1. What stands outside ``demo``, ``laptop`` and ``paper`` in a dataset, run, speed or text holds at every scale; a
   scale's own block goes on top of it. A dataset, run or speed that says nothing of a scale is not there at that scale.
2. ``base:`` names the entry to start from, of the same part or of ``bases``, or several, each on top of the one
   before. Mappings are merged key by key, everything else is replaced; ``reproduces``, ``dataset`` and the like are
   inherited too.
3. In a table with ``columns`` a row is a text that each column's ``{}`` is filled with; a row may also be written out.
   ``columns`` may name the table whose columns these are.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from seqflows.errors import Problem
from seqflows.names import near
from seqflows.paths import SCALES

BASES = "bases"
BASES_IN_ALL = 100  # of one entry, with the bases of its bases
FREE = {  # part -> what is an entry's own at all scales; the rest belongs to each scale's block
    "datasets": ("kind",),
    "runs": ("reproduces", "dataset"),
    "speeds": ("runs",),
    "texts": ("kind", "run", "dataset"),
}


def expand(content: Any) -> Any:
    """The content of params.yaml with its three rules applied: a block for each scale, a cell for each column.

    What is no mapping where one is expected is left as it is, for `checks` to name.

    Raises:
        Problem: a base that is no entry or leads back to itself, ``bases`` that are no mapping.
    """
    if not isinstance(content, Mapping):
        return content
    found = {part: value for part, value in content.items() if part != BASES}
    bases = content.get(BASES) or {}
    if not isinstance(bases, Mapping):
        raise Problem(f"{BASES}: expected a mapping of entries to start from, got {bases!r}")
    for part, free in FREE.items():
        entries = content.get(part)
        if isinstance(entries, Mapping):
            known = {**bases, **entries}
            found[part] = {name: _entry(part, name, known, free) for name in entries}
    if isinstance(content.get("tables"), Mapping):
        found["tables"] = {name: _filled(_with_columns(name, content["tables"])) for name in content["tables"]}
    return found


def place(content: Mapping[str, Any], path: str) -> str:
    """Where what stands at ``path`` after `expand` is written: in a base, or for all scales, and so once."""
    part, _, rest = path.partition(".")
    name, *keys = rest.split(".")
    entries = content.get(part)
    if part not in FREE or not keys or not isinstance(entries, Mapping) or name not in entries:
        return path
    scale = keys.pop(0) if keys[0] in SCALES else ""
    for owner, entry in _chain(part, name, {**(content.get(BASES) or {}), **entries}):
        for above in ((scale, *keys), tuple(keys)) if scale else (tuple(keys),):
            if above and _has(entry, above):
                return ".".join((part if owner in entries else BASES, owner, *above))
    return path


def _has(entry: Any, keys: tuple[str, ...]) -> bool:
    for key in keys:
        if not isinstance(entry, Mapping) or key not in entry:
            return False
        entry = entry[key]
    return True


def _entry(part: str, name: str, known: Mapping[str, Any], free: tuple[str, ...]) -> Any:
    """An entry with a block for each scale; its ``free`` keys stand beside these."""
    if not isinstance(known[name], Mapping):
        return known[name]
    chain = [entry for _, entry in itertools.islice(_chain(part, name, known), BASES_IN_ALL + 1)]
    if len(chain) > BASES_IN_ALL:
        raise Problem(f"{part}.{name}.base: expected at most {BASES_IN_ALL} bases of bases, got more; name fewer")
    own: dict[str, Any] = {}
    blocks: dict[str, Any] = {scale: {} for scale in SCALES}
    for entry in reversed(chain):
        own |= {key: entry[key] for key in free if key in entry}
        shared = {key: value for key, value in entry.items() if key not in (*free, *SCALES, "base")}
        for scale in SCALES:
            blocks[scale] = merged(merged(blocks[scale], shared), entry.get(scale, {}))
    said = {scale: block for scale, block in blocks.items() if block or part == "texts"}
    return own | (said or blocks)


def _chain(
    part: str, name: str, known: Mapping[str, Any], below: tuple[str, ...] = ()
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """An entry, then its bases from the last to the first, each with those of its own; with their names."""
    entry, trail = known[name], (*below, name)
    if not isinstance(entry, Mapping):
        return
    yield name, entry
    bases = entry.get("base", [])
    for base in reversed(bases if isinstance(bases, list) else [bases]):
        path = f"{part}.{name}.base"
        if base in trail:
            circle = " -> ".join((*trail, base))
            raise Problem(f"{path}: expected a base that does not lead back to itself, got {circle}")
        if not isinstance(base, str) or not isinstance(known.get(base), Mapping):
            wanted = f"the name of an entry of {part} or {BASES}"
            raise Problem(f"{path}: expected {wanted}, got {base!r}{near(base, known)}")
        yield from _chain(part, base, known, trail)


def merged(below: Any, above: Any) -> Any:
    """Mappings key by key, everything else replaced by what is above."""
    if not isinstance(below, Mapping) or not isinstance(above, Mapping):
        return above
    return {**below, **{key: merged(below.get(key), value) for key, value in above.items()}}


def _with_columns(name: str, tables: Mapping[str, Any]) -> Any:
    """A table, with the columns of the one that it names."""
    table = tables[name]
    other = table.get("columns") if isinstance(table, Mapping) else None
    if not isinstance(other, str):
        return table
    columns = tables[other].get("columns") if isinstance(tables.get(other), Mapping) else None
    if not isinstance(columns, Mapping):
        wanted = "columns, or the name of a table that has some"
        raise Problem(f"tables.{name}.columns: expected {wanted}, got {other!r}{near(other, tables)}")
    return {**table, "columns": columns}


def _filled(table: Any) -> Any:
    """A table whose rows are written out: column -> cell."""
    if not isinstance(table, Mapping) or not all(isinstance(table.get(key), Mapping) for key in ("columns", "rows")):
        return table
    rest = {key: value for key, value in table.items() if key != "columns"}
    rows = {name: dict(_cells(table["columns"], row)) for name, row in table["rows"].items()}
    return rest | {"rows": rows}


def _cells(columns: Mapping[str, Any], row: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(row, Mapping):
        yield from row.items()
    else:
        for column, cell in columns.items():
            yield column, str(cell).replace("{}", str(row))
