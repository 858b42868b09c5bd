"""The device, threads and precision of a stage, and torch's determinism."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from seqflows.errors import Problem

DEVICES = ("auto", "cpu", "cuda")
KEPT = 256 * 2**20  # bytes: what is freed of less stays with a training on a CPU, see `reuse_memory`
NOISE = threading.RLock()  # held by who seeds torch's own generators, which all threads share
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of malloc.h
PRECISIONS = ("fp32", "bf16")


@dataclass(frozen=True)
class Machine:
    """The device of a stage with its settings."""

    device: torch.device
    name: str
    threads: int
    precision: str

    def autocast(self) -> contextlib.AbstractContextManager:
        """A context with bf16 matrix products if ``precision`` is bf16, else without effect."""
        if self.precision == "bf16":
            return torch.autocast(self.device.type, dtype=torch.bfloat16)
        return contextlib.nullcontext()

    @property
    def cuda(self) -> bool:
        """Whether the device is a GPU."""
        return self.device.type == "cuda"

    @property
    def how(self) -> dict[str, Any]:
        """What a number depends on, beside the model and its data: the kind of device, threads and precision."""
        return {"device": self.device.type, "threads": self.threads, "precision": self.precision}


def prepare(compute: Mapping[str, Any], scale: str, *, training: bool) -> Machine:
    """Choose the device and set torch up for it: threads, determinism, and for training only TF32 and `reuse_memory`.

    Raises `Problem` for an unknown device or precision, for ``cuda`` without a GPU, and
    for training at scale paper without a GPU unless the params have ``device: cpu``.
    """
    wanted, precision = compute.get("device", "auto"), compute.get("precision", "fp32")
    threads = compute.get("threads", 1)
    if wanted not in DEVICES:
        raise Problem(f"expected scales.{scale}.compute.device to be one of {', '.join(DEVICES)}, got {wanted!r}")
    if precision not in PRECISIONS:
        raise Problem(
            f"expected scales.{scale}.compute.precision to be one of {', '.join(PRECISIONS)}, got {precision!r}"
        )
    if isinstance(threads, bool) or not isinstance(threads, int) or threads < 1:
        raise Problem(f"expected scales.{scale}.compute.threads to be a whole number of at least 1, got {threads!r}")
    found = wanted != "cpu" and torch.cuda.is_available()
    if not found and (wanted == "cuda" or (wanted == "auto" and training and scale == "paper")):
        raise Problem(
            f"expected a CUDA device for scale {scale} (device: {wanted}), found none; run on a GPU, "
            f"or add --device cpu, or set scales.{scale}.compute.device to cpu in params.yaml"
        )
    torch.set_num_threads(threads)
    _deterministic(found)
    if found:
        torch.set_float32_matmul_precision("high" if training else "highest")
        torch.backends.cudnn.allow_tf32 = training  # for LSTMs, unaffected by the line above
        return Machine(torch.device("cuda"), torch.cuda.get_device_name(), threads, precision)
    if training:
        reuse_memory()
    return Machine(torch.device("cpu"), processor(), threads, precision)


def seed_noise(device: torch.device, seed: int) -> None:
    """Seed the generators that a model on a device draws from: the CPU's and, of a GPU, its own; no other device's."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)


@contextlib.contextmanager
def own_noise(device: torch.device, seed: int | None = None) -> Iterator[None]:
    """Seed the noise of what follows, if a seed is given, and leave the caller's generators as they were.

    These are torch's own of the CPU and, of a GPU, that of the device: a training that scores between its steps goes on
    as without it. All threads draw from them, so that one has its own noise after another.
    """
    with NOISE, torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        if seed is not None:
            seed_noise(device, seed)
        yield


def reuse_memory() -> None:
    """Let the C library keep the memory of freed tensors below `KEPT` bytes for those to come.

    glibc gives what is freed of more than 32 MiB back to the system, which hands it out again page by page, filled with
    zeros: about a tenth of a training step. What is kept grows as it falls to pieces, until `give_back`. Other C
    libraries stay as they are, and so does one whose thresholds the environment states (``MALLOC_MMAP_THRESHOLD_``,
    ``MALLOC_TRIM_THRESHOLD_``).
    """
    if {"MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"} & os.environ.keys():
        return
    with contextlib.suppress(AttributeError, OSError):  # no glibc
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_MMAP_THRESHOLD, KEPT)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def give_back() -> None:
    """Return the memory that is free now to the system; the next step gets it anew."""
    with contextlib.suppress(AttributeError, OSError):  # no glibc
        ctypes.CDLL(None).malloc_trim(0)


def processor() -> str:
    """The CPU's name, if the system provides it."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()


def _deterministic(cuda: bool) -> None:
    """Make results reproducible to the bit: always on a CPU, where kernels allow it on a GPU."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # As use_deterministic_algorithms(True, warn_only=cuda), without its import of torch's compiler (seconds).
    torch.set_deterministic_debug_mode("warn" if cuda else "error")
    torch.utils.deterministic.fill_uninitialized_memory = False  # a check for bugs that costs time
    torch.backends.cudnn.benchmark = False
