"""A synthetic project for the tests of report and tracking: a small matrix, and every file that they read."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import numpy as np

from seqflows import files, paths
from seqflows.params import Params

TEXT = {
    "ptb-lstm": 1.41, "ptb-af_only": 2.90, "ptb-af_af": 1.42, "ptb-af_scf": 1.46, "ptb-iaf_scf": 1.63,
    "ptb-af_af-affine": 1.50, "ptb-af_af-independent": 1.57, "ptb-af_af-independent_affine": 1.56,
    "ptb-af_af-h2": 1.9, "ptb-af_af-h5": 1.425, "ptb-af_af-h80": 1.424, "ptb-af_af-no_annealing": 2.0,
}  # fmt: skip
SETS = {"Nottingham": "nottingham", "Piano": "piano", "Musedata": "musedata", "JSB": "jsb"}
MODELS = {"LSTM": "lstm", "AF / AF": "af_af", "AF / SCF": "af_scf", "IAF / SCF": "iaf_scf"}
MUSIC = {
    "nottingham": (3.43, 2.39, 2.56, 2.54), "piano": (7.77, 8.19, 8.26, 8.25),
    "musedata": (7.23, 6.92, 6.95, 7.06), "jsb": (8.17, 6.53, 6.64, 6.59),
}  # fmt: skip
VOCABULARY = list(" abcdefghijklmnopqrstuvwxyz<>.'N")


def matrix(seeds: tuple[int, ...] = (0,)) -> Params:
    """The paper's whole matrix; demo embedded, laptop real and reduced, paper real."""
    datasets: dict[str, Any] = {}
    for name in ("ptb", *SETS.values(), "gaussians"):
        kind = {"ptb": "text", "gaussians": "vectors"}.get(name, "music")
        embedded = {"text": "embedded-text", "vectors": "embedded-gaussians", "music": "embedded-chords"}[kind]
        real = embedded if kind == "vectors" else name
        datasets[name] = {
            "kind": kind,
            "demo": {"source": embedded},
            "laptop": {"source": real},
            "paper": {"source": real},
        }
    runs = {}
    for name in [
        *TEXT,
        *(f"{s}-{m}" for s in SETS.values() for m in MODELS.values()),
        "gaussians-nlsq",
        "gaussians-affine",
    ]:
        small = {"seeds": list(seeds), "model": {"class": "latent_sequence", "width": 32}, "training": {"epochs": 3}}
        large = {"seeds": list(seeds), "model": {"class": "latent_sequence", "width": 500}, "training": {"epochs": 100}}
        runs[name] = {
            "reproduces": "ziegler2019",
            "dataset": name.split("-")[0],
            "demo": small,
            "laptop": small,
            "paper": large,
        }
    terms = {"Test NLL": "nll", "Reconst.": "reconstruction", "KL": "kl"}
    rows1 = {"LSTM (sentence-wise)": {"Test NLL": "ptb-lstm.nll"}}
    for row, run in {"AF-only": "af_only", "AF / AF": "af_af", "AF / SCF": "af_scf", "IAF / SCF": "iaf_scf"}.items():
        rows1[row] = {column: f"ptb-{run}.{metric}" for column, metric in terms.items()}
    ablations = {
        "AF / AF": "af_af", "- NLSq": "af_af-affine", "- AF hidden": "af_af-independent",
        "- AF hidden and NLSq": "af_af-independent_affine",
    }  # fmt: skip
    rows2 = {row: {c: f"ptb-{run}.{metric}" for c, metric in terms.items()} for row, run in ablations.items()}
    rows3 = {row: {c: f"{s}-{model}.nll" for c, s in SETS.items()} for row, model in MODELS.items()}
    tables = {
        f"ziegler2019-table{number}": {"reproduces": "ziegler2019", "title": f"Table {number}: {what}", "rows": rows}
        for number, what, rows in ((1, "characters", rows1), (2, "ablations", rows2), (3, "polyphonic music", rows3))
    }
    figures = {
        "ziegler2019-figure3b": {"kind": "conditionals", "runs": ["ptb-lstm"]},
        "ziegler2019-figure5": {"kind": "nlsq", "runs": ["gaussians-nlsq", "gaussians-affine"]},
        "ziegler2019-figure6": {"kind": "prior_grid", "runs": ["ptb-af_af-h2"]},
        "ziegler2019-figure7": {"kind": "speed", "speeds": ["ptb", "nottingham"]},
        "ziegler2019-curves": {"kind": "curves", "runs": ["ptb-lstm", "ptb-af_af", "jsb-af_af"]},
    }
    figures = {name: {"reproduces": "ziegler2019", "title": name, **block} for name, block in figures.items()}
    speeds = {name: {"runs": [f"{name}-lstm", f"{name}-iaf_scf"]} for name in ("ptb", "nottingham")}
    return Params("demo", {}, datasets, runs, speeds, tables, figures)


def values(name: str) -> dict[str, tuple[float, str]]:
    """Metric -> (value, unit) of a run: near what the paper prints, so that its orderings hold."""
    dataset, model = name.split("-", 1)
    if dataset == "gaussians":
        nll = 2.0 if model == "nlsq" else 2.3
        return {"nll": (nll, "nats"), "source": (1.98, "nats"), "excess": (nll - 1.98, "nats/sequence")}
    unit = "bpc" if dataset == "ptb" else "nats/step"
    nll = TEXT[name] if dataset == "ptb" else MUSIC[dataset][list(MODELS.values()).index(model)]
    found = {"nll": (nll, unit), "source": (nll / 2, unit), "source_entropy": (nll / 2, unit)}
    if model != "lstm":
        found |= {f"nll@{k}": (nll + 0.1 / k, unit) for k in (1, 10, 50, 100)}
        found |= {"elbo": (nll + 0.1, unit), "reconstruction": (0.1, unit), "reconstruction_pure": (0.05, unit)}
        found |= {
            "kl": (nll, unit),
            "kl_share": (nll / (nll + 0.1), "1"),
            "ess": (12.3, "samples"),
            "length": (0.05, unit),
        }
    if dataset != "ptb":
        found["nll_literature"] = (nll - 0.01, unit)
    return found | {"excess": (20.0, "nats/sequence"), "parameters": (12345, "1")}


def write_run(scale: str, name: str, seeds: tuple[int, ...] = (0,), spread: float = 0.004, sequences: int = 40) -> None:
    """train/, metrics.json and evaluation/ of a run; scores.csv agrees with the NLL."""
    rng = np.random.default_rng(len(name))
    records, block = [], matrix(seeds).run(scale, name)
    shown = {part: block.get(part) for part in ("dataset", "model", "training", "evaluation")}
    for seed in seeds:
        shift = spread * (seed - np.mean(seeds))
        for metric, (value, unit) in values(name).items():
            scored = metric.startswith("nll")
            exact = metric in ("parameters", "source_entropy", "source")
            records.append({
                "seed": seed, "metric": metric, "value": value + (0 if exact else shift), "unit": unit,
                "samples": 1 if name.endswith("lstm") or exact else 50, "standard_error": 0.01 if scored else None,
                "sequences": sequences, "dataset": name.split("-")[0], "dataset_sha256": "ab" * 32, "revision": "r1",
                "train_revision": "r1", "config_hash": files.digest(shown), "device": "cpu", "wall_seconds": 1.25,
            })  # fmt: skip
        write_scores(scale, name, seed, shift, sequences)
        write_training(scale, name, seed, rng)
    content = {
        "run": name,
        "scale": scale,
        "reproduces": "ziegler2019",
        "dataset": name.split("-")[0],
        "metrics": records,
    }
    files.write_json(paths.metrics(scale, name), content)


def write_scores(scale: str, name: str, seed: int, shift: float, sequences: int) -> None:
    """Sequences of 10 to 49 symbols, the same for all models, each with the run's NLL and a shared difficulty."""
    value, unit = values(name)["nll"]
    nats = (value + shift) * (math.log(2) if unit == "bpc" else 1)
    difficulty = np.random.default_rng(7).normal(size=sequences)
    lengths = 10 + np.arange(sequences) % 40
    difficulty -= difficulty.dot(lengths + 1) / (lengths + 1).sum()
    noise = np.random.default_rng(sum(map(ord, name))).normal(size=sequences) * 0.002
    noise -= noise.dot(lengths + 1) / (lengths + 1).sum()
    each = (nats + 0.2 * difficulty + noise) * (lengths + 1)
    rows = [
        {"index": i, "length": n, "nll": nll, "length_nats": 0.0}
        for i, (n, nll) in enumerate(zip(lengths, each, strict=True))
    ]
    folder = paths.evaluation(scale, name) / f"seed-{seed}"
    files.write_csv(folder / "scores.csv", rows, ("index", "length", "nll", "length_nats"))
    files.write_text(folder / "samples.txt", "a sample\n")


def write_training(scale: str, name: str, seed: int, rng: np.random.Generator) -> None:
    """train.json and history.csv of a seed."""
    folder = paths.seed(scale, name, seed)
    columns = ("epoch", "steps", "kl_weight", "train_loss", "valid_loss", "valid_kl", "seconds", "symbols_per_second")
    rows = [
        {
            "epoch": epoch, "steps": 10 * epoch, "kl_weight": min(1, epoch / 8), "train_loss": 1 + 2 / epoch,
            "valid_loss": 1.1 + 2 / epoch + 0.02 * rng.normal(), "valid_kl": 0.9 - 0.5 / epoch, "seconds": 0.5,
            "symbols_per_second": 1000.0,
        }
        for epoch in range(1, 21)
    ]  # fmt: skip
    files.write_csv(folder / "history.csv", rows, columns)
    files.write_json(folder / "train.json", train_info(scale, name, seed) | {"epochs": 20, "wall_seconds": 10.0})


def train_info(scale: str, name: str, seed: int) -> dict[str, Any]:
    """What a live tracker is given."""
    return {
        "run": name, "scale": scale, "seed": seed, "config": {"model": {"width": 32}, "training": {"epochs": 20}},
        "config_hash": "cd" * 32, "dataset": name.split("-")[0], "dataset_sha256": "ab" * 32, "revision": "r1",
        "device": "cpu", "device_name": "a processor", "precision": "fp32", "parameters": 12345,
    }  # fmt: skip


def write_exports(scale: str) -> None:
    """What figures 3b, 5 and 6 draw from, and the times of figure 7."""
    rng = np.random.default_rng(0)
    string, steps = "of the groups ", []
    for t in range(6):
        logits = rng.normal(size=len(VOCABULARY)) * (3 if t % 2 else 1.2)
        log_prob = logits - np.log(np.exp(logits).sum())
        steps.append({"t": 7 + t, "prefix": string[: 7 + t], "next": string[7 + t], "log_prob": log_prob.tolist()})
    folder = paths.evaluation(scale, "ptb-lstm") / "seed-0"
    files.write_json(folder / "conditionals.json", {"string": string, "vocabulary": VOCABULARY, "steps": steps})
    axis = np.linspace(-3, 3, 60)
    points = np.stack(np.meshgrid(axis, axis), -1)
    corners = [(a, b) for a in (-1.5, 1.5) for b in (-1.5, 1.5)]

    def mixture(centres: list[tuple[float, float]], scale: float) -> np.ndarray:
        squares = [((points - np.array(centre)) ** 2).sum(-1) / (2 * scale**2) for centre in centres]
        return np.log(np.mean([np.exp(-square) for square in squares], 0) / (2 * np.pi * scale**2) + 1e-30)

    for run, width in (("gaussians-nlsq", 0.34), ("gaussians-affine", 0.6)):
        folder = paths.evaluation(scale, run) / "seed-0"
        folder.mkdir(parents=True, exist_ok=True)
        learned, true = mixture(corners, width), mixture(corners, 0.3)
        np.savez(folder / "density_grid.npz", x=axis, y=axis, log_density=learned, true_log_density=true)
    eps = np.linspace(-4, 4, 400)
    z = eps + 1.2 * np.tanh(3 * (eps - 0.5)) + 0.9 * np.tanh(4 * (eps + 1))
    base = np.exp(-(eps**2) / 2) / math.sqrt(2 * math.pi)
    np.savez(
        paths.evaluation(scale, "gaussians-nlsq") / "seed-0" / "nlsq.npz",
        eps=eps, z=z, base_density=base, density=base / np.gradient(z, eps),
    )  # fmt: skip
    folder = paths.evaluation(scale, "ptb-af_af-h2") / "seed-0"
    folder.mkdir(parents=True, exist_ok=True)
    densities = [mixture([(rng.uniform(-2, 2), rng.uniform(-2, 2)) for _ in range(1 + t % 4)], 0.3) for t in range(8)]
    np.savez(
        folder / "prior_grid.npz",
        symbols=np.arange(8), x=axis, y=axis, log_density=np.stack(densities), z=rng.normal(size=(8, 2)),
    )  # fmt: skip
    files.write_json(folder / "prior_grid.json", {"string": " groups "})
    for name in ("ptb", "nottingham"):
        write_speed(scale, name)


def write_speed(scale: str, name: str, flow: float = 0.4) -> None:
    """Times of a serial model and of one whose steps cost ``flow`` as much after a constant."""
    rng = np.random.default_rng(1)
    rows = []
    for run, start, slope in ((f"{name}-lstm", 1e-4, 2e-4), (f"{name}-iaf_scf", 4e-3, 2e-4 * flow)):
        for length in (10, 50, 100, 150, 200):
            for repeat in range(20):
                seconds = (start + slope * length) * (1 + 0.05 * rng.normal())
                rows.append((name, run, length, repeat, seconds, "cpu", 1))
    path: Path = paths.speed(scale, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("speed", "run", "length", "repeat", "seconds", "device", "threads"))
        writer.writerows(rows)


def write_all(scale: str, params: Params, seeds: tuple[int, ...] = (0,)) -> None:
    """Every file of a scale."""
    for name in params.runs:
        write_run(scale, name, seeds)
    write_exports(scale)
