r"""STAGE without video: question answering by the lines of a clip, with their localisation (Lei et al. 2020).

Written from what the paper and its released code do: a question with each of its answers is read against the lines near
each frame there, against each line itself here. Without video there are no image regions to attend to. In their place
stand, if the data have them, the words of what a detector sees beside a line, and boxes that people drew supervise the
attention to these.

Legend: B batch, A answers, L lines, W words of a line, C words of what is seen beside it, S words of a question with an
answer, D numbers per word vector, H width.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqflows.config.models import Stage as Config
from seqflows.data.batching import Batch, Choices
from seqflows.data.prepared import Facts
from seqflows.errors import Problem
from seqflows.flows import wide
from seqflows.models.base import Answered, Model, Terms, check_emission

SCALE = 10.0  # of cosine similarities before their softmax
STEEP, NEGATIVES = 20.0, 2  # of the loss of attention: how steep it is, and how many others each pair is compared with
OVERLAP, LIKELY = 0.5, 0.01  # of a proposed span with the true one, and its probability, to be trained on
KERNELS = (7, 5)  # of the encoders of words and of words that have attended to a line
CONVOLUTIONS = 2  # of an encoder


class Reading(NamedTuple):
    """What was read of each line: its ``states`` (B, A, L, H), logits of start and end (B, A, L), and the line's mask.

    ``mask`` is (B, L); the logits of lines outside it are -inf. ``cosine`` (B, A, L, S, C) is that of the statements'
    words with the words of what is seen; None where these are not read.
    """

    states: Tensor
    start: Tensor
    end: Tensor
    mask: Tensor
    cosine: Tensor | None = None


def positions(steps: int, width: int, like: Tensor) -> Tensor:
    """Sines and cosines of positions, (T, H), Vaswani et al. 2017."""
    rate = torch.exp(torch.arange(0, width, 2, device=like.device) * (-math.log(10_000.0) / width))
    angle = torch.arange(steps, device=like.device)[:, None] * rate
    return torch.stack([angle.sin(), angle.cos()], -1).flatten(1)[:, :width].to(like.dtype)


class Encoder(nn.Module):
    """Words in context, (N, T, H): positions, then convolutions, each normalised before and added to its input.

    A convolution is one over time in each channel and one over channels in each step. Padding counts as zeros.
    """

    def __init__(self, width: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.before = nn.ModuleList(nn.LayerNorm(width) for _ in range(CONVOLUTIONS))
        over_time = {"kernel_size": kernel, "padding": kernel // 2, "groups": width}
        self.over_time = nn.ModuleList(nn.Conv1d(width, width, **over_time) for _ in range(CONVOLUTIONS))
        self.over_channels = nn.ModuleList(nn.Linear(width, width) for _ in range(CONVOLUTIONS))
        self.dropout, self.after = nn.Dropout(dropout), nn.LayerNorm(width)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(N, T, H), of the words of the ``mask`` (N, T); those outside reach no other."""
        x = x + positions(*x.shape[1:], x)
        for number, before in enumerate(self.before):
            inner = before(x)
            inner = self.dropout(inner) if number % 2 == 0 else inner
            inner = self.over_time[number]((inner * mask[..., None]).mT).mT
            x = x + self.over_channels[number](inner).relu()
        return self.after(x)


class Stage(Model):
    r"""p(answer | question, lines), a softmax over the A scores.

    Words of statements (question and answer) and of lines are their vectors, projected and encoded by the same
    convolutions. A statement's word a attends to the words of a line by cosine similarity,
    u = sum_w softmax(10 cos) c_w; a layer of [a; u; a u] is encoded again, and the maximum over the statement's words
    is the line's state, from which one layer makes logits of the first and the last line. An answer's score is a layer
    of the maximum over all lines and that over the lines of a span, ``margin`` more at each side: the most probable one
    given the answer or, in training, the true one of the question, and also the one proposed given the right answer,
    where it overlaps enough.

    With ``concepts: read`` the words of what is seen beside a line are attended to as those of the line are, by the
    same layers, and a layer of [x; v; x v] joins what is so made of both, x and v, before the second encoder.

    Raises:
        Problem: data of another kind, or without such words where they are to be read.
    """

    exact = True

    def __init__(self, config: Config, facts: Facts) -> None:
        super().__init__()
        check_emission(facts, ("chosen",), "stage")
        if config.concepts == "read" and not facts.concepts:
            raise Problem(
                "expected data with concepts, the words of what is seen beside lines, for concepts: read, got none; "
                "choose a dataset with concepts or set concepts: none"
            )
        self.config, width, rate = config, config.width, config.dropout
        vectors = torch.as_tensor(facts.vectors, dtype=torch.float32)
        self.register_buffer("vectors", vectors, persistent=False)
        self.embed = nn.Sequential(
            nn.Dropout(rate), nn.Linear(vectors.shape[1], width), nn.ReLU(), nn.LayerNorm(width)
        )  # fmt: skip
        self.words, self.attended = (Encoder(width, kernel, rate) for kernel in KERNELS)
        self.dropout = nn.Dropout(rate)
        self.fuse = nn.Sequential(self._layer(3 * width, width), nn.ReLU())
        if config.concepts == "read":
            self.join = nn.Sequential(self._layer(3 * width, width), nn.ReLU())
        self.line = nn.Sequential(self._layer(width, width), nn.ReLU())
        self.start, self.end = self._layer(width, 1), self._layer(width, 1)
        self.score = self._layer(2 * width, 1)

    def _layer(self, inputs: int, outputs: int) -> nn.Sequential:
        return nn.Sequential(nn.LayerNorm(inputs), nn.Dropout(self.config.dropout), nn.Linear(inputs, outputs))

    # -- reading

    def encoded(self, words: Tensor, mask: Tensor) -> Tensor:
        """The encoding (..., T, H) of words (..., T)."""
        x = self.words(self.embed(self.vectors[words]).flatten(0, -3), mask.flatten(0, -2))
        return x.view(*words.shape, -1)

    def attend(self, a: Tensor, c: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """What the words a (B, A, S, H) find in the words c (B, L, W, H) of each line: u (B, A, L, S, H).

        With the cosines (B, A, L, S, W).
        """
        here, there = (self.dropout(F.normalize(x, dim=-1)) for x in (a, c))
        cosine = here[:, :, None] @ there[:, None].mT
        mask = mask[:, None, :, None]
        # A line without words is zeros, since it pads or nothing is seen there: no softmax of nothing.
        weights = (SCALE * cosine).masked_fill(~mask, torch.finfo(cosine.dtype).min).softmax(-1) * mask
        return weights.to(c.dtype) @ c[:, None], cosine

    def fused(self, a: Tensor, c: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """The layer of [a; u; a u], (B, A, L, S, H), and the cosines."""
        u, cosine = self.attend(a, c, mask)
        a = a[:, :, None].expand_as(u)
        return self.fuse(torch.cat([a, u, a * u], -1)), cosine

    def read(self, given: Choices) -> Reading:
        """States and logits of each line."""
        said, told = given.statement_mask, given.line_mask
        a, c = self.encoded(given.statements, said), self.encoded(given.lines, told)
        (x, _), cosine = self.fused(a, c, told), None
        if self.config.concepts == "read":
            seen = given.seen
            v, cosine = self.fused(a, self.encoded(seen.words, seen.mask), seen.mask)
            x = self.join(torch.cat([x, v, x * v], -1))
        mask = said[:, :, None].expand(x.shape[:-1])
        x = self.attended(x.flatten(0, 2), mask.flatten(0, 2)).view_as(x)
        x = x.masked_fill(~mask[..., None], -torch.inf).amax(-2)
        x = x + self.line(x)
        there = told.any(-1)
        start, end = (layer(x)[..., 0].masked_fill(~there[:, None], -torch.inf) for layer in (self.start, self.end))
        return Reading(x, start, end, there, cosine)

    # -- probabilities

    @staticmethod
    def spans(reading: Reading) -> tuple[Tensor, Tensor]:
        """The most probable span of each answer, (B, A, 2), and its probability, (B, A)."""
        first, last = (wide(logits).log_softmax(-1) for logits in (reading.start, reading.end))
        both = first[..., :, None] + last[..., None, :]
        before = torch.ones(both.shape[-2:], dtype=torch.bool, device=both.device).triu()
        best, place = both.masked_fill(~before, -torch.inf).flatten(-2).max(-1)
        lines = both.shape[-1]
        return torch.stack([place // lines, place % lines], -1), best.exp()

    def scores(self, reading: Reading, spans: Tensor) -> Tensor:
        """The scores (B, A) of answers, each with a span of lines (B, A, 2)."""
        place = torch.arange(reading.states.shape[2], device=spans.device)
        first, last = spans[..., :1] - self.config.margin, spans[..., 1:] + self.config.margin
        local = (place >= first) & (place <= last) & reading.mask[:, None]
        every = reading.mask[:, None].expand_as(local)
        joined = [reading.states.masked_fill(~part[..., None], -torch.inf).amax(2) for part in (local, every)]
        return self.score(torch.cat(joined, -1))[..., 0]

    def answer(self, given: Choices) -> Answered:
        """log p of each answer, and its span."""
        reading = self.read(given)
        spans, _ = self.spans(reading)
        return Answered(wide(self.scores(reading, spans)).log_softmax(-1), spans)

    def objective(self, batch: Batch, samples: int) -> Terms:
        """``answer``, -log p of the right one, and ``temporal``, ``weight`` times the mean of -log p of start and end.

        Start and end are those given the right answer. In training -log p is by the true span for all answers, or the
        mean of that and of the one by the proposed span. With ``concepts: read`` also ``attention``, times its weight
        the loss of `attention_loss` for the right answer.
        """
        given, reading = batch.given, self.read(batch.given)
        rows = torch.arange(len(given.correct), device=given.correct.device)
        spans, p = self.spans(reading)

        def surprise(spans: Tensor) -> Tensor:
            return F.cross_entropy(wide(self.scores(reading, spans)), given.correct, reduction="none")

        if self.training:
            proposed = spans[rows, given.correct]
            answer, second = (surprise(one[:, None].expand_as(spans)) for one in (given.span, proposed))
            kept = (overlap(proposed, given.span) >= OVERLAP) & (p[rows, given.correct] >= LIKELY)
            answer = torch.where(kept, (answer + second) / 2, answer)
        else:
            answer = surprise(spans)
        ends = zip((reading.start, reading.end), given.span.unbind(-1), strict=True)
        temporal = [F.cross_entropy(wide(x[rows, given.correct]), place, reduction="none") for x, place in ends]
        terms = {"answer": answer, "temporal": self.config.weight * sum(temporal) / 2}
        if reading.cosine is None:
            return terms
        chosen = reading.cosine[rows, given.correct].transpose(1, 2)
        return terms | {"attention": self.config.attention * attention_loss(wide(chosen), given.seen.wanted)}

    def log_prob(self, batch: Batch) -> Tensor:
        """log p of the right answer, (B,), nats."""
        return self.answer(batch.given).log_probs.gather(1, batch.given.correct[:, None])[:, 0]

    def length_log_prob(self, lengths: Tensor) -> Tensor:
        """0: a question is given, its length too."""
        return torch.zeros(len(lengths), dtype=torch.float64, device=lengths.device)

    @torch.no_grad()
    def choose(self, given: Choices) -> Answered:
        """The answers' probabilities and spans; the most probable answer is chosen."""
        return self.answer(given)


def attention_loss(cosine: Tensor, wanted: Tensor) -> Tensor:
    r"""The ranking loss of attention, (B,), of cosines (B, S, L, C) with the targets ``wanted`` of the same shape.

    For a word of the statement and a line, each word p that it should attend to is compared with those n that it should
    not, `NEGATIVES` times the mean over them:

    .. math:: \sum_p 2 \; \mathrm{mean}_n \log(1 + e^{20 (\cos_n - \cos_p)})

    It is the expectation of the released code's loss, which draws two n for each p; log-sum-exp in its options. Without
    any n there is no loss.
    """
    question, word, line = (wanted == 1).any(-1).nonzero(as_tuple=True)
    x, signs = cosine[question, word, line], wanted[question, word, line]  # (R, C)
    like, unlike = (signs == 1).to(x.dtype), (signs == -1).to(x.dtype)
    apart = F.softplus(STEEP * (x[:, None, :] - x[:, :, None]))  # (R, p, n)
    mean = (apart * unlike[:, None]).sum(-1) / unlike.sum(-1, keepdim=True).clamp(min=1)
    return cosine.new_zeros(len(cosine)).index_add(0, question, NEGATIVES * (mean * like).sum(-1))


def overlap(first: Tensor, second: Tensor) -> Tensor:
    """Lines in both of two spans over those from the first to the last of either, (B,)."""
    starts, ends = (torch.stack([first[:, place], second[:, place]]) for place in (0, 1))
    shared = (ends.amin(0) - starts.amax(0) + 1).clamp(min=0)
    return shared / (ends.amax(0) - starts.amin(0) + 1)
