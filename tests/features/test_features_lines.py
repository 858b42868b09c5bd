"""Features of passages: each line and each question apart, and none at all."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

import spans
from seqflows import compute
from seqflows.config.features import Encoder
from seqflows.data import prepared
from seqflows.data.batching import collate
from seqflows.data.prepared import SPLITS
from seqflows.errors import Problem
from seqflows.features import encode, windows
from seqflows.features.encoder import opened

CPU = compute.Machine(torch.device("cpu"), "cpu", 1, "fp32")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A prepared dataset, its features by the small BERT, and the block of that."""
    folder, dataset = tmp_path_factory.mktemp("lines"), spans.dataset(features=0)
    statistics = dataset.statistics | {"dataset": "x"}
    splits = {name: getattr(dataset, name) for name in SPLITS}
    prepared.save(folder / "data", dataset.vocabulary, splits, statistics)
    block = {"model": spans.bert(), "layers": [-1]}
    encode.encode(block, prepared.load(folder / "data"), folder / "features", CPU)
    return folder / "data", folder / "features", block


def test_each_line_and_each_question_is_encoded_apart(folders):
    data, features, block = folders
    found = prepared.load(data, features, block)
    assert found.facts().features == spans.PIECES.width
    with opened(Encoder.of(block, ""), [], CPU) as encoder:
        for name in SPLITS:
            contexts = getattr(found, name).contexts
            for part in (contexts.lines, contexts.questions):
                assert isinstance(part.features, np.memmap) and part.features.dtype == np.float16
                for line, text in enumerate(part.texts):
                    (window,) = windows.cut(encoder.tokenizer, text.split(), encoder.longest)
                    (states,) = encoder.states([window.ids])
                    _, wanted = windows.means(states, window)
                    np.testing.assert_allclose(part.features[part.rows(line)], wanted, atol=2e-3)
    header = json.loads((features / "header.json").read_text())
    assert header["splits"]["test-lines"]["words"] == len(found.test.contexts.lines.words)
    batch = collate(found.test, np.array([2, 5]))
    size, rows = int(batch.given.asked_lengths[1]), found.test.contexts.questions.rows(5)
    wanted = found.test.contexts.questions.features[rows].astype(np.float32)
    assert np.array_equal(batch.given.asked_features[1, :size].numpy(), wanted)


def test_without_an_encoder_there_is_a_header_alone(folders, tmp_path):
    data, _, _ = folders
    block, dataset = {"model": "none"}, prepared.load(data)
    encode.encode(block, dataset, tmp_path / "none", CPU)
    assert {path.name for path in (tmp_path / "none").iterdir()} == {"header.json", "checksums.json"}
    found = prepared.load(data, tmp_path / "none", block)
    assert found.facts().features == 0 and found.features_sha256 is not None
    with pytest.raises(Problem, match="expected .*checksums.json as features wrote it, got other content"):
        prepared.load(data, tmp_path / "none", folders[2] | {"layers": [-1]})


def test_missing_features_of_a_part_are_found(folders, tmp_path):
    import shutil

    data, features, block = folders
    shutil.copytree(features, tmp_path / "copy")
    (tmp_path / "copy" / "test-questions.npy").unlink()
    with pytest.raises(Problem, match="test-questions.npy with sha256 .*, got no file"):
        prepared.load(data, tmp_path / "copy", block)
