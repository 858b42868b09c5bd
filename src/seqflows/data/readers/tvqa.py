"""TVQA: questions about clips of television shows, and the clips' subtitles.

A clip's name is ``<show>_s01e02_seg02_clip_03`` (without a show: The Big Bang Theory). Times are seconds of the clip.
"""

from __future__ import annotations

import gzip
import hashlib
import math
import posixpath
import re
import tarfile
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from seqflows.data.readers import strict_json, unpacking
from seqflows.data.readers.strict_json import take
from seqflows.errors import Problem

LARGEST = 2**20  # bytes of one clip's subtitles; more is a mistake
UNKNOWN_SPAN = (10.0, 30.0)  # used by the data set's own code for annotations without numbers
VALID, TEST = (0,), (1,)  # of the ten parts of the clips, see `part`
CANDIDATES = ("a0", "a1", "a2", "a3", "a4")
TIME = re.compile(r"(\d+):(\d+):(\d+)[,.](\d+)")
SPEAKER = re.compile(r"^\(([^()]*:)\)\s*")
TAG = re.compile(r"<[^<>]*>")


class Question(NamedTuple):
    """A question about a clip; ``correct`` is None if the labels are not public, ``span`` is (start, end)."""

    id: int
    clip: str
    text: str
    answers: tuple[str, ...]
    correct: int | None
    span: tuple[float, float]


class Subtitle(NamedTuple):
    """One line of a clip's subtitles, with the speaker's name before it if the release has it, or a description."""

    start: float
    end: float
    text: str


def questions(path: Path) -> list[Question]:
    """The questions of a .jsonl file (TVQA, one per line) or of a .json list (TVQA+).

    Raises `Problem` with the place for invalid or truncated JSON, a missing key or another type.
    """
    if path.suffix == ".jsonl":
        found = [_question(entry, where) for where, entry in strict_json.by_line(path)]
    else:
        entries = strict_json.whole(path)
        if not isinstance(entries, list):
            raise Problem(f"expected a list of questions in {path}, got {type(entries).__name__}; replace the file")
        found = [_question(entry, f"question {number} of {path}") for number, entry in enumerate(entries)]
    if not found:
        raise Problem(f"expected questions in {path}, got none; replace the file")
    return found


def _question(entry: Any, where: str) -> Question:
    text, clip = take(entry, "q", str, where), take(entry, "vid_name", str, where)
    if not text.strip() or not clip.strip():
        raise Problem(f"expected a question and its clip in {where}, got {text!r} and {clip!r}; replace the file")
    answers = tuple(take(entry, key, str, where) for key in CANDIDATES)
    correct = entry.get("answer_idx")
    if correct is not None and str(correct) not in tuple("01234"):
        raise Problem(f"expected answer_idx of 0 to 4 in {where}, got {correct!r}; replace the file")
    place = None if correct is None else int(correct)
    return Question(take(entry, "qid", int, where), clip, text, answers, place, _span(entry.get("ts"), where))


def _span(value: Any, where: str) -> tuple[float, float]:
    """Parse ``"1.2-3.4"`` or ``[1.2, 3.4]``, start <= end; `UNKNOWN_SPAN` for NaN, three in the public test."""
    parts = value.split("-") if isinstance(value, str) else value
    try:
        start, end = (float(part) for part in parts)
    except (TypeError, ValueError):
        raise Problem(f"expected ts as two times in seconds in {where}, got {value!r}; replace the file") from None
    if math.isnan(start) or math.isnan(end):
        return UNKNOWN_SPAN
    if not 0 <= start <= end < math.inf:
        raise Problem(
            f"expected ts as a finite start and an end that is not before it in {where}, got {value!r}; replace the "
            "file, or write nan-nan where the times are not known"
        )
    return start, end


def subtitles(path: Path) -> dict[str, list[Subtitle]]:
    """The subtitles of every clip, by time, from an archive (.tar, .tar.gz) with one .srt file per clip.

    Members that are not plain .srt files are skipped; nothing is written to disk. Raises `Problem` for a file that
    is not an archive, or damaged, or without subtitles, and, with the member, for invalid .srt.
    """
    found: dict[str, list[Subtitle]] = {}
    try:
        with unpacking.untarred(path) as (archive, stream):
            for entry in archive:
                clip, end = posixpath.splitext(posixpath.basename(entry.name))
                content = archive.extractfile(entry) if end == ".srt" and entry.isreg() else None
                if content is None or clip.startswith("."):
                    continue
                where = f"{entry.name} of {path}"
                if entry.size > LARGEST:
                    raise Problem(f"expected at most {LARGEST} bytes in {where}, got {entry.size}; replace the file")
                if clip in found:
                    raise Problem(f"expected each clip once in {path}, got {clip} again; replace the file")
                found[clip] = sorted(_subtitles(_text(content.read()), where))
            while stream.read(LARGEST):  # to the end, where a gzip file has its checksum
                pass
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise Problem(f"expected an archive of subtitles in {path}, got {error}; replace the file") from None
    if not any(found.values()):
        raise Problem(f"expected subtitles (.srt) in {path}, got none; replace the file")
    return found


def _text(content: bytes) -> str:
    """The text as UTF-8 or, if invalid, as ISO 8859-1, which the data set's own code always uses."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("iso-8859-1")


def _subtitles(text: str, where: str) -> Iterator[Subtitle]:
    """Parse blocks of a number, ``00:00:01,200 --> 00:00:03,400``, lines of text and an empty line."""
    start, end, lines = None, 0.0, []
    rows = [row.strip() for row in text.replace("\r\n", "\n").replace("\r", "\n").split("\n")]
    for number, row in enumerate(rows, 1):
        if "-->" in row:
            if start is not None:
                yield Subtitle(start, end, _spoken(lines))
            times = [TIME.search(part) for part in row.split("-->")]
            if len(times) != 2 or None in times:
                raise Problem(
                    f"expected 00:00:01,200 --> 00:00:03,400 in line {number} of {where}, got {row[:60]!r}; "
                    "replace the file"
                )
            (start, end), lines = (_seconds(time) for time in times), []
        elif start is not None and row and not (row.isdigit() and "-->" in "".join(rows[number : number + 1])):
            lines.append(row)
        elif start is None and row and not row.isdigit():
            raise Problem(
                f"expected a subtitle's times before its text in {where}, got {row[:60]!r} in line {number}; "
                "replace the file"
            )
    if start is not None:
        yield Subtitle(start, end, _spoken(lines))


def _seconds(time: re.Match[str] | None) -> float:
    assert time is not None
    hours, minutes, seconds, part = time.groups()
    return 3600 * int(hours) + 60 * int(minutes) + int(seconds) + float(f"0.{part}")


def _spoken(lines: Sequence[str]) -> str:
    """One line without markup; ``(Sheldon:)`` becomes ``Sheldon:``."""
    return SPEAKER.sub(r"\1 ", TAG.sub("", " ".join(lines)).strip()).strip()


def localized(lines: Sequence[Subtitle], span: tuple[float, float]) -> str:
    """The text within ``span``: the subtitles that overlap it, or else the nearest one.

    Tang et al. (2021, A.2) use the localised subtitles, "the relevant interval of a clip for question answering".
    """
    return " ".join(lines[place].text for place in places(lines, span) if lines[place].text)


def overlapping(lines: Sequence[Subtitle], span: tuple[float, float]) -> list[int]:
    """The places of the lines that overlap the ``span``."""
    return [place for place, line in enumerate(lines) if line.start < span[1] and line.end > span[0]]


def places(lines: Sequence[Subtitle], span: tuple[float, float]) -> list[int]:
    """The places of the lines that overlap the ``span``, or else of the nearest one; none without lines.

    >>> told = [Subtitle(0, 2, "a"), Subtitle(2, 4, "b"), Subtitle(9, 10, "c")]
    >>> places(told, (1, 3)), places(told, (7, 8))
    ([0, 1], [2])
    """
    middle = sum(span) / 2
    nearest = sorted(range(len(lines)), key=lambda place: abs((lines[place].start + lines[place].end) / 2 - middle))
    return overlapping(lines, span) or nearest[:1]


def descriptions(path: Path) -> dict[str, list[Subtitle]]:
    """The timed descriptions of every clip, by time, from TVR's .jsonl file with one of them per line.

    Raises `Problem` with the line for invalid JSON, a missing key, another type or a description without words.
    """
    found: dict[str, list[Subtitle]] = {}
    for where, entry in strict_json.by_line(path):
        clip, text = take(entry, "vid_name", str, where), take(entry, "desc", str, where)
        if not text.strip():
            raise Problem(f"expected a description in {where}, got {text!r}; replace the file")
        found.setdefault(clip, []).append(Subtitle(*_span(entry.get("ts"), where), text))
    return {clip: sorted(lines) for clip, lines in found.items()}


def nearest_first(lines: Sequence[Subtitle], span: tuple[float, float]) -> str:
    """The text of all lines: of those that overlap the ``span``, then of the others."""
    inside = overlapping(lines, span)
    return " ".join(lines[place].text for place in (*inside, *(n for n in range(len(lines)) if n not in inside)))


def told(
    lines: Mapping[str, list[Subtitle]], found: Iterable[Question],
    chosen: Callable[[Sequence[Subtitle], tuple[float, float]], str], path: Path,
) -> list[str]:  # fmt: skip
    """What `localized` or `nearest_first` makes of the lines of each question's clip.

    Without lines of a clip, a `Problem` that names the ``path`` they are from.
    """
    return [chosen(of_clip(lines, question.clip, path), question.span) for question in found]


def of_clip(lines: Mapping[str, list[Subtitle]], clip: str, path: Path) -> list[Subtitle]:
    """The lines of a clip; a `Problem` if ``path``, which they are from, does not have the clip."""
    if clip not in lines:
        raise Problem(f"expected the clip {clip} in {path}, got none; replace the files")
    return lines[clip]


def part(clip: str, parts: int = 10) -> int:
    """A clip's part, 0 to ``parts`` - 1, from the sha256 of its name, independent of file and order.

    >>> part("s01e02_seg02_clip_03"), part("castle_s01e01_seg02_clip_08")
    (2, 3)
    """
    return int.from_bytes(_digest(clip)) % parts


def _digest(clip: str) -> bytes:
    return hashlib.sha256(clip.encode()).digest()


def divided(found: Collection[Question], held_out: Collection[int]) -> tuple[list[Question], list[Question]]:
    """The questions whose clips are outside the parts ``held_out``, and those inside."""
    kept = [question for question in found if part(question.clip) not in held_out]
    return kept, [question for question in found if part(question.clip) in held_out]


def released(
    folder: Path, files: tuple[str, str] = ("tvqa_train.jsonl", "tvqa_val.jsonl")
) -> tuple[list[Question], list[Question], list[Question]]:  # fmt: skip
    """The questions of TVQA's release to train, validate and test on; of TVQA+'s with its two ``files``.

    The labels of its test split are not public: its validation split is for test, as in Tang et al. (2021), and a tenth
    of the training clips for validation. A clip in both files is a `Problem`.
    """
    found, test = (questions(folder / name) for name in files)
    both = {question.clip for question in found} & {question.clip for question in test}
    if both:
        raise Problem(
            f"expected other clips in {folder / files[1]} than in {files[0]}, got {min(both)} in both; "
            "replace the files"
        )
    return *divided(found, VALID), test


def by_clip(
    found: Collection[Question], shares: tuple[int, int] = (10, 20)
) -> tuple[list[Question], list[Question], list[Question]]:
    """The questions to train, validate and test on, ``shares`` in percent of the clips to validate and test.

    The clips are ordered by the sha256 of their names, independent of the file's order.
    """
    clips = sorted({question.clip for question in found}, key=_digest)
    valid, held = (len(clips) * share // 100 for share in (shares[0], sum(shares)))
    place = {clip: (number >= valid) + (number >= held) for number, clip in enumerate(clips)}
    valid_, test, train = ([question for question in found if place[question.clip] == part] for part in range(3))
    return train, valid_, test
