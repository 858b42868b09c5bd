"""Packed files (gzip, zip, tar) as streams, which end in a `Problem` where more comes out than any known file holds."""

from __future__ import annotations

import contextlib
import gzip
import io
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, NamedTuple

from seqflows.errors import Problem

LARGEST = 3 * 2**32  # bytes out of any file: twice the largest known, GloVe's 840B
RATIO = 50  # bytes out of each packed byte: ten times what any known file has
SMALL = 2**24  # bytes out of a small file, whatever its ratio


class Limited(io.RawIOBase):
    """What ``file`` unpacks of the packed file ``path``, up to the limit."""

    def __init__(self, file: IO[bytes], path: Path) -> None:
        self._file, self._path, self._seen = file, path, 0
        self._limit = min(LARGEST, max(SMALL, RATIO * path.stat().st_size))

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: memoryview) -> int:
        """Read what comes next; a `Problem` where the limit is passed."""
        content = self._file.read(len(buffer))
        self._seen += len(content)
        if self._seen > self._limit:
            raise Problem(
                f"expected at most {self._limit} bytes to come out of {self._path}, got more; replace the file, or "
                "unpack and check it by hand"
            )
        buffer[: len(content)] = content
        return len(content)


def limited(file: IO[bytes], path: Path) -> IO[bytes]:
    """``file``, which unpacks ``path``, buffered and limited."""
    return io.BufferedReader(Limited(file, path), 2**20)


@contextlib.contextmanager
def gunzipped(path: Path) -> Iterator[IO[bytes]]:
    """The content of a gzip file as a stream."""
    with gzip.open(path) as file:
        yield limited(file, path)


@contextlib.contextmanager
def untarred(path: Path) -> Iterator[tuple[tarfile.TarFile, IO[bytes]]]:
    """A tar archive, gzipped or not, to be read from its start to its end, and the stream that it is read from."""
    with open(path, "rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    with gzip.open(path) if packed else open(path, "rb") as file:
        stream = limited(file, path)
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            yield archive, stream


class Member(NamedTuple):
    """A file of an archive: its name, its bytes, and what opens it."""

    name: str
    size: int
    open: Callable[[], IO[bytes]]


@contextlib.contextmanager
def members(path: Path, zipped: bool) -> Iterator[Iterator[Member]]:
    """The regular files of a zip or, gzipped or not, a tar archive, in its order; each to be read before the next."""
    if zipped:
        try:
            with zipfile.ZipFile(path) as archive:
                yield iter(_of_zip(archive, path))
        except (zipfile.BadZipFile, RuntimeError) as error:
            raise Problem(f"expected a whole zip file in {path}, got {error}; replace the file") from None
    else:
        with untarred(path) as (archive, _):
            yield _of_tar(archive)


def _of_zip(archive: zipfile.ZipFile, path: Path) -> Iterator[Member]:
    for entry in archive.infolist():
        if not entry.is_dir():
            yield Member(entry.filename, entry.file_size, lambda entry=entry: limited(archive.open(entry), path))


def _of_tar(archive: tarfile.TarFile) -> Iterator[Member]:
    for entry in archive:
        if entry.isreg():
            yield Member(entry.name, entry.size, lambda entry=entry: archive.extractfile(entry))
