"""The losses of the tasks in PyTorch; their gradients are autograd's."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

Arrays = Mapping[str, Tensor]


def _quadratic(arrays: Arrays, x: Tensor, _: int) -> Tensor:
    # f = ½ xᵀHx + vᵀx + c
    Hx = torch.einsum("pij,pj->pi", arrays["H"], x)
    return ((0.5 * Hx + arrays["v"]) * x).sum(dim=1) + arrays["c"]


LOSSES: dict[str, Callable[[Arrays, Tensor, int], Tensor]] = {"quadratic": _quadratic}
"""Per task: (arrays, parameters (n_problems, n_parameters), step) -> loss (n_problems,)."""


def loss_and_gradient(
    task: str, arrays: Arrays, x: Tensor, step: int, differentiable: bool = False
) -> tuple[Tensor, Tensor]:
    """Each problem's loss, and the gradient of that loss by its own parameters.

    Args:
        task: the task's name.
        arrays: what defines the problems.
        x: the parameters.
        step: the inner step.
        differentiable: keep the graph, so that loss and gradient can be differentiated again.
    """
    with torch.enable_grad():
        if not differentiable:
            x = x.detach().requires_grad_()
        loss = LOSSES[task](arrays, x, step)
        # Problems do not share parameters: the gradient of the sum is every problem's own gradient.
        (gradient,) = torch.autograd.grad(loss.sum(), x, create_graph=differentiable)
    return (loss, gradient) if differentiable else (loss.detach(), gradient)
