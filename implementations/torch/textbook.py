"""Baselines of our outer step: autograd's meta-gradient, and what no outer step can leave out.

`loptbench perf` times the latter, and tests compare our meta-gradient with autograd's.
"""

from typing import Any

import torch
from torch import Tensor

from loptbench.implementations.torch.implementation import Implementation
from loptbench.implementations.torch.optimizers import Parameters, get_kind
from loptbench.implementations.torch.optimizers.gru import sigmoid_backward, tanh_backward
from loptbench.optimizers import OptimizerSpec
from loptbench.tasks import ProblemBatch


class Textbook:
    """The meta-gradient as a textbook would write it, and the floor of its time.

    Attributes:
        has_floor: whether there is a floor of the optimizer's architecture.
    """

    def __init__(
        self, spec: OptimizerSpec, batch: ProblemBatch, n_steps: int, dtype: str, device: str
    ) -> None:
        implementation = Implementation()
        self.optimizer = implementation.optimizer(spec, dtype, device)
        self.problem = implementation.problems(batch, dtype, device).problem
        self.x0 = self.optimizer.placement.put(batch.initial_parameters)
        self.n_steps = n_steps
        self.kind, self.has_floor = spec.kind, spec.kind in FLOORS

    def meta_gradient(self) -> dict[str, Any]:
        """The meta-gradient by name; autograd differentiates the run and the losses in it."""
        kind, constants = get_kind(self.kind), self.optimizer.constants
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
        """The matrix products and the gates' functions alone: a lower bound of an outer step."""
        p = self.optimizer.parameters
        h = self.x0.new_full((self.x0.numel(), len(p["h0"])), 0.1)
        return FLOORS[self.kind](self.n_steps, p, h).cpu()  # on a GPU, this waits for the result


def _gru_floor(n_steps: int, p: Parameters, h: Tensor) -> Tensor:
    """The matrix products of a GRU's outer step, and the functions of its gates.

    Each inner step has two products in the forward pass, and in the backward pass two for the
    adjoint of the state and two for those of the weights. Nothing is kept from step to step.

    Args:
        n_steps: inner steps.
        p: the parameters.
        h: (n_components, n_units).
    """
    W_zr, W_c = torch.cat([p["W_z"], p["W_r"]]), p["W_c"]
    n_units = W_c.shape[0]
    W_zr_T, W_c_T = W_zr.T.contiguous(), W_c.T.contiguous()
    zr, c, out = h.new_empty(len(h), 2 * n_units), torch.empty_like(h), torch.empty_like(h)
    pre_zr_bar, pre_c_bar = torch.zeros_like(zr), torch.zeros_like(h)
    W_zr_bar, W_c_bar = torch.zeros_like(W_zr), torch.zeros_like(W_c)
    for _ in range(n_steps):
        torch.mm(h, W_zr_T, out=zr).sigmoid_()
        torch.mm(h, W_c_T, out=c).tanh_()
    for _ in range(n_steps):
        tanh_backward(h, c, grad_input=pre_c_bar)
        torch.mm(pre_c_bar, W_c, out=out)
        sigmoid_backward(zr, zr, grad_input=pre_zr_bar)
        torch.mm(pre_zr_bar, W_zr, out=out)
        W_zr_bar.addmm_(pre_zr_bar.T, h)
        W_c_bar.addmm_(pre_c_bar.T, h)
    return W_zr_bar


def _lstm_floor(n_steps: int, p: Parameters, h: Tensor) -> Tensor:
    """The same of an LSTM, whose four gates are one product.

    Each inner step has that product in the forward pass, and in the backward pass one for the
    adjoint of the state and one for that of the weights.
    """
    W = torch.cat([p[f"W_{gate}"] for gate in "ifou"])
    n_units = W.shape[1]
    W_T, W_bar = W.T.contiguous(), torch.zeros_like(W)
    pre, pre_bar, c = (h.new_empty(len(h), n * n_units) for n in (4, 4, 1))
    out, out_bar = torch.empty_like(h), torch.zeros_like(h)
    ifo, u = pre[:, : 3 * n_units], pre[:, 3 * n_units :]
    for _ in range(n_steps):
        torch.mm(h, W_T, out=pre)
        ifo.sigmoid_()
        u.tanh_()
        torch.tanh(u, out=c)
    for _ in range(n_steps):
        tanh_backward(h, c, grad_input=out_bar)
        sigmoid_backward(out_bar.repeat(1, 3), ifo, grad_input=pre_bar[:, : 3 * n_units])
        tanh_backward(out_bar, u, grad_input=pre_bar[:, 3 * n_units :])
        torch.mm(pre_bar, W, out=out)
        W_bar.addmm_(pre_bar.T, h)
    return W_bar


FLOORS = {"gru": _gru_floor, "lstm": _lstm_floor, "log_lstm": _lstm_floor}
"""The floor of each architecture: what no outer step can leave out."""
