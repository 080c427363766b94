"""Tasks: distributions of optimization problems. NumPy only, no framework.

One module per task; `base` defines the protocol, `streams` draws the random numbers.
"""

from loptbench.tasks.base import Layout, ProblemBatch, Task, definition, unflatten
from loptbench.tasks.digits import Digits, Images
from loptbench.tasks.quadratic import Quadratic
from loptbench.tasks.registry import TASKS, get_task, use_mnist
from loptbench.tasks.rosenbrock import Rosenbrock
from loptbench.tasks.streams import SPLITS, generator
from loptbench.tasks.two_moons import TwoMoons

__all__ = [
    "SPLITS",
    "TASKS",
    "Digits",
    "Images",
    "Layout",
    "ProblemBatch",
    "Quadratic",
    "Rosenbrock",
    "Task",
    "TwoMoons",
    "definition",
    "generator",
    "get_task",
    "unflatten",
    "use_mnist",
]
