"""Baselines of our outer step: autograd's meta-gradient, and the matrix products alone.

`loptbench perf` times the products, and tests compare our meta-gradient with autograd's.
"""

from typing import Any

import torch
from torch import Tensor

from loptbench.implementations.torch.implementation import Implementation
from loptbench.implementations.torch.optimizers import get_kind
from loptbench.optimizers import OptimizerSpec
from loptbench.tasks import ProblemBatch


class Textbook:
    """The meta-gradient of a GRU as a textbook would write it, and its matrix products."""

    def __init__(
        self, spec: OptimizerSpec, batch: ProblemBatch, n_steps: int, dtype: str, device: str
    ) -> None:
        implementation = Implementation()
        self.optimizer = implementation.optimizer(spec, dtype, device)
        self.problem = implementation.problems(batch, dtype, device).problem
        self.x0 = self.optimizer.placement.put(batch.initial_parameters)
        self.n_steps = n_steps

    def meta_gradient(self) -> dict[str, Any]:
        """The meta-gradient by name; autograd differentiates the run and the losses in it."""
        kind, constants = get_kind("gru"), self.optimizer.constants
        p = {k: v.detach().requires_grad_() for k, v in self.optimizer.parameters.items()}
        state = kind.initial_state(p, self.x0.numel())
        x, losses = self.x0.detach().requires_grad_(), []
        for k in range(self.n_steps):
            loss = self.problem.task.loss(self.problem, x, k)
            (gradient,) = torch.autograd.grad(loss.sum(), x, create_graph=True)
            losses.append(loss)
            state, update = kind.step(p, constants, state, gradient.reshape(-1))
            x = x + update.reshape(x.shape)
        loss = torch.stack(losses)
        gradients = torch.autograd.grad((loss.mean(dim=0) / loss[0]).mean(), list(p.values()))
        return {name: leaf.cpu().numpy() for name, leaf in zip(p, gradients, strict=True)}

    def products(self) -> Tensor:
        """The matrix products of an outer step and nothing else: a lower bound of its time.

        Each inner step has two in the forward pass, and in the backward pass two for the adjoint of
        the state and two for those of the weights.
        """
        p = self.optimizer.parameters
        W_zr, W_c = torch.cat([p["W_z"], p["W_r"]]), p["W_c"]
        n_units = W_c.shape[0]
        h = self.x0.new_full((self.x0.numel(), n_units), 0.1)
        W_zr_T, W_c_T = W_zr.T.contiguous(), W_c.T.contiguous()
        gates, pre_zr_bar = h.new_empty(len(h), 2 * n_units), h.new_zeros(len(h), 2 * n_units)
        W_zr_bar, W_c_bar, out = torch.zeros_like(W_zr), torch.zeros_like(W_c), torch.empty_like(h)
        for _ in range(self.n_steps):
            torch.mm(h, W_zr_T, out=gates)
            torch.mm(h, W_c_T, out=out)
        for _ in range(self.n_steps):
            torch.mm(h, W_c, out=out)
            torch.mm(pre_zr_bar, W_zr, out=out)
            W_zr_bar.addmm_(pre_zr_bar.T, h)
            W_c_bar.addmm_(h.T, h)
        return W_zr_bar.cpu()  # on a GPU, this waits for the result
