"""The models of question generation: probabilities, copying, fusion, and what they write."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

import pairs
from seqflows.data.batching import Batch, Given, collate
from seqflows.errors import Problem
from seqflows.models import build
from seqflows.models.encoder_decoder import END_ID, PAD_ID, START_ID, UNKNOWN_ID
from seqflows.models.fusion import Fusion

SMALL = {"class": "encoder_decoder", "units": 4, "decoder_units": 5, "layers": 2, "dropout": 0.0, "flow_steps": 2}
SMALL |= {"flow_scales": 2, "flow_width": 4, "flow_inner": 6, "flow_heads": 2}
FUSED = ("none", "latent", "words", "encoding")
COPIES = ("max", "sum", "none")


def _model(facts, seed=0, **changes):
    """A model in float64 whose weights are far enough from 0 that what it reads shows in its probabilities."""
    torch.manual_seed(seed)
    model = build(SMALL | changes, facts).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model


def _double(given: Given) -> Given:
    return given._replace(features=given.features.double())


def _batch(dataset, places):
    batch = collate(dataset.train, np.array(places))
    return batch._replace(given=_double(batch.given))


def _texts(model, given, texts):
    """A batch with each of the texts (lists of ids, the end included) for the one context."""
    longest = max(map(len, texts))
    x = torch.zeros(len(texts), longest, dtype=torch.long)
    for row, text in zip(x, texts, strict=True):
        row[: len(text)] = torch.tensor(text)
    many = Given(*(value.expand(len(texts), *value.shape[1:]) for value in given))
    return Batch(x, torch.tensor([len(text) for text in texts]), torch.arange(len(texts)), many)


def _symbols(model, given):
    """Every symbol that the model gives a probability: those to write but pad and start, and the context's words."""
    found = set(range(model.outputs)) - {PAD_ID, START_ID}
    return sorted(found | (set(given.words[0].tolist()) if model.config.copies != "none" else set()))


@pytest.mark.parametrize("copies", COPIES)
@pytest.mark.parametrize("fused", FUSED)
def test_the_probabilities_of_all_texts_sum_to_one(copies, fused):
    dataset = pairs.dataset(window=4)
    model = _model(dataset.facts(), copies=copies, fused=fused)
    given = _batch(dataset, [0]).given
    symbols = _symbols(model, given)
    inner = [symbol for symbol in symbols if symbol != END_ID]
    ended = [[END_ID], *([a, END_ID] for a in inner)]
    open_ = [[a, b] for a in inner for b in inner]  # stands for all texts that go on with both
    torch.manual_seed(1)
    state = torch.get_rng_state()
    total = 0.0
    for texts in (ended, open_):
        for text in texts:  # one at a time, with the same noise for all: the probabilities are given the noise
            torch.set_rng_state(state)
            total += model.log_prob(_texts(model, given, [text])).exp().item()
    assert total == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("copies", ("max", "sum"))
def test_a_word_that_can_be_written_and_copied_has_both_shares(copies):
    """By hand from logits and attention: one softmax over the V words and the context's copies."""
    dataset = pairs.dataset(window=10)
    model = _model(dataset.facts(), copies=copies)
    batch = _batch(dataset, [0])
    words = batch.given.words.clone()
    words[0] = torch.tensor([5, 10, 5, 11, *[7] * (words.shape[1] - 4)])  # 5 and 7 of the V = 9, repeated; 10, 11 not
    given = batch.given._replace(words=words)
    memory, state, _ = model.read(given)
    word = model.vectors[torch.tensor([[START_ID]])]
    _, attention, both = model.decoder.step(word, state, memory)
    logits = (model.decoder.output(both) @ model.vectors[: model.outputs].T)[0, 0]
    attention = attention[0, 0]
    shares = {v: float(logits[v].exp()) for v in range(model.outputs) if v not in (PAD_ID, START_ID)}
    for symbol in set(words[0].tolist()):
        mine = attention[words[0] == symbol].exp()
        shares[symbol] = shares.get(symbol, 0.0) + float(mine.max() if copies == "max" else mine.sum())
    for symbol, share in shares.items():
        found = model.log_words(_texts(model, given, [[symbol, END_ID]]), memory, state)[0, 0]
        assert float(found.exp()) == pytest.approx(share / sum(shares.values()), rel=1e-9)


def test_a_word_that_can_be_neither_written_nor_copied_counts_as_unknown():
    dataset = pairs.dataset(window=4)
    model = _model(dataset.facts())
    given = _batch(dataset, [0]).given
    given.words[0, :2] = torch.tensor([11, 10])
    outside, inside = 9, 10
    given.words[given.words == outside] = 5
    found = model.log_prob(_texts(model, given, [[outside, 5, END_ID], [UNKNOWN_ID, 5, END_ID]]))
    assert found[0] == found[1]
    copied = model.log_prob(_texts(model, given, [[inside, 5, END_ID], [UNKNOWN_ID, 5, END_ID]]))
    assert copied[0] != copied[1]
    without = _model(dataset.facts(), copies="none")
    found = without.log_prob(_texts(without, given, [[inside, 5, END_ID], [UNKNOWN_ID, 5, END_ID]]))
    assert found[0] == found[1]


@pytest.mark.parametrize("fused", FUSED)
def test_padding_and_other_questions_change_nothing(fused, monkeypatch):
    dataset = pairs.dataset(count=12)
    model = _model(dataset.facts(), fused=fused)
    monkeypatch.setattr(torch, "randn_like", torch.zeros_like)
    together = model.log_prob(_batch(dataset, range(6)))
    alone = torch.cat([model.log_prob(_batch(dataset, [place])) for place in range(6)])
    assert torch.allclose(together, alone, atol=1e-10)
    batch = _batch(dataset, range(6)).given
    assert model.write(batch, 3) == [
        text for place in range(6) for text in model.write(_batch(dataset, [place]).given, 3)
    ]


@pytest.mark.parametrize("copies", COPIES)
def test_a_wide_beam_finds_the_best_of_all_texts(copies):
    dataset = pairs.dataset(window=4, longest=2)
    model = _model(dataset.facts(), seed=3, copies=copies)
    given = _batch(dataset, [0]).given
    inner = [symbol for symbol in _symbols(model, given) if symbol not in (END_ID, UNKNOWN_ID)]
    texts = [[END_ID], *([a, END_ID] for a in inner), *([a, b] for a, b in itertools.product(inner, inner))]
    scores = model.log_prob(_texts(model, given, texts))
    words = torch.tensor([len([word for word in text if word != END_ID]) for text in texts])
    best = texts[int((scores / (words + 1)).argmax())]
    assert model.write(given, 200) == [[word for word in best if word != END_ID]]
    greedy, before = [], []
    for _ in range(2):  # each step by the probabilities of all continuations
        step = model.log_prob(_texts(model, given, [[*before, symbol] for symbol in [*inner, END_ID]]))
        symbol = [*inner, END_ID][int(step.argmax())]
        if symbol == END_ID:
            break
        before.append(symbol)
        greedy.append(symbol)
    assert model.write(given, 1) == [greedy]


def test_only_words_that_can_be_in_a_reference_are_written():
    dataset = pairs.dataset(count=30)
    for seed, copies in itertools.product(range(3), COPIES):
        model = _model(dataset.facts(), seed=seed, copies=copies)
        given = _batch(dataset, range(30)).given
        for text, words in zip(model.write(given, 4), given.words.tolist(), strict=True):
            assert len(text) <= model.longest
            assert all(3 < word < model.outputs or (copies != "none" and word in words) for word in text)


def test_the_objective_is_the_mean_over_words_and_the_weighted_bits():
    dataset = pairs.dataset()
    batch = _batch(dataset, range(4))
    for weight in (1.0, 0.25, 0.0):
        model = _model(dataset.facts(), fused="latent", weight=weight)
        torch.manual_seed(5)
        terms = model.objective(batch, 1)
        torch.manual_seed(5)
        assert torch.equal(terms["generation"], -model.log_prob(batch) / batch.lengths)
        torch.manual_seed(5)
        assert torch.allclose(terms["bits"], weight * model.context_bits(batch.given), atol=1e-12)
    assert set(_model(dataset.facts(), fused="words").objective(batch, 1)) == {"generation"}


@pytest.mark.parametrize("structure", ("time", "channels"))
def test_the_last_latent_is_repeated_over_the_words_that_it_covers(structure):
    dataset = pairs.dataset(window=8)
    model = _model(dataset.facts(), fused="latent", structure=structure, flow_scales=2)
    eps = torch.randn(2, 8, 4, dtype=torch.float64)
    z = model.latent(eps)
    assert z.shape == (2, 8, 4)
    assert torch.equal(z[:, 0::2], z[:, 1::2])
    # Of the two scales, the first half of the channels is the last one's: two of four at each of eight words.
    changed = eps.clone()
    changed[..., 2:] += 1
    assert torch.equal(model.latent(changed), z)
    changed = eps.clone()
    changed[:, 3, 0] += 1
    assert (model.latent(changed) != z).any(2).any(0).tolist() == [False, False, True, True, *[False] * 4]


@pytest.mark.parametrize(("start", "own"), [("aligned", True), ("permutation", False)])
def test_a_latent_stands_at_the_words_that_it_is_of_if_the_flow_is_aligned(start, own):
    """Before training, when couplings are gates alone: another vector of a word moves the latent at that word."""
    torch.manual_seed(0)
    dataset = pairs.dataset(window=8)
    changes = {"fused": "latent", "flow_steps": 3, "flow_scales": 2, "flow_start": start}
    model = build(SMALL | changes, dataset.facts()).double().eval()
    x = torch.randn(1, 8, 4, dtype=torch.float64)
    before, there = model.latent(model.flow.forward(x)[0]), []
    for word in range(8):
        changed = x.clone()
        changed[:, word] += 1
        moved = (model.latent(model.flow.forward(changed)[0]) - before).abs().sum((0, 2)) > 1e-9
        there.append(moved.tolist() == [place // 2 == word // 2 for place in range(8)])
    assert all(there) == own


def test_the_latent_of_the_lstm_is_its_own_at_every_word():
    dataset = pairs.dataset()
    model = _model(dataset.facts(), fused="latent", structure="lstm")
    eps = torch.randn(2, 8, 4, dtype=torch.float64)
    assert torch.equal(model.latent(eps), eps)


@pytest.mark.parametrize("fused", ("latent", "words"))
def test_what_is_fused_reaches_the_questions(fused, monkeypatch):
    dataset = pairs.dataset()
    model = _model(dataset.facts(), fused=fused)
    monkeypatch.setattr(torch, "randn_like", torch.zeros_like)
    batch = _batch(dataset, range(4))
    before = model.log_prob(batch)
    model.vectors[4:9] += 0.5  # also the decoder's
    decoder = model.vectors.clone()
    monkeypatch.setattr(type(model), "embedded", lambda self, given: torch.zeros(4, 1, 8, 4, dtype=torch.float64))
    after = model.log_prob(batch)
    assert torch.equal(model.vectors, decoder) and not torch.allclose(before, after)


def test_the_control_without_z_has_as_many_parameters():
    for encoding, extra in ((256, 50), (1200, 300), (48, 8)):
        joined, alone = Fusion(encoding, extra, "mlp"), Fusion(encoding, 0, "mlp", instead=extra)
        sizes = [sum(parameter.numel() for parameter in one.parameters()) for one in (joined, alone)]
        assert sizes[0] == pytest.approx(sizes[1], rel=0.005)


def test_the_three_forms_of_the_fusion():
    u, z = torch.randn(2, 3, 6), torch.randn(2, 3, 2)
    found = {}
    for form in ("mlp", "gate", "normalised"):
        torch.manual_seed(0)
        found[form] = Fusion(6, 2, form)(u, z)
    plain = found["mlp"]
    assert (plain > 0).all() and (plain < 1).all()
    assert torch.equal(found["gate"], u * plain)
    mean, variance = plain.mean(-1, keepdim=True), plain.var(-1, keepdim=True, unbiased=False)
    assert torch.allclose(found["normalised"], (plain - mean) / (variance + 1e-5).sqrt(), atol=1e-5)


@pytest.mark.parametrize("fused", ["latent", "words", "encoding"])
def test_a_fusion_that_adds_begins_as_the_model_without_one(fused):
    """To the bit, whatever joins; a step of its last layer lets all of the network learn."""
    dataset = pairs.dataset()
    plain, added = (build(SMALL | more, dataset.facts()) for more in ({}, {"fused": fused, "fusion": "added"}))
    shared = {name: value for name, value in plain.state_dict().items() if name in added.state_dict()}
    added.load_state_dict(added.state_dict() | shared)
    batch = collate(dataset.train, np.arange(4))
    plain.eval(), added.initialise(batch), added.eval()
    assert len(shared) == len(plain.state_dict())
    assert torch.equal(added.objective(batch, 1)["generation"], plain.objective(batch, 1)["generation"])
    added.objective(batch, 1)["generation"].sum().backward()
    assert added.fusion.out.weight.grad.abs().sum() > 0 and added.fusion.inner.weight.grad.abs().sum() == 0
    u, z = torch.randn(2, 3, 6), torch.randn(2, 3, 2)
    one = Fusion(6, 2, "added")
    assert torch.equal(one(u, z), u)
    torch.nn.init.ones_(one.out.weight)
    expected = u + one.inner(torch.cat([u, z], -1)).sigmoid().sum(-1, keepdim=True)
    assert torch.allclose(one(u, z), expected)


def test_gradients_of_the_flow_and_of_the_rest_are_in_two_groups():
    dataset = pairs.dataset()
    model = _model(dataset.facts(), fused="latent")
    flow, rest = model.groups()
    assert {id(p) for p in flow} == {id(p) for p in model.flow.parameters()}
    assert len(flow) + len(rest) == len(list(model.parameters()))
    assert len(_model(dataset.facts()).groups()) == 1


@pytest.mark.parametrize("fused", FUSED)
@pytest.mark.parametrize("copies", COPIES)
def test_gradients_reach_every_parameter(fused, copies):
    dataset = pairs.dataset()
    torch.manual_seed(0)
    model = build(SMALL | {"fused": fused, "copies": copies}, dataset.facts())
    batch = collate(dataset.train, np.arange(4))
    model.initialise(batch)
    sum(term.sum() for term in model.objective(batch, 1).values()).backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.isfinite().all()] == []


def test_gradients_are_those_of_finite_differences():
    dataset = pairs.dataset(window=4, longest=3)
    batch = _batch(dataset, range(3))
    for copies in COPIES:
        model = _model(dataset.facts(), copies=copies)
        weight = model.decoder.match.weight
        (grad,) = torch.autograd.grad(model.log_prob(batch).sum(), weight)
        for place in ((0, 0), (3, 5)):
            values = []
            for step in (1e-6, -2e-6):
                with torch.no_grad():
                    weight[place] += step
                values.append(float(model.log_prob(batch).sum()))
            with torch.no_grad():
                weight[place] += 1e-6
            assert float(grad[place]) == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-4, abs=1e-7)


def test_data_of_another_kind_are_refused():
    from models_list import FACTS

    with pytest.raises(Problem, match="expected data with conditional emissions for encoder_decoder, got categorical"):
        build(SMALL, FACTS["categorical"])
