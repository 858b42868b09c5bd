r"""Mixtures of Gaussians as flows: conditional distribution functions, one dimension after another.

Legend: B batch, D dimensions of a vector, M components, C context, V points, K points that count.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from seqflows.flows.bijection import Bijection, standard_normal_log_density
from seqflows.flows.precision import wide

LARGEST = 8.0  # of a log-deviation, in absolute value
NEAR = 0.1  # deviation of the means of components that start at others, in deviations of these
ROUNDS = 200  # of the root search at most
TINY = 4e-16  # the last step of it, relative
CLOSE = 1e-15  # or the distance of the noise, relative, before it: sums over thousands of components round as much
NEWTON = 3  # steps of the normal quantile without its derivatives
# Steps of Newton's method at a root that is there already, which carry its derivatives: one gives the first, two give
# the second (each step doubles the order to which it agrees with the implicit function).
POLISHED = 2
SMALL = -500.0  # log-probabilities below this have no quantile by `torch.special.ndtri` in float64
LEAST = -60.0  # log-probabilities from here on are computed of the points that count for them, others of all points
MARGIN = 40.0  # what is left out for a log-probability is at most exp(-MARGIN) of it, less than float64 resolves
ENTRIES = 2**22  # rows times points at once: 34 MB of float64


class Components(nn.Module):
    """M Gaussians of D independent dimensions: ``means`` and ``log_scales``, (M, D) each, standard normal at first.

    A deviation is exp(log_scale), from exp(-8) = 0.0003 to exp(8): where training drives a log-scale beyond, as that of
    a component on a single point, it stays at the bound, and there has no gradient.
    """

    def __init__(self, count: int, dim: int) -> None:
        super().__init__()
        if count < 1:
            raise ValueError(f"Expected at least one component, got {count}")
        self.means = nn.Parameter(torch.randn(count, dim))
        self.log_scales = nn.Parameter(torch.zeros(count, dim))

    @torch.no_grad()
    def start_at(self, others: Components) -> None:
        """Start at copies of ``others`` (N, D), the means with noise of ``NEAR`` of their deviations.

        M < N are copies of a random subset; M > N have each again and again, in the same order.
        """
        order = torch.randperm(len(others.means), device=others.means.device)
        chosen = order[torch.arange(len(self.means), device=order.device) % len(order)]
        noise = NEAR * others.log_deviations[chosen].exp() * torch.randn_like(self.means)
        self.means.copy_(others.means[chosen] + noise)
        self.log_scales.copy_(others.log_scales[chosen])

    @property
    def log_deviations(self) -> Tensor:
        """log sigma, (M, D): the ``log_scales`` within their bounds."""
        return self.log_scales.clamp(-LARGEST, LARGEST)

    @property
    def dim(self) -> int:
        """D."""
        return self.means.shape[1]

    def log_density(self, z: Tensor) -> Tensor:
        r"""log N(z; mu_m, diag sigma_m^2) of vectors (..., D), (..., M), nats.

        By the expanded square, sum_d (z_d^2 / s^2 - 2 z_d mu / s^2 + mu^2 / s^2), which is one matrix product, in
        float64: its terms are as large as (mu / s)^2, and the sum of interest is about D.
        """
        means, log_deviations, z_64 = self.means.double(), self.log_deviations.double(), z.double()
        precision = torch.exp(-2 * log_deviations)
        scaled = means * precision
        constant = -0.5 * ((scaled * means).sum(-1) + self.dim * math.log(2 * math.pi)) - log_deviations.sum(-1)
        found = torch.cat([z_64.square(), z_64], -1) @ torch.cat([-0.5 * precision, scaled], -1).t() + constant
        return found.to(z.dtype)


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
        return wide(self.weights(context)).log_softmax(-1)

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
            for _ in range(POLISHED if torch.is_grad_enabled() else 0):
                value, slope = _scalar(z_d, log_w, mean, log_scale)
                z_d = z_d + (eps_d - value) * torch.exp(-slope)
            _, slope = _scalar(z_d, log_w, mean, log_scale)
            found.append(z_d)
            log_slopes.append(slope)
            log_w = log_w + standard_normal_log_density((z_d[:, None] - mean) * torch.exp(-log_scale)) - log_scale
            log_w = log_w.log_softmax(-1)
        return torch.stack(found, -1).to(given), -torch.stack(log_slopes, -1).sum(-1).to(given)

    def draw(self, noise: Tensor, uniform: Tensor, context: Tensor) -> Tensor:
        """z (B, D) of a component that ``uniform`` (B,) in [0, 1) chooses by its weight, and of ``noise`` (B, D) in it.

        Of the distribution of the inverse of noise, without its roots; not as a function that can be inverted.
        """
        summed = self.log_weights(context).exp().cumsum(-1)
        chosen = torch.searchsorted(summed, uniform[:, None] * summed[:, -1:], right=True)[:, 0]
        chosen = chosen.clamp(max=len(self.components.means) - 1)
        return self.components.means[chosen] + self.components.log_deviations[chosen].exp() * noise

    def _double(self, context: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        assert context is not None
        components = self.components
        return self.log_weights(context).double(), components.means.double(), components.log_deviations.double()


def close_pairs(points: Tensor, distance: float, shown: int = 3) -> tuple[int, list[tuple[int, int]]]:
    """How many pairs of points (V, D) are up to ``distance`` apart, and the numbers of ``shown`` of them.

    In the order of the dimension in which the points vary most each is compared with those after it within reach. What
    is within reach in three more dimensions is compared in all.
    """
    points = points.double()
    axes = points.std(0, correction=0).argsort(descending=True)[:4]
    order = points[:, axes[0]].argsort()
    rows = points[order]
    first, *others = (rows[:, axis].contiguous() for axis in axes)
    count, found, on = 0, [], torch.arange(len(rows) - 1, device=points.device)
    for ahead in range(1, len(rows)):
        on = on[on + ahead < len(rows)]
        on = on[first[on + ahead] - first[on] <= distance]
        if not len(on):
            break
        near = on
        for other in others:
            near = near[(other[near + ahead] - other[near]).abs() <= distance]
        near = near[(rows[near + ahead] - rows[near]).square().sum(-1) <= distance**2]
        count += len(near)
        pairs = torch.stack([order[near], order[near + ahead]], 1)[: max(0, shown - len(found))]
        found += [(min(pair), max(pair)) for pair in pairs.tolist()]
    return count, sorted(found)


class PointMixture(Bijection):
    r"""`GaussianMixture` of Gaussians at V fixed points with one known deviation; the context is their log-weights.

    .. math:: p(z | c) = \sum_v w_v N(z; E_v, \sigma^2 I), \quad w = softmax(c)

    V may be tens of thousands and sigma far below the points' distances. So the squared distances are calculated in
    float64: they are subtracted as large numbers and divided by 2 sigma^2. Both directions, one dimension d after
    another, calculate with the points that count for F_d: those left out have together less than exp(-MARGIN) of the
    probability that is computed, whatever they are. The first dimensions meet most points, the later ones a few.

    `log_density` has a number in float64 for each of (B, V), 3 GB with 8192 rows and 45 000 points, and with gradients
    keeps one in the type of z: half as much in float32. The noise and its inverse have up to ``ENTRIES`` of (B, V) at
    once, without gradients, and copies of what is needed of them: about 0.3 GB.

    Args:
        points: E, (V, D), saved by whom they belong to.
        deviation: sigma.

    Raises:
        ValueError: a deviation of 0 or less, another shape, or points that coincide, of which a mixture has the sum
            alone.
    """

    points: Tensor

    def __init__(self, points: Tensor, deviation: float) -> None:
        if points.dim() != 2 or len(points) < 1:
            raise ValueError(f"Expected points of shape (V, D), got {tuple(points.shape)}")
        if not 0 < deviation < math.inf:
            raise ValueError(f"Expected a deviation above 0, got {deviation}")
        same = 0 if points.is_meta else len(points) - len(torch.unique(points, dim=0))
        if same:
            raise ValueError(f"Expected points that differ, got {len(points)} of which {same} repeat others")
        super().__init__(points.shape[1], len(points))
        self.deviation = deviation
        self.register_buffer("points", points, persistent=False)

    def scores(self, z: Tensor) -> Tensor:
        """log N(z; E_v, sigma^2 I) of vectors (B, D) up to what all points share, (B, V), float64, nats."""
        points = self.points.double()
        scaled = points / self.deviation**2
        return torch.addmm(-0.5 * (points * scaled).sum(-1), z.double(), scaled.t())

    def nearest(self, z: Tensor) -> Tensor:
        """The number of the nearest point to each of (..., D), (...)."""
        rows = z.reshape(-1, self.dim)
        return torch.cat([self.scores(part).argmax(-1) for part in rows.split(self.rows)]).view(z.shape[:-1])

    @property
    def rows(self) -> int:
        """The rows that are treated at once."""
        return max(1, ENTRIES // len(self.points))

    def log_density(self, z: Tensor, context: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """log p(z | c), (B,), nats, without the noise."""
        self.check(z, context)
        return self.scored(z, context, self.scores(z))

    def scored(self, z: Tensor, context: Tensor, scores: Tensor) -> Tensor:
        """`log_density` given the `scores`, of which those near the best keep their digits in the type of z."""
        shared = -self.dim * (math.log(self.deviation) + 0.5 * math.log(2 * math.pi))
        best = scores.amax(-1, keepdim=True)
        alone = best[:, 0] - 0.5 * (z.double() / self.deviation).square().sum(-1) + shared
        context = context.to(z.dtype)
        each = torch.logsumexp(context + (scores - best).to(z.dtype), -1) - torch.logsumexp(context, -1)
        return (alone + each).to(z.dtype)

    def forward(self, z: Tensor, context: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Data to noise, one dimension after another, of all rows at once."""
        self.check(z, context)
        return self._split(self._forward, z, context)

    def inverse(self, eps: Tensor, context: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Noise to data, one dimension after another, of all rows at once."""
        self.check(eps, context)
        return self._split(self._inverse, eps, context)

    def _split(self, apply: Callable[..., tuple[Tensor, Tensor]], value: Tensor, context: Tensor):
        """Apply a direction to as many rows as fit, in float64, with log-weights whose largest is 0."""
        if not len(value):
            return value, value.sum(-1)
        parts = zip(value.double().split(self.rows), context.double().split(self.rows), strict=True)
        found = [apply(part, log_w - log_w.amax(-1, keepdim=True)) for part, log_w in parts]
        out, log_det = (torch.cat(parts) for parts in zip(*found, strict=True))
        return out.to(value.dtype), log_det.to(value.dtype)

    def _forward(self, z: Tensor, log_w: Tensor) -> tuple[Tensor, Tensor]:
        found, log_slopes = [], []
        for z_d, points in zip(z.unbind(-1), self.points.double().unbind(-1), strict=True):
            eps_d, slope = self._noise(z_d, log_w, points)
            found.append(eps_d)
            log_slopes.append(slope)
            log_w = self._given(z_d, log_w, points)
        return torch.stack(found, -1), torch.stack(log_slopes, -1).sum(-1)

    def _inverse(self, eps: Tensor, log_w: Tensor) -> tuple[Tensor, Tensor]:
        found, log_slopes = [], []
        for eps_d, points in zip(eps.unbind(-1), self.points.double().unbind(-1), strict=True):
            with torch.no_grad():
                counted = _counted(log_w, points, torch.special.log_ndtr(-eps_d.abs()))
                log_scale = eps_d.new_tensor(math.log(self.deviation))
                if counted[0].shape[1] == 1:
                    z_d = counted[1][:, 0] + self.deviation * eps_d
                else:
                    z_d = _root(eps_d, *counted, log_scale, _bracket(eps_d, *counted, log_scale))
            value, slope = self._noise(z_d, log_w, points)
            for _ in range(POLISHED if torch.is_grad_enabled() else 0):
                z_d = z_d + (eps_d - value) * torch.exp(-slope)
                value, slope = self._noise(z_d, log_w, points)
            found.append(z_d)
            log_slopes.append(slope)
            log_w = self._given(z_d, log_w, points)
        return torch.stack(found, -1), -torch.stack(log_slopes, -1).sum(-1)

    def _given(self, z: Tensor, log_w: Tensor, points: Tensor) -> Tensor:
        """The log-weights (B, V) given one dimension more, z (B,), of points (V,); the largest is 0."""
        log_w = log_w - 0.5 * ((z[:, None] - points) / self.deviation).square()
        return log_w - log_w.detach().amax(-1, keepdim=True)

    def _noise(self, z: Tensor, log_w: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
        """The noise of one dimension (B,) and the log-slope d eps / d z, (B,): of the points that count for them."""
        log_scale = z.new_tensor(math.log(self.deviation))
        counted = _counted(log_w, points, z.new_full(z.shape, LEAST))
        if counted[0].shape[1] == 1:
            found = (z - counted[1][:, 0]) / self.deviation, -log_scale.expand_as(z)
        else:
            found = _scalar(z, *counted, log_scale)
        with torch.no_grad():
            eps, log_slope = found
            density = log_slope + standard_normal_log_density(eps) + log_scale
            enough = torch.minimum(torch.special.log_ndtr(-eps.abs()), density) >= LEAST
        if not enough.all():  # far from every point that counts
            every = _scalar(z, *_counted(log_w, points, z.new_full(z.shape, -math.inf)), log_scale)
            found = tuple(torch.where(enough, few, all_) for few, all_ in zip(found, every, strict=True))
        return found


def _counted(log_w: Tensor, points: Tensor, least: Tensor) -> tuple[Tensor, Tensor]:
    """The normalised log-weights (B, K) and places (B, K) of the points that count for log-probabilities >= least (B,).

    Of log-weights (B, V) whose largest is 0 and places (V,); K is that of the row with most.
    """
    count = len(points)
    needed = int((log_w.detach() >= (least - MARGIN - math.log(count))[:, None]).sum(-1).max())
    if 2 * needed > count:
        return log_w.log_softmax(-1), points.expand(len(log_w), -1)
    kept, places = log_w.topk(needed, -1, sorted=False)
    return kept.log_softmax(-1), points[places]


def _bracket(eps: Tensor, log_w: Tensor, mean: Tensor, log_scale: Tensor) -> tuple[Tensor, Tensor]:
    r"""Bounds (B,) of the z with the noise eps, near the component in which it lies, if rounding leaves it there.

    With the means in order and W their summed weights, p = Phi(eps) in (W_{c-1}, W_c]: F(z) >= W_c Phi((z - mu_c) /
    sigma) gives the upper bound mu_c + sigma Phi^-1(p / W_c), the upper tail likewise the lower bound.
    """
    mean, order = mean.sort(-1)
    weight = log_w.exp().gather(-1, order)
    summed, p = weight.cumsum(-1), torch.special.ndtr(eps)[:, None]
    place = torch.searchsorted(summed, p).clamp(max=summed.shape[-1] - 1)
    mean, weight, summed = (value.gather(-1, place)[:, 0] for value in (mean, weight, summed))
    above = 1 - summed + weight
    high = torch.special.ndtri((p[:, 0] / summed).clamp(max=1))
    low = -torch.special.ndtri((torch.special.ndtr(-eps) / above).clamp(max=1))
    return mean + torch.exp(log_scale) * low, mean + torch.exp(log_scale) * high


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

    Newton's method on log Phi from `torch.special.ndtri` or, in the tail, from sqrt(-2 log p); the last `POLISHED`
    steps carry the gradient and its own.
    """
    with torch.no_grad():
        tail = torch.sqrt(-2 * log_p.clamp(max=-1.0) - math.log(2 * math.pi))
        tail = -torch.sqrt(tail.square() - 2 * torch.log(tail))
        x = torch.where(log_p < SMALL, tail, torch.special.ndtri(log_p.exp()))
        for _ in range(NEWTON):
            x = x + _newton(x, log_p)
    for _ in range(POLISHED):
        x = x + _newton(x, log_p)
    return x


def _newton(x: Tensor, log_p: Tensor) -> Tensor:
    value = torch.special.log_ndtr(x)
    return (log_p - value) * torch.exp(value - standard_normal_log_density(x))


def _root(
    eps: Tensor, log_w: Tensor, mean: Tensor, log_scale: Tensor, near: tuple[Tensor, Tensor] | None = None
) -> Tensor:
    """z (B,) with the noise eps (B,): Newton's method, with a bisection where it leaves the bracket or is slow.

    The bracket is that of the components' quantiles mu_m + sigma_m eps, or the bounds that are ``near``, each if the
    noise there says so. A step is slow unless it is at most half as long as the one before, so that the length of the
    steps goes to 0.
    """
    ends = mean + torch.exp(log_scale) * eps[:, None]
    low, high = ends.amin(1), ends.amax(1)
    if near is not None:
        least, most = torch.maximum(near[0], low), torch.minimum(near[1], high)
        low = torch.where(_scalar(least, log_w, mean, log_scale)[0] <= eps, least, low)
        high = torch.where(_scalar(most, log_w, mean, log_scale)[0] >= eps, most, high)
    z, length = (low + high) / 2, high - low
    found, left = z.clone(), torch.arange(len(z), device=z.device)
    for _ in range(ROUNDS):
        value, log_slope = _scalar(z, log_w, mean, log_scale)
        low, high = torch.where(value > eps, low, z), torch.where(value > eps, z, high)
        step = (eps - value) * torch.exp(-log_slope)
        good = (z + step >= low) & (z + step <= high) & (step.abs() <= 0.5 * length)
        there = (eps - value).abs() <= CLOSE * (1 + eps.abs())
        step = torch.where(good, step, torch.where(there, 0.0, (low + high) / 2 - z))
        z, length = z + step, step.abs()
        found[left] = z
        on = ~there & (length > TINY * (1 + z.abs()))
        count = int(on.sum())
        if not count:
            break
        if 2 * count <= len(z):  # go on with these rows alone
            left, z, length, low, high, eps, log_w = (one[on] for one in (left, z, length, low, high, eps, log_w))
            mean = mean[on] if mean.dim() > 1 else mean
    return found
