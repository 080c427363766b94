"""The losses of the tasks in JAX; JAX differentiates them.

Each module has a function `loss`. Parameters x are (n_problems, n_parameters).
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array

from loptbench.implementations.jax.tasks import digits, quadratic, rosenbrock, two_moons
from loptbench.implementations.jax.tasks.base import Arrays, Shapes

LOSSES: dict[str, Callable[[Shapes, Arrays, Array, Array], Array]] = {
    "quadratic": quadratic.loss,
    "rosenbrock": rosenbrock.loss,
    "two_moons": two_moons.loss,
    "digits": digits.loss,
}
"""Per task: (layout, arrays, x, step) -> loss, (n_problems,)."""


def loss_and_gradient(
    task: str, shapes: Shapes, arrays: Arrays, x: Array, step: Array
) -> tuple[Array, Array]:
    """Each problem's loss, and the gradient of that loss by its own parameters."""
    # Problems do not share parameters: the gradient of the sum is every problem's own gradient.
    loss, pullback = jax.vjp(lambda x: LOSSES[task](shapes, arrays, x, step), x)
    return loss, pullback(jnp.ones_like(loss))[0]


__all__ = ["LOSSES", "Arrays", "Shapes", "loss_and_gradient"]
