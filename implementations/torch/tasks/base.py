"""Types of the tasks in PyTorch."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from torch import Tensor

from loptbench.tasks import Layout


class Derivatives(NamedTuple):
    """The derivatives of a loss as functions.

    Attributes:
        gradient: (problem, x) -> the gradient of each problem's loss, shaped as x.
        hessian_vector: (problem, x, y) -> the Hessian of each problem's loss times y.
    """

    gradient: Callable[["Problem", Tensor], Tensor]
    hessian_vector: Callable[["Problem", Tensor, Tensor], Tensor]


class TaskLoss(NamedTuple):
    """What a task computes.

    Attributes:
        loss: (problem, x, step) -> loss, (..., n_problems).
        derivatives: its derivatives, where they are written out; None for autograd's.
    """

    loss: Callable[["Problem", Tensor, "Step"], Tensor]
    derivatives: Derivatives | None = None


class Problem(NamedTuple):
    """A batch of problems in tensors.

    Attributes:
        task: the loss of the task.
        layout: the named arrays that the flat parameters consist of.
        arrays: the arrays that define the problems, and those that they share.
    """

    task: TaskLoss
    layout: Layout
    arrays: Mapping[str, Tensor]


Step = int | Tensor
"""The inner step: one number, or one for each entry of the axis before the problems."""
