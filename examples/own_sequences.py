"""A flow that is autoregressive in time learns one's own sequences, here noisy sine waves of a random phase."""

import torch
from torch.distributions import Normal

from seqflows.flows import AutoregressiveInTime, Flow, NLSq, layered

STEPS = 12


def waves(count: int) -> torch.Tensor:
    """Sequences (N, T, 1)."""
    phase, time = 2 * torch.pi * torch.rand(count, 1), torch.arange(STEPS)
    return (torch.sin(0.8 * time + phase) + 0.05 * torch.randn(count, STEPS))[..., None]


torch.manual_seed(0)
inner = layered("made", dim=1, context=32, width=32, scalar=NLSq(), layers=2)
flow = AutoregressiveInTime(inner, context=1, width=32)
place = torch.linspace(-1, 1, STEPS)[:, None]  # the context: where in the sequence a step is
optimizer = torch.optim.Adam(flow.parameters(), lr=5e-3)
for _step in range(300):
    optimizer.zero_grad()
    (-Flow(flow, context=place).log_prob(waves(64)).mean() / STEPS).backward()
    optimizer.step()
nats = -Flow(flow, context=place).log_prob(waves(500)).mean().item() / STEPS
print(f"after: {nats:.2f} nats a step")
print(f"before: {-Normal(0.0, 1.0).log_prob(waves(500)).mean().item():.2f} nats a step, of a standard normal")
print("a sample:", [round(value, 2) for value in Flow(flow, context=place).sample().flatten().tolist()])
