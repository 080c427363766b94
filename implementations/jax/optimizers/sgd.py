"""Gradient descent.

Δ = −alpha · g
"""

from jax import Array

from loptbench.implementations.jax.optimizers.base import Constants, Parameters, zero_state

initial_state = zero_state(0)


def step(p: Parameters, _: Constants, state: Array, gradient: Array) -> tuple[Array, Array]:
    """The (empty) next state and the update."""
    return state, -p["alpha"] * gradient
