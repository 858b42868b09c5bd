r"""Translation by a Transformer (Vaswani et al. 2017), aided by a flow of language or not.

Tang et al. 2021, section 5.2 and appendix A.7: the baseline is the autoregressive Transformer of Lee et al. 2018, which
is normalised after each part; the flow's latent of the source's subwords is fused with the encoding, as in question
generation.

Legend: B batch, N hypotheses, S subwords of a source, T subwords of a translation with its end, V subwords in all,
D width, H heads.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqflows.config.models import Translator as Config
from seqflows.data.batching import Batch, Given
from seqflows.data.prepared import Facts
from seqflows.data.tokens import END, PAD, SPECIAL, START, UNKNOWN
from seqflows.errors import Problem
from seqflows.flows import wide
from seqflows.flows.attention import sinusoids
from seqflows.models.base import Terms, check_emission
from seqflows.models.fusion import Fusing
from seqflows.models.search import beam_search, chosen, sampled

PAD_ID, UNKNOWN_ID, START_ID, END_ID = map(SPECIAL.index, (PAD, UNKNOWN, START, END))
GROUP = 64  # sentences that are searched for together
MORE = 50  # subwords that a translation may have more than its source (Vaswani et al. 2017)

Kept = tuple[Tensor, Tensor]  # keys and values, (B, H, S, D / H) each


class Attention(nn.Module):
    """Attention of H heads: softmax(Q K^T / sqrt(D / H)) V of each, side by side, and a linear map of these."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.query, self.key_value = nn.Linear(width, width), nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def keys(self, states: Tensor) -> Kept:
        """The keys and values of states (B, S, D)."""
        key, value = self.key_value(states).unflatten(-1, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return key, value

    def forward(self, x: Tensor, kept: Kept, mask: Tensor | None = None, causal: bool = False) -> Tensor:
        """(B, T, D) from x (B, T, D), attending to ``kept`` where the ``mask`` (B, S) is true."""
        query = self.query(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        dropout = self.dropout if self.training else 0.0
        seen = None if mask is None else mask[:, None, None, :]
        found = F.scaled_dot_product_attention(query, *kept, attn_mask=seen, dropout_p=dropout, is_causal=causal)
        return self.out(found.transpose(1, 2).flatten(2))


class Layer(nn.Module):
    """A layer of the encoder, or with ``reads`` of the decoder, normalised after each part.

    x <- norm(x + part(x)) for self-attention, attention to the encoding (decoder) and two linear maps with a ReLU.
    """

    def __init__(self, config: Config, reads: bool) -> None:
        super().__init__()
        width, inner, heads, dropout = config.width, config.inner, config.heads, config.dropout
        self.own = Attention(width, heads, dropout)
        self.other = Attention(width, heads, dropout) if reads else None
        self.inner = nn.Sequential(nn.Linear(width, inner), nn.ReLU(), nn.Linear(inner, width))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2 + reads))
        self.dropout = nn.Dropout(dropout)

    def encode(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """(B, S, D) -> (B, S, D), attending to the steps of the mask."""
        x = self.norms[0](x + self.dropout(self.own(x, self.own.keys(x), mask)))
        return self.norms[-1](x + self.dropout(self.inner(x)))

    def decode(self, x: Tensor, past: Kept | None, encoding: Kept, mask: Tensor) -> tuple[Tensor, Kept]:
        """(B, T, D) -> (B, T, D), each step attending to those up to it, and the keys and values of all steps.

        With ``past`` x is one step of each of N hypotheses, (B N, 1, D), which follows the steps of ``past``.
        """
        kept = self.own.keys(x)
        if past is not None:
            kept = torch.cat([past[0], kept[0]], 2), torch.cat([past[1], kept[1]], 2)
        x = self.norms[0](x + self.dropout(self.own(x, kept, causal=past is None)))
        together = x.reshape(len(mask), -1, x.shape[-1])  # the hypotheses of a sentence share its encoding
        x = self.norms[1](x + self.dropout(self.other(together, encoding, mask).view(x.shape)))
        return self.norms[2](x + self.dropout(self.inner(x))), kept


class Memory(NamedTuple):
    """What the decoder reads of the sources: each layer's keys and values, the mask (B, S), and the lengths (B,)."""

    layers: list[Kept]
    mask: Tensor
    lengths: Tensor


class Translator(Fusing):
    r"""p(y | x) = prod_t p(y_t | y_<t, x), p the softmax of E h_t over all subwords but padding and start.

    One matrix E (V, D) embeds source and translation, as sqrt(D) E plus sinusoids of the positions, and gives the
    logits. y ends with the end symbol.

    The loss is the sum over a translation's subwords of -log p, over their mean number T-bar in all of training and
    validation, plus ``weight`` times the flow's bits per dimension of the source's noisy vectors (eq. (20), (21) and
    (6)): every subword has the same weight, where a mean over each translation's own would give those of long ones
    less. In training -log p of a subword is smoothed: with the share
    ``smoothing`` it is the mean over all subwords. The flow's vectors, also those of the control ``words``, are
    sqrt(D) E of another model, trained before (`start_from`), and frozen; they are saved with the model. What joins the
    encoding is normalised after it, as every part is (``fusion``: normalised): without, the decoder would learn little
    for long.

    Raises:
        Problem: data of another kind.
    """

    exact = True

    def __init__(self, config: Config, facts: Facts) -> None:
        super().__init__()
        check_emission(facts, ("pieces",), "translator")
        self.config, self.window, self.symbols = config, facts.window, facts.symbols
        self.mean_length = mean_length(facts)
        width = config.width
        self.pieces = nn.Parameter(torch.randn(facts.symbols, width) * width**-0.5)
        with torch.no_grad():
            self.pieces[PAD_ID] = 0.0
        never = torch.zeros(facts.symbols).index_fill(0, torch.tensor([PAD_ID, START_ID]), -torch.inf)
        self.register_buffer("never", never, persistent=False)
        self.encoder = nn.ModuleList(Layer(config, reads=False) for _ in range(config.layers))
        self.decoder = nn.ModuleList(Layer(config, reads=True) for _ in range(config.layers))
        self.dropout = nn.Dropout(config.dropout)
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2 and name != "pieces":
                nn.init.xavier_uniform_(parameter)
        self.fuse(width, width)
        if config.reads:
            self.register_buffer("vectors", self.scaled(self.pieces.detach()).clone())

    @staticmethod
    def scaled(embedding: Tensor) -> Tensor:
        """sqrt(D) E, what the encoder reads of subwords."""
        return embedding * embedding.shape[-1] ** 0.5

    def start_from(self, state: Mapping[str, Tensor]) -> None:
        """Take the flow's vectors from the tensors of a trained translator of the same subwords and width."""
        found = state.get("pieces")
        if found is None or found.shape != self.pieces.shape:
            got = "no such tensor" if found is None else f"the shape {tuple(found.shape)}"
            raise Problem(
                f"expected subwords of shape {tuple(self.pieces.shape)} in the run to start from, got {got}; "
                "give both runs the same width and dataset"
            )
        self.vectors.copy_(self.scaled(found))

    # -- the networks

    def embed(self, words: Tensor, first: int = 0) -> Tensor:
        """(B, T, D) of subwords (B, T), which stand at the positions from ``first`` on."""
        x = self.scaled(F.embedding(words, self.pieces))
        return self.dropout(x + sinusoids(first + words.shape[1], x.shape[-1], x)[first:])

    def read(self, given: Given) -> tuple[Memory, Tensor | None]:
        """What the decoder reads of the sources, and log p(x~) (B,), nats, if there is a flow."""
        u = self.embed(given.words * given.mask)
        mask = None if bool(given.mask.all()) else given.mask
        for layer in self.encoder:
            u = layer.encode(u, mask)
        u, log_density = self.fused(u, given)
        return Memory([layer.other.keys(u) for layer in self.decoder], given.mask, given.lengths), log_density

    def states(self, targets: Tensor, memory: Memory) -> Tensor:
        """h (B, T, D), from which the subword at each place of the targets (B, T) is predicted."""
        x = self.embed(torch.cat([torch.full_like(targets[:, :1], START_ID), targets[:, :-1]], 1))
        for layer, kept in zip(self.decoder, memory.layers, strict=True):
            x, _ = layer.decode(x, None, kept, memory.mask)
        return x

    def minus_log_words(self, batch: Batch, memory: Memory, smoothing: float) -> Tensor:
        """-log p(y_t | y_<t, x) (B, T), nats, smoothed; 0 beyond a translation's end."""
        targets = batch.x.masked_fill(~batch.mask, END_ID)
        h, wanted = self.states(targets, memory)[batch.mask], targets[batch.mask]
        found = F.cross_entropy(wide(F.linear(h, self.pieces, self.never)), wanted, reduction="none")
        if smoothing:
            even = self.pieces[torch.isfinite(self.never)].mean(0)  # the mean of the logits is that of E times h
            nearer = F.embedding(wanted, self.pieces) - even
            found = found + smoothing * (h * nearer).sum(-1)  # (1 - s) (total - h e_y) + s (total - h even)
        return torch.zeros_like(targets, dtype=found.dtype).masked_scatter(batch.mask, found)

    def objective(self, batch: Batch, samples: int) -> Terms:
        """``generation``, -log p of each translation over T-bar, nats, and ``bits`` of the flow, (B,) each."""
        memory, log_density = self.read(batch.given)
        smoothing = self.config.smoothing if self.training else 0.0
        terms = {"generation": self.minus_log_words(batch, memory, smoothing).sum(1) / self.mean_length}
        if log_density is not None:
            terms["bits"] = self.config.weight * self.bits_per_dimension(log_density)
        return terms

    def log_prob(self, batch: Batch) -> Tensor:
        """log p(y | x) of whole translations, (B,), nats."""
        return -self.minus_log_words(batch, self.read(batch.given)[0], 0.0).sum(1)

    def length_log_prob(self, lengths: Tensor) -> Tensor:
        """0: a translation ends by its end symbol."""
        return torch.zeros(len(lengths), dtype=torch.float64, device=lengths.device)

    @torch.no_grad()
    def write(self, given: Given, beam: int) -> list[list[int]]:
        """The ids of a translation for each source, without its end, by beam search (greedy with a beam of 1).

        That with the largest log-probability per subword is chosen. It has up to `MORE` subwords more than its source,
        and not the unknown one.
        """
        found = []
        for start in range(0, len(given.lengths), GROUP):
            part = Given(*(tensor[start : start + GROUP] for tensor in given))
            decoder = _Translating(self, self.read(part)[0])
            steps = int(part.lengths.max()) + MORE + 1
            searched = beam_search(decoder, len(part.lengths), beam, steps, END_ID)
            found += chosen(searched, searched.candidates, repeated=0.0)
        return found

    @torch.no_grad()
    def drawn(self, given: Given, count: int, temperature: float = 1.0) -> list[list[list[int]]]:
        """The ids of ``count`` translations of each source, without their ends, drawn subword by subword."""
        found = []
        for start in range(0, len(given.lengths), GROUP):
            part = Given(*(tensor[start : start + GROUP] for tensor in given))
            decoder = _Translating(self, self.read(part)[0])
            steps = int(part.lengths.max()) + MORE + 1
            texts = sampled(decoder, len(part.lengths), count, steps, END_ID, temperature)
            for row, lengths in zip(texts.candidates.tolist(), texts.lengths.tolist(), strict=True):
                found.append([text[:length] for text, length in zip(row, lengths, strict=True)])
        return found


def mean_length(facts: Facts) -> float:
    """The mean number of subwords of a translation, with its end, in training and validation."""
    lengths = sum(length * count for length, count in enumerate(facts.length_counts))
    return lengths / sum(facts.length_counts)


class _Translating:
    """A `search.Decoder` of translations, which keeps the keys and values of the steps before."""

    def __init__(self, model: Translator, memory: Memory) -> None:
        self.model, self.memory, self.step = model, memory, 0
        batch = len(memory.lengths)
        self.words = torch.full((batch, 1), START_ID, device=memory.lengths.device)  # (B N, 1), the last of each
        empty = memory.layers[0][0][:, :, :0]
        self.past: list[Kept] = [(empty, empty)] * len(memory.layers)

    def scores(self) -> Tensor:
        x, kept = self.model.embed(self.words, self.step), []
        for layer, past, encoding in zip(self.model.decoder, self.past, self.memory.layers, strict=True):
            x, own = layer.decode(x, past, encoding, self.memory.mask)
            kept.append(own)
        self.past = kept
        scores = wide(F.linear(x[:, 0], self.model.pieces, self.model.never)).log_softmax(-1)
        scores[:, UNKNOWN_ID] = -torch.inf
        finished = (self.memory.lengths + MORE <= self.step).repeat_interleave(len(x) // len(self.memory.lengths))
        if bool(finished.any()):
            end = scores[:, END_ID].clone()
            scores[finished] = -torch.inf
            scores[:, END_ID] = end
        return scores

    def select(self, places: Tensor) -> None:
        self.past = [(key.index_select(0, places), value.index_select(0, places)) for key, value in self.past]

    def advance(self, candidates: Tensor) -> None:
        self.words, self.step = candidates[:, None], self.step + 1
