"""What a task from outside must be: found wrong before anything is computed with it."""

import re
from collections.abc import Collection
from typing import Any

import numpy as np

from loptbench.errors import LoptbenchError
from loptbench.tasks.base import ProblemBatch
from loptbench.tasks.custom import LOSSES, CustomTask, brought

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
"""Names are part of file names."""


def validate(task: Any, source: str, taken: Collection[str]) -> CustomTask:
    """A task from outside, made if it is a class, whose problems have been looked at.

    Args:
        task: the object or class.
        source: where it comes from, for messages.
        taken: names that it must not have.

    Raises:
        LoptbenchError: it is malformed; the message says how, and what to do.
    """
    if isinstance(task, type) and issubclass(task, CustomTask):
        try:
            task = task()
        except LoptbenchError:
            raise
        except Exception as error:
            raise LoptbenchError(
                f"{source} cannot be made without arguments ({type(error).__name__}: {error}); "
                "give its settings defaults, or name an instance"
            ) from error
    if not isinstance(task, CustomTask):
        raise LoptbenchError(
            f"{source} is not a task: derive it from loptbench.tasks.CustomTask, and write `draw` "
            "and a loss"
        )
    if not isinstance(task.name, str) or not NAME.fullmatch(task.name):
        raise LoptbenchError(
            f"the `name` of {source} must be letters, digits and _, beginning with a letter, but "
            f"it is {task.name!r}"
        )
    if task.name in taken:
        raise LoptbenchError(
            f"{source} has the name of a task that loptbench ships, {task.name!r}; rename it"
        )
    if isinstance(task.n_steps, bool) or not isinstance(task.n_steps, int) or task.n_steps < 1:
        raise LoptbenchError(
            f"n_steps of task {task.name!r} must be a whole number above 0, not {task.n_steps!r}"
        )
    if not any(brought(task, method) for method in LOSSES.values()):
        raise LoptbenchError(
            f"task {task.name!r} brings no loss: write one of the methods "
            f"{', '.join(LOSSES.values())}, each (p, data, step) -> one number"
        )
    if brought(task, "gradient") and not brought(task, "loss"):
        raise LoptbenchError(f"task {task.name!r} brings a `gradient`, but no `loss` in NumPy")
    try:
        hash(task)
    except TypeError as error:
        raise LoptbenchError(
            f"the settings of task {task.name!r} must be numbers, text or tuples, so that tasks "
            f"can be told apart ({error}); give arrays in `shared`"
        ) from error
    _validate_problems(task)
    return task


def _validate_problems(task: CustomTask) -> None:
    """Draw two problems, twice."""
    if type(task).draw is CustomTask.draw:
        raise LoptbenchError(
            f"task {task.name!r} has no `draw`, which returns the initial parameters and the "
            "arrays of one problem"
        )
    try:
        batch, again = (task.sample("validate", 0, range(2)) for _ in range(2))
    except LoptbenchError:
        raise
    except Exception as error:
        raise LoptbenchError(
            f"problems of task {task.name!r} cannot be drawn: {type(error).__name__}: {error}"
        ) from error
    _require_shapes(task, batch)
    if batch.sha256 != again.sha256:
        raise LoptbenchError(
            f"task {task.name!r} draws other problems each time; take all random numbers from the "
            "`rng` that `draw` is given"
        )


def _require_shapes(task: CustomTask, batch: ProblemBatch) -> None:
    if not batch.n_parameters:
        raise LoptbenchError(
            f"a problem of task {task.name!r} has no parameters; `draw` returns them first, by name"
        )
    if batch.layout != task.layout:
        raise LoptbenchError(
            f"problems of task {task.name!r} have other parameters each time: {dict(task.layout)} "
            f"and {dict(batch.layout)}"
        )
    if both := sorted(set(batch.arrays) & set(batch.shared)):
        raise LoptbenchError(
            f"task {task.name!r} has arrays of the same name in `draw` and in `shared`: "
            f"{', '.join(both)}; rename them"
        )
    named = {"the initial parameters": batch.initial_parameters, **batch.arrays, **batch.shared}
    for name, array in named.items():
        if array.dtype.kind not in "fiub":
            raise LoptbenchError(
                f"{name} of task {task.name!r} must be numbers, but the type is {array.dtype}"
            )
        if not np.all(np.isfinite(array)):
            raise LoptbenchError(f"{name} of task {task.name!r} must be finite numbers")
