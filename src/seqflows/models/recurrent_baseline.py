"""The discrete autoregressive LSTM, baseline of the flows (Ziegler & Rush 2019, section 6).

Legend: B batch, T time, P position width, E embedding, W units, V symbols.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqflows.config.models import RecurrentBaseline as Config
from seqflows.data.batching import Batch
from seqflows.data.prepared import Facts
from seqflows.errors import Problem
from seqflows.flows import wide
from seqflows.flows.initial import start
from seqflows.models.base import Model, Terms, check_emission
from seqflows.models.networks import LengthModel, Positions, emission, step_mask


class RecurrentBaseline(Model):
    """p(x, T) = p(T) prod_t p(x_t | x_<t, T): an LSTM with tied embedding (Press & Wolf 2017).

    Its input includes the position of the predicted symbol, as in the flow models; before the first symbol it
    reads a learned vector.
    """

    exact = True

    def __init__(self, config: Config, facts: Facts) -> None:
        super().__init__()
        check_emission(facts, ("categorical", "bernoulli"), "recurrent_baseline")
        self.config = config
        self.lengths = LengthModel(facts)
        norm = 2 * config.embedding / (facts.symbols + config.embedding)
        self.emission = emission(facts, config.embedding, norm, config.keys, config.nade_width)
        self.positions = Positions(facts.max_length, config.position, self.emission.norm)
        self.begin = nn.Parameter(torch.zeros(config.embedding))
        between = config.dropout if config.depth > 1 else 0.0
        inputs = config.embedding + config.position
        self.lstm = nn.LSTM(inputs, config.width, config.depth, batch_first=True, dropout=between)
        self.to_embedding = nn.Linear(config.width, config.embedding)
        start(self.to_embedding)

    def length_log_prob(self, lengths: Tensor) -> Tensor:
        """log p(T), (B,), nats."""
        return self.lengths(lengths)

    def _logits(self, x: Tensor, lengths: Tensor) -> Tensor:
        """The parameters of p(x_t | x_<t), (B, T, V)."""
        begin = self.begin.expand(len(x), 1, -1)
        before = torch.cat([begin, self.emission.embed(x[:, :-1])], 1)
        before = F.dropout(before, self.config.dropout, self.training)
        states, _ = self.lstm(torch.cat([before, self.positions(lengths, x.shape[1])], -1))
        return self.emission.logits(self.to_embedding(F.dropout(states, self.config.dropout, self.training)))

    def objective(self, batch: Batch, samples: int) -> Terms:
        """nll = -log p(x | T) and length = -log p(T); ``samples`` is not used, the likelihood is exact."""
        steps = self.emission.log_prob(batch.x, self._logits(batch.x, batch.lengths))
        nll = -(steps * step_mask(batch.lengths, batch.x.shape[1])).sum(1)
        return {"nll": nll, "length": -self.length_log_prob(batch.lengths).to(nll.dtype)}

    def log_prob(self, batch: Batch) -> Tensor:
        """log p(x, T), (B,), nats."""
        mask = step_mask(batch.lengths, batch.x.shape[1])
        given = self.emission.log_prob(batch.x, self._logits(batch.x, batch.lengths)).masked_fill(~mask, 0.0)
        return given.double().sum(1) + self.length_log_prob(batch.lengths)

    @torch.no_grad()
    def conditionals(self, batch: Batch) -> Tensor:
        """log p(x_t = v | x_<t), (B, T, V), nats, for characters (figure 3b)."""
        if not self.emission.categorical:
            raise Problem("expected a model of characters for conditional distributions, got one of piano rolls")
        return wide(self._logits(batch.x, batch.lengths)).log_softmax(-1)

    @torch.no_grad()
    def sample(
        self,
        count: int,
        *,
        lengths: Tensor | None = None,
        temperature: float = 1.0,
        mode: bool = False,
        generator: torch.Generator | None = None,
    ) -> Batch:
        """T ~ p(T), then one symbol after another; ``temperature`` divides the logits."""
        device = self.emission.weight.device
        if lengths is None:
            lengths = self.lengths.sample(count, generator)
        lengths = lengths.to(device)
        steps = int(lengths.max())
        position, mask = self.positions(lengths, steps), step_mask(lengths, steps)
        before, state, drawn = self.begin.expand(count, 1, -1), None, []
        for t in range(steps):
            out, state = self.lstm(torch.cat([before, position[:, t : t + 1]], -1), state)
            logits = self.emission.logits(self.to_embedding(out))
            drawn.append(self.emission.draw(logits, temperature, mode, generator))
            before = self.emission.embed(drawn[-1])
        x = torch.cat(drawn, 1)
        x = x * mask.view(*mask.shape, *[1] * (x.dim() - 2)).to(x.dtype)
        return Batch(x, lengths, torch.arange(count, device=device))
