"""Layered flows over a vector, the order of the dimensions reversed between layers."""

from __future__ import annotations

from seqflows.flows.autoregressive import MaskedAutoregressive
from seqflows.flows.bijection import Bijection, Chain, Reverse
from seqflows.flows.coupling import SplitCoupling
from seqflows.flows.independent import Independent
from seqflows.flows.scalar import Affine, NLSq, Scalar

SCALARS: dict[str, type[Affine] | type[NLSq]] = {"affine": Affine, "nlsq": NLSq}
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
        ValueError: an unknown kind, or fewer than one layer.
    """
    if kind not in KINDS or layers < 1:
        raise ValueError(f"Expected a kind of {KINDS} and layers >= 1, got {kind!r} and {layers}")
    flows: list[Bijection] = []
    for layer in range(layers):
        if kind == "made":
            flows.append(MaskedAutoregressive(dim, context, width, scalar))
        elif kind == "coupling":
            flows.append(SplitCoupling(dim, context, width, scalar))
        else:
            flows.append(Independent(dim, context, scalar))
        if layer + 1 < layers and kind != "independent":
            flows.append(Reverse(dim))
    return Chain(*flows)
