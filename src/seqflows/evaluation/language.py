"""Flows of embedded text on the test split: bits per dimension with their floor, and text that can be read.

Legend: N sequences, T time (fixed), D dimensions of a word vector, M = T D.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seqflows import files
from seqflows.compute import Machine
from seqflows.data.batching import collate, order_by_length
from seqflows.data.prepared import Dataset, Split
from seqflows.data.tokens import decode
from seqflows.errors import Problem
from seqflows.evaluation.likelihood import BATCH, ratio, whole
from seqflows.evaluation.metrics import ERRORS, Records
from seqflows.flows import standard_normal_log_density
from seqflows.models.language_flow import LanguageFlow
from seqflows.names import refuse_unknown
from seqflows.noise import BITS, floor

UNIT = "bits/dim"
COLUMNS = ("index", "length", "nll", "length_nats", "source_nll")  # nll and source_nll in bits per dimension
PURPOSES = ("score", "samples", "interpolation", "regeneration")


@dataclass(frozen=True)
class Settings:
    """The ``evaluation`` block of a run on language."""

    draws: int = 1  # of the noise, for each test sequence
    generate: int = 8  # sampled sequences, at each way of decoding
    beam: int = 5  # hypotheses of the beam search, where the flow is causal
    pairs: int = 3  # pairs of test sequences to interpolate
    ratios: tuple[float, ...] = (0.4, 0.5, 0.6)  # of the second sequence (Table 2)
    contexts: int = 3  # test sequences regenerated with noise
    deviations: tuple[float, ...] = (0.1, 0.5)  # of that noise (Table 3)

    @classmethod
    def of(cls, block: Mapping[str, Any]) -> Settings:
        """Read the block; an unknown or impossible entry is a `Problem`."""
        refuse_unknown("evaluation", block, (entry.name for entry in fields(cls)))
        settings = cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in block.items()})
        for name, least in (("draws", 1), ("generate", 0), ("beam", 1), ("pairs", 0), ("contexts", 0)):
            whole(name, getattr(settings, name), least)
        for name in ("ratios", "deviations"):
            for value in getattr(settings, name):
                if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf:
                    raise Problem(f"expected evaluation.{name} of numbers of at least 0, got {value!r}")
        return settings


def score(
    model: LanguageFlow, dataset: Dataset, settings: Settings, machine: Machine, parameters: int,
    seeds: Mapping[str, int], folder: Path, where: str,
) -> Records:  # fmt: skip
    """Every metric of a trained model; writes scores.csv, samples.txt, interpolation.txt and regeneration.txt.

    Raises:
        Problem: an estimate below the floor that the noise sets, which no density can reach.
    """
    model.eval()
    bits, noise = densities(model, dataset.test, settings.draws, machine, seeds["score"])
    rows, count = Records(UNIT), len(bits)

    def add(metric: str, values: np.ndarray, unit: str | None = None) -> None:
        value, error = ratio(values, np.ones(count))
        rows.add(metric, value, unit, settings.draws, error, count)

    add("nll", bits)
    # The released code divides by D log 2. It validates with one level; in training it adds D log 2^6 to -log p.
    length = model.length
    add("nll_code", (bits + BITS) * length, "bits/D")
    add("nll_code_train", (bits + BITS) * length + BITS, "bits/D")
    rows.add("floor", floor(), over=count)
    check_floor(rows, where)
    source = None
    if dataset.test.source_log_prob is not None:
        source = noise - dataset.test.source_log_prob / (model.dimensions * math.log(2))
        add("source", source)
        nats = (bits - source) * model.dimensions * math.log(2)
        value, error = ratio(nats, np.ones(count))
        rows.add("excess", value, "nats/sequence", settings.draws, error, count)
    rows.add("parameters", parameters, "1")
    known = [None] * count if source is None else source.tolist()
    table = [
        (place, length, value, 0.0, true) for place, (value, true) in enumerate(zip(bits.tolist(), known, strict=True))
    ]
    files.write_csv(folder / "scores.csv", [dict(zip(COLUMNS, row, strict=True)) for row in table], COLUMNS)
    write_texts(model, dataset, settings, seeds, folder)
    return rows


@torch.no_grad()
def densities(
    model: LanguageFlow, split: Split, draws: int, machine: Machine, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Bits per dimension of x~ under the model, (N,), and of the noise in x~ under its own density, (N,).

    Both are means over ``draws`` draws. The latter is, with -log p(tokens), what the true source gives x~.
    """
    torch.manual_seed(seed)
    bits, noise = np.zeros(len(split)), np.zeros(len(split))
    for indices in order_by_length(split, BATCH):
        batch = collate(split, indices).to(machine.device)
        for _ in range(draws):
            x = model.embedded(batch.x)
            with machine.autocast():
                found = model.log_density(x)
            bits[indices] += _numbers(model.bits_per_dimension(found.double())) / draws
            u = (x - model.vectors[batch.x]).double() * 2.0**BITS
            log_density = standard_normal_log_density(u).sum((1, 2)) + model.dimensions * BITS * math.log(2)
            noise[indices] += _numbers(model.bits_per_dimension(log_density)) / draws
    if not np.isfinite(bits).all():
        place = int(np.flatnonzero(~np.isfinite(bits))[0])
        raise Problem(f"expected a finite density of every test sequence, got {bits[place]} for sequence {place}")
    return bits, noise


def _numbers(values: Tensor) -> np.ndarray:
    return values.cpu().numpy()


def check_floor(rows: Sequence[Mapping[str, Any]], where: str) -> None:
    """Stop where an estimate lies below the entropy of the noise beyond chance."""
    found = {row["metric"]: row for row in rows}
    value, error = found["nll"]["value"], found["nll"]["standard_error"] or 0.0
    if value < found["floor"]["value"] - ERRORS * error:
        raise Problem(
            f"expected at least {found['floor']['value']:.4f} bits per dimension of {where}, the entropy of the noise "
            f"alone, got {value:.4f} with standard error {error:.4f}: the density is computed wrongly; find the "
            "mistake before using any number of this run"
        )


# -- text


def write_texts(
    model: LanguageFlow, dataset: Dataset, settings: Settings, seeds: Mapping[str, int], folder: Path
) -> None:
    """samples.txt, interpolation.txt and regeneration.txt, each headed by what it shows."""
    texts = {
        "samples": samples(model, settings, seeds["samples"]),
        "interpolation": interpolations(model, dataset.test, settings, seeds["interpolation"]),
        "regeneration": regenerations(model, dataset.test, settings, seeds["regeneration"]),
    }
    for name, parts in texts.items():
        lines = []
        for title, tokens in parts:
            lines += [f"# {title}", *(decode(row, dataset.vocabulary) for row in tokens.tolist())]
        files.write_text(folder / f"{name}.txt", "\n".join(lines) + "\n")


Parts = list[tuple[str, Tensor]]  # titles, and tokens (n, T) below each


def decoders(model: LanguageFlow, beam: int) -> dict[str, int]:
    """The ways of decoding that a model has, and their beam (0: all steps at once)."""
    return {"greedy": 1, f"beam of {beam}": beam} if model.causal else {"all steps at once": 0}


def _noise(model: LanguageFlow, count: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, model.length, model.vectors.shape[1], generator=generator).to(model.vectors.device)


def samples(model: LanguageFlow, settings: Settings, seed: int) -> Parts:
    """Sequences of noise N(0, I), the same noise at each way of decoding (Table 1)."""
    eps = _noise(model, settings.generate, seed)
    return [(f"samples, {name}", model.decode(eps, beam)) for name, beam in decoders(model, settings.beam).items()]


def _chosen(split: Split, count: int, seed: int, device: torch.device) -> Tensor:
    """Tokens (n, T) of ``count`` test sequences, each once."""
    places = np.random.default_rng(seed).permutation(len(split))[:count]
    return collate(split, np.sort(places)).x.to(device)


def interpolations(model: LanguageFlow, split: Split, settings: Settings, seed: int) -> Parts:
    """For each pair of test sequences: both, and f^-1 of (1 - r) f(a) + r f(b) at each ratio r (Table 2)."""
    pairs = min(settings.pairs, len(split) // 2)
    if not pairs:
        return []
    tokens, parts = _chosen(split, 2 * pairs, seed, model.vectors.device), []
    torch.manual_seed(seed)
    for a, b in tokens.view(pairs, 2, -1):
        first, second = model.encode(torch.stack([a, b]))
        mixed = torch.stack([(1 - r) * first + r * second for r in settings.ratios])
        parts += [("interpolation: from", a[None]), ("to", b[None])]
        for name, beam in decoders(model, settings.beam).items():
            title = f"ratios {', '.join(map(str, settings.ratios))}, {name}"
            parts.append((title, model.decode(mixed, beam)))
    return parts


def regenerations(model: LanguageFlow, split: Split, settings: Settings, seed: int) -> Parts:
    """For each of some test sequences: itself, and f^-1 of f(x~) + z_0 with z_0 ~ N(0, s^2) at each s (Table 3)."""
    count = min(settings.contexts, len(split))
    if not count:
        return []
    tokens, parts = _chosen(split, count, seed, model.vectors.device), []
    torch.manual_seed(seed)
    eps, z_0 = model.encode(tokens), _noise(model, count, seed)
    for name, beam in decoders(model, settings.beam).items():
        again = [model.decode(eps + deviation * z_0, beam) for deviation in settings.deviations]
        for place, original in enumerate(tokens):
            parts.append(("context", original[None]))
            parts.append(
                (
                    f"with noise of {', '.join(map(str, settings.deviations))}, {name}",
                    torch.stack([x[place] for x in again]),
                )
            )
    return parts
