"""The stage ``prepare``: raw files to arrays, vocabulary, statistics and checksums."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seqflows import files, kinds, params, paths
from seqflows.config import corpora
from seqflows.data import embedded
from seqflows.data.prepared import save, verified


def run(key: paths.Key, found: params.Params | None = None) -> None:
    """Make ``data/prepared/<scale>/<dataset>/`` from ``data/raw/<scale>/<dataset>/``."""
    block = (found or params.load()).dataset(key.scale, key.name)
    prepare(block, paths.raw(key.scale, key.name), paths.prepared(key.scale, key.name), key.name)


def prepare(block: Mapping[str, Any], raw: Path, out: Path, dataset: str) -> str:
    """Prepare one dataset; return the sha256 of the written folder.

    ``train_sequences`` (and valid, test) keep the first sequences up to that number; ``max_length`` (text)
    drops longer ones. Raises `Problem` for invalid raw files.
    """
    corpora.block(block)
    raw = Path(raw)
    checksums = verified(raw, "raw folder", ("download",), "run download again")
    source = embedded.read(raw) if block["source"] in embedded.MODULES else None
    made = kinds.load(kinds.of(block["kind"]).data).prepare(block, raw, source, dataset)
    statistics = {
        **{"kind": block["kind"], "dataset": dataset, "source": block["source"], **made.statistics},
        "source_entropy": _source_entropy(source),
        "source_specification": files.read_json(raw / embedded.SPECIFICATION) if source else None,
        "raw": checksums,
    }
    for line in made.told:
        print(line, flush=True)
    return save(Path(out), made.vocabulary, made.splits, statistics, made.vectors, made.rarer, made.files)


def _source_entropy(source: embedded.Source | None) -> dict[str, float] | None:
    """The exact entropy in nats: per sequence with its length, and per symbol of E[T + 1]."""
    if source is None:
        return None
    entropy, symbols = source.entropy(), source.mean_length_plus_one()
    return {"nats_per_sequence": entropy, "mean_length_plus_one": symbols, "nats_per_symbol": entropy / symbols}
