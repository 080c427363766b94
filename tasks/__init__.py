"""Problem distributions: what the optimizers are run on. NumPy only, no framework."""

from loptbench.tasks.base import ProblemBatch, Task
from loptbench.tasks.quadratic import Quadratic
from loptbench.tasks.registry import TASKS, get_task
from loptbench.tasks.streams import SPLITS, generator

__all__ = ["SPLITS", "TASKS", "ProblemBatch", "Quadratic", "Task", "generator", "get_task"]
