"""Elman's network in JAX; see `elman`."""

import jax.numpy as jnp
from jax import Array

from loptbench.implementations.jax.optimizers.base import Constants, Parameters


def step(p: Parameters, constants: Constants, state: Array, gradient: Array) -> tuple[Array, Array]:
    """The next state and the update."""
    s = constants["input_scale"] * gradient[:, None]
    h = jnp.tanh(state @ p["W_e"].T + s * p["a_e"] + p["b_e"])
    return h, constants["output_scale"] * (h @ p["w"] + p["b"])
