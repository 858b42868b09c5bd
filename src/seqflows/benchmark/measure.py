r"""Benchmark of latent flows: training steps, sampling, and memory of importance sampling, at the paper's sizes.

A step's cost is given in GFLOP-equivalents: its seconds times the GFLOP/s of a 1024 x 1024 float32 matrix product
timed right before it in the same process with one thread. The unit is comparable between machines with similar
bottlenecks. ``shapes.csv`` holds the cost of the authors' released code in that unit
(harvardnlp/TextFlow, changed only where a newer torch needs it), with machine and number of threads; it was
timed together with ours, with nothing else running. Its 8 accumulated MuseData sequences are 8 times one.

One thread is timed in processor seconds: on an idle machine these equal wall time, and other load does not add to
them. Several threads are timed by the wall clock, which needs an idle machine.

The machine's own limit is the step's arithmetic at the rate of the fastest float32 kernel found (`kernels`).
"""

from __future__ import annotations

import contextlib
import csv
import itertools
import math
import multiprocessing
import os
import resource
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from seqflows import compute, kinds, models
from seqflows.config.evaluation import Sequences
from seqflows.config.training import Training
from seqflows.data.batching import Batch, collate
from seqflows.data.prepared import Dataset, Facts, Split
from seqflows.evaluation import likelihood
from seqflows.models.base import Model
from seqflows.models.latent_sequence import LatentSequence
from seqflows.training.trainer import Trainer

TRAINING = (
    *("shape", "model", "threads", "seconds", "gemm_gflops", "gflop_equivalents", "authors_gflop_equivalents"),
    *("ratio_to_authors", "arithmetic_gflop", "kernel_gflops", "limit_seconds", "times_limit"),
)
SAMPLING = ("model", "steps", "seconds", "reference", "ratio")
PASSES = ("model", "steps", "seconds", "pass_seconds", "times_pass")
MEMORY = ("model", "sequences", "symbols", "samples", "chunk", "seconds", "peak_gib", "nll")
DEVICE = ("shape", "model", "precision", "seconds", "tokens_per_second", "gflop", "matrix_gflops", "share")
MODELS = {
    "AF/AF": {"time": "af", "hidden": "made"},
    "AF/SCF": {"time": "af", "hidden": "coupling"},
    "IAF/SCF": {"time": "iaf", "hidden": "coupling", "dropout": 0.0},
}
SIZES = {"latent": 50, "embedding": 500, "width": 500, "depth": 2, "flow_width": 100, "position": 32, "dropout": 0.2}
SIDE = 1024  # of the matrices
UNITS = 500  # of the LSTMs and linear maps that determine the limit
KERNELS = ((5, 60), (20, 100), (5, 250))  # their batches: sequences x steps
REPEATS = 7
SPREAD = 0.15  # of the matrix rates in one measurement; above it is repeated
ATTEMPTS = 6
SLOWER = 1.3  # times the seconds with other threads: not repeated
SAMPLED = 20  # steps of a sampled sequence
LONG = 288  # as many as the longest of PTB has; no time of the authors' code is known


class Shape(NamedTuple):
    """A row of shapes.csv: model and data, and the cost of the authors' code."""

    shape: str
    kind: str
    max_length: int
    symbols: int
    sequences: int
    steps: int
    samples: int
    model: str
    layers: int
    reference: float  # GFLOP-equivalents of a step
    reference_seconds: float
    reference_threads: int
    reference_machine: str
    reference_parameters: float  # millions
    reference_sampling: float | None  # seconds for SAMPLED steps

    @property
    def facts(self) -> Facts:
        """The facts of data of this shape, with uniform lengths."""
        return Facts(kinds.of(self.kind).emission, self.symbols, self.max_length, (0, *[1] * self.max_length))

    @property
    def name(self) -> str:
        """Corpus and model."""
        return f"{self.shape.split(',')[0]} {self.model}"

    @property
    def block(self) -> dict[str, Any]:
        """The paper's model as a run's block."""
        return {"class": "latent_sequence", "layers": self.layers, **SIZES, **MODELS[self.model]}

    def build(self, **sizes: int) -> Model:
        """The paper's model, or a smaller one."""
        torch.manual_seed(0)
        return models.build({**self.block, **sizes}, self.facts)


class Measured(NamedTuple):
    """The fastest of several repeats."""

    seconds: float
    gemm_gflops: float

    @property
    def gflop_equivalents(self) -> float:
        """Seconds x GFLOP/s."""
        return self.seconds * self.gemm_gflops


def shapes() -> list[Shape]:
    """All rows of shapes.csv."""
    types = dict.fromkeys(("shape", "kind", "model", "reference_machine"), str) | dict.fromkeys(
        ("max_length", "symbols", "sequences", "steps", "samples", "layers", "reference_threads"), int
    )
    with open(Path(__file__).with_name("shapes.csv"), encoding="utf-8") as file:
        return [
            Shape(**{name: types.get(name, float)(value) if value else None for name, value in row.items()})
            for row in csv.DictReader(file)
        ]


# -- training steps


def training(counts: Iterable[int], chosen: Iterable[Shape] | None = None, **sizes: int) -> list[dict[str, Any]]:
    """One optimiser step of every shape, with each number of threads.

    Also the authors' code (shapes.csv) and the limit: the step's arithmetic (`flops`) at the rate of
    the fastest kernel found with as many threads in this process.
    """
    rows, limits = [], dict.fromkeys(counts, 0.0)
    for shape in chosen or shapes():
        trained, found = trainer(shape, "cpu", **sizes), {}
        for threads in limits:
            torch.set_num_threads(threads)
            limits[threads] = max(limits[threads], *kernels().values())
            known = min((other.seconds for other in found.values()), default=math.inf)
            found[threads] = steady(lambda trained=trained: step(trained), known)
        for threads, measured in found.items():
            torch.set_num_threads(threads)
            rows.append(_row(shape, threads, measured, of_shape(shape, **sizes) / 1e9, limits[threads]))
            print(
                f"  {shape.shape}, {shape.model}, {threads} thread(s): {measured.seconds:.3f} s, "
                f"{measured.gflop_equivalents:.0f} GFLOP-equivalents; the authors' code {shape.reference:.0f} with "
                f"{shape.reference_threads}; {rows[-1]['times_limit']:.2f} x the machine's limit",
                flush=True,
            )
    return rows


def _row(shape: Shape, threads: int, found: Measured, gflop: float, kernel: float) -> dict[str, Any]:
    limit = gflop / kernel
    values = (shape.shape, shape.model, threads, round(found.seconds, 4), round(found.gemm_gflops, 1))
    values += (round(found.gflop_equivalents, 1), shape.reference, round(found.gflop_equivalents / shape.reference, 3))
    values += (round(gflop, 1), round(kernel, 1), round(limit, 4), round(found.seconds / limit, 3))
    return dict(zip(TRAINING, values, strict=True))


@torch.no_grad()
def kernels() -> dict[str, float]:
    """GFLOP/s of float32 kernels with torch's threads: the matrix product, linear maps, and torch's LSTM forward.

    A linear map of R rows from W to 4 W units takes 8 R W^2, an LSTM of W units over inputs of W 16 W^2 per step and
    sequence (`UNITS`, `KERNELS`).
    """
    found = {"product": matrix_rate()}
    lstm, linear = nn.LSTM(UNITS, UNITS, batch_first=True), nn.Linear(UNITS, 4 * UNITS)
    for sequences, steps in KERNELS:
        x = torch.randn(sequences, steps, UNITS)
        flop = 8 * sequences * steps * UNITS**2
        found[f"linear {sequences} x {steps}"] = flop / best(lambda x=x: linear(x)) / 1e9
        found[f"LSTM {sequences} x {steps}"] = 2 * flop / best(lambda x=x: lstm(x)) / 1e9
    return found


def trainer(shape: Shape, device: str, precision: str = "fp32", **sizes: int) -> Trainer:
    """The trainer of the pipeline, on random data of a shape."""
    settings = Training(epochs=1, batch_size=shape.sequences, learning_rate=1e-4, clip=0.25, samples=shape.samples)
    machine = compute.Machine(torch.device(device), device, torch.get_num_threads(), precision)
    model = shape.build(**sizes).to(device).train()
    return Trainer(model, dataset(shape), settings, 0, machine, Path("checkpoints"))


def trainers(blocks: Mapping[str, Mapping[str, Any]], data: Dataset) -> Iterator[tuple[str, Trainer, Batch]]:
    """The trainers of runs by their blocks, on one thread, and all training sequences as the batch that initialises."""
    machine, texts = (
        compute.Machine(torch.device("cpu"), "cpu", 1, "fp32"),
        collate(data.train, np.arange(len(data.train))),
    )
    for name, block in blocks.items():
        torch.manual_seed(0)
        model = models.build(block["model"], data.facts())
        trained = Trainer(model, data, Training.of(block["training"], "training"), 0, machine, Path("checkpoints"))
        model.initialise(texts)
        model.train()
        yield name, trained, texts


def step(trainer: Trainer) -> None:
    """One step: posterior, prior, likelihood, backward, clipping, Adam."""
    trainer.step([np.arange(len(trainer.dataset.train))], 1.0)


def dataset(shape: Shape) -> Dataset:
    """Random sequences of one length."""
    rng, size = np.random.default_rng(0), (shape.sequences * shape.steps,)
    if kinds.of(shape.kind).ids:
        symbols = rng.integers(0, shape.symbols, size)
    else:
        symbols = (rng.random((*size, shape.symbols)) < 0.05).astype(np.uint8)
    split = Split(shape.kind, np.full(shape.sequences, shape.steps), symbols)
    return Dataset("random", shape.kind, [], split, split, split, {"max_length": shape.max_length}, "")


def steady(call: Callable[[], None], known: float = math.inf) -> Measured:
    """Best of REPEATS, repeated while the matrix rate varies by more than SPREAD, at most ATTEMPTS times.

    One measurement is enough if it is SLOWER times the ``known`` seconds with another number of threads.
    """
    call()
    if known < math.inf and (once := _once(call)) > SLOWER * known:
        return Measured(once, _alone(matrix_rate))
    calmest = math.inf
    for _ in range(ATTEMPTS):
        repeats = []
        for _ in range(REPEATS):
            rate = _alone(matrix_rate)
            repeats.append(Measured(_once(call), rate))
        rates = [repeat.gemm_gflops for repeat in repeats]
        spread = 1 - min(rates) / max(rates)
        if spread < calmest:
            calmest, best = spread, min(repeats)
        if spread <= SPREAD:
            return best
    print(
        f"  the machine is not quiet: the matrix rate varied by {100 * calmest:.0f} % in the calmest of {ATTEMPTS} "
        f"measurements, where at most {100 * SPREAD:.0f} % should be; the next number is less certain",
        file=sys.stderr,
    )
    return best


def matrix_rate(device: str = "cpu", dtype: torch.dtype = torch.float32) -> float:
    """GFLOP/s of a matrix product, best of 5."""
    side = SIDE if device == "cpu" else 8 * SIDE
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    return 2 * side**3 / best(lambda: a @ b, device) / 1e9


def timed(call: Callable[[], Any], repeats: int) -> float:
    """Seconds of the fastest of ``repeats`` calls, after a warm-up call if there are several."""
    return best(call, repeats=repeats) if repeats > 1 else _once(call)


def clock() -> float:
    """The time in seconds: processor time with one thread, wall time with several."""
    return time.process_time() if torch.get_num_threads() == 1 else time.perf_counter()


def _alone(call: Callable[[], float]) -> float:
    """The result of ``call`` with one thread; restores torch's number of threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return call()
    finally:
        torch.set_num_threads(threads)


def _once(call: Callable[[], Any]) -> float:
    started = clock()
    call()
    return clock() - started


def best(call: Callable[[], Any], device: str = "cpu", repeats: int = 5) -> float:
    """Seconds of the fastest of some calls, after a warm-up call."""
    if device == "cpu":
        return min([_once(call) for _ in range(repeats + 1)][1:])
    times = []
    for _ in range(repeats + 1):
        torch.cuda.synchronize()
        started = time.perf_counter()
        call()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - started)
    return min(times[1:])


def on_device(device: str) -> list[dict[str, Any]]:
    """Tokens per second and the share of the device's matrix rate, in fp32 (TF32 on) and bf16."""
    rows, counted = [], {shape: of_shape(shape) for shape in shapes()}
    torch.set_float32_matmul_precision("high")
    for shape, (precision, dtype) in itertools.product(
        shapes(), {"fp32": torch.float32, "bf16": torch.bfloat16}.items()
    ):
        rate = matrix_rate(device, dtype)
        trained = trainer(shape, device, precision)
        seconds, gflop = best(lambda trained=trained: step(trained), device), counted[shape] / 1e9
        tokens = shape.sequences * shape.steps / seconds
        share = gflop / seconds / rate
        values = (shape.shape, shape.model, precision, seconds, tokens, gflop, rate, share)
        rows.append(dict(zip(DEVICE, values, strict=True)))
        print(
            f"  {shape.shape}, {shape.model}, {precision}: {tokens:,.0f} tokens/s, {100 * share:.2f} % of the "
            f"device's {rate:,.0f} GFLOP/s",
            flush=True,
        )
    return rows


def flops(model: Model, batch: Batch, samples: int = 1) -> float:
    """Floating point operations of the matrix products of one step, forward and backward.

    torch counts its matrix products. Its LSTM kernels, which it does not count, take 8 W (I + W) per step,
    sequence and direction for I inputs and W units, and twice that backward.
    """
    with lstm_flops(model) as counted, FlopCounterMode(display=False) as counter:
        terms = model.objective(batch, samples)
        sum(value.sum() for value in terms.values()).backward()
    return counter.get_total_flops() + counted[0]


def flops_of(model: Model, call: Callable[[], Any]) -> float:
    """Floating point operations of a call without gradients: a third of what `lstm_flops` counts for LSTMs."""
    with lstm_flops(model) as counted, FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops() + counted[0] / 3


def beside(
    name: str, batch: int, limit: float, step: tuple[float, float], use: tuple[float, float], does: str
) -> tuple[float, ...]:
    """Print and give the rates of a training step on ``batch`` questions and of the model's ``use`` for them.

    Both have seconds and GFLOP, ``limit`` is in GFLOP/s: questions a second, seconds, GFLOP and the time over that of
    the arithmetic at the limit; of the use without its seconds.
    """
    (seconds, gflop), (used, work) = step, use
    print(
        f"  {name}: {batch / seconds:.0f} questions/s, {seconds * limit / gflop:.1f} x its arithmetic; {does} "
        f"{batch / used:.0f} a second, {used * limit / work:.1f} x",
        flush=True,
    )
    values = round(batch / seconds, 1), round(seconds, 4), round(gflop, 2), round(seconds * limit / gflop, 2)
    return *values, round(batch / used, 1), round(work, 2), round(used * limit / work, 2)


@contextlib.contextmanager
def lstm_flops(model: Model) -> Iterator[list[float]]:
    """Count the operations of a model's LSTMs inside the context, forward and backward, in a list of one number."""
    counted = [0.0]

    def count(module: nn.LSTM, inputs: tuple[Tensor, ...], _: Any) -> None:
        directions = 1 + module.bidirectional
        for layer in range(module.num_layers):
            width = module.input_size if layer == 0 else directions * module.hidden_size
            rows = directions * inputs[0].shape[0] * inputs[0].shape[1]
            counted[0] += 3 * 8 * rows * module.hidden_size * (width + module.hidden_size)

    hooks = [m.register_forward_hook(count) for m in model.modules() if isinstance(m, nn.LSTM)]
    try:
        yield counted
    finally:
        for hook in hooks:
            hook.remove()


def of_shape(shape: Shape, **sizes: int) -> float:
    """Floating point operations of a step of a shape's model and batch."""
    batch = collate(dataset(shape).train, np.arange(shape.sequences))
    return flops(shape.build(**sizes).train(), batch, shape.samples)


# -- sampling


def sampling(**sizes: int) -> list[dict[str, Any]]:
    """One sequence of SAMPLED steps from every model with a time of the authors' code, one thread."""
    torch.set_num_threads(1)
    rows = []
    for shape in shapes():
        if shape.reference_sampling is None:
            continue
        model = shape.build(**sizes).eval()
        off = inversion_error(model)
        seconds = best(sampler(model, SAMPLED), repeats=REPEATS)
        rows.append(
            {
                **{"model": shape.name, "steps": SAMPLED, "seconds": round(seconds, 4)},
                **{"reference": shape.reference_sampling, "ratio": round(seconds / shape.reference_sampling, 4)},
            }
        )
        print(
            f"  {shape.name}: {1000 * seconds:.0f} ms, {shape.reference_sampling / seconds:.1f} times as fast as the "
            f"authors' code; mapped back to noise off by at most {off:.1e}",
            flush=True,
        )
    return rows


def passes(**sizes: int) -> list[dict[str, Any]]:
    """Sampling from PTB's models beside the density of as many steps, one pass over all of them; one thread."""
    torch.set_num_threads(1)
    rows = []
    for shape in shapes():
        if shape.kind != "text" or shape.reference_sampling is None:
            continue
        model = shape.build(**sizes).eval()
        for steps in (SAMPLED, LONG):
            seconds, once = (best(make(model, steps), repeats=REPEATS) for make in (sampler, density))
            row = (shape.name, steps, round(seconds, 4), round(once, 4), round(seconds / once, 2))
            rows.append(dict(zip(PASSES, row, strict=True)))
            print(f"  {shape.name}, {steps} steps: {seconds / once:.1f} passes of the density", flush=True)
    return rows


def sampler(model: LatentSequence, steps: int) -> Callable[[], Any]:
    """Draw one sequence of some steps."""
    lengths = torch.tensor([steps])
    return lambda: model.sample(1, lengths=lengths)


def density(model: LatentSequence, steps: int) -> Callable[[], Any]:
    """The prior's log-density of one sequence of some steps, all at once."""
    position, z = model.positions(torch.tensor([steps]), steps), torch.randn(1, steps, model.config.latent)

    @torch.no_grad()
    def call() -> Any:
        return model.prior.log_density(z, position)

    return call


@torch.no_grad()
def inversion_error(model: LatentSequence) -> float:
    """max |f(f^-1(eps)) - eps| over one sequence of SAMPLED steps."""
    torch.manual_seed(0)
    position = model.positions(torch.tensor([SAMPLED]), SAMPLED)
    eps = torch.randn(1, SAMPLED, model.config.latent)
    z, _ = model.prior.inverse(eps, position)
    return (model.prior.forward(z, position)[0] - eps).abs().max().item()


# -- memory


def memory(sequences: int = 50, samples: int = 500, chunk: int = 50_000, **sizes: int) -> list[dict[str, Any]]:
    """Peak memory of scoring sentences of PTB's lengths by AF/AF, in a separate process."""
    threads = len(os.sched_getaffinity(0))
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        row = pool.apply(_score, (sequences, samples, chunk, threads, sizes))
    print(
        f"  {sequences} sentences, {row['symbols']} characters, K = {samples}: peak {row['peak_gib']:.2f} GiB "
        f"in {row['seconds']:.0f} s",
        flush=True,
    )
    return [row]


def _score(sequences: int, samples: int, chunk: int, threads: int, sizes: dict[str, int]) -> dict[str, Any]:
    torch.set_num_threads(threads)
    shape = shapes()[0]
    rng = np.random.default_rng(0)
    # a gamma distribution with the mean (115 characters) and the variance of PTB's test sentences of at most 288
    lengths = np.clip(rng.gamma(4.2, 27.5, sequences).astype(int), 1, shape.max_length)
    lengths[0] = shape.max_length
    split = Split("text", lengths, rng.integers(0, shape.symbols, lengths.sum()))
    model = shape.build(**sizes)
    settings = Sequences(samples=samples, headline=min(50, samples), chunk=chunk)
    machine = compute.Machine(torch.device("cpu"), "cpu", threads, "fp32")
    started = time.perf_counter()
    scores = likelihood.score(model, split, settings, machine, 0)
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    values = ("PTB AF/AF", sequences, int(lengths.sum()), samples, chunk, round(seconds, 1), round(peak, 3))
    return dict(zip(MEMORY, (*values, round(float(scores.nll.mean()), 3)), strict=True))
