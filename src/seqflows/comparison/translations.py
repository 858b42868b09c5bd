"""The translations of a table's systems: corpus BLEU on each test set, by sacrebleu's tokens and by those of Moses.

Systems of the same sentences are compared with each other; those of another direction, or of other held-out pairs, have
scores of their own beside them.

Legend: N sentences.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from seqflows import files, params, paths
from seqflows.comparison import records_of, scores, systems
from seqflows.comparison.scores import PERCENT, WORDS, Draws, Measure, Seed
from seqflows.comparison.systems import System
from seqflows.config.comparisons import Comparison
from seqflows.data import prepared
from seqflows.data.prepared import Dataset
from seqflows.data.translated import HELD_OUT, references, sources
from seqflows.errors import Problem
from seqflows.textscores import bleu

CLOSE = 1e-6  # within which sacrebleu's number and ours agree
HEADLINES = ("bleu", "bleu_short", "bleu_tokenized", "bleu_second", "bleu_held_out")


class Sentence(NamedTuple):
    """A sentence with its true translation; ``short`` says that both are within the limit of training."""

    id: str
    part: str
    source: str
    reference: str
    short: bool


class Group(NamedTuple):
    """Systems of the same sentences, and the names of the test sets; ``language`` is what they are written in."""

    sentences: list[Sentence]
    sets: list[str]
    language: str
    systems: list[System]


def sentences(dataset: Dataset) -> list[Sentence]:
    """The test sentences of a prepared dataset, then its held-out pairs."""
    limit, found = dataset.statistics["window"], []
    for split, name in ((dataset.test, None), (dataset.valid, HELD_OUT)):
        contexts = split.contexts
        short = (contexts.sizes <= limit) & (split.lengths - 1 <= limit)
        parts = [name or str(part) for part in contexts.articles]
        columns = contexts.ids, parts, sources(dataset, split), references(dataset, split), short
        found += [Sentence(str(id_), *rest, bool(flag)) for id_, *rest, flag in zip(*columns, strict=True)]
    return found


def written(path: Path, wanted: Sequence[Sentence], again: str) -> list[str]:
    """The translations of texts.json, checked to be those of the sentences, in their order."""
    try:
        read = [((one["id"], one["set"]), str(one["hypothesis"])) for one in files.read_json(path)["translations"]]
    except (KeyError, TypeError, AttributeError) as error:
        raise Problem(f"expected translations with id, set and hypothesis in {path}, got {error!r}; {again}") from None
    return systems.in_order(read, [(sentence.id, sentence.part) for sentence in wanted], "sentences", path, again)


def groups(scale: str, runs: Mapping[str, Dataset]) -> list[Group]:
    """The evaluated runs with their datasets, by the sentences that they translate."""
    found: dict[str, Group] = {}
    known: dict[str, list[Sentence]] = {}
    for run, dataset in runs.items():
        own = known.setdefault(dataset.name, sentences(dataset))
        same = files.digest([[one.id, one.part, one.source, one.reference] for one in own])
        sets, language = dataset.statistics["sets"], dataset.statistics["direction"].partition("-")[2]
        group = found.setdefault(same, Group(own, sets, language, []))

        def read(path: Path, again: str, own: list[Sentence] = own) -> list[str]:
            return written(path, own, again)

        group.systems.extend(systems.systems(scale, run, dataset, read))
    return list(found.values())


def compared(
    key: paths.Key, matrix: params.Params, runs: Sequence[str], settings: Comparison, stream: Callable[[str], int]
) -> dict[str, Any]:
    """The content of comparison.json for the evaluated runs of a table."""
    by_name = {matrix.runs[run]["dataset"]: None for run in runs}
    datasets = {name: prepared.load(paths.prepared(key.scale, name)) for name in by_name}
    found = groups(key.scale, {run: datasets[matrix.runs[run]["dataset"]] for run in runs})
    rows, intervals, pairs, facts, signatures = [], [], [], [], {}
    for group in found:
        values: dict[str, dict[Seed, Draws]] = {}
        counts, units = {}, {}
        for part, measures in measured(group).items():
            one = scores.drawn(measures, settings.draws, stream(f"bootstrap {part}"))
            values |= one
            counts |= {measure.metric: _count(group, measure.metric, part) for measure in measures}
            units |= {measure.metric: measure.unit for measure in measures}
        signatures |= check(group, values)
        for system in group.systems:
            for metric, of_seeds in values.items():
                own = of_seeds[system.run, system.seed]
                error = float(own.draws.std(ddof=1))
                rows.append(records_of.record(system, metric, own.value, error, units[metric], counts[metric]))
            first = [text for text, one in zip(system.texts, group.sentences, strict=True) if one.part == group.sets[0]]
            rows.append(
                records_of.record(system, "different", len(set(first)) / len(first), None, scores.SHARE, len(first))
            )
            facts.append({"run": system.run, "seed": system.seed, "empty": sum(map(_empty, system.texts)), "barred": 0})
        intervals += scores.intervals(values)
        pairs += scores.pairs(values, HEADLINES)
    first = found[0]
    main = [one for one in first.sentences if one.part == first.sets[0]]
    words = float(np.mean([len(one.reference.split()) for one in main]))
    different = len({one.reference for one in main}) / len(main)
    dataset = next(iter(datasets.values()))
    return {
        "scale": key.scale, "table": key.name, "sequences": len(main), "draws": settings.draws, "metrics": rows,
        "missing": {}, "intervals": intervals, "pairs": pairs, "systems": facts,
        "reference": {"words": words, "different": different}, "reachable": {}, "bleu": signatures["bleu"],
        "meteor": None, "bleu_tokenized": signatures["bleu_tokenized"],
        "examples": [one for group in found for one in examples(group, settings.examples, stream("examples"))],
        "trained": {"dataset": dataset.name, "train": len(dataset.train), "valid": len(dataset.valid)}, "human": [],
    }  # fmt: skip


def _empty(text: str) -> bool:
    return not text.strip()


def _count(group: Group, metric: str, part: str) -> int:
    """The number of sentences that a metric is of."""
    some = [one for one in group.sentences if one.part == part]
    return sum(one.short for one in some) if metric == "bleu_short" else len(some)


def measured(group: Group) -> dict[str, list[Measure]]:
    """The measures of each test set and of the held-out pairs, by name."""
    names = {"bleu": group.sets[0], "bleu_held_out": HELD_OUT}
    if len(group.sets) > 1:
        names["bleu_second"] = group.sets[1]
    found: dict[str, list[Measure]] = {}
    for metric, part in names.items():
        places = [place for place, one in enumerate(group.sentences) if one.part == part]
        found[part] = [Measure(metric, PERCENT, _counted(group, places, standard), bleu.scores)]
        if metric == "bleu":
            counted, short = found[part][0].statistics, np.array([group.sentences[place].short for place in places])
            kept = {seed: values * short[:, None] for seed, values in counted.items()}
            moses = _moses(group.language)
            lengths = {
                (one.run, one.seed): np.array([[len(one.texts[place].split())] for place in places])
                for one in group.systems
            }
            count = len(places)
            found[part] += [
                Measure("bleu_short", PERCENT, kept, bleu.scores),
                Measure("bleu_tokenized", PERCENT, _counted(group, places, moses), bleu.scores),
                Measure("words", WORDS, lengths, lambda sums, count=count: sums[..., 0] / count),
                Measure("brevity", scores.SHARE, counted, bleu.brevity),
            ]
    return found


def _counted(group: Group, places: Sequence[int], tokens: Callable[[str], list[str]]) -> dict[Seed, np.ndarray]:
    """BLEU's statistics (N, 10) of each system, cased, of the sentences at ``places``."""
    wanted = [tokens(group.sentences[place].reference) for place in places]
    return {
        (one.run, one.seed): np.array(
            [
                bleu.statistics(tokens(one.texts[place]), reference, cased=True)
                for place, reference in zip(places, wanted, strict=True)
            ]
        )
        for one in group.systems
    }


def _sacrebleu() -> Any:
    try:
        import sacrebleu
    except ImportError:
        raise Problem("expected the package sacrebleu for BLEU, found none; install it") from None
    return sacrebleu


def standard(text: str) -> list[str]:
    """sacrebleu's tokens 13a.

    >>> standard("It's 1,000 well-known (U.S.) dollars.")
    ["It's", '1,000', 'well-known', '(', 'U', '.', 'S', '.', ')', 'dollars', '.']
    """
    _sacrebleu()
    from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

    return Tokenizer13a()(text).split()


def _moses(language: str) -> Callable[[str], list[str]]:
    """The tokens of Moses, as of the data of Lee et al. 2018."""
    try:
        from sacremoses import MosesTokenizer
    except ImportError:
        raise Problem("expected the package sacremoses for tokenised BLEU, found none; install it") from None
    moses = MosesTokenizer(language)
    return lambda text: moses.tokenize(text, escape=False)


def check(group: Group, values: Mapping[str, Mapping[Seed, Draws]]) -> dict[str, str]:
    """sacrebleu's signatures, after comparing its numbers with ours."""
    package, moses = _sacrebleu(), _moses(group.language)
    signatures = {}
    for metric, tokenize in (("bleu", "13a"), ("bleu_tokenized", "none")):
        some = [place for place, one in enumerate(group.sentences) if one.part == group.sets[0]]
        theirs = package.BLEU(tokenize=tokenize, smooth_method="none", force=True)

        def shown(text: str, plain: bool = tokenize == "13a") -> str:
            return text if plain else " ".join(moses(text))

        for one in group.systems:
            hypotheses = [shown(one.texts[place]) for place in some]
            score = theirs.corpus_score(hypotheses, [[shown(group.sentences[place].reference) for place in some]]).score
            ours = values[metric][one.run, one.seed].value
            if abs(score - ours) > CLOSE:
                raise Problem(
                    f"expected sacrebleu's {metric} of {one.run} seed {one.seed}, {score}, got {ours}; find the mistake"
                )
        signatures[metric] = str(theirs.get_signature())
    return signatures


def examples(group: Group, count: int, seed: int) -> list[dict[str, Any]]:
    """Sentences of the first test set, drawn by the table's name, with what the first seed of each run wrote."""
    places = [place for place, one in enumerate(group.sentences) if one.part == group.sets[0]]
    drawn = np.random.Generator(np.random.PCG64(seed)).permutation(len(places))[:count]
    first: dict[str, System] = {}
    for one in group.systems:
        first.setdefault(one.run, one)
    found = []
    for place in sorted(places[number] for number in drawn.tolist()):
        sentence = group.sentences[place]
        texts = {run: one.texts[place] for run, one in first.items()}
        shown = {"before": sentence.source, "answer": "", "after": ""}
        found.append({"id": sentence.id, **shown, "reference": sentence.reference, "texts": texts})
    return found
