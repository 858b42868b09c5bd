"""Normalizing flows: maps from data to base noise that return the value and the log-determinant."""

from seqflows.flows.attention import NETWORKS, Size
from seqflows.flows.autoregressive import MaskedAutoregressive
from seqflows.flows.bijection import Bijection, Chain, Inverse, Map, Reverse, Source, standard_normal_log_density
from seqflows.flows.conditional import (
    GROUPINGS,
    SPLITS,
    Levels,
    MaskedActnorm,
    MultiHead1x1,
    SourceCoupling,
    levels,
)
from seqflows.flows.coupling import SplitCoupling
from seqflows.flows.distribution import BijectionTransform, Flow
from seqflows.flows.fixed import STARTS, Actnorm, FixedLength, Invertible1x1, Stepper, Steps, initialise
from seqflows.flows.independent import Independent
from seqflows.flows.layered import KINDS, SCALARS, layered, real_nvp, triangular
from seqflows.flows.mixture import Components, GaussianMixture, PointMixture, close_pairs
from seqflows.flows.mixture_in_time import MixtureInTime, Reader
from seqflows.flows.multiscale import SQUEEZES, AffineCoupling, MultiScale, multiscale
from seqflows.flows.precision import unrounded, wide
from seqflows.flows.scalar import Affine, LocationScale, NLSq, Scalar
from seqflows.flows.temporal import AttentiveInTime, AutoregressiveInTime, Stepwise
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
    "GROUPINGS",
    "KINDS",
    "MIXINGS",
    "NETWORKS",
    "SCALARS",
    "SPLITS",
    "SQUEEZES",
    "STARTS",
    "Actnorm",
    "Affine",
    "AffineCoupling",
    "AttentiveInTime",
    "AutoregressiveInTime",
    "Bijection",
    "BijectionTransform",
    "Chain",
    "Components",
    "FixedLength",
    "Flow",
    "GaussianMixture",
    "Independent",
    "Inverse",
    "Invertible1x1",
    "Levels",
    "LocationScale",
    "Map",
    "MaskedActnorm",
    "MaskedAutoregressive",
    "MixtureInTime",
    "MultiHead1x1",
    "MultiScale",
    "NLSq",
    "PastCoupling",
    "PointMixture",
    "Reader",
    "RecurrentAffine",
    "Reverse",
    "Scalar",
    "Size",
    "Source",
    "SourceCoupling",
    "SplitCoupling",
    "Stepper",
    "Steps",
    "Stepwise",
    "Triangular",
    "close_pairs",
    "initialise",
    "layered",
    "levels",
    "multiscale",
    "real_nvp",
    "recurrent_affine",
    "standard_normal_log_density",
    "triangular",
    "unidirectional",
    "unrounded",
    "wide",
]
