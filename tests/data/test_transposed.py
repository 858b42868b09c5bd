"""Pieces moved by semitones for training."""

import numpy as np
import torch

from seqflows.data.batching import Batch, transposed


def pieces():
    x = torch.zeros(40, 3, 12)
    x[:, 0, 4], x[:, 1, 6], x[:, 2, 6] = 1, 1, 1
    x[1] = 0  # rests
    x[2, 0, 0], x[2, 2, 11] = 1, 1  # both ends: nowhere to go
    return Batch(x, torch.full((40,), 3), torch.arange(40))


def moves(batch, moved):
    return [int(after[0].argmax()) - int(before[0].argmax()) for before, after in zip(batch.x, moved.x, strict=True)]


def test_a_piece_keeps_its_intervals_and_all_its_keys():
    batch = pieces()
    moved = transposed(batch, 5, 0, (1, 2, 0))
    found = moves(batch, moved)
    for before, after, move in zip(batch.x, moved.x, found, strict=True):
        assert torch.equal(after, before.roll(move, -1)) and after.sum() == before.sum()
    assert found[1] == found[2] == 0
    assert min(found) == -4 and max(found) == 5  # down to the lowest key, up by five semitones at most
    assert (batch.x == pieces().x).all()


def test_every_move_is_as_probable_and_drawn_by_seed_and_step():
    batch = pieces()
    drawn = [move for step in range(300) for move in moves(batch, transposed(batch, 5, 0, (0, step, 0)))[3:]]
    counts = np.bincount(np.add(drawn, 4))
    assert len(counts) == 10 and np.abs(counts / counts.sum() - 0.1).max() < 0.015
    same = [transposed(batch, 5, *draw).x for draw in ((0, (1, 2, 0)), (0, (1, 2, 0)), (1, (1, 2, 0)), (0, (1, 3, 0)))]
    assert torch.equal(same[0], same[1])
    assert not torch.equal(same[0], same[2]) and not torch.equal(same[0], same[3])
