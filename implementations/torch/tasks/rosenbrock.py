"""Rosenbrock's function.

With u = x_1 … x_{n−1}, w = x_2 … x_n and r = w − u²:

f     = Σ (1 − u)² + a r²
∂f/∂u = −2 (1 − u) − 4 a u r,  ∂f/∂w = 2 a r
"""

import torch
from torch import Tensor

from loptbench.implementations.torch.tasks.base import Problem, Step


def loss(problem: Problem, x: Tensor, _: Step) -> Tensor:
    """f, (..., n_problems)."""
    u, w = x[..., :-1], x[..., 1:]
    r = w - u**2
    return ((1 - u) ** 2 + problem.arrays["a"][:, None] * r**2).sum(dim=-1)


def gradient(problem: Problem, x: Tensor) -> Tensor:
    """∇f, shaped as x."""
    u, w = x[..., :-1], x[..., 1:]
    a = problem.arrays["a"][:, None]
    r = w - u**2
    return _add_pairs(-2 * (1 - u) - 4 * a * u * r, 2 * a * r)


def hessian_vector(problem: Problem, x: Tensor, y: Tensor) -> Tensor:
    """∇²f y, the derivative of ∇f along y, shaped as x."""
    u, w = x[..., :-1], x[..., 1:]
    du, dw = y[..., :-1], y[..., 1:]
    a = problem.arrays["a"][:, None]
    r, dr = w - u**2, dw - 2 * u * du
    return _add_pairs(2 * du - 4 * a * (du * r + u * dr), 2 * a * dr)


def _add_pairs(u_terms: Tensor, w_terms: Tensor) -> Tensor:
    """Add the terms of the first and of the second parameter of each pair (x_i, x_{i+1})."""
    pad = torch.nn.functional.pad
    return pad(u_terms, (0, 1)) + pad(w_terms, (1, 0))
