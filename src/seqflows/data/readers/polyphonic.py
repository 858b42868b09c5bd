"""Piano rolls from MATLAB files, from the original pickles by an unpickler that admits only data, and a user's own.

Shapes: T frames of a piece, 88 keys (MIDI 21 to 108), zeros and ones.
"""

from __future__ import annotations

import io
import pickle
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import numpy as np

from seqflows.data.prepared import KEYS, SPLITS
from seqflows.data.readers import strict_json, unpacking
from seqflows.errors import Problem

LOW, HIGH = 21, 108  # MIDI numbers of the first and the last key


def read(path: Path) -> dict[str, list[np.ndarray]]:
    """The pieces of each split, (T, 88) uint8 each; the file's suffix gives the format.

    A frame without a note is data; a piece without a frame is a `Problem`.
    """
    splits = read_mat(path) if path.suffix == ".mat" else read_pickle(path)
    for split, pieces in splits.items():
        if not pieces:
            raise Problem(f"expected pieces in {split} of {path}, got none; replace the file")
    return splits


def read_mat(path: Path) -> dict[str, list[np.ndarray]]:
    """Read the cell arrays traindata, validdata and testdata of a MATLAB v5 file."""
    from scipy.io import loadmat

    try:
        content = loadmat(path)
    except Exception as error:  # a damaged file may raise any exception
        raise Problem(
            f"expected a MATLAB v5 file in {path}, got {type(error).__name__}: {error}; run download again"
        ) from error
    missing = [f"{split}data" for split in SPLITS if f"{split}data" not in content]
    if missing:
        found = ", ".join(key for key in content if not key.startswith("__")) or "nothing"
        raise Problem(f"expected the keys {', '.join(missing)} in {path}, got {found}; replace the file")
    return {split: _cells(content[f"{split}data"], f"{split}data of {path}") for split in SPLITS}


def _cells(cells: Any, where: str) -> list[np.ndarray]:
    if not isinstance(cells, np.ndarray) or cells.dtype != object:
        kind = getattr(cells, "dtype", type(cells).__name__)
        raise Problem(f"expected a cell array of pieces in {where}, got {kind}; replace the file")
    return [_frames(piece, f"piece {place} of {where}") for place, piece in enumerate(cells.ravel())]


def _frames(piece: Any, where: str) -> np.ndarray:
    """Check one piece and return it as (T, 88) uint8."""
    piece = np.asarray(piece)
    if piece.size == 0:
        raise Problem(f"expected at least one frame in {where}, got an empty piece; remove it from the file")
    if piece.ndim != 2 or piece.shape[1] != KEYS or piece.dtype.kind not in "buif":
        raise Problem(f"expected (T, {KEYS}) numbers in {where}, got {piece.shape} {piece.dtype}; replace the file")
    if not ((piece == 0) | (piece == 1)).all():
        strange = piece[(piece != 0) & (piece != 1)].flat[0]
        raise Problem(f"expected zeros and ones in {where}, got {strange}; replace the file")
    return np.ascontiguousarray(piece, dtype=np.uint8)


FRAMES, NOTES = 2**20, 2**23  # of a pickle, several times those of any known one, which may repeat what it shares
RATIO = 500  # bytes out of each packed byte of piano rolls, which are mostly zeros


class RestrictedUnpickler(pickle._Unpickler):
    """Loads lists, tuples, numbers and dicts of strings; any other name in a pickle is rejected, not imported.

    It is the one in Python, whose memory grows by what it has read, not by a place that the pickle names.
    """

    dispatch: ClassVar = {**pickle._Unpickler.dispatch}

    def find_class(self, module: str, name: str) -> NoReturn:
        """Refuse whatever is named: the data need no class, and to make an object may run code."""
        raise Problem(
            f"expected only builtin containers and numbers in a pickle, got {module}.{name}, which could run code; "
            "use the .mat file"
        )

    def persistent_load(self, pid: Any) -> NoReturn:
        """Reject a persistent id, which points outside the pickle."""
        raise Problem(f"expected only builtin containers and numbers in a pickle, got the persistent id {pid!r}")

    def _keyed(self, load: Callable[[Any], None], first: int) -> None:
        """Set entries of a dict by strings alone: the hash of shared tuples of tuples may take for ever."""
        if not all(isinstance(key, str) for key in self.stack[first::2]):
            raise Problem("expected a dict of splits by name in a pickle, got other keys; use the .mat file")
        load(self)

    def _set(self) -> NoReturn:
        raise Problem("expected only lists, tuples, numbers and a dict in a pickle, got a set; use the .mat file")

    for code, first in ((pickle.SETITEM, -2), (pickle.SETITEMS, 0), (pickle.DICT, 0)):
        dispatch[code[0]] = lambda self, load=dispatch[code[0]], first=first: self._keyed(load, first)
    dispatch[pickle.ADDITEMS[0]] = dispatch[pickle.FROZENSET[0]] = _set


def read_pickle(path: Path) -> dict[str, list[np.ndarray]]:
    """Read ``{"train": [piece, ...], ...}``; a piece is a list of frames, a frame a list of MIDI notes."""
    try:
        content = RestrictedUnpickler(io.BytesIO(path.read_bytes()), encoding="latin1").load()
    except Problem as problem:
        raise Problem(f"{path}: {problem}") from None
    except Exception as error:  # a damaged pickle may raise any exception
        raise Problem(f"expected a pickle in {path}, got {type(error).__name__}: {error}; replace the file") from error
    if not isinstance(content, dict) or not all(isinstance(content.get(split), list | tuple) for split in SPLITS):
        keys = ", ".join(map(str, content)) if isinstance(content, dict) else type(content).__name__
        raise Problem(f"expected a dict of the lists {', '.join(SPLITS)} in {path}, got {keys}; replace the file")
    pieces = [piece for split in SPLITS for piece in content[split] if isinstance(piece, list | tuple)]
    frames = sum(map(len, pieces))
    notes = 0 if frames > FRAMES else sum(len(f) for piece in pieces for f in piece if isinstance(f, list | tuple))
    if frames > FRAMES or notes > NOTES:
        got = f"{frames} frames" if frames > FRAMES else f"{notes} notes"
        raise Problem(f"expected at most {FRAMES} frames and {NOTES} notes in {path}, got {got}; replace the file")
    return {
        split: [_roll(piece, f"piece {place} of {split} of {path}") for place, piece in enumerate(content[split])]
        for split in SPLITS
    }


def read_own(path: Path) -> list[np.ndarray]:
    """A user's pieces, (T, 88) uint8 each, in the order of their file.

    Of .npz each array (T, 88) is a piece, whatever its name. Of .json the file is a list of pieces, a piece a list of
    frames, a frame a list of MIDI notes.
    """
    if path.suffix == ".npz":
        pieces = _arrays(path)
    else:
        content = strict_json.whole(path)
        if not isinstance(content, list):
            raise Problem(f"expected a list of pieces in {path}, got {type(content).__name__}; convert the file")
        pieces = [_roll(piece, f"piece {place} of {path}") for place, piece in enumerate(content)]
    if not pieces:
        raise Problem(f"expected pieces in {path}, got none; replace the file")
    return pieces


def _arrays(path: Path) -> list[np.ndarray]:
    """Each array of a .npz file as a piece."""
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
            packed = path.stat().st_size
        if unpacked > max(unpacking.SMALL, RATIO * packed) or unpacked > FRAMES * KEYS * 8:
            raise Problem(f"expected fewer bytes to come out of {path}, got {unpacked} of {packed}; replace the file")
        with np.load(path, allow_pickle=False) as arrays:
            return [_frames(_array(arrays, name, path), f"the array {name} of {path}") for name in arrays.files]
    except (zipfile.BadZipFile, EOFError, zlib.error, ValueError, NotImplementedError, RuntimeError) as error:
        raise Problem(f"expected arrays in .npz in {path}, got {error}; write it by numpy.savez") from None


def _array(arrays: Any, name: str, path: Path) -> Any:
    try:
        return arrays[name]
    except ValueError as error:  # objects
        raise Problem(
            f"expected an array (T, {KEYS}) of numbers as {name} of {path}, got {error}; write each piece "
            "as an array of its own"
        ) from None


def _note(found: Any) -> str:
    """A wrong note as it is shown; a container may be too deep to be written out."""
    return repr(found) if isinstance(found, int | float | str) else type(found).__name__


def _roll(piece: Any, where: str) -> np.ndarray:
    """The notes of each frame as (T, 88) uint8."""
    if not isinstance(piece, list | tuple) or not all(isinstance(frame, list | tuple) for frame in piece):
        raise Problem(f"expected a list of frames in {where}, got other content; replace the file")
    if not piece:
        raise Problem(f"expected at least one frame in {where}, got an empty piece; remove it from the file")
    notes = [note for frame in piece for note in frame]
    strange = [note for note in notes if type(note) is not int or not LOW <= note <= HIGH]
    if strange:
        raise Problem(f"expected MIDI notes of {LOW} to {HIGH} in {where}, got {_note(strange[0])}; replace the file")
    roll = np.zeros((len(piece), KEYS), dtype=np.uint8)
    if notes:
        roll[np.repeat(np.arange(len(piece)), list(map(len, piece))), np.array(notes) - LOW] = 1
    return roll
