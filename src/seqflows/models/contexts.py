"""The encoder of contexts in models of pairs: a BiLSTM over features and answer tags, with gated self-attention.

Zhao et al. 2018, section 3.1, in the sizes of Zhang & Bansal 2019 (their code's ``QG/BERT_QG``).

Legend: B batch, S words of a context, F features, U units of each direction, H = 2 U.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seqflows.data.batching import Given

TAGS = 3  # outside, begin and inside of the answer
TAG_WIDTH = 4


class BiLSTM(nn.Module):
    """A bidirectional LSTM of several layers over padded sequences, (B, S, I) -> (B, S, 2 U).

    Each direction is an LSTM of its own; the backward one reads every sequence from its own end, so that padding
    changes nothing. Not a packed sequence, which takes four times as long on a CPU.
    """

    def __init__(self, inputs: int, units: int, layers: int, dropout: float) -> None:
        super().__init__()
        widths = [inputs, *[2 * units] * (layers - 1)]
        self.ahead = nn.ModuleList(nn.LSTM(width, units, batch_first=True) for width in widths)
        self.back = nn.ModuleList(nn.LSTM(width, units, batch_first=True) for width in widths)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """The states of both directions at every step; those beyond a sequence's length are arbitrary."""
        turned = self.turned(x.shape[1], lengths)
        for ahead, back in zip(self.ahead, self.back, strict=True):
            x = self.dropout(x)
            x = torch.cat([ahead(x)[0], _take(back(_take(x, turned))[0], turned)], -1)
        return x

    @staticmethod
    def turned(steps: int, lengths: Tensor) -> Tensor:
        """(B, S) the place of each step where each sequence is reversed and its padding stays: its own inverse."""
        place = torch.arange(steps, device=lengths.device).expand(len(lengths), -1)
        return torch.where(place < lengths[:, None], lengths[:, None] - 1 - place, place)


def _take(x: Tensor, places: Tensor) -> Tensor:
    return x.gather(1, places[..., None].expand_as(x))


class GatedSelfAttention(nn.Module):
    r"""u = g f + (1 - g) h with s = softmax(H W H^T) H, f = tanh(W_f [h; s]), g = sigma(W_g [h; s])."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.match = nn.Linear(width, width, bias=False)
        self.fuse, self.gate = nn.Linear(2 * width, width, bias=False), nn.Linear(2 * width, width, bias=False)

    def forward(self, h: Tensor, mask: Tensor) -> Tensor:
        """(B, S, H) -> (B, S, H), attending to the words of the ``mask`` (B, S)."""
        scores = (self.match(h) @ h.mT).masked_fill(~mask[:, None], -torch.inf)
        both = torch.cat([h, scores.softmax(-1) @ h], -1)
        gate = self.gate(both).sigmoid()
        return gate * self.fuse(both).tanh() + (1 - gate) * h


class ContextEncoder(nn.Module):
    """Contexts as vectors u (B, S, H); those beyond a context's length are 0."""

    def __init__(self, features: int, units: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.tags = nn.Embedding(TAGS, TAG_WIDTH)
        self.lstm = BiLSTM(features + TAG_WIDTH, units, layers, dropout)
        self.attention = GatedSelfAttention(2 * units)
        self.width = 2 * units

    def forward(self, given: Given) -> Tensor:
        """The encoding of every word of a context."""
        h = self.lstm(torch.cat([given.features, self.tags(given.tags)], -1), given.lengths)
        return self.attention(h, given.mask) * given.mask[..., None]
