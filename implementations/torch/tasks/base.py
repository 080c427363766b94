"""Types of the tasks in PyTorch."""

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor

from loptbench.tasks import Layout


class Problem(NamedTuple):
    """A batch of problems in tensors.

    Attributes:
        task: the task's name.
        layout: the named arrays that the flat parameters consist of.
        arrays: the arrays that define the problems, and those that they share.
    """

    task: str
    layout: Layout
    arrays: Mapping[str, Tensor]


Step = int | Tensor
"""The inner step: one number, or one for each entry of the axis before the problems."""
