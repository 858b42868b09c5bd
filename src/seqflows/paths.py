"""Every path of the pipeline, from a key.

A key is ``<scale>/<name>``: ``demo/ptb-af_af`` is the run ``ptb-af_af`` at scale
``demo``. All paths are relative to the project's root, which is the working
directory of every stage; both engines therefore see the same strings.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

from seqflows.errors import Problem

SCALES = ("demo", "laptop", "paper")
NAME = re.compile(r"[a-z0-9][a-z0-9_-]*\Z")
RESERVED = ("speed", "texts", "compare")  # folders beside those of the runs
HUMAN = Path("human")  # what raters said, by scale
HELD = "SEQFLOWS_HELD"  # in the environment of stages for which the lock of engines is held already
SUMMARY = "summary.json"
MODEL, HISTORY, RECORD = "model.safetensors", "history.csv", "train.json"  # of a seed that is trained
MATRIX = Path(".matrix")  # what stages depend on: parts of params.yaml, a folder a scale; code and libraries


class Key(NamedTuple):
    """A stage's key.

    >>> Key.parse("demo/ptb-af_af")
    Key(scale='demo', name='ptb-af_af')
    """

    scale: str
    name: str

    @classmethod
    def parse(cls, text: str) -> Key:
        """Read ``<scale>/<name>``; raise `Problem` naming what was expected."""
        scale, slash, name = text.partition("/")
        if not slash or scale not in SCALES or not NAME.match(name):
            raise Problem(
                f"expected a key <scale>/<name> with a scale of {', '.join(SCALES)} and a name of "
                f"lower-case letters, digits, '-' and '_' (such as demo/ptb-af_af), got {text!r}"
            )
        return cls(scale, name)

    def __str__(self) -> str:
        return f"{self.scale}/{self.name}"


def raw(scale: str, dataset: str) -> Path:
    """The untouched files of a dataset as its scale uses them."""
    return Path("data/raw") / scale / dataset


def prepared(scale: str, dataset: str) -> Path:
    """Arrays, vocabulary, statistics.json and checksums.json of a dataset."""
    return Path("data/prepared") / scale / dataset


def features(scale: str, dataset: str) -> Path:
    """Features of a dataset's contexts from a pretrained encoder: an array per split, header and checksums."""
    return Path("data/features") / scale / dataset


def rewritten(scale: str, name: str) -> Path:
    """Candidates for the lines of a dataset by a generator: their lines, header and checksums."""
    return Path("data/rewritten") / scale / name


def filtered(scale: str, name: str) -> Path:
    """Which of the candidates of an entry a trained run kept: an array for each of its seeds, header and checksums."""
    return Path("data/filtered") / scale / name


def block(scale: str, stage: str, name: str) -> Path:
    """The part of params.yaml that one stage depends on."""
    return MATRIX / scale / f"{stage}-{name}.json"


def code(stage: str) -> Path:
    """The checksums of the source that one stage depends on, and the versions of its libraries."""
    return MATRIX / "code" / f"{stage}.json"


def run(scale: str, name: str) -> Path:
    """The folder of a run."""
    return Path("runs") / scale / name


def train(scale: str, name: str) -> Path:
    """The outputs of training: one folder per seed."""
    return run(scale, name) / "train"


def seed(scale: str, name: str, number: int) -> Path:
    """`MODEL`, `HISTORY` and `RECORD` of one seed."""
    return train(scale, name) / f"seed-{number}"


def weights(scale: str, name: str) -> Path:
    """The weights of a run, to be used without its data."""
    return Path("weights") / scale / name


def metrics(scale: str, name: str) -> Path:
    """The metrics of a run, sealed by their sha256."""
    return run(scale, name) / "metrics.json"


def summary(scale: str, name: str) -> Path:
    """The main number of a run as `dvc metrics` reads it."""
    return run(scale, name) / SUMMARY


def evaluation(scale: str, name: str) -> Path:
    """Scores of each sequence, samples, and data of figures."""
    return run(scale, name) / "evaluation"


def speed(scale: str, name: str) -> Path:
    """Generation times: the only files that measure time."""
    return Path("runs") / scale / "speed" / f"{name}.csv"


def text(scale: str, name: str) -> Path:
    """The texts of a model of language, with a header of their origin."""
    return Path("runs") / scale / "texts" / f"{name}.txt"


def comparison(scale: str, table: str) -> Path:
    """What is known only from the texts of all systems of a table: scores, intervals, p-values, sheets for raters."""
    return Path("runs") / scale / "compare" / table


def compared(scale: str, table: str) -> Path:
    """The numbers of a comparison, sealed by their sha256."""
    return comparison(scale, table) / "comparison.json"


def raters_key(scale: str, table: str, name: str) -> Path:
    """Which system is A and which B in each pair of a draw for raters, sealed as well."""
    return comparison(scale, table) / f"{name}.key.json"


def raters_page(scale: str, table: str, name: str) -> Path:
    """The page of a draw for raters, which has its pairs and gives a csv of verdicts."""
    return comparison(scale, table) / f"{name}.html"


def judged(scale: str, name: str) -> Path:
    """The verdicts of raters on a draw, which people put there."""
    return HUMAN / scale / f"{name}.csv"


def results(scale: str) -> Path:
    """The folder of a scale's tables, figures and audit."""
    return Path("results") / scale


def kept(path: Path) -> Path:
    """The path of a speed, a text or a comparison's file that `keep` puts beside the results.

    >>> print(kept(speed("laptop", "ptb")))
    results/laptop/speed/ptb.csv
    """
    return results(path.parts[1]).joinpath(*path.parts[2:])


def record(scale: str, name: str) -> Path:
    """The kept record of a run, one file."""
    return results(scale) / "runs" / f"{name}.json"


def drawn(scale: str, name: str) -> Path:
    """The kept evaluation of a run for figures and claims, one folder per seed."""
    return results(scale) / "drawn" / name


def written(scale: str, name: str) -> Path:
    """The kept texts or answers of a run's test set, which the stage ``compare`` reads, one folder per seed."""
    return results(scale) / "written" / name


def statistics(scale: str, dataset: str) -> Path:
    """A prepared dataset's statistics.json, kept beside the results."""
    return results(scale) / "datasets" / f"{dataset}.json"


def table(scale: str, name: str) -> tuple[Path, Path]:
    """A table as csv and as markdown."""
    return results(scale) / f"{name}.csv", results(scale) / f"{name}.md"


def figure(scale: str, name: str) -> tuple[Path, Path]:
    """A figure as png and as svg."""
    return results(scale) / f"{name}.png", results(scale) / f"{name}.svg"


def audit(scale: str) -> tuple[Path, Path, Path, Path]:
    """The audit as csv and as markdown, the claims as csv, and the folder of `strips`."""
    here = results(scale)
    return here / "audit.csv", here / "audit.md", here / "claims.csv", here / "verdict"


def strips(scale: str, paper: str) -> tuple[Path, Path]:
    """The picture of a paper's cells, as png and svg."""
    folder = audit(scale)[-1]
    return folder / f"{paper}.png", folder / f"{paper}.svg"


def witnesses() -> Path:
    """The page of the witnesses, which belongs to no scale."""
    return Path("results/witness.md")


def page(scale: str) -> Path:
    """The page of everything."""
    return results(scale) / "index.html"


def track(scale: str) -> Path:
    """The listing of the last tracking's content of the store."""
    return results(scale) / "track.json"


def checkpoints(digest: str) -> Path:
    """Checkpoints of one (scale, key, seed, config, data, code); outside both engines."""
    return Path(os.environ.get("SEQFLOWS_CHECKPOINTS", "checkpoints")) / digest


def made(scale: str, stage: str, name: str) -> Path:
    """The record of how a key was made; outside both engines."""
    return Path(".made") / scale / f"{stage}-{name}.json"


def lock(stage: str, key: Key | None = None) -> Path:
    """The lock that a stage holds while it runs, for its key if it has one."""
    return Path(".locks") / f"{'-'.join([stage, *(key or ())])}.lock"
