"""The data of figures, computed here since report imports neither torch nor models.

Legend: T time, V symbols, D = 2 latent dimensions, G = 100 x 100 points of a grid.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch

from seqflows import files, paths
from seqflows.data import embedded
from seqflows.data.batching import Batch, collate
from seqflows.data.prepared import Dataset
from seqflows.errors import Problem
from seqflows.evaluation.samples import text_lines
from seqflows.flows.scalar import NLSq
from seqflows.models import Model

WINDOW = 8  # consecutive symbols in a figure
GRID = 100  # points along each axis of prior_grid
AT_ONCE = 1000  # points of a grid at once
DENSITY_GRID = 200

# Four layers (a, b', c', d', g each) that give a standard normal four modes.
HAND_SET = (
    (-0.4, 0.4, 1.4, 0.8, -1.4),
    (0.6, -0.1, -0.4, -0.2, -1.7),
    (0.4, 0.1, 1.3, 0.0, 0.9),
    (-1.2, -0.3, 2.5, 0.6, 1.3),
)


def write(names: tuple[str, ...], folder: Path, model: Model, dataset: Dataset, key: paths.Key) -> None:
    """Write the exports ``names`` of one seed into ``folder``."""
    makers = {"conditionals": conditionals, "prior_grid": prior_grid, "density_grid": density_grid}
    for name in names:
        makers[name](folder, model, dataset, key)


def _save(path: Path, **arrays: Any) -> None:
    with files.replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, **arrays)


def _need(holds: bool, export: str, what: str, key: paths.Key) -> None:
    if not holds:
        raise Problem(f"expected {what} for the export {export}, got the run {key}; remove it from its exports")


def _string(dataset: Dataset, model: Model) -> tuple[Batch, str, int]:
    """The first validation string of at least 8 symbols, and the start of its window.

    The window starts at the first word past the eighth symbol that leaves room for it,
    so that the predicted symbols have a past; else it is the string's last 8 symbols.
    """
    found = np.flatnonzero(dataset.valid.lengths >= WINDOW)
    if not len(found):
        raise Problem(
            f"expected a validation string of at least {WINDOW} symbols in {dataset.name}, got none; prepare more data"
        )
    batch = collate(dataset.valid, found[:1])
    string = text_lines(batch, dataset.vocabulary)[0]
    last = len(string) - WINDOW
    starts = (place for place in range(WINDOW, last + 1) if string[place - 1] == " ")
    return batch.to(next(model.parameters()).device), string, next(starts, last)


@torch.no_grad()
def conditionals(folder: Path, model: Model, dataset: Dataset, key: paths.Key) -> None:
    """conditionals.json: log p(x_t | x_<t), nats, at 8 consecutive steps of a validation string (figure 3b)."""
    fits = hasattr(model, "conditionals") and dataset.facts().emission == "categorical"
    _need(fits, "conditionals", "a recurrent_baseline of text", key)
    batch, string, start = _string(dataset, model)
    log_prob_TV = model.conditionals(batch)[0].double().cpu()
    steps = [
        {"t": t, "prefix": string[:t], "next": string[t], "log_prob": log_prob_TV[t].tolist()}
        for t in range(start, start + WINDOW)
    ]
    content = {"string": string, "vocabulary": dataset.vocabulary, "steps": steps}
    files.write_json(folder / "conditionals.json", content)


@torch.no_grad()
def prior_grid(folder: Path, model: Model, dataset: Dataset, key: paths.Key) -> None:
    """prior_grid.npz and .json: log p(z_t | z_<t) on a grid at 8 consecutive steps (figure 6).

    z is the posterior's mean given the whole string; the grid covers all of it with a margin.
    """
    fits = hasattr(model, "prior_conditional") and dataset.facts().emission == "categorical"
    _need(fits, "prior_grid", "a latent_sequence of text with latent: 2", key)
    batch, string, start = _string(dataset, model)
    z_1TD = model.posterior(batch)[0]
    _need(z_1TD.shape[-1] == 2, "prior_grid", "a latent_sequence of text with latent: 2", key)
    low, high = z_1TD[0].min(0).values, z_1TD[0].max(0).values
    margin = 0.25 * (high - low) + 0.5
    axes = [
        torch.linspace(float(a), float(b), GRID, dtype=z_1TD.dtype, device=z_1TD.device)
        for a, b in zip(low - margin, high + margin, strict=True)
    ]
    window = slice(start, start + WINDOW)
    parts = [
        model.prior_conditional(z_1TD, batch.lengths, points)[window].float().cpu()
        for points in _points(*axes).split(AT_ONCE)
    ]
    _save(
        folder / "prior_grid.npz",
        symbols=batch.x[0, window].cpu().numpy(),
        x=axes[0].cpu().numpy(),
        y=axes[1].cpu().numpy(),
        log_density=torch.cat(parts, 1).view(WINDOW, GRID, GRID).numpy(),
        z=z_1TD[0, window].cpu().numpy(),
    )
    files.write_json(folder / "prior_grid.json", {"string": string[window], "whole": string, "start": start})


def _points(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """(len(y) x len(x), 2): x runs fastest, so that a reshape to (ny, nx) is an image."""
    rows, columns = torch.meshgrid(y, x, indexing="ij")
    return torch.stack([columns, rows], -1).reshape(-1, 2)


@torch.no_grad()
def density_grid(folder: Path, model: Model, dataset: Dataset, key: paths.Key) -> None:
    """density_grid.npz: the learned and the true log-density of points of the plane; and nlsq.npz (figure 5)."""
    fits = hasattr(model, "log_density") and dataset.facts().symbols == 2
    _need(fits, "density_grid", "a flow_density of 2-D vectors", key)
    device = next(model.parameters()).device
    points = dataset.train.symbols
    low, high = points.min(0) - 1.0, points.max(0) + 1.0
    x, y = (torch.linspace(float(a), float(b), DENSITY_GRID) for a, b in zip(low, high, strict=True))
    grid = _points(x, y)
    log_density = torch.cat([model.log_density(part.to(device)).cpu() for part in grid.split(AT_ONCE)])
    arrays = {"x": x.numpy(), "y": y.numpy(), "log_density": log_density.view(DENSITY_GRID, -1).numpy()}
    if specification := dataset.statistics.get("source_specification"):
        source = embedded.specified(specification, "statistics.json")
        arrays["true_log_density"] = source.log_density(grid.numpy()).reshape(DENSITY_GRID, -1)
    _save(folder / "density_grid.npz", **arrays)
    _save(folder / "nlsq.npz", **hand_set())


def hand_set(count: int = 2001) -> dict[str, np.ndarray]:
    """Four composed NLSq layers and the density that they give (figure 5 a, b).

    ``eps`` = f(z) at ``count`` values of z; ``base_density`` N(eps; 0, 1); ``density`` that of z,
    N(eps; 0, 1) |d eps / d z|.
    """
    layer = NLSq(scales=(1.0, 1.0, 1.0))
    z = torch.linspace(-3.5, 4.5, count, dtype=torch.float64)
    eps, log_slope = z, torch.zeros_like(z)
    for row in HAND_SET:
        eps, more = layer.forward(eps, torch.tensor(row, dtype=torch.float64).expand(count, -1))
        log_slope = log_slope + more
    log_base = -0.5 * (eps**2 + math.log(2 * math.pi))
    return {
        "eps": eps.numpy(),
        "z": z.numpy(),
        "base_density": log_base.exp().numpy(),
        "density": (log_base + log_slope).exp().numpy(),
    }
