"""Helpers of several figures: exports, and names of runs, datasets, devices and characters."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from seqflows import paths, records
from seqflows.errors import Problem
from seqflows.report.inputs import EARLIER, Results, devices, seed_folders

BLUE, RED, GREY, ORANGE = "#2a6fbb", "#c8402f", "0.72", "#d98b1f"
NAMES = {
    "lstm": "LSTM", "af_only": "AF-only", "nlsq": "NLSq", "affine": "affine", "tril": "TRIL", "tril2": "2×TRIL",
    "diag": "DIAG", "real_nvp": "REAL-NVP-[2,3,4,5,6,7]", "gru8": "BASELINE-8D", "gru16": "BASELINE-16D",
    "gru210": "GRU, 210 units",
    "att_c": "Att-C", "att_s": "Att-S", "att_ar": "Att-AR", "rnn_c": "RNN-C", "rnn_s": "RNN-S", "rnn_ar": "RNN-AR",
    "codebook": "Codebook", "mixture": "Word mixture",
    "tvqa-lstm": "Bi-LSTM", "squad-lstm": "Bi-LSTM",  # not the LSTM of models of text
}  # fmt: skip
VARIANTS = {
    "both": "BIDI", "inference_tril": "F_q TRIL", "literal": "eq. (11) to the letter",
    "deep": "twice the steps", "single": "one scale", "long": "three times as long",
    "annealing": "KL annealing", "no_annealing": "without KL annealing", "adam": "Adam", "transformer": "Transformer",
    "importance": "importance samples", "filtering": "particle filter", "free": "mixture not tied",
    "few": "fewer components", "af_scf": "AF / SCF", "iaf_scf": "IAF / SCF", "nade": "NADE",
}  # fmt: skip
SOURCES = {
    "ptb": "Penn Treebank", "nottingham": "Nottingham", "piano": "Piano-midi.de", "musedata": "MuseData",
    "jsb": "JSB chorales", "gutenberg-words": "words of Project Gutenberg", "squad-articles": "SQuAD paragraphs",
    "bookscorpus": "words of BooksCorpus", "squad-articles-full": "SQuAD paragraphs",
    "tvqa-questions": "TVQA questions", "tvqa-subtitles": "TVQA subtitles", "squad-questions": "SQuAD questions",
    "squad-questions-full": "SQuAD questions", "tvqa-descriptions": "TVQA+ questions on descriptions (stand-in)",
    "tvqa-questions-subtitles": "TVQA questions", "squad-answers": "SQuAD answers",
    "squad-answers-full": "SQuAD answers", "squad-sentences": "SQuAD sentences",
    "squad-sentences-full": "SQuAD sentences", "tvqa-sentences": "TVR descriptions (stand-in)",
    "tvqa-lines": "TVQA subtitles", "msr-paraphrases": "MSR paraphrases", "wmt16-roen": "WMT16 Romanian-English",
    "wmt16-roen-extra": "public Romanian-English pairs",
    "wmt16-roen-extra-l10n": "public Romanian-English pairs, manuals", "tvqa-choices": "TVQA answers",
    "tvqa-plus-concepts": "TVQA+ answers", "tvqa-choices-descriptions": "TVQA+ answers by descriptions (stand-in)",
}  # fmt: skip
CYCLE = (BLUE, RED, "#3f9b57", ORANGE, "#7d5ba6", "#5c6670", "#c2649a", "#1fa3a3")
# Dashes, for lines that coincide: later lines leave gaps that show earlier ones.
DASHES = ("-", (0, (5, 1.6)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)), (0, (3, 1)), (0, (9, 2.5)), (0, (2, 2.5)))
MARKERS = "osD^vPX*"


def export(results: Results, run: str, name: str, *, named: bool = True) -> Path:
    """A file of evaluate for the run's first seed; exports need an entry in the evaluation block."""
    folder = paths.evaluation(results.scale, run)
    for seed in seed_folders(folder):
        if (seed / name).exists():
            return results.verified(run, seed / name)
    if not records.here(results.scale, run):
        remedy = f"kept records lack it, so train {results.scale}/{run} here and "
    else:
        remedy = "name its export in the run's evaluation block and " if named else ""
    again = f"python -m seqflows evaluate {results.scale}/{run}"
    raise Problem(f"expected {folder}/seed-*/{name}, found none; {remedy}run: {again}")


def origin(results: Results, runs: Iterable[str]) -> str:
    """The devices of some runs, from their metrics, and which of the runs are of earlier settings.

    Without a run of earlier settings these alone: ``cpu``; else ``cpu · of earlier settings: ptb-af_only``.
    """
    every = list(dict.fromkeys(runs))
    used = devices(summary for run in every for summary in (results.metrics(run) or {}).values())
    old = [run for run in every if results.earlier(run)]
    named = f"all runs {EARLIER}" if len(old) == len(every) else f"{EARLIER}: {', '.join(old)}"
    return f"{used} · {named}" if old else used


def setting(results: Results, run: str, name: str) -> Any:
    """A setting of a run's model block at this scale, or None."""
    return ((results.params.runs[run].get(results.scale) or {}).get("model") or {}).get(name)


def corpus_label(results: Results, dataset: str) -> str:
    """A dataset's proper name at this scale; its key if embedded, with the variant if it is one."""
    if results.embedded(dataset):
        return f"{dataset} (embedded)"
    source = results.source(dataset)
    return ", ".join(part for part in (SOURCES.get(source, source), dataset.partition("_")[2]) if part)


def visible(character: str) -> str:
    """A character as a label: the space as an open box."""
    return "\u2423" if character == " " else character


def label(run: str) -> str:
    """A run as the paper names its model.

    >>> label("ptb-af_af"), label("nottingham-lstm"), label("ptb-af_af-no_annealing")
    ('AF / AF', 'LSTM', 'AF / AF, without KL annealing')
    >>> label("words-tril-s16-filtering"), label("words-tril2-k10-both"), label("words-gru8")
    ('TRIL, 16 dimensions, particle filter', '2×TRIL, K=10, BIDI', 'BASELINE-8D')
    >>> label("squad-att_s-long"), label("squad-rnn_ar"), label("squad-lstm")
    ('Att-S, three times as long', 'RNN-AR', 'Bi-LSTM')
    >>> label("words-hmm256"), label("ptb-codebook-af_scf")
    ('HMM, 256 states', 'Codebook, AF / SCF')
    """
    name, *variants = run.partition("-")[2].split("-")
    states = re.fullmatch(r"hmm(\d+)", name)
    own = f"HMM, {states[1]} states" if states else NAMES.get(run) or NAMES.get(name)
    shown = own or " / ".join(part.upper() for part in name.split("_"))
    return ", ".join([shown, *(variant(text) for text in variants)])


def variant(text: str) -> str:
    """A part of a run's name after its model: proposals, dimensions of the state, or another change of the default."""
    counted = re.sub(r"^s(\d+)$", r"\1 dimensions", re.sub(r"^k(\d+)$", r"K=\1", text))
    return VARIANTS.get(text) or counted.replace("_", " ")


def cut(above: Any, below: Any) -> None:
    """Mark two strokes where the axis of values is interrupted between two panels, and keep the lower one's ticks."""
    for axis, edge in ((above, 0), (below, 1)):
        axis.plot(
            [0], [edge], transform=axis.transAxes, marker=[(-1, -0.6), (1, 0.6)], markersize=8, ls="none", color="k",
            mew=0.8, clip_on=False,
        )  # fmt: skip
    above.spines["bottom"].set_visible(False)
    above.tick_params(axis="x", which="both", bottom=False, labelbottom=False)
