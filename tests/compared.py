"""A small project of question generation: a prepared dataset of English questions, and what some runs wrote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from seqflows import files, paths
from seqflows.data import prepared
from seqflows.data.prepared import Contexts, Split
from seqflows.params import Params
from seqflows.textscores import meteor

SCALE, TABLE = "demo", "own-questions"
SPECIAL = ["<pad>", "<unk>", "<s>", "</s>"]
NAMES = ("marie curie", "isaac newton", "ada lovelace", "alan turing", "emmy noether", "kurt gödel")
PLACES = ("paris", "london", "vienna", "warsaw", "berlin", "the old town of rome")
VERBS = ("lived", "worked", "died", "taught")
RUNS = ("base", "flow", "words")
SHEET = "sheet1"
BLOCK = {
    "seeds": [0], "model": {"class": "encoder_decoder"}, "evaluation": {"beam": 2},
    "training": {"epochs": 1, "batch_size": 8, "learning_rate": 0.1},
}  # fmt: skip


def questions(count: int, seed: int = 0) -> list[tuple[list[str], list[str], tuple[int, int]]]:
    """Words of a question, of its paragraph, and the place of the answer among these."""
    rng, found = np.random.default_rng(seed), []
    for _ in range(count):
        name, place, verb, year = (str(rng.choice(some)) for some in (NAMES, PLACES, VERBS, range(1700, 1950)))
        before = f"as everyone knows , {name} {verb} in".split()
        context = [*before, *place.split(), *f"in the year {year} , as letters show .".split()]
        asked = f"where was it that {name} {verb} in {year} ?".split()
        found.append((asked, context, (len(before), len(before) + len(place.split()))))
    return found


def split(some: Sequence[tuple[list[str], list[str], tuple[int, int]]], known: Mapping[str, int], name: str) -> Split:
    """A split of such questions, a paragraph each."""
    words = [word for _, context, _ in some for word in context]
    sizes = np.array([len(context) for _, context, _ in some])
    contexts = Contexts(
        np.array([known[word] for word in words], dtype=np.int32), sizes.astype(np.int64),
        np.array([f"{name} {place}" for place in range(len(some))]), np.arange(len(some), dtype=np.int32),
        np.stack([0 * sizes, sizes], 1).astype(np.int32), np.array([answer for *_, answer in some], dtype=np.int32),
        np.array([f"{name}-{place}" for place in range(len(some))]),
    )  # fmt: skip
    asked = [[*(known[word] for word in words), SPECIAL.index("</s>")] for words, *_ in some]
    return Split(
        "pairs", np.array([len(ids) for ids in asked]), np.array([i for ids in asked for i in ids], dtype=np.int32),
        contexts=contexts,
    )  # fmt: skip


def write_data(count: int = 60, name: str = "asked", scale: str = SCALE) -> list[list[str]]:
    """Write a prepared dataset of ``count`` test questions; the words of these."""
    parts = {part: questions(count if part == "test" else 4, seed) for seed, part in enumerate(prepared.SPLITS)}
    every = {word for some in parts.values() for asked, context, _ in some for word in (*asked, *context)}
    vocabulary = [*SPECIAL, *sorted(every)]
    known = {word: place for place, word in enumerate(vocabulary)}
    splits = {part: split(some, known, part) for part, some in parts.items()}
    statistics = {"kind": "pairs", "dataset": name, "max_length": 20, "outputs": len(vocabulary)}
    statistics |= {"window": 30, "source": "own"}
    vectors = np.ones((len(vocabulary), 2), dtype=np.float32)
    prepared.save(paths.prepared(scale, name), vocabulary, splits, statistics, vectors)
    return [asked for asked, *_ in parts["test"]]


def written(asked: Sequence[Sequence[str]], rate: float, seed: int) -> list[str]:
    """Texts that have another word in the place of a share ``rate`` of those of the questions."""
    rng, words = np.random.default_rng(seed), sorted({word for one in asked for word in one})
    return [" ".join(str(rng.choice(words)) if rng.random() < rate else word for word in one) for one in asked]


def write_run(
    name: str, texts: Mapping[int, Sequence[str]], dataset: str = "asked", scale: str = SCALE, **changes: Any
) -> None:
    """metrics.json and texts.json of a run, whose seeds wrote ``texts``."""
    folder = paths.evaluation(scale, name)
    sha256 = files.read_json(paths.prepared(scale, dataset) / "checksums.json")["sha256"]
    rows = []
    for seed, some in texts.items():
        asked = [{"id": f"test-{place}", "hypothesis": text} for place, text in enumerate(some)]
        files.write_json(folder / f"seed-{seed}" / "texts.json", {"questions": asked})
        rows.append({
            "seed": seed, "metric": "nll", "value": 3.0 + seed / 10, "unit": "nats/word", "samples": 0,
            "standard_error": 0.1, "sequences": len(some), "dataset": dataset, "dataset_sha256": sha256,
            "revision": "r1", "train_revision": "r1", "config_hash": files.digest(scored(name)), "device": "cpu",
            **changes,
        })  # fmt: skip
    listed = {path.relative_to(folder).as_posix(): files.sha256(path) for path in sorted(folder.rglob("*.json"))}
    content = {
        "run": name,
        "scale": scale,
        "reproduces": "tang2021",
        "dataset": dataset,
        "metrics": rows,
        "files": listed,
    }
    files.write_json(paths.metrics(scale, name), files.sealed(content))


def scored(name: str) -> dict[str, Any]:
    """The settings of a run that its numbers depend on."""
    return {part: BLOCK.get(part) for part in ("model", "training", "evaluation")} | {"dataset": "asked"}


def matrix(
    runs: Sequence[str] | Mapping[str, str] = RUNS, *, table: str = TABLE, human: Mapping[str, list[str]] | None = None,
    source: str = "embedded-questions", **settings: int,
) -> Params:  # fmt: skip
    """A dataset, some runs on it, a table of them, by row if they are a mapping, and its comparison with sheets."""
    rows = dict(runs) if isinstance(runs, Mapping) else dict(zip(runs, runs, strict=True))
    data = {"kind": "pairs", **{scale: {"source": source} for scale in paths.SCALES}}
    each = {"reproduces": "tang2021", "dataset": "asked", **dict.fromkeys(paths.SCALES, BLOCK)}
    columns = {"BLEU4": "bleu", "Rouge-L": "rouge_l", "Meteor": "meteor"}
    cells = {row: {column: f"{run}.{metric}" for column, metric in columns.items()} for row, run in rows.items()}
    block = {"reproduces": "tang2021", "title": "Questions", "rows": cells}
    settings = {"draws": 200, "judged": 12, "examples": 3} | settings
    comparison = {"human": {SHEET: ["flow", "base"]} if human is None else human}
    comparison |= dict.fromkeys(paths.SCALES, settings)
    runs = dict.fromkeys(rows.values(), each)
    return Params(SCALE, {}, {"asked": data}, {}, runs, {}, {}, {table: block}, {}, {table: comparison})


def write_all(count: int = 60) -> dict[str, dict[int, list[str]]]:
    """The dataset, and three runs: a baseline of two seeds, a better one, and one that is much worse."""
    asked = write_data(count)
    texts = {
        "base": {0: written(asked, 0.35, 1), 1: written(asked, 0.3, 2)}, "flow": {0: written(asked, 0.2, 3)},
        "words": {0: written(asked, 0.8, 4)},
    }  # fmt: skip
    for name, some in texts.items():
        write_run(name, some)
    return texts


class Light:
    """In the place of METEOR: a text's score is the share of the reference's words that it has."""

    starts = 0

    def __enter__(self):
        Light.starts += 1
        self.known = {}
        return self

    def __exit__(self, *_):
        pass

    def statistics(self, hypothesis, reference):
        counted = np.zeros(meteor.COUNTS)
        words, wanted = hypothesis.split(), reference.split()
        both = len({*words} & {*wanted})
        counted[[0, 1, 4, 5, 21, 22]] = len(words), len(wanted), both, both, both, both
        self.known[hypothesis, reference] = counted
        return counted

    def score(self, hypotheses, references):
        return float(meteor.scores(sum(self.known[pair] for pair in zip(hypotheses, references, strict=True))))
