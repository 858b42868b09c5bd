"""The stage ``compare``: score what all systems of a table wrote, and draw pairs of it for raters."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from seqflows import files, kinds, params, paths, records
from seqflows.comparison import contexts, raters, readers, scores, systems, translations
from seqflows.comparison.records_of import record
from seqflows.comparison.systems import Question, System
from seqflows.config.comparisons import Comparison
from seqflows.data import prepared
from seqflows.errors import Problem
from seqflows.textscores import meteor, questions

EXCERPT = 20  # words of a context on either side of the answer that a table shows
CLOSE = 1e-6  # within which sacrebleu's number and ours agree


def run(key: paths.Key, found: params.Params | None = None) -> None:
    """Write runs/<scale>/compare/<table>: comparison.json, and for each sheet for raters its files.

    A metric that cannot be measured is missing there, with the reason. What runs that were evaluated elsewhere wrote is
    read from where `keep` puts it; those without it, and those that were not evaluated, are left out.

    Raises:
        Problem: no evaluated run, runs of several datasets, or texts that are not those of the present questions.
    """
    matrix = found or params.load()
    block = matrix.comparison(key.scale, key.name)
    settings = Comparison.of(block["settings"], f"comparisons.{key.name}")
    here = [name for name in block["runs"] if records.wrote(key.scale, name, kinds.of(matrix.kind(name)).compared)]
    if not here:
        stage = f"python -m seqflows evaluate {key.scale}/{block['runs'][0]}"
        raise Problem(f"expected evaluated runs of {key.name}, found none; run: {stage}, and that of the others")
    data = list(dict.fromkeys(matrix.runs[name]["dataset"] for name in here))
    absent = [name for name in block["runs"] if name not in here]
    if matrix.datasets[data[0]]["kind"] == "translation":
        content = translations.compared(key, matrix, here, settings, lambda purpose: stream(key, purpose))
        _write(key, content | {"absent": absent}, ("bleu",))
        return
    if len(data) > 1:
        raise Problem(f"expected runs of one dataset in {key.name}, got {', '.join(data)}; make a table of each")
    entries = contexts.names(matrix, key.scale, key.name, here)
    path = paths.prepared(key.scale, data[0])
    dataset = prepared.of(matrix, key.scale, data[0]) if entries else prepared.load(path)
    if dataset.kind in readers.READINGS:
        content = readers.compared(key, dataset, here, settings, stream(key, "bootstrap"))
        content |= contexts.told(matrix, key.scale, dataset, entries, stream(key, "contexts"))
        _write(key, content | {"absent": absent}, list(readers.READINGS[dataset.kind].scores))
        return
    asked = systems.questions(dataset)
    ids = [question.id for question in asked]
    read = functools.partial(systems.questions_of, ids=ids)
    written = [one for name in here for one in systems.systems(key.scale, name, dataset, read)]
    content = compared(key, written, asked, settings, systems.likeliest(dataset))
    content["absent"] = absent
    content["trained"] = {"dataset": dataset.name, "train": len(dataset.train), "valid": len(dataset.valid)}

    def sheets(folder: Path) -> list[dict[str, Any]]:
        return [
            raters.write(folder, key, sheet, written, asked, pair, settings.judged, stream(key, f"sheet {sheet}"))
            for sheet, pair in block["human"].items()
            if {*pair} <= {*here}
        ]

    _write(key, content, scores.HEADLINES, sheets)


def _write(
    key: paths.Key, content: dict[str, Any], headlines: Sequence[str],
    sheets: Callable[[Path], list[dict[str, Any]]] | None = None,
) -> None:  # fmt: skip
    """Put comparison.json, with what is said of the ``sheets`` that are written beside it, and print the headlines."""
    with files.replacing_folder(paths.comparison(key.scale, key.name)) as folder:
        human = {"human": sheets(folder)} if sheets else {}
        files.write_lines(folder / paths.compared(*key).name, files.sealed(content | human))
    _say(key, content, headlines)


def _say(key: paths.Key, content: Mapping[str, Any], headlines: Sequence[str]) -> None:
    for one in content["intervals"]:
        if one["metric"] in headlines:
            print(f"{key} {one['run']}: {one['metric']} {one['value']:.2f} ({one['low']:.2f} to {one['high']:.2f})")


def stream(key: paths.Key, purpose: str) -> int:
    """A separate seed for each purpose, by the table's name."""
    return int.from_bytes(hashlib.sha256(f"{key.name}/{purpose}".encode()).digest()[:6], "big")


def compared(
    key: paths.Key, written: Sequence[System], asked: Sequence[Question], settings: Comparison,
    best: System | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The content of comparison.json but for the raters' sheets; ``best`` is what can be reached, if known."""
    measures, missing = scores.measures([*written, *([best] if best else [])], asked)
    values = scores.drawn(measures, settings.draws, stream(key, "bootstrap"))
    reachable = {metric: found.pop((best.run, best.seed)).value for metric, found in values.items() if best}
    units = {measure.metric: measure.unit for measure in measures}
    rows = []
    for one in written:
        for metric, found in values.items():
            own = found[one.run, one.seed]
            rows.append(record(one, metric, own.value, float(own.draws.std(ddof=1)), units[metric], len(asked)))
        rows.append(record(one, "different", questions.different(one.texts), None, scores.SHARE, len(asked)))
    signature = _check_bleu(written, asked, values["bleu"])
    return {
        "scale": key.scale, "table": key.name, "sequences": len(asked), "draws": settings.draws,
        "metrics": rows, "missing": missing, "intervals": scores.intervals(values), "pairs": scores.pairs(values),
        "systems": [_facts(one) for one in written], "reference": _reference(asked), "reachable": reachable,
        "bleu": signature, "meteor": meteor.VERSION, "examples": examples(key, written, asked, settings.examples),
    }  # fmt: skip


def _facts(one: System) -> dict[str, Any]:
    """What may make a system's scores other than expected: texts without a word, and with what METEOR cannot read."""
    texts = [" ".join(words) for words in one.texts]
    barred = sum(meteor.BAR.search(text) is not None for text in texts)
    return {"run": one.run, "seed": one.seed, "empty": sum(not text for text in texts), "barred": barred}


def _check_bleu(written: Sequence[System], asked: Sequence[Question], values: dict[scores.Seed, scores.Draws]) -> str:
    """sacrebleu's signature, after comparing its numbers with ours."""
    try:
        import sacrebleu
    except ImportError:
        raise Problem("expected the package sacrebleu for BLEU, found none; install it") from None
    metric = sacrebleu.BLEU(tokenize="none", lowercase=True, smooth_method="none", force=True)
    references = [[" ".join(question.words) for question in asked]]
    for one in written:
        theirs = metric.corpus_score([" ".join(words) for words in one.texts], references).score
        ours = values[one.run, one.seed].value
        if abs(theirs - ours) > CLOSE:
            raise Problem(
                f"expected sacrebleu's BLEU of {one.run} seed {one.seed}, {theirs}, got {ours}; find the mistake"
            )
    return str(metric.get_signature())


def _reference(asked: Sequence[Question]) -> dict[str, float]:
    """The metrics without a reference, of the questions themselves."""
    words = [question.words for question in asked]
    found = {"words": float(np.mean([len(one) for one in words])), "different": questions.different(words)}
    if all(question.answer for question in asked):
        held = [questions.answered(question.words, question.marked[1]) for question in asked]
        found["answered"] = float(np.mean(held))
    return found


def examples(key: paths.Key, written: Sequence[System], asked: Sequence[Question], count: int) -> list[dict[str, Any]]:
    """Test questions drawn by the table's name, with what the first seed of each run wrote."""
    generator = np.random.Generator(np.random.PCG64(stream(key, "examples")))
    places = sorted(generator.permutation(len(asked))[:count].tolist())
    first: dict[str, System] = {}
    for one in written:
        first.setdefault(one.run, one)
    found = []
    for place in places:
        before, answer, after = asked[place].marked
        cut = ["..."] * (len(before) > EXCERPT), ["..."] * (len(after) > EXCERPT)
        parts = [*cut[0], *before[-EXCERPT:]], answer, [*after[:EXCERPT], *cut[1]]
        context = dict(zip(("before", "answer", "after"), map(" ".join, parts), strict=True))
        texts = {run: " ".join(one.texts[place]) for run, one in first.items()}
        found.append({"id": asked[place].id, **context, "reference": " ".join(asked[place].words), "texts": texts})
    return found
