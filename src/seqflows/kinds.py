"""The kinds of data: a table with one row per kind.

A new kind is a row here, and three modules that the row names, `load` imports, and kinds may share:

- ``data``: ``prepare(block, raw, source, dataset) -> Prepared``, from raw files to a prepared dataset;
- ``evaluation``: ``score(model, dataset, settings, task) -> Records``, every metric of one seed;
- ``report``: the page of its results.
"""

from __future__ import annotations

import importlib
import math
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from seqflows.errors import Problem
from seqflows.names import near

SPLITS = ("train", "valid", "test")  # of a dataset of any kind


@dataclass(frozen=True)
class Kind:
    """A row of the table."""

    name: str  # ``kind`` of datasets in params.yaml
    # The type of a symbol: categorical, bernoulli, real, embedded (a token with a vector), conditional (a word given a
    # context), pieces (likewise, of subwords), span (of a context) or chosen (one of several answers, given a context)
    emission: str
    data: str  # the module that prepares it
    evaluation: str  # the module that scores it
    report: str  # the module of its page
    unit: str  # of its scores
    symbols: int  # about as many as real data have, to estimate a model's size without the data
    nats: float = 1.0  # nats per unit
    headline: str = "nll"  # the main metric of a run
    ids: bool = True  # whether symbols are indices into a vocabulary (int64); else numbers (float32)
    loss_per_symbol: bool = False  # whether training divides a sequence's loss by T + 1, its length being a symbol
    score_per_symbol: bool = False  # whether scores contain -log p(T) and are divided by T + 1
    literature: bool = False  # whether the NLL is also given as in the literature, without -log p(T), divided by T
    counted: bool = False  # whether sequences are types with counts, drawn by frequency in training
    conditional: bool = False  # whether each sequence has a context that models condition on
    lines: bool = False  # whether these contexts are passages of lines, about which questions are answered
    compared: str = ""  # the file of a seed's evaluation with texts or answers, which the stage compare reads
    validation_batch: int = 64  # sequences

    @property
    def writes(self) -> bool:
        """Whether its models write a text for each context."""
        return self.conditional and not self.lines


KINDS = {kind.name: kind for kind in (
    Kind("text", emission="categorical", symbols=50,
         data="seqflows.data.kinds.text", evaluation="seqflows.evaluation.kinds.sequences",
         report="seqflows.report.pages.sequences", unit="bpc", nats=math.log(2),
         loss_per_symbol=True, score_per_symbol=True),
    Kind("music", emission="bernoulli", symbols=88, ids=False,
         data="seqflows.data.kinds.music", evaluation="seqflows.evaluation.kinds.sequences",
         report="seqflows.report.pages.sequences", unit="nats/step", literature=True,
         loss_per_symbol=True, score_per_symbol=True),
    Kind("vectors", emission="real", symbols=2, ids=False,
         data="seqflows.data.kinds.vectors", evaluation="seqflows.evaluation.kinds.sequences",
         report="seqflows.report.pages.sequences", unit="nats", loss_per_symbol=True),
    Kind("words", emission="categorical", symbols=28,
         data="seqflows.data.kinds.words", evaluation="seqflows.evaluation.kinds.words",
         report="seqflows.report.pages.words", unit="nats/word", headline="cross_entropy_test",
         counted=True, validation_batch=1024),
    Kind("language", emission="embedded", symbols=4,
         data="seqflows.data.kinds.language", evaluation="seqflows.evaluation.kinds.language",
         report="seqflows.report.pages.language", unit="bits/dim"),
    Kind("pairs", emission="conditional", symbols=8000,
         data="seqflows.data.kinds.pairs", evaluation="seqflows.evaluation.kinds.pairs",
         report="seqflows.report.pages.pairs", unit="nats/word", conditional=True, compared="texts.json"),
    Kind("translation", emission="pieces", symbols=6000,
         data="seqflows.data.kinds.translation", evaluation="seqflows.evaluation.kinds.translation",
         report="seqflows.report.pages.translation", unit="nats/piece", conditional=True,
         compared="texts.json"),
    Kind("spans", emission="span", symbols=30000,
         data="seqflows.data.kinds.spans", evaluation="seqflows.evaluation.kinds.spans",
         report="seqflows.report.pages.spans", unit="%", headline="f1", conditional=True, lines=True,
         compared="answers.json", validation_batch=32),
    Kind("choices", emission="chosen", symbols=8000,
         data="seqflows.data.kinds.choices", evaluation="seqflows.evaluation.kinds.choices",
         report="seqflows.report.pages.choices", unit="%", headline="accuracy", conditional=True, lines=True,
         compared="scores.csv"),
)}  # fmt: skip


def of(name: Any) -> Kind:
    """The row of a kind; an unknown name is a `Problem`."""
    if name not in KINDS:
        raise Problem(f"expected a kind of data among {', '.join(KINDS)}, got {name!r}{near(name, KINDS)}")
    return KINDS[name]


def divisors(lengths: Any, per_symbol: bool) -> Any:
    """The divisors of sequences of ``lengths`` (numpy or torch): T + 1, counting the length as a symbol, or 1.

    >>> import numpy as np
    >>> divisors(np.array([2, 5]), True).tolist(), divisors(np.array([2, 5]), False).tolist()
    ([3, 6], [1, 1])
    """
    return lengths + 1 if per_symbol else 0 * lengths + 1


def load(name: str) -> ModuleType:
    """Import a module named by a row."""
    return importlib.import_module(name)
