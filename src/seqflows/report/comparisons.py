"""The comparison of a table's systems as values, and the verdicts of raters on its sheets."""

from __future__ import annotations

import copy
import csv
import math
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from seqflows import paths, records
from seqflows.errors import Problem
from seqflows.names import near

FIRST, SECOND, TIE = "first", "second", "tie"  # of the two systems of a sheet
VERDICTS = ("A", "B", "tie")
COLUMNS = ("draw", "pair", "rater", "verdict")
SHOWN = 5  # pairs that a message names


class Pair(NamedTuple):
    """The gain of a run over another in a metric, as the mean over the seeds that both have.

    ``standard_error`` is over questions, paired; ``seeds_error`` over those seeds, None with one; ``p`` is one-sided,
    of a gain above zero.
    """

    difference: float
    standard_error: float
    seeds_error: float | None
    p: float


class Comparison:
    """The content of a table's comparison.json; ``outdated`` are the runs whose scores `without` left out."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        self.table, self.draws, self.sequences = content["table"], content["draws"], content["sequences"]
        self.missing, self.absent, self.trained = (content[part] for part in ("missing", "absent", "trained"))
        self.reference, self.reachable, self.examples = (content[k] for k in ("reference", "reachable", "examples"))
        self.signatures = {name: content.get(name) for name in ("bleu", "meteor", "bleu_tokenized")}
        self.systems, self.human = content["systems"], {one["sheet"]: one for one in content["human"]}
        self.records: dict[str, list[Mapping[str, Any]]] = {}
        for record in content["metrics"]:
            self.records.setdefault(record["run"], []).append(record)
        self.intervals = {(one["run"], one["metric"]): (one["low"], one["high"]) for one in content["intervals"]}
        self.outdated: tuple[str, ...] = ()
        self.differ = {(one["first"], one["second"]): one["share"] for one in content.get("differ", ())}
        self.contexts, self.originals = content.get("contexts", []), content.get("originals", [])
        self.pairs = {
            (one["first"], one["second"], one["metric"]): Pair(*(one[part] for part in records.GAIN))
            for one in content["pairs"]
        }

    @property
    def texts(self) -> dict[str, dict[int, str]]:
        """The sha256 of the texts that were compared, by run and seed."""
        return {run: {one["seed"]: one["texts_sha256"] for one in some} for run, some in self.records.items()}

    def without(self, runs: Iterable[str]) -> Comparison:
        """The same without the scores, gains and texts of some runs."""
        out, kept = frozenset(runs), copy.copy(self)
        kept.outdated = tuple(run for run in self.records if run in out)
        kept.records = {run: some for run, some in self.records.items() if run not in out}
        kept.systems = [one for one in self.systems if one["run"] not in out]
        kept.intervals = {key: one for key, one in self.intervals.items() if key[0] not in out}
        kept.pairs = {key: one for key, one in self.pairs.items() if out.isdisjoint(key[:2])}
        texts = [{run: text for run, text in one["texts"].items() if run not in out} for one in self.examples]
        kept.examples = [one | {"texts": some} for one, some in zip(self.examples, texts, strict=True) if some]
        return kept


def spread(values: Sequence[float]) -> tuple[float, float | None]:
    """The mean of some seeds' values, and their sample standard deviation (divisor n - 1); None with one seed."""
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None


def read(scale: str, table: str) -> Comparison | None:
    """The comparison of a table, made here or kept; None without one."""
    content = records.comparison(scale, table)
    return content and Comparison(content)


class Judged(NamedTuple):
    """What raters said of a sheet: pairs by the verdict that most gave, a tie where no verdict has most.

    ``agreement`` is Fleiss' kappa, None with one rater or if all verdicts are the same.
    """

    counts: dict[str, int]  # of FIRST, SECOND and TIE
    raters: tuple[str, ...]
    agreement: float | None

    @property
    def p(self) -> float:
        """Of the sign test."""
        return sign_test(self.counts[FIRST], self.counts[SECOND])


def sign_test(wins: int, losses: int) -> float:
    """Two-sided p of the sign test, which leaves ties out: that of ``wins`` or a rarer number if both are as likely.

    >>> round(sign_test(89, 54), 3), round(sign_test(76, 63), 2), sign_test(0, 0)
    (0.004, 0.31, 1.0)
    """
    count, most = wins + losses, max(wins, losses)
    tail = sum(math.comb(count, k) for k in range(most, count + 1))
    return min(1.0, 2 * tail / 2**count)


def fleiss(counts: Sequence[Sequence[int]]) -> float | None:
    """Fleiss' kappa of how many of several raters gave each verdict, a row per pair; None where it is undefined.

    (P - P_e) / (1 - P_e), with P the share of pairs of raters that agree, and P_e that of chance.
    """
    raters = sum(counts[0]) if counts else 0
    if raters < 2:
        return None
    agreed = sum(n * (n - 1) for row in counts for n in row) / (len(counts) * raters * (raters - 1))
    shares = [sum(column) / (len(counts) * raters) for column in zip(*counts, strict=True)]
    chance = sum(share * share for share in shares)
    return (agreed - chance) / (1 - chance) if chance < 1 else None


def judged(scale: str, table: str, sheet: str) -> Judged | None:
    """The verdicts on a sheet; None if nobody has put any into ``human/``.

    Raises:
        Problem: a missing, doubled or unknown verdict, one on another draw, or no key of the sheet.
    """
    path = paths.judged(scale, sheet)
    if not path.exists():
        return None
    key = records.raters_key(scale, table, sheet)
    if key is None:
        where = paths.raters_key(scale, table, sheet)
        raise Problem(f"expected the key of {path} in {where}, found none; run: seqflows compare {scale}/{table}")
    verdicts = _verdicts(path, key["draw"], len(key["a"]))
    counts: Counter[str] = Counter()
    given = [Counter(own[number] for own in verdicts.values()) for number in range(1, len(key["a"]) + 1)]
    for a, votes in zip(key["a"], given, strict=True):
        (verdict, most), *others = votes.most_common()
        alone = verdict != "tie" and not (others and others[0][1] == most)
        counts[(a if verdict == "A" else _other(a)) if alone else TIE] += 1
    agreement = fleiss([[votes[verdict] for verdict in VERDICTS] for votes in given])
    return Judged({part: counts[part] for part in (FIRST, SECOND, TIE)}, tuple(verdicts), agreement)


def _other(system: str) -> str:
    return SECOND if system == FIRST else FIRST


def _verdicts(path: Path, draw: str, count: int) -> dict[str, dict[int, str]]:
    """Rater -> pair -> verdict, checked to be one of each rater on each of ``count`` pairs."""
    found: dict[str, dict[int, str]] = {}
    for number, row in enumerate(_rows(path), 2):
        where = f"line {number} of {path}"
        if row["draw"] != draw:
            raise Problem(
                f"expected verdicts on the draw {draw} in {where}, got {row['draw']!r}; "
                "the texts are others now: judge the present sheet"
            )
        if not row["rater"]:
            raise Problem(f"expected the name of a rater in {where}, got none; fill it in")
        named = {verdict.casefold(): verdict for verdict in VERDICTS}
        verdict = named.get(row["verdict"].casefold())
        if verdict is None:
            what = f"of {row['rater']} on pair {row['pair']}, {', '.join(VERDICTS)}, in {where}"
            got = f"{row['verdict']!r}{near(row['verdict'], VERDICTS)}" if row["verdict"] else "none"
            raise Problem(f"expected a verdict {what}, got {got}; fill it in")
        pair = int(row["pair"]) if row["pair"].isascii() and row["pair"].isdigit() else 0
        if not 1 <= pair <= count:
            raise Problem(f"expected a pair from 1 to {count} in {where}, got {row['pair']!r}; take the line out")
        if pair in found.setdefault(row["rater"], {}):
            raise Problem(f"expected one verdict of {row['rater']} on pair {pair}, got another in {where}; keep one")
        found[row["rater"]][pair] = verdict
    for rater, own in found.items():
        if missing := [str(pair) for pair in range(1, count + 1) if pair not in own]:
            names = ", ".join(missing[:SHOWN]) + (f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else "")
            raise Problem(f"expected a verdict of {rater} on each of {count} pairs in {path}, got none on {names}")
    if not found:
        raise Problem(f"expected verdicts in {path}, found none; fill it in, or take it away")
    return found


def _rows(path: Path) -> list[dict[str, str]]:
    """The rows of a filled sheet, stripped; a spreadsheet's mark of the encoding is no part of them."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            header = list(reader.fieldnames or ())
            rows = [{name: (row.get(name) or "").strip() for name in COLUMNS} for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise Problem(f"expected a csv file in UTF-8 in {path}, got another ({error}); save it as such") from None
    if missing := [name for name in COLUMNS if name not in header]:
        got = ", ".join(header) or "no header"
        raise Problem(f"expected the columns {', '.join(COLUMNS)} in {path}, got {got}; add {', '.join(missing)}")
    return rows
