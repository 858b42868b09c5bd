"""``plan``: simulate the time of a scale on some GPUs, or CPUs if the scale's device is one.

A run uses one GPU, with its seeds one after another, and runs are independent: with more GPUs more runs execute at the
same time, until the longest chain of stages is the limit. No stage is run.

The minutes of ``train`` and ``evaluate`` are from the records of this scale, if there are any: of ``train`` the epochs
that a seed took times the seconds of a quiet one, since seconds by the clock include those of other jobs. A quiet epoch
has the `QUIET` quantile of the recorded ones, or the benchmark's processor seconds of an epoch of this very run
(``epoch.csv``, without validation) if these are fewer. Else they are estimated: the work, which is

    epochs x symbols of the training half x draws of the posterior       for training,
    symbols of the test set x importance samples                         for scoring,
    trajectories x words                                                 for scoring words,
    drawn symbols of all epochs, and those of the most full steps        for training on words,

at the rate of the reference nearest in kind and size, a run at another scale or a row of the benchmark, of equally near
ones that of the same data, and in proportion to the weights used at each step. Their memory is estimated by `memory`.
Stages that only read and write are assumed to be short, those of embedded corpora to take only their start. A missing
embedded corpus is generated temporarily for its sizes.
"""

from __future__ import annotations

import csv
import heapq
import json
import math
import statistics
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from seqflows import files, kinds, models, params, paths, records
from seqflows.benchmark import epoch, language, measure, parts
from seqflows.config import corpora
from seqflows.config.evaluation import EVALUATIONS
from seqflows.config.models import MODELS, sizes
from seqflows.config.training import Training
from seqflows.data import download, embedded, prepare
from seqflows.data.prepared import Facts
from seqflows.errors import Problem
from seqflows.pipeline import memory
from seqflows.pipeline.memory import Size
from seqflows.report import markdown
from seqflows.report.page import Table
from seqflows.stages import TABLE, ordered

ON_GPU = tuple(name for name, stage in TABLE.items() if stage.computes)
QUIET = 0.25  # seeds of a run differ less by it than by the median: in some, most epochs had other jobs beside them
TIMED = "paper"  # the scale of the benchmark's epochs
START = 0.05  # minutes to start a stage and import its modules
STRUCTURE = (  # the composition of a step
    "time", "hidden", "scalar", "transition", "proposals", "inference", "reader", "structure", "network",
)  # fmt: skip
OTHER = 4.5  # distance of a model of another class: as that of some ninety times the weights
ENCODED = 384  # numbers of a feature of a pretrained encoder, about
LONGEST = 2  # steps of a sequence to count weights, which are independent of it
TABLES = ("positions", "embedding")  # parameters that are looked up, not multiplied
PROFILE = Path("workflow/profiles/slurm/config.yaml")
MEASURED, ESTIMATED, ASSUMED = "measured", "estimated", "assumed"


@dataclass(frozen=True)
class Job:
    """A stage with its key: ``minutes`` that it takes, their origin, and the jobs that it waits for."""

    stage: str
    name: str
    minutes: float
    origin: str
    after: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The name ``<stage> <name>``, used by the jobs that wait for it."""
        return f"{self.stage} {self.name}"


@dataclass(frozen=True)
class Record:
    """The recorded cost of a run per seed: ``epochs`` trained, seconds of an ``epoch`` and of scoring; the device."""

    scale: str
    run: str
    epochs: float
    epoch: float
    evaluate: float
    device: str

    @property
    def train(self) -> float:
        """Seconds of a training."""
        return self.epochs * self.epoch


@dataclass(frozen=True)
class Reference:
    """Measured seconds per unit of work with a ``model`` block of ``weights`` weights, on a ``dataset`` if on one."""

    stage: str
    rate: float
    model: Mapping[str, Any]
    kind: str
    weights: int
    source: str
    dataset: str = ""

    def distance(self, model: Mapping[str, Any], weights: int) -> float:
        """The distance to a model: |log| of the weights' ratio, 1 for each part that differs, `OTHER` for the class."""
        ours, theirs = _settings(self.model), _settings(model)
        other = sum(getattr(ours, part, None) != getattr(theirs, part, None) for part in STRUCTURE)
        return abs(math.log(self.weights / weights)) + other + OTHER * (self.model["class"] != model["class"])


@dataclass(frozen=True)
class Schedule:
    """The result of a simulation: ``makespan`` in minutes, and the total ``busy`` minutes of all GPUs."""

    gpus: int
    makespan: float
    busy: float


def run(scale: str, gpus: Sequence[int], faster: float | None) -> None:
    """Print the makespan of a scale for each number of GPUs, the longest chain, and each run's minutes.

    ``faster`` is the speed of a GPU relative to the device of the records. Without it nothing is said of GPUs: times
    are those of CPUs like that of the records, one for each job that would have a GPU.

    Raises:
        Problem: a number of GPUs below 1, a factor that is not positive, or no records and sizes to estimate from.
    """
    if min(gpus) < 1:
        raise Problem(f"expected at least 1 GPU, got --gpus {' '.join(map(str, gpus))}")
    if faster is not None and not 0 < faster < math.inf:
        raise Problem(f"expected --faster to be a positive number, got {faster:g}")
    matrix = params.load().at(scale)
    found = list(_records(matrix))
    made = jobs(matrix, scale, found, faster or 1.0)
    takers = None if matrix.compute(scale)["device"] == "cpu" else ON_GPU
    unit = "CPU" if takers is None or faster is None else "GPU"
    taking = "each" if takers is None else f"{sum(job.stage in takers for job in made.values())} of them"
    print(f"scale {scale}: {len(made)} jobs, {taking} on a {unit}; a run's seeds go one after another")
    print(f"minutes from records of {', '.join(sorted({record.device for record in found}))};")
    if faster is None and takers is not None:
        print(
            "how fast a GPU is was not measured: these are days of such CPUs. For days of your GPU run\n"
            "`make benchmark` there, and plan again with --faster, the seconds of a training step in\n"
            "results/benchmark/training.csv over those in cuda.csv, which it writes beside it\n"
        )
    else:
        print(f"a {unit} taken as {faster or 1:g} times as fast\n")
    rows = []
    for count in gpus:
        result = simulate(made, count, takers)
        share = result.busy / (count * result.makespan)
        rows.append([str(count), _time(result.makespan), _time(result.busy), f"{100 * share:.0f} %"])
    heads = [f"{unit}s", "from start to end", f"time of all {unit}s", f"{unit}s busy"]
    print(markdown.blocks([Table(heads, rows, left=0)]))
    print(f"\nlongest chain, which no number of {unit}s shortens:")
    print("\n".join(f"  {_time(job.minutes):>11}  {job.key}" for job in chain(made)))
    if short := too_short(made, scale):
        print(f"\nmore than {PROFILE} allows, its runtime with all restarts (raise `limit` in src/seqflows/stages.py):")
        print("\n".join(f"  {_time(job.minutes):>11}  {job.key}, at most {_time(limit)}" for job, limit in short))
    peaks = {name: peak_memory(matrix, scale, name, host=unit == "CPU") for name in matrix.runs}
    if large := too_large(peaks, room(scale, host=unit == "CPU")):
        where = (
            f"{PROFILE} asks for at first (raise `memory` in src/seqflows/stages.py)" if unit == "CPU" else "a GPU has"
        )
        print(f"\nmore memory than {where}, by the estimates below:")
        print("\n".join(f"  {peak / 1e9:8.1f} GB  {key}, of {there / 1e9:.1f} GB" for key, peak, there in large))
    rows = []
    for name in sorted(matrix.runs, key=lambda name: -made[f"train {name}"].minutes):
        train, evaluate = made[f"train {name}"], made[f"evaluate {name}"]
        seeds = len(matrix.run(scale, name)["seeds"])
        shown = (f"{peak / 1e9:.2f}" for peak in peaks[name])
        rows.append([name, train.origin, str(seeds), _time(train.minutes), _time(evaluate.minutes), *shown])
    print(
        "\nmeasured: of training, the record's epochs times the lower quartile of their seconds, or the benchmark's\n"
        "estimated from a run or the benchmark, x r: its time for as much work, with r times its weights\n"
        "GB are estimates of the most memory at once, above 1 GB within a factor of 2.5 (FlowSeq takes less),\n"
        f"beside {memory.PROCESS / 1e9:g} GB of the process; what was measured: results/benchmark/stages.csv"
    )
    heads = ["run", "minutes are", "seeds", "train", "evaluate", "train, GB", "evaluate, GB"]
    print("\n" + markdown.blocks([Table(heads, rows, left=2)]))


def peak_memory(matrix: params.Params, scale: str, run: str, host: bool) -> tuple[float, float]:
    """Estimated peak bytes of a run's training and evaluation; ``host``: on a CPU, where checkpoints are counted."""
    block = matrix.run(scale, run)
    size, sizes_of = model_size(matrix, scale, block), _known(matrix, scale, block["dataset"])
    settings = Training.of(block["training"], "training")
    evaluation = EVALUATIONS[sizes_of["kind"]].of(block["evaluation"], "evaluation")
    return memory.training(size, settings, sizes_of, host), memory.evaluation(size, evaluation, sizes_of)


def too_short(made: Mapping[str, Job], scale: str) -> list[tuple[Job, float]]:
    """The jobs that would not end within their limit on a cluster, and the minutes that they have there.

    A training resumes, so that it has its limit again with each restart; another stage begins anew.
    """
    restarts = params.written(PROFILE)["restart-times"]
    found = []
    for job in made.values():
        row = TABLE[job.stage]
        limit = row.limit * row.size(scale) * (1 + restarts if job.stage == "train" else 1)
        if job.minutes > limit:
            found.append((job, float(limit)))
    return found


def room(scale: str, host: bool) -> dict[str, float]:
    """Bytes that a cluster is first asked for by stage, or those of this machine's GPU; empty if it has none."""
    if host:
        return {stage: 1e6 * TABLE[stage].memory * TABLE[stage].size(scale) for stage in ("train", "evaluate")}
    if torch.cuda.is_available():
        return dict.fromkeys(("train", "evaluate"), float(torch.cuda.get_device_properties(0).total_memory))
    return {}


def too_large(peaks: Mapping[str, tuple[float, float]], there: Mapping[str, float]) -> list[tuple[str, float, float]]:
    """The jobs of runs with `peak_memory` that need more bytes, with those of the process, than there are: both."""
    every = [
        (f"{stage} {name}", peak + memory.PROCESS, there[stage])
        for name, both in peaks.items()
        for stage, peak in zip(("train", "evaluate"), both, strict=True)
        if stage in there
    ]
    return sorted((one for one in every if one[1] > one[2]), key=lambda one: -one[1])


def jobs(matrix: params.Params, scale: str, records: Iterable[Record], faster: float) -> dict[str, Job]:
    """The jobs of a scale by key, in a valid order."""
    clock, made = _Clock(matrix, scale, list(records), faster), []
    small = {name for name in matrix.at(scale).datasets if matrix.dataset(scale, name)["source"] in embedded.MODULES}

    for (stage, name), before in ordered(matrix, scale).items():
        row = TABLE[stage]
        if row.usual is None:
            minutes, origin = clock.cost(name, stage)
        else:
            data = {name} if row.part == "datasets" else {other for kind, other in before if kind == "prepare"}
            minutes, origin = START if small.issuperset(data or matrix.datasets) else row.usual, ASSUMED
        made.append(Job(stage, name, minutes, origin, tuple(f"{kind} {other}" for kind, other in before)))
    return {job.key: job for job in made}


def simulate(made: Mapping[str, Job], gpus: int, takers: Collection[str] | None = ON_GPU) -> Schedule:
    """List scheduling: a free GPU takes the ready job with the longest remaining chain.

    Jobs of other stages than ``takers`` (None: all take one) start as soon as possible. At most twice the
    optimal makespan (Graham 1966).
    """
    rank, takes = ways(made), {key for key, job in made.items() if takers is None or job.stage in takers}
    missing = {key: set(job.after) for key, job in made.items()}
    waiting: list[tuple[float, str]] = []
    running: list[tuple[float, str]] = []
    now, free, busy = 0.0, gpus, 0.0

    def ready(keys: Iterable[str]) -> None:
        for key in keys:
            if key in takes:
                heapq.heappush(waiting, (-rank[key], key))
            else:
                heapq.heappush(running, (now + made[key].minutes, key))

    ready(key for key, job in made.items() if not job.after)
    while waiting or running:
        while waiting and free:
            _, key = heapq.heappop(waiting)
            heapq.heappush(running, (now + made[key].minutes, key))
            free, busy = free - 1, busy + made[key].minutes
        now, done = heapq.heappop(running)
        free += done in takes
        for after in missing.values():
            after.discard(done)
        del missing[done]
        ready(key for key in [k for k, after in missing.items() if not after] if done in made[key].after)
    return Schedule(gpus, now, busy)


def ways(made: Mapping[str, Job]) -> dict[str, float]:
    """Minutes of the longest chain that begins with each job."""
    longest = {key: job.minutes for key, job in made.items()}
    for key in reversed(made):
        for before in made[key].after:
            longest[before] = max(longest[before], made[before].minutes + longest[key])
    return longest


def chain(made: Mapping[str, Job]) -> list[Job]:
    """The jobs of the longest chain."""
    rank, found = ways(made), []
    ahead = [key for key, job in made.items() if not job.after]
    while ahead:
        found.append(made[max(ahead, key=rank.__getitem__)])
        ahead = [key for key, job in made.items() if found[-1].key in job.after]
    return found


class _Clock:
    """Minutes of training and scoring at a scale, from records and references."""

    def __init__(self, matrix: params.Params, scale: str, records: Sequence[Record], faster: float) -> None:
        self.matrix, self.scale, self.faster = matrix, scale, faster
        self.measured = {record.run: record for record in records if record.scale == scale}
        self.timed = _of_epochs(matrix)
        self.references = [*self.timed.values(), *self._of_runs(records), *_of_benchmark()]

    def cost(self, run: str, stage: str) -> tuple[float, str]:
        """The minutes of all seeds of a run, and their origin."""
        block = self.matrix.run(self.scale, run)
        seeds = len(block["seeds"])
        if run in self.measured:
            record = self.measured[run]
            seconds, origin = getattr(record, stage), record.device
            if stage == "train" and self.scale == TIMED and run in self.timed:
                benchmark = record.epochs * self.timed[run].rate * _work(self.matrix, self.scale, run, stage, epochs=1)
                if benchmark < seconds:
                    seconds, origin = benchmark, "an epoch by the benchmark"
            return START + seconds * seeds / 60 / self.faster, f"{MEASURED}, {origin}"
        kind, model = self.matrix.datasets[block["dataset"]]["kind"], block["model"]
        every = [reference for reference in self.references if reference.stage == stage]
        alike = [r for r in every if r.kind == kind] or every  # a symbol of another kind is another amount of work
        if not alike:
            raise Problem(
                f"expected the record of a run in {paths.results('laptop') / 'runs'} or runs/, found none; "
                "train and evaluate one at a smaller scale"
            )
        weights = model_size(self.matrix, self.scale, block).multiplied
        nearest = min(alike, key=lambda one: (one.distance(model, weights), one.dataset != block["dataset"]))
        ratio = weights / nearest.weights
        seconds = nearest.rate * _work(self.matrix, self.scale, run, stage) * ratio * seeds
        other = "" if nearest.model["class"] == model["class"] else ", another model"
        return START + seconds / 60 / self.faster, f"{ESTIMATED} from {nearest.source}, x {ratio:.3g}{other}"

    def _of_runs(self, records: Iterable[Record]) -> Iterator[Reference]:
        for record in records:
            block = self.matrix.run(record.scale, record.run)
            kind = self.matrix.datasets[block["dataset"]]["kind"]
            weights, source = model_size(self.matrix, record.scale, block).multiplied, f"{record.scale}/{record.run}"
            for stage, seconds in (("train", record.epoch), ("evaluate", record.evaluate)):
                rate = seconds / _work(self.matrix, record.scale, record.run, stage, epochs=1)
                yield Reference(stage, rate, block["model"], kind, weights, source, block["dataset"])


def model_size(matrix: params.Params, scale: str, block: Mapping[str, Any]) -> Size:
    """The size of the model of a run's block."""
    data = matrix.dataset(scale, block["dataset"])
    found = vars(corpora.block(data))
    shape = (found.get("length", LONGEST), found.get("dimensions", 0))  # of the matrices of flows of language
    if data["kind"] == "translation":
        shape = (found["max_length"], 0, found["vocabulary_size"], found["max_length"])
    elif kinds.of(data["kind"]).conditional:
        encoder = matrix.encoder(scale, block["dataset"])
        width = encoder.get("width", ENCODED) if encoder else 0
        own = (found.get(name, 0) for name in ("dimensions", "vocabulary_size", "window"))
        shape = (found.get("question_length", LONGEST), *own, width)
    return _size(_frozen(block["model"]), data["kind"], *shape)


def _of_epochs(matrix: params.Params, folder: Path = parts.FOLDER) -> dict[str, Reference]:
    """The runs of scale `TIMED` of which `make benchmark` measured an epoch, with the real lengths of their data."""
    found = {}
    for row in _rows(folder / "epoch.csv"):
        run = f"{row['dataset']}-{epoch.MODELS[row['model']]}"
        if TIMED in matrix.runs.get(run, {}):
            block = matrix.run(TIMED, run)
            kind, weights = matrix.datasets[block["dataset"]]["kind"], model_size(matrix, TIMED, block).multiplied
            rate = float(row["seconds"]) / (int(row["symbols"]) * int(row["samples"]))
            source = f"benchmark, {row['dataset']} {row['model']}"
            found[run] = Reference("train", rate, block["model"], kind, weights, source, block["dataset"])
    return found


def _of_benchmark(folder: Path = parts.FOLDER) -> Iterator[Reference]:
    """References from the training steps of `make benchmark`, at the paper's sizes."""
    rows = _rows(folder / "language_flow.csv")
    for name, parts_of in language.MODELS.items():
        block = {"class": "language_flow", **parts_of}
        weights = _size(_frozen(block), "language", language.SHAPE["length"], language.SHAPE["dimensions"]).multiplied
        for tokens in (float(row["tokens_per_second"]) for row in rows if row["model"] == name):
            yield Reference("train", 1 / tokens, block, "language", weights, f"benchmark, {name}")
    rows = _rows(folder / "training.csv")
    for shape in measure.shapes():
        seconds = [float(row["seconds"]) for row in rows if (row["shape"], row["model"]) == (shape.shape, shape.model)]
        if seconds:
            rate = min(seconds) / (shape.sequences * shape.steps * shape.samples)
            weights = _size(_frozen(shape.block), shape.kind).multiplied
            yield Reference("train", rate, shape.block, shape.kind, weights, f"benchmark, {shape.shape}")


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _work(matrix: params.Params, scale: str, run: str, stage: str, epochs: int | None = None) -> float:
    """Units of work of a stage for one seed, see the module's docstring; of a training of ``epochs``, if given."""
    block = matrix.run(scale, run)
    data = block["dataset"]
    sizes = _known(matrix, scale, data)
    training, evaluation = block["training"], block["evaluation"]
    train, test = sizes["splits"]["train"], sizes["splits"]["test"]
    epochs = training["epochs"] + (training.get("full_steps") or 0) if epochs is None else epochs
    if kinds.of(sizes["kind"]).counted:
        if stage == "evaluate":
            return max(evaluation["trajectories"]) * sizes["types"]
        drawn = min(epochs, training["epochs"])  # those after them are steps with all counts
        words = drawn * training["drawn"] + (epochs - drawn) * train["types"]
        return words * (train["mean_length"] + 1)
    if stage == "evaluate":
        return test["symbols"] * evaluation.get("samples", evaluation.get("draws", 1))
    return epochs * train["symbols"] * training.get("samples", 1)


def _records(matrix: params.Params) -> Iterator[Record]:
    """The records of every run made here, else of the kept runs."""
    for scale in paths.SCALES:
        for run in matrix.runs:
            trained, metrics = records.trained(scale, run), records.metrics(scale, run)
            if trained and metrics:
                yield _record(scale, run, trained, metrics["metrics"])


def _record(scale: str, run: str, trained: Sequence[records.Trained], metrics: Iterable[Mapping[str, Any]]) -> Record:
    scored = {entry["seed"]: float(entry.get("wall_seconds") or 0.0) for entry in metrics}
    first = trained[0].record
    device = f"{first['device_name']} ({first['device']}, {first['threads']} thread{'s' * (first['threads'] != 1)})"
    seconds = [float(row["seconds"]) for seed in trained for row in seed.history if row.get("seconds")]
    epochs = statistics.mean(int(seed.record["epochs"]) for seed in trained)
    if seconds:
        quiet = float(np.quantile(seconds, QUIET))
    else:  # of an older record, whose history has none
        quiet = statistics.mean(float(seed.record["wall_seconds"]) for seed in trained) / epochs
    return Record(scale, run, epochs, quiet, statistics.median(scored.values()), device)


def _known(matrix: params.Params, scale: str, dataset: str) -> dict[str, Any]:
    """The sizes of a dataset or, of one that no scale has made yet, of another of its kind."""
    kind, refused = matrix.datasets[dataset]["kind"], None
    others = [name for name, entry in matrix.datasets.items() if entry["kind"] == kind and scale in entry]
    for name in (dataset, *(name for name in others if name != dataset)):
        try:
            return _sizes(scale, name, json.dumps(matrix.dataset(scale, name), sort_keys=True))
        except Problem as problem:
            refused = refused or problem
    raise refused


@cache
def _sizes(scale: str, dataset: str, block: str) -> dict[str, Any]:
    """A dataset's statistics as prepared here or as kept beside the results.

    Else those of the embedded corpus of the ``block`` (JSON), or of the nearest other scale.
    """
    order = (scale, *(other for other in reversed(paths.SCALES) if other != scale))
    places = [place for one in order for place in (paths.prepared(one, dataset), paths.statistics(one, dataset))]
    found = [path for place in places if (path := place if place.suffix else place / "statistics.json").exists()]
    made = json.loads(block)["source"] in embedded.MODULES
    if found and (scale in found[0].parts or not made):
        return files.read_json(found[0])
    if made:
        return _made(json.loads(block), dataset)
    raise Problem(
        f"expected the sizes of {dataset} in {' or '.join(map(str, places[:2]))}, found neither, nor those of another "
        f"scale; run: python -m seqflows download {scale}/{dataset} && python -m seqflows prepare {scale}/{dataset}"
    )


def _made(block: Mapping[str, Any], dataset: str) -> dict[str, Any]:
    """The statistics of an embedded corpus, generated in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        raw, out = Path(folder) / "raw", Path(folder) / "prepared"
        download.fetch(block, raw)
        prepare.prepare(block, raw, out, dataset)
        return files.read_json(out / "statistics.json")


def _settings(block: Mapping[str, Any]) -> Any:
    """A model block with its defaults filled in."""
    return MODELS[block["class"]].block.of(sizes(block), "model")


def _frozen(block: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    return tuple((key, tuple(value) if isinstance(value, list) else value) for key, value in sorted(block.items()))


@cache
def _size(
    model: tuple[tuple[str, Any], ...], kind: str, longest: int = LONGEST, dimensions: int = 0, outputs: int = 0,
    window: int = 0, features: int = 0,
) -> Size:  # fmt: skip
    """The size of a model, of whose parameters look-up tables are not multiplied."""
    row = kinds.of(kind)
    symbols = outputs or row.symbols
    vectors = np.zeros((symbols, dimensions), np.float32) if dimensions else None
    counts = (1000,) * (longest + 1)  # enough for any number of states
    texts = np.zeros((1, longest), np.int32)
    facts = Facts(row.emission, symbols, longest, counts, vectors, outputs, window, features, 1, texts)  # for all
    with torch.device("meta"):
        built = models.build(dict(model), facts)
    named = built.named_parameters()
    matrices = [p for name, p in named if p.dim() > 1 and name.split(".")[0] not in TABLES]
    every, rows = sum(p.numel() for p in built.parameters()), sum(p.shape[:-1].numel() for p in matrices)
    return Size(max(1, sum(p.numel() for p in matrices)), every, rows, built.exact)


def _time(minutes: float) -> str:
    """``3 d 04 h``, ``4 h 05 min`` or ``12 min``."""
    if minutes >= 1440:
        hours = round(minutes / 60)
        return f"{hours // 24} d {hours % 24:02d} h"
    if (whole := round(minutes)) >= 60:
        return f"{whole // 60} h {whole % 60:02d} min"
    return f"{minutes:.1f} min" if minutes < 10 else f"{whole} min"
