"""Trained models for use: `load` one, score texts or arrays, draw new ones, encode and decode.

``seqflows.load("laptop/jsb-af_af")`` gives the model of the first seed. It comes from ``runs/`` and its prepared data
or, in a clone without them, from ``weights/<scale>/<run>``, which `pack` writes: what the model needs to know of its
data in facts.json, beside it word vectors and the training texts that a trigram is made of, and seed-<n>.safetensors
beside its train.json.

Legend: N sequences, T time, D numbers of a vector.
"""

from __future__ import annotations

import itertools
import math
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from seqflows import compute, files, kinds, models, params, paths
from seqflows.config.models import MODELS, sizes
from seqflows.data import prepared, tokens
from seqflows.data.batching import collate, order_by_length
from seqflows.data.kinds import text
from seqflows.data.prepared import Facts, Split
from seqflows.data.readers import lexicon
from seqflows.errors import Problem
from seqflows.evaluation.likelihood import draw, importance_nll
from seqflows.models import Model
from seqflows.models.language_flow import LanguageFlow
from seqflows.names import near
from seqflows.paths import MODEL, RECORD

FACTS, VECTORS, TEXTS = "facts.json", "vectors.npy", "texts.npz"
SEED = re.compile(r"seed-(\d+)\.json")
SAMPLES, AT_ONCE = 50, 32  # importance samples of a latent model, and sequences of a batch
CHUNK = 50_000  # symbols of all samples that are drawn at once
SEQUENCES = ("text", "music", "vectors", "words", "language")  # kinds whose models can be used alone


@dataclass(frozen=True)
class Known:
    """What a model needs to know of its data: their kind, name and checksum, their vocabulary and facts."""

    kind: str
    dataset: str
    sha256: str
    vocabulary: Any
    facts: Facts


@dataclass(frozen=True)
class Trained:
    """A trained model with its vocabulary.

    Attributes:
        name: ``<scale>/<run>``.
        seed: of its training.
        model: the network, in evaluation mode.
        known: what it knows of its data.
        record: its train.json.
    """

    name: str
    seed: int
    model: Model
    known: Known
    record: dict[str, Any]

    @property
    def unit(self) -> str:
        """The unit of the kind's scores, of which `score` gives the nats per sequence."""
        return kinds.of(self.known.kind).unit

    def score(self, given: Any, *, samples: int = SAMPLES, seed: int = 0) -> np.ndarray:
        """-log p of each sequence, (N,) float64, nats, -log p(T) included where the model has a p(T).

        Exact, or the bound of ``samples`` importance samples of a latent model, see `log_weights`; of texts as embedded
        by a flow of language that of one draw of the noise. ``given`` are lines of text, words, arrays (T, 88) of zeros
        and ones or an array (N, D), as `sample` gives them.

        Raises:
            Problem: an unknown character, a sequence that the model gives no probability, or samples and a seed that
                are no whole numbers, of at least 1 and 0.
        """
        if not self.model.exact:
            return importance_nll(self.log_weights(given, samples, seed=seed), samples).numpy()
        split = self._split(given)
        nll, noisy = np.zeros(len(split)), isinstance(self.model, LanguageFlow)
        with torch.no_grad(), compute.own_noise(self.device):
            for indices in self._own(split, seed) if noisy else order_by_length(split, AT_ONCE):
                nll[indices] = -self.model.log_prob(collate(split, indices).to(self.device)).double().cpu().numpy()
        return nll

    def log_weights(self, given: Any, samples: int = SAMPLES, *, seed: int = 0) -> np.ndarray:
        """log p(x, z_k, T) - log q(z_k | x) of ``samples`` draws of a latent model's posterior, (N, K) float64, nats.

        log p(x, T) >= E log (1/K) sum_k w_k, the more so the smaller the effective sample size (sum_k w_k)^2 / sum_k
        w_k^2 (`seqflows.evaluation.likelihood.effective_samples`). The draws of a sequence follow from it, ``seed`` and
        ``samples``, whatever others are scored with it.

        Raises:
            Problem: a model with an exact likelihood, or as `score`.
        """
        if self.model.exact:
            raise Problem(f"expected a model with latents, got {self.name}, whose likelihood is exact; use score")
        _whole(samples, 1, "at least one importance sample")
        split = self._split(given)
        found = np.zeros((len(split), samples))
        with torch.no_grad(), compute.own_noise(self.device):
            for indices in self._own(split, seed):
                batch = collate(split, indices).to(self.device)
                at_once = max(1, CHUNK // int(split.lengths[indices[0]]))
                found[indices] = draw(self.model, batch, samples, at_once)[0].cpu().numpy()
        return found

    def _own(self, split: Split, seed: int) -> Iterator[np.ndarray]:
        """The place of each sequence, for a batch of its own, with the noise of its symbols and the seed.

        It seeds torch's own generators, which the caller keeps by `compute.own_noise`.
        """
        _whole(seed, 0, "a seed of 0 or more")
        for place in range(len(split)):
            content = np.ascontiguousarray(split.sequence(place)).tobytes()
            stream = np.random.default_rng((seed, zlib.crc32(content))).integers(2**63)
            compute.seed_noise(self.device, int(stream))
            yield np.array([place])

    @property
    def device(self) -> torch.device:
        """Where the model is, by its parameters or, without any, by what it keeps."""
        return next(itertools.chain(self.model.parameters(), self.model.buffers())).device

    def sample(self, count: int, *, seed: int = 0, temperature: float = 1.0, mode: bool = False) -> Any:
        """``count`` new sequences: lines, words, a list of arrays (T, 88), or an array (N, D).

        ``temperature`` scales the noise of flows and latents, also of states, and divides the logits of other models,
        whose symbols are the likeliest at 0; ``mode`` takes the most likely observation.

        Raises:
            Problem: no whole number of sequences of at least 1, or a temperature that is negative or not finite.
        """
        _whole(count, 1, "at least one sequence to sample")
        if not 0 <= temperature < math.inf:
            raise Problem(f"expected a temperature of at least 0, 1 as trained, got {temperature:g}")
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            batch = self.model.sample(count, temperature=temperature, mode=mode, generator=generator)
        rows = [row[:length] for row, length in zip(batch.x.cpu().numpy(), batch.lengths.tolist(), strict=True)]
        kind, vocabulary = self.known.kind, self.known.vocabulary
        if kind == "text":
            return ["".join(vocabulary[symbol] for symbol in row) for row in rows]
        if kind == "words":
            return [lexicon.decode(row) for row in rows]
        if kind == "language":
            return [tokens.decode(row, vocabulary) for row in rows]
        return [row.round().astype(np.uint8) for row in rows] if kind == "music" else batch.x[:, 0].cpu().numpy()

    def encode(self, texts: Sequence[str], *, seed: int = 0) -> Tensor:
        """The noise f(x~) of texts under a flow of language, (N, T, D).

        The draw of x~ follows from the text and ``seed``, whatever others are encoded with it, as in `score`.

        Raises:
            Problem: a model of another kind.
        """
        flow = self._flow("encode")
        split = self._split(texts)
        with compute.own_noise(self.device):
            own = [flow.encode(collate(split, one).x.to(self.device)) for one in self._own(split, seed)]
        return torch.cat(own)

    def decode(self, noise: Tensor, *, beam: int = 0) -> list[str]:
        """The texts of noise (N, T, D) under a flow of language; with ``beam`` left to right, for a causal one."""
        return [tokens.decode(row, self.known.vocabulary) for row in self._flow("decode").decode(noise, beam).tolist()]

    def unknown(self, texts: Iterable[str]) -> list[str]:
        """The words of texts that a flow of language knows only as ``<unk>``, in the order of their first places."""
        return tokens.unknown(texts, self.known.vocabulary)

    def _flow(self, what: str) -> LanguageFlow:
        if not isinstance(self.model, LanguageFlow):
            raise Problem(f"expected a flow of language to {what}, got {self.name}, of {self.known.kind}; use score")
        return self.model

    def _split(self, given: Any) -> Split:
        """The sequences as the model reads them."""
        kind, facts, where = self.known.kind, self.known.facts, Path(f"the sequences for {self.name}")
        given = [given] if isinstance(given, str) else given if hasattr(given, "__len__") else [*given]
        if len(given) == 0:
            raise Problem(f"expected sequences to score with {self.name}, got none")
        if kind in ("text", "words", "language") and not all(isinstance(line, str) for line in given):
            raise Problem(f"expected texts for {self.name}, got others")
        if kind == "vectors":
            points = np.asarray(given, dtype=np.float32)
            if points.ndim != 2 or points.shape[1] != facts.symbols or not np.isfinite(points).all():
                raise Problem(f"expected finite points (N, {facts.symbols}) for {self.name}, got {points.shape}")
            return Split(kind, np.ones(len(points), np.int64), points)
        if kind == "language":
            cut = [tokens.tokenize(line) for line in given]
            room = facts.max_length - 2
            if long := next((line for line, found in zip(given, cut, strict=True) if len(found) > room), None):
                raise Problem(
                    f"expected texts of at most {room} tokens for {self.name}, got a longer one: {long[:60]!r}"
                )
            ids = tokens.encode(cut, self.known.vocabulary, facts.max_length)
            return Split(kind, np.full(len(ids), facts.max_length), ids.reshape(-1))
        if kind == "words":
            if strange := next((word for word in given if not set(word) <= set(lexicon.LETTERS) or not word), None):
                raise Problem(f"expected words of the letters a to z for {self.name}, got {strange!r}")
            symbols, lengths = lexicon.encode(list(given))
        elif kind == "music":
            rolls = [np.asarray(roll) for roll in given]
            if not all(
                roll.ndim == 2 and roll.shape[1] == prepared.KEYS and np.isin(roll, (0, 1)).all() for roll in rolls
            ):
                raise Problem(f"expected arrays (T, {prepared.KEYS}) of zeros and ones for {self.name}, got others")
            symbols, lengths = np.concatenate(rolls), np.array([len(roll) for roll in rolls])
        else:
            symbols, lengths = text.encode(list(given), self.known.vocabulary, where), np.array([len(s) for s in given])
        for number, length in enumerate(lengths.tolist(), 1):
            if not 1 <= length <= facts.max_length:
                what = f"expected sequences of 1 to {facts.max_length} steps for {self.name}"
                remedy = "cut it" if length else "take it out"
                raise Problem(f"{what}, got {length or 'none'} in number {number}; {remedy}")
        return Split(kind, lengths, symbols)


def _whole(value: Any, least: int, what: str) -> None:
    """Raise `Problem` for what is no whole number, or below the least."""
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not whole or value < least:
        raise Problem(f"expected {what}{'' if whole else ', a whole number'}, got {value}")


def load(name: str, seed: int | None = None, device: str | torch.device = "cpu") -> Trained:
    """The model ``<scale>/<run>`` of a seed, the first one unless given, on a device.

    Runs and weights are looked for below the working folder, the project's root.

    Raises:
        Problem: an unknown run, one that is not trained here and whose weights are not here either, or a file that
            differs from its checksum.
    """
    key = paths.Key.parse(name)
    place = paths.weights(key.scale, key.name)
    trained = records_of(paths.train(key.scale, key.name))
    packed = place.is_dir() and not trained
    if packed:
        listed = prepared.verified(place, "weights", ("weights",), f"make weights writes {place} again", (FACTS,))
        trained = {int(found[1]): place / name for name in listed if (found := SEED.fullmatch(name))}
    if not trained:
        here = [f"{scale}/{run}" for scale, run in available()]
        raise Problem(
            f"expected {paths.train(key.scale, key.name)} or {place} in {Path.cwd()}, found none; start in its"
            f" folder, and run: python -m seqflows train {key}, or unpack its weights{near(str(key), here)}"
        )
    chosen = min(trained) if seed is None else seed
    if chosen not in trained:
        raise Problem(f"expected a seed of {key} among {', '.join(map(str, sorted(trained)))}, got {seed}")
    record = files.read_sealed(trained[chosen])
    file = place / f"seed-{chosen}.safetensors" if packed else trained[chosen].with_name(MODEL)
    if (found := files.sha256(file) if file.is_file() else "no file") != record["files"][MODEL]:
        raise Problem(f"expected {file} with sha256 {record['files'][MODEL]}, got {found}; train {key} again")
    known = _unpacked(place) if packed else _known(key, record)
    if known.kind not in SEQUENCES:
        raise Problem(f"expected a model of {', '.join(SEQUENCES)}, got {key}, of {known.kind}, which need contexts")
    if known.sha256 != record["dataset_sha256"]:
        got = f"data with sha256 {known.sha256[:12]}..."
        raise Problem(f"expected the data that {key} was trained on, {record['dataset_sha256'][:12]}..., got {got}")
    model = models.build(record["config"]["model"], known.facts)
    model.load_state_dict(load_file(file))
    return Trained(str(key), chosen, model.to(device).eval(), known, record)


def available() -> list[tuple[str, str]]:
    """The scales and runs whose models are here."""
    found = [path.parts[1:3] for path in sorted(Path("runs").glob("*/*/train"))]
    return [*found, *(path.parts[1:3] for path in sorted(Path("weights").glob("*/*")))]


def records_of(folder: Path) -> dict[int, Path]:
    """The train.json of each seed below a train folder."""
    return {int(path.parent.name[5:]): path for path in sorted(folder.glob(f"seed-*/{RECORD}"))}


def _known(key: paths.Key, record: dict[str, Any]) -> Known:
    matrix = params.load()
    dataset = prepared.of(matrix, key.scale, record["dataset"])
    return Known(dataset.kind, dataset.name, dataset.sha256, dataset.vocabulary, dataset.facts())


def pack(scale: str) -> list[str]:
    """Write weights/<scale>/<run> of every trained run whose model can be used alone; return their names."""
    done = []
    for place, name in available():
        found = records_of(paths.train(scale, name)) if place == scale else {}
        if not found or paths.train(scale, name).parents[2].name != "runs":
            continue
        key = paths.Key(scale, name)
        record = files.read_sealed(next(iter(found.values())))
        known = _known(key, record)
        if known.kind not in SEQUENCES:
            continue
        with files.replacing_folder(paths.weights(scale, name)) as folder:
            facts = {part: getattr(known.facts, part) for part in ("emission", "symbols", "max_length")}
            content = {
                "kind": known.kind, "dataset": known.dataset, "sha256": known.sha256, "vocabulary": known.vocabulary,
                "facts": {**facts, "length_counts": list(known.facts.length_counts)},
            }  # fmt: skip
            files.write_json(folder / FACTS, content)
            if known.facts.vectors is not None:
                np.save(folder / VECTORS, known.facts.vectors)
            block = record["config"]["model"]
            if MODELS[block["class"]].block.of(sizes(block), "model").made_of_texts:
                np.savez_compressed(folder / TEXTS, texts=known.facts.texts)
            for seed, path in found.items():
                files.write_bytes(folder / f"seed-{seed}.json", path.read_bytes())
                files.write_bytes(folder / f"seed-{seed}.safetensors", path.with_name(MODEL).read_bytes())
            prepared.seal(folder)
        done.append(str(key))
    return done


def _unpacked(folder: Path) -> Known:
    content = files.read_json(folder / FACTS)
    vectors = np.load(folder / VECTORS, allow_pickle=False) if (folder / VECTORS).exists() else None
    texts = np.load(folder / TEXTS, allow_pickle=False)["texts"] if (folder / TEXTS).exists() else None
    facts = {**content["facts"], "length_counts": tuple(content["facts"]["length_counts"])}
    named = (content["kind"], content["dataset"], content["sha256"], content["vocabulary"])
    return Known(*named, Facts(vectors=vectors, texts=texts, **facts))
