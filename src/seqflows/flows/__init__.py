"""Normalizing flows: data to base noise, value and log-determinant together."""

from seqflows.flows.autoregressive import MaskedAutoregressive
from seqflows.flows.bijection import Bijection, Chain, Inverse, Map, Reverse, standard_normal_log_density
from seqflows.flows.coupling import SplitCoupling
from seqflows.flows.independent import Independent
from seqflows.flows.layered import KINDS, SCALARS, layered, real_nvp, triangular
from seqflows.flows.scalar import Affine, NLSq, Scalar
from seqflows.flows.temporal import AutoregressiveInTime, Stepwise
from seqflows.flows.triangular import Triangular

__all__ = [
    "KINDS",
    "SCALARS",
    "Affine",
    "AutoregressiveInTime",
    "Bijection",
    "Chain",
    "Independent",
    "Inverse",
    "Map",
    "MaskedAutoregressive",
    "NLSq",
    "Reverse",
    "Scalar",
    "SplitCoupling",
    "Stepwise",
    "Triangular",
    "layered",
    "real_nvp",
    "standard_normal_log_density",
    "triangular",
]
