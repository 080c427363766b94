"""First and second derivatives of the losses: written out where a task has them, or autograd's."""

from collections.abc import Callable
from functools import partial
from typing import Protocol

import torch
from torch import Tensor

from loptbench.implementations.torch.tasks import Derivatives, Problem, Step

HessianVector = Callable[[Tensor], Tensor]
"""From a direction to the Hessian times it, shaped as the parameters."""


def loss_and_gradient(problem: Problem, x: Tensor, step: Step) -> tuple[Tensor, Tensor]:
    """Each problem's loss, and the gradient of that loss by its own parameters."""
    task = problem.task
    if task.derivatives is not None:
        with torch.no_grad():
            return task.loss(problem, x, step), task.derivatives.gradient(problem, x)
    loss, gradient = _autograd(problem, x.detach().requires_grad_(), step, create_graph=False)
    return loss.detach(), gradient.detach()


def _autograd(problem: Problem, x: Tensor, step: Step, create_graph: bool) -> tuple[Tensor, Tensor]:
    with torch.enable_grad():
        loss = problem.task.loss(problem, x, step)
        # Problems do not share parameters: the gradient of the sum is every problem's own gradient.
        (gradient,) = torch.autograd.grad(loss.sum(), x, create_graph=create_graph)
    return loss, gradient


class TwiceDifferentiated(Protocol):
    """The losses of a run with their derivatives, one step after another."""

    def derivatives(self, x: Tensor, step: int) -> tuple[Tensor, HessianVector]:
        """The gradient at x, without a graph, and the Hessian there, which may be used once."""

    def losses(self) -> Tensor:
        """The losses of all steps so far, (n_steps, n_problems)."""


def twice_differentiated(problem: Problem) -> TwiceDifferentiated:
    """The losses of a problem, to be differentiated twice at every step of a run."""
    derivatives = problem.task.derivatives
    return _Autograd(problem) if derivatives is None else _WrittenOut(problem, derivatives)


class _WrittenOut:
    """For written-out derivatives: they need no loss, so all losses are computed at the end."""

    def __init__(self, problem: Problem, derivatives: Derivatives) -> None:
        self._problem, self._functions = problem, derivatives
        self._x: list[Tensor] = []
        self._steps: list[int] = []

    def derivatives(self, x: Tensor, step: int) -> tuple[Tensor, HessianVector]:
        self._x.append(x)
        self._steps.append(step)
        hessian_vector = partial(self._functions.hessian_vector, self._problem, x)
        return self._functions.gradient(self._problem, x), hessian_vector

    def losses(self) -> Tensor:
        x, steps = torch.stack(self._x), torch.tensor(self._steps)
        return self._problem.task.loss(self._problem, x, steps)


class _Autograd:
    """For autograd's derivatives: each step's graph stays in memory until its Hessian was used."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._losses: list[Tensor] = []

    def derivatives(self, x: Tensor, step: int) -> tuple[Tensor, HessianVector]:
        x = x.detach().requires_grad_()
        loss, gradient = _autograd(self._problem, x, step, create_graph=True)
        self._losses.append(loss.detach())

        def hessian_vector(direction: Tensor) -> Tensor:
            if not gradient.requires_grad:  # the loss is linear
                return torch.zeros_like(direction)
            return torch.autograd.grad(gradient, x, direction)[0]

        return gradient.detach(), hessian_vector

    def losses(self) -> Tensor:
        return torch.stack(self._losses)
