"""A latent flow whose posterior is a codebook and whose prior is a mixture of Gaussians in time; this project's own.

Legend: B batch, T time, D latent dimensions, P position width, W units, V symbols, M components.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqflows.config.models import CodebookSequence as Config
from seqflows.data.batching import Batch
from seqflows.data.prepared import Facts
from seqflows.flows import AttentiveInTime, AutoregressiveInTime, Components, GaussianMixture, Size
from seqflows.models.base import Terms, check_emission
from seqflows.models.latent_sequence import LatentSequence, flow_prior
from seqflows.models.networks import Emission, LengthModel, Positions

EACH = 4  # components of a free mixture for each symbol, at most: the best prior has one


class Codebook(Emission):
    """A Gaussian of each symbol: q(z_t | x_t = v) = N(mu_v, diag sigma_v^2), and p(x_t | z_t) by Bayes' rule of it."""

    def __init__(self, facts: Facts, components: Components) -> None:
        nn.Module.__init__(self)
        self.categorical, self.symbols = True, facts.symbols
        self.components = components
        self.bias = nn.Parameter(torch.zeros(facts.symbols))

    @property
    def weight(self) -> Tensor:
        """mu, (V, D)."""
        return self.components.means

    def logits(self, features: Tensor) -> Tensor:
        """log pi_v + log N(z; mu_v, diag sigma_v^2), (..., V), from z (..., D)."""
        return self.bias + self.components.log_density(features)


class CodebookSequence(LatentSequence):
    r"""p(x, z, T) = p(T) p(z | T) prod_t p(x_t | z_t), with q(z | x) = prod_t N(mu_{x_t}, diag sigma_{x_t}^2).

    p(x_t = v | z_t) is proportional to pi_v N(z_t; mu_v, diag sigma_v^2). The prior is autoregressive in time, each
    step a mixture of Gaussians as a flow: ``tied``, of the codebook's own; ``free``, of ``components`` others, which
    start near the codebook's or, with ``start: random``, anywhere; or a flow of Ziegler & Rush 2019 (``none``). As the
    codebook's Gaussians move apart, a tied prior becomes the discrete autoregressive model whose probabilities are the
    mixture's weights, and the bound its log-likelihood.

    The best prior of a step is the mixture of the codebook's Gaussians: more components than symbols gain nothing.

    Raises:
        Problem: data of another kind.
        ValueError: more than ``EACH`` components a symbol; `seqflows.models.build` raises it as a Problem.
    """

    def __init__(self, config: Config, facts: Facts) -> None:
        nn.Module.__init__(self)
        check_emission(facts, ("categorical",), "codebook_sequence")
        self.config = config
        self.lengths = LengthModel(facts)
        codebook = Components(facts.symbols, config.latent)
        self.emission = Codebook(facts, codebook)
        self.positions = Positions(facts.max_length, config.position, 1.0)
        if config.mixture == "none":
            self.prior = flow_prior(config)
            return
        tied = config.mixture == "tied"
        count = facts.symbols if tied else config.components
        if count > EACH * facts.symbols:
            raise ValueError(
                f"Expected at most {EACH * facts.symbols} components, {EACH} for each of {facts.symbols} symbols, of "
                f"which the best prior needs one each, got {count}; lower components"
            )
        free = None if tied else Components(count, config.latent)
        if free is not None and config.start == "codebook":
            free.start_at(codebook)  # far from every symbol they would have no gradient, and most would stay there
        inner = GaussianMixture(free or [codebook], nn.Linear(config.width, count), config.width)
        if config.network == "lstm":
            dropout = config.dropout, config.input_dropout
            self.prior = AutoregressiveInTime(inner, config.position, config.width, config.depth, *dropout)
        else:
            size = Size(config.width, config.inner, config.heads)
            self.prior = AttentiveInTime(inner, config.position, size, config.depth, config.dropout)

    def _read(self, batch: Batch) -> tuple[Tensor, ...]:
        """The mean and log standard deviation of q(z_t | x_t), (B, T, D) each."""
        book = self.emission.components
        return F.embedding(batch.x, book.means), F.embedding(batch.x, book.log_deviations)

    @torch.no_grad()
    def monitor(self) -> dict[str, float]:
        """Of a free mixture ``components_used``: exp H(r) from 1 to M, r_m the mean over v of p(m | mu_v).

        p(m | z) is proportional to the density of component m at z: the weights in time are left out. Components far
        from every symbol do not count; with M = V and one for each symbol the value is V.
        """
        if self.config.mixture != "free":
            return {}
        shares = self.prior.inner.components.log_density(self.emission.components.means).softmax(-1).mean(0)
        return {"components_used": torch.special.entr(shares).sum().exp().item()}

    def _latents(
        self, eps: Tensor, temperature: float, position: Tensor, mask: Tensor, generator: torch.Generator | None
    ) -> Tensor:
        """z of a mixture's components, which need no root, at temperature 1; else as `LatentSequence`."""
        if self.config.mixture == "none" or temperature != 1:
            return super()._latents(eps, temperature, position, mask, generator)
        uniform = torch.rand(eps.shape[:2], dtype=eps.dtype, generator=generator)
        return self.prior.draw(eps.to(position.device), uniform.to(position.device), position, mask)

    def weighted_objective(self, batch: Batch, samples: int, kl_weight: float = 1.0) -> Terms:
        """The bound of `LatentSequence.weighted_objective` with its plain gradient.

        The score of q cancels in p(x_t | z_t) / q(z_t | x_t) = pi_{x_t} / sum_v pi_v N(z_t; mu_v, diag sigma_v^2),
        which leaves less noise than the doubly reparametrised gradient.
        """
        log_weights, log_likelihood = self.importance(batch, samples)
        length = -self.length_log_prob(batch.lengths).to(log_weights.dtype)
        ratio = log_weights - log_likelihood + length[:, None]  # of p(z | T) and q(z | x)
        nll = math.log(samples) - torch.logsumexp(log_likelihood + kl_weight * ratio, 1)
        return {"nll": nll, "length": length}

    def logits(self, z_BTD: Tensor, lengths: Tensor, position: Tensor) -> Tensor:
        """The logits of p(x_t | z_t), (B, T, V)."""
        return self.emission.logits(z_BTD)
