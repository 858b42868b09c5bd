"""Normalizing flows: maps from data to base noise that return the value and the log-determinant."""

from seqflows.flows.attention import NETWORKS, Size
from seqflows.flows.autoregressive import MaskedAutoregressive
from seqflows.flows.bijection import Bijection, Chain, Inverse, Map, Reverse, standard_normal_log_density
from seqflows.flows.coupling import SplitCoupling
from seqflows.flows.fixed import STARTS, Actnorm, FixedLength, Invertible1x1, Stepper, Steps, initialise
from seqflows.flows.independent import Independent
from seqflows.flows.layered import KINDS, SCALARS, layered, real_nvp, triangular
from seqflows.flows.multiscale import SQUEEZES, AffineCoupling, MultiScale, multiscale
from seqflows.flows.scalar import Affine, NLSq, Scalar
from seqflows.flows.temporal import AutoregressiveInTime, Stepwise
from seqflows.flows.triangular import Triangular
from seqflows.flows.unidirectional import (
    CELLS,
    MIXINGS,
    PastCoupling,
    RecurrentAffine,
    recurrent_affine,
    unidirectional,
)

__all__ = [
    "CELLS",
    "KINDS",
    "MIXINGS",
    "NETWORKS",
    "SCALARS",
    "SQUEEZES",
    "STARTS",
    "Actnorm",
    "Affine",
    "AffineCoupling",
    "AutoregressiveInTime",
    "Bijection",
    "Chain",
    "FixedLength",
    "Independent",
    "Inverse",
    "Invertible1x1",
    "Map",
    "MaskedAutoregressive",
    "MultiScale",
    "NLSq",
    "PastCoupling",
    "RecurrentAffine",
    "Reverse",
    "Scalar",
    "Size",
    "SplitCoupling",
    "Stepper",
    "Steps",
    "Stepwise",
    "Triangular",
    "initialise",
    "layered",
    "multiscale",
    "real_nvp",
    "recurrent_affine",
    "standard_normal_log_density",
    "triangular",
    "unidirectional",
]
