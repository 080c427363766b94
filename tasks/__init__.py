"""Tasks: distributions of optimization problems. NumPy only, no framework.

One module per task; `base` defines the protocol, `streams` draws the random numbers.
"""

from loptbench.tasks.base import CheckSettings, Layout, ProblemBatch, Task, definition, unflatten
from loptbench.tasks.custom import CustomTask
from loptbench.tasks.digits import Digits, Images
from loptbench.tasks.networks import initial_weights
from loptbench.tasks.quadratic import Quadratic
from loptbench.tasks.registry import (
    SHIPPED,
    TASKS,
    argument_of,
    get_task,
    in_order,
    is_defined_as,
    offered_tasks,
    register,
    task_names,
    use_mnist,
)
from loptbench.tasks.rosenbrock import Rosenbrock
from loptbench.tasks.streams import SPLITS, generator
from loptbench.tasks.two_moons import TwoMoons

__all__ = [
    "SHIPPED",
    "SPLITS",
    "TASKS",
    "CheckSettings",
    "CustomTask",
    "Digits",
    "Images",
    "Layout",
    "ProblemBatch",
    "Quadratic",
    "Rosenbrock",
    "Task",
    "TwoMoons",
    "argument_of",
    "definition",
    "generator",
    "get_task",
    "in_order",
    "initial_weights",
    "is_defined_as",
    "offered_tasks",
    "register",
    "task_names",
    "unflatten",
    "use_mnist",
]
