"""``dvc``: write dvc.yaml, and those below workflow/, from the table of stages and params.yaml.

Paths keep ``${scale}``, the only value that DVC reads from params.yaml. Each kind of data has a file with its datasets
and runs, each paper one with its tables and figures: DVC reads and rewrites the whole dvc.lock beside a dvc.yaml after
each of its stages.
"""

from __future__ import annotations

import contextlib
import re
import statistics
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from seqflows import files, params, paths, stages
from seqflows.errors import Problem

FILE = Path("dvc.yaml")
WORKFLOW = Path("workflow")
PINS = ("requirements.lock", "requirements-torch.txt")
# A scale may lack their entries; DVC then gets placeholder outputs.
PARTS = ("datasets", "features", "runs", "speeds", "texts", "comparisons", "rewrites", "encoded", "filters")
HEAD = """\
# Written by `python -m seqflows dvc` from params.yaml and the table in src/seqflows/stages.py: change those and write
# it anew. Each stage depends on a file with its own part of params.yaml and one with the checksums of its own code
# and the versions of its libraries: a change of either reruns what it touches.

"""
VARIABLES = "vars:\n  - ../../params.yaml:scale\n\n"  # of a file that is not beside params.yaml
NAME = re.compile(
    r"(?<=/\$\{scale\}/)[^/]+"
)  # name of an entry of params.yaml in the path of an input from another stage


def run() -> None:
    """Write them into the working directory."""
    write(params.load(), Path())


def write(found: params.Params, root: Path) -> None:
    """Write them below a folder, and delete those of kinds and papers that have no stage any more."""
    written = texts(found)
    for path in {path.relative_to(root) for path in root.glob(f"{WORKFLOW}/*/{FILE}")} - set(written):
        (root / path).unlink()
        (root / path).with_suffix(".lock").unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # not empty
            (root / path).parent.rmdir()
    for path, text in written.items():
        files.write_text(root / path, text)


def check(found: params.Params) -> None:
    """Raise `Problem` if there is a dvc.yaml, and one of them does not match the present table and params.yaml."""
    if not FILE.exists():
        return
    written = texts(found)
    for path in sorted({*written, *WORKFLOW.glob(f"*/{FILE}")}):
        if not path.exists() or path.read_text(encoding="utf-8") != written.get(path):
            raise Problem(
                f"expected {path} to be of the present params.yaml and stages, got an older, changed or absent one; "
                "run: python -m seqflows dvc"
            )


def texts(found: params.Params) -> dict[Path, str]:
    """Each dvc.yaml and its content.

    Raises `Problem` if a key reads different runs or datasets at different scales.
    """
    # All code and what pins the libraries, since it sums up those of each stage.
    read = ["params.yaml", str(stages.SOURCE), *PINS]
    matrix = {"cmd": "python -m seqflows matrix", "deps": read, "outs": [str(paths.MATRIX)]}
    # `dvc params diff` and `dvc exp show` compare all of params.yaml; no stage depends on it so
    shown = yaml.dump({"params": ["params.yaml"], "plots": _curves(found)}, Dumper=_Dumper, sort_keys=False, width=1000)
    entries: dict[Path, list[str]] = {FILE: [_dumped({"matrix": matrix})]}
    for stage, row in stages.TABLE.items():
        read_by = _inputs(found, stage)
        shared = _shared(stage, read_by)
        places: dict[str, dict[str, tuple[str, ...]]] = {}
        for name, paths_read in read_by.items():
            places.setdefault(row.place(found, name), {})[name] = paths_read
        for place, here in places.items():
            where = {"wdir": "../.."} if place else {}  # commands run, and paths start, where params.yaml is
            entries.setdefault(file(place), []).extend(_stages(found, stage, here, shared, where))
    return {
        path: f"{HEAD}{_text(written)}\n{shown}" if path == FILE else f"{HEAD}{VARIABLES}{_text(written)}"
        for path, written in entries.items()
    }


def file(place: str) -> Path:
    """The dvc.yaml of a stage's place."""
    return WORKFLOW / place / FILE if place else FILE


def _text(written: Iterable[str]) -> str:
    return "stages:\n" + "\n".join(written)


def _stages(
    found: params.Params,
    stage: str,
    read: Mapping[str, tuple[str, ...]],
    shared: Collection[str],
    where: Mapping[str, str],
) -> Iterator[str]:
    """The entries of a stage's keys in one file: those of ``shared`` in one ``foreach``."""
    if together := {name: paths_read for name, paths_read in read.items() if name in shared}:
        yield _foreach(found, stage, together, where)
    for name, paths_read in read.items():
        if name not in shared:
            yield _dumped({_alone(stage, name): {**where, **_entry(found, stage, name, paths_read)}})


def addresses(found: params.Params) -> dict[tuple[str, str], str]:
    """DVC's name of each stage with each of its keys."""
    named = {}
    for stage, row in stages.TABLE.items():
        shared = _shared(stage, read := _inputs(found, stage))
        for name in read:
            place = row.place(found, name)
            short = f"{stage}@{name}" if name in shared else _alone(stage, name)
            named[stage, name] = f"{file(place)}:{short}" if place else short
    return named


def _alone(stage: str, name: str) -> str:
    return stage if name == stages.WHOLE else f"{stage}-{name}"


def _inputs(found: params.Params, stage: str) -> dict[str, tuple[str, ...]]:
    """The inputs of each key from other stages, with ``${scale}``."""
    row, read = stages.TABLE[stage], {}
    at = {scale: found.at(scale) for scale in paths.SCALES}
    for name in row.keys(found):
        at_each = {
            tuple(str(path).replace(f"/{scale}/", "/${scale}/", 1) for path in row.inputs(found, scale, name))
            for scale, here in at.items()
            if row.part not in PARTS or name in getattr(here, row.part)
        }
        if len(at_each) > 1:
            raise Problem(
                f"expected {stage} {name} to read the same at each scale, got {' and '.join(map(', '.join, at_each))}; "
                "name the same runs and datasets at each scale of params.yaml"
            )
        (read[name],) = at_each
    return read


def _shared(stage: str, read: Mapping[str, tuple[str, ...]]) -> list[str]:
    """The keys of one ``foreach``: those whose inputs differ from most others' only by names."""
    if not stages.TABLE[stage].foreach or not read:
        return []
    shapes = {name: tuple(NAME.sub("", path) for path in found) for name, found in read.items()}
    usual = statistics.mode(shapes.values())
    return [name for name, shape in shapes.items() if shape == usual]


def _entry(found: params.Params, stage: str, name: str, read: Iterable[str], of: str = "") -> dict[str, Any]:
    """A stage's command, dependencies and outputs for a key, or for a placeholder ``name`` of keys like ``of``."""
    row, key = stages.TABLE[stage], of or name
    here, scale = next((at, scale) for scale in paths.SCALES if key in row.keys(at := found.at(scale)))
    blocks = [] if row.block(here, scale, key) is None else [str(paths.block("${scale}", stage, name))]
    # Results are committed and small: DVC need not cache them.
    written = row.outputs("${scale}", name)
    outs = [
        {str(path): {"cache": False}} if path.parts[0] == "results" else str(path)
        for path in written
        if path.name != paths.SUMMARY
    ]
    metrics = [str(path) for path in written if path.name == paths.SUMMARY]
    return {
        "desc": row.what,
        "cmd": f"python -m seqflows {stage} ${{scale}}/{name}",
        "deps": [*blocks, str(paths.code(stage)), *read],
        "outs": outs,
        **({"metrics": metrics} if metrics else {}),
    }


def _curves(found: params.Params) -> list[dict[str, Any]]:
    """DVC's plots: for each dataset the validation loss of the first seed of its runs by epoch."""
    runs: dict[str, list[str]] = {}
    for name, entry in found.runs.items():
        runs.setdefault(entry["dataset"], []).append(name)
    plots = []
    for dataset, names in runs.items():
        curves = {str(paths.seed("${scale}", name, 0) / paths.HISTORY): "valid_loss" for name in names}
        labels = {"title": f"{dataset}, seed 0", "x_label": "epoch", "y_label": "validation loss"}
        plots.append({f"{dataset}: validation loss": {"x": "epoch", "y": curves, **labels}})
    return plots


def _foreach(found: params.Params, stage: str, read: Mapping[str, tuple[str, ...]], where: Mapping[str, str]) -> str:
    """The entry of several keys; items contain the key and other differences of their inputs."""
    general, items = [], {name: _Item() for name in read}
    for column in zip(*read.values(), strict=True):
        names = [NAME.search(path)[0] for path in column]
        variable = "key"
        if names != list(read):
            field = column[0].split("/${scale}")[0].split("/")[-1]
            variable = f"item.{field}"
            for item, value in zip(items.values(), names, strict=True):
                item[field] = value
        general.append(NAME.sub(f"${{{variable}}}", column[0]))
    do = {**where, **_entry(found, stage, "${key}", general, of=next(iter(read)))}
    if any(items.values()):
        return _dumped({stage: {"foreach": items, "do": do}})
    return _dumped({stage: {"foreach": list(items), "do": do}}).replace("${key}", "${item}")


class _Item(dict[str, str]):
    """An item of a ``foreach``, written on one line."""


class _Dumper(yaml.SafeDumper):
    """A YAML dumper with items on one line and indented lists."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


_Dumper.add_representer(_Item, lambda dumper, item: dumper.represent_mapping("tag:yaml.org,2002:map", item, True))


def _dumped(entry: Mapping[str, Any]) -> str:
    text = yaml.dump(entry, Dumper=_Dumper, sort_keys=False, width=1000)
    return "".join(f"  {line}\n" for line in text.splitlines())
