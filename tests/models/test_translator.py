"""The Transformer of translation: against torch's own, probabilities, cached steps, search, and what it starts from."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import nn

import translations
from seqflows.data.batching import Batch, Given, collate
from seqflows.errors import Problem
from seqflows.flows.attention import sinusoids
from seqflows.models import build
from seqflows.models.translator import END_ID, MORE, PAD_ID, START_ID, UNKNOWN_ID, _Translating

SMALL = {"class": "translator", "width": 8, "inner": 12, "heads": 2, "layers": 2, "dropout": 0.0, "flow_steps": 1}
SMALL |= {"flow_scales": 2, "flow_width": 4, "flow_inner": 6, "flow_heads": 2}
FUSED = ("none", "latent", "words", "encoding")


def _model(facts, seed=0, **changes):
    """A model in float64 whose weights are far enough from 0 that what it reads shows in its probabilities."""
    torch.manual_seed(seed)
    model = build(SMALL | changes, facts).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model


def _copied(own: nn.MultiheadAttention, attention) -> None:
    own.in_proj_weight.copy_(torch.cat([attention.query.weight, attention.key_value.weight]))
    own.in_proj_bias.copy_(torch.cat([attention.query.bias, attention.key_value.bias]))
    own.out_proj.weight.copy_(attention.out.weight)
    own.out_proj.bias.copy_(attention.out.bias)


def _torchs(model) -> nn.Transformer:
    """torch's own Transformer with the model's weights, and no normalisation after the last layer."""
    config = model.config
    size = {"d_model": config.width, "nhead": config.heads, "dim_feedforward": config.inner, "dropout": 0.0}
    depth = {"num_encoder_layers": config.layers, "num_decoder_layers": config.layers}
    other = nn.Transformer(**size, **depth, batch_first=True).double().eval()
    other.encoder.norm = other.decoder.norm = None
    with torch.no_grad():
        for mine, theirs in zip(model.encoder, other.encoder.layers, strict=True):
            _copied(theirs.self_attn, mine.own)
            theirs.norm1.load_state_dict(mine.norms[0].state_dict())
            theirs.norm2.load_state_dict(mine.norms[1].state_dict())
            theirs.linear1.load_state_dict(mine.inner[0].state_dict())
            theirs.linear2.load_state_dict(mine.inner[2].state_dict())
        for mine, theirs in zip(model.decoder, other.decoder.layers, strict=True):
            _copied(theirs.self_attn, mine.own)
            _copied(theirs.multihead_attn, mine.other)
            for place, norm in enumerate((theirs.norm1, theirs.norm2, theirs.norm3)):
                norm.load_state_dict(mine.norms[place].state_dict())
            theirs.linear1.load_state_dict(mine.inner[0].state_dict())
            theirs.linear2.load_state_dict(mine.inner[2].state_dict())
    return other


def test_it_is_torchs_transformer_with_tied_scaled_embeddings_and_sinusoids():
    dataset = translations.dataset(count=6)
    model = _model(dataset.facts())
    other, batch = _torchs(model), collate(dataset.train, np.arange(6))
    before = torch.cat([torch.full((6, 1), START_ID), batch.x[:, :-1]], 1)
    read, written = (
        8**0.5 * model.pieces[ids] + sinusoids(ids.shape[1], 8, model.pieces) for ids in (batch.given.words, before)
    )
    causal = nn.Transformer.generate_square_subsequent_mask(before.shape[1], dtype=torch.float64)
    padding = ~batch.given.mask
    masks = {"src_key_padding_mask": padding, "memory_key_padding_mask": padding, "tgt_mask": causal}
    states = other(read, written, tgt_is_causal=True, **masks)
    logits = states @ model.pieces.T
    logits[..., [PAD_ID, START_ID]] = -torch.inf
    expected = torch.zeros(6, dtype=torch.float64)
    for row, length in enumerate(batch.lengths.tolist()):
        for step in range(length):
            expected[row] += logits[row, step].log_softmax(-1)[batch.x[row, step]]
    assert torch.allclose(model.log_prob(batch), expected, atol=1e-10)


def _texts(given: Given, texts: list[list[int]]) -> Batch:
    """A batch with each of the texts, the end included, for the one source."""
    x = torch.zeros(len(texts), max(map(len, texts)), dtype=torch.long)
    for row, text in zip(x, texts, strict=True):
        row[: len(text)] = torch.tensor(text)
    many = Given(*(value.expand(len(texts), *value.shape[1:]) for value in given))
    return Batch(x, torch.tensor([len(text) for text in texts]), torch.arange(len(texts)), many)


def _one(dataset, place=0) -> Given:
    return collate(dataset.train, np.array([place])).given


@pytest.mark.parametrize("fused", FUSED)
def test_the_probabilities_of_all_texts_sum_to_one(fused):
    """Of those that end within three steps, and of three steps that may go on."""
    dataset = translations.dataset(symbols=7)
    model = _model(dataset.facts(), fused=fused)
    symbols = [place for place in range(7) if place not in (PAD_ID, START_ID)]
    others = [place for place in symbols if place != END_ID]
    ended = [[*text, END_ID] for size in range(3) for text in itertools.product(others, repeat=size)]
    going_on = [list(text) for text in itertools.product(others, repeat=3)]
    torch.manual_seed(1)
    given = _one(dataset)
    if fused in ("latent", "words"):  # the same noise for all texts
        memory, _ = model.read(given)
        model.read = lambda _: (memory._replace(
            layers=[tuple(part.expand(count, *part.shape[1:]) for part in kept) for kept in memory.layers],
            mask=memory.mask.expand(count, -1), lengths=memory.lengths.expand(count),
        ), None)  # fmt: skip
    count = len(ended) + len(going_on)
    with torch.no_grad():
        total = model.log_prob(_texts(given, ended + going_on)).exp().sum()
    assert total.item() == pytest.approx(1, abs=1e-9)


def test_a_cached_step_gives_the_scores_of_the_whole_text():
    dataset = translations.dataset(count=3)
    model, given = _model(dataset.facts()), collate(dataset.train, np.arange(3)).given
    with torch.no_grad():
        memory, _ = model.read(given)
        decoder = _Translating(model, memory)
        words = torch.tensor([[4, 5, 6], [7, 4, 4], [8, 8, 5]])
        states = model.states(torch.cat([words, torch.full((3, 1), END_ID)], 1), memory)
        expected = (states @ model.pieces.T + model.never).log_softmax(-1)
        for step in range(4):
            found = decoder.scores()
            known = [place for place in range(9) if place not in (PAD_ID, START_ID, UNKNOWN_ID)]
            assert torch.allclose(found[:, known], expected[:, step, known], atol=1e-10)
            assert (found[:, [PAD_ID, START_ID, UNKNOWN_ID]] == -torch.inf).all()
            if step < 3:
                decoder.select(torch.arange(3))
                decoder.advance(words[:, step])


@pytest.mark.parametrize("fused", ("none", "encoding"))
def test_a_wide_beam_finds_the_best_of_all_texts(fused, monkeypatch):
    """Among those of up to two subwords, whose limit is that of the source's size here."""
    monkeypatch.setattr("seqflows.models.translator.MORE", 1)
    dataset = translations.dataset(symbols=7)
    given = Given(*(value[:, :1] if value.dim() > 1 else torch.ones_like(value) for value in _one(dataset)))
    others = [UNKNOWN_ID + 3, 5, 6]
    texts = [[*text, END_ID] for size in range(3) for text in itertools.product(others, repeat=size)]
    for seed in range(4):
        model = _model(dataset.facts(), seed, fused=fused)
        with torch.no_grad():
            batch = _texts(given, texts)
            scores = model.log_prob(batch)
            full = batch.lengths == 3  # the end is certain there
            memory, _ = model.read(batch.given)
            h = model.states(batch.x.masked_fill(~batch.mask, END_ID), memory)
            last = (h @ model.pieces.T + model.never).log_softmax(-1)[:, -1, END_ID]
        scores = torch.where(full, scores - last, scores)
        # Nothing else is certain: those of full length have log p of the end there, which the search does not add.
        found = model.write(given, 40)[0]
        scores = (scores + full * last).tolist()
        rated = {tuple(text[:-1]): score / len(text) for text, score in zip(texts, scores, strict=True)}
        assert rated[tuple(found)] == pytest.approx(max(rated.values()), abs=1e-9)


def test_a_translation_depends_on_its_source_alone_and_has_a_limit_of_its_own():
    dataset = translations.dataset(count=8, window=6)
    model = _model(dataset.facts())
    with torch.no_grad():
        model.pieces[END_ID] -= 3 * model.pieces[5]  # it hardly ever ends
    together = model.write(collate(dataset.train, np.arange(8)).given, 3)
    for place, text in enumerate(together):
        given = _one(dataset, place)
        assert model.write(given, 3)[0] == text
        assert len(text) <= int(given.lengths[0]) + MORE
        assert not {PAD_ID, UNKNOWN_ID, START_ID, END_ID} & set(text)


def test_every_subword_has_the_same_weight():
    """The loss over an epoch is the NLL of all translations over all of their subwords, whatever their lengths."""
    dataset = translations.dataset(count=7)
    model, batch = _model(dataset.facts()), collate(dataset.train, np.arange(7))
    lengths = np.concatenate([dataset.train.lengths, dataset.valid.lengths])
    assert model.mean_length == pytest.approx(lengths.mean()) and len({*dataset.train.lengths}) > 1
    loss = model.objective(batch, 1)["generation"].mean()
    assert torch.allclose(loss, -model.log_prob(batch).sum() / (7 * model.mean_length), atol=1e-10)


def test_smoothing_is_of_training_alone_and_even_over_what_can_be_said():
    dataset = translations.dataset(count=5)
    model, batch = _model(dataset.facts(), smoothing=0.3), collate(dataset.train, np.arange(5))
    plain = model.objective(batch, 1)["generation"]
    assert torch.allclose(plain * model.mean_length, -model.log_prob(batch), atol=1e-10)
    smoothed = model.train().objective(batch, 1)["generation"]
    memory, _ = model.read(batch.given)
    states = model.states(batch.x.masked_fill(~batch.mask, END_ID), memory)
    log_p = (states @ model.pieces.T + model.never).log_softmax(-1)
    share = torch.full((9,), 1 / 7, dtype=torch.float64)
    share[[PAD_ID, START_ID]] = 0
    even = -(log_p.masked_fill(share == 0, 0) * share).sum(-1) * batch.mask
    expected = 0.7 * plain + 0.3 * even.sum(1) / model.mean_length
    assert torch.allclose(smoothed, expected, atol=1e-10)


@pytest.mark.parametrize("fused", ("latent", "words"))
def test_the_vectors_are_those_of_the_other_model_frozen_and_saved(fused):
    dataset = translations.dataset(count=4)
    other, model = _model(dataset.facts(), 1), _model(dataset.facts(), 2, fused=fused)
    model.start_from(other.state_dict())
    assert torch.equal(model.vectors, 8**0.5 * other.pieces)
    assert "vectors" in model.state_dict() and "vectors" not in dict(model.named_parameters())
    fresh = _model(dataset.facts(), 3, fused=fused)
    fresh.load_state_dict(model.state_dict())
    assert torch.equal(fresh.vectors, model.vectors)
    batch = collate(dataset.train, np.arange(4))
    sum(model.train().objective(batch, 1).values()).sum().backward()
    assert not model.vectors.requires_grad and model.pieces.grad is not None
    with pytest.raises(Problem, match="same width and dataset"):
        model.start_from(_model(dataset.facts(), width=4, heads=1).state_dict())
    with pytest.raises(Problem, match="no such tensor"):
        model.start_from({})
    with pytest.raises(TypeError, match="Expected a model that has something of another"):
        nn.Module.__getattribute__(model, "__class__").__mro__[2].start_from(model, {})


@pytest.mark.parametrize("fused", FUSED)
def test_the_decoder_reads_normalised_vectors_whatever_joins_the_encoding(fused):
    dataset = translations.dataset(count=4)
    torch.manual_seed(0)
    model, given = build(SMALL | {"fused": fused}, dataset.facts()), collate(dataset.train, np.arange(4)).given
    seen = []
    model.decoder[0].other.keys = lambda u: seen.append(u) or u
    with torch.no_grad():
        model.read(given)
    u = seen[0][given.mask]
    assert torch.allclose(u.mean(-1), torch.zeros(len(u)), atol=1e-5)
    assert torch.allclose(u.square().mean(-1), torch.ones(len(u)), atol=0.05)


@pytest.mark.parametrize("fused", ("latent", "words"))
def test_a_source_longer_than_the_flow_is_read_in_windows(fused, monkeypatch):
    """Each by itself: what joins the first 8 of 11 subwords, and the other 3, is what joins them alone."""
    monkeypatch.setattr(torch, "randn_like", torch.zeros_like)
    dataset = translations.dataset(count=2, window=8)
    model = _model(dataset.facts(), fused=fused)
    seen, forward = [], model.fusion.forward
    monkeypatch.setattr(model.fusion, "forward", lambda u, z: seen.append(z) or forward(u, z))

    def joined(ids, longest=0):
        length, size = len(ids), max(len(ids), longest)
        words = torch.nn.functional.pad(ids, (0, size - length))[None]
        given = Given(words, torch.zeros_like(words), torch.tensor([length]), torch.zeros(1, size, 0))
        with torch.no_grad():
            model.read(given)
            bits = model.context_bits(given)
        return seen[-1][0], bits

    long = torch.arange(11) % 5 + 4
    (whole, bits), (first, first_bits), (rest, rest_bits) = joined(long), joined(long[:8]), joined(long[8:])
    assert whole.shape[0] == 11 and first.any() and rest.any()
    assert torch.allclose(whole[:8], first, atol=1e-6) and torch.allclose(whole[8:], rest, atol=1e-6)
    beside, beside_bits = joined(long[:8], longest=20)  # windows of padding alone say nothing of a text
    assert torch.allclose(beside[:8], first, atol=1e-6)
    if fused == "latent":
        assert bits == pytest.approx((first_bits + rest_bits) / 2, abs=1e-5)
        assert beside_bits == pytest.approx(first_bits, abs=1e-5)
