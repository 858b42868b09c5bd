"""Batches: every sequence once, equal lengths together, an order that is a function of seed and epoch."""

import dataclasses
import re
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import pairs
from seqflows.data.batching import Batch, collate, contexts, order, order_by_length
from seqflows.data.prepared import Split


def text_split(lengths, seed=0):
    symbols = np.random.default_rng(seed).integers(1, 20, int(np.sum(lengths))).astype(np.uint8)
    return Split("text", np.asarray(lengths), symbols)


lengths_lists = st.lists(st.integers(1, 12), min_size=1, max_size=80)


@settings(max_examples=50, deadline=None)
@given(lengths_lists, st.integers(1, 9), st.integers(0, 2**31), st.integers(0, 1000))
def test_every_sequence_once_in_batches_of_the_size(lengths, size, seed, epoch):
    split = text_split(lengths)
    for batches in (order(split, size, seed, epoch), order_by_length(split, size)):
        assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
        assert all(len(batch) <= size for batch in batches)
        assert len(batches) == -(-len(lengths) // size)


@settings(max_examples=50, deadline=None)
@given(lengths_lists, st.integers(1, 9))
def test_all_full_groups_of_equal_length_stay_together(lengths, size):
    split = text_split(lengths)
    pure = sum(len(batch) for batch in order(split, size, 0, 0) if len(set(split.lengths[batch])) == 1)
    counts = np.bincount(lengths)
    assert pure >= (counts // size * size).sum()


@settings(max_examples=30, deadline=None)
@given(lengths_lists, st.integers(1, 9), st.integers(0, 1000))
def test_each_of_some_sequences_once_and_of_all_in_the_usual_order(lengths, size, epoch):
    split = text_split(lengths)
    every = np.arange(len(lengths))
    assert [batch.tolist() for batch in order(split, size, 3, epoch, some=every)] == [
        batch.tolist() for batch in order(split, size, 3, epoch)
    ]
    some = every[::3]
    batches = order(split, size, 3, epoch, some=some)
    assert sorted(np.concatenate(batches).tolist()) == some.tolist() and len(batches) == -(-len(some) // size)


def test_order_is_a_pure_function_of_seed_and_epoch():
    split = text_split(np.random.default_rng(0).integers(1, 30, 200))
    first = [batch.tolist() for batch in order(split, 8, 3, 5)]
    np.random.seed(1)
    assert first == [batch.tolist() for batch in order(split, 8, 3, 5)]
    assert first != [batch.tolist() for batch in order(split, 8, 3, 6)]
    assert first != [batch.tolist() for batch in order(split, 8, 4, 5)]


def test_batches_change_their_members_even_when_all_lengths_differ():
    split = text_split(np.arange(1, 104))
    members = [{tuple(sorted(batch.tolist())) for batch in order(split, 5, 0, epoch)} for epoch in range(6)]
    assert len(set.union(*members)) > 21  # 21 batches an epoch


def test_remainders_are_padded_little():
    split = text_split(np.random.default_rng(0).integers(1, 200, 1000))
    padded = sum(split.lengths[batch].max() * len(batch) for batch in order(split, 15, 0, 0))
    assert padded < 1.1 * split.lengths.sum()


def test_order_by_length_rises():
    split = text_split(np.random.default_rng(0).integers(1, 30, 200))
    longest = [split.lengths[batch].max() for batch in order_by_length(split, 7)]
    assert longest == sorted(longest)


def test_order_of_a_large_corpus_is_fast():
    split = text_split(np.random.default_rng(0).integers(1, 288, 42_000))
    started = time.process_time()
    order(split, 15, 0, 0)
    assert time.process_time() - started < 1


def test_a_batch_size_of_zero_is_refused():
    with pytest.raises(ValueError, match="at least 1, got 0"):
        order(text_split([1, 2]), 0, 0, 0)


@settings(max_examples=30, deadline=None)
@given(lengths_lists, st.randoms())
def test_collate_text_pads_with_zeros_at_the_end(lengths, random):
    split = text_split(lengths)
    indices = random.sample(range(len(lengths)), random.randint(1, len(lengths)))
    batch = collate(split, np.array(indices))
    assert batch.x.dtype == torch.int64 and batch.lengths.dtype == torch.int64
    assert batch.x.shape == batch.mask.shape == (len(indices), max(lengths[i] for i in indices))
    assert batch.index.tolist() == indices and batch.lengths.tolist() == [lengths[i] for i in indices]
    assert batch.steps == int(batch.mask.sum()) == sum(lengths[i] for i in indices)
    for row, index in zip(batch.x, indices, strict=True):
        assert row[: lengths[index]].tolist() == split.sequence(index).tolist()
        assert not row[lengths[index] :].any()


def test_collate_music_and_vectors():
    frames = np.random.default_rng(0).integers(0, 2, (6, 88)).astype(np.uint8)
    batch = collate(Split("music", np.array([2, 4]), frames), np.array([1, 0]))
    assert batch.x.dtype == torch.float32 and batch.x.shape == (2, 4, 88)
    np.testing.assert_array_equal(batch.x[0], frames[2:])
    np.testing.assert_array_equal(batch.x[1, :2], frames[:2])
    assert not batch.x[1, 2:].any()
    points = np.random.default_rng(0).normal(size=(5, 2)).astype(np.float32)
    batch = collate(Split("vectors", np.ones(5, int), points), np.array([4, 0]))
    assert batch.x.shape == (2, 1, 2) and batch.x.dtype == torch.float32 and batch.mask.all()
    np.testing.assert_array_equal(batch.x[:, 0], points[[4, 0]])


def test_to_gives_a_batch():
    batch = collate(text_split([2, 3]), np.array([0, 1])).to("cpu")
    assert isinstance(batch, Batch) and batch.index.tolist() == [0, 1]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="RESIDENT PAGES NOT MEASURED: needs /proc/self/status")
def test_mapped_features_leave_the_memory_with_their_batch(tmp_path):
    def mapped() -> int:
        status = Path("/proc/self/status").read_text()
        return int(re.search(r"RssFile:\s+(\d+)", status)[1])  # kB

    split = pairs.split(np.random.default_rng(0), 2000, window=100, features=64)
    np.save(tmp_path / "train.npy", split.contexts.features)
    assert (size := (tmp_path / "train.npy").stat().st_size // 1024) > 15_000
    features = np.load(tmp_path / "train.npy", mmap_mode="r")
    split = dataclasses.replace(split, contexts=dataclasses.replace(split.contexts, features=features))
    before = mapped()
    batch = [contexts(split.contexts, np.arange(start, start + 20)) for start in range(0, 2000, 20)][3]
    assert mapped() - before < size / 4
    rows = split.contexts.rows(60)
    assert np.array_equal(batch.features[0, : rows.stop - rows.start].numpy(), features[rows].astype(np.float32))
