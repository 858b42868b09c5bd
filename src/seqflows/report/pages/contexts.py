"""The rewritten contexts that a table's rows are also trained with: what generators wrote, and what the filter kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from seqflows import paths, records
from seqflows.config.rewrites import PRINTED
from seqflows.report.cells import NOTHING, Cell
from seqflows.report.comparisons import Comparison, spread
from seqflows.report.inputs import Results
from seqflows.report.page import Block, Emphasis, Fact, Facts, Foreign, Paragraph, Strong, Table, Text
from seqflows.report.pages import shared

SAID = {"f1": "F1", "probability": "probability of the right answer"}  # a judge's score
REWRITTEN = {  # by the score, which is that of a kind of data
    "f1": "Rewritten are sentences that hold no answer of the question: an answer's own is never rewritten.",
    "probability": "Rewritten are the lines within the question's time, or the nearest one, whatever they hold; the "
    "clip's other lines stay.",
}
OTHER = "another model"
APART: dict[str, Callable[[Mapping[str, Any]], Any]] = {  # how two trainings of a seed may differ, the outcome last
    "other data": lambda record: record.get("dataset_sha256"),
    "other features": lambda record: record.get("features_sha256"),
    "other settings": lambda record: _settings(record),
    "another processor": lambda record: (record["device"], record.get("device_name")),
    OTHER: lambda record: record["files"][paths.MODEL],
}
EQUAL = "equal to the original"  # counted by generators, and a column of its own


def blocks(results: Results, cells: Sequence[Cell], found: Comparison | None) -> list[Block]:
    """The section on the contexts of a table's augmented rows; nothing without any."""
    if found is None or not found.contexts:
        return []
    runs = {run: label for label, run in shared.runs_of(cells).items()}
    labels = {one["rewriting"]: runs.get(one["run"], one["rewriting"]) for one in found.contexts}
    rows = [(labels[one["rewriting"]], one) for one in found.contexts]
    by = found.contexts[0]["score"]
    score = SAID[by]
    form = (
        f"A context is kept if the baseline's {score} with it is not lower than with the original; the mean over the "
        f"baseline's seeds ± their standard deviation. {REWRITTEN[by]} Changed: the fewest tokens to replace, add or "
        "take out, of all tokens of the longer line. Perplexity: of a trigram model of the training lines, that of the "
        "lines themselves in parentheses."
    )
    if any(one["noise"] for one in found.contexts):
        form += (
            f" Changed at {PRINTED:g}: the same on validation lines at the variance that the paper prints, to compare "
            "generators whose noise differs."
        )
    if any(one["run"] not in runs for one in found.contexts):
        form += " Those with the name of their entry in params.yaml are of no row of this table that was compared."
    if old := [labels[one["rewriting"]] for one in found.contexts if "equality" not in one]:
        form += (
            f" Of an earlier filter, which took a copy in lower case for another text and asked the baseline about it: "
            f"{', '.join(old)}; their shares with another text hold such copies."
        )
    form += _alone(results, runs, found)
    if any(_halves(one) for one in found.contexts):
        form += (
            " Cross-fitted: two baselines, each trained on one half of the training questions, each judge the other "
            "half, so that none has seen a question that it judges."
        )
    made = Table(
        ["generated lines", "changed tokens", "equal lines", "distinct lines", "perplexity", "noise variance",
         f"changed at {PRINTED:g}", "tokens right at noise 0"],
        [[label, *_lines(one)] for label, one in rows],
    )  # fmt: skip
    judged = Table(
        ["contexts", "kept, %", "with another text, %", f"{score}, original", "unfiltered", "questions with one, %",
         "without any"],
        [[label, *_contexts(one)] for label, one in rows],
    )  # fmt: skip
    parts = [Paragraph(form), made, judged, *_by_half(rows), *_counted(rows), *_examples(labels, found)]
    return shared.section("Generated contexts", "", *parts)


def _alone(results: Results, runs: Mapping[str, str], found: Comparison) -> str:
    """Whether the rows of the filter alone, without other texts, are their judge again; "" without such a row.

    They are where the models have the same checksums, over the seeds of both. ``runs`` are the table's labels by run.
    """
    same = [one for one in found.contexts if one["generator"] == "same" and isinstance(one["judge"], str)]
    judges = {one["rewriting"]: one["judge"] for one in same}  # of two, each is trained on a half
    alone = {run: judges.get(results.params.runs[run].get("augmented")) for run in runs}
    text = ""
    for run, judge in ((run, judge) for run, judge in alone.items() if judge):
        first, second = (
            {one.seed: one.record for one in records.trained(results.scale, name)} for name in (judge, run)
        )
        both = [seed for seed in first if seed in second]
        other = [what for what, part in APART.items() if any(part(first[seed]) != part(second[seed]) for seed in both)]
        if both and OTHER not in other:
            text += " The filter alone, without other texts, leaves the baseline's training as it is, to the last bit."
        elif both:
            named = " and ".join(other[:-1]) or "something other that no record has"
            text += (
                f" “{runs[run]}”, without other texts, would be “{runs.get(judge, judge)}” again, to the last bit, had "
                f"it not been trained with {named}: the two are not comparable."
            )
    return text


def _settings(record: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a training, but for its other contexts."""
    config = {part: value for part, value in record["config"].items() if part != "augmented"}
    return config | {"training": {part: value for part, value in config["training"].items() if part != "replace"}}


def _percent(one: Mapping[str, Any], part: str) -> str:
    """A number of the filter over the judge's seeds: the mean ± the standard deviation, in percent."""
    values = [seed[part] for seed in one["seeds"] if seed[part] is not None]
    if not values:
        return NOTHING
    mean, std = spread(values)
    return f"{100 * mean:.1f}" + ("" if std is None else f" ± {100 * std:.1f}")


def _lines(one: Mapping[str, Any]) -> Iterable[Text]:
    """Numbers of a generator's lines."""
    numbers, noise = one["numbers"], one["noise"]
    outside = ", outside the tuned band" if noise.get("within") is False else ""
    yield f"{100 * numbers['changed']:.1f} %{outside}"
    yield f"{100 * numbers['equal']:.1f} %"
    yield f"{100 * numbers['distinct']:.1f} %"
    yield f"{numbers['perplexity']:.1f} ({numbers['perplexity_of_originals']:.1f})"
    if not noise:
        yield from (NOTHING, NOTHING, NOTHING)
        return
    yield f"{noise['variance']:g}" + (", below the paper's grid" if noise.get("below_the_grid") else "")
    yield f"{100 * noise['changed_at_printed']:.1f} %"
    yield f"{100 * noise['right']:.1f} %"


def _shares(one: Mapping[str, Any]) -> Iterable[Text]:
    """What the filter kept, and the judge's scores, in percent."""
    yield from (_percent(one, part) for part in ("acceptance", "acceptance_changed", "original", "unfiltered", "kept"))


def _contexts(one: Mapping[str, Any]) -> Iterable[Text]:
    """Numbers of the filter."""
    yield from _shares(one)
    yield f"{one['without_candidates']:,} of {one['questions']:,}"


def _halves(one: Mapping[str, Any]) -> list[list[Mapping[str, Any]]]:
    """The numbers of each half of the questions over the seeds; empty of a filter with one judge."""
    return list(zip(*(seed.get("halves", ()) for seed in one["seeds"]), strict=True))


def _by_half(rows: Sequence[tuple[str, Mapping[str, Any]]]) -> list[Block]:
    """What each of two judges kept of the half that it was not trained on."""
    lines = [
        [f"{label}, half {halves[0]['half']}", halves[0]["judge"], *_shares({"seeds": halves}),
         f"{halves[0]['questions']:,}"]
        for label, one in rows
        for halves in _halves(one)
    ]  # fmt: skip
    head = ["contexts of a half", "judge", "kept, %", "with another text, %", "original", "unfiltered",
            "questions with one, %", "questions"]  # fmt: skip
    return [Table(head, lines)] if lines else []


def _counted(rows: Sequence[tuple[str, Mapping[str, Any]]]) -> list[Block]:
    """What generators counted, where it is not nothing, and words that the reader does not know."""
    items: list[Text] = []
    for label, one in rows:
        parts = [f"{count:,} {what}" for what, count in one["exceptions"].items() if count and what != EQUAL]
        parts += [f"{100 * one['unknown']:.1f} % of the words unknown to the reader"] * bool(one["unknown"])
        if parts:
            items.append(f"{label}: {', '.join(parts)}")
    return [Facts(items)] if items else []


def _examples(labels: Mapping[str, str], found: Comparison) -> list[Block]:
    """Training questions with their contexts and one that each generator wrote."""
    items = []
    for one in found.originals:
        question = (Strong("question"), ": ", Foreign(one["question"]), " ", Emphasis(f"({one['answer']})"))
        under: list[Text] = [(Strong("original"), ": ", Foreign(one["context"]))]
        for text in one["texts"]:
            verdict = "kept" if text["kept"] else "not kept"
            under.append((Emphasis(labels[text["rewriting"]]), f", {verdict}: ", Foreign(text["text"])))
        items.append(Fact(question, under))
    if not items:
        return []
    text = "Training questions drawn by the table's name, and for each row the first context with another text:"
    return [Paragraph(text), Facts(items)]
