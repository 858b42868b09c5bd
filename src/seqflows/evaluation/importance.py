r"""Cross entropies of words by importance sampling with the trained posterior.

H[P, P^] = -sum_w p(w) log P^(w), P^(w) = (1/S) sum_s omega_s(w) with omega of `WordModel.importance`, which is unbiased
for P(w). Words are scored like a number of draws by frequency: words expected among the draws are scored directly,
each with the samples of all its draws; the others are drawn. The estimate of every word by prior trajectories
(Schmidt & Hofmann 2018, eq. 12), c(w), is the control variate:

.. math:: H = \sum_w p(w) c(w) + \sum_{frequent} p(w) [x(w) - c(w)] + \frac 1n \sum_{i=1}^n \frac{p(w_i)}{r(w_i)}
          [x(w_i) - c(w_i)],\quad x = -\log P^,\quad w_i \sim r

No c changes the expectation, not even a biased one; the nearer c is to x up to a constant, the smaller the variance
of the drawing.

Legend: N words, F frequent ones, n draws of the others, R = F + n, S samples.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from seqflows.compute import Machine, own_noise
from seqflows.data.batching import collate
from seqflows.data.prepared import Split
from seqflows.models.words import WordModel

AT_ONCE = 65536  # symbols of a batch, over all samples
FEWEST = 2  # draws of the other words, enough for a standard error


@dataclass(frozen=True)
class Plan:
    """The words to score: each of ``frequent`` (F,) with the samples of ``copies`` (F,) draws, and ``drawn`` (n,).

    The latter are drawn with replacement by q (N,): r(w) = q(w) / (the mass of all words that are not frequent).
    """

    frequent: np.ndarray
    copies: np.ndarray
    drawn: np.ndarray
    q: np.ndarray

    @classmethod
    def of(cls, q: np.ndarray, count: int, rng: np.random.Generator) -> Plan:
        """The plan of ``count`` draws by q: words expected once or more among them are scored directly.

        With at most ``count`` words all are, and none is drawn.
        """
        present = np.flatnonzero(q > 0)
        frequent = present if len(present) <= count else present[q[present] * count >= 1]
        copies = np.maximum(1, np.floor(q[frequent] * count)).astype(np.int64)
        rest = np.setdiff1d(present, frequent)
        drawn = np.zeros(0, np.int64)
        if len(rest):
            drawn = rng.choice(rest, max(FEWEST, count - int(copies.sum())), p=q[rest] / q[rest].sum())
        return cls(frequent, copies, drawn, q)

    @property
    def places(self) -> np.ndarray:
        """The words that `mean` needs scores of, (R,): the frequent ones, then the draws."""
        return np.concatenate([self.frequent, self.drawn])

    @property
    def weights(self) -> np.ndarray:
        """1 / r(w_i) of the draws, (n,)."""
        others = np.ones(len(self.q), bool)
        others[self.frequent] = False
        return self.q[others].sum() / self.q[self.drawn]

    def mean(self, p: np.ndarray, x: np.ndarray, variance: np.ndarray, c: np.ndarray) -> tuple[float, float]:
        """sum_w p(w) x(w) and its standard error, from x and its Monte Carlo ``variance`` of `places`, (R,) each.

        p (N,) may be a difference of distributions. The samples of each frequent word and the draws are independent;
        the spread of the draws includes that of their samples: the error is of both. c (N,) is the control variate.
        """
        known, size = p != 0, len(self.frequent)
        beyond = x - c[self.places]
        total = float(p[known] @ c[known]) + float(p[self.frequent] @ beyond[:size])
        square = float(p[self.frequent] ** 2 @ variance[:size])
        if len(self.drawn):
            values = p[self.drawn] * self.weights * beyond[size:]
            total += float(values.mean())
            square += float(values.var(ddof=1)) / len(values)
        return total, math.sqrt(square)


@dataclass(frozen=True)
class Scored:
    """The estimates at each of a plan's places by name, (R,) each, and their Monte Carlo variances.

    ``nll`` is -log P^ of all samples, with the delta method's variance s^2 / (m mean^2) of m weights; ``half`` the mean
    of the same by either half; ``elbo`` = ``reconstruction`` + ``kl`` the negative bound; ``ess`` the effective
    number of S samples, whose variance is not known.
    """

    samples: int
    values: dict[str, np.ndarray]
    variances: dict[str, np.ndarray]


def control(log_p: np.ndarray) -> np.ndarray:
    """c = -log P^ of prior trajectories, (N,), nats; for P^ = 0 the value of the least likely word.

    >>> control(np.array([-1.0, -np.inf, -3.0])).tolist()
    [1.0, 3.0, 3.0]
    """
    return -np.maximum(log_p, log_p[np.isfinite(log_p)].min(initial=0.0))


def pieces(split: Split, places: np.ndarray, samples: int) -> Iterator[np.ndarray]:
    """Batches of rows with similar lengths, AT_ONCE symbols with all their samples, or a single row."""
    lengths = split.lengths[places]
    rows = np.argsort(lengths, kind="stable")
    start = 0
    while start < len(rows):
        # as many as fit at the length of the longest of them
        longest = lengths[rows[start:]]
        sizes = longest * np.arange(1, len(longest) + 1) * samples
        stop = start + max(1, int(np.searchsorted(sizes, AT_ONCE, "right")))
        yield rows[start:stop]
        start = stop


@torch.no_grad()
def score(model: WordModel, split: Split, plan: Plan, samples: int, machine: Machine, seed: int) -> Scored:
    """Score a plan's words by ``samples`` (even) draws each, and as many per copy of a frequent one.

    A sample is a pass of Algorithm 1 with the model's number of proposals; the mean of its log-weight is the trained
    bound.
    """
    size = len(plan.places)
    owners = np.concatenate(
        [np.repeat(np.arange(len(plan.frequent)), plan.copies), np.arange(len(plan.frequent), size)]
    )
    halves, squares = np.full((2, size), -np.inf), np.full(size, -np.inf)  # logs of sums of weights, and of squares
    sums = {name: np.zeros((2, size)) for name in ("elbo", "reconstruction", "kl")}  # of values and of their squares
    with own_noise(machine.device, seed):
        for rows in pieces(split, plan.places[owners], samples * model.proposals):
            mine = owners[rows]
            batch = collate(split, plan.places[mine]).to(machine.device)
            log_weights, log_likelihood = (value.double().cpu() for value in model.importance(batch, samples))
            for half, part in zip(halves, log_weights.chunk(2, 1), strict=True):
                np.logaddexp.at(half, mine, part.logsumexp(1).numpy())
            np.logaddexp.at(squares, mine, (2 * log_weights).logsumexp(1).numpy())
            terms = {"elbo": -log_weights, "reconstruction": -log_likelihood, "kl": log_likelihood - log_weights}
            for name, term in terms.items():
                np.add.at(sums[name][0], mine, term.sum(1).numpy())
                np.add.at(sums[name][1], mine, term.square().sum(1).numpy())
    counts = samples * np.bincount(owners, minlength=size)
    total = np.logaddexp(*halves)
    relative = np.exp(np.log(counts) + squares - 2 * total)  # m sum w^2 / (sum w)^2, at least 1
    delta = np.maximum(relative - 1, 0) / (counts - 1)
    values = {"nll": np.log(counts) - total, "half": np.log(counts / 2) - halves.mean(0), "ess": samples / relative}
    variances = {"nll": delta, "half": delta, "ess": np.zeros(size)}
    for name, (first, second) in sums.items():
        values[name] = first / counts
        variances[name] = np.maximum(second / counts - values[name] ** 2, 0) / (counts - 1)
    return Scored(samples, values, variances)
