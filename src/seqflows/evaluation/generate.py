"""The stage ``generate``: samples, interpolations and regenerations of a model of language, as text.

Legend: N sequences, T time (fixed), D dimensions of a word vector.

A file begins with a line ``# <key>: <value>`` for each fact of its origin. Then follow blocks, each headed by
``## <title>``, with a line ``<label> | <decoding> | <text>`` for each text; given texts have no decoding. The last
block, ``## numbers``, has statistics of more texts than are shown, see `numbers`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from seqflows import compute, files, params, paths
from seqflows.config.evaluation import TEXTS
from seqflows.data import prepared, tokens
from seqflows.data.batching import collate
from seqflows.data.prepared import Dataset
from seqflows.errors import Problem
from seqflows.evaluation import likelihood, loading, ngrams
from seqflows.evaluation.scoring import stream
from seqflows.models.language_flow import LanguageFlow

NUMBERS, GIVEN, UNCHANGED = "numbers", "test sequences", "noise 0"
ORDER = 3  # of the n-grams that score the texts


class Line(NamedTuple):
    """A text, its label and its decoding; a given text has no decoding."""

    label: str
    decoding: str
    text: str


class Group(NamedTuple):
    """A group of texts: all samples, a pair with its interpolations, or a context with its variants."""

    title: str
    lines: list[Line]


def run(key: paths.Key, found: params.Params | None = None) -> None:
    """Write runs/<scale>/texts/<name>.txt of the model of the run's first seed.

    Raises `Problem` if the model is missing or was trained with other params, or a given text does not fit.
    """
    matrix = found or params.load()
    block = matrix.text(key.scale, key.name)
    owner = matrix.run(key.scale, block["run"])
    machine = compute.prepare(matrix.compute(key.scale), key.scale, training=False)
    dataset = prepared.of(matrix, key.scale, owner["dataset"])
    seed = owner["seeds"][0]
    model, record = loading.load(paths.Key(key.scale, block["run"]), owner, seed, dataset, machine)
    settings = vars(TEXTS[block["kind"]].of(block["settings"], "settings"))
    # A function of the dataset only, so that all its models get the same sequences and noise.
    own = stream(paths.Key(key.scale, owner["dataset"]), 0, block["kind"])
    written = WRITERS[block["kind"]](model, dataset, settings, own)
    shown = sum(len(part.lines) for part in written)
    written += numbers(model, dataset, block["kind"], settings, own)
    strange = tokens.unknown(given_texts(settings), dataset.vocabulary)
    threads = f"{machine.threads} thread{'s' * (machine.threads != 1)}"
    header = {
        "text": key.name,
        "scale": key.scale,
        "kind": block["kind"],
        "settings": json.dumps(settings, ensure_ascii=False),
        "run": block["run"],
        "seed": seed,
        "dataset": f"{owner['dataset']}, sha256 {dataset.sha256}",
        "config_hash": files.digest(block),
        "model_sha256": record["files"][paths.MODEL],
        "train_config_hash": record["config_hash"],
        "train_revision": record["revision"],
        "revision": files.revision(),
        "device": f"{machine.device.type}, {machine.name}, {threads}",
    }
    if strange:
        header["unknown"] = f"<unk> stands for {', '.join(strange)}"
        print(f"{key}: {header['unknown']}", flush=True)
    files.write_text(paths.text(key.scale, key.name), page(header, written))
    print(f"{key}: {shown} texts of {block['run']} seed {seed}", flush=True)


def given_texts(settings: Mapping[str, Any]) -> list[str]:
    """A user's own texts among the settings."""
    contexts = settings.get("contexts")
    pairs = [text for pair in settings.get("sentences") or () for text in pair]
    return [*pairs, *(contexts if isinstance(contexts, tuple) else ())]


def page(header: Mapping[str, Any], written: Sequence[Group]) -> str:
    """The file's content, with ``lines_sha256`` of all lines below the header."""
    every = [line for part in written for line in part.lines]
    label, decoding = (max((len(line[place]) for line in every), default=0) for place in (0, 1))
    body = ""
    for part in written:
        lines = [f"{line.label:<{label}} | {line.decoding:<{decoding}} | {line.text}".rstrip() for line in part.lines]
        body += "\n".join([f"## {part.title}", *lines]) + "\n\n"
    facts = dict(header) | {"lines_sha256": hashlib.sha256(body.encode()).hexdigest()}
    return "\n".join(f"# {name}: {value}" for name, value in facts.items()) + "\n\n" + body


def decodings(model: LanguageFlow, beam: int) -> dict[str, int]:
    """The decodings of a model with their beam (0: all steps at once)."""
    if not model.causal:
        return {"all steps at once": 0}
    return {"greedy": 1} | ({f"beam of {beam}": beam} if beam > 1 else {})


def _decoded(model: LanguageFlow, eps: Tensor, beam: int, vocabulary: Sequence[str]) -> dict[str, list[str]]:
    """The texts of noise (N, T, D) by decoding."""
    if not len(eps):
        return {}
    ways = decodings(model, beam)
    return {way: [tokens.decode(row, vocabulary) for row in model.decode(eps, ways[way]).tolist()] for way in ways}


def _noise(model: LanguageFlow, count: int, seed: int) -> Tensor:
    """N(0, I), (N, T, D), of the seed's second stream: its first is the noise of x~, see `_encoded`."""
    generator = torch.Generator().manual_seed(int(np.random.default_rng((seed, 1)).integers(2**32)))
    return torch.randn(count, model.length, model.vectors.shape[1], generator=generator).to(model.vectors.device)


def _encoded(model: LanguageFlow, given: Tensor, seed: int) -> Tensor:
    """f(x~) of tokens (N, T), as (N, T, D), with the noise of x~ from a seed; that of `_noise` is independent of it."""
    torch.manual_seed(seed)
    return model.encode(given)


def _drawn(model: LanguageFlow, dataset: Dataset, count: int, seed: int) -> Tensor:
    """Tokens (n, T) of ``count`` distinct test sequences, or of all if there are fewer."""
    places = np.random.default_rng(seed).permutation(len(dataset.test))[:count]
    if not len(places):
        return torch.zeros(0, model.length, dtype=torch.int64, device=model.vectors.device)
    return collate(dataset.test, np.sort(places)).x.to(model.vectors.device)


def _given(model: LanguageFlow, dataset: Dataset, texts: Sequence[str]) -> Tensor:
    """Tokens (n, T) of a user's texts, cut as the dataset's own; unknown tokens are ``<unk>``, which `run` tells.

    Raises:
        Problem: a text without tokens, or with too many.
    """
    cut, room = [tokens.tokenize(text) for text in texts], model.length - 2
    for text, found in zip(texts, cut, strict=True):
        if not 0 < len(found) <= room:
            raise Problem(
                f"expected texts of 1 to {room} tokens, which is the room of {dataset.name}, got {len(found)} in "
                f"{text[:60]!r}; change it in params.yaml"
            )
    ids = tokens.encode(cut, dataset.vocabulary, model.length)
    return torch.as_tensor(ids, dtype=torch.int64, device=model.vectors.device)


def samples(model: LanguageFlow, dataset: Dataset, settings: Mapping[str, Any], seed: int) -> list[Group]:
    """Sequences of noise N(0, I), the same noise for each decoding (Table 1)."""
    found = _decoded(model, _noise(model, settings["count"], seed), settings["beam"], dataset.vocabulary)
    lines = [Line(str(n + 1), way, texts[n]) for n in range(settings["count"]) for way, texts in found.items()]
    return [Group("samples", lines)]


def interpolations(model: LanguageFlow, dataset: Dataset, settings: Mapping[str, Any], seed: int) -> list[Group]:
    """For each pair of texts (a, b): both, and f^-1 of r f(a) + (1 - r) f(b) at each ratio r (Table 2)."""
    ratios, vocabulary = settings["ratios"], dataset.vocabulary
    if settings["sentences"]:
        chosen = _given(model, dataset, [text for pair in settings["sentences"] for text in pair])
    else:
        chosen = _drawn(model, dataset, 2 * min(settings["pairs"], len(dataset.test) // 2), seed)
    if not len(chosen):
        return []
    eps = _encoded(model, chosen, seed)
    mixed = torch.cat([r * eps[::2] + (1 - r) * eps[1::2] for r in ratios])
    found, pairs = _decoded(model, mixed, settings["beam"], vocabulary), len(chosen) // 2
    given = [tokens.decode(row, vocabulary) for row in chosen.tolist()]
    written = []
    for pair in range(pairs):
        between = [
            Line(str(ratio), way, texts[place * pairs + pair])
            for place, ratio in enumerate(ratios)
            for way, texts in found.items()
        ]
        first, second = given[2 * pair : 2 * pair + 2]
        lines = [Line("sentence 1", "", first), *between, Line("sentence 2", "", second)]
        written.append(Group(f"pair {pair + 1}", lines))
    return written


def regenerations(model: LanguageFlow, dataset: Dataset, settings: Mapping[str, Any], seed: int) -> list[Group]:
    """For each context x: itself, and f^-1 of f(x~) + z_0 with z_0 ~ N(0, s^2) at each deviation s (Table 3)."""
    contexts, vocabulary = settings["contexts"], dataset.vocabulary
    own = isinstance(contexts, tuple)
    chosen = _given(model, dataset, contexts) if own else _drawn(model, dataset, contexts, seed)
    if not len(chosen):
        return []
    eps, z_0 = _encoded(model, chosen, seed), _noise(model, len(chosen), seed)
    noised = torch.cat([eps + deviation * z_0 for deviation in settings["deviations"]])
    found = _decoded(model, noised, settings["beam"], vocabulary)
    written = []
    for place, row in enumerate(chosen.tolist()):
        again = [
            Line(f"noise {deviation}", way, texts[number * len(chosen) + place])
            for number, deviation in enumerate(settings["deviations"])
            for way, texts in found.items()
        ]
        written.append(Group(f"context {place + 1}", [Line("context", "", tokens.decode(row, vocabulary)), *again]))
    return written


WRITERS: dict[str, Callable[[LanguageFlow, Dataset, Mapping[str, Any], int], list[Group]]] = {
    "samples": samples,
    "interpolation": interpolations,
    "regeneration": regenerations,
}


def numbers(model: LanguageFlow, dataset: Dataset, kind: str, settings: Mapping[str, Any], seed: int) -> list[Group]:
    """Statistics of ``measured`` test sequences, or of as many draws: a block with a line per decoding.

    The first line is of the test sequences; "noise 0" is of f^-1(f(x~)), decoded; then lines of each kind. Each
    has ``<name> <value> (<standard error over texts>)``, joined by "; ":

    - texts and words: how many are counted, words between <s> and </s>;
    - right (at noise 0) or changed (with noise): the share of the given words that keep, or lose, their place;
    - perplexity: exp of the mean -log p of a word or end under a Kneser-Ney trigram of the training texts;
    - distinct: the share of different texts.
    """
    given = _drawn(model, dataset, settings["measured"], seed)
    if not len(given):
        return []
    vocabulary, length = dataset.vocabulary, model.length
    train = [_words(row, vocabulary) for row in dataset.train.symbols.reshape(-1, length).tolist()]
    trigram = ngrams.fit(train, [1] * len(train), ORDER)
    eps, z = _encoded(model, given, seed), _noise(model, len(given), seed)
    found = {UNCHANGED: eps}
    if kind == "samples":
        found["samples"] = z
    elif kind == "interpolation":
        pairs = len(given) // 2
        found |= {str(r): r * eps[:pairs] + (1 - r) * eps[pairs : 2 * pairs] for r in settings["ratios"] if pairs}
    else:
        found |= {f"noise {s}": eps + s * z for s in settings["deviations"] if s > 0}
    lines = [Line(GIVEN, "", _counted(given, vocabulary, trigram))]
    for label, noise in found.items():
        for way, beam in decodings(model, settings["beam"]).items():
            before = given if label.startswith("noise") else None
            lines.append(Line(label, way, _counted(model.decode(noise, beam), vocabulary, trigram, before, label)))
    return [Group(NUMBERS, lines)]


def _words(row: Sequence[int], vocabulary: Sequence[str]) -> list[str]:
    return tokens.decode(row, vocabulary).split()


def _counted(ids: Tensor, vocabulary: Sequence[str], trigram: Any, given: Tensor | None = None, label: str = "") -> str:
    """The statistics of texts (N, T) made of the ``given`` (N, T)."""
    texts = [_words(row, vocabulary) for row in ids.tolist()]
    found = [f"texts {len(texts)}", f"words {sum(map(len, texts))}"]
    if given is not None:
        special = torch.tensor([vocabulary.index(token) for token in (tokens.PAD, tokens.START, tokens.END)])
        real = ~torch.isin(given.cpu(), special)
        same = (ids.cpu() == given.cpu()) & real
        name, counted = ("right", same) if label == UNCHANGED else ("changed", real & ~same)
        share, error = likelihood.ratio(counted.sum(1).numpy(), real.sum(1).numpy())
        found.append(f"{name} {share:.4f} ({error or 0.0:.4f})")
    perplexity, error = ngrams.perplexity(trigram, texts)
    found.append(f"perplexity {perplexity:.2f} ({error:.2f})")
    return "; ".join([*found, f"distinct {len({tuple(text) for text in texts}) / len(texts):.4f}"])
