"""The arguments of the compiled functions: static ones, and arrays."""

from typing import NamedTuple

from loptbench.implementations.jax.optimizers import Constants
from loptbench.implementations.jax.tasks import Arrays, Loss, Shapes


class Program(NamedTuple):
    """The static arguments: a program is compiled for each.

    Attributes:
        kind: the optimizer kind.
        loss: the loss of the task.
        shapes: the layout of the task's parameters.
        n_steps: the number of inner steps.
    """

    kind: str
    loss: Loss
    shapes: Shapes
    n_steps: int


class Inputs(NamedTuple):
    """The inputs of a run beside the parameters of the optimizer and of the problems.

    Attributes:
        constants: the optimizer's constants.
        arrays: the arrays that define the problems.
    """

    constants: Constants
    arrays: Arrays
