"""Modules shared by the models: positions, lengths, bidirectional LSTM, emissions.

Legend: B batch, T time, P position width, W units, E embedding, V symbols (characters or keys).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqflows.data.prepared import Facts
from seqflows.errors import Problem
from seqflows.flows import wide


def step_mask(lengths: Tensor, steps: int) -> Tensor:
    """(B, T) bool, true where t < length."""
    return torch.arange(steps, device=lengths.device) < lengths[:, None]


def check_lengths(lengths: Tensor, longest: int) -> None:
    """Raise `Problem` for a length below 1 or beyond the longest that the model knows."""
    low, high = torch.stack(lengths.aminmax()).tolist()
    if low < 1 or high > longest:
        raise Problem(
            f"expected lengths of 1 to {longest}, got {low} to {high}; prepare the data with the limit that the model "
            "was trained with, and sample lengths within it"
        )


class Positions(nn.Module):
    """The distance from the start plus the distance from the end, each looked up in a table (Appendix C).

    The paper feeds two one-hot vectors to every network; a one-hot vector times a matrix is one of its rows.
    Here the rows have ``width`` numbers and enter the networks' own matrices. Their deviation falls with the
    width, so that a position, the sum of two rows, has the squared norm ``norm`` of a symbol at any width.
    """

    def __init__(self, max_length: int, width: int, norm: float) -> None:
        super().__init__()
        self.max_length = max_length
        self.table = nn.Embedding(2 * max_length, width)
        nn.init.normal_(self.table.weight, std=(norm / (2 * width)) ** 0.5)

    def forward(self, lengths: Tensor, steps: int) -> Tensor:
        """(B, T, P) for sequences of the given lengths; padding goes on from the start, at distance 0 from the end.

        Raises:
            Problem: a length below 1 or above ``max_length``.
        """
        check_lengths(lengths, self.max_length)
        t = torch.arange(steps, device=lengths.device).clamp(max=self.max_length - 1)[None, :].expand(len(lengths), -1)
        left = (lengths[:, None] - 1 - t).clamp(min=0)
        return self.table(t) + self.table(left + self.max_length)


class LengthModel(nn.Module):
    """p(T) from counts of the training and validation lengths, with add-one smoothing up to the longest."""

    def __init__(self, facts: Facts) -> None:
        super().__init__()
        counts = torch.tensor(facts.length_counts, dtype=torch.float64)
        if len(counts) != facts.max_length + 1 or facts.max_length < 1:
            raise Problem(
                f"expected {facts.max_length + 1} length counts for lengths up to {facts.max_length}, got {len(counts)}"
            )
        smoothed = counts + 1
        smoothed[0] = 0.0  # every sequence has a symbol
        self.register_buffer("log_p", (smoothed / smoothed.sum()).log(), persistent=False)

    def forward(self, lengths: Tensor) -> Tensor:
        """log p(T), (B,), float64, nats."""
        check_lengths(lengths, len(self.log_p) - 1)
        return self.log_p[lengths]

    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """(count,) lengths."""
        probabilities = self.log_p.exp().cpu()
        return torch.multinomial(probabilities, count, replacement=True, generator=generator).to(self.log_p.device)


def reversal(lengths: Tensor, steps: int) -> Tensor:
    """(B, T): indices that reverse each sequence within its length and leave padding in place."""
    t = torch.arange(steps, device=lengths.device)
    return torch.where(t < lengths[:, None], lengths[:, None] - 1 - t, t)


class BiLSTM(nn.Module):
    """A stack of bidirectional LSTM layers (or of another ``cell``), exact under padding.

    The backward direction of each layer reads the sequences reversed within their lengths, so that
    padding always comes last and no packed sequences, several times slower on a CPU, are needed.
    ``dropout`` is on the input of each layer.
    """

    def __init__(
        self, inputs: int, width: int, depth: int, cell: type[nn.LSTM] | type[nn.GRU] = nn.LSTM, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        sizes = [inputs] + [2 * width] * (depth - 1)
        self.ahead = nn.ModuleList(cell(size, width, batch_first=True) for size in sizes)
        self.back = nn.ModuleList(cell(size, width, batch_first=True) for size in sizes)

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """The top layer's forward and backward states, (B, T, W) each, 0 at padded steps."""
        steps = x.shape[1]
        equal = bool((lengths == steps).all())
        mask = None if equal else step_mask(lengths, steps)[:, :, None]
        if not equal:
            places = reversal(lengths, steps)[:, :, None]

        def reverse(value: Tensor) -> Tensor:
            return value.flip(1) if equal else value.gather(1, places.expand(-1, -1, value.shape[-1]))

        for layer, (ahead, back) in enumerate(zip(self.ahead, self.back, strict=True)):
            if layer:
                x = torch.cat([forward_states, backward_states], -1)  # noqa: F821  (set by the layer below)
            x = self.dropout(x)
            forward_states = ahead(x)[0]
            backward_states = reverse(back(reverse(x))[0])
        if mask is not None:
            forward_states, backward_states = forward_states * mask, backward_states * mask
        return forward_states, backward_states


class Emission(nn.Module):
    """The input embedding and the tied output layer: Categorical over V symbols or V Bernoulli keys.

    Entries start uniform within the bound that gives a symbol the squared norm ``norm`` at any width E.
    """

    def __init__(self, facts: Facts, embedding: int, norm: float) -> None:
        super().__init__()
        self.categorical, self.symbols = facts.emission == "categorical", facts.symbols
        bound = (3 * norm / embedding) ** 0.5
        self.weight = nn.Parameter(torch.empty(facts.symbols, embedding).uniform_(-bound, bound))
        self.norm = norm
        self.bias = nn.Parameter(torch.zeros(facts.symbols))

    def embed(self, x: Tensor) -> Tensor:
        """(B, T, E) from (B, T) symbols or (B, T, V) zeros and ones."""
        return F.embedding(x, self.weight) if self.categorical else x.to(self.weight.dtype) @ self.weight

    def logits(self, features: Tensor) -> Tensor:
        """(..., V) from (..., E)."""
        return F.linear(features, self.weight, self.bias)

    def log_prob(self, x: Tensor, logits: Tensor) -> Tensor:
        """log p(x_t) of every step, (B, T), nats; computed in float32 or better."""
        logits = wide(logits)
        if self.categorical:
            return logits.log_softmax(-1).gather(-1, x[..., None])[..., 0]
        return -F.binary_cross_entropy_with_logits(logits, x.to(logits.dtype), reduction="none").sum(-1)

    def draw(self, logits: Tensor, temperature: float, mode: bool, generator: torch.Generator | None) -> Tensor:
        """Symbols drawn at a temperature, which divides the logits; at 0, or with ``mode``, the most likely."""
        if self.categorical:
            return draw_symbols(logits, temperature, mode, generator)
        if mode or not temperature:
            return (logits > 0).float()
        probabilities = _drawable((logits / temperature).sigmoid(), generator)
        return torch.bernoulli(probabilities, generator=generator).float().to(logits.device)


class NadeEmission(Emission):
    r"""Keys of a step one after another, low to high: a NADE whose biases depend on the step's features.

    .. math:: p(x_v = 1 | x_{<v}) = \sigma(b_v + U_v \cdot \sigma(c + \sum_{u<v} x_u W_u))

    with W and U (V, H), c (H) and b (V) linear in the features, b through the tied embedding (Larochelle & Murray 2011;
    of sequences: Boulanger-Lewandowski et al. 2012). What `Emission` calls logits is [b; c] here, (..., V + H).
    """

    def __init__(self, facts: Facts, embedding: int, norm: float, width: int) -> None:
        if facts.emission == "categorical":
            raise Problem("expected keys: independent for one symbol a step, got nade, which is for piano rolls")
        super().__init__(facts, embedding, norm)
        self.to_hidden = nn.Linear(embedding, width)
        self.reading, self.writing = (nn.Parameter(torch.randn(facts.symbols, width) / width**0.5) for _ in range(2))

    def logits(self, features: Tensor) -> Tensor:
        """[b; c], (..., V + H), from (..., E)."""
        return torch.cat([super().logits(features), self.to_hidden(features)], -1)

    def _key(self, v: int, b: Tensor, hidden: Tensor) -> Tensor:
        """The logit of key v, (...), from its bias and what the keys below left."""
        return b[..., v] + hidden.sigmoid() @ self.writing[v]

    def log_prob(self, x: Tensor, logits: Tensor) -> Tensor:
        """log p(x_t) of every step, (B, T), nats; computed in float32 or better."""
        logits = wide(logits)
        x = x.to(logits.dtype)
        b, hidden = logits.split([self.symbols, logits.shape[-1] - self.symbols], -1)
        total = torch.zeros_like(b[..., 0])
        for v, x_v in enumerate(x.unbind(-1)):
            total = total - F.binary_cross_entropy_with_logits(self._key(v, b, hidden), x_v, reduction="none")
            hidden = torch.addcmul(hidden, x_v[..., None], self.reading[v])
        return total

    def draw(self, logits: Tensor, temperature: float, mode: bool, generator: torch.Generator | None) -> Tensor:
        """Keys drawn at a temperature; at 0, or with ``mode``, each the likelier value given those below it."""
        b, hidden = logits.split([self.symbols, logits.shape[-1] - self.symbols], -1)
        drawn = []
        for v in range(self.symbols):
            drawn.append(super().draw(self._key(v, b, hidden), temperature, mode, generator).to(b.dtype))
            hidden = torch.addcmul(hidden, drawn[-1][..., None], self.reading[v])
        return torch.stack(drawn, -1)


def emission(facts: Facts, embedding: int, norm: float, keys: str, width: int) -> Emission:
    """The emission of a step: ``independent`` keys, as in the paper, or those of a NADE with ``width`` units."""
    return Emission(facts, embedding, norm) if keys == "independent" else NadeEmission(facts, embedding, norm, width)


def draw_symbols(logits: Tensor, temperature: float, mode: bool, generator: torch.Generator | None) -> Tensor:
    """A symbol for each row of (..., V) logits, drawn at a temperature; at 0, or with ``mode``, the most likely."""
    if mode or not temperature:
        return logits.argmax(-1)
    probabilities = _drawable((logits.double() / temperature).softmax(-1), generator)
    drawn = torch.multinomial(probabilities.reshape(-1, logits.shape[-1]), 1, generator=generator)
    return drawn.view(logits.shape[:-1]).to(logits.device)


def _drawable(probabilities: Tensor, generator: torch.Generator | None) -> Tensor:
    """The device for drawing: the generator's or, without one, that of the probabilities."""
    return probabilities if generator is None else probabilities.to(generator.device)
