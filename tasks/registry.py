"""The tasks by name: those that loptbench ships, and those from outside.

A package registers a task under the entry-point group `loptbench.tasks`:

    [project.entry-points."loptbench.tasks"]
    mine = "my_package.my_module:MyTask"
"""

import dataclasses
from collections.abc import Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from loptbench.errors import LoptbenchError, UnknownNameError
from loptbench.importing import import_object, object_hint
from loptbench.tasks.base import Task, definition
from loptbench.tasks.custom import CustomTask, offered_by
from loptbench.tasks.digits import Digits
from loptbench.tasks.idx import read_mnist
from loptbench.tasks.quadratic import Quadratic
from loptbench.tasks.rosenbrock import Rosenbrock
from loptbench.tasks.two_moons import TwoMoons
from loptbench.tasks.validation import validate

GROUP = "loptbench.tasks"

TASKS: dict[str, Task] = {
    task.name: task for task in (Quadratic(), Rosenbrock(), TwoMoons(), Digits())
}
"""The known tasks: first those that loptbench ships, then those from outside as they are named."""

SHIPPED = tuple(TASKS)
"""The names of the tasks that loptbench ships."""

_as_shipped = dict(TASKS)

_sources: dict[str, str] = {}
"""Where tasks from outside were imported from, `package.module:Object`."""


def get_task(name: str) -> Task:
    """The task of that name, at its default size.

    Args:
        name: the name of a task that loptbench ships or that has been registered, of an entry
            point, or `package.module:Object`, a `CustomTask` or an instance of one.

    Raises:
        UnknownNameError: there is no such task; the message lists the known ones.
        LoptbenchError: the task from outside cannot be imported, or is malformed.

    >>> get_task("quadratic").n_parameters
    5
    """
    if name in TASKS:
        return TASKS[name]
    if ":" in name:
        return register(import_object(name), name)
    points = _entry_points()
    if name in points:
        task = register(import_object(points[name].value), points[name].value)
        if task.name != name:
            raise LoptbenchError(
                f"the entry point {name!r} leads to a task with the name {task.name!r}; call both "
                "the same"
            )
        return task
    raise UnknownNameError("task", name, [*TASKS, *points], object_hint(name))


def register(task: Any, source: str = "") -> CustomTask:
    """Make a task from outside known in this process.

    Args:
        task: a `CustomTask`, or a subclass of it, which is called without arguments.
        source: where it comes from, for messages.

    Raises:
        LoptbenchError: it is malformed, or its name is that of a task that loptbench ships.
    """
    registered = validate(task, source or getattr(task, "__name__", type(task).__name__), SHIPPED)
    TASKS[registered.name] = registered
    _sources[registered.name] = source
    return registered


def offered_tasks(implementation: str) -> tuple[str, ...]:
    """The known tasks from outside that bring a loss for an implementation of loptbench."""
    return tuple(
        name
        for name, task in TASKS.items()
        if isinstance(task, CustomTask) and implementation in offered_by(task)
    )


def task_names() -> list[str]:
    """The names of the known tasks, and of those with an entry point."""
    return list(dict.fromkeys([*TASKS, *_entry_points()]))


def in_order(names: Iterable[str]) -> list[str]:
    """Names of tasks, each once: first the known ones in their order, then others by name.

    >>> in_order(["mine", "digits", "quadratic", "digits"])
    ['quadratic', 'digits', 'mine']
    """
    given = set(names)
    return [*(name for name in TASKS if name in given), *sorted(given - TASKS.keys())]


def argument_of(task: Task) -> str:
    """What names the task on a command line, such as `mine:Bowl`."""
    if not isinstance(task, CustomTask) or task.name in _entry_points():
        return task.name
    return _sources.get(task.name) or f"{type(task).__module__}:{type(task).__qualname__}"


def _entry_points() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP) if point.name not in SHIPPED}


def is_defined_as(name: str, recorded: Mapping[str, Any] | None) -> bool:
    """Whether a task is the one that a file records, with the same settings and data.

    >>> is_defined_as("rosenbrock", definition(Rosenbrock()))
    True

    Args:
        name: the name of the task.
        recorded: its `definition`; None in files of earlier versions, which were made on tasks as
            loptbench ships them, or on one from outside that cannot be told apart.
    """
    task = get_task(name)
    if recorded is None:
        task_then = _as_shipped.get(name)
        return task_then is None or definition(task_then) == definition(task)
    return dict(recorded) == definition(task)


def use_mnist(folder: Path) -> None:
    """Let the task `digits` of this process use the MNIST files in `folder`.

    Raises:
        LoptbenchError: the files cannot be read; see `loptbench.tasks.idx.read_mnist`.
    """
    TASKS["digits"] = dataclasses.replace(Digits(), images=read_mnist(folder))
