"""The losses of the tasks in PyTorch; their gradients are autograd's.

Parameters are (..., n_problems, n_parameters): any axes before the problem are other runs of the
same problems, and what defines the problems is broadcast against them.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple, Protocol

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
    return ((0.5 * _times(H, x) + v) * x).sum(dim=-1) + c


def _quadratic_gradient(problem: Problem, x: Tensor) -> Tensor:
    # ∇f = Hx + v
    H, v = problem.arrays["H"], problem.arrays["v"]
    if x.dim() + 1 == H.dim():
        return torch.baddbmm(v.unsqueeze(-1), H, x.unsqueeze(-1)).squeeze(-1)
    return _times(H, x) + v


def _quadratic_hessian_vector(problem: Problem, x: Tensor, direction: Tensor) -> Tensor:
    return _times(problem.arrays["H"], direction)


def _times(H: Tensor, x: Tensor) -> Tensor:
    if x.dim() + 1 == H.dim():  # as it mostly is: half of a matmul is finding that out
        return torch.bmm(H, x.unsqueeze(-1)).squeeze(-1)
    return (H @ x.unsqueeze(-1)).squeeze(-1)


def _rosenbrock(problem: Problem, x: Tensor, _: Step) -> Tensor:
    # f = Σ_i (1 − x_i)² + a (x_{i+1} − x_i²)²
    u, w = x[..., :-1], x[..., 1:]
    r = w - u**2
    return ((1 - u) ** 2 + problem.arrays["a"][:, None] * r**2).sum(dim=-1)


def _rosenbrock_gradient(problem: Problem, x: Tensor) -> Tensor:
    # with r = w − u²:  ∂f/∂u = −2 (1 − u) − 4 a u r,  ∂f/∂w = 2 a r
    u, w = x[..., :-1], x[..., 1:]
    a = problem.arrays["a"][:, None]
    r = w - u**2
    return _chained(-2 * (1 - u) - 4 * a * u * r, 2 * a * r)


def _rosenbrock_hessian_vector(problem: Problem, x: Tensor, direction: Tensor) -> Tensor:
    # the derivative of the gradient along the direction
    u, w = x[..., :-1], x[..., 1:]
    du, dw = direction[..., :-1], direction[..., 1:]
    a = problem.arrays["a"][:, None]
    r, dr = w - u**2, dw - 2 * u * du
    return _chained(2 * du - 4 * a * (du * r + u * dr), 2 * a * dr)


def _chained(of_u: Tensor, of_w: Tensor) -> Tensor:
    """What belongs to x_i as the first, and to x_{i+1} as the second, of each pair."""
    pad = torch.nn.functional.pad
    return pad(of_u, (0, 1)) + pad(of_w, (1, 0))


def _two_moons(problem: Problem, x: Tensor, _: Step) -> Tensor:
    # f = mean(log(1 + exp(q)) − y q) + penalty ‖x‖₂
    p = unflatten(x, problem.layout)
    u, y = problem.arrays["points"], problem.arrays["labels"].to(x.dtype)
    # Points stand side by side, (…, width, n_points): long rows are what PyTorch is fast on.
    h = torch.tanh(p["W_1"] @ u.mT + p["b_1"].unsqueeze(-1))
    h = torch.tanh(p["W_2"] @ h + p["b_2"].unsqueeze(-1))
    q = (p["W_3"] @ h + p["b_3"].unsqueeze(-1)).squeeze(-2)
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


class Derivatives(NamedTuple):
    """Derivatives of a loss that are written out, because autograd's overhead is most of its time.

    Attributes:
        gradient: (problem, parameters) -> the gradient of each problem's loss.
        hessian_vector: (problem, parameters, direction) -> its Hessian times the direction.
    """

    gradient: Callable[[Problem, Tensor], Tensor]
    hessian_vector: Callable[[Problem, Tensor, Tensor], Tensor]


WRITTEN_OUT = {
    "quadratic": Derivatives(_quadratic_gradient, _quadratic_hessian_vector),
    "rosenbrock": Derivatives(_rosenbrock_gradient, _rosenbrock_hessian_vector),
}
"""Of these losses; those of the others are autograd's."""

Product = Callable[[Tensor], Tensor]
"""From a direction to the Hessian times it."""


def loss_and_gradient(problem: Problem, x: Tensor, step: Step) -> tuple[Tensor, Tensor]:
    """Each problem's loss, and the gradient of that loss by its own parameters."""
    if problem.task in WRITTEN_OUT:
        with torch.no_grad():
            gradient = WRITTEN_OUT[problem.task].gradient(problem, x)
            return LOSSES[problem.task](problem, x, step), gradient
    loss, gradient = _by_autograd(problem, x.detach().requires_grad_(), step, again=False)
    return loss.detach(), gradient.detach()


def _by_autograd(problem: Problem, x: Tensor, step: Step, again: bool) -> tuple[Tensor, Tensor]:
    with torch.enable_grad():
        loss = LOSSES[problem.task](problem, x, step)
        # Problems do not share parameters: the gradient of the sum is every problem's own gradient.
        (gradient,) = torch.autograd.grad(loss.sum(), x, create_graph=again)
    return loss, gradient


class Along(Protocol):
    """The derivatives of a run's losses, at one place after another; none has a graph."""

    def at(self, x: Tensor, step: int) -> tuple[Tensor, Product]:
        """The gradient there, and the product of the Hessian with a direction, to ask for once."""

    def losses(self) -> Tensor:
        """The losses at all places so far, (n_steps, n_problems)."""


class _WrittenOut:
    """With derivatives that are written out; no loss is needed for them, so all come at the end."""

    def __init__(self, problem: Problem) -> None:
        self.problem, self.derivatives = problem, WRITTEN_OUT[problem.task]
        self.places: list[Tensor] = []
        self.steps: list[int] = []

    def at(self, x: Tensor, step: int) -> tuple[Tensor, Product]:
        """See `Along`."""
        self.places.append(x)
        self.steps.append(step)
        product = self.derivatives.hessian_vector
        return self.derivatives.gradient(self.problem, x), partial(product, self.problem, x)

    def losses(self) -> Tensor:
        """See `Along`."""
        places, steps = torch.stack(self.places), torch.tensor(self.steps)
        return LOSSES[self.problem.task](self.problem, places, steps)


class _Autograd:
    """With autograd's derivatives, whose graphs hold memory until a product has been asked for."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.found: list[Tensor] = []

    def at(self, x: Tensor, step: int) -> tuple[Tensor, Product]:
        """See `Along`."""
        x = x.detach().requires_grad_()
        loss, gradient = _by_autograd(self.problem, x, step, again=True)
        self.found.append(loss.detach())

        def product(direction: Tensor) -> Tensor:
            return torch.autograd.grad(gradient, x, direction)[0]

        return gradient.detach(), product

    def losses(self) -> Tensor:
        """See `Along`."""
        return torch.stack(self.found)


def along(problem: Problem) -> Along:
    """What differentiates the losses of a run twice."""
    return _WrittenOut(problem) if problem.task in WRITTEN_OUT else _Autograd(problem)
