"""Reading of generated texts, only those of the present models."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from seqflows import files, paths, records
from seqflows.errors import Problem
from seqflows.report.inputs import Results

# ``block`` is the pair or context; ``label`` the ratio, the noise or the number; given texts have no ``decoding``. In
# the block "numbers" the text is the statistics.
COLUMNS = (
    "name", "run", "dataset", "seed", "block", "label", "decoding", "text", "model_sha256", "config_hash",
    "train_revision", "device",
)  # fmt: skip
SIGNATURE = ("seed", "model_sha256", "config_hash", "train_revision", "device")
Row = Mapping[str, Any]


def rows(results: Results, block: Row) -> list[dict[str, Any]]:
    """Every line of each text of a table, as in its file."""
    return [row for name in block["texts"] for row in _of_text(results, name)]


def _of_text(results: Results, name: str) -> list[dict[str, Any]]:
    header, body = read(results, name)
    entry = results.params.texts[name]
    shared = {"name": name, "run": entry["run"], "dataset": entry["dataset"]} | {key: header[key] for key in SIGNATURE}
    found, title = [], ""
    for line in filter(None, body.split("\n")):
        if line.startswith("## "):
            title = line[3:]
            continue
        parts = (part.strip() for part in line.split("|", 2))
        found.append(shared | {"block": title} | dict(zip(("label", "decoding", "text"), parts, strict=True)))
    return found


def read(results: Results, name: str) -> tuple[dict[str, str], str]:
    """Header and lines of a text, checked to be of the present settings and the run's present model.

    A kept text may be of earlier settings, which `outdated` reports.

    Raises:
        Problem: missing file, changed content, or other settings or another model.
    """
    path = records.recorded(paths.text(results.scale, name))
    again = f"run: python -m seqflows generate {results.scale}/{name}"
    if not path.exists():
        raise Problem(f"expected {path}, found none; {again}")
    head, _, body = path.read_text(encoding="utf-8").partition("\n\n")
    header = dict(line[2:].partition(": ")[::2] for line in head.splitlines() if line.startswith("# "))
    block = results.params.text(results.scale, name)
    seed = results.params.run(results.scale, block["run"])["seeds"][0]
    train = next((one.record for one in records.trained(results.scale, block["run"]) if one.seed == seed), None)
    if train is None:
        raise Problem(
            f"expected {paths.seed(results.scale, block['run'], seed) / 'train.json'}, found none; "
            f"run: python -m seqflows train {results.scale}/{block['run']}"
        )
    expected = {
        "lines_sha256": hashlib.sha256(body.encode()).hexdigest(),
        "text": name,
        "scale": results.scale,
        "seed": str(seed),
        "config_hash": files.digest(block),
        "model_sha256": train["files"][paths.MODEL],
    }
    if not paths.text(results.scale, name).exists():
        del expected["config_hash"]
    for key, wanted in expected.items():
        if header.get(key) != wanted:
            raise Problem(f"expected {path} with {key} {wanted}, got {header.get(key, 'none')}; {again}")
    return header, body


def outdated(results: Results, name: str) -> list[str]:
    """How a text differs from the present params.yaml: its settings, or those of its model."""
    header, _ = read(results, name)
    block = results.params.text(results.scale, name)
    run = results.params.run(results.scale, block["run"])
    trained = files.digest({part: run[part] for part in ("dataset", "model", "training")})
    found = [] if header["config_hash"] == files.digest(block) else ["written under other settings"]
    return found + ([] if header.get("train_config_hash", trained) == trained else ["of a model of other settings"])


def counts(text: str) -> dict[str, str]:
    """The statistics of a line by name, with their errors.

    >>> counts("texts 2; words 9; changed 0.25 (0.10)")
    {'texts': '2', 'words': '9', 'changed': '0.25 (0.10)'}
    """
    return dict(part.split(" ", 1) for part in text.split("; "))
