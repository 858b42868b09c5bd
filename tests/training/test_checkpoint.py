"""Checkpoints are whole or refused, by name and with the remedy."""

import json
import shutil

import pytest
import torch

from seqflows import files, paths, stages
from seqflows.errors import Problem
from seqflows.training import checkpoint

STATE = {"epoch": 3, "position": 7, "history": [{"epoch": 1, "valid_loss": 0.1 + 0.2}]}
TENSORS = {"model/a": torch.arange(6.0).view(2, 3), "optimizer/0.step": torch.tensor(5.0)}


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "abc"
    checkpoint.write(path, STATE, TENSORS)
    return path


def test_round_trip_is_exact_and_the_next_replaces_it(folder):
    state, tensors = checkpoint.read(folder)
    assert state == STATE and tensors.keys() == TENSORS.keys()
    assert all(torch.equal(tensors[name], TENSORS[name]) for name in TENSORS)
    checkpoint.write(folder, {**STATE, "position": 8}, TENSORS)
    assert sorted(path.name for path in folder.iterdir()) == [
        "checkpoint.json",
        "tensors-000003-00000008.safetensors",
    ]
    assert checkpoint.read(folder)[0]["position"] == 8


def test_tied_and_strided_tensors_are_saved(tmp_path):
    tied = torch.randn(4, 3)
    checkpoint.write(tmp_path / "x", STATE, {"model/a": tied, "model/b": tied, "model/c": tied.T})
    assert torch.equal(checkpoint.read(tmp_path / "x")[1]["model/c"], tied.T)


def test_none_is_no_error(tmp_path):
    assert checkpoint.read(tmp_path / "nothing") is None
    assert checkpoint.finished(tmp_path / "nothing") is None


def test_tensors_cut_short_or_missing(folder):
    (tensors,) = folder.glob("*.safetensors")
    content = tensors.read_bytes()
    tensors.write_bytes(content[:-9])
    with pytest.raises(Problem, match=r"tensors-000003-00000007\.safetensors.*--restart"):
        checkpoint.read(folder)
    tensors.unlink()
    with pytest.raises(Problem, match=r"no such file.*--restart"):
        checkpoint.read(folder)


def test_a_number_altered_in_a_tensor(folder):
    """Of the same length and readable: the checksum alone tells."""
    (tensors,) = folder.glob("*.safetensors")
    content = bytearray(tensors.read_bytes())
    content[-1] ^= 1
    tensors.write_bytes(content)
    with pytest.raises(Problem, match=r"tensors-000003-00000007\.safetensors, got .*checksum.*--restart"):
        checkpoint.read(folder)


def test_json_cut_short_or_altered(folder):
    path = folder / checkpoint.STATE
    whole = path.read_text()
    path.write_text(whole[: len(whole) // 2])
    with pytest.raises(Problem, match=r"checkpoint\.json.*--restart"):
        checkpoint.read(folder)
    path.write_text(whole.replace('"position": 7', '"position": 6'))
    with pytest.raises(Problem, match=r"checksum.*--restart"):
        checkpoint.read(folder)
    path.write_text("[]")
    with pytest.raises(Problem, match="--restart"):
        checkpoint.read(folder)


def test_one_of_another_configuration(folder):
    other = folder.rename(folder.with_name("def"))
    with pytest.raises(Problem, match=r"another configuration.*--restart"):
        checkpoint.read(other)


def test_digest_depends_on_everything(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    key = paths.Key("demo", "x")
    base = (key, 0, {"model": {"a": 1}}, {"threads": 1}, "s")
    others = [
        (paths.Key("laptop", "x"), *base[1:]),
        (paths.Key("demo", "y"), *base[1:]),
        (key, 1, *base[2:]),
        (*base[:2], {"model": {"a": 2}}, *base[3:]),
        (*base[:3], {"threads": 2}, "s"),
        (*base[:4], "t"),
    ]
    digests = [checkpoint.digest(*values) for values in (base, *others)]
    copied = tmp_path / "seqflows"
    shutil.copytree(stages.PACKAGE, copied)
    monkeypatch.setattr(stages, "PACKAGE", copied)
    assert checkpoint.digest(*base) == digests[0]  # wherever the code lies
    (copied / "training/loop.py").write_text("1")
    digests.append(checkpoint.digest(*base))
    assert len(set(digests)) == len(digests)
    (copied / "report/tables.py").write_text("1")
    assert checkpoint.digest(*base) == digests[-1]


@pytest.mark.parametrize("place", [checkpoint.FINISHED, checkpoint.KEPT])
@pytest.mark.fault("a finished seed without its model, or with another")
def test_finished_outputs_are_verified(tmp_path, place):
    done = tmp_path / place
    done.mkdir()
    names = ("history.csv", "model.safetensors")
    for name in names:
        (done / name).write_text("whole")
    record = {"seed": 0, "files": {name: files.sha256(done / name) for name in names}}
    files.write_json(done / "train.json", files.sealed(record))
    assert checkpoint.finished(tmp_path) == done
    for name in names:
        for damage in ("altered", None):
            (done / name).unlink() if damage is None else (done / name).write_text(damage)
            with pytest.raises(Problem, match=rf"{name}.*--restart"):
                checkpoint.finished(tmp_path)
        (done / name).write_text("whole")
    without = {**record, "files": {"history.csv": record["files"]["history.csv"]}}
    for content in (files.sealed(without), {**files.sealed(record), "seed": 1}, record, []):
        files.write_json(done / "train.json", content)
        with pytest.raises(Problem, match=r"train\.json.*--restart"):
            checkpoint.finished(tmp_path)
    (done / "train.json").write_text("{")
    with pytest.raises(Problem, match=r"train\.json.*--restart"):
        checkpoint.finished(tmp_path)


@pytest.mark.parametrize("name", ["../secret.safetensors", "/etc/hostname", "tensors-1-2.safetensors/..", "a/b"])
def test_a_checkpoint_names_no_file_outside_its_folder(folder, name):
    """Of a checksum that fits: whoever writes the list can make one."""
    content = json.loads((folder / checkpoint.STATE).read_text())
    (tensors,) = folder.glob("*.safetensors")
    shutil.copy(tensors, folder.parent / "secret.safetensors")
    content["tensors"] = {name: files.sha256(tensors)}
    files.write_json(folder / checkpoint.STATE, files.sealed({k: v for k, v in content.items() if k != "sha256"}))
    with pytest.raises(Problem, match=r"checkpoint\.json, got the name .* for a file of tensors; .*--restart"):
        checkpoint.read(folder)


def test_random_state_round_trip():
    torch.manual_seed(3)
    state = json.loads(json.dumps(checkpoint.random_state()))
    drawn = torch.randn(5)
    checkpoint.set_random_state(state)
    assert torch.equal(torch.randn(5), drawn)
