r"""Question generation: an encoder and decoder with attention and copying, aided by a flow of language or not.

Tang et al. 2021, section 3.2 and appendix A.6: the baseline is that of Zhang & Bansal 2019, the flow's latent of the
context's words is fused with the encoding, eq. (19), and both are trained by eq. (21).

Legend: B batch, N hypotheses, S words of a context, T words of a question, W words in all, V of them to write without
copying, D numbers per word vector, H width of the encoding u, U units of the decoder.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from seqflows.config.models import EncoderDecoder as Config
from seqflows.data.batching import Batch, Given
from seqflows.data.prepared import Facts
from seqflows.data.tokens import END, PAD, SPECIAL, START, UNKNOWN
from seqflows.flows import wide
from seqflows.models.base import Terms, check_emission
from seqflows.models.contexts import ContextEncoder
from seqflows.models.fusion import Fusing
from seqflows.models.search import beam_search, ranked

PAD_ID, UNKNOWN_ID, START_ID, END_ID = map(SPECIAL.index, (PAD, UNKNOWN, START, END))
GROUP = 32  # questions that are searched for together


class State(NamedTuple):
    """The decoder's state: hidden states and cells of its layers, (B, N, U) each, and the attention vector hh."""

    hidden: tuple[Tensor, ...]
    cells: tuple[Tensor, ...]
    attended: Tensor

    def selected(self, places: Tensor) -> State:
        """The states of the hypotheses at ``places`` (B N',), those of an example next to each other."""

        def kept(value: Tensor) -> Tensor:
            return value.flatten(0, 1).index_select(0, places).view(len(value), -1, value.shape[-1])

        return State(tuple(map(kept, self.hidden)), tuple(map(kept, self.cells)), kept(self.attended))


class Memory(NamedTuple):
    """What a decoder reads of a context: u (B, S, H), its keys (B, S, U), and the mask and the words, (B, S).

    ``first`` (B, S) is the first place of each place's word. Without words none is copied.
    """

    encoding: Tensor
    keys: Tensor
    mask: Tensor
    words: Tensor | None = None
    first: Tensor | None = None


class AttentionDecoder(nn.Module):
    r"""An LSTM with input [e(y_t-1); hh_t-1] and bilinear attention over u.

    With h_t its state and c_t = sum_s softmax(h_t W u_s) u_s: hh_t = tanh(W [c_t; h_t]), and o_t, the maxout of 2 over
    W [c_t; h_t], has the width of the word vectors; a word's logit is its vector times o_t. The first state is a
    tanh layer of the encoder's final state.
    """

    def __init__(self, dimensions: int, encoding: int, units: int, layers: int, dropout: float) -> None:
        super().__init__()
        sizes = [dimensions + units, *[units] * (layers - 1)]
        self.cells = nn.ModuleList(nn.LSTMCell(size, units) for size in sizes)
        self.first_hidden = nn.Linear(encoding, units, bias=False)
        self.first_cell = nn.Linear(encoding, units, bias=False)
        self.match = nn.Linear(encoding, units, bias=False)
        self.attend = nn.Linear(encoding + units, units, bias=False)
        self.maxout = nn.Linear(encoding + units, 2 * dimensions, bias=False)
        self.dropout = nn.Dropout(dropout)

    def memory(self, encoding: Tensor, given: Given) -> Memory:
        """The contexts as the decoder reads them."""
        words = given.words * given.mask
        first = (words[:, :, None] == words[:, None]).int().argmax(-1)
        return Memory(encoding, self.match(encoding), given.mask, words, first)

    def begin(self, last: Tensor) -> State:
        """The state before the first word, with one hypothesis, from the encoder's final states (B, H)."""
        hidden, cell = self.first_hidden(last).tanh()[:, None], self.first_cell(last).tanh()[:, None]
        layers = len(self.cells)
        return State((hidden,) * layers, (cell,) * layers, torch.zeros_like(hidden))

    def step(self, word: Tensor, state: State, memory: Memory) -> tuple[State, Tensor, Tensor]:
        """Read the vectors (B, N, D) of the words before; return the state, attention logits (B, N, S), [c; h]."""
        x = torch.cat([word, state.attended], -1)
        hidden, cells = [], []
        for cell, h, c in zip(self.cells, state.hidden, state.cells, strict=True):
            h, c = cell(self.dropout(x).flatten(0, 1), (h.flatten(0, 1), c.flatten(0, 1)))
            x = h.view(*word.shape[:2], -1)
            hidden.append(x)
            cells.append(c.view_as(x))
        logits = wide(x @ memory.keys.mT).masked_fill(~memory.mask[:, None], -torch.inf)
        both = torch.cat([logits.softmax(-1) @ memory.encoding, x], -1)
        return State(tuple(hidden), tuple(cells), self.attend(both).tanh()), logits, both

    def output(self, both: Tensor) -> Tensor:
        """o (..., D) of [c; h]."""
        return self.maxout(both).unflatten(-1, (-1, 2)).amax(-1)


class EncoderDecoder(Fusing):
    r"""p(y | x) = prod_t p(y_t | y_<t, x), with p(w) one softmax over the logits of V words and of copied words.

    The score of copying a word is the largest of the attention logits over its places (``copies: max``, the maxout
    pointer of Zhao et al. 2018) or the log of their summed exponentials (``sum``, the code of Zhang & Bansal 2019);
    a word that can be both written and copied has the sum of both shares. A word that can be neither counts as unknown.
    The logit of writing a word is its vector times o_t: the frozen one (``output: vectors``), or one that is learned
    from there, plus a bias (``learned``). A frozen vector within the hull of the others is never the largest.

    The loss is the mean over a question's words of -log p plus ``weight`` times the flow's bits per dimension of the
    context's words with noise (eq. (20), (21) and (6)). ``fused`` is what joins u: nothing (none), the flow's last
    latent, each repeated over as many words as it is of (latent), the noisy word vectors themselves (words), or no more
    than u in the same network (encoding).

    Raises:
        Problem: data of another kind, or without features.
    """

    exact = True

    def __init__(self, config: Config, facts: Facts) -> None:
        super().__init__()
        check_emission(facts, ("conditional",), "encoder_decoder")
        self.config, self.outputs, self.window, self.longest = config, facts.outputs, facts.window, facts.max_length
        vectors = torch.as_tensor(facts.vectors, dtype=torch.float32)
        self.register_buffer("vectors", vectors, persistent=False)
        never = torch.zeros(facts.outputs).index_fill(0, torch.tensor([PAD_ID, START_ID]), -torch.inf)
        self.register_buffer("never", never, persistent=False)
        dim = vectors.shape[1]
        read = dim if config.inputs == "vectors" else facts.features
        self.encoder = ContextEncoder(read, config.units, config.layers, config.dropout)
        width = self.encoder.width
        self.decoder = AttentionDecoder(dim, width, config.decoder_units, config.layers, config.dropout)
        self.fuse(dim, width)
        self.words = None  # the word vectors themselves, without a bias
        if config.output == "learned":
            self.words = nn.Linear(dim, facts.outputs)
            with torch.no_grad():
                self.words.weight.copy_(vectors[: facts.outputs])
                self.words.bias.zero_()

    # -- the context

    def read(self, given: Given) -> tuple[Memory, State, Tensor | None]:
        """What the decoder reads of the contexts, its first state, and log p(x~) (B,), nats, if there is a flow."""
        if self.config.inputs == "vectors":
            given = given._replace(features=self.vectors[given.words])
        u, last = self.encoder.encode(given)
        u, log_density = self.fused(u, given)
        return self.decoder.memory(u, given), self.decoder.begin(last), log_density

    # -- the probabilities

    def logits(self, both: Tensor) -> Tensor:
        """The logits (..., V) of the words that can be written, from [c; h]."""
        read = self.decoder.output(both)
        return wide(self.words(read) if self.words else read @ self.vectors[: self.outputs].T) + self.never

    def copy_scores(self, attention: Tensor, memory: Memory) -> Tensor:
        """The scores (B, N, S) of copying: that of a word at its first place, -inf at its others."""
        first = memory.first[:, None].expand_as(attention)
        most = attention.amax(-1, keepdim=True)
        if self.config.copies == "sum":
            shares = torch.zeros_like(attention).scatter_add(-1, first, (attention - most).exp())
            return shares.log() + most
        empty = torch.full_like(attention, -torch.inf)
        return empty.scatter_reduce(-1, first, attention, "amax", include_self=True)

    def reachable(self, targets: Tensor, words: Tensor) -> Tensor:
        """Targets (B, T), where a word that is neither among the V nor in the context (or copied) is unknown."""
        found = targets < self.outputs
        if self.config.copies != "none":
            found = found | (targets[:, :, None] == words[:, None]).any(-1)
        return torch.where(found, targets, UNKNOWN_ID)

    def log_words(self, batch: Batch, memory: Memory, state: State) -> Tensor:
        """log p(y_t | y_<t, x) (B, T), nats; 0 beyond a question's end."""
        targets = self.reachable(batch.x, memory.words).masked_fill(~batch.mask, END_ID)
        before = self.vectors[torch.cat([torch.full_like(targets[:, :1], START_ID), targets[:, :-1]], 1)]
        attention, both = [], []
        for word in before.unbind(1):
            state, logits, joined = self.decoder.step(word[:, None], state, memory)
            attention.append(logits)
            both.append(joined)
        # The logits of all steps at once: one product over the V words instead of T.
        logits = self.logits(torch.cat(both, 1))
        score = torch.where(
            targets < self.outputs,
            logits.gather(-1, targets.clamp(max=self.outputs - 1)[..., None])[..., 0],
            -torch.inf,
        )
        total = logits.logsumexp(-1)
        if self.config.copies != "none":
            attention = torch.cat(attention, 1)
            same = targets[:, :, None] == memory.words[:, None]
            copied = attention.masked_fill(~same, -torch.inf)
            copied = copied.logsumexp(-1) if self.config.copies == "sum" else copied.amax(-1)
            score = _log_add(score, copied)
            spread = attention if self.config.copies == "sum" else self.copy_scores(attention, memory)
            total = _log_add(total, spread.logsumexp(-1))
        return (score - total) * batch.mask

    def objective(self, batch: Batch, samples: int) -> Terms:
        """``generation``, the mean of -log p over each question's words, and ``bits`` of the flow, (B,) each."""
        memory, state, log_density = self.read(batch.given)
        terms = {"generation": -self.log_words(batch, memory, state).sum(1) / batch.lengths}
        if log_density is not None:
            terms["bits"] = self.config.weight * self.bits_per_dimension(log_density)
        return terms

    def log_prob(self, batch: Batch) -> Tensor:
        """log p(y | x) of whole questions, (B,), nats."""
        memory, state, _ = self.read(batch.given)
        return self.log_words(batch, memory, state).sum(1)

    def length_log_prob(self, lengths: Tensor) -> Tensor:
        """0: a question ends by its end symbol."""
        return torch.zeros(len(lengths), dtype=torch.float64, device=lengths.device)

    @torch.no_grad()
    def write(self, given: Given, beam: int) -> list[list[int]]:
        """The ids of a question for each context, without its end, by beam search (greedy with a beam of 1).

        The unknown word, which no reference has, is not written.
        """
        return [best[0] for best in self.candidates(given, beam, 1)]

    @torch.no_grad()
    def candidates(self, given: Given, beam: int, count: int) -> list[list[list[int]]]:
        """The ids of the ``count`` best questions for each context, best first, see `search.ranked`."""
        found = []
        for start in range(0, len(given.lengths), GROUP):
            part = Given(*(tensor[start : start + GROUP] for tensor in given))
            memory, state, _ = self.read(part)
            searched = beam_search(_Writing(self, memory, state), len(part.lengths), beam, self.longest, END_ID)
            copied = (searched.candidates - self.outputs).clamp(min=0)
            words = part.words[:, None].expand(-1, copied.shape[1], -1).gather(-1, copied)
            symbols = torch.where(searched.candidates < self.outputs, searched.candidates, words)
            found += ranked(searched, symbols, count)
        return found


class _Writing:
    """A `search.Decoder` of questions: candidates are the V words, then the places of the context's other words."""

    def __init__(self, model: EncoderDecoder, memory: Memory, state: State) -> None:
        self.model, self.memory, self.state = model, memory, state
        self.outside = (memory.words >= model.outputs) & memory.mask
        self.word = model.vectors[torch.full_like(memory.words[:, :1], START_ID)]  # (B, N, D) of the words before

    def scores(self) -> Tensor:
        model, memory = self.model, self.memory
        self.state, attention, both = model.decoder.step(self.word, self.state, memory)
        logits = model.logits(both)
        if model.config.copies != "none":
            copied = model.copy_scores(attention, memory)
            inside = copied.masked_fill(self.outside[:, None], -torch.inf)
            known = memory.words.clamp(max=model.outputs - 1)[:, None].expand_as(copied)
            # Each word among the V has at most one place with a finite score, so that the largest sum is the sum.
            both_shares = logits.gather(-1, known).logaddexp(inside)
            logits.scatter_reduce_(-1, known, both_shares, "amax")
            logits = torch.cat([logits, copied.masked_fill(~self.outside[:, None], -torch.inf)], -1)
        scores = logits.log_softmax(-1)
        scores[..., UNKNOWN_ID] = -torch.inf
        return scores.flatten(0, 1)

    def select(self, places: Tensor) -> None:
        self.state = self.state.selected(places)

    def advance(self, candidates: Tensor) -> None:
        chosen_ = candidates.view(len(self.memory.words), -1)
        copied = self.memory.words.gather(1, (chosen_ - self.model.outputs).clamp(min=0))
        self.word = self.model.vectors[torch.where(chosen_ < self.model.outputs, chosen_, copied)]


def _log_add(first: Tensor, second: Tensor) -> Tensor:
    """log(e^first + e^second), with a gradient of 0 to -inf; not both may be -inf."""
    most = torch.maximum(first, second)
    return most + ((first - most).exp() + (second - most).exp()).log()
