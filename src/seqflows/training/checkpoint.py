"""Checkpoints: safetensors and JSON, written atomically.

A folder ``checkpoints/<digest>`` belongs to one seed of one run under one configuration, data
and code. It holds ``checkpoint.json``, with the name of the tensors' file and both checksums, and,
once the seed is done, ``finished/`` with its outputs. When all seeds are done, only these outputs
stay, as ``kept/``: adding a seed to the run trains only that seed.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from seqflows import files, paths, stages
from seqflows.errors import Problem
from seqflows.paths import HISTORY, MODEL, RECORD

STATE = "checkpoint.json"
TENSORS = re.compile(r"tensors-[0-9]+-[0-9]+\.safetensors")  # no path: they lie beside the JSON
FINISHED, KEPT = "finished", "kept"
OWNER = "of.json"  # whose checkpoints a folder has: scale, run and seed


def digest(key: paths.Key, seed: int, config: Mapping[str, Any], compute: Mapping[str, Any], data: str) -> str:
    """The name of the folder: a digest of everything that the result depends on, to the bit."""
    source = stages.TABLE["train"].checksums()
    value = {"scale": key.scale, "key": key.name, "seed": seed, "config": dict(config), "compute": dict(compute)}
    return files.digest({**value, "dataset_sha256": data, "source": source, "torch": torch.__version__})


def _problem(path: Path, got: str) -> Problem:
    return Problem(
        f"expected a whole checkpoint in {path}, got {got}; run the same train command with --restart to train anew"
    )


def save_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors atomically; tied ones are written separately."""
    files.write_bytes(path, save({name: value.detach().cpu().clone().contiguous() for name, value in tensors.items()}))


def write(folder: Path, state: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Path:
    """Write a checkpoint, then remove the previous one. Returns the path of its JSON.

    ``state`` is JSON; the folder's name must be the checkpoint's digest.
    """
    path = folder / STATE
    name = f"tensors-{state['epoch']:06d}-{state['position']:08d}.safetensors"
    save_tensors(folder / name, tensors)
    content = {"digest": folder.name, "state": dict(state), "tensors": {name: files.sha256(folder / name)}}
    files.write_json(path, {**content, "sha256": files.digest(content)})
    for old in folder.glob("tensors-*.safetensors"):
        if old.name != name:
            old.unlink(missing_ok=True)
    return path


def read(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
    """The checkpoint's state and tensors, or None without a checkpoint.

    Raises `Problem`, naming the file, for one that is truncated, altered or of another
    configuration.
    """
    path = folder / STATE
    if not path.exists():
        return None
    try:
        content = files.read_json(path)
    except Problem:
        raise _problem(path, "a file that is not JSON (truncated?)") from None
    if not isinstance(content, dict) or content.pop("sha256", None) != files.digest(content):
        raise _problem(path, "a file whose checksum differs from its contents")
    if content.get("digest") != folder.name:
        raise _problem(path, f"one of another configuration, data or code ({str(content.get('digest'))[:12]}...)")
    tensors: dict[str, Tensor] = {}
    for name, checksum in content["tensors"].items():
        file = folder / name
        if not TENSORS.fullmatch(name):
            raise _problem(path, f"the name {name!r} for a file of tensors")
        if not file.exists():
            raise _problem(file, "no such file")
        if files.sha256(file) != checksum:
            raise _problem(file, "a file whose checksum differs (cut short or altered)")
        try:
            tensors.update(load_file(file))
        except SafetensorError as error:
            raise _problem(file, str(error)) from None
    return content["state"], tensors


def finished(folder: Path) -> Path | None:
    """The outputs of a seed that was trained before, checked against their checksums, or None."""
    found = [folder / name for name in (FINISHED, KEPT) if (folder / name).exists()]
    if not found:
        return None
    done = found[0]
    try:
        listed = files.read_sealed(done / RECORD)["files"]
        wanted = {name: listed[name] for name in (MODEL, HISTORY)}
    except (Problem, KeyError, TypeError):
        raise _problem(done / RECORD, "no whole list of files and checksums") from None
    for name, checksum in wanted.items():
        if not (done / name).is_file() or files.sha256(done / name) != checksum:
            raise _problem(done / name, "no such file, or one whose checksum differs")
    return done


def claim(folder: Path, key: paths.Key, seed: int) -> None:
    """Write down whose checkpoints a folder is for."""
    files.write_json(folder / OWNER, {"scale": key.scale, "run": key.name, "seed": seed})


def unfinished(key: paths.Key, seed: int, own: Path) -> list[Path]:
    """The folders with a checkpoint of a seed but its ``own``: of other settings, data or code."""
    owner, found = {"scale": key.scale, "run": key.name, "seed": seed}, []
    for path in sorted(paths.checkpoints("").glob(f"*/{OWNER}")):
        with contextlib.suppress(Problem):
            if path.parent != own and (path.parent / STATE).exists() and files.read_json(path) == owner:
                found.append(path.parent)
    return found


def keep(key: paths.Key, folders: Mapping[int, Path]) -> None:
    """Keep the outputs of a run's seeds, all of which are done, and delete what it had of these seeds before.

    ``folders`` are those of the seeds under the present configuration, data and code.
    """
    for seed, folder in folders.items():
        for old in unfinished(key, seed, folder):
            remove(old)
        if (folder / FINISHED).exists():
            os.replace(folder / FINISHED, folder / KEPT)
        for path in (folder / STATE, folder / OWNER, *folder.glob("tensors-*.safetensors")):
            path.unlink(missing_ok=True)
    for path in paths.checkpoints("").glob(f"*/{KEPT}/{RECORD}"):
        with contextlib.suppress(Problem, KeyError, TypeError):
            record, folder = files.read_json(path), path.parents[1]
            if (record["scale"], record["run"]) == key and folder != folders.get(record["seed"], folder):
                remove(folder)


def remove(folder: Path) -> None:
    """Delete a folder of checkpoints."""
    shutil.rmtree(folder, ignore_errors=True)


def random_state() -> dict[str, str]:
    """The state of torch's generators, in hex."""
    state = {"cpu": bytes(torch.get_rng_state().numpy()).hex()}
    if torch.cuda.is_available():
        state["cuda"] = bytes(torch.cuda.get_rng_state().numpy()).hex()
    return state


def set_random_state(state: Mapping[str, str]) -> None:
    """Restore the state that `random_state` returned."""
    torch.set_rng_state(torch.frombuffer(bytearray.fromhex(state["cpu"]), dtype=torch.uint8))
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(torch.frombuffer(bytearray.fromhex(state["cuda"]), dtype=torch.uint8))
