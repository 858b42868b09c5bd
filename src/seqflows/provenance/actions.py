"""What was done: a CreateAction for each kept run, and one for each key of a stage whose outputs are kept.

Inputs and outputs are those of the table of stages, at the places where `report.keep` puts them. Neither times nor the
engine nor a person are in the records, so an action has no startTime, no endTime and no agent. Without an actionStatus
it is one that was completed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from seqflows import paths, records
from seqflows.errors import Problem
from seqflows.params import Params
from seqflows.provenance.entities import SHOWN, Dataset, Entity, Properties, ref, revision, tool, value
from seqflows.report.inputs import Results
from seqflows.stages import TABLE

SETTINGS = Path("params.yaml")
SHOWING = ("generate", "compare", "speed", "table", "figure", "audit", "page")  # stages whose outputs are kept
LATER = "_sha256"  # the end of the keys of a training's inputs beside its data: features, candidates, what was kept


def runs(scale: str) -> dict[str, dict[str, Any]]:
    """The kept records of a scale by run, each checked as it is read."""
    found = {}
    for path in sorted(paths.record(scale, "*").parent.glob("*.json")):
        found[path.stem] = records.kept(scale, path.stem) or {}
    return found


def drawn(found: Params, scale: str, known: Mapping[str, Mapping[str, Any]]) -> None:
    """Check the kept files of figures against their records.

    Raises:
        Problem: a file with another sha256, or one that its record does not list.
    """
    results = Results(found, scale)
    for run in known:
        for path in sorted(paths.drawn(scale, run).rglob("*")):
            if path.is_file():
                results.verified(run, path)


def data(content: Mapping[str, Any], current: Mapping[str, Dataset]) -> list[Dataset]:
    """The prepared data of a run's records, which are those that are kept if their sha256 are equal."""
    name = content["dataset"]
    now = current.get(name, Dataset(name, "", ""))
    seen = dict.fromkeys(
        one["dataset_sha256"] for part in ("train", "metrics") for one in content[part] if one.get("dataset_sha256")
    )
    return [now if sha256 == now.sha256 else Dataset(name, sha256, "") for sha256 in seen]


def run(
    found: Params, scale: str, content: Mapping[str, Any], current: Mapping[str, Dataset], there: Iterable[Path]
) -> list[Entity]:
    """The training and scoring of a run: the action, then what it refers to beside files and data."""
    name, trainings, metrics = content["run"], content["train"], content["metrics"]
    called = f"#run/{name}"
    code = [revision(one["revision"], one.get("versions") or {}) for one in trainings]
    code += [revision(one["revision"], {}) for one in metrics if not _same(one["revision"], trainings)]
    seeds = ", ".join(map(str, dict.fromkeys(one["seed"] for one in [*trainings, *metrics])))
    inputs = [value(f"#seeds/{seeds.replace(', ', '-')}", "seeds", seeds)]
    for key in sorted({key for one in trainings for key in one if key.endswith(LATER) and key != f"dataset{LATER}"}):
        for sha256 in dict.fromkeys(one[key] for one in trainings if key in one):
            what = key.removesuffix(LATER)
            inputs.append(value(f"#{what}/{sha256[:SHOWN]}", f"sha256 of the {what} that it was trained with", sha256))
    devices = [_device(one) for one in [*trainings, *metrics]]
    seconds = sum(one.get("wall_seconds") or 0.0 for one in trainings)
    spent = (
        [value(f"{called}/seconds", "training, all seeds", round(seconds, 3), unitText="seconds")] if seconds else []
    )
    others = [
        path for path in _inputs(found, scale, "train", name, there) if path.parent == paths.record(scale, "").parent
    ]
    objects = [one.id for one in data(content, current)] + [path.as_posix() for path in others]
    wrote = [path.as_posix() for path in there if path.is_relative_to(paths.written(scale, name))]
    properties: Properties = {
        "name": f"{scale}/{name}",
        "description": f"Training of {name} at scale {scale} and its score on the test set, seeds {seeds}.",
        "instrument": ref(*(one[0].id for one in code)),
        "object": ref(SETTINGS.as_posix(), *objects, *(one.id for one in inputs)),
        "result": ref(paths.record(scale, name).as_posix(), *wrote),
        "additionalProperty": ref(*(one.id for one in devices)),
    }
    if spent:
        properties["resourceUsage"] = ref(*(one.id for one in spent))
    more = [*(entity for one in code for entity in one), *inputs, *devices, *spent]
    return [Entity(called, ("CreateAction",), properties), *more]


def _same(name: str, trainings: Iterable[Mapping[str, Any]]) -> bool:
    return any(one["revision"] == name for one in trainings)


def _device(one: Mapping[str, Any]) -> Entity:
    """The device of a training or a score, as its record has it."""
    threads = one.get("threads")
    parts = [one.get("device_name"), one.get("precision"), threads and f"{threads} thread" + "s" * (threads != 1)]
    said = ", ".join(map(str, filter(None, [one["device"], *parts])))
    return value(f"#device/{said.replace(', ', '/').replace(' ', '-')}", "device", said)


def shown(found: Params, scale: str, there: Iterable[Path]) -> list[Entity]:
    """An action for each key of the stages `SHOWING` with an output among the files that are ``there``."""
    here, made = found.at(scale), []
    for stage in SHOWING:
        row = TABLE[stage]
        for name in row.keys(here):
            outputs = _present(row.outputs(scale, name), there)
            if not outputs:
                continue
            inputs = _inputs(found, scale, stage, name, there)
            properties = {
                "name": f"{stage} {scale}/{name}",
                "description": f"Stage {stage}: {row.what}.",
                "instrument": ref(tool(stage)),
                "object": ref(SETTINGS.as_posix(), *(path.as_posix() for path in inputs if path not in outputs)),
                "result": ref(*(path.as_posix() for path in outputs)),
            }
            made.append(Entity(f"#{stage}/{name}", ("CreateAction",), properties))
    return made


def _inputs(found: Params, scale: str, stage: str, name: str, there: Iterable[Path]) -> list[Path]:
    """The kept inputs of a stage's key; empty for a key that params.yaml does not have at the scale."""
    here, row = found.at(scale), TABLE[stage]
    return _present(row.inputs(here, scale, name), there) if name in row.keys(here) else []


def _place(path: Path) -> Path:
    """Where an output of a stage is kept.

    >>> print(_place(paths.metrics("laptop", "jsb-lstm")), _place(paths.speed("laptop", "ptb")))
    results/laptop/runs/jsb-lstm.json results/laptop/speed/ptb.csv
    """
    match path.parts:
        case "runs", scale, name, *_ if name not in paths.RESERVED:
            return paths.record(scale, name)
        case "runs", *_:
            return paths.kept(path)
        case "data", "prepared", scale, name:
            return paths.statistics(scale, name)
    return path


def _present(wanted: Iterable[Path], there: Iterable[Path]) -> list[Path]:
    """Where outputs of stages are kept, or what is kept below their folders, among the files that are ``there``."""
    places = {_place(path) for path in wanted}
    return sorted(path for path in there if path in places or not places.isdisjoint(path.parents))


def checked(entities: Iterable[Entity]) -> list[Entity]:
    """Each entity once, in order.

    Raises:
        Problem: two different entities have one id, or one refers to an id of the crate that is not there.
    """
    found: dict[str, Entity] = {}
    for entity in entities:
        if found.setdefault(entity.id, entity) != entity:
            raise Problem(f"expected one thing with the id {entity.id} in the crate, got two that differ; rename one")
    for entity in found.values():
        for one in _references(entity.properties):
            if one not in found and not one.startswith(("http:", "https:")):
                raise Problem(f"expected {one}, which {entity.id} refers to, in the crate, found none; keep it first")
    return list(found.values())


def _references(value: Any) -> Iterable[str]:
    if isinstance(value, Mapping):
        if "@id" in value:
            yield value["@id"]
        for part in value.values():
            yield from _references(part)
    elif isinstance(value, list):
        for part in value:
            yield from _references(part)
