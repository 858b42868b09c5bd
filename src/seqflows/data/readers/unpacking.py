"""Packed files (gzip, zip, tar) as streams, which end in a `Problem` where more comes out than any known file holds."""

from __future__ import annotations

import contextlib
import gzip
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

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
