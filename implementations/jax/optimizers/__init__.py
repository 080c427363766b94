"""The optimizer kinds in JAX; `loptbench.optimizers` has the equations.

Each module has two pure functions, `initial_state` and `step`; see `Kind`.
"""

from loptbench.implementations.jax.optimizers import (
    adam,
    composed,
    gru,
    log_lstm,
    lstm,
    momentum,
    nesterov,
    rmsprop,
    sgd,
)
from loptbench.implementations.jax.optimizers.base import Constants, Kind, Parameters

KINDS: dict[str, Kind] = {
    "sgd": sgd,
    "momentum": momentum,
    "nesterov": nesterov,
    "rmsprop": rmsprop,
    "adam": adam,
    "composed": composed,
    "gru": gru,
    "lstm": lstm,
    "log_lstm": log_lstm,
}

__all__ = ["KINDS", "Constants", "Kind", "Parameters"]
