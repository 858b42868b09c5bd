"""Models of words scored on all words at once: cross entropies, generated words, entropies, n-grams, the oracle.

Legend: N words of both halves, K trajectories, V the words of the training half.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch

from seqflows import files
from seqflows.compute import Machine
from seqflows.data.batching import Batch, collate
from seqflows.data.prepared import Dataset, Split
from seqflows.data.words import decode, entropy
from seqflows.errors import Problem
from seqflows.evaluation import likelihood, ngrams
from seqflows.evaluation.metrics import Records
from seqflows.evaluation.words import (
    BLOCK,
    Estimate,
    Trie,
    cross_entropy,
    estimates,
    exact,
    generated,
    settled,
    weighted,
)
from seqflows.models.words import WordModel
from seqflows.names import refuse_unknown

AT_ONCE = 65536  # symbols of an importance-sampled batch, all draws counted; generated words
UNIT = "nats/word"
GAPS = ("word", "length", "step", "marginal", "expected")


@dataclass(frozen=True)
class Settings:
    """The ``evaluation`` block of a run on words."""

    trajectories: tuple[int, ...]  # the K of the cross entropies
    sets: int = 10  # independent sets of K trajectories, fewer where K is large
    samples: int = 100  # posterior samples of the importance-sampled NLL
    sequences: int = 5000  # test tokens that it is taken over
    generated: int = 14_300  # words of the set-based measures: a tenth of the paper's vocabulary
    gap_words: int = 5000  # words generated for the entropies
    gap_samples: int = 20  # draws of the noise for the marginal entropy, section 5.2
    ngrams: tuple[int, ...] = ()  # orders of the Kneser-Ney models

    @classmethod
    def of(cls, block: Mapping[str, Any]) -> Settings:
        """Read the block; an unknown or impossible entry is a `Problem`."""
        known = [entry.name for entry in fields(cls)]
        refuse_unknown("evaluation", block, known)
        if not block.get("trajectories"):
            raise Problem("expected evaluation.trajectories to list numbers of trajectories, found none; add them")
        values = {name: tuple(value) if isinstance(value, list) else value for name, value in block.items()}
        settings = cls(**values)
        for name in known:
            value = getattr(settings, name)
            for one in value if isinstance(value, tuple) else (value,):
                if isinstance(one, bool) or not isinstance(one, int) or one < 1:
                    raise Problem(f"expected evaluation.{name} of whole numbers of at least 1, got {one!r}")
        _check_trajectories(settings.trajectories)
        return settings


def _check_trajectories(counts: tuple[int, ...]) -> None:
    """Each K once, whole blocks where it is large, and half of the largest, by which it is seen to have settled."""
    largest = max(counts)
    if len(set(counts)) < len(counts):
        raise Problem(f"expected evaluation.trajectories without repetition, got {list(counts)}")
    if uneven := [count for count in counts if count > BLOCK and count % BLOCK]:
        raise Problem(f"expected evaluation.trajectories beyond {BLOCK} to be multiples of it, got {uneven[0]}")
    if largest > 1 and largest // 2 not in counts:
        raise Problem(
            f"expected evaluation.trajectories to hold half of its largest number ({largest // 2} of {largest}), "
            f"got {list(counts)}; whether the estimate has settled is seen by the last doubling"
        )


class Both:
    """The words of the training and the test half, each once, with their counts in both."""

    def __init__(self, dataset: Dataset) -> None:
        halves = [dataset.train, dataset.test]
        words = [[decode(split.sequence(n)) for n in range(len(split))] for split in halves]
        places = {word: place for place, word in enumerate(dict.fromkeys([*words[0], *words[1]]))}
        self.words = list(places)
        self.vocabulary = set(words[0])
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


def score(
    model: WordModel, dataset: Dataset, settings: Settings, machine: Machine, parameters: int, seeds: Mapping[str, int],
    folder: Path,
) -> Records:  # fmt: skip
    """Every metric of a trained model of words; writes words.csv, samples.txt and gaps.csv.

    ``seeds`` gives a seed to each purpose: trajectories, importance, samples, entropies, oracle.
    """
    both, rows = Both(dataset), Records(UNIT)
    log_p = _cross_entropies(rows, model, both, settings, machine, _generator(seeds["trajectories"]))
    _importance(rows, model, dataset, settings, machine, seeds["importance"])
    words = _generated(rows, model, both, settings, _generator(seeds["samples"]))
    _entropies(rows, model, settings, _generator(seeds["entropies"]), folder)
    _ngrams(rows, words, both, settings)
    _oracle(rows, both, settings, np.random.default_rng(seeds["oracle"]))
    _source(rows, log_p, both, dataset)
    rows.add("parameters", parameters, "1")
    columns = {"word": both.words, "train": both.train.tolist(), "test": both.test.tolist(), "log_p": log_p.tolist()}
    table = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    files.write_csv(folder / "words.csv", table, list(columns))
    files.write_text(folder / "samples.txt", "\n".join(words) + "\n")
    return rows


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _cross_entropies(
    rows: Records, model: WordModel, both: Both, settings: Settings, machine: Machine, generator: torch.Generator
) -> np.ndarray:
    """H[P, P^] of both halves and test less train: the headline in nats and bits, then at every K.

    The headline is that of the largest K, the same for all models; of an exact model it is exact, and what it has at
    each K is the paper's reading, along sampled states. Returns log P^ of all words.
    """
    trie, ps = Trie.of(both.split), both.distributions
    found, log_p = estimates(model, trie, list(ps.values()), settings.trajectories, generator, settings.sets)
    headline = found[-1]
    if model.exact:
        log_p = exact(model, both.split, machine.device)
        headline = Estimate(0, 1, tuple(weighted(p, log_p) for p in ps.values()), None)
    worst = max(value for one in (headline, *found) for value in one.mean)
    if not math.isfinite(worst):
        raise Problem(
            f"expected a finite cross entropy, got {worst}: all trajectories give some word of the data probability 0; "
            "raise evaluation.trajectories or train the model again"
        )
    over = {name: int((p != 0).sum()) for name, p in ps.items()}

    def add(name: str, which: int, one: Estimate, end: str, unit: str = UNIT, scale: float = 1.0) -> None:
        error = None if one.error is None else one.error[which] / scale
        rows.add(f"cross_entropy_{name}{end}", one.mean[which] / scale, unit, one.samples, error, over[name])

    for which, name in enumerate(ps):
        add(name, which, headline, "")
        if name != "difference":
            add(name, which, headline, "_bits", "bits/word", math.log(2))
    if not model.exact:
        rows.add("settled", settled(found, 1), "1", headline.samples)
    for one in found:
        for which, name in enumerate(ps):
            if name != "difference":
                add(name, which, one, f"@{one.samples}")
    return log_p


@torch.no_grad()
def _importance(
    rows: Records, model: WordModel, dataset: Dataset, settings: Settings, machine: Machine, seed: int
) -> None:
    """-log P(w) by posterior importance sampling on test tokens drawn by frequency: it needs no prior trajectories.

    A sample is a whole pass of Algorithm 1 with the run's own number of proposals: the mean of its log-weight is the
    bound that was trained.
    """
    rng = np.random.default_rng(seed)
    p = dataset.test.counts / dataset.test.counts.sum()
    places = np.sort(rng.choice(len(p), settings.sequences, p=p))
    torch.manual_seed(seed)
    found: dict[str, list[torch.Tensor]] = {"nll": [], "reconstruction": [], "kl": [], "ess": []}
    each = 1 if model.exact else settings.samples * model.proposals
    width = max(1, AT_ONCE // (model.longest * each))
    for start in range(0, len(places), width):
        batch = collate(dataset.test, places[start : start + width]).to(machine.device)
        if model.exact:
            found["nll"].append(-model.log_prob(batch))
            continue
        log_weights, log_likelihood = (value.double() for value in model.importance(batch, settings.samples))
        found["nll"].append(likelihood.importance_nll(log_weights, settings.samples))
        found["reconstruction"].append(-log_likelihood.mean(1))
        found["kl"].append((log_likelihood - log_weights).mean(1))
        found["ess"].append(likelihood.effective_samples(log_weights))
    values = {name: torch.cat(parts).double().cpu().numpy() for name, parts in found.items() if parts}
    if not model.exact:
        values["elbo"] = values["reconstruction"] + values["kl"]
    for name, value in values.items():
        if not np.isfinite(value).all():
            raise Problem(f"expected a finite {name} for every test word, got another; train the model again")
        mean, error = likelihood.ratio(value, np.ones(len(value)))
        unit = "samples" if name == "ess" else UNIT
        rows.add(name, mean, unit, 0 if model.exact else settings.samples, error, len(value))
    if "elbo" in values:
        share, error = likelihood.ratio(values["kl"], values["elbo"])
        rows.add("kl_share", share, "1", settings.samples, error, len(places))


def _texts(batch: Batch) -> list[str]:
    batch = batch.to("cpu")
    return [decode(x[:length].numpy()) for x, length in zip(batch.x, batch.lengths.tolist(), strict=True)]


def _generated(
    rows: Records, model: WordModel, both: Both, settings: Settings, generator: torch.Generator
) -> list[str]:
    """Set-based measures of N generated words, and of as many as V has. Returns the former."""
    first: list[str] = []
    for suffix, count in (("", settings.generated), ("_all", len(both.vocabulary))):
        words = [
            text
            for size in likelihood.blocks(count, AT_ONCE)
            for text in _texts(model.sample(size, generator=generator))
        ]
        first = first or words
        _sets(rows, "", suffix, words, both.vocabulary)
    return first


def _sets(rows: Records, prefix: str, suffix: str, words: Sequence[str], vocabulary: set[str]) -> None:
    for name, share in generated(words, vocabulary).items():
        rows.add(f"{prefix}{name}{suffix}", share.value, "1", len(words), share.error, len(words))


@torch.no_grad()
def _entropies(rows: Records, model: WordModel, settings: Settings, generator: torch.Generator, folder: Path) -> None:
    """H_gap and its two parts, eq. (13) and (14): means over the steps of words generated in free mode."""
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
    word, step = mask.nonzero(as_tuple=True)
    columns = (word, lengths[word], step + 1, values["marginal"][mask], values["expected"][mask])
    table = zip(*(column.tolist() for column in columns), strict=True)
    files.write_csv(folder / "gaps.csv", [dict(zip(GAPS, row, strict=True)) for row in table], GAPS)


def _ngrams(rows: Records, words: Sequence[str], both: Both, settings: Settings) -> None:
    """Perplexity of the generated words under n-grams of the test half: of its types, and of its tokens."""
    held = np.flatnonzero(both.test)
    fitted = [both.words[n] for n in held]
    for suffix, weights in (("", np.ones(len(held), np.int64)), ("_tokens", both.test[held])):
        for order in settings.ngrams:
            value, error = ngrams.perplexity(ngrams.fit(fitted, weights.tolist(), order), words)
            rows.add(f"perplexity_{order}{suffix}", value, "1", len(words), error, len(words))


def oracle(train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """log P of the training distribution, (N,); a test word that was not seen counts as if seen once, all renormalised.

    >>> oracle(np.array([2, 1, 0]), np.array([1, 0, 1])).round(3).tolist()
    [-0.693, -1.386, -1.386]
    """
    counts = np.where((train == 0) & (test > 0), 1, train)
    with np.errstate(divide="ignore"):
        return np.log(counts) - math.log(counts.sum())


def _oracle(rows: Records, both: Both, settings: Settings, rng: np.random.Generator) -> None:
    """ORACLE, which samples the training words by their frequency, and the entropies of both halves."""
    log_p = oracle(both.train, both.test)
    rows.add("oracle_train", cross_entropy(both.train, log_p), over=int((both.train > 0).sum()))
    rows.add("oracle_test", cross_entropy(both.test, log_p), over=int((both.test > 0).sum()))
    drawn = rng.choice(len(both.words), settings.generated, p=both.train / both.train.sum())
    _sets(rows, "oracle_", "", [both.words[n] for n in drawn], both.vocabulary)
    rows.add("train_entropy", entropy(both.train), over=int((both.train > 0).sum()))
    rows.add("test_entropy", entropy(both.test), over=int((both.test > 0).sum()))
    rows.add("oracle_unseen", both.test[both.train == 0].sum() / both.test.sum(), "1", over=int(both.test.sum()))


def _source(rows: Records, log_p: np.ndarray, both: Both, dataset: Dataset) -> None:
    """The true source's cross entropy and entropy, and how far the model lies above it, where it is embedded."""
    known = dataset.statistics.get("source_entropy")
    if both.source is None or known is None:
        return
    tokens = int(both.test.sum())
    rows.add("source", cross_entropy(both.test, both.source), over=tokens)
    above = both.source - log_p
    mean = float(both.test @ above / tokens)
    error = math.sqrt(float(both.test @ (above - mean) ** 2) / tokens / max(1, tokens - 1))
    rows.add("excess", mean, "nats/sequence", error=error, over=tokens)
    rows.add("source_entropy", known["nats_per_sequence"], over=tokens)
