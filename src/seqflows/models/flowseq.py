"""Questions whose words are all written at once, from the latent of a flow given the context (Ma et al. 2019).

Legend: B batch, K posterior samples, N candidates, R examples (B K or B N), S words of a context, H width of its
encoding, T words of a question with its end, P steps of its latent (T rounded up), D latent dimensions, W width of the
Transformers, V words that can be written.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqflows.config.models import FlowSeq as Config
from seqflows.data.batching import Batch, Given
from seqflows.data.prepared import Facts
from seqflows.data.tokens import SPECIAL
from seqflows.errors import Problem
from seqflows.flows import Size, Source, initialise, levels, standard_normal_log_density, wide
from seqflows.flows.attention import SourceLayer
from seqflows.flows.initial import start
from seqflows.models.base import Model, Terms, check_emission, check_samples
from seqflows.models.contexts import ContextEncoder
from seqflows.models.networks import Positions, step_mask

LOG_TWO_PI = math.log(2 * math.pi)
SHIFT = len(SPECIAL) - 1  # number 0 of the V words is the unknown one, number n > 0 has the id n + SHIFT
GROUP = 16  # contexts whose questions are written together
LOGITS = 2**22  # logits at once, 17 MB: of more, most of the time goes into new memory


class Read(NamedTuple):
    """What is read of contexts: u (B, S, H), its map to the flow's width, and log p(T | x) from T = 1, (B, longest)."""

    source: Source
    flow: Source
    log_lengths: Tensor


class Question(NamedTuple):
    """Numbers of words (R, P), 0 at the end and after; lengths with the end (R,); masks of words and latent (R, P)."""

    words: Tensor
    lengths: Tensor
    said: Tensor
    mask: Tensor

    def repeat(self, copies: int) -> Question:
        """Each ``copies`` times, next to each other."""
        return Question(*(value.repeat_interleave(copies, 0) for value in self))


class Transformer(nn.Module):
    """Layers that attend to a source, then a normalisation: (R, P, W) -> (R, P, W)."""

    def __init__(self, size: Size, source: int, depth: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(SourceLayer(size, source, dropout) for _ in range(depth))
        self.norm = nn.LayerNorm(size.width)

    def forward(self, x: Tensor, mask: Tensor, source: Source) -> Tensor:
        """The states of all steps."""
        for layer in self.layers:
            x = layer(x, mask, source)
        return self.norm(x)


class FlowSeq(Model):
    r"""p(y, T, z | x) = p(T | x) p(z | x, P) prod_{t<T} p(y_t | z, x, T), with a Gaussian q(z | y, x) at each step.

    T counts a question's end, which is not a word to predict: T says where it is. z has P steps of D numbers, T rounded
    up to a multiple of 2^(L-1) for the L levels of the prior (`flows.levels`); all are latent, and what lies beyond T
    is integrated out like the rest, so that the sum over all lengths and words is 1. Posterior and decoder are
    Transformers over the P steps that attend to the encoding of the context; they share the words' vectors and the
    positions, which count from the start and from the end. p(T | x) is a softmax over 1 to the longest length, from the
    mean of the encoding.

    Words are the unknown one and those of the output vocabulary; others count as unknown, and questions longer than the
    longest of training as cut there. Losses are nats per word: each term of a question is divided by T. In training the
    posterior does not see ``word_dropout`` of the words, and -log p of a word or length is smoothed: with the share
    ``smoothing`` it is the mean over all words or lengths.

    With a KL weight of 0 neither the prior nor the deviations of the posterior are trained; a small one
    (``kl_floor``) trains the prior alone, since an optimiser such as Adam does not see the scale of its gradient. Or,
    as in the released code (``begin``: means), z is the posterior's mean as long as the weight is that small, there is
    no KL term, and then the posterior's deviations begin at about 1, the actnorms from its draws, and Adam anew.

    Raises:
        Problem: data of another kind, without features, or of less than a word.
    """

    exact = False

    def __init__(self, config: Config, facts: Facts) -> None:
        super().__init__()
        check_emission(facts, ("conditional",), "flowseq")
        if min(facts.features, facts.outputs - len(SPECIAL), facts.max_length - 1) < 1:
            raise Problem(
                f"expected features, a vocabulary and questions of at least a word for flowseq, got {facts.features} "
                f"features, {facts.outputs} words with the special ones, and a length of {facts.max_length} with the "
                f"end; run prepare and features again"
            )
        self.config, self.outputs, self.longest = config, facts.outputs, facts.max_length
        size, width = Size(config.width, config.inner, config.heads), config.width
        self.encoder = ContextEncoder(facts.features, config.units, config.layers, config.dropout)
        self.to_lengths = nn.Sequential(
            nn.Linear(self.encoder.width, width), nn.ELU(), nn.Dropout(config.dropout), nn.Linear(width, self.longest)
        )
        self.vectors = nn.Parameter(torch.randn(facts.outputs - SHIFT, width) * width**-0.5)
        self.bias = nn.Parameter(torch.zeros(facts.outputs - SHIFT))
        self.flow_source = nn.Linear(self.encoder.width, config.flow_width)
        flow_size = Size(config.flow_width, config.flow_inner, config.flow_heads)
        self.prior = levels(config.latent, config.flow_width, flow_size, config.flow_steps)
        self.positions = Positions(self.steps(self.longest), width, width)
        self.inference = Transformer(size, self.encoder.width, config.depth, config.transformer_dropout)
        self.to_posterior = nn.Linear(width, 2 * config.latent)
        self.from_latent = nn.Linear(config.latent, width)
        self.decoder = Transformer(size, self.encoder.width, config.depth, config.transformer_dropout)
        start(self.to_posterior)

    @property
    def flow_parameters(self) -> int:
        """The number of parameters of the prior with its map of the encoding."""
        return sum(parameter.numel() for parameter in self.groups()[0])

    def steps(self, length: int | Tensor) -> int | Tensor:
        """P: a length rounded up to a multiple of what divides the prior's lengths."""
        return -(-length // self.prior.unit) * self.prior.unit

    def length_log_prob(self, lengths: Tensor) -> Tensor:
        """0: a question ends by its end symbol, whose probability, p(T | x), is within every score."""
        return torch.zeros(len(lengths), dtype=torch.float64, device=lengths.device)

    # -- what is read

    def read(self, given: Given) -> Read:
        """The encoding of contexts and the probabilities of lengths."""
        u = self.encoder(given)
        mean = u.sum(1) / given.lengths[:, None].to(u.dtype)
        log_lengths = wide(self.to_lengths(mean)).log_softmax(-1)
        return Read(Source(u, given.mask), Source(self.flow_source(u), given.mask), log_lengths)

    def question(self, words: Tensor, lengths: Tensor) -> Question:
        """Questions (R, T) as numbers of words, whatever stands beyond their words."""
        steps = int(self.steps(lengths.max()))
        words = F.pad(words[:, :steps], (0, max(0, steps - words.shape[1])))
        said = step_mask(lengths - 1, steps)
        return Question(words * said, lengths, said, step_mask(self.steps(lengths), steps))

    def targets(self, batch: Batch) -> Question:
        """The questions of a batch, cut at the longest length."""
        words = torch.where(batch.x < self.outputs, batch.x - SHIFT, 0).clamp(min=0)
        return self.question(words, batch.lengths.clamp(max=self.longest))

    # -- the distributions

    def posterior(self, question: Question, source: Source) -> tuple[Tensor, Tensor]:
        """The mean and log-deviation of q(z_p | y, x), (R, P, D) each."""
        x = F.embedding(question.words, self.vectors) * self.config.width**0.5 * question.said[..., None]
        seen = F.dropout(torch.ones_like(x[..., :1]), self.config.word_dropout, self.training)
        x = x * seen + self.positions(question.lengths, x.shape[1])
        mean, log_scale = wide(self.to_posterior(self.inference(x, question.mask, source))).chunk(2, -1)
        return mean, log_scale.clamp(-8, 8)

    def states(self, z: Tensor, question: Question, source: Source) -> Tensor:
        """The decoder's states (R, P, W), which `logits` maps to p(y_t | z, x, T)."""
        x = self.from_latent(z) + self.positions(question.lengths, z.shape[1])
        return self.decoder(x, question.mask, source)

    def logits(self, states: Tensor) -> Tensor:
        """The logits of the words, (..., V)."""
        return wide(F.linear(states, self.vectors, self.bias))

    def log_likelihood(self, z: Tensor, question: Question, source: Source, smoothing: float = 0.0) -> Tensor:
        """log p(y | z, x, T), (R,), nats."""
        rows, found = max(1, LOGITS // len(self.bias)), []
        states, words = self.states(z, question, source)[question.said], question.words[question.said]
        for part, right in zip(states.split(rows), words.split(rows), strict=True):
            log_p = self.logits(part).log_softmax(-1)
            score = log_p.gather(1, right[:, None])[:, 0]
            found.append(torch.lerp(score, log_p.mean(1), smoothing) if smoothing else score)
        scores = torch.cat(found)
        return scores.new_zeros(question.said.shape).masked_scatter(question.said, scores).sum(1)

    def log_prior(self, z: Tensor, question: Question, source: Source) -> Tensor:
        """log p(z | x, P), (R,), nats, from the encoding at the flow's width."""
        eps, log_det = self.prior.forward(z, source, question.mask)
        return (standard_normal_log_density(eps).sum(-1) * question.mask).sum(1) + log_det

    # -- training and scoring

    def groups(self) -> list[list[nn.Parameter]]:
        """The flow's parameters and the others, whose gradients are clipped apart."""
        flow = [*self.prior.parameters(), *self.flow_source.parameters()]
        mine = {id(parameter) for parameter in flow}
        return [flow, [parameter for parameter in self.parameters() if id(parameter) not in mine]]

    def initialise(self, batch: Batch) -> None:
        """Set the actnorms from draws of the posterior."""
        read, question = self.read(batch.given), self.targets(batch)
        mean, log_scale = self.posterior(question, read.source)
        initialise(self.prior, mean + log_scale.exp() * torch.randn_like(mean), read.flow, question.mask)

    def restart(self, batch: Batch) -> bool:
        """Set the posterior's log-deviations to about 0 +- 0.05, and the actnorms, where it began by means."""
        if self.config.begin != "means":
            return False
        log_scale = slice(self.config.latent, None)
        with torch.no_grad():
            nn.init.normal_(self.to_posterior.weight[log_scale], std=0.05 * self.config.width**-0.5)
            nn.init.zeros_(self.to_posterior.bias[log_scale])
        self.initialise(batch)
        return True

    def objective(self, batch: Batch, samples: int) -> Terms:
        r"""The negative ELBO by ``samples`` draws of z, nats per word: reconstruction, kl and length, (B,) each.

        kl = -H(q) - E_q[log p(z | x)] with the entropy in closed form; 0 while z is the mean.
        """
        check_samples(samples)
        smoothing = self.config.smoothing if self.training else 0.0
        read, question = self.read(batch.given), self.targets(batch)
        mean, log_scale = self.posterior(question, read.source)
        entropy = ((log_scale + 0.5 * (1 + LOG_TWO_PI)).sum(-1) * question.mask).sum(1)
        mean, scale = (value.repeat_interleave(samples, 0) for value in (mean, log_scale.exp()))
        means, rows, shape = self.free and self.config.begin == "means", question.repeat(samples), (-1, samples)
        z = mean if means else mean + scale * torch.randn_like(mean)
        log_likelihood = self.log_likelihood(z, rows, read.source, smoothing).view(shape).mean(1)
        kl = torch.zeros_like(entropy) if means else -entropy - self.log_prior(z, rows, read.flow).view(shape).mean(1)
        length = _chosen(read.log_lengths, question.lengths)
        if smoothing:
            length = torch.lerp(length, read.log_lengths.mean(1), smoothing)
        terms = {"reconstruction": -log_likelihood, "kl": kl, "length": -length}
        return {name: value / question.lengths for name, value in terms.items()}

    def importance(self, batch: Batch, samples: int) -> tuple[Tensor, Tensor]:
        """log p(y, T, z_k | x) - log q(z_k | y, x) and log p(y | z_k, x, T) of draws of q, (B, K) each, nats.

        Of whole questions. Each draw is scored by the densities. Posterior, likelihood and prior are those of
        `objective`, whose entropy of q is in closed form; both are tested against a mean over draws of the prior.
        """
        check_samples(samples)
        read, question = self.read(batch.given), self.targets(batch)
        posterior = tuple(value.repeat_interleave(samples, 0) for value in self.posterior(question, read.source))
        rows = question.repeat(samples)
        log_weights, log_likelihood = self._weights(rows, read, posterior, torch.randn_like(posterior[0]))
        length = _chosen(read.log_lengths, question.lengths)
        return log_weights.view(-1, samples) + length[:, None], log_likelihood.view(-1, samples)

    def _weights(
        self, question: Question, read: Read, posterior: tuple[Tensor, Tensor], noise: Tensor
    ) -> tuple[Tensor, Tensor]:
        """log p(y, z | x, T) - log q(z | y, x) and log p(y | z, x, T) of the draws with that noise, (R,) each, nats."""
        mean, log_scale = posterior
        z = mean + log_scale.exp() * noise
        log_q = ((standard_normal_log_density(noise) - log_scale).sum(-1) * question.mask).sum(1)
        log_likelihood = self.log_likelihood(z, question, read.source)
        return log_likelihood + self.log_prior(z, question, read.flow) - log_q, log_likelihood

    # -- writing

    @torch.no_grad()
    def write(self, given: Given, beam: int) -> list[list[int]]:
        """The ids of a question for each context, without its end: the best of up to ``beam`` candidates.

        Candidates are the most likely words of z for each of the ``lengths`` most likely lengths, or ``beam`` if that
        is less. z is the image of zero noise and, with a ``temperature``, of as many more draws as the beam has room
        for. Of several the one with the largest log p(y, T | x) / T is taken, by importance sampling with ``rescored``
        draws of the posterior. A beam of 1 is arg max decoding. The noise has a seed of its own and is that of every
        context: a question does not depend on those written with it. The unknown word is not written.
        """
        found = []
        for begin in range(0, len(given.lengths), GROUP):
            read = self.read(Given(*(value[begin : begin + GROUP] for value in given)))
            candidates, count = self._candidates(read, beam)
            best = torch.arange(len(read.log_lengths), device=candidates.words.device) * count
            if count > 1:
                best = best + self._scores(candidates, read, count).argmax(1)
            written, lengths = candidates.words[best] + SHIFT, candidates.lengths[best]
            found += [row[: length - 1] for row, length in zip(written.tolist(), lengths.tolist(), strict=True)]
        return found

    def _candidates(self, read: Read, beam: int) -> tuple[Question, int]:
        """N candidates for each context, those of one next to each other, and N."""
        most = min(self.config.lengths, beam, self.longest - 1)
        lengths = read.log_lengths[:, 1:].topk(most).indices.flatten() + 2  # with at least one word
        draws = max(1, beam // most) if self.config.temperature else 1
        noise = self.config.temperature * self._noise(draws, lengths)
        noise[0] = 0.0
        empty = self.question(lengths.new_zeros(len(lengths), 0), lengths).repeat(draws)
        noise = noise.repeat(len(lengths), 1, 1)
        z, _ = self.prior.inverse(noise, read.flow, empty.mask)
        words = self.logits(self.states(z, empty, read.source))[..., 1:].argmax(-1) + 1
        return empty._replace(words=words * empty.said), most * draws

    def _scores(self, candidates: Question, read: Read, count: int) -> Tensor:
        """log p(y, T | x) / T of the candidates, (B, N), by importance sampling."""
        posterior = self.posterior(candidates, read.source)
        noises = self._noise(self.config.rescored, candidates.lengths)
        weights = [self._weights(candidates, read, posterior, noise.expand_as(posterior[0]))[0] for noise in noises]
        total = torch.stack(weights).logsumexp(0) - math.log(len(noises))
        length = _chosen(read.log_lengths.repeat_interleave(count, 0), candidates.lengths)
        return ((total + length) / candidates.lengths).view(-1, count)

    def _noise(self, count: int, lengths: Tensor) -> Tensor:
        """(count, P, D) standard-normal numbers, always the same."""
        generator = torch.Generator().manual_seed(0)
        shape = (count, self.steps(self.longest), self.config.latent)
        noise = torch.randn(shape, generator=generator, dtype=self.vectors.dtype).to(self.vectors.device)
        return noise[:, : int(self.steps(lengths.max()))]


def _chosen(log_lengths: Tensor, lengths: Tensor) -> Tensor:
    """log p(T | x), (R,)."""
    return log_lengths.gather(1, lengths[:, None] - 1)[:, 0]
