"""Expansion of the entries of params.yaml by three rules.

1. In a dataset, its features, a run, speed, text, rewriting or comparison, entries outside ``demo``, ``laptop`` and
   ``paper`` hold at every scale; a scale's own block overrides them. One without a block for a scale, or with null for
   it, does not exist at that scale, but for texts and comparisons, which exist where their runs do.
2. ``base:`` names the entry to start from, of the same part or of ``bases``, or several, each overriding the
   previous. Mappings are merged key by key, everything else is replaced; ``reproduces``, ``dataset`` and the like are
   inherited too.
3. In a table with ``columns`` a row is a text that replaces ``{}`` in each column; a row may also be written out.
   ``columns`` may name another table, whose columns are used.
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
EVERYWHERE = ("texts", "comparisons")  # parts whose entries exist at each scale, whatever they say of it
FREE = {  # part -> keys of an entry for all scales; the others belong to each scale's block
    "datasets": ("kind",),
    "features": (),
    "runs": ("reproduces", "dataset", "from", "augmented"),
    "speeds": ("runs",),
    "texts": ("kind", "run", "dataset"),
    "comparisons": ("human",),
    "rewrites": ("dataset", "generator", "runs", "like", "words", "judge"),
}


def expand(content: Any) -> Any:
    """Apply the three rules to the content of params.yaml: a block per scale, a cell per column.

    A value that should be a mapping and is not stays as it is, for `checks` to report.

    Raises:
        Problem: unknown or circular base, or ``bases`` that is not a mapping.
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
    """The path in the file of the entry that has ``path`` after `expand`: in a base or for all scales."""
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
    """An entry with a block for each scale, and its ``free`` keys beside these."""
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
    said = {scale: block for scale, block in blocks.items() if block or part in EVERYWHERE}
    return own | (said or blocks)


def _chain(
    part: str, name: str, known: Mapping[str, Any], below: tuple[str, ...] = ()
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """An entry, then its bases from last to first, each followed by its own; with their names."""
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
    """Merge mappings key by key; other values are overridden."""
    if not isinstance(below, Mapping) or not isinstance(above, Mapping):
        return above
    return {**below, **{key: merged(below.get(key), value) for key, value in above.items()}}


def _with_columns(name: str, tables: Mapping[str, Any]) -> Any:
    """A table with ``columns`` resolved if it names another table."""
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
    """A table with its rows written out: column -> cell."""
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
