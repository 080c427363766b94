"""A task from outside.

f comes from the task's loss in NumPy, or where it has none from one in a framework.
∇f comes from the task's own gradient in NumPy; else from the framework, which differentiates its
loss; else from Ridders' method. `loptbench check` holds each of them to Ridders' method on small
sizes.
∇²f y comes from the framework, or from Ridders' method along y on ∇f.
"""

import dataclasses
import importlib
import importlib.util
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from loptbench.errors import LoptbenchError
from loptbench.implementations.reference.tasks.base import Array
from loptbench.ridders import ridders_derivative
from loptbench.tasks import Layout, ProblemBatch, unflatten

FRAMEWORKS = ("torch", "jax")
"""Whose losses are taken, in this order."""

N_HALVINGS = 12
"""Steps of Ridders' method: to 6e-5 of the scale, where smooth functions have long converged."""

DISTURBANCE = 1e-7
"""Relative size of the random changes that measure rounding: far above the rounding of float64, and
so small that a function is linear over it."""

N_DISTURBANCES = 4
"""Random changes; the largest effect counts."""

MOST_NUMERICAL_ERROR = 1e3
"""Largest allowance for the error of Ridders' method, in roundings of the gradient."""


class Differentiated(Protocol):
    """What a framework computes of a batch, in float64."""

    def loss_and_gradient(self, parameters: Array, step: int) -> tuple[Array, Array]: ...
    def hessian_vector(self, parameters: Array, step: int, vector: Array) -> Array: ...


class CustomProblems:
    """The problems of a task from outside."""

    def __init__(self, batch: ProblemBatch) -> None:
        self.batch, self.layout = batch, batch.layout
        self.task: Any = batch.custom
        self.has_loss = callable(getattr(self.task, "loss", None))
        self.has_gradient = callable(getattr(self.task, "gradient", None))
        self.framework = _differentiated(batch)
        if self.framework is None and not self.has_loss:
            raise LoptbenchError(
                f"task {batch.task!r} has a loss in a framework only, which is not installed; "
                "install it, or write `loss` in NumPy"
            )
        # What scales are relative to: no error below the rounding of the start matters.
        self.start = _sizes(*self._evaluate(batch, batch.initial_parameters, 0))

    def loss_and_gradient(self, parameters: Array, step: int) -> tuple[Array, Array]:
        """f and ∇f."""
        return self._evaluate(self.batch, parameters, step)

    def _evaluate(self, batch: ProblemBatch, x: Array, step: int) -> tuple[Array, Array]:
        if not self.has_loss or not self.has_gradient:
            framework = self.framework if batch is self.batch else _differentiated(batch)
            if framework is not None:
                loss, gradient = framework.loss_and_gradient(x, step)
                return (_losses(self.task, batch, x, step) if self.has_loss else loss), gradient
        loss = _losses(self.task, batch, x, step)
        if self.has_gradient:
            return loss, _gradients(self.task, batch, x, step)
        return loss, self._by_ridders(batch, x, step)[0]

    def _by_ridders(self, batch: ProblemBatch, x: Array, step: int) -> tuple[Array, Array]:
        """∇f by Ridders' method, one parameter after another, and estimates of its error."""
        derivative, error = np.empty_like(x), np.empty_like(x)
        scale = np.maximum(1.0, np.abs(x))
        for i in range(x.shape[1]):
            along = np.zeros_like(x)
            along[:, i] = scale[:, i]
            derivative[:, i], error[:, i] = ridders_derivative(
                lambda t, along=along: _losses(self.task, batch, x + t * along, step),  # type: ignore[misc]
                N_HALVINGS,
            )
        return derivative / scale, error / scale

    def hessian_vector(self, parameters: Array, step: int, vector: Array) -> Array:
        """∇²f y: the framework's, or the derivative of ∇f along y by Ridders' method."""
        if self.framework is not None:
            return self.framework.hessian_vector(parameters, step, vector)
        size = np.abs(vector).max(axis=1, keepdims=True)
        scale = np.maximum(1.0, np.abs(parameters).max(axis=1, keepdims=True))
        along = vector * (scale / np.where(size > 0, size, 1.0))
        derivative, _ = ridders_derivative(
            lambda t: self.loss_and_gradient(parameters + t * along, step)[1], N_HALVINGS
        )
        return np.asarray(derivative * (size / scale))

    def rounding_scale(self, parameters: Array, step: int) -> tuple[Array, Array]:
        """The sizes that rounding errors of f and ∇f are relative to.

        The terms that an unknown function adds are not known. But rounding acts like small changes
        of all that goes in: parameters and data are changed at random, and what f and ∇f change by,
        relative to the size of the changes, is added to their own sizes and to those at the start
        of the run.
        """
        loss, gradient = self.loss_and_gradient(parameters, step)
        loss_scale, gradient_scale = np.zeros_like(loss), np.zeros_like(gradient)
        rng = np.random.Generator(np.random.Philox(key=np.array([9, step], dtype=np.uint64)))

        def changed(array: Any) -> Any:
            if array.dtype.kind != "f":
                return array
            return array * (1 + DISTURBANCE * rng.choice([-1.0, 1.0], array.shape))

        for _ in range(N_DISTURBANCES):
            batch = _with_arrays(self.batch, changed)
            other_loss, other_gradient = self._evaluate(batch, changed(parameters), step)
            loss_scale = np.maximum(loss_scale, np.abs(other_loss - loss))
            gradient_scale = np.maximum(gradient_scale, np.abs(other_gradient - gradient))
        own_loss, own_gradient = _sizes(loss, gradient)
        loss_scale = loss_scale / DISTURBANCE + own_loss + self.start[0]
        gradient_scale = gradient_scale / DISTURBANCE + own_gradient + self.start[1]
        if not self.has_gradient and self.framework is None:
            _, error = self._by_ridders(self.batch, parameters, step)
            eps = float(np.finfo(np.float64).eps)
            gradient_scale += np.minimum(error / eps, MOST_NUMERICAL_ERROR * own_gradient)
        return loss_scale, gradient_scale


def _sizes(loss: Array, gradient: Array) -> tuple[Array, Array]:
    """|f|, (n_problems,), and the largest |∇f| of each problem, (n_problems, 1)."""
    return np.abs(loss), np.abs(gradient).max(axis=1, keepdims=True)


def _with_arrays(batch: ProblemBatch, change: Callable[[Any], Any]) -> ProblemBatch:
    return dataclasses.replace(
        batch,
        arrays={name: change(array) for name, array in batch.arrays.items()},
        shared={name: change(array) for name, array in batch.shared.items()},
    )


def _differentiated(batch: ProblemBatch) -> Differentiated | None:
    """The batch in the first installed framework that the task brings a loss for."""
    for name in FRAMEWORKS:
        has_loss = callable(getattr(batch.custom, f"{name}_loss", None))
        if has_loss and importlib.util.find_spec(name) is not None:
            module = importlib.import_module(f"loptbench.implementations.{name}.tasks.custom")
            differentiated: Differentiated = module.Differentiated(batch)
            return differentiated
    return None


def _arguments(batch: ProblemBatch, x: Array) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """The parameters and the arrays of each problem."""
    return [
        (
            unflatten(parameters, batch.layout),
            {**batch.shared, **{name: array[i] for name, array in batch.arrays.items()}},
        )
        for i, parameters in enumerate(x)
    ]


def _losses(task: Any, batch: ProblemBatch, x: Array, step: int) -> Array:
    values = [task.loss(p, data, step) for p, data in _arguments(batch, x)]
    for value in values:
        if np.shape(value) != () or np.asarray(value).dtype.kind not in "fiu":
            raise LoptbenchError(
                f"the `loss` of task {task.name!r} must return one number, but returned "
                f"{type(value).__name__} of shape {np.shape(value)}"
            )
    return np.array(values, np.float64)


def _gradients(task: Any, batch: ProblemBatch, x: Array, step: int) -> Array:
    rows = [
        _flat(task.name, task.gradient(p, data, step), batch.layout)
        for p, data in _arguments(batch, x)
    ]
    return np.stack(rows)


def _flat(task: str, gradient: Any, layout: Layout) -> Array:
    named = gradient if isinstance(gradient, dict) else {}
    shapes = {name: np.shape(array) for name, array in named.items()}
    if shapes != dict(layout):
        what = shapes if isinstance(gradient, dict) else type(gradient).__name__
        raise LoptbenchError(
            f"the `gradient` of task {task!r} must return a dictionary with an array for each of "
            f"the parameters, {dict(layout)}, but returned {what}"
        )
    return np.concatenate([np.asarray(named[name], np.float64).reshape(-1) for name in layout])
