"""The latent flow model of discrete sequences (Ziegler & Rush 2019).

Legend: B batch, S posterior samples, K importance samples, T time, D latent dimensions, P position width,
E embedding, W units, V symbols.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from seqflows.compute import own_noise
from seqflows.config.models import LatentSequence as Config
from seqflows.data.batching import Batch
from seqflows.data.prepared import Facts
from seqflows.errors import Problem
from seqflows.flows import (
    SCALARS,
    AttentiveInTime,
    AutoregressiveInTime,
    Bijection,
    Inverse,
    Stepwise,
    layered,
    standard_normal_log_density,
    wide,
)
from seqflows.flows.initial import START, start
from seqflows.models.base import Model, Terms, check_emission, check_samples
from seqflows.models.networks import BiLSTM, LengthModel, Positions, emission, step_mask

LOG_TWO_PI = math.log(2 * math.pi)
TIMES = ("af", "iaf", "none")
SYMBOL_NORM = 500 * START**2 / 3  # squared norm of the released code's embeddings, within +-START, at the paper's width


def flow_prior(config: Config) -> Bijection:
    """The prior p(z | T), a flow over sequences: AF, IAF or no dependence in time (sections 4.3, 6.1)."""
    context = config.position if config.time == "none" else config.width
    inner = layered(config.hidden, config.latent, context, config.flow_width, SCALARS[config.scalar](), config.layers)
    if config.time == "none":
        return Stepwise(inner)
    in_time = (config.position, config.width, config.depth, config.dropout)
    if config.time == "af":
        return AutoregressiveInTime(inner, *in_time)
    return Inverse(AutoregressiveInTime(Inverse(inner), *in_time))


class LatentSequence(Model):
    r"""p(x, z, T) = p(T) p(z | T) prod_t p(x_t | z, T) with posterior q(z | x) = prod_t N(mu_t, diag sigma_t^2).

    An ``autoregressive`` posterior, which the paper lacks, is prod_t q(z_t | z_{<t}, x): z_t = mu_t + sigma_t eps_t,
    both also functions of eps_{<t} by an LSTM (an inverse autoregressive flow in time, Kingma et al. 2016).

    The prior is a flow; the likelihood is a BiLSTM over z that at t uses z_t, the forward state of t-1 and the
    backward state of t+1, then two linear maps, the second tied to the input embedding (sections 4 and 5).
    """

    exact = False

    def __init__(self, config: Config, facts: Facts) -> None:
        super().__init__()
        check_emission(facts, ("categorical", "bernoulli"), "latent_sequence")
        self.config = config
        self.lengths = LengthModel(facts)
        self.emission = emission(facts, config.embedding, SYMBOL_NORM, config.keys, config.nade_width)
        self.positions = Positions(facts.max_length, config.position, self.emission.norm)
        shape = {"width": config.width, "depth": config.depth, "dropout": config.network_dropout}
        self.encoder = BiLSTM(config.embedding + config.position, **shape)
        self.to_posterior = nn.Linear(2 * config.width, 2 * config.latent)
        if config.posterior == "autoregressive":
            self.past = nn.LSTM(config.latent + 2 * config.width, config.width, batch_first=True)
            self.to_change = nn.Linear(config.width, 2 * config.latent)
        self.decoder = BiLSTM(config.latent + config.position, **shape)
        self.to_embedding = nn.Linear(2 * config.width + config.latent, config.embedding)
        start(self.to_posterior, self.to_embedding)
        if config.posterior == "autoregressive":
            start(self.to_change)
        self.prior = flow_prior(config)

    def length_log_prob(self, lengths: Tensor) -> Tensor:
        """log p(T), (B,), nats."""
        return self.lengths(lengths)

    def posterior(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The mean and log standard deviation of q(z_t | z_{<t}, x) where earlier noise is 0, (B, T, D) each."""
        read = self._read(batch)
        return self._given(torch.zeros_like(read[0]), *read)

    def _read(self, batch: Batch) -> tuple[Tensor, ...]:
        """The mean and log standard deviation by x alone, (B, T, D) each; with a past also the states (B, T, 2W)."""
        position = self.positions(batch.lengths, batch.x.shape[1])
        both = self.encoder(torch.cat([self.emission.embed(batch.x), position], -1), batch.lengths)
        states = torch.cat(both, -1)
        mean, log_scale = wide(self.to_posterior(states)).chunk(2, -1)
        found = mean, log_scale.clamp(-8, 8)
        return found if self.config.posterior == "independent" else (*found, states)

    def _given(self, noise: Tensor, mean: Tensor, log_scale: Tensor, *states: Tensor) -> tuple[Tensor, Tensor]:
        """The mean and log standard deviation given the noise (B, T, D) of earlier steps; those by x without states."""
        if not states:
            return mean, log_scale
        before = torch.cat([torch.zeros_like(noise[:, :1]), noise[:, :-1]], 1)
        more = wide(self.to_change(self.past(torch.cat([before, *states], -1))[0])).chunk(2, -1)
        return mean + more[0], (log_scale + more[1]).clamp(-8, 8)

    def _noised(self, batch: Batch, samples: int) -> tuple[Batch, Tensor, Tensor, Tensor]:
        """Each sequence K times; noise for them, and the mean and log standard deviation given it, (B K, T, D)."""
        check_samples(samples)
        rows = Batch(*(value.repeat_interleave(samples, 0) for value in batch[:3]))
        read = [value.repeat_interleave(samples, 0) for value in self._read(batch)]
        noise = torch.randn_like(read[0])
        return rows, noise, *self._given(noise, *read)

    def logits(self, z_BTD: Tensor, lengths: Tensor, position: Tensor) -> Tensor:
        """The parameters of p(x_t | z), (B, T, V)."""
        ahead, back = self.decoder(torch.cat([z_BTD, position], -1), lengths)
        edge = ahead.new_zeros(ahead.shape[0], 1, ahead.shape[2])
        around = torch.cat([edge, ahead[:, :-1]], 1), torch.cat([back[:, 1:], edge], 1)
        return self.emission.logits(self.to_embedding(torch.cat([*around, z_BTD], -1)))

    def log_likelihood(self, x: Tensor, z_BTD: Tensor, lengths: Tensor, position: Tensor) -> Tensor:
        """log p(x | z, T), (B,), nats."""
        steps = self.emission.log_prob(x, self.logits(z_BTD, lengths, position))
        return (steps * step_mask(lengths, x.shape[1])).sum(1)

    def log_prior(self, z_BTD: Tensor, lengths: Tensor, position: Tensor) -> Tensor:
        """log p(z | T), (B,), nats."""
        return self.prior.log_density(z_BTD, position, step_mask(lengths, z_BTD.shape[1]))

    def log_prior_of_draws(self, z: Tensor, lengths: Tensor, position: Tensor, samples: int) -> Tensor:
        """`log_prior`, (B K,), of K draws for each sequence, one after another: rows b K to b K + K - 1 are b's."""
        return self._of_draws(samples, lambda rows: self.log_prior(z[rows], lengths[rows], position[rows]))

    def _of_draws(self, samples: int, score: Callable[[slice], Tensor]) -> Tensor:
        """``score`` of all rows (B K,), which it has of some: in training a sequence's K draws see the same network.

        That is one dropout mask of each of its steps. Apart, the K weights would differ by their masks more than by
        their draws, and the bound would prefer the best of K networks. So the k-th draws of all sequences are scored
        together, each time with the same random numbers.
        """
        dropped = (getattr(self.config, f"{part}dropout", 0.0) for part in ("", "input_", "network_"))
        if not self.training or samples == 1 or not any(dropped):
            return score(slice(None))
        seed, found = int(torch.randint(2**62, ())), []
        device = next(self.parameters()).device
        for k in range(samples):
            with own_noise(device, seed):
                found.append(score(slice(k, None, samples)))
        return torch.stack(found, 1).flatten()

    def objective(self, batch: Batch, samples: int) -> Terms:
        r"""The three terms of the negative ELBO, averaged over ``samples`` draws of z (section 5).

        reconstruction = E_q[-log p(x | z)], kl = -H(q) - E_q[log p(z)] with the entropy of each step in closed form,
        length = -log p(T).
        """
        check_samples(samples)
        steps = batch.x.shape[1]
        read = self._read(batch)
        mask = step_mask(batch.lengths, steps)
        noise = torch.randn((samples, *read[0].shape), dtype=read[0].dtype, device=read[0].device).flatten(0, 1)
        mean, log_scale = self._given(noise, *(value.repeat(samples, 1, 1) for value in read))
        z = mean + log_scale.exp() * noise
        x = batch.x.repeat(samples, *[1] * (batch.x.dim() - 1))
        lengths = batch.lengths.repeat(samples)
        position = self.positions(batch.lengths, steps).repeat(samples, 1, 1)
        shape = (samples, len(batch.lengths))
        log_likelihood = self.log_likelihood(x, z, lengths, position).view(shape).mean(0)
        log_prior = self.log_prior(z, lengths, position).view(shape).mean(0)
        entropy = (log_scale + 0.5 * (1 + LOG_TWO_PI)).sum(-1).view(*shape, steps).mean(0)
        entropy = (entropy * mask).sum(1)
        length = -self.length_log_prob(batch.lengths)
        return {"reconstruction": -log_likelihood, "kl": -entropy - log_prior, "length": length.to(mean.dtype)}

    def weighted_objective(self, batch: Batch, samples: int, kl_weight: float = 1.0) -> Terms:
        r"""nll = -log (1/K) sum_k w_k and length = -log p(T), with w_k = p(x | z_k, T) (p(z_k | T) / q(z_k | x))^beta.

        The bound of Burda et al. 2016 where beta, the KL weight, is 1. Its gradient is the doubly reparametrised one
        (Tucker et al. 2019): with the normalised weights v_k, that of the generative model is sum_k v_k grad log w_k,
        and that of the posterior's parameters flows through z_k alone, by (1 - beta) v_k + beta v_k^2. With an
        autoregressive posterior, whose log q(z_k | x) at fixed parameters would need its noise step by step, all
        gradients are sum_k v_k grad log w_k.
        """
        rows, noise, mean, log_scale = self._noised(batch, samples)
        z = mean + log_scale.exp() * noise
        position, mask = self.positions(rows.lengths, rows.x.shape[1]), step_mask(rows.lengths, rows.x.shape[1])
        twice = self.config.posterior == "independent"
        if twice:
            apart, fixed = (z - mean.detach()) * torch.exp(-log_scale.detach()), log_scale.detach()
        else:
            apart, fixed = noise, log_scale
        log_q = ((standard_normal_log_density(apart) - fixed).sum(-1) * mask).sum(1)
        ratio = self.log_prior_of_draws(z, rows.lengths, position, samples) - log_q
        x, lengths = rows.x, rows.lengths
        log_likelihood = self._of_draws(
            samples, lambda part: self.log_likelihood(x[part], z[part], lengths[part], position[part])
        )
        log_weights = (log_likelihood + kl_weight * ratio).view(-1, samples)
        shares = log_weights.detach().softmax(1)
        if twice and z.requires_grad:
            through = 1 - kl_weight + kl_weight * shares.flatten()[:, None, None]
            z.register_hook(lambda gradient: gradient * through)
        bound = torch.logsumexp(log_weights, 1) - math.log(samples)
        surrogate = (shares * log_weights).sum(1)  # whose gradient it is
        length = -self.length_log_prob(batch.lengths)
        return {"nll": -(surrogate + (bound - surrogate).detach()), "length": length.to(mean.dtype)}

    def importance(self, batch: Batch, samples: int) -> tuple[Tensor, Tensor]:
        """log p(x, z_k, T) - log q(z_k | x) and log p(x | z_k, T) for z_k ~ q(z | x), (B, K) each, nats (section 6).

        Each draw is scored by the three densities. Posterior, likelihood and prior are those of `objective`, whose
        entropy of q is in closed form; both are tested against quadratures over z and over its noise.
        """
        rows, noise, mean, log_scale = self._noised(batch, samples)
        z = mean + log_scale.exp() * noise
        position = self.positions(rows.lengths, rows.x.shape[1])
        mask = step_mask(rows.lengths, rows.x.shape[1])
        log_q = ((standard_normal_log_density((z - mean) * torch.exp(-log_scale)) - log_scale).sum(-1) * mask).sum(1)
        log_likelihood = self.log_likelihood(rows.x, z, rows.lengths, position)
        log_joint = log_likelihood + self.log_prior_of_draws(z, rows.lengths, position, samples)
        log_weights = log_joint - log_q + self.length_log_prob(rows.lengths)
        return log_weights.view(-1, samples), log_likelihood.view(-1, samples)

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
        """T ~ p(T), eps ~ N(0, temperature^2), z = f(eps), x ~ p(x | z) or its mode (Appendix C)."""
        device, dtype = self.emission.weight.device, self.emission.weight.dtype
        if lengths is None:
            lengths = self.lengths.sample(count, generator)
        lengths = lengths.to(device)
        steps = int(lengths.max())
        eps = torch.randn((count, steps, self.config.latent), dtype=dtype, generator=generator)
        position, mask = self.positions(lengths, steps), step_mask(lengths, steps)
        z = self._latents(eps, temperature, position, mask, generator)
        x = self.emission.draw(self.logits(z, lengths, position), 1.0, mode, generator)
        return Batch(_zero_padding(x, mask), lengths, torch.arange(count, device=device))

    def _latents(
        self, eps: Tensor, temperature: float, position: Tensor, mask: Tensor, generator: torch.Generator | None
    ) -> Tensor:
        """z = f(temperature eps), (B, T, D)."""
        return self.prior.inverse(eps.to(position.device) * temperature, position, mask)[0]

    @torch.no_grad()
    def prior_conditional(self, z_1TD: Tensor, lengths: Tensor, grid_GD: Tensor) -> Tensor:
        """log p(z_t = grid | z_<t), (T, G), nats; only for models autoregressive in time (figure 6)."""
        if not isinstance(self.prior, AutoregressiveInTime):
            got = "network: transformer" if isinstance(self.prior, AttentiveInTime) else f"time: {self.config.time}"
            raise Problem(
                "expected a prior by an LSTM that reads the steps before, time: af or a codebook's network: lstm, for "
                f"conditional densities, got {got}; take another run"
            )
        context = self.prior.states(z_1TD, self.positions(lengths, z_1TD.shape[1]))[0]
        rows = []
        for context_t in context:
            eps, log_det = self.prior.inner.forward(grid_GD, context_t.expand(len(grid_GD), -1))
            rows.append(standard_normal_log_density(eps).sum(-1) + log_det)
        return torch.stack(rows)


def _zero_padding(x: Tensor, mask: Tensor) -> Tensor:
    return x * mask.view(*mask.shape, *[1] * (x.dim() - 2)).to(x.dtype)
