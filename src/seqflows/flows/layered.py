"""Layered flows over a vector, with the order of the dimensions reversed between layers."""

from __future__ import annotations

from collections.abc import Callable

from seqflows.flows.autoregressive import MaskedAutoregressive
from seqflows.flows.bijection import Bijection, Chain, Reverse
from seqflows.flows.coupling import SplitCoupling
from seqflows.flows.independent import Independent
from seqflows.flows.initial import start
from seqflows.flows.scalar import Affine, LocationScale, NLSq, Scalar
from seqflows.flows.triangular import Triangular, TriangularChain

# as in the released code, whose affine transformation takes half of b'
SCALARS: dict[str, Callable[[], Scalar]] = {"location_scale": lambda: LocationScale(0.5), "nlsq": NLSq}
KINDS = ("made", "coupling", "independent")


def layered(kind: str, dim: int, context: int, width: int, scalar: Scalar, layers: int) -> Chain:
    """``layers`` flows of one kind with the order reversed between them (Ziegler & Rush 2019, figure 1d).

    Args:
        kind: ``made`` (AF), ``coupling`` (SCF) or ``independent``.
        dim: dimensions of the vector.
        context: width of the context, 0 for none.
        width: hidden units a layer of the networks.
        scalar: the scalar transformation that all layers use.
        layers: how many.

    Raises:
        ValueError: unknown kind, fewer than one layer, or no scalar transformation.
    """
    if not isinstance(getattr(scalar, "count", None), int):
        raise ValueError(f"Expected a scalar transformation such as NLSq(), got {scalar!r}")
    if kind not in KINDS or layers < 1:
        raise ValueError(f"Expected a kind of {KINDS} and layers >= 1, got {kind!r} and {layers}")
    flows: list[Bijection] = []
    for layer in range(layers):
        if kind == "made":
            flows.append(MaskedAutoregressive(dim, context, width, scalar))
        elif kind == "coupling":
            flows.append(SplitCoupling(dim, context, width, scalar))
            start(flows[-1])
        else:
            flows.append(Independent(dim, context, scalar))
        if layer + 1 < layers and kind != "independent":
            flows.append(Reverse(dim))
    return Chain(*flows)


def triangular(
    dim: int, context: int, width: int, delta: float, layers: int, diagonal: bool = False
) -> TriangularChain:
    """n x TRIL, or n x DIAG: a chain of `Triangular` flows, all conditioned on the same context.

    A product of triangular matrices is triangular: for a given context the map is affine for every n; more layers
    make its dependence on the context richer (Schmidt & Hofmann 2018, section 2.4).
    """
    if layers < 1:
        raise ValueError(f"Expected layers >= 1, got {layers}")
    return TriangularChain(*(Triangular(dim, context, width, delta, diagonal) for _ in range(layers)))


def real_nvp(dim: int, context: int, width: int, kept: tuple[int, ...]) -> Chain:
    """Conditional Real-NVP: affine couplings that keep ``kept`` dimensions each, the order reversed between them.

    With the order reversed every dimension is transformed and sees the context; if all layers kept the same dimensions,
    two would stay noise (Schmidt & Hofmann 2018, section 5, does not state the order).

    Raises:
        ValueError: no layer, or one that would keep every dimension.
    """
    if not kept or max(kept) >= dim:
        raise ValueError(f"Expected maskings of 1 to {dim - 1} dimensions for a state of {dim}, got {list(kept)}")
    flows: list[Bijection] = []
    for layer, count in enumerate(kept):
        flows += [Reverse(dim)] if layer else []
        flows.append(SplitCoupling(dim, context, width, Affine(), count))
    return Chain(*flows)
