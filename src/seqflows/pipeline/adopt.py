"""``adopt``: hand Snakemake's outputs of the scale named in params.yaml to DVC.

DVC then finds nothing to do, and pushes and pulls them as its own. So the outputs must belong to the present
params.yaml, by their records. The other direction needs no command: Snakemake compares file times, and
accepts the outputs of `dvc repro`.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from seqflows import files, kinds, params, paths, stages
from seqflows.data import filtered, prepared, rewritten
from seqflows.data.prepared import CHECKSUMS, HEADER
from seqflows.errors import Problem
from seqflows.pipeline import dvc, matrix
from seqflows.report import texts
from seqflows.report.inputs import Results


def made(found: params.Params) -> list[tuple[str, str]]:
    """The stages and keys whose inputs and outputs all exist.

    A fresh clone has committed results of scale laptop without their inputs.
    """
    scale = found.scale
    return [
        (stage, name)
        for stage, name in stages.every(found.at(scale))
        if all(path.exists() for path in stages.TABLE[stage].inputs(found, scale, name))
        and all(path.exists() for path in stages.TABLE[stage].outputs(scale, name))
    ]


def stale(found: params.Params, some: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Features, runs, texts and comparisons whose records have other settings, seeds or data than the present ones."""
    return [one for one in some if _stale(found, *one)]


def _compared_before(found: params.Params, table: str) -> bool:
    """Whether a comparison is of other runs, seeds or texts than there are now."""
    compared = {
        (record["run"], record["seed"], record["texts_sha256"])
        for record in files.read_sealed(paths.compared(found.scale, table))["metrics"]
    }
    there = set()
    for run in found.table_runs(table):
        listed = files.read_sealed(paths.metrics(found.scale, run)).get("files", {})
        name = kinds.of(found.kind(run)).compared
        seeds = found.run(found.scale, run)["seeds"]
        there |= {(run, seed, listed.get(f"seed-{seed}/{name}")) for seed in seeds}
    return compared != there


def _rewritten_before(found: params.Params, name: str) -> bool:
    """Whether candidates are of other settings, another dataset or other models than there are now."""
    dataset = found.rewriting(found.scale, name)["dataset"]
    try:
        rewritten.of(found, found.scale, name, _sha256(paths.prepared(found.scale, dataset)))
    except Problem:
        return True
    return False


def _filtered_before(found: params.Params, name: str) -> bool:
    """Whether candidates were judged as of other data, by another run or by other models than there are now."""
    block = found.filter(found.scale, name)
    try:
        contexts = found.rewriting(found.scale, found.filtering(name).contexts)
        dataset = prepared.of(found, found.scale, contexts["dataset"])
        kept = filtered.of(found, found.scale, name, dataset).kept
    except Problem:
        return True
    return set(kept) != set(block["seeds"])


def _stale(found: params.Params, stage: str, name: str) -> bool:
    scale = found.scale
    if stage == "generate":
        try:
            texts.read(Results(found, scale), name)
        except Problem:
            return True
    if stage == "features":
        header = files.read_json(paths.features(scale, name) / HEADER)
        of_what = paths.rewritten if name in found.rewrites else paths.prepared
        of = {"encoder": found.encoder(scale, name), "dataset_sha256": _sha256(of_what(scale, name))}
        return {key: header[key] for key in of} != of
    if stage == "rewrite":
        return _rewritten_before(found, name)
    if stage == "filter":
        return _filtered_before(found, name)
    if stage == "compare":
        return _compared_before(found.at(scale), name)
    if stage not in ("train", "evaluate"):
        return False
    block = found.run(scale, name)
    if stage == "train":
        wanted = files.digest(params.trained(block))
        known = [files.read_sealed(path) for path in paths.train(scale, name).glob("seed-*/train.json")]
    else:
        wanted = files.digest(params.scored(block))
        known = files.read_sealed(paths.metrics(scale, name))["metrics"]
    of = [paths.prepared] + [paths.features] * (found.encoder(scale, block["dataset"]) is not None)
    data = [_sha256(folder(scale, block["dataset"])) for folder in of]
    names = ("seed", "config_hash", "dataset_sha256", "features_sha256")
    if stage == "train" and (other := block.get("augmented")):
        there = [(record, filtered.present(scale, other, record["seed"])) for record in known]
        if any(record.get(part) != sha256 for record, parts in there for part, sha256 in parts.items()):
            return True
    recorded = {tuple(record[name] for name in names if name in record) for record in known}
    return recorded != {(seed, wanted, *data) for seed in block["seeds"]}


def _sha256(folder: Path) -> str:
    """The sha256 of the content of a folder with checksums.json, as these state it."""
    return str(files.read_json(folder / CHECKSUMS)["sha256"])


def run() -> None:
    """Write dvc.lock and the cache from the files.

    Raises `Problem` if nothing was made, a run or text is not of the present params.yaml, or DVC fails.
    """
    found = params.load()
    some = made(found)
    if not some:
        raise Problem(
            f"expected outputs of scale {found.scale}, which params.yaml names, and what they are made of, found none; "
            f"run: snakemake -j 2 --config scale={found.scale}"
        )
    if old := stale(found, some):
        keys = [f"{stage} {found.scale}/{name}" for stage, name in old]
        raise Problem(
            f"expected outputs of the present params.yaml, got those of other settings or data of {', '.join(keys)}; "
            f"run: {' && '.join(f'python -m seqflows {key}' for key in keys)} && snakemake -j 2 --config "
            f"scale={found.scale}"
        )
    if shutil.which("dvc") is None:
        raise Problem("expected the command dvc, found none; activate the environment that `make venv` made")
    matrix.run()
    named = dvc.addresses(found)
    command = ["dvc", "commit", "--force", "matrix", *(named[one] for one in some)]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        print(done.stderr.rstrip(), file=sys.stderr)
        raise Problem(f"expected `dvc commit` to take {len(some)} stages over, got status {done.returncode}; see above")
    print(f"DVC has taken over {len(some)} stages of scale {found.scale}: dvc repro has nothing to do for them")
