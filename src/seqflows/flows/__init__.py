"""Normalizing flows: data to base noise, value and log-determinant together."""

from seqflows.flows.autoregressive import MaskedAutoregressive
from seqflows.flows.bijection import Bijection, Chain, Inverse, Reverse, standard_normal_log_density
from seqflows.flows.coupling import SplitCoupling
from seqflows.flows.independent import Independent
from seqflows.flows.layered import KINDS, SCALARS, layered
from seqflows.flows.scalar import Affine, NLSq, Scalar
from seqflows.flows.temporal import AutoregressiveInTime, Stepwise

__all__ = [
    "KINDS",
    "SCALARS",
    "Affine",
    "AutoregressiveInTime",
    "Bijection",
    "Chain",
    "Independent",
    "Inverse",
    "MaskedAutoregressive",
    "NLSq",
    "Reverse",
    "Scalar",
    "SplitCoupling",
    "Stepwise",
    "layered",
    "standard_normal_log_density",
]
