"""Strict reading of external JSON: every error is a `Problem` with its place."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from seqflows.errors import Problem

HALF = re.compile("[\ud800-\udfff]")  # valid in JSON, not in UTF-8
NAMES = {str: "text", int: "a whole number", list: "a list", dict: "an object"}


def whole(path: Path) -> Any:
    """The value of a file of one JSON value; invalid UTF-8 or JSON is a `Problem` with the line."""
    return _parsed(decoded(path.read_bytes(), path), path, 1)


def by_line(path: Path) -> Iterator[tuple[str, Any]]:
    """(where, value) for each line of a file with one JSON value per line; skips empty lines."""
    for number, line in enumerate(decoded(path.read_bytes(), path).split("\n"), 1):
        if line.strip():
            yield f"line {number} of {path}", _parsed(line, path, number)


def decoded(content: bytes, path: Path, encoding: str = "utf-8-sig", first: int = 1) -> str:
    """The text of a file's content, from its line ``first`` on; a byte not of UTF-8 is a `Problem` with its line."""
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + first
        wrong = content[error.start]
        raise Problem(
            f"expected UTF-8 in line {line} of {path}, got byte 0x{wrong:02x}; convert the file to UTF-8"
        ) from None


def _parsed(text: str, path: Path, first: int) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        where = f"line {first + error.lineno - 1} of {path}"
        raise Problem(
            f"expected JSON in {where}, got {error.msg} at character {error.colno}; replace the file"
        ) from None
    except RecursionError:
        raise Problem(f"expected JSON in {path}, got values nested too deeply; replace the file") from None
    except ValueError as error:  # a number with thousands of digits
        raise Problem(f"expected JSON in line {first} of {path} or below, got {error}; replace the file") from None


def take(value: Any, key: str, kind: type, where: str) -> Any:
    """Entry ``key`` of an object, of the type ``kind`` (str, int, list or dict)."""
    if not isinstance(value, dict):
        raise Problem(f"expected an object with {key} in {where}, got {_shown(value)}; replace the file")
    if key not in value:
        raise Problem(f"expected the key {key} in {where}, got {', '.join(value) or 'none'}; replace the file")
    found = value[key]
    if not isinstance(found, kind) or isinstance(found, bool):
        raise Problem(f"expected {key} to be {NAMES[kind]} in {where}, got {_shown(found)}; replace the file")
    if isinstance(found, str) and (half := HALF.search(found)):
        raise Problem(
            f"expected {key} to be text in {where}, got half of a surrogate pair, {half[0]!a}; replace the file"
        )
    return found


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else f"{text[:40]}..."
