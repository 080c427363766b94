"""Random convex quadratics.

f  = ½ xᵀHx + vᵀx + c
∇f = Hx + v
∇²f y = Hy
"""

import torch
from torch import Tensor

from loptbench.implementations.torch.tasks.base import Problem, Step


def loss(problem: Problem, x: Tensor, _: Step) -> Tensor:
    """f, (..., n_problems)."""
    H, v, c = (problem.arrays[name] for name in ("H", "v", "c"))
    return ((0.5 * _times(H, x) + v) * x).sum(dim=-1) + c


def gradient(problem: Problem, x: Tensor) -> Tensor:
    """∇f, shaped as x."""
    H, v = problem.arrays["H"], problem.arrays["v"]
    if x.dim() + 1 == H.dim():
        return torch.baddbmm(v.unsqueeze(-1), H, x.unsqueeze(-1)).squeeze(-1)
    return _times(H, x) + v


def hessian_vector(problem: Problem, x: Tensor, y: Tensor) -> Tensor:
    """∇²f y, shaped as x."""
    return _times(problem.arrays["H"], y)


def _times(H: Tensor, x: Tensor) -> Tensor:
    """Hx of each problem; bmm where it applies, because matmul's dispatch doubles the time."""
    if x.dim() + 1 == H.dim():
        return torch.bmm(H, x.unsqueeze(-1)).squeeze(-1)
    return (H @ x.unsqueeze(-1)).squeeze(-1)
