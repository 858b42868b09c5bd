"""``keep <scale>``: the records of a scale's runs, speeds, texts and datasets beside its tables, to be committed.

Models, samples and data stay out; metrics.json, and each seed's history.csv and train.json, are what a reader of a
table needs to see how a number came about (`records.keep` puts them in one file a run), and a dataset's
statistics.json, with its sha256, what it was: a number of data that a dataset no longer has is known by that.
"""

from __future__ import annotations

from seqflows import files, paths, records
from seqflows.errors import Problem
from seqflows.report.inputs import matrix


def run(scale: str) -> list[str]:
    """Copy the records of all runs that have numbers, and the statistics of prepared data; return the names of both."""
    known = matrix()
    made = [name for name in known.runs if paths.metrics(scale, name).exists()]
    data = [name for name in known.datasets if (paths.prepared(scale, name) / "statistics.json").exists()]
    if not made and not data:
        raise Problem(
            f"expected runs with metrics.json in {paths.run(scale, '*')} or datasets in {paths.prepared(scale, '*')}, "
            "found none; evaluate some first"
        )
    for name in made:
        records.keep(scale, name)
    written = [paths.speed(scale, name) for name in known.speeds] + [paths.text(scale, name) for name in known.texts]
    for path in written:
        if path.exists():
            files.write_text(paths.kept(path), path.read_text(encoding="utf-8"))
    for name in data:
        found = files.read_json(paths.prepared(scale, name) / "statistics.json")
        whole = files.read_json(paths.prepared(scale, name) / "checksums.json")["sha256"]
        files.write_json(paths.statistics(scale, name), found | {"sha256": whole})
    return made + data
