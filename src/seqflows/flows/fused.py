"""Operators with a hand-written derivative: a third of the kernels that autograd would record.

On a CPU the time of the serial flows depends on the number of kernels and on the weights that each step reads and
writes, not on the arithmetic. All operators are once differentiable, and say so where a second derivative is asked
for; their derivatives are tested against finite differences.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch import Tensor

from seqflows.flows.precision import product_dtype


def once_differentiable(backward: Callable[..., Any]) -> Callable[..., Any]:
    """A backward that raises RuntimeError where the graph of the gradient is asked for (``create_graph``).

    Torch's own of that name leaves the path out in silence where the gradient that comes in needs none itself.
    """

    @wraps(backward)
    def checked(ctx: Any, *gradients: Tensor) -> Any:
        if torch.is_grad_enabled():
            raise RuntimeError(
                "Expected create_graph=False: the derivatives of this flow's operators are written by hand and have no "
                "derivatives themselves; take second derivatives by finite differences of the gradient"
            )
        return backward(ctx, *gradients)

    return checked


class NLSqForward(torch.autograd.Function):
    r"""(z, p) -> (eps, log slope) of the NLSq transformation; see `seqflows.flows.scalar.NLSq`.

    With u = d z + g, r = 1 / (1 + u^2), k = c d / b and q = 2 k u r^2: eps = a + b z + k r b / d and
    log slope = log b + log(1 - q); d(k r)/du = -q and dq/du = 2 k r^2 (1 - 4 u^2 r).
    """

    @staticmethod
    def forward(
        ctx, z: Tensor, p: Tensor, strength: float, scales: tuple[float, float, float], bound: float
    ) -> tuple[Tensor, Tensor]:
        """Shapes: z any, p the same plus a last axis of 5 (a, b', c', d', g); ``scales`` of b', c' and d'."""
        a, b, c, d, g = p.unbind(-1)
        by_b, by_c, by_d = scales
        tanh_b, tanh_c, tanh_d = torch.tanh(b * (by_b / bound)), torch.tanh(by_c * c), torch.tanh(d * (by_d / bound))
        log_b, scale_d = bound * tanh_b, torch.exp(bound * tanh_d)
        scale_b = log_b.exp()
        u = torch.addcmul(g, scale_d, z)
        r = torch.reciprocal(1 + u * u)
        kr = (strength * tanh_c) * r
        q = 2 * kr * (u * r)
        bz, bump = scale_b * z, kr * (scale_b / scale_d)
        ctx.save_for_backward(z, tanh_b, tanh_c, tanh_d, scale_b, scale_d, u, r, kr, q, bz, bump)
        ctx.strength, ctx.scales = strength, scales
        return a + bz + bump, log_b + torch.log1p(-q)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_eps: Tensor, grad_slope: Tensor):
        """The derivatives by the chain rule through u, k, log b and log d."""
        z, tanh_b, tanh_c, tanh_d, scale_b, scale_d, u, r, kr, q, bz, bump = ctx.saved_tensors
        by_b, by_c, by_d = ctx.scales
        share = grad_slope / (1 - q)
        ur = u * r
        grad_u = -(grad_eps * q * (scale_b / scale_d)) - share * (2 * kr * r) * (1 - 4 * u * ur)
        grad_p = z.new_empty((*z.shape, 5))
        grad_p[..., 0] = grad_eps
        grad_p[..., 1] = torch.addcmul(grad_slope, grad_eps, bz + bump) * (by_b * (1 - tanh_b * tanh_b))
        grad_k = grad_eps * r * (scale_b / scale_d) - 2 * share * ur * r
        grad_p[..., 2] = grad_k * (by_c * ctx.strength * (1 - tanh_c * tanh_c))
        grad_p[..., 3] = (grad_u * scale_d * z - grad_eps * bump) * (by_d * (1 - tanh_d * tanh_d))
        grad_p[..., 4] = grad_u
        return torch.addcmul(grad_eps * scale_b, grad_u, scale_d), grad_p, None, None, None


class LSTMGates(torch.autograd.Function):
    """(gates, c) -> (h, c') of an LSTM cell, gates (B, 4W) before their nonlinearities, in torch's order i f g o."""

    @staticmethod
    def forward(ctx, gates: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """Shapes: gates (B, 4W), c, h and c' (B, W)."""
        width = c.shape[-1]
        opened = torch.sigmoid(gates)
        i, f, _, o = opened.split(width, -1)
        g = torch.tanh(gates[:, 2 * width : 3 * width])
        new = torch.addcmul(f * c, i, g)
        squashed = torch.tanh(new)
        ctx.save_for_backward(opened, g, c, squashed)
        return o * squashed, new

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_h: Tensor, grad_new: Tensor):
        """Through the two nonlinearities of the output and the four gates."""
        opened, g, c, squashed = ctx.saved_tensors
        width = c.shape[-1]
        i, f, _, o = opened.split(width, -1)
        grad_new = grad_new + torch.ops.aten.tanh_backward(grad_h * o, squashed)
        grad = torch.cat([grad_new * g, grad_new * c, grad_new, grad_h * squashed], -1)
        grad = torch.ops.aten.sigmoid_backward(grad, opened)
        grad[:, 2 * width : 3 * width] = torch.ops.aten.tanh_backward(grad_new * i, g)
        return grad, grad_new * f


class _Shared(torch.autograd.Function):
    """A weight (O, I) as T tokens (B, O + I), whose gradients are a step's: that of its output, and its input."""

    @staticmethod
    def forward(ctx, weight: Tensor, steps: int, rows: int) -> Tensor:
        """(T, B, O + I), which holds nothing."""
        ctx.outputs = len(weight)
        return weight.new_zeros(()).expand(steps, rows, sum(weight.shape))

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor):
        """The gradient of the weight, one product for all steps."""
        outputs, inputs = grad.flatten(0, 1).tensor_split([ctx.outputs], 1)
        return outputs.t() @ inputs, None, None


class _Step(torch.autograd.Function):
    """x W^T + b of one step."""

    @staticmethod
    def forward(ctx, x: Tensor, bias: Tensor, weight: Tensor, token: Tensor) -> Tensor:
        """Shapes: x (B, I), bias (B, O) or (O,), weight (O, I), token (B, O + I); (B, O)."""
        ctx.save_for_backward(x, weight)
        ctx.broadcast = bias.dim() == 1
        return torch.addmm(bias, x, weight.t())

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor):
        """Of the weight only what `_Shared` needs."""
        x, weight = ctx.saved_tensors
        token = torch.cat([grad, x], 1) if ctx.needs_input_grad[3] else None
        return grad @ weight, grad.sum(0) if ctx.broadcast else grad, None, token


class StepsLinear:
    """y_t = x_t W^T + b_t for T steps of B rows, one after the other: the gradient of W is one product for all of them.

    Autograd's would write and add up a gradient of the size of W in each step.
    """

    def __init__(self, weight: Tensor, steps: int, rows: int) -> None:
        weight = weight.to(product_dtype(weight))
        self.weight = weight.detach()
        self.tokens = iter(_Shared.apply(weight, steps, rows).unbind(0))

    def __call__(self, x: Tensor, bias: Tensor) -> Tensor:
        """The next of the T steps: x (B, I), b (B, O) or (O,); (B, O)."""
        return _Step.apply(x.to(self.weight.dtype), bias.to(self.weight.dtype), self.weight, next(self.tokens))
