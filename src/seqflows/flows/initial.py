"""How networks start in the released code of Ziegler & Rush 2019, which the paper does not say."""

from __future__ import annotations

from torch import nn

START = 0.07  # weights of linear maps and of embeddings
NEAR_ZERO = 0.001  # weights of MADE's hidden layers


def start(*layers: nn.Module, within: float = START) -> None:
    """Set the weights of all linear maps among the layers uniform in +-``within``, and their biases to 0."""
    for layer in layers:
        for part in layer.modules():
            if isinstance(part, nn.Linear):
                nn.init.uniform_(part.weight, -within, within)
                if part.bias is not None:
                    nn.init.zeros_(part.bias)
