"""The goals of speed and memory, each beside what was measured, from the other parts' files."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

COLUMNS = ("what", "unit", "measured", "goal", "met", "file", "goes to")
SIDE_BY_SIDE = "authors/side_by_side"  # both codes in turns
PROFILE = "profiles"  # the file of where the time goes
SHOWN = 3  # of the shares of a profile


class Goal(NamedTuple):
    """``what``, in ``unit``, is to be at most (or at least) ``goal``: ``column`` of ``file``, where ``where`` holds.

    ``profile`` is what of which model says where the time of one that is not met goes. Of several rows
    the largest number counts; the columns ``largest`` say which row has it.
    """

    what: str
    unit: str
    goal: float
    file: str
    column: str
    where: Mapping[str, str]
    least: bool = False
    profile: tuple[str, str] | None = None
    largest: tuple[str, ...] = ()


def _steps(shape: str, model: str, goal: float) -> Goal:
    where, profile = {"shape": shape, "model": model, "threads": "1"}, ("step", f"{shape}: {model}")
    what = f"training step, {shape.split(',')[0]} {model}"
    return Goal(what, "GFLOP-eq.", goal, "training", "gflop_equivalents", where, profile=profile)


def _words(model: str) -> Goal:
    where, profile = {"model": model}, ("step", model)
    return Goal(f"training step, words, {model}", "own products", 1.5, "words", "ratio", where, profile=profile)


def _language(model: str) -> Goal:
    where, profile = {"model": model}, ("step", model)
    return Goal(f"training step, {model}", "own arithmetic", 1.2, "language_flow", "ratio", where, profile=profile)


def _sampled(model: str, goal: float) -> Goal:
    where, column = {"model": model}, "sampled_tokens_per_second"
    what, profile = f"sampling, {model}", ("sampling", model)
    return Goal(what, "tokens/s", goal, "language_flow", column, where, least=True, profile=profile)


def _sampling(model: str, goal: float) -> Goal:
    where, profile = {"model": model, "steps": "20"}, ("sampling", model)
    return Goal(f"sampling 20 steps, {model}", "s", goal, "sampling", "seconds", where, profile=profile)


def _passes(steps: str) -> Goal:
    where, profile = {"model": "PTB AF/AF", "steps": steps}, ("sampling", "PTB AF/AF")
    return Goal(f"sampling {steps} steps, PTB AF/AF", "passes", 2.0, "passes", "times_pass", where, profile=profile)


def _begins(stage: str, goal: float) -> Goal:
    return Goal(f"beginning of a stage, {stage}", "s of CPU", goal, "imports", "seconds", {"stage": stage})


def _writes(what: str, file: str, model: str, does: str = "beam search") -> tuple[Goal, Goal]:
    """A training step, and the writing of texts, over their own arithmetic at the rate of the fastest kernel."""
    where = {"model": model}
    return (
        Goal(f"training step, {what}", "limit", 1.5, file, "times_limit", where, profile=("step", model)),
        Goal(f"{does}, {what}", "limit", 3.0, file, "written_times_limit", where, profile=("writing", model)),
    )


def _quality(data: str, bound: str, code: str, goal: float) -> Goal:
    where = {"data": data, "bound": bound, "code": code}
    what = f"time to the authors' bound, {data}, {code}"
    return Goal(what, "authors' time", goal, "time_to_quality", "ratio", where)


def _whole(what: str, goal: float) -> Goal:
    return Goal(what, "min", goal, "whole", "minutes", {"what": what})


HMM = "HMM, 512 states"
JSB = ("step", "JSB, 5 x 60 x 1: AF/AF")
GOALS = (
    _steps("PTB, 4 x 100 x 5", "AF/AF", 115),
    _steps("PTB, 4 x 100 x 5", "IAF/SCF", 130),
    _steps("JSB, 5 x 60 x 1", "AF/AF", 28),
    _steps("JSB, 5 x 60 x 1", "IAF/SCF", 55),
    _steps("Nottingham, 5 x 250 x 1", "AF/AF", 115),
    _steps("MuseData, 1 x 468 x 1", "AF/AF", 65),
    Goal("epoch of JSB, AF/AF", "authors' time", 0.33, SIDE_BY_SIDE, "ratio", {"what": "jsb500"}, profile=JSB),
    _sampling("PTB AF/AF", 0.06),
    _sampling("PTB IAF/SCF", 0.010),
    _passes("20"),
    _passes("288"),
    *map(_words, ("TRIL", "TRIL, K=5", "TRIL, K=10", "2xTRIL", "2xTRIL, K=10", "REAL-NVP", "GRU-8")),
    *(
        Goal(f"training, {HMM}", unit, goal, "markov", column, {"model": HMM})
        for unit, goal, column in (("min", 10.0, "minutes"), ("GiB", 2.0, "peak_gib"))
    ),
    *map(_language, ("Att-S", "RNN-S", "Att-C", "RNN-C", "Att-AR", "RNN-AR")),
    _sampled("Att-AR", 360),
    _sampled("RNN-AR", 405),
    *_writes("question generation", "questions", "squad-qg"),
    *_writes("question generation, Lang-Flow", "questions", "squad-qg-lang_flow"),
    *_writes("question generation, FlowSeq", "questions", "squad-qg-flowseq", "writing"),
    *_writes("translation", "translation", "wmt16-nmt"),
    *_writes("translation, Lang-Flow", "translation", "wmt16-nmt-lang_flow"),
    Goal("memory of the largest stage at laptop", "GiB", 2.0, "stages", "peak_gib", {}, largest=("stage", "key")),
    _begins("train", 1.0),
    _begins("evaluate", 1.0),
    *(_begins(stage, 0.4) for stage in ("table", "figure", "audit")),
    _quality("jsb128", "8.267", "after", 0.2),
    _quality("ptb2400", "2.338", "codebook", 0.01),
    _whole("make test", 5),
    _whole("make demo", 15),
    _whole("dvc repro", 15),
    _whole("snakemake -j 2", 8),
)


def run(folder: Path) -> list[dict[str, Any]]:
    """A row for each goal; one whose file, row, column or number is not there is named as not measured."""
    return [_row(goal, folder) for goal in GOALS]


def _row(goal: Goal, folder: Path) -> dict[str, Any]:
    measured, met = None, "not measured"
    row = _found(folder, goal.file, goal.where, goal.column if goal.largest else None)
    if row.get(goal.column):
        measured = float(row[goal.column])
        met = "yes" if (measured >= goal.goal if goal.least else measured <= goal.goal) else "no"
    goes = _goes(goal, row, folder) if met == "no" else ""
    print(f"  {goal.what}: {measured} {goal.unit}, goal {goal.goal:g}: {met}", flush=True)
    at = ("at least " if goal.least else "") + f"{goal.goal:g}"
    return dict(zip(COLUMNS, (goal.what, goal.unit, measured, at, met, f"{goal.file}.csv", goes), strict=True))


def _found(folder: Path, name: str, where: Mapping[str, str], largest: str | None = None) -> Mapping[str, str]:
    """The one row of a part's file where ``where`` holds, or that with the ``largest`` number; empty for none."""
    path = folder / f"{name}.csv"
    if not path.exists():
        return {}
    with open(path, encoding="utf-8") as file:
        found = [row for row in csv.DictReader(file) if where.items() <= row.items()]
    if largest and found:
        return max(found, key=lambda row: float(row[largest]))
    if len(found) > 1:
        raise ValueError(f"Expected one row of {path} where {dict(where)}, got {len(found)}")
    return found[0] if found else {}


def _goes(goal: Goal, row: Mapping[str, str], folder: Path) -> str:
    """Where it goes: the most of the profile, the largest library alone, or which stage it is; "" if unknown."""
    if row.get("needs"):
        return f"{row['needs']} alone {row['alone']}"
    if row.get("goes to"):
        return row["goes to"]
    if goal.largest:
        return " ".join(row[name] for name in goal.largest)
    if goal.profile is None:
        return ""
    what, model = goal.profile
    shares = dict(_found(folder, PROFILE, {"what": what, "model": model}))
    most = sorted(((float(shares[sort]), sort) for sort in shares if sort not in ("what", "model")), reverse=True)
    return ", ".join(f"{sort} {share:.0f} %" for share, sort in most[:SHOWN])
