"""The contract of every model, over the list in models_list.py.

Legend: B batch, T time, V symbols, K importance samples.
"""

from __future__ import annotations

import math

import pytest
import torch
from safetensors.torch import load, save
from scipy import stats

from models_list import (
    BERTS,
    CASES,
    CHOICES,
    CHOSEN,
    DECODERS,
    DENSITIES,
    FACTS,
    FEW,
    FIFTH,
    FROZEN,
    GRUS,
    LANGUAGE,
    LATENT,
    MIXTURES,
    PAIRS,
    RECURRENT,
    SMALL,
    SPANS,
    STATES,
    all_sequences,
    answered,
    asked,
    axis,
    choosing,
    contexts,
    embedded,
    exact_log_probs,
    log_probs_over_z,
    paired,
    sequences,
    sharpened,
    spellings,
    translated,
    true_log_probs,
)
from seqflows.config.models import MODELS
from seqflows.data.batching import Batch, Choices, Given, Lined, Seen
from seqflows.data.prepared import Facts
from seqflows.errors import Problem
from seqflows.models import build
from seqflows.models.networks import step_mask
from seqflows.noise import BITS, floor

LONG = {
    "categorical": Facts("categorical", 4, 6, (0, 1, 1, 3, 2, 0, 1)),
    "bernoulli": Facts("bernoulli", 3, 6, (0, 1, 1, 3, 2, 0, 1)),
    "real": FACTS["real"],
    "words": Facts("categorical", 4, 6, (0, 1, 1, 3, 2, 0, 1)),
    "language": embedded(8, 2),  # an LSTM of one step, as at the last scale of four, has no recurrent weights
    "pairs": paired(8, 6),
    "spans": FACTS["spans"],
    "translation": translated(8, 6),
    "choices": choosing(concepts=3),
}
SIZES = {"latent": 4}  # of the checks that need no quadrature
SEQUENTIAL = LATENT + RECURRENT
WORDS = STATES + GRUS


def _named(cases):
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.name)


def _seconds(cases):
    """Of checks that take seconds a latent model, `make test` takes those among FEW."""
    slow = [case in LATENT and case not in FEW for case in cases]
    params = [pytest.param(case, marks=[pytest.mark.slow] * skip) for case, skip in zip(cases, slow, strict=True)]
    return pytest.mark.parametrize("case", params, ids=lambda case: case.name)


def _build(case, **changes):
    more = SIZES if case in LATENT else {}
    return case.build(LONG[case.emission], **more, **changes)


def _some(emission: str, lengths, seed: int = 0) -> Batch:
    """Random sequences of the given lengths, zeros after the end."""
    facts, generator = LONG[emission], torch.Generator().manual_seed(seed)
    if emission == "spans":
        return answered(len(lengths), facts, seed)
    count, steps = len(lengths), max(lengths)
    if emission == "choices":
        given = asked(count, facts, seed)
        return Batch(given.correct[:, None], torch.ones(count, dtype=torch.int64), torch.arange(count), given)
    if emission == "real":
        x = torch.randn(count, 1, 2, generator=generator, dtype=torch.float64)
    elif emission == "language":
        x = torch.randint(facts.symbols, (count, steps), generator=generator)
    elif emission in ("pairs", "translation"):
        x = torch.randint(4, facts.symbols, (count, steps), generator=generator)
        x[torch.arange(count), torch.tensor(lengths) - 1] = 3
    elif emission == "words":  # the last symbol is the end, and stands there alone
        x = torch.randint(facts.symbols - 1, (count, steps), generator=generator)
        x[torch.arange(count), torch.tensor(lengths) - 1] = facts.symbols - 1
    elif emission == "categorical":
        x = torch.randint(facts.symbols, (count, steps), generator=generator)
    else:
        x = torch.randint(2, (count, steps, facts.symbols), generator=generator).float()
    lengths = torch.tensor(lengths)
    if emission != "real":
        mask = step_mask(lengths, steps)
        x[~mask] = 0
    given = contexts(count, facts) if emission in ("pairs", "translation") else None
    return Batch(x, lengths, torch.arange(count), given)


def _cast(batch: Batch, dtype: torch.dtype) -> Batch:
    """The batch with its numbers, not its symbols, in another precision."""
    x = batch.x.to(dtype) if batch.x.is_floating_point() else batch.x
    names = [name for name in ("features", "asked_features") if hasattr(batch.given, name)]
    cast = {name: getattr(batch.given, name).to(dtype) for name in names}
    return batch._replace(x=x, given=batch.given and batch.given._replace(**cast))


def _lengths(case, *lengths: int) -> list[int]:
    """These where the data have lengths; vectors and choices have one step, language as many as its facts say."""
    if case.emission in ("real", "language", "spans", "choices"):
        return [LONG[case.emission].max_length] * len(lengths)
    return list(lengths)


def test_every_class_has_a_case():
    """A class of `seqflows.config.models` is in the list, with data of each emission that it takes."""
    assert {case.block["class"] for case in CASES} == set(MODELS)
    assert {case.block["class"] for case in FEW} == set(MODELS)
    few = {choice for case in FIFTH for choice in case.name.split("-")}
    assert few == set().union(*CHOSEN), "take FIFTH of tests/models_list.py in other steps"
    assert len({case.name for case in CASES}) == len(CASES)
    emissions = {"text": "categorical", "music": "bernoulli", "vectors": "real"}
    for name, row in MODELS.items():
        found = {case.emission for case in CASES if case.block["class"] == name}
        assert found == {emissions.get(kind, kind) for kind in row.kinds}, name


# --- what every model gives -----------------------------------------------------------------------------------------


def _expected_terms(case, model) -> set[str]:
    if case.emission == "language":
        return {"generation", "bits"} if case in DECODERS else {"bits"}
    if case in SPANS:
        return {"start", "end"}
    if case in PAIRS and model.exact:
        return {"generation", "bits"} if model.flow_parameters else {"generation"}
    if case in CHOICES:
        return {"answer", "temporal"} | ({"attention"} if model.config.concepts == "read" else set())
    terms = {"nll"} if model.exact else {"reconstruction", "kl"}
    return terms if case.emission == "words" else {*terms, "length"}


@_named(CASES)
def test_the_objective_has_its_terms_one_number_a_sequence(case):
    model, batch = _build(case), _some(case.emission, _lengths(case, 3, 1, 5))
    for samples in (1, 3):
        terms = model.objective(batch, samples)
        assert set(terms) == _expected_terms(case, model)
        for term in terms.values():
            assert term.shape == (3,) and term.isfinite().all() and term.dtype == torch.float64
    if not model.exact:
        log_w, log_likelihood = model.importance(batch, 5)
        assert log_w.shape == log_likelihood.shape == model.log_weights(batch, 5).shape == (3, 5)
        assert log_w.isfinite().all() and (log_likelihood <= 0).all()
    missing = model.log_prob if not model.exact else lambda batch: model.importance(batch, 2)
    with pytest.raises(TypeError, match="Expected"):
        missing(batch)


@_named(CASES)
def test_a_seed_decides_the_weights_and_the_samples(case):
    one, again, other = _build(case), _build(case), _build(case, seed=1)
    weights = [dict(model.named_parameters()) for model in (one, again, other)]
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())
    assert any(not torch.equal(value, weights[2][name]) for name, value in weights[0].items()) == (case not in FROZEN)
    if case not in PAIRS + SPANS + CHOICES:
        drawn = [model.sample(30, generator=torch.Generator().manual_seed(n)) for model, n in ((one, 1), (again, 1))]
        assert all(torch.equal(*values) for values in zip(*(found[:3] for found in drawn), strict=True))
        another = one.sample(30, generator=torch.Generator().manual_seed(2))
        if case not in DECODERS:  # whose first weights may write one text, whatever the latents
            assert another.x.shape != drawn[0].x.shape or not torch.equal(another.x, drawn[0].x)
    losses = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        losses.append(sum(one.objective(_some(case.emission, _lengths(case, 3, 1, 5)), 2).values()))
    assert torch.equal(*losses[:2])
    noisy = case in LANGUAGE or case.block.get("fused") in ("latent", "words")  # noise on word vectors
    noisy = noisy and case.block.get("fusion") != "added"  # which adds nothing at first
    assert torch.equal(losses[0], losses[2]) == (one.exact and not noisy)


@_named(CASES)
def test_a_saved_state_gives_the_same_numbers(case):
    model, fresh = sharpened(_build(case)), _build(case, seed=1)
    fresh.load_state_dict(load(save(model.state_dict())))
    batch, found = _some(case.emission, _lengths(case, 3, 1, 5)), []
    for one in (model, fresh):
        torch.manual_seed(2)
        with torch.no_grad():
            score = one.log_prob(batch) if one.exact else one.log_weights(batch, 3)
        if case in SPANS:
            drawn = torch.tensor([*"|".join(one.answer(batch.given)).encode()])
        elif case in CHOICES:
            drawn = one.choose(batch.given).log_probs
        else:
            drawn = torch.tensor(one.write(batch.given, 6)[0]) if case in PAIRS else one.sample(5).x
        found.append((*one.objective(batch, 2).values(), score, drawn))
    assert all(torch.equal(*values) for values in zip(*found, strict=True))


@_named(CASES)
def test_float32_and_float64_agree(case, monkeypatch):
    model = sharpened(_build(case))
    batch = _cast(_cast(_some(case.emission, _lengths(case, 4, 2, 3)), torch.float32), torch.float64)
    _same_noise(monkeypatch)
    found = []
    for dtype in (torch.float32, torch.float64):  # the weights are those of the float32 model
        model.to(dtype)
        given = _cast(batch, dtype)
        with torch.no_grad():
            score = model.log_prob(given) if model.exact else model.log_weights(given, 1)[:, 0]
            terms = model.objective(given, 1) | {"score": score}
        found.append({name: value.double() for name, value in terms.items()})
    for name, value in found[1].items():
        assert torch.allclose(found[0][name], value, rtol=1e-4, atol=1e-4), name


# --- latent models: the exact likelihood by quadrature ------------------------------------------------------------


@_seconds([case for case in LATENT if case.emission == "categorical"])  # the prior is that of either emission
def test_two_quadratures_of_the_likelihood_agree(case):
    """One over the base noise through the sampling direction, one over z with the prior's density."""
    model = sharpened(case.build())
    for length in (1, 2):
        batch = sequences(FACTS["categorical"], length)
        assert torch.allclose(exact_log_probs(model, batch), log_probs_over_z(model, batch), rtol=0, atol=1e-3)


@_seconds(LATENT + STATES)
def test_importance_sampling_rises_from_the_bound_to_the_exact_likelihood(case):
    model, facts = sharpened(case.build()), FACTS[case.emission]
    batch = spellings(facts, 3) if case in STATES else sequences(facts, facts.max_length)
    batch = Batch(*(value[:3] for value in batch[:3]))
    exact = true_log_probs(model, batch)
    samples = 8192
    with torch.no_grad():
        log_w = model.log_weights(batch, samples)
    assert log_w.shape == (3, samples)
    log_w = log_w - exact[:, None]
    w = log_w.exp()
    error = w.std(1) / math.sqrt(samples)
    assert ((w.mean(1) - 1).abs() <= 5 * error + 1e-3).all() and (error < 0.2).all()
    estimates = {k: log_w.view(3, -1, k).logsumexp(-1) - math.log(k) for k in (1, 8, 64)}
    means = {k: value.mean(1) for k, value in estimates.items()}
    slack = {k: 5 * value.std(1) / math.sqrt(value.shape[1]) for k, value in estimates.items()}
    assert (means[1] < -slack[1]).all()  # the bound lies below
    assert (means[8] > means[1]).all() and (means[64] > means[8] - slack[64]).all()
    assert (means[64] <= slack[64]).all()
    with torch.no_grad():
        terms = model.objective(batch, samples)
    elbo = -sum(terms.values())
    assert ((elbo - exact - means[1]).abs() <= 2 * slack[1]).all()
    assert (terms["kl"] > 0).all() and (case in STATES or (terms["length"] > 0).all())


# --- exact models: enumeration and integration --------------------------------------------------------------------


@_named(DENSITIES)
def test_density_integrates_to_one(case):
    model = case.build(seed=2)
    axis = torch.linspace(-12, 12, 601, dtype=torch.float64)
    points = torch.cartesian_prod(axis, axis)
    with torch.no_grad():
        total = (model.log_density(points).exp().sum() * (axis[1] - axis[0]) ** 2).item()
    assert total == pytest.approx(1, abs=2e-3)


@_named([case for case in LANGUAGE if case.block.get("structure", "time") == "time"])  # channels are halved elsewhere
def test_density_of_two_words_integrates_to_one(case):
    """Of one dimension each, over the plane; of five words on a line two would be ambiguous."""
    model = sharpened(case.build(embedded(2, 1, 3), seed=1, **{"scales": 1} if "scales" in case.block else {}))
    assert _integral(case, model, lambda pairs: pairs[:, :, None]) == pytest.approx(1, abs=1e-3)


@_named([case for case in LANGUAGE if case.block.get("structure", "time") != "time" or case in MIXTURES])
def test_density_of_a_word_integrates_to_one(case):
    """One step of two dimensions."""
    model = sharpened(case.build(embedded(1, 2), seed=1))
    assert _integral(case, model, lambda pairs: pairs[:, None]) == pytest.approx(1, abs=1e-3)


def _integral(case, model, shaped) -> float:
    """Of the density over two numbers."""
    points = axis(case, model)
    with torch.no_grad():
        density = model.log_density(shaped(torch.cartesian_prod(points, points))).exp()
    return float(density.sum()) * float(points[1] - points[0]) ** 2


@_named([case for case in CASES if case not in LATENT + STATES + PAIRS + BERTS + CHOICES])
def test_the_objective_of_exact_models_is_their_log_probability(case):
    model = sharpened(_build(case))
    batch = _some(case.emission, _lengths(case, 3, 1, 5, 3))
    torch.manual_seed(3)
    terms = model.objective(batch, 1)
    torch.manual_seed(3)
    log_p = model.log_prob(batch)
    assert set(terms) == _expected_terms(case, model) and model.exact and log_p.shape == (4,)
    nats = terms["bits"] if case in DECODERS else sum(terms.values())
    if case.emission == "language":  # bits per dimension, less those of the noise's scale
        nats = (nats + BITS) * model.dimensions * math.log(2)
    assert torch.allclose(-nats, log_p, atol=1e-9)
    length = model.length_log_prob(batch.lengths)
    assert torch.allclose(terms["length"], -length) if "length" in terms else (length == 0).all()


# --- samples ------------------------------------------------------------------------------------------------------


def _fits(counts: torch.Tensor, probabilities: torch.Tensor) -> None:
    """Chi-square of counts against probabilities, cells with few expected counts merged."""
    order = probabilities.argsort()
    counts, probabilities = counts[order].double(), probabilities[order]
    expected = probabilities * counts.sum()
    small = int((expected.cumsum(0) < 10).sum()) + 1
    counts = torch.cat([counts[:small].sum()[None], counts[small:]])
    expected = torch.cat([expected[:small].sum()[None], expected[small:]])
    assert len(counts) > 3
    assert stats.chisquare(counts.numpy(), (expected * counts.sum() / expected.sum()).numpy()).pvalue > 1e-3


def _code(batch: Batch, facts: Facts) -> torch.Tensor:
    """A number for every sequence of every length: the length, then the symbols as digits."""
    digits = batch.x.reshape(len(batch.x), -1).long()
    full = facts.max_length * (facts.symbols if facts.emission == "bernoulli" else 1)
    digits = torch.nn.functional.pad(digits, (0, full - digits.shape[1]))
    base = facts.symbols if facts.emission == "categorical" else 2
    value = batch.lengths.clone()
    for column in digits.unbind(1):
        value = value * base + column
    return value


def _outcomes(case, model, facts: Facts):
    """Every sequence that can be drawn, with its log-probability; a word without an end is cut with one."""
    if case not in WORDS:
        for batch in all_sequences(facts):
            yield batch, true_log_probs(model, batch)
        return
    for length in range(1, facts.max_length + 1):
        batch = spellings(facts, length)
        cut = batch.lengths - int(length == facts.max_length)
        yield batch, true_log_probs(model, Batch(batch.x[:, : int(cut[0])], cut, batch.index))


@_seconds(SEQUENTIAL + WORDS)
def test_all_probabilities_sum_to_one_and_samples_have_that_distribution(case):
    model, facts = sharpened(case.build(seed=3)), FACTS[case.emission]
    codes, log_p = [], []
    for batch, found in _outcomes(case, model, facts):
        codes.append(_code(batch, facts))
        log_p.append(found)
    codes, p = torch.cat(codes), torch.cat(log_p).exp()
    assert p.sum().item() == pytest.approx(1, abs=1e-9)
    torch.manual_seed(4)
    drawn = model.sample(20_000, generator=torch.Generator().manual_seed(5))
    assert torch.equal(drawn.index, torch.arange(20_000))
    assert (drawn.x[~step_mask(drawn.lengths, drawn.x.shape[1])] == 0).all()
    found = _code(drawn, facts)
    assert torch.isin(found, codes).all() and codes.unique().numel() == codes.numel()
    _fits(torch.stack([(found == code).sum() for code in codes]), p)


@_named(DENSITIES)
def test_samples_of_a_density_fill_its_cells(case):
    model = case.build(seed=3)
    drawn = model.sample(20_000, generator=torch.Generator().manual_seed(5))
    assert drawn.x.shape == (20_000, 1, 2) and (drawn.lengths == 1).all()
    edges, fine = torch.linspace(-8, 8, 17, dtype=torch.float64), 40
    step = 16 / (16 * fine)
    axis = -8 + step * (torch.arange(16 * fine, dtype=torch.float64) + 0.5)
    with torch.no_grad():
        density = model.log_density(torch.cartesian_prod(axis, axis)).exp().view(16, fine, 16, fine)
    p = density.sum((1, 3)) * step**2
    points = drawn.x[:, 0]
    inside = (points.abs() < 8).all(1)
    cells = torch.bucketize(points[inside].contiguous(), edges) - 1
    counts = torch.bincount(cells[:, 0] * 16 + cells[:, 1], minlength=256)
    _fits(torch.cat([counts, (~inside).sum()[None]]), torch.cat([p.flatten(), (1 - p.sum()).clamp(min=1e-12)[None]]))


@_named(
    [case for case in CASES if case not in PAIRS + SPANS + CHOICES]
)  # the samples of a conditional model have contexts
def test_sampling_options(case):
    model = _build(case)
    given = torch.tensor([3, 1, 5]) if case in SEQUENTIAL else None
    one = model.sample(3, lengths=given, generator=torch.Generator().manual_seed(1))
    again = model.sample(3, lengths=given, generator=torch.Generator().manual_seed(1))
    assert torch.equal(one.x, again.x)
    if given is not None:
        assert torch.equal(one.lengths, given)
    cold = {"lengths": given, "mode": True, "temperature": 0.0 if case in LATENT + STATES else 1.0}
    modes = [model.sample(3, **cold, generator=torch.Generator().manual_seed(seed)).x for seed in (1, 2)]
    assert torch.equal(*modes)
    if case in WORDS:
        with pytest.raises(Problem, match="expected no lengths for words"):
            model.sample(3, lengths=torch.tensor([3, 1, 5]))
    if case in RECURRENT + GRUS:
        nearly = model.sample(3, lengths=given, temperature=1e-6, generator=torch.Generator().manual_seed(1))
        assert torch.equal(nearly.x, modes[0])


def test_lengths_are_drawn_with_their_probability_and_refused_beyond_it():
    model = RECURRENT[0].build(LONG["categorical"])
    p = model.length_log_prob(torch.arange(1, 7)).exp()
    expected = torch.tensor([1, 1, 3, 2, 0, 1], dtype=torch.float64) + 1  # one is added to every count
    assert torch.allclose(p, expected / expected.sum())
    drawn = model.sample(20_000, generator=torch.Generator().manual_seed(7)).lengths
    _fits(torch.bincount(drawn, minlength=7)[1:], p)
    for wrong in (0, 7):
        with pytest.raises(Problem, match="expected lengths of 1 to 6"):
            model.length_log_prob(torch.tensor([wrong]))


# --- padding, gradients, training ---------------------------------------------------------------------------------


def _same_noise(monkeypatch) -> None:
    """Noise that depends on the step and the dimension alone, whatever the batch."""

    def noise(*shape, dtype=None, **_):
        shape = shape[0] if isinstance(shape[0], tuple) else shape
        t = torch.arange(shape[-2], dtype=dtype)[:, None]
        return torch.sin(1 + 3 * t + torch.arange(shape[-1], dtype=dtype)).expand(shape).clone()

    monkeypatch.setattr(torch, "randn", noise)
    monkeypatch.setattr(torch, "randn_like", lambda value: noise(tuple(value.shape), dtype=value.dtype))
    monkeypatch.setattr(torch, "multinomial", lambda shares, _: shares.argmax(-1, keepdim=True))


def _widened(given: Given | Choices | None) -> Given | Choices | None:
    """Contexts with two more words of padding, and other words, tags and features in it."""
    if given is None:
        return None
    if isinstance(given, Lined):
        wider = {}
        for name, mask in (("", given.mask), ("asked_", given.asked_mask)):
            outside = ~torch.nn.functional.pad(mask, (0, 2))
            features = torch.nn.functional.pad(getattr(given, f"{name}features"), (0, 0, 0, 2))
            words = torch.nn.functional.pad(given.asked if name else given.words, (0, 2))
            wider |= {f"{name}features": features + 5.0 * outside[..., None], name[:5] or "words": words + outside}
        characters = torch.nn.functional.pad(given.characters, (0, 0, 0, 2))
        return given._replace(**wider, characters=characters)
    if isinstance(given, Choices):  # and a line more
        more = torch.nn.functional.pad
        lines, lengths = more(given.lines, (0, 2, 0, 1)), more(given.line_lengths, (0, 1))
        given = given._replace(statements=more(given.statements, (0, 2)), lines=lines, line_lengths=lengths)
        statements, lines = given.statements + 4 * ~given.statement_mask, given.lines + 5 * ~given.line_mask
        wider, lengths = more(given.seen.words, (0, 2, 0, 1)), more(given.seen.lengths, (0, 1))
        seen = Seen(wider, lengths, more(given.seen.wanted, (0, 2, 0, 1, 0, 2)))
        return given._replace(statements=statements, lines=lines, seen=seen._replace(words=wider + 6 * ~seen.mask))
    outside = ~torch.nn.functional.pad(given.mask, (0, 2))
    words, tags = (torch.nn.functional.pad(value, (0, 2)) for value in given[:2])
    features = torch.nn.functional.pad(given.features, (0, 0, 0, 2)) + 5.0 * outside[..., None]
    return Given(words + outside, tags + outside, given.lengths, features)


def _alone(given: Given | Choices | None, row: int) -> Given | Choices | None:
    """One context, without padding."""
    if given is None:
        return None
    if isinstance(given, Lined):
        one = Lined(*(value[row : row + 1] for value in given))
        size, asked = int(one.lengths[0]), int(one.asked_lengths[0])
        return one._replace(
            words=one.words[:, :size], characters=one.characters[:, :size], features=one.features[:, :size],
            asked=one.asked[:, :asked], asked_features=one.asked_features[:, :asked],
        )  # fmt: skip
    if isinstance(given, Choices):
        one = Choices(*(value[row : row + 1] for value in given[:6]))
        seen = Seen(*(value[row : row + 1] for value in given.seen))
        said, told = int(one.statement_lengths.max()), int(one.line_lengths.max())
        lines = int((one.line_lengths > 0).sum())
        return one._replace(
            statements=one.statements[..., :said],
            lines=one.lines[:, :lines, :told],
            line_lengths=one.line_lengths[:, :lines],
            seen=Seen(seen.words[:, :lines], seen.lengths[:, :lines], seen.wanted[:, :said, :lines]),
        )
    words, tags, lengths, features = (value[row : row + 1] for value in given)
    size = int(lengths[0])
    return Given(words[:, :size], tags[:, :size], lengths, features[:, :size])


@_named(CASES)
def test_neither_the_batch_nor_padding_changes_a_score(case, monkeypatch):
    model = sharpened(_build(case))
    lengths = _lengths(case, 4, 1, 3, 2)
    batch = _some(case.emission, lengths)
    _same_noise(monkeypatch)

    def scores(part: Batch) -> dict[str, torch.Tensor]:
        with torch.no_grad():
            terms = dict(model.objective(part, 2))
            terms["score"] = model.log_prob(part) if model.exact else model.log_weights(part, 2)[:, 0]
        return terms

    together = scores(batch)
    if case in SPANS:
        for name, value in scores(batch._replace(given=_widened(batch.given))).items():
            assert torch.allclose(value, together[name], rtol=1e-9, atol=1e-9), name
    if case in SEQUENTIAL + WORDS + PAIRS + CHOICES:  # the others have no padding
        wide = torch.nn.functional.pad(batch.x, (0, 2) if batch.x.dim() == 2 else (0, 0, 0, 2))
        wide[~step_mask(batch.lengths, wide.shape[1])] = 1  # padding is not to be read, whatever stands there
        for name, value in scores(batch._replace(x=wide, given=_widened(batch.given))).items():
            assert torch.allclose(value, together[name], rtol=1e-9, atol=1e-9), name
    for row, length in enumerate(lengths):
        one = slice(row, row + 1)
        alone = Batch(batch.x[one, :length], batch.lengths[one], batch.index[one], _alone(batch.given, row))
        for name, value in scores(alone).items():
            assert torch.allclose(value, together[name][row : row + 1], rtol=1e-9, atol=1e-9), name


SHIFTS = ("start.2.bias", "end.2.bias", "score.2.bias")  # added to all logits of a softmax, which they do not change


@_named(CASES)
def test_gradient_reaches_every_parameter(case):
    model = _build(case).train()
    if case in LANGUAGE + PAIRS + SPANS:  # last layers start at zero and let no gradient through
        model = sharpened(model)
    batch = _some(case.emission, _lengths(case, 4, 6, 2, 3, 1, 5))
    loss = sum(term.sum() for term in model.objective(batch, 2).values())
    assert loss.requires_grad == (case not in FROZEN)
    if loss.requires_grad:
        loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
        if case not in CHOICES or name not in SHIFTS:
            assert (parameter.grad != 0).any(), name


@_named([case for case in FEW if case not in FROZEN])
def test_training_on_three_sequences_overfits_them(case):
    torch.manual_seed(0)
    model = _build(case).float()
    batch = _cast(_some(case.emission, _lengths(case, 3, 2, 3), seed=4), torch.float32)
    optimiser = torch.optim.Adam(model.parameters(), 0.02)

    def loss() -> torch.Tensor:
        terms = model.objective(batch, 4)
        return (sum(terms.values()) - terms.get("length", 0)).mean()

    with torch.no_grad():
        before = loss().item()
    below = max(before - 1, floor() + 0.4 * (before - floor()))  # no density of language reaches the floor
    wanted = {"real": before - 2, "language": below}.get(case.emission, 0.6 * before)
    losses = []
    for _ in range(200 if case.emission in ("real", "words") else 80):
        optimiser.zero_grad()
        value = loss()
        value.backward()
        losses.append(value.item())
        if losses[-1] < wanted:  # once: a density that closes in on three points overshoots now and then
            break
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimiser.step()
    assert min(losses) < wanted, (before, losses)


@_named(FEW)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_step_in_the_precisions_of_training(case, precision):
    """float32 beside float64, whose noise is other numbers; bfloat16 beside float32, with the same ones."""
    model = _build(case)
    batch = _cast(_some(case.emission, _lengths(case, 4, 2, 3)), torch.float32)

    def summed(part: Batch) -> torch.Tensor:
        torch.manual_seed(1)
        return sum(term.sum() for term in model.objective(part, 64).values())

    exact = summed(_cast(batch, torch.float64)).item()
    model.float()
    single = summed(batch).item()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16"):
        loss = summed(batch)
    if case not in FROZEN:
        loss.backward()
    assert loss.dtype == torch.float32
    assert abs(single - exact) < 0.1 * (1 + abs(exact)) and abs(loss.item() - single) < 0.005 * (1 + abs(single))
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


STEPS = 60
WIDE = {
    "categorical": Facts("categorical", 20, STEPS, (0, *[1] * STEPS)),
    "bernoulli": Facts("bernoulli", 20, STEPS, (0, *[1] * STEPS)),
    "words": Facts("categorical", 20, STEPS, (0, *[1] * STEPS)),
    "language": embedded(64, 16, 20),
    "pairs": paired(20, STEPS),
    "translation": translated(20, STEPS),
}


# Of several proposals another one is drawn where rounding moves a weight past the draw: no noise is the same then.
@_named([case for case in FEW if case.emission in WIDE and "proposals" not in case.block])
def test_bfloat16_sums_no_density(case, monkeypatch):
    """At H = 50 and T = 60, where a sum in bfloat16 comes in multiples of 16: within 0.5 %, by the same noise."""
    monkeypatch.setitem(LONG, case.emission, WIDE[case.emission])
    sizes = {"latent": 50, "flow_width": 50} if "latent" in case.block else {}
    model = case.build(WIDE[case.emission], **sizes).float()
    batch = _cast(_some(case.emission, _lengths(case, STEPS, STEPS // 2, STEPS - 9)), torch.float32)

    def terms() -> dict[str, torch.Tensor]:
        torch.manual_seed(1)
        found = dict(model.objective(batch, 2))
        if not model.exact:
            found["weights"], found["likelihoods"] = model.importance(batch, 3)
        if "importance" in MODELS[case.block["class"]].block.bounds:
            found["bound"] = model.weighted_objective(batch, 3)["nll"]
        return found

    with torch.no_grad():
        single = terms()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rounded = terms()
    for name, value in rounded.items():
        assert value.dtype == single[name].dtype != torch.bfloat16, name
        assert (value - single[name]).abs().max() <= 0.005 * single[name].abs().max() + 1e-5, (name, value)


@_named([case for case in FEW if case in LATENT + STATES + PAIRS[:1]])
def test_no_sample_is_refused(case):
    model, batch = _build(case), _some(case.emission, _lengths(case, 3, 2))
    bounds = {"elbo": model.objective, "importance": model.weighted_objective, "filtering": model.filtered_objective}
    for apply in (*(bounds[name] for name in MODELS[case.block["class"]].block.bounds), model.log_weights):
        with pytest.raises(Problem, match="expected at least one sample of a latent, got 0; raise samples"):
            apply(batch, 0)


@_named([case for case in CASES if case not in PAIRS + SPANS + CHOICES])
def test_a_model_can_be_trained_on_samples(case):
    """As data made for training are: no tensor of inference mode, which no gradient may pass."""
    model = _build(case)
    drawn = model.sample(4, generator=torch.Generator().manual_seed(0))
    assert not any(value.is_inference() for value in drawn[:3])
    if case not in FROZEN:
        sum(term.sum() for term in model.objective(drawn, 1).values()).backward()


@_named([case for case in CASES if case not in PAIRS + SPANS + CHOICES])
def test_temperature_0_takes_the_likeliest_symbols_of_exact_models(case):
    """As ``mode`` does; the others take no noise of a latent and draw symbols given it."""
    model = _build(case)
    found = [model.sample(6, temperature=0.0, mode=mode, generator=torch.Generator().manual_seed(3)) for mode in (0, 1)]
    cold, likeliest = found
    assert cold.x.isfinite().all()
    if model.exact:
        assert torch.equal(cold.x, likeliest.x) and torch.equal(cold.lengths, likeliest.lengths)


# --- what figures draw --------------------------------------------------------------------------------------------


def test_conditionals_are_the_steps_of_the_log_probability():
    model = RECURRENT[0].build(LONG["categorical"])
    batch = _some("categorical", [5, 5])
    log_p = model.conditionals(batch)
    assert torch.allclose(log_p.exp().sum(-1), torch.ones(2, 5, dtype=torch.float64))
    total = log_p.gather(-1, batch.x[..., None]).sum((1, 2)) + model.length_log_prob(batch.lengths)
    assert torch.allclose(total, model.log_prob(batch))
    with pytest.raises(Problem, match="expected a model of characters"):
        RECURRENT[2].build().conditionals(batch)


@_named([case for case in LATENT if case.name.startswith("af-") and case.emission == "categorical"])
def test_prior_conditionals_are_the_steps_of_the_prior(case):
    model = case.build(LONG["categorical"], latent=2)
    z, lengths = torch.randn(1, 4, 2, dtype=torch.float64), torch.tensor([4])
    at_z = torch.stack([model.prior_conditional(z, lengths, z[0, t : t + 1])[t, 0] for t in range(4)])
    with torch.no_grad():
        assert torch.allclose(at_z.sum(), model.log_prior(z, lengths, model.positions(lengths, 4))[0])
    axis = torch.linspace(-12, 12, 301, dtype=torch.float64)
    rows = model.prior_conditional(z, lengths, torch.cartesian_prod(axis, axis))
    assert torch.allclose(rows.exp().sum(1) * (axis[1] - axis[0]) ** 2, torch.ones(4, dtype=torch.float64), atol=2e-3)
    with pytest.raises(Problem, match="time: af"):
        case.build(time="iaf").prior_conditional(z, lengths, z[0])


def test_a_prior_without_conditionals_is_named():
    z = torch.randn(1, 4, 1, dtype=torch.float64)
    for name, got in (("codebook-transformer", "network: transformer"), ("codebook-iaf", "time: iaf")):
        model = next(case for case in LATENT if case.name == name).build()
        with pytest.raises(Problem, match=f"expected a prior by an LSTM .*, got {got}; take another run"):
            model.prior_conditional(z, torch.tensor([4]), z[0])


# --- bad blocks ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("block", "emission", "message"),
    [
        ({"class": "latent_sequenc"}, "categorical", "expected a model class"),
        ({"class": "latent_sequence", "latnt": 3}, "categorical", "nearest: latent"),
        (
            {"class": "latent_sequence", "latent": "3"},
            "categorical",
            "latent: expected a whole number .*, got '3'",
        ),
        (
            {"class": "latent_sequence", "latent": 0},
            "categorical",
            "latent: expected a whole number .*, got 0",
        ),
        ({"class": "latent_sequence", "time": "fa"}, "categorical", "time: expected one of af, iaf, none"),
        ({"class": "latent_sequence", "dropout": 1.0}, "categorical", "dropout"),
        ({"class": "latent_sequence"} | SMALL, "real", "expected data with"),
        ({"class": "recurrent_baseline"} | SMALL, "real", "expected data with"),
        ({"class": "flow_density"}, "bernoulli", "expected data with"),
    ],
)
def test_a_wrong_block_is_a_problem_of_one_line(block, emission, message):
    with pytest.raises(Problem, match=message) as error:
        build(block, FACTS[emission])
    assert "\n" not in str(error.value)


def test_more_components_than_symbols_can_use_are_refused():
    block = {"class": "codebook_sequence", "mixture": "free"}
    facts = Facts("categorical", 20, 3, (0, 2, 5, 1))
    build(block | {"components": 80}, facts)
    with pytest.raises(Problem, match="Expected at most 80 components, 4 for each of 20 symbols, .*, got 5000; lower"):
        build(block | {"components": 5000}, facts)


@pytest.mark.parametrize("name", MODELS)
def test_every_class_refuses_unknown_entries_wrong_sizes_and_other_data_in_one_line(name):
    case = next(case for case in CASES if case.block["class"] == name)
    taken = {FACTS[case.emission].emission for case in CASES if case.block["class"] == name}
    size = next(key for key, value in case.block.items() if isinstance(value, int))
    wrong = [
        (case.block | {"sizee": 3}, case.emission, "sizee"),
        *((case.block | {size: value}, case.emission, f"{size}: expected a whole number") for value in (0, "3", 1.5)),
        *((case.block, other, "expected data with") for other in FACTS if FACTS[other].emission not in taken),
    ]
    assert len(wrong) > 4
    for block, emission, message in wrong:
        test_a_wrong_block_is_a_problem_of_one_line(block, emission, message)
