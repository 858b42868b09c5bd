"""The ``matrix`` stage: params.yaml, validated and cut into one file a stage and key.

DVC reads the whole of params.yaml anew for every stage that depends on a part of it, which for a hundred stages takes
longer than anything else that it does. A file of a few lines costs it nothing. Snakemake holds the same blocks in
memory.
"""

from __future__ import annotations

import json

from seqflows import files, params, paths


def run(key: paths.Key) -> None:
    """Write what each stage of a scale depends on in params.yaml to ``.matrix/<scale>/<stage>-<name>.json``."""
    matrix = params.load()
    with files.replacing_folder(paths.matrix(key.scale)) as folder:
        for stage, names in matrix.keys().items():
            for name in names:
                block = matrix.block(stage, key.scale, name)
                if block is not None:
                    (folder / paths.block(key.scale, stage, name).name).write_text(text(block), encoding="utf-8")


def text(block: object) -> str:
    """A block as both engines compare it."""
    return json.dumps(block, indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n"
