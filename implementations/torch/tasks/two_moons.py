"""A multilayer perceptron on two moons.

h₁ = tanh(W_1 u + b_1),  h₂ = tanh(W_2 h₁ + b_2),  q = W_3 h₂ + b_3
f  = mean over the points of log(1 + exp(q)) − y q  +  penalty · ‖x‖₂
"""

import torch
from torch import Tensor

from loptbench.implementations.torch.tasks.base import Problem, Step
from loptbench.tasks import unflatten


def loss(problem: Problem, x: Tensor, _: Step) -> Tensor:
    """f, (..., n_problems)."""
    p = unflatten(x, problem.layout)
    u, y = problem.arrays["points"], problem.arrays["labels"].to(x.dtype)
    # Points are columns, (..., width, n_points): PyTorch is fast on long rows.
    h = torch.tanh(p["W_1"] @ u.mT + p["b_1"].unsqueeze(-1))
    h = torch.tanh(p["W_2"] @ h + p["b_2"].unsqueeze(-1))
    q = (p["W_3"] @ h + p["b_3"].unsqueeze(-1)).squeeze(-2)
    # logaddexp and not softplus, which drops the exponential above 20: an error of 2e-9.
    data: Tensor = (torch.logaddexp(q, torch.zeros_like(q)) - y * q).mean(dim=-1)
    return data + problem.arrays["penalty"] * (x**2).sum(dim=-1).sqrt()
