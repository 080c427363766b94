"""The plain loop over `torch.optim`: one optimizer, one problem, one step at a time.

`loptbench perf` compares the speed of a sweep with it.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from loptbench.implementations.torch.tasks import Problem
from loptbench.implementations.torch.tasks import loss_of as task_loss
from loptbench.optimizers import OptimizerSpec
from loptbench.tasks import ProblemBatch

Loss = Callable[[Tensor, int], Tensor]


def optimizer_of(spec: OptimizerSpec, x: Tensor) -> torch.optim.Optimizer:
    """The optimizer of `torch.optim` that a spec describes, on the parameters `x`."""
    p = {name: float(value) for name, value in spec.parameters.items()}
    epsilon = spec.constants.get("epsilon", 0.0)
    if spec.kind == "adam":
        return torch.optim.Adam([x], p["alpha"], (p["beta1"], p["beta2"]), epsilon)
    if spec.kind == "rmsprop":
        return torch.optim.RMSprop([x], p["alpha"], p["gamma"], epsilon)
    nesterov = spec.kind == "nesterov"
    return torch.optim.SGD([x], p["alpha"], p.get("beta", 0.0), nesterov=nesterov)


def loss_of(batch: ProblemBatch) -> Loss:
    """The loss of the first problem of a batch, as a function of its parameters and the step."""
    first = batch.part([0])
    arrays = {name: torch.tensor(array) for name, array in {**first.arrays, **first.shared}.items()}
    if batch.task == "quadratic":
        H, v, c = (arrays[name][0] for name in ("H", "v", "c"))
        return lambda x, _: 0.5 * x @ H @ x + v @ x + c
    if batch.task == "rosenbrock":
        a = float(arrays["a"][0])
        return lambda x, _: ((1 - x[:-1]) ** 2 + a * (x[1:] - x[:-1] ** 2) ** 2).sum()
    problem = Problem(task_loss(first), first.layout, arrays)
    return lambda x, step: problem.task.loss(problem, x[None], step)[0]


def run(spec: OptimizerSpec, batch: ProblemBatch, n_steps: int) -> NDArray[Any]:
    """The loss before each step of one run on the first problem, (n_steps,)."""
    loss_function = loss_of(batch)
    x = torch.tensor(batch.initial_parameters[0], requires_grad=True)
    optimizer = optimizer_of(spec, x)
    losses = []
    for step in range(n_steps):
        optimizer.zero_grad()
        loss = loss_function(x, step)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it without types
        optimizer.step()
        losses.append(loss.item())
    return np.array(losses)
