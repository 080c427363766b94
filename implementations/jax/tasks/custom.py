"""The loss of a task from outside, batched over problems by `jax.vmap`."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from loptbench.errors import LoptbenchError
from loptbench.implementations.jax.arrays import in_full_precision, placement
from loptbench.implementations.jax.tasks.base import Arrays, Loss, Shapes
from loptbench.tasks import CustomTask, ProblemBatch, unflatten


def loss_of_custom(batch: ProblemBatch) -> Loss:
    """The loss of the task that a batch was drawn from.

    Raises:
        LoptbenchError: the task brings no loss in JAX.
    """
    assert batch.custom is not None
    return _batched(batch.custom, tuple(batch.arrays))


@functools.cache
def _batched(task: CustomTask, own: tuple[str, ...]) -> Loss:
    """The loss of all problems from that of one; the same function for the same task.

    Args:
        task: the task.
        own: the names of the arrays that each problem has for itself.
    """
    one_loss = getattr(task, "jax_loss", None)
    if one_loss is None:
        raise LoptbenchError(f"task {task.name!r} brings no `jax_loss`")

    def loss(shapes: Shapes, arrays: Arrays, x: Array, step: Array) -> Array:
        shared = {name: array for name, array in arrays.items() if name not in own}

        def of_one(x: Array, arrays: dict[str, Array]) -> Array:
            value = one_loss(unflatten(x, dict(shapes)), {**shared, **arrays}, step)
            return _as_scalar(value, task.name).astype(x.dtype)

        losses: Array = jax.vmap(of_one)(x, {name: arrays[name] for name in own})
        return losses

    return loss


def _as_scalar(value: Any, task: str) -> Array:
    if jnp.shape(value) != () or not jnp.issubdtype(jnp.result_type(value), jnp.floating):
        raise LoptbenchError(
            f"the `jax_loss` of task {task!r} must return one number, an array of floats of shape "
            f"(), but returned {jnp.result_type(value)} of shape {jnp.shape(value)}"
        )
    return jnp.asarray(value)


@functools.partial(jax.jit, static_argnames=("loss", "shapes"))
def _loss_and_gradient(
    loss: Loss, shapes: Shapes, arrays: Arrays, x: Array, step: Array
) -> tuple[Array, Array]:
    losses, pullback = jax.vjp(lambda x: loss(shapes, arrays, x, step), x)
    return losses, pullback(jnp.ones_like(losses))[0]


@functools.partial(jax.jit, static_argnames=("loss", "shapes"))
def _hessian_vector(
    loss: Loss, shapes: Shapes, arrays: Arrays, x: Array, step: Array, y: Array
) -> Array:
    def gradient(x: Array) -> Array:
        both: tuple[Array, Array] = _loss_and_gradient(loss, shapes, arrays, x, step)
        return both[1]

    product: Array = jax.jvp(gradient, (x,), (y,))[1]
    return product


class Differentiated:
    """Losses, gradients and Hessians of a batch by JAX, in float64, for the oracle."""

    @in_full_precision
    def __init__(self, batch: ProblemBatch) -> None:
        self.placement = placement("float64", "cpu")
        self.loss, self.shapes = loss_of_custom(batch), tuple(batch.layout.items())
        self.arrays = self.placement.put_all({**batch.arrays, **batch.shared})

    @in_full_precision
    def loss_and_gradient(
        self, parameters: NDArray[np.float64], step: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """f, (n_problems,), and ∇f, (n_problems, n_parameters)."""
        x = self.placement.put(parameters)
        loss, gradient = _loss_and_gradient(self.loss, self.shapes, self.arrays, x, step)
        return np.array(loss), np.array(gradient)

    @in_full_precision
    def hessian_vector(
        self, parameters: NDArray[np.float64], step: int, vector: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """∇²f y, (n_problems, n_parameters)."""
        x, y = self.placement.put(parameters), self.placement.put(vector)
        return np.array(_hessian_vector(self.loss, self.shapes, self.arrays, x, step, y))
