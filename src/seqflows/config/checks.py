"""Checks of the content of params.yaml: names, references and every typed block, one line per error."""

from __future__ import annotations

import math
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from seqflows import kinds, metrics
from seqflows.config.comparisons import Comparison
from seqflows.config.corpora import KINDS, SOURCES
from seqflows.config.evaluation import EVALUATIONS, TEXTS, Sequences, Speed
from seqflows.config.features import encoder
from seqflows.config.models import MODELS, Row, sizes
from seqflows.config.rewrites import GENERATORS
from seqflows.config.training import BOUNDS, Compute, Seeds, Training
from seqflows.config.typed import Block
from seqflows.names import near
from seqflows.paths import NAME, RESERVED, SCALES

PACKAGE = Path(__file__).resolve().parents[1]
UNITS = {kind.unit for kind in kinds.KINDS.values()}  # of the data's own score

PART = {
    "datasets": "dataset", "features": "dataset", "runs": "run", "speeds": "speed", "texts": "text", "tables": "table",
    "figures": "figure", "comparisons": "comparison", "rewrites": "rewriting", "crossfits": "crossfit",
}  # fmt: skip
TOP = ("scale", "scales", *PART)
OPTIONAL = ("rewrites", "crossfits")
RUN = ("reproduces", "dataset")
RUN_ALSO = ("from", "augmented")  # another run, whose model it has something of; rewritten contexts
TEXT = ("kind", "run", "dataset")
CROSSFIT = ("contexts", "judges")  # an entry of rewritten contexts, and the runs on the two halves of their questions
REWRITING = ("dataset", "generator", "runs", "like", "words", "judge")
RUN_BLOCK = ("seeds", "model", "training", "evaluation")
STEPS = ("epochs", "batch_size", "accumulate", "patience", "stop_rate")  # decide the number of steps
HALVES = (0, 1)
FIGURES = (
    "conditionals", "nlsq", "prior_grid", "speed", "curves", "gap_lengths", "entropies", "trajectories", "time",
    "gains",
)  # fmt: skip
OWN = "own"  # what runs, tables and figures reproduce that are of no paper
PAPERS = (*sorted(path.parent.name for path in PACKAGE.glob("report/papers/*/paper.yaml")), OWN)
ROLES = ("paper", "ours", "baseline")  # of the candidates of a task, of each of which a table of tasks shows the best


def errors(content: Any) -> Iterator[str]:
    """Find the errors, one line each: place, expected, found, nearest valid name."""
    if not isinstance(content, Mapping):
        yield f"expected a mapping with keys {', '.join(TOP)}, got {type(content).__name__}"
        return
    if lines := list(_unprintable("", content)):
        yield from lines
        return
    yield from _keys("", content, TOP, [key for key in TOP if key not in OPTIONAL])
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


def _unprintable(path: str, value: Any) -> Iterator[str]:
    """Text that would end a line, or looks like another: line ends, control and zero-width characters, other spaces."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _unprintable("", key)
            yield from _unprintable(f"{path}.{key}".removeprefix("."), inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _unprintable(path, inner)
    elif isinstance(value, str) and not value.isprintable():
        wrong = next(character for character in value if not character.isprintable())
        at = ascii(path or value)[1:-1]
        yield f"{at}: expected printable text on one line, got {value[:60]!a}, with U+{ord(wrong):04X}; take it out"


def _check_scales(scales: Mapping[str, Any]) -> Iterator[str]:
    yield from _keys("scales", scales, SCALES)
    for scale, entry in scales.items():
        path = f"scales.{scale}"
        if scale in SCALES and (yield from _mapping(path, entry, ("compute", "tracking"))):
            if entry["tracking"] not in ("files", "live"):
                yield from _one_of(f"{path}.tracking", entry["tracking"], ("files", "live"))
            yield from Compute.errors(f"{path}.compute", entry["compute"])


def _dataset(path: str, entry: Mapping[str, Any], parts: Mapping[str, Any]) -> Iterator[str]:
    yield from _keys(path, entry, ("kind", *SCALES), required=("kind",))
    kind = entry.get("kind")
    if kind not in tuple(kinds.KINDS):
        yield from _one_of(f"{path}.kind", kind, kinds.KINDS)
        return
    known = {source: block for source, block in SOURCES.items() if KINDS[source] == kind}
    for scale in SCALES:
        if scale in entry:
            yield from _choice(f"{path}.{scale}", entry[scale], "source", known)


def _features(path: str, entry: Mapping[str, Any], parts: Mapping[str, Any]) -> Iterator[str]:
    """Check the encoder of a dataset's contexts, at scales at which the dataset exists."""
    yield from _keys(path, entry, SCALES, required=())
    name, known = path.partition(".")[2], parts["datasets"]
    yield from _reference(path, name, "dataset", known)
    kind = _kind(name, known)
    if kind and not kinds.of(kind).conditional:
        yield f"{path}: expected a dataset with contexts, got one of kind {kind}"
    for scale in SCALES:
        if scale in entry:
            if kind and scale not in known[name]:
                yield f"{path}.{scale}: expected the dataset {name} at scale {scale}, got none"
            yield from encoder(entry[scale]).errors(f"{path}.{scale}", entry[scale])


def _run(path: str, entry: Mapping[str, Any], parts: Mapping[str, Any]) -> Iterator[str]:
    yield from _keys(path, entry, (*RUN, *RUN_ALSO, *SCALES), required=RUN)
    if path.partition(".")[2] in RESERVED:
        yield f"{path}: expected another name than {', '.join(RESERVED)}, which are folders beside those of the runs"
    yield from _reference(f"{path}.dataset", entry.get("dataset"), "dataset", parts["datasets"])
    yield from _paper(path, entry)
    for scale in SCALES:
        at = f"{path}.{scale}"
        if scale in entry and (yield from _mapping(at, entry[scale], RUN_BLOCK)):
            block, kind = entry[scale], _kind(entry.get("dataset"), parts["datasets"])
            if kind and scale not in parts["datasets"][entry["dataset"]]:
                yield f"{at}: expected the dataset {entry['dataset']} at scale {scale}, got none"
            yield from Seeds.errors(at, {"seeds": block["seeds"]})
            data = parts["datasets"][entry["dataset"]].get(scale) if kind else None
            yield from _model(f"{at}.model", block["model"], kind, data)
            yield from Training.errors(f"{at}.training", block["training"])
            yield from EVALUATIONS.get(kind, Sequences).errors(f"{at}.evaluation", block["evaluation"])
            yield from _drawn(f"{at}.training.drawn", block["training"], kind)
            yield from _selected(f"{at}.training.keep", block["training"], kind)
            yield from _transposed(f"{at}.training.transpose", block["training"], kind)
            yield from _trainable(f"{at}.training", block)
            yield from _halved(f"{at}.training.half", entry, block["training"], kind)
            yield from _from(f"{path}.from", entry, scale, kind, parts)
            yield from _augmented(path, entry, scale, parts)


def _kind(dataset: Any, datasets: Mapping[str, Any]) -> str | None:
    """The kind of a run's dataset, if known."""
    entry = datasets.get(dataset) if isinstance(dataset, str) else None
    kind = entry.get("kind") if isinstance(entry, Mapping) else None
    return kind if isinstance(kind, str) and kind in EVALUATIONS else None


def _model(path: str, value: Any, kind: str | None, data: Any) -> Iterator[str]:
    """Check a run's model block: its class for the kind of data, and its sizes for those of the data."""
    known = {name: row.block for name, row in MODELS.items() if kind is None or kind in row.kinds}
    lines = list(_choice(path, value, "class", known))
    yield from lines
    if not lines and isinstance(data, Mapping):
        block = known[value["class"]].filled(sizes(value))
        if isinstance(source := data.get("source"), str) and source in SOURCES:
            data = {**SOURCES[source].defaults(), **data}
        length = data.get("length", data.get("window", data.get("max_length")))
        yield from (f"{path}.{key}: {text}" for key, text in block.unfit(length, data.get("dimensions")))
        if getattr(block, "concepts", "none") == "read" and not data.get("concepts"):
            yield f"{path}.concepts: expected none, of data without detected words beside lines, got 'read'"


def _row(model: Any) -> Row | None:
    """The class of a model block, if it names one."""
    name = model.get("class") if isinstance(model, Mapping) else None
    return MODELS.get(name) if isinstance(name, str) else None


def _drawn(path: str, training: Any, kind: str | None) -> Iterator[str]:
    """Check that ``drawn`` is given for counted data, and only for these."""
    drawn = training.get("drawn") if isinstance(training, Mapping) else None
    if kind is None:
        return
    if kinds.of(kind).counted and drawn is None:
        yield f"{path}: expected the number of words of an epoch, got none"
    if not kinds.of(kind).counted and drawn is not None:
        yield f"{path}: expected none for {kind}, which is not counted, got {drawn!r}"


def _transposed(path: str, training: Any, kind: str | None) -> Iterator[str]:
    """Check that ``transpose`` is given for piano rolls only."""
    most = training.get("transpose") if isinstance(training, Mapping) else None
    if most is not None and kind and kinds.of(kind).emission != "bernoulli":
        yield f"{path}: expected none for {kind}, which has no keys, got {most!r}"


def _selected(path: str, training: Any, kind: str | None) -> Iterator[str]:
    """Check that an epoch is selected by a score that its models have.

    BLEU is of questions, F1 of spans, accuracy of choices, and the texts' term of texts.
    """
    keep = training.get("keep") if isinstance(training, Mapping) else None
    if keep == "bleu" and kind and kinds.of(kind).emission != "conditional":
        yield f"{path}: expected another choice for {kind}, whose models write no questions, got 'bleu'"
    if keep == "generation" and kind and not kinds.of(kind).writes:
        yield f"{path}: expected loss for {kind}, whose models write no texts for contexts, got 'generation'"
    if keep == "f1" and kind and kinds.of(kind).emission != "span":
        yield f"{path}: expected loss for {kind}, whose models answer by no spans, got 'f1'"
    if keep == "accuracy" and kind and kinds.of(kind).emission != "chosen":
        yield f"{path}: expected loss for {kind}, whose models choose no answers, got 'accuracy'"


def _trainable(path: str, block: Mapping[str, Any]) -> Iterator[str]:
    """Check that a run is trained on importance samples, or by counts, only if its model can be."""
    model, training = block["model"], block["training"]
    row = _row(model)
    bound = training.get("bound", "elbo") if isinstance(training, Mapping) else "elbo"
    if row and bound in BOUNDS and bound not in row.block.bounds:
        known = ", ".join(name for name, one in MODELS.items() if bound in one.block.bounds)
        allowed = " or ".join(row.block.bounds)
        yield f"{path}.bound: expected {allowed} for {model['class']}, got {bound!r}, which is for {known}"
    if row and isinstance(training, Mapping) and (training.get("optimizer") == "em") != row.block.tables:
        known = ", ".join(name for name, one in MODELS.items() if one.block.tables)
        got = repr(training.get("optimizer", "adam"))
        expected = "em" if row.block.tables else "adam or sgd"
        yield f"{path}.optimizer: expected {expected} for {model['class']}, got {got}; em is for {known}, and only it"


def _halved(path: str, entry: Mapping[str, Any], training: Any, kind: str | None) -> Iterator[str]:
    """Check that half of the sequences is of data with contexts, and of a run with its own."""
    if (half := _half(training)) is None:
        return
    if kind and not kinds.of(kind).conditional:
        yield f"{path}: expected none for {kind}, whose sequences have no contexts, got {half!r}"
    if entry.get("augmented") is not None:
        yield f"{path}: expected none with augmented, for equal steps, got {half!r}"


def _half(training: Any) -> Any:
    return training.get("half") if isinstance(training, Mapping) else None


def _from(path: str, entry: Mapping[str, Any], scale: str, kind: str | None, parts: Mapping[str, Any]) -> Iterator[str]:
    """Check that a run starts from another of the same data and seeds, where its model has something of another."""
    model = entry[scale]["model"]
    row = _row(model)
    if row is None or any(True for _ in row.block.errors("", sizes(model))):
        return
    reads, other = row.block.filled(sizes(model)).reads, entry.get("from")
    if reads != (other is not None):
        wanted = "the run whose vectors the model reads" if reads else f"none with this model of {model['class']}"
        yield f"{path}: expected {wanted}, got {'none' if other is None else repr(other)}"
    if other is None:
        return
    yield from _reference(path, other, "run", parts["runs"])
    found = parts["runs"].get(other) if isinstance(other, str) else None
    if not isinstance(found, Mapping):
        return
    if found.get("dataset") != entry.get("dataset"):
        yield f"{path}: expected a run on {entry.get('dataset')}, got {other} on {found.get('dataset')!r}"
    if found.get("from") is not None:
        yield f"{path}: expected a run that starts from no other, got {other}, which starts from {found['from']!r}"
    block = found.get(scale)
    if not isinstance(block, Mapping):
        yield f"{path}: expected a run at scale {scale}, got {other}, which has none"
        return
    seeds = block.get("seeds")
    missing = [seed for seed in entry[scale]["seeds"] if seed not in seeds] if isinstance(seeds, list) else []
    if missing:
        yield f"{path}: expected {other} with the seeds of this run at scale {scale}, got none of {missing}"
    theirs = block.get("model")
    if isinstance(theirs, Mapping):
        wanted, got = ((one.get("class"), row.block.filled(one).width) for one in (model, theirs))
        if wanted != got:
            yield f"{path}: expected a run of the same class and width, got {got[0]!r} of {got[1]!r}"


def _augmented(path: str, entry: Mapping[str, Any], scale: str, parts: Mapping[str, Any]) -> Iterator[str]:
    """Check that a run's other contexts are of its dataset, and judged by a run of as many steps with its seeds."""
    name, training = entry.get("augmented"), entry[scale]["training"]
    share = training.get("replace") if isinstance(training, Mapping) else None
    if name is None:
        if share is not None:
            yield f"{path}.{scale}.training.replace: expected none without augmented, got {share!r}"
        return
    yield from _reference(f"{path}.augmented", name, "rewriting", {**parts["rewrites"], **parts["crossfits"]})
    contexts, judges = _filtered(name, parts)
    other = parts["rewrites"].get(contexts) if isinstance(contexts, str) else None
    if not isinstance(other, Mapping):
        return
    if share is None:
        yield f"{path}.{scale}.training.replace: expected a share with augmented, got none"
    if isinstance(training, Mapping) and (patience := training.get("patience")) is not None:
        yield (
            f"{path}.{scale}.training.patience: expected none with augmented, got {patience!r}: runs that stop by "
            "their own losses take different numbers of steps"
        )
    if other.get("dataset") != entry.get("dataset"):
        yield f"{path}.augmented: expected contexts of {entry.get('dataset')}, got those of {other.get('dataset')}"
    if scale not in other:
        yield f"{path}.{scale}: expected the rewriting {contexts} at scale {scale}, got none"
    if not judges:
        yield f"{path}.augmented: expected contexts that a run judges, got {name}, which names none"
    for judge in judges:
        block = parts["runs"].get(judge, {}).get(scale) if isinstance(judge, str) else None
        if not isinstance(block, Mapping) or not isinstance(training, Mapping):
            return
        seeds, theirs = block.get("seeds"), block.get("training")
        missing = [seed for seed in entry[scale]["seeds"] if seed not in seeds] if isinstance(seeds, list) else []
        if missing:
            yield f"{path}.{scale}.seeds: expected seeds of {judge}, which judges, got {missing} beside them"
        for key in STEPS:
            if isinstance(theirs, Mapping) and training.get(key) != theirs.get(key):
                wanted, got = (one.get(key, "none") for one in (theirs, training))
                yield f"{path}.{scale}.training.{key}: expected {wanted}, as {judge} has, for equal steps, got {got}"


def _filtered(name: Any, parts: Mapping[str, Any]) -> tuple[Any, list[Any]]:
    """The entry of rewritten contexts of a filter and the runs that judge them, as far as they are well written."""
    crossfit = parts["crossfits"].get(name) if isinstance(name, str) else None
    if isinstance(crossfit, Mapping):
        judges = crossfit.get("judges")
        return crossfit.get("contexts"), judges if isinstance(judges, list) else []
    other = parts["rewrites"].get(name) if isinstance(name, str) else None
    judge = other.get("judge") if isinstance(other, Mapping) else None
    return name, [] if judge is None else [judge]


def _speed(path: str, entry: Mapping[str, Any], parts: Mapping[str, Any]) -> Iterator[str]:
    yield from _keys(path, entry, ("runs", *SCALES), required=("runs",))
    yield from _references(f"{path}.runs", entry.get("runs"), "run", parts["runs"])
    for scale in SCALES:
        if scale in entry:
            yield from Speed.errors(f"{path}.{scale}", entry[scale])


def _generated(path: str, entry: Mapping[str, Any], parts: Mapping[str, Any]) -> Iterator[str]:
    """Check a text: its kind, run and dataset, and its settings at each scale."""
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
        block = entry.get(scale, {})
        yield from TEXTS[kind].errors(f"{path}.{scale}", block)
        if isinstance(block, Mapping) and "pairs" in block and "sentences" in block:
            yield f"{path}.{scale}: expected pairs of test sequences or sentences, got both"


def _table(path: str, entry: Mapping[str, Any], parts: Mapping[str, Any]) -> Iterator[str]:
    if "texts" in entry:  # a table of generated texts
        yield from _keys(path, entry, ("reproduces", "title", "texts"))
        yield from _text(path, entry, ("title",))
        yield from _paper(path, entry)
        yield from _references(f"{path}.texts", entry["texts"], PART["texts"], parts["texts"])
        names = [name for name in entry["texts"] if isinstance(name, str)] if isinstance(entry["texts"], list) else []
        shown = [one.get("kind") for name in names if isinstance(one := parts["texts"].get(name), Mapping)]
        kinds = [kind for kind in shown if isinstance(kind, str) and kind in TEXTS]
        if len(set(kinds)) > 1:
            yield f"{path}.texts: expected texts of one kind, got {', '.join(kinds)}"
        return
    if "tasks" in entry:  # a table of this project's own, over the papers
        yield from _keys(path, entry, ("title", "tasks"))
        yield from _text(path, entry, ("title",))
        yield from _tasks(f"{path}.tasks", entry["tasks"], parts)
        return
    yield from _keys(path, entry, ("reproduces", "title", "rows"))
    yield from _text(path, entry, ("title",))
    yield from _paper(path, entry)
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
            if metric in UNITS:
                yield f"{at}: expected a metric, got the unit {metric!r}; nll is in the unit of its data"
            elif metrics.find(metric) is None:
                yield from _one_of(at, metric, metrics.names())
            else:
                yield from _estimated(at, run, metric, parts)


def _estimated(path: str, run: str, metric: str, parts: Mapping[str, Any]) -> Iterator[str]:
    """Check that a metric of models with latent variables is of a run of one, at each scale."""
    entry, found = parts["runs"].get(run), metrics.find(metric)
    if not isinstance(entry, Mapping) or found is None or not found.of_latent:
        return
    for scale in SCALES:
        block = entry.get(scale)
        if isinstance(block, Mapping) and (row := _row(model := block.get("model"))) and row.block.exact:
            known = ", ".join(name for name, one in MODELS.items() if not one.block.exact)
            yield (
                f"{path}: expected a metric of {model['class']}, whose likelihood is exact, got {metric!r}, which is "
                f"estimated for {known}; give a row of it the columns that it has, as {{<column>: {run}.nll}}"
            )
            return


def address(task: Mapping[str, Any], candidate: str) -> tuple[str, str]:
    """(run, metric) of a task's candidate, ``<run>.<metric>``, or a run alone, which has the task's metric.

    >>> address({"metric": "nll"}, "tvqa-att_ar"), address({"metric": "nll"}, "tvqa-lstm.unigram")
    (('tvqa-att_ar', 'nll'), ('tvqa-lstm', 'unigram'))
    """
    run, _, metric = candidate.partition(".")
    return run, metric or task["metric"]


def _tasks(path: str, tasks: Any, parts: Mapping[str, Any]) -> Iterator[str]:
    """Check tasks: of each a metric of which less is better, and candidates by role, of one dataset."""
    if not isinstance(tasks, Mapping) or not tasks:
        yield f"{path}: expected a metric and candidates ({', '.join(ROLES)}) by task, got {tasks!r}"
        return
    for name, task in tasks.items():
        at = f"{path}.{name}"
        if not isinstance(task, Mapping):
            yield f"{at}: expected a mapping, got {task!r}"
            continue
        yield from _keys(at, task, ("metric", *ROLES, "goal"), required=("metric", *ROLES))
        if "metric" in task:
            yield from _measured(f"{at}.metric", task["metric"])
        found: dict[str, str] = {}
        for role in (role for role in ROLES if role in task):
            listed = task[role]
            if not isinstance(listed, list) or not all(isinstance(one, str) for one in listed):
                yield f"{at}.{role}: expected a list of runs, or of <run>.<metric>, got {listed!r}"
                continue
            for one in listed:
                run, dot, metric = one.partition(".")
                yield from _reference(f"{at}.{role}", run, "run", parts["runs"])
                if dot:
                    yield from _measured(f"{at}.{role}", metric)
                    yield from _estimated(f"{at}.{role}", run, metric, parts)
                elif isinstance(shared := task.get("metric"), str) and not [*_measured("", shared)]:
                    yield from _estimated(f"{at}.{role}", run, shared, parts)
                if one in found:
                    yield f"{at}.{role}: expected each candidate once, got {one} in {found[one]} too"
                found[one] = role
        runs = [block for one in found if isinstance(block := parts["runs"].get(one.partition(".")[0]), Mapping)]
        datasets = dict.fromkeys(data for block in runs if (data := str(block.get("dataset"))) in parts["datasets"])
        if len(datasets) > 1:
            yield f"{at}: expected candidates on one dataset, got {', '.join(datasets)}; make a task of each"
        if "goal" in task:
            yield from _goal(f"{at}.goal", task["goal"], found)


def _goal(path: str, goals: Any, candidates: Collection[str]) -> Iterator[str]:
    """Check a task's goals: by scale a metric, in whose convention it is, with a number or the runs to be below."""
    if not isinstance(goals, Mapping) or not goals:
        yield f"{path}: expected a metric with a number, or with runs, by scale, got {goals!r}"
        return
    yield from _keys(path, goals, SCALES, required=())
    for scale in (scale for scale in SCALES if scale in goals):
        goal, at = goals[scale], f"{path}.{scale}"
        if not isinstance(goal, Mapping) or len(goal) != 1:
            yield f"{at}: expected one metric with a number, or with runs, got {goal!r}"
            continue
        ((metric, least),) = goal.items()
        yield from _measured(at, metric)
        if isinstance(least, list) and least:
            for run in least:
                if not isinstance(run, str) or run not in candidates:
                    yield f"{at}.{metric}: expected runs that the task lists, got {run!r}{near(run, candidates)}"
        elif type(least) not in (int, float) or not math.isfinite(least):
            yield f"{at}.{metric}: expected a finite number or a list of runs, got {least!r}"


def _measured(path: str, metric: Any) -> Iterator[str]:
    """Check the name of a metric in nats or bits, of which less is better."""
    row = metrics.find(metric) if isinstance(metric, str) else None
    if row is None:
        yield from _one_of(path, metric, metrics.names())
    elif not row.loss:
        yield f"{path}: expected a metric in nats or bits, of which less is better, got {metric!r} in {row.units[0]}"


def _figure(path: str, entry: Mapping[str, Any], parts: Mapping[str, Any]) -> Iterator[str]:
    if entry.get("kind") == "time":  # of a table of tasks
        yield from _keys(path, entry, ("title", "kind", "table"))
        yield from _text(path, entry, ("title",))
        known = {name: one for name, one in parts["tables"].items() if isinstance(one, Mapping) and "tasks" in one}
        yield from _reference(f"{path}.table", entry.get("table"), "table of tasks", known)
        return
    if entry.get("kind") == "gains":  # of a table that is compared, over one of its rows
        yield from _keys(path, entry, ("reproduces", "title", "kind", "table", "over"))
        yield from _text(path, entry, ("title",))
        yield from _paper(path, entry)
        compared = parts["comparisons"]
        known = {name: one for name, one in parts["tables"].items() if name in compared and isinstance(one, Mapping)}
        table = entry.get("table")
        yield from _reference(f"{path}.table", table, "table with a comparison", known)
        rows = known[table].get("rows") if isinstance(table, str) and table in known else None
        if "over" in entry and isinstance(rows, Mapping):
            yield from _reference(f"{path}.over", entry["over"], f"row of {table}", rows)
        return
    of = "speeds" if entry.get("kind") == "speed" else "runs"
    yield from _keys(path, entry, ("reproduces", "title", "kind", of))
    yield from _text(path, entry, ("title",))
    yield from _paper(path, entry)
    if "kind" in entry and entry["kind"] not in FIGURES:
        yield from _one_of(f"{path}.kind", entry["kind"], FIGURES)
    yield from _references(f"{path}.{of}", entry.get(of), PART[of], parts[of])


def _comparison(path: str, entry: Mapping[str, Any], parts: Mapping[str, Any]) -> Iterator[str]:
    """Check a comparison: the table that it is named after, the pairs of runs that people judge, and its settings."""
    yield from _keys(path, entry, ("human", *SCALES), required=())
    name = path.partition(".")[2]
    yield from _reference(path, name, "table", parts["tables"])
    runs = _compared(name, parts)
    if name in parts["tables"] and not runs:
        yield f"{path}: expected a table of runs, got one without"
    for run in runs:
        block = parts["runs"].get(run)
        kind = _kind(block.get("dataset"), parts["datasets"]) if isinstance(block, Mapping) else None
        if kind is not None and not kinds.of(kind).compared:
            yield f"{path}: expected a table of runs that write texts, got {run} on {kind}"
    human = entry.get("human", {})
    if not isinstance(human, Mapping):
        yield f"{path}.human: expected two runs by the name of their sheet, got {human!r}"
        return
    for sheet, pair in human.items():
        at = f"{path}.human.{sheet}"
        if not isinstance(sheet, str) or not NAME.match(sheet):
            yield f"{at}: expected a sheet's name of lower-case letters, digits, '-' and '_', got {sheet!r}"
        if not isinstance(pair, list) or len(pair) != 2 or pair[0] == pair[1]:
            yield f"{at}: expected two runs, got {pair!r}"
            continue
        for run in pair:
            yield from _reference(at, run, "run of the table", runs)
        others = [other for other, block in parts["comparisons"].items() if other != name and _sheet(block, sheet)]
        if others:
            yield f"{at}: expected a name of its own, got that of a sheet of {', '.join(others)}"
    for scale in SCALES:
        yield from Comparison.errors(f"{path}.{scale}", entry.get(scale, {}))


def _compared(table: str, parts: Mapping[str, Any]) -> dict[str, None]:
    """The runs in the cells of a table, as far as it is well written."""
    block = parts["tables"].get(table)
    rows = block.get("rows") if isinstance(block, Mapping) else None
    cells = [row for row in rows.values() if isinstance(row, Mapping)] if isinstance(rows, Mapping) else []
    return dict.fromkeys(str(cell).partition(".")[0] for row in cells for cell in row.values())


def _sheet(block: Any, sheet: Any) -> bool:
    human = block.get("human") if isinstance(block, Mapping) else None
    return isinstance(human, Mapping) and sheet in human


def _rewriting(path: str, entry: Mapping[str, Any], parts: Mapping[str, Any]) -> Iterator[str]:
    """Check rewritten contexts: the dataset of lines, the generator and what it needs, and the settings of scales."""
    yield from _keys(path, entry, (*REWRITING, *SCALES), required=("dataset", "generator"))
    datasets, scales = parts["datasets"], [scale for scale in SCALES if scale in entry]
    yield from _reference(f"{path}.dataset", entry.get("dataset"), "dataset", datasets)
    kind = _kind(entry.get("dataset"), datasets)
    if kind and not kinds.of(kind).lines:
        yield f"{path}.dataset: expected a dataset of lines, got {entry['dataset']} of kind {kind}"
    generator = entry.get("generator")
    if not isinstance(generator, str) or generator not in GENERATORS:
        yield from _one_of(f"{path}.generator", generator, GENERATORS)
        return
    if (name := path.partition(".")[2]) in datasets:
        yield f"{path}: expected another name than those of datasets, beside whose features its own are, got {name!r}"
    needs, there = GENERATORS[generator], {"datasets": [entry.get("dataset")]}
    runs = entry.get("runs", [])
    if not isinstance(runs, list) or len(runs) != needs.runs:
        yield f"{path}.runs: expected {needs.runs} runs with generator: {generator}, got {runs!r}"
    else:
        for run in runs:
            yield from _reference(f"{path}.runs", run, "run", parts["runs"])
        there["runs"] = runs
    for key, part, needed in (("like", "rewrites", needs.like), ("words", "datasets", needs.words)):
        name = entry.get(key)
        if needed:
            yield from _reference(f"{path}.{key}", name, PART[part], parts[part])
            there[part] = [*there.get(part, []), name]
        elif name is not None:
            yield f"{path}.{key}: expected none with generator: {generator}, got {name!r}"
    yield from _of_other_lines(path, entry, parts)
    yield from _judge(f"{path}.judge", entry, parts)
    for scale in scales:
        for part, names in there.items():
            for name in names:
                other = parts[part].get(name) if isinstance(name, str) else None
                if isinstance(other, Mapping) and scale not in other:
                    yield f"{path}.{scale}: expected the {PART[part]} {name} at scale {scale}, got none"
        yield from needs.block.errors(f"{path}.{scale}", entry[scale])


def _judge(path: str, entry: Mapping[str, Any], parts: Mapping[str, Any]) -> Iterator[str]:
    """Check that a judge is trained on all questions with the original contexts, wherever the candidates exist."""
    if (name := entry.get("judge")) is None:
        return
    judge = yield from _judging(path, name, entry, parts)
    for scale in SCALES:
        block = judge.get(scale)
        if isinstance(block, Mapping) and (half := _half(block.get("training"))) is not None:
            yield (
                f"{path}: expected a run on all training questions, got {name}, on half {half} at scale {scale}; let "
                "an entry of crossfits name the runs of both halves"
            )


def _judging(
    path: str, name: Any, entry: Any, parts: Mapping[str, Any]
) -> Generator[str, None, Mapping[str, Any]]:  # fmt: skip
    """Check a run that judges the contexts of an entry, if that is known; return it (by ``yield from``), or nothing."""
    yield from _reference(path, name, "run", parts["runs"])
    judge = parts["runs"].get(name) if isinstance(name, str) else None
    if not isinstance(judge, Mapping):
        return {}
    entry = entry if isinstance(entry, Mapping) else {"dataset": judge.get("dataset")}
    if judge.get("dataset") != entry.get("dataset"):
        yield f"{path}: expected a run on {entry.get('dataset')}, got {name} on {judge.get('dataset')!r}"
    if judge.get("augmented") is not None:
        yield f"{path}: expected a run on the original contexts, got {name}, which has others of {judge['augmented']}"
    for scale in SCALES:
        if scale in entry and scale not in judge:
            yield f"{path}: expected a run at scale {scale}, got {name}, which has none"
    return judge


def _crossfit(path: str, entry: Mapping[str, Any], parts: Mapping[str, Any]) -> Iterator[str]:
    """Check a cross-fitted filter: its contexts, and two judges that differ in the half of their questions alone."""
    yield from _keys(path, entry, CROSSFIT)
    if (name := path.partition(".")[2]) in parts["rewrites"]:
        yield f"{path}: expected another name than those of rewrites, beside whose filters its own is, got {name!r}"
    contexts, judges = entry.get("contexts"), entry.get("judges")
    yield from _reference(f"{path}.contexts", contexts, "rewriting", parts["rewrites"])
    other = parts["rewrites"].get(contexts) if isinstance(contexts, str) else None
    if not isinstance(judges, list) or len(judges) != len(HALVES):
        yield f"{path}.judges: expected two runs, one on each half of the questions, got {judges!r}"
        return
    found = []
    for judge in judges:
        found.append((yield from _judging(f"{path}.judges", judge, other, parts)))
    for scale in SCALES:
        blocks = [run[scale] for run in found if isinstance(run.get(scale), Mapping)]
        trainings = [block.get("training") for block in blocks]
        if len(blocks) < len(HALVES) or not all(isinstance(training, Mapping) for training in trainings):
            continue
        if sorted(map(str, map(_half, trainings))) != sorted(map(str, HALVES)):
            got = " and ".join("all" if _half(one) is None else f"half {_half(one)}" for one in trainings)
            yield (
                f"{path}.judges: expected runs on half 0 and half 1 of the questions at scale {scale}, got {got}; set "
                "training.half of each"
            )
        whole = [{**block, "training": {**one, "half": None}} for block, one in zip(blocks, trainings, strict=True)]
        for part in RUN_BLOCK:
            ours, theirs = (block.get(part) for block in whole)
            if ours != theirs:
                yield (
                    f"{path}.judges: expected runs that differ at scale {scale} in training.half alone, got another "
                    f"{part} of {judges[1]} than of {judges[0]}; let one have the other as base"
                )


def _of_other_lines(path: str, entry: Mapping[str, Any], parts: Mapping[str, Any]) -> Iterator[str]:
    """Check that words are of a dataset with vectors, and what an entry is like, of the same lines and as many."""
    words, like = entry.get("words"), entry.get("like")
    if (kind := _kind(words, parts["datasets"])) and kinds.of(kind).emission != "embedded":
        yield f"{path}.words: expected a dataset of language, which has word vectors, got {words} of kind {kind}"
    other = parts["rewrites"].get(like) if isinstance(like, str) else None
    if not isinstance(other, Mapping):
        return
    if other.get("dataset") != entry.get("dataset"):
        yield f"{path}.like: expected one of the lines of {entry.get('dataset')}, got those of {other.get('dataset')}"
    for scale in SCALES:
        ours, theirs = entry.get(scale), other.get(scale)
        if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
            for key in ("count", "share", "seed"):
                if ours.get(key) != theirs.get(key):
                    wanted, got = theirs.get(key, "none"), ours.get(key, "none")
                    yield f"{path}.{scale}.{key}: expected {wanted}, as {like} has, got {got}"


CHECKS = {
    "datasets": _dataset, "features": _features, "runs": _run, "speeds": _speed, "texts": _generated, "tables": _table,
    "figures": _figure, "comparisons": _comparison, "rewrites": _rewriting, "crossfits": _crossfit,
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
    """Check the keys; return (by ``yield from``) whether all of them are present."""
    if not isinstance(entry, Mapping):
        yield f"{path}: expected a mapping with keys {', '.join(keys)}, got {entry!r}"
        return False
    yield from _keys(path, entry, keys)
    return all(key in entry for key in keys)


def _text(path: str, entry: Mapping[str, Any], keys: Iterable[str]) -> Iterator[str]:
    for key in keys:
        if key in entry and not (isinstance(entry[key], str) and entry[key]):
            yield f"{path}.{key}: expected text, got {entry[key]!r}"


def _paper(path: str, entry: Mapping[str, Any]) -> Iterator[str]:
    """Check the paper that is reproduced: a folder of ``report/papers``, or `OWN`."""
    if "reproduces" in entry and entry["reproduces"] not in PAPERS:
        yield from _one_of(f"{path}.reproduces", entry["reproduces"], PAPERS)


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


def _choice(path: str, value: Any, key: str, known: Mapping[str, type[Block]]) -> Iterator[str]:
    """Check a block whose entry ``key``, a source or a class, selects its type."""
    name = value.get(key) if isinstance(value, Mapping) else None
    if not isinstance(name, str) or name not in known:
        yield from _one_of(f"{path}.{key}", name, known)
        return
    block = known[name]
    yield from block.errors(path, value if key in block.entries() else {k: v for k, v in value.items() if k != key})
