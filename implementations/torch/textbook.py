"""What to measure our outer step against: autograd's meta-gradient, and the products alone.

`loptbench perf` times the products; tests hold ours to the meta-gradient. Nothing else uses them.
"""

from typing import Any

import torch
from torch import Tensor

from loptbench.implementations.torch.implementation import Implementation
from loptbench.implementations.torch.optimizers import KINDS
from loptbench.implementations.torch.tasks import LOSSES
from loptbench.optimizers import OptimizerSpec
from loptbench.tasks import ProblemBatch


class Textbook:
    """The meta-gradient as anybody would write it, and the products that it is made of.

    Args:
        spec: a GRU.
        batch: the problems.
        n_steps: inner steps.
        dtype: what to compute in.
        device: where.
    """

    def __init__(
        self,
        spec: OptimizerSpec,
        batch: ProblemBatch,
        n_steps: int,
        dtype: str,
        device: str = "cpu",
    ) -> None:
        one = Implementation()
        self.optimizer = one.optimizer(spec, dtype, device)
        self.problem = one.problems(batch, dtype, device).problem
        self.x0 = self.optimizer.placed.put(batch.initial_parameters)
        self.n_steps = n_steps
        p = self.optimizer.parameters
        self.W_zr, self.W_c = torch.cat([p["W_z"], p["W_r"]]), p["W_c"]

    def meta_gradient(self) -> dict[str, Any]:
        """Eagerly, all derivatives by autograd."""
        kind, constants = KINDS["gru"], self.optimizer.constants
        p = {k: v.detach().requires_grad_() for k, v in self.optimizer.parameters.items()}
        state = kind.initial_state(p, self.x0.numel())
        x, losses = self.x0.detach().requires_grad_(), []
        for k in range(self.n_steps):
            loss = LOSSES[self.problem.task](self.problem, x, k)
            (gradient,) = torch.autograd.grad(loss.sum(), x, create_graph=True)
            losses.append(loss)
            state, update = kind.step(p, constants, state, gradient.reshape(-1))
            x = x + update.reshape(x.shape)
        loss = torch.stack(losses)
        found = torch.autograd.grad((loss.mean(dim=0) / loss[0]).mean(), list(p.values()))
        return {name: leaf.cpu().numpy() for name, leaf in zip(p, found, strict=True)}

    def products(self) -> Tensor:
        """The matrix products of an outer step, and nothing else: none can be faster.

        Two there, two back, and two for the weights, of which each step's go into a sum.
        """
        n_units = self.W_c.shape[0]
        h = self.x0.new_full((self.x0.numel(), n_units), 0.1)
        W_zr, W_c = self.W_zr, self.W_c
        W_zr_T, W_c_T = W_zr.T.contiguous(), W_c.T.contiguous()
        gates, before = h.new_empty(len(h), 2 * n_units), h.new_zeros(len(h), 2 * n_units)
        to_W_zr, to_W_c, out = torch.zeros_like(W_zr), torch.zeros_like(W_c), torch.empty_like(h)
        for _ in range(self.n_steps):
            torch.mm(h, W_zr_T, out=gates)
            torch.mm(h, W_c_T, out=out)
        for _ in range(self.n_steps):
            torch.mm(h, W_c, out=out)
            torch.mm(before, W_zr, out=out)
            to_W_zr.addmm_(before.T, h)
            to_W_c.addmm_(h.T, h)
        return to_W_zr.cpu()  # on a GPU, to wait for it
