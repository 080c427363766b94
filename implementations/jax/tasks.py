"""The losses of the tasks in JAX; their gradients are JAX's own."""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
from jax import Array

Arrays = Mapping[str, Array]


def _quadratic(arrays: Arrays, x: Array, _: Array) -> Array:
    # f = ½ xᵀHx + vᵀx + c
    Hx = jnp.einsum("pij,pj->pi", arrays["H"], x)
    return jnp.sum((0.5 * Hx + arrays["v"]) * x, axis=1) + arrays["c"]


LOSSES: dict[str, Callable[[Arrays, Array, Array], Array]] = {"quadratic": _quadratic}
"""Per task: (arrays, parameters (n_problems, n_parameters), step) -> loss (n_problems,)."""


def loss_and_gradient(task: str, arrays: Arrays, x: Array, step: Array) -> tuple[Array, Array]:
    """Each problem's loss, and the gradient of that loss by its own parameters."""
    # Problems do not share parameters: the gradient of the sum is every problem's own gradient.
    loss, pullback = jax.vjp(lambda x: LOSSES[task](arrays, x, step), x)
    return loss, pullback(jnp.ones_like(loss))[0]
