"""Each witness holds, its page tells it, and it fails where its claim is made false."""

import dataclasses
import functools
import math
import re

import numpy as np
import pytest
import torch

from seqflows import cli, noise, paths
from seqflows.data.embedded.chain import heterogeneous, peaked
from seqflows.errors import Problem
from seqflows.report import audit, markdown
from seqflows.report.page import anchor
from seqflows.report.papers.base import papers
from seqflows.witness import pages, schmidt2018, tang2021, ziegler2019
from seqflows.witness.base import Found, cells

BY_NAME = {one.name: one for one in pages.WITNESSES}


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Fewer draws and grid points, a smaller model, and torch's threads as they were."""
    monkeypatch.setattr(tang2021, "DRAWS", 4000)
    monkeypatch.setattr(tang2021, "NODES", 16)
    monkeypatch.setattr(tang2021, "COARSE", 14)
    monkeypatch.setattr(tang2021, "REACH", 5.5)
    monkeypatch.setattr(tang2021, "EXACT", 1e-4)
    monkeypatch.setattr(schmidt2018, "trained", model)
    monkeypatch.setattr(schmidt2018, "WORDS", 300)
    monkeypatch.setattr(schmidt2018, "SETS", 8)
    monkeypatch.setattr(schmidt2018, "GENERATED", 3000)
    monkeypatch.setattr(schmidt2018, "TRAJECTORIES", (20, 1000, 4000))
    monkeypatch.setattr(ziegler2019, "SENTENCES", 400)
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@functools.cache
def model():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schmidt2018, "STEMS", 2)
        patch.setattr(schmidt2018, "STEPS", 400)
        patch.setattr(schmidt2018, "BATCH", 32)
        return TRAIN()


TRAIN = schmidt2018.trained.__wrapped__


def test_the_page_has_each_witness_and_is_the_same_twice(tmp_path, monkeypatch):
    state = torch.get_rng_state()
    pages.run(tmp_path / "one.md")
    assert torch.equal(torch.get_rng_state(), state)
    monkeypatch.setattr(pages, "WITNESSES", pages.WITNESSES[::-1])  # nor does the order matter
    pages.run(tmp_path / "two.md")
    one, two = ((tmp_path / name).read_text().split("\n## ") for name in ("one.md", "two.md"))
    assert one[1:] and [part.strip() for part in one[1:]] == [part.strip() for part in two[:0:-1]]
    assert [part.partition("\n")[0] for part in one[1:]] == [witness.title for witness in BY_NAME.values()]
    assert all(part.count("**") == 8 and "nan" not in part for part in one[1:])


def test_the_committed_page_is_of_these_witnesses(root):
    """Its titles and texts, and the table of the one witness that is arithmetic alone."""
    text = (root / paths.witnesses()).read_text()
    for one in pages.WITNESSES:
        *head, _, _ = pages.section(one, Found(("a",), [], ""))
        assert markdown.blocks(head) in text
    assert markdown.blocks(pages.section(BY_NAME["share"], ziegler2019.share())) in text


def test_the_command_names_the_witness_that_fails_and_writes_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ziegler2019, "CLAIMED", 0.8)
    monkeypatch.setattr(pages, "WITNESSES", (BY_NAME["share"],))
    assert cli.main(["witness"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("seqflows witness: share: expected a row with a share of at most 80%, got none")
    assert said.count("\n") == 1 and not list(tmp_path.iterdir())


def test_a_witness_that_the_audit_does_not_name_is_refused():
    one = dataclasses.replace(BY_NAME["share"], title="The KL's shares")
    with pytest.raises(Problem, match='expected an entry with the witness "The KL\'s shares" in .* of ziegler2019'):
        one.entries()


def test_the_audit_names_witnesses_that_there_are_and_links_their_headings(root):
    page = (root / paths.witnesses()).read_text()
    headings = {anchor(line[3:]) for line in page.splitlines() if line.startswith("## ")}
    for paper in papers().values():
        named = {row.witness for row in (*paper.contradictions, *paper.deviations, *paper.assumptions)} - {""}
        assert named == {one.title for one in pages.WITNESSES if one.paper == paper.name}
        tables = audit.contradictions(paper), audit.deviations(paper)
        text = markdown.blocks(tables)
        linked = re.findall(r"Witness: \[([^]]+)\]\(\.\./witness\.md#([^)]+)\)", text)
        assert not re.search(r"[^.] Witness: ", text)
        assert linked and {title for title, _ in linked} <= named and {place for _, place in linked} <= headings


# -- Tang et al. 2021


@pytest.mark.parametrize(
    ("lowest", "message"),
    [(lambda levels=None: -9.0, "expected a floor of"), (lambda levels=None: -17.5, "expected a floor of")],
)
def test_a_floor_that_the_noise_does_not_have_is_refused(monkeypatch, lowest, message):
    monkeypatch.setattr(noise, "floor", lowest)
    with pytest.raises(Problem, match=message):
        tang2021.floor()


def test_a_density_below_the_floor_or_of_other_words_is_refused(monkeypatch):
    good = tang2021.scores()
    for words, message in (((-10.0, 0.01), "expected the mixture above"), ((-5.0, 0.01), "the entropy of the words")):
        monkeypatch.setattr(tang2021, "scores", lambda words=words: good | {"words": words})
        with pytest.raises(Problem, match=message):
            tang2021.floor()


def test_cells_are_those_that_the_audit_calls_unreachable(monkeypatch):
    monkeypatch.setattr(tang2021, "cells", lambda table, column: cells(table, column) | {"Att-C": -12.0})
    with pytest.raises(Problem, match=r"expected Table 4, SQuAD: Att-S, RNN-S, Att-AR, RNN-AR, got .*Att-C"):
        tang2021.floor()


def test_a_bijection_in_place_of_the_released_scheme_is_refused(monkeypatch):
    monkeypatch.setattr(tang2021, "released", lambda first, second, deviation: tang2021.whole(first))
    with pytest.raises(Problem, match="expected another mass than 1 of the released scheme"):
        tang2021.bijection()


def test_a_flow_with_a_wrong_determinant_is_refused(monkeypatch):
    exact = tang2021.whole

    def wrong(flow):
        score, *place = exact(flow)
        return lambda x: score(x) + 0.01, *place

    monkeypatch.setattr(tang2021, "whole", wrong)
    with pytest.raises(Problem, match="expected a mass of 1 of two scales"):
        tang2021.bijection()


def test_the_mass_of_a_gaussian_is_one():
    centre, scale = torch.tensor([[1.0, -2.0]]).double(), torch.tensor([[0.5, 3.0]]).double()

    def score(x):
        return (-0.5 * ((x - centre) / scale).square() - scale.log() - 0.5 * math.log(2 * math.pi)).sum((1, 2))

    assert tang2021.mass(score, centre, scale)[0] == pytest.approx(1, abs=1e-6)
    assert tang2021.mass(lambda x: score(x) + math.log(3), centre, scale)[0] == pytest.approx(3, abs=1e-5)


# -- Schmidt & Hofmann 2018


def test_one_definition_of_the_gap_is_refused(monkeypatch):
    found = schmidt2018.gaps()
    monkeypatch.setattr(schmidt2018, "gaps", lambda: {"step": found["step"], "whole": found["step"]})
    with pytest.raises(Problem, match="nats"):
        schmidt2018.gap()


def test_one_reading_of_the_words_is_refused(monkeypatch):
    drawn = schmidt2018.shares(False)
    monkeypatch.setattr(schmidt2018, "shares", lambda mode: drawn)
    with pytest.raises(Problem, match="expected another share"):
        schmidt2018.known()


def test_an_estimate_without_a_bias_is_refused(monkeypatch):
    found, (value, error, half) = schmidt2018.entropies()
    few = schmidt2018.TRAJECTORIES[0]
    for changed, importance, message in (
        ({k: one._replace(value=value) for k, one in found.items()}, (value, error, half), "expected more than"),
        ({few: found[few]._replace(value=value - 1)}, (value, error, half), "expected an excess that falls with K"),
        ({few: found[few]._replace(words=10.0)}, (value, error, half), "beyond the spread over words"),
        ({}, (value, error, 0.5), "expected importance sampling settled"),
    ):
        monkeypatch.setattr(schmidt2018, "entropies", lambda c=changed, i=importance: (found | c, i))
        with pytest.raises(Problem, match=message):
            schmidt2018.trajectories()


# -- Ziegler & Rush 2019


def test_shares_of_the_bound_are_those_of_the_printed_cells():
    rows = {row[0]: row[1:] for row in ziegler2019.share().rows}
    assert len(rows) == 7 and "Table 2, AF / AF" not in rows  # of both tables, counted once
    assert rows["Table 1, IAF / SCF"] == ["0.21", "1.55", "88.1", "88.4", "91.8"]  # 1.555 / 1.760, 1.555 / 1.693
    assert rows["Table 2, - AF hidden and NLSq"] == ["0.29", "1.56", "84.3", "84.6", "87.8"]
    concluded = ziegler2019.share().concluded
    assert concluded.startswith("Of 7 models 2 are not over 90 %")
    assert concluded.endswith("without it those not over 90 % are Table 2, - AF hidden and NLSq.")
    (entry,) = [row for row in papers()["ziegler2019"].deviations if row.what == "reconstruction term"]
    assert f"about {ziegler2019.LENGTHS} bpc" in entry.code


def test_cells_that_a_paper_quotes_are_left_out():
    assert set(cells("ziegler2019-table3", "JSB")) == {"LSTM", "AF / AF", "AF / SCF", "IAF / SCF"}


def test_sums_of_lengths_are_those_of_all_sequences():
    chain = heterogeneous(np.random.default_rng(3), 4, peaked(1, 3))
    weights, expected = np.array([1, 3, 3, 6]), {}
    for n in chain.lengths:
        for states in np.ndindex(*[4] * n):
            total = int(weights[list(states)].sum())
            expected[total] = expected.get(total, 0.0) + math.exp(chain.log_prob(list(states)))
    found = ziegler2019.sums(chain, weights)
    assert found.sum() == pytest.approx(1, abs=1e-12)
    assert [expected.get(n, 0.0) for n in range(len(found))] == pytest.approx(found.tolist(), abs=1e-12)


def test_one_convention_is_refused(monkeypatch):
    found = ziegler2019.conventions()
    first, *_ = found.values()
    monkeypatch.setattr(ziegler2019, "conventions", lambda: dict.fromkeys(found, first))
    with pytest.raises(Problem, match="expected numbers of both conventions that differ"):
        ziegler2019.categorical()


def test_a_flow_apart_from_its_lstm_is_refused(monkeypatch):
    monkeypatch.setattr(ziegler2019, "LATER", {"LSTM": 1.4, "flow": 1.27})
    with pytest.raises(Problem, match="expected flows that differ as the LSTMs do"):
        ziegler2019.categorical()
