"""What a real source is, where that bears on the numbers: a line for each dataset of a table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from seqflows.report.cells import Cell
from seqflows.report.inputs import Results, Summary, kept_training, paper_settings
from seqflows.report.page import Strong, Text
from seqflows.report.plots.common import SOURCES

LACKING = "TVQA's subtitles are not to be had: "
NOTHING_SAID = "nothing is concluded from it about the paper"
TRANSLATED = (
    "not WMT16's training data, Europarl and SETIMES, which are not to be had, but human translations that public "
    "files have: RO-STS, MLQE-PE (detokenised), Tatoeba, NTREX-128 and FLORES-101 devtest, test sets of other tasks "
    "among them; not the questions of XQuAD, which are of SQuAD's development set, on which readers of "
    "back-translated contexts are tested"
)
OF_SOURCES = {
    "squad-questions": "the training questions are those whose paragraphs public files have; the rest of SQuAD's "
    "training paragraphs is not to be had",
    "squad-answers": "the training questions are drawn from those whose paragraphs public files have; the rest of "
    "SQuAD's training paragraphs is not to be had",
    "tvqa-questions": f"{LACKING}these are TVQA's questions, whose words repeat far more; {NOTHING_SAID}",
    "tvqa-descriptions": f"{LACKING}a clip's context is five descriptions by people, those nearest to the question "
    f"first; {NOTHING_SAID}",
    "tvqa-choices-descriptions": f"{LACKING}the lines of a clip are five timed descriptions of it by people, and "
    f"TVQA+'s validation questions are for training too, split by clip; {NOTHING_SAID}",
    "wmt16-roen-extra": TRANSLATED,
    "wmt16-roen-extra-l10n": f"{TRANSLATED}; with manuals and program messages, another domain",
}


class Numbered(Protocol):
    """What a page shows a number of: a cell, or a candidate of a task."""

    run: str
    summary: Summary | None


def lines(
    results: Results, made: Sequence[Numbered], *, counted: bool = True, sizes: Callable[[str], str] = lambda _: ""
) -> list[Text]:
    """A line for each dataset of a table: its size, ``sizes`` of its kind and, if it is not the paper's, what it is."""
    summaries = [cell.summary for cell in made if cell.summary]
    found: list[Text] = []
    for name in dict.fromkeys(results.dataset(cell.run) for cell in made if cell.run):
        line = f"corpus {described(results, name, summaries, counted=counted)}{sizes(name)}"
        said = OF_SOURCES.get(results.source(name), "")
        if results.stand_in(name):
            found.append((f"{line}: ", Strong("stand-in"), f"; {said}"))
        else:
            found.append(f"{line}: {said}" if said else line)
    return found


def described(results: Results, dataset: str, summaries: Sequence[Summary] = (), *, counted: bool = True) -> str:
    """``ptb = embedded-text (embedded; 200 test sequences; sha256 0123456789ab)``, with the number if ``counted``."""
    facts = ["embedded" if results.embedded(dataset) else "real"]
    found: dict[str, str] = {}  # sha256 -> sequences, of rows of earlier data too, which say so
    for summary in summaries:
        if summary.dataset == dataset:
            found.setdefault(summary.dataset_sha256[:12], str(summary.sequences))
    if found:
        facts += [f"{' or '.join(dict.fromkeys(found.values()))} test sequences"] if counted else []
        facts += [f"sha256 {' or '.join(found)}"]
    return f"{dataset} = {results.source(dataset)} ({'; '.join(facts)})"


def titled(results: Results, title: str, made: Sequence[Cell]) -> str:
    """The title of a table, with a word if all of its data stand in for the paper's."""
    names = [results.dataset(cell.run) for cell in made if cell.run]
    return f"{title} (stand-in)" if names and all(map(results.stand_in, names)) else title


def other(results: Results, runs: Iterable[str]) -> str:
    """What some runs are trained on that is not the paper's; "" if all is.

    ``Penn Treebank, 8,000 of 41,740 training sequences, of at most 120 symbols, not 288; A in place of B``
    """
    first = {results.dataset(run): run for run in reversed(list(runs))}
    found: dict[str, None] = {}
    for dataset in reversed(first):
        ours, theirs = results.source(dataset), paper_settings().get(first[dataset], {}).get("source")
        name, wanted = (SOURCES.get(source, source) for source in (ours, theirs))
        if theirs in (None, ours):
            text = _fewer(results, dataset)
            found |= {f"{name}, {text}": None} if text else {}
        else:
            found[f"a part of {name}" if name == wanted else f"{name} in place of {wanted}"] = None
    return "; ".join(found)


def _fewer(results: Results, dataset: str) -> str:
    """How the training half differs from scale paper's, by what `keep` put beside the results."""
    here, there = (kept_training(scale, dataset) for scale in (results.scale, "paper"))
    parts = []
    if here and there and here["sequences"] < there["sequences"]:
        parts.append(f"{here['sequences']:,} of {there['sequences']:,} training sequences")
    if here and there and here["longest"] < there["longest"]:
        parts.append(f"of at most {here['longest']} symbols, not {there['longest']}")
    return ", ".join(parts)
