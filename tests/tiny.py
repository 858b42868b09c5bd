"""A project of a few sequences in a temporary folder, for the tests of training and evaluation."""

from pathlib import Path

import numpy as np
import yaml

from seqflows import paths
from seqflows.data import prepared
from seqflows.data.prepared import Split
from seqflows.data.readers import lexicon

LATENT = {
    "class": "latent_sequence",
    **{"layers": 1, "latent": 2, "embedding": 6, "width": 6, "depth": 1, "flow_width": 4, "position": 3},
}
LSTM = {"class": "recurrent_baseline", "embedding": 6, "width": 6, "depth": 1, "position": 3, "dropout": 0.2}
TOY = {"class": "flow_density", "layers": 1, "flow_width": 4}
STATE_SPACE = {"class": "state_space", "state": 2, "proposals": 3, "embedding": 3, "units": 4, "width": 4}
GRU = {"class": "gru_baseline", "state": 4}
TRAINING = {
    **{"epochs": 3, "batch_size": 4, "learning_rate": 0.01, "clip": 1.0, "samples": 2},
    **{"kl_free_epochs": 0.5, "kl_ramp_epochs": 1, "patience": 1},
}
EVALUATION = {"samples": 6, "at": [1, 3], "headline": 3, "chunk": 64, "generate": 3}
WORDS = {
    **{"trajectories": [1, 2, 4], "sets": 3, "samples": 6, "types": 20, "generated": 30},
    **{"gap_words": 10, "gap_samples": 4, "gap_sets": [2, 5], "ngrams": [2]},
}


def run(dataset, model, training=None, evaluation=None, seeds=(0,)):
    """A run's block: the same at every scale."""
    block = {
        "seeds": list(seeds),
        "model": model,
        "training": {**TRAINING, **(training or {})},
        "evaluation": {**(WORDS if dataset == "words" else EVALUATION), **(evaluation or {})},
    }
    return {"reproduces": "ziegler2019", "dataset": dataset, **dict.fromkeys(paths.SCALES, block)}


RUNS = {
    "text-latent": run("text", LATENT, evaluation={"exports": ["prior_grid"]}),
    "text-lstm": run(
        "text",
        LSTM,
        {"optimizer": "sgd", "learning_rate": 1.0, "kl_free_epochs": 0, "kl_ramp_epochs": 0},
        {"exports": ["conditionals"]},
    ),
    "music-latent": run("music", LATENT, {"batch_size": 1, "accumulate": 3, "samples": 1}),
    "points-flow": run("points", TOY, evaluation={"exports": ["density_grid"]}),
    "words-state": run("words", STATE_SPACE, {"drawn": 12, "samples": 1, "kl_free_epochs": 0, "kl_ramp_epochs": 0}),
    "words-gru": run("words", GRU, {"drawn": 12, "kl_free_epochs": 0, "kl_ramp_epochs": 0}),
}


def matrix(runs=None, compute=None):
    """The whole of a params.yaml."""
    settings = {"device": "cpu", "threads": 1, "precision": "fp32", **(compute or {})}
    runs = RUNS if runs is None else runs
    embedded = {
        "text": {"source": "embedded-text", "words": [1, 3], "lexicon": 8},
        "music": {"source": "embedded-chords", "lengths": [4, 6], "states": 4},
        "points": {"source": "embedded-gaussians"},
    }
    sizes = {"seed": 1, "train": 12, "valid": 5, "test": 6}
    kinds = (("text", "text"), ("music", "music"), ("points", "vectors"))
    words = {"source": "embedded-words", "seed": 1, "tokens": 60, "stems": 4, "min_count": 1, "valid_tokens": 5}
    speed = {"runs": list(runs)[:1], **{key: {"lengths": [2, 5], "repeats": 2} for key in paths.SCALES}}
    return {
        "scale": "demo",
        "scales": {key: {"compute": settings, "tracking": "files"} for key in paths.SCALES},
        "datasets": {
            name: {"kind": kind, **{key: {**embedded[name], **sizes} for key in paths.SCALES}} for name, kind in kinds
        }
        | {"words": {"kind": "words", **dict.fromkeys(paths.SCALES, words)}},
        "features": {},
        "runs": runs,
        "speeds": {"tiny": speed},
        "texts": {},
        "tables": {},
        "figures": {},
        "comparisons": {},
    }


def write_matrix(folder: Path, runs=None, compute=None) -> None:
    (folder / "params.yaml").write_text(yaml.safe_dump(matrix(runs, compute), sort_keys=False))


def split(kind: str, count: int, rng, known: bool) -> Split:
    if kind == "vectors":
        points = rng.standard_normal((count, 2)).astype(np.float32)
        log_prob = -0.5 * (points.astype(float) ** 2).sum(1) - np.log(2 * np.pi)
        return Split(kind, np.ones(count, int), points, log_prob if known else None)
    lengths = rng.integers(9, 13, count)
    total = int(lengths.sum())
    symbols = (rng.random((total, 88)) < 0.05) if kind == "music" else rng.integers(0, 4, total)
    # The uniform source over 4 symbols and 4 lengths.
    log_prob = -np.log(4) * (lengths + 1) if known else None
    return Split(kind, lengths, symbols.astype(np.uint8), log_prob)


WORDS_COUNTED = {"the": (9, 2), "of": (6, 1), "and": (4, 1), "to": (3, 0), "then": (2, 1), "tho": (0, 1)}


def words(known: bool) -> dict[str, Split]:
    """Some words with their counts in both halves; the validation half is tokens."""
    splits = {}
    for part, which in (("train", 0), ("test", 1), ("valid", 1)):
        counts = {word: both[which] for word, both in WORDS_COUNTED.items() if both[which]}
        symbols, lengths = lexicon.encode(list(counts))
        log_prob = np.full(len(counts), -np.log(len(WORDS_COUNTED))) if known else None
        weights = None if part == "valid" else np.array(list(counts.values()))
        splits[part] = Split("words", lengths, symbols, log_prob, weights)
    return splits


def project(folder: Path, runs=None, compute=None, scale: str = "demo", known: bool = True) -> None:
    """params.yaml and the prepared data of four datasets."""
    write_matrix(folder, runs, compute)
    entropy = float(np.log(len(WORDS_COUNTED)))
    known_words = {"nats_per_sequence": entropy, "mean_length_plus_one": 4.0, "nats_per_symbol": entropy / 4}
    about = {"kind": "words", "dataset": "words", "max_length": 13, "source_entropy": known_words if known else None}
    prepared.save(folder / paths.prepared(scale, "words"), lexicon.VOCABULARY, words(known), about)
    for name, kind in (("text", "text"), ("music", "music"), ("points", "vectors")):
        rng = np.random.default_rng(7)
        with_source = known and kind != "music"
        splits = {part: split(kind, n, rng, with_source) for part, n in (("train", 12), ("valid", 5), ("test", 6))}
        entropy = {"nats_per_sequence": 11.5 * np.log(4), "mean_length_plus_one": 11.5, "nats_per_symbol": np.log(4)}
        if kind == "vectors":
            value = 1 + np.log(2 * np.pi)
            entropy = {"nats_per_sequence": value, "mean_length_plus_one": 1.0, "nats_per_symbol": value}
        statistics = {
            "kind": kind,
            "dataset": name,
            "max_length": 1 if kind == "vectors" else 15,
            "source_entropy": entropy if with_source else None,
        }
        prepared.save(folder / paths.prepared(scale, name), list("ab c") if kind == "text" else {}, splits, statistics)


class Cut:
    """Asks to stop each time after a few questions."""

    left = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    @property
    def reason(self):
        self.left -= 1
        return "a test" if self.left < 0 else None
