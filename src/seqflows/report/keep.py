"""``keep <scale>``: copy the records of runs, speeds, texts, comparisons and datasets beside the tables.

Models, samples and data are not kept. metrics.json, and each seed's history.csv and train.json, document how a number
was made (`records.keep` puts them in one file per run, with the NLL of each sequence); a dataset's statistics.json,
with its sha256, identifies the data, so that numbers of earlier data are detected. Of an evaluation's files the small
ones in `DRAWN` are kept; the grids of Figures 5 and 6 are not.
"""

from __future__ import annotations

import shutil
from typing import Any

from seqflows import files, paths, records
from seqflows.errors import Problem
from seqflows.params import sheets
from seqflows.report import gaps
from seqflows.report.inputs import Results, matrix, packed, seed_folders

DRAWN = {"conditionals": "conditionals.json", "gap_lengths": "gaps.csv", "entropies": "gaps.csv"}  # by kind of figure


def run(scale: str) -> list[str]:
    """Copy the records of all runs with numbers, and the statistics of prepared data; return the names of both."""
    known = matrix()
    made = [name for name in known.runs if paths.metrics(scale, name).exists()]
    data = [name for name in known.datasets if (paths.prepared(scale, name) / "statistics.json").exists()]
    if not made and not data:
        raise Problem(
            f"expected runs with metrics.json in {paths.run(scale, '*')} or datasets in {paths.prepared(scale, '*')}, "
            "found none; evaluate some first"
        )
    for name in made:
        records.keep(scale, name, _evaluated(Results(known, scale), name))
    written = [paths.speed(scale, name) for name in known.speeds] + [paths.text(scale, name) for name in known.texts]
    for name, entry in known.comparisons.items():
        keys = [paths.raters_key(scale, name, sheet) for sheet in sheets(entry)]
        written += [paths.compared(scale, name), *keys]
    for path in written:
        if path.exists():
            files.write_text(paths.kept(path), path.read_text(encoding="utf-8"))
    for name in data:
        found = files.read_json(paths.prepared(scale, name) / "statistics.json")
        whole = files.read_json(paths.prepared(scale, name) / "checksums.json")["sha256"]
        files.write_json(paths.statistics(scale, name), found | {"sha256": whole})
    return made + data


def _evaluated(results: Results, run: str) -> dict[str, Any]:
    """The kept form of a run's scores, and the sha256 of its small files, which are copied beside the record."""
    figures = [block for block in results.params.figures.values() if block.get("runs", [None])[0] == run]
    texts = {}
    for name in {DRAWN[block["kind"]] for block in figures if block["kind"] in DRAWN}:
        for seed in seed_folders(paths.evaluation(results.scale, run)):
            if (seed / name).exists():
                path = results.verified(run, seed / name)
                texts[f"{seed.name}/{name}"] = gaps.kept(gaps.read(path)) if name == "gaps.csv" else path.read_text()
    shutil.rmtree(paths.drawn(results.scale, run), ignore_errors=True)
    for name, text in texts.items():
        files.write_text(paths.drawn(results.scale, run) / name, text)
    scores = results.scores(run)
    found = {"scores": scores and packed(scores)}
    found["drawn"] = {name: files.sha256(paths.drawn(results.scale, run) / name) for name in sorted(texts)}
    return {name: value for name, value in found.items() if value}
