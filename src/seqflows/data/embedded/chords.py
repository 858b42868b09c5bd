"""A music source in the raw format of the polyphonic sets, with known probabilities.

States are chords with or without an ornament, each a distinct set of piano keys, and one
silence. They form a Markov chain, so frames and states determine each other
and a piece's log-probability (with its length) is that of its states.

Shapes: S states, T frames of a piece, 88 keys (MIDI 21 to 108).
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from seqflows.data.embedded.chain import Chain, heterogeneous
from seqflows.data.prepared import KEYS
from seqflows.errors import Problem

NAME = "embedded-chords"
FILE = "music.mat"
LOW = 21  # MIDI number of the first key
ROOTS = ((48, "major"), (53, "major"), (55, "major"), (57, "minor"), (50, "minor"), (52, "minor"))  # C F G a d e
TRIADS = {"major": (0, 4, 7), "minor": (0, 3, 7)}
ORNAMENTS = (None, 24, 31, 26)  # none, the octave, the fifth above it, a passing note: semitones above the root


def patterns(states: int) -> np.ndarray:
    """The states (S, 88) uint8: silence, the six chords of C major plain, then with each ornament."""
    if not 2 <= states <= 1 + len(ROOTS) * len(ORNAMENTS):
        raise Problem(
            f"expected 2 to {1 + len(ROOTS) * len(ORNAMENTS)} states, got {states}; correct the dataset in params.yaml"
        )
    frames = np.zeros((states, KEYS), dtype=np.uint8)
    for state in range(1, states):
        root, mode = ROOTS[(state - 1) % len(ROOTS)]
        ornament = ORNAMENTS[(state - 1) // len(ROOTS)]
        notes = [root - 12, *(root + 12 + interval for interval in TRIADS[mode])]
        frames[state, np.array(notes + ([] if ornament is None else [root + 12 + ornament])) - LOW] = 1
    return frames


@dataclass(frozen=True)
class ChordSource:
    """``keys`` (S, 88) zeros and ones, all rows distinct, as the states of ``chain``."""

    keys: np.ndarray
    chain: Chain

    @property
    def longest(self) -> int:
        """The number of frames of the longest piece that can occur."""
        return self.chain.longest

    @cached_property
    def _places(self) -> dict[bytes, int]:
        return {row.tobytes(): place for place, row in enumerate(self.keys)}

    def entropy(self) -> float:
        """Nats a piece, its length included; exact."""
        return self.chain.entropy()

    def mean_length_plus_one(self) -> float:
        """E[T + 1] in frames, exact."""
        return self.chain.mean_length + 1

    def log_prob(self, frames: np.ndarray) -> float:
        """The log-probability of a piece (T, 88) with its length, in nats; -inf where it cannot occur."""
        states = [self._places.get(frame.tobytes()) for frame in frames.astype(np.uint8)]
        return -np.inf if None in states else self.chain.log_prob(states)

    def log_probs(self, pieces: Sequence[np.ndarray]) -> np.ndarray:
        """`log_prob` of each piece, (N,)."""
        return np.array([self.log_prob(piece) for piece in pieces])

    def sample(self, rng: np.random.Generator, count: int) -> list[np.ndarray]:
        """``count`` independent pieces (T, 88)."""
        return [self.keys[states] for states in self.chain.sample(rng, count)]

    def specification(self) -> dict[str, Any]:
        """The input of `from_specification`; a state is the list of its MIDI notes."""
        notes = [(np.flatnonzero(row) + LOW).tolist() for row in self.keys]
        return {"notes": notes, "chain": self.chain.specification()}

    @classmethod
    def from_specification(cls, value: dict[str, Any]) -> ChordSource:
        """Restore the source of a `specification`."""
        keys = np.zeros((len(value["notes"]), KEYS), dtype=np.uint8)
        for state, notes in enumerate(value["notes"]):
            keys[state, np.array(notes, dtype=int) - LOW] = 1
        return cls(keys, Chain.from_specification(value["chain"]))

    def write(self, folder: Path, rng: np.random.Generator, counts: dict[str, int]) -> None:
        """Write ``music.mat`` with the keys traindata, validdata and testdata."""
        pieces = {f"{split}data": self.sample(rng, count) for split, count in counts.items()}
        (folder / FILE).write_bytes(mat(pieces))


def mat(splits: dict[str, list[np.ndarray]]) -> bytes:
    """A MATLAB v5 file of 1 x n cell arrays, deterministic (no time in its header)."""
    from scipy.io import savemat

    cells = {}
    for name, pieces in splits.items():
        cells[name] = np.empty((1, len(pieces)), dtype=object)
        for place, piece in enumerate(pieces):
            cells[name][0, place] = piece
    buffer = io.BytesIO()
    savemat(buffer, cells, do_compression=False)
    return b"MATLAB 5.0 MAT-file, written by seqflows".ljust(116) + buffer.getvalue()[116:]


def build(options: dict[str, Any], rng: np.random.Generator) -> ChordSource:
    """Build the source of a seed: ``lengths`` in order of probability, with weights n, n - 1, ..., 1."""
    lengths = options["lengths"]
    if not lengths or len(set(lengths)) != len(lengths) or min(lengths) < 1:
        raise Problem(f"expected different lengths of at least 1, got {lengths}; correct the dataset in params.yaml")
    total = len(lengths) * (len(lengths) + 1) / 2
    weights = {length: (len(lengths) - place) / total for place, length in enumerate(lengths)}
    return ChordSource(patterns(options["states"]), heterogeneous(rng, options["states"], weights, stay=0.3))
