"""The tasks by name."""

from loptbench.errors import UnknownNameError
from loptbench.tasks.base import Task
from loptbench.tasks.quadratic import Quadratic

TASKS: dict[str, Task] = {task.name: task for task in (Quadratic(),)}


def get_task(name: str) -> Task:
    """The task of that name, at its default size.

    Raises:
        UnknownNameError: there is none; the message lists those there are.
    """
    if name not in TASKS:
        raise UnknownNameError("task", name, list(TASKS))
    return TASKS[name]
