"""What the compiled functions are made for, and what goes into them."""

from typing import NamedTuple

from loptbench.implementations.jax.optimizers import Constants
from loptbench.implementations.jax.tasks import Arrays, Shapes


class Program(NamedTuple):
    """What is compiled: all that is not an array.

    Attributes:
        kind: the optimizer kind.
        task: the task.
        shapes: the layout of the task's parameters.
        n_steps: the length of a run.
    """

    kind: str
    task: str
    shapes: Shapes
    n_steps: int


class Inputs(NamedTuple):
    """What goes into a run.

    Attributes:
        constants: the optimizer's constants.
        arrays: what defines the problems.
    """

    constants: Constants
    arrays: Arrays
