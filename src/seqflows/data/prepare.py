"""The stage prepare: raw files to arrays, vocabulary, statistics and checksums."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from seqflows import files, params, paths
from seqflows.config import corpora
from seqflows.data import embedded, embedded_gaussians, glove, language, polyphonic, text, tokens, words
from seqflows.data.download import CHECKSUMS
from seqflows.data.prepared import KEYS, SPLITS, Split, combined, save
from seqflows.errors import Problem

WORDS = {
    **{"split": "tokens", "min_count": 10, "shortest": 2, "longest": 12},
    **{"test_share": 0.1, "valid_tokens": 10_000, "sample_tokens": None, "seed": 0, "wide_count": None},
}
REACH = 1.25  # p(T) reaches to this multiple of the longest training or validation sequence


@dataclass
class Part:
    """One split on its way: the sequences that remain, and what was left out."""

    sequences: Any
    lengths: np.ndarray
    dropped_empty: int = 0
    dropped_long: int = 0


def run(key: paths.Key, found: params.Params | None = None) -> None:
    """Make ``data/prepared/<scale>/<dataset>/`` from ``data/raw/<scale>/<dataset>/``."""
    block = (found or params.load()).dataset(key.scale, key.name)
    prepare(block, paths.raw(key.scale, key.name), paths.prepared(key.scale, key.name), key.name)


def prepare(block: Mapping[str, Any], raw: Path, out: Path, dataset: str) -> str:
    """Prepare one dataset; return the sha256 of what was written.

    ``train_sequences`` (and valid, test) keep the first so many sequences; ``max_length`` (text)
    drops what is longer. Errors: `Problem` for whatever the raw files have that they should not.
    """
    corpora.block(block)
    raw = Path(raw)
    checksums = verify_raw(raw)
    if block["kind"] == "words":
        return _words(block, raw, Path(out), dataset, checksums)
    if block["kind"] == "language":
        return _language(block, raw, Path(out), dataset, checksums)
    read = {"text": _read_text, "music": _read_music, "vectors": _read_vectors}[block["kind"]]
    parts, vocabulary = read(block, raw)
    source = embedded.read(raw) if block["source"] in embedded.MODULES else None
    longest = _support(block, parts, source)
    splits, statistics = {}, {}
    for name in SPLITS:
        part = parts[name]
        kept = block.get(f"{name}_sequences") or len(part.lengths)
        splits[name] = _split(block["kind"], part, vocabulary, kept, source, raw / f"{name} split")
        statistics[name] = _statistics(part, splits[name])
        if statistics[name]["longest"] > longest:
            raise Problem(
                f"expected sequences of at most {longest} steps in the {name} split of {dataset}, got "
                f"{statistics[name]['longest']}, to which the length model gives no probability; set max_length"
            )
    return save(
        out,
        vocabulary,
        splits,
        {
            "kind": block["kind"],
            "dataset": dataset,
            "source": block["source"],
            "max_length": longest,
            "splits": statistics,
            "source_entropy": _source_entropy(source),
            "source_specification": files.read_json(raw / embedded.SPECIFICATION) if source else None,
            "raw": checksums,
        },
    )


def _words(block: Mapping[str, Any], raw: Path, out: Path, dataset: str, checksums: dict[str, str]) -> str:
    """Word types with their counts, split by tokens or by types; the validation split is tokens one by one."""
    options = WORDS | {key: block[key] for key in WORDS if key in block}
    found = sorted(path for path in raw.iterdir() if path.name.startswith("counts."))
    if len(found) != 1:
        raise Problem(f"expected one file counts.* in {raw}, got {len(found)}; run download again")
    read = words.read(found[0], strict=found[0].suffix != ".csv")
    kept = words.filtered(read, (options["shortest"], options["longest"]), options["min_count"], str(found[0]))
    rarer = _rarer(read, kept, options, str(found[0]))
    rng = np.random.default_rng([options["seed"], 2])
    if options["sample_tokens"] is not None:
        kept = kept._replace(counts=words.thinned(rng, kept.counts, options["sample_tokens"], "sample_tokens"))
    divide = words.split_types if options["split"] == "types" else words.split_tokens
    halves = divide(rng, kept.counts, options["test_share"], options["valid_tokens"])
    source = embedded.read(raw) if block["source"] in embedded.MODULES else None
    splits, statistics = {}, {}
    for name in SPLITS:
        places = np.flatnonzero(halves[name])
        if not len(places):
            raise Problem(
                f"expected tokens in the {name} split of {dataset}, got none; change test_share or valid_tokens"
            )
        counts = halves[name][places]
        statistics[name] = {
            "types": len(places),
            "tokens": int(counts.sum()),
            "entropy": words.entropy(counts),
            "unseen_types": int((halves["train"][places] == 0).sum()),
            "unseen_tokens": int(counts[halves["train"][places] == 0].sum()),
            "mean_length": float(counts @ [len(kept.words[n]) + 1 for n in places] / counts.sum()),
        }
        if name == "valid":
            places, counts = np.repeat(places, counts), None
        chosen = [kept.words[n] for n in places]
        symbols, lengths = words.encode(chosen)
        splits[name] = Split("words", lengths, symbols, source.log_probs(chosen) if source else None, counts)
    content = {
        **{"kind": "words", "dataset": dataset, "source": block["source"], "max_length": options["longest"] + 1},
        **{"options": options, "splits": statistics, "types": len(kept.words), "tokens": int(kept.counts.sum())},
        **({"rarer_types": len(rarer)} if rarer else {}),
        **{"entropy": words.entropy(kept.counts), "source_entropy": _source_entropy(source)},
        "source_specification": files.read_json(raw / embedded.SPECIFICATION) if source else None,
        "raw": checksums,
    }
    return save(out, words.VOCABULARY, splits, content, rarer=rarer)


def _rarer(read: words.Counts, kept: words.Counts, options: Mapping[str, Any], where: str) -> list[str]:
    """The words that pass the filter at ``wide_count`` and not at ``min_count``: no split has them, a wider V does."""
    least, wide = options["min_count"], options["wide_count"]
    if wide is None:
        return []
    if wide >= least:
        raise Problem(f"expected wide_count below min_count ({least}), got {wide}; lower it or leave it out")
    wider = words.filtered(read, (options["shortest"], options["longest"]), wide, where)
    return wider.words[len(kept.words) :]


def _language(block: Mapping[str, Any], raw: Path, out: Path, dataset: str, checksums: dict[str, str]) -> str:
    """Token sequences of one length T, and a vector for each token of the vocabulary."""
    source = None
    if block["source"] in embedded.MODULES:
        source, block = embedded.read(raw), corpora.block(block).made() | block
    length = block["length"]
    if source is not None and source.longest > length:
        raise Problem(
            f"expected length of at least {source.longest} for the embedded source in {raw}, got {length}: cutting its "
            "sequences would falsify the known probabilities; run download again"
        )
    corpus = language.read(block["source"], raw)
    parts = language.parts(block, corpus, raw)
    known = language.vocabulary(block, parts, source, raw)
    embedding = language.embedding(block, known, raw)
    splits, statistics = {}, {}
    for name, part in parts.items():
        ids = tokens.encode(part.sequences, known, length)
        log_probs = _log_probs(source, part.sequences, raw / f"{name} split")
        splits[name] = Split("language", np.full(len(ids), length), ids.ravel(), log_probs)
        whole = Part(part.sequences, np.full(part.kept, length), part.dropped_empty)
        particular = language.statistics(part, ids, known, embedding)
        particular["share_within_limit"] = 1 - particular["share_cut"]
        statistics[name] = _statistics(whole, splits[name]) | particular
    vectors = embedding.vectors
    content = {
        **{"kind": "language", "dataset": dataset, "source": block["source"], "max_length": length},
        **{"text": corpus.unit, "length": length, "dimensions": vectors.shape[1], "vocabulary": len(known)},
        **{"splits": statistics, "repeated": corpus.repeated, "share_with_vector": float(embedding.known.mean())},
        **{"mean": float(vectors.mean(dtype=np.float64)), "deviation": float(vectors.std(dtype=np.float64))},
        **{"smallest_distance": glove.smallest_distance(vectors), "source_entropy": _source_entropy(source)},
        "source_specification": files.read_json(raw / embedded.SPECIFICATION) if source else None,
        "raw": checksums,
    }
    return save(out, known, splits, content, vectors)


def verify_raw(raw: Path) -> dict[str, str]:
    """The checksums of a raw folder, after comparing every file with them."""
    if not raw.is_dir():
        key = "/".join(raw.parts[-2:])
        raise Problem(f"expected the raw folder {raw}, found none; run: python -m seqflows download {key}")
    listed = files.read_json(raw / CHECKSUMS)
    if listed.get("sha256") != combined(listed.get("files", {})):
        raise Problem(f"expected {raw / CHECKSUMS} as download wrote it, got other content; run download again")
    for name, expected in listed["files"].items():
        found = files.sha256(raw / name) if (raw / name).is_file() else "no file"
        if found != expected:
            raise Problem(f"expected {raw / name} with sha256 {expected}, got {found}; run download again")
    return listed["files"]


def _read_text(block: Mapping[str, Any], raw: Path) -> tuple[dict[str, Part], list[str]]:
    limit = block.get("max_length")
    parts, characters = {}, []
    for name in SPLITS:
        path = raw / f"{name}.txt"
        sentences, empty = text.read(path)
        if name == "train":  # of all training text, so that no limit changes the vocabulary
            characters = text.vocabulary(sentences)
        lengths = np.array([len(sentence) for sentence in sentences])
        within = np.ones(len(lengths), bool) if limit is None else lengths <= limit
        if not within.any():
            raise Problem(
                f"expected sentences of at most {limit} characters in {path}, got only longer ones (the shortest has "
                f"{lengths.min()}); raise max_length"
            )
        kept = [sentence for sentence, keep in zip(sentences, within, strict=True) if keep]
        parts[name] = Part(kept, lengths[within], empty, int((~within).sum()))
    return parts, characters


def _read_music(block: Mapping[str, Any], raw: Path) -> tuple[dict[str, Part], dict[str, int]]:
    found = sorted(path for path in raw.iterdir() if path.suffix in (".mat", ".pickle"))
    if len(found) != 1:
        raise Problem(f"expected one .mat or .pickle file in {raw}, got {len(found)}; run download again")
    pieces = polyphonic.read(found[0])
    parts = {name: Part(pieces[name], np.array([len(piece) for piece in pieces[name]])) for name in SPLITS}
    return parts, {"low": polyphonic.LOW, "high": polyphonic.HIGH}


def _read_vectors(block: Mapping[str, Any], raw: Path) -> tuple[dict[str, Part], dict[str, Any]]:
    path = raw / embedded_gaussians.FILE
    parts = {}
    with np.load(path, allow_pickle=False) as arrays:
        for name in SPLITS:
            points = arrays[name] if name in arrays else np.zeros(0)
            if points.ndim != 2 or not len(points) or not np.isfinite(points).all():
                raise Problem(
                    f"expected finite points (N, D) as {name} in {path}, got {points.shape}; run download again"
                )
            parts[name] = Part(points.astype(np.float32), np.ones(len(points), dtype=np.int64))
    return parts, {}


def _support(block: Mapping[str, Any], parts: dict[str, Part], source: embedded.Source | None) -> int:
    """The end of the support of p(T): ``max_length``, the embedded source's longest, or 1.25 x the longest.

    Taken before any ``*_sequences`` limit, so that all such subsets share it. Music always takes
    the multiple, as the paper's code does.
    """
    if block["kind"] == "vectors":
        return 1
    limit = block.get("max_length")
    if source is not None and limit is not None and limit < source.longest:
        raise Problem(
            f"expected max_length of at least {source.longest} for source: {block['source']}, got {limit}: dropping "
            "its longest sequences would falsify the known probabilities; raise it or leave it out"
        )
    if block["kind"] == "text" and (limit is not None or source is not None):
        return limit or source.longest
    return int(REACH * max(parts["train"].lengths.max(), parts["valid"].lengths.max()))


def _split(kind: str, part: Part, vocabulary: Any, kept: int, source: embedded.Source | None, where: Path) -> Split:
    """Encode the first ``kept`` sequences, with the embedded source's log-probability of each."""
    sequences = part.sequences[:kept]
    known = _log_probs(source, sequences, where)
    if kind == "text":
        symbols = text.encode(sequences, vocabulary, where)
    else:
        symbols = np.concatenate(sequences) if kind == "music" else sequences
    return Split(kind, part.lengths[:kept], symbols, known)


def _log_probs(source: embedded.Source | None, sequences: Any, where: Path) -> np.ndarray | None:
    """(N,) the embedded source's log-probabilities, nats; a sequence that it cannot make is a `Problem`."""
    if source is None:
        return None
    known = source.log_probs(sequences)
    if not np.isfinite(known).all():
        place = int(np.flatnonzero(~np.isfinite(known))[0])
        raise Problem(
            f"expected only sequences that the embedded source can make in {where}, got another as number {place}; "
            "run download again"
        )
    return known


def _statistics(part: Part, split: Split) -> dict[str, Any]:
    """Counts of a split: ``kept`` within the limit, ``sequences`` of them written."""
    kept = len(part.lengths)
    counts = {
        "sequences": len(split),
        "symbols": int(split.lengths.sum()),
        "longest": int(split.lengths.max()),
        "shortest": int(split.lengths.min()),
        "mean_length": float(split.lengths.mean()),
        "kept": kept,
        "dropped_long": part.dropped_long,
        "dropped_empty": part.dropped_empty,
        "share_within_limit": kept / (kept + part.dropped_long),
    }
    if split.kind == "music":
        counts["notes_per_step"] = float(split.symbols.sum(dtype=np.int64) / len(split.symbols))
        counts["silent_steps"] = int((~split.symbols.reshape(-1, KEYS).any(axis=1)).sum())
    return counts


def _source_entropy(source: embedded.Source | None) -> dict[str, float] | None:
    """Exact, in nats: a sequence with its length, and a symbol of E[T + 1]."""
    if source is None:
        return None
    entropy, symbols = source.entropy(), source.mean_length_plus_one()
    return {"nats_per_sequence": entropy, "mean_length_plus_one": symbols, "nats_per_symbol": entropy / symbols}
