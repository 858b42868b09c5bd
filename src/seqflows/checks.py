"""What is wrong with the content of a params.yaml, one line an error.

Names, references and the presence of every block are checked with the standard library;
keys within blocks, types and sizes by `schema` where pydantic is importable.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from seqflows import metrics
from seqflows.names import near
from seqflows.paths import NAME, RESERVED, SCALES

PART = {
    "datasets": "dataset", "runs": "run", "speeds": "speed", "texts": "text", "tables": "table", "figures": "figure",
}  # fmt: skip
TOP = ("scale", "scales", *PART)
RUN = ("reproduces", "dataset")
TEXT = ("kind", "run", "dataset")
RUN_BLOCK = ("seeds", "model", "training", "evaluation")
CLASSES = {
    "text": ("latent_sequence", "recurrent_baseline"),
    "music": ("latent_sequence", "recurrent_baseline"),
    "vectors": ("flow_density",),
    "words": ("state_space", "gru_baseline"),
    "language": ("language_flow", "recurrent_density"),
}


def errors(content: Any) -> Iterator[str]:
    """One line an error: where it stands, what was expected, what was found, the nearest valid name."""
    if not isinstance(content, Mapping):
        yield f"expected a mapping with keys {', '.join(TOP)}, got {type(content).__name__}"
        return
    yield from _keys("", content, TOP)
    if content.get("scale") not in SCALES:
        yield from _one_of("scale", content.get("scale"), SCALES)
    parts = {}
    for part in ("scales", *PART):
        parts[part] = content.get(part, {})
        if not isinstance(parts[part], Mapping):
            yield f"{part}: expected a mapping, got {parts[part]!r}"
            return
    yield from _check_scales(parts["scales"])
    for part, one in PART.items():
        for name, entry in parts[part].items():
            path = f"{part}.{name}"
            if not isinstance(name, str) or not NAME.match(name):
                yield f"{path}: expected a {one}'s name of lower-case letters, digits, '-' and '_', got {name!r}"
            elif not isinstance(entry, Mapping):
                yield f"{path}: expected a mapping, got {entry!r}"
            else:
                yield from CHECKS[part](path, entry, parts)


def _check_scales(scales: Mapping[str, Any]) -> Iterator[str]:
    yield from _keys("scales", scales, SCALES)
    for scale, entry in scales.items():
        path = f"scales.{scale}"
        if scale in SCALES and (yield from _mapping(path, entry, ("compute", "tracking"))):
            if entry["tracking"] not in ("files", "live"):
                yield from _one_of(f"{path}.tracking", entry["tracking"], ("files", "live"))
            yield from _typed("block", f"{path}.compute", entry["compute"], "Compute")


def _dataset(path: str, entry: Mapping[str, Any], parts: Mapping[str, Any]) -> Iterator[str]:
    yield from _keys(path, entry, ("kind", *SCALES))
    if entry.get("kind") not in tuple(CLASSES):
        yield from _one_of(f"{path}.kind", entry.get("kind"), CLASSES)
        return
    for scale in SCALES:
        if scale in entry:
            yield from _typed("choice", f"{path}.{scale}", entry[scale], "DATASETS", "source", entry["kind"])


def _run(path: str, entry: Mapping[str, Any], parts: Mapping[str, Any]) -> Iterator[str]:
    yield from _keys(path, entry, (*RUN, *SCALES))
    if path.partition(".")[2] in RESERVED:
        yield f"{path}: expected another name than {', '.join(RESERVED)}, which are folders beside those of the runs"
    yield from _reference(f"{path}.dataset", entry.get("dataset"), "dataset", parts["datasets"])
    yield from _text(path, entry, ("reproduces",))
    for scale in SCALES:
        at = f"{path}.{scale}"
        if scale in entry and (yield from _mapping(at, entry[scale], RUN_BLOCK)):
            block = entry[scale]
            yield from _typed("block", at, {"seeds": block["seeds"]}, "Seeds")
            yield from _typed("choice", f"{at}.model", block["model"], "MODELS", "class")
            yield from _typed("block", f"{at}.training", block["training"], "Training")
            kind = _kind(entry.get("dataset"), parts["datasets"])
            scored = {"words": "WordEvaluation", "language": "LanguageEvaluation"}.get(kind, "Evaluation")
            yield from _typed("block", f"{at}.evaluation", block["evaluation"], scored)
            yield from _suited(at, block, kind)
            if kind == "language":
                yield from _sizes(f"{at}.model", block["model"], parts["datasets"][entry["dataset"]].get(scale))
            yield from _seeds(f"{at}.seeds", block["seeds"])
            yield from _samples(f"{at}.evaluation", block["evaluation"])


def _kind(dataset: Any, datasets: Mapping[str, Any]) -> str | None:
    """The kind of a run's dataset, where that is known."""
    entry = datasets.get(dataset) if isinstance(dataset, str) else None
    kind = entry.get("kind") if isinstance(entry, Mapping) else None
    return kind if isinstance(kind, str) and kind in CLASSES else None


def _suited(path: str, block: Mapping[str, Any], kind: str | None) -> Iterator[str]:
    """A model for the kind of data, and words drawn by frequency for those that are counted."""
    model, training = block["model"], block["training"]
    if kind is None or not isinstance(model, Mapping) or not isinstance(training, Mapping):
        return
    name = model.get("class")
    if isinstance(name, str) and name not in CLASSES[kind] and any(name in known for known in CLASSES.values()):
        yield from _one_of(f"{path}.model.class", name, CLASSES[kind])
    if kind == "words" and training.get("drawn") is None:
        yield f"{path}.training.drawn: expected the number of words of an epoch, got none"
    if kind != "words" and training.get("drawn") is not None:
        yield f"{path}.training.drawn: expected none for {kind}, which is not counted, got {training['drawn']!r}"


def _sizes(path: str, model: Any, data: Any) -> Iterator[str]:
    """Sizes of a language flow that its data's do not allow, by `schema`, where there is one."""
    schema = _schema()
    if schema and isinstance(data, Mapping) and isinstance(model, Mapping) and model.get("class") == "language_flow":
        yield from schema.sizes(path, model, data.get("length"), data.get("dimensions"))


def _seeds(path: str, seeds: Any) -> Iterator[str]:
    if isinstance(seeds, list) and len({str(seed) for seed in seeds}) < len(seeds):
        yield f"{path}: expected seeds that differ, got {seeds!r}"


def _samples(path: str, block: Any) -> Iterator[str]:
    at = block.get("at") if isinstance(block, Mapping) else None
    if not isinstance(at, list) or not all(isinstance(count, int) for count in at):
        return
    headline, most = block.get("headline"), block.get("samples")
    if headline not in at:
        yield f"{path}.headline: expected one of evaluation.at, {at}, got {headline!r}"
    if isinstance(most, int) and max(at, default=0) > most:
        yield f"{path}.at: expected counts of at most evaluation.samples, {most}, got {at}"


def _speed(path: str, entry: Mapping[str, Any], parts: Mapping[str, Any]) -> Iterator[str]:
    yield from _keys(path, entry, ("runs", *SCALES))
    yield from _references(f"{path}.runs", entry.get("runs"), "run", parts["runs"])
    for scale in SCALES:
        if scale in entry:
            yield from _typed("block", f"{path}.{scale}", entry[scale], "Speed")


def _several(value: Any, valid: Callable[[Any], bool]) -> bool:
    """Whether it is a list of one or more valid values, each once."""
    differ = isinstance(value, list) and len({str(one) for one in value}) == len(value) > 0
    return differ and all(map(valid, value))


def _whole(value: Any, least: int) -> bool:
    return type(value) is int and value >= least


def _number(value: Any, most: float) -> bool:
    return type(value) in (int, float) and 0 <= value <= most and value < math.inf


def _written(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_written, value))


# Kind of text -> its settings: what they have to be, and the test of it.
Rule = tuple[str, Callable[[Any], bool]]
COUNTED: Rule = ("a whole number of at least 0", lambda value: _whole(value, 0))
BEAM: Rule = ("a whole number of at least 1", lambda value: _whole(value, 1))
TEXTS: dict[str, dict[str, Rule]] = {
    "samples": {"count": COUNTED, "beam": BEAM, "measured": COUNTED},
    "interpolation": {
        "pairs": COUNTED,
        "sentences": ("pairs of texts that differ, [[a, b], ...]", lambda value: _several(value, _pair)),
        "ratios": ("numbers from 0 to 1 that differ", lambda value: _several(value, lambda one: _number(one, 1))),
        "beam": BEAM,
        "measured": COUNTED,
    },
    "regeneration": {
        "contexts": (
            "a whole number of at least 0, or a list of texts that differ",
            lambda value: _whole(value, 0) or _several(value, _written),
        ),
        "deviations": (
            "numbers of at least 0 that differ",
            lambda value: _several(value, lambda one: _number(one, math.inf)),
        ),
        "beam": BEAM,
        "measured": COUNTED,
    },
}


def _generated(path: str, entry: Mapping[str, Any], parts: Mapping[str, Any]) -> Iterator[str]:
    """A text: its kind, whose it is, and at each scale its settings, the same tests on every machine."""
    yield from _keys(path, entry, (*TEXT, *SCALES))
    yield from _reference(f"{path}.run", entry.get("run"), "run", parts["runs"])
    run = parts["runs"].get(entry["run"]) if isinstance(entry.get("run"), str) else None
    if isinstance(run, Mapping) and isinstance(run.get("dataset"), str):
        if entry.get("dataset") != run["dataset"]:
            yield f"{path}.dataset: expected {run['dataset']}, as {entry['run']} has, got {entry.get('dataset')!r}"
        if (kind := _kind(run["dataset"], parts["datasets"])) not in (None, "language"):
            yield f"{path}.run: expected a run on language, got {entry['run']!r} on {kind}"
    kind = entry.get("kind")
    if not isinstance(kind, str) or kind not in TEXTS:
        yield from _one_of(f"{path}.kind", kind, TEXTS)
        return
    for scale in SCALES:
        at, block = f"{path}.{scale}", entry.get(scale, {})
        if not isinstance(block, Mapping):
            yield f"{at}: expected a mapping with keys {', '.join(TEXTS[kind])}, got {block!r}"
            continue
        yield from _keys(at, block, TEXTS[kind], required=())
        for name, (expected, valid) in TEXTS[kind].items():
            if name in block and not valid(block[name]):
                yield f"{at}.{name}: expected {expected}, got {block[name]!r}"
        if "pairs" in block and "sentences" in block:
            yield f"{at}: expected pairs of test sequences or sentences, got both"


def _table(path: str, entry: Mapping[str, Any], parts: Mapping[str, Any]) -> Iterator[str]:
    if "texts" in entry:  # a table of what models wrote
        yield from _keys(path, entry, ("reproduces", "title", "texts"))
        yield from _text(path, entry, ("reproduces", "title"))
        yield from _references(f"{path}.texts", entry["texts"], PART["texts"], parts["texts"])
        names = [name for name in entry["texts"] if isinstance(name, str)] if isinstance(entry["texts"], list) else []
        shown = [one.get("kind") for name in names if isinstance(one := parts["texts"].get(name), Mapping)]
        kinds = [kind for kind in shown if isinstance(kind, str) and kind in TEXTS]
        if len(set(kinds)) > 1:
            yield f"{path}.texts: expected texts of one kind, got {', '.join(kinds)}"
        return
    yield from _keys(path, entry, ("reproduces", "title", "rows"))
    yield from _text(path, entry, ("reproduces", "title"))
    rows = entry.get("rows", {})
    if not isinstance(rows, Mapping) or not all(isinstance(row, Mapping) for row in rows.values()):
        yield f"{path}.rows: expected cells <run>.<metric> by row and column, got {rows!r}"
        return
    for row, cells in rows.items():
        for column, cell in cells.items():
            at = f"{path}.rows.{row}.{column}"
            run, dot, metric = cell.partition(".") if isinstance(cell, str) else ("", "", "")
            if not dot:
                yield f"{at}: expected <run>.<metric>, got {cell!r}"
                continue
            yield from _reference(at, run, "run", parts["runs"])
            if metrics.find(metric) is None:
                yield from _one_of(at, metric, metrics.names())


def _figure(path: str, entry: Mapping[str, Any], parts: Mapping[str, Any]) -> Iterator[str]:
    of = "speeds" if entry.get("kind") == "speed" else "runs"
    yield from _keys(path, entry, ("reproduces", "title", "kind", of))
    yield from _text(path, entry, ("reproduces", "title"))
    yield from _typed("block", path, {key: entry[key] for key in entry if key not in ("runs", "speeds")}, "Figure")
    yield from _references(f"{path}.{of}", entry.get(of), PART[of], parts[of])


CHECKS = {
    "datasets": _dataset, "runs": _run, "speeds": _speed, "texts": _generated, "tables": _table, "figures": _figure,
}  # fmt: skip


def _keys(path: str, entry: Mapping[str, Any], known: Iterable[str], required: Iterable[str] | None = None):
    known = list(known)
    for key in entry:
        if key not in known:
            at = f"{path}.{key}" if path else str(key)
            yield f"{at}: expected one of the keys {', '.join(known)}, got {key!r}{near(key, known)}"
    for key in known if required is None else required:
        if key not in entry:
            yield f"{path}.{key}: expected a value, got none".removeprefix(".")


def _mapping(path: str, entry: Any, keys: tuple[str, ...]) -> Iterator[str]:
    """Check the keys; return (by ``yield from``) whether all of them are there to look at."""
    if not isinstance(entry, Mapping):
        yield f"{path}: expected a mapping with keys {', '.join(keys)}, got {entry!r}"
        return False
    yield from _keys(path, entry, keys)
    return all(key in entry for key in keys)


def _text(path: str, entry: Mapping[str, Any], keys: Iterable[str]) -> Iterator[str]:
    for key in keys:
        if key in entry and not (isinstance(entry[key], str) and entry[key]):
            yield f"{path}.{key}: expected text, got {entry[key]!r}"


def _references(path: str, names: Any, what: str, known: Mapping[str, Any]) -> Iterator[str]:
    if not isinstance(names, list) or not names:
        yield f"{path}: expected a list of {what}s, got {names!r}"
        return
    for name in names:
        yield from _reference(path, name, what, known)


def _reference(path: str, name: Any, what: str, known: Mapping[str, Any]) -> Iterator[str]:
    if not isinstance(name, str) or name not in known:
        yield f"{path}: expected the name of a {what}, got {name!r}{near(name, known)}"


def _one_of(path: str, got: Any, known: Iterable[str]) -> Iterator[str]:
    known = list(known)
    yield f"{path}: expected one of {', '.join(known)}, got {got!r}{near(got, known)}"


@functools.cache
def _schema() -> Any:
    """The pydantic models, or None on a machine without pydantic."""
    try:
        from seqflows import schema
    except ImportError:
        return None
    return schema


def _typed(check: str, path: str, value: Any, models: str, key: str = "", kind: str = "") -> Iterator[str]:
    """Keys and types of a block by `schema`, where there is one."""
    schema = _schema()
    if schema is None:
        return
    known = getattr(schema, models)
    known = known[kind] if kind else known
    yield from schema.block(path, value, known) if check == "block" else schema.choice(path, value, key, known)
