"""The tasks by name."""

import dataclasses
from pathlib import Path

from loptbench.errors import UnknownNameError
from loptbench.tasks.base import Task
from loptbench.tasks.digits import Digits
from loptbench.tasks.idx import read_mnist
from loptbench.tasks.quadratic import Quadratic
from loptbench.tasks.rosenbrock import Rosenbrock
from loptbench.tasks.two_moons import TwoMoons

TASKS: dict[str, Task] = {
    task.name: task for task in (Quadratic(), Rosenbrock(), TwoMoons(), Digits())
}


def get_task(name: str) -> Task:
    """The task of that name, at its default size.

    Raises:
        UnknownNameError: there is no such task; the message lists the known ones.

    >>> get_task("quadratic").n_parameters
    5
    """
    if name not in TASKS:
        raise UnknownNameError("task", name, list(TASKS))
    return TASKS[name]


def use_mnist(folder: Path) -> None:
    """Let the task `digits` of this process use the MNIST files in `folder`.

    Raises:
        LoptbenchError: the files cannot be read; see `loptbench.tasks.idx.read_mnist`.
    """
    TASKS["digits"] = dataclasses.replace(Digits(), images=read_mnist(folder))
