"""The stage ``rewrite``: other texts for the lines of a dataset's training contexts, by a generator.

Only lines of training are rewritten, those that may be replaced for a question at least (`lines.Passages`): never a
line of validation or test, on whose lines the generator is only tuned and measured.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch

from seqflows import compute, files, params, paths
from seqflows.config.rewrites import GENERATORS, PRINTED, TUNED, Rewriting
from seqflows.data import prepared, rewritten, subwords
from seqflows.data.lines import Passages
from seqflows.data.prepared import Dataset
from seqflows.errors import Problem
from seqflows.evaluation import loading
from seqflows.evaluation.scoring import stream
from seqflows.models.base import Model
from seqflows.rewriting import flows, measure, named, paraphrase, translation, tuning, words
from seqflows.rewriting.base import SAME, Generator


class Source(NamedTuple):
    """A trained run that a generator is made from: the model, its dataset, and what the header says of them."""

    model: Model
    dataset: Dataset
    origin: dict[str, Any]


@dataclass(frozen=True)
class Task:
    """What a generator is made from: the entry, its trained runs, and the lines.

    ``chosen`` are the training lines to rewrite, with their ``texts``; ``measured`` are lines of validation.
    """

    matrix: params.Params
    scale: str
    block: dict[str, Any]
    settings: Any
    machine: compute.Machine
    dataset: Dataset
    sources: tuple[Source, ...]
    chosen: np.ndarray
    texts: list[str]
    measured: list[str]
    seed: int

    @property
    def rng(self) -> np.random.Generator:
        """The generator's own stream."""
        return np.random.default_rng([self.seed, 1])


@dataclass(frozen=True)
class Made:
    """A generator, what the header says of its noise, and the sha256 of the files of a named model."""

    generator: Generator
    noise: dict[str, Any] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)


def run(key: paths.Key, found: params.Params | None = None) -> None:
    """Make ``data/rewritten/<scale>/<name>/`` from the prepared dataset and the runs of the entry.

    Raises `Problem` for a run that is missing or trained with other params, or of another class than the generator's.
    """
    matrix = found or params.load()
    block = matrix.rewriting(key.scale, key.name)
    settings = GENERATORS[block["generator"]].block.of(block["settings"], f"rewrites.{key.name}")
    machine = compute.prepare(matrix.compute(key.scale), key.scale, training=False)
    dataset = prepared.load(paths.prepared(key.scale, block["dataset"]))
    runs = [] if getattr(settings, "model", None) else block["runs"]
    sources = tuple(_source(matrix, key.scale, one, machine) for one in runs)
    passages = dataset.train.contexts
    train, chosen = passages.lines.texts, selected(passages, settings)
    texts = [train[line] for line in chosen]
    # A function of the dataset only, so that all generators measure the same lines and draw alike.
    seed = stream(paths.Key(key.scale, block["dataset"]), settings.seed, "rewrite")
    measured = validation(dataset.valid.contexts, settings.measured, seed)
    task = Task(matrix, key.scale, block, settings, machine, dataset, sources, chosen, texts, measured, seed)
    made = BUILDERS[block["generator"]](task)
    torch.manual_seed(seed)
    candidates = made.generator.rewrite(texts, settings.count)
    # Neither time nor revision: candidates made again have the same sha256, and what is trained on them stays valid.
    header = {
        **{"rewriting": key.name, "scale": key.scale, **block, "config_hash": files.digest(block)},
        **{"dataset_sha256": dataset.sha256, "runs": [source.origin for source in sources], "files": made.files},
        **{"lines": len(train), "free": len(rewritten.free_lines(passages)), "rewritten": len(chosen)},
        "kept_questions": unchangeable(passages),
        "exceptions": dict(made.generator.counted),
        "numbers": measure.numbers(texts, candidates, train),
        "noise": made.noise,
        "device": machine.device.type,
    }
    places = {word: place for place, word in enumerate(dataset.vocabulary)}
    rewritten.save(paths.rewritten(key.scale, key.name), chosen, candidates, places, header)
    print(f"{key}: {said(header)}", flush=True)


def said(header: Mapping[str, Any]) -> str:
    """The numbers of a header in a line."""
    numbers, counted = header["numbers"], header["exceptions"]
    parts = [
        f"{numbers['candidates']} candidates of {header['rewritten']} lines",
        f"{100 * numbers['changed']:.1f} % of tokens changed",
        f"{100 * numbers['equal']:.1f} % equal to the original",
        *(f"{count} {what}" for what, count in counted.items() if count and what != SAME),
    ]
    if noise := header["noise"]:
        parts.append(f"variance {noise['variance']:g}, {100 * noise['right']:.1f} % right at noise 0")
    return ", ".join(parts)


def selected(passages: Passages, settings: Rewriting) -> np.ndarray:
    """The training lines to rewrite, in order: a share of the free ones, drawn by the seed of the settings."""
    free = rewritten.free_lines(passages)
    size = max(1, round(settings.share * len(free))) if len(free) else 0
    return np.sort(np.random.default_rng(settings.seed).permutation(free)[:size])


def unchangeable(passages: Passages) -> int:
    """The number of questions for which no line may be replaced, so that their context stays as it is."""
    return sum(not passages.free_of(index).any() for index in range(len(passages)))


def validation(passages: Passages, count: int, seed: int) -> list[str]:
    """``count`` of the free lines of validation, or all if there are fewer, in their order."""
    free = rewritten.free_lines(passages)
    places = np.sort(np.random.default_rng(seed).permutation(free)[:count])
    return [passages.lines.texts[line] for line in places]


def _source(matrix: params.Params, scale: str, run: str, machine: compute.Machine) -> Source:
    """The trained model of a run's first seed with its dataset."""
    block = matrix.run(scale, run)
    dataset = prepared.of(matrix, scale, block["dataset"])
    seed = block["seeds"][0]
    model, record = loading.load(paths.Key(scale, run), block, seed, dataset, machine)
    origin = {
        **{"run": run, "seed": seed, "dataset": block["dataset"], **dataset.origin()},
        **{"model_sha256": record["files"][paths.MODEL], "train_config_hash": record["config_hash"]},
    }
    return Source(model, dataset, origin)


def _flow(task: Task) -> Made:
    (source,) = task.sources
    return noisy(source, task.block["generator"], task.settings, task.measured, task.seed)


def _translation(task: Task) -> Made:
    settings, systems = task.settings, []
    for source, direction in zip(task.sources, ("en-ro", "ro-en"), strict=True):
        known, got = source.dataset, source.dataset.statistics.get("direction")
        if got != direction:
            raise Problem(
                f"expected a run that translates {direction} as {source.origin['run']}, got {got}; name the runs there "
                "and back in params.yaml, from English"
            )
        path = paths.prepared(task.scale, source.origin["dataset"]) / subwords.FILE
        encoder = subwords.Encoder(path.read_bytes(), known.vocabulary, str(path))
        longest = known.statistics["window"]
        systems.append(translation.Subworded(source.model, encoder, longest, settings.beam, settings.temperature))
    return Made(translation.BackTranslation(*systems))


def _paraphrase(task: Task) -> Made:
    if task.settings.model:
        found = named.Named(task.settings, task.machine.device)
        return Made(found, files=found.files)
    (source,) = task.sources
    longest = source.dataset.statistics["window"]
    return Made(paraphrase.Paraphrase(source.model, source.dataset.vocabulary, longest, task.settings.beam))


def _neighbours(task: Task) -> Made:
    other = prepared.load(paths.prepared(task.scale, task.block["words"]))
    settings = task.settings
    return Made(words.Neighbours(other.vocabulary, other.vectors, settings.cosine, settings.rate, task.rng))


def _random_words(task: Task) -> Made:
    name, count = task.block["like"], task.settings.count
    like = rewritten.of(task.matrix, task.scale, name, task.dataset.sha256)
    if not np.array_equal(like.of, np.repeat(task.chosen, count)):
        raise Problem(
            f"expected {count} candidates of the same {len(task.chosen)} lines in {name}, got {len(like.of)} "
            f"candidates; run: python -m seqflows rewrite {task.scale}/{name} --force"
        )
    rows = [like.lines.texts[start : start + count] for start in range(0, len(like.of), count)]
    known = words.frequencies(task.dataset.train.contexts.lines.texts)
    return Made(words.RandomWords(known, edits(task.texts, rows), task.rng))


BUILDERS: dict[str, Callable[[Task], Made]] = {
    "flow": _flow,
    "flow_decoder": _flow,
    "translation": _translation,
    "paraphrase": _paraphrase,
    "neighbours": _neighbours,
    "random_words": _random_words,
    "same": lambda task: Made(words.Same()),
}


def edits(texts: Sequence[str], candidates: Sequence[Sequence[str]]) -> dict[str, list[int]]:
    """The edits of each text's candidates; of a text that stands several times, those of the first."""
    found: dict[str, list[int]] = {}
    for text, row in zip(texts, measure.changed(texts, candidates).tolist(), strict=True):
        found.setdefault(text, row)
    return found


def noisy(source: Source, name: str, settings: Any, measured: Sequence[str], seed: int) -> Made:
    """A flow with the noise of the settings, and what the measured lines say of it.

    ``right`` is the share of tokens right at noise 0, ``printed`` the share changed at the printed variance.
    """
    flows.check(source.model, name)
    if not measured:
        raise Problem(
            f"expected lines of validation that may be replaced, on which the noise of {source.origin['run']} is "
            "measured, got none; take another dataset in params.yaml"
        )
    known = source.dataset.vocabulary

    def changed(variance: float) -> float:
        torch.manual_seed(seed)
        made = flows.Flow(source.model, known, variance, settings.beam).rewrite(measured, 1)
        return measure.share(measured, made)[0]

    found = chosen_noise(settings.noise, changed)
    return Made(flows.Flow(source.model, known, found["variance"], settings.beam), found)


def chosen_noise(noise: float | str, changed: Callable[[float], float]) -> dict[str, Any]:
    """The variance and the shares of changed tokens, given or tuned by `tuning.tuned`."""
    told: dict[str, Any] = {"right": 1 - changed(0.0)}
    if noise == TUNED:
        result = tuning.tuned(changed)
        shares = dict(result.shares)
        told |= {"variance": result.variance, "within": result.within, "below_the_grid": result.below}
    else:
        shares = {float(noise): changed(float(noise))}
        told |= {"variance": float(noise)}
    if PRINTED not in shares:
        shares[PRINTED] = changed(PRINTED)
    told |= {"changed_at_printed": shares[PRINTED], "shares": {f"{one:g}": shares[one] for one in sorted(shares)}}
    return told
