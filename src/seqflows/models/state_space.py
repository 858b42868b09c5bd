r"""The deep state-space model of words (Schmidt & Hofmann 2018): noise drives the states, symbols never do.

Legend: B batch, S samples, K proposals a step, N = B S, T time with the end symbol, D dimensions of the state, A units
of the reader, V symbols, M trajectories.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from seqflows.data.batching import Batch
from seqflows.data.prepared import Facts
from seqflows.flows import Bijection, real_nvp, standard_normal_log_density, triangular
from seqflows.models.base import Terms, at_least, one_of
from seqflows.models.networks import BiLSTM, draw_symbols, reversal, step_mask
from seqflows.models.words import WordModel

TRANSITIONS = ("tril", "diag", "real_nvp")
INFERENCES = ("diag", "tril", "shared")
READERS = ("backward", "both")


@dataclass(frozen=True)
class Config:
    """``transition`` is F_g, ``inference`` F_q (``shared``: F_g itself); ``proposals`` is the K of Algorithm 1."""

    state: int = 8
    transition: str = "tril"
    layers: int = 1  # of tril and diag
    keep_from: int = 2  # the couplings of real_nvp keep this many dimensions, the next one more,
    keep_to: int = 7  # and so on to this many
    inference: str = "diag"
    proposals: int = 1
    reader: str = "backward"  # what a_t has read: w_t..w_T, or the whole word (BIDI)
    embedding: int = 8
    units: int = 32  # of the reader, a direction
    width: int = 32  # hidden units of the transitions' networks and of the posterior's; 8 in real_nvp's couplings
    delta: float = 0.1

    def __post_init__(self) -> None:
        one_of("transition", self.transition, TRANSITIONS)
        one_of("inference", self.inference, INFERENCES)
        one_of("reader", self.reader, READERS)
        sizes = ("state", "layers", "keep_from", "proposals", "embedding", "units", "width")
        at_least(1, **{name: getattr(self, name) for name in sizes})
        if not 0 < self.delta < 0.5:
            raise ValueError(f"expected delta in (0, 0.5), got {self.delta}")
        if self.transition == "real_nvp" and not self.keep_from <= self.keep_to < self.state:
            raise ValueError(
                f"expected couplings that keep fewer dimensions than the state of {self.state} has, "
                f"got {self.keep_from} to {self.keep_to}"
            )


def transition(config: Config, kind: str) -> Bijection:
    """h_t = F(h_{t-1}, xi) as a flow whose context is h_{t-1}: ``inverse`` is F, ``forward`` gives back xi."""
    size = config.state
    if kind == "real_nvp":
        return real_nvp(size, size, 8, tuple(range(config.keep_from, config.keep_to + 1)))
    layers = config.layers if kind == config.transition else 1
    return triangular(size, size, config.width, config.delta, layers, diagonal=kind == "diag")


class StateSpace(WordModel):
    r"""P(w) = int prod_t p(h_t | h_{t-1}) P(w_t | h_t) dh, h_t = F_g(h_{t-1}, xi_t), xi_t ~ N(0, I).

    Inference draws xi_t ~ q(. | h_{t-1}, a_t), a diagonal Gaussian, and sets h_t = F_q(h_{t-1}, xi_t); a_t has read the
    word from its end to w_t. With zeta = F_g^-1(F_q(xi)) a step's log-weight is, eq. (9),

    .. math:: \log\omega_t = \log P(w_t | h_t) + \log r(\zeta_t) - \log q(\xi_t) + \log|\det J_s(\xi_t)|,\quad
              s = F_g^{-1} \circ F_q

    With K = ``proposals`` > 1 each of K draws also sees a state that F_g could go to, h_g = F_g(h_{t-1}, xi'), the
    bound's step is log mean_k omega_t^k, whose gradient is that of eq. (11), and the next state is drawn from the K in
    proportion to their weights (Algorithm 1). h_0 is learned; P(. | h) is a softmax of a linear map.
    """

    exact = False

    def __init__(self, config: Config, facts: Facts) -> None:
        super().__init__(facts, "state_space")
        self.config = config
        size = config.state
        self.generative = transition(config, config.transition)
        self.inferred = None if config.inference == "shared" else transition(config, config.inference)
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
        # A posterior that says something from the start and symbols that listen: where the states begin as noise that
        # nothing hears, the model settles on the frequencies of the symbols and stays there (no annealing would help).
        with torch.no_grad():
            last.bias[:size], last.bias[size:] = 0.0, -1.0
            self.to_symbols.weight.mul_(2)

    def read(self, batch: Batch) -> Tensor:
        """a_t of every step, (B, T, A) or, having read the word both ways, (B, T, 2 A)."""
        embedded = self.embedding(batch.x)
        if isinstance(self.reader, BiLSTM):
            return torch.cat(self.reader(embedded, batch.lengths), -1)
        # A word reversed within its length begins with its end symbol: padding comes last and reaches nothing.
        places = reversal(batch.lengths, batch.x.shape[1])[..., None]
        states, _ = self.reader(embedded.gather(1, places.expand_as(embedded)))
        return states.gather(1, places.expand_as(states))

    def _propose(self, before: Tensor, read: Tensor) -> tuple[Tensor, Tensor]:
        """A draw h_t of q and log p(h_t | h_{t-1}) - log q(h_t), from (N, D) and (N, A): (N, D) and (N,)."""
        seen = [before, read]
        if self.config.proposals > 1:
            seen.append(self.generative.inverse(torch.randn_like(before), before)[0])
        mean, log_scale = self.posterior(torch.cat(seen, -1)).chunk(2, -1)
        log_scale = log_scale.clamp(-8, 8)
        noise = torch.randn_like(mean)
        xi = mean + log_scale.exp() * noise
        log_q = (standard_normal_log_density(noise) - log_scale).sum(-1)
        if self.inferred is None:
            h, _ = self.generative.inverse(xi, before)
            return h, standard_normal_log_density(xi).sum(-1) - log_q
        h, stretch = self.inferred.inverse(xi, before)
        zeta, back = self.generative.forward(h, before)
        return h, standard_normal_log_density(zeta).sum(-1) + back + stretch - log_q

    def objective(self, batch: Batch, samples: int) -> Terms:
        """The two terms of the negative bound, averaged over ``samples``, (B,) each, nats a word.

        reconstruction = -sum_t log P(w_t | h_t), with K proposals in the mean that their weights give; kl is the rest
        of the bound -sum_t log mean_k omega_t^k.
        """
        count, rows, steps = self.config.proposals, samples * len(batch.x), batch.x.shape[1]
        read = self.read(batch).repeat(samples * count, 1, 1)  # (K S B, T, A)
        x, mask = batch.x.repeat(samples, 1), step_mask(batch.lengths, steps).repeat(samples, 1)
        before = self.start.expand(rows, -1)
        likelihood, bound = [], []
        for t in range(steps):
            h, ratio = self._propose(before.repeat(count, 1), read[:, t])
            log_p = self._log_p(h, x[:, t].repeat(count)).view(count, rows)
            log_weight = log_p + ratio.view(count, rows)
            if count == 1:
                before, share = h, None
            else:
                share = log_weight.detach().softmax(0)
                chosen = torch.multinomial(share.t(), 1)[:, 0]
                before = h.view(count, rows, -1)[chosen, torch.arange(rows, device=h.device)]
            bound.append(log_weight.logsumexp(0) - math.log(count))
            likelihood.append(log_p[0] if share is None else (share * log_p).sum(0))

        def joined(values: list[Tensor]) -> Tensor:
            return (torch.stack(values, 1) * mask).sum(1).view(samples, -1).mean(0)

        reconstruction, negative = -joined(likelihood), -joined(bound)
        return {"reconstruction": reconstruction, "kl": negative - reconstruction}

    def _log_p(self, h: Tensor, symbols: Tensor) -> Tensor:
        """log P(w_t | h_t), (N,)."""
        return self.to_symbols(h).log_softmax(-1).gather(-1, symbols[:, None])[:, 0]

    def importance(self, batch: Batch, samples: int) -> tuple[Tensor, Tensor]:
        """sum_t log omega_t and sum_t log P(w_t | h_t) of whole trajectories of q, (B, K) each, nats.

        One proposal a step: with the simulated h_g as further noise of the proposal, the weights stay unbiased.
        """
        rows = Batch(*(value.repeat_interleave(samples, 0) for value in batch))
        read, mask = self.read(rows), step_mask(rows.lengths, rows.x.shape[1])
        h = self.start.expand(len(rows.x), -1)
        log_weight = log_likelihood = torch.zeros(len(rows.x), dtype=h.dtype, device=h.device)
        for t in range(rows.x.shape[1]):
            h, ratio = self._propose(h, read[:, t])
            log_p = self._log_p(h, rows.x[:, t]) * mask[:, t]
            log_likelihood = log_likelihood + log_p
            log_weight = log_weight + log_p + ratio * mask[:, t]
        return log_weight.view(-1, samples), log_likelihood.view(-1, samples)

    def states(self, noise: Tensor) -> Tensor:
        """h_1..h_T that noise (M, T, D) drives through F_g, (M, T, D)."""
        h, found = self.start.expand(len(noise), -1), []
        for step in noise.unbind(1):
            h = self.generative.inverse(step, h)[0]
            found.append(h)
        return torch.stack(found, 1)

    @torch.no_grad()
    def trajectories(self, count: int, steps: int, generator: torch.Generator | None = None) -> Tensor:
        """log P(v | h_t) along ``count`` trajectories of the prior, (M, T, V), nats."""
        return self.to_symbols(self.states(self._noise(count, steps, 1.0, generator))).log_softmax(-1)

    @torch.no_grad()
    def branch(self, states: Tensor, samples: int, generator: torch.Generator | None = None) -> Tensor:
        """log P(v | F_g(h, xi)) for ``samples`` draws of xi after each state h, (N, D): (N, samples, V), nats."""
        before = states.repeat_interleave(samples, 0)
        noise = self._noise(len(before), 1, 1.0, generator)[:, 0]
        log_p = self.to_symbols(self.generative.inverse(noise, before)[0]).log_softmax(-1)
        return log_p.view(len(states), samples, -1)

    def _noise(self, count: int, steps: int, temperature: float, generator: torch.Generator | None) -> Tensor:
        shape, device = (count, steps, self.config.state), self.start.device
        where = device if generator is None else generator.device
        return temperature * torch.randn(shape, dtype=self.start.dtype, generator=generator, device=where).to(device)

    def _symbols(self, count: int, temperature: float, mode: bool, generator: torch.Generator | None) -> Tensor:
        """``temperature`` scales the noise, not the symbols."""
        states = self.states(self._noise(count, self.longest, temperature, generator))
        return draw_symbols(self.to_symbols(states), 1.0, mode, generator)
