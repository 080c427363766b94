"""Optimizer kinds as data: equations, parameters, how new ones are drawn.

One module per kind or family, each with its equations: `baselines` with `schedules`, `composed`,
`gru`, `lstm`.
`kinds` says what a kind and an architecture are, and `spec` is the data type that they share.
"""

from loptbench.optimizers.baselines import (
    BASELINES,
    EPSILON,
    HYPERPARAMETERS,
    SCHEDULED,
    baseline,
    momentum,
    optimal_momentum,
    sgd,
    unscheduled,
)
from loptbench.optimizers.composed import NO_CLIP, composed
from loptbench.optimizers.gru import fresh_gru, gru, random_gru
from loptbench.optimizers.kinds import (
    ARCHITECTURES,
    DEFAULT_ARCHITECTURE,
    KINDS,
    Architecture,
    Constants,
    Kind,
    KindsAndBrought,
    Parameters,
    Shapes,
    add_architecture,
    get_architecture,
    get_kind,
    import_architectures,
    load_cell,
    why_not_offered,
)
from loptbench.optimizers.lstm import LOG_LSTM, LSTM
from loptbench.optimizers.schedules import SCHEDULES
from loptbench.optimizers.spec import OptimizerSpec, fresh, random, shuffled, validate

__all__ = [
    "ARCHITECTURES",
    "BASELINES",
    "DEFAULT_ARCHITECTURE",
    "EPSILON",
    "HYPERPARAMETERS",
    "KINDS",
    "LOG_LSTM",
    "LSTM",
    "NO_CLIP",
    "SCHEDULED",
    "SCHEDULES",
    "Architecture",
    "Constants",
    "Kind",
    "KindsAndBrought",
    "OptimizerSpec",
    "Parameters",
    "Shapes",
    "add_architecture",
    "baseline",
    "composed",
    "fresh",
    "fresh_gru",
    "get_architecture",
    "get_kind",
    "gru",
    "import_architectures",
    "load_cell",
    "momentum",
    "optimal_momentum",
    "random",
    "random_gru",
    "sgd",
    "shuffled",
    "unscheduled",
    "validate",
    "why_not_offered",
]
