r"""The deep state-space model of words (Schmidt & Hofmann 2018): only noise drives the states.

Legend: B batch, S samples, K proposals a step, N = B S, T time with the end symbol, D dimensions of the state, A units
of the reader, V symbols, M trajectories.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from seqflows.config.models import StateSpace as Config
from seqflows.data.batching import Batch
from seqflows.data.prepared import Facts
from seqflows.flows import Bijection, Map, real_nvp, triangular, wide
from seqflows.models.base import Terms, check_samples
from seqflows.models.networks import BiLSTM, draw_symbols, step_mask
from seqflows.models.words import WordModel, gaps

FARTHEST = 1e6  # bound of a state that diverges in free mode
AT_ONCE = 2048  # states whose next symbols are computed together
IN_CACHE = 2**19  # numbers of the matrices that are made together; larger ones cost more than they save


def transition(config: Config, kind: str, layers: int = 1) -> Bijection:
    """h_t = F(h_{t-1}, xi) as a flow with context h_{t-1}: ``inverse`` is F, ``forward`` returns xi."""
    size = config.state
    if kind == "real_nvp":
        return real_nvp(size, size, 8, tuple(range(config.keep_from, config.keep_to + 1)))
    return triangular(size, size, config.width, config.delta, layers, diagonal=kind == "diag")


class _Draws(NamedTuple):
    """Draws of h_t given h_{t-1} (N, D): h_t, xi_t, the noise of q and its log deviations, (N, draws, D) each.

    ``ahead`` is log |det dh/dxi|, (N, draws).
    """

    before: Tensor
    h: Tensor
    xi: Tensor
    noise: Tensor
    log_scale: Tensor
    ahead: Tensor


class StateSpace(WordModel):
    r"""P(w) = int prod_t p(h_t | h_{t-1}) P(w_t | h_t) dh, h_t = F_g(h_{t-1}, xi_t), xi_t ~ N(0, I).

    Inference draws xi_t ~ q(. | h_{t-1}, a_t), a diagonal Gaussian, and sets h_t = F_q(h_{t-1}, xi_t); a_t encodes the
    word from its end to w_t. With zeta = F_g^-1(F_q(xi)) a step's log-weight is, eq. (9),

    .. math:: \log\omega_t = \log P(w_t | h_t) + \log r(\zeta_t) - \log q(\xi_t) + \log|\det J_s(\xi_t)|,\quad
              s = F_g^{-1} \circ F_q

    With K = ``proposals`` > 1 each of K draws is also given a possible state of F_g, h_g = F_g(h_{t-1}, xi'), the
    bound's step is log mean_k omega_t^k, whose gradient is that of eq. (11), and the next state is drawn from the K in
    proportion to their weights (Algorithm 1). h_0 is learned; P(. | h) is a softmax of a linear map.
    """

    exact = False

    def __init__(self, config: Config, facts: Facts) -> None:
        super().__init__(facts, "state_space")
        self.config = config
        size = config.state
        self.generative = transition(config, config.transition, config.layers)
        self.inferred = None if config.inference == "shared" else transition(config, config.inference)
        self._watched: list[tuple[Tensor, int]] = []
        self.start = nn.Parameter(torch.zeros(size))
        self.embedding = nn.Embedding(facts.symbols, config.embedding)
        if config.reader == "both":
            self.reader: nn.Module = BiLSTM(config.embedding, config.units, 1, nn.GRU)
            read = 2 * config.units
        else:
            self.reader, read = nn.GRU(config.embedding, config.units, batch_first=True), config.units
        seen = size + read + (size if config.proposals > 1 else 0)
        last = nn.Linear(config.width, 2 * size)
        self.posterior = nn.Sequential(nn.Linear(seen, config.width), nn.ReLU(), last)
        self.to_symbols = nn.Linear(size, facts.symbols)
        # Start with a narrow posterior and a sharp softmax; otherwise training collapses to symbol frequencies.
        with torch.no_grad():
            last.bias[:size], last.bias[size:] = 0.0, -1.0
            self.to_symbols.weight.mul_(2)

    def read(self, batch: Batch) -> Tensor:
        """a_t of every step, (B, T, A) or, with a reader in both directions, (B, T, 2 A)."""
        embedded = self.embedding(batch.x)
        if isinstance(self.reader, BiLSTM):
            return torch.cat(self.reader(embedded, batch.lengths), -1)
        order, ranks, past, left = _by_step(batch.lengths, batch.x.shape[1])
        words = order[ranks]
        times = batch.lengths[words] - 1 - past  # each word from its end
        packed = nn.utils.rnn.PackedSequence(embedded[words, times], torch.tensor([rows for rows in left if rows]))
        states = self.reader(packed)[0].data
        return states.new_zeros(*batch.x.shape, self.config.units).index_put((words, times), states)

    def _reading(self, read: Tensor) -> Tensor:
        """The term of a_t in the posterior's hidden layer, (B, T, W): equal for all draws, computed once."""
        first, size = self.posterior[0], self.config.state
        return nn.functional.linear(read, first.weight[:, size : size + read.shape[-1]], first.bias)

    def _log_probs(self, h: Tensor) -> Tensor:
        """log P(v | h) of states (..., D), (..., V), nats."""
        return wide(self.to_symbols(h)).log_softmax(-1)

    def _draw(self, before: Tensor, reading: Tensor, draws: int, generative: Map | None = None) -> _Draws:
        """``draws`` draws of q(h_t) for each h_{t-1} (N, D) and the term of `_reading` (N, W).

        F_g and F_q depend on h_{t-1} only: their networks run once for all draws. With K > 1 or a shared F the map of
        F_g is needed here, ``generative``.
        """
        size, first, last = self.config.state, self.posterior[0], self.posterior[-1]
        shape, like = (len(before), draws, size), {"dtype": before.dtype, "device": before.device}
        hidden = torch.addmm(reading, before, first.weight[:, :size].t())[:, None]
        if self.config.proposals > 1:
            simulated, _ = generative.inverse(torch.randn(shape, **like))
            hidden = hidden + simulated @ first.weight[:, -size:].t()
        mean, log_scale = wide(last(hidden.relu())).chunk(2, -1)
        log_scale = log_scale.clamp(-8, 8)
        noise = torch.randn(shape, **like)
        xi = mean + log_scale.exp() * noise
        h, ahead = (generative if self.inferred is None else self.inferred.at(before)).inverse(xi)
        return _Draws(before, h, xi, noise, log_scale, ahead)

    def _weigh(self, draws: _Draws, symbols: Tensor, generative: Map) -> tuple[Tensor, Tensor]:
        """log P(w_t | h_t) and log omega_t of draws for w_t (N,), (N, draws) each."""
        if self.inferred is None:
            zeta, stretch = draws.xi, 0.0
        else:
            zeta, back = generative.forward(draws.h)
            stretch = draws.ahead + back
        # log r(zeta) - log q(xi): the constants of the two normal densities are the same
        ratio = (0.5 * (draws.noise.square() - zeta.square()) + draws.log_scale).sum(-1) + stretch
        chosen = symbols[:, None, None].expand(*draws.h.shape[:-1], 1)
        log_p = self._log_probs(draws.h).gather(-1, chosen)[..., 0]
        return log_p, log_p + ratio

    def _step(self, before: Tensor, reading: Tensor, symbols: Tensor, draws: int) -> tuple[Tensor, Tensor, Tensor]:
        """Draws of q(h_t), (N, draws, D), their log P(w_t | h_t) and log omega_t, (N, draws) each."""
        generative = self.generative.at(before)
        drawn = self._draw(before, reading, draws, generative)
        return drawn.h, *self._weigh(drawn, symbols, generative)

    def _alone(self, before: Tensor, readings: Sequence[Tensor], symbols: Tensor) -> tuple[Tensor, Tensor]:
        """One pass without alternatives (K = 1): log P(w_t | h_t) and log omega_t of all steps, one after the other.

        No weight decides on a state, so that in the loop over time stands what makes the next state alone; F_g and the
        symbols' probabilities are computed for all steps together.
        """
        found, shared = [], self.inferred is None
        for now in readings:
            before = before[: len(now)]
            found.append(self._draw(before, now, 1, self.generative.at(before) if shared else None))
            before = found[-1].h[:, 0]
        draws = _Draws(*(torch.cat(values) for values in zip(*found, strict=True)))
        rows = max(1, IN_CACHE // self.config.state**2)
        parts = zip(*(value.split(rows) for value in (*draws, symbols)), strict=True)
        weighed = [self._weigh(_Draws(*some), given, self.generative.at(some[0])) for *some, given in parts]
        log_p, log_omega = (torch.cat(values)[:, 0] for values in zip(*weighed, strict=True))
        return log_p, log_omega

    def objective(self, batch: Batch, samples: int) -> Terms:
        """The two terms of the negative bound, averaged over ``samples``, (B,) each, nats per word.

        reconstruction = -sum_t log P(w_t | h_t), with K proposals averaged by their weights; kl is the rest
        of the bound -sum_t log mean_k omega_t^k.
        """
        check_samples(samples)
        count = self.config.proposals
        reading = self._reading(self.read(batch))
        order, ranks, times, left = _by_step(batch.lengths.repeat(samples), batch.x.shape[1])
        places = order[ranks] % len(batch.x)
        readings, symbols = reading[places, times].split(left), batch.x[places, times]
        before, likelihood, bound = self.start.expand(len(order), -1), [], []
        if count == 1:
            likelihood, bound = ([values] for values in self._alone(before, readings, symbols))
        else:
            for now, given in zip(readings, symbols.split(left), strict=True):
                h, log_p, log_weight = self._step(before[: len(now)], now, given, count)
                share = log_weight.detach().softmax(-1)
                self._watch(share)
                before = h.gather(1, _drawn(share)[..., None].expand(-1, 1, h.shape[-1]))[:, 0]
                likelihood.append((share * log_p).sum(-1))
                bound.append(log_weight.logsumexp(-1) - math.log(count))

        def joined(values: list[Tensor]) -> Tensor:
            found = torch.cat(values)
            return found.new_zeros(len(batch.x)).index_add(0, places, found) / samples

        reconstruction, negative = -joined(likelihood), -joined(bound)
        return {"reconstruction": reconstruction, "kl": negative - reconstruction}

    def weighted_objective(self, batch: Batch, samples: int, kl_weight: float = 1.0) -> Terms:
        r"""nll = -log (1/S) sum_s prod_t omega_t^s over S whole passes (Burda et al. 2016), (B,), nats per word.

        With a KL weight beta below 1, omega_t is P(w_t | h_t)^(1 - beta) omega_t^beta.
        """
        return {"nll": -self._weighted(batch, samples, kl_weight, filtering=False)}

    def filtered_objective(self, batch: Batch, samples: int, kl_weight: float = 1.0) -> Terms:
        r"""nll = -sum of log mean weights of a particle filter of S passes, (B,), nats per word.

        The bound of Maddison et al. 2017: where the effective sample size of a word's weights falls below S / 2, the
        log of their mean is added to the bound and the states are drawn anew in proportion to them. The draws have no
        gradient, as there.
        """
        return {"nll": -self._weighted(batch, samples, kl_weight, filtering=True)}

    def _weighted(self, batch: Batch, samples: int, kl_weight: float, *, filtering: bool) -> Tensor:
        """The bound by S passes together, (B,), nats; the longest words first, as in `objective`."""
        check_samples(samples)
        order, ranks, times, left = _by_step(batch.lengths, batch.x.shape[1])
        reading, symbols = (
            value[order[ranks], times].split(left) for value in (self._reading(self.read(batch)), batch.x)
        )
        h, count = self.start.expand(len(order), samples, -1), len(order)
        weights, bound = h.new_zeros(count, samples), h.new_zeros(count)
        kept = torch.arange(samples, device=h.device)
        for rows, *given in zip(left, reading, symbols, strict=True):
            now = (value.repeat_interleave(samples, 0) for value in given)
            proposed, log_p, log_omega = self._step(h[:rows].flatten(0, 1), *now, self.config.proposals)
            log_omega = log_p + kl_weight * (log_omega - log_p)
            share = log_omega.detach().softmax(1)
            self._watch(share)
            place = _drawn(share)[..., None].expand(-1, 1, proposed.shape[-1])
            h = proposed.gather(1, place).view(rows, samples, -1)
            step = log_omega.logsumexp(1) - math.log(self.config.proposals)
            weights = torch.cat([weights[:rows] + step.view(rows, samples), weights[rows:]])
            if filtering and rows:
                share = weights.detach()[:rows].softmax(1)
                poor = share.square().sum(1) > 2 / samples  # 1 over the effective sample size
                parents = kept.repeat(rows, 1)
                if bool(poor.any()):
                    parents[poor] = torch.multinomial(share[poor].nan_to_num(1.0), samples, replacement=True)
                h = h.gather(1, parents[..., None].expand_as(h))
                anew = torch.cat([poor, poor.new_zeros(count - rows)])
                bound = bound + torch.where(anew, weights.logsumexp(1) - math.log(samples), 0.0)
                weights = torch.where(anew[:, None], 0.0, weights)
        bound = bound + weights.logsumexp(1) - math.log(samples)
        return torch.empty_like(bound).index_copy(0, order, bound)

    def _watch(self, share: Tensor) -> None:
        """Keep the mean variance of K weights in validation, from their shares (N, K), for `monitor`."""
        rows, count = share.shape
        if rows and count > 1 and not self.training:
            self._watched.append((rows * count**2 * share.var(1, correction=0).mean(), rows))

    @property
    def proposals(self) -> int:
        """K of Algorithm 1."""
        return self.config.proposals

    def importance(self, batch: Batch, samples: int) -> tuple[Tensor, Tensor]:
        """Sums over t of log mean_k omega_t^k and of the log P(w_t | h_t) chosen, (B, S) each, nats.

        A sample is a pass of Algorithm 1: K proposals a step, one of them drawn in proportion to its weight. The
        product of the mean weights is unbiased for P(w) at any K, since the simulated h_g is noise of the proposal.
        """
        check_samples(samples)
        count = self.config.proposals
        reading, mask = self._reading(self.read(batch)), step_mask(batch.lengths, batch.x.shape[1])
        h = self.start.expand(len(batch.x) * samples, -1)
        log_weight = log_likelihood = torch.zeros(len(h), dtype=h.dtype, device=h.device)
        for t in range(batch.x.shape[1]):
            now, alive = (value[:, t].repeat_interleave(samples, 0) for value in (reading, mask))
            proposed, log_p, log_omega = self._step(h, now, batch.x[:, t].repeat_interleave(samples), count)
            chosen = _drawn(log_omega.softmax(1))
            h = proposed.gather(1, chosen[..., None].expand(-1, 1, proposed.shape[-1]))[:, 0]
            log_likelihood = log_likelihood + torch.where(alive, log_p.gather(1, chosen)[:, 0], 0.0)
            log_weight = log_weight + torch.where(alive, log_omega.logsumexp(1) - math.log(count), 0.0)
        return log_weight.view(-1, samples), log_likelihood.view(-1, samples)

    def monitor(self) -> dict[str, float]:
        """The entropies and, for K > 1, the variance of the K weights (of mean 1) over the steps validated since."""
        watched, self._watched = self._watched, []
        found = super().monitor()
        if watched:
            found["weight_variance"] = float(sum(value for value, _ in watched)) / sum(rows for _, rows in watched)
        return found

    def states(self, noise: Tensor) -> Tensor:
        """h_1..h_T from noise (M, T, D) through F_g, (M, T, D)."""
        h, found = self.start.expand(len(noise), -1), []
        for step in noise.unbind(1):
            h = self.generative.inverse(step, h)[0].clamp(-FARTHEST, FARTHEST)
            found.append(h)
        return torch.stack(found, 1)

    @torch.no_grad()
    def trajectories(self, count: int, steps: int, generator: torch.Generator | None = None) -> Tensor:
        """log P(v | h_t) along ``count`` trajectories of the prior, (M, T, V), nats."""
        return self._log_probs(self.states(self._noise(count, steps, 1.0, generator)))

    @torch.no_grad()
    def branch(self, states: Tensor, samples: int, generator: torch.Generator | None = None) -> Tensor:
        """log P(v | F_g(h, xi)) for ``samples`` draws of xi after each state h, (N, D): (N, samples, V), nats."""
        noise = self._noise(len(states), samples, 1.0, generator)
        return self._log_probs(self.generative.at(states).inverse(noise)[0])

    @torch.no_grad()
    def entropies(
        self, count: int, draws: int, generator: torch.Generator | None = None
    ) -> tuple[Batch, dict[str, Tensor]]:
        """Marginal and expected entropy of every step, from the state before it."""
        states = self.states(self._noise(count, self.longest, 1.0, generator))
        batch = self._words(draw_symbols(self.to_symbols(states), 1.0, False, generator))
        before = torch.cat([self.start.expand(count, 1, -1), states[:, :-1]], 1)[:, : batch.x.shape[1]]
        parts = [gaps(self.branch(some, draws, generator)) for some in before[batch.mask].split(AT_ONCE)]
        found = {}
        for name, values in zip(("marginal", "expected"), zip(*parts, strict=True), strict=True):
            found[name] = states.new_zeros(batch.mask.shape).masked_scatter(batch.mask, torch.cat(values))
        return batch, found

    def _noise(self, count: int, steps: int, temperature: float, generator: torch.Generator | None) -> Tensor:
        shape, device = (count, steps, self.config.state), self.start.device
        where = device if generator is None else generator.device
        return temperature * torch.randn(shape, dtype=self.start.dtype, generator=generator, device=where).to(device)

    def _symbols(self, count: int, temperature: float, mode: bool, generator: torch.Generator | None) -> Tensor:
        """``temperature`` scales the noise, not the symbols."""
        states = self.states(self._noise(count, self.longest, temperature, generator))
        return draw_symbols(self.to_symbols(states), 1.0, mode, generator)


def _by_step(lengths: Tensor, steps: int) -> tuple[Tensor, Tensor, Tensor, list[int]]:
    """The order from the longest word to the shortest, and all their steps, time by time: ranks in it, and times.

    The last is how many words each of the T steps has. They are the first in that order, so that words that are over
    cost nothing, and one index reads a (B, T, ...) tensor for all steps.
    """
    order = lengths.argsort(descending=True, stable=True)
    going = lengths[order] > torch.arange(steps, device=order.device)[:, None]
    times, ranks = going.nonzero(as_tuple=True)
    return order, ranks, times, going.sum(1).tolist()


def _drawn(shares: Tensor) -> Tensor:
    """Draw one of K by shares (N, K), as (N, 1); any if they are not finite, which the loss then is not either."""
    if shares.shape[1] == 1:
        return torch.zeros_like(shares, dtype=torch.long)
    return torch.multinomial(shares.nan_to_num(1.0), 1)
