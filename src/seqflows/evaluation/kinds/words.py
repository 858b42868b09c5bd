"""Scoring of models of words: cross entropies, generated words, entropies, n-grams, the oracle.

Legend: N words of both halves, K trajectories, V the words of the training half.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from seqflows import files
from seqflows.compute import Machine
from seqflows.config.evaluation import Words as Settings
from seqflows.data.batching import Batch
from seqflows.data.prepared import Dataset, Split
from seqflows.data.readers.lexicon import decode, entropy
from seqflows.errors import Problem
from seqflows.evaluation import importance, likelihood, ngrams
from seqflows.evaluation.scoring import Records, Task, write_columns
from seqflows.evaluation.trie import SETTLED, Trie, cross_entropy, estimates, exact, generated, weighted
from seqflows.kinds import KINDS
from seqflows.models.words import WordModel, gaps

AT_ONCE = 65536  # generated words
UNIT = KINDS["words"].unit
GAPS = ("word", "length", "step", "marginal", "expected")


class WordHalves:
    """The words of the training and the test half, each once, with their counts in both."""

    def __init__(self, dataset: Dataset) -> None:
        halves = [dataset.train, dataset.test]
        words = [[decode(split.sequence(n)) for n in range(len(split))] for split in halves]
        places = {word: place for place, word in enumerate(dict.fromkeys([*words[0], *words[1]]))}
        self.words = list(places)
        self.vocabulary = set(words[0])
        self.rarer = set(dataset.rarer)
        self.train, self.test = (np.zeros(len(places), np.int64) for _ in halves)
        for counts, split, texts in zip((self.train, self.test), halves, words, strict=True):
            counts[[places[text] for text in texts]] = split.counts
        fresh = [n for n, text in enumerate(words[1]) if text not in self.vocabulary]
        symbols = np.concatenate([dataset.train.symbols, *(dataset.test.sequence(n) for n in fresh)])
        lengths = np.concatenate([dataset.train.lengths, dataset.test.lengths[fresh]])
        known = [split.source_log_prob for split in halves]
        self.source = None if known[0] is None else np.concatenate([known[0], known[1][fresh]])
        self.split = Split("words", lengths, symbols)

    @property
    def distributions(self) -> dict[str, np.ndarray]:
        """The empirical distributions of both halves, and test less train."""
        train, test = (counts / counts.sum() for counts in (self.train, self.test))
        return {"train": train, "test": test, "difference": test - train}

    @property
    def over(self) -> dict[str, int]:
        """The number of words of each distribution."""
        return {name: int((p != 0).sum()) for name, p in self.distributions.items()}


def score(model: WordModel, dataset: Dataset, settings: Settings, task: Task) -> Records:
    """Compute every metric of a trained model of words; write words.csv, samples.txt and gaps.csv."""
    both, rows = WordHalves(dataset), Records(UNIT)
    log_p, headline = _cross_entropies(rows, model, both, settings, task)
    words = _generated(rows, model, both, settings, task.generator("samples"))
    _entropies(rows, model, settings, task.generator("entropies"), task.folder)
    _ngrams(rows, words, both, settings)
    _oracle(rows, both, settings, np.random.default_rng(task.stream("oracle")))
    _source(rows, log_p, headline, both, dataset)
    rows.add("parameters", task.parameters, "1")
    columns = {"word": both.words, "train": both.train.tolist(), "test": both.test.tolist(), "log_p": log_p.tolist()}
    write_columns(task.folder / "words.csv", columns, len(both.words))
    files.write_text(task.folder / "samples.txt", "\n".join(words) + "\n")
    return rows


def _cross_entropies(
    rows: Records, model: WordModel, both: WordHalves, settings: Settings, task: Task
) -> tuple[np.ndarray, tuple[float, float]]:
    """H[P, P^] of both halves and test less train: the headline in nats and bits, and prior trajectories at each K.

    The headline uses importance sampling with the trained posterior and the trajectories of the largest K as control
    variate; for an exact model it is exact, and the values at each K are the paper's estimate along sampled states.
    Returns log P of all words, exact or along the trajectories, and the test half's headline with its error.
    """
    trie, ps = Trie.of(both.split), both.distributions
    generator = task.generator("trajectories")
    found, log_p = estimates(model, trie, list(ps.values()), settings.trajectories, generator, settings.sets)
    beside = Records(UNIT)
    if model.exact:
        log_p = exact(model, both.split, task.machine.device)
        headline = {name: (weighted(p, log_p), 0.0) for name, p in ps.items()}
    else:
        headline = _importance(beside, model, both, settings, task.machine, task.stream("importance"), log_p)
    worst = max(*(value for value, _ in headline.values()), *(value for one in found for value in one.mean))
    if not math.isfinite(worst):
        raise Problem(
            f"expected a finite cross entropy, got {worst}: all trajectories give some word of the data probability 0; "
            "raise evaluation.trajectories or train the model again"
        )
    samples = 0 if model.exact else settings.samples
    for name, (value, error) in headline.items():
        for end, unit, scale in (("", UNIT, 1.0), ("_bits", "bits/word", math.log(2)))[: 1 + (name != "difference")]:
            known = None if model.exact else error / scale
            rows.add(f"cross_entropy_{name}{end}", value / scale, unit, samples, known, both.over[name])
    rows += beside
    for one in found:
        for which, name in enumerate(ps):
            if name != "difference":
                error = None if one.error is None else one.error[which]
                end = f"{name}@{one.samples}"
                rows.add(f"cross_entropy_{end}", one.mean[which], UNIT, one.samples, error, both.over[name])
    return log_p, headline["test"]


def _importance(
    rows: Records,
    model: WordModel,
    both: WordHalves,
    settings: Settings,
    machine: Machine,
    seed: int,
    log_p: np.ndarray,
) -> dict[str, tuple[float, float]]:
    """The cross entropies by importance sampling, each with its error; adds their diagnostics to the rows.

    One drawing of words, by the mean of both halves' frequencies, serves the halves and their difference. Diagnostics:
    the same with half of the samples, to check convergence; the excess of the trajectories, whose sum over all words
    is known, so that the error is the same; the bound and the effective sample size.
    """
    ps = both.distributions
    plan = importance.Plan.of((ps["train"] + ps["test"]) / 2, settings.types, np.random.default_rng(seed))
    scored = importance.score(model, both.split, plan, settings.samples, machine, seed)
    for name, values in scored.values.items():
        if not np.isfinite(values).all():
            raise Problem(f"expected a finite {name} for every word, got another; train the model again")
    c = importance.control(log_p)

    def mean(half: str, name: str, beside: np.ndarray) -> tuple[float, float]:
        return plan.mean(ps[half], scored.values[name], scored.variances[name], beside)

    found = {half: mean(half, "nll", c) for half in ps}
    samples, over = settings.samples, both.over
    halved = {half: mean(half, "half", c) for half in ("train", "test")}
    for half, (value, error) in halved.items():
        rows.add(f"cross_entropy_{half}_half", value, UNIT, samples // 2, error, over[half])
    value, error = found["test"]
    rows.add("settled", halved["test"][0] - value < SETTLED, "1", samples)
    above = float(ps["test"] @ c) - value
    rows.add("trajectories_above", above, UNIT, max(settings.trajectories), error, over["test"])
    bound = {name: mean("test", name, np.zeros_like(c)) for name in ("reconstruction", "kl", "ess", "elbo")}
    for name, (value, error) in bound.items():
        unit, error = ("samples", None) if name == "ess" else (UNIT, error)
        rows.add(name, value, unit, samples, error, over["test"])
    rows.add("kl_share", bound["kl"][0] / bound["elbo"][0], "1", samples, over=over["test"])
    return found


def _texts(batch: Batch) -> list[str]:
    batch = batch.to("cpu")
    return [decode(x[:length].numpy()) for x, length in zip(batch.x, batch.lengths.tolist(), strict=True)]


def _generated(
    rows: Records, model: WordModel, both: WordHalves, settings: Settings, generator: torch.Generator
) -> list[str]:
    """Set-based measures of N generated words (returned) and of as many as V has.

    With random states also of N words of the most likely symbol of each state; all of N also by the wider V.
    """
    made: dict[str, list[str]] = {}
    readings = {"": (settings.generated, False), "_all": (len(both.vocabulary), False)}
    readings |= {} if model.exact else {"_likeliest": (settings.generated, True)}
    for suffix, (count, mode) in readings.items():
        sizes = likelihood.blocks(count, AT_ONCE)
        made[suffix] = [text for size in sizes for text in _texts(model.sample(size, mode=mode, generator=generator))]
        _sets(rows, "", suffix, made[suffix], both.vocabulary)
        if both.rarer and suffix != "_all":
            words = made[suffix]
            found = generated(words, both.vocabulary | both.rarer)
            for name in ("known", "unique_known"):
                share = found[name]
                rows.add(f"{name}{suffix}_wide", share.value, "1", len(words), share.error, len(words))
    return made[""]


def _sets(rows: Records, prefix: str, suffix: str, words: Sequence[str], vocabulary: set[str]) -> None:
    for name, share in generated(words, vocabulary).items():
        rows.add(f"{prefix}{name}{suffix}", share.value, "1", len(words), share.error, len(words))


@torch.no_grad()
def _entropies(rows: Records, model: WordModel, settings: Settings, generator: torch.Generator, folder: Path) -> None:
    """H_gap and its two parts (eq. (13), (14)), means over the steps of words generated in free mode.

    Also over K whole trajectories, for each K of ``gap_sets``: section 5.2's "the marginal in (12)".
    """
    batch, found = model.entropies(settings.gap_words, settings.gap_samples, generator)
    mask, lengths = batch.mask.cpu(), batch.lengths.cpu()
    values = {name: value.double().cpu() for name, value in found.items()}
    if "marginal" in values:
        values["gap"] = values["marginal"] - values["expected"]
    for name in ("gap", "marginal", "expected"):
        if name in values:
            sums = (values[name] * mask).sum(1).numpy()
            mean, error = likelihood.ratio(sums, lengths.double().numpy())
            samples = settings.gap_samples if "marginal" in values else 0
            rows.add(f"entropy_{name}", mean, "nats", samples, error, len(sums))
    if "marginal" not in values:
        return
    alive = mask.sum(0).double() / mask.sum()
    for count in settings.gap_sets:
        whole = whole_gaps(model, alive.numpy(), count, max(2, settings.gap_words // count), generator)
        error = float(whole.std(ddof=1)) / math.sqrt(len(whole))
        rows.add(f"entropy_gap_whole@{count}", float(whole.mean()), "nats", count, error, len(whole))
    word, step = mask.nonzero(as_tuple=True)
    values = (word, lengths[word], step + 1, values["marginal"][mask], values["expected"][mask])
    columns = dict(zip(GAPS, (value.tolist() for value in values), strict=True))
    write_columns(folder / "gaps.csv", columns, len(word))


def whole_gaps(
    model: WordModel, alive: np.ndarray, count: int, sets: int, generator: torch.Generator
) -> np.ndarray:  # fmt: skip
    r"""H_gap with the marginal of eq. (12), over K whole trajectories and not over xi_t after one state: (sets,), nats.

    .. math:: \sum_t a_t \{ H[\frac 1K \sum_k P(w_t | h_t^k)] - \frac 1K \sum_k H[P(w_t | h_t^k)] \}

    a_t (T,) is the share of step t among the steps of generated words; states continue after a word's end.
    """
    weights, found = torch.from_numpy(alive), []
    for _ in range(sets):
        log_p = model.trajectories(count, len(alive), generator).double().cpu()
        marginal, expected = gaps(log_p.transpose(0, 1))
        found.append(float(weights @ (marginal - expected)))
    return np.array(found)


def _ngrams(rows: Records, words: Sequence[str], both: WordHalves, settings: Settings) -> None:
    """Perplexity of the generated words under n-grams of the test half, fitted to its types and to its tokens."""
    held = np.flatnonzero(both.test)
    fitted = [both.words[n] for n in held]
    for suffix, weights in (("", np.ones(len(held), np.int64)), ("_tokens", both.test[held])):
        for order in settings.ngrams:
            value, error = ngrams.perplexity(ngrams.fit(fitted, weights.tolist(), order), words)
            rows.add(f"perplexity_{order}{suffix}", value, "1", len(words), error, len(words))


def oracle(train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """log P of the training distribution, (N,), with unseen test words counted once, renormalised.

    >>> oracle(np.array([2, 1, 0]), np.array([1, 0, 1])).round(3).tolist()
    [-0.693, -1.386, -1.386]
    """
    counts = np.where((train == 0) & (test > 0), 1, train)
    with np.errstate(divide="ignore"):
        return np.log(counts) - math.log(counts.sum())


def _oracle(rows: Records, both: WordHalves, settings: Settings, rng: np.random.Generator) -> None:
    """The oracle, which samples training words by frequency, and the entropies of both halves."""
    log_p = oracle(both.train, both.test)
    rows.add("oracle_train", cross_entropy(both.train, log_p), over=int((both.train > 0).sum()))
    rows.add("oracle_test", cross_entropy(both.test, log_p), over=int((both.test > 0).sum()))
    drawn = rng.choice(len(both.words), settings.generated, p=both.train / both.train.sum())
    _sets(rows, "oracle_", "", [both.words[n] for n in drawn], both.vocabulary)
    rows.add("train_entropy", entropy(both.train), over=int((both.train > 0).sum()))
    rows.add("test_entropy", entropy(both.test), over=int((both.test > 0).sum()))
    rows.add("oracle_unseen", both.test[both.train == 0].sum() / both.test.sum(), "1", over=int(both.test.sum()))


def _source(
    rows: Records, log_p: np.ndarray, headline: tuple[float, float], both: WordHalves, dataset: Dataset
) -> None:  # fmt: skip
    """For embedded data the true source's cross entropy and entropy, and the model's excess over it.

    The error of the excess combines the headline's and that of the test tokens, from the spread of log P of all words.
    """
    known = dataset.statistics.get("source_entropy")
    if both.source is None or known is None:
        return
    tokens, source = int(both.test.sum()), cross_entropy(both.test, both.source)
    rows.add("source", source, over=tokens)
    above = both.source + importance.control(log_p)
    mean = float(both.test @ above / tokens)
    chance = math.sqrt(float(both.test @ (above - mean) ** 2) / tokens / max(1, tokens - 1))
    value, error = headline
    rows.add("excess", value - source, "nats/sequence", error=math.hypot(error, chance), over=tokens)
    rows.add("source_entropy", known["nats_per_sequence"], over=tokens)
