"""Typed blocks of params.yaml: frozen dataclasses whose entries have rules and defaults, without conversion.

>>> @dataclass(frozen=True, kw_only=True)
... class Size(Block):
...     width: int = entry(whole(1), 8)
>>> Size.of({"width": 3}, "model").width
3
>>> list(Size.errors("model", {"widht": 3, "width": 0}))  # doctest: +NORMALIZE_WHITESPACE
["model.widht: expected one of the keys width, got 'widht'; nearest: width",
 'model.width: expected a whole number of at least 1, got 0']
"""

from __future__ import annotations

import dataclasses
import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass
from typing import Any, NamedTuple, Self

from seqflows.errors import Problem
from seqflows.names import near

EXPONENT = re.compile(r"[-+0-9.]+[eE][-+0-9]+\Z")


class Rule(NamedTuple):
    """The rule of an entry, in words and as a test; ``names`` if it is a choice."""

    expected: str
    holds: Callable[[Any], bool]
    names: tuple[str, ...] = ()


def whole(least: int, most: int | None = None, *, even: bool = False) -> Rule:
    """A whole number, not True or 1.0."""
    expected = f"{'an even' if even else 'a'} whole number of at least {least}"
    limit = math.inf if most is None else most
    return Rule(
        expected + (f" and at most {most}" if most else ""),
        lambda value: type(value) is int and least <= value <= limit and value % (1 + even) == 0,
    )


def number(**limits: float) -> Rule:
    """A finite number, not True, within the limits ``least`` and ``most`` (inclusive), ``above`` and ``below``."""
    words = {"least": "of at least", "above": "above", "below": "below", "most": "at most"}
    tests = {"least": operator.ge, "above": operator.gt, "below": operator.lt, "most": operator.le}

    def holds(value: Any) -> bool:
        finite = type(value) in (int, float) and math.isfinite(value)
        return finite and all(tests[name](value, limit) for name, limit in limits.items())

    return Rule("a finite number " + " and ".join(f"{words[name]} {limit:g}" for name, limit in limits.items()), holds)


def choice(*names: str) -> Rule:
    """One of several names."""
    return Rule(f"one of {', '.join(names)}", lambda value: isinstance(value, str) and value in names, names)


def several(rule: Rule, what: str, least: int = 1, most: int | None = None, *, differ: bool = False) -> Rule:
    """A list of values of one rule, described by ``what``."""

    def holds(value: Any) -> bool:
        if not isinstance(value, (list, tuple)) or len(value) < least or (most is not None and len(value) > most):
            return False
        return all(map(rule.holds, value)) and not (differ and len(set(map(repr, value))) < len(value))

    return Rule(what, holds, rule.names)


def either(first: Rule, second: Rule) -> Rule:
    """A value that satisfies one of two rules."""
    return Rule(f"{first.expected}, or {second.expected}", lambda value: first.holds(value) or second.holds(value))


TEXT = Rule("text", lambda value: isinstance(value, str) and bool(value.strip()))
TEXTS = Rule(
    "a mapping of texts", lambda value: isinstance(value, dict) and all(map(TEXT.holds, [*value, *value.values()]))
)


def entry(rule: Rule, default: Any = MISSING, **marks: bool) -> Any:
    """An entry of a block; it may be null if its default is None, and is required without a default."""
    return dataclasses.field(default=default, metadata={"rule": rule, **marks})


@dataclass(frozen=True, kw_only=True)
class Block:
    """A mapping with fixed keys; its lists become tuples."""

    def __post_init__(self) -> None:
        _refuse(self.errors(type(self).__name__, vars(self)))
        for key, value in vars(self).items():
            object.__setattr__(self, key, _frozen(value))

    @classmethod
    def of(cls, value: Any, path: str) -> Self:
        """Build the block at ``path``; any error in it is a `Problem`."""
        _refuse(cls.errors(path, value))
        return cls.filled(value)

    @classmethod
    def errors(cls, path: str, value: Any) -> Iterator[str]:
        """The errors of a block at ``path``, one line each: place, expected, got, nearest valid name."""
        if not isinstance(value, Mapping):
            yield f"{path}: expected a mapping with keys {', '.join(cls.entries())}, got {value!r}"
            return
        known = cls.entries()
        lines = [
            f"{path}.{key}: expected one of the keys {', '.join(known)}, got {key!r}{near(key, known)}"
            for key in value
            if key not in known
        ]
        missing = [key for key, field in known.items() if key not in value and field.default is MISSING]
        lines += [f"{path}.{key}: expected {known[key].metadata['rule'].expected}, got none" for key in missing]
        lines += cls._unsound(path, value)
        yield from lines
        if not lines:
            yield from (f"{path}.{key}: {text}" for key, text in cls.filled(value).contradictions())

    @classmethod
    def entries(cls) -> dict[str, dataclasses.Field[Any]]:
        """The keys of the block."""
        return {field.name: field for field in dataclasses.fields(cls)}

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        """The defaults of the block's entries."""
        return {key: field.default for key, field in cls.entries().items() if field.default is not MISSING}

    def contradictions(self) -> Iterator[tuple[str, str]]:
        """Yield (key, "expected ..., got ...") for entries that are each valid but inconsistent."""
        yield from ()

    @classmethod
    def _unsound(cls, path: str, value: Mapping[str, Any]) -> Iterator[str]:
        """A line for each entry that violates its rule."""
        for key, field in cls.entries().items():
            rule, got = field.metadata["rule"], value.get(key)
            if key in value and not (got is None and field.default is None) and not rule.holds(got):
                hint = " (to YAML 1e-3 is text: write 1.0e-3)" if isinstance(got, str) and EXPONENT.match(got) else ""
                nearest = near(got, rule.names) if rule.names else ""
                yield f"{path}.{key}: expected {rule.expected}{hint}, got {got!r}{nearest}"

    @classmethod
    def filled(cls, value: Mapping[str, Any]) -> Self:
        """The block from the given entries and its defaults, unchecked."""
        block = object.__new__(cls)
        for key, field in cls.entries().items():
            object.__setattr__(block, key, _frozen(value.get(key, None if field.default is MISSING else field.default)))
        return block


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def _refuse(lines: Iterator[str]) -> None:
    if found := list(lines):
        raise Problem("; ".join(found) + "; correct params.yaml")
