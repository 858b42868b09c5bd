"""Every model in every parametrisation, at sizes that can be enumerated: the list of the models' contract test.

Legend: B batch, T time, V symbols or keys, Q points of a quadrature over the latent sequence.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seqflows.data.batching import Batch
from seqflows.data.prepared import Facts
from seqflows.models import Model, build

FACTS = {
    "categorical": Facts("categorical", 2, 3, (0, 2, 5, 1)),
    "bernoulli": Facts("bernoulli", 2, 2, (0, 3, 1)),
    "real": Facts("real", 2, 1, (0, 7)),
}
SMALL = {"embedding": 5, "width": 6, "depth": 2, "position": 3}


@dataclass(frozen=True)
class Case:
    """A named model block and the data that it is built for."""

    name: str
    block: dict[str, Any] = field(compare=False)
    emission: str = "categorical"

    def build(self, facts: Facts | None = None, seed: int = 0, **changes: Any) -> Model:
        """The model with random weights, in float64, without dropout."""
        torch.manual_seed(seed)
        return build(self.block | changes, facts or FACTS[self.emission]).double().eval()


def _latent(time: str, hidden: str, scalar: str, emission: str) -> Case:
    block = {"class": "latent_sequence", "time": time, "hidden": hidden, "scalar": scalar, "layers": 2}
    return Case(f"{time}-{hidden}-{scalar}-{emission}", block | SMALL | {"latent": 1, "flow_width": 8}, emission)


LATENT = [
    _latent(*names)
    for names in itertools.product(
        ("af", "iaf", "none"), ("made", "coupling", "independent"), ("nlsq", "affine"), ("categorical", "bernoulli")
    )
]
RECURRENT = [
    Case(f"lstm-{emission}{suffix}", {"class": "recurrent_baseline"} | SMALL | more, emission)
    for emission in ("categorical", "bernoulli")
    for suffix, more in (("", {}), ("-same_width", {"embedding": 6, "depth": 1}))
]
DENSITIES = [
    Case(
        f"density-{hidden}-{scalar}",
        {"class": "flow_density", "hidden": hidden, "scalar": scalar, "layers": 3, "flow_width": 16},
        "real",
    )
    for hidden, scalar in (("made", "nlsq"), ("made", "affine"), ("coupling", "nlsq"))
]
CASES = LATENT + RECURRENT + DENSITIES
# Every fifth latent model has every value of every choice: for the checks that take seconds a model.
FEW = LATENT[::5] + RECURRENT + DENSITIES


def sharpened(model: Model) -> Model:
    """Weights further from 0 than at initialisation, so that what depends on what shows in every number.

    The inner flow of the prior, which starts near a constant, is drawn as torch draws linear maps: it then depends on
    its context and a quadrature still resolves it. The posterior gets the prior's mean and more than its deviation, so
    that importance weights have a variance.
    """
    with torch.no_grad():
        for name, module in model.named_modules():
            if name.startswith("prior") and isinstance(module, torch.nn.Linear):
                module.reset_parameters()
        for name, parameter in model.named_parameters():
            if not name.startswith(("prior", "to_posterior")):
                parameter.mul_(2.0)
            elif "lstm" in name:  # bounded: what the prior remembers of earlier steps
                parameter.mul_(3.0)
        if not model.exact:
            lengths = torch.full((2000,), model.positions.max_length)
            eps = torch.randn(2000, int(lengths[0]), model.config.latent, dtype=torch.float64)
            z, _ = model.prior.inverse(eps, model.positions(lengths, eps.shape[1]))
            spread = (z - z.mean((0, 1))).square().mean((0, 1)).sqrt()
            model.to_posterior.bias.copy_(torch.cat([z.mean((0, 1)), (1.3 * spread).log()]))
            model.to_posterior.weight.mul_(0.3)
    return model


def sequences(facts: Facts, length: int) -> Batch:
    """Every sequence of a length."""
    if facts.emission == "categorical":
        rows = torch.tensor(list(itertools.product(range(facts.symbols), repeat=length)))
    else:
        rows = torch.tensor(list(itertools.product((0.0, 1.0), repeat=length * facts.symbols)))
        rows = rows.view(-1, length, facts.symbols)
    count = len(rows)
    return Batch(rows, torch.full((count,), length), torch.arange(count))


def all_sequences(facts: Facts) -> Iterator[Batch]:
    """Every sequence of every length, a batch a length."""
    for length in range(1, facts.max_length + 1):
        yield sequences(facts, length)


def step_log_probs(model: Model, z: Tensor, batch: Batch) -> Tensor:
    """log p(x | z, T) of every point and sequence, (Q, N): the steps are independent given z."""
    lengths = torch.full((len(z),), z.shape[1])
    position = model.positions(lengths, z.shape[1])
    logits = model.logits(z, lengths, position)
    if batch.x.dim() == 2:
        log_p = logits.log_softmax(-1)  # (Q, T, V)
        one_hot = torch.nn.functional.one_hot(batch.x, logits.shape[-1]).double()
        return torch.einsum("qtv,ntv->qn", log_p, one_hot)
    on, off = -torch.nn.functional.softplus(-logits), -torch.nn.functional.softplus(logits)
    return torch.einsum("qtv,ntv->qn", on, batch.x.double()) + torch.einsum("qtv,ntv->qn", off, 1 - batch.x.double())


def _grid(points: np.ndarray, log_weights: np.ndarray, steps: int) -> tuple[Tensor, Tensor]:
    axes = np.meshgrid(*[points] * steps, indexing="ij")
    weights = np.meshgrid(*[log_weights] * steps, indexing="ij")
    nodes = np.stack([axis.ravel() for axis in axes], -1)[:, :, None]
    return torch.from_numpy(nodes), torch.from_numpy(sum(weight.ravel() for weight in weights))


@torch.no_grad()
def exact_log_probs(model: Model, batch: Batch, nodes: int = 41) -> Tensor:
    """log p(x, T), (N,), for sequences of one length and one latent dimension: a rule over the base noise.

    The trapezium rule, whose error for a Gaussian times a smooth function falls exponentially.
    """
    length, points = batch.x.shape[1], np.linspace(-6.0, 6.0, nodes)
    density = np.exp(-0.5 * points**2)
    eps, log_weights = _grid(points, np.log(density / density.sum()), length)
    lengths = torch.full((len(eps),), length)
    z, _ = model.prior.inverse(eps, model.positions(lengths, length))
    log_joint = step_log_probs(model, z, batch) + log_weights[:, None]
    return log_joint.logsumexp(0) + model.length_log_prob(batch.lengths)


@torch.no_grad()
def log_probs_over_z(model: Model, batch: Batch, reach: float = 14.0, nodes: int = 201) -> Tensor:
    """The same by the trapezium rule over z itself with the density of the prior, (N,)."""
    length = batch.x.shape[1]
    points = np.linspace(-reach, reach, nodes)
    z, log_weights = _grid(points, np.full(nodes, np.log(points[1] - points[0])), length)
    lengths = torch.full((len(z),), length)
    log_prior = model.log_prior(z, lengths, model.positions(lengths, length))
    log_joint = step_log_probs(model, z, batch) + (log_prior + log_weights)[:, None]
    return log_joint.logsumexp(0) + model.length_log_prob(batch.lengths)
