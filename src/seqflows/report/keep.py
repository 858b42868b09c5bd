"""``keep <scale>``: the small files of a scale's runs beside its tables, where they are committed.

Models and samples stay out; metrics.json, and each seed's history.csv and train.json, are what a reader of a table
needs to see how a number came about.
"""

from __future__ import annotations

import shutil

from seqflows import files, paths
from seqflows.errors import Problem
from seqflows.report.inputs import matrix, seed_folders

SMALL = ("history.csv", "train.json")


def run(scale: str) -> list[str]:
    """Copy the records of every run that has numbers to results/<scale>/runs/<run>/; return their names."""
    made = [name for name in matrix().runs if paths.metrics(scale, name).exists()]
    if not made:
        raise Problem(f"expected runs with metrics.json in {paths.run(scale, '*')}, found none; evaluate some first")
    for name in made:
        with files.replacing_folder(paths.results(scale) / "runs" / name) as folder:
            shutil.copyfile(paths.metrics(scale, name), folder / "metrics.json")
            for seed in seed_folders(paths.train(scale, name)):
                (folder / seed.name).mkdir()
                for small in SMALL:
                    shutil.copyfile(seed / small, folder / seed.name / small)
    return made
