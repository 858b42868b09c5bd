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
from seqflows.errors import Problem
from seqflows.models import build
from seqflows.models import stage as module

FACTS, SHOWN = choosing(), choosing(concepts=3)


def model_of(seed=0, **changes):
    return CHOICES[0].build(FACTS, seed, **changes)


def reader_of(seed=0, **changes):
    """A model that also reads the words beside lines."""
    return CHOICES[1].build(SHOWN, seed, **changes)


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


def found_in(model, word, c):
    """The layer of a word and what it finds in the words c, a list of states; nothing in none."""
    u = torch.zeros_like(word)
    if len(c):
        cosine = torch.stack([F.cosine_similarity(word, other, dim=0) for other in c])
        u = sum(weight * other for weight, other in zip((10 * cosine).softmax(0), c, strict=True))
    return model.fuse(torch.cat([word, u, word * u]))


def encoded(model, words):
    return encode(model.words, model.embed(model.vectors[words])) if len(words) else []


def read(model, statement, line):
    """The state (H,) of a line for a statement, both lists of words; a line may be two, with the words beside it."""
    a, (c, beside) = encoded(model, statement), line if isinstance(line, tuple) else (line, None)
    joined = [found_in(model, word, encoded(model, c)) for word in a]
    if beside is not None:
        seen = [found_in(model, word, encoded(model, beside)) for word in a]
        joined = [model.join(torch.cat([x, v, x * v])) for x, v in zip(joined, seen, strict=True)]
    x = encode(model.attended, torch.stack(joined)).amax(0)
    return x + model.line(x)


def cut(given, row):
    """The words of one question's statements and lines, these with the words beside them if there are any."""
    statements = [given.statements[row, a, :n] for a, n in enumerate(given.statement_lengths[row].tolist())]
    lines = [given.lines[row, line, :n] for line, n in enumerate(given.line_lengths[row].tolist()) if n]
    if given.seen is not None:
        seen = [given.seen.words[row, line, :n] for line, n in enumerate(given.seen.lengths[row].tolist())]
        lines = list(zip(lines, seen, strict=False))
    return statements, lines


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


# the words of what is seen beside lines


def test_what_is_seen_is_read_as_by_the_loops():
    given, model = asked(5, SHOWN), reader_of()
    assert (given.seen.lengths[given.line_lengths.any(1)] == 0).any()  # beside some lines nothing is seen
    with torch.no_grad():
        found = model.choose(given)
        for row in range(5):
            log_probs, best, _ = by_loops(model, given, row)
            assert torch.allclose(found.log_probs[row], log_probs, atol=1e-9)
            assert found.spans[row].tolist() == [list(pair) for pair in best]
        words = torch.where(given.seen.mask, 12 - given.seen.words, 0)
        other = model.choose(given._replace(seen=given.seen._replace(words=words)))
    changed = (other.log_probs != found.log_probs).any(1)
    assert changed.equal(given.seen.mask.flatten(1).any(1)) and changed.any()


def test_targets_of_attention_are_no_input():
    """Other targets leave every probability and every other term as they are, in training too."""
    given, model = asked(6, SHOWN), reader_of()
    other = given._replace(seen=given.seen._replace(wanted=-given.seen.wanted))
    assert torch.equal(model.choose(given).log_probs, model.choose(other).log_probs)
    for mode in (model.train, model.eval):
        mode()
        one, two = (model.objective(batch_of(x), 1) for x in (given, other))
        assert set(one) == {"answer", "temporal", "attention"}
        assert torch.equal(one["answer"], two["answer"]) and torch.equal(one["temporal"], two["temporal"])
        assert not torch.allclose(one["attention"], two["attention"])


def pairs_of(cosine, wanted):
    """The loss of attention of each question by loops over all pairs of a word to attend to and another."""
    found = []
    for x, signs in zip(cosine, wanted, strict=True):
        total = 0.0
        for word, line in itertools.product(*map(range, signs.shape[:2])):
            like, unlike = ([c for c in range(signs.shape[2]) if signs[word, line, c] == sign] for sign in (1, -1))
            for p in like:
                total += sum(
                    2 / len(unlike) * math.log1p(math.exp(20 * (x[word, line, n] - x[word, line, p]).item()))
                    for n in unlike
                )
        found.append(total)
    return found


def test_the_loss_of_attention_is_that_of_all_pairs():
    generator = torch.Generator().manual_seed(0)
    cosine = 2 * torch.rand(4, 3, 2, 5, generator=generator, dtype=torch.float64) - 1
    wanted = torch.randint(-1, 2, cosine.shape, generator=generator).to(torch.int8)
    wanted[3] = wanted[3].clamp(max=0)  # a question without any word to attend to
    wanted[2] = wanted[2].clamp(min=0)  # and one without any other
    found = module.attention_loss(cosine, wanted)
    assert found.tolist() == pytest.approx(pairs_of(cosine, wanted)) and found[2:].tolist() == [0, 0]
    assert (found[:2] > 1).all()


def test_it_is_the_expectation_of_two_that_are_drawn_for_each():
    generator = torch.Generator().manual_seed(1)
    cosine = torch.rand(1, 1, 1, 6, generator=generator, dtype=torch.float64) / 4
    wanted = torch.tensor([1, -1, -1, 1, -1, 0], dtype=torch.int8).view(1, 1, 1, 6)
    x, rng = cosine.flatten().numpy(), np.random.default_rng(0)
    drawn = rng.choice([1, 2, 4], (40_000, 2, 2))  # two for each of two
    total = np.log1p(np.exp(20 * (x[drawn] - x[[0, 3]][:, None]))).sum((1, 2))
    error = total.std() / math.sqrt(len(total))
    assert abs(module.attention_loss(cosine, wanted).item() - total.mean()) < 4 * error


def test_the_loss_of_attention_has_the_gradient_of_its_differences():
    generator = torch.Generator().manual_seed(2)
    cosine = (torch.rand(2, 2, 2, 4, generator=generator, dtype=torch.float64) / 5).requires_grad_()
    wanted = torch.randint(-1, 2, cosine.shape, generator=generator).to(torch.int8)
    assert torch.autograd.gradcheck(lambda x: module.attention_loss(x, wanted), cosine)
    (slope,) = torch.autograd.grad(module.attention_loss(cosine, wanted).sum(), cosine)
    assert (slope[wanted == 0] == 0).all() and (slope[wanted == 1] <= 0).all() and (slope[wanted == -1] >= 0).all()
    none = torch.zeros_like(wanted)
    (slope,) = torch.autograd.grad(module.attention_loss(cosine, none).sum(), cosine)
    assert (slope == 0).all()


def test_the_term_is_the_weighted_loss_of_the_right_answer_s_words():
    given, model = asked(6, SHOWN), reader_of(attention=0.3)
    wanted, cosines = given.seen.wanted, torch.zeros(given.seen.wanted.shape, dtype=torch.float64)
    for row, right in enumerate(given.correct.tolist()):
        statements, lines = cut(given, row)
        a = encoded(model, statements[right])
        for place, (_, beside) in enumerate(lines):
            for (word, x), (number, c) in itertools.product(enumerate(a), enumerate(encoded(model, beside))):
                cosines[row, word, place, number] = F.cosine_similarity(x, c, dim=0)
    found = model.objective(batch_of(given), 1)["attention"]
    assert found.tolist() == pytest.approx([0.3 * one for one in pairs_of(cosines, wanted)]) and (found > 0).any()
    model.zero_grad()
    found.sum().backward()
    assert model.embed[1].weight.grad.any() and model.score[2].weight.grad is None


def test_training_on_the_loss_alone_makes_words_attend_to_what_they_should():
    given, model = asked(6, SHOWN), reader_of(attention=1.0).train()
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = model.objective(batch_of(given), 1)["attention"].mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


def test_data_without_detected_words_are_refused():
    with pytest.raises(Problem, match="expected data with concepts, .* for concepts: read, got none; choose a dataset"):
        CHOICES[1].build(FACTS)
    assert model_of().objective(batch_of(asked(3, SHOWN)), 1).keys() == {"answer", "temporal"}
