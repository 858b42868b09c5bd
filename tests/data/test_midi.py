"""MIDI files as piano rolls: by hand, against arrays that were written out as MIDI, and errors that name the file."""

import io
import zipfile

import mido
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from seqflows import files, paths
from seqflows.config import own
from seqflows.data import download, prepare, prepared
from seqflows.data.readers import midi
from seqflows.errors import Problem

TICKS = 96  # of a quarter note
C4, E4, G4 = 60, 64, 67


def written(notes, kind=1, tracks=1, channel=0, ticks=TICKS, closed=True):
    """A MIDI file of (beginning, end, note) in quarter notes, dealt to some tracks."""
    file = mido.MidiFile(type=kind, ticks_per_beat=ticks)
    for place in range(tracks):
        events = []
        for start, end, note in notes[place::tracks]:
            events.append((round(start * ticks), 1, mido.Message("note_on", note=note, velocity=64, channel=channel)))
            if closed:
                events.append((round(end * ticks), 0, mido.Message("note_off", note=note, channel=channel)))
        track, now = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=123456)]), 0
        for time, _, message in sorted(events, key=lambda event: event[:2]):
            track.append(message.copy(time=time - now))
            now = time
        file.tracks.append(track)
    stream = io.BytesIO()
    file.save(file=stream)
    return stream.getvalue()


def keys(roll):
    return [sorted(midi.LOW + np.flatnonzero(frame)) for frame in roll]


def test_a_piece_by_hand():
    notes = [(1, 2, C4), (1, 1.5, E4), (2.2, 2.9, G4)]
    assert keys(midi.roll(written(notes), 0.5, "x")) == [[C4, E4], [C4], [G4], [G4]]
    assert keys(midi.roll(written(notes), 1.0, "x")) == [[C4, E4], [G4]]  # 1.5 is nearer to 2 than 1, as 2.9 to 3
    assert keys(midi.roll(written([(0, 0.1, C4), (4, 4.1, E4)]), 2.0, "x")) == [[C4], [], [E4]]  # at least one step


def test_tracks_and_velocity_zero_and_notes_without_an_end():
    notes = [(0, 1, C4), (1, 3, E4), (2, 3, G4)]
    assert keys(midi.roll(written(notes, tracks=3), 1.0, "x")) == [[C4], [E4], [E4, G4]]
    assert keys(midi.roll(written(notes[:2], kind=0), 1.0, "x")) == [[C4], [E4], [E4]]
    loud = mido.MidiFile(ticks_per_beat=TICKS)
    loud.tracks.append(mido.MidiTrack([
        mido.Message("note_on", note=C4, velocity=9, time=0),
        mido.Message("note_on", note=C4, velocity=0, time=TICKS),  # is an end
        mido.Message("note_on", note=E4, velocity=9, time=0),
        mido.Message("control_change", control=64, value=0, time=2 * TICKS),
    ]))  # fmt: skip
    stream = io.BytesIO()
    loud.save(file=stream)
    assert keys(midi.roll(stream.getvalue(), 1.0, "x")) == [[C4], [E4], [E4]]


@settings(max_examples=40, deadline=None)
@given(
    arrays(np.uint8, st.tuples(st.integers(1, 12), st.just(88)), elements=st.integers(0, 1)), st.sampled_from([0.25, 1])
)
def test_a_roll_written_as_midi_is_read_back(roll, step):
    roll[0, 3] = roll[-1, 5] = 1  # it begins and ends with a note
    notes = [(t * step, (t + 1) * step, midi.LOW + key) for t, key in zip(*np.nonzero(roll), strict=True)]
    assert np.array_equal(midi.roll(written(notes), step, "x"), roll)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no midi", "expected a MIDI file in x, got .*; replace or remove it"),
        (b"", "expected a MIDI file in x, got .*; replace or remove it"),
        (written([(0, 1, C4)])[:-9], "expected a MIDI file in x, got .*; replace or remove it"),
        (written([]), "expected notes in x, got none"),
        (written([(0, 1, 40)], channel=midi.DRUMS), "expected notes in x, got none"),
        (written([(0, 1, C4)], kind=2), "MIDI file of type 0 or 1 .* in x, got tracks that .*; save it as"),
        (
            written([(0, 1, C4)], ticks=1).replace(b"\x00\x01MTrk", b"\xe7\x28MTrk"),
            "got time in seconds, not in quarter notes; save it as type 1",
        ),
        (written([(0, 1, C4), (0, 1, 12)]), "expected MIDI notes of 21 to 108 in x, got 12; transpose it, or remove"),
        (
            written([(0, 1, C4), (9e5, 9e5 + 1, C4)]),
            "expected at most 131072 time steps in x, got 900001; use a larger",
        ),
    ],
)
def test_another_content_is_refused(content, message):
    with pytest.raises(Problem, match=message) as raised:
        midi.roll(content, 1.0, "x")
    assert len(str(raised.value).splitlines()) == 1


@pytest.fixture
def here(tmp_path, monkeypatch):
    (tmp_path / "own").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SEQFLOWS_MIRROR", raising=False)


BLOCK = {"kind": "music", "source": "own-music", "path": "own/mine.zip", "step": 1.0}


def archive(entries):
    with zipfile.ZipFile("own/mine.zip", "w") as made:
        for name, content in entries.items():
            made.writestr(name, content)


def test_a_zip_of_midi_files_is_a_dataset(here):
    pieces = {f"chorales/{n}.mid": written([(0, 1 + n, C4), (n, n + 1, C4 + n)]) for n in range(10)}
    archive({**pieces, "README.txt": b"text", "chorales/._0.mid": b"a ghost of another system"})
    download.fetch(BLOCK, paths.raw("demo", "mine"))
    prepare.prepare(BLOCK, paths.raw("demo", "mine"), files.Path("out"), "mine")
    data = prepared.load(files.Path("out"))
    assert [len(getattr(data, split)) for split in own.SPLITS] == [8, 1, 1]
    found = [data.train.sequence(n) for n in range(8)]
    assert all(any(np.array_equal(one, midi.roll(content, 1.0, "x")) for content in pieces.values()) for one in found)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"a.txt": b"x"}, "expected files that end with .mid or .midi in own/mine.zip, got none"),
        ({"a.mid": b"x"}, "expected a MIDI file in a.mid of own/mine.zip, got"),
    ],
)
def test_another_zip_is_refused_and_nothing_is_left(here, entries, message):
    archive(entries)
    with pytest.raises(Problem, match=message):
        download.fetch(BLOCK, paths.raw("demo", "mine"))
    assert not paths.raw("demo", "mine").exists() and not own.RECORD.exists()


def test_what_is_no_zip_is_refused(here):
    files.Path("own/mine.zip").write_bytes(b"no zip")
    with pytest.raises(Problem, match="expected a whole zip file in own/mine.zip, got File is not a zip file"):
        download.fetch(BLOCK, paths.raw("demo", "mine"))
