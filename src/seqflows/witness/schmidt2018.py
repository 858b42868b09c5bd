"""Witnesses against Schmidt & Hofmann 2018: numbers that depend on a definition or an estimator that is not given.

One small state-space model of embedded words, trained for seconds, serves all of them.
Legend: K trajectories, V the words of the training data.
"""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import numpy as np
import torch

from seqflows import compute
from seqflows.data.batching import collate
from seqflows.data.embedded import formation
from seqflows.data.prepared import Facts, Split
from seqflows.data.readers import lexicon
from seqflows.evaluation import importance, likelihood
from seqflows.evaluation.kinds.words import whole_gaps
from seqflows.evaluation.trie import SETTLED, Trie, estimates, generated
from seqflows.kinds import KINDS
from seqflows.models import build
from seqflows.models.words import WordModel
from seqflows.report.page import Text
from seqflows.training.optimise import Adam
from seqflows.witness.base import ERRORS, Found, Witness, cells, hold, seeded, within

PAPER = "schmidt2018"
TABLE = "schmidt2018-table1"
TOKENS, STEMS = 50_000, 4
MODEL = {"class": "state_space"}  # the paper's TRIL, with a state of 8
STEPS, BATCH, RATE = 1_500, 64, 1e-2
WORDS, DRAWS = 2_000, 20  # of H_gap: generated words; draws or trajectories, the paper's K
SETS = 50  # independent sets of trajectories
GENERATED = 14_300
TRAJECTORIES = (20, 1_000, 20_000)
SAMPLES = 2_000  # of a word's importance sampling


class Trained(NamedTuple):
    """A model of words, its training words with their counts, and the machine."""

    model: WordModel
    split: Split
    machine: compute.Machine

    @property
    def shares(self) -> np.ndarray:
        """The share of each word among the tokens, (N,)."""
        return self.split.counts / self.split.counts.sum()


@functools.cache
def trained() -> Trained:
    """Train the small model, the same in every call."""
    machine = compute.prepare({"device": "cpu"}, "demo", training=True)
    rng = np.random.default_rng(0)
    source = formation.build({"stems": STEMS}, rng)
    counted = source.counts(rng, TOKENS)
    symbols, lengths = lexicon.encode(counted.words)
    split = Split("words", lengths, symbols, counts=counted.counts)
    size = np.bincount(lengths, weights=counted.counts).astype(int).tolist()
    facts = Facts(KINDS["words"].emission, len(lexicon.VOCABULARY), int(lengths.max()), tuple(size))
    with seeded():
        model = build(MODEL, facts).train()
        optimiser = Adam(model.parameters(), RATE)
        for step in range(STEPS):
            optimiser.rate = RATE * (1 - step / STEPS)
            batch = collate(split, rng.choice(len(split), BATCH, p=split.counts / split.counts.sum()))
            optimiser.zero_grad()
            sum(model.objective(batch, 1).values()).mean().backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimiser.step()
    return Trained(model.eval(), split, machine)


def gaps() -> dict[str, tuple[float, float]]:
    """H_gap of the model by eq. (14), over xi_t after each state, and by whole trajectories, eq. (12), with errors."""
    model = trained().model
    with seeded(1) as generator, torch.no_grad():
        batch, found = model.entropies(WORDS, DRAWS, generator)
        gap = ((found["marginal"] - found["expected"]).double() * batch.mask).sum(1).numpy()
        alive = (batch.mask.sum(0).double() / batch.mask.sum()).numpy()
        whole = whole_gaps(model, alive, DRAWS, SETS, generator)
    value, error = likelihood.ratio(gap, batch.lengths.double().numpy())
    return {
        "step": (value, error or math.nan),
        "whole": (float(whole.mean()), float(whole.std(ddof=1)) / math.sqrt(SETS)),
    }


def gap() -> Found:
    """H_gap of one model by both definitions."""
    found = gaps()
    (step, error), (whole, spread) = found["step"], found["whole"]
    hold(
        whole - step > ERRORS * math.hypot(error, spread),
        f"more than {within(step, error)} nats",
        within(whole, spread),
    )
    printed = cells(TABLE, "H_gap").values()
    return Found(
        ("marginal over", "H_gap, nats"),
        [
            [f"{DRAWS} draws of the step's own noise after each state, equation (14)", within(step, error)],
            [f"{DRAWS} whole trajectories, as in equation (12)", within(whole, spread)],
        ],
        f"The definition alone moves this model's H_gap by a factor of {whole / step:.2f}. All rows of Table 1, "
        f"{min(printed):.2f} to {max(printed):.2f}, lie within a factor of {max(printed) / min(printed):.2f}. "
        "“(12)” may be a slip for (13) or (14), which section 5.2 is about; then the 20 are draws of the step's noise.",
    )


def shares(mode: bool) -> tuple[float, float]:
    """The share of generated words in V, their symbols drawn or (``mode``) the likeliest, and its error."""
    model, split, _ = trained()
    words = {lexicon.decode(split.sequence(n)) for n in range(len(split))}
    with seeded(2) as generator:
        batch = model.sample(GENERATED, mode=mode, generator=generator)
    made = [lexicon.decode(x[:length].numpy()) for x, length in zip(batch.x, batch.lengths.tolist(), strict=True)]
    found = generated(made, words)["known"]
    return found.value, found.error


def known() -> Found:
    """The share of words in V by both readings of "generated"."""
    (drawn, error), (likeliest, spread) = shares(False), shares(True)
    hold(
        abs(likeliest - drawn) > ERRORS * math.hypot(error, spread),
        f"another share than {within(drawn, error)}", within(likeliest, spread),
    )  # fmt: skip
    printed = [value for row, value in cells(TABLE, "w in V").items() if row != "ORACLE"]
    return Found(
        ("the symbol of each sampled state", "share of words in V"),
        [
            ["drawn from P(w_t | h_t)", within(drawn, error)],
            ["the likeliest of P(w_t | h_t)", within(likeliest, spread)],
        ],
        f"The reading moves this model's share by {likeliest - drawn:+.2f}. All trained rows of Table 1 lie within "
        f"{max(printed) - min(printed):.2f} of each other ({min(printed):.2f} to {max(printed):.2f}), and only words "
        "whose symbols are drawn are samples of the model whose cross entropy stands beside.",
    )


class Estimated(NamedTuple):
    """The cross entropy at K: mean and error over sets, and the error that the spread over words suggests."""

    value: float
    error: float
    words: float


def entropies() -> tuple[dict[int, Estimated], tuple[float, float, float]]:
    """The cross entropies by K trajectories; by importance sampling, with its error and what half the samples add."""
    model, split, machine = trained()
    trie, p, counts = Trie.of(split), trained().shares, split.counts
    with seeded(3) as generator:
        found, log_p = estimates(model, trie, [p], TRAJECTORIES, generator, SETS)
        one = {}
        for k in TRAJECTORIES:
            c = -(trie.log_sums(model.trajectories(k, trie.steps, generator)) - math.log(k)).numpy()
            one[k] = math.sqrt(float(p @ (c - p @ c) ** 2) / counts.sum())
        plan = importance.Plan.of(p, len(p), np.random.default_rng(0))
        scored = importance.score(model, split, plan, SAMPLES, machine, 3)
    c = importance.control(log_p)
    value, error = plan.mean(p, scored.values["nll"], scored.variances["nll"], c)
    half, _ = plan.mean(p, scored.values["half"], scored.variances["half"], c)
    return {one_.samples: Estimated(one_.mean[0], one_.error[0], one[one_.samples]) for one_ in found}, (
        value,
        error,
        half - value,
    )


def trajectories() -> Found:
    """The excess of the estimate by K shared trajectories over the model's own cross entropy."""
    found, (value, error, half) = entropies()
    hold(abs(half) < SETTLED, f"importance sampling settled within {SETTLED:g} nats", f"{half:.4f}")
    few = found[TRAJECTORIES[0]]
    excess = {k: one.value - value for k, one in found.items()}
    hold(list(excess.values()) == sorted(excess.values(), reverse=True), "an excess that falls with K", f"{excess}")
    hold(
        excess[TRAJECTORIES[0]] > ERRORS * math.hypot(few.error, error),
        f"more than {within(value, error)} nats by {TRAJECTORIES[0]} trajectories", within(few.value, few.error),
    )  # fmt: skip
    hold(
        excess[TRAJECTORIES[0]] > ERRORS * few.words, f"an excess beyond the spread over words, {few.words:.4f} nats",
        f"{excess[TRAJECTORIES[0]]:.4f}",
    )  # fmt: skip
    rows: list[list[Text]] = [
        [f"{k:,} shared trajectories", within(one.value, one.error), f"{excess[k]:+.3f}", f"{one.words:.3f}"]
        for k, one in found.items()
    ]
    rows.append([f"importance sampling, {SAMPLES:,} samples or more a word", within(value, error), "0", ""])
    return Found(
        ("estimate of -log P(w)", "cross entropy, nats a word", "above the model's own", "error as of the words"),
        rows,
        f"With {TRAJECTORIES[0]} trajectories this model seems {excess[TRAJECTORIES[0]]:.2f} nats worse than it is. "
        "The last column has the standard error that one set's spread over the words suggests: it does not show that, "
        "since all words share the trajectories. Table 1 does not say how many trajectories it has: its cross "
        "entropies are, in expectation, above the models' own by an amount that it does not tell.",
    )


WITNESSES = (
    Witness(
        "gap", "H_gap by two definitions", PAPER, "Table 1, with sections 4.2 and 5.2",
        "Equation (14) defines the marginal over the noise of one step, given the state before it; section 5.2 says "
        "“We use K = 20 sample to approximate the marginal in (12)”, which is over whole trajectories.",
        f"A small model, TRIL with a state of 8, is trained for {STEPS:,} steps on words of an embedded "
        f"source: H_gap by both, from {DRAWS} draws each, over the steps of generated words.",
        gap,
    ),
    Witness(
        "words", "“w in V” by two readings", PAPER, "Table 1",
        "The share of generated words that are in V, without how a word is generated from sampled states.",
        f"{GENERATED:,} words of the same model, each symbol drawn from its distribution, or the likeliest one taken.",
        known,
    ),
    Witness(
        "trajectories", "Cross entropies by 20 trajectories", PAPER, "Table 1, with equation (12)",
        "P(w) is estimated by a mean over K trajectories that all words share; the only number that is named nearby "
        "is 20 (section 5.2), and section 5.1 says that the cross entropy “effectively evaluates a single h sample on "
        "|V| datapoints”.",
        "The cross entropy of the same model by more and more trajectories, each a mean over independent sets of them, "
        "against importance sampling with the trained posterior. By Jensen's inequality few trajectories err "
        "upwards.",
        trajectories,
    ),
)  # fmt: skip
