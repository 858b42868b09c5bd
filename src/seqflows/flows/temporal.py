"""Flows over sequences of vectors: autoregressive in time, or independent over steps.

Legend: B batch, T time, D latent dimensions, C context (position), W units of the LSTM, L its layers.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqflows.flows.attention import Size, TransformerLayer
from seqflows.flows.bijection import Bijection, clean, clean_both
from seqflows.flows.fused import LSTMGates, StepsLinear
from seqflows.flows.initial import start


def _flatten(inner: Bijection, direction: str, value: Tensor, context: Tensor | None, mask: Tensor | None):
    """Apply a vector flow to every step; masked steps come out as 0 and add nothing."""
    batch, steps, dim = value.shape
    flat = None if context is None else context.flatten(0, 1)
    out, log_det = getattr(inner, direction)(value.reshape(batch * steps, dim), flat)
    out, log_det = out.view(batch, steps, dim), log_det.view(batch, steps)
    if mask is not None:
        out, log_det = out * mask[:, :, None], log_det * mask
    return out, log_det.sum(1)


class Stepwise(Bijection):
    """A vector flow at each step: ``AF-only`` of Ziegler & Rush 2019, Table 1, if the context is the position."""

    sequence = True

    def __init__(self, inner: Bijection) -> None:
        super().__init__(inner.dim, inner.context)
        self.inner = inner

    def forward(self, z: Tensor, context: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Data to noise."""
        self.check(z, context, mask)
        return _flatten(self.inner, "forward", *clean_both(z, context, mask), mask)

    def inverse(self, eps: Tensor, context: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Noise to data."""
        self.check(eps, context, mask)
        return _flatten(self.inner, "inverse", *clean_both(eps, context, mask), mask)


class _InTime(Bijection):
    """A vector flow at each step, given the steps before it; subclasses define ``states`` and ``_serial``."""

    sequence = True
    inner: Bijection

    def states(self, z: Tensor, context: Tensor) -> Tensor:
        """The context of the inner flow at every step, (B, T, W), from z_{<t} and the position."""
        raise TypeError(f"Expected {type(self).__name__} to define states(z, context)")

    def forward(self, z: Tensor, context: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Data to noise, all steps at once."""
        self.check(z, context, mask)
        z, context = clean_both(z, context, mask)
        return _flatten(self.inner, "forward", z, self.states(z, context), mask)

    def log_density(self, z: Tensor, context: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """log p(z), (B,), nats: the sum of the inner flow's, of which some are known without the noise."""
        self.check(z, context, mask)
        z, context = clean_both(z, context, mask)
        steps = self.inner.log_density(z.flatten(0, 1), self.states(z, context).flatten(0, 1)).view(z.shape[:2])
        return (steps if mask is None else steps * mask).sum(1)

    def inverse(self, eps: Tensor, context: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Noise to data, step by step."""
        self.check(eps, context, mask)
        (eps, context), log_dets = clean_both(eps, context, mask), []

        def step(t: int, state: Tensor) -> Tensor:
            z_t, log_det = self.inner.inverse(eps[:, t], state)
            log_dets.append(log_det)
            return z_t

        z, log_det = self._within(mask, step, context), torch.stack(log_dets, 1)
        return z, (log_det if mask is None else log_det * mask).sum(1)

    def draw(self, noise: Tensor, uniform: Tensor, context: Tensor, mask: Tensor | None = None) -> Tensor:
        """z (B, T, D) by the inner flow's `draw`, step by step, from noise (B, T, D) and uniform numbers (B, T)."""
        self.check(noise, context, mask)
        noise, context = clean_both(noise, context, mask)
        return self._within(mask, lambda t, state: self.inner.draw(noise[:, t], uniform[:, t], state), context)

    def _within(self, mask: Tensor | None, step: Callable[[int, Tensor], Tensor], context: Tensor) -> Tensor:
        """`_serial`, with 0 outside the mask; where a step follows a masked one, the steps read these zeros too."""
        if mask is not None and bool((mask[:, 1:] & ~mask[:, :-1]).any()):
            outside = ~mask[:, :, None]
            return self._serial(lambda t, state: step(t, state).masked_fill(outside[:, t], 0.0), context)
        return clean(self._serial(step, context), mask)

    def _serial(self, step: Callable[[int, Tensor], Tensor], context: Tensor) -> Tensor:
        """z (B, T, D), of which ``step`` makes each z_t from t and the inner flow's context there."""
        raise TypeError(f"Expected {type(self).__name__} to define _serial(step, context)")


def _positions(context: int) -> None:
    """Raise ValueError for a flow in time without a context of its steps."""
    if context < 1:
        raise ValueError(
            f"Expected a context of each step, such as its position, of width >= 1, got {context}; "
            "a constant one, torch.ones(B, T, 1), says nothing"
        )


class AutoregressiveInTime(_InTime):
    r"""eps_t = f(z_t; LSTM(z_{<t}, position_{<=t})) (Ziegler & Rush 2019, section 4.3, model 1).

    A ``depth``-layer LSTM reads z_{t-1} and the context of t; its state conditions every layer of the inner
    flow. Its first state comes from a small ReLU network of the context at t = 1. ``forward`` is parallel in
    time, ``inverse`` serial. The inverse autoregressive flow (model 3) is
    ``Inverse(AutoregressiveInTime(Inverse(inner), ...))``: its ``inverse``, used for sampling, is the
    parallel direction, and training still uses the closed form of the inner flow.

    Args:
        inner: a vector flow over D with a context of width ``width``.
        context: C >= 1, the width of the context of each step; torch.ones(B, T, 1) is one that says nothing.
        width: W.
        depth: L, layers of the LSTM.
        dropout: on the LSTM's output and between its layers, while training.
        input_dropout: on the z_{<t} that it reads, while training; it always knows the context.

    Raises:
        ValueError: a context of width 0, or an inner flow whose context is not of width ``width``.
    """

    def __init__(
        self, inner: Bijection, context: int, width: int, depth: int = 2, dropout: float = 0.0,
        input_dropout: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__(inner.dim, context)
        _positions(context)
        if inner.context != width:
            raise ValueError(f"Expected an inner flow with context {width}, got {inner.context}")
        self.inner, self.width, self.depth = inner, width, depth
        self.dropout, self.input_dropout = dropout, input_dropout
        between = dropout if depth > 1 else 0.0
        self.lstm = nn.LSTM(inner.dim + context, width, depth, batch_first=True, dropout=between)
        self.initial = nn.Sequential(nn.Linear(context, width), nn.ReLU(), nn.Linear(width, 2 * depth * width))
        start(self.initial)

    def _start(self, context: Tensor) -> tuple[Tensor, Tensor]:
        """The state before the first step, two tensors (L, B, W)."""
        state = self.initial(context[:, 0]).unflatten(-1, (2, self.depth, self.width))
        h, c = state.permute(1, 2, 0, 3).contiguous().unbind(0)
        return torch.tanh(h), c

    def states(self, z: Tensor, context: Tensor) -> Tensor:
        """The context of the inner flow at every step, (B, T, W), from z_{<t} and the position."""
        h, c = self._start(context)
        top = h[-1][:, None]
        if z.shape[1] > 1:
            before = F.dropout(z[:, :-1], self.input_dropout, self.training)
            out, _ = self.lstm(torch.cat([before, context[:, 1:]], -1), (h, c))
            top = torch.cat([top, out], 1)
        return F.dropout(top, self.dropout, self.training)

    def _serial(self, step: Callable[[int, Tensor], Tensor], context: Tensor) -> Tensor:
        """The products with the context are computed once for all steps."""
        cell = _Cell(self.lstm, self.dim, context, self.dropout if self.training else 0.0)
        h, c = (list(state.unbind(0)) for state in self._start(context))
        steps: list[Tensor] = []
        for t in range(context.shape[1]):
            if t:
                cell.step(F.dropout(steps[-1], self.input_dropout, self.training), t, h, c)
            steps.append(step(t, F.dropout(h[-1], self.dropout, self.training)))
        return torch.stack(steps, 1)


class AttentiveInTime(_InTime):
    r"""eps_t = f(z_t; Transformer(z_{<t}, position_{<=t})): `AutoregressiveInTime` with masked self-attention.

    ``depth`` blocks (Vaswani et al. 2017, normalised before each part) see z_{t-1}, a zero vector at first, and the
    context of t, which says where t is. ``forward`` is parallel in time, ``inverse`` serial, from cached steps.

    Args:
        inner: a vector flow over D with a context of width ``size.width``.
        context: C >= 1, the width of the context of each step, as of `AutoregressiveInTime`.
        size: of a block.
        depth: the number of blocks.
        dropout: on what the first block reads and on what the parts of each give, while training.

    Raises:
        ValueError: a context of width 0, or an inner flow whose context is not of width ``size.width``.
    """

    def __init__(self, inner: Bijection, context: int, size: Size, depth: int = 2, dropout: float = 0.0) -> None:
        super().__init__(inner.dim, context)
        _positions(context)
        if inner.context != size.width:
            raise ValueError(f"Expected an inner flow with context {size.width}, got {inner.context}")
        self.inner, self.dropout = inner, nn.Dropout(dropout)
        self.first = nn.Linear(inner.dim + context, size.width)
        self.blocks = nn.ModuleList(TransformerLayer(size, causal=True, dropout=dropout) for _ in range(depth))
        self.norm = nn.LayerNorm(size.width)

    def states(self, z: Tensor, context: Tensor) -> Tensor:
        """The context of the inner flow at every step, (B, T, W), from z_{<t} and the position."""
        before = F.pad(z[:, :-1], (0, 0, 1, 0))
        x = self.dropout(self.first(torch.cat([before, context], -1)))
        for block in self.blocks:
            x, _ = block(x)
        return self.norm(x)

    def _serial(self, step: Callable[[int, Tensor], Tensor], context: Tensor) -> Tensor:
        """From cached steps."""
        caches: list[tuple[Tensor, Tensor] | None] = [None] * len(self.blocks)
        steps = [context.new_zeros(len(context), self.dim)]
        for t, context_t in enumerate(context.unbind(1)):
            x = self.dropout(self.first(torch.cat([steps[-1], context_t], -1)[:, None]))
            for place, block in enumerate(self.blocks):
                x, caches[place] = block(x, caches[place])
            steps.append(step(t, self.norm(x)[:, 0]))
        return torch.stack(steps[1:], 1)


class _Cell:
    """Single steps of an nn.LSTM with few operators: one product per layer, with joined weights."""

    def __init__(self, lstm: nn.LSTM, dim: int, context: Tensor, dropout: float) -> None:
        self.dropout, self.products, self.biases = dropout, [], []
        rows, steps = context.shape[:2]
        for layer in range(lstm.num_layers):
            w_in, w_hidden = getattr(lstm, f"weight_ih_l{layer}"), getattr(lstm, f"weight_hh_l{layer}")
            bias = getattr(lstm, f"bias_ih_l{layer}") + getattr(lstm, f"bias_hh_l{layer}")
            if layer == 0:
                self.from_context = F.linear(context, w_in[:, dim:], bias).unbind(1)
                w_in = w_in[:, :dim]
            self.products.append(StepsLinear(torch.cat([w_in, w_hidden], 1), steps, rows))
            self.biases.append(bias)

    def step(self, z: Tensor, t: int, h: list[Tensor], c: list[Tensor]) -> None:
        """Read z_{t-1} and the context of t; replace the states in the lists."""
        below = z
        for layer, product in enumerate(self.products):
            if layer and self.dropout:
                below = F.dropout(below, self.dropout)
            bias = self.from_context[t] if layer == 0 else self.biases[layer]
            gates = product(torch.cat([below, h[layer]], -1), bias)
            h[layer], c[layer] = LSTMGates.apply(gates, c[layer])
            below = h[layer]
