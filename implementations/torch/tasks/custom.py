"""The loss of a task from outside, batched over problems by `torch.func.vmap`."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from loptbench.errors import LoptbenchError
from loptbench.implementations.torch.arrays import placement, to_numpy
from loptbench.implementations.torch.tasks.base import Problem, Step, TaskLoss
from loptbench.tasks import ProblemBatch, unflatten

OneLoss = Callable[[Mapping[str, Any], Mapping[str, Any], Any], Any]
"""(parameters by name, arrays by name, step) -> the loss of one problem, a scalar."""


def loss_of_custom(batch: ProblemBatch) -> TaskLoss:
    """The loss of the task that a batch was drawn from.

    Raises:
        LoptbenchError: the task brings no loss in PyTorch.
    """
    one_loss = getattr(batch.custom, "torch_loss", None)
    if one_loss is None:
        raise LoptbenchError(f"task {batch.task!r} brings no `torch_loss`")
    return TaskLoss(batched(one_loss, batch.task, tuple(batch.arrays)))


def batched(
    one_loss: OneLoss, task: str, own: tuple[str, ...]
) -> Callable[[Problem, Tensor, Step], Tensor]:
    """The loss of all problems from that of one.

    Args:
        one_loss: the loss of one problem.
        task: the task's name, for messages.
        own: the names of the arrays that each problem has for itself.
    """

    def of_problems(problem: Problem, x: Tensor, step: Step) -> Tensor:
        """Of x, (n_problems, n_parameters)."""
        arrays = {name: problem.arrays[name] for name in own}
        shared = {name: array for name, array in problem.arrays.items() if name not in arrays}

        def of_one(x: Tensor, arrays: dict[str, Tensor]) -> Tensor:
            value = one_loss(unflatten(x, problem.layout), {**shared, **arrays}, step)
            return _as_scalar(value, task)

        losses: Tensor = torch.func.vmap(of_one)(x, arrays)
        return losses

    def loss(problem: Problem, x: Tensor, step: Step) -> Tensor:
        if x.dim() == 2:
            return of_problems(problem, x, step)
        # Leading axes are other runs; their steps are numbers, which index arrays.
        steps = step.tolist() if isinstance(step, Tensor) else [step] * len(x)
        groups = {k: [i for i, other in enumerate(steps) if other == k] for k in steps}
        losses = [None] * len(x)
        for k, rows in groups.items():
            of_group = torch.func.vmap(lambda part, k=k: of_problems(problem, part, k))(x[rows])
            for row, of_run in zip(rows, of_group, strict=True):
                losses[row] = of_run
        return torch.stack(losses)  # type: ignore[arg-type]  # every row has been filled

    return loss


def _as_scalar(value: Any, task: str) -> Tensor:
    if not isinstance(value, Tensor) or value.shape != () or not value.is_floating_point():
        what = (
            f"{value.dtype} of shape {tuple(value.shape)}"
            if isinstance(value, Tensor)
            else type(value).__name__
        )
        raise LoptbenchError(
            f"the `torch_loss` of task {task!r} must return one number, a tensor of floats of "
            f"shape (), but returned {what}"
        )
    return value


class Differentiated:
    """Losses, gradients and Hessians of a batch by autograd, in float64, for the oracle."""

    def __init__(self, batch: ProblemBatch) -> None:
        self.placement = placement("float64", "cpu")
        arrays = self.placement.put_all({**batch.arrays, **batch.shared})
        self.problem = Problem(loss_of_custom(batch), batch.layout, arrays)

    def loss_and_gradient(
        self, parameters: NDArray[np.float64], step: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """f, (n_problems,), and ∇f, (n_problems, n_parameters)."""
        _, loss, gradient = self._at(parameters, step, create_graph=False)
        return to_numpy(loss), to_numpy(gradient)

    def hessian_vector(
        self, parameters: NDArray[np.float64], step: int, vector: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """∇²f y, (n_problems, n_parameters)."""
        x, _, gradient = self._at(parameters, step, create_graph=True)
        if not gradient.requires_grad:  # the loss is linear
            return np.zeros_like(vector)
        (product,) = torch.autograd.grad(gradient, x, self.placement.put(vector))
        return to_numpy(product)

    def _at(
        self, parameters: NDArray[np.float64], step: int, create_graph: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        x = self.placement.put(parameters).requires_grad_()
        with torch.enable_grad():
            loss = self.problem.task.loss(self.problem, x, step)
            (gradient,) = torch.autograd.grad(loss.sum(), x, create_graph=create_graph)
        return x, loss, gradient
