"""Readers: the best span by enumeration, probabilities that sum to 1, and windows of pieces."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

import spans
from models_list import BERTS, SPANS, sharpened
from seqflows.data.batching import collate
from seqflows.data.lines import Lines, Replacement
from seqflows.errors import Problem
from seqflows.models import build
from seqflows.models.span_reader import matches
from seqflows.models.spans import best, places, text


@pytest.mark.parametrize("longest", [1, 2, 3, 9])
def test_the_best_span_is_that_of_all_spans(longest):
    generator = torch.Generator().manual_seed(longest)
    start, end = torch.randint(-3, 4, (2, 60, 7), generator=generator).double()
    sizes = torch.randint(1, 8, (60,), generator=generator)
    beyond = torch.arange(7) >= sizes[:, None]
    start, end = start.masked_fill(beyond, -torch.inf), end.masked_fill(beyond, -torch.inf)
    found, total = best(start, end, longest)
    for row, size in enumerate(sizes.tolist()):
        allowed = [(i, j) for i in range(size) for j in range(i, min(i + longest, size))]
        sums = {pair: (start[row, pair[0]] + end[row, pair[1]]).item() for pair in allowed}
        assert tuple(found[row].tolist()) == max(sums, key=sums.__getitem__)  # the first of the largest
        assert total[row] == max(sums.values())


def _batch(seed=0, count=8, **size):
    made = spans.split(np.random.default_rng(seed), count, **size)
    return made, collate(made, np.arange(count))


def test_an_answer_moves_with_its_line():
    rng = np.random.default_rng(0)
    made = spans.split(rng, 40, lines=4)
    pool = spans.pool(rng, spans.texts(rng, 30, 12, most=9), 12, 3)
    moved = 0
    for _ in range(25):  # 1,000 contexts
        chosen = [np.where(made.contexts.free_of(i) & (rng.random(len(made.contexts.free_of(i))) < 0.7),
                           rng.integers(30, size=len(made.contexts.free_of(i))), -1) for i in range(40)]  # fmt: skip
        batch, before = collate(made, np.arange(40), Replacement(pool, chosen)), collate(made, np.arange(40))
        found, old = places(batch), places(before)
        moved += int((found != old).any(1).sum())
        for row in range(40):
            assert text(batch.given, row, *found[row].tolist()) == made.contexts.answers_of(row)[0]
            first, last = found[row].tolist()
            own = before.given.words[row, old[row, 0] : old[row, 1] + 1]
            assert batch.given.words[row, first : last + 1].tolist() == own.tolist()
    assert moved > 200


def test_a_word_is_matched_if_the_question_has_it():
    made, batch = _batch()
    known = spans.vocabulary(12)
    for row, found in enumerate(matches(batch.given).tolist()):
        asked = made.contexts.questions.texts[row].split()
        context = " ".join(batch.given.texts[row]).split()
        assert found == [word in asked for word in context] + [False] * (len(found) - len(context))
    unknown = batch.given._replace(words=torch.ones_like(batch.given.words), asked=torch.ones_like(batch.given.asked))
    assert known[1] == "<unk>" and not matches(unknown).any()


@pytest.mark.parametrize("case", SPANS[:2], ids=lambda case: case.name)
def test_the_probabilities_of_all_answers_sum_to_one(case):
    model = sharpened(case.build())
    _, batch = _batch(1)
    batch = batch._replace(given=batch.given._replace(features=batch.given.features.double(),
                                                      asked_features=batch.given.asked_features.double()))  # fmt: skip
    for row in range(8):
        size, log_p = int(batch.given.lengths[row]), []
        line = torch.zeros(1, dtype=torch.long)
        part = batch._replace(
            x=batch.x[row : row + 1], given=type(batch.given)(*(v[row : row + 1] for v in batch.given))
        )
        for i, j in itertools.product(range(size), repeat=2):
            log_p.append(model.log_prob(part._replace(x=torch.stack([line, line + i, line + j], 1))))
        assert torch.cat(log_p).exp().sum().item() == pytest.approx(1)


def test_a_reader_without_features_is_refused():
    with pytest.raises(Problem, match="expected features of the words for span_reader, got a dataset without"):
        build(SPANS[0].block, spans.dataset(features=0).facts())


# windows of pieces


def _long(count=4, seed=2):
    """Questions about passages of up to 8 lines, of 2 to 5 pieces a word, so that windows of 24 pieces are several."""
    made = spans.split(np.random.default_rng(seed), count, words=120, lines=8)
    return made, collate(made, np.arange(count))


def test_windows_hold_every_piece_of_the_context_and_the_targets_are_the_answers():
    model = BERTS[0].build()
    made, batch = _long()
    windows, (begins, ends) = model.windows(batch.given), model.targets(batch, model.windows(batch.given))
    assert (torch.bincount(windows.of) > 1).any() and windows.inputs["input_ids"].shape[1] <= 24
    for row in range(4):
        whole, own = " ".join(batch.given.texts[row]), windows.of == row
        covered = {
            place for first, after in windows.spans[own][windows.inside[own]].tolist() for place in range(first, after)
        }
        assert covered == {place for place, letter in enumerate(whole) if letter != " "}
        first = {tuple(span) for span in windows.spans[own][begins[own]].tolist()}
        last = {tuple(span) for span in windows.spans[own][ends[own]].tolist()}
        assert len(first) == len(last) == 1
        assert whole[first.pop()[0] : last.pop()[1]] == made.contexts.answers_of(row)[0]


def test_windows_share_the_stride():
    model = BERTS[0].build()
    _, batch = _long()
    windows = model.windows(batch.given)
    for row in range(4):
        spans_ = [set(map(tuple, windows.spans[place][windows.inside[place]].tolist()))
                  for place in (windows.of == row).nonzero()[:, 0]]  # fmt: skip
        assert all(len(one & other) == 6 for one, other in itertools.pairwise(spans_[:-1]))


def test_one_softmax_over_the_pieces_of_all_windows():
    """The probabilities of all pieces as the first sum to 1, a piece of two windows having the sum of both."""
    model = sharpened(BERTS[0].build())
    _, batch = _long()
    windows = model.windows(batch.given)
    with torch.no_grad():
        start, end = model.heads(windows)
        log_p = model.log_prob(batch)
    begins, ends = model.targets(batch, windows)
    for row in range(4):
        shares = []
        for logits, mark in ((start, begins), (end, ends)):
            weights = torch.where(windows.inside & (windows.of == row)[:, None], logits.exp(), 0)
            shares.append((weights[mark].sum() / weights.sum()).item())
        assert log_p[row].exp().item() == pytest.approx(shares[0] * shares[1])


def test_the_answer_is_the_best_span_of_any_window():
    model = sharpened(BERTS[0].build(longest=4))
    _, batch = _long()
    windows = model.windows(batch.given)
    with torch.no_grad():
        start, end = model.heads(windows)
    for row, answer in enumerate(model.answer(batch.given)):
        found = {}
        for window in (windows.of == row).nonzero()[:, 0].tolist():
            inside = windows.inside[window].nonzero()[:, 0].tolist()
            for i in inside:
                for j in [j for j in inside if i <= j < i + 4]:
                    span = windows.spans[window, i, 0].item(), windows.spans[window, j, 1].item()
                    found[(start[window, i] + end[window, j]).item()] = span
        first, after = found[max(found)]
        assert answer == " ".join(batch.given.texts[row])[first:after]


def test_a_window_without_the_whole_answer_is_answered_by_its_first_piece():
    model = sharpened(BERTS[0].build())
    _, batch = _long()
    windows = model.windows(batch.given)
    begins, ends = model.targets(batch, windows)
    with torch.no_grad():
        start, end = model.heads(windows)
        terms = model.objective(batch, 1)
    outside = windows.inputs["attention_mask"] == 0
    for name, logits, mark in (("start", start, begins), ("end", end, ends)):
        log_p = logits.masked_fill(outside, -torch.inf).log_softmax(1)
        for row in range(4):
            losses = []
            for window in (windows.of == row).nonzero()[:, 0].tolist():
                whole = begins[window].any() and ends[window].any()
                losses.append(-log_p[window][mark[window] if whole else 0].sum().item())
            assert terms[name][row].item() == pytest.approx(np.mean(losses))
    assert not all((begins.any(1) & ends.any(1)).tolist())


def test_the_pretrained_weights_are_read_and_the_head_stays(tmp_path):
    import transformers

    model = BERTS[0].build()
    head = model.bert.qa_outputs.weight.clone()
    model.initialise(_long()[1])
    wanted = transformers.BertModel.from_pretrained(spans.bert()).double().state_dict()
    for name, value in model.bert.bert.state_dict().items():
        assert torch.equal(value, wanted[name].to(value.dtype)), name
    assert torch.equal(model.bert.qa_outputs.weight, head)
    for changes, message in (
        ({"inner": 16}, r"intermediate.* of the shape \(16,\), as the model's block says, .*, got \(12,\)"),
        ({"depth": 1}, r"layer.1.* of the shape None, .*got \("),
        ({"vocabulary": 40}, r"word_embeddings.weight of the shape \(40, 6\)"),
    ):
        with pytest.raises(Problem, match=message):
            BERTS[0].build(**changes).initialise(_long()[1])
    with pytest.raises(Problem, match=f"expected an encoder in {tmp_path}"):
        build(BERTS[0].block | {"model": str(tmp_path)}, spans.dataset().facts()).initialise(_long()[1])
    with pytest.raises(Problem, match=f"expected a tokenizer in {tmp_path}"):
        build(BERTS[0].block | {"model": str(tmp_path)}, spans.dataset().facts()).windows(_long()[1].given)


def test_a_candidate_line_is_read_as_text():
    """Its words may be unknown: an encoder of raw text reads them all the same."""
    made, batch = _long()
    index = next(i for i in range(4) if made.contexts.free_of(i).any())
    chosen = [np.where(made.contexts.free_of(i), 0, -1) if i == index else None for i in range(4)]
    pool = Lines.of(["0000 00"], {}).featured(np.zeros((2, 3), np.float16))
    changed = collate(made, np.arange(4), Replacement(pool, chosen))
    assert "0000 00" in changed.given.texts[index] and (changed.given.words[index] == 1).any()
    model = BERTS[0].build()
    with torch.no_grad():
        assert (model.log_prob(changed) != model.log_prob(batch))[index]
