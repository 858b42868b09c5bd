"""The ``matrix`` stage: validate params.yaml and split it into one file per stage and key; sum up each stage's code.

DVC rereads the whole of params.yaml for every stage that depends on a part of it, which for a hundred stages takes
longer than anything else in DVC. And it reads and writes the whole of dvc.lock after every stage: what each stage
depends on has to be few files. Small files and one list of checksums of a stage's code avoid both. Snakemake has the
same blocks and versions in memory and compares the sources themselves.
"""

from __future__ import annotations

import json

from seqflows import files, params, paths, stages
from seqflows.pipeline import dvc

ABSENT = "not at this scale"


def run() -> None:
    """Write what DVC's stages depend on.

    Each stage's part of params.yaml is in ``.matrix/<scale>/<stage>-<name>.json``, the checksums of its code and the
    versions of its libraries in ``.matrix/code/<stage>.json``. The stage takes no scale: no part of an unvalidated
    params.yaml enters a command or a path.
    Raises `Problem` if dvc.yaml lacks a key of params.yaml, which DVC would not make.
    """
    found = params.load()
    dvc.check(found)
    with files.replacing_folder(paths.MATRIX) as folder:
        for scale in paths.SCALES:
            (folder / scale).mkdir(exist_ok=True)
            here = found.at(scale)
            there = set(stages.every(here))
            for stage, name in stages.every(found):
                block = stages.TABLE[stage].block(here, scale, name) if (stage, name) in there else ABSENT
                if block is not None:
                    target = folder / paths.block(scale, stage, name).relative_to(paths.MATRIX)
                    target.write_text(text(block), encoding="utf-8")
        (folder / "code").mkdir()
        for stage, row in stages.TABLE.items():
            target = folder / paths.code(stage).relative_to(paths.MATRIX)
            sources = row.sources(stages.PACKAGE)
            sums = {path.relative_to(stages.PACKAGE).as_posix(): files.sha256(path) for path in sources}
            target.write_text(text({"sources": sums, "versions": row.versions()}), encoding="utf-8")


def text(block: object) -> str:
    """A block as both engines compare it."""
    return json.dumps(block, indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n"
