r"""A mixture of Gaussians as a flow: conditional distribution functions, one dimension after another.

Legend: B batch, D dimensions of a vector, M components, C context.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from seqflows.flows.bijection import Bijection, standard_normal_log_density

ROUNDS = 200  # of the root search at most
TINY = 4e-16  # the last step of it, relative
NEWTON = 4  # steps of the normal quantile
SMALL = -500.0  # log-probabilities below this have no quantile by `torch.special.ndtri` in float64


class Components(nn.Module):
    """M Gaussians of D independent dimensions: ``means`` and ``log_scales``, (M, D) each, standard normal at first."""

    def __init__(self, count: int, dim: int) -> None:
        super().__init__()
        if count < 1:
            raise ValueError(f"Expected at least one component, got {count}")
        self.means = nn.Parameter(torch.randn(count, dim))
        self.log_scales = nn.Parameter(torch.zeros(count, dim))

    @property
    def dim(self) -> int:
        """D."""
        return self.means.shape[1]

    def log_density(self, z: Tensor) -> Tensor:
        r"""log N(z; mu_m, diag sigma_m^2) of vectors (..., D), (..., M), nats.

        By the expanded square, sum_d (z_d^2 / s^2 - 2 z_d mu / s^2 + mu^2 / s^2), which is one matrix product.
        """
        precision = torch.exp(-2 * self.log_scales)
        scaled = self.means * precision
        constant = -0.5 * ((scaled * self.means).sum(-1) + self.dim * math.log(2 * math.pi)) - self.log_scales.sum(-1)
        return torch.cat([z.square(), z], -1) @ torch.cat([-0.5 * precision, scaled], -1).t() + constant


class GaussianMixture(Bijection):
    r"""eps_d = Phi^-1(F_d(z_d | z_<d)) with the conditional distribution functions F_d of a mixture of Gaussians.

    .. math:: p(z | c) = \sum_m w_m(c) N(z; \mu_m, diag \sigma_m^2), \quad
              F_d = \sum_m w_{m,d} \Phi((z_d - \mu_{md}) / \sigma_{md}), \quad
              w_{m,d} \propto w_m \prod_{i<d} N(z_i; \mu_{mi}, \sigma_{mi}^2)

    (the Rosenblatt transform). The log-density of z is the mixture's, in closed form: `log_density`. The inverse finds
    each z_d in the interval of the components' own quantiles, in which the root must lie, by Newton's method with
    bisection. Both directions calculate in float64; gradients of the inverse are those of the implicit function.

    Args:
        components: the Gaussians; in a list of one if they belong to another module, which then saves them.
        weights: from the context (B, C) to log-weights (B, M), up to a constant; without one, the context is these.
        context: C.
    """

    def __init__(
        self, components: Components | list[Components], weights: nn.Module | None = None, context: int | None = None
    ) -> None:
        shared = components if isinstance(components, list) else [components]
        super().__init__(shared[0].dim, len(shared[0].means) if context is None else context)
        self.weights = weights or nn.Identity()
        self.shared = shared
        if components is not shared:
            self.owned = components  # registered

    @property
    def components(self) -> Components:
        """The Gaussians."""
        return self.shared[0]

    def log_weights(self, context: Tensor) -> Tensor:
        """log w_m(c), (B, M), nats."""
        return self.weights(context).log_softmax(-1)

    def log_density(self, z: Tensor, context: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """log p(z | c), (B,), nats, without the noise."""
        self.check(z, context)
        return torch.logsumexp(self.log_weights(context) + self.components.log_density(z), -1)

    def forward(self, z: Tensor, context: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Data to noise, all dimensions at once."""
        self.check(z, context)
        given = z.dtype
        log_w, means, log_scales = self._double(context)
        u = (z.double()[:, None] - means) * torch.exp(-log_scales)  # (B, M, D)
        each = standard_normal_log_density(u) - log_scales
        before = log_w[..., None] + each.cumsum(-1) - each  # of z_<d together with the component
        before = before - before.logsumexp(1, keepdim=True)
        eps, log_slope = _noise(before, u, each)
        return eps.to(given), log_slope.sum(-1).to(given)

    def inverse(self, eps: Tensor, context: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Noise to data, one dimension after another."""
        self.check(eps, context)
        given, eps = eps.dtype, eps.double()
        log_w, means, log_scales = self._double(context)
        found, log_slopes = [], []
        for eps_d, mean, log_scale in zip(eps.unbind(-1), means.unbind(-1), log_scales.unbind(-1), strict=True):
            with torch.no_grad():
                z_d = _root(eps_d, log_w, mean, log_scale)
            if torch.is_grad_enabled():
                value, slope = _scalar(z_d, log_w, mean, log_scale)
                z_d = z_d + (eps_d - value) * torch.exp(-slope.detach())
            _, slope = _scalar(z_d, log_w, mean, log_scale)
            found.append(z_d)
            log_slopes.append(slope)
            log_w = log_w + standard_normal_log_density((z_d[:, None] - mean) * torch.exp(-log_scale)) - log_scale
            log_w = log_w.log_softmax(-1)
        return torch.stack(found, -1).to(given), -torch.stack(log_slopes, -1).sum(-1).to(given)

    def _double(self, context: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        assert context is not None
        return self.log_weights(context).double(), self.components.means.double(), self.components.log_scales.double()


def _scalar(z: Tensor, log_w: Tensor, mean: Tensor, log_scale: Tensor) -> tuple[Tensor, Tensor]:
    """The noise of one dimension (B,) and the log-slope d eps / d z, (B,), given log-weights (B, M)."""
    u = (z[:, None] - mean) * torch.exp(-log_scale)
    eps, log_slope = _noise(log_w[..., None], u[..., None], (standard_normal_log_density(u) - log_scale)[..., None])
    return eps[:, 0], log_slope[:, 0]


def _noise(log_w: Tensor, u: Tensor, log_density: Tensor) -> tuple[Tensor, Tensor]:
    """eps = Phi^-1(sum_m w Phi(u)) over the second axis of (B, M, D), and log d eps / d z: (B, D) each.

    By the smaller of both tails, whose logarithm is exact.
    """
    below = torch.logsumexp(log_w + torch.special.log_ndtr(u), 1)
    above = torch.logsumexp(log_w + torch.special.log_ndtr(-u), 1)
    sign = torch.where(below < above, 1.0, -1.0)
    eps = sign * log_quantile(torch.minimum(below, above))
    return eps, torch.logsumexp(log_w + log_density, 1) - standard_normal_log_density(eps)


def log_quantile(log_p: Tensor) -> Tensor:
    """x with log Phi(x) = log p, elementwise, for log p <= log 0.6, also where p underflows; float64.

    Newton's method on log Phi from `torch.special.ndtri` or, in the tail, from sqrt(-2 log p); the last step carries
    the gradient.
    """
    with torch.no_grad():
        tail = torch.sqrt(-2 * log_p.clamp(max=-1.0) - math.log(2 * math.pi))
        tail = -torch.sqrt(tail.square() - 2 * torch.log(tail))
        x = torch.where(log_p < SMALL, tail, torch.special.ndtri(log_p.exp()))
        for _ in range(NEWTON):
            x = x + _newton(x, log_p)
    return x + _newton(x, log_p)


def _newton(x: Tensor, log_p: Tensor) -> Tensor:
    value = torch.special.log_ndtr(x)
    return (log_p - value) * torch.exp(value - standard_normal_log_density(x))


def _root(eps: Tensor, log_w: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
    """z (B,) with the noise eps (B,): Newton's method, with a bisection where it leaves the bracket or is slow.

    The bracket is that of the components' quantiles mu_m + sigma_m eps. A step is slow unless it is at most half as
    long as the one before, so that the length of the steps goes to 0.
    """
    ends = mean + torch.exp(log_scale) * eps[:, None]
    low, high = ends.amin(1), ends.amax(1)
    z, length = (low + high) / 2, high - low
    for _ in range(ROUNDS):
        value, log_slope = _scalar(z, log_w, mean, log_scale)
        low, high = torch.where(value > eps, low, z), torch.where(value > eps, z, high)
        step = (eps - value) * torch.exp(-log_slope)
        good = (z + step >= low) & (z + step <= high) & (step.abs() <= 0.5 * length)
        step = torch.where(good, step, (low + high) / 2 - z)
        z, length = z + step, step.abs()
        if bool((length <= TINY * (1 + z.abs())).all()):
            break
    return z
