"""FlowSeq: its likelihood, training apart from scoring, writing, sizes, and that it learns.

Legend: B batch, T time, P steps of the latent, D its dimensions, V words that can be written, K importance samples,
Q draws of the prior.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from torch import Tensor

import pairs
from models_list import FACTS, PAIRS, contexts, paired, sharpened
from seqflows.data.batching import Batch, Given, collate
from seqflows.data.prepared import Contexts, Dataset, Split
from seqflows.errors import Problem
from seqflows.flows import Size, multiscale
from seqflows.models import build, flowseq
from seqflows.models.flowseq import FlowSeq

END = 3
WRITABLE = (1, 4, 5)  # ids, of FACTS["pairs"]
SMALL = PAIRS[0].block


def _repeated(given: Given, count: int) -> Given:
    return Given(*(value.expand(count, *value.shape[1:]) for value in given))


def _every_question(length: int, given: Given) -> Batch:
    """Every question of a length, with its end, for one context."""
    rows = [[*words, END] for words in itertools.product(WRITABLE, repeat=length - 1)]
    lengths = torch.full((len(rows),), length)
    return Batch(torch.tensor(rows), lengths, torch.arange(len(rows)), _repeated(given, len(rows)))


def _trained_look(seed: int = 0) -> FlowSeq:
    """Random weights, and a posterior that is wider than the prior and near it."""
    model = sharpened(PAIRS[0].build(FACTS["pairs"], seed=seed))
    with torch.no_grad():
        noise = torch.randn(2000, 3, model.config.latent, dtype=torch.float64)
        z, _ = model.prior.inverse(noise, model.read(contexts(1, FACTS["pairs"])).flow)
        spread = (z - z.mean((0, 1))).square().mean((0, 1)).sqrt()
        model.to_posterior.weight.mul_(0.3)
        model.to_posterior.bias.copy_(torch.cat([z.mean((0, 1)), (1.3 * spread).log()]))
    return model


@torch.no_grad()
def _by_the_prior(model: FlowSeq, batch: Batch, given: Given, draws: int = 30_000) -> tuple[Tensor, Tensor]:
    """log p(y, T | x), (B,), of questions of one length on one context, by draws of the prior, and its error."""
    length, read = batch.x.shape[1], model.read(given)
    empty = model.question(torch.zeros(1, 0, dtype=torch.long), torch.tensor([length])).repeat(draws)
    z, _ = model.prior.inverse(torch.randn(draws, length, 2, dtype=torch.float64), read.flow, empty.mask)
    log_p = model.logits(model.states(z, empty, read.source)).log_softmax(-1)  # (Q, T, V)
    found = torch.zeros(draws, len(batch.x), dtype=torch.float64)
    for t, words in enumerate(batch.x[:, :-1].unbind(1)):
        found = found + log_p[:, t, [WRITABLE.index(word) for word in words.tolist()]]
    mean = found.exp().mean(0)
    return mean.log() + read.log_lengths[0, length - 1], found.exp().std(0) / mean / math.sqrt(draws)


@pytest.mark.parametrize("seed", [1, 2])
def test_all_questions_have_probability_one_and_importance_weights_have_their_mean(seed):
    """Over all lengths and words of a context; the probabilities use the prior's inverse, the weights its forward."""
    model, given, total = _trained_look(seed), contexts(1, FACTS["pairs"], seed), 0.0
    for length in (1, 2, 3):
        batch = _every_question(length, given)
        torch.manual_seed(seed)
        log_p, spread = _by_the_prior(model, batch, given)
        total += log_p.exp().sum().item()
        with torch.no_grad():
            w = (model.importance(batch, 2048)[0] - log_p[:, None]).exp()
        error = (w.var(1) / w.shape[1] + spread**2).sqrt()
        assert (error < 0.2).all() and ((w.mean(1) - 1).abs() <= 5 * error + 1e-9).all()
        assert length == 1 or log_p.std() > 0.05  # the questions differ
    assert total == pytest.approx(1, abs=1e-9)


def test_more_importance_samples_rise_from_the_bound_to_the_exact_likelihood():
    model, given = _trained_look(1), contexts(1, FACTS["pairs"], 3)
    batch, samples = _every_question(2, given), 8192
    torch.manual_seed(0)
    exact, spread = _by_the_prior(model, batch, given)
    assert (spread < 0.01).all()
    with torch.no_grad():
        log_w = model.log_weights(batch, samples) - exact[:, None]
        terms = model.objective(batch, samples)
    estimates = {k: log_w.view(3, -1, k).logsumexp(-1) - math.log(k) for k in (1, 8, 64)}
    means = {k: value.mean(1) for k, value in estimates.items()}
    slack = {k: 5 * (value.std(1) / math.sqrt(value.shape[1]) + spread) for k, value in estimates.items()}
    assert (means[1] < -slack[1]).all()
    assert (means[8] > means[1]).all() and (means[64] > means[8] - slack[64]).all()
    assert (means[64] <= slack[64]).all()
    elbo = -batch.lengths * sum(terms.values())  # terms are nats a word, the end counted
    assert ((elbo - exact - means[1]).abs() <= 2 * slack[1]).all()
    assert (terms["kl"] > 0).all() and (terms["length"] > 0).all()


def test_the_prior_is_a_density_of_all_rounded_steps():
    """The latent of one step, integrated over the plane, for two contexts."""
    model = _trained_look(1)
    axis = torch.linspace(-15, 15, 241, dtype=torch.float64)
    z = torch.cartesian_prod(axis, axis)[:, None]
    read = model.read(contexts(2, FACTS["pairs"]))
    for row in range(2):
        source = type(read.flow)(*(value[row : row + 1] for value in read.flow))
        question = model.question(torch.zeros(1, 0, dtype=torch.long), torch.tensor([1])).repeat(len(z))
        with torch.no_grad():
            density = model.log_prior(z, question, source).exp()
        assert float(density.sum()) * float(axis[1] - axis[0]) ** 2 == pytest.approx(1, abs=1e-3)


def test_lengths_are_rounded_up_to_what_the_levels_divide():
    model = PAIRS[1].build(paired(8, 6))
    question = model.question(torch.ones(4, 9, dtype=torch.long), torch.tensor([1, 4, 5, 6]))
    assert question.mask.sum(1).tolist() == [4, 4, 8, 8] and question.said.sum(1).tolist() == [0, 3, 4, 5]
    assert question.words.shape == (4, 8) and question.words.sum(1).tolist() == [0, 3, 4, 5]


def test_words_that_cannot_be_written_count_as_unknown_and_long_questions_are_cut():
    model = sharpened(PAIRS[1].build(paired(8, 6)))
    given = contexts(1, paired(8, 6))
    written = torch.tensor([[4, 1, 7, 5, 6, 1, 4, END]])
    copied = torch.tensor([[4, 8, 7, 5, 6, 9, 9, END]])
    cut = torch.tensor([[4, 1, 7, 5, 6, END]])
    found = []
    for x in (written, copied, cut):
        torch.manual_seed(0)
        found.append(model.log_weights(Batch(x, torch.tensor([x.shape[1]]), torch.arange(1), given), 3))
    assert torch.allclose(found[0], found[1]) and torch.allclose(found[0], found[2])
    other = torch.tensor([[4, 1, 7, 5, 5, END]])
    torch.manual_seed(0)
    assert not torch.allclose(found[2], model.log_weights(Batch(other, torch.tensor([6]), torch.arange(1), given), 3))


# --- training apart from scoring


def _terms(model: FlowSeq, batch: Batch, seed: int = 0) -> dict[str, Tensor]:
    torch.manual_seed(seed)
    with torch.no_grad():
        return model.objective(batch, 1)


def _some(facts) -> Batch:
    x = torch.tensor([[4, 5, 6, 7, 4, END], [6, 7, END, 0, 0, 0], [5, END, 0, 0, 0, 0]])
    return Batch(x, torch.tensor([6, 3, 2]), torch.arange(3), contexts(3, facts))


OFF = {"dropout": 0.0, "transformer_dropout": 0.0, "word_dropout": 0.0, "smoothing": 0.0}


def test_smoothing_is_of_training_alone_and_its_share_is_the_mean_over_words_and_lengths():
    facts = paired(8, 6)
    plain = sharpened(PAIRS[0].build(facts, **OFF))
    smooth = sharpened(PAIRS[0].build(facts, **OFF | {"smoothing": 0.1}))
    batch = _some(facts)
    scored = _terms(plain, batch)
    assert all(torch.equal(value, scored[name]) for name, value in _terms(smooth, batch).items())
    trained = _terms(smooth.train(), batch)
    assert torch.equal(trained["kl"], scored["kl"])
    assert all(torch.equal(value, scored[name]) for name, value in _terms(plain.train(), batch).items())
    read, question = plain.read(batch.given), plain.targets(batch)
    torch.manual_seed(0)
    mean, log_scale = plain.posterior(question, read.source)
    z = mean + log_scale.exp() * torch.randn_like(mean)
    log_p = plain.logits(plain.states(z, question, read.source)).log_softmax(-1)
    even = -(log_p.mean(-1) * question.said).sum(1) / batch.lengths
    assert torch.allclose(trained["reconstruction"], 0.9 * scored["reconstruction"] + 0.1 * even)
    even = -read.log_lengths.mean(1) / batch.lengths
    assert torch.allclose(trained["length"], 0.9 * scored["length"] + 0.1 * even)


def test_words_are_dropped_in_training_alone_and_only_from_the_posterior():
    facts = paired(8, 6)
    model = sharpened(PAIRS[0].build(facts, **OFF | {"word_dropout": 0.5}))
    batch = _some(facts)
    question = model.targets(batch)
    source = model.read(batch.given).source
    whole = model.posterior(question, source)[0]
    assert torch.equal(whole, model.posterior(question, source)[0])
    model.train()
    torch.manual_seed(0)
    dropped = [model.posterior(question, source)[0] for _ in range(20)]
    assert all(not torch.equal(whole, one) for one in dropped)
    z = torch.randn(3, 6, 2, dtype=torch.float64)
    assert torch.equal(model.states(z, question, source), model.states(z, question, source))
    # A question of one word: either the word is dropped, whichever it was, or seen at twice its size.
    one = [model.question(torch.tensor([[word]]), torch.tensor([2])) for word in (1, 2)]
    source = type(source)(*(value[:1] for value in source))
    found = {n: {tuple(model.posterior(q, source)[0].flatten().tolist()) for _ in range(20)} for n, q in enumerate(one)}
    assert len(found[0]) == len(found[1]) == 2 and len(found[0] & found[1]) == 1


def test_the_samples_of_the_objective_are_averaged(monkeypatch):
    facts = paired(8, 6)
    model, batch = sharpened(PAIRS[0].build(facts)), _some(facts)
    noise = torch.randn(3, 2, 6, 2, dtype=torch.float64)
    found = []
    for draws in (noise, noise[:, :1], noise[:, 1:]):
        monkeypatch.setattr(torch, "randn_like", lambda _, draws=draws: draws.flatten(0, 1))
        found.append(model.objective(batch, draws.shape[1]))
    for name, value in found[0].items():
        assert torch.allclose(value, (found[1][name] + found[2][name]) / 2), name
    assert not torch.allclose(found[1]["reconstruction"], found[2]["reconstruction"])


def test_the_flow_is_clipped_apart_and_is_what_the_kl_alone_trains():
    facts = paired(8, 6)
    model, batch = sharpened(PAIRS[0].build(facts)), _some(facts)
    flow, others = model.groups()
    assert sorted(map(id, flow + others)) == sorted(map(id, model.parameters()))
    assert model.flow_parameters == sum(parameter.numel() for parameter in flow)
    terms = model.objective(batch, 1)
    (terms["reconstruction"] + terms["length"]).sum().backward()
    assert all(parameter.grad is None for parameter in flow)
    assert sum(parameter.grad is None for parameter in others) == 0


def test_words_are_scored_in_parts_as_at_once(monkeypatch):
    facts = paired(8, 6)
    model, batch = sharpened(PAIRS[0].build(facts)), _some(facts)
    whole = _terms(model, batch)
    monkeypatch.setattr(flowseq, "LOGITS", 1)
    assert all(torch.allclose(value, whole[name]) for name, value in _terms(model, batch).items())


def test_actnorms_are_set_from_the_first_batch():
    model = sharpened(PAIRS[1].build(paired(8, 6)))  # or a later one finds what an earlier one has normalised
    before = [value.clone() for name, value in model.prior.named_parameters() if name.endswith("shift")]
    model.initialise(_some(paired(8, 6)))
    after = [value for name, value in model.prior.named_parameters() if name.endswith("shift")]
    assert all(not torch.equal(*values) for values in zip(before, after, strict=True))


# --- writing


@pytest.mark.parametrize(("beam", "temperature"), [(1, 0.7), (2, 0.0), (9, 0.7)])
def test_what_is_written_are_words_of_the_output_vocabulary_whoever_is_beside(beam, temperature):
    facts = paired(8, 6)
    model = sharpened(PAIRS[1].build(facts, seed=2, temperature=temperature))
    given = contexts(17, facts)
    found = model.write(given, beam)
    assert len(found) == 17 and all(1 <= len(text) < facts.max_length for text in found)
    assert all(type(word) is int and 4 <= word < facts.outputs for text in found for word in text)
    torch.manual_seed(5)
    assert found == model.write(given, beam)
    for row in (0, 16):
        assert model.write(Given(*(value[row : row + 1] for value in given)), beam) == [found[row]]


def test_a_beam_of_one_takes_the_most_likely_length_and_words_of_no_noise():
    facts = paired(8, 6)
    model = sharpened(PAIRS[1].build(facts, seed=3))
    given = contexts(6, facts)
    read = model.read(given)
    lengths = read.log_lengths[:, 1:].argmax(1) + 2
    for row, text in enumerate(model.write(given, 1)):
        one = type(read.source)(*(value[row : row + 1] for value in read.source))
        flow = type(read.flow)(*(value[row : row + 1] for value in read.flow))
        empty = model.question(torch.zeros(1, 0, dtype=torch.long), lengths[row : row + 1])
        z, _ = model.prior.inverse(torch.zeros(*empty.words.shape, 2, dtype=torch.float64), flow, empty.mask)
        words = model.logits(model.states(z, empty, one))[0, : int(lengths[row]) - 1, 1:].argmax(-1) + 4
        assert text == words.tolist()


def test_of_several_candidates_the_likeliest_per_word_is_written(monkeypatch):
    facts, draws = paired(8, 6), 5
    model = sharpened(PAIRS[0].build(facts, seed=14, temperature=1.0, rescored=draws))
    given, best = contexts(6, facts), []
    read = model.read(given)
    candidates, count = model._candidates(read, 9)
    lengths = candidates.lengths.view(6, count)
    assert count == 9 and all(len(row.unique()) == 3 for row in lengths)  # 3 lengths, 3 draws of each
    assert torch.equal(lengths[:, 0], read.log_lengths[:, 1:].argmax(1) + 2)
    for row, text in enumerate(model.write(given, 9)):
        x = torch.nn.functional.pad(candidates.words.view(6, count, -1)[row] + 3, (0, 1))
        x.scatter_(1, lengths[row][:, None] - 1, END)
        one = Given(*(value[row : row + 1] for value in given))
        noise = model._noise(draws, lengths[row]).repeat(count, 1, 1)
        with monkeypatch.context() as patched, torch.no_grad():
            patched.setattr(torch, "randn_like", lambda _, noise=noise: noise)
            log_w = model.log_weights(Batch(x, lengths[row], torch.arange(count), _repeated(one, count)), draws)
        best.append(int((log_w.logsumexp(1) / lengths[row] - math.log(draws) / lengths[row]).argmax()))
        assert text == x[best[-1], : int(lengths[row, best[-1]]) - 1].tolist()
    assert any(best) and len(set(best)) > 1


# --- sizes

BLOCKS = {
    "demo": {"units": 16, "layers": 1, "latent": 8, "width": 16, "inner": 32, "heads": 2, "depth": 1}
    | {"flow_steps": [1, 1], "flow_width": 6, "flow_inner": 20, "flow_heads": 2},
    "laptop": {"units": 128, "layers": 2, "latent": 32, "width": 128, "inner": 256, "heads": 4, "depth": 2}
    | {"flow_steps": [4, 4, 2], "flow_width": 24, "flow_inner": 24, "flow_heads": 4},
    "paper": {},  # the defaults
}
FLOWS = {  # Lang-Flow's: window, dimensions, size, steps and scales
    "demo": (32, 8, Size(16, 32, 2), 2, 2),
    "laptop": (128, 50, Size(64, 256, 4), 4, 3),
    "paper": (400, 300, Size(512, 3712, 8), 16, 3),
}


@pytest.mark.parametrize("scale", BLOCKS)
def test_the_flow_has_as_many_parameters_as_lang_flow(scale):
    length, dim, size, steps, scales = FLOWS[scale]
    facts = paired(9, 30)
    with torch.device("meta"):
        other = multiscale(length, dim, "time", "attention", size, steps, scales)
        model = build({"class": "flowseq"} | BLOCKS[scale], facts)
    wanted = sum(value.numel() for value in other.parameters())
    assert model.flow_parameters == pytest.approx(wanted, rel=0.1)
    assert model.flow_parameters < sum(value.numel() for value in model.parameters())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"heads": 4}, "heads: expected a divisor of width, 6, got 4"),
        ({"flow_heads": 3}, "flow_heads: expected a divisor of flow_width, 4, got 3"),
        ({"latent": 3}, "latent: expected an even whole number"),
        ({"flow_steps": []}, "flow_steps: expected a list"),
        ({"flow_steps": 4}, "flow_steps: expected a list"),
        ({"temperature": -1.0}, "temperature"),
    ],
)
def test_wrong_blocks_are_a_problem(changes, message):
    with pytest.raises(Problem, match=message):
        build(SMALL | changes, FACTS["pairs"])


@pytest.mark.parametrize("facts", [pairs.dataset(features=0).facts(), paired(4, 5), paired(8, 1)])
def test_data_without_features_words_or_room_for_one_are_refused(facts):
    with pytest.raises(Problem, match="expected features, a vocabulary and questions of at least a word"):
        build(SMALL, facts)


# --- learning


def _asked(count: int, seed: int) -> Dataset:
    """Questions that the answer decides: its own word, after a word and before as many others as its number says."""
    rng, window, words = np.random.default_rng(seed), 5, 16
    shown = rng.integers(10, words, (count, window))
    place, answer = rng.integers(0, window, count), rng.integers(4, 8, count)
    shown[np.arange(count), place] = answer
    rows = [[8, a, *[9] * (a % 3), END] for a in answer]
    lengths = np.array([len(row) for row in rows])
    vectors = np.random.default_rng(0).standard_normal((words, 8)).astype(np.float32)
    start = np.stack([np.zeros(count, np.int32), np.full(count, window, np.int32)], 1)
    context = Contexts(
        shown.ravel().astype(np.int32), np.full(count, window), np.array([f"a{n}" for n in range(count)]),
        np.arange(count, dtype=np.int32), start, np.stack([place, place + 1], 1).astype(np.int32),
        np.array([f"q{n}" for n in range(count)]), vectors[shown.ravel()].astype(np.float16),
    )  # fmt: skip
    split = Split("pairs", lengths, np.concatenate(rows).astype(np.int32), contexts=context)
    statistics = {"max_length": 6, "outputs": 12, "window": window, "kind": "pairs", "dataset": "asked"}
    return Dataset("asked", "pairs", [str(n) for n in range(words)], *[split] * 3, statistics, "", vectors)


def test_training_learns_the_question_that_the_answer_decides():
    torch.manual_seed(0)
    data, others = _asked(256, 0), _asked(64, 1)
    block = SMALL | {
        "units": 16,
        "latent": 4,
        "width": 16,
        "inner": 32,
        "dropout": 0.0,
        "transformer_dropout": 0.0,
        "flow_width": 8,
    }
    model = build(block, data.facts()).train()
    optimiser = torch.optim.Adam(model.parameters(), 0.01)
    held = collate(others.train, np.arange(64))
    bounds = []
    for step in range(120):
        batch = collate(data.train, np.random.default_rng(step).choice(256, 32, replace=False))
        if not step:
            model.initialise(batch)
        terms = model.objective(batch, 1)
        weight = min(1.0, max(1e-3, (step - 40) / 40))
        optimiser.zero_grad()
        sum(weight * value if name == "kl" else value for name, value in terms.items()).mean().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimiser.step()
        if step in (0, 119):
            bounds.append(sum(_terms(model.eval(), held).values()).mean().item())
            model.train()
    wanted = [others.train.sequence(n)[:-1].tolist() for n in range(64)]
    written = model.eval().write(held.given, 1)
    right = sum(map(list.__eq__, written, wanted)) / 64
    assert bounds[1] < 0.3 * bounds[0] and right > 0.9, (bounds, right)


def _begun(begin: str = "means") -> tuple[FlowSeq, Batch]:
    dataset = pairs.dataset()
    torch.manual_seed(0)
    model = build(
        SMALL | {"begin": begin, "dropout": 0.0, "transformer_dropout": 0.0, "word_dropout": 0.0}, dataset.facts()
    )
    batch = collate(dataset.train, np.arange(6))
    model.initialise(batch)
    return model, batch


def test_means_have_neither_noise_nor_a_kl_term_until_it_has_a_weight():
    """Then it is the model of draws, to the bit, which never looks at the phase."""
    model, batch = _begun()
    model.free = True
    first, second = (model.objective(batch, 2) for _ in range(2))
    assert torch.equal(first["reconstruction"], second["reconstruction"]) and (first["kl"] == 0).all()
    sum(term.sum() for term in first.values()).backward()
    log_scale = model.to_posterior.weight.grad[model.config.latent :]
    assert all(parameter.grad is None for parameter in model.prior.parameters()) and (log_scale == 0).all()
    other, _ = _begun("draws")
    other.load_state_dict(model.state_dict())
    model.free = False
    for free in (False, True):
        other.free = free
        found = []
        for one in (model, other):
            torch.manual_seed(1)
            found.append(one.objective(batch, 2))
        assert all(torch.equal(found[0][name], found[1][name]) for name in found[0]) and (found[0]["kl"] != 0).all()


def test_a_restart_has_deviations_near_one_and_actnorms_of_its_draws():
    model, batch = _begun()
    with torch.no_grad():
        model.to_posterior.bias[model.config.latent :] = -3.0
        model.to_posterior.weight[: model.config.latent].mul_(20.0)
    kept = model.to_posterior.weight[: model.config.latent].clone()
    assert model.restart(batch) and torch.equal(kept, model.to_posterior.weight[: model.config.latent])
    read, question = model.read(batch.given), model.targets(batch)
    mean, log_scale = model.posterior(question, read.source)
    inside = log_scale[question.mask]
    assert inside.abs().max() < 0.3 and 0 < inside.std() < 0.15
    z = mean + log_scale.exp() * torch.randn_like(mean)
    eps, _ = model.prior.forward(z, read.flow, question.mask)
    assert eps[question.mask].std(0).sub(1).abs().max() < 0.6, "the scale of the means is in the actnorms"
    assert not _begun("draws")[0].restart(batch)
