"""``keep <scale>``: copy the records of runs, speeds, texts, comparisons and datasets beside the tables.

With ``--add`` the seeds here join those that are kept, which another machine may have trained. Models, samples and data
are not kept. metrics.json, and each seed's history.csv and train.json, document how a number was made (`records.keep`
puts them in one file per run, with the NLL of each sequence); a dataset's statistics.json, with its sha256, identifies
the data, so that numbers of earlier data are detected. Of an evaluation's files the small ones in `DRAWN` are kept; the
grids of Figures 5 and 6 are not. The texts or answers of a test set are kept, so that what another machine trains can
be compared with them; their sha256 is in the record. Of a sheet for raters the page is kept, from which a clone can be
judged, unless it is larger than `PAGE`: 200 pairs with contexts of 128 words have 0.2 MB. Its csv has the same pairs
and is not kept, since the page exports one.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from seqflows import files, kinds, paths, records
from seqflows.errors import Problem
from seqflows.params import Params, sheets
from seqflows.report import gaps
from seqflows.report.inputs import Mean, Results, matrix, packed, seed_folders, unpacked

DRAWN = {"conditionals": "conditionals.json", "gap_lengths": "gaps.csv", "entropies": "gaps.csv"}  # by kind of figure
PAGE = 300_000  # bytes of the largest page of a sheet for raters that is kept


def run(scale: str, add: bool = False, fewer: bool = False) -> tuple[list[str], list[str]]:
    """Copy the records of all runs with numbers and the statistics of prepared data; return the names of each.

    With ``add`` the seeds of a run here join those of its kept record, which another machine may have trained. With
    ``fewer`` a record here may replace one of the same settings and data that has more seeds.

    Raises:
        Problem: nothing to keep; seeds that cannot join: of other settings or data, scored otherwise, or the same; or a
            record that has fewer seeds than the kept one.
    """
    known = matrix()
    made = [name for name in known.runs if paths.metrics(scale, name).exists()]
    data = [name for name in known.datasets if (paths.prepared(scale, name) / "statistics.json").exists()]
    if not made and not data:
        raise Problem(
            f"expected runs with metrics.json in {paths.run(scale, '*')} or datasets in {paths.prepared(scale, '*')}, "
            "found none; evaluate some first"
        )
    results = Results(known, scale)
    contents = {name: records.made(scale, name, _scored(results, name)) for name in made}
    if add:  # before anything is written
        contents = {name: _joined(records.kept(scale, name), content) for name, content in contents.items()}
    elif not fewer:
        for content in contents.values():
            _whole(records.kept(scale, content["run"]), content)
    for name, content in contents.items():
        drawn = _drawn(results, name, content if add else {})
        records.keep(scale, name, content | ({"drawn": drawn} if drawn else {}))
        _keep_written(known, scale, name, add)
    written = [paths.speed(scale, name) for name in known.speeds] + [paths.text(scale, name) for name in known.texts]
    for name, entry in known.comparisons.items():
        keys = [paths.raters_key(scale, name, sheet) for sheet in sheets(entry)]
        written += [paths.compared(scale, name), *keys, *_pages(scale, name, sheets(entry))]
    for path in written:
        if path.exists():
            files.write_text(paths.kept(path), path.read_text(encoding="utf-8"))
    for name in data:
        found = files.read_json(paths.prepared(scale, name) / "statistics.json")
        whole = files.read_json(paths.prepared(scale, name) / "checksums.json")["sha256"]
        files.write_json(paths.statistics(scale, name), found | {"sha256": whole})
    return made, data


def _keep_written(known: Params, scale: str, run: str, add: bool) -> None:
    """Copy what a compared run wrote for its test set; with ``add`` beside what other seeds did."""
    if not add:
        shutil.rmtree(paths.written(scale, run), ignore_errors=True)
    if known.compared(run) is None:
        return
    for path in records.wrote(scale, run, kinds.of(known.kind(run)).compared):
        copy = paths.written(scale, run) / path.relative_to(paths.evaluation(scale, run))
        files.write_bytes(copy, path.read_bytes())


def _pages(scale: str, table: str, named: Iterable[str]) -> list[Path]:
    """The pages for raters that are kept; one of an earlier draw is removed where the present one is too large."""
    found = []
    for path in (paths.raters_page(scale, table, sheet) for sheet in named):
        if not path.exists() or path.stat().st_size <= PAGE:
            found.append(path)
            continue
        paths.kept(path).unlink(missing_ok=True)
        size, most = (f"{count / 1000:,.0f} kB" for count in (path.stat().st_size, PAGE))
        again = f"python -m seqflows compare {scale}/{table}"
        print(f"{path} is not kept: it has {size}, more than {most}; {again} makes it")
    return found


def _scored(results: Results, run: str) -> dict[str, Any]:
    """The kept form of a run's scores."""
    scores = results.scores(run)
    return {"scores": packed(scores)} if scores else {}


def _whole(old: dict[str, Any] | None, new: dict[str, Any]) -> None:
    """Raise `Problem` if a record would replace one of the same settings and data that has seeds that it lacks."""
    if old is None or not old["train"] or not new["train"]:
        return
    first, second = (one["train"][0] for one in (old, new))
    alike = all(first.get(part) == second.get(part) for part in ("config", "dataset_sha256"))
    seeds = [{record["seed"] for record in one["train"]} for one in (old, new)]
    if alike and (lost := sorted(seeds[0] - seeds[1])):
        raise Problem(
            f"expected the seeds of the kept record of {new['scale']}/{new['run']}, {sorted(seeds[0])}, got "
            f"{sorted(seeds[1])}, without {lost}; keep --add joins other seeds to it, keep --fewer replaces it"
        )


def _joined(old: dict[str, Any] | None, new: dict[str, Any]) -> dict[str, Any]:
    """The kept record of a run with the seeds of another: the same training, data and metrics, other seeds."""
    if old is None:
        return new
    seeds = [{record["seed"] for record in one["train"]} for one in (old, new)]
    if both := sorted(seeds[0] & seeds[1]):
        raise _apart(new, "seeds that its kept record does not have", f"{both} in both")
    for what, said in (
        ("settings", lambda one: [record["config"] for record in one["train"]]),
        ("data", lambda one: [record["dataset_sha256"] for record in one["train"]]),
        ("metrics", lambda one: sorted({(row["metric"], row["unit"], row["samples"]) for row in one["metrics"]})),
    ):
        first, second = said(old), said(new)
        if (first[0], first[-1]) != (second[0], second[-1]) if what != "metrics" else first != second:
            raise _apart(new, f"the {what} of its kept record", f"others: {second} for {first}")
    if ("scores" in old) != ("scores" in new):
        raise _apart(
            new, "scores of each sequence in both or neither", f"them in {'old' if 'scores' in old else 'new'}"
        )
    content = old | {name: old[name] + new[name] for name in ("metrics", "train", "history")}
    for name in ("metrics", "train", "history"):
        content[name] = sorted(content[name], key=lambda part: part["seed"])
    if "files" in old or "files" in new:
        content["files"] = (old.get("files") or {}) | (new.get("files") or {})
    if "scores" in old:
        pairs = zip(unpacked(old["scores"]), unpacked(new["scores"]), strict=True)
        shares = [len(some) / (len(seeds[0]) + len(seeds[1])) for some in seeds]
        content["scores"] = packed([Mean(shares[0] * a.nll + shares[1] * b.nll, a.steps) for a, b in pairs])
    return content


def _apart(new: dict[str, Any], expected: str, got: str) -> Problem:
    remedy = "keep without --add, which replaces the record, or train these seeds as it was"
    return Problem(f"expected {expected} for {new['scale']}/{new['run']}, got {got}; {remedy}")


def _drawn(results: Results, run: str, others: dict[str, Any]) -> dict[str, str]:
    """The sha256 of a run's small files, which are copied beside the record; those of ``others`` stay there."""
    figures = [block for block in results.params.figures.values() if block.get("runs", [None])[0] == run]
    texts = {}
    for name in {DRAWN[block["kind"]] for block in figures if block["kind"] in DRAWN}:
        for seed in seed_folders(paths.evaluation(results.scale, run)):
            if (seed / name).exists():
                path = results.verified(run, seed / name)
                texts[f"{seed.name}/{name}"] = gaps.kept(gaps.read(path)) if name == "gaps.csv" else path.read_text()
    kept = others.get("drawn") or {}
    if not kept:
        shutil.rmtree(paths.drawn(results.scale, run), ignore_errors=True)
    for name, text in texts.items():
        files.write_text(paths.drawn(results.scale, run) / name, text)
    names = sorted({*texts, *kept})
    return {name: files.sha256(paths.drawn(results.scale, run) / name) for name in names}
