"""The losses of the tasks in PyTorch.

Each module has a function `loss`. Parameters x are (..., n_problems, n_parameters). Leading axes,
if there are any, are other runs of the same problems; the arrays of the problems broadcast.

`quadratic` and `rosenbrock` also have `gradient` and `hessian_vector`, written out because
autograd's overhead would take most of the time. The derivatives of the others are autograd's.
"""

from loptbench.implementations.torch.tasks import digits, quadratic, rosenbrock, two_moons
from loptbench.implementations.torch.tasks.base import Derivatives, Problem, Step, TaskLoss
from loptbench.implementations.torch.tasks.custom import loss_of_custom
from loptbench.tasks import ProblemBatch

LOSSES = {
    "quadratic": TaskLoss(
        quadratic.loss, Derivatives(quadratic.gradient, quadratic.hessian_vector)
    ),
    "rosenbrock": TaskLoss(
        rosenbrock.loss, Derivatives(rosenbrock.gradient, rosenbrock.hessian_vector)
    ),
    "two_moons": TaskLoss(two_moons.loss),
    "digits": TaskLoss(digits.loss),
}
"""The loss of each task that loptbench ships."""


def loss_of(batch: ProblemBatch) -> TaskLoss:
    """The loss of the task that a batch was drawn from."""
    return LOSSES[batch.task] if batch.custom is None else loss_of_custom(batch)


__all__ = ["LOSSES", "Derivatives", "Problem", "Step", "TaskLoss", "loss_of"]
