"""MIDI files as piano rolls, at a time step of their reader's choice (mido).

Shapes: T frames of a piece, 88 keys (MIDI 21 to 108), zeros and ones.
"""

from __future__ import annotations

import io
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from seqflows.data.prepared import KEYS
from seqflows.data.readers import unpacking
from seqflows.data.readers.polyphonic import HIGH, LOW
from seqflows.errors import Problem, shown

DRUMS = 9  # the channel of percussion, whose numbers are no keys
FRAMES = 2**17  # of a piece: days at a sixteenth note
SUFFIXES = (".mid", ".midi")


def read(path: Path, step: float) -> list[np.ndarray]:
    """The pieces of a zip of MIDI files, (T, 88) uint8 each, in the order of their names; ``step`` in quarter notes."""
    with unpacking.members(path, zipped=True) as members:
        found = {
            member.name: member.open().read()
            for member in members
            if member.name.lower().endswith(SUFFIXES) and not PurePosixPath(member.name).name.startswith(".")
        }
    if not found:
        raise Problem(f"expected files that end with {' or '.join(SUFFIXES)} in {path}, got none; replace the file")
    return [roll(found[name], step, f"{name} of {path}") for name in sorted(found)]


def roll(content: bytes, step: float, where: str) -> np.ndarray:
    """A piece as (T, 88) uint8: frame t has the notes that sound from t to t + 1 steps.

    Beginnings and ends of notes are moved to the nearest step, and a note lasts at least one; what precedes the first
    note is left out. Tempo has no influence: a step is a part of a quarter note. Percussion is left out.

    Raises:
        Problem: another content, no note, notes of other keys, or more than `FRAMES` frames.
    """
    notes = _notes(content, where)
    if not notes:
        raise Problem(f"expected notes in {where}, got none; remove it from the file")
    strange = [note for *_, note in notes if not LOW <= note <= HIGH]
    if strange:
        raise Problem(
            f"expected MIDI notes of {LOW} to {HIGH} in {where}, got {strange[0]}; transpose it, or remove it from the "
            "file"
        )
    first = min(_place(start, step) for start, *_ in notes)
    placed = [
        (begun := _place(start, step) - first, max(_place(end, step) - first, begun + 1), note)
        for start, end, note in notes
    ]
    length = max(end for _, end, _ in placed)
    if length > FRAMES:
        raise Problem(f"expected at most {FRAMES} time steps in {where}, got {length}; use a larger step than {step:g}")
    made = np.zeros((length, KEYS), dtype=np.uint8)
    for start, end, note in placed:
        made[start:end, note - LOW] = 1
    return made


def _place(time: float, step: float) -> int:
    """The nearest step of a time in quarter notes; half a step belongs to the later one."""
    return int(time / step + 0.5)


def _notes(content: bytes, where: str) -> list[tuple[float, float, int]]:
    """Beginning and end of each note, in quarter notes, and its number; one without an end ends with the piece."""
    try:
        import mido
    except ImportError:
        raise Problem("expected the package mido for MIDI files, found none; pip install mido") from None
    try:
        file = mido.MidiFile(file=io.BytesIO(content))
        if file.type == 2 or file.ticks_per_beat <= 0:
            what = "tracks that are not of one time" if file.type == 2 else "time in seconds, not in quarter notes"
            raise Problem(
                f"expected a MIDI file of type 0 or 1 with ticks per quarter note in {where}, got {what}; "
                "save it as type 1 with ticks per quarter note, or remove it from the file"
            )
        messages: list[Any] = list(mido.merge_tracks(file.tracks))
    except (OSError, EOFError, ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise Problem(f"expected a MIDI file in {where}, got {shown(error)}; replace or remove it") from None
    sounding: dict[tuple[int, int], list[int]] = {}
    found, now = [], 0

    def ended(key: tuple[int, int]) -> None:
        found.append((sounding[key].pop(0) / file.ticks_per_beat, now / file.ticks_per_beat, key[1]))

    for message in messages:
        now += message.time
        if message.type not in ("note_on", "note_off") or message.channel == DRUMS:
            continue
        key = (message.channel, message.note)
        if message.type == "note_on" and message.velocity:
            sounding.setdefault(key, []).append(now)
        elif sounding.get(key):
            ended(key)
    for key in list(sounding):
        while sounding[key]:
            ended(key)
    return found
