"""A flow as the density of vectors: the toy of Ziegler & Rush 2019, figure 5c.

Legend: B batch, D dimensions.
"""

from __future__ import annotations

import torch
from torch import Tensor

from seqflows.config.models import FlowDensity as Config
from seqflows.data.batching import Batch
from seqflows.data.prepared import Facts
from seqflows.flows import SCALARS, layered, standard_normal_log_density
from seqflows.models.base import Model, Terms, check_emission


class FlowDensity(Model):
    """log p(x) = log N(f(x); 0, I) + log |det df/dx| for vectors x of D numbers, one vector a sequence."""

    exact = True

    def __init__(self, config: Config, facts: Facts) -> None:
        super().__init__()
        check_emission(facts, ("real",), "flow_density")
        self.config = config
        self.flow = layered(config.hidden, facts.symbols, 0, config.flow_width, SCALARS[config.scalar](), config.layers)

    def length_log_prob(self, lengths: Tensor) -> Tensor:
        """0: every vector is one step."""
        return torch.zeros(len(lengths), dtype=torch.float64, device=lengths.device)

    def log_density(self, points_ND: Tensor) -> Tensor:
        """log p of points, (N,), nats."""
        eps, log_det = self.flow.forward(points_ND)
        return standard_normal_log_density(eps).sum(-1) + log_det

    def objective(self, batch: Batch, samples: int) -> Terms:
        """Only nll; ``samples`` is not used, the likelihood is exact."""
        nll = -self.log_density(batch.x[:, 0])
        return {"nll": nll, "length": torch.zeros_like(nll)}

    def log_prob(self, batch: Batch) -> Tensor:
        """log p(x), (B,), nats."""
        return self.log_density(batch.x[:, 0])

    @torch.no_grad()
    def sample(
        self,
        count: int,
        *,
        lengths: Tensor | None = None,
        temperature: float = 1.0,
        mode: bool = False,
        generator: torch.Generator | None = None,
    ) -> Batch:
        """eps ~ N(0, temperature^2) through the inverse; ``mode`` takes eps = 0."""
        parameter = next(self.parameters())
        eps = torch.randn((count, self.flow.dim), generator=generator, dtype=parameter.dtype).to(parameter.device)
        z, _ = self.flow.inverse(eps * (0.0 if mode else temperature))
        ones = torch.ones(count, dtype=torch.int64, device=z.device)
        return Batch(z[:, None], ones, torch.arange(count, device=z.device))
