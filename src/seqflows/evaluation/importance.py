r"""Cross entropies of words by importance sampling with the trained posterior, with prior trajectories beside it.

H[P, P^] = -sum_w p(w) log P^(w), P^(w) = (1/S) sum_s omega_s(w) with omega of `WordModel.importance`, which is unbiased
for P(w). Not all words are scored: the frequent ones each, the others as draws by frequency. What prior trajectories
(Schmidt & Hofmann 2018, eq. 12) say of every word at once, c(w), is the control variate:

.. math:: H = \sum_w p(w) c(w) + \sum_{frequent} p(w) [x(w) - c(w)] + \frac 1n \sum_{i=1}^n \frac{p(w_i)}{r(w_i)}
          [x(w_i) - c(w_i)],\quad x = -\log P^,\quad w_i \sim r

Whatever c is, it leaves the expectation alone, its bias too; the nearer c is to x up to a constant, the less the
drawing matters.

Legend: N words, R rows that are scored (frequent words, then draws), S samples.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from seqflows.compute import Machine
from seqflows.data.batching import collate
from seqflows.data.prepared import Split
from seqflows.evaluation import likelihood
from seqflows.models.words import WordModel

AT_ONCE = 65536  # symbols of a batch, all draws counted
FEWEST = 2  # draws of the other words, of which an error is taken


@dataclass(frozen=True)
class Plan:
    """Which words are scored: ``places`` (R,), the first ``frequent`` of them each once; ``q`` (N,) chose them.

    The others are drawn, with replacement, in proportion to q: r(w) = q(w) / (the mass of all that are not frequent).
    """

    places: np.ndarray
    frequent: int
    q: np.ndarray

    @classmethod
    def of(cls, q: np.ndarray, count: int, rng: np.random.Generator) -> Plan:
        """About ``count`` rows: every word that so many draws would hold once or oftener, and draws for the rest.

        Where there are no more than ``count`` words all are scored and nothing is drawn.
        """
        present = np.flatnonzero(q > 0)
        frequent = present if len(present) <= count else present[q[present] * count >= 1]
        rest = np.setdiff1d(present, frequent)
        drawn = np.zeros(0, np.int64)
        if len(rest):
            drawn = rng.choice(rest, max(FEWEST, count - len(frequent)), p=q[rest] / q[rest].sum())
        return cls(np.concatenate([frequent, drawn]), len(frequent), q)

    @property
    def weights(self) -> np.ndarray:
        """1 / r(w_i) of the draws."""
        drawn = self.places[self.frequent :]
        every = np.ones(len(self.q), bool)
        every[self.places[: self.frequent]] = False
        return self.q[every].sum() / self.q[drawn]

    def mean(self, p: np.ndarray, x: np.ndarray, variance: np.ndarray, c: np.ndarray) -> tuple[float, float]:
        """sum_w p(w) x(w) and its standard error, from x and its Monte Carlo ``variance`` of the rows, (R,) each.

        p (N,) may be a difference of distributions. Independent are the samples of each frequent word, and the draws,
        whose spread holds that of their own samples: the error is of both. c (N,) is the control variate.
        """
        known = p != 0
        total = float(p[known] @ c[known])
        places, drawn = self.places[: self.frequent], self.places[self.frequent :]
        beyond = x - c[self.places]
        total += float(p[places] @ beyond[: self.frequent])
        square = float(p[places] ** 2 @ variance[: self.frequent])
        if len(drawn):
            values = p[drawn] * self.weights * beyond[self.frequent :]
            total += float(values.mean())
            square += float(values.var(ddof=1)) / len(drawn)
        return total, math.sqrt(square)


@dataclass(frozen=True)
class Scored:
    """Of each row what its samples say, by name, (R,) each, and the Monte Carlo variance of that.

    ``nll`` is -log P^ by all samples, with the delta method's variance s^2 / (S mean^2) of the weights; ``half`` the
    mean of the same by either half of them; ``elbo`` = ``reconstruction`` + ``kl`` the negative bound; ``ess`` the
    effective number of samples, whose variance is not known.
    """

    samples: int
    values: dict[str, np.ndarray]
    variances: dict[str, np.ndarray]


def control(log_p: np.ndarray) -> np.ndarray:
    """c = -log P^ of prior trajectories, (N,), nats; where all of them give a word 0, as that of the least likely one.

    >>> control(np.array([-1.0, -np.inf, -3.0])).tolist()
    [1.0, 3.0, 3.0]
    """
    return -np.maximum(log_p, log_p[np.isfinite(log_p)].min(initial=0.0))


def pieces(split: Split, places: np.ndarray, samples: int) -> Iterator[np.ndarray]:
    """Rows that are scored together: of like lengths, AT_ONCE symbols with all their samples, or a single one."""
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
def score(model: WordModel, split: Split, places: np.ndarray, samples: int, machine: Machine, seed: int) -> Scored:
    """Score words by ``samples`` (at least 2) draws each; a word that stands twice is scored twice.

    A sample is a pass of Algorithm 1 with the model's own number of proposals, and the mean of its log-weight the bound
    that was trained.
    """
    torch.manual_seed(seed)
    values: dict[str, np.ndarray] = {}
    variances: dict[str, np.ndarray] = {}
    for rows in pieces(split, places, samples * model.proposals):
        batch = collate(split, places[rows]).to(machine.device)
        log_weights, log_likelihood = (value.double() for value in model.importance(batch, samples))
        for name, (value, variance) in _row(log_weights, log_likelihood).items():
            for kept, of_rows in ((values, value), (variances, variance)):
                kept.setdefault(name, np.zeros(len(places)))[rows] = of_rows.cpu().numpy()
    return Scored(samples, values, variances)


def _row(log_weights: Tensor, log_likelihood: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
    samples = log_weights.shape[1]
    weights = (log_weights - log_weights.amax(1, keepdim=True)).exp()
    delta = weights.var(1) / weights.mean(1).square() / samples
    found = {name: (likelihood.importance_nll(log_weights, n), delta) for name, n in _counts(samples)}
    terms = {"elbo": -log_weights, "reconstruction": -log_likelihood, "kl": log_likelihood - log_weights}
    found |= {name: (term.mean(1), term.var(1) / samples) for name, term in terms.items()}
    ess = likelihood.effective_samples(log_weights)
    return found | {"ess": (ess, torch.zeros_like(ess))}


def _counts(samples: int) -> tuple[tuple[str, int], ...]:
    return ("nll", samples), ("half", samples // 2)
