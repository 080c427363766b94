"""Whether an implementation can compute a task: asked before long work begins."""

import dataclasses
from typing import Any

import numpy as np

from loptbench.errors import LoptbenchError
from loptbench.ridders import ridders_derivative
from loptbench.tasks import CustomTask, ProblemBatch, Task
from loptbench.tasks.custom import LOSSES, brought, offered_by

N_DIRECTIONS = 3
"""Directions in which a gradient is compared with slopes of the loss."""

SLOPE_SCALE = 1e-2
"""Largest step of Ridders' method, relative to the largest parameter or to 1: a network's loss is
smooth over it."""

MAX_SLOPE_ERROR = 1e-5
"""Relative tolerance of a slope. Ridders' method is accurate to 1e-9 where a loss is smooth."""


def task_not_offered(implementation: Any, task: Task) -> str:
    """Why an implementation does not compute a task; empty if it does."""
    if task.name in implementation.tasks:
        return ""
    method = LOSSES.get(implementation.name)
    if not isinstance(task, CustomTask):
        return f"{implementation.name} does not compute the task {task.name!r}"
    if implementation.name == "reference":
        return (
            f"{implementation.name} does not offer the task {task.name!r}: it brings no `loss` in "
            "NumPy, and the framework of its loss is not installed"
        )
    others = " or ".join(offered_by(task)) or "no other"
    reason = (
        f"the task brings no `{method}`, only a loss for {others}"
        if method and not brought(task, method)
        else "its `tasks` do not name it"
    )
    return f"{implementation.name} does not offer the task {task.name!r}: {reason}"


def require_task(implementation: Any, task: Task) -> None:
    """Refuse a task that an implementation does not compute, or whose loss is of no use.

    The loss of a task from outside must be a finite positive number at the start of a run, and its
    gradient must be its slope.

    Raises:
        LoptbenchError: the message says what is wrong, and what to do.
    """
    reason = task_not_offered(implementation, task)
    if reason:
        raise LoptbenchError(reason)
    if not isinstance(task, CustomTask):
        return
    small = dataclasses.replace(task, **task.checks.small)
    batch = small.sample("validate", 0, range(2))
    dtype = max(implementation.dtypes)  # float64 where there is one
    name = f"the loss of task {task.name!r} in {implementation.name}"
    try:
        problems = implementation.problems(batch, dtype, "cpu")
        with np.errstate(all="ignore"):
            loss, gradient = problems.loss_and_gradient(_cast(batch.initial_parameters, dtype), 0)
    except LoptbenchError:
        raise
    except Exception as error:
        raise LoptbenchError(
            f"{name} failed: {type(error).__name__}: {' '.join(str(error).split())}; it must be "
            "differentiable: neither rounded, nor detached, nor made an array of another library, "
            "and without an `if` on a number that it computed"
        ) from error
    if not np.all(np.isfinite(loss)):
        raise LoptbenchError(f"{name} is {loss[0]} at the start of a run; it must be finite")
    if not np.all(loss > 0):
        raise LoptbenchError(
            f"{name} is {loss.min():g} at the start of a run; it must be positive, for "
            "meta-objectives are relative to it: add a constant"
        )
    if not np.all(np.isfinite(gradient)):
        raise LoptbenchError(f"{name} has a gradient that is not finite at the start of a run")
    if not np.any(gradient):
        raise LoptbenchError(
            f"{name} has a gradient of zero at the start of a run: it does not depend on the "
            "parameters, or it is not differentiable there"
        )
    if dtype == "float64":
        _require_slopes(problems, batch, name)


def _cast(x: Any, dtype: str) -> Any:
    return np.asarray(x, dtype)


def _require_slopes(problems: Any, batch: ProblemBatch, name: str) -> None:
    """Compare ∇f · y with the slope of f along y, near the start, by Ridders' method.

    Not at the start itself: parameters that are zero there may be on a kink, as of |x|.
    """
    rng = np.random.Generator(np.random.Philox(key=np.array([10, 0], dtype=np.uint64)))
    x = batch.initial_parameters
    scale = SLOPE_SCALE * np.maximum(1.0, np.abs(x).max(axis=1, keepdims=True))
    with np.errstate(all="ignore"):
        for _ in range(N_DIRECTIONS):
            x = x + scale * rng.standard_normal(x.shape)
            along = scale * rng.standard_normal(x.shape)
            terms = problems.loss_and_gradient(x, 0)[1] * along
            slope, error = ridders_derivative(
                lambda t, x=x, along=along: problems.loss_and_gradient(x + t * along, 0)[0]  # type: ignore[misc]
            )
            expected, size = terms.sum(axis=1), np.abs(terms).sum(axis=1)
            wrong = np.abs(expected - slope) > 10 * error + MAX_SLOPE_ERROR * size
            unknown = error > 0.1 * size
            if np.any(wrong | unknown):
                i = int(np.argmax(wrong | unknown))
                raise LoptbenchError(
                    f"{name} has another slope than its gradient says: {slope[i]:.6g} by Ridders' "
                    f"method, {expected[i]:.6g} by the gradient; the gradient is wrong, or the "
                    "loss is not differentiable"
                )
