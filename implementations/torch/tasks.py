"""The losses of the tasks in PyTorch; their gradients are autograd's.

Parameters are (..., n_problems, n_parameters): any axes before the problem are other runs of the
same problems, and what defines the problems is broadcast against them.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from loptbench.tasks import Layout, unflatten


class Problem(NamedTuple):
    """A batch of problems in tensors.

    Attributes:
        task: the task's name.
        layout: what the flat parameters are made of.
        arrays: what defines the problems, and what they share.
    """

    task: str
    layout: Layout
    arrays: Mapping[str, Tensor]


Step = int | Tensor
"""The inner step: one for all, or one for each entry of the axis before the problem."""


def _quadratic(problem: Problem, x: Tensor, _: Step) -> Tensor:
    # f = ½ xᵀHx + vᵀx + c
    H, v, c = (problem.arrays[name] for name in ("H", "v", "c"))
    Hx = (H @ x.unsqueeze(-1)).squeeze(-1)
    return ((0.5 * Hx + v) * x).sum(dim=-1) + c


def _rosenbrock(problem: Problem, x: Tensor, _: Step) -> Tensor:
    # f = Σ_i (1 − x_i)² + a (x_{i+1} − x_i²)²
    u, w = x[..., :-1], x[..., 1:]
    r = w - u**2
    return ((1 - u) ** 2 + problem.arrays["a"][:, None] * r**2).sum(dim=-1)


def _two_moons(problem: Problem, x: Tensor, _: Step) -> Tensor:
    # f = mean(log(1 + exp(q)) − y q) + penalty ‖x‖₂
    p = unflatten(x, problem.layout)
    u, y = problem.arrays["points"], problem.arrays["labels"].to(x.dtype)
    h = torch.tanh(u @ p["W_1"].mT + p["b_1"].unsqueeze(-2))
    h = torch.tanh(h @ p["W_2"].mT + p["b_2"].unsqueeze(-2))
    q = (h @ p["W_3"].mT + p["b_3"].unsqueeze(-2)).squeeze(-1)
    # Not softplus, which leaves the exponential out above 20: an error of 2e-9.
    data: Tensor = (torch.logaddexp(q, torch.zeros_like(q)) - y * q).mean(dim=-1)
    return data + problem.arrays["penalty"] * (x**2).sum(dim=-1).sqrt()


def _patches(images: Tensor) -> Tensor:
    """From (…, side, side, channels) to (…, ⌈side/2⌉², 9 · channels): row, column, channel."""
    side = images.shape[-2]
    half = -(-side // 2)
    after = 2 * half - side
    padded = torch.nn.functional.pad(images, (0, 0, 1, after, 1, after))
    parts = [
        padded[..., r : r + 2 * half - 1 : 2, s : s + 2 * half - 1 : 2, :]
        for r in range(3)
        for s in range(3)
    ]
    return torch.stack(parts, dim=-2).reshape(*images.shape[:-3], half**2, -1)


def _convolution(patches: Tensor, K: Tensor, b: Tensor) -> Tensor:
    """(…, batch, side², 9 · in) by the kernel (…, out, 3, 3, in): (…, batch, side, side, out)."""
    side = round(patches.shape[-2] ** 0.5)
    rows = patches.reshape(*patches.shape[:-3], -1, patches.shape[-1])
    found = rows @ K.reshape(*K.shape[:-3], -1).mT + b.unsqueeze(-2)
    return found.reshape(*found.shape[:-2], -1, side, side, found.shape[-1])


def _digits(problem: Problem, x: Tensor, step: Step) -> Tensor:
    # f = mean(log Σ exp(q) − q_label) over the minibatch
    p = unflatten(x, problem.layout)
    minibatches = problem.arrays["minibatches"].transpose(0, 1)
    chosen = minibatches[step % len(minibatches)].long()
    images = problem.arrays["pixels"][chosen].to(x.dtype) / problem.arrays["white"]
    h = torch.tanh(_convolution(_patches(images.unsqueeze(-1)), p["K_1"], p["b_1"]))
    h = torch.tanh(_convolution(_patches(h), p["K_2"], p["b_2"]))
    q = h.flatten(start_dim=-3) @ p["W_3"].mT + p["b_3"].unsqueeze(-2)
    labels = problem.arrays["labels"][chosen].long().expand(q.shape[:-1])
    right = q.gather(-1, labels.unsqueeze(-1)).squeeze(-1)
    loss: Tensor = (torch.logsumexp(q, dim=-1) - right).mean(dim=-1)
    return loss


LOSSES: dict[str, Callable[[Problem, Tensor, Step], Tensor]] = {
    "quadratic": _quadratic,
    "rosenbrock": _rosenbrock,
    "two_moons": _two_moons,
    "digits": _digits,
}
"""Per task: (problem, parameters (..., n_problems, n_parameters), step) -> (..., n_problems)."""


def loss_and_gradient(
    problem: Problem, x: Tensor, step: Step, differentiable: bool = False
) -> tuple[Tensor, Tensor]:
    """Each problem's loss, and the gradient of that loss by its own parameters.

    Args:
        problem: the problems.
        x: the parameters.
        step: the inner step.
        differentiable: keep the graph, so that loss and gradient can be differentiated again.
    """
    with torch.enable_grad():
        if not differentiable:
            x = x.detach().requires_grad_()
        loss = LOSSES[problem.task](problem, x, step)
        # Problems do not share parameters: the gradient of the sum is every problem's own gradient.
        (gradient,) = torch.autograd.grad(loss.sum(), x, create_graph=differentiable)
    return (loss, gradient) if differentiable else (loss.detach(), gradient)
