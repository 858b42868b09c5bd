"""A project folder for the tests of comparisons, and a METEOR that costs nothing."""

from __future__ import annotations

import numpy as np
import pytest

import compared
from seqflows.textscores import meteor


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty project folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Light:
    """In the place of METEOR: a text's score is the share of the reference's words that it has."""

    starts = 0

    def __enter__(self):
        Light.starts += 1
        self.known = {}
        return self

    def __exit__(self, *_):
        pass

    def statistics(self, hypothesis, reference):
        counted = np.zeros(meteor.COUNTS)
        words, wanted = hypothesis.split(), reference.split()
        both = len({*words} & {*wanted})
        counted[[0, 1, 4, 5, 21, 22]] = len(words), len(wanted), both, both, both, both
        self.known[hypothesis, reference] = counted
        return counted

    def score(self, hypotheses, references):
        return float(meteor.scores(sum(self.known[pair] for pair in zip(hypotheses, references, strict=True))))


@pytest.fixture
def light(monkeypatch):
    """Comparisons without Java; ``light.starts`` counts the starts."""
    Light.starts = 0
    monkeypatch.setattr(meteor, "Meteor", Light)
    return Light


@pytest.fixture
def world(place, light):
    """Three evaluated runs; the texts that they wrote by run and seed."""
    return compared.write_all()
