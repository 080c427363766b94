"""Baselines of our outer step: autograd's meta-gradient, and what no outer step can leave out.

`loptbench perf` times the latter, and tests compare our meta-gradient with autograd's.
"""

from typing import Any

import torch
from torch import Tensor

from loptbench.implementations.torch.implementation import Implementation
from loptbench.implementations.torch.optimizers import get_kind
from loptbench.implementations.torch.optimizers.gru import sigmoid_backward, tanh_backward
from loptbench.optimizers import OptimizerSpec
from loptbench.tasks import ProblemBatch


class Textbook:
    """The meta-gradient of a GRU as a textbook would write it, and the floor of its time."""

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

    def floor(self) -> Tensor:
        """The matrix products and the gates' functions alone: a lower bound of an outer step.

        Each inner step has two products in the forward pass, and in the backward pass two for the
        adjoint of the state and two for those of the weights. Nothing is kept from step to step.
        """
        p = self.optimizer.parameters
        W_zr, W_c = torch.cat([p["W_z"], p["W_r"]]), p["W_c"]
        n_units = W_c.shape[0]
        h = self.x0.new_full((self.x0.numel(), n_units), 0.1)
        W_zr_T, W_c_T = W_zr.T.contiguous(), W_c.T.contiguous()
        zr, c, out = h.new_empty(len(h), 2 * n_units), torch.empty_like(h), torch.empty_like(h)
        pre_zr_bar, pre_c_bar = torch.zeros_like(zr), torch.zeros_like(h)
        W_zr_bar, W_c_bar = torch.zeros_like(W_zr), torch.zeros_like(W_c)
        for _ in range(self.n_steps):
            torch.mm(h, W_zr_T, out=zr).sigmoid_()
            torch.mm(h, W_c_T, out=c).tanh_()
        for _ in range(self.n_steps):
            tanh_backward(h, c, grad_input=pre_c_bar)
            torch.mm(pre_c_bar, W_c, out=out)
            sigmoid_backward(zr, zr, grad_input=pre_zr_bar)
            torch.mm(pre_zr_bar, W_zr, out=out)
            W_zr_bar.addmm_(pre_zr_bar.T, h)
            W_c_bar.addmm_(pre_c_bar.T, h)
        return W_zr_bar.cpu()  # on a GPU, this waits for the result
