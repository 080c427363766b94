"""Inner loops in tensors: a whole run, the losses of a run, and many runs side by side."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from loptbench.implementations.torch.derivatives import loss_and_gradient
from loptbench.implementations.torch.tasks import Problem

OptimizerStep = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""(state, gradient) -> next state, update."""


@torch.no_grad()
def _inner_steps(
    step: OptimizerStep, problem: Problem, state: Tensor, x: Tensor, n_steps: int
) -> Iterator[tuple[Tensor, ...]]:
    """Each step's loss, parameters, gradient, state, update, and next state."""
    for k in range(n_steps):
        loss, gradient = loss_and_gradient(problem, x, k)
        next_state, update = step(state, gradient.reshape(-1))
        update = update.reshape(x.shape)
        yield loss, x, gradient, state, update, next_state
        state, x = next_state, x + update


def unroll(
    step: OptimizerStep, problem: Problem, state: Tensor, x: Tensor, n_steps: int
) -> tuple[Tensor, ...]:
    """The fields of a `Trajectory` from this state and these parameters."""
    steps = zip(*_inner_steps(step, problem, state, x, n_steps), strict=True)
    *columns, next_states = steps
    loss, xs, gradients, states, updates = (torch.stack(column) for column in columns)
    xs = torch.cat([xs, xs[-1:] + updates[-1:]])
    states = torch.cat([states, next_states[-1][None]])
    return loss, xs, gradients, states, updates


def unroll_losses(
    step: OptimizerStep, problem: Problem, state: Tensor, x: Tensor, n_steps: int
) -> Tensor:
    """The losses of a run, (n_steps, n_problems)."""
    steps = _inner_steps(step, problem, state, x, n_steps)
    return torch.stack([loss for loss, *_ in steps])


@torch.no_grad()
def sweep(
    step: OptimizerStep, problem: Problem, state: Tensor, x: Tensor, first: Tensor, n_steps: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Losses, parameters and states of many draws, each from its own first step, (n_draws,)."""
    losses = []
    for k in range(n_steps):
        loss, gradient = loss_and_gradient(problem, x, first + k)
        state, update = step(state, gradient.flatten(start_dim=1))
        x = x + update.reshape(x.shape)
        losses.append(loss)
    return torch.stack(losses), x, state
