"""Weight initialisation of the released code of Ziegler & Rush 2019, which the paper does not state."""

from __future__ import annotations

from torch import nn

START = 0.07  # weights of linear maps and, at the paper's width, of embeddings


def start(*layers: nn.Module) -> None:
    """Draw the weights of all linear layers uniformly from +-START and set their biases to 0."""
    for layer in layers:
        for part in layer.modules():
            if isinstance(part, nn.Linear):
                nn.init.uniform_(part.weight, -START, START)
                if part.bias is not None:
                    nn.init.zeros_(part.bias)
