"""The losses of the tasks in PyTorch.

Each module has a function `loss`. Parameters x are (..., n_problems, n_parameters). Leading axes,
if there are any, are other runs of the same problems; the arrays of the problems broadcast.

`quadratic` and `rosenbrock` also have `gradient` and `hessian_vector`, written out because
autograd's overhead would take most of the time. The derivatives of the others are autograd's.
"""

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

from loptbench.implementations.torch.tasks import digits, quadratic, rosenbrock, two_moons
from loptbench.implementations.torch.tasks.base import Problem, Step

LOSSES: dict[str, Callable[[Problem, Tensor, Step], Tensor]] = {
    "quadratic": quadratic.loss,
    "rosenbrock": rosenbrock.loss,
    "two_moons": two_moons.loss,
    "digits": digits.loss,
}
"""Per task: (problem, x, step) -> loss, (..., n_problems)."""


class Derivatives(NamedTuple):
    """The derivatives of a loss as functions.

    Attributes:
        gradient: (problem, x) -> the gradient of each problem's loss, shaped as x.
        hessian_vector: (problem, x, y) -> the Hessian of each problem's loss times y.
    """

    gradient: Callable[[Problem, Tensor], Tensor]
    hessian_vector: Callable[[Problem, Tensor, Tensor], Tensor]


DERIVATIVES = {
    "quadratic": Derivatives(quadratic.gradient, quadratic.hessian_vector),
    "rosenbrock": Derivatives(rosenbrock.gradient, rosenbrock.hessian_vector),
}

__all__ = ["DERIVATIVES", "LOSSES", "Derivatives", "Problem", "Step"]
