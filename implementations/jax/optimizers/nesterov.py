"""Nesterov momentum.

h' = beta · h + g
Δ  = −alpha · (g + beta · h')
"""

from jax import Array

from loptbench.implementations.jax.optimizers.base import Constants, Parameters, zero_state

initial_state = zero_state(1)


def step(p: Parameters, _: Constants, state: Array, gradient: Array) -> tuple[Array, Array]:
    """The next state and the update."""
    h = p["beta"] * state + gradient[:, None]
    return h, -p["alpha"] * (gradient + p["beta"] * h[:, 0])
