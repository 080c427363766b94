"""Optimizer kinds as data: equations, parameters, how new ones are drawn.

One module per kind or family: `baselines`, `composed`, `gru`, each with its equations.
`spec` defines the data type that they share.
"""

from loptbench.optimizers.baselines import (
    BASELINES,
    EPSILON,
    baseline,
    momentum,
    optimal_momentum,
    sgd,
)
from loptbench.optimizers.composed import NO_CLIP, composed
from loptbench.optimizers.gru import fresh_gru, gru, random_gru
from loptbench.optimizers.spec import (
    KINDS,
    Constants,
    Kind,
    OptimizerSpec,
    Parameters,
    get_kind,
    shuffled,
    validate,
)

__all__ = [
    "BASELINES",
    "EPSILON",
    "KINDS",
    "NO_CLIP",
    "Constants",
    "Kind",
    "OptimizerSpec",
    "Parameters",
    "baseline",
    "composed",
    "fresh_gru",
    "get_kind",
    "gru",
    "momentum",
    "optimal_momentum",
    "random_gru",
    "sgd",
    "shuffled",
    "validate",
]
