"""RMSProp.

v' = gamma · v + (1 − gamma) · g²
Δ  = −alpha · g / (√v' + epsilon)
"""

from jax import Array

from loptbench.implementations.jax.optimizers.base import (
    Constants,
    Parameters,
    safe_sqrt,
    zero_state,
)

initial_state = zero_state(1)


def step(p: Parameters, constants: Constants, state: Array, gradient: Array) -> tuple[Array, Array]:
    """The next state and the update."""
    v = p["gamma"] * state[:, 0] + (1 - p["gamma"]) * gradient**2
    return v[:, None], -p["alpha"] * gradient / (safe_sqrt(v) + constants["epsilon"])
