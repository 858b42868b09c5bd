"""Networks over the steps of a sequence: bidirectional for couplings, causal for autoregressive flows.

Legend: B batch, T time, I inputs, O outputs, W width (of each direction, for LSTMs), H heads, F inner width,
S steps of a source, C its width.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqflows.flows.bijection import Source

NETWORKS = ("rnn", "attention")


class Size(NamedTuple):
    """The size of a network: ``width`` W, ``inner`` F and ``heads`` H; an LSTM uses only ``width``."""

    width: int
    inner: int = 0
    heads: int = 1


class TransformerLayer(nn.Module):
    """A Transformer block (Vaswani et al. 2017), normalised before each part: self-attention, two linear layers.

    ``dropout`` is on what each part gives, before it is added to what the part has read, while training.
    """

    def __init__(self, size: Size, causal: bool, dropout: float = 0.0) -> None:
        super().__init__()
        width, inner, heads = size
        if width % heads:
            raise ValueError(f"Expected a width that {heads} heads divide, got {width}")
        self.heads, self.causal = heads, causal
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.joint, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.inner = nn.Sequential(nn.Linear(width, inner), nn.ReLU(), nn.Linear(inner, width))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, past: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """(B, T, W) -> (B, T, W), and the keys and values (B, H, T, W / H) of all steps, ``past`` included.

        With ``past`` x is one step, which follows the steps of ``past``.
        """
        parts = self.joint(self.before(x)).unflatten(-1, (3, self.heads, -1))  # (B, T, 3, H, W / H)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        if past is not None:
            key, value = torch.cat([past[0], key], 2), torch.cat([past[1], value], 2)
        seen = F.scaled_dot_product_attention(query, key, value, is_causal=self.causal and past is None)
        x = x + self.dropout(self.out(seen.transpose(1, 2).flatten(2)))
        return x + self.dropout(self.inner(self.between(x))), (key, value)


def zero(linear: nn.Linear) -> nn.Linear:
    """Set the layer's weights and biases to zero, so that what it parametrises starts at its default."""
    nn.init.zeros_(linear.weight)
    nn.init.zeros_(linear.bias)
    return linear


class SourceLayer(nn.Module):
    """A Transformer block that also attends to a source: self-attention, attention to it, two linear layers.

    Normalised before each part, as `TransformerLayer`. Steps outside the mask reach no other step.
    """

    def __init__(self, size: Size, source: int, dropout: float = 0.0) -> None:
        super().__init__()
        width, inner, heads = size
        if width % heads:
            raise ValueError(f"Expected a width that {heads} heads divide, got {width}")
        self.heads = heads
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.joint, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.query, self.key_value = nn.Linear(width, width), nn.Linear(source, 2 * width)
        self.out_source = nn.Linear(width, width)
        self.inner = nn.Sequential(nn.Linear(width, inner), nn.ReLU(), nn.Dropout(dropout), nn.Linear(inner, width))
        self.dropout = nn.Dropout(dropout)

    def _attend(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
        """(B, T, W) from a query (B, T, H, W / H), and keys and values (B, S, H, W / H) with their mask (B, S)."""
        query, key, value = (part.transpose(1, 2) for part in (query, key, value))
        seen = None if mask is None else mask[:, None, None, :]
        return F.scaled_dot_product_attention(query, key, value, attn_mask=seen).transpose(1, 2).flatten(2)

    def forward(self, x: Tensor, mask: Tensor | None, source: Source) -> Tensor:
        """(B, T, W) -> (B, T, W); x is finite outside the mask (B, T) too."""
        parts = self.joint(self.norms[0](x)).unflatten(-1, (3, self.heads, -1)).unbind(2)
        x = x + self.dropout(self.out(self._attend(*parts, mask)))
        query = self.query(self.norms[1](x)).unflatten(-1, (self.heads, -1))
        each = len(x) // max(1, len(source.states)) * x.shape[1]  # the steps of all examples of a source
        query = query.reshape(len(source.states), each, *query.shape[2:])
        parts = self.key_value(source.states).unflatten(-1, (2, self.heads, -1)).unbind(2)
        x = x + self.dropout(self.out_source(self._attend(query, *parts, source.mask).view(x.shape)))
        return x + self.dropout(self.inner(self.norms[2](x)))


def sinusoids(steps: int, width: int, like: Tensor) -> Tensor:
    """(T, W): sines, then cosines, of the step times 10000^(-2 n / W), n < W / 2 (Vaswani et al. 2017)."""
    place = torch.arange(steps, dtype=like.dtype, device=like.device)
    half = torch.arange((width + 1) // 2, dtype=like.dtype, device=like.device)
    angle = place[:, None] * torch.exp(half * (-2 * math.log(10000) / width))
    return torch.cat([angle.sin(), angle.cos()], -1)[:, :width]


class Attending(nn.Module):
    """(B, T, I) -> (B, T, O) for any T, attending to a source: a `SourceLayer` with fixed positions; starts at 0."""

    def __init__(self, inputs: int, outputs: int, source: int, size: Size) -> None:
        super().__init__()
        self.first = nn.Linear(inputs, size.width)
        self.layer = SourceLayer(size, source)
        self.norm = nn.LayerNorm(size.width)
        self.last = zero(nn.Linear(size.width, outputs))

    def forward(self, x: Tensor, mask: Tensor | None, source: Source) -> Tensor:
        """The output at every step, from all steps of the mask (B, T) and of the source."""
        x = self.first(x)
        x = x + sinusoids(x.shape[1], x.shape[2], x)
        return self.last(self.norm(self.layer(x, mask, source)))


class Bidirectional(nn.Module):
    """(B, T, I) -> (B, T, O): a one-layer BiLSTM or a Transformer block with learned positions; starts at 0."""

    def __init__(self, kind: str, length: int, inputs: int, outputs: int, size: Size) -> None:
        super().__init__()
        self.kind = kind
        if kind == "rnn":
            self.lstm = nn.LSTM(inputs, size.width, batch_first=True, bidirectional=True)
            self.last = zero(nn.Linear(2 * size.width, outputs))
        else:
            self.first = nn.Linear(inputs, size.width)
            self.positions = nn.Parameter(0.02 * torch.randn(length, size.width))
            self.block = TransformerLayer(size, causal=False)
            self.norm = nn.LayerNorm(size.width)
            self.last = zero(nn.Linear(size.width, outputs))

    def forward(self, x: Tensor) -> Tensor:
        """The output at every step, from all steps."""
        if self.kind == "rnn":
            return self.last(self.lstm(x)[0])
        return self.last(self.norm(self.block(self.first(x) + self.positions)[0]))


class Causal(nn.Module):
    """(B, T, I) -> (B, T, W), where step t sees only the steps up to t: an LSTM or a masked Transformer block.

    ``step`` continues from an earlier step's cache and gives the same as ``forward``.
    """

    def __init__(self, kind: str, length: int, inputs: int, size: Size) -> None:
        super().__init__()
        self.kind = kind
        if kind == "rnn":
            self.lstm = nn.LSTM(inputs, size.width, batch_first=True)
        else:
            self.first = nn.Linear(inputs, size.width)
            self.positions = nn.Parameter(0.02 * torch.randn(length, size.width))
            self.block, self.norm = TransformerLayer(size, causal=True), nn.LayerNorm(size.width)

    def forward(self, x: Tensor) -> Tensor:
        """The output at every step, from the steps up to it."""
        if self.kind == "rnn":
            return self.lstm(x)[0]
        return self.norm(self.block(self.first(x) + self.positions[: x.shape[1]])[0])

    def step(self, x: Tensor, kept: tuple[Tensor, Tensor] | None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """The next step (B, I) -> (B, W), and the new cache; the cache is None before the first."""
        if self.kind == "rnn":
            empty = x.new_zeros(x.shape[0], self.lstm.hidden_size)
            kept = torch.lstm_cell(x, kept or (empty, empty), *self.lstm.all_weights[0])
            return kept[0], kept
        place = 0 if kept is None else kept[0].shape[2]
        empty = x.new_zeros(x.shape[0], self.block.heads, 0, self.first.out_features // self.block.heads)
        out, kept = self.block((self.first(x) + self.positions[place])[:, None], kept or (empty, empty))
        return self.norm(out)[:, 0], kept

    @staticmethod
    def select(kept: tuple[Tensor, Tensor] | None, places: Tensor) -> tuple[Tensor, Tensor] | None:
        """The cache of the examples at ``places``."""
        return kept and (kept[0].index_select(0, places), kept[1].index_select(0, places))
