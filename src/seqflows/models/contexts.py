"""The encoder of contexts in models of pairs: a BiLSTM over features and answer tags, with gated self-attention.

Zhao et al. 2018, section 3.1, in the sizes of Zhang & Bansal 2019 (their code's ``QG/BERT_QG``).

Legend: B batch, S words of a context, F features, U units of each direction, H = 2 U.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seqflows.data.batching import Given
from seqflows.models.networks import BiLSTM

TAGS = 3  # outside, begin and inside of the answer
TAG_WIDTH = 4


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
    """Contexts as vectors u (B, S, H), 0 beyond a context's length."""

    def __init__(self, features: int, units: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.tags = nn.Embedding(TAGS, TAG_WIDTH)
        self.lstm = BiLSTM(features + TAG_WIDTH, units, layers, dropout=dropout)
        self.attention = GatedSelfAttention(2 * units)
        self.width = 2 * units

    def forward(self, given: Given) -> Tensor:
        """The encoding of every word of a context."""
        return self.encode(given)[0]

    def encode(self, given: Given) -> tuple[Tensor, Tensor]:
        """The encoding u, and the final states of both directions of the LSTM, (B, H)."""
        ahead, back = self.lstm(torch.cat([given.features, self.tags(given.tags)], -1), given.lengths)
        last = ahead.gather(1, (given.lengths - 1)[:, None, None].expand(-1, 1, ahead.shape[-1]))[:, 0]
        u = self.attention(torch.cat([ahead, back], -1), given.mask) * given.mask[..., None]
        return u, torch.cat([last, back[:, 0]], -1)
