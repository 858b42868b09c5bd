"""Beam search against all texts, for decoders whose next score depends on everything written before."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import pytest
import torch

from seqflows.models.search import Found, beam_search, chosen, ranked, repeats, sampled

SYMBOLS, END = 3, 2


class Memory:
    """A decoder of which every prefix has scores of its own, by a table for each of ``count`` sequences."""

    def __init__(self, count: int, seed: int = 0) -> None:
        self.seed, self.prefixes = seed, [(sequence,) for sequence in range(count)]

    @staticmethod
    def table(prefix: tuple[int, ...], seed: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(hash((seed, *prefix)) % 2**31)
        return torch.randn(SYMBOLS, generator=generator, dtype=torch.float64).log_softmax(-1)

    def scores(self) -> torch.Tensor:
        return torch.stack([self.table(prefix, self.seed) for prefix in self.prefixes])

    def select(self, places: torch.Tensor) -> None:
        self.prefixes = [self.prefixes[place] for place in places.tolist()]

    def advance(self, candidates: torch.Tensor) -> None:
        self.prefixes = [(*p, c) for p, c in zip(self.prefixes, candidates.tolist(), strict=True)]


def _total(sequence: int, text: tuple[int, ...], seed: int = 0) -> float:
    prefixes = [(sequence, *text[:step]) for step in range(len(text))]
    return sum(float(Memory.table(p, seed)[symbol]) for p, symbol in zip(prefixes, text, strict=True))


def _texts(steps: int, end: int | None) -> list[tuple[int, ...]]:
    found = set()
    for text in itertools.product(range(SYMBOLS), repeat=steps):
        found.add(text[: text.index(end) + 1] if end in text else text)
    return sorted(found)


@pytest.mark.parametrize("end", (None, END))
def test_a_beam_as_wide_as_all_texts_finds_the_best(end):
    found = beam_search(Memory(4), 4, SYMBOLS**4, 4, end)
    for sequence in range(4):
        totals = {text: _total(sequence, text) for text in _texts(4, end)}
        best = max(totals, key=totals.get)
        place = int(found.totals[sequence].argmax())
        assert float(found.totals[sequence, place]) == pytest.approx(totals[best])
        text = tuple(found.candidates[sequence, place].tolist())
        assert text[: len(best)] == best and set(text[len(best) :]) <= {end}
        assert found.lengths[sequence, place] == len([symbol for symbol in best if symbol != end])


def test_a_beam_of_one_is_greedy():
    found = beam_search(Memory(5), 5, 1, 6)
    for sequence in range(5):
        text = ()
        for _ in range(6):
            text = (*text, int(Memory.table((sequence, *text), 0).argmax()))
        assert tuple(found.candidates[sequence, 0].tolist()) == text
        assert float(found.totals[sequence, 0]) == pytest.approx(_total(sequence, text))


@pytest.mark.parametrize("beam", (1, 2, 5))
def test_sequences_do_not_affect_each_other(beam):
    together = beam_search(Memory(6), 6, beam, 5, END)
    for sequence in range(6):
        alone = Memory(6)
        alone.prefixes = [(sequence,)]
        apart = beam_search(alone, 1, beam, 5, END)
        steps = apart.candidates.shape[-1]  # the search alone stops when its own texts are complete
        assert torch.equal(together.candidates[sequence, :, :steps], apart.candidates[0])
        assert torch.equal(together.totals[sequence], apart.totals[0])
        assert (together.candidates[sequence, :, steps:] == END).all()


def test_totals_are_those_of_the_texts_and_no_text_is_found_twice():
    found = beam_search(Memory(3, seed=4), 3, 4, 5, END)
    for sequence in range(3):
        texts = []
        for text, length, total in zip(*(part[sequence] for part in found), strict=True):
            own = tuple(text.tolist())
            own = own[: length + 1] if length < len(own) else own
            assert float(total) == pytest.approx(_total(sequence, own, seed=4))
            texts.append(own)
        assert len(set(texts)) == len(texts)


def test_the_search_stops_when_all_texts_are_complete():
    class Short(Memory):
        calls = 0

        def scores(self):
            self.calls += 1
            scores = torch.full((len(self.prefixes), SYMBOLS), -torch.inf, dtype=torch.float64)
            scores[:, END if self.calls > 2 else 0] = 0.0
            return scores

    decoder = Short(2)
    found = beam_search(decoder, 2, 1, 50, END)
    assert decoder.calls == 3 and found.lengths.tolist() == [[2], [2]]


def test_the_chosen_text_is_the_best_a_word_without_a_repeated_trigram():
    candidates = torch.tensor([[[4, 5, END], [4, END, END], [4, 5, 6]]])
    found = Found(candidates, torch.tensor([[2, 1, 3]]), torch.tensor([[-3.0, -1.8, -4.2]]))
    assert chosen(found, candidates) == [[4]]  # -1.0, -0.9, -1.05 a word
    texts = torch.tensor([[[4, 5, 6, 4, 5, 6], [4, 5, 6, 7, 5, 6]]])
    found = Found(texts, torch.tensor([[6, 6]]), torch.tensor([[-1.0, -7.9]]))
    assert chosen(found, texts) == [[4, 5, 6, 7, 5, 6]]  # by less than a whole REPEATED
    found = Found(texts, torch.tensor([[6, 6]]), torch.tensor([[-1.0, -8.1]]))
    assert chosen(found, texts) == [[4, 5, 6, 4, 5, 6]]


def test_trigrams():
    assert not repeats([]) and not repeats([1, 1]) and not repeats([1, 2, 3, 2, 1])
    assert repeats([1, 1, 1, 1]) and repeats([9, 1, 2, 3, 8, 1, 2, 3])


def test_drawn_texts_have_their_probabilities():
    """Of every text up to three symbols, at a temperature, for two sequences."""
    torch.manual_seed(0)
    draws = 4000
    for temperature in (1.0, 0.5):
        found = sampled(Memory(2), 2, draws, 3, END, temperature)
        assert found.candidates.shape[:2] == found.lengths.shape == found.totals.shape == (2, draws)
        for sequence in range(2):
            wanted = {}
            for text in _texts(3, END):
                prefixes = [(sequence, *text[:step]) for step in range(len(text))]
                rows = [(Memory.table(prefix, 0) / temperature).softmax(-1) for prefix in prefixes]
                wanted[text] = math.prod(float(row[symbol]) for row, symbol in zip(rows, text, strict=True))
            assert sum(wanted.values()) == pytest.approx(1)
            rows = [tuple(row) for row in found.candidates[sequence].tolist()]
            cut = [row[: row.index(END) + 1] if END in row else row for row in rows]
            counts = Counter(cut)
            assert set(counts) <= set(wanted)
            for text, p in wanted.items():
                assert abs(counts[text] / draws - p) < 5 * math.sqrt(p * (1 - p) / draws) + 1e-9, text
            assert float(found.totals[sequence, 0]) == pytest.approx(_total(sequence, cut[0]))
            assert all(size == len([s for s in text if s != END]) for text, size in
                       zip(cut, found.lengths[sequence].tolist(), strict=True))  # fmt: skip


def test_the_best_texts_are_different_and_in_order():
    found = beam_search(Memory(3), 3, SYMBOLS**3, 3, END)
    for row, best in zip(ranked(found, found.candidates, 3), chosen(found, found.candidates), strict=True):
        assert row[0] == best and len({tuple(text) for text in row}) == 3
    rated = (found.totals / (found.lengths + 1)).sort(-1, descending=True).values
    for sequence, row in enumerate(ranked(found, found.candidates, 2)):
        for text, wanted in zip(row, rated[sequence, :2].tolist(), strict=True):
            ended = (*text, END) if len(text) < 3 else tuple(text)
            assert _total(sequence, ended) / (len(text) + 1) == pytest.approx(wanted)
    few = beam_search(Memory(1), 1, 1, 3, END)
    assert ranked(few, few.candidates, 3) == [[chosen(few, few.candidates)[0]] * 3]
