"""The losses of the tasks in JAX; JAX differentiates them.

Each module has a function `loss`. Parameters x are (n_problems, n_parameters).
"""

import jax
import jax.numpy as jnp
from jax import Array

from loptbench.implementations.jax.tasks import digits, quadratic, rosenbrock, two_moons
from loptbench.implementations.jax.tasks.base import Arrays, Loss, Shapes
from loptbench.implementations.jax.tasks.custom import loss_of_custom
from loptbench.tasks import ProblemBatch

LOSSES: dict[str, Loss] = {
    "quadratic": quadratic.loss,
    "rosenbrock": rosenbrock.loss,
    "two_moons": two_moons.loss,
    "digits": digits.loss,
}
"""The loss of each task that loptbench ships."""


def loss_of(batch: ProblemBatch) -> Loss:
    """The loss of the task that a batch was drawn from."""
    return LOSSES[batch.task] if batch.custom is None else loss_of_custom(batch)


def loss_and_gradient(
    loss_function: Loss, shapes: Shapes, arrays: Arrays, x: Array, step: Array
) -> tuple[Array, Array]:
    """Each problem's loss, and the gradient of that loss by its own parameters."""
    # Problems do not share parameters: the gradient of the sum is every problem's own gradient.
    loss, pullback = jax.vjp(lambda x: loss_function(shapes, arrays, x, step), x)
    return loss, pullback(jnp.ones_like(loss))[0]


__all__ = ["LOSSES", "Arrays", "Loss", "Shapes", "loss_and_gradient", "loss_of"]
