"""The optimizer kinds in JAX; `loptbench.optimizers` has the equations.

Each module has two pure functions, `initial_state` and `step`; see `Kind`.
"""

import functools

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
from loptbench.implementations.jax.optimizers.base import (
    Constants,
    Kind,
    Parameters,
    RecurrentKind,
)
from loptbench.implementations.jax.optimizers.scheduled import Scheduled
from loptbench.optimizers import SCHEDULED, get_architecture, load_cell

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
KINDS |= {name: Scheduled(parts.schedule, KINDS[parts.kind]) for name, parts in SCHEDULED.items()}


def get_kind(name: str) -> Kind:
    """The kind of that name; an architecture from outside brings its step."""
    return KINDS[name] if name in KINDS else _brought(name)


@functools.cache
def _brought(name: str) -> Kind:
    return RecurrentKind(get_architecture(name).starts, load_cell(name, "jax"))


__all__ = ["KINDS", "Constants", "Kind", "Parameters", "get_kind"]
