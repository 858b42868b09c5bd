"""Rewritten contexts beside their originals, and the section of a page about them."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

import spans
from seqflows import params, paths
from seqflows.comparison import contexts
from seqflows.data.filtered import Augmentation
from seqflows.data.lines import Lines
from seqflows.data.rewritten import Candidates, free_lines
from seqflows.report.cells import Cell
from seqflows.report.markdown import written
from seqflows.report.page import Page
from seqflows.report.pages import contexts as pages

KNOWN = {word: place for place, word in enumerate(spans.vocabulary(12))}


def split_of():
    """A split without features, and a question of which some lines may be replaced."""
    split = spans.split(np.random.default_rng(3), 14, words=11)
    plain = dataclasses.replace(split.contexts.lines, features=None)
    passages = dataclasses.replace(split.contexts, lines=plain)
    split = dataclasses.replace(split, contexts=passages)
    return split, next(index for index in range(14) if passages.free_of(index).any())


def augmented(passages, kept):
    """Two candidates of each free line: the line itself, and other words; the filter kept what is said."""
    free = free_lines(passages)
    texts = [text for line in free for text in (passages.lines.texts[line], "w11 w11")]
    of, number = np.repeat(free, 2), np.tile([0, 1], len(free))
    found = Candidates(Lines.of(texts, KNOWN), of, number, {}, "c" * 64)
    return Augmentation(found, {4: np.tile(kept, (len(passages), 1)), 5: np.ones((len(passages), 2), bool)}, {})


@pytest.mark.parametrize("kept", [[True, False], [False, True]])
def test_beside_an_original_stands_the_first_other_text_with_its_verdict(kept):
    split, index = split_of()
    dataset = SimpleNamespace(train=split, kind="spans")
    found = contexts._beside(dataset, index, {"flow": augmented(split.contexts, np.array(kept))})
    lines = [split.contexts.lines.texts[line] for line in split.contexts.of(index)]
    free = split.contexts.free_of(index)
    assert found["context"] == " ".join(lines) and found["answer"] == split.contexts.answers_of(index)[0]
    (text,) = found["texts"]
    wanted = " ".join("w11 w11" if other else line for line, other in zip(lines, free, strict=True))
    assert text == {"rewriting": "flow", "text": wanted, "seed": 4, "kept": kept[1]}


def test_contexts_that_a_scale_lacks_are_not_told_of_even_if_a_placeholder_is_there(root, tmp_path, monkeypatch):
    matrix, name = params.load(root / "params.yaml"), "squad-language_flow_plus-half_lines"
    monkeypatch.chdir(tmp_path)
    for scale, told in (("demo", {}), ("laptop", {name: None})):
        assert contexts.names(matrix, scale, "tang2021-table9", ["squad-qa"]) == {}
        paths.filtered(scale, name).mkdir(parents=True)
        assert contexts.names(matrix, scale, "tang2021-table9", ["squad-qa"]) == told


MADE = {
    "rewriting": "lines", "run": "flow", "generator": "flow", "equality": "tokens", "score": "f1", "questions": 1200,
    "without_candidates": 3, "unknown": 0.015,
    "exceptions": {"too long": 2, "nothing written": 0, "equal to the original": 9},
    "numbers": {"changed": 0.25, "equal": 0.125, "distinct": 0.5, "perplexity": 21.06, "perplexity_of_originals": 1.94},
    "noise": {"variance": 0.05, "below_the_grid": True, "right": 0.999, "changed_at_printed": 0.853},
    "seeds": [
        {"acceptance": 0.4, "acceptance_changed": None, "original": 0.61, "unfiltered": 0.6, "kept": 1.0},
        {"acceptance": 0.5, "acceptance_changed": 0.25, "original": 0.63, "unfiltered": 0.6, "kept": 1.0},
    ],
}  # fmt: skip


RESULTS = SimpleNamespace(scale="laptop", params=SimpleNamespace(runs={"flow": {"augmented": "lines"}}))


def page(made, originals=()):
    cells = [
        Cell("tang2021-table9", "+ Context (Language Flow)", "EM", "%", "reproduce", "82.28", "5.3", "", "flow", "em")
    ]
    found = SimpleNamespace(contexts=made, originals=list(originals))
    return written(Page("title", pages.blocks(RESULTS, cells, found)))


def test_the_page_has_the_numbers_of_generator_and_filter():
    told = {"rewriting": "lines", "text": "w5 | w6", "seed": 0, "kept": False}
    one = {"id": "7", "question": "w1 ?", "answer": "w2", "context": "w2 w3", "texts": [told]}
    text = page([MADE], [one])
    for shown in ("25.0 %", "12.5 %", "50.0 %", "21.1 (1.9)", "0.05, below the paper's grid", "99.9 %",
                  "45.0 ± 7.1", "62.0 ± 1.4", "100.0 ± 0.0", "3 of 1,200", "2 too long",
                  "1.5 % of the words unknown", "not kept", "w2 w3"):  # fmt: skip
        assert shown in text, shown
    assert "nothing written" not in text and "9 equal" not in text
    assert " 25.0 | 62.0" in " ".join(text.split()), "of the one seed that has other texts"


def test_the_page_says_which_lines_are_rewritten_by_the_kind_of_data():
    """In TVQA the lines within the question's time are what is rewritten, also those that hold the answer."""
    own = "an answer's own is never rewritten"
    assert own in page([MADE])
    text = page([MADE | {"score": "probability"}])
    assert own not in text and "the lines within the question's time" in text


def test_generators_of_other_noise_stand_beside_each_other_at_the_printed_one():
    other = MADE | {"noise": {"variance": 0.5, "right": 0.2, "changed_at_printed": 0.776}}
    text = " ".join(page([MADE, other, MADE | {"noise": {}}]).split())
    assert "changed at 0.5 |" in text and "that the paper prints" in text
    for shown in ("| 0.05, below the paper's grid | 85.3 % | 99.9 % |", "| 0.5 | 77.6 % | 20.0 % |", "| – | – | – |"):
        assert shown in text, shown
    assert "that the paper prints" not in page([MADE | {"noise": {}}])


def test_the_page_tells_what_each_of_two_judges_kept():
    parts = ("acceptance", "acceptance_changed", "original", "unfiltered", "kept")
    shares = [(0.31, 0.21, 0.6, 0.5, 0.9), (0.33, 0.23, 0.6, 0.5, 0.9), (0.71, 0.61, 0.6, 0.5, 0.9)]
    halves = [
        [{"half": half, "judge": f"half{1 - half}", "questions": 1234 + half, **dict(zip(parts, one, strict=True))}
         for half, one in enumerate(pair)]
        for pair in ((shares[0], shares[2]), (shares[1], shares[2]))
    ]  # fmt: skip
    seeds = [seed | {"halves": pair} for seed, pair in zip(MADE["seeds"], halves, strict=True)]
    text = " ".join(page([MADE | {"seeds": seeds}]).split())
    label = "+ Context (Language Flow), half"
    assert f"| {label} 0 | half1 | 32.0 ± 1.4 | 22.0 ± 1.4 |" in text and "| 1,234 |" in text
    assert f"| {label} 1 | half0 | 71.0 ± 0.0 | 61.0 ± 0.0 |" in text and "| 1,235 |" in text
    assert "Cross-fitted: two baselines" in text and "Cross-fitted" not in page([MADE])


def test_contexts_that_no_row_is_trained_with_have_the_name_of_their_entry():
    text = page([MADE, MADE | {"rewriting": "squad-other", "run": None}])
    assert text.count("| + Context (Language Flow) |") == 2 and text.count("| squad-other ") == 2


def test_a_table_without_other_contexts_has_no_such_section():
    assert pages.blocks(RESULTS, [], None) == [] == pages.blocks(RESULTS, [], SimpleNamespace(contexts=[]))
