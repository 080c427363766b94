"""The learned optimizer: its step, many steps, and a tape with their backward pass.

s  = input_scale · g
z  = sigmoid(W_z h + a_z s + b_z)
r  = sigmoid(W_r h + a_r s + b_r)
c  = tanh(W_c (r ∘ h) + a_c s + b_c)
h' = z ∘ h + (1 − z) ∘ c
Δ  = output_scale · (w · h' + b)

`step` is these equations. `drive` and `Tape` compute the same in place, in buffers that are
allocated once, with one column per component. The rows are the units, and below them the gradient
and a one, [h; g; 1], so that weights, input weights and biases are one matrix
M = [W | input_scale · a | b], and so are their adjoints. The arrays of a tape are (n_sets, n_rows,
n_components): a set is one optimizer's weights with its own components.

`x_bar` is the adjoint of x: the derivative of the meta-objective by x.
"""

import threading
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from loptbench.implementations.torch.optimizers.base import Constants, Parameters

sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input
"""(y_bar, y, grad_input=out): out = y_bar · y (1 − y)"""
tanh_backward = torch.ops.aten.tanh_backward.grad_input
"""(y_bar, y, grad_input=out): out = y_bar · (1 − y²)"""

_reused = threading.local()


def initial_state(p: Parameters, n_components: int) -> Tensor:
    """h0 for every component, (..., n_components, n_units)."""
    h0 = p["h0"]
    return h0.unsqueeze(-2).expand(*h0.shape[:-1], n_components, -1)


def step(
    p: Parameters, constants: Constants, state: Tensor, gradient: Tensor
) -> tuple[Tensor, Tensor]:
    """The next state and the update."""
    h, s = state, constants["input_scale"] * gradient[:, None]

    def inputs(gate: str, h: Tensor) -> Tensor:
        """W h + a s + b, in two operations instead of four."""
        Wh_b = torch.addmm(p[f"b_{gate}"], h, p[f"W_{gate}"].T)
        return torch.addcmul(Wh_b, s, p[f"a_{gate}"])

    z, r = torch.sigmoid(inputs("z", h)), torch.sigmoid(inputs("r", h))
    c = torch.tanh(inputs("c", r * h))
    h = z * h + (1 - z) * c
    return h, constants["output_scale"] * (h @ p["w"] + p["b"])


def _matrices(p: Parameters, constants: Constants) -> tuple[Tensor, Tensor]:
    """[M_z; M_r], (..., 2 · n_units, n_units + 2), and M_c, (..., n_units, n_units + 2)."""
    M_z, M_r, M_c = (
        torch.cat(
            [
                p[f"W_{k}"],
                constants["input_scale"] * p[f"a_{k}"].unsqueeze(-1),
                p[f"b_{k}"].unsqueeze(-1),
            ],
            dim=-1,
        )
        for k in "zrc"
    )
    return torch.cat([M_z, M_r], dim=-2), M_c


def drive(
    p: Parameters, constants: Constants, state: Tensor, gradients: Tensor, times: Sequence[int]
) -> Tensor:
    """The states at `times`, (len(times), n_components, n_units); see `base.Drive`."""
    n, n_units = state.shape
    M_zr, M_c = _matrices(p, constants)
    states = state.new_empty(len(times), n, n_units)
    inputs, reset_inputs = state.new_ones(2, n_units + 2, n)  # [h; g; 1] and [r ∘ h; g; 1]
    h, g = inputs[:n_units], inputs[n_units]
    rh, reset_g = reset_inputs[:n_units], reset_inputs[n_units]
    h.copy_(state.T)
    zr, c = state.new_empty(2 * n_units, n), state.new_empty(n_units, n)
    z, r = zr[:n_units], zr[n_units:]
    for i, (last, time) in enumerate(pairwise([0, *times])):
        for gradient in gradients[last:time].unbind():
            # (z; r) = sigmoid(M_zr [h; g; 1]);  c = tanh(M_c [r ∘ h; g; 1])
            # h' = z ∘ h + (1 − z) ∘ c
            g.copy_(gradient)
            reset_g.copy_(gradient)
            torch.mm(M_zr, inputs, out=zr).sigmoid_()
            torch.mul(r, h, out=rh)
            torch.mm(M_c, reset_inputs, out=c).tanh_()
            torch.lerp(c, h, z, out=h)
        states[i] = h.T
    return states


def _buffers(
    n_sets: int, n_steps: int, n: int, n_units: int, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, ...]:
    """Uninitialized buffers for [h; g; 1], (z; r) and c of every step; the row of ones is set.

    Each thread reuses its last buffers when their sizes match: allocating fresh memory takes as
    long as half of an outer step. So a tape must be finished before the next one of its size.
    """
    key = (n_sets, n_steps, n, n_units, dtype, device)
    if getattr(_reused, "key", None) != key:
        sizes = ((n_steps + 1, n_units + 2), (n_steps, 2 * n_units), (n_steps, n_units))
        _reused.buffers = tuple(
            torch.ones(n_sets, steps, rows, n, dtype=dtype, device=device) for steps, rows in sizes
        )
        _reused.key = key
    buffers: tuple[Tensor, ...] = _reused.buffers
    return buffers


class Tape:
    """Consecutive steps of several GRUs side by side, run forward and then backward.

    Args:
        p: the weights, with a leading axis for the set.
        constants: input_scale and output_scale.
        state: the state before the first step, (n_sets, n_components, n_units).
        n_steps: the number of steps.

    Attributes:
        n_steps: the number of steps.
        state_bar: the adjoint of the state; after `backward(k)`, of the state before step k.
    """

    def __init__(self, p: Parameters, constants: Constants, state: Tensor, n_steps: int) -> None:
        n_sets, n, n_units = state.shape
        self.n_steps = n_steps
        self.input_scale = constants["input_scale"]
        self.output_scale = constants["output_scale"]
        self.w = self.output_scale * p["w"].unsqueeze(2)
        self.b = self.output_scale * p["b"].view(n_sets, 1, 1)
        # M = [W | input_scale · a | b] multiplies [h; g; 1], or [r ∘ h; g; 1] for the candidate.
        self.M_zr, self.M_c = _matrices(p, constants)
        h, zr, c = _buffers(n_sets, n_steps, n, n_units, state.dtype, state.device)
        h[:, 0, :n_units] = state.mT
        reset = h.new_ones(n_sets, n_units + 2, n)
        # [r ∘ h; g; 1] of the current step only: recomputing it is faster than storing it.
        self.reset, self.rh, self.reset_g = reset, reset[:, :n_units], reset[:, n_units]
        self.reset_T, self.w_T = reset.mT, self.w.mT
        # Lists of views, one per step: indexing a tensor costs as much as a small product.
        self.zr, self.c = zr.unbind(1), c.unbind(1)
        self.rows, self.rows_T = h.unbind(1), h.mT.unbind(1)
        self.states, self.g = h[:, :, :n_units].unbind(1), h[:, :, n_units].unbind(1)
        self.z, self.r = zr[:, :, :n_units].unbind(1), zr[:, :, n_units:].unbind(1)

    def forward(self, k: int, gradient: Tensor) -> Tensor:
        """Run step k with this gradient and return the update, both (n_sets, n_components)."""
        # (z; r) = sigmoid(M_zr [h; g; 1]);  c = tanh(M_c [r ∘ h; g; 1]);  h' = z ∘ h + (1 − z) ∘ c
        self.g[k].copy_(gradient)
        self.reset_g.copy_(gradient)
        torch.bmm(self.M_zr, self.rows[k], out=self.zr[k]).sigmoid_()
        torch.mul(self.r[k], self.states[k], out=self.rh)
        torch.bmm(self.M_c, self.reset, out=self.c[k]).tanh_()
        torch.lerp(self.c[k], self.states[k], self.z[k], out=self.states[k + 1])
        return torch.baddbmm(self.b, self.w_T, self.states[k + 1]).squeeze(1)

    def state(self, k: int) -> Tensor:
        """The state before step k, (n_sets, n_components, n_units)."""
        return self.states[k].mT

    def start_backward(self, state_bar: Tensor) -> None:
        """Prepare the backward pass.

        Args:
            state_bar: the adjoint of the last state, (n_sets, n_components, n_units).
        """
        n_sets, n, n_units = state_bar.shape
        self.h_bar = state_bar.new_empty(n_sets, n_units + 2, n)
        self.new_bar, self.g_bar = self.h_bar[:, :n_units], self.h_bar[:, n_units]
        self.new_bar.copy_(state_bar.mT)
        self.state_bar = self.new_bar.mT
        self.reset_bar = torch.empty_like(self.h_bar)
        self.rh_bar, self.g_bar_of_c = self.reset_bar[:, :n_units], self.reset_bar[:, n_units]
        self.pre_zr_bar = state_bar.new_empty(n_sets, 2 * n_units, n)
        self.direct_bar, self.c_bar, self.pre_c_bar = (
            state_bar.new_empty(n_sets, n_units, n) for _ in range(3)
        )
        self.zr_bar = torch.empty_like(self.pre_zr_bar)
        self.z_bar, self.r_bar = self.zr_bar.chunk(2, dim=1)
        self.M_zr_bar, self.M_c_bar = torch.zeros_like(self.M_zr), torch.zeros_like(self.M_c)
        # The adjoint of [w; 0; b]ᵀ; its entry in the row of the gradient is not used.
        self.wb_bar = state_bar.new_zeros(n_sets, 1, n_units + 2)
        self.M_zr_T, self.M_c_T = self.M_zr.mT.contiguous(), self.M_c.mT.contiguous()

    def backward(self, k: int, update_bar: Tensor) -> Tensor:
        """Backpropagate through step k, after `start_backward` or `backward(k + 1)`.

        Args:
            k: the step.
            update_bar: the adjoint of its update, (n_sets, n_components).

        Returns: the adjoint of its gradient, (n_sets, n_components), in a buffer that the next
            call overwrites.
        """
        state, z, r, c, new_bar = self.states[k], self.z[k], self.r[k], self.c[k], self.new_bar
        update_bar = update_bar.unsqueeze(1)
        self.wb_bar.baddbmm_(update_bar, self.rows_T[k + 1])
        # new_bar += output_scale · w update_barᵀ
        new_bar.addcmul_(self.w, update_bar)
        # z_bar = new_bar (h − c)
        torch.sub(state, c, out=self.z_bar).mul_(new_bar)
        # direct_bar = new_bar z, c_bar = new_bar (1 − z), pre_c_bar = c_bar (1 − c²)
        torch.mul(new_bar, z, out=self.direct_bar)
        tanh_backward(
            torch.sub(new_bar, self.direct_bar, out=self.c_bar), c, grad_input=self.pre_c_bar
        )
        # r_bar = (W_cᵀ pre_c_bar) h, and pre_z_bar, pre_r_bar = z_bar z (1 − z), r_bar r (1 − r)
        torch.bmm(self.M_c_T, self.pre_c_bar, out=self.reset_bar)
        torch.mul(self.rh_bar, state, out=self.r_bar)
        sigmoid_backward(self.zr_bar, self.zr[k], grad_input=self.pre_zr_bar)
        # h_bar = direct_bar + (W_cᵀ pre_c_bar) r + W_zrᵀ pre_zr_bar, and g_bar below it
        torch.addcmul(self.direct_bar, self.rh_bar, r, out=new_bar)
        self.g_bar.copy_(self.g_bar_of_c)
        self.h_bar.baddbmm_(self.M_zr_T, self.pre_zr_bar)

        self.M_zr_bar.baddbmm_(self.pre_zr_bar, self.rows_T[k])
        torch.mul(r, state, out=self.rh)
        self.reset_g.copy_(self.g[k])
        self.M_c_bar.baddbmm_(self.pre_c_bar, self.reset_T)
        return self.g_bar

    def adjoints(self) -> dict[str, Tensor]:
        """The adjoints of all parameters but h0, after `backward` of every step."""
        M_z_bar, M_r_bar = self.M_zr_bar.chunk(2, dim=1)
        wb_bar = self.output_scale * self.wb_bar.squeeze(1)
        adjoints = {"w": wb_bar[:, :-2], "b": wb_bar[:, -1]}
        for gate, M_bar in (("z", M_z_bar), ("r", M_r_bar), ("c", self.M_c_bar)):
            adjoints |= {f"W_{gate}": M_bar[..., :-2], f"b_{gate}": M_bar[..., -1]}
            adjoints[f"a_{gate}"] = self.input_scale * M_bar[..., -2]
        return adjoints
