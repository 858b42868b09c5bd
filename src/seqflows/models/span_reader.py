r"""A reader of frozen features: question attention, a BiLSTM over the context, bilinear start and end.

Chen et al. 2017 (DrQA), section 3.2, with features of a pretrained encoder in place of GloVe, named entities and tags;
the product of a word with its aligned question vector is as in Seo et al. 2017 (BiDAF).

Legend: B batch, S words of a context, Q words of a question, F features, E width of a projected word, H = 2 U the
width of both directions of U units.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seqflows.config.models import SpanReader as Config
from seqflows.data.batching import Lined
from seqflows.data.lines import UNKNOWN
from seqflows.data.prepared import Facts
from seqflows.errors import Problem
from seqflows.flows import wide
from seqflows.models.base import check_emission
from seqflows.models.networks import BiLSTM
from seqflows.models.spans import Reader


class SpanReader(Reader):
    r"""Reads features of each line apart, and the whole context by its LSTM.

    With p = relu(P f) the projection of a word's features: the aligned question vector of word i is
    a_i = sum_j softmax_j(p_i . q_j) q_j over the question's p, written q_j; the LSTM reads [p_i; a_i; p_i a_i; m_i],
    where m_i says whether the question has the word i. The question is sum_j softmax_j(w . h_j) h_j over the states of
    its own LSTM; the logits are c_i W_s q and c_i W_e q of the context's states c_i.

    Raises:
        Problem: data of another kind, or without features.
    """

    def __init__(self, config: Config, facts: Facts) -> None:
        super().__init__()
        check_emission(facts, ("span",), "span_reader")
        if not facts.features:
            raise Problem(
                "expected features of the words for span_reader, got a dataset without; add it under features in "
                "params.yaml"
            )
        self.longest = config.longest
        self.dropout = nn.Dropout(config.dropout)
        self.norm = nn.LayerNorm(facts.features)
        self.project = nn.Linear(facts.features, config.width)
        self.context = BiLSTM(3 * config.width + 1, config.units, config.layers, dropout=config.dropout)
        self.question = BiLSTM(config.width, config.units, config.layers, dropout=config.dropout)
        width = 2 * config.units
        self.summary = nn.Linear(width, 1, bias=False)
        self.start, self.end = nn.Linear(width, width), nn.Linear(width, width)

    def projected(self, features: Tensor) -> Tensor:
        """relu(P f) of features (B, T, F), (B, T, E)."""
        return self.project(self.dropout(self.norm(features))).relu()

    def logits(self, given: Lined) -> tuple[Tensor, Tensor]:
        """l^s and l^e of each word, (B, S) each, -inf beyond a context."""
        context, question = self.projected(given.features), self.projected(given.asked_features)
        scores = (context @ question.mT).masked_fill(~given.asked_mask[:, None], -torch.inf)
        aligned = scores.softmax(-1) @ question
        read = [context, aligned, context * aligned, matches(given)[..., None].to(context.dtype)]
        states = self.dropout(torch.cat(self.context(torch.cat(read, -1), given.lengths), -1))
        asked = self.dropout(torch.cat(self.question(question, given.asked_lengths), -1))
        weights = self.summary(asked)[..., 0].masked_fill(~given.asked_mask, -torch.inf).softmax(-1)
        summary = (weights[:, None] @ asked)[:, 0]
        found = (wide(states @ head(summary)[..., None])[..., 0] for head in (self.start, self.end))
        start, end = (logits.masked_fill(~given.mask, -torch.inf) for logits in found)
        return start, end


def matches(given: Lined) -> Tensor:
    """(B, S) bool: whether a context's word, unless unknown, is one of its question's."""
    same = (given.words[:, :, None] == given.asked[:, None]) & given.asked_mask[:, None]
    return same.any(-1) & (given.words != UNKNOWN)
