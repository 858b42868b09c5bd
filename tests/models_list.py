"""Every model in every parametrisation, at sizes that can be enumerated: the list of the models' contract test.

Legend: B batch, T time, D dimensions, V symbols or keys, S words of a context, F features of each, Q points of a
quadrature over the latent sequence, G points of a grid over a state.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

import spans
from seqflows.data.batching import Batch, Choices, Given, Seen, collate
from seqflows.data.prepared import Facts
from seqflows.flows import KINDS, SCALARS, standard_normal_log_density
from seqflows.models import Model, build
from seqflows.models.codebook_sequence import CodebookSequence
from seqflows.models.encoder_decoder import EncoderDecoder
from seqflows.models.flowseq import FlowSeq
from seqflows.models.hidden_markov import HiddenMarkov
from seqflows.models.language_flow import LanguageFlow
from seqflows.models.spans import Reader
from seqflows.models.state_space import StateSpace
from seqflows.models.translator import Translator
from seqflows.noise import BITS


def embedded(length: int, dim: int, count: int = 5) -> Facts:
    """Facts of language: that many tokens with vectors of ``dim`` numbers, and training texts of them."""
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((count, dim)).astype(np.float32)
    texts = rng.integers(count, size=(20, length), dtype=np.int32)
    return Facts("embedded", count, length, (0,) * length + (1,), vectors, texts=texts)


def paired(outputs: int, longest: int) -> Facts:
    """Facts of pairs: two words more than can be written, contexts of up to 5 words with 3 features each."""
    vectors = np.random.default_rng(0).standard_normal((outputs + 2, 2)).astype(np.float32)
    return Facts("conditional", outputs + 2, longest, (0, *[1] * longest), vectors, outputs, 5, 3)


def translated(symbols: int, longest: int) -> Facts:
    """Facts of translation: that many subwords, sources of up to 4 of them."""
    return Facts("pieces", symbols, longest, (0, *[1] * longest), None, symbols, 4)


def contexts(count: int, facts: Facts, seed: int = 0) -> Given:
    """Random contexts of unequal sizes, each with an answer, features in float64; zeros after the end."""
    rng = np.random.default_rng(seed)
    lengths = torch.from_numpy(rng.integers(2, facts.window + 1, count))
    words = torch.from_numpy(rng.integers(4, facts.symbols, (count, facts.window)))
    features = torch.from_numpy(rng.standard_normal((count, facts.window, facts.features)))
    tags = torch.zeros_like(words)
    tags[:, 0], tags[::2, 1] = 1, 2
    mask = torch.arange(facts.window) < lengths[:, None]
    return Given(words * mask, tags * mask, lengths, features * mask[..., None])


def answered(count: int, facts: Facts, seed: int = 0) -> Batch:
    """Random questions about passages of lines, features in float64."""
    made = spans.split(np.random.default_rng(seed), count, words=facts.symbols, features=facts.features)
    batch = collate(made, np.arange(count))
    features = {name: getattr(batch.given, name).double() for name in ("features", "asked_features")}
    return batch._replace(given=batch.given._replace(**features))


def choosing(words: int = 9, concepts: int = 0) -> Facts:
    """Facts of choices: that many words with vectors of 4 numbers, up to so many words beside a line."""
    vectors = np.random.default_rng(0).standard_normal((words, 4)).astype(np.float32)
    return Facts("chosen", words, 1, (0, 1), vectors, concepts=concepts)


def asked(count: int, facts: Facts, seed: int = 0, answers: int = 3, lines: int = 4) -> Choices:
    """Random questions with statements and lines of unequal sizes, zeros after the end; the first has all lines.

    With words beside lines, some lines have none; targets are random too.
    """
    rng = np.random.default_rng(seed)
    statement_lengths, line_lengths = rng.integers(2, 7, (count, answers)), rng.integers(1, 6, (count, lines))
    there = rng.integers(1, lines + 1, count)
    there[0] = lines
    line_lengths[np.arange(lines) >= there[:, None]] = 0
    words = [rng.integers(4, facts.symbols, (*sizes.shape, 6)) for sizes in (statement_lengths, line_lengths)]
    inside = [np.arange(6) < sizes[..., None] for sizes in (statement_lengths, line_lengths)]
    span = np.sort(rng.integers(0, there[:, None], (count, 2)), 1)
    padded = [torch.from_numpy(one * mask) for one, mask in zip(words, inside, strict=True)]
    rest = map(torch.from_numpy, (statement_lengths, line_lengths, rng.integers(0, answers, count), span))
    given = Choices(padded[0], (sizes := list(rest))[0], padded[1], *sizes[1:])
    if not facts.concepts:
        return given
    lengths = rng.integers(0, facts.concepts + 1, (count, lines)) * (line_lengths > 0)
    within = np.arange(facts.concepts) < lengths[..., None]
    beside = rng.integers(4, facts.symbols, within.shape) * within
    said = np.arange(6) < statement_lengths[np.arange(count), given.correct.numpy()][:, None]
    there_ = said[:, :, None, None] & within[:, None]
    wanted = (rng.integers(-1, 2, there_.shape) * there_).astype(np.int8)
    return given._replace(seen=Seen(*map(torch.from_numpy, (beside, lengths, wanted))))


# By the kind of a case: words are symbols whose last one is the end, language is tokens with vectors, pairs and
# translation have contexts.
FACTS = {
    "categorical": Facts("categorical", 2, 3, (0, 2, 5, 1)),
    "bernoulli": Facts("bernoulli", 2, 2, (0, 3, 1)),
    "real": Facts("real", 2, 1, (0, 7)),
    "words": Facts("categorical", 3, 4, (0, 0, 1, 1, 1)),
    "language": embedded(4, 2),
    "pairs": paired(6, 3),
    "spans": Facts("span", 12, 3, (0, 0, 0, 8), None, 12, 12, 3),
    "translation": translated(6, 3),
    "choices": choosing(concepts=3),
}
SMALL = {"embedding": 5, "width": 6, "depth": 2, "position": 3}


@dataclass(frozen=True)
class Case:
    """A named model block and the data that it is built for."""

    name: str
    block: dict[str, Any] = field(compare=False)
    emission: str = "categorical"

    def build(self, facts: Facts | None = None, seed: int = 0, **changes: Any) -> Model:
        """The model with random weights, in float64, without dropout."""
        torch.manual_seed(seed)
        files = {"model": spans.bert()} if self.block["class"] == "bert_span" else {}
        return build(self.block | files | changes, facts or FACTS[self.emission]).double().eval()


def _latent(time: str, hidden: str, scalar: str, emission: str) -> Case:
    block = {"class": "latent_sequence", "time": time, "hidden": hidden, "scalar": scalar, "layers": 2}
    return Case(f"{time}-{hidden}-{scalar}-{emission}", block | SMALL | {"latent": 1, "flow_width": 8}, emission)


_SCALARS = sorted(SCALARS, key="nlsq".__ne__)  # that of the paper first
CHOSEN = (("af", "iaf", "none"), KINDS, _SCALARS, ("categorical", "bernoulli"))
LATENT = [_latent(*names) for names in itertools.product(*CHOSEN)]
FIFTH = LATENT[::5]  # of them all, with every value of every choice
_BOOK = {"class": "codebook_sequence", "latent": 1} | {name: SMALL[name] for name in ("width", "depth", "position")}
CODEBOOKS = [
    Case("codebook", _BOOK),
    Case("codebook-transformer", _BOOK | {"network": "transformer", "heads": 2, "inner": 8}),
    Case("codebook-free", _BOOK | {"mixture": "free", "components": 2}),
    Case(
        "codebook-iaf", _BOOK | {"mixture": "none", "time": "iaf", "hidden": "coupling", "layers": 2, "flow_width": 8}
    ),
]
LATENT += CODEBOOKS
NADES = [
    Case(
        "af-made-nlsq-nade",
        _latent("af", "made", "nlsq", "bernoulli").block | {"keys": "nade", "nade_width": 3},
        "bernoulli",
    ),
    Case("lstm-nade", {"class": "recurrent_baseline", "keys": "nade", "nade_width": 3} | SMALL, "bernoulli"),
]
PAST = [
    Case(
        "af-coupling-location_scale-categorical-past",
        _latent("af", "coupling", "location_scale", "categorical").block | {"posterior": "autoregressive"},
    )
]
LATENT += [PAST[0], NADES[0]]
RECURRENT = [
    Case(f"lstm-{emission}{suffix}", {"class": "recurrent_baseline"} | SMALL | more, emission)
    for emission in ("categorical", "bernoulli")
    for suffix, more in (("", {}), ("-same_width", {"embedding": 6, "depth": 1}))
]
RECURRENT.append(NADES[1])
_ORDERED = [kind for kind in KINDS if kind != "independent"]  # whose start has no draws to tell seeds apart
DENSITIES = [
    Case(
        f"density-{hidden}-{scalar}",
        {"class": "flow_density", "hidden": hidden, "scalar": scalar, "layers": 3, "flow_width": 16},
        "real",
    )
    for hidden, scalar in itertools.product(_ORDERED, _SCALARS)
]
_STATE = {"class": "state_space", "state": 1, "embedding": 3, "units": 4, "width": 6}
STATES = [
    Case("state_space", _STATE, "words"),
    Case("state_space-2xtril-k2-both", _STATE | {"layers": 2, "proposals": 2, "reader": "both"}, "words"),
    Case("state_space-diag-shared", _STATE | {"transition": "diag", "inference": "shared"}, "words"),
]
GRUS = [Case("gru", {"class": "gru_baseline", "state": 5}, "words")]
GRUS += [Case("hidden_markov", {"class": "hidden_markov", "states": 3}, "words")]
_FLOW = {"class": "language_flow", "scales": 1, "steps": 2, "width": 6, "inner": 8, "heads": 2, "hidden": 8}
LANGUAGE = [
    Case("language-time-attention", _FLOW | {"structure": "time", "network": "attention"}, "language"),
    Case("language-time-rnn-2_scales", _FLOW | {"structure": "time", "network": "rnn", "scales": 2}, "language"),
    Case("language-channels-rnn", _FLOW | {"structure": "channels", "network": "rnn"}, "language"),
    Case("language-past-attention", _FLOW | {"structure": "past", "network": "attention"}, "language"),
    Case("language-past-rnn-literal", _FLOW | {"structure": "past", "network": "rnn", "cell": "literal"}, "language"),
    Case("language-lstm", {"class": "recurrent_density", "width": 6, "layers": 2}, "language"),
]
_WRITER = _FLOW | {"class": "flow_decoder", "units": 5, "layers": 1, "dropout": 0.0}
DECODERS = [
    Case("flow_decoder", _WRITER, "language"),
    Case("flow_decoder-channels-rnn", _WRITER | {"structure": "channels", "network": "rnn", "layers": 2}, "language"),
]
LANGUAGE += DECODERS
_MIX = {"class": "word_mixture", "width": 6, "dropout": 0.0}
MIXTURES = [
    Case("mixture", _MIX | {"layers": 2}, "language"),
    Case("mixture-attention", _MIX | {"network": "attention", "inner": 8, "heads": 2}, "language"),
]
FROZEN = [Case("mixture-trigram", {"class": "word_mixture", "network": "trigram"}, "language")]  # nothing to train
MIXTURES += FROZEN
LANGUAGE += MIXTURES
_SEQ = {"class": "flowseq", "units": 3, "layers": 1, "latent": 2, "width": 6, "inner": 8, "heads": 2, "depth": 1}
_SEQ |= {"flow_width": 4, "flow_inner": 6, "flow_heads": 2}
PAIRS = [
    Case("flowseq", _SEQ | {"flow_steps": [1]}, "pairs"),
    Case("flowseq-3_levels", _SEQ | {"flow_steps": [1, 1, 1], "layers": 2, "depth": 2, "temperature": 0.5}, "pairs"),
]
_QG = {"class": "encoder_decoder", "units": 3, "decoder_units": 4, "layers": 1, "dropout": 0.0}
_QG |= {"flow_steps": 2, "flow_scales": 1, "flow_width": 4, "flow_inner": 6, "flow_heads": 2}
PAIRS += [
    Case("questions", _QG | {"layers": 2}, "pairs"),
    Case("questions-channels-sum", _QG | {"fused": "latent", "structure": "channels", "copies": "sum"}, "pairs"),
    Case("questions-lstm-none", _QG | {"fused": "latent", "structure": "lstm", "copies": "none"}, "pairs"),
    Case("questions-words-gate", _QG | {"fused": "words", "fusion": "gate"}, "pairs"),
    Case("questions-encoding", _QG | {"fused": "encoding"}, "pairs"),
    Case("questions-words-added", _QG | {"fused": "words", "fusion": "added"}, "pairs"),
    Case("questions-learned", _QG | {"output": "learned"}, "pairs"),
]
SPANS = [
    Case("span_reader", {"class": "span_reader", "width": 5, "units": 3, "longest": 2}, "spans"),
    Case("span_reader-2_layers", {"class": "span_reader", "width": 4, "units": 2, "layers": 2}, "spans"),
]
_BERT = {"class": "bert_span", "vocabulary": 27, "width": 6, "depth": 2, "heads": 2, "inner": 12, "positions": 64}
BERTS = [Case("bert_span", {"model": "./written by the test", **_BERT, "pieces": 24, "stride": 6}, "spans")]
SPANS += BERTS
_MT = {"class": "translator", "width": 6, "inner": 8, "heads": 2, "layers": 2, "dropout": 0.0, "flow_steps": 2}
_MT |= {"flow_scales": 2, "flow_width": 4, "flow_inner": 6, "flow_heads": 2}
PAIRS += [
    Case("translator", _MT, "translation"),
    Case("translator-latent", _MT | {"fused": "latent"}, "translation"),
    Case("translator-words-gate", _MT | {"fused": "words", "fusion": "gate", "layers": 1}, "translation"),
]
CHOICES = [
    Case(f"stage{name}", {"class": "stage", "width": 6, "dropout": 0.0, "margin": 0} | more, "choices")
    for name, more in (("", {}), ("-concepts", {"concepts": "read"}))
]
CASES = LATENT + RECURRENT + DENSITIES + STATES + GRUS + LANGUAGE + PAIRS + SPANS + CHOICES
# For the checks that take seconds a model.
FEW = (
    FIFTH
    + CODEBOOKS[:3]
    + PAST
    + NADES[:1]
    + RECURRENT
    + DENSITIES
    + STATES
    + GRUS
    + LANGUAGE
    + [PAIRS[0], *PAIRS[2:5], *(case for case in PAIRS if case.name == "translator")]
    + SPANS
    + CHOICES
)


def sharpened(model: Model) -> Model:
    """Weights further from 0 than at initialisation, so that what depends on what shows in every number.

    The inner flow of the prior, which starts near a constant, is drawn as torch draws linear maps: it then depends on
    its context and a quadrature still resolves it. The posterior gets the prior's mean and more than its deviation, so
    that importance weights have a variance; that of a state-space model is wide and near the prior.
    """
    if isinstance(model, StateSpace):
        return _sharpened_states(model)
    with torch.no_grad():
        if isinstance(model, HiddenMarkov):
            for table in model.parameters():
                table.copy_((2 * table).log_softmax(-1))
            return model
        if isinstance(model, (LanguageFlow, FlowSeq, EncoderDecoder, Reader, Translator)):
            for parameter in model.parameters():
                parameter.add_(0.2 * torch.randn_like(parameter))
            return model
        for name, module in model.named_modules():
            if name.startswith("prior") and isinstance(module, torch.nn.Linear):
                module.reset_parameters()
        for name, parameter in model.named_parameters():
            if not name.startswith(("prior", "to_posterior")):
                parameter.mul_(2.0)
            elif "lstm" in name:  # bounded: what the prior remembers of earlier steps
                parameter.mul_(3.0)
        if isinstance(model, CodebookSequence):
            book = model.emission.components
            for parameter, deviation in ((book.means, 0.7), (book.log_scales, 0.2), (model.emission.bias, 1.0)):
                parameter.copy_(deviation * torch.randn_like(parameter))
        elif not model.exact:
            lengths = torch.full((2000,), model.positions.max_length)
            eps = torch.randn(2000, int(lengths[0]), model.config.latent, dtype=torch.float64)
            z, _ = model.prior.inverse(eps, model.positions(lengths, eps.shape[1]))
            spread = (z - z.mean((0, 1))).square().mean((0, 1)).sqrt()
            model.to_posterior.bias.copy_(torch.cat([z.mean((0, 1)), (1.3 * spread).log()]))
            model.to_posterior.weight.mul_(0.3)
            if model.config.posterior == "autoregressive":
                model.to_change.weight.normal_(std=0.5)
    return model


def _sharpened_states(model: StateSpace) -> StateSpace:
    with torch.no_grad():
        model.to_symbols.weight.mul_(2.0 / model.to_symbols.weight.std())
        model.start.copy_(0.5 * torch.randn_like(model.start))
        model.posterior[-1].weight.mul_(0.3)
        model.posterior[-1].bias[model.config.state :] = 0.3
        for part in model.inferred.flows if model.inferred is not None else ():
            part.network[-1].weight.mul_(0.3)
    return model


def spellings(facts: Facts, length: int) -> Batch:
    """Every word of a length, its end symbol counted: letters, then the end."""
    letters = itertools.product(range(facts.symbols - 1), repeat=length - 1)
    rows = torch.tensor([[*word, facts.symbols - 1] for word in letters])
    return Batch(rows, torch.full((len(rows),), length), torch.arange(len(rows)))


def sequences(facts: Facts, length: int) -> Batch:
    """Every sequence of a length."""
    if facts.emission == "categorical":
        rows = torch.tensor(list(itertools.product(range(facts.symbols), repeat=length)))
    else:
        rows = torch.tensor(list(itertools.product((0.0, 1.0), repeat=length * facts.symbols)))
        rows = rows.view(-1, length, facts.symbols)
    count = len(rows)
    return Batch(rows, torch.full((count,), length), torch.arange(count))


def all_sequences(facts: Facts) -> Iterator[Batch]:
    """Every sequence of every length, a batch a length."""
    for length in range(1, facts.max_length + 1):
        yield sequences(facts, length)


def step_log_probs(model: Model, z: Tensor, batch: Batch) -> Tensor:
    """log p(x | z, T) of every point and sequence, (Q, N): the steps are independent given z."""
    lengths = torch.full((len(z),), z.shape[1])
    position = model.positions(lengths, z.shape[1])
    logits = model.logits(z, lengths, position)
    if batch.x.dim() == 2:
        log_p = logits.log_softmax(-1)  # (Q, T, V)
        one_hot = torch.nn.functional.one_hot(batch.x, logits.shape[-1]).double()
        return torch.einsum("qtv,ntv->qn", log_p, one_hot)
    if logits.shape[-1] > batch.x.shape[-1]:
        return _nade(model.emission, logits, batch.x.double())
    on, off = -torch.nn.functional.softplus(-logits), -torch.nn.functional.softplus(logits)
    return torch.einsum("qtv,ntv->qn", on, batch.x.double()) + torch.einsum("qtv,ntv->qn", off, 1 - batch.x.double())


def _nade(nade: torch.nn.Module, logits: Tensor, x: Tensor) -> Tensor:
    """The same of keys that depend on each other, by the sum over the keys below each, (Q, N)."""
    symbols = x.shape[-1]
    below = torch.einsum("ntu,uh,uv->ntvh", x, nade.reading, torch.ones(symbols, symbols).double().triu(1))
    hidden = torch.sigmoid(logits[:, None, :, None, symbols:] + below)  # (Q, N, T, V, H)
    on = torch.sigmoid(logits[:, None, :, :symbols] + (hidden * nade.writing).sum(-1))
    return torch.log(torch.where(x > 0, on, 1 - on)).sum((-1, -2))


def _grid(points: np.ndarray, log_weights: np.ndarray, steps: int) -> tuple[Tensor, Tensor]:
    axes = np.meshgrid(*[points] * steps, indexing="ij")
    weights = np.meshgrid(*[log_weights] * steps, indexing="ij")
    nodes = np.stack([axis.ravel() for axis in axes], -1)[:, :, None]
    return torch.from_numpy(nodes), torch.from_numpy(sum(weight.ravel() for weight in weights))


def axis(case: Case, model: Model) -> Tensor:
    """Even points of a line that resolve the density of a model of language: of a mixture, of what is near the words.

    The rule over even points is exact but for exp(-20) once their distance is a Gaussian's deviation.
    """
    if case not in MIXTURES:
        return torch.linspace(-15, 15, 301, dtype=torch.float64)
    reach, step = 8 * 2.0**-BITS, 2.0**-BITS
    low, high = float(model.vectors.min()) - reach, float(model.vectors.max()) + reach
    return torch.arange(low, high, step, dtype=torch.float64)


@torch.no_grad()
def exact_log_probs(model: Model, batch: Batch, nodes: int = 41) -> Tensor:
    """log p(x, T), (N,), for sequences of one length and one latent dimension: a rule over the base noise.

    The trapezium rule, whose error for a Gaussian times a smooth function falls exponentially.
    """
    length, points = batch.x.shape[1], np.linspace(-6.0, 6.0, nodes)
    density = np.exp(-0.5 * points**2)
    eps, log_weights = _grid(points, np.log(density / density.sum()), length)
    lengths = torch.full((len(eps),), length)
    z, _ = model.prior.inverse(eps, model.positions(lengths, length))
    log_joint = step_log_probs(model, z, batch) + log_weights[:, None]
    return log_joint.logsumexp(0) + model.length_log_prob(batch.lengths)


@torch.no_grad()
def log_probs_over_z(model: Model, batch: Batch, reach: float = 14.0, nodes: int = 201) -> Tensor:
    """The same by the trapezium rule over z itself with the density of the prior, (N,)."""
    length = batch.x.shape[1]
    points = np.linspace(-reach, reach, nodes)
    z, log_weights = _grid(points, np.full(nodes, np.log(points[1] - points[0])), length)
    lengths = torch.full((len(z),), length)
    log_prior = model.log_prior(z, lengths, model.positions(lengths, length))
    log_joint = step_log_probs(model, z, batch) + (log_prior + log_weights)[:, None]
    return log_joint.logsumexp(0) + model.length_log_prob(batch.lengths)


@torch.no_grad()
def word_log_probs(model: StateSpace, batch: Batch, reach: float = 12.0, points: int = 801) -> Tensor:
    """log P(w), (B,), by the forward recursion on a grid over a one-dimensional state."""
    grid = torch.linspace(-reach, reach, points, dtype=torch.float64)[:, None]
    step = (grid[1] - grid[0]).item()
    log_p = model.to_symbols(grid).log_softmax(-1)  # (G, V)

    def density(before: Tensor) -> Tensor:
        pairs = before[:, None].expand(-1, points, -1).reshape(-1, 1)
        noise, log_det = model.generative.forward(grid.repeat(len(before), 1), pairs)
        return (standard_normal_log_density(noise).sum(-1) + log_det).view(len(before), points).exp()

    first, onwards, found = density(model.start[None])[0], density(grid) * step, []
    for x, length in zip(batch.x, batch.lengths.tolist(), strict=True):
        alpha = first * log_p[:, x[0]].exp()
        for t in range(1, length):
            alpha = (alpha @ onwards) * log_p[:, x[t]].exp()
        found.append((alpha.sum() * step).log())
    return torch.stack(found)


def true_log_probs(model: Model, batch: Batch) -> Tensor:
    """log p of sequences of one length, whatever the model of symbols."""
    if model.exact:
        with torch.no_grad():
            return model.log_prob(batch)
    return word_log_probs(model, batch) if isinstance(model, StateSpace) else exact_log_probs(model, batch)
