"""A device that is not the CPU, without any: what a GPU refuses, tensors in two places at once, is refused here.

Tensors of the device ``elsewhere`` hold one of the CPU, on which every operator is computed. An operator with one
tensor elsewhere and another one on the CPU fails as on a GPU, which allows numbers (tensors without dimensions),
indices, and copies from one place to the other. So does a generator of the CPU for a draw elsewhere.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils import backend_registration
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_flatten, tree_map

aten = torch.ops.aten
NAME = "elsewhere"
CPU = torch.device("cpu")
COPIES = (aten._to_copy.default, aten.copy_.default)
INDEXED = (aten.index.Tensor, aten.index_put.default, aten.index_put_.default, aten._index_put_impl_.default)


def _lstm(
    inputs: Tensor, hidden: Tensor, cell: Tensor, bias: Tensor | None = None, other: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """The fused cell of a GPU, which the CPU has not: gates from their two products."""
    gates = inputs + hidden + (0 if bias is None else bias + other)
    i, f, g, o = gates.chunk(4, 1)
    i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
    new = f * cell + i * g
    return o * new.tanh(), new, torch.cat([i, f, g, o], 1)


def _lstm_backward(
    grad_hidden: Tensor | None, grad_cell: Tensor | None, cell: Tensor, new: Tensor, kept: Tensor, biased: bool
) -> tuple[Tensor | None, ...]:
    if grad_hidden is None and grad_cell is None:
        return None, None, None
    i, f, g, o = kept.chunk(4, 1)
    curve, grad = new.tanh(), torch.zeros_like(new) if grad_hidden is None else grad_hidden
    into = grad * o * (1 - curve**2) + (0 if grad_cell is None else grad_cell)
    parts = [into * g * i * (1 - i), into * cell * f * (1 - f), into * i * (1 - g**2), grad * curve * o * (1 - o)]
    gates = torch.cat(parts, 1)
    return gates, into * f, gates.sum(0) if biased else None


def _gru(
    inputs: Tensor, hidden: Tensor, before: Tensor, bias: Tensor | None = None, other: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Likewise of a GRU; kept are the gates r, z, n, the state before and the hidden part of n."""
    a, b = (inputs, hidden) if bias is None else (inputs + bias, hidden + other)
    (a_r, a_z, a_n), (b_r, b_z, b_n) = a.chunk(3, 1), b.chunk(3, 1)
    r, z = (a_r + b_r).sigmoid(), (a_z + b_z).sigmoid()
    n = (a_n + r * b_n).tanh()
    return n + z * (before - n), torch.cat([r, z, n, before, b_n], 1)


def _gru_backward(grad: Tensor, kept: Tensor, biased: bool) -> tuple[Tensor | None, ...]:
    r, z, n, before, b_n = kept.chunk(5, 1)
    into_n, into_z = grad * (1 - z) * (1 - n**2), grad * (before - n) * z * (1 - z)
    into_r = into_n * b_n * r * (1 - r)
    inputs, hidden = torch.cat([into_r, into_z, into_n], 1), torch.cat([into_r, into_z, into_n * r], 1)
    sums = (inputs.sum(0), hidden.sum(0)) if biased else (None, None)
    return inputs, hidden, grad * z, *sums


INSTEAD = {
    aten._thnn_fused_lstm_cell.default: _lstm,
    aten._thnn_fused_lstm_cell_backward_impl.default: _lstm_backward,
    aten._thnn_fused_gru_cell.default: _gru,
    aten._thnn_fused_gru_cell_backward.default: _gru_backward,
}


class Elsewhere(Tensor):
    """A tensor elsewhere; ``inner`` has its values on the CPU."""

    @staticmethod
    def __new__(cls, inner: Tensor) -> Elsewhere:
        like = {"strides": inner.stride(), "storage_offset": inner.storage_offset(), "dtype": inner.dtype}
        return Tensor._make_wrapper_subclass(cls, inner.size(), device=torch.device(NAME, 0), **like)

    def __init__(self, inner: Tensor) -> None:
        self.inner = inner

    def __repr__(self, **_: Any) -> str:
        return f"Elsewhere({self.inner!r})"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _computed(func, args, kwargs or {})


def _computed(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    tensors = [one for one in tree_flatten((args, kwargs))[0] if isinstance(one, Tensor)]
    there = any(isinstance(one, Elsewhere) for one in tensors)
    asked = kwargs.get("device")
    to = there if asked is None else torch.device(asked).type == NAME
    if there and func not in COPIES:
        allowed = [id(one) for one in args[1]] if func in INDEXED else []
        for one in tensors:
            if not isinstance(one, Elsewhere) and one.dim() and id(one) not in allowed:
                raise RuntimeError(f"{func}: expected all tensors on one device, got {tuple(one.shape)} on the CPU")
    if to and kwargs.get("generator") is not None:
        raise RuntimeError(f"{func}: expected a generator of the device {NAME}, got one of the CPU")

    def inner(value: Any) -> Any:
        return CPU if isinstance(value, torch.device) else value.inner if isinstance(value, Elsewhere) else value

    with torch.inference_mode(False), torch.no_grad():  # tensors of inference cannot stand elsewhere
        found = INSTEAD.get(func, func)(*tree_map(inner, args), **tree_map(inner, kwargs))
        if func is aten.copy_.default:
            return args[0]
        if not to:
            return found
        wrapped = tree_map(lambda one: Elsewhere(one) if isinstance(one, Tensor) else one, found)
        corrected = there and func not in COPIES and func not in INSTEAD
        return return_and_correct_aliasing(func, args, kwargs, wrapped) if corrected else wrapped


class _Operators(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _computed(func, args, kwargs or {})


class _Numbers(TorchFunctionMode):
    """Python's numbers become tensors, and tensors numbers, beneath all operators: on the CPU, with a copy."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is Tensor.tolist and isinstance(args[0], Elsewhere):
            return args[0].inner.tolist()
        if func is Tensor.new_tensor and isinstance(args[0], Elsewhere):
            kwargs = {"dtype": args[0].dtype, "device": args[0].device} | kwargs
            func, args = torch.tensor, args[1:]
        if func is torch.as_tensor and isinstance(args[0], Tensor):
            return args[0].to(kwargs.get("device", args[0].device), kwargs.get("dtype"))
        if func in (torch.tensor, torch.as_tensor) and torch.device(kwargs.get("device") or "cpu").type == NAME:
            return func(*args, **kwargs | {"device": CPU}).to(NAME)
        return func(*args, **kwargs)


@contextlib.contextmanager
def elsewhere() -> Iterator[torch.device]:
    """Operators are watched, and the device is there."""
    overwrite = torch.__future__.get_overwrite_module_params_on_conversion()
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    try:
        with _Operators(), _Numbers():
            yield torch.device(NAME)
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(overwrite)


# Before the first backward pass of a process, which counts the devices that there are. It stays for the whole process,
# where torch's `fork_rng` and forks meet it: no other tests may share that.
if torch._C._get_privateuse1_backend_name() != NAME:
    backend_registration._setup_privateuseone_for_python_backend(NAME)
