"""The nearest valid name, for messages about invalid names."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from seqflows.errors import Problem


def near(name: Any, known: Iterable[Any]) -> str:
    """``; nearest: ...``, or "" if no known name resembles it.

    >>> near("epoch", ["epochs", "patience"])
    '; nearest: epochs'
    >>> near("quark", ["epochs", "patience"])
    ''
    """
    found = difflib.get_close_matches(str(name), [str(one) for one in known], 1, 0.5)
    return f"; nearest: {found[0]}" if found else ""


def refuse_unknown(what: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Raise `Problem`, with the nearest known key, for an unknown key of the block ``what``."""
    known = list(known)
    for name in given:
        if name not in known:
            raise Problem(f"expected {what} to have keys among {', '.join(known)}, got {name!r}{near(name, known)}")
