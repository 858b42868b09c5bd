"""Language Flow+: the decoder's probabilities, what it reads, and what it writes."""

from __future__ import annotations

import itertools

import pytest
import torch

from models_list import embedded
from seqflows.data.batching import Batch
from seqflows.models import build
from seqflows.models.flow_decoder import END_ID, PAD_ID, START_ID, written
from seqflows.models.language_flow import encoded

SMALL = {"class": "flow_decoder", "scales": 1, "steps": 2, "width": 6, "inner": 8, "heads": 2}
SMALL |= {"units": 6, "layers": 1, "dropout": 0.0}


def _model(length=4, count=6, **changes):
    torch.manual_seed(0)
    model = build(SMALL | changes, embedded(length, 4, count)).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model


def _batch(tokens) -> Batch:
    x = torch.tensor(tokens)
    return Batch(x, torch.full((len(x),), x.shape[1]), torch.arange(len(x)))


def test_the_decoders_probabilities_of_all_texts_sum_to_one():
    """Every way to go on after <s>, up to the end symbol or to the last step."""
    model = _model(count=5)
    eps = torch.randn(1, 4, 4, dtype=torch.float64)
    texts = {}
    for rest in itertools.product(range(5), repeat=3):
        kept = rest[: rest.index(END_ID) + 1] if END_ID in rest else rest
        texts[kept] = [START_ID, *kept, *[PAD_ID] * (3 - len(kept))]
    tokens = torch.tensor(list(texts.values()))
    log_p = model.log_tokens(tokens, eps.expand(len(tokens), -1, -1)).sum(1)
    assert log_p.exp().sum().item() == pytest.approx(1.0, abs=1e-12)


def test_the_tokens_up_to_the_end_are_written():
    tokens = torch.tensor([[2, 4, 3, 0], [2, 3, 0, 0], [2, 4, 4, 4], [3, 4, 3, 3]])
    assert written(tokens).tolist() == [[1, 1, 0], [1, 0, 0], [1, 1, 1], [1, 1, 0]]


def test_the_loss_is_both_by_hand():
    model = _model(variance=0.25, weight=2.0)
    batch = _batch([[2, 4, 5, 3], [2, 4, 3, 0]])
    torch.manual_seed(5)
    terms = model.objective(batch, 1)
    torch.manual_seed(5)
    eps, log_density = encoded(model.flow, model.embedded(batch.x))
    log_p = model.log_tokens(batch.x, eps + 0.5 * torch.randn_like(eps))
    assert torch.allclose(terms["generation"], torch.stack([-log_p[0].sum() / 3, -log_p[1].sum() / 2]))
    assert torch.allclose(terms["bits"], 2 * model.bits_per_dimension(log_density))


def test_the_noise_has_the_variance():
    model = _model()
    torch.manual_seed(0)
    drawn = model.noised(torch.zeros(50, 40, 50), 0.5)
    assert drawn.var().item() == pytest.approx(0.5, rel=0.02) and abs(drawn.mean().item()) < 0.01
    assert torch.equal(model.noised(drawn, 0.0), drawn)


def test_both_losses_move_the_flow_and_each_group_is_a_part():
    model = _model()
    model.objective(_batch([[2, 4, 5, 3]]), 1)["generation"].sum().backward()
    flow, decoder = model.groups()
    assert any(parameter.grad is not None and parameter.grad.any() for parameter in flow)
    assert {*map(id, flow)} | {*map(id, decoder)} == {id(parameter) for parameter in model.parameters()}
    assert not {*map(id, flow)} & {*map(id, decoder)} and set(flow) == set(model.flow.parameters())


def test_a_wide_search_finds_the_likeliest_text():
    """Of all texts, rated as `search.ranked` does: log p over the number of its words with the end."""
    model = _model(count=6)
    eps = torch.randn(1, 4, 4, dtype=torch.float64)
    best, found = -torch.inf, None
    for words in (list(one) for n in range(4) for one in itertools.product((1, 4, 5), repeat=n)):
        row = [START_ID, *words, END_ID, PAD_ID, PAD_ID, PAD_ID][:4]
        size = min(len(words) + 1, 3)
        log_p = model.log_tokens(torch.tensor([row]), eps)[0, :size].sum().item() / (len(words) + 1)
        if log_p > best:
            best, found = log_p, row
    assert model.decode(eps, 200).tolist() == [found]


def test_a_trained_decoder_gives_texts_back_and_reads_the_latents():
    """Of noise 0, of sixteen texts learned by heart; other latents give other texts."""
    torch.manual_seed(1)
    model = build(SMALL | {"units": 32, "variance": 0.01, "width": 12}, embedded(6, 4, 8))
    texts = torch.tensor([[2, a, b, 7, 3, 0] for a in range(4, 8) for b in range(4, 8)])
    batch = _batch(texts.tolist())
    model.initialise(batch)
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(300):
        optimizer.zero_grad()
        sum(value.mean() for value in model.objective(batch, 1).values()).backward()
        optimizer.step()
    model.eval()
    again = model.decode(model.encode(texts), 2)
    assert (again == texts).all(1).float().mean() > 0.9
    assert not torch.equal(model.decode(model.encode(texts.flip(0)), 2), again)
