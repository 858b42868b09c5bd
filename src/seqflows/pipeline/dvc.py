"""``dvc``: write dvc.yaml, and those below workflow/, from the table of stages and params.yaml.

Paths keep ``${scale}``, the only value that DVC reads from params.yaml. The stages with most keys have files of their
own, since DVC reads and rewrites the whole dvc.lock beside a dvc.yaml after each of its stages.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from seqflows import files, params, paths, stages
from seqflows.errors import Problem

FILE = Path("dvc.yaml")
WORKFLOW = Path("workflow")
# The files below WORKFLOW and their stages; all others are in FILE.
INNER = {
    WORKFLOW / "data" / FILE: ("download", "prepare", "features", "rewrite", "filter"),
    WORKFLOW / "train" / FILE: ("train",),
    WORKFLOW / "evaluate" / FILE: ("evaluate", "generate", "speed"),
}
# A scale may lack their entries; DVC then gets placeholder outputs.
PARTS = ("datasets", "features", "runs", "speeds", "texts", "comparisons", "rewrites", "encoded", "filters")
HEAD = """\
# Written by `python -m seqflows dvc` from params.yaml and the table in src/seqflows/stages.py: change those and write
# it anew. Each stage depends on a file with its own part of params.yaml and one with the checksums of its own code: a
# change of either reruns what it touches.

"""
NAME = re.compile(
    r"(?<=/\$\{scale\}/)[^/]+"
)  # name of an entry of params.yaml in the path of an input from another stage


def run() -> None:
    """Write them."""
    for path, text in texts(params.load()).items():
        files.write_text(path, text)


def check(found: params.Params) -> None:
    """Raise `Problem` if there is a dvc.yaml, and one of them does not match the present table and params.yaml."""
    if not FILE.exists():
        return
    for path, text in texts(found).items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            raise Problem(
                f"expected {path} to be of the present params.yaml and stages, got an older, changed or absent one; "
                "run: python -m seqflows dvc"
            )


def texts(found: params.Params) -> dict[Path, str]:
    """Each dvc.yaml and its content.

    Raises `Problem` if a key reads different runs or datasets at different scales.
    """
    read = ["params.yaml", str(stages.SOURCE)]  # all code, since it sums up that of each stage
    matrix = {"cmd": "python -m seqflows matrix", "deps": read, "outs": [str(paths.MATRIX)]}
    # `dvc params diff` and `dvc exp show` compare all of params.yaml; no stage depends on it so
    shown = yaml.dump({"params": ["params.yaml"], "plots": _curves(found)}, Dumper=_Dumper, sort_keys=False, width=1000)
    inner = [stage for some in INNER.values() for stage in some]
    last = [stage for stage in stages.TABLE if stage not in inner]
    text = _text([_dumped({"matrix": matrix}), *_stages(found, last)])
    return {FILE: f"{HEAD}{text}\n{shown}"} | {
        path: f"{HEAD}vars:\n  - ../../params.yaml:scale\n\n{_text(_stages(found, some, wdir='../..'))}"
        for path, some in INNER.items()
    }


def _text(written: Iterable[str]) -> str:
    return "stages:\n" + "\n".join(written)


def _stages(found: params.Params, some: Iterable[str], **where: str) -> list[str]:
    """The entries of some stages, their paths relative to ``wdir`` if it is given."""
    written = []
    for stage in some:
        read = _inputs(found, stage)
        shared = _shared(stage, read)
        if shared:
            written.append(_foreach(found, stage, {name: read[name] for name in shared}, where))
        alone = [name for name in read if name not in shared]
        written += [_dumped({_alone(stage, name): where | _entry(found, stage, name, read[name])}) for name in alone]
    return written


def addresses(found: params.Params) -> dict[tuple[str, str], str]:
    """DVC's name of each stage with each of its keys."""
    files_of = {stage: f"{path}:" for path, some in INNER.items() for stage in some}
    named = {}
    for stage in stages.TABLE:
        read, file = _inputs(found, stage), files_of.get(stage, "")
        shared = _shared(stage, read)
        named |= {(stage, name): file + (f"{stage}@{name}" if name in shared else _alone(stage, name)) for name in read}
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
