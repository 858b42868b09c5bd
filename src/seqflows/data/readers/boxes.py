"""The boxes of TVQA's frames: those of a detector, and those that people drew for TVQA+.

Detections are a .json object by clip, as STAGE's code reads them: ``boxes`` has for each frame a list of [left, top,
right, bottom] in pixels, ``object`` likewise their labels. TVQA+'s questions have ``bbox``, an object by the number of
the frame, the first being 1, with a list of boxes of ``left``, ``top``, ``width``, ``height`` and ``label``.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from seqflows.data.concepts import Box
from seqflows.data.readers import strict_json
from seqflows.data.readers.strict_json import take
from seqflows.errors import Problem

DRAWN = ("left", "top", "width", "height")


def detected(path: Path, clips: Collection[str]) -> dict[str, list[list[Box]]]:
    """The boxes of each frame of the ``clips`` that the file has; the labels of its other clips are not read.

    Raises `Problem` with the clip and the frame for invalid JSON, a missing key, unequal numbers of boxes and labels or
    a box that is not four numbers; also if no clip is there.
    """
    content = strict_json.whole(path)
    if not isinstance(content, dict):
        raise Problem(f"expected an object by clip in {path}, got {type(content).__name__}; replace the file")
    found = {clip: list(_frames(content[clip], f"clip {clip} of {path}")) for clip in content if clip in clips}
    if not found:
        raise Problem(f"expected detections of the {len(clips)} clips in {path}, got none of them; replace the file")
    return found


def _frames(entry: Any, where: str) -> Iterator[list[Box]]:
    boxes, labels = take(entry, "boxes", list, where), take(entry, "object", list, where)
    if len(boxes) != len(labels):
        raise Problem(
            f"expected labels of {len(boxes)} frames in {where}, got those of {len(labels)}; replace the file"
        )
    for number, (places, names) in enumerate(zip(boxes, labels, strict=True), 1):
        at = f"frame {number} of {where}"
        if not isinstance(places, list) or not isinstance(names, list) or len(places) != len(names):
            raise Problem(f"expected a list of boxes and one of as many labels in {at}, got others; replace the file")
        yield [_box(label, place, at) for label, place in zip(names, places, strict=True)]


def drawn(path: Path) -> dict[int, dict[int, list[Box]]]:
    """The annotated boxes of each question of a .json list or a .jsonl file, by frame; {} of one without ``bbox``.

    Raises `Problem` with the question for anything else than boxes.
    """
    if path.suffix == ".jsonl":
        entries = list(strict_json.by_line(path))
    else:
        entries = [(f"question {place} of {path}", entry) for place, entry in enumerate(strict_json.whole(path))]
    found: dict[int, dict[int, list[Box]]] = {}
    for where, entry in entries:
        number, frames = take(entry, "qid", int, where), entry.get("bbox", {})
        if not isinstance(frames, dict) or not all(frame.isdecimal() for frame in frames):
            raise Problem(
                f"expected bbox as an object by the number of a frame in {where}, got others; replace the file"
            )
        found[number] = {int(frame): list(_drawn(boxes, where)) for frame, boxes in frames.items()}
    return found


def _drawn(boxes: Any, where: str) -> Iterator[Box]:
    if not isinstance(boxes, list):
        raise Problem(f"expected a list of boxes for each frame in {where}, got others; replace the file")
    for one in boxes:
        label = take(one, "label", str, where)
        left, top, width, height = _box(label, [one.get(key) for key in DRAWN], where)[1:]
        yield Box(label, left, top, left + width, top + height)


def _box(label: Any, place: Any, where: str) -> Box:
    if not isinstance(label, str):
        raise Problem(f"expected a text as a box's label in {where}, got {label!r}; replace the file")
    numbers = place if isinstance(place, list) and len(place) == 4 else [None]
    if not all(isinstance(one, int | float) and not isinstance(one, bool) and math.isfinite(one) for one in numbers):
        raise Problem(f"expected four finite numbers as a box in {where}, got {place!r}; replace the file")
    return Box(label, *map(float, numbers))
