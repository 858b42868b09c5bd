"""Autocast's precision belongs to networks: maps, densities and their sums are in float32 or better."""

from __future__ import annotations

import contextlib

import torch
from torch import Tensor


def wide(value: Tensor) -> Tensor:
    """What a network gave, in float32 or, if it is float64, as it is: the parameters of a map or a density.

    bfloat16 has 8 bits: a sum of log-densities near 4000 would come in multiples of 16.

    >>> wide(torch.ones(2, dtype=torch.bfloat16)).dtype, wide(torch.ones(2, dtype=torch.float64)).dtype
    (torch.float32, torch.float64)
    """
    return value if value.dtype in (torch.float32, torch.float64) else value.float()


def unrounded(value: Tensor) -> contextlib.AbstractContextManager:
    """A context on the device of ``value`` without autocast: for products that are a map or a density themselves."""
    device = value.device.type
    return torch.autocast(device, enabled=False) if torch.is_autocast_enabled(device) else contextlib.nullcontext()


def product_dtype(value: Tensor) -> torch.dtype:
    """That of a network's matrix products of ``value``: autocast's where it is enabled, its own elsewhere.

    Only for operators with a derivative of their own, whose products autocast does not cast there.
    """
    device = value.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else value.dtype
