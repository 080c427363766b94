"""The outer step after the meta-gradient: penalty, clipping and Adam.

`loptbench.protocol.MetaTrains.outer_step` has the equations; Adam is that of Kingma and Ba 2015,
algorithm 1. The memory of an outer state holds `t`, and `m/NAME` and `v/NAME` of each parameter.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loptbench.protocol import Array, OuterSettings, OuterState


def initial_outer_state(parameters: Mapping[str, Array]) -> OuterState:
    """The state before the first outer step."""
    start = {name: np.array(array, np.float64) for name, array in parameters.items()}
    memory = {"t": np.asarray(0)}
    for name, array in start.items():
        memory |= {f"m/{name}": np.zeros_like(array), f"v/{name}": np.zeros_like(array)}
    return OuterState(start, memory)


def outer_update(
    outer: OuterState, gradient: Mapping[str, Array], config: OuterSettings
) -> OuterState:
    """The outer state after one update with this meta-gradient."""
    t, memory = int(outer.memory["t"]), outer.memory
    rate = config.learning_rate * config.decay ** (t / config.decay_steps)
    norm = _norm(outer.parameters)
    shrinkage = config.penalty / norm if norm > 0 else 0.0
    G = {name: gradient[name] + shrinkage * theta for name, theta in outer.parameters.items()}
    length = _norm(G)
    new_parameters: dict[str, Array] = {}
    new_memory: dict[str, NDArray[Any]] = {"t": np.asarray(t + 1)}
    for name, theta in outer.parameters.items():
        if config.clipping == "global-norm":
            g = G[name] * (config.clip / max(length, config.clip))
        else:
            g = np.clip(G[name], -config.clip, config.clip)
        m = config.beta1 * memory[f"m/{name}"] + (1 - config.beta1) * g
        v = config.beta2 * memory[f"v/{name}"] + (1 - config.beta2) * g**2
        corrected_m = m / (1 - config.beta1 ** (t + 1))
        corrected_v = v / (1 - config.beta2 ** (t + 1))
        move = rate * corrected_m / (np.sqrt(corrected_v) + config.epsilon)
        new_parameters[name] = np.asarray(theta - move)
        new_memory |= {f"m/{name}": np.asarray(m), f"v/{name}": np.asarray(v)}
    return OuterState(new_parameters, new_memory)


def _norm(arrays: Mapping[str, Array]) -> float:
    """‖·‖₂ over all elements of all arrays."""
    return float(np.sqrt(sum(np.sum(array**2) for array in arrays.values())))
