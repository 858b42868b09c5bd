r"""What aids a model of texts given contexts: a flow over the context's vectors, whose latent joins the encoding.

Tang et al. 2021, section 3.2: the flow's latent is fused with the encoding u, eq. (19), and both are trained by
eq. (21). Controls join the vectors themselves, or nothing but u.

Legend: B batch, S steps of a context (words or subwords), D numbers per vector, H width of the encoding u.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqflows.config.models import Fused as Config
from seqflows.config.models import LanguageFlow as FlowConfig
from seqflows.config.models import RecurrentDensity
from seqflows.data.batching import Batch, Given
from seqflows.flows import FixedLength, MultiScale, initialise
from seqflows.models import language_flow
from seqflows.models.base import Model


class Fusion(nn.Module):
    r"""u' = g = sigma(W_2 relu(W_1 [u; z] + b_1) + b_2) (eq. (19)), or what another ``form`` makes of g.

    It is g times u (gate), or the layer normalisation of g (normalised): g's values are all near 1 / 2 at first, and
    hardly vary with u. Or u' = u + W_2 sigma(W_1 [u; z] + b_1) + b_2 (added), with W_2 = 0 and b_2 = 0 at first: that
    model begins as the one without a fusion.

    With ``extra`` 0 it is the same network of u alone; its hidden layer is then wider, so that it has as many
    parameters as with ``instead`` numbers more per word.
    """

    def __init__(self, encoding: int, extra: int, form: str, instead: int = 0) -> None:
        super().__init__()
        inner = encoding
        if not extra:
            inner = round(encoding * (2 * encoding + instead + 1) / (2 * encoding + 1))
        self.inner, self.out = nn.Linear(encoding + extra, inner), nn.Linear(inner, encoding)
        self.form = form
        self.norm = nn.LayerNorm(encoding) if form == "normalised" else None
        if form == "added":
            nn.init.zeros_(self.out.weight)
            nn.init.zeros_(self.out.bias)

    def forward(self, u: Tensor, z: Tensor | None) -> Tensor:
        """(B, S, H) from u (B, S, H) and z (B, S, D)."""
        joined = u if z is None else torch.cat([u, z], -1)
        if self.form == "added":
            return u + self.out(self.inner(joined).sigmoid())
        g = self.out(self.inner(joined).relu()).sigmoid()
        if self.norm is not None:
            return self.norm(g)
        return u * g if self.form == "gate" else g


def context_flow(config: Config, length: int, dim: int) -> FixedLength:
    """The flow over a context's vectors, (S, D)."""
    if config.structure == "lstm":
        return language_flow.flow(RecurrentDensity(layers=config.flow_steps, width=config.flow_width), length, dim)
    sizes = {"width": config.flow_width, "inner": config.flow_inner, "heads": config.flow_heads}
    how = {"structure": config.structure, "steps": config.flow_steps, "scales": config.flow_scales}
    how["start"] = config.flow_start
    return language_flow.flow(FlowConfig(**how, **sizes), length, dim)


class Fusing(Model):
    r"""A model whose encoding u of a context is joined by what ``fused`` of its block says.

    That is nothing (none), the flow's last latent, each repeated over as many steps as it is of (latent), the noisy
    vectors themselves (words), or no more than u in the same network (encoding). A flow over time permutes its steps:
    unless it starts as ``aligned``, a latent is not repeated over the words that it is of. The flow has ``window``
    steps: it reads a longer context in several windows, each by itself, the last one padded.

    A subclass sets ``config`` and ``window``, has frozen ``vectors`` (., D) by the ids of a context, and calls `fuse`
    once, after its other networks.
    """

    config: Config
    window: int
    vectors: Tensor
    flow: FixedLength | None

    def fuse(self, dim: int, width: int) -> None:
        """Make the flow over ``dim`` numbers a step, if there is one, and the network that joins u of ``width``."""
        config = self.config
        self.flow = context_flow(config, self.window, dim) if config.fused == "latent" else None
        if config.fused != "none":
            extra = 0 if config.fused == "encoding" else dim
            self.fusion = Fusion(width, extra, config.fusion, instead=dim)

    def embedded(self, given: Given) -> Tensor:
        """x~, the noisy vectors of the contexts in N windows, the last ones padded, (B, N, window, D)."""
        words = given.words * given.mask
        count = -(-words.shape[1] // self.window)
        words = F.pad(words, (0, count * self.window - words.shape[1]))
        return language_flow.noisy(self.vectors[words.view(-1, count, self.window)])

    def latent(self, eps: Tensor) -> Tensor:
        """The last latent, each repeated over as many steps as it is of, (., window, D), from all noise of the flow."""
        if not isinstance(self.flow, MultiScale):
            return eps
        last = self.flow.last(eps)
        return last.repeat_interleave(self.window // last.shape[1], 1)

    def _encoded(self, x: Tensor, given: Given) -> tuple[Tensor, Tensor]:
        """All noise of the flow, (B N, window, D), and the mean of log p(x~) over a context's own windows, (B,)."""
        eps, log_density = language_flow.encoded(self.flow, x.flatten(0, 1))
        own = self._own(x, given)
        return eps, torch.where(own, log_density.view_as(own), 0.0).sum(1) / own.sum(1)

    def _own(self, x: Tensor, given: Given) -> Tensor:
        """The windows that begin within a context, its first one always, (B, N)."""
        starts = self.window * torch.arange(x.shape[1], device=x.device)
        return starts < given.mask.sum(1, keepdim=True).clamp(min=1)

    def fused(self, u: Tensor, given: Given) -> tuple[Tensor, Tensor | None]:
        """u' (B, S, H), 0 beyond a context's length, and log p(x~) of a window (B,), nats, if there is a flow."""
        z = log_density = None
        if self.config.fused == "latent":
            x = self.embedded(given)
            eps, log_density = self._encoded(x, given)
            z = self.latent(eps).reshape(len(x), -1, x.shape[-1])
        elif self.config.fused == "words":
            z = self.embedded(given).flatten(1, 2)
        if z is not None:
            z = z[:, : u.shape[1]]  # to the longest context of the batch
        if self.config.fused != "none":
            u = self.fusion(u, z) * given.mask[..., None]
        return u, log_density

    def context_bits(self, given: Given) -> Tensor | None:
        """Bits per dimension of each context under the flow, (B,), for one draw of the noise; None without one."""
        if self.flow is None:
            return None
        return self.bits_per_dimension(self._encoded(self.embedded(given), given)[1])

    @property
    def flow_parameters(self) -> int:
        """The number of the flow's parameters."""
        return 0 if self.flow is None else sum(parameter.numel() for parameter in self.flow.parameters())

    def bits_per_dimension(self, log_density: Tensor) -> Tensor:
        """Eq. (6) over M log 2, from log p(x~) of a window in nats."""
        return language_flow.bits_per_dimension(log_density, self.window * self.vectors.shape[1])

    def initialise(self, batch: Batch) -> None:
        """Set the flow's actnorms from a batch."""
        if self.flow is not None:
            x = self.embedded(batch.given)
            initialise(self.flow, x[self._own(x, batch.given)])

    def groups(self) -> list[list[nn.Parameter]]:
        """The flow's parameters and the others, whose gradients are clipped apart: one norm would let either starve."""
        flow = [] if self.flow is None else list(self.flow.parameters())
        mine = {id(parameter) for parameter in flow}
        return [part for part in (flow, [p for p in self.parameters() if id(p) not in mine]) if part]
