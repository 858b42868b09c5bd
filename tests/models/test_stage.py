"""STAGE against loops over answers, lines and words, written anew from its description.

Legend: B batch, A answers, L lines, H width.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from models_list import CHOICES, asked, choosing
from seqflows.data.batching import Batch
from seqflows.models import build
from seqflows.models import stage as module

FACTS = choosing()


def model_of(seed=0, **changes):
    return CHOICES[0].build(FACTS, seed, **changes)


def batch_of(given):
    return Batch(given.correct[:, None], torch.ones_like(given.correct), torch.arange(len(given.correct)), given)


# one question by loops, with the weights of the model


def conv(encoder, number, x):
    """A word at a time: each channel over the words around it, then all channels of the word."""
    kernel = encoder.over_time[number].weight[:, 0]  # (H, K)
    reach = kernel.shape[1] // 2
    found = []
    for t in range(len(x)):
        total = encoder.over_time[number].bias.clone()
        for offset in range(-reach, reach + 1):
            if 0 <= t + offset < len(x):
                total = total + kernel[:, offset + reach] * x[t + offset]
        found.append(encoder.over_channels[number](total).relu())
    return torch.stack(found)


def encode(encoder, x):
    width = x.shape[1]
    places = torch.tensor(
        [
            [(math.sin, math.cos)[d % 2](t / 10_000 ** ((d - d % 2) / width)) for d in range(width)]
            for t in range(len(x))
        ],
        dtype=x.dtype,
    )
    x = x + places
    for number in range(2):
        x = x + conv(encoder, number, encoder.before[number](x))
    return encoder.after(x)


def read(model, statement, line):
    """The state (H,) of a line for a statement, both as lists of words."""
    a, c = (encode(model.words, model.embed(model.vectors[words])) for words in (statement, line))
    joined = []
    for word in a:
        cosine = torch.stack([F.cosine_similarity(word, other, dim=0) for other in c])
        u = sum(weight * other for weight, other in zip((10 * cosine).softmax(0), c, strict=True))
        joined.append(model.fuse(torch.cat([word, u, word * u])))
    x = encode(model.attended, torch.stack(joined)).amax(0)
    return x + model.line(x)


def cut(given, row):
    """The words of one question's statements and lines."""
    statements = [given.statements[row, a, :n] for a, n in enumerate(given.statement_lengths[row].tolist())]
    return statements, [given.lines[row, line, :n] for line, n in enumerate(given.line_lengths[row].tolist()) if n]


def by_loops(model, given, row, spans=None):
    """log p of each answer, its most probable span and that span's probability, or with given ``spans``."""
    statements, lines = cut(given, row)
    scores, best, ends = [], [], []
    for number, statement in enumerate(statements):
        states = torch.stack([read(model, statement, line) for line in lines])
        first, last = (layer(states)[:, 0].log_softmax(0) for layer in (model.start, model.end))
        pairs = [(i, j) for i, j in itertools.product(range(len(lines)), repeat=2) if i <= j]
        found = max(pairs, key=lambda pair: (first[pair[0]] + last[pair[1]]).item())
        start, end = found if spans is None else spans[number]
        local = states[max(0, start - model.config.margin) : end + model.config.margin + 1].amax(0)
        scores.append(model.score(torch.cat([local, states.amax(0)]))[0])
        best.append(found)
        ends.append((first, last))
    return torch.stack(scores).log_softmax(0), best, ends


@pytest.mark.parametrize("margin", [0, 1])
def test_the_answers_and_their_spans_are_those_of_the_loops(margin):
    given, model = asked(4, FACTS), model_of(margin=margin)
    with torch.no_grad():
        found = model.choose(given)
        for row in range(4):
            log_probs, best, _ = by_loops(model, given, row)
            assert torch.allclose(found.log_probs[row], log_probs, atol=1e-9)
            assert found.spans[row].tolist() == [list(pair) for pair in best]
    assert found.log_probs.exp().sum(1).tolist() == pytest.approx([1] * 4)
    assert torch.equal(model.log_prob(batch_of(given)), found.log_probs.gather(1, given.correct[:, None])[:, 0])


def test_a_wider_margin_changes_what_is_local():
    given = asked(4, FACTS)
    near, far = (model_of(margin=margin).choose(given).log_probs for margin in (0, 3))
    assert not torch.allclose(near, far)


def test_in_training_answers_are_scored_by_the_true_span_and_by_a_near_proposal():
    given, kept = asked(40, FACTS), []
    model = model_of().train()
    with torch.no_grad():
        terms = model.objective(batch_of(given), 1)
        for row, right in enumerate(given.correct.tolist()):
            true = tuple(given.span[row].tolist())
            _, best, ends = by_loops(model, given, row)
            proposed, (first, last) = best[right], ends[right]
            p = (first[proposed[0]] + last[proposed[1]]).exp().item()
            own, other = (set(range(pair[0], pair[1] + 1)) for pair in (proposed, true))
            near = len(own & other) / (max(own | other) - min(own | other) + 1) >= 0.5 and p >= 0.01
            spans = [true, proposed] if near else [true]
            answer = [-by_loops(model, given, row, [span] * 3)[0][right].item() for span in spans]
            assert terms["answer"][row].item() == pytest.approx(np.mean(answer), abs=1e-6)
            temporal = -(first[true[0]] + last[true[1]]).item() / 2
            assert terms["temporal"][row].item() == pytest.approx(0.5 * temporal, abs=1e-6)
            kept.append(near)
    assert 0 < sum(kept) < 40


def test_beside_training_the_answer_is_the_probability_that_is_scored():
    given = asked(6, FACTS)
    for weight in (0.5, 2.0):
        model = model_of(weight=weight)
        terms = model.objective(batch_of(given), 1)
        assert torch.allclose(terms["answer"], -model.log_prob(batch_of(given)))
    assert torch.allclose(terms["temporal"], 4 * model_of().objective(batch_of(given), 1)["temporal"])


def test_answers_in_another_order_have_the_same_probabilities():
    given, model = asked(5, FACTS), model_of()
    order = torch.tensor([2, 0, 1])
    other = given._replace(statements=given.statements[:, order], statement_lengths=given.statement_lengths[:, order])
    assert torch.allclose(model.choose(other).log_probs, model.choose(given).log_probs[:, order])


def test_the_lines_decide():
    """A line's words reach every answer, and lines in another order leave the states as they are."""
    given, model = asked(5, FACTS), model_of()
    changed = given._replace(lines=torch.where(given.line_mask, 12 - given.lines, 0))
    assert (model.choose(changed).log_probs != model.choose(given).log_probs).all()
    states = model.read(given).states
    assert torch.allclose(model.read(given._replace(
        lines=given.lines[:1].flip(1), line_lengths=given.line_lengths[:1].flip(1), statements=given.statements[:1],
        statement_lengths=given.statement_lengths[:1],
    )).states, states[:1].flip(2))  # fmt: skip


def test_the_overlap_of_spans_is_that_of_sets():
    spans = [(i, j) for i, j in itertools.product(range(5), repeat=2) if i <= j]
    pairs = list(itertools.product(spans, repeat=2))
    found = module.overlap(*(torch.tensor([pair[n] for pair in pairs]) for n in (0, 1)))
    for (one, other), value in zip(pairs, found.tolist(), strict=True):
        first, second = (set(range(a, b + 1)) for a, b in (one, other))
        union = max(first | second) - min(first | second) + 1
        assert value == pytest.approx(len(first & second) / union)


def test_a_word_beyond_its_neighbours_reaches_an_encoder_not_at_all():
    """A convolution of 7 reaches 3 words, two of them 6; of 5, 4."""
    for kernel, reach in ((7, 6), (5, 4)):
        torch.manual_seed(0)
        encoder = module.Encoder(6, kernel, 0.0).double()
        x, mask = torch.randn(40, 20, 6, dtype=torch.float64), torch.ones(40, 20, dtype=torch.bool)
        other = x.clone()
        other[:, 10] += 1
        changed = (encoder(x, mask) != encoder(other, mask)).any(-1).any(0).nonzero()[:, 0].tolist()
        assert changed == list(range(10 - reach, 10 + reach + 1))


def test_dropout_is_for_training_alone():
    torch.manual_seed(0)
    model, given = build({"class": "stage", "width": 6, "dropout": 0.5}, FACTS), asked(3, FACTS)
    batch = batch_of(given)
    model.train()
    assert not torch.equal(model.objective(batch, 1)["answer"], model.objective(batch, 1)["answer"])
    model.eval()
    assert torch.equal(model.log_prob(batch), model.log_prob(batch))
