"""The files of a scale as values: metrics over seeds, scores of sequences, source entropies, corpora.

Every reader returns None for missing files and raises `Problem` for malformed ones.
"""

from __future__ import annotations

import csv
import dataclasses
import functools
import math
import statistics
import struct
import zlib
from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from seqflows import files, kinds, metrics, params, paths, records
from seqflows.errors import Problem
from seqflows.names import near
from seqflows.report import comparisons
from seqflows.report.comparisons import Comparison, Judged, Pair
from seqflows.report.papers import base as papers
from seqflows.report.settings import settings
from seqflows.report.settling import SMALL, remainder

SILENT = "not said"  # a setting that the paper does not state
FLOW_SIZE = "flow_parameters"
SIZE, NEAR = "parameters", 0.1  # what a paper may state instead of widths, and the tolerance


def matrix() -> Any:
    """The validated params.yaml (`seqflows.params.Params`)."""
    return params.load()


EXACT, IMPORTANCE, TRAJECTORIES = "the chain rule", "importance sampling", "prior trajectories"  # of cross entropies
HALF = "cross_entropy_test_half"  # in records by importance sampling, beside the headline
EARLIER = "of earlier settings"  # or of other data: what `Results.stale` finds, in short
BESIDE = ("laptop", "paper")  # scales of the same data
STAND_INS = (
    "tvqa-questions",
    "tvqa-descriptions",
    "tvqa-choices-descriptions",
)  # real sources of other text than the paper's, which is not to be had


@dataclass(frozen=True)
class Summary:
    """One metric of one run over its seeds, with the signature of its records.

    Attributes:
        value: mean over seeds, in ``unit``.
        std: sample standard deviation over seeds (divisor n - 1); None with one seed.
        standard_error: of the mean over test sequences, one seed's (root mean square over seeds), or None.
            All seeds are scored on the same sequences, so more seeds do not reduce it; for words
            (``own_draws``) it is the error of one seed's draws.
    """

    run: str
    metric: str
    unit: str
    value: float
    std: float | None
    standard_error: float | None
    seeds: tuple[int, ...]
    samples: int | None
    sequences: int | None
    dataset: str
    dataset_sha256: str
    revision: str
    config_hash: str
    device: str
    features_sha256: str = ""  # of the contexts' features that it was scored on, if its data have some

    @property
    def own_draws(self) -> bool:
        """Whether each seed's estimate has separate draws (trajectories, generated words), not the test sequences."""
        row = metrics.find(self.metric)
        return row is not None and row.own_draws

    def times(self, factor: float) -> Summary:
        """The same in another unit, of which one is ``factor`` of this."""
        scaled = {
            part: None if (value := getattr(self, part)) is None else value * factor
            for part in ("value", "std", "standard_error")
        }
        return dataclasses.replace(self, **scaled)

    @property
    def error(self) -> float:
        """Standard error of ``value``: over seeds and over the sequences that they share.

        With separate draws per seed, the spread over seeds includes their error.
        """
        if self.std is None:
            return self.standard_error or 0.0
        seeds = self.std / math.sqrt(len(self.seeds))
        return seeds if self.own_draws else math.hypot(self.standard_error or 0.0, seeds)


class Trained(NamedTuple):
    """A seed's training: its block of params.yaml, and the rate of each epoch from history.csv."""

    settings: Mapping[str, Any]
    rates: tuple[str, ...]


class Score(NamedTuple):
    """A test sequence's NLL and the -log p(T) in it, nats, and its length."""

    nll: float
    length_nats: float
    length: float


class Mean(NamedTuple):
    """A test sequence's NLL over seeds, nats, and its divisor: T + 1, or 1 for vectors and language."""

    nll: float
    steps: float


def means(seeds: Sequence[Sequence[Score]], vectors: bool) -> list[Mean]:
    """The mean of each sequence over seeds, in float32 as kept; for vectors and language without log p(T)."""
    found = []
    for scores in zip(*seeds, strict=True):
        nll = math.fsum(score.nll - score.length_nats * vectors for score in scores) / len(scores)
        found.append(Mean(nll, 1.0 if vectors else scores[0].length + 1))
    return unpacked(packed(found))


def packed(found: Sequence[Mean]) -> dict[str, str]:
    """The columns of means as kept: little-endian float32, zlib, base64."""
    columns = zip(Mean._fields, zip(*found, strict=True), strict=True)
    return {
        name: b64encode(zlib.compress(struct.pack(f"<{len(values)}f", *values))).decode() for name, values in columns
    }


def unpacked(kept: Mapping[str, str]) -> list[Mean]:
    """The inverse of `packed`."""
    columns = [
        [value for (value,) in struct.iter_unpack("<f", zlib.decompress(b64decode(kept[name])))]
        for name in Mean._fields
    ]
    return [Mean(*row) for row in zip(*columns, strict=True)]


def summarise(run: str, metric: str, records: list[Mapping[str, Any]]) -> Summary:
    """Join the records of one metric, one per seed; a field that differs between seeds becomes 'a, b'."""
    values = [float(record["value"]) for record in records]
    errors = [record.get("standard_error") for record in records]
    known = [float(error) for error in errors if error is not None]
    units = {record["unit"] for record in records}
    if len(units) != 1:
        raise Problem(f"expected one unit for {metric} in the metrics of {run}, got {', '.join(sorted(units))}")

    mean, std = comparisons.spread(values)

    def joined(field: str) -> str:
        return ", ".join(dict.fromkeys(str(record.get(field, "")) for record in records))

    return Summary(
        run=run,
        metric=metric,
        unit=units.pop(),
        value=mean,
        std=std,
        standard_error=math.sqrt(statistics.fmean(error * error for error in known)) if known else None,
        seeds=tuple(int(record["seed"]) for record in records),
        samples=max((record["samples"] for record in records if record.get("samples") is not None), default=None),
        sequences=records[0].get("sequences"),
        dataset=joined("dataset"),
        dataset_sha256=joined("dataset_sha256"),
        revision=joined("revision"),
        config_hash=joined("config_hash"),
        device=joined("device"),
        features_sha256=joined("features_sha256"),
    )


def read_csv(path: Path) -> list[dict[str, str]] | None:
    """The rows of a csv file, or None if it is missing."""
    try:
        with open(path, newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))
    except FileNotFoundError:
        return None


Times = dict[str, dict[int, list[float]]]  # run -> length -> seconds of each repeat


def times(scale: str, name: str) -> tuple[Times, str] | None:
    """The measured seconds of a speed block and its device; None if it was not measured."""
    rows = read_csv(records.recorded(paths.speed(scale, name)))
    if not rows:
        return None
    found: Times = {}
    for row in rows:
        if not math.isfinite(seconds := float(row["seconds"])):
            where = f"{row['run']} at length {row['length']} in {records.recorded(paths.speed(scale, name))}"
            raise Problem(f"expected finite seconds of {where}, got {seconds}; measure it again")
        found.setdefault(row["run"], {}).setdefault(int(row["length"]), []).append(seconds)
    machines = dict.fromkeys(
        f"{_machine(row)}, {row['threads']} thread" + "s" * (row["threads"] != "1") for row in rows
    )
    return found, "; ".join(machines)


def _machine(row: Mapping[str, str]) -> str:
    """``CPU AMD EPYC``: the name of the device of a row, or what it is where the name is not known."""
    name = row.get("device_name")
    return row["device"] if not name else f"CPU {name}" if row["device"] == "cpu" else name


class Results:
    """The outputs of the runs of one scale, each read once."""

    def __init__(self, params: Any, scale: str) -> None:
        self.params, self.scale = params, scale
        self._metrics: dict[str, dict[str, Summary] | None] = {}
        self._files: dict[str, dict[str, str]] = {}
        self._scores: dict[str, list[Mean] | None] = {}
        self._comparisons: dict[str, Comparison | None] = {}
        self._judged: dict[tuple[str, str], Judged | None] = {}
        self._settings: dict[str, dict[str, Any]] = {}
        self._earlier: dict[str, bool] = {}
        self._features: dict[str, str] = {}

    @functools.cached_property
    def beside(self) -> Results | None:
        """The results at the other of the two scales of real data, each read once; None at scale demo."""
        other = {scale: BESIDE[1 - place] for place, scale in enumerate(BESIDE)}.get(self.scale)
        return Results(self.params, other) if other else None

    def metrics(self, run: str) -> dict[str, Summary] | None:
        """Every metric of a run, in the order of its file; None without metrics.json."""
        if run not in self._metrics:
            self._metrics[run] = self._read(run)
        return self._metrics[run]

    def _read(self, run: str) -> dict[str, Summary] | None:
        content = records.metrics(self.scale, run)
        if content is None:
            return None
        grouped: dict[str, list[Mapping[str, Any]]] = {}
        self._files[run] = content.get("files", {})
        compared = self._compared(run)
        for record in [*content["metrics"], *(compared.records.get(run, []) if compared else [])]:
            if record["value"] is not None:
                grouped.setdefault(record["metric"], []).append(record)
        return {metric: summarise(run, metric, records) for metric, records in grouped.items()}

    def comparison(self, table: str) -> Comparison | None:
        """The comparison of a table's systems; None if it was not made."""
        if table not in self._comparisons:
            self._comparisons[table] = comparisons.read(self.scale, table)
        return self._comparisons[table]

    def present(self, table: str) -> Comparison | None:
        """The `comparison` of a table, without the runs that were evaluated anew since."""
        found = self.comparison(table)
        return found and found.without(run for run in found.records if self._other_texts(run, found))

    def _other_texts(self, run: str, made: Comparison) -> bool:
        """Whether a comparison scored other texts of a run than its record lists now."""
        name = kinds.of(self.params.kind(run)).compared
        listed = self._files[run] if self.metrics(run) else {}
        return any(
            listed.get(f"seed-{seed}/{name}", sha256) != sha256 for seed, sha256 in made.texts.get(run, {}).items()
        )

    def _compared(self, run: str) -> Comparison | None:
        """The comparison that a run's scores of texts are from."""
        name = self.params.compared(run)
        return None if name is None else self.comparison(name)

    def pair(self, first: str, second: str, metric: str) -> Pair | None:
        """The gain of a run over another in a score of texts; None unless one comparison has both."""
        made = filter(None, map(self.comparison, self.params.comparisons))
        return next((found for one in made if (found := one.pairs.get((first, second, metric)))), None)

    def judged(self, table: str, sheet: str) -> Judged | None:
        """What raters said of a sheet of a table; None if nobody did."""
        if (table, sheet) not in self._judged:
            self._judged[table, sheet] = comparisons.judged(self.scale, table, sheet)
        return self._judged[table, sheet]

    def lacking(self, run: str, metric: str) -> str:
        """Why a run that was evaluated has no score of its texts, in short and after a colon; "" for other metrics."""
        row, own = metrics.find(metric), self.metrics(run)
        if row is None or not row.compared or own is None or metric in own:
            return ""
        name, found = self.params.compared(run), self._compared(run)
        if name is None:
            return "not compared: params.yaml has no comparison with it"
        if found is None or run not in found.records:
            return f"not compared: run python -m seqflows compare {self.scale}/{name}"
        return f"no {row.heading}: {found.missing.get(metric, 'it was not measured')}"

    def summary(self, run: str, metric: str, *, optional: bool = False) -> Summary | None:
        """One metric of a run; None if the run was not made or compared (or, if ``optional``, lacks the metric)."""
        metrics = self.metrics(run)
        if metrics is None:
            return None
        if metric not in metrics and not optional and not self.lacking(run, metric):
            raise Problem(
                f"expected one of the metrics in {paths.metrics(self.scale, run)} ({', '.join(metrics)}), "
                f"got {metric!r} in params.yaml{near(metric, metrics)}; give a row only the columns that its model has"
            )
        return metrics.get(metric)

    def by_count(self, run: str, metric: str) -> dict[int, Summary]:
        """The estimates of a metric by number of samples K, ``<metric>@<K>``; empty if the run was not made."""
        found = self.metrics(run) or {}
        counts = {int(name.partition("@")[2]): s for name, s in found.items() if name.startswith(f"{metric}@")}
        return dict(sorted(counts.items()))

    def verified(self, run: str, path: Path) -> Path:
        """A file of a run's evaluation, checked against metrics.json, or the kept one; a mismatch is a `Problem`.

        Older records have no list of files and are not checked.
        """
        self.metrics(run)
        folder, listed = paths.evaluation(self.scale, run), self._files.get(run)
        if kept := not path.is_relative_to(folder):
            folder, listed = paths.drawn(self.scale, run), (records.kept(self.scale, run) or {}).get("drawn", {})
        name = path.relative_to(folder).as_posix()
        if (listed or kept) and (found := files.sha256(path)) != listed.get(name):
            wanted = listed.get(name, "of its record, which does not list it")
            raise Problem(
                f"expected {path} with sha256 {wanted}, got {found}; "
                f"run: python -m seqflows evaluate {self.scale}/{run}"
            )
        return path

    def scores(self, run: str) -> list[Mean] | None:
        """Each test sequence's NLL over seeds; None without scores or with unequal seeds.

        Raises `Problem` if scores listed in metrics.json are missing: differences would lose their pairing.
        """
        if run not in self._scores:
            self._scores[run] = self._read_scores(run)
        return self._scores[run]

    def _read_scores(self, run: str) -> list[Mean] | None:
        if not records.here(self.scale, run):
            kept = (records.kept(self.scale, run) or {}).get("scores")
            return unpacked(kept) if kept else None
        found, headline = [], self.summary(run, "nll", optional=True)
        folder = paths.evaluation(self.scale, run)
        listed = [folder / name for name in self._files[run] if name.endswith("/scores.csv")]
        for path in sorted({*listed, *folder.glob("seed-*/scores.csv")}, key=lambda path: records.number(path.parent)):
            if not path.exists():
                raise Problem(
                    f"expected {path}, which {paths.metrics(self.scale, run)} lists, found none; "
                    f"run: python -m seqflows evaluate {self.scale}/{run}"
                )
            rows = read_csv(self.verified(run, path))
            if not rows or not {"index", "length", "nll", "length_nats"} <= set(rows[0]):
                return None
            rows.sort(key=lambda row: int(row["index"]))
            columns = ("nll", "length_nats", "length")
            found.append([Score(*(float(row[column]) for column in columns)) for row in rows])
        if headline is None or not found or len({len(seed) for seed in found}) > 1:
            return None
        return means(found, vectors=headline.unit in ("nats", "bits/dim", "nats/question"))

    def source(self, dataset: str) -> str:
        """The source of a dataset at this scale: embedded-text, ptb, ..."""
        return str(self.params.datasets[dataset][self.scale]["source"])

    def embedded(self, dataset: str) -> bool:
        """Whether a dataset is generated by the project at this scale."""
        return self.source(dataset).startswith("embedded")

    def stand_in(self, dataset: str) -> bool:
        """Whether a dataset has other text than the paper's at this scale, so that nothing is concluded about it."""
        return self.source(dataset) in STAND_INS

    def shares_test(self, run: str) -> bool:
        """Whether a run is scored on the paper's test set: of its source, and as many symbols as at scale paper."""
        dataset = self.dataset(run)
        places = [paths.statistics(scale, dataset) for scale in (self.scale, "paper")]
        if self.source(dataset) != paper_settings().get(run, {}).get("source") or not all(p.exists() for p in places):
            return False
        here, there = (files.read_json(path)["splits"].get("test") for path in places)
        return here is not None and here == there

    def dataset(self, run: str) -> str:
        """The dataset of a run."""
        return str(self.params.runs[run]["dataset"])

    def kind(self, run: str) -> kinds.Kind:
        """The kind of data of a run."""
        return kinds.KINDS[self.params.datasets[self.dataset(run)]["kind"]]

    def trained_on(self, run: str) -> int | None:
        """The sequences that a run was trained on: of a half by its record, else by its dataset's kept statistics."""
        halves = (one.record.get("half") for one in records.trained(self.scale, run))
        if half := next(filter(None, halves), None):
            return int(half["sequences"])
        whole = kept_training(self.scale, self.dataset(run))
        return int(whole["sequences"]) if whole else None

    def settings(self, run: str) -> dict[str, Any]:
        """The settings that a run was trained with, by its record; those of params.yaml if it was not trained."""
        if run not in self._settings:
            made = next((one.record.get("config") for one in records.trained(self.scale, run)), None)
            self._settings[run] = settings(self.params, self.scale, run, made)
        return self._settings[run]

    def differences(self, run: str) -> list[str]:
        """The differences of a run's settings from the paper's: 'latent 16 (paper 50)', ..."""
        ours, theirs = self.settings(run), paper_settings().get(run, {})
        if not theirs:
            return []
        return [
            f"{name} {ours.get(name) or 'none'} (paper {theirs.get(name) or 'none'})"
            for name in dict.fromkeys([*ours, *theirs])
            if name != SIZE and theirs.get(name) not in (SILENT, ours.get(name))
        ] + self._size(run, theirs.get(SIZE))

    def _size(self, run: str, printed: int | None) -> list[str]:
        """``parameters 0.50M (paper 128M)``; empty within a tenth, or if either is unknown.

        Of a flow beside another model the paper states the flow's alone.
        """
        if not printed:
            return []
        flow = self.summary(run, FLOW_SIZE, optional=True)
        made = flow if flow and flow.value else self.summary(run, SIZE, optional=True)
        if made is None or abs(made.value / printed - 1) <= NEAR:
            return []
        what = f"{SIZE} of the flow" if made is flow else SIZE
        return [f"{what} {made.value / 1e6:.2f}M (paper {printed / 1e6:.0f}M)"]

    def unsettled(self, summary: Summary) -> bool:
        """Whether a cross entropy of words has not converged in K for at least one seed."""
        settled = self.summary(summary.run, "settled", optional=True)
        return summary.metric.startswith("cross_entropy_") and settled is not None and settled.value < 1

    def estimator(self, summary: Summary) -> str:
        """The estimator of a cross entropy of words: EXACT, IMPORTANCE, or TRAJECTORIES in older records; else ""."""
        if not summary.metric.startswith("cross_entropy_"):
            return ""
        if not summary.samples:
            return EXACT
        sampled = "@" not in summary.metric and HALF in (self.metrics(summary.run) or {})
        return IMPORTANCE if sampled else TRAJECTORIES

    def trained(self, run: str) -> list[Trained]:
        """The trainings of a run's seeds from their records; without seeds that were not kept."""
        return [
            Trained(
                (seed.record.get("config") or {}).get("training") or {},
                tuple(row.get("learning_rate", "") for row in seed.history),
            )
            for seed in records.trained(self.scale, run)
        ]

    def stale(self, run: str, summary: Summary) -> list[str]:
        """How a number is of other settings or data than the present params.yaml's.

        The present data are those prepared here, of which the number is made anew; without any, those whose statistics
        `keep` put beside the results, if there are such.
        """
        block, found = self.params.run(self.scale, run), []
        if summary.config_hash != files.digest(params.scored(block)):
            found.append("scored under other settings than params.yaml has now")
        dataset = self.dataset(run)
        places = paths.prepared(self.scale, dataset) / "checksums.json", paths.statistics(self.scale, dataset)
        data = next((files.read_json(path).get("sha256") for path in places if path.exists()), None)
        if data and summary.dataset_sha256 != data:
            found.append(f"scored on other data than {dataset} has now")
        if summary.features_sha256 and summary.features_sha256 != self._usual_features(dataset):
            found.append(f"scored on other features than most runs of {dataset}")
        row, compared = metrics.find(summary.metric), self._compared(run)
        if row and row.compared and compared and self._other_texts(run, compared):
            found.append("compared before it was evaluated anew")
        return found

    def _usual_features(self, dataset: str) -> str:
        """The checksum of the features that most runs of a dataset were scored on."""
        if dataset not in self._features:
            runs = [run for run in self.params.runs if self.dataset(run) == dataset and self.metrics(run)]
            first = (next(iter(self.metrics(run).values())) for run in runs)
            counts = Counter(one.features_sha256 for one in first)
            self._features[dataset] = counts.most_common(1)[0][0]
        return self._features[dataset]

    def earlier(self, run: str) -> bool:
        """Whether a number of a run is of other settings or data than the present ones, see `stale`."""
        if run not in self._earlier:  # every claim asks for its runs
            self._earlier[run] = any(self.stale(run, summary) for summary in (self.metrics(run) or {}).values())
        return self._earlier[run]

    def uncommitted(self, run: str) -> bool:
        """Whether a run was trained or scored with changes that no commit has, by its records."""
        revisions = [summary.revision for summary in (self.metrics(run) or {}).values()]
        revisions += [str(seed.record.get("revision")) for seed in records.trained(self.scale, run)]
        return any(files.CHANGED in revision for revision in revisions)

    def outdated(self, run: str, summary: Summary) -> list[str]:
        """How a number differs from the present params.yaml: as in `stale`, or by missing seeds."""
        found = self.stale(run, summary)
        if missing := [seed for seed in self.params.run(self.scale, run)["seeds"] if seed not in summary.seeds]:
            found.append(f"without seed {', '.join(map(str, missing))} of params.yaml")
        return found

    def remarks(self, run: str, summary: Summary) -> list[str]:
        """Remarks on a number: other settings or seeds than in params.yaml, a small K, the estimator."""
        found = self.outdated(run, summary)
        if self.unsettled(summary):
            unit = "importance samples" if self.estimator(summary) == IMPORTANCE else "trajectories"
            found.append(f"cross entropy not settled at {summary.samples} {unit}")
        if (left := remainder(self, summary)) > SMALL:
            found.append(
                f"not settled at {summary.samples} samples: about {left:.2g} lower of infinitely many, "
                "if weights are log-normal"
            )
        if "@" not in summary.metric and self.estimator(summary) == TRAJECTORIES:
            found.append(f"cross entropy by {summary.samples} {TRAJECTORIES}, which lies higher than by {IMPORTANCE}")
        return found


@functools.cache
def paper_settings() -> dict[str, dict[str, Any]]:
    """The settings of each run in the paper or, if it does not state them, in the released code.

    Separate from params.yaml, so that an edit of its scale paper shows as a difference from the paper.
    """
    return papers.settings()


def kept_training(scale: str, dataset: str) -> dict[str, Any]:
    """The statistics of a dataset's training split that `keep` put beside the results; empty if it has not."""
    path = paths.statistics(scale, dataset)
    return files.read_json(path)["splits"]["train"] if path.exists() else {}


def seed_folders(folder: Path) -> list[Path]:
    """The folders seed-<n> of an evaluation by number; the kept ones if the run was not evaluated here."""
    _, scale, run, *_ = folder.parts
    return records.seed_folders(folder if records.here(scale, run) else paths.drawn(scale, run))


def devices(summaries: Iterable[Summary]) -> str:
    """The distinct devices of some summaries."""
    return ", ".join(dict.fromkeys(summary.device for summary in summaries)) or "none"
