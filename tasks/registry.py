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
        UnknownNameError: there is none; the message lists those there are.
    """
    if name not in TASKS:
        raise UnknownNameError("task", name, list(TASKS))
    return TASKS[name]


def use_mnist(folder: Path) -> None:
    """From here on, in this process, `digits` is on the real MNIST in `folder`.

    Raises:
        LoptbenchError: there is no MNIST there; see `loptbench.tasks.idx.read_mnist`.
    """
    TASKS["digits"] = dataclasses.replace(Digits(), images=read_mnist(folder))
