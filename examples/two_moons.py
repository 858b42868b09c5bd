"""A flow learns the density of two moons; prints the mean -log p of new points, before and after."""

import torch

from seqflows.flows import Flow, NLSq, layered


def moons(count: int) -> torch.Tensor:
    """Points (N, 2) on two half circles, with noise."""
    angle, side = torch.pi * torch.rand(count), torch.randint(2, (count,))
    x = torch.where(side == 0, angle.cos(), 1 - angle.cos())
    y = torch.where(side == 0, angle.sin(), 0.5 - angle.sin())
    return torch.stack([x, y], 1) + 0.1 * torch.randn(count, 2)


torch.manual_seed(0)
flow = layered("made", dim=2, context=0, width=64, scalar=NLSq(), layers=5)
print(f"before: {-Flow(flow).log_prob(moons(2000)).mean().item():.2f} nats")
optimizer = torch.optim.Adam(flow.parameters(), lr=5e-3)
for _step in range(600):
    optimizer.zero_grad()
    (-Flow(flow).log_prob(moons(256)).mean()).backward()
    optimizer.step()
print(f"after: {-Flow(flow).log_prob(moons(2000)).mean().item():.2f} nats")
print("three samples:", Flow(flow).sample((3,)).tolist())
