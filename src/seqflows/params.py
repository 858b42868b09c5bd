"""The matrix: params.yaml, read, validated and indexed by scale and name.

Only params.yaml defines datasets, their features, runs, speeds, texts, rewritten contexts, cross-fitted filters of
these, tables, figures and comparisons; dvc.yaml and the Snakefile derive from it and from `stages`. `config.entries`
expands what the scales share, bases and columns, so that here each entry has a block ``demo``, ``laptop`` and
``paper``. `config.checks` checks every block, name and reference without torch.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from seqflows.config import checks
from seqflows.config.entries import expand, place
from seqflows.errors import Problem
from seqflows.names import near
from seqflows.paths import SCALES

DEPTH = 50  # of the values of a params.yaml
VALUES = 200_000  # of a params.yaml, with what its aliases repeat: fifteen times those of ours


class Filter(NamedTuple):
    """Which ``contexts``, an entry of rewritten ones, are judged, and by which runs.

    One judge reads all questions; of two, each trained on one half of them, each reads those of the other half.
    """

    contexts: str
    judges: tuple[str, ...]

    def stated(self, values: Sequence[Any] | None = None) -> Any:
        """The judges, or a value of each, as headers and blocks state them: one as it is, two as a list."""
        found = list(self.judges if values is None else values)
        return found[0] if len(self.judges) == 1 else found


@dataclass(frozen=True)
class Params:
    """A validated params.yaml, as plain dictionaries."""

    scale: str
    scales: dict[str, Any]
    datasets: dict[str, Any]
    features: dict[str, Any]
    runs: dict[str, Any]
    speeds: dict[str, Any]
    texts: dict[str, Any]
    tables: dict[str, Any]
    figures: dict[str, Any]
    comparisons: dict[str, Any] = field(default_factory=dict)
    rewrites: dict[str, Any] = field(default_factory=dict)
    crossfits: dict[str, Any] = field(default_factory=dict)
    narrow: frozenset[str] = frozenset()  # the runs of which some seeds alone are asked for, see `narrowed`

    def at(self, scale: str) -> Params:
        """The content of a scale: without entries that lack it and what is shown of them."""
        there = {
            part: {n: e for n, e in getattr(self, part).items() if scale in e}
            for part in ("datasets", "features", "runs", "speeds", "rewrites")
        }
        runs, speeds, contexts = there["runs"], there["speeds"], there["rewrites"]
        there["crossfits"] = {name: entry for name, entry in self.crossfits.items() if entry["contexts"] in contexts}
        there["texts"] = {name: entry for name, entry in self.texts.items() if entry["run"] in runs}
        shown = {"runs": runs, "speeds": speeds, "texts": there["texts"]}

        def of(entry: dict[str, Any]) -> dict[str, Any]:
            found = dict(entry)
            for key in shown.keys() & entry.keys():
                found[key] = [name for name in entry[key] if name in shown[key]]
            if "rows" in entry:
                rows = {
                    row: {column: cell for column, cell in cells.items() if cell.partition(".")[0] in runs}
                    for row, cells in entry["rows"].items()
                }
                found["rows"] = {row: cells for row, cells in rows.items() if cells}
            if "tasks" in entry:
                found["tasks"] = {name: _there(task, runs) for name, task in entry["tasks"].items()}
            return found

        there["speeds"] = {name: of(entry) for name, entry in speeds.items()}
        drawn = {
            part: {name: of(entry) for name, entry in getattr(self, part).items()} for part in ("tables", "figures")
        }
        drawn["comparisons"] = {
            name: entry | _judged(entry, runs)
            for name, entry in self.comparisons.items()
            if drawn["tables"][name].get("rows")
        }
        return Params(self.scale, self.scales, **there, **drawn)

    def dataset(self, scale: str, name: str) -> dict[str, Any]:
        """A dataset's kind and its scale's block in one dictionary."""
        entry = _entry("dataset", self.datasets, name)
        return {"kind": entry["kind"], **entry[scale_of(scale)]}

    def encoder(self, scale: str, name: str) -> dict[str, Any] | None:
        """The block of the encoder whose features a dataset's contexts, or its rewritten lines, have; None without."""
        dataset = self.rewrites[name]["dataset"] if name in self.rewrites else name
        return self.features.get(dataset, {}).get(scale_of(scale))

    @property
    def encoded(self) -> dict[str, Any]:
        """What is encoded, by name: the datasets with features, and the entries of rewritten lines of these."""
        rewritten = {name: entry for name, entry in self.rewrites.items() if entry["dataset"] in self.features}
        return self.features | rewritten

    def run(self, scale: str, name: str) -> dict[str, Any]:
        """A run at a scale: reproduces, dataset, seeds, model, training, evaluation, and what else it has."""
        entry = _entry("run", self.runs, name)
        own = {key: entry[key] for key in (*checks.RUN, *checks.RUN_ALSO) if key in entry}
        return {**own, **entry[scale_of(scale)]}

    def narrowed(self, scale: str, name: str, seeds: Sequence[int] = (), device: str = "") -> Params:
        """With some of a run's seeds alone, if any are given, and on a device in place of the scale's.

        Raises:
            Problem: a seed that the run does not have.
        """
        block = self.run(scale, name)
        if unknown := [seed for seed in seeds if seed not in block["seeds"]]:
            raise Problem(
                f"expected seeds of {scale}/{name}, {', '.join(map(str, block['seeds']))}, got "
                f"{', '.join(map(str, unknown))}; add them to its seeds in params.yaml"
            )
        chosen = [seed for seed in block["seeds"] if seed in seeds] or block["seeds"]
        entry = self.runs[name] | {scale: self.runs[name][scale] | {"seeds": chosen}}
        compute = self.compute(scale) | ({"device": device} if device else {})
        scales = self.scales | {scale: self.scales[scale] | {"compute": compute}}
        narrow = self.narrow | {name} if chosen != block["seeds"] else self.narrow
        return replace(self, runs=self.runs | {name: entry}, scales=scales, narrow=narrow)

    def compute(self, scale: str) -> dict[str, Any]:
        """Device, threads and precision of a scale."""
        return dict(self.scales[scale_of(scale)]["compute"])

    def tracking(self, scale: str) -> str:
        """``files``, or ``live`` if training also feeds the tracker."""
        return self.scales[scale_of(scale)]["tracking"]

    def speed(self, scale: str, name: str) -> dict[str, Any]:
        """The runs whose generation is timed, and the scale's lengths and repeats."""
        entry = _entry("speed", self.speeds, name)
        return {"runs": list(entry["runs"]), **entry[scale_of(scale)]}

    def text(self, scale: str, name: str) -> dict[str, Any]:
        """A text's kind, run, dataset and the scale's settings."""
        entry = _entry("text", self.texts, name)
        return {**{key: entry[key] for key in checks.TEXT}, "settings": entry[scale_of(scale)]}

    def rewriting(self, scale: str, name: str) -> dict[str, Any]:
        """The dataset whose lines are rewritten, the generator, what it is made from, and the scale's settings."""
        entry = _entry("rewriting", self.rewrites, name)
        found = {"dataset": entry["dataset"], "generator": entry["generator"], "runs": list(entry.get("runs", []))}
        beside = {key: entry[key] for key in ("like", "words") if key in entry}
        return {**found, **beside, "settings": entry[scale_of(scale)]}

    @property
    def filters(self) -> dict[str, Filter]:
        """What is filtered, by name: the entries of rewritten contexts with a judge, and those judged crosswise."""
        own = {name: Filter(name, (entry["judge"],)) for name, entry in self.rewrites.items() if "judge" in entry}
        return own | {name: Filter(one["contexts"], tuple(one["judges"])) for name, one in self.crossfits.items()}

    def filtering(self, name: str) -> Filter:
        """The contexts of a filter, and the runs that judge them."""
        return _entry("filter", self.filters, name)

    def filter(self, scale: str, name: str) -> dict[str, Any]:
        """What a filter depends on: its judge and the seeds that judge; of two judges also the contexts' entry."""
        found = self.filtering(name)
        of = {} if found.contexts == name else {"contexts": found.contexts}
        return {**of, "judge": found.stated(), "seeds": list(self.run(scale, found.judges[0])["seeds"])}

    def contexts(self, table: str, runs: Collection[str]) -> list[str]:
        """The filters that one of some runs of a table is trained with, then the others that one of them judges in.

        The latter are shown once, where the scores of the judge are taken from.
        """
        used = [self.runs[run]["augmented"] for run in runs if "augmented" in self.runs[run]]
        own = {run for run in runs if self.compared(run) == table}
        return list(dict.fromkeys([*used, *(name for name, one in self.filters.items() if own & {*one.judges})]))

    def table(self, name: str) -> dict[str, Any]:
        """A table's block."""
        return _entry("table", self.tables, name)

    def comparison(self, scale: str, name: str) -> dict[str, Any]:
        """The runs of a comparison, the pairs of them that people judge, and the scale's settings."""
        entry = _entry("comparison", self.comparisons, name)
        return {"runs": self.table_runs(name), "human": sheets(entry), "settings": entry[scale_of(scale)]}

    def compared(self, run: str) -> str | None:
        """The comparison that a run's scores of texts are taken from, the first that has it; None without one."""
        return next((name for name in self.comparisons if run in self.table_runs(name)), None)

    def kind(self, run: str) -> str:
        """The kind of a run's data."""
        return str(self.datasets[self.runs[run]["dataset"]]["kind"])

    def figure(self, name: str) -> dict[str, Any]:
        """A figure's block."""
        return _entry("figure", self.figures, name)

    def table_runs(self, name: str) -> list[str]:
        """The distinct runs of a table, in the order of its cells."""
        if texts := self.table_texts(name):
            return list(dict.fromkeys(self.texts[text]["run"] for text in texts))
        if tasks := self.table(name).get("tasks"):
            return list(dict.fromkeys(checks.address(task, one)[0] for task in tasks.values() for one in _named(task)))
        cells = [cell for row in self.table(name)["rows"].values() for cell in row.values()]
        return list(dict.fromkeys(cell.split(".")[0] for cell in cells))

    def table_texts(self, name: str) -> list[str]:
        """The texts of a table; empty for a table of numbers."""
        return list(self.table(name).get("texts") or [])

    def figure_runs(self, name: str) -> list[str]:
        """The runs of a figure, or of the table that it draws."""
        block = self.figure(name)
        return self.table_runs(block["table"]) if "table" in block else list(block.get("runs") or [])

    def figure_speeds(self, name: str) -> list[str]:
        """The speeds of a figure."""
        return list(self.figure(name).get("speeds") or [])


def sheets(comparison: Mapping[str, Any]) -> dict[str, list[str]]:
    """The two runs of each sheet for raters of a comparison's entry, by the sheet's name."""
    return dict(comparison.get("human") or {})


def trained(run: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a run's block that training depends on, without seeds; the ``config_hash`` of train.json."""
    return {part: run[part] for part in ("dataset", "model", "training", *checks.RUN_ALSO) if part in run}


def scored(run: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a run's block that its metrics depend on, without seeds; their ``config_hash``."""
    return {part: run.get(part) for part in ("dataset", "model", "training", "evaluation")} | {
        part: run[part] for part in checks.RUN_ALSO if part in run
    }


def load(path: str | Path = "params.yaml") -> Params:
    """Read and validate the matrix; raise `Problem` with one line per error."""
    content = written(path)
    return parse(expand(content), str(path), content)


def parse(content: Any, name: str = "params.yaml", source: Any = None) -> Params:
    """Validate the result of `read`; raise `Problem` with one line per error.

    With the file's content as ``source`` each error names the entry as written there, once.
    """
    lines = list(checks.errors(content))
    if isinstance(source, Mapping):
        lines = _once(source, lines)
    if lines:
        count = f"{len(lines)} error{'s' if len(lines) > 1 else ''}"
        raise Problem(f"{count} in {name}\n" + "\n".join(f"  {line}" for line in lines))
    return Params(content["scale"], content["scales"], **{part: content.get(part, {}) for part in checks.PART})


def _once(source: Mapping[str, Any], lines: list[str]) -> list[str]:
    """Each error with the place where its entry is written and, for a base, the entries that inherit it."""
    found: dict[str, dict[str, None]] = {}
    for path, _, text in (line.partition(": ") for line in lines):
        written_at = place(source, path)
        owners = found.setdefault(f"{written_at}: {text}", {})
        if written_at.split(".")[:2] != path.split(".")[:2]:
            owners[".".join(path.split(".")[:2])] = None
    return [text + (f" (in {_listed(list(owners))})" if owners else "") for text, owners in found.items()]


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def read(path: str | Path) -> Any:
    """The content of a YAML file in the form of params.yaml, expanded by `config.entries`."""
    return expand(written(path))


def written(path: str | Path) -> Any:
    """The content of a YAML file as written, with anchors resolved; a duplicate key is a `Problem`."""
    try:
        with open(path, encoding="utf-8") as file:
            depth = 0
            for event in yaml.parse(file, _Loader):
                depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
                if depth > DEPTH:  # libyaml would overflow its stack
                    raise Problem(f"expected values nested at most {DEPTH} deep in {path}, got more; correct the file")
            file.seek(0)
            return yaml.load(file, _Loader)
    except FileNotFoundError:
        raise Problem(f"expected {path} in the working directory, found none; run from the project's root") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise Problem(f"expected YAML in {path}, got {' '.join(str(error).split())}") from None


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """PyYAML's safe loader, which also rejects duplicate keys, and more values than anyone writes."""

    def construct_document(self, node: yaml.Node) -> Any:
        """Count before anything is made of the aliases."""
        if _values(node, {}) > VALUES:
            raise yaml.constructor.ConstructorError(
                None, None, f"more than {VALUES} values, with what aliases repeat; write fewer aliases", node.start_mark
            )
        return super().construct_document(node)

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Check the keys of a mapping for duplicates, before merging."""
        looked_at = self.__dict__.setdefault("_looked_at", set())
        if node not in looked_at:
            looked_at.add(node)
            seen: set[str] = set()
            for key, _ in node.value:
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(None, None, f"the key {key.value!r} twice", key.start_mark)
                seen.add(key.value)
        super().flatten_mapping(node)


def _values(node: yaml.Node, known: dict[int, int]) -> int:
    """How many values a node stands for where each alias is written out; too many for one that holds itself."""
    if id(node) not in known:
        known[id(node)] = VALUES + 1
        inner = node.value if isinstance(node, yaml.CollectionNode) else []
        parts = [part for entry in inner for part in (entry if isinstance(entry, tuple) else (entry,))]
        known[id(node)] = 1 + sum(_values(part, known) for part in parts)
    return known[id(node)]


def _named(task: Mapping[str, Any]) -> list[str]:
    """All candidates of a task, as written."""
    return [one for role in checks.ROLES for one in task.get(role) or []]


def _there(task: Mapping[str, Any], runs: Collection[str]) -> dict[str, Any]:
    """A task with the candidates whose runs are among these."""
    lists = {
        role: [one for one in task.get(role) or [] if checks.address(task, one)[0] in runs] for role in checks.ROLES
    }
    return {**task, **lists}


def _judged(entry: Mapping[str, Any], runs: Collection[str]) -> dict[str, Any]:
    """The sheets for raters of a comparison that are of these runs; empty for one without sheets."""
    if "human" not in entry:
        return {}
    return {"human": {sheet: pair for sheet, pair in sheets(entry).items() if {*pair} <= {*runs}}}


def _entry(what: str, known: Mapping[str, Any], name: str) -> Any:
    if name not in known:
        raise Problem(f"expected the name of a {what} in params.yaml, got {name!r}{near(name, known)}")
    return known[name]


def scale_of(scale: str) -> str:
    """The scale, if valid; else a `Problem`."""
    if scale not in SCALES:
        raise Problem(f"expected a scale of {', '.join(SCALES)}, got {scale!r}")
    return scale
