"""Tables of text: what models wrote, side by side (Tang et al. 2021, tables 1 to 3)."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from seqflows import files, paths, records
from seqflows.errors import Problem
from seqflows.report.inputs import Results, recorded
from seqflows.report.layout import NOTHING, plain, table, wide
from seqflows.report.plots.common import label
from seqflows.report.table_parts import corpus

# ``block`` is the pair or context; ``label`` the ratio, the noise or the number; given texts have no ``decoding``. Of
# the block "numbers" the text is what was counted.
COLUMNS = (
    "name", "run", "dataset", "seed", "block", "label", "decoding", "text", "model_sha256", "config_hash",
    "train_revision", "device",
)  # fmt: skip
SIGNATURE = ("seed", "model_sha256", "config_hash", "train_revision", "device")
AT_ONCE = "all steps at once"
SAME = "″"  # of a given text that stands in the first column
NUMBERS = "numbers"  # the title of the block that counts
COUNTS = ("texts", "words", "right", "changed", "perplexity", "distinct")
FIRST = {"samples": "", "interpolation": "ratio", "regeneration": "noise"}
Row = Mapping[str, Any]


def rows(results: Results, block: Row) -> list[dict[str, Any]]:
    """Every line of each text of a table, as its file has it."""
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
    """Header and lines of a text, which has to be of the present settings and of the model that the run now has.

    One that was kept beside the results may be of earlier settings; `outdated` says so.

    Raises:
        Problem: no such file, one that was changed by hand, or one of other settings or another model.
    """
    path = recorded(paths.text(results.scale, name))
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
        "model_sha256": train["files"]["model.safetensors"],
    }
    if not paths.text(results.scale, name).exists():
        del expected["config_hash"]
    for key, wanted in expected.items():
        if header.get(key) != wanted:
            raise Problem(f"expected {path} with {key} {wanted}, got {header.get(key, 'none')}; {again}")
    return header, body


def outdated(results: Results, name: str) -> list[str]:
    """How a text is not of today's params.yaml: of other settings of its own, or of a model of others."""
    header, _ = read(results, name)
    block = results.params.text(results.scale, name)
    run = results.params.run(results.scale, block["run"])
    trained = files.digest({part: run[part] for part in ("dataset", "model", "training")})
    found = [] if header["config_hash"] == files.digest(block) else ["written under other settings"]
    return found + ([] if header.get("train_config_hash", trained) == trained else ["of a model of other settings"])


def markdown(results: Results, block: Row, found: Sequence[Row]) -> str:
    """The page: for each corpus its samples, or a table for each pair or context, and whose the columns are."""
    kind = results.params.texts[block["texts"][0]]["kind"]
    lines = [f"# {block['title']}", ""]
    stale = {name: said for name in block["texts"] if (said := outdated(results, name))}
    if stale:
        listing = "; ".join(f"{name}: {', '.join(said)}" for name, said in stale.items())
        lines += [f"- **Not as params.yaml says now**: {listing}", ""]
    for dataset in dict.fromkeys(row["dataset"] for row in found):
        mine = [row for row in found if row["dataset"] == dataset]
        lines += [f"## {corpus(results, dataset, [])}", ""]
        counted = [row for row in mine if row["block"] == NUMBERS]
        mine = [row for row in mine if row["block"] != NUMBERS]
        for title, shown in _blocks(mine).items():
            lines += [] if kind == "samples" else [f"### {title[0].capitalize()}", ""]
            lines += [*(_stacked if kind == "regeneration" else _beside)(kind, shown), ""]
        lines += _numbers(counted)
    for name, own in itertools.groupby(found, key=lambda row: row["name"]):
        row = next(own)
        lines.append(
            f"- {label(row['run'])}: {row['run']}, seed {row['seed']}; model sha256 {row['model_sha256'][:12]}; "
            f"{row['device']}; {paths.text(results.scale, name)}"
        )
    return "\n".join(lines).rstrip() + "\n"


def counts(text: str) -> dict[str, str]:
    """The numbers of a line, by name, each with its error.

    >>> counts("texts 2; words 9; changed 0.25 (0.10)")
    {'texts': '2', 'words': '9', 'changed': '0.25 (0.10)'}
    """
    return dict(part.split(" ", 1) for part in text.split("; "))


def _numbers(counted: Sequence[Row]) -> list[str]:
    """A row for each model, decoding and label; of the test sequences one for all models."""
    if not counted:
        return []
    body: dict[tuple[str, ...], None] = {}
    for row in counted:
        found = counts(row["text"])
        values = (found.get(name, NOTHING) for name in COUNTS)
        body[row["label"], _heading(row) if row["decoding"] else "", *values] = None
    return [
        "### Numbers",
        "",
        "Of more texts than are shown. *right*: the share of words that come back at noise 0, each at its place;",
        "*changed*: that of words that noise replaced; *perplexity*: a word's, under a Kneser-Ney trigram of the",
        "training texts; *distinct*: the share of different texts. In brackets standard errors over texts.",
        "",
        *table(["what", "model", *COUNTS], body, left=2),
        "",
    ]


def _blocks(found: Sequence[Row]) -> dict[tuple[str, ...], list[Row]]:
    """The lines of each pair or context, of all models that were given the same texts."""
    groups: dict[tuple[str, ...], list[Row]] = {}
    for _, lines in itertools.groupby(found, key=lambda row: (row["name"], row["block"])):
        own = list(lines)
        given = (own[0]["block"], *(row["text"] for row in own if not row["decoding"]))
        groups.setdefault(given, []).extend(own)
    return groups


def _heading(row: Row) -> str:
    return label(row["run"]) + ("" if row["decoding"] == AT_ONCE else f", {row['decoding']}")


def _cell(row: Row) -> str:
    return plain(row["text"]) or "(no word)"


def _beside(kind: str, shown: Sequence[Row]) -> list[str]:
    """A column for each model and decoding, a row for each label; what was given stands in the first column."""
    columns = {(row["name"], row["decoding"]): _heading(row) for row in shown if row["decoding"]}
    given = {row["label"]: row for row in shown if not row["decoding"]}
    made = {(row["label"], row["name"], row["decoding"]): _cell(row) for row in shown if row["decoding"]}
    body = [
        (name, *(made.get((name, *column), NOTHING) for column in columns))
        for name in dict.fromkeys(k[0] for k in made)
    ]
    ends = [(name, _cell(row), *[SAME] * (len(columns) - 1)) for name, row in given.items()]
    return wide((FIRST[kind], *columns.values()), [*ends[:1], *body, *ends[1:]])


def _stacked(kind: str, shown: Sequence[Row]) -> list[str]:
    """A row for each text, for long ones: what was given, then each label's, model by model."""
    order = list(dict.fromkeys(row["label"] for row in shown))
    given = [row for row in shown if not row["decoding"]][:1]
    made = sorted((row for row in shown if row["decoding"]), key=lambda row: order.index(row["label"]))
    body, before = [], ""
    for row in [*given, *made]:
        name = "original" if not row["decoding"] else row["label"].removeprefix("noise ")
        body.append(("" if name == before else name, _heading(row) if row["decoding"] else "", _cell(row)))
        before = name
    return wide((FIRST[kind], "model", "text"), body)
