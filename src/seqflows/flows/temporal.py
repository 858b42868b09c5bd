"""Flows over sequences of vectors: autoregressive in time, or independent over steps.

Legend: B batch, T time, D latent dimensions, C context (position), W units of the LSTM, L its layers.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqflows.flows.bijection import Bijection, clean
from seqflows.flows.fused import LSTMGates
from seqflows.flows.initial import start


def _flatten(inner: Bijection, direction: str, value: Tensor, context: Tensor | None, mask: Tensor | None):
    """Apply a vector flow to every step; masked steps come out as 0 and add nothing."""
    batch, steps, dim = value.shape
    flat = None if context is None else context.reshape(batch * steps, -1)
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
        self.check(z, context)
        return _flatten(self.inner, "forward", clean(z, mask), context, mask)

    def inverse(self, eps: Tensor, context: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Noise to data."""
        self.check(eps, context)
        return _flatten(self.inner, "inverse", clean(eps, mask), context, mask)


class AutoregressiveInTime(Bijection):
    r"""eps_t = f(z_t; LSTM(z_{<t}, position_{<=t})) (Ziegler & Rush 2019, section 4.3, model 1).

    A ``depth``-layer LSTM reads z_{t-1} and the context of t; its state conditions every layer of the inner
    flow. Its first state comes from a small ReLU network of the context at t = 1. ``forward`` is parallel in
    time, ``inverse`` serial. The inverse autoregressive flow (model 3) is
    ``Inverse(AutoregressiveInTime(Inverse(inner), ...))``: its ``inverse``, used for sampling, is the
    parallel direction, and training still uses the closed form of the inner flow.

    Args:
        inner: a vector flow over D with a context of width ``width``.
        context: C, the width of the context of each step.
        width: W.
        depth: L, layers of the LSTM.
        dropout: on the LSTM's output and between its layers, while training.
    """

    sequence = True

    def __init__(self, inner: Bijection, context: int, width: int, depth: int = 2, dropout: float = 0.0) -> None:
        super().__init__(inner.dim, context)
        if inner.context != width:
            raise ValueError(f"Expected an inner flow with context {width}, got {inner.context}")
        self.inner, self.width, self.depth, self.dropout = inner, width, depth, dropout
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
            out, _ = self.lstm(torch.cat([z[:, :-1], context[:, 1:]], -1), (h, c))
            top = torch.cat([top, out], 1)
        return F.dropout(top, self.dropout, self.training)

    def forward(self, z: Tensor, context: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Data to noise, all steps at once."""
        self.check(z, context)
        z = clean(z, mask)
        return _flatten(self.inner, "forward", z, self.states(z, context), mask)

    def inverse(self, eps: Tensor, context: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Noise to data, step by step; the products with the context are computed once for all steps."""
        self.check(eps, context)
        eps = clean(eps, mask)
        cell = _Cell(self.lstm, self.dim, context, self.dropout if self.training else 0.0)
        h, c = (list(state.unbind(0)) for state in self._start(context))
        steps, log_dets = [], []
        for t, eps_t in enumerate(eps.unbind(1)):
            if t:
                cell.step(steps[-1], t, h, c)
            top = F.dropout(h[-1], self.dropout, self.training)
            z_t, log_det = self.inner.inverse(eps_t, top)
            steps.append(z_t)
            log_dets.append(log_det)
        z, log_det = torch.stack(steps, 1), torch.stack(log_dets, 1)
        return clean(z, mask), (log_det if mask is None else log_det * mask).sum(1)


class _Cell:
    """Single steps of an nn.LSTM with few operators: one product per layer, with joined weights."""

    def __init__(self, lstm: nn.LSTM, dim: int, context: Tensor, dropout: float) -> None:
        self.dropout, self.weights, self.biases = dropout, [], []
        for layer in range(lstm.num_layers):
            w_in, w_hidden = getattr(lstm, f"weight_ih_l{layer}"), getattr(lstm, f"weight_hh_l{layer}")
            bias = getattr(lstm, f"bias_ih_l{layer}") + getattr(lstm, f"bias_hh_l{layer}")
            if layer == 0:
                self.from_context = F.linear(context, w_in[:, dim:], bias).unbind(1)
                w_in = w_in[:, :dim]
            self.weights.append(torch.cat([w_in, w_hidden], 1).t())
            self.biases.append(bias)

    def step(self, z: Tensor, t: int, h: list[Tensor], c: list[Tensor]) -> None:
        """Read z_{t-1} and the context of t; replace the states in the lists."""
        below = z
        for layer, weight in enumerate(self.weights):
            if layer and self.dropout:
                below = F.dropout(below, self.dropout)
            bias = self.from_context[t] if layer == 0 else self.biases[layer]
            gates = torch.addmm(bias, torch.cat([below, h[layer]], -1), weight)
            h[layer], c[layer] = LSTMGates.apply(gates, c[layer])
            below = h[layer]
